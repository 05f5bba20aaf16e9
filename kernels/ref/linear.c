/* kernels/ref/linear.c: y = residual + gamma * act(x W^T + bias), and the same over the patches of
 * pictures. */
#include <stdbool.h>

#include "kernels/ref/ref.h"

double vx_ref_dot(const float *a, const float *b, int n)
{
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += (double)a[i] * b[i];
        s1 += (double)a[i + 1] * b[i + 1];
        s2 += (double)a[i + 2] * b[i + 2];
        s3 += (double)a[i + 3] * b[i + 3];
    }
    for (; i < n; i++)
        s0 += (double)a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

void vx_linear_ref(vx_device *dev, const vx_linear *given)
{
    const vx_linear floats = vx_linear_floats(given), *a = &floats;
    const vx_weight *w = a->w;
    const bool gated = a->act == VX_ACT_SWIGLU;
    if (a->norm.weight) {
        const vx_linear normed = vx_linear_normed(a);
        const vx_layernorm norm = vx_layernorm_before(a);
        vx_layernorm_ref(dev, &norm);
        vx_linear_ref(dev, &normed);
        return;
    }
    for (int i = 0; i < a->m; i++)
        for (int j = 0; j < w->n; j++) {
            const float *x = a->x + (size_t)i * (size_t)a->ldx;
            const float *row = (const float *)w->data + (size_t)j * (size_t)w->k;
            double v = vx_ref_dot(x, row, w->k) + (w->bias ? w->bias[j] : 0);
            if (a->pre)
                a->pre[(size_t)i * (size_t)a->ldp + (size_t)j] = (float)v;
            if (!a->y || gated)
                continue;
            v = vx_ref_act(a->act, v) * (a->gamma ? a->gamma[j] : 1);
            v += a->residual ? a->residual[(size_t)i * (size_t)a->ldr + (size_t)j] : 0;
            a->y[(size_t)i * (size_t)a->ldy + (size_t)j] = (float)v;
        }
    if (gated && a->y)
        vx_swiglu_ref(
            dev,
            &(vx_swiglu){
                .y = a->y, .ldy = a->ldy, .x = a->pre, .ldx = a->ldp, .m = a->m, .n = w->n / 2});
}

/* sum over n of gamma[n] dy[n] w[n,k], for the columns k of one chunk. */
static void times_matrix(double *sum, const vx_linear_bwd *a, const float *dy, int start, int count)
{
    const float *matrix = a->w->data;
    for (int j = 0; j < a->w->n; j++) {
        const double d = a->gamma ? (double)a->gamma[j] * dy[j] : dy[j];
        const float *w = matrix + (size_t)j * (size_t)a->w->k + start;
        for (int c = 0; c < count; c++)
            sum[c] += d * w[c];
    }
}

void vx_linear_bwd_ref(vx_device *dev, const vx_linear_bwd *given)
{
    const vx_linear_bwd floats = vx_linear_bwd_floats(given), *a = &floats;
    const bool gated = a->act == VX_ACT_SWIGLU;
    for (int i = 0; i < a->m; i++)
        for (int start = 0; start < a->w->k; start += VX_REF_CHUNK) {
            const int left = a->w->k - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
            const size_t row = vx_forward_row(i, a->tokens, a->targets);
            double sum[VX_REF_CHUNK] = {0};
            times_matrix(sum, a, a->dy + (size_t)i * (size_t)a->lddy, start, n);
            for (int c = 0; c < n; c++) {
                if (a->act != VX_ACT_NONE && !gated)
                    sum[c] *= vx_ref_act_slope(a->act,
                                               a->pre[row * (size_t)a->ldp + (size_t)(start + c)]);
                a->dx[(size_t)i * (size_t)a->lddx + (size_t)(start + c)] = (float)sum[c];
            }
        }
    if (gated)
        vx_swiglu_bwd_ref(dev, &(vx_swiglu_bwd){.dx = a->dx,
                                                .lddx = a->lddx,
                                                .dy = a->dx,
                                                .lddy = a->lddx,
                                                .x = a->pre,
                                                .ldx = a->ldp,
                                                .m = a->m,
                                                .n = a->w->k,
                                                .tokens = a->tokens,
                                                .targets = a->targets});
}

/* w[k] . one patch, whose first pixel of channel 0 is at `pixels`. */
static double patch_dot(const vx_patch_embed *a, const float *pixels, const float *w)
{
    const size_t plane = (size_t)a->height * (size_t)a->width;
    double sum = 0;
    for (int c = 0; c < a->channels; c++)
        for (int y = 0; y < a->patch_height; y++, w += a->patch_width)
            sum += vx_ref_dot(pixels + (size_t)c * plane + (size_t)y * (size_t)a->width, w,
                              a->patch_width);
    return sum;
}

static void embed_patch(float *y, const float *pixels, const float *pos, const vx_patch_embed *a)
{
    const float *matrix = a->w->data;
    for (int j = 0; j < a->w->n; j++) {
        double v = patch_dot(a, pixels, matrix + (size_t)j * (size_t)a->w->k);
        v += a->w->bias ? a->w->bias[j] : 0;
        v += pos ? pos[j] : 0;
        y[j] = (float)v;
    }
}

void vx_patch_embed_ref(vx_device *dev, const vx_patch_embed *a)
{
    (void)dev;
    const int gh = a->height / a->patch_height, gw = a->width / a->patch_width;
    const size_t d = (size_t)a->w->n;
    const size_t picture = (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    float *y = a->y;
    for (int b = 0; b < a->batch; b++) {
        for (size_t i = 0; i < (size_t)a->prefix_count * d; i++)
            *y++ = a->prefix[i];
        for (int p = 0; p < gh * gw; p++, y += d) {
            const size_t row = (size_t)(p / gw) * (size_t)a->patch_height;
            const size_t column = (size_t)(p % gw) * (size_t)a->patch_width;
            const float *pixels = a->image + (size_t)b * picture + row * (size_t)a->width + column;
            embed_patch(y, pixels, a->pos ? a->pos + (size_t)p * d : NULL, a);
        }
    }
}

/* d pixel [channel,y,x] of one patch: sum over j of dy[j] w[j,pixel]. */
static double pixel_gradient(const vx_patch_embed_bwd *a, const float *dy, int pixel)
{
    const float *w = (const float *)a->w->data + pixel;
    double sum = 0;
    for (int j = 0; j < a->w->n; j++, w += a->w->k)
        sum += (double)dy[j] * *w;
    return sum;
}

void vx_patch_embed_bwd_ref(vx_device *dev, const vx_patch_embed_bwd *a)
{
    (void)dev;
    const int gh = a->height / a->patch_height, gw = a->width / a->patch_width;
    float *out = a->dimage;
    for (int g = 0; g < a->batch; g++) {
        const float *tokens =
            a->dy + ((size_t)g * (size_t)(a->prefix_count + gh * gw) + (size_t)a->prefix_count) *
                        (size_t)a->w->n;
        for (int c = 0; c < a->channels; c++)
            for (int y = 0; y < a->height; y++)
                for (int x = 0; x < a->width; x++) {
                    const int row = y / a->patch_height, column = x / a->patch_width;
                    const int pixel = (c * a->patch_height + y % a->patch_height) * a->patch_width +
                                      x % a->patch_width;
                    const bool seen = row < gh && column < gw;
                    const float *dy = tokens + (size_t)(row * gw + column) * (size_t)a->w->n;
                    *out++ = seen ? (float)pixel_gradient(a, dy, pixel) : 0.0f;
                }
    }
}
