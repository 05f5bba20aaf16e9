/*
 * model/positions.h: position embeddings on another grid than the file's.
 *
 * Libraries that ship the same weights resample them in different ways, which are one row each of a
 * table; a naming or a dialect of a family says which one its library takes (family.h).
 */
#ifndef VX_MODEL_POSITIONS_H
#define VX_MODEL_POSITIONS_H

#include "base/memory.h"

typedef enum vx_pos_rule {
    VX_POS_UNSET = 0, /* the naming's; without one, timm's */
    VX_POS_TIMM,
    VX_POS_TIMM_NPZ,
    VX_POS_HF,
    VX_POS_HF_REGISTERS,
    VX_POS_HF_NAFLEX,
    VX_POS_OPEN_CLIP,
    VX_POS_DINOV2,
    VX_POS_DINOV2_REGISTERS,
    VX_POS_JAX,
    VX_POS_RULES
} vx_pos_rule;

/* The rule of that name; VITX_INVALID naming those there are. */
int vx_pos_rule_find(vx_pos_rule *out, const char *name);
/* What the rule's library does where there are registers. */
vx_pos_rule vx_pos_rule_with_registers(vx_pos_rule rule);
/* NULL for VX_POS_UNSET. */
const char *vx_pos_rule_name(vx_pos_rule rule);

/* A grid of rows of `width` values. */
typedef struct vx_pos_grid {
    int height, width;
} vx_pos_grid;

/* src [from.height, from.width, channels] -> dst [to.height, to.width, channels], both host memory.
 * float32 arithmetic, as the rule's library has it. Scratch memory comes from the hooks. */
int vx_positions_resample(float *dst, vx_pos_grid to, const float *src, vx_pos_grid from,
                          int channels, vx_pos_rule rule, const vitx_hooks *hooks);

/* One head's relative positions (vx_relative of kernels/ops.h) for another grid of patches: src and
 * dst have one number for each way from patch to patch, and three more, which stay. Under the rules
 * of Hugging Face bilinear, under others as timm does it. */
int vx_relative_resample(float *dst, vx_pos_grid to, const float *src, vx_pos_grid from,
                         vx_pos_rule rule, const vitx_hooks *hooks);

#endif
