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

/* The order in which texts that begin alike come one behind the other: order[i] is the text at
 * place i of n. Text i is the tokens ids[starts[i]..starts[i+1]-1]. VITX_NOMEM. */
int vx_texts_sort(int *order, const vitx_hooks *hooks, const int *ids, const int *starts, int n);

/* The progress of a call that runs `all` texts, of which `done` are done: a tick for each block of
 * each. */
void vx_texts_begin(vitx_context *c, int64_t done, int64_t all);

/*
 * The embeddings of n of these texts, the first, or those that `order` names: that of text i goes
 * to out[i,:] of length K, not divided by its length. A text has as many tokens as vx_text_length
 * says. As many run at a time as the context has room for, and if the tower is causal, what they
 * have in common with the one before is run once (prefixes.h). Both change no answer but for the
 * last bits (of int8: what its rounding makes of these). The caller has begun the progress.
 * VITX_FORMAT if a number is not finite, VITX_INVALID, VITX_CANCELLED, VITX_NOMEM.
 */
int vx_texts_run(float *out, vitx_context *c, const int *ids, const int *starts, const int *order,
                 int n);

/*
 * One text of n tokens, recording what `plan` says (as vx_context_run does for a picture; rows of
 * attention are of tokens that are there): then vx_pass_backward works as it does behind a picture,
 * on arch.grid_width = n tokens, with no prefix. If plan->pixels is set, plan->dinput [G,n,D] is
 * the gradient of the token rows then. The embedding is in c->act.host.logits.
 */
int vx_texts_run_one(vitx_context *c, const int *ids, int n, vx_plan *plan);

#endif
