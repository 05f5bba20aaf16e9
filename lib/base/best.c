/* base/best.c: a heap of the best so far, whose root is the one that ranks last; then sorted. */
#include "base/best.h"

#include <stdbool.h>

typedef struct heap {
    char *best;
    size_t stride;
    const float *scores;
} heap;

static int *at(const heap *h, int i)
{
    return (int *)(void *)(h->best + (size_t)i * h->stride);
}

static bool before(const heap *h, int a, int b)
{
    return h->scores[a] != h->scores[b] ? h->scores[a] > h->scores[b] : a < b;
}

static void swap(const heap *h, int i, int j)
{
    const int moved = *at(h, i);
    *at(h, i) = *at(h, j);
    *at(h, j) = moved;
}

/* Lets the entry at `i` sink among the first n. */
static void sink(const heap *h, int n, int i)
{
    for (;;) {
        int worst = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(h, *at(h, worst), *at(h, child)))
                worst = child;
        if (worst == i)
            return;
        swap(h, i, worst);
        i = worst;
    }
}

int vx_best(int *best, size_t stride, int k, const float *scores, int n)
{
    const heap h = {(char *)best, stride, scores};
    const int count = k < n ? k : n;
    for (int i = 0; i < count; i++)
        *at(&h, i) = i;
    for (int i = count / 2 - 1; i >= 0; i--)
        sink(&h, count, i);
    for (int i = count; i < n; i++)
        if (before(&h, i, *at(&h, 0))) {
            *at(&h, 0) = i;
            sink(&h, count, 0);
        }
    for (int last = count - 1; last > 0; last--) { /* the root is the last of those left */
        swap(&h, 0, last);
        sink(&h, last, 0);
    }
    return count;
}
