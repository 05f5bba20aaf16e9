/* image/blur.h: a Gaussian over planes of numbers. */
#ifndef VX_IMAGE_BLUR_H
#define VX_IMAGE_BLUR_H

#include "base/memory.h"

/* measure/curve.c has a Gaussian of its own, RISE's: other weights, and other edges. */
/* The radius at which SciPy's gaussian_filter cuts off: four standard deviations. */
static inline int vx_blur_radius(double sigma)
{
    return (int)(4 * sigma + 0.5);
}

/*
 * out [planes,height,width] = src through a Gaussian of 2*radius + 1 weights that sum to 1, sums in
 * double. reflect: beyond the edge lies the mirror image without the edge itself (torch's
 * "reflect", as long as the radius is less than the sides), else the edge pixel. out may be src.
 * sigma 0: a mean.
 */
int vx_blur(float *out, const float *src, int planes, int height, int width, double sigma,
            int radius, bool reflect, const vitx_hooks *hooks);

#endif
