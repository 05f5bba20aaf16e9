/*
 * engine/context.h: the inside of a context.
 *
 * One block of device memory holds what a forward pass of max_batch pictures needs (B pictures,
 * T tokens, D width, A = heads * head width, F hidden, K classes; drawn by layout() in context.c):
 *
 *      input [B,3,H,W] | x [B,T,D] | y [B,T,D] | wide [B,T,max(3A+A, F)] | pooled [S,D] |
 *      features [S,D] | logits [S,K] | probabilities [S,K]
 *
 * With swiglu F is twice the hidden width. S, sequences at once, is B, and more for variants of a
 * picture: some have fewer than T tokens.
 *
 * x is the residual stream; y what a norm makes of it; wide holds qkv and the attention's output
 * in a block's first half and the hidden layer in its second.
 */
#ifndef VX_ENGINE_CONTEXT_H
#define VX_ENGINE_CONTEXT_H

#include <vitx/context.h>

#include "base/pool.h"
#include "engine/scratch.h"
#include "engine/trace.h"
#include "image/image.h"
#include "model/model.h"

typedef struct vx_activations {
    float *input;         /* [B,3,H,W]                */
    float *x, *y;         /* [B,T,D]                  */
    float *wide;          /* [B,T,max(4A,F)]          */
    float *pooled;        /* [S,D]                    */
    float *features;      /* [S,D]: pooled behind fc_norm, where there is one */
    float *logits;        /* [S,K]                    */
    float *probabilities; /* [S,K]                    */
} vx_activations;

/* Device memory that grows and is kept. */
typedef struct vx_block {
    void *memory;
    size_t bytes;
} vx_block;

/* Pictures that a method makes of one picture, run in memory of their own (engine/variants.h). */
typedef struct vx_variants {
    int capacity;  /* at once; 0: none reserved */
    int sequences; /* at once where they are shorter */
    vx_activations act;
    vx_block memory;                                      /* of act */
    float *host_input, *host_logits, *host_probabilities; /* as the context's */
    vx_plan plan;                                         /* of those that need gradients */
    vx_block trace;                                       /* of plan */
    int planned;                                          /* variants that plan is placed for */
} vx_variants;

/* Variants of which the class token alone is run (engine/channels.h). */
typedef struct vx_channels {
    int capacity;       /* at once; 0: none reserved */
    vx_activations act; /* of `capacity` rows; no input */
    float *qkv;         /* [T,3A] of the picture at hand */
    vx_block memory;    /* of both */
    int *starts, *from; /* [capacity+1] 0, 1, 2 ..; [capacity] the class token's row, 0 */
    float *host_logits, *host_probabilities; /* [capacity,K], as the context's */
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
    int max_batch;
    int max_tokens;
    size_t trace_budget, memory_budget;
    vitx_fit fit;
    vx_pos_rule positions;           /* how position embeddings are resampled */
    int within_height, within_width; /* of VITX_FIT_KEEP: what inputs lie within; 0: anything */
    bool sized;                      /* memory is laid out for arch and recipe (size.h) */
    bool grid_open;                  /* options are checked, and the picture will have its own grid */
    vitx_progress *progress;
    void *progress_payload;
    int64_t progress_done, progress_total;

    vx_block memory; /* of the activations */
    vx_activations act;
    vx_block pos_memory;
    const float *
        pos; /* [gh*gw,D] position embeddings resampled; NULL: the weights' own are for this grid */
    float *host_input, *host_logits, *host_probabilities; /* on the host: act's own where it can */
    vx_placement *placements;                             /* [max_batch] of the last forward   */
    vx_scratch scratch;                                   /* of preprocessing, on the host      */

    vx_plan wish;   /* what vitx_context_set_trace asked for          */
    vx_plan need;   /* what the methods of a vitx_explain_many need   */
    vx_block trace; /* memory of the plan in force                    */
    bool recompute; /* how gradients are made, where the caller said  */
    bool keep;
    vx_variants variants;
    vx_channels channels;
    vx_block work;       /* memory of the explain methods                  */
    bool work_taken;     /* ... is in use: it has one user at a time       */
    vx_block mirror;     /* recorded attention, where the host cannot read the device    */
    int recorded;        /* pictures of the last vitx_forward whose views are valid; 0: none */
    bool differentiated; /* vitx_backward has run on them */
};

/* Starts a public call: progress goes from 0 to `ticks`, which counts blocks of passes. */
void vx_context_begin(vitx_context *c, int64_t ticks);

/* Runs `n` <= max_batch pictures, recording what `plan` says (NULL: nothing). Logits and
 * probabilities are then in host_logits and host_probabilities [n,K], checked to be finite. */
int vx_context_run(vitx_context *c, const vitx_image *const *images, int n, vx_plan *plan);

/* Inputs that are made, not read from pictures: fill writes number v, normalised, [C,H,W]. It is called
 * by several workers at once, `worker` being which, and in no order. */
typedef struct vx_inputs {
    void (*fill)(const void *payload, int v, float *input, int worker);
    const void *payload;
} vx_inputs;
/* Writes inputs first..first+n-1 to `to`, one behind the other. */
void vx_inputs_write(vitx_context *c, const vx_inputs *inputs, float *to, int first, int n);
/* As vx_context_run with n of these: to the methods they are pictures of `image`'s size and place. */
int vx_context_run_inputs(vitx_context *c, const vitx_image *image, const vx_inputs *inputs,
                          int first, int n, vx_plan *plan);

/* Tells the caller how far the work is: so many blocks further. VITX_CANCELLED if it asks to stop. */
int vx_context_advance(vitx_context *c, int64_t ticks);
int vx_context_tick(vitx_context *c); /* one */

/* Makes block at least `bytes` bytes of device memory; what it held is lost when it grows. */
int vx_block_reserve(vitx_context *c, vx_block *block, size_t bytes, const char *what);

/* Cuts memory for `batch` sequences, or for up to `sequences` >= batch that are no more tokens; for
 * `rows` sequences of one token each, which have no input. */
void vx_activations_place(vx_activations *act, vx_arena *arena, const vitx_context *c, int batch,
                          int sequences);
void vx_activations_place_rows(vx_activations *act, vx_arena *arena, const vitx_context *c,
                               int rows);
/* Floats of one input. Its sides come from the recipe: they need not be multiples of the patch. */
size_t vx_context_input_count(const vitx_context *c);
/* Lays memory out for c->arch and c->recipe: activations, what the device needs, and position embeddings
 * where the weights' own are for another grid. Blocks grow; variants and channels have to be reserved
 * again. VITX_NOMEM past the memory_budget. After a failure nothing may run until it succeeds. */
int vx_context_reserve(vitx_context *c);
/* Bytes of the activations; SIZE_MAX where they cannot be counted. */
size_t vx_context_activation_bytes(const vitx_context *c);
/* The largest sizes that the device will meet, with the variants and channels reserved. */
vx_dims vx_context_dims(const vitx_context *c);
/* All that the context holds for running pictures of its size on `dev`; VITX_NOMEM past the
 * memory_budget. */
int vx_context_bytes(size_t *out, const vitx_context *c, const vx_device *dev);
/* The bytes of activations with `bytes` more beside them, for so many variants at once, or (the other is
 * 0) rows of channels; what is reserved of the other kind is counted, too. SIZE_MAX where they cannot be
 * counted. */
size_t vx_context_bytes_beside(const vitx_context *c, int variants, int channels, size_t bytes);
/* VITX_NOMEM where these are past the memory_budget. */
int vx_context_allow_beside(const vitx_context *c, int variants, int channels, size_t bytes);
/* Tells the device how much will run at once: max_batch pictures, or the variants and rows reserved. */
int vx_context_reserve_device(vitx_context *c);
/* The bytes of a plan for `batch` pictures, SIZE_MAX where they cannot be counted. Where the caller
 * left it open, blocks are kept if that fits the budget, else computed again (plan->recompute). */
size_t vx_context_plan_bytes(const vitx_context *c, vx_plan *plan, int batch);
/* Places the plan in `trace`, within the budget. */
int vx_context_place(vitx_context *c, vx_plan *plan, vx_block *trace, int batch);
/* The device's logits and probabilities [n,K] to the host's, checked to be finite. */
int vx_context_answers(vitx_context *c, const vx_activations *act, float *logits,
                       float *probabilities, int n);

/* Waits for the device; VITX_DEVICE if it failed. */
int vx_context_sync(vitx_context *c);
/* The same at the end of work that gave `status`: if that is a failure, the device is still waited
 * for, since what was queued may use memory that the caller gives back next; `status` and its
 * message stay. */
int vx_context_settle(vitx_context *c, int status);

#endif
