/* render/sheet.c: see sheet.h. */
#include "render/sheet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "render/number.h"
#include "render/tile.h"

#define SHEET_SIDE 256 /* pixels of the longer side of a picture in a sheet */
#define SHEET_GAP 12

static const uint8_t ink[3] = {32, 32, 32}, pale[3] = {96, 96, 96};

enum { NAME = 64, TITLE = 200 };

struct sheet {
    int columns, rows;
    int cell_w, cell_h; /* a tile with its label */
    int label_scale, label_h;
    int top; /* of the first tile: below the title */
    char title[TITLE];
    const char *note;
};

/* "layer 3 head 1": which planes a leading axis counts follows from what was asked for. */
static void tile_name(char text[NAME], const vitx_map_info *info, int plane)
{
    const int inner = vx_map_leading(info) == 2 ? (int)info->shape[1] : 1;
    if (vx_map_leading(info) == 2)
        snprintf(text, NAME, "layer %d head %d", plane / inner, plane % inner);
    else if (info->head == VITX_ALL && info->layer != VITX_ALL)
        snprintf(text, NAME, "head %d", plane);
    else
        snprintf(text, NAME, "layer %d", plane);
}

/* The largest magnitude of a plane: what the ends of its colours mean, all planes apart. */
static void largest_text(char text[VX_NUMBER_TEXT], const vitx_map *map, int plane)
{
    int h, w;
    const float *values = vx_map_plane(map, plane, &h, &w);
    double most = 0;
    text[0] = '\0';
    if (vx_map_is_tinted(&map->info)) /* what a colour means differs from channel to channel */
        return;
    for (int i = 0; i < h * w; i++)
        most = fmax(most, fabs((double)values[i]));
    vx_number_text(text, most, 2);
}

/* Method, class and picture. */
static void make_title(struct sheet *s, const vx_render_job *job)
{
    const vitx_map_info *info = &job->map->info;
    int n = snprintf(s->title, TITLE, "%s", info->method);
    if (info->target >= 0)
        n += snprintf(s->title + n, TITLE - (size_t)n, "  %d", info->target);
    if (job->opts.label)
        n += snprintf(s->title + n, TITLE - (size_t)n, "  %.60s", job->opts.label);
    const char *name = vx_base_name(job->opts.title);
    snprintf(s->title + n, TITLE - (size_t)n, "%s%.60s", *name ? "  " : "", name);
    s->note = info->mask > 0 ? "what is not darkened holds the share of the mass that was asked for"
              : info->channels > 0 ? "each tile has colours of its own"
              : job->opts.scale == VITX_SCALE_RANGE
                  ? "all tiles have one scale; beside each name: the largest value"
                  : "each tile has its own scale; beside each name: the largest value";
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void lay_out(struct sheet *s, const vitx_map_info *info, const vx_tiles *tiles, int planes)
{
    char last[NAME];
    tile_name(last, info, planes - 1);
    strcat(last, "  1.2e-05");
    s->label_scale = vx_text_width(last, 2) <= tiles->panel_w ? 2 : 1;
    s->label_h = (VX_TEXT_HEIGHT + 3) * s->label_scale;
    s->cell_w = larger(tiles->panel_w, vx_text_width(last, s->label_scale)) + SHEET_GAP;
    s->cell_h = tiles->panel_h + s->label_h + SHEET_GAP;
    s->columns = vx_map_leading(info) == 2 ? (int)info->shape[0] : 1;
    while (vx_map_leading(info) < 2 &&
           (int64_t)s->columns * s->cell_w <
               (int64_t)((planes + s->columns - 1) / s->columns) * s->cell_h)
        s->columns++;
    s->rows = (planes + s->columns - 1) / s->columns;
    s->top = 2 * SHEET_GAP + 3 * VX_TEXT_HEIGHT + 3 * VX_TEXT_HEIGHT;
}

/* Layers from left to right and heads from top to bottom, as the statistics lie; else row by
 * row. */
static void place(const struct sheet *s, const vitx_map_info *info, int plane, int *x, int *y)
{
    const int heads = vx_map_leading(info) == 2 ? (int)info->shape[1] : 1;
    const int column = vx_map_leading(info) == 2 ? plane / heads : plane % s->columns;
    const int row = vx_map_leading(info) == 2 ? plane % heads : plane / s->columns;
    *x = SHEET_GAP + column * s->cell_w;
    *y = s->top + row * s->cell_h;
}

static int draw_tile(vx_canvas *canvas, vx_tiles *tiles, const vitx_map *map, const struct sheet *s,
                     int plane)
{
    char name[NAME], largest[VX_NUMBER_TEXT];
    int x, y;
    place(s, &map->info, plane, &x, &y);
    tile_name(name, &map->info, plane);
    largest_text(largest, map, plane);
    vx_canvas_text(canvas, x, y, name, s->label_scale, ink);
    vx_canvas_text(canvas, x + tiles->panel_w - vx_text_width(largest, s->label_scale), y, largest,
                   s->label_scale, pale);
    return vx_tiles_draw(tiles, canvas, x, y + s->label_h, plane);
}

/* The largest letters, `most` at most, in which a line fits a sheet. */
static int fitting(const char *text, int most, int width)
{
    while (most > 1 && vx_text_width(text, most) + 2 * SHEET_GAP > width)
        most--;
    return most;
}

static int draw_sheet(vx_canvas *canvas, vx_tiles *tiles, const vx_render_job *job)
{
    struct sheet s;
    const vitx_map *map = job->map;
    const int planes = vx_map_planes(map);
    make_title(&s, job);
    lay_out(&s, &map->info, tiles, planes);
    const int least = larger(vx_text_width(s.title, 1), vx_text_width(s.note, 1)) + 2 * SHEET_GAP;
    const int width = larger(s.columns * s.cell_w + SHEET_GAP, least);
    VX_TRY(vx_canvas_create(canvas, width, (int64_t)s.rows * s.cell_h + s.top, &map->hooks));
    vx_canvas_text(canvas, SHEET_GAP, SHEET_GAP, s.title, fitting(s.title, 3, width), ink);
    vx_canvas_text(canvas, SHEET_GAP, SHEET_GAP + 3 * VX_TEXT_HEIGHT + 6, s.note,
                   fitting(s.note, 2, width), pale);
    for (int i = 0; i < planes; i++)
        VX_TRY(draw_tile(canvas, tiles, map, &s, i));
    return VITX_OK;
}

static int draw_single(vx_canvas *canvas, vx_tiles *tiles, const vitx_map *map)
{
    VX_TRY(vx_canvas_create(canvas, tiles->panel_w, tiles->panel_h, &map->hooks));
    return vx_tiles_draw(tiles, canvas, 0, 0, 0);
}

int vx_sheet_draw(vx_canvas *canvas, const vx_render_job *job)
{
    vx_tiles tiles = {0};
    const bool is_sheet = vx_map_leading(&job->map->info) > 0;
    int status = vx_tiles_prepare(&tiles, job, is_sheet ? SHEET_SIDE : 0);
    if (status == VITX_OK)
        status = is_sheet ? draw_sheet(canvas, &tiles, job) : draw_single(canvas, &tiles, job->map);
    vx_tiles_dispose(&tiles);
    return status;
}
