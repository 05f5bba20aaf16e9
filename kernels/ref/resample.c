/* kernels/ref/resample.c: pictures resized and normalised. */
#include "kernels/ops.h"

/* Bytes, or floats between the passes of what is not rounded. */
typedef struct samples {
    const void *data;
    int are_floats;
} samples;

static double sample(samples s, size_t at)
{
    return s.are_floats ? (double)((const float *)s.data)[at] : ((const uint8_t *)s.data)[at];
}

static float round_sum(int sum)
{
    sum >>= VX_TAP_BITS;
    return (float)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Output i of an axis; inputs lie `step` elements apart, the first of all at `at`. */
static float output(const vx_taps *t, int i, samples in, size_t at, size_t step, int unrounded)
{
    const size_t row = (size_t)i * (size_t)t->stride;
    const double *exact = (const double *)t->weight + row;
    const int *weight = (const int *)t->weight + row;
    double sum = 0;
    int whole = 1 << (VX_TAP_BITS - 1);
    at += (size_t)t->first[i] * step;
    for (int j = 0; j < t->count[i]; j++, at += step)
        if (unrounded)
            sum += exact[j] * sample(in, at);
        else
            whole += weight[j] * ((const uint8_t *)in.data)[at];
    return unrounded ? (float)sum : round_sum(whole);
}

static void first_pass(const vx_resample *a, const vx_resampled *p)
{
    const int rows = p->down_first ? p->y.n : p->rows;
    const size_t columns = (size_t)(p->down_first ? p->columns : p->x.n);
    const size_t row = 3 * (size_t)p->columns;
    const samples in = {p->pixels, 0};
    for (int y = 0; y < rows; y++)
        for (size_t i = 0; i < 3 * columns; i++) {
            const size_t to = (size_t)y * 3 * columns + i;
            const float v = p->down_first ? output(&p->y, y, in, i, row, a->unrounded)
                                          : output(&p->x, (int)(i / 3), in, (size_t)y * row + i % 3,
                                                   3, a->unrounded);
            if (a->unrounded)
                ((float *)p->middle)[to] = v;
            else
                ((uint8_t *)p->middle)[to] = (uint8_t)v;
        }
}

/* Channel c of the picture's output pixel. */
static float second_pass(const vx_resample *a, const vx_resampled *p, int x, int y, int c)
{
    const samples in = {p->middle, a->unrounded};
    const size_t columns = 3 * (size_t)p->columns, outputs = 3 * (size_t)p->x.n;
    if (p->down_first)
        return output(&p->x, x, in, (size_t)y * columns + (size_t)c, 3, a->unrounded);
    return output(&p->y, y, in, 3 * (size_t)x + (size_t)c, outputs, a->unrounded);
}

static float normalised(const vx_resample *a, float v, int c)
{
    const float scaled = a->by_255 ? v / 255.0f : v * a->scale;
    return (scaled - a->mean[c]) / a->std[c];
}

void vx_resample_ref(vx_device *dev, const vx_resample *a)
{
    const size_t plane = (size_t)a->height * (size_t)a->width;
    (void)dev;
    for (int b = 0; b < a->batch; b++) {
        const vx_resampled *p = &a->pictures[b];
        first_pass(a, p);
        for (size_t i = 0; i < 3 * plane; i++) {
            const int c = (int)(i / plane);
            const int x = (int)(i % plane % (size_t)a->width) - p->left;
            const int y = (int)(i % plane / (size_t)a->width) - p->top;
            const int inside = x >= 0 && x < p->x.n && y >= 0 && y < p->y.n;
            a->y[(size_t)b * 3 * plane + i] =
                normalised(a, inside ? second_pass(a, p, x, y, c) : a->pad[c], c);
        }
    }
}
