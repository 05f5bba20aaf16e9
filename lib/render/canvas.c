/* render/canvas.c: see canvas.h. */
#include "render/canvas.h"

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

static const struct glyph *find_glyph(char c)
{
    const struct glyph *g = glyphs;
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    while (g->character != '\0' && g->character != c)
        g++;
    return g;
}

/* A character of several bytes in UTF-8 takes one cell: that of its first byte. */
static bool takes_cell(char byte)
{
    return (byte & 0xc0) != 0x80;
}

void vx_canvas_text(vx_canvas *canvas, int x, int y, const char *text, int scale,
                    const uint8_t rgb[3])
{
    for (; *text; text++) {
        if (!takes_cell(*text))
            continue;
        const char *rows = find_glyph(*text)->rows;
        for (int i = 0; rows[i]; i++)
            if (rows[i] == '#')
                vx_canvas_fill(canvas, x + i % 6 * scale, y + i / 6 * scale, scale, scale, rgb);
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
