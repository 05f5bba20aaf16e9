/*
 * kernels/ref/gradients.c: what methods make of gradients: products with recorded attention, maps of
 * tokens, sums over samples and channels.
 */
#include "kernels/ref/ref.h"

#include <math.h>
#include <stdbool.h>

void vx_attn_product_ref(vx_device *dev, float *out, const float *p, const float *dp,
                         vx_product kind, int head, int batch, int targets, int heads, int tokens)
{
    (void)dev;
    const size_t tt = (size_t)tokens * (size_t)tokens, h = (size_t)heads;
    const int first = head < 0 ? 0 : head, last = head < 0 ? heads - 1 : head;
    for (size_t g = 0; g < (size_t)batch * (size_t)targets; g++)
        for (size_t i = 0; i < tt; i++) {
            double sum = 0;
            for (int k = first; k <= last; k++) {
                const double v = (double)p[(g / (size_t)targets * h + (size_t)k) * tt + i] *
                                 dp[(g * h + (size_t)k) * tt + i];
                sum += kind == VX_PRODUCT_RELU_MEAN && v < 0 ? 0 : v;
            }
            out[g * tt + i] = (float)(sum < 0 ? 0 : sum / (last - first + 1));
        }
}

void vx_attn_relu_mean_ref(vx_device *dev, float *out, const float *dp, int head, int g, int heads,
                           int tokens)
{
    (void)dev;
    const size_t t = (size_t)tokens;
    const int first = head < 0 ? 0 : head, last = head < 0 ? heads - 1 : head;
    for (size_t k = 0; k < (size_t)g; k++)
        for (size_t j = 0; j < t; j++) {
            double sum = 0;
            for (int h = first; h <= last; h++)
                for (size_t i = 0; i < t; i++) {
                    const float v = dp[((k * (size_t)heads + (size_t)h) * t + i) * t + j];
                    sum += v < 0 ? 0 : (double)v;
                }
            out[k * t + j] = (float)(sum / (last - first + 1) / tokens);
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

void vx_token_cam_ref(vx_device *dev, float *out, const float *a, const float *g, vx_cam kind,
                      int first, int tokens, int width)
{
    (void)dev;
    const int patches = tokens - first;
    for (int start = 0; start < patches; start += VX_REF_CHUNK) {
        const int left = patches - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int c = 0; c < width; c++) {
            const bool weighs = kind <= VX_CAM_XGRAD;
            const double w = weighs ? channel_weight(a + c, g + c, kind, first, tokens, width) : 0;
            for (int i = 0; i < n; i++) {
                const size_t at = (size_t)(first + start + i) * (size_t)width + (size_t)c;
                const double x = a[at], d = g[at];
                if (weighs)
                    sum[i] += w * x;
                else if (kind == VX_CAM_LAYER)
                    sum[i] += (d < 0 ? 0 : d) * x;
                else
                    sum[i] += kind == VX_CAM_ELEMENTWISE && d * x < 0 ? 0 : d * x;
            }
        }
        for (int i = 0; i < n; i++)
            out[start + i] = (float)sum[i];
    }
}

static double token_value(const float *a, const float *g, size_t at)
{
    return g ? (double)a[at] * g[at] : a[at];
}

void vx_token_gram_ref(vx_device *dev, float *out, const float *a, const float *g, int first,
                       int tokens, int width)
{
    (void)dev;
    const int n = tokens - first;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int c = 0; c < width; c++) {
                double mean = 0;
                for (int t = first; t < tokens; t++)
                    mean += token_value(a, g, (size_t)t * (size_t)width + (size_t)c);
                mean /= n;
                sum += (token_value(a, g, (size_t)(first + i) * (size_t)width + (size_t)c) - mean) *
                       (token_value(a, g, (size_t)(first + j) * (size_t)width + (size_t)c) - mean);
            }
            out[(size_t)i * (size_t)n + (size_t)j] = (float)sum;
        }
}

void vx_clear_ref(vx_device *dev, float *y, int64_t count)
{
    (void)dev;
    for (int64_t i = 0; i < count; i++)
        y[i] = 0;
}

void vx_copy_ref(vx_device *dev, float *y, const float *x, int64_t count)
{
    (void)dev;
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i];
}

void vx_replace_channels_ref(vx_device *dev, float *y, const float *x, const int *channels,
                             float value, int count, int t, int d)
{
    (void)dev;
    for (int s = 0; s < count; s++)
        for (int i = 0; i < t; i++)
            for (int j = 0; j < d; j++)
                *y++ = j == channels[s] ? value : x[(size_t)i * (size_t)d + (size_t)j];
}

void vx_gather_rows_ref(vx_device *dev, float *y, const float *a, const float *b, const int *from,
                        int rows, int d)
{
    (void)dev;
    for (int r = 0; r < rows; r++, y += d) {
        const float *row =
            from[r] >= 0 ? a + (size_t)from[r] * (size_t)d : b + (size_t)(-1 - from[r]) * (size_t)d;
        for (int j = 0; j < d; j++)
            y[j] = row[j];
    }
}

void vx_add_weighted_ref(vx_device *dev, float *sum, const float *x, const float *weights,
                         int squared, int s, int64_t n)
{
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        double v = sum[i];
        for (int k = 0; k < s; k++) {
            const double one = x[(int64_t)k * n + i];
            v += weights[k] * (squared ? one * one : one);
        }
        sum[i] = (float)v;
    }
}

void vx_reduce_channels_ref(vx_device *dev, float *out, const float *g, const float *x,
                            vx_reduce kind, int c, int64_t n)
{
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        double v = 0;
        for (int k = 0; k < c; k++) {
            const double one = (double)g[(int64_t)k * n + i] * (x ? x[(int64_t)k * n + i] : 1);
            const double size = fabs(one);
            if (kind == VX_REDUCE_MAX)
                v = size > v || isnan(size) ? size : v;
            else if (kind == VX_REDUCE_L1 || kind == VX_REDUCE_MEAN)
                v += size;
            else
                v += kind == VX_REDUCE_L2 ? one * one : one;
        }
        if (kind == VX_REDUCE_MEAN)
            v /= c;
        out[i] = (float)(kind == VX_REDUCE_L2 ? sqrt(v) : v);
    }
}
