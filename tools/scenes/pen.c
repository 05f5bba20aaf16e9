/* scenes/pen.c: see pen.h and draw.h. */
#include "draw.h"

#include <math.h>
#include <stddef.h>

/* sin of whole turns: to a quarter of a turn around 0, then its series. */
double pen_sin(double turns)
{
    double t = turns + 65536.5;
    t = t - (double)(long)t - 0.5;
    if (t > 0.25)
        t = 0.5 - t;
    if (t < -0.25)
        t = -0.5 - t;
    double x = t * 6.283185307179586, xx = x * x, term = x, sum = x;
    for (int n = 3; n <= 17; n += 2) {
        term = -term * xx / (n * (n - 1));
        sum += term;
    }
    return sum;
}

double pen_cos(double turns)
{
    return pen_sin(turns + 0.25);
}

void pen_place(struct pen *pen, double x, double y, double size, double turn)
{
    pen->x = x;
    pen->y = y;
    pen->across = pen_cos(turn) * size / 2;
    pen->down = pen_sin(turn) * size / 2;
    pen->count = pen->outlines = 0;
}

/* ------------------------------- outlines -------------------------------- */

static void add_point(struct pen *pen, double u, double v)
{
    pen->u = u;
    pen->v = v;
    if (pen->count == PEN_POINTS)
        return;
    double *point = pen->points[pen->count++];
    point[0] = pen->x + u * pen->across - v * pen->down;
    point[1] = pen->y + u * pen->down + v * pen->across;
}

static double unit_in_pixels(const struct pen *pen)
{
    return sqrt(pen->across * pen->across + pen->down * pen->down);
}

/* How many pieces make a curve of that many pixels look round. */
static int pieces(double pixels)
{
    double n = 4 + sqrt(pixels) * 1.5;
    return n > 64 ? 64 : (int)n;
}

void pen_move(struct pen *pen, double x, double y)
{
    if (pen->outlines == PEN_OUTLINES)
        return;
    pen->closed[pen->outlines] = false;
    pen->starts[pen->outlines++] = pen->count;
    add_point(pen, x, y);
}

void pen_line(struct pen *pen, double x, double y)
{
    add_point(pen, x, y);
}

void pen_curve(struct pen *pen, double x1, double y1, double x2, double y2, double x, double y)
{
    double u = pen->u, v = pen->v;
    double length =
        fabs(x1 - u) + fabs(y1 - v) + fabs(x2 - x1) + fabs(y2 - y1) + fabs(x - x2) + fabs(y - y2);
    int n = pieces(length * unit_in_pixels(pen));
    for (int i = 1; i <= n; i++) {
        double t = (double)i / n, s = 1 - t;
        double a = s * s * s, b = 3 * s * s * t, c = 3 * s * t * t, d = t * t * t;
        add_point(pen, a * u + b * x1 + c * x2 + d * x, a * v + b * y1 + c * y2 + d * y);
    }
}

void pen_bend(struct pen *pen, double x1, double y1, double x, double y)
{
    double u = pen->u, v = pen->v;
    pen_curve(pen, u + (x1 - u) * 2 / 3, v + (y1 - v) * 2 / 3, x + (x1 - x) * 2 / 3,
              y + (y1 - y) * 2 / 3, x, y);
}

void pen_close(struct pen *pen)
{
    if (pen->outlines > 0)
        pen->closed[pen->outlines - 1] = true;
}

static void ellipse_points(struct pen *pen, double x, double y, double rx, double ry, double turn,
                           double way)
{
    double larger = fabs(rx) > fabs(ry) ? fabs(rx) : fabs(ry);
    int n = 2 * pieces(larger * 3 * unit_in_pixels(pen));
    double c = pen_cos(turn), s = pen_sin(turn);
    for (int i = 0; i < n; i++) {
        double u = rx * pen_cos(way * i / n), v = ry * pen_sin(way * i / n);
        double px = x + u * c - v * s, py = y + u * s + v * c;
        if (i == 0)
            pen_move(pen, px, py);
        else
            pen_line(pen, px, py);
    }
    pen_close(pen);
}

void pen_ellipse(struct pen *pen, double x, double y, double rx, double ry, double turn)
{
    ellipse_points(pen, x, y, rx, ry, turn, 1);
}

void pen_ellipse_hole(struct pen *pen, double x, double y, double rx, double ry, double turn)
{
    ellipse_points(pen, x, y, rx, ry, turn, -1);
}

void pen_circle(struct pen *pen, double x, double y, double r)
{
    ellipse_points(pen, x, y, r, r, 0, 1);
}

void pen_circle_hole(struct pen *pen, double x, double y, double r)
{
    ellipse_points(pen, x, y, r, r, 0, -1);
}

void pen_arc(struct pen *pen, double x, double y, double rx, double ry, double from, double to)
{
    double larger = fabs(rx) > fabs(ry) ? fabs(rx) : fabs(ry);
    int n = 1 + (int)(2 * fabs(to - from) * pieces(larger * 3 * unit_in_pixels(pen)));
    bool goes_on = pen->outlines > 0 && !pen->closed[pen->outlines - 1];
    for (int i = 0; i <= n; i++) {
        double at = from + (to - from) * i / n;
        double u = x + rx * pen_cos(at), v = y + ry * pen_sin(at);
        if (i == 0 && !goes_on)
            pen_move(pen, u, v);
        else
            pen_line(pen, u, v);
    }
}

void pen_box(struct pen *pen, double x0, double y0, double x1, double y1, double corner)
{
    double k = corner * 0.4477; /* how far a quarter circle's control points are from its corner */
    pen_move(pen, x0 + corner, y0);
    pen_line(pen, x1 - corner, y0);
    if (corner > 0)
        pen_curve(pen, x1 - k, y0, x1, y0 + k, x1, y0 + corner);
    pen_line(pen, x1, y1 - corner);
    if (corner > 0)
        pen_curve(pen, x1, y1 - k, x1 - k, y1, x1 - corner, y1);
    pen_line(pen, x0 + corner, y1);
    if (corner > 0)
        pen_curve(pen, x0 + k, y1, x0, y1 - k, x0, y1 - corner);
    pen_line(pen, x0, y0 + corner);
    if (corner > 0)
        pen_curve(pen, x0, y0 + k, x0 + k, y0, x0 + corner, y0);
    pen_close(pen);
}

void pen_box_hole(struct pen *pen, double x0, double y0, double x1, double y1, double corner)
{
    int first = pen->count;
    pen_box(pen, x0, y0, x1, y1, corner);
    for (int i = first, k = pen->count - 1; i < k; i++, k--)
        for (int axis = 0; axis < 2; axis++) {
            double kept = pen->points[i][axis];
            pen->points[i][axis] = pen->points[k][axis];
            pen->points[k][axis] = kept;
        }
}

void pen_polygon(struct pen *pen, const double (*points)[2], int n)
{
    for (int i = 0; i < n; i++) {
        if (i == 0)
            pen_move(pen, points[i][0], points[i][1]);
        else
            pen_line(pen, points[i][0], points[i][1]);
    }
    pen_close(pen);
}

/* -------------------------------- painting ------------------------------- */

/* Lays a colour over what the row shows. */
static void paint_row(struct layer *layer, const struct paint *paint, int y)
{
    const struct raster *raster = &layer->raster;
    for (int x = raster->x0; x < raster->x1; x++) {
        float share = layer->coverage[x - raster->x0];
        if (share == 0)
            continue;
        size_t at = (size_t)y * (size_t)layer->width + (size_t)x;
        float *rgb = layer->rgb + 3 * at;
        struct colour colour = paint_at(paint, (float)x, (float)y);
        float before = layer->alpha[at], after = share + before * (1 - share);
        float weight = share / after;
        struct colour under = {rgb[0], rgb[1], rgb[2]};
        colour = colour_mix(before > 0 ? under : colour, colour, weight);
        rgb[0] = colour.r;
        rgb[1] = colour.g;
        rgb[2] = colour.b;
        layer->alpha[at] = after;
    }
}

static void paint_raster(struct layer *layer, const struct paint *paint)
{
    struct raster *raster = &layer->raster;
    for (int y = raster->y0; y < raster->y1; y++) {
        raster_row(raster, y, layer->coverage);
        paint_row(layer, paint, y);
    }
    if (raster->x0 < raster->x1) {
        layer->x0 = raster->x0 < layer->x0 ? raster->x0 : layer->x0;
        layer->y0 = raster->y0 < layer->y0 ? raster->y0 : layer->y0;
        layer->x1 = raster->x1 > layer->x1 ? raster->x1 : layer->x1;
        layer->y1 = raster->y1 > layer->y1 ? raster->y1 : layer->y1;
    }
    raster_clear(raster);
}

static int outline_end(const struct pen *pen, int outline)
{
    return outline + 1 < pen->outlines ? pen->starts[outline + 1] : pen->count;
}

/* Where a line of `half` the width has its left border at point i: along the mean of the two
 * normals, longer at a corner, at most twice. */
static void border_at(const struct pen *pen, int first, int end, int i, bool closed, double half,
                      double out[2])
{
    int n = end - first, last = end - 1;
    int before = i > first ? i - 1
                 : closed  ? last
                           : i,
        after = i < last ? i + 1
                : closed ? first
                         : i;
    if (n < 2)
        before = after = i;
    const double *at = pen->points[i], *from = pen->points[before], *to = pen->points[after];
    double ax = at[0] - from[0], ay = at[1] - from[1], bx = to[0] - at[0], by = to[1] - at[1];
    double a = sqrt(ax * ax + ay * ay), b = sqrt(bx * bx + by * by);
    double ux = (a > 0 ? ax / a : 0), uy = (a > 0 ? ay / a : 0);
    double vx = (b > 0 ? bx / b : ux), vy = (b > 0 ? by / b : uy);
    if (!(a > 0)) {
        ux = vx;
        uy = vy;
    }
    double x = ux + vx, y = uy + vy, square = x * x + y * y;
    double scale = square > 0.25 ? 2 / square : 2; /* 1/cos of half the corner, over |sum| */
    double length = sqrt(square) * scale;
    scale *= length > 2 ? 2 / length : 1;
    out[0] = at[0] + y * scale * half;
    out[1] = at[1] - x * scale * half;
}

static void edges_of_round(struct raster *raster, double x, double y, double r)
{
    int n = 2 * pieces(r * 3);
    for (int i = 0; i < n; i++)
        raster_edge(raster, x + r * pen_cos((double)i / n), y + r * pen_sin((double)i / n),
                    x + r * pen_cos((double)(i + 1) / n), y + r * pen_sin((double)(i + 1) / n));
}

/* The quadrangle between two borders of a line, clockwise. */
static void edges_of_piece(struct raster *raster, const double left[2], const double left2[2],
                           const double right2[2], const double right[2])
{
    raster_edge(raster, left[0], left[1], left2[0], left2[1]);
    raster_edge(raster, left2[0], left2[1], right2[0], right2[1]);
    raster_edge(raster, right2[0], right2[1], right[0], right[1]);
    raster_edge(raster, right[0], right[1], left[0], left[1]);
}

static void stroke_outline(struct pen *pen, int outline, double half)
{
    struct raster *raster = &pen->layer->raster;
    int first = pen->starts[outline], end = outline_end(pen, outline);
    bool closed = pen->closed[outline] && end - first > 2;
    double left[2], right[2], left2[2], right2[2];
    border_at(pen, first, end, first, closed, half, left);
    border_at(pen, first, end, first, closed, -half, right);
    for (int k = 1; k < end - first + (closed ? 1 : 0); k++) {
        int i = first + k % (end - first);
        border_at(pen, first, end, i, closed, half, left2);
        border_at(pen, first, end, i, closed, -half, right2);
        edges_of_piece(raster, left, left2, right2, right);
        for (int axis = 0; axis < 2; axis++) {
            left[axis] = left2[axis];
            right[axis] = right2[axis];
        }
    }
    if (!closed) {
        edges_of_round(raster, pen->points[first][0], pen->points[first][1], half);
        edges_of_round(raster, pen->points[end - 1][0], pen->points[end - 1][1], half);
    }
}

static void stroke(struct pen *pen, double width, const struct paint *paint)
{
    for (int k = 0; k < pen->outlines; k++)
        stroke_outline(pen, k, width * unit_in_pixels(pen) / 2);
    paint_raster(pen->layer, paint);
}

void pen_fill(struct pen *pen, enum role role)
{
    double(*p)[2] = pen->points;
    for (int k = 0; k < pen->outlines; k++) {
        int end = outline_end(pen, k);
        for (int i = pen->starts[k]; i < end; i++) {
            int to = i + 1 < end ? i + 1 : pen->starts[k];
            raster_edge(&pen->layer->raster, p[i][0], p[i][1], p[to][0], p[to][1]);
        }
        pen->closed[k] = true;
    }
    paint_raster(pen->layer, &pen->paints[role]);
    if (pen->ink > 0)
        stroke(pen, pen->ink, &pen->paints[ROLE_DARK]);
    pen->count = pen->outlines = 0;
}

void pen_stroke(struct pen *pen, double width, enum role role)
{
    if (pen->ink > 0)
        stroke(pen, width + pen->ink, &pen->paints[ROLE_DARK]);
    stroke(pen, pen->ink > 0 ? width - pen->ink / 2 : width, &pen->paints[role]);
    pen->count = pen->outlines = 0;
}
