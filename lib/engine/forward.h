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
 * [B,H,T] into `p` unless that is NULL: 0 at tokens before pool_first. */
void vx_pool_map(const vx_run *f, float *pooled, const float *y, float *p);
/* act->pooled -> act->logits, act->probabilities. */
void vx_answer_forward(const vx_run *f);

#endif
