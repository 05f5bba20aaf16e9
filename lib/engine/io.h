/*
 * engine/io.h: a pass with its sizes at hand, and where the tensors of a block lie.
 *
 * Where a tensor lies depends on much: whether the plan records it, whether a backward pass will
 * read it, whether only the class tokens go on behind the attention, whether the sequences are of
 * different lengths. All of that is decided here, before a block runs, so that forward.c and
 * backward.c are lists of operations. A step that a pass does not need has 0 rows (kernels/ops.h).
 *
 * Letters: B sequences, T tokens, M rows of all their tokens, m rows that go on behind the
 * attention (M, or B), D width, A = heads * head width, F rows of fc1; K gradients a picture, G =
 * B*K.
 */
#ifndef VX_ENGINE_IO_H
#define VX_ENGINE_IO_H

#include "engine/pass.h"

typedef struct vx_run {
    vitx_context *c;
    const vx_pass *pass;
    vx_plan *plan; /* the pass's, or NULL */
    const vx_arch *arch;
    const vx_weights *w;
    vx_device *dev;
    const vx_ops *ops;
    const vx_activations *act;
    int batch, tokens, rows, width, attention_width;
    const int *read_rows;    /* the pass's starts, or lasts if the head reads these; or NULL */
    int attended_width;      /* of attention_width what proj reads */
    int qk_groups;           /* parts of q, or of k, that are normalised each by itself */
    int targets, gradients;  /* K, G: of the backward pass */
    int differentiated;      /* whether the plan has one */
    int tables;              /* of rotations: 1, or one for each head */
    float scale, pool_scale; /* 1 / sqrt of a head's width: of blocks, of the pooling head */
} vx_run;

vx_run vx_run_of(vitx_context *c, const vx_pass *pass);

static inline vx_narrow *vx_run_at(const vx_run *f, const vx_narrow *array, size_t element)
{
    return vx_narrow_at(array, f->c->narrow, element);
}

/* Where in act->wide the attention's output [rows,A] lies: behind the place of qkv, whether or not
 * qkv is there. */
static inline vx_narrow *vx_attended(const vx_run *f, int rows)
{
    return vx_run_at(f, f->act->wide, (size_t)rows * vx_qkv_room((size_t)f->attention_width));
}

/* Rows `ld` floats apart. */
typedef struct vx_rows {
    vx_far *at;
    int ld;
} vx_rows;

/* The token of each sequence that the head reads alone, if they are equally long. */
static inline size_t vx_read_token(const vx_run *f)
{
    return f->arch->pool == VX_POOL_LAST ? (size_t)f->tokens - 1 : 0;
}

/* Rows `ld` elements apart. */
typedef struct vx_narrow_rows {
    vx_narrow *at;
    int ld;
} vx_narrow_rows;

/* Where the tokens come out of the embedding: behind norm_pre, and before it if there is one. */
typedef struct vx_embed_io {
    bool text;              /* the input is the tokens themselves, there are no patches */
    vx_far *embedded, *x;   /* [M,D] */
    const vx_far *pos;      /* [gh*gw,D] the weights' own, or the context's for another grid; NULL:
                          * there are none, or they are added late */
    int norm_rows;          /* of norm_pre: M, or 0 */
    int late;               /* pictures whose positions are added behind it: B, or 0 */
    const vx_far *late_pos; /* [gh*gw,D] */
} vx_embed_io;

vx_embed_io vx_embed_io_of(const vx_run *f);

typedef struct vx_block_io {
    const vx_block_weights *w;
    int norm1_rows, qkv_rows, sequences; /* M, M, B; 0: the pass begins behind that step */
    vx_far *x;                           /* [M,D] the block's input                      */
    vx_narrow *norm1;                    /* [M,D] what the attention reads               */
    const vx_far *plain;                 /* ... if that is x as it is: norm1 is NULL     */
    vx_far *stay1;   /* [M,D] what norm1 makes, if it is the residual, too: norm1 is NULL */
    vx_far *through; /* [M,D] the residual: x, or stay1                             */
    const vx_packing *norm1_form; /* qkv's, if nothing else reads norm1; or NULL  */
    vx_far *norm1_to;             /* [M,D] where it is recorded in floats         */
    int norm1_recorded;           /* of these rows: M, or 0: not wanted, or norm1 lies there */
    vx_narrow *qkv;               /* [M,3A]                                       */
    const vx_packing *qkv_form;   /* the attention's, if nothing else reads qkv; or NULL */
    int qk_rows;                  /* rows whose q and k are normalised: M, or 0   */
    int qk_kept;           /* ... of which the backward pass reads what they were before: M, or 0 */
    vx_narrow *qk;         /* [M,2A] these */
    const vx_far *angles;  /* by which queries and keys are rotated (rotary.h) */
    int rotated;           /* of these rows: M, or 0: nothing is rotated   */
    vx_relative relative;  /* table NULL: nothing is added to the scores */
    int whole_rows;        /* rows of sequences with common rows (prefixes.h): W, or 0 */
    const int *whole_from; /* [W] which rows of qkv these are */
    vx_narrow *whole;      /* [W,3A] these, or qkv                         */
    vx_narrow *attended;   /* [M,A], or [W,A]                              */
    const vx_packing *attended_form; /* as norm1_form: proj's, or NULL */
    vx_recorded record;
    int queries;   /* as in vx_attention */
    int collected; /* rows of `attended` that go on and have to be collected: m, or 0 */
    int picked;    /* ... and of `through`: B, or 0 */
    const int *collected_from, *picked_from; /* which rows these are */
    vx_narrow_rows from;                     /* [m,A] the rows of `attended` that go on */
    int differences;        /* of these, rows whose second half is added to the first: m, or 0 */
    int attn_norm_rows;     /* ... that are normalised: m, or 0 */
    int attended_kept;      /* ... of which the backward pass reads what they were: m, or 0 */
    vx_narrow *attended_to; /* [m,A] these */
    vx_rows in;             /* [m,D] the rows of `through` that go on  */
    vx_rows mid;            /* [m,D] */
    int post_rows, out_post_rows; /* rows normalised behind attention and mlp: m, or 0  */
    vx_far *branch1, *branch2;    /* [m,D] these before it                                  */
    vx_rows proj, fc2;            /* where these products go: mid and out, or the branches       */
    const vx_far *proj_add, *fc2_add; /* what is added to them: in and mid, or NULL      */
    int fc2_ld;                       /* of fc2_add                                      */
    int norm2_rows;                   /* m, or 0 */
    vx_narrow *norm2;     /* [m,D] what the mlp reads                                    */
    const vx_far *plain2; /* ... if that is mid: norm2 is NULL                           */
    vx_far *stay2;        /* [m,D] as stay1                                              */
    const vx_packing *norm2_form, *hidden_form; /* as norm1_form: fc1's, fc2's, or NULL  */
    int ld2;                                    /* of either */
    vx_narrow *pre;                             /* [m,F] or NULL: not wanted               */
    vx_narrow *hidden;                          /* [m,F]; its first columns are fc2's input */
    int mlp_norm_rows; /* as of the attention: rows of hidden that are normalised, and kept */
    int hidden_kept;
    vx_narrow *hidden_to; /* [m,F of fc2] */
    vx_rows out;          /* [m,D] */
    int m, out_rows;      /* rows of fc2: m, or 0 if the block runs again for its backward pass */
    vx_far *next;         /* the next block's input */
} vx_block_io;

vx_block_io vx_block_io_of(const vx_run *f, int l);
/* Block l once more, into plan->recomputed, as far as its backward pass reads it. */
vx_block_io vx_block_io_recomputed(const vx_run *f, int l);
/* The input of block l; if l is the depth, the output of the last block. */
vx_far *vx_stream(const vx_run *f, int l);

/* The gradients of a block beside what its forward pass left. */
typedef struct vx_block_grad_io {
    const vx_block_weights *w;
    vx_kept kept;
    int rows, tokens;     /* of gradients behind the attention: G*T and T, or G and 1 */
    vx_far *dx;           /* [G,T,D]: d of the output, then of the input */
    int lddx;             /* from one of `rows` to the next              */
    int post_rows;        /* of these, rows whose branches were normalised: rows, or 0 */
    vx_rows branch;       /* [rows,D] d of a branch: dx itself, or before its norm     */
    int norm2_rows;       /* rows of the norm before the mlp: rows, or 0               */
    int mid_rows;         /* rows if the mlp read mid itself, or what is the residual, too; or 0 */
    int stay2_rows;       /* of these, rows that norm2 made: rows, or 0                */
    int parallel_rows;    /* of dnorm1: rows of norm1 that the mlp read, too: G*T, or 0 */
    vx_narrow *dhidden;   /* [rows,F] */
    vx_act act;           /* what fc2's backward goes through: the activation, unless there is */
    int mlp_norm_rows;    /* a norm behind it for so many rows, whose backward does: rows, or 0 */
    int differences;      /* as in vx_block_io: rows, or 0 */
    int attn_norm_rows;   /* rows, or 0 */
    vx_narrow *dnorm2;    /* [rows,D] */
    vx_narrow *dattended; /* [rows,A] */
    vx_relative relative;
    vx_far *dp;      /* [G,H,T,T] or NULL: not wanted */
    vx_narrow *dqkv; /* [G,T,3A] or NULL: not wanted  */
    vx_far *dnorm1;  /* [G,T,D] if it is recorded; else NULL, and it is dnorm1_n */
    vx_narrow *dnorm1_n;
    const vx_far *angles;    /* as in vx_block_io */
    int rotated;             /* rows of dqkv that are rotated back: G*T, or 0 */
    int dqkv_rows;           /* G*T, or 0: nothing below the attention is wanted */
    int qk_rows;             /* of these, rows whose q and k were normalised: G*T, or 0 */
    int norm1_rows;          /* G*T, or 0: nothing below norm1, or norm1 is behind */
    int plain_rows;          /* G*T if the attention read x itself, or what is the residual, too */
    vx_far *stay1_to;        /* [G,T,D] where d of the latter is recorded, or NULL */
    int stay1_rows;          /* G*T if norm1 made it, or 0                      */
    vx_attn_product product; /* what is kept of dp; batch 0: nothing, or dp itself */
    /* Instead of dp, with recomputes_p: */
    vx_far *fused;     /* [G,T,T] its product with the attention, or NULL ... */
    vx_product kind;   /* ... and which one */
    vx_far *relu_mean; /* [G,H,T] or NULL: not wanted */
} vx_block_grad_io;

/* Block l of a backward pass that goes down to block `lowest`. */
vx_block_grad_io vx_block_grad_io_of(const vx_run *f, int l, int lowest);

/* A pooling head; for models with another one all rows are 0. */
typedef struct vx_pool_io {
    int rows, sequences, m; /* M, B, B */
    int head_width;
    const vx_far *tokens; /* [M,D] */
    vx_narrow *qkv;       /* [M,3D] */
    vx_narrow *attended;  /* [M,D], of which one row a sequence is written */
    vx_recorded record;
    int collected;       /* of these rows, if the sequences are of different lengths: B */
    vx_narrow_rows from; /* [B,D] the rows of `attended` that go on */
    vx_far *mid;         /* [B,D]; act->pooled if there is no perceptron */
    int mlp_rows;        /* B, or 0: there is none */
    vx_narrow *pre;      /* [B,F] or NULL: not wanted */
} vx_pool_io;

/* The pooling head of no tokens: act->wide holds what its attention makes of them, 0. */
vx_pool_io vx_pool_io_nothing(const vx_run *f);

typedef struct vx_pool_grad_io {
    int m, batch, rows; /* G, B, G*T */
    int head_width;
    int mlp_rows;         /* G, or 0   */
    vx_narrow *dattended; /* [G,D] */
    vx_far *dp;        /* [G,H,dp_rows,R], whose rows 0 are filled, or NULL. R = T - pool_first */
    int dp_rows;       /* R, or 1 with recomputes_p */
    vx_far *relu_mean; /* as in vx_block_grad_io: [G,H,R] */
} vx_pool_grad_io;

/* The head: what it reads is put together in act->pooled [B,W], W = D or 2D (vx_arch_pooled). Each
 * number of rows is 0 if the model has no such step. */
typedef struct vx_head_io {
    const vx_far *x;      /* [M,D] the last block's output */
    int all_rows;         /* tokens that are normalised before pooling: M */
    const vx_far *tokens; /* [M,D] what is pooled: these, or x */
    vx_rows token;        /* token 0 (VX_POOL_LAST: the last one) of each sequence; token 1 lies D
                           * floats further */
    int copied[2];        /* tokens 0 and 1 that go into pooled from equal distances: B each */
    int collected[2];     /* ... from sequences of different lengths */
    int means;            /* sequences whose mean over the patches goes into pooled: B */
    vx_far *mean;         /* where to */
    int picked_rows;      /* vectors of pooled that are normalised only now: B, or 2B */
    vx_pool_io pool;
} vx_head_io;

/* last: the rows of the last block's output, of class tokens alone if `picked`. */
vx_head_io vx_head_io_of(const vx_run *f, const vx_far *x, vx_rows last, bool picked);

/* From pooled to logits. */
typedef struct vx_answer_io {
    int fc_norm_rows;       /* B, or 0 */
    const vx_far *features; /* [B,W] behind fc_norm, if there is one */
    int head_rows;          /* B, or 0: there is no head */
    int bare_rows;          /* B, or 0: there is one     */
} vx_answer_io;

vx_answer_io vx_answer_io_of(const vx_run *f);

/* The head's gradients: from dlogits to dpooled [G,W] to dx [G,T,D]. */
typedef struct vx_head_grad_io {
    int head_rows, bare_rows, fc_norm_rows; /* G, or 0 */
    int64_t cleared;                        /* floats of dx that begin as 0: G*T*D, or 0 */
    int means;                              /* as above: G, or 0 */
    const vx_far *dmean;
    size_t token;      /* floats before token 0 of dx, or before the last one */
    int put[2];        /* tokens 0 and 1 whose gradients go into dx: G each */
    int all_rows;      /* rows of dx that were normalised before pooling: G*T */
    int token_rows[2]; /* G each */
    vx_pool_grad_io pool;
    int64_t record_rows; /* rows of pool.dp that go to plan->pool_dp: G * its heads */
    vx_far *record;      /* where the first of these begins: at token pool_first */
} vx_head_grad_io;

vx_head_grad_io vx_head_grad_io_of(const vx_run *f);

/* The head's answer to the tokens behind another block (pass.h, vx_pass_answer): what is pooled
 * of them. */
typedef struct vx_own_io {
    const vx_far *tokens; /* [M,D] the block's output */
    vx_far *mean;         /* [B,D] its mean over all tokens */
    int all_rows;         /* of a pooling head: tokens that are normalised, M */
    int means;            /* of the others: B */
    int norm_rows;        /* means that are normalised: B */
    int plain_rows;       /* means that are pooled as they are: B */
    int second_rows;      /* of a head that reads two vectors, both of them the mean: B */
    vx_pool_io pool;
} vx_own_io;

vx_own_io vx_own_io_of(const vx_run *f, int layer);
vx_pool_grad_io vx_own_pool_grad_io(const vx_run *f);

#endif
