/*
 * Attention and its gradients in every precision, on every instruction set and extension that this
 * machine has, and on emulated tiles, against the reference. VX_TEST_THREADS
 *
 * The bounds. An operand of a product is off by at most u of itself: bf16 has 8 bits, so u = 2^-8;
 * bf16x3 has u = 2^-17, and low * low, at most 2^-16, is left out. A product is off by w =
 * 2 u + u^2 (+ 2^-16). So a score is off by at most d = w scale sum |q||k|, a probability by
 * r = exp(2 d) - 1 of itself, as is the mean, the largest and the smallest of several, and y by at
 * most ((1 + r) (1 + w) - 1) sum p |v|. f32 has what its sums add, 2^-20 here, and so has every
 * precision.
 *
 * Gradients. D is the largest sum |dy||v|, so dp is off by at most w D. With p off by r of itself
 * (0 where it is given) ds = scale p (dp - sum p dp) is off by at most scale p D c,
 *   c = (1 + r) (2 w + r (1 + w)) + 2 r,
 * and is at most 2 scale p D. So dq is off by at most scale D (c + w (2 + c)) sum p |k|, dk by the
 * same of p |q|, and dv as y. Those add up what never comes together: the norm of the error of dq,
 * dk or dv is held to 4 u of theirs as well.
 */
#define VX_ISA_NAME emulated
#define VX_VECTOR_BITS 128
#define VX_EMULATE_TILES
#include "kernel_bed.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/attention_vec.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/panels_tile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UP_TO_512 (VX_CPU_AVX2 | VX_CPU_AVX512)

enum { MASKS = 7, EMULATED = MASKS - 1, CASES = MASKS * VX_NUMBERS };
static const struct version masks[MASKS] = {
    {"baseline", "cpu", 0, {"baseline", ""}},
    {"avx2", "cpu", VX_CPU_AVX2, {"avx2", ""}},
    {"avx512", "cpu", UP_TO_512, {"avx512", ""}},
    {"avx512 bf16", "cpu", UP_TO_512 | VX_CPU_BF16, {"avx512 bf16", ""}},
    {"avx512 bf16 amx", "cpu", UP_TO_512 | VX_CPU_BF16 | VX_CPU_AMX, {"avx512 bf16 amx", ""}},
    {"all", "cpu", VX_FEATURES_ALL, {"", ""}},
    {"emulated tiles", "cpu", 0, {"baseline", ""}},
};

static const vx_dims dims = {.batch = 3,
                             .tokens = 197,
                             .width = 192,
                             .heads = 3,
                             .head_width = 96,
                             .hidden = 192,
                             .channels = 3,
                             .patch_height = 4,
                             .patch_width = 4,
                             .classes = 10};

static void emulated_bf16(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16);
}

static void emulated_bf16x3(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16X3);
}

static const char *name_of(int index)
{
    return vx_panel_forms[index % VX_NUMBERS].packing.name;
}

static bool open_bed(bed *b, int index, int threads)
{
    char err[200] = "";
    vitx_hooks hooks;
    const int mask = index / VX_NUMBERS;
    if (index % VX_NUMBERS == VX_NUMBER_F32 && mask > 2 && mask != EMULATED - 1)
        return false; /* f32 has no extensions */
    if (mask != EMULATED && repeats(masks, mask))
        return false;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    *b = (bed){.allocations_left = -1, .version = &masks[mask]};
    expect(vx_pool_create(&b->pool, &hooks, threads) == 0, "no threads");
    const vx_device_env env = bed_env(b);
    const vx_device_class *cls = vx_device_find("cpu");
    expect(cls->open(&b->dev, &env, name_of(index), masks[mask].features, err, sizeof err) == 0,
           "%s", err);
    expect(cls->reserve(b->dev, &dims, err, sizeof err) == 0, "%s", err);
    if (!strstr(b->dev->kernels, masks[mask].must_say[0])) {
        static bool said;
        if (!said)
            printf("skipped: %s is not on this machine\n", masks[mask].name);
        said = true;
        bed_close(b);
        return false;
    }
    if (mask == EMULATED) {
        vx_cpu *cpu = vx_cpu_of(b->dev);
        cpu->flags |= VX_CPU_AMX; /* where attention looks which formats are fast */
        cpu->pieces.exponentials = vx_exponentials_emulated;
        cpu->pieces.panels_of = vx_panels_of_emulated;
        cpu->pieces.rows_of = vx_rows_of_emulated;
        cpu->pieces.strip_rows = strip_rows_of_tiles;
        cpu->pieces.strip_product = strip_product_of_tiles;
        cpu->pieces.rows_scaled = vx_rows_scaled_emulated;
        cpu->pieces.panels_bf16 = emulated_bf16;
        cpu->pieces.panels_bf16x3 = emulated_bf16x3;
    }
    return true;
}

/* What is right need not be computed for a version that this machine lacks. */
static bool is_here(int index)
{
    bed b;
    if (!open_bed(&b, index, 1))
        return false;
    bed_close(&b);
    return true;
}

/* What attention multiplies in. */
static vx_number number_of(int index)
{
    const unsigned flags = masks[index / VX_NUMBERS].features;
    const bool of_tiles = flags & VX_CPU_AMX || index / VX_NUMBERS == EMULATED;
    const vx_number number = (vx_number)(index % VX_NUMBERS);
    if (number == VX_NUMBER_F32 || number == VX_NUMBER_BF16X3)
        return of_tiles ? number : VX_NUMBER_F32;
    return of_tiles || flags & VX_CPU_BF16 ? VX_NUMBER_BF16 : VX_NUMBER_F32;
}

/* How far a product of two numbers may be off. */
static double product_bound(vx_number number)
{
    const double u = number == VX_NUMBER_BF16     ? 1.0 / 256
                     : number == VX_NUMBER_BF16X3 ? 1.0 / 131072
                                                  : 0;
    return 2 * u + u * u + (number == VX_NUMBER_BF16X3 ? 1.0 / 65536 : 0) + 1.0 / 1048576;
}

static double last_place(vx_number number)
{
    return number == VX_NUMBER_BF16     ? 1.0 / 256
           : number == VX_NUMBER_BF16X3 ? 1.0 / 65536
                                        : 1.0 / 1048576;
}

/* ----------------------------------------------------------------------- what is expected -- */

typedef struct expected {
    float *y, *absolute; /* sum p v, sum p |v| */
    vx_recorded record;
    double d; /* how far a score may be off */
} expected;

/* What q and k are multiplied in. */
static vx_number scores_number(int index, const vx_attention *a)
{
    const vx_number number = number_of(index);
    if (!a->differentiated || number != VX_NUMBER_BF16)
        return number;
    return masks[index / VX_NUMBERS].features & VX_CPU_AMX || index / VX_NUMBERS == EMULATED
               ? VX_NUMBER_BF16X3
               : VX_NUMBER_F32;
}

static size_t rows_of(const vx_attention *a)
{
    return a->starts ? (size_t)a->starts[a->batch] : (size_t)a->batch * (size_t)a->tokens;
}

static size_t record_count(const vx_recorded *r)
{
    const size_t t = (size_t)r->tokens, all = (size_t)r->batch * (size_t)r->heads;
    return r->keep == VX_KEEP_ROW     ? all * t
           : r->keep == VX_KEEP_FUSED ? (size_t)r->batch * t * t
           : r->keep == VX_KEEP_ALL   ? all * t * t
                                      : 0;
}

static size_t record_bytes(const vx_recorded *r)
{
    return record_count(r) * (r->store == VX_STORE_F16 ? 2 : 4);
}

static float recorded(const vx_recorded *r, size_t i)
{
    return r->store == VX_STORE_F16 ? vx_half_to_float(((uint16_t *)r->data)[i])
                                    : ((float *)r->data)[i];
}

/* The largest scale sum |q||k|. */
static double largest_score(const vx_attention *a)
{
    const size_t e = (size_t)a->head_width, d = (size_t)a->heads * e;
    double most = 0;
    for (int b = 0; b < a->batch; b++) {
        const size_t start = vx_start_of(a->starts, b, a->tokens);
        const int tokens = vx_tokens_of(a->starts, b, a->tokens);
        for (int i = 0; i < a->heads * tokens * tokens; i++) {
            const size_t h = (size_t)(i % a->heads), t = (size_t)(i / a->heads % tokens),
                         s = (size_t)(i / a->heads / tokens);
            const float *q = a->qkv + (start + t) * 3 * d + h * e,
                        *k = a->qkv + (start + s) * 3 * d + d + h * e;
            double sum = 0;
            for (size_t c = 0; c < e; c++)
                sum += fabs((double)q[c] * (double)k[c]);
            most = fmax(most, sum);
        }
    }
    return most * fabs((double)a->scale);
}

static expected expect_of(const vx_attention *given, vx_number number)
{
    vx_attention a = *given;
    const size_t d = (size_t)a.heads * (size_t)a.head_width, rows = rows_of(&a);
    expected x = {output_f32(rows * d), output_f32(rows * d), a.record,
                  product_bound(number) * largest_score(&a)};
    x.record.data = a.record.keep ? output(record_bytes(&a.record)) : NULL;
    a.record = x.record;
    a.y = x.y;
    vx_attention_ref(NULL, &a);
    float *qkv = copied(a.qkv, rows * 3 * d);
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 2 * d; c < 3 * d; c++)
            qkv[i * 3 * d + c] = fabsf(qkv[i * 3 * d + c]);
    a.qkv = qkv;
    a.y = x.absolute;
    vx_attention_ref(NULL, &a);
    return x;
}

static void check_y(const vx_attention *a, const expected *x, vx_number number, const char *what)
{
    const size_t d = (size_t)a->heads * (size_t)a->head_width;
    const double by = exp(2 * x->d) * (1 + product_bound(number)) - 1;
    for (size_t i = 0; i < rows_of(a) * d; i++) {
        if (untouched(x->y[i])) {
            expect(untouched(a->y[i]), "%s: wrote y %zu", what, i);
            continue;
        }
        expect(fabs((double)a->y[i] - (double)x->y[i]) <= by * (double)x->absolute[i] + 1e-6,
               "%s: y %zu is %g, expected %g", what, i, (double)a->y[i], (double)x->y[i]);
    }
}

static void check_record(const vx_recorded *record, const expected *x, const char *what)
{
    const double by = exp(2 * x->d) - 1 + (record->store == VX_STORE_F16 ? 1.0 / 1024 : 0);
    for (size_t i = 0; i < record_count(record); i++) {
        const double p = recorded(record, i), q = recorded(&x->record, i);
        expect(fabs(p - q) <= by * q + 1e-6, "%s: record %zu is %g, expected %g", what, i, p, q);
    }
}

/* Rows of probabilities, or their means, sum to 1: f32 rounds each of n by 2^-24 of itself, and the
 * sum that they are divided by n times. */
static void check_sums(const vx_recorded *record, const char *what)
{
    const size_t t = (size_t)record->tokens;
    if (record->store == VX_STORE_F16 ||
        (record->keep == VX_KEEP_FUSED && record->fuse != VX_FUSE_MEAN))
        return;
    for (size_t i = 0; i < record_count(record); i += t) {
        double sum = 0;
        for (size_t j = 0; j < t; j++)
            sum += recorded(record, i + j);
        expect(fabs(sum - 1) <= (double)(t + 16) / 16777216, "%s: row %zu sums to %.9g", what,
               i / t, sum);
    }
}

/* --------------------------------------------------------------------------------- cases --- */

/* OpenBLAS sums a row in another order where another number of rows stands beside it
 * (docs/numerics.md), and attention goes to it where there is no AVX-512. */
static bool bits_are_promised(const vx_device *dev)
{
    return strstr(dev->kernels, "avx512") || !strstr(dev->kernels, "OpenBLAS");
}

/* a.y and a.record.data are set here; with 1 to 3 threads the same bits come out, if they are
 * promised. */
static void run_case(int index, vx_attention a, const char *name)
{
    const vx_number number = number_of(index);
    const size_t n = rows_of(&a) * (size_t)a.heads * (size_t)a.head_width;
    const expected x = expect_of(&a, scores_number(index, &a));
    float *first = NULL;
    void *data = NULL;
    const int most = SANITIZED && !SANITIZED_THREADS ? 1 : MOST_THREADS;
    for (int threads = LEAST_THREADS; threads <= most; threads++) {
        bed b;
        char what[200];
        if (!open_bed(&b, index, threads)) {
            free_outputs();
            return;
        }
        snprintf(what, sizeof what, "%s %s, %d threads, %s: T%d E%d keep %d store %d fuse %d of %d",
                 masks[index / VX_NUMBERS].name, name_of(index), threads, name, a.tokens,
                 a.head_width, (int)a.record.keep, (int)a.record.store, (int)a.record.fuse,
                 a.record.query);
        a.y = output_f32(n);
        a.record.data = a.record.keep ? output(record_bytes(&a.record)) : NULL;
        b.dev->ops.attention(b.dev, &a);
        check_guards(what);
        check_y(&a, &x, number, what);
        check_record(&a.record, &x, what);
        check_sums(&a.record, what);
        expect(!first || memcmp(first, a.y, n * sizeof *first) == 0, "%s: other bits", what);
        expect(!data || memcmp(data, a.record.data, record_bytes(&a.record)) == 0,
               "%s: other bits of the record", what);
        first = bits_are_promised(b.dev) ? a.y : NULL;
        data = first ? a.record.data : NULL;
        bed_close(&b);
    }
    free_outputs();
}

static vx_attention shape(const float *qkv, int batch, int tokens, int heads, int e)
{
    return (vx_attention){.qkv = qkv,
                          .scale = 1 / sqrtf((float)e),
                          .batch = batch,
                          .tokens = tokens,
                          .heads = heads,
                          .head_width = e,
                          .record = {.batch = batch, .heads = heads, .tokens = tokens}};
}

/* Queries and keys of a size at which the bounds of bf16 are not empty: scores of about 1. */
static float *small_input(rng *r, const vx_attention *a)
{
    const size_t d = (size_t)a->heads * (size_t)a->head_width, rows = rows_of(a);
    float *qkv = input(r, rows * 3 * d, NORMAL);
    for (size_t i = 0; i < rows * 3 * d; i++)
        qkv[i] *= i % (3 * d) < 2 * d ? 0.5f : 1;
    return qkv;
}

/* Attention in f32 under another name: the cut and ragged sequences are enough of that. */
static bool same_as_f32(int index, vx_number number)
{
    return number == VX_NUMBER_F32 && index % VX_NUMBERS != VX_NUMBER_F32;
}

START_TEST(test_attention__every_precision_keeps_its_bound)
{
    static const int shapes[][4] = {{2, 17, 3, 8},  {1, 33, 2, 70}, {3, 7, 2, 16},
                                    {2, 50, 3, 64}, {1, 65, 1, 88}, {1, 110, 2, 64}};
    rng r = {11};
    if (!is_here(_i) || same_as_f32(_i, number_of(_i)))
        return;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes - (SANITIZED_THREADS ? 3 : SANITIZED);
         s++) {
        vx_attention a = shape(NULL, shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3]);
        float *qkv = small_input(&r, &a);
        a.qkv = qkv;
        if (s % 2)
            a.relative = relative_positions(&r, a.tokens, a.heads);
        for (int store = VX_STORE_F32; store <= VX_STORE_F16; store++) {
            if (a.tokens >= 50 && store == (int)(s % 2))
                continue; /* one of them is enough */
            a.record.store = (vx_store)store;
            a.record.keep = VX_KEEP_NONE;
            for (a.queries = 0; a.queries < 12; a.queries += 1 + a.queries * 4) /* 0, 1, 6 */
                run_case(_i, a, "queries");
            a.queries = 5;
            a.record.keep = VX_KEEP_ROW;
            for (a.record.query = 0; a.record.query < a.tokens; a.record.query += 1 + a.tokens / 2)
                run_case(_i, a, "a row");
            a.record.query = VX_QUERY_PREFIX;
            a.record.prefix = 2;
            run_case(_i, a, "mean row");
            a.record.keep = VX_KEEP_ALL;
            run_case(_i, a, "all");
            a.differentiated = 1;
            run_case(_i, a, "all, for gradients");
            a.differentiated = 0;
            a.causal = 1;
            run_case(_i, a, "all, causal");
            a.record.keep = VX_KEEP_NONE;
            a.queries = 0;
            run_case(_i, a, "causal");
            a.queries = 5;
            a.causal = 0;
            a.record.keep = VX_KEEP_FUSED;
            for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN; fuse++) {
                a.record.fuse = (vx_fuse)fuse;
                run_case(_i, a, "fused");
            }
        }
        free_relative(&a.relative);
        free(qkv);
    }
}
END_TEST

START_TEST(test_attention__ragged_and_cut_sequences)
{
    static const int starts[] = {0, 5, 45, 46, 80};
    rng r = {12};
    if (!is_here(_i))
        return;
    for (int i = 0; i < 4; i++) {
        vx_attention a = shape(NULL, 4, 40, 2, i & 1 ? 64 : 24);
        if (i < 2)
            a.starts = starts;
        else
            a.first = 7;
        float *qkv = small_input(&r, &a);
        a.qkv = qkv;
        run_case(_i, a, i < 2 ? "ragged" : "from a token on");
        a.queries = 6;
        run_case(_i, a, "ragged or from a token on, some queries");
        a.causal = 1;
        run_case(_i, a, "ragged or from a token on, some queries, causal");
        a.queries = 0;
        run_case(_i, a, "ragged or from a token on, causal");
        free(qkv);
    }
}
END_TEST

/* ---------------------------------------------------------------------------------- forms -- */

/* x [m,n] as packed rows, in output memory. */
static char *packed(const bed *b, const vx_panel_form *form, const float *x, size_t m, int n)
{
    char *to = output(m * vx_form_room((size_t)n) * sizeof(float));
    vx_panel_pack_rows(vx_cpu_of(b->dev), form->number,
                       &(vx_panel_rows){to, vx_panel_apart(form, n), NULL, x, n, (int)m, n});
    return to;
}

/* As a linear with this form and y_part writes it. */
static float *packed_heads(const bed *b, const vx_panel_form *form, const vx_attention *a)
{
    const int n = 3 * a->heads * a->head_width, m = (int)rows_of(a), e = a->head_width;
    char *to = output((size_t)m * vx_form_room((size_t)n) * sizeof(float));
    for (int h = 0; h < 3 * a->heads; h++)
        vx_panel_pack_rows(vx_cpu_of(b->dev), form->number,
                           &(vx_panel_rows){to + vx_panel_head(form, e, (size_t)m, (size_t)h, 0),
                                            vx_panel_row(form, e), NULL, a->qkv + h * e, n, m, e});
    return (float *)to;
}

/* What attention makes of qkv as floats, and of packed ones where it asks for these: y as floats
 * and in `to` (or NULL), and the record, are the same to the bit. */
static void form_case(int index, vx_attention a, const vx_panel_form *to, int threads)
{
    bed b;
    if (!open_bed(&b, index, threads))
        return;
    const int d = a.heads * a.head_width;
    const size_t rows = rows_of(&a), bytes = record_bytes(&a.record);
    char what[200];
    snprintf(what, sizeof what, "%s %s: T%d H%d E%d %d queries, keep %d, y %s",
             masks[index / VX_NUMBERS].name, name_of(index), a.tokens, a.heads, a.head_width,
             a.queries, (int)a.record.keep, to ? to->packing.name : "as floats");
    vx_attention formed = a;
    a.y = output_f32(rows * (size_t)d);
    a.record.data = a.record.keep ? output(bytes) : NULL;
    b.dev->ops.attention(b.dev, &a);
    formed.qkv_form =
        b.dev->cls->attention_form(b.dev, a.head_width, a.queries ? a.queries : a.tokens);
    if (formed.qkv_form)
        formed.qkv = packed_heads(&b, vx_panel_written(formed.qkv_form), &a);
    formed.y_form = to ? &to->packing : NULL;
    formed.y = output_f32(rows * vx_form_room((size_t)d));
    formed.record.data = a.record.keep ? output(bytes) : NULL;
    b.dev->ops.attention(b.dev, &formed);
    check_guards(what);
    expect(bytes == 0 || memcmp(a.record.data, formed.record.data, bytes) == 0, "%s: record", what);
    const size_t row = to ? vx_panel_row(to, d) : (size_t)d * sizeof(float);
    const size_t apart = to ? vx_panel_apart(to, d) : row;
    const char *y = to ? packed(&b, to, a.y, rows, d) : (const char *)a.y;
    for (size_t i = 0; i < rows; i++)
        expect(untouched(a.y[i * (size_t)d]) ||
                   memcmp(y + i * apart, (const char *)formed.y + i * apart, row) == 0,
               "%s: row %zu", what, i);
    bed_close(&b);
    free_outputs();
}

/* Heads of a width that lines do not divide are not asked for in a form. */
START_TEST(test_attention__forms_change_nothing)
{
    static const int shapes[][4] = {{1, 7, 2, 32},   {2, 17, 3, 64}, {3, 50, 3, 32},
                                    {1, 197, 2, 64}, {2, 33, 2, 96}, {1, 40, 2, 24}};
    static const int starts[] = {0, 5, 37, 38, 80};
    static const vx_number forms[] = {VX_NUMBER_F32, VX_NUMBER_BF16, VX_NUMBER_BF16X3};
    rng r = {16};
    if (!is_here(_i))
        return;
    for (int i = 0; i < 7 * 4 - (SANITIZED ? 8 : 0); i++) {
        const int *n = shapes[i / 4 % 6], ragged = i >= 6 * 4;
        vx_attention a = ragged ? shape(NULL, 4, 42, 2, 64) : shape(NULL, n[0], n[1], n[2], n[3]);
        a.starts = ragged ? starts : NULL;
        float *qkv = small_input(&r, &a);
        a.qkv = qkv;
        a.relative =
            i % 8 == 1 && !ragged ? relative_positions(&r, a.tokens, a.heads) : (vx_relative){0};
        a.queries = i % 4 == 2 ? 6 : 0;
        a.causal = i % 5 == 1;
        a.record.keep = ragged || i % 4 == 2 ? VX_KEEP_NONE : (vx_keep)(i % 4);
        const vx_panel_form *to = &vx_panel_forms[forms[i % 3]];
        form_case(_i, a, i % 3 && a.head_width % 32 == 0 ? to : NULL, 1 + i % 3);
        free_relative(&a.relative);
        free(qkv);
    }
}
END_TEST

/* Scores of 1e14, whose last place is far more than exp can bear: weights still sum to 1. */
START_TEST(test_attention__huge_scores_are_weights)
{
    enum { T = 37, E = 40 };
    rng r = {15};
    bed b;
    if (!open_bed(&b, _i, 1))
        return;
    for (int i = 0; i < 8; i++) {
        vx_attention a = shape(NULL, 1, T, 1, E);
        float *qkv = small_input(&r, &a), *y = output_f32((size_t)T * E);
        for (int t = 0; t < T; t++)
            for (int part = 0; part < 2; part++)
                qkv[(t * 3 + part) * E + 7] = (i % 2 ? -1e7f : 1e7f) * (1 + (float)(i + t) / 64);
        for (int t = 0; t < T; t++)
            qkv[(t * 3 + 2) * E] = 1; /* the sum of the weights */
        a.qkv = qkv;
        a.y = y;
        b.dev->ops.attention(b.dev, &a);
        for (int t = 0; t < T; t++)
            expect(fabs((double)y[t * E] - 1) < 0.01, "%s %s: row %d sums to %g",
                   masks[_i / VX_NUMBERS].name, name_of(_i), t, (double)y[t * E]);
        free(qkv);
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

/* One NaN in q, k or v: no row that it reaches has a finite answer, the others are numbers. */
START_TEST(test_attention__nan_is_not_lost)
{
    enum { T = 37, E = 40, AT = 21 };
    rng r = {13};
    bed b;
    if (!open_bed(&b, _i, 1))
        return;
    for (int i = 0; i < 6; i++) {
        vx_attention a = shape(NULL, 1, T, 1, E);
        float *qkv = small_input(&r, &a), *y = output_f32((size_t)T * E);
        const int part = i % 3;
        qkv[AT * 3 * E + part * E + 7] = i < 3 ? vx_bits_float(0x7fffffffu) : -NAN;
        a.qkv = qkv;
        a.y = y;
        b.dev->ops.attention(b.dev, &a);
        for (int t = 0; t < T; t++)
            for (int e = 0; e < E; e++) {
                const bool reached = part == 0 ? t == AT : part == 1 || e == 7;
                expect(isnan(y[t * E + e]) == reached, "%s %s: NaN in part %d, row %d, column %d",
                       masks[_i / VX_NUMBERS].name, name_of(_i), part, t, e);
            }
        free(qkv);
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

/* ------------------------------------------------------------------------------ gradients -- */

enum { WITH_P = 1, WITH_DP = 2, WITH_DQKV = 4 };

static size_t dp_count(const vx_attention_bwd *a)
{
    const size_t present = (size_t)(a->tokens - a->first);
    return (size_t)(a->batch * a->targets * a->heads) * present * present;
}

static size_t dqkv_count(const vx_attention_bwd *a)
{
    return (size_t)(a->batch * a->targets * a->tokens * 3 * a->heads * a->head_width);
}

static float *absolute(const float *x, size_t n)
{
    float *out = copied(x, n);
    for (size_t i = 0; i < n; i++)
        out[i] = fabsf(out[i]);
    return out;
}

/* The bounds of dqkv (and of dp), where the reference has the rest. */
typedef struct bwd_bounds {
    float *dp;          /* sum |dy||v| */
    float *of_v, *of_q; /* [.., 3HE], their part v: sums over queries of p |dy|, of p |q| */
    double largest, most_k, r, w;
} bwd_bounds;

static bwd_bounds bounds_of(const vx_attention_bwd *given, vx_number number)
{
    vx_attention_bwd a = *given;
    const size_t d = (size_t)(a.heads * a.head_width), rows = (size_t)(a.batch * a.tokens);
    const size_t n = (size_t)(a.batch * a.targets * a.queries) * d;
    const vx_attention forward = {.qkv = a.qkv,
                                  .scale = a.scale,
                                  .batch = a.batch,
                                  .tokens = a.tokens,
                                  .heads = a.heads,
                                  .head_width = a.head_width};
    bwd_bounds x = {.w = product_bound(number)};
    x.r = exp(2 * x.w * largest_score(&forward)) - 1;
    float *dy = absolute(a.dy, n), *qkv = copied(a.qkv, rows * 3 * d);
    a.dy = dy;
    a.dp = NULL;
    a.dqkv = x.of_v = malloc(dqkv_count(&a) * sizeof *x.of_v);
    vx_attention_bwd_ref(NULL, &a);
    for (size_t g = 0; g < (size_t)(a.batch * a.targets); g++) /* |q| in the place of dy */
        for (size_t i = 0; i < (size_t)a.queries * d; i++) {
            const size_t token = g / (size_t)a.targets * (size_t)a.tokens + (size_t)a.first + i / d;
            dy[g * (size_t)a.queries * d + i] = fabsf(a.qkv[token * 3 * d + i % d]);
        }
    a.dqkv = x.of_q = malloc(dqkv_count(&a) * sizeof *x.of_q);
    vx_attention_bwd_ref(NULL, &a);
    for (size_t i = 0; i < rows * 3 * d; i++) {
        x.most_k = i / d % 3 == 1 ? fmax(x.most_k, fabs((double)qkv[i])) : x.most_k;
        qkv[i] = i / d % 3 == 2 ? fabsf(qkv[i]) : qkv[i];
    }
    for (size_t i = 0; i < n; i++)
        dy[i] = fabsf(given->dy[i]);
    a.qkv = qkv;
    a.dqkv = NULL;
    a.dp = x.dp = malloc(dp_count(&a) * sizeof *x.dp);
    vx_attention_bwd_ref(NULL, &a);
    for (size_t i = 0; i < dp_count(&a); i++)
        x.largest = fmax(x.largest, (double)x.dp[i]);
    free_outputs();
    return x;
}

/* Part 0, 1, 2 of dqkv. */
static void check_part(const vx_attention_bwd *a, const float *right, const bwd_bounds *x, int part,
                       double limit, const char *what)
{
    const size_t d = (size_t)(a->heads * a->head_width);
    const double c = (1 + x->r) * (2 * x->w + x->r * (1 + x->w)) + 2 * x->r;
    const double of_ds = (double)a->scale * x->largest * (c + x->w * (2 + c));
    double error = 0, power = 0;
    for (size_t i = 0; i < dqkv_count(a); i++) {
        if (i / d % 3 != (size_t)part)
            continue;
        const size_t v = i + (2 - (size_t)part) * d;
        const double bound = part == 0   ? of_ds * x->most_k
                             : part == 1 ? of_ds * (double)x->of_q[v]
                                         : ((1 + x->r) * (1 + x->w) - 1) * (double)x->of_v[v];
        const double off = (double)a->dqkv[i] - (double)right[i];
        expect(fabs(off) <= bound + 1e-6, "%s: part %d, %zu is %g, expected %g", what, part, i,
               (double)a->dqkv[i], (double)right[i]);
        error += off * off;
        power += (double)right[i] * (double)right[i];
    }
    expect(sqrt(error) <= limit * sqrt(power) + 1e-6, "%s: part %d is off by %g of itself", what,
           part, sqrt(error / power));
}

/* right: what the reference makes of it. */
static void bwd_case(int index, vx_attention_bwd a, const vx_attention_bwd *right, bwd_bounds x,
                     int parts)
{
    bed b;
    char what[200];
    const vx_number number = number_of(index);
    if (!open_bed(&b, index, 1 + (parts + a.tokens) % 3))
        return;
    snprintf(what, sizeof what, "%s %s, gradients: T%d H%d E%d, %d queries from %d, parts %d",
             masks[index / VX_NUMBERS].name, name_of(index), a.tokens, a.heads, a.head_width,
             a.queries, a.first, parts);
    x.r = parts & WITH_P ? 0 : x.r;
    a.p = parts & WITH_P ? a.p : NULL;
    a.dp = parts & WITH_DP ? output_f32(dp_count(&a)) : NULL;
    a.dqkv = parts & WITH_DQKV ? output_f32(dqkv_count(&a)) : NULL;
    b.dev->ops.attention_bwd(b.dev, &a);
    check_guards(what);
    for (size_t i = 0; i < dp_count(&a) && a.dp; i++)
        expect(fabs((double)a.dp[i] - (double)right->dp[i]) <= x.w * (double)x.dp[i] + 1e-6,
               "%s: dp %zu is %g, expected %g", what, i, (double)a.dp[i], (double)right->dp[i]);
    for (int part = 0; part < 3 && a.dqkv; part++)
        check_part(&a, right->dqkv, &x, part, 4 * last_place(number), what);
    bed_close(&b);
    free_outputs();
}

START_TEST(test_attention__gradients_keep_their_bounds)
{
    /* B, targets, T, H, E, queries, first */
    static const int shapes[][7] = {{2, 1, 17, 3, 8, 17, 0},  {1, 2, 33, 1, 70, 33, 0},
                                    {1, 1, 35, 2, 16, 35, 0}, {2, 1, 29, 1, 24, 9, 4},
                                    {1, 1, 40, 2, 64, 1, 0},  {1, 1, 67, 1, 64, 67, 0}};
    rng r = {14};
    if (!is_here(_i) || same_as_f32(_i, number_of(_i)))
        return;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes - (SANITIZED ? 1 : 0); s++) {
        const int *n = shapes[s];
        vx_attention a = shape(NULL, n[0], n[2], n[3], n[4]);
        float *qkv = small_input(&r, &a);
        const size_t count = rows_of(&a) * (size_t)n[3] * (size_t)n[4];
        a.qkv = qkv;
        a.y = malloc(count * sizeof *a.y);
        a.record.keep = VX_KEEP_ALL;
        float *p = malloc(record_bytes(&a.record));
        a.record.data = p;
        a.relative = n[6] || s % 2 ? (vx_relative){0} : relative_positions(&r, n[2], n[3]);
        a.causal = s % 3 != 1;
        vx_attention_ref(NULL, &a);
        float *dy = weights(&r, (size_t)(n[0] * n[1] * n[5] * n[3] * n[4]), 0.5f);
        const vx_attention_bwd bwd = {.dy = dy,
                                      .qkv = qkv,
                                      .p = n[6] ? NULL : p,
                                      .scale = a.scale,
                                      .batch = n[0],
                                      .targets = n[1],
                                      .tokens = n[2],
                                      .heads = n[3],
                                      .head_width = n[4],
                                      .queries = n[5],
                                      .first = n[6],
                                      .relative = a.relative,
                                      .causal = a.causal};
        vx_attention_bwd right = bwd;
        right.dp = malloc(dp_count(&bwd) * sizeof *right.dp);
        right.dqkv = malloc(dqkv_count(&bwd) * sizeof *right.dqkv);
        vx_attention_bwd_ref(NULL, &right);
        const bwd_bounds x = bounds_of(&bwd, number_of(_i));
        for (int parts = WITH_DP; parts <= (WITH_DQKV | WITH_DP | WITH_P); parts++)
            if (parts & (WITH_DP | WITH_DQKV) && (!(parts & WITH_P) || !n[6]))
                bwd_case(_i, bwd, &right, x, parts);
        free(x.dp);
        free(x.of_v);
        free(x.of_q);
        free(right.dp);
        free(right.dqkv);
        free(dy);
        free(p);
        free(a.y);
        free(qkv);
        free_relative(&a.relative);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("attention");
    TCase *t = tcase_create("precisions"), *gradients = tcase_create("gradients");
    tcase_add_loop_test(t, test_attention__every_precision_keeps_its_bound, 0, CASES);
    tcase_add_loop_test(t, test_attention__ragged_and_cut_sequences, 0, CASES);
    tcase_add_loop_test(t, test_attention__forms_change_nothing, 0, CASES);
    if (!SANITIZED_THREADS) { /* they run in one thread */
        tcase_add_loop_test(t, test_attention__nan_is_not_lost, 0, CASES);
        tcase_add_loop_test(t, test_attention__huge_scores_are_weights, 0, CASES);
    }
    tcase_add_loop_test(gradients, test_attention__gradients_keep_their_bounds, 0, CASES);
    suite_add_tcase(s, t);
    suite_add_tcase(s, gradients);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
