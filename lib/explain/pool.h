/*
 * explain/pool.h: the query of a pooling head in maps that follow attention.
 *
 * Where the head pools by attention (VX_POOL_MAP), what it reads is no token's row but P [H,T], the
 * attention of its learnt query. That is the default query of such a model:
 *
 *      in the head      P itself
 *      in block l       sum_t p_t A_l[h,t,:], p the mean of P over its heads
 *      in a rollout     the row that is pushed through the blocks, made of P (and d score / d P) as the
 *                       blocks' matrices are made of theirs
 */
#ifndef VX_EXPLAIN_POOL_H
#define VX_EXPLAIN_POOL_H

#include "explain/method.h"

/* Whether the job's query is that of a pooling head. */
bool vx_job_pools(const vx_job *job);
/* Whether its map is of the head itself: no block was asked for. */
bool vx_job_of_head(const vx_job *job);

/* rows [H,T] -> row [T]: one head, or (head < 0) all of them fused. */
void vx_fuse_rows(float *row, const float *rows, const vx_arch *arch, int head, vx_fuse fuse);

/* [H,T] of picture i to the host: P, or with `gradient` d score / d P. */
int vx_pool_download(float *rows, const vx_job *job, int i, bool gradient);

/* The query's row in each head, rows [H,T] on the host, of picture i's record of one block (kept whole
 * where the job pools), or of a gradient that lies like it. Uses context->work. */
int vx_query_rows(float *rows, const vx_job *job, int i, const vx_recorded *record);

#endif
