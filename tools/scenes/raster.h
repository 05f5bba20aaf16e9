/*
 * scenes/raster.h: which part of every pixel lies inside outlines, exactly.
 *
 * Every edge adds the signed area between itself and the right border to the pixels of its rows; a
 * running sum along the row gives the coverage (as in font rasterisers). Single precision
 * throughout, no contraction: the same bits everywhere.
 */
#ifndef SCENES_RASTER_H
#define SCENES_RASTER_H

struct raster {
    int width, height;
    float *area;        /* [height,width+2], zero between shapes */
    int x0, y0, x1, y1; /* what the edges touched; x1 and y1 are behind the last */
};

/* An edge from (ax,ay) to (bx,by) in pixels; parts outside the picture count as they should. */
void raster_edge(struct raster *raster, double ax, double ay, double bx, double by);

/* coverage[raster.x1 - raster.x0] of a row that was touched, 0..1; clears it. */
void raster_row(struct raster *raster, int y, float *coverage);

/* Begins the next shape, after every touched row was taken. */
void raster_clear(struct raster *raster);

#endif
