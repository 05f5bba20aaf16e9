/*
 * kernels/cpu/vec_math.h: the exponential and the activations, on vectors.
 *
 * The coefficients are least-maximum fits made by tools/fit_kernels.py; the errors given here are
 * measured over all floats by test/test_kernels.c. Results below 2^-126 may be 0.
 */
#ifndef VX_CPU_VEC_MATH_H
#define VX_CPU_VEC_MATH_H

#include "kernels/cpu/vec.h"
#include "kernels/ops.h"

/*
 * exp(x) for x <= 0, relative error below 2e-7; NaN for NaN, 0 below -87.3 (2^-126).
 * x = k ln2 + r, |r| <= ln2/2; exp(r) = 1 + r + r^2 q(r); 2^k by its exponent bits. Adding 1.5*2^23
 * rounds to a whole number and leaves it in the low bits.
 */
VX_INLINE vf v_exp_rest(vf x, vf k) /* exp(x - k ln2) */
{
    vf r = v_fma(k, v_set(-0.693145752f), x); /* ln2 in two parts, the first of 16 bits */
    r = v_fma(k, v_set(-1.42860677e-6f), r);
    vf q = v_set(0.0013814597623422742f);
    q = v_fma(q, r, v_set(0.008368716575205326f));
    q = v_fma(q, r, v_set(0.04166838899254799f));
    q = v_fma(q, r, v_set(0.1666652113199234f));
    q = v_fma(q, r, v_set(0.4999999403953552f));
    return v_fma(r * r, q, r) + 1.0f;
}

VX_INLINE vf v_exp_neg(vf x)
{
    const vf clamped = v_max(v_set(-87.33654f), x);
    const vf shifted = v_fma(clamped, v_set(1.44269504f), v_set(12582912.0f));
    const vf e = v_exp_rest(clamped, shifted - 12582912.0f);
    const vf power = (vf)(((vu)shifted << 23) + 0x3f800000u);
    return v_select_less(x, v_set(-87.33654f), (vf){0}, e * power);
}

/* exp(x) as v_exp_neg, also for x that rounding has made larger than 0. */
VX_INLINE vf v_exp_below(vf x)
{
#if VX_VECTOR_BITS == 512
    const vf shifted = v_fma(x, v_set(1.44269504f), v_set(12582912.0f));
    const vf e = v_exp_rest(x, shifted - 12582912.0f);
    const vf power = (vf)(((vu)shifted << 23) + 0x3f800000u);
    return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(x, v_set(-87.33654f), _CMP_NLT_UQ), e, power);
#else
    return v_exp_neg(x);
#endif
}

#if VX_VECTOR_BITS == 512
/* 2^x for x <= 0, relative error below 2e-7; NaN for NaN. x = k + f, 0 <= f < 1, 2^f = 1 + f q(f),
 * by instructions that take k and f out of x and multiply by 2^k. */
VX_INLINE vf v_exp2_below(vf x)
{
    const vf f = _mm512_reduce_ps(x, 1);
    vf q = v_set(0.0018671309808269143f);
    q = v_fma(q, f, v_set(0.009017027914524078f));
    q = v_fma(q, f, v_set(0.05579991638660431f));
    q = v_fma(q, f, v_set(0.24016444385051727f));
    q = v_fma(q, f, v_set(0.6931512951850891f));
    return _mm512_scalef_ps(v_fma(q, f, v_set(1)), x);
}
#endif

/* The largest of a row. */
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

/*
 * The normal distribution function Phi(x) = (1 + erf(x/sqrt 2)) / 2; erf to 5e-7 absolute, Phi to
 * 5e-7 relative, also in the left tail down to x = -13 (4e-6 without fused multiply-add).
 * Phi(-a) = exp(-a^2/2) t P(t), t = 1/(1 + 0.305 a), a = |x| (the form of Abramowitz & Stegun
 * 7.1.26, with more terms). a^2 in two parts, since its rounding error would be multiplied by
 * a^2/2.
 */
VX_INLINE vf v_phi_and_density(vf x, vf *density /* exp(-x^2/2) */)
{
    const vf a = v_min(v_set(14.5f), v_abs(x));
    const vf t = 1.0f / v_fma(a, v_set(0.305f), v_set(1.0f));
    vf p = v_set(0.03663887083530426f);
    p = v_fma(p, t, v_set(-0.15274611115455627f));
    p = v_fma(p, t, v_set(0.18531496822834015f));
    p = v_fma(p, t, v_set(-0.03762071579694748f));
    p = v_fma(p, t, v_set(0.1208404153585434f));
    p = v_fma(p, t, v_set(0.10347368568181992f));
    p = v_fma(p, t, v_set(0.12245868146419525f));
    p = v_fma(p, t, v_set(0.12164024263620377f));
    const vf square = a * a, rest = v_fma(a, a, -square);
    *density = v_exp_neg(square * -0.5f);
    vf tail = p * t * *density;
    tail = v_fma(tail * -0.5f, rest, tail);
    return v_select_less(x, (vf){0}, tail, 1.0f - tail);
}

VX_INLINE vf v_phi(vf x)
{
    vf density;
    return v_phi_and_density(x, &density);
}

/* 1 / (1 + exp(-x)), from the side that cannot overflow. */
VX_INLINE vf v_sigmoid_and_slope(vf x, vf *slope)
{
    const vf e = v_exp_neg(-v_abs(x)), s = 1.0f / (e + 1.0f);
    *slope = e * s * s;
    return v_select_less(x, (vf){0}, e * s, s);
}

VX_INLINE vf v_sigmoid(vf x)
{
    vf slope;
    return v_sigmoid_and_slope(x, &slope);
}

/* See enum vx_act. `act` is a constant where this is used, so one case remains. */
VX_INLINE vf v_act(vf x, vx_act act)
{
    switch (act) {
    case VX_ACT_GELU:
        return x * v_phi(x);
    case VX_ACT_GELU_TANH: /* (1 + tanh u) / 2 = sigmoid(2 u) */
        return x * v_sigmoid(x * v_fma(x * x, v_set(0.07135481282f), v_set(1.5957691216f)));
    case VX_ACT_QUICK_GELU:
        return x * v_sigmoid(x * 1.702f);
    case VX_ACT_RELU:
        return v_max((vf){0}, x);
    default:
        return x;
    }
}

/* Phi(x), or what takes its place, = 1/2 + x P(u) for |x| < cut, u = 2 (x / cut)^2 - 1 in -1..1;
 * beyond it 0 or 1. There is no division and no exponential. */
VX_INLINE vf v_near_phi(vf x, float cut, const float *p, int degree)
{
    const vf within = v_max(v_set(-cut), v_min(v_set(cut), x));
    const vf u = v_fma(within * within, v_set(2 / (cut * cut)), v_set(-1));
    vf sum = v_set(p[degree]);
#pragma GCC unroll 16
    for (int i = degree - 1; i >= 0; i--)
        sum = v_fma(sum, u, v_set(p[i]));
    return v_max((vf){0}, v_min(v_set(1), v_fma(within, sum, v_set(0.5f))));
}

/* v_act for what is multiplied in a narrower format: off by 1.4e-6, or by 2e-7 of the value, at
 * most. */
VX_INLINE vf v_near_act(vf x, vx_act act)
{
    static const float gelu[] = {
        0.12625963985919952f,   -0.06305127590894699f,   0.04698001965880394f,
        -0.038345545530319214f, 0.031989242881536484f,   -0.026320215314626694f,
        0.02078304812312126f,   -0.01565413735806942f,   0.011587838642299175f,
        -0.007987932302057743f, 0.004184359684586525f,   -0.001938577159307897f,
        0.0018587061204016209f, -0.0015286528505384922f, 0.00046923206537030637f};
    static const float gelu_tanh[] = {
        0.14137855172157288f,   -0.0703660249710083f,   0.05165700986981392f,
        -0.040535371750593185f, 0.03134695068001747f,   -0.023066462948918343f,
        0.01605958677828312f,   -0.010310591198503971f, 0.005686732940375805f,
        -0.003246667794883251f, 0.0027757990173995495f, -0.0019427811494097114f,
        0.000563299108762294f};
    if (act == VX_ACT_GELU)
        return x * v_near_phi(x, 5.6f, gelu, 14);
    if (act == VX_ACT_GELU_TANH)
        return x * v_near_phi(x, 5.0f, gelu_tanh, 12);
    return v_act(x, act);
}

/* The derivative of an activation. */
VX_INLINE vf v_act_slope(vf x, vx_act act)
{
    vf slope;
    switch (act) {
    case VX_ACT_GELU: { /* Phi(x) + x phi(x) */
        const vf phi = v_phi_and_density(x, &slope);
        return v_fma(x, slope * 0.3989422804f, phi);
    }
    case VX_ACT_GELU_TANH: { /* s(2u) + x 2u' s'(2u); s' is 0 where x is cut, but x^3 infinite */
        const vf cut = v_max(v_set(-20), v_min(v_set(20), x)), square = cut * cut;
        const vf s = v_sigmoid_and_slope(
            cut * v_fma(square, v_set(0.07135481282f), v_set(1.5957691216f)), &slope);
        return v_fma(x, slope * v_fma(square, v_set(0.2140644385f), v_set(1.5957691216f)), s);
    }
    case VX_ACT_QUICK_GELU: {
        const vf s = v_sigmoid_and_slope(x * 1.702f, &slope);
        return v_fma(x, slope * 1.702f, s);
    }
    case VX_ACT_RELU:
        return v_keep_nan(x, v_select_less((vf){0}, x, v_set(1), (vf){0}));
    default:
        return v_set(1);
    }
}

#endif
