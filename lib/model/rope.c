/*
 * model/rope.c: ViTs that rotate queries and keys by rows and columns, or by learnt frequencies
 * (RoPE-ViT, Heo et al. 2024, arXiv:2403.13298), with position embeddings or without, and timm's
 * own with registers and no class token.
 *
 * LayerScale has the names that DeiT III's has, so the name of the architecture tells.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"*_rope_", NULL};

/* timm: _cfg() of models/eva.py */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC,
                                               true,
                                               VITX_RESIZE_SHORTEST,
                                               0.9,
                                               {0.485f, 0.456f, 0.406f},
                                               {0.229f, 0.224f, 0.225f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {0},
};

const vx_family vx_family_rope = {.name = "rope", .dialects = dialects};
