/*
 * model/clip.c: the vision tower of CLIP (Radford et al. 2021, arXiv:2103.00020): a ViT with a norm
 * before the blocks, and a projection to the embedding that it shares with the texts.
 *
 * timm holds the projection as its classifier, of architectures *_clip_*; those that were
 * fine-tuned to classes have classes (naming_timm.c).
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"*_clip_", NULL};
static const char *const classifier[] = {"classifier.weight", NULL}; /* Hugging Face */

/* timm: _cfg() of models/vision_transformer.py with CLIP's mean and std */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC, true,         VITX_RESIZE_SHORTEST,
                                               0.9,          VX_CLIP_MEAN, VX_CLIP_STD};
/* PreprocessCfg of open_clip's transform.py, and _transform of OpenAI's clip.py */
static const vx_recipe_defaults open_clip_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 1.0, VX_CLIP_MEAN, VX_CLIP_STD};

/* cn_clip/clip/utils.py: image_transform */
static const vx_recipe_defaults cn_clip_recipe = {VITX_BICUBIC, false,        VITX_RESIZE_EXACT,
                                                  1.0,          VX_CLIP_MEAN, VX_CLIP_STD};
static const char *const openai_numbers[] = VX_OPENAI_NUMBERS;
static const char *const beside_bert[] = {"bert.embeddings.word_embeddings.weight", NULL};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_hf_clip_class,
     .prefix = "vision_model.",
     .recipe = &vx_hf_clip_processor,
     .with = VX_CLASS_TOKEN,
     .tensors = classifier},
    {.naming = &vx_naming_hf_clip,
     .prefix = "vision_model.",
     .recipe = &vx_hf_clip_processor,
     .with = VX_CLASS_TOKEN},
    {.naming = &vx_naming_hf_clip,
     .prefix = "",
     .recipe = &vx_hf_clip_processor,
     .with = VX_CLASS_TOKEN},
    {.naming = &vx_naming_cn_clip, .prefix = "", .recipe = &cn_clip_recipe, .tensors = beside_bert},
    {.naming = &vx_naming_openai,
     .prefix = "",
     .recipe = &open_clip_recipe,
     .tensors = openai_numbers},
    {.naming = &vx_naming_open_clip, .prefix = "", .recipe = &open_clip_recipe},
    {.naming = &vx_naming_open_clip_timm,
     .prefix = "visual.trunk.",
     .recipe = &open_clip_recipe,
     .with = VX_CLASS_TOKEN},
    {0},
};

const vx_family vx_family_clip = {.name = "clip", .dialects = dialects};
