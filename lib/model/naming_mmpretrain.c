/*
 * model/naming_mmpretrain.c: what MMPretrain and MMClassification write (open-mmlab/mmpretrain:
 * models/backbones/vision_transformer.py, models/heads/vision_transformer_head.py), without the
 * "backbone." before the network (wrapping.h). Their configurations are programs; a config.json of
 * timm's kind beside the weights is read. The norm ln2 behind the blocks is there for out_type
 * avg_featmap alone.
 */
#include "model/naming_timm.h"

static int arrange(vx_container *c, vx_hints *hints, const char *prefix, const vx_config *config)
{
    (void)prefix;
    (void)config;
    if (vx_container_find(c, "ln2.weight") && !hints->pool_known) {
        hints->pool = VX_POOL_AVG;
        hints->pool_known = true;
    }
    return VITX_OK;
}

const vx_naming vx_naming_mmpretrain = {
    .name = "mmpretrain",
    .title = "MMPretrain",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_PATCH_W] = "patch_embed.projection.weight",
            [VX_PATCH_B] = "patch_embed.projection.bias",
            [VX_CLASS_TOKEN] = "cls_token",
            [VX_POSITIONS] = "pos_embed",
            [VX_NORM_PRE_W] = "pre_norm.weight",
            [VX_NORM_PRE_B] = "pre_norm.bias",
            [VX_NORM_W] = "ln1.weight",
            [VX_NORM_B] = "ln1.bias",
            [VX_FC_NORM_W] = "ln2.weight",
            [VX_FC_NORM_B] = "ln2.bias",
            [VX_HEAD_W] = "head.layers.head.weight",
            [VX_HEAD_B] = "head.layers.head.bias",
            [VX_NORM1_W] = "layers.#.ln1.weight",
            [VX_NORM1_B] = "layers.#.ln1.bias",
            [VX_QKV_W] = "layers.#.attn.qkv.weight",
            [VX_QKV_B] = "layers.#.attn.qkv.bias",
            [VX_PROJ_W] = "layers.#.attn.proj.weight",
            [VX_PROJ_B] = "layers.#.attn.proj.bias",
            [VX_LS1] = "layers.#.attn.gamma1.weight",
            [VX_NORM2_W] = "layers.#.ln2.weight",
            [VX_NORM2_B] = "layers.#.ln2.bias",
            [VX_FC1_W] = "layers.#.ffn.layers.0.0.weight|layers.#.ffn.w12.weight",
            [VX_FC1_B] = "layers.#.ffn.layers.0.0.bias|layers.#.ffn.w12.bias",
            [VX_FC2_W] = "layers.#.ffn.layers.1.weight|layers.#.ffn.w3.weight",
            [VX_FC2_B] = "layers.#.ffn.layers.1.bias|layers.#.ffn.w3.bias",
            [VX_LS2] = "layers.#.ffn.gamma2.weight",
        },
    .arrange = arrange,
    .architecture = vx_timm_architecture,
    .read_hints = vx_timm_read_hints,
    .read_recipe = vx_timm_read_recipe,
};
