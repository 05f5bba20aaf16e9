/*
 * test_perturb.c: methods that take patches away: occlusion, rise, lime, kernelshap, and the
 * regression behind two of them. What PyTorch makes of the same is in test/golden/methods.
 * VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/context.h"
#include "explain/regress.h"
#include "util.h"

/* Rounding in the scores, which differ in how many tokens ran beside them: of the largest value. */
#define TOL_ALIKE 1e-5

static const char *const methods[] = {"occlusion", "rise", "lime", "kernelshap"};
enum { METHODS = sizeof methods / sizeof methods[0] };

/* ------------------------------------------------------------------ models and pictures ---- */

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image; /* of the size of the model's input, taken as it is */
} bench;

static vitx_image *image_of(const uint8_t *rgb, const vitx_context *c)
{
    vitx_image *image;
    ck_ok(vitx_image_from_rgb(&image, rgb, c->recipe.input_width, c->recipe.input_height, 0, NULL));
    return image;
}

/* Random bytes; patch `flat` of the grid, where there is one, is of the value `level`. */
static vitx_image *noise(const vitx_context *c, int flat, int level)
{
    const int h = c->recipe.input_height, w = c->recipe.input_width;
    const vx_arch *a = &c->arch;
    uint8_t *rgb = malloc((size_t)(3 * h * w));
    rng r = {7};
    for (int i = 0; i < 3 * h * w; i++) {
        const int y = i / 3 / w / a->patch_height, x = i / 3 % w / a->patch_width;
        const int value = rng_int(&r, 0, 255);
        rgb[i] = (uint8_t)(y * a->grid_width + x == flat ? level : value);
    }
    vitx_image *image = image_of(rgb, c);
    free(rgb);
    return image;
}

static vitx_context *context_of(vitx_model *model, const char *device, int threads, int batch)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = threads;
    o.max_batch = batch;
    o.fit = VITX_FIT_SQUASH;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static bench open_bench(const char *name)
{
    bench b;
    char path[128];
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(&b.model, path, NULL));
    b.c = context_of(b.model, "cpu", 1, 1);
    b.image = noise(b.c, -1, 0);
    return b;
}

static void close_bench(bench *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

typedef struct request {
    vitx_explain_opts o;
    char text[8][40];
    const char *set[8];
} request;

/* "lime n=20 remove=drop" -> a request; it points into itself. */
static void ask(request *r, const char *line)
{
    static const char *const names[] = {"occlusion", "rise", "lime", "kernelshap"};
    char copy[256];
    vitx_explain_opts_init(&r->o, sizeof r->o);
    r->o.target = 3;
    r->o.set = r->set;
    snprintf(copy, sizeof copy, "%s", line);
    char *word = strtok(copy, " ");
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(names[i], word) == 0)
            r->o.method = names[i];
    while ((word = strtok(NULL, " "))) {
        ck_assert_int_lt(r->o.set_count, 8);
        snprintf(r->text[r->o.set_count], sizeof r->text[0], "%s", word);
        r->set[r->o.set_count] = r->text[r->o.set_count];
        r->o.set_count++;
    }
}

static vitx_map *explain(vitx_context *c, const vitx_image *image, const char *line)
{
    request r;
    vitx_map *map;
    ask(&r, line);
    const int status = vitx_explain(&map, c, image, &r.o);
    ck_assert_msg(status == VITX_OK, "%s: %s", line, vitx_last_error());
    return map;
}

static vitx_map_info info_of(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    return info;
}

static size_t count_of(const vitx_map *map)
{
    const vitx_map_info info = info_of(map);
    return (size_t)(info.shape[0] * info.shape[1]);
}

/* The logit of class 3 of the picture with the patches black whose bit of `kept` is 0: pixels
 * blackened, and the whole network run on them. */
static double answer(vitx_context *c, const vitx_image *image, uint64_t kept)
{
    const vx_arch *a = &c->arch;
    const int h = c->recipe.input_height, w = c->recipe.input_width;
    uint8_t *rgb = malloc((size_t)(3 * h * w));
    for (int i = 0; i < 3 * h * w; i++) {
        const int p = i / 3 / w / a->patch_height * a->grid_width + i / 3 % w / a->patch_width;
        rgb[i] = kept >> p & 1 ? vitx_image_pixels(image)[i] : 0;
    }
    vitx_image *changed = image_of(rgb, c);
    vitx_view logits;
    ck_ok(vitx_forward(c, (const vitx_image *const[]){changed}, 1));
    ck_ok(vitx_logits(&logits, c));
    const double out = (double)((const float *)logits.data)[3];
    vitx_image_free(changed);
    free(rgb);
    return out;
}

/* ------------------------------------------------------------------ regression ------------- */

enum { N = 6 };

static const double truth[N] = {1.5, -2, 0, 0.25, 3, -0.75};

static double line_of(const unsigned char *z)
{
    double y = 0.7;
    for (int i = 0; i < N; i++)
        y += z[i] * truth[i];
    return y;
}

/* Set number s of all. */
static void spell(unsigned char *z, int s)
{
    for (int i = 0; i < N; i++)
        z[i] = s >> i & 1;
}

/* All sets with weight 1: the centred gram is 2^N/4 times the identity, so the penalty shrinks
 * every coefficient alike. */
START_TEST(test_regress__ridge_shrinks_a_linear_function)
{
    static const double alphas[] = {1e-9, 1, 16};
    vitx_hooks hooks;
    unsigned char z[N];
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    for (int k = 0; k < 3; k++) {
        vx_regress r;
        double beta[N];
        ck_ok(vx_regress_create(&r, N, &hooks));
        for (int s = 0; s < 1 << N; s++) {
            spell(z, s);
            vx_regress_add(&r, z, 1, line_of(z));
        }
        ck_ok(vx_regress_ridge(&r, alphas[k], beta));
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol(beta[i], truth[i] * 16 / (16 + alphas[k]), 1e-12);
        vx_regress_dispose(&r);
    }
}
END_TEST

typedef struct sample {
    unsigned char z[N];
    double w, y;
} sample;

static void draw_samples(sample *s, int n, uint64_t seed)
{
    rng r = {seed};
    for (int k = 0; k < n; k++) {
        spell(s[k].z, rng_int(&r, 0, (1 << N) - 1));
        s[k].w = (double)rng_float(&r, 0.1f, 2);
        s[k].y = line_of(s[k].z) + (double)rng_normal(&r);
    }
}

/* At the minimum the derivatives of the penalised squares are 0, also that by the intercept. */
START_TEST(test_regress__ridge_is_at_the_minimum)
{
    enum { SAMPLES = 40 };
    const double alpha = 0.6;
    sample s[SAMPLES];
    vitx_hooks hooks;
    vx_regress r;
    double beta[N], weight = 0, intercept = 0, slope[N];
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_regress_create(&r, N, &hooks));
    draw_samples(s, SAMPLES, 3);
    for (int k = 0; k < SAMPLES; k++)
        vx_regress_add(&r, s[k].z, s[k].w, s[k].y);
    ck_ok(vx_regress_ridge(&r, alpha, beta));
    for (int k = 0; k < SAMPLES; k++) {
        double fit = 0;
        for (int i = 0; i < N; i++)
            fit += beta[i] * s[k].z[i];
        intercept += s[k].w * (s[k].y - fit);
        weight += s[k].w;
    }
    intercept /= weight;
    for (int i = 0; i < N; i++)
        slope[i] = alpha * beta[i];
    for (int k = 0; k < SAMPLES; k++) {
        double rest = s[k].y - intercept;
        for (int i = 0; i < N; i++)
            rest -= beta[i] * s[k].z[i];
        for (int i = 0; i < N; i++)
            slope[i] -= s[k].w * rest * s[k].z[i];
    }
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(slope[i], 0, 1e-11);
    vx_regress_dispose(&r);
}
END_TEST

/* The sum holds, and along it the derivatives are all the same. */
START_TEST(test_regress__sum_is_kept)
{
    enum { SAMPLES = 40 };
    sample s[SAMPLES];
    vitx_hooks hooks;
    vx_regress r;
    double beta[N], sum = 0, slope[N] = {0};
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_regress_create(&r, N, &hooks));
    draw_samples(s, SAMPLES, 4);
    for (int k = 0; k < SAMPLES; k++)
        vx_regress_add(&r, s[k].z, s[k].w, s[k].y);
    ck_ok(vx_regress_with_sum(&r, 5.5, beta));
    for (int i = 0; i < N; i++)
        sum += beta[i];
    ck_assert_double_eq_tol(sum, 5.5, 1e-13);
    for (int k = 0; k < SAMPLES; k++) {
        double rest = s[k].y;
        for (int i = 0; i < N; i++)
            rest -= beta[i] * s[k].z[i];
        for (int i = 0; i < N; i++)
            slope[i] += s[k].w * rest * s[k].z[i];
    }
    for (int i = 1; i < N; i++)
        ck_assert_double_eq_tol(slope[i], slope[0], 1e-11);
    vx_regress_dispose(&r);
}
END_TEST

START_TEST(test_regress__too_few_samples_are_refused)
{
    vitx_hooks hooks;
    vx_regress r;
    double beta[N];
    const unsigned char one[N] = {1, 1, 0, 0, 0, 0}, two[N] = {0, 1, 1, 0, 1, 1};
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_regress_create(&r, N, &hooks));
    for (int k = 0; k < 20; k++)
        vx_regress_add(&r, k % 2 ? one : two, 1, 1);
    ck_fails(vx_regress_with_sum(&r, 1, beta), VITX_INVALID, "take more");
    vx_regress_dispose(&r);
}
END_TEST

/* ------------------------------------------------------------------ occlusion -------------- */

/* Against pixels blackened and the whole network run on them, window by window. */
START_TEST(test_occlusion__windows_are_averaged)
{
    static const struct {
        int window, stride;
    } rows[] = {{1, 1}, {2, 1}, {2, 2}, {3, 2}};
    bench b = open_bench("vit-timm-oblong");
    const int gh = b.c->arch.grid_height, gw = b.c->arch.grid_width, all = gh * gw;
    const int window = rows[_i].window, stride = rows[_i].stride;
    double lost[64] = {0}, covered[64] = {0}, expected[64];
    ck_assert_int_le(all, 64);
    ck_assert_int_ne(gh, gw);
    const double whole = answer(b.c, b.image, ~(uint64_t)0);
    int windows = 0;
    for (int top = 0; top == 0 || top + window < gh + stride; top += stride)
        for (int left = 0; left == 0 || left + window < gw + stride; left += stride, windows++) {
            uint64_t kept = ~(uint64_t)0;
            for (int p = 0; p < all; p++)
                if (p / gw >= top && p / gw < top + window && p % gw >= left &&
                    p % gw < left + window)
                    kept &= ~((uint64_t)1 << p);
            const double loss = whole - answer(b.c, b.image, kept);
            for (int p = 0; p < all; p++)
                if (!(kept >> p & 1)) {
                    lost[p] += loss;
                    covered[p]++;
                }
        }
    for (int p = 0; p < all; p++)
        expected[p] = lost[p] / covered[p];
    char line[64];
    snprintf(line, sizeof line, "occlusion remove=black window=%d stride=%d", window, stride);
    vitx_map *map = explain(b.c, b.image, line);
    ck_assert_int_eq(info_of(map).forwards, windows);
    ck_assert_double_lt(max_error_f32(vitx_map_values(map), expected, (size_t)all), TOL_ALIKE);
    vitx_map_free(map);
    close_bench(&b);
}
END_TEST

/* A patch that shows the fill already loses nothing. */
START_TEST(test_occlusion__of_what_is_not_there)
{
    bench b = open_bench("vit-timm");
    static const char *const lines[] = {"occlusion remove=black", "occlusion remove=white"};
    for (int k = 0; k < 2; k++) {
        vitx_image *image = noise(b.c, 7, k ? 255 : 0);
        vitx_map *map = explain(b.c, image, lines[k]);
        const float *v = vitx_map_values(map);
        float most = 0;
        for (size_t p = 0; p < count_of(map); p++)
            most = fmaxf(most, fabsf(v[p]));
        ck_assert_float_gt(most, 0.01f);
        ck_assert_float_eq_tol(v[7], 0, 1e-6f * most + 2e-6f);
        vitx_map_free(map);
        vitx_image_free(image);
    }
    close_bench(&b);
}
END_TEST

/* Without any patches a model that pools the mean answers with its head's bias and what fc_norm
 * adds. */
START_TEST(test_drop__of_all_patches)
{
    bench b = open_bench("vit-timm-2x2-avg");
    const vx_weights *w = b.c->weights;
    double nothing = w->head.bias ? (double)w->head.bias[3] : 0;
    ck_assert_ptr_nonnull(w->fc_norm_b);
    for (int d = 0; d < b.c->arch.width; d++)
        nothing += (double)w->fc_norm_b[d] *
                   (double)((const float *)w->head.data)[3 * b.c->arch.width + d];
    vitx_map *map = explain(b.c, b.image, "occlusion window=2 remove=drop");
    const vitx_map_info info = info_of(map);
    ck_assert_int_eq(info.forwards, 0);
    for (int p = 0; p < 4; p++)
        ck_assert_double_eq_tol((double)vitx_map_values(map)[p], info.value - nothing, 1e-5);
    vitx_map_free(map);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ Shapley values --------- */

/* By their definition, from the network's answers to all sets of patches, blackened pixel by
 * pixel. */
START_TEST(test_kernelshap__is_exact_where_all_sets_fit)
{
    static const char *const models[] = {"vit-timm-2x2-avg", "vit-timm-3x3"};
    static const char *const lines[] = {"kernelshap remove=black",
                                        "kernelshap remove=black n=100000"};
    bench b = open_bench(models[_i / 2]);
    const int all = b.c->arch.grid_height * b.c->arch.grid_width, sets = 1 << all;
    double v[512], phi[9] = {0}, factorial[10] = {1};
    for (int k = 1; k <= all; k++)
        factorial[k] = k * factorial[k - 1];
    for (int s = 0; s < sets; s++)
        v[s] = answer(b.c, b.image, (uint64_t)s);
    for (int s = 0; s < sets; s++) {
        int size = 0;
        for (int p = 0; p < all; p++)
            size += s >> p & 1;
        for (int p = 0; p < all; p++)
            if (!(s >> p & 1))
                phi[p] += factorial[size] * factorial[all - size - 1] / factorial[all] *
                          (v[s | 1 << p] - v[s]);
    }
    vitx_map *map = explain(b.c, b.image, lines[_i % 2]);
    const vitx_map_info info = info_of(map);
    ck_assert_double_lt(max_error_f32(vitx_map_values(map), phi, (size_t)all), TOL_ALIKE);
    ck_assert_int_eq(info.forwards, sets - 1); /* all but the picture itself */
    ck_assert_double_eq_tol(info.base_value, v[0], 1e-5);
    ck_assert_double_eq_tol(info.value, v[sets - 1], 1e-5);
    vitx_map_free(map);
    close_bench(&b);
}
END_TEST

/* The values add up however few the samples are, and come near the exact ones. */
START_TEST(test_kernelshap__adds_up)
{
    static const char *const samples[] = {"n=18", "n=19", "n=100", "n=400", "n=510"};
    static const char *const removals[] = {"mean", "drop"};
    bench b = open_bench("vit-timm-3x3");
    for (int k = 0; k < 2; k++) {
        float exact[9];
        for (int n = 4; n >= 0; n--) {
            char line[64];
            snprintf(line, sizeof line, "kernelshap remove=%s %s", removals[k], samples[n]);
            vitx_map *map = explain(b.c, b.image, line);
            const vitx_map_info info = info_of(map);
            const float *v = vitx_map_values(map);
            double sum = 0;
            for (int p = 0; p < 9; p++)
                sum += (double)v[p];
            ck_assert_double_eq_tol(sum, info.value - info.base_value, 1e-6);
            ck_assert_double_eq_tol(info.completeness_error, sum - (info.value - info.base_value),
                                    1e-12);
            ck_assert_int_eq(info.forwards, atoi(samples[n] + 2) + 1);
            if (n == 4)
                memcpy(exact, v, sizeof exact);
            if (n == 3)
                ck_assert_double_lt(max_error_ff(v, exact, 9), 0.1);
            vitx_map_free(map);
        }
    }
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ equal patches ---------- */

/* Patches that cannot be told apart, all of one colour and none with a position, are worth the
 * same. */
START_TEST(test_methods__equal_patches_are_worth_the_same)
{
    static const char *const lines[] = {"kernelshap remove=drop", "kernelshap remove=black",
                                        "occlusion remove=drop", "occlusion"};
    bench b = open_bench("vit-timm-3x3");
    const vx_arch *a = &b.c->arch;
    const size_t bytes = (size_t)(3 * b.c->recipe.input_height * b.c->recipe.input_width);
    uint8_t *rgb = malloc(bytes);
    memset(rgb, 90, bytes);
    vitx_image *flat = image_of(rgb, b.c);
    /* The weights are this test's own. */
    memset((void *)(uintptr_t)b.c->weights->pos, 0, (size_t)(9 * a->width) * sizeof(float));
    vitx_map *map = explain(b.c, flat, lines[_i]);
    const float *v = vitx_map_values(map);
    ck_assert_float_gt(fabsf(v[0]), 1e-4f);
    for (int p = 1; p < 9; p++)
        ck_assert_float_eq_tol(v[p], v[0], 3e-6f);
    vitx_map_free(map);
    vitx_image_free(flat);
    free(rgb);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ masks ------------------ */

/* A model that gives all classes the same probability makes rise the mean of its masks over p: 1 up
 * to their deviation. `own`: that of one mask at one place, of which p (1-p) is the most. */
START_TEST(test_rise__masks_have_the_mean_that_they_should)
{
    enum { MASKS = 2000 };
    static const char *const shares[] = {"0.1", "0.3", "0.5", "0.9"};
    static const char *const ways[] = {"", "remove=drop", "remove=drop cells=3", "cells=20"};
    bench b = open_bench("vit-timm");
    const vx_weight *head = &b.c->weights->head;
    memset((void *)(uintptr_t)head->data, 0, head->packing->bytes(head->n, head->k));
    if (head->bias)
        memset((void *)(uintptr_t)head->bias, 0, (size_t)head->n * sizeof(float));
    char line[96];
    snprintf(line, sizeof line, "rise n=%d p=%s %s", MASKS, shares[_i / 4], ways[_i % 4]);
    vitx_map *map = explain(b.c, b.image, line);
    const vitx_map_info info = info_of(map);
    const bool drop = strstr(line, "drop");
    ck_assert_int_eq(info.shape[0], drop ? b.c->arch.grid_height : b.c->recipe.input_height);
    ck_assert_int_eq(info.shape[1], drop ? b.c->arch.grid_width : b.c->recipe.input_width);
    const double p = atof(shares[_i / 4]), own = sqrt(p * (1 - p) / MASKS) / p;
    double mean = 0;
    for (size_t i = 0; i < count_of(map); i++) {
        const double v = (double)vitx_map_values(map)[i] * head->n;
        ck_assert_msg(fabs(v - 1) < 5 * own, "%s: %g at %d", line, v, (int)i);
        mean += v / (double)count_of(map);
    }
    ck_assert_msg(fabs(mean - 1) < 4 * own, "%s: mean %g", line, mean);
    ck_assert_double_gt(fabs(mean - 1), 0);
    vitx_map_free(map);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ the same everywhere ---- */

static const char *const lines[] = {"occlusion",
                                    "occlusion window=2 remove=drop",
                                    "rise n=30 cells=4 grid=mean",
                                    "rise n=30 remove=drop",
                                    "lime n=40 remove=blur",
                                    "lime n=40 remove=drop",
                                    "kernelshap n=90",
                                    "kernelshap n=90 remove=drop"};
enum { LINES = sizeof lines / sizeof lines[0] };

START_TEST(test_methods__do_not_depend_on_threads_and_batch)
{
    static const struct {
        const char *device;
        int threads, batch;
    } others[] = {{"cpu", 2, 1}, {"cpu", 3, 1}, {"cpu", 1, 3}, {"cpu", 2, 11}, {"ref", 1, 1}};
    static const char *const models[] = {"vit-timm", "vit-timm-no-class-token"};
    bench b = open_bench(models[_i]);
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        vitx_context *other =
            context_of(b.model, others[k].device, others[k].threads, others[k].batch);
        for (int l = 0; l < LINES; l++) {
            vitx_map *one = explain(b.c, b.image, lines[l]),
                     *two = explain(other, b.image, lines[l]);
            const double error =
                max_error_ff(vitx_map_values(two), vitx_map_values(one), count_of(one));
            ck_assert_msg(error < TOL_ALIKE, "%s on %s, %d threads, batch %d: %g", lines[l],
                          others[k].device, others[k].threads, others[k].batch, error);
            ck_assert_int_eq(info_of(one).forwards, info_of(two).forwards);
            vitx_map_free(one);
            vitx_map_free(two);
        }
        vitx_context_free(other);
    }
    close_bench(&b);
}
END_TEST

START_TEST(test_methods__seeds)
{
    bench b = open_bench("vit-timm");
    for (int l = 2; l < LINES; l++) {
        char line[96];
        vitx_map *map[4];
        for (int k = 0; k < 4; k++) {
            snprintf(line, sizeof line, "%s seed=%d", lines[l], k / 2 * 5);
            map[k] = explain(b.c, b.image, line);
        }
        const size_t n = count_of(map[0]);
        const float *zero = vitx_map_values(map[0]), *five = vitx_map_values(map[2]);
        ck_assert_int_eq(memcmp(zero, vitx_map_values(map[1]), n * sizeof *zero), 0);
        ck_assert_int_eq(memcmp(five, vitx_map_values(map[3]), n * sizeof *zero), 0);
        ck_assert_msg(max_error_ff(zero, five, n) > 1e-3, "%s: the seed changes nothing", line);
        for (int k = 0; k < 4; k++)
            vitx_map_free(map[k]);
    }
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ requests --------------- */

START_TEST(test_methods__bad_options)
{
    static const struct {
        const char *line, *part;
    } rows[] = {{"occlusion window=0", "window=0"},
                {"occlusion window=6", "5 x 5 patches"},
                {"occlusion window=99999999999", "window=99999999999"},
                {"occlusion window=2 stride=3", "stride=3"},
                {"occlusion stride=0", "stride=0"},
                {"occlusion remove=red", "mean|black|white|blur|drop"},
                {"occlusion sigma=-1", "sigma=-1"},
                {"rise n=0", "n=0"},
                {"rise n=2000000000", "n=2000000000"},
                {"rise p=0", "p=0"},
                {"rise p=1", "p=1"},
                {"rise p=-0.5", "p=-0.5"},
                {"rise p=nan", "p=nan"},
                {"rise cells=0", "cells=0"},
                {"rise cells=1000", "from 1 to 64"},
                {"rise seed=-1", "seed=-1"},
                {"rise grid=max", "none|mean|sum"},
                {"lime n=0", "n=0"},
                {"lime n=1", "from 2"},
                {"lime n=-5", "n=-5"},
                {"lime n=1e3", "n=1e3"},
                {"lime alpha=0", "alpha=0"},
                {"lime kernel=0", "kernel=0"},
                {"kernelshap n=0", "n=0"},
                {"kernelshap n=49", "at least 50"},
                {"kernelshap n=many", "n=many"},
                {"kernelshap n=2147483648", "n=2147483648"}};
    bench b = open_bench("vit-timm");
    ck_assert_int_eq(b.c->arch.grid_height, 5);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        request r;
        vitx_map *map;
        ask(&r, rows[i].line);
        ck_fails(vitx_explain(&map, b.c, b.image, &r.o), VITX_INVALID, rows[i].part);
        ck_assert_ptr_null(map);
        ck_assert_ptr_null(strchr(vitx_last_error(), '\n'));
    }
    close_bench(&b);
}
END_TEST

typedef struct stopper {
    int64_t half, total, done;
} stopper;

static int stop(int64_t done, int64_t total, void *payload)
{
    stopper *s = payload;
    s->total = total;
    s->done = done;
    return s->half && done >= s->half;
}

START_TEST(test_methods__are_cancelled_in_the_middle)
{
    bench b = open_bench("vit-timm");
    stopper s = {0, 0, 0};
    b.c->progress = stop;
    b.c->progress_payload = &s;
    for (int l = 0; l < LINES; l++) {
        request r;
        vitx_map *map, *again;
        s = (stopper){0, 0, 0};
        map = explain(b.c, b.image, lines[l]);
        ck_assert_int_eq(s.done, s.total);
        s.half = s.total / 2;
        ask(&r, lines[l]);
        vitx_map *none;
        ck_fails(vitx_explain(&none, b.c, b.image, &r.o), VITX_CANCELLED, "cancelled");
        ck_assert_ptr_null(none);
        s.half = 0;
        again = explain(b.c, b.image, lines[l]);
        ck_assert_int_eq(
            memcmp(vitx_map_values(map), vitx_map_values(again), count_of(map) * sizeof(float)), 0);
        vitx_map_free(map);
        vitx_map_free(again);
    }
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ memory ----------------- */

typedef struct metered {
    int left, calls; /* left < 0: no limit */
    size_t live, most;
} metered;

static void *metered_alloc(size_t bytes, void *payload)
{
    metered *r = payload;
    r->calls++;
    if (r->left == 0)
        return NULL;
    r->left -= r->left > 0;
    char *block = malloc(bytes + 64); /* 64 keeps what malloc aligns to */
    memcpy(block, &bytes, sizeof bytes);
    r->live += bytes;
    r->most = r->live > r->most ? r->live : r->most;
    return block + 64;
}

static void metered_release(void *memory, void *payload)
{
    size_t bytes;
    if (!memory)
        return;
    memcpy(&bytes, (char *)memory - 64, sizeof bytes);
    ((metered *)payload)->live -= bytes;
    free((char *)memory - 64);
}

/* Model, context and map in the metered. */
static int all_of_it(metered *r, const char *device, const char *line)
{
    const vitx_hooks hooks = {sizeof hooks, metered_alloc, metered_release, NULL, r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_map *map = NULL;
    vitx_image *image;
    request q;
    ask(&q, line);
    mo.hooks = &hooks;
    co.device = device;
    co.threads = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    int status = vitx_model_open(&model, "test/golden/models/vit-timm-3x3", &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_explain(&map, c, image, &q.o);
    vitx_map_free(map);
    vitx_context_free(c);
    vitx_model_free(model);
    vitx_image_free(image);
    return status;
}

START_TEST(test_memory__every_allocation_may_fail)
{
    static const char *const some[] = {"occlusion remove=blur", "rise n=5 grid=sum",
                                       "rise n=5 remove=drop", "lime n=5", "kernelshap n=20"};
    const char *const device = _i % 2 ? "ref" : "cpu", *line = some[_i / 2];
    metered r = {.left = -1};
    ck_ok(all_of_it(&r, device, line));
    ck_assert_uint_eq(r.live, 0);
    const int needed = r.calls;
    for (int n = 0; n < needed; n++) {
        r = (metered){.left = n};
        const int status = all_of_it(&r, device, line);
        ck_assert_msg(status == VITX_NOMEM, "%s with %d allocations: %s, %s", line, n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "%s with %d allocations: %d bytes are left", line, n,
                      (int)r.live);
    }
}
END_TEST

START_TEST(test_memory__does_not_grow_with_the_samples)
{
    static const char *const some[] = {"rise", "rise remove=drop", "lime", "lime remove=drop",
                                       "kernelshap"};
    metered few = {.left = -1}, many = {.left = -1};
    char line[64];
    snprintf(line, sizeof line, "%s n=50", some[_i]);
    ck_ok(all_of_it(&few, "cpu", line));
    snprintf(line, sizeof line, "%s n=450", some[_i]);
    ck_ok(all_of_it(&many, "cpu", line));
    ck_assert_int_eq(few.calls, many.calls);
    ck_assert_uint_eq(few.most, many.most);
}
END_TEST

static Suite *perturb_suite(void)
{
    Suite *suite = suite_create("perturb");
    TCase *tcase = tcase_create("perturb");
    tcase_add_test(tcase, test_regress__ridge_shrinks_a_linear_function);
    tcase_add_test(tcase, test_regress__ridge_is_at_the_minimum);
    tcase_add_test(tcase, test_regress__sum_is_kept);
    tcase_add_test(tcase, test_regress__too_few_samples_are_refused);
    tcase_add_loop_test(tcase, test_occlusion__windows_are_averaged, 0, 4);
    tcase_add_test(tcase, test_occlusion__of_what_is_not_there);
    tcase_add_test(tcase, test_drop__of_all_patches);
    tcase_add_loop_test(tcase, test_kernelshap__is_exact_where_all_sets_fit, 0, 4);
    tcase_add_test(tcase, test_kernelshap__adds_up);
    tcase_add_loop_test(tcase, test_methods__equal_patches_are_worth_the_same, 0, 4);
    tcase_add_loop_test(tcase, test_rise__masks_have_the_mean_that_they_should, 0, 16);
    tcase_add_loop_test(tcase, test_methods__do_not_depend_on_threads_and_batch, 0, 2);
    tcase_add_test(tcase, test_methods__seeds);
    tcase_add_test(tcase, test_methods__bad_options);
    tcase_add_test(tcase, test_methods__are_cancelled_in_the_middle);
    tcase_add_loop_test(tcase, test_memory__every_allocation_may_fail, 0, 10);
    tcase_add_loop_test(tcase, test_memory__does_not_grow_with_the_samples, 0, 5);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(perturb_suite)
