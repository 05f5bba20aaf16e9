/* words/rank.h: the best of many scores. */
#ifndef VX_WORDS_RANK_H
#define VX_WORDS_RANK_H

#include <stdint.h>

/* scores[i] = vectors[i,:] . query, i < n; summed in single precision, sixteen sums at once. */
void vx_scores(float *scores, const float *vectors, const float *query, int64_t n, int units);

/* The k best of n scores, best first, of equal ones the lower index: their indices in `best`.
 * @return how many: k, or n if that is less */
int vx_best(int *best, int k, const float *scores, int n);

#endif
