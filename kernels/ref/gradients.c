/*
 * kernels/ref/gradients.c: what methods make of gradients: products with recorded attention, maps
 * of tokens, sums over samples and channels.
 */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stdbool.h>

void vx_attn_product_ref(vx_device *dev, const vx_attn_product *a)
{
    (void)dev;
    const size_t tt = (size_t)a->tokens * (size_t)a->tokens, h = (size_t)a->heads;
    const int first = a->head < 0 ? 0 : a->head, last = a->head < 0 ? a->heads - 1 : a->head;
    for (size_t g = 0; g < (size_t)a->batch * (size_t)a->targets; g++)
        for (size_t i = 0; i < tt; i++) {
            double sum = 0;
            for (int k = first; k <= last; k++) {
                const double v = (double)a->p[(g / (size_t)a->targets * h + (size_t)k) * tt + i] *
                                 a->dp[(g * h + (size_t)k) * tt + i];
                sum += a->kind == VX_PRODUCT_RELU_MEAN && v < 0 ? 0 : v;
            }
            a->out[g * tt + i] = (float)(sum < 0 ? 0 : sum / (last - first + 1));
        }
}

void vx_attn_relu_mean_ref(vx_device *dev, const vx_attn_relu_mean *a)
{
    (void)dev;
    const size_t t = (size_t)a->tokens;
    const int first = a->head < 0 ? 0 : a->head, last = a->head < 0 ? a->heads - 1 : a->head;
    for (size_t k = 0; k < (size_t)a->gradients; k++)
        for (size_t j = 0; j < t; j++) {
            double sum = 0;
            for (int h = first; h <= last; h++)
                for (size_t i = 0; i < t; i++) {
                    const float v = a->dp[((k * (size_t)a->heads + (size_t)h) * t + i) * t + j];
                    sum += v < 0 ? 0 : (double)v;
                }
            a->out[k * t + j] = (float)(sum / (last - first + 1) / a->tokens);
        }
}

/* What a channel is worth to the methods that weigh channels: a and g [T,D] at channel c. */
static double channel_weight(const float *a, const float *g, vx_cam kind, int first, int tokens,
                             int width)
{
    double sum_a = 0, sum_g = 0, sum_ga = 0, weight = 0;
    for (int t = first; t < tokens; t++) {
        const double x = a[(size_t)t * (size_t)width], d = g[(size_t)t * (size_t)width];
        sum_a += x;
        sum_g += d;
        sum_ga += x * d;
    }
    if (kind == VX_CAM_GRADCAM)
        return sum_g / (tokens - first);
    if (kind == VX_CAM_XGRAD)
        return sum_ga / (sum_a + 1e-7);
    for (int t = first; t < tokens; t++) { /* VX_CAM_PLUSPLUS */
        const double d = g[(size_t)t * (size_t)width];
        if (d > 0 || isnan(d))
            weight += d * (d * d) / (2 * d * d + sum_a * d * d * d + 1e-6);
    }
    return weight;
}

static void token_cam(const vx_token_cam *a)
{
    const int patches = a->tokens - a->first;
    for (int start = 0; start < patches; start += VX_REF_CHUNK) {
        const int left = patches - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int c = 0; c < a->width; c++) {
            const bool weighs = a->kind <= VX_CAM_XGRAD;
            const double w =
                weighs ? channel_weight(a->a + c, a->g + c, a->kind, a->first, a->tokens, a->width)
                       : 0;
            for (int i = 0; i < n; i++) {
                const size_t at = (size_t)(a->first + start + i) * (size_t)a->width + (size_t)c;
                const double x = a->a[at], d = a->g[at];
                if (weighs)
                    sum[i] += w * x;
                else if (a->kind == VX_CAM_LAYER)
                    sum[i] += (d < 0 ? 0 : d) * x;
                else
                    sum[i] += a->kind == VX_CAM_ELEMENTWISE && d * x < 0 ? 0 : d * x;
            }
        }
        for (int i = 0; i < n; i++)
            a->out[start + i] = (float)sum[i];
    }
}

void vx_token_cam_ref(vx_device *dev, const vx_token_cam *a)
{
    (void)dev;
    for (int g = 0; g < a->batch * a->targets; g++) {
        const vx_token_cam one = vx_token_cam_of(a, g);
        token_cam(&one);
    }
}

static double token_value(const float *a, const float *g, size_t at)
{
    return g ? (double)a[at] * g[at] : a[at];
}

static void token_gram(const vx_token_gram *a)
{
    const int first = a->first;
    const size_t D = (size_t)a->width;
    const int n = a->tokens - first;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int c = 0; c < a->width; c++) {
                double mean = 0;
                for (int t = first; t < a->tokens; t++)
                    mean += token_value(a->a, a->g, (size_t)t * D + (size_t)c);
                mean /= n;
                sum += (token_value(a->a, a->g, (size_t)(first + i) * D + (size_t)c) - mean) *
                       (token_value(a->a, a->g, (size_t)(first + j) * D + (size_t)c) - mean);
            }
            a->out[(size_t)i * (size_t)n + (size_t)j] = (float)sum;
        }
}

void vx_token_gram_ref(vx_device *dev, const vx_token_gram *a)
{
    (void)dev;
    for (int g = 0; g < a->batch * a->targets; g++) {
        const vx_token_gram one = vx_token_gram_of(a, g);
        token_gram(&one);
    }
}

void vx_clear_ref(vx_device *dev, const vx_clear *given)
{
    const vx_clear floats = vx_clear_floats(given), *a = &floats;
    (void)dev;
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = 0;
}

void vx_copy_rows_ref(vx_device *dev, const vx_copy_rows *given)
{
    const vx_copy_rows floats = vx_copy_rows_floats(given), *a = &floats;
    (void)dev;
    for (int64_t i = 0; i < a->m; i++)
        for (int64_t j = 0; j < a->n; j++) {
            const float x = a->x[i * a->ldx + j];
            float *y = a->y + i * a->ldy + j;
            if (a->accumulate)
                *y = (float)(*y + (double)a->scale * x);
            else
                *y = a->scale == 1 ? x : a->scale * x;
        }
}

void vx_replace_channels_ref(vx_device *dev, const vx_replace_channels *given)
{
    const vx_replace_channels floats = vx_replace_channels_floats(given), *a = &floats;
    (void)dev;
    float *y = a->y;
    for (int s = 0; s < a->count; s++)
        for (int i = 0; i < a->tokens; i++)
            for (int j = 0; j < a->width; j++)
                *y++ =
                    j == a->channels[s] ? a->value : a->x[(size_t)i * (size_t)a->width + (size_t)j];
}

void vx_gather_rows_ref(vx_device *dev, const vx_gather_rows *given)
{
    const vx_gather_rows floats = vx_gather_rows_floats(given), *a = &floats;
    (void)dev;
    const size_t D = (size_t)a->width;
    float *y = a->y;
    for (int r = 0; r < a->rows; r++, y += vx_distance(a->ldy, a->width)) {
        const int from = a->from[r];
        const float *row = from >= 0 ? a->a + (size_t)from * D : a->b + (size_t)(-1 - from) * D;
        for (size_t j = 0; j < D; j++)
            y[j] = row[j];
    }
}

void vx_add_weighted_ref(vx_device *dev, const vx_add_weighted *a)
{
    (void)dev;
    for (int64_t i = 0; i < a->groups * a->n; i++) {
        const float *x = a->x + i / a->n * a->samples * a->n + i % a->n;
        double v = a->sum[i];
        for (int k = 0; k < a->samples; k++, x += a->n) {
            const double one = *x;
            v += a->weights[k] * (a->squared ? one * one : one);
        }
        a->sum[i] = (float)v;
    }
}

static void reduce_channels(const vx_reduce_channels *a)
{
    for (int64_t i = 0; i < a->n; i++) {
        double v = 0;
        for (int k = 0; k < a->channels; k++) {
            const double one =
                (double)a->g[(int64_t)k * a->n + i] * (a->x ? a->x[(int64_t)k * a->n + i] : 1);
            const double size = fabs(one);
            if (a->kind == VX_REDUCE_MAX)
                v = size > v || isnan(size) ? size : v;
            else if (a->kind == VX_REDUCE_L1 || a->kind == VX_REDUCE_MEAN)
                v += size;
            else
                v += a->kind == VX_REDUCE_L2 ? one * one : one;
        }
        if (a->kind == VX_REDUCE_MEAN)
            v /= a->channels;
        a->out[i] = (float)(a->kind == VX_REDUCE_L2 ? sqrt(v) : v);
    }
}

void vx_reduce_channels_ref(vx_device *dev, const vx_reduce_channels *a)
{
    (void)dev;
    for (int g = 0; g < a->batch * a->targets; g++) {
        const vx_reduce_channels one = vx_reduce_channels_of(a, g);
        reduce_channels(&one);
    }
}
