/*
 * explain/variants.h: many variants of one picture, for methods: inputs that are made for each.
 * (Patches that are taken away: patches.h. Gradients of variants: vx_walk in pixels.h.)
 *
 * prepare sets job->variants, at most vx_variants_most(job), and counts job->ticks. run() fills the
 * places of up to job->variants inputs, scores them, and goes on with the next: memory does not
 * grow with their number. Who fills them is who reaches them quickest: the workers, where device
 * memory is the host's own, else the device (the operations of kernels/variants.h).
 */
#ifndef VX_EXPLAIN_VARIANTS_H
#define VX_EXPLAIN_VARIANTS_H

#include "explain/method.h"

/* How many variants without gradients run at once; at least 1. */
int vx_variants_most(const vx_job *job);
/* Whether the device makes variants. If not, memory of the device is the host's. */
bool vx_variants_are_far(const vx_job *job);
/* The place of variant v's input: [C,H,W]. Workers may fill several at once. */
vx_far *vx_variant_input(const vx_job *job, int v);
/* For masks that the device makes: the places of `count` pixels along a side, between `samples`
 * samples, to `to` [2,count]. host [2,count] gets them before, and stays as it is until the next
 * vx_job_read or vx_variants_score. */
vx_places vx_places_send(const vx_job *job, vx_far *to, float *host, const vx_between *places,
                         int count, int samples);
/* Runs the first n inputs: scores [n]. VITX_CANCELLED, VITX_FORMAT, VITX_DEVICE. */
int vx_variants_score(double *scores, const vx_job *job, vx_target target, int n);

#endif
