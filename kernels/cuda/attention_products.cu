/*
 * kernels/cuda/attention_products.cu: what methods want of the gradients dp of the probabilities,
 * by instructions for matrices: their product with the probabilities, heads made one matrix, and
 * the mean of what is positive in each column. Neither p nor dp is written: a block owns a part of
 * the result, and makes them again for every head, or every query.
 */
#include "kernels/cuda/attention_grads.h"

enum { SIDE = 64, FRAGMENTS = SIDE / VX_MMA, OWN = VX_MMA * VX_MMA_WARPS };

typedef float product_share[2 * FRAGMENTS][4];

/* The first n rows of `from`, from token t on, to 64 rows in shared memory, by the whole block. */
template <int NUMBER>
VX_DEVICE void load_rows(const vx_half_rows &to, const vx_rows &from, int t, int n, int width)
{
    vx_copy_rows_in<NUMBER>(to, from, t, vx_at_most(n, SIDE), SIDE, width, (int)threadIdx.x,
                            VX_MMA_THREADS);
}

/* p of the warp's queries and the block's keys, from scores: the sums of its rows are there. */
VX_DEVICE void weights_of(product_share &s, const vx_grads &g, const vx_head &head, size_t index,
                          const vx_strip &at)
{
    float max[2] = {}, inverse[2] = {}, sum[2] = {};
    VX_UNROLL
    for (int half = 0; half < 2; half++)
        if (vx_mma_row(half) < at.m) {
            const int query = at.i + vx_mma_row(half) - g.forward.first;
            const float4 row = g.sums[index * (size_t)g.queries + (size_t)query];
            max[half] = row.x;
            inverse[half] = row.y;
        }
    vx_strip_scores<FRAGMENTS>(s, g.forward, head, at);
    vx_strip_exp<FRAGMENTS>(s, sum, max, inverse);
}

/* The warp's rows, those without a query, too. */
VX_DEVICE void write_product(const product_share &p, const vx_grads &g, const vx_strip &at,
                             int gradient)
{
    const vx_attend &a = g.forward;
    VX_UNROLL
    for (int f = 0; f < 2 * FRAGMENTS; f++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            const int query = at.i + vx_mma_row(k / 2),
                      key = at.j + 8 * f + vx_mma_column() + k % 2;
            if (query < a.tokens && key < a.tokens)
                g.out.product[vx_dp_at(a, a.tokens - a.first, (size_t)gradient, query, key)] =
                    vx_product_of_all(p[f][k], a.heads);
        }
    }
}

/* 64 queries and 64 keys (grid y) of a gradient. */
template <int NUMBER>
static __global__ void __launch_bounds__(VX_MMA_THREADS) grad_products(vx_grads g, int tiles)
{
    const vx_attend &a = g.forward;
    const vx_stand stand = vx_stand_of(tiles, 1);
    const int ld = vx_mma_ld(a.width), part = vx_planes<NUMBER> * SIDE * ld;
    uint16_t *all = vx_shared<vx_words>().at;
    const int i = a.first + stand.tile * OWN, queries = a.first + g.queries - i;
    const vx_half_rows keys = {all, ld, SIDE * ld}, values = {all + part, ld, SIDE * ld},
                       q = {all + 2 * part, ld, OWN * ld}, dy = {all + 3 * part, ld, OWN * ld};
    vx_strip at = {};
    at.i = i + vx_warp() * VX_MMA;
    at.m = vx_at_most(a.first + g.queries - at.i, VX_MMA);
    at.j = a.first + (int)blockIdx.y * SIDE;
    at.end = a.tokens;
    at.fragments = (vx_at_most(a.tokens - at.j, SIDE) + VX_MMA - 1) / VX_MMA;
    product_share p = {};
    for (int h = 0; queries > 0 && h < a.heads; h++) {
        const vx_head head = vx_head_of(a, stand.b / g.targets, h);
        product_share s, d;
        __syncthreads(); /* nobody reads the head before */
        load_rows<NUMBER>(keys, head.k, at.j, a.tokens - at.j, a.width);
        load_rows<NUMBER>(values, head.v, at.j, a.tokens - at.j, a.width);
        load_rows<NUMBER>(q, head.q, i, queries, a.width);
        load_rows<NUMBER>(dy, vx_dy_of(g, stand.b, h), i, queries, a.width);
        vx_cp_commit();
        vx_cp_wait<0>();
        __syncthreads();
        at.q = vx_half_rows_from(q, vx_warp() * VX_MMA);
        at.k = keys;
        vx_strip_products<NUMBER, FRAGMENTS, 1>(s, at);
        weights_of(s, g, head, (size_t)stand.b * (size_t)a.heads + (size_t)h, at);
        at.q = vx_half_rows_from(dy, vx_warp() * VX_MMA);
        at.k = values;
        vx_strip_products<NUMBER, FRAGMENTS, 1>(d, at);
        VX_UNROLL
        for (int f = 0; f < 4 * 2 * FRAGMENTS; f++)
            p[f / 4][f % 4] =
                vx_product_of_head(g.out.kind, p[f / 4][f % 4], s[f / 4][f % 4] * d[f / 4][f % 4]);
    }
    write_product(p, g, at, stand.b);
}

/* Adds what is positive in the rows: a lane's part. */
VX_DEVICE void add_positive(float (&sum)[2], const product_share &d)
{
    VX_UNROLL
    for (int f = 0; f < 2 * FRAGMENTS; f++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            sum[k / 2] += d[f][k] < 0 ? 0.0f : d[f][k];
    }
}

/* 64 keys of a gradient's head: dp turned, rows are keys; 64 queries come by at a time. */
template <int NUMBER>
static __global__ void __launch_bounds__(VX_MMA_THREADS) positive_means(vx_grads g, int tiles)
{
    const vx_attend &a = g.forward;
    const vx_stand stand = vx_stand_of(tiles, a.heads);
    const vx_head head = vx_head_of(a, stand.b / g.targets, stand.h);
    const vx_rows dy = vx_dy_of(g, stand.b, stand.h);
    const int ld = vx_mma_ld(a.width), part = vx_planes<NUMBER> * SIDE * ld;
    const int present = a.tokens - a.first, j = a.first + stand.tile * OWN;
    uint16_t *all = vx_shared<vx_words>().at;
    const vx_half_rows values = {all, ld, OWN * ld};
    vx_strip at = {};
    float sum[2] = {};
    at.q = vx_half_rows_from(values, vx_warp() * VX_MMA);
    load_rows<NUMBER>(values, head.v, j, a.tokens - j, a.width);
    load_rows<NUMBER>({all + part, ld, SIDE * ld}, dy, a.first, g.queries, a.width);
    vx_cp_commit();
    for (int t = 0, from = 0; from < g.queries; t++, from += SIDE) {
        product_share d;
        at.k = {all + (1 + t % 2) * part, ld, SIDE * ld};
        at.fragments = (vx_at_most(g.queries - from, SIDE) + VX_MMA - 1) / VX_MMA;
        vx_cp_wait<0>();
        __syncthreads(); /* the tile has come, and nobody reads the one before */
        if (from + SIDE < g.queries)
            load_rows<NUMBER>({all + (2 - t % 2) * part, ld, SIDE * ld}, dy, a.first + from + SIDE,
                              g.queries - from - SIDE, a.width);
        vx_cp_commit();
        vx_strip_products<NUMBER, FRAGMENTS, 1>(d, at);
        add_positive(sum, d);
    }
    vx_cp_wait<0>();
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        const int key = j - a.first + vx_warp() * VX_MMA + vx_mma_row(half);
        const size_t index = (size_t)stand.b * (size_t)a.heads + (size_t)stand.h;
        const float all_queries = vx_sum_of_4(sum[half]);
        if (vx_lane() % 4 == 0 && key < present)
            g.out.relu_mean[index * (size_t)present + (size_t)key] = all_queries / (float)present;
    }
}

/* ------------------------------------------------------------------------- for the host ---- */

template <int NUMBER> static void launch(vx_cuda *cuda, const vx_grads &g, int gradients)
{
    const int tiles = (g.forward.tokens - g.forward.first + OWN - 1) / OWN;
    const size_t part = (size_t)vx_planes<NUMBER> * SIDE * (size_t)vx_mma_ld(g.forward.width) * 2;
    const dim3 matrices(vx_blocks((size_t)tiles * (size_t)gradients, 1), (unsigned)tiles);
    const dim3 heads(vx_blocks((size_t)tiles * (size_t)g.forward.heads * (size_t)gradients, 1));
    if (g.out.product)
        VX_LAUNCH(grad_products<NUMBER>, matrices, VX_MMA_THREADS, 4 * part, &cuda->stream, g,
                  tiles);
    if (g.out.relu_mean)
        VX_LAUNCH(positive_means<NUMBER>, heads, VX_MMA_THREADS, 3 * part, &cuda->stream, g, tiles);
}

void vx_attend_products(vx_cuda *cuda, const vx_grads &g, int gradients)
{
    if (cuda->number == VX_CUDA_BF16X3)
        launch<VX_CUDA_BF16X3>(cuda, g, gradients);
    else if (cuda->number == VX_CUDA_BF16)
        launch<VX_CUDA_BF16>(cuda, g, gradients);
    else
        launch<VX_CUDA_F16>(cuda, g, gradients);
}
