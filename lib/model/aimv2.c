/*
 * model/aimv2.c: AIMv2 (Fini et al. 2024, arXiv:2411.14402): a ViT with RMSNorms, one of which
 * stands between the patches and their positions, and perceptrons gated by SiLU. timm answers with
 * the mean of the patches, Hugging Face with what one learnt query makes of them.
 */
#include "model/family.h"

static const char *const architectures[] = {"aimv2_", NULL};

/* timm: _cfg() of models/vision_transformer.py with CLIP's mean and std */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC, true,         VITX_RESIZE_SHORTEST,
                                               1.0,          VX_CLIP_MEAN, VX_CLIP_STD};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_hf_aimv2,
     .prefix = "",
     .recipe = &vx_hf_clip_processor,
     .with = VX_NORM_PRE_W},
    {0},
};

const vx_family vx_family_aimv2 = {.name = "aimv2", .dialects = dialects};
