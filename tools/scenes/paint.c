/* scenes/paint.c: see paint.h. */
#include "paint.h"

#include "pen.h"

#include <math.h>

struct colour colour_mix(struct colour a, struct colour b, float share)
{
    struct colour out = {a.r + (b.r - a.r) * share, a.g + (b.g - a.g) * share,
                         a.b + (b.b - a.b) * share};
    return out;
}

struct colour colour_hsv(double hue, double saturation, double value)
{
    double six = (hue - (int)hue) * 6, part = six - (int)six;
    double low = value * (1 - saturation), down = value * (1 - saturation * part),
           up = value * (1 - saturation * (1 - part));
    double rgb[6][3] = {{value, up, low},   {down, value, low}, {low, value, up},
                        {low, down, value}, {up, low, value},   {value, low, down}};
    const double *of = rgb[(int)six < 5 ? (int)six : 5];
    struct colour out = {(float)of[0], (float)of[1], (float)of[2]};
    return out;
}

struct colour colour_roll(struct dice *dice, double value_low, double value_high)
{
    double hue = dice_in(dice, 0, 1), saturation = dice_in(dice, 0.05, 0.95);
    return colour_hsv(hue, saturation, dice_in(dice, value_low, value_high));
}

float colour_luma(struct colour c)
{
    return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b;
}

float colour_distance(struct colour a, struct colour b)
{
    float r = a.r - b.r, g = a.g - b.g, blue = a.b - b.b;
    return sqrtf(r * r + g * g + blue * blue);
}

struct pattern pattern_roll(struct dice *dice, enum pattern_kind kind, double period)
{
    struct pattern out = {.kind = kind};
    double turn = dice_in(dice, 0, 1);
    out.across = (float)(pen_cos(turn) / period);
    out.down = (float)(pen_sin(turn) / period);
    out.pixel = (float)(1 / period);
    out.phase = (float)dice_in(dice, 0, 16);
    out.share = (float)dice_in(dice, 0.3, 0.6);
    if (kind == PATTERN_CLOUDS || kind == PATTERN_GRAIN)
        for (int i = 0; i < LATTICE * LATTICE; i++)
            out.lattice[i / LATTICE][i % LATTICE] = (float)dice_in(dice, 0, 1);
    return out;
}

/* The largest whole number that is not above x. */
static int floor_of(float x)
{
    int whole = (int)x;
    return (float)whole > x ? whole - 1 : whole;
}

/* The part of x behind that. */
static float part_of(float x)
{
    x += 4096;
    return x - (float)floor_of(x);
}

/* 1 well inside, 0 well outside of a border, and a pixel between: `outside` in periods. */
static float inside(float outside, float pixel)
{
    float p = 0.5f - outside / pixel;
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* Stripes along u that take `share` of the period. */
static float stripe(float u, float share, float pixel)
{
    float from_middle = part_of(u + 0.5f) - 0.5f;
    return inside((from_middle < 0 ? -from_middle : from_middle) - share / 2, pixel);
}

static float noise_at(const struct pattern *pattern, float u, float v)
{
    u += 4096;
    v += 4096;
    int i = floor_of(u), k = floor_of(v);
    float a = u - (float)i, b = v - (float)k;
    a = a * a * (3 - 2 * a);
    b = b * b * (3 - 2 * b);
    /* The remainder by LATTICE, a power of 2, which is not negative. */
    const float *top = pattern->lattice[k & (LATTICE - 1)];
    const float *bottom = pattern->lattice[(k + 1) & (LATTICE - 1)];
    int left = i & (LATTICE - 1), right = (i + 1) & (LATTICE - 1);
    float over = top[left] + (top[right] - top[left]) * a;
    float under = bottom[left] + (bottom[right] - bottom[left]) * a;
    return over + (under - over) * b;
}

float pattern_at(const struct pattern *pattern, float x, float y)
{
    float u = x * pattern->across + y * pattern->down + pattern->phase;
    float v = y * pattern->across - x * pattern->down + pattern->phase;
    float share = pattern->share, pixel = pattern->pixel, p, q;
    switch (pattern->kind) {
    case PATTERN_SLOPE:
        p = u - pattern->phase + 0.5f;
        return p < 0 ? 0 : p > 1 ? 1 : p;
    case PATTERN_STRIPES:
        return stripe(u, share, pixel);
    case PATTERN_WAVES:
        p = part_of(u) * 2;
        p = p > 1 ? 2 - p : p;
        return p * p * (3 - 2 * p);
    case PATTERN_CHECKS:
        p = stripe(u, 0.5f, pixel);
        q = stripe(v, 0.5f, pixel);
        return p * q + (1 - p) * (1 - q);
    case PATTERN_DOTS:
        p = part_of(u) - 0.5f;
        q = part_of(v) - 0.5f;
        return inside(sqrtf(p * p + q * q) - share * 0.63f, pixel);
    case PATTERN_GRID:
        p = stripe(u, share * 0.25f, pixel);
        q = stripe(v, share * 0.25f, pixel);
        return p > q ? p : q;
    case PATTERN_CLOUDS:
        return noise_at(pattern, u, v);
    case PATTERN_GRAIN:
        return noise_at(pattern, u, v) * 0.6f + noise_at(pattern, u * 4, v * 4) * 0.4f;
    default:
        return 0;
    }
}

struct colour paint_at(const struct paint *paint, float x, float y)
{
    if (paint->pattern.kind == PATTERN_PLAIN)
        return paint->first;
    return colour_mix(paint->first, paint->second, pattern_at(&paint->pattern, x, y));
}
