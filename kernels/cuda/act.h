/*
 * kernels/cuda/act.h: the activations and their derivatives on the GPU: what kernels/ref/activate.c
 * defines, to a few units in the last place. A NaN stays one.
 */
#ifndef VX_CUDA_ACT_H
#define VX_CUDA_ACT_H

#include "kernels/cuda/cuda.h"

/* The normal distribution's Phi(x) = erfc(-x / sqrt 2) / 2. Far out erfc falls so steeply that the
 * rounding of its argument z would show: what was rounded off, times the slope, is added again. */
VX_DEVICE float vx_phi(float x)
{
    const float root = 0.70710678f, root_low = 1.2101617e-8f; /* of 1/2, in two parts */
    const float z = -x * root;
    const float rest = fmaf(-x, root, -z) - x * root_low;
    const float slope = 1.12837917f * expf(-z * z);
    return 0.5f * (erfcf(z) - (slope > 0 ? slope * rest : 0));
}

VX_DEVICE float vx_logistic(float x)
{
    const float e = expf(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* sqrt(2/pi) (x + 0.044715 x^3) */
VX_DEVICE float vx_tanh_argument(float x)
{
    return 0.79788456f * x * fmaf(0.044715f * x, x, 1);
}

/* x/2 (1 + tanh u) is x / (1 + exp(-2u)): it stays sharp where tanh is near -1. */
VX_DEVICE float vx_act_of(int act, float x)
{
    switch (act) {
    case VX_ACT_GELU:
        return x * vx_phi(x);
    case VX_ACT_GELU_TANH:
        return x / (1 + expf(-2 * vx_tanh_argument(x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + expf(-1.702f * x));
    case VX_ACT_RELU:
        return x < 0 ? 0 : x;
    default:
        return x;
    }
}

VX_DEVICE float vx_act_slope(int act, float x)
{
    if (act == VX_ACT_GELU) {
        const float bell = 0.39894228f * expf(-0.5f * x * x);
        return vx_phi(x) + (bell > 0 ? x * bell : bell);
    }
    if (act == VX_ACT_GELU_TANH) {
        const float s = vx_logistic(2 * vx_tanh_argument(x)), t = s * (1 - s);
        const float du = 0.79788456f * fmaf(3 * 0.044715f * x, x, 1);
        return t > 0 ? fmaf(x * 2 * du, t, s) : s;
    }
    if (act == VX_ACT_QUICK_GELU) {
        const float s = vx_logistic(1.702f * x), t = s * (1 - s);
        return t > 0 ? fmaf(1.702f * x, t, s) : s;
    }
    if (act == VX_ACT_RELU)
        return x > 0 ? 1 : x <= 0 ? 0 : x;
    return 1;
}

#endif
