/*
 * The whole library on the device "cuda-host" (docs/cuda.md): the kernels of the CUDA device on
 * the host twin, in every precision, against the device cpu in f32. All golden models forward and
 * backward, all methods, metrics and statistics. Under the address sanitizer every 26th model, and
 * the methods in one precision; under the thread sanitizer one model. VX_TEST_THREADS
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

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_library");
    TCase *t = tcase_create("twin");
    folder_count = model_folders(folders);
    tcase_add_loop_test(t, test_twin__every_golden_model, 0, SANITIZED_THREADS ? 1 : folder_count);
    tcase_add_loop_test(t, test_twin__every_method, SANITIZED ? PRECISIONS - 1 : 0,
                        SANITIZED_THREADS ? 0 : PRECISIONS);
    tcase_add_loop_test(t, test_twin__every_metric, 0, SANITIZED ? 0 : MODELS);
    tcase_add_loop_test(t, test_twin__statistics, 0, SANITIZED_THREADS ? 0 : MODELS);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
