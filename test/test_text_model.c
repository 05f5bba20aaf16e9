/*
 * test_text_model.c: text towers, opened from the files of their libraries.
 *
 * What a tower's arch, weights, tables and rules say is run here by a forward pass in double of its
 * own, of one text: it gives what the library gives (test/golden/texts). Beside it: what is refused,
 * and how.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "model/model.h"
#include "model_files.h"
#include "util.h"

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
     VX_CLEAN_LOWER, true, false, false, false, VX_ACT_GELU_TANH, 1e-6f, 12, 2},
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

static Suite *text_model_suite(void)
{
    const int all = COUNT(goldens);
    Suite *suite = suite_create("text_model");
    TCase *t = tcase_create("text_model");
    tcase_add_loop_test(t, test_text__what_the_files_say, 0, all);
    tcase_add_loop_test(t, test_text__is_told_of_beside_pictures, 0, all);
    tcase_add_loop_test(t, test_text__computes_what_its_library_does, 0, all);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(text_model_suite)
