/*
 * engine/explained.h: what the passes of the last vitx_explain left behind, for who wants the
 * attention of the same picture next: all blocks but the last need not run again.
 *
 * c->explained says that the call explained one picture, and that c->need, its trace and the input
 * in c->act are as its passes left them. What runs the context, changes its size or plans anew
 * clears it.
 */
#ifndef VX_ENGINE_EXPLAINED_H
#define VX_ENGINE_EXPLAINED_H

#include "engine/context.h"

/* Whether the last call explained this picture and kept the whole attention of all blocks but the
 * last, and what each block after the first has read. The inputs are compared, not the pictures. */
int vx_explained_serves(bool *out, vitx_context *c, const vitx_image *image);
/* Where that is so: vx_context_run of that picture with a watched plan of the whole attention of
 * all blocks and of all tokens. The last block runs again, since the call may have computed its
 * class token alone. */
int vx_explained_run(vitx_context *c, vx_plan *plan);

#endif
