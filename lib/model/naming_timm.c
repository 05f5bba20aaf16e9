/*
 * model/naming_timm.c: what timm writes (huggingface/pytorch-image-models@aa4b585:
 * models/vision_transformer.py, models/_hub.py, data/transforms_factory.py), and what Meta's own
 * files write, whose names are nearly the same.
 *
 * config.json: architecture, num_classes, global_pool, model_args {what differs from the
 * architecture's defaults}, pretrained_cfg {input_size, interpolation, crop_pct, crop_mode, mean,
 * std}. What an architecture implies beyond that and no tensor shows is known here by its name:
 * heads, activation, eps, some of the pooling.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/naming_timm.h"

static const char *const harmless_names[] = {"*mask_token", NULL};

const char *vx_timm_architecture(const vx_config *config)
{
    const char *name = vx_json_string(vx_json_get(config->config, "architecture"));
    return name ? name : vx_json_string(vx_json_get(config->pretrained, "architecture"));
}

/* -------------------------------------------------------------------------- hints --------- */

/* Sizes by architecture name, to which a '_' is added; where several match, the first counts. Depth
 * 0: of several. */
static const struct {
    const char *part;
    int width, depth, heads;
} known_sizes[] = {
    {"_base_patch16_gap_", 768, 12, 16},
    {"aimv2_large_", 1024, 24, 8},
    {"aimv2_huge_", 1536, 24, 12},
    {"aimv2_1b_", 2048, 24, 16},
    {"aimv2_3b_", 3072, 24, 24},
    {"test_vit_relpos_", 96, 9, 3},
    {"_srelpos_small_patch16_", 384, 12, 6},
    {"eva02_enormous_", 1792, 64, 16},
    {"_small_plus_patch16_dinov3_", 384, 12, 6},
    {"_huge_plus_patch16_dinov3_", 1280, 32, 20},
    {"_7b_patch16_dinov3_", 4096, 40, 32},
    {"_giant_patch16_lingbot_", 1536, 40, 24},
    {"_pe_lang_gigantic_", 1536, 47, 16},
    {"_pe_lang_large_", 1024, 23, 16},
    {"_gigantic_patch14_448_", 1536, 50, 16}, /* the other Perception Encoders */
    {"_giant_patch16_sapiens2_", 1536, 40, 24},
    {"_5b_patch16_sapiens2_", 2432, 56, 32},
    {"_giant_patch14_dinov2_", 1536, 40, 24},
    {"_giant_patch14_reg", 1536, 40, 24}, /* DINOv2 and TIPSv2 with registers */
    {"_giant_patch16_radio_", 1536, 40, 24},
    {"_small_patch16_36x1_", 384, 36, 6},
    {"_small_patch16_18x2_", 384, 18, 6},
    {"_base_patch16_18x2_", 768, 18, 12},
    {"_plus_", 896, 12, 14},
    {"_tiny_", 192, 12, 3},
    {"_small_", 384, 12, 6},
    {"_base_", 768, 12, 12},
    {"_large_", 1024, 24, 16},
    {"_huge_", 1280, 32, 16},
    {"_giant_", 1408, 40, 16},
    {"_giantopt_", 1536, 40, 16},
    {"_gigantic_", 1664, 48, 16},
    {"_so400m_", 1152, 27, 16},
    {"_so150m_", 896, 18, 14},
    {"_so150m2_", 832, 21, 13},
    {"_intern300m_", 1024, 24, 16},
    {"_xsmall_", 256, 10, 4},
    {"_medium_", 512, 12, 8},
    {"_mediumd_", 512, 20, 8},
    {"_betwixt_", 640, 12, 10},
    {"_wee_", 256, 14, 4},
    {"_pwee_", 256, 16, 4},
    {"_little_", 320, 14, 5},
    {"_dwee_", 256, 14, 4},
    {"_dpwee_", 256, 16, 4},
    {"_dlittle_", 320, 14, 5},
    {"test_vit3_", 96, 9, 3},
    {"test_vit4_", 96, 9, 3},
    {"test_vit2_", 64, 8, 2},
    {"test_vit_", 64, 6, 2},
};

/* The same for activations; none of them is in model_args. */
static const struct {
    const char *part;
    vx_act act;
} known_acts[] = {
    {"_clip_quickgelu_", VX_ACT_QUICK_GELU},
    {"_patch32_siglip_", VX_ACT_GELU_TANH},
    {"_large_patch16_siglip_512", VX_ACT_GELU_TANH},
    {"_large_patch16_siglip_gap_512", VX_ACT_GELU_TANH},
    {"_so400m_patch16_siglip_", VX_ACT_GELU_TANH},
    {"_giantopt_patch16_siglip_", VX_ACT_GELU_TANH},
};

/* 16 of vit_tiny_patch16_224; 0 where the name does not tell. */
static int named_patch(const char *architecture)
{
    const char *at = strstr(architecture, "_patch");
    return at ? atoi(at + strlen("_patch")) : 0;
}

static void imply_sizes(vx_hints *out, const char *architecture)
{
    char name[128];
    snprintf(name, sizeof name, "%.120s_", architecture);
    out->named = (vx_named){.architecture = architecture, .patch = named_patch(architecture)};
    for (size_t i = 0; i < sizeof known_sizes / sizeof known_sizes[0]; i++)
        if (strstr(name, known_sizes[i].part)) {
            out->named.width = known_sizes[i].width;
            out->named.depth = known_sizes[i].depth;
            out->network_told = true;
            if (!out->heads) {
                out->heads = known_sizes[i].heads;
                out->from_heads = VITX_FROM_CONFIG;
            }
            return;
        }
}

void vx_timm_implied(vx_hints *out, const char *architecture)
{
    imply_sizes(out, architecture);
    for (size_t i = 0; i < sizeof known_acts / sizeof known_acts[0]; i++)
        if (strstr(architecture, known_acts[i].part)) {
            out->act = known_acts[i].act;
            out->from_act = VITX_FROM_CONFIG;
        }
    out->pool_prefix = strstr(architecture, "test_vit3") != NULL;
    const bool aimv2 = strncmp(architecture, "aimv2_", 6) == 0;
    out->rms = aimv2 || strstr(architecture, "test_vit4") || strstr(architecture, "_xp_") ||
               strstr(architecture, "_sapiens2");
    out->post_norm = strstr(architecture, "_rpn") || strstr(architecture, "eva02_enormous_");
    out->pos_late = aimv2;
    if (aimv2 || strncmp(architecture, "beit3_", 6) == 0) {
        out->eps = 1e-5;
        out->from_eps = VITX_FROM_CONFIG;
    }
    if (strstr(architecture, "_clip_") && strncmp(architecture, "eva", 3) != 0) {
        out->eps = 1e-5;
        out->from_eps = VITX_FROM_CONFIG;
    }
    vx_timm_rotary(out, architecture);
}

static int read_heads(vx_hints *out, const vx_config *config)
{
    bool found = false;
    VX_TRY(vx_config_int(&out->heads, &found, config->model_args, "num_heads", 1, 65536,
                         config->config_path));
    out->from_heads = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    return VITX_OK;
}

/* transformers' TimmWrapperModel has no head, whatever number of classes its configuration
 * keeps. */
static bool is_headless_wrapper(const vx_config *config)
{
    const char *class = vx_json_string(vx_json_first(vx_json_get(config->config, "architectures")));
    return class && strcmp(class, "TimmWrapperModel") == 0;
}

/* A CLIP tower's classifier is its projection, unless it was fine-tuned: then its tag says so, it
 * names its classes, or has as many as ImageNet. */
static int read_units(vx_hints *out, const vx_config *config)
{
    static const int imagenet[] = {1000, 11821, 11823, 12000, 21841, 21843};
    const char *name = vx_timm_architecture(config), *tag = NULL;
    VX_TRY(vx_config_string(&tag, NULL, config->pretrained, "tag", config->config_path));
    out->units = name && strstr(name, "_clip_") && !(tag && strstr(tag, "ft_")) &&
                 !vx_json_get(config->config, "label_names");
    for (size_t i = 0; i < sizeof imagenet / sizeof imagenet[0]; i++)
        out->units = out->units && out->classes != imagenet[i];
    return VITX_OK;
}

/* Architectures whose perceptrons are SwiGLUPacked; that shows in their shapes, the gate's
 * activation does not. */
static bool is_gated(const char *architecture)
{
    return strstr(architecture, "_giant_patch14_dinov2") ||
           strstr(architecture, "_giant_patch14_reg");
}

static int read_activation(vx_hints *out, const vx_config *config)
{
    static const struct {
        const char *name;
        vx_act act;
    } acts[] = {{"gelu", VX_ACT_GELU},
                {"gelu_tanh", VX_ACT_GELU_TANH},
                {"quick_gelu", VX_ACT_QUICK_GELU},
                {"relu", VX_ACT_RELU}};
    const char *name = NULL, *model = vx_timm_architecture(config);
    VX_TRY(vx_config_string(&name, NULL, config->model_args, "act_layer", config->config_path));
    if (!name || !name[0])
        return VITX_OK;
    if (model && is_gated(model)) {
        if (strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0)
            return VITX_OK;
        return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                          "activation \"%.40s\" of a gated perceptron is not silu", name);
    }
    out->from_act = VITX_FROM_CONFIG;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(name, acts[i].name) == 0) {
            out->act = acts[i].act;
            return VITX_OK;
        }
    return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                      "activation \"%.40s\" is none of gelu, gelu_tanh, quick_gelu, relu", name);
}

int vx_timm_pool(vx_pool_kind *out, const char *word, const char *path)
{
    static const char *const words[] = {"token", "avg", "map"};
    for (int i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (vx_pool_kind)i;
            return VITX_OK;
        }
    return vx_fail_in(VITX_UNSUPPORTED, path, "global_pool \"%.40s\" is none of token, avg, map",
                      word);
}

/* timm writes the root's global_pool for people to read and builds the model without it: by
 * model_args, pretrained_cfg, or as the architecture has it, which shows in the tensors. */
static int read_pool(vx_hints *out, const vx_config *config)
{
    const vx_json *const told[] = {config->model_args, config->pretrained};
    const char *name = NULL, *model = vx_timm_architecture(config), *path = config->config_path;
    vx_pool_kind written;
    VX_TRY(vx_config_bool(&out->pool_prefix, NULL, told[0], "pool_include_prefix", path));
    for (int i = 0; i < 2 && !name; i++)
        VX_TRY(vx_config_string(&name, NULL, told[i], "global_pool", path));
    if (name) {
        out->pool_known = true;
        return vx_timm_pool(&out->pool, name, path);
    }
    if (out->pool_known) /* by the architecture */
        return VITX_OK;
    if (model && strstr(model, "_siglip_gap_")) { /* a file with a pooling head is another model */
        out->pool = VX_POOL_AVG;
        out->pool_known = true;
    }
    VX_TRY(vx_config_string(&name, NULL, config->config, "global_pool", path));
    return name ? vx_timm_pool(&written, name, path) : VITX_OK;
}

/* Arguments of VisionTransformer and Eva that change the answer and show in no tensor: refused, but
 * for a norm. */
static int read_arguments(vx_hints *out, const vx_config *config)
{
    static const char *const flags[] = {"dynamic_img_pad", "use_post_norm"};
    static const char *const layers[] = {"block_fn", "mlp_layer", "attn_layer", "embed_layer",
                                         "embed_norm_layer"};
    const char *path = config->config_path, *norm = NULL;
    VX_TRY(vx_config_bool(&out->qk_norm, NULL, config->model_args, "qk_norm", path));
    VX_TRY(vx_config_int(&out->pool_heads, NULL, config->model_args, "attn_pool_num_heads", 1,
                         65536, path));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set = false;
        VX_TRY(vx_config_bool(&set, NULL, config->model_args, flags[i], path));
        if (set)
            return vx_fail_in(VITX_UNSUPPORTED, path, "model_args.%s is not supported", flags[i]);
    }
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const vx_json *node = vx_json_get(config->model_args, layers[i]);
        if (node && !vx_json_is_null(node))
            return vx_fail_in(VITX_UNSUPPORTED, path, "model_args.%s is not supported", layers[i]);
    }
    VX_TRY(vx_config_string(&norm, NULL, config->model_args, "norm_layer", path));
    if (!norm || !norm[0])
        return VITX_OK;
    out->rms = vx_same_word(norm, "rmsnorm") || vx_same_word(norm, "rms_norm");
    if (!out->rms && !vx_same_word(norm, "layernorm") && !vx_same_word(norm, "layer_norm"))
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "norm_layer \"%.40s\" is neither layernorm nor rmsnorm", norm);
    out->eps = 1e-6; /* it is not the architecture's own, with another eps */
    out->from_eps = VITX_FROM_CONFIG;
    return VITX_OK;
}

/* Whether the model takes pictures of model_args.img_size and no others: then timm prepares them
 * so, whatever input_size says. */
static int is_fixed(bool *out, const vx_config *config)
{
    const char *path = config->config_path;
    bool dynamic = false, strict = true;
    VX_TRY(vx_config_bool(out, NULL, config->pretrained, "fixed_input_size", path));
    VX_TRY(vx_config_bool(&dynamic, NULL, config->model_args, "dynamic_img_size", path));
    VX_TRY(vx_config_bool(&strict, NULL, config->model_args, "strict_img_size", path));
    *out = *out && strict && !dynamic;
    return VITX_OK;
}

/* input_size is [channels, height, width]. */
static int read_input_size(int *height, int *width, bool *found, const vx_config *config)
{
    const vx_json *node = vx_json_get(config->pretrained, "input_size");
    const char *path = config->config_path;
    bool fixed = false, overridden = false;
    int size[3];
    *found = node && !vx_json_is_null(node);
    if (*found) {
        const vx_json *item = vx_json_first(node);
        bool good = vx_json_is_array(node) && vx_json_size(node) == 3;
        for (int i = 0; i < 3 && good; i++, item = vx_json_next(item))
            good = vx_json_int(item, &size[i]) && size[i] >= 1 && size[i] <= 65535;
        if (!good)
            return vx_fail_in(VITX_FORMAT, path, "input_size is not [channels, height, width]");
        *height = size[1];
        *width = size[2];
    }
    VX_TRY(is_fixed(&fixed, config));
    if (fixed)
        VX_TRY(vx_config_size(height, width, &overridden, config->model_args, "img_size", path));
    *found = *found || overridden;
    return VITX_OK;
}

/* Whether model_args tell sizes: then it is not the architecture's own network, and its name tells
 * none. The number of features is the width, and stands beside other sizes in what timm saves. */
static bool has_own_sizes(const vx_config *config)
{
    static const char *const whole[] = {"embed_dim", "num_heads"};
    static const char *const some[] = {"depth", "patch_size", "mlp_ratio"};
    bool own = false, part = false;
    for (int i = 0; i < 2; i++)
        own = own || vx_json_get(config->model_args, whole[i]) != NULL;
    for (int i = 0; i < 3; i++)
        part = part || vx_json_get(config->model_args, some[i]) != NULL;
    return own || (part && vx_json_get(config->config, "num_features"));
}

int vx_timm_read_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path;
    const vx_json *args = config->model_args;
    bool found;
    const char *name = vx_timm_architecture(config);
    *out = (vx_hints){
        .eps = 1e-6, .act = VX_ACT_GELU, .no_key_bias = true, .pictures_told = name != NULL};
    VX_TRY(read_heads(out, config));
    if (name)
        vx_timm_implied(out, name);
    if (has_own_sizes(config))
        out->named = (vx_named){0};
    if (vx_json_get(args, "depth"))
        out->named.depth = 0;
    if (vx_json_get(args, "patch_size"))
        out->named.patch = 0;
    VX_TRY(read_arguments(out, config));
    VX_TRY(vx_timm_rotary_arguments(out, config));
    VX_TRY(read_activation(out, config));
    VX_TRY(read_pool(out, config));
    VX_TRY(vx_config_int(&out->depth, NULL, args, "depth", 1, 65536, path));
    VX_TRY(vx_config_int(&out->registers, NULL, args, "reg_tokens", 0, VX_MAX_TOKENS, path));
    VX_TRY(vx_config_int(&out->registers, NULL, args, "num_reg_tokens", 0, VX_MAX_TOKENS, path));
    VX_TRY(vx_config_int(&out->width, NULL, args, "embed_dim", 1, 1 << 24, path));
    VX_TRY(vx_config_int(&out->features, NULL, config->config, "num_features", 1, 1 << 24, path));
    VX_TRY(vx_config_int(&out->channels, NULL, args, "in_chans", 1, 65536, path));
    VX_TRY(vx_config_bool(&out->qkv_bias, &out->qkv_bias_known, args, "qkv_bias", path));
    VX_TRY(vx_config_size(&out->patch_height, &out->patch_width, NULL, args, "patch_size", path));
    VX_TRY(vx_config_int(&out->classes, &found, config->config, "num_classes", 0, 1 << 30, path));
    if (!found)
        VX_TRY(vx_config_int(&out->classes, &found, args, "num_classes", 0, 1 << 30, path));
    if (is_headless_wrapper(config)) {
        out->classes = 0;
        found = true;
    }
    out->headless = found && out->classes == 0;
    VX_TRY(read_units(out, config));
    VX_TRY(vx_config_size(&out->image_height, &out->image_width, &found, args, "img_size", path));
    return found ? VITX_OK : read_input_size(&out->image_height, &out->image_width, &found, config);
}

/* -------------------------------------------------------------------------- recipe -------- */

static int read_filter(vitx_recipe *out, const vx_config *config)
{
    const char *name = NULL;
    bool found;
    VX_TRY(
        vx_config_string(&name, &found, config->pretrained, "interpolation", config->config_path));
    if (!found || !name[0])
        return VITX_OK;
    out->from_filter = VITX_FROM_CONFIG;
    for (int f = VITX_NEAREST; f <= VITX_LANCZOS; f++)
        if (strcmp(name, vitx_filter_name((vitx_filter)f)) == 0) {
            out->filter = (vitx_filter)f;
            return VITX_OK;
        }
    return vx_fail_in(VITX_UNSUPPORTED, config->config_path,
                      "interpolation \"%.40s\" is not supported", name);
}

/* "center": shortest side, or, for an input that is not square, both sides covered; "squash":
 * both sides exactly; "border": both sides within, the rest has the mean's colour. timm up to
 * 1.0.29 resized to inputs that are not square bilinearly, whatever `interpolation` said; 1.0.31,
 * followed here, uses the filter that it names. */
static int read_resize(vitx_recipe *out, const vx_config *config, const vx_recipe_defaults *silent)
{
    const bool squash = !config->pretrained && silent->resize == VITX_RESIZE_EXACT;
    const char *mode = squash ? "squash" : "center", *path = config->config_path;
    double crop_pct = silent->crop_pct;
    bool found_pct, found_mode;
    VX_TRY(
        vx_config_number(&crop_pct, &found_pct, config->pretrained, "crop_pct", 0.01, 100, path));
    VX_TRY(vx_config_string(&mode, &found_mode, config->pretrained, "crop_mode", path));
    const double height = vx_recipe_resized(out->input_height, crop_pct);
    const double width = vx_recipe_resized(out->input_width, crop_pct);
    if (height < 1 || width < 1 || height > 65535 || width > 65535)
        return vx_fail_in(VITX_FORMAT, path, "crop_pct %g of %dx%d pixels makes %.0fx%.0f",
                          crop_pct, out->input_height, out->input_width, height, width);
    out->crop_pct = crop_pct;
    out->resize_height = (int)height;
    out->resize_width = (int)width;
    out->from_resize = found_pct ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    out->from_crop = found_mode ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    if (strcmp(mode, "squash") == 0)
        out->resize = VITX_RESIZE_EXACT;
    else if (strcmp(mode, "border") == 0)
        out->resize = VITX_RESIZE_WITHIN;
    else if (mode[0] && strcmp(mode, "center") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "crop_mode \"%.40s\" is none of center, squash, border", mode);
    else
        out->resize =
            out->resize_height == out->resize_width ? VITX_RESIZE_SHORTEST : VITX_RESIZE_COVER;
    return VITX_OK;
}

/* Of what a file leaves out that timm can load by itself, timm takes PretrainedCfg's default, not
 * the architecture's. */
static const vx_recipe_defaults loaded_recipe = {VITX_BICUBIC,
                                                 true,
                                                 VITX_RESIZE_SHORTEST,
                                                 0.875,
                                                 {0.485f, 0.456f, 0.406f},
                                                 {0.229f, 0.224f, 0.225f}};

int vx_timm_read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect)
{
    bool found;
    const char *path = config->config_path;
    const bool loads = dialect->naming == &vx_naming_timm && vx_timm_architecture(config);
    const vx_recipe_defaults *silent = loads ? &loaded_recipe : dialect->recipe;
    out->crop_round = 1; /* torchvision's CenterCrop */
    out->filter = silent->filter;
    memcpy(out->mean, silent->mean, sizeof out->mean);
    memcpy(out->std, silent->std, sizeof out->std);
    VX_TRY(read_input_size(&out->input_height, &out->input_width, &found, config));
    if (found)
        out->from_input = VITX_FROM_CONFIG;
    VX_TRY(read_resize(out, config, silent));
    VX_TRY(read_filter(out, config));
    VX_TRY(vx_config_rgb(out->mean, &found, config->pretrained, "mean", -1e6, 1e6, path));
    out->from_mean = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_rgb(out->std, &found, config->pretrained, "std", 1e-6, 1e6, path));
    out->from_std = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    if (out->resize == VITX_RESIZE_WITHIN)
        vx_recipe_pad_colour(out);
    return VITX_OK;
}

/* Behind '|' the names of Meta's repositories: DeiT III has gamma_1 and gamma_2, DINOv2 w12, w3 and
 * register_tokens. */
const vx_naming vx_naming_timm = {
    .name = "timm",
    .title = "timm",
    .positions = VX_POS_TIMM,
    .names =
        {
            [VX_PATCH_W] = "patch_embed.proj.weight",
            [VX_PATCH_B] = "patch_embed.proj.bias",
            [VX_CLASS_TOKEN] = "cls_token",
            [VX_DISTILLATION_TOKEN] = "dist_token",
            [VX_REGISTERS] = "reg_token|register_tokens",
            [VX_POSITIONS] = "pos_embed",
            [VX_FREQUENCIES] = "rope.freqs",
            [VX_NORM_PRE_W] = "norm_pre.weight|patch_embed.norm.weight",
            [VX_NORM_PRE_B] = "norm_pre.bias|patch_embed.norm.bias",
            [VX_NORM_W] = "norm.weight",
            [VX_NORM_B] = "norm.bias",
            [VX_FC_NORM_W] = "fc_norm.weight",
            [VX_FC_NORM_B] = "fc_norm.bias",
            [VX_HEAD_W] = "head.weight",
            [VX_HEAD_B] = "head.bias",
            [VX_HEAD2_W] = "head_dist.weight",
            [VX_HEAD2_B] = "head_dist.bias",
            [VX_POOL_PROBE] = "attn_pool.latent",
            [VX_POOL_Q_W] = "attn_pool.q.weight",
            [VX_POOL_Q_B] = "attn_pool.q.bias",
            [VX_POOL_KV_W] = "attn_pool.kv.weight",
            [VX_POOL_KV_B] = "attn_pool.kv.bias",
            [VX_POOL_PROJ_W] = "attn_pool.proj.weight",
            [VX_POOL_PROJ_B] = "attn_pool.proj.bias",
            [VX_POOL_NORM_W] = "attn_pool.norm.weight",
            [VX_POOL_NORM_B] = "attn_pool.norm.bias",
            [VX_POOL_FC1_W] = "attn_pool.mlp.fc1.weight",
            [VX_POOL_FC1_B] = "attn_pool.mlp.fc1.bias",
            [VX_POOL_FC2_W] = "attn_pool.mlp.fc2.weight",
            [VX_POOL_FC2_B] = "attn_pool.mlp.fc2.bias",
            [VX_NORM1_W] = "blocks.#.norm1.weight|blocks.#.in_norm.weight|"
                           "blocks.#.attns.0.norm.weight",
            [VX_NORM1_B] = "blocks.#.norm1.bias|blocks.#.in_norm.bias|"
                           "blocks.#.attns.0.norm.bias",
            [VX_QKV_W] = "blocks.#.attn.qkv.weight|"
                         "blocks.#.attns.0.attn.qkv.weight",
            [VX_QKV_B] = "blocks.#.attn.qkv.bias|"
                         "blocks.#.attns.0.attn.qkv.bias",
            [VX_Q_W] = "blocks.#.attn.q_proj.weight",
            [VX_Q_B] = "blocks.#.attn.q_bias|blocks.#.attn.q_proj.bias",
            [VX_K_W] = "blocks.#.attn.k_proj.weight",
            [VX_K_B] = "blocks.#.attn.k_proj.bias",
            [VX_V_W] = "blocks.#.attn.v_proj.weight",
            [VX_V_B] = "blocks.#.attn.v_bias|blocks.#.attn.v_proj.bias",
            [VX_RELATIVE] = "blocks.#.attn.relative_position_bias_table|"
                            "rel_pos_bias.relative_position_bias_table|"
                            "blocks.#.attn.rel_pos.relative_position_bias_table|"
                            "shared_rel_pos.relative_position_bias_table",
            [VX_Q_NORM_W] = "blocks.#.attn.q_norm.weight|blocks.#.q_norm.weight",
            [VX_Q_NORM_B] = "blocks.#.attn.q_norm.bias|blocks.#.q_norm.bias",
            [VX_K_NORM_W] = "blocks.#.attn.k_norm.weight|blocks.#.k_norm.weight",
            [VX_K_NORM_B] = "blocks.#.attn.k_norm.bias|blocks.#.k_norm.bias",
            [VX_IN_W] = "blocks.#.in_proj.weight",
            [VX_IN_B] = "blocks.#.in_proj.bias",
            [VX_WAY_FC1_W] = "blocks.#.attn.rel_pos.mlp.fc1.weight|shared_rel_pos.mlp.fc1.weight",
            [VX_WAY_FC1_B] = "blocks.#.attn.rel_pos.mlp.fc1.bias|shared_rel_pos.mlp.fc1.bias",
            [VX_WAY_FC2_W] = "blocks.#.attn.rel_pos.mlp.fc2.weight|shared_rel_pos.mlp.fc2.weight",
            [VX_WAY_FC2_B] = "blocks.#.attn.rel_pos.mlp.fc2.bias|shared_rel_pos.mlp.fc2.bias",
            [VX_ATTN_NORM_W] = "blocks.#.attn.norm.weight|blocks.#.attn.inner_attn_ln.weight|"
                               "blocks.#.attn.sub_norm.weight|blocks.#.sub_norm.weight",
            [VX_ATTN_NORM_B] = "blocks.#.attn.norm.bias|blocks.#.attn.inner_attn_ln.bias",
            [VX_MLP_NORM_W] = "blocks.#.mlp.norm.weight|blocks.#.mlp.ffn_ln.weight",
            [VX_MLP_NORM_B] = "blocks.#.mlp.norm.bias|blocks.#.mlp.ffn_ln.bias",
            [VX_LAMBDA_Q1] = "blocks.#.attn.lambda_q1|blocks.#.lambda_q1",
            [VX_LAMBDA_K1] = "blocks.#.attn.lambda_k1|blocks.#.lambda_k1",
            [VX_LAMBDA_Q2] = "blocks.#.attn.lambda_q2|blocks.#.lambda_q2",
            [VX_LAMBDA_K2] = "blocks.#.attn.lambda_k2|blocks.#.lambda_k2",
            [VX_OUT_W] = "blocks.#.out_proj.weight",
            [VX_OUT_B] = "blocks.#.out_proj.bias",
            [VX_PROJ_W] = "blocks.#.attn.proj.weight|blocks.#.attn_out_proj.weight|"
                          "blocks.#.attns.0.attn.proj.weight",
            [VX_PROJ_B] = "blocks.#.attn.proj.bias|blocks.#.attn_out_proj.bias|"
                          "blocks.#.attns.0.attn.proj.bias",
            [VX_LS1] = "blocks.#.ls1.gamma|blocks.#.gamma_1|blocks.#.ls.gamma",
            [VX_NORM2_W] = "blocks.#.norm2.weight|"
                           "blocks.#.ffns.0.norm.weight",
            [VX_NORM2_B] = "blocks.#.norm2.bias|"
                           "blocks.#.ffns.0.norm.bias",
            [VX_FC1_W] = "blocks.#.mlp.fc1.weight|blocks.#.mlp.w12.weight|"
                         "blocks.#.ffns.0.mlp.fc1.weight",
            [VX_FC1_B] = "blocks.#.mlp.fc1.bias|blocks.#.mlp.w12.bias|blocks.#.mlp_bias|"
                         "blocks.#.ffns.0.mlp.fc1.bias",
            [VX_GATE_W] = "blocks.#.mlp.fc1_g.weight|blocks.#.mlp.w1.weight",
            [VX_GATE_B] = "blocks.#.mlp.fc1_g.bias|blocks.#.mlp.w1.bias",
            [VX_VALUE_W] = "blocks.#.mlp.fc1_x.weight|blocks.#.mlp.w2.weight",
            [VX_VALUE_B] = "blocks.#.mlp.fc1_x.bias|blocks.#.mlp.w2.bias",
            [VX_FC2_W] = "blocks.#.mlp.fc2.weight|blocks.#.mlp.w3.weight|"
                         "blocks.#.mlp_out_proj.weight|"
                         "blocks.#.ffns.0.mlp.fc2.weight",
            [VX_FC2_B] = "blocks.#.mlp.fc2.bias|blocks.#.mlp.w3.bias|blocks.#.mlp_out_proj.bias|"
                         "blocks.#.ffns.0.mlp.fc2.bias",
            [VX_LS2] = "blocks.#.ls2.gamma|blocks.#.gamma_2|blocks.#.ls.gamma",
            [VX_SIDE_LS1] = "blocks.#.attns.0.ls.gamma",
            [VX_SIDE_LS2] = "blocks.#.ffns.0.ls.gamma",
            [VX_TWIN_NORM1_W] = "blocks.#.attns.1.norm.weight",
            [VX_TWIN_NORM1_B] = "blocks.#.attns.1.norm.bias",
            [VX_TWIN_QKV_W] = "blocks.#.attns.1.attn.qkv.weight",
            [VX_TWIN_QKV_B] = "blocks.#.attns.1.attn.qkv.bias",
            [VX_TWIN_PROJ_W] = "blocks.#.attns.1.attn.proj.weight",
            [VX_TWIN_PROJ_B] = "blocks.#.attns.1.attn.proj.bias",
            [VX_TWIN_NORM2_W] = "blocks.#.ffns.1.norm.weight",
            [VX_TWIN_NORM2_B] = "blocks.#.ffns.1.norm.bias",
            [VX_TWIN_FC1_W] = "blocks.#.ffns.1.mlp.fc1.weight",
            [VX_TWIN_FC1_B] = "blocks.#.ffns.1.mlp.fc1.bias",
            [VX_TWIN_FC2_W] = "blocks.#.ffns.1.mlp.fc2.weight",
            [VX_TWIN_FC2_B] = "blocks.#.ffns.1.mlp.fc2.bias",
            [VX_TWIN_LS1] = "blocks.#.attns.1.ls.gamma",
            [VX_TWIN_LS2] = "blocks.#.ffns.1.ls.gamma",
        },
    .harmless = harmless_names,
    .two_heads = true,
    .architecture = vx_timm_architecture,
    .read_hints = vx_timm_read_hints,
    .read_recipe = vx_timm_read_recipe,
};

/* The repositories deit and dinov2 of facebookresearch. Their files come without a configuration;
 * one of timm's kind beside them is read. */
const vx_naming vx_naming_meta = {
    .name = "meta",
    .title = "Meta",
    .names =
        {
            [VX_HEAD_W] = "head.weight|linear_head.weight",
            [VX_HEAD_B] = "head.bias|linear_head.bias",
        },
    .base = &vx_naming_timm,
    .behind_prefix = true,
    .harmless = harmless_names,
    .code_tells = true,
    .two_heads = true,
    .architecture = vx_timm_architecture,
    .read_hints = vx_timm_read_hints,
    .read_recipe = vx_timm_read_recipe,
};
