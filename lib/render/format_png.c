/*
 * render/format_png.c: maps for the eye (sheet.h says how they are drawn) as PNG files (png.c), and
 * what they show in a tEXt chunk.
 */
#include "render/sheet.h"

/* JSON as ASCII, which a tEXt chunk may hold: other characters as \uXXXX. `text` is UTF-8. */
static int append_ascii(vx_sink *out, const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text, *const end = p + bytes;
    while (p < end) {
        const int more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        unsigned c = more ? *p & (0x3fu >> more) : *p;
        for (int i = 1; i <= more && p + i < end; i++)
            c = c << 6 | (p[i] & 0x3f);
        p += more + 1;
        if (c < 0x80)
            VX_TRY(vx_sink_put(out, &(char){(char)c}, 1));
        else if (c < 0x10000)
            VX_TRY(vx_sink_printf(out, "\\u%04x", c));
        else
            VX_TRY(vx_sink_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                  0xdc00 + ((c - 0x10000) & 0x3ff)));
    }
    return VITX_OK;
}

/* All that a json file says but the values, ended by a zero byte. */
static int facts_of(vx_sink *out, const vx_render_job *job)
{
    vx_buffer facts = {.hooks = out->hooks};
    vx_sink to = vx_sink_buffer(&facts);
    int status = vx_render_facts(&to, job);
    if (status == VITX_OK)
        status = append_ascii(out, facts.data, facts.size);
    if (status == VITX_OK)
        status = vx_sink_put(out, "}", 2);
    vx_buffer_dispose(&facts);
    return status;
}

static int render(vx_sink *out, const vx_render_job *job)
{
    vx_canvas canvas = {0};
    vx_buffer facts = {.hooks = out->hooks};
    vx_sink to = vx_sink_buffer(&facts);
    int status = vx_sheet_draw(&canvas, job);
    if (status == VITX_OK)
        status = facts_of(&to, job);
    if (status == VITX_OK)
        status = vx_canvas_png(out, &canvas, facts.data);
    vx_buffer_dispose(&facts);
    vx_canvas_dispose(&canvas);
    return status;
}

const vx_format vx_format_png = {.name = "png", .draws_picture = true, .render = render};
