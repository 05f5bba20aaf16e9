/* kernels/ref/norm.c: layernorm, softmax, and the mean over tokens. */
#include "kernels/ref/ref.h"

#include <math.h>

/* The mean, 0 with rms, and 1 / sqrt(var + eps) of a row. */
static double scale_of(double *mean, const float *x, int n, int rms, double eps)
{
    double var = 0;
    *mean = 0;
    for (int j = 0; j < n && !rms; j++)
        *mean += x[j];
    *mean /= n;
    for (int j = 0; j < n; j++)
        var += (x[j] - *mean) * (x[j] - *mean);
    return 1 / sqrt(var / n + eps);
}

void vx_layernorm_ref(vx_device *dev, const vx_layernorm *given)
{
    const vx_layernorm floats = vx_layernorm_floats(given), *a = &floats;
    const int groups = vx_groups(a->groups);
    (void)dev;
    for (int i = 0; i < a->m * groups; i++) {
        const size_t row = (size_t)(i / groups), part = (size_t)(i % groups) * (size_t)a->n;
        const float *x = a->x + row * (size_t)a->ldx + part;
        float *y = a->y + row * (size_t)a->ldy + part;
        const float *residual = a->residual ? a->residual + row * (size_t)a->ldr + part : NULL;
        double mean;
        const double scale = scale_of(&mean, x, a->n, a->rms, (double)a->eps);
        for (int j = 0; j < a->n; j++)
            y[j] = (float)((residual ? (double)residual[j] : 0) +
                           (x[j] - mean) * scale * a->weight[j] + (a->bias ? a->bias[j] : 0.0f));
    }
}

/* One row; dx may be dy, so what is needed of it is summed before anything is written. */
static void layernorm_row_bwd(const vx_layernorm_bwd *a, float *dx, const float *dy, const float *x)
{
    const int n = a->n;
    double mean, sum = 0, dot = 0;
    const double scale = scale_of(&mean, x, n, a->rms, (double)a->eps);
    for (int j = 0; j < n; j++) {
        const double u = (double)a->weight[j] * dy[j];
        sum += u;
        dot += u * (x[j] - mean) * scale;
    }
    sum = a->rms ? 0 : sum / n;
    dot /= n;
    for (int j = 0; j < n; j++) {
        const double u = (double)a->weight[j] * dy[j];
        const double d = (u - sum - (x[j] - mean) * scale * dot) * scale;
        dx[j] = (float)(a->accumulate ? dx[j] + d : d);
    }
}

/* dx = act'(pre) dx for one row. */
static void activation_row_bwd(const vx_layernorm_bwd *a, float *dx, const float *pre)
{
    if (a->act == VX_ACT_SWIGLU)
        vx_swiglu_bwd_ref(
            NULL, &(vx_swiglu_bwd){
                      .dx = dx, .dy = dx, .x = pre, .m = 1, .n = a->n, .tokens = 1, .targets = 1});
    else
        for (int j = 0; j < a->n && a->act != VX_ACT_NONE; j++)
            dx[j] = (float)(dx[j] * vx_ref_act_slope(a->act, pre[j]));
}

void vx_layernorm_bwd_ref(vx_device *dev, const vx_layernorm_bwd *given)
{
    const vx_layernorm_bwd floats = vx_layernorm_bwd_floats(given), *a = &floats;
    const int groups = vx_groups(a->groups);
    (void)dev;
    for (int i = 0; i < a->m * groups; i++) {
        const size_t row = (size_t)(i / groups), part = (size_t)(i % groups) * (size_t)a->n;
        const size_t forward = vx_forward_row((int)row, a->tokens, a->targets);
        float *dx = a->dx + row * (size_t)a->lddx + part;
        layernorm_row_bwd(a, dx, a->dy + row * (size_t)a->lddy + part,
                          a->x + forward * (size_t)a->ldx + part);
        if (a->act != VX_ACT_NONE)
            activation_row_bwd(a, dx, a->pre + forward * (size_t)a->ldp);
    }
}

void vx_softmax_ref(vx_device *dev, const vx_softmax *a)
{
    (void)dev;
    const int n = a->n;
    const float *x = a->x;
    float *y = a->y;
    for (int i = 0; i < a->m; i++, x += n, y += n) {
        double max = x[0], sum = 0;
        for (int j = 1; j < n; j++)
            max = x[j] > max ? x[j] : max;
        for (int j = 0; j < n; j++)
            sum += exp(x[j] - max);
        for (int j = 0; j < n; j++)
            y[j] = (float)(exp(x[j] - max) / sum);
    }
}

/* y of one sequence x [tokens,width]. */
static void mean_of(float *y, const float *x, int first, int tokens, int width)
{
    const size_t d = (size_t)width;
    for (int start = 0; start < width; start += VX_REF_CHUNK) {
        const int n = width - start < VX_REF_CHUNK ? width - start : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int i = first; i < tokens; i++)
            for (int j = 0; j < n; j++)
                sum[j] += x[(size_t)i * d + (size_t)(start + j)];
        for (int j = 0; j < n; j++)
            y[start + j] = tokens > first ? (float)(sum[j] / (tokens - first)) : 0;
    }
}

void vx_mean_tokens_ref(vx_device *dev, const vx_mean_tokens *a)
{
    (void)dev;
    const size_t d = (size_t)a->width;
    for (int b = 0; b < a->batch; b++) {
        const size_t row = vx_start_of(a->starts, b, a->tokens);
        mean_of(a->y + (size_t)b * vx_distance(a->ldy, a->width), a->x + row * d, a->first,
                vx_tokens_of(a->starts, b, a->tokens), a->width);
    }
}

void vx_mean_tokens_bwd_ref(vx_device *dev, const vx_mean_tokens_bwd *a)
{
    (void)dev;
    const float *dy = a->dy;
    float *dx = a->dx;
    for (int p = 0; p < a->batch; p++, dy += vx_distance(a->lddy, a->width))
        for (int i = 0; i < a->tokens; i++)
            for (int j = 0; j < a->width; j++)
                *dx++ = i < a->first ? 0.0f : (float)((double)dy[j] / (a->tokens - a->first));
}
