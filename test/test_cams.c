/*
 * The CAM methods on tokens: on given tokens and gradients, on tiny models against plain sums over
 * variants, and what all of them keep: threads, batches, errors, cancelling, memory. Maps of
 * pytorch-grad-cam are compared in test_methods.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/channels.h"
#include "engine/run.h"
#include "engine/variants.h"
#include "explain/lanczos.h"
#include "explain/method.h"
#include "util.h"

static char folders[MOST_MODELS][128];
static int folder_count;
/* Of tests on every model: threads that wait for each other cost more than they save. */
enum { THREADS = 1 };

static const char *const cams[] = {"gradcam",     "gradcam++",  "xgradcam", "hirescam",
                                   "elementwise", "layercam",   "eigencam", "eigengradcam",
                                   "scorecam",    "ablationcam"};
enum { CAMS = 10, TOKEN_CAMS = 6, EIGENCAM = 6, EIGENGRADCAM, SCORECAM, ABLATIONCAM };
static const char *const devices[] = {"ref", "cpu"};

/* ------------------------------------------------------------------ eigenpairs ------------- */

static void check_eigenpair(const float *matrix, int n, double expected, double tolerance)
{
    vitx_hooks hooks;
    double lambda, worst = 0, length = 0, *u = malloc(sizeof *u * (size_t)n);
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_largest_eigenpair(&lambda, u, matrix, n, &hooks));
    ck_assert_msg(fabs(lambda - expected) <= tolerance, "%d: %.17g is not %.17g", n, lambda,
                  expected);
    for (int i = 0; i < n; i++) {
        double row = -lambda * u[i];
        for (int j = 0; j < n; j++)
            row += (double)matrix[i * n + j] * u[j];
        worst = fmax(worst, fabs(row));
        length += u[i] * u[i];
    }
    ck_assert_msg(worst <= tolerance, "%d: residual %g", n, worst);
    ck_assert_double_eq_tol(length, 1, 1e-13);
    free(u);
}

/* Q diag(values) Q with the reflection Q = I - 2 v v^T; the matrix is stored in single
 * precision. */
static float *with_eigenvalues(rng *r, const double *values, int n)
{
    float *matrix = malloc(sizeof *matrix * (size_t)(n * n));
    double *v = malloc(sizeof *v * (size_t)n), length = 0;
    for (int i = 0; i < n; i++) {
        v[i] = rng_normal(r);
        length += v[i] * v[i];
    }
    for (int i = 0; i < n; i++)
        v[i] /= sqrt(length);
    double inner = 0; /* v^T diag v */
    for (int i = 0; i < n; i++)
        inner += v[i] * v[i] * values[i];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            matrix[i * n + j] = (float)((i == j ? values[i] : 0) -
                                        2 * v[i] * v[j] * (values[i] + values[j] - 2 * inner));
    free(v);
    return matrix;
}

START_TEST(test_lanczos__known_eigenvalues)
{
    static const int sizes[] = {2, 3, 17, 196, 257, 500};
    rng r = {1};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int kind = 0; kind < 5; kind++) {
            const int n = sizes[s];
            double *values = malloc(sizeof *values * (size_t)n), top = -1e30, size = 0;
            for (int i = 0; i < n; i++) {
                static const double scale[] = {1, 1e-12, 1e12};
                values[i] = kind < 3 ? scale[kind] * rng_float(&r, -1, 3) : i % 3 - 1;
                if (kind == 4) /* two that are nearly alike, far above the rest */
                    values[i] = i < 2 ? 1000 + i * 0.01 : rng_float(&r, 0, 1);
                top = fmax(top, values[i]);
                size = fmax(size, fabs(values[i]));
            }
            float *matrix = with_eigenvalues(&r, values, n);
            /* single precision moves eigenvalues by that much */
            check_eigenpair(matrix, n, top, 3e-7 * size * sqrt(n));
            free(matrix);
            free(values);
        }
}
END_TEST

START_TEST(test_lanczos__exact_cases)
{
    const float one[] = {-3}, zeros[16] = {0}, diagonal[] = {1, 0, 0, 0, -7, 0, 0, 0, 5};
    const float block[] = {2, 1, 0, 0, 1, 2, 0, 0, 0, 0, 4, -1, 0, 0, -1, 4};
    check_eigenpair(one, 1, -3, 1e-15);
    check_eigenpair(zeros, 4, 0, 1e-300);
    check_eigenpair(diagonal, 3, 5, 1e-13);
    check_eigenpair(block, 4, 5, 1e-13);
    float wrong[] = {1, NAN, NAN, 1};
    double lambda, u[2];
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_largest_eigenpair(&lambda, u, wrong, 2, &hooks));
    ck_assert(isnan(lambda) && isnan(u[0]) && isnan(u[1]));
    wrong[0] = wrong[1] = wrong[2] = INFINITY;
    ck_ok(vx_largest_eigenpair(&lambda, u, wrong, 2, &hooks));
    ck_assert(isnan(lambda) && isnan(u[0]) && isnan(u[1]));
}
END_TEST

/* ------------------------------------------------------------------ given tokens ----------- */

enum { PREFIX = 2, GH = 3, GW = 4, P = GH * GW, T = PREFIX + P, D = 7 };

/* A context without a model: block 0 has left tokens a and their gradient g, [T,D] each. */
typedef struct bench {
    vitx_context c;
    vx_pool *pool;
    double settings[8];
    float *a, *g;
} bench;

static void *lend(size_t bytes, void *owner)
{
    (void)owner;
    return malloc(bytes);
}

static void give_back(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static void alone(void (*task)(void *arg, int i, int worker), void *arg, int count, void *owner)
{
    (void)owner;
    for (int i = 0; i < count; i++)
        task(arg, i, 0);
}

static void open_bench(bench *b, const char *device)
{
    char text[160];
    memset(b, 0, sizeof *b);
    ck_ok(vx_hooks_resolve(&b->c.hooks, NULL));
    b->c.arch = (vx_arch){.depth = 2,
                          .heads = 1,
                          .head_width = D,
                          .width = D,
                          .hidden = D,
                          .classes = 3,
                          .channels = 3,
                          .patch_height = 2,
                          .patch_width = 2,
                          .grid_height = GH,
                          .grid_width = GW,
                          .prefix = PREFIX};
    b->c.env =
        (vx_device_env){.alloc = lend, .release = give_back, .parallel = alone, .workers = 1};
    const vx_device_class *cls = vx_device_find(device);
    ck_assert_int_eq(cls->open(&b->c.dev, &b->c.env, "f32", VX_FEATURES_ALL, text, sizeof text), 0);
    const vx_dims dims = {1, T, D, 1, D, D, 3, 2, 2, 3, 0};
    ck_assert_int_eq(cls->reserve(b->c.dev, &dims, text, sizeof text), 0);
    vx_scratch_init(&b->c.scratch, &b->c.hooks);
    ck_ok(vx_plan_create(&b->c.need, &b->c.arch, &b->c.hooks));
    b->a = cls->mem_alloc(T * D * sizeof(float), &b->c.env);
    b->g = cls->mem_alloc(T * D * sizeof(float), &b->c.env);
}

static void close_bench(bench *b)
{
    const vx_device_class *cls = b->c.dev->cls;
    cls->mem_free(b->a, &b->c.env);
    cls->mem_free(b->g, &b->c.env);
    if (b->c.work.memory)
        cls->mem_free(b->c.work.memory, &b->c.env);
    cls->close(b->c.dev);
    vx_plan_dispose(&b->c.need, &b->c.hooks);
    vx_scratch_dispose(&b->c.scratch);
}

static const vx_method *method(const char *name)
{
    for (int i = 0; vx_method_at(i); i++)
        if (strcmp(vx_method_at(i)->name, name) == 0)
            return vx_method_at(i);
    ck_abort_msg("no method %s", name);
    return NULL;
}

/* out[P]: the map that a method makes of a and g [T,D]. */
static void map_of(bench *b, const char *name, const float *a, const float *g, float *out)
{
    const vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vx_job job = vx_job_of(&b->c, method(name), &opts);
    vitx_map map = {.values = out}, *maps = &map;
    job.settings = b->settings;
    job.head_first = job.head_last = -1;
    vx_plan_clear(&b->c.need);
    ck_assert_uint_le(job.method->settings_size, sizeof b->settings);
    ck_ok(job.method->prepare(&job, &b->c.need));
    b->c.need.targets = 1;
    b->c.need.blocks[0].tokens[VX_AT_NORM1] = b->a;
    b->c.need.blocks[0].dtokens[VX_AT_NORM1] = b->g;
    b->c.dev->cls->upload(b->c.dev, b->a, a, T * D * sizeof *a);
    b->c.dev->cls->upload(b->c.dev, b->g, g, T * D * sizeof *g);
    ck_ok(vx_job_run(&job, 0, 1, &maps));
}

static void random_tokens(rng *r, float *a, float *g)
{
    for (int i = 0; i < T * D; i++) {
        a[i] = rng_normal(r);
        g[i] = 0.1f * rng_normal(r);
    }
}

START_TEST(test_cams__zero_gradient_gives_zero_map)
{
    rng r = {2};
    float a[T * D], g[T * D], out[P];
    bench b;
    open_bench(&b, devices[_i]);
    random_tokens(&r, a, g);
    for (int i = PREFIX * D; i < T * D; i++)
        g[i] = 0; /* that of the prefix is not 0 */
    for (int m = 0; m <= EIGENGRADCAM; m++) {
        map_of(&b, cams[m], a, g, out);
        for (int p = 0; p < P; p++)
            ck_assert_msg((out[p] == 0) == (m != EIGENCAM), "%s: %g", cams[m], (double)out[p]);
    }
    close_bench(&b);
}
END_TEST

START_TEST(test_cams__permuted_patches_permute_the_map)
{
    static const int to[P] = {3, 2, 8, 0, 11, 5, 6, 1, 7, 10, 4, 9};
    rng r = {3};
    float a[T * D], g[T * D], moved_a[T * D], moved_g[T * D], out[P], other[P];
    bench b;
    open_bench(&b, devices[_i]);
    random_tokens(&r, a, g);
    random_tokens(&r, moved_a, moved_g); /* the prefix differs: it is not looked at */
    for (int p = 0; p < P; p++)
        for (int c = 0; c < D; c++) {
            moved_a[(PREFIX + to[p]) * D + c] = a[(PREFIX + p) * D + c];
            moved_g[(PREFIX + to[p]) * D + c] = g[(PREFIX + p) * D + c];
        }
    for (int m = 0; m <= EIGENGRADCAM; m++) {
        float largest = 0;
        map_of(&b, cams[m], a, g, out);
        map_of(&b, cams[m], moved_a, moved_g, other);
        for (int p = 0; p < P; p++)
            largest = fmaxf(largest, fabsf(out[p]));
        for (int p = 0; p < P; p++)
            ck_assert_msg(fabsf(other[to[p]] - out[p]) <= 2e-5f * largest, "%s: %g, %g", cams[m],
                          (double)other[to[p]], (double)out[p]);
    }
    close_bench(&b);
}
END_TEST

/* A linear model, score = sum_c w_c mean_t a[t,c]: its gradient is one for all tokens, gradcam and
 * hirescam are the same, and add up to the score. */
START_TEST(test_cams__linear_model_is_explained_exactly)
{
    rng r = {4};
    float a[T * D], g[T * D], w[D], hires[P], grad[P];
    bench b;
    open_bench(&b, devices[_i]);
    random_tokens(&r, a, g);
    for (int c = 0; c < D; c++)
        w[c] = rng_normal(&r);
    double score = 0, sum = 0;
    for (int t = PREFIX; t < T; t++)
        for (int c = 0; c < D; c++) {
            g[t * D + c] = w[c] / P;
            score += (double)w[c] * a[t * D + c] / P;
        }
    map_of(&b, "hirescam", a, g, hires);
    map_of(&b, "gradcam", a, g, grad);
    for (int p = 0; p < P; p++) {
        ck_assert_float_eq_tol(hires[p], grad[p], 1e-6f);
        sum += hires[p];
    }
    ck_assert_double_eq_tol(sum, score, 1e-6);
    close_bench(&b);
}
END_TEST

/* Of tokens u_p v_c + m_c the component is |v| u, less its mean; the largest value is positive. */
START_TEST(test_eigencam__component_and_sign)
{
    rng r = {5};
    float a[T * D], g[T * D], out[P], u[P], v[D];
    double mean = 0, length = 0, largest = 0, at_largest = 0;
    bench b;
    open_bench(&b, devices[_i]);
    for (int p = 0; p < P; p++)
        mean += (u[p] = rng_normal(&r)) / P;
    for (int c = 0; c < D; c++) {
        v[c] = rng_normal(&r);
        length += (double)v[c] * v[c];
    }
    for (int p = 0; p < P; p++)
        if (fabs(u[p] - mean) > largest)
            largest = fabs(at_largest = u[p] - mean);
    for (int sign = -1; sign <= 1; sign += 2) {
        random_tokens(&r, a, g);
        for (int p = 0; p < P; p++)
            for (int c = 0; c < D; c++) {
                a[(PREFIX + p) * D + c] = (float)sign * u[p] * v[c];
                g[(PREFIX + p) * D + c] = 1;
                a[(PREFIX + p) * D + c] += 10.0f * (float)c; /* the same in all tokens */
            }
        map_of(&b, "eigencam", a, g, out);
        for (int p = 0; p < P; p++)
            ck_assert_double_eq_tol(out[p], copysign(sqrt(length), at_largest) * (u[p] - mean),
                                    1e-4);
        map_of(&b, "eigengradcam", a, g, out);
        for (int p = 0; p < P; p++)
            ck_assert_double_eq_tol(out[p], copysign(sqrt(length), at_largest) * (u[p] - mean),
                                    1e-4);
    }
    for (int i = 0; i < T * D; i++) /* tokens that are all alike */
        a[i] = (float)(1 + i % D);
    map_of(&b, "eigencam", a, g, out);
    for (int p = 0; p < P; p++)
        ck_assert_float_eq(out[p], 0);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ on tiny models --------- */

/* A model, a context on it and a picture. */
typedef struct scene {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} scene;

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

static const char *const at_output[] = {"at=output"};
static const char *const compat[] = {"compat=pytorch-grad-cam"};

static vitx_explain_opts ask(const char *name, int layer, const char *const *set)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = name;
    o.target = 3;
    o.layer = layer;
    o.set = set;
    o.set_count = set ? 1 : 0;
    return o;
}

static vitx_map *explain(const scene *s, const vitx_explain_opts *o, vitx_map_info *info)
{
    vitx_map *map;
    ck_ok(vitx_explain(&map, s->c, s->image, o));
    vitx_map_info_init(info, sizeof *info);
    ck_ok(vitx_map_get_info(info, map));
    return map;
}

static double error_between(const vitx_map *a, const vitx_map *b, const vitx_map_info *info)
{
    size_t count = 1;
    for (int axis = 0; axis < info->rank; axis++)
        count *= (size_t)info->shape[axis];
    return max_error_ff(vitx_map_values(a), vitx_map_values(b), count);
}

/* Records block `layer` of the picture; the tokens are on the host then, [T,D]. */
static float *record(const scene *s, int layer, vx_at at)
{
    vitx_context *c = s->c;
    const size_t count = (size_t)vx_arch_tokens(&c->arch) * (size_t)c->arch.width;
    float *tokens = malloc(count * sizeof *tokens);
    vx_plan_clear(&c->need);
    vx_plan_need_tokens(&c->need, layer, at);
    vx_plan_need_tokens(&c->need, layer, VX_AT_INPUT);
    vx_context_begin(c, 1000000);
    ck_ok(vx_context_run(c, (const vitx_image *const[]){s->image}, 1, 0, &c->need));
    ck_ok(vx_context_read(c, tokens, c->need.blocks[layer].tokens[at], count * sizeof *tokens));
    return tokens;
}

/* map[p] = sum_c w_c a[p,c] against a map of the library's. */
static void check_sum(const vitx_map *map, const float *tokens, const double *w, const vx_arch *a,
                      double tolerance, const char *what)
{
    const int patches = a->grid_height * a->grid_width;
    double *expected = calloc((size_t)patches, sizeof *expected);
    for (int p = 0; p < patches; p++)
        for (int c = 0; c < a->width; c++)
            expected[p] += w[c] * tokens[(size_t)(a->prefix + p) * (size_t)a->width + (size_t)c];
    const double error = max_error_f32(vitx_map_values(map), expected, (size_t)patches);
    ck_assert_msg(error < tolerance, "%s: off by %g", what, error);
    free(expected);
}

/* Ablation's weights are differences of logits. In one model the largest is a fiftieth of the
 * logit, so that the rounding of a logit counts fifty times. */
static double ablation_bound(const scene *s)
{
    return strstr(s->model->path, "vit-torchvision") ? 3e-5 : 1e-5;
}

/* Every channel on its own, as whole sequences of which all tokens are computed, by the
 * definition. */
static void check_ablation(const scene *s, int layer, const char *const *set, vx_at at)
{
    vitx_context *c = s->c;
    const vx_arch *a = &c->arch;
    const size_t count = (size_t)vx_arch_tokens(a) * (size_t)a->width;
    vitx_map_info info;
    vitx_explain_opts o = ask("ablationcam", layer, set);
    vitx_map *map = explain(s, &o, &info);
    ck_assert_int_eq(info.forwards, a->width);
    float *tokens = record(s, layer, at), *moved = malloc(count * sizeof *moved), least = INFINITY;
    double *w = malloc((size_t)a->width * sizeof *w);
    for (size_t i = 0; i < count; i++)
        least = fminf(least, tokens[i]);
    ck_ok(vx_variants_reserve(c, 1, 0, NULL));
    const vx_activations *act = &c->variants.act;
    for (int k = 0; k < a->width; k++) {
        memcpy(moved, tokens, count * sizeof *moved);
        for (int t = 0; t < vx_arch_tokens(a); t++)
            moved[t * a->width + k] = set == compat ? least - 1e7f : 0;
        c->dev->ops.copy_rows(c->dev,
                              &(vx_copy_rows){.y = act->x,
                                              .x = c->need.blocks[layer].tokens[VX_AT_INPUT],
                                              .m = 1,
                                              .n = (int64_t)count,
                                              .scale = 1});
        c->dev->cls->upload(c->dev, at == VX_AT_NORM1 ? act->normed : act->x, moved,
                            count * sizeof *moved);
        const vx_pass pass = {.act = act,
                              .batch = 1,
                              .first = at == VX_AT_NORM1 ? layer : layer + 1,
                              .at_norm1 = at == VX_AT_NORM1};
        ck_ok(vx_variants_run_blocks(c, &pass));
        w[k] = (info.value - c->variants.act.host.logits[3]) / info.value;
    }
    check_sum(map, tokens, w, a, ablation_bound(s), set ? set[0] : "at=norm1");
    vitx_map_free(map);
    free(tokens);
    free(moved);
    free(w);
}

START_TEST(test_ablationcam__is_what_its_formula_says)
{
    scene s = open_scene(folders[_i / 2], devices[_i % 2], THREADS, 1);
    for (int layer = 0; layer < s.c->arch.depth; layer++) {
        check_ablation(&s, layer, NULL, VX_AT_NORM1);
        check_ablation(&s, layer, at_output, VX_AT_OUTPUT);
        check_ablation(&s, layer, compat, VX_AT_NORM1);
    }
    close_scene(&s);
}
END_TEST

/* compat has 0 where the least value is exactly 0, and 0 only there. */
START_TEST(test_ablationcam__compat_takes_a_least_value_of_zero)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 1, 1);
    const vx_block_weights *last = &s.c->weights->blocks[s.c->arch.depth - 1];
    float *weight = (float *)(uintptr_t)last->norm1_w, *bias = (float *)(uintptr_t)last->norm1_b;
    vitx_explain_opts plain = ask("ablationcam", VITX_AUTO, NULL),
                      like = ask("ablationcam", VITX_AUTO, compat);
    for (int least = 0; least < 2; least++) {
        vitx_map_info info;
        for (int k = 0; k < s.c->arch.width; k++) {
            weight[k] = 0;
            bias[k] = (float)(least + k % 5);
        }
        vitx_map *a = explain(&s, &plain, &info), *b = explain(&s, &like, &info);
        ck_assert_float_ne(info.max, 0);
        ck_assert_int_eq(error_between(a, b, &info) == 0, least == 0);
        vitx_map_free(a);
        vitx_map_free(b);
    }
    close_scene(&s);
}
END_TEST

/* A score of 0 has no shares. */
START_TEST(test_ablationcam__a_score_of_zero_is_an_error)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 1, 1);
    const vx_weight *head = &s.c->weights->head;
    vitx_explain_opts o = ask("ablationcam", VITX_AUTO, NULL);
    vitx_map *map;
    memset((float *)(uintptr_t)head->data, 0, (size_t)(head->n * head->k) * sizeof(float));
    memset((float *)(uintptr_t)head->bias, 0, (size_t)head->n * sizeof(float));
    ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID, "the score is 0");
    ck_assert_ptr_null(map);
    o.score = VITX_SCORE_PROBABILITY;
    ck_ok(vitx_explain(&map, s.c, s.image, &o));
    for (int p = 0; p < s.c->arch.grid_height * s.c->arch.grid_width; p++)
        ck_assert_float_eq(vitx_map_values(map)[p], 0); /* all classes alike, always */
    vitx_map_free(map);
    close_scene(&s);
}
END_TEST

/* The channel's map at a pixel: corner patches in the corners of the input. */
static double resized(const vx_arch *a, const float *tokens, int channel, int y, int x, int height,
                      int width)
{
    const double v = (double)y * (a->grid_height - 1) / (height - 1);
    const double u = (double)x * (a->grid_width - 1) / (width - 1);
    double sum = 0;
    for (int gy = 0; gy < a->grid_height; gy++)
        for (int gx = 0; gx < a->grid_width; gx++)
            sum += fmax(0, 1 - fabs(v - gy)) * fmax(0, 1 - fabs(u - gx)) *
                   tokens[(size_t)(a->prefix + gy * a->grid_width + gx) * (size_t)a->width +
                          (size_t)channel];
    return sum;
}

/* The score of the picture masked with a channel. */
static double masked_score(const scene *s, const float *tokens, int channel, const float *x)
{
    vitx_context *c = s->c;
    const int h = c->recipe.input_height, w = c->recipe.input_width;
    double *mask = malloc(sizeof *mask * (size_t)(h * w)), least = INFINITY, largest = -INFINITY;
    for (int i = 0; i < h * w; i++) {
        mask[i] = resized(&c->arch, tokens, channel, i / w, i % w, h, w);
        least = fmin(least, mask[i]);
        largest = fmax(largest, mask[i]);
    }
    for (int i = 0; i < 3 * h * w; i++)
        vx_variants_input(c, 0)[i] =
            (float)(x[i] * (mask[i % (h * w)] - least) / (largest - least + 1e-8));
    ck_ok(vx_variants_run(c, 1));
    free(mask);
    return c->variants.act.host.logits[3];
}

START_TEST(test_scorecam__is_what_its_formula_says)
{
    scene s = open_scene(folders[_i / 2], devices[_i % 2], THREADS, 1);
    vitx_context *c = s.c;
    const vx_arch *a = &c->arch;
    const size_t pixels = vx_context_input_count(c);
    float *x = malloc(pixels * sizeof *x);
    double *w = malloc((size_t)a->width * sizeof *w);
    for (int layer = 0; layer < 2; layer++) {
        vitx_map_info info;
        const vx_at at = layer ? VX_AT_NORM1 : VX_AT_OUTPUT;
        vitx_explain_opts o = ask("scorecam", layer, layer ? NULL : at_output);
        vitx_map *map = explain(&s, &o, &info);
        ck_assert_int_eq(info.forwards, a->width);
        float *tokens = record(&s, layer, at);
        double sum = 0;
        memcpy(x, c->act.host.input, pixels * sizeof *x);
        ck_ok(vx_variants_reserve(c, 1, 0, NULL));
        for (int k = 0; k < a->width; k++)
            sum += w[k] = exp(masked_score(&s, tokens, k, x));
        for (int k = 0; k < a->width; k++)
            w[k] /= sum;
        check_sum(map, tokens, w, a, 1e-5, "scorecam");
        vitx_map_free(map);
        free(tokens);
    }
    free(x);
    free(w);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ one result ------------- */

/* Threads and pictures at once. More pictures at once are products of another size, which round
 * otherwise; and the weights of ablationcam are small differences of scores. */
START_TEST(test_cams__do_not_depend_on_threads_and_batches)
{
    static const char *const models[] = {"test/golden/models/vit-timm",
                                         "test/golden/models/vit-timm-avg"};
    scene one = open_scene(models[_i], "cpu", 1, 1);
    for (int m = SCORECAM; m <= ABLATIONCAM; m++)
        for (int layer = SANITIZED ? one.c->arch.depth - 1 : 0; layer < one.c->arch.depth;
             layer++) {
            vitx_map_info info;
            const vitx_explain_opts o = ask(cams[m], layer, NULL);
            vitx_map *first = explain(&one, &o, &info);
            for (int threads = 1; threads <= 3; threads++)
                for (int batch = 1; batch <= 15; batch += 7) {
                    scene s = open_scene(models[_i], "cpu", threads, batch);
                    vitx_map *map = explain(&s, &o, &info);
                    const double error = error_between(map, first, &info);
                    ck_assert_msg(error < (batch > VX_VARIANTS_AT_ONCE ? 1e-5 : 1e-6),
                                  "%s, block %d, %d threads, batch %d: %g", cams[m], layer, threads,
                                  batch, error);
                    vitx_map_free(map);
                    close_scene(&s);
                }
            vitx_map_free(first);
        }
    close_scene(&one);
}
END_TEST

START_TEST(test_cams__devices_agree)
{
    scene ref = open_scene(folders[_i], "ref", 1, 1),
          cpu = open_scene(folders[_i], "cpu", THREADS, 1);
    for (int m = 0; m < CAMS; m++)
        for (int layer = 0; layer < 2; layer++) {
            vitx_map_info info;
            const vitx_explain_opts o = ask(cams[m], layer, NULL);
            vitx_map *a = explain(&ref, &o, &info), *b = explain(&cpu, &o, &info);
            const double error = error_between(b, a, &info);
            /* Two of them divide by sums of tokens of both signs, which may nearly cancel. */
            const double tolerance = m == 1 || m == 2 ? 1e-3 : TOL_MAP;
            ck_assert_msg(error < tolerance, "%s, block %d: %g", cams[m], layer, error);
            vitx_map_free(a);
            vitx_map_free(b);
        }
    close_scene(&ref);
    close_scene(&cpu);
}
END_TEST

/* All blocks in one map are the maps of the single blocks. */
START_TEST(test_cams__all_layers_are_each_layer)
{
    scene s = open_scene("test/golden/models/vit-timm-avg", "cpu", 2, 1);
    const size_t plane = (size_t)(s.c->arch.grid_height * s.c->arch.grid_width);
    for (int m = 0; m < CAMS; m++)
        for (int output = 0; output < 2; output++) {
            vitx_map_info info, single;
            vitx_explain_opts o = ask(cams[m], VITX_ALL, output ? at_output : NULL);
            vitx_map *all = explain(&s, &o, &info);
            ck_assert_int_eq(info.rank, 3);
            ck_assert_int_eq(info.shape[0], s.c->arch.depth);
            for (o.layer = 0; o.layer < s.c->arch.depth; o.layer++) {
                vitx_map *map = explain(&s, &o, &single);
                ck_assert_int_eq(info.forwards, single.forwards * s.c->arch.depth);
                const double error = max_error_ff(vitx_map_values(all) + (size_t)o.layer * plane,
                                                  vitx_map_values(map), plane);
                ck_assert_msg(error < 1e-6, "%s, block %d: %g", cams[m], o.layer, error);
                vitx_map_free(map);
            }
            vitx_map_free(all);
        }
    close_scene(&s);
}
END_TEST

/* The input of a block is recorded where the backward pass keeps it, too. */
START_TEST(test_cams__share_the_recorded_input)
{
    static const vitx_gradients ways[] = {VITX_GRADIENTS_KEEP, VITX_GRADIENTS_RECOMPUTE};
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    enum { M = 5 };
    scene s = open_scene(folders[_i / 2], "cpu", 1, 1), other = s;
    const vitx_explain_opts o[M] = {
        ask("ablationcam", 0, NULL), ask("ablationcam", s.c->arch.depth - 1, NULL),
        ask("generic", VITX_AUTO, NULL), ask("gradcam", 0, at_output), ask("hirescam", 0, NULL)};
    vitx_map *maps[M];
    co.gradients = ways[_i % 2];
    co.threads = 1;
    ck_ok(vitx_context_create(&other.c, s.model, &co));
    ck_ok(vitx_explain_many(maps, other.c, (const vitx_image *const[]){s.image}, 1, o, M));
    for (int m = 0; m < M; m++) {
        vitx_map_info info;
        vitx_map *map = explain(&s, &o[m], &info);
        const double error = error_between(maps[m], map, &info);
        ck_assert_msg(error < (m < 2 ? ablation_bound(&s) : 1e-5), "%s: %g", o[m].method, error);
        vitx_map_free(map);
        vitx_map_free(maps[m]);
    }
    vitx_context_free(other.c);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ errors ----------------- */

START_TEST(test_cams__bad_options)
{
    static const char *const middle[] = {"at=middle"}, *const other[] = {"compat=torch-cam"};
    scene s = open_scene("test/golden/models/deit-timm", "cpu", 1, 1);
    scene mean = open_scene("test/golden/models/vit-timm-avg", "cpu", 1, 1);
    vitx_map *map;
    for (int m = 0; m < CAMS; m++) {
        vitx_explain_opts o = ask(cams[m], VITX_AUTO, middle);
        const bool gradient = m < EIGENCAM || m == EIGENGRADCAM;
        ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID, "norm1|output");
        o = ask(cams[m], VITX_AUTO, NULL);
        o.head = 0;
        ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID, "takes no head");
        o = ask(cams[m], s.c->arch.depth, NULL);
        ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID, "layer");
        for (int layer = VITX_ALL; layer < s.c->arch.depth; layer++) {
            size_t bytes;
            const bool last = layer < 0 || layer == s.c->arch.depth - 1;
            o = ask(cams[m], layer, at_output);
            if (gradient && last) {
                ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID,
                         "the head reads no patch");
                ck_fails(vitx_explain_bytes(&bytes, s.c, &o, 1), VITX_INVALID, cams[m]);
            } else {
                ck_ok(vitx_explain_bytes(&bytes, s.c, &o, 1));
            }
            ck_ok(vitx_explain_bytes(&bytes, mean.c, &o, 1)); /* there every patch has one */
        }
        o = ask(cams[m], VITX_AUTO, other);
        ck_fails(vitx_explain(&map, s.c, s.image, &o), VITX_INVALID,
                 m == ABLATIONCAM ? "none|pytorch-grad-cam" : "has no option");
    }
    close_scene(&s);
    close_scene(&mean);
}
END_TEST

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

/* Two pictures, two methods: cancelled in the second picture's scorecam, what came before is
 * there. */
START_TEST(test_scorecam__cancelled_in_the_middle)
{
    scene s = open_scene("test/golden/models/vit-timm", "cpu", 2, 2);
    stop watch = {0};
    const vitx_image *const images[] = {s.image, s.image};
    const vitx_explain_opts o[] = {ask("gradcam", VITX_AUTO, NULL),
                                   ask("scorecam", VITX_AUTO, NULL), ask("ablationcam", 0, NULL)};
    vitx_map *maps[6];
    s.c->progress = stop_at;
    s.c->progress_payload = &watch;
    ck_ok(vitx_explain_many(maps, s.c, images, 2, o, 3));
    ck_assert_int_eq(watch.last, watch.total);
    for (int i = 0; i < 6; i++)
        vitx_map_free(maps[i]);
    /* The last ticks are ablationcam's: its blocks, as often as it takes for all channels. */
    const vx_arch *a = &s.c->arch;
    const int64_t runs = (a->width - 1) / vx_variants_at_once(s.c, false) + 1;
    watch = (stop){.at = watch.total - runs * a->depth - 1};
    ck_fails(vitx_explain_many(maps, s.c, images, 2, o, 3), VITX_CANCELLED, "cancelled");
    for (int i = 0; i < 6; i++)
        ck_assert_msg((maps[i] != NULL) == (i < 4), "map %d", i);
    for (int i = 0; i < 6; i++)
        vitx_map_free(maps[i]);
    watch = (stop){0};
    ck_ok(vitx_explain_many(maps, s.c, images, 2, o, 3));
    for (int i = 0; i < 6; i++)
        vitx_map_free(maps[i]);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ memory ----------------- */

static int whole_way(const vitx_hooks *hooks, const char *device)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = NULL;
    vitx_map *maps[CAMS + 1] = {NULL};
    vitx_explain_opts o[CAMS + 1];
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    mo.hooks = hooks;
    co.device = device;
    co.threads = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    for (int m = 0; m < CAMS; m++)
        o[m] = ask(cams[m], VITX_AUTO, NULL);
    o[CAMS] = ask("ablationcam", 0, NULL); /* whole sequences */
    int status = vitx_model_open(&model, "test/golden/models/vit-hf", &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_explain_many(maps, c, (const vitx_image *const[]){image}, 1, o, CAMS + 1);
    for (int m = 0; m < CAMS + 1; m++)
        vitx_map_free(maps[m]);
    vitx_context_free(c);
    vitx_model_free(model);
    vitx_image_free(image);
    return status;
}

START_TEST(test_cams__every_allocation_may_fail)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(whole_way(&hooks, devices[_i]));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    for (int n = 0; n < needed; n++) {
        r = (ration){.left = n};
        const int status = whole_way(&hooks, devices[_i]);
        ck_assert_msg(status == VITX_NOMEM, "with %d allocations: %s, %s", n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

/* What is stated is what is held, and later calls allocate their map alone. */
START_TEST(test_cams__memory_is_stated_and_kept)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    mo.hooks = &hooks;
    for (int m = 0; m < CAMS; m++)
        for (int layer = 0; layer < 3; layer++) {
            scene s;
            size_t bytes;
            vitx_map *map;
            const vitx_explain_opts o = ask(cams[m], layer, NULL);
            ck_ok(vitx_model_open(&s.model, "test/golden/models/vit-timm", &mo));
            ck_ok(vitx_context_create(&s.c, s.model, NULL));
            ck_ok(vitx_image_open(&s.image, "test/golden/models/picture.png"));
            ck_ok(vitx_explain_bytes(&bytes, s.c, &o, 1));
            for (int call = 0; call < 3; call++) {
                const int calls = r.calls;
                ck_ok(vitx_explain(&map, s.c, s.image, &o));
                vitx_map_free(map);
                ck_assert_msg(call == 0 || r.calls == calls + 2, "%s, block %d: %d allocations",
                              cams[m], layer, r.calls - calls);
            }
            const vitx_context *c = s.c;
            ck_assert_uint_eq(bytes, c->trace.bytes + c->variants.memory.bytes +
                                         c->variants.trace.bytes + c->channels.memory.bytes +
                                         c->weights->turned_bytes);
            ck_assert_int_eq(c->channels.capacity > 0, m == ABLATIONCAM && layer == 2);
            close_scene(&s);
        }
    ck_assert_int_eq(r.live, 0);
}
END_TEST

/* Leaves the models of two blocks or more: tests here ask for block 1. */
static int with_two_blocks(int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        vitx_model *model = NULL;
        vitx_model_info info = VITX_MODEL_INFO_INIT;
        const bool known = vitx_model_open(&model, folders[i], NULL) == VITX_OK &&
                           vitx_model_get_info(&info, model) == VITX_OK;
        if ((!known || info.depth >= 2) && kept++ < i)
            memcpy(folders[kept - 1], folders[i], sizeof folders[i]);
        vitx_model_free(model);
    }
    return kept;
}

static Suite *cams_suite(void)
{
    Suite *suite = suite_create("cams");
    TCase *tcase = tcase_create("cams");
    folder_count = fewer_folders(folders, with_two_blocks(model_folders(folders)));
    tcase_add_test(tcase, test_lanczos__known_eigenvalues);
    tcase_add_test(tcase, test_lanczos__exact_cases);
    tcase_add_loop_test(tcase, test_cams__zero_gradient_gives_zero_map, 0, 2);
    tcase_add_loop_test(tcase, test_cams__permuted_patches_permute_the_map, 0, 2);
    tcase_add_loop_test(tcase, test_cams__linear_model_is_explained_exactly, 0, 2);
    tcase_add_loop_test(tcase, test_eigencam__component_and_sign, 0, 2);
    tcase_add_loop_test(tcase, test_ablationcam__is_what_its_formula_says, 0, 2 * folder_count);
    tcase_add_test(tcase, test_ablationcam__compat_takes_a_least_value_of_zero);
    tcase_add_test(tcase, test_ablationcam__a_score_of_zero_is_an_error);
    tcase_add_loop_test(tcase, test_scorecam__is_what_its_formula_says, 0, 2 * folder_count);
    tcase_add_loop_test(tcase, test_cams__do_not_depend_on_threads_and_batches, 0, 2);
    tcase_add_loop_test(tcase, test_cams__devices_agree, 0, folder_count);
    tcase_add_test(tcase, test_cams__all_layers_are_each_layer);
    tcase_add_loop_test(tcase, test_cams__share_the_recorded_input, 0, 2 * folder_count);
    tcase_add_test(tcase, test_cams__bad_options);
    tcase_add_test(tcase, test_scorecam__cancelled_in_the_middle);
    tcase_add_loop_test(tcase, test_cams__every_allocation_may_fail, 0, 2);
    tcase_add_test(tcase, test_cams__memory_is_stated_and_kept);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(cams_suite)
