/*
 * model/leftovers.h: tensors of a file that are not read.
 *
 * A tensor that is left over may change the answer, and is refused, unless it is one of those that
 * cannot: counters, losses, copies, what training alone needs.
 */
#ifndef VX_MODEL_LEFTOVERS_H
#define VX_MODEL_LEFTOVERS_H

#include "model/roles.h"

/* Whether a tensor is one of those that cannot change the answer, whatever the naming. */
bool vx_is_leftover(const vx_container *c, const vx_tensor *t);

/* What is left out, as text for people, in *text (to be released). VITX_UNSUPPORTED names a tensor
 * that is not used and might change the answer. */
int vx_leave_out(char **text, const vx_reader *r);

/* Drops the tensors whose names fit one of the patterns, which commas separate ('*': any
 * characters, '?': one). VITX_INVALID for a pattern that fits none. */
int vx_ignore(vx_container *c, const char *patterns);

/* Warns of tensors of the pixels' mean and std that say other numbers than the recipe. */
void vx_leftovers_compare(const vx_container *container, const float means[3], const float stds[3]);

#endif
