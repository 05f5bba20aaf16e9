/*
 * model/pe.c: Perception Encoder (Bolya et al. 2025, arXiv:2504.13181) in timm's names: rotated
 * queries and keys beside position embeddings, a norm before the blocks. Core pools by attention,
 * with 8 heads whatever the blocks have; of lang and spatial, which have no norm behind the blocks,
 * timm's heads read the mean of the patches.
 *
 * On another grid than the file's, rotations are stretched to the reference grid and positions
 * resampled as timm does; Meta's own code does neither, and is 4 to 5 % away there.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"vit_pe_", NULL};

/* timm: _pe_cfg() of models/eva.py */
static const vx_recipe_defaults timm_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 1.0, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {0},
};

const vx_family vx_family_pe = {.name = "pe", .dialects = dialects};
