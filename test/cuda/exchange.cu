/*
 * test/cuda/exchange.cu: the lanes of a warp change places in shared memory; and what single
 * operations give.
 */
#include "kernels/cuda/gpu.h"
#include "test/cuda/bugs.h"

enum { WARPS = VX_EXCHANGE_THREADS / VX_WARP };

struct exchange_shared {
    float slot[WARPS][VX_WARP];
};

template <int BUG> static __device__ float change(float (&slot)[VX_WARP], float v)
{
    const int lane = vx_lane();
    slot[lane] = v;
    if (BUG == VX_BUG_exchange_shuffle_for_sync)
        v = __shfl_xor_sync(VX_ALL_LANES, v, 1);
    else if (BUG != VX_BUG_exchange_no_sync_after_write)
        __syncwarp();
    v = 2 * slot[(lane + 5) % VX_WARP] + 1;
    if (BUG != VX_BUG_exchange_no_sync_before_reuse)
        __syncwarp();
    return v;
}

/* z[b + 1] is b + 1; blocks_talk: made from the z of the block before. */
template <int BUG> static __global__ void exchange(float *y, const float *x, float *z, int *count)
{
    exchange_shared &s = vx_shared<exchange_shared>();
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    float v = x[i];
    for (int k = 0; k < VX_EXCHANGES; k++)
        v = change<BUG>(s.slot[vx_warp()], v);
    if (BUG == VX_BUG_exchange_arguments_differ)
        v += 0 * __shfl_xor_sync(VX_ALL_LANES, v, vx_lane() < 16 ? 1 : 2);
    y[i] = v;
    if (BUG == VX_BUG_exchange_no_atomic)
        count[0] += 1;
    else
        vx_atomic_add(count, 1);
    if (threadIdx.x == 0)
        z[blockIdx.x + 1] =
            BUG == VX_BUG_exchange_blocks_talk ? z[blockIdx.x] + 1 : (float)(blockIdx.x + 1);
}

void vx_test_exchange(vx_bug bug, vx_gpu_stream *stream, float *y, const float *x, float *z,
                      int *count)
{
#define VX_BUG(kernel, name, runs, text, what) VX_BUG_OF_##kernel(name)
#define VX_BUG_OF_norm(name)
#define VX_BUG_OF_tile(name)
#define VX_BUG_OF_exchange(name)                                                                   \
    case VX_BUG_exchange_##name:                                                                   \
        VX_LAUNCH(exchange<VX_BUG_exchange_##name>, VX_EXCHANGE_BLOCKS, threads,                   \
                  sizeof(exchange_shared), stream, y, x, z, count);                                \
        break;
    const int threads = bug == VX_BUG_exchange_part_of_warp ? 48 : VX_EXCHANGE_THREADS;
    switch ((int)bug) {
#include "test/cuda/bugs.def"
    default:
        VX_LAUNCH(exchange<VX_BUG_none>, VX_EXCHANGE_BLOCKS, threads, sizeof(exchange_shared),
                  stream, y, x, z, count);
    }
}

static __global__ void warp(uint32_t *out, const uint32_t *in)
{
    const uint32_t v = in[threadIdx.x];
    uint32_t *own = out + threadIdx.x;
    own[0] = __shfl_xor_sync(VX_ALL_LANES, v, 5);
    own[VX_WARP] = __shfl_down_sync(VX_ALL_LANES, v, 3u);
    own[2 * VX_WARP] = __shfl_up_sync(VX_ALL_LANES, v, 3u);
    own[3 * VX_WARP] = __shfl_down_sync(VX_ALL_LANES, v, 3u, 8);
    own[4 * VX_WARP] = __shfl_sync(VX_ALL_LANES, v, vx_lane() / 2);
    own[5 * VX_WARP] = __ballot_sync(VX_ALL_LANES, v % 3 == 0);
    own[6 * VX_WARP] = (uint32_t)(__any_sync(VX_ALL_LANES, v == 7) * 2) +
                       (uint32_t)__all_sync(VX_ALL_LANES, v != 7);
}

void vx_test_warp(vx_gpu_stream *stream, uint32_t *out, const uint32_t *in)
{
    VX_LAUNCH(warp, 1, VX_WARP, 0, stream, out, in);
}

static __global__ void numbers(float *out, const float *x, int n)
{
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
        const uint32_t b = vx_pack_bf16(x[i], -x[i]), h = vx_pack_f16(x[i], -x[i]);
        out[i] = vx_of_bf16(vx_to_bf16(x[i]));
        out[n + i] = vx_of_f16(vx_to_f16(x[i]));
        out[2 * n + i] = vx_of_bf16({(uint16_t)(b >> 16)}) + vx_of_bf16({(uint16_t)b});
        out[3 * n + i] = vx_of_f16({(uint16_t)(h >> 16)}) + vx_of_f16({(uint16_t)h});
        out[4 * n + i] = vx_exp2(x[i]);
        out[5 * n + i] = vx_rsqrt(fabsf(x[i]));
    }
}

void vx_test_numbers(vx_gpu_stream *stream, float *out, const float *x, int n)
{
    VX_LAUNCH(numbers, 1, VX_WARP, 0, stream, out, x, n);
}

struct rows_shared {
    alignas(16) vx_bf16 at[64 * VX_WARP];
};

static __global__ void rows(uint32_t *out, int stride)
{
    rows_shared &s = vx_shared<rows_shared>();
    uint32_t r[4];
    for (int i = vx_lane(); i < 64 * VX_WARP; i += VX_WARP)
        s.at[i] = {(uint16_t)i};
    __syncwarp();
    vx_ldmatrix_x4(r, s.at + vx_lane() * stride);
    for (int i = 0; i < 4; i++)
        out[4 * vx_lane() + i] = r[i];
}

void vx_test_rows(vx_gpu_stream *stream, uint32_t *out, int stride)
{
    VX_LAUNCH(rows, 1, VX_WARP, sizeof(rows_shared), stream, out, stride);
}
