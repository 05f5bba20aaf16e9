/*
 * kernels/cpu/rows_vec.h: what runs along rows, written once for every vector width.
 *
 * Included by the kernels_<isa>.c files (isa.def). The last lanes of a row are
 * loaded and stored by masks: nothing beyond the row is touched.
 */
#ifndef VX_CPU_ROWS_VEC_H
#define VX_CPU_ROWS_VEC_H

#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec_math.h"

#define VX_PASTE_(a, b, c) a##b##_##c
#define VX_PASTE(a, b, c) VX_PASTE_(a, b, c)
#define VX_NAME(op) VX_PASTE(vx_, op, VX_ISA_NAME)

/* ------------------------------------------------------------------- activation, epilogue -- */

/* In each loop the last vector may be a part of one: the math, which is long, stands here once. */
VX_INLINE void epilogue_with(const vx_epilogue *e, vx_act act)
{
    for (int i = 0; i < e->m; i++) {
        const float *c = e->c + (size_t)i * (size_t)e->ldc;
        const float *r = e->residual ? e->residual + (size_t)i * (size_t)e->ldr : NULL;
        float *y = e->y + (size_t)i * (size_t)e->ldy;
        for (int j = 0; j < e->n; j += VL) {
            const size_t left = (size_t)(e->n - j);
            vf v = v_load_most(c + j, left);
            v = v_act(e->bias ? v + v_load_most(e->bias + j, left) : v, act);
            v = e->gamma ? v * v_load_most(e->gamma + j, left) : v;
            v_store_most(y + j, r ? v + v_load_most(r + j, left) : v, left);
        }
    }
}

static void VX_NAME(epilogue)(const vx_epilogue *e)
{
    switch (e->act) {
    case VX_ACT_GELU:
        epilogue_with(e, VX_ACT_GELU);
        break;
    case VX_ACT_GELU_TANH:
        epilogue_with(e, VX_ACT_GELU_TANH);
        break;
    case VX_ACT_QUICK_GELU:
        epilogue_with(e, VX_ACT_QUICK_GELU);
        break;
    case VX_ACT_RELU:
        epilogue_with(e, VX_ACT_RELU);
        break;
    default:
        epilogue_with(e, VX_ACT_NONE);
    }
}

/* An epilogue of nothing else. */
static void VX_NAME(activate)(vx_device *dev, const vx_activate *a)
{
    enum { PIECE = 1 << 24 };
    (void)dev;
    for (int64_t i = 0; i < a->count; i += PIECE) {
        const int64_t left = a->count - i;
        VX_NAME(epilogue)
        (&(vx_epilogue){.y = a->y + i,
                        .c = a->x + i,
                        .act = a->act,
                        .m = 1,
                        .n = left < PIECE ? (int)left : PIECE});
    }
}

VX_INLINE void slope_with(float *y, const float *x, vx_act act, size_t n)
{
    for (size_t i = 0; i < n; i += VL)
        v_store_most(y + i, v_load_most(y + i, n - i) * v_act_slope(v_load_most(x + i, n - i), act),
                     n - i);
}

static void VX_NAME(slope)(float *y, const float *x, vx_act act, size_t n)
{
    switch (act) {
    case VX_ACT_GELU:
        slope_with(y, x, VX_ACT_GELU, n);
        break;
    case VX_ACT_GELU_TANH:
        slope_with(y, x, VX_ACT_GELU_TANH, n);
        break;
    case VX_ACT_QUICK_GELU:
        slope_with(y, x, VX_ACT_QUICK_GELU, n);
        break;
    case VX_ACT_RELU:
        slope_with(y, x, VX_ACT_RELU, n);
        break;
    default:
        break;
    }
}

static void VX_NAME(swiglu_row)(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        const vf u = v_load_most(x + i, n - i);
        v_store_most(y + i, u * v_sigmoid(u) * v_load_most(x + n + i, n - i), n - i);
    }
}

VX_INLINE vf swiglu_slopes(vf *du, vf dy, vf u, vf v)
{
    vf slope;
    const vf s = v_sigmoid_and_slope(u, &slope);
    *du = dy * v * v_fma(u, slope, s);
    return dy * (u * s);
}

static void VX_NAME(swiglu_bwd_row)(float *dx, const float *dy, const float *x, size_t n)
{
    vf du;
    for (size_t i = 0; i < n; i += VL) {
        const size_t left = n - i;
        const vf dv = swiglu_slopes(&du, v_load_most(dy + i, left), v_load_most(x + i, left),
                                    v_load_most(x + n + i, left));
        v_store_most(dx + i, du, left);
        v_store_most(dx + n + i, dv, left);
    }
}

/* Pairs that lie beside each other: the compiler knows how to take them apart. */
VX_INLINE void rotate_beside(float *x, const float *table, float sign, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float c = table[i], s = sign * table[n + i], u = x[2 * i], v = x[2 * i + 1];
        x[2 * i] = u * c - v * s;
        x[2 * i + 1] = u * s + v * c;
    }
}

static void VX_NAME(rotate_head)(float *x, const float *table, int half, int inverse, size_t n)
{
    const float sign = inverse ? -1.0f : 1.0f;
    const vf signs = v_set(sign);
    size_t i = 0;
    if (!half) {
        rotate_beside(x, table, sign, n);
        return;
    }
    for (; i + VL <= n; i += VL) {
        const vf c = v_load(table + i), s = signs * v_load(table + n + i);
        const vf u = v_load(x + i), v = v_load(x + n + i);
        v_store(x + i, u * c - v * s);
        v_store(x + n + i, u * s + v * c);
    }
    const int left = (int)(n - i);
    if (left) {
        const vf c = v_load_n(table + i, left, 0), s = signs * v_load_n(table + n + i, left, 0);
        const vf u = v_load_n(x + i, left, 0), v = v_load_n(x + n + i, left, 0);
        v_store_n(x + i, u * c - v * s, left);
        v_store_n(x + n + i, u * s + v * c, left);
    }
}

/* ------------------------------------------------------------------------ norm, softmax ---- */

VX_INLINE double row_mean(const float *x, int n)
{
    vd low = {0}, high = {0};
    int i = 0;
    for (; i + VL <= n; i += VL) {
        const vf v = v_load(x + i);
        low += v_low(v);
        high += v_high(v);
    }
    double sum = v_sum_double(low + high);
    for (; i < n; i++)
        sum += x[i];
    return sum / n;
}

VX_INLINE double row_variance(const float *x, int n, double mean)
{
    vd low = {0}, high = {0};
    int i = 0;
    for (; i + VL <= n; i += VL) {
        const vf v = v_load(x + i);
        const vd a = v_low(v) - mean, b = v_high(v) - mean;
        low += a * a;
        high += b * b;
    }
    double sum = v_sum_double(low + high);
    for (; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum / n;
}

/* Mean and variance in double: three passes over a row that lies in the first cache cost little
 * beside the products, and rows of one value or of large values need no care. */
VX_INLINE void layernorm_row(const vx_layernorm *a, float *y, const float *x, const float *add)
{
    const int n = a->n;
    const float *w = a->weight, *bias = a->bias;
    const double mean = a->rms ? 0 : row_mean(x, n);
    const float scale = (float)(1 / sqrt(row_variance(x, n, mean) + (double)a->eps));
    const float head = (float)mean, rest = (float)(mean - head);
    int j = 0;
    for (; j + VL <= n; j += VL) {
        const vf v = (v_load(x + j) - head - rest) * scale;
        const vf u = v_fma(v, v_load(w + j), bias ? v_load(bias + j) : v_set(0));
        v_store(y + j, add ? v_load(add + j) + u : u);
    }
    const int left = n - j;
    if (left) {
        const vf v = (v_load_n(x + j, left, 0) - head - rest) * scale;
        const vf b = bias ? v_load_n(bias + j, left, 0) : v_set(0);
        const vf u = v_fma(v, v_load_n(w + j, left, 0), b);
        v_store_n(y + j, add ? v_load_n(add + j, left, 0) + u : u, left);
    }
}

static void VX_NAME(layernorm)(vx_device *dev, const vx_layernorm *a)
{
    (void)dev;
    const int n = a->n, groups = vx_groups(a->groups);
    for (int i = 0; i < a->m * groups; i++) {
        const int row = i / groups, part = i % groups * n;
        layernorm_row(a, a->y + (ptrdiff_t)row * a->ldy + part,
                      a->x + (ptrdiff_t)row * a->ldx + part,
                      a->residual ? a->residual + (ptrdiff_t)row * a->ldr + part : NULL);
    }
}

/* Where weight * dy stands against its row: what layernorm's derivative needs of it. */
typedef struct norm_sums {
    double mean, scale;  /* of x: mean, 1 / sqrt(var + eps) */
    double of_u, of_dot; /* mean(u), mean(u (x - mean)), u = weight * dy */
} norm_sums;

VX_INLINE norm_sums norm_sums_of(const vx_layernorm_bwd *a, const float *dy, const float *x)
{
    const int n = a->n;
    const float *w = a->weight;
    norm_sums s = {a->rms ? 0 : row_mean(x, n), 0, 0, 0};
    vd var = {0}, u_sum = {0}, dot = {0};
    int i = 0;
    for (; i + VL <= n; i += VL) {
        const vf v = v_load(x + i), u = v_load(w + i) * v_load(dy + i);
        const vd c0 = v_low(v) - s.mean, c1 = v_high(v) - s.mean, u0 = v_low(u), u1 = v_high(u);
        var = v_fma_double(c0, c0, v_fma_double(c1, c1, var));
        dot = v_fma_double(c0, u0, v_fma_double(c1, u1, dot));
        u_sum += u0 + u1;
    }
    double var_rest = 0;
    for (; i < n; i++) {
        const double c = x[i] - s.mean, u = w[i] * dy[i];
        var_rest += c * c;
        s.of_dot += c * u;
        s.of_u += u;
    }
    s.scale = 1 / sqrt((v_sum_double(var) + var_rest) / n + (double)a->eps);
    s.of_u = a->rms ? 0 : (s.of_u + v_sum_double(u_sum)) / n;
    s.of_dot = (s.of_dot + v_sum_double(dot)) / n;
    return s;
}

/* dx = u scale - (x - mean) factor - shift, which is the formula of struct vx_layernorm_bwd; mean
 * and shift in two parts each. */
static void VX_NAME(layernorm_bwd_row)(const vx_layernorm_bwd *a, float *dx, const float *dy,
                                       const float *x)
{
    const norm_sums s = norm_sums_of(a, dy, x);
    const float *w = a->weight;
    const float mean = (float)s.mean, mean_rest = (float)(s.mean - mean);
    const float u_mean = (float)s.of_u, u_rest = (float)(s.of_u - u_mean);
    const float scale = (float)s.scale, factor = (float)(s.of_dot * s.scale * s.scale);
    int i = 0;
    for (; i + VL <= a->n; i += VL) {
        const vf c = v_load(x + i) - mean - mean_rest;
        const vf u = v_load(w + i) * v_load(dy + i) - u_mean - u_rest;
        const vf d = v_fma(c, v_set(-factor), u) * scale;
        v_store(dx + i, a->accumulate ? v_load(dx + i) + d : d);
    }
    const int left = a->n - i;
    if (left) {
        const vf c = v_load_n(x + i, left, 0) - mean - mean_rest;
        const vf u = v_load_n(w + i, left, 0) * v_load_n(dy + i, left, 0) - u_mean - u_rest;
        const vf d = v_fma(c, v_set(-factor), u) * scale;
        v_store_n(dx + i, a->accumulate ? v_load_n(dx + i, left, 0) + d : d, left);
    }
}

VX_INLINE float row_max(const float *x, int n)
{
    vf a = v_set(-INFINITY), b = a;
    int i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        a = v_max(a, v_load(x + i));
        b = v_max(b, v_load(x + i + VL));
    }
    for (; i + VL <= n; i += VL)
        a = v_max(a, v_load(x + i));
    if (i < n)
        a = v_max(a, v_load_n(x + i, n - i, -INFINITY));
    return v_largest(v_max(a, b));
}

/* A NaN in a row, +infinity, or nothing but -infinity makes the whole row NaN, as the formula. */
static void VX_NAME(softmax)(vx_device *dev, const vx_softmax *a)
{
    (void)dev;
    const int n = a->n;
    const float *x = a->x;
    float *y = a->y;
    const int whole = n - n % VL, left = n % VL;
    for (int i = 0; i < a->m; i++, x += n, y += n) {
        const float max = row_max(x, n);
        vf sum = {0};
        for (int j = 0; j < whole; j += VL) {
            const vf e = v_exp_neg(v_load(x + j) - max);
            v_store(y + j, e);
            sum += e;
        }
        vf last = {0};
        if (left) {
            last = v_exp_neg(v_load_n(x + whole, left, -INFINITY) - max);
            sum += last;
        }
        const float scale = 1 / v_sum(sum);
        for (int j = 0; j < whole; j += VL)
            v_store(y + j, v_load(y + j) * scale);
        if (left)
            v_store_n(y + whole, last * scale, left);
    }
}

VX_INLINE double row_dot(const float *a, const float *b, int n)
{
    vd low = {0}, high = {0};
    int i = 0;
    for (; i + VL <= n; i += VL) {
        const vf x = v_load(a + i), y = v_load(b + i);
        low = v_fma_double(v_low(x), v_low(y), low);
        high = v_fma_double(v_high(x), v_high(y), high);
    }
    const int left = n - i;
    if (left) {
        const vf x = v_load_n(a + i, left, 0), y = v_load_n(b + i, left, 0);
        low = v_fma_double(v_low(x), v_low(y), low);
        high = v_fma_double(v_high(x), v_high(y), high);
    }
    return v_sum_double(low + high);
}

/* The sum in double: what it is subtracted from is of its size. */
static void VX_NAME(softmax_bwd)(float *ds, const float *p, const float *dp, float scale, int m,
                                 int n)
{
    for (int i = 0; i < m; i++, ds += n, p += n, dp += n) {
        const float dot = (float)row_dot(p, dp, n);
        int j = 0;
        for (; j + VL <= n; j += VL)
            v_store(ds + j, v_load(p + j) * scale * (v_load(dp + j) - dot));
        const int left = n - j;
        if (left)
            v_store_n(ds + j, v_load_n(p + j, left, 0) * scale * (v_load_n(dp + j, left, 0) - dot),
                      left);
    }
}

/* ------------------------------------------------------------------- recorded attention ---- */

VX_INLINE vf fuse_lanes(vf acc, vf x, vx_fuse fuse)
{
    if (fuse == VX_FUSE_MEAN)
        return acc + x;
    return v_keep_nan(acc, fuse == VX_FUSE_MAX ? v_max(acc, x) : v_min(acc, x));
}

VX_INLINE void fuse_with(float *acc, const void *x, vx_store store, size_t n, vx_fuse fuse)
{
    const float *single = x;
    const uint16_t *half = x;
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        const vf v = store == VX_STORE_F16 ? v_load_half(half + i) : v_load(single + i);
        v_store(acc + i, fuse_lanes(v_load(acc + i), v, fuse));
    }
    const int left = (int)(n - i);
    if (left) {
        const vf v =
            store == VX_STORE_F16 ? v_load_half_n(half + i, left) : v_load_n(single + i, left, 0);
        v_store_n(acc + i, fuse_lanes(v_load_n(acc + i, left, 0), v, fuse), left);
    }
}

static void VX_NAME(fuse)(float *acc, const void *x, vx_store store, size_t n, vx_fuse fuse)
{
    if (fuse == VX_FUSE_MEAN)
        fuse_with(acc, x, store, n, VX_FUSE_MEAN);
    else if (fuse == VX_FUSE_MAX)
        fuse_with(acc, x, store, n, VX_FUSE_MAX);
    else
        fuse_with(acc, x, store, n, VX_FUSE_MIN);
}

static void VX_NAME(convert)(void *dst, vx_store to, const void *src, vx_store from, float scale,
                             size_t n)
{
    const float *single = src;
    const uint16_t *half = src;
    float *single_out = dst;
    uint16_t *half_out = dst;
    size_t i = 0;
    for (; i + VL <= n; i += VL) {
        const vf v = (from == VX_STORE_F16 ? v_load_half(half + i) : v_load(single + i)) * scale;
        if (to == VX_STORE_F16)
            v_store_half(half_out + i, v);
        else
            v_store(single_out + i, v);
    }
    const int left = (int)(n - i);
    if (left) {
        const vf v = scale * (from == VX_STORE_F16 ? v_load_half_n(half + i, left)
                                                   : v_load_n(single + i, left, 0));
        if (to == VX_STORE_F16)
            v_store_half_n(half_out + i, v, left);
        else
            v_store_n(single_out + i, v, left);
    }
}

/* ------------------------------------------------------------------------------ rollout ---- */

/* The sum of a row of f + I. */
VX_INLINE float rollout_sum(const float *f, int n)
{
    vf sum = {0};
    int i = 0;
    for (; i + VL <= n; i += VL)
        sum += v_load(f + i);
    if (i < n)
        sum += v_load_n(f + i, n - i, 0);
    return v_sum(sum) + 1;
}

VX_INLINE void add_scaled(float *y, const float *x, float scale, int n)
{
    int i = 0;
    for (; i + VL <= n; i += VL)
        v_store(y + i, v_fma(v_load(x + i), v_set(scale), v_load(y + i)));
    if (i < n)
        v_store_n(y + i, v_fma(v_load_n(x + i, n - i, 0), v_set(scale), v_load_n(y + i, n - i, 0)),
                  n - i);
}

static void VX_NAME(rollout_step)(vx_device *dev, const vx_rollout_step *a)
{
    (void)dev;
    const int tokens = a->tokens;
    const float *row = a->row, *f = a->f;
    float *out = a->out;
    const size_t step = (size_t)tokens;
    for (int p = 0; p < a->batch; p++, out += tokens, row += tokens, f += step * step) {
        memset(out, 0, step * sizeof *out);
        for (int i = 0; i < tokens; i++) {
            const float *fi = f + (size_t)i * step;
            const float scale = a->norm == VX_NORM_ROWS ? row[i] / rollout_sum(fi, tokens) : row[i];
            add_scaled(out, fi, scale, tokens);
            out[i] += scale;
        }
        for (int i = 0; i < tokens && a->norm == VX_NORM_COLUMNS; i++)
            out[i] /= rollout_sum(f + (size_t)i * step, tokens);
    }
}

#endif
