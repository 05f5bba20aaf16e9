/*
 * explain/explain.h: explaining inputs that are no pictures: noisy ones, or the same one where the
 * context's weights have been changed.
 *
 * Part of a call of the library that has begun already: neither starts the progress anew.
 */
#ifndef VX_EXPLAIN_EXPLAIN_H
#define VX_EXPLAIN_EXPLAIN_H

#include <vitx/explain.h>

#include "engine/run.h"

/* The maps of `n` inputs, as vitx_explain_many: out [n]. Each is a map of `image` to all who
 * ask. */
int vx_explain_inputs(vitx_map **out, vitx_context *c, const vitx_image *image,
                      const vx_inputs *inputs, int n, const vitx_explain_opts *opts);
/* By how many blocks that moves the progress. VITX_INVALID if the options are wrong. */
int vx_explain_ticks(int64_t *out, vitx_context *c, const vitx_explain_opts *opts, int n);

#endif
