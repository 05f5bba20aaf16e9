/* scenes/shapes/plants.c: flower, leaf, fir tree, mushroom, cactus, apple. */
#include "shapes.h"
#include "sketch.h"

static const struct frame whole = {0, 0, 1, 1, 1, 0};

/* A leaf that grows from (x,y) along its own axis upwards, turned. */
static void leaf_at(struct pen *pen, double x, double y, double length, double wide, double turn)
{
    const struct frame frame = frame_at(x, y, length, length, turn);
    const struct dot half[] = {{0, -1, 1}, {wide * 0.8, -0.62, 0}, {wide, -0.36, 0}, {0, 0, 1}};
    sketch_even(pen, &frame, half, 4);
}

static void petals(struct pen *pen, double y, int n, double reach, int pointed, double wide)
{
    for (int i = 0; i < n; i++) {
        const struct frame frame = frame_at(0, y, reach, reach, (double)i / n);
        const struct dot half[] = {{0, -1, pointed},
                                   {wide * 0.75, pointed ? -0.78 : -0.93, 0},
                                   {wide, -0.6, 0},
                                   {wide * 0.35, -0.1, 1}};
        sketch_even(pen, &frame, half, 4);
    }
}

void shape_flower(struct pen *pen, struct dice *dice)
{
    int n = 5 + dice_below(dice, 5), pointed = dice_chance(dice, 0.35);
    int leaves = 1 + dice_below(dice, 2);
    double reach = dice_in(dice, 0.52, 0.64), y = reach - 1, heart = dice_in(dice, 0.28, 0.42);
    double wide = dice_in(dice, 1.9, 2.5) / n, side = dice_chance(dice, 0.5) ? -1 : 1;
    double sway = side * dice_in(dice, 0.02, 0.14), low = dice_in(dice, 0.7, 0.86);
    const struct dot stem[] = {{0, y, 1}, {sway, 0.4, 0}, {0, 0.95, 1}};
    sketch_open(pen, &whole, stem, 3);
    pen_stroke(pen, 0.1, ROLE_SECOND);
    leaf_at(pen, sway * 0.4, low, 0.6, 0.27, side * 0.15);
    if (leaves > 1)
        leaf_at(pen, sway * 0.4, low - 0.08, 0.55, 0.27, -side * 0.16);
    pen_fill(pen, ROLE_SECOND);
    petals(pen, y, n, reach, pointed, wide > 0.4 ? 0.4 : wide);
    pen_fill(pen, ROLE_BODY);
    pen_circle(pen, 0, y, reach * heart);
    pen_fill(pen, ROLE_DARK);
    pen_circle(pen, 0, y, reach * heart * 0.7);
    pen_fill(pen, ROLE_LIGHT);
}

static void leaf_veins(struct pen *pen, int n, double wide, double rise)
{
    for (int i = 0; i < n; i++) {
        double y = 0.5 - 1.1 * i / n, part = (y + 0.75) / 1.25;
        double reach = wide * (0.9 - (part - 0.55) * (part - 0.55) * 2.2);
        for (int side = -1; side <= 1; side += 2) {
            const struct dot vein[] = {{0, y, 1},
                                       {side * reach * 0.5, y - rise * 0.62, 0},
                                       {side * reach * 0.78, y - rise, 1}};
            sketch_open(pen, &whole, vein, 3);
        }
    }
    pen_stroke(pen, 0.045, ROLE_LIGHT);
}

void shape_leaf(struct pen *pen, struct dice *dice)
{
    double wide = dice_in(dice, 0.42, 0.64), low = dice_in(dice, -0.05, 0.25);
    double sway = dice_in(dice, -0.16, 0.16);
    int veins = 3 + dice_below(dice, 3), shaded = dice_chance(dice, 0.5);
    const struct dot half[] = {{0, -1, 1},
                               {wide * 0.62, -0.56, 0},
                               {wide, low, 0},
                               {wide * 0.68, low / 2 + 0.4, 0},
                               {0, 0.66, 1}};
    const struct dot stalk[] = {{0, 0.3, 1}, {0, 0.66, 0}, {sway, 0.95, 1}};
    sketch_open(pen, &whole, stalk, 3);
    pen_stroke(pen, 0.1, ROLE_SECOND);
    sketch_even(pen, &whole, half, 5);
    pen_fill(pen, ROLE_BODY);
    if (shaded) {
        struct dot right[6];
        double side = dice_chance(dice, 0.5) ? -1 : 1;
        for (int i = 0; i < 5; i++)
            right[i] = half[i];
        const struct frame frame = frame_at(0, 0, side, 1, 0);
        sketch(pen, &frame, right, 5);
        pen_fill(pen, ROLE_SECOND);
    }
    leaf_veins(pen, veins, wide, dice_in(dice, 0.14, 0.26));
    sketch_line(pen, &whole, 0, 0.62, 0, -0.82);
    pen_stroke(pen, 0.06, ROLE_LIGHT);
}

/* A tier of a fir: straight sides, a hanging hem. */
static void fir_tier(struct pen *pen, double top, double bottom, double wide, double hang)
{
    const struct dot half[] = {{0, top, 1},
                               {wide * 0.42, (top + bottom) / 2 + 0.02, 0},
                               {wide, bottom, 1},
                               {wide * 0.5, bottom + hang * 0.8, 0},
                               {0, bottom + hang, 0}};
    sketch_even(pen, &whole, half, 5);
}

static void fir_balls(struct pen *pen, int tiers, const double *bottoms, double wide)
{
    for (int i = 0; i < tiers; i++) {
        double y = bottoms[i] - 0.06, reach = wide * (i + 2) / (tiers + 1);
        pen_circle(pen, -reach * 0.42, y, 0.075);
        pen_circle(pen, reach * 0.3, y - 0.06, 0.075);
    }
    pen_fill(pen, ROLE_LIGHT);
}

void shape_fir(struct pen *pen, struct dice *dice)
{
    int tiers = 2 + dice_below(dice, 3), balls = dice_chance(dice, 0.4);
    double wide = dice_in(dice, 0.56, 0.8), foot = dice_in(dice, 0.6, 0.74);
    double hang = dice_in(dice, 0.04, 0.12), trunk = dice_in(dice, 0.09, 0.15), bottoms[4];
    pen_box(pen, -trunk, foot - 0.1, trunk, 1, 0.03);
    pen_fill(pen, ROLE_SECOND);
    for (int i = tiers - 1; i >= 0; i--) {
        double step = (foot + 1) / (tiers + 0.6), bottom = foot - step * (tiers - 1 - i);
        double top = i ? bottom - step * 1.65 : -1, w = wide * (i + 2) / (tiers + 1);
        bottoms[i] = bottom;
        fir_tier(pen, top, bottom, w, hang);
        pen_fill(pen, ROLE_BODY);
        if (i == 0)
            continue;
        /* the shade of the tier above */
        fir_tier(pen, top, bottom - step + 0.06, wide * (i + 1) / (tiers + 1) * 0.8, hang);
        pen_fill(pen, ROLE_DARK);
    }
    if (balls)
        fir_balls(pen, tiers, bottoms, wide);
}

static void mushroom_spots(struct pen *pen, double side, int n, double top, double hem)
{
    static const double at[][3] = {{0.05, 0.34, 0.17},
                                   {-0.45, 0.6, 0.13},
                                   {0.52, 0.62, 0.12},
                                   {-0.14, 0.78, 0.09},
                                   {0.26, 0.82, 0.07}};
    for (int i = 0; i < n; i++)
        pen_ellipse(pen, side * at[i][0], top + (hem - top) * at[i][1], at[i][2], at[i][2] * 0.88,
                    0);
    pen_fill(pen, ROLE_LIGHT);
}

void shape_mushroom(struct pen *pen, struct dice *dice)
{
    double top = -dice_in(dice, 0.82, 0.98), hem = dice_in(dice, -0.05, 0.15);
    double foot = dice_in(dice, 0.85, 0.97), thin = dice_in(dice, 0.2, 0.3);
    double fat = thin + dice_in(dice, 0.04, 0.18), peak = dice_in(dice, 0.4, 0.6);
    double side = dice_chance(dice, 0.5) ? -1 : 1;
    int spots = 3 + dice_below(dice, 3), skirt = dice_chance(dice, 0.5);
    const struct dot stem[] = {{thin, hem - 0.1, 1},
                               {thin, hem + 0.2, 0},
                               {fat, foot - 0.2, 0},
                               {fat * 0.8, foot - 0.03, 0},
                               {0, foot, 0}};
    const struct dot cap[] = {{0, top, 0},
                              {peak, top + (hem - top) * 0.16, 0},
                              {0.9, top + (hem - top) * 0.62, 0},
                              {0.97, hem, 0},
                              {0.8, hem + 0.1, 0},
                              {0, hem + 0.02, 0}};
    sketch_even(pen, &whole, stem, 5);
    pen_fill(pen, ROLE_SECOND);
    if (skirt) {
        const struct dot ring[] = {
            {0, hem, 1}, {thin, hem, 1}, {thin * 1.6, hem + 0.34, 1}, {0, hem + 0.28, 0}};
        sketch_even(pen, &whole, ring, 4);
        pen_fill(pen, ROLE_LIGHT);
    }
    pen_ellipse(pen, 0, hem + 0.07, 0.7, 0.13, 0);
    pen_fill(pen, ROLE_DARK);
    sketch_even(pen, &whole, cap, 6);
    pen_fill(pen, ROLE_BODY);
    mushroom_spots(pen, side, spots, top, hem);
}

static const double cactus_width = 0.27; /* of an arm */

static void cactus_arm(struct pen *pen, double side, double y, double reach, double tip)
{
    const struct frame frame = frame_at(0, 0, side, 1, 0);
    const struct dot arm[] = {
        {0, y, 1}, {reach * 0.55, y, 0}, {reach, y - 0.2, 0}, {reach, tip, 1}};
    sketch_open(pen, &frame, arm, 4);
}

/* As wide as two strokes beside each other, at most. */
static void cactus_trunk(struct pen *pen, double half, double top, double bottom)
{
    double x = half - cactus_width / 2;
    pen_move(pen, -x, bottom);
    pen_arc(pen, 0, top + half, x, x, 0.5, 1);
    pen_line(pen, x, bottom);
}

static void cactus_spines(struct pen *pen, double wide, double top)
{
    for (int i = 0; i < 5; i++) {
        double y = top + 0.22 + 0.24 * i, x = (i % 2 ? 0.45 : -0.45) * wide;
        sketch_line(pen, &whole, x - 0.06, y - 0.05, x, y);
        sketch_line(pen, &whole, x + 0.06, y - 0.05, x, y);
    }
    pen_stroke(pen, 0.04, ROLE_LIGHT);
}

void shape_cactus(struct pen *pen, struct dice *dice)
{
    double wide = dice_in(dice, 0.19, 0.25), side = dice_chance(dice, 0.5) ? -1 : 1;
    int bloom = dice_chance(dice, 0.45);
    double top = bloom ? -0.86 : -1, pot = dice_in(dice, 0.4, 0.55),
           mouth = dice_in(dice, 0.4, 0.52);
    double reach = wide + dice_in(dice, 0.26, 0.36), y = dice_in(dice, -0.02, 0.22);
    double tip = dice_in(dice, -0.55, -0.3);
    cactus_arm(pen, side, y, reach, tip);
    reach += dice_in(dice, -0.03, 0.03);
    y -= dice_in(dice, 0.15, 0.35);
    tip -= dice_in(dice, -0.02, 0.2);
    cactus_arm(pen, -side, y, reach, tip);
    cactus_trunk(pen, wide, top, pot + 0.1);
    pen_stroke(pen, cactus_width, ROLE_BODY);
    cactus_spines(pen, wide, top);
    if (bloom) {
        for (int i = -2; i <= 2; i++)
            leaf_at(pen, 0, top + 0.1, 0.24, 0.26, i * 0.12);
        pen_fill(pen, ROLE_SECOND);
    }
    const double bowl[][2] = {{-mouth, pot}, {mouth, pot}, {mouth * 0.72, 1}, {-mouth * 0.72, 1}};
    pen_polygon(pen, bowl, 4);
    pen_fill(pen, ROLE_SECOND);
    pen_box(pen, -mouth, pot + 0.14, mouth, pot + 0.2, 0);
    pen_fill(pen, ROLE_DARK);
    pen_box(pen, -mouth - 0.08, pot, mouth + 0.08, pot + 0.16, 0.04);
    pen_fill(pen, ROLE_SECOND);
}

void shape_apple(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double wide = dice_in(dice, 0.86, 1), dip = dice_in(dice, -0.5, -0.38),
           low = dice_in(dice, 0.8, 0.9);
    double bend = dice_in(dice, 0.05, 0.2), leaf = dice_in(dice, 0.45, 0.62),
           turn = dice_in(dice, 0.14, 0.2);
    const struct dot half[] = {{0, dip, 0},
                               {0.34 * wide, -0.6, 0},
                               {0.78 * wide, -0.46, 0},
                               {0.98 * wide, 0.02, 0},
                               {0.78 * wide, 0.64, 0},
                               {0.38 * wide, 0.97, 0},
                               {0, low, 0}};
    const struct dot stem[] = {{0, dip + 0.12, 1}, {0.02, -0.65, 0}, {bend, -0.9, 1}};
    const struct dot shine[] = {
        {-0.6 * wide, 0.28, 1}, {-0.68 * wide, -0.02, 0}, {-0.5 * wide, -0.3, 1}};
    sketch_even(pen, &frame, half, 7);
    pen_fill(pen, ROLE_BODY);
    pen_ellipse(pen, 0, dip + 0.1, 0.26 * wide, 0.07, 0);
    pen_fill(pen, ROLE_DARK);
    sketch_open(pen, &frame, stem, 3);
    pen_stroke(pen, 0.11, ROLE_DARK);
    leaf_at(pen, frame.across * 0.03, -0.66, leaf, 0.27, frame.across * turn);
    pen_fill(pen, ROLE_SECOND);
    sketch_open(pen, &frame, shine, 3);
    pen_stroke(pen, 0.11, ROLE_LIGHT);
}
