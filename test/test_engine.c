/*
 * The whole forward pass against timm and transformers in float64, block by block; batches, the
 * trace, cancelling, failing allocations. VX_TEST_THREADS VX_TEST_DEVICES
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "engine/pass.h"
#include "engine/run.h"
#include "util.h"

static char folders[MOST_MODELS][128];
static int folder_count;

static npy golden(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_npy(path);
}

static vitx_context *make_context(vitx_model *model, const char *device, int threads, int batch)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = threads;
    o.max_batch = batch;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static vitx_image *picture(void)
{
    vitx_image *image;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    return image;
}

/* ------------------------------------------------------------------ against the goldens ---- */

typedef struct watch {
    vitx_context *c;
    const char *folder;
    int block, batch;
} watch;

/* After each block: the residual stream against block_<i>.npy. Of the last block only what the
 * head reads was computed where that is one token. */
static int compare_block(int64_t done, int64_t total, void *payload)
{
    watch *w = payload;
    const vx_arch *a = &w->c->arch;
    char name[32];
    snprintf(name, sizeof name, "block_%d.npy", w->block);
    npy expected = golden(w->folder, name);
    ck_assert_int_eq(done, ++w->block);
    ck_assert_int_eq(total, a->depth);
    const size_t row = (size_t)a->width, rows = (size_t)vx_arch_tokens(a);
    const size_t count = (size_t)w->batch * rows * row;
    ck_assert_uint_eq(expected.count, count);
    float *x = malloc(count * sizeof *x);
    ck_ok(vx_context_read(w->c, x, w->c->act.x, count * sizeof *x));
    const bool class_only = done == total && a->pool == VX_POOL_TOKEN;
    const size_t compared = class_only ? row : rows * row;
    for (int b = 0; b < w->batch; b++) {
        const double error = max_error_f32(x + (size_t)b * rows * row,
                                           expected.data + (size_t)b * rows * row, compared);
        ck_assert_msg(error < TOL_LOGITS, "%s: picture %d after block %d: error %g", w->folder, b,
                      (int)done - 1, error);
    }
    free(x);
    free_npy(&expected);
    return 0;
}

static void compare_attention(vitx_context *c, const char *folder, int n)
{
    for (int l = 0; l < c->arch.depth; l++) {
        char name[32];
        vitx_view view;
        snprintf(name, sizeof name, "attention_%d.npy", l);
        npy expected = golden(folder, name);
        ck_ok(vitx_attention(&view, c, l));
        ck_assert_int_eq(view.rank, 4);
        ck_assert_int_eq(view.shape[0], n);
        ck_assert_int_eq(view.shape[1] * view.shape[2] * view.shape[3] * n, (int)expected.count);
        const double error = max_error_f32(view.data, expected.data, expected.count);
        ck_assert_msg(error < TOL_MAP, "%s: attention of block %d: error %g", folder, l, error);
        free_npy(&expected);
    }
}

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

/* The inputs of the golden, without the way from a picture: logits, blocks and attention. */
START_TEST(test_forward__matches_float64)
{
    const char *folder = folders[_i / SETUPS];
    npy input = golden(folder, "input.npy"), logits = golden(folder, "logits.npy");
    const int n = (int)input.shape[0];
    vitx_model *model;
    ck_ok(vitx_model_open(&model, folder, NULL));
    vitx_context *c =
        make_context(model, setups[_i % SETUPS].device, setups[_i % SETUPS].threads, n);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    trace.record = VITX_RECORD_ALL;
    ck_ok(vitx_context_set_trace(c, &trace));
    for (size_t i = 0; i < input.count; i++)
        c->act.host.input[i] = (float)input.data[i];
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, input.count * sizeof(float));
    watch w = {c, folder, 0, n};
    c->progress = compare_block;
    c->progress_payload = &w;
    vx_context_begin(c, model->arch.depth);
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = n}));
    ck_assert_int_eq(w.block, model->arch.depth);
    float *out = malloc(logits.count * sizeof *out);
    ck_ok(vx_context_read(c, out, c->act.logits, logits.count * sizeof *out));
    const double error = max_error_f32(out, logits.data, logits.count);
    ck_assert_msg(error < TOL_LOGITS, "%s: logits: error %g", folder, error);
    free(out);
    c->recorded = n;
    compare_attention(c, folder, n);
    vitx_context_free(c);
    vitx_model_free(model);
    free_npy(&input);
    free_npy(&logits);
}
END_TEST

/* From the picture on: the input tensor, and the logits of entry 0. */
START_TEST(test_forward__matches_the_librarys_own_transform)
{
    const char *folder = folders[_i];
    npy input = golden(folder, "input.npy"), logits = golden(folder, "logits.npy");
    vitx_model *model;
    vitx_image *image = picture();
    vitx_view view;
    ck_ok(vitx_model_open(&model, folder, NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_input(&view, c));
    ck_assert_int_eq(view.shape[2], (int)input.shape[2]);
    ck_assert_int_eq(view.shape[3], (int)input.shape[3]);
    const double pixels = max_error_f32(view.data, input.data, input.count / input.shape[0]);
    ck_assert_msg(pixels < 1e-6, "%s: input: error %g", folder, pixels);
    ck_ok(vitx_logits(&view, c));
    const double error = max_error_f32(view.data, logits.data, logits.shape[1]);
    ck_assert_msg(error < TOL_LOGITS, "%s: logits: error %g", folder, error);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
    free_npy(&input);
    free_npy(&logits);
}
END_TEST

/* ------------------------------------------------------------------ batches ---------------- */

static vitx_image *noise(uint64_t seed, int width, int height)
{
    rng r = {seed};
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *image;
    for (int i = 0; i < 3 * width * height; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

START_TEST(test_classify__batches_give_the_answers_of_single_pictures)
{
    enum { N = 7, K = 3 };
    vitx_model *model;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *one = make_context(model, "cpu", 1, 1), *three = make_context(model, "cpu", 2, 3);
    vitx_image *images[N];
    vitx_prediction top[N * K], single[K];
    for (int i = 0; i < N; i++)
        images[i] = noise((uint64_t)i + 1, 40 + 3 * i, 60 - i);
    ck_ok(vitx_classify_batch(three, (const vitx_image *const *)images, N, top, K));
    for (int i = 0; i < N; i++) {
        ck_ok(vitx_classify(one, images[i], single, K));
        for (int k = 0; k < K; k++) {
            ck_assert_int_eq(top[i * K + k].index, single[k].index);
            ck_assert_float_eq_tol(top[i * K + k].logit, single[k].logit, 1e-5f);
            ck_assert_float_eq_tol(top[i * K + k].probability, single[k].probability, 1e-5f);
        }
        vitx_image_free(images[i]);
    }
    vitx_context_free(one);
    vitx_context_free(three);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_classify__ranks_all_classes)
{
    vitx_model *model;
    vitx_image *image = picture();
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    const int classes = model->arch.classes;
    vitx_prediction *all = malloc((size_t)(classes + 3) * sizeof *all), few[2];
    vitx_view view;
    ck_ok(vitx_classify(c, image, all, classes + 3));
    double sum = 0;
    bool seen[1024] = {false};
    for (int k = 0; k < classes; k++) {
        ck_assert(all[k].index >= 0 && all[k].index < classes && !seen[all[k].index]);
        seen[all[k].index] = true;
        ck_assert(k == 0 || all[k - 1].logit >= all[k].logit);
        ck_assert_ptr_eq(all[k].label, vitx_model_label(model, all[k].index));
        sum += all[k].probability;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    for (int k = classes; k < classes + 3; k++)
        ck_assert_int_eq(all[k].index, -1);
    ck_ok(vitx_classify(c, image, few, 2));
    ck_assert_int_eq(few[0].index, all[0].index);
    ck_assert_int_eq(few[1].index, all[1].index);
    ck_fails(vitx_logits(&view, c), VITX_INVALID, "vitx_forward");
    ck_fails(vitx_classify(c, image, few, 0), VITX_INVALID, "0 classes");
    ck_fails(vitx_classify(c, NULL, few, 2), VITX_INVALID, "NULL");
    free(all);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ the trace -------------- */

static float half(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const float magnitude =
        exponent ? ldexpf((float)(1024 + mantissa), exponent - 25) : ldexpf((float)mantissa, -24);
    return h >> 15 ? -magnitude : magnitude;
}

static float element(const vitx_view *v, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t at = b * v->stride[0] + h * v->stride[1] + i * v->stride[2] + j * v->stride[3];
    return v->dtype == VITX_F16 ? half(((const uint16_t *)v->data)[at])
                                : ((const float *)v->data)[at];
}

/* Every policy, fusion and storage says the same as the whole record. */
START_TEST(test_trace__policies_agree)
{
    static const char *const models[] = {"test/golden/models/deit-hf",
                                         "test/golden/models/vit-timm-avg"};
    static const char *const devices[] = {"cpu", "ref"};
    vitx_model *model;
    vitx_image *images[2] = {noise(1, 50, 50), noise(2, 64, 30)};
    ck_ok(vitx_model_open(&model, models[_i % 2], NULL));
    const vx_arch *a = &model->arch;
    const int T = vx_arch_tokens(a), H = a->heads;
    vitx_context *whole = make_context(model, devices[_i / 2], 1, 2),
                 *c = make_context(model, devices[_i / 2], 2, 2);
    vitx_trace_opts all = VITX_TRACE_OPTS_INIT;
    all.record = VITX_RECORD_ALL;
    ck_ok(vitx_context_set_trace(whole, &all));
    ck_ok(vitx_forward(whole, (const vitx_image *const *)images, 2));
    for (int record = VITX_RECORD_ROW; record <= VITX_RECORD_ALL; record++)
        for (int variant = 0; variant < 3; variant++) /* the fusion, or the query */
            for (int storage = VITX_F32; storage <= VITX_F16; storage++) {
                const int layers[] = {a->depth - 1, 0};
                vitx_trace_opts o = VITX_TRACE_OPTS_INIT;
                o.record = (vitx_record)record;
                o.fuse = (vitx_fuse)variant;
                o.query = variant == 2 ? T - 1 : VITX_AUTO;
                o.storage = (vitx_dtype)storage;
                o.layers = layers;
                o.layer_count = 2;
                ck_ok(vitx_context_set_trace(c, &o));
                ck_ok(vitx_forward(c, (const vitx_image *const *)images, 2));
                vitx_view v, f;
                for (int at = 0; at < 2; at++) {
                    ck_ok(vitx_attention(&v, c, layers[at]));
                    ck_ok(vitx_attention(&f, whole, layers[at]));
                    ck_assert_int_eq(v.dtype, storage);
                    ck_assert_int_eq((int)v.shape[1], record == VITX_RECORD_FUSED ? 1 : H);
                    ck_assert_int_eq((int)v.shape[2], record == VITX_RECORD_ROW ? 1 : T);
                    for (int64_t b = 0; b < 2; b++)
                        for (int64_t h = 0; h < v.shape[1]; h++)
                            for (int64_t i = 0; i < v.shape[2]; i++)
                                for (int64_t j = 0; j < T; j++) {
                                    double e = element(&f, b, h, i, j);
                                    if (record == VITX_RECORD_FUSED) {
                                        double sum = 0, low = 2, high = -1;
                                        for (int k = 0; k < H; k++) {
                                            const double p = element(&f, b, k, i, j);
                                            sum += p;
                                            low = fmin(low, p);
                                            high = fmax(high, p);
                                        }
                                        e = variant == 0 ? sum / H : variant == 1 ? high : low;
                                    } else if (record == VITX_RECORD_ROW && variant == 2) {
                                        e = element(&f, b, h, T - 1, j);
                                    } else if (record == VITX_RECORD_ROW &&
                                               a->pool == VX_POOL_AVG) {
                                        e = 0;
                                        for (int q = a->prefix; q < T; q++)
                                            e += (double)element(&f, b, h, q, j) / (T - a->prefix);
                                    }
                                    ck_assert_double_eq_tol(
                                        element(&v, b, h, i, j), e,
                                        (storage == VITX_F16 ? 6e-4 * e + 1e-7 : 2e-6));
                                }
                }
                if (a->depth > 2)
                    ck_fails(vitx_attention(&v, c, 1), VITX_INVALID, "block 1 was not recorded");
            }
    for (int i = 0; i < 2; i++)
        vitx_image_free(images[i]);
    vitx_context_free(whole);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_trace__states_its_size_and_keeps_to_the_budget)
{
    vitx_model *model;
    vitx_image *image = picture();
    size_t bytes;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    const size_t T = (size_t)vx_arch_tokens(&model->arch), H = (size_t)model->arch.heads,
                 L = (size_t)model->arch.depth;
    vitx_trace_opts o = VITX_TRACE_OPTS_INIT;
    o.record = VITX_RECORD_ALL;
    ck_ok(vitx_trace_bytes(&bytes, model, &o, 2));
    ck_assert_uint_ge(bytes, 2 * L * H * T * T * 4);
    ck_assert_uint_le(bytes, 2 * L * H * T * T * 4 + 64 * L);
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    co.trace_budget = bytes - 1;
    co.max_batch = 2;
    vitx_context *c;
    ck_ok(vitx_context_create(&c, model, &co));
    const vitx_trace_opts whole = o;
    o.record = VITX_RECORD_FUSED;
    ck_ok(vitx_context_set_trace(c, &o));
    ck_fails(vitx_context_set_trace(c, &whole), VITX_NOMEM, "the budget is");
    vitx_view v; /* the refusal changed nothing */
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_attention(&v, c, 0));
    ck_assert_int_eq((int)v.shape[1], 1);
    ck_ok(vitx_context_set_trace(c, NULL));
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_fails(vitx_attention(&v, c, 0), VITX_INVALID, "not recorded");
    const int far = 99;
    o.layers = &far;
    o.layer_count = 1;
    ck_fails(vitx_context_set_trace(c, &o), VITX_INVALID, "layer 99 is out of range");
    o.layers = NULL;
    o.query = 1000;
    ck_fails(vitx_trace_bytes(&bytes, model, &o, 1), VITX_INVALID, "query 1000");
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_uint_gt(info.weight_bytes, 1000);
    ck_assert_uint_gt(info.activation_bytes, 1000);
    ck_assert_uint_gt(info.trace_bytes, 1000);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ explain, whole --------- */

static vitx_explain_opts how(const char *method)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = method;
    return o;
}

/* Many maps of one forward pass are the maps that single calls give. */
START_TEST(test_explain__many_equals_one_by_one)
{
    enum { N = 3 };
    static const char *const set[] = {"fuse=max", "discard=0.3"};
    vitx_model *model;
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    vitx_context *many = make_context(model, "cpu", 2, 2),
                 *single = make_context(model, "cpu", 1, 1);
    vitx_image *images[N];
    for (int i = 0; i < N; i++)
        images[i] = noise((uint64_t)i + 5, 50 + i, 45);
    vitx_explain_opts o[6];
    for (int j = 0; j < 6; j++)
        o[j] = how(j % 2 ? "rollout" : "attention");
    o[1].set = set;
    o[1].set_count = 2;
    o[2].layer = VITX_ALL;
    o[2].head = VITX_ALL;
    o[3].query = 2;
    o[4].target = 1;
    o[4].head = 0;
    o[5].layer = 0;
    vitx_map *maps[N * 6], *map;
    ck_ok(vitx_explain_many(maps, many, (const vitx_image *const *)images, N, o, 6));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < 6; j++) {
            vitx_map_info info = VITX_MAP_INFO_INIT, other = VITX_MAP_INFO_INIT;
            ck_ok(vitx_explain(&map, single, images[i], &o[j]));
            ck_ok(vitx_map_get_info(&info, maps[i * 6 + j]));
            ck_ok(vitx_map_get_info(&other, map));
            ck_assert_int_eq(info.rank, j == 2 ? 4 : 2);
            ck_assert_int_eq(info.target, other.target);
            ck_assert_int_eq(info.picture_width, 50 + i);
            size_t count = 1;
            for (int axis = 0; axis < info.rank; axis++) {
                ck_assert_int_eq((int)info.shape[axis], (int)other.shape[axis]);
                count *= (size_t)info.shape[axis];
            }
            ck_assert_double_lt(
                max_error_ff(vitx_map_values(maps[i * 6 + j]), vitx_map_values(map), count), 1e-5);
            vitx_map_free(map);
            vitx_map_free(maps[i * 6 + j]);
        }
    for (int i = 0; i < N; i++)
        vitx_image_free(images[i]);
    vitx_context_free(many);
    vitx_context_free(single);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_explain__bad_requests)
{
    vitx_model *model;
    vitx_image *image = picture();
    vitx_map *map = (vitx_map *)&model;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    static const char *const set[] = {"fuse"}, *const unknown[] = {"sharpness=3"};
    vitx_explain_opts o = how("gradcamel");
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID,
             "no method \"gradcamel\"; there are: attention, rollout");
    ck_assert_ptr_null(map);
    o = how(NULL);
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "no method is given");
    o = how("rollout");
    o.layer = 99;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID,
             "layer 99 is out of range: the model has 3 (0 to 2)");
    o = how("rollout");
    o.head = 3;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "head 3 is out of range");
    o = how("rollout");
    o.query = 26;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "query 26 is out of range");
    o = how("attention");
    o.target = 7;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "target 7 is out of range");
    o = how("attention");
    o.target = -5;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "target -5");
    o = how("attention");
    o.set = set;
    o.set_count = 1;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "not key=value");
    o.set = unknown;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "no option \"sharpness\"");
    o.struct_size = 4;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_INVALID, "struct_size");
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_units__have_no_classes)
{
    vitx_model *model;
    vitx_image *image = picture();
    vitx_prediction top;
    vitx_map *map;
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm-bare", NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    ck_fails(vitx_classify(c, image, &top, 1), VITX_UNSUPPORTED, "vitx-cli embed");
    o.method = "rise";
    o.target = 3;
    o.score = VITX_SCORE_PROBABILITY;
    ck_fails(vitx_explain(&map, c, image, &o), VITX_UNSUPPORTED, "no probabilities");
    o.score = VITX_SCORE_AUTO; /* rise's own is the probability */
    ck_ok(vitx_explain(&map, c, image, &o));
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert_int_eq(info.score, VITX_SCORE_LOGIT);
    ck_assert(info.probability == 0 && info.value == (double)info.logit);
    vitx_map_free(map);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_context__bad_options)
{
    const size_t size = sizeof(vitx_context_opts);
    const struct {
        vitx_context_opts o;
        int code;
        const char *part;
    } rows[] = {
        {{.struct_size = size, .device = "tpu"}, VITX_DEVICE, "there are: cuda, cpu, ref"},
        {{.struct_size = size, .device = "cpu", .precision = "f8"},
         VITX_DEVICE,
         "no precision \"f8\""},
        {{.struct_size = size, .threads = 257}, VITX_INVALID, "threads = 257"},
        {{.struct_size = size, .max_batch = -1}, VITX_INVALID, "max_batch = -1"},
        {{.struct_size = size, .fit = (vitx_fit)7}, VITX_INVALID, "fit = 7"},
        {{.struct_size = size, .gradients = (vitx_gradients)3}, VITX_INVALID, "gradients = 3"},
        {{.struct_size = 8}, VITX_INVALID, "struct_size is 8"},
    };
    vitx_model *model;
    vitx_context *c;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-hf", NULL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_fails(vitx_context_create(&c, model, &rows[i].o), rows[i].code, rows[i].part);
        ck_assert_ptr_null(c);
    }
    ck_fails(vitx_context_create(&c, NULL, NULL), VITX_INVALID, "model is NULL");
    vitx_context_free(NULL);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ process manners -------- */

static int stop_at_two(int64_t done, int64_t total, void *payload)
{
    (void)total;
    (*(int *)payload)++;
    return done == 2;
}

/* After the last block: as if the weights had overflowed where the logits do not look. */
static int poison(int64_t done, int64_t total, void *payload)
{
    vitx_context *c = payload;
    for (size_t i = 0; done == total && i < c->trace.bytes / sizeof(float); i++)
        ((float *)c->trace.memory)[i] = NAN;
    return 0;
}

START_TEST(test_explain__a_map_of_nans_is_a_failure)
{
    vitx_model *model;
    vitx_image *image = picture();
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map = (vitx_map *)1;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    opts.method = "attention";
    c->progress = poison;
    c->progress_payload = c;
    ck_fails(vitx_explain(&map, c, image, &opts), VITX_FORMAT, "the map holds a NaN");
    ck_assert_ptr_null(map);
    c->progress = NULL;
    ck_ok(vitx_explain(&map, c, image, &opts));
    vitx_map_free(map);
    /* Outputs are NULL after every failure, the earliest ones too. */
    map = (vitx_map *)1;
    ck_fails(vitx_explain(&map, NULL, image, &opts), VITX_INVALID, "NULL");
    ck_assert_ptr_null(map);
    map = (vitx_map *)1;
    ck_fails(vitx_map_resize(&map, NULL, 1, 1), VITX_INVALID, "NULL");
    ck_assert_ptr_null(map);
    ck_fails(vitx_explain(NULL, c, image, &opts), VITX_INVALID, "NULL");
    ck_assert_ptr_null(vitx_map_values(NULL));
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

START_TEST(test_progress__cancels_and_leaves_the_context_usable)
{
    vitx_model *model;
    vitx_image *image = picture();
    vitx_prediction top;
    int calls = 0;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.progress = stop_at_two;
    o.progress_payload = &calls;
    ck_ok(vitx_context_create(&c, model, &o));
    ck_fails(vitx_classify(c, image, &top, 1), VITX_CANCELLED, "cancelled");
    ck_assert_int_eq(calls, 2);
    c->progress = NULL;
    ck_ok(vitx_classify(c, image, &top, 1));
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

static int count_threads(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* No thread but those asked for, and not a byte of the environment changed. */
START_TEST(test_context__leaves_the_process_alone)
{
    extern char **environ;
    const int before = count_threads();
    const char *const threads = getenv("OPENBLAS_NUM_THREADS"), *const kernels =
                                                                    getenv("OPENBLAS_CORETYPE");
    int variables = 0;
    for (char **e = environ; *e; e++)
        variables++;
    char **const place = environ;
    vitx_model *model;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-hf", NULL));
    vitx_context *c = make_context(model, "cpu", 1, 1);
    vitx_image *image = picture();
    vitx_prediction top;
    ck_ok(vitx_classify(c, image, &top, 1));
    ck_assert_int_eq(count_threads(), before);
    vitx_context *three = make_context(model, "cpu", 3, 1);
    ck_assert_int_eq(count_threads(), before < 0 ? before : before + 2);
    vitx_context_free(three);
    ck_assert_ptr_eq(environ, place);
    int after = 0;
    for (char **e = environ; *e; e++)
        after++;
    ck_assert_int_eq(after, variables);
    ck_assert_ptr_eq(getenv("OPENBLAS_NUM_THREADS"), threads);
    ck_assert_ptr_eq(getenv("OPENBLAS_CORETYPE"), kernels);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* Workers do not live on in a child; its context must neither wait for them nor answer
 * otherwise. */
START_TEST(test_context__goes_on_after_fork)
{
    vitx_model *model;
    vitx_image *image = picture();
    vitx_prediction top, again;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = make_context(model, "cpu", 3, 1);
    ck_ok(vitx_classify(c, image, &top, 1));
    const pid_t child = fork();
    if (child == 0) {
        const int status = vitx_classify(c, image, &again, 1);
        vitx_context_free(c);
        _exit(status == VITX_OK && again.index == top.index && again.logit == top.logit ? 0 : 1);
    }
    int result = -1;
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    ck_assert_int_eq(result, 0);
    ck_ok(vitx_classify(c, image, &again, 1));
    ck_assert_float_eq(again.logit, top.logit);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

typedef struct share {
    vitx_model *model;
    vitx_prediction top;
} share;

static void *classify_in_thread(void *arg)
{
    share *s = arg;
    vitx_context *c = make_context(s->model, "cpu", 2, 1);
    vitx_image *image = picture();
    for (int i = 0; i < 5; i++)
        ck_ok(vitx_classify(c, image, &s->top, 1));
    vitx_image_free(image);
    vitx_context_free(c);
    return NULL;
}

START_TEST(test_model__is_shared_by_threads)
{
    enum { N = 4 };
    pthread_t threads[N];
    share s[N];
    vitx_model *model;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    for (int i = 0; i < N; i++) {
        s[i].model = model;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, classify_in_thread, &s[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < N; i++) {
        ck_assert_int_eq(s[i].top.index, s[0].top.index);
        ck_assert_float_eq(s[i].top.logit, s[0].top.logit);
    }
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ allocations ------------ */

static int drop(const void *data, size_t bytes, void *payload)
{
    (void)data;
    *(size_t *)payload += bytes;
    return 0;
}

/* Open, create, classify, explain two ways, render in all formats. */
static int whole_way(const vitx_hooks *hooks, const char *folder)
{
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = NULL;
    vitx_map *maps[2] = {NULL, NULL}, *large = NULL;
    vitx_prediction top[2];
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_image_opts io = VITX_IMAGE_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    mo.hooks = io.hooks = hooks;
    co.threads = 1;
    int status = vitx_model_open(&model, folder, &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_image_open_with(&image, "test/golden/models/picture.png", &io);
    if (status == VITX_OK)
        status = vitx_classify(c, image, top, 2);
    static const char *const set[] = {"discard=0.2"};
    vitx_explain_opts o[2] = {how("attention"), how("rollout")};
    o[1].set = set;
    o[1].set_count = 1;
    if (status == VITX_OK)
        status = vitx_explain_many(maps, c, (const vitx_image *const[]){image}, 1, o, 2);
    if (status == VITX_OK)
        status = vitx_map_to_picture(&large, maps[0]);
    for (int f = 0; status == VITX_OK && vitx_format_name(f); f++) {
        size_t written = 0;
        vitx_render_opts ro = VITX_RENDER_OPTS_INIT;
        ro.format = vitx_format_name(f);
        ro.colorbar = 1;
        ro.frame = VITX_FRAME_INPUT;
        status = vitx_render_write(maps[1], image, drop, &written, &ro);
        ck_assert(status != VITX_OK || written > 100);
    }
    vitx_map_free(large);
    vitx_map_free(maps[0]);
    vitx_map_free(maps[1]);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
    return status;
}

START_TEST(test_memory__every_allocation_may_fail)
{
    static const char *const models[] = {"test/golden/models/vit-timm",
                                         "test/golden/models/vit-hf-sharded"};
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(whole_way(&hooks, models[_i]));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    ck_assert_int_gt(needed, 20);
    for (int n = 0; n < needed; n++) {
        r = (ration){.left = n};
        const int status = whole_way(&hooks, models[_i]);
        ck_assert_msg(status == VITX_NOMEM, "with %d allocations: %s, %s", n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

START_TEST(test_classify__allocates_nothing_after_the_first_call)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    mo.hooks = &hooks;
    vitx_model *model;
    vitx_map *map;
    vitx_image *image = noise(3, 200, 120);
    vitx_prediction top;
    const vitx_explain_opts o = how("rollout");
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", &mo));
    vitx_context *c = make_context(model, "cpu", 2, 1);
    ck_ok(vitx_classify(c, image, &top, 1));
    ck_ok(vitx_explain(&map, c, image, &o));
    vitx_map_free(map);
    const int calls = r.calls;
    for (int i = 0; i < 3; i++)
        ck_ok(vitx_classify(c, image, &top, 1));
    ck_assert_int_eq(r.calls, calls);
    ck_ok(vitx_explain(&map, c, image, &o)); /* the map itself: its handle and its values */
    ck_assert_int_eq(r.calls, calls + 2);
    vitx_map_free(map);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

/* ------------------------------------------------------------------ the real DeiT-tiny ----- */

START_TEST(test_deit_tiny__real_photos)
{
    if (!have_real_model("the real DeiT-tiny"))
        return;
    npy logits = read_npy(golden_path("deit_tiny/logits.npy"));
    npy rows = read_npy(golden_path("deit_tiny/attention.npy"));
    npy rollout = read_npy(golden_path("deit_tiny/rollout.npy"));
    char *names = read_file(golden_path("deit_tiny/names.txt"), NULL), *save = NULL;
    vitx_model *model;
    ck_ok(vitx_model_open(&model, shared_path("models/deit_tiny_patch16_224"), NULL));
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *recipe, *squash;
    ck_ok(vitx_context_create(&recipe, model, &o));
    o.fit = VITX_FIT_SQUASH;
    ck_ok(vitx_context_create(&squash, model, &o));
    size_t i = 0;
    for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save), i++) {
        vitx_context *c = strncmp(name, "crops/", 6) == 0 ? squash : recipe;
        vitx_image *image;
        vitx_map *map;
        vitx_view view;
        vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
        trace.record = VITX_RECORD_ROW;
        ck_ok(vitx_image_open(&image, shared_path(name)));
        ck_ok(vitx_context_set_trace(c, &trace));
        ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
        ck_ok(vitx_logits(&view, c));
        double error = max_error_f32(view.data, logits.data + i * 1000, 1000);
        ck_assert_msg(error < TOL_LOGITS, "%s: logits: error %g", name, error);
        ck_ok(vitx_attention(&view, c, 11));
        error = max_error_f32(view.data, rows.data + i * 3 * 197, 3 * 197);
        ck_assert_msg(error < TOL_MAP, "%s: class rows: error %g", name, error);
        const vitx_explain_opts eo = how("rollout");
        ck_ok(vitx_explain(&map, c, image, &eo));
        error = max_error_f32(vitx_map_values(map), rollout.data + i * 196, 196);
        ck_assert_msg(error < TOL_MAP, "%s: rollout: error %g", name, error);
        vitx_map_free(map);
        vitx_image_free(image);
    }
    ck_assert_uint_eq(i, logits.shape[0]);
    vitx_context_free(recipe);
    vitx_context_free(squash);
    vitx_model_free(model);
    free(names);
    free_npy(&logits);
    free_npy(&rows);
    free_npy(&rollout);
}
END_TEST

/* dog.jpg with every rollout variant of the golden, vit-explain's own among them. */
START_TEST(test_deit_tiny__rollout_variants)
{
    if (!have_real_model("the real DeiT-tiny"))
        return;
    npy maps = read_npy(golden_path("deit_tiny/dog_rollout.npy"));
    char *lines = read_file(golden_path("deit_tiny/dog_rollout.txt"), NULL), *save = NULL;
    vitx_model *model;
    vitx_image *image;
    ck_ok(vitx_model_open(&model, shared_path("models/deit_tiny_patch16_224"), NULL));
    ck_ok(vitx_image_open(&image, shared_path("images/dog.jpg")));
    vitx_context *c = make_context(model, "cpu", 0, 1);
    size_t i = 0;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save), i++) {
        char fuse[16], discard[16], form[16], text[4][32];
        int start;
        ck_assert_int_eq(sscanf(line, "%15s %15s %d %15s", fuse, discard, &start, form), 4);
        snprintf(text[0], sizeof text[0], "fuse=%s", fuse);
        snprintf(text[1], sizeof text[1], "discard=%s", discard);
        snprintf(text[2], sizeof text[2], "start=%d", start);
        snprintf(text[3], sizeof text[3], "compat=%s",
                 strcmp(form, "compat") == 0 ? "vit-explain" : "none");
        const char *const set[] = {text[0], text[1], text[2], text[3]};
        vitx_explain_opts o = how("rollout");
        vitx_map *map;
        o.set = set;
        o.set_count = 4;
        ck_ok(vitx_explain(&map, c, image, &o));
        const double error = max_error_f32(vitx_map_values(map), maps.data + i * 196, 196);
        ck_assert_msg(error < TOL_MAP, "%s: error %g", line, error);
        vitx_map_free(map);
    }
    ck_assert_uint_eq(i, maps.shape[0]);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
    free(lines);
    free_npy(&maps);
}
END_TEST

static Suite *engine_suite(void)
{
    folder_count = model_folders(folders);
    Suite *suite = suite_create("engine");
    TCase *tcase = tcase_create("engine");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, test_forward__matches_float64, 0, folder_count * SETUPS);
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(tcase, test_forward__matches_the_librarys_own_transform, 0,
                            folder_count);
    tcase_add_test(tcase, test_classify__batches_give_the_answers_of_single_pictures);
    tcase_add_test(tcase, test_classify__ranks_all_classes);
    tcase_add_loop_test(tcase, test_trace__policies_agree, 0, 4);
    tcase_add_test(tcase, test_trace__states_its_size_and_keeps_to_the_budget);
    tcase_add_loop_test(tcase, test_explain__many_equals_one_by_one, 0, folder_count);
    tcase_add_test(tcase, test_explain__bad_requests);
    tcase_add_test(tcase, test_explain__a_map_of_nans_is_a_failure);
    tcase_add_test(tcase, test_units__have_no_classes);
    tcase_add_test(tcase, test_context__bad_options);
    tcase_add_test(tcase, test_progress__cancels_and_leaves_the_context_usable);
    tcase_add_test(tcase, test_context__leaves_the_process_alone);
    tcase_add_test(tcase, test_context__goes_on_after_fork);
    tcase_add_test(tcase, test_model__is_shared_by_threads);
    tcase_add_loop_test(tcase, test_memory__every_allocation_may_fail, 0, 2);
    tcase_add_test(tcase, test_classify__allocates_nothing_after_the_first_call);
    tcase_add_test(tcase, test_deit_tiny__real_photos);
    tcase_add_test(tcase, test_deit_tiny__rollout_variants);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(engine_suite)
