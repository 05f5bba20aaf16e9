/* report/maps.c: maps of a picture. */
#include <math.h>

#include "base/range.h"
#include "report/report.h"

/* A half keeps 11 bits of what is this large; of smaller ones so few that f32 is taken. */
#define HALF_LEAST 0x1p-13f
#define HALF_MOST 65504.0f

void vx_report_maps_free(vx_report_map *maps, const vitx_hooks *hooks)
{
    for (vx_report_map *m = maps, *next; m; m = next) {
        next = m->next;
        vx_packed_dispose(&m->block, hooks);
        vx_release(hooks, m->settings);
        vx_release(hooks, m->label);
        vx_release(hooks, m->text);
        vx_release(hooks, m->versus);
        vx_release(hooks, m);
    }
}

static int pack_values(vx_report_map *m, const float *values, const vitx_hooks *hooks)
{
    const size_t count = (size_t)m->height * (size_t)m->width;
    uint8_t *raw;
    float largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    const bool half = m->on_input && largest >= HALF_LEAST && largest <= HALF_MOST;
    m->code = half ? "f16" : "f32";
    VX_TRY(vx_new(&raw, hooks, count, half ? 2 : 4, "a map"));
    if (half)
        vx_put_halves(raw, values, count);
    else
        vx_put_floats(raw, values, count);
    const int status = vx_pack(&m->block, raw, count * (half ? 2 : 4), NULL, hooks);
    vx_release(hooks, raw);
    return status;
}

/* A map with channels as its colours. */
static int pack_colours(vx_report_map *m, const vitx_map *map, int plane, const vitx_hooks *hooks)
{
    const size_t bytes = 3 * (size_t)m->height * (size_t)m->width;
    uint8_t *rgb;
    m->code = "u8rgb";
    VX_TRY(vx_new(&rgb, hooks, bytes, 1, "a map's colours"));
    vx_map_colours(rgb, map, plane);
    const int status = vx_pack(&m->block, rgb, bytes, NULL, hooks);
    vx_release(hooks, rgb);
    return status;
}

/* Which layer and head a plane is of: axes of all layers and of all heads come first. */
static void name_plane(vitx_map_info *info, int plane)
{
    int heads = 1;
    if (info->head == VITX_ALL) {
        heads = (int)info->shape[vx_map_leading(info) - 1];
        info->head = plane % heads;
    }
    if (info->layer == VITX_ALL && vx_map_leading(info) > 0)
        info->layer = plane / heads;
}

static int make_map(vx_report_map **out, const vitx_report *r, const vitx_map *map, int plane,
                    const char *label)
{
    vx_report_map *m;
    VX_TRY(vx_new(&m, &r->hooks, 1, sizeof *m, "a map"));
    m->info = map->info;
    m->info.model = NULL;
    m->on_input = map->on_pixels;
    m->colours = map->info.channels > 0;
    m->smooth = vx_map_smooth(map);
    if (vx_map_leading(&map->info) > 0)
        name_plane(&m->info, plane);
    const float *values = vx_map_plane(map, plane, &m->height, &m->width);
    if (vx_map_leading(&map->info) > 0 && !m->colours)
        vx_range(&m->info.min, &m->info.max, values, (size_t)m->height * (size_t)m->width);
    int status = vx_report_copy(&m->settings, r, map->info.settings);
    if (status == VITX_OK)
        status = vx_report_copy(&m->label, r, label);
    if (status == VITX_OK)
        status = vx_report_copy(&m->text, r, map->info.text);
    if (status == VITX_OK)
        status = vx_report_copy(&m->versus, r, map->info.versus_text);
    if (status == VITX_OK)
        status =
            m->colours ? pack_colours(m, map, plane, &r->hooks) : pack_values(m, values, &r->hooks);
    m->info.settings = m->settings;
    m->info.text = m->text;
    m->info.versus_text = m->versus;
    if (status != VITX_OK) {
        vx_report_maps_free(m, &r->hooks);
        return status;
    }
    *out = m;
    return VITX_OK;
}

static int check_map(const vx_report_picture *p, const vitx_map *map)
{
    const vitx_map_info *info = &map->info;
    double seen[4];
    vx_placement_seen(seen, &map->placement);
    if (info->picture_width != p->width || info->picture_height != p->height)
        return vx_fail(VITX_INVALID, "the map is of a picture of %d x %d, this one is %d x %d",
                       info->picture_width, info->picture_height, p->width, p->height);
    if (info->channels > 0 && !map->tint.drawn)
        return vx_fail(VITX_UNSUPPORTED,
                       "%s: %d numbers per patch as they are: a report shows components",
                       info->method, info->channels);
    for (int i = 0; i < 4; i++)
        if (seen[i] != info->seen[i])
            return vx_fail(VITX_INVALID, "a map of vitx_map_to_picture(): the report takes the "
                                         "one that this was made of");
    return VITX_OK;
}

/* What a class is called, if the map is about one. */
static const char *label_of(const vitx_report *r, const vitx_map *map, const char *label)
{
    if (!label && map->info.explains == VITX_EXPLAINED_TEXT)
        return map->info.text;
    return label || map->info.explains != VITX_EXPLAINED_CLASS
               ? label
               : vitx_model_label(r->model, map->info.target);
}

/* All planes of a map, or nothing. */
static int make_maps(vx_report_map **list, vx_report_map **last, const vitx_report *r,
                     const vitx_map *map, const char *label)
{
    int status = VITX_OK;
    *list = *last = NULL;
    for (int i = 0; i < vx_map_planes(map) && status == VITX_OK; i++) {
        vx_report_map *m = NULL;
        status = make_map(&m, r, map, i, label);
        if (status == VITX_OK) {
            *(*last ? &(*last)->next : list) = m;
            *last = m;
        }
    }
    if (status != VITX_OK)
        vx_report_maps_free(*list, &r->hooks);
    return status;
}

int vitx_report_add_map(vitx_report *report, const vitx_map *map, const char *label)
{
    vx_report_picture *p;
    vx_report_map *list, *last;
    int height, width;
    VX_TRY(vx_report_last(&p, report, "vitx_report_add_map"));
    if (!map)
        return vx_fail(VITX_INVALID, "vitx_report_add_map: map is NULL");
    VX_TRY(check_map(p, map));
    const vx_arch arch = {.grid_height = map->info.grid_height, .grid_width = map->info.grid_width};
    const vx_report_place place = vx_report_place_of(&map->placement, &arch);
    VX_TRY(vx_report_fit(p, &place));
    const float *values = vx_map_plane(map, 0, &height, &width);
    VX_TRY(make_maps(&list, &last, report, map, label_of(report, map, label)));
    /* Last: if something fails, the picture has neither the map nor its small image. */
    const int status = p->first.data ? VITX_OK
                                     : vx_report_first(&p->first, map, values, height, width,
                                                       p->place.grid_height, p->place.grid_width,
                                                       &report->hooks);
    if (status != VITX_OK) {
        vx_report_maps_free(list, &report->hooks);
        return status;
    }
    *(p->last_map ? &p->last_map->next : &p->maps) = list;
    p->last_map = last;
    return VITX_OK;
}
