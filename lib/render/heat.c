/* render/heat.c: see heat.h. */
#include "render/heat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "render/ticks.h"

enum {
    MARGIN = 20,
    GAP = 12,
    LEAST_CELL = 18,
    LARGEST_CELL = 64,
    WHOLE = 1200, /* what a matrix is to fill, if its cells may be so large */
    BAR = 20,     /* width of the colour bar */
    LEAST_BAR = 96,
    TICK = 6,
    TICK_SPACE = 36,
    SCALE = 2 /* of the letters */
};

#define LETTER_HEIGHT (VX_TEXT_HEIGHT * SCALE)
#define CAPITAL 7 /* rows of a glyph above the base line */

static const uint8_t ink[3] = {32, 32, 32}, pale[3] = {96, 96, 96}, white[3] = {255, 255, 255};

typedef struct drawing {
    const vx_heat *heat;
    vx_canvas *canvas;
    double low, high;
    int cell, x, y, width, height; /* of the matrix */
    int bar_x, bar_height;
    int title_scale;
} drawing;

static double value_at(const vx_heat *heat, int row, int column)
{
    return heat
        ->values[(size_t)row * (size_t)heat->row_step + (size_t)column * (size_t)heat->column_step];
}

static double position(const drawing *d, double value)
{
    return d->high > d->low ? (value - d->low) / (d->high - d->low) : 0.5;
}

static void find_range(drawing *d)
{
    d->low = d->high = value_at(d->heat, 0, 0);
    for (int r = 0; r < d->heat->rows; r++)
        for (int c = 0; c < d->heat->columns; c++) {
            d->low = fmin(d->low, value_at(d->heat, r, c));
            d->high = fmax(d->high, value_at(d->heat, r, c));
        }
}

/* Digits behind the point that tell the values of a matrix apart. */
static int decimals_of(const drawing *d)
{
    const double most = fmax(fabs(d->low), fabs(d->high));
    return most >= 100 ? 0 : most >= 10 ? 1 : most >= 0.1 ? 2 : 3;
}

/* ------------------------------------------------------------------ places ----------------- */

static int number_width(int number)
{
    char text[VX_NUMBER];
    snprintf(text, sizeof text, "%d", number);
    return vx_text_width(text, SCALE);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Where things lie, and how large the canvas is. */
static void lay_out(drawing *d, int64_t *width, int64_t *height)
{
    const vx_heat *heat = d->heat;
    const int most = larger(heat->rows, heat->columns);
    char text[VX_NUMBER];
    d->cell = WHOLE / most < LEAST_CELL     ? LEAST_CELL
              : WHOLE / most > LARGEST_CELL ? LARGEST_CELL
                                            : WHOLE / most;
    d->width = heat->columns * d->cell;
    d->height = heat->rows * d->cell;
    d->bar_height = larger(d->height, LEAST_BAR);
    d->x = MARGIN + vx_text_width(heat->down, SCALE) + 2 * GAP + number_width(heat->rows - 1) +
           GAP / 2;
    d->bar_x = d->x + d->width + 2 * GAP;
    vx_put_fixed(text, d->high, decimals_of(d) + 2);
    *width = (int64_t)d->bar_x + BAR + TICK + GAP / 2 + vx_text_width(text, SCALE) + MARGIN;
    const int title = vx_text_width(heat->title, SCALE + 1);
    d->title_scale = title + 2 * MARGIN <= *width ? SCALE + 1 : SCALE;
    const int least =
        larger(vx_text_width(heat->title, d->title_scale), vx_text_width(heat->subtitle, SCALE));
    *width = *width > least + 2 * MARGIN ? *width : least + 2 * MARGIN;
    d->y = MARGIN + VX_TEXT_HEIGHT * d->title_scale + GAP / 2 + LETTER_HEIGHT + GAP;
    const int below = d->height + GAP / 2 + LETTER_HEIGHT + GAP / 2 + LETTER_HEIGHT;
    *height = (int64_t)d->y + larger(below, d->bar_height + LETTER_HEIGHT / 2) + MARGIN;
}

/* ------------------------------------------------------------------ drawing ---------------- */

static void draw_centred(const drawing *d, int x, int y, const char *text, int scale,
                         const uint8_t rgb[3])
{
    vx_canvas_text(d->canvas, x - vx_text_width(text, scale) / 2, y - CAPITAL * scale / 2, text,
                   scale, rgb);
}

/* A cell in its colour, with its number where there is room. */
static void draw_cell(const drawing *d, int row, int column, int decimals)
{
    const double value = value_at(d->heat, row, column);
    const int x = d->x + column * d->cell, y = d->y + row * d->cell;
    uint8_t rgb[3];
    char text[VX_NUMBER];
    vx_colormap_rgb(rgb, d->heat->colormap, (float)position(d, value));
    vx_canvas_fill(d->canvas, x, y, d->cell - 1, d->cell - 1, rgb);
    vx_put_fixed(text, value, decimals);
    const int light = (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]) / 1000;
    for (int scale = SCALE; scale > 0; scale--)
        if (vx_text_width(text, scale) + 4 <= d->cell) {
            draw_centred(d, x + d->cell / 2, y + d->cell / 2, text, scale,
                         light > 140 ? ink : white);
            break;
        }
}

/* Numbers beside rows or below columns: every one, or every so many that they do not touch. */
static void draw_numbers(const drawing *d, int count, bool of_rows)
{
    const int need = of_rows ? LETTER_HEIGHT : number_width(count - 1) + 2 * SCALE;
    const int every = (need + d->cell - 1) / d->cell;
    char text[VX_NUMBER];
    for (int i = 0; i < count; i += every) {
        const int middle = i * d->cell + d->cell / 2;
        snprintf(text, sizeof text, "%d", i);
        if (of_rows)
            vx_canvas_text(d->canvas, d->x - GAP / 2 - vx_text_width(text, SCALE),
                           d->y + middle - CAPITAL * SCALE / 2, text, SCALE, ink);
        else
            draw_centred(d, d->x + middle, d->y + d->height + GAP / 2 + CAPITAL * SCALE / 2, text,
                         SCALE, ink);
    }
}

static void draw_axes(const drawing *d)
{
    const vx_heat *heat = d->heat;
    draw_numbers(d, heat->rows, true);
    draw_numbers(d, heat->columns, false);
    draw_centred(d, d->x + d->width / 2,
                 d->y + d->height + GAP + LETTER_HEIGHT + CAPITAL * SCALE / 2, heat->across, SCALE,
                 pale);
    vx_canvas_text(d->canvas, MARGIN, d->y + d->height / 2 - CAPITAL * SCALE / 2, heat->down, SCALE,
                   pale);
}

static void draw_tick(const drawing *d, double value, int decimals)
{
    const int y = d->y + (int)lround((1 - position(d, value)) * (d->bar_height - 1)),
              x = d->bar_x + BAR;
    char text[VX_NUMBER];
    vx_put_fixed(text, value, decimals);
    vx_canvas_fill(d->canvas, x, y, TICK, 1, ink);
    vx_canvas_text(d->canvas, x + TICK + GAP / 2, y - CAPITAL * SCALE / 2, text, SCALE, ink);
}

static void draw_bar(const drawing *d)
{
    uint8_t rgb[3];
    for (int i = 0; i < d->bar_height; i++) {
        const float at = ((float)(d->bar_height - i) - 0.5f) / (float)d->bar_height;
        vx_colormap_rgb(rgb, d->heat->colormap, d->high > d->low ? at : 0.5f);
        vx_canvas_fill(d->canvas, d->bar_x, d->y + i, BAR, 1, rgb);
    }
    if (!(d->high > d->low)) {
        draw_tick(d, d->low, decimals_of(d));
        return;
    }
    int decimals;
    const double step =
        vx_nice_step((d->high - d->low) * TICK_SPACE / (double)d->bar_height, &decimals);
    for (double k = ceil(d->low / step - 1e-9); k * step <= d->high + 1e-9 * step; k++)
        draw_tick(d, k * step, decimals);
}

int vx_heat_draw(vx_canvas *canvas, const vx_heat *heat, const vitx_hooks *hooks)
{
    drawing d = {.heat = heat, .canvas = canvas};
    int64_t width, height;
    find_range(&d);
    lay_out(&d, &width, &height);
    VX_TRY(vx_canvas_create(canvas, width, height, hooks));
    vx_canvas_text(canvas, MARGIN, MARGIN, heat->title, d.title_scale, ink);
    vx_canvas_text(canvas, MARGIN, MARGIN + VX_TEXT_HEIGHT * d.title_scale + GAP / 2,
                   heat->subtitle, SCALE, pale);
    const int decimals = decimals_of(&d);
    for (int r = 0; r < heat->rows; r++)
        for (int c = 0; c < heat->columns; c++)
            draw_cell(&d, r, c, decimals);
    draw_axes(&d);
    draw_bar(&d);
    return VITX_OK;
}
