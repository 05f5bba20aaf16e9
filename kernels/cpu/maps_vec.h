/*
 * kernels/cpu/maps_vec.h: what methods make of gradients, for every vector width.
 *
 * Sums over tokens, samples and channels may cancel, and XGrad-CAM divides by one: they are taken
 * in double. These operations read each number once or twice, so memory is what they wait for.
 */
#ifndef VX_CPU_MAPS_VEC_H
#define VX_CPU_MAPS_VEC_H

#include "kernels/cpu/rows_vec.h"

/* ------------------------------------------------------------------ attention's gradient --- */

static void VX_NAME(product)(float *acc, const float *p, const float *dp, vx_product kind, size_t n)
{
    const vf floor = v_set(kind == VX_PRODUCT_RELU_MEAN ? 0 : -INFINITY);
    for (size_t i = 0; i < n; i += VL) {
        const vf v = v_load_most(p + i, n - i) * v_load_most(dp + i, n - i);
        v_store_most(acc + i, v_load_most(acc + i, n - i) + v_max(floor, v), n - i);
    }
}

static void VX_NAME(scaled_relu)(float *y, const float *x, float scale, size_t n)
{
    for (size_t i = 0; i < n; i += VL)
        v_store_most(y + i, v_max((vf){0}, v_load_most(x + i, n - i) * scale), n - i);
}

VX_INLINE void add_doubles(double *acc, vf x)
{
    vd low, high;
    memcpy(&low, acc, sizeof low);
    memcpy(&high, acc + VL / 2, sizeof high);
    low += v_low(x);
    high += v_high(x);
    memcpy(acc, &low, sizeof low);
    memcpy(acc + VL / 2, &high, sizeof high);
}

VX_INLINE vf relu_at(const float *x, size_t n)
{
    return v_max((vf){0}, v_load_most(x, n));
}

/* Four rows are added up in single precision, these sums in double. */
static void VX_NAME(relu_sums)(double *acc, const float *x, size_t ld, size_t rows, size_t n)
{
    size_t row = 0;
    for (; row + 4 <= rows; row += 4, x += 4 * ld) {
        size_t i = 0;
        for (; i + VL <= n; i += VL)
            add_doubles(acc + i, (relu_at(x + i, VL) + relu_at(x + ld + i, VL)) +
                                     (relu_at(x + 2 * ld + i, VL) + relu_at(x + 3 * ld + i, VL)));
        for (; i < n; i++)
            for (size_t r = 0; r < 4; r++)
                acc[i] += x[r * ld + i] < 0 ? 0 : (double)x[r * ld + i];
    }
    for (; row < rows; row++, x += ld)
        for (size_t i = 0; i < n; i++)
            acc[i] += x[i] < 0 ? 0 : (double)x[i];
}

/* ------------------------------------------------------------------------------- tokens ---- */

typedef struct pair {
    vd low, high; /* VL numbers */
} pair;

VX_INLINE pair pair_at(const float *x, size_t n)
{
    const vf v = v_load_most(x, n);
    return (pair){v_low(v), v_high(v)};
}

/* A term of VX_CAM_PLUSPLUS; nothing where d <= 0. */
VX_INLINE vd plusplus(vd d, vd sum_a)
{
    const vd square = d * d;
    const vd w = d * square / (2 * square + sum_a * square * d + 1e-6);
    return (vd)((vl)w & ~(d <= 0));
}

/* The weights of up to VL channels. */
VX_INLINE pair weigh(const float *a, const float *g, vx_cam kind, size_t ld, size_t tokens,
                     size_t n)
{
    pair of_a = {{0}, {0}}, of_g = of_a, of_ga = of_a, w = of_a;
    for (size_t t = 0; t < tokens; t++) {
        const pair x = pair_at(a + t * ld, n), d = pair_at(g + t * ld, n);
        of_a = (pair){of_a.low + x.low, of_a.high + x.high};
        of_g = (pair){of_g.low + d.low, of_g.high + d.high};
        of_ga.low = v_fma_double(x.low, d.low, of_ga.low);
        of_ga.high = v_fma_double(x.high, d.high, of_ga.high);
    }
    if (kind == VX_CAM_GRADCAM)
        return (pair){of_g.low / (double)tokens, of_g.high / (double)tokens};
    if (kind == VX_CAM_XGRAD)
        return (pair){of_ga.low / (of_a.low + 1e-7), of_ga.high / (of_a.high + 1e-7)};
    for (size_t t = 0; t < tokens; t++) {
        const pair d = pair_at(g + t * ld, n);
        w.low += plusplus(d.low, of_a.low);
        w.high += plusplus(d.high, of_a.high);
    }
    return w;
}

static void VX_NAME(cam_weights)(double *w, const float *a, const float *g, vx_cam kind, size_t ld,
                                 size_t tokens, size_t n)
{
    for (size_t c = 0; c < n; c += VL) {
        const pair here = weigh(a + c, g + c, kind, ld, tokens, n - c);
        memcpy(w + c, &here, (n - c < VL ? n - c : VL) * sizeof *w);
    }
}

/* What up to VL channels of a token add to the map. */
VX_INLINE pair cam_terms(const double *w, const float *a, const float *g, vx_cam kind, size_t n)
{
    const pair x = pair_at(a, n);
    pair d = {{0}, {0}};
    if (kind <= VX_CAM_XGRAD)
        memcpy(&d, w, (n < VL ? n : VL) * sizeof *w);
    else
        d = pair_at(g, n);
    if (kind == VX_CAM_LAYER)
        d = (pair){v_above_0(d.low), v_above_0(d.high)};
    const pair terms = {d.low * x.low, d.high * x.high};
    if (kind == VX_CAM_ELEMENTWISE)
        return (pair){v_above_0(terms.low), v_above_0(terms.high)};
    return terms;
}

static double VX_NAME(cam_token)(const double *w, const float *a, const float *g, vx_cam kind,
                                 size_t n)
{
    vd low = {0}, high = {0};
    for (size_t c = 0; c < n; c += VL) {
        const pair terms =
            cam_terms(kind <= VX_CAM_XGRAD ? w + c : NULL, a + c, g + c, kind, n - c);
        low += terms.low;
        high += terms.high;
    }
    return v_sum_double(low + high);
}

VX_INLINE pair value_at(const float *a, const float *g, size_t at, size_t n)
{
    const pair x = pair_at(a + at, n);
    if (!g)
        return x;
    const pair d = pair_at(g + at, n);
    return (pair){x.low * d.low, x.high * d.high};
}

static void VX_NAME(centre)(float *y, size_t ldy, const float *a, const float *g, size_t lda,
                            size_t tokens, size_t n)
{
    for (size_t c = 0; c < n; c += VL) {
        pair mean = {{0}, {0}};
        for (size_t t = 0; t < tokens; t++) {
            const pair x = value_at(a, g, t * lda + c, n - c);
            mean = (pair){mean.low + x.low, mean.high + x.high};
        }
        mean = (pair){mean.low / (double)tokens, mean.high / (double)tokens};
        for (size_t t = 0; t < tokens; t++) {
            const pair x = value_at(a, g, t * lda + c, n - c);
            v_store_most(y + t * ldy + c, v_narrow(x.low - mean.low, x.high - mean.high), n - c);
        }
    }
}

/* ------------------------------------------------------------------ samples and channels --- */

static void VX_NAME(weighted_sums)(float *sum, const float *x, const float *weights, int squared,
                                   int s, size_t step, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        pair acc = pair_at(sum + i, n - i);
        for (int k = 0; k < s; k++) {
            pair v = pair_at(x + (size_t)k * step + i, n - i);
            if (squared)
                v = (pair){v.low * v.low, v.high * v.high};
            const vd w = (double)weights[k] - (vd){0};
            acc.low = v_fma_double(v.low, w, acc.low);
            acc.high = v_fma_double(v.high, w, acc.high);
        }
        v_store_most(sum + i, v_narrow(acc.low, acc.high), n - i);
    }
}

/* One more channel. */
VX_INLINE vd reduce(vd so_far, vd v, vx_reduce kind)
{
    const vd size = (vd)((vl)v & INT64_MAX);
    switch (kind) {
    case VX_REDUCE_MAX: { /* a NaN stays */
        const vl larger = (size > so_far) | (size != size);
        return (vd)(((vl)size & larger) | ((vl)so_far & ~larger));
    }
    case VX_REDUCE_SUM:
        return so_far + v;
    case VX_REDUCE_L2:
        return v_fma_double(v, v, so_far);
    default:
        return so_far + size;
    }
}

VX_INLINE void reduced_with(float *out, const float *g, const float *x, vx_reduce kind, int c,
                            size_t step, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        pair v = {{0}, {0}};
        for (int k = 0; k < c; k++) {
            const pair one = value_at(g, x, (size_t)k * step + i, n - i);
            v = (pair){reduce(v.low, one.low, kind), reduce(v.high, one.high, kind)};
        }
        if (kind == VX_REDUCE_MEAN)
            v = (pair){v.low / (double)c, v.high / (double)c};
        if (kind == VX_REDUCE_L2)
            v = (pair){v_sqrt(v.low), v_sqrt(v.high)};
        v_store_most(out + i, v_narrow(v.low, v.high), n - i);
    }
}

static void VX_NAME(reduced)(float *out, const float *g, const float *x, vx_reduce kind, int c,
                             size_t step, size_t n)
{
    switch (kind) {
    case VX_REDUCE_MAX:
        reduced_with(out, g, x, VX_REDUCE_MAX, c, step, n);
        break;
    case VX_REDUCE_SUM:
        reduced_with(out, g, x, VX_REDUCE_SUM, c, step, n);
        break;
    case VX_REDUCE_L1:
        reduced_with(out, g, x, VX_REDUCE_L1, c, step, n);
        break;
    case VX_REDUCE_MEAN:
        reduced_with(out, g, x, VX_REDUCE_MEAN, c, step, n);
        break;
    default:
        reduced_with(out, g, x, VX_REDUCE_L2, c, step, n);
    }
}

#endif
