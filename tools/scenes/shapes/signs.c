/* scenes/shapes/signs.c: star, heart, lightning bolt. */
#include "shapes.h"
#include "sketch.h"

/* A star of n points, its longer side 2*half. */
static void star_outline(struct pen *pen, int n, double inner, double half)
{
    double points[12][2];
    for (int i = 0; i < 2 * n; i++) {
        double turn = (double)i / (2 * n) - 0.25, r = i % 2 ? inner : 1;
        points[i][0] = r * pen_cos(turn);
        points[i][1] = r * pen_sin(turn);
    }
    sketch_fit(points, 2 * n, half);
    pen_polygon(pen, (const double(*)[2])points, 2 * n);
}

/* One half of each point, as of folded paper. */
static void star_folds(struct pen *pen, int n, double inner, double half)
{
    double points[13][2] = {{0, 0}};
    for (int i = 0; i < 2 * n; i++) {
        double turn = (double)i / (2 * n) - 0.25, r = i % 2 ? inner : 1;
        points[i + 1][0] = r * pen_cos(turn);
        points[i + 1][1] = r * pen_sin(turn);
    }
    sketch_fit(points, 2 * n + 1, half);
    for (int i = 0; i < n; i++) {
        const double fold[3][2] = {{points[0][0], points[0][1]},
                                   {points[1 + 2 * i][0], points[1 + 2 * i][1]},
                                   {points[2 + 2 * i][0], points[2 + 2 * i][1]}};
        pen_polygon(pen, fold, 3);
    }
    pen_fill(pen, ROLE_SECOND);
}

void shape_star(struct pen *pen, struct dice *dice)
{
    int n = dice_chance(dice, 0.75) ? 5 : 6;
    double inner = dice_in(dice, n == 5 ? 0.4 : 0.48, n == 5 ? 0.56 : 0.6);
    double round = dice_chance(dice, 0.5) ? dice_in(dice, 0.1, 0.24) : 0.02;
    int kind = dice_below(dice, 3);
    double half = 1 - round / 2;
    star_outline(pen, n, inner, half);
    pen_stroke(pen, round, kind == 2 ? ROLE_SECOND : ROLE_BODY);
    star_outline(pen, n, inner, half);
    pen_fill(pen, kind == 2 ? ROLE_SECOND : ROLE_BODY);
    if (kind == 0) {
        star_folds(pen, n, inner, half * 0.94);
    } else {
        star_outline(pen, n, inner, half * (kind == 1 ? 0.45 : 0.76));
        pen_fill(pen, kind == 1 ? ROLE_LIGHT : ROLE_BODY);
    }
}

static void heart_outline(struct pen *pen, double across, double cleft, double scale)
{
    const struct dot half[] = {{0, cleft, 1},    {0.2, -0.86, 0}, {0.54, -0.97, 0}, {0.87, -0.8, 0},
                               {0.995, -0.4, 0}, {0.86, 0.04, 0}, {0.48, 0.5, 0},   {0, 0.97, 1}};
    struct frame frame = frame_at(0, 0, across * scale, scale, 0);
    sketch_even(pen, &frame, half, 8);
}

void shape_heart(struct pen *pen, struct dice *dice)
{
    double across = dice_in(dice, 0.84, 1), cleft = dice_in(dice, -0.66, -0.44);
    double edge = dice_chance(dice, 0.4) ? dice_in(dice, 0.74, 0.84) : 0;
    struct frame frame = frame_facing(dice);
    heart_outline(pen, across, cleft, 1);
    pen_fill(pen, edge > 0 ? ROLE_SECOND : ROLE_BODY);
    if (edge > 0) {
        heart_outline(pen, across, cleft, edge);
        pen_fill(pen, ROLE_BODY);
    }
    if (dice_chance(dice, 0.75)) {
        static const struct dot shine[] = {{-0.62, -0.16, 1}, {-0.66, -0.4, 0}, {-0.44, -0.64, 1}};
        sketch_open(pen, &frame, shine, 3);
        pen_stroke(pen, 0.11, ROLE_LIGHT);
    } else {
        heart_outline(pen, across * 0.45, cleft, 0.45);
        pen_fill(pen, ROLE_LIGHT);
    }
}

static const double bolt_two[][2] = {{-0.1, -1}, {0.5, -1},    {0.16, -0.3}, {0.6, -0.3},
                                     {-0.35, 1}, {-0.06, 0.1}, {-0.55, 0.1}};
static const double bolt_three[][2] = {{0, -1},       {0.52, -1},    {0.26, -0.45}, {0.58, -0.45},
                                       {0.2, 0.1},    {0.5, 0.1},    {-0.42, 1},    {-0.14, 0.36},
                                       {-0.46, 0.36}, {-0.1, -0.18}, {-0.5, -0.18}};

void shape_lightning(struct pen *pen, struct dice *dice)
{
    double points[11][2];
    int two = dice_chance(dice, 0.6), n = two ? 7 : 11;
    double across = dice_chance(dice, 0.5) ? -1 : 1;
    double wide = dice_in(dice, 0.85, 1.25), slant = dice_in(dice, -0.12, 0.16);
    double edge = dice_chance(dice, 0.6) ? dice_in(dice, 0.14, 0.24) : 0.04;
    for (int i = 0; i < n; i++) {
        const double *p = two ? bolt_two[i] : bolt_three[i];
        points[i][0] = across * (p[0] * wide - p[1] * slant);
        points[i][1] = p[1];
    }
    sketch_fit(points, n, 1 - edge / 2);
    pen_polygon(pen, (const double(*)[2])points, n);
    pen_stroke(pen, edge, edge > 0.1 ? ROLE_SECOND : ROLE_BODY);
    pen_polygon(pen, (const double(*)[2])points, n);
    pen_fill(pen, ROLE_BODY);
    if (dice_chance(dice, 0.6)) {
        double x = points[0][0], y = points[0][1];
        struct frame frame = frame_at(0, 0, 1, 1, 0);
        double down = two ? 0.75 : 0.55, over = (points[n - 1][0] - x) * 0.62;
        sketch_line(pen, &frame, x + across * 0.17, y + 0.12, x + across * 0.15 + over, y + down);
        pen_stroke(pen, 0.09, ROLE_LIGHT);
    }
}
