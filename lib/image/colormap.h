/* image/colormap.h: numbers to colours. */
#ifndef VX_IMAGE_COLORMAP_H
#define VX_IMAGE_COLORMAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct vx_colormap {
    const char *name;
    const uint8_t (*points)[3]; /* [count][3] sRGB, equally spaced from 0 to 1 */
    int count;
    bool diverging; /* from one hue through grey or white, at 1/2, to another */
} vx_colormap;

/* By name, NULL if there is none; by index, NULL past the last. */
const vx_colormap *vx_colormap_find(const char *name);
const vx_colormap *vx_colormap_at(int index);
/* The colour of v, clamped to 0..1, linear between the points; NaN is grey 128. */
void vx_colormap_rgb(uint8_t rgb[3], const vx_colormap *map, float v);

#endif
