/*
 * model/family.h: families and namings: from named tensors and configuration to a vx_arch.
 *
 * A naming is a library's way of writing things down: the names of the tensors, and where its
 * configuration tells what shapes cannot (heads, activation, eps, preprocessing). A family is a
 * kind of network that may come in several namings: it says by what it is known and what the
 * library takes for granted. A new family is one file ending in a const vx_family, and one row in
 * families.def; a new naming is one file ending in a const vx_naming.
 */
#ifndef VX_MODEL_FAMILY_H
#define VX_MODEL_FAMILY_H

#include <vitx/model.h>

#include "model/arch.h"
#include "model/config.h"
#include "model/container.h"
#include "model/positions.h"
#include "model/wrapping.h"

/* What a tensor is there for: VX_PATCH_W, VX_NORM1_B, ...; weights.def has them all. */
typedef enum vx_role {
    VX_NO_ROLE = 0,
#define VX_VECTOR(group, member, role, need, n) VX_##role,
#define VX_MATRIX(group, member, role, ...) VX_##role##_W, VX_##role##_B,
#define VX_TENSOR(role, need, ...) VX_##role,
#define VX_ROLES_OF_BLOCKS VX_MODEL_ROLES, VX_LAST_OF_MODEL = VX_MODEL_ROLES - 1,
#include "model/weights.def"
    VX_ROLES
} vx_role;
#define VX_BLOCK_ROLES (VX_ROLES - VX_MODEL_ROLES)

#define VX_MAX_PATCH 1024 /* pixels of a patch's side */

/* The tensors of a model by role; NULL where a model has none. */
typedef struct vx_found {
    const vx_tensor *model[VX_MODEL_ROLES];
    const vx_tensor *(*blocks)[VX_BLOCK_ROLES]; /* [depth]; index role - VX_MODEL_ROLES */
    char *left_out;                             /* vitx_model_info.left_out */
} vx_found;

/* The tensor of any role; `block` is read if the role is one of blocks. */
static inline const vx_tensor *vx_found_at(const vx_found *found, vx_role role, int block)
{
    return role < VX_MODEL_ROLES ? found->model[role] : found->blocks[block][role - VX_MODEL_ROLES];
}

/* What the name of an architecture says of a network that keeps its sizes; 0: nothing. */
typedef struct vx_named {
    const char *architecture; /* NULL: there is no name, or the sizes are told apart from it */
    int width, depth, patch;
} vx_named;

/* What the configuration says about the architecture; the tensors say the rest. */
typedef struct vx_hints {
    int heads;                     /* 0: nothing known                          */
    int pool_heads;                /* of a pooling head; 0: as many             */
    int image_height, image_width; /* 0: nothing known                          */
    /* 0: not said; else the tensors must agree */
    int depth, width, hidden, patch_height, patch_width, classes, registers, channels;
    int features;            /* of what the head reads: the width */
    int vocabulary, context; /* of a text tower: rows of its tables */
    bool causal;             /* vx_arch.causal */
    int max_patches; /* each picture has a grid of its own, of at most so many; 0: one grid */
    bool qkv_bias, qkv_bias_known;
    vx_named named;
    const char *path; /* the file that says so; NULL: config.json */
    double eps;
    vx_act act;
    vx_rotary rotary;
    bool gated, gated_known; /* whether the perceptron has a gate */
    bool masked_keys;        /* a bias of the keys in the file counts as 0 */
    bool no_key_bias;        /* biases of queries and values may come without one of the keys */
    vx_pool_kind pool;
    bool pool_known;  /* false: decided by which tensors there are */
    bool pool_prefix; /* a pooling head attends to the prefix tokens, too */
    bool units;       /* the head is a projection: its outputs are an embedding */
    bool norm_after;  /* the norm comes behind the pooling */
    bool headless;    /* there are no classes: a head in the file is not read */
    bool has_head;    /* the model is one with a head: its tensors must be there */
    bool pool_plain;  /* a pooling head is the attention of its probe and nothing else  */
    bool post_norm;   /* norm1 and norm2 stand behind attention and mlp                 */
    bool pos_late;    /* positions are added behind the norm before the blocks          */
    bool rms;         /* the norms are RMSNorms                                  */
    bool relative, relative_known; /* there are relative positions, or there are none */
    bool qk_norm;                  /* queries and keys are normalised: tensors must be there  */
    /* a file says which network it is, and how its pictures are made: what that leaves out its
     * library knows (guesses.h) */
    bool network_told, pictures_told;
    vitx_source from_heads, from_eps, from_act;
} vx_hints;

/* What a library does to pictures where the files do not say. */
typedef struct vx_recipe_defaults {
    vitx_filter filter;
    bool centre_crop;
    vitx_resize resize;
    double crop_pct; /* input size over resize size */
    float mean[3], std[3];
} vx_recipe_defaults;

typedef struct vx_family vx_family;
typedef struct vx_naming vx_naming;

/* A family in one naming. */
typedef struct vx_dialect {
    const vx_naming *naming;
    const char *prefix;               /* of the tensors: '*' in the naming's templates           */
    const char *const *architectures; /* beginnings of the config's name for it, or, behind a '*',
                                         parts of it; ended by NULL; NULL: its tensors alone tell */
    const vx_recipe_defaults *recipe;
    const char *const
        *tensors;          /* that must be there besides, ended by NULL: '*' the prefix; or NULL */
    double eps;            /* where the config does not say; 0: the naming's                   */
    bool concatenates;     /* its head reads the class token and the mean of the patches       */
    vx_role with;          /* a tensor it is known by beside the patch embedding; or left out  */
    vx_role without;       /* a tensor that must not be there; left out: none                  */
    vx_pos_rule positions; /* how position embeddings are resampled; left out: as the naming says */
} vx_dialect;

struct vx_family {
    const char *name;
    const vx_dialect *dialects; /* ended by one without a naming */
};

struct vx_naming {
    const char *name; /* "timm", "huggingface"; and for people: */
    const char *title;
    vx_pos_rule positions; /* how the library resamples position embeddings                      */
    /* '*': the dialect's prefix, '#': the block, '|': or else; "": has none; NULL: as the base has
     * it, or none without a base */
    const char *names[VX_ROLES];
    const vx_naming *base;       /* of names alone; or NULL */
    bool behind_prefix;          /* the base's names stand behind the dialect's prefix */
    const char *const *harmless; /* tensors that do not change the answer, ended by NULL, or NULL; a
                                     trailing '.' or '/' means all that begin so                 */
    bool code_tells; /* its files have no configuration: what they leave out stands in its code */
    bool two_heads;  /* a distillation token is read, through a head of its own                  */
    /* The config's name for the architecture, NULL if there is none; or NULL: there never is one
     * (vx_naming_architecture). */
    const char *(*architecture)(const vx_config *config);
    int (*read_hints)(vx_hints *out, const vx_config *config);
    /* NULL, or: shows the tensors under `prefix` in the shapes that roles have, and adds to the
     * hints what only the shapes in the file tell. Other tensors may be dropped. */
    int (*arrange)(vx_container *container, vx_hints *hints, const char *prefix,
                   const vx_config *config);
    /* `out` holds the defaults already (recipe.h). */
    int (*read_recipe)(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect);
};

static inline const char *vx_naming_architecture(const vx_naming *naming, const vx_config *config)
{
    return naming->architecture ? naming->architecture(config) : NULL;
}

/* What a model file turned out to be. */
typedef struct vx_match {
    const vx_family *family;
    const vx_dialect *dialect;
    const char *prefix;
    vx_wrapping wrapping;
    bool own_head;  /* the classifier had a name of its own (classifier.h) */
    bool reads_one; /* it reads one vector, even where the library's reads two */
    char like[140]; /* where there is no classifier: a matrix that looks like one, and why not */
} vx_match;

/* The table, NULL behind its end. */
const vx_family *vx_family_at(int index);

/* Finds the family, or says in one sentence what was found and why it is not run. What training
 * wraps around names is taken off the keys (wrapping.h). */
int vx_family_match(vx_match *out, vx_container *container, const vx_config *config);
/* The first family and dialect that the container's keys fit; false: none. */
bool vx_family_find(vx_match *out, const vx_container *container, const vx_config *config);

/* Finds every tensor by name and shape, and fills arch. found->blocks and left_out are allocated
 * with hooks. A tensor of the file that is neither used nor harmless is an error. */
int vx_family_bind(vx_found *found, vx_arch *arch, const vx_match *match, vx_hints *hints,
                   const vx_container *container, const vx_config *config, const vitx_hooks *hooks);

extern const vx_naming vx_naming_meta_dinov3, vx_naming_hf_dinov3, vx_naming_hf_tips,
    vx_naming_hf_sapiens;
extern const vx_naming vx_naming_timm, vx_naming_meta, vx_naming_hf, vx_naming_hf_dinov2,
    vx_naming_hf_beit, vx_naming_hf_aimv2, vx_naming_hf_internvl, vx_naming_internvit,
    vx_naming_hf_clip, vx_naming_hf_clip_class, vx_naming_hf_siglip, vx_naming_hf_siglip_class,
    vx_naming_open_clip, vx_naming_open_clip_timm, vx_naming_openai, vx_naming_cn_clip,
    vx_naming_google, vx_naming_big_vision, vx_naming_big_vision_texts, vx_naming_torchvision,
    vx_naming_mmpretrain;
/* What OpenAI's CLIP has beside the tensors of open_clip's: a list for vx_dialect.tensors. */
#define VX_OPENAI_NUMBERS                                                                          \
    {                                                                                              \
        "input_resolution", "context_length", "vocab_size", NULL                                   \
    }
/* The table of tokens in an archive of big_vision's, perhaps behind "params/". */
#define VX_BIG_VISION_TOKENS "txt/Embed_0/embedding"
/* Of transformers' image processors of those classes; DINOv3's resizes floats. */
extern const vx_recipe_defaults vx_hf_vit_processor, vx_hf_deit_processor, vx_hf_dinov3_processor,
    vx_hf_tips_processor, vx_hf_sapiens_processor, vx_hf_clip_processor, vx_hf_siglip_processor;
/* What CLIP's pictures are normalised with; of open_clip's PreprocessCfg. */
#define VX_CLIP_MEAN                                                                               \
    {                                                                                              \
        0.48145466f, 0.4578275f, 0.40821073f                                                       \
    }
#define VX_CLIP_STD                                                                                \
    {                                                                                              \
        0.26862954f, 0.26130258f, 0.27577711f                                                      \
    }

#endif
