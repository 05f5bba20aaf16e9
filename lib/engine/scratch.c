/* engine/scratch.c: see scratch.h. */
#include "engine/scratch.h"

static void *scratch_alloc(size_t bytes, void *payload)
{
    vx_scratch *scratch = payload;
    struct vx_scratch_block *fit = NULL, *empty = NULL;
    for (int i = 0; i < VX_SCRATCH_BLOCKS; i++) {
        struct vx_scratch_block *b = &scratch->blocks[i];
        if (b->used)
            continue;
        if (b->memory && b->bytes >= bytes && (!fit || b->bytes < fit->bytes))
            fit = b;
        /* Nothing fits: an empty place, else the smallest kept block makes way. */
        if (!empty || (empty->memory && (!b->memory || b->bytes < empty->bytes)))
            empty = b;
    }
    if (!fit && empty) {
        vx_release(&scratch->hooks, empty->memory);
        empty->memory = vx_alloc(&scratch->hooks, bytes);
        empty->bytes = empty->memory ? bytes : 0;
        fit = empty->memory ? empty : NULL;
        if (!fit)
            return NULL;
    }
    if (!fit) /* more live blocks than places: not kept */
        return vx_alloc(&scratch->hooks, bytes);
    fit->used = true;
    return fit->memory;
}

static void scratch_release(void *memory, void *payload)
{
    vx_scratch *scratch = payload;
    for (int i = 0; i < VX_SCRATCH_BLOCKS; i++)
        if (scratch->blocks[i].used && scratch->blocks[i].memory == memory) {
            scratch->blocks[i].used = false;
            return;
        }
    vx_release(&scratch->hooks, memory);
}

void vx_scratch_init(vx_scratch *scratch, const vitx_hooks *hooks)
{
    *scratch = (vx_scratch){.hooks = *hooks};
}

vitx_hooks vx_scratch_hooks(vx_scratch *scratch)
{
    return (vitx_hooks){.struct_size = sizeof(vitx_hooks),
                        .alloc = scratch_alloc,
                        .release = scratch_release,
                        .payload = scratch};
}

void vx_scratch_dispose(vx_scratch *scratch)
{
    for (int i = 0; i < VX_SCRATCH_BLOCKS; i++)
        vx_release(&scratch->hooks, scratch->blocks[i].memory);
}
