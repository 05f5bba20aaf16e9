/* image/resize.h: a part of a resized picture, for the callers inside lib/image. */
#ifndef VX_IMAGE_RESIZE_H
#define VX_IMAGE_RESIZE_H

#include "image/image.h"

/* The pixels left..left+width-1, top..top+height-1 of src resized to dst_w x dst_h: the same bits
 * as resizing all of it and cropping, for less work. */
typedef struct vx_resize_part {
    uint8_t *dst; /* [height, dst_stride] */
    size_t dst_stride;
    int left, top, width, height;
    int dst_w, dst_h;
    const uint8_t *src; /* [src_h, src_w, channels] */
    int src_w, src_h;
    int channels; /* 1 to 4 */
    vitx_filter filter;
} vx_resize_part;

int vx_resize_part_u8(const vx_resize_part *part, const vitx_hooks *hooks);

/* The same in floats, width first, with nothing rounded on the way, as PyTorch's antialiased
 * interpolation has it: dst [height, dst_stride], part->dst is not read. Not for VITX_NEAREST. The
 * sizes are those of a part that vx_resize_part_u8 accepts. */
int vx_resize_part_f32(float *dst, const vx_resize_part *part, const vitx_hooks *hooks);

/* The part of the input that the picture covers, which begins *place samples behind the input's
 * first; the rest is padding. dst is not set. */
vx_resize_part vx_placement_part(size_t *place, const vitx_image *image,
                                 const vx_placement *placement);

/* Which pass comes first decides how the result is rounded. */
bool vx_resize_goes_down_first(const vx_resize_part *part);

/* Whether the recipe resizes so. */
bool vx_recipe_unrounded(const vitx_recipe *recipe, const vx_placement *placement);
/* Whether its scale stands for a division by 255. */
bool vx_recipe_divides(const vitx_recipe *recipe);

#endif
