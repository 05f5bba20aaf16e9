/* render/sheet.c: see sheet.h. */
#include "render/sheet.h"

#include <stdio.h>

#include "render/tile.h"

#define SHEET_SIDE 256 /* pixels of the longer side of a picture in a sheet */
#define SHEET_GAP 12

static const uint8_t ink[3] = {32, 32, 32};

struct sheet {
    int columns, rows;
    int cell_w, cell_h; /* a tile with its label */
    int label_scale, label_h;
};

/* "layer 3 head 1": which planes a leading axis counts follows from what was asked for. */
static void tile_name(char *text, size_t size, const vitx_map_info *info, int plane)
{
    const int inner = info->rank == 4 ? (int)info->shape[1] : 1;
    if (info->rank == 4)
        snprintf(text, size, "layer %d head %d", plane / inner, plane % inner);
    else if (info->head == VITX_ALL && info->layer != VITX_ALL)
        snprintf(text, size, "head %d", plane);
    else
        snprintf(text, size, "layer %d", plane);
}

static void lay_out(struct sheet *s, const vitx_map_info *info, const vx_tiles *tiles, int planes)
{
    char last[64];
    tile_name(last, sizeof last, info, planes - 1);
    s->label_scale = vx_text_width(last, 2) <= tiles->panel_w ? 2 : 1;
    s->label_h = (VX_TEXT_HEIGHT + 2) * s->label_scale;
    const int least = vx_text_width(last, s->label_scale);
    s->cell_w = (tiles->panel_w > least ? tiles->panel_w : least) + SHEET_GAP;
    s->cell_h = tiles->panel_h + s->label_h + SHEET_GAP;
    s->columns = info->rank == 4 ? (int)info->shape[1] : 1;
    while (info->rank < 4 && (int64_t)s->columns * s->cell_w <
                                 (int64_t)((planes + s->columns - 1) / s->columns) * s->cell_h)
        s->columns++;
    s->rows = (planes + s->columns - 1) / s->columns;
}

static int draw_sheet(vx_canvas *canvas, vx_tiles *tiles, const vitx_map *map)
{
    struct sheet s;
    char name[64];
    const int planes = vx_map_planes(map);
    lay_out(&s, &map->info, tiles, planes);
    VX_TRY(vx_canvas_create(canvas, (int64_t)s.columns * s.cell_w + SHEET_GAP,
                            (int64_t)s.rows * s.cell_h + SHEET_GAP, &map->hooks));
    for (int i = 0; i < planes; i++) {
        const int x = SHEET_GAP + i % s.columns * s.cell_w,
                  y = SHEET_GAP + i / s.columns * s.cell_h;
        tile_name(name, sizeof name, &map->info, i);
        vx_canvas_text(canvas, x, y, name, s.label_scale, ink);
        VX_TRY(vx_tiles_draw(tiles, canvas, x, y + s.label_h, i));
    }
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
    const bool is_sheet = job->map->info.rank > 2;
    int status = vx_tiles_prepare(&tiles, job, is_sheet ? SHEET_SIDE : 0);
    if (status == VITX_OK)
        status =
            is_sheet ? draw_sheet(canvas, &tiles, job->map) : draw_single(canvas, &tiles, job->map);
    vx_tiles_dispose(&tiles);
    return status;
}
