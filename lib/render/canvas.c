/* render/canvas.c: see canvas.h. */
#include "render/canvas.h"

#include <math.h>
#include <string.h>

#include "render/font.h"

int vx_canvas_create(vx_canvas *out, int64_t width, int64_t height, const vitx_hooks *hooks)
{
    *out = (vx_canvas){.hooks = *hooks};
    if (width < 1 || height < 1 || width > VX_CANVAS_MAX_PIXELS / height)
        return vx_fail(VITX_UNSUPPORTED,
                       "a png of %lld x %lld pixels; at most %lld pixels are drawn",
                       (long long)width, (long long)height, (long long)VX_CANVAS_MAX_PIXELS);
    const size_t bytes = (size_t)width * (size_t)height * 3;
    out->pixels = vx_alloc(hooks, bytes);
    if (!out->pixels)
        return vx_fail(VITX_NOMEM, "no memory for a png of %lld x %lld pixels", (long long)width,
                       (long long)height);
    memset(out->pixels, 255, bytes);
    out->width = (int)width;
    out->height = (int)height;
    return VITX_OK;
}

void vx_canvas_dispose(vx_canvas *canvas)
{
    if (canvas->pixels)
        vx_release(&canvas->hooks, canvas->pixels);
    canvas->pixels = NULL;
}

uint8_t *vx_canvas_row(const vx_canvas *canvas, int x, int y)
{
    return canvas->pixels + ((size_t)y * (size_t)canvas->width + (size_t)x) * 3;
}

/* The part of a rectangle that lies on the canvas; false if none does. */
static bool clip(const vx_canvas *canvas, int *x0, int *y0, int *x1, int *y1)
{
    *x0 = *x0 < 0 ? 0 : *x0;
    *y0 = *y0 < 0 ? 0 : *y0;
    *x1 = *x1 > canvas->width ? canvas->width : *x1;
    *y1 = *y1 > canvas->height ? canvas->height : *y1;
    return *x0 < *x1 && *y0 < *y1;
}

void vx_canvas_copy(vx_canvas *canvas, int x, int y, const uint8_t *rgb, int width, int height)
{
    int x0 = x, y0 = y, x1 = x + width, y1 = y + height;
    if (!clip(canvas, &x0, &y0, &x1, &y1))
        return;
    for (int row = y0; row < y1; row++) {
        const size_t from = (size_t)(row - y) * (size_t)width + (size_t)(x0 - x);
        memcpy(vx_canvas_row(canvas, x0, row), rgb + 3 * from, 3 * (size_t)(x1 - x0));
    }
}

void vx_canvas_fill(vx_canvas *canvas, int x, int y, int width, int height, const uint8_t rgb[3])
{
    int x0 = x, y0 = y, x1 = x + width, y1 = y + height;
    if (!clip(canvas, &x0, &y0, &x1, &y1))
        return;
    for (int row = y0; row < y1; row++) {
        uint8_t *p = vx_canvas_row(canvas, x0, row);
        for (int i = x0; i < x1; i++, p += 3)
            memcpy(p, rgb, 3);
    }
}

/* ------------------------------------------------------------------ text ------------------ */

enum { GLYPH_COLUMNS = 5, GLYPH_ROWS = 9, GLYPH_STEP = GLYPH_COLUMNS + 1 };

static const struct glyph *find_glyph(char c)
{
    const struct glyph *g = glyphs;
    while (g->character != '\0' && g->character != c)
        g++;
    return g;
}

/* A character of several bytes in UTF-8 takes one cell: that of its first byte. */
static bool takes_cell(char byte)
{
    return (byte & 0xc0) != 0x80;
}

static bool has_point(const char *rows, int row, int column)
{
    return row >= 0 && row < GLYPH_ROWS && column >= 0 && column < GLYPH_COLUMNS &&
           rows[row * GLYPH_STEP + column] == '#';
}

/* Square of the distance of (u, v) from the stroke that leads from (x, y) to (x + dx, y + dy). */
static double away_from(double u, double v, int x, int y, int dx, int dy)
{
    const int length = dx * dx + dy * dy;
    double t = length ? ((u - x) * dx + (v - y) * dy) / length : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    const double a = u - x - t * dx, b = v - y - t * dy;
    return a * a + b * b;
}

/* The same from all strokes of a glyph, in points. */
static double away_from_glyph(const char *rows, double u, double v)
{
    static const int steps[][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}, {-1, 1}};
    double least = 1e9;
    for (int row = 0; row < GLYPH_ROWS; row++)
        for (int column = 0; column < GLYPH_COLUMNS; column++)
            for (size_t k = 0; has_point(rows, row, column) && k < 5; k++) {
                const int dx = steps[k][0], dy = steps[k][1];
                const bool corner =
                    dx && dy &&
                    (has_point(rows, row, column + dx) || has_point(rows, row + dy, column));
                if (corner || !has_point(rows, row + dy, column + dx))
                    continue;
                const double away = away_from(u, v, column, row, dx, dy);
                least = away < least ? away : least;
            }
    return sqrt(least);
}

/* What a stroke covers of a pixel: all of it half a pixel inside the stroke's edge. */
static void draw_glyph(vx_canvas *canvas, int x, int y, const char *rows, int scale,
                       const uint8_t rgb[3])
{
    const double half = scale > 1 ? 0.42 * scale : 0.5;
    int x0 = x - 1, y0 = y - 1;
    int x1 = x + GLYPH_COLUMNS * scale + 1, y1 = y + GLYPH_ROWS * scale + 1;
    if (!clip(canvas, &x0, &y0, &x1, &y1))
        return;
    for (int row = y0; row < y1; row++) {
        uint8_t *p = vx_canvas_row(canvas, x0, row);
        for (int column = x0; column < x1; column++, p += 3) {
            const double u = (column - x + 0.5) / scale - 0.5, v = (row - y + 0.5) / scale - 0.5;
            const double part = half + 0.5 - away_from_glyph(rows, u, v) * scale;
            for (int c = 0; part > 0 && c < 3; c++)
                p[c] = (uint8_t)(p[c] + (rgb[c] - p[c]) * (part < 1 ? part : 1) + 0.5);
        }
    }
}

void vx_canvas_text(vx_canvas *canvas, int x, int y, const char *text, int scale,
                    const uint8_t rgb[3])
{
    for (; *text; text++) {
        if (!takes_cell(*text))
            continue;
        draw_glyph(canvas, x, y, find_glyph(*text)->rows, scale, rgb);
        x += VX_TEXT_WIDTH * scale;
    }
}

int vx_text_width(const char *text, int scale)
{
    int cells = 0;
    for (; *text; text++)
        cells += takes_cell(*text);
    return cells ? (cells * VX_TEXT_WIDTH - 1) * scale : 0;
}
