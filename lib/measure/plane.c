/* measure/plane.c: see plane.h. */
#include "measure/plane.h"

/* The map at a pixel of the input. */
static float at_pixel(const vx_subject *s, int y, int x)
{
    const vx_placement *p = &s->map->placement;
    return vx_plane_at(s->plane, s->width, 1, vx_find_between(y + 0.5, p->input_h, s->height),
                       vx_find_between(x + 0.5, p->input_w, s->width));
}

void vx_plane_on_pixels(float *out, const vx_subject *s)
{
    for (int y = 0; y < s->seen_height; y++)
        for (int x = 0; x < s->seen_width; x++)
            *out++ = at_pixel(s, y, x);
}

void vx_plane_on_patches(float *out, const vx_subject *s)
{
    const vx_arch *a = s->arch;
    const bool grid = s->height == a->grid_height && s->width == a->grid_width;
    for (int gy = 0; gy < a->grid_height; gy++)
        for (int gx = 0; gx < a->grid_width; gx++) {
            double sum = 0;
            for (int y = gy * a->patch_height; !grid && y < (gy + 1) * a->patch_height; y++)
                for (int x = gx * a->patch_width; x < (gx + 1) * a->patch_width; x++)
                    sum += at_pixel(s, y, x);
            *out++ = grid ? s->plane[gy * a->grid_width + gx]
                          : (float)(sum / (a->patch_height * a->patch_width));
        }
}
