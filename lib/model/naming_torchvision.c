/*
 * model/naming_torchvision.c: what torchvision writes (pytorch/vision 0.29:
 * models/vision_transformer.py; mlp.linear_1 before 0.13). It has no configuration; one of timm's
 * kind beside the weights is read. Its networks take pictures of one size: positions for another
 * are resampled as timm does.
 */
#include "model/naming_timm.h"

/* The code fixes activation and eps. */
static int read_hints(vx_hints *out, const vx_config *config)
{
    VX_TRY(vx_timm_read_hints(out, config));
    out->network_told = true;
    return VITX_OK;
}

const vx_naming vx_naming_torchvision = {
    .name = "torchvision",
    .title = "torchvision",
    .names =
        {
            [VX_PATCH_W] = "conv_proj.weight",
            [VX_PATCH_B] = "conv_proj.bias",
            [VX_CLASS_TOKEN] = "class_token",
            [VX_POSITIONS] = "encoder.pos_embedding",
            [VX_NORM_W] = "encoder.ln.weight",
            [VX_NORM_B] = "encoder.ln.bias",
            [VX_HEAD_W] = "heads.head.weight",
            [VX_HEAD_B] = "heads.head.bias",
            [VX_NORM1_W] = "encoder.layers.encoder_layer_#.ln_1.weight",
            [VX_NORM1_B] = "encoder.layers.encoder_layer_#.ln_1.bias",
            [VX_QKV_W] = "encoder.layers.encoder_layer_#.self_attention.in_proj_weight",
            [VX_QKV_B] = "encoder.layers.encoder_layer_#.self_attention.in_proj_bias",
            [VX_PROJ_W] = "encoder.layers.encoder_layer_#.self_attention.out_proj.weight",
            [VX_PROJ_B] = "encoder.layers.encoder_layer_#.self_attention.out_proj.bias",
            [VX_NORM2_W] = "encoder.layers.encoder_layer_#.ln_2.weight",
            [VX_NORM2_B] = "encoder.layers.encoder_layer_#.ln_2.bias",
            [VX_FC1_W] = "encoder.layers.encoder_layer_#.mlp.0.weight|encoder.layers.encoder_layer_"
                         "#.mlp.linear_1.weight",
            [VX_FC1_B] = "encoder.layers.encoder_layer_#.mlp.0.bias|encoder.layers.encoder_layer_#."
                         "mlp.linear_1.bias",
            [VX_FC2_W] = "encoder.layers.encoder_layer_#.mlp.3.weight|encoder.layers.encoder_layer_"
                         "#.mlp.linear_2.weight",
            [VX_FC2_B] = "encoder.layers.encoder_layer_#.mlp.3.bias|encoder.layers.encoder_layer_#."
                         "mlp.linear_2.bias",
        },
    .architecture = vx_timm_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_timm_read_recipe,
};
