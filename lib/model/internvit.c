/*
 * model/internvit.c: InternViT (Chen et al. 2023, arXiv:2312.14238), the pictures' part of
 * InternVL: a ViT with LayerScale; the large one has RMSNorms, and norms of queries and keys over
 * all heads. In timm's names it is a plain ViT (vit.c).
 */
#include "model/family.h"

static const char *const architectures[] = {"InternVLVisionModel", NULL};
static const char *const own[] = {"encoder.layers.0.ls1", NULL};

/* its preprocessor_config.json: CLIP's processor with ImageNet's mean */
static const vx_recipe_defaults recipe = {VITX_BICUBIC,
                                          true,
                                          VITX_RESIZE_SHORTEST,
                                          1.0,
                                          {0.485f, 0.456f, 0.406f},
                                          {0.229f, 0.224f, 0.225f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_hf_internvl,
     .prefix = "",
     .architectures = architectures,
     .recipe = &recipe},
    {.naming = &vx_naming_internvit, .prefix = "", .recipe = &recipe, .tensors = own},
    {0},
};

const vx_family vx_family_internvit = {.name = "internvit", .dialects = dialects};
