/* model/model.h: the inside of an opened model. */
#ifndef VX_MODEL_MODEL_H
#define VX_MODEL_MODEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <vitx/model.h>

#include "model/arch.h"
#include "model/container.h"
#include "model/family.h"
#include "model/labels.h"
#include "model/text.h"
#include "model/weights.h"

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
    vx_text_rules text; /* of a text tower: arch.vocabulary is above 0 */
    vitx_source from_eps, from_act, from_heads, from_outputs;
    char *guesses;              /* guesses.h */
    char *wrapping;             /* vitx_model_info.wrapping */
    char *tower;                /* vitx_model_info.text */
    char *weights_key, *ignore; /* of the options; NULL: none */
    bool in_memory;             /* so were its files */
    char block[200];
    int64_t parameters, weight_bytes;
    const char *weight_dtype;
    pthread_mutex_t lock; /* of what changes after opening: */
    vx_weights *packed;
    char digest[VITX_DIGEST_TEXT]; /* "": not yet computed */
    atomic_int users;              /* the caller, until vitx_model_free, and every context */
};

/* The files in memory that the options have. */
vx_shelf vx_model_shelf(const vitx_model_opts *opts);

/* Opening, for pictures (model.c) and for texts (text.c): `read` finds out what the container at
 * model->container holds, with what lies in the folder. */
typedef int vx_model_read_fn(vitx_model *model, const vx_config *config, const char *folder,
                             const vitx_model_opts *opts);
int vx_model_open(vitx_model **out, const char *path, const vitx_model_opts *opts,
                  vx_model_read_fn *read);

/* parameters, weight_bytes and weight_dtype, of model->found; model->block, of model->arch. */
void vx_model_describe(vitx_model *model);

/* A context that uses the model, and that does no more: the last user frees it. */
void vx_model_hold(vitx_model *model);
void vx_model_drop(vitx_model *model);

/* What people call the model: the last name of its path; for a .safetensors or .bin file that of
 * its folder. */
void vx_model_name(char *out, size_t size, const vitx_model *model);

/* "gelu", ... */
const char *vx_act_name(vx_act act);
/* Multiply-adds of one forward of one picture, times two. */
int64_t vx_arch_flops(const vx_arch *arch);

#endif
