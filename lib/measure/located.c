/* measure/located.c: see located.h. */
#include "measure/located.h"

#include "measure/rank.h"

/* first..last: which of `count` pixels of the picture the model saw, as vx_plane_to_picture
 * decides. */
static void seen_range(int *first, int *last, double scale, int start, int size, int count)
{
    *first = count;
    *last = -1;
    for (int i = 0; i < count; i++) {
        const double at = (i + 0.5) / scale - start;
        if (at < 0 || at > size)
            continue;
        *first = i < *first ? i : *first;
        *last = i;
    }
}

int vx_located_create(vx_located *out, const vx_trial *trial)
{
    const vx_subject *s = trial->subject;
    const vitx_hooks *scratch = &s->scratch;
    const vx_placement *p = &s->map->placement;
    const size_t width = (size_t)s->image->width, all = width * (size_t)s->image->height;
    int x0, y0, x1, y1;
    *out = (vx_located){0};
    VX_TRY(vx_new(&out->values, scratch, all, sizeof *out->values, "the map on the picture"));
    VX_TRY(vx_new(&out->inside, scratch, all, 1, "the mask"));
    if (trial->metric->needs_other)
        VX_TRY(vx_new(&out->beside, scratch, all, 1, "the other mask"));
    vx_plane_to_picture(out->values, s->map, 0);
    seen_range(&x0, &x1, p->scale_x, p->left, p->input_w, s->image->width);
    seen_range(&y0, &y1, p->scale_y, p->top, p->input_h, s->image->height);
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            const size_t from = (size_t)y * width + (size_t)x;
            out->values[out->count] = out->values[from]; /* never behind where it comes from */
            out->inside[out->count] = trial->opts.mask[from] != 0;
            out->inside_count += out->inside[out->count];
            if (out->beside) {
                out->beside[out->count] = trial->opts.other[from] != 0;
                out->beside_count += out->beside[out->count];
            }
            out->count++;
        }
    if (out->inside_count == 0 || (out->beside && out->beside_count == 0))
        return vx_fail(VITX_INVALID,
                       "the %s is empty where the model looks: columns %d to %d, rows "
                       "%d to %d of the picture",
                       out->inside_count ? "other mask" : "mask", x0, x1, y0, y1);
    return VITX_OK;
}

int vx_located_order(vx_located *l, const vx_trial *trial)
{
    VX_TRY(vx_new(&l->order, &trial->subject->scratch, 2 * l->count, sizeof *l->order, "an order"));
    vx_order(l->order, l->values, l->count, l->order + l->count);
    return VITX_OK;
}

void vx_located_dispose(vx_located *located, const vx_trial *trial)
{
    const vitx_hooks *scratch = &trial->subject->scratch;
    vx_release(scratch, located->values);
    vx_release(scratch, located->inside);
    vx_release(scratch, located->beside);
    vx_release(scratch, located->order);
}
