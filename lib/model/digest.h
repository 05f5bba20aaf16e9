/* model/digest.h: the SHA-256 of a model's weight files. */
#ifndef VX_MODEL_DIGEST_H
#define VX_MODEL_DIGEST_H

#include <stdatomic.h>

#include "model/model.h"

/* Whether it is known; then vitx_model_digest() reads nothing. */
bool vx_model_has_digest(vitx_model *model);
/* Makes it known. Takes no memory from the hooks, so that a thread of vitx's own may call it.
 * VITX_CANCELLED soon after *stop became true; stop may be NULL. */
int vx_model_find_digest(vitx_model *model, const atomic_bool *stop);
/* Makes it known without reading, if it is of the other model and both are of the same files: a
 * text tower's weights lie mostly beside those of its picture tower. */
void vx_model_take_digest(vitx_model *model, vitx_model *other);

#endif
