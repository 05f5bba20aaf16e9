/* measure/rank.c: see rank.h. */
#include "measure/rank.h"

#include <math.h>
#include <string.h>

#define DIGIT 11 /* bits a round: three rounds for 32 */

/* Grows as the value falls; 0 and -0 have one key. */
static uint32_t key_of(float value)
{
    uint32_t bits;
    if (value == 0)
        value = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

/* One round of a radix sort, which keeps the order of equal digits. */
static void sort_digit(uint32_t *to, const uint32_t *from, const float *values, size_t count,
                       int shift)
{
    size_t start[1 << DIGIT] = {0}, sum = 0;
    const uint32_t mask = (1u << DIGIT) - 1;
    for (size_t i = 0; i < count; i++)
        start[key_of(values[i]) >> shift & mask]++;
    for (size_t d = 0; d <= mask; d++) {
        const size_t n = start[d];
        start[d] = sum;
        sum += n;
    }
    for (size_t i = 0; i < count; i++)
        to[start[key_of(values[from[i]]) >> shift & mask]++] = from[i];
}

void vx_order(uint32_t *order, const float *values, size_t count, uint32_t *space)
{
    for (size_t i = 0; i < count; i++)
        space[i] = (uint32_t)i;
    sort_digit(order, space, values, count, 0);
    sort_digit(space, order, values, count, DIGIT);
    sort_digit(order, space, values, count, 2 * DIGIT);
}

size_t vx_order_ties(const uint32_t *order, const float *values, size_t count, size_t first)
{
    size_t end = first + 1;
    while (end < count && values[order[end]] == values[order[first]])
        end++;
    return end;
}

void vx_ranks(double *ranks, const float *values, size_t count, uint32_t *order, uint32_t *space)
{
    vx_order(order, values, count, space);
    for (size_t first = 0; first < count;) {
        const size_t end = vx_order_ties(order, values, count, first);
        /* From the largest they are first+1..end, so from the smallest count-end+1..count-first. */
        const double rank = ((double)(count - end + 1) + (double)(count - first)) / 2;
        for (; first < end; first++)
            ranks[order[first]] = rank;
    }
}

double vx_correlation(const double *a, const double *b, size_t count)
{
    double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        mean_a += a[i] / (double)count;
        mean_b += b[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        const double da = a[i] - mean_a, db = b[i] - mean_b;
        ab += da * db;
        aa += da * da;
        bb += db * db;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

double vx_gini(const float *values, size_t count, uint32_t *order, uint32_t *space)
{
    double sum = 0, weighted = 0;
    vx_order(order, values, count, space);
    for (size_t i = 0; i < count; i++) {
        const double v = values[order[i]];
        sum += v;
        weighted += ((double)count - 1 - 2 * (double)i) * v;
    }
    return sum > 0 ? weighted / ((double)count * sum) : 0;
}
