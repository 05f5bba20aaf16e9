/*
 * engine/forward.h: what forward.c and backward.c share: a pass with its sizes at hand, and the
 * halves of a block, which the backward pass runs again where they were not kept.
 */
#ifndef VX_ENGINE_FORWARD_H
#define VX_ENGINE_FORWARD_H

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
    float scale;
} vx_run;

vx_run vx_run_of(vitx_context *c, const vx_pass *pass);

/* Rows `ld` floats apart. */
typedef struct vx_rows {
    float *at;
    int ld;
} vx_rows;

void vx_block_attend(const vx_run *f, int l, const float *x, float *qkv, float *attended,
                     const vx_recorded *record, int queries);
void vx_block_hidden(const vx_run *f, int l, vx_rows mid, vx_rows x, vx_rows attended, float *pre,
                     bool activated, int m);
/* The pooling head (VX_POOL_MAP) of tokens y [M,D], which may be act->y: pooled [B,D]; its attention
 * [B,H,T] into `p` unless that is NULL: 0 at tokens before pool_first. */
void vx_pool_map(const vx_run *f, float *pooled, const float *y, float *p);
/* `second` counts with two heads. */
void vx_features_head(const vx_run *f, vx_rows pooled, vx_rows second);

#endif
