/* kernels/ref/attention_replaced.c: one query's attention with a channel of the tokens replaced. */
#include "kernels/ref/ref.h"

#include <math.h>

/* Element e of q, k or v (part 0, 1, 2) of token t and head h, in variant s. */
static double part_of(const vx_attention_replaced *a, int part, int s, int h, int t, int e)
{
    const size_t wide = 3 * (size_t)a->heads * (size_t)a->head_width;
    const size_t at =
        ((size_t)part * (size_t)a->heads + (size_t)h) * (size_t)a->head_width + (size_t)e;
    const double change =
        (double)a->value - a->x[(size_t)t * (size_t)a->width + (size_t)a->channels[s]];
    return a->qkv[(size_t)t * wide + at] + change * a->columns[(size_t)s * wide + at];
}

static double score(const vx_attention_replaced *a, int s, int h, int t)
{
    double sum = 0;
    for (int e = 0; e < a->head_width; e++)
        sum += part_of(a, 0, s, h, a->query, e) * part_of(a, 1, s, h, t, e);
    return a->scale * sum;
}

static void attend(const vx_attention_replaced *a, int s, int h)
{
    float *y = a->y + ((size_t)s * (size_t)a->heads + (size_t)h) * (size_t)a->head_width;
    double max = score(a, s, h, 0), total = 0;
    for (int t = 1; t < a->tokens; t++)
        max = fmax(max, score(a, s, h, t));
    for (int t = 0; t < a->tokens; t++)
        total += exp(score(a, s, h, t) - max);
    for (int start = 0; start < a->head_width; start += VX_REF_CHUNK) {
        const int left = a->head_width - start, n = left < VX_REF_CHUNK ? left : VX_REF_CHUNK;
        double sum[VX_REF_CHUNK] = {0};
        for (int t = 0; t < a->tokens; t++) {
            const double p = exp(score(a, s, h, t) - max) / total;
            for (int e = 0; e < n; e++)
                sum[e] += p * part_of(a, 2, s, h, t, start + e);
        }
        for (int e = 0; e < n; e++)
            y[start + e] = (float)sum[e];
    }
}

void vx_attention_replaced_ref(vx_device *dev, const vx_attention_replaced *given)
{
    const vx_attention_replaced floats = vx_attention_replaced_floats(given), *a = &floats;
    (void)dev;
    for (int s = 0; s < a->count; s++)
        for (int h = 0; h < a->heads; h++)
            attend(a, s, h);
}
