/* model/head.h: a classifier that was never trained. */
#ifndef VX_MODEL_HEAD_H
#define VX_MODEL_HEAD_H

#include "model/model.h"

/* Warns, in the model's log, if all weights of its classifier are 0: then all pictures get one
 * answer. Reads until the first weight that is not. Its caller holds the model's lock. */
int vx_head_check(const vitx_model *model);

#endif
