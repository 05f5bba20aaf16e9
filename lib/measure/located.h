/*
 * measure/located.h: a map and a mask side by side, for metrics of where an object is.
 *
 * Both are taken in the coordinates of the picture: the map resized bilinearly to the picture's
 * pixels, as vitx_map_to_picture() does. What the model did not see of the picture counts neither
 * for nor against the map: it is left out of both.
 */
#ifndef VX_MEASURE_LOCATED_H
#define VX_MEASURE_LOCATED_H

#include <stdint.h>

#include "measure/metric.h"

typedef struct vx_located {
    float *values;         /* [count]: the pixels that the model saw, from the top left on */
    unsigned char *inside; /* [count]: 1 in the mask, else 0 */
    unsigned char *beside; /* [count]: 1 in the other object's mask; NULL if it is not needed */
    size_t count, inside_count, beside_count;
    uint32_t *order; /* [count] of the values, largest first, behind vx_located_order */
} vx_located;

/* VITX_INVALID if no pixel of a mask was seen. To be disposed, in any case. */
int vx_located_create(vx_located *out, const vx_trial *trial);
int vx_located_order(vx_located *located, const vx_trial *trial);
void vx_located_dispose(vx_located *located, const vx_trial *trial);

#endif
