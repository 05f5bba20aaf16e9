/*
 * render/tile.h: one plane of a map, drawn.
 *
 *   VITX_LAYOUT_OVERLAY, MAP        VITX_LAYOUT_SIDE
 *   +-----------+                   +-----------+   +-----------+
 *   |  overlay  |                   |  picture  |gap|  overlay  |
 *   +-----------+                   +-----------+   +-----------+
 *    [colour bar]                  [         colour bar        ]     if opts.colorbar
 *    low     high                  low                   >= high     if values lie beyond
 */
#ifndef VX_RENDER_TILE_H
#define VX_RENDER_TILE_H

#include "render/canvas.h"
#include "render/render.h"

#define VX_TILE_COLOURS 1025 /* odd: the middle, where a signed map is 0, is one of them */

/* What all tiles of a job share. Start from zeroes; vx_tiles_prepare fills it. */
typedef struct vx_tiles {
    const vx_render_job *job;
    int width, height;      /* of the picture in the tile                                     */
    int panel_w, panel_h;   /* of the whole tile                                              */
    int overlay_x;          /* of the overlay in the tile                                     */
    int unit;               /* size of text and gaps: a glyph's pixel                         */
    const uint8_t *photo;   /* [height, width, 3], NULL: not drawn                            */
    const uint8_t *under;   /* the same or another below the map; NULL: the map alone         */
    uint8_t *owned, *grey;  /* `photo` if it is not the caller's picture; `under` in grey     */
    vx_placement placement; /* of the model's input in the tile                               */
    int x0, y0, x1, y1;     /* pixels of the tile that the model saw                          */
    float *scaled;          /* [plane's height, width]: 0..1 */
    uint8_t *tinted;        /* [plane's height, width, 3]: of a map with channels */
    float *across;          /* [plane's width]: the plane at one row of the tile */
    vx_between *columns;    /* [width]: each column of the tile among the plane's */
    uint8_t mean[3];                     /* colour of `under`, for the colour bar */
    uint8_t colours[VX_TILE_COLOURS][3]; /* drawn for 0..1 */
    uint16_t weights[VX_TILE_COLOURS];   /* theirs over the picture: 0..256 */
} vx_tiles;

/* @param max_side  pictures whose longer side is larger are scaled down to it; 0: as they are */
int vx_tiles_prepare(vx_tiles *tiles, const vx_render_job *job, int max_side);
void vx_tiles_dispose(vx_tiles *tiles);
int vx_tiles_draw(vx_tiles *tiles, vx_canvas *canvas, int x, int y, int plane);

#endif
