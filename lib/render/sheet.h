/*
 * render/sheet.h: a map for the eye.
 *
 * One plane becomes one tile in the size of its frame. Several become a sheet: heads side by side
 * and layers below each other where there are both, else a grid that is about as wide as high;
 * each tile is scaled by itself and carries its name.
 */
#ifndef VX_RENDER_SHEET_H
#define VX_RENDER_SHEET_H

#include "render/canvas.h"
#include "render/render.h"

/* `canvas` starts from zeroes; dispose of it also after a failure. */
int vx_sheet_draw(vx_canvas *canvas, const vx_render_job *job);

#endif
