/* test/kernel_attention.c: attention_bwd against the scalar reference, and that against the
 * formula. Like the tests of test_kernels.c, for one bed each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

enum { WITH_P = 1, WITH_DP = 2, WITH_DQKV = 4 };

/* All that an attention_bwd of these sizes reads. */
static vx_attention_bwd attention_inputs(rng *r, const int shape[7], int causal)
{
    const int batch = shape[0], targets = shape[1], tokens = shape[2], heads = shape[3],
              e = shape[4], queries = shape[5], first = shape[6];
    const size_t d = (size_t)(heads * e), rows = (size_t)(batch * tokens);
    float *qkv = input(r, rows * 3 * d, NORMAL);
    float *p = malloc(sizeof *p * rows * (size_t)(heads * tokens)),
          *y = malloc(sizeof *y * rows * d);
    const vx_attention a = {
        .y = y,
        .qkv = qkv,
        .scale = 1 / sqrtf((float)e),
        .batch = batch,
        .tokens = tokens,
        .heads = heads,
        .head_width = e,
        .record = {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, batch, heads, tokens},
        .relative = first || tokens % 2 ? (vx_relative){0} : relative_positions(r, tokens, heads),
        .causal = causal};
    vx_attention_ref(NULL, &a);
    free(y);
    return (vx_attention_bwd){.dy = weights(r, (size_t)(batch * targets * queries) * d, 0.5f),
                              .qkv = qkv,
                              .p = p,
                              .scale = a.scale,
                              .batch = batch,
                              .targets = targets,
                              .tokens = tokens,
                              .heads = heads,
                              .head_width = e,
                              .queries = queries,
                              .first = first,
                              .relative = a.relative,
                              .causal = causal};
}

static void free_inputs(const vx_attention_bwd *a)
{
    free_relative(&a->relative);
    free((void *)(uintptr_t)a->p);
    free((void *)(uintptr_t)a->qkv);
    free((void *)(uintptr_t)a->dy);
}

static size_t dp_count(const vx_attention_bwd *a)
{
    const size_t present = (size_t)(a->tokens - a->first);
    return (size_t)(a->batch * a->targets * a->heads) * present * present;
}

/* What there is to be written, in fresh memory. */
static void attention_outputs(vx_attention_bwd *a, int parts)
{
    const size_t rows = (size_t)(a->batch * a->targets * a->tokens);
    a->dqkv = parts & WITH_DQKV ? output_f32(rows * (size_t)(3 * a->heads * a->head_width)) : NULL;
    a->dp = parts & WITH_DP ? output_f32(dp_count(a)) : NULL;
}

/* Rows of queries in products' precision, the others 0. */
static void check_dp(const float *dp, const float *expected, const vx_attention_bwd *a,
                     const char *what)
{
    const int t = a->tokens - a->first;
    for (int i = 0; i < a->batch * a->targets * a->heads * t; i++, dp += t, expected += t) {
        const double error = product_error(dp, expected, (size_t)t);
        expect(error < TOL_NMSE, "%s: row %d of dp is off by %g", what, i, error);
        for (int j = 0; j < t && i % t >= a->queries; j++)
            expect(dp[j] == 0, "%s: row %d of dp has no query", what, i);
    }
}

static void check_dqkv(const float *dqkv, const float *expected, const vx_attention_bwd *a,
                       const char *what)
{
    const int d = a->heads * a->head_width, rows = a->batch * a->targets * a->tokens;
    check_products(dqkv, expected, rows, 3 * d, 3 * d, what);
    for (int i = 0; i < rows * 3 * d; i++)
        expect(dqkv[i] == 0 ||
                   i / (3 * d) % a->tokens < (i % (3 * d) >= d ? a->tokens : a->first + a->queries),
               "%s: dq where there is no query", what);
    for (int i = 0; i < rows * 3 * d; i++)
        expect(dqkv[i] == 0 || i / (3 * d) % a->tokens >= a->first, "%s: dqkv before `first`",
               what);
}

static void attention_case(bed *b, rng *r, const int shape[7], int parts, int causal)
{
    vx_attention_bwd in = attention_inputs(r, shape, causal);
    const char *what = say(b, "%sattention_bwd B%d K%d T%d H%d E%d, %d queries from %d, parts %d",
                           causal ? "causal " : "", in.batch, in.targets, in.tokens, in.heads,
                           in.head_width, in.queries, in.first, parts);
    const float *p = in.p;
    in.p = in.first ? NULL : p;
    vx_attention_bwd expected = in, a[2] = {in, in};
    attention_outputs(&expected, parts);
    vx_attention_bwd_ref(NULL, &expected);
    for (int run = 0; run < 2; run++) {
        a[run].p = parts & WITH_P ? in.p : NULL;
        attention_outputs(&a[run], parts);
        b->dev->ops.attention_bwd(b->dev, &a[run]);
    }
    check_guards(what);
    const size_t rows = (size_t)(in.batch * in.targets * in.tokens);
    if (parts & WITH_DP) {
        check_dp(a[0].dp, expected.dp, &in, what);
        ck_assert_mem_eq(a[0].dp, a[1].dp, dp_count(&in) * sizeof(float));
    }
    if (parts & WITH_DQKV) {
        check_dqkv(a[0].dqkv, expected.dqkv, &in, what);
        ck_assert_mem_eq(a[0].dqkv, a[1].dqkv,
                         rows * (size_t)(3 * in.heads * in.head_width) * sizeof(float));
    }
    in.p = p;
    free_inputs(&in);
    free_outputs();
}

/* p of the tokens from `first` on, [B,H,R,R], as attention records it. */
static float *present_p(const vx_attention_bwd *a)
{
    const size_t r = (size_t)(a->tokens - a->first), d = (size_t)(a->heads * a->head_width);
    const size_t each = (size_t)a->heads * r * r;
    float *p = malloc(sizeof *p * (size_t)a->batch * each), *y = malloc(sizeof *y * r * d);
    for (size_t b = 0; b < (size_t)a->batch; b++)
        vx_attention_ref(
            NULL,
            &(vx_attention){.y = y,
                            .qkv = a->qkv + (b * (size_t)a->tokens + (size_t)a->first) * 3 * d,
                            .scale = a->scale,
                            .batch = 1,
                            .tokens = (int)r,
                            .heads = a->heads,
                            .head_width = a->head_width,
                            .record = {p + b * each, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0,
                                       1, a->heads, (int)r},
                            .relative = a->relative,
                            .causal = a->causal});
    free(y);
    return p;
}

static void check_near(const float *x, const float *expected, size_t n, const char *which,
                       const char *what)
{
    const double error = nmse_ff(x, expected, n);
    expect(error < TOL_NMSE, "%s: %s is off by %g", what, which, error);
    for (size_t i = 0; i < n; i++)
        expect(expected[i] != 0 || x[i] == 0, "%s: %s where there is nothing", what, which);
}

/* What methods want of dp, and some rows of it, against the operations that make it of all. */
static void for_methods_case(bed *b, rng *r, const int shape[7], vx_product kind, int parts,
                             int causal)
{
    vx_attention_bwd in = attention_inputs(r, shape, causal);
    const char *what =
        say(b, "attention_bwd for methods B%d K%d T%d H%d E%d, %d queries from %d, kind %d",
            in.batch, in.targets, in.tokens, in.heads, in.head_width, in.queries, in.first, kind);
    const float *recorded = in.p;
    const int g = in.batch * in.targets, t = in.tokens - in.first;
    const size_t matrices = (size_t)g * (size_t)(t * t), rows = (size_t)(g * in.heads * t);
    float *p = present_p(&in), *dp = output_f32(dp_count(&in)), *product = output_f32(matrices),
          *means = output_f32(rows);
    in.p = NULL;
    vx_attention_bwd whole = in, a = in;
    whole.dp = dp;
    vx_attention_bwd_ref(NULL, &whole);
    vx_attn_product_ref(
        NULL, &(vx_attn_product){product, p, dp, kind, -1, in.batch, in.targets, in.heads, t});
    vx_attn_relu_mean_ref(NULL, &(vx_attn_relu_mean){means, dp, -1, g * in.heads, 1, t});
    a.p = parts & WITH_P && !in.first ? recorded : NULL;
    attention_outputs(&a, parts & WITH_DQKV);
    a.product = output_f32(matrices);
    a.relu_mean = output_f32(rows);
    a.kind = kind;
    a.dp_rows = in.queries;
    a.dp = parts & WITH_DP ? output_f32(rows * (size_t)in.queries) : NULL;
    b->dev->ops.attention_bwd(b->dev, &a);
    check_guards(what);
    check_near(a.product, product, matrices, "product", what);
    check_near(a.relu_mean, means, rows, "relu_mean", what);
    for (size_t i = 0; parts & WITH_DP && i < (size_t)(g * in.heads); i++)
        check_near(a.dp + i * (size_t)(in.queries * t), dp + i * (size_t)(t * t),
                   (size_t)(in.queries * t), "dp", what);
    free(p);
    in.p = recorded;
    free_inputs(&in);
    free_outputs();
}

/* One head by the formula, in double: p, dp and dqkv of the first gradient. */
static void attention_formula(const vx_attention_bwd *a, int h, double *p, double *dp, double *dqkv)
{
    const int T = a->tokens, E = a->head_width, D = a->heads * E;
    for (int i = 0; i < a->queries; i++) {
        const float *q = a->qkv + i * 3 * D + h * E, *dy = a->dy + i * D + h * E;
        double sum = 0, dot = 0;
        for (int j = 0; j < T; j++) {
            const float *k = a->qkv + j * 3 * D + D + h * E, *v = k + D;
            p[j] = dp[j] = 0;
            for (int e = 0; e < E; e++) {
                p[j] += (double)q[e] * k[e];
                dp[j] += (double)dy[e] * v[e];
            }
            sum += p[j] = exp((double)a->scale * p[j]);
        }
        for (int j = 0; j < T; j++)
            dot += (p[j] /= sum) * dp[j];
        for (int j = 0; j < T; j++) {
            const float *k = a->qkv + j * 3 * D + D + h * E;
            const double ds = (double)a->scale * p[j] * (dp[j] - dot);
            for (int e = 0; e < E; e++) {
                dqkv[i * 3 * E + e] += ds * k[e];
                dqkv[j * 3 * E + E + e] += ds * q[e];
                dqkv[j * 3 * E + 2 * E + e] += p[j] * dy[e];
            }
        }
    }
}

/* More tokens than one strip holds, and fewer heads than workers. */
static void long_attention_case(bed *b, rng *r, int tokens, int heads, int e, int queries)
{
    const int d = heads * e;
    const char *what = say(b, "attention_bwd of %d tokens, %d heads", tokens, heads);
    float *y = output_f32((size_t)(tokens * 3 * d));
    vx_attention_bwd a = {.dqkv = y,
                          .dy = weights(r, (size_t)(queries * d), 0.5f),
                          .qkv = input(r, (size_t)(tokens * 3 * d), NORMAL),
                          .scale = 1 / sqrtf((float)e),
                          .batch = 1,
                          .targets = 1,
                          .tokens = tokens,
                          .heads = heads,
                          .head_width = e,
                          .queries = queries};
    b->dev->ops.attention_bwd(b->dev, &a);
    check_guards(what);
    double *row = malloc(sizeof *row * 2 * (size_t)tokens);
    for (int h = 0; h < heads; h++) {
        double *dqkv = calloc((size_t)(tokens * 3 * e), sizeof *dqkv);
        double error = 0, power = 0;
        attention_formula(&a, h, row, row + tokens, dqkv);
        for (int i = 0; i < tokens * 3 * e; i++) {
            const float x = y[(i / e * heads + h) * e + i % e];
            error += (x - dqkv[i]) * (x - dqkv[i]);
            power += dqkv[i] * dqkv[i];
        }
        expect(error < TOL_NMSE * power, "%s: head %d is off by %g", what, h, error / power);
        free(dqkv);
    }
    free(row);
    free_inputs(&a);
    free_outputs();
}

void test_attention_bwd__matches_reference(int index)
{
    static const int shapes[][7] = {{2, 1, 17, 3, 8, 17, 0}, {1, 3, 17, 2, 9, 1, 0},
                                    {1, 1, 1, 1, 1, 1, 0},   {2, 3, 7, 5, 16, 4, 0},
                                    {2, 3, 9, 2, 8, 1, 3},   {1, 2, 19, 3, 8, 5, 1},
                                    {1, 1, 33, 1, 70, 33, 0}};
    static const int parts[6] = {
        WITH_DQKV, WITH_DQKV | WITH_P, WITH_DQKV | WITH_DP, WITH_DQKV | WITH_DP | WITH_P,
        WITH_DP,   WITH_DP | WITH_P};
    bed b;
    rng r = {23};
    if (!bed_open(&b, index, &largest))
        return;
    for (int s = 0; s < (QUICK ? 6 : 7); s++)
        for (int i = 0; i < 12; i++)
            attention_case(&b, &r, shapes[s], parts[i / 2], i % 2);
    const vx_device_class *cls = b.dev->cls;
    for (int s = 0; s < 7 && (cls->recomputes_p || strcmp(cls->name, "ref") == 0); s++)
        for (int i = 0; i < 6; i++)
            for_methods_case(&b, &r, shapes[s], (vx_product)((s + i) % 2), parts[i],
                             (s + i) / 2 % 2);
    const bool cpu = strcmp(b.version->device, "cpu") == 0;
    if (cpu) {
        long_attention_case(&b, &r, QUICK ? 60 : 197, 5, 64, QUICK ? 60 : 197);
        long_attention_case(&b, &r, QUICK ? 60 : 197, 3, 16, 50);
    }
    bed_close(&b);
    vx_dims dims = largest;
    dims.tokens = 1100;
    if (QUICK || !cpu || !bed_open(&b, index, &dims))
        return;
    long_attention_case(&b, &r, 1100, 1, 3, 1100);
    bed_close(&b);
}
