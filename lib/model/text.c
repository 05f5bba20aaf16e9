/* model/text.c: see text.h; the rows of its tables are read in text_rows.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/folder.h"
#include "model/model.h"
#include "model/text_kinds.h"
#include "model/text_rows.h"

/* -------------------------------------------------------------------------- reading ------- */

/* The one number of a tensor that a file may lack; *out stays as it is then. */
static int read_number(float *out, const vx_container *c, const char *name)
{
    const vx_tensor *t = name ? vx_container_find(c, name) : NULL;
    char shape[200];
    if (!t)
        return VITX_OK;
    if (t->count != 1)
        return vx_fail_in(VITX_FORMAT, c->path, "tensor %.100s has shape %s, expected [] or [1]",
                          t->name, vx_shape_text(shape, sizeof shape, t->shape, t->rank));
    return vx_tensor_read_f32(t, out, 0, 1);
}

static int read_scale(vx_text_rules *rules, const vx_container *c, const vx_text_kind *kind)
{
    float log_scale = 0;
    VX_TRY(read_number(&log_scale, c, kind->scale));
    VX_TRY(read_number(&rules->bias, c, kind->bias));
    rules->scale = expf(log_scale);
    if (isfinite(rules->scale) && rules->scale > 0)
        return VITX_OK;
    return vx_fail_in(VITX_FORMAT, c->path, "tensor %.100s is %g, whose exponential is no scale",
                      kind->scale, (double)log_scale);
}

/* What the headers say. *kind is NULL if there is no text tower. */
static int read_headers(vitx_model *m, const vx_text_kind **kind, const vx_config *config,
                        const char *folder, const vitx_model_opts *opts)
{
    const vx_text_files files = {.hooks = &m->hooks,
                                 .shelf = vx_model_shelf(opts),
                                 .folder = folder,
                                 .config = config,
                                 .container = m->container};
    vx_dialect dialect = {.naming = NULL};
    vx_hints hints = {.units = true};
    VX_TRY(vx_text_kind_find(kind, &dialect, &files));
    const vx_match match = {
        .family = &(*kind)->family, .dialect = &dialect, .prefix = dialect.prefix};
    m->family = match.family;
    m->naming = dialect.naming;
    m->text = (vx_text_rules){.pad = -1, .end = -1};
    VX_TRY((*kind)->read(&m->text, &hints, &files));
    if (opts->heads) {
        hints.heads = opts->heads;
        hints.from_heads = VITX_FROM_OPTIONS;
    }
    if (m->naming->arrange)
        VX_TRY(m->naming->arrange(m->container, &hints, match.prefix, config));
    VX_TRY(vx_text_bind(&m->found, &m->arch, &m->text, *kind, &match, &hints, &files));
    m->from_eps = hints.from_eps;
    m->from_act = hints.from_act;
    m->from_heads = hints.from_heads;
    return VITX_OK;
}

/* What is said of a file without a text tower. */
static int refuse_none(const vitx_model *m, const vx_config *config)
{
    vx_match match;
    if (!vx_family_find(&match, m->container, config))
        return vx_fail_in(VITX_UNSUPPORTED, m->path,
                          "holds no text tower that vitx knows (transformers' CLIP, SigLIP, "
                          "Chinese-CLIP, AltCLIP and MetaCLIP 2, open_clip's, cn_clip's, "
                          "big_vision's SigLIP)");
    if (strcmp(match.dialect->naming->name, "timm") == 0)
        return vx_fail_in(VITX_UNSUPPORTED, m->path,
                          "holds the picture half only, as timm's files do: there is no text "
                          "tower");
    return vx_fail_in(VITX_UNSUPPORTED, m->path,
                      "holds the picture half only (%s, in the names of %s): there is no text "
                      "tower",
                      match.family->name, match.dialect->naming->title);
}

static void write_about(char *out, size_t size, const vitx_model *m)
{
    snprintf(out, size, "%s: %d blocks, width %d, %d tokens, %d ids", m->text.kind, m->arch.depth,
             m->arch.width, m->text.context, m->arch.vocabulary);
}

/* vx_model_read_fn: a text tower. */
static int read_texts(vitx_model *m, const vx_config *config, const char *folder,
                      const vitx_model_opts *opts)
{
    vx_wrapping taken;
    const vx_text_kind *kind = NULL;
    char text[VX_PREFIX + 80];
    VX_TRY(vx_wrapping_take(&taken, m->container, config));
    vx_wrapping_text(text, sizeof text, &taken);
    VX_TRY(vx_strdup(&m->wrapping, &m->hooks, text));
    const int status = read_headers(m, &kind, config, folder, opts);
    if (status != VITX_OK)
        return kind || status == VITX_NOMEM ? status : refuse_none(m, config);
    const char *architecture = vx_naming_architecture(m->naming, config);
    VX_TRY(vx_strdup(&m->architecture, &m->hooks, architecture ? architecture : ""));
    VX_TRY(vx_strdup(&m->guesses, &m->hooks, ""));
    write_about(text, sizeof text, m);
    VX_TRY(vx_strdup(&m->tower, &m->hooks, text));
    VX_TRY(vx_strdup(&m->text.folder, &m->hooks, folder));
    VX_TRY(read_scale(&m->text, m->container, kind));
    VX_TRY(vx_text_rows_open(&m->text.rows, m));
    vx_container_rest(m->container);
    vx_model_describe(m);
    return VITX_OK;
}

int vx_text_open(vx_text_model **out, const char *path, const vitx_model_opts *opts)
{
    return vx_model_open(out, path, opts, read_texts);
}

int vx_text_tell(vitx_model *m, const vx_config *config, const char *folder,
                 const vitx_model_opts *opts)
{
    vitx_model scratch = {.hooks = m->hooks, .container = m->container, .path = m->path};
    const vx_text_kind *kind = NULL;
    vitx_model_opts without = *opts;
    char text[600] = "";
    vx_message kept;
    without.heads = 0;
    vx_message_keep(&kept);
    const int status = read_headers(&scratch, &kind, config, folder, &without);
    if (status == VITX_OK)
        write_about(text, sizeof text, &scratch);
    else if (kind)
        snprintf(text, sizeof text, "not run: %s", vitx_last_error());
    vx_release(&m->hooks, scratch.found.blocks);
    vx_release(&m->hooks, scratch.found.left_out);
    if (status == VITX_NOMEM)
        return status;
    vx_message_put_back(&kept);
    return vx_strdup(&m->tower, &m->hooks, text);
}

/* -------------------------------------------------------------------------- texts --------- */

/* The place of the first token that is `end`, or of the first of the largest id; -1: none. */
static int find_end(const vx_text_rules *rules, const vx_token *tokens, int n)
{
    int at = -1;
    for (int i = 0; i < n; i++) {
        if (rules->where == VX_TEXT_ID && tokens[i].id == rules->end)
            return i;
        if (rules->where == VX_TEXT_LARGEST && (at < 0 || tokens[i].id > tokens[at].id))
            at = i;
    }
    return at;
}

int vx_text_length(int *out, const vx_text_model *m, const vx_token *tokens, int n)
{
    const vx_text_rules *rules = &m->text;
    if (n < 1 || n > rules->context)
        return vx_fail_in(VITX_INVALID, m->path, "a text of %d tokens: it takes 1 to %d", n,
                          rules->context);
    *out = n;
    if (rules->where == VX_TEXT_FIRST) {
        while (*out > 1 && tokens[*out - 1].id == rules->pad)
            --*out;
        return VITX_OK;
    }
    if (rules->where == VX_TEXT_LAST) {
        *out = rules->context;
        return VITX_OK;
    }
    const int at = find_end(rules, tokens, n);
    if (at < 0)
        return vx_fail_in(VITX_INVALID, m->path,
                          "none of the %d tokens of a text is %d, which ends it", n, rules->end);
    *out = at + 1;
    return VITX_OK;
}
