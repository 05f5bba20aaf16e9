/*
 * kernels/cuda/attention_fused.cu: the probabilities of all heads made one matrix, by instructions
 * for matrices: from the largest score and the sum of each row, which the kernel that made y left.
 */
#include "kernels/cuda/attention_fast.h"

enum { KEYS = 64, FRAGMENTS = KEYS / VX_MMA, QUERIES = VX_MMA * VX_MMA_WARPS };

/* p of the warp's 16 queries and the block's keys, for one head, from scores. */
VX_DEVICE void final_weights(float (&s)[2 * FRAGMENTS][4], const vx_attend &a, const vx_head &head,
                             const vx_strip &at)
{
    float max[2] = {}, inverse[2] = {}, sum[2] = {};
    VX_UNROLL
    for (int half = 0; half < 2; half++)
        if (vx_mma_row(half) < at.m) {
            const vx_row_stats row = vx_stats_of(a, head, at.i + vx_mma_row(half));
            max[half] = row.max;
            inverse[half] = row.inverse;
        }
    vx_strip_scores<FRAGMENTS>(s, a, head, at);
    vx_strip_exp<FRAGMENTS>(s, sum, max, inverse);
}

/* Rows and columns of the warp's part, all heads in it. */
VX_DEVICE void write_fused(const float (&p)[2 * FRAGMENTS][4], const vx_fast_out &out,
                           const vx_attend &a, const vx_strip &at, int b, float heads)
{
    VX_UNROLL
    for (int f = 0; f < 2 * FRAGMENTS; f++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            const int r = vx_mma_row(k / 2), key = at.j + 8 * f + vx_mma_column() + k % 2;
            const size_t row = (size_t)b * (size_t)a.tokens + (size_t)(at.i + r);
            if (r < at.m && key < at.end)
                vx_record_put(out, row * (size_t)a.tokens + (size_t)key, p[f][k] / heads);
        }
    }
}

/* 64 queries and 64 keys (grid y) of a sequence. */
template <int NUMBER>
static __global__ void __launch_bounds__(VX_MMA_THREADS)
    fuse_heads(vx_attend a, vx_fast_out out, vx_fuse fuse, int tiles)
{
    constexpr int planes = vx_planes<NUMBER>;
    const vx_stand stand = vx_stand_of(tiles, 1);
    uint16_t *all = vx_shared<vx_words>().at;
    const int ld = vx_mma_ld(a.width), thread = (int)threadIdx.x;
    const int i = stand.tile * QUERIES, j = (int)blockIdx.y * KEYS;
    const vx_half_rows queries = {all + planes * KEYS * ld, ld, QUERIES * ld};
    vx_strip at = {};
    at.k = {all, ld, KEYS * ld};
    at.q = vx_half_rows_from(queries, vx_warp() * VX_MMA);
    at.i = i + vx_warp() * VX_MMA;
    at.m = vx_at_most(a.tokens - at.i, VX_MMA);
    at.j = j;
    at.end = a.tokens;
    at.fragments = (vx_at_most(a.tokens - j, KEYS) + VX_MMA - 1) / VX_MMA;
    float p[2 * FRAGMENTS][4] = {};
    for (int h = 0; h < a.heads; h++) {
        const vx_head head = vx_head_of(a, stand.b, h);
        float s[2 * FRAGMENTS][4];
        __syncthreads(); /* nobody reads the head before */
        vx_copy_rows_in<NUMBER>(at.k, head.k, j, vx_at_most(a.tokens - j, KEYS), KEYS, a.width,
                                thread, VX_MMA_THREADS);
        vx_copy_rows_in<NUMBER>(queries, head.q, i, vx_at_most(a.tokens - i, QUERIES), QUERIES,
                                a.width, thread, VX_MMA_THREADS);
        vx_cp_commit();
        vx_cp_wait<0>();
        __syncthreads();
        vx_strip_products<NUMBER, FRAGMENTS, 1>(s, at);
        final_weights(s, a, head, at);
        VX_UNROLL
        for (int f = 0; f < 4 * 2 * FRAGMENTS; f++)
            p[f / 4][f % 4] = vx_fused(fuse, p[f / 4][f % 4], s[f / 4][f % 4], h);
    }
    write_fused(p, out, a, at, stand.b, fuse == VX_FUSE_MEAN ? (float)a.heads : 1.0f);
}

/* ------------------------------------------------------------------------- for the host ---- */

template <int NUMBER>
static bool launch(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, vx_fuse fuse,
                   int batch)
{
    const int tiles = (a.tokens + QUERIES - 1) / QUERIES;
    const dim3 grid(vx_blocks((size_t)tiles * (size_t)batch, 1), (unsigned)tiles);
    const size_t rows = (size_t)vx_planes<NUMBER> * (KEYS + QUERIES);
    const size_t bytes = rows * (size_t)vx_mma_ld(a.width) * 2;
    if (bytes > cuda->gpu.block_bytes)
        return false;
    VX_LAUNCH((fuse_heads<NUMBER>), grid, VX_MMA_THREADS, bytes, &cuda->stream, a, out, fuse,
              tiles);
    return true;
}

bool vx_attend_fused(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, vx_fuse fuse,
                     int batch)
{
    if (cuda->number == VX_CUDA_BF16X3)
        return launch<VX_CUDA_BF16X3>(cuda, a, out, fuse, batch);
    if (cuda->number == VX_CUDA_BF16)
        return launch<VX_CUDA_BF16>(cuda, a, out, fuse, batch);
    return launch<VX_CUDA_F16>(cuda, a, out, fuse, batch);
}
