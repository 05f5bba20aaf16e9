/*
 * test/cuda/bugs.h: three kernels that are right, and the same with one bug each (bugs.def).
 */
#ifndef VX_TEST_CUDA_BUGS_H
#define VX_TEST_CUDA_BUGS_H

#include "kernels/cuda/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vx_bug {
    VX_BUG_none = 0,
#define VX_BUG(kernel, name, runs, text, what) VX_BUG_##kernel##_##name,
#include "test/cuda/bugs.def"
#undef VX_BUG
    VX_BUGS
} vx_bug;

enum { VX_TILE_WIDTH = 32, VX_EXCHANGE_BLOCKS = 3, VX_EXCHANGE_THREADS = 64, VX_EXCHANGES = 3 };

/* Arrays are the GPU's. y = (x - mean) / sqrt(var + 1e-5), from the last element of a row to its
 * first, for rows of n <= 96. */
void vx_test_norm(vx_bug bug, vx_gpu_stream *stream, float *y, const float *x, int rows, int n);
/* y = softmax(q k^T) v for one head of [tokens,32] in bf16; scores [tokens,tokens]: q k^T. */
void vx_test_tile(vx_bug bug, vx_gpu_stream *stream, float *y, float *scores, const uint16_t *q,
                  const uint16_t *k, const uint16_t *v, int tokens);
/* y [blocks,threads]: lanes change places 3 times, and each time double what they took and add 1.
 * z [blocks+1]: see there. count[0]: the threads. */
void vx_test_exchange(vx_bug bug, vx_gpu_stream *stream, float *y, const float *x, float *z,
                      int *count);
/* out [7,32]: what the operations of a warp give for in [32]; f32 and uint32_t alike. */
void vx_test_warp(vx_gpu_stream *stream, uint32_t *out, const uint32_t *in);
/* bf16 and f16 of x and back, both halves of the packed pair (x, -x), 2^x, 1/sqrt|x|: out [6,n]. */
void vx_test_numbers(vx_gpu_stream *stream, float *out, const float *x, int n);
/* ldmatrix of rows `stride` elements apart, 16 a block, in shared memory. */
void vx_test_rows(vx_gpu_stream *stream, uint32_t *out, int stride);

#ifdef __cplusplus
}
#endif

#endif
