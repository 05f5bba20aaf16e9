/*
 * explain/variants.h: many variants of one picture, for methods: inputs that are made on the host.
 * (Patches that are taken away: patches.h. Gradients of variants: vx_walk in pixels.h.)
 *
 * prepare sets job->variants, at most vx_variants_most(job), and counts job->ticks. run() fills the
 * places of up to job->variants inputs, scores them, and goes on with the next: memory does not
 * grow with their number.
 */
#ifndef VX_EXPLAIN_VARIANTS_H
#define VX_EXPLAIN_VARIANTS_H

#include "explain/method.h"

/* How many variants without gradients run at once; at least 1. */
int vx_variants_most(const vx_job *job);
/* The place of variant v's input on the host: [C,H,W]. Workers may fill several at once. */
float *vx_variant_input(const vx_job *job, int v);
/* Runs the first n inputs: scores [n]. VITX_CANCELLED, VITX_FORMAT, VITX_DEVICE. */
int vx_variants_score(double *scores, const vx_job *job, vx_target target, int n);

#endif
