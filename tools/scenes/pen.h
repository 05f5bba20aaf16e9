/*
 * scenes/pen.h: what a shape is drawn with.
 *
 * A shape is a function that draws parts, from the back to the front, in a square of its own: x and
 * y from
 * -1 to 1, y down, the shape upright. Where it goes, how large it is and how it is turned is not
 * its business, nor are colours: a part is filled with a role, and the roles get colours at random.
 *
 * A part is one or more closed outlines. Where outlines lie in each other, those that run the other
 * way round are holes; outlines that run the same way are joined.
 */
#ifndef SCENES_PEN_H
#define SCENES_PEN_H

#include "dice.h"

enum role {
    ROLE_BODY,   /* the main colour, with texture                                          */
    ROLE_SECOND, /* another colour, plain or with texture: a roof, a handle                */
    ROLE_DARK,   /* details: a window, a pupil                                             */
    ROLE_LIGHT,  /* details: the white of an eye, a page                                   */
    ROLE_COUNT
};

struct pen;

void pen_move(struct pen *pen, double x, double y); /* begins an outline */
void pen_line(struct pen *pen, double x, double y);
/* Cubic and quadratic Bezier curves from where the pen is. */
void pen_curve(struct pen *pen, double x1, double y1, double x2, double y2, double x, double y);
void pen_bend(struct pen *pen, double x1, double y1, double x, double y);
void pen_close(struct pen *pen);

/* Whole outlines. Clockwise as seen on the picture; the _hole kinds the other way round. `turn` is
 * in whole turns, clockwise. */
void pen_ellipse(struct pen *pen, double x, double y, double rx, double ry, double turn);
void pen_ellipse_hole(struct pen *pen, double x, double y, double rx, double ry, double turn);
void pen_circle(struct pen *pen, double x, double y, double r);
void pen_circle_hole(struct pen *pen, double x, double y, double r);
void pen_box(struct pen *pen, double x0, double y0, double x1, double y1, double corner);
void pen_box_hole(struct pen *pen, double x0, double y0, double x1, double y1, double corner);
void pen_polygon(struct pen *pen, const double (*points)[2], int n);
/* An arc of an ellipse, from turn `from` to turn `to` (0 to the right, clockwise), continuing the
 * outline begun (a line leads to its first point) or beginning one. */
void pen_arc(struct pen *pen, double x, double y, double rx, double ry, double from, double to);

/* Paints what was outlined since the last paint. Open outlines are closed. */
void pen_fill(struct pen *pen, enum role role);
/* Paints a line of that width along what was outlined: round at the ends, mitred at corners. */
void pen_stroke(struct pen *pen, double width, enum role role);

/* Of whole turns; the same on every machine. */
double pen_cos(double turns);
double pen_sin(double turns);

typedef void shape(struct pen *pen, struct dice *dice);

#endif
