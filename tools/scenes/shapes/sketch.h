/*
 * scenes/shapes/sketch.h: smooth outlines through points, in squares of their own.
 */
#ifndef SCENES_SKETCH_H
#define SCENES_SKETCH_H

#include "../pen.h"

/* A point of an outline: the line bends smoothly through it, or has a corner there. Between two
 * corners it is straight. */
struct dot {
    double x, y;
    int corner;
};

enum { SKETCH_DOTS = 64 }; /* at most, in one outline */

/* Where a part stands: scaled (a negative scale mirrors it), turned clockwise about its own origin,
 * moved. */
struct frame {
    double x, y, across, down, cos, sin;
};

struct frame frame_at(double x, double y, double across, double down, double turn);
/* Of the whole square, the right way round or mirrored: an even chance. */
struct frame frame_facing(struct dice *dice);

/* Dots clockwise as seen in their own square; they are so on the picture in a mirrored frame
 * too. */
void sketch(struct pen *pen, const struct frame *frame, const struct dot *dots, int n);
/* The right half of an outline, from its top to its bottom; the left one mirrors it. A dot at x = 0
 * is not repeated. */
void sketch_even(struct pen *pen, const struct frame *frame, const struct dot *half, int n);
/* An open line, for a stroke. */
void sketch_open(struct pen *pen, const struct frame *frame, const struct dot *dots, int n);
void sketch_ellipse(struct pen *pen, const struct frame *frame, double x, double y, double rx,
                    double ry, double turn);
void sketch_circle(struct pen *pen, const struct frame *frame, double x, double y, double r);

/* One straight stroke. */
void sketch_line(struct pen *pen, const struct frame *frame, double x0, double y0, double x1,
                 double y1);

/* Moves and scales points evenly so that their longer side fills -half..half. */
void sketch_fit(double (*points)[2], int n, double half);

/* An eye: a white, a pupil and, where it is large enough, a glint. */
void sketch_eye(struct pen *pen, const struct frame *frame, double x, double y, double r);

#endif
