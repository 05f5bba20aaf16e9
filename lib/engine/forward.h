/*
 * engine/forward.h: what forward.c and backward.c share: steps of the forward pass that the
 * backward pass runs again.
 */
#ifndef VX_ENGINE_FORWARD_H
#define VX_ENGINE_FORWARD_H

#include "engine/io.h"

/* One block: the backward pass runs it again if it was not kept. */
void vx_block_forward(const vx_run *f, const vx_block_io *b);
/* The pooling head (VX_POOL_MAP) of tokens y [M,D], which may be act->y: pooled [B,D]; its attention
 * [B,H,T] into `p` where that is not NULL: 0 at tokens before pool_first. act->y is lost. */
void vx_pool_map(const vx_run *f, float *pooled, const float *y, float *p);
/* Rows of the tokens from pool_first on, `step` floats apart, to those of a picture's all: [H,T]. */
void vx_pool_spread(const vx_run *f, float *row, const float *from, ptrdiff_t step);
/* `second` counts with two heads. */
void vx_features_head(const vx_run *f, vx_rows pooled, vx_rows second);
/* m rows of `width` floats. */
void vx_copy_rows(const vx_run *f, vx_rows to, vx_rows from, int m, int width);
/* Half of m rows [D], in place of `to` or added to it. */
void vx_half_rows(const vx_run *f, vx_rows to, vx_rows from, int m, bool add);

#endif
