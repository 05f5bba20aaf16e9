/*
 * model/naming_hf_timm.c: TIPSv2 and Sapiens2 as Hugging Face's transformers 5 writes them
 * (configuration_tipsv2.py, configuration_sapiens2.py): under the names of their authors, which are
 * nearly timm's. The answer is the normed class token.
 */
#include <string.h>

#include "model/naming_hf.h"

static const char *const tips_harmless[] = {"*mask_token", "text_encoder.", "temperature", NULL};
static const char *const sapiens_harmless[] = {"*mask_token", NULL};

static int check_type(const vx_config *config, const char *one, const char *other)
{
    const char *type = NULL;
    VX_TRY(vx_config_string(&type, NULL, config->config, "model_type", config->config_path));
    if (!type || strcmp(type, one) == 0 || strcmp(type, other) == 0)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                      "model_type %.40s is not supported; with such an architecture vitx runs %s",
                      type, one);
}

static int read_tips(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path;
    const vx_json *vision = vx_json_get(config->config, "vision_config");
    const vx_json *c = vx_json_is_object(vision) ? vision : config->config;
    *out = (vx_hints){.eps = 1e-6, .pool_known = true, .units = true, .registers = 1};
    vx_hf_read_told(out, config);
    VX_TRY(check_type(config, "tipsv2", "tipsv2_vision_model"));
    VX_TRY(vx_hf_read_activation(out, c, "gelu", path));
    VX_TRY(vx_config_int(&out->registers, NULL, c, "num_register_tokens", 0, VX_MAX_TOKENS, path));
    return vx_hf_read_sizes(out, c, path);
}

static int read_sapiens(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path, *act = "silu";
    const vx_json *c = config->config;
    *out = (vx_hints){.pool_known = true,
                      .units = true,
                      .registers = 8,
                      .rms = true,
                      .qk_norm = true,
                      .rotary = {.kind = VX_ROTATE_CENTRED, .half = true, .base = 100}};
    bool found;
    vx_hf_read_told(out, config);
    VX_TRY(check_type(config, "sapiens2", "sapiens2"));
    VX_TRY(vx_hf_read_sizes(out, c, path));
    if (out->from_heads == VITX_FROM_DEFAULT)
        out->heads = 16; /* of this class */
    out->eps = 1e-6;
    VX_TRY(vx_config_number(&out->eps, &found, c, "rms_norm_eps", 0, 1, path));
    out->from_eps = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_number(&out->rotary.base, NULL, c, "rope_theta", 1, 1e9, path));
    VX_TRY(vx_config_bool(&out->qk_norm, NULL, c, "use_qk_norm", path));
    VX_TRY(vx_config_int(&out->registers, NULL, c, "num_register_tokens", 0, VX_MAX_TOKENS, path));
    VX_TRY(vx_config_string(&act, NULL, c, "hidden_act", path));
    if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path, "hidden_act \"%.40s\" of a gate is not silu",
                          act);
    return VITX_OK;
}

const vx_naming vx_naming_hf_tips = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF_NAFLEX, /* bilinear, antialiased */
    .names =
        {
            [VX_FC1_W] = "*blocks.#.mlp.c_fc.weight|*blocks.#.mlp.fc1.weight",
            [VX_FC1_B] = "*blocks.#.mlp.c_fc.bias|*blocks.#.mlp.fc1.bias",
            [VX_FC2_W] = "*blocks.#.mlp.c_proj.weight|*blocks.#.mlp.fc2.weight",
            [VX_FC2_B] = "*blocks.#.mlp.c_proj.bias|*blocks.#.mlp.fc2.bias",
        },
    .base = &vx_naming_timm,
    .behind_prefix = true,
    .harmless = tips_harmless,
    .architecture = vx_hf_architecture,
    .read_hints = read_tips,
    .read_recipe = vx_hf_read_recipe,
};

const vx_naming vx_naming_hf_sapiens = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names =
        {
            [VX_PATCH_W] = "patch_embed.projection.weight",
            [VX_PATCH_B] = "patch_embed.projection.bias",
            [VX_REGISTERS] = "storage_tokens",
            [VX_NORM_W] = "ln1.weight",
            [VX_NORM1_W] = "blocks.#.ln1.weight",
            [VX_Q_W] = "blocks.#.attn.wq.weight",
            [VX_Q_B] = "blocks.#.attn.wq.bias",
            [VX_K_W] = "blocks.#.attn.wk.weight",
            [VX_K_B] = "blocks.#.attn.wk.bias",
            [VX_V_W] = "blocks.#.attn.wv.weight",
            [VX_V_B] = "blocks.#.attn.wv.bias",
            [VX_LS1] = "blocks.#.attn.gamma.weight",
            [VX_NORM2_W] = "blocks.#.ln2.weight",
            [VX_FC1_W] = "blocks.#.ffn.w12.weight",
            [VX_FC1_B] = "blocks.#.ffn.w12.bias",
            [VX_FC2_W] = "blocks.#.ffn.w3.weight",
            [VX_FC2_B] = "blocks.#.ffn.w3.bias",
        },
    .base = &vx_naming_timm,
    .harmless = sapiens_harmless,
    .architecture = vx_hf_architecture,
    .read_hints = read_sapiens,
    .read_recipe = vx_hf_read_recipe,
};
