/* serve/serve.c: see serve.h. */
#define _POSIX_C_SOURCE 200809L
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "http.h"
#include "life.h"
#include "listen.h"
#include "texts.h"
#include "tools/cli/labels.h"
#include "tools/cli/progress.h"
#include "tools/cli/reason.h"

enum {
    FINISH_S = 25,
    LAST_MS = 2000,
    NAME_MOST = 64,
    MAX_PIXELS = 50000000,
    LABEL_BYTES = 64 << 20 /* of the labels that requests bring */
};

/* ------------------------------------------------------------------ models ----------------- */

static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", text[i]))
            return false;
    return length > 0 && length < NAME_MOST && text[0] != '.';
}

/* The name before '=', or the path's last part with what no name has replaced; *path: the rest. */
static char *name_of_model(const char **path)
{
    const char *equals = strchr(*path, '=');
    char *name;
    if (equals && is_name(*path, (size_t)(equals - *path))) {
        name = strndup(*path, (size_t)(equals - *path));
        *path = equals + 1;
        return name;
    }
    name = strndup(last_part(*path), NAME_MOST - 1);
    if (name)
        name[strcspn(name, "/")] = '\0';
    for (char *c = name; c && *c; c++)
        if (!is_name(c, 1) && *c != '.')
            *c = '-';
    return name;
}

static int open_model(struct served *model, const struct serve_settings *o, const char *given)
{
    const char *path = given;
    char *name = given ? name_of_model(&path) : strdup(bundled_name(&o->common));
    *model = (struct served){.name = name, .common = o->common};
    model->common.model = path;
    model->common.max_pixels = model->common.max_pixels ? model->common.max_pixels : MAX_PIXELS;
    pthread_mutex_init(&model->asking, NULL);
    if (!name) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    if (!is_name(name, strlen(name)))
        return wrong_usage("--model %s: give it a name, as NAME=MODEL", given);
    int status = session_open(&model->session, &model->common);
    if (status == DONE)
        status = session_start(&model->session, &model->common, VITX_FIT_RECIPE);
    if (status == DONE && vitx_model_digest(model->digest, model->session.model) != VITX_OK) {
        complain_last(model->session.path);
        status = SOME_FAILED;
    }
    return status;
}

static void close_model(struct served *model)
{
    session_close(&model->session);
    pthread_mutex_destroy(&model->asking);
    free((void *)model->name);
}

struct served *server_model(const struct server *server, const char *name)
{
    for (int i = 0; i < server->model_count; i++)
        if (!name || strcmp(server->models[i].name, name) == 0)
            return &server->models[i];
    return NULL;
}

static int open_models(struct server *server, const struct serve_settings *o)
{
    const int count = o->models.count ? o->models.count : 1;
    server->models = calloc((size_t)count, sizeof *server->models);
    if (!server->models) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < count; i++) {
        struct served *model = &server->models[server->model_count++];
        const int status = open_model(model, o, o->models.count ? o->models.items[i] : NULL);
        if (status != DONE)
            return status;
        for (int before = 0; before < i; before++)
            if (strcmp(server->models[before].name, model->name) == 0)
                return wrong_usage("two models are called %s: give one another name, as NAME=MODEL",
                                   model->name);
    }
    return DONE;
}

/* ------------------------------------------------------------------ texts ------------------ */

/* Options that make no sense without a text tower. */
static bool texts_meant(const struct common *common)
{
    const struct words *w = &common->words;
    return w->labels.count || w->templates.count || w->model || w->tokenizer || w->clean;
}

/* The text tower of a model, and its classes if the command line names them. */
static int open_tower(struct server *server, struct served *model)
{
    const struct common *common = &model->common;
    int code = texts_start(model, server->sets);
    const bool none = code == VITX_UNSUPPORTED;
    if (code != VITX_OK && !none && (texts_meant(common) || code == VITX_NOMEM))
        return refused(code, model->session.path);
    if (code != VITX_OK) {
        if (!common->quiet && (!none || texts_meant(common)))
            complain("warning", "model %s: no texts are taken: %s", model->name, reason());
        return DONE;
    }
    const int status =
        labels_asked(&model->session, common) ? labels_open(&model->session, common, NULL) : DONE;
    if (status != DONE)
        return status;
    code = texts_know(model);
    return code == VITX_OK ? DONE : refused(code, model->session.path);
}

/* Labels hold for the models that have a text tower; one of them has to. */
static int check_towers(const struct server *server, const struct serve_settings *o)
{
    const char *cache = o->common.words.cache;
    int towers = 0, classes = 0, labelled = 0;
    for (int i = 0; i < server->model_count; i++) {
        towers += server->models[i].session.texts != NULL;
        labelled += server->models[i].session.labels != NULL;
        classes += !server->models[i].session.info.units;
    }
    if (towers == 0 && (texts_meant(&o->common) || (o->common.labels && classes == 0)))
        return wrong_usage("labels and other texts are for models with a text tower, and no model "
                           "here has one");
    if (towers > 1 && cache && strcmp(cache, "no") != 0)
        return wrong_usage("--label-cache %s: one file is for one model, and %d have text towers",
                           cache, towers);
    return check_label_cache(&o->common, labelled > 0);
}

static int open_towers(struct server *server, const struct serve_settings *o)
{
    server->sets = label_sets_create(LABEL_BYTES);
    if (!server->sets) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < server->model_count; i++) {
        const int status = open_tower(server, &server->models[i]);
        if (status != DONE)
            return status;
    }
    return check_towers(server, o);
}

/* ------------------------------------------------------------------ what is said ----------- */

static double megabytes(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void say_texts(const struct served *model)
{
    vitx_texts_info info = VITX_TEXTS_INFO_INIT;
    vitx_label_set_info labels = VITX_LABEL_SET_INFO_INIT;
    if (!model->session.texts || vitx_texts_get_info(&info, model->session.texts) != VITX_OK)
        return;
    if (model->session.labels)
        vitx_label_set_get_info(&labels, model->session.labels);
    complain("serve", "model %s: takes texts, %s, %s; weights %.0f MB, 16 MB of vectors; %d labels",
             model->name, info.kind, info.tokenizer, megabytes((size_t)info.weight_bytes),
             labels.count);
}

static void say_models(const struct server *server)
{
    for (int i = 0; i < server->model_count; i++) {
        const struct served *model = &server->models[i];
        vitx_context_info size = VITX_CONTEXT_INFO_INIT;
        if (vitx_context_get_info(&size, model->session.context) != VITX_OK)
            continue;
        complain("serve", "model %s: %s on %s, %s; weights %.0f MB, %.0f MB a context", model->name,
                 model->session.info.family, size.device, size.precision,
                 megabytes(size.weight_bytes), megabytes(size.activation_bytes));
        say_texts(model);
    }
}

static void say_start(const struct server *server, const struct serve_settings *o,
                      const struct listening *listening)
{
    bool has_holes;
    const char *version = http_library(&has_holes);
    if (!o->common.quiet) {
        say_models(server);
        complain("serve",
                 "memory besides: cache %.0f MB, labels %.0f MB, bodies %.0f MB, pixels %.0f MB",
                 megabytes(o->cache), megabytes(LABEL_BYTES), megabytes(o->body_memory),
                 megabytes((size_t)o->pixels * 3000000));
        complain("serve", "listening on %s%s",
                 strncmp(listening->text, "unix:", 5) == 0 ? "" : "http://", listening->text);
    }
    if (listening->local)
        return;
    if (!gate_has_keys(server->gate))
        complain("serve", "warning: others than this machine reach it, and no keys are asked for "
                          "(--keys FILE)");
    if (has_holes)
        complain("serve", "warning: libmicrohttpd %s has known holes: put a reverse proxy in front",
                 version);
}

/* ------------------------------------------------------------------ life ------------------- */

static void sleep_ms(int ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* Until no exchange is left, at most that long. */
static void wait_for_exchanges(const struct server *server, int ms)
{
    const double end = now_ms() + ms;
    while (atomic_load(&server->running) > 0 && now_ms() < end)
        sleep_ms(5);
}

/*
 * Whoever shares the load sees that it is not ready and sends no more; what comes until then is
 * served. Then no connection is accepted, and what runs is finished.
 */
static void leave(struct server *server, struct http *http, const struct serve_settings *o)
{
    tell_manager("STOPPING=1");
    atomic_store(&server->leaving, true);
    const double end = now_ms() + o->grace_s * 1e3;
    while (now_ms() < end)
        sleep_ms(20);
    atomic_store(&server->closed, true);
    http_quiesce(http);
    work_drain(server->work, FINISH_S);
    wait_for_exchanges(server, LAST_MS);
    atomic_store(&server->stopped, true);
    guard_end_waits(server->guard);
    wait_for_exchanges(server, LAST_MS);
}

static int serve(struct server *server, const struct serve_settings *o)
{
    struct listening listening;
    int status = listen_on(&listening, o->listen);
    if (status != DONE)
        return status;
    struct http *http = http_start(server, listening.fd);
    if (!http)
        return SOME_FAILED;
    say_start(server, o, &listening);
    life_serves();
    tell_manager("READY=1");
    life_wait(-1);
    leave(server, http, o);
    http_stop(http);
    return DONE;
}

/* ------------------------------------------------------------------ the parts -------------- */

static int start_work(struct server *server, const struct serve_settings *o)
{
    const struct work_opts opts = {.models = server->models,
                                   .model_count = server->model_count,
                                   .contexts = o->contexts,
                                   .cache_bytes = o->cache,
                                   .pixels = (int64_t)o->pixels * 1000000,
                                   .max_pixels =
                                       o->common.max_pixels ? o->common.max_pixels : MAX_PIXELS,
                                   .queue_s = o->queue_s,
                                   .compute_s = o->compute_s,
                                   .most_cost = o->most_cost,
                                   .async_cost = o->async_cost,
                                   .job_folder = o->job_folder};
    return work_start(&server->work, &opts);
}

/* A connection is a file: as many as there may be, and some. */
static void allow_files(const struct server *server)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)server->limits.connections + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(struct server *server, const struct serve_settings *o)
{
    if (!life_begin()) {
        complain("serve", "no pipe");
        return SOME_FAILED;
    }
    allow_files(server);
    int status = gate_open(&server->gate, o->keys, o->body_memory);
    if (status == DONE)
        status = open_models(server, o);
    if (status == DONE)
        status = open_towers(server, o);
    if (status == DONE)
        status = start_work(server, o);
    if (status != DONE)
        return status;
    if (guard_start(&server->guard, o->per_address))
        return serve(server, o);
    complain("serve", "no thread");
    return SOME_FAILED;
}

int serve_run(const struct serve_settings *o)
{
    struct server server = {.limits = {.body = o->body,
                                       .body_memory = o->body_memory,
                                       .connections = o->connections,
                                       .per_address = o->per_address,
                                       .per_client = o->per_client},
                            .verbose = o->common.verbose};
    const int status = start(&server, o);
    guard_stop(server.guard);
    if (server.work)
        work_stop(server.work);
    for (int i = 0; i < server.model_count; i++)
        close_model(&server.models[i]);
    free(server.models);
    label_sets_free(server.sets);
    gate_close(server.gate);
    return status;
}
