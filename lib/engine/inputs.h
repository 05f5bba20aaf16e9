/* engine/inputs.h: inputs that are made, not read from pictures. */
#ifndef VX_ENGINE_INPUTS_H
#define VX_ENGINE_INPUTS_H

/* fill writes number v, normalised, [C,H,W]. It is called by several workers at once, `worker`
 * being which, and in no order. */
typedef struct vx_inputs {
    void (*fill)(const void *payload, int v, float *input, int worker);
    const void *payload;
} vx_inputs;

#endif
