/*
 * kernels/ref/ref.h: what the scalar definitions share.
 *
 * Every sum is taken in double and rounded once, so that the definition is sharper than any f32
 * version compared with it. Nothing is allocated and nothing kept: where an operation would need
 * room for an intermediate result it is computed again, VX_REF_CHUNK columns at a time.
 * NaN in gives NaN out; infinities do what the formula in double does.
 */
#ifndef VX_KERNELS_REF_H
#define VX_KERNELS_REF_H

#include "kernels/narrow.h"

#define VX_REF_CHUNK 64

/* One activation (see enum vx_act). */
double vx_ref_act(vx_act act, double x);

/* Its derivative. */
double vx_ref_act_slope(vx_act act, double x);

/* sum a[i] b[i]; four partial sums, since one would wait for the adder at every step. */
double vx_ref_dot(const float *a, const float *b, int n);

/* Combines the value of one more head; vx_ref_fused turns what came of all heads into the result.
 * A NaN stays. */
double vx_ref_fuse(vx_fuse fuse, double so_far, double value, int head);
double vx_ref_fused(vx_fuse fuse, double combined, int heads);

/* Element i of recorded attention. */
double vx_ref_recorded(const vx_recorded *record, size_t i);
void vx_ref_record(const vx_recorded *record, size_t i, double value);

/* What is added to a score of head h. */
double vx_ref_relative(const vx_relative *r, int h, int query, int key);

#endif
