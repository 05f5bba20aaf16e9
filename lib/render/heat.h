/*
 * render/heat.h: a matrix of numbers as a picture.
 *
 *      title
 *      subtitle
 *               +-----+-----+-----+   +--+
 *             0 | 0.1 | 0.7 | 0.9 |   |  |- 0.8
 *        down   +-----+-----+-----+   |  |
 *             1 | 0.3 | 0.2 | 0.5 |   |  |- 0.4
 *               +-----+-----+-----+   +--+- 0
 *                  0     1     2
 *                     across
 */
#ifndef VX_RENDER_HEAT_H
#define VX_RENDER_HEAT_H

#include "image/colormap.h"
#include "render/canvas.h"

typedef struct vx_heat {
    const char *title, *subtitle;
    const char *across, *down; /* what columns and rows count */
    const double *values;      /* finite; that of a row and column lies at
                                     row * row_step + column * column_step */
    int rows, columns, row_step, column_step;
    const vx_colormap *colormap; /* from the least value to the largest */
} vx_heat;

/* `canvas` starts from zeroes; dispose of it also after a failure. */
int vx_heat_draw(vx_canvas *canvas, const vx_heat *heat, const vitx_hooks *hooks);

#endif
