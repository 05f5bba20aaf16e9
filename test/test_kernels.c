/*
 * Every operation of every device and version against the scalar reference, on odd sizes, with
 * guarded memory; the reference against formulas of its own. VX_TEST_THREADS
 *
 *     test_kernels                  runs the suite
 *     test_kernels --bench          times every operation and version (make bench)
 *     test_kernels --bench linear   those whose name or version holds a word
 *
 * Every row of ops.def has its test_<operation>__matches_reference, or this program does not link:
 * here those of the forward pass and of attention's records, in kernel_bwd.c and kernel_attention.c
 * those of gradients, in kernel_maps.c what methods make of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

/* ------------------------------------------------------------------------ along the rows --- */

static void softmax_case(bed *b, rng *r, int m, int n, enum kind kind)
{
    const size_t count = (size_t)m * (size_t)n;
    const char *what = say(b, "softmax [%d,%d] of kind %d", m, n, (int)kind);
    float *x = input(r, count, kind), *expected = output_f32(count);
    float *y = output_f32(count), *in_place = copied(x, count);
    vx_softmax_ref(NULL, &(vx_softmax){.y = expected, .x = x, .m = m, .n = n});
    b->dev->ops.softmax(b->dev, &(vx_softmax){.y = y, .x = x, .m = m, .n = n});
    b->dev->ops.softmax(b->dev, &(vx_softmax){.y = in_place, .x = in_place, .m = m, .n = n});
    check_guards(what);
    check_close(y, expected, count, TOL_KERNEL, 1e-30, what);
    ck_assert_mem_eq(y, in_place, count * sizeof *y);
    for (int i = 0; i < m; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += y[i * n + j];
        expect(fabs(sum - 1) < 2e-6, "%s: a row sums to %.9g", what, sum);
    }
    free(x);
    free_outputs();
}

void test_softmax__matches_reference(int index)
{
    bed b;
    rng r = {1};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            softmax_case(&b, &r, QUICK ? 40 : 3 + 60 * (i == 4), sizes[i], (enum kind)kind);
    bed_close(&b);
}

static void sigmoid_case(bed *b, rng *r, int n, enum kind kind)
{
    const size_t count = (size_t)n;
    const char *what = say(b, "sigmoid [%d] of kind %d", n, (int)kind);
    float *x = input(r, count, kind), *expected = output_f32(count);
    float *y = output_f32(count), *in_place = copied(x, count);
    vx_sigmoid_ref(NULL, &(vx_sigmoid){.y = expected, .x = x, .count = n});
    b->dev->ops.sigmoid(b->dev, &(vx_sigmoid){.y = y, .x = x, .count = n});
    b->dev->ops.sigmoid(b->dev, &(vx_sigmoid){.y = in_place, .x = in_place, .count = n});
    check_guards(what);
    check_close(y, expected, count, TOL_KERNEL, 1e-30, what);
    ck_assert_mem_eq(y, in_place, count * sizeof *y);
    free(x);
    free_outputs();
}

void test_sigmoid__matches_reference(int index)
{
    const float far[] = {-1e30f, -200, -1, 0, 1, 200, 1e30f};
    bed b;
    rng r = {1};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            sigmoid_case(&b, &r, sizes[i], (enum kind)kind);
    float *y = output_f32(7);
    b.dev->ops.sigmoid(b.dev, &(vx_sigmoid){.y = y, .x = copied(far, 7), .count = 7});
    expect(y[0] == 0 && y[1] < 1e-38f && y[3] == 0.5f && y[5] == 1 && y[6] == 1, "far values");
    expect(fabs(y[2] - 0.26894142136999512) < 1e-7 && fabs(y[4] - 0.7310585786300049) < 1e-7,
           "%s: sigmoid of 1 is %.9g", say(&b, "sigmoid"), (double)y[4]);
    free_outputs();
    bed_close(&b);
}

START_TEST(test_softmax__keeps_nan_and_infinities)
{
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (int n = 1; n <= 40; n++) {
        float *x = output_f32(4 * 40), expected[4 * 40], *y = output_f32(4 * (size_t)n);
        for (int j = 0; j < 4 * n; j++)
            x[j] = (float)(j % 5);
        x[n - 1] = NAN;
        x[n + n / 2] = INFINITY;
        for (int j = 2 * n; j < 3 * n; j++)
            x[j] = -INFINITY;
        x[3 * n] = n > 1 ? -INFINITY : 0;
        vx_softmax_ref(NULL, &(vx_softmax){.y = expected, .x = x, .m = 4, .n = n});
        b.dev->ops.softmax(b.dev, &(vx_softmax){.y = y, .x = x, .m = 4, .n = n});
        check_guards("softmax");
        check_close(y, expected, 4 * (size_t)n, TOL_KERNEL, 1e-30, say(&b, "softmax of %d", n));
        ck_assert(isnan(y[0]) && isnan(y[n]) && isnan(y[2 * n]) && !isnan(y[3 * n]));
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

static void layernorm_case(bed *b, rng *r, int m, int n, enum kind kind, int pad, int groups)
{
    const int rms = groups / 2 % 2, all = n * groups, ldx = all + pad, ldy = all + 2 * pad;
    const size_t count = (size_t)m * (size_t)ldy;
    const char *what = say(b, "layernorm [%d,%d,%d] of kind %d", m, groups, n, (int)kind);
    float *x = input(r, (size_t)m * (size_t)ldx, kind),
          *in_place = copied(x, (size_t)m * (size_t)ldx);
    float *w = weights(r, (size_t)n, 1), *bias = weights(r, (size_t)n, 1);
    float *y = output_f32(count), *expected = output_f32(count);
    vx_layernorm a = {.y = expected,
                      .ldy = ldy,
                      .x = x,
                      .ldx = ldx,
                      .weight = w,
                      .bias = rms ? NULL : bias,
                      .eps = 1e-6f,
                      .m = m,
                      .n = n,
                      .rms = rms,
                      .groups = groups,
                      .residual = pad > 2 ? x : NULL,
                      .ldr = ldx};
    vx_layernorm_ref(NULL, &a);
    a.y = y;
    b->dev->ops.layernorm(b->dev, &a);
    a.y = in_place;
    a.ldy = ldx;
    a.x = in_place;
    b->dev->ops.layernorm(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < m; i++) {
        check_close(y + i * ldy, expected + i * ldy, (size_t)all, TOL_KERNEL, 1, what);
        expect(memcmp(y + i * ldy, in_place + i * ldx, (size_t)all * sizeof *y) == 0, "%s", what);
        expect(memcmp(in_place + i * ldx + all, x + i * ldx + all, (size_t)pad * sizeof *y) == 0,
               "%s", what);
        for (int j = all; j < ldy; j++)
            expect(untouched(y[i * ldy + j]), "%s: wrote between rows", what);
    }
    free(x);
    free(w);
    free(bias);
    free_outputs();
}

void test_layernorm__matches_reference(int index)
{
    bed b;
    rng r = {2};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            layernorm_case(&b, &r, 3 + 60 * (i == 4), sizes[i], (enum kind)kind, i * 3 % 7,
                           1 + (i + kind) % 4);
    layernorm_case(&b, &r, 197, 768, NORMAL, 0, 1);
    float *x = copied((float[]){1, NAN, 2}, 3), *w = copied((float[]){1, 1, 1}, 3);
    float *y = output_f32(3);
    b.dev->ops.layernorm(b.dev, &(vx_layernorm){.y = y,
                                                .ldy = 3,
                                                .x = x,
                                                .ldx = 3,
                                                .weight = w,
                                                .bias = w,
                                                .eps = 1e-6f,
                                                .m = 1,
                                                .n = 3});
    ck_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    free_outputs();
    bed_close(&b);
}

void test_activate__matches_reference(int index)
{
    static const float special[] = {0,   -0.0f,    1,         -1,    30,     -30,     88,
                                    -88, 1e-40f,   -1e-40f,   1e30f, -1e30f, 3.4e38f, -3.4e38f,
                                    NAN, INFINITY, -INFINITY, 14.4f, -14.6f, -13.0f};
    bed b;
    rng r = {3};
    if (!bed_open(&b, index, &largest))
        return;
    for (int act = 0; act < VX_ACT_COUNT; act++)
        for (int i = 0; i < SIZES + 1; i++) {
            const size_t n = i < SIZES ? (size_t)sizes[i] : 20011;
            const char *what = say(&b, "activation %d of %zu", act, n);
            float *x = input(&r, n, NORMAL), *expected = output_f32(n);
            for (size_t j = 0; j < n && i > 2; j++)
                x[j] = j < sizeof special / sizeof *special ? special[j] : x[j] * 3;
            float *y = output_f32(n), *in_place = copied(x, n);
            vx_activate_ref(
                NULL,
                &(vx_activate){.y = expected, .x = x, .act = (vx_act)act, .count = (int64_t)n});
            b.dev->ops.activate(
                b.dev, &(vx_activate){.y = y, .x = x, .act = (vx_act)act, .count = (int64_t)n});
            b.dev->ops.activate(
                b.dev, &(vx_activate){
                           .y = in_place, .x = in_place, .act = (vx_act)act, .count = (int64_t)n});
            check_guards(what);
            check_close(y, expected, n, TOL_KERNEL, act == VX_ACT_GELU ? 1e-30 : 1e-3, what);
            ck_assert_mem_eq(y, in_place, n * sizeof *y);
            free(x);
            free_outputs();
        }
    bed_close(&b);
}

/* Rows apart, and in place: y is the first half of x's rows. */
static void swiglu_case(bed *b, rng *r, int m, int n, int pad)
{
    static const float special[] = {0,   -0.0f,  1,       -1,    30,     -30,     88,      -88,
                                    NAN, 1e-40f, -1e-40f, 1e30f, -1e30f, 3.4e38f, -3.4e38f};
    const int ldx = 2 * n + pad, ldy = n + 2 * pad;
    const size_t xs = (size_t)(m * ldx), ys = (size_t)(m * ldy);
    const char *what = say(b, "swiglu [%d,%d]", m, n);
    float *x = input(r, xs, NORMAL), *expected = output_f32(ys), *y = output_f32(ys);
    for (size_t i = 0; i < sizeof special / sizeof *special && i < (size_t)n && m > 1; i++)
        x[ldx + (int)i] = special[i];
    float *in_place = copied(x, xs);
    vx_swiglu_ref(NULL,
                  &(vx_swiglu){.y = expected, .ldy = ldy, .x = x, .ldx = ldx, .m = m, .n = n});
    b->dev->ops.swiglu(b->dev,
                       &(vx_swiglu){.y = y, .ldy = ldy, .x = x, .ldx = ldx, .m = m, .n = n});
    b->dev->ops.swiglu(
        b->dev, &(vx_swiglu){.y = in_place, .ldy = ldx, .x = in_place, .ldx = ldx, .m = m, .n = n});
    check_guards(what);
    for (int i = 0; i < m; i++) {
        check_close(y + i * ldy, expected + i * ldy, (size_t)n, TOL_KERNEL, 1e-3, what);
        ck_assert_mem_eq(y + i * ldy, in_place + i * ldx, (size_t)n * sizeof *y);
        for (int j = n; j < ldy; j++)
            expect(untouched(y[i * ldy + j]), "%s: wrote between rows", what);
    }
    free(x);
    free_outputs();
}

void test_swiglu__matches_reference(int index)
{
    bed b;
    rng r = {33};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 3 * SIZES; i++)
        swiglu_case(&b, &r, sizes[(i * 2 + 1) % SIZES], sizes[i % SIZES], i % 3);
    bed_close(&b);
}

/* Angles of tokens before `first` are never read: no row of the table is theirs. */
static void rotate_case(bed *b, rng *r, int pairs, int half, int inverse, bool own)
{
    enum { HEADS = 3, TOKENS = 7, FIRST = 2, ROWS = 2 * TOKENS };
    static const int shuffled[ROWS] = {0, 1, 6, 2, 1, 0, 5, 5, 3, 4, 0, 1, 1, 6};
    const int e = 2 * pairs, tables = own ? HEADS : 1;
    const size_t count = (size_t)(ROWS * 3 * HEADS * e);
    const char *what = say(b, "rotate by %d pairs, half %d, inverse %d", pairs, half, inverse);
    float *x = input(r, count, NORMAL);
    float *table = input(r, (size_t)((TOKENS - FIRST) * tables * e), NORMAL);
    vx_rotate a = {.table = table,
                   .tables = tables,
                   .tokens_of = own ? shuffled : NULL,
                   .rows = ROWS,
                   .tokens = TOKENS,
                   .first = FIRST,
                   .heads = HEADS,
                   .head_width = e,
                   .half = half,
                   .inverse = inverse};
    float *expected = copied(x, count), *y = copied(x, count);
    a.qkv = expected;
    vx_rotate_ref(NULL, &a);
    a.qkv = y;
    b->dev->ops.rotate(b->dev, &a);
    check_guards(what);
    check_close(y, expected, count, TOL_KERNEL, 1, what);
    const int row = own ? shuffled[3] : 3, at = 3 * 3 * HEADS * e; /* the first pair of a key */
    const float *t = table + (size_t)(row - FIRST) * (size_t)(tables * e);
    const float *k = x + at + HEADS * e, s = inverse ? -t[pairs] : t[pairs];
    const int apart = half ? pairs : 1;
    expect(fabsf(y[at + HEADS * e] - (k[0] * t[0] - k[apart] * s)) < 1e-5f, "%s", what);
    expect(fabsf(y[at + HEADS * e + apart] - (k[0] * s + k[apart] * t[0])) < 1e-5f, "%s", what);
    for (int i = 0; i < 3 * HEADS * e; i++)
        expect(y[i] == x[i], "%s: a token of the prefix was rotated", what);
    for (int i = 0; i < HEADS * e; i++)
        expect(y[at + 2 * HEADS * e + i] == x[at + 2 * HEADS * e + i], "%s: a value", what);
    free(x);
    free(table);
    free_outputs();
}

void test_rotate__matches_reference(int index)
{
    bed b;
    rng r = {34};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int way = 0; way < 8; way++)
            rotate_case(&b, &r, sizes[i], way & 1, way >> 1 & 1, way >> 2);
    bed_close(&b);
}

/* Every 4001st float: erf to 1e-6 absolute, GELU to 1e-6 relative down to -13 (1e-5 where
 * there is no fused multiply-add). */
START_TEST(test_activate__gelu_is_accurate_over_all_floats)
{
    enum { CHUNK = 4096 };
    bed b;
    double worst_erf = 0, worst_relative = 0;
    const uint32_t step = QUICK ? 400009 : 4001;
    if (!bed_open(&b, _i, &largest))
        return;
    float *x = output_f32(CHUNK + 1), *y = output_f32(CHUNK);
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        int n = 0;
        for (; n < CHUNK && bits <= UINT32_MAX; bits += step) {
            x[n] = vx_bits_float((uint32_t)bits);
            n += isfinite(x[n]);
        }
        b.dev->ops.activate(b.dev, &(vx_activate){.y = y, .x = x, .act = VX_ACT_GELU, .count = n});
        for (int i = 0; i < n; i++) {
            const double phi = erfc(-x[i] * sqrt(0.5)) / 2, exact = x[i] * phi;
            if (fabs((double)x[i]) > 1e-30)
                worst_erf = fmax(worst_erf, fabs(2 * (double)y[i] / x[i] - 2 * phi));
            if (x[i] > -13 && fabs(exact) > 1e-30)
                worst_relative = fmax(worst_relative, fabs(y[i] / exact - 1));
        }
    }
    expect(worst_erf < 1e-6, "%s", say(&b, "erf is off by %g", worst_erf));
    expect(worst_relative < (strstr(b.dev->kernels, "baseline") ? 1e-5 : 1e-6), "%s",
           say(&b, "GELU is off by %g", worst_relative));
    printf("%s\n", say(&b, "erf %.3g absolute, GELU %.3g relative", worst_erf, worst_relative));
    free_outputs();
    bed_close(&b);
}
END_TEST

/* ------------------------------------------------------------------------------- linear ---- */

enum { BIAS = 1, GAMMA = 2, RESIDUAL = 4, IN_PLACE = 8, PRE = 16, NORM = 32 };

static void linear_case(bed *b, rng *r, int m, int n, int k, vx_act act, int parts, int pad)
{
    const size_t ldx = (size_t)(k + pad), ldy = (size_t)(n + 2 * pad);
    const size_t ldr = parts & IN_PLACE ? ldy : (size_t)(n + pad);
    const size_t rows = (size_t)m, count = rows * ldy;
    const char *what = say(b, "linear [%d,%d]x%d, act %d, parts %d", m, n, k, (int)act, parts);
    float *x = weights(r, rows * ldx, 0.5f), *w = weights(r, (size_t)n * (size_t)k, 0.5f);
    float *bias = weights(r, (size_t)n, 1), *gamma = weights(r, (size_t)n, 1);
    float *residual = weights(r, rows * ldr, 1);
    float *expected = output_f32(count), *outputs[2] = {output_f32(count), output_f32(count)};
    const size_t ldp = (size_t)(n + 3 * pad), all = rows * (ldp + (size_t)k);
    float *kept[3] = {output_f32(all), output_f32(all),
                      output_f32(all)}; /* pre [m,n], normed [m,k] */
    float *norm = weights(r, 2 * (size_t)k, 1);
    const vx_prologue prologue = {norm, norm + k, 0.01f};
    const vx_weight plain = {w, parts & BIAS ? bias : NULL, n, k, &vx_packing_plain, NULL};
    const vx_weight packed = packed_weight(b, VX_LAYER_FC1, w, plain.bias, n, k);
    vx_linear a = {.ldy = (int)ldy,
                   .x = x,
                   .ldx = (int)ldx,
                   .ldr = (int)ldr,
                   .gamma = parts & GAMMA ? gamma : NULL,
                   .act = act,
                   .m = m};
    for (int run = 0; run < 3; run++) {
        a.y = run < 2 ? outputs[run] : expected;
        a.w = run < 2 ? &packed : &plain;
        a.residual = parts & RESIDUAL ? residual : NULL;
        a.pre = parts & PRE ? kept[run] : NULL;
        a.ldp = (int)ldp;
        a.norm = parts & NORM ? prologue : (vx_prologue){0};
        a.normed = parts & NORM ? kept[run] + rows * ldp : NULL;
        a.keep_normed = 1;
        for (size_t i = 0; i < rows && parts & IN_PLACE; i++)
            memcpy(a.y + i * ldy, residual + i * ldr, (size_t)n * sizeof *a.y);
        if (parts & IN_PLACE)
            a.residual = a.y;
        if (run < 2)
            b->dev->ops.linear(b->dev, &a);
        else
            vx_linear_ref(NULL, &a);
    }
    check_guards(what);
    expect(memcmp(outputs[0], outputs[1], count * sizeof **outputs) == 0, "%s: two runs differ",
           what);
    for (size_t i = 0; i < rows; i++) {
        const double error = product_error(outputs[0] + i * ldy, expected + i * ldy, (size_t)n);
        expect(error < TOL_NMSE, "%s: row %zu is off by %g", what, i, error);
        for (size_t j = (size_t)n; j < ldy; j++)
            expect(untouched(outputs[0][i * ldy + j]), "%s: wrote between rows", what);
        if (parts & PRE)
            expect(product_error(kept[0] + i * ldp, kept[2] + i * ldp, (size_t)n) < TOL_NMSE,
                   "%s: row %zu of pre", what, i);
        for (size_t j = parts & PRE ? (size_t)n : 0; j < ldp; j++)
            expect(untouched(kept[0][i * ldp + j]), "%s: wrote between rows of pre", what);
    }
    if (parts & NORM)
        check_close(kept[0] + rows * ldp, kept[2] + rows * ldp, rows * (size_t)k, TOL_KERNEL, 1,
                    what);
    free(x);
    free(w);
    free(bias);
    free(gamma);
    free(residual);
    free(norm);
    free_outputs();
}

/* What lies before the activation is written, too, or alone; the two halves of it make one row of
 * y. */
static void pre_case(bed *b, rng *r, int m, int n, int k, vx_act act, int parts)
{
    const int gated = act == VX_ACT_SWIGLU, columns = gated ? 2 * n : n, ldp = columns + 3;
    const int ldy = n + 1;
    const size_t rows = (size_t)m, all = rows * (size_t)ldp, some = rows * (size_t)ldy;
    const char *what = say(b, "linear with pre [%d,%d]x%d, act %d", m, n, k, (int)act);
    float *x = weights(r, rows * (size_t)k, 0.5f), *residual = weights(r, rows * (size_t)n, 1);
    float *w = weights(r, (size_t)columns * (size_t)k, 0.5f);
    float *bias = weights(r, (size_t)columns, 1), *gamma = weights(r, (size_t)n, 1);
    float *pre = output_f32(all), *alone = output_f32(all), *expected_pre = output_f32(all);
    float *y = output_f32(some), *expected = output_f32(some);
    const vx_weight plain = {w, parts & BIAS ? bias : NULL, columns, k, &vx_packing_plain, NULL};
    const vx_weight packed = packed_weight(b, VX_LAYER_FC1, w, plain.bias, columns, k);
    vx_linear a = {.y = expected,
                   .ldy = ldy,
                   .pre = expected_pre,
                   .ldp = ldp,
                   .x = x,
                   .ldx = k,
                   .w = &plain,
                   .gamma = parts & GAMMA && !gated ? gamma : NULL,
                   .residual = parts & RESIDUAL && !gated ? residual : NULL,
                   .ldr = n,
                   .act = act,
                   .m = m};
    vx_linear_ref(NULL, &a);
    a.w = &packed;
    a.y = y;
    a.pre = pre;
    b->dev->ops.linear(b->dev, &a);
    a.y = NULL;
    a.pre = alone;
    b->dev->ops.linear(b->dev, &a);
    check_guards(what);
    expect(memcmp(pre, alone, all * sizeof *pre) == 0, "%s: pre alone differs", what);
    for (int i = 0; i < m; i++) {
        const double of_pre = product_error(pre + i * ldp, expected_pre + i * ldp, (size_t)columns);
        const double of_y = product_error(y + i * ldy, expected + i * ldy, (size_t)n);
        expect(of_pre < TOL_NMSE && of_y < TOL_NMSE, "%s: row %d is off by %g, %g", what, i, of_pre,
               of_y);
        expect(untouched(y[i * ldy + n]) && untouched(pre[i * ldp + columns]), "%s: beside", what);
    }
    free(x);
    free(residual);
    free(w);
    free(bias);
    free(gamma);
    free_outputs();
}

void test_linear__matches_reference(int index)
{
    static const int parts[] = {0,
                                BIAS,
                                BIAS | RESIDUAL,
                                BIAS | GAMMA | RESIDUAL,
                                RESIDUAL | IN_PLACE,
                                BIAS | RESIDUAL | IN_PLACE,
                                BIAS | GAMMA | RESIDUAL | IN_PLACE,
                                BIAS | PRE,
                                BIAS | NORM,
                                RESIDUAL | IN_PLACE | PRE,
                                BIAS | GAMMA | RESIDUAL | PRE | NORM};
    bed b;
    rng r = {4};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < (QUICK ? 40 : 200); i++) {
        const int m = sizes[rng_int(&r, 0, SIZES - 1)], n = sizes[rng_int(&r, 0, SIZES - 1)];
        const int k = sizes[rng_int(&r, 0, SIZES - 1)];
        linear_case(&b, &r, m, n, k, (vx_act)(i % VX_ACT_COUNT), parts[i % 7], i % 4);
        if (i % 3 == 0)
            pre_case(&b, &r, m, n, k, (vx_act)(i / 3 % (VX_ACT_COUNT + 1)), parts[i % 4]);
    }
    for (int m = 1; m <= 13; m++) /* every remainder of the blocks */
        linear_case(&b, &r, m, 31 + 7 * m, 300, VX_ACT_NONE, BIAS, 0);
    linear_case(&b, &r, 29, 40, 1024, VX_ACT_NONE, BIAS, 0); /* rows 4 KiB apart */
    if (!QUICK)
        linear_case(&b, &r, 500, 700, 64, VX_ACT_GELU, BIAS | GAMMA | RESIDUAL | IN_PLACE, 1);
    bed_close(&b);
}

/* Against loops written here, so that the reference is not its own witness. */
START_TEST(test_linear__reference_is_the_formula)
{
    enum { M = 5, N = 6, K = 9 };
    rng r = {5};
    float *x = weights(&r, M * K, 1), *w = weights(&r, N * K, 1),
          *v = weights(&r, 2 * N + M * N, 1), y[M * N];
    double exact[M * N];
    const vx_weight weight = {w, v, N, K, &vx_packing_plain, NULL};
    for (int act = 0; act < VX_ACT_COUNT; act++) {
        for (int i = 0; i < M * N; i++) {
            double s = v[i % N];
            for (int p = 0; p < K; p++)
                s += (double)x[i / N * K + p] * w[i % N * K + p];
            const double u = sqrt(2 / acos(-1)) * (s + 0.044715 * pow(s, 3));
            const double all[] = {s, s / 2 * (1 + erf(s / sqrt(2))), s / 2 * (1 + tanh(u)),
                                  s / (1 + exp(-1.702 * s)), fmax(s, 0)};
            exact[i] = v[2 * N + i] + v[N + i % N] * all[act];
        }
        vx_linear_ref(NULL, &(vx_linear){.y = y,
                                         .ldy = N,
                                         .x = x,
                                         .ldx = K,
                                         .w = &weight,
                                         .gamma = v + N,
                                         .residual = v + 2 * N,
                                         .ldr = N,
                                         .act = (vx_act)act,
                                         .m = M});
        ck_assert_double_lt(max_error_f32(y, exact, M * N), 1e-7);
    }
    free(x);
    free(w);
    free(v);
}
END_TEST

static void patch_embed_case(bed *b, rng *r, int batch, int height, int width, int ph, int pw,
                             int d, int prefix, int with_pos)
{
    enum { C = 3 };
    const int gh = height / ph, gw = width / pw, k = C * ph * pw;
    const size_t tokens = (size_t)(prefix + gh * gw), count = (size_t)batch * tokens * (size_t)d;
    const char *what = say(b, "patch_embed %dx%d by %dx%d", height, width, ph, pw);
    float *image = input(r, (size_t)(batch * C * height * width), NORMAL);
    float *w = weights(r, (size_t)(d * k), 0.1f), *bias = weights(r, (size_t)d, 1);
    float *first = weights(r, (size_t)(prefix * d), 1), *pos = weights(r, (size_t)(gh * gw * d), 1);
    float *y = output_f32(count), *expected = output_f32(count);
    const vx_weight plain = {w, bias, d, k, &vx_packing_plain, NULL},
                    packed = packed_weight(b, VX_LAYER_PATCH, w, bias, d, k);
    vx_patch_embed a = {expected,
                        image,
                        &plain,
                        prefix ? first : NULL,
                        with_pos ? pos : NULL,
                        batch,
                        C,
                        height,
                        width,
                        ph,
                        pw,
                        prefix};
    vx_patch_embed_ref(NULL, &a);
    a.y = y;
    a.w = &packed;
    b->dev->ops.patch_embed(b->dev, &a);
    check_guards(what);
    expect(product_error(y, expected, count) < TOL_NMSE, "%s", what);
    free(image);
    free(w);
    free(bias);
    free(first);
    free(pos);
    free_outputs();
}

void test_patch_embed__matches_reference(int index)
{
    bed b;
    rng r = {6};
    if (!bed_open(&b, index, &largest))
        return;
    patch_embed_case(&b, &r, 1, 64, 48, 16, 16, 33, 1, 1);
    patch_embed_case(&b, &r, 3, 50, 61, 16, 8, 40, 2, 1);
    patch_embed_case(&b, &r, 2, 30, 30, 7, 5, 17, 0, 0);
    patch_embed_case(&b, &r, 1, 16, 16, 16, 16, 7, 5, 0);
    bed_close(&b);
}

/* ---------------------------------------------------------------------------- attention ---- */

static size_t record_count(const vx_recorded *r)
{
    const size_t t = (size_t)r->tokens, b = (size_t)r->batch, h = (size_t)r->heads;
    switch (r->keep) {
    case VX_KEEP_ROW:
        return b * h * t;
    case VX_KEEP_FUSED:
        return b * t * t;
    case VX_KEEP_ALL:
        return b * h * t * t;
    default:
        return 0;
    }
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

/* Probabilities: f32 to TOL_KERNEL of 1; half to its last place beside that. */
static void check_record(const vx_recorded *a, const vx_recorded *b, const char *what)
{
    for (size_t i = 0; i < record_count(a); i++) {
        const double x = recorded(a, i), y = recorded(b, i);
        const double limit =
            a->store == VX_STORE_F16 ? 1.0 / 1024 * fabs(y) + TOL_KERNEL : TOL_KERNEL;
        expect(fabs(x - y) <= limit, "%s: record %zu is %g, expected %g", what, i, x, y);
    }
}

/* Rows of y beyond the queries are not written, as what the reference left. */
static void check_attended(const float *y, const float *expected, const vx_attention *a,
                           const char *what)
{
    const size_t d = (size_t)(a->heads * a->head_width);
    for (int b = 0; b < a->batch; b++) {
        const size_t row = vx_start_of(a->starts, b, a->tokens) + (size_t)a->first;
        const int tokens = vx_tokens_of(a->starts, b, a->tokens) - a->first;
        const int queries = a->queries > 0 && a->queries < tokens ? a->queries : tokens;
        const size_t at = row * d, n = (size_t)queries * d;
        expect(product_error(y + at, expected + at, n) < TOL_NMSE, "%s: sequence %d", what, b);
        for (size_t i = n; i < (size_t)tokens * d; i++)
            expect(untouched(y[at + i]), "%s: wrote the row of no query", what);
        for (size_t i = 1; i <= (size_t)a->first * d; i++)
            expect(untouched(y[at - i]), "%s: wrote before the first token", what);
    }
}

static void attention_from(bed *b, rng *r, vx_recorded record, int e, int queries, int first,
                           int causal)
{
    const bool placed = !first && ((int)record.keep + (int)record.store + queries) % 2;
    const size_t d = (size_t)(record.heads * e), rows = (size_t)(record.batch * record.tokens);
    const size_t count = rows * d;
    const char *what =
        say(b, "%sattention B%d T%d H%d E%d keep %d store %d fuse %d query %d, %d queries from %d",
            causal ? "causal " : "", record.batch, record.tokens, record.heads, e, (int)record.keep,
            (int)record.store, (int)record.fuse, record.query, queries, first);
    float *qkv = input(r, rows * 3 * d, NORMAL), *expected = output_f32(count);
    vx_attention a = {.y = expected,
                      .qkv = qkv,
                      .scale = 1 / sqrtf((float)e),
                      .batch = record.batch,
                      .tokens = record.tokens,
                      .heads = record.heads,
                      .head_width = e,
                      .record = record,
                      .queries = queries,
                      .first = first,
                      .causal = causal};
    if (placed)
        a.relative = relative_positions(r, record.tokens, record.heads);
    a.record.data = record.keep ? output(record_bytes(&record)) : NULL;
    vx_attention_ref(NULL, &a);
    const vx_recorded reference = a.record;
    float *y[2];
    void *data[2];
    for (int run = 0; run < 2; run++) {
        a.y = y[run] = output_f32(count);
        a.record.data = data[run] = record.keep ? output(record_bytes(&record)) : NULL;
        b->dev->ops.attention(b->dev, &a);
    }
    check_guards(what);
    check_attended(y[0], expected, &a, what);
    check_record(&a.record, &reference, what);
    expect(memcmp(y[0], y[1], count * sizeof(float)) == 0, "%s: two runs differ", what);
    ck_assert(!record.keep || memcmp(data[0], data[1], record_bytes(&record)) == 0);
    free_relative(&a.relative);
    free(qkv);
    free_outputs();
}

static void attention_case(bed *b, rng *r, vx_recorded record, int e, int queries)
{
    const bool both = record.store == VX_STORE_F32 && record.fuse == VX_FUSE_MEAN &&
                      record.query <= 0 && record.tokens < 100;
    for (int causal = 0; causal <= both; causal++)
        attention_from(b, r, record, e, queries, 0, causal);
}

/* Attention from some token on is that of sequences without the tokens before it. */
static void first_case(bed *b, rng *r, int batch, int tokens, int heads, int e, int first)
{
    const size_t d = (size_t)(heads * e), rest = (size_t)(tokens - first);
    float *qkv = input(r, (size_t)(batch * tokens) * 3 * d, NORMAL);
    float *y = output_f32((size_t)(batch * tokens) * d), *cut = output_f32(rest * d);
    float *row = output_f32((size_t)(batch * heads * tokens)),
          *cut_row = output_f32((size_t)heads * rest);
    for (size_t i = 0; i < (size_t)first * 3 * d; i++)
        qkv[i] = NAN; /* not read */
    vx_attention a = {.y = y,
                      .qkv = qkv,
                      .scale = 1 / sqrtf((float)e),
                      .batch = batch,
                      .tokens = tokens,
                      .heads = heads,
                      .head_width = e,
                      .record = {row, VX_KEEP_ROW, VX_STORE_F32, VX_FUSE_MEAN, tokens - 1, 0, batch,
                                 heads, tokens},
                      .first = first};
    b->dev->ops.attention(b->dev, &a);
    for (int p = 0; p < batch; p++) {
        const size_t at = (size_t)(p * tokens + first) * d;
        vx_attention one = a;
        one.y = cut;
        one.qkv = qkv + at * 3;
        one.batch = 1;
        one.tokens = (int)rest;
        one.first = 0;
        one.record = (vx_recorded){cut_row, VX_KEEP_ROW, VX_STORE_F32, VX_FUSE_MEAN, (int)rest - 1,
                                   0,       1,           heads,        (int)rest};
        b->dev->ops.attention(b->dev, &one);
        expect(product_error(y + at, cut, rest * d) < TOL_NMSE, "%s", say(b, "first %d", first));
        for (int h = 0; h < heads; h++) {
            const float *whole = row + (p * heads + h) * tokens;
            for (int t = 0; t < first; t++)
                expect(whole[t] == 0, "%s", say(b, "first %d: a row before it", first));
            check_close(whole + first, cut_row + (size_t)h * rest, rest, TOL_KERNEL, 1,
                        "a row from `first`");
        }
    }
    check_guards("attention from a token on");
    free(qkv);
    free_outputs();
}

/* For each sequence as many tokens as it has of `all`, in order, from token 0 on. */
static int *some_tokens(int *out, rng *r, const vx_attention *a, int all)
{
    for (int b = 0; b < a->batch; b++) {
        const int n = a->starts[b + 1] - a->starts[b];
        for (int i = 0, t = 0; i < n; i++, t++) {
            if (i > 0)
                t = rng_int(r, t, all - (n - i));
            out[a->starts[b] + i] = t;
        }
    }
    return out;
}

/* Sequences of several lengths. */
static void ragged_case(bed *b, rng *r, int batch, int longest, int heads, int e, int queries,
                        int first, int causal)
{
    enum { MOST = 9 };
    int starts[MOST + 1] = {0};
    for (int i = 0; i < batch; i++)
        starts[i + 1] = starts[i] + (i == batch / 2 ? longest : rng_int(r, first + 1, longest));
    const size_t d = (size_t)(heads * e), rows = (size_t)starts[batch];
    const char *what = say(b, "%sattention of %d sequences of at most %d, %d queries from %d",
                           causal ? "causal " : "", batch, longest, queries, first);
    float *qkv = input(r, rows * 3 * d, NORMAL);
    float *y = output_f32(rows * d), *expected = output_f32(rows * d);
    int *tokens_of = malloc(rows * sizeof *tokens_of);
    vx_attention a = {.y = expected,
                      .qkv = qkv,
                      .scale = 1 / sqrtf((float)e),
                      .batch = batch,
                      .tokens = longest,
                      .heads = heads,
                      .head_width = e,
                      .starts = starts,
                      .queries = queries,
                      .first = first,
                      .causal = causal};
    if (!first) {
        a.relative = relative_positions(r, longest + 12, heads);
        a.tokens_of = some_tokens(tokens_of, r, &a, longest + 12);
    }
    vx_attention_ref(NULL, &a);
    a.y = y;
    b->dev->ops.attention(b->dev, &a);
    check_guards(what);
    check_attended(y, expected, &a, what);
    free_relative(&a.relative);
    free(tokens_of);
    free(qkv);
    free_outputs();
}

void test_attention__matches_reference(int index)
{
    static const int shapes[][4] = {{2, 17, 3, 8}, {1, 33, 2, 70}, {1, 1, 1, 1},
                                    {3, 7, 5, 16}, {2, 19, 3, 9},  {1, 197, 3, 64}};
    static const int queries[] = {0, 33, 0, 1, 5, 0};
    bed b;
    rng r = {7};
    if (!bed_open(&b, index, &largest))
        return;
    for (int s = 0; s < (QUICK ? 5 : 6); s++) {
        vx_recorded record = {.batch = shapes[s][0], .tokens = shapes[s][1], .heads = shapes[s][2]};
        const int e = shapes[s][3], last = record.tokens - 1;
        attention_case(&b, &r, record, e, queries[s]);
        for (int store = VX_STORE_F32; store <= VX_STORE_F16; store++) {
            record.store = (vx_store)store;
            record.keep = VX_KEEP_ALL;
            attention_case(&b, &r, record, e, queries[s]);
            record.keep = VX_KEEP_ROW;
            for (record.query = last > 1 ? VX_QUERY_PREFIX : -1; record.query <= last;
                 record.query += record.query < 0 ? 1 : 1 + last / 2) {
                record.prefix = record.query >= 0 ? 0 : last > 1 ? 2 : last > 0;
                attention_case(&b, &r, record, e, queries[s]);
            }
            record.keep = VX_KEEP_FUSED;
            for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN && s < 5; fuse++) {
                record.fuse = (vx_fuse)fuse;
                attention_case(&b, &r, record, e, queries[s]);
            }
        }
    }
    for (int causal = 0; causal <= 1; causal++) {
        for (int i = 0; i <= 3; i++)
            ragged_case(&b, &r, 9 - 2 * i, 1 + 11 * i, 3, 5 + i, i == 2 ? 0 : i, 0, causal);
        ragged_case(&b, &r, 5, 20, 3, 8, 1, 2, causal);
        ragged_case(&b, &r, 4, 9, 2, 5, 0, 1, causal);
        if (!QUICK)
            ragged_case(&b, &r, 2, 197, 2, 64, 0, 0, causal);
    }
    for (int i = 0; i < 8; i++) { /* from a token on: one query or all, a row recorded or nothing */
        vx_recorded record = {.batch = 1 + i % 3, .tokens = 19, .heads = 3};
        record.keep = i & 1 ? VX_KEEP_ROW : VX_KEEP_NONE;
        record.store = i & 4 ? VX_STORE_F16 : VX_STORE_F32;
        record.query = i & 2 ? 4 : 11;
        attention_from(&b, &r, record, 8, i & 2 ? 1 : 0, 4, i % 3 == 0);
        first_case(&b, &r, 1 + i % 3, 5 + 3 * i, 2, 8, 1 + i % 4);
    }
    bed_close(&b);
}

/* More tokens than one strip holds: every kind of task meets several strips. */
START_TEST(test_attention__strips_of_long_sequences)
{
    enum { T = 1100, H = 2, E = 3 };
    bed b;
    rng r = {8};
    vx_dims dims = largest;
    dims.tokens = T;
    if (!bed_open(&b, _i, &dims))
        return;
    float *qkv = input(&r, T * 3 * H * E, NORMAL), *expected = malloc(sizeof(float) * T * H * E);
    float *y = malloc(sizeof(float) * T * H * E);
    vx_recorded all = {
        malloc(sizeof(float) * H * T * T), VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, H, T};
    vx_recorded record = {
        malloc(sizeof(float) * T * T), VX_KEEP_FUSED, VX_STORE_F16, VX_FUSE_MEAN, 0, 0, 1, H, T};
    const vx_attention a = {.y = expected,
                            .qkv = qkv,
                            .scale = 0.5f,
                            .batch = 1,
                            .tokens = T,
                            .heads = H,
                            .head_width = E,
                            .record = all};
    vx_attention fused = a, mean = a;
    b.dev->ops.attention(b.dev, &a);
    for (int i = 0; i < H * T; i += 311) { /* rows against the formula */
        const float *q = qkv + (size_t)(i % T) * 3 * H * E + (size_t)(i / T) * E;
        double exact[T], sum = 0;
        for (int j = 0; j < T; j++) {
            const float *k = qkv + (size_t)j * 3 * H * E + (size_t)(H + i / T) * E;
            sum += exact[j] =
                exp(0.5 * ((double)q[0] * k[0] + (double)q[1] * k[1] + (double)q[2] * k[2]));
        }
        for (int j = 0; j < T; j++)
            exact[j] /= sum;
        ck_assert_double_lt(max_error_f32((float *)all.data + (size_t)i * T, exact, T), TOL_KERNEL);
    }
    fused.record = record;
    fused.y = y;
    b.dev->ops.attention(b.dev, &fused);
    ck_assert_double_lt(nmse_ff(y, expected, T * H * E), TOL_NMSE);
    for (size_t i = 0; i < (size_t)T * T; i += 97) {
        const float *p = all.data, m = (p[i] + p[i + (size_t)T * T]) / 2;
        expect(fabsf(recorded(&record, i) - m) <= m / 1024 + 1e-6f, "fused %zu", i);
    }
    mean.record = record;
    mean.record.keep = VX_KEEP_ROW;
    mean.record.store = VX_STORE_F32;
    mean.record.query = -1;
    mean.record.prefix = 700;
    float *row = malloc(sizeof(float) * H * T);
    vx_attn_row_ref(NULL, &(vx_attn_row){.out = row, .record = &all, .query = -1, .prefix = 700});
    b.dev->ops.attention(b.dev, &mean);
    ck_assert_double_lt(max_error_ff(record.data, row, H * T), TOL_KERNEL);
    free(row);
    free(record.data);
    free(all.data);
    free(y);
    free(expected);
    free(qkv);
    bed_close(&b);
}
END_TEST

START_TEST(test_attention__reference_is_the_formula)
{
    enum { T = 6, H = 2, E = 4 };
    rng r = {9};
    float *qkv = input(&r, T * 3 * H * E, NORMAL), y[T * H * E], p[H * T * T];
    const vx_relative relative = relative_positions(&r, T, H);
    const vx_attention a = {.y = y,
                            .qkv = qkv,
                            .scale = 0.5f,
                            .batch = 1,
                            .tokens = T,
                            .heads = H,
                            .head_width = E,
                            .record = {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, H, T},
                            .relative = relative};
    vx_attention_ref(NULL, &a);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < T; i++) {
            double s[T], sum = 0, exact[E] = {0};
            for (int j = 0; j < T; j++) {
                s[j] = 0;
                for (int e = 0; e < E; e++)
                    s[j] += 0.5 * qkv[(i * 3 * H + h) * E + e] * qkv[(j * 3 * H + H + h) * E + e];
                /* token 0, then 5 patches in a row: the key lies j - i columns from the query */
                s[j] += relative.table[h * 12 + (i && j ? j - i + 4 : j ? 9 : i ? 10 : 11)];
                sum += exp(s[j]);
            }
            for (int j = 0; j < T; j++) {
                s[j] = exp(s[j]) / sum;
                for (int e = 0; e < E; e++)
                    exact[e] += s[j] * qkv[(j * 3 * H + 2 * H + h) * E + e];
            }
            ck_assert_double_lt(max_error_f32(p + (h * T + i) * T, s, T), 1e-7);
            ck_assert_double_lt(max_error_f32(y + (i * H + h) * E, exact, E), 1e-7);
        }
    free_relative(&relative);
    free(qkv);
}
END_TEST

/* ------------------------------------------------------- recorded attention and rollout ---- */

/* A record of random "probabilities", as f32 or half. */
static vx_recorded make_record(rng *r, vx_keep keep, vx_store store, int batch, int heads,
                               int tokens)
{
    vx_recorded record = {NULL, keep, store, VX_FUSE_MEAN, 0, 0, batch, heads, tokens};
    const size_t n = record_count(&record);
    record.data = malloc(n * 4);
    for (size_t i = 0; i < n; i++) {
        const float p = rng_float(r, 0, 1) * rng_float(r, 0, 1);
        if (store == VX_STORE_F16)
            ((uint16_t *)record.data)[i] = vx_float_to_half(p);
        else
            ((float *)record.data)[i] = p;
    }
    return record;
}

static void fuse_case(bed *b, rng *r, vx_store store, int batch, int heads, int t)
{
    const size_t n = (size_t)(batch * t) * (size_t)t;
    vx_recorded all = make_record(r, VX_KEEP_ALL, store, batch, heads, t);
    vx_recorded one = make_record(r, VX_KEEP_FUSED, store, batch, heads, t);
    const char *what = say(b, "attn_fuse B%d H%d T%d", batch, heads, t);
    float *y = output_f32(n), *expected = output_f32(n);
    for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN; fuse++)
        for (int head = -1; head<heads; head += heads> 1 ? heads - 1 : 1) {
            vx_attn_fuse_ref(
                NULL, &(vx_attn_fuse){
                          .out = expected, .record = &all, .fuse = (vx_fuse)fuse, .head = head});
            b->dev->ops.attn_fuse(
                b->dev,
                &(vx_attn_fuse){.out = y, .record = &all, .fuse = (vx_fuse)fuse, .head = head});
            check_close(y, expected, n, TOL_KERNEL, 0, what);
        }
    vx_attn_fuse_ref(
        NULL, &(vx_attn_fuse){.out = expected, .record = &one, .fuse = VX_FUSE_MEAN, .head = -1});
    b->dev->ops.attn_fuse(
        b->dev, &(vx_attn_fuse){.out = y, .record = &one, .fuse = VX_FUSE_MEAN, .head = -1});
    check_close(y, expected, n, 0, 0, what);
    check_guards(what);
    free_outputs();
    free(all.data);
    free(one.data);
}

static void row_case(bed *b, rng *r, vx_store store, int batch, int heads, int t)
{
    const size_t n = (size_t)(batch * heads * t);
    vx_recorded all = make_record(r, VX_KEEP_ALL, store, batch, heads, t);
    vx_recorded rows = make_record(r, VX_KEEP_ROW, store, batch, heads, t);
    const char *what = say(b, "attn_row B%d H%d T%d", batch, heads, t);
    float *y = output_f32(n), *expected = output_f32(n);
    for (int query = t > 2 ? VX_QUERY_PREFIX : -1; query < t; query += query < 0 ? 1 : t / 2 + 1) {
        const int first = t > 2 ? 2 : t > 1;
        vx_attn_row_ref(
            NULL, &(vx_attn_row){.out = expected, .record = &all, .query = query, .prefix = first});
        b->dev->ops.attn_row(
            b->dev, &(vx_attn_row){.out = y, .record = &all, .query = query, .prefix = first});
        check_close(y, expected, n, TOL_KERNEL, 0, what);
    }
    vx_attn_row_ref(NULL,
                    &(vx_attn_row){.out = expected, .record = &rows, .query = 0, .prefix = 0});
    b->dev->ops.attn_row(b->dev,
                         &(vx_attn_row){.out = y, .record = &rows, .query = 0, .prefix = 0});
    check_close(y, expected, n, 0, 0, what);
    check_guards(what);
    free_outputs();
    free(all.data);
    free(rows.data);
}

static void recorded_cases(int index, uint64_t seed,
                           void (*check)(bed *b, rng *r, vx_store store, int batch, int heads,
                                         int t))
{
    bed b;
    rng r = {seed};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int store = VX_STORE_F32; store <= VX_STORE_F16; store++)
            check(&b, &r, (vx_store)store, 1 + i % 2, 1 + i, QUICK && i == 4 ? 50 : sizes[i]);
    bed_close(&b);
}

void test_attn_fuse__matches_reference(int index)
{
    recorded_cases(index, 10, fuse_case);
}

void test_attn_row__matches_reference(int index)
{
    recorded_cases(index, 18, row_case);
}

START_TEST(test_recorded__nan_stays)
{
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN; fuse++)
        for (int bad = 0; bad < 3; bad++) {
            enum { T = 5 };
            float *p = output_f32(3 * T * T), *y = output_f32(T * T);
            for (int i = 0; i < 3 * T * T; i++)
                p[i] = 0.25f;
            p[bad * T * T + 7] = NAN;
            const vx_recorded record = {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, 3, T};
            b.dev->ops.attn_fuse(
                b.dev,
                &(vx_attn_fuse){.out = y, .record = &record, .fuse = (vx_fuse)fuse, .head = -1});
            expect(isnan(y[7]) && y[6] == 0.25f && y[8] == 0.25f, "fuse %d head %d", fuse, bad);
            free_outputs();
        }
    bed_close(&b);
}
END_TEST

void test_mean_tokens__matches_reference(int index)
{
    bed b;
    rng r = {11};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int t = sizes[i], d = sizes[SIZES - 1 - i], batch = 1 + i % 3;
        float *x = input(&r, (size_t)(batch * t * d), i % 2 ? OFFSET : NORMAL);
        float *y = output_f32((size_t)(batch * d)), *expected = output_f32((size_t)(batch * d));
        vx_mean_tokens_ref(
            NULL,
            &(vx_mean_tokens){
                .y = expected, .x = x, .first = t > 1, .batch = batch, .tokens = t, .width = d});
        b.dev->ops.mean_tokens(
            b.dev, &(vx_mean_tokens){
                       .y = y, .x = x, .first = t > 1, .batch = batch, .tokens = t, .width = d});
        check_guards("mean_tokens");
        check_close(y, expected, (size_t)(batch * d), TOL_KERNEL, 1,
                    say(&b, "mean_tokens %d %d", t, d));
        free(x);
        free_outputs();
    }
    /* sequences of several lengths; the second has no token that counts */
    static const int starts[] = {0, 4, 6, 13, 16};
    enum { N = 4, D = 37, FIRST = 2 };
    float *x = input(&r, 16 * D, NORMAL), *y = output_f32(N * D), exact[D];
    b.dev->ops.mean_tokens(
        b.dev,
        &(vx_mean_tokens){
            .y = y, .x = x, .starts = starts, .first = FIRST, .batch = N, .tokens = 7, .width = D});
    check_guards("mean_tokens of sequences");
    for (int s = 0; s < N; s++) {
        const int n = starts[s + 1] - starts[s] - FIRST;
        for (int c = 0; c < D; c++) {
            double sum = 0;
            for (int t = starts[s] + FIRST; t < starts[s + 1]; t++)
                sum += x[t * D + c];
            exact[c] = n > 0 ? (float)(sum / n) : 0;
        }
        check_close(y + s * D, exact, D, TOL_KERNEL, 1, "mean_tokens of sequences");
    }
    free(x);
    free_outputs();
    bed_close(&b);
}

/* What discard_smallest means, by sorting. */
static const float *sort_by;
static int by_value_then_index(const void *a, const void *b)
{
    const int i = *(const int *)a, j = *(const int *)b;
    const uint32_t x = vx_order_key(sort_by[i]), y = vx_order_key(sort_by[j]);
    return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

static void discard_case(bed *b, rng *r, int batch, int t, int64_t count, int kind)
{
    const int n = t * t;
    const char *what = say(b, "discard %d of %dx%d, kind %d", (int)count, t, t, kind);
    float *f = output_f32((size_t)(batch * n)), *expected = output_f32((size_t)(batch * n));
    float *reference = output_f32((size_t)(batch * n));
    int *order = malloc((size_t)n * sizeof *order);
    for (int i = 0; i < batch * n; i++) {
        f[i] = kind == 0 ? rng_float(r, 0, 1) * 0.01f : (float)rng_int(r, -2, 3) * 0.5f;
        if (kind == 2)
            f[i] = i % 11 == 3  ? NAN
                   : i % 7 == 0 ? -INFINITY
                   : i % 5      ? rng_normal(r) * 1e-40f
                                : -0.0f;
        expected[i] = reference[i] = f[i];
    }
    const int keep_first = rng_int(r, 0, 1);
    for (int p = 0; p < batch; p++) {
        for (int i = 0; i < n; i++)
            order[i] = i;
        sort_by = f + p * n;
        qsort(order, (size_t)n, sizeof *order, by_value_then_index);
        for (int64_t i = 0; i < count && i < n; i++)
            if (!keep_first || order[i] != 0)
                expected[p * n + order[i]] = 0;
    }
    vx_discard_smallest_ref(
        NULL,
        &(vx_discard_smallest){
            .f = reference, .count = count, .keep_first = keep_first, .batch = batch, .tokens = t});
    b->dev->ops.discard_smallest(
        b->dev, &(vx_discard_smallest){
                    .f = f, .count = count, .keep_first = keep_first, .batch = batch, .tokens = t});
    check_guards(what);
    expect(memcmp(reference, expected, (size_t)(batch * n) * sizeof *f) == 0, "%s (reference)",
           what);
    expect(memcmp(f, expected, (size_t)(batch * n) * sizeof *f) == 0, "%s", what);
    free(order);
    free_outputs();
}

void test_discard_smallest__matches_reference(int index)
{
    bed b;
    rng r = {12};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < 3; kind++) {
            const int t = QUICK && i == 4 ? 40 : sizes[i], n = t * t;
            const int64_t counts[] = {0,     1, n / 2,          (int64_t)(n * 0.9),
                                      n - 1, n, (int64_t)n + 5, -3};
            for (int c = 0; c < (i == 4 ? 5 : 8); c++)
                discard_case(&b, &r, 1 + kind, t, counts[c], kind);
        }
    bed_close(&b);
}

void test_rollout_step__matches_reference(int index)
{
    bed b;
    rng r = {13};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 3 * SIZES; i++) {
        const int t = QUICK && i > 11 ? 50 : sizes[i / 3], batch = 1 + i % 2;
        const size_t n = (size_t)(batch * t);
        vx_recorded f = make_record(&r, VX_KEEP_FUSED, VX_STORE_F32, batch, 1, t);
        float *row = malloc(n * sizeof *row), *y = output_f32(n), *expected = output_f32(n);
        for (size_t j = 0; j < n; j++)
            row[j] = rng_float(&r, 0, 1);
        vx_rollout_step_ref(NULL, &(vx_rollout_step){.out = expected,
                                                     .row = row,
                                                     .f = f.data,
                                                     .norm = (vx_norm)(i % 3),
                                                     .batch = batch,
                                                     .tokens = t});
        b.dev->ops.rollout_step(b.dev, &(vx_rollout_step){.out = y,
                                                          .row = row,
                                                          .f = f.data,
                                                          .norm = (vx_norm)(i % 3),
                                                          .batch = batch,
                                                          .tokens = t});
        check_guards("rollout_step");
        check_close(y, expected, n, TOL_KERNEL, 0, say(&b, "rollout_step %d, norm %d", t, i % 3));
        if (i % 3 == VX_NORM_ROWS) { /* rows of the normalised matrix sum to 1: the sum is kept */
            double before = 0, after = 0;
            for (int j = 0; j < t; j++) {
                before += row[j];
                after += y[j];
            }
            ck_assert_double_eq_tol(after, before, 1e-5 * before);
        }
        free(row);
        free(f.data);
        free_outputs();
    }
    bed_close(&b);
}

/* ------------------------------------------------------------------------------------------ */

#define VX_OP(name)                                                                                \
    START_TEST(name##_row)                                                                         \
    {                                                                                              \
        if (_i % MOST_THREADS + 1 >= LEAST_THREADS)                                                \
            test_##name##__matches_reference(_i);                                                  \
    }                                                                                              \
    END_TEST
#include "kernels/ops.def"
#undef VX_OP

static Suite *suite(void)
{
    Suite *s = suite_create("kernels");
    TCase *each = tcase_create("each operation"), *more = tcase_create("more");
    TCase *numbers = tcase_create("numbers");
#define VX_OP(name) tcase_add_loop_test(each, name##_row, 0, BEDS);
#include "kernels/ops.def"
#undef VX_OP
    tcase_add_loop_test(numbers, test_softmax__keeps_nan_and_infinities, 0, BEDS);
    for (int v = 0; v < VERSIONS; v++)
        tcase_add_loop_test(more, test_activate__gelu_is_accurate_over_all_floats, v * MOST_THREADS,
                            v * MOST_THREADS + 1);
    tcase_add_test(more, test_linear__reference_is_the_formula);
    tcase_add_loop_test(more, test_attention__strips_of_long_sequences, 0,
                        QUICK ? 3 : BEDS - MOST_THREADS);
    tcase_add_test(more, test_attention__reference_is_the_formula);
    tcase_add_loop_test(numbers, test_recorded__nan_stays, 0, BEDS);
    suite_add_tcase(s, each);
    suite_add_tcase(s, numbers);
    suite_add_tcase(s, more);
    return s;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return kernel_bench(argc > 2 ? argv[2] : "");
    return run_suite(suite());
}
