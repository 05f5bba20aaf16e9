/*
 * The boundary between host and device: what device.h and ops.h promise, shown by the devices
 * "walled" and "deferred" (test/device_walled.c, test/device_deferred.c). First that the two see
 * what they are there to see; then that the library keeps its side, finished and cancelled: all
 * golden models, all methods, all metrics and the statistics give the very bits that they give on
 * "ref". So they do on "padded" (test/device_padded.c), whose narrow type is larger than a float,
 * and on "near" (test/device_near.c), where the host makes the variants of a picture.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "device_deferred.h"
#include "engine/context.h"
#include "far_memory.h"
#include "util.h"
#include "whole.h"

static const char *const kinds[] = {"walled", "deferred", "padded", "near"};
enum { KINDS = 4, FAR_KINDS = 2 }; /* the first two have memory that the host cannot read */
static char folders[MOST_MODELS][128];
static int folder_count;

/* ------------------------------------------------------------------ the devices themselves - */

static void *lend(size_t bytes, void *owner)
{
    (void)owner;
    return malloc(bytes);
}

static void take_back(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static const vx_device_env env = {.alloc = lend, .release = take_back, .workers = 1};

static vx_device *open_device(const char *name)
{
    char text[160];
    vx_device *dev;
    ck_assert_int_eq(
        vx_device_find(name)->open(&dev, &env, "auto", VX_FEATURES_ALL, text, sizeof text), 0);
    return dev;
}

static void sync_ok(vx_device *dev)
{
    char text[160] = "";
    const int failed = dev->cls->sync(dev, text, sizeof text);
    ck_assert_msg(!failed, "%s", text);
}

static void sync_says(vx_device *dev, const char *words)
{
    char text[160] = "";
    ck_assert_int_eq(dev->cls->sync(dev, text, sizeof text), VX_DEVICE_FAILED);
    ck_assert_msg(strstr(text, words) != NULL, "\"%s\" lacks \"%s\"", text, words);
    sync_ok(dev);
}

/* Whether a process that reads a byte there is killed for it. */
static bool reading_kills(const char *at)
{
    int status;
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's own would make a report of it */
        const volatile char *byte = at;
        _exit(*byte == 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

START_TEST(test_walls__stop_whoever_reads)
{
    vx_device *dev = open_device(kinds[_i]);
    const vx_device_class *cls = dev->cls;
    char *far = cls->mem_alloc(100, &env), near[100] = {1};
    ck_assert_uint_eq((uintptr_t)far % 64, 0);
    ck_assert(reading_kills(far) && reading_kills(far + 99));
    ck_assert(!reading_kills(near));
    cls->upload(dev, far, near, sizeof near);
    sync_ok(dev);
    ck_assert(reading_kills(far));
    far_open();
    ck_assert(!reading_kills(far) && far[0] == 1);
    ck_assert(reading_kills(far + 128)); /* 100 rounded up to 64 */
    far_close();
    ck_assert(reading_kills(far));
    cls->mem_free(far, &env);
    far_open();
    ck_assert(reading_kills(far));
    far_close();
    cls->close(dev);
}
END_TEST

START_TEST(test_devices__wrap_every_operation)
{
    vx_device *dev = open_device(kinds[_i]);
#define VX_OP(name)                                                                                \
    ck_assert_msg(dev->ops.name && dev->ops.name != vx_##name##_ref, "%s: " #name, kinds[_i]);
#include "kernels/ops.def"
#undef VX_OP
    dev->cls->close(dev);
}
END_TEST

enum { N = 6 };

START_TEST(test_deferred__nothing_happens_before_sync)
{
    vx_device *dev = open_device("deferred");
    float *x = dev->cls->mem_alloc(4 * N * sizeof *x, &env), *sum = x + 2 * N;
    float from[2 * N], back[N] = {7}, weights[2] = {1, 10};
    for (int i = 0; i < 2 * N; i++)
        from[i] = (float)i;
    dev->cls->upload(dev, x, from, sizeof from);
    dev->ops.clear(dev, &(vx_clear){.y = sum, .count = N});
    vx_add_weighted a = {.sum = sum, .x = x, .weights = weights, .samples = 2, .groups = 1, .n = N};
    dev->ops.add_weighted(dev, &a);
    dev->cls->download(dev, back, sum, sizeof back);
    ck_assert_int_eq(deferred_queued(dev), 4);
    ck_assert_int_eq(deferred_copies(dev), 2);
    ck_assert(isnan(back[0]) && isnan(back[N - 1]));
    a = (vx_add_weighted){0}; /* the struct and its host array may be reused */
    weights[0] = weights[1] = NAN;
    sync_ok(dev);
    ck_assert_int_eq(deferred_queued(dev), 0);
    for (int i = 0; i < N; i++)
        ck_assert_float_eq(back[i], (float)(i + 10 * (i + N)));
    dev->cls->mem_free(x, &env);
    dev->cls->close(dev);
}
END_TEST

START_TEST(test_deferred__says_what_was_not_waited_for)
{
    vx_device *dev = open_device("deferred");
    float *x = dev->cls->mem_alloc(N * sizeof *x, &env), near[N] = {1};
    dev->cls->upload(dev, x, near, sizeof near);
    near[3] = 5;
    sync_says(dev, "the source of an upload was changed");
    dev->cls->download(dev, near, x, sizeof near);
    near[0] = 5;
    sync_says(dev, "the target of a download was written");
    dev->ops.clear(dev, &(vx_clear){.y = near, .count = N});
    sync_says(dev, "the operation clear was given host memory");
    dev->cls->mem_free(x, &env);
    dev->cls->close(dev);
}
END_TEST

/* ------------------------------------------------------------------ the library ------------ */

static const char *const models[] = {"test/golden/models/vit-timm",
                                     "test/golden/models/vit-timm-avg",
                                     "test/golden/models/vit-timm-oblong",
                                     "test/golden/models/beit-timm",
                                     "test/golden/models/siglip-hf-class",
                                     "test/golden/models/deit-timm-distilled",
                                     "test/golden/models/dinov2-meta-registers-swiglu",
                                     "test/golden/models/dinov3-timm"};
enum { MODELS = sizeof models / sizeof models[0] };

/* What a run collects on each device is what it collects on ref. */
static void check_same(whole_run *run, const char *folder, int which)
{
    numbers expected = {0};
    run(&expected, folder, "ref", NULL, which);
    ck_assert_uint_gt(expected.count, 0);
    for (int d = 0; d < KINDS; d++) {
        numbers found = {0};
        run(&found, folder, kinds[d], NULL, which);
        ck_assert_uint_eq(found.count, expected.count);
        for (size_t i = 0; i < found.count; i++)
            ck_assert_msg(memcmp(&found.values[i], &expected.values[i], sizeof(double)) == 0,
                          "%s, number %zu: %g, on ref %g", kinds[d], i, found.values[i],
                          expected.values[i]);
        free_numbers(&found);
    }
    free_numbers(&expected);
}

START_TEST(test_library__every_golden_model)
{
    if (!SANITIZED || _i % 8 == 0) /* what repeats numbers is cut short there */
        check_same(whole_model, folders[_i], _i);
}
END_TEST

START_TEST(test_library__every_method)
{
    check_same(whole_methods, models[_i], 0);
}
END_TEST

START_TEST(test_library__variants)
{
    check_same(whole_variants, models[_i], 0);
}
END_TEST

START_TEST(test_library__every_metric)
{
    check_same(whole_metrics, models[_i], 0);
}
END_TEST

START_TEST(test_library__statistics)
{
    check_same(whole_stats, models[_i], 0);
}
END_TEST

/* ------------------------------------------------------------------ cancelled calls -------- */

typedef struct watch {
    int64_t stop_at, total;
} watch;

static int stop(int64_t done, int64_t total, void *payload)
{
    watch *w = payload;
    w->total = total;
    return w->stop_at > 0 && done >= w->stop_at;
}

static bench open_deferred(const char *folder, watch *w)
{
    return open_bench(folder, &(bench_opts){.device = "deferred", .progress = stop, .payload = w});
}

/* A call that was stopped has returned: no copy that was put off may use the caller's memory, or
 * what the call has given back of its own. */
static void check_left(const bench *b, const char *what, int64_t at)
{
    ck_assert_msg(deferred_copies(b->c->dev) == 0, "%s, stopped at %d: %d copies are still queued",
                  what, (int)at, deferred_copies(b->c->dev));
}

/* Steps worth stopping at: all of the first passes, and the last. */
static bool is_worth(int64_t at, int64_t total)
{
    return at <= (SANITIZED ? 2 : 12) || at == total;
}

START_TEST(test_cancelled__methods_leave_no_copy_queued)
{
    watch w = {0};
    bench b = open_deferred(models[_i], &w);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map *maps[2];
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = few_variants(&m);
        if (!can_explain(b.c, &o))
            continue;
        w = (watch){.total = 1};
        for (w.stop_at = 1; w.stop_at <= w.total; w.stop_at++) {
            if (!is_worth(w.stop_at, w.total))
                continue;
            ck_fails(vitx_explain_many(maps, b.c, pictures(&b), 2, &o, 1), VITX_CANCELLED, "");
            for (int k = 0; k < 2; k++)
                vitx_map_free(maps[k]);
            check_left(&b, m.name, w.stop_at);
        }
        w.stop_at = -1;
        ck_ok(vitx_explain_many(maps, b.c, pictures(&b), 2, &o, 1)); /* as if nothing had been */
        for (int k = 0; k < 2; k++)
            vitx_map_free(maps[k]);
        check_left(&b, m.name, -1);
    }
    close_bench(&b);
}
END_TEST

/* The caller's own numbers are read no more. */
START_TEST(test_cancelled__backward_leaves_no_copy_queued)
{
    watch w = {.stop_at = -1};
    bench b = open_deferred(models[_i], &w);
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&info, b.model));
    t.gradients = VITX_GRADIENT_INPUT;
    t.targets = 1;
    ck_ok(vitx_context_set_trace(b.c, &t));
    ck_ok(vitx_forward(b.c, pictures(&b), 2));
    const size_t bytes = 2 * (size_t)info.classes * sizeof(float);
    for (int at = 1; at <= info.depth; at++) {
        float *dlogits = calloc(1, bytes);
        w.stop_at = at;
        ck_fails(vitx_backward(b.c, dlogits), VITX_CANCELLED, "");
        check_left(&b, "backward", at);
        free(dlogits);
    }
    w.stop_at = 1;
    vitx_prediction top[2];
    ck_fails(vitx_classify_batch(b.c, pictures(&b), 2, top, 1), VITX_CANCELLED, "");
    check_left(&b, "classify", 1);
    vitx_stats *s;
    ck_ok(vitx_stats_create(&s, b.c));
    ck_fails(vitx_stats_add(s, pictures(&b), 2), VITX_CANCELLED, "");
    check_left(&b, "stats", 1);
    vitx_stats_free(s);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ suite ------------------ */

static Suite *suite(void)
{
    Suite *s = suite_create("boundary");
    TCase *t = tcase_create("devices");
    folder_count = model_folders(folders);
    tcase_add_loop_test(t, test_walls__stop_whoever_reads, 0, FAR_KINDS);
    tcase_add_loop_test(t, test_devices__wrap_every_operation, 0, FAR_KINDS);
    tcase_add_test(t, test_deferred__nothing_happens_before_sync);
    tcase_add_test(t, test_deferred__says_what_was_not_waited_for);
    suite_add_tcase(s, t);
    t = tcase_create("library");
    tcase_add_loop_test(t, test_library__every_golden_model, 0, folder_count);
    tcase_add_loop_test(t, test_library__every_method, 0, SANITIZED ? 1 : MODELS);
    tcase_add_loop_test(t, test_library__variants, 0, SANITIZED ? 0 : 3);
    tcase_add_loop_test(t, test_library__every_metric, 0, SANITIZED ? 1 : MODELS);
    tcase_add_loop_test(t, test_library__statistics, 0, MODELS);
    suite_add_tcase(s, t);
    t = tcase_create("cancelled");
    tcase_add_loop_test(t, test_cancelled__methods_leave_no_copy_queued, 2, 5);
    tcase_add_loop_test(t, test_cancelled__backward_leaves_no_copy_queued, 0, MODELS);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
