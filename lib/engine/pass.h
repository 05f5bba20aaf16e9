/*
 * engine/pass.h: one run of the transformer, forward and backward.
 *
 * A pass is what runs: how many sequences, in which memory, recording what. The pictures of a call
 * are one pass; the variants of a picture that a method makes (engine/variants.h) are others, with
 * memory of their own. forward.c and backward.c are mirror images.
 *
 * Passes are queued: what they make is there, and what was uploaded for them may be changed, when
 * the caller has waited for the device (vx_context_read, _answers, _settle). A pass that fails has
 * waited itself.
 */
#ifndef VX_ENGINE_PASS_H
#define VX_ENGINE_PASS_H

#include "engine/context.h"
#include "engine/prefixes.h"

/* Where a backward pass begins or ends, other than by default. */
typedef enum vx_end_at {
    VX_END_PLAN = 0, /* it begins at plan->dlogits, and ends as low as the plan's needs reach   */
    VX_END_OUTPUT,   /* at the output of block `layer`: its gradient is plan->dx [G,T,D]        */
    VX_END_ATTENTION /* it ends at the attention of block `layer`: vx_pass_answer_backward      */
} vx_end_at;

typedef struct vx_end {
    vx_end_at at;
    int layer;
} vx_end;

typedef struct vx_pass {
    const vx_activations *act;
    vx_plan *plan; /* placed; NULL: nothing is recorded */
    int batch;     /* sequences */
    /* Sequences of fewer tokens: sequence b is rows starts[b]..starts[b+1]-1, its first prefix
     * tokens are the model's. Host memory; NULL: all have the model's tokens. Nothing is
     * recorded then. */
    const int *starts;
    const int *tokens_of; /* [rows of `starts`] which token of the model each is; host memory */
    const int *lasts; /* [batch] with `starts` and VX_POOL_LAST: the last row of each sequence; host
                       * memory */
    /* With lasts, of a causal model: sequences whose first rows are there once. act has room for
     * these rows and the sequences whole. NULL: each sequence has rows of its own. */
    const vx_prefixes *prefixes;
    int first;     /* the block to begin with: act->x holds its input */
    bool at_norm1; /* act->y holds what norm1 of that block made of it */
    bool attended; /* vx_attended of act->wide holds what its attention made: [rows,A] */
    int ticks;     /* what a block of this pass is in the progress; 0: 1 */
    /* The backward pass: where it begins and ends; gradients a picture, 0: the plan's. */
    vx_end from, to;
    int targets;
    bool bare; /* vx_pass_answer: a pooling head reads the tokens without the norm before it */
    const vx_arch *arch; /* in place of the context's: the same, but for how its head pools; or
                          * NULL */
} vx_pass;

static inline int vx_pass_block_ticks(const vx_pass *pass)
{
    return pass->ticks > 0 ? pass->ticks : 1;
}

/* act->input -> act->x: patches, prefix, positions (of a text tower: the rows as they are),
 * norm_pre. */
void vx_pass_embed(vitx_context *c, const vx_pass *pass);
/* act->x -> act->logits, act->probabilities. VITX_CANCELLED. */
int vx_pass_blocks(vitx_context *c, const vx_pass *pass);
/* Both. */
int vx_pass_forward(vitx_context *c, const vx_pass *pass);

/*
 * What a model whose head reads patches alone answers if there are none, as sequence 0: the mean
 * over none, and a pooling head's attention over none, is taken to be 0.
 */
void vx_pass_no_patches(vitx_context *c, const vx_pass *pass);

/*
 * The gradients that pass->plan wants, from plan->dlogits [G,classes] down. The pass has run
 * forward with that plan, and nothing has run in its memory since. VITX_CANCELLED.
 */
int vx_pass_backward(vitx_context *c, const vx_pass *pass);

/*
 * LeGrad's two steps. The first is the head's answer to the mean over all tokens behind block
 * `layer`, or, for a pooling head, to these tokens: act->logits and act->probabilities [B,classes]
 * are its own then. If a model has two heads, both read that mean. The second goes from
 * plan->dlogits [B,classes], which the caller has filled, to the gradient of that block's own
 * attention [B,H,T,T] in plan->dp; for a pooling head to that of the head's attention over the R
 * tokens from pool_first on, [B,H,R,R], of which row 0 is filled. If there is a plan->relu_mean, it
 * gets what attn_relu_mean makes of that, head by head, and dp is not written. Nothing may run
 * between the two. The plan has own_from <= layer and all_tokens. VITX_CANCELLED.
 */
void vx_pass_answer(vitx_context *c, const vx_pass *pass, int layer);
int vx_pass_answer_backward(vitx_context *c, const vx_pass *pass, int layer);

/* Blocks that vx_pass_backward works through, for the progress. */
int vx_pass_backward_ticks(const vx_plan *plan);

#endif
