/*
 * model/deit.c: DeiT and DeiT III (Touvron et al. 2020, arXiv:2012.12877; 2022, arXiv:2204.07118).
 *
 * In timm's names a plain DeiT is a ViT whose pictures are normalised otherwise, so only its
 * architecture's name tells. Distilled ones have a distillation token behind the class token:
 * timm's read both, each with a head, and average the answers; Hugging Face's have the token always
 * and read it where there is a distillation_classifier (...ForImageClassificationWithTeacher).
 * Meta's DeiT III is known by the names of its LayerScale.
 */
#include "model/family.h"

static const char *const meta_tensors[] = {"blocks.0.gamma_1", "blocks.0.gamma_2", NULL};
static const char *const architectures[] = {"deit_", "deit3_", NULL};
static const char *const bare_architectures[] = {"DeiTModel", NULL}; /* Hugging Face */

/* timm: _cfg() of models/deit.py */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC,
                                               true,
                                               VITX_RESIZE_SHORTEST,
                                               0.9,
                                               {0.485f, 0.456f, 0.406f},
                                               {0.229f, 0.224f, 0.225f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_meta, .prefix = "", .recipe = &timm_recipe, .tensors = meta_tensors},
    {.naming = &vx_naming_hf, .prefix = "deit.", .recipe = &vx_hf_deit_processor},
    {.naming = &vx_naming_hf,
     .prefix = "",
     .architectures = bare_architectures,
     .recipe = &vx_hf_deit_processor},
    {0},
};

const vx_family vx_family_deit = {.name = "deit", .dialects = dialects};
