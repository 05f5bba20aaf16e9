/*
 * Metrics of maps: against float64 in test/golden/evaluate, by hand on small cases, by what must
 * hold of any map, and what they refuse. VX_TEST_THREADS VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/context.h"
#include "measure/impute.h"
#include "measure/metric.h"
#include "measure/rank.h"
#include "model/randomise.h"
#include "util.h"

/* ------------------------------------------------------------------ a bed ------------------ */

typedef struct bed {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} bed;

static void open_bed(bed *b, const char *name, const char *device, int threads, int batch,
                     vitx_fit fit)
{
    char path[128];
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = device;
    o.threads = threads;
    o.max_batch = batch;
    o.fit = fit;
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(&b->model, path, NULL));
    ck_ok(vitx_context_create(&b->c, b->model, &o));
    ck_ok(vitx_image_open(&b->image, "test/golden/models/picture.png"));
}

static bed tiny(void)
{
    bed b;
    open_bed(&b, "vit-timm", "cpu", 1, 1, VITX_FIT_RECIPE);
    return b;
}

static void close_bed(bed *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

/* A picture whose pixels and those of a map of its size agree, as the input (40 x 40) is
 * squashed. */
static vitx_image *input_sized(void)
{
    uint8_t rgb[20 * 20 * 3];
    vitx_image *image;
    rng r = {5};
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, 20, 20, 0, NULL));
    return image;
}

static vitx_map *map_of(const bed *b, const double *values, int height, int width)
{
    vitx_map *map;
    float *narrow = malloc((size_t)(height * width) * sizeof *narrow);
    for (int i = 0; i < height * width; i++)
        narrow[i] = (float)values[i];
    ck_ok(vitx_map_of_values(&map, b->c, b->image, narrow, height, width, VITX_AUTO));
    free(narrow);
    return map;
}

static vitx_map *random_map(const bed *b, uint64_t seed, int height, int width, double sign)
{
    rng r = {seed};
    double *values = malloc((size_t)(height * width) * sizeof *values);
    for (int i = 0; i < height * width; i++)
        values[i] = sign * rng_normal(&r);
    vitx_map *map = map_of(b, values, height, width);
    free(values);
    return map;
}

static vitx_map *explained(const bed *b, const char *method)
{
    vitx_map *map;
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = method;
    ck_ok(vitx_explain(&map, b->c, b->image, &o));
    return map;
}

/* "a=1;b=2" as the options' set; the texts lie in `text`. */
typedef struct asked {
    vitx_evaluate_opts o;
    vitx_explain_opts explain;
    char text[128];
    const char *set[8];
} asked;

static void ask(asked *a, const char *metric, const char *options)
{
    vitx_evaluate_opts_init(&a->o, sizeof a->o);
    vitx_explain_opts_init(&a->explain, sizeof a->explain);
    a->o.metric = metric;
    a->o.set = a->set;
    snprintf(a->text, sizeof a->text, "%s", options);
    for (char *p = strtok(a->text, ";"); p; p = strtok(NULL, ";"))
        a->set[a->o.set_count++] = p;
}

/* The metric's first value, or value `index`. */
static double value_at(const bed *b, const vitx_map *map, const vitx_evaluate_opts *o, int index)
{
    vitx_evaluation *e;
    vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
    ck_ok(vitx_evaluate(&e, b->c, b->image, map, o));
    ck_ok(vitx_evaluation_get_info(&info, e));
    ck_assert_str_eq(info.metric, o->metric);
    ck_assert_int_lt(index, info.value_count);
    ck_assert(info.value == info.values[0]);
    const double value = info.values[index];
    vitx_evaluation_free(e);
    return value;
}

static double value_of(const bed *b, const vitx_map *map, const char *metric, const char *options,
                       int index)
{
    asked a;
    ask(&a, metric, options);
    return value_at(b, map, &a.o, index);
}

/* ------------------------------------------------------------------ goldens ---------------- */

/* Probabilities, correlations and shares in f32 against float64. */
#define TOL_METRIC 1e-5

static vitx_map *golden_map(const bed *b, const char *model, const char *name)
{
    char path[128];
    if (strcmp(name, "rollout") == 0)
        return explained(b, name);
    snprintf(path, sizeof path, "evaluate/%s_%s.npy", model, name);
    npy values = read_npy(golden_path(path));
    vitx_map *map = map_of(b, values.data, (int)values.shape[0], (int)values.shape[1]);
    free_npy(&values);
    return map;
}

/* One line of the cases against its numbers; gives how many there are. */
static size_t check_case(const bed *b, const char *model, const char *line, const double *numbers)
{
    char name[16], metric[32], options[64];
    int values, curves, points;
    asked a;
    vitx_evaluation *e;
    vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
    ck_assert_int_eq(
        sscanf(line, "%15s %31s %63s %d %d %d", name, metric, options, &values, &curves, &points),
        6);
    vitx_map *map = golden_map(b, model, name);
    ask(&a, metric, strcmp(options, "-") == 0 ? "" : options);
    a.explain.method = name;
    a.o.explain = &a.explain;
    ck_ok(vitx_evaluate(&e, b->c, b->image, map, &a.o));
    ck_ok(vitx_evaluation_get_info(&info, e));
    ck_assert_int_eq(info.value_count, values);
    ck_assert_int_eq(info.curve_count, curves);
    ck_assert_int_eq(info.point_count, points);
    for (int i = 0; i < values + curves * points; i++) {
        const double got = i < values ? info.values[i] : info.curves[i - values];
        const double size = fmax(1, fabs(numbers[i]));
        ck_assert_msg(fabs(got - numbers[i]) <= TOL_METRIC * size,
                      "%s, %s: number %d is %.9g, not %.9g", model, line, i, got, numbers[i]);
    }
    for (int i = 1; i < points; i++)
        ck_assert(info.x[i] > info.x[i - 1]);
    vitx_evaluation_free(e);
    vitx_map_free(map);
    return (size_t)(values + curves * points);
}

static void check_golden(const char *model, const char *device, int threads, int batch)
{
    char path[128];
    bed b;
    open_bed(&b, model, device, threads, batch, VITX_FIT_RECIPE);
    snprintf(path, sizeof path, "evaluate/%s_cases.txt", model);
    char *lines = read_file(golden_path(path), NULL), *rest = lines;
    snprintf(path, sizeof path, "evaluate/%s_numbers.npy", model);
    npy numbers = read_npy(golden_path(path));
    size_t at = 0;
    for (char *end; (end = strchr(rest, '\n')) != NULL; rest = end + 1) {
        *end = '\0';
        at += check_case(&b, model, rest, numbers.data + at);
    }
    ck_assert_uint_eq(at, numbers.count);
    ck_assert_uint_gt(at, 200);
    free_npy(&numbers);
    free(lines);
    close_bed(&b);
}

static const char *const golden_models[] = {"vit-timm", "vit-timm-avg", "vit-hf-margin"};

START_TEST(test_golden__on_the_cpu)
{
    check_golden(golden_models[_i], "cpu", 1, 1);
}
END_TEST

START_TEST(test_golden__workers_and_batches_change_nothing)
{
    check_golden(golden_models[_i], "cpu", 3, 11);
}
END_TEST

START_TEST(test_golden__where_the_host_cannot_read_the_device)
{
    check_golden(golden_models[_i], "ref", 2, 3);
}
END_TEST

/* ------------------------------------------------------------------ order ------------------ */

START_TEST(test_order__is_stable_and_knows_signs)
{
    const float v[] = {0.0f, -1.0f, 3.0f, -0.0f, 3.0f, -2.5f, 1e-40f, 0.0f, INFINITY, -INFINITY};
    const uint32_t expected[] = {8, 2, 4, 6, 0, 3, 7, 1, 5, 9};
    uint32_t order[10], space[10];
    vx_order(order, v, 10, space);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(order[i], expected[i]);
    ck_assert_uint_eq(vx_order_ties(order, v, 10, 1), 3);
    ck_assert_uint_eq(vx_order_ties(order, v, 10, 4), 7);
}
END_TEST

START_TEST(test_order__equals_a_plain_sort)
{
    enum { N = 3000 };
    static float v[N];
    static uint32_t order[N], space[N];
    rng r = {17};
    for (int i = 0; i < N; i++)
        v[i] = i % 3 ? rng_normal(&r) : (float)rng_int(&r, -3, 3);
    vx_order(order, v, N, space);
    for (int i = 1; i < N; i++) {
        const float a = v[order[i - 1]], b = v[order[i]];
        ck_assert(a > b || (a == b && order[i - 1] < order[i]));
    }
}
END_TEST

/* scipy.stats.rankdata([2, 1, 2, 5, 1, 1]) */
START_TEST(test_ranks__equal_values_share_their_mean)
{
    const float v[] = {2, 1, 2, 5, 1, 1};
    const double expected[] = {4.5, 2, 4.5, 6, 2, 2};
    double ranks[6];
    uint32_t order[6], space[6];
    vx_ranks(ranks, v, 6, order, space);
    for (int i = 0; i < 6; i++)
        ck_assert_double_eq(ranks[i], expected[i]);
}
END_TEST

START_TEST(test_correlation__by_hand)
{
    const double a[] = {1, 2, 3, 4}, b[] = {1, 3, 2, 4}, down[] = {4, 3, 2, 1},
                 flat[] = {2, 2, 2, 2};
    ck_assert_double_eq_tol(vx_correlation(a, b, 4), 0.8, 1e-15); /* 1 - 6 * 2 / (4 * 15) */
    ck_assert_double_eq(vx_correlation(a, a, 4), 1);
    ck_assert_double_eq(vx_correlation(a, down, 4), -1);
    ck_assert_double_eq(vx_correlation(a, flat, 4), 0);
}
END_TEST

START_TEST(test_gini__by_hand)
{
    const float alike[] = {3, 3, 3, 3}, one[] = {0, 0, 7, 0}, two[] = {1, 3}, none[] = {0, 0};
    uint32_t order[4], space[4];
    ck_assert_double_eq(vx_gini(alike, 4, order, space), 0);
    ck_assert_double_eq(vx_gini(one, 4, order, space), 0.75);
    ck_assert_double_eq(vx_gini(two, 2, order, space), 0.25); /* 2 * |1 - 3| / (2 * 2 * 4) */
    ck_assert_double_eq(vx_gini(none, 2, order, space), 0);
}
END_TEST

/* ------------------------------------------------------------------ imputing --------------- */

static void impute(float *plane, const uint8_t *unknown, int height, int width)
{
    double *room = malloc(vx_impute_room(height, width) * sizeof *room);
    vx_impute(plane, unknown, height, width, room);
    free(room);
}

START_TEST(test_impute__one_pixel_is_the_mean_of_its_neighbours)
{
    for (int at = 0; at < 9; at++) {
        float plane[9];
        uint8_t unknown[9] = {0};
        double sum = 0, weights = 0;
        for (int i = 0; i < 9; i++) {
            const int dy = i / 3 - at / 3, dx = i % 3 - at % 3;
            plane[i] = (float)(i * i);
            if (i == at || abs(dy) > 1 || abs(dx) > 1)
                continue;
            const double w = dy && dx ? 1.0 / 12 : 1.0 / 6;
            sum += w * plane[i];
            weights += w;
        }
        unknown[at] = 1;
        plane[at] = 1e6f; /* whatever was there */
        impute(plane, unknown, 3, 3);
        ck_assert_float_eq_tol(plane[at], (float)(sum / weights), 1e-5f);
        for (int i = 0; i < 9; i++)
            ck_assert(i == at || plane[i] == (float)(i * i));
    }
}
END_TEST

START_TEST(test_impute__what_is_linear_stays)
{
    enum { H = 31, W = 44 };
    static float plane[H * W];
    static uint8_t unknown[H * W];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            unknown[y * W + x] = y > 1 && y < H - 2 && x > 1 && x < W - 2 && (x * y) % 7 != 3;
            plane[y * W + x] = unknown[y * W + x] ? -50.0f : 0.3f * (float)y - 0.1f * (float)x;
        }
    impute(plane, unknown, H, W);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            ck_assert_float_eq_tol(plane[y * W + x], 0.3f * (float)y - 0.1f * (float)x, 1e-4f);
}
END_TEST

START_TEST(test_impute__from_a_single_pixel)
{
    enum { H = 40, W = 60 };
    static float plane[H * W];
    static uint8_t unknown[H * W];
    memset(unknown, 1, sizeof unknown);
    unknown[7 * W + 3] = 0;
    plane[7 * W + 3] = -1.25f;
    impute(plane, unknown, H, W);
    for (int i = 0; i < H * W; i++)
        ck_assert_float_eq_tol(plane[i], -1.25f, 1e-4f);
}
END_TEST

START_TEST(test_impute__nothing_to_do)
{
    float plane[] = {1, 2, 3, 4};
    const uint8_t unknown[4] = {0};
    impute(plane, unknown, 2, 2);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq(plane[i], (float)(i + 1));
}
END_TEST

/* ------------------------------------------------------------------ curves ----------------- */

/* Showing the map's largest first, and covering its smallest first, go through the same pictures in
 * opposite order. */
START_TEST(test_curves__of_a_map_and_its_inverse_mirror_each_other)
{
    static const char *const pairs[][3] = {
        {"insertion", "deletion", "fill=mean;step=80"},
        {"insertion-patch", "deletion-patch", "remove=mean"},
        {"insertion-patch", "deletion-patch", "remove=drop"},
        {"insertion-patch", "deletion-patch", "remove=blur"},
    };
    bed b = tiny();
    vitx_map *map = random_map(&b, 3, 5, 5, 1), *inverse = random_map(&b, 3, 5, 5, -1);
    /* Of pixels no two may be equal: a ramp over a random map of the input's size. */
    vitx_map *fine = random_map(&b, 4, 40, 40, 1), *opposite = random_map(&b, 4, 40, 40, -1);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const double in = value_of(&b, i ? map : fine, pairs[i][0], pairs[i][2], 0);
        const double out = value_of(&b, i ? inverse : opposite, pairs[i][1], pairs[i][2], 0);
        ck_assert_double_eq_tol(in, out, 1e-6);
    }
    const double road = value_of(&b, fine, "road", "noise=0", 0);
    ck_assert_double_eq_tol(value_of(&b, opposite, "road", "noise=0", 0), -road, 1e-6);
    ck_assert(fabs(road) > 1e-4);
    vitx_map_free(map);
    vitx_map_free(inverse);
    vitx_map_free(fine);
    vitx_map_free(opposite);
    close_bed(&b);
}
END_TEST

/* Equal values go from the top left on, so a constant map is a ramp that falls. */
START_TEST(test_curves__equal_values_go_from_the_top_left)
{
    static const char *const metrics[] = {"insertion", "deletion", "insertion-patch",
                                          "deletion-patch", "road"};
    double constant[25], ramp[25], fine_constant[1600], fine_ramp[1600];
    for (int i = 0; i < 1600; i++) {
        fine_constant[i] = 0.5;
        fine_ramp[i] = -i;
    }
    for (int i = 0; i < 25; i++) {
        constant[i] = -2;
        ramp[i] = 100 - i;
    }
    bed b = tiny();
    vitx_map *maps[] = {map_of(&b, constant, 5, 5), map_of(&b, ramp, 5, 5),
                        map_of(&b, fine_constant, 40, 40), map_of(&b, fine_ramp, 40, 40)};
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        const int of = strstr(metrics[i], "patch") ? 0 : 2;
        ck_assert_double_eq(value_of(&b, maps[of], metrics[i], "", 0),
                            value_of(&b, maps[of + 1], metrics[i], "", 0));
    }
    for (int i = 0; i < 4; i++)
        vitx_map_free(maps[i]);
    close_bed(&b);
}
END_TEST

/* The whole picture and nothing of it stand at the ends, whatever the map. */
START_TEST(test_curves__begin_and_end_where_they_must)
{
    bed b = tiny();
    vitx_map *map = random_map(&b, 9, 5, 5, 1);
    vitx_map_info known = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&known, map));
    static const char *const metrics[] = {"insertion", "deletion", "insertion-patch",
                                          "deletion-patch"};
    for (int i = 0; i < 4; i++) {
        asked a;
        vitx_evaluation *e;
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        ask(&a, metrics[i], i < 2 ? "step=120" : "");
        ck_ok(vitx_evaluate(&e, b.c, b.image, map, &a.o));
        ck_ok(vitx_evaluation_get_info(&info, e));
        const int whole = i % 2 ? 0 : info.point_count - 1;
        ck_assert_int_eq(info.point_count, i < 2 ? 15 : 26); /* ceil(1600 / 120) + 1 */
        ck_assert_double_eq_tol(info.curves[whole], (double)known.probability, 1e-6);
        ck_assert_double_eq(info.x[0], 0);
        ck_assert_double_eq(info.x[info.point_count - 1], 1);
        ck_assert_int_ge(info.forwards, info.point_count - 1);
        vitx_evaluation_free(e);
    }
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

START_TEST(test_road__noise_is_of_its_seed)
{
    bed b = tiny();
    vitx_map *map = random_map(&b, 12, 5, 5, 1);
    const double a = value_of(&b, map, "road", "noise=0.3;seed=1", 1);
    ck_assert(a == value_of(&b, map, "road", "noise=0.3;seed=1", 1));
    ck_assert(a != value_of(&b, map, "road", "noise=0.3;seed=2", 1));
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ where the object is ---- */

enum { SIDE = 20 };

typedef struct place {
    bed b;
    uint8_t mask[SIDE * SIDE];
    double map[SIDE * SIDE];
} place;

/* A mask of columns x0..x1-1 and rows y0..y1-1, and a map that is 1 there and 0 elsewhere. */
static void open_place(place *p, int x0, int y0, int x1, int y1)
{
    open_bed(&p->b, "vit-timm", "cpu", 1, 1, VITX_FIT_SQUASH);
    vitx_image_free(p->b.image);
    p->b.image = input_sized();
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int y = i / SIDE, x = i % SIDE;
        p->mask[i] = x >= x0 && x < x1 && y >= y0 && y < y1 ? 255 : 0;
        p->map[i] = p->mask[i] != 0;
    }
}

static vitx_evaluate_opts with_mask(const place *p, const char *metric)
{
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    o.metric = metric;
    o.mask = p->mask;
    o.mask_height = o.mask_width = SIDE;
    return o;
}

static double where(const place *p, const char *metric, int index)
{
    const vitx_evaluate_opts o = with_mask(p, metric);
    vitx_map *map = map_of(&p->b, p->map, SIDE, SIDE);
    const double value = value_at(&p->b, map, &o, index);
    vitx_map_free(map);
    return value;
}

START_TEST(test_where__a_perfect_map)
{
    place p;
    open_place(&p, 3, 4, 9, 15);
    ck_assert_double_eq(where(&p, "pointing", 0), 1);
    ck_assert_double_eq(where(&p, "energy", 0), 1);
    ck_assert_double_eq(where(&p, "energy", 1), 66.0 / 400);
    ck_assert_double_eq(where(&p, "iou", 0), 1);
    ck_assert_double_eq(where(&p, "iou", 1), 1);
    ck_assert_double_eq(where(&p, "iou", 2), 66.0 / 400);
    ck_assert_double_eq(where(&p, "roc", 0), 1);
    close_bed(&p.b);
}
END_TEST

START_TEST(test_where__an_inverse_map)
{
    place p;
    open_place(&p, 3, 4, 9, 15);
    for (int i = 0; i < SIDE * SIDE; i++)
        p.map[i] = 1 - p.map[i];
    ck_assert_double_eq(where(&p, "pointing", 0), 0);
    ck_assert_double_eq(where(&p, "energy", 0), 0);
    ck_assert_double_eq(where(&p, "iou", 0), 66.0 / 400); /* all of the picture */
    ck_assert_double_eq(where(&p, "iou", 1), 0);
    ck_assert_double_eq(where(&p, "roc", 0), 0);
    close_bed(&p.b);
}
END_TEST

START_TEST(test_where__a_constant_map)
{
    place p;
    open_place(&p, 3, 4, 9, 15);
    for (int sign = -1; sign <= 1; sign++) {
        for (int i = 0; i < SIDE * SIDE; i++)
            p.map[i] = sign;
        ck_assert_double_eq(where(&p, "pointing", 0), 1); /* all pixels are the maximum */
        ck_assert_double_eq(where(&p, "energy", 0), sign > 0 ? 66.0 / 400 : 0);
        ck_assert_double_eq(where(&p, "iou", 0), 66.0 / 400);
        ck_assert_double_eq(where(&p, "roc", 0), 0.5);
    }
    close_bed(&p.b);
}
END_TEST

START_TEST(test_where__by_hand)
{
    place p;
    open_place(&p, 0, 0, 2, 1); /* two pixels inside */
    memset(p.map, 0, sizeof p.map);
    p.map[0] = 5; /* inside */
    p.map[1] = 2; /* inside, as large as one outside */
    p.map[30] = 2;
    p.map[40] = 3;
    p.map[50] = -9; /* does not count as energy */
    ck_assert_double_eq(where(&p, "pointing", 0), 1);
    ck_assert_double_eq_tol(where(&p, "energy", 0), 7.0 / 12, 1e-15);
    /* At 5: 1 of 2. At 3: 1 of 3. At 2: 2 of 4. */
    ck_assert_double_eq(where(&p, "iou", 0), 0.5);
    ck_assert_double_eq(where(&p, "iou", 1), 5);
    ck_assert_double_eq(where(&p, "iou", 2), 1.0 / 400);
    /* The first beats all 398, the second all but two: one is larger, one equal. */
    ck_assert_double_eq_tol(where(&p, "roc", 0), (398 + 396.5) / (2 * 398), 1e-15);
    p.map[100] = 5; /* another maximum, outside */
    ck_assert_double_eq(where(&p, "pointing", 0), 1);
    p.map[100] = 5.5;
    ck_assert_double_eq(where(&p, "pointing", 0), 0);
    close_bed(&p.b);
}
END_TEST

START_TEST(test_where__which_of_two)
{
    place p;
    uint8_t other[SIDE * SIDE] = {0};
    open_place(&p, 0, 0, 2, 1); /* two pixels */
    vitx_evaluate_opts o = with_mask(&p, "follows");
    o.other = other;
    memset(other + 10, 1, 4); /* four others */
    memset(p.map, 0, sizeof p.map);
    p.map[0] = 3; /* a mean of 1.5; what is below 0 is none */
    p.map[1] = -7;
    p.map[10] = p.map[12] = 1; /* a mean of 0.5 */
    p.map[11] = -100;
    p.map[200] = 50; /* nobody's */
    for (int i = 0; i < 2; i++) {
        vitx_map *map = map_of(&p.b, p.map, SIDE, SIDE);
        ck_assert_double_eq(value_at(&p.b, map, &o, 0), 1 - i);
        ck_assert_double_eq_tol(value_at(&p.b, map, &o, 1), i ? 0.25 : 0.75, 1e-15);
        vitx_map_free(map);
        o.mask = other; /* and the other way round */
        o.other = p.mask;
    }
    memset(p.map, 0, sizeof p.map);
    for (int i = 0; i < 2; i++) { /* neither has anything, or both have the same */
        p.map[0] = p.map[1] = i;
        memcpy(p.map + 10, (double[]){i, i, i, i}, 4 * sizeof *p.map);
        vitx_map *map = map_of(&p.b, p.map, SIDE, SIDE);
        ck_assert_double_eq(value_at(&p.b, map, &o, 0), 0.5);
        ck_assert_double_eq(value_at(&p.b, map, &o, 1), 0.5);
        vitx_map_free(map);
    }
    close_bed(&p.b);
}
END_TEST

START_TEST(test_where__refuses)
{
    place p;
    open_place(&p, 0, 0, 4, 4);
    vitx_map *map = map_of(&p.b, p.map, SIDE, SIDE);
    vitx_evaluation *e;
    static const char *const metrics[] = {"pointing", "energy", "iou", "roc", "follows"};
    for (int i = 0; i < 5; i++) {
        vitx_evaluate_opts o = with_mask(&p, metrics[i]);
        o.mask = NULL;
        ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID, "needs a mask");
        ck_assert_ptr_null(e);
        o = with_mask(&p, metrics[i]);
        o.mask_width = 19;
        ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID,
                 "the mask is 19 x 20 pixels, the picture 20 x 20");
        const uint8_t empty[SIDE * SIDE] = {0};
        o = with_mask(&p, metrics[i]);
        o.mask = empty;
        o.other = p.mask;
        ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID, "the mask is empty");
        if (i < 4)
            continue;
        o.mask = p.mask;
        o.other = empty;
        ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID,
                 "the other mask is empty");
        o.other = NULL;
        ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID,
                 "needs the mask of another object");
    }
    memset(p.mask, 1, sizeof p.mask);
    const vitx_evaluate_opts o = with_mask(&p, "roc");
    ck_fails(vitx_evaluate(&e, p.b.c, p.b.image, map, &o), VITX_INVALID, "nothing is outside");
    vitx_map_free(map);
    close_bed(&p.b);
}
END_TEST

/* vit-timm looks at the middle of a picture: what lies beside it is neither in nor outside the
 * mask. */
START_TEST(test_where__what_was_not_seen_does_not_count)
{
    bed b = tiny();
    const int width = vitx_image_width(b.image), height = vitx_image_height(b.image);
    vitx_map *map = random_map(&b, 2, 5, 5, 1);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_evaluation *e;
    uint8_t *mask = calloc((size_t)(width * height), 1);
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_double_gt(info.seen[0], 1);
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    o.metric = "energy";
    o.mask = mask;
    o.mask_height = height;
    o.mask_width = width;
    for (int y = 0; y < height; y++)
        mask[y * width] = 1; /* the first column */
    ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o), VITX_INVALID, "where the model looks");
    memset(mask, 1, (size_t)(width * height));
    ck_assert_double_eq(value_at(&b, map, &o, 0), 1);
    ck_assert_double_eq(value_at(&b, map, &o, 1), 1);
    free(mask);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ sanity ----------------- */

START_TEST(test_sensitivity__is_0_of_radius_0)
{
    static const char *const methods[] = {"attention", "rollout", "generic", "saliency"};
    bed b = tiny();
    for (int i = 0; i < 4; i++) {
        vitx_map *map = explained(&b, methods[i]);
        asked a;
        ask(&a, "sensitivity", "radius=0");
        a.explain.method = methods[i];
        a.o.explain = &a.explain;
        ck_assert_double_eq(value_at(&b, map, &a.o, 0), 0);
        ask(&a, "sensitivity", "radius=0.3");
        a.explain.method = methods[i];
        a.o.explain = &a.explain;
        const double max = value_at(&b, map, &a.o, 0), mean = value_at(&b, map, &a.o, 1);
        ck_assert(max > mean && mean > 0);
        vitx_map_free(map);
    }
    close_bed(&b);
}
END_TEST

START_TEST(test_randomisation__begins_at_1_and_leaves_the_model_alone)
{
    static const char *const methods[] = {"rollout", "generic", "saliency"};
    bed b = tiny();
    vitx_context *other;
    vitx_prediction before, after;
    ck_ok(vitx_context_create(&other, b.model, NULL));
    ck_ok(vitx_classify(b.c, b.image, &before, 1));
    for (int i = 0; i < 3; i++) {
        vitx_map *map = explained(&b, methods[i]), *again;
        vitx_evaluation *e;
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        asked a;
        ask(&a, "randomisation", "");
        a.explain.method = methods[i];
        a.o.explain = &a.explain;
        ck_ok(vitx_evaluate(&e, b.c, b.image, map, &a.o));
        ck_ok(vitx_evaluation_get_info(&info, e));
        ck_assert_int_eq(info.point_count, 3 + 3); /* blocks; original, head, patch embedding */
        ck_assert_double_eq(info.curves[0], 1);
        ck_assert(fabs(info.curves[info.point_count - 1]) < 1);
        /* Attention knows no head: without the backward pass its weights change nothing. */
        ck_assert(i > 0 || info.curves[1] == 1);
        ck_assert(i == 0 || info.curves[1] < 1);
        again = explained(&b, methods[i]);
        ck_assert_int_eq(memcmp(vitx_map_values(map), vitx_map_values(again), 25 * sizeof(float)),
                         0);
        vitx_map_free(again);
        vitx_evaluation_free(e);
        vitx_map_free(map);
        ck_ok(vitx_classify(b.c, b.image, &after, 1));
        ck_assert(after.index == before.index && after.logit == before.logit);
        ck_ok(vitx_classify(other, b.image, &after, 1));
        ck_assert(after.index == before.index && after.logit == before.logit);
    }
    vitx_context_free(other);
    close_bed(&b);
}
END_TEST

/* A model whose norms divide by 1000 has hardly anything but its linear part: integrated gradients
 * then say exactly what patches are worth. */
START_TEST(test_infidelity__of_integrated_gradients_on_a_linear_model_is_0)
{
    bed b;
    open_bed(&b, "vit-timm-avg", "cpu", 1, 1, VITX_FIT_RECIPE);
    b.c->arch.eps = 1e6f;
    vitx_map *exact = explained(&b, "integrated-gradients"), *blind = random_map(&b, 8, 5, 5, 1);
    ck_assert_double_lt(value_of(&b, exact, "infidelity", "normalize=no", 1), 1e-4);
    ck_assert_double_lt(value_of(&b, exact, "infidelity", "", 1), 1e-4);
    ck_assert_double_gt(value_of(&b, blind, "infidelity", "", 1), 0.05);
    vitx_map_free(exact);
    vitx_map_free(blind);
    close_bed(&b);
}
END_TEST

/* One set of patches fits any map whose sum over it is not 0; a map of zeros explains nothing. */
START_TEST(test_infidelity__ends)
{
    bed b = tiny();
    const double zeros[25] = {0};
    vitx_map *map = random_map(&b, 8, 5, 5, 1), *none = map_of(&b, zeros, 5, 5);
    ck_assert_double_lt(value_of(&b, map, "infidelity", "n=1", 1), 1e-12);
    ck_assert_double_eq_tol(value_of(&b, none, "infidelity", "", 1), 1, 1e-12);
    ck_assert_double_eq_tol(value_of(&b, none, "infidelity", "normalize=no", 1), 1, 1e-12);
    ck_assert_double_eq(value_of(&b, map, "infidelity", "p=0", 0), 0);
    vitx_map_free(map);
    vitx_map_free(none);
    close_bed(&b);
}
END_TEST

/* The best scale makes up for any other, also where sums over a patch's pixels are beyond
 * floats. */
START_TEST(test_infidelity__does_not_depend_on_the_scale)
{
    bed b = tiny();
    rng r = {3};
    double *v = malloc(40 * 40 * sizeof *v);
    for (int i = 0; i < 40 * 40; i++)
        v[i] = rng_int(&r, 1, 8);
    vitx_map *small = map_of(&b, v, 40, 40);
    for (int i = 0; i < 40 * 40; i++)
        v[i] = ldexp(v[i], 124);
    vitx_map *large = map_of(&b, v, 40, 40);
    free(v);
    const double share = value_of(&b, small, "infidelity", "", 1);
    ck_assert_double_gt(share, 0.01);
    ck_assert_double_eq_tol(value_of(&b, large, "infidelity", "", 1), share, 1e-9);
    vitx_map_free(small);
    vitx_map_free(large);
    close_bed(&b);
}
END_TEST

START_TEST(test_sparseness__ends)
{
    bed b = tiny();
    double v[25] = {0};
    vitx_map *zeros = map_of(&b, v, 5, 5);
    v[7] = -3;
    vitx_map *one = map_of(&b, v, 5, 5);
    for (int i = 0; i < 25; i++)
        v[i] = i % 2 ? 2 : -2;
    vitx_map *alike = map_of(&b, v, 5, 5);
    ck_assert_double_eq(value_of(&b, one, "sparseness", "", 0), 1 - 1.0 / 25);
    ck_assert_double_eq(value_of(&b, one, "sparseness", "", 1), 0);
    ck_assert_double_eq(value_of(&b, alike, "sparseness", "", 0), 0);
    ck_assert_double_eq_tol(value_of(&b, alike, "sparseness", "", 1), 1, 1e-7);
    ck_assert_double_eq(value_of(&b, zeros, "sparseness", "", 0), 0);
    ck_assert_double_eq(value_of(&b, zeros, "sparseness", "", 1), 1);
    vitx_map_free(zeros);
    vitx_map_free(one);
    vitx_map_free(alike);
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ maps to compare with --- */

START_TEST(test_blind__maps)
{
    bed b = tiny();
    vitx_map *maps[4];
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_blind(&maps[0], b.c, b.image, VITX_BLIND_RANDOM, 1, VITX_AUTO));
    ck_ok(vitx_map_blind(&maps[1], b.c, b.image, VITX_BLIND_RANDOM, 1, 2));
    ck_ok(vitx_map_blind(&maps[2], b.c, b.image, VITX_BLIND_RANDOM, 2, VITX_AUTO));
    ck_ok(vitx_map_blind(&maps[3], b.c, b.image, VITX_BLIND_CENTRE, 0, VITX_AUTO));
    const float *one = vitx_map_values(maps[0]), *centre = vitx_map_values(maps[3]);
    ck_assert_int_eq(memcmp(one, vitx_map_values(maps[1]), 25 * sizeof *one), 0);
    ck_assert_int_ne(memcmp(one, vitx_map_values(maps[2]), 25 * sizeof *one), 0);
    ck_ok(vitx_map_get_info(&info, maps[1]));
    ck_assert_int_eq(info.target, 2);
    ck_assert_str_eq(info.method, "random");
    for (int i = 0; i < 25; i++) {
        ck_assert(one[i] >= 0 && one[i] < 1);
        ck_assert_float_eq(centre[i], centre[24 - i]);
        ck_assert(i == 12 || centre[i] < centre[12]);
    }
    ck_assert_float_eq(centre[12], 1);
    ck_assert_float_eq_tol(centre[10], expf(-0.5f * 1.6f * 1.6f),
                           1e-6f); /* 0.4 of the width away */
    ck_assert_ptr_null(vitx_blind_name(2));
    for (int i = 0; i < 4; i++)
        vitx_map_free(maps[i]);
    close_bed(&b);
}
END_TEST

START_TEST(test_values__refuse)
{
    bed b = tiny();
    vitx_map *map;
    float v[4] = {1, 2, NAN, 4};
    ck_fails(vitx_map_of_values(&map, b.c, b.image, v, 2, 2, VITX_AUTO), VITX_INVALID,
             "value 2 of the map is not finite");
    ck_assert_ptr_null(map);
    v[2] = 3;
    ck_fails(vitx_map_of_values(&map, b.c, b.image, v, 0, 2, VITX_AUTO), VITX_INVALID, "2 x 0");
    ck_fails(vitx_map_of_values(&map, b.c, b.image, v, 2, 2, 7), VITX_INVALID, "target 7");
    ck_fails(vitx_map_of_values(&map, b.c, NULL, v, 2, 2, 0), VITX_INVALID, "NULL");
    ck_fails(vitx_map_of_values(&map, b.c, b.image, NULL, 2, 2, 0), VITX_INVALID, "0 x 0");
    ck_fails(vitx_map_blind(&map, b.c, b.image, (vitx_blind)2, 0, 0), VITX_INVALID, "blind = 2");
    ck_fails(vitx_map_blind(&map, b.c, b.image, VITX_BLIND_RANDOM, -1, 0), VITX_INVALID,
             "seed = -1");
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ what is refused -------- */

enum { EVERY = 32 };
static int every_metric(vitx_evaluate_opts *o, const vitx_explain_opts *explain,
                        const uint8_t *mask, const vitx_image *image);

START_TEST(test_evaluate__refuses_options)
{
    static const char *const wrong[][3] = {
        {"nonsense", "", "no metric \"nonsense\"; there are: insertion, deletion"},
        {"insertion", "stride=2", "metric insertion has no option \"stride\""},
        {"insertion", "step", "option \"step\" is not key=value"},
        {"insertion", "step=0", "insertion: step=0: a whole number from 1"},
        {"deletion", "fill=pink", "deletion: fill=pink: one of mean|black|white|blur"},
        {"road", "steps=0", "road: steps=0: a whole number from 1 to 999"},
        {"road", "noise=-1", "road: noise=-1: a number from 0 to 1"},
        {"sensitivity", "n=0", "sensitivity: n=0: a whole number from 1"},
        {"infidelity", "n=0", "infidelity: n=0: a whole number from 1"},
        {"sparseness", "on=pixels", "sparseness: on=pixels: one of patches|map"},
    };
    bed b = tiny();
    vitx_map *map = explained(&b, "rollout");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        asked a;
        vitx_evaluation *e = (vitx_evaluation *)&a;
        ask(&a, wrong[i][0], wrong[i][1]);
        a.explain.method = "rollout";
        a.o.explain = &a.explain;
        ck_fails(vitx_evaluate(&e, b.c, b.image, map, &a.o), VITX_INVALID, wrong[i][2]);
        ck_assert_ptr_null(e);
        ck_fails(vitx_evaluate_check(b.c, &a.o, 1), VITX_INVALID, wrong[i][2]);
    }
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* What is right is right before there is a map, and a mask. */
START_TEST(test_check__accepts_what_can_be_run)
{
    bed b = tiny();
    vitx_evaluate_opts o[EVERY];
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    explain.method = "generic";
    const int m = every_metric(o, &explain, NULL, b.image);
    ck_ok(vitx_evaluate_check(b.c, o, m));
    explain.layer = 99;
    ck_fails(vitx_evaluate_check(b.c, o, m), VITX_INVALID, "layer 99");
    ck_fails(vitx_evaluate_check(b.c, o, 0), VITX_INVALID, "m is 0");
    ck_fails(vitx_evaluate_check(NULL, o, 1), VITX_INVALID, "NULL");
    close_bed(&b);
}
END_TEST

START_TEST(test_evaluate__refuses_maps)
{
    bed b = tiny();
    asked a;
    vitx_evaluation *e;
    vitx_map *map = explained(&b, "rollout"), *large, *all;
    ask(&a, "sparseness", "");
    ck_ok(vitx_map_to_picture(&large, map));
    ck_fails(vitx_evaluate(&e, b.c, b.image, large, &a.o), VITX_INVALID,
             "was taken to the picture");
    vitx_explain_opts every = VITX_EXPLAIN_OPTS_INIT;
    every.method = "attention";
    every.layer = VITX_ALL;
    ck_ok(vitx_explain(&all, b.c, b.image, &every));
    ck_fails(vitx_evaluate(&e, b.c, b.image, all, &a.o), VITX_INVALID, "a map of 3 planes");
    vitx_image *small = input_sized();
    ck_fails(vitx_evaluate(&e, b.c, small, map, &a.o), VITX_INVALID,
             "the picture is 20 x 20, the one explained was 61 x 47");
    bed squashed;
    open_bed(&squashed, "vit-timm", "cpu", 1, 1, VITX_FIT_SQUASH);
    ck_fails(vitx_evaluate(&e, squashed.c, b.image, map, &a.o), VITX_INVALID,
             "another model or fit");
    ck_fails(vitx_evaluate(&e, NULL, b.image, map, &a.o), VITX_INVALID, "NULL");
    ck_fails(vitx_evaluate(NULL, b.c, b.image, map, &a.o), VITX_INVALID, "NULL");
    ck_fails(vitx_evaluate_many(&e, b.c, b.image, map, &a.o, 0), VITX_INVALID, "0 metrics");
    close_bed(&squashed);
    vitx_image_free(small);
    vitx_map_free(all);
    vitx_map_free(large);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

START_TEST(test_evaluate__refuses_other_options_than_the_maps)
{
    static const char *const metrics[] = {"sensitivity", "randomisation"};
    bed b = tiny();
    vitx_map *map = explained(&b, "rollout"), *fine, *blind;
    vitx_evaluation *e;
    ck_ok(vitx_map_resize(&fine, map, 20, 20));
    ck_ok(vitx_map_blind(&blind, b.c, b.image, VITX_BLIND_CENTRE, 0, VITX_AUTO));
    for (int i = 0; i < 2; i++) {
        asked a;
        ask(&a, metrics[i], "");
        ck_fails(vitx_evaluate(&e, b.c, b.image, map, &a.o), VITX_INVALID, "explains again");
        a.o.explain = &a.explain;
        a.explain.method = "attention";
        ck_fails(vitx_evaluate(&e, b.c, b.image, map, &a.o), VITX_INVALID,
                 "the map is of rollout, the options are of attention");
        ck_fails(vitx_evaluate(&e, b.c, b.image, blind, &a.o), VITX_INVALID,
                 "the map is of centre");
        a.explain.method = "rollout";
        ck_fails(vitx_evaluate(&e, b.c, b.image, fine, &a.o), VITX_INVALID,
                 "the map is 20 x 20, with the options given it is 5 x 5");
        a.explain.layer = 99;
        ck_fails(vitx_evaluate(&e, b.c, b.image, map, &a.o), VITX_INVALID, "layer 99");
    }
    vitx_map_free(blind);
    vitx_map_free(fine);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ many, progress, memory - */

/* All metrics of the table in short, for a map of `method` and a mask. */
static int every_metric(vitx_evaluate_opts *o, const vitx_explain_opts *explain,
                        const uint8_t *mask, const vitx_image *image)
{
    static const char *const quick[] = {"step=200"}, *const few[] = {"n=3"};
    int n = 0;
    for (; n < vitx_metric_count(); n++) {
        vitx_metric_info m = VITX_METRIC_INFO_INIT;
        ck_assert_int_lt(n, EVERY);
        ck_ok(vitx_metric_get(&m, n));
        vitx_evaluate_opts_init(&o[n], sizeof o[n]);
        o[n].metric = m.name;
        o[n].explain = explain;
        o[n].mask = mask;
        o[n].mask_height = vitx_image_height(image);
        o[n].mask_width = vitx_image_width(image);
        o[n].other = m.needs_other ? mask : NULL;
        for (int k = 0; k < m.option_count; k++) {
            if (strcmp(m.options[k].key, "step") == 0)
                o[n].set = quick;
            if (strcmp(m.options[k].key, "n") == 0)
                o[n].set = few;
        }
        o[n].set_count = o[n].set ? 1 : 0;
    }
    return n;
}

static uint8_t *middle_mask(const vitx_image *image)
{
    const int w = vitx_image_width(image), h = vitx_image_height(image);
    uint8_t *mask = calloc((size_t)(w * h), 1);
    for (int y = h / 3; y < h / 2; y++)
        memset(mask + y * w + w / 3, 1, (size_t)(w / 4));
    return mask;
}

START_TEST(test_table__says_what_there_is)
{
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    for (int i = 0; i < vitx_metric_count(); i++) {
        ck_ok(vitx_metric_get(&m, i));
        ck_assert(m.name && m.summary && m.cost && m.reference);
        ck_assert_int_ge(m.value_count, 1);
        ck_assert_str_eq(m.value_names[0], m.name);
        ck_assert_int_eq(m.curve_count > 0, m.x_name != NULL);
        ck_assert(strpbrk(m.name, " ._=,") == NULL);
        for (int k = 0; k < m.option_count; k++)
            ck_assert(m.options[k].key && m.options[k].fallback && m.options[k].help);
        for (int k = 0; k < i; k++) {
            vitx_metric_info other = VITX_METRIC_INFO_INIT;
            ck_ok(vitx_metric_get(&other, k));
            ck_assert_str_ne(other.name, m.name);
        }
    }
    ck_fails(vitx_metric_get(&m, vitx_metric_count()), VITX_INVALID, "there are");
    ck_fails(vitx_metric_get(&m, -1), VITX_INVALID, "metric -1");
}
END_TEST

START_TEST(test_many__equals_one_by_one)
{
    bed b = tiny();
    vitx_evaluate_opts o[EVERY];
    vitx_evaluation *all[EVERY];
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    explain.method = "generic";
    vitx_map *map = explained(&b, "generic");
    uint8_t *mask = middle_mask(b.image);
    const int m = every_metric(o, &explain, mask, b.image);
    ck_ok(vitx_evaluate_many(all, b.c, b.image, map, o, m));
    for (int j = 0; j < m; j++) {
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        ck_ok(vitx_evaluation_get_info(&info, all[j]));
        for (int k = 0; k < info.value_count; k++) {
            ck_assert(isfinite(info.values[k]));
            ck_assert_double_eq(value_at(&b, map, &o[j], k), info.values[k]);
        }
        vitx_evaluation_free(all[j]);
    }
    free(mask);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* An array of structs of an older library: without what was appended since. */
START_TEST(test_many__understands_shorter_structs)
{
    enum { SHORT = offsetof(vitx_evaluate_opts, mask_width) + sizeof(int) };
    bed b = tiny();
    vitx_map *map = random_map(&b, 1, 5, 5, 1);
    _Alignas(vitx_evaluate_opts) char two[2 * sizeof(vitx_evaluate_opts)];
    vitx_evaluation *e[2];
    const size_t step = (SHORT + 7) / 8 * 8;
    for (int i = 0; i < 2; i++) {
        vitx_evaluate_opts o;
        vitx_evaluate_opts_init(&o, step);
        o.metric = i ? "sparseness" : "deletion-patch";
        memcpy(two + (size_t)i * step, &o, step);
    }
    ck_ok(vitx_evaluate_many(e, b.c, b.image, map, (const vitx_evaluate_opts *)(void *)two, 2));
    for (int i = 0; i < 2; i++)
        vitx_evaluation_free(e[i]);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

typedef struct counter {
    int64_t done, total, stop; /* stop: cancel there; -1: never */
} counter;

static int count(int64_t done, int64_t total, void *payload)
{
    counter *k = payload;
    ck_assert_int_gt(done, k->done);
    ck_assert(k->done == 0 || total == k->total);
    ck_assert_int_le(done, total);
    k->done = done;
    k->total = total;
    return k->stop >= 0 && done >= k->stop;
}

START_TEST(test_progress__ends_at_its_total_and_can_be_cancelled)
{
    counter k = {0, 0, -1};
    bed b = tiny();
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_evaluate_opts o[EVERY];
    vitx_evaluation *e;
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    explain.method = "generic";
    vitx_map *map = explained(&b, "generic");
    uint8_t *mask = middle_mask(b.image);
    const int m = every_metric(o, &explain, mask, b.image);
    vitx_context_free(b.c);
    co.threads = 1;
    co.max_batch = 2;
    co.progress = count;
    co.progress_payload = &k;
    ck_ok(vitx_context_create(&b.c, b.model, &co));
    for (int j = 0; j < m; j++) {
        k = (counter){0, 0, -1};
        const double before = value_at(&b, map, &o[j], 0);
        const int64_t total = k.total;
        ck_assert_int_eq(k.done, total);
        for (int64_t stop = 1; stop <= total; stop += 1 + total / 13) {
            k = (counter){0, 0, stop};
            ck_fails(vitx_evaluate(&e, b.c, b.image, map, &o[j]), VITX_CANCELLED, "cancelled");
            ck_assert_ptr_null(e);
        }
        k = (counter){0, 0, -1};
        ck_assert_double_eq(value_at(&b, map, &o[j], 0), before);
    }
    free(mask);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* A metric of a map; without one, a blind map and a map of values. */
static int whole_way(const bed *b, const vitx_map *map, const vitx_evaluate_opts *o)
{
    vitx_evaluation *e = NULL;
    vitx_map *blind = NULL, *given = NULL;
    int status = VITX_OK;
    if (o)
        status = vitx_evaluate(&e, b->c, b->image, map, o);
    else
        status = vitx_map_blind(&blind, b->c, b->image, VITX_BLIND_RANDOM, 0, VITX_AUTO);
    if (!o && status == VITX_OK)
        status =
            vitx_map_of_values(&given, b->c, b->image, vitx_map_values(blind), 5, 5, VITX_AUTO);
    ck_assert_int_eq(status == VITX_OK, o ? e != NULL : given != NULL);
    vitx_evaluation_free(e);
    vitx_map_free(blind);
    vitx_map_free(given);
    return status;
}

/* With 0, 1, 2, ... allocations until they are enough; gives how many were. */
static int starve(bed *b, ration *r, const vitx_context_opts *co, const vitx_map *map,
                  const vitx_evaluate_opts *o)
{
    const int live = r->live;
    int n = 0;
    for (int status = VITX_NOMEM; status != VITX_OK; n++) {
        const char *what = o ? o->metric : "maps";
        r->left = -1; /* a fresh context, which has nothing in store */
        ck_ok(vitx_context_create(&b->c, b->model, co));
        r->left = n;
        status = whole_way(b, map, o);
        ck_assert_msg(status == VITX_NOMEM || status == VITX_OK, "%s, %d allocations: %s, %s", what,
                      n, vitx_status_name(status), vitx_last_error());
        r->left = -1;
        vitx_context_free(b->c);
        ck_assert_msg(r->live == live, "%s, %d allocations: %d are left", what, n, r->live - live);
    }
    return n;
}

START_TEST(test_memory__every_allocation_may_fail)
{
    static const char *const devices[] = {"cpu", "ref"};
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_evaluate_opts o[EVERY];
    vitx_explain_opts explain = VITX_EXPLAIN_OPTS_INIT;
    bed b;
    mo.hooks = &hooks;
    co.threads = 1;
    co.device = devices[_i];
    explain.method = "generic";
    ck_ok(vitx_image_open(&b.image, "test/golden/models/picture.png"));
    ck_ok(vitx_model_open(&b.model, "test/golden/models/vit-timm", &mo));
    ck_ok(vitx_context_create(&b.c, b.model, &co));
    vitx_map *map = explained(&b, "generic");
    vitx_context_free(b.c);
    uint8_t *mask = middle_mask(b.image);
    const int m = every_metric(o, &explain, mask, b.image);
    ck_assert_int_gt(starve(&b, &r, &co, map, NULL), 4);
    for (int j = 0; j < m; j++)
        ck_assert_int_gt(starve(&b, &r, &co, map, &o[j]), 6);
    free(mask);
    vitx_map_free(map);
    vitx_image_free(b.image);
    vitx_model_free(b.model);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

/* ------------------------------------------------------------------ suite ------------------ */

static Suite *suite(void)
{
    Suite *s = suite_create("evaluate");
    TCase *tcase = tcase_create("evaluate");
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(tcase, test_golden__on_the_cpu, 0, 3);
    tcase_add_loop_test(tcase, test_golden__workers_and_batches_change_nothing, 0,
                        SANITIZED_THREADS ? 1 : 3);
    tcase_add_loop_test(tcase, test_golden__where_the_host_cannot_read_the_device, 0,
                        SANITIZED_THREADS ? 1 : 3);
    tcase_add_test(tcase, test_order__is_stable_and_knows_signs);
    tcase_add_test(tcase, test_order__equals_a_plain_sort);
    tcase_add_test(tcase, test_ranks__equal_values_share_their_mean);
    tcase_add_test(tcase, test_correlation__by_hand);
    tcase_add_test(tcase, test_gini__by_hand);
    tcase_add_test(tcase, test_impute__one_pixel_is_the_mean_of_its_neighbours);
    tcase_add_test(tcase, test_impute__what_is_linear_stays);
    tcase_add_test(tcase, test_impute__from_a_single_pixel);
    tcase_add_test(tcase, test_impute__nothing_to_do);
    tcase_add_test(tcase, test_curves__of_a_map_and_its_inverse_mirror_each_other);
    tcase_add_test(tcase, test_curves__equal_values_go_from_the_top_left);
    tcase_add_test(tcase, test_curves__begin_and_end_where_they_must);
    tcase_add_test(tcase, test_road__noise_is_of_its_seed);
    tcase_add_test(tcase, test_where__a_perfect_map);
    tcase_add_test(tcase, test_where__an_inverse_map);
    tcase_add_test(tcase, test_where__a_constant_map);
    tcase_add_test(tcase, test_where__by_hand);
    tcase_add_test(tcase, test_where__which_of_two);
    tcase_add_test(tcase, test_where__refuses);
    tcase_add_test(tcase, test_where__what_was_not_seen_does_not_count);
    tcase_add_test(tcase, test_sensitivity__is_0_of_radius_0);
    tcase_add_test(tcase, test_randomisation__begins_at_1_and_leaves_the_model_alone);
    tcase_add_test(tcase, test_infidelity__of_integrated_gradients_on_a_linear_model_is_0);
    tcase_add_test(tcase, test_infidelity__ends);
    tcase_add_test(tcase, test_infidelity__does_not_depend_on_the_scale);
    tcase_add_test(tcase, test_sparseness__ends);
    tcase_add_test(tcase, test_blind__maps);
    tcase_add_test(tcase, test_values__refuse);
    tcase_add_test(tcase, test_evaluate__refuses_options);
    tcase_add_test(tcase, test_check__accepts_what_can_be_run);
    tcase_add_test(tcase, test_evaluate__refuses_maps);
    tcase_add_test(tcase, test_evaluate__refuses_other_options_than_the_maps);
    tcase_add_test(tcase, test_table__says_what_there_is);
    tcase_add_test(tcase, test_many__equals_one_by_one);
    tcase_add_test(tcase, test_many__understands_shorter_structs);
    tcase_add_test(tcase, test_progress__ends_at_its_total_and_can_be_cancelled);
    suite_add_tcase(s, tcase);
    tcase = tcase_create("memory");
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(tcase, test_memory__every_allocation_may_fail, 0, 2);
    suite_add_tcase(s, tcase);
    return s;
}

VX_TEST_MAIN(suite)
