/*
 * model/naming_open_clip.c: what open_clip writes (mlfoundations/open_clip 3.3: transformer.py,
 * model.py, timm_model.py, transform.py), whose names for its own towers are those of OpenAI's
 * CLIP. The text tower is left alone (text_open_clip.c).
 *
 * open_clip_config.json: model_cfg {embed_dim, quick_gelu, vision_cfg}, preprocess_cfg {size, mean,
 * std, interpolation, resize_mode, fill_color}. A tower that is a timm model has its names behind
 * visual.trunk., and what its architecture's name implies (model/naming_timm.h).
 *
 * OpenAI's archives (openai/CLIP @ d05afc4: model.py, build_model; clip.py) have no configuration:
 * their activation is always quick_gelu, and their heads are 64 wide. They are known by three
 * numbers that they hold as tensors; if there is a configuration of open_clip's, it counts.
 *
 * cn_clip (OFA-Sys/Chinese-CLIP, clip/model.py) has the same tower beside BERT's, and no
 * configuration: its activation is always quick_gelu, and its heads are 64 wide, but those of ViT-H
 * (1280 wide) 80.
 */
#include <math.h>
#include <string.h>

#include "model/naming_timm.h"

static const char *const harmless_names[] = {"text.",
                                             "text_decoder.", /* of CoCa */
                                             "transformer.",
                                             "token_embedding.",
                                             "positional_embedding",
                                             "ln_final.",
                                             "text_projection",
                                             "text_projection.",
                                             "attn_mask",
                                             "logit_scale",
                                             "logit_bias",
                                             "input_resolution",
                                             "context_length",
                                             "vocab_size",
                                             NULL};

static const char *const cn_clip_harmless[] = {"bert.", "text_projection", "logit_scale", NULL};

static const vx_json *model_cfg(const vx_config *config)
{
    return vx_json_get(config->open_clip, "model_cfg");
}

static const vx_json *vision_cfg(const vx_config *config)
{
    return vx_json_get(model_cfg(config), "vision_cfg");
}

static const char *architecture(const vx_config *config)
{
    return vx_json_string(vx_json_get(vision_cfg(config), "timm_model_name"));
}

/* -------------------------------------------------------------------------- hints --------- */

/* Of vision_cfg, what changes the answer and is not run; false and null are as good as absent. */
static int refuse_settings(const vx_config *config)
{
    static const char *const flags[] = {"attentional_pool",   "qk_norm",
                                        "scaled_cosine_attn", "scale_heads",
                                        "scale_attn_inner",   "scale_attn",
                                        "scale_fc",           "global_average_pool",
                                        "input_patchnorm"}; /* the last two: of older versions */
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const vx_json *node = vx_json_get(vision_cfg(config), flags[i]);
        bool set = node && !vx_json_is_null(node);
        if (set && !vx_json_bool(node, &set))
            set = true;
        if (set)
            return vx_fail_in(VITX_UNSUPPORTED, config->open_clip_path,
                              "vision_cfg.%s is not supported", flags[i]);
    }
    return VITX_OK;
}

/* Pictures are made as large as the tower's, whatever preprocess_cfg.size says (factory.py). */
static int read_image_size(vx_hints *out, const vx_config *config)
{
    if (vision_cfg(config))
        out->image_height = out->image_width = 224; /* CLIPVisionCfg's */
    return vx_config_size(&out->image_height, &out->image_width, NULL, vision_cfg(config),
                          "image_size", config->open_clip_path);
}

/* quick_gelu, or GELU with the arguments of act_kwargs. */
static int read_activation(vx_hints *out, const vx_config *config)
{
    bool quick = false, found;
    const char *approximate = "none", *path = config->open_clip_path;
    VX_TRY(vx_config_bool(&quick, &found, model_cfg(config), "quick_gelu", path));
    VX_TRY(vx_config_string(&approximate, NULL, vx_json_get(vision_cfg(config), "act_kwargs"),
                            "approximate", path));
    const bool tanh = strcmp(approximate, "tanh") == 0;
    if (!tanh && strcmp(approximate, "none") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "act_kwargs.approximate \"%.40s\" is not supported", approximate);
    out->act = quick ? VX_ACT_QUICK_GELU : tanh ? VX_ACT_GELU_TANH : VX_ACT_GELU;
    out->from_act = found || tanh ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    return VITX_OK;
}

/* The width over head_width, where the width is said. */
static int read_heads(vx_hints *out, const vx_config *config)
{
    int head_width = 64;
    bool found;
    VX_TRY(vx_config_int(&out->width, &found, vision_cfg(config), "width", 1, 1 << 24,
                         config->open_clip_path));
    VX_TRY(vx_config_int(&head_width, NULL, vision_cfg(config), "head_width", 1, 1 << 24,
                         config->open_clip_path));
    if (!found && config->open_clip)
        out->width = 768; /* CLIPVisionCfg's */
    if (out->width && out->width < head_width)
        return vx_fail_in(VITX_FORMAT, config->open_clip_path,
                          "heads of %d do not fit a width of %d", head_width, out->width);
    out->heads = out->width / head_width;
    out->from_heads = config->open_clip ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    return VITX_OK;
}

static int read_pool(vx_hints *out, const vx_config *config)
{
    const char *type = "tok";
    VX_TRY(vx_config_string(&type, NULL, vision_cfg(config), "pool_type", config->open_clip_path));
    out->pool = strcmp(type, "avg") == 0 ? VX_POOL_AVG : VX_POOL_TOKEN;
    if (out->pool == VX_POOL_TOKEN && strcmp(type, "tok") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, config->open_clip_path,
                          "pool_type \"%.40s\" is neither tok nor avg", type);
    return vx_config_bool(&out->norm_after, NULL, vision_cfg(config), "final_ln_after_pool",
                          config->open_clip_path);
}

static int read_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->open_clip_path;
    const vx_json *c = vision_cfg(config);
    bool found;
    *out = (vx_hints){.eps = 1e-5, .pool_known = true, .units = true, .path = path};
    out->network_told = out->pictures_told = config->open_clip != NULL;
    VX_TRY(refuse_settings(config));
    VX_TRY(vx_config_number(&out->eps, &found, vx_json_get(c, "norm_kwargs"), "eps", 0, 1, path));
    out->from_eps = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    VX_TRY(read_activation(out, config));
    VX_TRY(read_heads(out, config));
    VX_TRY(read_pool(out, config));
    VX_TRY(vx_config_int(&out->classes, NULL, model_cfg(config), "embed_dim", 1, 1 << 24, path));
    VX_TRY(vx_config_int(&out->depth, NULL, c, "layers", 1, 65536, path));
    VX_TRY(vx_config_size(&out->patch_height, &out->patch_width, NULL, c, "patch_size", path));
    return read_image_size(out, config);
}

static int read_cn_clip_hints(vx_hints *out, const vx_config *config)
{
    (void)config;
    *out = (vx_hints){.eps = 1e-5,
                      .act = VX_ACT_QUICK_GELU,
                      .pool = VX_POOL_TOKEN,
                      .pool_known = true,
                      .units = true};
    return VITX_OK;
}

static int read_openai_hints(vx_hints *out, const vx_config *config)
{
    return config->open_clip ? read_hints(out, config) : read_cn_clip_hints(out, config);
}

static int64_t width_of(const vx_container *container)
{
    const vx_tensor *patches = vx_container_find(container, "visual.conv1.weight");
    return patches && patches->rank ? patches->shape[0] : 0;
}

static int tell_heads(vx_hints *hints, int64_t width, int64_t head)
{
    if (hints->heads == 0 && width % head == 0 && width / head <= VX_MAX_PATCH)
        hints->heads = (int)(width / head);
    return VITX_OK;
}

/* vx_naming.arrange of the two: no tensor changes, but the width tells the heads. */
static int read_openai_heads(vx_container *container, vx_hints *hints, const char *prefix,
                             const vx_config *config)
{
    (void)prefix;
    (void)config;
    return tell_heads(hints, width_of(container), 64);
}

static int read_cn_clip_heads(vx_container *container, vx_hints *hints, const char *prefix,
                              const vx_config *config)
{
    const int64_t width = width_of(container);
    (void)prefix;
    (void)config;
    return tell_heads(hints, width, width == 1280 ? 80 : 64);
}

/* The tower is a timm model. */
static int read_timm_hints(vx_hints *out, const vx_config *config)
{
    const char *pool = "avg", *path = config->open_clip_path, *name = architecture(config);
    *out = (vx_hints){
        .eps = 1e-6, .act = VX_ACT_GELU, .no_key_bias = true, .units = true, .path = path};
    out->pictures_told = config->open_clip != NULL;
    if (name)
        vx_timm_implied(out, name);
    out->named = (vx_named){0}; /* there are no arguments that would tell of other sizes */
    vitx_source *const from[] = {&out->from_heads, &out->from_act, &out->from_eps};
    for (int i = 0; i < 3; i++)
        if (*from[i] == VITX_FROM_CONFIG)
            *from[i] = VITX_FROM_OPEN_CLIP;
    VX_TRY(vx_config_string(&pool, NULL, vision_cfg(config), "timm_pool", path));
    out->pool_known = name && pool[0]; /* "": the network's own; without a name nothing is known */
    if (out->pool_known)
        VX_TRY(vx_timm_pool(&out->pool, pool, path));
    return read_image_size(out, config);
}

/* -------------------------------------------------------------------------- recipe -------- */

/* shortest: then cropped; squash: both sides exactly; longest: the rest is filled. */
static int read_resize(vitx_recipe *out, const vx_json *p, const char *path)
{
    const char *mode = out->resize == VITX_RESIZE_EXACT ? "squash" : "shortest";
    bool found;
    VX_TRY(vx_config_string(&mode, &found, p, "resize_mode", path));
    const bool longest = strcmp(mode, "longest") == 0, squash = strcmp(mode, "squash") == 0;
    if (!longest && !squash && strcmp(mode, "shortest") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "resize_mode \"%.40s\" is none of shortest, longest and squash", mode);
    out->from_resize = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    out->resize_height = out->input_height;
    out->resize_width = out->input_width;
    out->resize = squash                                  ? VITX_RESIZE_EXACT
                  : longest                               ? VITX_RESIZE_WITHIN
                  : out->input_height == out->input_width ? VITX_RESIZE_SHORTEST
                                                          : VITX_RESIZE_COVER;
    return VITX_OK;
}

/* What lies beside the picture: one grey, or three colours. */
static int read_fill(vitx_recipe *out, const vx_json *p, const char *path)
{
    float fill[3] = {0, 0, 0};
    VX_TRY(vx_config_rgb(fill, NULL, p, "fill_color", 0, 255, path));
    for (int i = 0; i < 3; i++) {
        out->pad[i] = (uint8_t)fill[i];
        if ((float)out->pad[i] != fill[i])
            return vx_fail_in(VITX_FORMAT, path, "fill_color %g is no whole number",
                              (double)fill[i]);
    }
    return VITX_OK;
}

/* Everything but "bilinear" is bicubic, and so is what covers an input that is not square. */
static int read_filter(vitx_recipe *out, const vx_json *p, const char *path)
{
    const char *name = "bicubic";
    bool found;
    VX_TRY(vx_config_string(&name, &found, p, "interpolation", path));
    if (strcmp(name, "bilinear") == 0 && out->resize != VITX_RESIZE_COVER)
        out->filter = VITX_BILINEAR;
    else
        out->filter = VITX_BICUBIC;
    out->from_filter = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    return VITX_OK;
}

static int read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect)
{
    const vx_json *p = vx_json_get(config->open_clip, "preprocess_cfg");
    const char *path = config->open_clip_path;
    bool found;
    (void)dialect;
    out->crop_round = 1; /* torchvision's CenterCrop */
    if (out->from_input == VITX_FROM_CONFIG)
        out->from_input = VITX_FROM_OPEN_CLIP;
    VX_TRY(read_resize(out, p, path));
    VX_TRY(read_filter(out, p, path));
    VX_TRY(read_fill(out, p, path));
    VX_TRY(vx_config_rgb(out->mean, &found, p, "mean", -1e6, 1e6, path));
    out->from_mean = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_rgb(out->std, &found, p, "std", 1e-6, 1e6, path));
    out->from_std = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    return VITX_OK;
}

const vx_naming vx_naming_open_clip = {
    .name = "open_clip",
    .title = "open_clip",
    .positions = VX_POS_OPEN_CLIP,
    .names =
        {
            [VX_PATCH_W] = "visual.conv1.weight",
            [VX_CLASS_TOKEN] = "visual.class_embedding",
            [VX_POSITIONS] = "visual.positional_embedding",
            [VX_NORM_PRE_W] = "visual.ln_pre.weight",
            [VX_NORM_PRE_B] = "visual.ln_pre.bias",
            [VX_NORM_W] = "visual.ln_post.weight",
            [VX_NORM_B] = "visual.ln_post.bias",
            [VX_HEAD_T] = "visual.proj",
            [VX_NORM1_W] = "visual.transformer.resblocks.#.ln_1.weight",
            [VX_NORM1_B] = "visual.transformer.resblocks.#.ln_1.bias",
            [VX_QKV_W] = "visual.transformer.resblocks.#.attn.in_proj_weight",
            [VX_QKV_B] = "visual.transformer.resblocks.#.attn.in_proj_bias",
            [VX_PROJ_W] = "visual.transformer.resblocks.#.attn.out_proj.weight",
            [VX_PROJ_B] = "visual.transformer.resblocks.#.attn.out_proj.bias",
            [VX_LS1] = "visual.transformer.resblocks.#.ls_1.gamma",
            [VX_NORM2_W] = "visual.transformer.resblocks.#.ln_2.weight",
            [VX_NORM2_B] = "visual.transformer.resblocks.#.ln_2.bias",
            [VX_FC1_W] = "visual.transformer.resblocks.#.mlp.c_fc.weight",
            [VX_FC1_B] = "visual.transformer.resblocks.#.mlp.c_fc.bias",
            [VX_FC2_W] = "visual.transformer.resblocks.#.mlp.c_proj.weight",
            [VX_FC2_B] = "visual.transformer.resblocks.#.mlp.c_proj.bias",
            [VX_LS2] = "visual.transformer.resblocks.#.ls_2.gamma",
        },
    .harmless = harmless_names,
    .architecture = architecture,
    .read_hints = read_hints,
    .read_recipe = read_recipe,
};

const vx_naming vx_naming_openai = {
    .name = "openai",
    .title = "OpenAI's CLIP",
    .positions = VX_POS_OPEN_CLIP,
    .base = &vx_naming_open_clip,
    .harmless = harmless_names,
    .code_tells = true,
    .read_hints = read_openai_hints,
    .arrange = read_openai_heads,
    .read_recipe = read_recipe,
};

const vx_naming vx_naming_cn_clip = {
    .name = "cn_clip",
    .title = "cn_clip",
    .positions = VX_POS_OPEN_CLIP,
    .base = &vx_naming_open_clip,
    .harmless = cn_clip_harmless,
    .code_tells = true,
    .read_hints = read_cn_clip_hints,
    .arrange = read_cn_clip_heads,
    .read_recipe = read_recipe,
};

const vx_naming vx_naming_open_clip_timm = {
    .name = "open_clip",
    .title = "open_clip",
    .positions = VX_POS_TIMM, /* the trunk is a model of timm */
    .names =
        {
            [VX_HEAD_W] = "visual.head.proj.weight|*head.weight", /* timm_proj "": timm's own */
            [VX_HEAD_B] = "visual.head.proj.bias|*head.bias",
        },
    .base = &vx_naming_timm,
    .behind_prefix = true,
    .harmless = harmless_names,
    .architecture = architecture,
    .read_hints = read_timm_hints,
    .read_recipe = read_recipe,
};
