/*
 * Passes of the library on the CUDA device as lists and graphs (kernels/cuda/list.h): a context
 * that has run a few of them gives the bits of one that launches each operation by itself (as it
 * does while it is profiled); what a call queues; calls that are cancelled, and memory that runs
 * out. VX_TEST_THREADS
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "cuda_bed.h"
#include "kernels/cuda/host/machine.h"
#include "util.h"
#include "whole.h"

static const char *const models[] = {"test/golden/models/vit-timm",
                                     "test/golden/models/deit-timm-distilled"};
enum { MODELS = 2, CLASSES = 3 };

typedef struct bits {
    float values[1 << 15];
    size_t count;
} bits;

static void add(bits *to, const float *values, size_t count)
{
    ck_assert_uint_le(to->count + count, sizeof to->values / sizeof to->values[0]);
    memcpy(to->values + to->count, values, count * sizeof *values);
    to->count += count;
}

static void add_view(bits *to, const vitx_view *view)
{
    size_t count = 1;
    for (int axis = 0; axis < view->rank; axis++)
        count *= (size_t)view->shape[axis];
    add(to, view->data, count);
}

typedef struct side {
    bench b;
    bits bits;
    vitx_model_info info;
} side;

/* with: with lists. */
static side *open_side(const char *folder, const char *precision, bool with, bench_opts how)
{
    side *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    how.device = cuda_class()->name;
    how.precision = precision;
    s->b = open_bench(folder, &how);
    s->info = (vitx_model_info)VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&s->info, s->b.model));
    if (!with)
        ck_ok(vitx_context_set_profile(s->b.c, 1));
    return s;
}

static void close_side(side *s)
{
    close_bench(&s->b);
    free(s);
}

static void check_equal(side *with, side *without, const char *what, int pass)
{
    ck_assert_uint_gt(with->bits.count, 0);
    ck_assert_uint_eq(with->bits.count, without->bits.count);
    for (size_t i = 0; i < with->bits.count; i++)
        ck_assert_msg(memcmp(&with->bits.values[i], &without->bits.values[i], sizeof(float)) == 0,
                      "%s, pass %d: number %zu of %zu is %g, not %g", what, pass, i,
                      with->bits.count, (double)with->bits.values[i],
                      (double)without->bits.values[i]);
    with->bits.count = without->bits.count = 0;
}

/* Which pictures: new contents for the same launches, or one picture, which are others. */
static const vitx_image *const *chosen(const side *s, int pass, int *n)
{
    static const vitx_image *turned[2];
    turned[0] = s->b.images[1];
    turned[1] = s->b.images[0];
    *n = pass == 3 ? 1 : 2;
    return pass % 2 ? turned : pictures(&s->b);
}

static void classify(side *s, int pass)
{
    int n;
    vitx_prediction top[2 * CLASSES];
    const vitx_image *const *images = chosen(s, pass, &n);
    ck_ok(vitx_classify_batch(s->b.c, images, n, top, CLASSES));
    for (int i = 0; i < n * CLASSES; i++) {
        const float found[] = {(float)top[i].index, top[i].logit, top[i].probability};
        add(&s->bits, found, 3);
    }
}

static void gradients(side *s, int pass)
{
    int n;
    vitx_view view;
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    const vitx_image *const *images = chosen(s, pass, &n);
    t.record = VITX_RECORD_ALL;
    t.gradients = VITX_GRADIENT_ANY;
    t.targets = 1;
    ck_ok(vitx_context_set_trace(s->b.c, &t));
    ck_ok(vitx_forward(s->b.c, images, n));
    ck_ok(vitx_logits(&view, s->b.c));
    add_view(&s->bits, &view);
    float *dlogits = calloc(2 * (size_t)s->info.classes, sizeof *dlogits);
    ck_assert_ptr_nonnull(dlogits);
    for (int i = 0; i < 2; i++)
        dlogits[i * s->info.classes + pass % s->info.classes] = 1;
    ck_ok(vitx_backward(s->b.c, dlogits));
    free(dlogits);
    ck_ok(vitx_input_gradient(&view, s->b.c));
    add_view(&s->bits, &view);
    ck_ok(vitx_attention_gradient(&view, s->b.c, 0));
    add_view(&s->bits, &view);
}

/* Passes of every kind, from one picture and from many variants of it. */
static void methods(side *s, int pass)
{
    static const char *const names[] = {"gradcam", "rollout",   "legrad",  "integrated-gradients",
                                        "rise",    "occlusion", "generic", "scorecam"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int n;
        vitx_map *maps[2];
        vitx_map_info info = VITX_MAP_INFO_INIT;
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
        for (int k = 0; vitx_method_get(&m, k) == VITX_OK; k++)
            if (strcmp(m.name, names[i]) == 0)
                o = few_variants(&m);
        ck_assert_msg(o.method != NULL, "there is no method %s", names[i]);
        o.target = 1;
        const vitx_image *const *images = chosen(s, pass, &n);
        ck_ok(vitx_explain_many(maps, s->b.c, images, n, &o, 1));
        for (int k = 0; k < n; k++) {
            size_t count = 1;
            ck_ok(vitx_map_get_info(&info, maps[k]));
            for (int axis = 0; axis < info.rank; axis++)
                count *= (size_t)info.shape[axis];
            add(&s->bits, vitx_map_values(maps[k]), count);
            vitx_map_free(maps[k]);
        }
    }
}

/* Every block is watched: copies and waits inside of the pass. */
static void statistics(side *s, int pass)
{
    int n;
    vitx_stats *stats;
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    const vitx_image *const *images = chosen(s, pass, &n);
    ck_ok(vitx_stats_create(&stats, s->b.c));
    ck_ok(vitx_stats_add(stats, images, n));
    ck_ok(vitx_stats_get_info(&info, stats));
    for (int stat = 0; vitx_stat_name(stat); stat++)
        for (int i = 0; i < info.layers * info.heads; i++) {
            const float mean = (float)vitx_stats_mean(stats, (vitx_stat)stat)[i];
            add(&s->bits, &mean, 1);
        }
    vitx_stats_free(stats);
}

typedef struct call {
    const char *name;
    void (*run)(side *s, int pass);
    int passes;
    bool graphs; /* the last pass is one */
} call;

static const call calls[] = {{"classify", classify, 5, true},
                             {"gradients", gradients, 5, true},
                             {"methods", methods, 3, true},
                             {"statistics", statistics, 3, false}};
enum { CALLS = sizeof calls / sizeof calls[0] };

START_TEST(test_passes__give_the_same_bits)
{
    const call *how = &calls[_i / MODELS];
    static const char *const precisions[] = {"f32", "bf16", "bf16x3"};
    const int some = SANITIZED || how->run == methods ? 1 : 3;
    if (SANITIZED && _i % MODELS)
        return;
    for (int p = 0; p < some; p++) {
        const char *precision = precisions[(p + _i) % 3];
        vx_machine_counts before, after;
        side *with = open_side(models[_i % MODELS], precision, true, (bench_opts){0}),
             *without = open_side(models[_i % MODELS], precision, false, (bench_opts){0});
        for (int pass = 0; pass < how->passes; pass++) {
            vx_machine_count(&before);
            how->run(with, pass);
            vx_machine_count(&after);
            how->run(without, pass);
            check_equal(with, without, how->name, pass);
        }
        if (cuda_is_twin("graphs of passes"))
            ck_assert_int_eq(after.graphs > before.graphs, how->graphs);
        close_side(with);
        close_side(without);
    }
}
END_TEST

/* All at once: each kind finds what the others have left. */
START_TEST(test_passes__of_all_kinds_in_turn)
{
    side *with = open_side(models[0], "bf16x3", true, (bench_opts){0}),
         *without = open_side(models[0], "bf16x3", false, (bench_opts){0});
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < CALLS; k++) {
            calls[k].run(with, pass);
            calls[k].run(without, pass);
            check_equal(with, without, calls[k].name, pass);
        }
    close_side(with);
    close_side(without);
}
END_TEST

/* A copy of the inputs, a graph, a copy of the answers. */
START_TEST(test_passes__queue_little)
{
    if (!cuda_is_twin("what passes queue"))
        return;
    side *s = open_side(models[0], "bf16", true, (bench_opts){0});
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vx_machine_counts before, after;
    ck_ok(vitx_context_get_info(&info, s->b.c));
    const int h = info.input_height, w = info.input_width;
    float *inputs = calloc(2 * 3 * (size_t)h * (size_t)w, sizeof *inputs);
    ck_assert_ptr_nonnull(inputs);
    for (int i = 0; i < 4; i++) {
        vitx_prediction top[2];
        inputs[i] = 1;
        vx_machine_count(&before);
        ck_ok(vitx_classify_inputs(s->b.c, inputs, 2, h, w, top, 1));
        vx_machine_count(&after);
    }
    free(inputs);
    ck_assert_int_eq(after.queued - before.queued, 3);
    ck_assert_int_eq(after.graphs - before.graphs, 1);
    close_side(s);
}
END_TEST

/* ------------------------------------------------------------------- calls that end early -- */

typedef struct stop_at {
    int64_t at, total;
} stop_at;

static int stop(int64_t done, int64_t total, void *payload)
{
    stop_at *s = payload;
    s->total = total;
    return s->at > 0 && done >= s->at;
}

START_TEST(test_passes__may_be_cancelled)
{
    stop_at when = {0};
    side *with =
             open_side(models[0], "bf16", true, (bench_opts){.progress = stop, .payload = &when}),
         *without = open_side(models[0], "bf16", false, (bench_opts){0});
    vitx_prediction top[2];
    for (int pass = 0; pass < 3; pass++)
        for (int64_t at = 0; at <= with->info.depth; at++) {
            when.at = at;
            if (at)
                ck_fails(vitx_classify_batch(with->b.c, pictures(&with->b), 2, top, 1),
                         VITX_CANCELLED, "");
            when.at = 0;
            classify(with, pass);
            classify(without, pass);
            check_equal(with, without, "after a call that was cancelled", pass);
            ck_assert_int_eq(when.total, with->info.depth);
        }
    close_side(with);
    close_side(without);
}
END_TEST

/* A launch that fails anywhere in one of the first calls is reported; the next call is right. */
START_TEST(test_passes__may_fail)
{
    if (!cuda_is_twin("passes that fail"))
        return;
    side *with = open_side(models[0], "bf16", true, (bench_opts){0}),
         *without = open_side(models[0], "bf16", false, (bench_opts){0});
    vitx_prediction top[2];
    for (int at = 0; at < 24; at += 5) {
        vx_machine_fail_launch(at);
        ck_fails(vitx_classify_batch(with->b.c, pictures(&with->b), 2, top, 1), VITX_DEVICE,
                 "unspecified launch failure");
        vx_machine_fail_launch(-1);
        for (int pass = 0; pass < 3; pass++) {
            classify(with, pass);
            classify(without, pass);
            check_equal(with, without, "after a call that failed", at);
        }
    }
    close_side(with);
    close_side(without);
}
END_TEST

/* Whichever allocation of the host fails, at the worst there is no list. */
START_TEST(test_memory__may_run_out)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    side *s = open_side(models[0], "f32", true, (bench_opts){0});
    classify(s, 0);
    bool enough = false;
    for (int n = 0; !enough; n += SANITIZED ? 20 : 1) {
        vitx_model *model = NULL;
        vitx_context *c = NULL;
        vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
        vitx_model_opts m = VITX_MODEL_OPTS_INIT;
        vitx_prediction top[2 * CLASSES];
        m.hooks = &hooks;
        o.device = cuda_class()->name;
        o.threads = 1;
        o.max_batch = 2;
        r = (ration){.left = n};
        int status = vitx_model_open(&model, models[0], &m);
        if (status == VITX_OK)
            status = vitx_context_create(&c, model, &o);
        for (int pass = 0; pass < 4 && status == VITX_OK; pass++) {
            status = vitx_classify_batch(c, pictures(&s->b), 2, top, CLASSES);
            for (int i = 0; i < 2 * CLASSES && status == VITX_OK; i++)
                ck_assert_int_eq(top[i].index, (int)s->bits.values[3 * i]);
        }
        enough = status == VITX_OK && r.left > 0;
        ck_assert(status == VITX_OK || status == VITX_NOMEM);
        vitx_context_free(c);
        vitx_model_free(model);
        ck_assert_int_eq(r.live, 0);
    }
    close_side(s);
}
END_TEST

/* ------------------------------------------------------------------------ two threads ------ */

static void *worker(void *arg)
{
    side *s = arg;
    for (int pass = 0; pass < 4; pass++)
        classify(s, 2 * pass);
    return NULL;
}

START_TEST(test_threads__run_a_model_each)
{
    pthread_t threads[2];
    side *s[2];
    for (int i = 0; i < 2; i++) {
        s[i] = open_side(models[i], "bf16", true, (bench_opts){0});
        ck_assert_int_eq(pthread_create(&threads[i], NULL, worker, s[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        side *without = open_side(models[i], "bf16", false, (bench_opts){0});
        pthread_join(threads[i], NULL);
        worker(without);
        check_equal(s[i], without, "in a thread of its own", 0);
        close_side(s[i]);
        close_side(without);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_passes");
    TCase *t = tcase_create("passes");
    tcase_add_loop_test(t, test_passes__give_the_same_bits, 0,
                        SANITIZED_THREADS ? 0 : CALLS * MODELS);
    tcase_add_loop_test(t, test_passes__of_all_kinds_in_turn, 0, !SANITIZED);
    tcase_add_loop_test(t, test_passes__queue_little, 0, !SANITIZED_THREADS);
    tcase_add_loop_test(t, test_passes__may_be_cancelled, 0, !SANITIZED_THREADS);
    tcase_add_loop_test(t, test_passes__may_fail, 0, !SANITIZED_THREADS);
    tcase_add_loop_test(t, test_memory__may_run_out, 0, !SANITIZED_THREADS);
    tcase_add_test(t, test_threads__run_a_model_each);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
