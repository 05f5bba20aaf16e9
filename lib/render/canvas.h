/*
 * render/canvas.h: a picture to draw on: rectangles, other pictures, and short texts in a font of
 * strokes (font.h). Coordinates are pixels from the top left; what falls outside is cut off.
 */
#ifndef VX_RENDER_CANVAS_H
#define VX_RENDER_CANVAS_H

#include <stdint.h>

#include "base/sink.h"

/* Above this many pixels the byte count of a PNG would no longer fit a chunk. */
#define VX_CANVAS_MAX_PIXELS (INT64_C(1) << 28)

/* A glyph's cell with the gap to its right neighbour, at scale 1; 7 rows stand on the base line. */
#define VX_TEXT_WIDTH 6
#define VX_TEXT_HEIGHT 9

typedef struct vx_canvas {
    vitx_hooks hooks;
    int width, height;
    uint8_t *pixels; /* [height, width, 3] */
} vx_canvas;

/* White. VITX_UNSUPPORTED above VX_CANVAS_MAX_PIXELS. Give the pixels back with
 * vx_canvas_dispose, which accepts a canvas that was zeroed. */
int vx_canvas_create(vx_canvas *out, int64_t width, int64_t height, const vitx_hooks *hooks);
void vx_canvas_dispose(vx_canvas *canvas);

uint8_t *vx_canvas_row(const vx_canvas *canvas, int x, int y);
void vx_canvas_copy(vx_canvas *canvas, int x, int y, const uint8_t *rgb, int width, int height);
void vx_canvas_fill(vx_canvas *canvas, int x, int y, int width, int height, const uint8_t rgb[3]);
/* (x, y) is the top left of the first glyph. Text is UTF-8; each character that the font lacks is a
 * box. */
void vx_canvas_text(vx_canvas *canvas, int x, int y, const char *text, int scale,
                    const uint8_t rgb[3]);
int vx_text_width(const char *text, int scale);

/* Writes the canvas as a PNG file, with `facts` (ASCII, or NULL) as its text "vitx". */
int vx_canvas_png(vx_sink *out, const vx_canvas *canvas, const char *facts);

#endif
