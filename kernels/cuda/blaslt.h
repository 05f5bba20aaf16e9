/*
 * kernels/cuda/blaslt.h: products by cuBLASLt.
 *
 * The library is opened by its name, so that neither the build nor a machine without it needs it.
 * What is used of it is declared here, with its numbers; blaslt_check_cuda.cu compares them with
 * the library's own header where that is there. The host twin has functions of its own
 * (host/blaslt_host.cpp), which are stricter.
 *
 * cuBLASLt's matrices lie by columns: row-major y [m,n] = x W^T is to it Y' [n,m] = W X'.
 */
#ifndef VX_CUDA_BLASLT_H
#define VX_CUDA_BLASLT_H

#include "kernels/cuda/cuda.h"

enum {
    VX_LT_R_32F = 0, /* cudaDataType_t */
    VX_LT_R_16F = 2,
    VX_LT_R_16BF = 14,
    VX_LT_COMPUTE_32F = 68, /* cublasComputeType_t */
    VX_LT_OP_N = 0,         /* cublasOperation_t */
    VX_LT_OP_T = 1,
    VX_LT_DESC_TRANSA = 3, /* cublasLtMatmulDescAttributes_t */
    VX_LT_DESC_TRANSB = 4,
    VX_LT_DESC_EPILOGUE = 7,
    VX_LT_DESC_BIAS_POINTER = 8,
    VX_LT_PREF_MAX_WORKSPACE_BYTES = 1, /* cublasLtMatmulPreferenceAttributes_t */
    VX_LT_PREF_MIN_ALIGNMENT_A_BYTES = 5,
    VX_LT_PREF_MIN_ALIGNMENT_B_BYTES = 6,
    VX_LT_PREF_MIN_ALIGNMENT_C_BYTES = 7,
    VX_LT_PREF_MIN_ALIGNMENT_D_BYTES = 8,
    VX_LT_EPILOGUE_DEFAULT = 1, /* cublasLtEpilogue_t */
    VX_LT_EPILOGUE_RELU = 2,
    VX_LT_EPILOGUE_BIAS = 4,
    VX_LT_EPILOGUE_GELU = 32,
    VX_LT_STATUS_EXECUTION_FAILED = 13 /* cublasStatus_t */
};

struct vx_lt_algo {
    uint64_t data[8];
};

struct vx_lt_found {
    vx_lt_algo algo;
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
};

typedef void *vx_lt_handle; /* also of descriptors, layouts and preferences */

struct vx_blaslt {
    int (*create)(vx_lt_handle *lt);
    int (*destroy)(vx_lt_handle lt);
    int (*desc_create)(vx_lt_handle *desc, int compute, int scale_type);
    int (*desc_destroy)(vx_lt_handle desc);
    int (*desc_set)(vx_lt_handle desc, int attribute, const void *value, size_t bytes);
    int (*layout_create)(vx_lt_handle *layout, int type, uint64_t rows, uint64_t columns,
                         int64_t ld);
    int (*layout_destroy)(vx_lt_handle layout);
    int (*preference_create)(vx_lt_handle *preference);
    int (*preference_destroy)(vx_lt_handle preference);
    int (*preference_set)(vx_lt_handle preference, int attribute, const void *value, size_t bytes);
    int (*heuristic)(vx_lt_handle lt, vx_lt_handle desc, vx_lt_handle a, vx_lt_handle b,
                     vx_lt_handle c, vx_lt_handle d, vx_lt_handle preference, int wanted,
                     vx_lt_found *found, int *count);
    int (*matmul)(vx_lt_handle lt, vx_lt_handle desc, const void *alpha, const void *a,
                  vx_lt_handle a_layout, const void *b, vx_lt_handle b_layout, const void *beta,
                  const void *c, vx_lt_handle c_layout, void *d, vx_lt_handle d_layout,
                  const vx_lt_algo *algo, void *workspace, size_t workspace_bytes, void *stream);
    size_t (*version)(void);
};

/* The library's functions, loaded by the first call; any thread. NULL: it is not there, and why
 * says what was looked for. blaslt_cuda.cu, host/blaslt_host.cpp. */
extern "C" const vx_blaslt *vx_blaslt_load(char *why, size_t why_size);

/* ------------------------------------------------------------------------- products ---- */

/* d [m,n] = a [m,k] W^T (+ c), or, turned, a [m,k] W for W [k,n]; then bias and an activation.
 * Distances in elements. */
struct vx_lt_product {
    const void *a, *w, *c, *bias;
    void *d;
    int64_t lda, ldw, ldc, ldd;
    int m, n, k;
    int type, type_d; /* VX_LT_R_... of a and w, and of c, d and bias */
    int turned;
    int epilogue; /* VX_LT_EPILOGUE_RELU or GELU (the form with tanh), or 0 */
};

/* What an instance keeps: the library's handle, and how products of the last shapes are done. */
size_t vx_products_bytes(void);
/* room: vx_products_bytes. 0, or why not; then the room is free again. */
int vx_products_open(vx_products *room, char *why, size_t why_size);
void vx_products_close(vx_products *products);
size_t vx_products_version(const vx_products *products);

/* Queues a product. false: cuBLASLt has no way for it, and nothing was queued. */
bool vx_products_multiply(vx_cuda *cuda, const vx_lt_product *p);

/* What a pointer and a distance must be for it. */
static inline bool vx_lt_suits(const void *at, int64_t ld, int type)
{
    return vx_aligned(at, 16) && ld * (type == VX_LT_R_32F ? 4 : 2) % 16 == 0;
}

#endif
