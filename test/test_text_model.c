/*
 * test_text_model.c: text towers, opened from the files of their libraries.
 *
 * What a tower's arch, weights, tables and rules say is run here by a forward pass in double of its
 * own, of one text, and gives what the library gives (test/golden/texts). Beside it: what is
 * refused, and how.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "archive.h"
#include "model/model.h"
#include "model/text_rows.h"
#include "model_files.h"
#include "util.h"

#define TEXTS "../texts/" /* of copy_golden */

enum {
    MOST = 64
}; /* of a context, and of all widths together with the hidden ones: more than those */

/* ------------------------------------------------------------------ golden models ---------- */

static const struct golden {
    const char *name, *kind;
    const char *about; /* vitx_model_info.text */
    vx_text_end where;
    int end, pad;
    vx_clean clean;
    bool sigmoid, causal, stays, pictures;
    vx_act act;
    float eps;
    int context, heads;
} goldens[] = {
    {"clip-hf", "CLIP", "CLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_ID, 99, -1,
     VX_CLEAN_NONE, false, true, false, true, VX_ACT_QUICK_GELU, 1e-5f, 12, 2},
    {"clip-hf-argmax", "CLIP", "CLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_LARGEST, 2,
     -1, VX_CLEAN_NONE, false, true, false, true, VX_ACT_GELU, 1e-5f, 12, 2},
    {"clip-hf-text", "CLIP", NULL, VX_TEXT_ID, 99, -1, VX_CLEAN_NONE, false, true, false, false,
     VX_ACT_QUICK_GELU, 1e-5f, 12, 2},
    {"clip-hf-text-bare", "CLIP", NULL, VX_TEXT_ID, 99, -1, VX_CLEAN_NONE, false, true, false,
     false, VX_ACT_QUICK_GELU, 1e-5f, 12, 2},
    {"siglip-hf", "SigLIP", "SigLIP: 2 blocks, width 36, 12 tokens, 100 ids", VX_TEXT_LAST, -1, 1,
     VX_CLEAN_SIGLIP, true, false, false, true, VX_ACT_GELU_TANH, 1e-6f, 12, 3},
    {"siglip2-hf", "SigLIP", "SigLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_LAST, -1, 0,
     VX_CLEAN_SIGLIP2, true, false, false, false, VX_ACT_GELU_TANH, 1e-6f, 12, 2},
    {"metaclip2-hf", "MetaCLIP 2", "MetaCLIP 2: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_ID,
     2, -1, VX_CLEAN_NONE, false, true, false, true, VX_ACT_GELU, 1e-5f, 12, 2},
    {"chinese-clip-hf", "Chinese-CLIP", "Chinese-CLIP: 2 blocks, width 24, 12 tokens, 100 ids",
     VX_TEXT_FIRST, -1, 0, VX_CLEAN_NONE, false, false, true, true, VX_ACT_GELU, 1e-12f, 12, 2},
    {"altclip-hf", "AltCLIP", "AltCLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_FIRST, -1,
     1, VX_CLEAN_NONE, false, false, true, true, VX_ACT_GELU, 1e-5f, 12, 2},
    {"clip-open-clip", "CLIP", "CLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_LARGEST, 2,
     0, VX_CLEAN_LOWER, false, true, false, true, VX_ACT_QUICK_GELU, 1e-5f, 12, 2},
    {"clip-open-clip-custom", "MetaCLIP 2", "MetaCLIP 2: 2 blocks, width 24, 12 tokens, 100 ids",
     VX_TEXT_ID, 2, -1, VX_CLEAN_WHITESPACE, false, true, false, true, VX_ACT_GELU, 1e-6f, 12, 2},
    {"siglip-open-clip", "SigLIP", "SigLIP: 2 blocks, width 24, 12 tokens, 100 ids", VX_TEXT_LAST,
     2, -1, VX_CLEAN_CANONICALIZE, true, false, false, true, VX_ACT_GELU_TANH, 1e-6f, 12, 2},
    {"siglip-big-vision", "SigLIP", "SigLIP: 2 blocks, width 36, 12 tokens, 100 ids", VX_TEXT_LAST,
     -1, 1, VX_CLEAN_CANONICALIZE, true, false, false, true, VX_ACT_GELU_TANH, 1e-6f, 12, 3},
    {"siglip-big-vision-scan", "SigLIP", "SigLIP: 2 blocks, width 36, 12 tokens, 100 ids",
     VX_TEXT_LAST, -1, 1, VX_CLEAN_CANONICALIZE, true, false, false, true, VX_ACT_GELU_TANH, 1e-6f,
     12, 3},
    {"clip-openai", "CLIP", "CLIP: 1 blocks, width 64, 12 tokens, 100 ids", VX_TEXT_LARGEST, 2, 0,
     VX_CLEAN_LOWER, false, true, false, true, VX_ACT_QUICK_GELU, 1e-5f, 12, 1},
    {"cn-clip", "Chinese-CLIP", "Chinese-CLIP: 2 blocks, width 64, 52 tokens, 100 ids",
     VX_TEXT_FIRST, -1, 0, VX_CLEAN_NONE, false, false, true, true, VX_ACT_GELU, 1e-12f, 52, 1},
};

static const char *golden_text(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "test/golden/texts/%s", name);
    return path;
}

static npy golden_array(const char *model, const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "test/golden/texts/%s/%s.npy", model, name);
    return read_npy(path);
}

static vx_text_model *open_text(const char *path)
{
    vx_text_model *m;
    ck_ok(vx_text_open(&m, path, NULL));
    return m;
}

static const vx_weights *packed(vx_text_model *m)
{
    const vx_weights *w;
    ck_ok(vx_model_weights(&w, m, &(vx_site){.cls = vx_device_find("ref")}, "f32"));
    return w;
}

/* A golden's text as tokens. @return how many. */
static int text_of(vx_token tokens[MOST], const npy *ids, size_t i)
{
    int n = 0;
    for (size_t t = 0; t < ids->shape[1]; t++)
        if (ids->data[i * ids->shape[1] + t] >= 0)
            tokens[n++] = (vx_token){.id = (int)ids->data[i * ids->shape[1] + t]};
    return n;
}

START_TEST(test_text__what_the_files_say)
{
    const struct golden *g = &goldens[_i];
    vx_text_model *m = open_text(golden_text(g->name));
    const vx_text_rules *r = &m->text;
    ck_assert_str_eq(r->kind, g->kind);
    ck_assert_int_eq(r->context, g->context);
    ck_assert_int_eq(r->where, g->where);
    if (g->where == VX_TEXT_ID)
        ck_assert_int_eq(r->end, g->end);
    ck_assert_int_eq(r->pad, g->pad);
    ck_assert_int_eq(r->clean, g->clean);
    ck_assert_int_eq(r->sigmoid, g->sigmoid);
    ck_assert_str_eq(r->folder, golden_text(g->name));
    ck_assert_int_eq(m->arch.causal, g->causal);
    ck_assert_int_eq(m->arch.norm_stays, g->stays);
    ck_assert_int_eq(m->arch.act, g->act);
    ck_assert(m->arch.eps == g->eps);
    ck_assert_int_eq(m->arch.heads, g->heads);
    ck_assert_int_eq(m->arch.vocabulary, 100);
    ck_assert_int_eq(m->arch.grid_width, g->context);
    ck_assert_int_eq(vx_arch_tokens(&m->arch), g->context);
    ck_assert_int_eq(m->arch.pool, g->where == VX_TEXT_FIRST ? VX_POOL_TOKEN : VX_POOL_LAST);
    ck_assert(m->arch.units && m->arch.outputs == VITX_OUTPUTS_NONE);
    ck_assert_str_eq(m->guesses, "");
    vitx_model_free(m);
}
END_TEST

/* The picture's half of the same files opens, and tells of the texts'. */
START_TEST(test_text__is_told_of_beside_pictures)
{
    const struct golden *g = &goldens[_i];
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    if (!g->about)
        return;
    vitx_model *m = open_ok(golden_text(g->name));
    ck_ok(vitx_model_get_info(&info, m));
    ck_assert_str_eq(info.text, g->about);
    if (g->pictures)
        ck_assert_str_eq(info.guesses, "");
    vitx_model_free(m);
}
END_TEST

/* ------------------------------------------------------------------ a forward pass --------- */

static void norm(double *x, int n, const float *w, const float *b, float eps)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(square + (double)eps) * (double)w[i] + (double)b[i];
}

/* Of the device ref: rows of floats. */
static void times(double *y, const vx_weight *w, const double *x)
{
    const float *rows = w->data;
    for (int i = 0; i < w->n; i++) {
        y[i] = w->bias ? (double)w->bias[i] : 0;
        for (int j = 0; j < w->k; j++)
            y[i] += (double)rows[(size_t)i * (size_t)w->k + (size_t)j] * x[j];
    }
}

static double activate(double x, vx_act act)
{
    const double pi = acos(-1.0);
    switch (act) {
    case VX_ACT_GELU:
        return x * 0.5 * (1 + erf(x / sqrt(2.0)));
    case VX_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    default:
        ck_abort_msg("an activation of no text tower");
        return 0;
    }
}

enum { WIDE = 256 };
typedef double rows[MOST][WIDE];

/* What the attention of all heads gives, before proj. */
static void attend(rows out, const vx_arch *a, int n, rows qkv)
{
    const int d = a->width, e = a->head_width;
    for (int h = 0; h < a->heads; h++)
        for (int q = 0; q < n; q++) {
            double p[MOST], sum = 0;
            const int last = a->causal ? q + 1 : n;
            for (int k = 0; k < last; k++) {
                double s = 0;
                for (int i = 0; i < e; i++)
                    s += qkv[q][h * e + i] * qkv[k][d + h * e + i];
                sum += p[k] = exp(s / sqrt((double)e));
            }
            for (int i = 0; i < e; i++) {
                out[q][h * e + i] = 0;
                for (int k = 0; k < last; k++)
                    out[q][h * e + i] += p[k] / sum * qkv[k][2 * d + h * e + i];
            }
        }
}

static void run_block(rows x, const vx_arch *a, const vx_block_weights *w, int n)
{
    static rows y, qkv, mixed;
    for (int t = 0; t < n; t++) {
        memcpy(y[t], x[t], sizeof y[t]);
        norm(y[t], a->width, w->norm1_w, w->norm1_b, a->eps);
        if (a->norm_stays)
            memcpy(x[t], y[t], sizeof y[t]);
        times(qkv[t], &w->qkv, y[t]);
    }
    attend(mixed, a, n, qkv);
    for (int t = 0; t < n; t++) {
        double hidden[WIDE], added[WIDE];
        times(added, &w->proj, mixed[t]);
        for (int i = 0; i < a->width; i++)
            x[t][i] += added[i];
        memcpy(y[t], x[t], sizeof y[t]);
        norm(y[t], a->width, w->norm2_w, w->norm2_b, a->eps);
        if (a->norm_stays)
            memcpy(x[t], y[t], sizeof y[t]);
        times(hidden, &w->fc1, y[t]);
        for (int i = 0; i < a->hidden; i++)
            hidden[i] = activate(hidden[i], a->act);
        times(added, &w->fc2, hidden);
        for (int i = 0; i < a->width; i++)
            x[t][i] += added[i];
    }
}

/* The embedding [K] of the text whose rows are in x. */
static void embed(double *out, const vx_text_model *m, const vx_weights *w, rows x, int n)
{
    const vx_arch *a = &m->arch;
    for (int b = 0; b < a->depth; b++)
        run_block(x, a, &w->blocks[b], n);
    double *row = x[a->pool == VX_POOL_TOKEN ? 0 : n - 1];
    norm(row, a->width, w->norm_w, w->norm_b, a->eps);
    if (w->fc_norm_w)
        norm(row, a->width, w->fc_norm_w, w->fc_norm_b, a->eps);
    if (a->bare)
        memcpy(out, row, (size_t)a->width * sizeof *row);
    else
        times(out, &w->head, row);
}

static void check_text(const struct golden *g, const vx_text_model *m, const vx_weights *w,
                       const npy *ids, size_t i)
{
    static rows x;
    npy in = golden_array(g->name, "rows"), all = golden_array(g->name, "text_embeds");
    vx_token tokens[MOST];
    double out[WIDE];
    float embedding[WIDE];
    const size_t d = (size_t)m->arch.width, k = (size_t)m->arch.classes;
    int length;
    ck_assert_uint_eq(all.shape[1], k);
    ck_ok(vx_text_length(&length, m, tokens, text_of(tokens, ids, i)));
    for (int t = 0; t < length; t++) {
        float row[WIDE];
        ck_ok(vx_text_row(row, m, tokens[t].id, t));
        ck_assert_double_lt(max_error_f32(row, in.data + (i * in.shape[1] + (size_t)t) * d, d),
                            1e-6);
        for (size_t j = 0; j < d; j++)
            x[t][j] = (double)row[j];
    }
    embed(out, m, w, x, length);
    for (size_t j = 0; j < k; j++)
        embedding[j] = (float)out[j];
    ck_assert_double_lt(max_error_f32(embedding, all.data + i * k, k), 1e-5);
    free_npy(&in);
    free_npy(&all);
}

START_TEST(test_text__computes_what_its_library_does)
{
    const struct golden *g = &goldens[_i];
    vx_text_model *m = open_text(golden_text(g->name));
    const vx_weights *w = packed(m);
    npy ids = golden_array(g->name, "ids");
    ck_assert_int_le(3 * m->arch.width, WIDE);
    for (size_t i = 0; i < ids.shape[0]; i++)
        check_text(g, m, w, &ids, i);
    free_npy(&ids);
    vitx_model_free(m);
}
END_TEST

/* And the picture's half what it does: the cosines, scaled, are the library's answers. */
START_TEST(test_text__goes_with_its_pictures)
{
    const struct golden *g = &goldens[_i];
    if (!g->pictures)
        return;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    vitx_image *image;
    vitx_model *pictures = open_ok(golden_text(g->name));
    vx_text_model *m = open_text(golden_text(g->name));
    npy expected = golden_array(g->name, "image_embeds"), logits = golden_array(g->name, "logits"),
        texts = golden_array(g->name, "text_embeds");
    const size_t k = expected.count;
    float out[WIDE];
    double cosines[8];
    o.threads = 1;
    ck_ok(vitx_image_open(&image, "test/golden/texts/picture.png"));
    ck_ok(vitx_context_create(&c, pictures, &o));
    ck_ok(vitx_embed(c, image, out, 0));
    ck_assert_double_lt(max_error_f32(out, expected.data, k), TOL_LOGITS);
    for (size_t i = 0; i < texts.shape[0]; i++) {
        double dot = 0, one = 0, other = 0;
        for (size_t j = 0; j < k; j++) {
            const double a = (double)out[j], b = texts.data[i * k + j];
            dot += a * b;
            one += a * a;
            other += b * b;
        }
        cosines[i] = dot / sqrt(one * other) * (double)m->text.scale + (double)m->text.bias;
        ck_assert_double_eq_tol(cosines[i], logits.data[i], 1e-4);
    }
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(pictures);
    vitx_model_free(m);
    free_npy(&expected);
    free_npy(&logits);
    free_npy(&texts);
}
END_TEST

/* ------------------------------------------------------------------ lengths and rows ------- */

static int length_of(const vx_text_model *m, const int *ids, int n)
{
    vx_token tokens[MOST];
    int length;
    for (int i = 0; i < n; i++)
        tokens[i] = (vx_token){.id = ids[i]};
    ck_ok(vx_text_length(&length, m, tokens, n));
    return length;
}

/* What is run of a text: up to the row that is read. */
START_TEST(test_text__length)
{
    static const int ended[] = {98, 5, 99, 7, 99, 6}, largest[] = {98, 5, 97, 98, 3, 2},
                     pads[] = {3, 5, 0, 7, 0, 0};
    static const struct {
        const char *model;
        const int *ids;
        int length;
    } cases[] = {{"clip-hf", ended, 3},          {"clip-hf-argmax", ended, 3},
                 {"clip-hf-argmax", largest, 1}, {"metaclip2-hf", largest, 6},
                 {"siglip-hf", ended, 12},       {"chinese-clip-hf", pads, 4},
                 {"altclip-hf", pads, 6},        {"clip-open-clip-custom", largest, 6}};
    for (int i = 0; i < COUNT(cases); i++) {
        vx_text_model *m = open_text(golden_text(cases[i].model));
        ck_assert_int_eq(length_of(m, cases[i].ids, 6), cases[i].length);
        vitx_model_free(m);
    }
}
END_TEST

START_TEST(test_text__what_is_no_text)
{
    vx_text_model *m = open_text(golden_text("clip-hf"));
    vx_token tokens[MOST] = {{.id = 98}, {.id = 5}};
    float row[WIDE];
    int length;
    ck_fails(vx_text_length(&length, m, tokens, 2), VITX_INVALID, "none of the 2 tokens");
    ck_fails(vx_text_length(&length, m, tokens, 0), VITX_INVALID, "it takes 1 to 12");
    ck_fails(vx_text_length(&length, m, tokens, 13), VITX_INVALID, "a text of 13 tokens");
    ck_fails(vx_text_row(row, m, 100, 0), VITX_INVALID, "id 100 is beyond the 100 rows of tensor");
    ck_fails(vx_text_row(row, m, -1, 0), VITX_INVALID, "id -1");
    ck_fails(vx_text_row(row, m, 5, 12), VITX_INVALID, "place 12");
    ck_fails(vx_text_row(row, m, 5, -1), VITX_INVALID, "place -1");
    ck_ok(vx_text_row(row, m, 99, 11));
    vitx_model_free(m);
}
END_TEST

/* A table of more rows than are kept at hand, whose numbers are 1 + mark / 1024, behind the data of
 * the file. */
enum { MANY = VX_TEXT_KEPT + 300 };

static unsigned mark(size_t row, size_t column)
{
    return (unsigned)((31 * row + row / VX_TEXT_KEPT * 5 + column) % 1024);
}

static char *large_table(void)
{
    char *folder = copy_golden(TEXTS "clip-hf"), tensor[200];
    char path[600];
    snprintf(path, sizeof path, "%s", in_folder(folder, "model.safetensors"));
    weights_file w = load_weights(path);
    const size_t first = w.data_size, bytes = (size_t)MANY * 24 * sizeof(uint16_t);
    w.data_size += bytes;
    w.data = realloc(w.data, w.data_size);
    ck_assert_ptr_nonnull(w.data);
    for (size_t i = 0; i < (size_t)MANY * 24; i++) {
        const uint16_t half = (uint16_t)(0x3c00 + mark(i / 24, i % 24));
        memcpy(w.data + first + i * sizeof half, &half, sizeof half);
    }
    edit_header(&w, "text_model.embeddings.token_embedding.weight", "vision_model.none");
    snprintf(tensor, sizeof tensor,
             "{\"text_model.embeddings.token_embedding.weight\":{\"dtype\":\"F16\","
             "\"shape\":[%d,24],\"data_offsets\":[%zu,%zu]},",
             (int)MANY, first, w.data_size);
    edit_header(&w, "{", tensor);
    save_weights(path, &w);
    free_weights_file(&w);
    snprintf(tensor, sizeof tensor, "\"vocab_size\": %d", (int)MANY);
    edit_file(folder, "config.json", "\"vocab_size\": 100", tensor);
    return folder;
}

typedef struct reading {
    vx_text_model *m;
    uint64_t seed;
    int wrong;
} reading;

/* Rows in any order; those of id and id + VX_TEXT_KEPT lie in one place. */
static void *read_rows(void *arg)
{
    reading *r = arg;
    rng numbers = {r->seed};
    for (int n = 0; n < 3000; n++) {
        float row[WIDE], base[WIDE];
        const int id = rng_int(&numbers, 0, 150) + (rng_int(&numbers, 0, 1) ? VX_TEXT_KEPT : 0);
        if (vx_text_row(row, r->m, id, 2) != VITX_OK || vx_text_row(base, r->m, 0, 2) != VITX_OK)
            r->wrong++;
        for (int j = 0; j < 24; j++)
            r->wrong += fabsf(row[j] - base[j] -
                              ((float)mark((size_t)id, (size_t)j) - (float)j) / 1024) > 1e-5f;
    }
    return NULL;
}

START_TEST(test_text__rows_of_a_large_table)
{
    enum { THREADS = 4 };
    char *folder = large_table();
    pthread_t threads[THREADS];
    reading readings[THREADS];
    vx_text_model *m = open_text(folder);
    ck_assert_int_eq(m->arch.vocabulary, MANY);
    for (int i = 0; i < THREADS; i++) {
        readings[i] = (reading){m, (uint64_t)i + 1, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_rows, &readings[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(readings[i].wrong, 0);
    }
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* ------------------------------------------------------------------ refusals --------------- */

static void refuse_text(const char *path, int code, const char *part)
{
    vx_text_model *m = (vx_text_model *)1;
    ck_fails(vx_text_open(&m, path, NULL), code, part);
    ck_assert(m == NULL);
}

#define HEADER NULL /* the header of the weights is edited */
#define CONFIG "config.json"
#define OPEN_CLIP "open_clip_config.json"

static const struct {
    const char *model, *file, *find, *replace;
    int code;
    const char *part;
} damages[] = {
    /* a tensor is missing */
    {"clip-hf", HEADER, "text_model.final_layer_norm.weight", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.final_layer_norm.weight"},
    {"clip-hf", HEADER, "text_projection.weight", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_projection.weight"},
    {"clip-hf", HEADER, "text_model.encoder.layers.1.mlp.fc1.weight", "vision_model.none",
     VITX_FORMAT, "lacks tensor text_model.encoder.layers.1.mlp.fc1.weight"},
    {"clip-hf", HEADER, "text_model.encoder.layers.1.self_attn.k_proj.bias", "vision_model.none",
     VITX_FORMAT, "lacks tensor text_model.encoder.layers.1.self_attn.k_proj.bias"},
    {"clip-hf", HEADER, "text_model.encoder.layers.0.layer_norm2.bias", "vision_model.none",
     VITX_FORMAT, "lacks tensor text_model.encoder.layers.0.layer_norm2.bias"},
    {"clip-hf", HEADER, "text_model.embeddings.position_embedding.weight", "vision_model.none",
     VITX_FORMAT, "lacks tensor text_model.embeddings.position_embedding.weight"},
    {"clip-hf", HEADER, "text_model.embeddings.token_embedding.weight", "vision_model.none",
     VITX_UNSUPPORTED, "holds the picture half only"},
    {"siglip-hf", HEADER, "text_model.head.bias", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.head.bias"},
    {"siglip-hf", HEADER, "text_model.head.weight", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.head.weight"},
    {"chinese-clip-hf", HEADER, "text_model.embeddings.LayerNorm.weight", "vision_model.none",
     VITX_FORMAT, "lacks tensor text_model.embeddings.LayerNorm.weight"},
    {"chinese-clip-hf", HEADER, "text_model.embeddings.token_type_embeddings.weight",
     "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.embeddings.token_type_embeddings.weight"},
    {"chinese-clip-hf", HEADER, "text_model.encoder.layer.1.output.LayerNorm.weight",
     "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.encoder.layer.1.output.LayerNorm.weight"},
    {"altclip-hf", HEADER, "text_model.pre_LN.bias", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.pre_LN.bias"},
    {"altclip-hf", HEADER, "text_model.transformation.weight", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.transformation.weight"},
    {"altclip-hf", HEADER, "text_model.transformation.bias", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_model.transformation.bias"},
    {"altclip-hf", HEADER, "text_projection.weight", "vision_model.none", VITX_FORMAT,
     "lacks tensor text_projection.weight"},
    /* or another one is there */
    {"clip-hf", HEADER, "vision_model.embeddings.class_embedding", "text_model.gate",
     VITX_UNSUPPORTED,
     "tensor text_model.gate is not part of family clip in the names of Hugging Face"},
    /* of a shape or a type that it must not have */
    {"clip-hf", HEADER, "\"text_model.final_layer_norm.weight\":{\"dtype\":\"F16\",\"shape\":[24]",
     "\"text_model.final_layer_norm.weight\":{\"dtype\":\"F16\",\"shape\":[2,12]", VITX_FORMAT,
     "text_model.final_layer_norm.weight has shape [2, 12], expected [24]"},
    {"clip-hf", HEADER, "token_embedding.weight\":{\"dtype\":\"F16\",\"shape\":[100,24]",
     "token_embedding.weight\":{\"dtype\":\"F16\",\"shape\":[2400]", VITX_FORMAT,
     "token_embedding.weight has shape [2400], expected 2 dimensions"},
    {"clip-hf", HEADER, "token_embedding.weight\":{\"dtype\":\"F16\",\"shape\":[100,24]",
     "token_embedding.weight\":{\"dtype\":\"F16\",\"shape\":[50,48]", VITX_FORMAT, "vocab"},
    {"clip-hf", HEADER, "token_embedding.weight\":{\"dtype\":\"F16\"",
     "token_embedding.weight\":{\"dtype\":\"I16\"", VITX_UNSUPPORTED,
     "token_embedding.weight is I16, perhaps quantized"},
    {"altclip-hf", HEADER, "text_projection.weight\":{\"dtype\":\"F16\",\"shape\":[20,28]",
     "text_projection.weight\":{\"dtype\":\"F16\",\"shape\":[28,20]", VITX_FORMAT,
     "text_projection.weight has shape [28, 20], expected [28, 28]"},
    {"chinese-clip-hf", HEADER,
     "text_model.embeddings.token_type_embeddings.weight\":{\"dtype\":\"F16\",\"shape\":[2,24]",
     "text_model.embeddings.token_type_embeddings.weight\":{\"dtype\":\"F16\",\"shape\":[4,12]",
     VITX_FORMAT, "token_type_embeddings.weight has shape [4, 12], expected [4, 24]"},
    /* the configuration says otherwise, or what is not run */
    {"clip-hf", CONFIG, "\"vocab_size\": 100", "\"vocab_size\": 101", VITX_FORMAT,
     "says the vocabulary is 101, but in"},
    {"clip-hf", CONFIG, "\"max_position_embeddings\": 12", "\"max_position_embeddings\": 13",
     VITX_FORMAT, "says the number of positions is 13"},
    {"clip-hf", CONFIG, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", VITX_FORMAT,
     "says the depth is 3"},
    {"clip-hf", CONFIG, "\"num_attention_heads\": 2", "\"num_attention_heads\": 5", VITX_FORMAT,
     "cannot be shared by 5 attention heads"},
    {"clip-hf", CONFIG, "\"eos_token_id\": 99", "\"eos_token_id\": 100", VITX_FORMAT,
     "says that id 100 ends a text"},
    {"clip-hf", CONFIG, "\"eos_token_id\": 99", "\"eos_token_id\": [99]", VITX_UNSUPPORTED,
     "eos_token_id"},
    {"clip-hf", CONFIG, "\"quick_gelu\"", "\"swish\"", VITX_UNSUPPORTED, "hidden_act \"swish\""},
    {"clip-hf", CONFIG, "\"clip\"", "\"clipseg\"", VITX_UNSUPPORTED,
     "model_type clipseg is not supported for texts"},
    {"clip-hf", CONFIG, "\"model_type\": \"clip\"", "\"note\": \"\"", VITX_UNSUPPORTED,
     "no config.json says of which kind"},
    {"siglip-hf", CONFIG, "\"siglip\"", "\"clip\"", VITX_FORMAT,
     "lacks tensor text_projection.weight"},
    {"chinese-clip-hf", CONFIG, "\"pad_token_id\": 0",
     "\"position_embedding_type\": \"relative_key\"", VITX_UNSUPPORTED,
     "position_embedding_type \"relative_key\""},
    {"chinese-clip-hf", CONFIG, "\"pad_token_id\": 0", "\"is_decoder\": true", VITX_UNSUPPORTED,
     "is_decoder is not supported"},
    {"altclip-hf", CONFIG, "\"pad_token_id\": 1", "\"pad_token_id\": 99", VITX_FORMAT,
     "of which the first text token has number 100"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 5", VITX_FORMAT, "5 attention heads"},
    {"clip-open-clip", OPEN_CLIP, "\"vocab_size\": 100", "\"vocab_size\": 99", VITX_FORMAT,
     "vocabulary is 99"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"hf_model_name\": \"xlm-roberta-base\"",
     VITX_UNSUPPORTED, "text_cfg.hf_model_name is not supported"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"embed_cls\": true",
     VITX_UNSUPPORTED, "text_cfg.embed_cls"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"qk_norm\": true",
     VITX_UNSUPPORTED, "text_cfg.qk_norm"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"block_type\": \"custom\"",
     VITX_UNSUPPORTED, "text_cfg.block_type"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"scale_attn\": true",
     VITX_UNSUPPORTED, "text_cfg.scale_attn"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"ls_init_value\": 0.1",
     VITX_UNSUPPORTED, "text_cfg.ls_init_value"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"final_ln_after_pool\": true",
     VITX_UNSUPPORTED, "text_cfg.final_ln_after_pool"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"pool_type\": \"none\"",
     VITX_UNSUPPORTED, "text_cfg.pool_type \"none\" with a causal mask"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2", "\"heads\": 2, \"no_causal_mask\": true",
     VITX_UNSUPPORTED, "text_cfg.pool_type \"argmax\" without a causal mask"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2",
     "\"heads\": 2, \"tokenizer_kwargs\": {\"strip_sep_token\": true}", VITX_UNSUPPORTED,
     "strip_sep_token"},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2",
     "\"heads\": 2, \"tokenizer_kwargs\": {\"clean\": \"fix\"}", VITX_UNSUPPORTED, "clean \"fix\""},
    {"clip-open-clip", OPEN_CLIP, "\"heads\": 2",
     "\"heads\": 2, \"act_kwargs\": {\"approximate\": \"no\"}", VITX_UNSUPPORTED,
     "act_kwargs.approximate \"no\""},
    {"clip-open-clip", OPEN_CLIP, "\"model_cfg\"", "\"other_cfg\"", VITX_UNSUPPORTED,
     "no open_clip_config.json says its activation"},
    {"clip-open-clip", OPEN_CLIP, "\"embed_dim\": 20", "\"embed_dim\": 21", VITX_FORMAT,
     "the embedding's size is 21"},
};

START_TEST(test_text__refuses_what_is_damaged)
{
    char name[100];
    snprintf(name, sizeof name, TEXTS "%s", damages[_i].model);
    char *folder = copy_golden(name);
    if (damages[_i].file)
        edit_file(folder, damages[_i].file, damages[_i].find, damages[_i].replace);
    else
        edit_weights(folder, damages[_i].find, damages[_i].replace);
    refuse_text(folder, damages[_i].code, damages[_i].part);
    remove_folder(folder);
    free(folder);
}
END_TEST

#define VALUE "encoderblock_1/MultiHeadDotProductAttention_0/value/"
#define SCAN "siglip-big-vision-scan"

/* Names and shapes in an archive of big_vision's, each replaced by one of the same length. */
static const struct {
    const char *model, *find, *replace;
    int code;
    const char *part;
} changes[] = {
    {"siglip-big-vision", "params/b.npy", "params/c.npy", VITX_UNSUPPORTED,
     "without a bias of the logits"},
    {"siglip-big-vision", "params/t.npy", "params/u.npy", VITX_UNSUPPORTED, "tensor params/u"},
    {"siglip-big-vision", "Embed_0/embedding", "Embed_1/embedding", VITX_UNSUPPORTED,
     "big_vision's, but not SigLIP's"},
    {"siglip-big-vision", "params/txt/pos_", "params/txt/pas_", VITX_FORMAT,
     "lacks tensor params/txt/pos_embedding"},
    {"siglip-big-vision", "params/txt/pos_", "params/txt/apos", VITX_FORMAT,
     "lacks tensor params/txt/pos_embedding"},
    {"siglip-big-vision", "txt/head/kernel", "txt/feet/kernel", VITX_FORMAT,
     "lacks tensor params/txt/head/kernel"},
    {"siglip-big-vision", "txt/head/bias", "txt/feet/bias", VITX_FORMAT,
     "lacks tensor params/txt/head/bias"},
    {"siglip-big-vision", "Encoder_0/encoder_norm/bias", "Encoder_0/encoder_narm/bias", VITX_FORMAT,
     "lacks tensor params/txt/Encoder_0/encoder_norm/bias"},
    {"siglip-big-vision", "Encoder_0/" VALUE "bias", "Encoder_0/" VALUE "baas", VITX_FORMAT,
     "lacks tensor params/txt/Encoder_0/" VALUE "bias"},
    {"siglip-big-vision", "(1, 12, 36), }", "(12, 36,), }  ", VITX_FORMAT, "expected 3 dimensions"},
    {"siglip-big-vision", "(36, 3, 12), }", "(36, 12, 3), }", VITX_FORMAT, "attention heads"},
    {"siglip-big-vision", "(100, 36), }", "(36, 100), }", VITX_FORMAT, "expected [12, 100]"},
    {SCAN, "Encoder_0/encoderblock/LayerNorm_1/bias", "Encoder_0/encoderblock/LayerNorm_7/bias",
     VITX_FORMAT, "lacks tensor txt/Encoder_0/encoderblock_0/LayerNorm_1/bias"},
    {SCAN, "Encoder_0/encoderblock/", "Encoder_0/encoderblack/", VITX_FORMAT,
     "kernel has shape [2, 36, 40], expected 2 dimensions"},
};

START_TEST(test_text__names_what_is_wrong_in_an_archive)
{
    char name[100];
    size_t size;
    snprintf(name, sizeof name, TEXTS "%s", changes[_i].model);
    char *folder = copy_golden(name);
    const char *path = in_folder(folder, "weights.npz");
    unsigned char *data = read_file(path, &size);
    replace_bytes(data, size, changes[_i].find, changes[_i].replace);
    write_file(path, data, size);
    refuse_text(folder, changes[_i].code, changes[_i].part);
    vitx_model_free(open_ok(folder));
    free(data);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Whatever is wrong with the texts, the pictures' half opens, says it, and leaves the thread's
 * message alone. */
START_TEST(test_text__does_no_harm_to_pictures)
{
    char *folder = copy_golden(TEXTS "clip-hf");
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    edit_file(folder, CONFIG, "\"vocab_size\": 100", "\"vocab_size\": 101");
    try_open("/nowhere", VITX_IO, "/nowhere");
    vitx_model *m = open_ok(folder);
    ck_ok(vitx_model_get_info(&info, m));
    ck_assert_int_eq(strncmp(info.text, "not run: ", 9), 0);
    ck_assert_msg(strstr(info.text, "the vocabulary is 101") != NULL, "%s", info.text);
    ck_assert(strstr(vitx_last_error(), "/nowhere") != NULL);
    ck_assert_str_eq(vitx_last_error_subject(), "/nowhere");
    vitx_model_free(m);
    remove_folder(folder);
    free(folder);
}
END_TEST

START_TEST(test_text__is_none)
{
    refuse_text("test/golden/models/vit-timm", VITX_UNSUPPORTED,
                "the picture half only, as timm's files do");
    refuse_text("test/golden/models/clip-hf", VITX_UNSUPPORTED, "the picture half only (clip");
    refuse_text("test/golden/models/siglip-timm", VITX_UNSUPPORTED, "as timm's files do");
    refuse_text("test/golden/models/siglip-big-vision", VITX_UNSUPPORTED,
                "big_vision's, but not SigLIP's");
    refuse_text("/nowhere", VITX_IO, "/nowhere");
    try_open(golden_text("clip-hf-text"), VITX_UNSUPPORTED, "text part");
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_model *m = open_ok("test/golden/models/vit-timm");
    ck_ok(vitx_model_get_info(&info, m));
    ck_assert_str_eq(info.text, "");
    vitx_model_free(m);
}
END_TEST

/* Towers that open_clip has and vitx does not, by their tensors. */
START_TEST(test_text__names_other_towers)
{
    static const char *const foreign[][2] = {{"text.cls_emb", "embed_cls"},
                                             {"text.transformer.encoder.x", "hf_model_name"},
                                             {"textual.x", "textual"}};
    for (int i = 0; i < COUNT(foreign); i++) {
        char *folder = copy_golden("vit-timm"), extra[300];
        snprintf(extra, sizeof extra,
                 "{\"%s\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},",
                 foreign[i][0]);
        edit_weights(folder, "{", extra);
        refuse_text(folder, VITX_UNSUPPORTED, foreign[i][1]);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* A pooler that no answer reads is left out, of texts and beside pictures. */
START_TEST(test_text__leaves_a_pooler_out)
{
    char *folder = copy_golden(TEXTS "chinese-clip-hf");
    edit_weights(folder, "{",
                 "{\"text_model.pooler.dense.weight\":{\"dtype\":\"F32\",\"shape\":[0],"
                 "\"data_offsets\":[0,0]},");
    vitx_model_free(open_ok(folder));
    vitx_model_free(open_text(folder));
    remove_folder(folder);
    free(folder);
}
END_TEST

/* logit_scale is a logarithm; a file may say anything. */
START_TEST(test_text__scale)
{
    static const struct {
        const char *find, *replace, *part;
    } cases[] = {{"\"logit_scale\":{\"dtype\":\"F16\",\"shape\":[]",
                  "\"logit_scale\":{\"dtype\":\"F16\",\"shape\":[1]", NULL},
                 {"\"logit_scale\":{\"dtype\":\"F16\",\"shape\":[]",
                  "\"logit_scale\":{\"dtype\":\"I16\",\"shape\":[]", "logit_scale is I16"},
                 {"\"logit_scale\"", "\"vision_model.none\"", NULL}};
    for (int i = 0; i < COUNT(cases); i++) {
        char *folder = copy_golden(TEXTS "clip-hf");
        edit_weights(folder, cases[i].find, cases[i].replace);
        if (cases[i].part) {
            refuse_text(folder, VITX_UNSUPPORTED, cases[i].part);
        } else {
            vx_text_model *m = open_text(folder);
            ck_assert(i == 2 ? m->text.scale == 1 : m->text.scale > 5);
            vitx_model_free(m);
        }
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* ------------------------------------------------------------------ beside the tensors ----- */

/* What lies in the folder decides how a text is cleaned, what fills it up, and how long it is. */
START_TEST(test_text__tokenizer_files)
{
    static const struct {
        const char *model, *file, *text;
        vx_clean clean;
        int pad, context;
    } cases[] = {
        {"siglip-hf", "spiece.model", "x", VX_CLEAN_SIGLIP, 1, 12},
        {"siglip-hf", "tokenizer.json", "{}", VX_CLEAN_SIGLIP2, 0, 12},
        {"siglip-hf", "tokenizer.json", "{\"normalizer\": {\"type\": \"Lowercase\"}}",
         VX_CLEAN_NONE, 0, 12},
        {"siglip-hf", "tokenizer_config.json", "{\"tokenizer_class\": \"SiglipTokenizer\"}",
         VX_CLEAN_SIGLIP, 1, 12},
        {"siglip-hf", "tokenizer_config.json", "{\"tokenizer_class\": \"GemmaTokenizer\"}",
         VX_CLEAN_SIGLIP2, 0, 12},
        {"siglip-hf", "tokenizer_config.json", "{\"model_max_length\": 8}", VX_CLEAN_SIGLIP, 1, 12},
        {"clip-hf", "tokenizer_config.json", "{\"model_max_length\": 8}", VX_CLEAN_NONE, -1, 8},
        {"clip-hf", "tokenizer_config.json", "{\"model_max_length\": 1e30}", VX_CLEAN_NONE, -1, 12},
        {"clip-hf", "tokenizer_config.json", "{\"model_max_length\": 77}", VX_CLEAN_NONE, -1, 12},
        {"siglip-open-clip", "spiece.model", "x", VX_CLEAN_CANONICALIZE, 1, 12},
        {"siglip-open-clip", "sentencepiece.model", "x", VX_CLEAN_CANONICALIZE, 1, 12},
        {"siglip-big-vision", "sentencepiece.model", "x", VX_CLEAN_CANONICALIZE, 1, 12},
        {"siglip-big-vision", "tokenizer.model", "x", VX_CLEAN_SIGLIP2, 0, 12},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        char name[100];
        snprintf(name, sizeof name, TEXTS "%s", cases[i].model);
        char *folder = copy_golden(name);
        write_text(folder, cases[i].file, cases[i].text);
        vx_text_model *m = open_text(folder);
        ck_assert_msg(m->text.clean == cases[i].clean && m->text.pad == cases[i].pad &&
                          m->text.context == cases[i].context,
                      "case %d: clean %d, pad %d, context %d", i, (int)m->text.clean, m->text.pad,
                      m->text.context);
        ck_assert_int_eq(m->arch.grid_width, m->text.context);
        vitx_model_free(m);
        remove_folder(folder);
        free(folder);
    }
}
END_TEST

/* A text tower of big_vision's of one block and of zeros, with a table of so many rows. */
static void write_archive(const char *path, int vocabulary)
{
    enum { D = 2, MEMBERS = 24 };
#define NUMBERED "Encoder_0/encoderblock_0/"
#define HEADS NUMBERED "MultiHeadDotProductAttention_0/"
    static const struct {
        const char *name, *shape;
        int count;
    } tensors[] = {{"pos_embedding", "1, 3, 2", 6},
                   {"Encoder_0/encoder_norm/scale", "2,", 2},
                   {"Encoder_0/encoder_norm/bias", "2,", 2},
                   {"head/kernel", "2, 2", 4},
                   {"head/bias", "2,", 2},
                   {NUMBERED "LayerNorm_0/scale", "2,", 2},
                   {NUMBERED "LayerNorm_0/bias", "2,", 2},
                   {NUMBERED "LayerNorm_1/scale", "2,", 2},
                   {NUMBERED "LayerNorm_1/bias", "2,", 2},
                   {NUMBERED "MlpBlock_0/Dense_0/kernel", "2, 2", 4},
                   {NUMBERED "MlpBlock_0/Dense_0/bias", "2,", 2},
                   {NUMBERED "MlpBlock_0/Dense_1/kernel", "2, 2", 4},
                   {NUMBERED "MlpBlock_0/Dense_1/bias", "2,", 2},
                   {HEADS "query/kernel", "2, 1, 2", 4},
                   {HEADS "query/bias", "1, 2", 2},
                   {HEADS "key/kernel", "2, 1, 2", 4},
                   {HEADS "key/bias", "1, 2", 2},
                   {HEADS "value/kernel", "2, 1, 2", 4},
                   {HEADS "value/bias", "1, 2", 2},
                   {HEADS "out/kernel", "1, 2, 2", 4},
                   {HEADS "out/bias", "2,", 2}};
    archive_member members[MEMBERS];
    char names[MEMBERS][120], dict[120];
    void *nothing = calloc((size_t)vocabulary * D, 2);
    int n = 0;
    for (; n < COUNT(tensors); n++) {
        snprintf(names[n], sizeof names[n], "txt/%s.npy", tensors[n].name);
        snprintf(dict, sizeof dict, "{'descr': '<f2', 'fortran_order': False, 'shape': (%s), }\n",
                 tensors[n].shape);
        members[n] = archive_array(names[n], dict, nothing, (size_t)tensors[n].count * 2, false);
    }
    snprintf(dict, sizeof dict, "{'descr': '<f2', 'fortran_order': False, 'shape': (%d, %d), }\n",
             vocabulary, D);
    members[n++] = archive_array("txt/Embed_0/embedding.npy", dict, nothing,
                                 (size_t)vocabulary * D * 2, false);
    members[n++] = archive_array(
        "t.npy", "{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }\n", nothing, 2, false);
    members[n++] = archive_array(
        "b.npy", "{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }\n", nothing, 2, false);
    const archive a = archive_build(members, n, false);
    write_file(path, a.data, a.size);
    archive_free_members(members, n);
    free(a.data);
    free(nothing);
}

/* The table of SigLIP 2's size says whose texts they are, where no tokenizer lies beside it. */
START_TEST(test_text__siglip_2_by_its_table)
{
    static const struct {
        int rows, pad;
        vx_clean clean;
    } cases[] = {{32000, 1, VX_CLEAN_CANONICALIZE}, {256000, 0, VX_CLEAN_SIGLIP2}};
    char *folder = make_folder();
    for (int i = 0; i < COUNT(cases); i++) {
        write_archive(in_folder(folder, "texts.npz"), cases[i].rows);
        vx_text_model *m = open_text(folder);
        ck_assert_int_eq(m->arch.vocabulary, cases[i].rows);
        ck_assert_int_eq(m->text.pad, cases[i].pad);
        ck_assert_int_eq(m->text.clean, cases[i].clean);
        vitx_model_free(m);
    }
    remove_folder(folder);
    free(folder);
}
END_TEST

/* OpenAI's archives need no configuration, since three numbers in them say whose they are; one of
 * open_clip's counts, of both towers. */
START_TEST(test_text__openai_is_known_by_its_numbers)
{
    char *folder = make_folder(), path[300];
    size_t size;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_model *m = open_ok(golden_text("clip-openai"));
    ck_ok(vitx_model_get_info(&info, m));
    ck_assert_str_eq(info.naming, "openai");
    ck_assert_str_eq(info.container, "PyTorch zip, a TorchScript module");
    ck_assert_str_eq(info.activation, "quick_gelu");
    ck_assert_int_eq(info.heads, 2);
    vitx_model_free(m);
    o.ignore = "context_length";
    ck_fails(vx_text_open(&m, golden_text("clip-openai"), &o), VITX_UNSUPPORTED,
             "no open_clip_config.json says its activation");
    snprintf(path, sizeof path, "%s/ViT-B-32.pt", golden_text("clip-openai"));
    void *data = read_file(path, &size);
    write_file(in_folder(folder, "ViT-B-32.pt"), data, size);
    write_text(folder, "open_clip_config.json",
               "{\"model_cfg\": {\"embed_dim\": 20, \"vision_cfg\": {\"image_size\": 32, "
               "\"layers\": 1, \"width\": 128, \"head_width\": 32, \"patch_size\": 8}, "
               "\"text_cfg\": {\"heads\": 2, \"width\": 64, \"layers\": 1, "
               "\"context_length\": 12, \"vocab_size\": 100}}}");
    info = info_of(folder);
    ck_assert_str_eq(info.activation, "gelu");
    ck_assert_int_eq(info.heads, 4);
    m = open_text(folder);
    ck_assert(m->arch.act == VX_ACT_GELU && m->arch.heads == 2);
    vitx_model_free(m);
    free(data);
    remove_folder(folder);
    free(folder);
}
END_TEST

/* Heads that the caller says count, as they do for pictures. */
START_TEST(test_text__options)
{
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vx_text_model *m;
    o.heads = 4;
    ck_ok(vx_text_open(&m, golden_text("clip-hf"), &o));
    ck_assert_int_eq(m->arch.heads, 4);
    ck_assert_int_eq(m->from_heads, VITX_FROM_OPTIONS);
    vitx_model_free(m);
    o.heads = 0;
    o.ignore = "text_model.embeddings.token*";
    ck_fails(vx_text_open(&m, golden_text("clip-hf"), &o), VITX_UNSUPPORTED, "picture half only");
    o.ignore = "none";
    ck_fails(vx_text_open(&m, golden_text("clip-hf"), &o), VITX_INVALID, "ignore");
    ck_fails(vx_text_open(NULL, golden_text("clip-hf"), NULL), VITX_INVALID, "NULL");
    ck_fails(vx_text_open(&m, NULL, NULL), VITX_INVALID, "NULL");
}
END_TEST

/* Files in memory: no table is copied from there either. */
START_TEST(test_text__files_in_memory)
{
    vitx_memory_file files[2] = {{.name = "model.safetensors"}, {.name = "config.json"}};
    void *data[2];
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vx_text_model *m, *disk = open_text(golden_text("chinese-clip-hf"));
    float row[WIDE], other[WIDE];
    for (int i = 0; i < 2; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", golden_text("chinese-clip-hf"), files[i].name);
        size_t bytes;
        files[i].data = data[i] = read_file(path, &bytes);
        files[i].bytes = bytes;
    }
    o.files = files;
    o.file_count = 2;
    ck_ok(vx_text_open(&m, "memory", &o));
    ck_ok(vx_text_row(row, m, 42, 3));
    ck_ok(vx_text_row(other, disk, 42, 3));
    ck_assert(memcmp(row, other, (size_t)m->arch.width * sizeof *row) == 0);
    vitx_model_free(m);
    vitx_model_free(disk);
    free(data[0]);
    free(data[1]);
}
END_TEST

/* ------------------------------------------------------------------ memory ----------------- */

static int whole_way(const vitx_hooks *hooks, const char *path)
{
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    const vx_weights *w;
    vx_text_model *m;
    vitx_model *pictures;
    float row[WIDE];
    o.hooks = hooks;
    int status = vitx_model_open(&pictures, path, &o);
    if (status != VITX_OK)
        return status;
    vitx_model_free(pictures);
    status = vx_text_open(&m, path, &o);
    if (status != VITX_OK)
        return status;
    status = vx_model_weights(&w, m, &(vx_site){.cls = vx_device_find("ref")}, "f32");
    if (status == VITX_OK)
        status = vx_text_row(row, m, 7, 1);
    vitx_model_free(m);
    return status;
}

START_TEST(test_text__every_allocation_may_fail)
{
    static const char *const models[] = {"clip-hf", "altclip-hf", "siglip-open-clip",
                                         "cn-clip", "siglip-hf",  "siglip-big-vision",
                                         SCAN,      "clip-openai"};
    char path[200];
    ration r = {.left = -1};
    vitx_hooks hooks = VITX_HOOKS_INIT;
    hooks.alloc = ration_alloc;
    hooks.release = ration_release;
    hooks.payload = &r;
    snprintf(path, sizeof path, "%s", golden_text(models[_i]));
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

static Suite *text_model_suite(void)
{
    const int all = COUNT(goldens);
    Suite *suite = suite_create("text_model");
    TCase *t = tcase_create("text_model");
    tcase_add_loop_test(t, test_text__what_the_files_say, 0, all);
    tcase_add_loop_test(t, test_text__is_told_of_beside_pictures, 0, all);
    tcase_add_loop_test(t, test_text__computes_what_its_library_does, 0, all);
    tcase_add_loop_test(t, test_text__goes_with_its_pictures, 0, all);
    tcase_add_test(t, test_text__length);
    tcase_add_test(t, test_text__what_is_no_text);
    tcase_add_test(t, test_text__rows_of_a_large_table);
    tcase_add_loop_test(t, test_text__refuses_what_is_damaged, 0, COUNT(damages));
    tcase_add_loop_test(t, test_text__names_what_is_wrong_in_an_archive, 0, COUNT(changes));
    tcase_add_test(t, test_text__does_no_harm_to_pictures);
    tcase_add_test(t, test_text__is_none);
    tcase_add_test(t, test_text__names_other_towers);
    tcase_add_test(t, test_text__leaves_a_pooler_out);
    tcase_add_test(t, test_text__scale);
    tcase_add_test(t, test_text__tokenizer_files);
    tcase_add_test(t, test_text__siglip_2_by_its_table);
    tcase_add_test(t, test_text__openai_is_known_by_its_numbers);
    tcase_add_test(t, test_text__options);
    tcase_add_test(t, test_text__files_in_memory);
    tcase_add_loop_test(t, test_text__every_allocation_may_fail, 0, 8);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(text_model_suite)
