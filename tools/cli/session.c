/* cli/session.c: see session.h. */
#define _POSIX_C_SOURCE 200809L
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundled.h"
#include "progress.h"
#include "results.h"

static void put_log(vitx_log_level level, const char *text, void *payload)
{
    static const char *const names[] = {"debug", "info", "warning"};
    const struct common *common = payload;
    if (common->verbose || (level >= VITX_LOG_WARNING && !common->quiet))
        complain(names[level], "%s", text);
}

/* The payload is only read. */
vitx_hooks hooks_of(const struct common *common)
{
    vitx_hooks hooks = VITX_HOOKS_INIT;
    hooks.log = put_log;
    hooks.payload = (void *)common;
    return hooks;
}

/* A name of a device, without the number. All are listed: what is nearest to "gpu" is "cpu". */
static int check_kind(const char *device, size_t length)
{
    char list[128] = "auto";
    const char *name = list;
    for (int i = 0; name; name = vitx_device_name(i++)) {
        if (strlen(name) == length && strncmp(name, device, length) == 0)
            return DONE;
        if (name != list)
            snprintf(list + strlen(list), sizeof list - strlen(list), ", %.30s", name);
    }
    return wrong_usage("no device \"%s\"; there are %s", device, list);
}

int check_device(const char *device)
{
    vitx_precision_info first = VITX_PRECISION_INFO_INIT;
    if (!device)
        return DONE;
    const size_t length = strcspn(device, ":");
    const char *number = device + length + (device[length] == ':');
    const int status = check_kind(device, length);
    if (status != DONE)
        return status;
    if (device[length] && (!*number || strspn(number, "0123456789") != strlen(number)))
        return wrong_usage("--device %s: a number comes behind the colon", device);
    if (vitx_precision_get(&first, device, 0) == VITX_OK)
        return DONE;
    complain_last(NULL);
    return SOME_FAILED;
}

int check_precision(const char *device, const char *precision)
{
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
    bool known = !precision || strcmp(precision, "auto") == 0;
    for (int i = 0; !known && vitx_precision_get(&p, device, i) == VITX_OK; i++)
        known = strcmp(p.name, precision) == 0;
    return known ? DONE : wrong_usage("no precision \"%s\": vitx-cli info lists them", precision);
}

/* Whether the command line has words for a text tower. */
static bool words_wanted(const struct common *common)
{
    return common->words.wanted || common->words.labels.count || common->words.templates.count;
}

const char *bundled_name(const struct common *common)
{
    const bool labels = common->labels && common->labels_may_be_texts;
    return labels || words_wanted(common) ? "pair" : "scenes";
}

static int choose_model(struct session *session, const struct common *common)
{
    session->path = common->model;
    if (session->path)
        return DONE;
    const char *name = bundled_name(common);
    session->path = session->bundled = bundled_model(name);
    if (session->path)
        return DONE;
    char *places = bundled_places(name);
    complain(NULL, "no bundled model in %s; -m MODEL takes another", text_or(places, "its folder"));
    free(places);
    return SOME_FAILED;
}

size_t machine_memory(void)
{
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
#else
    return 0;
#endif
}

vitx_context_opts context_opts_of(const struct common *common, vitx_fit fit)
{
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    opts.device = common->device;
    opts.precision = common->precision;
    opts.threads = common->threads;
    opts.max_batch = common->batch;
    opts.fit = common->fit < 0 ? fit : (vitx_fit)common->fit;
    opts.trace_budget = common->budget;
    opts.gradients = (vitx_gradients)common->gradients;
    opts.pos_resample = common->pos_resample;
    opts.memory_budget = common->memory ? common->memory : machine_memory();
    opts.input_height = common->size.height;
    opts.input_width = common->size.width;
    opts.max_tokens = common->max_tokens;
    opts.max_patches = common->max_patches;
    return opts;
}

/* What the model is at the size that was asked for, which takes no memory yet. */
static int measure(struct session *session, const struct common *common)
{
    const vitx_context_opts opts = context_opts_of(common, VITX_FIT_RECIPE);
    vitx_context_info *size = &session->size;
    vitx_context_info_init(size, sizeof *size);
    const int status =
        vitx_context_preview(size, &session->recipe, sizeof session->recipe, session->model, &opts);
    if (status != VITX_OK)
        return refused(status, session->path);
    session->info.grid_height = size->grid_height;
    session->info.grid_width = size->grid_width;
    session->info.tokens = size->tokens;
    session->info.flops = size->flops;
    session->info.recipe = &session->recipe;
    session->varies = opts.fit == VITX_FIT_KEEP || session->recipe.resize == VITX_RESIZE_PATCHES;
    return DONE;
}

/* Whether --labels are texts, and no names of classes. */
static bool labels_are_texts(const struct session *session, const struct common *common)
{
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    return words_wanted(common) ||
           (common->labels_may_be_texts && vitx_model_get_info(&info, session->model) == VITX_OK &&
            info.units);
}

/* A language that the model has no names in may be that of a page alone. */
static int open_model(struct session *session, vitx_model_opts *opts, const struct common *common)
{
    const char *labels = opts->labels;
    if (labels && (common->labels_may_be_texts || words_wanted(common)))
        opts->labels = NULL;
    int status = vitx_model_open(&session->model, session->path, opts);
    if (status == VITX_OK && labels && !opts->labels && !labels_are_texts(session, common)) {
        opts->labels = labels;
        vitx_model_free(session->model);
        status = vitx_model_open(&session->model, session->path, opts);
    }
    if (status != VITX_IO || !opts->language || !common->may_lack_language)
        return status;
    opts->language = NULL;
    return vitx_model_open(&session->model, session->path, opts);
}

int session_open(struct session *session, const struct common *common)
{
    const vitx_hooks hooks = hooks_of(common);
    vitx_model_opts opts = VITX_MODEL_OPTS_INIT;
    *session = (struct session){.info.struct_size = 0};
    const char *language = common->language;
    if (language && strcmp(language, "auto") == 0)
        language = NULL;
    if (common->labels && language && common->may_lack_language)
        language = NULL;
    if (common->labels && language)
        return wrong_usage("--labels and --lang: one of them");
    int index, status = check_device(common->device);
    if (status == DONE)
        status = check_precision(common->device, common->precision);
    if (status == DONE && common->pos_resample)
        status = find_name(&index, common->pos_resample, vitx_pos_resample_name, "way to resample");
    if (status != DONE)
        return status;
    if (choose_model(session, common) != DONE)
        return SOME_FAILED;
    opts.hooks = &hooks;
    opts.labels = common->labels;
    opts.weights_key = common->weights_key;
    opts.language = language;
    opts.outputs = (vitx_outputs)common->outputs;
    opts.heads = common->heads;
    opts.ignore = common->ignore;
    status = open_model(session, &opts, common);
    if (status != VITX_OK)
        return refused(status, session->path);
    vitx_model_info_init(&session->info, sizeof session->info);
    status = SOME_FAILED;
    if (vitx_model_get_info(&session->info, session->model) == VITX_OK)
        status = measure(session, common);
    else
        complain_last(session->path);
    if (status != DONE)
        session_close(session);
    return status;
}

vitx_context_opts session_context_opts(const struct common *common, vitx_fit fit)
{
    vitx_context_opts opts = context_opts_of(common, fit);
    opts.progress = progress_tick;
    return opts;
}

int session_start(struct session *session, const struct common *common, vitx_fit fit)
{
    const vitx_context_opts opts = session_context_opts(common, fit);
    const int status = vitx_context_create(&session->context, session->model, &opts);
    return status == VITX_OK ? DONE : refused(status, session->path);
}

void session_close(struct session *session)
{
    vitx_context_free(session->context);
    vitx_texts_free(session->texts);
    vitx_label_set_free(session->labels);
    vitx_label_set_free(session->among);
    vitx_model_free(session->model);
    free(session->bundled);
    session->context = NULL;
    session->texts = NULL;
    session->labels = NULL;
    session->among = NULL;
    session->model = NULL;
    session->path = session->bundled = NULL;
}
