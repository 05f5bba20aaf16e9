/*
 * Handles used as they should not be: a context by two threads or by its own progress callback, a
 * model that is freed first, views of an earlier call; progress callbacks that change.
 * VX_TEST_THREADS
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

static vitx_image *picture(void)
{
    vitx_image *image;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    return image;
}

static vitx_context *context_of(vitx_model *model)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.threads = 1;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

typedef struct caller {
    vitx_context *c;
    vitx_image *image;
    int calls, busy;
} caller;

/* All that run or plan something on the context of a call that is under way. */
static void try_all(caller *k)
{
    vitx_prediction top;
    vitx_map *map = (vitx_map *)k;
    vitx_evaluate_opts metric = VITX_EVALUATE_OPTS_INIT;
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    size_t bytes;
    const vitx_image *image = k->image;
    o.method = "rollout";
    metric.metric = "sparseness";
    const uint64_t generation = vitx_context_generation(k->c);
    ck_fails(vitx_classify(k->c, image, &top, 1), VITX_BUSY, "one thread at a time");
    ck_fails(vitx_forward(k->c, &image, 1), VITX_BUSY, "progress callback");
    ck_fails(vitx_explain(&map, k->c, image, &o), VITX_BUSY, "");
    ck_assert_ptr_null(map);
    ck_fails(vitx_explain_bytes(&bytes, k->c, &o, 1), VITX_BUSY, "");
    ck_fails(vitx_map_blind(&map, k->c, image, VITX_BLIND_RANDOM, 1, VITX_AUTO), VITX_BUSY, "");
    ck_fails(vitx_evaluate_check(k->c, &metric, 1), VITX_BUSY, "");
    ck_fails(vitx_context_set_trace(k->c, NULL), VITX_BUSY, "");
    ck_fails(vitx_context_set_progress(k->c, NULL, NULL), VITX_BUSY, "during a call");
    ck_assert_uint_eq(vitx_context_generation(k->c), generation);
    k->busy++;
}

static int call_back(int64_t done, int64_t total, void *payload)
{
    caller *k = payload;
    (void)done;
    (void)total;
    if (k->calls++ == 0)
        try_all(k);
    return 0;
}

START_TEST(test_context__refuses_its_own_callback)
{
    vitx_model *model;
    vitx_prediction quiet, watched;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    caller k = {.c = context_of(model), .image = picture()};
    ck_ok(vitx_classify(k.c, k.image, &quiet, 1));
    ck_ok(vitx_context_set_progress(k.c, call_back, &k));
    ck_ok(vitx_classify(k.c, k.image, &watched, 1));
    ck_assert_int_eq(k.busy, 1);
    ck_assert_int_gt(k.calls, 1);
    ck_assert(quiet.index == watched.index && quiet.logit == watched.logit);
    ck_ok(vitx_context_set_progress(k.c, NULL, NULL));
    const int calls = k.calls;
    ck_ok(vitx_classify(k.c, k.image, &watched, 1)); /* and it is free again */
    ck_assert_int_eq(k.calls, calls);
    ck_assert_str_eq(vitx_status_name(VITX_BUSY), "busy");
    vitx_image_free(k.image);
    vitx_context_free(k.c);
    vitx_model_free(model);
}
END_TEST

static void *in_a_thread(void *arg)
{
    try_all(arg);
    return NULL;
}

/* The first thread waits in its callback until the second one has been refused. */
static int let_another_try(int64_t done, int64_t total, void *payload)
{
    caller *k = payload;
    pthread_t other;
    (void)done;
    (void)total;
    if (k->calls++ == 0) {
        ck_assert_int_eq(pthread_create(&other, NULL, in_a_thread, k), 0);
        ck_assert_int_eq(pthread_join(other, NULL), 0);
    }
    return 0;
}

START_TEST(test_context__refuses_a_second_thread)
{
    vitx_model *model;
    vitx_prediction top;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    caller k = {.c = context_of(model), .image = picture()};
    ck_ok(vitx_context_set_progress(k.c, let_another_try, &k));
    ck_ok(vitx_classify(k.c, k.image, &top, 1));
    ck_assert_int_eq(k.busy, 1);
    vitx_image_free(k.image);
    vitx_context_free(k.c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_context__tells_whether_a_view_is_stale)
{
    vitx_model *model;
    vitx_view view;
    vitx_prediction top;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = context_of(model);
    vitx_image *image = picture();
    const vitx_image *one = image;
    ck_assert_uint_eq(vitx_context_generation(NULL), 0);
    ck_ok(vitx_forward(c, &one, 1));
    ck_ok(vitx_logits(&view, c));
    const uint64_t now = vitx_context_generation(c);
    ck_assert_uint_ge(now, 1);
    ck_ok(vitx_input(&view, c));
    ck_ok(vitx_context_get_info(&info, c));
    ck_fails(vitx_classify(c, NULL, &top, 0), VITX_INVALID, "");
    ck_assert_uint_ge(vitx_context_generation(c), now);
    const uint64_t before = vitx_context_generation(c);
    ck_ok(vitx_classify(c, image, &top, 1));
    ck_assert_uint_gt(vitx_context_generation(c), before);
    ck_fails(vitx_logits(&view, c), VITX_INVALID, "nothing to view");
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* The model's memory goes with its last context, whichever is freed first. */
START_TEST(test_model__stays_until_its_last_context)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_model *model;
    vitx_prediction first, then;
    o.hooks = &hooks;
    ck_ok(vitx_model_open(&model, "test/golden/models/deit-hf", &o));
    vitx_context *a = context_of(model), *b = context_of(model);
    vitx_image *image = picture();
    ck_ok(vitx_classify(a, image, &first, 1));
    vitx_model_free(model);
    ck_ok(vitx_classify(a, image, &then, 1));
    ck_assert(first.index == then.index && first.logit == then.logit);
    ck_assert_ptr_eq(first.label, then.label);
    vitx_context_free(a);
    ck_assert_int_gt(r.live, 0);
    ck_ok(vitx_classify(b, image, &then, 1));
    ck_assert(!then.label || strlen(then.label) > 0);
    vitx_context_free(b);
    ck_assert_int_eq(r.live, 0);
    vitx_image_free(image);
}
END_TEST

/* A context that cannot be made does not keep it. */
START_TEST(test_model__is_let_go_by_a_context_that_fails)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_model *model;
    vitx_context *c;
    o.hooks = &hooks;
    co.device = "toaster";
    ck_ok(vitx_model_open(&model, "test/golden/models/deit-hf", &o));
    ck_fails(vitx_context_create(&c, model, &co), VITX_DEVICE, "toaster");
    vitx_model_free(model);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("sharing");
    TCase *t = tcase_create("sharing");
    tcase_add_test(t, test_context__refuses_its_own_callback);
    tcase_add_test(t, test_context__refuses_a_second_thread);
    tcase_add_test(t, test_context__tells_whether_a_view_is_stale);
    tcase_add_test(t, test_model__stays_until_its_last_context);
    tcase_add_test(t, test_model__is_let_go_by_a_context_that_fails);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
