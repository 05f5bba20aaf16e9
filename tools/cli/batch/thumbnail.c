/* cli/batch/thumbnail.c: see thumbnail.h. */
#include "tools/cli/batch/thumbnail.h"

#include "tools/cli/batch/jpeg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUALITY = 75 };

void thumbnail_size(int *out_width, int *out_height, int width, int height, int most)
{
    const int64_t longest = width > height ? width : height;
    const int64_t to = longest > most ? most : longest;
    const int64_t w = (width * to + longest / 2) / longest;
    const int64_t h = (height * to + longest / 2) / longest;
    *out_width = w > 0 ? (int)w : 1;
    *out_height = h > 0 ? (int)h : 1;
}

/* ------------------------------------------------------------------ the picture ------------ */

/* A row of `width` pixels, each the sum of what it covers of a row of `from` pixels, `weight`
 * times: the parts are counted in units of 1 / width of a pixel, so that all are whole. */
static void add_row(int64_t *sums, int width, const uint8_t *row, int from, int64_t weight)
{
    for (int x = 0; x < width; x++) {
        const int64_t begin = (int64_t)x * from, end = begin + from;
        for (int64_t i = begin / width; i * width < end; i++) {
            const int64_t first = i * width > begin ? i * width : begin;
            const int64_t last = (i + 1) * width < end ? (i + 1) * width : end;
            for (int c = 0; c < 3; c++)
                sums[3 * x + c] += weight * (last - first) * row[3 * i + c];
        }
    }
}

/* Sums fit: 65,535 x 65,535 x 255 is below 2^48. sums [width,3] */
static void shrink(uint8_t *out, int width, int height, const vitx_image *image, int64_t *sums)
{
    const int w = vitx_image_width(image), h = vitx_image_height(image);
    const uint8_t *pixels = vitx_image_pixels(image);
    const int64_t all = (int64_t)w * h;
    for (int y = 0; y < height; y++) {
        const int64_t begin = (int64_t)y * h, end = begin + h;
        memset(sums, 0, 3 * (size_t)width * sizeof *sums);
        for (int64_t j = begin / height; j * height < end; j++) {
            const int64_t first = j * height > begin ? j * height : begin;
            const int64_t last = (j + 1) * height < end ? (j + 1) * height : end;
            add_row(sums, width, pixels + 3 * (size_t)j * (size_t)w, w, last - first);
        }
        for (int i = 0; i < 3 * width; i++)
            *out++ = (uint8_t)((sums[i] + all / 2) / all);
    }
}

bool thumbnail_picture(struct text *out, const vitx_image *image)
{
    int width, height;
    thumbnail_size(&width, &height, vitx_image_width(image), vitx_image_height(image),
                   THUMBNAIL_SIDE);
    uint8_t *small = malloc(3 * (size_t)width * (size_t)height);
    int64_t *sums = malloc(3 * (size_t)width * sizeof *sums);
    struct text jpeg = {0};
    bool done = small && sums;
    if (done) {
        shrink(small, width, height, image, sums);
        done = jpeg_write(&jpeg, small, width, height, QUALITY);
    }
    if (done)
        text_base64(out, jpeg.data, jpeg.length);
    text_free(&jpeg);
    free(sums);
    free(small);
    return done && !out->failed;
}

/* ------------------------------------------------------------------ a map ------------------ */

/* out [h,w]: means of what each value covers of src [height,width], which has at least as many. */
static void gather(float *out, int w, int h, const float *src, int width, int height)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int y0 = (int)((int64_t)y * height / h), x0 = (int)((int64_t)x * width / w);
            const int y1 = (int)((int64_t)(y + 1) * height / h);
            const int x1 = (int)((int64_t)(x + 1) * width / w);
            double sum = 0;
            for (int v = y0; v < y1; v++)
                for (int u = x0; u < x1; u++)
                    sum += (double)src[(size_t)v * (size_t)width + (size_t)u];
            *out++ = (float)(sum / ((double)(y1 - y0) * (x1 - x0)));
        }
}

/* Means are smaller than what they are means of: their scale is their own. */
static void own_ends(struct thumbnail_map *out, const float *values, int count)
{
    float most = 0;
    for (int i = 0; i < count; i++) {
        const float v = out->is_signed ? fabsf(values[i]) : values[i];
        most = v > most ? v : most;
    }
    out->high = most;
    out->low = out->is_signed ? -most : 0;
}

static uint8_t level(const struct thumbnail_map *m, float value)
{
    if (!(m->high > m->low))
        return m->is_signed ? 128 : 0;
    const double at = ((double)value - (double)m->low) / ((double)m->high - (double)m->low);
    return !(at > 0) ? 0 : at >= 1 ? 255 : (uint8_t)(255 * at + 0.5);
}

static void place(struct thumbnail_map *out, const vitx_map_info *info)
{
    for (int i = 0; i < 4; i++)
        out->box[i] = info->seen[i] / (i % 2 ? info->picture_height : info->picture_width);
}

/* memory [height,width]: the values that are shown, and behind them what they become */
static void fill(struct thumbnail_map *out, float *memory, const vitx_map *map,
                 const vitx_map_info *info, const vitx_render_opts *opts)
{
    const int height = (int)info->shape[0], width = (int)info->shape[1];
    const int count = out->width * out->height;
    gather(memory, out->width, out->height, vitx_map_values(map), width, height);
    if (info->nothing)
        out->low = out->high = 0;
    else if (count != width * height ||
             vitx_render_ends(&out->low, &out->high, map, opts) != VITX_OK)
        own_ends(out, memory, count);
    uint8_t *levels = (uint8_t *)(memory + count);
    for (int i = 0; i < count; i++)
        levels[i] = level(out, memory[i]);
    text_base64(&out->values, levels, (size_t)count);
}

bool thumbnail_map(struct thumbnail_map *out, const vitx_map *map, const vitx_render_opts *opts)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    *out = (struct thumbnail_map){0};
    if (vitx_map_get_info(&info, map) != VITX_OK || info.rank != 2 || info.channels > 0 ||
        info.mask > 0 || info.shape[0] > 65535 || info.shape[1] > 65535)
        return false;
    thumbnail_size(&out->width, &out->height, (int)info.shape[1], (int)info.shape[0],
                   THUMBNAIL_GRID);
    out->is_signed = info.is_signed;
    place(out, &info);
    float *memory = malloc((size_t)out->width * (size_t)out->height * (sizeof *memory + 1));
    if (memory)
        fill(out, memory, map, &info, opts);
    free(memory);
    return memory && !out->values.failed;
}
