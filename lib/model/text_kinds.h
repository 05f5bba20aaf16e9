/*
 * model/text_kinds.h: the kinds of text towers: from a library's names and configuration to a
 * vx_arch and vx_text_rules.
 *
 * A kind is a library's way of writing one sort of tower: a naming whose only parts are names,
 * base, harmless tensors and arrange, and a function that reads the configuration. A new kind is
 * one const vx_text_kind and one row in text_kinds.def.
 */
#ifndef VX_MODEL_TEXT_KINDS_H
#define VX_MODEL_TEXT_KINDS_H

#include "model/family.h"
#include "model/text.h"

/* What lies beside the tensors. */
typedef struct vx_text_files {
    const vitx_hooks *hooks;
    vx_shelf shelf;
    const char *folder;
    const vx_config *config;
    const vx_container *container;
} vx_text_files;

typedef struct vx_text_kind {
    vx_family family; /* its name alone */
    const vx_naming *naming;
    const char *const *prefixes; /* of the tensors, one of which it has; ended by NULL */
    /* config.json's model_type, of the towers together and of the text tower alone, ended by NULL;
     * NULL: the tensors tell */
    const char *const *types;
    vx_role with; /* a tensor that it is known by beside the table of tokens, or none */
    const char *const *tensors; /* others that must be there, by their keys; NULL: none */
    const char *scale, *bias;   /* the names of logit_scale and logit_bias */
    int head_width;             /* of all towers of the kind; 0: the configuration has the heads */
    bool norm_stays;            /* vx_arch.norm_stays: `norm1` of the naming is the block's last */
    /* Gives rules its kind and all that the configuration says; hints->eps, act, heads and sizes
     * that the tensors must agree with. rules->context: the most that the tokenizer's files allow,
     * 0: the table's. */
    int (*read)(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files);
} vx_text_kind;

#define VX_TEXT_KIND(name) extern const vx_text_kind vx_text_kind_##name;
#include "model/text_kinds.def"
#undef VX_TEXT_KIND

/* Which kind a file is of, and its naming and prefix in *dialect. VITX_UNSUPPORTED: *kind is
 * NULL if there is no table of tokens at all; else a tower that is not run, whose name is in the
 * message. */
int vx_text_kind_find(const vx_text_kind **kind, vx_dialect *dialect, const vx_text_files *files);

/* Finds every tensor by name and shape, and fills arch and what of rules the tensors say. found is
 * allocated with files->hooks, also after a failure. */
int vx_text_bind(vx_found *found, vx_arch *arch, vx_text_rules *rules, const vx_text_kind *kind,
                 const vx_match *match, vx_hints *hints, const vx_text_files *files);

/* vitx_model_info.text of a network for pictures, from headers alone; of the failures only
 * VITX_NOMEM is one. */
int vx_text_tell(struct vitx_model *m, const vx_config *config, const char *folder,
                 const vitx_model_opts *opts);

/* The object of a transformers configuration that is about the texts. */
const vx_json *vx_text_hf_object(const vx_config *config);
/* eps, heads, activation, sizes, vocabulary and context of it; act, eps and heads where it does not
 * say. */
int vx_text_hf_read(vx_hints *out, const vx_text_files *files, const char *act, double eps,
                    int heads);
/* The most tokens that tokenizer_config.json allows; *out stays where it says none. */
int vx_text_read_limit(int *out, const vx_text_files *files);
/* Its tokenizer_class; "" where it says none. */
int vx_text_read_class(char *out, size_t size, const vx_text_files *files);
/* SigLIP's rules->pad and rules->clean as transformers has them, by the tokenizer's files. */
int vx_text_read_siglip(vx_text_rules *rules, const vx_text_files *files);
/* Whether the folder has a model of SentencePiece as T5 and SigLIP have it. */
int vx_text_has_pieces(bool *out, const vx_text_files *files);
/* Whether the folder has a file. */
int vx_text_has_file(bool *out, const vx_text_files *files, const char *name);

#endif
