/*
 * Whole models in every precision: each golden model against what its own library answers in
 * float64, the gradient of its input, and that neither threads nor the batch change an answer.
 * VX_TEST_THREADS
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "explain/map.h"
#include "util.h"

/*
 * The largest difference over the largest value that each may have: less than twice what was
 * measured over all golden models (VX_TEST_PRINT=1 prints it).
 *
 * f32 and bf16x3 keep the tolerance of f32 (util.h): bf16x3 has 17 bits, which is 2^7 times less
 * than f32, and measures 1e-4 at most where f32 measures 2e-6. An operand of bf16 is off by 2^-8 =
 * 4e-3 of itself at most, one of int8 by half of 1/127 of the row's largest. Errors have random
 * signs, and sums of 24 terms, as these models have, average little out, and some ten products lie
 * one behind another: ten times the format's own error. Norms that follow the products
 * (vit-timm-eva-post-norm) enlarge what is wrong with small rows: it is the worst of all.
 */
static const struct {
    const char *name;
    double logits, attention, gradient;
    double order; /* rank correlation of maps with f32's, at least */
} precisions[] = {
    {"f32", TOL_LOGITS, TOL_MAP, 1e-4, 1},
    {"bf16x3", TOL_LOGITS, TOL_MAP, 2e-4, 0.999},
    {"bf16", 0.04, 0.08, 0.1, 0.995},
    {"int8", 0.05, 0.11, 0.17, 0.95},
};
enum { PRECISIONS = sizeof precisions / sizeof *precisions };

static char folders[MOST_MODELS][128];
static int folder_count;

static npy golden(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_npy(path);
}

static vitx_context *context_of(vitx_model *model, const char *precision, int threads, int batch)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = "cpu";
    o.precision = precision;
    o.threads = threads;
    o.max_batch = batch;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

/* Runs n inputs [n,3,H,W] of a golden; leaves the pass recorded. */
static void run(vitx_context *c, const double *input, size_t count, int n)
{
    for (size_t i = 0; i < count; i++)
        c->act.host.input[i] = (float)input[i];
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, count * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_context_place(c, &c->wish, &c->trace, n));
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = n}));
    ck_ok(vx_context_answers(c, &c->act, n));
    c->recorded = n;
}

static float *logits_of(vitx_context *c, size_t count)
{
    float *out = malloc(count * sizeof *out);
    ck_assert_ptr_nonnull(out);
    ck_ok(vx_context_read(c, out, c->act.logits, count * sizeof *out));
    return out;
}

static double worst_attention(vitx_context *c, const char *folder)
{
    double worst = 0;
    for (int l = 0; l < c->arch.depth; l++) {
        char name[32];
        vitx_view view;
        snprintf(name, sizeof name, "attention_%d.npy", l);
        npy expected = golden(folder, name);
        ck_ok(vitx_attention(&view, c, l));
        worst = fmax(worst, max_error_f32(view.data, expected.data, expected.count));
        free_npy(&expected);
    }
    return worst;
}

/* Of sum_k cos(k) answer_k. */
static double gradient_error(vitx_context *c, const char *folder, int n)
{
    npy expected = golden(folder, "gradient.npy");
    const int k = c->arch.classes;
    float *dlogits = malloc((size_t)(n * k) * sizeof *dlogits);
    vitx_view view;
    ck_assert_ptr_nonnull(dlogits);
    for (int i = 0; i < n * k; i++)
        dlogits[i] = (float)cos(i % k);
    ck_ok(vitx_backward(c, dlogits));
    ck_ok(vitx_input_gradient(&view, c));
    const double error = max_error_f32(view.data, expected.data, expected.count);
    free(dlogits);
    free_npy(&expected);
    return error;
}

START_TEST(test_precisions__of_every_golden_model)
{
    const char *folder = folders[_i];
    npy input = golden(folder, "input.npy"), expected = golden(folder, "logits.npy");
    const int n = (int)input.shape[0];
    vitx_model *model;
    ck_ok(vitx_model_open(&model, folder, NULL));
    for (int p = 0; p < PRECISIONS; p++) {
        const char *name = precisions[p].name;
        vitx_context *c = context_of(model, name, 1, n);
        vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
        trace.record = VITX_RECORD_ALL;
        trace.gradients = VITX_GRADIENT_INPUT;
        trace.targets = 1;
        ck_ok(vitx_context_set_trace(c, &trace));
        run(c, input.data, input.count, n);
        float *found = logits_of(c, expected.count);
        const double logits = max_error_f32(found, expected.data, expected.count);
        const double attention = worst_attention(c, folder);
        const double gradient = gradient_error(c, folder, n);
        if (getenv("VX_TEST_PRINT"))
            printf("%-36s %-7s %9.1e %9.1e %9.1e\n", folder + strlen("test/golden/models/"), name,
                   logits, attention, gradient);
        ck_assert_msg(logits <= precisions[p].logits, "%s in %s: logits are off by %g", folder,
                      name, logits);
        ck_assert_msg(attention <= precisions[p].attention, "%s in %s: attention is off by %g",
                      folder, name, attention);
        ck_assert_msg(gradient <= precisions[p].gradient, "%s in %s: the gradient is off by %g",
                      folder, name, gradient);
        free(found);
        vitx_context_free(c);
    }
    vitx_model_free(model);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

/* A picture's answer is the same, bit for bit, for 1 to 3 threads, and beside others. */
START_TEST(test_precisions__threads_and_batches_change_nothing)
{
    enum { PICTURES = 3 };
    const char *folder = folders[_i];
    npy input = golden(folder, "input.npy");
    const size_t one = input.count / input.shape[0];
    double *all = malloc(PICTURES * one * sizeof *all);
    vitx_model *model;
    ck_assert_ptr_nonnull(all);
    for (size_t i = 0; i < PICTURES * one; i++) /* the same picture, and two like it */
        all[i] = input.data[i % one] * (double)(1 + i / one) / 2;
    ck_ok(vitx_model_open(&model, folder, NULL));
    for (int p = 0; p < PRECISIONS; p++) {
        float *first = NULL, *several = NULL; /* answers of one picture, of all */
        for (int threads = 1; threads <= 3; threads++)
            for (int batch = 1; batch <= PICTURES; batch += PICTURES - 1) {
                vitx_context *c = context_of(model, precisions[p].name, threads, batch);
                const size_t classes = (size_t)c->arch.classes;
                run(c, all, (size_t)batch * one, batch);
                float *found = logits_of(c, (size_t)batch * classes);
                if (!first)
                    first = found;
                ck_assert_msg(memcmp(first, found, classes * sizeof *found) == 0,
                              "%s in %s: %d threads, %d pictures: %.9g, was %.9g", folder,
                              precisions[p].name, threads, batch, (double)found[0],
                              (double)first[0]);
                if (batch > 1 && !several)
                    several = found;
                ck_assert_msg(batch == 1 ||
                                  memcmp(several, found, PICTURES * classes * sizeof *found) == 0,
                              "%s in %s: %d threads: another picture's answer differs", folder,
                              precisions[p].name, threads);
                if (found != first && found != several)
                    free(found);
                vitx_context_free(c);
            }
        free(first);
        free(several);
    }
    vitx_model_free(model);
    free(all);
    free_npy(&input);
}
END_TEST

/* ------------------------------------------------------------------------ variants -------- */

/* What the operations that a method calls multiply with: rows of x, by the name of the packing. */
static vx_linear_fn *own_linear;
static const vx_block_weights *first_block;
static const char *wanted;
static int64_t rows_wanted, rows_of_bf16, rows_plain;

static void watched_linear(vx_device *dev, const vx_linear *a)
{
    const vx_weight *w = a->w;
    const void *data = a->m ? w->data : NULL; /* the context may have another view of them */
    const bool first = data && (data == first_block->qkv.data || data == first_block->proj.data ||
                                data == first_block->fc1.data || data == first_block->fc2.data);
    const char *name = a->m ? w->packing->name : wanted; /* without rows there may be no matrix */
    if (strcmp(wanted, "int8") == 0 && first && strcmp(name, "bf16") == 0)
        rows_of_bf16 += a->m;
    else if (strcmp(name, wanted) == 0)
        rows_wanted += a->m;
    else
        rows_plain += a->m;
    own_linear(dev, a);
}

/* The map of a method, made with watched products. */
static vitx_map *watched_map(vitx_model *model, const vitx_image *image, const char *precision,
                             const char *method, const char *set)
{
    vitx_context *c = context_of(model, precision, 1, 1);
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = method;
    o.target = 2;
    o.set = &set;
    o.set_count = set ? 1 : 0;
    wanted = precision;
    first_block = &c->weights->blocks[0];
    rows_wanted = rows_of_bf16 = rows_plain = 0;
    own_linear = c->dev->ops.linear;
    c->dev->ops.linear = watched_linear;
    ck_ok(vitx_explain(&map, c, image, &o));
    c->dev->ops.linear = own_linear;
    vitx_context_free(c);
    return map;
}

/* Methods that run many variants of a picture. */
static const struct {
    const char *method, *set;
    int variants; /* at least */
} many[] = {
    {"rise", "n=16", 16},       {"lime", "n=16", 16},
    {"kernelshap", "n=64", 64}, {"occlusion", NULL, 25},
    {"scorecam", NULL, 8},      {"ablationcam", NULL, 8},
    {"smoothgrad", "n=6", 6},   {"integrated-gradients", "steps=6", 6},
};
enum { MANY = sizeof many / sizeof *many };

/* The variants of a picture are multiplied in the context's precision: only heads have rows of
 * another, one for each variant. So the map is not f32's, and near it. */
START_TEST(test_precisions__variants_have_the_context_s)
{
    /* twice what was measured */
    static const double limits[PRECISIONS] = {0, 1e-4, 0.04, 0.09};
    vitx_model *model;
    vitx_image *image;
    ck_ok(vitx_model_open(&model, "test/golden/models/deit-timm", NULL));
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    vitx_map *exact = watched_map(model, image, "f32", many[_i].method, many[_i].set);
    const float *right = vitx_map_values(exact);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, exact));
    for (int p = 1; p < PRECISIONS; p++) {
        const char *name = precisions[p].name;
        vitx_map *map = watched_map(model, image, name, many[_i].method, many[_i].set);
        const float *found = vitx_map_values(map);
        ck_assert_msg(rows_wanted >= 2 * many[_i].variants, "%s in %s: %lld rows", many[_i].method,
                      name, (long long)rows_wanted);
        ck_assert_msg(8 * rows_plain <= rows_wanted + rows_of_bf16,
                      "%s in %s: %lld rows in f32, %lld not", many[_i].method, name,
                      (long long)rows_plain, (long long)rows_wanted);
        double off = 0, most = 0;
        for (size_t i = 0; i < (size_t)(info.shape[0] * info.shape[1]); i++) {
            off = fmax(off, fabs((double)right[i] - (double)found[i]));
            most = fmax(most, fabs((double)right[i]));
        }
        if (getenv("VX_TEST_PRINT"))
            printf("%s %s: %g of %g, rows %lld %lld %lld\n", many[_i].method, name, off, most,
                   (long long)rows_wanted, (long long)rows_of_bf16, (long long)rows_plain);
        ck_assert_msg(off > 0 && off <= limits[p] * most, "%s in %s: off by %g of %g",
                      many[_i].method, name, off, most);
        vitx_map_free(map);
    }
    vitx_map_free(exact);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* --------------------------------------------------------------------------- methods ------ */

/* Few of what a method takes many of. */
static const struct {
    const char *method, *set[2];
} few[] = {{"rise", {"n=48"}},
           {"lime", {"n=48"}},
           {"kernelshap", {"n=400"}},
           {"smoothgrad", {"n=4"}},
           {"integrated-gradients", {"steps=6"}},
           {"occlusion", {"window=4", "stride=2"}}};

/* Maps whose order a rounding may turn: they divide by sums that may come near 0, or, clip-es,
 * spread what lies in a box, whose sides a rounding may move. In bf16x3 they keep it. */
static const char *const unstable[] = {"gradcam++", "xgradcam", "clip-es"};

/* Of hundreds of passes. */
static bool takes_many(const char *method)
{
    bool many_passes = strcmp(method, "scorecam") == 0 || strcmp(method, "gscorecam") == 0;
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        many_passes = many_passes || strcmp(few[i].method, method) == 0;
    return many_passes;
}

/* A sanitizer has seen the same code with the smaller models, and would take minutes. */
static bool left_out(int index, const char *method)
{
    return SANITIZED && (takes_many(method) || index % 4);
}

/* Where the processor has no instructions for a precision, it is slow: so many passes would take
 * minutes, too. */
static bool is_emulated(const char *precision)
{
    return vx_device_find("cpu")->instructions_of(precision) == NULL;
}

static int ascending(const void *a, const void *b)
{
    const float x = **(const float *const *)a, y = **(const float *const *)b;
    return (x > y) - (x < y);
}

/* Each value's place among all; equal ones share their mean place. */
static double *places(const float *x, size_t n)
{
    double *out = malloc(n * sizeof *out);
    const float **order = malloc(n * sizeof *order);
    ck_assert(out && order);
    for (size_t i = 0; i < n; i++)
        order[i] = x + i;
    qsort(order, n, sizeof *order, ascending);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && *order[end] == *order[i];)
            end++;
        for (size_t j = i; j < end; j++)
            out[order[j] - x] = (double)(i + end - 1) / 2;
    }
    free(order);
    return out;
}

static double rank_correlation(const vitx_map *a, const vitx_map *b)
{
    const size_t n = a->count;
    const double mean = (double)(n - 1) / 2;
    double *x = places(a->values, n), *y = places(b->values, n), xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        xy += (x[i] - mean) * (y[i] - mean);
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
    }
    free(x);
    free(y);
    return xy / sqrt(xx * yy);
}

static vitx_map *map_of(vitx_context *c, const vitx_image *image, const char *method)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = method;
    o.target = 1;
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        if (strcmp(few[i].method, method) == 0) {
            o.set = few[i].set;
            o.set_count = few[i].set[1] ? 2 : 1;
        }
    ck_ok(vitx_explain(&map, c, image, &o));
    for (size_t i = 0; i < map->count; i++)
        ck_assert_msg(isfinite(map->values[i]), "%s: value %zu is %g", method, i,
                      (double)map->values[i]);
    return map;
}

/* Of the bundled model, which is trained, as the models of the golden files are not. */
START_TEST(test_precisions__every_method_keeps_its_order)
{
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    vitx_model *model;
    vitx_context *c[PRECISIONS];
    vitx_image *image;
    ck_ok(vitx_method_get(&method, _i));
    if (left_out(_i, method.name))
        return;
    ck_ok(vitx_model_open(&model, "weights/scenes", NULL));
    ck_ok(vitx_image_open(&image, "docs/images/pair.jpg"));
    for (int p = 0; p < PRECISIONS; p++)
        c[p] = context_of(model, precisions[p].name, 2, 1);
    vitx_map *exact = map_of(c[0], image, method.name);
    bool stable = true;
    for (size_t i = 0; i < sizeof unstable / sizeof *unstable; i++)
        stable = stable && strcmp(unstable[i], method.name) != 0;
    vitx_context_free(c[0]);
    for (int p = 1; p < PRECISIONS; p++) {
        if (takes_many(method.name) && is_emulated(precisions[p].name)) {
            printf("skipped: %s in %s, for which this processor has no instructions\n", method.name,
                   precisions[p].name);
            vitx_context_free(c[p]);
            continue;
        }
        vitx_map *map = map_of(c[p], image, method.name);
        const double order = rank_correlation(exact, map);
        if (getenv("VX_TEST_PRINT"))
            printf("%-22s %-7s %.5f\n", method.name, precisions[p].name, order);
        ck_assert_msg((!stable && p > 1) || order >= precisions[p].order,
                      "%s in %s: correlation %g", method.name, precisions[p].name, order);
        vitx_map_free(map);
        vitx_context_free(c[p]);
    }
    vitx_map_free(exact);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("precisions");
    TCase *t = tcase_create("precisions");
    folder_count = model_folders(folders);
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(t, test_precisions__of_every_golden_model, 0, folder_count);
    tcase_add_loop_test(t, test_precisions__threads_and_batches_change_nothing, 0,
                        SANITIZED_THREADS ? folder_count / 4 : folder_count);
    tcase_add_loop_test(t, test_precisions__variants_have_the_context_s, 0, MANY);
    tcase_add_loop_test(t, test_precisions__every_method_keeps_its_order, 0,
                        SANITIZED_THREADS ? 0 : vitx_method_count());
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
