/*
 * The scalar backward operations against central differences, in double, of forward formulas
 * written here: so the reference that other devices are compared with is not its own witness.
 *
 * Every check takes one picture's forward function y(x), perturbs each x, and compares the change
 * of sum(dy * y) with what the operation gives for that gradient row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

enum { B = 2, MOST = 2048 };

typedef void forward_fn(const void *shape, double *y, const double *x);

/* dx[n] = d sum(dy[m] * y[m]) / dx */
static void differences(double *dx, forward_fn *forward, const void *shape, double *x, int n,
                        const double *dy, int m)
{
    enum { STEPS = 2 };
    static double y[STEPS][MOST];
    const double h = 1e-5;
    ck_assert_int_le(m, MOST);
    for (int i = 0; i < n; i++) {
        const double at = x[i];
        double sum = 0;
        x[i] = at + h;
        forward(shape, y[0], x);
        x[i] = at - h;
        forward(shape, y[1], x);
        x[i] = at;
        for (int j = 0; j < m; j++)
            sum += dy[j] * (y[0][j] - y[1][j]);
        dx[i] = sum / (2 * h);
    }
}

/* Rows `ld` apart, as doubles without gaps. */
static double *widened(const float *x, int rows, int columns, int ld)
{
    double *wide = malloc((size_t)(rows * columns) * sizeof *wide);
    for (int i = 0; i < rows * columns; i++)
        wide[i] = x[i / columns * ld + i % columns];
    return wide;
}

/* Gradient rows against what differences() gave, and nothing written between them. */
static void check_rows(const float *dx, const double *exact, int rows, int columns, int ld,
                       const char *what)
{
    double worst = 0, size = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < ld; j++) {
            const float x = dx[i * ld + j];
            if (j >= columns) {
                expect(untouched(x), "%s: wrote between rows", what);
                continue;
            }
            expect(isfinite(x), "%s: row %d column %d is %g", what, i, j, (double)x);
            worst = fmax(worst, fabs(x - exact[i * columns + j]));
            size = fmax(size, fabs(exact[i * columns + j]));
        }
    expect(worst <= TOL_GRADIENT * size, "%s is %g off the differences, of %g", what, worst, size);
    expect(size > 0.01, "%s: nothing was tested", what);
}

/* ------------------------------------------------------------------------------- linear ---- */

typedef struct linear_shape {
    const float *w, *gamma;
    vx_act act;
    int tokens, n, k;
} linear_shape;

static double activated(vx_act act, double x)
{
    switch (act) {
    case VX_ACT_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case VX_ACT_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VX_ACT_RELU:
        return fmax(x, 0);
    default:
        return x;
    }
}

static void linear_forward(const void *shape, double *y, const double *pre)
{
    const linear_shape *s = shape;
    for (int t = 0; t < s->tokens; t++)
        for (int j = 0; j < s->n; j++, y++) {
            *y = 0;
            for (int p = 0; p < s->k; p++)
                *y += activated(s->act, pre[t * s->k + p]) * (double)s->w[j * s->k + p];
            *y *= s->gamma ? (double)s->gamma[j] : 1;
        }
}

static void check_linear(rng *r, vx_act act, int tokens, int targets, int with_gamma, int pad)
{
    enum { N = 6, K = 7 };
    const int m = B * targets * tokens, lddx = K + pad, lddy = N + 2 * pad, ldp = K + 3 * pad;
    float *w = weights(r, N * K, 0.5f), *gamma = weights(r, N, 0.5f);
    float *dy = weights(r, (size_t)(m * lddy), 0.5f);
    float *pre = weights(r, (size_t)(m / targets * ldp), 0.8f);
    float *dx = output_f32((size_t)(m * lddx));
    const vx_weight weight = {w, NULL, N, K, &vx_packing_plain, NULL};
    const linear_shape s = {w, with_gamma ? gamma : NULL, act, tokens, N, K};
    vx_linear_bwd_ref(NULL, &(vx_linear_bwd){.dx = dx,
                                             .lddx = lddx,
                                             .dy = dy,
                                             .lddy = lddy,
                                             .w = &weight,
                                             .gamma = s.gamma,
                                             .pre = act ? pre : NULL,
                                             .ldp = ldp,
                                             .act = act,
                                             .m = m,
                                             .tokens = tokens,
                                             .targets = targets});
    check_guards("linear_bwd");
    for (int g = 0; g < B * targets; g++) {
        double *x = widened(pre + g / targets * tokens * ldp, tokens, K, ldp);
        double *d = widened(dy + g * tokens * lddy, tokens, N, lddy), exact[MOST];
        differences(exact, linear_forward, &s, x, tokens * K, d, tokens * N);
        check_rows(dx + g * tokens * lddx, exact, tokens, K, lddx, "linear_bwd");
        free(x);
        free(d);
    }
    free(w);
    free(gamma);
    free(dy);
    free(pre);
    free_outputs();
}

START_TEST(test_linear_bwd__is_the_derivative)
{
    rng r = {41};
    for (int act = 0; act < VX_ACT_COUNT; act++)
        for (int i = 0; i < 8; i++)
            check_linear(&r, (vx_act)act, i & 1 ? 5 : 1, i & 2 ? 3 : 1, i & 4, i % 3);
}
END_TEST

/* Slopes alone: one weight of 1, so that dx is the slope, where curves are flat and steep. */
START_TEST(test_linear_bwd__slopes_of_activations)
{
    enum { N = 241 };
    float pre[N], one[N], dx[N];
    for (int i = 0; i < N; i++) {
        pre[i] = (float)(i - N / 2) / 8 + 0.03f; /* -15 to 15, never 0 */
        one[i] = 1;
    }
    const vx_weight weight = {one, NULL, 1, N, &vx_packing_plain, NULL};
    for (int act = 1; act < VX_ACT_COUNT; act++) {
        vx_linear_bwd_ref(NULL, &(vx_linear_bwd){.dx = dx,
                                                 .lddx = N,
                                                 .dy = one,
                                                 .lddy = 1,
                                                 .w = &weight,
                                                 .pre = pre,
                                                 .ldp = N,
                                                 .act = (vx_act)act,
                                                 .m = 1,
                                                 .tokens = 1,
                                                 .targets = 1});
        for (int i = 0; i < N; i++) {
            const double h = 1e-5, x = pre[i];
            const double exact =
                (activated((vx_act)act, x + h) - activated((vx_act)act, x - h)) / (2 * h);
            expect(fabs(dx[i] - exact) < 1e-7, "activation %d at %g: %g, expected %g", act, x,
                   (double)dx[i], exact);
        }
    }
}
END_TEST

/* ------------------------------------------------------------------------------- swiglu ---- */

typedef struct gate_shape {
    int tokens, n;
} gate_shape;

static void gate_forward(const void *shape, double *y, const double *x)
{
    const gate_shape *s = shape;
    for (int i = 0; i < s->tokens * s->n; i++) {
        const double *row = x + i / s->n * 2 * s->n + i % s->n;
        y[i] = row[0] / (1 + exp(-row[0])) * row[s->n];
    }
}

static void check_gate(rng *r, int tokens, int targets, int pad)
{
    enum { N = 7 };
    const int m = B * targets * tokens, lddx = 2 * N + pad, lddy = N + 2 * pad,
              ldx = 2 * N + 3 * pad;
    float *dy = weights(r, (size_t)(m * lddy), 0.5f),
          *x = weights(r, (size_t)(m / targets * ldx), 2);
    float *dx = output_f32((size_t)(m * lddx));
    const gate_shape s = {tokens, N};
    vx_swiglu_bwd_ref(NULL, &(vx_swiglu_bwd){dx, lddx, dy, lddy, x, ldx, m, N, tokens, targets});
    check_guards("swiglu_bwd");
    for (int g = 0; g < B * targets; g++) {
        double *at = widened(x + g / targets * tokens * ldx, tokens, 2 * N, ldx);
        double *d = widened(dy + g * tokens * lddy, tokens, N, lddy), exact[MOST];
        differences(exact, gate_forward, &s, at, tokens * 2 * N, d, tokens * N);
        check_rows(dx + g * tokens * lddx, exact, tokens, 2 * N, lddx, "swiglu_bwd");
        free(at);
        free(d);
    }
    free(dy);
    free(x);
    free_outputs();
}

START_TEST(test_swiglu_bwd__is_the_derivative)
{
    rng r = {46};
    for (int i = 0; i < 6; i++)
        check_gate(&r, i & 1 ? 5 : 1, i & 2 ? 3 : 1, i % 3);
}
END_TEST

/* ---------------------------------------------------------------------------- layernorm ---- */

typedef struct norm_shape {
    const float *weight;
    double eps;
    int tokens, n, groups, rms;
} norm_shape;

static void norm_forward(const void *shape, double *y, const double *x)
{
    const norm_shape *s = shape;
    for (int t = 0; t < s->tokens * s->groups; t++, x += s->n, y += s->n) {
        double mean = 0, var = 0;
        for (int j = 0; j < s->n && !s->rms; j++)
            mean += x[j] / s->n;
        for (int j = 0; j < s->n; j++)
            var += (x[j] - mean) * (x[j] - mean) / s->n;
        for (int j = 0; j < s->n; j++)
            y[j] = (x[j] - mean) / sqrt(var + s->eps) * (double)s->weight[j];
    }
}

/* Rows of 9: one part, or three that are normalised each by itself. */
static void check_norm(rng *r, int tokens, int targets, int accumulate, int in_place, int pad,
                       int groups, int rms)
{
    enum { N = 9 };
    const int m = B * targets * tokens, lddy = N + 2 * pad, ldx = N + 3 * pad;
    const int lddx = in_place ? lddy : N + pad;
    float *weight = weights(r, N, 0.5f), *dy = weights(r, (size_t)(m * lddy), 0.5f);
    float *x = weights(r, (size_t)(m / targets * ldx), 0.5f), *dx = output_f32((size_t)(m * lddx));
    const norm_shape s = {weight, (double)0.01f, tokens, N / groups, groups, rms};
    for (int i = 0; i < m && (accumulate || in_place); i++)
        for (int j = 0; j < N; j++)
            dx[i * lddx + j] = in_place ? dy[i * lddy + j] : (float)(i + j);
    vx_layernorm_bwd_ref(NULL, &(vx_layernorm_bwd){.dx = dx,
                                                   .lddx = lddx,
                                                   .dy = in_place ? dx : dy,
                                                   .lddy = lddy,
                                                   .x = x,
                                                   .ldx = ldx,
                                                   .weight = weight,
                                                   .eps = 0.01f,
                                                   .accumulate = accumulate,
                                                   .m = m,
                                                   .n = N / groups,
                                                   .tokens = tokens,
                                                   .targets = targets,
                                                   .rms = rms,
                                                   .groups = groups});
    check_guards("layernorm_bwd");
    for (int g = 0; g < B * targets; g++) {
        double *wide = widened(x + g / targets * tokens * ldx, tokens, N, ldx);
        double *d = widened(dy + g * tokens * lddy, tokens, N, lddy), exact[MOST];
        differences(exact, norm_forward, &s, wide, tokens * N, d, tokens * N);
        for (int i = 0; i < tokens * N && accumulate; i++)
            exact[i] += in_place ? d[i] : g * tokens + i / N + i % N;
        check_rows(dx + g * tokens * lddx, exact, tokens, N, lddx, "layernorm_bwd");
        free(wide);
        free(d);
    }
    free(weight);
    free(dy);
    free(x);
    free_outputs();
}

START_TEST(test_layernorm_bwd__is_the_derivative)
{
    rng r = {42};
    for (int i = 0; i < 64; i++)
        check_norm(&r, i & 1 ? 5 : 1, i & 2 ? 3 : 1, i & 4, i & 8, i % 3, i & 16 ? 3 : 1,
                   i & 32 ? 1 : 0);
}
END_TEST

/* ---------------------------------------------------------------------------- attention ---- */

typedef struct attention_shape {
    const double *qkv; /* of the picture; for attend_with_p */
    double scale;
    int tokens, heads, width, queries;
} attention_shape;

/* y [queries,H*E] from p [H,T,T] */
static void attend_with_p(const void *shape, double *y, const double *p)
{
    const attention_shape *s = shape;
    const int T = s->tokens, H = s->heads, E = s->width;
    for (int i = 0; i < s->queries; i++)
        for (int c = 0; c < H * E; c++, y++) {
            *y = 0;
            for (int j = 0; j < T; j++)
                *y += p[(c / E * T + i) * T + j] * s->qkv[(j * 3 + 2) * H * E + c];
        }
}

static void probabilities(const attention_shape *s, double *p, const double *qkv)
{
    const int T = s->tokens, H = s->heads, E = s->width;
    for (int h = 0; h < H; h++)
        for (int i = 0; i < T; i++, p += T) {
            double sum = 0;
            for (int j = 0; j < T; j++) {
                double score = 0;
                for (int e = 0; e < E; e++)
                    score += qkv[(i * 3 * H + h) * E + e] * qkv[((j * 3 + 1) * H + h) * E + e];
                sum += p[j] = exp(s->scale * score);
            }
            for (int j = 0; j < T; j++)
                p[j] /= sum;
        }
}

static void attention_forward(const void *shape, double *y, const double *qkv)
{
    static double p[MOST];
    attention_shape s = *(const attention_shape *)shape;
    probabilities(&s, p, qkv);
    s.qkv = qkv;
    attend_with_p(&s, y, p);
}

/* dqkv and dp of gradient g; what the operation was not asked for is NULL. */
static void check_attention_of(const vx_attention_bwd *a, int g)
{
    const int t = a->tokens - a->first, d = a->heads * a->head_width, pp = a->heads * t * t;
    static double p[MOST], exact[MOST];
    double *qkv =
        widened(a->qkv + (g / a->targets * a->tokens + a->first) * 3 * d, t, 3 * d, 3 * d);
    double *dy = widened(a->dy + g * a->queries * d, a->queries, d, d);
    const attention_shape s = {qkv, (double)a->scale, t, a->heads, a->head_width, a->queries};
    ck_assert_int_le(pp, MOST);
    if (a->dqkv) {
        differences(exact, attention_forward, &s, qkv, t * 3 * d, dy, a->queries * d);
        const float *dqkv = a->dqkv + g * a->tokens * 3 * d;
        check_rows(dqkv + a->first * 3 * d, exact, t, 3 * d, 3 * d, "dqkv");
        for (int i = 0; i < a->first * 3 * d; i++)
            expect(dqkv[i] == 0, "dqkv of a token that is not there");
    }
    if (a->dp) {
        probabilities(&s, p, qkv);
        differences(exact, attend_with_p, &s, p, pp, dy, a->queries * d);
        check_rows(a->dp + g * pp, exact, a->heads * t, t, t, "dp");
    }
    free(qkv);
    free(dy);
}

enum { WITH_P = 1, WITH_DP = 2, ONLY_DP = 4 };

static void check_attention(rng *r, int tokens, int heads, int width, int queries, int first,
                            int targets, int parts)
{
    const size_t d = (size_t)(heads * width), rows = (size_t)tokens, gs = (size_t)(B * targets);
    float *qkv = weights(r, B * rows * 3 * d, 0.5f);
    float *dy = weights(r, gs * (size_t)queries * d, 0.5f);
    float *p = malloc(sizeof *p * B * (size_t)heads * rows * rows);
    float *y = malloc(sizeof *y * B * rows * d);
    const vx_recorded record = {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, B, heads, tokens};
    vx_attention_ref(NULL, &(vx_attention){.y = y,
                                           .qkv = qkv,
                                           .scale = 0.5f,
                                           .batch = B,
                                           .tokens = tokens,
                                           .heads = heads,
                                           .head_width = width,
                                           .record = record});
    const vx_attention_bwd a = {
        .dqkv = parts & ONLY_DP ? NULL : output_f32(gs * rows * 3 * d),
        .dp = parts & (WITH_DP | ONLY_DP) ? output_f32(gs * (size_t)heads * rows * rows) : NULL,
        .dy = dy,
        .qkv = qkv,
        .p = parts & WITH_P ? p : NULL,
        .scale = 0.5f,
        .batch = B,
        .targets = targets,
        .tokens = tokens,
        .heads = heads,
        .head_width = width,
        .queries = queries,
        .first = first};
    vx_attention_bwd_ref(NULL, &a);
    check_guards("attention_bwd");
    for (int g = 0; g < B * targets; g++)
        check_attention_of(&a, g);
    free(qkv);
    free(dy);
    free(p);
    free(y);
    free_outputs();
}

START_TEST(test_attention_bwd__is_the_derivative)
{
    static const int parts[] = {0, WITH_P, WITH_DP, WITH_P | WITH_DP, ONLY_DP, ONLY_DP | WITH_P};
    rng r = {43};
    for (int i = 0; i < 6; i++)
        for (int targets = 1; targets <= 3; targets += 2) {
            check_attention(&r, 5, 2, 4, 5, 0, targets, parts[i]);
            check_attention(&r, 5, 2, 4, 1, 0, targets, parts[i]);
            check_attention(&r, 7, 3, 3, 4, 0, targets, parts[i]);
            if (!(parts[i] & WITH_P))
                check_attention(&r, 7, 2, 3, 1 + i % 3, 2, targets, parts[i]);
        }
    check_attention(&r, 3, 1, 67, 2, 0, 3, WITH_DP); /* wider than a chunk of the reference */
}
END_TEST

/* ---------------------------------------------------------------------- patches, pooling --- */

typedef struct patch_shape {
    const float *w;
    int channels, height, width, ph, pw, d;
} patch_shape;

static void patch_forward(const void *shape, double *y, const double *image)
{
    const patch_shape *s = shape;
    const int gh = s->height / s->ph, gw = s->width / s->pw;
    for (int p = 0; p < gh * gw; p++)
        for (int j = 0; j < s->d; j++, y++) {
            const float *w = s->w + j * s->channels * s->ph * s->pw;
            *y = 0;
            for (int c = 0; c < s->channels; c++)
                for (int v = 0; v < s->ph; v++)
                    for (int u = 0; u < s->pw; u++)
                        *y += (double)*w++ * image[(c * s->height + p / gw * s->ph + v) * s->width +
                                                   p % gw * s->pw + u];
        }
}

static void check_patches(rng *r, const patch_shape *shape, int prefix)
{
    patch_shape s = *shape;
    const int k = s.channels * s.ph * s.pw, patches = s.height / s.ph * (s.width / s.pw);
    const int picture = s.channels * s.height * s.width, tokens = prefix + patches;
    float *w = weights(r, (size_t)(s.d * k), 0.5f);
    float *dy = weights(r, (size_t)(B * tokens * s.d), 0.5f);
    float *dimage = output_f32((size_t)(B * picture));
    const vx_weight weight = {w, NULL, s.d, k, &vx_packing_plain, NULL};
    s.w = w;
    for (int i = 0; i < B * tokens * s.d; i++)
        dy[i] = i / s.d % tokens < prefix ? NAN : dy[i]; /* not read */
    vx_patch_embed_bwd_ref(NULL, &(vx_patch_embed_bwd){dimage, dy, &weight, B, s.channels, s.height,
                                                       s.width, s.ph, s.pw, prefix});
    check_guards("patch_embed_bwd");
    for (int b = 0; b < B; b++) {
        double exact[MOST], *image = calloc((size_t)picture, sizeof *image);
        double *d = widened(dy + (b * tokens + prefix) * s.d, patches, s.d, s.d);
        differences(exact, patch_forward, &s, image, picture, d, patches * s.d);
        check_rows(dimage + b * picture, exact, 1, picture, picture, "patch_embed_bwd");
        free(image);
        free(d);
    }
    free(w);
    free(dy);
    free_outputs();
}

START_TEST(test_patch_embed_bwd__is_the_derivative)
{
    rng r = {44};
    check_patches(&r, &(patch_shape){NULL, 3, 6, 8, 3, 2, 5}, 0);
    check_patches(&r, &(patch_shape){NULL, 2, 7, 11, 3, 4, 5}, 2);
    check_patches(&r, &(patch_shape){NULL, 1, 4, 4, 4, 4, 3}, 1);
}
END_TEST

typedef struct mean_shape {
    int first, tokens, d;
} mean_shape;

static void mean_forward(const void *shape, double *y, const double *x)
{
    const mean_shape *s = shape;
    for (int j = 0; j < s->d; j++) {
        y[j] = 0;
        for (int t = s->first; t < s->tokens; t++)
            y[j] += x[t * s->d + j] / (s->tokens - s->first);
    }
}

START_TEST(test_mean_tokens_bwd__is_the_derivative)
{
    rng r = {45};
    for (int first = 0; first < 3; first++) {
        const mean_shape s = {first, 6, 5};
        const int n = s.tokens * s.d;
        float *dx = output_f32((size_t)(B * n)), *dy = weights(&r, (size_t)(B * s.d), 0.5f);
        vx_mean_tokens_bwd_ref(
            NULL,
            &(vx_mean_tokens_bwd){
                .dx = dx, .dy = dy, .first = first, .batch = B, .tokens = s.tokens, .width = s.d});
        check_guards("mean_tokens_bwd");
        for (int b = 0; b < B; b++) {
            double x[MOST] = {0}, exact[MOST], *d = widened(dy + b * s.d, 1, s.d, s.d);
            differences(exact, mean_forward, &s, x, n, d, s.d);
            check_rows(dx + b * n, exact, 1, n, n, "mean_tokens_bwd");
            free(d);
        }
        free(dy);
        free_outputs();
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("gradients");
    TCase *c = tcase_create("derivatives");
    tcase_add_test(c, test_linear_bwd__is_the_derivative);
    tcase_add_test(c, test_linear_bwd__slopes_of_activations);
    tcase_add_test(c, test_swiglu_bwd__is_the_derivative);
    tcase_add_test(c, test_layernorm_bwd__is_the_derivative);
    tcase_add_test(c, test_attention_bwd__is_the_derivative);
    tcase_add_test(c, test_patch_embed_bwd__is_the_derivative);
    tcase_add_test(c, test_mean_tokens_bwd__is_the_derivative);
    suite_add_tcase(s, c);
    return s;
}

VX_TEST_MAIN(suite)
