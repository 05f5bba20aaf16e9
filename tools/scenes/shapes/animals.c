/* scenes/shapes/animals.c: fish, butterfly, bird, snail, cat. */
#include "shapes.h"
#include "sketch.h"

static const struct frame whole = {0, 0, 1, 1, 1, 0};

static void fish_fins(struct pen *pen, const struct frame *frame, double h, double spread,
                      double root)
{
    const struct dot tail[] = {{root, -0.1, 1}, {-0.72, -spread * 0.8, 0}, {-1, -spread, 1},
                               {-0.84, 0, 0},   {-1, spread, 1},           {-0.72, spread * 0.8, 0},
                               {root, 0.1, 1}};
    const struct dot back[] = {
        {-0.3, -h * 0.6, 1}, {-0.32, -h - 0.12, 0}, {-0.05, -h - 0.26, 0}, {0.36, -h * 0.7, 1}};
    const struct dot belly[] = {{0.2, h * 0.7, 1}, {-0.1, h + 0.22, 1}, {-0.2, h * 0.7, 1}};
    sketch(pen, frame, tail, 7);
    sketch(pen, frame, back, 4);
    sketch(pen, frame, belly, 3);
    pen_fill(pen, ROLE_SECOND);
}

static void fish_stripes(struct pen *pen, const struct frame *frame, double h, int n)
{
    for (int i = 0; i < n; i++) {
        double x = 0.2 - 0.24 * i, reach = h * (0.72 - 0.13 * i);
        const struct dot stripe[] = {{x - 0.05, -reach, 1}, {x + 0.06, 0, 0}, {x - 0.05, reach, 1}};
        sketch_open(pen, frame, stripe, 3);
    }
    pen_stroke(pen, 0.09, ROLE_LIGHT);
}

void shape_fish(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double h = dice_in(dice, 0.36, 0.58), spread = dice_in(dice, 0.36, 0.56);
    double root = dice_in(dice, -0.5, -0.4), eye = dice_in(dice, 0.09, 0.13);
    int stripes = dice_below(dice, 4);
    const struct dot body[] = {{0.99, 0.03, 0},      {0.8, -h * 0.55, 0},   {0.3, -h, 0},
                               {-0.2, -h * 0.72, 0}, {root - 0.1, -0.1, 1}, {root - 0.1, 0.1, 1},
                               {-0.2, h * 0.72, 0},  {0.3, h, 0},           {0.8, h * 0.58, 0}};
    const struct dot gill[] = {{0.4, -h * 0.62, 1}, {0.31, 0, 0}, {0.4, h * 0.62, 1}};
    const struct dot side[] = {{0.2, 0.02, 1}, {-0.12, 0, 0}, {-0.2, 0.2, 0}, {0.05, 0.22, 0}};
    const struct dot mouth[] = {{0.97, 0.14, 1}, {0.84, 0.16, 0}, {0.76, 0.12, 1}};
    fish_fins(pen, &frame, h, spread, root);
    sketch(pen, &frame, body, 9);
    pen_fill(pen, ROLE_BODY);
    fish_stripes(pen, &frame, h, stripes);
    sketch_open(pen, &frame, gill, 3);
    sketch_open(pen, &frame, mouth, 3);
    pen_stroke(pen, 0.045, ROLE_DARK);
    sketch(pen, &frame, side, 4);
    pen_fill(pen, ROLE_SECOND);
    sketch_eye(pen, &frame, 0.64, -h * 0.25, eye);
}

/* Both wings, one pair of frames. */
static void wings(struct pen *pen, const struct dot *dots, int n, double x, double y, double scale)
{
    for (int side = -1; side <= 1; side += 2) {
        const struct frame frame =
            frame_at(side * x * (1 - scale), y * (1 - scale), side * scale, scale, 0);
        sketch(pen, &frame, dots, n);
    }
}

static void butterfly_body(struct pen *pen, double feel)
{
    for (int side = -1; side <= 1; side += 2) {
        const struct dot feeler[] = {{0, -0.4, 1}, {side * 0.08, -0.7, 0}, {side * feel, -0.92, 1}};
        sketch_open(pen, &whole, feeler, 3);
    }
    pen_stroke(pen, 0.05, ROLE_DARK);
    pen_circle(pen, -feel, -0.92, 0.055);
    pen_circle(pen, feel, -0.92, 0.055);
    pen_ellipse(pen, 0, 0.12, 0.1, 0.56, 0);
    pen_circle(pen, 0, -0.46, 0.13);
    pen_fill(pen, ROLE_DARK);
}

void shape_butterfly(struct pen *pen, struct dice *dice)
{
    double tip = dice_in(dice, -0.88, -0.7), low = dice_in(dice, 0.72, 0.9),
           out = dice_in(dice, 0.6, 0.8);
    int spots = dice_chance(dice, 0.6), edge = dice_chance(dice, 0.6);
    const struct dot upper[] = {{0.04, -0.22, 1},      {0.4, tip + 0.2, 0}, {0.8, tip, 0},
                                {0.99, tip + 0.24, 0}, {0.86, -0.1, 0},     {0.5, 0.12, 0},
                                {0.04, 0.06, 1}};
    const struct dot lower[] = {{0.04, 0, 1},         {0.5, 0.04, 0},
                                {out, 0.3, 0},        {out - 0.06, low - 0.14, 0},
                                {out - 0.32, low, 0}, {0.18, 0.56, 0}};
    wings(pen, lower, 6, 0, 0, 1);
    pen_fill(pen, ROLE_SECOND);
    wings(pen, upper, 7, 0, 0, 1);
    pen_fill(pen, ROLE_BODY);
    if (edge) {
        wings(pen, upper, 7, 0.5, -0.3, 0.62);
        pen_fill(pen, ROLE_SECOND);
        wings(pen, lower, 6, 0.42, 0.4, 0.55);
        pen_fill(pen, ROLE_BODY);
    }
    for (int side = -1; spots && side <= 1; side += 2) {
        pen_circle(pen, side * 0.68, tip + 0.3, 0.13);
        pen_circle(pen, side * (out - 0.26), 0.42, 0.1);
    }
    if (spots)
        pen_fill(pen, ROLE_LIGHT);
    butterfly_body(pen, dice_in(dice, 0.2, 0.36));
}

static void bird_legs(struct pen *pen, const struct frame *frame, double foot)
{
    for (int i = 0; i < 2; i++) {
        double x = 0.02 + 0.22 * i;
        sketch_line(pen, frame, x, 0.4, x + 0.03, foot);
        sketch_line(pen, frame, x - 0.07, foot, x + 0.16, foot);
    }
    pen_stroke(pen, 0.06, ROLE_DARK);
}

void shape_bird(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double tail = dice_in(dice, -0.1, 0.3), belly = dice_in(dice, 0.46, 0.6),
           foot = belly + dice_in(dice, 0.24, 0.34);
    double beak = dice_in(dice, 0.08, 0.15), wing = dice_in(dice, 0.12, 0.3);
    int crest = dice_chance(dice, 0.35);
    const struct dot body[] = {{0.02, -0.5, 0},  {0.22, -0.76, 0},        {0.46, -0.84, 0},
                               {0.7, -0.7, 0},   {0.78, -0.45, 0},        {0.72, -0.1, 0},
                               {0.6, 0.26, 0},   {0.26, belly - 0.02, 0}, {-0.12, belly - 0.04, 0},
                               {-0.5, 0.32, 0},  {-0.94, tail + 0.22, 1}, {-1, tail, 1},
                               {-0.4, -0.02, 0}, {-0.1, -0.22, 0}};
    const struct dot feather[] = {{0.3, -0.16, 0},       {0.36, 0.12, 0},   {0.1, wing + 0.16, 0},
                                  {-0.6, wing + 0.1, 1}, {-0.24, -0.06, 0}, {0.04, -0.24, 0}};
    const struct dot bill[] = {{0.72, -0.5 - beak, 1}, {1, -0.44, 1}, {0.74, -0.44 + beak, 1}};
    const struct dot tuft[] = {{0.5, -0.75, 1}, {0.2, -0.72, 1}, {0, -0.92, 1}, {0.24, -0.9, 0}};
    bird_legs(pen, &frame, foot);
    if (crest) {
        sketch(pen, &frame, tuft, 4);
        pen_fill(pen, ROLE_SECOND);
    }
    sketch(pen, &frame, bill, 3);
    pen_fill(pen, ROLE_SECOND);
    sketch(pen, &frame, body, 14);
    pen_fill(pen, ROLE_BODY);
    sketch(pen, &frame, feather, 6);
    pen_fill(pen, ROLE_SECOND);
    sketch_eye(pen, &frame, 0.52, -0.54, dice_in(dice, 0.09, 0.13));
}

/* A line around (x,y), its radius falling evenly. */
static void spiral(struct pen *pen, const struct frame *frame, double x, double y, double r,
                   double turns)
{
    struct dot dots[32];
    for (int i = 0; i < 32; i++) {
        double part = i / 31.0, turn = 0.3 - part * turns, at = r * (1 - part * 0.94);
        dots[i] = (struct dot){x + at * pen_cos(turn), y + at * pen_sin(turn), 0};
    }
    sketch_open(pen, frame, dots, 32);
    pen_stroke(pen, 0.075, ROLE_DARK);
}

void shape_snail(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double r = dice_in(dice, 0.54, 0.66), turns = dice_in(dice, 1.7, 2.8),
           x = dice_in(dice, -0.24, -0.1);
    double y = 0.62 - r, up = dice_in(dice, -0.66, -0.5), head = dice_in(dice, -0.2, 0.02);
    const struct dot body[] = {
        {-1, 0.84, 1},         {-0.7, 0.62, 0}, {-0.2, 0.42, 0},        {0.3, 0.4, 0},
        {0.46, 0.14, 0},       {0.54, head, 0}, {0.76, head - 0.14, 0}, {0.97, head + 0.06, 0},
        {0.93, head + 0.3, 0}, {0.84, 0.6, 0},  {0.6, 0.84, 1}};
    frame.y = -0.08;
    for (int i = 0; i < 2; i++) {
        double tip = 0.66 + 0.27 * i;
        sketch_line(pen, &frame, 0.68 + 0.12 * i, head, tip, up);
    }
    pen_stroke(pen, 0.07, ROLE_SECOND);
    sketch(pen, &frame, body, 11);
    pen_fill(pen, ROLE_SECOND);
    sketch_circle(pen, &frame, x, y, r);
    pen_fill(pen, ROLE_BODY);
    spiral(pen, &frame, x, y, r * 0.8, turns);
    sketch_circle(pen, &frame, 0.66, up, 0.07);
    sketch_circle(pen, &frame, 0.93, up, 0.07);
    sketch_circle(pen, &frame, 0.82, head + 0.1, 0.05);
    pen_fill(pen, ROLE_DARK);
}

static void cat_mouth(struct pen *pen, double y)
{
    static const double nose[][2] = {{-0.11, 0}, {0.11, 0}, {0, 0.12}};
    double at[3][2];
    for (int i = 0; i < 3; i++) {
        at[i][0] = nose[i][0];
        at[i][1] = nose[i][1] + y;
    }
    pen_polygon(pen, (const double(*)[2])at, 3);
    pen_fill(pen, ROLE_DARK);
    pen_arc(pen, -0.12, y + 0.16, 0.12, 0.13, 0.45, 0);
    pen_stroke(pen, 0.045, ROLE_DARK);
    pen_arc(pen, 0.12, y + 0.16, 0.12, 0.13, 0.5, 0.05);
    pen_stroke(pen, 0.045, ROLE_DARK);
    for (int side = -1; side <= 1; side += 2) {
        for (int i = -1; i <= 1; i++)
            sketch_line(pen, &whole, side * 0.36, y + 0.1 + 0.05 * i, side * 0.84,
                        y + 0.06 + 0.15 * i);
    }
    pen_stroke(pen, 0.035, ROLE_DARK);
}

static void cat_eyes(struct pen *pen, double x, double y, double wide, int slit)
{
    for (int side = -1; side <= 1; side += 2) {
        pen_ellipse(pen, side * x, y, wide, 0.17, 0);
        pen_fill(pen, ROLE_LIGHT);
        pen_ellipse(pen, side * x, y, slit ? wide * 0.35 : wide * 0.65, 0.14, 0);
        pen_fill(pen, ROLE_DARK);
    }
}

void shape_cat(struct pen *pen, struct dice *dice)
{
    double ear = dice_in(dice, 0.64, 0.82), tip = dice_in(dice, -1, -0.92),
           chin = dice_in(dice, 0.84, 0.96);
    double eye = dice_in(dice, 0.36, 0.44), wide = dice_in(dice, 0.13, 0.19);
    int slit = dice_chance(dice, 0.5), stripes = dice_chance(dice, 0.5),
        patch = dice_chance(dice, 0.4);
    const struct dot face[] = {{0, -0.52, 0},          {0.3, -0.55, 1}, {ear, tip, 1},
                               {0.9, -0.22, 1},        {0.98, 0.18, 0}, {0.76, 0.62, 0},
                               {0.36, chin - 0.06, 0}, {0, chin, 0}};
    const struct dot inner[] = {{0.44, -0.54, 1}, {ear - 0.02, tip + 0.22, 1}, {0.8, -0.3, 1}};
    sketch_even(pen, &whole, face, 8);
    pen_fill(pen, ROLE_BODY);
    wings(pen, inner, 3, 0, 0, 1);
    pen_fill(pen, ROLE_SECOND);
    if (patch) {
        pen_ellipse(pen, eye, -0.05, 0.32, 0.3, 0);
        pen_fill(pen, ROLE_SECOND);
    }
    for (int i = -1; stripes && i <= 1; i++)
        sketch_line(pen, &whole, i * 0.15, -0.42, i * 0.1, i ? -0.26 : -0.2);
    if (stripes)
        pen_stroke(pen, 0.07, ROLE_SECOND);
    pen_ellipse(pen, -0.15, 0.46, 0.22, 0.18, 0);
    pen_ellipse(pen, 0.15, 0.46, 0.22, 0.18, 0);
    pen_fill(pen, ROLE_LIGHT);
    cat_eyes(pen, eye, -0.03, wide, slit);
    cat_mouth(pen, 0.28);
}
