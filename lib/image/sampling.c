/* image/sampling.c: see sampling.h. */
#include "image/sampling.h"

#include <string.h>

void vx_sampling_plan(vx_sampling *out, const vitx_image *image, const vitx_recipe *recipe,
                      const vx_placement *p)
{
    size_t place;
    const vx_resize_part part = vx_placement_part(&place, image, p);
    const bool unrounded = vx_recipe_unrounded(recipe, p);
    *out = (vx_sampling){
        .image = image,
        .x = {part.src_w, part.dst_w, part.left, part.width, p->filter, unrounded, 0, 0, 0},
        .y = {part.src_h, part.dst_h, part.top, part.height, p->filter, unrounded, 0, 0, 0},
        .left = p->left < 0 ? -p->left : 0,
        .top = p->top < 0 ? -p->top : 0,
        .down_first = !unrounded && vx_resize_goes_down_first(&part),
    };
    vx_sampled_axis_measure(&out->x);
    vx_sampled_axis_measure(&out->y);
    const size_t pixels = (size_t)out->x.count * (size_t)out->y.count;
    out->bytes =
        (vx_sampled_axis_bytes(&out->x) + vx_sampled_axis_bytes(&out->y) + 3 * pixels + 15) / 16 *
        16;
    const vx_resampled sizes = {.rows = out->y.count,
                                .columns = out->x.count,
                                .x = {.n = part.width},
                                .y = {.n = part.height},
                                .down_first = out->down_first};
    out->room = (vx_resampled_room(&sizes, unrounded) + 15) / 16 * 16;
}

void vx_sampling_fill(vx_resampled *out, const vx_sampling *s, void *memory, const void *far,
                      void *room)
{
    const size_t x_bytes = vx_sampled_axis_bytes(&s->x),
                 before = x_bytes + vx_sampled_axis_bytes(&s->y);
    const size_t row = 3 * (size_t)s->x.count, src_row = 3 * (size_t)s->image->width;
    const uint8_t *src = s->image->pixels + (size_t)s->y.first * src_row + 3 * (size_t)s->x.first;
    uint8_t *pixels = (uint8_t *)memory + before;
    *out = (vx_resampled){
        .pixels = (const uint8_t *)far + before,
        .middle = room,
        .x = vx_sampled_axis_fill(&s->x, memory, far),
        .y = vx_sampled_axis_fill(&s->y, (char *)memory + x_bytes, (const char *)far + x_bytes),
        .rows = s->y.count,
        .columns = s->x.count,
        .left = s->left,
        .top = s->top,
        .down_first = s->down_first};
    for (int y = 0; y < s->y.count; y++, pixels += row, src += src_row)
        memcpy(pixels, src, row);
}

void vx_sampling_normalise(vx_resample *out, const vitx_recipe *recipe,
                           const vx_placement *placement)
{
    out->height = placement->input_h;
    out->width = placement->input_w;
    out->unrounded = vx_recipe_unrounded(recipe, placement);
    out->by_255 = !out->unrounded && vx_recipe_divides(recipe);
    out->scale = recipe->scale;
    for (int c = 0; c < 3; c++) {
        out->mean[c] = recipe->mean[c];
        out->std[c] = recipe->std[c];
        out->pad[c] = placement->pad[c];
    }
}
