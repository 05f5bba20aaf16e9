/*
 * model/bind.h: what bind.c (a model's sizes, and its tensors by role) and bind_grid.c (its grid of
 * patches) share.
 */
#ifndef VX_MODEL_BIND_H
#define VX_MODEL_BIND_H

#include "model/roles.h"

#define VX_MAX_HIDDEN (1 << 20)

/* The file of the configuration. */
const char *vx_said_by(const vx_reader *r);

/* Whether the file has a role's tensor. */
bool vx_role_has(const vx_reader *r, vx_role role, int block);

/* The grid and, from a table of relative positions, the number of heads; arch.relative. */
int vx_read_relative(vx_reader *r);

/* The grid of the position embeddings and of rotary positions, which stand beside relative ones or
 * in their place: after vx_read_relative. */
int vx_read_grid(vx_reader *r);

#endif
