/*
 * kernels/ref/attention_bwd.c: the mirror of attention.c: d probabilities and d qkv from d y.
 *
 * As there no row is kept: a probability, a d probability and the sum over a row of their products
 * are computed again wherever they are needed, from the statistics of the row.
 */
#include <math.h>

#include "kernels/ref/ref.h"

/* Whether token t is one of the queries. */
static int asks(const vx_attention_bwd *a, int t)
{
    return t >= a->first && t < a->first + a->queries;
}

/* What is known of one query's row: softmax's maximum and sum, and rowsum(p * dp). */
typedef struct row {
    double max, sum, dot;
} row;

static const float *part_of(const vx_attention_bwd *a, int part, int b, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = (size_t)b * (size_t)a->tokens + (size_t)t;
    return a->qkv + (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

static double score(const vx_attention_bwd *a, int b, int h, int i, int j)
{
    return a->scale * vx_ref_dot(part_of(a, 0, b, h, i), part_of(a, 1, b, h, j), a->head_width) +
           vx_ref_relative(&a->relative, h, i, j);
}

/* The token behind the last one that token i attends to. */
static int end_of(const vx_attention_bwd *a, int i)
{
    return a->causal ? i + 1 : a->tokens;
}

static double probability(const vx_attention_bwd *a, int b, int h, int i, int j, row r)
{
    const size_t t = (size_t)a->tokens;
    if (a->p)
        return a->p[(((size_t)b * (size_t)a->heads + (size_t)h) * t + (size_t)i) * t + (size_t)j];
    return j < end_of(a, i) ? exp(score(a, b, h, i, j) - r.max) / r.sum : 0;
}

static const float *dy_of(const vx_attention_bwd *a, int g, int h, int i)
{
    const size_t at = (size_t)g * (size_t)a->queries + (size_t)(i - a->first);
    return a->dy + (at * (size_t)a->heads + (size_t)h) * (size_t)a->head_width;
}

static double d_probability(const vx_attention_bwd *a, int g, int h, int i, int j)
{
    return vx_ref_dot(dy_of(a, g, h, i), part_of(a, 2, g / a->targets, h, j), a->head_width);
}

static row row_of(const vx_attention_bwd *a, int g, int h, int i)
{
    const int b = g / a->targets;
    row r = {-INFINITY, 0, 0};
    for (int j = a->first; !a->p && j < end_of(a, i); j++)
        r.max = fmax(r.max, score(a, b, h, i, j));
    for (int j = a->first; !a->p && j < end_of(a, i); j++)
        r.sum += exp(score(a, b, h, i, j) - r.max);
    for (int j = a->first; j < a->tokens; j++)
        r.dot += probability(a, b, h, i, j, r) * d_probability(a, g, h, i, j);
    return r;
}

/* scale * ds[i,j] */
static double d_score(const vx_attention_bwd *a, int g, int h, int i, int j, row r)
{
    return a->scale * probability(a, g / a->targets, h, i, j, r) *
           (d_probability(a, g, h, i, j) - r.dot);
}

static float *out_of(const vx_attention_bwd *a, int part, int g, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = (size_t)g * (size_t)a->tokens + (size_t)t;
    return a->dqkv + (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

/* dq of token t, columns start..start+n-1: over the keys of its own row. */
static void d_query(const vx_attention_bwd *a, int g, int h, int t, int start, int n)
{
    double dq[VX_REF_CHUNK] = {0};
    const row r = asks(a, t) ? row_of(a, g, h, t) : (row){0};
    for (int j = a->first; asks(a, t) && j < a->tokens; j++) {
        const double d = d_score(a, g, h, t, j, r);
        const float *k = part_of(a, 1, g / a->targets, h, j) + start;
        for (int c = 0; c < n; c++)
            dq[c] += d * k[c];
    }
    for (int c = 0; c < n; c++)
        out_of(a, 0, g, h, t)[start + c] = (float)dq[c];
}

/* dk and dv of token t: over the queries that look at it. */
static void d_key_value(const vx_attention_bwd *a, int g, int h, int t, int start, int n)
{
    double dk[VX_REF_CHUNK] = {0}, dv[VX_REF_CHUNK] = {0};
    for (int i = a->first; t >= a->first && i < a->first + a->queries; i++) {
        const row r = row_of(a, g, h, i);
        const double d = d_score(a, g, h, i, t, r);
        const double p = probability(a, g / a->targets, h, i, t, r);
        const float *q = part_of(a, 0, g / a->targets, h, i) + start;
        const float *dy = dy_of(a, g, h, i) + start;
        for (int c = 0; c < n; c++) {
            dk[c] += d * q[c];
            dv[c] += p * dy[c];
        }
    }
    for (int c = 0; c < n; c++) {
        out_of(a, 1, g, h, t)[start + c] = (float)dk[c];
        out_of(a, 2, g, h, t)[start + c] = (float)dv[c];
    }
}

/* product [g,t,start..start+n-1], columns counted from `first` on. */
static void product(const vx_attention_bwd *a, int g, int t, int start, int n)
{
    double sum[VX_REF_CHUNK] = {0};
    for (int h = 0; asks(a, t) && h < a->heads; h++) {
        const row r = row_of(a, g, h, t);
        for (int c = 0; c < n; c++) {
            const int j = a->first + start + c;
            const double v =
                probability(a, g / a->targets, h, t, j, r) * d_probability(a, g, h, t, j);
            sum[c] += a->kind == VX_PRODUCT_RELU_MEAN && v < 0 ? 0 : v;
        }
    }
    const size_t present = (size_t)(a->tokens - a->first);
    float *out = a->product + ((size_t)g * present + (size_t)(t - a->first)) * present;
    for (int c = 0; c < n; c++)
        out[start + c] = (float)(sum[c] < 0 ? 0 : sum[c] / a->heads);
}

/* relu_mean [g,h,j], j counted from token 0 on. */
static void relu_mean(const vx_attention_bwd *a, int g, int h, int j)
{
    const int present = a->tokens - a->first;
    double sum = 0;
    for (int i = a->first; i < a->first + a->queries; i++) {
        const double d = (float)d_probability(a, g, h, i, j);
        sum += d < 0 ? 0 : d;
    }
    a->relu_mean[((size_t)g * (size_t)a->heads + (size_t)h) * (size_t)present +
                 (size_t)(j - a->first)] = (float)(sum / present);
}

static void for_methods(const vx_attention_bwd *a, int g)
{
    const int present = a->tokens - a->first;
    for (int t = a->first; a->product && t < a->tokens; t++)
        for (int start = 0; start < present; start += VX_REF_CHUNK)
            product(a, g, t, start,
                    present - start < VX_REF_CHUNK ? present - start : VX_REF_CHUNK);
    for (int h = 0; a->relu_mean && h < a->heads; h++)
        for (int j = a->first; j < a->tokens; j++)
            relu_mean(a, g, h, j);
}

void vx_attention_bwd_ref(vx_device *dev, const vx_attention_bwd *given)
{
    const vx_attention_bwd floats = vx_attention_bwd_floats(given), *a = &floats;
    const int dp_end = a->first + (int)vx_dp_rows(a);
    (void)dev;
    float *dp = a->dp;
    for (int g = 0; g < a->batch * a->targets; g++)
        for_methods(a, g);
    for (int g = 0; g < a->batch * a->targets; g++)
        for (int h = 0; h < a->heads; h++)
            for (int t = 0; t < a->tokens; t++) {
                for (int j = a->first; dp && t >= a->first && t < dp_end && j < a->tokens; j++)
                    *dp++ = asks(a, t) ? (float)d_probability(a, g, h, t, j) : 0.0f;
                for (int start = 0; a->dqkv && start < a->head_width; start += VX_REF_CHUNK) {
                    const int left = a->head_width - start;
                    const int n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
                    d_query(a, g, h, t, start, n);
                    d_key_value(a, g, h, t, start, n);
                }
            }
}
