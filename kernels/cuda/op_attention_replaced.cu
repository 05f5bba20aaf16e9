/*
 * kernels/cuda/op_attention_replaced.cu: attention of one query with a channel of the tokens
 * replaced, one variant for each channel.
 *
 * With c_t = value - x[t,channel], and q', w the query and the channel's columns of a variant:
 *      q' = q + c_query w_q,   q' . k'_t = q' . k_t + c_t (q' . w_k),
 *      sum p_t v'_t = sum p_t v_t + (sum p_t c_t) w_v.
 * So the variants of a head are the rows of two products, with the keys and with the values as they
 * are.
 */
#include "kernels/cuda/attention.h"

struct replaced {
    vx_view qkv, columns, y; /* of the first variant of the launch */
    const float *x;
    float value, scale; /* scale: times log2(e) */
    int count, query, tokens, width, heads, head_width;
};

struct replaced_shared {
    vx_tile tile;
    int channel[VX_TILE];
    float change[VX_TILE], score[VX_TILE]; /* c_query; q' . w_k */
};

/* The queries q' of a block's variants. */
struct replaced_query {
    vx_view qkv, columns;
    size_t q, first, ld; /* of q in qkv; of w_q in columns, and from variant to variant */
    const float *change;
};

VX_DEVICE float vx_row_get(const replaced_query &a, int r, int e)
{
    return vx_read(a.qkv, a.q + (size_t)e) +
           a.change[r] * vx_read(a.columns, a.first + (size_t)r * a.ld + (size_t)e);
}

VX_DEVICE float change_of(const replaced &a, const replaced_shared &s, int t, int r)
{
    return a.value - a.x[(size_t)t * (size_t)a.width + (size_t)s.channel[r]];
}

/* Channel, change and score of the block's n variants. */
VX_DEVICE void prepare(const replaced &a, replaced_shared &s, const vx_list &channels,
                       const replaced_query &q, int variant, int n)
{
    const int r = (int)threadIdx.x;
    if (r < n) {
        s.channel[r] = channels.at[variant + r];
        s.change[r] = change_of(a, s, a.query, r);
        const size_t all = (size_t)a.heads * (size_t)a.head_width;
        const size_t w_k = q.first + (size_t)r * q.ld + all;
        float sum = 0;
        for (int e = 0; e < a.head_width; e++)
            sum += vx_row_get(q, r, e) * vx_read(a.columns, w_k + (size_t)e);
        s.score[r] = sum;
    }
    __syncthreads();
}

/* Scores of the block's n variants and the m keys from token t on. */
VX_DEVICE void replaced_scores(vx_share &c, replaced_shared &s, const replaced &a,
                               const replaced_query &q, const vx_rows &k, int n, int t, int m)
{
    vx_tile_dot(c, s.tile, q, n, vx_rows_from(k, t), m, a.head_width);
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        VX_UNROLL
        for (int j = 0; j < 4; j++) {
            const int r = vx_tile_y() + 16 * i, l = vx_tile_x() + 16 * j;
            if (r < n && l < m)
                c.at[i][j] = a.scale * (c.at[i][j] + change_of(a, s, t + l, r) * s.score[r]);
        }
    }
}

/* Probabilities from scores, 0 outside; adds p c to `changes`. */
VX_DEVICE void replaced_weights(vx_share &c, float (&changes)[4], const replaced &a,
                                const replaced_shared &s, const vx_softmax_row (&rows)[4], int n,
                                int t, int m)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        VX_UNROLL
        for (int j = 0; j < 4; j++) {
            const int r = vx_tile_y() + 16 * i, l = vx_tile_x() + 16 * j;
            float p = 0;
            if (r < n && l < m) {
                p = vx_softmax_factor(c.at[i][j], rows[i].max) * rows[i].sum;
                changes[i] += p * change_of(a, s, t + l, r);
            }
            c.at[i][j] = p;
        }
    }
}

/* o += (sum p c) w_v; sums: each thread's part of its rows'. */
VX_DEVICE void add_changes(vx_share &o, float (&changes)[4], const vx_view &columns,
                           const replaced_query &q, size_t all, int n, int e, int width)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        const float sum = vx_sum_of_16(changes[i]);
        const int r = vx_tile_y() + 16 * i;
        VX_UNROLL
        for (int j = 0; j < 4; j++) {
            const int c = e + 4 * vx_tile_x() + j;
            if (r < n && c < width)
                o.at[i][j] +=
                    sum * vx_read(columns, q.first + (size_t)r * q.ld + 2 * all + (size_t)c);
        }
    }
}

/* 64 variants of a head, 64 columns of the values (grid y). */
static __global__ void __launch_bounds__(VX_TILE_THREADS)
    attend_replaced(replaced a, const __grid_constant__ vx_list channels, int tiles)
{
    replaced_shared &s = vx_shared<replaced_shared>();
    const vx_stand at = vx_stand_of(tiles, a.heads);
    const size_t all = (size_t)a.heads * (size_t)a.head_width;
    const size_t part = (size_t)at.h * (size_t)a.head_width;
    const int variant = at.tile * VX_TILE, e = (int)blockIdx.y * VX_TILE;
    const int n = vx_at_most(a.count - variant, VX_TILE);
    const replaced_query q = {
        a.qkv,   a.columns, (size_t)a.query * 3 * all + part, (size_t)variant * 3 * all + part,
        3 * all, s.change};
    const vx_rows k = {a.qkv, all + part, 3 * all}, v = {a.qkv, 2 * all + part, 3 * all};
    vx_softmax_row rows[4];
    vx_share c, o;
    prepare(a, s, channels, q, variant, n);
    VX_UNROLL
    for (int i = 0; i < 4; i++)
        rows[i] = vx_softmax_none();
    for (int t = 0; t < a.tokens; t += VX_TILE) {
        replaced_scores(c, s, a, q, k, n, t, vx_at_most(a.tokens - t, VX_TILE));
        vx_softmax_take(rows, c, vx_at_most(a.tokens - t, VX_TILE));
    }
    vx_softmax_meet(rows);
    float changes[4] = {};
    vx_share_clear(o);
    for (int t = 0; t < a.tokens; t += VX_TILE) {
        const int m = vx_at_most(a.tokens - t, VX_TILE);
        replaced_scores(c, s, a, q, k, n, t, m);
        replaced_weights(c, changes, a, s, rows, n, t, m);
        vx_tile_put(s.tile, c);
        vx_tile_add(o, s.tile, vx_rows_from(v, t), m, e, a.head_width);
    }
    add_changes(o, changes, a.columns, q, all, n, e, a.head_width);
    vx_tile_write({a.y, (size_t)variant * all + part, all}, o, n, e, a.head_width);
}

extern "C" void vx_attention_replaced_cuda(vx_device *dev, const vx_attention_replaced *op)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const size_t all = (size_t)op->heads * (size_t)op->head_width;
    const vx_view columns = vx_view_of(cuda, op->columns, op->columns_n, 0),
                  y = vx_view_of(cuda, op->y, op->y_n, 0);
    for (int s = 0; s < op->count; s += VX_LIST) {
        const int count = op->count - s < VX_LIST ? op->count - s : VX_LIST;
        const replaced a = {vx_view_of(cuda, op->qkv, op->qkv_n, 0),
                            vx_from(columns, (size_t)s * 3 * all),
                            vx_from(y, (size_t)s * all),
                            op->x,
                            op->value,
                            op->scale * VX_LOG2E,
                            count,
                            op->query,
                            op->tokens,
                            op->width,
                            op->heads,
                            op->head_width};
        vx_list channels = {};
        memcpy(channels.at, op->channels + s, (size_t)count * sizeof *channels.at);
        const int tiles = vx_tiles(count);
        const dim3 grid(vx_blocks((size_t)tiles * (size_t)op->heads, 1),
                        (unsigned)vx_tiles(op->head_width));
        VX_LAUNCH(attend_replaced, grid, VX_TILE_THREADS, sizeof(replaced_shared), &cuda->stream, a,
                  channels, tiles);
    }
}
