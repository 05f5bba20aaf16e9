/*
 * model/vit.c: the Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929), as timm's
 * VisionTransformer, as Hugging Face's ViTForImageClassification and ViTModel, and in Google's own
 * .npz files, whose pictures are prepared as timm does for the models that it makes of them. MSN
 * (Assran et al. 2022, arXiv:2204.07141), I-JEPA (Assran et al. 2023, arXiv:2301.08243; no class
 * token) and the encoder of MAE (He et al. 2021, arXiv:2111.06377) are ViTs in Hugging Face's
 * names.
 *
 * torchvision's and MMPretrain's are ViTs as well. With timm's names it also stands for the plain
 * networks that share them under other names.
 */
#include "model/family.h"

/* timm: _cfg() of models/vision_transformer.py */
static const vx_recipe_defaults timm_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 0.9, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};

/* torchvision: ImageClassification of transforms/_presets.py */
static const vx_recipe_defaults torchvision_recipe = {
    VITX_BILINEAR,           true, VITX_RESIZE_SHORTEST, 224.0 / 256, {0.485f, 0.456f, 0.406f},
    {0.229f, 0.224f, 0.225f}};
/* MMPretrain: configs/vision_transformer */
static const vx_recipe_defaults mmpretrain_recipe = {
    VITX_BICUBIC, true, VITX_RESIZE_SHORTEST, 224.0 / 256, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
static const char *const mmpretrain_tensors[] = {"layers.0.ln1.weight", NULL};

static const vx_dialect dialects[] = {
    {.naming = &vx_naming_timm, .prefix = "", .recipe = &timm_recipe},
    {.naming = &vx_naming_hf, .prefix = "vit.", .recipe = &vx_hf_vit_processor},
    {.naming = &vx_naming_hf, .prefix = "ijepa.", .recipe = &vx_hf_vit_processor},
    {.naming = &vx_naming_big_vision, .prefix = "params/", .recipe = &timm_recipe},
    {.naming = &vx_naming_big_vision, .prefix = "params/img/", .recipe = &timm_recipe},
    {.naming = &vx_naming_google, .prefix = "opt/target/", .recipe = &timm_recipe},
    {.naming = &vx_naming_google, .prefix = "", .recipe = &timm_recipe},
    {.naming = &vx_naming_hf,
     .prefix = "",
     .recipe = &vx_hf_vit_processor}, /* ViTModel and the like */
    {.naming = &vx_naming_torchvision, .prefix = "", .recipe = &torchvision_recipe},
    {.naming = &vx_naming_mmpretrain,
     .prefix = "",
     .recipe = &mmpretrain_recipe,
     .tensors = mmpretrain_tensors},
    {0},
};

const vx_family vx_family_vit = {.name = "vit", .dialects = dialects};
