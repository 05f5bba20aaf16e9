/*
 * render/format_png.c: maps for the eye (sheet.h says how they are drawn) as PNG files; the one file that
 * includes stb_image_write.
 *
 * stb filters the rows and lays out the chunks, zlib compresses. stb takes its memory through
 * macros without an argument, so the hooks of the call under way lie in a thread-local; so do the
 * blocks it holds, because stb forgets one when an allocation fails. None of stb's global settings
 * is changed.
 */
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "render/sheet.h"

static _Thread_local struct {
    const vitx_hooks *hooks;
    void *held[8]; /* stb holds at most three blocks at once */
} stb;

static void *stb_alloc(size_t bytes)
{
    for (int i = 0; i < (int)(sizeof stb.held / sizeof stb.held[0]); i++)
        if (!stb.held[i])
            return stb.held[i] = vx_alloc(stb.hooks, bytes);
    return NULL;
}

static void stb_release(void *memory)
{
    for (int i = 0; i < (int)(sizeof stb.held / sizeof stb.held[0]); i++)
        if (stb.held[i] == memory)
            stb.held[i] = NULL;
    vx_release(stb.hooks, memory);
}

/* Level 6 makes a photograph a tenth smaller than level 1 and takes seven times as long: small
 * pictures get it, a camera's 12 million pixels do not. */
static unsigned char *compress_zlib(unsigned char *data, int bytes, int *out_bytes, int quality)
{
    (void)quality;
    uLongf size = compressBound((uLong)bytes);
    unsigned char *out = size <= INT_MAX ? stb_alloc(size) : NULL;
    if (!out)
        return NULL;
    if (compress2(out, &size, data, (uLong)bytes, bytes <= 3 << 20 ? 6 : 1) != Z_OK) {
        stb_release(out);
        return NULL;
    }
    *out_bytes = (int)size;
    return out;
}

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBIW_ASSERT(x) ((void)0)
#define STBIW_MALLOC(bytes) stb_alloc(bytes)
#define STBIW_REALLOC(memory, bytes) NULL /* only its own zlib would */
#define STBIW_FREE(memory) stb_release(memory)
#define STBIW_ZLIB_COMPRESS compress_zlib
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

struct sink {
    vx_buffer *out;
    int status;
};

static void append(void *context, void *data, int bytes)
{
    struct sink *sink = context;
    sink->status = vx_buffer_append(sink->out, data, (size_t)bytes);
}

int vx_canvas_png(vx_buffer *out, const vx_canvas *canvas)
{
    struct sink sink = {out, VITX_OK};
    stb.hooks = &canvas->hooks;
    const int done =
        stbi_write_png_to_func(append, &sink, canvas->width, canvas->height, 3, canvas->pixels, 0);
    for (int i = 0; i < (int)(sizeof stb.held / sizeof stb.held[0]); i++)
        if (stb.held[i])
            stb_release(stb.held[i]);
    stb.hooks = NULL;
    if (!done)
        return vx_fail(VITX_NOMEM, "no memory to compress a png of %d x %d pixels", canvas->width,
                       canvas->height);
    return sink.status;
}

/* ------------------------------------------------------------------ what it shows ---------- */

/* JSON as ASCII, which a tEXt chunk may hold: other characters as \uXXXX. `text` is UTF-8. */
static int append_ascii(vx_buffer *out, const char *text, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)text, *const end = p + bytes;
    while (p < end) {
        const int more = *p < 0xc0 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
        unsigned c = more ? *p & (0x3fu >> more) : *p;
        for (int i = 1; i <= more && p + i < end; i++)
            c = c << 6 | (p[i] & 0x3f);
        p += more + 1;
        if (c < 0x80)
            VX_TRY(vx_buffer_append(out, &(char){(char)c}, 1));
        else if (c < 0x10000)
            VX_TRY(vx_buffer_printf(out, "\\u%04x", c));
        else
            VX_TRY(vx_buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                    0xdc00 + ((c - 0x10000) & 0x3ff)));
    }
    return VITX_OK;
}

static int append_u32(vx_buffer *out, uint32_t v)
{
    const unsigned char bytes[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16),
                                    (unsigned char)(v >> 8), (unsigned char)v};
    return vx_buffer_append(out, bytes, sizeof bytes);
}

/* A tEXt chunk with the keyword "vitx": all that a json file says but the values. */
static int append_facts(vx_buffer *out, const vx_render_job *job)
{
    static const char start[] = "tEXtvitx"; /* and its zero byte */
    vx_buffer facts = {.hooks = out->hooks}, chunk = {.hooks = out->hooks};
    int status = vx_render_facts(&facts, job);
    if (status == VITX_OK)
        status = vx_buffer_append(&chunk, start, sizeof start);
    if (status == VITX_OK)
        status = append_ascii(&chunk, facts.data, facts.size);
    if (status == VITX_OK)
        status = vx_buffer_append(&chunk, "}", 1);
    if (status == VITX_OK)
        status = append_u32(out, (uint32_t)chunk.size - 4);
    if (status == VITX_OK)
        status = vx_buffer_append(out, chunk.data, chunk.size);
    if (status == VITX_OK)
        status = append_u32(out, (uint32_t)crc32(0, (const Bytef *)chunk.data, (uInt)chunk.size));
    vx_buffer_dispose(&facts);
    vx_buffer_dispose(&chunk);
    return status;
}

static int render(vx_buffer *out, const vx_render_job *job)
{
    enum { HEAD = 8 + 25 }; /* signature and IHDR, behind which other chunks may stand */
    vx_canvas canvas = {0};
    vx_buffer png = {.hooks = out->hooks};
    int status = vx_sheet_draw(&canvas, job);
    if (status == VITX_OK)
        status = vx_canvas_png(&png, &canvas);
    vx_canvas_dispose(&canvas);
    if (status == VITX_OK)
        status = vx_buffer_append(out, png.data, HEAD);
    if (status == VITX_OK)
        status = append_facts(out, job);
    if (status == VITX_OK)
        status = vx_buffer_append(out, png.data + HEAD, png.size - HEAD);
    vx_buffer_dispose(&png);
    return status;
}

const vx_format vx_format_png = {.name = "png", .draws_picture = true, .render = render};
