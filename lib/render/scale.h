/* render/scale.h: raw values to 0..1. */
#ifndef VX_RENDER_SCALE_H
#define VX_RENDER_SCALE_H

#include <vitx/render.h>

#include "base/memory.h"

static inline bool vx_scale_is_signed(vitx_scale scale)
{
    return scale == VITX_SCALE_SIGNED || scale == VITX_SCALE_SIGNED_P99;
}

/*
 * dst[i] in 0..1 for src[i], and the raw values that became 0 (*low) and 1 (*high).
 *
 *   MAX         max(v,0) / max          MINMAX  (v - min) / (max - min)
 *   P99         min(max(v,0) / p, 1), p the 99th percentile of max(v,0), linear between ranks as
 *               numpy.percentile; where that is 0 (a map of few points) p is the maximum
 *   SIGNED      1/2 + v / (2 max|v|)
 *   SIGNED_P99  the same with the 99th percentile of |v|, clipped to 0..1
 *
 *   RANGE       (v - *low) / (*high - *low), clipped to 0..1; both are given
 *
 * A divisor of 0 (a constant or all-zero map) gives 0, or 1/2 for the signed ones. What is not
 * finite counts as 0. `scale` is not AUTO.
 */
int vx_scale_values(float *dst, float *low, float *high, const float *src, size_t count,
                    vitx_scale scale, const vitx_hooks *hooks);

#endif
