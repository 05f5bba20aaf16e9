/*
 * test_families.c: the table of families and the ways in which each is written down.
 *
 * That a golden model is answered as its own library answers it is for test_engine.c; here: that
 * there is one for every row of the table, its gradients, that the same weights under different
 * names are the same network, and that what a head reads is what is explained. VX_TEST_DEVICES
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "util.h"

static vitx_model *open_model(const char *folder)
{
    vitx_model *m;
    ck_ok(vitx_model_open(&m, folder, NULL));
    return m;
}

static vitx_context *context_of(vitx_model *model, const char *device, int batch,
                                vitx_gradients gradients)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = 1;
    o.max_batch = batch;
    o.gradients = gradients;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static char folders[MOST_MODELS][128];
static int folder_count;

static npy golden(const char *folder, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_npy(path);
}

static void name_dialect(char *text, size_t size, const vx_family *family, const vx_dialect *d)
{
    snprintf(text, size, "family %s in the names of %s, prefix \"%s\"%s%s", family->name,
             d->naming->title, d->prefix, d->architectures ? ", architecture " : "",
             d->architectures ? d->architectures[0] : "");
}

/* Each row of each family is what some golden model is opened as. */
START_TEST(test_families__every_dialect_has_a_golden)
{
    const int count = folder_count;
    const vx_dialect *seen[MOST_MODELS];
    int rows = 0;
    char text[300];
    for (int i = 0; i < count; i++) {
        vitx_model *m = open_model(folders[i]);
        seen[i] = m->dialect; /* in a table that stays */
        vitx_model_free(m);
    }
    for (int f = 0; vx_family_at(f); f++)
        for (const vx_dialect *d = vx_family_at(f)->dialects; d->naming; d++, rows++) {
            bool found = false;
            for (int i = 0; i < count; i++)
                found = found || seen[i] == d;
            name_dialect(text, sizeof text, vx_family_at(f), d);
            ck_assert_msg(found, "%s: no model in test/golden/models is of this kind", text);
        }
    ck_assert_int_ge(rows, 10);
    ck_assert_int_lt(count, MOST_MODELS);
}
END_TEST

static void check_golden(const char *folder, const char *name, int rank, size_t count)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    npy array = read_npy(path); /* which fails where there is none */
    ck_assert_msg(array.rank == rank && array.count == count, "%s: %d axes, %zu numbers, not %zu",
                  path, array.rank, array.count, count);
    free_npy(&array);
}

/* Nothing that a model is to be compared with is left out. */
START_TEST(test_families__every_golden_is_whole)
{
    const char *folder = folders[_i];
    vitx_model *m = open_model(folder);
    const vx_arch *a = &m->arch;
    const size_t t = (size_t)vx_arch_tokens(a), heads = (size_t)a->heads;
    npy input = golden(folder, "input.npy");
    const size_t n = input.shape[0];
    check_golden(folder, "logits.npy", 2, n * (size_t)a->classes);
    check_golden(folder, "gradient.npy", 4, input.count);
    for (int l = 0; l < a->depth; l++) {
        char name[32];
        snprintf(name, sizeof name, "block_%d.npy", l);
        check_golden(folder, name, 3, n * t * (size_t)a->width);
        snprintf(name, sizeof name, "attention_%d.npy", l);
        check_golden(folder, name, 4, n * heads * t * t);
    }
    if (a->pool == VX_POOL_MAP)
        check_golden(folder, "attention_pool.npy", 4, n * (size_t)a->pool_heads * t);
    free_npy(&input);
    vitx_model_free(m);
}
END_TEST

/* ------------------------------------------------------------------ gradients -------------- */

/* By the input, of sum_k cos(k) answer_k. */
START_TEST(test_families__gradients_match_float64)
{
    static const vitx_gradients how[] = {VITX_GRADIENTS_KEEP, VITX_GRADIENTS_RECOMPUTE};
    const char *folder = folders[_i / 4];
    npy input = golden(folder, "input.npy"), expected = golden(folder, "gradient.npy");
    const int n = (int)input.shape[0];
    vitx_model *m = open_model(folder);
    vitx_context *c = context_of(m, _i % 2 ? "cpu" : "ref", n, how[_i / 2 % 2]);
    const int k = c->arch.classes;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    trace.gradients = VITX_GRADIENT_INPUT;
    trace.targets = 1;
    ck_ok(vitx_context_set_trace(c, &trace));
    for (size_t i = 0; i < input.count; i++)
        c->act.host.input[i] = (float)input.data[i];
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, input.count * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_context_place(c, &c->wish, &c->trace, n));
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = n}));
    ck_ok(vx_context_answers(c, &c->act, n));
    c->recorded = n;
    float *dlogits = malloc((size_t)(n * k) * sizeof *dlogits);
    for (int i = 0; i < n * k; i++)
        dlogits[i] = (float)cos(i % k);
    ck_ok(vitx_backward(c, dlogits));
    ck_ok(vitx_input_gradient(&view, c));
    const double error = max_error_f32(view.data, expected.data, expected.count);
    ck_assert_msg(error < 1e-5, "%s: %g of the largest", folder, error);
    free(dlogits);
    vitx_context_free(c);
    vitx_model_free(m);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

/* ------------------------------------------------------------------ layouts ---------------- */

/* The same weights, written down by several libraries (tools/golden/make_models.py). */
static const char *const same[][2] = {
    {"vit-timm-3x3", "vit-hf-3x3"},
    {"deit-timm-distilled", "deit-hf-teacher"},
    {"dinov2-meta-bare", "dinov2-hf-bare"},
    {"dinov2-meta-registers-swiglu", "dinov2-hf-registers-swiglu"},
    {"clip-hf", "clip-open-clip"},
    {"siglip-hf", "siglip-timm"},
    {"siglip-timm", "siglip-big-vision-tower"},
};
#define SAME ((int)(sizeof same / sizeof same[0]))

/* Logits of random input, in malloc'ed memory. */
static float *answer(const char *name, int *count)
{
    char folder[128];
    rng r = {3};
    snprintf(folder, sizeof folder, "test/golden/models/%s", name);
    vitx_model *m = open_model(folder);
    vitx_context *c = context_of(m, "cpu", 1, VITX_GRADIENTS_AUTO);
    const size_t k = (size_t)c->arch.classes, n = vx_context_input_count(c);
    float *out = malloc(k * sizeof *out);
    for (size_t i = 0; i < n; i++)
        c->act.host.input[i] = rng_normal(&r);
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, n * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .batch = 1}));
    ck_ok(vx_context_read(c, out, c->act.logits, k * sizeof *out));
    *count = c->arch.classes;
    vitx_context_free(c);
    vitx_model_free(m);
    return out;
}

START_TEST(test_families__the_same_weights_give_the_same_answer)
{
    int n[2];
    float *logits[2] = {answer(same[_i][0], &n[0]), answer(same[_i][1], &n[1])};
    ck_assert_int_eq(n[0], n[1]);
    const double error = max_error_ff(logits[0], logits[1], (size_t)n[0]);
    ck_assert_msg(error < 1e-6, "%s and %s differ by %g", same[_i][0], same[_i][1], error);
    free(logits[0]);
    free(logits[1]);
}
END_TEST

/* ------------------------------------------------------------------ what the head reads ---- */

static void explain(float *out, int *query, vitx_context *c, const char *method, int asked, int n)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_image *image;
    vitx_map *map;
    o.method = method;
    o.query = asked;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    ck_ok(vitx_explain(&map, c, image, &o));
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_int_eq(info.shape[0] * info.shape[1], n);
    *query = info.query;
    memcpy(out, vitx_map_values(map), (size_t)n * sizeof *out);
    vitx_map_free(map);
    vitx_image_free(image);
}

/* The default query is the class token; of two heads the mean over both rows. Maps are of
 * patches. */
START_TEST(test_families__the_query_is_what_the_head_reads)
{
    static const struct {
        const char *folder;
        int patches, query, read; /* read: how many tokens */
    } cases[] = {
        {"test/golden/models/deit-timm-distilled", 25, VITX_AUTO, 2},
        {"test/golden/models/deit-hf", 25, 0, 1},
        {"test/golden/models/dinov2-timm-registers-swiglu", 25, 0, 1},
        {"test/golden/models/dinov2-hf-registers-swiglu", 25, 0, 1},
        {"test/golden/models/vit-timm-registers-gap", 25, VITX_AUTO, 0},
    };
    static const char *const methods[] = {"attention", "rollout"}; /* linear in the rows */
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        for (int i = 0; i < 2; i++) {
            enum { MOST = 32 };
            float map[MOST], row[MOST], mean[MOST] = {0};
            int query, ignored;
            vitx_model *m = open_model(cases[k].folder);
            vitx_context *c = context_of(m, "cpu", 1, VITX_GRADIENTS_AUTO);
            const int n = cases[k].patches, prefix = c->arch.prefix;
            const int first = cases[k].read ? 0 : prefix, count = cases[k].read ? cases[k].read : n;
            explain(map, &query, c, methods[i], VITX_AUTO, n);
            ck_assert_int_eq(query, cases[k].query);
            for (int t = first; t < first + count; t++) {
                explain(row, &ignored, c, methods[i], t, n);
                ck_assert_int_eq(ignored, t);
                for (int p = 0; p < n; p++)
                    mean[p] += row[p] / (float)count;
            }
            const double error = max_error_ff(map, mean, (size_t)n);
            ck_assert_msg(error < 1e-5, "%s of %s: off by %g", methods[i], cases[k].folder, error);
            vitx_context_free(c);
            vitx_model_free(m);
        }
}
END_TEST

/* All patches left out: the prefix goes through the blocks, and the mean over none is 0, to which
 * the head that reads it adds nothing. */
START_TEST(test_families__a_picture_without_patches)
{
    static const char *const folder = "test/golden/models/dinov2-hf-registers-swiglu";
    static const char *const devices[] = {"ref", "cpu"};
    double nothing[2];
    for (int i = 0; i < 2; i++) {
        vitx_model *m = open_model(folder);
        vitx_context *c = context_of(m, devices[i], 1, VITX_GRADIENTS_AUTO);
        const vx_arch *a = &c->arch;
        const int starts[] = {0, a->prefix}, k = a->classes;
        float *logits = malloc(2 * (size_t)k * sizeof *logits);
        const size_t n = vx_context_input_count(c);
        for (size_t p = 0; p < n; p++)
            c->act.host.input[p] = 0.5f;
        c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, n * sizeof(float));
        const vx_pass pass = {.act = &c->act, .batch = 1, .starts = starts};
        vx_context_begin(c, 1);
        vx_pass_embed(c, &(vx_pass){.act = &c->act, .batch = 1});
        ck_ok(vx_pass_blocks(c, &pass)); /* the prefix is what lies first */
        ck_ok(vx_context_read(c, logits, c->act.logits, (size_t)k * sizeof *logits));
        /* the head alone on the class token that this left */
        c->dev->ops.linear(c->dev, &(vx_linear){.y = c->act.logits,
                                                .ldy = k,
                                                .x = c->act.pooled,
                                                .ldx = a->width,
                                                .w = &c->weights->head,
                                                .m = 1});
        ck_ok(vx_context_read(c, logits + k, c->act.logits, (size_t)k * sizeof *logits));
        ck_assert_double_lt(max_error_ff(logits, logits + k, (size_t)k), 1e-6);
        nothing[i] = (double)logits[0];
        free(logits);
        vitx_context_free(c);
        vitx_model_free(m);
    }
    ck_assert_double_eq_tol(nothing[0], nothing[1], 1e-5);
}
END_TEST

/* Logits of the first `rows` rows of a random picture's patches, 6 a row: of a context whose input
 * is no higher, or of one where the patches behind them are left out. */
static void answer_to_rows(float *logits, vitx_model *m, int rows, bool left_out)
{
    enum { WIDTH = 24, PATCH = 4, ROWS = 4, PREFIX = 1 };
    rng r = {8};
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    int tokens_of[PREFIX + ROWS * WIDTH / PATCH];
    const int height = left_out ? ROWS * PATCH : rows * PATCH;
    const int n = PREFIX + rows * WIDTH / PATCH, starts[] = {0, n};
    opts.input_height = height;
    opts.input_width = WIDTH;
    opts.fit = VITX_FIT_SQUASH;
    ck_ok(vitx_context_create(&c, m, &opts));
    for (int i = 0; i < 3 * ROWS * PATCH * WIDTH; i++) {
        const int y = i / WIDTH % (ROWS * PATCH), channel = i / WIDTH / (ROWS * PATCH);
        const float v = rng_normal(&r);
        if (y < height)
            c->act.host.input[(channel * height + y) * WIDTH + i % WIDTH] = v;
    }
    for (int i = 0; i < n; i++)
        tokens_of[i] = i;
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input,
                        vx_context_input_count(c) * sizeof(float));
    vx_context_begin(c, 1);
    vx_pass_embed(c, &(vx_pass){.act = &c->act, .batch = 1});
    ck_ok(vx_pass_blocks(c, &(vx_pass){.act = &c->act,
                                       .batch = 1,
                                       .starts = left_out ? starts : NULL,
                                       .tokens_of = left_out ? tokens_of : NULL}));
    ck_ok(vx_context_read(c, logits, c->act.logits, (size_t)c->arch.classes * sizeof *logits));
    vitx_context_free(c);
}

/* Rotations that depend on the number of row and column alone: patches that are left out at the end
 * are as good as a picture without them. */
START_TEST(test_families__patches_that_stay_keep_their_rotation)
{
    float whole[7], left_out[7], lower[7];
    vitx_model *m = open_model("test/golden/models/rope-timm");
    answer_to_rows(whole, m, 4, false);
    answer_to_rows(left_out, m, 2, true);
    answer_to_rows(lower, m, 2, false);
    ck_assert_double_lt(max_error_ff(left_out, lower, 7), 1e-5);
    ck_assert_double_gt(max_error_ff(left_out, whole, 7), 1e-2);
    vitx_model_free(m);
}
END_TEST

static Suite *suite(void)
{
    folder_count = model_folders(folders);
    Suite *s = suite_create("families");
    TCase *t = tcase_create("families");
    tcase_add_test(t, test_families__every_dialect_has_a_golden);
    tcase_add_loop_test(t, test_families__every_golden_is_whole, 0, folder_count);
    tcase_add_loop_test(t, test_families__gradients_match_float64, 0, 4 * folder_count);
    tcase_add_loop_test(t, test_families__the_same_weights_give_the_same_answer, 0, SAME);
    tcase_add_test(t, test_families__the_query_is_what_the_head_reads);
    tcase_add_test(t, test_families__a_picture_without_patches);
    tcase_add_test(t, test_families__patches_that_stay_keep_their_rotation);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
