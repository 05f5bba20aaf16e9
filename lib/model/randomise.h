/* model/randomise.h: weights as they are before training. */
#ifndef VX_MODEL_RANDOMISE_H
#define VX_MODEL_RANDOMISE_H

#include "model/model.h"

/* How many parts a model has: head and the norms behind the last block; each block; the patch
 * embedding. */
static inline int vx_randomise_parts(const vx_arch *arch)
{
    return arch->depth + 2;
}

/*
 * Re-initialises part 0..parts-1, counted from the answer to the picture (so that block depth-1 is
 * part 1), like PyTorch's reset_parameters(): matrices and their biases uniform in
 * +-1/sqrt(inputs), half as wide for two heads that are averaged; norms 1 and 0. LayerScale, prefix
 * tokens and positions have no such function and stay. Random numbers are those of `seed`, a stream
 * a tensor (weights.def).
 */
int vx_weights_randomise(vx_weights *weights, const vitx_model *model, int part, int seed);

#endif
