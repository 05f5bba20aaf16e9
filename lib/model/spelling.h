/*
 * model/spelling.h: the names that transformers 5 has in memory.
 *
 * save_pretrained writes a ViT's tensors under the names of version 4, which naming_hf.c has; a
 * state dict that is saved otherwise, and an adapter, have those of the classes, as
 * layers.0.attention.q_proj for encoder.layer.0.attention.attention.query (transformers 5.24:
 * conversion_mapping.py).
 */
#ifndef VX_MODEL_SPELLING_H
#define VX_MODEL_SPELLING_H

#include "model/container.h"

/* Gives such tensors the keys of version 4. */
int vx_spelling_take(vx_container *container);

#endif
