/*
 * kernels/cpu/blas.c: OpenBLAS, in a room of its own.
 *
 *      process:      program, its libraries, its OpenBLAS     environment, as it is
 *      our namespace: libc.so.6 (second copy), OpenBLAS        environment: OPENBLAS_NUM_THREADS=1
 *
 * A process may already use an OpenBLAS, whose thread count and choice of kernels are global and
 * whose settings come from the environment; none of that is ours to change. dlmopen (glibc) loads
 * a second copy together with a libc of its own, whose environment we may write. It starts no
 * threads; our workers call sgemm at the same time, each with one of its work buffers.
 *
 * OpenBLAS up to 0.3.21 does not know Sapphire Rapids and takes its Haswell kernels there, at half
 * the speed of its SkylakeX kernels. Where it chose kernels older than AVX-512 on a processor that
 * has it, it is unloaded and loaded again with OPENBLAS_CORETYPE=SkylakeX, if it has those.
 *
 * Once loaded it stays, as a library that is linked would: loading takes 3 to 6 ms, and unloading
 * it leaves some 20 kB behind each time, what the second libc had taken from the system. A program
 * that unloads vitx (dlclose) and loads it again would lose sight of it, and use up the namespaces,
 * of which there are about a dozen; so from then on the library that holds this file stays, too.
 *
 * Where there is no dlmopen, the process's own namespace is used, but only where calls run on the
 * calling thread without touching the thread count of others: a sequential OpenBLAS, or one with
 * one thread. (openblas_set_num_threads_local() changes the count for all threads where OpenBLAS
 * has its own threads, so it is used with OpenMP only.)
 *
 * Every call needs a work buffer, mapped when it is first used (128 MiB of addresses on x86-64, of
 * which little is touched) and then kept. Where the system refuses one, as under RLIMIT_AS,
 * OpenBLAS up to at least 0.3.21 tries again for ever. So all buffers that the workers may hold at
 * once are made when they are announced, each after a look whether there is room.
 */
#define _GNU_SOURCE /* dlmopen */
#include "kernels/cpu/blas.h"

#include <dlfcn.h>
#ifdef LM_ID_NEWLM
#include <link.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef VX_OPENBLAS_SONAME
#define VX_OPENBLAS_SONAME ""
#endif

#define BUFFER_ROOM ((size_t)256 << 20) /* at least a work buffer of any processor's kernels */
#define MAX_BUFFERS 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct library {
    void *libc, *blas;
    int workers, max_workers; /* that may call at once: now, at most */
    int buffers;              /* work buffers known to be there */
    void *buffer[MAX_BUFFERS];
    int (*set_threads_local)(int);
    vx_sgemm_fn *sgemm;
    vx_blas face;
} library; /* under the lock, but for what sgemm reads, which does not change once it is used */

/* dlsym gives an object pointer, which ISO C does not convert to a function's. */
static int find(void *out_function, void *handle, const char *name)
{
    void *symbol = dlsym(handle, name);
    memcpy(out_function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void unload(void)
{
    if (library.blas)
        dlclose(library.blas);
    if (library.libc)
        dlclose(library.libc);
    library.blas = library.libc = NULL;
}

#ifdef LM_ID_NEWLM
static int names_interpreter(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        *(int *)found |= info->dlpi_phdr[i].p_type == PT_INTERP;
    return 1; /* the first object is the program itself */
}

/* A program without a dynamic loader: glibc's dlopen exists in it, but may crash. */
static int is_static(void)
{
    int found = 0;
    dl_iterate_phdr(names_interpreter, &found);
    return !found;
}

/* Keeps the shared library that this code is part of, if it is; see above. */
static void stay(void)
{
    Dl_info self;
    if (dladdr((void *)&library, &self) && self.dli_fname)
        dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/* A namespace with a libc whose environment holds our settings and nothing else: variables such
 * as OPENBLAS_VERBOSE would make it print. */
static int load_private(const char *coretype)
{
    int (*clear)(void), (*set)(const char *, const char *, int);
    Lmid_t space;
    library.libc = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW | RTLD_LOCAL);
    if (library.libc && dlinfo(library.libc, RTLD_DI_LMID, &space) == 0 &&
        find(&clear, library.libc, "clearenv") && find(&set, library.libc, "setenv") &&
        clear() == 0 && set("OPENBLAS_NUM_THREADS", "1", 1) == 0 &&
        set("OMP_NUM_THREADS", "1", 1) == 0 &&
        (!coretype || set("OPENBLAS_CORETYPE", coretype, 1) == 0))
        library.blas = dlmopen(space, VX_OPENBLAS_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library.blas) {
        unload();
        return 0;
    }
    stay();
    return 1;
}
#else
static int is_static(void)
{
    return 0;
}

static int load_private(const char *coretype)
{
    (void)coretype;
    return 0;
}
#endif

static void sgemm_on_one_thread(int order, int transpose_a, int transpose_b, int m, int n, int k,
                                float alpha, const float *a, int lda, const float *b, int ldb,
                                float beta, float *c, int ldc)
{
    const int before = library.set_threads_local(1);
    library.sgemm(order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    library.set_threads_local(before);
}

/* In the process's own namespace: see above. */
static int load_shared(char *why, size_t why_size)
{
    enum { SEQUENTIAL = 0, THREADS = 1, OPENMP = 2 };
    int (*parallel)(void), (*threads)(void);
    library.blas = dlopen(VX_OPENBLAS_SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library.blas) {
        snprintf(why, why_size, "%s is not there", VX_OPENBLAS_SONAME);
        return 0;
    }
    const int kind = find(&parallel, library.blas, "openblas_get_parallel") ? parallel() : THREADS;
    if (kind == OPENMP &&
        find(&library.set_threads_local, library.blas, "openblas_set_num_threads_local"))
        return 1;
    library.set_threads_local = NULL;
    if (kind == SEQUENTIAL ||
        (find(&threads, library.blas, "openblas_get_num_threads") && threads() == 1))
        return 1;
    snprintf(why, why_size, "%s has threads that others may use and cannot be loaded apart",
             VX_OPENBLAS_SONAME);
    unload();
    return 0;
}

static const char *core_name(void)
{
    char *(*core)(void);
    return find(&core, library.blas, "openblas_get_corename") ? core() : "unknown";
}

static int older_than_avx512(const char *core)
{
    static const char *const names[] = {"Prescott",   "Core2",       "Penryn",      "Dunnington",
                                        "Atom",       "Nehalem",     "Sandybridge", "Haswell",
                                        "Opteron",    "Barcelona",   "Bobcat",      "Bulldozer",
                                        "Piledriver", "Steamroller", "Excavator",   "Zen"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(core, names[i]) == 0)
            return 1;
    return 0;
}

/* The number after `key` in OpenBLAS's description of itself. */
static int config_number(const char *config, const char *key, int otherwise)
{
    const char *at = strstr(config, key);
    const int n = at ? atoi(at + strlen(key)) : 0;
    return n > 0 ? n : otherwise;
}

/* Takes what we need from what was loaded. */
static int examine(char *why, size_t why_size)
{
    char *(*describe)(void);
    const char *config = find(&describe, library.blas, "openblas_get_config") ? describe() : "";
    if (!find(&library.sgemm, library.blas, "cblas_sgemm") || strstr(config, "USE64BITINT")) {
        snprintf(why, why_size, "%s has no cblas_sgemm with 32-bit sizes", VX_OPENBLAS_SONAME);
        return 0;
    }
    /* Each call holds one of 2 * MAX_THREADS buffers, 50 at least; when they are used up OpenBLAS
     * prints a warning and takes more. */
    const int buffers = 2 * config_number(config, "MAX_THREADS=", 1);
    library.max_workers = buffers > MAX_BUFFERS ? MAX_BUFFERS : buffers > 50 ? buffers : 50;
    library.buffers = 0;
    int length = 0;
    if (sscanf(config, "OpenBLAS %*s%n", &length) == EOF || length > 40)
        length = 0;
    snprintf(library.face.name, sizeof library.face.name, "%.*s %.30s, %s", length ? length : 8,
             length ? config : "OpenBLAS", core_name(), library.libc ? "private" : "shared");
    library.face.sgemm = library.set_threads_local ? sgemm_on_one_thread : library.sgemm;
    return 1;
}

static int load(int avx512, char *why, size_t why_size)
{
    if (VX_OPENBLAS_SONAME[0] == '\0') {
        snprintf(why, why_size, "built without OpenBLAS");
        return 0;
    }
    if (is_static()) {
        snprintf(why, why_size, "not for a program without dynamic loader");
        return 0;
    }
    library.set_threads_local = NULL;
    if (load_private(NULL)) {
        if (avx512 && older_than_avx512(core_name()) && dlsym(library.blas, "gotoblas_SKYLAKEX")) {
            unload();
            if (!load_private("SkylakeX") && !load_private(NULL)) {
                snprintf(why, why_size, "%s cannot be loaded again", VX_OPENBLAS_SONAME);
                return 0;
            }
        }
    } else if (!load_shared(why, why_size)) {
        return 0;
    }
    if (examine(why, why_size))
        return 1;
    unload();
    return 0;
}

/* Whether `bytes` more could be mapped now. */
static int has_room(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return 0;
    munmap(room, bytes);
    return 1;
}

static void remember(void *buffer)
{
    for (int i = 0; i < library.buffers; i++)
        if (library.buffer[i] == buffer)
            return;
    library.buffer[library.buffers++] = buffer;
}

/* Makes OpenBLAS map `count` buffers: takes one after the other until so many different ones have
 * been seen, then gives all back. Others' calls hold known ones meanwhile, so there are never more
 * than `count` in use. Where its allocator is hidden, room for them all has to be enough. */
static int make_buffers(int count)
{
    void *(*take)(int), *held[MAX_BUFFERS];
    void (*give)(void *);
    int n = 0, room = 1;
    if (!find(&take, library.blas, "blas_memory_alloc") ||
        !find(&give, library.blas, "blas_memory_free"))
        return has_room(BUFFER_ROOM * (size_t)count);
    while (library.buffers < count && n < count && (room = has_room(BUFFER_ROOM)) != 0) {
        held[n] = take(0);
        if (!held[n])
            break;
        remember(held[n++]);
    }
    for (int i = 0; i < n; i++)
        give(held[i]);
    return room && library.buffers >= count;
}

const vx_blas *vx_blas_open(int workers, int avx512, char *why, size_t why_size)
{
    const vx_blas *blas = NULL;
    pthread_mutex_lock(&lock);
    if (library.blas || load(avx512, why, why_size)) {
        if (workers > library.max_workers - library.workers) {
            snprintf(why, why_size, "OpenBLAS serves %d threads at once, %d are in use",
                     library.max_workers, library.workers);
        } else if (!make_buffers(library.workers + workers)) {
            snprintf(why, why_size, "no room for the work buffers of %d threads", workers);
        } else {
            library.workers += workers;
            blas = &library.face;
            snprintf(why, why_size, "%s", library.face.name);
        }
    }
    pthread_mutex_unlock(&lock);
    return blas;
}

void vx_blas_close(int workers)
{
    pthread_mutex_lock(&lock);
    library.workers -= workers;
    pthread_mutex_unlock(&lock);
}
