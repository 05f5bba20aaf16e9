/*
 * kernels/ref/attention.c: y = softmax(scale q k^T) v for every head, and what it records.
 *
 * No row of probabilities is kept: the maximum and the sum of a row are found first (stats), and
 * every probability is computed from them where it is needed.
 */
#include "kernels/ref/ref.h"

#include <math.h>

typedef struct stats {
    double max, sum;
} stats;

/* q, k or v (part 0, 1, 2) of one token and head: [E]. */
static const float *part_of(const vx_attention *a, int part, int b, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = (size_t)b * (size_t)a->tokens + (size_t)t;
    return a->qkv + (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

double vx_ref_relative(const vx_relative *r, int h, int query, int key)
{
    const int i = query - r->prefix, j = key - r->prefix, w = r->width;
    if (!r->table)
        return 0;
    const size_t count = vx_relative_count(r->height, w);
    const float *table = r->table + (size_t)h * count;
    if (i < 0 || j < 0)
        return table[count - (j >= 0 ? 3 : i >= 0 ? 2 : 1)];
    return table[(j / w - i / w + r->height - 1) * (2 * w - 1) + j % w - i % w + w - 1];
}

/* The token of a whole sequence that token t is. */
static int token_of(const vx_attention *a, int t)
{
    return a->tokens_of ? a->tokens_of[t] : t;
}

static double score(const vx_attention *a, int b, int h, int i, int j)
{
    return a->scale * vx_ref_dot(part_of(a, 0, b, h, i), part_of(a, 1, b, h, j), a->head_width) +
           vx_ref_relative(&a->relative, h, token_of(a, i), token_of(a, j));
}

/* The token behind the last one that token i attends to. */
static int end_of(const vx_attention *a, int i)
{
    return a->causal ? i + 1 : a->tokens;
}

static stats row_stats(const vx_attention *a, int b, int h, int i)
{
    const int end = end_of(a, i);
    stats s = {score(a, b, h, i, a->first), 0};
    for (int j = a->first + 1; j < end; j++)
        s.max = fmax(s.max, score(a, b, h, i, j));
    for (int j = a->first; j < end; j++)
        s.sum += exp(score(a, b, h, i, j) - s.max);
    return s;
}

static double probability(const vx_attention *a, int b, int h, int i, int j, stats s)
{
    return j < end_of(a, i) ? exp(score(a, b, h, i, j) - s.max) / s.sum : 0;
}

static void attend(const vx_attention *a, int b, int h, int i)
{
    const size_t row = (size_t)b * (size_t)a->tokens + (size_t)i;
    float *y = a->y + (row * (size_t)a->heads + (size_t)h) * (size_t)a->head_width;
    const stats s = row_stats(a, b, h, i);
    for (int start = 0; start < a->head_width; start += VX_REF_CHUNK) {
        const int left = a->head_width - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int j = a->first; j < end_of(a, i); j++) {
            const double p = probability(a, b, h, i, j, s);
            const float *v = part_of(a, 2, b, h, j) + start;
            for (int e = 0; e < n; e++)
                sum[e] += p * v[e];
        }
        for (int e = 0; e < n; e++)
            y[start + e] = (float)sum[e];
    }
}

static void record_all(const vx_attention *a, int b, int h)
{
    const size_t t = (size_t)a->tokens;
    size_t at = ((size_t)b * (size_t)a->heads + (size_t)h) * t * t;
    for (int i = 0; i < a->tokens; i++) {
        const stats s = row_stats(a, b, h, i);
        for (int j = 0; j < a->tokens; j++, at++)
            vx_ref_record(&a->record, at, probability(a, b, h, i, j, s));
    }
}

static void record_row(const vx_attention *a, int b, int h)
{
    const vx_recorded *r = &a->record;
    const int first = vx_query_first(r->query, r->prefix);
    const int end = vx_query_end(r->query, r->prefix, a->tokens);
    const size_t at = ((size_t)b * (size_t)a->heads + (size_t)h) * (size_t)a->tokens;
    for (int start = 0; start < a->tokens; start += VX_REF_CHUNK) {
        const int left = a->tokens - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int i = first; i < end; i++) {
            const stats s = row_stats(a, b, h, i);
            for (int j = 0; j < n; j++)
                if (start + j >= a->first)
                    sum[j] += probability(a, b, h, i, start + j, s);
        }
        for (int j = 0; j < n; j++)
            vx_ref_record(r, at + (size_t)(start + j), sum[j] / (end - first));
    }
}

static void record_fused(const vx_attention *a, int b, int i)
{
    const vx_recorded *r = &a->record;
    const size_t at = ((size_t)b * (size_t)a->tokens + (size_t)i) * (size_t)a->tokens;
    for (int start = 0; start < a->tokens; start += VX_REF_CHUNK) {
        const int left = a->tokens - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double fused[VX_REF_CHUNK] = {0};
        for (int h = 0; h < a->heads; h++) {
            const stats s = row_stats(a, b, h, i);
            for (int j = 0; j < n; j++) {
                const double p = probability(a, b, h, i, start + j, s);
                fused[j] = vx_ref_fuse(r->fuse, h ? fused[j] : 0, p, h);
            }
        }
        for (int j = 0; j < n; j++)
            vx_ref_record(r, at + (size_t)(start + j), vx_ref_fused(r->fuse, fused[j], a->heads));
    }
}

/* Sequence b of several lengths, as the one sequence of a call of its own. */
static void attend_sequence(vx_device *dev, const vx_attention *a, int b)
{
    const size_t width = (size_t)a->heads * (size_t)a->head_width, row = (size_t)a->starts[b];
    vx_attention one = *a;
    one.starts = NULL;
    one.batch = 1;
    one.tokens = vx_tokens_of(a->starts, b, a->tokens);
    one.qkv += row * 3 * width;
    one.tokens_of = a->tokens_of ? a->tokens_of + row : NULL;
    one.y += row * width;
    vx_attention_ref(dev, &one);
}

void vx_attention_ref(vx_device *dev, const vx_attention *given)
{
    const vx_attention floats = vx_attention_floats(given), *a = &floats;
    for (int b = 0; a->starts && b < a->batch; b++)
        attend_sequence(dev, a, b);
    for (int b = 0; !a->starts && b < a->batch; b++) {
        const int left = a->tokens - a->first;
        const int queries = a->queries > 0 && a->queries < left ? a->queries : left;
        for (int h = 0; h < a->heads; h++) {
            for (int i = a->first; i < a->first + queries; i++)
                attend(a, b, h, i);
            if (a->record.keep == VX_KEEP_ALL)
                record_all(a, b, h);
            if (a->record.keep == VX_KEEP_ROW)
                record_row(a, b, h);
        }
        for (int i = 0; i < a->tokens && a->record.keep == VX_KEEP_FUSED; i++)
            record_fused(a, b, i);
    }
}
