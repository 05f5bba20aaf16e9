/*
 * explain/tokens.h: what the methods on token activations share: which tokens they read, and maps
 * that are sums over the channels. Letters: T tokens, D width, P patches.
 */
#ifndef VX_EXPLAIN_TOKENS_H
#define VX_EXPLAIN_TOKENS_H

#include "explain/method.h"

/* clang-format off */
#define VX_OPTION_AT                                                                               \
    { "at", "norm1", "norm1|output", \
      "the block's tokens after its first norm, or after the block" }
/* clang-format on */

/* Reads the option and needs those tokens of the job's blocks; with `gradient` their gradient, too,
 * and the job takes part in the backward pass. VITX_INVALID if no patch can have a gradient:
 * behind the last block of a model whose head reads no patch. */
int vx_tokens_prepare(vx_at *at, vx_job *job, vx_plan *need, bool gradient);

/* The tokens of picture i, [T,D], to the host. */
int vx_tokens_download(float *tokens, const vx_job *job, int layer, vx_at at, int i);

/* map[p] = sum_c weights[c] rows[p,c], of `patches` rows [channels] */
void vx_tokens_sum(float *map, const float *rows, const double *weights, int patches, int channels);

#endif
