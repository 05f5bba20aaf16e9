/*
 * model/naming_hf_internvl.c: InternViT as Hugging Face's transformers writes it
 * (configuration_internvl.py) and as OpenGVLab's own files have it (configuration_intern_vit.py,
 * modeling_intern_vit.py). The answer is the class token behind the last block: there is no norm.
 */
#include <string.h>

#include "model/naming_hf.h"

static const char *const harmless_names[] = {"*embeddings.mask_token", NULL};

static int read_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path, *type = NULL, *norm = "layer_norm";
    const vx_json *c = config->config;
    *out = (vx_hints){.eps = 1e-6, .pool = VX_POOL_TOKEN, .pool_known = true, .units = true};
    vx_hf_read_told(out, config);
    VX_TRY(vx_hf_read_activation(out, c, "gelu", path));
    VX_TRY(vx_hf_read_sizes(out, c, path));
    if (out->from_heads == VITX_FROM_DEFAULT && c)
        out->heads = 16; /* the class default of InternVLVisionConfig */
    VX_TRY(vx_config_bool(&out->qk_norm, NULL, c, "use_qk_norm", path));
    VX_TRY(vx_config_bool(&out->qk_norm, NULL, c, "qk_normalization", path));
    VX_TRY(vx_config_string(&type, NULL, c, "model_type", path));
    if (type && strcmp(type, "intern_vit_6b") == 0)
        norm = "rms_norm"; /* the default of that class */
    VX_TRY(vx_config_string(&norm, NULL, c, "norm_type", path));
    out->rms = strcmp(norm, "rms_norm") == 0;
    if (!out->rms && strcmp(norm, "layer_norm") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path, "norm_type \"%.40s\" is not supported", norm);
    if (!type || strcmp(type, "internvl_vision") == 0 || strcmp(type, "intern_vit_6b") == 0)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, path,
                      "model_type %.40s is not supported; with such tensors vitx runs "
                      "internvl_vision and intern_vit_6b",
                      type);
}

const vx_naming vx_naming_hf_internvl = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_DISTILLATION_TOKEN] = "",
            [VX_HEAD_W] = "",
            [VX_HEAD_B] = "",
            [VX_HEAD2_W] = "",
            [VX_HEAD2_B] = "",
            [VX_LS1] = "*encoder.layer.#.lambda_1",
            [VX_LS2] = "*encoder.layer.#.lambda_2",
            [VX_Q_W] = "*encoder.layer.#.attention.q_proj.weight",
            [VX_Q_B] = "*encoder.layer.#.attention.q_proj.bias",
            [VX_K_W] = "*encoder.layer.#.attention.k_proj.weight",
            [VX_K_B] = "*encoder.layer.#.attention.k_proj.bias",
            [VX_V_W] = "*encoder.layer.#.attention.v_proj.weight",
            [VX_V_B] = "*encoder.layer.#.attention.v_proj.bias",
            [VX_Q_NORM_W] = "*encoder.layer.#.attention.q_norm.weight",
            [VX_K_NORM_W] = "*encoder.layer.#.attention.k_norm.weight",
            [VX_PROJ_W] = "*encoder.layer.#.attention.projection_layer.weight",
            [VX_PROJ_B] = "*encoder.layer.#.attention.projection_layer.bias",
            [VX_FC1_W] = "*encoder.layer.#.mlp.fc1.weight",
            [VX_FC1_B] = "*encoder.layer.#.mlp.fc1.bias",
            [VX_FC2_W] = "*encoder.layer.#.mlp.fc2.weight",
            [VX_FC2_B] = "*encoder.layer.#.mlp.fc2.bias",
        },
    .base = &vx_naming_hf,
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_hf_read_recipe,
};

/* OpenGVLab's own files. */
const vx_naming vx_naming_internvit = {
    .name = "huggingface",
    .title = "OpenGVLab",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_PATCH_W] = "*embeddings.patch_embedding.weight",
            [VX_PATCH_B] = "*embeddings.patch_embedding.bias",
            [VX_CLASS_TOKEN] = "*embeddings.class_embedding",
            [VX_POSITIONS] = "*embeddings.position_embedding",
            [VX_NORM1_W] = "*encoder.layers.#.norm1.weight",
            [VX_NORM1_B] = "*encoder.layers.#.norm1.bias",
            [VX_QKV_W] = "*encoder.layers.#.attn.qkv.weight",
            [VX_QKV_B] = "*encoder.layers.#.attn.qkv.bias",
            [VX_Q_NORM_W] = "*encoder.layers.#.attn.q_norm.weight",
            [VX_K_NORM_W] = "*encoder.layers.#.attn.k_norm.weight",
            [VX_PROJ_W] = "*encoder.layers.#.attn.proj.weight",
            [VX_PROJ_B] = "*encoder.layers.#.attn.proj.bias",
            [VX_LS1] = "*encoder.layers.#.ls1",
            [VX_NORM2_W] = "*encoder.layers.#.norm2.weight",
            [VX_NORM2_B] = "*encoder.layers.#.norm2.bias",
            [VX_FC1_W] = "*encoder.layers.#.mlp.fc1.weight",
            [VX_FC1_B] = "*encoder.layers.#.mlp.fc1.bias",
            [VX_FC2_W] = "*encoder.layers.#.mlp.fc2.weight",
            [VX_FC2_B] = "*encoder.layers.#.mlp.fc2.bias",
            [VX_LS2] = "*encoder.layers.#.ls2",
        },
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_hf_read_recipe,
};
