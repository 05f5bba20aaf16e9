/* kernels/cuda/blaslt_cuda.cu: cuBLASLt by its name; of the plug-in alone. */
#include "kernels/cuda/blaslt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static const char *const files[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static vx_blaslt loaded;
static bool is_loaded;

template <class F> static bool find(void *library, F *out, const char *name)
{
    void *symbol = dlsym(library, name);
    memcpy(out, &symbol, sizeof *out);
    return symbol != NULL;
}

static bool find_all(void *library, vx_blaslt *t)
{
    return find(library, &t->create, "cublasLtCreate") &&
           find(library, &t->destroy, "cublasLtDestroy") &&
           find(library, &t->desc_create, "cublasLtMatmulDescCreate") &&
           find(library, &t->desc_destroy, "cublasLtMatmulDescDestroy") &&
           find(library, &t->desc_set, "cublasLtMatmulDescSetAttribute") &&
           find(library, &t->layout_create, "cublasLtMatrixLayoutCreate") &&
           find(library, &t->layout_destroy, "cublasLtMatrixLayoutDestroy") &&
           find(library, &t->preference_create, "cublasLtMatmulPreferenceCreate") &&
           find(library, &t->preference_destroy, "cublasLtMatmulPreferenceDestroy") &&
           find(library, &t->preference_set, "cublasLtMatmulPreferenceSetAttribute") &&
           find(library, &t->heuristic, "cublasLtMatmulAlgoGetHeuristic") &&
           find(library, &t->matmul, "cublasLtMatmul") &&
           find(library, &t->version, "cublasLtGetVersion");
}

/* With the lock. The library is never closed: it registers functions that run at exit. */
static bool load(char *why, size_t why_size)
{
    void *library = NULL;
    size_t i;
    for (i = 0; i < sizeof files / sizeof *files && !library; i++)
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        snprintf(why, why_size, "neither %s nor %s is found", files[0], files[1]);
    else if (!find_all(library, &loaded))
        snprintf(why, why_size, "%s lacks functions of cuBLASLt", files[i - 1]);
    else
        return true;
    return false;
}

const vx_blaslt *vx_blaslt_load(char *why, size_t why_size)
{
    pthread_mutex_lock(&lock);
    is_loaded = is_loaded || load(why, why_size);
    const bool done = is_loaded;
    pthread_mutex_unlock(&lock);
    return done ? &loaded : NULL;
}
