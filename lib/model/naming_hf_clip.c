/*
 * model/naming_hf_clip.c: what Hugging Face's transformers writes for the vision parts of CLIP and
 * SigLIP (configuration_clip.py, configuration_siglip.py): CLIPVisionModel, ...WithProjection and
 * SiglipVisionModel, and whole models, whose text part is left alone; AltCLIP, Chinese CLIP and
 * MetaCLIP 2 have CLIP's vision part. ...ForImageClassification (modeling_clip.py,
 * modeling_siglip.py) read the mean of the patches: CLIP's as they leave the last block, SigLIP's
 * behind the norm; what pools otherwise is in the file all the same.
 *
 * Siglip2VisionModel and the others of modeling_siglip2.py (NaFlex) have SigLIP's tensors, but for
 * the patch embedding, a matrix [D, P*P*3] whose rows go through a patch pixel by pixel. It is
 * shown as [D,3,P,P].
 *
 * config.json is that of the vision part, or holds it as "vision_config", where fields that have
 * the default of their class are often left out. Older files have "vision_config_dict" besides,
 * which counts where it is there.
 */
#include <stdio.h>
#include <string.h>

#include "model/naming_hf.h"
#include "model/npz.h"

static const char *const harmless_names[] = {"*embeddings.position_ids",
                                             "text_model.",
                                             "text_projection.",
                                             "logit_scale",
                                             "logit_bias",
                                             NULL};
static const char *const clip_unread[] = {"*embeddings.position_ids", "*post_layernorm.", NULL};
static const char *const siglip_unread[] = {"*embeddings.position_ids", "*head.", NULL};

static const vx_json *vision(const vx_config *config)
{
    const vx_json *nested = vx_json_get(config->config, "vision_config"),
                  *older = vx_json_get(config->config, "vision_config_dict");
    return vx_json_is_object(older) ? older : vx_json_is_object(nested) ? nested : config->config;
}

static int refuse_model_type(const vx_config *config)
{
    static const char *const known[] = {
        "clip",         "clip_vision_model",         "altclip",    "altclip_vision_model",
        "chinese_clip", "chinese_clip_vision_model", "metaclip_2", "metaclip_2_vision_model",
        "siglip",       "siglip_vision_model",       "siglip2",    "siglip2_vision_model"};
    const char *type = NULL;
    VX_TRY(vx_config_string(&type, NULL, config->config, "model_type", config->config_path));
    for (size_t i = 0; type && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(type, known[i]) == 0)
            return VITX_OK;
    if (!type)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                      "model_type %.40s is not supported; with such tensors vitx runs clip, "
                      "altclip, chinese_clip, metaclip_2, siglip and siglip2",
                      type);
}

static int read_clip_hints(vx_hints *out, const vx_config *config)
{
    *out = (vx_hints){.eps = 1e-5, .pool = VX_POOL_TOKEN, .pool_known = true, .units = true};
    const char *class = vx_hf_architecture(config);
    out->has_head = class && (strstr(class, "WithProjection") || strcmp(class, "CLIPModel") == 0);
    vx_hf_read_told(out, config);
    VX_TRY(refuse_model_type(config));
    VX_TRY(vx_hf_read_activation(out, vision(config), "quick_gelu", config->config_path));
    return vx_hf_read_sizes(out, vision(config), config->config_path);
}

static int read_siglip_tower(vx_hints *out, const vx_config *config)
{
    *out = (vx_hints){.eps = 1e-6, .pool = VX_POOL_MAP, .pool_known = true, .units = true};
    vx_hf_read_told(out, config);
    VX_TRY(refuse_model_type(config));
    VX_TRY(vx_hf_read_activation(out, vision(config), "gelu_pytorch_tanh", config->config_path));
    return vx_hf_read_sizes(out, vision(config), config->config_path);
}

static int read_siglip_hints(vx_hints *out, const vx_config *config)
{
    bool head = true;
    VX_TRY(vx_config_bool(&head, NULL, vision(config), "vision_use_head", config->config_path));
    if (!head)
        return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                          "vision_use_head is false: the model has no answer for a whole picture, "
                          "only for its patches");
    return read_siglip_tower(out, config);
}

/* ...ForImageClassification: what `read` finds, but for the head. */
static int read_class_hints(vx_hints *out, const vx_config *config,
                            int (*read)(vx_hints *, const vx_config *))
{
    VX_TRY(read(out, config));
    out->pool = VX_POOL_AVG;
    out->units = false;
    out->has_head = true;
    return VITX_OK;
}

static int read_clip_class_hints(vx_hints *out, const vx_config *config)
{
    return read_class_hints(out, config, read_clip_hints);
}

static int read_siglip_class_hints(vx_hints *out, const vx_config *config)
{
    return read_class_hints(out, config, read_siglip_tower);
}

#define NAFLEX_PATCHES 256 /* class default of Siglip2ImageProcessor */

/* NaFlex: see above. The matrix tells it: in SigLIP's other files it has four dimensions. */
static int arrange_siglip(vx_container *container, vx_hints *hints, const char *prefix,
                          const vx_config *config)
{
    char name[120];
    const char *type = NULL;
    snprintf(name, sizeof name, "%sembeddings.patch_embedding.weight", prefix);
    const vx_tensor *found = vx_container_find(container, name);
    VX_TRY(vx_config_string(&type, NULL, config->config, "model_type", config->config_path));
    if (found && type && (found->rank == 2) != (strncmp(type, "siglip2", 7) == 0))
        return vx_fail_in(VITX_FORMAT, container->path,
                          "model_type %.40s does not go with tensor %.100s of %d dimensions: "
                          "siglip2 has 2, siglip has 4",
                          type, name, found->rank);
    if (!found || found->rank != 2)
        return VITX_OK;
    int64_t side = 1;
    while (side * side * 3 < found->shape[1] && side < VX_MAX_PATCH)
        side++;
    if (side * side * 3 != found->shape[1])
        return vx_fail_in(VITX_FORMAT, container->path,
                          "tensor %.100s has rows of %lld numbers, which are no square patch of "
                          "three colours",
                          name, (long long)found->shape[1]);
    vx_tensor *t = &container->tensors[found - container->tensors];
    t->rank = 4;
    t->shape[1] = t->shape[2] = side;
    t->shape[3] = 3;
    vx_tensor_permute(t, (const unsigned char[]){0, 3, 1, 2},
                      (const unsigned char[]){1, 1, 1, 1, 0});
    if (!container->npz)
        VX_TRY(vx_npz_new(&container->npz, &container->hooks));
    if (!t->npz)
        t->member = -1;
    t->npz = container->npz;
    hints->max_patches = NAFLEX_PATCHES;
    return VITX_OK;
}

const vx_naming vx_naming_hf_clip_blocks = {
    .names =
        {
            [VX_NORM1_W] = "*encoder.layers.#.layer_norm1.weight",
            [VX_NORM1_B] = "*encoder.layers.#.layer_norm1.bias",
            [VX_Q_W] = "*encoder.layers.#.self_attn.q_proj.weight",
            [VX_Q_B] = "*encoder.layers.#.self_attn.q_proj.bias",
            [VX_K_W] = "*encoder.layers.#.self_attn.k_proj.weight",
            [VX_K_B] = "*encoder.layers.#.self_attn.k_proj.bias",
            [VX_V_W] = "*encoder.layers.#.self_attn.v_proj.weight",
            [VX_V_B] = "*encoder.layers.#.self_attn.v_proj.bias",
            [VX_PROJ_W] = "*encoder.layers.#.self_attn.out_proj.weight",
            [VX_PROJ_B] = "*encoder.layers.#.self_attn.out_proj.bias",
            [VX_NORM2_W] = "*encoder.layers.#.layer_norm2.weight",
            [VX_NORM2_B] = "*encoder.layers.#.layer_norm2.bias",
            [VX_FC1_W] = "*encoder.layers.#.mlp.fc1.weight",
            [VX_FC1_B] = "*encoder.layers.#.mlp.fc1.bias",
            [VX_FC2_W] = "*encoder.layers.#.mlp.fc2.weight",
            [VX_FC2_B] = "*encoder.layers.#.mlp.fc2.bias",
        },
};

/* The names that both have. */
static const vx_naming vision_names = {
    .names =
        {
            [VX_PATCH_W] = "*embeddings.patch_embedding.weight",
            [VX_PATCH_B] = "*embeddings.patch_embedding.bias",
            [VX_POSITIONS] = "*embeddings.position_embedding.weight",
            [VX_NORM_W] = "*post_layernorm.weight",
            [VX_NORM_B] = "*post_layernorm.bias",
        },
    .base = &vx_naming_hf_clip_blocks,
};

const vx_naming vx_naming_hf_clip = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_CLASS_TOKEN] = "*embeddings.class_embedding",
            [VX_NORM_PRE_W] = "*pre_layrnorm.weight", /* its spelling */
            [VX_NORM_PRE_B] = "*pre_layrnorm.bias",
            [VX_HEAD_W] = "visual_projection.weight",
        },
    .base = &vision_names,
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_clip_hints,
    .read_recipe = vx_hf_read_recipe,
};

const vx_naming vx_naming_hf_siglip = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_POOL_PROBE] = "*head.probe",
            [VX_POOL_QKV_W] = "*head.attention.in_proj_weight",
            [VX_POOL_QKV_B] = "*head.attention.in_proj_bias",
            [VX_POOL_PROJ_W] = "*head.attention.out_proj.weight",
            [VX_POOL_PROJ_B] = "*head.attention.out_proj.bias",
            [VX_POOL_NORM_W] = "*head.layernorm.weight",
            [VX_POOL_NORM_B] = "*head.layernorm.bias",
            [VX_POOL_FC1_W] = "*head.mlp.fc1.weight",
            [VX_POOL_FC1_B] = "*head.mlp.fc1.bias",
            [VX_POOL_FC2_W] = "*head.mlp.fc2.weight",
            [VX_POOL_FC2_B] = "*head.mlp.fc2.bias",
        },
    .base = &vision_names,
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_siglip_hints,
    .arrange = arrange_siglip,
    .read_recipe = vx_hf_read_recipe,
};

const vx_naming vx_naming_hf_clip_class = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_NORM_W] = "", /* it is in the file, and is not read */
            [VX_NORM_B] = "",
            [VX_HEAD_W] = "classifier.weight",
            [VX_HEAD_B] = "classifier.bias",
        },
    .base = &vx_naming_hf_clip,
    .harmless = clip_unread,
    .architecture = vx_hf_architecture,
    .read_hints = read_clip_class_hints,
    .read_recipe = vx_hf_read_recipe,
};

const vx_naming vx_naming_hf_siglip_class = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_HEAD_W] = "classifier.weight",
            [VX_HEAD_B] = "classifier.bias",
        },
    .base = &vision_names,
    .harmless = siglip_unread,
    .architecture = vx_hf_architecture,
    .read_hints = read_siglip_class_hints,
    .arrange = arrange_siglip,
    .read_recipe = vx_hf_read_recipe,
};
