/*
 * explain/mask.c: the smallest set of a map's values that holds a share of their sum.
 *
 * Values from the largest on are added up until the share is reached. That is what DINO's
 * visualize_attention.py --threshold shows (Caron et al. 2021), which adds up the smallest ones and
 * leaves out those that stay within 1 - share.
 */
#include <math.h>
#include <stdlib.h>

#include "explain/map.h"

typedef struct place {
    float value;
    size_t at;
} place;

/* From the largest on; of equal values the first one first. */
static int compare(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static void mask_plane(float *out, place *room, const float *values, size_t count, double share)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        room[i] = (place){fmaxf(values[i], 0), i};
        out[i] = 0;
    }
    qsort(room, count, sizeof *room, compare);
    for (size_t i = 0; i < count; i++)
        total += (double)room[i].value;
    /* In the same order: the last sum is the total itself. */
    for (size_t i = 0; i < count && room[i].value > 0 && sum < share * total; i++) {
        sum += (double)room[i].value;
        out[room[i].at] = 1;
    }
}

static int check(vitx_map **out, const vitx_map *map, double share)
{
    if (!out || !map)
        return vx_fail(VITX_INVALID, "vitx_map_mask: an argument is NULL");
    if (!(share > 0 && share <= 1))
        return vx_fail(VITX_INVALID, "a mask of a share of %g: above 0 and at most 1 is expected",
                       share);
    if (map->info.channels > 0)
        return vx_fail(VITX_INVALID, "%s: a map of %d numbers per patch has no mask",
                       map->info.method, map->info.channels);
    if (map->info.mask > 0)
        return vx_fail(VITX_INVALID, "the map is a mask already");
    return VITX_OK;
}

int vitx_map_mask(vitx_map **out, const vitx_map *map, double share)
{
    int height, width;
    place *room;
    if (out)
        *out = NULL;
    VX_TRY(check(out, map, share));
    vx_map_plane(map, 0, &height, &width);
    const size_t count = (size_t)height * (size_t)width;
    vitx_map_info info = map->info;
    info.mask = share;
    info.is_signed = 0;
    VX_TRY(vx_map_create(out, &info, &map->placement, &map->hooks));
    const int status = vx_new(&room, &map->hooks, count, sizeof *room, "a sorted map");
    if (status != VITX_OK) {
        vitx_map_free(*out);
        *out = NULL;
        return status;
    }
    for (int i = 0; i < vx_map_planes(map); i++)
        mask_plane((*out)->values + (size_t)i * count, room, vx_map_plane(map, i, &height, &width),
                   count, share);
    vx_release(&map->hooks, room);
    (*out)->answer = vx_answer_hold(map->answer);
    (*out)->on_pixels = map->on_pixels;
    (*out)->traces = map->traces;
    /* What was nothing stays it; what holds no value above 0 becomes it. */
    (*out)->traces.given = (*out)->traces.of_score = false;
    (*out)->tint = (vx_tint){.drawn = true, .fixed = true, .high = {1, 1, 1}};
    vx_map_finish(*out);
    return VITX_OK;
}
