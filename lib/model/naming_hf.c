/*
 * model/naming_hf.c: what Hugging Face's transformers writes (ViT, DeiT, DINOv2 and what shares
 * their names: MSN, I-JEPA, the encoder of MAE; the names of 4.x, which 5.x still writes;
 * configuration_vit.py, image_processing_vit.py, image_processing_deit.py,
 * image_processing_bit.py).
 *
 * Fields that the files lack have the default of their class. Pictures: "image_processor" of
 * processor_config.json, else preprocessor_config.json (image_processing_base.py).
 */
#include <math.h>
#include <string.h>

#include "model/naming_hf.h"

static const char *const harmless_names[] = {"*embeddings.mask_token", "*embeddings.position_ids",
                                             "*pooler.", NULL};

const vx_recipe_defaults vx_hf_vit_processor = {
    VITX_BILINEAR, false, VITX_RESIZE_EXACT, 1.0, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
const vx_recipe_defaults vx_hf_deit_processor = {
    VITX_BICUBIC, true, VITX_RESIZE_EXACT, 224.0 / 256, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
const vx_recipe_defaults vx_hf_clip_processor = {VITX_BICUBIC, true,         VITX_RESIZE_SHORTEST,
                                                 1.0,          VX_CLIP_MEAN, VX_CLIP_STD};
const vx_recipe_defaults vx_hf_siglip_processor = {
    VITX_BICUBIC, false, VITX_RESIZE_EXACT, 1.0, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
static const vx_recipe_defaults naflex_processor = {
    VITX_BILINEAR, false, VITX_RESIZE_PATCHES, 1.0, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
const vx_recipe_defaults vx_hf_dinov3_processor = {
    VITX_BILINEAR,           false, VITX_RESIZE_EXACT, 1.0, {0.485f, 0.456f, 0.406f},
    {0.229f, 0.224f, 0.225f}};
const vx_recipe_defaults vx_hf_sapiens_processor = {
    VITX_BILINEAR,           false, VITX_RESIZE_EXACT, 1.0, {0.485f, 0.456f, 0.406f},
    {0.229f, 0.224f, 0.225f}};
const vx_recipe_defaults vx_hf_tips_processor = {VITX_BILINEAR, false,     VITX_RESIZE_EXACT,
                                                 1.0,           {0, 0, 0}, {1, 1, 1}};
#define CLASS_SIZE 224 /* of all classes' input */

const char *vx_hf_architecture(const vx_config *config)
{
    return vx_json_string(vx_json_first(vx_json_get(config->config, "architectures")));
}

/* -------------------------------------------------------------------------- hints --------- */

int vx_hf_read_activation(vx_hints *out, const vx_json *object, const char *name, const char *path)
{
    static const struct {
        const char *name;
        vx_act act;
    } acts[] = {{"gelu", VX_ACT_GELU},
                {"gelu_python", VX_ACT_GELU},
                {"gelu_new", VX_ACT_GELU_TANH},
                {"gelu_pytorch_tanh", VX_ACT_GELU_TANH},
                {"gelu_python_tanh", VX_ACT_GELU_TANH},
                {"gelu_accurate", VX_ACT_GELU_TANH},
                {"gelu_fast", VX_ACT_GELU_TANH},
                {"quick_gelu", VX_ACT_QUICK_GELU},
                {"relu", VX_ACT_RELU}};
    bool found;
    VX_TRY(vx_config_string(&name, &found, object, "hidden_act", path));
    out->from_act = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(name, acts[i].name) == 0) {
            out->act = acts[i].act;
            return VITX_OK;
        }
    return vx_fail_in(VITX_UNSUPPORTED, path, "hidden_act \"%.40s\" is not supported", name);
}

void vx_hf_read_told(vx_hints *out, const vx_config *config)
{
    out->network_told = config->config != NULL;
    out->pictures_told = config->image_processor || config->preprocessor;
}

/* What model_type says besides the tensors. I-JEPA has no class token: its classifier reads the
 * mean. */
static int read_model_type(vx_hints *out, const vx_config *config)
{
    static const struct {
        const char *type;
        double eps;
        vx_pool_kind pool;
    } run[] = {
        {"vit", 1e-12, VX_POOL_TOKEN},          {"deit", 1e-12, VX_POOL_TOKEN},
        {"dinov2", 1e-6, VX_POOL_TOKEN},        {"dinov2_with_registers", 1e-6, VX_POOL_TOKEN},
        {"vit_msn", 1e-6, VX_POOL_TOKEN},       {"ijepa", 1e-12, VX_POOL_AVG},
        {"vit_mae", 1e-12, VX_POOL_TOKEN},      {"beit", 1e-12, VX_POOL_AVG},
        {"data2vec-vision", 1e-12, VX_POOL_AVG}};
    const char *type = NULL;
    VX_TRY(vx_config_string(&type, NULL, config->config, "model_type", config->config_path));
    for (size_t i = 0; type && i < sizeof run / sizeof run[0]; i++)
        if (strcmp(type, run[i].type) == 0) {
            out->eps = run[i].eps;
            out->pool = run[i].pool;
            out->pool_known = true;
            out->registers = strstr(type, "_registers") ? 4 : 0; /* the class default */
            return VITX_OK;
        }
    return !type ? VITX_OK
                 : vx_fail_in(
                       VITX_UNSUPPORTED, config->config_path,
                       "model_type %.40s is not supported; vitx runs vit, deit, dinov2, "
                       "dinov2_with_registers, vit_msn, ijepa, vit_mae, beit and data2vec-vision",
                       type);
}

int vx_hf_read_sizes(vx_hints *out, const vx_json *c, const char *path)
{
    bool found;
    VX_TRY(vx_config_number(&out->eps, &found, c, "layer_norm_eps", 0, 1, path));
    out->from_eps = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    if (c) /* the class default; without a file there is no class */
        out->heads = 12;
    VX_TRY(vx_config_int(&out->heads, &found, c, "num_attention_heads", 1, 65536, path));
    out->from_heads = found ? VITX_FROM_CONFIG : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_int(&out->depth, NULL, c, "num_hidden_layers", 1, 65536, path));
    VX_TRY(vx_config_int(&out->width, NULL, c, "hidden_size", 1, 1 << 24, path));
    VX_TRY(vx_config_int(&out->channels, NULL, c, "num_channels", 1, 65536, path));
    VX_TRY(vx_config_bool(&out->qkv_bias, &out->qkv_bias_known, c, "qkv_bias", path));
    VX_TRY(vx_config_int(&out->hidden, NULL, c, "intermediate_size", 1, 1 << 28, path));
    VX_TRY(vx_config_size(&out->patch_height, &out->patch_width, NULL, c, "patch_size", path));
    return vx_config_size(&out->image_height, &out->image_width, NULL, c, "image_size", path);
}

static int read_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path;
    const vx_json *c = config->config;
    const char *name = vx_hf_architecture(config);
    *out = (vx_hints){.eps = 1e-12};
    vx_hf_read_told(out, config);
    out->has_head = name && strstr(name, "ForImageClassification") != NULL;
    VX_TRY(read_model_type(out, config));
    VX_TRY(vx_hf_read_activation(out, c, "gelu", path));
    VX_TRY(vx_config_int(&out->registers, NULL, c, "num_register_tokens", 0, VX_MAX_TOKENS, path));
    return vx_hf_read_sizes(out, c, path);
}

/* BEiT and data2vec. The mean is read behind a norm of the pooler's, or the class token behind the
 * last norm. */
static int read_beit_hints(vx_hints *out, const vx_config *config)
{
    const char *path = config->config_path;
    const vx_json *c = config->config;
    bool mean = true, shared = false;
    VX_TRY(read_hints(out, config));
    VX_TRY(vx_config_bool(&mean, NULL, c, "use_mean_pooling", path));
    VX_TRY(vx_config_bool(&out->relative, NULL, c, "use_relative_position_bias", path));
    VX_TRY(vx_config_bool(&shared, NULL, c, "use_shared_relative_position_bias", path));
    out->relative = out->relative || shared;
    out->relative_known = c != NULL;
    out->no_key_bias = true;
    out->pool = mean ? VX_POOL_AVG : VX_POOL_TOKEN;
    out->pool_known = true;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- recipe -------- */

/* Pillow's codes of filters. */
static int read_filter(vitx_recipe *out, const vx_json *p, const char *path)
{
    static const vitx_filter filters[] = {VITX_NEAREST, VITX_LANCZOS, VITX_BILINEAR, VITX_BICUBIC,
                                          VITX_BOX};
    int code = 0;
    bool found;
    VX_TRY(vx_config_int(&code, &found, p, "resample", 0, 5, path));
    if (!found)
        return VITX_OK;
    if (code == 5)
        return vx_fail_in(VITX_UNSUPPORTED, path, "resample 5 (hamming) is not supported");
    out->filter = filters[code];
    out->from_filter = VITX_FROM_PREPROCESSOR;
    return VITX_OK;
}

/* The classes that prepare pictures; `square`: a size that is one number is that of both sides, not
 * of the shortest. */
typedef struct processor {
    const char *family;
    const vx_recipe_defaults *defaults;
    bool square;
} processor;
static const processor processors[] = {
    {"ViT", &vx_hf_vit_processor, true},
    {"DeiT", &vx_hf_deit_processor, true},
    {"DINOv3ViT", &vx_hf_dinov3_processor, true},
    {"CLIP", &vx_hf_clip_processor, false},
    {"ChineseCLIP", &vx_hf_clip_processor, false},
    {"Bit", &vx_hf_clip_processor, false}, /* as CLIP's */
    {"Tipsv2", &vx_hf_tips_processor, true},
    {"Sapiens2", &vx_hf_sapiens_processor, true},
    {"Siglip", &vx_hf_siglip_processor, false},
    {"Siglip2", &naflex_processor, false},
    {"Beit", &vx_hf_siglip_processor, true}}; /* its defaults are SigLIP's */

/* size: a number, [height, width], {height, width}, or {shortest_edge}. */
static int read_size(vitx_recipe *out, bool *found, const vx_json *p, const char *path,
                     const processor *class)
{
    const vx_json *size = vx_json_get(p, "size");
    const vx_json *longest = vx_json_get(size, "longest_edge");
    bool shortest, square = class->square;
    VX_TRY(vx_config_bool(&square, NULL, p, "default_to_square", path));
    out->resize = class->defaults->resize;
    if (vx_json_is_object(size) || vx_json_is_array(size))
        out->resize = VITX_RESIZE_EXACT;
    else if (size && !vx_json_is_null(size))
        out->resize = square ? VITX_RESIZE_EXACT : VITX_RESIZE_SHORTEST;
    if (longest && !vx_json_is_null(longest))
        return vx_fail_in(VITX_UNSUPPORTED, path, "size.longest_edge is not supported");
    VX_TRY(vx_config_int(&out->resize_height, &shortest, size, "shortest_edge", 1, 65535, path));
    *found = true;
    if (!shortest)
        return vx_config_size(&out->resize_height, &out->resize_width, found, p, "size", path);
    out->resize = VITX_RESIZE_SHORTEST;
    out->resize_width = out->resize_height;
    return VITX_OK;
}

/* NaFlex: a number of patches in place of a size (image_processing_siglip2.py). */
static int read_patches(vitx_recipe *out, const vx_json *p, const char *path)
{
    bool resize = true, found;
    VX_TRY(vx_config_bool(&resize, NULL, p, "do_resize", path));
    if (!resize)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "do_resize is false: pictures have to be of whole patches then, which "
                          "vitx does not take");
    VX_TRY(vx_config_int(&out->max_patches, &found, p, "max_num_patches", 1, VX_MAX_TOKENS, path));
    out->resize = VITX_RESIZE_PATCHES;
    out->from_resize = found ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    return VITX_OK;
}

/* Resize, then perhaps crop; what comes out is the input. Where neither happens, pictures must
 * have the model's size already, which `out` holds as the input. */
static int read_geometry(vitx_recipe *out, const vx_json *p, const char *path,
                         const processor *class)
{
    bool crop = class->defaults->centre_crop, resize = true, found_resize, found_size, found_crop,
         pad = false;
    VX_TRY(vx_config_bool(&resize, &found_resize, p, "do_resize", path));
    VX_TRY(vx_config_bool(&crop, &found_crop, p, "do_center_crop", path));
    VX_TRY(vx_config_bool(&pad, NULL, p, "do_pad", path));
    const vx_json *pad_size = vx_json_get(p, "pad_size");
    if (pad && pad_size && !vx_json_is_null(pad_size)) /* else to the largest of a batch: nothing */
        return vx_fail_in(VITX_UNSUPPORTED, path, "do_pad with a pad_size is not supported");
    VX_TRY(read_size(out, &found_size, p, path, class));
    if (found_resize || found_size)
        out->from_resize = VITX_FROM_PREPROCESSOR;
    if (crop) {
        bool found = false;
        out->input_height = out->input_width = CLASS_SIZE;
        VX_TRY(vx_config_size(&out->input_height, &out->input_width, &found, p, "crop_size", path));
        out->from_input = found ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
        found_crop = found_crop || found;
    } else if (resize && out->resize == VITX_RESIZE_SHORTEST) {
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "size.shortest_edge without do_center_crop gives pictures of any "
                          "shape, which the model cannot take");
    } else if (resize) {
        out->input_height = out->resize_height;
        out->input_width = out->resize_width;
        out->from_input = found_size ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    }
    if (!resize)
        out->resize = VITX_RESIZE_NONE;
    out->no_crop = !resize && !crop;
    out->from_crop = found_crop ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    return VITX_OK;
}

static int read_values(vitx_recipe *out, const vx_json *p, const char *path)
{
    bool rescale = true, normalize = true, found, found_flag;
    double scale = 1.0 / 255;
    VX_TRY(vx_config_bool(&rescale, &found_flag, p, "do_rescale", path));
    VX_TRY(vx_config_number(&scale, &found, p, "rescale_factor", 1e-9, 1e9, path));
    out->scale = rescale ? (float)scale : 1;
    out->from_scale = found || found_flag ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_bool(&normalize, &found_flag, p, "do_normalize", path));
    VX_TRY(vx_config_rgb(out->mean, &found, p, "image_mean", -1e6, 1e6, path));
    out->from_mean = found ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_rgb(out->std, &found, p, "image_std", 1e-6, 1e6, path));
    out->from_std = found ? VITX_FROM_PREPROCESSOR : VITX_FROM_DEFAULT;
    for (int i = 0; i < 3 && !normalize; i++) {
        out->mean[i] = 0;
        out->std[i] = 1;
        out->from_mean = out->from_std = VITX_FROM_PREPROCESSOR;
    }
    return VITX_OK;
}

/* Whether a name is that family's, as a processor or, formerly, a feature extractor, of any
 * backend. */
static bool is_of(const char *name, const char *family)
{
    const size_t n = strlen(family);
    return strncmp(name, family, n) == 0 && (strncmp(name + n, "ImageProcessor", 14) == 0 ||
                                             strcmp(name + n, "FeatureExtractor") == 0);
}

/* A file names the class whose defaults count; ViT models with DeiT's processor are common. One
 * that names none has the class of the model. */
static int read_class(const processor **out, const vx_json *p, const char *path,
                      const vx_dialect *dialect, bool naflex)
{
    const char *name = NULL;
    *out = NULL;
    const vx_recipe_defaults *own = naflex ? &naflex_processor
                                    : dialect->naming == &vx_naming_hf_dinov2
                                        ? &vx_hf_clip_processor
                                        : dialect->recipe;
    VX_TRY(vx_config_string(&name, NULL, p, "image_processor_type", path));
    if (!name)
        VX_TRY(vx_config_string(&name, NULL, p, "feature_extractor_type", path));
    for (size_t i = 0; !*out && i < sizeof processors / sizeof processors[0]; i++)
        if (name ? is_of(name, processors[i].family) : processors[i].defaults == own)
            *out = &processors[i];
    if (*out && ((*out)->defaults == &naflex_processor) == naflex)
        return VITX_OK;
    if (*out)
        return vx_fail_in(
            VITX_UNSUPPORTED, path,
            "pictures are prepared by %.60s, which does not fit the weights: these "
            "take pictures %s",
            name, naflex ? "of any shape, as Siglip2ImageProcessor makes them" : "of one shape");
    return vx_fail_in(VITX_UNSUPPORTED, path,
                      "pictures are prepared by %.60s; vitx does what the processors of ViT, DeiT, "
                      "CLIP, BiT (of DINOv2, too), DINOv3, SigLIP, BEiT, TIPSv2 and Sapiens2 do",
                      name ? name : "a class that is not named");
}

/* What the functions above found in one file stood in the other. */
static void came_from_processor(vitx_recipe *r)
{
    vitx_source *const from[] = {&r->from_input, &r->from_resize, &r->from_filter, &r->from_crop,
                                 &r->from_scale, &r->from_mean,   &r->from_std};
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++)
        if (*from[i] == VITX_FROM_PREPROCESSOR)
            *from[i] = VITX_FROM_PROCESSOR;
}

int vx_hf_read_recipe(vitx_recipe *out, const vx_config *config, const vx_dialect *dialect)
{
    const vx_json *nested = config->image_processor;
    const vx_json *p = nested ? nested : config->preprocessor;
    const char *path = nested ? config->processor_path : config->preprocessor_path;
    const processor *class = NULL;
    if (!p)
        return VITX_OK;
    VX_TRY(read_class(&class, p, path, dialect, out->max_patches > 0));
    const vx_recipe_defaults *defaults = class->defaults;
    out->filter = defaults->filter;
    out->crop_pct = 0; /* sizes are told in pixels */
    if (!out->max_patches)
        out->resize_height = out->resize_width =
            (int)vx_recipe_resized(CLASS_SIZE, defaults->crop_pct);
    memcpy(out->mean, defaults->mean, sizeof out->mean);
    memcpy(out->std, defaults->std, sizeof out->std);
    out->unrounded = defaults == &vx_hf_dinov3_processor;
    if (out->max_patches)
        VX_TRY(read_patches(out, p, path));
    else
        VX_TRY(read_geometry(out, p, path, class));
    VX_TRY(read_filter(out, p, path));
    VX_TRY(read_values(out, p, path));
    if (nested)
        came_from_processor(out);
    return VITX_OK;
}

const vx_naming vx_naming_hf = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_PATCH_W] = "*embeddings.patch_embeddings.projection.weight",
            [VX_PATCH_B] = "*embeddings.patch_embeddings.projection.bias",
            [VX_CLASS_TOKEN] = "*embeddings.cls_token",
            [VX_DISTILLATION_TOKEN] = "*embeddings.distillation_token",
            [VX_POSITIONS] = "*embeddings.position_embeddings",
            [VX_NORM_W] = "*layernorm.weight",
            [VX_NORM_B] = "*layernorm.bias",
            [VX_HEAD_W] = "classifier.weight|cls_classifier.weight",
            [VX_HEAD_B] = "classifier.bias|cls_classifier.bias",
            [VX_HEAD2_W] = "distillation_classifier.weight",
            [VX_HEAD2_B] = "distillation_classifier.bias",
            [VX_NORM1_W] = "*encoder.layer.#.layernorm_before.weight",
            [VX_NORM1_B] = "*encoder.layer.#.layernorm_before.bias",
            [VX_Q_W] = "*encoder.layer.#.attention.attention.query.weight",
            [VX_Q_B] = "*encoder.layer.#.attention.attention.query.bias",
            [VX_K_W] = "*encoder.layer.#.attention.attention.key.weight",
            [VX_K_B] = "*encoder.layer.#.attention.attention.key.bias",
            [VX_V_W] = "*encoder.layer.#.attention.attention.value.weight",
            [VX_V_B] = "*encoder.layer.#.attention.attention.value.bias",
            [VX_PROJ_W] = "*encoder.layer.#.attention.output.dense.weight",
            [VX_PROJ_B] = "*encoder.layer.#.attention.output.dense.bias",
            [VX_NORM2_W] = "*encoder.layer.#.layernorm_after.weight",
            [VX_NORM2_B] = "*encoder.layer.#.layernorm_after.bias",
            [VX_FC1_W] = "*encoder.layer.#.intermediate.dense.weight",
            [VX_FC1_B] = "*encoder.layer.#.intermediate.dense.bias",
            [VX_FC2_W] = "*encoder.layer.#.output.dense.weight",
            [VX_FC2_B] = "*encoder.layer.#.output.dense.bias",
        },
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_hf_read_recipe,
};

/* DINOv2, with registers and without. */
const vx_naming vx_naming_hf_dinov2 = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_DISTILLATION_TOKEN] = "",
            [VX_REGISTERS] = "*embeddings.register_tokens",
            [VX_HEAD_W] = "classifier.weight",
            [VX_HEAD_B] = "classifier.bias",
            [VX_HEAD2_W] = "",
            [VX_HEAD2_B] = "",
            [VX_NORM1_W] = "*encoder.layer.#.norm1.weight",
            [VX_NORM1_B] = "*encoder.layer.#.norm1.bias",
            [VX_LS1] = "*encoder.layer.#.layer_scale1.lambda1",
            [VX_NORM2_W] = "*encoder.layer.#.norm2.weight",
            [VX_NORM2_B] = "*encoder.layer.#.norm2.bias",
            [VX_FC1_W] = "*encoder.layer.#.mlp.fc1.weight|*encoder.layer.#.mlp.weights_in.weight",
            [VX_FC1_B] = "*encoder.layer.#.mlp.fc1.bias|*encoder.layer.#.mlp.weights_in.bias",
            [VX_FC2_W] = "*encoder.layer.#.mlp.fc2.weight|*encoder.layer.#.mlp.weights_out.weight",
            [VX_FC2_B] = "*encoder.layer.#.mlp.fc2.bias|*encoder.layer.#.mlp.weights_out.bias",
            [VX_LS2] = "*encoder.layer.#.layer_scale2.lambda1",
        },
    .base = &vx_naming_hf,
    .harmless = harmless_names,
    .architecture = vx_hf_architecture,
    .read_hints = read_hints,
    .read_recipe = vx_hf_read_recipe,
};

/* BEiT, BEiT v2, data2vec. */
static const char *const beit_harmless[] = {"*embeddings.mask_token", "*embeddings.position_ids",
                                            NULL};

const vx_naming vx_naming_hf_beit = {
    .name = "huggingface",
    .title = "Hugging Face",
    .positions = VX_POS_HF,
    .names =
        {
            [VX_DISTILLATION_TOKEN] = "",
            [VX_FC_NORM_W] = "*pooler.layernorm.weight",
            [VX_FC_NORM_B] = "*pooler.layernorm.bias",
            [VX_HEAD_W] = "classifier.weight",
            [VX_HEAD_B] = "classifier.bias",
            [VX_HEAD2_W] = "",
            [VX_HEAD2_B] = "",
            [VX_RELATIVE] = "*encoder.layer.#.attention.attention.relative_position_bias."
                            "relative_position_bias_table|"
                            "*encoder.relative_position_bias.relative_position_bias_table",
            [VX_LS1] = "*encoder.layer.#.lambda_1",
            [VX_LS2] = "*encoder.layer.#.lambda_2",
        },
    .base = &vx_naming_hf,
    .harmless = beit_harmless,
    .architecture = vx_hf_architecture,
    .read_hints = read_beit_hints,
    .read_recipe = vx_hf_read_recipe,
};
