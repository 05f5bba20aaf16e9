/*
 * model/siglip.c: the vision tower of SigLIP (Zhai et al. 2023, arXiv:2303.15343): a ViT without
 * class token whose patches are pooled by attention (Lee et al. 2019's PMA with one seed), and no
 * projection.
 *
 * Tried after clip: what tells CLIP's tensors from these is the class token.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"*_siglip_", NULL};
static const char *const classifier[] = {"classifier.weight", NULL}; /* Hugging Face */
static const char *const beside_texts[] = {"params/" VX_BIG_VISION_TOKENS, NULL};
static const char *const beside_bare_texts[] = {VX_BIG_VISION_TOKENS, NULL};

/* timm: _cfg() of models/vision_transformer.py */
static const vx_recipe_defaults timm_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 0.9, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
/* what open_clip's configurations of SigLIP say, whose own default is CLIP's; and transformers' */
static const vx_recipe_defaults towers_recipe = {
    VITX_BICUBIC, false, VITX_RESIZE_EXACT, 1.0, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_hf_siglip_class,
     .prefix = "vision_model.",
     .recipe = &vx_hf_siglip_processor,
     .tensors = classifier},
    {.naming = &vx_naming_hf_siglip, .prefix = "vision_model.", .recipe = &vx_hf_siglip_processor},
    {.naming = &vx_naming_hf_siglip, .prefix = "", .recipe = &vx_hf_siglip_processor},
    {.naming = &vx_naming_open_clip_timm, .prefix = "visual.trunk.", .recipe = &towers_recipe},
    {.naming = &vx_naming_big_vision,
     .prefix = "params/img/",
     .recipe = &towers_recipe,
     .with = VX_POOL_PROBE,
     .tensors = beside_texts},
    {.naming = &vx_naming_big_vision,
     .prefix = "img/",
     .recipe = &towers_recipe,
     .with = VX_POOL_PROBE,
     .tensors = beside_bare_texts},
    {.naming = &vx_naming_big_vision,
     .prefix = "params/img/",
     .recipe = &timm_recipe,
     .with = VX_POOL_PROBE},
    {.naming = &vx_naming_big_vision,
     .prefix = "params/",
     .recipe = &timm_recipe,
     .with = VX_POOL_PROBE,
     .without = VX_HEAD_W}, /* with a head it is a ViT that pools so */
    {0},
};

const vx_family vx_family_siglip = {.name = "siglip", .dialects = dialects};
