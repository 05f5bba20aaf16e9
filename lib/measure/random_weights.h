/*
 * measure/random_weights.h: for metrics: a trial's context runs with a copy of its weights, of
 * which one part after the other becomes random (model/randomise.h). The model and its other
 * contexts stay as they are.
 */
#ifndef VX_MEASURE_RANDOM_WEIGHTS_H
#define VX_MEASURE_RANDOM_WEIGHTS_H

#include "measure/metric.h"

typedef struct vx_random_weights {
    vitx_context *context;
    const struct vx_weights *own;
    struct vx_weights *copy;
} vx_random_weights;

/* How many parts a model has. */
int vx_random_weights_parts(const vx_arch *arch);
/* Between the two the trial's context runs with the copy. If begin fails there is nothing to
 * end. */
int vx_random_weights_begin(vx_random_weights *out, const vx_subject *s);
void vx_random_weights_end(const vx_random_weights *w);
/* Part 0..parts-1, counted from the answer to the picture. */
int vx_random_weights_part(const vx_random_weights *w, int part, int seed);

#endif
