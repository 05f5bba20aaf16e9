/*
 * The boundary between host and device: what device.h and ops.h promise, shown by the devices
 * "walled" and "deferred" (test/device_walled.c, test/device_deferred.c). First that the two see
 * what they are there to see; then that the library keeps its side, finished and cancelled: all
 * golden models, all methods, all metrics and the statistics give the very bits that they give on
 * "ref". So they do on "padded" (test/device_padded.c), whose narrow type is larger than a float.
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

static const char *const kinds[] = {"walled", "deferred", "padded"};
enum { KINDS = 3, FAR_KINDS = 2 }; /* the first two have memory that the host cannot read */
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

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    vitx_image *images[2];
} bench;

static vitx_image *noise(uint64_t seed)
{
    enum { W = 39, H = 31 };
    uint8_t rgb[3 * W * H];
    rng r = {seed};
    vitx_image *image;
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, W, H, 0, NULL));
    return image;
}

static bench open_bench(const char *folder, const char *device, vitx_gradients gradients,
                        vitx_progress *progress, void *payload)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    bench b = {0};
    o.device = device;
    o.threads = 1;
    o.max_batch = 2;
    o.gradients = gradients;
    o.progress = progress;
    o.progress_payload = payload;
    ck_ok(vitx_model_open(&b.model, folder, NULL));
    ck_ok(vitx_context_create(&b.c, b.model, &o));
    for (int i = 0; i < 2; i++)
        b.images[i] = noise((uint64_t)i + 1);
    return b;
}

static void close_bench(bench *b)
{
    for (int i = 0; i < 2; i++)
        vitx_image_free(b->images[i]);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

static const vitx_image *const *pictures(const bench *b)
{
    return (const vitx_image *const *)b->images;
}

/* Numbers of a run, for a comparison bit by bit. */
typedef struct numbers {
    double *values;
    size_t count, room;
} numbers;

static void add(numbers *n, double value)
{
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 4096;
        n->values = realloc(n->values, n->room * sizeof *n->values);
        ck_assert_ptr_nonnull(n->values);
    }
    n->values[n->count++] = value;
}

static void add_floats(numbers *n, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(n, (double)values[i]);
}

static void add_view(numbers *n, const vitx_view *view)
{
    size_t count = 1;
    for (int axis = 0; axis < view->rank; axis++)
        count *= (size_t)view->shape[axis];
    add_floats(n, view->data, count);
}

static void add_map(numbers *n, vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    size_t count = 1;
    ck_ok(vitx_map_get_info(&info, map));
    for (int axis = 0; axis < info.rank; axis++)
        count *= (size_t)info.shape[axis];
    add(n, info.target);
    add(n, info.value);
    add_floats(n, vitx_map_values(map), count);
    vitx_map_free(map);
}

/* What run() collects on each device is what it collects on ref. */
static void check_same(void (*run)(numbers *n, const char *device, int which), int which)
{
    numbers expected = {0};
    run(&expected, "ref", which);
    ck_assert_uint_gt(expected.count, 0);
    for (int d = 0; d < KINDS; d++) {
        numbers found = {0};
        run(&found, kinds[d], which);
        ck_assert_uint_eq(found.count, expected.count);
        for (size_t i = 0; i < found.count; i++)
            ck_assert_msg(memcmp(&found.values[i], &expected.values[i], sizeof(double)) == 0,
                          "%s, number %zu: %g, on ref %g", kinds[d], i, found.values[i],
                          expected.values[i]);
        free(found.values);
    }
    free(expected.values);
}

/* Logits, input, attention, and gradients of everything. */
static void run_model(numbers *n, const char *device, int which)
{
    bench b = open_bench(folders[which], device,
                         which % 2 ? VITX_GRADIENTS_KEEP : VITX_GRADIENTS_RECOMPUTE, NULL, NULL);
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    ck_ok(vitx_model_get_info(&info, b.model));
    t.record = VITX_RECORD_ALL;
    t.gradients = VITX_GRADIENT_ANY;
    t.targets = 2;
    ck_ok(vitx_context_set_trace(b.c, &t));
    ck_ok(vitx_forward(b.c, pictures(&b), 2));
    ck_ok(vitx_logits(&view, b.c));
    add_view(n, &view);
    float *dlogits = calloc(4 * (size_t)info.classes, sizeof *dlogits);
    for (int g = 0; g < 4; g++)
        dlogits[g * info.classes + g % info.classes] = 1;
    ck_ok(vitx_backward(b.c, dlogits));
    memset(dlogits, 0xff, 4 * (size_t)info.classes * sizeof *dlogits);
    free(dlogits);
    for (int l = 0; l < info.depth; l++) {
        ck_ok(vitx_attention(&view, b.c, l));
        add_view(n, &view);
        ck_ok(vitx_attention_gradient(&view, b.c, l));
        add_view(n, &view);
        ck_ok(vitx_tokens(&view, b.c, l, VITX_AT_OUTPUT));
        add_view(n, &view);
        ck_ok(vitx_tokens_gradient(&view, b.c, l, VITX_AT_NORM1));
        add_view(n, &view);
    }
    ck_ok(vitx_input_gradient(&view, b.c));
    add_view(n, &view);
    close_bench(&b);
}

START_TEST(test_library__every_golden_model)
{
    if (!SANITIZED || _i % 4 == 0) /* what repeats numbers is cut short there */
        check_same(run_model, _i);
}
END_TEST

/* kernelshap needs two samples for each patch. */
static const char *const few[] = {"n=16", "steps=3", "n=64"};

static vitx_explain_opts opts_of(const vitx_method_info *m)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k == 0 && strcmp(m->name, "kernelshap") == 0 ? 2 : k];
                o.set_count = 1;
            }
    return o;
}

static const char *const models[] = {"test/golden/models/vit-timm",
                                     "test/golden/models/vit-timm-avg",
                                     "test/golden/models/vit-timm-oblong",
                                     "test/golden/models/beit-timm",
                                     "test/golden/models/siglip-hf-class",
                                     "test/golden/models/deit-timm-distilled",
                                     "test/golden/models/dinov2-meta-registers-swiglu",
                                     "test/golden/models/dinov3-timm"};
enum { MODELS = sizeof models / sizeof models[0] };

/* Each method alone on two pictures, and then all in one call. */
static void run_methods(numbers *n, const char *device, int which)
{
    enum { MOST = 64 };
    bench b = open_bench(models[which], device, VITX_GRADIENTS_AUTO, NULL, NULL);
    vitx_explain_opts all[MOST];
    vitx_map *maps[2 * MOST];
    const int count = vitx_method_count();
    ck_assert_int_le(count, MOST);
    for (int i = 0; i < count; i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&m, i));
        all[i] = opts_of(&m);
        const int status = vitx_explain_many(maps, b.c, pictures(&b), 2, &all[i], 1);
        ck_assert_msg(status == VITX_OK, "%s on %s: %s", m.name, device, vitx_last_error());
        for (int k = 0; k < 2; k++)
            add_map(n, maps[k]);
    }
    ck_ok(vitx_explain_many(maps, b.c, pictures(&b), 2, all, count));
    for (int i = 0; i < 2 * count; i++)
        add_map(n, maps[i]);
    close_bench(&b);
}

START_TEST(test_library__every_method)
{
    check_same(run_methods, _i);
}
END_TEST

/* All metrics of one map. */
static void run_metrics(numbers *n, const char *device, int which)
{
    enum { MOST = 32 };
    bench b = open_bench(models[which], device, VITX_GRADIENTS_AUTO, NULL, NULL);
    vitx_explain_opts how = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts opts[MOST];
    vitx_evaluation *e[MOST];
    vitx_map *map;
    const int width = vitx_image_width(b.images[0]), height = vitx_image_height(b.images[0]);
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t *mask = calloc(2 * pixels, 1);
    memset(mask + pixels / 4, 1, pixels / 2);
    memset(mask + pixels, 1, pixels / 4);
    how.method = "gradcam";
    const int m = vitx_metric_count();
    ck_assert_int_le(m, MOST);
    for (int j = 0; j < m; j++) {
        vitx_metric_info info = VITX_METRIC_INFO_INIT;
        ck_ok(vitx_metric_get(&info, j));
        vitx_evaluate_opts_init(&opts[j], sizeof opts[j]);
        opts[j].metric = info.name;
        opts[j].explain = &how;
        opts[j].mask = mask;
        opts[j].other = mask + pixels;
        opts[j].mask_height = height;
        opts[j].mask_width = width;
    }
    ck_ok(vitx_explain(&map, b.c, b.images[0], &how));
    ck_ok(vitx_evaluate_many(e, b.c, b.images[0], map, opts, m));
    for (int j = 0; j < m; j++) {
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        ck_ok(vitx_evaluation_get_info(&info, e[j]));
        for (int i = 0; i < info.value_count; i++)
            add(n, info.values[i]);
        for (int i = 0; i < info.curve_count * info.point_count; i++)
            add(n, info.curves[i]);
        vitx_evaluation_free(e[j]);
    }
    vitx_map_free(map);
    free(mask);
    close_bench(&b);
}

START_TEST(test_library__every_metric)
{
    check_same(run_metrics, _i);
}
END_TEST

static void run_stats(numbers *n, const char *device, int which)
{
    bench b = open_bench(models[which], device, VITX_GRADIENTS_AUTO, NULL, NULL);
    vitx_stats *s;
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    ck_ok(vitx_stats_create(&s, b.c));
    ck_ok(vitx_stats_add(s, pictures(&b), 2));
    ck_ok(vitx_stats_get_info(&info, s));
    for (int stat = 0; vitx_stat_name(stat); stat++)
        for (int i = 0; i < info.layers * info.heads; i++)
            add(n, vitx_stats_mean(s, (vitx_stat)stat)[i]);
    vitx_stats_free(s);
    close_bench(&b);
}

START_TEST(test_library__statistics)
{
    check_same(run_stats, _i);
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
    bench b = open_bench(models[_i], "deferred", VITX_GRADIENTS_AUTO, stop, &w);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map *maps[2];
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = opts_of(&m);
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
    bench b = open_bench(models[_i], "deferred", VITX_GRADIENTS_AUTO, stop, &w);
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
    tcase_add_loop_test(t, test_library__every_method, 0, MODELS);
    tcase_add_loop_test(t, test_library__every_metric, 0, MODELS);
    tcase_add_loop_test(t, test_library__statistics, 0, MODELS);
    suite_add_tcase(s, t);
    t = tcase_create("cancelled");
    tcase_add_loop_test(t, test_cancelled__methods_leave_no_copy_queued, 2, 5);
    tcase_add_loop_test(t, test_cancelled__backward_leaves_no_copy_queued, 0, MODELS);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
