/* words/texts.c: the text tower of a model at work. */
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "engine/run.h"
#include "model/digest.h"
#include "words/words.h"

/* Texts that are sorted together: their tokens take some megabytes. */
#define TOGETHER 4096
/* Of these, texts that run together. Then the tower is free for whoever waits for it: one text does
 * not wait for thousands of labels. */
#define AT_ONCE 256

void vitx_texts_opts_init(vitx_texts_opts *out, size_t struct_size)
{
    const vitx_texts_opts full = VITX_TEXTS_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_texts_info_init(vitx_texts_info *out, size_t struct_size)
{
    const vitx_texts_info full = VITX_TEXTS_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* -------------------------------------------------------------------------- opening ------- */

/* In the order of vx_clean. */
static const char *clean_name(int index)
{
    static const char *const names[] = {"none",         "lower",  "whitespace",
                                        "canonicalize", "siglip", "siglip2"};
    return index >= 0 && index < (int)(sizeof names / sizeof names[0]) ? names[index] : NULL;
}

static int open_tokenizer(vitx_texts *t, const vitx_texts_opts *opts)
{
    const vx_text_rules *rules = &t->model->text;
    int clean = (int)rules->clean;
    if (opts->clean)
        VX_TRY(vx_find_name(&clean, opts->clean, clean_name, "way to clean texts"));
    const char *folder = opts->tokenizer ? opts->tokenizer : rules->folder;
    const vx_shelf shelf =
        opts->tokenizer ? (vx_shelf){0} : (vx_shelf){opts->files, opts->file_count};
    VX_TRY(vx_tokenizer_open_in(&t->tokenizer, shelf, folder, (vx_clean)clean, &t->hooks));
    const int ids = vx_tokenizer_size(t->tokenizer);
    if (ids > t->model->arch.vocabulary)
        return vx_fail_in(VITX_FORMAT, folder,
                          "the tokenizer, %s, has ids up to %d; the text tower has %d tokens",
                          vx_tokenizer_about(t->tokenizer), ids - 1, t->model->arch.vocabulary);
    return VITX_OK;
}

/* What concerns a text tower; the rest is of pictures. */
static int read_context(vitx_context_opts *out, const vitx_context_opts *given)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    VX_TRY(VX_STRUCT_READ(&o, given, vitx_context_opts, progress_payload));
    *out = (vitx_context_opts){
        .struct_size = sizeof *out,
        .device = o.device,
        .precision = o.precision,
        .threads = o.threads,
        .trace_budget = o.trace_budget,
        .memory_budget = o.memory_budget,
        .gradients = o.gradients,
        .progress = o.progress,
        .progress_payload = o.progress_payload,
    };
    return VITX_OK;
}

/* At the model's own path the options of the model hold that say what is in its files. */
static int open_tower(vitx_texts *t, const vitx_model *model, const vitx_texts_opts *opts)
{
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    o.hooks = &t->hooks;
    o.files = opts->files;
    o.file_count = opts->file_count;
    o.heads = opts->heads;
    if (opts->path)
        return vx_text_open(&t->model, opts->path, &o);
    if (model->in_memory && !opts->files)
        return vx_fail_field_in(VITX_INVALID, model->path, "files",
                                "was opened from files in memory: its text tower needs them, too "
                                "(vitx_texts_opts.files)");
    o.weights_key = model->weights_key;
    o.ignore = model->ignore;
    return vx_text_open(&t->model, model->path, &o);
}

static int open_all(vitx_texts *t, vitx_model *model, const vitx_texts_opts *opts)
{
    vitx_context_opts context;
    if (!model->arch.units)
        return vx_fail_in(VITX_UNSUPPORTED, model->path,
                          "has classes of its own: no text is compared with its answers");
    VX_TRY(open_tower(t, model, opts));
    vx_model_take_digest(t->model, model);
    if (vx_words_units(t) != model->arch.classes)
        return vx_fail_in(VITX_UNSUPPORTED, t->model->path,
                          "the text tower's vectors have %d numbers, the picture tower's %d",
                          vx_words_units(t), model->arch.classes);
    VX_TRY(open_tokenizer(t, opts));
    VX_TRY(read_context(&context, opts->context));
    return vx_texts_create(&t->context, t->model, &context);
}

int vitx_texts_create(vitx_texts **out, vitx_model *model, const vitx_texts_opts *opts)
{
    vitx_texts_opts o = VITX_TEXTS_OPTS_INIT;
    vitx_texts *t;
    if (out)
        *out = NULL;
    if (!out || !model)
        return vx_fail(VITX_INVALID, "vitx_texts_create: an argument is NULL");
    VX_TRY(VX_STRUCT_READ(&o, opts, vitx_texts_opts, context));
    VX_TRY(vx_new(&t, &model->hooks, 1, sizeof *t, "a text tower"));
    t->hooks = model->hooks;
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        vx_release(&model->hooks, t);
        return vx_fail(VITX_NOMEM, "no mutex for a text tower");
    }
    const int status = open_all(t, model, &o);
    if (status != VITX_OK) {
        vitx_texts_free(t);
        return status;
    }
    *out = t;
    return VITX_OK;
}

void vitx_texts_free(vitx_texts *texts)
{
    if (!texts)
        return;
    const vitx_hooks hooks = texts->hooks;
    vitx_context_free(texts->context);
    vx_tokenizer_free(texts->tokenizer);
    vitx_model_free(texts->model);
    vx_text_memory_dispose(&texts->memory, &hooks);
    pthread_mutex_destroy(&texts->lock);
    vx_release(&hooks, texts);
}

int vitx_texts_get_info(vitx_texts_info *out, const vitx_texts *texts)
{
    if (!out || !texts)
        return vx_fail(VITX_INVALID, "vitx_texts_get_info: an argument is NULL");
    const vx_text_model *m = texts->model;
    const vitx_texts_info info = {
        .kind = m->text.kind,
        .tokenizer = vx_tokenizer_about(texts->tokenizer),
        .depth = m->arch.depth,
        .width = m->arch.width,
        .heads = m->arch.heads,
        .context = m->text.context,
        .vocabulary = m->arch.vocabulary,
        .units = m->arch.classes,
        .scale = m->text.scale,
        .bias = m->text.bias,
        .outputs = vx_words_outputs(texts),
        .parameters = m->parameters,
        .weight_bytes = m->weight_bytes,
    };
    return VX_STRUCT_WRITE(out, &info, vitx_texts_info, weight_bytes);
}

/* -------------------------------------------------------------------------- tokens -------- */

/* The tokens of a text with those at its ends. */
static int encode(vx_tokens *out, bool *cut, const vitx_texts *t, const char *text)
{
    *cut = false;
    return vx_tokenizer_encode(out, t->tokenizer, text, strlen(text), t->model->text.context, cut);
}

int vx_words_pad(const vitx_texts *t)
{
    const int pad = t->model->text.pad;
    return pad >= 0 ? pad : vx_tokenizer_pad(t->tokenizer);
}

int vx_words_tokens(vx_tokens *out, int *rows, bool *cut, const vitx_texts *t, const char *text)
{
    const int first = out->count;
    VX_TRY(encode(out, cut, t, text));
    VX_TRY(vx_text_length(rows, t->model, out->at + first, out->count - first));
    if (out->count - first > *rows)
        out->count = first + *rows;
    if (out->count - first < *rows && vx_words_pad(t) < 0)
        return vx_fail_in(VITX_FORMAT, t->model->text.folder,
                          "the tokenizer names no token that fills up texts, and %s needs one",
                          t->model->text.kind);
    return VITX_OK;
}

void vx_words_ids(int *ids, int rows, const vitx_texts *t, const vx_token *tokens, int count)
{
    const int pad = vx_words_pad(t);
    for (int i = 0; i < rows; i++)
        ids[i] = i < count ? tokens[i].id : pad;
}

int vitx_texts_tokens(vitx_text_token *out, int room, int *count, int *cut, vitx_texts *texts,
                      const char *text)
{
    vx_tokens tokens = {0};
    bool shortened;
    if (!count || !texts || !text || room < 0 || (room > 0 && !out))
        return vx_fail(VITX_INVALID, "vitx_texts_tokens: an argument is NULL, or room is below 0");
    const int status = encode(&tokens, &shortened, texts, text);
    for (int i = 0; status == VITX_OK && i < tokens.count && i < room; i++)
        out[i] = (vitx_text_token){tokens.at[i].id, tokens.at[i].start, tokens.at[i].end};
    if (status == VITX_OK) {
        *count = tokens.count;
        if (cut)
            *cut = shortened;
    }
    vx_tokens_free(&tokens);
    return status;
}

/* -------------------------------------------------------------------------- vectors ------- */

/* What a few thousand texts become on their way to the tower. */
typedef struct bundle {
    vx_tokens tokens;
    int *of;           /* [n + 1] where the tokens of each begin */
    int *ids, *starts; /* [starts[n]] filled up, [n + 1] */
    int *order;        /* [n] in which they run */
} bundle;

static int read_tokens(bundle *b, int *cut, const vitx_texts *t, const char *const *list, int n)
{
    VX_TRY(vx_new(&b->starts, &t->hooks, (size_t)n + 1, sizeof *b->starts, "places of texts"));
    VX_TRY(vx_new(&b->of, &t->hooks, (size_t)n + 1, sizeof *b->of, "places of texts"));
    for (int i = 0; i < n; i++) {
        bool shortened;
        int rows;
        VX_TRY(vx_words_tokens(&b->tokens, &rows, &shortened, t, list[i]));
        b->of[i + 1] = b->tokens.count;
        b->starts[i + 1] = b->starts[i] + rows;
        *cut += shortened;
    }
    return VITX_OK;
}

static int read_bundle(bundle *b, int *cut, const vitx_texts *t, const char *const *list, int n)
{
    VX_TRY(read_tokens(b, cut, t, list, n));
    VX_TRY(vx_new(&b->ids, &t->hooks, (size_t)b->starts[n], sizeof *b->ids, "ids of texts"));
    for (int i = 0; i < n; i++)
        vx_words_ids(b->ids + b->starts[i], b->starts[i + 1] - b->starts[i], t,
                     b->tokens.at + b->of[i], b->of[i + 1] - b->of[i]);
    VX_TRY(vx_new(&b->order, &t->hooks, (size_t)n, sizeof *b->order, "the order of texts"));
    return vx_texts_sort(b->order, &t->hooks, b->ids, b->starts, n);
}

/* n texts of the bundle, from place `at` of its order on. */
static int run_tower(float *out, const vx_words_course *course, vitx_texts *t, const bundle *b,
                     int at, int n)
{
    vitx_context *c = t->context;
    pthread_mutex_lock(&t->lock);
    int status = vx_context_enter(c);
    if (status == VITX_OK) {
        vx_texts_begin(c, course->done, course->all);
        status = vx_texts_run(out, c, b->ids, b->starts, b->order + at, n);
        vx_context_leave(c, status);
    }
    pthread_mutex_unlock(&t->lock);
    return status;
}

static int run_bundle(float *out, vx_words_course *course, vitx_texts *t, const char *const *list,
                      int n)
{
    bundle b = {0};
    int status = read_bundle(&b, &course->cut, t, list, n);
    for (int at = 0, count; at < n && status == VITX_OK; at += count) {
        count = n - at < AT_ONCE ? n - at : AT_ONCE;
        status = run_tower(out, course, t, &b, at, count);
        course->done += count;
    }
    vx_release(&t->hooks, b.order);
    vx_release(&t->hooks, b.ids);
    vx_release(&t->hooks, b.starts);
    vx_release(&t->hooks, b.of);
    vx_tokens_free(&b.tokens);
    return status;
}

int vx_words_run(float *out, vx_words_course *course, vitx_texts *t, const char *const *list, int n)
{
    const size_t units = (size_t)vx_words_units(t);
    for (int at = 0, count; at < n; at += count) {
        count = n - at < TOGETHER ? n - at : TOGETHER;
        VX_TRY(run_bundle(out + (size_t)at * units, course, t, list + at, count));
    }
    return VITX_OK;
}

static int normalise_all(float *out, const vitx_texts *t, int n)
{
    const int units = vx_words_units(t);
    for (int i = 0; i < n; i++)
        if (!vx_make_unit(out + (size_t)i * (size_t)units, units))
            return vx_fail_in(VITX_FORMAT, t->model->path, "the vector of text %d is 0", i);
    return VITX_OK;
}

int vitx_texts_embed(float *out, vitx_texts *texts, const char *const *list, int n, int normalize)
{
    vx_words_course course = {.all = n};
    if (!out || !texts || !list || n < 1)
        return vx_fail(VITX_INVALID, "vitx_texts_embed: an argument is NULL, or n is %d", n);
    for (int i = 0; i < n; i++)
        if (!list[i])
            return vx_fail(VITX_INVALID, "vitx_texts_embed: text %d is NULL", i);
    int status = vx_words_run(out, &course, texts, list, n);
    if (status == VITX_OK && normalize)
        status = normalise_all(out, texts, n);
    return status;
}

static bool remember(float *out, vitx_texts *t, const char *text)
{
    pthread_mutex_lock(&t->lock);
    const float *known = vx_text_memory_find(&t->memory, text);
    if (known)
        memcpy(out, known, (size_t)vx_words_units(t) * sizeof *out);
    pthread_mutex_unlock(&t->lock);
    return known != NULL;
}

/* Unless another thread has meanwhile. */
static void keep(vitx_texts *t, const char *text, const float *vector)
{
    pthread_mutex_lock(&t->lock);
    if (!vx_text_memory_find(&t->memory, text))
        vx_text_memory_keep(&t->memory, text, vector, vx_words_units(t), &t->hooks);
    pthread_mutex_unlock(&t->lock);
}

int vx_words_vector(float *out, vitx_texts *t, const char *text)
{
    vx_words_course course = {.all = 1};
    if (remember(out, t, text))
        return VITX_OK;
    VX_TRY(vx_words_run(out, &course, t, &text, 1));
    VX_TRY(normalise_all(out, t, 1));
    keep(t, text, out);
    return VITX_OK;
}
