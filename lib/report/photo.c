/* report/photo.c: pictures that are embedded: the photo and the first map. */
#include <math.h>
#include <string.h>

#include "image/colormap.h"
#include "render/canvas.h"
#include "render/scale.h"
#include "report/jpeg.h"
#include "report/report.h"

#define LONGEST 1024
#define SHORTEST 128 /* smaller photos are of no use */
#define QUALITY 90

/* ------------------------------------------------------------------ the photo -------------- */

static int shrink(int side, int longest, int to)
{
    const int64_t small = ((int64_t)side * to + longest / 2) / longest;
    return longest <= to ? side : small < 1 ? 1 : (int)small;
}

/* With its longer side at most `most`. */
static int write_photo(vx_buffer *out, vx_report_picture *p, const vitx_image *image, int most,
                       const vitx_hooks *hooks)
{
    const int longest = image->width > image->height ? image->width : image->height;
    const int w = shrink(image->width, longest, most), h = shrink(image->height, longest, most);
    uint8_t *small = NULL;
    int status = VITX_OK;
    if (longest > most) {
        status = vx_new(&small, hooks, (size_t)w * (size_t)h, 3, "a photo");
        if (status == VITX_OK)
            status = vx_resize_u8(small, w, h, image->pixels, image->width, image->height, 3,
                                  VITX_LANCZOS, hooks);
    }
    if (status == VITX_OK)
        status = vx_jpeg_write(out, small ? small : image->pixels, w, h, QUALITY);
    vx_release(hooks, small);
    p->shown_width = w;
    p->shown_height = h;
    return status;
}

/* What a buffer holds, in memory of just that size. */
static int keep(vx_packed *out, const vx_buffer *from)
{
    VX_TRY(vx_new(&out->data, from->hooks, from->size, 1, "a photo"));
    memcpy(out->data, from->data, from->size);
    out->bytes = from->size;
    return VITX_OK;
}

int vx_report_photo(vx_report_picture *p, const vitx_image *image, size_t share,
                    const vitx_hooks *hooks)
{
    vx_buffer out = {.hooks = hooks};
    int status = VITX_OK;
    for (int most = LONGEST; most >= SHORTEST && status == VITX_OK; most = most * 3 / 4) {
        out.size = 0;
        status = write_photo(&out, p, image, most, hooks);
        if (vx_block_bytes(out.size) <= share)
            break;
    }
    if (status == VITX_OK)
        status = keep(&p->jpeg, &out);
    vx_buffer_dispose(&out);
    return status;
}

/* ------------------------------------------------------------------ the first map ---------- */

/* The mean of the values that lie in each patch: dst [gh,gw]. */
static void gather(float *dst, const float *src, int height, int width, int gh, int gw)
{
    for (int y = 0; y < gh; y++)
        for (int x = 0; x < gw; x++) {
            const int y0 = (int)((int64_t)y * height / gh), x0 = (int)((int64_t)x * width / gw);
            int y1 = (int)((int64_t)(y + 1) * height / gh);
            int x1 = (int)((int64_t)(x + 1) * width / gw);
            y1 = y1 > y0 ? y1 : y0 + 1; /* a map of fewer values than patches */
            x1 = x1 > x0 ? x1 : x0 + 1;
            double sum = 0;
            for (int v = y0; v < y1; v++)
                for (int u = x0; u < x1; u++)
                    sum += (double)src[(size_t)v * (size_t)width + (size_t)u];
            *dst++ = (float)(sum / ((double)(y1 - y0) * (x1 - x0)));
        }
}

static int draw(vx_canvas *canvas, float *values, const vitx_map *map, const vitx_hooks *hooks)
{
    const vx_colormap *colours = vx_colormap_find(map->info.is_signed ? "coolwarm" : "inferno");
    const size_t count = (size_t)canvas->width * (size_t)canvas->height;
    float low = 0, high = 0;
    VX_TRY(vx_scale_values(values, &low, &high, values, count,
                           map->info.is_signed ? VITX_SCALE_SIGNED : VITX_SCALE_MAX, hooks));
    for (size_t i = 0; i < count; i++)
        vx_colormap_rgb(canvas->pixels + 3 * i, colours, values[i]);
    return VITX_OK;
}

/* A map with channels: its colours as they are. */
static int write_colours(vx_sink *out, const vitx_map *map, int height, int width,
                         const vitx_hooks *hooks)
{
    vx_canvas canvas = {0};
    int status = vx_canvas_create(&canvas, width, height, hooks);
    if (status == VITX_OK)
        vx_map_colours(canvas.pixels, map, 0);
    if (status == VITX_OK)
        status = vx_canvas_png(out, &canvas, NULL);
    vx_canvas_dispose(&canvas);
    return status;
}

int vx_report_first(vx_packed *png, const vitx_map *map, const float *values, int height, int width,
                    int gh, int gw, const vitx_hooks *hooks)
{
    const size_t count = (size_t)gh * (size_t)gw;
    vx_canvas canvas = {0};
    vx_buffer file = {.hooks = hooks};
    vx_sink out = vx_sink_buffer(&file);
    float *cells;
    if (map->info.channels > 0) {
        int drawn = write_colours(&out, map, height, width, hooks);
        if (drawn == VITX_OK)
            drawn = keep(png, &file);
        vx_buffer_dispose(&file);
        return drawn;
    }
    VX_TRY(vx_new(&cells, hooks, count, sizeof *cells, "a small map"));
    if (height == gh && width == gw)
        memcpy(cells, values, count * sizeof *cells);
    else
        gather(cells, values, height, width, gh, gw);
    if (map->info.nothing)
        memset(cells, 0, count * sizeof *cells);
    int status = vx_canvas_create(&canvas, gw, gh, hooks);
    if (status == VITX_OK)
        status = draw(&canvas, cells, map, hooks);
    if (status == VITX_OK)
        status = vx_canvas_png(&out, &canvas, NULL);
    if (status == VITX_OK)
        status = keep(png, &file);
    vx_buffer_dispose(&file);
    vx_canvas_dispose(&canvas);
    vx_release(hooks, cells);
    return status;
}
