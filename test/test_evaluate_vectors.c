/*
 * test_evaluate_vectors.c: metrics of maps that explain the similarity to a vector or to a picture.
 * The numbers that curves should hold are made by covering pictures and embedding them, not by a
 * metric. VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { SIDE = 40, PIXELS = SIDE * SIDE, K = 7, MOST = 16 };

typedef struct bed {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image; /* as large as the input, which takes it as it is */
    uint8_t rgb[PIXELS * 3];
    float vector[K];
} bed;

static vitx_context *context_of(vitx_model *model, const char *device, vitx_progress *progress,
                                void *payload)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = 1;
    o.max_batch = 2;
    o.fit = VITX_FIT_SQUASH;
    o.progress = progress;
    o.progress_payload = payload;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static void open_bed(bed *b, const char *device, const vitx_hooks *hooks)
{
    rng r = {9};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    mo.hooks = hooks;
    ck_ok(vitx_model_open(&b->model, "test/golden/models/clip-hf", &mo));
    b->c = context_of(b->model, device, NULL, NULL);
    for (int i = 0; i < PIXELS * 3; i++)
        b->rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&b->image, b->rgb, SIDE, SIDE, 0, NULL));
    for (int k = 0; k < K; k++)
        b->vector[k] = 30 * sinf((float)k + 1);
}

static void close_bed(bed *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

static double cosine(const float *a, const float *b)
{
    return dot(a, b) / sqrt(dot(a, a) * dot(b, b));
}

/* The embedding of the picture with the first `covered` pixels of `order` black, or all but
 * those. */
static void embed(float *out, const bed *b, const int *order, int covered, bool others)
{
    uint8_t *rgb = malloc(sizeof b->rgb);
    vitx_image *image;
    memcpy(rgb, b->rgb, sizeof b->rgb);
    for (int i = 0; i < PIXELS; i++)
        if ((i < covered) != others)
            memset(rgb + (size_t)order[i] * 3, 0, 3);
    ck_ok(vitx_image_from_rgb(&image, rgb, SIDE, SIDE, 0, NULL));
    ck_ok(vitx_embed(b->c, image, out, 0));
    vitx_image_free(image);
    free(rgb);
}

static vitx_map *explained(const bed *b, const vitx_explain_opts *o)
{
    vitx_map *map;
    ck_ok(vitx_explain(&map, b->c, b->image, o));
    return map;
}

/* By vitx_evaluate(): e is to be freed. */
static vitx_evaluation_info measure(vitx_evaluation **e, const bed *b, const vitx_map *map,
                                    const vitx_evaluate_opts *o)
{
    vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
    ck_ok(vitx_evaluate(e, b->c, b->image, map, o));
    ck_ok(vitx_evaluation_get_info(&info, *e));
    return info;
}

/* A map of values that grow along a known order, each pixel another. */
static vitx_map *ordered(int *order, const bed *b)
{
    float values[PIXELS];
    vitx_map *map;
    for (int i = 0; i < PIXELS; i++) {
        order[i] = i * 631 % PIXELS; /* 631 and 1600 have no common divisor */
        values[order[i]] = (float)(PIXELS - i);
    }
    ck_ok(vitx_map_of_values(&map, b->c, b->image, values, SIDE, SIDE, VITX_AUTO));
    return map;
}

static const char *const devices[] = {"cpu", "ref"};

/* Each point of deletion and insertion is the cosine of a picture with so many pixels black. */
START_TEST(test_vectors__curves_are_of_covered_pictures)
{
    static const char *const set[] = {"step=300", "fill=black"};
    static const char *const metrics[] = {"deletion", "insertion"};
    bed b;
    int order[PIXELS];
    float z[K];
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    open_bed(&b, devices[_i], NULL);
    vitx_map *map = ordered(order, &b);
    explain.vector = b.vector;
    explain.vector_count = K;
    for (int m = 0; m < 2; m++) {
        vitx_evaluation *e;
        vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
        double area = 0;
        o.metric = metrics[m];
        o.set = set;
        o.set_count = 2;
        o.explain = &explain;
        const vitx_evaluation_info info = measure(&e, &b, map, &o);
        ck_assert_int_eq(info.point_count, 7);
        for (int i = 0; i < 7; i++) {
            embed(z, &b, order, i * 300 < PIXELS ? i * 300 : PIXELS, m == 1);
            ck_assert_double_eq_tol(info.curves[i], cosine(z, b.vector), 1e-6);
            area += cosine(z, b.vector) * (i % 6 == 0 ? 0.5 : 1) / 6;
        }
        ck_assert_double_eq_tol(info.value, area, 1e-6);
        vitx_evaluation_free(e);
    }
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* With every patch taken away, what is lost is known of two pictures; of both scores. */
START_TEST(test_vectors__infidelity_by_hand)
{
    static const char *const set[] = {"p=1", "n=2", "normalize=no", "remove=black"};
    static const int all[PIXELS];
    bed b;
    float whole[K], black[K];
    open_bed(&b, devices[_i % 2], NULL);
    const vitx_score score = _i / 2 ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    vitx_evaluation *e;
    uint8_t *rgb = calloc(PIXELS, 3);
    vitx_image *nothing;
    double sum = 0;
    explain.method = "gradcam";
    explain.vector = b.vector;
    explain.vector_count = K;
    explain.score = score;
    vitx_map *map = explained(&b, &explain);
    for (int p = 0; p < 25; p++)
        sum += (double)vitx_map_values(map)[p];
    embed(whole, &b, all, 0, false);
    ck_ok(vitx_image_from_rgb(&nothing, rgb, SIDE, SIDE, 0, NULL));
    ck_ok(vitx_embed(b.c, nothing, black, 0));
    const double lost = score == VITX_SCORE_DOT ? dot(whole, b.vector) - dot(black, b.vector)
                                                : cosine(whole, b.vector) - cosine(black, b.vector);
    o.metric = "infidelity";
    o.set = set;
    o.set_count = 4;
    o.explain = &explain;
    const vitx_evaluation_info info = measure(&e, &b, map, &o);
    const double expected = (sum - lost) * (sum - lost);
    ck_assert_double_gt(expected, 1e-4);
    ck_assert_double_eq_tol(info.value / expected, 1, 1e-4);
    vitx_evaluation_free(e);
    vitx_map_free(map);
    vitx_image_free(nothing);
    free(rgb);
    close_bed(&b);
}
END_TEST

/* All metrics that need no mask, in short. */
static int metrics_of(vitx_evaluate_opts *o, const vitx_explain_opts *explain)
{
    static const char *const quick[] = {"step=200"}, *const few[] = {"n=3"};
    int count = 0;
    for (int i = 0; i < vitx_metric_count(); i++) {
        vitx_metric_info m = VITX_METRIC_INFO_INIT;
        ck_ok(vitx_metric_get(&m, i));
        if (m.needs_mask)
            continue;
        ck_assert_int_lt(count, MOST);
        vitx_evaluate_opts *at = &o[count++];
        vitx_evaluate_opts_init(at, sizeof *at);
        at->metric = m.name;
        at->explain = explain;
        for (int k = 0; k < m.option_count; k++) {
            if (strcmp(m.options[k].key, "step") == 0)
                at->set = quick;
            if (strcmp(m.options[k].key, "n") == 0)
                at->set = few;
        }
        at->set_count = at->set ? 1 : 0;
    }
    return count;
}

typedef struct counter {
    int64_t done, total;
} counter;

static int count_up(int64_t done, int64_t total, void *payload)
{
    counter *k = payload;
    ck_assert_int_gt(done, k->done);
    ck_assert_int_le(done, total);
    *k = (counter){done, total};
    return 0;
}

/* A picture is the vector of its embedding, in every metric; and the progress ends at its total. */
START_TEST(test_vectors__a_picture_is_its_embedding)
{
    bed b;
    counter k = {0};
    float vector[K];
    vitx_image *like;
    vitx_explain_opts e[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_evaluate_opts o[2][MOST];
    vitx_evaluation *results[2][MOST];
    open_bed(&b, devices[_i], NULL);
    vitx_context_free(b.c);
    b.c = context_of(b.model, devices[_i], count_up, &k);
    ck_ok(vitx_image_open(&like, "test/golden/models/picture.png"));
    ck_ok(vitx_embed(b.c, like, vector, 0));
    e[0].method = e[1].method = "generic";
    e[0].like = like;
    e[1].vector = vector;
    e[1].vector_count = K;
    int count = 0;
    for (int i = 0; i < 2; i++) {
        k = (counter){0};
        vitx_map *map = explained(&b, &e[i]);
        count = metrics_of(o[i], &e[i]);
        k = (counter){0};
        ck_ok(vitx_evaluate_check(b.c, o[i], count));
        ck_ok(vitx_evaluate_many(results[i], b.c, b.image, map, o[i], count));
        ck_assert_int_eq(k.done, k.total);
        vitx_map_free(map);
    }
    for (int j = 0; j < count; j++) {
        vitx_evaluation_info info[2] = {VITX_EVALUATION_INFO_INIT, VITX_EVALUATION_INFO_INIT};
        for (int i = 0; i < 2; i++)
            ck_ok(vitx_evaluation_get_info(&info[i], results[i][j]));
        for (int v = 0; v < info[0].value_count; v++)
            ck_assert_double_eq_tol(info[0].values[v], info[1].values[v], 1e-5);
        for (int v = 0; v < info[0].curve_count * info[0].point_count; v++)
            ck_assert_double_eq_tol(info[0].curves[v], info[1].curves[v], 1e-5);
        vitx_evaluation_free(results[0][j]);
        vitx_evaluation_free(results[1][j]);
    }
    vitx_image_free(like);
    close_bed(&b);
}
END_TEST

START_TEST(test_vectors__what_is_refused)
{
    bed b;
    vitx_evaluation *e;
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts o[MOST];
    open_bed(&b, "cpu", NULL);
    explain.method = "gradcam";
    explain.vector = b.vector;
    explain.vector_count = K;
    vitx_map *map = explained(&b, &explain);
    const int count = metrics_of(o, NULL);
    for (int j = 0; j < count; j++) {
        if (strcmp(o[j].metric, "sparseness") == 0) {
            ck_ok(vitx_evaluate(&e, b.c, b.image, map, &o[j]));
            vitx_evaluation_free(e);
        } else {
            ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o[j]), VITX_INVALID,
                     strcmp(o[j].metric, "sensitivity") == 0 ||
                             strcmp(o[j].metric, "randomisation") == 0
                         ? "explains again"
                         : "the map explains the similarity to a vector");
        }
        o[j].explain = &explain;
    }
    explain.vector_count = K - 1;
    ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o[0]), VITX_INVALID, "outputs are 7");
    ck_fails(vitx_evaluate_check(b.c, o, count), VITX_INVALID, "outputs are 7");
    explain.vector_count = K;
    b.vector[2] = NAN;
    ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o[0]), VITX_INVALID, "number 2");
    vitx_map_free(map);
    explain.vector = NULL;
    explain.target = 2;
    map = explained(&b, &explain);
    o[0].metric = "deletion";
    ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o[0]), VITX_UNSUPPORTED, "no classes");
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

START_TEST(test_vectors__every_allocation_may_fail)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    bed b;
    vitx_image *like;
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts o[MOST];
    vitx_evaluation *e;
    open_bed(&b, devices[_i], &hooks);
    ck_ok(vitx_image_open(&like, "test/golden/models/picture.png"));
    explain.method = "gradcam";
    explain.like = like;
    vitx_map *map = explained(&b, &explain);
    const int count = metrics_of(o, &explain);
    for (int j = 0; j < count; j++) {
        int status = VITX_NOMEM;
        for (int n = 0; status != VITX_OK; n++) {
            r.left = -1;
            vitx_context_free(b.c);
            const int live = r.live;
            b.c = context_of(b.model, devices[_i], NULL, NULL);
            r.left = n;
            status = vitx_evaluate(&e, b.c, b.image, map, &o[j]);
            ck_assert_msg(status == VITX_NOMEM || status == VITX_OK, "%s, %d: %s", o[j].metric, n,
                          vitx_last_error());
            r.left = -1;
            vitx_evaluation_free(e);
            vitx_context_free(b.c);
            ck_assert_int_eq(r.live, live);
            b.c = context_of(b.model, devices[_i], NULL, NULL);
        }
    }
    vitx_map_free(map);
    vitx_image_free(like);
    close_bed(&b);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("evaluate_vectors");
    TCase *t = tcase_create("vectors");
    tcase_add_loop_test(t, test_vectors__curves_are_of_covered_pictures, 0, 2);
    tcase_add_loop_test(t, test_vectors__infidelity_by_hand, 0, 4);
    tcase_add_loop_test(t, test_vectors__a_picture_is_its_embedding, 0, 2);
    tcase_add_test(t, test_vectors__what_is_refused);
    tcase_add_loop_test(t, test_vectors__every_allocation_may_fail, 0, 2);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(suite)
