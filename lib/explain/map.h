/* explain/map.h: the inside of a map. */
#ifndef VX_EXPLAIN_MAP_H
#define VX_EXPLAIN_MAP_H

#include <vitx/explain.h>

#include "explain/answer.h"
#include "image/image.h"

/* What a method leaves for telling whether its map is rounding, until it is finished. */
typedef struct vx_traces {
    bool given;  /* the values are the caller's: never nothing */
    bool varied; /* variants were run: least and most of their scores */
    double least, most;
    bool of_score; /* the values are parts of the score, in its unit */
    bool flat;     /* the gradient of the score by the outputs is rounding: vx_target_is_flat */
} vx_traces;

/* How the channels of a map become red, green and blue. */
typedef struct vx_tint {
    bool drawn; /* false: they are no colours */
    bool fixed; /* low becomes 0, high 255; else the plane's own least and largest */
    float low[3], high[3];
} vx_tint;

/* Beside a size of 1, a change of this one is rounding. */
#define VX_ROUNDING 1e-6

struct vitx_map {
    vitx_hooks hooks;
    vitx_map_info
        info; /* struct_size set; method is static, model and settings are the map's own */
    vx_placement placement; /* of the picture that was explained */
    const float *vector;    /* what a score of one is made with, until the map is finished */
    int vector_count;
    double vector_length; /* what a cosine with it counts */
    vx_traces traces;
    bool on_pixels; /* made on the input's pixels, not on the grid, and so noisy */
    vx_tint tint;
    vx_answer *answer; /* held; NULL: none was asked for */
    float *values; /* C order, info.shape; height and width are the last two axes, or lie before the
                      channels */
    size_t count;
};

/* A map of info's shape with zeroed values; info's model and settings are copied. */
int vx_map_create(vitx_map **out, const vitx_map_info *info, const vx_placement *placement,
                  const vitx_hooks *hooks);
/* vitx_map_info.seen */
void vx_placement_seen(double seen[4], const vx_placement *placement);
/* Sets info.min and info.max from the values, and info.nothing from them and from traces. */
void vx_map_finish(vitx_map *map);
/* For methods that run variants: one of them had that score. */
void vx_map_saw(vitx_map *map, double score);

/* The axes before height and width. */
static inline int vx_map_leading(const vitx_map_info *info)
{
    return info->rank - 2 - (info->channels > 0);
}
/* The deviation, in pixels of the input, of the Gaussian that suits a picture of the map: half a
 * patch for signed maps on pixels, whose neighbour values cancel, else 0. */
float vx_map_smooth(const vitx_map *map);
/* Whether it is drawn by vx_map_colours. */
static inline bool vx_map_is_tinted(const vitx_map_info *info)
{
    return info->channels > 0 || info->mask > 0;
}
/* One plane [h,w] of a map, or [h,w,channels], and how many there are (product of the leading
 * axes). */
int vx_map_planes(const vitx_map *map);
const float *vx_map_plane(const vitx_map *map, int plane, int *height, int *width);
/* The plane of a map with channels or of a mask as colours, [h,w,3]: red, green and blue are the
 * first three channels. If there are fewer, the last one stands for those that are missing. */
void vx_map_colours(uint8_t *rgb, const vitx_map *map, int plane);

/* Between which two of `count` samples a place lies, and how far from the first: place u of
 * 0..size, the samples' centres at (i + 0.5) size / count, clamped to the outer ones. Bilinear
 * resizing everywhere in vitx is this, along rows and along columns. */
typedef struct vx_between {
    int first, second;
    float part; /* 0: at the first, 1: at the second */
} vx_between;
vx_between vx_find_between(double u, int size, int count);

/* A plane [.., width] at a row and a column; `step` floats lie from one value to the next. */
float vx_plane_at(const float *plane, int width, int step, vx_between row, vx_between column);
/* A plane in the picture's coordinates: dst [picture_height, picture_width], or with the map's
 * channels behind; 0 where not seen. */
void vx_plane_to_picture(float *dst, const vitx_map *map, int plane);

#endif
