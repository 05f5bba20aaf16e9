/* words/scores.c: see scores.h. */
#include "words/scores.h"

enum { LANES = 16 };

static float product(const float *a, const float *b, int count)
{
    float sums[LANES] = {0}, sum = 0;
    int i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            sums[k] += a[i + k] * b[i + k];
    for (; i < count; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < LANES; k++)
        sum += sums[k];
    return sum;
}

void vx_scores(float *scores, const float *vectors, const float *query, int64_t n, int units)
{
    for (int64_t i = 0; i < n; i++)
        scores[i] = product(vectors + i * units, query, units);
}
