/* measure/rank.h: numbers in order, and what follows from their order. */
#ifndef VX_MEASURE_RANK_H
#define VX_MEASURE_RANK_H

#include <stddef.h>
#include <stdint.h>

/*
 * order[i] is the place of the i-th largest of `count` finite values; equal ones (0 and -0 are) in
 * the order of their places: NumPy's argsort(-values, kind="stable"). space [count] is lost.
 */
void vx_order(uint32_t *order, const float *values, size_t count, uint32_t *space);

/* Where the run of values equal to that of order[first] ends: one past its last. */
size_t vx_order_ties(const uint32_t *order, const float *values, size_t count, size_t first);

/* Their ranks 1..count from the smallest on, equal ones the mean of theirs: as
 * scipy.stats.rankdata. */
void vx_ranks(double *ranks, const float *values, size_t count, uint32_t *order, uint32_t *space);

/* Pearson's correlation of two lists; 0 where one of them is constant. */
double vx_correlation(const double *a, const double *b, size_t count);

/* The Gini coefficient of values that are not negative, sum_jk |v_j - v_k| / (2 n sum v): 0 where
 * all are alike (or 0), 1 - 1/n where one has all. */
double vx_gini(const float *values, size_t count, uint32_t *order, uint32_t *space);

#endif
