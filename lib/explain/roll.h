/*
 * explain/roll.h: what the rollouts share: one row vector pushed through the blocks.
 *
 *     R = B_last ... B_start,  B_l made of a matrix F_l [T,T];  map = R[query, prefix..T-1]
 *
 * Only one row of R is wanted: r = e_query; r = r B_l from the last block to the first. That is
 * O(L T^2) instead of O(L T^3). Where the head pools by attention r begins as the row of its query, which
 * has no residual connection: F itself, its sum made 1 where the rows of B are normalised.
 */
#ifndef VX_EXPLAIN_ROLL_H
#define VX_EXPLAIN_ROLL_H

#include "explain/pool.h"

/* F_l of picture i, of one head or (head < 0) of all of them fused: in device memory, in a record or in
 * `space` [T,T]. */
typedef const float *vx_matrix_fn(const vx_job *job, int i, int layer, int head, float *space);

/* The row [T] that is pushed, where the query is that of a pooling head: made of rows [H,T] of its
 * attention, and behind them of the gradient where the job has one; of one head, or (head < 0) of all. */
typedef void vx_start_fn(float *row, const float *rows, const vx_job *job, int head);

/* Fills the map's planes, one for each layer and head asked for: from that block down to `start`. by_max:
 * divides each plane by its maximum. */
int vx_roll(const vx_job *job, int i, vitx_map *map, int start, vx_norm norm, vx_matrix_fn *matrix,
            vx_start_fn *pooled, bool by_max);
/* For prepare: the needs of such a row. */
void vx_roll_prepare(const vx_job *job, vx_plan *need);

#endif
