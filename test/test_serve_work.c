/* test_serve_work.c: from an ask and a picture to an answer (tools/cli/serve/work.h), without HTTP:
 * the answers are the library's own; equal requests share their work; what nobody waits for ends;
 * the queue, the deadline, the pixels and the cost have their bounds; the cache is bounded and
 * gives equal bytes; jobs outlive the program. VX_TEST_THREADS */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "test/serve/bed.h"
#include "tools/cli/serve/outcome.h"
#include "tools/cli/serve/pieces.h"
#include "tools/cli/serve/together.h"
#include "util.h"

/* ------------------------------------------------------------------ answers ---------------- */

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

/* ------------------------------------------------------------------ words ------------------ */

START_TEST(refuses_in_the_words_of_addresses)
{
    const struct work_opts opts = usual();
    begin(&opts);
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "method", "foo", 400, "no method \"foo\"");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "methods", "rollout", 400, "no option");
    expect_refused(&served[0], VERB_CLASSIFY, FORM_JSON, "top", "x", 400, "top is \"x\"");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "layer", "99", 400, "layer is 99");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "set", "n", 400, "KEY=VALUE");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "target", "top999", 400, "top1 to top100");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, "flip", "maybe", 400, "flag");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_PNG, "method", "rollout,gradcam", 406, "one map");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_HTML, "mask", "50", 400, "mask");
    expect_refused(&served[0], VERB_EXPLAIN, FORM_PNG, "scale", "shared", 400, "several pictures");
    static const char *const files[] = {"out",    "labels", "baseline", "like",
                                        "vector", "model",  "device",   "precision"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        expect_refused(&served[0], VERB_EXPLAIN, FORM_JSON, files[i], "/etc/passwd", 400,
                       "not for requests");
    expect_refused(&served[0], VERB_EMBED, FORM_JSON, "normalize", "1", 422, "classes");
    expect_refused(&served[1], VERB_CLASSIFY, FORM_JSON, "top", "1", 422, "no classes");
    expect_refused(&served[0], VERB_CLASSIFY, FORM_PNG, "top", "1", 406, "application/json");
    end();
}
END_TEST

START_TEST(costs_are_known)
{
    const struct work_opts opts = usual();
    begin(&opts);
    static const struct {
        enum form form;
        const char *words;
        double least, most;
    } cases[] = {{FORM_PNG, "method=rollout", 1, 1},
                 {FORM_JSON, "method=rollout", 1, 1},
                 {FORM_PNG, "method=rollout&flip=1", 2, 2},
                 {FORM_PNG, "method=legrad", 2, 3},
                 {FORM_PNG, "method=rise&set=n=200", 200, 202}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ask *ask = ask_of(&served[0], VERB_EXPLAIN, cases[i].form, cases[i].words);
        const double cost = ask_cost(ask);
        ck_assert_msg(cost >= cases[i].least && cost <= cases[i].most, "%s: %g", cases[i].words,
                      cost);
        ask_free(ask);
    }
    end();
}
END_TEST

/* ------------------------------------------------------------------ shared work ------------ */

/* Work for many seconds. */
#define ENDLESS "method=rise&set=n=60000"
#if SANITIZED
#define SLOW "method=rise&set=n=60"
#else
#define SLOW "method=rise&set=n=600"
#endif

static struct ticket *submit(struct client *client, const char *words, struct bytes b)
{
    struct problem why = {0};
    struct ticket *ticket = work_submit(work, ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, words),
                                        b.data, b.count, on_ready, client, &why);
    ck_assert_msg(ticket != NULL, "%s", why.text);
    return ticket;
}

START_TEST(equal_requests_share_their_work)
{
    enum { CLIENTS = 8 };
    struct client clients[CLIENTS];
    struct ticket *tickets[CLIENTS];
    const struct work_opts opts = usual();
    begin(&opts);
    const double before = metric("vitx_forwards_total");
    struct ask *ask = ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, SLOW);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client)CLIENT_INIT;
        tickets[i] = submit(&clients[i], SLOW, picture(2));
    }
    ticket_leave(tickets[0]); /* the others still wait */
    for (int i = 1; i < CLIENTS; i++) {
        wait_for(&clients[i]);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
        ck_assert_ptr_eq(ticket_reply(tickets[i])->body, ticket_reply(tickets[1])->body);
    }
    ck_assert_double_eq(metric("vitx_forwards_total") - before, ask_cost(ask));
    ck_assert_int_le(clients[0].times, 1);
    for (int i = 1; i < CLIENTS; i++)
        ticket_leave(tickets[i]);
    ask_free(ask);
    end();
}
END_TEST

START_TEST(what_nobody_waits_for_ends)
{
    struct client one = CLIENT_INIT, two = CLIENT_INIT;
    const struct work_opts opts = usual();
    begin(&opts);
    const double before = metric("vitx_cancelled_total");
    struct ticket *first = submit(&one, ENDLESS, picture(3));
    struct ticket *second = submit(&two, ENDLESS, picture(4)); /* waits behind it */
    nap(0.05);
    ck_assert(!work_drain(work, 0.02));
    ticket_leave(second);
    ticket_leave(first);
    ck_assert(work_drain(work, 5));
    ck_assert_double_eq(metric("vitx_cancelled_total") - before, 2);
    ck_assert_int_eq(one.times + two.times, 0);
    end();
}
END_TEST

/* A slow piece blocks no fast one, whether there is one context or several. */
START_TEST(fast_ones_pass_slow_ones)
{
    struct client slow = CLIENT_INIT;
    struct work_opts opts = usual();
    opts.contexts = _i; /* 0: as many as there are threads, and one that has all of these */
    opts.threads = _i > 0;
    begin(&opts);
    struct ticket *ticket = submit(&slow, ENDLESS, picture(5));
    nap(0.05);
    for (int i = 0; i < 10; i++)
        ticket_leave(answer(&served[0], VERB_CLASSIFY, FORM_JSON, "", picture(100 + i)));
    ck_assert_int_eq(slow.times, 0);
    ticket_leave(ticket);
    ck_assert(work_drain(work, 5));
    end();
}
END_TEST

/* The last one of several that wait for one place is alone then, and is done as well. */
START_TEST(slow_ones_follow_each_other)
{
    struct client clients[3];
    struct ticket *tickets[3];
    struct work_opts opts = usual();
    opts.contexts = opts.threads = 0;
    begin(&opts);
    for (int i = 0; i < 3; i++) {
        clients[i] = (struct client)CLIENT_INIT;
        tickets[i] = submit(&clients[i], SLOW, picture(20 + i));
    }
    for (int i = 0; i < 3; i++) {
        wait_for(&clients[i]);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
        ticket_leave(tickets[i]);
    }
    end();
}
END_TEST

/* ------------------------------------------------------------------ one run for several ---- */

/* Keeps the only worker, which tells it that its answer is there. */
struct holder {
    struct client client;
    bool release;
    struct ticket *ticket;
};

static void hold(void *payload)
{
    struct holder *h = payload;
    on_ready(&h->client);
    pthread_mutex_lock(&h->client.lock);
    while (!h->release)
        pthread_cond_wait(&h->client.told, &h->client.lock);
    pthread_mutex_unlock(&h->client.lock);
}

static void hold_worker(struct holder *h, int number)
{
    const struct bytes b = picture(number);
    struct problem why = {0};
    *h = (struct holder){.client = CLIENT_INIT};
    h->ticket = work_submit(work, ask_of(&served[0], VERB_CLASSIFY, FORM_JSON, ""), b.data, b.count,
                            hold, h, &why);
    ck_assert_ptr_nonnull(h->ticket);
    wait_for(&h->client);
}

static void let_go(struct holder *h)
{
    pthread_mutex_lock(&h->client.lock);
    h->release = true;
    pthread_cond_signal(&h->client.told);
    pthread_mutex_unlock(&h->client.lock);
    ticket_leave(h->ticket);
}

struct wish {
    enum form form;
    const char *words;
};

static struct ticket *wish_for(struct client *client, const struct wish *wish, int number)
{
    struct problem why = {0};
    const struct bytes b = picture(number);
    *client = (struct client)CLIENT_INIT;
    struct ticket *ticket =
        work_submit(work, ask_of(&served[0], VERB_EXPLAIN, wish->form, wish->words), b.data,
                    b.count, on_ready, client, &why);
    ck_assert_msg(ticket != NULL, "%s", why.text);
    return ticket;
}

static void begin_with_one_worker(const struct work_opts *opts)
{
    struct work_opts one = *opts;
    one.contexts = 1;
    begin(&one);
}

/* Of equal pixels, but not of the same bytes: what is kept of one is no answer to the other. */
enum { ALONE = 700, TOGETHER, HELD, OTHER };

static void expect_same_body(const struct reply *a, const struct reply *b)
{
    ck_assert_int_eq(a->status, 200);
    ck_assert_int_eq(b->status, 200);
    ck_assert_uint_eq(a->bytes, b->bytes);
    ck_assert_mem_eq(a->body, b->body, a->bytes);
}

/* Requests that wait for the same picture are one run, and each gets the answer of a run alone. */
START_TEST(one_picture_is_run_once)
{
    static const struct wish wishes[] = {{FORM_NPY, "method=rollout"},
                                         {FORM_NPY, "method=gradcam&target=2"},
                                         {FORM_JSON, "method=generic,attn-gradcam&top=3"},
                                         {FORM_JSON, "method=gradcam&target=top2&top=1"},
                                         {FORM_PNG, "method=saliency&mask=40"}};
    enum { WISHES = sizeof wishes / sizeof wishes[0] };
    struct ticket *alone[WISHES], *together[WISHES];
    struct client clients[WISHES];
    struct holder holder;
    const struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    const double start = metric("vitx_forwards_total");
    for (int i = 0; i < WISHES; i++)
        alone[i] =
            answer(&served[0], VERB_EXPLAIN, wishes[i].form, wishes[i].words, picture(ALONE));
    hold_worker(&holder, HELD);
    const double merged = metric("vitx_merged_total"), batches = metric("vitx_batches_total"),
                 forwards = metric("vitx_forwards_total");
    for (int i = 0; i < WISHES; i++)
        together[i] = wish_for(&clients[i], &wishes[i], TOGETHER);
    let_go(&holder);
    for (int i = 0; i < WISHES; i++) {
        wait_for(&clients[i]);
        expect_same_body(ticket_reply(alone[i]), ticket_reply(together[i]));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(ticket_reply(together[i])->etag, ticket_reply(together[k])->etag);
    }
    ck_assert(work_drain(work, 5));
    ck_assert_double_eq(metric("vitx_merged_total") - merged, WISHES - 1);
    ck_assert_double_eq(metric("vitx_batches_total") - batches, 1);
    ck_assert_double_lt(metric("vitx_forwards_total") - forwards, (forwards - start) / 2);
    ck_assert_double_eq(metric("vitx_queue_cost"), 0);
    const double after = metric("vitx_forwards_total"); /* each is kept */
    for (int i = 0; i < WISHES; i++) {
        struct ticket *again =
            answer(&served[0], VERB_EXPLAIN, wishes[i].form, wishes[i].words, picture(TOGETHER));
        ck_assert_str_eq(ticket_reply(again)->etag, ticket_reply(together[i])->etag);
        ticket_leave(again);
        ticket_leave(alone[i]);
        ticket_leave(together[i]);
    }
    ck_assert_double_eq(metric("vitx_forwards_total"), after);
    end();
}
END_TEST

/* What would change the other one's bits, or keep it waiting, runs alone. */
START_TEST(others_run_alone)
{
    static const struct {
        struct wish wish;
        int number;
    } cases[] = {
        {{FORM_NPY, "method=legrad"}, TOGETHER},          /* all tokens */
        {{FORM_NPY, "method=attention"}, TOGETHER},       /* one token */
        {{FORM_NPY, "method=gradcam&layer=0"}, TOGETHER}, /* not looked into */
        {{FORM_NPY, "method=gradcam&flip=1"}, TOGETHER},
        {{FORM_NPY, "method=gradcam&window=1,200"}, TOGETHER},
        {{FORM_NPY, SLOW}, TOGETHER},
        {{FORM_HTML, "method=gradcam"}, TOGETHER},
        {{FORM_NPY, "method=gradcam"}, OTHER},
    };
    static const struct wish first = {FORM_NPY, "method=rollout"};
    struct client clients[2];
    struct holder holder;
    const struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    hold_worker(&holder, HELD);
    const double merged = metric("vitx_merged_total");
    struct ticket *tickets[] = {wish_for(&clients[0], &first, TOGETHER),
                                wish_for(&clients[1], &cases[_i].wish, cases[_i].number)};
    let_go(&holder);
    for (int i = 0; i < 2; i++) {
        wait_for(&clients[i]);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
        ticket_leave(tickets[i]);
    }
    ck_assert_double_eq(metric("vitx_merged_total"), merged);
    end();
}
END_TEST

/* Together they take no longer than one that is cheap may. */
START_TEST(a_run_of_several_is_bounded)
{
    enum { CLIENTS = 40 };
    static const char *const formats[] = {"method=rollout&mask=%d",
                                          "method=generic&flip=1&mask=%d"};
    struct ticket *tickets[CLIENTS];
    struct client clients[CLIENTS];
    struct holder holder;
    const struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    struct ask *ask =
        ask_of(&served[0], VERB_EXPLAIN, FORM_JSON, _i ? "method=generic&flip=1" : "");
    const int fit = _i ? SLOW_COST / (int)ask_cost(ask) : MOST_TOGETHER;
    const int runs = (CLIENTS + fit - 1) / fit;
    ask_free(ask);
    ck_assert_int_lt(fit, _i ? MOST_TOGETHER : CLIENTS);
    hold_worker(&holder, HELD);
    const double batches = metric("vitx_batches_total"), merged = metric("vitx_merged_total");
    for (int i = 0; i < CLIENTS; i++) {
        char words[64];
        snprintf(words, sizeof words, formats[_i], 20 + i);
        const struct wish wish = {FORM_JSON, words};
        tickets[i] = wish_for(&clients[i], &wish, TOGETHER);
    }
    let_go(&holder);
    for (int i = 0; i < CLIENTS; i++) {
        wait_for(&clients[i]);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
        ticket_leave(tickets[i]);
    }
    ck_assert(work_drain(work, 5));
    ck_assert_double_eq(metric("vitx_batches_total") - batches, runs);
    ck_assert_double_eq(metric("vitx_merged_total") - merged, CLIENTS - runs);
    end();
}
END_TEST

static void expect_reply(struct ticket *ticket, int status, const char *code);

/* What the library does not take of one costs the others nothing. */
START_TEST(one_failure_is_one_clients)
{
    static const struct wish wishes[] = {{FORM_NPY, "method=rollout"},
                                         {FORM_NPY, "method=gradcam&target=1"}};
    struct client clients[2], client = CLIENT_INIT;
    struct ticket *tickets[2];
    struct holder holder;
    struct problem why = {0};
    const struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    hold_worker(&holder, HELD);
    const double merged = metric("vitx_merged_total");
    tickets[0] = wish_for(&clients[0], &wishes[0], TOGETHER);
    struct ask *ask = ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, "method=gradcam&target=2");
    ask->plan.opts[0].target = 1000000;
    const struct bytes b = picture(TOGETHER);
    struct ticket *bad = work_submit(work, ask, b.data, b.count, on_ready, &client, &why);
    tickets[1] = wish_for(&clients[1], &wishes[1], TOGETHER);
    let_go(&holder);
    wait_for(&client);
    expect_reply(bad, 422, "1000000");
    for (int i = 0; i < 2; i++) {
        struct ticket *alone =
            answer(&served[0], VERB_EXPLAIN, FORM_NPY, wishes[i].words, picture(ALONE));
        wait_for(&clients[i]);
        expect_same_body(ticket_reply(alone), ticket_reply(tickets[i]));
        ticket_leave(alone);
        ticket_leave(tickets[i]);
    }
    ck_assert_double_eq(metric("vitx_merged_total") - merged, 2);
    end();
}
END_TEST

static void create_job(char id[JOB_ID], const char *words, struct bytes b);
static void wait_for_job(const char *id);

/* Each has a deadline of its own, and its clients leave on their own. */
START_TEST(who_runs_together_ends_apart)
{
    static const struct wish wishes[] = {{FORM_NPY, "method=rollout"},
                                         {FORM_NPY, "method=gradcam"}};
    struct client clients[2];
    struct ticket *tickets[2];
    struct holder holder;
    char id[JOB_ID];
    struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    hold_worker(&holder, HELD);
    const double merged = metric("vitx_merged_total"), cancelled = metric("vitx_cancelled_total");
    for (int i = 0; i < 2; i++)
        tickets[i] = wish_for(&clients[i], &wishes[i], TOGETHER);
    create_job(id, "method=generic", picture(TOGETHER));
    pthread_mutex_lock(&work->lock);
    for (struct piece *p = work->models[0].first[LANE_FAST]; p; p = p->next)
        p->run_s = 0;
    pthread_mutex_unlock(&work->lock);
    ticket_leave(tickets[1]);
    let_go(&holder);
    wait_for(&clients[0]);
    expect_reply(tickets[0], 504, "deadline");
    wait_for_job(id);
    ck_assert(work_drain(work, 5));
    ck_assert_double_eq(metric("vitx_merged_total") - merged, 1);
    ck_assert_double_ge(metric("vitx_cancelled_total") - cancelled, 1);
    ck_assert_int_eq(clients[1].times, 0);
    end();
}
END_TEST

/* Nothing is left of a run whose clients have all gone, or whose picture is damaged. */
START_TEST(all_of_a_run_may_fail)
{
    static const char *const words[] = {"method=rollout", "method=gradcam"};
    struct client clients[2] = {CLIENT_INIT, CLIENT_INIT};
    struct ticket *tickets[2];
    struct holder holder;
    const struct work_opts opts = usual();
    begin_with_one_worker(&opts);
    hold_worker(&holder, HELD);
    for (int i = 0; i < 2; i++) {
        struct bytes b = picture(TOGETHER);
        b.count = _i ? b.count : 60;
        tickets[i] = submit(&clients[i], words[i], b);
    }
    pthread_mutex_lock(&work->lock);
    for (struct piece *p = work->models[0].first[LANE_FAST]; p; p = p->next)
        p->run_s = _i ? 0 : 60;
    pthread_mutex_unlock(&work->lock);
    let_go(&holder);
    for (int i = 0; i < 2; i++) {
        wait_for(&clients[i]);
        expect_reply(tickets[i], _i ? 504 : 422, _i ? "deadline" : "unreadable");
    }
    ck_assert(work_drain(work, 5));
    end();
}
END_TEST

/* ------------------------------------------------------------------ the same bits ---------- */

static void expect_same_map(const vitx_map *a, const vitx_map *b, const char *beside)
{
    vitx_map_info x = VITX_MAP_INFO_INIT, y = VITX_MAP_INFO_INIT;
    size_t count = 1;
    ck_assert_int_eq(vitx_map_get_info(&x, a), VITX_OK);
    ck_assert_int_eq(vitx_map_get_info(&y, b), VITX_OK);
    ck_assert_int_eq(x.rank, y.rank);
    for (int i = 0; i < x.rank; i++) {
        ck_assert_int_eq(x.shape[i], y.shape[i]);
        count *= (size_t)x.shape[i];
    }
    ck_assert_msg(memcmp(vitx_map_values(a), vitx_map_values(b), count * sizeof(float)) == 0,
                  "%s beside %s", x.method, beside);
    ck_assert_msg(memcmp(&x.logit, &y.logit, sizeof x.logit) == 0 &&
                      memcmp(&x.probability, &y.probability, sizeof x.probability) == 0 &&
                      memcmp(&x.value, &y.value, sizeof x.value) == 0 && x.target == y.target,
                  "%s beside %s: its score", x.method, beside);
}

/* Of the asks: alone, then in one run. */
static void expect_same_bits(struct ask *const *asks, int count, vitx_context *context,
                             const vitx_image *image)
{
    struct outcome alone[4] = {0}, together[4] = {0};
    const struct ask *all[4];
    bool made[4];
    double forwards;
    struct problem why;
    for (int i = 0; i < count; i++) {
        all[i] = asks[i];
        ck_assert_int_eq(outcome_make(&alone[i], asks[i], context, image, &why), VITX_OK);
    }
    outcomes_make(together, made, &forwards, all, count, context, image);
    ck_assert_double_gt(forwards, 0);
    for (int i = 0; i < count; i++) {
        ck_assert(made[i]);
        ck_assert_int_eq(alone[i].map_count, together[i].map_count);
        for (int k = 0; k < alone[i].map_count; k++)
            expect_same_map(alone[i].maps[k], together[i].maps[k],
                            asks[i > 0 ? 0 : 1]->plan.opts[0].method);
        outcome_free(&alone[i]);
        outcome_free(&together[i]);
    }
}

/* An ask for each method that the model has, by turns of the best class and of another one; and for
 * several methods. */
static int ask_for_all(struct ask **asks, int most, bool flip)
{
    static const char *const several[] = {"rollout,attention", "legrad,gradcam,attention",
                                          "gradcam,rollout"};
    int count = 0;
    for (int i = 0; i < vitx_method_count() + 3; i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        char words[128];
        const int more = i - vitx_method_count();
        const bool named = served[0].session.info.units || (i & 1);
        if (more < 0)
            ck_assert_int_eq(vitx_method_get(&m, i), VITX_OK);
        snprintf(words, sizeof words, "method=%s%s%s", more < 0 ? m.name : several[more],
                 !named                         ? ""
                 : served[0].session.info.units ? "&unit=1"
                                                : "&target=1",
                 flip ? "&flip=1" : "");
        if (m.channels > 0 && flip)
            continue;
        ck_assert_int_lt(count, most);
        asks[count] = ask_if_able(&served[0], VERB_EXPLAIN, FORM_JSON, words);
        if (!asks[count])
            continue;
        if (ask_cost(asks[count]) <= SLOW_COST && asks_agree(asks[count], asks[count]))
            count++;
        else
            ask_free(asks[count]);
    }
    return count;
}

/* Each two that agree, and each two of these with a third one. */
START_TEST(bits_are_those_of_runs_alone)
{
    static const struct {
        const char *model;
        bool flip;
        int least, most; /* pairs */
    } cases[] = {{MODEL, false, 60, 150},
                 {MODEL, true, 60, 150},
                 {EMBEDDER, false, 60, 150},
                 {"models/vit-timm-map", false, 150, 300},
                 {"models/dinov2-timm-registers-swiglu", false, 60, 150}};
    struct ask *asks[64];
    vitx_image *image;
    vitx_context *context;
    int pairs = 0;
    open_model(&served[0], "tiny", cases[_i].model);
    vitx_context_opts opts = session_context_opts(&served[0].common, VITX_FIT_RECIPE);
    opts.threads = 1;
    ck_assert_int_eq(vitx_context_create(&context, served[0].session.model, &opts), VITX_OK);
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    const int count = ask_for_all(asks, 64, cases[_i].flip);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++) {
            struct ask *some[] = {asks[i], asks[k], asks[(i + k) / 2]};
            if (!asks_agree(asks[i], asks[k]))
                continue;
            pairs++;
            if (SANITIZED && pairs % 8)
                continue;
            const bool third = some[2] != asks[k] && asks_agree(some[0], some[2]);
            expect_same_bits(some, third ? 3 : 2, context, image);
        }
    ck_assert_msg(pairs >= cases[_i].least && pairs <= cases[_i].most, "%d pairs", pairs);
    for (int i = 0; i < count; i++)
        ask_free(asks[i]);
    vitx_image_free(image);
    vitx_context_free(context);
    session_close(&served[0].session);
}
END_TEST

/* ------------------------------------------------------------------ bounds ----------------- */

static void expect_no_ticket(const char *words, struct bytes b, int status, const char *code)
{
    struct client client = CLIENT_INIT;
    struct problem why = {0};
    struct ticket *ticket = work_submit(work, ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, words),
                                        b.data, b.count, on_ready, &client, &why);
    ck_assert_ptr_null(ticket);
    ck_assert_msg(why.status == status && strcmp(why.code, code) == 0, "%d %s %s", why.status,
                  why.code, why.text);
    ck_assert_int_eq(client.times, 0);
    ck_assert(status != 503 || why.retry_after > 0);
}

START_TEST(the_queue_is_bounded)
{
    struct client client = CLIENT_INIT;
    struct problem why = {0};
    struct work_opts opts = usual();
    opts.queue_s = 0.05;
    begin(&opts);
    ck_assert(work_has_room(work, 1000, &why));
    struct ticket *ticket = submit(&client, ENDLESS, picture(6));
    nap(0.02);
    expect_no_ticket(SLOW, picture(7), 503, "busy");
    ck_assert(!work_has_room(work, 1000, &why));
    ck_assert_int_eq(why.status, 503);
    ck_assert_int_gt(why.retry_after, 0);
    ck_assert(work_has_room(work, 1, &why)); /* the other lane is free */
    ticket_leave(ticket);
    end();
}
END_TEST

static void expect_reply(struct ticket *ticket, int status, const char *code)
{
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_msg(reply->status == status && strstr(reply->body, code), "%d %s", reply->status,
                  (const char *)reply->body);
    ck_assert_str_eq(reply->etag, "");
    ticket_leave(ticket);
}

static void create_job(char id[JOB_ID], const char *words, struct bytes b)
{
    struct problem why = {0};
    ck_assert_msg(job_create(id, work, ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, words), b.data,
                             b.count, &why),
                  "%s", why.text);
    ck_assert_uint_eq(strlen(id), JOB_ID - 1);
}

static bool is_state(const char *id, const char *state)
{
    char *body, expected[32];
    size_t bytes;
    struct problem why = {0};
    ck_assert_msg(job_state(work, id, &body, &bytes, &why), "%s: %s", id, why.text);
    snprintf(expected, sizeof expected, "\"state\":\"%s\"", state);
    const bool same = strstr(body, expected) != NULL;
    ck_assert_ptr_nonnull(strstr(body, id));
    free(body);
    return same;
}

START_TEST(nobody_waits_longer_than_said)
{
    struct client one = CLIENT_INIT, two = CLIENT_INIT;
    struct work_opts opts = usual();
    opts.queue_s = 0.3;
    begin(&opts);
    struct ticket *first = submit(&one, ENDLESS, picture(8));
    nap(0.02);
    pthread_mutex_lock(&work->lock);
    work->models[0].forward_s = 1e-9; /* so that it takes the second one in */
    pthread_mutex_unlock(&work->lock);
    struct ticket *second = submit(&two, SLOW, picture(9));
    wait_for(&two);
    ck_assert_int_gt(ticket_reply(second)->retry_after, 0);
    expect_reply(second, 503, "queue_timeout");
    ck_assert_int_eq(one.times, 0);
    ticket_leave(first);
    end();
}
END_TEST

/* Not even for the answer of a job that is under way, which itself may take its time. */
START_TEST(nobody_waits_longer_for_a_job)
{
    struct client client = CLIENT_INIT;
    char id[JOB_ID];
    struct problem why = {0};
    struct work_opts opts = usual();
    opts.queue_s = opts.compute_s = 0.15;
    begin(&opts);
    create_job(id, ENDLESS, picture(13));
    struct ticket *ticket = submit(&client, ENDLESS, picture(13));
    wait_for(&client);
    expect_reply(ticket, 504, "deadline");
    ck_assert(!is_state(id, "done") && !is_state(id, "failed"));
    ck_assert(job_cancel(work, id, &why));
    ck_assert(work_drain(work, 5));
    end();
}
END_TEST

START_TEST(work_has_a_deadline)
{
    struct client client = CLIENT_INIT;
    struct work_opts opts = usual();
    opts.compute_s = 0.1;
    begin(&opts);
    struct ticket *ticket = submit(&client, ENDLESS, picture(10));
    wait_for(&client);
    expect_reply(ticket, 504, "deadline");
    end();
}
END_TEST

START_TEST(costs_have_bounds)
{
    struct work_opts opts = usual();
    opts.most_cost = 1000;
    opts.async_cost = 100;
    begin(&opts);
    expect_no_ticket("method=rise&set=n=2000", picture(1), 422, "too_costly");
    expect_no_ticket("method=rise&set=n=500", picture(1), 422, "too_costly");
    end();
}
END_TEST

static struct bytes copy_of(const void *data, size_t count)
{
    struct bytes b = {malloc(count), count};
    memcpy(b.data, data, count);
    return b;
}

START_TEST(pictures_are_looked_at_first)
{
    static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xfa\xfa\0\0\xfa\xfa\x08\x02";
    static const uint8_t jpeg[] = "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
                                  "\xff\xc0\0\x11\x08\xfa\xfa\xfa\xfa\3\1\x22\0\2\x11\1\3\x11\1";
    struct bytes broken = picture(1);
    const struct work_opts opts = usual();
    begin(&opts);
    expect_no_ticket("method=rollout", copy_of(png, sizeof png), 422, "too_many_pixels");
    expect_no_ticket("method=rollout", copy_of(jpeg, sizeof jpeg), 422, "too_many_pixels");
    expect_no_ticket("method=rollout", copy_of("GIF89a", 6), 415, "unsupported_media_type");
    expect_no_ticket("method=rollout", copy_of("", 1), 415, "unsupported_media_type");
    for (size_t n = 8; n < 60; n += 5) { /* the rest of a header is not there */
        struct client client = CLIENT_INIT;
        struct ticket *ticket = submit(&client, "method=rollout", copy_of(broken.data, n));
        wait_for(&client);
        expect_reply(ticket, 422, "unreadable");
    }
    broken.count /= 2;
    expect_reply(answer(&served[0], VERB_CLASSIFY, FORM_JSON, "", broken), 422, "unreadable");
    end();
}
END_TEST

START_TEST(the_cache_is_bounded_and_gives_equal_bytes)
{
    struct work_opts opts = usual();
    opts.cache_bytes = SANITIZED_THREADS ? 7000 : 20000;
    begin(&opts);
    struct ticket *one = answer(&served[0], VERB_EXPLAIN, FORM_JSON, "method=rollout", picture(1));
    const double before = metric("vitx_forwards_total"), hits = metric("vitx_cache_hits_total");
    struct ticket *two = answer(&served[0], VERB_EXPLAIN, FORM_JSON, "method=rollout", picture(1));
    ck_assert_double_eq(metric("vitx_forwards_total"), before);
    ck_assert_double_eq(metric("vitx_cache_hits_total"), hits + 1);
    ck_assert_uint_eq(ticket_reply(one)->bytes, ticket_reply(two)->bytes);
    ck_assert_mem_eq(ticket_reply(one)->body, ticket_reply(two)->body, ticket_reply(one)->bytes);
    ck_assert_str_eq(ticket_reply(one)->etag, ticket_reply(two)->etag);
    for (int i = 2; i < (SANITIZED_THREADS ? 12 : 40); i++) {
        ticket_leave(answer(&served[0], VERB_EXPLAIN, FORM_JSON, "method=rollout", picture(i)));
        ck_assert_double_le(metric("vitx_cache_bytes"), (double)opts.cache_bytes);
        ck_assert_double_gt(metric("vitx_cache_bytes"), 1000);
    }
    const double after = metric("vitx_forwards_total");
    struct ticket *three =
        answer(&served[0], VERB_EXPLAIN, FORM_JSON, "method=rollout", picture(1));
    ck_assert_double_gt(metric("vitx_forwards_total"), after); /* it had to go */
    ck_assert_mem_eq(ticket_reply(one)->body, ticket_reply(three)->body, ticket_reply(one)->bytes);
    ck_assert_str_eq(ticket_reply(one)->etag, ticket_reply(three)->etag);
    ticket_leave(one);
    ticket_leave(two);
    ticket_leave(three);
    end();
}
END_TEST

/* Options that draw differently, another form, another picture: another answer. */
START_TEST(keys_tell_answers_apart)
{
    static const char *const words[] = {"method=rollout", "method=rollout&colormap=viridis",
                                        "method=rollout&target=1", "method=attention"};
    char etags[6][80];
    const struct work_opts opts = usual();
    begin(&opts);
    for (int i = 0; i < 6; i++) {
        struct ticket *ticket = answer(&served[0], VERB_EXPLAIN, i == 4 ? FORM_NPY : FORM_PNG,
                                       words[i < 4 ? i : 0], picture(i == 5));
        ck_assert_int_eq(ticket_reply(ticket)->status, 200);
        memcpy(etags[i], ticket_reply(ticket)->etag, sizeof etags[i]);
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(etags[i], etags[k]);
        ticket_leave(ticket);
    }
    end();
}
END_TEST

/* Samples of 16 bits are read by the window of the request, whatever is asked of the picture. */
START_TEST(a_window_is_looked_through)
{
    static const char *const words[] = {"top=3", "top=3&window=20000,30000"};
    struct ticket *tickets[2];
    const struct work_opts opts = usual();
    begin(&opts);
    for (int i = 0; i < 2; i++) {
        struct bytes b;
        b.data = read_file(golden_path("image/2_16.png"), &b.count);
        tickets[i] = answer(&served[0], _i ? VERB_EXPLAIN : VERB_CLASSIFY, FORM_JSON, words[i], b);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
    }
    const char *one = strstr(ticket_reply(tickets[0])->body, "\"predictions\"");
    const char *two = strstr(ticket_reply(tickets[1])->body, "\"predictions\"");
    ck_assert_str_ne(one, two);
    ticket_leave(tickets[0]);
    ticket_leave(tickets[1]);
    end();
}
END_TEST

/* ------------------------------------------------------------------ many at once ----------- */

struct crowd {
    pthread_t thread;
    unsigned seed;
    int answered, refused;
};

static int dice(struct crowd *c, int sides)
{
    c->seed = c->seed * 1103515245u + 12345u;
    return (int)(c->seed >> 16) % sides;
}

static void *ask_often(void *payload)
{
    static const char *const words[] = {"method=rollout", "method=gradcam", "method=rise&set=n=60",
                                        "method=attention"};
    struct crowd *c = payload;
    for (int i = 0; i < (SANITIZED_THREADS ? 3 : SANITIZED ? 20 : 100); i++) {
        struct client client = CLIENT_INIT;
        struct problem why = {0};
        const int kind = dice(c, 4);
        const struct bytes b = picture(dice(c, 6));
        struct ticket *ticket =
            work_submit(work, ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, words[kind]), b.data,
                        b.count, on_ready, &client, &why);
        if (!ticket) {
            c->refused++;
            continue;
        }
        if (dice(c, 3) == 0) {
            nap(dice(c, 20) * 1e-4);
        } else {
            wait_for(&client);
            ck_assert_int_eq(ticket_reply(ticket)->status, 200);
            c->answered++;
        }
        ticket_leave(ticket);
    }
    return NULL;
}

START_TEST(many_at_once)
{
    enum { THREADS = 8 };
    struct crowd crowd[THREADS];
    int answered = 0;
    struct work_opts opts = usual();
    opts.contexts = _i; /* 0: as many as there are threads, and one that has all of these */
    opts.threads = _i > 0;
    opts.cache_bytes = 3000;
    opts.pixels = 60000; /* room for one picture */
    begin(&opts);
    for (int i = 0; i < THREADS; i++) {
        crowd[i] = (struct crowd){.seed = (unsigned)i};
        ck_assert_int_eq(pthread_create(&crowd[i].thread, NULL, ask_often, &crowd[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(crowd[i].thread, NULL);
        answered += crowd[i].answered;
        ck_assert_int_eq(crowd[i].refused, 0);
    }
    ck_assert_int_gt(answered, 0);
    ck_assert(work_drain(work, 10));
    ck_assert_double_eq(metric("vitx_inflight"), 0);
    ck_assert_double_eq(metric("vitx_queue_cost"), 0);
    ck_assert_double_eq(metric("vitx_pixels_in_flight"), 0);
    end();
}
END_TEST

/* Who waits is told; tickets may be left later. */
START_TEST(stops_in_the_midst)
{
    struct client one = CLIENT_INIT, two = CLIENT_INIT;
    const struct work_opts opts = usual();
    begin(&opts);
    struct ticket *first = submit(&one, ENDLESS, picture(11));
    struct ticket *second = submit(&two, SLOW, picture(12));
    nap(0.02);
    end();
    wait_for(&one);
    wait_for(&two);
    expect_reply(first, 503, "cancelled");
    expect_reply(second, 503, "stopping");
}
END_TEST

/* ------------------------------------------------------------------ no memory -------------- */

static bool answers_with(int allocations, enum form form, const vitx_image *image)
{
    static const struct field fields[] = {
        {"method", "rollout"}, {"target", "top2"}, {"mask", "60"}};
    return answers_within(allocations, &served[0], VERB_EXPLAIN, form, fields,
                          form == FORM_JSON ? 3 : 1, image);
}

START_TEST(memory_runs_out_anywhere)
{
    static const enum form forms[] = {FORM_JSON, FORM_PNG, FORM_HTML};
    vitx_image *image;
    const struct work_opts opts = usual();
    begin(&opts);
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    int n = 1;
    while (!answers_with(n, forms[_i], image))
        n += 1 + n / 40;
    ck_assert_int_gt(n, 20);
    vitx_image_free(image);
    end();
}
END_TEST

/* The same of a run of several: what is not whole is not there. */
START_TEST(memory_runs_out_for_several)
{
    enum { ASKS = 3 };
    static const char *const words[ASKS] = {"method=rollout", "method=generic&target=top2",
                                            "method=gradcam,saliency"};
    struct ask *asks[ASKS];
    vitx_image *image;
    int whole = 0, rounds = 0;
    const struct work_opts opts = usual();
    begin(&opts);
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    for (int i = 0; i < ASKS; i++)
        asks[i] = ask_of(&served[0], VERB_EXPLAIN, FORM_JSON, words[i]);
    for (int n = 1; whole < ASKS; n += 1 + n / 40, rounds++) {
        struct outcome outcomes[ASKS] = {0};
        bool made[ASKS];
        double forwards;
        left = n;
        outcomes_make(outcomes, made, &forwards, (const struct ask *const *)asks, ASKS,
                      served[0].session.context, image);
        left = -1;
        whole = 0;
        for (int i = 0; i < ASKS; i++) {
            whole += made[i];
            ck_assert(made[i] == (outcomes[i].map_count > 0 && outcomes[i].top_count > 0));
            outcome_free(&outcomes[i]);
        }
    }
    ck_assert_int_gt(rounds, 20);
    for (int i = 0; i < ASKS; i++)
        ask_free(asks[i]);
    vitx_image_free(image);
    end();
}
END_TEST

START_TEST(memory_runs_out_at_the_counter)
{
    const struct work_opts opts = usual();
    begin(&opts);
    for (int n = 1, came = 0; !came; n++) {
        struct client client = CLIENT_INIT;
        struct problem why = {0};
        char id[JOB_ID];
        const struct bytes one = picture(500), two = picture(501);
        struct ask *ask = ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, "method=rollout");
        struct ask *other = ask_of(&served[0], VERB_EXPLAIN, FORM_NPY, "method=rollout");
        left = n;
        struct ticket *ticket =
            work_submit(work, ask, one.data, one.count, on_ready, &client, &why);
        const bool created = job_create(id, work, other, two.data, two.count, &why);
        left = -1;
        if (ticket)
            wait_for(&client);
        ck_assert((ticket && created) || why.status == 503);
        ticket_leave(ticket);
        came = ticket && created;
    }
    end();
}
END_TEST

/* ------------------------------------------------------------------ jobs ------------------- */

static void wait_for_job(const char *id)
{
    for (int i = 0; i < 3000 && !is_state(id, "done"); i++)
        nap(0.01);
    ck_assert(is_state(id, "done"));
}

static void expect_result(const char *id, const struct reply *expected)
{
    struct ticket *ticket;
    struct problem why = {0};
    ck_assert_msg(job_result(work, id, &ticket, &why), "%s", why.text);
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_int_eq(reply->status, 200);
    ck_assert_str_eq(reply->etag, expected->etag);
    ck_assert_str_eq(reply->type, expected->type);
    ck_assert_uint_eq(reply->bytes, expected->bytes);
    ck_assert_mem_eq(reply->body, expected->body, expected->bytes);
    ticket_leave(ticket);
}

START_TEST(jobs_go_on_alone)
{
    char id[JOB_ID], other[JOB_ID];
    char *folder = _i ? make_folder() : NULL;
    struct ticket *none;
    struct problem why = {0};
    struct work_opts opts = usual();
    opts.job_folder = folder;
    begin(&opts);
    create_job(id, SLOW, picture(1));
    wait_for_job(id);
    struct ticket *ticket = answer(&served[0], VERB_EXPLAIN, FORM_NPY, SLOW, picture(1));
    expect_result(id, ticket_reply(ticket));
    expect_result(id, ticket_reply(ticket));
    ticket_leave(ticket);
    create_job(other, ENDLESS, picture(2));
    ck_assert(!job_result(work, other, &none, &why));
    ck_assert_int_eq(why.status, 409);
    ck_assert(!is_state(other, "done"));
    ck_assert(job_cancel(work, other, &why));
    ck_assert(is_state(other, "cancelled"));
    ck_assert(!job_result(work, other, &none, &why));
    ck_assert_int_eq(why.status, 410);
    ck_assert(work_drain(work, 5));
    ck_assert(job_cancel(work, id, &why)); /* it is forgotten */
    ck_assert(!job_result(work, id, &none, &why));
    ck_assert_int_eq(why.status, 404);
    ck_assert(!job_cancel(work, "nothing", &why));
    end();
    if (folder)
        remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(jobs_outlive_the_program)
{
    enum { JOBS = 5 };
    char ids[JOBS][JOB_ID];
    char *folder = make_folder();
    struct work_opts opts = usual();
    opts.job_folder = folder;
    begin(&opts);
    for (int i = 0; i < JOBS; i++)
        create_job(ids[i], SLOW, picture(i));
    wait_for_job(ids[0]);
    end(); /* some are done, some not */
    begin(&opts);
    for (int i = 0; i < JOBS; i++) {
        wait_for_job(ids[i]);
        struct ticket *ticket = answer(&served[0], VERB_EXPLAIN, FORM_NPY, SLOW, picture(i));
        expect_result(ids[i], ticket_reply(ticket));
        ticket_leave(ticket);
    }
    end();
    begin(&opts); /* all are done */
    const double forwards = metric("vitx_forwards_total");
    for (int i = 0; i < JOBS; i++)
        ck_assert(is_state(ids[i], "done"));
    ck_assert(work_drain(work, 0.1));
    ck_assert_double_eq(metric("vitx_forwards_total"), forwards);
    end();
    remove_folder(folder);
    free(folder);
}
END_TEST

enum { KILLED_JOBS = 6 };

/* Another program that takes jobs until it is killed; says of each, once it is taken. */
static pid_t start_taker(const struct work_opts *opts, int *out)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        begin(opts);
        for (int i = 0; i < KILLED_JOBS; i++) {
            char id[JOB_ID];
            create_job(id, "method=rise&set=n=100", picture(i));
            if (write(ends[1], id, JOB_ID) != JOB_ID)
                _exit(1);
        }
        for (;;)
            pause();
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* Whatever was taken is answered, and once: as before, and equal to the answer without a job. */
START_TEST(jobs_outlive_a_kill)
{
    char ids[KILLED_JOBS][JOB_ID];
    int out, taken = 0;
    char *folder = make_folder();
    struct work_opts opts = usual();
    opts.job_folder = folder;
    const pid_t pid = start_taker(&opts, &out);
    while (taken < 1 + _i && read(out, ids[taken], JOB_ID) == JOB_ID)
        taken++;
    nap(0.003 * _i);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    while (taken < KILLED_JOBS && read(out, ids[taken], JOB_ID) == JOB_ID)
        taken++;
    close(out);
    begin(&opts);
    for (int i = 0; i < taken; i++) {
        wait_for_job(ids[i]);
        struct ticket *ticket =
            answer(&served[0], VERB_EXPLAIN, FORM_NPY, "method=rise&set=n=100", picture(i));
        expect_result(ids[i], ticket_reply(ticket));
        ticket_leave(ticket);
    }
    struct work *other;
    char *said;
    size_t length;
    say_hold(&said, &length);
    ck_assert_int_ne(work_start(&other, &opts), DONE);
    say_release();
    ck_assert_ptr_nonnull(strstr(said, "another server"));
    free(said);
    end();
    remove_folder(folder);
    free(folder);
}
END_TEST

/* What a program left that was killed in the midst of a write, and what another program did. */
START_TEST(damaged_jobs_are_answered)
{
    static const char id[] = "0123456789abcdef0123456789abcdef";
    static const char *const contents[] = {
        "", "10:vitx job 1,", "10:vitx job 1,4:tiny,1:9,",
        "99999999999999999999:", "10:vitx job 1,4:nope,1:1,1:2,1:0,0:,"};
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        char *folder = make_folder(), path[512];
        struct ticket *ticket;
        struct problem why = {0};
        snprintf(path, sizeof path, "%s/%s.request", folder, id);
        write_file(path, contents[i], strlen(contents[i]));
        snprintf(path, sizeof path, "%s/%s.half", folder, id);
        write_file(path, "1", 1);
        struct work_opts opts = usual();
        opts.job_folder = folder;
        begin(&opts);
        ck_assert_int_ne(access(path, F_OK), 0);
        ck_assert(is_state(id, "failed"));
        ck_assert_msg(job_result(work, id, &ticket, &why), "%s", why.text);
        ck_assert_int_ge(ticket_reply(ticket)->status, 400);
        ticket_leave(ticket);
        end();
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* ID.ending of the folder, cut to half its bytes. */
static void damage(const char *folder, const char *id, const char *ending)
{
    char path[512];
    size_t count;
    snprintf(path, sizeof path, "%s/%s.%s", folder, id, ending);
    void *data = read_file(path, &count);
    write_file(path, data, count / 2);
    free(data);
}

static void expect_lost(const char *id)
{
    struct ticket *ticket;
    struct problem why = {0};
    char *said;
    size_t length;
    say_hold(&said, &length);
    const bool answered = job_result(work, id, &ticket, &why);
    say_release();
    free(said);
    ck_assert_msg(answered, "%s", why.text);
    expect_reply(ticket, 410, "damaged");
    ck_assert(is_state(id, "failed"));
}

/* An answer whose file is damaged or gone is lost once and for all. */
START_TEST(damaged_answers_are_final)
{
    char id[JOB_ID], gone[JOB_ID], path[512];
    char *folder = make_folder();
    struct work_opts opts = usual();
    opts.job_folder = folder;
    begin(&opts);
    create_job(id, "method=rollout", picture(1));
    create_job(gone, "method=rollout", picture(2));
    wait_for_job(id);
    wait_for_job(gone);
    damage(folder, id, "result");
    snprintf(path, sizeof path, "%s/%s.result", folder, gone);
    ck_assert_int_eq(unlink(path), 0);
    for (int i = 0; i < 2; i++) {
        expect_lost(id);
        expect_lost(gone);
    }
    end();
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Unless its request is still there: it was killed between the two. */
START_TEST(a_damaged_answer_is_made_anew)
{
    char id[JOB_ID], path[512];
    size_t count;
    struct holder holder;
    char *folder = make_folder();
    struct work_opts opts = usual();
    opts.job_folder = folder;
    opts.contexts = 1;
    begin(&opts);
    hold_worker(&holder, HELD);
    create_job(id, "method=rollout", picture(1));
    snprintf(path, sizeof path, "%s/%s.request", folder, id);
    void *request = read_file(path, &count);
    let_go(&holder);
    wait_for_job(id);
    end();
    write_file(path, request, count);
    free(request);
    if (_i)
        damage(folder, id, "result");
    const double batches = metric("vitx_batches_total");
    begin(&opts);
    wait_for_job(id);
    ck_assert_double_eq(metric("vitx_batches_total") - batches, _i);
    ck_assert_int_ne(access(path, F_OK), 0);
    struct ticket *ticket =
        answer(&served[0], VERB_EXPLAIN, FORM_NPY, "method=rollout", picture(1));
    expect_result(id, ticket_reply(ticket));
    ticket_leave(ticket);
    end();
    remove_folder(folder);
    free(folder);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("serve_work");
    TCase *t = tcase_create("answers");
    tcase_add_test(t, classifies_like_the_library);
    tcase_add_test(t, embeds_like_the_library);
    tcase_add_test(t, explains_like_the_library);
    tcase_add_test(t, refuses_in_the_words_of_addresses);
    tcase_add_test(t, costs_are_known);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    t = tcase_create("work");
    tcase_add_test(t, equal_requests_share_their_work);
    tcase_add_test(t, what_nobody_waits_for_ends);
    tcase_add_loop_test(t, fast_ones_pass_slow_ones, 0, 3);
    tcase_add_test(t, slow_ones_follow_each_other);
    tcase_add_test(t, one_picture_is_run_once);
    tcase_add_loop_test(t, others_run_alone, 0, 8);
    tcase_add_loop_test(t, a_run_of_several_is_bounded, 0, 2);
    tcase_add_test(t, one_failure_is_one_clients);
    tcase_add_test(t, who_runs_together_ends_apart);
    tcase_add_loop_test(t, all_of_a_run_may_fail, 0, 2);
    tcase_add_loop_test(t, bits_are_those_of_runs_alone, 0, 5);
    tcase_add_test(t, the_queue_is_bounded);
    tcase_add_test(t, nobody_waits_longer_than_said);
    tcase_add_test(t, nobody_waits_longer_for_a_job);
    tcase_add_test(t, work_has_a_deadline);
    tcase_add_test(t, costs_have_bounds);
    tcase_add_test(t, pictures_are_looked_at_first);
    tcase_add_test(t, the_cache_is_bounded_and_gives_equal_bytes);
    tcase_add_test(t, keys_tell_answers_apart);
    tcase_add_loop_test(t, a_window_is_looked_through, 0, 2);
    tcase_add_loop_test(t, many_at_once, 0, 3);
    tcase_add_test(t, stops_in_the_midst);
    if (!SANITIZED_THREADS) { /* it is one thread's */
        tcase_add_loop_test(t, memory_runs_out_anywhere, 0, 3);
        tcase_add_test(t, memory_runs_out_for_several);
    }
    tcase_add_test(t, memory_runs_out_at_the_counter);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    t = tcase_create("jobs");
    tcase_add_loop_test(t, jobs_go_on_alone, 0, 2);
    tcase_add_test(t, jobs_outlive_the_program);
    tcase_add_test(t, damaged_jobs_are_answered);
    tcase_add_test(t, damaged_answers_are_final);
    tcase_add_loop_test(t, a_damaged_answer_is_made_anew, 0, 2);
    if (!SANITIZED_THREADS) /* which does not follow a fork */
        tcase_add_loop_test(t, jobs_outlive_a_kill, 0, KILLED_JOBS);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
