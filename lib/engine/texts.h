/*
 * engine/texts.h: texts through a text tower (model/text.h), in a context of their own.
 *
 * Many texts are run one behind the other, none filled up (vx_pass.starts). A text whose gradients
 * or attention are wanted is run alone, in a context of its size.
 */
#ifndef VX_ENGINE_TEXTS_H
#define VX_ENGINE_TEXTS_H

#include "engine/context.h"
#include "model/text.h"

/* A context for a text tower: max_batch texts of arch.grid_width tokens at a time (0, or more than
 * make VX_TEXTS_ROWS: as many as make that), or more of shorter ones that have no more tokens
 * together. Of opts it reads what
 * vitx_context_create reads but for what concerns pictures. Free it with vitx_context_free(). */
int vx_texts_create(vitx_context **out, vx_text_model *model, const vitx_context_opts *opts);

/* What n texts are in the progress (vx_context_begin): a tick for each block of each. */
int64_t vx_texts_ticks(const vitx_context *c, int64_t n);

/*
 * The embeddings [n,K] of n texts, not divided by their length: text i is the tokens
 * ids[starts[i]..starts[i+1]-1], of vx_text_length. As many at a time as the context has room for;
 * they are sorted inside, and what several have in common at their beginnings is run once if the
 * tower is causal (prefixes.h), which changes no answer but for the last bits (of int8: what its
 * rounding makes of these). The caller has begun the progress, of vx_texts_ticks of all texts of
 * its call. VITX_FORMAT if a number is not finite, VITX_INVALID, VITX_CANCELLED, VITX_NOMEM.
 */
int vx_texts_run(float *out, vitx_context *c, const int *ids, const int *starts, int n);

/*
 * One text of n tokens, recording what `plan` says (as vx_context_run does for a picture; rows of
 * attention are of tokens that are there): then vx_pass_backward works as it does behind a picture,
 * on arch.grid_width = n tokens, with no prefix. If plan->pixels is set, plan->dinput [G,n,D] is
 * the gradient of the token rows then. The embedding is in c->act.host.logits.
 */
int vx_texts_run_one(vitx_context *c, const int *ids, int n, vx_plan *plan);

#endif
