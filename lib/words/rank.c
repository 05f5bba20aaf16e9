/* words/rank.c: see rank.h. */
#include "words/rank.h"

#include <stdbool.h>

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

static bool before(const float *scores, int a, int b)
{
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
}

/* Lets the entry at `i` sink in a heap of `n` whose root is the one that ranks last. */
static void sink(int *heap, int n, int i, const float *scores)
{
    for (;;) {
        int worst = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(scores, heap[worst], heap[child]))
                worst = child;
        if (worst == i)
            return;
        const int moved = heap[i];
        heap[i] = heap[worst];
        heap[worst] = moved;
        i = worst;
    }
}

int vx_best(int *best, int k, const float *scores, int n)
{
    const int count = k < n ? k : n;
    for (int i = 0; i < count; i++)
        best[i] = i;
    for (int i = count / 2 - 1; i >= 0; i--)
        sink(best, count, i, scores);
    for (int i = count; i < n; i++)
        if (before(scores, i, best[0])) {
            best[0] = i;
            sink(best, count, 0, scores);
        }
    for (int last = count - 1; last > 0; last--) { /* the root is the last of those left */
        const int moved = best[0];
        best[0] = best[last];
        best[last] = moved;
        sink(best, last, 0, scores);
    }
    return count;
}
