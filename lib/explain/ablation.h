/*
 * explain/ablation.h: the score with one channel of a block's tokens after the other set to a
 * value, in all tokens at once.
 *
 * Only what lies behind those tokens is run again. Behind norm1 of the last block of a model whose
 * head reads the class token that is one row a channel (engine/channels.h); elsewhere whole
 * sequences run from the block on.
 */
#ifndef VX_EXPLAIN_ABLATION_H
#define VX_EXPLAIN_ABLATION_H

#include "explain/method.h"

/* Channels of block `layer`'s tokens at `at`. */
typedef struct vx_ablation {
    const vx_job *job;
    vx_at at; /* VX_AT_NORM1 or VX_AT_OUTPUT */
    int layer;
} vx_ablation;

/* For prepare: what ablation of the job's blocks needs beside those tokens themselves. */
void vx_ablation_prepare(vx_job *job, vx_plan *need, vx_at at);
/* scores[c] = what the map of picture `i` explains, of the picture with channel c set to `value`:
 * for all D channels, in as many forward passes. The map sees the scores (vx_map_saw).
 * VITX_NOMEM, VITX_CANCELLED, VITX_FORMAT, VITX_DEVICE. */
int vx_ablation_scores(double *scores, const vx_ablation *a, int i, float value, vitx_map *map);

#endif
