/*
 * model/bind.h: what bind.c (a model's sizes, and its tensors by role), bind_grid.c (its grid of
 * patches) and text_bind.c (a text tower's) share.
 */
#ifndef VX_MODEL_BIND_H
#define VX_MODEL_BIND_H

#include "model/roles.h"

#define VX_MAX_HIDDEN (1 << 20)

/* The file of the configuration. */
const char *vx_said_by(const vx_reader *r);

/* Whether the file has a role's tensor. */
bool vx_role_has(const vx_reader *r, vx_role role, int block);

/* VITX_FORMAT where the configuration declares another number than there is; 0: none. */
int vx_agree(const vx_reader *r, const char *what, int declared, int actual);

/* Sizes of the blocks and of the head. arch->width is known. */
int vx_read_block_sizes(vx_reader *r);

/* Takes the tensors that lie in no block, but for position embeddings of patches; and those of the
 * blocks. What they need of r->sizes is known. */
int vx_take_model_roles(vx_reader *r);
int vx_take_block_roles(vx_reader *r);

/* arch's heads of all kinds, with hints->from_heads. All tensors are taken. */
int vx_read_heads(vx_reader *r, vx_hints *hints);

/* The grid and, from a table of relative positions, the number of heads; arch.relative. */
int vx_read_relative(vx_reader *r);

/* The grid of the position embeddings and of rotary positions, which stand beside relative ones or
 * in their place: after vx_read_relative. */
int vx_read_grid(vx_reader *r);

#endif
