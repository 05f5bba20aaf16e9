/* test_serve_texts.c: texts in a server's work: labels, explained and embedded texts give what the
 * library gives; labels are run once and kept; each answer is that of its own texts; what is too
 * much, or no text, is refused before any work; nobody who asks waits for a text tower.
 * VX_TEST_THREADS */
#define _DEFAULT_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "test/serve/bed.h"
#include "tools/cli/serve/outcome.h"
#include "tools/cli/serve/pieces.h"
#include "tools/cli/serve/together.h"
#include "util.h"

#define DOG "\xe4\xb8\x80\xe5\x8f\xaa\xe7\x8b\x97" /* a dog, in Chinese */
#define LABELS "label=a cat&label=" DOG "&label=a photo of two birds"
enum { KEPT = 1 << 20 };

static vitx_image *open_picture(void)
{
    vitx_image *image;
    ck_assert_int_eq(vitx_image_open(&image, "docs/images/scenes/one.png"), VITX_OK);
    return image;
}

/* ------------------------------------------------------------------ answers ---------------- */

START_TEST(labels_are_the_librarys)
{
    static const char *const labels[] = {"a cat", DOG, "a photo of two birds"};
    static const char *const templates[] = {"a photo of a {}.", "{}!"};
    const struct work_opts opts = usual();
    vitx_label_set_opts how = VITX_LABEL_SET_OPTS_INIT;
    vitx_label_set *set;
    vitx_prediction top[2];
    begin_texts(&opts, KEPT);
    vitx_image *image = open_picture();
    how.templates = templates;
    how.template_count = 2;
    ck_assert_int_eq(vitx_label_set_create(&set, served[2].session.texts, labels, 3, &how),
                     VITX_OK);
    ck_assert_int_eq(vitx_classify_texts(served[2].session.context, (const vitx_image *[]){image},
                                         1, set, top, 2),
                     VITX_OK);
    struct ticket *ticket =
        answer(&served[2], VERB_CLASSIFY, FORM_JSON,
               "top=2&template=a photo of a {}.&template={}!&" LABELS, picture(1));
    const char *text = ticket_reply(ticket)->body;
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_int_eq((int)number_behind(text, "\"predictions\":[{\"index\":"), top[0].index);
    ck_assert_float_eq((float)number_behind(text, "\"probability\":"), top[0].probability);
    ck_assert_float_eq((float)number_behind(text, "\"logit\":"), top[0].logit);
    ck_assert_ptr_nonnull(strstr(text, top[1].label));
    const char *third = strstr(strstr(text, "\"label\":") + 1, "\"label\":") + 1;
    ck_assert_ptr_null(strstr(third, "\"label\":"));
    ticket_leave(ticket);
    vitx_label_set_free(set);
    vitx_image_free(image);
    end();
}
END_TEST

/* Those that the server was started with, unless a request brings its own. */
START_TEST(a_server_has_labels)
{
    static const char *const labels[] = {"a red circle", DOG};
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    expect_refused(&served[2], VERB_CLASSIFY, FORM_JSON, "top", "1", 400, "names labels");
    ck_assert_int_eq(
        vitx_label_set_create(&served[2].session.labels, served[2].session.texts, labels, 2, NULL),
        VITX_OK);
    struct ticket *ticket = answer(&served[2], VERB_CLASSIFY, FORM_JSON, "top=all", picture(1));
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "\"label\":\"a red circle\""));
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "\"label\":\"" DOG "\""));
    ticket_leave(ticket);
    ticket = answer(&served[2], VERB_CLASSIFY, FORM_JSON, "label=a hat", picture(1));
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "\"label\":\"a hat\""));
    ck_assert_ptr_null(strstr(ticket_reply(ticket)->body, "circle"));
    ticket_leave(ticket);
    end();
}
END_TEST

/* What the library explains of a text, in npy. */
static void expect_map(const struct reply *reply, const vitx_explain_opts *opts)
{
    struct text text = {0};
    vitx_map *map;
    vitx_render_opts render = VITX_RENDER_OPTS_INIT;
    vitx_image *image = open_picture();
    render.format = "npy";
    ck_assert_int_eq(vitx_explain(&map, served[2].session.context, image, opts), VITX_OK);
    ck_assert_int_eq(vitx_render_write(map, NULL, text_write, &text, &render), VITX_OK);
    ck_assert_int_eq(reply->status, 200);
    ck_assert_uint_eq(reply->bytes, text.length);
    ck_assert_mem_eq(reply->body, text.data, text.length);
    text_free(&text);
    vitx_map_free(map);
    vitx_image_free(image);
}

START_TEST(maps_of_texts_are_the_librarys)
{
    static const char *const methods[] = {"legrad", "surgery", "rise"};
    struct work_opts opts = usual();
    opts.contexts = 1; /* of as many threads as the model's own */
    opts.threads = 0;
    begin_texts(&opts, KEPT);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    char words[128];
    e.method = methods[_i];
    e.texts = served[2].session.texts;
    e.text = DOG;
    snprintf(words, sizeof words, "method=%s&text=" DOG, methods[_i]);
    struct ticket *one = answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(1));
    expect_map(ticket_reply(one), &e);
    snprintf(words, sizeof words, "method=%s&score=dot&versus=a cat&text=" DOG, methods[_i]);
    struct ticket *two = answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(1));
    e.versus_text = "a cat";
    e.score = VITX_SCORE_DOT;
    expect_map(ticket_reply(two), &e);
    ck_assert_str_ne(ticket_reply(one)->etag, ticket_reply(two)->etag);
    ticket_leave(one);
    ticket_leave(two);
    end();
}
END_TEST

/* Texts that it is told from; one that looks like the name of a list is no more than a text. */
START_TEST(maps_told_from_others_are_the_librarys)
{
    static const char *const methods[] = {"surgery", "clip-es"};
    static const char *const others[] = {"a cat", "@test/golden/words/labels.txt"};
    struct work_opts opts = usual();
    vitx_label_set *set;
    char words[160];
    opts.contexts = 1;
    opts.threads = 0;
    begin_texts(&opts, KEPT);
    ck_assert_int_eq(vitx_label_set_create(&set, served[2].session.texts, others, 2, NULL),
                     VITX_OK);
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    e.method = methods[_i];
    e.texts = served[2].session.texts;
    e.text = DOG;
    snprintf(words, sizeof words, "method=%s&text=" DOG, methods[_i]);
    struct ticket *alone = answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(1));
    expect_map(ticket_reply(alone), &e);
    snprintf(words, sizeof words, "method=%s&text=" DOG "&among=%s&among=%s", methods[_i],
             others[0], others[1]);
    struct ticket *told = answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(1));
    e.among = set;
    expect_map(ticket_reply(told), &e);
    ck_assert_str_ne(ticket_reply(alone)->etag, ticket_reply(told)->etag);
    ck_assert_mem_ne(ticket_reply(alone)->body, ticket_reply(told)->body,
                     ticket_reply(told)->bytes);
    ticket_leave(alone);
    ticket_leave(told);
    vitx_label_set_free(set);
    end();
}
END_TEST

/* The map says how many there were; a page has them in its command. */
START_TEST(what_texts_were_told_from_is_said)
{
    const char *words = "method=surgery,legrad&text=a cat&among=a cat&among=sky&among=" DOG,
               *marked = "method=surgery&text=@a&among=@b/c&among=@@d&among=@";
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    struct ticket *ticket = answer(&served[2], VERB_EXPLAIN, FORM_JSON, words, picture(1));
    const char *text = ticket_reply(ticket)->body;
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(strstr(text, "\"among\":2"));
    ck_assert_ptr_nonnull(strstr(text, "\"among\":null"));
    ticket_leave(ticket);
    ticket = answer(&served[2], VERB_EXPLAIN, FORM_HTML, words, picture(1));
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "--among sky"));
    ticket_leave(ticket);
    ticket = answer(&served[2], VERB_EXPLAIN, FORM_HTML, marked, picture(1));
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(
        strstr(ticket_reply(ticket)->body, "--text @a --among @@b/c --among @@@d --among @ "));
    ticket_leave(ticket);
    end();
}
END_TEST

/* The numbers that say whether it is there; the page marks the words. */
START_TEST(texts_have_their_numbers_and_words)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    struct ticket *ticket = answer(&served[2], VERB_EXPLAIN, FORM_JSON,
                                   "method=legrad&text=a cat&text=" DOG, picture(1));
    const char *text = ticket_reply(ticket)->body;
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(strstr(text, "\"text\":\"a cat\""));
    ck_assert_ptr_nonnull(strstr(text, "\"text\":\"" DOG "\""));
    ck_assert_double_ne(number_behind(text, "\"text_value\":"),
                        number_behind(text, "\"empty_value\":"));
    ticket_leave(ticket);
    ticket = answer(&served[2], VERB_EXPLAIN, FORM_HTML, "method=legrad&text=a cat", picture(1));
    ck_assert_int_eq(ticket_reply(ticket)->status, 200);
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "--text"));
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "\"parts\":"));
    ticket_leave(ticket);
    end();
}
END_TEST

START_TEST(texts_are_embedded_without_a_picture)
{
    static const char *const texts[] = {"a cat", DOG};
    const struct work_opts opts = usual();
    const struct bytes none = {NULL, 0};
    float vectors[2 * 24];
    begin_texts(&opts, KEPT);
    ck_assert_int_eq(served[2].session.info.classes, 24);
    ck_assert_int_eq(vitx_texts_embed(vectors, served[2].session.texts, texts, 2, 1), VITX_OK);
    struct ticket *ticket =
        answer(&served[2], VERB_EMBED, FORM_NPY, "normalize=1&text=a cat&text=" DOG, none);
    const struct reply *reply = ticket_reply(ticket);
    ck_assert_int_eq(reply->status, 200);
    ck_assert_mem_eq((const char *)reply->body + reply->bytes - sizeof vectors, vectors,
                     sizeof vectors);
    ticket_leave(ticket);
    ticket = answer(&served[2], VERB_EMBED, FORM_JSON, "normalize=1&text=" DOG, none);
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "\"texts\":[{\"text\":\"" DOG "\""));
    ck_assert_float_eq((float)number_behind(ticket_reply(ticket)->body, "\"embedding\":["),
                       vectors[24]);
    ticket_leave(ticket);
    const double hits = metric("vitx_cache_hits_total"), run = metric("vitx_texts_total");
    ticket = answer(&served[2], VERB_EMBED, FORM_JSON, "normalize=1&text=" DOG, none);
    ck_assert_double_eq(metric("vitx_cache_hits_total"), hits + 1);
    ck_assert_double_eq(metric("vitx_texts_total"), run);
    ticket_leave(ticket);
    end();
}
END_TEST

/* ------------------------------------------------------------------ cost ------------------- */

static double cost_of(enum verb verb, enum form form, const char *words)
{
    struct ask *ask = ask_of(&served[2], verb, form, words);
    const double cost = ask_cost(ask);
    ask_free(ask);
    return cost;
}

START_TEST(labels_cost_once)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, _i ? KEPT : 0);
    const double run = metric("vitx_texts_total");
    ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, LABELS), 4);
    ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, LABELS "&template={}!&template={}."), 7);
    ticket_leave(answer(&served[2], VERB_CLASSIFY, FORM_JSON, LABELS, picture(1)));
    ck_assert_double_eq(metric("vitx_texts_total") - run, 3);
    ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, LABELS), _i ? 1 : 4);
    ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, LABELS "&template={}!"), 4);
    ck_assert(!_i == !(metric("vitx_label_bytes") > 3 * 24 * sizeof(float)));
    ticket_leave(answer(&served[2], VERB_CLASSIFY, FORM_JSON, LABELS, picture(2)));
    ck_assert_double_eq(metric("vitx_texts_total") - run, _i ? 3 : 6);
    end();
}
END_TEST

START_TEST(texts_have_a_cost)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    const double one = cost_of(VERB_EXPLAIN, FORM_NPY, "method=legrad&text=a");
    ck_assert_double_eq(one, 1 + cost_of(VERB_EXPLAIN, FORM_NPY, "method=legrad&unit=3"));
    ck_assert_double_eq(cost_of(VERB_EXPLAIN, FORM_NPY, "method=legrad&text=a&versus=b"), one + 1);
    ck_assert_double_gt(cost_of(VERB_EXPLAIN, FORM_HTML, "method=legrad&text=a"), one + 3);
    ck_assert_double_eq(cost_of(VERB_EMBED, FORM_JSON, "text=a&text=b&text=c"), 3);
    end();
}
END_TEST

/* As labels do: what is kept is not run again. */
START_TEST(others_cost_once)
{
    const char *words = "method=surgery&text=a&among=b&among=c";
    const struct work_opts opts = usual();
    begin_texts(&opts, _i ? KEPT : 0);
    const double run = metric("vitx_texts_total");
    const double one = cost_of(VERB_EXPLAIN, FORM_NPY, "method=surgery&text=a");
    ck_assert_double_eq(cost_of(VERB_EXPLAIN, FORM_NPY, words), one + 2);
    ticket_leave(answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(1)));
    ck_assert_double_eq(metric("vitx_texts_total") - run, 2);
    ck_assert_double_eq(cost_of(VERB_EXPLAIN, FORM_NPY, words), _i ? one : one + 2);
    ticket_leave(answer(&served[2], VERB_EXPLAIN, FORM_NPY, words, picture(2)));
    ck_assert_double_eq(metric("vitx_texts_total") - run, _i ? 2 : 4);
    end();
}
END_TEST

/* Several that want the same labels at the same time have them made once. */
START_TEST(labels_are_made_once)
{
    enum { CLIENTS = 6 };
    struct client clients[CLIENTS];
    struct ticket *tickets[CLIENTS];
    struct work_opts opts = usual();
    opts.contexts = 3;
    begin_texts(&opts, KEPT);
    const double run = metric("vitx_texts_total");
    for (int i = 0; i < CLIENTS; i++) {
        const struct bytes b = picture(100 + i);
        struct problem why = {0};
        clients[i] = (struct client)CLIENT_INIT;
        tickets[i] = work_submit(
            work, ask_of(&served[2], VERB_CLASSIFY, FORM_JSON, LABELS "&template=imagenet80"),
            b.data, b.count, on_ready, &clients[i], &why);
        ck_assert_msg(tickets[i] != NULL, "%s", why.text);
    }
    for (int i = 0; i < CLIENTS; i++) {
        wait_for(&clients[i]);
        ck_assert_int_eq(ticket_reply(tickets[i])->status, 200);
        ticket_leave(tickets[i]);
    }
    ck_assert_double_eq(metric("vitx_texts_total") - run, 240);
    end();
}
END_TEST

/* Room for some sets: others go. */
START_TEST(kept_labels_are_bounded)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, 2000);
    for (int i = 0; i < 20; i++) {
        char words[64];
        snprintf(words, sizeof words, "label=thing number %d&label=other", i);
        ticket_leave(answer(&served[2], VERB_CLASSIFY, FORM_JSON, words, picture(i)));
        ck_assert_double_le(metric("vitx_label_bytes"), 2000);
        ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, words), 1);
    }
    ck_assert_double_eq(cost_of(VERB_CLASSIFY, FORM_JSON, "label=thing number 0&label=other"), 3);
    end();
}
END_TEST

/* ------------------------------------------------------------------ each its own ----------- */

/* What differs in texts alone is never one piece of work, nor the same answer. */
START_TEST(texts_tell_answers_apart)
{
    static const struct {
        enum verb verb;
        const char *words[2];
    } cases[] = {{VERB_CLASSIFY, {"label=a&label=b", "label=b&label=a"}},
                 {VERB_CLASSIFY, {"label=a,b", "label=a&label=b"}},
                 {VERB_CLASSIFY, {"label=a&template={}", "label=a&template={}."}},
                 {VERB_EXPLAIN, {"method=legrad&text=a", "method=legrad&text=b"}},
                 {VERB_EXPLAIN, {"method=legrad&text=a&versus=b", "method=legrad&text=a&versus=c"}},
                 {VERB_EXPLAIN, {"method=rollout&text=a", "method=rollout&text=A"}},
                 {VERB_EXPLAIN, {"method=surgery&text=a", "method=surgery&text=a&among=b"}},
                 {VERB_EXPLAIN, {"method=surgery&text=a&among=b", "method=surgery&text=a&among=c"}},
                 {VERB_EXPLAIN,
                  {"method=surgery&text=a&among=b,c", "method=surgery&text=a&among=b&among=c"}},
                 {VERB_EMBED, {"text=a", "text=b"}}};
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ticket *tickets[2];
        for (int k = 0; k < 2; k++) {
            const bool embed = cases[i].verb == VERB_EMBED;
            const struct bytes b = embed ? (struct bytes){NULL, 0} : picture(7);
            tickets[k] = answer(&served[2], cases[i].verb, FORM_JSON, cases[i].words[k], b);
            ck_assert_int_eq(ticket_reply(tickets[k])->status, 200);
        }
        ck_assert_str_ne(ticket_reply(tickets[0])->etag, ticket_reply(tickets[1])->etag);
        ck_assert_str_ne(ticket_reply(tickets[0])->body, ticket_reply(tickets[1])->body);
        ticket_leave(tickets[0]);
        ticket_leave(tickets[1]);
    }
    end();
}
END_TEST

START_TEST(texts_run_alone)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    struct ask *text = ask_of(&served[2], VERB_EXPLAIN, FORM_NPY, "method=rollout&text=a");
    struct ask *other = ask_of(&served[2], VERB_EXPLAIN, FORM_NPY, "method=rollout&text=b");
    struct ask *unit = ask_of(&served[2], VERB_EXPLAIN, FORM_NPY, "method=rollout&unit=2");
    ck_assert(asks_agree(unit, unit));
    ck_assert(!asks_agree(text, other));
    ck_assert(!asks_agree(text, unit));
    ck_assert(!asks_agree(unit, text));
    ask_free(text);
    ask_free(other);
    ask_free(unit);
    end();
}
END_TEST

/* ------------------------------------------------------------------ refusals --------------- */

static void expect_none(struct served *s, enum verb verb, const char *name, const char *value)
{
    expect_refused(s, verb, FORM_JSON, name, value, 400, "no text tower");
}

START_TEST(what_is_no_text_is_refused)
{
    static const struct {
        enum verb verb;
        const char *name;
    } options[] = {{VERB_CLASSIFY, "label"},
                   {VERB_CLASSIFY, "template"},
                   {VERB_EXPLAIN, "text"},
                   {VERB_EXPLAIN, "among"},
                   {VERB_EMBED, "text"}};
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const enum verb verb = options[i].verb;
        const char *name = options[i].name;
        expect_refused(&served[2], verb, FORM_JSON, name, "", 400, "empty");
        expect_refused(&served[2], verb, FORM_JSON, name, " \t\n", 400, "empty");
        expect_refused(&served[2], verb, FORM_JSON, name, "a\xff", 400, "no UTF-8");
        expect_refused(&served[2], verb, FORM_JSON, name, "\xed\xa0\x80", 400, "no UTF-8");
        expect_refused(&served[2], verb, FORM_JSON, name, "\xe4\xb8", 400, "no UTF-8");
        expect_none(&served[1], verb, name, "a {}");
    }
    expect_none(&served[0], VERB_CLASSIFY, "label", "a");
    expect_none(&served[0], VERB_EXPLAIN, "text", "a");
    expect_refused(&served[2], VERB_CLASSIFY, FORM_JSON, "template", "a {}", 400, "no label");
    expect_refused(&served[2], VERB_CLASSIFY, FORM_JSON, "labels", "x", 400, "not for requests");
    expect_refused(&served[2], VERB_CLASSIFY, FORM_JSON, "label-cache", "x", 400, "no option");
    expect_refused(&served[2], VERB_EXPLAIN, FORM_JSON, "text-model", "x", 400, "not for requests");
    expect_refused(&served[2], VERB_EXPLAIN, FORM_JSON, "label", "x", 400, "no option");
    expect_refused(&served[2], VERB_EXPLAIN, FORM_JSON, "among", "x", 400, "among is for text");
    expect_refused(&served[2], VERB_EMBED, FORM_JSON, "among", "x", 400, "no option");
    end();
}
END_TEST

static void expect_too_much(enum verb verb, const struct field *fields, int count,
                            const char *words)
{
    struct problem why = {0};
    struct ask *ask = NULL;
    ck_assert(!ask_create(&ask, &served[2], verb, FORM_JSON, fields, count, &why));
    ck_assert_msg(why.status >= 400 && why.status < 500 && strstr(why.text, words), "%d %s",
                  why.status, why.text);
}

START_TEST(others_need_a_text_and_a_method)
{
    static const struct field versus[] = {
        {"text", "a"}, {"versus", "b"}, {"method", "surgery"}, {"among", "c"}};
    static const struct field deaf[] = {{"text", "a"}, {"method", "legrad"}, {"among", "c"}};
    static const struct field alone[] = {
        {"text", "a"}, {"method", "surgery"}, {"among", "a"}, {"among", "a"}};
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    expect_too_much(VERB_EXPLAIN, versus, 4, "among is for text, without versus");
    expect_too_much(VERB_EXPLAIN, deaf, 3,
                    "among: legrad compares no texts; take method maskclip, surgery or clip-es");
    expect_too_much(VERB_EXPLAIN, alone, 4, "no text to be told from is another than");
    /* another text, of the same tokens: the tower has to tell */
    struct ticket *ticket = answer(&served[2], VERB_EXPLAIN, FORM_JSON,
                                   "method=surgery&text=a cat&among=A cat", picture(1));
    ck_assert_int_eq(ticket_reply(ticket)->status, 422);
    ck_assert_ptr_nonnull(strstr(ticket_reply(ticket)->body, "no text to be told from is another"));
    ticket_leave(ticket);
    end();
}
END_TEST

/* "name0".."name9" and so on. */
static struct field *many(const char *name, int count, const char *last_name, const char *last)
{
    struct field *fields = calloc((size_t)count + 1, sizeof *fields);
    for (int i = 0; i < count; i++)
        fields[i] = (struct field){name, "a thing"};
    fields[count] = (struct field){last_name, last};
    return fields;
}

START_TEST(too_many_texts_are_refused)
{
    static char longest[2000];
    const struct work_opts opts = usual();
    begin_texts(&opts, KEPT);
    struct field *labels = many("label", LABELS_MOST + 1, "template", "imagenet80");
    expect_too_much(VERB_CLASSIFY, labels, LABELS_MOST + 1, "1001 labels");
    expect_too_much(VERB_CLASSIFY, labels + 2, LABELS_MOST, "79920 sentences");
    free(labels);
    struct field *texts = many("text", TEXTS_MOST + 1, "top", "1");
    expect_too_much(VERB_EXPLAIN, texts, TEXTS_MOST + 1, "17 texts");
    expect_too_much(VERB_EMBED, texts, TEXTS_MOST + 1, "17 texts");
    free(texts);
    struct field *others = many("among", LABELS_MOST + 1, "text", "a");
    expect_too_much(VERB_EXPLAIN, others, LABELS_MOST + 2, "among: 1001 texts to be told from");
    free(others);
    struct field *options = many("unit", 64, "text", "a");
    expect_too_much(VERB_EXPLAIN, options, 65, "more than 64 options");
    free(options);
    memset(longest, 'a', sizeof longest - 1);
    expect_refused(&served[2], VERB_EXPLAIN, FORM_JSON, "text", longest, 400, "1024 bytes");
    expect_refused(&served[2], VERB_EXPLAIN, FORM_JSON, "among", longest, 400, "1024 bytes");
    const struct field file[] = {{"label", "a"}, {"template", "/etc/passwd"}};
    expect_too_much(VERB_CLASSIFY, file, 2, "no set of that name");
    end();
}
END_TEST

/* ------------------------------------------------------------------ the tower's lock ------- */

/* Whoever asks goes on while a tower works for a minute; a client that leaves ends that work. */
START_TEST(nobody_waits_for_a_tower)
{
    struct client client = CLIENT_INIT, other = CLIENT_INIT;
    struct problem why = {0};
    struct work_opts opts = usual();
    opts.contexts = _i + 1;
    begin_texts(&opts, KEPT);
    struct field *labels = many("label", 120, "template", "imagenet80");
    const double run = metric("vitx_texts_total");
    struct ask *ask;
    const struct bytes b = picture(1), c = picture(2);
    ck_assert(ask_create(&ask, &served[2], VERB_CLASSIFY, FORM_JSON, labels, 121, &why));
    struct ticket *ticket = work_submit(work, ask, b.data, b.count, on_ready, &client, &why);
    ck_assert_ptr_nonnull(ticket);
    nap(0.05);
    const double began = seconds_now();
    ask_free(ask_of(&served[2], VERB_EXPLAIN, FORM_HTML, "text=a&versus=b"));
    ck_assert_double_lt(seconds_now() - began, SANITIZED ? 20 : 2);
    struct ticket *tiny = work_submit(work, ask_of(&served[0], VERB_CLASSIFY, FORM_JSON, "top=1"),
                                      c.data, c.count, on_ready, &other, &why);
    wait_for(&other);
    ticket_leave(tiny);
    ticket_leave(ticket);
    ck_assert(work_drain(work, 20));
    ck_assert_double_eq(metric("vitx_texts_total"), run);
    free(labels);
    end();
}
END_TEST

static bool see(void *payload)
{
    *(bool *)payload = true;
    return true;
}

/* What a request costs is known without its tower, and so is which tower it is. */
START_TEST(asking_runs_no_tower)
{
    static const char *const text = "seen";
    const struct work_opts opts = usual();
    bool seen = false;
    float vector[24];
    uint8_t digest[DIGEST_BYTES];
    begin_texts(&opts, KEPT);
    memcpy(digest, served[2].texts_digest, sizeof digest);
    memset(served[2].texts_digest, 0, sizeof digest);
    texts_watch(see, &seen);
    ck_assert_int_eq(texts_know(&served[2]), VITX_OK);
    ck_assert_mem_eq(digest, served[2].texts_digest, sizeof digest);
    ask_free(ask_of(&served[2], VERB_EXPLAIN, FORM_HTML, "text=a thing&versus=another"));
    ask_free(ask_of(&served[2], VERB_EXPLAIN, FORM_JSON, "text=" DOG "&method=surgery,rise"));
    ask_free(ask_of(&served[2], VERB_EXPLAIN, FORM_JSON, "text=a&method=surgery&among=b"));
    ask_free(ask_of(&served[2], VERB_CLASSIFY, FORM_JSON, LABELS));
    ask_free(ask_of(&served[2], VERB_EMBED, FORM_JSON, "text=a thing"));
    ck_assert(!seen);
    ck_assert_int_eq(vitx_texts_embed(vector, served[2].session.texts, &text, 1, 0), VITX_OK);
    ck_assert(seen);
    texts_watch(NULL, NULL);
    end();
}
END_TEST

/* ------------------------------------------------------------------ no memory -------------- */

static bool answers_with(int allocations, int which, const vitx_image *image)
{
    static const struct field fields[][4] = {
        {{"label", "a cat"}, {"label", DOG}, {"template", "a {}"}, {"template", "zh7"}},
        {{"text", "a cat"}, {"text", DOG}, {"method", "legrad"}, {"versus", "a"}},
        {{"text", "a cat"}, {"among", DOG}, {"method", "surgery"}, {"among", "a"}},
        {{"text", "a cat"}, {"text", DOG}, {"normalize", "1"}, {"text", "c"}}};
    static const enum verb verbs[] = {VERB_CLASSIFY, VERB_EXPLAIN, VERB_EXPLAIN, VERB_EMBED};
    return answers_within(allocations, &served[2], verbs[which], FORM_JSON, fields[which], 4,
                          image);
}

START_TEST(memory_runs_out_anywhere)
{
    const struct work_opts opts = usual();
    begin_texts(&opts, 0);
    vitx_image *image = open_picture();
    int n = 1;
    while (!answers_with(n, _i, image))
        n += 1 + n / 40;
    ck_assert_int_gt(n, 20);
    vitx_image_free(image);
    end();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("serve_texts");
    TCase *t = tcase_create("answers");
    tcase_add_test(t, labels_are_the_librarys);
    tcase_add_test(t, a_server_has_labels);
    tcase_add_loop_test(t, maps_of_texts_are_the_librarys, 0, 3);
    tcase_add_loop_test(t, maps_told_from_others_are_the_librarys, 0, 2);
    tcase_add_test(t, what_texts_were_told_from_is_said);
    tcase_add_test(t, texts_have_their_numbers_and_words);
    tcase_add_test(t, texts_are_embedded_without_a_picture);
    tcase_add_loop_test(t, labels_cost_once, 0, 2);
    tcase_add_test(t, texts_have_a_cost);
    tcase_add_loop_test(t, others_cost_once, 0, 2);
    tcase_add_test(t, labels_are_made_once);
    tcase_add_test(t, kept_labels_are_bounded);
    tcase_add_test(t, texts_tell_answers_apart);
    tcase_add_test(t, texts_run_alone);
    tcase_add_test(t, what_is_no_text_is_refused);
    tcase_add_test(t, others_need_a_text_and_a_method);
    tcase_add_test(t, too_many_texts_are_refused);
    tcase_add_loop_test(t, nobody_waits_for_a_tower, 0, 2);
    tcase_add_test(t, asking_runs_no_tower);
    if (!SANITIZED_THREADS) /* it is one thread's */
        tcase_add_loop_test(t, memory_runs_out_anywhere, 0, 4);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
