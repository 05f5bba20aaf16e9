/*
 * explain/roll.h: what the rollouts share: one row vector pushed through the blocks.
 *
 *     R = B_last ... B_start,  B_l made of a matrix F_l [T,T];  map = R[query, prefix..T-1]
 *
 * Only one row of R is wanted: r = e_query; r = r B_l from the last block to the first. That is
 * O(L T^2) instead of O(L T^3).
 */
#ifndef VX_EXPLAIN_ROLL_H
#define VX_EXPLAIN_ROLL_H

#include "explain/method.h"

/* F_l of picture i, of one head or (head < 0) of all of them fused: in device memory, in a record or in
 * `space` [T,T]. */
typedef const float *vx_matrix_fn(const vx_job *job, int i, int layer, int head, float *space);

/* Fills the map's planes, one for each layer and head asked for: from that block down to `start`. by_max:
 * divides each plane by its maximum. */
int vx_roll(const vx_job *job, int i, vitx_map *map, int start, vx_norm norm, vx_matrix_fn *matrix,
            bool by_max);

#endif
