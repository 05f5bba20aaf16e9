/* engine/inputs.h: inputs that are made, not read from pictures. */
#ifndef VX_ENGINE_INPUTS_H
#define VX_ENGINE_INPUTS_H

#include "kernels/device.h"

/*
 * fill writes number v, normalised, [C,H,W]. It is called by several workers at once, `worker`
 * being which, and in no order.
 *
 * queue, or NULL, queues operations that write numbers first..first+n-1 one behind the other to
 * device memory. It is called on devices that make variants (engine/variants.h).
 */
typedef struct vx_inputs {
    void (*fill)(const void *payload, int v, float *input, int worker);
    const void *payload;
    void (*queue)(const void *payload, vx_device *dev, vx_far *to, int first, int n);
} vx_inputs;

#endif
