/*
 * scenes/draw.h: the inside of a pen: where a shape stands, and the layer on which it is painted.
 */
#ifndef SCENES_DRAW_H
#define SCENES_DRAW_H

#include "paint.h"
#include "pen.h"
#include "raster.h"

enum { PEN_POINTS = 4096, PEN_OUTLINES = 128 };

/* A transparent picture: what one object looks like. Colours are not multiplied with alpha. */
struct layer {
    int width, height;
    float *rgb;           /* [height,width,3]                                              */
    float *alpha;         /* [height,width], 0 outside the box                             */
    int x0, y0, x1, y1;   /* what was painted                                              */
    struct raster raster; /* of the layer's size                                           */
    float *coverage;      /* [width]                                                       */
};

struct pen {
    struct layer *layer;
    struct paint paints[ROLE_COUNT];
    double ink; /* width of the dark contour of every part, in units of the shape; 0: none */
    double x, y, across, down; /* pixels = (x,y) + across*(u,v) turned: (across,down) is u's way */
    double points[PEN_POINTS][2]; /* pixels; more than fit are left out                     */
    int starts[PEN_OUTLINES + 1];
    bool closed[PEN_OUTLINES];
    int count, outlines; /* the last outline is starts[outlines-1]..count                   */
    double u, v;         /* where the pen is, in units of the shape                         */
};

/* Puts the pen's square onto the layer: `size` pixels for -1..1, turned clockwise. */
void pen_place(struct pen *pen, double x, double y, double size, double turn);

#endif
