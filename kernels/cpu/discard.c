/*
 * kernels/cpu/discard.c: the `count` smallest entries set to 0, in a few passes and without
 * scratch: the threshold's 32 bits (vx_order_key) are found 11 bits at a time by counting, as in a
 * radix sort, among the entries that agree with the bits found so far.
 */
#include "kernels/bits.h"
#include "kernels/cpu/cpu.h"

#include <string.h>

#define BINS 2048

/* Counts the entries whose key begins with `prefix` by the bits that follow: key >> shift. Two
 * tables, since neighbours often fall in one bin and would wait for each other. */
static void count_bins(uint32_t bins[2][BINS], const float *f, size_t n, uint32_t prefix, int shift)
{
    memset(bins, 0, 2 * sizeof bins[0]);
    if (shift == 21) {
        for (size_t i = 0; i < n; i++)
            bins[i & 1][vx_order_key(f[i]) >> 21]++;
        return;
    }
    const uint32_t mask = shift ? BINS - 1 : (1u << 10) - 1;
    const int known = shift ? shift + 11 : 10; /* bits below the prefix */
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = vx_order_key(f[i]);
        if (key >> known == prefix)
            bins[i & 1][key >> shift & mask]++;
    }
}

/* The bin in which the rank-th entry lies; rank becomes its rank within that bin. */
static uint32_t find_bin(uint32_t bins[2][BINS], int64_t *rank)
{
    uint32_t bin = 0;
    for (; bin < BINS - 1; bin++) {
        const int64_t here = (int64_t)bins[0][bin] + bins[1][bin];
        if (*rank <= here)
            break;
        *rank -= here;
    }
    return bin;
}

static void discard(float *f, size_t n, int64_t count, int keep_first)
{
    static const int shifts[3] = {21, 10, 0};
    uint32_t bins[2][BINS], limit = 0;
    int64_t equal = count; /* of the entries equal to the limit, so many fall */
    for (int i = 0; i < 3; i++) {
        count_bins(bins, f, n, limit, shifts[i]);
        limit = limit << (i < 2 ? 11 : 10) | find_bin(bins, &equal);
    }
    const float first = f[0];
    for (size_t i = 0; i < n; i++) {
        const uint32_t key = vx_order_key(f[i]);
        if (key == limit && equal-- > 0)
            f[i] = 0;
        else
            f[i] = key < limit ? 0 : f[i];
    }
    if (keep_first)
        f[0] = first;
}

void vx_discard_smallest_plain(vx_device *dev, const vx_discard_smallest *a)
{
    (void)dev;
    const size_t n = (size_t)a->tokens * (size_t)a->tokens;
    const int64_t count = a->count > (int64_t)n ? (int64_t)n : a->count;
    for (int p = 0; p < a->batch && count > 0; p++)
        discard(a->f + (size_t)p * n, n, count, a->keep_first);
}
