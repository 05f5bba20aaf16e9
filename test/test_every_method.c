/*
 * test_every_method.c: every method of the table on every golden model: what has to hold of any
 * map, and of each method an identity of its own, its formula where there is one, in double on the
 * attention that the model's own library recorded (attention_<i>.npy) and on gradients. How many
 * tokens lie before the patches is counted from those files.
 *
 * A new method fails here until it has a row in `methods`. That scorecam and ablationcam are their
 * formulas is for test_cams.c, on every model, too. VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/run.h"
#include "engine/variants.h"
#include "explain/method.h"
#include "explain/explain.h"
#include "util.h"

static char folders[MOST_MODELS][128];
static int folder_count;

enum { TARGET = 2, MOST_OUTPUTS = 64 };

/* ------------------------------------------------------------------ a model and what is known of
 * it */

/* Of picture 0. H heads, T tokens, P patches, D width. */
typedef struct truth {
    int depth, heads, tokens, patches, prefix, width, outputs;
    int read; /* heads of the attention that the answer reads: a pooling head's, or H */
    vx_pool_kind pool;
    double *attention,
        *pooling; /* [L,H,T,T] and [read,T] of the library; pooling NULL: no such head */
    double *logits, *gradient; /* [K], [3,H,W], the latter of sum_k cos(k) answer_k */
    double *input;             /* [3,H,W] */
    int pixels;                /* 3 H W */
    /* By the engine, of one score: */
    float *dattention, *dpooling, *a, *g, *dinput;
} truth;

typedef struct scene {
    const char *folder;
    vitx_model *model;
    vitx_context *pair, *single; /* of two pictures at once; of one */
    vitx_image *images[2];
    truth t;
} scene;

static double *golden(const scene *s, const char *name, size_t count)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    npy array = read_npy(path);
    ck_assert_uint_ge(array.count, count); /* the first picture's */
    return array.data;
}

static vitx_context *context_of(vitx_model *model, int threads, int batch)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.threads = threads;
    o.max_batch = batch;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

/* T is told by the recorded attention, P by the picture. */
static void read_truth(scene *s)
{
    const vx_arch *a = &s->single->arch;
    truth *t = &s->t;
    char path[200], name[32];
    snprintf(path, sizeof path, "%s/attention_0.npy", s->folder);
    npy first = read_npy(path);
    snprintf(path, sizeof path, "%s/input.npy", s->folder);
    npy input = read_npy(path);
    const size_t h = input.shape[2], w = input.shape[3];
    *t = (truth){.depth = a->depth, .width = a->width, .outputs = a->classes, .pool = a->pool};
    t->heads = (int)first.shape[1];
    t->read = a->pool == VX_POOL_MAP ? a->pool_heads : t->heads;
    t->tokens = (int)first.shape[2];
    t->patches = (int)(h / (size_t)a->patch_height * (w / (size_t)a->patch_width));
    t->prefix = t->tokens - t->patches;
    t->pixels = (int)(3 * h * w);
    t->input = input.data;
    const size_t block = (size_t)(t->heads * t->tokens * t->tokens);
    t->attention = malloc((size_t)t->depth * block * sizeof *t->attention);
    for (int l = 0; l < t->depth; l++) {
        snprintf(name, sizeof name, "attention_%d.npy", l);
        double *one = golden(s, name, block);
        memcpy(t->attention + (size_t)l * block, one, block * sizeof *one);
        free(one);
    }
    if (t->pool == VX_POOL_MAP)
        t->pooling = golden(s, "attention_pool.npy", (size_t)(t->read * t->tokens));
    t->logits = golden(s, "logits.npy", (size_t)t->outputs);
    t->gradient = golden(s, "gradient.npy", (size_t)t->pixels);
    free_npy(&first);
}

static scene open_scene(const char *folder)
{
    scene s = {.folder = folder};
    rng r = {11};
    uint8_t rgb[3 * 45 * 50];
    ck_ok(vitx_model_open(&s.model, folder, NULL));
    s.pair = context_of(s.model, 1, 2);
    s.single = context_of(s.model, 1, 1);
    ck_ok(vitx_image_open(&s.images[0], golden_path("models/picture.png")));
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&s.images[1], rgb, 45, 50, 0, NULL));
    read_truth(&s);
    return s;
}

static void close_scene(scene *s)
{
    truth *t = &s->t;
    double *const doubles[] = {t->attention, t->pooling, t->logits, t->gradient, t->input};
    float *const floats[] = {t->dattention, t->dpooling, t->a, t->g, t->dinput};
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
        free(doubles[i]);
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        free(floats[i]);
    vitx_image_free(s->images[0]);
    vitx_image_free(s->images[1]);
    vitx_context_free(s->pair);
    vitx_context_free(s->single);
    vitx_model_free(s->model);
}

/* ------------------------------------------------------------------ scores ----------------- */

static float direction[MOST_OUTPUTS]; /* cos(k), as gradient.npy has it */

/* A score of outputs z, and its gradient by them. */
static double score_of(vitx_score score, const double *z, int k, double *dz)
{
    double sum = 0, length = 0, dot = 0, largest = z[0];
    for (int i = 0; i < k; i++) {
        largest = fmax(largest, z[i]);
        length += z[i] * z[i];
        dot += z[i] * (double)direction[i];
    }
    if (score == VITX_SCORE_COSINE) {
        double norm = 0;
        for (int i = 0; i < k; i++)
            norm += (double)direction[i] * (double)direction[i];
        norm = sqrt(norm * length);
        for (int i = 0; i < k; i++)
            dz[i] = (double)direction[i] / norm - dot / norm * z[i] / length;
        return dot / norm;
    }
    for (int i = 0; i < k; i++)
        sum += exp(z[i] - largest);
    const double p = exp(z[TARGET] - largest) / sum;
    for (int i = 0; i < k; i++)
        dz[i] = score == VITX_SCORE_DOT     ? (double)direction[i]
                : score == VITX_SCORE_LOGIT ? i == TARGET
                                            : p * ((i == TARGET) - exp(z[i] - largest) / sum);
    return score == VITX_SCORE_DOT ? dot : score == VITX_SCORE_LOGIT ? z[TARGET] : p;
}

static double score_of_floats(vitx_score score, const float *z, int k)
{
    double wide[MOST_OUTPUTS], ignored[MOST_OUTPUTS];
    for (int i = 0; i < k; i++)
        wide[i] = z[i];
    return score_of(score, wide, k, ignored);
}

static vitx_explain_opts ask(const scene *s, const char *method, vitx_score score)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    const bool vector = score == VITX_SCORE_COSINE || score == VITX_SCORE_DOT;
    o.method = method;
    o.score = score;
    o.target = vector ? VITX_AUTO : TARGET;
    o.vector = vector ? direction : NULL;
    o.vector_count = vector ? s->t.outputs : 0;
    return o;
}

static float *fetch(vitx_context *c, const float *from, int count)
{
    float *out = malloc((size_t)count * sizeof *out);
    ck_ok(vx_context_read(c, out, from, (size_t)count * sizeof *out));
    return out;
}

static void seed(vitx_context *c, float *to, const double *dz, int k)
{
    float seeds[MOST_OUTPUTS];
    for (int i = 0; i < k; i++)
        seeds[i] = (float)dz[i];
    c->dev->cls->upload(c->dev, to, seeds, (size_t)k * sizeof *seeds);
    ck_ok(vx_context_sync(c));
}

/* What the backward pass of the score leaves behind; `a` and `g` of the last block's first norm. */
static void differentiate(scene *s, vitx_score score)
{
    truth *t = &s->t;
    vitx_context *c = s->single;
    vx_plan *plan = &c->need;
    const int last = t->depth - 1, block = t->heads * t->tokens * t->tokens;
    double dz[MOST_OUTPUTS];
    vx_plan_clear(plan);
    plan->targets = 1;
    plan->pixels = true;
    vx_plan_need_dattention(plan, 0, last, VX_DKEEP_ALL, VX_PRODUCT_RELU_MEAN);
    vx_plan_need_tokens(plan, last, VX_AT_NORM1);
    vx_plan_need_dtokens(plan, last, VX_AT_NORM1);
    if (t->pooling)
        vx_plan_need_pool(plan, true);
    vx_context_begin(c, 1000000);
    ck_ok(vx_context_run(c, (const vitx_image *const[]){s->images[0]}, 1, 0, plan));
    score_of(score, t->logits, t->outputs, dz);
    seed(c, plan->dlogits, dz, t->outputs);
    ck_ok(vx_pass_backward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = 1}));
    t->dattention = malloc((size_t)(t->depth * block) * sizeof(float));
    for (int l = 0; l <= last; l++) {
        float *one = fetch(c, plan->blocks[l].dattention, block);
        memcpy(t->dattention + (size_t)l * (size_t)block, one, (size_t)block * sizeof *one);
        free(one);
    }
    t->dpooling = t->pooling ? fetch(c, plan->pool_dp, t->read * t->tokens) : NULL;
    t->a = fetch(c, plan->blocks[last].tokens[VX_AT_NORM1], t->tokens * t->width);
    t->g = fetch(c, plan->blocks[last].dtokens[VX_AT_NORM1], t->tokens * t->width);
    t->dinput = fetch(c, plan->dinput, t->pixels);
}

/* The score of another input; `x` is [3,H,W]. */
static double score_at(const scene *s, const float *x, vitx_score score)
{
    vitx_context *c = s->single;
    ck_ok(vx_variants_reserve(c, 1, 0, NULL));
    memcpy(vx_variants_input(c, 0), x, (size_t)s->t.pixels * sizeof *x);
    vx_context_begin(c, 1000000);
    ck_ok(vx_variants_run(c, 1));
    return score_of_floats(score, c->variants.act.host.logits, s->t.outputs);
}

/* ------------------------------------------------------------------ formulas --------------- */

/* What row is explained, as weights of the tokens' rows. */
static void query(double *row, const truth *t)
{
    for (int i = 0; i < t->tokens; i++)
        row[i] = t->pool == VX_POOL_AVG          ? (i >= t->prefix) / (double)t->patches
                 : t->pool == VX_POOL_TWO_TOKENS ? (i < 2) * 0.5
                                                 : i == 0;
}

/* The query's row in each head of block l, rows [H,T]: attention, or its gradient. */
static void rows_of(double *rows, const truth *t, int l, bool gradient)
{
    const int n = t->tokens;
    double weights[256];
    ck_assert_int_le(n, 256);
    if (t->pooling) {
        for (int i = 0; i < t->read * n; i++)
            rows[i] = gradient ? (double)t->dpooling[i] : t->pooling[i];
        return;
    }
    query(weights, t);
    for (int h = 0; h < t->heads; h++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < n; i++) {
                const size_t at = (size_t)(((l * t->heads + h) * n + i) * n + j);
                sum += weights[i] * (gradient ? (double)t->dattention[at] : t->attention[at]);
            }
            rows[h * n + j] = sum;
        }
}

enum { PLAIN, RELU_MEAN, MEAN_RELU };

/* Of heads of attention A, and gradient G, `count` numbers each: one matrix or row. */
static void combine(double *out, const double *a, const float *g, int heads, int count, int kind)
{
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int h = 0; h < heads; h++) {
            const double v = a[h * count + i] * (kind == PLAIN ? 1 : (double)g[h * count + i]);
            sum += kind == RELU_MEAN ? fmax(v, 0) : v;
        }
        out[i] = kind == MEAN_RELU ? fmax(sum, 0) / heads : sum / heads;
    }
}

static void normalise(double *row, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += row[i];
    for (int i = 0; i < n && sum > 0; i++)
        row[i] /= sum;
}

/* The row through all blocks, the last one first. */
static void rolled(double *out, const truth *t, int kind)
{
    const int n = t->tokens, block = t->heads * n * n;
    double *m = malloc((size_t)(n * n) * sizeof *m), *row = calloc((size_t)n, sizeof *row),
           *next = malloc((size_t)n * sizeof *next);
    if (t->pooling)
        combine(row, t->pooling, t->dpooling, t->read, n, kind);
    else
        query(row, t);
    if (t->pooling && kind == MEAN_RELU)
        normalise(row, n);
    for (int l = t->depth - 1; l >= 0; l--) {
        combine(m, t->attention + (size_t)(l * block), t->dattention + (size_t)(l * block),
                t->heads, n * n, kind);
        memset(next, 0, (size_t)n * sizeof *next);
        for (int i = 0; i < n; i++) {
            m[i * n + i] += 1;
            if (kind != RELU_MEAN)
                normalise(m + i * n, n);
            for (int j = 0; j < n; j++)
                next[j] += row[i] * m[i * n + j];
        }
        memcpy(row, next, (size_t)n * sizeof *row);
    }
    memcpy(out, row + t->prefix, (size_t)t->patches * sizeof *out);
    free(m);
    free(row);
    free(next);
}

static void attention(double *out, const truth *t)
{
    double *rows = malloc((size_t)(t->read * t->tokens) * sizeof *rows);
    rows_of(rows, t, t->depth - 1, false);
    for (int p = 0; p < t->patches; p++) {
        out[p] = 0;
        for (int h = 0; h < t->read; h++)
            out[p] += rows[h * t->tokens + t->prefix + p] / t->read;
    }
    free(rows);
}

static void rollout(double *out, const truth *t)
{
    rolled(out, t, PLAIN);
}

static void generic(double *out, const truth *t)
{
    rolled(out, t, RELU_MEAN);
}

static void grad_rollout(double *out, const truth *t)
{
    rolled(out, t, MEAN_RELU);
}

static void attn_gradcam(double *out, const truth *t)
{
    const int n = t->tokens;
    double *a = malloc((size_t)(2 * t->read * n) * sizeof *a), *g = a + t->read * n;
    rows_of(a, t, t->depth - 1, false);
    rows_of(g, t, t->depth - 1, true);
    memset(out, 0, (size_t)t->patches * sizeof *out);
    for (int h = 0; h < t->read; h++) {
        double w = 0;
        for (int p = 0; p < t->patches; p++)
            w += g[h * n + t->prefix + p] / t->patches;
        for (int p = 0; p < t->patches; p++)
            out[p] += w * a[h * n + t->prefix + p] / t->read;
    }
    free(a);
}

enum { GRADCAM, PLUSPLUS, XGRAD, HIRES, ELEMENTWISE, LAYER };

/* The weight of channel c. */
static double channel(const truth *t, int c, int kind)
{
    double sum = 0, w = 0;
    for (int p = t->prefix; p < t->tokens; p++)
        sum += (double)t->a[p * t->width + c];
    for (int p = t->prefix; p < t->tokens; p++) {
        const double a = t->a[p * t->width + c], g = t->g[p * t->width + c];
        if (kind == GRADCAM)
            w += g / t->patches;
        else if (kind == XGRAD)
            w += g * a / (sum + 1e-7);
        else if (g > 0)
            w += g * (g * g / (2 * g * g + sum * g * g * g + 1e-6));
    }
    return w;
}

static void cam(double *out, const truth *t, int kind)
{
    memset(out, 0, (size_t)t->patches * sizeof *out);
    for (int c = 0; c < t->width; c++) {
        const double w = kind <= XGRAD ? channel(t, c, kind) : 0;
        for (int p = 0; p < t->patches; p++) {
            const int at = (t->prefix + p) * t->width + c;
            const double a = t->a[at], g = t->g[at];
            out[p] += kind <= XGRAD   ? w * a
                      : kind == HIRES ? g * a
                      : kind == LAYER ? fmax(g, 0) * a
                                      : fmax(g * a, 0);
        }
    }
}

#define CAM(name, kind)                                                                            \
    static void name(double *out, const truth *t)                                                  \
    {                                                                                              \
        cam(out, t, kind);                                                                         \
    }
CAM(gradcam, GRADCAM)
CAM(gradcam_plusplus, PLUSPLUS)
CAM(xgradcam, XGRAD)
CAM(hirescam, HIRES)
CAM(elementwise, ELEMENTWISE)
CAM(layercam, LAYER)

static void saliency(double *out, const truth *t)
{
    const int n = t->pixels / 3;
    for (int i = 0; i < n; i++)
        out[i] = fmax(fabs((double)t->dinput[i]),
                      fmax(fabs((double)t->dinput[n + i]), fabs((double)t->dinput[2 * n + i])));
}

static void input_x_grad(double *out, const truth *t)
{
    const int n = t->pixels / 3;
    for (int i = 0; i < n; i++) {
        out[i] = 0;
        for (int c = 0; c < 3; c++)
            out[i] += t->input[c * n + i] * (double)t->dinput[c * n + i];
    }
}

/* ------------------------------------------------------------------ other identities ------- */

/* What a check may look at: the map of o on picture 0 by the context for one. */
typedef struct found {
    const scene *s;
    const vitx_explain_opts *o;
    const vitx_map *map;
    vitx_map_info info;
    const float *values;
    size_t count;
} found;

static void look(found *f, const scene *s, const vitx_explain_opts *o, const vitx_map *map)
{
    *f = (found){.s = s, .o = o, .map = map, .info = VITX_MAP_INFO_INIT};
    ck_ok(vitx_map_get_info(&f->info, map));
    f->values = vitx_map_values(map);
    f->count = 1;
    for (int axis = 0; axis < f->info.rank; axis++)
        f->count *= (size_t)f->info.shape[axis];
}

/* The map that the same request with other settings gives, to be freed. */
static vitx_map *again(const found *f, const char *method, int layer, const char *const *set,
                       int count)
{
    vitx_explain_opts o = *f->o;
    vitx_map *map;
    o.method = method;
    o.layer = layer;
    o.set = set;
    o.set_count = count;
    ck_ok(vitx_explain(&map, f->s->single, f->s->images[0], &o));
    return map;
}

static void check_close(const found *f, const double *expected, double tolerance, const char *what)
{
    const double error = max_error_f32(f->values, expected, f->count);
    ck_assert_msg(error < tolerance, "%s: %s, score %d, %s: off by %g", f->s->folder, f->o->method,
                  (int)f->o->score, what, error);
}

/* Blocks add up. What the backward pass of a block's own score leaves is the gradient by its
 * attention, [H,T,T]; at a pooling head by the one row that the head has, [H,R,R] of the R tokens
 * that it attends to. */
static void check_legrad(const found *f)
{
    const truth *t = &f->s->t;
    vitx_context *c = f->s->single;
    const int first = c->arch.pool_first, n = t->tokens - first, rows = t->pooling ? 1 : n;
    double *sum = calloc(f->count, sizeof *sum);
    for (int l = 0; l < t->depth; l++) {
        char start[24];
        const char *set[] = {start};
        snprintf(start, sizeof start, "start=%d", l);
        vitx_map_free(again(f, "legrad", l, set, 1));
        float *d = fetch(c, c->need.dp, t->read * n * n);
        for (int p = 0; p < t->patches; p++)
            for (int i = 0; i < t->read * n; i++)
                sum[p] += fmax(0, (double)d[i * n + t->prefix - first + p]) / (t->read * rows);
        free(d);
    }
    check_close(f, sum, TOL_MAP, "not the sum of its blocks");
    free(sum);
}

/* X X^T map = lambda map, with |map|^2 = lambda, the largest there is. */
/* Channel k of the map is X v, X^T X v = lambda v: from the map f, v = X^T f / lambda. */
static void check_features(const found *f)
{
    const int n = f->s->t.patches, d = f->s->t.width, channels = f->info.channels;
    const char *const set[] = {"raw=yes"};
    vitx_map *raw = again(f, "features", VITX_AUTO, set, 1);
    const float *tokens = vitx_map_values(raw);
    double *x = calloc((size_t)(n * d), sizeof *x), *v = calloc((size_t)d, sizeof *v);
    double *product = calloc(f->count, sizeof *product), before = INFINITY;
    for (int c = 0; c < d; c++) {
        double mean = 0;
        for (int p = 0; p < n; p++)
            mean += (double)tokens[p * d + c] / n;
        for (int p = 0; p < n; p++)
            x[p * d + c] = (double)tokens[p * d + c] - mean;
    }
    for (int k = 0; k < channels; k++) {
        double lambda = 0, peak = 0;
        memset(v, 0, (size_t)d * sizeof *v);
        for (int p = 0; p < n; p++) {
            const double value = (double)f->values[p * channels + k];
            lambda += value * value;
            for (int c = 0; c < d; c++)
                v[c] += x[p * d + c] * value;
        }
        for (int c = 0; c < d; c++) {
            v[c] /= lambda;
            peak = fabs(v[c]) > fabs(peak) ? v[c] : peak;
        }
        for (int p = 0; p < n; p++)
            for (int c = 0; c < d; c++)
                product[p * channels + k] += x[p * d + c] * v[c];
        ck_assert_double_lt(lambda, before);
        ck_assert_double_gt(peak, 0);
        before = lambda;
    }
    check_close(f, product, TOL_MAP, "no principal component");
    free(x);
    free(v);
    free(product);
    vitx_map_free(raw);
}

static void check_eigen(const found *f)
{
    const truth *t = &f->s->t;
    const int n = t->patches, d = t->width;
    const bool gradient = strcmp(f->o->method, "eigengradcam") == 0;
    double *x = calloc((size_t)(n * d), sizeof *x), *projected = calloc((size_t)d, sizeof *x);
    double lambda = 0, bound = 0, *product = calloc((size_t)n, sizeof *x);
    for (int c = 0; c < d; c++) {
        double mean = 0;
        for (int p = 0; p < n; p++) {
            const int at = (t->prefix + p) * d + c;
            x[p * d + c] = (double)t->a[at] * (gradient ? (double)t->g[at] : 1);
            mean += x[p * d + c] / n;
        }
        for (int p = 0; p < n; p++) {
            x[p * d + c] -= mean;
            projected[c] += x[p * d + c] * (double)f->values[p];
        }
    }
    for (int p = 0; p < n; p++) {
        for (int c = 0; c < d; c++)
            product[p] += x[p * d + c] * projected[c];
        lambda += (double)f->values[p] * (double)f->values[p];
    }
    for (int c = 0; c < d; c++) { /* no column explains more than the component */
        double length = 0;
        for (int p = 0; p < n; p++)
            length += x[p * d + c] * x[p * d + c];
        bound = fmax(bound, length);
    }
    for (int p = 0; p < n; p++)
        product[p] /= lambda;
    check_close(f, product, TOL_MAP, "no eigenvector");
    ck_assert_double_ge(lambda, bound * (1 - 1e-5));
    ck_assert(f->info.max >= -f->info.min);
    free(x);
    free(projected);
    free(product);
}

/* Weights of scorecam are a softmax: the map lies between the channels. */
static void check_scorecam(const found *f)
{
    const truth *t = &f->s->t;
    for (int p = 0; p < t->patches; p++) {
        float least = INFINITY, most = -INFINITY;
        for (int c = 0; c < t->width; c++) {
            least = fminf(least, t->a[(t->prefix + p) * t->width + c]);
            most = fmaxf(most, t->a[(t->prefix + p) * t->width + c]);
        }
        ck_assert(f->values[p] > least && f->values[p] < most);
    }
}

/* Where nothing speaks for the text all is 0. Rows and columns of the affinity sum to 1, so that
 * what is spread keeps its sum; the boxes of a higher share hold less. */
static void check_clip_es(const found *f)
{
    static const char *const set[] = {"box=0.9"};
    vitx_map *less = again(f, "clip-es", VITX_AUTO, set, 1);
    double sum = 0, sum_of_less = 0;
    for (size_t p = 0; p < f->count; p++) {
        ck_assert(f->values[p] >= 0);
        sum += (double)f->values[p];
        sum_of_less += (double)vitx_map_values(less)[p];
    }
    ck_assert((sum > 0) == (sum_of_less > 0) && sum_of_less <= sum * (1 + 1e-3));
    vitx_map_free(less);
}

/* Without noise it is saliency. */
static void check_smoothgrad(const found *f)
{
    static const char *const set[] = {"n=1", "sigma=0"};
    vitx_map *plain = again(f, "smoothgrad", VITX_AUTO, set, 2);
    found g;
    look(&g, f->s, f->o, plain);
    double *expected = malloc(g.count * sizeof *expected);
    saliency(expected, &f->s->t);
    check_close(&g, expected, 1e-5, "without noise");
    free(expected);
    vitx_map_free(plain);
}

static double sum_of(const found *f)
{
    double sum = 0;
    for (size_t i = 0; i < f->count; i++)
        sum += (double)f->values[i];
    return sum;
}

/* Where nothing is seen the score is base_value; values add up to what is lost until there. */
static void check_sum(const found *f, const float *nothing, double missing)
{
    const double base = score_at(f->s, nothing, f->o->score), change = f->info.value - base;
    const double scale = fmax(fabs(f->info.value), fabs(base));
    ck_assert_double_eq_tol(f->info.base_value, base, 1e-5 * scale);
    ck_assert_double_eq_tol(f->info.completeness_error, sum_of(f) - change, 1e-5 * scale);
    ck_assert_msg(fabs(f->info.completeness_error) < missing * scale,
                  "%s: %s, score %d: %g of %g is missing", f->s->folder, f->o->method,
                  (int)f->o->score, f->info.completeness_error, change);
}

/* x times the gradient at the two points of Gauss's rule on the way from 0. (test_pixels.c: with
 * more of them it is complete, on every model.) */
static void check_integrated(const found *f)
{
    const truth *t = &f->s->t;
    vitx_context *c = f->s->single;
    const int n = t->pixels / 3;
    float *zero = calloc((size_t)t->pixels, sizeof *zero), *dinput;
    double *expected = calloc((size_t)n, sizeof *expected), z[MOST_OUTPUTS], dz[MOST_OUTPUTS];
    for (int point = -1; point <= 1; point += 2) {
        c->variants.need.targets = 1;
        c->variants.need.pixels = true;
        ck_ok(vx_variants_reserve(c, 1, 1, &c->variants.need));
        for (int i = 0; i < t->pixels; i++)
            vx_variants_input(c, 0)[i] = (float)((1 + point / sqrt(3)) / 2 * t->input[i]);
        vx_context_begin(c, 1000000);
        ck_ok(vx_variants_run_kept(c, 1));
        for (int k = 0; k < t->outputs; k++)
            z[k] = (double)c->variants.act.host.logits[k];
        score_of(f->o->score, z, t->outputs, dz);
        seed(c, c->variants.plan.dlogits, dz, t->outputs);
        ck_ok(vx_variants_backward(c, 1));
        dinput = fetch(c, c->variants.plan.dinput, t->pixels);
        for (int i = 0; i < t->pixels; i++)
            expected[i % n] += 0.5 * t->input[i] * (double)dinput[i];
        free(dinput);
    }
    check_close(f, expected, TOL_MAP, "not the sum of its points");
    check_sum(f, zero, INFINITY); /* two points are too few */
    free(zero);
    free(expected);
}

/* x without patch p, or (p < 0) without any. */
static void cover(float *x, const scene *s, int p)
{
    const vx_arch *a = &s->single->arch;
    const int h = s->single->recipe.input_height, w = s->single->recipe.input_width;
    for (int i = 0; i < s->t.pixels; i++) {
        const int y = i / w % h / a->patch_height, column = i % w / a->patch_width;
        const bool inside = y < a->grid_height && column < a->grid_width;
        const bool covered = inside && (p < 0 || y * a->grid_width + column == p);
        x[i] = covered ? 0 : (float)s->t.input[i];
    }
}

static void check_kernelshap(const found *f)
{
    float *x = malloc((size_t)f->s->t.pixels * sizeof *x);
    cover(x, f->s, -1);
    check_sum(f, x, 1e-5);
    free(x);
}

static void check_occlusion(const found *f)
{
    float *x = malloc((size_t)f->s->t.pixels * sizeof *x);
    double *lost = malloc(f->count * sizeof *lost);
    for (size_t p = 0; p < f->count; p++) {
        cover(x, f->s, (int)p);
        lost[p] = f->info.value - score_at(f->s, x, f->o->score);
    }
    check_close(f, lost, TOL_MAP, "what covering loses");
    free(x);
    free(lost);
}

/* The mean of scores times masks of 0 to 1, over p = 0.5: between 0 and twice the largest score
 * there is. */
static void check_rise(const found *f)
{
    ck_assert(f->o->score != VITX_SCORE_PROBABILITY || (f->info.min >= 0 && f->info.max <= 2));
    ck_assert_int_eq(f->info.forwards, 8);
}

/* ------------------------------------------------------------------ the table -------------- */

static char enough[16]; /* n=... of kernelshap */

static const struct row {
    const char *name, *set[2];
    void (*formula)(double *out, const truth *t);
    void (*check)(const found *f);
    double tolerance; /* of the formula, and of pictures in a batch                            */
    bool linear;      /* in the score                                                          */
} methods[] = {
    {"attention", {0}, attention, NULL, TOL_MAP, false},
    {"rollout", {0}, rollout, NULL, TOL_MAP, false},
    {"grad-rollout", {0}, grad_rollout, NULL, TOL_MAP, false},
    {"generic", {0}, generic, NULL, TOL_MAP, false},
    {"legrad", {0}, NULL, check_legrad, TOL_MAP, false},
    {"attn-gradcam", {0}, attn_gradcam, NULL, TOL_MAP, true},
    {"maskclip", {0}, NULL, NULL, TOL_MAP, true},
    {"gem", {0}, NULL, NULL, TOL_MAP, true},
    {"surgery", {0}, NULL, NULL, TOL_MAP, true},
    {"clip-es", {0}, NULL, check_clip_es, TOL_MAP, false},
    {"gradcam", {0}, gradcam, NULL, TOL_MAP, true},
    {"gradcam++", {0}, gradcam_plusplus, NULL, TOL_MAP_WIDE, false},
    {"xgradcam", {0}, xgradcam, NULL, TOL_MAP_WIDE, true},
    {"hirescam", {0}, hirescam, NULL, TOL_MAP, true},
    {"elementwise", {0}, elementwise, NULL, TOL_MAP, false},
    {"layercam", {0}, layercam, NULL, TOL_MAP, false},
    {"eigencam", {0}, NULL, check_eigen, TOL_MAP, false},
    {"eigengradcam", {0}, NULL, check_eigen, TOL_MAP, false},
    {"features", {0}, NULL, check_features, TOL_MAP, false},
    {"scorecam", {0}, NULL, check_scorecam, TOL_MAP, false},
    {"gscorecam", {"at=norm1", "scale=1"}, NULL, check_scorecam, TOL_MAP, false},
    {"ablationcam", {0}, NULL, NULL, TOL_MAP, false},
    {"saliency", {0}, saliency, NULL, TOL_MAP, false},
    {"input-x-grad", {0}, input_x_grad, NULL, TOL_MAP, true},
    {"smoothgrad", {"n=2"}, NULL, check_smoothgrad, TOL_MAP, false},
    {"integrated-gradients", {"steps=2"}, NULL, check_integrated, TOL_MAP, true},
    {"occlusion", {0}, NULL, check_occlusion, TOL_MAP, true},
    {"rise", {"n=8"}, NULL, check_rise, TOL_MAP, true},
    {"lime", {"n=20"}, NULL, NULL, TOL_MAP, true},
    {"kernelshap", {enough}, NULL, check_kernelshap, TOL_MAP, true},
};
enum { METHODS = sizeof methods / sizeof methods[0] };

static vitx_method_info info_of(const char *name)
{
    vitx_method_info info = VITX_METHOD_INFO_INIT;
    for (int i = 0; i < vitx_method_count(); i++) {
        ck_ok(vitx_method_get(&info, i));
        if (strcmp(info.name, name) == 0)
            return info;
    }
    ck_abort_msg("there is no method %s", name);
    return info;
}

/* A method of the library needs a row above, which says what is known of its maps. */
START_TEST(test_every_method__is_in_the_table)
{
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info info = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&info, i));
        int m = 0;
        while (m < METHODS && strcmp(info.name, methods[m].name) != 0)
            m++;
        ck_assert_msg(m < METHODS, "method %s has no row in the table methods[] of this file",
                      info.name);
    }
    for (int m = 0; m < METHODS; m++) {
        info_of(methods[m].name);
        ck_assert(methods[m].formula || methods[m].check || methods[m].linear ||
                  strcmp(methods[m].name, "ablationcam") == 0);
    }
}
END_TEST

/* Whether a method is not defined for the model. */
static bool is_refused(const scene *s, const char *name)
{
    const vx_arch *a = &s->single->arch;
    if (strcmp(name, "clip-es") == 0)
        return a->pool == VX_POOL_MAP || vx_arch_two_vectors(a);
    const bool second = strcmp(name, "gem") == 0 || strcmp(name, "surgery") == 0;
    return second && (a->pool == VX_POOL_MAP || a->differential);
}

/* The rows of methods that can explain the model, and how many there are; the others say why
 * not. */
static int rows_of_model(const struct row **out, const scene *s)
{
    int count = 0;
    for (int m = 0; m < METHODS; m++) {
        const vitx_explain_opts o = ask(s, methods[m].name, VITX_SCORE_LOGIT);
        vitx_map *map = NULL;
        if (is_refused(s, methods[m].name))
            ck_fails(vitx_explain(&map, s->single, s->images[0], &o), VITX_UNSUPPORTED,
                     methods[m].name);
        else
            out[count++] = &methods[m];
        ck_assert(map == NULL);
    }
    return count;
}

static vitx_explain_opts ask_row(const scene *s, const struct row *m, vitx_score score)
{
    vitx_explain_opts o = ask(s, m->name, score);
    o.set = m->set;
    o.set_count = (m->set[0] != NULL) + (m->set[1] != NULL);
    return o;
}

/* What has to hold of any map. */
static void check_any(const found *f)
{
    const truth *t = &f->s->t;
    const vx_arch *a = &f->s->single->arch;
    const vitx_method_info info = info_of(f->o->method);
    double ignored[MOST_OUTPUTS];
    const size_t places = (size_t)(info.on_pixels ? t->pixels / 3 : t->patches);
    ck_assert_int_eq(f->info.rank, info.channels ? 3 : 2);
    ck_assert_int_eq(f->info.channels, info.channels);
    ck_assert_uint_eq(f->count, places * (size_t)(info.channels ? info.channels : 1));
    ck_assert_int_eq(f->info.grid_height * f->info.grid_width, t->patches);
    ck_assert_int_eq((int)f->info.shape[1],
                     info.on_pixels ? f->s->single->recipe.input_width
                                    : f->s->single->recipe.input_width / a->patch_width);
    ck_assert(f->info.picture_width == 61 && f->info.picture_height == 47);
    for (size_t i = 0; i < f->count; i++)
        if (!isfinite(f->values[i]) || f->values[i] > f->info.max || f->values[i] < f->info.min)
            ck_abort_msg("%s: %s: value %zu is %g", f->s->folder, f->o->method, i,
                         (double)f->values[i]);
    const double value = score_of(f->o->score, t->logits, t->outputs, ignored);
    ck_assert_double_eq_tol(f->info.value, value, TOL_LOGITS * fmax(1, fabs(value)));
}

static void check_identity(const found *f, const struct row *m)
{
    if (m->formula) {
        double *expected = malloc(f->count * sizeof *expected), largest = 0;
        m->formula(expected, &f->s->t);
        for (size_t i = 0; i < f->count; i++)
            largest = fmax(largest, fabs(expected[i]));
        if (largest == 0) /* what is clipped at 0 may be 0 everywhere */
            ck_assert(f->info.max == 0 && f->info.min == 0);
        else
            check_close(f, expected, m->tolerance, "not its formula");
        free(expected);
    } else {
        /* With its random weights all of the cam is below 0. */
        const bool clipped = m->check == check_clip_es && strstr(f->s->folder, "clip-openai") &&
                             f->info.max == 0 && f->info.min == 0;
        ck_assert_msg(f->info.max > f->info.min || clipped, "%s: %s is flat", f->s->folder,
                      f->o->method);
    }
    if (m->check)
        m->check(f);
}

/* The second of the scores that apply. */
static vitx_score other_score(const scene *s)
{
    return s->single->arch.units ? VITX_SCORE_COSINE : VITX_SCORE_PROBABILITY;
}

/* Under a sanitizer one of three is enough: the models differ in numbers, hardly in what runs. */
static bool is_spared(int index)
{
    return SANITIZED && index % 3;
}

/* Picture i in a batch, beside all other methods, is what it is alone. */
static void check_batch(const found *alone, vitx_map *in_batch, const struct row *m, int i)
{
    const double error = max_error_ff(vitx_map_values(in_batch), alone->values, alone->count);
    ck_assert_msg(error < m->tolerance, "%s: %s, score %d: picture %d: %g in a batch",
                  alone->s->folder, m->name, (int)alone->o->score, i, error);
    vitx_map_free(in_batch);
}

START_TEST(test_every_method__holds_on_every_model)
{
    if (is_spared(_i))
        return;
    scene s = open_scene(folders[_i / 2]);
    const vitx_score score = _i % 2 ? other_score(&s) : VITX_SCORE_LOGIT;
    const struct row *rows[METHODS];
    const int count = rows_of_model(rows, &s);
    vitx_explain_opts o[METHODS];
    vitx_map *pairs[2 * METHODS], *map, *repeated;
    found f;
    snprintf(enough, sizeof enough, "n=%d", 2 * s.t.patches + 8);
    for (int m = 0; m < count; m++)
        o[m] = ask_row(&s, rows[m], score);
    ck_ok(vitx_explain_many(pairs, s.pair, (const vitx_image *const *)s.images, 2, o, count));
    differentiate(&s, score);
    for (int m = 0; m < count; m++)
        for (int i = 0; i < 2; i++) {
            ck_ok(vitx_explain(&map, s.single, s.images[i], &o[m]));
            look(&f, &s, &o[m], map);
            check_batch(&f, pairs[i * count + m], rows[m], i);
            if (i == 0) {
                ck_ok(vitx_explain(&repeated, s.single, s.images[0], &o[m]));
                ck_assert_msg(
                    memcmp(f.values, vitx_map_values(repeated), f.count * sizeof(float)) == 0,
                    "%s: %s: two runs differ", s.folder, o[m].method);
                vitx_map_free(repeated);
                check_any(&f);
                check_identity(&f, rows[m]);
            }
            vitx_map_free(map);
        }
    close_scene(&s);
}
END_TEST

/* All blocks and heads, where the method has such. */
static void ask_all(vitx_explain_opts *o)
{
    for (int i = 0; vx_method_at(i); i++)
        if (strcmp(vx_method_at(i)->name, o->method) == 0) {
            o->layer = vx_method_at(i)->no_layers ? VITX_AUTO : VITX_ALL;
            o->head = vx_method_at(i)->no_heads ? VITX_AUTO : VITX_ALL;
        }
}

/* Two targets in one call: each has gradients of its own, which then lie between those of the
 * other. */
START_TEST(test_every_method__targets_of_a_batch_are_those_alone)
{
    if (is_spared(_i))
        return;
    scene s = open_scene(folders[_i]);
    const struct row *rows[METHODS];
    const int count = 2 * rows_of_model(rows, &s);
    vitx_explain_opts o[2 * METHODS];
    vitx_map *pairs[4 * METHODS], *map;
    found f;
    snprintf(enough, sizeof enough, "n=%d", 2 * s.t.patches + 8);
    for (int m = 0; m < count; m++) {
        o[m] = ask_row(&s, rows[m / 2], VITX_SCORE_LOGIT);
        o[m].target = m % 2 ? TARGET : TARGET - 1;
        ask_all(&o[m]);
    }
    ck_ok(vitx_explain_many(pairs, s.pair, (const vitx_image *const *)s.images, 2, o, count));
    for (int m = 0; m < count; m++)
        for (int i = 0; i < 2; i++) {
            ck_ok(vitx_explain(&map, s.single, s.images[i], &o[m]));
            look(&f, &s, &o[m], map);
            check_batch(&f, pairs[i * count + m], rows[m / 2], i);
            vitx_map_free(map);
        }
    close_scene(&s);
}
END_TEST

/* gradient.npy is of a vector's product with the outputs. */
START_TEST(test_every_method__gradients_are_the_librarys)
{
    if (is_spared(_i))
        return;
    static const struct row rows[] = {{"saliency", {0}, saliency, NULL, TOL_MAP, false},
                                      {"input-x-grad", {0}, input_x_grad, NULL, TOL_MAP, true}};
    scene s = open_scene(folders[_i]);
    truth *t = &s.t;
    t->dinput = malloc((size_t)t->pixels * sizeof *t->dinput);
    for (int i = 0; i < t->pixels; i++)
        t->dinput[i] = (float)t->gradient[i];
    for (int m = 0; m < 2; m++) {
        const vitx_explain_opts o = ask_row(&s, &rows[m], VITX_SCORE_DOT);
        vitx_map *map;
        found f;
        ck_ok(vitx_explain(&map, s.single, s.images[0], &o));
        look(&f, &s, &o, map);
        check_identity(&f, &rows[m]);
        vitx_map_free(map);
    }
    close_scene(&s);
}
END_TEST

/* A score that is the sum of two is explained by the sum of two maps. */
START_TEST(test_every_method__linear_ones_are)
{
    if (is_spared(_i))
        return;
    scene s = open_scene(folders[_i]);
    float vector[MOST_OUTPUTS] = {0};
    vector[TARGET] = 2;
    vector[0] = -0.5f;
    snprintf(enough, sizeof enough, "n=%d", 2 * s.t.patches + 8);
    for (int m = 0; m < METHODS; m++) {
        vitx_explain_opts o[3];
        vitx_map *maps[3];
        found f[3];
        if (!methods[m].linear || is_refused(&s, methods[m].name))
            continue;
        for (int j = 0; j < 3; j++) {
            o[j] = ask_row(&s, &methods[m], j ? VITX_SCORE_LOGIT : VITX_SCORE_DOT);
            o[j].vector = j ? NULL : vector;
            o[j].target = j == 0 ? VITX_AUTO : j == 1 ? TARGET : 0;
        }
        ck_ok(vitx_explain_many(maps, s.single, (const vitx_image *const *)s.images, 1, o, 3));
        for (int j = 0; j < 3; j++)
            look(&f[j], &s, &o[j], maps[j]);
        double *sum = malloc(f[0].count * sizeof *sum);
        for (size_t i = 0; i < f[0].count; i++)
            sum[i] = 2 * (double)f[1].values[i] - 0.5 * (double)f[2].values[i];
        check_close(&f[0], sum, methods[m].tolerance, "not linear");
        free(sum);
        for (int j = 0; j < 3; j++)
            vitx_map_free(maps[j]);
    }
    close_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    folder_count = fewer_folders(folders, model_folders(folders));
    for (int k = 0; k < MOST_OUTPUTS; k++)
        direction[k] = (float)cos(k);
    Suite *s = suite_create("every method");
    TCase *t = tcase_create("every method");
    tcase_set_timeout(t, 240);
    tcase_add_test(t, test_every_method__is_in_the_table);
    tcase_add_loop_test(t, test_every_method__holds_on_every_model, 0, 2 * folder_count);
    tcase_add_loop_test(t, test_every_method__targets_of_a_batch_are_those_alone, 0, folder_count);
    tcase_add_loop_test(t, test_every_method__gradients_are_the_librarys, 0, folder_count);
    tcase_add_loop_test(t, test_every_method__linear_ones_are, 0, folder_count);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
