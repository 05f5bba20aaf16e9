/* scenes/shapes/sky.c: crescent moon, cloud, sun. */
#include "shapes.h"
#include "sketch.h"

static const struct frame whole = {0, 0, 1, 1, 1, 0};

static void moon_craters(struct pen *pen, double x, double side, double thick)
{
    static const double at[][3] = {{-0.06, 0.11, 0.8}, {0.05, 0.08, 0.9}, {0.12, 0.06, 1}};
    for (int i = 0; i < 3; i++) {
        double r = 1 - thick * (0.5 + 0.12 * (i - 1)), turn = at[i][0] * 1.2 + 0.5;
        pen_circle(pen, x + side * r * pen_cos(turn), r * pen_sin(turn), at[i][1] * (0.5 + thick));
    }
    pen_fill(pen, ROLE_SECOND);
}

/* An outer arc around the left, and half an ellipse from tip to tip cut out of it. */
void shape_moon(struct pen *pen, struct dice *dice)
{
    double side = dice_chance(dice, 0.5) ? -1 : 1;
    double tip = dice_in(dice, 0.12, 0.21), thick = dice_in(dice, 0.5, 0.85);
    int kind = dice_below(dice, 3);
    double tip_x = pen_cos(tip), tip_y = pen_sin(tip), x = side * (1 - tip_x) / 2;
    double deep = tip_x + 1 - thick;
    if (side > 0) {
        pen_arc(pen, x, 0, 1, 1, tip, 1 - tip);
        pen_arc(pen, x + tip_x, 0, deep, tip_y, 0.75, 0.25);
    } else {
        pen_arc(pen, x, 0, 1, 1, 0.5 - tip, -0.5 + tip);
        pen_arc(pen, x - tip_x, 0, deep, tip_y, -0.25, 0.25);
    }
    pen_close(pen);
    pen_fill(pen, ROLE_BODY);
    if (kind == 0) {
        moon_craters(pen, x, side, thick);
    } else if (kind == 1) {
        pen_arc(pen, x, 0, 0.87, 0.87, side > 0 ? 0.38 : 0.12, side > 0 ? 0.62 : -0.12);
        pen_stroke(pen, 0.09, ROLE_LIGHT);
    } else {
        double eye = x - side * (1 - thick * 0.5);
        struct frame face = frame_at(eye, 0, side, 1, 0);
        sketch_eye(pen, &face, 0, -0.16, 0.13);
        pen_arc(pen, eye + side * thick * 0.3, 0.16, 0.2, 0.16, 0.12, side > 0 ? 0.4 : 0.38);
        pen_stroke(pen, 0.06, ROLE_DARK);
    }
}

static void cloud_rain(struct pen *pen, struct dice *dice, double y)
{
    int n = 3 + dice_below(dice, 3);
    double slant = dice_in(dice, -0.12, 0.12);
    for (int i = 0; i < n; i++) {
        double x = -0.6 + 1.2 * i / (n - 1), low = y + (i % 2 ? 0.2 : 0.06);
        sketch_line(pen, &whole, x, low, x + slant, low + 0.26);
    }
    pen_stroke(pen, 0.1, ROLE_SECOND);
}

/* A flat bottom, and bumps between dots around the rest, higher where their dots are further apart.
 * Those of its first and its last bump stand above each other: these bumps end at x = -1 and x =
 * 1. */
static void cloud_outline(struct pen *pen, const double (*dots)[2], int n, double bulge)
{
    pen_move(pen, dots[0][0], dots[0][1]);
    for (int i = 0; i + 1 < n; i++) {
        double x = dots[i][0], y = dots[i][1], to_x = dots[i + 1][0], to_y = dots[i + 1][1];
        double dx = to_x - x, dy = to_y - y;
        pen_curve(pen, x + dy * bulge - dx * 0.08, y - dx * bulge - dy * 0.08,
                  to_x + dy * bulge + dx * 0.08, to_y - dx * bulge + dy * 0.08, to_x, to_y);
    }
    pen_close(pen);
    pen_fill(pen, ROLE_BODY);
}

void shape_cloud(struct pen *pen, struct dice *dice)
{
    int rain = dice_chance(dice, 0.35), n = 5 + dice_below(dice, 2);
    double bottom = rain ? 0.26 : 0.55, side = dice_chance(dice, 0.5) ? -1 : 1, dots[6][2];
    double bulge = dice_in(dice, 0.56, 0.7), high = dice_in(dice, 0.42, 0.56);
    double low = high * dice_in(dice, 0.8, 1), peak = dice_in(dice, 0.1, 0.26);
    double split = dice_in(dice, 0.05, 0.3), left = -1 + 0.75 * bulge * high;
    double right = 1 - 0.75 * bulge * low;
    const double five[][2] = {
        {left, 0}, {left, -high}, {split, -high - peak}, {right, -low}, {right, 0}};
    const double six[][2] = {
        {left, 0},     {left, -high}, {split - 0.4, -high - peak}, {split + 0.2, -high - peak},
        {right, -low}, {right, 0}};
    for (int i = 0; i < n; i++) {
        const double *dot = (n == 5 ? five : six)[side > 0 ? i : n - 1 - i];
        dots[i][0] = side * dot[0];
        dots[i][1] = bottom + dot[1];
    }
    if (rain)
        cloud_rain(pen, dice, bottom);
    cloud_outline(pen, (const double(*)[2])dots, n, bulge);
    double x = side * (left + split) / 2, y = bottom - high - peak / 2 + 0.06;
    pen_arc(pen, x, y, 0.18, 0.18, 0.56, 0.8);
    pen_stroke(pen, 0.08, ROLE_LIGHT);
    if (dice_chance(dice, 0.6)) {
        x = side * dice_in(dice, 0.1, 0.35);
        sketch_line(pen, &whole, x - 0.45, bottom - 0.16, x + 0.3, bottom - 0.16);
        pen_stroke(pen, 0.08, ROLE_SECOND);
    }
}

/* One ray, upwards from y = -near to y = -1. */
static void sun_ray(struct pen *pen, int kind, double turn, double near, double wide, int minor)
{
    const struct frame frame = frame_at(0, 0, 1, 1, turn);
    double far = minor ? near + (1 - near) * 0.62 : 1;
    if (kind == 0) {
        const struct dot half[] = {{0, -far, 1}, {wide, -near, 1}};
        sketch_even(pen, &frame, half, 2);
    } else if (kind == 1) {
        double middle = (near + far) / 2;
        pen_ellipse(pen, pen_sin(turn) * middle, -pen_cos(turn) * middle, wide * 0.6,
                    (far - near) / 2, turn);
    } else {
        const struct dot flame[] = {{wide * 0.7, -far, 1},
                                    {wide * 0.5, -(near + far) / 2, 0},
                                    {wide, -near, 1},
                                    {-wide, -near, 1},
                                    {-wide * 0.6, -(near + far) / 2, 0}};
        sketch(pen, &frame, flame, 5);
    }
}

static void sun_face(struct pen *pen, double r)
{
    sketch_eye(pen, &whole, -r * 0.36, -r * 0.15, r * 0.17);
    sketch_eye(pen, &whole, r * 0.36, -r * 0.15, r * 0.17);
    pen_arc(pen, 0, r * 0.12, r * 0.45, r * 0.4, 0.08, 0.42);
    pen_stroke(pen, 0.06, ROLE_DARK);
}

void shape_sun(struct pen *pen, struct dice *dice)
{
    int kind = dice_below(dice, 3), n = 4 * (2 + dice_below(dice, 3)),
        face = dice_chance(dice, 0.4);
    int minor = n > 8 && dice_chance(dice, 0.5);
    double r = dice_in(dice, 0.5, 0.6), gap = kind == 2 ? 0.02 : dice_in(dice, 0.05, 0.12);
    double wide = (r + gap) * dice_in(dice, 1.6, 2.3) / n;
    for (int i = 0; i < n; i++)
        sun_ray(pen, kind, (double)i / n, r + gap, wide, minor && i % 2);
    pen_fill(pen, dice_chance(dice, 0.5) ? ROLE_BODY : ROLE_SECOND);
    pen_circle(pen, 0, 0, r);
    pen_fill(pen, ROLE_BODY);
    if (face) {
        sun_face(pen, r);
    } else {
        pen_circle(pen, 0, 0, r * dice_in(dice, 0.6, 0.8));
        pen_fill(pen, ROLE_SECOND);
    }
}
