/*
 * engine/footprint.h: what a context's memory comes to, how it is cut, and whether that is within
 * the budgets.
 *
 * `extra` is what runs beside the pictures of a call: variants of a picture (engine/variants.h) and
 * rows of channels (engine/channels.h).
 */
#ifndef VX_ENGINE_FOOTPRINT_H
#define VX_ENGINE_FOOTPRINT_H

#include "engine/context.h"

/* ------------------------------------------------------------------ activations ------------ */

/* Bytes that a row of y and one of wide have in the activations. */
typedef struct vx_row_room {
    size_t y, wide;
} vx_row_room;
vx_row_room vx_context_row_room(const vitx_context *c);

/* Cuts memory for `batch` sequences, or for up to `sequences` >= batch that have no more tokens
 * together. */
void vx_activations_place(vx_activations *act, vx_arena *arena, const vitx_context *c, int batch,
                          int sequences);
/* For `rows` sequences of one token each, which have no input. */
void vx_activations_place_rows(vx_activations *act, vx_arena *arena, const vitx_context *c,
                               int rows);
/* Bytes of the context's own activations; SIZE_MAX if they cannot be counted. */
size_t vx_context_activation_bytes(const vitx_context *c);

/* The largest sizes that the device will meet, with the variants and channels reserved. */
vx_dims vx_context_dims(const vitx_context *c);
/* All that the context holds for running pictures of its size on `dev`; VITX_NOMEM past the
 * memory_budget. */
int vx_context_bytes(size_t *out, const vitx_context *c, const vx_device *dev);
/* The same if `bytes` more are reserved for `variants` variants or `channels` rows (one of the
 * two is 0). Memory already reserved for the other kind is included. SIZE_MAX if it cannot be
 * counted. */
size_t vx_context_bytes_extra(const vitx_context *c, int variants, int channels, size_t bytes);
/* VITX_NOMEM if that is past the memory_budget. */
int vx_context_allow_extra(const vitx_context *c, int variants, int channels, size_t bytes);

/* ------------------------------------------------------------------ plans ------------------ */

/* The bytes of a plan for `batch` pictures; SIZE_MAX if they cannot be counted. If the caller
 * left it open, blocks are kept if that fits the trace_budget, else recomputed
 * (plan->recompute). */
size_t vx_context_plan_bytes(const vitx_context *c, vx_plan *plan, int batch);
/* The first block whose W^T is kept for the gradients of a plan whose block has so many bytes (the
 * plan's, or more, as a block never shrinks), as vx_weights_turn takes it: all that they multiply
 * with, if the trace_budget has room for it beside the block, else nothing. */
int vx_context_turned_from(const vitx_context *c, const vx_plan *plan, size_t bytes);
/* Places the plan in `trace`, within the trace_budget, and keeps W^T for it. */
int vx_context_place(vitx_context *c, vx_plan *plan, vx_block *trace, int batch);

#endif
