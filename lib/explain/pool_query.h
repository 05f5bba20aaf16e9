/*
 * explain/pool_query.h: the query of a pooling head in maps that follow attention.
 *
 * Where the head pools by attention (VX_POOL_MAP), what it reads is no token's row but P [H,T], the
 * attention of its learnt query. That is the default query of such a model:
 *
 *      in the head      P itself
 *      in block l       sum_t p_t A_l[h,t,:], p the mean of P over its heads
 *      in a rollout     the row that is pushed through the blocks, made of P (and d score / d P)
 *                       in the way that the blocks' matrices are made of theirs
 */
#ifndef VX_EXPLAIN_POOL_QUERY_H
#define VX_EXPLAIN_POOL_QUERY_H

#include "explain/method.h"

/* Whether the job's query is that of a pooling head. */
bool vx_job_pools(const vx_job *job);
/* Whether its map is of the head itself: no block was asked for. */
bool vx_job_of_head(const vx_job *job);

/* rows [heads,T] -> row [T]: one head, or (head < 0) all of them fused. */
void vx_fuse_rows(float *row, const float *rows, int heads, size_t tokens, int head, vx_fuse fuse);
/* The head of the pooling head's attention that goes with a block's head; -1, all of them fused, if
 * one of them has more heads than the other. */
int vx_pool_head(const vx_job *job, int head);

/* Rows are read for n pictures at once: [n,H,T] of the attention, and behind it, if the job has
 * gradients, [n,H,T] of the gradient: so many floats. */
size_t vx_query_floats(const vx_job *job, int n);
/* The rows of the pooling head's own attention, to the host. */
int vx_pool_read(float *rows, const vx_job *job, int n);
/* The rows of the query in block `layer`, or of the pooling head if the map is of that
 * (job->at_pool), to the host; `device` has room for as many. If the job pools, blocks are recorded
 * whole. */
int vx_query_read(float *rows, vx_far *device, const vx_job *job, int n, int layer);

#endif
