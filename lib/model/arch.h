/*
 * model/arch.h: a Vision Transformer as numbers.
 *
 * A family (families.def) turns tensors and configuration into a vx_arch and says where each
 * weight is found; the engine runs a vx_arch and knows no family. A step that is absent is a
 * false flag or a NULL weight.
 *
 *      tokens = patches W + b (+ pos), prefix before them; [norm_pre]
 *      depth x:  x += ls1 * proj([attn_norm] attention(qkv(norm1(x)))), q and k of it [normalised],
 *                     [rotated], attention softmax(q k^T / sqrt E [+ relative]) v, of differential
 *                     attention with half as many heads: p v - lambda p' v
 *                x += ls2 * fc2([mlp_norm] act(fc1(norm2(x))))
 *                     post_norm: x += norm1(proj(attention(qkv(x)))), x += norm2(fc2(act(fc1(x))))
 *      [norm]; pool; [fc_norm]; [head] -> outputs [B,K]: logits, or an embedding
 *
 *      VX_POOL_MAP: a = proj(softmax(query k^T / sqrt E) v), k and v of the tokens from pool_first
 *      on;
 *                   pooled = a + fc2(act(fc1(norm(a)))), its own weights
 * The prefix is the class token, a distillation token, registers, in this order, as far as there
 * are any. A head that reads two vectors p and q reads them as one row [p, q]. Without a head the
 * answer is (p + q) / 2.
 */
#ifndef VX_MODEL_ARCH_H
#define VX_MODEL_ARCH_H

#include <stdbool.h>

#include <vitx/model.h>

#include "kernels/ops.h"

typedef enum vx_pool_kind {
    VX_POOL_TOKEN = 0,  /* token 0 */
    VX_POOL_AVG,        /* mean over the patch tokens, or, with mean_prefix, over all */
    VX_POOL_MAP,        /* attention of one learnt query over tokens, then a perceptron */
    VX_POOL_TWO_TOKENS, /* p token 0, q token 1 */
    VX_POOL_TOKEN_AVG,  /* p token 0, q the mean over the patch tokens */
    VX_POOL_LAST        /* the last token of the sequence */
} vx_pool_kind;

/* How the angles come about by which queries and keys of the patches are rotated (rotary.h). */
typedef enum vx_rotation {
    VX_ROTATE_NONE = 0,
    VX_ROTATE_GRID,    /* of rows and columns counted */
    VX_ROTATE_CENTRED, /* of places from -1 to 1 */
    VX_ROTATE_LEARNT   /* of rows and columns by learnt frequencies, for each block and head */
} vx_rotation;

typedef struct vx_rotary {
    vx_rotation kind;
    bool half;          /* pairs are half a head apart; else they lie beside each other */
    bool columns_first; /* the first angles are the column's */
    double base;        /* of the frequencies; not of VX_ROTATE_LEARNT */
    double offset;      /* the number of the first row and column */
    int reference;      /* the side of the grid that every grid is stretched to; 0: none */
} vx_rotary;

typedef struct vx_arch {
    int depth, width, heads, head_width, hidden, classes;
    int vocabulary; /* rows of the token table of a text tower (text.h); 0: the input is pictures.
                     * Of a text tower grid_height is 1, grid_width the tokens, prefix 0 */
    int channels, patch_height, patch_width, grid_height, grid_width, prefix;
    float eps;
    vx_act act;
    vx_pool_kind pool;
    bool mean_prefix; /* of VX_POOL_AVG: the mean is over the prefix tokens, too */
    int pool_first;   /* of VX_POOL_MAP: the first token that is attended to: prefix, or 0 */
    int pool_heads, pool_hidden; /* of it: heads, and the width of its perceptron, or 0 */
    bool swiglu;      /* fc1 gives 2 hidden; the activation is the operation swiglu, act is none */
    bool pos_late;    /* positions are added behind norm_pre, not before it */
    bool rms;         /* no norm subtracts the mean, and none has a bias (RMSNorm) */
    bool post_norm;   /* norm1 and norm2 stand behind the attention and the mlp, not before them */
    bool causal;      /* a token attends to itself and to those before it */
    bool norm_stays;  /* what norm1 and norm2 make is the residual, too (BERT, whose norms stand
                       * behind the sums: norm1 of block l is the last norm of block l - 1, that of
                       * block 0 is the embeddings', and `norm` is the last block's) */
    bool twins;       /* a block is two attentions side by side, then two mlps: run as one of twice
                       * the heads and one of twice the width, their norms and LayerScales within
                       * the matrices */
    bool parallel;    /* the mlp reads norm1(x), as the attention does, and there is no norm2 */
    bool relative;    /* scores get what the weights hold for where two patches lie to each other */
    int key_heads;    /* the fewest heads of keys and values that the file has in a block; they are
                       * repeated */
    int qk_norm;      /* queries and keys are normalised, so many numbers at a time: those of one
                     * head, or of all heads; 0: they are not */
    bool masked_keys; /* the part of the keys in a bias of queries, keys and values counts as 0 */
    int attn_norm;    /* what the attention gives is normalised before proj, so many numbers at a
                       * time: all, or those of one head; 0: it is not */
    bool differential; /* the second half of the heads is taken from the first half, head by head;
                        * the weights of values hold by how much. Of a head's queries and keys the
                        * second half is 0 */
    bool mlp_norm;     /* the hidden layer is, before fc2 */
    int prefix_pos;    /* the first so many prefix tokens have position rows, before the patches' */
    int pos_height, pos_width; /* the grid that the weights' position embeddings, and `relative`,
                                * are for; or 0 */
    vx_rotary rotary;
    bool units;           /* the outputs are components of an embedding: `classes` counts them */
    vitx_outputs outputs; /* never AUTO; of units NONE */
    bool bare; /* no head: the outputs are the pooled features, classes = width; of two tokens
                   their mean */
} vx_arch;

/* Attention takes their square: 17 GB a head and picture. */
#define VX_MAX_TOKENS (1 << 16)
#define VX_MAX_DEPTH 1024

/* Whether the position embeddings are to be resampled. */
static inline bool vx_arch_resamples(const vx_arch *a)
{
    return a->pos_height && (a->grid_height != a->pos_height || a->grid_width != a->pos_width);
}

/* Floats of the relative positions of all blocks for the grid at hand; 0: there are none, or those
 * of the weights are for it. */
static inline size_t vx_arch_relative_floats(const vx_arch *a)
{
    return a->relative && vx_arch_resamples(a)
               ? (size_t)a->depth * (size_t)a->heads *
                     vx_relative_count(a->grid_height, a->grid_width)
               : 0;
}

static inline int vx_arch_tokens(const vx_arch *a)
{
    return a->prefix + a->grid_height * a->grid_width;
}

/* Whether a probability is worth explaining: of plain numbers there is none, and of one output it
 * says what the logit does, squeezed. */
static inline bool vx_arch_has_probability(const vx_arch *a)
{
    return a->outputs != VITX_OUTPUTS_NONE && a->classes > 1;
}

/* Numbers of all heads of the attention. */
static inline int vx_arch_attention(const vx_arch *a)
{
    return a->heads * a->head_width;
}

/* What proj reads of a token. */
static inline int vx_arch_attended(const vx_arch *a)
{
    return a->differential ? vx_arch_attention(a) / 2 : vx_arch_attention(a);
}

/* Numbers of a head's queries and keys. */
static inline int vx_arch_query_width(const vx_arch *a)
{
    return a->differential ? a->head_width / 2 : a->head_width;
}

/* The norm behind the attention: of differential attention an RMSNorm with an eps of its own. */
static inline float vx_arch_attn_eps(const vx_arch *a)
{
    return a->differential ? 1e-5f : a->eps;
}

static inline bool vx_arch_attn_rms(const vx_arch *a)
{
    return a->rms || a->differential;
}

static inline int vx_arch_attn_groups(const vx_arch *a)
{
    return a->attn_norm ? vx_arch_attended(a) / a->attn_norm : 0;
}

/* Rows of fc1. */
static inline int vx_arch_fc1(const vx_arch *a)
{
    return a->swiglu ? 2 * a->hidden : a->hidden;
}

/* The larger of two numbers of a block and of a pooling head, which share their room. */
static inline int vx_arch_most(int block, int pool)
{
    return block > pool ? block : pool;
}

/* Whether the head reads two vectors. */
static inline bool vx_arch_two_vectors(const vx_arch *a)
{
    return a->pool == VX_POOL_TWO_TOKENS || a->pool == VX_POOL_TOKEN_AVG;
}

/* What the head reads of a picture: one vector of the width, or two. */
static inline int vx_arch_pooled(const vx_arch *a)
{
    return vx_arch_two_vectors(a) ? 2 * a->width : a->width;
}

/* The first token that a mean is over. */
static inline int vx_arch_mean_first(const vx_arch *a)
{
    return a->mean_prefix ? 0 : a->prefix;
}

/* Whether the head reads nothing of the prefix tokens. */
static inline bool vx_arch_reads_patches_alone(const vx_arch *a)
{
    return (a->pool == VX_POOL_AVG && !a->mean_prefix) ||
           (a->pool == VX_POOL_MAP && a->pool_first == a->prefix);
}

/* Whether the head reads patch tokens behind the last block. */
static inline bool vx_arch_reads_patches(const vx_arch *a)
{
    return a->pool != VX_POOL_TOKEN && a->pool != VX_POOL_TWO_TOKENS;
}

#endif
