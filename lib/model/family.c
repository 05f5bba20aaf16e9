/*
 * model/family.c: which family a file is of, or why it is none that is run.
 */
#include "model/family.h"

#include <stdio.h>
#include <string.h>

#include "model/leftovers.h"
#include "model/roles.h"

#define VX_FAMILY(name) extern const vx_family vx_family_##name;
#include "model/families.def"
#undef VX_FAMILY

static const vx_family *const families[] = {
#define VX_FAMILY(name) &vx_family_##name,
#include "model/families.def"
#undef VX_FAMILY
};
#define FAMILIES (sizeof families / sizeof families[0])

const vx_family *vx_family_at(int index)
{
    return index >= 0 && (size_t)index < FAMILIES ? families[index] : NULL;
}

/* -------------------------------------------------------------------------- refusals ------ */

/* A text tower alone runs beside a picture tower (vitx_texts_opts.path). */
static const char text_part[] = "the text part of a CLIP or SigLIP, which is no model of pictures "
                                "(--text-model takes it, beside its picture tower)";

/* Tensor names that tell of networks vitx does not run: '^' begins so, else contains. */
static const struct {
    const char *pattern, *what;
} foreign[] = {
    {"^text_model.", text_part},
    {"^embeddings.token_embedding.", text_part},
    {"^visual.attnpool.", "the residual network of a CLIP"},
    {"^visual.attn_pool.", "a CoCa, which pools with many queries"},
    {"patch_embed.backbone.", "a hybrid of a convolutional network and ViT"},
    {"patch_embed.conv.", "a network whose patches come from several convolutions"},
    {"^layers.0.blocks.0.", "a network in stages, as Swin"},
    {"downsample", "a network in stages, as ResNet and Swin"},
    {"^stages.", "a network in stages, as ConvNeXt"},
    {"^levels.", "a network in stages, as NesT"},
    {"^pos_embed_window", "a Hiera"},
    {"^head.projection.", "a Hiera"},
    {"^merger.", "the picture's part of a language model, as Qwen3-VL"},
    {"^aligner.", "the picture's part of a language model, as DeepSeek's"},
    {"patch_generator.", "a C-RADIO in Hugging Face's names, whose answer is several tokens in one "
                         "vector (timm's names are run)"},
    {"attn.proj_l.", "a CaiT, whose attention heads are mixed"},
    {"attn.pos_proj.", "a ConViT, whose attention is gated with positions"},
    {"^embeds.", "a NaFlexViT"},
    {"mlp_tokens.", "an MLP-Mixer"},
    {"rel_pos_h", "a SAM, whose attention adds the rows and columns of two tables"},
    {"lm_head.", "a language model"},
    {"embed_tokens.", "a language model"},
    {"word_embeddings.", "a language model"},
    {"^model.layers.", "a language model"},
    {"^transformer.h.", "a language model"},
    {"decoder", "a masked autoencoder or another model with a decoder"},
    {"convnext", "a ConvNeXt"},
    {"conv_root/", "a hybrid of ResNet and ViT"},
    {"MixerBlock_", "an MLP-Mixer"},
    {"^resnet/", "a ResNet"},
};

/* The same for timm's names of architectures, whose tensors alone would pass for a plain ViT. */
static const struct {
    const char *part, *what;
} foreign_architectures[] = {
    {"qwen3_vit", "the picture's part of a Qwen3-VL, which rotates its queries and keys"},
};

/* timm's networks that are no plain ViT though a word of their name begins as one's does; a '_' is
 * added to the name. */
static const char *const no_vits[] = {"vitamin_", "tiny_vit_", "_r_s16_", "_r26_",
                                      "_r50_",    "_resnet",   "_mci_"};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether a name is that of a Vision Transformer, as far as a name tells: one of its words begins
 * so. A class of Hugging Face's (CamelCase) may have it anywhere. */
static bool names_a_vit(const char *architecture, bool anywhere)
{
    static const char *const words[] = {
        "vit",         "deit", "eva",      "flexivit", "dino", "clip", "siglip", "jepa",  "altclip",
        "chineseclip", "beit", "data2vec", "aim",      "mae",  "tips", "vision", "visual"};
    char name[128];
    size_t n = 0;
    for (const char *p = architecture; *p && n < sizeof name - 2; p++)
        name[n++] = lower(*p);
    name[n++] = '_';
    name[n] = '\0';
    for (size_t i = 0; i < sizeof no_vits / sizeof no_vits[0]; i++)
        if (strstr(name, no_vits[i]))
            return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (const char *at = strstr(name, words[i]); at; at = strstr(at + 1, words[i]))
            if (anywhere || at == name ||
                !((at[-1] >= 'a' && at[-1] <= 'z') || (at[-1] >= '0' && at[-1] <= '9')))
                return true;
    return false;
}

/* transformers finds no tensor of a model_type whose prefix is another, and runs random numbers. */
static int refuse_other_type(const vx_container *c, const vx_dialect *d, const vx_config *config)
{
    static const struct {
        const char *type, *prefix;
        const vx_naming *naming;
    } types[] = {{"vit", "vit.", &vx_naming_hf},
                 {"vit_msn", "vit.", &vx_naming_hf},
                 {"vit_mae", "vit.", &vx_naming_hf},
                 {"deit", "deit.", &vx_naming_hf},
                 {"ijepa", "ijepa.", &vx_naming_hf},
                 {"beit", "beit.", &vx_naming_hf_beit},
                 {"data2vec-vision", "data2vec_vision.", &vx_naming_hf_beit},
                 {"dinov2", "dinov2.", &vx_naming_hf_dinov2},
                 {"dinov2_with_registers", "dinov2_with_registers.", &vx_naming_hf_dinov2}};
    const char *type = vx_json_string(vx_json_get(config->config, "model_type"));
    const bool named = d->naming == &vx_naming_hf || d->naming == &vx_naming_hf_dinov2 ||
                       d->naming == &vx_naming_hf_beit;
    for (size_t i = 0; named && type && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i].type) != 0)
            continue;
        if (d->naming != types[i].naming ||
            (d->prefix[0] && strcmp(d->prefix, types[i].prefix) != 0))
            return vx_fail_in(VITX_FORMAT, config->config_path,
                              "model_type is %s, but the tensors of %s have the names of another "
                              "(%s)",
                              type, c->path, d->prefix[0] ? d->prefix : d->naming->title);
    }
    return VITX_OK;
}

/* The configuration names another kind of network than the tensors make. */
static int refuse_other_network(const vx_container *c, const vx_dialect *d,
                                const char *architecture, const vx_config *config)
{
    const char *file =
        d->naming == &vx_naming_open_clip_timm ? config->open_clip_path : config->config_path;
    const bool class = strcmp(d->naming->name, "huggingface") == 0;
    const bool typed = class && vx_json_string(vx_json_get(config->config, "model_type"));
    if (typed || names_a_vit(architecture, class)) /* model_type is looked at by itself */
        return VITX_OK;
    return vx_fail_in(VITX_FORMAT, file,
                      "architecture %.100s is no Vision Transformer, but the tensors of %s are one",
                      architecture, c->path);
}

static bool matches(const char *name, const char *pattern)
{
    return pattern[0] == '^' ? strncmp(name, pattern + 1, strlen(pattern + 1)) == 0
                             : strstr(name, pattern) != NULL;
}

/* d: what the file was taken for, whose harmless tensors (a text tower) do not count; or NULL. */
static int refuse_foreign_tensors(const vx_container *c, const vx_dialect *d)
{
    for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++)
        for (int i = 0; i < c->count; i++)
            if (matches(c->tensors[i].key, foreign[k].pattern) &&
                !(d && (vx_harmless(c->tensors[i].key, d->naming->harmless, d->prefix) ||
                        vx_is_leftover(c, &c->tensors[i]))))
                return vx_fail_in(VITX_UNSUPPORTED, c->path, "looks like %s%s (tensor %.100s)",
                                  foreign[k].what,
                                  foreign[k].what == text_part ? "" : ", which vitx does not run",
                                  c->tensors[i].name);
    return VITX_OK;
}

static int refuse_foreign_architecture(const vx_container *c, const char *architecture)
{
    for (size_t k = 0; k < sizeof foreign_architectures / sizeof foreign_architectures[0]; k++)
        if (strstr(architecture, foreign_architectures[k].part))
            return vx_fail_in(VITX_UNSUPPORTED, c->path,
                              "architecture %.100s, %s, is not run by vitx", architecture,
                              foreign_architectures[k].what);
    return VITX_OK;
}

/* -------------------------------------------------------------------------- matching ------ */

static bool begins_with_one_of(const char *text, const char *const *beginnings)
{
    for (; beginnings && *beginnings; beginnings++)
        if (**beginnings == '*' ? strstr(text, *beginnings + 1) != NULL
                                : strncmp(text, *beginnings, strlen(*beginnings)) == 0)
            return true;
    return false;
}

static bool match_dialect(const vx_dialect *d, const vx_container *c, const vx_config *config)
{
    char name[200];
    if (!vx_role_find(c, d->naming, d->prefix, VX_PATCH_W, 0) ||
        (d->with != VX_NO_ROLE && !vx_role_find(c, d->naming, d->prefix, d->with, 0)))
        return false;
    if (d->without != VX_NO_ROLE && vx_role_find(c, d->naming, d->prefix, d->without, 0))
        return false;
    for (const char *const *t = d->tensors; t && *t; t++)
        if (!vx_container_find(c, vx_write_name(name, sizeof name, *t, d->prefix, 0)))
            return false;
    const char *architecture = vx_naming_architecture(d->naming, config);
    return !d->architectures ||
           (architecture && begins_with_one_of(architecture, d->architectures));
}

/* A tensor that has the shape of a patch embedding, NULL if there is none. */
static const vx_tensor *like_patches(const vx_container *c)
{
    for (int i = 0; i < c->count; i++) {
        const vx_tensor *t = &c->tensors[i];
        if (t->rank == 4 && t->shape[1] == 3 && t->shape[2] > 3 && t->shape[2] == t->shape[3])
            return t;
    }
    return NULL;
}

/* Says what is there: the prefix that all names have, and what may be the patch embedding. */
static int refuse_unknown(const vx_container *c, const char *prefix)
{
    const vx_tensor *patches = like_patches(c);
    char also[200] = "", shape[60], behind[120] = "";
    if (c->count == 0)
        return vx_fail_in(VITX_FORMAT, c->path, "holds no tensor");
    if (patches)
        snprintf(also, sizeof also, "; %.60s %s has the shape of such a tensor", patches->name,
                 vx_shape_text(shape, sizeof shape, patches->shape, patches->rank));
    if (prefix[0])
        snprintf(behind, sizeof behind, ", which all begin with %.80s", prefix);
    return vx_fail_in(VITX_UNSUPPORTED, c->path,
                      "no Vision Transformer that vitx knows: none of its %d tensors%s is "
                      "patch_embed.proj.weight (timm), embeddings.patch_embeddings.projection."
                      "weight (Hugging Face), conv_proj.weight (torchvision) or another's patch "
                      "embedding; the first is %.80s%s",
                      c->count, behind, c->tensors[0].name, also);
}

bool vx_family_find(vx_match *out, const vx_container *container, const vx_config *config)
{
    for (size_t f = 0; f < FAMILIES; f++)
        for (const vx_dialect *d = families[f]->dialects; d->naming; d++)
            if (match_dialect(d, container, config)) {
                out->family = families[f];
                out->dialect = d;
                out->prefix = d->prefix;
                return true;
            }
    return false;
}

int vx_family_match(vx_match *out, vx_container *container, const vx_config *config)
{
    *out = (vx_match){.family = NULL};
    VX_TRY(vx_wrapping_take(&out->wrapping, container, config));
    if (!vx_family_find(out, container, config)) {
        VX_TRY(refuse_foreign_tensors(container, NULL));
        return refuse_unknown(container, out->wrapping.prefix);
    }
    const vx_dialect *d = out->dialect;
    const char *architecture = vx_naming_architecture(d->naming, config);
    VX_TRY(refuse_foreign_tensors(container, d));
    VX_TRY(refuse_other_type(container, d, config));
    if (!architecture)
        return VITX_OK;
    VX_TRY(refuse_foreign_architecture(container, architecture));
    return refuse_other_network(container, d, architecture, config);
}
