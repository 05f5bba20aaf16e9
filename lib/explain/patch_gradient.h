/*
 * explain/patch_gradient.h: the score of the head's answer to the mean over the patches, and its
 * gradient by what the last block's first norm gives (engine/patch_answer.h).
 */
#ifndef VX_EXPLAIN_PATCH_GRADIENT_H
#define VX_EXPLAIN_PATCH_GRADIENT_H

#include "explain/method.h"

/* For prepare. VITX_UNSUPPORTED: the head can read no such mean. */
int vx_patch_gradient_prepare(vx_job *job, vx_plan *need);
/* gradient [T,D], to the host, of picture i. */
int vx_patch_gradient(float *gradient, const vx_job *job, int i, vitx_map *map);

#endif
