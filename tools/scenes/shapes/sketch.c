/* scenes/shapes/sketch.c: see sketch.h. */
#include "sketch.h"

#include <math.h>

struct frame frame_at(double x, double y, double across, double down, double turn)
{
    struct frame frame = {x, y, across, down, pen_cos(turn), pen_sin(turn)};
    return frame;
}

struct frame frame_facing(struct dice *dice)
{
    return frame_at(0, 0, dice_chance(dice, 0.5) ? -1 : 1, 1, 0);
}

static struct dot placed(const struct frame *frame, struct dot dot)
{
    double x = dot.x * frame->across, y = dot.y * frame->down;
    dot.x = frame->x + x * frame->cos - y * frame->sin;
    dot.y = frame->y + x * frame->sin + y * frame->cos;
    return dot;
}

/* The direction of the line in a smooth dot: along its neighbours. */
static struct dot heading(struct dot before, struct dot after)
{
    struct dot d = {after.x - before.x, after.y - before.y, 0};
    double length = sqrt(d.x * d.x + d.y * d.y);
    if (length > 0) {
        d.x /= length;
        d.y /= length;
    }
    return d;
}

/* From b to c, of a, b, c, d in a row. A corner's handle points at the other end's. */
static void span(struct pen *pen, struct dot a, struct dot b, struct dot c, struct dot d)
{
    if (b.corner && c.corner) {
        pen_line(pen, c.x, c.y);
        return;
    }
    double dx = c.x - b.x, dy = c.y - b.y;
    double reach = sqrt(dx * dx + dy * dy) * 0.36;
    struct dot out = heading(a, c), in = heading(b, d);
    double x1 = b.x + out.x * reach, y1 = b.y + out.y * reach;
    double x2 = c.x - in.x * reach, y2 = c.y - in.y * reach;
    if (b.corner) {
        x1 = b.x + (x2 - b.x) * 0.5;
        y1 = b.y + (y2 - b.y) * 0.5;
    }
    if (c.corner) {
        x2 = c.x + (x1 - c.x) * 0.5;
        y2 = c.y + (y1 - c.y) * 0.5;
    }
    pen_curve(pen, x1, y1, x2, y2, c.x, c.y);
}

void sketch(struct pen *pen, const struct frame *frame, const struct dot *dots, int n)
{
    struct dot at[SKETCH_DOTS] = {{0}};
    int mirrored = frame->across * frame->down < 0;
    for (int i = 0; i < n; i++)
        at[i] = placed(frame, dots[mirrored ? n - 1 - i : i]);
    pen_move(pen, at[0].x, at[0].y);
    for (int i = 0; i < n; i++)
        span(pen, at[(i + n - 1) % n], at[i], at[(i + 1) % n], at[(i + 2) % n]);
    pen_close(pen);
}

void sketch_even(struct pen *pen, const struct frame *frame, const struct dot *half, int n)
{
    struct dot all[SKETCH_DOTS];
    int count = 0;
    for (int i = 0; i < n; i++)
        all[count++] = half[i];
    for (int i = n - 1; i >= 0; i--) {
        if (half[i].x == 0)
            continue;
        all[count] = half[i];
        all[count++].x = -half[i].x;
    }
    sketch(pen, frame, all, count);
}

void sketch_open(struct pen *pen, const struct frame *frame, const struct dot *dots, int n)
{
    struct dot at[SKETCH_DOTS] = {{0}};
    for (int i = 0; i < n; i++)
        at[i] = placed(frame, dots[i]);
    at[0].corner = at[n - 1].corner = 1;
    pen_move(pen, at[0].x, at[0].y);
    for (int i = 0; i + 1 < n; i++)
        span(pen, at[i > 0 ? i - 1 : 0], at[i], at[i + 1], at[i + 2 < n ? i + 2 : n - 1]);
}

void sketch_ellipse(struct pen *pen, const struct frame *frame, double x, double y, double rx,
                    double ry, double turn)
{
    struct dot middle = placed(frame, (struct dot){x, y, 0});
    double across = fabs(frame->across), down = fabs(frame->down);
    if (frame->across * frame->down < 0)
        turn = -turn;
    pen_ellipse(pen, middle.x, middle.y, rx * across, ry * down, turn);
}

void sketch_circle(struct pen *pen, const struct frame *frame, double x, double y, double r)
{
    sketch_ellipse(pen, frame, x, y, r, r, 0);
}

void sketch_line(struct pen *pen, const struct frame *frame, double x0, double y0, double x1,
                 double y1)
{
    const struct dot dots[] = {{x0, y0, 1}, {x1, y1, 1}};
    sketch_open(pen, frame, dots, 2);
}

void sketch_fit(double (*points)[2], int n, double half)
{
    double low[2] = {points[0][0], points[0][1]}, high[2] = {points[0][0], points[0][1]};
    for (int i = 1; i < n; i++) {
        for (int k = 0; k < 2; k++) {
            low[k] = points[i][k] < low[k] ? points[i][k] : low[k];
            high[k] = points[i][k] > high[k] ? points[i][k] : high[k];
        }
    }
    double wide = high[0] - low[0], tall = high[1] - low[1];
    double scale = 2 * half / (wide > tall ? wide : tall);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            points[i][k] = (points[i][k] - (low[k] + high[k]) / 2) * scale;
    }
}

void sketch_eye(struct pen *pen, const struct frame *frame, double x, double y, double r)
{
    sketch_circle(pen, frame, x, y, r);
    pen_fill(pen, ROLE_LIGHT);
    sketch_circle(pen, frame, x + r * 0.15, y, r * 0.55);
    pen_fill(pen, ROLE_DARK);
    sketch_circle(pen, frame, x + r * 0.35, y - r * 0.25, r * 0.2);
    pen_fill(pen, ROLE_LIGHT);
}
