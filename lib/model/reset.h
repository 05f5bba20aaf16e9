/* model/reset.h: weights as they are before training. */
#ifndef VX_MODEL_RESET_H
#define VX_MODEL_RESET_H

#include "model/model.h"

/* How many parts a model has: head and the norms behind the last block; each block; the patch embedding. */
static inline int vx_reset_parts(const vx_arch *arch)
{
    return arch->depth + 2;
}

/*
 * Re-initialises part 0..parts-1, counted from the answer to the picture (so that block depth-1 is part 1),
 * as PyTorch's reset_parameters() does: matrices and their biases uniform in +-1/sqrt(inputs) (of two heads
 * that are averaged half as wide), norms 1 and 0.
 * LayerScale, prefix tokens and positions, which have no such function, stay. Random numbers are those of
 * `seed`, a stream a tensor.
 */
int vx_weights_reset(vx_weights *weights, const vitx_model *model, int part, int seed);

#endif
