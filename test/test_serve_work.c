/* test_serve_work.c: from an ask and a picture to an answer (tools/cli/serve/work.h), without HTTP:
 * the answers are the library's own; equal requests share their work; what nobody waits for ends;
 * the queue, the deadline, the pixels and the cost have their bounds; the cache is bounded and gives
 * equal bytes; jobs outlive the program. VX_TEST_THREADS */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "tools/cli/serve/metrics.h"
#include "tools/cli/serve/work.h"
#include "util.h"

#define MODEL "models/vit-timm"
#define EMBEDDER "models/clip-hf"

/* ------------------------------------------------------------------ a bench ---------------- */

static struct served served[2];
static struct work *work;

static struct work_opts usual(void)
{
    return (struct work_opts){.models = served,
                              .model_count = 2,
                              .contexts = 2,
                              .threads = 1,
                              .cache_bytes = 1 << 20,
                              .pixels = 4000000,
                              .max_pixels = 1000000,
                              .queue_s = 60,
                              .compute_s = 60,
                              .most_cost = 100000,
                              .async_cost = 100000};
}

static void open_model(struct served *s, const char *name, const char *folder)
{
    static char paths[2][128];
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

static void begin(const struct work_opts *opts)
{
    open_model(&served[0], "tiny", MODEL);
    open_model(&served[1], "clip", EMBEDDER);
    ck_assert_int_eq(work_start(&work, opts), DONE);
}

static void end(void)
{
    work_stop(work);
    work = NULL;
    session_close(&served[0].session);
    session_close(&served[1].session);
}

/* ------------------------------------------------------------------ a client --------------- */

struct client {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int times;
};
#define CLIENT_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER                        \
    }

static void on_ready(void *payload)
{
    struct client *c = payload;
    pthread_mutex_lock(&c->lock);
    c->times++;
    pthread_cond_signal(&c->told);
    pthread_mutex_unlock(&c->lock);
}

static void wait_for(struct client *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->times == 0)
        pthread_cond_wait(&c->told, &c->lock);
    ck_assert_int_eq(c->times, 1);
    pthread_mutex_unlock(&c->lock);
}

struct bytes {
    void *data;
    size_t count;
};

/* A PNG that is read, and whose bytes say its number, behind its end. */
static struct bytes picture(int number)
{
    size_t count;
    void *file = read_file("docs/images/scenes/one.png", &count);
    struct bytes b = {realloc(file, count + sizeof number), count + sizeof number};
    memcpy((char *)b.data + count, &number, sizeof number);
    return b;
}

static struct ask *ask_of(struct served *s, enum verb verb, enum form form, const char *words)
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
    if (!ask_create(&ask, s, verb, form, fields, count, &why))
        ck_abort_msg("%s: %s", words, why.text);
    return ask;
}

/* The answer, to be left. */
static struct ticket *answer(struct served *s, enum verb verb, enum form form, const char *words,
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

/* ------------------------------------------------------------------ answers ---------------- */

static double number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    ck_assert_msg(at != NULL, "%s in %s", name, text);
    return strtod(at + strlen(name), NULL);
}

START_TEST(classifies_like_the_library)
{
    vitx_prediction top[3];
    vitx_image *image;
    const struct work_opts opts = usual();
    begin(&opts);
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    ck_assert_int_eq(vitx_classify(served[0].session.context, image, top, 3), VITX_OK);
    struct ticket *ticket = answer(&served[0], VERB_CLASSIFY, FORM_JSON, "top=3", picture(1));
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_int_eq(reply->status, 200);
    const char *text = reply->body;
    ck_assert_str_eq(reply->type, "application/json");
    ck_assert_int_eq((int)number_behind(text, "\"predictions\":[{\"index\":"), top[0].index);
    ck_assert_float_eq((float)number_behind(text, "\"logit\":"), top[0].logit);
    ck_assert_float_eq((float)number_behind(text, "\"probability\":"), top[0].probability);
    ck_assert_uint_gt(strlen(reply->etag), 10);
    ticket_leave(ticket);
    vitx_image_free(image);
    end();
}
END_TEST

START_TEST(embeds_like_the_library)
{
    vitx_image *image;
    float values[1024];
    const struct work_opts opts = usual();
    begin(&opts);
    ck_assert_int_lt(served[1].session.info.classes, 1024);
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    ck_assert_int_eq(vitx_embed(served[1].session.context, image, values, 1), VITX_OK);
    struct ticket *ticket = answer(&served[1], VERB_EMBED, FORM_NPY, "normalize=1", picture(1));
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_int_eq(reply->status, 200);
    const size_t bytes = (size_t)served[1].session.info.classes * sizeof(float);
    ck_assert_uint_gt(reply->bytes, bytes);
    ck_assert_mem_eq((const char *)reply->body + reply->bytes - bytes, values, bytes);
    ticket_leave(ticket);
    ticket = answer(&served[1], VERB_EMBED, FORM_JSON, "normalize=1", picture(1));
    reply = ticket_reply(ticket);
    ck_assert_float_eq((float)number_behind(reply->body, "\"embedding\":["), values[0]);
    ticket_leave(ticket);
    vitx_image_free(image);
    end();
}
END_TEST

/* What the library makes of the first map. */
static void expect_render(const char *format, const struct reply *reply)
{
    struct text text = {0};
    vitx_image *image;
    vitx_map *map;
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vitx_render_opts render = VITX_RENDER_OPTS_INIT;
    opts.method = "rollout";
    render.format = format;
    render.title = "picture";
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    ck_assert_int_eq(vitx_explain(&map, served[0].session.context, image, &opts), VITX_OK);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_assert_int_eq(vitx_map_get_info(&info, map), VITX_OK);
    render.label = vitx_model_label(served[0].session.model, info.target);
    ck_assert_int_eq(vitx_render_write(map, image, text_write, &text, &render), VITX_OK);
    ck_assert_int_eq(reply->status, 200);
    if (strcmp(format, "json") == 0) { /* one of the explanations */
        text.data[strcspn(text.data, "\n")] = '\0';
        ck_assert_ptr_nonnull(strstr(reply->body, text.data));
    } else {
        ck_assert_uint_eq(reply->bytes, text.length);
        ck_assert_mem_eq(reply->body, text.data, text.length);
    }
    text_free(&text);
    vitx_map_free(map);
    vitx_image_free(image);
}

START_TEST(explains_like_the_library)
{
    static const struct {
        enum form form;
        const char *format;
    } forms[] = {{FORM_PNG, "png"}, {FORM_NPY, "npy"}, {FORM_JSON, "json"}};
    const struct work_opts opts = usual();
    begin(&opts);
    for (int i = 0; i < 3; i++) {
        struct ticket *ticket =
            answer(&served[0], VERB_EXPLAIN, forms[i].form, "method=rollout", picture(1));
        expect_render(forms[i].format, ticket_reply(ticket));
        ticket_leave(ticket);
    }
    struct ticket *ticket = answer(&served[0], VERB_EXPLAIN, FORM_HTML, "", picture(1));
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_int_eq(reply->status, 200);
    ck_assert_ptr_nonnull(strstr(reply->body, "<html"));
    ck_assert_ptr_nonnull(strstr(reply->body, "</html>"));
    ticket_leave(ticket);
    end();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("serve_work");
    TCase *t = tcase_create("answers");
    tcase_add_test(t, classifies_like_the_library);
    tcase_add_test(t, embeds_like_the_library);
    tcase_add_test(t, explains_like_the_library);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
