/*
 * engine/size.h: the size of a context's input.
 *
 * It is the recipe's or the one that the caller asked for, and then the same for all pictures. With
 * VITX_FIT_KEEP, and with a recipe that counts patches, it is each picture's own ("varies"), and
 * the context goes from size to size: arch and recipe are set first (which is all that planning
 * needs), then memory is laid out. All other code reads the sizes of the context and knows nothing
 * of this.
 */
#ifndef VX_ENGINE_SIZE_H
#define VX_ENGINE_SIZE_H

#include "engine/context.h"

/* What a context begins with. */
typedef struct vx_size {
    vx_arch arch;
    vitx_recipe recipe;
    vx_pos_rule positions;
    int max_tokens;
    int max_patches; /* of VITX_RESIZE_PATCHES, else 0 */
    bool varies;
} vx_size;

/* From model and options; takes no memory. VITX_INVALID, VITX_UNSUPPORTED. */
int vx_size_begin(vx_size *out, const vitx_model *model, const vitx_context_opts *opts);

/* Sets arch and recipe for a picture. If they change, memory is not laid out for them yet. Only
 * a context whose size varies changes it; for all others this and vx_size_take return at
 * once. */
int vx_size_measure(vitx_context *c, const vitx_image *image);
/* Lays out memory for the size that was measured. */
int vx_size_reserve(vitx_context *c);
/* Both. */
int vx_size_take(vitx_context *c, const vitx_image *image);

/* The same for inputs of that size that are no pictures: if the size does not vary it has to be the
 * context's own. VITX_INVALID. */
int vx_size_check_input(const vitx_context *c, int height, int width); /* changes nothing */
int vx_size_measure_input(vitx_context *c, int height, int width);
int vx_size_take_input(vitx_context *c, int height, int width);

/* The same for a text tower's context and texts of so many tokens, which are at most its own. */
int vx_size_take_tokens(vitx_context *c, int tokens);

/* Back to an input that the context had; memory is not laid out for it yet. */
int vx_size_return(vitx_context *c, int height, int width);

/* How many pictures, from the first of the n on, make inputs of the first one's size; at least
 * 1. */
int vx_size_alike(const vitx_context *c, const vitx_image *const *images, int n);

#endif
