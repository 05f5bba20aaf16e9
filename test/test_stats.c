/*
 * Attention statistics: attention whose numbers can be worked out by hand, numpy's numbers for the
 * golden models, collections of many pictures, words and warnings, pictures and JSON of them.
 * VX_TEST_THREADS VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "base/json.h"
#include "measure/stats.h"
#include "util.h"

/* Statistics of the same attention in another order of sums. */
#define TOL_SAME 1e-12
/* From the picture on: attention agrees to TOL_MAP of its maximum, and means over rows to no
 * less. */
#define TOL_STATS 1e-4

/* ------------------------------------------------------------------ a collection without a
 * model */

typedef struct bed {
    vitx_context c;
    vitx_stats *s;
    float *attention, *output; /* [B,H,T,T], [B,T,D] */
    int heads, tokens, width;
} bed;

/* A collection for `layers` blocks of `heads` heads; `batch` pictures at a time. */
static void open_bed(bed *b, int layers, int heads, int prefix, int gh, int gw, int ph, int pw,
                     int batch)
{
    memset(b, 0, sizeof *b);
    ck_ok(vx_hooks_resolve(&b->c.hooks, NULL));
    b->c.arch = (vx_arch){.depth = layers,
                          .heads = heads,
                          .head_width = 2,
                          .width = 2 * heads,
                          .patch_height = ph,
                          .patch_width = pw,
                          .grid_height = gh,
                          .grid_width = gw,
                          .prefix = prefix};
    static vx_device dev;
    dev.cls = vx_device_find("cpu");
    b->c.dev = &dev;
    b->c.max_batch = batch;
    b->c.trace_budget = (size_t)1 << 30;
    ck_ok(vx_pool_create(&b->c.pool, &b->c.hooks, 2));
    ck_ok(vitx_stats_create(&b->s, &b->c));
    b->heads = heads;
    b->tokens = prefix + gh * gw;
    b->width = 2 * heads;
    const size_t t = (size_t)b->tokens, n = (size_t)batch;
    b->attention = calloc(n * (size_t)heads * t * t, sizeof(float));
    b->output = calloc(n * t * (size_t)b->width, sizeof(float));
    for (size_t i = 0; i < n * t; i++)
        b->output[i * (size_t)b->width] = 1;
}

static void close_bed(bed *b)
{
    vitx_stats_free(b->s);
    vx_pool_free(b->c.pool);
    free(b->attention);
    free(b->output);
}

/* A[i,j] of a head of picture 0. */
static float *at(bed *b, int head, int i, int j)
{
    return b->attention +
           (((size_t)head * (size_t)b->tokens + (size_t)i) * (size_t)b->tokens + (size_t)j);
}

static void fill(bed *b, int head, double value)
{
    for (int i = 0; i < b->tokens; i++)
        for (int j = 0; j < b->tokens; j++)
            *at(b, head, i, j) = (float)value;
}

/* Every query gives all to the key that `key` says. */
static void point(bed *b, int head, int (*key)(const bed *b, int query))
{
    fill(b, head, 0);
    for (int i = 0; i < b->tokens; i++)
        *at(b, head, i, key(b, i)) = 1;
}

/* Adds one picture that has this attention and output in every block. */
static void add_same(bed *b)
{
    vx_stats_begin(b->s);
    for (int l = 0; l < b->c.arch.depth; l++)
        ck_ok(vx_stats_block(b->s, l, b->attention, b->output, 1));
    vx_stats_count(b->s, 1);
    vx_stats_end(b->s);
}

static double mean(const bed *b, vitx_stat stat, int layer, int head)
{
    return vitx_stats_mean(b->s, stat)[layer * b->heads + head];
}

static vitx_head_info info_of(const vitx_stats *s, int layer, int head)
{
    vitx_head_info info = VITX_HEAD_INFO_INIT;
    ck_ok(vitx_stats_head(&info, s, layer, head));
    return info;
}

#define ck_near(a, b)                                                                              \
    ck_assert_double_eq_tol(a, b, 1e-6) /* attention is given in single precision */

/* ------------------------------------------------------------------ by hand ---------------- */

static int to_class(const bed *b, int query)
{
    (void)b;
    (void)query;
    return 0;
}

static int to_second(const bed *b, int query)
{
    (void)b;
    (void)query;
    return 1;
}

static int to_first_patch(const bed *b, int query)
{
    (void)query;
    return b->c.arch.prefix;
}

static int to_itself(const bed *b, int query)
{
    (void)b;
    return query;
}

/* Patches to the one on the right; the last of a row to the one on its left; class to itself. */
static int to_the_side(const bed *b, int query)
{
    const int patch = query - b->c.arch.prefix, gw = b->c.arch.grid_width;
    return patch < 0 ? query : patch % gw < gw - 1 ? query + 1 : query - 1;
}

static int down(const bed *b, int query)
{
    const int patch = query - b->c.arch.prefix, gw = b->c.arch.grid_width;
    const int rows = b->c.arch.grid_height;
    return patch < 0 ? query : patch / gw < rows - 1 ? query + gw : query - gw;
}

START_TEST(test_stats__uniform_attention)
{
    const int prefix = _i; /* 0, 1, 2 */
    bed b;
    open_bed(&b, 2, 3, prefix, 3, 5, 8, 4, 1);
    const double t = prefix + 15;
    for (int h = 0; h < 3; h++)
        fill(&b, h, 1 / t);
    add_same(&b);
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    ck_ok(vitx_stats_get_info(&info, b.s));
    ck_near(info.entropy_limit, log(t));
    for (int l = 0; l < 2; l++)
        for (int h = 0; h < 3; h++) {
            ck_near(mean(&b, VITX_STAT_ENTROPY, l, h), log(t));
            ck_near(mean(&b, VITX_STAT_GINI, l, h), 0);
            ck_near(mean(&b, VITX_STAT_TOP10, l, h), 2 / t);
            ck_near(mean(&b, VITX_STAT_PREFIX, l, h), prefix / t);
            ck_near(mean(&b, VITX_STAT_SINK, l, h), prefix ? 1 / t : 0);
            ck_near(mean(&b, VITX_STAT_SIMILARITY, l, h), 1);
            ck_near(mean(&b, VITX_STAT_FOCUS, l, h), 1 / t);
            ck_near(mean(&b, VITX_STAT_DISTANCE, l, h), info.distance_uniform);
            ck_assert_int_eq(info_of(b.s, l, h).pattern, VITX_PATTERN_GLOBAL);
        }
    close_bed(&b);
}
END_TEST

/* Grids of 1 x 2, 2 x 1 and 2 x 2: all pairs by hand. */
START_TEST(test_stats__distance_of_uniform_attention)
{
    static const struct {
        int gh, gw;
        double expected;
    } rows[] = {{1, 1, 0}, {1, 2, 2}, {2, 1, 4}, {2, 2, (8 + 4 + 8.94427190999916) / 4}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bed b;
        vitx_stats_info info = VITX_STATS_INFO_INIT;
        open_bed(&b, 1, 1, 1, rows[i].gh, rows[i].gw, 8, 4, 1);
        ck_ok(vitx_stats_get_info(&info, b.s));
        ck_assert_double_eq_tol(info.distance_uniform, rows[i].expected, 1e-12);
        close_bed(&b);
    }
}
END_TEST

START_TEST(test_stats__one_key_has_all)
{
    bed b;
    open_bed(&b, 1, 4, 2, 4, 5, 8, 4, 1);
    point(&b, 0, to_class);
    point(&b, 1, to_second);
    point(&b, 2, to_first_patch);
    point(&b, 3, to_itself);
    add_same(&b);
    for (int h = 0; h < 4; h++) {
        ck_near(mean(&b, VITX_STAT_ENTROPY, 0, h), 0);
        ck_near(mean(&b, VITX_STAT_GINI, 0, h), 1 - 1.0 / 22);
        ck_near(mean(&b, VITX_STAT_TOP10, 0, h), 1);
        ck_near(mean(&b, VITX_STAT_PREFIX, 0, h), h < 2 ? 1 : h == 2 ? 0 : 2.0 / 22);
        ck_near(mean(&b, VITX_STAT_SINK, 0, h), h == 0);
        ck_near(mean(&b, VITX_STAT_FOCUS, 0, h), h < 2 ? 0 : h == 2 ? 1 : 1.0 / 22);
    }
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 0), 0); /* no patch attends to a patch */
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 3), 0);
    double sum = 0; /* from the first patch to all */
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 5; x++)
            sum += hypot(8 * y, 4 * x);
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 2), sum / 20);
    ck_assert_int_eq(info_of(b.s, 0, 0).pattern, VITX_PATTERN_SINK);
    ck_assert_int_eq(info_of(b.s, 0, 3).pattern, VITX_PATTERN_LOCAL);
    /* One row each of 22 is the same. */
    ck_near(vitx_stats_similarity(b.s, 0)[3 * 4 + 0], 1.0 / 22);
    ck_near(vitx_stats_similarity(b.s, 0)[0 * 4 + 1], 0);
    ck_near(vitx_stats_similarity(b.s, 0)[2 * 4 + 2], 1);
    ck_near(mean(&b, VITX_STAT_SIMILARITY, 0, 3), 1.0 / 22);
    close_bed(&b);
}
END_TEST

/* Shifted identities: the distance is one patch, whose sides differ, on a grid that is not
 * square. */
START_TEST(test_stats__distance_of_shifts)
{
    bed b;
    open_bed(&b, 1, 2, _i, 4, 7, 8, 5, 1);
    point(&b, 0, to_the_side);
    point(&b, 1, down);
    add_same(&b);
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 0), 5);
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 1), 8);
    ck_assert_int_eq(info_of(b.s, 0, 0).pattern, VITX_PATTERN_LOCAL);
    /* Half of it goes to the class token: that is no distance. */
    for (int i = 0; _i && i < b.tokens; i++)
        for (int j = 0; j < b.tokens; j++)
            *at(&b, 0, i, j) = *at(&b, 0, i, j) / 2 + (j == 0 ? 0.5f : 0);
    add_same(&b);
    ck_near(mean(&b, VITX_STAT_DISTANCE, 0, 0), 5);
    ck_near(mean(&b, VITX_STAT_SINK, 0, 0), _i ? 0.25 : 0); /* mean of both pictures */
    ck_near(vitx_stats_spread(b.s, VITX_STAT_SINK)[0], _i ? 0.25 : 0);
    close_bed(&b);
}
END_TEST

/* Rows that sorting finds hard: Gini as the mean of all pairs, the largest by selection. */
START_TEST(test_stats__order_of_hard_rows)
{
    enum { KINDS = 6 };
    const int gw = _i ? 300 : 29; /* T = 30, 301 */
    bed b;
    rng r = {17};
    open_bed(&b, 1, KINDS, 1, 1, gw, 2, 2, 1);
    const int t = b.tokens;
    for (int i = 0; i < t; i++)
        for (int j = 0; j < t; j++) {
            const float near = 1 + 1e-4f * rng_float(&r, 0, 1), even = rng_float(&r, 0, 1);
            *at(&b, 0, i, j) = near;                            /* nearly alike */
            *at(&b, 1, i, j) = j % 9 == 0 ? 0 : near;           /* and a few zeroes */
            *at(&b, 2, i, j) = (float)rng_int(&r, 0, 3);        /* many equal */
            *at(&b, 3, i, j) = expf(6 * rng_normal(&r));        /* over all of the range */
            *at(&b, 4, i, j) = (float)(t - j);                  /* falling */
            *at(&b, 5, i, j) = even * (i % 2 ? 1e-44f : 1e30f); /* denormal; huge */
        }
    add_same(&b);
    for (int h = 0; h < KINDS; h++) {
        double gini = 0, top = 0;
        for (int i = 0; i < t; i++) {
            double pairs = 0, sum = 0, limit = 0;
            for (int j = 0; j < t; j++) {
                int larger = 0;
                const double v = *at(&b, h, i, j);
                sum += v;
                for (int k = 0; k < t; k++) {
                    const double other = *at(&b, h, i, k);
                    pairs += fabs(v - other);
                    larger += other > v || (other == v && k < j);
                }
                limit += larger < (t + 9) / 10 ? v : 0;
            }
            gini += sum > 0 ? pairs / (2 * t * sum) / t : 0;
            top += limit / t;
        }
        ck_assert_double_eq_tol(mean(&b, VITX_STAT_GINI, 0, h), gini, 1e-11);
        ck_assert_double_eq_tol(mean(&b, VITX_STAT_TOP10, 0, h) / top, 1, 1e-11);
    }
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ numpy ------------------ */

static const struct {
    const char *name;
    int patch_height, patch_width;
} goldens[] = {{"vit-timm", 8, 8},        {"vit-timm-avg", 4, 4}, {"vit-timm-no-class-token", 4, 4},
               {"vit-timm-oblong", 8, 4}, {"vit-hf", 4, 4},       {"vit-hf-sharded", 8, 8},
               {"vit-hf-margin", 5, 5},   {"deit-timm", 4, 4},    {"deit-hf", 4, 4}};
enum { GOLDENS = sizeof goldens / sizeof goldens[0] };

static npy stats_golden(const char *name, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "stats/%s_%s.npy", name, what);
    return read_npy(golden_path(path));
}

static npy model_golden(const char *name, const char *what, int layer)
{
    char path[128];
    snprintf(path, sizeof path, "models/%s/%s_%d.npy", name, what, layer);
    return read_npy(golden_path(path));
}

/* values [n,L,8,H], cosines [n,L,H,H] and norms [n,L,3] of the first `n` pictures, averaged. */
static void compare_means(const vitx_stats *s, const char *name, int n, double tolerance)
{
    npy values = stats_golden(name, "values"), cosines = stats_golden(name, "cosines"),
        norms = stats_golden(name, "norms");
    const size_t layers = values.shape[1], heads = values.shape[3];
    for (size_t stat = 0; vitx_stat_name((int)stat); stat++)
        for (size_t l = 0; l < layers; l++)
            for (size_t h = 0; h < heads; h++) {
                double expected = 0, square = 0;
                for (int i = 0; i < n; i++) {
                    const double v = values.data[(((size_t)i * layers + l) * 8 + stat) * heads + h];
                    expected += v / n;
                    square += v * v / n;
                }
                const double got = vitx_stats_mean(s, (vitx_stat)stat)[l * heads + h];
                ck_assert_msg(fabs(got - expected) <= tolerance * fmax(1, expected),
                              "%s: %s of block %zu, head %zu: %.15g, expected %.15g", name,
                              vitx_stat_name((int)stat), l, h, got, expected);
                const double spread = vitx_stats_spread(s, (vitx_stat)stat)[l * heads + h];
                ck_assert_double_le(fabs(spread * spread - (square - expected * expected)),
                                    10 * tolerance * fmax(1, square));
            }
    for (size_t l = 0; l < layers; l++) {
        vitx_artifacts a = VITX_ARTIFACTS_INIT;
        double median = 0, largest = 0, count = 0;
        ck_ok(vitx_stats_artifacts(&a, s, (int)l));
        for (size_t k = 0; k < heads * heads; k++) {
            double expected = 0;
            for (int i = 0; i < n; i++)
                expected += cosines.data[((size_t)i * layers + l) * heads * heads + k] / n;
            ck_assert_double_eq_tol(vitx_stats_similarity(s, (int)l)[k], expected, tolerance);
        }
        for (int i = 0; i < n; i++) {
            const double *row = norms.data + ((size_t)i * layers + l) * 3;
            median += row[0] / n;
            largest = fmax(largest, row[1]);
            count += row[2];
        }
        ck_assert_double_eq_tol(a.median / median, 1, tolerance);
        ck_assert_double_eq_tol(a.largest / largest, 1, tolerance);
        ck_assert_int_eq(a.count, (int)count);
    }
    free_npy(&values);
    free_npy(&cosines);
    free_npy(&norms);
}

/* The very attention that numpy had. */
START_TEST(test_stats__arithmetic_matches_numpy)
{
    const char *name = goldens[_i].name;
    npy values = stats_golden(name, "values"), a = model_golden(name, "attention", 0);
    const int n = (int)values.shape[0], layers = (int)values.shape[1];
    char path[128];
    snprintf(path, sizeof path, "models/%s/input.npy", name);
    npy input = read_npy(golden_path(path));
    const int gh = (int)input.shape[2] / goldens[_i].patch_height,
              gw = (int)input.shape[3] / goldens[_i].patch_width;
    bed b;
    open_bed(&b, layers, (int)a.shape[1], (int)a.shape[2] - gh * gw, gh, gw,
             goldens[_i].patch_height, goldens[_i].patch_width, n);
    free_npy(&a);
    vx_stats_begin(b.s);
    for (int l = 0; l < layers; l++) {
        npy x = model_golden(name, "block", l);
        a = model_golden(name, "attention", l);
        float *attention = malloc(a.count * sizeof *attention);
        float *output = malloc((x.count + 1) * sizeof *output);
        for (size_t i = 0; i < a.count; i++)
            attention[i] = (float)a.data[i];
        for (size_t i = 0; i < x.count; i++)
            output[i] = (float)x.data[i];
        b.s->arch.width = (int)x.shape[2];
        ck_ok(vx_stats_block(b.s, l, attention, output, n));
        free(attention);
        free(output);
        free_npy(&a);
        free_npy(&x);
    }
    vx_stats_count(b.s, n);
    vx_stats_end(b.s);
    compare_means(b.s, name, n, TOL_SAME);
    close_bed(&b);
    free_npy(&values);
    free_npy(&input);
}
END_TEST

/* ------------------------------------------------------------------ whole models ----------- */

static const struct {
    const char *device;
    int threads;
} setups[] = {
#if !SANITIZED_THREADS
    {"ref", 1},
    {"cpu", 1},
#endif
    {"cpu", 3}};
enum { SETUPS = sizeof setups / sizeof setups[0] };

static vitx_context *make_context(vitx_model *model, const char *device, int threads, int batch,
                                  size_t budget)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = threads;
    o.max_batch = batch;
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

static vitx_image *noise(uint64_t seed)
{
    rng r = {seed};
    uint8_t rgb[3 * 40 * 30];
    vitx_image *image;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, 40, 30, 0, NULL));
    return image;
}

static void open_golden(vitx_model **model, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(model, path, NULL));
}

START_TEST(test_stats__pictures_match_numpy)
{
    const char *name = goldens[_i / SETUPS].name;
    vitx_model *model;
    vitx_stats *s;
    open_golden(&model, name);
    vitx_context *c =
        make_context(model, setups[_i % SETUPS].device, setups[_i % SETUPS].threads, 1, 0);
    vitx_image *image = picture();
    ck_ok(vitx_stats_create(&s, c));
    ck_ok(vitx_stats_add(s, (const vitx_image *const[]){image}, 1));
    compare_means(s, name, 1, TOL_STATS);
    vitx_stats_free(s);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

enum { MANY = 7 };

static void load_many(vitx_image **images)
{
    for (int i = 0; i < MANY; i++)
        images[i] = i ? noise((uint64_t)i) : picture();
}

static void free_many(vitx_image **images)
{
    for (int i = 0; i < MANY; i++)
        vitx_image_free(images[i]);
}

/* A collection is the mean and the standard deviation of collections of single pictures. */
START_TEST(test_stats__many_pictures_are_the_mean_over_single_ones)
{
    vitx_model *model;
    vitx_stats *all, *one;
    vitx_image *images[MANY];
    double sum[64] = {0}, square[64] = {0};
    open_golden(&model, "deit-hf");
    load_many(images);
    vitx_context *c = make_context(model, "cpu", 1, 1, 0);
    ck_ok(vitx_stats_create(&all, c));
    ck_ok(vitx_stats_add(all, (const vitx_image *const *)images, MANY));
    for (int i = 0; i < MANY; i++) {
        ck_ok(vitx_stats_create(&one, c));
        ck_ok(vitx_stats_add(one, (const vitx_image *const *)&images[i], 1));
        for (int k = 0; k < 48; k++) { /* 8 statistics of 2 x 3 heads */
            const double v = vitx_stats_mean(one, (vitx_stat)(k / 6))[k % 6];
            ck_assert_double_eq(vitx_stats_spread(one, (vitx_stat)(k / 6))[k % 6], 0);
            sum[k] += v;
            square[k] += v * v;
        }
        vitx_stats_free(one);
    }
    double spread = 0;
    for (int k = 0; k < 48; k++) {
        const double m = sum[k] / MANY, variance = square[k] / MANY - m * m;
        ck_assert_double_eq_tol(vitx_stats_mean(all, (vitx_stat)(k / 6))[k % 6], m, 1e-12);
        ck_assert_double_eq_tol(vitx_stats_spread(all, (vitx_stat)(k / 6))[k % 6],
                                sqrt(fmax(variance, 0)), 1e-6);
        spread = fmax(spread, variance);
    }
    ck_assert_double_gt(spread, 1e-6); /* the pictures do differ */
    vitx_stats_free(all);
    vitx_context_free(c);
    free_many(images);
    vitx_model_free(model);
}
END_TEST

/* Batches, workers, and a budget that holds one picture only; added at once or in two calls. */
START_TEST(test_stats__do_not_depend_on_batches_and_threads)
{
    static const struct {
        int threads, batch, first;
        size_t budget;
    } rows[] = {{1, 2, MANY, 0}, {3, 3, 2, 0}, {2, 16, 6, 0}, {2, 7, MANY, 12000}};
    vitx_model *model;
    vitx_stats *plain;
    vitx_image *images[MANY];
    open_golden(&model, "vit-timm-oblong");
    load_many(images);
    const vitx_image *const *all = (const vitx_image *const *)images;
    vitx_context *c = make_context(model, "cpu", 1, 1, 0);
    ck_ok(vitx_stats_create(&plain, c));
    ck_ok(vitx_stats_add(plain, all, MANY));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        vitx_stats *s;
        vitx_context *other =
            make_context(model, "cpu", rows[i].threads, rows[i].batch, rows[i].budget);
        ck_ok(vitx_stats_create(&s, other));
        ck_ok(vitx_stats_add(s, all, rows[i].first));
        if (rows[i].first < MANY)
            ck_ok(vitx_stats_add(s, all + rows[i].first, MANY - rows[i].first));
        for (int stat = 0; vitx_stat_name(stat); stat++)
            for (int k = 0; k < 6; k++) {
                const double a = vitx_stats_mean(s, (vitx_stat)stat)[k],
                             b = vitx_stats_mean(plain, (vitx_stat)stat)[k];
                ck_assert_msg(fabs(a - b) <= 1e-6 * fabs(b), "setup %zu, %s: %.15g, %.15g", i,
                              vitx_stat_name(stat), a, b);
            }
        vitx_stats_free(s);
        vitx_context_free(other);
    }
    vitx_stats_free(plain);
    vitx_context_free(c);
    free_many(images);
    vitx_model_free(model);
}
END_TEST

/* The memory of one block serves all, and each picture is run once. */
static int count_ticks(int64_t done, int64_t total, void *payload)
{
    *(int64_t *)payload = done;
    ck_assert_int_le(done, total);
    return 0;
}

START_TEST(test_stats__one_forward_in_the_memory_of_one_block)
{
    vitx_model *model;
    vitx_stats *s;
    vitx_image *image = picture();
    int64_t ticks = 0;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    open_golden(&model, "vit-timm"); /* 3 heads of 26 tokens: 8,112 bytes a block */
    vitx_context *c = make_context(model, "cpu", 1, 1, 8200);
    c->progress = count_ticks;
    c->progress_payload = &ticks;
    ck_ok(vitx_stats_create(&s, c));
    ck_ok(vitx_stats_add(s, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_uint_eq(info.trace_bytes, 8128); /* in whole lines of 64 bytes */
    ck_assert_int_eq(ticks, 3);
    vitx_stats_free(s);
    vitx_context_free(c);
    c = make_context(model, "cpu", 1, 1, 8127);
    ck_fails(vitx_stats_create(&s, c), VITX_NOMEM, "takes 8112 bytes, the budget is 8127");
    ck_assert_ptr_null(s);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ failures --------------- */

static int cancel(int64_t done, int64_t total, void *payload)
{
    return done == total && *(const bool *)payload;
}

/* A call that fails adds none of its pictures; the collection goes on. */
START_TEST(test_stats__a_failed_call_adds_nothing)
{
    vitx_model *model;
    vitx_stats *s;
    vitx_image *images[MANY];
    bool stop = true;
    open_golden(&model, "vit-timm");
    load_many(images);
    const vitx_image *const *all = (const vitx_image *const *)images;
    vitx_context *c = make_context(model, "cpu", 1, 2, 0);
    ck_ok(vitx_stats_create(&s, c));
    ck_ok(vitx_stats_add(s, all, 2));
    const double before = vitx_stats_mean(s, VITX_STAT_ENTROPY)[4];
    c->progress = cancel;
    c->progress_payload = &stop;
    ck_fails(vitx_stats_add(s, all + 2, 5), VITX_CANCELLED, "cancelled");
    const vitx_image *const broken[] = {all[2], all[3], NULL};
    stop = false;
    ck_fails(vitx_stats_add(s, broken, 3), VITX_INVALID, "NULL");
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    ck_ok(vitx_stats_get_info(&info, s));
    ck_assert_int_eq(info.pictures, 2);
    ck_assert_double_eq(vitx_stats_mean(s, VITX_STAT_ENTROPY)[4], before);
    ck_ok(vitx_stats_add(s, all + 2, 1));
    ck_ok(vitx_stats_get_info(&info, s));
    ck_assert_int_eq(info.pictures, 3);
    ck_assert_double_ne(vitx_stats_mean(s, VITX_STAT_ENTROPY)[4], before);
    /* Results outlive the context. */
    vitx_context_free(c);
    ck_assert_double_gt(vitx_stats_mean(s, VITX_STAT_ENTROPY)[0], 0);
    vitx_stats_free(s);
    free_many(images);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_stats__what_is_not_finite_is_a_failure)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    bed b;
    open_bed(&b, 2, 3, 1, 3, 3, 4, 4, 1);
    for (int h = 0; h < 3; h++)
        fill(&b, h, 0.1);
    vx_stats_begin(b.s);
    ck_ok(vx_stats_block(b.s, 0, b.attention, b.output, 1));
    for (int i = 0; i < 3; i++) {
        *at(&b, 1, 7, 3) = bad[i];
        ck_fails(vx_stats_block(b.s, 1, b.attention, b.output, 1), VITX_FORMAT,
                 "attention of block 1, head 1 is not finite");
        *at(&b, 1, 7, 3) = 0.1f;
        b.output[3] = bad[i];
        ck_fails(vx_stats_block(b.s, 1, b.attention, b.output, 1), VITX_FORMAT,
                 "output of block 1 is not finite");
        b.output[3] = 0;
    }
    close_bed(&b);
}
END_TEST

START_TEST(test_stats__bad_requests)
{
    vitx_model *model;
    vitx_stats *s = (vitx_stats *)1;
    vitx_image *image = picture();
    const vitx_image *const images[] = {image};
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    vitx_head_info head = VITX_HEAD_INFO_INIT;
    vitx_artifacts artifacts = VITX_ARTIFACTS_INIT;
    open_golden(&model, "vit-timm");
    vitx_context *c = make_context(model, "cpu", 1, 1, 0);
    ck_fails(vitx_stats_create(&s, NULL), VITX_INVALID, "context is NULL");
    ck_assert_ptr_null(s);
    ck_fails(vitx_stats_create(NULL, c), VITX_INVALID, "out is NULL");
    ck_ok(vitx_stats_create(&s, c));
    ck_fails(vitx_stats_add(NULL, images, 1), VITX_INVALID, "stats is NULL");
    ck_fails(vitx_stats_add(s, NULL, 1), VITX_INVALID, "images is NULL");
    ck_fails(vitx_stats_add(s, images, 0), VITX_INVALID, "0 pictures");
    /* Before the first picture */
    ck_ok(vitx_stats_get_info(&info, s));
    ck_assert_int_eq(info.pictures, 0);
    ck_assert_int_eq(info.warnings, 0);
    ck_assert_double_eq(vitx_stats_mean(s, VITX_STAT_GINI)[0], 0);
    ck_assert_double_eq(vitx_stats_spread(s, VITX_STAT_GINI)[0], 0);
    ck_assert_ptr_null(vitx_stats_warning(s, 0));
    ck_fails(vitx_stats_head(&head, s, 0, 0), VITX_INVALID, "no picture");
    ck_fails(vitx_stats_artifacts(&artifacts, s, 0), VITX_INVALID, "no picture");
    ck_ok(vitx_stats_add(s, images, 1));
    ck_fails(vitx_stats_head(&head, s, 3, 0), VITX_INVALID, "layer 3 is out of range");
    ck_fails(vitx_stats_head(&head, s, -1, 0), VITX_INVALID, "layer -1");
    ck_fails(vitx_stats_head(&head, s, 0, 3), VITX_INVALID, "head 3 is out of range");
    ck_fails(vitx_stats_head(NULL, s, 0, 0), VITX_INVALID, "NULL");
    ck_fails(vitx_stats_artifacts(&artifacts, s, 3), VITX_INVALID, "layer 3");
    ck_fails(vitx_stats_artifacts(&artifacts, NULL, 0), VITX_INVALID, "NULL");
    ck_fails(vitx_stats_get_info(NULL, s), VITX_INVALID, "NULL");
    ck_assert_ptr_null(vitx_stats_mean(s, (vitx_stat)8));
    ck_assert_ptr_null(vitx_stats_mean(s, (vitx_stat)-1));
    ck_assert_ptr_null(vitx_stats_mean(NULL, VITX_STAT_GINI));
    ck_assert_ptr_null(vitx_stats_spread(NULL, VITX_STAT_GINI));
    ck_assert_ptr_null(vitx_stats_similarity(s, 3));
    ck_assert_ptr_null(vitx_stats_similarity(NULL, 0));
    ck_assert_ptr_null(vitx_stats_warning(NULL, 0));
    ck_assert_ptr_null(vitx_stat_name(8));
    ck_assert_ptr_null(vitx_stat_name(-1));
    ck_assert_ptr_null(vitx_stat_summary(8));
    vitx_stats_free(s);
    vitx_stats_free(NULL);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ words ------------------ */

static void mix(bed *b, int head, int from, int to, float share)
{
    for (int i = 0; i < b->tokens; i++)
        for (int j = 0; j < b->tokens; j++)
            *at(b, head, i, j) = (1 - share) * *at(b, from, i, j) + share * *at(b, to, i, j);
}

START_TEST(test_stats__redundant_heads_are_named)
{
    static const int with[] = {-1, -1, 0, 1, 0, -1};
    bed b;
    open_bed(&b, 2, 6, 1, 4, 4, 4, 4, 1);
    point(&b, 0, to_the_side);
    point(&b, 1, down);
    mix(&b, 2, 0, 1, 0.2f); /* cosine 0.8 / sqrt(0.64 + 0.04) = 0.970 with head 0 (and 17 rows) */
    point(&b, 3, down);
    mix(&b, 4, 0, 1, 0.1f); /* most like head 2, which is redundant itself: named is head 0 */
    mix(&b, 5, 0, 1, 0.5f); /* 0.707 */
    add_same(&b);
    for (int l = 0; l < 2; l++)
        for (int h = 0; h < 6; h++) {
            const vitx_head_info info = info_of(b.s, l, h);
            ck_assert_msg(info.redundant_with == with[h], "head %d: %d", h, info.redundant_with);
            ck_assert_double_eq(info.twin_similarity,
                                vitx_stats_similarity(b.s, l)[h * 6 + info.twin]);
        }
    ck_assert_int_eq(info_of(b.s, 0, 1).twin, 3);
    ck_near(info_of(b.s, 0, 1).twin_similarity, 1);
    ck_assert_int_eq(info_of(b.s, 0, 0).twin, 4);
    const char *text = vitx_stats_warning(b.s, 0);
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(strstr(text, "heads are alike: 6 of 12"));
    ck_assert_ptr_nonnull(strstr(text, "block 0, head 2 as 0 with 0.97"));
    ck_assert_ptr_nonnull(strstr(text, "block 0, head 3 as 1 with 1.00"));
    ck_assert_ptr_nonnull(strstr(text, "; ...)"));
    ck_assert_ptr_null(vitx_stats_warning(b.s, 1));
    close_bed(&b);
}
END_TEST

START_TEST(test_stats__patterns_keep_to_their_limits)
{
    bed b;
    open_bed(&b, 1, 4, 1, 1, 21, 4, 4, 1);
    for (int i = 0; i < b.tokens; i++) {
        *at(&b, 0, i, 0) = 0.5f; /* just a sink, though it is local */
        *at(&b, 0, i, i) += 0.5f;
        *at(&b, 1, i, 0) = 0.25f; /* not quite */
        *at(&b, 1, i, i) += 0.75f;
        for (int j = 0; j < b.tokens; j++) { /* 0.8 and 0.95 of the uniform distance */
            *at(&b, 2, i, j) = 0.8f / 22 + (i == j ? 0.2f : 0);
            *at(&b, 3, i, j) = 0.95f / 22 + (i == j ? 0.05f : 0);
        }
    }
    add_same(&b);
    static const vitx_pattern expected[] = {VITX_PATTERN_SINK, VITX_PATTERN_LOCAL,
                                            VITX_PATTERN_MIXED, VITX_PATTERN_GLOBAL};
    static const char *const names[] = {"sink", "local", "mixed", "global"};
    for (int h = 0; h < 4; h++) {
        ck_assert_int_eq(info_of(b.s, 0, h).pattern, expected[h]);
        ck_assert_str_eq(vitx_pattern_name(expected[h]), names[h]);
    }
    close_bed(&b);
}
END_TEST

/* Norm 3 is not above three times a median of 1, 3.5 is; the class token never counts. */
START_TEST(test_stats__artifact_tokens)
{
    bed b;
    vitx_artifacts a = VITX_ARTIFACTS_INIT;
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    open_bed(&b, 2, 1, 1, 3, 5, 4, 4, 1);
    fill(&b, 0, 1.0 / 16);
    b.output[0] = 100;
    b.output[b.width * (1 + 4)] = 3;
    add_same(&b);
    ck_ok(vitx_stats_artifacts(&a, b.s, 1));
    ck_assert_int_eq(a.count, 0);
    ck_assert_double_eq(a.largest, 3);
    ck_assert_double_eq(a.median, 1);
    b.output[b.width * (1 + 7)] = 2.1f; /* with 2.8: a length of 3.5 */
    b.output[b.width * (1 + 7) + 1] = 2.8f;
    add_same(&b);
    b.output[b.width * (1 + 14)] = 50;
    add_same(&b);
    for (int l = 0; l < 2; l++) {
        ck_ok(vitx_stats_artifacts(&a, b.s, l));
        ck_assert_int_eq(a.count, 3);
        ck_assert_int_eq(a.pictures, 2);
        ck_assert_double_eq(a.largest, 50);
        for (int p = 0; p < 15; p++)
            ck_assert_int_eq(a.positions[p], p == 7 ? 2 : p == 14);
    }
    ck_ok(vitx_stats_get_info(&info, b.s));
    ck_assert_int_eq(info.artifacts, 6);
    const char *text = vitx_stats_warning(b.s, info.warnings - 1);
    ck_assert_msg(strstr(text, "artifact tokens: behind 2 of 2 blocks") &&
                      strstr(text, "more than 3 times") &&
                      strstr(text, "block 0, 3 in 2 of 3 pictures, the largest 50 times"),
                  "%s", text);
    close_bed(&b);
}
END_TEST

/* Norms of 0 have no multiple. */
START_TEST(test_stats__a_median_of_0_makes_no_artifacts)
{
    bed b;
    vitx_artifacts a = VITX_ARTIFACTS_INIT;
    open_bed(&b, 1, 1, 1, 2, 3, 4, 4, 1);
    fill(&b, 0, 1.0 / 7);
    for (int t = 1; t < 7; t++)
        b.output[t * b.width] = 0;
    b.output[3 * b.width] = 5;
    add_same(&b);
    ck_ok(vitx_stats_artifacts(&a, b.s, 0));
    ck_assert_int_eq(a.count, 0);
    ck_assert_double_eq(a.largest, 0);
    close_bed(&b);
}
END_TEST

START_TEST(test_stats__warnings_say_why)
{
    static const struct {
        int (*key)(const bed *b, int query); /* NULL: uniform */
        const char *parts[3];
    } rows[] = {
        {NULL,
         {"attention is spread over everything: 4 of 4 heads have 95 % or more",
          "most: block 0, head 0 with ", NULL}},
        {to_class,
         {"attention has collapsed onto the class token: in 2 of 2 blocks", "50 % or more",
          "most: block 0 with 100 %"}},
        {to_first_patch,
         {"attention is stuck on few patches: in 4 of 4 heads 1 of the 16 patches get 50 %",
          "most: block 0, head 0 with 100 %", NULL}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bed b;
        open_bed(&b, 2, 2, 1, 4, 4, 4, 4, 1);
        for (int h = 0; h < 2; h++) {
            fill(&b, h, 1.0 / b.tokens);
            if (rows[i].key)
                point(&b, h, rows[i].key);
        }
        add_same(&b);
        bool found = false;
        for (int w = 0; !found && vitx_stats_warning(b.s, w); w++) {
            found = true;
            for (int k = 0; k < 3 && rows[i].parts[k]; k++)
                found = found && strstr(vitx_stats_warning(b.s, w), rows[i].parts[k]);
        }
        ck_assert_msg(found, "row %zu: %s", i, vitx_stats_warning(b.s, 0));
        ck_assert_ptr_nonnull(vitx_stats_warning(b.s, 1)); /* and alike they are */
        ck_assert_ptr_null(vitx_stats_warning(b.s, 2));
        close_bed(&b);
    }
}
END_TEST

/* Heads that do different things on different patches: nothing to say. */
START_TEST(test_stats__no_warnings_without_a_cause)
{
    bed b;
    open_bed(&b, 2, 2, 1, 4, 4, 4, 4, 1);
    point(&b, 0, to_the_side);
    point(&b, 1, down);
    add_same(&b);
    ck_assert_ptr_null(vitx_stats_warning(b.s, 0));
    close_bed(&b);
}
END_TEST

/* ------------------------------------------------------------------ files ------------------ */

static int keep(const void *data, size_t bytes, void *payload)
{
    return vx_buffer_append(payload, data, bytes);
}

static int refuse(const void *data, size_t bytes, void *payload)
{
    (void)data;
    (void)bytes;
    (void)payload;
    return 1;
}

/* Two blocks of three heads: side, down, alike to all; artifacts. */
static void open_filled(bed *b)
{
    open_bed(b, 2, 3, 1, 3, 5, 8, 4, 1);
    point(b, 0, to_the_side);
    point(b, 1, down);
    fill(b, 2, 1.0 / 16);
    b->output[b->width * (1 + 7)] = 9;
    add_same(b);
    add_same(b);
}

static double number(const vx_json *node)
{
    double v = NAN;
    ck_assert(vx_json_number(node, &v));
    return v;
}

/* Element `i` of an array. */
static const vx_json *item(const vx_json *array, int i)
{
    const vx_json *node = vx_json_first(array);
    for (; i > 0; i--)
        node = vx_json_next(node);
    return node;
}

START_TEST(test_stats_json__holds_everything)
{
    bed b;
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    open_filled(&b);
    vx_buffer out = {.hooks = &hooks};
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    vx_json *root;
    opts.format = "json";
    opts.title = "a \"b\"";
    ck_ok(vitx_stats_render_write(b.s, keep, &out, &opts));
    ck_assert_int_eq(out.data[out.size - 1], '\n');
    ck_ok(vx_json_parse(&root, out.data, out.size, "stats", 10000));
    ck_assert_str_eq(vx_json_string(vx_json_get(root, "model")), "a \"b\"");
    ck_assert_double_eq(number(vx_json_get(root, "pictures")), 2);
    ck_assert_double_eq(number(vx_json_get(root, "tokens")), 16);
    ck_assert_double_eq(number(item(vx_json_get(root, "grid"), 1)), 5);
    ck_near(number(vx_json_get(root, "entropy_limit")), log(16));
    const vx_json *statistics = vx_json_get(root, "statistics");
    ck_assert_int_eq(vx_json_size(statistics), 8);
    for (int i = 0; vitx_stat_name(i); i++)
        for (int l = 0; l < 2; l++)
            for (int h = 0; h < 3; h++) {
                const vx_json *one = vx_json_get(statistics, vitx_stat_name(i));
                ck_assert_double_eq_tol(number(item(item(vx_json_get(one, "mean"), l), h)),
                                        mean(&b, (vitx_stat)i, l, h), 1e-7);
                ck_assert_double_eq(number(item(item(vx_json_get(one, "spread"), l), h)), 0);
            }
    ck_assert_str_eq(vx_json_string(item(item(vx_json_get(root, "patterns"), 1), 2)), "global");
    ck_assert_double_eq_tol(number(item(item(item(vx_json_get(root, "similarity"), 1), 0), 2)),
                            vitx_stats_similarity(b.s, 1)[2], 1e-8);
    ck_assert_int_eq(vx_json_size(vx_json_get(root, "redundant")), 0);
    const vx_json *artifacts = item(vx_json_get(root, "artifacts"), 1);
    ck_assert_double_eq(number(vx_json_get(artifacts, "count")), 2);
    ck_assert_double_eq(number(vx_json_get(artifacts, "largest")), 9);
    static const double place[] = {1, 2, 2}; /* row, column, pictures */
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(number(item(item(vx_json_get(artifacts, "positions"), 0), i)),
                            place[i]);
    const vx_json *warnings = vx_json_get(root, "warnings");
    ck_assert_int_eq(vx_json_size(warnings), 2); /* spread over everything; artifacts */
    ck_assert_str_eq(vx_json_string(item(warnings, 1)), vitx_stats_warning(b.s, 1));
    vx_json_free(root);
    vx_buffer_dispose(&out);
    close_bed(&b);
}
END_TEST

/* Every cell has the colour of its value: the least is the map's first, the largest its last. */
START_TEST(test_stats_png__cells_have_the_colours_of_their_values)
{
    static const uint8_t first[3] = {68, 1, 84}, last[3] = {253, 231, 37}; /* viridis */
    bed b;
    vitx_hooks hooks;
    vitx_image *image;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    open_filled(&b);
    vx_buffer out = {.hooks = &hooks};
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    opts.format = "PNG";
    opts.title = "model";
    ck_ok(vitx_stats_render_write(b.s, keep, &out, &opts));
    ck_ok(vitx_image_open_memory(&image, out.data, out.size, "heat map", NULL));
    const int width = vitx_image_width(image), height = vitx_image_height(image);
    size_t low = 0, high = 0;
    for (int i = 0; i < width * height; i++) {
        low += memcmp(vitx_image_pixels(image) + 3 * i, first, 3) == 0;
        high += memcmp(vitx_image_pixels(image) + 3 * i, last, 3) == 0;
    }
    /* Cells of 63 x 63 with digits in them: heads 0 and 1 of both blocks are least, head 2 is
     * most. */
    ck_assert_uint_gt(low, 4 * 63 * 63 * 8 / 10);
    ck_assert_uint_lt(low, 4 * 63 * 63 + 21 * 20);
    ck_assert_uint_gt(high, 2 * 63 * 63 * 8 / 10);
    ck_assert_uint_lt(high, 2 * 63 * 63 + 21 * 20);
    vitx_image_free(image);
    vx_buffer_dispose(&out);
    close_bed(&b);
}
END_TEST

/* One statistic alike everywhere, one head, one layer: nothing to divide by. */
START_TEST(test_stats_png__every_statistic_of_every_shape)
{
    static const int shapes[][2] = {{1, 1}, {1, 40}, {40, 1}, {12, 3}, {2, 12}};
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    bed b;
    open_bed(&b, shapes[_i][0], shapes[_i][1], 0, 1, 2, 4, 4, 1);
    for (int h = 0; h < shapes[_i][1]; h++)
        fill(&b, h, 0.5);
    add_same(&b);
    for (int stat = 0; vitx_stat_name(stat); stat++) {
        vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
        vitx_image *image;
        vx_buffer out = {.hooks = &hooks};
        opts.format = "png";
        opts.stat = (vitx_stat)stat;
        opts.title = "a name that is far longer than any picture of a model's heads could be "
                     "wide, and of letters that are not there: \xc3\xa4\xc3\xb6";
        ck_ok(vitx_stats_render_write(b.s, keep, &out, &opts));
        ck_ok(vitx_image_open_memory(&image, out.data, out.size, "heat map", NULL));
        ck_assert_int_le(vitx_image_width(image), 1600);
        vitx_image_free(image);
        vx_buffer_dispose(&out);
    }
    close_bed(&b);
}
END_TEST

START_TEST(test_stats_render__files_and_what_is_refused)
{
    bed b, empty;
    char *folder = make_folder(), path[160];
    open_filled(&b);
    open_bed(&empty, 1, 1, 0, 1, 1, 1, 1, 1);
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    static const char *const endings[] = {"png", "json"};
    for (int i = 0; i < 2; i++) {
        size_t bytes;
        snprintf(path, sizeof path, "%s/x.%s", folder, endings[i]);
        ck_ok(vitx_stats_render(b.s, path, NULL));
        free(read_file(path, &bytes));
        ck_assert_uint_gt(bytes, 500);
    }
    ck_fails(vitx_stats_render(b.s, "x.npy", NULL), VITX_INVALID, "x.npy: the ending");
    ck_fails(vitx_stats_render(b.s, "png", NULL), VITX_INVALID, "png: the ending");
    ck_fails(vitx_stats_render(b.s, NULL, NULL), VITX_INVALID, "path is NULL");
    ck_fails(vitx_stats_render(NULL, "x.png", NULL), VITX_INVALID, "stats is NULL");
    ck_fails(vitx_stats_render(empty.s, "x.png", NULL), VITX_INVALID, "no picture");
    ck_fails(vitx_stats_render(b.s, "/nowhere/x.png", NULL), VITX_IO, "/nowhere/x.png");
    ck_fails(vitx_stats_render_write(b.s, NULL, NULL, NULL), VITX_INVALID, "write is NULL");
    ck_fails(vitx_stats_render_write(b.s, refuse, NULL, NULL), VITX_INVALID, "no format");
    opts.format = "npy";
    ck_fails(vitx_stats_render(b.s, "x.png", &opts), VITX_INVALID, "no format \"npy\"");
    opts.format = "json";
    ck_fails(vitx_stats_render_write(b.s, refuse, NULL, &opts), VITX_IO, "the writer stopped");
    opts.stat = (vitx_stat)8;
    ck_fails(vitx_stats_render(b.s, "x.png", &opts), VITX_INVALID, "stat 8");
    opts.stat = VITX_STAT_GINI;
    opts.colormap = "rainbow";
    ck_fails(vitx_stats_render(b.s, "x.png", &opts), VITX_INVALID, "no colour map \"rainbow\"");
    close_bed(&b);
    close_bed(&empty);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* ------------------------------------------------------------------ memory ----------------- */

/* A collection of two pictures, drawn and written. */
static int whole_way(vitx_context *c, const vitx_image *const *images)
{
    static const char *const formats[] = {"png", "json"};
    vitx_stats *s;
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    int status = vitx_stats_create(&s, c);
    if (status == VITX_OK)
        status = vitx_stats_add(s, images, 2);
    for (int i = 0; i < 2 && status == VITX_OK; i++) {
        vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
        vx_buffer out = {.hooks = &hooks};
        opts.format = formats[i];
        status = vitx_stats_render_write(s, keep, &out, &opts);
        vx_buffer_dispose(&out);
    }
    vitx_stats_free(s);
    return status;
}

START_TEST(test_stats__every_allocation_may_fail)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_model *model;
    vitx_image *images[2] = {picture(), noise(1)};
    mo.hooks = &hooks;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", &mo));
    vitx_context_free(make_context(model, _i ? "ref" : "cpu", 1, 1, 0)); /* reads the weights */
    const int live = r.live;
    for (int n = 0, status = VITX_NOMEM; status != VITX_OK; n++) {
        /* A fresh one each time: it keeps what was allocated for it. */
        vitx_context *c = make_context(model, _i ? "ref" : "cpu", 1, 1, 0);
        r.left = n;
        status = whole_way(c, (const vitx_image *const *)images);
        r.left = -1;
        ck_assert_msg(status == VITX_NOMEM || (status == VITX_OK && n > 8),
                      "with %d allocations: %s, %s", n, vitx_status_name(status),
                      vitx_last_error());
        vitx_context_free(c);
        ck_assert_msg(r.live == live, "with %d allocations: %d are left", n, r.live - live);
    }
    vitx_model_free(model);
    ck_assert_int_eq(r.live, 0);
    vitx_image_free(images[0]);
    vitx_image_free(images[1]);
}
END_TEST

/* Behind the first call nothing is allocated. */
START_TEST(test_stats__adding_allocates_nothing_after_the_first_call)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_model *model;
    vitx_stats *s;
    vitx_image *image = picture();
    const vitx_image *const images[] = {image, image, image};
    mo.hooks = &hooks;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", &mo));
    vitx_context *c = make_context(model, "cpu", 2, 2, 0);
    ck_ok(vitx_stats_create(&s, c));
    ck_ok(vitx_stats_add(s, images, 2));
    const int calls = r.calls;
    ck_ok(vitx_stats_add(s, images, 3));
    ck_assert_int_eq(r.calls, calls);
    vitx_stats_free(s);
    vitx_context_free(c);
    vitx_model_free(model);
    vitx_image_free(image);
    ck_assert_int_eq(r.live, 0);
}
END_TEST
static Suite *stats_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *tcase = tcase_create("stats");
    tcase_add_loop_test(tcase, test_stats__uniform_attention, 0, 3);
    tcase_add_test(tcase, test_stats__distance_of_uniform_attention);
    tcase_add_test(tcase, test_stats__one_key_has_all);
    tcase_add_loop_test(tcase, test_stats__distance_of_shifts, 0, 2);
    tcase_add_loop_test(tcase, test_stats__order_of_hard_rows, 0, 2);
    tcase_add_loop_test(tcase, test_stats__arithmetic_matches_numpy, 0, GOLDENS);
    tcase_add_loop_test(tcase, test_stats__pictures_match_numpy, 0, GOLDENS * SETUPS);
    tcase_add_test(tcase, test_stats__many_pictures_are_the_mean_over_single_ones);
    tcase_add_test(tcase, test_stats__do_not_depend_on_batches_and_threads);
    tcase_add_test(tcase, test_stats__one_forward_in_the_memory_of_one_block);
    tcase_add_test(tcase, test_stats__a_failed_call_adds_nothing);
    tcase_add_test(tcase, test_stats__what_is_not_finite_is_a_failure);
    tcase_add_test(tcase, test_stats__bad_requests);
    tcase_add_test(tcase, test_stats__redundant_heads_are_named);
    tcase_add_test(tcase, test_stats__patterns_keep_to_their_limits);
    tcase_add_test(tcase, test_stats__artifact_tokens);
    tcase_add_test(tcase, test_stats__a_median_of_0_makes_no_artifacts);
    tcase_add_test(tcase, test_stats__warnings_say_why);
    tcase_add_test(tcase, test_stats__no_warnings_without_a_cause);
    tcase_add_test(tcase, test_stats_json__holds_everything);
    tcase_add_test(tcase, test_stats_png__cells_have_the_colours_of_their_values);
    tcase_add_loop_test(tcase, test_stats_png__every_statistic_of_every_shape, 0,
                        SANITIZED_THREADS ? 1 : 5);
    tcase_add_test(tcase, test_stats_render__files_and_what_is_refused);
    tcase_add_loop_test(tcase, test_stats__every_allocation_may_fail, 0, 2);
    tcase_add_test(tcase, test_stats__adding_allocates_nothing_after_the_first_call);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(stats_suite)
