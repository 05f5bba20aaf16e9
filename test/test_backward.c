/*
 * test_backward.c: the backward pass against finite differences of a forward pass in double.
 *
 * The forward pass here is written anew, in double, plainly, from the same weights; a value
 * anywhere in it (a pixel, a token behind norm1 or behind a block, an attention probability) can be
 * moved a little. Tiny models of test/golden/models stand for every step that a model may have.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "explain/score.h"
#include "far_memory.h"
#include "unpack.h"
#include "util.h"

static const char *const folders[] = {"vit-timm",
                                      "vit-timm-avg",
                                      "vit-timm-avg-norm",
                                      "vit-timm-no-class-token",
                                      "deit-hf",
                                      "vit-timm-layerscale",
                                      "vit-timm-oblong",
                                      "vit-hf-margin",
                                      "vit-timm-bare",
                                      "vit-hf-bare",
                                      "vit-timm-map",
                                      "vit-timm-map-class",
                                      "vit-timm-map-registers",
                                      "pe-timm-core",
                                      "deit-timm-distilled",
                                      "deit-timm-distilled-bare",
                                      "vit-timm-registers-gap",
                                      "dinov2-hf",
                                      "dinov2-meta-registers-swiglu",
                                      "vit-timm-qk-norm",
                                      "vit-timm-rms",
                                      "beit-timm",
                                      "data2vec-hf",
                                      "vit-timm-post-norm",
                                      "vit-timm-parallel",
                                      "vit-timm-diff",
                                      "vit-timm-twins",
                                      "vit-timm-diff-parallel",
                                      "vit-timm-relpos-post-norm",
                                      "aimv2-timm",
                                      "vit-timm-avg-prefix",
                                      "aimv2-hf",
                                      "internvl-hf-rms",

                                      "dinov3-timm",
                                      "dinov3-timm-swiglu",
                                      "eva02-timm-clip",
                                      "rope-timm-mixed",
                                      "sapiens2-timm"};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* ------------------------------------------------------------------ forward, in double ----- */

typedef enum place { PIXEL, NORM1, OUTPUT, ATTENTION, NOWHERE } place;

/* Adds `by` to element `index` of what lies at `where` in `block`. */
typedef struct nudge {
    place where;
    int block;
    size_t index;
    double by;
} nudge;

static void push(const nudge *n, place where, int block, double *values)
{
    if (n->where == where && (where == PIXEL || n->block == block))
        values[n->index] += n->by;
}

static double *numbers(size_t count)
{
    double *out = calloc(count, sizeof *out);
    ck_assert_ptr_nonnull(out);
    return out;
}

/* y[m,n] = x[m,k] W^T + bias */
static void product(double *y, const double *x, const vx_weight *w, int m)
{
    float *matrix = malloc((size_t)w->n * (size_t)w->k * sizeof *matrix);
    ck_assert_ptr_nonnull(matrix);
    if (vx_panel_form_of(w))
        unpack(matrix, w, 0, w->n, 0, w->k);
    else
        memcpy(matrix, w->data, (size_t)w->n * (size_t)w->k * sizeof *matrix);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < w->n; j++) {
            double sum = w->bias ? w->bias[j] : 0;
            for (int k = 0; k < w->k; k++)
                sum += x[i * w->k + k] * matrix[j * w->k + k];
            y[i * w->n + j] = sum;
        }
    free(matrix);
}

static void norm(double *y, const double *x, const float *w, const float *b, const vx_arch *a,
                 int m, int n)
{
    for (int i = 0; i < m; i++, x += n, y += n) {
        double mean = 0, var = 0;
        for (int j = 0; j < n && !a->rms; j++)
            mean += x[j] / n;
        for (int j = 0; j < n; j++)
            var += (x[j] - mean) * (x[j] - mean) / n;
        for (int j = 0; j < n; j++)
            y[j] = (x[j] - mean) / sqrt(var + (double)a->eps) * w[j] + (b ? b[j] : 0);
    }
}

/* Queries and keys in qkv [T,3A]. */
static void norm_qk(double *qkv, const vx_block_weights *w, const vx_arch *a)
{
    const int A = a->heads * a->head_width;
    for (int t = 0; t < vx_arch_tokens(a); t++, qkv += 3 * A)
        for (int at = 0; at < 2 * A && a->qk_norm; at += a->qk_norm)
            norm(qkv + at, qkv + at, at < A ? w->q_norm_w : w->k_norm_w,
                 at < A ? w->q_norm_b : w->k_norm_b, a, 1, a->qk_norm);
}

static double activation(vx_act act, double x)
{
    switch (act) {
    case VX_ACT_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case VX_ACT_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case VX_ACT_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case VX_ACT_RELU:
        return x > 0 ? x : 0;
    default:
        return x;
    }
}

static void embed(double *x, const vitx_context *c, const double *input, const nudge *n)
{
    const vx_arch *a = &c->arch;
    const vx_weights *w = c->weights;
    const int H = c->recipe.input_height, W = c->recipe.input_width, D = a->width;
    const int patch = a->channels * a->patch_height * a->patch_width;
    double *pixels = numbers((size_t)(a->channels * H * W)), *row = numbers((size_t)patch);
    memcpy(pixels, input, (size_t)(a->channels * H * W) * sizeof *pixels);
    push(n, PIXEL, 0, pixels);
    for (int i = 0; i < a->prefix * D; i++)
        x[i] = w->prefix[i];
    for (int p = 0; p < a->grid_height * a->grid_width; p++) {
        double *out = x + (a->prefix + p) * D;
        for (int i = 0; i < patch; i++) {
            const int ch = i / (a->patch_height * a->patch_width);
            const int y =
                i / a->patch_width % a->patch_height + p / a->grid_width * a->patch_height;
            const int q = i % a->patch_width + p % a->grid_width * a->patch_width;
            row[i] = pixels[(ch * H + y) * W + q];
        }
        product(out, row, &w->patch, 1);
        for (int late = 0; late <= a->pos_late; late++) {
            if (late)
                norm(out, out, w->norm_pre_w, w->norm_pre_b, a, 1, D);
            for (int d = 0; d < D && w->pos && late == a->pos_late; d++)
                out[d] += w->pos[p * D + d];
        }
    }
    if (w->norm_pre_w && !a->pos_late)
        norm(x, x, w->norm_pre_w, w->norm_pre_b, a, vx_arch_tokens(a), D);
    free(pixels);
    free(row);
}

/* What is added to a score: a number for the rows and columns that the key lies from the query. */
static double relative(const float *table, const vx_arch *a, int h, int query, int key)
{
    const int gh = a->grid_height, gw = a->grid_width, ways = (2 * gh - 1) * (2 * gw - 1);
    const int i = query - a->prefix, j = key - a->prefix;
    if (!table)
        return 0;
    table += h * (ways + 3);
    if (i < 0 || j < 0)
        return table[ways + (j >= 0 ? 0 : i >= 0 ? 1 : 2)];
    return table[(j / gw - i / gw + gh - 1) * (2 * gw - 1) + j % gw - i % gw + gw - 1];
}

/* Pair i of a query or key is turned by angle i of the table. */
static void rotate(double *qkv, const vitx_context *c, int l)
{
    const vx_arch *a = &c->arch;
    const int T = vx_arch_tokens(a), E = a->head_width, A = a->heads * E;
    const bool own = a->rotary.kind == VX_ROTATE_LEARNT;
    for (int t = a->prefix; t < T && c->rotations; t++)
        for (int h = 0; h < 2 * a->heads; h++)
            for (int i = 0; i < E / 2; i++) {
                const int patch = t - a->prefix, patches = T - a->prefix;
                const int row = own ? (l * patches + patch) * a->heads + h % a->heads : patch;
                const float *angle = c->rotations + row * E + i;
                double *x = qkv + t * 3 * A + h * E + (a->rotary.half ? i : 2 * i);
                double *y = x + (a->rotary.half ? E / 2 : 1);
                const double u = *x, v = *y, cosine = angle[0], sine = angle[E / 2];
                *x = u * cosine - v * sine;
                *y = u * sine + v * cosine;
            }
}

static void attend(double *out, const double *qkv, const vx_arch *a, const float *table, int l,
                   const nudge *n)
{
    const int T = vx_arch_tokens(a), E = a->head_width, A = a->heads * E;
    double *p = numbers((size_t)(a->heads * T * T));
    for (int h = 0; h < a->heads; h++)
        for (int i = 0; i < T; i++) {
            double *row = p + (h * T + i) * T, sum = 0;
            for (int j = 0; j < T; j++) {
                double score = 0;
                for (int e = 0; e < E; e++)
                    score += qkv[i * 3 * A + h * E + e] * qkv[j * 3 * A + A + h * E + e];
                sum += row[j] =
                    exp(score / sqrt(vx_arch_query_width(a)) + relative(table, a, h, i, j));
            }
            for (int j = 0; j < T; j++)
                row[j] /= sum;
        }
    push(n, ATTENTION, l, p);
    for (int i = 0; i < T; i++)
        for (int k = 0; k < A; k++) {
            double sum = 0;
            for (int j = 0; j < T; j++)
                sum += p[(k / E * T + i) * T + j] * qkv[j * 3 * A + 2 * A + k];
            out[i * A + k] = sum;
        }
    free(p);
}

static void block(double *x, const vitx_context *c, int l, const nudge *n)
{
    const vx_arch *a = &c->arch;
    const vx_block_weights *w = &c->weights->blocks[l];
    const int T = vx_arch_tokens(a), D = a->width, A = a->heads * a->head_width, F = vx_arch_fc1(a);
    const int O = vx_arch_attended(a);
    double *y = numbers((size_t)(T * (D > A ? D : A))), *wide = numbers((size_t)(T * (3 * A + F)));
    double *out = numbers((size_t)(T * D));
    double *read = numbers((size_t)(T * D)); /* by the attention */
    memcpy(y, x, (size_t)(T * D) * sizeof *y);
    if (!a->post_norm)
        norm(y, x, w->norm1_w, w->norm1_b, a, T, D);
    push(n, NORM1, l, y);
    memcpy(read, y, (size_t)(T * D) * sizeof *y);
    product(wide, y, &w->qkv, T);
    norm_qk(wide, w, a);
    rotate(wide, c, l);
    attend(y, wide, a, w->relative, l, n);
    for (int i = 0; i < T * O && a->differential; i++)
        y[i] = y[i / O * A + i % O] + y[i / O * A + O + i % O];
    vx_arch behind = *a;
    behind.rms = vx_arch_attn_rms(a);
    behind.eps = vx_arch_attn_eps(a);
    if (w->attn_norm_w)
        norm(y, y, w->attn_norm_w, w->attn_norm_b, &behind, T * O / a->attn_norm, a->attn_norm);
    product(out, y, &w->proj, T);
    if (a->post_norm)
        norm(out, out, w->norm1_w, w->norm1_b, a, T, D);
    for (int i = 0; i < T * D; i++)
        x[i] += out[i] * (w->ls1 ? w->ls1[i % D] : 1);
    memcpy(y, a->parallel ? read : x, (size_t)(T * D) * sizeof *y);
    if (!a->post_norm && !a->parallel)
        norm(y, x, w->norm2_w, w->norm2_b, a, T, D);
    product(wide, y, &w->fc1, T);
    for (int i = 0; i < T * F && !a->swiglu; i++)
        wide[i] = activation(a->act, wide[i]);
    for (int i = 0; i < T * a->hidden && a->swiglu; i++) {
        const double *row = wide + i / a->hidden * F + i % a->hidden; /* never before wide + i */
        wide[i] = row[0] / (1 + exp(-row[0])) * row[a->hidden];
    }
    if (w->mlp_norm_w)
        norm(wide, wide, w->mlp_norm_w, w->mlp_norm_b, a, T, a->hidden);
    product(out, wide, &w->fc2, T);
    if (a->post_norm)
        norm(out, out, w->norm2_w, w->norm2_b, a, T, D);
    for (int i = 0; i < T * D; i++)
        x[i] += out[i] * (w->ls2 ? w->ls2[i % D] : 1);
    push(n, OUTPUT, l, x);
    free(read);
    free(y);
    free(wide);
    free(out);
}

/* Attention of one query over tokens x [T,D], then a perceptron: pooled [D]. */
static void pool_map(double *pooled, const double *x, const vitx_context *c)
{
    const vx_arch *a = &c->arch;
    const vx_pool_weights *w = &c->weights->pool;
    const int T = vx_arch_tokens(a), D = a->width, E = D / a->pool_heads, F = a->pool_hidden;
    const int first = a->pool_first;
    double *kv = numbers((size_t)(T * 2 * D)), *p = numbers((size_t)T);
    double *sum = numbers((size_t)D), *y = numbers((size_t)D), *wide = numbers((size_t)F);
    product(kv, x, &w->kv, T);
    for (int h = 0; h < a->pool_heads; h++) {
        double total = 0;
        for (int t = first; t < T; t++) {
            double score = 0;
            for (int e = h * E; e < (h + 1) * E; e++)
                score += w->query[e] * kv[t * 2 * D + e];
            total += p[t] = exp(score / sqrt(E));
        }
        for (int t = first; t < T; t++)
            for (int e = h * E; e < (h + 1) * E; e++)
                sum[e] += p[t] / total * kv[t * 2 * D + D + e];
    }
    product(pooled, sum, &w->proj, 1);
    if (w->fc1.data) {
        norm(y, pooled, w->norm_w, w->norm_b, a, 1, D);
        product(wide, y, &w->fc1, 1);
        for (int i = 0; i < F; i++)
            wide[i] = activation(a->act, wide[i]);
        product(y, wide, &w->fc2, 1);
        for (int d = 0; d < D; d++)
            pooled[d] += y[d];
    }
    free(kv);
    free(p);
    free(sum);
    free(y);
    free(wide);
}

static void mean(double *out, const double *x, int first, int end, int width)
{
    for (int d = 0; d < width; d++) {
        out[d] = 0;
        for (int t = first; t < end; t++)
            out[d] += x[t * width + d] / (end - first);
    }
}

/* score of the answer to input [C,H,W]; the weights have to be readable. */
static double score_behind(const vitx_context *c, const double *input, vx_target target, nudge n)
{
    const vx_arch *a = &c->arch;
    const vx_weights *w = c->weights;
    const int T = vx_arch_tokens(a), D = a->width, K = a->classes;
    double *x = numbers((size_t)(T * D)), *pooled = numbers((size_t)(2 * D)),
           *z = numbers((size_t)K);
    embed(x, c, input, &n);
    for (int l = 0; l < a->depth; l++)
        block(x, c, l, &n);
    if (w->norm_w)
        norm(x, x, w->norm_w, w->norm_b, a, T, D);
    mean(pooled, x, a->pool == VX_POOL_AVG ? vx_arch_mean_first(a) : 0,
         a->pool == VX_POOL_AVG ? T : 1, D);
    if (a->pool == VX_POOL_MAP)
        pool_map(pooled, x, c);
    if (w->fc_norm_w)
        norm(pooled, pooled, w->fc_norm_w, w->fc_norm_b, a, 1, D);
    if (a->bare && a->pool == VX_POOL_TWO_TOKENS)
        mean(pooled, x, 0, 2, D);
    if (!a->bare && a->pool == VX_POOL_TWO_TOKENS) /* the second vector that the head reads */
        mean(pooled + D, x, 1, 2, D);
    if (a->pool == VX_POOL_TOKEN_AVG)
        mean(pooled + D, x, a->prefix, T, D);
    if (a->bare)
        memcpy(z, pooled, (size_t)K * sizeof *z);
    else
        product(z, pooled, &w->head, 1);
    double sum = 0, value = z[target.target];
    for (int k = 0; k < K; k++)
        sum += exp(z[k] - z[target.target]);
    if (target.score == VITX_SCORE_PROBABILITY)
        value = 1 / sum;
    if (target.score == VITX_SCORE_DIFFERENCE)
        value -= z[target.versus];
    free(x);
    free(pooled);
    free(z);
    return value;
}

static double score_of(const vitx_context *c, const double *input, vx_target target, nudge n)
{
    far_open();
    const double score = score_behind(c, input, target, n);
    far_close();
    return score;
}

/* ------------------------------------------------------------------ the backward pass ------ */

enum { BATCH = 2, TARGETS = 3 };
static const vx_target targets[TARGETS] = {
    {.score = VITX_SCORE_LOGIT, .target = 2, .versus = VITX_AUTO},
    {.score = VITX_SCORE_PROBABILITY, .target = 5, .versus = VITX_AUTO},
    {.score = VITX_SCORE_DIFFERENCE, .target = 0, .versus = 6}};

/* An embedding has no probabilities. */
static vx_target target_of(const vitx_context *c, int t)
{
    vx_target out = targets[t];
    if (c->arch.units && out.score == VITX_SCORE_PROBABILITY)
        out.score = VITX_SCORE_LOGIT;
    return out;
}

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    double *input; /* [BATCH,C,H,W] */
    size_t input_count;
} bench;

static bench open_bench(const char *folder, const char *device, vitx_gradients gradients)
{
    char path[80];
    bench b;
    rng r = {7};
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "test/golden/models/%s", folder);
    ck_ok(vitx_model_open(&b.model, path, NULL));
    opts.device = device;
    opts.threads = 2;
    opts.max_batch = BATCH;
    opts.gradients = gradients;
    ck_ok(vitx_context_create(&b.c, b.model, &opts));
    b.input_count = vx_context_input_count(b.c);
    b.input = numbers(BATCH * b.input_count);
    for (size_t i = 0; i < BATCH * b.input_count; i++)
        b.input[i] = (double)(b.c->act.host.input[i] = rng_normal(&r));
    return b;
}

static void close_bench(bench *b)
{
    vitx_context_free(b->c);
    vitx_model_free(b->model);
    free(b->input);
}

/* Everything that a plan can hold of gradients. */
static void need_everything(vx_plan *plan)
{
    vx_plan_clear(plan);
    plan->targets = TARGETS;
    plan->pixels = true;
    vx_plan_need_dattention(plan, 0, plan->depth - 1, VX_DKEEP_ALL, VX_PRODUCT_RELU_MEAN);
    for (int l = 0; l < plan->depth; l++)
        for (int at = VX_AT_NORM1; at <= VX_AT_OUTPUT; at++)
            vx_plan_need_dtokens(plan, l, (vx_at)at);
}

static void run_pass(bench *b, vx_plan *plan)
{
    vitx_context *c = b->c;
    const size_t k = (size_t)c->arch.classes;
    const vx_pass pass = {.act = &c->act, .plan = plan, .batch = BATCH};
    float *seeds = calloc(BATCH * TARGETS * k, sizeof *seeds);
    ck_ok(vx_context_place(c, plan, &c->trace, BATCH));
    c->dev->cls->upload(c->dev, c->act.input, c->act.host.input,
                        BATCH * b->input_count * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_pass_forward(c, &pass));
    ck_ok(vx_context_answers(c, &c->act, BATCH));
    for (size_t i = 0; i < BATCH; i++)
        for (size_t t = 0; t < TARGETS; t++)
            vx_target_cotangent(seeds + (i * TARGETS + t) * k, target_of(c, (int)t),
                                c->act.host.logits + i * k, c->act.host.probabilities + i * k,
                                (int)k);
    c->dev->cls->upload(c->dev, plan->dlogits, seeds, BATCH * TARGETS * k * sizeof *seeds);
    ck_ok(vx_pass_backward(c, &pass));
    ck_ok(vx_context_sync(c));
    free(seeds);
}

/* Where a gradient lies in the plan, and how many values one has. */
static const float *gradient_at(const vitx_context *c, const vx_plan *plan, place where, int l,
                                size_t *count)
{
    const vx_arch *a = &c->arch;
    const size_t t = (size_t)vx_arch_tokens(a);
    const vx_block_plan *b = &plan->blocks[l];
    *count = where == PIXEL       ? vx_context_input_count(c)
             : where == ATTENTION ? (size_t)a->heads * t * t
                                  : t * (size_t)a->width;
    return where == PIXEL       ? plan->dinput
           : where == ATTENTION ? b->dattention
                                : b->dtokens[where == NORM1 ? VX_AT_NORM1 : VX_AT_OUTPUT];
}

/* Some values of one gradient against central differences; the scale is its largest value. */
static void check_gradient(const bench *b, const vx_plan *plan, place where, int l, rng *r,
                           const char *folder)
{
    enum { SAMPLES = SANITIZED ? 1 : 8 }; /* most of the time is the test's own arithmetic */
    const double step = 1e-6;              /* small beside the distance to a kink of relu */
    vitx_context *c = b->c;
    size_t count;
    const float *all = gradient_at(c, plan, where, l, &count);
    float *one = malloc(count * sizeof *one);
    for (int picture = 0; picture < BATCH; picture++)
        for (int t = 0; t < TARGETS; t++) {
            double largest = 0;
            ck_ok(vx_context_read(c, one, all + (size_t)(picture * TARGETS + t) * count,
                                  count * sizeof *one));
            for (size_t i = 0; i < count; i++)
                largest = fmax(largest, fabs((double)one[i]));
            for (int s = 0; s < SAMPLES; s++) {
                nudge n = {where, l, (size_t)rng_next(r) % count, step};
                if (s < 4 && where != PIXEL) /* the class token's row, which most goes through */
                    n.index = (size_t)rng_next(r) % (size_t)c->arch.width;
                const double *x = b->input + (size_t)picture * b->input_count;
                const double up = score_of(c, x, target_of(c, t), n);
                n.by = -step;
                const double expected = (up - score_of(c, x, target_of(c, t), n)) / (2 * step);
                ck_assert_msg(fabs((double)one[n.index] - expected) <=
                                  TOL_GRADIENT * largest + 1e-9,
                              "%s: place %d block %d picture %d target %d [%zu]: %g, expected %g "
                              "(largest %g)",
                              folder, (int)where, l, picture, t, n.index, (double)one[n.index],
                              expected, largest);
            }
        }
    free(one);
}

START_TEST(test_backward__is_the_slope_of_a_forward_in_double)
{
    static const vitx_gradients how[] = {VITX_GRADIENTS_KEEP, VITX_GRADIENTS_RECOMPUTE};
    const char *folder = folders[_i / 4];
    bench b = open_bench(folder, _i % 2 ? "cpu" : "ref", how[_i / 2 % 2]);
    rng r = {5};
    vx_plan *plan = &b.c->need;
    need_everything(plan);
    run_pass(&b, plan);
    /* The forward in double is the same function. */
    const nudge none = {NOWHERE, 0, 0, 0};
    for (int t = 0; t < TARGETS; t++)
        ck_assert_double_eq_tol(
            score_of(b.c, b.input, target_of(b.c, t), none),
            vx_target_value(target_of(b.c, t), b.c->act.host.logits, b.c->act.host.probabilities),
            1e-4);
    check_gradient(&b, plan, PIXEL, 0, &r, folder);
    for (int l = 0; l < plan->depth; l++) {
        check_gradient(&b, plan, NORM1, l, &r, folder);
        check_gradient(&b, plan, OUTPUT, l, &r, folder);
        check_gradient(&b, plan, ATTENTION, l, &r, folder);
    }
    close_bench(&b);
}
END_TEST

/* One need alone gives what it gives among all others: where the pass stops changes nothing. */
START_TEST(test_backward__stops_where_the_need_stops)
{
    bench b = open_bench(folders[_i], "cpu", VITX_GRADIENTS_AUTO);
    vitx_context *c = b.c;
    const int depth = c->arch.depth;
    vx_plan all;
    vx_block trace = c->trace;
    ck_ok(vx_plan_create(&all, &c->arch, &c->hooks));
    need_everything(&all);
    run_pass(&b, &all);
    trace = c->trace; /* kept while the others run in memory of their own */
    c->trace = (vx_block){0};
    for (int where = NORM1; where <= ATTENTION; where++)
        for (int l = 0; l < depth; l++) {
            size_t count;
            vx_plan *plan = &c->need;
            vx_plan_clear(plan);
            plan->targets = TARGETS;
            if (where == ATTENTION)
                vx_plan_need_dattention(plan, l, l, VX_DKEEP_ALL, VX_PRODUCT_RELU_MEAN);
            else
                vx_plan_need_dtokens(plan, l, where == NORM1 ? VX_AT_NORM1 : VX_AT_OUTPUT);
            run_pass(&b, plan);
            ck_assert_int_eq(plan->lowest, where == OUTPUT ? l + 1 : l);
            const float *one = gradient_at(c, plan, (place)where, l, &count);
            const float *whole = gradient_at(c, &all, (place)where, l, &count);
            ck_assert_double_lt(max_error_ff(one, whole, BATCH * TARGETS * count), TOL_KERNEL);
        }
    c->dev->cls->mem_free(trace.memory, &c->env);
    vx_plan_dispose(&all, &c->hooks);
    close_bench(&b);
}
END_TEST

/* The product kept instead of the gradient is the product of what is kept whole. */
START_TEST(test_backward__keeps_products)
{
    bench b = open_bench("vit-timm", _i ? "cpu" : "ref", VITX_GRADIENTS_AUTO);
    vitx_context *c = b.c;
    const int depth = c->arch.depth, heads = c->arch.heads, t = vx_arch_tokens(&c->arch);
    const size_t tt = (size_t)(t * t);
    for (int kind = 0; kind < 2; kind++) {
        vx_plan *plan = &c->need;
        float *expected = malloc(BATCH * TARGETS * tt * sizeof *expected);
        float *found = malloc(BATCH * TARGETS * tt * sizeof *found);
        float *space = c->dev->cls->mem_alloc(BATCH * TARGETS * tt * sizeof *space, &c->env);
        for (int l = 0; l < depth; l++) {
            vx_plan_clear(plan);
            plan->targets = TARGETS;
            vx_plan_need_dattention(plan, l, l, VX_DKEEP_ALL, (vx_product)kind);
            run_pass(&b, plan);
            c->dev->ops.attn_product(c->dev, &(vx_attn_product){.out = space,
                                                                .p = plan->attention[l].data,
                                                                .dp = plan->blocks[l].dattention,
                                                                .kind = (vx_product)kind,
                                                                .head = -1,
                                                                .batch = BATCH,
                                                                .targets = TARGETS,
                                                                .heads = heads,
                                                                .tokens = t});
            ck_ok(vx_context_read(c, expected, space, BATCH * TARGETS * tt * sizeof *space));
            vx_plan_clear(plan);
            plan->targets = TARGETS;
            vx_plan_need_dattention(plan, l, l, VX_DKEEP_PRODUCT, (vx_product)kind);
            run_pass(&b, plan);
            ck_ok(vx_context_read(c, found, plan->blocks[l].dattention,
                                  BATCH * TARGETS * tt * sizeof *found));
            ck_assert_double_lt(max_error_ff(found, expected, BATCH * TARGETS * tt), 1e-6);
        }
        c->dev->cls->mem_free(space, &c->env);
        free(expected);
        free(found);
    }
    close_bench(&b);
}
END_TEST

/* A view's values as the plan of another context has them. */
static void check_view(const vitx_view *view, const bench *b, const float *expected, int64_t first)
{
    vitx_context *c = b->c;
    size_t count = 1;
    for (int axis = 0; axis < view->rank; axis++)
        count *= (size_t)view->shape[axis];
    ck_assert_int_eq(view->shape[0], first);
    ck_assert_int_eq(view->dtype, VITX_F32);
    ck_assert_int_eq(view->stride[view->rank - 1], 1);
    float *host = malloc(count * sizeof *host);
    ck_ok(vx_context_read(c, host, expected, count * sizeof *host));
    ck_assert_double_lt(max_error_ff(view->data, host, count), 1e-6);
    free(host);
}

/* The public face gives what the plan holds, on devices that the host can and cannot read. */
START_TEST(test_backward__views)
{
    const char *device = _i ? "cpu" : "ref";
    bench b = open_bench("vit-timm", device, VITX_GRADIENTS_AUTO),
          other = open_bench("vit-timm", device, VITX_GRADIENTS_AUTO);
    vitx_context *c = b.c;
    const int k = c->arch.classes, depth = c->arch.depth;
    const int n = BATCH * TARGETS;
    vitx_image *image;
    vitx_view view;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    float *seeds = calloc((size_t)(n * k), sizeof *seeds);
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    const vitx_image *const images[BATCH] = {image, image};
    ck_ok(vitx_forward(c, images, BATCH));
    ck_fails(vitx_backward(c, seeds), VITX_INVALID, "did not ask for gradients");
    trace.gradients = VITX_GRADIENT_ANY;
    ck_fails(vitx_context_set_trace(c, &trace), VITX_INVALID, "targets = 0");
    trace.targets = TARGETS;
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_fails(vitx_backward(c, seeds), VITX_INVALID, "nothing to view");
    ck_ok(vitx_forward(c, images, BATCH));
    ck_fails(vitx_input_gradient(&view, c), VITX_INVALID, "vitx_backward has not run");
    for (int i = 0; i < BATCH; i++)
        for (int t = 0; t < TARGETS; t++)
            vx_target_cotangent(seeds + (i * TARGETS + t) * k, target_of(c, (int)t),
                                c->act.host.logits + i * k, c->act.host.probabilities + i * k, k);
    seeds[0] = NAN;
    ck_fails(vitx_backward(c, seeds), VITX_INVALID, "dlogits[0]");
    seeds[0] = 0;
    ck_ok(vitx_backward(c, seeds));

    memcpy(other.c->act.host.input, c->act.host.input, BATCH * b.input_count * sizeof(float));
    vx_plan *plan = &other.c->need;
    need_everything(plan);
    run_pass(&other, plan);
    ck_ok(vitx_input_gradient(&view, c));
    check_view(&view, &other, plan->dinput, n);
    for (int l = 0; l < depth; l++) {
        ck_ok(vitx_attention_gradient(&view, c, l));
        ck_assert_int_eq(view.shape[1], c->arch.heads);
        check_view(&view, &other, plan->blocks[l].dattention, n);
        for (int at = VX_AT_NORM1; at <= VX_AT_OUTPUT; at++) {
            ck_ok(vitx_tokens_gradient(&view, c, l, (vitx_tokens_at)at));
            ck_assert_int_eq(view.rank, 3);
            check_view(&view, &other, plan->blocks[l].dtokens[at], n);
            ck_ok(vitx_tokens(&view, c, l, (vitx_tokens_at)at));
            ck_assert_int_eq(view.shape[0], BATCH);
        }
    }
    ck_fails(vitx_attention_gradient(&view, c, depth), VITX_INVALID, "out of range");
    ck_fails(vitx_tokens(&view, c, 0, (vitx_tokens_at)2), VITX_INVALID, "at = 2");
    free(seeds);
    vitx_image_free(image);
    close_bench(&b);
    close_bench(&other);
}
END_TEST

/* Tokens alone are those that stand beside their gradients, for the last block's patches, too. */
START_TEST(test_tokens__without_gradients)
{
    vitx_model *model;
    vitx_context *plain, *full;
    vitx_image *image;
    vitx_trace_opts alone = VITX_TRACE_OPTS_INIT, beside = VITX_TRACE_OPTS_INIT;
    vitx_view a, b;
    const int layer = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    ck_ok(vitx_context_create(&plain, model, NULL));
    ck_ok(vitx_context_create(&full, model, NULL));
    const vitx_image *const images[] = {image};
    alone.tokens = 4;
    ck_fails(vitx_context_set_trace(plain, &alone), VITX_INVALID, "tokens = 4");
    alone.tokens = 1 << VITX_AT_NORM1 | 1 << VITX_AT_OUTPUT;
    beside.gradients = VITX_GRADIENT_NORM1 | VITX_GRADIENT_OUTPUT;
    beside.targets = 1;
    ck_ok(vitx_context_set_trace(plain, &alone));
    ck_ok(vitx_context_set_trace(full, &beside));
    ck_ok(vitx_forward(plain, images, 1));
    ck_ok(vitx_forward(full, images, 1));
    for (int l = 0; l < full->arch.depth; l++)
        for (int at = VITX_AT_NORM1; at <= VITX_AT_OUTPUT; at++) {
            ck_ok(vitx_tokens(&a, plain, l, (vitx_tokens_at)at));
            ck_ok(vitx_tokens(&b, full, l, (vitx_tokens_at)at));
            ck_assert_int_eq(a.rank, 3);
            const size_t count = (size_t)(a.shape[0] * a.shape[1] * a.shape[2]);
            ck_assert_double_le(max_error_ff(a.data, b.data, count), TOL_KERNEL);
        }
    alone.layers = &layer;
    alone.layer_count = 1;
    alone.tokens = 1 << VITX_AT_OUTPUT;
    ck_ok(vitx_context_set_trace(plain, &alone));
    ck_ok(vitx_forward(plain, images, 1));
    ck_ok(vitx_tokens(&a, plain, layer, VITX_AT_OUTPUT));
    ck_fails(vitx_tokens(&a, plain, layer, VITX_AT_NORM1), VITX_INVALID, "the tokens");
    ck_fails(vitx_tokens(&a, plain, 0, VITX_AT_OUTPUT), VITX_INVALID, "the tokens");
    vitx_image_free(image);
    vitx_context_free(plain);
    vitx_context_free(full);
    vitx_model_free(model);
}
END_TEST

/* The bytes told beforehand are those taken; a budget between the two ways makes it recompute, and
 * then there is no room for turned weights. */
START_TEST(test_backward__bytes)
{
    vitx_model *model;
    vitx_context *c;
    size_t keep = 0, again = 0, bytes, turned;
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_image *image;
    vitx_map *maps[2];
    opts.method = "generic";
    o.threads = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    for (int how = 0; how < 4; how++) { /* keep, recompute, auto with little, too little */
        o.gradients = how == 0   ? VITX_GRADIENTS_KEEP
                      : how == 1 ? VITX_GRADIENTS_RECOMPUTE
                                 : VITX_GRADIENTS_AUTO;
        o.trace_budget = how == 2 ? again : how == 3 ? again - 1 : 0;
        ck_ok(vitx_context_create(&c, model, &o));
        ck_ok(vitx_explain_bytes(&bytes, c, &opts, 1));
        turned = how < 2 ? vx_weights_turned_bytes(c->weights, c->arch.depth, 0) : 0;
        bytes -= turned;
        *(how == 0 ? &keep : how == 1 ? &again : &bytes) = bytes;
        if (how == 3) {
            ck_fails(vitx_explain(&maps[1], c, image, &opts), VITX_NOMEM, "the budget is");
            ck_assert_ptr_null(maps[1]);
        } else {
            ck_ok(vitx_explain(&maps[how > 0], c, image, &opts));
            ck_ok(vitx_context_get_info(&info, c));
            ck_assert_uint_eq(info.trace_bytes, bytes);
            ck_assert_uint_eq(info.weight_bytes, c->weights->bytes + turned);
        }
        if (how == 2)
            ck_assert_uint_eq(bytes, again);
        if (how == 1)
            ck_assert_uint_lt(again, keep);
        if (how == 1 || how == 2) {
            ck_assert_double_lt(
                max_error_ff(vitx_map_values(maps[1]), vitx_map_values(maps[0]), 25), 1e-6);
            vitx_map_free(maps[1]);
        }
        vitx_context_free(c);
    }
    vitx_map_free(maps[0]);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

static Suite *backward_suite(void)
{
    Suite *suite = suite_create("backward");
    TCase *tcase = tcase_create("backward");
    tcase_add_loop_test(tcase, test_backward__is_the_slope_of_a_forward_in_double, 0, 4 * FOLDERS);
    tcase_add_loop_test(tcase, test_backward__stops_where_the_need_stops, 0, FOLDERS);
    tcase_add_loop_test(tcase, test_backward__keeps_products, 0, 2);
    tcase_add_loop_test(tcase, test_backward__views, 0, 2);
    tcase_add_test(tcase, test_backward__bytes);
    tcase_add_test(tcase, test_tokens__without_gradients);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(backward_suite)
