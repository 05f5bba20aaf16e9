/*
 * model/text_hf.c: the text towers of transformers' CLIP, MetaCLIP 2, SigLIP and SigLIP 2
 * (modeling_clip.py, modeling_metaclip_2.py, modeling_siglip.py, modeling_siglip2.py), alone and
 * beside the pictures' tower. Fields that config.json lacks have the default of their class.
 *
 * CLIP reads the token that ends the text. Its older configurations say eos_token_id 2, which was a
 * slip that transformers answers by reading the token of the largest id; of MetaCLIP 2 it is the
 * id. SigLIP attends to the pads, too, and reads the last of them.
 */
#include <string.h>

#include "model/naming_hf.h"
#include "model/text_kinds.h"

static const char *const prefixes[] = {"text_model.", "", NULL};
static const char *const harmless[] = {"vision_model.", "visual_projection.",       "logit_scale",
                                       "logit_bias",    "*embeddings.position_ids", NULL};

const vx_json *vx_text_hf_object(const vx_config *config)
{
    const vx_json *nested = vx_json_get(config->config, "text_config"),
                  *older = vx_json_get(config->config, "text_config_dict");
    return vx_json_is_object(older) ? older : vx_json_is_object(nested) ? nested : config->config;
}

int vx_text_hf_read(vx_hints *out, const vx_text_files *files, const char *act, double eps,
                    int heads)
{
    const vx_json *c = vx_text_hf_object(files->config);
    const char *path = files->config->config_path;
    const char *class = vx_hf_architecture(files->config);
    out->eps = eps;
    out->has_head = !class || !strstr(class, "TextModel") || strstr(class, "WithProjection");
    VX_TRY(vx_hf_read_activation(out, c, act, path));
    VX_TRY(vx_hf_read_sizes(out, c, path));
    if (out->from_heads == VITX_FROM_DEFAULT)
        out->heads = heads;
    VX_TRY(vx_config_int(&out->vocabulary, NULL, c, "vocab_size", 1, 1 << 28, path));
    out->image_height = out->image_width = 0;
    return vx_config_int(&out->context, NULL, c, "max_position_embeddings", 1, 1 << 28, path);
}

/* eos_token_id, which may be a list: then its first. */
static int read_end(int *out, const vx_text_files *files)
{
    const vx_json *said = vx_json_get(vx_text_hf_object(files->config), "eos_token_id");
    if (!said || vx_json_is_null(said) || vx_json_int(said, out))
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, files->config->config_path,
                      "eos_token_id of the text tower is no whole number");
}

static int read_causal(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    hints->causal = true;
    rules->where = VX_TEXT_ID;
    rules->end = 49407; /* the class default of both */
    VX_TRY(vx_text_hf_read(hints, files, "quick_gelu", 1e-5, 8));
    VX_TRY(read_end(&rules->end, files));
    return vx_text_read_limit(&rules->context, files);
}

static int read_clip(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    rules->kind = "CLIP";
    VX_TRY(read_causal(rules, hints, files));
    if (rules->end == 2)
        rules->where = VX_TEXT_LARGEST;
    return VITX_OK;
}

static int read_metaclip2(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    rules->kind = "MetaCLIP 2";
    return read_causal(rules, hints, files);
}

/* -------------------------------------------------------------------------- SigLIP -------- */

/* Whether the beginning of tokenizer.json, which has the rules before the vocabulary, names a
 * step. */
static int names_step(bool *out, const vx_text_files *files, const char *step)
{
    enum { BYTES = 1 << 20 };
    char *path, *text;
    vx_file *file;
    *out = false;
    VX_TRY(vx_path_join(&path, files->hooks, files->folder, "tokenizer.json"));
    int status = vx_file_open_in(&file, files->shelf, path, files->hooks);
    vx_release(files->hooks, path);
    VX_TRY(status);
    status = vx_new(&text, files->hooks, BYTES + 1, 1, "the beginning of a tokenizer");
    if (status == VITX_OK) {
        status = vx_file_read(file, text, 0, file->size < BYTES ? (size_t)file->size : BYTES);
        *out = status == VITX_OK && strstr(text, step);
        vx_release(files->hooks, text);
    }
    vx_file_close(file);
    return status;
}

/* Whether texts go through SigLIP 2's tokenizer, which models of the kind siglip may have, too: by
 * its class, else by what lies there. */
static int has_second(bool *out, const vx_text_files *files)
{
    char class[80];
    const char *type = vx_json_string(vx_json_get(files->config->config, "model_type"));
    bool pieces, json, plain;
    *out = type && strncmp(type, "siglip2", 7) == 0;
    VX_TRY(vx_text_read_class(class, sizeof class, files));
    if (*out || class[0]) {
        *out = *out || strncmp(class, "SiglipTokenizer", 15) != 0;
        return VITX_OK;
    }
    VX_TRY(vx_text_has_pieces(&pieces, files));
    VX_TRY(vx_text_has_file(&json, files, "tokenizer.json"));
    VX_TRY(vx_text_has_file(&plain, files, "tokenizer.model"));
    *out = !pieces && (json || plain);
    return VITX_OK;
}

/* SigLIP's texts lose their punctuation, those of SigLIP 2 their capitals alone, which
 * transformers' class does where older files leave it out. A pad of SigLIP is the token that ends a
 * text, whatever spiece.model calls a pad. */
int vx_text_read_siglip(vx_text_rules *rules, const vx_text_files *files)
{
    bool second, json, lowered = false;
    VX_TRY(has_second(&second, files));
    rules->pad = second ? 0 : 1;
    rules->clean = second ? VX_CLEAN_SIGLIP2 : VX_CLEAN_SIGLIP;
    VX_TRY(vx_text_has_file(&json, files, "tokenizer.json"));
    if (second && json)
        VX_TRY(names_step(&lowered, files, "\"Lowercase\""));
    if (lowered)
        rules->clean = VX_CLEAN_NONE;
    return VITX_OK;
}

static int read_siglip(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    rules->kind = "SigLIP";
    rules->where = VX_TEXT_LAST;
    rules->sigmoid = true;
    VX_TRY(vx_text_hf_read(hints, files, "gelu_pytorch_tanh", 1e-6, 12));
    hints->has_head = true;
    return vx_text_read_siglip(rules, files);
}

/* -------------------------------------------------------------------------- names --------- */

static const vx_naming text_names = {
    .names =
        {
            [VX_TOKENS] = "*embeddings.token_embedding.weight",
            [VX_PLACES] = "*embeddings.position_embedding.weight",
            [VX_NORM_W] = "*final_layer_norm.weight",
            [VX_NORM_B] = "*final_layer_norm.bias",
        },
    .base = &vx_naming_hf_clip_blocks,
};

static const vx_naming clip = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names = {[VX_HEAD_W] = "text_projection.weight"},
    .base = &text_names,
    .harmless = harmless,
    .architecture = vx_hf_architecture,
};

static const vx_naming siglip = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names = {[VX_HEAD_W] = "*head.weight", [VX_HEAD_B] = "*head.bias"},
    .base = &text_names,
    .harmless = harmless,
    .architecture = vx_hf_architecture,
};

static const char *const clip_types[] = {"clip", "clip_text_model", NULL};
static const char *const metaclip2_types[] = {"metaclip_2", "metaclip_2_text_model", NULL};
static const char *const siglip_types[] = {"siglip", "siglip_text_model", "siglip2",
                                           "siglip2_text_model", NULL};

const vx_text_kind vx_text_kind_hf_clip = {.family = {.name = "clip"},
                                           .naming = &clip,
                                           .prefixes = prefixes,
                                           .types = clip_types,
                                           .scale = "logit_scale",
                                           .read = read_clip};

const vx_text_kind vx_text_kind_hf_metaclip2 = {.family = {.name = "clip"},
                                                .naming = &clip,
                                                .prefixes = prefixes,
                                                .types = metaclip2_types,
                                                .scale = "logit_scale",
                                                .read = read_metaclip2};

const vx_text_kind vx_text_kind_hf_siglip = {.family = {.name = "siglip"},
                                             .naming = &siglip,
                                             .prefixes = prefixes,
                                             .types = siglip_types,
                                             .scale = "logit_scale",
                                             .bias = "logit_bias",
                                             .read = read_siglip};
