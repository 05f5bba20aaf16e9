/*
 * kernels/cuda/op_attention_bwd.cu: gradients through attention in f32, for every width, length and
 * number of queries.
 *
 * Three kernels, all of which make the probabilities and their gradients again: one sums p dp over
 * each row (and writes dp), one owns queries and makes dq, one owns keys and makes dk and dv. Two
 * more make what methods want of dp. So no number is added to by two blocks, and none needs room of
 * its own but one sum a row.
 */
#include "kernels/cuda/attention_grads.h"

struct attend_bwd {
    vx_attend forward;
    vx_view dy, dqkv; /* dqkv.data NULL: it is not wanted */
    vx_grads_out out;
    float *dots;
    int targets, queries;
    float scale;
};

/* One head of one gradient. */
struct grad_head {
    vx_head of; /* what the forward pass had */
    vx_rows dy; /* row r is token r          */
    vx_rows dq; /* dk and dv stand `all` and 2 `all` elements behind it */
    size_t all;
    size_t index; /* g*H + h */
    float *dots;  /* of token r at r */
};

VX_DEVICE grad_head grad_head_of(const attend_bwd &a, int g, int h)
{
    const size_t width = (size_t)a.forward.width, all = (size_t)a.forward.heads * width;
    const size_t first = (size_t)a.forward.first, queries = (size_t)a.queries;
    grad_head head = {};
    head.of = vx_head_of(a.forward, g / a.targets, h);
    head.all = all;
    head.index = (size_t)g * (size_t)a.forward.heads + (size_t)h;
    head.dy = {a.dy, (size_t)g * queries * all + (size_t)h * width, all};
    head.dq = {a.dqkv, (size_t)g * (size_t)a.forward.tokens * 3 * all + (size_t)h * width, 3 * all};
    head.dots = a.dots + head.index * queries;
    head.dy.first -= first * all; /* queries are counted from `first` on */
    head.dots -= first;
    return head;
}

/* scale * p * (dp - dot) into dp, of the rows from token i on and the columns from token j on;
 * TURNED: rows are keys. */
template <bool TURNED>
VX_DEVICE void score_gradients(vx_share &dp, const vx_share &p, const attend_bwd &a,
                               const grad_head &head, int i, int m, int j, int n)
{
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++) {
            const int r = vx_tile_y() + 16 * k, c = vx_tile_x() + 16 * l;
            float d = 0;
            if (r < m && c < n)
                d = a.scale * p.at[k][l] * (dp.at[k][l] - head.dots[TURNED ? j + c : i + r]);
            dp.at[k][l] = d;
        }
    }
}

VX_DEVICE void write_dp(const attend_bwd &a, const grad_head &head, const vx_share &dp, int i,
                        int m, int j, int n)
{
    const int rows = vx_at_most(a.forward.first + a.out.dp_rows - i, m);
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        VX_UNROLL
        for (int l = 0; l < 4; l++) {
            const int r = vx_tile_y() + 16 * k, c = vx_tile_x() + 16 * l;
            if (r < rows && c < n)
                a.out.dp[vx_dp_at(a.forward, a.out.dp_rows, head.index, i + r, j + c)] =
                    dp.at[k][l];
        }
    }
}

/* 64 rows of a head, those without a query, too: rowsum(p dp), and dp. */
static __global__ void __launch_bounds__(VX_TILE_THREADS) sum_rows(attend_bwd a, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.forward.heads);
    const grad_head head = grad_head_of(a, at.b, at.h);
    const int tokens = a.forward.tokens, i = a.forward.first + at.tile * VX_TILE;
    const int rows = vx_at_most(tokens - i, VX_TILE);
    const int m = vx_at_most(a.forward.first + a.queries - i, VX_TILE);
    float sum[4] = {};
    for (int j = a.forward.first; j < tokens; j += VX_TILE) {
        const int n = vx_at_most(tokens - j, VX_TILE);
        vx_share p, dp;
        vx_share_clear(dp);
        if (m > 0)
            vx_tile_dot(dp, s, vx_rows_from(head.dy, i), m, vx_rows_from(head.of.v, j), n,
                        a.forward.width);
        if (a.out.dp)
            write_dp(a, head, dp, i, rows, j, n);
        if (m <= 0 || !a.dqkv.data)
            continue;
        vx_probabilities<false>(p, s, a.forward, head.of, i, m, j, n);
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            sum[k] += vx_sum_of_16(p.at[k][0] * dp.at[k][0] + p.at[k][1] * dp.at[k][1] +
                                   p.at[k][2] * dp.at[k][2] + p.at[k][3] * dp.at[k][3]);
    }
    VX_UNROLL
    for (int k = 0; k < 4; k++)
        if (a.dqkv.data && vx_tile_x() == 0 && vx_tile_y() + 16 * k < m)
            head.dots[i + vx_tile_y() + 16 * k] = sum[k];
}

/* Columns e..e+63 of the tokens before `first`: 0. */
VX_DEVICE void clear_before(const vx_rows &to, int first, int e, int width)
{
    const int c = e + (int)threadIdx.x % VX_TILE;
    for (int t = (int)threadIdx.x / VX_TILE; t < first; t += VX_TILE_THREADS / VX_TILE)
        if (c < width)
            vx_write(to.array, to.first + (size_t)t * to.ld + (size_t)c, 0.0f);
}

/* dq of 64 tokens, 64 columns (grid y); 0 where there is no query. */
static __global__ void __launch_bounds__(VX_TILE_THREADS) query_gradients(attend_bwd a, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.forward.heads);
    const grad_head head = grad_head_of(a, at.b, at.h);
    const int tokens = a.forward.tokens, width = a.forward.width;
    const int i = a.forward.first + at.tile * VX_TILE, e = (int)blockIdx.y * VX_TILE;
    const int m = vx_at_most(a.forward.first + a.queries - i, VX_TILE);
    vx_share o;
    vx_share_clear(o);
    for (int j = a.forward.first; m > 0 && j < tokens; j += VX_TILE) {
        const int n = vx_at_most(tokens - j, VX_TILE);
        vx_share p, ds;
        vx_probabilities<false>(p, s, a.forward, head.of, i, m, j, n);
        vx_tile_dot(ds, s, vx_rows_from(head.dy, i), m, vx_rows_from(head.of.v, j), n, width);
        score_gradients<false>(ds, p, a, head, i, m, j, n);
        vx_tile_put(s, ds);
        vx_tile_add(o, s, vx_rows_from(head.of.k, j), n, e, width);
    }
    vx_tile_write(vx_rows_from(head.dq, i), o, vx_at_most(tokens - i, VX_TILE), e, width);
    if (at.tile == 0)
        clear_before(head.dq, a.forward.first, e, width);
}

/* dk and dv of 64 tokens, 64 columns (grid y). */
static __global__ void __launch_bounds__(VX_TILE_THREADS) key_gradients(attend_bwd a, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.forward.heads);
    const grad_head head = grad_head_of(a, at.b, at.h);
    const int width = a.forward.width, end = a.forward.first + a.queries;
    const int i = a.forward.first + at.tile * VX_TILE, e = (int)blockIdx.y * VX_TILE;
    const int m = vx_at_most(a.forward.tokens - i, VX_TILE);
    vx_share dk, dv;
    vx_share_clear(dk);
    vx_share_clear(dv);
    for (int j = a.forward.first; j < end; j += VX_TILE) {
        const int n = vx_at_most(end - j, VX_TILE);
        vx_share p, ds;
        vx_probabilities<true>(p, s, a.forward, head.of, i, m, j, n);
        vx_tile_put(s, p);
        vx_tile_add(dv, s, vx_rows_from(head.dy, j), n, e, width);
        vx_tile_dot(ds, s, vx_rows_from(head.of.v, i), m, vx_rows_from(head.dy, j), n, width);
        score_gradients<true>(ds, p, a, head, i, m, j, n);
        vx_tile_put(s, ds);
        vx_tile_add(dk, s, vx_rows_from(head.of.q, j), n, e, width);
    }
    const vx_rows to_k = {head.dq.array, head.dq.first + head.all, head.dq.ld},
                  to_v = {head.dq.array, to_k.first + head.all, head.dq.ld};
    vx_tile_write(vx_rows_from(to_k, i), dk, m, e, width);
    vx_tile_write(vx_rows_from(to_v, i), dv, m, e, width);
    if (at.tile == 0) {
        clear_before(to_k, a.forward.first, e, width);
        clear_before(to_v, a.forward.first, e, width);
    }
}

/* product of 64 queries and 64 keys (grid y) of a gradient; 0 where there is no query. */
static __global__ void __launch_bounds__(VX_TILE_THREADS) head_products(attend_bwd a, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, 1);
    const int first = a.forward.first, tokens = a.forward.tokens;
    const int i = first + at.tile * VX_TILE, j = first + (int)blockIdx.y * VX_TILE;
    const int rows = vx_at_most(tokens - i, VX_TILE), n = vx_at_most(tokens - j, VX_TILE);
    const int m = vx_at_most(first + a.queries - i, VX_TILE);
    vx_share sum;
    vx_share_clear(sum);
    for (int h = 0; m > 0 && h < a.forward.heads; h++) {
        const grad_head head = grad_head_of(a, at.b, h);
        vx_share p, dp;
        vx_probabilities<false>(p, s, a.forward, head.of, i, m, j, n);
        vx_tile_dot(dp, s, vx_rows_from(head.dy, i), m, vx_rows_from(head.of.v, j), n,
                    a.forward.width);
        VX_UNROLL
        for (int k = 0; k < 16; k++)
            sum.at[k / 4][k % 4] = vx_product_of_head(a.out.kind, sum.at[k / 4][k % 4],
                                                      p.at[k / 4][k % 4] * dp.at[k / 4][k % 4]);
    }
    VX_UNROLL
    for (int k = 0; k < 16; k++) {
        const int r = vx_tile_y() + 16 * (k / 4), c = vx_tile_x() + 16 * (k % 4);
        if (r < rows && c < n)
            a.out.product[vx_dp_at(a.forward, tokens - first, (size_t)at.b, i + r, j + c)] =
                vx_product_of_all(sum.at[k / 4][k % 4], a.forward.heads);
    }
}

/* relu_mean of 64 keys of a gradient's head: rows are keys. */
static __global__ void __launch_bounds__(VX_TILE_THREADS) head_means(attend_bwd a, int tiles)
{
    vx_tile &s = vx_shared<vx_tile>();
    const vx_stand at = vx_stand_of(tiles, a.forward.heads);
    const grad_head head = grad_head_of(a, at.b, at.h);
    const int first = a.forward.first, present = a.forward.tokens - first;
    const int j = first + at.tile * VX_TILE, n = vx_at_most(a.forward.tokens - j, VX_TILE);
    float sum[4] = {};
    for (int i = first; i < first + a.queries; i += VX_TILE) {
        vx_share dp;
        vx_tile_dot(dp, s, vx_rows_from(head.of.v, j), n, vx_rows_from(head.dy, i),
                    vx_at_most(first + a.queries - i, VX_TILE), a.forward.width);
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            float positive = 0;
            VX_UNROLL
            for (int l = 0; l < 4; l++)
                positive += dp.at[k][l] < 0 ? 0.0f : dp.at[k][l];
            sum[k] += vx_sum_of_16(positive);
        }
    }
    VX_UNROLL
    for (int k = 0; k < 4; k++) {
        const int r = vx_tile_y() + 16 * k;
        if (vx_tile_x() == 0 && r < n)
            a.out.relu_mean[head.index * (size_t)present + (size_t)(j - first + r)] =
                sum[k] / (float)present;
    }
}

/* ------------------------------------------------------------------------- for the host ---- */

static vx_attend forward_of(vx_cuda *cuda, const vx_attention_bwd *op)
{
    vx_attend a = vx_attend_of(cuda, op);
    a.p = op->p;
    return a;
}

static void gradients_plain(vx_cuda *cuda, const vx_attention_bwd *op)
{
    const size_t heads = (size_t)op->batch * (size_t)op->heads;
    const size_t gradients = heads * (size_t)op->targets;
    vx_attend_room room = {cuda->scratch, cuda->scratch_bytes};
    attend_bwd a = {
        forward_of(cuda, op),
        vx_view_of(cuda, op->dy, op->dy_n, 0),
        vx_view_of(cuda, op->dqkv, op->dqkv_n, 0),
        vx_grads_out_of(op),
        static_cast<float *>(vx_room_take(&room, gradients * (size_t)op->queries * sizeof(float))),
        op->targets,
        op->queries,
        op->scale};
    a.forward.stats = static_cast<vx_row_stats *>(
        vx_room_take(&room, heads * (size_t)op->tokens * sizeof(vx_row_stats)));
    if ((a.dqkv.data || op->product) && !op->p)
        vx_attend_stats(cuda, a.forward, op->batch, op->first, op->first + op->queries);
    const int tiles = vx_tiles(op->tokens - op->first);
    const dim3 grid(vx_blocks((size_t)tiles * gradients, 1)),
        wide(grid.x, (unsigned)vx_tiles(op->head_width)),
        matrices(grid.x / (unsigned)op->heads, (unsigned)tiles);
    if (op->product)
        VX_LAUNCH(head_products, matrices, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a,
                  tiles);
    if (op->relu_mean)
        VX_LAUNCH(head_means, grid, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, tiles);
    if (a.dqkv.data || op->dp)
        VX_LAUNCH(sum_rows, grid, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, tiles);
    if (!a.dqkv.data)
        return;
    VX_LAUNCH(query_gradients, wide, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, tiles);
    VX_LAUNCH(key_gradients, wide, VX_TILE_THREADS, sizeof(vx_tile), &cuda->stream, a, tiles);
}

/* The same by instructions for matrices, whose numbers qkv and dy have to be. They make the
 * probabilities themselves; no: they do not serve. */
static bool gradients_fast(vx_cuda *cuda, const vx_attention_bwd *op)
{
    const bool narrow = op->qkv_n && op->dy_n && cuda->number >= VX_CUDA_BF16;
    const int gradients = op->batch * op->targets;
    vx_attend_room room = {cuda->scratch, cuda->scratch_bytes};
    if (op->p || op->causal || !(cuda->features & VX_CUDA_MMA) ||
        (!narrow && cuda->number != VX_CUDA_BF16X3) || !vx_attend_grads_serve(cuda, op->head_width))
        return false;
    void *sums = vx_room_take(&room, (size_t)gradients * (size_t)op->heads * (size_t)op->queries *
                                         sizeof(float4));
    if (!sums)
        return false;
    const vx_grads g = {forward_of(cuda, op),
                        vx_view_of(cuda, op->dy, op->dy_n, 0),
                        vx_view_of(cuda, op->dqkv, op->dqkv_n, 0),
                        vx_grads_out_of(op),
                        static_cast<float4 *>(sums),
                        op->targets,
                        op->queries,
                        op->scale};
    vx_attend_grads(cuda, g, gradients);
    vx_attend_products(cuda, g, gradients);
    return true;
}

/* Bytes for either way: the fast one keeps 16 bytes a row, the other 4, and 8 a token. */
static size_t scratch_of(const vx_attention_bwd *op, int batch, int targets)
{
    const size_t heads = (size_t)batch * (size_t)op->heads;
    return vx_round_up(heads * (size_t)targets * (size_t)op->queries * sizeof(float4), 256) +
           vx_round_up(heads * (size_t)op->tokens * sizeof(vx_row_stats), 256);
}

/* The operation of `batch` pictures from picture b on; of their gradients the `targets` from k on,
 * which are all if there are several pictures. */
static vx_attention_bwd part_of(vx_cuda *cuda, const vx_attention_bwd *op, int b, int batch, int k,
                                int targets)
{
    const size_t width = (size_t)op->heads * (size_t)op->head_width, t = (size_t)op->tokens;
    const size_t row = (size_t)b * t, g = (size_t)b * (size_t)op->targets + (size_t)k;
    const size_t dy = g * (size_t)op->queries * width, dqkv = g * t * 3 * width;
    const size_t present = (size_t)(op->tokens - op->first);
    const size_t element = vx_element(cuda, {nullptr, true});
    vx_attention_bwd one = *op;
    one.batch = batch;
    one.targets = targets;
    one.qkv = op->qkv ? op->qkv + row * 3 * width : nullptr;
    one.qkv_n = op->qkv_n ? vx_narrow_at(op->qkv_n, element, row * 3 * width) : nullptr;
    one.dy = op->dy ? op->dy + dy : nullptr;
    one.dy_n = op->dy_n ? vx_narrow_at(op->dy_n, element, dy) : nullptr;
    one.dqkv = op->dqkv ? op->dqkv + dqkv : nullptr;
    one.dqkv_n = op->dqkv_n ? vx_narrow_at(op->dqkv_n, element, dqkv) : nullptr;
    one.p = op->p ? op->p + row * (size_t)op->heads * t : nullptr;
    one.dp = op->dp ? op->dp + g * (size_t)op->heads * vx_dp_rows(op) * present : nullptr;
    one.product = op->product ? op->product + g * present * present : nullptr;
    one.relu_mean = op->relu_mean ? op->relu_mean + g * (size_t)op->heads * present : nullptr;
    return one;
}

extern "C" void vx_attention_bwd_cuda(vx_device *dev, const vx_attention_bwd *op)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    int batch = op->batch, targets = op->targets;
    while (batch > 1 && scratch_of(op, batch, targets) > cuda->scratch_bytes)
        batch = (batch + 1) / 2;
    while (targets > 1 && scratch_of(op, batch, targets) > cuda->scratch_bytes)
        targets = (targets + 1) / 2;
    for (int b = 0; b < op->batch; b += batch)
        for (int k = 0; k < op->targets; k += targets) {
            const int left = op->batch - b, more = op->targets - k;
            const vx_attention_bwd one = part_of(cuda, op, b, left < batch ? left : batch, k,
                                                 more < targets ? more : targets);
            if (!gradients_fast(cuda, &one))
                gradients_plain(cuda, &one);
        }
}
