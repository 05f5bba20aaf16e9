/* scenes/paint.h: colours and patterns, of objects and of backgrounds. */
#ifndef SCENES_PAINT_H
#define SCENES_PAINT_H

#include "dice.h"

struct colour {
    float r, g, b; /* 0..1 */
};

enum pattern_kind {
    PATTERN_PLAIN,
    PATTERN_SLOPE, /* from one border to the other          */
    PATTERN_STRIPES,
    PATTERN_WAVES, /* stripes with soft borders              */
    PATTERN_CHECKS,
    PATTERN_DOTS,
    PATTERN_GRID,   /* thin lines                             */
    PATTERN_CLOUDS, /* smooth noise                           */
    PATTERN_GRAIN,  /* clouds and finer clouds on top         */
    PATTERN_COUNT
};

enum { LATTICE = 16 };

/* A value 0..1 for every place of the plane. */
struct pattern {
    enum pattern_kind kind;
    float across, down; /* direction, divided by the period */
    float pixel;        /* one, as a part of the period     */
    float phase, share; /* share: of the period that is 1   */
    float lattice[LATTICE][LATTICE];
};

/* `period` in pixels. */
struct pattern pattern_roll(struct dice *dice, enum pattern_kind kind, double period);
float pattern_at(const struct pattern *pattern, float x, float y);

/* A colour that changes into another where the pattern is 1. */
struct paint {
    struct colour first, second;
    struct pattern pattern;
};
struct colour paint_at(const struct paint *paint, float x, float y);

struct colour colour_mix(struct colour a, struct colour b, float share_of_b);
/* Hue 0..1, saturation, value. */
struct colour colour_hsv(double hue, double saturation, double value);
struct colour colour_roll(struct dice *dice, double value_low, double value_high);
float colour_luma(struct colour colour);
/* Euclidean in r, g, b. */
float colour_distance(struct colour a, struct colour b);

#endif
