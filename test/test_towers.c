/*
 * test_towers.c: the pooling head against its own libraries in float64, maps of towers, and what is
 * explained of an embedding. (The rest of the towers of CLIP and SigLIP is compared as every model
 * is: test_engine.c, test_families.c.) VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "util.h"

static const char *const devices[] = {"cpu", "ref"};

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    npy input;
    int n;
} bench;

static npy golden(const char *model, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "models/%s/%s", model, name);
    return read_npy(golden_path(path));
}

static bench open_bench(const char *name, const char *device, const npy *input,
                        vitx_gradients gradients)
{
    char path[100];
    bench b = {.input = *input, .n = (int)input->shape[0]};
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "models/%s", name);
    ck_ok(vitx_model_open(&b.model, golden_path(path), NULL));
    opts.device = device;
    opts.max_batch = b.n;
    opts.threads = 2;
    opts.gradients = gradients;
    ck_ok(vitx_context_create(&b.c, b.model, &opts));
    return b;
}

static void close_bench(bench *b)
{
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

/* The golden's inputs through the context's own pass, as vitx_forward would run them. */
static void forward(bench *b)
{
    vitx_context *c = b->c;
    for (size_t i = 0; i < b->input.count; i++)
        c->act.host.input[i] = (float)b->input.data[i];
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input, b->input.count * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_context_place(c, &c->wish, &c->trace, c->max_batch));
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = b->n}));
    ck_ok(vx_context_answers(c, &c->act, b->n));
    c->recorded = b->n;
}

static const char *const pooled[] = {"aimv2-hf",           "siglip-hf",
                                     "siglip-timm",        "siglip-hf-full",
                                     "siglip-open-clip",   "vit-timm-map",
                                     "siglip-big-vision",  "vit-big-vision-map",
                                     "vit-timm-map-class", "vit-timm-map-registers",
                                     "pe-timm-core",       "clip-open-clip-pe"};

START_TEST(test_towers__pooling_attention_matches_float64)
{
    const char *name = pooled[_i / 2];
    npy input = golden(name, "input.npy"), expected = golden(name, "attention_pool.npy");
    bench b = open_bench(name, devices[_i % 2], &input, VITX_GRADIENTS_AUTO);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    ck_fails(vitx_pool_attention(&view, b.c), VITX_INVALID, "vitx_forward");
    trace.record = VITX_RECORD_ROW;
    ck_ok(vitx_context_set_trace(b.c, &trace));
    forward(&b);
    ck_ok(vitx_pool_attention(&view, b.c));
    ck_assert(view.rank == 4 && view.shape[0] == b.n && view.shape[1] == b.c->arch.pool_heads &&
              view.shape[2] == 1 && view.shape[3] == vx_arch_tokens(&b.c->arch));
    const double error = max_error_f32(view.data, expected.data, expected.count);
    ck_assert_msg(error < TOL_MAP, "%s: error %g", name, error);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

START_TEST(test_towers__only_a_pooling_head_has_its_attention)
{
    npy input = golden("clip-hf", "input.npy");
    bench b = open_bench("clip-hf", "cpu", &input, VITX_GRADIENTS_AUTO);
    vitx_view view;
    forward(&b);
    ck_fails(vitx_pool_attention(&view, b.c), VITX_UNSUPPORTED, "no attention-pooling head");
    close_bench(&b);
    free_npy(&input);
}
END_TEST

/* ------------------------------------------------------------------ maps ------------------- */

static vitx_image *picture(void)
{
    vitx_image *image;
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    return image;
}

/* What maps.txt calls logit and cosine. */
static void explain_it(vitx_explain_opts *o, const char *score, float *vector, int count)
{
    const bool cosine = strcmp(score, "cosine") == 0;
    vitx_explain_opts_init(o, sizeof *o);
    for (int k = 0; k < count; k++)
        vector[k] = sinf((float)(k + 1));
    o->target = cosine ? VITX_AUTO : 2;
    o->vector = cosine ? vector : NULL;
    o->vector_count = cosine ? count : 0;
    o->score = cosine ? VITX_SCORE_COSINE : VITX_SCORE_LOGIT;
}

static const char *const mapped[] = {
    "clip-hf",      "siglip-hf",          "pe-timm-core",
    "vit-timm-map", "vit-timm-map-class", "vit-timm-map-registers"};
#define MAPPED ((int)(sizeof mapped / sizeof mapped[0]))

START_TEST(test_towers__maps_match_autograd)
{
    const char *name = mapped[_i / 2];
    char path[100], method[30], score[30], layer[30], *lines;
    npy input = golden(name, "input.npy"), expected = golden(name, "maps.npy");
    snprintf(path, sizeof path, "models/%s/maps.txt", name);
    lines = read_file(golden_path(path), NULL);
    bench b = open_bench(name, devices[_i % 2], &input, VITX_GRADIENTS_AUTO);
    vitx_image *image = picture();
    float vector[64];
    size_t row = 0;
    const size_t patches = expected.shape[1];
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), row++) {
        vitx_explain_opts o;
        vitx_map *map;
        vitx_map_info info = VITX_MAP_INFO_INIT;
        ck_assert_int_eq(sscanf(line, "%29s %29s %29s", method, score, layer), 3);
        explain_it(&o, score, vector, b.c->arch.classes);
        o.method = method;
        o.layer = strcmp(layer, "auto") == 0 ? VITX_AUTO : atoi(layer);
        ck_ok(vitx_explain(&map, b.c, image, &o));
        ck_ok(vitx_map_get_info(&info, map));
        const npy one = {.data = expected.data + row * patches, .count = patches};
        const double error = max_error_f32(vitx_map_values(map), one.data, patches);
        ck_assert_msg(error < TOL_MAP, "%s: %s: error %g", name, line, error);
        if (strcmp(score, "cosine") == 0)
            ck_assert(info.target == VITX_AUTO && info.explains == VITX_EXPLAINED_VECTOR &&
                      fabs(info.value) <= 1);
        vitx_map_free(map);
    }
    ck_assert_uint_eq(row, expected.shape[0]);
    vitx_image_free(image);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
    free(lines);
}
END_TEST

START_TEST(test_towers__saliency_of_a_cosine_matches_autograd)
{
    const char *name = mapped[_i / 2];
    npy input = golden(name, "input.npy"), expected = golden(name, "saliency.npy");
    bench b = open_bench(name, devices[_i % 2], &input, VITX_GRADIENTS_AUTO);
    vitx_image *image = picture();
    float vector[64];
    vitx_explain_opts o;
    vitx_map *map;
    explain_it(&o, "cosine", vector, b.c->arch.classes);
    for (int k = 0; k < b.c->arch.classes; k++)
        vector[k] *= 1000; /* its length does not count */
    o.method = "saliency";
    ck_ok(vitx_explain(&map, b.c, image, &o));
    const double error = max_error_f32(vitx_map_values(map), expected.data, expected.count);
    ck_assert_msg(error < TOL_MAP, "%s: error %g", name, error);
    vitx_map_free(map);
    vitx_image_free(image);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

/* Patches left out: the head attends to those that are there. */
START_TEST(test_towers__pooling_of_fewer_patches_matches_float64)
{
    static const char *const set[] = {"remove=drop"};
    const char *name = mapped[3 + _i / 2];
    npy input = golden(name, "input.npy"), expected = golden(name, "drop.npy");
    bench b = open_bench(name, devices[_i % 2], &input, VITX_GRADIENTS_AUTO);
    vitx_image *image = picture();
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = "occlusion";
    o.target = 2;
    o.set = set;
    o.set_count = 1;
    ck_ok(vitx_explain(&map, b.c, image, &o));
    const double error = max_error_f32(vitx_map_values(map), expected.data, expected.count);
    ck_assert_msg(error < TOL_MAP, "error %g", error);
    vitx_map_free(map);
    vitx_image_free(image);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

/* ------------------------------------------------------------------ vectors ---------------- */

typedef struct scene {
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} scene;

static scene open_scene(const char *name)
{
    char path[100];
    scene s = {.image = picture()};
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "models/%s", name);
    ck_ok(vitx_model_open(&s.model, golden_path(path), NULL));
    opts.threads = 1;
    opts.max_batch = 2;
    ck_ok(vitx_context_create(&s.c, s.model, &opts));
    return s;
}

static void close_scene(scene *s)
{
    vitx_image_free(s->image);
    vitx_context_free(s->c);
    vitx_model_free(s->model);
}

START_TEST(test_embed__is_what_the_library_answers)
{
    scene s = open_scene("clip-hf");
    npy expected = golden("clip-hf", "logits.npy");
    const vitx_image *images[] = {s.image, s.image, s.image};
    float out[21], unit[7];
    double square = 0;
    ck_ok(vitx_embed_batch(s.c, images, 3, out, 0));
    for (int i = 0; i < 3; i++)
        ck_assert_double_lt(max_error_f32(out + 7 * i, expected.data, 7), TOL_LOGITS);
    ck_ok(vitx_embed(s.c, s.image, unit, 1));
    for (int k = 0; k < 7; k++)
        square += (double)unit[k] * unit[k];
    ck_assert_double_eq_tol(square, 1, 1e-6);
    ck_assert_double_eq_tol((double)(unit[0] / unit[1]), (double)(out[0] / out[1]), 1e-5);
    ck_fails(vitx_embed(s.c, s.image, NULL, 0), VITX_INVALID, "NULL");
    ck_fails(vitx_embed_batch(s.c, images, 0, out, 0), VITX_INVALID, "0 pictures");
    close_scene(&s);
    free_npy(&expected);
    s = open_scene("vit-timm-map");
    ck_fails(vitx_embed(s.c, s.image, out, 0), VITX_UNSUPPORTED, "vitx-cli classify");
    close_scene(&s);
}
END_TEST

/* A picture is the vector of its embedding; many jobs and pictures are what single ones are. */
START_TEST(test_like__is_the_vector_of_that_picture)
{
    static const char *const methods[] = {"gradcam",   "rise",    "legrad",
                                          "occlusion", "generic", "smoothgrad"};
    enum { M = sizeof methods / sizeof methods[0] };
    scene s = open_scene(_i ? "siglip-hf" : "clip-hf");
    vitx_image *like;
    vitx_explain_opts o[2 * M];
    vitx_map *maps[2 * 2 * M];
    float vector[64];
    const int k = s.c->arch.classes;
    ck_ok(vitx_image_open(&like, golden_path("image/410.jpg")));
    ck_ok(vitx_embed(s.c, like, vector, 0));
    for (int j = 0; j < 2 * M; j++) {
        vitx_explain_opts_init(&o[j], sizeof o[j]);
        o[j].method = methods[j % M];
        o[j].like = j < M ? like : NULL;
        o[j].vector = j < M ? NULL : vector;
        o[j].vector_count = j < M ? 0 : k;
        if (strcmp(o[j].method, "rise") == 0) {
            static const char *const few[] = {"n=20"};
            o[j].set = few;
            o[j].set_count = 1;
        }
    }
    const vitx_image *images[] = {s.image, like};
    ck_ok(vitx_explain_many(maps, s.c, images, 2, o, 2 * M));
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < M; j++) {
            vitx_map_info a = VITX_MAP_INFO_INIT, b = VITX_MAP_INFO_INIT;
            vitx_map *first = maps[i * 2 * M + j], *second = maps[i * 2 * M + M + j];
            ck_ok(vitx_map_get_info(&a, first));
            ck_ok(vitx_map_get_info(&b, second));
            ck_assert(a.explains == VITX_EXPLAINED_PICTURE && b.explains == VITX_EXPLAINED_VECTOR);
            ck_assert(a.score == VITX_SCORE_COSINE && b.score == VITX_SCORE_COSINE);
            ck_assert_double_eq_tol(a.value, b.value, 1e-6);
            if (i ==
                1) /* the picture itself: as similar as can be, and every change makes it less so */
                ck_assert_double_eq_tol(a.value, 1, 1e-6);
            const float *x = vitx_map_values(first), *y = vitx_map_values(second);
            for (int64_t p = 0; p < a.shape[0] * a.shape[1]; p++)
                ck_assert_double_eq_tol((double)x[p], (double)y[p], 1e-6);
        }
    for (int i = 0; i < 2 * 2 * M; i++)
        vitx_map_free(maps[i]);
    vitx_image_free(like);
    close_scene(&s);
}
END_TEST

static void refuse(scene *s, const vitx_explain_opts *o, int code, const char *part)
{
    vitx_map *map = (vitx_map *)1;
    ck_fails(vitx_explain(&map, s->c, s->image, o), code, part);
    ck_assert(map == NULL);
}

START_TEST(test_vector__bad_requests)
{
    scene s = open_scene("clip-hf");
    float vector[7] = {1, 2, 3, 4, 5, 6, 7};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = "gradcam";
    o.score = VITX_SCORE_COSINE;
    refuse(&s, &o, VITX_INVALID, "no vector, picture or text is given");
    o.score = (vitx_score)6;
    refuse(&s, &o, VITX_INVALID, "no vitx_score");
    o.score = VITX_SCORE_AUTO;
    o.vector = vector;
    for (int count = -1; count < 9; count += 9) {
        o.vector_count = count;
        refuse(&s, &o, VITX_INVALID, "the model's outputs are 7");
    }
    o.vector_count = 7;
    o.target = 3;
    refuse(&s, &o, VITX_INVALID, "in place of one");
    o.target = VITX_AUTO;
    o.versus = 3;
    refuse(&s, &o, VITX_INVALID, "in place of one");
    o.versus = VITX_AUTO;
    o.score = VITX_SCORE_LOGIT;
    refuse(&s, &o, VITX_INVALID, "score cosine or dot");
    o.score = VITX_SCORE_AUTO;
    o.like = s.image;
    refuse(&s, &o, VITX_INVALID, "two are given");
    o.like = NULL;
    vector[4] = NAN;
    refuse(&s, &o, VITX_INVALID, "number 4 of the vector is a NaN");
    vector[4] = -INFINITY;
    refuse(&s, &o, VITX_INVALID, "number 4 of the vector is an infinity");
    memset(vector, 0, sizeof vector);
    refuse(&s, &o, VITX_INVALID, "has no direction");
    vector[3] = 3e38f; /* neither its square nor its inverse may overflow */
    vitx_map *map;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_explain(&map, s.c, s.image, &o));
    ck_ok(vitx_map_get_info(&info, map));
    ck_assert(isfinite(info.value) && fabs(info.value) <= 1);
    vitx_map_free(map);
    vector[3] = 1e-40f;
    ck_ok(vitx_explain(&map, s.c, s.image, &o));
    ck_assert_double_eq_tol(info.value, (vitx_map_get_info(&info, map), info.value), 1e-6);
    vitx_map_free(map);
    close_scene(&s);
}
END_TEST

START_TEST(test_vector__dot_is_the_sum_of_its_units)
{
    scene s = open_scene("clip-hf");
    float vector[7] = {0, 0, -2, 0, 0.5f, 0, 0};
    vitx_explain_opts o[3];
    vitx_map *maps[3];
    for (int j = 0; j < 3; j++) {
        vitx_explain_opts_init(&o[j], sizeof o[j]);
        o[j].method = "gradcam";
        o[j].target = j == 1 ? 2 : j == 2 ? 4 : VITX_AUTO;
    }
    o[0].vector = vector;
    o[0].vector_count = 7;
    o[0].score = VITX_SCORE_DOT;
    ck_ok(vitx_explain_many(maps, s.c, (const vitx_image *const[]){s.image}, 1, o, 3));
    const float *sum = vitx_map_values(maps[0]), *a = vitx_map_values(maps[1]),
                *b = vitx_map_values(maps[2]);
    for (int p = 0; p < 25; p++)
        ck_assert_double_eq_tol((double)sum[p], -2 * (double)a[p] + 0.5 * (double)b[p], 1e-5);
    for (int j = 0; j < 3; j++)
        vitx_map_free(maps[j]);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ files ------------------ */

/* A .npy of version 1 with this dictionary and `bytes` bytes of data. */
static void write_npy(const char *path, const char *dictionary, const void *data, size_t bytes)
{
    const size_t length = strlen(dictionary);
    unsigned char *file = malloc(10 + length + bytes);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (unsigned char)(length & 255);
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + 10, dictionary, length);
    memcpy(file + 10 + length, data, bytes);
    write_file(path, (const char *)file, 10 + length + bytes);
    free(file);
}

#define DICT(descr, shape) "{'descr': '" descr "', 'fortran_order': False, 'shape': " shape ", }\n"

START_TEST(test_vector__files)
{
    static const float three[3] = {1, -2.5f, 3e-3f};
    static const double wide[3] = {1, -2.5, 3e-3};
    static const uint16_t half[3] = {0x3c00, 0xc100, 0x0001};
    static const struct {
        const char *dictionary;
        const void *data;
        size_t bytes;
        int code;
        const char *part;
    } cases[] = {
        {DICT("<f4", "(3,)"), three, 12, VITX_OK, ""},
        {DICT("<f4", "(1, 3)"), three, 12, VITX_OK, ""},
        {"{'shape':(3,1),'fortran_order':True,'descr':'<f4'}", three, 12, VITX_OK, ""},
        {DICT("<f8", "(3,)"), wide, 24, VITX_OK, ""},
        {DICT("<f2", "(3,)"), half, 6, VITX_OK, ""},
        {DICT("<f4", "(4,)"), three, 12, VITX_INVALID, "a vector of 3 numbers is needed"},
        {DICT("<f4", "()"), three, 12, VITX_INVALID, "a vector of 3 numbers"},
        {DICT("<f4", "(0, 3)"), three, 12, VITX_INVALID, "its shape is (0, 3);"},
        {DICT("<f4", "(3, 3)"), three, 12, VITX_INVALID, "its shape is (3, 3);"},
        {DICT("<f4", "(99999999999999999999,)"), three, 12, VITX_INVALID, "3 numbers"},
        {DICT("<f4", "(3,)"), three, 11, VITX_FORMAT, "not as many"},
        {DICT("<f4", "(3,)"), wide, 13, VITX_FORMAT, "not as many"},
        {DICT("<f4", "(3,)"), three, 0, VITX_FORMAT, "not as many"},
        {DICT("<f4", "(3"), three, 12, VITX_FORMAT, "shape"},
        {DICT("<f4", "(-3,)"), three, 12, VITX_FORMAT, "shape"},
        {DICT("<f4", "3"), three, 12, VITX_FORMAT, "no shape"},
        {DICT(">f4", "(3,)"), three, 12, VITX_UNSUPPORTED, "type '>f4'; '<f2'"},
        {DICT("<i4", "(3,)"), three, 12, VITX_UNSUPPORTED, "<i4"},
        {"{'shape': (3,)}", three, 12, VITX_FORMAT, "no descr"},
        {"{'descr': '<f4'}", three, 12, VITX_FORMAT, "no shape"},
        {"{'descr' '<f4'}", three, 12, VITX_FORMAT, "no descr"},
        {"", three, 12, VITX_FORMAT, "no descr"},
    };
    char *folder = make_folder(), path[600];
    float out[3];
    snprintf(path, sizeof path, "%s/v.npy", folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(out, 0, sizeof out);
        write_npy(path, cases[i].dictionary, cases[i].data, cases[i].bytes);
        if (cases[i].code != VITX_OK) {
            ck_fails(vitx_vector_load(out, 3, path), cases[i].code, cases[i].part);
            continue;
        }
        ck_ok(vitx_vector_load(out, 3, path));
        ck_assert(out[0] == 1 && out[1] == -2.5f);
        ck_assert(out[2] == (cases[i].data == half ? ldexpf(1, -24) : 3e-3f));
    }
    const float bad[3] = {1, INFINITY, 2};
    write_npy(path, DICT("<f4", "(3,)"), bad, 12);
    ck_fails(vitx_vector_load(out, 3, path), VITX_FORMAT, "number 1 is no finite float");
    const double large[3] = {1, 2, 1e300}; /* no float */
    write_npy(path, DICT("<f8", "(3,)"), large, 24);
    ck_fails(vitx_vector_load(out, 3, path), VITX_FORMAT, "number 2");
    ck_fails(vitx_vector_load(out, 0, path), VITX_INVALID, "0 numbers");
    ck_fails(vitx_vector_load(out, 3, "nowhere.npy"), VITX_IO, "nowhere.npy");

    ck_ok(vitx_vectors_save(three, 1, 3, path)); /* there and back */
    ck_ok(vitx_vector_load(out, 3, path));
    ck_assert_mem_eq(out, three, sizeof three);
    /* cut anywhere, and every byte of the start changed: an answer, and nothing else */
    size_t size;
    char *file = read_file(path, &size);
    for (size_t n = 0; n < size; n++) {
        write_file(path, file, n);
        ck_assert_int_ne(vitx_vector_load(out, 3, path), VITX_OK);
    }
    for (size_t n = 0; n < size - 12; n++)
        for (int flip = 1; flip < 256; flip <<= 1) {
            file[n] = (char)(file[n] ^ flip);
            write_file(path, file, size);
            (void)vitx_vector_load(out, 3, path);
            file[n] = (char)(file[n] ^ flip);
        }
    free(file);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* ------------------------------------------------------------------ allocations ------------ */

/* Open, embed, explain likeness in five ways. */
static int whole_way(const vitx_hooks *hooks, const char *folder)
{
    enum { M = 5 };
    static const char *const methods[M] = {"attention", "rollout", "generic", "legrad",
                                           "attn-gradcam"};
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = picture();
    vitx_map *maps[M] = {NULL};
    float embedding[24];
    vitx_explain_opts o[M];
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    mo.hooks = hooks;
    co.threads = 1;
    int status = vitx_model_open(&model, folder, &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_embed(c, image, embedding, 1);
    for (int j = 0; j < M; j++) {
        vitx_explain_opts_init(&o[j], sizeof o[j]);
        o[j].method = methods[j];
        o[j].layer = j == 0 ? 0 : VITX_AUTO;
        o[j].like = j ? image : NULL;
        o[j].score = j ? VITX_SCORE_DOT : VITX_SCORE_AUTO;
    }
    if (status == VITX_OK)
        status = vitx_explain_many(maps, c, (const vitx_image *const[]){image}, 1, o, M);
    for (int j = 0; j < M; j++)
        vitx_map_free(maps[j]);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
    return status;
}

START_TEST(test_towers__every_allocation_may_fail)
{
    const char *folder = golden_path(_i ? "models/siglip-timm" : "models/clip-open-clip");
    char path[200];
    ration r = {.left = -1};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = &r;
    snprintf(path, sizeof path, "%s", folder);
    ck_ok(whole_way(&hooks, path));
    const int calls = r.calls;
    ck_assert(calls > 20 && r.live == 0);
    for (int n = 0; n < calls; n++) {
        r = (ration){.left = n};
        ck_assert_int_eq(whole_way(&hooks, path), VITX_NOMEM);
        ck_assert_msg(r.live == 0, "%d allocations stay behind when number %d fails", r.live, n);
    }
}
END_TEST

static Suite *towers_suite(void)
{
    Suite *suite = suite_create("towers");
    TCase *t = tcase_create("towers");
    tcase_add_loop_test(t, test_towers__pooling_attention_matches_float64, 0,
                        2 * (int)(sizeof pooled / sizeof pooled[0]));
    tcase_add_test(t, test_towers__only_a_pooling_head_has_its_attention);
    tcase_add_loop_test(t, test_towers__maps_match_autograd, 0, 2 * MAPPED);
    tcase_add_loop_test(t, test_towers__saliency_of_a_cosine_matches_autograd, 0, 2 * MAPPED);
    tcase_add_loop_test(t, test_towers__pooling_of_fewer_patches_matches_float64, 0,
                        2 * (MAPPED - 3));
    tcase_add_test(t, test_embed__is_what_the_library_answers);
    tcase_add_loop_test(t, test_like__is_the_vector_of_that_picture, 0, 2);
    tcase_add_test(t, test_vector__bad_requests);
    tcase_add_test(t, test_vector__dot_is_the_sum_of_its_units);
    tcase_add_test(t, test_vector__files);
    tcase_add_loop_test(t, test_towers__every_allocation_may_fail, 0, 2);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(towers_suite)
