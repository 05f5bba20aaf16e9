/* cli/batch/thumbnail.h: pictures and maps made so small that a page can hold thousands. */
#ifndef CLI_BATCH_THUMBNAIL_H
#define CLI_BATCH_THUMBNAIL_H

#include "tools/cli/text.h"

#include <vitx/render.h>

enum {
    THUMBNAIL_SIDE = 192, /* pixels of the longer side, at most */
    THUMBNAIL_GRID = 48   /* values of a map's longer side, at most */
};

/* The size at which a picture of width x height is shown: never larger than it is. */
void thumbnail_size(int *out_width, int *out_height, int width, int height, int most);

/* Appends the picture as a JPEG, in base64: the mean of the pixels that a small one covers. */
bool thumbnail_picture(struct text *out, const vitx_image *image);

/* A map as so many values from 0 to 255, for the colours from the first to the last. */
struct thumbnail_map {
    int width, height;
    float low, high; /* what 0 and 255 stand for */
    bool is_signed;
    double box[4];      /* x0, y0, x1, y1 of what the map lies over, as parts of the picture */
    struct text values; /* [height,width], in base64 */
};

/* false: a map that is no field of single numbers (colours, a mask, a map for each head), or there
 * is no memory. opts: the scale that a png would have. Free out->values whatever comes of it. */
bool thumbnail_map(struct thumbnail_map *out, const vitx_map *map, const vitx_render_opts *opts);

#endif
