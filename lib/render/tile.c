/*
 * render/tile.c: see tile.h.
 *
 * Order of the steps: raw values are smoothed if asked for, clipped and scaled to 0..1 on the map's
 * own grid, then resized bilinearly to the model's input and from there to the picture; then
 * colour, then
 *   pixel = (1 - alpha) picture + alpha colour.
 * VITX_INTERPOLATION_NEAREST takes the nearest value in place of those between. The colour bar
 * shows the colours over the picture's mean colour.
 * With a signed scale, s in -1..1, the picture stays as it is where the map is 0:
 *   pixel = (1 - alpha |s|) picture + alpha |s| colour.
 * A diverging colour map is pale where the weight is small, too, which would only look like fog. Of
 * such a map the colour is (m + (colour - m) / |s|), m the colour of 0, clipped to 0..255, so that
 * what is faint keeps its hue: for alpha 1 on a picture of colour m that is the colour map itself.
 * The channels of a map are its colours already (vx_map_colours): each pixel gets the colour of the
 * nearest place, as mixtures of components would mean nothing. The same for a mask: over a picture,
 * what it leaves out is darkened and the rest is unchanged.
 * What the model did not see keeps the picture, darkened, so that nobody takes the absence of a
 * map there for a low value.
 */
#include "render/tile.h"

#include <math.h>
#include <string.h>

#include "image/blur.h"
#include "render/number.h"
#include "render/scale.h"

enum { GREY_FLOOR = 96 }; /* what black becomes in a grey underlay */

static const uint8_t ink[3] = {32, 32, 32}, unseen[3] = {24, 24, 24};

/* The frame's size before any scaling down, and the input's placement in it. */
static void place_frame(vx_tiles *t)
{
    const vx_render_job *job = t->job;
    t->placement = job->map->placement;
    if (job->opts.frame == VITX_FRAME_PICTURE) {
        t->width = job->map->info.picture_width;
        t->height = job->map->info.picture_height;
        return;
    }
    t->width = t->placement.resized_w = t->placement.input_w;
    t->height = t->placement.resized_h = t->placement.input_h;
    t->placement.left = t->placement.top = 0;
    t->placement.scale_x = t->placement.scale_y = 1;
}

/* Scales the frame down so that its longer side is max_side. */
static void shrink_frame(vx_tiles *t, int max_side)
{
    const int longer = t->width > t->height ? t->width : t->height;
    if (max_side == 0 || longer <= max_side)
        return;
    const double factor = (double)max_side / longer;
    const int w = (int)fmax(1, floor(t->width * factor + 0.5));
    const int h = (int)fmax(1, floor(t->height * factor + 0.5));
    t->placement.scale_x *= (double)w / t->width;
    t->placement.scale_y *= (double)h / t->height;
    t->width = w;
    t->height = h;
}

/* The picture in grey, as light as paper that is written on: dark parts would swallow the map's
 * colours. Weights of ITU-R BT.601. */
static int make_grey(vx_tiles *t)
{
    const size_t pixels = (size_t)t->width * (size_t)t->height;
    VX_TRY(vx_new(&t->grey, &t->job->map->hooks, pixels, 3, "a picture in grey"));
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *p = t->photo + 3 * i;
        const int light = (299 * p[0] + 587 * p[1] + 114 * p[2]) / 1000;
        memset(t->grey + 3 * i, GREY_FLOOR + light * (255 - GREY_FLOOR) / 255, 3);
    }
    t->under = t->grey;
    return VITX_OK;
}

/* The picture, at the tile's size. */
static int make_photo(vx_tiles *t)
{
    const vx_render_job *job = t->job;
    const vitx_hooks *hooks = &job->map->hooks;
    const vx_placement *p = &job->map->placement;
    const size_t bytes = (size_t)t->width * (size_t)t->height * 3;
    const uint8_t *whole = job->image->pixels;
    uint8_t *input = NULL;
    int w = job->image->width, h = job->image->height, status = VITX_OK;
    if (job->opts.frame == VITX_FRAME_INPUT) {
        w = p->input_w;
        h = p->input_h;
        VX_TRY(vx_new(&input, hooks, (size_t)w * (size_t)h, 3, "the picture's input"));
        status = vx_preprocess_u8(input, job->image, p, hooks);
        whole = input;
    }
    if (status == VITX_OK && (w != t->width || h != t->height)) {
        status = vx_new(&t->owned, hooks, bytes, 1, "a smaller picture");
        if (status == VITX_OK)
            status =
                vx_resize_u8(t->owned, t->width, t->height, whole, w, h, 3, VITX_BILINEAR, hooks);
        whole = t->owned;
    } else if (status == VITX_OK && input) {
        t->owned = input;
        input = NULL;
    }
    t->photo = whole;
    vx_release(hooks, input);
    return status;
}

/* What is drawn beside and below the map. */
static int make_under(vx_tiles *t)
{
    const vitx_render_opts *o = &t->job->opts;
    if (o->layout == VITX_LAYOUT_MAP ||
        (o->layout == VITX_LAYOUT_OVERLAY && o->underlay == VITX_UNDERLAY_NONE))
        return VITX_OK;
    VX_TRY(make_photo(t));
    if (o->underlay == VITX_UNDERLAY_GREY)
        return make_grey(t);
    t->under = o->underlay == VITX_UNDERLAY_NONE ? NULL : t->photo;
    return VITX_OK;
}

static int nearest(vx_between at)
{
    return at.part < 0.5f ? at.first : at.second;
}

/* Where a place of the input lies among the values of a plane's side. */
static vx_between find_between(const vx_tiles *t, double place, int input, int count)
{
    vx_between at = vx_find_between(place, input, count);
    if (t->job->opts.interpolation == VITX_INTERPOLATION_NEAREST)
        at = (vx_between){.first = nearest(at), .second = nearest(at)};
    return at;
}

/* First pixel whose centre lies at or after `edge`, within 0..size. */
static int first_pixel(double edge, int size)
{
    const double pixel = ceil(edge - 0.5);
    return pixel <= 0 ? 0 : pixel >= size ? size : (int)pixel;
}

/* Whether values may lie beyond the ends of the scale. */
static bool clips(const vitx_render_opts *o)
{
    return o->scale == VITX_SCALE_MAX || o->scale == VITX_SCALE_P99 ||
           o->scale == VITX_SCALE_SIGNED_P99 || o->scale == VITX_SCALE_RANGE;
}

static void measure(vx_tiles *t)
{
    const vx_placement *p = &t->placement;
    const int gap = t->width / 64 > 4 ? t->width / 64 : 4;
    t->x0 = first_pixel(p->left * p->scale_x, t->width);
    t->y0 = first_pixel(p->top * p->scale_y, t->height);
    t->x1 = first_pixel((p->left + p->input_w) * p->scale_x, t->width);
    t->y1 = first_pixel((p->top + p->input_h) * p->scale_y, t->height);
    /* The bar's letters grow with the picture, slowly: they are read, not looked at. */
    t->unit = t->width / 384 < t->height / 48 ? t->width / 384 : t->height / 48;
    t->unit = t->unit > 1 ? t->unit : 1;
    t->overlay_x = t->job->opts.layout == VITX_LAYOUT_SIDE ? t->width + gap : 0;
    t->panel_w = t->overlay_x + t->width;
    t->panel_h = t->height;
    if (t->job->opts.colorbar && !vx_map_is_tinted(&t->job->map->info)) {
        /* Two numbers like -1.23e-05 with ">= " before them, and a 0. */
        const int least = (clips(&t->job->opts) ? 30 : 24) * VX_TEXT_WIDTH * t->unit;
        t->panel_w = t->panel_w > least ? t->panel_w : least;
        t->panel_h += 26 * t->unit;
    }
}

/* What is drawn for each scaled value, and how strongly. */
static void fill_colours(vx_tiles *t)
{
    const vitx_render_opts *o = &t->job->opts;
    const vx_colormap *map = t->job->colormap;
    const bool fades = t->job->is_signed && t->under;
    uint8_t middle[3];
    vx_colormap_rgb(middle, map, 0.5f);
    for (int i = 0; i < VX_TILE_COLOURS; i++) {
        const float v = (float)i / (VX_TILE_COLOURS - 1);
        const float part = fades ? fabsf(2 * v - 1) : 1;
        uint8_t *rgb = t->colours[i];
        vx_colormap_rgb(rgb, map, v);
        for (int c = 0; c < 3 && map->diverging && part > 0; c++) {
            const float x = (float)middle[c] + (float)(rgb[c] - middle[c]) / part;
            rgb[c] = (uint8_t)(fminf(fmaxf(x, 0), 255) + 0.5f);
        }
        t->weights[i] = (uint16_t)(o->alpha * part * 256 + 0.5f);
    }
}

/* The mean colour of what the model saw of the picture under the map. */
static void find_mean(vx_tiles *t)
{
    uint64_t sum[3] = {0}, count = 0;
    for (int y = t->y0; y < t->y1; y++) {
        const uint8_t *row = t->under + 3 * (size_t)y * (size_t)t->width;
        for (int x = t->x0; x < t->x1; x++, count++)
            for (int c = 0; c < 3; c++)
                sum[c] += row[3 * x + c];
    }
    for (int c = 0; c < 3 && count; c++)
        t->mean[c] = (uint8_t)((sum[c] + count / 2) / count);
}

/* For each column of the tile: once, not for every pixel. */
static void find_columns(vx_tiles *t, int plane_w)
{
    for (int x = 0; x < t->width; x++)
        t->columns[x] = find_between(t, (x + 0.5) / t->placement.scale_x - t->placement.left,
                                     t->placement.input_w, plane_w);
}

int vx_tiles_prepare(vx_tiles *t, const vx_render_job *job, int max_side)
{
    const vitx_hooks *hooks = &job->map->hooks;
    int plane_h, plane_w;
    t->job = job;
    place_frame(t);
    shrink_frame(t, max_side);
    measure(t);
    vx_map_plane(job->map, 0, &plane_h, &plane_w);
    VX_TRY(make_under(t));
    fill_colours(t);
    VX_TRY(vx_new(&t->scaled, hooks, (size_t)plane_h * (size_t)plane_w, sizeof(float),
                  "a scaled map"));
    if (vx_map_is_tinted(&job->map->info))
        VX_TRY(vx_new(&t->tinted, hooks, (size_t)plane_h * (size_t)plane_w, 3, "a map's colours"));
    VX_TRY(vx_new(&t->across, hooks, (size_t)plane_w, sizeof(float), "a row of a map"));
    VX_TRY(vx_new(&t->columns, hooks, (size_t)t->width, sizeof *t->columns, "a picture's columns"));
    find_columns(t, plane_w);
    if (job->opts.colorbar && t->under)
        find_mean(t);
    return VITX_OK;
}

void vx_tiles_dispose(vx_tiles *t)
{
    if (!t->job)
        return;
    const vitx_hooks *hooks = &t->job->map->hooks;
    vx_release(hooks, t->owned);
    vx_release(hooks, t->grey);
    vx_release(hooks, t->scaled);
    vx_release(hooks, t->tinted);
    vx_release(hooks, t->across);
    vx_release(hooks, t->columns);
}

/* Row y of the tile, at the plane's columns. */
static void fill_across(const vx_tiles *t, int y, int plane_h, int plane_w)
{
    const vx_placement *p = &t->placement;
    const vx_between at = find_between(t, (y + 0.5) / p->scale_y - p->top, p->input_h, plane_h);
    const float *above = t->scaled + (size_t)at.first * (size_t)plane_w;
    const float *below = t->scaled + (size_t)at.second * (size_t)plane_w;
    for (int x = 0; x < plane_w; x++)
        t->across[x] = above[x] + (below[x] - above[x]) * at.part;
}

static int colour_at(float v)
{
    const int last = VX_TILE_COLOURS - 1;
    return v > 0 ? v < 1 ? (int)(v * (float)last + 0.5f) : last : 0;
}

/* Unseen pixels i..end-1 of a row. */
static void draw_unseen(const vx_tiles *t, uint8_t *to, const uint8_t *under, int i, int end)
{
    for (; i < end; i++)
        for (int c = 0; c < 3; c++)
            to[3 * i + c] = t->under ? (uint8_t)(under[3 * i + c] * 90 >> 8) : unseen[c];
}

/* A seen pixel; under is NULL where there is nothing below the map. */
static void draw_pixel(uint8_t *to, const uint8_t *under, const uint8_t *rgb, int weight)
{
    for (int c = 0; c < 3; c++)
        to[c] =
            under ? (uint8_t)((under[c] * (256 - weight) + rgb[c] * weight + 128) >> 8) : rgb[c];
}

/* Row y of a map with channels. */
static void draw_tinted(const vx_tiles *t, uint8_t *to, int y, int plane_h, int plane_w)
{
    const vx_placement *p = &t->placement;
    const size_t start = (size_t)y * (size_t)t->width;
    const uint8_t *under = t->under ? t->under + 3 * start : NULL;
    const bool seen = y >= t->y0 && y < t->y1;
    const int x0 = seen ? t->x0 : t->width, x1 = seen ? t->x1 : t->width;
    const int weight = (int)(t->job->opts.alpha * 256 + 0.5f);
    const int row = nearest(vx_find_between((y + 0.5) / p->scale_y - p->top, p->input_h, plane_h));
    const uint8_t *rgb = t->tinted + 3 * (size_t)row * (size_t)plane_w;
    draw_unseen(t, to, under, 0, x0);
    const bool mask = t->job->map->info.mask > 0;
    for (int x = x0; x < x1; x++) {
        const uint8_t *colour = rgb + 3 * nearest(t->columns[x]);
        draw_pixel(to + 3 * x, under ? under + 3 * x : NULL, colour,
                   mask && colour[0] >= 128 ? 0 : weight);
    }
    draw_unseen(t, to, under, x1, t->width);
}

static void draw_row(const vx_tiles *t, uint8_t *to, int y)
{
    const size_t start = (size_t)y * (size_t)t->width;
    const uint8_t *under = t->under ? t->under + 3 * start : NULL;
    const bool seen = y >= t->y0 && y < t->y1;
    const int x0 = seen ? t->x0 : t->width, x1 = seen ? t->x1 : t->width;
    draw_unseen(t, to, under, 0, x0);
    for (int x = x0; x < x1; x++) {
        const vx_between at = t->columns[x];
        const int i =
            colour_at(t->across[at.first] + (t->across[at.second] - t->across[at.first]) * at.part);
        draw_pixel(to + 3 * x, under ? under + 3 * x : NULL, t->colours[i], t->weights[i]);
    }
    draw_unseen(t, to, under, x1, t->width);
}

/* What the colours mean: the ends of a plane's scale, and whether values lie beyond them. */
struct ends {
    float low, high;
    bool below, above;
};

static void end_text(char text[VX_NUMBER_TEXT + 3], const char *mark, float value)
{
    strcpy(text, mark);
    vx_number_text(text + strlen(mark), (double)value, 3);
}

static void draw_bar(const vx_tiles *t, vx_canvas *canvas, int x, int y, const struct ends *ends)
{
    const int u = t->unit, left = x + 2 * u, width = t->panel_w - 4 * u;
    char text[VX_NUMBER_TEXT + 3];
    uint8_t rgb[3];
    for (int i = 0; i < width; i++) {
        const int k = colour_at(((float)i + 0.5f) / (float)width);
        draw_pixel(rgb, t->under ? t->mean : NULL, t->colours[k], t->weights[k]);
        vx_canvas_fill(canvas, left + i, y + 4 * u, 1, 8 * u, rgb);
    }
    end_text(text, ends->below ? "<= " : "", ends->low);
    vx_canvas_text(canvas, left, y + 15 * u, text, u, ink);
    end_text(text, ends->above ? ">= " : "", ends->high);
    vx_canvas_text(canvas, left + width - vx_text_width(text, u), y + 15 * u, text, u, ink);
    if (t->job->is_signed)
        vx_canvas_text(canvas, left + (width - vx_text_width("0", u)) / 2, y + 15 * u, "0", u, ink);
}

static void draw_colours(vx_tiles *t, vx_canvas *canvas, int x, int y, int plane)
{
    int h, w;
    vx_map_plane(t->job->map, plane, &h, &w);
    vx_map_colours(t->tinted, t->job->map, plane);
    if (t->job->opts.layout == VITX_LAYOUT_SIDE)
        vx_canvas_copy(canvas, x, y, t->photo, t->width, t->height);
    for (int row = 0; row < t->height; row++)
        draw_tinted(t, vx_canvas_row(canvas, x + t->overlay_x, y + row), row, h, w);
}

/* A plane in 0..1, smoothed if that is asked for. */
static int scale_plane(vx_tiles *t, struct ends *ends, int plane, int *h, int *w)
{
    const vitx_render_opts *o = &t->job->opts;
    const vitx_hooks *hooks = &t->job->map->hooks;
    const float *values = vx_map_plane(t->job->map, plane, h, w);
    const size_t count = (size_t)*h * (size_t)*w;
    /* In samples of the plane. */
    const double sigma = (double)o->smooth * *w / t->placement.input_w;
    float low = INFINITY, high = -INFINITY;
    if (sigma > 0) {
        VX_TRY(vx_blur(t->scaled, values, 1, *h, *w, sigma, vx_blur_radius(sigma), false, hooks));
        values = t->scaled;
    }
    for (size_t i = 0; i < count; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    *ends = (struct ends){.low = o->low, .high = o->high};
    VX_TRY(vx_scale_values(t->scaled, &ends->low, &ends->high, values, count, o->scale, hooks));
    ends->below = clips(o) && low < ends->low;
    ends->above = clips(o) && high > ends->high;
    return VITX_OK;
}

int vx_tiles_draw(vx_tiles *t, vx_canvas *canvas, int x, int y, int plane)
{
    int h, w;
    struct ends ends;
    if (t->tinted) {
        draw_colours(t, canvas, x, y, plane);
        return VITX_OK;
    }
    VX_TRY(scale_plane(t, &ends, plane, &h, &w));
    if (t->job->opts.layout == VITX_LAYOUT_SIDE)
        vx_canvas_copy(canvas, x, y, t->photo, t->width, t->height);
    for (int row = 0; row < t->height; row++) {
        fill_across(t, row, h, w);
        draw_row(t, vx_canvas_row(canvas, x + t->overlay_x, y + row), row);
    }
    if (t->job->opts.colorbar)
        draw_bar(t, canvas, x, y + t->height, &ends);
    return VITX_OK;
}
