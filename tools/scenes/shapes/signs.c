/* scenes/shapes/signs.c: star, heart, lightning bolt. */
#include "shapes.h"
#include "sketch.h"

enum { STAR_MOST = 6, TIP_PIECES = 6, STAR_DOTS = STAR_MOST * (TIP_PIECES + 2) };

/* A star of n points whose tips are cut off by a curve, `round` of the way down their sides. The
 * dots go from the start of a tip to its end and then to the bottom beside it. */
static int star_dots(double (*dots)[2], int n, double inner, double round)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        double turn = (double)i / n - 0.25, half = 0.5 / n;
        double x = pen_cos(turn), y = pen_sin(turn);
        double x0 = inner * pen_cos(turn - half), y0 = inner * pen_sin(turn - half);
        double x1 = inner * pen_cos(turn + half), y1 = inner * pen_sin(turn + half);
        for (int k = 0; k <= TIP_PIECES; k++) {
            double t = (double)k / TIP_PIECES, s = 1 - t;
            double before = s * s * round, after = t * t * round;
            dots[count][0] = x + (x0 - x) * before + (x1 - x) * after;
            dots[count++][1] = y + (y0 - y) * before + (y1 - y) * after;
        }
        dots[count][0] = x1;
        dots[count++][1] = y1;
    }
    sketch_fit(dots, count, 1);
    return count;
}

static void star_outline(struct pen *pen, double (*dots)[2], int n, double y, double scale)
{
    double at[STAR_DOTS][2];
    for (int i = 0; i < n; i++) {
        at[i][0] = dots[i][0] * scale;
        at[i][1] = y + (dots[i][1] - y) * scale;
    }
    pen_polygon(pen, (const double(*)[2])at, n);
}

/* One half of each point, as of folded paper. */
static void star_folds(struct pen *pen, double (*dots)[2], int n, double y)
{
    for (int i = 0; i < n; i++) {
        const double *tip = dots[i * (TIP_PIECES + 2) + TIP_PIECES / 2];
        const double *end = dots[i * (TIP_PIECES + 2) + TIP_PIECES], *bottom = end + 2;
        const double fold[4][2] = {
            {0, y}, {tip[0], tip[1]}, {end[0], end[1]}, {bottom[0], bottom[1]}};
        pen_polygon(pen, fold, 4);
    }
    pen_fill(pen, ROLE_SECOND);
}

void shape_star(struct pen *pen, struct dice *dice)
{
    double dots[STAR_DOTS][2];
    int n = dice_chance(dice, 0.75) ? 5 : 6;
    double inner = dice_in(dice, n == 5 ? 0.4 : 0.46, n == 5 ? 0.56 : 0.54);
    double round = dice_chance(dice, 0.6) ? dice_in(dice, 0.2, 0.6) : 0;
    int kind = dice_below(dice, 4), count = star_dots(dots, n, inner, round);
    /* Its middle lies below that of the box around it where one tip is up and none down. */
    double y = n == 5 ? 0.1 : 0;
    star_outline(pen, dots, count, y, 1);
    pen_fill(pen, kind == 2 ? ROLE_SECOND : ROLE_BODY);
    if (kind == 0) {
        star_folds(pen, dots, n, y);
    } else if (kind < 3) {
        star_outline(pen, dots, count, y, kind == 1 ? 0.45 : 0.72);
        pen_fill(pen, kind == 1 ? ROLE_LIGHT : ROLE_BODY);
    } else {
        for (int side = -1; side <= 1; side += 2) {
            struct frame frame = frame_at(0, y, side, 1, 0);
            sketch_eye(pen, &frame, 0.17, -0.08, 0.1);
        }
        pen_arc(pen, 0, y + 0.1, 0.16, 0.13, 0.05, 0.45);
        pen_stroke(pen, 0.06, ROLE_DARK);
    }
}

static void heart_outline(struct pen *pen, double across, double cleft, double scale)
{
    const struct dot half[] = {{0, cleft, 1},    {0.2, -0.86, 0}, {0.54, -0.97, 0}, {0.87, -0.8, 0},
                               {0.995, -0.4, 0}, {0.86, 0.04, 0}, {0.48, 0.5, 0},   {0, 0.97, 1}};
    struct frame frame = frame_at(0, (scale - 1) * 0.15, across * scale, scale, 0);
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
        heart_outline(pen, across, cleft, 0.45);
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
    double edge = dice_chance(dice, 0.6) ? dice_in(dice, 0.14, 0.24) : 0;
    for (int i = 0; i < n; i++) {
        const double *p = two ? bolt_two[i] : bolt_three[i];
        points[i][0] = across * (p[0] * wide - p[1] * slant);
        points[i][1] = p[1];
    }
    sketch_fit(points, n, 1 - edge / 2);
    if (edge > 0) {
        pen_polygon(pen, (const double(*)[2])points, n);
        pen_stroke(pen, edge, ROLE_SECOND);
    }
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
