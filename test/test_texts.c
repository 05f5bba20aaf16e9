/*
 * test_texts.c: texts through the towers of test/golden/texts by the engine's own blocks, in ragged
 * batches and alone, against what their libraries compute in float64: embeddings, and the gradient
 * of a cosine at the token rows. VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/pass.h"
#include "engine/run.h"
#include "engine/texts.h"
#include "model/model.h"
#include "util.h"

/* Ragged batches beside texts alone on the CPU: sums of the same numbers in other blocks. */
#define TOL_ALONE 2e-6

static const char *const devices[] = {"cpu", "ref", "cuda-host"};

static const char *const goldens[] = {"clip-hf",           "clip-hf-argmax",
                                      "clip-hf-text",      "clip-hf-text-bare",
                                      "siglip-hf",         "siglip2-hf",
                                      "metaclip2-hf",      "chinese-clip-hf",
                                      "altclip-hf",        "clip-open-clip",
                                      "siglip-open-clip",  "clip-open-clip-custom",
                                      "siglip-big-vision", "siglip-big-vision-scan",
                                      "cn-clip",           "clip-openai"};
enum { GOLDENS = sizeof goldens / sizeof goldens[0], MOST_IDS = 52 };

/* Under a sanitizer each tower takes one of `ways`, each another. */
static bool is_spared(int index, int ways)
{
    return SANITIZED && index % ways != index / ways % ways;
}

static npy golden(const char *model, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "texts/%s/%s.npy", model, name);
    return read_npy(golden_path(path));
}

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
} bench;

static bench open_bench(const char *name, const char *device, int max_batch,
                        const vitx_model_opts *files)
{
    char path[100];
    bench b;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "texts/%s", name);
    ck_ok(vx_text_open(&b.model, golden_path(path), files));
    opts.device = device;
    opts.max_batch = max_batch;
    opts.threads = 2;
    ck_ok(vx_texts_create(&b.c, b.model, &opts));
    return b;
}

static void close_bench(bench *b)
{
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

/* Texts one behind the other. */
typedef struct texts {
    int n, *ids, *starts;
} texts;

static void free_texts(texts *t)
{
    free(t->ids);
    free(t->starts);
}

static void add_text(texts *t, const vx_text_model *m, const vx_token *tokens, int n)
{
    int length;
    ck_ok(vx_text_length(&length, m, tokens, n));
    t->starts[t->n + 1] = t->starts[t->n] + length;
    for (int i = 0; i < length; i++)
        t->ids[t->starts[t->n] + i] = tokens[i].id;
    t->n++;
}

/* Those of ids.npy. */
static texts golden_texts(const char *name, const vx_text_model *m)
{
    npy ids = golden(name, "ids");
    const size_t n = ids.shape[0], width = ids.shape[1];
    texts t = {.ids = malloc(sizeof(int) * n * width), .starts = calloc(n + 1, sizeof(int))};
    for (size_t i = 0; i < n; i++) {
        vx_token tokens[MOST_IDS] = {{0}};
        int count = 0;
        for (size_t j = 0; j < width; j++)
            if (ids.data[i * width + j] >= 0)
                tokens[count++].id = (int)ids.data[i * width + j];
        add_text(&t, m, tokens, count);
    }
    free_npy(&ids);
    return t;
}

/* n texts of any ids, which vx_texts_run does not look at, of 1 to all tokens; of a tower that
 * reads the last of all of them, of all. */
static texts many_texts(const vx_text_model *m, int n, uint64_t seed)
{
    rng r = {seed};
    const int most = m->arch.grid_width, least = m->text.where == VX_TEXT_LAST ? most : 1;
    texts t = {.n = n,
               .ids = malloc(sizeof(int) * (size_t)(n * most)),
               .starts = calloc((size_t)n + 1, sizeof(int))};
    for (int i = 0; i < n; i++) {
        t.starts[i + 1] = t.starts[i] + rng_int(&r, least, i % 5 ? most : least);
        for (int j = t.starts[i]; j < t.starts[i + 1]; j++)
            t.ids[j] = rng_int(&r, 0, m->arch.vocabulary - 1);
    }
    return t;
}

static int length_of(const texts *t, int i)
{
    return t->starts[i + 1] - t->starts[i];
}

static float *run(bench *b, const texts *t)
{
    float *out = malloc(sizeof *out * (size_t)t->n * (size_t)b->model->arch.classes);
    int *order = malloc(sizeof *order * (size_t)t->n);
    ck_ok(vx_texts_sort(order, &b->c->hooks, t->ids, t->starts, t->n));
    ck_ok(vx_texts_run(out, b->c, t->ids, t->starts, order, t->n));
    free(order);
    return out;
}

/* ------------------------------------------------------------------ goldens ---------------- */

START_TEST(test_texts__embeddings_match_float64)
{
    if (is_spared(_i, 3))
        return;
    const char *name = goldens[_i / 3];
    bench b = open_bench(name, devices[_i % 3], 0, NULL);
    npy expected = golden(name, "text_embeds");
    texts t = golden_texts(name, b.model);
    float *out = run(&b, &t);
    ck_assert_uint_eq(expected.count, (size_t)t.n * (size_t)b.model->arch.classes);
    const double error = max_error_f32(out, expected.data, expected.count);
    ck_assert_msg(error < TOL_LOGITS, "%s: error %g", name, error);
    free(out);
    free_texts(&t);
    free_npy(&expected);
    close_bench(&b);
}
END_TEST

/* What the golden's cosine is with: the picture's embedding, or, of a text tower alone, cos(k). */
static void direction_of(double *out, const char *name, size_t k)
{
    char path[200];
    double square = 0;
    snprintf(path, sizeof path, "texts/%s/image_embeds.npy", name);
    FILE *f = fopen(golden_path(path), "rb");
    npy image = f ? golden(name, "image_embeds") : (npy){0};
    for (size_t i = 0; i < k; i++) {
        out[i] = f ? image.data[i] : cos((double)i);
        square += out[i] * out[i];
    }
    for (size_t i = 0; i < k; i++)
        out[i] /= sqrt(square);
    if (f)
        fclose(f);
    if (f)
        free_npy(&image);
}

/* d cosine by the embedding e. @return the cosine */
static double cosine_slope(float *slope, const float *e, const double *direction, size_t k)
{
    double square = 0, dot = 0;
    for (size_t i = 0; i < k; i++) {
        square += (double)e[i] * e[i];
        dot += (double)e[i] * direction[i];
    }
    const double length = sqrt(square);
    for (size_t i = 0; i < k; i++)
        slope[i] = (float)((direction[i] - dot / length * e[i] / length) / length);
    return dot / length;
}

/* Floats of the device, in malloc'ed memory. */
static float *read_floats(vitx_context *c, const vx_far *from, size_t count)
{
    float *out = malloc(sizeof *out * count);
    ck_ok(vx_context_read(c, out, from, count * sizeof *out));
    return out;
}

/* One text forward with the plan, and backward from the cosine's slope. @return the cosine */
static double differentiate(bench *b, const texts *t, int i, const double *direction, vx_plan *plan)
{
    vitx_context *c = b->c;
    const size_t k = (size_t)c->arch.classes;
    ck_ok(vx_texts_run_one(c, t->ids + t->starts[i], length_of(t, i), plan));
    float slope[64];
    const double cosine = cosine_slope(slope, c->act.host.logits, direction, k);
    c->dev->cls->upload(c->dev, plan->dlogits, slope, k * sizeof *slope);
    const vx_pass pass = {.act = &c->act, .plan = plan, .batch = 1};
    vx_context_begin(c, c->arch.depth);
    ck_ok(vx_pass_backward(c, &pass));
    ck_ok(vx_context_sync(c));
    return cosine;
}

START_TEST(test_texts__gradients_match_float64)
{
    if (is_spared(_i, 6))
        return;
    const char *name = goldens[_i / 6];
    bench b = open_bench(name, devices[_i % 3], 0, NULL);
    npy gradient = golden(name, "gradient"), cosines = golden(name, "cosines");
    texts t = golden_texts(name, b.model);
    double direction[64];
    direction_of(direction, name, (size_t)b.model->arch.classes);
    b.c->recompute = _i % 6 >= 3;
    b.c->keep = !b.c->recompute;
    vx_plan *plan = &b.c->wish;
    plan->pixels = true;
    plan->targets = 1;
    for (int i = 0; i < t.n; i++) {
        const size_t row = gradient.shape[1] * gradient.shape[2];
        const double cosine = differentiate(&b, &t, i, direction, plan);
        ck_assert_msg(fabs(cosine - cosines.data[i]) < TOL_LOGITS, "%s: text %d, cosine %g", name,
                      i, cosine);
        const size_t count = (size_t)length_of(&t, i) * (size_t)b.model->arch.width;
        float *dinput = read_floats(b.c, plan->dinput, count);
        const double error = max_error_f32(dinput, gradient.data + (size_t)i * row, count);
        free(dinput);
        ck_assert_msg(error < 1e-4, "%s: text %d, gradient off by %g", name, i, error);
    }
    free_texts(&t);
    free_npy(&gradient);
    free_npy(&cosines);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ batches ---------------- */

/* The reference's bits are the same in every batch; others differ in their last places. */
static void check_same(const bench *of, const float *a, const float *b, const char *what)
{
    const char *device = of->c->dev->cls->name;
    const bool every_bit = strcmp(device, "cpu") != 0 && strncmp(device, "cuda", 4) != 0;
    const double error = max_error_ff(a, b, (size_t)of->c->arch.classes);
    ck_assert_msg(every_bit ? error == 0 : error < TOL_ALONE, "%s on %s: %g", what, device, error);
}

START_TEST(test_texts__a_batch_is_its_texts_alone)
{
    const char *name = goldens[_i / 2], *device = devices[_i % 2];
    bench b = open_bench(name, device, 3, NULL);
    texts t = many_texts(b.model, 40, 18);
    const size_t k = (size_t)b.model->arch.classes;
    float *out = run(&b, &t);
    for (int i = 0; i < t.n; i++) {
        ck_ok(vx_texts_run_one(b.c, t.ids + t.starts[i], length_of(&t, i), NULL));
        check_same(&b, b.c->act.host.logits, out + (size_t)i * k, "a text alone");
    }
    float *again = run(&b, &t); /* back from the size of one text */
    ck_assert_mem_eq(out, again, (size_t)t.n * k * sizeof *out);
    free(again);
    free(out);
    free_texts(&t);
    close_bench(&b);
}
END_TEST

START_TEST(test_texts__order_and_batch_change_nothing)
{
    static const int batches[] = {1, 2, 7, 0};
    const char *name = goldens[_i / 2], *device = devices[_i % 2];
    bench b = open_bench(name, device, 3, NULL);
    const int n = strcmp(device, "ref") ? 150 : 40;
    texts t = many_texts(b.model, n, 19), turned = {.n = n};
    const size_t k = (size_t)b.model->arch.classes;
    turned.ids = malloc(sizeof(int) * (size_t)(t.starts[n] > 0 ? t.starts[n] : 1));
    turned.starts = calloc((size_t)n + 1, sizeof(int));
    for (int i = 0; i < n; i++) {
        const int from = n - 1 - i, count = length_of(&t, from);
        memcpy(turned.ids + turned.starts[i], t.ids + t.starts[from], sizeof(int) * (size_t)count);
        turned.starts[i + 1] = turned.starts[i] + count;
    }
    float *out = run(&b, &t);
    for (int j = 0; j < 4; j++) {
        bench other = open_bench(name, device, batches[j], NULL);
        float *back = run(&other, &turned);
        for (int i = 0; i < n; i++)
            check_same(&b, back + (size_t)(n - 1 - i) * k, out + (size_t)i * k,
                       "texts in another order");
        free(back);
        close_bench(&other);
    }
    free(out);
    free_texts(&turned);
    free_texts(&t);
    close_bench(&b);
}
END_TEST

/* Texts of a few beginnings, some of which are whole texts, and of texts that come twice. */
static texts alike_texts(const vx_text_model *m, int n, uint64_t seed)
{
    texts t = many_texts(m, n, seed);
    rng r = {seed + 1};
    for (int i = 1; i < n; i++) {
        const int like = rng_int(&r, 0, i < 4 ? i - 1 : 3);
        const int most =
            length_of(&t, i) < length_of(&t, like) ? length_of(&t, i) : length_of(&t, like);
        const int same = rng_int(&r, 0, 3) ? rng_int(&r, most / 2, most) : most;
        memcpy(t.ids + t.starts[i], t.ids + t.starts[like], sizeof(int) * (size_t)same);
    }
    return t;
}

START_TEST(test_texts__common_beginnings_change_nothing)
{
    if (is_spared(_i, 3))
        return;
    const char *name = goldens[_i / 3];
    bench b = open_bench(name, devices[_i % 3], 7, NULL);
    texts t = alike_texts(b.model, SANITIZED ? 20 : 60, 22);
    const size_t k = (size_t)b.model->arch.classes;
    float *out = run(&b, &t);
    for (int i = 0; i < t.n; i++) {
        ck_ok(vx_texts_run_one(b.c, t.ids + t.starts[i], length_of(&t, i), NULL));
        check_same(&b, b.c->act.host.logits, out + (size_t)i * k, "a text of a known beginning");
    }
    free(out);
    free_texts(&t);
    close_bench(&b);
}
END_TEST

/* Whether row `at` of the last input is that of a token at a place. */
static bool is_row(const bench *b, int at, int id, int place)
{
    const size_t width = (size_t)b->model->arch.width;
    float row[256];
    ck_assert_uint_le(width, sizeof row / sizeof *row);
    ck_ok(vx_text_row(row, b->model, id, place));
    return memcmp(row, b->c->act.host.input + (size_t)at * width, width * sizeof *row) == 0;
}

START_TEST(test_texts__common_beginnings_are_run_once)
{
    const int ids[] = {98, 5, 6, 7, 9, 98, 5, 6, 7, 8, 98, 5, 6, 7, 8}, starts[] = {0, 5, 10, 15};
    int order[3];
    bench b = open_bench(_i ? "chinese-clip-hf" : "clip-hf", "cpu", 0, NULL);
    float out[3 * 64];
    ck_assert_int_eq(b.model->arch.causal, !_i);
    ck_ok(vx_texts_sort(order, &b.c->hooks, ids, starts, 3));
    ck_assert(order[0] == 1 && order[1] == 2 && order[2] == 0);
    ck_ok(vx_texts_run(out, b.c, ids, starts, order, 3));
    for (int place = 0; place < 5; place++) /* the first in order */
        ck_assert(is_row(&b, place, ids[5 + place], place));
    ck_assert(is_row(&b, 5, _i ? 98 : 9, _i ? 0 : 4));
    ck_assert(is_row(&b, 6, 5, 1) == (_i > 0));
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ records ---------------- */

/* Rows of a causal tower's attention: 0 behind the query, and their sum is 1. */
START_TEST(test_texts__attention_is_recorded)
{
    const char *name = goldens[_i / 2];
    bench b = open_bench(name, devices[_i % 2], 0, NULL);
    const vx_arch *a = &b.c->arch;
    const int T = a->grid_width, depth = a->depth;
    texts t = many_texts(b.model, 2, 20);
    vx_plan *plan = &b.c->wish;
    vx_plan_need_attention(plan, 0, depth - 1, VX_KEEP_ALL, VX_FUSE_MEAN, 0);
    ck_ok(vx_texts_run_one(b.c, t.ids + t.starts[1], length_of(&t, 1), plan));
    const int n = a->grid_width;
    ck_assert(n == length_of(&t, 1) && n > 1 && n <= T);
    for (int l = 0; l < depth; l++) {
        float *whole = read_floats(b.c, plan->attention[l].data, (size_t)(a->heads * n * n));
        const float *p = whole;
        for (int row = 0; row < a->heads * n; row++, p += n) {
            double sum = 0;
            for (int j = 0; j < n; j++) {
                sum += (double)p[j];
                ck_assert(p[j] >= 0 && (!a->causal || j <= row % n || p[j] == 0));
                ck_assert(a->causal || p[j] > 0);
            }
            ck_assert_double_lt(fabs(sum - 1), 1e-5);
        }
        free(whole);
    }
    free_texts(&t);
    close_bench(&b);
}
END_TEST

/* The gradient at what norm1 makes, with the residual if that is it, goes through that norm to the
 * block's input. */
START_TEST(test_texts__norms_that_stay_have_their_gradient)
{
    const char *name = _i ? "chinese-clip-hf" : "altclip-hf";
    bench b = open_bench(name, "cpu", 0, NULL); /* whose memory is read here */
    texts t = golden_texts(name, b.model);
    double direction[64];
    direction_of(direction, name, (size_t)b.model->arch.classes);
    vx_plan *plan = &b.c->wish;
    plan->pixels = true;
    plan->targets = 1;
    vx_plan_need_dtokens(plan, 0, VX_AT_NORM1);
    vx_plan_need_tokens(plan, 0, VX_AT_NORM1);
    vx_plan_need_tokens(plan, 0, VX_AT_INPUT);
    differentiate(&b, &t, 1, direction, plan);
    const int n = length_of(&t, 1), D = b.model->arch.width;
    const vx_block_weights *w = &b.c->weights->blocks[0];
    float *x = calloc((size_t)(n * D), sizeof *x);
    vx_layernorm_ref(NULL, &(vx_layernorm){.y = x,
                                           .ldy = D,
                                           .x = plan->blocks[0].tokens[VX_AT_INPUT],
                                           .ldx = D,
                                           .weight = w->norm1_w,
                                           .bias = w->norm1_b,
                                           .eps = b.model->arch.eps,
                                           .m = n,
                                           .n = D});
    ck_assert_double_lt(max_error_ff(plan->blocks[0].tokens[VX_AT_NORM1], x, (size_t)(n * D)),
                        TOL_KERNEL);
    vx_layernorm_bwd_ref(NULL, &(vx_layernorm_bwd){.dx = x,
                                                   .lddx = D,
                                                   .dy = plan->blocks[0].dtokens[VX_AT_NORM1],
                                                   .lddy = D,
                                                   .x = plan->blocks[0].tokens[VX_AT_INPUT],
                                                   .ldx = D,
                                                   .weight = w->norm1_w,
                                                   .eps = b.model->arch.eps,
                                                   .m = n,
                                                   .n = D,
                                                   .tokens = n,
                                                   .targets = 1});
    ck_assert_double_lt(max_error_ff(plan->dinput, x, (size_t)(n * D)), TOL_KERNEL);
    free(x);
    free_texts(&t);
    close_bench(&b);
}
END_TEST

/* ------------------------------------------------------------------ what can go wrong ------ */

START_TEST(test_texts__what_is_refused)
{
    bench b = open_bench("clip-hf", "cpu", 1, NULL);
    vitx_model *picture;
    vitx_context *c = b.c;
    int ids[16] = {98, 7, 99}, starts[] = {0, 3, 3}, length = 13;
    float out[64];
    ck_fails(vx_texts_run(out, b.c, ids, starts, NULL, 0), VITX_INVALID, "0 texts");
    ck_fails(vx_texts_run(out, b.c, ids, starts, NULL, 2), VITX_INVALID, "text 1 has 0 tokens");
    starts[1] = length;
    ck_fails(vx_texts_run(out, b.c, ids, starts, NULL, 1), VITX_INVALID, "1 to 12 are accepted");
    ck_fails(vx_texts_run_one(b.c, ids, length, NULL), VITX_INVALID, "13 tokens");
    ck_fails(vx_texts_run_one(b.c, ids, 0, NULL), VITX_INVALID, "0 tokens");
    ids[1] = 100;
    starts[1] = 3;
    ck_assert_int_ne(vx_texts_run(out, b.c, ids, starts, NULL, 1), VITX_OK);
    ids[1] = 7;
    ck_ok(vx_texts_run(out, b.c, ids, starts, NULL, 1)); /* it still works */
    ck_ok(vitx_model_open(&picture, golden_path("models/clip-hf"), NULL));
    ck_fails(vx_texts_create(&c, picture, NULL), VITX_INVALID, "not opened as a text tower");
    ck_assert_ptr_null(c);
    ck_fails(vx_texts_create(&c, NULL, NULL), VITX_INVALID, "NULL");
    vitx_model_free(picture);
    close_bench(&b);
}
END_TEST

typedef struct stop {
    int64_t calls, at, done, total;
} stop;

static int stop_at(int64_t done, int64_t total, void *payload)
{
    stop *s = payload;
    ck_assert(done <= total);
    s->done = done;
    s->total = total;
    return ++s->calls == s->at;
}

START_TEST(test_texts__progress_and_cancelling)
{
    bench b = open_bench("clip-hf", "cpu", 1, NULL);
    texts t = many_texts(b.model, 20, 21);
    stop s = {0};
    ck_ok(vitx_context_set_progress(b.c, stop_at, &s));
    const int64_t ticks = (int64_t)t.n * b.c->arch.depth;
    vx_texts_begin(b.c, 0, t.n);
    float *out = run(&b, &t);
    ck_assert(s.done == ticks && s.total == ticks);
    const stop whole = s;
    s = (stop){.at = 3};
    vx_texts_begin(b.c, 0, t.n);
    ck_fails(vx_texts_run(out, b.c, t.ids, t.starts, NULL, t.n), VITX_CANCELLED, "cancelled");
    ck_assert_int_eq(s.calls, 3);
    s = (stop){0};
    free(out);
    vx_texts_begin(b.c, 0, t.n);
    out = run(&b, &t);
    ck_assert_int_eq(s.calls, whole.calls);
    free(out);
    free_texts(&t);
    close_bench(&b);
}
END_TEST

/* Everything once with `ration` allocations. @return whether it went well */
static bool whole_run(ration *r)
{
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts files = VITX_MODEL_OPTS_INIT;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    vitx_model *m = NULL;
    vitx_context *c = NULL;
    const int ids[] = {3, 10, 11, 4, 3, 4}, starts[] = {0, 4, 6};
    float out[2 * 64];
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = r;
    files.hooks = &hooks;
    opts.threads = 1;
    opts.max_batch = 1;
    int status = vx_text_open(&m, golden_path("texts/chinese-clip-hf"), &files);
    status = status ? status : vx_texts_create(&c, m, &opts);
    status = status ? status : vx_texts_run(out, c, ids, starts, NULL, 2);
    if (!status) {
        c->wish.pixels = true;
        c->wish.targets = 1;
        status = vx_texts_run_one(c, ids, 4, &c->wish);
    }
    status = status ? status : vx_texts_run(out, c, ids, starts, NULL, 2);
    ck_assert_msg(status == VITX_OK || status == VITX_NOMEM, "%s: %s", vitx_status_name(status),
                  vitx_last_error());
    vitx_context_free(c);
    vitx_model_free(m);
    return status == VITX_OK;
}

START_TEST(test_texts__failed_allocations_leave_nothing)
{
    ration all = {.left = -1};
    ck_assert(whole_run(&all));
    ck_assert_int_eq(all.live, 0);
    int passed = 0;
    for (int n = 0; n < all.calls; n += 1 + (SANITIZED ? n / 8 : 0)) {
        ration r = {.left = n};
        passed += whole_run(&r);
        ck_assert_msg(r.live == 0, "after %d allocations %d are not given back", n, r.live);
    }
    ck_assert_int_eq(passed, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("texts");
    TCase *t = tcase_create("texts");
    const int few = SANITIZED ? 10 : 2 * GOLDENS;
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_texts__embeddings_match_float64, 0, 3 * GOLDENS);
    tcase_add_loop_test(t, test_texts__gradients_match_float64, 0, 6 * GOLDENS);
    tcase_add_loop_test(t, test_texts__a_batch_is_its_texts_alone, 0, 2 * GOLDENS);
    tcase_add_loop_test(t, test_texts__order_and_batch_change_nothing, 0, few);
    tcase_add_loop_test(t, test_texts__common_beginnings_change_nothing, 0, 3 * GOLDENS);
    tcase_add_loop_test(t, test_texts__common_beginnings_are_run_once, 0, 2);
    tcase_add_loop_test(t, test_texts__attention_is_recorded, 0, 2 * GOLDENS);
    tcase_add_loop_test(t, test_texts__norms_that_stay_have_their_gradient, 0, 2);
    tcase_add_test(t, test_texts__what_is_refused);
    tcase_add_test(t, test_texts__progress_and_cancelling);
    tcase_add_test(t, test_texts__failed_allocations_leave_nothing);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
