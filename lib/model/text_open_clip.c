/*
 * model/text_open_clip.c: open_clip's own text tower (mlfoundations/open_clip 3.3: transformer.py,
 * model.py), whose names are those of OpenAI's CLIP: at the top of a CLIP, behind "text." of
 * networks with custom_text.
 *
 * open_clip_config.json: model_cfg {quick_gelu, text_cfg}; what text_cfg leaves out has the default
 * of CLIPTextCfg. No tensor tells the activation, so a file without a configuration is refused,
 * unless it is OpenAI's own: its code says all (openai/CLIP @ d05afc4: model.py, build_model).
 */
#include <string.h>

#include "model/text_kinds.h"

static const char *const prefixes[] = {"text.", "", NULL};
static const char *const harmless[] = {
    "visual.",          "logit_scale",    "logit_bias", "*attn_mask",
    "input_resolution", "context_length", "vocab_size", NULL};

static const vx_json *model_cfg(const vx_text_files *files)
{
    return vx_json_get(files->config->open_clip, "model_cfg");
}

static const vx_json *text_cfg(const vx_text_files *files)
{
    return vx_json_get(model_cfg(files), "text_cfg");
}

/* Of text_cfg, what changes the answer and is not run; false and null are as good as absent. */
static int refuse_settings(const vx_text_files *files)
{
    static const char *const names[] = {"hf_model_name",    "embed_cls",          "block_type",
                                        "qk_norm",          "scaled_cosine_attn", "scale_heads",
                                        "scale_attn_inner", "scale_attn",         "scale_fc",
                                        "ls_init_value",    "final_ln_after_pool"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const vx_json *node = vx_json_get(text_cfg(files), names[i]);
        const char *text = vx_json_string(node);
        bool set = node && !vx_json_is_null(node) && !(text && strcmp(text, "default") == 0);
        if (set && !vx_json_bool(node, &set))
            set = true;
        if (set)
            return vx_fail_in(VITX_UNSUPPORTED, files->config->open_clip_path,
                              "text_cfg.%s is not supported", names[i]);
    }
    return VITX_OK;
}

/* quick_gelu, or GELU with the arguments of act_kwargs. */
static int read_activation(vx_hints *out, const vx_text_files *files)
{
    bool quick = false;
    const char *approximate = "none", *path = files->config->open_clip_path;
    VX_TRY(vx_config_bool(&quick, NULL, model_cfg(files), "quick_gelu", path));
    VX_TRY(vx_config_string(&approximate, NULL, vx_json_get(text_cfg(files), "act_kwargs"),
                            "approximate", path));
    const bool tanh = strcmp(approximate, "tanh") == 0;
    if (!tanh && strcmp(approximate, "none") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "act_kwargs.approximate \"%.40s\" is not supported", approximate);
    out->act = quick ? VX_ACT_QUICK_GELU : tanh ? VX_ACT_GELU_TANH : VX_ACT_GELU;
    out->from_act = VITX_FROM_OPEN_CLIP;
    return VITX_OK;
}

static int read_sizes(vx_hints *out, const vx_text_files *files)
{
    const vx_json *c = text_cfg(files);
    const char *path = files->config->open_clip_path;
    bool found;
    out->heads = 8;
    out->eps = 1e-5;
    VX_TRY(vx_config_int(&out->heads, &found, c, "heads", 1, 65536, path));
    out->from_heads = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_number(&out->eps, &found, vx_json_get(c, "norm_kwargs"), "eps", 0, 1, path));
    out->from_eps = found ? VITX_FROM_OPEN_CLIP : VITX_FROM_DEFAULT;
    VX_TRY(vx_config_int(&out->width, NULL, c, "width", 1, 1 << 24, path));
    VX_TRY(vx_config_int(&out->depth, NULL, c, "layers", 1, 65536, path));
    VX_TRY(vx_config_int(&out->vocabulary, NULL, c, "vocab_size", 1, 1 << 28, path));
    return vx_config_int(&out->context, NULL, c, "context_length", 1, 1 << 28, path);
}

/* Which row is read. Without a mask over what follows, pads are attended to, so that a text is
 * whole only with them: then the row must be the last. */
static int read_pool(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    const vx_json *c = text_cfg(files);
    const char *type = "argmax", *path = files->config->open_clip_path;
    bool unmasked = false;
    VX_TRY(vx_config_string(&type, NULL, c, "pool_type", path));
    VX_TRY(vx_config_bool(&unmasked, NULL, c, "no_causal_mask", path));
    rules->end = 2;
    VX_TRY(vx_config_int(&rules->end, NULL, c, "eos_id", 0, 1 << 28, path));
    hints->causal = !unmasked;
    if (strcmp(type, "last") == 0)
        rules->where = VX_TEXT_LAST;
    else if (strcmp(type, "argmax") == 0 && !unmasked)
        rules->where = VX_TEXT_LARGEST;
    else if (strcmp(type, "eos") == 0 && !unmasked)
        rules->where = VX_TEXT_ID;
    else
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "text_cfg.pool_type \"%.40s\" %s a causal mask is not supported", type,
                          unmasked ? "without" : "with");
    return VITX_OK;
}

/* What open_clip's tokenizers do to a text first (tokenizer.py): SimpleTokenizer, or the one of
 * transformers of that name, whose default leaves capitals alone. */
static int read_tokenizer(vx_text_rules *rules, const vx_text_files *files)
{
    static const struct {
        const char *name;
        vx_clean clean;
    } cleans[] = {{"lower", VX_CLEAN_LOWER},
                  {"whitespace", VX_CLEAN_WHITESPACE},
                  {"canonicalize", VX_CLEAN_CANONICALIZE}};
    const vx_json *c = text_cfg(files), *extra = vx_json_get(c, "tokenizer_kwargs");
    const char *name = NULL, *path = files->config->open_clip_path;
    bool strip = false, pieces, json;
    VX_TRY(vx_config_string(&name, NULL, c, "hf_tokenizer_name", path));
    const char *clean = name ? "whitespace" : "lower";
    VX_TRY(vx_config_string(&clean, NULL, extra, "clean", path));
    VX_TRY(vx_config_bool(&strip, NULL, extra, "strip_sep_token", path));
    if (strip)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "text_cfg.tokenizer_kwargs.strip_sep_token is not supported");
    size_t i = 0;
    while (i < sizeof cleans / sizeof cleans[0] && strcmp(cleans[i].name, clean) != 0)
        i++;
    if (i == sizeof cleans / sizeof cleans[0])
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "text_cfg.tokenizer_kwargs.clean \"%.40s\" is none of lower, whitespace "
                          "and canonicalize",
                          clean);
    rules->clean = cleans[i].clean;
    VX_TRY(vx_text_has_pieces(&pieces, files));
    VX_TRY(vx_text_has_file(&json, files, "tokenizer.json"));
    rules->pad = !name ? 0 : pieces && !json ? 1 : -1;
    return VITX_OK;
}

static int read(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    const char *path = files->config->open_clip_path, *projection = "linear";
    if (!vx_json_is_object(model_cfg(files)))
        return vx_fail_in(VITX_UNSUPPORTED, files->container->path,
                          "holds a text tower in the names of open_clip, and no "
                          "open_clip_config.json says its activation (model_cfg.quick_gelu) and "
                          "heads (model_cfg.text_cfg.heads)");
    hints->path = path;
    VX_TRY(refuse_settings(files));
    VX_TRY(read_activation(hints, files));
    VX_TRY(read_sizes(hints, files));
    VX_TRY(read_pool(rules, hints, files));
    VX_TRY(read_tokenizer(rules, files));
    VX_TRY(vx_config_string(&projection, NULL, text_cfg(files), "proj_type", path));
    hints->has_head = strcmp(projection, "none") != 0;
    if (hints->has_head)
        VX_TRY(
            vx_config_int(&hints->classes, NULL, model_cfg(files), "embed_dim", 1, 1 << 24, path));
    rules->sigmoid = vx_container_find(files->container, "logit_bias") != NULL;
    rules->kind = rules->where == VX_TEXT_LAST && !hints->causal ? "SigLIP"
                  : rules->where == VX_TEXT_ID                   ? "MetaCLIP 2"
                                                                 : "CLIP";
    return VITX_OK;
}

static int read_openai(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    if (vx_json_is_object(model_cfg(files)))
        return read(rules, hints, files);
    rules->kind = "CLIP";
    rules->where = VX_TEXT_LARGEST;
    rules->clean = VX_CLEAN_LOWER;
    rules->pad = 0;
    hints->causal = true;
    hints->eps = 1e-5;
    hints->act = VX_ACT_QUICK_GELU;
    hints->has_head = true;
    return VITX_OK;
}

static const vx_naming bare = {
    .name = "open_clip",
    .title = "open_clip",
    .names =
        {
            [VX_TOKENS] = "*token_embedding.weight",
            [VX_PLACES] = "*positional_embedding",
            [VX_NORM1_W] = "*transformer.resblocks.#.ln_1.weight",
            [VX_NORM1_B] = "*transformer.resblocks.#.ln_1.bias",
            [VX_QKV_W] = "*transformer.resblocks.#.attn.in_proj_weight",
            [VX_QKV_B] = "*transformer.resblocks.#.attn.in_proj_bias",
            [VX_PROJ_W] = "*transformer.resblocks.#.attn.out_proj.weight",
            [VX_PROJ_B] = "*transformer.resblocks.#.attn.out_proj.bias",
            [VX_NORM2_W] = "*transformer.resblocks.#.ln_2.weight",
            [VX_NORM2_B] = "*transformer.resblocks.#.ln_2.bias",
            [VX_FC1_W] = "*transformer.resblocks.#.mlp.c_fc.weight",
            [VX_FC1_B] = "*transformer.resblocks.#.mlp.c_fc.bias",
            [VX_FC2_W] = "*transformer.resblocks.#.mlp.c_proj.weight",
            [VX_FC2_B] = "*transformer.resblocks.#.mlp.c_proj.bias",
            [VX_NORM_W] = "*ln_final.weight",
            [VX_NORM_B] = "*ln_final.bias",
        },
    .harmless = harmless,
};

/* y = x P, or with proj_bias a layer of its own. */
static const vx_naming open_clip = {
    .name = "open_clip",
    .title = "open_clip",
    .names = {[VX_HEAD_T] = "*text_projection"},
    .base = &bare,
    .harmless = harmless,
};

static const vx_naming linear = {
    .name = "open_clip",
    .title = "open_clip",
    .names = {[VX_HEAD_W] = "*text_projection.weight", [VX_HEAD_B] = "*text_projection.bias"},
    .base = &bare,
    .harmless = harmless,
};

static const char *const openai_numbers[] = VX_OPENAI_NUMBERS;

const vx_text_kind vx_text_kind_openai = {.family = {.name = "clip"},
                                          .naming = &open_clip,
                                          .prefixes = prefixes,
                                          .tensors = openai_numbers,
                                          .scale = "logit_scale",
                                          .head_width = 64,
                                          .read = read_openai};

const vx_text_kind vx_text_kind_open_clip_linear = {.family = {.name = "clip"},
                                                    .naming = &linear,
                                                    .prefixes = prefixes,
                                                    .with = VX_HEAD_W,
                                                    .scale = "logit_scale",
                                                    .bias = "logit_bias",
                                                    .read = read};

const vx_text_kind vx_text_kind_open_clip = {.family = {.name = "clip"},
                                             .naming = &open_clip,
                                             .prefixes = prefixes,
                                             .scale = "logit_scale",
                                             .bias = "logit_bias",
                                             .read = read};
