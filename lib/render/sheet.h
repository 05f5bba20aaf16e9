/*
 * render/sheet.h: a map for the eye.
 *
 * One plane becomes one tile in the size of its frame. Several become a sheet: layers side by side
 * and heads below each other if there are both, else a grid that is about as wide as high. Each
 * tile is scaled by itself unless the scale is given, and carries its name and largest value.
 */
#ifndef VX_RENDER_SHEET_H
#define VX_RENDER_SHEET_H

#include "render/canvas.h"
#include "render/render.h"

/* `canvas` starts from zeroes; dispose of it also after a failure. */
int vx_sheet_draw(vx_canvas *canvas, const vx_render_job *job);

#endif
