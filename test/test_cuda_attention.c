/*
 * test/test_cuda_attention.c: attention and its gradients in the precisions of the device cuda,
 * on its host twin: with instructions for matrices and without, at lengths and widths around the
 * sizes of their tiles, against the reference on the same rounded numbers. VX_TEST_THREADS
 */
#include "kernel_bed.h"
#include "kernels/cuda/host/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A precision, and how far a result may lie from the exact one: y in units of the largest value
 * (its own type and that of the probabilities round), a recorded probability, and gradients as the
 * length of the error over that of the gradient. */
typedef struct format {
    const char *name;
    double y, p, gradient;
    bool narrow;
} format;

static const format formats[] = {{"bf16", 1.0 / 128, 2e-5, 1e-2, true},
                                 {"f16", 1.0 / 1024, 2e-5, 1.5e-3, true},
                                 {"bf16x3", 3e-5, 3e-5, 1e-4, false},
                                 {"f32", 1e-5, 1e-5, 1e-5, false}};
enum { FORMATS = 4, WAYS = 2 * FORMATS };
/* For races: bf16, with instructions for matrices and without. */
enum { RUN_WAYS = SANITIZED_THREADS ? 2 : WAYS };

/* f16 goes through the same kernels as bf16: a sanitizer need not see both. */
static bool seen_in_bf16(int way)
{
    return SANITIZED && strcmp(formats[way / 2].name, "f16") == 0;
}

typedef struct ways {
    bed b;
    const format *format;
    bool matrices;
} ways;

/* Index: format, then with or without instructions for matrices. */
static void ways_open(ways *w, int index, const vx_dims *dims)
{
    static const struct version version = {"cuda-host", "cuda-host", 0, {"", ""}};
    vitx_hooks hooks;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    *w = (ways){.format = &formats[index / 2], .matrices = index % 2 == 0};
    w->b = (bed){.allocations_left = -1, .version = &version};
    expect(vx_pool_create(&w->b.pool, &hooks, 1) == 0, "no threads");
    const unsigned features = w->matrices ? VX_FEATURES_ALL : VX_FEATURES_ALL & ~VX_CUDA_MMA;
    bed_device(&w->b, w->format->name, features, dims);
    vx_machine_schedule(index / 2 % 2 ? VX_SCHEDULE_REVERSE : VX_SCHEDULE_AHEAD);
}

static void ways_close(ways *w)
{
    bed_close(&w->b);
    vx_machine_schedule(VX_SCHEDULE_FORWARD);
}

/* ------------------------------------------------------------------------------ numbers ---- */

static uint16_t to_bf16(float x)
{
    const uint32_t u = vx_float_bits(x);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static uint16_t to_narrow(const format *f, float x)
{
    return strcmp(f->name, "f16") == 0 ? vx_float_to_half(x) : to_bf16(x);
}

static float of_narrow(const format *f, uint16_t x)
{
    return strcmp(f->name, "f16") == 0 ? vx_half_to_float(x) : vx_bits_float((uint32_t)x << 16);
}

/* An input in the format, and the same numbers as floats. */
typedef struct both {
    float *floats;
    void *device;
} both;

static both both_of(const format *f, float *x, size_t n)
{
    uint16_t *narrow = f->narrow ? malloc(n * 2 + (n == 0)) : NULL;
    for (size_t i = 0; f->narrow && i < n; i++) {
        narrow[i] = to_narrow(f, x[i]);
        x[i] = of_narrow(f, narrow[i]);
    }
    return (both){x, f->narrow ? (void *)narrow : (void *)x};
}

static void both_free(const format *f, both x)
{
    if (f->narrow)
        free(x.device);
    free(x.floats);
}

static void *room(const format *f, size_t n)
{
    return output(n * (f->narrow ? 2 : 4));
}

static float number_at(const format *f, const void *x, size_t i)
{
    return f->narrow ? of_narrow(f, ((const uint16_t *)x)[i]) : ((const float *)x)[i];
}

/* Nothing wrote there: both halves of the pattern. */
static bool left_alone(const format *f, const void *x, size_t i)
{
    if (!f->narrow)
        return untouched(((const float *)x)[i]);
    const uint16_t got = ((const uint16_t *)x)[i];
    return got == 0xc3e1u || got == 0x7fa5u;
}

/* -------------------------------------------------------------------------------- forward ---- */

static size_t record_count(const vx_recorded *r)
{
    const size_t t = (size_t)r->tokens, b = (size_t)r->batch, h = (size_t)r->heads;
    const size_t counts[] = {0, b * h * t, b * t * t, b * h * t * t};
    return counts[r->keep];
}

static void check_record(const format *f, const vx_recorded *got, const vx_recorded *expected,
                         const char *what)
{
    for (size_t i = 0; i < record_count(got); i++) {
        const float y = ((float *)expected->data)[i];
        const float x = got->store == VX_STORE_F16 ? vx_half_to_float(((uint16_t *)got->data)[i])
                                                   : ((float *)got->data)[i];
        const double limit = f->p + (got->store == VX_STORE_F16 ? fabs((double)y) / 1024 : 0);
        expect(fabs((double)x - (double)y) <= limit, "%s: record %zu is %g, expected %g", what, i,
               (double)x, (double)y);
    }
}

static void check_y(const format *f, const vx_attention *a, const void *y, const float *expected,
                    double most, const char *what)
{
    const size_t d = (size_t)(a->heads * a->head_width);
    for (int b = 0; b < a->batch; b++) {
        const size_t start = vx_start_of(a->starts, b, a->tokens);
        const int tokens = vx_tokens_of(a->starts, b, a->tokens), left = tokens - a->first;
        const int queries = a->queries > 0 && a->queries < left ? a->queries : left;
        for (int t = 0; t < tokens; t++)
            for (size_t i = (start + (size_t)t) * d; i < (start + (size_t)t + 1) * d; i++) {
                if (t < a->first || t >= a->first + queries) {
                    expect(left_alone(f, y, i), "%s: wrote the row of no query", what);
                    continue;
                }
                const double x = number_at(f, y, i), e = expected[i];
                expect(fabs(x - e) <= f->y * most, "%s: element %zu is %g, expected %g", what, i, x,
                       e);
            }
    }
}

static double largest_of(const float *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

/* The operation, whose qkv is made here, against the reference. */
static void attention_case(ways *w, rng *r, vx_attention a)
{
    const format *f = w->format;
    const size_t d = (size_t)(a.heads * a.head_width);
    const size_t rows = vx_start_of(a.starts, a.batch, a.tokens);
    const both qkv = both_of(f, input(r, rows * 3 * d, NORMAL), rows * 3 * d);
    char what[300];
    snprintf(
        what, sizeof what,
        "%s%s attention B%d T%d H%d E%d, %d queries from %d, keep %d store %d fuse %d query %d",
        f->name, w->matrices ? "" : " plain", a.batch, a.tokens, a.heads, a.head_width, a.queries,
        a.first, (int)a.record.keep, (int)a.record.store, (int)a.record.fuse, a.record.query);
    a.scale = 0.5f / sqrtf((float)a.head_width);
    a.record.batch = a.batch;
    a.record.heads = a.heads;
    a.record.tokens = a.tokens;
    vx_attention exact = a;
    exact.qkv = qkv.floats;
    exact.y = output_f32(rows * d);
    exact.record.store = VX_STORE_F32;
    exact.record.data = output_f32(record_count(&a.record));
    vx_attention_ref(NULL, &exact);
    /* Long ones are made once: what makes runs differ shows on short ones. */
    const int runs = a.tokens < 100 ? 2 : 1;
    void *y[2], *data[2];
    const size_t record_bytes = record_count(&a.record) * (a.record.store == VX_STORE_F16 ? 2 : 4);
    a.qkv_n = qkv.device;
    for (int run = 0; run < runs; run++) {
        y[run] = room(f, rows * d);
        a.y_n = y[run];
        a.record.data = data[run] = output(record_bytes);
        w->b.dev->ops.attention(w->b.dev, &a);
    }
    check_guards(what);
    check_y(f, &a, y[0], exact.y, largest_of(qkv.floats, rows * 3 * d), what);
    check_record(f, &a.record, &exact.record, what);
    if (runs == 2) {
        const size_t y_bytes = rows * d * (f->narrow ? 2 : 4);
        expect(memcmp(y[0], y[1], y_bytes) == 0, "%s: two runs differ", what);
        expect(memcmp(data[0], data[1], record_bytes) == 0, "%s: two records differ", what);
    }
    free_outputs();
    both_free(f, qkv);
}

static const vx_dims dims_most = {.batch = 3,
                                  .tokens = 577,
                                  .width = 384,
                                  .heads = 3,
                                  .head_width = 128,
                                  .hidden = 384,
                                  .channels = 3,
                                  .patch_height = 16,
                                  .patch_width = 16,
                                  .classes = 10};

START_TEST(test_attention__lengths_and_widths)
{
    static const int lengths[] = {1, 2, 15, 16, 17, 50, 63, 64, 65, 197, 257, 272, 273, 577};
    static const int widths[] = {64, 8, 32, 72, 80, 96, 128, 9, 64};
    ways w;
    rng r = {(uint64_t)_i + 5};
    if (seen_in_bf16(_i))
        return;
    ways_open(&w, _i, &dims_most);
    const int lengths_here = SANITIZED_THREADS                  ? 5
                             : w.matrices && !(SANITIZED && _i) ? 14
                             : SANITIZED                        ? 7
                                                                : 10;
    for (int i = 0; i < lengths_here; i++)
        for (int j = 0; j < (lengths[i] < 100 ? 2 : 1); j++)
            attention_case(&w, &r,
                           (vx_attention){.batch = lengths[i] < 100 ? 2 : 1,
                                          .tokens = lengths[i],
                                          .heads = lengths[i] < 100 ? 1 + (i + j) % 3 : 1,
                                          .head_width = widths[(i + 3 * j) % 9]});
    ways_close(&w);
}
END_TEST

START_TEST(test_attention__records)
{
    static const int lengths[] = {17, 65, 273}, widths[] = {32, 72, 16};
    ways w;
    rng r = {(uint64_t)_i + 6};
    if (seen_in_bf16(_i))
        return;
    ways_open(&w, _i, &dims_most);
    for (int i = 0; i < (SANITIZED_THREADS ? 1 : SANITIZED ? 2 : 3); i++)
        for (int k = 0; k < 8; k++) {
            static const vx_keep keeps[] = {VX_KEEP_ALL,   VX_KEEP_ROW,  VX_KEEP_ROW,
                                            VX_KEEP_ROW,   VX_KEEP_ALL,  VX_KEEP_FUSED,
                                            VX_KEEP_FUSED, VX_KEEP_FUSED};
            static const int query[] = {0, 0, 16, VX_QUERY_PATCHES, 0, 0, 0, 0};
            vx_recorded record = {.keep = keeps[k],
                                  .store = (k + i) % 2 ? VX_STORE_F16 : VX_STORE_F32,
                                  .fuse = k > 5 ? (vx_fuse)(k - 5) : VX_FUSE_MEAN,
                                  .query = query[k],
                                  .prefix = 2};
            attention_case(&w, &r,
                           (vx_attention){.batch = i < 2 ? 2 : 1,
                                          .tokens = lengths[i],
                                          .heads = 1 + k % 3,
                                          .head_width = widths[i],
                                          .record = record,
                                          .queries = k % 3 == 2 ? 5 : 0});
        }
    ways_close(&w);
}
END_TEST

/* Sequences of several lengths, from a token on, with relative positions. */
START_TEST(test_attention__places)
{
    static const int starts[] = {0, 40, 41, 110, 127}, tokens = 69, e = 40;
    int tokens_of[127];
    ways w;
    rng r = {(uint64_t)_i + 7};
    if (seen_in_bf16(_i))
        return;
    ways_open(&w, _i, &dims_most);
    vx_attention a = {.batch = 4, .tokens = tokens, .heads = 2, .head_width = e, .starts = starts};
    attention_case(&w, &r, a);
    a.queries = 1;
    attention_case(&w, &r, a);
    a.queries = 0;
    a.relative = relative_positions(&r, 145, 2);
    for (int b = 0; b < 4; b++)
        for (int t = starts[b]; t < starts[b + 1]; t++)
            tokens_of[t] = (t - starts[b]) * 2;
    a.tokens_of = tokens_of;
    attention_case(&w, &r, a);
    free_relative(&a.relative);
    a = (vx_attention){.batch = 2, .tokens = 50, .heads = 3, .head_width = 24};
    a.relative = relative_positions(&r, 50, 3);
    a.record.keep = VX_KEEP_ALL;
    attention_case(&w, &r, a);
    free_relative(&a.relative);
    a = (vx_attention){.batch = 2, .tokens = 34, .heads = 2, .head_width = 64, .first = 3};
    attention_case(&w, &r, a);
    a.queries = 1;
    a.record = (vx_recorded){.keep = VX_KEEP_ROW, .query = 3};
    attention_case(&w, &r, a);
    a.tokens = 300;
    a.batch = 1;
    attention_case(&w, &r, a);
    ways_close(&w);
}
END_TEST

/* ------------------------------------------------------------------------------ gradients ---- */

/* The error's length over the exact one's, for rows of `n` numbers, `ld` apart. */
static double distance(const format *f, const void *x, const float *exact, size_t rows, size_t n,
                       size_t ld)
{
    double error = 0, power = 1e-12;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = r * ld; i < r * ld + n; i++) {
            const double e = exact[i], d = (double)number_at(f, x, i) - e;
            if (!(fabs(d) < 1e30))
                return INFINITY;
            error += d * d;
            power += e * e;
        }
    return sqrt(error / power);
}

static void check_gradients(const format *f, const vx_attention_bwd *a, const void *dqkv,
                            const float *exact, const char *what)
{
    const size_t d = (size_t)(a->heads * a->head_width), t = (size_t)a->tokens;
    const size_t gradients = (size_t)(a->batch * a->targets);
    for (size_t part = 0; part < 3; part++) {
        const char *at = (const char *)dqkv + part * d * (f->narrow ? 2 : 4);
        const double off = distance(f, at, exact + part * d, gradients * t, d, 3 * d);
        expect(off <= f->gradient, "%s: d%c is off by %g", what, "qkv"[part], off);
    }
    for (size_t i = 0; i < gradients * t * 3 * d; i++) {
        const int token = (int)(i / (3 * d) % t);
        const bool query = token >= a->first && token < a->first + a->queries;
        if (token < a->first || (!query && i % (3 * d) < d))
            expect(number_at(f, dqkv, i) == 0, "%s: a gradient of no token or query", what);
    }
}

enum { DP = 1, DQKV = 2, PRODUCT = 4, MEAN = 8 };

/* A result in floats within the format's bound, each time the same. */
static void check_floats(const format *f, float *const got[2], const float *exact, size_t n,
                         int runs, const char *which, const char *what)
{
    const format floats = {"f32", 0, 0, 0, false};
    const double off = distance(&floats, got[0], exact, 1, n, n);
    expect(off <= f->gradient, "%s: %s is off by %g", what, which, off);
    for (size_t i = 0; i < n; i++)
        expect(exact[i] != 0 || got[0][i] >= 0 || strcmp(which, "dp") == 0, "%s: %s is negative",
               what, which);
    expect(runs < 2 || memcmp(got[0], got[1], n * sizeof(float)) == 0, "%s: runs of %s differ",
           what, which);
}

static void bwd_case(ways *w, rng *r, vx_attention_bwd a, int parts, int runs)
{
    const format *f = w->format;
    const size_t d = (size_t)(a.heads * a.head_width), g = (size_t)(a.batch * a.targets);
    const size_t rows = (size_t)(a.batch * a.tokens) * 3 * d, out = g * (size_t)a.tokens * 3 * d;
    const size_t present = (size_t)(a.tokens - a.first);
    const size_t dy_count = g * (size_t)a.queries * d, products = g * present * present,
                 dp_count = products * (size_t)a.heads, means = g * (size_t)a.heads * present;
    const both qkv = both_of(f, input(r, rows, NORMAL), rows),
               dy = both_of(f, weights(r, dy_count, 0.5f), dy_count);
    char what[300];
    snprintf(what, sizeof what,
             "%s%s attention_bwd B%d K%d T%d H%d E%d, %d queries from %d, parts %d, kind %d",
             f->name, w->matrices ? "" : " plain", a.batch, a.targets, a.tokens, a.heads,
             a.head_width, a.queries, a.first, parts, (int)a.kind);
    a.scale = 0.5f / sqrtf((float)a.head_width);
    vx_attention_bwd exact = a;
    exact.qkv = qkv.floats;
    exact.dy = dy.floats;
    exact.dqkv = output_f32(out);
    exact.dp = output_f32(dp_count);
    exact.product = output_f32(products);
    exact.relu_mean = output_f32(means);
    vx_attention_bwd_ref(NULL, &exact);
    void *got[2] = {0};
    float *dp[2] = {0}, *product[2] = {0}, *mean[2] = {0};
    a.qkv_n = qkv.device;
    a.dy_n = dy.device;
    for (int run = 0; run < runs; run++) {
        a.dqkv_n = got[run] = parts & DQKV ? room(f, out) : NULL;
        a.dp = dp[run] = parts & DP ? output_f32(dp_count) : NULL;
        a.product = product[run] = parts & PRODUCT ? output_f32(products) : NULL;
        a.relu_mean = mean[run] = parts & MEAN ? output_f32(means) : NULL;
        w->b.dev->ops.attention_bwd(w->b.dev, &a);
    }
    check_guards(what);
    if (parts & DQKV)
        check_gradients(f, &a, got[0], exact.dqkv, what);
    if (parts & DQKV && runs > 1)
        expect(memcmp(got[0], got[1], out * (f->narrow ? 2 : 4)) == 0, "%s: runs differ", what);
    if (parts & DP)
        check_floats(f, dp, exact.dp, dp_count, runs, "dp", what);
    if (parts & PRODUCT)
        check_floats(f, product, exact.product, products, runs, "product", what);
    if (parts & MEAN)
        check_floats(f, mean, exact.relu_mean, means, runs, "relu_mean", what);
    free_outputs();
    both_free(f, qkv);
    both_free(f, dy);
}

START_TEST(test_attention_bwd__lengths_and_widths)
{
    static const int shapes[][7] = {
        /* B, K, T, H, E, queries, first */
        {2, 1, 17, 2, 64, 17, 0}, {1, 3, 16, 2, 32, 1, 0},   {1, 1, 1, 1, 8, 1, 0},
        {1, 2, 65, 1, 24, 65, 0}, {1, 2, 50, 2, 80, 7, 3},   {1, 2, 33, 1, 72, 33, 0},
        {1, 1, 31, 1, 96, 20, 1}, {1, 1, 32, 1, 128, 32, 0}, {1, 1, 130, 1, 9, 130, 0},
        {2, 2, 17, 3, 16, 9, 2},  {1, 1, 97, 2, 64, 80, 0},  {2, 1, 71, 3, 40, 71, 0}};
    static const int parts[] = {DP | DQKV | MEAN, DQKV | PRODUCT, DP,   DP | PRODUCT,
                                PRODUCT | MEAN,   DP | DQKV,      MEAN, DQKV | MEAN | PRODUCT};
    ways w;
    rng r = {(uint64_t)_i + 8};
    if (seen_in_bf16(_i))
        return;
    ways_open(&w, _i, &dims_most);
    for (int i = 0; i < (SANITIZED_THREADS ? 3 : SANITIZED ? 6 : 12); i++) {
        const int *s = shapes[i];
        vx_attention_bwd a = {.batch = s[0],
                              .targets = s[1],
                              .tokens = s[2],
                              .heads = s[3],
                              .head_width = s[4],
                              .queries = s[5],
                              .first = s[6],
                              .kind = (vx_product)(i / 2 % 2)};
        if (i % 2 == 0 && !a.first)
            a.relative = relative_positions(&r, a.tokens, a.heads);
        bwd_case(&w, &r, a, parts[i % 8], 1);
        bwd_case(&w, &r, a, parts[(i + 3) % 8], i < 4 || i == 9 ? 2 : 1);
        a.kind = (vx_product)!a.kind;
        if (!SANITIZED && i % 3 == 0)
            bwd_case(&w, &r, a, i % 2 ? PRODUCT : MEAN, 1);
        free_relative(&a.relative);
    }
    ways_close(&w);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda attention");
    TCase *c = tcase_create("forward"), *bwd = tcase_create("gradients");
    tcase_add_loop_test(c, test_attention__places, 0, RUN_WAYS);
    tcase_add_loop_test(c, test_attention__records, 0, SANITIZED_THREADS ? 1 : WAYS);
    tcase_add_loop_test(c, test_attention__lengths_and_widths, 0, SANITIZED_THREADS ? 1 : WAYS);
    tcase_add_loop_test(bwd, test_attention_bwd__lengths_and_widths, 0, RUN_WAYS);
    suite_add_tcase(s, bwd);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}
