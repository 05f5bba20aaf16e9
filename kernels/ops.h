/*
 * kernels/ops.h: the arguments of the operations and the operation table.
 *
 * Everything above kernels/ computes through this table only. All pointers to vx_far, vx_narrow and
 * recorded data are memory of the device (vx_device_class.mem_alloc).
 *
 * A device may put an operation off until sync (device.h says what may be reused when). It copies
 * what it still needs of the host's memory at the call: the struct, its vx_weight or vx_recorded,
 * and the arrays that are called host memory here.
 *
 * Letters: B pictures, T tokens, D width, H heads, E head width, P prefix tokens, K classes.
 */
#ifndef VX_KERNELS_OPS_H
#define VX_KERNELS_OPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/form.h"
#include "kernels/kinds.h"
#include "kernels/resample.h"
#include "kernels/variants.h"

/* The sources of a GPU are C++. */
#ifdef __cplusplus
extern "C" {
#endif

typedef struct vx_device vx_device;

/* clang-format off */

/*
 * What flows between the operations of a block (what a norm makes of the tokens, qkv, what the
 * attention gives, the hidden layer, and their gradients) is of the device's own type: float, or a
 * narrower one. Only the device knows which; vx_device_class.narrow_bytes tells its size. The type
 * is incomplete, so a place inside such an array is found by vx_narrow_at alone.
 *
 * A member x_n beside a member x is its twin: the same array in the narrow type. One of the two is
 * NULL. Distances between rows count elements of either.
 */
typedef struct vx_narrow vx_narrow;

static inline vx_narrow *vx_narrow_at(const vx_narrow *array, size_t element_bytes, size_t element)
{
    return (vx_narrow *)((const char *)array + element_bytes * element);
}

/* A matrix [n,k] in the form the device packed it (vx_packing in device.h), with its bias. */
typedef struct vx_packing vx_packing;
typedef struct vx_weight {
    const void *data;   /* packing->bytes(n, k) bytes */
    const vx_far *bias; /* [n] or NULL              */
    int n, k;
    const vx_packing *packing;
    const void *turned; /* what vx_device_class.turn made of it, for linear_bwd; or NULL */
} vx_weight;

/* f32 [n,k], row-major: what the reference reads. */
extern const vx_packing vx_packing_plain;

/*
 * All numbers of rows, pictures, gradients and elements may be 0: such an operation does nothing,
 * and its pointers are not read. So a caller need not ask whether there is anything to do.
 */

/* The layernorm in front of a product, over its k columns: see struct vx_layernorm. */
typedef struct vx_prologue {
    const vx_far *weight, *bias; /* [k]; weight NULL: none */
    float eps;
} vx_prologue;

/*
 * pre = x W^T + bias;  y = residual + gamma * act(pre). If pre is NULL, it is not written.
 * VX_ACT_SWIGLU: y is [m,n/2]. There is a pre then, which may be y itself, and no gamma and no
 * residual.
 */
typedef struct vx_linear {
    vx_far *y;              /* [m,n], rows ldy apart; must not overlap x. NULL: only pre wanted */
    int ldy;
    vx_far *pre;            /* [m,n], rows ldp apart, or NULL; overlaps neither x nor residual */
    int ldp;
    const vx_far *x;        /* [m,k], rows ldx apart                                          */
    int ldx;
    const vx_weight *w;
    const vx_far *gamma;    /* [n] LayerScale or NULL                                         */
    const vx_far *residual; /* [m,n], rows ldr apart, or NULL; may be y itself                */
    int ldr;
    vx_act act;
    int m;
    vx_prologue norm;       /* if norm.weight is not NULL, x (not x_n) is normalised first    */
    vx_far *normed;         /* [m,k]: what x became. A device that does not need this room writes
                             * it only if keep_normed.                                        */
    int keep_normed;
    vx_narrow *y_n, *pre_n;
    const vx_narrow *x_n;
    const vx_packing *y_form; /* of the only reader of y_n, or NULL; not with VX_ACT_SWIGLU   */
    int y_part;               /* head_width, if that reader is attention; else 0              */
    int x_formed;             /* nonzero: x_n was written with this weight's packing as y_form */
} vx_linear;

/*
 * Gradients of activations come as rows [G = B*targets, T, .] beside activations [B, T, .] of B
 * pictures: row g*T + t of a gradient belongs to row (g / targets)*T + t of what the forward pass
 * left. `tokens` is T, or 1 where only one token of each picture is there.
 */

/* dx[m,k] = act'(pre[m,k]) * ((gamma[n] * dy[m,n]) W): the gradient of a linear's input; act is the
 * activation that made that input from pre. VX_ACT_SWIGLU: dx and pre are [.,2k]. */
typedef struct vx_linear_bwd {
    vx_far *dx;          /* [m,k], rows lddx apart; must not overlap dy                     */
    int lddx;
    const vx_far *dy;    /* [m,n], rows lddy apart                                          */
    int lddy;
    const vx_weight *w;  /* [n,k]                                                           */
    const vx_far *gamma; /* [n] LayerScale or NULL                                          */
    const vx_far *pre;   /* [m/targets,k], rows ldp apart; NULL where act is VX_ACT_NONE    */
    int ldp;
    vx_act act;
    int m, tokens, targets; /* m = G*tokens */
    vx_narrow *dx_n;
    const vx_narrow *dy_n, *pre_n;
} vx_linear_bwd;

/* With xhat = (x - mean)/sqrt(var + eps) and u = weight * dy:
 * dx (+)= (u - mean(u) - xhat mean(u xhat)) / sqrt(var + eps). dx may be dy. With rms mean and
 * mean(u) are 0. If x was made by an activation, x = act(pre), dx is multiplied by act'(pre); of
 * VX_ACT_SWIGLU dx and pre are [.,2n]. Then there is neither accumulate nor groups. */
typedef struct vx_layernorm_bwd {
    vx_far *dx;           /* [m,n], rows lddx apart                                         */
    int lddx;
    const vx_far *dy;     /* [m,n], rows lddy apart                                         */
    int lddy;
    const vx_far *x;      /* [m/targets,n], rows ldx apart: the input of the forward pass   */
    int ldx;
    const vx_far *weight; /* [n]                                                            */
    float eps;
    int accumulate;       /* nonzero: added to dx                                           */
    int m, n, tokens, targets;
    const vx_narrow *dy_n;
    int rms, groups;      /* as in vx_layernorm                                             */
    vx_act act;           /* VX_ACT_NONE: pre is not read                                   */
    const vx_far *pre;    /* [m/targets,n], rows ldp apart                                  */
    int ldp;
    vx_narrow *dx_n;
    const vx_narrow *x_n, *pre_n;
} vx_layernorm_bwd;

/* With u, v the halves of x and s = 1/(1 + exp(-u)):
 * dx = [dy * v * (s + u s (1 - s)), dy * u s]. dy may be the first half of dx's rows. */
typedef struct vx_swiglu_bwd {
    vx_far *dx;       /* [m,2n], rows lddx apart                                            */
    int lddx;
    const vx_far *dy; /* [m,n], rows lddy apart                                             */
    int lddy;
    const vx_far *x;  /* [m/targets,2n], rows ldx apart: the input of the forward pass      */
    int ldx;
    int m, n, tokens, targets;
} vx_swiglu_bwd;

/* y[i] = 1 / (1 + exp(-x[i])), without overflow for any x; y may be x. */
typedef struct vx_sigmoid {
    vx_far *y;       /* [count] */
    const vx_far *x; /* [count] */
    int64_t count;
} vx_sigmoid;

/*
 * Tokens of pictures: y[b,p,:] = prefix[p,:] for p < prefix_count, then for every patch, row by
 * row, w * patch + bias + pos[patch,:]. A patch is read as [channel,row,column] (a convolution
 * whose stride is its kernel). Pixels beyond the last whole patch are not read.
 */
typedef struct vx_patch_embed {
    vx_far *y;            /* [B, prefix_count + gh*gw, D]                                      */
    const vx_far *image;  /* [B,C,H,W]                                                         */
    const vx_weight *w;   /* [D, C*ph*pw]                                                      */
    const vx_far *prefix; /* [prefix_count, D], position embedding already added; or NULL      */
    const vx_far *pos;    /* [gh*gw, D] or NULL                                                */
    int batch, channels, height, width, patch_height, patch_width, prefix_count;
} vx_patch_embed;

/* dimage[g,c,y,x] of the pixels a patch embedding read; 0 beyond the last whole patch. Gradients of
 * prefix tokens are not read. */
typedef struct vx_patch_embed_bwd {
    vx_far *dimage;     /* [G,C,H,W]                                                       */
    const vx_far *dy;   /* [G, prefix_count + gh*gw, D]                                    */
    const vx_weight *w; /* [D, C*ph*pw]                                                    */
    int batch, channels, height, width, patch_height, patch_width, prefix_count; /* batch: G */
} vx_patch_embed_bwd;

/* The row of an activation [B,tokens,.] that row r of a gradient [B*targets,tokens,.] belongs
 * to. */
static inline size_t vx_forward_row(int r, int tokens, int targets)
{
    return (size_t)(r / tokens / targets) * (size_t)tokens + (size_t)(r % tokens);
}

/* A distance between rows; 0 stands for their width. */
static inline size_t vx_distance(int ld, int width)
{
    return (size_t)(ld ? ld : width);
}

/* Sequences of different lengths: where sequence b begins, in rows, and how many tokens it has. */
static inline size_t vx_start_of(const int *starts, int b, int tokens)
{
    return starts ? (size_t)starts[b] : (size_t)b * (size_t)tokens;
}

static inline int vx_tokens_of(const int *starts, int b, int tokens)
{
    return starts ? starts[b + 1] - starts[b] : tokens;
}

/* A query that is no token: the mean over the rows of several. `prefix`: how many tokens stand
 * before the patches. */
enum { VX_QUERY_PATCHES = -1 /* prefix..T-1 */, VX_QUERY_PREFIX = -2 /* 0..prefix-1 */ };

static inline int vx_query_first(int query, int prefix)
{
    return query >= 0 ? query : query == VX_QUERY_PATCHES ? prefix : 0;
}

/* The row behind the last one. */
static inline int vx_query_end(int query, int prefix, int tokens)
{
    return query >= 0 ? query + 1 : query == VX_QUERY_PATCHES ? tokens : prefix;
}

/* What attention leaves behind of its probabilities, and where. */
typedef struct vx_recorded {
    void *data;     /* ROW [B,H,T], FUSED [B,T,T], ALL [B,H,T,T]; NULL with VX_KEEP_NONE       */
    vx_keep keep;
    vx_store store; /* type of data: float, or IEEE half in uint16_t (round to nearest even)   */
    vx_fuse fuse;   /* of VX_KEEP_FUSED                                                        */
    int query;      /* of VX_KEEP_ROW: the token, or a mean: see vx_query_first                */
    int prefix;     /* tokens before the patches */
    int batch, heads, tokens;
} vx_recorded;

/*
 * What is added to the scores of head h by where two patches of a grid lie to each other (Shaw et
 * al. 2018; Bao et al. 2021):
 * table[h][(y' - y + height - 1) * (2 width - 1) + x' - x + width - 1] for
 * the query (y,x) and the key (y',x'). The first `prefix` tokens are no patches; the last three
 * elements of table[h] are for a query among them and a patch, a patch and a key among them, and
 * both among them.
 */
typedef struct vx_relative {
    const vx_far *table; /* [H, vx_relative_count]; NULL: nothing is added */
    int height, width, prefix;
} vx_relative;

static inline size_t vx_relative_count(int height, int width)
{
    return (2 * (size_t)height - 1) * (2 * (size_t)width - 1) + 3;
}

/*
 * Rotary positions (Su et al. 2021, eq. 34): queries and keys are rotated in place. In every head
 * E/2 pairs (x,y) become (x cos - y sin, x sin + y cos); pair i is the elements i and E/2 + i of
 * the head if `half`, else 2i and 2i + 1. Values, and tokens before `first`, stay as they are.
 */
typedef struct vx_rotate {
    vx_far *qkv;         /* [rows,3*H*E]                                                      */
    const vx_far *table; /* [patches,tables,E]: E/2 cosines, then E/2 sines                   */
    int tables;          /* 1: one for all heads; or H                                        */
    const int *tokens_of; /* [rows] host memory, may be reused on return: row r is that token of a
                           * whole sequence. NULL: token r % tokens                          */
    int rows, tokens, first, heads, head_width;
    int half, inverse;   /* inverse: by the negative angle, as gradients are                  */
    vx_narrow *qkv_n;
} vx_rotate;

/* The table's row of row r, of the first head; NULL: the row is not rotated. */
static inline const float *vx_rotate_row(const vx_rotate *a, int r)
{
    const int patch = (a->tokens_of ? a->tokens_of[r] : r % a->tokens) - a->first;
    return patch < 0 ? NULL
                     : a->table + (size_t)patch * (size_t)a->tables * (size_t)a->head_width;
}

/*
 * y[b,t,h*E+e] = sum_s p[b,h,t,s] v[b,s,h,e],  p[b,h,t,:] = softmax_s(scale * q[b,t,h,:] .
 * k[b,s,h,:] + relative), over the tokens s that t attends to: all, or with `causal` those up to
 * itself. qkv holds, for every token, q of all heads, then k, then v (each H*E wide).
 * [B,H,T,T] exists only where record.keep is VX_KEEP_ALL; otherwise a strip of rows per worker
 * does. Vaswani et al. 2017, eq. 1.
 */
typedef struct vx_attention {
    vx_far *y;         /* [B,T,H*E]                         */
    const vx_far *qkv; /* [B,T,3*H*E]                       */
    float scale;       /* 1/sqrt(E) for every present family */
    int batch, tokens, heads, head_width;
    vx_recorded record; /* its batch, heads, tokens equal the above unless keep is NONE */
    /* Sequences of different lengths, one behind the other: sequence b is rows starts[b] to
     * starts[b+1]-1, none longer than `tokens`, at least 1. Host memory, may be reused on return.
     * Nothing is recorded then. NULL: B sequences of `tokens` rows. */
    const int *starts;
    int queries; /* only the rows of the first so many tokens of each are computed; 0: all */
    int differentiated; /* nonzero: gradients will be taken. They suffer more from errors of q k^T,
                         * which are exponents, than y: a device of few bits takes more for it */
    /* The tokens before this one are not there: none of them is a query or is attended to, their
     * rows of y are not written, and a recorded row is 0 at them. `queries` are counted from it;
     * each sequence is longer. If it is not 0, record.keep is NONE, or ROW of one query from
     * `first` on, and there is no relative.table. */
    int first;
    vx_narrow *y_n;
    const vx_narrow *qkv_n;
    vx_relative relative;
    const int *tokens_of; /* [rows of `starts`], for `relative`: row r is that token of a whole
                           * sequence, and a sequence's tokens are in that order. Host memory, may
                           * be reused on return. NULL: they are numbered in each sequence */
    const vx_packing *qkv_form; /* with which qkv_n was written as y_form, by one linear, or NULL.
                                 * The rows are those of the B sequences alone, and
                                 * `differentiated` is 0                                        */
    const vx_packing *y_form;   /* of the only reader of y_n, which reads whole rows, or NULL;
                                 * head_width is a multiple of 32 then                          */
    int causal; /* nonzero: no token attends to those behind it; what is recorded of them is 0 */
} vx_attention;

/*
 * Attention of one query, with one channel after the other of the tokens x that qkv was made of set
 * to `value`. As qkv is linear in x, row t of it becomes, in variant s,
 *   qkv[t,:] + (value - x[t,channels[s]]) * columns[s,:],
 *   columns[s,:] = W[:,channels[s]] of qkv = x W^T + b;
 * y[s,:] is what that attention gives for the query.
 */
typedef struct vx_attention_replaced {
    vx_far *y;             /* [count,H*E]                                     */
    const vx_far *qkv;     /* [T,3*H*E], of x as it is                        */
    const vx_far *x;       /* [T,D]                                           */
    const vx_far *columns; /* [count,3*H*E]                                   */
    const int *channels;   /* [count]; host memory, and may be reused on return */
    float value, scale;
    int count, query, tokens, width, heads, head_width;
    vx_narrow *y_n;
    const vx_narrow *qkv_n, *columns_n;
} vx_attention_replaced;

/*
 * With p = softmax(scale q k^T + relative) as above, for every gradient g and head:
 *   dp = dy v^T;  ds = p * (dp - rowsum(p * dp));
 *   dq = scale ds k;  dk = scale ds^T q;  dv = p^T dy.
 * Only the rows of the tokens first..first+queries-1 have a gradient: dp and dq of the others are
 * 0. Any of the outputs may be NULL. product is what attn_product makes of p and dp of all heads,
 * relu_mean what attn_relu_mean makes of dp, head by head; dp itself need not be there for them.
 */
typedef struct vx_attention_bwd {
    vx_far *dqkv;      /* [G,T,3*H*E]                                                      */
    vx_far *dp;        /* [G,H,R,R], R = T - first                                         */
    const vx_far *dy;  /* [G,queries,H*E]                                                  */
    const vx_far *qkv; /* [B,T,3*H*E]                                                      */
    const vx_far *p;   /* [B,H,T,T] as recorded whole in f32; NULL: computed again         */
    float scale;
    int batch, targets, tokens, heads, head_width, queries; /* batch: B; queries: 1..R */
    int first; /* as in vx_attention: dqkv is 0 before it; if it is not 0, p is NULL, and there is
                * no relative.table */
    vx_narrow *dqkv_n;
    const vx_narrow *dy_n, *qkv_n;
    vx_relative relative; /* read if p is NULL */
    /* For classes with recomputes_p (device.h); others are given NULL, and 0 or R. */
    vx_far *product;      /* [G,R,R] */
    vx_product kind;      /* of product */
    vx_far *relu_mean;    /* [G,H,R]: the mean is over R rows */
    int dp_rows;          /* of each matrix of dp only so many rows are there, the first; 0: R */
    int causal; /* as in vx_attention; read if p is NULL. dp is dy v^T of all pairs nevertheless */
} vx_attention_bwd;

/* How many rows of each of its matrices dp has. */
static inline size_t vx_dp_rows(const vx_attention_bwd *a)
{
    return (size_t)(a->dp_rows ? a->dp_rows : a->tokens - a->first);
}

/* y[m,:] = residual[m,:] + (x[m,:] - mean) / sqrt(var + eps) * weight + bias over n columns, var
 * biased (1/n).
 * Ba et al. 2016, eq. 3-4. With rms the mean is taken to be 0, var is the mean of the squares
 * (Zhang & Sennrich 2019, eq. 4). A row is `groups` such rows of n columns, one behind the other,
 * which have the same weight and bias. */
typedef struct vx_layernorm {
    vx_far *y;            /* [m,n], rows ldy apart; may be x */
    int ldy;
    const vx_far *x;      /* [m,n], rows ldx apart          */
    int ldx;
    const vx_far *weight; /* [n]                            */
    const vx_far *bias;   /* [n], or NULL: 0                */
    float eps;
    int m, n;
    vx_narrow *y_n;
    int rms, groups;      /* groups 0: 1                    */
    const vx_far *residual; /* [m,n], rows ldr apart, or NULL: 0; may be y itself */
    int ldr;
    const vx_narrow *x_n;
    const vx_packing *y_form; /* of the only reader of y_n, or NULL; without groups, residual */
} vx_layernorm;

/* The parts of a row that are normalised each by itself. */
static inline int vx_groups(int groups)
{
    return groups > 0 ? groups : 1;
}

/* The two operations that a linear with a norm is, if a device does not fuse them. */
static inline vx_layernorm vx_layernorm_before(const vx_linear *a)
{
    vx_layernorm norm;
    memset(&norm, 0, sizeof norm);
    norm.y = a->normed;
    norm.ldy = a->w->k;
    norm.x = a->x;
    norm.ldx = a->ldx;
    norm.weight = a->norm.weight;
    norm.bias = a->norm.bias;
    norm.eps = a->norm.eps;
    norm.m = a->m;
    norm.n = a->w->k;
    return norm;
}

static inline vx_linear vx_linear_normed(const vx_linear *a)
{
    vx_linear rest = *a;
    rest.x = a->normed;
    rest.x_n = NULL;
    rest.ldx = a->w->k;
    memset(&rest.norm, 0, sizeof rest.norm);
    return rest;
}

/* y = act(x). (Inside linear the same functions are fused.) */
typedef struct vx_activate {
    vx_far *y;       /* [count]; may be x */
    const vx_far *x; /* [count]          */
    vx_act act;
    int64_t count;
} vx_activate;

/* y[m,:] = silu(x[m,0..n-1]) * x[m,n..2n-1], silu(v) = v / (1 + exp(-v)). Shazeer 2020, eq. 6 (the
 * product of both halves with W_2 is a linear). */
typedef struct vx_swiglu {
    vx_far *y;       /* [m,n], rows ldy apart; may be x */
    int ldy;
    const vx_far *x; /* [m,2n], rows ldx apart         */
    int ldx;
    int m, n;
} vx_swiglu;

/* y[m,:] = exp(x[m,:] - max) / sum */
typedef struct vx_softmax {
    vx_far *y;       /* [m,n]; may be x */
    const vx_far *x; /* [m,n]          */
    int m, n;
} vx_softmax;

/* y[b,:] = mean over the tokens first..T-1 of x[b,t,:]; the mean over no tokens is 0 */
typedef struct vx_mean_tokens {
    vx_far *y;         /* [B,D], rows ldy apart                            */
    int ldy;           /* 0: D                                             */
    const vx_far *x;   /* [B,T,D]                                          */
    const int *starts; /* sequences of several lengths, as in vx_attention; host memory, too */
    int first, batch, tokens, width;
} vx_mean_tokens;

/* dx[b,t,:] = dy[b,:] / (T - first) for the tokens t >= first, 0 before them */
typedef struct vx_mean_tokens_bwd {
    vx_far *dx;       /* [B,T,D]               */
    const vx_far *dy; /* [B,D], rows lddy apart */
    int lddy;         /* 0: D                  */
    int first, batch, tokens, width;
} vx_mean_tokens_bwd;

/* y = 0 */
typedef struct vx_clear {
    vx_far *y; /* [count] */
    int64_t count;
    vx_narrow *y_n;
} vx_clear;

/* y[i,:] = scale * x[i,:], or with accumulate y[i,:] += scale * x[i,:], for m rows of n columns. A
 * scale of 1 without accumulate keeps every bit. */
typedef struct vx_copy_rows {
    vx_far *y;       /* [m,n], rows ldy apart; must not overlap x       */
    int64_t ldy;
    const vx_far *x; /* [m,n], rows ldx apart; ldx 0: one row for all   */
    int64_t ldx;
    int64_t m, n;
    float scale;
    int accumulate;
    vx_narrow *y_n;
    const vx_narrow *x_n;
} vx_copy_rows;

/* y[s,:,:] = x with column channels[s] set to `value`, for s = 0..count-1 */
typedef struct vx_replace_channels {
    vx_far *y;           /* [count,T,D]                               */
    const vx_far *x;     /* [T,D]                                     */
    const int *channels; /* [count], host memory; reusable on return  */
    float value;
    int count, tokens, width;
    vx_narrow *y_n;
} vx_replace_channels;

/* y[r,:] = a[from[r],:] if from[r] >= 0, else b[-1 - from[r],:] */
typedef struct vx_gather_rows {
    vx_far *y;       /* [rows,D], rows ldy apart                  */
    int ldy;         /* 0: D                                      */
    const vx_far *a; /* [.,D]                                     */
    const vx_far *b; /* [.,D] or NULL                             */
    const int *from; /* [rows], host memory; reusable on return   */
    int rows, width;
    vx_narrow *y_n;
    const vx_narrow *a_n;
} vx_gather_rows;

/* sum[g,i] += over s of weights[s] * x[g,s,i], or, if squared, of weights[s] * x[g,s,i]^2 */
typedef struct vx_add_weighted {
    vx_far *sum;           /* [groups,n]                                */
    const vx_far *x;       /* [groups,samples,n]                        */
    const vx_far *weights; /* [samples], host memory; reusable on return */
    int squared, groups, samples;
    int64_t n;
} vx_add_weighted;

/* out[g,i] = the channels of g[g,c,i], each first multiplied by x[b,c,i] unless x is NULL, made
 * one: see enum vx_reduce. g = b*targets + k belongs to picture b. */
typedef struct vx_reduce_channels {
    vx_far *out;     /* [B*targets,n]         */
    const vx_far *g; /* [B*targets,channels,n] */
    const vx_far *x; /* [B,channels,n] or NULL */
    vx_reduce kind;
    int batch, targets, channels;
    int64_t n;
} vx_reduce_channels;

/* The same for gradient g alone. */
static inline vx_reduce_channels vx_reduce_channels_of(const vx_reduce_channels *a, int g)
{
    const int64_t picture = a->channels * a->n;
    vx_reduce_channels one = *a;
    one.out += g * a->n;
    one.g += g * picture;
    one.x = a->x ? a->x + g / a->targets * picture : NULL;
    one.batch = one.targets = 1;
    return one;
}

/* out[b] = heads of the recorded attention fused to one matrix, or one head copied (head >= 0) */
typedef struct vx_attn_fuse {
    vx_far *out; /* [B,T,T] */
    const vx_recorded *record;
    vx_fuse fuse;
    int head;
} vx_attn_fuse;

/* out[b,h] = the row of one query, or a mean of rows: see vx_query_first. The record holds
 * everything, or the rows of that very query. */
typedef struct vx_attn_row {
    vx_far *out; /* [B,H,T] */
    const vx_recorded *record;
    int query, prefix; /* see vx_query_first */
} vx_attn_row;

/* out[g] = heads of attention times its gradient made one matrix: see enum vx_product. head >= 0:
 * that head alone. g = b*targets + k belongs to the recording of picture b. */
typedef struct vx_attn_product {
    vx_far *out;      /* [B*targets,T,T]  */
    const vx_far *p;  /* [B,H,T,T]        */
    const vx_far *dp; /* [B*targets,H,T,T] */
    vx_product kind;
    int head, batch, targets, heads, tokens;
} vx_attn_product;

/* out[g,j] = mean over heads and queries i of max(dp[g,h,i,j], 0); head >= 0: that head alone.
 * Every head by itself: G*H gradients of one head each. */
typedef struct vx_attn_relu_mean {
    vx_far *out;      /* [G,T]    */
    const vx_far *dp; /* [G,H,T,T] */
    int head, gradients, heads, tokens;
} vx_attn_relu_mean;

/* Maps over the tokens first..T-1 from their activations and gradients: see enum vx_cam.
 * g = b*targets + k belongs to picture b. */
typedef struct vx_token_cam {
    vx_far *out;     /* [B*targets,T-first] */
    const vx_far *a; /* [B,T,D]            */
    const vx_far *g; /* [B*targets,T,D]    */
    vx_cam kind;
    int first, batch, targets, tokens, width;
} vx_token_cam;

/* The same for gradient g alone. */
static inline vx_token_cam vx_token_cam_of(const vx_token_cam *a, int g)
{
    const size_t n = (size_t)a->tokens * (size_t)a->width;
    vx_token_cam one = *a;
    one.out += (size_t)g * (size_t)(a->tokens - a->first);
    one.a += (size_t)(g / a->targets) * n;
    one.g += (size_t)g * n;
    one.batch = one.targets = 1;
    return one;
}

/* out[g,i,j] = sum_c x[i,c] x[j,c] over the tokens first..T-1. x is a (times g unless g is NULL)
 * less its mean over those tokens, channel by channel. g = b*targets + k belongs to picture b. */
typedef struct vx_token_gram {
    vx_far *out;     /* [B*targets,T-first,T-first] */
    const vx_far *a; /* [B,T,D]                    */
    const vx_far *g; /* [B*targets,T,D] or NULL    */
    int first, batch, targets, tokens, width;
} vx_token_gram;

/* The same for gradient g alone. */
static inline vx_token_gram vx_token_gram_of(const vx_token_gram *a, int g)
{
    const size_t n = (size_t)a->tokens * (size_t)a->width, patches = (size_t)(a->tokens - a->first);
    vx_token_gram one = *a;
    one.out += (size_t)g * patches * patches;
    one.a += (size_t)(g / a->targets) * n;
    one.g = a->g ? a->g + (size_t)g * n : NULL;
    one.batch = one.targets = 1;
    return one;
}

/* Sets the `count` smallest entries of each f[b] to 0; if some are equal, those with the lowest
 * index first. keep_first: entry 0 is never set, though it counts. */
typedef struct vx_discard_smallest {
    vx_far *f; /* [B,T,T] */
    int64_t count;
    int keep_first, batch, tokens;
} vx_discard_smallest;

/* out[b,:] = row[b,:] * normalised(f[b] + I): VX_NORM_ROWS divides each row by its sum,
 * VX_NORM_COLUMNS divides column j by the sum of row j (what vit-explain does), VX_NORM_NONE leaves
 * f + I as it is */
typedef struct vx_rollout_step {
    vx_far *out;       /* [B,T]  */
    const vx_far *row; /* [B,T]  */
    const vx_far *f;   /* [B,T,T] */
    vx_norm norm;
    int batch, tokens;
} vx_rollout_step;

/* clang-format on */

/* For each operation: its type, its member of the table, its reference version. */
#define VX_OP(name) typedef void vx_##name##_fn(vx_device *dev, const vx_##name *a);
#include "kernels/ops.def"
#undef VX_OP

typedef struct vx_ops {
#define VX_OP(name) vx_##name##_fn *name;
#include "kernels/ops.def"
#undef VX_OP
} vx_ops;

#define VX_OP(name) vx_##name##_fn vx_##name##_ref;
#include "kernels/ops.def"
#undef VX_OP

/* Fills every member with its reference version. */
void vx_ops_init_ref(vx_ops *ops);

#ifdef __cplusplus
}
#endif

#endif
