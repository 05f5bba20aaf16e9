/*
 * The methods on gradients of pixels: properties that hold of any model, each method against a
 * plain sum over variants, baselines, random numbers. Captum's maps are compared in test_methods.
 * VX_TEST_THREADS
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "base/random.h"
#include "engine/run.h"
#include "engine/variants.h"
#include "explain/baseline.h"
#include "kernels/narrow.h"
#include "util.h"

static char folders[MOST_MODELS][128];
static int folder_count;
/* Of tests on every model: threads that wait for each other cost more than they save. */
enum { THREADS = SANITIZED_THREADS ? 2 : 1 };

/* A model, a context on it and a picture. */
typedef struct scene {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} scene;

static vitx_image *picture_of(uint64_t seed, int width, int height)
{
    rng r = {seed};
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *image;
    for (int i = 0; i < 3 * width * height; i++)
        rgb[i] = seed ? (uint8_t)rng_int(&r, 0, 255) : 0; /* seed 0: black */
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

/* What smoothgrad and integrated-gradients record of variants. */
static vx_plan *to_pixels(vitx_context *c)
{
    vx_plan *plan = &c->variants.need;
    vx_plan_clear(plan);
    plan->targets = 1;
    plan->pixels = true;
    return plan;
}

static size_t pixels_bytes(vitx_context *c, int count, int kept)
{
    return vx_variants_bytes(c, count, kept, to_pixels(c));
}

static scene open_scene(const char *folder, const char *device, int threads, int batch)
{
    scene s;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = device;
    o.threads = threads;
    o.max_batch = batch;
    ck_ok(vitx_model_open(&s.model, folder, NULL));
    ck_ok(vitx_context_create(&s.c, s.model, &o));
    ck_ok(vitx_image_open(&s.image, "test/golden/models/picture.png"));
    return s;
}

static void close_scene(scene *s)
{
    vitx_image_free(s->image);
    vitx_context_free(s->c);
    vitx_model_free(s->model);
}

/* Options from words: "n=3 sigma=0". Lives as long as `store`. */
typedef struct request {
    vitx_explain_opts opts;
    char text[256];
    const char *set[12];
} request;

static vitx_explain_opts *ask(request *q, const char *method, const char *words)
{
    vitx_explain_opts_init(&q->opts, sizeof q->opts);
    q->opts.method = method;
    snprintf(q->text, sizeof q->text, "%s", words);
    for (char *w = strtok(q->text, " "); w; w = strtok(NULL, " "))
        q->set[q->opts.set_count++] = w;
    q->opts.set = q->set;
    return &q->opts;
}

static vitx_map *explain_with(const scene *s, const vitx_explain_opts *opts, vitx_map_info *info)
{
    vitx_map *map;
    ck_ok(vitx_explain(&map, s->c, s->image, opts));
    vitx_map_info_init(info, sizeof *info);
    ck_ok(vitx_map_get_info(info, map));
    ck_assert_int_eq(info->rank, 2);
    return map;
}

static vitx_map *explain(const scene *s, const char *method, const char *words, vitx_map_info *info)
{
    request q;
    return explain_with(s, ask(&q, method, words), info);
}

static size_t count_of(const vitx_map_info *info)
{
    return (size_t)(info->shape[0] * info->shape[1]);
}

static double sum_of(const vitx_map *map, const vitx_map_info *info)
{
    double sum = 0;
    for (size_t i = 0; i < count_of(info); i++)
        sum += vitx_map_values(map)[i];
    return sum;
}

/* Largest difference of two maps over the second one's largest value. */
static double error_between(const vitx_map *a, const vitx_map *b, const vitx_map_info *info)
{
    return max_error_ff(vitx_map_values(a), vitx_map_values(b), count_of(info));
}

/* The same of two requests. */
static double difference(const scene *s, const char *method, const char *words, const char *other,
                         const char *other_words)
{
    vitx_map_info info, second;
    vitx_map *a = explain(s, method, words, &info), *b = explain(s, other, other_words, &second);
    ck_assert_int_eq(info.shape[0], second.shape[0]);
    ck_assert_int_eq(info.shape[1], second.shape[1]);
    const double error = error_between(a, b, &info);
    vitx_map_free(a);
    vitx_map_free(b);
    return error;
}

static void check_zero(const scene *s, const char *method, const char *words)
{
    vitx_map_info info;
    vitx_map *map = explain(s, method, words, &info);
    ck_assert_msg(info.min == 0 && info.max == 0, "%s %s: %g to %g", method, words,
                  (double)info.min, (double)info.max);
    vitx_map_free(map);
}

static const char *const methods[] = {"saliency", "input-x-grad", "smoothgrad",
                                      "integrated-gradients"};
enum { METHODS = 4 };
/* As little work as shows everything. */
static const char *const few[] = {"", "", "n=3", "steps=11"};

/* ------------------------------------------------------------------ completeness ----------- */

/*
 * Over all models: the values add up to the difference of the scores, and better with more steps.
 * The gradient of a ReLU jumps where a unit turns on, and what is integrated jumps with it: no rule
 * gets those right faster than by 1/steps. There the error is one of the scores, whose difference
 * happens to be small in one of the models.
 */
START_TEST(test_integrated__is_complete)
{
    static const int steps[] = {2, 8, 50, 1000};
    static const vitx_score scores[] = {VITX_SCORE_LOGIT, VITX_SCORE_PROBABILITY,
                                        VITX_SCORE_DIFFERENCE};
    double left[4] = {0};
    for (int f = 0; f < folder_count; f++) {
        scene s = open_scene(folders[f], "cpu", 1, 1);
        const bool jumps = s.c->arch.act == VX_ACT_RELU;
        for (int k = 0; k < (jumps ? 4 : 3); k++) {
            request q;
            vitx_map_info info;
            char words[32];
            snprintf(words, sizeof words, "steps=%d", steps[k]);
            vitx_explain_opts *o = ask(&q, "integrated-gradients", words);
            o->score = scores[_i];
            if (s.c->arch.units && o->score == VITX_SCORE_PROBABILITY)
                o->score = VITX_SCORE_LOGIT;
            vitx_map *map = explain_with(&s, o, &info);
            const double change = info.value - info.base_value;
            const double scale =
                jumps ? fmax(fabs(info.value), fabs(info.base_value)) : fabs(change);
            const double error = fabs(info.completeness_error) / scale;
            ck_assert_double_eq_tol(info.completeness_error, sum_of(map, &info) - change,
                                    1e-6 * fabs(change));
            /* The scores themselves are good to some 1e-6. */
            const double limit = 1e-3 + 2e-6 * fabs(info.value) / scale;
            ck_assert_msg(k < (jumps ? 3 : 2) || error < limit, "%s: %g of %g is missing",
                          folders[f], info.completeness_error, change);
            ck_assert_int_eq(info.forwards, 1 + steps[k]);
            ck_assert_int_eq(info.is_signed, 1);
            left[k] += error;
            vitx_map_free(map);
        }
        close_scene(&s);
    }
    ck_assert_int_ge(folder_count, SANITIZED_THREADS ? 2 : 12);
    /* 2 steps are so few that a model alone can be right by chance: that takes all models. */
    ck_assert_msg(left[2] < left[1] / 3 && (SANITIZED || left[1] < left[0] / 3), "errors %g %g %g",
                  left[0], left[1], left[2]);
}
END_TEST

/* ------------------------------------------------------------------ rules ------------------ */

/* values = a * first + b * second */
static void check_blend(const scene *s, const char *whole, double a, const char *first, double b,
                        const char *second)
{
    static const char *const name = "integrated-gradients";
    vitx_map_info info;
    vitx_map *w = explain(s, name, whole, &info), *f = explain(s, name, first, &info),
             *g = explain(s, name, second, &info);
    const size_t n = count_of(&info);
    double *expected = malloc(n * sizeof *expected);
    for (size_t i = 0; i < n; i++)
        expected[i] = a * vitx_map_values(f)[i] + b * vitx_map_values(g)[i];
    const double error = max_error_f32(vitx_map_values(w), expected, n);
    ck_assert_msg(error < 2e-6, "%s: error %g", whole, error);
    free(expected);
    vitx_map_free(w);
    vitx_map_free(f);
    vitx_map_free(g);
}

/* What the rules have to do with each other, whatever is integrated. */
START_TEST(test_integrated__rules_are_related)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 2, 1);
    check_blend(&s, "rule=trapezoid steps=6", .5, "rule=left steps=5", .5, "rule=right steps=5");
    check_blend(&s, "rule=trapezoid steps=11", .5, "rule=trapezoid steps=6", .5,
                "rule=middle steps=5");
    check_blend(&s, "rule=middle steps=1", 1, "steps=1", 0, "steps=1");
    check_blend(&s, "rule=trapezoid steps=5 compat=captum", .8, "rule=trapezoid steps=5", 0,
                "steps=1");
    check_blend(&s, "rule=middle steps=5 compat=captum", 1, "rule=middle steps=5", 0, "steps=1");
    check_blend(&s, "rule=right steps=1", 1, "rule=right steps=1", 0, "steps=1");
    /* One step to the right is input x gradient, the baseline being 0. */
    ck_assert_double_lt(
        difference(&s, "integrated-gradients", "rule=right steps=1", "input-x-grad", ""), 1e-5);
    close_scene(&s);
}
END_TEST

/* A norm that does nothing, attention that sums its values: with those a Transformer is linear. */
static void plain_norm(vx_device *dev, const vx_layernorm *given)
{
    const vx_layernorm floats = vx_layernorm_floats(given), *a = &floats;
    (void)dev;
    for (int i = 0; i < a->m; i++)
        memmove(a->y + i * a->ldy, a->x + i * a->ldx, (size_t)a->n * sizeof *a->y);
}

static void plain_norm_bwd(vx_device *dev, const vx_layernorm_bwd *given)
{
    const vx_layernorm_bwd floats = vx_layernorm_bwd_floats(given), *a = &floats;
    (void)dev;
    for (int i = 0; i < a->m; i++)
        for (int j = 0; j < a->n; j++) {
            const float d = a->dy[i * a->lddy + j];
            a->dx[i * a->lddx + j] = a->accumulate ? a->dx[i * a->lddx + j] + d : d;
        }
}

/* y[t] = v[0] + ... + v[T-1] over 4, for every token and head. */
static void plain_attention(vx_device *dev, const vx_attention *given)
{
    const vx_attention floats = vx_attention_floats(given), *a = &floats;
    (void)dev;
    const int width = a->heads * a->head_width;
    for (int b = 0; b < a->batch; b++)
        for (int j = 0; j < width; j++) {
            float sum = 0;
            for (int t = 0; t < a->tokens; t++)
                sum += a->qkv[(b * a->tokens + t) * 3 * width + 2 * width + j] / 4;
            for (int t = 0; t < a->tokens; t++)
                a->y[(b * a->tokens + t) * width + j] = sum;
        }
}

static void plain_attention_bwd(vx_device *dev, const vx_attention_bwd *given)
{
    const vx_attention_bwd floats = vx_attention_bwd_floats(given), *a = &floats;
    (void)dev;
    const int width = a->heads * a->head_width;
    for (int g = 0; g < a->batch * a->targets; g++)
        for (int j = 0; j < width; j++) {
            float sum = 0;
            for (int t = 0; t < a->queries; t++)
                sum += a->dy[(g * a->queries + t) * width + j] / 4;
            for (int t = 0; t < a->tokens; t++) {
                float *row = a->dqkv + (size_t)(g * a->tokens + t) * 3 * (size_t)width;
                row[j] = row[width + j] = 0;
                row[2 * width + j] = sum;
            }
        }
}

static void make_linear(vitx_context *c)
{
    c->arch.act = VX_ACT_NONE;
    c->dev->ops.layernorm = plain_norm;
    c->dev->ops.layernorm_bwd = plain_norm_bwd;
    c->dev->ops.attention = plain_attention;
    c->dev->ops.attention_bwd = plain_attention_bwd;
}

START_TEST(test_integrated__linear_model_is_exact_by_every_rule)
{
    static const char *const words[] = {"steps=1",
                                        "steps=2",
                                        "steps=7",
                                        "steps=50",
                                        "rule=left steps=3",
                                        "rule=left steps=1",
                                        "rule=right",
                                        "rule=middle",
                                        "rule=trapezoid steps=2",
                                        "rule=trapezoid",
                                        "steps=9 baseline=white",
                                        "rule=left steps=4 baseline=noise seed=3",
                                        "baseline=blur steps=5 sigma=2"};
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 1, 1);
    ck_assert(s.c->dev->cls->host_memory); /* the operations of make_linear read it */
    make_linear(s.c);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        vitx_map_info info;
        vitx_map *map = explain(&s, "integrated-gradients", words[i], &info);
        const double change = info.value - info.base_value;
        ck_assert_msg(fabs(info.completeness_error) < 2e-6 * fabs(info.value), "%s: %g of %g",
                      words[i], info.completeness_error, change);
        ck_assert_double_gt(fabs(change), 1e-4 * fabs(info.value));
        vitx_map_free(map);
        if (!strstr(words[i], "baseline"))
            ck_assert_double_lt(
                difference(&s, "integrated-gradients", words[i], "input-x-grad", ""), 1e-6);
    }
    /* ... and the gradient is the same everywhere. */
    ck_assert_double_lt(
        difference(&s, "smoothgrad", "n=4 sigma=0.7 reduce=signed", "saliency", "reduce=signed"),
        1e-6);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ smoothgrad ------------- */

START_TEST(test_smoothgrad__without_noise_is_saliency)
{
    static const char *const reduce[] = {"reduce=max", "reduce=sum", "reduce=mean", "reduce=l2",
                                         "reduce=signed"};
    scene s = open_scene(folders[_i], "cpu", 1, 1);
    for (size_t i = 0; i < sizeof reduce / sizeof reduce[0]; i++) {
        char words[64];
        snprintf(words, sizeof words, "sigma=0 n=3 %s", reduce[i]);
        ck_assert_double_lt(difference(&s, "smoothgrad", words, "saliency", reduce[i]), 1e-5);
    }
    vitx_map_info info, raw;
    vitx_map *square = explain(&s, "smoothgrad", "sigma=0 n=2 kind=square", &info);
    vitx_map *plain = explain(&s, "saliency", "", &raw);
    for (size_t i = 0; i < count_of(&info); i++) {
        const double g = vitx_map_values(plain)[i];
        ck_assert_double_eq_tol(vitx_map_values(square)[i], g * g, 1e-5 * info.max);
    }
    vitx_map_free(square);
    vitx_map *var = explain(&s, "smoothgrad", "sigma=0 n=11 kind=var", &info);
    ck_assert_double_lt(info.max, 1e-9 * raw.max * raw.max);
    ck_assert_int_eq(info.forwards, 11);
    vitx_map_free(var);
    vitx_map_free(plain);
    check_zero(&s, "smoothgrad", "n=1 kind=var");
    close_scene(&s);
}
END_TEST

/* The gradient at x + deviation * noise of one sample, as doubles. */
static double *noisy_gradient(const scene *s, int target, double deviation, int seed, int sample)
{
    vitx_context *c = s->c;
    const size_t n = vx_context_input_count(c), k = (size_t)c->arch.classes;
    float *input = vx_variants_input(c, 0), *seeds = calloc(k, sizeof *seeds);
    double *out = malloc(n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        input[i] = (float)(c->act.host.input[i] +
                           deviation * vx_random_normal((uint64_t)seed, (uint64_t)sample, i));
    seeds[target] = 1;
    ck_ok(vx_variants_run_kept(c, 1));
    c->dev->cls->upload(c->dev, c->variants.plan.dlogits, seeds, k * sizeof *seeds);
    ck_ok(vx_variants_backward(c, 1));
    float *g = malloc(n * sizeof *g);
    ck_ok(vx_context_read(c, g, c->variants.plan.dinput, n * sizeof *g));
    for (size_t i = 0; i < n; i++)
        out[i] = g[i];
    free(g);
    free(seeds);
    return out;
}

/* All three kinds against sums in double over gradients made one at a time. */
START_TEST(test_smoothgrad__kinds_are_their_formulas)
{
    enum { N = 13, SEED = 77 };
    static const char *const words[] = {"kind=mean n=13 seed=77 sigma=0.3 reduce=signed",
                                        "kind=square n=13 seed=77 sigma=0.3 reduce=signed",
                                        "kind=var n=13 seed=77 sigma=0.3 reduce=signed"};
    scene s = open_scene("test/golden/models/deit-hf", _i ? "cpu" : "ref", 1, 1);
    vitx_map_info info;
    vitx_map *maps[3];
    for (int k = 0; k < 3; k++) {
        maps[k] = explain(&s, "smoothgrad", words[k], &info);
        ck_assert_int_eq(info.is_signed, k == 0);
    }
    const size_t n = vx_context_input_count(s.c), pixels = n / 3;
    double low = s.c->act.host.input[0], high = low, *sum = calloc(n, sizeof *sum),
           *squares = calloc(n, sizeof *squares), *expected = calloc(pixels, sizeof *expected);
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, s.c->act.host.input[i]);
        high = fmax(high, s.c->act.host.input[i]);
    }
    for (int v = 0; v < N; v++) {
        double *g = noisy_gradient(&s, info.target, 0.3 * (high - low), SEED, v);
        for (size_t i = 0; i < n; i++) {
            sum[i] += g[i] / N;
            squares[i] += g[i] * g[i] / N;
        }
        free(g);
    }
    for (int k = 0; k < 3; k++) {
        for (size_t p = 0; p < pixels; p++) {
            expected[p] = 0;
            for (size_t i = p; i < n; i += pixels)
                expected[p] += k == 0 ? sum[i] : k == 1 ? squares[i] : squares[i] - sum[i] * sum[i];
        }
        const double error = max_error_f32(vitx_map_values(maps[k]), expected, pixels);
        ck_assert_msg(error < 1e-5, "%s: error %g", words[k], error);
        vitx_map_free(maps[k]);
    }
    free(sum);
    free(squares);
    free(expected);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ one result ------------- */

/*
 * Noise is the same for any number of threads, pictures at once and variants at once. On the device
 * ref a picture's gradient is the same to the bit in any batch; on the cpu it moves by some 5e-7,
 * its square by twice that, the square of a difference of two by four times. Sums are rounded to
 * float after each run of variants: 6e-8 a time.
 */
START_TEST(test_pixels__do_not_depend_on_threads_and_batches)
{
    static const struct {
        const char *method, *words, *other;
        double tolerance;
    } rows[] = {{"smoothgrad", "n=11 kind=mean", "n=11 seed=1", 1e-6},
                {"smoothgrad", "n=11 kind=square", "n=11 kind=square seed=1", 2e-6},
                {"smoothgrad", "n=11 kind=var", "n=11 kind=var seed=1", 4e-6},
                {"integrated-gradients", "baseline=noise steps=11",
                 "baseline=noise steps=11 seed=1", 1e-6}};
    const bool ref = _i % 2 == 0;
    const char *device = ref ? "ref" : "cpu";
    const char *method = rows[_i / 2].method, *words = rows[_i / 2].words;
    scene one = open_scene("test/golden/models/vit-timm", device, 1, 1);
    vitx_map_info info;
    vitx_map *first = explain(&one, method, words, &info);
    vitx_map *seeded = explain(&one, method, rows[_i / 2].other, &info);
    ck_assert_double_gt(error_between(seeded, first, &info), 1e-2);
    for (int threads = 1; threads <= 3; threads++)
        for (int batch = 1; batch <= 8; batch += 7)
            for (int tight = 0; tight < 2; tight++) {
                scene s = open_scene("test/golden/models/vit-timm", device, threads, batch);
                if (tight) /* room for the gradients of one variant */
                    s.c->trace_budget = pixels_bytes(s.c, 1, 1) - pixels_bytes(s.c, 1, 0);
                ck_assert(!tight || vx_variants_at_once(s.c, to_pixels(s.c)) == 1);
                vitx_map *map = explain(&s, method, words, &info);
                const double error = error_between(map, first, &info);
                ck_assert_msg(error < rows[_i / 2].tolerance / (ref ? 2 : 1),
                              "%s: %s %s, %d threads, batch %d: %g", device, method, words, threads,
                              batch, error);
                vitx_map_free(map);
                close_scene(&s);
            }
    vitx_map_free(first);
    vitx_map_free(seeded);
    close_scene(&one);
}
END_TEST

START_TEST(test_pixels__devices_agree)
{
    scene ref = open_scene(folders[_i], "ref", 1, 1),
          cpu = open_scene(folders[_i], "cpu", THREADS, 1);
    for (int m = 0; m < METHODS; m++) {
        vitx_map_info info;
        vitx_map *a = explain(&ref, methods[m], few[m], &info);
        vitx_map *b = explain(&cpu, methods[m], few[m], &info);
        ck_assert_double_lt(error_between(b, a, &info), 1e-5);
        vitx_map_free(a);
        vitx_map_free(b);
    }
    close_scene(&ref);
    close_scene(&cpu);
}
END_TEST

/* Several methods, classes and scores of several pictures in one call: what single calls give. */
START_TEST(test_pixels__many_equals_one_by_one)
{
    enum { N = 3, M = 2 * METHODS };
    scene many = open_scene(folders[_i], "cpu", THREADS, 2),
          single = open_scene(folders[_i], "cpu", 1, 1);
    vitx_image *images[N];
    request q[M];
    vitx_explain_opts o[M];
    vitx_map *maps[N * M];
    for (int i = 0; i < N; i++)
        images[i] = picture_of((uint64_t)i + 5, 50 + i, 45);
    for (int j = 0; j < M; j++) {
        o[j] = *ask(&q[j], methods[j % METHODS], few[j % METHODS]);
        o[j].score = j < METHODS ? VITX_SCORE_AUTO : (vitx_score)(2 + j % 2);
        if (many.c->arch.units && o[j].score == VITX_SCORE_PROBABILITY)
            o[j].score = VITX_SCORE_LOGIT;
        o[j].target = j < METHODS ? VITX_AUTO : 1;
        o[j].versus = o[j].score == VITX_SCORE_DIFFERENCE ? 3 : VITX_AUTO;
    }
    ck_ok(vitx_explain_many(maps, many.c, (const vitx_image *const *)images, N, o, M));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            vitx_map *map;
            vitx_map_info info = VITX_MAP_INFO_INIT, other = VITX_MAP_INFO_INIT;
            ck_ok(vitx_explain(&map, single.c, images[i], &o[j]));
            ck_ok(vitx_map_get_info(&info, map));
            ck_ok(vitx_map_get_info(&other, maps[i * M + j]));
            ck_assert_int_eq(info.forwards, other.forwards);
            ck_assert_double_eq_tol(info.base_value, other.base_value, 1e-5);
            ck_assert_double_lt(error_between(maps[i * M + j], map, &info), 1e-5);
            vitx_map_free(map);
            vitx_map_free(maps[i * M + j]);
        }
    for (int i = 0; i < N; i++)
        vitx_image_free(images[i]);
    close_scene(&many);
    close_scene(&single);
}
END_TEST

/* ------------------------------------------------------------------ patches ---------------- */

START_TEST(test_pixels__grid_pools_whole_patches)
{
    scene s = open_scene(folders[_i], "cpu", 1, 1);
    const vx_arch *a = &s.c->arch;
    const int ph = a->patch_height, pw = a->patch_width;
    for (int m = 0; m < METHODS; m++)
        for (int sum = 0; sum < 2; sum++) {
            char words[64];
            vitx_map_info info, pooled;
            vitx_map *map = explain(&s, methods[m], few[m], &info);
            snprintf(words, sizeof words, "%s grid=%s", few[m], sum ? "sum" : "mean");
            vitx_map *grid = explain(&s, methods[m], words, &pooled);
            ck_assert_int_eq(info.shape[0], s.c->recipe.input_height);
            ck_assert_int_eq(info.shape[1], s.c->recipe.input_width);
            ck_assert_int_eq(pooled.shape[0], a->grid_height);
            ck_assert_int_eq(pooled.shape[1], a->grid_width);
            const double tolerance = 2e-6 * fmax(fabs(pooled.min), fabs(pooled.max));
            for (int gy = 0; gy < a->grid_height; gy++)
                for (int gx = 0; gx < a->grid_width; gx++) {
                    double v = 0;
                    for (int y = 0; y < ph; y++)
                        for (int x = 0; x < pw; x++)
                            v += vitx_map_values(map)[(gy * ph + y) * info.shape[1] + gx * pw + x];
                    ck_assert_double_eq_tol(vitx_map_values(grid)[gy * a->grid_width + gx],
                                            sum ? v : v / (ph * pw), tolerance);
                }
            ck_assert_double_eq_tol(pooled.completeness_error, info.completeness_error, 1e-6);
            vitx_map_free(map);
            vitx_map_free(grid);
        }
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ baselines -------------- */

START_TEST(test_baseline__scores_are_those_of_the_pictures)
{
    scene s = open_scene(folders[_i], "cpu", 1, 1);
    vitx_map_info info, direct;
    request q;
    vitx_image *black = picture_of(0, 61, 47), *other = picture_of(9, 61, 47), *mine = s.image;
    vitx_map *map = explain(&s, "integrated-gradients", "steps=1 baseline=black", &info);
    vitx_map_free(map);
    vitx_explain_opts *o = ask(&q, "saliency", "");
    o->target = info.target;
    s.image = black;
    vitx_map_free(explain_with(&s, o, &direct));
    if (s.c->recipe.resize !=
        VITX_RESIZE_WITHIN) { /* else what lies beside it has another colour */
        ck_assert_double_eq_tol(info.base_value, direct.value, 1e-5);
        check_zero(&s, "integrated-gradients", "steps=3 baseline=black");
    }
    s.image = other;
    vitx_map_free(explain_with(&s, o, &direct));
    s.image = mine;
    o = ask(&q, "integrated-gradients", "steps=2 baseline=picture");
    o->baseline = other;
    vitx_map_free(explain_with(&s, o, &info));
    ck_assert_double_eq_tol(info.base_value, direct.value, 1e-5);
    o->baseline = mine;
    map = explain_with(&s, o, &info);
    ck_assert(info.min == 0 && info.max == 0);
    ck_assert_double_eq_tol(info.base_value, info.value, 1e-5);
    vitx_map_free(map);
    check_zero(&s, "integrated-gradients", "steps=3 baseline=blur sigma=0");
    vitx_image_free(black);
    vitx_image_free(other);
    close_scene(&s);
}
END_TEST

/* x[plane, y, x], edges repeated. */
static double at_edge(const float *x, int h, int w, int y, int q)
{
    y = y < 0 ? 0 : y > h - 1 ? h - 1 : y;
    q = q < 0 ? 0 : q > w - 1 ? w - 1 : q;
    return x[y * w + q];
}

/* A Gaussian in two dimensions at once, of radius round(4 sigma). */
static double blurred(const float *x, int h, int w, int y, int q, double sigma)
{
    const int r = (int)(4 * sigma + 0.5);
    double sum = 0, weights = 0;
    for (int i = -r; i <= r; i++)
        for (int j = -r; j <= r; j++) {
            const double weight = exp(-(i * i + j * j) / (2 * sigma * sigma));
            sum += weight * at_edge(x, h, w, y + i, q + j);
            weights += weight;
        }
    return sum / weights;
}

START_TEST(test_baseline__values)
{
    scene s = open_scene("test/golden/models/vit-timm-oblong", _i ? "cpu" : "ref", _i ? 2 : 1, 1);
    vitx_map_info info;
    vitx_map *map = explain(&s, "saliency", "", &info);
    const vitx_recipe *r = &s.c->recipe;
    const int h = r->input_height, w = r->input_width;
    const size_t n = vx_context_input_count(s.c);
    float *out = malloc(n * sizeof *out);
    for (int kind = VX_BASELINE_MEAN; kind <= VX_BASELINE_NOISE; kind++) {
        const vx_baseline b = {(vx_baseline_kind)kind, 2.3, 5};
        ck_ok(vx_baseline_fill(out, &b, s.c, s.c->act.host.input));
        for (int c = 0; c < 3; c++) {
            const float *x = s.c->act.host.input + c * h * w, *y = out + c * h * w;
            double low = x[0], high = x[0], sum = 0;
            for (int i = 0; i < h * w; i++) {
                low = fmin(low, x[i]);
                high = fmax(high, x[i]);
            }
            for (int i = 0; i < h * w; i++) {
                sum += (y[i] - low) / (high - low) / (h * w);
                if (kind == VX_BASELINE_MEAN)
                    ck_assert_float_eq(y[i], 0);
                else if (kind == VX_BASELINE_BLUR)
                    ck_assert_double_eq_tol(y[i], blurred(x, h, w, i / w, i % w, 2.3), 1e-5);
                else if (kind == VX_BASELINE_NOISE)
                    ck_assert(y[i] >= low && y[i] <= high);
                else
                    ck_assert_double_eq_tol(
                        y[i], ((kind == VX_BASELINE_WHITE) - r->mean[c]) / r->std[c], 1e-6);
            }
            if (kind == VX_BASELINE_NOISE) /* 960 values: its standard deviation is 0.01 */
                ck_assert_double_eq_tol(sum, 0.5, 0.05);
        }
    }
    free(out);
    vitx_map_free(map);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ refusals --------------- */

START_TEST(test_pixels__bad_options)
{
    static const struct {
        const char *method, *words, *part;
    } rows[] = {
        {"smoothgrad", "n=0", "n=0: a whole number from 1 to 10000"},
        {"smoothgrad", "n=-3", "n=-3"},
        {"smoothgrad", "n=10001", "n=10001"},
        {"smoothgrad", "n=99999999999999", "n=99999999999999"},
        {"smoothgrad", "sigma=-0.1", "sigma=-0.1: a number from 0 to 10"},
        {"smoothgrad", "sigma=nan", "sigma=nan"},
        {"smoothgrad", "kind=max", "one of mean|square|var"},
        {"smoothgrad", "seed=-1", "seed=-1"},
        {"smoothgrad", "reduce=min", "one of max|sum|mean|l2|signed"},
        {"smoothgrad", "steps=3", "no option \"steps\""},
        {"integrated-gradients", "steps=0", "steps=0: a whole number from 1 to 10000"},
        {"integrated-gradients", "steps=1000000", "steps=1000000"},
        {"integrated-gradients", "steps=1 rule=trapezoid", "at least 2 steps"},
        {"integrated-gradients", "rule=simpson", "gauss-legendre|trapezoid"},
        {"integrated-gradients", "compat=zennit", "none|captum"},
        {"integrated-gradients", "baseline=grey", "mean|black|white|blur|noise|picture"},
        {"integrated-gradients", "baseline=picture", "no baseline picture is given"},
        {"integrated-gradients", "sigma=-1", "sigma=-1"},
        {"integrated-gradients", "sigma=257", "sigma=257"},
        {"integrated-gradients", "seed=2147483648", "seed=2147483648"},
        {"saliency", "grid=max", "one of none|mean|sum"},
        {"saliency", "reduce=", "reduce="},
        {"input-x-grad", "reduce=max", "no option \"reduce\""},
    };
    scene s = open_scene("test/golden/models/vit-hf", "cpu", 1, 1);
    request q;
    vitx_map *map;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_fails(vitx_explain(&map, s.c, s.image, ask(&q, rows[i].method, rows[i].words)),
                 VITX_INVALID, rows[i].part);
        ck_assert_ptr_null(map);
        ck_assert_ptr_null(strchr(vitx_last_error(), '\n'));
    }
    vitx_image *small = picture_of(3, 30, 20);
    for (int m = 0; m < METHODS; m++) {
        vitx_explain_opts *o = ask(&q, methods[m], few[m]);
        o->baseline = s.image;
        ck_fails(vitx_explain(&map, s.c, s.image, o), VITX_INVALID, "without baseline=picture");
        o->baseline = NULL;
        o->layer = 0;
        ck_fails(vitx_explain(&map, s.c, s.image, o), VITX_INVALID, "takes no layer");
    }
    vitx_explain_opts *o = ask(&q, "integrated-gradients", "baseline=picture");
    o->baseline = small;
    ck_fails(vitx_explain(&map, s.c, s.image, o), VITX_INVALID,
             "the baseline picture is 30 x 20 pixels, the explained one 61 x 47");
    vitx_image_free(small);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ process manners -------- */

typedef struct stop {
    int64_t at, last, total;
} stop;

static int stop_at(int64_t done, int64_t total, void *payload)
{
    stop *s = payload;
    ck_assert_int_eq(done, s->last + 1);
    s->last = done;
    s->total = total;
    return done == s->at;
}

/* The progress ends where it said it would, and a call cancelled anywhere harms nothing. */
START_TEST(test_pixels__progress_and_cancelling)
{
    for (int m = 0; m < METHODS; m++) {
        scene s = open_scene("test/golden/models/vit-timm", "cpu", 2, 1);
        stop watch = {0};
        request q;
        vitx_map_info info;
        s.c->progress = stop_at;
        s.c->progress_payload = &watch;
        vitx_map *map, *whole = explain(&s, methods[m], few[m], &info);
        ck_assert_int_eq(watch.last, watch.total);
        const int64_t total = watch.total;
        ck_assert_int_ge(total, m < 2 ? 6 : 9);
        for (int64_t at = 1; at <= total; at++) {
            watch = (stop){.at = at};
            ck_fails(vitx_explain(&map, s.c, s.image, ask(&q, methods[m], few[m])), VITX_CANCELLED,
                     "cancelled");
            ck_assert_ptr_null(map);
            ck_assert_int_eq(watch.last, at);
        }
        watch = (stop){0};
        map = explain(&s, methods[m], few[m], &info);
        ck_assert_double_lt(error_between(map, whole, &info), 1e-7);
        vitx_map_free(map);
        vitx_map_free(whole);
        close_scene(&s);
    }
}
END_TEST

static const char *const hungry[] = {"grid=sum", "grid=mean", "n=2 kind=var grid=mean",
                                     "steps=9 grid=sum baseline=blur"};

/* All four at once, with everything that is allocated for them. */
static int whole_way(const vitx_hooks *hooks, const char *device)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = NULL;
    vitx_map *maps[METHODS] = {NULL};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    request q[METHODS];
    vitx_explain_opts o[METHODS];
    mo.hooks = hooks;
    co.device = device;
    co.threads = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    for (int m = 0; m < METHODS; m++)
        o[m] = *ask(&q[m], methods[m], hungry[m]);
    int status = vitx_model_open(&model, "test/golden/models/vit-hf", &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_explain_many(maps, c, (const vitx_image *const[]){image}, 1, o, METHODS);
    for (int m = 0; m < METHODS; m++)
        vitx_map_free(maps[m]);
    vitx_context_free(c);
    vitx_model_free(model);
    vitx_image_free(image);
    return status;
}

START_TEST(test_pixels__every_allocation_may_fail)
{
    const char *device = _i ? "cpu" : "ref";
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(whole_way(&hooks, device));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    for (int n = 0; n < needed; n++) {
        r = (ration){.left = n};
        const int status = whole_way(&hooks, device);
        ck_assert_msg(status == VITX_NOMEM, "with %d allocations: %s, %s", n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

/* More samples and steps take more time, not more memory; later calls allocate their map alone. */
START_TEST(test_pixels__memory_does_not_grow_with_samples)
{
    static const char *const more[] = {"", "", "n=25 kind=var", "steps=50"}, *const most[] = {
                                                                                 "", "",
                                                                                 "n=9999 kind=var",
                                                                                 "steps=9999"};
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    mo.hooks = &hooks;
    scene s;
    request q;
    vitx_map *map;
    ck_ok(vitx_model_open(&s.model, "test/golden/models/vit-timm", &mo));
    ck_ok(vitx_context_create(&s.c, s.model, NULL));
    ck_ok(vitx_image_open(&s.image, "test/golden/models/picture.png"));
    for (int m = 0; m < METHODS; m++) {
        size_t bytes, many;
        ck_ok(vitx_explain_bytes(&bytes, s.c, ask(&q, methods[m], more[m]), 1));
        ck_ok(vitx_explain_bytes(&many, s.c, ask(&q, methods[m], most[m]), 1));
        ck_assert_uint_eq(bytes, many);
        ck_ok(vitx_explain(&map, s.c, s.image, ask(&q, methods[m], more[m])));
        vitx_map_free(map);
        const int calls = r.calls;
        ck_ok(vitx_explain(&map, s.c, s.image, ask(&q, methods[m], more[m])));
        vitx_map_free(map);
        ck_assert_int_eq(r.calls, calls + 2);
    }
    close_scene(&s);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

/* Beside a method that runs many variants forward, one with gradients keeps no more than its
 * own. */
START_TEST(test_variants__gradients_of_some)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 1, 1);
    const size_t none = pixels_bytes(s.c, 8, 0), two = pixels_bytes(s.c, 8, 2);
    ck_assert_uint_eq(pixels_bytes(s.c, 2, 2) - pixels_bytes(s.c, 2, 0), two - none);
    ck_assert_uint_lt(two, pixels_bytes(s.c, 8, 8));
    ck_ok(vx_variants_reserve(s.c, 8, 2, to_pixels(s.c)));
    ck_assert_int_eq(s.c->variants.capacity, 8);
    ck_assert_int_eq(s.c->variants.planned, 2);
    ck_assert_uint_eq(s.c->variants.trace.bytes, two - none);
    close_scene(&s);
}
END_TEST

/* Variants record what the plan says and no more: the gradient of one block's tokens is that of a
 * pass over the same picture, in less memory than the gradient down to the pixels. */
START_TEST(test_variants__a_plan_of_their_own)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 1, 1);
    vitx_context *c = s.c;
    const int last = c->arch.depth - 1;
    const size_t inputs = vx_context_input_count(c), classes = (size_t)c->arch.classes;
    const size_t floats = (size_t)vx_arch_tokens(&c->arch) * (size_t)c->arch.width;
    const size_t pixels = pixels_bytes(c, 2, 2);
    vx_plan *need = &c->variants.need;
    float *seeds = calloc(2 * classes, sizeof *seeds), *got = malloc(2 * floats * sizeof *got);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    vx_plan_clear(need);
    need->targets = 1;
    vx_plan_need_dtokens(need, last, VX_AT_NORM1);
    ck_assert_uint_lt(vx_variants_bytes(c, 2, 2, need), pixels);
    ck_assert_uint_gt(vx_variants_bytes(c, 2, 2, need), vx_variants_bytes(c, 2, 0, NULL));

    trace.gradients = VITX_GRADIENT_NORM1;
    trace.targets = 1;
    trace.layers = &last;
    trace.layer_count = 1;
    seeds[1] = seeds[classes + 1] = 1;
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_ok(vitx_forward(c, (const vitx_image *const *)&s.image, 1));
    ck_ok(vitx_backward(c, seeds));
    ck_ok(vitx_tokens_gradient(&view, c, last, VITX_AT_NORM1));

    ck_ok(vx_variants_reserve(c, 2, 2, need));
    for (int v = 0; v < 2; v++)
        memcpy(vx_variants_input(c, v), c->act.host.input, inputs * sizeof(float));
    vx_context_begin(c, 1000000);
    ck_ok(vx_variants_run_kept(c, 2));
    const vx_plan *plan = &c->variants.plan;
    c->dev->cls->upload(c->dev, plan->dlogits, seeds, 2 * classes * sizeof *seeds);
    ck_ok(vx_variants_backward(c, 2));
    ck_assert_ptr_null(plan->dinput);
    ck_ok(
        vx_context_read(c, got, plan->blocks[last].dtokens[VX_AT_NORM1], 2 * floats * sizeof *got));
    for (int v = 0; v < 2; v++)
        ck_assert_double_le(max_error_ff(got + (size_t)v * floats, view.data, floats), TOL_KERNEL);
    free(seeds);
    free(got);
    close_scene(&s);
}
END_TEST

static Suite *pixels_suite(void)
{
    Suite *suite = suite_create("pixels");
    TCase *tcase = tcase_create("pixels");
    folder_count = fewer_folders(folders, model_folders(folders));
    if (SANITIZED_THREADS) /* of two models what all tell */
        folder_count = 2;
    tcase_add_loop_test(tcase, test_integrated__is_complete, 0, 3);
    tcase_add_test(tcase, test_integrated__rules_are_related);
    tcase_add_test(tcase, test_integrated__linear_model_is_exact_by_every_rule);
    tcase_add_loop_test(tcase, test_smoothgrad__without_noise_is_saliency, 0, folder_count);
    tcase_add_loop_test(tcase, test_smoothgrad__kinds_are_their_formulas, 0, 2);
    tcase_add_loop_test(tcase, test_pixels__do_not_depend_on_threads_and_batches, 0,
                        SANITIZED_THREADS ? 2 : 8);
    tcase_add_loop_test(tcase, test_pixels__devices_agree, 0, folder_count);
    tcase_add_loop_test(tcase, test_pixels__many_equals_one_by_one, 0, folder_count);
    tcase_add_loop_test(tcase, test_pixels__grid_pools_whole_patches, 0, folder_count);
    tcase_add_loop_test(tcase, test_baseline__scores_are_those_of_the_pictures, 0, folder_count);
    tcase_add_loop_test(tcase, test_baseline__values, 0, 2);
    tcase_add_test(tcase, test_pixels__bad_options);
    tcase_add_test(tcase, test_pixels__progress_and_cancelling);
    tcase_add_loop_test(tcase, test_pixels__every_allocation_may_fail, 0, 2);
    tcase_add_test(tcase, test_pixels__memory_does_not_grow_with_samples);
    tcase_add_test(tcase, test_variants__gradients_of_some);
    tcase_add_test(tcase, test_variants__a_plan_of_their_own);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(pixels_suite)
