/*
 * kernels/cuda/act.h: activations and their derivatives (enum vx_act in kernels/ops.h), good to a
 * few roundings of a float. NaN gives NaN; infinities do what the formula in double does.
 */
#ifndef VX_CUDA_ACT_H
#define VX_CUDA_ACT_H

#include "kernels/cuda/gpu.h"
#include "kernels/ops.h"

VX_DEVICE float vx_sigmoid_of(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* x between -most and most; NaN stays. */
VX_DEVICE float vx_within(float x, float most)
{
    return x > most ? most : x < -most ? -most : x;
}

/* s = sigmoid(x) and s' = s (1 - s), without cancellation, for |x| up to 80. */
VX_DEVICE float vx_sigmoid_slope(float x, float *s)
{
    const float e = expf(-x);
    *s = 1.0f / (1.0f + e);
    return e * *s * *s;
}

/* s + k x s', s = sigmoid(k x), which is the derivative of x s: 0 or 1 beyond 80. An infinity gives
 * NaN. */
VX_DEVICE float vx_silu_slope(float x, float k)
{
    float s;
    const float t = vx_within(k * x, 80.0f), slope = vx_sigmoid_slope(t, &s);
    return fmaf(t, slope, s) + (x - x);
}

/* exp(-x^2/2) for |x| up to 16, and 0 beyond. The rounding of the square would show in a large
 * exponent, so it is put right. */
VX_DEVICE float vx_bell(float x)
{
    const float t = vx_within(x, 16.0f);
    const float square = t * t, rest = fmaf(t, t, -square);
    const float bell = expf(-0.5f * square);
    return fmaf(bell, -0.5f * rest, bell);
}

/* Phi(-|x|) = vx_tail(x) * exp(-x^2/2): the normal distribution's tail without its bell. A
 * polynomial in u = 1 / (1 + 0.35 |x|), fitted to a relative error of 4e-8. */
VX_DEVICE float vx_tail(float x)
{
    const float t = fabsf(x), u = 1.0f / fmaf(0.35f, t < 16.0f ? t : 16.0f, 1.0f);
    float p = -0.0291649267f;
    p = fmaf(p, u, 0.144065765f);
    p = fmaf(p, u, -0.255912329f);
    p = fmaf(p, u, 0.159405136f);
    p = fmaf(p, u, -0.0232724562f);
    p = fmaf(p, u, 0.105578548f);
    p = fmaf(p, u, 0.119814522f);
    p = fmaf(p, u, 0.139864475f);
    p = fmaf(p, u, 0.13962125f);
    return p * u;
}

VX_DEVICE float vx_gelu(float x)
{
    const float tail = vx_tail(x), bell = vx_bell(x);
    return x > 0 ? x * (1.0f - tail * bell) : x * tail * bell;
}

/* Phi(x) + x phi(x) */
VX_DEVICE float vx_gelu_slope(float x)
{
    const float bell = vx_bell(x), below = vx_tail(x) * bell;
    return (x > 0 ? 1.0f - below : below) + x * (0.39894228f * bell);
}

/* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)) */
VX_DEVICE float vx_gelu_tanh(float x)
{
    return x / (1.0f + expf(-1.59576912f * (x + 0.044715f * x * x * x)));
}

/* Beyond 10 the derivative is 0 or 1, and the square would overflow. An infinity gives NaN. */
VX_DEVICE float vx_gelu_tanh_slope(float x)
{
    const float t = vx_within(x, 10.0f), square = t * t;
    float s;
    const float inner = 1.59576912f * t * fmaf(0.044715f, square, 1.0f);
    const float slope = vx_sigmoid_slope(inner, &s);
    return fmaf(1.59576912f * t * fmaf(0.134145f, square, 1.0f), slope, s) + (x - x);
}

VX_DEVICE float vx_act_value(vx_act act, float x)
{
    switch (act) {
    case VX_ACT_GELU:
        return vx_gelu(x);
    case VX_ACT_GELU_TANH:
        return vx_gelu_tanh(x);
    case VX_ACT_QUICK_GELU:
        return x / (1.0f + expf(-1.702f * x));
    case VX_ACT_RELU:
        return x < 0 ? 0.0f : x;
    default:
        return x;
    }
}

VX_DEVICE float vx_act_slope(vx_act act, float x)
{
    switch (act) {
    case VX_ACT_GELU:
        return vx_gelu_slope(x);
    case VX_ACT_GELU_TANH:
        return vx_gelu_tanh_slope(x);
    case VX_ACT_QUICK_GELU:
        return vx_silu_slope(x, 1.702f);
    case VX_ACT_RELU:
        return x > 0 ? 1.0f : x != x ? x : 0.0f;
    default:
        return 1.0f;
    }
}

/* silu(u) v */
VX_DEVICE float vx_swiglu_value(float u, float v)
{
    return u * vx_sigmoid_of(u) * v;
}

/* The gradients of u and v from that of silu(u) v. */
VX_DEVICE void vx_swiglu_slopes(float u, float v, float dy, float *du, float *dv)
{
    *du = dy * v * vx_silu_slope(u, 1.0f);
    *dv = dy * u * vx_sigmoid_of(u);
}

#endif
