/* kernels/ref/activate.c: activations; the formulas stand at enum vx_act. */
#include "kernels/ref/ref.h"

#include <math.h>

double vx_ref_act(vx_act act, double x)
{
    switch (act) {
    case VX_ACT_GELU:
        return x * 0.5 * erfc(x * -0.70710678118654752440); /* 1 + erf(z) without cancellation */
    case VX_ACT_GELU_TANH:
        /* (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), likewise */
        return x / (1 + exp(-1.5957691216057307118 * (x + 0.044715 * x * x * x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VX_ACT_RELU:
        return x < 0 ? 0 : x;
    default:
        return x;
    }
}

void vx_activate_ref(vx_device *dev, float *y, const float *x, vx_act act, int64_t count)
{
    (void)dev;
    for (int64_t i = 0; i < count; i++)
        y[i] = (float)vx_ref_act(act, x[i]);
}
