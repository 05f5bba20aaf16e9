/*
 * kernels/cuda/attention_strip.cu: attention of up to 272 tokens by instructions for matrices.
 *
 * A block has one head of one sequence: all keys and values lie in its shared memory. A warp takes
 * 16 queries at a time and holds their scores for all keys in registers, so softmax is exact in one
 * pass, and probabilities are made, recorded and multiplied with the values once.
 */
#include "kernels/cuda/attention_fast.h"

/* Fragments of 16 keys are done in such groups. */
enum { GROUP = 4 };

/* y = p v, 32 columns at a time. */
template <int NUMBER, int F>
VX_DEVICE void strip_values(const float (&s)[2 * F][4], const float (&scale)[2], const vx_strip &at,
                            const vx_rows &y, int m, int width)
{
    for (int e = 0; e < width; e += 2 * VX_MMA) {
        const bool both = e + VX_MMA < width;
        float o[4][4] = {};
        VX_UNROLL
        for (int group = 0; group < F; group += GROUP) {
            if (group >= at.fragments)
                break;
            VX_UNROLL
            for (int f = group; f < group + GROUP && f < F; f++) {
                vx_operand<NUMBER, 4> p, v;
                vx_strip_weights<NUMBER, F>(p, s, f);
                const vx_half_rows rows = vx_half_rows_from(at.v, f * VX_MMA);
                vx_load_b_turned<NUMBER>(v, rows, e);
                vx_mma_add<NUMBER>(o[0], p, v, 0);
                vx_mma_add<NUMBER>(o[1], p, v, 1);
                if (!both)
                    continue;
                vx_load_b_turned<NUMBER>(v, rows, e + VX_MMA);
                vx_mma_add<NUMBER>(o[2], p, v, 0);
                vx_mma_add<NUMBER>(o[3], p, v, 1);
            }
        }
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            vx_mma_write(y, o[k], m, e + 8 * k, width, scale);
    }
}

/* The 16 queries from at.i on. */
template <int NUMBER, int F>
VX_DEVICE void strip(const vx_attend &a, const vx_head &head, const vx_fast_out &out,
                     const vx_strip &at)
{
    float s[2 * F][4], max[2] = {-INFINITY, -INFINITY}, sum[2] = {}, scale[2] = {1, 1};
    vx_strip_products<NUMBER, F, GROUP>(s, at);
    vx_strip_scores<F>(s, a, head, at);
    vx_strip_max<F>(max, s);
    vx_strip_exp<F>(s, sum, max, scale);
    scale[0] = 1.0f / vx_sum_of_4(sum[0]);
    scale[1] = 1.0f / vx_sum_of_4(sum[1]);
    vx_strip_stats(a, head, out, at, max, scale);
    if (vx_recorded_here(out, at.i, VX_MMA)) {
        VX_UNROLL
        for (int f = 0; f < 2 * F; f++) {
            VX_UNROLL
            for (int k = 0; k < 4; k++)
                s[f][k] *= scale[k / 2];
        }
        scale[0] = scale[1] = 1;
        vx_strip_record<F>(s, a, head, out, at);
    }
    const int m = vx_at_most(a.first + out.queries - at.i, at.m);
    if (m > 0)
        strip_values<NUMBER, F>(s, scale, at, vx_rows_from(vx_y_of(a, out, head), at.i), m,
                                a.width);
}

/* A part of the queries of a head, strips of 16 to the warps in turn. rows: of keys and values in
 * shared memory. For more blocks on a processor than these, registers would have to be spilled. */
template <int NUMBER, int F>
static __global__ void __launch_bounds__(VX_MMA_THREADS, F == 4 ? 3 : 2)
    attend_strips(vx_attend a, vx_fast_out out, int parts, int rows)
{
    constexpr int planes = vx_planes<NUMBER>;
    const vx_stand stand = vx_stand_of(parts, a.heads);
    const vx_head head = vx_head_of(a, stand.b, stand.h);
    const int ld = vx_mma_ld(a.width), n = head.tokens - a.first;
    const int queries = vx_at_most(out.rows, n);
    uint16_t *all = vx_shared<vx_words>().at;
    vx_strip at = {{all, ld, rows * ld},
                   {all + planes * rows * ld, ld, rows * ld},
                   {},
                   0,
                   0,
                   a.first,
                   head.tokens,
                   (n + VX_MMA - 1) / VX_MMA};
    at.q = {all + 2 * planes * rows * ld + vx_warp() * planes * VX_MMA * ld, ld, VX_MMA * ld};
    const int thread = (int)threadIdx.x;
    vx_copy_rows_in<NUMBER>(at.k, head.k, a.first, n, rows, a.width, thread, VX_MMA_THREADS);
    vx_copy_rows_in<NUMBER>(at.v, head.v, a.first, n, rows, a.width, thread, VX_MMA_THREADS);
    vx_cp_commit();
    vx_cp_wait<0>();
    __syncthreads();
    for (int i = (stand.tile * VX_MMA_WARPS + vx_warp()) * VX_MMA; i < queries;
         i += parts * VX_MMA_WARPS * VX_MMA) {
        at.i = a.first + i;
        at.m = vx_at_most(queries - i, VX_MMA);
        __syncwarp();
        vx_copy_rows_in<NUMBER>(at.q, head.q, at.i, at.m, VX_MMA, a.width, vx_lane(), VX_WARP);
        vx_cp_commit();
        vx_cp_wait<0>();
        __syncwarp();
        strip<NUMBER, F>(a, head, out, at);
    }
}

/* ------------------------------------------------------------------------- for the host ---- */

/* Fragments of 16 keys of the smallest kernel that has `keys`; 0: none has so many. */
static int fragments_for(int keys)
{
    static const int sizes[] = {4, 13, 17};
    for (int f : sizes)
        if (keys <= f * VX_MMA)
            return f;
    return 0;
}

/* Rows of keys in shared memory: whole groups of fragments, as far as the kernel reads. */
static int shared_rows(int keys, int fragments)
{
    const int whole = (keys + GROUP * VX_MMA - 1) / (GROUP * VX_MMA) * GROUP * VX_MMA;
    return whole < fragments * VX_MMA ? whole : fragments * VX_MMA;
}

static size_t shared_bytes(const vx_cuda *cuda, int rows, int width)
{
    const size_t planes = cuda->number == VX_CUDA_BF16X3 ? 2 : 1;
    return planes * (size_t)(2 * rows + VX_MMA_WARPS * VX_MMA) * (size_t)vx_mma_ld(width) * 2;
}

template <int NUMBER>
static void launch(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch, int f)
{
    const int rows = shared_rows(a.tokens - a.first, f);
    const int strips = (out.rows + VX_MMA * VX_MMA_WARPS - 1) / (VX_MMA * VX_MMA_WARPS);
    const size_t heads = (size_t)a.heads * (size_t)batch;
    const size_t wanted = (2 * (size_t)cuda->gpu.processors + heads - 1) / heads;
    const int parts = wanted < (size_t)strips ? (int)wanted : strips;
    const size_t bytes = shared_bytes(cuda, rows, a.width);
    const dim3 grid(vx_blocks((size_t)parts * heads, 1));
    vx_gpu_stream *stream = &cuda->stream;
    if (f == 4)
        VX_LAUNCH((attend_strips<NUMBER, 4>), grid, VX_MMA_THREADS, bytes, stream, a, out, parts,
                  rows);
    else if (f == 13)
        VX_LAUNCH((attend_strips<NUMBER, 13>), grid, VX_MMA_THREADS, bytes, stream, a, out, parts,
                  rows);
    else
        VX_LAUNCH((attend_strips<NUMBER, 17>), grid, VX_MMA_THREADS, bytes, stream, a, out, parts,
                  rows);
}

bool vx_attend_strips_serve(const vx_cuda *cuda, int keys, int width)
{
    const int f = fragments_for(keys);
    return f && shared_bytes(cuda, shared_rows(keys, f), width) <= cuda->gpu.block_bytes;
}

void vx_attend_strips(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch)
{
    const int f = fragments_for(a.tokens - a.first);
    if (cuda->number == VX_CUDA_BF16X3)
        launch<VX_CUDA_BF16X3>(cuda, a, out, batch, f);
    else if (cuda->number == VX_CUDA_BF16)
        launch<VX_CUDA_BF16>(cuda, a, out, batch, f);
    else
        launch<VX_CUDA_F16>(cuda, a, out, batch, f);
}
