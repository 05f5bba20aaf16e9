/* serve/bed.c: see bed.h. */
#define _DEFAULT_SOURCE
#include "test/serve/bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli/serve/metrics.h"
#include "tools/cli/serve/texts.h"
#include "test/util.h"

/* ------------------------------------------------------------------ memory ----------------- */

_Thread_local int left = -1;

static bool fails(void)
{
    if (left > 0)
        left--;
    return left == 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return fails() ? NULL : __real_realloc(memory, bytes);
}

/* ------------------------------------------------------------------ a bench ---------------- */

struct served served[SERVED];
struct work *work;

struct work_opts usual(void)
{
    return (struct work_opts){.models = served,
                              .model_count = 2,
                              .contexts = 2,
                              .threads = 1,
                              .cache_bytes = 1 << 20,
                              .pixels = 4000000,
                              .max_pixels = 1000000,
                              .queue_s = 1e6,
                              .compute_s = 60,
                              .most_cost = 100000,
                              .async_cost = 100000};
}

void open_model(struct served *s, const char *name, const char *folder)
{
    static char paths[SERVED][128];
    char *path = paths[s - served];
    *s = (struct served){
        .name = name, .common = COMMON_DEFAULTS, .asking = PTHREAD_MUTEX_INITIALIZER};
    snprintf(path, sizeof paths[0], "%s", golden_path(folder));
    s->common.model = path;
    s->common.quiet = true;
    ck_assert_int_eq(session_open(&s->session, &s->common), DONE);
    ck_assert_int_eq(session_start(&s->session, &s->common, VITX_FIT_RECIPE), DONE);
    ck_assert_int_eq(vitx_model_digest(s->digest, s->session.model), VITX_OK);
}

void begin(const struct work_opts *opts)
{
    open_model(&served[0], "tiny", MODEL);
    open_model(&served[1], "clip", EMBEDDER);
    ck_assert_int_eq(work_start(&work, opts), DONE);
}

static struct label_sets *sets;

void begin_texts(const struct work_opts *opts, size_t label_bytes)
{
    struct work_opts all = *opts;
    all.model_count = SERVED;
    open_model(&served[0], "tiny", MODEL);
    open_model(&served[1], "clip", EMBEDDER);
    open_model(&served[2], "words", READER);
    sets = label_sets_create(label_bytes);
    ck_assert_ptr_nonnull(sets);
    ck_assert_int_eq(texts_start(&served[2], sets), VITX_OK);
    ck_assert_int_eq(texts_know(&served[2]), VITX_OK);
    ck_assert_int_eq(work_start(&work, &all), DONE);
}

void end(void)
{
    work_stop(work);
    work = NULL;
    for (int i = 0; i < SERVED; i++)
        session_close(&served[i].session);
    label_sets_free(sets);
    sets = NULL;
}

/* ------------------------------------------------------------------ a client --------------- */

void on_ready(void *payload)
{
    struct client *c = payload;
    pthread_mutex_lock(&c->lock);
    c->times++;
    pthread_cond_signal(&c->told);
    pthread_mutex_unlock(&c->lock);
}

void wait_for(struct client *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->times == 0)
        pthread_cond_wait(&c->told, &c->lock);
    ck_assert_int_eq(c->times, 1);
    pthread_mutex_unlock(&c->lock);
}

struct bytes picture(int number)
{
    size_t count;
    void *file = read_file("docs/images/scenes/one.png", &count);
    struct bytes b = {realloc(file, count + sizeof number), count + sizeof number};
    memcpy((char *)b.data + count, &number, sizeof number);
    return b;
}

struct ask *ask_if_able(struct served *s, enum verb verb, enum form form, const char *words)
{
    struct field fields[16];
    char text[512], *rest = NULL;
    int count = 0;
    struct ask *ask;
    struct problem why = {0};
    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok_r(text, "&", &rest); word; word = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(word, '=');
        *value = '\0';
        fields[count++] = (struct field){word, value + 1};
    }
    if (ask_create(&ask, s, verb, form, fields, count, &why))
        return ask;
    ck_assert_msg(strstr(why.text, "is not defined for a model"), "%s: %s", words, why.text);
    return NULL;
}

struct ask *ask_of(struct served *s, enum verb verb, enum form form, const char *words)
{
    struct ask *ask = ask_if_able(s, verb, form, words);
    ck_assert_msg(ask, "%s: not for this model", words);
    return ask;
}

struct ticket *answer(struct served *s, enum verb verb, enum form form, const char *words,
                      struct bytes b)
{
    struct client client = CLIENT_INIT;
    struct problem why = {0};
    struct ticket *ticket =
        work_submit(work, ask_of(s, verb, form, words), b.data, b.count, on_ready, &client, &why);
    ck_assert_msg(ticket != NULL, "%s", why.text);
    wait_for(&client);
    return ticket;
}

/* ------------------------------------------------------------------ what is said ----------- */

double number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    ck_assert_msg(at != NULL, "%s in %s", name, text);
    return strtod(at + strlen(name), NULL);
}

void expect_refused(struct served *s, enum verb verb, enum form form, const char *name,
                    const char *value, int status, const char *words)
{
    const struct field field = {name, value};
    struct ask *ask = NULL;
    struct problem why = {0};
    ck_assert_msg(!ask_create(&ask, s, verb, form, &field, 1, &why), "%s=%s", name, value);
    ck_assert_ptr_null(ask);
    ck_assert_msg(why.status == status && strstr(why.text, words), "%s=%s: %d %s", name, value,
                  why.status, why.text);
    ck_assert_msg(!strstr(why.text, "--") && !strstr(why.text, "vitx-cli"), "%s", why.text);
    ck_assert_ptr_nonnull(why.code);
}

double metric(const char *name)
{
    struct text text = {0};
    char line[64];
    metrics_write(&text);
    snprintf(line, sizeof line, "\n%s ", name);
    const double value = number_behind(text.data, line);
    text_free(&text);
    return value;
}

void nap(double seconds)
{
    const struct timespec t = {.tv_sec = (time_t)seconds,
                               .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

bool answers_within(int allocations, struct served *model, enum verb verb, enum form form,
                    const struct field *fields, int count, const vitx_image *image)
{
    struct ask *ask;
    struct problem why = {0};
    struct outcome outcome = {0};
    struct text text = {0};
    const char *type;
    left = allocations;
    const bool asked = ask_create(&ask, model, verb, form, fields, count, &why);
    const vitx_image *shown = asked && ask_needs_picture(ask) ? image : NULL;
    const bool made =
        asked && outcome_make(&outcome, ask, model->session.context, shown, &why) == VITX_OK;
    const bool written = made && outcome_write(&text, &type, &outcome, ask, shown, &why);
    left = -1;
    ck_assert(written || (why.status >= 400 && why.code && why.text[0]));
    text_free(&text);
    outcome_free(&outcome);
    ask_free(ask);
    return written;
}
