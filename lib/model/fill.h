/*
 * model/fill.h: the values of weights, from the files to the device.
 */
#ifndef VX_MODEL_FILL_H
#define VX_MODEL_FILL_H

#include "model/arch.h"
#include "model/family.h"
#include "model/weights.h"

/* What filling needs. */
typedef struct vx_filler {
    const vx_weights *w;
    const vx_found *found;
    const vx_arch *arch;
    const vitx_hooks *hooks;
    float *staging;      /* host memory: what is read, until it is packed */
    size_t staging_size; /* floats: a panel of the longest rows, and three rows of the width */
} vx_filler;

typedef struct vx_member vx_member;

/* Fills the member m, whose place is `place` (members.h: vx_member_of), in block `block`. */
typedef int vx_fill_fn(const vx_filler *f, const vx_member *m, void *place, int block);

/* Any member, by its own function or from its tensors as they stand. */
vx_fill_fn vx_fill;

/* Relative positions of a block for the grid pos_height x pos_width of f->arch: out [H,
 * vx_relative_count], as kernels read them. A perceptron makes them for any grid; those of a table
 * are for the file's. Of f it reads found, arch and hooks. */
int vx_relative_read(float *out, const vx_filler *f, int block);

/* One for each VX_MADE_ row of weights.def. */
#define VX_MADE_VECTOR(group, member, ...) vx_fill_fn vx_fill_##member;
#define VX_MADE_MATRIX(group, member, ...) vx_fill_fn vx_fill_##member;
#include "model/weights.def"

#endif
