/* model/text_kinds.c: which kind of text tower a file holds. */
#include "model/text_kinds.h"

#include <stdio.h>
#include <string.h>

#include "model/folder.h"
#include "model/roles.h"

static const vx_text_kind *const kinds[] = {
#define VX_TEXT_KIND(name) &vx_text_kind_##name,
#include "model/text_kinds.def"
#undef VX_TEXT_KIND
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* Towers that are none of the kinds, by what the name of a tensor begins with. */
static const struct {
    const char *begins, *what;
} foreign[] = {
    {"params/txt/", "big_vision's, but not SigLIP's"},
    {"text.cls_emb", "CoCa's, with a token of its own behind the text (embed_cls)"},
    {"text.transformer.embeddings.", "a tower of transformers within open_clip (hf_model_name)"},
    {"text.transformer.encoder.", "a tower of transformers within open_clip (hf_model_name)"},
    {"text.transformer.shared.", "a tower of transformers within open_clip (hf_model_name)"},
    {"text_model.embed_tokens.", "one with a root of the mean square for its norms"},
    {"text_encoder.", "of a kind that has the names text_encoder"},
    {"textual.", "of a kind that has the names textual"},
};

static bool has_type(const vx_text_kind *kind, const char *type)
{
    for (const char *const *t = kind->types; t && *t && type; t++)
        if (strcmp(*t, type) == 0)
            return true;
    return !kind->types;
}

/* The kind's prefix whose table of tokens the file has; NULL: none. */
static const char *prefix_in(const vx_text_kind *kind, const vx_container *c)
{
    for (const char *const *t = kind->tensors; t && *t; t++)
        if (!vx_container_find(c, *t))
            return NULL;
    for (const char *const *p = kind->prefixes; *p; p++)
        if (vx_role_find(c, kind->naming, *p, VX_TOKENS, 0) &&
            (!kind->with || vx_role_find(c, kind->naming, *p, kind->with, 0)))
            return *p;
    return NULL;
}

static int refuse_type(const vx_text_files *files, const char *type)
{
    const char *path = files->config->config_path;
    if (!type)
        return vx_fail_in(VITX_UNSUPPORTED, files->container->path,
                          "holds a text tower, and no config.json says of which kind it is "
                          "(model_type), nor its activation and heads");
    return vx_fail_in(VITX_UNSUPPORTED, path,
                      "model_type %.40s is not supported for texts; with such tensors vitx runs "
                      "clip, metaclip_2, siglip, siglip2, chinese_clip and altclip",
                      type);
}

static int refuse_foreign(const vx_text_kind **kind, const vx_container *c)
{
    for (int i = 0; i < c->count; i++)
        for (size_t k = 0; k < sizeof foreign / sizeof foreign[0]; k++) {
            const char *key = c->tensors[i].key, *begins = foreign[k].begins;
            if (strncmp(key, begins, strlen(begins)) != 0)
                continue;
            *kind = kinds[0];
            return vx_fail_in(VITX_UNSUPPORTED, c->path,
                              "its text tower is %s, which vitx does not run (tensor %.100s)",
                              foreign[k].what, c->tensors[i].name);
        }
    return vx_fail_in(VITX_UNSUPPORTED, c->path, "holds no text tower");
}

int vx_text_kind_find(const vx_text_kind **kind, vx_dialect *dialect, const vx_text_files *files)
{
    const char *type = vx_json_string(vx_json_get(files->config->config, "model_type"));
    *kind = NULL;
    for (size_t i = 0; i < KINDS; i++) {
        const char *prefix = prefix_in(kinds[i], files->container);
        if (!prefix)
            continue;
        *kind = kinds[i];
        *dialect = (vx_dialect){.naming = kinds[i]->naming, .prefix = prefix};
        if (has_type(kinds[i], type))
            return VITX_OK;
    }
    return *kind ? refuse_type(files, type) : refuse_foreign(kind, files->container);
}

/* -------------------------------------------------------------------------- files --------- */

int vx_text_has_pieces(bool *out, const vx_text_files *files)
{
    VX_TRY(vx_text_has_file(out, files, "spiece.model"));
    return *out ? VITX_OK : vx_text_has_file(out, files, "sentencepiece.model");
}

int vx_text_has_file(bool *out, const vx_text_files *files, const char *name)
{
    char *path;
    VX_TRY(vx_folder_file(&path, files->shelf, files->folder, name, files->hooks));
    *out = path != NULL;
    vx_release(files->hooks, path);
    return VITX_OK;
}

#define MAX_TOKENIZER_CONFIG (4 << 20) /* bytes; some tell of each of a thousand added tokens */
#define MAX_VALUES (1 << 18)

static int read_tokenizer_config(vx_json **out, const vx_text_files *files)
{
    char *path, *text = NULL;
    size_t bytes;
    *out = NULL;
    VX_TRY(
        vx_folder_file(&path, files->shelf, files->folder, "tokenizer_config.json", files->hooks));
    if (!path)
        return VITX_OK;
    int status =
        vx_file_load_in(&text, &bytes, files->shelf, path, MAX_TOKENIZER_CONFIG, files->hooks);
    if (status == VITX_OK)
        status = vx_json_parse(out, text, bytes, path, MAX_VALUES);
    vx_release(files->hooks, text);
    vx_release(files->hooks, path);
    return status;
}

/* Where there is no limit transformers writes 10^30. */
int vx_text_read_limit(int *out, const vx_text_files *files)
{
    vx_json *root;
    double limit;
    VX_TRY(read_tokenizer_config(&root, files));
    if (vx_json_number(vx_json_get(root, "model_max_length"), &limit) && limit >= 1 &&
        limit < VX_MAX_TOKENS)
        *out = (int)limit;
    vx_json_free(root);
    return VITX_OK;
}

int vx_text_read_class(char *out, size_t size, const vx_text_files *files)
{
    vx_json *root;
    VX_TRY(read_tokenizer_config(&root, files));
    const char *name = vx_json_string(vx_json_get(root, "tokenizer_class"));
    snprintf(out, size, "%s", name ? name : "");
    vx_json_free(root);
    return VITX_OK;
}
