/*
 * engine/patch_answer.h: the head's answer to the mean over a picture's patches, whatever the head
 * reads of the picture by itself, and its gradient.
 *
 * The last block and the head run once more in the memory of variants, so the recordings of the
 * pictures stay as they are. Letters: T tokens, D width, K classes.
 */
#ifndef VX_ENGINE_PATCH_ANSWER_H
#define VX_ENGINE_PATCH_ANSWER_H

#include "engine/context.h"

/* Whether the head can read such a mean: it pools by no attention of its own, and reads one
 * vector. */
bool vx_patch_answer_serves(const vx_arch *arch);
/* Adds to the needs of variants, of which one is to be reserved with its recording. */
void vx_patch_answer_need(vx_plan *variants_need);
/* Blocks of passes that the two below run, for the progress. */
enum { VX_PATCH_ANSWER_TICKS = 2 };

/* Of x [T,D], the input of the last block: logits and probabilities [K] are then in
 * c->variants.act.host. */
int vx_patch_answer(vitx_context *c, const vx_far *x);
/* From dlogits [K] on the host, which stay as they are until the device was waited for, to the
 * gradient [T,D] of what the last block's first norm gives. Nothing may run between the two. */
int vx_patch_answer_backward(const vx_far **out, vitx_context *c, const float *dlogits);

#endif
