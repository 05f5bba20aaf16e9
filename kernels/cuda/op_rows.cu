/*
 * kernels/cuda/op_rows.cu: what is done to each element, or to each row as it stands: activations,
 * copies, rotations, sums over samples and channels, means over tokens.
 */
#include "kernels/cuda/swiglu.h"

namespace
{

/* ----------------------------------------------------------------------- activations ---- */

struct activation {
    vx_view y, x;
    vx_act act;
    template <int W> __device__ void at(int64_t, int64_t column) const
    {
        float v[W];
        vx_read_some<W>(x, column, v);
        for (int i = 0; i < W; i++)
            v[i] = vx_act_value(act, v[i]);
        vx_write_some<W>(y, column, v);
    }
};

struct sigmoids {
    vx_view y, x;
    template <int W> __device__ void at(int64_t, int64_t column) const
    {
        float v[W];
        vx_read_some<W>(x, column, v);
        for (int i = 0; i < W; i++)
            v[i] = vx_sigmoid_of(v[i]);
        vx_write_some<W>(y, column, v);
    }
};

/* ----------------------------------------------------------------------- moving rows ---- */

struct zeros {
    vx_view y;
    template <int W> __device__ void at(int64_t, int64_t column) const
    {
        const float v[W] = {};
        vx_write_some<W>(y, column, v);
    }
};

struct copies {
    vx_view y, x;
    float scale;
    int accumulate;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        const int64_t to = row * y.ld + column, from = row * x.ld + column;
        if (scale == 1.0f && !accumulate) {
            vx_move_some<W>(y, to, x, from);
            return;
        }
        float v[W], more[W];
        vx_read_some<W>(x, from, v);
        if (accumulate)
            vx_read_some<W>(y, to, more);
        for (int i = 0; i < W; i++)
            v[i] = accumulate ? fmaf(scale, v[i], more[i]) : scale * v[i];
        vx_write_some<W>(y, to, v);
    }
};

/* Rows of variants of `tokens` tokens; the list has a channel for each variant. */
struct replacements {
    vx_view y, x;
    float value;
    int tokens;
    vx_list channels;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        int64_t token;
        const int64_t channel = channels.at[vx_divide(row, tokens, &token)];
        float v[W];
        vx_read_some<W>(x, token * x.ld + column, v);
        for (int i = 0; i < W; i++)
            v[i] = column + i == channel ? value : v[i];
        vx_write_some<W>(y, row * y.ld + column, v);
    }
};

struct gathered {
    vx_view y, a, b;
    vx_list from;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        const int64_t which = from.at[row];
        const vx_view x = which >= 0 ? a : b;
        vx_move_some<W>(y, row * y.ld + column, x,
                        (which >= 0 ? which : -1 - which) * x.ld + column);
    }
};

struct spread_mean {
    vx_view dx, dy;
    int first, tokens;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        float v[W] = {};
        int64_t token;
        const int64_t picture = vx_divide(row, tokens, &token);
        if (token >= first) {
            vx_read_some<W>(dy, picture * dy.ld + column, v);
            for (int i = 0; i < W; i++)
                v[i] /= (float)(tokens - first);
        }
        vx_write_some<W>(dx, row * dx.ld + column, v);
    }
};

/* Columns are the pairs of all heads of q, then of k. */
struct rotations {
    vx_view qkv;
    const float *table;
    int tables, tokens, first, heads, pairs, half, inverse, listed;
    int64_t row0; /* of the whole qkv: what `listed` rows begin with */
    vx_list tokens_of;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        int64_t i, token;
        const int64_t h = vx_divide(column, pairs, &i);
        vx_divide(row0 + row, tokens, &token);
        const int64_t patch = (listed ? tokens_of.at[row] : token) - first;
        if (patch < 0)
            return;
        const float *turn = table + (patch * tables + (tables > 1 ? h % heads : 0)) * 2 * pairs + i;
        const float c = turn[0], s = inverse ? -turn[pairs] : turn[pairs];
        const int64_t p = (row0 + row) * qkv.ld + h * 2 * pairs + (half ? i : 2 * i);
        const int64_t q = p + (half ? pairs : 1);
        const float u = vx_read(qkv, p), v = vx_read(qkv, q);
        vx_write(qkv, p, u * c - v * s);
        vx_write(qkv, q, u * s + v * c);
    }
};

/* ------------------------------------------------------------------------------ sums ---- */

struct vx_floats_list {
    float at[VX_LIST];
};

/* Rows are groups. Samples s0..s0+count-1 of each. */
struct weighted {
    vx_view sum, x; /* x.ld: of a sample */
    int squared, samples, s0, count;
    vx_floats_list weights;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        float v[W];
        double all[W];
        vx_read_some<W>(sum, row * sum.ld + column, v);
        for (int i = 0; i < W; i++)
            all[i] = (double)v[i];
        for (int s = 0; s < count; s++) {
            vx_read_some<W>(x, (row * samples + s0 + s) * x.ld + column, v);
            for (int i = 0; i < W; i++)
                all[i] +=
                    (double)weights.at[s] * (squared ? (double)v[i] * (double)v[i] : (double)v[i]);
        }
        for (int i = 0; i < W; i++)
            v[i] = (float)all[i];
        vx_write_some<W>(sum, row * sum.ld + column, v);
    }
};

VX_DEVICE double with_channel(vx_reduce kind, double so_far, double one)
{
    const double size = fabs(one);
    switch (kind) {
    case VX_REDUCE_MAX: /* a NaN stays */
        return size > so_far || size != size ? size : so_far;
    case VX_REDUCE_L1:
    case VX_REDUCE_MEAN:
        return so_far + size;
    case VX_REDUCE_L2:
        return so_far + one * one;
    default:
        return so_far + one;
    }
}

/* Rows are gradients. */
struct reductions {
    vx_view out, g, x; /* g.ld, x.ld: of a channel */
    vx_reduce kind;
    int targets, channels;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        const int64_t picture = row / targets;
        double all[W] = {};
        for (int c = 0; c < channels; c++) {
            float v[W], w[W];
            vx_read_some<W>(g, (row * channels + c) * g.ld + column, v);
            if (x.data)
                vx_read_some<W>(x, (picture * channels + c) * x.ld + column, w);
            for (int i = 0; i < W; i++)
                all[i] = with_channel(kind, all[i], (double)v[i] * (x.data ? (double)w[i] : 1.0));
        }
        float v[W];
        for (int i = 0; i < W; i++)
            v[i] = (float)(kind == VX_REDUCE_MEAN ? all[i] / channels
                           : kind == VX_REDUCE_L2 ? sqrt(all[i])
                                                  : all[i]);
        vx_write_some<W>(out, row * out.ld + column, v);
    }
};

/* Groups are sequences. */
struct means {
    vx_view y, x;
    int first, tokens, width, listed;
    vx_list starts;
    __device__ void block(vx_column_sums &sums, int64_t b, int64_t column) const
    {
        const int64_t start = listed ? starts.at[b] : b * tokens;
        const int64_t count = (listed ? starts.at[b + 1] - start : tokens) - first;
        const int64_t from = (start + first) * x.ld + column;
        const double sum = vx_column_sum(sums, column < width ? count : 0, [&](int64_t i) {
            return (double)vx_read(x, from + i * x.ld);
        });
        if (vx_warp() == 0 && column < width)
            vx_write(y, b * y.ld + column, count > 0 ? (float)(sum / (double)count) : 0.0f);
    }
};

/* Copies `count` elements. */
template <class L, class T> void fill_list(L *list, const T *from, int count)
{
    memcpy(list->at, from, (size_t)count * sizeof *from);
}

int piece_of(int64_t left)
{
    return left < VX_LIST ? (int)left : VX_LIST;
}

} // namespace

/* ---------------------------------------------------------------------- the operations ---- */

extern "C" void vx_activate_cuda(vx_device *dev, const vx_activate *a)
{
    const activation f = {vx_float_view(a->y, 0), vx_float_view(a->x, 0), a->act};
    vx_queue_rows(vx_cuda_of(dev), "activate", f, 1, a->count, vx_fours(f.y) && vx_fours(f.x));
}

extern "C" void vx_sigmoid_cuda(vx_device *dev, const vx_sigmoid *a)
{
    const sigmoids f = {vx_float_view(a->y, 0), vx_float_view(a->x, 0)};
    vx_queue_rows(vx_cuda_of(dev), "sigmoid", f, 1, a->count, vx_fours(f.y) && vx_fours(f.x));
}

extern "C" void vx_swiglu_cuda(vx_device *dev, const vx_swiglu *a)
{
    const vx_swiglus f = {vx_float_view(a->y, a->ldy), vx_float_view(a->x, a->ldx), a->n};
    vx_swiglu_rows(vx_cuda_of(dev), f, a->m);
}

extern "C" void vx_swiglu_bwd_cuda(vx_device *dev, const vx_swiglu_bwd *a)
{
    const vx_swiglu_gradients f = {vx_float_view(a->dx, a->lddx),
                                   vx_float_view(a->dy, a->lddy),
                                   vx_float_view(a->x, a->ldx),
                                   a->n,
                                   a->tokens,
                                   a->targets};
    vx_swiglu_bwd_rows(vx_cuda_of(dev), f, a->m);
}

extern "C" void vx_clear_cuda(vx_device *dev, const vx_clear *a)
{
    const zeros f = {vx_view_of(vx_cuda_of(dev), a->y, a->y_n, 0)};
    vx_queue_rows(vx_cuda_of(dev), "clear", f, 1, a->count, vx_fours(f.y));
}

extern "C" void vx_copy_rows_cuda(vx_device *dev, const vx_copy_rows *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const copies f = {vx_view_of(cuda, a->y, a->y_n, a->ldy),
                      vx_view_of(cuda, a->x, a->x_n, a->ldx), a->scale, a->accumulate};
    vx_queue_rows(cuda, "copy_rows", f, a->m, a->n, vx_fours(f.y) && vx_fours(f.x));
}

extern "C" void vx_replace_channels_cuda(vx_device *dev, const vx_replace_channels *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const vx_view y = vx_view_of(cuda, a->y, a->y_n, a->width);
    replacements f = {y, vx_float_view(a->x, a->width), a->value, a->tokens, {}};
    if (a->tokens <= 0 || a->width <= 0)
        return;
    for (int s = 0; s < a->count; s += VX_LIST) {
        const int count = piece_of(a->count - s);
        f.y = vx_from(y, (int64_t)s * a->tokens * a->width);
        fill_list(&f.channels, a->channels + s, count);
        vx_queue_rows(cuda, "replace_channels", f, (int64_t)count * a->tokens, a->width,
                      vx_fours(f.y) && vx_fours(f.x));
    }
}

extern "C" void vx_gather_rows_cuda(vx_device *dev, const vx_gather_rows *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const vx_view y = vx_view_of(cuda, a->y, a->y_n, (int64_t)vx_distance(a->ldy, a->width));
    gathered f = {y, vx_view_of(cuda, a->a, a->a_n, a->width), vx_float_view(a->b, a->width), {}};
    const bool fours = vx_fours(y) && vx_fours(f.a) && (!a->b || vx_fours(f.b));
    for (int r = 0; r < a->rows && a->width > 0; r += VX_LIST) {
        const int count = piece_of(a->rows - r);
        f.y = vx_from(y, r * y.ld);
        fill_list(&f.from, a->from + r, count);
        vx_queue_rows(cuda, "gather_rows", f, count, a->width, fours);
    }
}

extern "C" void vx_rotate_cuda(vx_device *dev, const vx_rotate *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int pairs = a->head_width / 2;
    rotations f = {vx_view_of(cuda, a->qkv, a->qkv_n, (int64_t)3 * a->heads * a->head_width),
                   a->table,
                   a->tables,
                   a->tokens,
                   a->first,
                   a->heads,
                   pairs,
                   a->half,
                   a->inverse,
                   a->tokens_of != nullptr,
                   0,
                   {}};
    const int64_t columns = (int64_t)2 * a->heads * pairs;
    if (!a->tokens_of)
        vx_queue_rows(cuda, "rotate", f, a->rows, columns, false);
    for (int r = 0; a->tokens_of && r < a->rows; r += VX_LIST) {
        const int count = piece_of(a->rows - r);
        f.row0 = r;
        fill_list(&f.tokens_of, a->tokens_of + r, count);
        vx_queue_rows(cuda, "rotate", f, count, columns, false);
    }
}

extern "C" void vx_add_weighted_cuda(vx_device *dev, const vx_add_weighted *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    weighted f = {
        vx_float_view(a->sum, a->n), vx_float_view(a->x, a->n), a->squared, a->samples, 0, 0, {}};
    for (int s = 0; s < a->samples; s += VX_LIST) {
        f.s0 = s;
        f.count = piece_of(a->samples - s);
        fill_list(&f.weights, a->weights + s, f.count);
        vx_queue_rows(cuda, "add_weighted", f, a->groups, a->n, vx_fours(f.sum) && vx_fours(f.x));
    }
}

extern "C" void vx_reduce_channels_cuda(vx_device *dev, const vx_reduce_channels *a)
{
    const reductions f = {vx_float_view(a->out, a->n),
                          vx_float_view(a->g, a->n),
                          vx_float_view(a->x, a->n),
                          a->kind,
                          a->targets,
                          a->channels};
    vx_queue_rows(vx_cuda_of(dev), "reduce_channels", f, (int64_t)a->batch * a->targets, a->n,
                  vx_fours(f.out) && vx_fours(f.g) && vx_fours(f.x));
}

extern "C" void vx_mean_tokens_cuda(vx_device *dev, const vx_mean_tokens *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const vx_view y = vx_float_view(a->y, (int64_t)vx_distance(a->ldy, a->width));
    means f = {y,        vx_float_view(a->x, a->width), a->first, a->tokens,
               a->width, a->starts != nullptr,          {}};
    if (!a->starts)
        vx_queue_columns(cuda, "mean_tokens", f, a->batch, a->width);
    /* a list has one start more than sequences */
    for (int b = 0; a->starts && b < a->batch; b += VX_LIST - 1) {
        const int count = piece_of(a->batch - b + 1) - 1;
        f.y = vx_from(y, b * y.ld);
        fill_list(&f.starts, a->starts + b, count + 1);
        vx_queue_columns(cuda, "mean_tokens", f, count, a->width);
    }
}

extern "C" void vx_mean_tokens_bwd_cuda(vx_device *dev, const vx_mean_tokens_bwd *a)
{
    const spread_mean f = {vx_float_view(a->dx, a->width),
                           vx_float_view(a->dy, (int64_t)vx_distance(a->lddy, a->width)), a->first,
                           a->tokens};
    vx_queue_rows(vx_cuda_of(dev), "mean_tokens_bwd", f, (int64_t)a->batch * a->tokens, a->width,
                  vx_fours(f.dx) && vx_fours(f.dy));
}
