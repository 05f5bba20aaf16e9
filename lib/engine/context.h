/*
 * engine/context.h: what a context is, and how it is made. run.h runs it, footprint.h counts its
 * memory.
 *
 * One block of device memory holds what a forward pass of max_batch pictures needs (B pictures,
 * T tokens, D width, A = heads * head width, F hidden, K classes; cut by vx_activations_place in
 * footprint.c):
 *
 *      input [B,3,H,W] | x [B,T,D] | y [B,T,D] | wide [B,T,max(3A+A, F)+] | pooled [S,W] |
 *      features [S,D] | logits [S,K] | probabilities [S,K]
 *
 * With swiglu F is twice the hidden width. W is D, or 2D if the head reads two vectors; then there
 * are no features. S, sequences at once, is B, and more for variants of a
 * picture and for texts: some have fewer than T tokens. The input of a text tower is [B,T,D].
 *
 * x is the residual stream; y what a norm makes of it; wide holds qkv and the attention's output
 * in a block's first half and the hidden layer in its second, each with room for the device's own
 * forms (kernels/ops.h).
 */
#ifndef VX_ENGINE_CONTEXT_H
#define VX_ENGINE_CONTEXT_H

#include <stdatomic.h>

#include <vitx/context.h>

#include "base/pool.h"
#include "engine/scratch.h"
#include "engine/trace.h"
#include "image/sampling.h"
#include "model/model.h"

/* Memory of the host for copies, which grows and is kept. */
typedef struct vx_host_block {
    void *memory;
    size_t bytes;
    bool pinned; /* it is the device's host_alloc's */
} vx_host_block;

/* Inputs and answers on the host: the device's own memory if the host can read it, else copies.
 * Inputs that the device has made are there when vx_context_host_input (run.h) was called. */
typedef struct vx_host_side {
    float *input;                  /* [B,3,H,W]                 */
    float *logits, *probabilities; /* [S,K] each, in this order */
    vx_host_block copies;
} vx_host_side;

typedef struct vx_activations {
    vx_far *input;    /* [B,3,H,W]                */
    vx_far *x;        /* [B,T,D]                  */
    vx_narrow *y;     /* [B,T,D]                  */
    vx_far *normed;   /* [B,T,D]: the same place, for the head, whose tokens are floats */
    vx_narrow *wide;  /* [B,T,max(4A,F)] or more  */
    vx_far *pooled;   /* [S,W]                    */
    vx_far *features; /* [S,D]: pooled behind fc_norm, if there is one */
    vx_far *logits, *probabilities; /* [S,K] each, in this order and side by side: one download */
    vx_host_side host;
} vx_activations;

/* Device memory that grows and is kept. */
typedef struct vx_block {
    void *memory;
    size_t bytes;
} vx_block;

/* Where pictures lie that go to a device together. */
typedef struct vx_picture_room {
    vx_block memory;
    vx_host_block staging;
    uint64_t used; /* 1 more than c->waits was when it was; 0: never */
} vx_picture_room;

/* Pictures on their way to a device that makes inputs of them (engine/pictures.h). */
typedef struct vx_pictures {
    struct vx_sent_picture *sent; /* [max_batch] */
    vx_resampled *list;           /* [max_batch] */
    vx_picture_room rooms[2];     /* the host fills one while the device reads the other */
    int turn;                     /* the room that is next */
    /* The first `ahead` of these are on their way, though their batch has not begun. */
    const vitx_image *const *ahead_of;
    int ahead;
} vx_pictures;

/* Pictures that a method makes of one picture, run in memory of their own (engine/variants.h). */
typedef struct vx_variants {
    int capacity;  /* at once; 0: none reserved */
    int sequences; /* at once where they are shorter */
    int on_host;   /* inputs that have a place on the host; all, if device memory is the host's */
    vx_activations act;
    vx_block memory; /* of act */
    vx_plan need;    /* what the methods of the call at hand record of variants */
    vx_plan plan;    /* the same, placed */
    vx_block trace;  /* of plan */
    int planned;     /* variants that plan is placed for */
} vx_variants;

/* Variants of which the class token alone is run (engine/channels.h). */
typedef struct vx_channels {
    int capacity;       /* at once; 0: none reserved */
    vx_activations act; /* of `capacity` rows; no input */
    vx_narrow *qkv;     /* [T,3A] of the picture at hand */
    vx_block memory;    /* of both */
    int *starts, *from; /* [capacity+1] 0, 1, 2 ..; [capacity] the class token's row, 0 */
} vx_channels;

struct vitx_context {
    vitx_hooks hooks;
    vitx_model *model;
    const vx_weights *weights; /* the model's */
    /* What is run: the model's, with this context's grid and fit in them. Nobody below reads the
     * model's own. */
    vx_arch arch;
    vitx_recipe recipe;
    vx_pool *pool;
    vx_device_env env;
    vx_device *dev;
    size_t narrow;              /* bytes of an element of vx_narrow */
    struct vx_profile *profile; /* [1 + workers alone] engine/profile.c; NULL: never asked for */
    int max_batch;
    int max_tokens;
    size_t trace_budget, memory_budget;
    vx_pos_rule positions; /* how position embeddings are resampled */
    bool varies; /* each picture has its own input size: VITX_FIT_KEEP, VITX_RESIZE_PATCHES; or
                  * texts are run */
    int within_height, within_width; /* of VITX_FIT_KEEP: what inputs lie within; 0: anything */
    int max_patches;                 /* of VITX_RESIZE_PATCHES: of an input; else 0 */
    bool sized;                      /* memory is laid out for arch and recipe (size.h) */
    bool grid_open;                  /* options are checked; the picture has its own grid */
    bool previewed;                  /* options are checked; there is no picture yet */
    vitx_progress *progress;
    void *progress_payload;
    int64_t progress_done, progress_total;

    vx_block memory; /* of the activations */
    vx_activations act;
    vx_block pos_memory;
    const vx_far *pos; /* [gh*gw,D] positions resampled; NULL: the weights' own are for this grid */
    vx_block relative_memory;
    const vx_far
        *relative; /* [depth,H,vx_relative_count] for this grid; NULL: the weights' own are */
    vx_block rotation_memory;
    const vx_far *rotations;  /* rotary.h, for this grid; NULL: nothing is rotated */
    vx_placement *placements; /* [max_batch] of the last forward   */
    vx_pictures pictures;
    int inputs_away;    /* so many inputs of act are on the device alone; 0: the host has all */
    vx_scratch scratch; /* of preprocessing, on the host      */

    vx_plan wish;   /* what vitx_context_set_trace asked for          */
    vx_plan need;   /* what the methods of a vitx_explain_many need   */
    vx_block trace; /* memory of the plan in force                    */
    bool recompute; /* how gradients are made, if the caller said  */
    bool keep;
    vx_variants variants;
    vx_channels channels;
    vx_block work;       /* memory of the explain methods                  */
    bool work_taken;     /* ... is in use: it has one user at a time       */
    vx_block trace_copy; /* of what views show, if the host cannot read the device */
    int recorded;        /* pictures of the last vitx_forward whose views are valid; 0: none */
    bool differentiated; /* vitx_backward has run on them */
    bool explained;      /* the passes of the last vitx_explain lie as it left them (explained.h) */

    uint64_t waits;      /* how often the device was waited for */
    atomic_int busy;     /* 1 in a public call that changes the context */
    uint64_t generation; /* how many of these there were: views of an earlier one are stale */
};

/* Lays memory out for c->arch and c->recipe: activations, what the device needs, and position
 * embeddings if the weights' own are for another grid. Blocks grow; variants and channels
 * have to be reserved again. VITX_NOMEM past the memory_budget. After a failure nothing may run
 * until it succeeds. */
int vx_context_reserve(vitx_context *c);
/* Tells the device how much will run at once: max_batch pictures, or the variants and rows
 * reserved. */
int vx_context_reserve_device(vitx_context *c);
/* What a plan's places depend on, of the device that these options name. */
int vx_context_plan_device(vx_plan_device *out, const vitx_context_opts *o);
/* ... and of W^T from a block on (vx_weights_turned_bytes). */
int vx_context_turned_bytes(size_t *out, const vitx_model *model, const vitx_context_opts *o,
                            int from);
/* What the trace_budget means. */
static inline size_t vx_context_trace_budget(const vitx_context_opts *o)
{
    return o->trace_budget ? o->trace_budget : (size_t)1 << 30;
}
/* The host's side of activations that are placed for so many inputs and sequences. */
int vx_activations_reserve_host(vitx_context *c, vx_activations *act, int batch, int sequences);
/* Makes block at least `bytes` bytes of device memory; what it held is lost when it grows. */
int vx_block_reserve(vitx_context *c, vx_block *block, size_t bytes, const char *what);
/* The same for memory of the host: pinned, if the device has such. */
int vx_host_block_reserve(vitx_context *c, vx_host_block *block, size_t bytes, const char *what);

/* Tokens of texts at once, at most (or one text): what is computed of them stays in the caches, and
 * the weights are read seldom enough to cost little. And how many shorter texts may be in the place
 * of one of full length (engine/texts.h). */
enum { VX_TEXTS_ROWS = 1024, VX_TEXTS_SHORTER = 16 };

/* Sequences at once. */
static inline int vx_context_sequences(const vitx_context *c)
{
    return c->arch.vocabulary ? c->max_batch * VX_TEXTS_SHORTER : c->max_batch;
}

/* Floats of one input. Its sides come from the recipe: they need not be multiples of the patch. Of
 * a text tower it is the tokens' rows. */
size_t vx_context_input_count(const vitx_context *c);

#endif
