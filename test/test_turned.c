/*
 * test_turned.c: W^T, which is made at the first gradient and kept with the model's weights: the
 * bits are those of turning at every product, the memory is what is told beforehand, and neither
 * threads, failing allocations nor weights that change leave a wrong one. VX_TEST_THREADS
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/context.h"
#include "model/randomise.h"
#include "util.h"

static const char *const folders[] = {"vit-timm", "vit-timm-layerscale", "vit-timm-map",
                                      "dinov3-timm-swiglu", "vit-timm-parallel"};
static const char *const precisions[] = {"f32", "bf16x3", "bf16", "int8"};
static const char *const methods[] = {"gradcam", "legrad", "generic", "saliency", "smoothgrad"};
enum {
    FOLDERS = sizeof folders / sizeof *folders,
    PRECISIONS = sizeof precisions / sizeof *precisions,
    METHODS = sizeof methods / sizeof *methods
};

static vitx_model *open_model(const char *folder, const vitx_hooks *hooks)
{
    char path[128];
    vitx_model *model;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    o.hooks = hooks;
    snprintf(path, sizeof path, "test/golden/models/%s", folder);
    ck_ok(vitx_model_open(&model, path, &o));
    return model;
}

static vitx_context *create(vitx_model *model, const char *device, const char *precision,
                            int threads, size_t budget)
{
    vitx_context *c;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = device;
    o.precision = precision;
    o.threads = threads;
    o.trace_budget = budget;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static vitx_image *picture(void)
{
    vitx_image *image;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    return image;
}

static vitx_explain_opts by(const char *method)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = method;
    o.target = 1;
    return o;
}

static vitx_map *explain(vitx_context *c, const char *method)
{
    vitx_map *map;
    vitx_image *image = picture();
    const vitx_explain_opts o = by(method);
    ck_ok(vitx_explain(&map, c, image, &o));
    vitx_image_free(image);
    return map;
}

/* Bytes of a map's values. */
static size_t bytes_of(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    return (size_t)(info.shape[0] * info.shape[1]) * sizeof(float);
}

static bool same(const vitx_map *a, const vitx_map *b)
{
    return bytes_of(a) == bytes_of(b) &&
           memcmp(vitx_map_values(a), vitx_map_values(b), bytes_of(a)) == 0;
}

static size_t weight_bytes(const vitx_context *c)
{
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_context_get_info(&info, c));
    return info.weight_bytes;
}

/* Bytes of what is recorded and of W^T, where weights took `plain` without it. */
static size_t taken(const vitx_context *c, size_t plain)
{
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_context_get_info(&info, c));
    return info.trace_bytes + info.weight_bytes - plain;
}

/* ------------------------------------------------------------------------- bits ------------ */

/* A copy of the weights may change, so its matrices are turned at every product. */
START_TEST(test_turned__bits_are_those_of_every_product)
{
    const char *folder = folders[_i / PRECISIONS], *precision = precisions[_i % PRECISIONS];
    vitx_model *model = open_model(folder, NULL);
    vx_weights *copy;
    for (int threads = 1; threads <= 3; threads += 2) {
        vitx_context *kept = create(model, "cpu", precision, threads, 0),
                     *every = create(model, "cpu", precision, threads, 0);
        ck_ok(vx_weights_copy(&copy, model, every->weights));
        every->weights = copy;
        for (int m = 0; m < METHODS; m++) {
            vitx_map *a = explain(kept, methods[m]), *b = explain(every, methods[m]);
            ck_assert_msg(same(a, b), "%s, %s, %s: other bits", folder, precision, methods[m]);
            vitx_map_free(a);
            vitx_map_free(b);
        }
        ck_assert_ptr_nonnull(kept->weights->blocks[0].fc2.turned);
        ck_assert_ptr_eq(every->weights, copy);
        ck_assert_ptr_null(copy->blocks[0].fc2.turned);
        vitx_context_free(every);
        vitx_context_free(kept);
        vx_weights_free(copy, model);
    }
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------------- memory ---------- */

START_TEST(test_turned__memory_is_what_is_told)
{
    const char *precision = precisions[_i];
    vitx_model *model = open_model("vit-timm", NULL);
    vitx_context *c = create(model, "cpu", precision, 1, 0);
    const size_t plain = weight_bytes(c);
    const vitx_explain_opts all = by("saliency"), last = by("gradcam");
    size_t bytes, again;
    vitx_map_free(explain(c, "rollout"));
    ck_assert_uint_eq(weight_bytes(c), plain);
    ck_ok(vitx_explain_bytes(&bytes, c, &last, 1));
    ck_assert_uint_eq(weight_bytes(c), plain);
    vitx_map_free(explain(c, "gradcam"));
    const size_t of_last = weight_bytes(c) - plain;
    ck_assert_uint_eq(bytes, taken(c, plain));
    ck_assert_uint_gt(of_last, 0);
    ck_assert_ptr_null(c->weights->blocks[0].fc2.turned);
    ck_ok(vitx_explain_bytes(&bytes, c, &all, 1));
    vitx_map_free(explain(c, "saliency"));
    const size_t turned = weight_bytes(c) - plain;
    ck_assert_uint_eq(bytes, taken(c, plain));
    ck_assert_uint_eq(turned, of_last * (size_t)c->arch.depth);
    ck_ok(vitx_explain_bytes(&again, c, &all, 1));
    ck_assert_uint_eq(again, bytes);
    vitx_context *other = create(model, "cpu", precision, 1, 0); /* shares them */
    ck_assert_uint_eq(weight_bytes(other), plain);
    vitx_map_free(explain(other, "saliency"));
    ck_assert_ptr_eq(other->weights, c->weights);
    vitx_context_free(other);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* vitx_backward's, which are made when the trace is set. */
START_TEST(test_turned__memory_of_a_trace)
{
    vitx_model *model = open_model("vit-timm", NULL);
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    size_t bytes, small;
    trace.gradients = VITX_GRADIENT_ATTENTION;
    trace.targets = 1;
    o.device = "cpu";
    ck_ok(vitx_trace_bytes_with(&bytes, model, &o, &trace, 1));
    vitx_context *c = create(model, "cpu", NULL, 1, 0);
    const size_t plain = weight_bytes(c);
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_uint_gt(info.weight_bytes, plain);
    ck_assert_uint_eq(bytes, info.trace_bytes + info.weight_bytes - plain);
    vitx_context_free(c);
    /* Where the budget is a byte less, nothing is kept, and the call works as before. */
    o.trace_budget = bytes - 1;
    ck_ok(vitx_trace_bytes_with(&small, model, &o, &trace, 1));
    ck_assert_uint_eq(small, info.trace_bytes);
    c = create(model, "cpu", NULL, 1, bytes - 1);
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_assert_uint_eq(weight_bytes(c), plain);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* A block that was larger than the plan at hand leaves W^T less room. */
START_TEST(test_turned__a_large_trace_leaves_less_room)
{
    vitx_model *model = open_model("vit-timm", NULL);
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    const vitx_explain_opts last = by("gradcam");
    size_t large, with;
    trace.record = VITX_RECORD_ALL;
    trace.tokens = 1 << VITX_AT_NORM1 | 1 << VITX_AT_OUTPUT;
    o.device = "cpu";
    ck_ok(vitx_trace_bytes_with(&large, model, &o, &trace, 1));
    vitx_context *c = create(model, "cpu", NULL, 1, 0);
    ck_ok(vitx_explain_bytes(&with, c, &last, 1));
    vitx_context_free(c);
    const size_t budget = large > with ? large : with;
    c = create(model, "cpu", NULL, 1, budget);
    const size_t plain = weight_bytes(c);
    ck_ok(vitx_context_set_trace(c, &trace));
    vitx_map_free(explain(c, "gradcam"));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_uint_eq(weight_bytes(c), plain);
    ck_assert_uint_le(info.trace_bytes, budget);
    vitx_context_free(c);
    c = create(model, "cpu", NULL, 1, budget); /* without the trace there is room */
    vitx_map_free(explain(c, "gradcam"));
    ck_assert_uint_gt(weight_bytes(c), plain);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* Of inputs of any size the plan is made for the pictures at hand. */
START_TEST(test_turned__memory_of_fewer_pictures)
{
    vitx_model *model = open_model("vit-timm", NULL);
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    const vitx_explain_opts all = by("saliency");
    size_t most, told;
    o.device = "cpu";
    o.threads = 1;
    o.max_batch = 2;
    o.fit = VITX_FIT_KEEP;
    vitx_context *c;
    ck_ok(vitx_context_create(&c, model, &o));
    vitx_map_free(explain(c, "saliency"));
    ck_ok(vitx_explain_bytes(&most, c, &all, 1));
    vitx_context_free(c);
    for (int part = 8; part <= 16; part++) {
        o.trace_budget = most * (size_t)part / 16;
        ck_ok(vitx_context_create(&c, model, &o));
        const size_t plain = weight_bytes(c);
        vitx_map *map;
        vitx_image *image = picture();
        const int status = vitx_explain(&map, c, image, &all);
        ck_assert(status == VITX_OK || part < 16);
        if (status == VITX_OK) {
            vitx_map_free(map);
            ck_ok(vitx_explain_bytes(&told, c, &all, 1));
            ck_assert_uint_ge(told, taken(c, plain));
        }
        vitx_image_free(image);
        vitx_context_free(c);
    }
    vitx_model_free(model);
}
END_TEST

/* Never less is told than is taken, whatever the budget. */
START_TEST(test_turned__memory_of_a_trace_recomputed)
{
    vitx_model *model = open_model("vit-timm", NULL);
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    size_t most, told;
    int turned = 0, not = 0;
    trace.gradients = VITX_GRADIENT_ATTENTION;
    trace.targets = 1;
    o.device = "cpu";
    o.threads = 1;
    o.gradients = VITX_GRADIENTS_RECOMPUTE;
    ck_ok(vitx_trace_bytes_with(&most, model, &o, &trace, 1));
    for (int part = 2; part <= 16; part++) {
        vitx_context *c;
        o.trace_budget = most * (size_t)part / 16;
        ck_ok(vitx_trace_bytes_with(&told, model, &o, &trace, 1));
        ck_ok(vitx_context_create(&c, model, &o));
        const size_t plain = weight_bytes(c);
        if (vitx_context_set_trace(c, &trace) == VITX_OK) {
            ck_assert_uint_ge(told, taken(c, plain));
            turned += weight_bytes(c) > plain;
            not += weight_bytes(c) == plain;
        }
        vitx_context_free(c);
    }
    ck_assert(turned > 0 && not > 0);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------------- failures -------- */

/* Two calls, of which the second turns what the first has not. */
static int two_ways(const vitx_hooks *hooks)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = picture();
    vitx_map *maps[2] = {NULL, NULL};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    const vitx_explain_opts last = by("gradcam"), all = by("saliency");
    mo.hooks = hooks;
    co.device = "cpu";
    co.precision = "bf16";
    co.threads = 1;
    int status = vitx_model_open(&model, "test/golden/models/vit-timm", &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_explain(&maps[0], c, image, &last);
    if (status == VITX_OK)
        status = vitx_explain(&maps[1], c, image, &all);
    for (int i = 0; i < 2; i++)
        vitx_map_free(maps[i]);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
    return status;
}

START_TEST(test_turned__every_allocation_may_fail)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(two_ways(&hooks));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    for (int n = 0; n < needed; n++) {
        r = (ration){.left = n};
        ck_fails(two_ways(&hooks), VITX_NOMEM, "");
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

/* After each failure the context goes on, and its answer is right. */
START_TEST(test_turned__a_failure_can_be_repeated)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    const vitx_explain_opts o = by("saliency");
    vitx_image *image = picture();
    vitx_model *untouched = open_model("vit-timm", NULL);
    vitx_context *plain = create(untouched, "cpu", "bf16x3", 1, 0);
    vitx_map *map, *right = explain(plain, "saliency");
    bool seen = false;
    int status = VITX_NOMEM;
    for (int n = 0; status != VITX_OK; n++) {
        vitx_model *model = open_model("vit-timm", &hooks);
        vitx_context *c = create(model, "cpu", "bf16x3", 1, 0);
        r.left = n;
        status = vitx_explain(&map, c, image, &o);
        r.left = -1;
        if (status != VITX_OK) {
            ck_assert_int_eq(status, VITX_NOMEM);
            seen = seen || strstr(vitx_last_error(), "transposed weights");
            ck_ok(vitx_explain(&map, c, image, &o));
        }
        ck_assert(same(map, right));
        vitx_map_free(map);
        vitx_context_free(c);
        vitx_model_free(model);
        ck_assert_int_eq(r.live, 0);
    }
    ck_assert(seen);
    vitx_map_free(right);
    vitx_context_free(plain);
    vitx_model_free(untouched);
    vitx_image_free(image);
}
END_TEST

/* ------------------------------------------------------------------------- threads --------- */

typedef struct share {
    vitx_model *model;
    int first; /* method */
    vitx_map *maps[METHODS];
} share;

static void *explain_in_thread(void *arg)
{
    share *s = arg;
    vitx_context *c = create(s->model, "cpu", "bf16", 2, 0);
    for (int i = 0; i < METHODS; i++) {
        const int m = (s->first + i) % METHODS;
        s->maps[m] = explain(c, methods[m]);
    }
    vitx_context_free(c);
    return NULL;
}

/* Contexts that turn more and more of one model, each in its own order. */
START_TEST(test_turned__threads_share_a_model)
{
    enum { N = 4 };
    pthread_t threads[N];
    share s[N];
    vitx_model *model = open_model("vit-timm", NULL);
    for (int i = 0; i < N; i++) {
        s[i] = (share){.model = model, .first = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, explain_in_thread, &s[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++)
        for (int m = 0; m < METHODS; m++) {
            ck_assert_msg(same(s[i].maps[m], s[0].maps[m]), "%s: other bits", methods[m]);
            if (i > 0)
                vitx_map_free(s[i].maps[m]);
        }
    for (int m = 0; m < METHODS; m++)
        vitx_map_free(s[0].maps[m]);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------------- changes --------- */

/* Weights become random between two gradients, as in the metric `randomisation`; the device `ref`,
 * which turns nothing, says what is right then. */
START_TEST(test_turned__random_weights_have_their_own)
{
    vitx_model *model = open_model("vit-timm-layerscale", NULL);
    vitx_context *c[2] = {create(model, "cpu", "f32", 1, 0), create(model, "ref", "f32", 1, 0)};
    vitx_map *own = explain(c[0], "saliency"), *maps[2];
    const vx_weights *kept = c[0]->weights;
    ck_assert_ptr_nonnull(kept->blocks[0].fc2.turned);
    vx_weights *copies[2];
    for (int i = 0; i < 2; i++) {
        ck_ok(vx_weights_copy(&copies[i], model, c[i]->weights));
        c[i]->weights = copies[i];
    }
    for (int part = 0; part < vx_randomise_parts(&c[0]->arch); part++) {
        for (int i = 0; i < 2; i++) {
            ck_ok(vx_weights_randomise(copies[i], model, part, 3));
            maps[i] = explain(c[i], "saliency");
        }
        const size_t count = bytes_of(own) / sizeof(float);
        const float *found = vitx_map_values(maps[0]), *right = vitx_map_values(maps[1]);
        double error = 0, power = 0;
        for (size_t i = 0; i < count; i++) {
            const double d = (double)found[i] - (double)right[i];
            error += d * d;
            power += (double)right[i] * (double)right[i];
        }
        ck_assert_double_le(sqrt(error), 1e-5 * sqrt(power));
        ck_assert(!same(maps[0], own));
        vitx_map_free(maps[0]);
        vitx_map_free(maps[1]);
    }
    c[0]->weights = kept;
    maps[0] = explain(c[0], "saliency");
    ck_assert(same(maps[0], own));
    vitx_map_free(maps[0]);
    vitx_map_free(own);
    for (int i = 0; i < 2; i++) {
        vitx_context_free(c[i]);
        vx_weights_free(copies[i], model);
    }
    vitx_model_free(model);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("turned");
    TCase *c = tcase_create("turned");
    tcase_add_loop_test(c, test_turned__bits_are_those_of_every_product, 0, FOLDERS * PRECISIONS);
    tcase_add_loop_test(c, test_turned__memory_is_what_is_told, 0, PRECISIONS);
    tcase_add_test(c, test_turned__memory_of_a_trace);
    tcase_add_test(c, test_turned__a_large_trace_leaves_less_room);
    tcase_add_test(c, test_turned__memory_of_a_trace_recomputed);
    tcase_add_test(c, test_turned__memory_of_fewer_pictures);
    tcase_add_test(c, test_turned__every_allocation_may_fail);
    tcase_add_test(c, test_turned__a_failure_can_be_repeated);
    tcase_add_test(c, test_turned__threads_share_a_model);
    tcase_add_test(c, test_turned__random_weights_have_their_own);
    suite_add_tcase(s, c);
    return s;
}

VX_TEST_MAIN(suite)
