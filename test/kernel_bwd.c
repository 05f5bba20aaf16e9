/* test/kernel_bwd.c: the backward operations against the scalar reference, which test_gradients.c
 * holds against differences. Like the tests of test_kernels.c, for one bed each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

/* ------------------------------------------------------------------------------- linear ---- */

typedef struct rows_shape {
    int batch, targets, tokens, n, k, pad;
} rows_shape;

static void linear_case(bed *b, rng *r, rows_shape s, vx_act act, int with_gamma)
{
    const int m = s.batch * s.targets * s.tokens, n = s.n, k = s.k;
    const int columns = act == VX_ACT_SWIGLU ? 2 * k : k;
    const int lddx = columns + s.pad, lddy = n + 2 * s.pad, ldp = columns + 3 * s.pad;
    const size_t count = (size_t)m * (size_t)lddx;
    const char *what = say(b, "linear_bwd [%d,%d]x%d, act %d, %d targets, gamma %d", m, n, k,
                           (int)act, s.targets, with_gamma);
    float *w = weights(r, (size_t)n * (size_t)k, 0.5f), *gamma = weights(r, (size_t)n, 0.5f);
    float *dy = weights(r, (size_t)m * (size_t)lddy, 0.5f);
    float *pre = weights(r, (size_t)(m / s.targets) * (size_t)ldp, 1);
    float *expected = output_f32(count), *outputs[2] = {output_f32(count), output_f32(count)};
    const vx_weight plain = {w, NULL, n, k, &vx_packing_plain, NULL},
                    packed = packed_weight(b, VX_LAYER_FC1, w, NULL, n, k);
    vx_linear_bwd a = {.dx = expected,
                       .lddx = lddx,
                       .dy = dy,
                       .lddy = lddy,
                       .w = &plain,
                       .gamma = with_gamma ? gamma : NULL,
                       .pre = act ? pre : NULL,
                       .ldp = ldp,
                       .act = act,
                       .m = m,
                       .tokens = s.tokens,
                       .targets = s.targets};
    vx_linear_bwd_ref(NULL, &a);
    a.w = &packed;
    for (int run = 0; run < 2; run++) {
        a.dx = outputs[run];
        b->dev->ops.linear_bwd(b->dev, &a);
    }
    check_guards(what);
    expect(memcmp(outputs[0], outputs[1], count * sizeof **outputs) == 0, "%s: two runs differ",
           what);
    check_products(outputs[0], expected, m, columns, lddx, what);
    free(w);
    free(gamma);
    free(dy);
    free(pre);
    free_outputs();
}

/* One weight of 1: dx is the slope itself. */
static void slopes_case(bed *b, rng *r, vx_act act)
{
    enum { N = 20011 };
    static const float special[] = {0,     -0.0f,  1,       -1,    30,     -30,     88,
                                    -88,   1e-40f, -1e-40f, 1e30f, -1e30f, 3.4e38f, -3.4e38f,
                                    14.4f, -14.6f, -13.0f,  NAN,   -0.75f, -0.7518f};
    const char *what = say(b, "slope of activation %d", (int)act);
    float *pre = input(r, N, NORMAL), *one = input(r, N, CONSTANT), *expected = output_f32(N);
    float *dx = output_f32(N);
    for (size_t i = 0; i < N; i++) {
        pre[i] = i < sizeof special / sizeof *special ? special[i] : pre[i] * 3;
        one[i] = 1;
    }
    const vx_weight plain = {one, NULL, 1, N, &vx_packing_plain, NULL},
                    packed = packed_weight(b, VX_LAYER_FC1, one, NULL, 1, N);
    vx_linear_bwd a = {.dx = expected,
                       .lddx = N,
                       .dy = one,
                       .lddy = 1,
                       .w = &plain,
                       .pre = pre,
                       .ldp = N,
                       .act = act,
                       .m = 1,
                       .tokens = 1,
                       .targets = 1};
    vx_linear_bwd_ref(NULL, &a);
    a.dx = dx;
    a.w = &packed;
    b->dev->ops.linear_bwd(b->dev, &a);
    check_guards(what);
    check_close(dx, expected, N, TOL_KERNEL, 0.1, what);
    free(pre);
    free(one);
    free_outputs();
}

/* A NaN spoils its own row only, and one of `pre` its own element. */
static void nan_case(bed *b, int m)
{
    enum { N = 9, K = 21, M = 40 };
    float *dy = output_f32(M * N), *w = output_f32(N * K), *pre = output_f32(M * K);
    float *dx = output_f32((size_t)(m * K));
    for (int i = 0; i < M * N; i++)
        dy[i] = 1;
    for (int i = 0; i < N * K; i++)
        w[i] = 1;
    for (int i = 0; i < M * K; i++)
        pre[i] = 1;
    dy[(m / 2) * N + 4] = NAN;
    pre[(m - 1) * K + 20] = NAN;
    const vx_weight packed = packed_weight(b, VX_LAYER_FC1, w, NULL, N, K);
    b->dev->ops.linear_bwd(b->dev, &(vx_linear_bwd){.dx = dx,
                                                    .lddx = K,
                                                    .dy = dy,
                                                    .lddy = N,
                                                    .w = &packed,
                                                    .pre = pre,
                                                    .ldp = K,
                                                    .act = VX_ACT_GELU,
                                                    .m = m,
                                                    .tokens = m,
                                                    .targets = 1});
    for (int i = 0; i < m * K; i++)
        expect(isnan(dx[i]) == (i / K == m / 2 || i == m * K - 1), "%s",
               say(b, "NaN in linear_bwd of %d rows: element %d is %g", m, i, (double)dx[i]));
    free_outputs();
}

void test_linear_bwd__matches_reference(int index)
{
    bed b;
    rng r = {21};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < (QUICK ? 30 : 90); i++) {
        const rows_shape s = {1 + i % 2,
                              i % 5 == 0 ? 3 : 1,
                              i % 3 ? sizes[rng_int(&r, 0, SIZES - 2)] : 1,
                              sizes[rng_int(&r, 0, SIZES - 1)],
                              sizes[rng_int(&r, 0, SIZES - 1)],
                              i % 4};
        linear_case(&b, &r, s, (vx_act)(i % (VX_ACT_COUNT + 1)), i % 7 < 3);
    }
    for (int m = 1; m <= 13; m++) /* every remainder of the blocks */
        linear_case(&b, &r, (rows_shape){1, 1, m, 300, 31 + 7 * m, 0}, VX_ACT_NONE, m & 1);
    linear_case(&b, &r, (rows_shape){1, 1, 29, 1024, 40, 0}, VX_ACT_NONE, 0); /* rows 4 KiB apart */
    if (!QUICK) {
        linear_case(&b, &r, (rows_shape){1, 1, 1100, 300, 70, 1}, VX_ACT_GELU, 1);
        linear_case(&b, &r, (rows_shape){1, 3, 1, 1000, 1111, 0}, VX_ACT_NONE, 0);
    }
    for (int act = 0; act < VX_ACT_COUNT; act++)
        slopes_case(&b, &r, (vx_act)act);
    nan_case(&b, 1);
    nan_case(&b, 3);
    nan_case(&b, 40);
    bed_close(&b);
}

/* ------------------------------------------------------------------------------- swiglu ---- */

static void swiglu_case(bed *b, rng *r, rows_shape s)
{
    const int m = s.batch * s.targets * s.tokens, n = s.n;
    const int lddx = 2 * n + s.pad, lddy = n + 2 * s.pad, ldx = 2 * n + 3 * s.pad;
    const size_t count = (size_t)(m * lddx);
    const char *what = say(b, "swiglu_bwd [%d,%d], %d targets", m, n, s.targets);
    float *x = input(r, (size_t)(m / s.targets * ldx), NORMAL);
    float *dy = weights(r, (size_t)(m * lddy), 1);
    float *expected = output_f32(count), *dx = output_f32(count), *in_place = output_f32(count);
    vx_swiglu_bwd a = {expected, lddx, dy, lddy, x, ldx, m, n, s.tokens, s.targets};
    vx_swiglu_bwd_ref(NULL, &a);
    a.dx = dx;
    b->dev->ops.swiglu_bwd(b->dev, &a);
    for (int i = 0; i < m; i++)
        memcpy(in_place + i * lddx, dy + i * lddy, (size_t)n * sizeof *dy);
    a.dx = in_place;
    a.dy = in_place;
    a.lddy = lddx;
    b->dev->ops.swiglu_bwd(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < m; i++) {
        check_close(dx + i * lddx, expected + i * lddx, (size_t)(2 * n), TOL_KERNEL, 0.1, what);
        ck_assert_mem_eq(dx + i * lddx, in_place + i * lddx, (size_t)(2 * n) * sizeof *dx);
        for (int j = 2 * n; j < lddx; j++)
            expect(untouched(dx[i * lddx + j]), "%s: wrote between rows", what);
    }
    free(x);
    free(dy);
    free_outputs();
}

void test_swiglu_bwd__matches_reference(int index)
{
    bed b;
    rng r = {34};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 3 * SIZES; i++)
        swiglu_case(&b, &r,
                    (rows_shape){1 + i % 2, i % 5 == 0 ? 3 : 1, sizes[(i * 2 + 1) % (SIZES - 1)],
                                 sizes[i % SIZES], 0, i % 4});
    bed_close(&b);
}

/* ---------------------------------------------------------------------------- layernorm ---- */

/* The size of the terms of a part of a row, which may cancel: the largest |weight dy| over
 * sqrt(var + eps). */
static double norm_unit(const vx_layernorm_bwd *a, int row, int part)
{
    const float *x = a->x + (row / a->tokens / a->targets * a->tokens + row % a->tokens) * a->ldx;
    double mean = 0, var = 0, most = 0;
    x += part * a->n;
    for (int j = 0; j < a->n && !a->rms; j++)
        mean += (double)x[j] / a->n;
    for (int j = 0; j < a->n; j++) {
        var += (x[j] - mean) * (x[j] - mean) / a->n;
        most = fmax(most, fabs((double)a->weight[j] * a->dy[row * a->lddy + part * a->n + j]));
    }
    return most / sqrt(var + (double)a->eps);
}

static void layernorm_case(bed *b, rng *r, rows_shape s, enum kind kind, int accumulate, int groups)
{
    const int m = s.batch * s.targets * s.tokens, n = s.n * groups;
    const int lddy = n + 2 * s.pad, lddx = n + s.pad, ldx = n + 3 * s.pad;
    const size_t dys = (size_t)(m * lddy), dxs = (size_t)(m * lddx);
    const char *what = say(b, "layernorm_bwd [%d,%d,%d] of kind %d, %d targets, accumulate %d", m,
                           groups, s.n, (int)kind, s.targets, accumulate);
    float *x = input(r, (size_t)(m / s.targets * ldx), kind), *dy = input(r, dys, NORMAL);
    float *weight = weights(r, (size_t)s.n, 1), *before = weights(r, dxs, 1);
    float *expected = output_f32(dxs), *dx = output_f32(dxs), *in_place = copied(dy, dys);
    for (int i = 0; i < m && accumulate; i++) {
        memcpy(expected + i * lddx, before + i * lddx, (size_t)n * sizeof *dx);
        memcpy(dx + i * lddx, before + i * lddx, (size_t)n * sizeof *dx);
    }
    vx_layernorm_bwd a = {.dx = expected,
                          .lddx = lddx,
                          .dy = dy,
                          .lddy = lddy,
                          .x = x,
                          .ldx = ldx,
                          .weight = weight,
                          .eps = 1e-6f,
                          .accumulate = accumulate,
                          .m = m,
                          .n = s.n,
                          .tokens = s.tokens,
                          .targets = s.targets,
                          .rms = groups / 2 % 2,
                          .groups = groups};
    vx_layernorm_bwd_ref(NULL, &a);
    a.dx = dx;
    b->dev->ops.layernorm_bwd(b->dev, &a);
    a.dx = in_place;
    a.dy = in_place;
    a.lddx = lddy;
    a.accumulate = 0;
    b->dev->ops.layernorm_bwd(b->dev, &a);
    check_guards(what);
    a.dy = dy;
    for (int i = 0; i < m; i++) {
        for (int g = 0; g < groups; g++)
            check_close(dx + i * lddx + g * s.n, expected + i * lddx + g * s.n, (size_t)s.n,
                        TOL_KERNEL, norm_unit(&a, i, g), what);
        expect(accumulate || memcmp(dx + i * lddx, in_place + i * lddy, (size_t)n * 4) == 0,
               "%s: differs in place", what);
        for (int j = n; j < lddx; j++)
            expect(untouched(dx[i * lddx + j]), "%s: wrote between rows", what);
        expect(memcmp(in_place + i * lddy + n, dy + i * lddy + n, (size_t)(lddy - n) * 4) == 0,
               "%s: wrote between rows in place", what);
    }
    free(x);
    free(dy);
    free(weight);
    free(before);
    free_outputs();
}

/* Behind an activation, whose derivative comes with it. */
static void activated_case(bed *b, rng *r, int n, vx_act act)
{
    enum { TOKENS = 3, TARGETS = 2, M = TOKENS * TARGETS };
    const int wide = act == VX_ACT_SWIGLU ? 2 * n : n, ld = wide + 1;
    const char *what = say(b, "layernorm_bwd [%d,%d] behind activation %d", M, n, (int)act);
    float *x = input(r, (size_t)(TOKENS * n), NORMAL), *weight = weights(r, (size_t)n, 1);
    float *pre = input(r, (size_t)(TOKENS * wide), NORMAL);
    float *dy = input(r, (size_t)(M * ld), NORMAL);
    float *expected = copied(dy, (size_t)(M * ld)), *dx = copied(dy, (size_t)(M * ld));
    vx_layernorm_bwd a = {.dx = expected,
                          .lddx = ld,
                          .dy = expected,
                          .lddy = ld,
                          .x = x,
                          .ldx = n,
                          .weight = weight,
                          .eps = 1e-3f, /* of one number the variance is 0 */
                          .m = M,
                          .n = n,
                          .tokens = TOKENS,
                          .targets = TARGETS,
                          .act = act,
                          .pre = pre,
                          .ldp = wide};
    vx_layernorm_bwd_ref(NULL, &a);
    a.dx = dx;
    a.dy = dx;
    b->dev->ops.layernorm_bwd(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < M; i++) {
        check_close(dx + i * ld, expected + i * ld, (size_t)wide, TOL_KERNEL, 3, what);
        expect(dx[i * ld + wide] == dy[i * ld + wide], "%s: wrote between rows", what);
    }
    free(x);
    free(weight);
    free(pre);
    free(dy);
    free_outputs();
}

void test_layernorm_bwd__matches_reference(int index)
{
    bed b;
    rng r = {22};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            layernorm_case(
                &b, &r,
                (rows_shape){1 + kind % 2, kind % 3 ? 3 : 1, i % 2 ? 7 : 1, sizes[i], 0, i % 4},
                (enum kind)kind, (i + kind) % 2, 1 + (i + kind) / 2 % 4);
    layernorm_case(&b, &r, (rows_shape){1, 1, 197, 768, 0, 0}, NORMAL, 1, 1);
    for (int i = 0; i < SIZES; i++) {
        activated_case(&b, &r, sizes[i], VX_ACT_GELU);
        activated_case(&b, &r, sizes[i], VX_ACT_SWIGLU);
    }
    float *x = copied((float[]){1, NAN, 2, 1, 2, 4}, 6), *w = copied((float[]){1, 1, 1}, 3);
    float *dy = copied((float[]){1, 2, 3, 1, 2, 4}, 6), *y = output_f32(6);
    b.dev->ops.layernorm_bwd(b.dev, &(vx_layernorm_bwd){.dx = y,
                                                        .lddx = 3,
                                                        .dy = dy,
                                                        .lddy = 3,
                                                        .x = x,
                                                        .ldx = 3,
                                                        .weight = w,
                                                        .eps = 1e-6f,
                                                        .m = 2,
                                                        .n = 3,
                                                        .tokens = 2,
                                                        .targets = 1});
    ck_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]) && isfinite(y[3]));
    free_outputs();
    bed_close(&b);
}

/* ---------------------------------------------------------------------- patches, pooling --- */

static void patch_case(bed *b, rng *r, int batch, int height, int width, int ph, int pw, int d,
                       int prefix)
{
    enum { C = 3 };
    const int gh = height / ph, gw = width / pw, k = C * ph * pw, tokens = prefix + gh * gw;
    const size_t count = (size_t)(batch * C * height * width);
    const char *what = say(b, "patch_embed_bwd %dx%d by %dx%d", height, width, ph, pw);
    float *w = weights(r, (size_t)(d * k), 0.1f);
    float *dy = weights(r, (size_t)(batch * tokens * d), 0.5f);
    float *y = output_f32(count), *expected = output_f32(count);
    for (int i = 0; i < batch * tokens * d; i++)
        dy[i] = i / d % tokens < prefix ? NAN : dy[i];
    const vx_weight plain = {w, NULL, d, k, &vx_packing_plain, NULL},
                    packed = packed_weight(b, VX_LAYER_PATCH, w, NULL, d, k);
    vx_patch_embed_bwd a = {expected, dy, &plain, batch, C, height, width, ph, pw, prefix};
    vx_patch_embed_bwd_ref(NULL, &a);
    a.dimage = y;
    a.w = &packed;
    b->dev->ops.patch_embed_bwd(b->dev, &a);
    check_guards(what);
    expect(product_error(y, expected, count) < TOL_NMSE, "%s", what);
    for (size_t i = 0; i < count; i++)
        expect(expected[i] != 0 || y[i] == 0, "%s: a gradient beyond the patches", what);
    free(w);
    free(dy);
    free_outputs();
}

void test_patch_embed_bwd__matches_reference(int index)
{
    bed b;
    rng r = {24};
    if (!bed_open(&b, index, &largest))
        return;
    patch_case(&b, &r, 1, 64, 48, 16, 16, 33, 1);
    patch_case(&b, &r, 3, 50, 61, 16, 8, 40, 2);
    patch_case(&b, &r, 2, 30, 30, 7, 5, 17, 0);
    patch_case(&b, &r, 1, 16, 16, 16, 16, 7, 5);
    patch_case(&b, &r, 5, 12, 130, 4, 13, 19, 1);
    bed_close(&b);
}

void test_mean_tokens_bwd__matches_reference(int index)
{
    bed b;
    rng r = {25};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int t = sizes[i], d = sizes[SIZES - 1 - i], batch = 1 + i % 3;
        const size_t n = (size_t)(batch * t * d);
        float *dy = input(&r, (size_t)(batch * d), i % 2 ? LARGE : NORMAL);
        float *dx = output_f32(n), *expected = output_f32(n);
        vx_mean_tokens_bwd_ref(
            NULL,
            &(vx_mean_tokens_bwd){
                .dx = expected, .dy = dy, .first = t > 1, .batch = batch, .tokens = t, .width = d});
        b.dev->ops.mean_tokens_bwd(
            b.dev,
            &(vx_mean_tokens_bwd){
                .dx = dx, .dy = dy, .first = t > 1, .batch = batch, .tokens = t, .width = d});
        check_guards("mean_tokens_bwd");
        check_close(dx, expected, n, TOL_KERNEL, 0, say(&b, "mean_tokens_bwd %d %d", t, d));
        free(dy);
        free_outputs();
    }
    bed_close(&b);
}
