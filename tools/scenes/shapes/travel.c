/* scenes/shapes/travel.c: house, sailboat, car, rocket, hot-air balloon, anchor. */
#include "shapes.h"
#include "sketch.h"

static const struct frame whole = {0, 0, 1, 1, 1, 0};

/* A box in a frame that may be mirrored. */
static void box(struct pen *pen, const struct frame *frame, double x0, double y0, double x1,
                double y1)
{
    const struct dot dots[] = {{x0, y0, 1}, {x1, y0, 1}, {x1, y1, 1}, {x0, y1, 1}};
    sketch(pen, frame, dots, 4);
}

static void house_window(struct pen *pen, const struct frame *frame, double x, double y,
                         double half)
{
    box(pen, frame, x - half, y - half, x + half, y + half);
    pen_fill(pen, ROLE_LIGHT);
    sketch_line(pen, frame, x - half, y, x + half, y);
    sketch_line(pen, frame, x, y - half, x, y + half);
    box(pen, frame, x - half, y - half, x + half, y + half);
    pen_stroke(pen, 0.05, ROLE_DARK);
}

void shape_house(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double eaves = dice_in(dice, -0.24, 0.06), wall = dice_in(dice, 0.68, 0.84);
    double flat = dice_chance(dice, 0.4) ? dice_in(dice, 0.3, 0.6) : 0,
           ridge = flat > 0 ? -0.72 : -0.96;
    double door = dice_in(dice, 0.14, 0.2), door_top = dice_in(dice, 0.28, 0.42);
    double stack = dice_in(dice, 0.42, 0.56), pane = dice_in(dice, 0.13, 0.18);
    int middle = dice_chance(dice, 0.35), smoke = dice_chance(dice, 0.5);
    const struct dot roof[] = {{flat, ridge, 1}, {1, eaves, 1}, {-1, eaves, 1}, {-flat, ridge, 1}};
    double door_x = middle ? 0 : -wall * 0.45, foot = 0.95;
    box(pen, &frame, stack, smoke ? -0.9 : -0.84, stack + 0.2, eaves - 0.02);
    pen_fill(pen, ROLE_BODY);
    box(pen, &frame, stack - 0.04, smoke ? -0.94 : -0.9, stack + 0.24, -0.8);
    pen_fill(pen, ROLE_DARK);
    box(pen, &frame, -wall, eaves - 0.05, wall, foot);
    pen_fill(pen, ROLE_BODY);
    sketch(pen, &frame, roof, 4);
    pen_fill(pen, ROLE_SECOND);
    box(pen, &frame, door_x - door, door_top, door_x + door, foot);
    pen_fill(pen, ROLE_DARK);
    sketch_circle(pen, &frame, door_x + door * 0.6, (door_top + foot) / 2, 0.035);
    pen_fill(pen, ROLE_LIGHT);
    house_window(pen, &frame, middle ? wall * 0.62 : wall * 0.42, eaves + 0.4, pane);
    if (middle)
        house_window(pen, &frame, -wall * 0.62, eaves + 0.4, pane);
    if (flat == 0) {
        sketch_circle(pen, &frame, 0, (eaves + ridge) / 2 + 0.1, 0.13);
        pen_fill(pen, ROLE_LIGHT);
    }
}

static void sails(struct pen *pen, const struct frame *frame, double boom, double head, double jib,
                  int stripes)
{
    const struct dot main_sail[] = {
        {-0.04, head, 1}, {-0.04, boom, 1}, {-0.86, boom, 1}, {-0.5, (boom + head) / 2 + 0.02, 0}};
    const struct dot fore_sail[] = {
        {0.1, head + jib, 1}, {0.5, (boom + head + jib) / 2, 0}, {0.72, boom, 1}, {0.1, boom, 1}};
    sketch(pen, frame, main_sail, 4);
    pen_fill(pen, ROLE_BODY);
    sketch(pen, frame, fore_sail, 4);
    pen_fill(pen, ROLE_LIGHT);
    for (int i = 0; i < stripes; i++) {
        double y = boom - 0.2 - 0.24 * i, part = (boom - y) / (boom - head);
        sketch_line(pen, frame, -0.07, y, -0.74 * (1 - part) - 0.02, y);
    }
    pen_stroke(pen, 0.06, ROLE_SECOND);
}

void shape_sailboat(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double deck = dice_in(dice, 0.38, 0.52), boom = deck - dice_in(dice, 0.08, 0.14);
    double head = dice_in(dice, -0.9, -0.8), keel = dice_in(dice, 0.55, 0.72),
           jib = dice_in(dice, 0.06, 0.3);
    int stripes = dice_below(dice, 4), flag = dice_chance(dice, 0.6);
    const struct dot hull[] = {{-0.94, deck, 1}, {0.98, deck - 0.04, 1}, {0.88, deck + 0.24, 0},
                               {keel, 0.95, 1},  {-keel, 0.95, 1},       {-0.86, deck + 0.24, 0}};
    sketch_line(pen, &frame, 0.03, -0.97, 0.03, deck);
    pen_stroke(pen, 0.06, ROLE_DARK);
    if (flag) {
        const struct dot cloth[] = {{0.04, -1, 1}, {0.34, -0.9, 1}, {0.04, -0.8, 1}};
        sketch(pen, &frame, cloth, 3);
        pen_fill(pen, ROLE_SECOND);
    }
    sails(pen, &frame, boom, head, jib, stripes);
    sketch(pen, &frame, hull, 6);
    pen_fill(pen, ROLE_SECOND);
    sketch_line(pen, &frame, -0.82, deck + 0.13, 0.84, deck + 0.11);
    pen_stroke(pen, 0.06, ROLE_LIGHT);
    for (int i = -1; i <= 1; i++)
        sketch_circle(pen, &frame, i * 0.3, deck + 0.3, 0.06);
    pen_fill(pen, ROLE_DARK);
}

static void car_wheels(struct pen *pen, const struct frame *frame, double r, double y)
{
    for (int i = -1; i <= 1; i += 2) {
        sketch_circle(pen, frame, i * 0.55, y, r);
        pen_fill(pen, ROLE_DARK);
        sketch_circle(pen, frame, i * 0.55, y, r * 0.52);
        pen_fill(pen, ROLE_LIGHT);
        sketch_circle(pen, frame, i * 0.55, y, r * 0.2);
        pen_fill(pen, ROLE_DARK);
    }
}

void shape_car(struct pen *pen, struct dice *dice)
{
    struct frame frame = frame_facing(dice);
    double roof = dice_in(dice, -0.64, -0.46), belt = dice_in(dice, -0.1, 0),
           r = dice_in(dice, 0.2, 0.27);
    double rear = dice_in(dice, -0.78, -0.45), front = dice_in(dice, 0.1, 0.3),
           slope = dice_in(dice, 0.2, 0.34);
    int soft = dice_chance(dice, 0.4) ? 0 : 1, stripe = dice_chance(dice, 0.5);
    double sill = 0.38, glass = belt + 0.02;
    const struct dot body[] = {
        {-0.97, belt + 0.1, 0},   {-0.86, belt, 0},         {rear - 0.08, belt, 1},
        {rear, roof + 0.06, 0},   {rear + 0.1, roof, soft}, {front, roof, soft},
        {front + slope, belt, 1}, {0.74, belt + 0.05, 0},   {0.96, belt + 0.2, 0},
        {1, sill - 0.1, 0},       {0.94, sill, 1},          {-0.94, sill, 1},
        {-1, sill - 0.14, 0}};
    const struct dot rear_glass[] = {{rear + 0.02, glass, 1},
                                     {rear + 0.1, roof + 0.1, 1},
                                     {(rear + front) / 2 - 0.03, roof + 0.1, 1},
                                     {(rear + front) / 2 - 0.03, glass, 1}};
    const struct dot front_glass[] = {{(rear + front) / 2 + 0.05, glass, 1},
                                      {(rear + front) / 2 + 0.05, roof + 0.1, 1},
                                      {front - 0.01, roof + 0.1, 1},
                                      {front + slope * 0.72, glass, 1}};
    sketch(pen, &frame, body, 13);
    pen_fill(pen, ROLE_BODY);
    sketch(pen, &frame, rear_glass, 4);
    sketch(pen, &frame, front_glass, 4);
    pen_fill(pen, ROLE_LIGHT);
    if (stripe)
        sketch_line(pen, &frame, -0.88, belt + 0.22, 0.7, belt + 0.22);
    box(pen, &frame, -0.98, sill - 0.1, 0.98, sill);
    pen_fill(pen, ROLE_SECOND);
    sketch_line(pen, &frame, -0.1, belt + 0.12, 0.02, belt + 0.12);
    pen_stroke(pen, 0.05, ROLE_DARK);
    sketch_ellipse(pen, &frame, 0.88, belt + 0.2, 0.08, 0.1, 0);
    pen_fill(pen, ROLE_LIGHT);
    car_wheels(pen, &frame, r, sill + 0.02);
}

static void rocket_flame(struct pen *pen, double top, double tip, double wide)
{
    const struct dot outer[] = {{wide * 0.6, top, 1}, {wide, (top * 2 + tip) / 3, 0}, {0, tip, 1}};
    const struct dot inner[] = {{wide * 0.4, top, 1},
                                {wide * 0.55, (top * 2 + tip) / 3, 0},
                                {0, tip - (tip - top) * 0.35, 1}};
    sketch_even(pen, &whole, outer, 3);
    pen_fill(pen, ROLE_SECOND);
    sketch_even(pen, &whole, inner, 3);
    pen_fill(pen, ROLE_LIGHT);
}

static void rocket_ports(struct pen *pen, int n, double y, double r)
{
    for (int i = 0; i < n; i++) {
        double at = y + i * r * 2.8, size = i ? r * 0.8 : r;
        pen_circle(pen, 0, at, size * 1.3);
        pen_fill(pen, ROLE_DARK);
        pen_circle(pen, 0, at, size);
        pen_fill(pen, ROLE_LIGHT);
    }
}

void shape_rocket(struct pen *pen, struct dice *dice)
{
    double wide = dice_in(dice, 0.26, 0.38), base = dice_in(dice, 0.42, 0.56),
           fin = dice_in(dice, 0.24, 0.36);
    double drop = dice_in(dice, 0.06, 0.24), fin_top = dice_in(dice, -0.12, 0.14);
    int ports = 1 + dice_below(dice, 2);
    const struct dot body[] = {
        {0, -1, 1}, {wide * 0.66, -0.62, 0}, {wide, -0.12, 0}, {wide * 0.74, base, 1}};
    const struct dot nose[] = {
        {0, -1, 1}, {wide * 0.4, -0.8, 0}, {wide * 0.68, -0.58, 1}, {0, -0.52, 0}};
    const struct dot wing[] = {{wide * 0.8, fin_top, 1},
                               {wide + fin * 0.8, base - 0.16, 0},
                               {wide + fin, base + drop, 1},
                               {wide * 0.7, base - 0.04, 1}};
    rocket_flame(pen, base, 1, wide * 0.85);
    for (int side = -1; side <= 1; side += 2) {
        const struct frame frame = frame_at(0, 0, side, 1, 0);
        sketch(pen, &frame, wing, 4);
    }
    pen_fill(pen, ROLE_SECOND);
    pen_box(pen, -wide * 0.55, base - 0.05, wide * 0.55, base + 0.08, 0.03);
    pen_fill(pen, ROLE_DARK);
    sketch_even(pen, &whole, body, 4);
    pen_fill(pen, ROLE_BODY);
    sketch_even(pen, &whole, nose, 4);
    pen_fill(pen, ROLE_SECOND);
    rocket_ports(pen, ports, -0.3, dice_in(dice, 0.1, 0.14));
    pen_box(pen, -0.045, base - 0.22, 0.045, base + 0.1, 0.04);
    pen_fill(pen, ROLE_SECOND);
}

static void envelope(struct pen *pen, double wide, double fat, double mouth, double low)
{
    const struct dot half[] = {{0, -1, 0},
                               {wide * 0.66, -0.86, 0},
                               {wide, fat, 0},
                               {wide * 0.72, (fat + low) / 2 + 0.1, 0},
                               {mouth, low, 1}};
    sketch_even(pen, &whole, half, 5);
}

void shape_balloon(struct pen *pen, struct dice *dice)
{
    double wide = dice_in(dice, 0.68, 0.84), fat = dice_in(dice, -0.42, -0.26),
           low = dice_in(dice, 0.34, 0.44);
    double basket = dice_in(dice, 0.15, 0.2), mouth = basket + 0.04,
           top = dice_in(dice, 0.66, 0.72);
    int kind = dice_below(dice, 3);
    for (int side = -1; side <= 1; side += 2)
        sketch_line(pen, &whole, side * mouth * 0.9, low, side * basket * 0.85, top);
    pen_stroke(pen, 0.04, ROLE_DARK);
    pen_box(pen, -basket, top, basket, 1, 0.05);
    pen_fill(pen, ROLE_SECOND);
    pen_box(pen, -basket - 0.04, top - 0.02, basket + 0.04, top + 0.06, 0.03);
    pen_fill(pen, ROLE_DARK);
    envelope(pen, wide, fat, mouth, low);
    pen_fill(pen, ROLE_BODY);
    if (kind < 2) {
        envelope(pen, wide * 0.64, fat, mouth * 0.64, low);
        pen_fill(pen, kind ? ROLE_LIGHT : ROLE_SECOND);
        envelope(pen, wide * 0.24, fat, mouth * 0.24, low);
        pen_fill(pen, kind ? ROLE_SECOND : ROLE_BODY);
    } else {
        const struct dot band[] = {{0, fat - 0.08, 1},
                                   {wide * 0.99, fat - 0.08, 1},
                                   {wide * 0.985, fat + 0.14, 1},
                                   {0, fat + 0.14, 1}};
        sketch_even(pen, &whole, band, 4);
        pen_fill(pen, ROLE_SECOND);
        for (int i = -1; i <= 1; i++)
            pen_circle(pen, i * wide * 0.5, fat + 0.03, 0.08);
        pen_fill(pen, ROLE_LIGHT);
    }
    pen_box(pen, -mouth, low - 0.05, mouth, low + 0.03, 0.02);
    pen_fill(pen, ROLE_DARK);
}

void shape_anchor(struct pen *pen, struct dice *dice)
{
    double reach = dice_in(dice, 0.64, 0.8), w = dice_in(dice, 0.15, 0.21),
           ring = dice_in(dice, 0.16, 0.21);
    double stock = dice_in(dice, 0.36, 0.54), rise = dice_in(dice, 0.3, 0.4), y = -1 + 2 * ring + w;
    double bottom = 1 - w / 2;
    pen_circle(pen, 0, -1 + ring + 0.06, ring);
    pen_stroke(pen, 0.12, ROLE_BODY);
    pen_arc(pen, 0, bottom - 0.62, reach, 0.62, 0.02, 0.48);
    sketch_line(pen, &whole, 0, -1 + 2 * ring + 0.1, 0, bottom);
    pen_stroke(pen, w, ROLE_BODY);
    for (int side = -1; side <= 1; side += 2) {
        const struct frame frame = frame_at(side * reach, bottom - 0.62 + 0.1, side, 1, 0);
        const struct dot fluke[] = {{0.02, -rise, 1}, {0.2, 0.1, 1}, {-0.24, 0.06, 1}};
        sketch(pen, &frame, fluke, 3);
    }
    pen_fill(pen, ROLE_BODY);
    sketch_line(pen, &whole, -stock, y + 0.12, stock, y + 0.12);
    pen_stroke(pen, w * 0.9, ROLE_SECOND);
    pen_circle(pen, -stock, y + 0.12, w * 0.62);
    pen_circle(pen, stock, y + 0.12, w * 0.62);
    pen_fill(pen, ROLE_SECOND);
    pen_circle(pen, 0, y + 0.12, w * 0.3);
    pen_fill(pen, ROLE_DARK);
}
