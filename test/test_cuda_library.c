/*
 * The whole library on the device "cuda-host" (docs/cuda.md): the kernels of the CUDA device on
 * the host twin, in every precision, against the device cpu in f32. All golden models forward and
 * backward, all methods, what makes variants in many ways, metrics and statistics. Under the
 * address sanitizer every 26th model, and the methods in one precision; under the thread sanitizer
 * one model. VX_TEST_THREADS
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "cuda_bed.h"
#include "util.h"
#include "whole.h"

/* How far a precision may be off: of the largest value of an array of the forward pass, of
 * gradients and maps, of maps that are quotients of small numbers (gradcam++, xgradcam). The golden
 * models are random, 3 blocks deep: in bf16 such quotients have no digit left, on the cpu neither,
 * so only a NaN fails there. */
typedef struct bound {
    const char *precision;
    double forward, map, quotient;
} bound;

static const bound bounds[] = {
    {"f32", TOL_LOGITS, TOL_MAP_WIDE, 10 * TOL_MAP_WIDE},
    {"bf16x3", 3 * TOL_LOGITS, 3 * TOL_MAP_WIDE, 30 * TOL_MAP_WIDE},
    {"f16", 1e-2, 5e-2, 5e-1},
    {"bf16", 4e-2, 3e-1, DBL_MAX},
};
enum { PRECISIONS = sizeof bounds / sizeof bounds[0] };

static char folders[MOST_MODELS][128];
static int folder_count;

static size_t end_of(const numbers *n, size_t p)
{
    return p + 1 < n->part_count ? n->parts[p + 1].first : n->count;
}

/* Largest difference over the largest value; a NaN on one side alone gives infinity. */
static double error_of(const double *a, const double *b, size_t count)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(a[i]) && isnan(b[i]))
            continue;
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        difference = fmax(difference, fabs(a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return difference > 0 ? difference / largest : 0;
}

static bool is_forward(const char *name)
{
    return strcmp(name, "logits ") == 0 || strcmp(name, "attention ") == 0 ||
           strcmp(name, "tokens ") == 0;
}

static bool is_quotient(const char *name)
{
    const bool is_map = strstr(name, " alone") || strstr(name, " with all others");
    return is_map && (strstr(name, "gradcam++") == name || strstr(name, "xgradcam") == name);
}

static double most_of(const bound *b, const char *name)
{
    return is_forward(name) ? b->forward : is_quotient(name) ? b->quotient : b->map;
}

static void check_part(const numbers *found, const numbers *expected, size_t p, const bound *b,
                       const char *folder)
{
    const char *name = expected->parts[p].name;
    const size_t first = expected->parts[p].first, count = end_of(expected, p) - first;
    ck_assert_str_eq(found->parts[p].name, name);
    ck_assert_uint_eq(found->parts[p].first, first);
    ck_assert_uint_eq(end_of(found, p) - first, count);
    const double error = error_of(found->values + first, expected->values + first, count);
    const double most = most_of(b, name);
    if (getenv("VX_TEST_PRINT"))
        printf("%-8s %-50s %-36s %.2e\n", b->precision, folder, name, error);
    ck_assert_msg(error <= most, "%s, %s: %s is off by %.3g, at most %.3g", folder, b->precision,
                  name, error, most);
}

/* What a run collects on the twin is what it collects on cpu, within the precision's bound. */
static void check_near(whole_run *run, const char *folder, const bound *b, int which)
{
    numbers expected = {0}, found = {0};
    run(&expected, folder, "cpu", "f32", which);
    run(&found, folder, cuda_class()->name, b->precision, which);
    ck_assert_uint_gt(expected.count, 0);
    ck_assert_uint_eq(found.part_count, expected.part_count);
    for (size_t p = 0; p < expected.part_count; p++)
        check_part(&found, &expected, p, b, folder);
    free_numbers(&expected);
    free_numbers(&found);
}

/* Each model in f32 and in one of the others. */
START_TEST(test_twin__every_golden_model)
{
    const bound *other = &bounds[1 + _i % (PRECISIONS - 1)];
    if (SANITIZED && _i % 26 != 0)
        return;
    check_near(whole_model, folders[_i], &bounds[0], _i);
    check_near(whole_model, folders[_i], other, _i);
}
END_TEST

static const char *const models[] = {"test/golden/models/vit-timm",
                                     "test/golden/models/deit-timm-distilled"};
enum { MODELS = sizeof models / sizeof models[0] };

/* Each precision on one of the models. Of class 1: which is the best class may depend on a
 * precision. */
START_TEST(test_twin__every_method)
{
    check_near(whole_methods, models[_i % MODELS], &bounds[_i], 1);
}
END_TEST

START_TEST(test_twin__variants)
{
    check_near(whole_variants, models[_i], &bounds[0], 1);
}
END_TEST

START_TEST(test_twin__every_metric)
{
    check_near(whole_metrics, models[_i], &bounds[0], 0);
}
END_TEST

START_TEST(test_twin__statistics)
{
    check_near(whole_stats, models[_i], &bounds[0], 0);
}
END_TEST

/* Bytes of a trace with gradients of the tokens, and the rows of attention that its view has; 0:
 * there is no view. */
static size_t trace_of(int64_t *rows, const char *device, vitx_gradients gradients,
                       vitx_record record, int layer)
{
    bench b = open_bench(models[0], &(bench_opts){.device = device, .gradients = gradients});
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    t.record = record;
    t.gradients = VITX_GRADIENT_NORM1;
    t.targets = 1;
    t.layers = &layer;
    t.layer_count = 1;
    ck_ok(vitx_context_set_trace(b.c, &t));
    ck_ok(vitx_context_get_info(&info, b.c));
    ck_ok(vitx_forward(b.c, pictures(&b), 2));
    *rows = vitx_attention(&view, b.c, layer) == VITX_OK ? view.shape[2] : 0;
    close_bench(&b);
    return info.trace_bytes;
}

/* Bytes that a method takes for two pictures. */
static size_t method_bytes(const char *method, const char *device, vitx_gradients gradients)
{
    bench b = open_bench(models[0], &(bench_opts){.device = device, .gradients = gradients});
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    size_t bytes;
    o.method = method;
    ck_ok(vitx_explain_bytes(&bytes, b.c, &o, 1));
    close_bench(&b);
    return bytes;
}

/* The device makes the probabilities again in its backward pass: none are kept for it, and what is
 * recorded is what was asked for. */
START_TEST(test_twin__keeps_no_probabilities)
{
    static const vitx_gradients ways[] = {VITX_GRADIENTS_KEEP, VITX_GRADIENTS_RECOMPUTE};
    vitx_model *model;
    vitx_model_info m = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_open(&model, models[0], NULL));
    ck_ok(vitx_model_get_info(&m, model));
    vitx_model_free(model);
    const size_t t = (size_t)m.tokens, p = (2 * (size_t)m.heads * t * t * 4 + 63) / 64 * 64;
    const size_t row = (2 * (size_t)m.heads * t * 4 + 63) / 64 * 64;
    for (int keep = 0; keep < 2; keep++)
        for (int record = 0; record < 2; record++) {
            int64_t rows, expected;
            const vitx_gradients how = ways[keep];
            const size_t here = trace_of(&rows, cuda_class()->name, how, (vitx_record)record, 0);
            const size_t there = trace_of(&expected, "ref", how, (vitx_record)record, 0);
            const size_t blocks = how == VITX_GRADIENTS_KEEP ? (size_t)m.depth : 1;
            const bool whole = record && how == VITX_GRADIENTS_KEEP;
            ck_assert_int_eq(rows, record);
            ck_assert_uint_eq(there - here, blocks * p - (whole ? row : 0));
        }
    for (int keep = 0; keep < 2; keep++) { /* nor their gradients, whose size is the same */
        const size_t blocks = ways[keep] == VITX_GRADIENTS_KEEP ? (size_t)m.depth : 1;
        ck_assert_uint_eq(method_bytes("generic", "ref", ways[keep]) -
                              method_bytes("generic", cuda_class()->name, ways[keep]),
                          (blocks + 1) * p);
        ck_assert_uint_eq(method_bytes("legrad", "ref", ways[keep]) -
                              method_bytes("legrad", cuda_class()->name, ways[keep]),
                          (blocks + 1) * p - row);
    }
}
END_TEST

/* Methods that read gradients of attention, of all heads together, each head, and one. */
static void attention_gradients(numbers *n, const char *folder, const char *device,
                                const char *precision, int which)
{
    static const char *const methods[] = {"legrad", "attn-gradcam", "generic", "grad-rollout"};
    static const int heads[] = {VITX_AUTO, VITX_ALL, 1};
    bench b = open_bench(
        folder, &(bench_opts){.device = device,
                              .precision = precision,
                              .gradients = which ? VITX_GRADIENTS_RECOMPUTE : VITX_GRADIENTS_KEEP});
    for (int i = 0; i < 12; i++) {
        vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
        vitx_map *maps[2];
        char how[24];
        o.method = methods[i / 3];
        o.head = heads[i % 3];
        o.layer = o.head == VITX_ALL ? VITX_ALL : VITX_AUTO;
        o.target = 1;
        snprintf(how, sizeof how, "head %d", o.head);
        ck_ok(vitx_explain_many(maps, b.c, pictures(&b), 2, &o, 1));
        for (int k = 0; k < 2; k++)
            add_map(n, maps[k], how);
    }
    close_bench(&b);
}

START_TEST(test_twin__gradients_of_attention)
{
    static const char *const folder[] = {"test/golden/models/vit-timm",
                                         "test/golden/models/vit-timm-map-registers",
                                         "test/golden/models/siglip-timm"};
    for (int i = 0; i < 3; i++)
        check_near(attention_gradients, folder[i], &bounds[_i], (i + _i) % 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_library");
    TCase *t = tcase_create("twin");
    folder_count = model_folders(folders);
    tcase_add_loop_test(t, test_twin__every_golden_model, 0, SANITIZED_THREADS ? 1 : folder_count);
    tcase_add_loop_test(t, test_twin__every_method, SANITIZED ? PRECISIONS - 1 : 0,
                        SANITIZED_THREADS ? 0 : PRECISIONS);
    tcase_add_loop_test(t, test_twin__variants, 0, SANITIZED ? 0 : MODELS); /* test_kernels */
    tcase_add_loop_test(t, test_twin__every_metric, 0, SANITIZED ? 0 : MODELS);
    tcase_add_loop_test(t, test_twin__statistics, 0,
                        SANITIZED_THREADS ? 0
                        : SANITIZED       ? 1
                                          : MODELS);
    tcase_add_test(t, test_twin__keeps_no_probabilities);
    tcase_add_loop_test(t, test_twin__gradients_of_attention, 0,
                        SANITIZED_THREADS ? 0
                        : SANITIZED       ? 2
                                          : PRECISIONS);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
