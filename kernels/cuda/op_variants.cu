/*
 * kernels/cuda/op_variants.cu: variants of a picture (kernels/variants.h): pictures blended by
 * numbers, by masks and by an order of pixels, and noise.
 *
 * The bits are those of the host, so the Makefile has this file compiled without making one
 * instruction of a product and a sum. Division and square root are rounded as IEEE says by
 * default.
 */
#include "kernels/cuda/rows.h"

#define VX_RANDOM VX_DEVICE
#include "kernels/random.h"

namespace
{

/* Variants in one launch: what the host's memory says of them goes into the kernel's parameters. */
enum { AT_ONCE = 200, RANGE_WARPS = 8, RANGE_THREADS = RANGE_WARPS * VX_WARP };

struct shift_list {
    int at[2 * AT_ONCE];
};

VX_DEVICE float between(float a, float b, float part)
{
    return a + part * (b - a);
}

VX_DEVICE float mask_value(const vx_masks &m, const shift_list &shifts, int64_t v, int y, int x)
{
    const int down = y + shifts.at[2 * v], across = x + shifts.at[2 * v + 1];
    const int row = (int)m.down.first[down], column = (int)m.across.first[across];
    const float part_y = m.down.part[down], part_x = m.across.part[across];
    const int64_t under = row + 1 < m.down.samples ? m.of_row : 0;
    const int64_t beside = column + 1 < m.across.samples ? m.of_column : 0;
    const float *s = m.samples + v * m.of_variant + row * m.of_row + column * m.of_column;
    const float s00 = s[0], s01 = s[beside], s10 = s[under], s11 = s[under + beside];
    return m.columns_first ? between(between(s00, s01, part_x), between(s10, s11, part_x), part_y)
                           : between(between(s00, s10, part_y), between(s01, s11, part_y), part_x);
}

VX_DEVICE float mask_of(const vx_masks &m, const shift_list &shifts, int64_t v, int y, int x)
{
    const float value = mask_value(m, shifts, v, y, x);
    return m.range ? (value - m.range[2 * v]) * m.range[2 * v + 1] : value;
}

/* Rows are the rows of all variants' planes. */
struct blended {
    vx_view y, from, to; /* rows of the picture */
    int channels, height;
    template <int W>
    __device__ void write(int64_t row, int64_t v, int64_t column, const float (&w)[W]) const
    {
        const int64_t h = row - v * height;
        for (int c = 0; c < channels; c++) {
            const int64_t in = (c * (int64_t)height + h) * to.ld + column;
            const int64_t out = ((v * channels + c) * height + h) * y.ld + column;
            float a[W], b[W];
            vx_read_some<W>(to, in, b);
            if (from.data)
                vx_read_some<W>(from, in, a);
            for (int i = 0; i < W; i++)
                b[i] = from.data ? between(a[i], b[i], w[i]) : w[i] * b[i];
            vx_write_some<W>(y, out, b);
        }
    }
};

struct value_list {
    float at[VX_LIST];
};

struct by_values {
    blended to;
    value_list values;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        int64_t rest;
        const int64_t v = vx_divide(row, to.height, &rest);
        float w[W];
        for (int i = 0; i < W; i++)
            w[i] = values.at[v];
        to.write<W>(row, v, column, w);
    }
};

struct by_masks {
    blended to;
    vx_masks masks;
    shift_list shifts;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        int64_t y;
        const int64_t v = vx_divide(row, to.height, &y);
        float w[W];
        for (int i = 0; i < W; i++)
            w[i] = mask_of(masks, shifts, v, (int)y, (int)column + i);
        to.write<W>(row, v, column, w);
    }
};

/* Rows are the rows of all variants' channels. */
struct by_order {
    vx_view y, from, to, order;
    int channels, height, first;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        int64_t in_picture, in_plane;
        const int64_t v = vx_divide(row, (int64_t)channels * height, &in_picture);
        vx_divide(in_picture, height, &in_plane);
        float changes[W], a[W] = {}, b[W];
        vx_read_some<W>(order, in_plane * order.ld + column, changes);
        vx_read_some<W>(to, in_picture * to.ld + column, b);
        if (from.data)
            vx_read_some<W>(from, in_picture * from.ld + column, a);
        for (int i = 0; i < W; i++)
            b[i] = changes[i] <= (float)(first + v) ? b[i] : a[i];
        vx_write_some<W>(y, row * y.ld + column, b);
    }
};

/* Rows are variants. */
struct noisy {
    vx_view y, x;
    int uniform;
    double scale;
    uint64_t seed, first;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        const uint64_t stream = vx_splitmix(seed, first + (uint64_t)row);
        float v[W];
        vx_read_some<W>(x, column, v);
        for (int i = 0; i < W; i++) {
            const uint64_t bits = vx_splitmix(stream, (uint64_t)(column + i));
            v[i] = uniform ? (float)((double)v[i] + scale * (2 * vx_uniform_of(bits) - 1))
                           : v[i] + (float)scale * (float)vx_normal_of(bits);
        }
        vx_write_some<W>(y, row * y.ld + column, v);
    }
};

/* ------------------------------------------------------------------------ ranges, sums ---- */

struct range_shared {
    float least[RANGE_WARPS], largest[RANGE_WARPS];
};

/* The least of the warp, or its negation's largest; a NaN is passed over. */
VX_DEVICE float warp_least(float x)
{
    VX_UNROLL
    for (int with = VX_WARP / 2; with > 0; with /= 2) {
        const float other = __shfl_xor_sync(VX_ALL_LANES, x, with);
        x = other < x ? other : x;
    }
    return x;
}

/* A block for each variant. */
__global__ void __launch_bounds__(RANGE_THREADS)
    mask_ranges(const __grid_constant__ vx_masks masks, const __grid_constant__ shift_list shifts,
                float *range, int n, int height, int width)
{
    range_shared &s = vx_shared<range_shared>();
    const int64_t plane = (int64_t)height * width;
    for (int64_t v = blockIdx.x; v < n; v += gridDim.x) {
        float least = INFINITY, most = INFINITY; /* of the values, of their negations */
        for (int64_t p = threadIdx.x; p < plane; p += RANGE_THREADS) {
            int64_t x;
            const int64_t y = vx_divide(p, width, &x);
            const float value = mask_value(masks, shifts, v, (int)y, (int)x);
            least = value < least ? value : least;
            most = -value < most ? -value : most;
        }
        least = warp_least(least);
        most = warp_least(most);
        if (vx_lane() == 0) {
            s.least[vx_warp()] = least;
            s.largest[vx_warp()] = -most;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            float low = s.least[0], high = s.largest[0];
            for (int w = 1; w < RANGE_WARPS; w++) {
                low = s.least[w] < low ? s.least[w] : low;
                high = s.largest[w] > high ? s.largest[w] : high;
            }
            range[2 * v] = low;
            range[2 * v + 1] = 1 / (high - low + 1e-8f);
        }
        __syncthreads(); /* before the next variant's are written */
    }
}

struct weight_list {
    double at[AT_ONCE];
};

/* Rows are those of the plane. */
struct mask_sums {
    double *sum;
    int width, n;
    vx_masks masks;
    weight_list weights;
    shift_list shifts;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        for (int i = 0; i < W; i++) {
            double *to = sum + row * width + column + i, all = *to;
            for (int v = 0; v < n; v++)
                all += weights.at[v] * (double)mask_of(masks, shifts, v, (int)row, (int)column + i);
            *to = all;
        }
    }
};

/* ------------------------------------------------------------------------- the host ---- */

/* The masks of variants v..v+count-1. */
vx_masks masks_from(const vx_masks *masks, int v, int count, shift_list *shifts)
{
    vx_masks part = *masks;
    part.samples += v * part.of_variant;
    part.range = part.range ? part.range + 2 * v : nullptr;
    part.shifts = nullptr;
    memset(shifts, 0, sizeof *shifts);
    if (masks->shifts)
        memcpy(shifts->at, masks->shifts + 2 * v, 2 * (size_t)count * sizeof *masks->shifts);
    return part;
}

int piece_of(int left, int most)
{
    return left < most ? left : most;
}

bool fours_of(const vx_blend *a)
{
    return vx_fours(vx_float_view(a->y, a->width)) && vx_fours(vx_float_view(a->to, a->width)) &&
           (!a->from || vx_fours(vx_float_view(a->from, a->width)));
}

blended blended_of(const vx_blend *a, int v)
{
    const int64_t picture = (int64_t)a->channels * a->height * a->width;
    return {vx_float_view(a->y + v * picture, a->width), vx_float_view(a->from, a->width),
            vx_float_view(a->to, a->width), a->channels, a->height};
}

void blend_by_values(vx_cuda *cuda, const vx_blend *a)
{
    for (int v = 0; v < a->n; v += VX_LIST) {
        const int count = piece_of(a->n - v, VX_LIST);
        by_values f = {blended_of(a, v), {}};
        memcpy(f.values.at, a->values + v, (size_t)count * sizeof *a->values);
        vx_queue_rows(cuda, "blend", f, (int64_t)count * a->height, a->width, fours_of(a));
    }
}

void blend_by_masks(vx_cuda *cuda, const vx_blend *a)
{
    for (int v = 0; v < a->n; v += AT_ONCE) {
        const int count = piece_of(a->n - v, AT_ONCE);
        by_masks f = {blended_of(a, v), {}, {}};
        f.masks = masks_from(&a->masks, v, count, &f.shifts);
        vx_queue_rows(cuda, "blend", f, (int64_t)count * a->height, a->width, fours_of(a));
    }
}

void blend_by_order(vx_cuda *cuda, const vx_blend *a)
{
    const blended f = blended_of(a, 0);
    const vx_view order = vx_float_view(a->order, a->width);
    vx_queue_rows(
        cuda, "blend", by_order{f.y, f.from, f.to, order, a->channels, a->height, a->first},
        (int64_t)a->n * a->channels * a->height, a->width, fours_of(a) && vx_fours(order));
}

} // namespace

extern "C" void vx_blend_cuda(vx_device *dev, const vx_blend *a)
{
    vx_cuda *const cuda = vx_cuda_of(dev);
    if (a->by == VX_BLEND_VALUES)
        blend_by_values(cuda, a);
    else if (a->by == VX_BLEND_MASKS)
        blend_by_masks(cuda, a);
    else
        blend_by_order(cuda, a);
}

extern "C" void vx_add_noise_cuda(vx_device *dev, const vx_add_noise *a)
{
    const noisy f = {vx_float_view(a->y, a->count),
                     vx_float_view(a->x, 0),
                     a->kind == VX_NOISE_UNIFORM,
                     a->scale,
                     a->seed,
                     a->first};
    vx_queue_rows(vx_cuda_of(dev), "add_noise", f, a->n, a->count, vx_fours(f.y) && vx_fours(f.x));
}

extern "C" void vx_mask_range_cuda(vx_device *dev, const vx_mask_range *a)
{
    for (int v = 0; v < a->n; v += AT_ONCE) {
        const int count = piece_of(a->n - v, AT_ONCE);
        shift_list shifts;
        const vx_masks masks = masks_from(&a->masks, v, count, &shifts);
        VX_LAUNCH(mask_ranges, vx_blocks((size_t)count, 1), RANGE_THREADS, sizeof(range_shared),
                  &vx_cuda_of(dev)->stream, masks, shifts, a->range + 2 * v, count, a->height,
                  a->width);
    }
}

extern "C" void vx_add_masks_cuda(vx_device *dev, const vx_add_masks *a)
{
    for (int v = 0; v < a->n; v += AT_ONCE) {
        mask_sums f = {a->sum, a->width, piece_of(a->n - v, AT_ONCE), {}, {}, {}};
        f.masks = masks_from(&a->masks, v, f.n, &f.shifts);
        memcpy(f.weights.at, a->weights + v, (size_t)f.n * sizeof *a->weights);
        vx_queue_rows(vx_cuda_of(dev), "add_masks", f, a->height, a->width, false);
    }
}
