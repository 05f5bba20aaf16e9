/* model/model.h: the inside of an opened model, and its weights on a device. */
#ifndef VX_MODEL_MODEL_H
#define VX_MODEL_MODEL_H

#include <pthread.h>
#include <vitx/model.h>

#include "kernels/device.h"
#include "model/arch.h"
#include "model/container.h"
#include "model/family.h"
#include "model/labels.h"

/* The weights of one block; shapes as vx_arch names them (D width, F hidden). Pointers are memory
 * of the device. */
typedef struct vx_block_weights {
    const float *norm1_w, *norm1_b; /* [D]               */
    vx_weight qkv;                  /* [3D, D], bias [3D] */
    vx_weight proj;                 /* [D, D]            */
    const float *ls1;               /* [D] or NULL       */
    const float *norm2_w, *norm2_b; /* [D]               */
    vx_weight fc1;                  /* [F, D]; of swiglu [2F, D] */
    vx_weight fc2;                  /* [D, F]            */
    const float *ls2;               /* [D] or NULL       */
} vx_block_weights;

/* The pooling head of VX_POOL_MAP. */
typedef struct vx_pool_weights {
    const float *query;           /* [D]: the probe as the query's projection leaves it */
    vx_weight kv;                 /* [2D, D], bias [2D] */
    vx_weight proj;               /* [D, D]             */
    const float *norm_w, *norm_b; /* [D]                */
    vx_weight fc1;                /* [F, D]             */
    vx_weight fc2;                /* [D, F]             */
} vx_pool_weights;

/* All weights, packed for one device class and precision; shared by contexts, freed with the model. */
typedef struct vx_weights {
    struct vx_weights *next;
    const vx_device_class *cls;
    const char *precision;
    vx_device_env env; /* what mem_free needs */
    void *memory;      /* one block of device memory */
    size_t bytes;
    vx_weight patch;                      /* [D, C*ph*pw]           */
    const float *prefix;                  /* [P, D], position rows added; NULL where P is 0 */
    const float *pos;                     /* [pos grid, D] or NULL; for another grid the context
                                             has its own (engine/size.h) */
    const float *norm_pre_w, *norm_pre_b; /* [D] or NULL */
    vx_block_weights *blocks;             /* [depth]     */
    const float *norm_w, *norm_b;         /* [D] or NULL: the norm before pooling */
    vx_pool_weights pool;
    const float *fc_norm_w, *fc_norm_b; /* [D] or NULL: the norm after pooling  */
    vx_weight head;                     /* [K, D]; data NULL where arch.bare */
    vx_weight head2;                    /* [K, D], no bias; data NULL where one vector is read */
} vx_weights;

struct vitx_model {
    vitx_hooks hooks;
    char *path;
    vx_container *container;
    vx_arch arch;
    const vx_family *family;
    const vx_dialect *dialect;
    const vx_naming *naming;
    vx_found found;     /* the tensors, in the container */
    char *architecture; /* as config.json names it, "" if not */
    vitx_recipe recipe;
    vx_pos_rule
        positions; /* how position embeddings are resampled, unless a context says otherwise */
    vx_labels labels;
    vitx_source from_eps, from_act, from_heads, from_outputs;
    char *guesses; /* guesses.h */
    int64_t parameters, weight_bytes;
    const char *weight_dtype;
    pthread_mutex_t lock; /* of packed: the only part that changes after opening */
    vx_weights *packed;
};

/* What people call the model: the last name of its path; for a .safetensors file that of its folder. */
void vx_model_name(char *out, size_t size, const vitx_model *model);

/* The weights on a device in a precision; packs them at the first call (values are read and
 * checked then). They belong to the model. Any thread. */
int vx_model_weights(const vx_weights **out, vitx_model *model, const vx_device_class *cls,
                     const char *precision);

/* A copy that belongs to the caller, who may change it (reset.h). */
int vx_weights_copy(vx_weights **out, vitx_model *model, const vx_weights *weights);
void vx_weights_free(vx_weights *weights, const vitx_model *model);

/* The bytes they take, without packing any; SIZE_MAX where they cannot be counted. */
int vx_model_weight_bytes(size_t *out, const vitx_model *model, const vx_device_class *cls,
                          const char *precision);

/* Frees what vx_model_weights packed; part of vitx_model_free. */
void vx_model_free_weights(vitx_model *model);

/* "gelu", ... */
const char *vx_act_name(vx_act act);
/* Multiply-adds of one forward of one picture, times two. */
int64_t vx_arch_flops(const vx_arch *arch);

#endif
