/*
 * model/naming_dinov3.c: DINOv3 as Hugging Face's transformers writes it
 * (configuration_dinov3_vit.py), and as Meta does (facebookresearch/dinov3 @ 6876159).
 */
#include <string.h>

#include "model/naming_hf.h"

#define ROTARY                                                                                     \
    {                                                                                              \
        .kind = VX_ROTATE_CENTRED, .half = true, .base = 100                                       \
    }

static const char *const harmless_hf[] = {"embeddings.mask_token", NULL};

/* The activation of a perceptron, or of its gate: the default of the class is GELU for both. */
static int read_perceptron(vx_hints *out, const vx_config *config)
{
    const char *act = "gelu", *path = config->config_path;
    const vx_json *c = config->config;
    out->gated_known = c != NULL;
    VX_TRY(vx_config_bool(&out->gated, NULL, c, "use_gated_mlp", path));
    if (!out->gated)
        return vx_hf_read_activation(out, c, "gelu", path);
    VX_TRY(vx_config_string(&act, NULL, c, "hidden_act", path));
    if (strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, path, "hidden_act \"%.40s\" of a gate is not silu", act);
}

static int read_hints_hf(vx_hints *out, const vx_config *config)
{
    const char *type = NULL, *path = config->config_path;
    const vx_json *c = config->config;
    *out = (vx_hints){
        .eps = 1e-5, .act = VX_ACT_GELU, .rotary = ROTARY, .no_key_bias = true, .pool_known = true};
    vx_hf_read_told(out, config);
    VX_TRY(vx_config_string(&type, NULL, c, "model_type", path));
    if (type && strcmp(type, "dinov3_vit") != 0)
        return vx_fail_in(VITX_FORMAT, path, "model_type is %.40s, but the tensors are a DINOv3's",
                          type);
    VX_TRY(vx_config_number(&out->rotary.base, NULL, c, "rope_theta", 1, 1e9, path));
    VX_TRY(read_perceptron(out, config));
    VX_TRY(vx_config_int(&out->registers, NULL, c, "num_register_tokens", 0, VX_MAX_TOKENS, path));
    VX_TRY(vx_hf_read_sizes(out, c, path));
    if (c && out->from_heads == VITX_FROM_DEFAULT)
        out->heads = 6; /* of this class */
    return VITX_OK;
}

/* transformers 5 has the blocks under "model." while it runs, and saves them without it. */
const vx_naming vx_naming_hf_dinov3 = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names =
        {
            [VX_PATCH_W] = "embeddings.patch_embeddings.weight",
            [VX_PATCH_B] = "embeddings.patch_embeddings.bias",
            [VX_CLASS_TOKEN] = "embeddings.cls_token",
            [VX_REGISTERS] = "embeddings.register_tokens",
            [VX_POSITIONS] = "embeddings.position_embeddings", /* of no published file */
            [VX_NORM_W] = "norm.weight",
            [VX_NORM_B] = "norm.bias",
            [VX_NORM1_W] = "*layer.#.norm1.weight",
            [VX_NORM1_B] = "*layer.#.norm1.bias",
            [VX_Q_W] = "*layer.#.attention.q_proj.weight",
            [VX_Q_B] = "*layer.#.attention.q_proj.bias",
            [VX_K_W] = "*layer.#.attention.k_proj.weight",
            [VX_K_B] = "*layer.#.attention.k_proj.bias",
            [VX_V_W] = "*layer.#.attention.v_proj.weight",
            [VX_V_B] = "*layer.#.attention.v_proj.bias",
            [VX_PROJ_W] = "*layer.#.attention.o_proj.weight",
            [VX_PROJ_B] = "*layer.#.attention.o_proj.bias",
            [VX_LS1] = "*layer.#.layer_scale1.lambda1",
            [VX_NORM2_W] = "*layer.#.norm2.weight",
            [VX_NORM2_B] = "*layer.#.norm2.bias",
            [VX_FC1_W] = "*layer.#.mlp.up_proj.weight",
            [VX_FC1_B] = "*layer.#.mlp.up_proj.bias",
            [VX_GATE_W] = "*layer.#.mlp.gate_proj.weight",
            [VX_GATE_B] = "*layer.#.mlp.gate_proj.bias",
            [VX_VALUE_W] = "*layer.#.mlp.up_proj.weight", /* if there is a gate */
            [VX_VALUE_B] = "*layer.#.mlp.up_proj.bias",
            [VX_LS2] = "*layer.#.layer_scale2.lambda1",
            [VX_FC2_W] = "*layer.#.mlp.down_proj.weight",
            [VX_FC2_B] = "*layer.#.mlp.down_proj.bias",
        },
    .harmless = harmless_hf,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints_hf,
    .read_recipe = vx_hf_read_recipe,
};

/* What training leaves behind: periods, which are computed anew, a norm for local crops, EUPE's
 * projectors. */
static const char *const harmless_meta[] = {"*mask_token", "*rope_embed.periods",
                                            "*local_cls_norm.", "*projectors.", NULL};

static int read_hints_meta(vx_hints *out, const vx_config *config)
{
    VX_TRY(vx_naming_meta.read_hints(out, config));
    out->eps = out->from_eps == VITX_FROM_CONFIG ? out->eps : 1e-5;
    out->rotary = (vx_rotary)ROTARY;
    out->masked_keys = true;
    return VITX_OK;
}

static int read_recipe_meta(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect)
{
    return vx_naming_meta.read_recipe(out, config, dialect);
}

/* A third of the bias of queries, keys and values is the keys' and masked: it counts as 0. */
const vx_naming vx_naming_meta_dinov3 = {
    .name = "meta",
    .title = "Meta",
    .names =
        {
            [VX_REGISTERS] = "*storage_tokens",
            [VX_QKV_MASK] = "*blocks.#.attn.qkv.bias_mask",
        },
    .base = &vx_naming_meta,
    .harmless = harmless_meta,
    .code_tells = true,
    .read_hints = read_hints_meta,
    .read_recipe = read_recipe_meta,
};
