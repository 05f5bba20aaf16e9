/*
 * model/weights.h: the weights of a model on a device.
 *
 * The members that the rows of weights.def stand for: a vector is a const float *, a matrix a
 * vx_weight, which holds its bias. Pointers are memory of the device, NULL if a model has none. The
 * rows have the shapes.
 */
#ifndef VX_MODEL_WEIGHTS_H
#define VX_MODEL_WEIGHTS_H

#include <stdbool.h>

#include <vitx/model.h>

#include "kernels/device.h"

/* The weights of one block. */
typedef struct vx_block_weights {
#define VX_ROWS 4
#define VX_VECTOR(group, member, ...) const vx_far *member;
#define VX_MATRIX(group, member, ...) vx_weight member;
#define VX_MADE_VECTOR VX_VECTOR
#define VX_MADE_MATRIX VX_MATRIX
#include "model/weights.def"
} vx_block_weights;

/* The pooling head of VX_POOL_MAP. Its query is the probe as the query's projection leaves it. */
typedef struct vx_pool_weights {
#define VX_ROWS 2
#define VX_VECTOR(group, member, ...) const vx_far *member;
#define VX_MATRIX(group, member, ...) vx_weight member;
#define VX_MADE_VECTOR VX_VECTOR
#define VX_MADE_MATRIX VX_MATRIX
#include "model/weights.def"
} vx_pool_weights;

/* All weights, packed for one site and precision; shared by contexts, freed with the model.
 * The position embeddings have been added to `prefix`. `pos` is for the grid of the file; for
 * another one the context has its own (engine/size.h).
 *
 * Other contexts may be reading them, so what gradients need beside them (vx_weight.turned) makes
 * another vx_weights, a view: the same matrices, and behind some of them their W^T. */
typedef struct vx_weights {
    struct vx_weights *next;
    struct vx_weights *views; /* of these, not of a view; each has more than the next */
    bool changes;             /* a copy: its values may change, so it has no views */
    /* First block whose matrices are turned; so are those of the pooling head. depth: these alone;
     * depth + 1: none. */
    int turned_from;
    void *turned_memory; /* of what a view has and the next has not */
    size_t turned_bytes; /* of all that is turned */
    vx_site site;
    const char *precision;
    vx_device_env env; /* what the site's memory needs */
    void *memory;      /* one block of device memory */
    size_t bytes;
    vx_block_weights *blocks; /* [depth] */
    vx_pool_weights pool;
#define VX_ROWS 1
#define VX_VECTOR(group, member, ...) const vx_far *member;
#define VX_MATRIX(group, member, ...) vx_weight member;
#define VX_MADE_VECTOR VX_VECTOR
#define VX_MADE_MATRIX VX_MATRIX
#include "model/weights.def"
} vx_weights;

/* The weights at a site in a precision; packs them at the first call (values are read and
 * checked then). They belong to the model. Any thread. */
int vx_model_weights(const vx_weights **out, vitx_model *model, const vx_site *site,
                     const char *precision);

/* A copy that belongs to the caller, who may change it (randomise.h). */
int vx_weights_copy(vx_weights **out, vitx_model *model, const vx_weights *weights);
void vx_weights_free(vx_weights *weights, const vitx_model *model);

/* The same weights, turned from block `from` on (turned_from) by dev, if its class can do that; a
 * copy stays as it is. They belong to the model. `out` may be where `weights` comes from. Any
 * thread. */
int vx_weights_turn(const vx_weights **out, vitx_model *model, const vx_weights *weights,
                    vx_device *dev, int from);
/* The bytes that takes in all, whatever is turned already; SIZE_MAX where they cannot be
 * counted. */
size_t vx_weights_turned_bytes(const vx_weights *weights, int depth, int from);

/* The bytes they take, without packing any; SIZE_MAX where they cannot be counted. turned: of
 * vx_weights_turned_bytes, with that `from`; or NULL. */
int vx_model_weight_bytes(size_t *out, size_t *turned, const vitx_model *model, const vx_site *site,
                          const char *precision, int from);

/* What packing and filling do to the weights' memory, with the site's message if it fails.
 * vx_weights_pack: the rows first.. of a matrix of them (vx_packing.pack). */
int vx_weights_write(const vx_weights *weights, const vx_far *device, const float *host,
                     size_t count);
int vx_weights_begin(const vx_weights *weights, const vx_weight *w, const vx_far *gamma);
int vx_weights_pack(const vx_weights *weights, const vx_weight *w, const float *rows, int first,
                    int count);

/* Frees what vx_model_weights packed; part of vitx_model_free. */
void vx_model_free_weights(vitx_model *model);

#endif
