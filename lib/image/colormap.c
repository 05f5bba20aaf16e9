/*
 * image/colormap.c: the table of colour maps.
 *
 * A map is a few equally spaced sRGB points p_0..p_{n-1}; the colour of v lies on the straight
 * line between p_i and p_{i+1}, i = floor(v (n-1)). The points come from matplotlib's tables
 * (colormap_data.h) and keep within 1/255 of them.
 */
#include "image/colormap.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "image/colormap_data.h"

#define POINTS(p) p, (int)(sizeof(p) / sizeof(p)[0])

static const vx_colormap colormaps[] = {
    {"turbo", POINTS(turbo_points), false},     {"viridis", POINTS(viridis_points), false},
    {"inferno", POINTS(inferno_points), false}, {"jet", POINTS(jet_points), false},
    {"grey", POINTS(grey_points), false},       {"coolwarm", POINTS(coolwarm_points), true},
    {"rdbu", POINTS(rdbu_points), true},        {"cividis", POINTS(cividis_points), false},
};

const vx_colormap *vx_colormap_at(int index)
{
    const int count = (int)(sizeof colormaps / sizeof colormaps[0]);
    return index >= 0 && index < count ? &colormaps[index] : NULL;
}

const vx_colormap *vx_colormap_find(const char *name)
{
    for (int i = 0; vx_colormap_at(i); i++)
        if (strcmp(vx_colormap_at(i)->name, name) == 0)
            return vx_colormap_at(i);
    return NULL;
}

void vx_colormap_rgb(uint8_t rgb[3], const vx_colormap *map, float v)
{
    if (isnan(v)) {
        memset(rgb, 128, 3);
        return;
    }
    const float last = (float)(map->count - 1);
    const float x = v <= 0 ? 0 : v >= 1 ? last : v * last;
    const int i = x < last ? (int)x : map->count - 2;
    const float t = x - (float)i;
    for (int c = 0; c < 3; c++) {
        const float a = map->points[i][c], b = map->points[i + 1][c];
        rgb[c] = (uint8_t)(a + t * (b - a) + 0.5f);
    }
}
