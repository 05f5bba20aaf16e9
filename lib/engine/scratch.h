/*
 * engine/scratch.h: hooks that keep what is released, so that the second picture of a size
 * allocates nothing.
 *
 * vx_scratch_hooks gives hooks whose alloc hands out a kept block that is large enough and whose
 * release keeps it. For short-lived buffers of one context (one thread at a time).
 */
#ifndef VX_ENGINE_SCRATCH_H
#define VX_ENGINE_SCRATCH_H

#include "base/memory.h"

#define VX_SCRATCH_BLOCKS 16

typedef struct vx_scratch {
    vitx_hooks hooks; /* where blocks come from */
    struct vx_scratch_block {
        void *memory;
        size_t bytes;
        bool used;
    } blocks[VX_SCRATCH_BLOCKS];
} vx_scratch;

void vx_scratch_init(vx_scratch *scratch, const vitx_hooks *hooks);
vitx_hooks vx_scratch_hooks(vx_scratch *scratch);
void vx_scratch_dispose(vx_scratch *scratch);

#endif
