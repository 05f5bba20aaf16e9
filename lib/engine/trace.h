/*
 * engine/trace.h: what a forward pass records of its attention, and where.
 *
 * A plan says for each block what to keep. Methods write their needs into a plan (two needs for
 * one block merge into the least that serves both), the user's wish is a plan as well, and the
 * forward pass follows exactly one. Placing a plan cuts one block of device memory:
 *
 *      | block 0: keep FUSED [B,T,T] | block 3: keep ALL [B,H,T,T] | ... blocks with NONE take nothing
 */
#ifndef VX_ENGINE_TRACE_H
#define VX_ENGINE_TRACE_H

#include "base/arena.h"
#include "base/memory.h"
#include "kernels/device.h"
#include "model/arch.h"

typedef struct vx_plan {
    int depth;
    vx_recorded *attention; /* [depth]; data is set by vx_plan_place */
} vx_plan;

int vx_plan_create(vx_plan *out, const vx_arch *arch, const vitx_hooks *hooks);
void vx_plan_dispose(vx_plan *plan, const vitx_hooks *hooks);
void vx_plan_clear(vx_plan *plan);

/* Adds a need for the attention of blocks first..last, stored as f32. fuse counts with FUSED, query
 * with ROW. */
void vx_plan_need_attention(vx_plan *plan, int first, int last, vx_keep keep, vx_fuse fuse,
                            int query);

/* Bytes of one picture's record of one block. */
size_t vx_recorded_bytes(const vx_recorded *r, const vx_arch *arch);
/* Takes the places of all blocks for `batch` pictures from the arena (base NULL: only measures). */
void vx_plan_place(vx_plan *plan, vx_arena *arena, const vx_arch *arch, int batch);

/* The part of a record that belongs to one picture of the batch. */
vx_recorded vx_recorded_picture(const vx_recorded *r, const vx_arch *arch, int picture);

/* The query a record or a map means by default: the class token, or -1 for the mean of the patches. */
int vx_default_query(const vx_arch *arch);

#endif
