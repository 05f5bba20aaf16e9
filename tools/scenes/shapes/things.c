/* scenes/shapes/things.c: cup, key, umbrella, ice cream, scissors. */
#include "shapes.h"
#include "sketch.h"

static const struct frame whole = {0, 0, 1, 1, 1, 0};

static void cup_steam(struct pen *pen, const struct frame *frame, double rim)
{
    for (int i = -1; i <= 1; i++) {
        double x = i * 0.3 - 0.12, y = rim - 0.14;
        const struct dot wisp[] = {
            {x, y, 1}, {x + 0.09, y - 0.13, 0}, {x - 0.02, y - 0.28, 0}, {x + 0.06, y - 0.42, 1}};
        sketch_open(pen, frame, wisp, 4);
    }
    pen_stroke(pen, 0.08, ROLE_LIGHT);
}

void shape_cup(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    int steam = dice_chance(dice, 0.5), plate = dice_chance(dice, 0.5),
        band = dice_chance(dice, 0.5);
    double rim = steam ? -0.38 : -0.66, foot = steam ? 0.86 : 0.72,
           taper = dice_in(dice, 0.42, 0.7);
    double loop = dice_in(dice, 0.3, 0.36), middle = rim + (foot - rim) * 0.42;
    double right = 0.5, left = -0.96, x = (right + left) / 2, half = (right - left) / 2;
    frame.x = plate ? 0 : frame.across * (0.02 - (loop - 0.3) * 0.5);
    const struct frame bowl = frame_at(frame.x + frame.across * x, 0, half, 1, 0);
    const struct dot body[] = {
        {1, rim, 1}, {0.97, middle, 0}, {taper + 0.12, foot - 0.14, 0}, {taper - 0.06, foot, 1}};
    if (steam)
        cup_steam(pen, &frame, rim);
    if (plate) {
        pen_ellipse(pen, frame.x, foot - 0.02, 0.98, 0.13, 0);
        pen_fill(pen, ROLE_SECOND);
    }
    sketch_ellipse(pen, &frame, right - 0.02, middle + 0.02, loop + 0.1, loop, 0);
    pen_stroke(pen, 0.15, ROLE_SECOND);
    sketch_even(pen, &bowl, body, 4);
    pen_fill(pen, ROLE_BODY);
    if (band) {
        const struct dot ring[] = {
            {0.965, middle - 0.02, 1}, {0.93, middle + 0.2, 1}, {0, middle + 0.2, 1}};
        sketch_even(pen, &bowl, ring, 3);
        pen_fill(pen, ROLE_SECOND);
    } else {
        pen_circle(pen, bowl.x, middle + 0.12, 0.2);
        pen_fill(pen, ROLE_LIGHT);
    }
    pen_ellipse(pen, bowl.x, rim, half, 0.13, 0);
    pen_fill(pen, ROLE_LIGHT);
    pen_ellipse(pen, bowl.x, rim + 0.02, half * 0.88, 0.09, 0);
    pen_fill(pen, ROLE_DARK);
}

static void key_bow(struct pen *pen, int kind, double r)
{
    double y = -1 + r;
    if (kind == 0) {
        pen_circle(pen, 0, y, r);
        pen_circle_hole(pen, 0, y, r * 0.56);
        pen_fill(pen, ROLE_BODY);
    } else if (kind == 1) {
        pen_box(pen, -r * 1.15, y - r, r * 1.15, y + r, r * 0.5);
        pen_box_hole(pen, -r * 0.6, y - r * 0.6, r * 0.6, y + r * 0.3, r * 0.3);
        pen_fill(pen, ROLE_BODY);
    } else {
        double small = r * 0.4;
        pen_circle(pen, 0, -1 + small + 0.07, small);
        pen_circle(pen, -small * 1.3, -1 + small * 2.7, small);
        pen_circle(pen, small * 1.3, -1 + small * 2.7, small);
        pen_stroke(pen, 0.14, ROLE_BODY);
    }
}

void shape_key(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    int kind = dice_below(dice, 3), teeth = 2 + dice_below(dice, 3);
    double r = dice_in(dice, 0.38, 0.5), w = dice_in(dice, 0.09, 0.13), start = -1 + 2 * r - 0.06;
    double step = dice_in(dice, 0.17, 0.2);
    struct dot shaft[4 + 4 * 4] = {{-w, start, 1}, {w, start, 1}};
    int n = 2;
    for (int i = teeth; i-- > 0;) {
        double y = 0.92 - step * i, reach = w + dice_in(dice, 0.16, 0.32);
        shaft[n++] = (struct dot){w, y - 0.11, 1};
        shaft[n++] = (struct dot){reach, y - 0.11, 1};
        shaft[n++] = (struct dot){reach, y, 1};
        shaft[n++] = (struct dot){w, y, 1};
    }
    shaft[n++] = (struct dot){w * 0.5, 1, 1};
    shaft[n++] = (struct dot){-w, 0.96, 1};
    sketch(pen, &frame, shaft, n);
    pen_fill(pen, ROLE_BODY);
    key_bow(pen, kind, r);
    pen_box(pen, -w - 0.09, start + 0.04, w + 0.09, start + 0.15, 0.03);
    pen_fill(pen, ROLE_SECOND);
    if (dice_chance(dice, 0.6)) {
        pen_box(pen, -w - 0.07, start + 0.23, w + 0.07, start + 0.3, 0.02);
        pen_fill(pen, ROLE_SECOND);
    }
    sketch_line(pen, &frame, -w * 0.3, start + 0.4, -w * 0.3, 0.85);
    pen_stroke(pen, 0.04, ROLE_DARK);
}

/* A dome from x0 to x1 at the hem, both times half, with its hem lifted between ribs. */
static void panel(struct pen *pen, double top, double hem, double x0, double x1, double lift)
{
    double rise = hem - top;
    pen_move(pen, x0, hem);
    pen_curve(pen, x0, hem - rise * 0.58, x0 * 0.55, top, 0, top);
    pen_curve(pen, x1 * 0.55, top, x1, hem - rise * 0.58, x1, hem);
    pen_bend(pen, (x0 + x1) / 2, hem - lift, x0, hem);
    pen_close(pen);
}

void shape_umbrella(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    int n = 3 + dice_below(dice, 3), plain = dice_chance(dice, 0.3);
    double top = -0.86, hem = dice_in(dice, -0.04, 0.1), lift = dice_in(dice, 0.16, 0.26);
    double hook = dice_in(dice, 0.13, 0.18), w = dice_in(dice, 0.07, 0.1), y = 1 - hook - w / 2;
    const struct dot handle[] = {
        {0, -0.2, 1}, {0, y, 1}, {hook, y + hook, 0}, {2 * hook, y, 0}, {2 * hook, y - 0.06, 1}};
    sketch_line(pen, &whole, 0, -0.97, 0, top + 0.1);
    sketch_open(pen, &frame, handle, 5);
    pen_stroke(pen, w, ROLE_DARK);
    for (int i = 0; i < n; i++) {
        double x0 = -1 + 2.0 * i / n, x1 = -1 + 2.0 * (i + 1) / n;
        panel(pen, top, hem, x0, x1, lift);
        pen_fill(pen, i % 2 && !plain ? ROLE_SECOND : ROLE_BODY);
    }
    for (int i = 1; i < n; i++) {
        double x = -1 + 2.0 * i / n;
        pen_move(pen, 0, top);
        pen_curve(pen, x * 0.55, top, x, hem - (hem - top) * 0.58, x, hem);
    }
    pen_stroke(pen, 0.035, ROLE_DARK);
}

static void cone(struct pen *pen, double rim, double wide, int lines)
{
    const double outline[][2] = {{-wide, rim}, {wide, rim}, {0.03, 1}, {-0.03, 1}};
    pen_polygon(pen, outline, 4);
    pen_fill(pen, ROLE_SECOND);
    for (int i = 0; i < lines; i++) {
        double part = (i + 0.5) / lines, x = wide * (1 - 2 * part), end = (1 - part) * 0.96;
        /* from the rim to the other side, as far down as the cone is there */
        for (int side = -1; side <= 1; side += 2)
            sketch_line(pen, &whole, side * x, rim, side * (x - wide * end), rim + (1 - rim) * end);
    }
    pen_stroke(pen, 0.035, ROLE_DARK);
}

static void scoop(struct pen *pen, double x, double y, double r, enum role role)
{
    const struct frame frame = frame_at(x, y, r, r, 0);
    static const struct dot half[] = {
        {0, -1, 0},    {0.71, -0.71, 0}, {1, -0.02, 0},  {1.16, 0.3, 0},  {1.12, 0.6, 0},
        {0.9, 0.7, 0}, {0.7, 0.58, 0},   {0.5, 0.82, 0}, {0.28, 0.86, 0}, {0, 0.62, 0}};
    sketch_even(pen, &frame, half, 10);
    pen_fill(pen, role);
    pen_arc(pen, x, y, r * 0.68, r * 0.68, 0.54, 0.7);
    pen_stroke(pen, 0.07, ROLE_LIGHT);
}

void shape_icecream(struct pen *pen, struct dice *dice)
{
    int scoops = 1 + dice_below(dice, 3), topping = dice_below(dice, 3),
        lines = 2 + dice_below(dice, 2);
    double top = topping == 0 ? -1 : -0.8, side = dice_chance(dice, 0.5) ? -1 : 1;
    double r = scoops == 1   ? 0.54
               : scoops == 2 ? 0.44
                             : 0.42,
           rim = top + r * (scoops == 1   ? 1.5
                            : scoops == 2 ? 2.7
                                          : 2.6);
    double wide = scoops == 3 ? r * 1.5 : r * dice_in(dice, 0.9, 1);
    cone(pen, rim, wide, lines);
    if (topping == 1) {
        sketch_line(pen, &whole, side * 0.05, top + 0.2, side * 0.28, top - 0.14);
        pen_stroke(pen, 0.12, ROLE_SECOND);
    } else if (topping == 2) {
        pen_circle(pen, 0, top - 0.06, 0.14);
        pen_fill(pen, ROLE_SECOND);
        sketch_line(pen, &whole, 0, top - 0.1, side * 0.1, top - 0.17);
        pen_stroke(pen, 0.05, ROLE_DARK);
    }
    if (scoops == 3) {
        scoop(pen, 0, top + r, r, ROLE_LIGHT);
        scoop(pen, -side * r * 0.74, top + 2.2 * r, r, ROLE_BODY);
        scoop(pen, side * r * 0.74, top + 2.2 * r, r, ROLE_SECOND);
        return;
    }
    if (scoops == 2)
        scoop(pen, 0, top + r, r * 0.94, ROLE_LIGHT);
    scoop(pen, 0, scoops == 2 ? top + 2.2 * r : top + r, r, ROLE_BODY);
}

/* One half: a blade up from the pivot, a handle below. */
static void scissor(struct pen *pen, double side, double open, double low, double ring, double w)
{
    const struct frame frame = frame_at(0, 0.08, side, 1, side * open);
    const struct dot blade[] = {{-0.02, -1.07 / frame.cos, 1},
                                {0.11, -0.5, 0},
                                {0.11, 0.06, 1},
                                {-0.1, 0.06, 1},
                                {-0.1, -0.9, 0}};
    const struct dot arm[] = {{0, 0, 1}, {-0.02, 0.22, 0}, {-0.14, low - ring * 0.5, 1}};
    sketch(pen, &frame, blade, 5);
    pen_fill(pen, ROLE_LIGHT);
    sketch_line(pen, &frame, 0.06, -0.1, 0.04, -0.6);
    pen_stroke(pen, 0.04, ROLE_DARK);
    sketch_open(pen, &frame, arm, 3);
    pen_stroke(pen, w, ROLE_BODY);
    sketch_ellipse(pen, &frame, -0.16, low, ring * 0.85, ring, 0);
    pen_stroke(pen, w, ROLE_BODY);
}

void shape_scissors(struct pen *pen, struct dice *dice)
{
    double open = dice_in(dice, 0.045, 0.085), ring = dice_in(dice, 0.19, 0.24),
           w = dice_in(dice, 0.1, 0.15);
    double low = 1.01 - ring - w / 2, first = dice_chance(dice, 0.5) ? -1 : 1;
    scissor(pen, first, open, low, ring, w);
    scissor(pen, -first, open, low, ring, w);
    pen_circle(pen, 0, 0.08, 0.1);
    pen_fill(pen, ROLE_SECOND);
    pen_circle(pen, 0, 0.08, 0.045);
    pen_fill(pen, ROLE_DARK);
}
