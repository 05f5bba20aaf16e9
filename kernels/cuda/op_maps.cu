/*
 * kernels/cuda/op_maps.cu: what methods make of recorded attention, of its gradients, and of tokens
 * and theirs. Sums over tokens and channels are taken in double, as in the reference: some of them
 * cancel, and some divide.
 *
 * What lies in scratch (weights and means of channels, sums of rows) is made for as many pictures
 * and channels at once as there is room for.
 */
#include "kernels/cuda/rows.h"

namespace
{

/* -------------------------------------------------------------- attention of all heads ---- */

/* A NaN stays. */
VX_DEVICE float fused(vx_fuse fuse, float so_far, float value, int head)
{
    if (head == 0)
        return value;
    if (fuse == VX_FUSE_MEAN)
        return so_far + value;
    if (so_far != so_far || value != value)
        return so_far != so_far ? so_far : value;
    return (fuse == VX_FUSE_MAX) == (value > so_far) ? value : so_far;
}

/* Rows are pictures, columns the elements of a matrix. */
struct fuses {
    vx_view out, record; /* record.ld: of a head */
    vx_fuse fuse;
    int head, heads;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        const int64_t from = row * heads * record.ld + column;
        float all[W] = {}, v[W];
        if (head >= 0) {
            vx_read_some<W>(record, from + (heads == 1 ? 0 : head) * record.ld, all);
        } else {
            for (int h = 0; h < heads; h++) {
                vx_read_some<W>(record, from + h * record.ld, v);
                for (int i = 0; i < W; i++)
                    all[i] = fused(fuse, all[i], v[i], h);
            }
            for (int i = 0; i < W && fuse == VX_FUSE_MEAN; i++)
                all[i] /= (float)heads;
        }
        vx_write_some<W>(out, row * out.ld + column, all);
    }
};

/* A row of each head, as it was recorded. */
struct recorded_row {
    vx_view out, record;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        vx_move_some<W>(out, row * out.ld + column, record, row * record.ld + column);
    }
};

/* Groups are heads: the mean of the rows first..first+count-1 of each. */
struct mean_row {
    vx_view out, record;
    int tokens, first, count;
    __device__ void block(vx_column_sums &sums, int64_t head, int64_t column) const
    {
        const int64_t from = (head * tokens + first) * tokens + column;
        const double sum = vx_column_sum(sums, column < tokens ? count : 0, [&](int64_t i) {
            return (double)vx_read(record, from + i * tokens);
        });
        if (vx_warp() == 0 && column < tokens)
            vx_write(out, head * tokens + column, (float)(sum / count));
    }
};

/* Rows are gradients, columns the elements of a matrix. */
struct products {
    vx_view out, p, dp; /* p.ld, dp.ld: of a head */
    vx_product kind;
    int heads, targets, first, count;
    template <int W> __device__ void at(int64_t g, int64_t column) const
    {
        float sum[W] = {}, v[W], w[W];
        for (int h = first; h < first + count; h++) {
            vx_read_some<W>(p, (g / targets * heads + h) * p.ld + column, v);
            vx_read_some<W>(dp, (g * heads + h) * dp.ld + column, w);
            for (int i = 0; i < W; i++) {
                const float one = v[i] * w[i];
                sum[i] += kind == VX_PRODUCT_RELU_MEAN && one < 0 ? 0.0f : one;
            }
        }
        for (int i = 0; i < W; i++)
            sum[i] = sum[i] < 0 ? 0.0f : sum[i] / (float)count;
        vx_write_some<W>(out, g * out.ld + column, sum);
    }
};

/* Groups are gradients; rows first..first+count-1 of each, of all heads. */
struct relu_means {
    float *out;
    const float *dp;
    int64_t first, count, all; /* all: heads times tokens */
    int tokens;
    __device__ void block(vx_column_sums &sums, int64_t g, int64_t column) const
    {
        const float *const from = dp + (g * all + first) * tokens + column;
        const double sum = vx_column_sum(sums, column < tokens ? count : 0, [&](int64_t i) {
            const float v = from[i * tokens];
            return v < 0 ? 0.0 : (double)v;
        });
        if (vx_warp() == 0 && column < tokens)
            out[g * tokens + column] = (float)(sum / (double)count);
    }
};

/* -------------------------------------------------------------------------- token_cam ---- */

/* The tokens that count of activations and gradients, and a part of their channels: `channels` of
 * them from c0 on, of the gradients from g0 on. `kept` is scratch: a number for each of those
 * gradients and channels. */
struct tokens_part {
    const float *a, *g;
    double *kept;
    int64_t g0, c0, channels;
    int first, tokens, width, targets;
    __device__ int64_t count() const
    {
        return tokens - first;
    }
    /* Where the first token that counts begins, of gradient `part` of these: in g, and in a. */
    __device__ int64_t in_g(int64_t part) const
    {
        return ((g0 + part) * tokens + first) * width + c0;
    }
    __device__ int64_t in_a(int64_t part) const
    {
        return ((g0 + part) / targets * tokens + first) * width + c0;
    }
};

/* What a channel is worth. Groups are gradients, columns channels. */
struct cam_weights {
    tokens_part t;
    vx_cam kind;
    __device__ double weight(vx_column_sums &sums, const float *a, const float *g,
                             int64_t rows) const
    {
        const int64_t ld = t.width;
        if (kind == VX_CAM_GRADCAM)
            return vx_column_sum(sums, rows, [&](int64_t i) { return (double)g[i * ld]; }) /
                   (double)t.count();
        const double sum = vx_column_sum(sums, rows, [&](int64_t i) { return (double)a[i * ld]; });
        if (kind == VX_CAM_XGRAD)
            return vx_column_sum(sums, rows,
                                 [&](int64_t i) { return (double)a[i * ld] * (double)g[i * ld]; }) /
                   (sum + 1e-7);
        return vx_column_sum(sums, rows, [&](int64_t i) { /* VX_CAM_PLUSPLUS */
                                                          const double d = (double)g[i * ld];
                                                          const double w =
                                                              d * (d * d) /
                                                              (2 * d * d + sum * d * d * d + 1e-6);
                                                          return d > 0 || d != d ? w : 0;
        });
    }
    __device__ void block(vx_column_sums &sums, int64_t part, int64_t column) const
    {
        const bool there = column < t.channels;
        const double w = weight(sums, t.a + t.in_a(part) + column, t.g + t.in_g(part) + column,
                                there ? t.count() : 0);
        if (vx_warp() == 0 && there)
            t.kept[part * t.channels + column] = w;
    }
};

/* Rows are the tokens that count of all gradients. */
struct cam_map {
    tokens_part t;
    float *out;
    vx_cam kind;
    __device__ double term(double a, double g) const
    {
        if (kind == VX_CAM_LAYER)
            return (g < 0 ? 0 : g) * a;
        return kind == VX_CAM_ELEMENTWISE && g * a < 0 ? 0 : g * a;
    }
    __device__ void warp(int64_t row) const
    {
        int64_t i;
        const int64_t part = vx_divide(row, t.count(), &i);
        const float *const a = t.a + t.in_a(part) + i * t.width;
        const float *const g = t.g + t.in_g(part) + i * t.width;
        const double *const w = t.kept + part * t.channels;
        double sum = 0;
        for (int64_t c = vx_lane(); c < t.channels; c += VX_WARP)
            sum += kind <= VX_CAM_XGRAD ? w[c] * (double)a[c] : term((double)a[c], (double)g[c]);
        sum = vx_warp_sum(sum);
        float *const to = out + t.g0 * t.count() + row;
        if (vx_lane() == 0)
            *to = (float)(t.c0 > 0 ? (double)*to + sum : sum);
    }
};

/* ------------------------------------------------------------------------- token_gram ---- */

/* g may be NULL. */
VX_DEVICE double token_value(const float *a, const float *g, int64_t a_at, int64_t g_at)
{
    return g ? (double)a[a_at] * (double)g[g_at] : (double)a[a_at];
}

/* The mean of each channel. Groups are gradients. */
struct channel_means {
    tokens_part t;
    __device__ void block(vx_column_sums &sums, int64_t part, int64_t column) const
    {
        const int64_t a = t.in_a(part) + column, g = t.in_g(part) + column;
        const double sum = vx_column_sum(sums, column < t.channels ? t.count() : 0, [&](int64_t i) {
            return token_value(t.a, t.g, a + i * t.width, g + i * t.width);
        });
        if (vx_warp() == 0 && column < t.channels)
            t.kept[part * t.channels + column] = sum / (double)t.count();
    }
};

/* A block makes TILE rows and columns of a matrix, from TILE channels at a time. */
enum { TILE = 32, TILE_ROWS = 4, TILE_THREADS = TILE * TILE / TILE_ROWS };

struct gram_tiles {
    float x[TILE][TILE + 1], y[TILE][TILE + 1]; /* [token][channel] */
};

struct gram_args {
    tokens_part t;
    float *out;
    int64_t tiles; /* in each direction */
};

/* Tokens first..first+TILE-1 of gradient `part`, from channel c on, less their means; 0 beyond. */
VX_DEVICE void load_tile(float (&to)[TILE][TILE + 1], const tokens_part &t, int64_t part,
                         int64_t first, int64_t c)
{
    const int64_t channel = c + vx_lane();
    for (int r = vx_warp(); r < TILE; r += TILE_THREADS / VX_WARP) {
        float v = 0;
        if (first + r < t.count() && channel < t.channels) {
            const int64_t at = (first + r) * t.width + channel;
            v = (float)(token_value(t.a, t.g, t.in_a(part) + at, t.in_g(part) + at) -
                        t.kept[part * t.channels + channel]);
        }
        to[r][vx_lane()] = v;
    }
}

__global__ void __launch_bounds__(TILE_THREADS) gram(const __grid_constant__ gram_args a)
{
    gram_tiles &tiles = vx_shared<gram_tiles>();
    const int column = vx_lane(), row = vx_warp() * TILE_ROWS;
    int64_t tile, tile_y;
    const int64_t part = vx_divide(blockIdx.x, a.tiles * a.tiles, &tile);
    const int64_t tile_x = vx_divide(tile, a.tiles, &tile_y);
    double sum[TILE_ROWS] = {};
    for (int64_t c = 0; c < a.t.channels; c += TILE) {
        float few[TILE_ROWS] = {}; /* of so few channels floats are enough */
        __syncthreads();
        load_tile(tiles.x, a.t, part, tile_x * TILE, c);
        load_tile(tiles.y, a.t, part, tile_y * TILE, c);
        __syncthreads();
        for (int k = 0; k < TILE; k++)
            for (int r = 0; r < TILE_ROWS; r++)
                few[r] = fmaf(tiles.x[row + r][k], tiles.y[column][k], few[r]);
        for (int r = 0; r < TILE_ROWS; r++)
            sum[r] += (double)few[r];
    }
    const int64_t n = a.t.count(), j = tile_y * TILE + column;
    for (int r = 0; r < TILE_ROWS; r++) {
        const int64_t i = tile_x * TILE + row + r;
        float *const to = a.out + ((a.t.g0 + part) * n + i) * n + j;
        if (i < n && j < n)
            *to = (float)(a.t.c0 > 0 ? (double)*to + sum[r] : sum[r]);
    }
}

/* ------------------------------------------------------------------------ rollout_step ---- */

/* For each row of the matrices: what it is multiplied by (VX_NORM_ROWS), or its sum. */
struct row_sums {
    const float *row, *f;
    double *kept;
    vx_norm norm;
    int tokens;
    __device__ void warp(int64_t i) const
    {
        double sum = 0;
        for (int j = vx_lane(); j < tokens; j += VX_WARP)
            sum += (double)f[i * tokens + j];
        sum = 1 + vx_warp_sum(sum); /* of the identity */
        if (vx_lane() == 0)
            kept[i] = norm == VX_NORM_ROWS ? (double)row[i] / sum : sum;
    }
};

/* Groups are pictures. */
struct steps {
    float *out;
    const float *row, *f;
    const double *kept;
    vx_norm norm;
    int tokens;
    __device__ void block(vx_column_sums &sums, int64_t b, int64_t column) const
    {
        const int64_t t = tokens;
        const float *const from = f + b * t * t + column;
        double sum = vx_column_sum(sums, column < t ? t : 0, [&](int64_t i) {
            const double scale = norm == VX_NORM_ROWS ? kept[b * t + i] : (double)row[b * t + i];
            return scale * ((double)from[i * t] + (i == column ? 1 : 0));
        });
        if (vx_warp() != 0 || column >= t)
            return;
        if (norm == VX_NORM_COLUMNS)
            sum /= kept[b * t + column];
        out[b * t + column] = (float)sum;
    }
};

/* ------------------------------------------------------------------------------ parts ---- */

int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Calls f(part, gradients) for parts of all gradients and channels for which the scratch holds a
 * double each. */
template <class F> void in_parts(vx_cuda *cuda, tokens_part whole, int64_t gradients, F f)
{
    const int64_t room = (int64_t)(cuda->scratch_bytes / sizeof(double));
    if (room <= 0) {
        vx_gpu_fail(&cuda->stream, VX_GPU_NO_ROOM, "maps of tokens: no room was reserved");
        return;
    }
    const int64_t channels = whole.width > 0 ? smaller(whole.width, room) : 1;
    const int64_t at_once = smaller(room / channels, 4096); /* a grid takes the tiles of so many */
    whole.kept = reinterpret_cast<double *>(cuda->scratch);
    for (int64_t g = 0; g < gradients; g += at_once)
        for (int64_t c = 0; c == 0 || c < whole.width; c += channels) {
            tokens_part part = whole;
            part.g0 = g;
            part.c0 = c;
            part.channels = smaller(channels, whole.width - c);
            f(part, smaller(at_once, gradients - g));
        }
}

} // namespace

/* ---------------------------------------------------------------------- the operations ---- */

extern "C" void vx_attn_fuse_cuda(vx_device *dev, const vx_attn_fuse *a)
{
    const int64_t matrix = (int64_t)a->record->tokens * a->record->tokens;
    const fuses f = {vx_float_view(a->out, matrix), vx_record_view(a->record, matrix), a->fuse,
                     a->head, a->record->keep == VX_KEEP_FUSED ? 1 : a->record->heads};
    vx_queue_rows(vx_cuda_of(dev), "attn_fuse", f, a->record->batch, matrix,
                  vx_fours(f.out) && vx_fours(f.record));
}

extern "C" void vx_attn_row_cuda(vx_device *dev, const vx_attn_row *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int tokens = a->record->tokens, first = vx_query_first(a->query, a->prefix);
    const int count = vx_query_end(a->query, a->prefix, tokens) - first;
    const int64_t heads = (int64_t)a->record->batch * a->record->heads;
    const vx_view out = vx_float_view(a->out, tokens);
    const bool whole = a->record->keep != VX_KEEP_ROW;
    if (whole && count != 1) {
        const mean_row f = {out, vx_record_view(a->record, tokens), tokens, first, count};
        vx_queue_columns(cuda, "attn_row", f, heads, tokens);
        return;
    }
    recorded_row f = {out, vx_record_view(a->record, whole ? (int64_t)tokens * tokens : tokens)};
    if (whole)
        f.record = vx_from(f.record, (int64_t)first * tokens);
    vx_queue_rows(cuda, "attn_row", f, heads, tokens, vx_fours(f.out) && vx_fours(f.record));
}

extern "C" void vx_attn_product_cuda(vx_device *dev, const vx_attn_product *a)
{
    const int64_t matrix = (int64_t)a->tokens * a->tokens;
    const products f = {vx_float_view(a->out, matrix),
                        vx_float_view(a->p, matrix),
                        vx_float_view(a->dp, matrix),
                        a->kind,
                        a->heads,
                        a->targets,
                        a->head < 0 ? 0 : a->head,
                        a->head < 0 ? a->heads : 1};
    vx_queue_rows(vx_cuda_of(dev), "attn_product", f, (int64_t)a->batch * a->targets, matrix,
                  vx_fours(f.out) && vx_fours(f.p) && vx_fours(f.dp));
}

extern "C" void vx_attn_relu_mean_cuda(vx_device *dev, const vx_attn_relu_mean *a)
{
    const int64_t tokens = a->tokens;
    const relu_means f = {a->out,
                          a->dp,
                          a->head < 0 ? 0 : a->head * tokens,
                          (a->head < 0 ? a->heads : 1) * tokens,
                          a->heads * tokens,
                          a->tokens};
    vx_queue_columns(vx_cuda_of(dev), "attn_relu_mean", f, a->gradients, tokens);
}

extern "C" void vx_token_cam_cuda(vx_device *dev, const vx_token_cam *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const tokens_part whole = {a->a, a->g,     nullptr,   0,        0,
                               0,    a->first, a->tokens, a->width, a->targets};
    in_parts(cuda, whole, (int64_t)a->batch * a->targets, [&](tokens_part part, int64_t gradients) {
        if (a->kind <= VX_CAM_XGRAD)
            vx_queue_columns(cuda, "token_cam's weights", cam_weights{part, a->kind}, gradients,
                             part.channels);
        vx_queue_warps(cuda, "token_cam", cam_map{part, a->out, a->kind},
                       gradients * (a->tokens - a->first));
    });
}

extern "C" void vx_token_gram_cuda(vx_device *dev, const vx_token_gram *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int64_t tiles = (a->tokens - a->first + TILE - 1) / TILE;
    const tokens_part whole = {a->a, a->g,     nullptr,   0,        0,
                               0,    a->first, a->tokens, a->width, a->targets};
    if (a->tokens <= a->first)
        return;
    in_parts(cuda, whole, (int64_t)a->batch * a->targets, [&](tokens_part part, int64_t gradients) {
        const gram_args args = {part, a->out, tiles};
        vx_queue_columns(cuda, "token_gram's means", channel_means{part}, gradients, part.channels);
        VX_LAUNCH(gram, (unsigned)(gradients * tiles * tiles), TILE_THREADS, sizeof(gram_tiles),
                  &cuda->stream, args);
    });
}

extern "C" void vx_rollout_step_cuda(vx_device *dev, const vx_rollout_step *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    const int64_t t = a->tokens, room = (int64_t)(cuda->scratch_bytes / sizeof(double));
    double *const kept = reinterpret_cast<double *>(cuda->scratch);
    const int64_t at_once = t > 0 ? room / t : a->batch;
    if (at_once <= 0 && a->batch > 0)
        vx_gpu_fail(&cuda->stream, VX_GPU_NO_ROOM, "rollout_step: no room was reserved");
    for (int64_t b = 0; b < a->batch && at_once > 0; b += at_once) {
        const int64_t count = smaller(at_once, a->batch - b);
        const float *const row = a->row + b * t, *const f = a->f + b * t * t;
        if (a->norm != VX_NORM_NONE)
            vx_queue_warps(cuda, "rollout_step's sums", row_sums{row, f, kept, a->norm, a->tokens},
                           count * t);
        vx_queue_columns(cuda, "rollout_step",
                         steps{a->out + b * t, row, f, kept, a->norm, a->tokens}, count, t);
    }
}
