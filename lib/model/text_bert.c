/*
 * model/text_bert.c: text towers with BERT's blocks: transformers' Chinese-CLIP and AltCLIP
 * (modeling_chinese_clip.py, modeling_altclip.py), and cn_clip's own files (bert/modeling_bert.py).
 *
 * Their norms stand behind the sums, the embeddings' before the first block. The first token is
 * read. AltCLIP numbers its positions from 2 (RoBERTa's, where 1 is that of pads), and projects the
 * token twice; the two matrices are multiplied when the weights are packed.
 *
 * cn_clip's files have no configuration: what is not in the tensors stands in its code
 * (model_configs: all towers have heads of 64, GELU and an eps of 1e-12).
 */
#include <string.h>

#include "model/naming_hf.h"
#include "model/text_kinds.h"

static const char *const prefixes[] = {"text_model.", "", NULL};
static const char *const bert_prefixes[] = {"bert.", NULL};
static const char *const harmless[] = {"vision_model.",
                                       "visual_projection.",
                                       "logit_scale",
                                       "*pooler.",
                                       "*embeddings.position_ids",
                                       "*embeddings.token_type_ids",
                                       NULL};
static const char *const altclip_harmless[] = {"vision_model.",
                                               "visual_projection.",
                                               "logit_scale",
                                               "*roberta.pooler.",
                                               "*roberta.embeddings.position_ids",
                                               "*roberta.embeddings.token_type_ids",
                                               NULL};
static const char *const cn_clip_harmless[] = {"visual.", "logit_scale", "*pooler.",
                                               "*embeddings.position_ids", NULL};

/* What of BERT's configuration would change the answer. */
static int refuse_settings(const vx_text_files *files)
{
    static const char *const flags[] = {"is_decoder", "add_cross_attention"};
    const vx_json *c = vx_text_hf_object(files->config);
    const char *positions = "absolute", *path = files->config->config_path;
    VX_TRY(vx_config_string(&positions, NULL, c, "position_embedding_type", path));
    if (strcmp(positions, "absolute") != 0)
        return vx_fail_in(VITX_UNSUPPORTED, path,
                          "position_embedding_type \"%.40s\" is not supported in texts", positions);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set = false;
        VX_TRY(vx_config_bool(&set, NULL, c, flags[i], path));
        if (set)
            return vx_fail_in(VITX_UNSUPPORTED, path, "%s is not supported in texts", flags[i]);
    }
    return VITX_OK;
}

static int read_bert(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files, double eps,
                     int heads)
{
    rules->where = VX_TEXT_FIRST;
    VX_TRY(vx_text_hf_read(hints, files, "gelu", eps, heads));
    VX_TRY(refuse_settings(files));
    VX_TRY(vx_config_int(&rules->pad, NULL, vx_text_hf_object(files->config), "pad_token_id", 0,
                         1 << 28, files->config->config_path));
    return vx_text_read_limit(&rules->context, files);
}

static int read_chinese_clip(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    rules->kind = "Chinese-CLIP";
    rules->pad = 0;
    return read_bert(rules, hints, files, 1e-12, 12);
}

static int read_altclip(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    rules->kind = "AltCLIP";
    rules->pad = 1;
    VX_TRY(read_bert(rules, hints, files, 1e-5, 16));
    hints->has_head = true;
    rules->first_position = rules->pad + 1;
    return VITX_OK;
}

static int read_cn_clip(vx_text_rules *rules, vx_hints *hints, const vx_text_files *files)
{
    (void)files;
    rules->kind = "Chinese-CLIP";
    rules->where = VX_TEXT_FIRST;
    rules->pad = 0;
    rules->context = 52; /* of cn_clip's tokenize() */
    hints->eps = 1e-12;
    hints->act = VX_ACT_GELU;
    hints->has_head = true;
    return VITX_OK;
}

/* -------------------------------------------------------------------------- names --------- */

/* Tables and blocks, behind `at`. */
#define BERT_NAMES(at)                                                                             \
    [VX_TOKENS] = at "embeddings.word_embeddings.weight",                                          \
    [VX_PLACES] = at "embeddings.position_embeddings.weight",                                      \
    [VX_TYPES] = at "embeddings.token_type_embeddings.weight",                                     \
    [VX_NORM_PRE_W] = at "embeddings.LayerNorm.weight",                                            \
    [VX_NORM_PRE_B] = at "embeddings.LayerNorm.bias",                                              \
    [VX_Q_W] = at "encoder.layer.#.attention.self.query.weight",                                   \
    [VX_Q_B] = at "encoder.layer.#.attention.self.query.bias",                                     \
    [VX_K_W] = at "encoder.layer.#.attention.self.key.weight",                                     \
    [VX_K_B] = at "encoder.layer.#.attention.self.key.bias",                                       \
    [VX_V_W] = at "encoder.layer.#.attention.self.value.weight",                                   \
    [VX_V_B] = at "encoder.layer.#.attention.self.value.bias",                                     \
    [VX_PROJ_W] = at "encoder.layer.#.attention.output.dense.weight",                              \
    [VX_PROJ_B] = at "encoder.layer.#.attention.output.dense.bias",                                \
    [VX_NORM2_W] = at "encoder.layer.#.attention.output.LayerNorm.weight",                         \
    [VX_NORM2_B] = at "encoder.layer.#.attention.output.LayerNorm.bias",                           \
    [VX_FC1_W] = at "encoder.layer.#.intermediate.dense.weight",                                   \
    [VX_FC1_B] = at "encoder.layer.#.intermediate.dense.bias",                                     \
    [VX_FC2_W] = at "encoder.layer.#.output.dense.weight",                                         \
    [VX_FC2_B] = at "encoder.layer.#.output.dense.bias",                                           \
    [VX_NORM1_W] = at "encoder.layer.#.output.LayerNorm.weight",                                   \
    [VX_NORM1_B] = at "encoder.layer.#.output.LayerNorm.bias"

static const vx_naming bert = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names =
        {
            BERT_NAMES("*"),
            [VX_HEAD_W] = "text_projection.weight",
        },
    .harmless = harmless,
    .architecture = vx_hf_architecture,
};

static const vx_naming cn_clip = {
    .name = "cn_clip",
    .title = "cn_clip",
    .names = {[VX_HEAD_W] = "", [VX_HEAD_T] = "text_projection"},
    .base = &bert,
    .harmless = cn_clip_harmless,
};

static const vx_naming altclip = {
    .name = "huggingface",
    .title = "Hugging Face",
    .names =
        {
            BERT_NAMES("*roberta."),
            [VX_FC_NORM_W] = "*pre_LN.weight",
            [VX_FC_NORM_B] = "*pre_LN.bias",
            [VX_HEAD_IN_W] = "*transformation.weight",
            [VX_HEAD_IN_B] = "*transformation.bias",
            [VX_HEAD_W] = "text_projection.weight",
        },
    .harmless = altclip_harmless,
    .architecture = vx_hf_architecture,
};

static const char *const chinese_clip_types[] = {"chinese_clip", "chinese_clip_text_model", NULL};
static const char *const altclip_types[] = {"altclip", "altclip_text_model", NULL};

const vx_text_kind vx_text_kind_hf_chinese_clip = {.family = {.name = "clip"},
                                                   .naming = &bert,
                                                   .prefixes = prefixes,
                                                   .types = chinese_clip_types,
                                                   .scale = "logit_scale",
                                                   .norm_stays = true,
                                                   .read = read_chinese_clip};

const vx_text_kind vx_text_kind_hf_altclip = {.family = {.name = "clip"},
                                              .naming = &altclip,
                                              .prefixes = prefixes,
                                              .types = altclip_types,
                                              .scale = "logit_scale",
                                              .norm_stays = true,
                                              .read = read_altclip};

const vx_text_kind vx_text_kind_cn_clip = {.family = {.name = "clip"},
                                           .naming = &cn_clip,
                                           .prefixes = bert_prefixes,
                                           .scale = "logit_scale",
                                           .head_width = 64,
                                           .norm_stays = true,
                                           .read = read_cn_clip};
