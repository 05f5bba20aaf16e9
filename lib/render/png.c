/*
 * render/png.c: a canvas as a PNG file, by libpng.
 *
 * libpng chooses each row's filter. What is left is noise around 0 and runs of zeros: zlib's
 * strategy Z_RLE, which looks for runs alone, makes as small a file of it as level 6 does, in a
 * fifth of the time (docs/performance.md).
 */
#include <png.h>
#include <setjmp.h>
#include <string.h>
#include <zlib.h>

#include "render/canvas.h"

typedef struct writer {
    vx_sink *out;
    int status; /* why libpng was told to stop */
    char reason[80];
} writer;

/* libpng's functions end by a jump out of this one. */
static void on_error(png_structp png, png_const_charp message)
{
    writer *w = png_get_error_ptr(png);
    strncpy(w->reason, message, sizeof w->reason - 1);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void append(png_structp png, png_bytep data, png_size_t bytes)
{
    writer *w = png_get_io_ptr(png);
    w->status = vx_sink_put(w->out, data, bytes);
    if (w->status != VITX_OK)
        png_error(png, "the file could not be written");
}

static void flush(png_structp png)
{
    (void)png;
}

static png_voidp take(png_structp png, png_alloc_size_t bytes)
{
    return vx_alloc(png_get_mem_ptr(png), bytes);
}

static void give_back(png_structp png, png_voidp memory)
{
    vx_release(png_get_mem_ptr(png), memory);
}

/* Everything that may jump. `facts` is ASCII. */
static void write_file(png_structp png, png_infop info, const vx_canvas *canvas, const char *facts)
{
    png_text text = {.compression = PNG_TEXT_COMPRESSION_NONE,
                     .key = (char *)(uintptr_t) "vitx",
                     .text = (char *)(uintptr_t)facts};
    png_set_IHDR(png, info, (png_uint_32)canvas->width, (png_uint_32)canvas->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_filter(png, 0, PNG_FILTER_SUB | PNG_FILTER_UP | PNG_FILTER_PAETH);
    png_set_compression_strategy(png, Z_RLE);
    if (facts)
        png_set_text(png, info, &text, 1);
    png_write_info(png, info);
    for (int y = 0; y < canvas->height; y++)
        png_write_row(png, vx_canvas_row(canvas, 0, y));
    png_write_end(png, info);
}

/* The jump leads here: nothing of this function's own changes behind setjmp. */
static int guarded(png_structp png, png_infop info, const vx_canvas *canvas, const char *facts)
{
    if (setjmp(png_jmpbuf(png)))
        return 1;
    write_file(png, info, canvas, facts);
    return 0;
}

int vx_canvas_png(vx_sink *out, const vx_canvas *canvas, const char *facts)
{
    writer w = {.out = out};
    vitx_hooks hooks = canvas->hooks;
    png_structp png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning,
                                                &hooks, take, give_back);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (info)
        png_set_write_fn(png, &w, append, flush);
    const int failed = !info || guarded(png, info, canvas, facts);
    png_destroy_write_struct(&png, &info);
    if (!failed)
        return VITX_OK;
    return w.status != VITX_OK ? w.status
                               : vx_fail(VITX_NOMEM, "no png of %d x %d pixels: %s", canvas->width,
                                         canvas->height, w.reason[0] ? w.reason : "no memory");
}
