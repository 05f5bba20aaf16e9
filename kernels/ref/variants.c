/* kernels/ref/variants.c: variants of a picture (kernels/variants.h). */
#include "kernels/ref/ref.h"

#include "kernels/random.h"

/* Whether there is a sample behind this one. */
static int has_next(const vx_places *axis, int first)
{
    return first + 1 < axis->samples;
}

static float between(float a, float b, float part)
{
    return a + part * (b - a);
}

/* The mask of variant v at a pixel. */
static float mask_at(const vx_masks *m, int v, int y, int x)
{
    const int down = y + (m->shifts ? m->shifts[2 * v] : 0);
    const int across = x + (m->shifts ? m->shifts[2 * v + 1] : 0);
    const int row = (int)m->down.first[down], column = (int)m->across.first[across];
    const float part_y = m->down.part[down], part_x = m->across.part[across];
    const int64_t under = has_next(&m->down, row) * m->of_row;
    const int64_t beside = has_next(&m->across, column) * m->of_column;
    const float *s = m->samples + v * m->of_variant + row * m->of_row + column * m->of_column;
    const float value = m->columns_first
                            ? between(between(s[0], s[beside], part_x),
                                      between(s[under], s[under + beside], part_x), part_y)
                            : between(between(s[0], s[under], part_y),
                                      between(s[beside], s[under + beside], part_y), part_x);
    return m->range ? (value - m->range[2 * v]) * m->range[2 * v + 1] : value;
}

/* Pixel p of the plane at (y,x), in all channels of variant v. */
static void blend_pixel(const vx_blend *a, int v, int y, int x)
{
    const int64_t plane = (int64_t)a->height * a->width, p = (int64_t)y * a->width + x;
    const float w = a->by == VX_BLEND_VALUES  ? a->values[v]
                    : a->by == VX_BLEND_MASKS ? mask_at(&a->masks, v, y, x)
                                              : a->order[p] <= (float)(a->first + v);
    for (int64_t c = 0; c < a->channels; c++) {
        const int64_t at = c * plane + p;
        float *out = a->y + v * a->channels * plane + at;
        if (a->by == VX_BLEND_ORDER)
            *out = w > 0 ? a->to[at] : a->from ? a->from[at] : 0;
        else
            *out = a->from ? between(a->from[at], a->to[at], w) : w * a->to[at];
    }
}

void vx_blend_ref(vx_device *dev, const vx_blend *a)
{
    (void)dev;
    for (int v = 0; v < a->n; v++)
        for (int y = 0; y < a->height; y++)
            for (int x = 0; x < a->width; x++)
                blend_pixel(a, v, y, x);
}

void vx_add_noise_ref(vx_device *dev, const vx_add_noise *a)
{
    (void)dev;
    for (int v = 0; v < a->n; v++) {
        const uint64_t stream = vx_splitmix(a->seed, a->first + (uint64_t)v);
        float *y = a->y + v * a->count;
        for (int64_t i = 0; i < a->count; i++) {
            const uint64_t bits = vx_splitmix(stream, (uint64_t)i);
            if (a->kind == VX_NOISE_NORMAL)
                y[i] = a->x[i] + (float)a->scale * (float)vx_normal_of(bits);
            else
                y[i] = (float)(a->x[i] + a->scale * (2 * vx_uniform_of(bits) - 1));
        }
    }
}

void vx_mask_range_ref(vx_device *dev, const vx_mask_range *a)
{
    vx_masks masks = a->masks;
    (void)dev;
    masks.range = NULL;
    for (int v = 0; v < a->n; v++) {
        float least = INFINITY, largest = -INFINITY;
        for (int y = 0; y < a->height; y++)
            for (int x = 0; x < a->width; x++) {
                const float value = mask_at(&masks, v, y, x);
                least = value < least ? value : least;
                largest = value > largest ? value : largest;
            }
        a->range[2 * v] = least;
        a->range[2 * v + 1] = 1 / (largest - least + 1e-8f);
    }
}

void vx_add_masks_ref(vx_device *dev, const vx_add_masks *a)
{
    (void)dev;
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width; x++) {
            double sum = a->sum[(int64_t)y * a->width + x];
            for (int v = 0; v < a->n; v++)
                sum += a->weights[v] * mask_at(&a->masks, v, y, x);
            a->sum[(int64_t)y * a->width + x] = sum;
        }
}
