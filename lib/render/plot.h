/*
 * render/plot.h: curves, drawn.
 *
 *   title
 *   1.0 |                      == name
 *       |   \___               == name
 *   0.5 |       \_____
 *       |             \___
 *   0.0 +-----------------
 *       0       0.5      1
 *             x label
 */
#ifndef VX_RENDER_PLOT_H
#define VX_RENDER_PLOT_H

#include <vitx/render.h>

#include "render/canvas.h"

/* On a canvas that is created for it; opts is complete. At least one curve of at least one finite
 * point. */
int vx_plot_draw(vx_canvas *canvas, const vitx_curve *curves, int n, const vitx_plot_opts *opts,
                 const vitx_hooks *hooks);

#endif
