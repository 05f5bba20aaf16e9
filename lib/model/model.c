/*
 * model/model.c: opening a model and telling what it is.
 *
 * Opening reads headers and JSON only: container -> config -> family -> arch and tensors by role
 * -> recipe -> labels. Values are read in weights.c, when the first context asks for them.
 */
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "model/classifier.h"
#include "model/folder.h"
#include "model/guesses.h"
#include "model/leftovers.h"
#include "model/lora.h"
#include "model/outputs.h"
#include "model/recipe.h"
#include "model/text_kinds.h"
#include "model/text_rows.h"

#define MAX_LANGUAGE 16 /* characters */
#define MAX_HEADS 65536

void vitx_model_opts_init(vitx_model_opts *out, size_t struct_size)
{
    const vitx_model_opts full = VITX_MODEL_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_model_info_init(vitx_model_info *out, size_t struct_size)
{
    const vitx_model_info full = VITX_MODEL_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* -------------------------------------------------------------------------- files --------- */

vx_shelf vx_model_shelf(const vitx_model_opts *opts)
{
    return (vx_shelf){opts->files, opts->files ? opts->file_count : 0};
}

/* -------------------------------------------------------------------------- opening ------- */

static void add_tensor(vitx_model *m, const vx_tensor *t)
{
    if (!t)
        return;
    m->parameters += (int64_t)t->count;
    m->weight_bytes += (int64_t)t->bytes;
    const char *dtype = vx_dtype_name(t->dtype);
    m->weight_dtype = !m->weight_dtype || strcmp(m->weight_dtype, dtype) == 0 ? dtype : "mixed";
}

/* A tensor that all blocks share, or that has two roles in a block, counts once. */
static void count_parameters(vitx_model *m)
{
    for (int i = 0; i < VX_MODEL_ROLES; i++)
        add_tensor(m, m->found.model[i]);
    for (int b = 0; b < m->arch.depth; b++)
        for (int i = 0; i < VX_BLOCK_ROLES; i++) {
            const vx_tensor *const *roles = m->found.blocks[b], *t = roles[i];
            const bool twice =
                (b > 0 && t == m->found.blocks[0][i]) ||
                (i == VX_LS2 - VX_MODEL_ROLES && t == roles[VX_LS1 - VX_MODEL_ROLES]);
            if (!twice)
                add_tensor(m, t);
        }
}

/* labels.LANGUAGE.txt in the folder, to be released; *out NULL where the config has the names. */
static int find_language(char **out, vx_shelf shelf, const char *folder, const char *language,
                         const vitx_hooks *hooks)
{
    char name[32];
    snprintf(name, sizeof name, "labels.%.*s.txt", MAX_LANGUAGE, language);
    VX_TRY(vx_folder_file(out, shelf, folder, name, hooks));
    if (!*out && strcmp(language, "en") != 0)
        return vx_fail_in(VITX_IO, folder, "no class names in the language \"%s\": there is no %s",
                          language, name);
    return VITX_OK;
}

static int read_labels(vitx_model *m, const vx_config *config, const char *folder,
                       const vitx_model_opts *opts)
{
    char *file = NULL;
    int status;
    if (m->arch.units)
        return opts->labels
                   ? vx_fail_in(VITX_INVALID, opts->labels,
                                "names of classes for %s, whose outputs are an embedding", m->path)
                   : VITX_OK;
    if (opts->labels)
        return vx_labels_load(&m->labels, (vx_shelf){0}, opts->labels, m->arch.classes, &m->hooks);
    if (opts->language)
        VX_TRY(find_language(&file, vx_model_shelf(opts), folder, opts->language, &m->hooks));
    if (file)
        status = vx_labels_load(&m->labels, vx_model_shelf(opts), file, m->arch.classes, &m->hooks);
    else
        status = vx_labels_from_config(&m->labels, config, m->arch.classes, &m->hooks);
    vx_release(&m->hooks, file);
    return status;
}

/* A block's steps in words. */
static void describe_block(char *out, size_t size, const vx_arch *a)
{
    const char *act = a->swiglu ? "swiglu" : vx_act_name(a->act);
    char attention[120], shared[50] = "";
    if (a->key_heads < a->heads && !a->differential)
        snprintf(shared, sizeof shared, ", in some blocks %d of keys and values", a->key_heads);
    if (a->twins)
        snprintf(attention, sizeof attention, "two attentions, %d heads of %d each", a->heads / 2,
                 a->head_width);
    else if (a->differential)
        snprintf(attention, sizeof attention, "attention, %d heads of %d less %d others",
                 a->heads / 2, a->head_width, a->heads / 2);
    else
        snprintf(attention, sizeof attention, "attention, %d heads of %d%s", a->heads,
                 a->head_width, shared);
    if (a->parallel)
        snprintf(out, size, "norm - %s, and mlp %d, %s, side by side - add", attention, a->hidden,
                 act);
    else if (a->twins)
        snprintf(out, size, "norms - %s - add - norms - two mlps %d, %s - add", attention,
                 a->hidden / 2, act);
    else if (a->norm_stays)
        snprintf(out, size, "%s - add - norm - mlp %d, %s - add - norm", attention, a->hidden, act);
    else if (a->post_norm)
        snprintf(out, size, "%s - norm - add - mlp %d, %s - norm - add", attention, a->hidden, act);
    else
        snprintf(out, size, "norm - %s - add - norm - mlp %d, %s - add", attention, a->hidden, act);
}

void vx_model_describe(vitx_model *m)
{
    count_parameters(m);
    describe_block(m->block, sizeof m->block, &m->arch);
}

static int read_model(vitx_model *m, const vx_config *config, const char *folder,
                      const vitx_model_opts *opts)
{
    vx_match match;
    vx_hints hints = {0};
    VX_TRY(vx_family_match(&match, m->container, config));
    char wrapping[VX_PREFIX + 80];
    vx_wrapping_text(wrapping, sizeof wrapping, &match.wrapping);
    VX_TRY(vx_strdup(&m->wrapping, &m->hooks, wrapping));
    m->family = match.family;
    m->dialect = match.dialect;
    m->naming = match.dialect->naming;
    const char *architecture = vx_naming_architecture(m->naming, config);
    VX_TRY(vx_strdup(&m->architecture, &m->hooks, architecture ? architecture : ""));
    VX_TRY(m->naming->read_hints(&hints, config));
    if (opts->heads) {
        hints.heads = opts->heads;
        hints.from_heads = VITX_FROM_OPTIONS;
    }
    VX_TRY(vx_text_tell(m, config, folder, opts)); /* before tensors of others are dropped */
    VX_TRY(vx_classifier_find(&match, &hints, m->container));
    if (m->naming->arrange)
        VX_TRY(m->naming->arrange(m->container, &hints, match.prefix, config));
    VX_TRY(vx_family_bind(&m->found, &m->arch, &match, &hints, m->container, config, &m->hooks));
    m->from_eps = hints.from_eps;
    m->from_act = hints.from_act;
    m->from_heads = hints.from_heads;
    VX_TRY(vx_outputs_read(&m->arch, &m->from_outputs, opts->outputs, config, m->path));
    vx_recipe_begin(&m->recipe, match.dialect->recipe, &hints, &m->arch);
    VX_TRY(m->naming->read_recipe(&m->recipe, config, match.dialect));
    VX_TRY(vx_recipe_check(&m->recipe, m->path));
    VX_TRY(vx_guesses_tell(m, &hints));
    vx_leftovers_compare(m->container, m->recipe.mean, m->recipe.std);
    VX_TRY(vx_arch_set_input(&m->arch, m->recipe.input_height, m->recipe.input_width, m->path));
    m->positions = match.dialect->positions ? match.dialect->positions : m->naming->positions;
    if (hints.max_patches)
        m->positions = VX_POS_HF_NAFLEX;
    if (m->positions == VX_POS_UNSET)
        m->positions = VX_POS_TIMM;
    if (m->found.model[VX_REGISTERS])
        m->positions = vx_pos_rule_with_registers(m->positions);
    if (vx_arch_resamples(&m->arch))
        vx_log(&m->hooks, VITX_LOG_INFO,
               "%s: position embeddings of %dx%d patches are resampled to %dx%d (%s)", m->path,
               m->arch.pos_height, m->arch.pos_width, m->arch.grid_height, m->arch.grid_width,
               vx_pos_rule_name(m->positions));
    vx_model_describe(m);
    return VITX_OK;
}

/* vx_model_read_fn: a network for pictures. */
static int read_pictures(vitx_model *m, const vx_config *config, const char *folder,
                         const vitx_model_opts *opts)
{
    VX_TRY(read_model(m, config, folder, opts));
    return read_labels(m, config, folder, opts);
}

/* What is needed only while a model is opened. */
typedef struct opening {
    char *weights, *folder;
    vx_config config;
} opening;

static int read_files(vitx_model *m, opening *o, const vitx_model_opts *opts,
                      vx_model_read_fn *read)
{
    const vx_shelf shelf = vx_model_shelf(opts);
    VX_TRY(vx_folder_locate(&o->weights, &o->folder, shelf, m->path, &m->hooks));
    VX_TRY(vx_container_open(&m->container, shelf, o->weights, opts->weights_key, &m->hooks));
    VX_TRY(vx_lora_open(m->container, shelf, o->folder));
    VX_TRY(vx_ignore(m->container, opts->ignore));
    VX_TRY(vx_lora_attach(m->container, shelf, o->folder));
    VX_TRY(vx_config_open(&o->config, shelf, o->folder, &m->hooks));
    return read(m, &o->config, o->folder, opts);
}

static int open_files(vitx_model *m, const char *path, const vitx_model_opts *opts,
                      vx_model_read_fn *read)
{
    opening o = {0};
    VX_TRY(vx_strdup(&m->path, &m->hooks, path));
    if (opts->weights_key)
        VX_TRY(vx_strdup(&m->weights_key, &m->hooks, opts->weights_key));
    if (opts->ignore)
        VX_TRY(vx_strdup(&m->ignore, &m->hooks, opts->ignore));
    m->in_memory = opts->files != NULL;
    const int status = read_files(m, &o, opts, read);
    vx_config_dispose(&o.config, &m->hooks);
    vx_release(&m->hooks, o.weights);
    vx_release(&m->hooks, o.folder);
    return status;
}

static int check_language(const vitx_model_opts *opts)
{
    const char *language = opts->language;
    if (!language)
        return VITX_OK;
    if (opts->labels)
        return vx_fail(VITX_INVALID, "class names from a file and in a language: one of them");
    const size_t length = strspn(language, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789-");
    if (length == 0 || length > MAX_LANGUAGE || language[length])
        return vx_fail(VITX_INVALID, "the language \"%.40s\" is none; it is written as zh or en",
                       language);
    return VITX_OK;
}

static int check_files(const vitx_model_opts *opts)
{
    enum { MOST = 1024 };
    if (opts->file_count && !opts->files)
        return vx_fail(VITX_INVALID, "file_count = %d, and files is NULL", opts->file_count);
    if (opts->files && (opts->file_count < 1 || opts->file_count > MOST))
        return vx_fail(VITX_INVALID, "file_count = %d: 1 to %d are accepted", opts->file_count,
                       MOST);
    for (int i = 0; i < opts->file_count; i++) {
        const vitx_memory_file *f = &opts->files[i];
        if (!f->name || !f->name[0] || strchr(f->name, '/') || (!f->data && f->bytes))
            return vx_fail(VITX_INVALID,
                           "file %d in memory has no data, or no name without a folder", i);
    }
    return VITX_OK;
}

int vitx_model_open(vitx_model **out, const char *path, const vitx_model_opts *opts)
{
    return vx_model_open(out, path, opts, read_pictures);
}

int vx_model_open(vitx_model **out, const char *path, const vitx_model_opts *opts,
                  vx_model_read_fn *read)
{
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_hooks hooks;
    vitx_model *m;
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_model_open: out is NULL");
    *out = NULL;
    if (!path)
        return vx_fail(VITX_INVALID, "vitx_model_open: path is NULL");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_model_opts, labels));
    VX_TRY(check_language(&o));
    VX_TRY(check_files(&o));
    if (o.heads < 0 || o.heads > MAX_HEADS)
        return vx_fail_field(VITX_INVALID, "heads", "heads = %d: 1 to %d are accepted", o.heads,
                             MAX_HEADS);
    VX_TRY(vx_hooks_resolve(&hooks, o.hooks));
    VX_TRY(vx_new(&m, &hooks, 1, sizeof *m, "a model"));
    atomic_init(&m->users, 1);
    m->hooks = hooks;
    if (pthread_mutex_init(&m->lock, NULL) != 0) {
        vx_release(&hooks, m);
        return vx_fail(VITX_NOMEM, "no mutex for a model");
    }
    const int status = open_files(m, path, &o, read);
    if (status != VITX_OK) {
        vitx_model_free(m);
        return status;
    }
    *out = m;
    return VITX_OK;
}

void vx_model_hold(vitx_model *model)
{
    atomic_fetch_add(&model->users, 1);
}

void vx_model_drop(vitx_model *model)
{
    if (atomic_fetch_sub(&model->users, 1) > 1)
        return;
    const vitx_hooks hooks = model->hooks;
    vx_model_free_weights(model);
    vx_labels_dispose(&model->labels, &hooks);
    vx_release(&hooks, model->found.blocks);
    vx_release(&hooks, model->found.left_out);
    vx_release(&hooks, model->architecture);
    vx_release(&hooks, model->guesses);
    vx_release(&hooks, model->wrapping);
    vx_release(&hooks, model->tower);
    vx_release(&hooks, model->weights_key);
    vx_release(&hooks, model->ignore);
    vx_text_rows_close(model->text.rows);
    vx_release(&hooks, model->text.folder);
    vx_release(&hooks, model->path);
    vx_container_close(model->container);
    pthread_mutex_destroy(&model->lock);
    vx_release(&hooks, model);
}

void vitx_model_free(vitx_model *model)
{
    if (model)
        vx_model_drop(model);
}

/* -------------------------------------------------------------------------- telling ------- */

int64_t vx_arch_flops(const vx_arch *a)
{
    /* In double, since the largest sizes that are accepted do not fit 64 bits. */
    const double t = vx_arch_tokens(a), d = a->width, f = a->hidden, g = a->pool_hidden;
    const double patches = (double)a->grid_height * a->grid_width;
    const double embed = patches * d * a->channels * a->patch_height * a->patch_width;
    const double w = vx_arch_attention(a);
    const double block =
        t * d * 3 * w + 2 * t * t * w + t * d * vx_arch_attended(a) + t * d * (f + vx_arch_fc1(a));
    const double heads = a->bare ? 0 : vx_arch_two_vectors(a) ? 2 : 1;
    const double pool = a->pool == VX_POOL_MAP ? t * d * 2 * d + 2 * t * d + d * d + 2 * d * g : 0;
    const double total = 2 * (embed + a->depth * block + pool + heads * d * a->classes);
    return total < 9e18 ? (int64_t)total : INT64_MAX;
}

const char *vx_act_name(vx_act act)
{
    static const char *const names[VX_ACT_COUNT] = {"none", "gelu", "gelu_tanh", "quick_gelu",
                                                    "relu"};
    return names[act];
}

static const char *pooling_name(vx_pool_kind pool)
{
    static const char *const names[] = {"token", "avg", "map", "token+dist", "token+avg", "last"};
    return names[pool];
}

static int count_labels(const vx_labels *labels)
{
    int n = 0;
    for (int i = 0; i < labels->count; i++)
        n += labels->names[i] != NULL;
    return n;
}

int vitx_model_get_info(vitx_model_info *out, const vitx_model *model)
{
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vitx_model_get_info: an argument is NULL");
    const vx_arch *a = &model->arch;
    const vx_tensor *const *found = model->found.model;
    const vx_tensor *registers = found[VX_REGISTERS];
    const vx_tensor *head = found[VX_HEAD_W] ? found[VX_HEAD_W] : found[VX_HEAD_T];
    const vitx_model_info info = {
        .family = model->family->name,
        .naming = model->naming->name,
        .architecture = model->architecture,
        .activation = a->swiglu ? "swiglu" : vx_act_name(a->act),
        .pooling = pooling_name(a->pool),
        .weight_dtype = model->weight_dtype,
        .depth = a->depth,
        .width = a->width,
        .heads = a->heads,
        .mlp_hidden = a->hidden,
        .patch_height = a->patch_height,
        .patch_width = a->patch_width,
        .grid_height = a->grid_height,
        .grid_width = a->grid_width,
        .prefix_tokens = a->prefix,
        .tokens = vx_arch_tokens(a),
        .classes = a->classes,
        .labels = count_labels(&model->labels),
        .norm_eps = a->eps,
        .from_eps = model->from_eps,
        .from_activation = model->from_act,
        .from_heads = model->from_heads,
        .parameters = model->parameters,
        .weight_bytes = model->weight_bytes,
        .flops = vx_arch_flops(a),
        .recipe = &model->recipe,
        .units = a->units,
        .registers = registers ? (int)registers->shape[registers->rank - 2] : 0,
        .pos_height = a->pos_height,
        .pos_width = a->pos_width,
        .pos_resample = vx_pos_rule_name(model->positions),
        .outputs = a->outputs,
        .from_outputs = model->from_outputs,
        .guesses = model->guesses,
        .wrapping = model->wrapping,
        .adapter = model->container->adapter,
        .container = model->container->form,
        .rotary = a->rotary.kind != VX_ROTATE_NONE,
        .classifier = head ? head->name : "",
        .left_out = model->found.left_out,
        .pool_heads = a->pool_heads,
        .block = model->block,
        .text = model->tower ? model->tower : "",
    };
    return VX_STRUCT_WRITE(out, &info, vitx_model_info, recipe);
}

void vx_model_name(char *out, size_t size, const vitx_model *model)
{
    const char *path = model->path, *end = path + strlen(path), *slash = strrchr(path, '/');
    const char *ending = vx_path_ending(path);
    if (slash && slash > path && ending &&
        (vx_same_word(ending, "safetensors") || vx_same_word(ending, "bin")))
        end = slash;
    while (end > path + 1 && end[-1] == '/')
        end--;
    const char *start = end;
    while (start > path && start[-1] != '/')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), start);
}

const char *vitx_model_label(const vitx_model *model, int index)
{
    return model && index >= 0 && index < model->labels.count ? model->labels.names[index] : NULL;
}

int vitx_model_find_label(int *out_index, const vitx_model *model, const char *text)
{
    if (!out_index || !model || !text)
        return vx_fail(VITX_INVALID, "vitx_model_find_label: an argument is NULL");
    return vx_labels_find(out_index, &model->labels, model->arch.classes, text, model->path);
}
