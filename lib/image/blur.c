/* image/blur.c: see blur.h. Two passes: along rows through a padded copy, then sums of whole
 * rows. */
#include "image/blur.h"

#include <math.h>
#include <string.h>

/* Where sample i of 0..count-1 is taken from when it lies beyond. */
static int edge(int i, int count, bool reflect)
{
    if (reflect && i < 0)
        i = -i;
    if (reflect && i >= count)
        i = 2 * count - 2 - i;
    return i < 0 ? 0 : i >= count ? count - 1 : i;
}

static void gaussian(double *weights, int radius, double sigma)
{
    double sum = 0;
    for (int k = -radius; k <= radius; k++) {
        const double z = sigma > 0 ? k / sigma : 0; /* the square of a tiny sigma would be 0 */
        sum += weights[k + radius] = exp(-0.5 * z * z);
    }
    for (int k = 0; k <= 2 * radius; k++)
        weights[k] /= sum;
}

typedef struct room {
    double *weights, *padded, *sum; /* [2r+1], [width + 2r], [width] */
    float *half;                    /* [height,width] */
} room;

static void blur_rows(const room *s, const float *src, int height, int width, int radius,
                      bool reflect)
{
    for (int y = 0; y < height; y++, src += width) {
        for (int x = 0; x < width + 2 * radius; x++)
            s->padded[x] = src[edge(x - radius, width, reflect)];
        memset(s->sum, 0, (size_t)width * sizeof *s->sum);
        for (int k = 0; k <= 2 * radius; k++)
            for (int x = 0; x < width; x++)
                s->sum[x] += s->weights[k] * s->padded[x + k];
        for (int x = 0; x < width; x++)
            s->half[(size_t)y * (size_t)width + (size_t)x] = (float)s->sum[x];
    }
}

static void blur_columns(float *out, const room *s, int height, int width, int radius, bool reflect)
{
    for (int y = 0; y < height; y++, out += width) {
        memset(s->sum, 0, (size_t)width * sizeof *s->sum);
        for (int k = -radius; k <= radius; k++) {
            const float *row = s->half + (size_t)edge(y + k, height, reflect) * (size_t)width;
            for (int x = 0; x < width; x++)
                s->sum[x] += s->weights[k + radius] * row[x];
        }
        for (int x = 0; x < width; x++)
            out[x] = (float)s->sum[x];
    }
}

int vx_blur(float *out, const float *src, int planes, int height, int width, double sigma,
            int radius, bool reflect, const vitx_hooks *hooks)
{
    const size_t w = (size_t)width, plane = (size_t)height * w, r = (size_t)radius;
    room s;
    VX_TRY(vx_new(&s.weights, hooks, 4 * r + 1 + 2 * w, sizeof *s.weights, "a blur's sums"));
    s.padded = s.weights + 2 * r + 1;
    s.sum = s.padded + w + 2 * r;
    const int status = vx_new(&s.half, hooks, plane, sizeof *s.half, "a blurred plane");
    if (status == VITX_OK) {
        gaussian(s.weights, radius, sigma);
        for (int p = 0; p < planes; p++) {
            blur_rows(&s, src + (size_t)p * plane, height, width, radius, reflect);
            blur_columns(out + (size_t)p * plane, &s, height, width, radius, reflect);
        }
        vx_release(hooks, s.half);
    }
    vx_release(hooks, s.weights);
    return status;
}
