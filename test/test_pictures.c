/*
 * Pictures that a device makes inputs of (lib/engine/pictures.h), on the devices "walled" and
 * "deferred" and on the host twin of "cuda": inputs and logits have the bits that they have if the
 * host makes the inputs, for all sizes, in any order of calls, in any number of parts, if memory
 * runs out, and if a call is cancelled or the device fails. test_boundary has the methods and
 * metrics. VX_TEST_THREADS
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/pictures.h"
#include "engine/run.h"
#include "kernels/cuda/host/machine.h"
#include "kernels/cuda/runtime.h"
#include "util.h"

static const char *const devices[] = {"walled", "deferred", "cuda-host"};
enum { DEVICES = 3, DEFERRED = 1, TWIN = 2, MOST = 8 };

#define VIT "test/golden/models/vit-timm"

static vitx_image *made(uint64_t seed, int w, int h)
{
    const size_t n = (size_t)w * (size_t)h * 3;
    uint8_t *rgb = malloc(n);
    rng r = {seed};
    vitx_image *image;
    ck_assert_ptr_nonnull(rgb);
    for (size_t i = 0; i < n; i += 8) {
        const uint64_t bits = rng_next(&r);
        memcpy(rgb + i, &bits, n - i < 8 ? n - i : 8);
    }
    ck_ok(vitx_image_from_rgb(&image, rgb, w, h, 0, NULL));
    free(rgb);
    return image;
}

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    vitx_image *images[MOST];
    int n;
} bench;

static vitx_context_opts opts_of(const char *device)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = device;
    o.threads = 2;
    o.max_batch = MOST;
    return o;
}

static void open_bench(bench *b, const char *folder, const vitx_context_opts *o)
{
    *b = (bench){0};
    ck_ok(vitx_model_open(&b->model, folder, NULL));
    ck_ok(vitx_context_create(&b->c, b->model, o));
    ck_assert(b->c->dev->cls->pictures);
}

static void drop_images(bench *b)
{
    while (b->n)
        vitx_image_free(b->images[--b->n]);
}

static void close_bench(bench *b)
{
    drop_images(b);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

static void add(bench *b, int w, int h)
{
    b->images[b->n] = made((uint64_t)(100 * w + h), w, h);
    b->n++;
}

static const vitx_image *const *images(const bench *b)
{
    return (const vitx_image *const *)b->images;
}

/* What the host makes of a picture, in malloc'ed memory. */
static float *on_host(const vitx_context *c, const vitx_image *image)
{
    vitx_hooks hooks;
    vx_placement p;
    float *input = malloc(vx_context_input_count(c) * sizeof *input);
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_place(&p, &c->recipe, image->width, image->height));
    ck_ok(vx_preprocess(input, image, &c->recipe, &p, &hooks));
    return input;
}

/* The view of the inputs of the last call is what the host makes of the pictures. */
static void check_inputs(const bench *b, const char *what)
{
    vitx_view view;
    const size_t floats = vx_context_input_count(b->c);
    ck_ok(vitx_input(&view, b->c));
    ck_assert_int_eq(view.shape[0], b->n);
    ck_assert_int_eq(b->c->inputs_away, 0);
    for (int i = 0; i < b->n; i++) {
        const float *found = (const float *)view.data + (size_t)i * floats;
        float *input = on_host(b->c, b->images[i]);
        ck_assert_msg(memcmp(found, input, floats * sizeof *input) == 0, "%s: input %d, %d x %d",
                      what, i, b->images[i]->width, b->images[i]->height);
        free(input);
    }
}

/* Runs all pictures; the logits have the bits that the same inputs from the host give. */
static void check_run(bench *b, const char *what)
{
    vitx_view view;
    vitx_context *c = b->c;
    const size_t n = (size_t)b->n, k = (size_t)c->arch.classes;
    float *logits = malloc(n * k * sizeof *logits);
    ck_ok(vitx_forward(c, images(b), b->n));
    ck_assert_int_eq(c->inputs_away, b->n);
    ck_ok(vitx_logits(&view, c));
    memcpy(logits, view.data, n * k * sizeof *logits);
    check_inputs(b, what);
    const size_t floats = vx_context_input_count(c);
    float *inputs = malloc(n * floats * sizeof *inputs);
    for (size_t i = 0; i < n; i++) {
        float *input = on_host(c, b->images[i]);
        memcpy(inputs + i * floats, input, floats * sizeof *input);
        free(input);
    }
    ck_ok(vitx_forward_inputs(c, inputs, b->n, c->recipe.input_height, c->recipe.input_width));
    ck_ok(vitx_logits(&view, c));
    ck_assert_msg(memcmp(view.data, logits, n * k * sizeof *logits) == 0, "%s: logits", what);
    check_inputs(b, what);
    free(inputs);
    free(logits);
}

START_TEST(test_pictures__of_several_sizes)
{
    static const char *const models[] = {VIT, "test/golden/models/dinov3-hf",
                                         "test/golden/models/vit-timm-oblong"};
    static const vitx_fit fits[] = {VITX_FIT_RECIPE, VITX_FIT_SQUASH, VITX_FIT_CROP, VITX_FIT_PAD};
    for (int m = 0; m < (SANITIZED_THREADS ? 1 : 3); m++)
        for (int f = 0; f < (SANITIZED_THREADS ? 1 : 4); f++) {
            bench b;
            vitx_context_opts o = opts_of(devices[_i]);
            o.fit = fits[f];
            open_bench(&b, models[m], &o);
            const int w = b.c->recipe.input_width, h = b.c->recipe.input_height;
            const int sizes[MOST][2] = {{300, 200}, {1, 1},  {w, h},   {w, 5 * h},
                                        {31, 400},  {7, 90}, {500, 3}, {w + 1, h - 1}};
            for (int i = 0; i < MOST; i++)
                add(&b, sizes[i][0], sizes[i][1]);
            check_run(&b, models[m]);
            drop_images(&b);
            add(&b, 80, 60);
            check_run(&b, models[m]);
            close_bench(&b);
        }
}
END_TEST

/* The context goes from size to size. */
START_TEST(test_pictures__each_of_its_own_size)
{
    bench b;
    vitx_context_opts o = opts_of(devices[_i]);
    o.fit = VITX_FIT_KEEP;
    open_bench(&b, VIT, &o);
    static const int sizes[][2] = {{64, 48}, {100, 33}, {64, 48}, {33, 70}};
    for (int i = 0; i < 4; i++) {
        add(&b, sizes[i][0], sizes[i][1]);
        add(&b, sizes[i][0], sizes[i][1]);
        check_run(&b, "keep");
        drop_images(&b);
    }
    close_bench(&b);
}
END_TEST

/* The last picture. */
static bool is_too_large(const bench *b)
{
    const vitx_image *image = b->images[b->n - 1];
    vx_placement p;
    vx_sampling s;
    ck_ok(vx_place(&p, &b->c->recipe, image->width, image->height));
    vx_sampling_plan(&s, image, &b->c->recipe, &p);
    return s.bytes + s.room > vx_pictures_room_bytes(b->c->max_batch);
}

/* Two of these are all that there is room for at once, and one is too large. */
START_TEST(test_pictures__more_than_there_is_room_for)
{
    bench b;
    vitx_context_opts o = opts_of(devices[_i]);
    o.fit = VITX_FIT_SQUASH; /* every pixel is used */
    open_bench(&b, VIT, &o);
    add(&b, 20, 20);
    add(&b, 3000, 3000);
    add(&b, 3000, 3100);
    add(&b, 3100, 3000);
    add(&b, 5000, 4600);
    add(&b, 30, 20);
    check_run(&b, "many");
    const vx_picture_room *rooms = b.c->pictures.rooms;
    const size_t most = vx_pictures_room_bytes(MOST);
    ck_assert_uint_eq(rooms[0].memory.bytes, most);
    ck_assert_uint_gt(rooms[1].memory.bytes, 0); /* the third one is alone in it */
    ck_assert_uint_le(rooms[1].memory.bytes, most);
    ck_assert(rooms[0].staging.bytes <= most && rooms[1].staging.bytes <= most);
    drop_images(&b);
    add(&b, 4600, 5000);
    ck_assert(is_too_large(&b));
    check_run(&b, "one that is too large");
    close_bench(&b);
}
END_TEST

static int cancels(int64_t done, int64_t total, void *payload)
{
    (void)total;
    return *(const int *)payload && done > 0;
}

/* A run that ends early leaves nothing behind that a later one sees. */
START_TEST(test_pictures__after_a_cancelled_run)
{
    bench b;
    int on = 0;
    vitx_context_opts o = opts_of(devices[_i]);
    vitx_view view;
    o.progress = cancels;
    o.progress_payload = &on;
    open_bench(&b, VIT, &o);
    add(&b, 90, 41);
    add(&b, 41, 90);
    check_run(&b, "before");
    on = 1;
    ck_fails(vitx_forward(b.c, images(&b), 1), VITX_CANCELLED, "cancelled");
    ck_fails(vitx_input(&view, b.c), VITX_INVALID, "nothing to view");
    on = 0;
    add(&b, 55, 10);
    check_run(&b, "after");
    close_bench(&b);
}
END_TEST

/* Each allocation of a context and of a first run refused in turn. */
START_TEST(test_pictures__survive_failing_allocations)
{
    bench b;
    ration r = {.left = -1};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts m = VITX_MODEL_OPTS_INIT;
    vitx_context_opts o = opts_of(devices[_i]);
    o.fit = VITX_FIT_SQUASH;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = &r;
    m.hooks = &hooks;
    int failures = 0;
    for (int n = 0, done = 0; !done; n++) {
        vitx_prediction top[2];
        b = (bench){0};
        r.left = -1;
        ck_ok(vitx_model_open(&b.model, VIT, &m));
        r.left = n;
        int status = vitx_context_create(&b.c, b.model, &o);
        if (status == VITX_OK) {
            add(&b, 300, 200);
            add(&b, 5000, 4600);
            ck_assert(is_too_large(&b));
            status = vitx_classify_batch(b.c, images(&b), 2, top, 1);
            done = status == VITX_OK;
            failures += !done;
            r.left = -1;
            check_run(&b, "with memory again");
        }
        ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "allocation %d: %s", n,
                      vitx_last_error());
        close_bench(&b);
        ck_assert_msg(r.live == 0, "allocation %d: %d are not given back", n, r.live);
    }
    ck_assert_int_ge(failures, _i == TWIN ? 1 : 2); /* a GPU's memory is its own */
}
END_TEST

START_TEST(test_pictures__of_a_gpu_without_memory)
{
    bench b;
    vitx_prediction top[1];
    vx_gpu_info gpu;
    const vitx_context_opts o = opts_of("cuda-host");
    open_bench(&b, VIT, &o);
    add(&b, 3000, 2000);
    ck_assert_int_eq(vx_gpu_describe(0, &gpu), 0);
    vx_machine_gpus(1, gpu.memory_total - gpu.memory_free + (1 << 20));
    ck_fails(vitx_classify_batch(b.c, images(&b), 1, top, 1), VITX_NOMEM, "no memory for pictures");
    vx_machine_gpus(1, (size_t)16 << 30);
    check_run(&b, "with memory again");
    for (int after = 0; after < 2; after++) {
        vx_machine_fail_launch(after);
        ck_fails(vitx_classify_batch(b.c, images(&b), 1, top, 1), VITX_DEVICE, "resample");
        check_run(&b, "after a launch that failed");
    }
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ the next batch --------- */

enum { AHEAD_BATCH = 3, AHEAD_MANY = MOST };

static void open_ahead(bench *b, const char *device)
{
    vitx_context_opts o = opts_of(device);
    o.max_batch = AHEAD_BATCH;
    open_bench(b, VIT, &o);
    for (int i = 0; i < AHEAD_MANY; i++)
        add(b, 20 + 37 * i, 200 - 19 * i);
}

/* The answers to all pictures in one call are those of a call for each batch. */
static void check_batches(bench *b, const char *what)
{
    vitx_prediction all[AHEAD_MANY], alone[AHEAD_MANY];
    for (int at = 0; at < b->n; at += AHEAD_BATCH) {
        const int n = b->n - at < AHEAD_BATCH ? b->n - at : AHEAD_BATCH;
        ck_ok(vitx_classify_batch(b->c, images(b) + at, n, alone + at, 1));
    }
    ck_ok(vitx_classify_batch(b->c, images(b), b->n, all, 1));
    for (int i = 0; i < b->n; i++)
        ck_assert_msg(all[i].index == alone[i].index && all[i].logit == alone[i].logit,
                      "%s: picture %d: class %d, %.9g, not %d, %.9g", what, i, all[i].index,
                      (double)all[i].logit, alone[i].index, (double)alone[i].logit);
    ck_assert_int_eq(b->c->pictures.ahead, 0);
}

/* Both rooms are in use then: in turn, if the device does not copy early. */
START_TEST(test_pictures__of_the_next_batch)
{
    bench b;
    open_ahead(&b, devices[_i]);
    check_batches(&b, "classify");
    ck_assert_uint_gt(b.c->pictures.rooms[0].memory.bytes, 0);
    ck_assert_uint_gt(b.c->pictures.rooms[1].memory.bytes, 0);
    vitx_map *all[AHEAD_MANY], *alone;
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = "saliency";
    ck_ok(vitx_explain_many(all, b.c, images(&b), b.n, &o, 1));
    for (int i = 0; i < b.n; i++) {
        vitx_map_info one = VITX_MAP_INFO_INIT, many = VITX_MAP_INFO_INIT;
        ck_ok(vitx_explain(&alone, b.c, b.images[i], &o));
        ck_ok(vitx_map_get_info(&one, alone));
        ck_ok(vitx_map_get_info(&many, all[i]));
        ck_assert_double_eq_tol(one.value, many.value, 1e-5);
        const float *x = vitx_map_values(alone), *y = vitx_map_values(all[i]);
        ck_assert_int_eq(one.rank, 2);
        for (int64_t k = 0; k < one.shape[0] * one.shape[1]; k++)
            ck_assert_float_eq_tol(x[k], y[k], 1e-4f * one.max);
        vitx_map_free(alone);
        vitx_map_free(all[i]);
    }
    close_bench(&b);
}
END_TEST

/* What went early is not taken for what lies at the same address in a later call. */
START_TEST(test_pictures__of_a_batch_that_did_not_come)
{
    bench b;
    vitx_prediction top[AHEAD_MANY];
    open_ahead(&b, devices[TWIN]);
    check_batches(&b, "before");
    vx_machine_fail_launch(_i);
    ck_fails(vitx_classify_batch(b.c, images(&b), b.n, top, 1), VITX_DEVICE, "");
    for (int i = 0; i < AHEAD_BATCH; i++) {
        vitx_image *const other = b.images[AHEAD_BATCH + i];
        b.images[AHEAD_BATCH + i] = b.images[i];
        b.images[i] = other;
    }
    /* The second batch begins where the pictures lie that went early. */
    vitx_prediction alone[AHEAD_BATCH];
    ck_ok(vitx_classify_batch(b.c, images(&b) + AHEAD_BATCH, AHEAD_BATCH, top, 1));
    close_bench(&b);
    open_ahead(&b, devices[TWIN]);
    ck_ok(vitx_classify_batch(b.c, images(&b), AHEAD_BATCH, alone, 1));
    for (int i = 0; i < AHEAD_BATCH; i++)
        ck_assert(top[i].index == alone[i].index && top[i].logit == alone[i].logit);
    close_bench(&b);
}
END_TEST

/* The pictures of a batch to come are reported when they run. */
START_TEST(test_pictures__of_a_batch_that_cannot_run)
{
    bench b;
    vitx_prediction top[AHEAD_MANY];
    open_ahead(&b, devices[_i]);
    vitx_image *const last = b.images[b.n - 1];
    b.images[b.n - 1] = NULL;
    ck_fails(vitx_classify_batch(b.c, images(&b), b.n, top, 1), VITX_INVALID, "is NULL");
    b.images[b.n - 1] = last;
    check_batches(&b, "again");
    close_bench(&b);
}
END_TEST

/* Early uploads: what is queued before a join may come before them, what is queued after it comes
 * after them. */
START_TEST(test_device__uploads_early)
{
    enum { N = 64 };
    bench b;
    float sent[N], found[2][N] = {{0}};
    open_ahead(&b, devices[_i]);
    vx_device *dev = b.c->dev;
    const vx_device_class *cls = dev->cls;
    float *const far = cls->mem_alloc(sizeof sent, &b.c->env);
    float *const copies = cls->mem_alloc(2 * sizeof sent, &b.c->env);
    char why[160];
    ck_assert(far && copies);
    for (int i = 0; i < N; i++)
        sent[i] = (float)i;
    for (int joined = 0; joined < 2; joined++) {
        if (joined)
            cls->upload_join(dev);
        else
            cls->upload_early(dev, far, sent, sizeof sent);
        dev->ops.copy_rows(dev, &(vx_copy_rows){.y = copies + joined * N,
                                                .x = far,
                                                .ldy = N,
                                                .ldx = N,
                                                .m = 1,
                                                .n = N,
                                                .scale = 1});
    }
    cls->download(dev, found, copies, sizeof found);
    ck_assert_int_eq(cls->sync(dev, why, sizeof why), 0);
    for (int i = 0; i < N; i++) {
        ck_assert(isnan(found[0][i])); /* these devices are as late as they may be */
        ck_assert_float_eq(found[1][i], sent[i]);
    }
    cls->mem_free(far, &b.c->env);
    cls->mem_free(copies, &b.c->env);
    close_bench(&b);
}
END_TEST

START_TEST(test_pictures__of_the_next_batch_without_memory)
{
    bench b;
    vx_gpu_info gpu;
    vitx_prediction top[AHEAD_MANY];
    open_ahead(&b, "cuda-host");
    for (int at = 0; at + AHEAD_BATCH <= b.n; at++) { /* the first room holds any of them */
        b.c->pictures.turn = 0;
        ck_ok(vitx_classify_batch(b.c, images(&b) + at, AHEAD_BATCH, top, 1));
    }
    ck_assert_uint_eq(b.c->pictures.rooms[1].memory.bytes, 0);
    ck_assert_int_eq(vx_gpu_describe(0, &gpu), 0);
    vx_machine_gpus(1, gpu.memory_total - gpu.memory_free + (1 << 10)); /* none for a second room */
    ck_ok(vitx_classify_batch(b.c, images(&b), b.n, top, 1));
    ck_assert_uint_eq(b.c->pictures.rooms[1].memory.bytes, 0);
    for (int after = 0; after < 3; after++) {
        vx_machine_fail_launch(after);
        ck_fails(vitx_classify_batch(b.c, images(&b), AHEAD_BATCH + 1, top, 1), VITX_DEVICE, "");
    }
    vx_machine_gpus(1, (size_t)16 << 30);
    check_batches(&b, "with memory again");
    close_bench(&b);
}
END_TEST

START_TEST(test_pictures__are_counted)
{
    bench b;
    vitx_context_opts o = opts_of(devices[_i]);
    vitx_context_info info = VITX_CONTEXT_INFO_INIT, before = VITX_CONTEXT_INFO_INIT;
    open_bench(&b, VIT, &o);
    ck_ok(vitx_context_preview(&before, NULL, 0, b.model, &o));
    ck_ok(vitx_context_get_info(&info, b.c));
    ck_assert_uint_eq(info.activation_bytes, before.activation_bytes);
    ck_assert_uint_gt(info.activation_bytes, 2 * vx_pictures_room_bytes(MOST));
    add(&b, 3000, 2000);
    check_run(&b, "counted");
    ck_ok(vitx_context_get_info(&info, b.c));
    ck_assert_uint_eq(info.activation_bytes, before.activation_bytes);
    vitx_context_free(b.c);
    o.memory_budget = before.activation_bytes;
    ck_ok(vitx_context_create(&b.c, b.model, &o));
    check_run(&b, "within the budget");
    vitx_context_free(b.c);
    o.memory_budget--;
    ck_fails(vitx_context_create(&b.c, b.model, &o), VITX_NOMEM, "the budget is");
    b.c = NULL;
    close_bench(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("pictures");
    TCase *t = tcase_create("on a device");
    if (SANITIZED_THREADS) { /* workers fill what is sent: one device tells all of it */
        tcase_add_loop_test(t, test_pictures__of_several_sizes, 0, 1);
        tcase_add_loop_test(t, test_pictures__of_the_next_batch, TWIN, DEVICES);
        suite_add_tcase(s, t);
        return s;
    }
    tcase_add_loop_test(t, test_pictures__of_several_sizes, 0, DEVICES);
    tcase_add_loop_test(t, test_pictures__each_of_its_own_size, 0, DEVICES);
    tcase_add_loop_test(t, test_pictures__after_a_cancelled_run, 0, DEVICES);
    tcase_add_loop_test(t, test_pictures__more_than_there_is_room_for, 0, SANITIZED ? 0 : DEVICES);
    tcase_add_loop_test(t, test_pictures__survive_failing_allocations, SANITIZED ? DEVICES : 0,
                        DEVICES);
    tcase_add_test(t, test_pictures__of_a_gpu_without_memory);
    tcase_add_loop_test(t, test_pictures__of_the_next_batch, 0, DEVICES);
    tcase_add_loop_test(t, test_pictures__of_a_batch_that_did_not_come, 0, 3);
    tcase_add_loop_test(t, test_pictures__of_a_batch_that_cannot_run, 0, DEVICES);
    tcase_add_loop_test(t, test_device__uploads_early, DEFERRED, DEVICES);
    tcase_add_test(t, test_pictures__of_the_next_batch_without_memory);
    tcase_add_loop_test(t, test_pictures__are_counted, 0, DEVICES);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
