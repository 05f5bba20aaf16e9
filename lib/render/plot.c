/* render/plot.c: see plot.h. */
#include "render/plot.h"

#include <math.h>
#include <stdbool.h>

#include "render/ticks.h"

enum {
    MARGIN = 24,
    GAP = 12,
    WIDTH = 900, /* of the axes */
    HEIGHT = 560,
    TICK = 6,
    TICK_SPACE = 80, /* pixels between two, at least */
    SAMPLE = 40,     /* of a line, in the legend */
    SCALE = 2,       /* of the letters */
    INSET = 14,      /* between the frame and the curves */
    DASH = 14
};

#define THICK 1.25 /* half a line's width */
#define CAPITAL 7  /* rows of a glyph above the base line */
#define LINE (VX_TEXT_HEIGHT * SCALE + 6)

static const uint8_t ink[3] = {32, 32, 32}, pale[3] = {96, 96, 96}, grid[3] = {228, 228, 228};
/* Told apart by most eyes; curves beyond the last are dashed. */
static const uint8_t colours[][3] = {{31, 119, 180}, {220, 80, 20}, {30, 140, 60}, {200, 30, 90},
                                     {120, 80, 190}, {130, 90, 60}, {230, 150, 0}, {90, 90, 90},
                                     {0, 160, 170},  {170, 180, 30}};
#define COLOURS ((int)(sizeof colours / sizeof colours[0]))
static const uint8_t greys[][3] = {{130, 130, 130}, {185, 185, 185}};

typedef struct look {
    const uint8_t *rgb;
    bool dashed;
} look;

typedef struct drawing {
    vx_canvas *canvas;
    double x_low, x_high, y_low, y_high;
    int x, y; /* top left of the axes */
} drawing;

static void widen(double *low, double *high, double v)
{
    *low = fmin(*low, v);
    *high = fmax(*high, v);
}

static void find_range(drawing *d, const vitx_curve *curves, int n)
{
    d->x_low = d->x_high = curves[0].x[0];
    d->y_low = d->y_high = 0; /* of shares and probabilities what counts is how far from 0 */
    for (int i = 0; i < n; i++)
        for (int k = 0; k < curves[i].count; k++) {
            widen(&d->x_low, &d->x_high, curves[i].x[k]);
            widen(&d->y_low, &d->y_high, curves[i].y[k]);
        }
    if (d->x_high == d->x_low)
        d->x_high = d->x_low + 1;
    if (d->y_high == d->y_low)
        d->y_high = d->y_low + 1;
}

static double at_x(const drawing *d, double x)
{
    return d->x + INSET + (x - d->x_low) / (d->x_high - d->x_low) * (WIDTH - 1 - 2 * INSET);
}

static double at_y(const drawing *d, double y)
{
    const int below = d->y_low < 0 ? INSET : 0; /* 0 lies on the axis */
    return d->y + INSET + (d->y_high - y) / (d->y_high - d->y_low) * (HEIGHT - 1 - INSET - below);
}

static void blend(const drawing *d, int x, int y, const uint8_t rgb[3], double part)
{
    if (x < 0 || y < 0 || x >= d->canvas->width || y >= d->canvas->height)
        return;
    uint8_t *p = vx_canvas_row(d->canvas, x, y);
    for (int c = 0; c < 3; c++)
        p[c] = (uint8_t)lround(p[c] + (rgb[c] - p[c]) * part);
}

/* A pixel by its distance from the line: what half a pixel inside the edge is covered whole. */
static void draw_segment(const drawing *d, double x0, double y0, double x1, double y1,
                         const uint8_t rgb[3])
{
    const double dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
    const int left = (int)floor(fmin(x0, x1) - 2), right = (int)ceil(fmax(x0, x1) + 2);
    const int top = (int)floor(fmin(y0, y1) - 2), bottom = (int)ceil(fmax(y0, y1) + 2);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            double t = length > 0 ? ((x - x0) * dx + (y - y0) * dy) / length : 0;
            t = fmin(fmax(t, 0), 1);
            const double away = hypot(x - x0 - t * dx, y - y0 - t * dy);
            if (away < THICK + 0.5)
                blend(d, x, y, rgb, fmin(1, THICK + 0.5 - away));
        }
}

/* The same in dashes, which go on from one segment to the next; gone: how far they have. */
static void draw_dashed(const drawing *d, double x0, double y0, double x1, double y1,
                        const uint8_t rgb[3], double *gone)
{
    const double length = hypot(x1 - x0, y1 - y0);
    for (double from = 0; from < length;) {
        const double phase = fmod(*gone + from, DASH);
        const bool on = phase < DASH / 2.0;
        double to = from + (on ? DASH / 2.0 : DASH) - phase + 1e-6;
        to = fmin(to, length);
        if (on)
            draw_segment(d, x0 + (x1 - x0) * from / length, y0 + (y1 - y0) * from / length,
                         x0 + (x1 - x0) * to / length, y0 + (y1 - y0) * to / length, rgb);
        from = to;
    }
    *gone += length;
}

/* Curve `which` of those: see vitx_curve.style. */
static look look_of(const vitx_curve *curves, int which)
{
    const int style = curves[which].style;
    int before = 0; /* of the same style */
    if (style == 0)
        return (look){colours[which % COLOURS], which / COLOURS % 2};
    for (int i = 0; i < which; i++)
        before += curves[i].style == style;
    if (style == VITX_CURVE_GREY)
        return (look){greys[before % 2], true};
    return (look){colours[(style - 1) % COLOURS], before > 0};
}

/* From one point of a curve to the next; `gone` is how far its dashes have. */
static void draw_piece(const drawing *d, double x0, double y0, double x1, double y1, look style,
                       double *gone)
{
    if (style.dashed)
        draw_dashed(d, x0, y0, x1, y1, style.rgb, gone);
    else
        draw_segment(d, x0, y0, x1, y1, style.rgb);
}

static void draw_curve(const drawing *d, const vitx_curve *c, look style)
{
    double gone = 0;
    for (int k = c->count > 1; k < c->count; k++) {
        const int before = k > 0 ? k - 1 : 0; /* of a single point: itself */
        draw_piece(d, at_x(d, c->x[before]), at_y(d, c->y[before]), at_x(d, c->x[k]),
                   at_y(d, c->y[k]), style, &gone);
    }
}

static void draw_ticks(const drawing *d, double low, double high, bool across)
{
    int decimals;
    char text[VX_NUMBER];
    const int length = across ? WIDTH : HEIGHT;
    const double step = vx_nice_step((high - low) * TICK_SPACE / length, &decimals);
    const double first = ceil(low / step - 1e-9);
    /* Counted: first + 1 may be first where values lie far from 0 and close together. */
    for (int i = 0; i <= length / TICK_SPACE && (first + i) * step <= high + 1e-9 * step; i++) {
        const double value = (first + i) * step;
        const int x = across ? (int)lround(at_x(d, value)) : d->x;
        const int y = across ? d->y + HEIGHT : (int)lround(at_y(d, value));
        vx_put_fixed(text, value, decimals);
        const int width = vx_text_width(text, SCALE);
        if (across) {
            vx_canvas_fill(d->canvas, x, d->y, 1, HEIGHT, grid);
            vx_canvas_fill(d->canvas, x, y, 1, TICK, ink);
            vx_canvas_text(d->canvas, x - width / 2, y + TICK + 4, text, SCALE, ink);
        } else {
            vx_canvas_fill(d->canvas, x, y, WIDTH, 1, grid);
            vx_canvas_fill(d->canvas, x - TICK, y, TICK, 1, ink);
            vx_canvas_text(d->canvas, x - TICK - 6 - width, y - CAPITAL * SCALE / 2, text, SCALE,
                           ink);
        }
    }
}

static void draw_axes(const drawing *d, const char *label)
{
    draw_ticks(d, d->x_low, d->x_high, true);
    draw_ticks(d, d->y_low, d->y_high, false);
    vx_canvas_fill(d->canvas, d->x, d->y, 1, HEIGHT, ink);
    vx_canvas_fill(d->canvas, d->x, d->y + HEIGHT, WIDTH, 1, ink);
    vx_canvas_text(d->canvas, d->x + (WIDTH - vx_text_width(label, SCALE)) / 2,
                   d->y + HEIGHT + TICK + LINE + 4, label, SCALE, pale);
}

static void draw_legend(const drawing *d, const vitx_curve *curves, int n)
{
    const int x = d->x + WIDTH + 2 * GAP;
    for (int i = 0; i < n; i++) {
        const int middle = d->y + i * LINE + CAPITAL * SCALE / 2;
        double gone = 0;
        draw_piece(d, x, middle, x + SAMPLE, middle, look_of(curves, i), &gone);
        vx_canvas_text(d->canvas, x + SAMPLE + GAP, d->y + i * LINE, curves[i].name, SCALE, ink);
    }
}

int vx_plot_draw(vx_canvas *canvas, const vitx_curve *curves, int n, const vitx_plot_opts *opts,
                 const vitx_hooks *hooks)
{
    drawing d = {.canvas = canvas,
                 .x = MARGIN + 7 * VX_TEXT_WIDTH * SCALE + TICK,
                 .y = MARGIN + VX_TEXT_HEIGHT * (SCALE + 1) + GAP + (*opts->y_label ? LINE : 0)};
    int names = 0;
    for (int i = 0; i < n; i++) {
        const int width = vx_text_width(curves[i].name, SCALE);
        names = width > names ? width : names;
    }
    const int64_t below = (int64_t)d.y + HEIGHT + TICK + 2 * LINE + MARGIN;
    const int64_t legend = (int64_t)d.y + (int64_t)n * LINE + MARGIN;
    int64_t width = (int64_t)d.x + WIDTH + 2 * GAP + SAMPLE + GAP + names + MARGIN;
    const int64_t title = (int64_t)vx_text_width(opts->title, SCALE + 1) + 2 * MARGIN;
    const int64_t label = (int64_t)vx_text_width(opts->y_label, SCALE) + 2 * MARGIN;
    width = title > width ? title : width;
    width = label > width ? label : width;
    VX_TRY(vx_canvas_create(canvas, width, below > legend ? below : legend, hooks));
    find_range(&d, curves, n);
    vx_canvas_text(canvas, MARGIN, MARGIN, opts->title, SCALE + 1, ink);
    vx_canvas_text(canvas, MARGIN, d.y - LINE - GAP / 2, opts->y_label, SCALE, pale);
    draw_axes(&d, opts->x_label);
    for (int i = n - 1; i >= 0; i--) /* the first lies on top */
        draw_curve(&d, &curves[i], look_of(curves, i));
    draw_legend(&d, curves, n);
    return VITX_OK;
}
