/*
 * engine/forward.h: what forward.c and backward.c share: steps of the forward pass that the
 * backward pass runs again.
 */
#ifndef VX_ENGINE_FORWARD_H
#define VX_ENGINE_FORWARD_H

#include "engine/io.h"

/* One block: the backward pass runs it again if it was not kept. */
void vx_block_forward(const vx_run *f, const vx_block_io *b);
/* The pooling head (VX_POOL_MAP): tokens -> act->pooled [B,D]. act->y is lost. */
void vx_pool_forward(const vx_run *f, const vx_pool_io *b);
/* act->pooled -> act->logits, act->probabilities. */
void vx_answer_forward(const vx_run *f);

#endif
