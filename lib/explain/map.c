/*
 * explain/map.c: maps, and their way to other sizes.
 *
 * Bilinear with half-pixel centres: value x of n output samples lies at (x + 0.5) * m / n - 0.5 of
 * m input samples, clamped to 0..m-1 (torch's interpolate with align_corners=False, OpenCV's
 * INTER_LINEAR). Going to the picture is the same with the placement's scale and offset between.
 */
#include "explain/map.h"

#include <math.h>
#include <string.h>

#include "base/range.h"
#include "base/structs.h"

void vitx_map_info_init(vitx_map_info *out, size_t struct_size)
{
    const vitx_map_info full = VITX_MAP_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vx_placement_seen(double seen[4], const vx_placement *p)
{
    seen[0] = p->left * p->scale_x;
    seen[1] = p->top * p->scale_y;
    seen[2] = (p->left + p->input_w) * p->scale_x;
    seen[3] = (p->top + p->input_h) * p->scale_y;
}

int vx_map_create(vitx_map **out, const vitx_map_info *info, const vx_placement *placement,
                  const vitx_hooks *hooks)
{
    size_t count = 1;
    for (int axis = 0; axis < info->rank; axis++)
        if (info->shape[axis] < 1 || !vx_mul_size(&count, count, (size_t)info->shape[axis]))
            return vx_fail(VITX_NOMEM, "a map of more values than can be counted");
    vitx_map *map;
    *out = NULL;
    /* Its texts lie behind it. */
    const char *model = info->model ? info->model : "";
    const char *settings = info->settings ? info->settings : "";
    const char *text = info->text ? info->text : "";
    const char *versus = info->versus_text ? info->versus_text : "";
    const size_t m = strlen(model) + 1, n = strlen(settings) + 1, t = strlen(text) + 1,
                 v = strlen(versus) + 1;
    VX_TRY(vx_new(&map, hooks, 1, sizeof *map + m + n + t + v, "a map"));
    *map = (vitx_map){.hooks = *hooks, .info = *info, .placement = *placement, .count = count};
    const int64_t *sides = info->shape + vx_map_leading(info);
    map->on_pixels = sides[0] != info->grid_height || sides[1] != info->grid_width;
    vx_placement_seen(map->info.seen, placement);
    map->info.model = memcpy(map + 1, model, m);
    map->info.settings = memcpy((char *)(map + 1) + m, settings, n);
    map->info.text = memcpy((char *)(map + 1) + m + n, text, t);
    map->info.versus_text = memcpy((char *)(map + 1) + m + n + t, versus, v);
    const int status = vx_new(&map->values, hooks, count, sizeof *map->values, "a map's values");
    if (status != VITX_OK) {
        vitx_map_free(map);
        return status;
    }
    *out = map;
    return VITX_OK;
}

void vitx_map_free(vitx_map *map)
{
    if (!map)
        return;
    const vitx_hooks hooks = map->hooks;
    vx_answer_drop(map->answer);
    vx_release(&hooks, map->values);
    vx_release(&hooks, map);
}

void vx_map_saw(vitx_map *map, double score)
{
    vx_traces *t = &map->traces;
    t->least = t->varied ? fmin(t->least, score) : score;
    t->most = t->varied ? fmax(t->most, score) : score;
    t->varied = true;
}

/* What a score is as large as: a difference of two logits carries their rounding. */
static double size_of(const vitx_map *map)
{
    const double value = fabs(map->info.value), logit = fabs((double)map->info.logit);
    return map->info.score == VITX_SCORE_DIFFERENCE ? fmax(value, logit) : value;
}

static bool is_nothing(const vitx_map *map)
{
    const vx_traces *t = &map->traces;
    const double size = size_of(map);
    const double largest = fmax(fabs((double)map->info.min), fabs((double)map->info.max));
    if (t->given)
        return false;
    if (largest == 0 || t->flat)
        return true;
    if (t->varied &&
        t->most - t->least <= VX_ROUNDING * fmax(size, fmax(fabs(t->least), fabs(t->most))))
        return true;
    return t->of_score && largest <= VX_ROUNDING * size;
}

void vx_map_finish(vitx_map *map)
{
    vx_range(&map->info.min, &map->info.max, map->values, map->count);
    map->info.nothing = map->info.nothing || is_nothing(map);
}

int vitx_map_get_info(vitx_map_info *out, const vitx_map *map)
{
    if (!out || !map)
        return vx_fail(VITX_INVALID, "vitx_map_get_info: an argument is NULL");
    return VX_STRUCT_WRITE(out, &map->info, vitx_map_info, max);
}

const float *vitx_map_values(const vitx_map *map)
{
    return map ? map->values : NULL;
}

int vx_map_planes(const vitx_map *map)
{
    int planes = 1;
    for (int axis = 0; axis < vx_map_leading(&map->info); axis++)
        planes *= (int)map->info.shape[axis];
    return planes;
}

float vx_map_smooth(const vitx_map *map)
{
    if (!map->info.is_signed || !map->on_pixels || map->info.grid_width < 1)
        return 0;
    return 0.5f * (float)map->placement.input_w / (float)map->info.grid_width;
}

/* Numbers at one place of a plane. */
static int step_of(const vitx_map *map)
{
    return map->info.channels > 0 ? map->info.channels : 1;
}

const float *vx_map_plane(const vitx_map *map, int plane, int *height, int *width)
{
    const int64_t *sides = map->info.shape + vx_map_leading(&map->info);
    *height = (int)sides[0];
    *width = (int)sides[1];
    return map->values + (size_t)plane * (size_t)*height * (size_t)*width * (size_t)step_of(map);
}

/* The values of one channel that become 0 and 255. */
static void find_ends(double *low, double *high, const float *values, size_t places, int step)
{
    *low = *high = (double)values[0];
    for (size_t i = 0; i < places; i++) {
        *low = fmin(*low, (double)values[i * (size_t)step]);
        *high = fmax(*high, (double)values[i * (size_t)step]);
    }
}

void vx_map_colours(uint8_t *rgb, const vitx_map *map, int plane)
{
    int h, w;
    const int step = step_of(map);
    const float *values = vx_map_plane(map, plane, &h, &w);
    const size_t places = (size_t)h * (size_t)w;
    for (int k = 0; k < 3; k++) {
        const float *channel = values + (k < step ? k : step - 1);
        double low = (double)map->tint.low[k], high = (double)map->tint.high[k];
        if (!map->tint.fixed)
            find_ends(&low, &high, channel, places, step);
        for (size_t i = 0; i < places; i++) {
            const double part = ((double)channel[i * (size_t)step] - low) / (high - low);
            rgb[3 * i + (size_t)k] = high > low ? (uint8_t)(255 * fmin(fmax(part, 0), 1) + 0.5) : 0;
        }
    }
}

vx_between vx_find_between(double u, int size, int count)
{
    const double at = fmin(fmax(u * count / size - 0.5, 0), count - 1);
    const int first = (int)at;
    return (vx_between){first, first + 1 < count ? first + 1 : first, (float)(at - first)};
}

float vx_plane_at(const float *src, int width, int step, vx_between y, vx_between x)
{
    const size_t row = (size_t)width * (size_t)step;
    const size_t first = (size_t)x.first * (size_t)step, second = (size_t)x.second * (size_t)step;
    const float *upper = src + (size_t)y.first * row, *lower = src + (size_t)y.second * row;
    /* In double: the difference of two floats may be no float. */
    const double left = upper[first], right = upper[second];
    const double low_left = lower[first], low_right = lower[second];
    const double above = left + (right - left) * x.part;
    const double below = low_left + (low_right - low_left) * x.part;
    return (float)(above + (below - above) * y.part);
}

/* A plane resized bilinearly to [height,width] of the model's input (half-pixel centres,
 * clamped). */
static void resize_plane(float *dst, int height, int width, const vitx_map *map, int plane)
{
    int h, w;
    const int step = step_of(map);
    const float *src = vx_map_plane(map, plane, &h, &w);
    for (int y = 0; y < height; y++) {
        const vx_between row = vx_find_between(y + 0.5, height, h);
        for (int x = 0; x < width; x++)
            for (int k = 0; k < step; k++)
                *dst++ = vx_plane_at(src + k, w, step, row, vx_find_between(x + 0.5, width, w));
    }
}

void vx_plane_to_picture(float *dst, const vitx_map *map, int plane)
{
    int h, w;
    const int step = step_of(map);
    const float *src = vx_map_plane(map, plane, &h, &w);
    const vx_placement *p = &map->placement;
    for (int y = 0; y < map->info.picture_height; y++) {
        const double v = (y + 0.5) / p->scale_y - p->top; /* in pixels of the model's input */
        const bool row_seen = v >= 0 && v <= p->input_h;
        const vx_between row = vx_find_between(v, p->input_h, h);
        for (int x = 0; x < map->info.picture_width; x++) {
            const double u = (x + 0.5) / p->scale_x - p->left;
            const bool seen = row_seen && u >= 0 && u <= p->input_w;
            const vx_between column = vx_find_between(u, p->input_w, w);
            for (int k = 0; k < step; k++)
                *dst++ = seen ? vx_plane_at(src + k, w, step, row, column) : 0;
        }
    }
}

/* An empty map like `map` but with planes of another size, which lie elsewhere in the picture. */
static int create_resized(vitx_map **out, const vitx_map *map, int height, int width,
                          const vx_placement *placement)
{
    vitx_map_info info = map->info;
    const int leading = vx_map_leading(&info);
    info.shape[leading] = height;
    info.shape[leading + 1] = width;
    VX_TRY(vx_map_create(out, &info, placement, &map->hooks));
    (*out)->on_pixels = map->on_pixels;
    (*out)->traces = map->traces;
    (*out)->tint = map->tint;
    (*out)->answer = vx_answer_hold(map->answer);
    return VITX_OK;
}

int vitx_map_resize(vitx_map **out, const vitx_map *map, int height, int width)
{
    if (out)
        *out = NULL;
    if (!out || !map)
        return vx_fail(VITX_INVALID, "vitx_map_resize: an argument is NULL");
    if (height < 1 || width < 1 || height > 65535 || width > 65535)
        return vx_fail(VITX_INVALID, "a map of %d x %d: sides of 1 to 65535 are accepted", height,
                       width);
    VX_TRY(create_resized(out, map, height, width, &map->placement));
    const size_t floats = (size_t)height * (size_t)width * (size_t)step_of(map);
    for (int plane = 0; plane < vx_map_planes(map); plane++)
        resize_plane((*out)->values + (size_t)plane * floats, height, width, map, plane);
    vx_map_finish(*out);
    return VITX_OK;
}

int vitx_map_to_picture(vitx_map **out, const vitx_map *map)
{
    if (out)
        *out = NULL;
    if (!out || !map)
        return vx_fail(VITX_INVALID, "vitx_map_to_picture: an argument is NULL");
    const int height = map->info.picture_height, width = map->info.picture_width;
    /* Its planes cover the picture itself: going there again changes nothing. */
    const vx_placement whole = {.resized_w = width,
                                .resized_h = height,
                                .input_w = width,
                                .input_h = height,
                                .scale_x = 1,
                                .scale_y = 1,
                                .filter = map->placement.filter};
    VX_TRY(create_resized(out, map, height, width, &whole));
    memcpy((*out)->info.seen, map->info.seen, sizeof map->info.seen);
    const size_t floats = (size_t)height * (size_t)width * (size_t)step_of(map);
    for (int plane = 0; plane < vx_map_planes(map); plane++)
        vx_plane_to_picture((*out)->values + (size_t)plane * floats, map, plane);
    vx_map_finish(*out);
    return VITX_OK;
}
