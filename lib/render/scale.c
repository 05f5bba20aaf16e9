/* render/scale.c: see scale.h. Differences are taken in double: float32's extremes would
 * overflow. */
#include "render/scale.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Of the magnitudes of count values. */
static int percentile99(float *out, const float *values, size_t count, const vitx_hooks *hooks)
{
    float *sorted;
    VX_TRY(vx_new(&sorted, hooks, count, sizeof *sorted, "a sorted copy of a map"));
    for (size_t k = 0; k < count; k++)
        sorted[k] = fabsf(values[k]);
    qsort(sorted, count, sizeof *sorted, compare);
    const double rank = 0.99 * (double)(count - 1);
    const size_t i = (size_t)rank;
    const double t = rank - (double)i, a = (double)sorted[i],
                 b = (double)sorted[i + 1 < count ? i + 1 : i];
    *out = (float)(a + t * (b - a));
    vx_release(hooks, sorted);
    return VITX_OK;
}

int vx_scale_values(float *dst, float *low, float *high, const float *src, size_t count,
                    vitx_scale scale, const vitx_hooks *hooks)
{
    const bool clip = scale == VITX_SCALE_MAX || scale == VITX_SCALE_P99;
    const float given_low = *low, given_high = *high;
    float min = INFINITY, max = -INFINITY;
    *low = *high = 0;
    if (count == 0)
        return VITX_OK;
    for (size_t i = 0; i < count; i++) {
        const float v = isfinite(src[i]) ? src[i] : 0;
        dst[i] = clip && v < 0 ? 0 : v;
        min = fminf(min, dst[i]);
        max = fmaxf(max, dst[i]);
    }
    *low = scale == VITX_SCALE_MINMAX ? min : 0;
    *high = max;
    if (vx_scale_is_signed(scale))
        *high = max = fmaxf(max, -min);
    if (scale == VITX_SCALE_P99 || scale == VITX_SCALE_SIGNED_P99) {
        VX_TRY(percentile99(high, dst, count, hooks));
        if (!(*high > 0))
            *high = max;
    }
    if (vx_scale_is_signed(scale))
        *low = -*high;
    if (scale == VITX_SCALE_RANGE) {
        *low = given_low;
        *high = given_high;
    }
    const double range = (double)*high - (double)*low;
    for (size_t i = 0; i < count; i++) {
        if (range > 0)
            dst[i] = (float)fmin(fmax(((double)dst[i] - (double)*low) / range, 0), 1);
        else
            dst[i] = vx_scale_is_signed(scale) ? 0.5f : 0;
    }
    return VITX_OK;
}
