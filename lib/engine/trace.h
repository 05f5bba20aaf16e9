/*
 * engine/trace.h: what a forward and a backward pass leave behind, and where.
 *
 * A plan says for each block what to keep. Methods write their needs into a plan (two needs for
 * one block merge into the least that serves both), the user's wish is a plan as well, and a pass
 * follows exactly one. Placing a plan cuts one block of device memory:
 *
 *      forward   block 0: attention | tokens | kept    block 1: ...    no needs: nothing
 *      backward  block 0: d attention | d tokens        ...
 *      pooling   its attention | kept | d attention     where the head is one (VX_POOL_MAP)
 *      once      embedded | d logits | d input | work
 *
 * `kept` is what the backward pass needs of a block's forward pass. With `recompute` only the
 * inputs of the blocks are kept, and one place that serves all blocks in turn is filled again
 * before each.
 *
 * Letters: B pictures, K gradients a picture (targets), G = B*K, T tokens, D width, A = heads *
 * head width, H heads, F hidden.
 */
#ifndef VX_ENGINE_TRACE_H
#define VX_ENGINE_TRACE_H

#include "base/arena.h"
#include "base/memory.h"
#include "kernels/device.h"
#include "model/arch.h"

/* Where in a block tokens are looked at. */
typedef enum vx_at {
    VX_AT_NORM1 = 0, /* what the first norm makes of the block's input */
    VX_AT_OUTPUT,    /* the residual stream behind the block */
    VX_AT_INPUT,     /* ... before it: tokens alone, no gradients */
    VX_AT_COUNT
} vx_at;

/* What is kept of the gradient of a block's attention. */
typedef enum vx_dkeep {
    VX_DKEEP_NONE = 0,
    VX_DKEEP_PRODUCT, /* [G,T,T]: its product with the attention, heads made one (vx_product) */
    VX_DKEEP_ALL      /* [G,H,T,T] */
} vx_dkeep;

/* A block's forward pass, as far as its backward pass reads it. Where only the class token is
 * computed behind the attention, mid, the branches and pre have one row a picture. */
typedef struct vx_kept {
    vx_far *x;           /* [B,T,D]   the block's input               */
    vx_narrow *qkv;      /* [B,T,3A]                                  */
    vx_narrow *qk;       /* [B,T,2A]  q and k before their norms, if they have any */
    vx_narrow *attended; /* [B,T,A] what the attention gave, before its norm, if it has one */
    vx_far *mid;         /* [B,T,D]   behind the attention's residual */
    vx_far *branch1;     /* [B,T,D]   what the attention gives and ... */
    vx_far *branch2;     /* [B,T,D]   ... what the mlp gives, if they are normalised then */
    vx_narrow *pre;      /* [B,T,F]   fc1 before its activation; of swiglu [B,T,2F] */
    vx_narrow *hidden;   /* [B,T,F] the hidden layer before its norm, if it has one; F: of fc2 */
    vx_far *p;           /* [B,H,T,T] attention; NULL: made again of qkv */
} vx_kept;

typedef struct vx_block_plan {
    bool tokens_wanted[VX_AT_COUNT], dtokens_wanted[VX_AT_COUNT];
    vx_far *tokens[VX_AT_COUNT];  /* [B,T,D] */
    vx_far *dtokens[VX_AT_COUNT]; /* [G,T,D] */
    vx_dkeep dkeep;
    vx_product product;
    vx_far *dattention;
    vx_kept kept;
    bool widened; /* placing made the block's record hold everything, for the backward pass ... */
    vx_recorded wanted; /* ... and this is what the needs asked for                           */
} vx_block_plan;

/* Looks at what block `layer` has recorded, and at its output x [B,T,D], before the next one
 * runs; a failure ends the pass. */
typedef int vx_watch(void *watcher, int layer, const vx_far *x);

typedef struct vx_plan {
    int depth;
    vx_recorded *attention; /* [depth]; data is set by vx_plan_place */
    vx_block_plan *blocks;  /* [depth] */
    /* Blocks from here on are kept for a backward pass of their own (vx_pass_answer_backward). */
    int own_from;
    bool all_tokens; /* the last block computes every token, though the head may read one alone */
    bool pixels;     /* d input is wanted */
    bool pool_wanted, dpool_wanted; /* the attention of a pooling head, and its gradient */
    bool recompute;
    int targets; /* K; 0: there is no backward pass */

    /* With a watch all blocks record their attention in one place in turn: a whole model takes
     * no more than its largest block. For plans without gradients; NULL: none. */
    vx_watch *watch;
    void *watcher;

    /* Set by vx_plan_place, and by the forward pass if it says so. */
    void *shared;       /* the place of a watched plan's blocks */
    int lowest;         /* first block that the backward pass reaches; depth: none */
    int kept_from;      /* first block of which the forward pass is kept */
    vx_far *embedded;   /* [B,T,D] tokens before norm_pre, if there is one and pixels are wanted */
    vx_far *dlogits;    /* [G,classes]: filled by the caller of the backward pass */
    vx_far *dinput;     /* [G,C,H,W]; of a text tower [G,T,D] */
    vx_far *dx;         /* [G,T,D] the residual stream's gradient */
    vx_far *dbranch;    /* [G,T,D] the gradient before a norm behind attention or mlp, or that of a
                       * norm1 which both read; NULL: neither is */
    vx_narrow *dy;      /* [G,T,D] work of the backward pass      */
    vx_narrow *dwide;   /* [G,T,max(3A + A, F)], of swiglu 2F     */
    vx_far *dp;         /* [G,H,T,T], if no block keeps it in a place of its own. With recomputes_p
                         * NULL, or of a pooling head [G,H,R]: row 0 of each matrix */
    vx_far *relu_mean;  /* [G,H,T] with recomputes_p, for backward passes of blocks' own; or NULL */
    vx_far *dpooled;    /* [G,W], W as in engine/context.h */
    vx_kept recomputed; /* the place of the block at hand (its x is the block's own) */
    vx_far *pool_p;     /* [B,H,T] */
    vx_far *pool_dp;    /* [G,H,T] */
    vx_kept pool;       /* of a pooling head: qkv; mid and pre of one row a picture */
    const vx_far *last_x; /* by the forward pass: the last block's output, rows of T*D a picture */
} vx_plan;

/* What a plan's places depend on, of the device. */
typedef struct vx_plan_device {
    size_t narrow;     /* bytes of an element of vx_narrow */
    bool recomputes_p; /* vx_device_class.recomputes_p */
} vx_plan_device;

static inline vx_plan_device vx_plan_device_of(const vx_device_class *cls, size_t narrow)
{
    return (vx_plan_device){narrow, cls->recomputes_p != 0};
}

int vx_plan_create(vx_plan *out, const vx_arch *arch, const vitx_hooks *hooks);
void vx_plan_dispose(vx_plan *plan, const vitx_hooks *hooks);
/* No needs at all; recompute stays. */
void vx_plan_clear(vx_plan *plan);
/* dst follows the needs of src (of one model); its places are its own. */
void vx_plan_copy(vx_plan *dst, const vx_plan *src);

/* Adds a need for the attention of blocks first..last, stored as f32. fuse counts with FUSED, query
 * with ROW. */
void vx_plan_need_attention(vx_plan *plan, int first, int last, vx_keep keep, vx_fuse fuse,
                            int query);
/* The same for its gradient; product counts with VX_DKEEP_PRODUCT. With VX_DKEEP_ALL the attention
 * itself is recorded whole, too. */
void vx_plan_need_dattention(vx_plan *plan, int first, int last, vx_dkeep keep, vx_product product);
void vx_plan_need_tokens(vx_plan *plan, int layer, vx_at at);
void vx_plan_need_dtokens(vx_plan *plan, int layer, vx_at at);

/* The attention of a pooling head (arch->pool is VX_POOL_MAP), and its gradient. */
void vx_plan_need_pool(vx_plan *plan, bool gradient);

/* Whether there is a backward pass. */
static inline bool vx_plan_differentiates(const vx_plan *plan)
{
    return plan->targets > 0 || plan->own_from < plan->depth;
}
/* The blocks down to which the backward pass goes, depth if it goes nowhere. */
int vx_plan_lowest(const vx_plan *plan);
/* Whether block `layer` computes the token that the head reads alone behind its attention: the
 * class token, or, if nothing is recorded, the last one of VX_POOL_LAST. */
bool vx_plan_class_only(const vx_plan *plan, const vx_arch *arch, int layer);

/* Bytes of one picture's record of one block. */
size_t vx_recorded_bytes(const vx_recorded *r, const vx_arch *arch);
/* Takes the places of everything for `batch` pictures of `input_floats` values each from the arena
 * (base NULL: only measures). */
void vx_plan_place(vx_plan *plan, vx_arena *arena, const vx_arch *arch, vx_plan_device device,
                   int batch, size_t input_floats);

/* The part of a record that belongs to one picture of the batch. */
vx_recorded vx_recorded_picture(const vx_recorded *r, const vx_arch *arch, int picture);

/* The default query: the class token, or the last one if the head reads that; if it reads a mean of
 * patches or two tokens, that mean (VX_QUERY_PATCHES, VX_QUERY_PREFIX). In maps of a model with a
 * pooling head VX_QUERY_PATCHES stands for the head's own query (explain/pool_query.h). */
int vx_default_query(const vx_arch *arch);

#endif
