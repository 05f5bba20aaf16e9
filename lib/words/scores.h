/* words/scores.h: dot products of many vectors with one. */
#ifndef VX_WORDS_SCORES_H
#define VX_WORDS_SCORES_H

#include <stdint.h>

/* scores[i] = vectors[i,:] . query, i < n; summed in single precision, sixteen sums at once. */
void vx_scores(float *scores, const float *vectors, const float *query, int64_t n, int units);

#endif
