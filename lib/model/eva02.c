/*
 * model/eva02.c: EVA-02 (Fang et al. 2023, arXiv:2303.11331), and the towers of EVA-CLIP
 * (arXiv:2303.15389) that are built as it: rotated queries and keys beside position embeddings,
 * SwiGLU, norms within the attention and the perceptron.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"eva02_", NULL};

/* timm: _cfg() of models/eva.py */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC, true,         VITX_RESIZE_SHORTEST,
                                               0.9,          VX_CLIP_MEAN, VX_CLIP_STD};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {0},
};

const vx_family vx_family_eva02 = {.name = "eva02", .dialects = dialects};
