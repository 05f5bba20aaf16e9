/* scenes/raster.c: see raster.h. */
#include "raster.h"

#include <stddef.h>

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* An edge within one row: `height` is signed, x in [0,width]. */
static void add_in_row(float *row, double xa, double xb, double height)
{
    double left = least(xa, xb), right = most(xa, xb);
    int first = (int)left, last = (int)right;
    if (last == first) {
        double inside = height * (1 - ((left + right) / 2 - first));
        row[first] += (float)inside;
        row[first + 1] += (float)(height - inside);
        return;
    }
    /* What lies to the right of the edge grows along the pixels it crosses. */
    double slope = height / (right - left), before = 0;
    for (int x = first; x <= last; x++) {
        double from = most(left, x), to = least(right, x + 1.0);
        double here = slope * (to - from), inside = here * (1 - ((from + to) / 2 - x));
        row[x] += (float)(before + inside);
        before = here - inside;
    }
    row[last + 1] += (float)before;
}

/* Left of the picture an edge covers the whole row, right of it nothing. */
static void add_clipped(struct raster *raster, float *row, double xa, double xb, double height)
{
    double width = raster->width;
    if (xa >= 0 && xb >= 0 && xa <= width && xb <= width) {
        add_in_row(row, xa, xb, height);
        return;
    }
    if ((xa <= 0 && xb <= 0) || (xa >= width && xb >= width)) {
        double x = xa <= 0 ? 0 : width;
        add_in_row(row, x, x, height);
        return;
    }
    double border = xa < 0 || xb < 0 ? 0 : width;
    double part = (border - xa) / (xb - xa);
    add_clipped(raster, row, xa, border, height * part);
    add_clipped(raster, row, border, xb, height * (1 - part));
}

static void touch(struct raster *raster, double ax, double bx, int y0, int y1)
{
    int x0 = (int)most(0, least(least(ax, bx), raster->width - 1));
    int x1 = (int)most(0, least(most(ax, bx), raster->width - 1)) + 1;
    raster->x0 = x0 < raster->x0 ? x0 : raster->x0;
    raster->x1 = x1 > raster->x1 ? x1 : raster->x1;
    raster->y0 = y0 < raster->y0 ? y0 : raster->y0;
    raster->y1 = y1 > raster->y1 ? y1 : raster->y1;
}

void raster_edge(struct raster *raster, double ax, double ay, double bx, double by)
{
    double sign = by > ay ? 1 : -1;
    double top = least(ay, by), bottom = most(ay, by);
    if (!(bottom > 0) || !(top < raster->height) || ay == by)
        return;
    double slope = (bx - ax) / (by - ay);
    double low = most(top, 0), high = least(bottom, raster->height);
    int first = (int)low, last = (int)high < raster->height ? (int)high : raster->height - 1;
    touch(raster, ax, bx, first, last + 1);
    for (int y = first; y <= last; y++) {
        double from = most(low, y), to = least(high, y + 1.0);
        if (to <= from)
            continue;
        float *row = raster->area + (size_t)y * (size_t)(raster->width + 2);
        add_clipped(raster, row, ax + (from - ay) * slope, ax + (to - ay) * slope,
                    sign * (to - from));
    }
}

void raster_row(struct raster *raster, int y, float *coverage)
{
    float *row = raster->area + (size_t)y * (size_t)(raster->width + 2);
    float sum = 0;
    for (int x = raster->x0; x < raster->x1; x++) {
        sum += row[x];
        row[x] = 0;
        float size = sum < 0 ? -sum : sum;
        /* Below one part in 512 it is what rounding left. */
        coverage[x - raster->x0] = size < 0.002f ? 0 : size > 1 ? 1 : size;
    }
    row[raster->x1] = row[raster->x1 + 1] = 0;
}

void raster_clear(struct raster *raster)
{
    raster->x0 = raster->width;
    raster->y0 = raster->height;
    raster->x1 = raster->y1 = 0;
}
