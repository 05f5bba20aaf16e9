/*
 * model/dinov3.c: DINOv3 (arXiv:2508.10104), and the networks that are built as it: EUPE and
 * LingBot.
 *
 * Queries and keys are rotated by the patches' places; there are no position embeddings. timm
 * answers with the mean of the normed patches, Hugging Face and Meta with the normed class token.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"*_dinov3", "*_lingbot", NULL};

/* timm: _dinov3_cfg() of models/eva.py */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC,
                                               true,
                                               VITX_RESIZE_SHORTEST,
                                               1.0,
                                               {0.485f, 0.456f, 0.406f},
                                               {0.229f, 0.224f, 0.225f}};

/* Meta: make_transform of its README */
static const vx_recipe_defaults eval_recipe = {
    VITX_BILINEAR,           false, VITX_RESIZE_EXACT, 1.0, {0.485f, 0.456f, 0.406f},
    {0.229f, 0.224f, 0.225f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_hf_dinov3,
     .prefix = "",
     .recipe = &vx_hf_dinov3_processor,
     .with = VX_Q_W},
    {.naming = &vx_naming_hf_dinov3,
     .prefix = "model.",
     .recipe = &vx_hf_dinov3_processor,
     .with = VX_Q_W},
    {.naming = &vx_naming_meta_dinov3, .prefix = "", .recipe = &eval_recipe, .with = VX_REGISTERS},
    {0},
};

const vx_family vx_family_dinov3 = {.name = "dinov3", .dialects = dialects};
