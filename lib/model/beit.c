/*
 * model/beit.c: BEiT (Bao et al. 2021, arXiv:2106.08254), BEiT v2 (Peng et al. 2022,
 * arXiv:2208.06366) and data2vec's pictures (Baevski et al. 2022, arXiv:2202.03555): ViTs whose
 * scores know by a table where two patches lie to each other. Most have no position embeddings.
 */
#include "model/family.h"

/* timm: _cfg() of models/beit.py */
static const vx_recipe_defaults timm_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 0.9, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};

static const char *const bare[] = {"BeitModel", "Data2VecVisionModel", NULL};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm, .prefix = "", .recipe = &timm_recipe, .with = VX_RELATIVE},
    {.naming = &vx_naming_hf_beit, .prefix = "beit.", .recipe = &vx_hf_siglip_processor},
    {.naming = &vx_naming_hf_beit, .prefix = "data2vec_vision.", .recipe = &vx_hf_siglip_processor},
    {.naming = &vx_naming_hf_beit,
     .prefix = "",
     .architectures = bare,
     .recipe = &vx_hf_siglip_processor},
    {0},
};

const vx_family vx_family_beit = {.name = "beit", .dialects = dialects};
