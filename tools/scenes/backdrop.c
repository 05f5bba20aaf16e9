/* scenes/backdrop.c: see backdrop.h. */
#include "backdrop.h"

/* Two colours near each other or far apart, so that some backgrounds are quiet and some are
 * loud. */
static void roll_colours(struct dice *dice, struct paint *paint)
{
    paint->first = colour_roll(dice, 0.15, 1);
    struct colour other = colour_roll(dice, 0.15, 1);
    paint->second = colour_mix(paint->first, other, (float)dice_in(dice, 0.15, 0.9));
}

static enum pattern_kind roll_kind(struct dice *dice)
{
    static const enum pattern_kind kinds[] = {PATTERN_PLAIN,  PATTERN_SLOPE,  PATTERN_SLOPE,
                                              PATTERN_CLOUDS, PATTERN_CLOUDS, PATTERN_GRAIN,
                                              PATTERN_GRAIN,  PATTERN_WAVES,  PATTERN_STRIPES,
                                              PATTERN_CHECKS, PATTERN_DOTS,   PATTERN_GRID};
    return kinds[dice_below(dice, (int)(sizeof kinds / sizeof *kinds))];
}

static struct paint roll_ground(struct dice *dice, double side)
{
    struct paint out;
    roll_colours(dice, &out);
    enum pattern_kind kind = roll_kind(dice);
    double period =
        side * (kind == PATTERN_SLOPE ? dice_in(dice, 0.8, 1.6) : dice_in(dice, 0.08, 0.6));
    out.pattern = pattern_roll(dice, kind, period);
    return out;
}

/* The place of the horizon in row y at column x: an uneven line. */
static float horizon_at(const struct pattern *uneven, float level, float rise, float x)
{
    return level + rise * (pattern_at(uneven, x, 0) - 0.5f);
}

void backdrop_draw(float *rgb, int width, int height, struct dice *dice)
{
    double side = width < height ? width : height;
    struct paint sky = roll_ground(dice, side), ground = roll_ground(dice, side);
    bool divided = dice_chance(dice, 0.25);
    float level = (float)(height * dice_in(dice, 0.35, 0.8));
    float rise = (float)(height * dice_in(dice, 0, 0.25));
    struct pattern uneven = pattern_roll(dice, PATTERN_CLOUDS, side * dice_in(dice, 0.2, 0.6));
    struct pattern fine = pattern_roll(dice, PATTERN_GRAIN, side * dice_in(dice, 0.03, 0.15));
    float strength = (float)dice_in(dice, 0, 0.25);
    struct pattern light = pattern_roll(dice, PATTERN_SLOPE, side * 1.4);
    float gain = (float)dice_in(dice, 0, 0.4);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            float px = (float)x, py = (float)y;
            bool below = divided && py > horizon_at(&uneven, level, rise, px);
            struct colour colour = paint_at(below ? &ground : &sky, px, py);
            float more =
                1 + strength * (pattern_at(&fine, px, py) - 0.5f) -
                gain * (pattern_at(&light, px - (float)width / 2, py - (float)height / 2) - 0.3f);
            rgb[0] = colour.r * more;
            rgb[1] = colour.g * more;
            rgb[2] = colour.b * more;
        }
}

/* -------------------------------- clutter -------------------------------- */

static void scribble(struct pen *pen, struct dice *dice)
{
    double y = dice_in(dice, -0.6, 0.6);
    pen_move(pen, -1, y);
    for (int i = 0; i < 3; i++) {
        double x1 = -1 + (i + 0.3) * 2 / 3.0, y1 = dice_in(dice, -1, 1);
        double x2 = -1 + (i + 0.7) * 2 / 3.0, y2 = dice_in(dice, -1, 1);
        pen_curve(pen, x1, y1, x2, y2, -1 + (i + 1) * 2 / 3.0, dice_in(dice, -0.6, 0.6));
    }
    pen_stroke(pen, dice_in(dice, 0.05, 0.2), ROLE_BODY);
}

/* Straight-sided, with corners at uneven places: never regular. */
static void shard(struct pen *pen, struct dice *dice)
{
    int n = 3 + dice_below(dice, 3);
    for (int i = 0; i < n; i++) {
        double at = (i + dice_in(dice, -0.35, 0.35)) / n, r = dice_in(dice, 0.5, 1);
        if (i == 0)
            pen_move(pen, r * pen_cos(at), r * pen_sin(at));
        else
            pen_line(pen, r * pen_cos(at), r * pen_sin(at));
    }
    pen_fill(pen, ROLE_BODY);
}

static void specks(struct pen *pen, struct dice *dice)
{
    int n = 3 + dice_below(dice, 6);
    double r = dice_in(dice, 0.06, 0.16);
    for (int i = 0; i < n; i++) {
        double x = dice_in(dice, -0.9, 0.9), y = dice_in(dice, -0.9, 0.9);
        pen_circle(pen, x, y, r);
    }
    pen_fill(pen, ROLE_BODY);
}

static void bars(struct pen *pen, struct dice *dice)
{
    int n = 1 + dice_below(dice, 3);
    double high = dice_in(dice, 0.08, 0.22);
    for (int i = 0; i < n; i++) {
        double y = (i - (n - 1) / 2.0) * high * 2.2;
        pen_box(pen, -1, y - high / 2, dice_in(dice, 0.3, 1), y + high / 2, high * 0.3);
    }
    pen_fill(pen, ROLE_BODY);
}

void clutter_draw(struct pen *pen, struct dice *dice)
{
    switch (dice_below(dice, 7)) {
    case 0:
        scribble(pen, dice);
        break;
    case 1:
        shard(pen, dice);
        break;
    case 2:
        specks(pen, dice);
        break;
    case 3:
        bars(pen, dice);
        break;
    case 4:
        pen_ellipse(pen, 0, 0, 1, dice_in(dice, 0.5, 1), 0);
        pen_fill(pen, ROLE_BODY);
        break;
    case 5:
        pen_circle(pen, 0, 0, 1);
        pen_circle_hole(pen, 0, 0, dice_in(dice, 0.6, 0.85));
        pen_fill(pen, ROLE_BODY);
        break;
    default:
        pen_box(pen, -1, -0.7, 1, 0.7, dice_in(dice, 0, 0.4));
        pen_fill(pen, ROLE_BODY);
    }
}
