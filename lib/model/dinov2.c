/*
 * model/dinov2.c: DINOv2 (Oquab et al. 2023, arXiv:2304.07193), with registers (Darcet et al. 2023,
 * arXiv:2309.16588) and without.
 *
 * The class token, but no register, has a row of the position embeddings; timm adds it to the token
 * when it takes over a file. The giant one has SwiGLU. Linear classifiers read the class token and
 * the mean of the patches (Hugging Face's ...ForImageClassification, Meta's dinov2_*_lc with one
 * layer); timm's heads read the class token, as a ViT's.
 */
#include "model/family.h"

static const char *const timm_architectures[] = {"vit_small_patch14_dinov2",
                                                 "vit_base_patch14_dinov2",
                                                 "vit_large_patch14_dinov2",
                                                 "vit_giant_patch14_dinov2",
                                                 "vit_small_patch14_reg4_dinov2",
                                                 "vit_base_patch14_reg4_dinov2",
                                                 "vit_large_patch14_reg4_dinov2",
                                                 "vit_giant_patch14_reg4_dinov2",
                                                 NULL};
/* What timm drops, and other networks with a mask token have not. */
static const char *const meta_tensors[] = {"*mask_token", "*blocks.0.ls1.gamma", NULL};
static const char *const hf_tensors[] = {"*encoder.layer.0.layer_scale1.lambda1", NULL};

#define IMAGENET                                                                                   \
    {0.485f, 0.456f, 0.406f},                                                                      \
    {                                                                                              \
        0.229f, 0.224f, 0.225f                                                                     \
    }
/* timm: default_cfgs of models/vision_transformer.py */
static const vx_recipe_defaults timm_recipe = {VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 1.0,
                                               IMAGENET};
/* Meta: make_classification_eval_transform; the checkpoints' preprocessor_config.json */
static const vx_recipe_defaults eval_recipe = {VITX_BICUBIC, true, VITX_RESIZE_SHORTEST,
                                               224.0 / 256, IMAGENET};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm,
     .prefix = "",
     .architectures = timm_architectures,
     .recipe = &timm_recipe},
    {.naming = &vx_naming_meta,
     .prefix = "",
     .recipe = &eval_recipe,
     .positions = VX_POS_DINOV2,
     .tensors = meta_tensors,
     .concatenates = true},
    {.naming = &vx_naming_meta,
     .prefix = "backbone.",
     .recipe = &eval_recipe,
     .positions = VX_POS_DINOV2,
     .tensors = meta_tensors,
     .concatenates = true},
    {.naming = &vx_naming_hf_dinov2,
     .prefix = "dinov2.",
     .recipe = &eval_recipe,
     .tensors = hf_tensors,
     .eps = 1e-6,
     .concatenates = true},
    {.naming = &vx_naming_hf_dinov2,
     .prefix = "dinov2_with_registers.",
     .recipe = &eval_recipe,
     .tensors = hf_tensors,
     .eps = 1e-6,
     .concatenates = true},
    {.naming = &vx_naming_hf_dinov2,
     .prefix = "",
     .recipe = &eval_recipe,
     .tensors = hf_tensors,
     .eps = 1e-6,
     .concatenates = true},
    {0},
};

const vx_family vx_family_dinov2 = {.name = "dinov2", .dialects = dialects};
