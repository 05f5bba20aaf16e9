/* measure/plane.h: the values of a map where a metric wants them. */
#ifndef VX_MEASURE_PLANE_H
#define VX_MEASURE_PLANE_H

#include "measure/metric.h"

/* The map on the pixels of the input that patches cover, resized bilinearly: out [seen_height,
 * seen_width]. */
void vx_plane_on_pixels(float *out, const vx_subject *s);
/* On the model's patches: as it is if it has the grid's shape, else the mean of each patch's
 * pixels: out [gh,gw]. */
void vx_plane_on_patches(float *out, const vx_subject *s);

static inline size_t vx_subject_pixels(const vx_subject *s)
{
    return (size_t)s->seen_height * (size_t)s->seen_width;
}

static inline size_t vx_subject_patches(const vx_subject *s)
{
    const vx_arch *a = s->arch;
    return (size_t)a->grid_height * (size_t)a->grid_width;
}

#endif
