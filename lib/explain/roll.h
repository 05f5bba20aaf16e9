/*
 * explain/roll.h: what the rollouts share: one row vector pushed through the blocks.
 *
 *     R = B_last ... B_start,  B_l made of a matrix F_l [T,T];  map = R[query, prefix..T-1]
 *
 * Only one row of R is wanted: r = e_query; r = r B_l from the last block to the first. That is
 * O(L T^2) instead of O(L T^3). Where the head pools by attention r begins as the row of its query,
 * which has no residual connection: F itself, its sum made 1 where the rows of B are normalised.
 */
#ifndef VX_EXPLAIN_ROLL_H
#define VX_EXPLAIN_ROLL_H

#include "explain/pool_query.h"

/* F_l of pictures first..first+n-1, of one head or (head < 0) of all of them fused: [n,T,T] in
 * device memory, in a record or in `space` [n,T,T]. */
typedef const vx_far *vx_matrix_fn(const vx_job *job, int first, int n, int layer, int head,
                                   vx_far *space);

/* The row [T] that is pushed if the query is that of a pooling head: made of rows [H,T] of its
 * attention and (if the job has one, else NULL) of its gradient; of one head, or (head < 0) of
 * all. */
typedef void vx_start_fn(float *row, const float *attention, const float *gradient,
                         const vx_job *job, int head);

typedef struct vx_roll {
    int start; /* rows are pushed from the map's block down to this one */
    vx_norm norm;
    vx_matrix_fn *matrix;
    vx_start_fn *pooled;
    bool by_max; /* each plane is divided by its maximum */
} vx_roll;

/* Fills the planes of the n maps, one for each layer and head asked for. Takes the work memory. */
int vx_roll_run(const vx_job *job, int n, vitx_map *const *maps, const vx_roll *roll);
/* For prepare: the needs of such a row. */
void vx_roll_prepare(const vx_job *job, vx_plan *need);

#endif
