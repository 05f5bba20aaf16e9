/*
 * model/sapiens2.c: Sapiens2 (arXiv:2604.21681): DINOv3's rotation, RMSNorms, normalised queries
 * and keys, a gated perceptron, and in the blocks in the middle half as many heads of keys and
 * values as of queries.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"*_sapiens2", NULL};

/* timm: _sapiens2_cfg() of models/eva.py */
static const vx_recipe_defaults timm_recipe = {
    VITX_BILINEAR,           true, VITX_RESIZE_EXACT, 1.0, {0.485f, 0.456f, 0.406f},
    {0.229f, 0.224f, 0.225f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_hf_sapiens,
     .prefix = "",
     .recipe = &vx_hf_sapiens_processor,
     .with = VX_Q_W},
    {0},
};

const vx_family vx_family_sapiens2 = {.name = "sapiens2", .dialects = dialects};
