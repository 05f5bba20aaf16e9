/*
 * test/cuda/layernorm.cu: rows through shared memory, sums by shuffles; a block takes one row after
 * the other, so that what it left is written over.
 */
#include "kernels/cuda/gpu.h"
#include "test/cuda/bugs.h"

enum { ROW = 96, THREADS = 96, WARPS = THREADS / VX_WARP };

struct norm_shared {
    float part[WARPS];
    float row[ROW];
};

template <int BUG> static __device__ float sum_of_warp(float v)
{
    constexpr unsigned mask = BUG == VX_BUG_norm_half_mask ? 0xffffu : VX_ALL_LANES;
    for (int d = VX_WARP / 2; d; d /= 2)
        if (BUG != VX_BUG_norm_half_warp_shuffles || vx_lane() < 16)
            v += __shfl_xor_sync(mask, v, d);
    return v;
}

template <int BUG> static __device__ float sum_of_block(norm_shared &s, float v)
{
    const int off = BUG == VX_BUG_norm_next_of_struct ? (int)gridDim.y : 0; /* 1 */
    v = sum_of_warp<BUG>(v);
    if (BUG != VX_BUG_norm_no_barrier_before_sums)
        __syncthreads();
    if (vx_lane() == 0 && (BUG != VX_BUG_norm_never_written || vx_warp() != 1))
        s.part[vx_warp() + off] = v;
    if (BUG == VX_BUG_norm_two_barriers && vx_warp() % 2)
        __syncthreads();
    else if (BUG != VX_BUG_norm_no_barrier_after_part)
        __syncthreads();
    v = 0;
    for (int w = 0; w < WARPS; w++)
        v += s.part[w + off];
    return v;
}

/* A row, and its mean over what others wrote. */
template <int BUG> static __device__ float take_row(norm_shared &s, const float *x, int n, int more)
{
    float v = 0;
    for (int i = (int)threadIdx.x; i < n; i += THREADS)
        s.row[i] = x[i];
    if (BUG == VX_BUG_norm_past_shared && threadIdx.x == 0) {
        float *behind = s.row;
        behind[ROW] = 0;
    }
    if (BUG == VX_BUG_norm_barrier_in_branch) {
        if ((int)threadIdx.x < n)
            __syncthreads();
    } else if (BUG != VX_BUG_norm_no_barrier_after_write) {
        __syncthreads();
    }
    for (int i = (int)threadIdx.x; i < n; i += THREADS)
        v += s.row[n - 1 - i];
    if (BUG == VX_BUG_norm_reads_past_row && threadIdx.x == 0)
        v += x[n + more];
    return sum_of_block<BUG>(s, v) / (float)n;
}

template <int BUG>
static __global__ void __launch_bounds__(THREADS) norm(float *y, const float *x, int rows, int n)
{
    norm_shared &s = vx_shared<norm_shared>();
    if (BUG == VX_BUG_norm_warp_returns && vx_warp() * VX_WARP >= n)
        return;
    for (int r = (int)blockIdx.x; r < rows; r += (int)gridDim.x) {
        float *out = y + (size_t)r * (size_t)n, v = 0;
        const float mean = take_row<BUG>(s, x + (size_t)r * (size_t)n, n, (rows - 1 - r) * n);
        for (int i = (int)threadIdx.x; i < n; i += THREADS)
            v += (s.row[i] - mean) * (s.row[i] - mean);
        const float scale = vx_rsqrt(sum_of_block<BUG>(s, v) / (float)n + 1e-5f);
        if (BUG == VX_BUG_norm_two_blocks_one_place && threadIdx.x == 0 && r + 1 < rows)
            out[n] = 0;
        for (int i = (int)threadIdx.x; i < n; i += THREADS)
            out[i] = (s.row[n - 1 - i] - mean) * scale;
        if (BUG == VX_BUG_norm_writes_past_end && threadIdx.x == 0 && r == rows - 1)
            out[n] = 0;
        if (BUG != VX_BUG_norm_no_barrier_before_row)
            __syncthreads();
    }
}

void vx_test_norm(vx_bug bug, vx_gpu_stream *stream, float *y, const float *x, int rows, int n)
{
#define VX_BUG(kernel, name, runs, text, what) VX_BUG_OF_##kernel(name)
#define VX_BUG_OF_norm(name)                                                                       \
    case VX_BUG_norm_##name:                                                                       \
        VX_LAUNCH(norm<VX_BUG_norm_##name>, blocks, THREADS, sizeof(norm_shared), stream, y, x,    \
                  rows, n);                                                                        \
        break;
#define VX_BUG_OF_tile(name)
#define VX_BUG_OF_exchange(name)
    const int blocks = bug == VX_BUG_norm_two_blocks_one_place ? rows : 2;
    switch ((int)bug) {
#include "test/cuda/bugs.def"
    default:
        VX_LAUNCH(norm<VX_BUG_none>, blocks, THREADS, sizeof(norm_shared), stream, y, x, rows, n);
    }
}
