/*
 * kernels/cpu/blas.h: OpenBLAS, as far as this library uses it. blas.c is the one file that knows
 * it; nothing is linked.
 */
#ifndef VX_CPU_BLAS_H
#define VX_CPU_BLAS_H

#include <stddef.h>

/* cblas_sgemm: order 101 row-major; transposition 111 no, 112 yes. */
typedef void vx_sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k,
                         float alpha, const float *a, int lda, const float *b, int ldb, float beta,
                         float *c, int ldc);

typedef struct vx_blas {
    vx_sgemm_fn *sgemm; /* may be called by several threads at once, each call runs on its own */
    char name[96];      /* "OpenBLAS 0.3.21 SkylakeX, private"                                 */
} vx_blas;

/*
 * The process's one OpenBLAS for vitx, loaded by the first caller.
 *
 * @param workers  threads that may call sgemm at once
 * @param avx512   whether the processor has AVX-512 F, BW, DQ, VL
 * @param why      receives one line: what was found, or why there is none
 * @return NULL where there is none; else give back with vx_blas_close(workers)
 */
const vx_blas *vx_blas_open(int workers, int avx512, char *why, size_t why_size);
void vx_blas_close(int workers);

#endif
