/*
 * model/naming_hf_aimv2.c: what Hugging Face's transformers writes of AIMv2's vision tower
 * (configuration_aimv2.py, modeling_aimv2.py). With a head the answer is its attention's, whose
 * query is learnt itself; without one there is none for a whole picture.
 */
#include <string.h>

#include "model/naming_hf.h"

static const char *const harmless_names[] = {NULL};

static int read_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path, *act = "silu", *type = "aimv2_vision_model";
    const vx_json *c = config->config;
    bool head = true, native = false;
    *out = (vx_hints){.pool = VX_POOL_MAP,
                      .pool_known = true,
                      .pool_plain = true,
                      .units = true,
                      .rms = true,
                      .pos_late = true};
    vx_hf_read_told(out, config);
    VX_TRY(vx_hf_read_sizes(out, c, path));
    if (out->from_heads == VITX_FROM_DEFAULT && c)
        out->heads = 8; /* the class default */
    out->eps = 1e-5;
    VX_TRY(vx_config_number(&out->eps, &head, c, "rms_norm_eps", 0, 1, path));
    out->from_eps = head ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    head = true;
    VX_TRY(vx_config_bool(&head, NULL, c, "use_head", path));
    VX_TRY(vx_config_bool(&native, NULL, c, "is_native", path));
    VX_TRY(vx_config_string(&act, NULL, c, "hidden_act", path));
    VX_TRY(vx_config_string(&type, NULL, c, "model_type", path));
    if (strcmp(type, "aimv2_vision_model") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "model_type %.40s is not supported; with such tensors vitx runs "
                          "aimv2_vision_model",
                          type);
    if (!head || native)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          native ? "is_native: positions made for each picture are not supported"
                                 : "use_head is false: the model has no answer for a whole "
                                   "picture, only for its patches");
    if (strcmp(act, "silu") == 0)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, path, "hidden_act \"%.40s\" of a gate is not silu", act);
}

const vx_naming vx_naming_hf_aimv2 = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_PATCH_W] = "*embeddings.patch_embed.weight",
            [VX_PATCH_B] = "*embeddings.patch_embed.bias",
            [VX_POSITIONS] = "*embeddings.position_embedding.weight",
            [VX_NORM_PRE_W] = "*embeddings.rms_norm.weight",
            [VX_NORM_W] = "*rms_norm.weight",
            [VX_POOL_PROBE] = "*head.cls_token",
            [VX_POOL_K_W] = "*head.k_proj.weight",
            [VX_POOL_K_B] = "*head.k_proj.bias",
            [VX_POOL_V_W] = "*head.v_proj.weight",
            [VX_POOL_V_B] = "*head.v_proj.bias",
            [VX_POOL_PROJ_W] = "*head.output_proj.weight",
            [VX_POOL_PROJ_B] = "*head.output_proj.bias",
            [VX_NORM1_W] = "*encoder.layers.#.rms_norm1.weight",
            [VX_Q_W] = "*encoder.layers.#.attention.q_proj.weight",
            [VX_Q_B] = "*encoder.layers.#.attention.q_proj.bias",
            [VX_K_W] = "*encoder.layers.#.attention.k_proj.weight",
            [VX_K_B] = "*encoder.layers.#.attention.k_proj.bias",
            [VX_V_W] = "*encoder.layers.#.attention.v_proj.weight",
            [VX_V_B] = "*encoder.layers.#.attention.v_proj.bias",
            [VX_PROJ_W] = "*encoder.layers.#.attention.out_proj.weight",
            [VX_PROJ_B] = "*encoder.layers.#.attention.out_proj.bias",
            [VX_NORM2_W] = "*encoder.layers.#.rms_norm2.weight",
            [VX_GATE_W] = "*encoder.layers.#.ffn.gate_proj.weight",
            [VX_GATE_B] = "*encoder.layers.#.ffn.gate_proj.bias",
            [VX_VALUE_W] = "*encoder.layers.#.ffn.up_proj.weight",
            [VX_VALUE_B] = "*encoder.layers.#.ffn.up_proj.bias",
            [VX_FC2_W] = "*encoder.layers.#.ffn.down_proj.weight",
            [VX_FC2_B] = "*encoder.layers.#.ffn.down_proj.bias",
        },
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_hf_read_recipe,
};
