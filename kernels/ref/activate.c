/* kernels/ref/activate.c: activations; the formulas stand at enum vx_act. */
#include "kernels/ref/ref.h"

#include <math.h>

double vx_ref_act(vx_act act, double x)
{
    switch (act) {
    case VX_ACT_GELU:
        return x * 0.5 * erfc(x * -0.70710678118654752440); /* 1 + erf(z) without cancellation */
    case VX_ACT_GELU_TANH:
        /* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), without cancellation, too */
        return x / (1 + exp(-1.5957691216057307118 * (x + 0.044715 * x * x * x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VX_ACT_RELU:
        return x < 0 ? 0 : x;
    default:
        return x;
    }
}

double vx_ref_act_slope(vx_act act, double x)
{
    switch (act) {
    case VX_ACT_GELU: /* Phi(x) + x phi(x) */
        return 0.5 * erfc(x * -0.70710678118654752440) +
               x * 0.39894228040143267794 * exp(-0.5 * x * x);
    case VX_ACT_GELU_TANH: { /* s + x s', s = 1/(1 + exp(-2u)), s' = 2 u' s (1-s) */
        const double s = 1 / (1 + exp(-1.5957691216057307118 * (x + 0.044715 * x * x * x)));
        return s + x * 1.5957691216057307118 * (1 + 3 * 0.044715 * x * x) * s * (1 - s);
    }
    case VX_ACT_QUICK_GELU: {
        const double s = 1 / (1 + exp(-1.702 * x));
        return s + x * 1.702 * s * (1 - s);
    }
    case VX_ACT_RELU:
        return isnan(x) ? x : x > 0;
    default:
        return 1;
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

void vx_swiglu_ref(vx_device *dev, const vx_swiglu *a)
{
    (void)dev;
    const float *x = a->x;
    float *y = a->y;
    for (int i = 0; i < a->m; i++, y += a->ldy, x += a->ldx)
        for (int j = 0; j < a->n; j++)
            y[j] = (float)(x[j] * sigmoid(x[j]) * x[a->n + j]);
}

void vx_swiglu_bwd_ref(vx_device *dev, const vx_swiglu_bwd *a)
{
    (void)dev;
    for (int i = 0; i < a->m; i++) {
        const float *x = a->x + vx_forward_row(i, a->tokens, a->targets) * (size_t)a->ldx;
        float *dx = a->dx + (size_t)i * (size_t)a->lddx;
        for (int j = 0; j < a->n; j++) {
            const double dy = a->dy[(size_t)i * (size_t)a->lddy + (size_t)j], u = x[j];
            const double s = sigmoid(u);
            dx[j] = (float)(dy * x[a->n + j] * (s + u * s * (1 - s)));
            dx[a->n + j] = (float)(dy * u * s);
        }
    }
}

void vx_activate_ref(vx_device *dev, const vx_activate *a)
{
    (void)dev;
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = (float)vx_ref_act(a->act, a->x[i]);
}

void vx_sigmoid_ref(vx_device *dev, const vx_sigmoid *a)
{
    (void)dev;
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = (float)sigmoid(a->x[i]);
}
