/* base/best.h: the best of many scores. */
#ifndef VX_BASE_BEST_H
#define VX_BASE_BEST_H

#include <stddef.h>

/*
 * The k best of n scores, best first, of equal ones the lower index. Their indices go to best[0]
 * and to the integers behind it that lie `stride` bytes apart. O(n log k) time, no memory.
 * @return how many: k, or n if that is less
 */
int vx_best(int *best, size_t stride, int k, const float *scores, int n);

#endif
