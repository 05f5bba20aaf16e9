/*
 * model/arch.h: a Vision Transformer as numbers.
 *
 * A family (families.def) turns tensors and configuration into a vx_arch and says where each
 * weight is found; the engine runs a vx_arch and knows no family. A step that is absent is a
 * false flag or a NULL weight.
 *
 *      tokens = patches W + b (+ pos), prefix before them; [norm_pre]
 *      depth x:  x += ls1 * proj(attention(qkv(norm1(x))))
 *                x += ls2 * fc2(act(fc1(norm2(x))))
 *      [norm]; pool; [fc_norm]; head -> logits [B,K]
 */
#ifndef VX_MODEL_ARCH_H
#define VX_MODEL_ARCH_H

#include <stdbool.h>

#include "kernels/ops.h"

typedef enum vx_pool_kind {
    VX_POOL_TOKEN = 0, /* token 0 */
    VX_POOL_AVG        /* mean over the patch tokens */
} vx_pool_kind;

typedef struct vx_arch {
    int depth, width, heads, head_width, hidden, classes;
    int channels, patch_height, patch_width, grid_height, grid_width, prefix;
    float eps;
    vx_act act;
    vx_pool_kind pool;
    bool prefix_pos; /* the prefix tokens have position rows, too: prefix + patches in all */
    int pos_height, pos_width; /* the grid that the weights' position embeddings are for */
} vx_arch;

/* Attention takes their square: 17 GB a head and picture. */
#define VX_MAX_TOKENS (1 << 16)

/* Whether the position embeddings are to be resampled. */
static inline bool vx_arch_resamples(const vx_arch *a)
{
    return a->grid_height != a->pos_height || a->grid_width != a->pos_width;
}

static inline int vx_arch_tokens(const vx_arch *a)
{
    return a->prefix + a->grid_height * a->grid_width;
}

#endif
