/* base/range.h: the smallest and the largest of some numbers. */
#ifndef VX_BASE_RANGE_H
#define VX_BASE_RANGE_H

#include <math.h>
#include <stddef.h>

/* Of x [count], count >= 1; NaNs are passed over. */
static inline void vx_range(float *low, float *high, const float *x, size_t count)
{
    *low = *high = x[0];
    for (size_t i = 1; i < count; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

#endif
