/*
 * Every operation of every device and version against the scalar reference, on odd sizes, with
 * guarded memory; the reference against formulas of its own. VX_TEST_THREADS
 *
 *     test_kernels                  runs the suite
 *     test_kernels --bench          times every operation and version (make bench)
 *     test_kernels --bench linear   those whose name or version holds a word
 *
 * A `bed` is a device opened with some features withheld and some number of threads. Versions that
 * this machine lacks are skipped with a line.
 */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"
#include "kernels/bits.h"
#include "kernels/cpu/cpu.h"
#include "kernels/device.h"
#include "util.h"

#if defined(__SANITIZE_THREAD__)
#define QUICK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define QUICK 1
#endif
#endif
#ifndef QUICK
#define QUICK 0
#endif

/* ck_assert_msg(), without the line that Check writes to a file for every assertion that holds:
 * there are millions, and --bench runs outside of Check. */
#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* ------------------------------------------------------------------------------ the bed ---- */

static const struct version {
    const char *name, *device;
    unsigned features;
    const char *must_say[2]; /* what dev->kernels holds where the version is there */
} versions[] = {
    {"cpu, all", "cpu", VX_FEATURES_ALL, {"", ""}},
    {"cpu, avx512, BLAS", "cpu", VX_FEATURES_ALL, {"avx512", "OpenBLAS"}},
    {"cpu, avx2, BLAS", "cpu", VX_CPU_AVX2 | VX_CPU_BLAS, {"avx2", "OpenBLAS"}},
    {"cpu, avx512", "cpu", VX_CPU_AVX512 | VX_CPU_AVX2, {"avx512", "own"}},
    {"cpu, avx2", "cpu", VX_CPU_AVX2, {"avx2", "own"}},
    {"cpu, baseline", "cpu", 0, {"baseline", "own"}},
    {"ref", "ref", VX_FEATURES_ALL, {"scalar", ""}},
};
enum { VERSIONS = sizeof versions / sizeof *versions, MOST_THREADS = 3 };

typedef struct bed {
    vx_device *dev;
    vx_pool *pool;
    int allocations_left; /* -1: any number */
    const struct version *version;
} bed;

static void *bed_alloc(size_t bytes, void *owner)
{
    bed *b = owner;
    if (b->allocations_left == 0)
        return NULL;
    b->allocations_left -= b->allocations_left > 0;
    return malloc(bytes);
}

static void bed_release(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static void bed_parallel(void (*task)(void *, int, int), void *arg, int count, void *owner)
{
    vx_pool_run(((bed *)owner)->pool, task, arg, count);
}

static vx_device_env bed_env(bed *b)
{
    return (vx_device_env){bed_alloc, bed_release, bed_parallel, NULL, b, vx_pool_threads(b->pool)};
}

static const vx_dims largest = {.batch = 3,
                                .tokens = 197,
                                .width = 192,
                                .heads = 12,
                                .head_width = 64,
                                .hidden = 768,
                                .channels = 3,
                                .patch_height = 16,
                                .patch_width = 16,
                                .classes = 1000};

/* Index runs over the versions and 1 to 3 threads. false: this machine lacks the version. */
static bool bed_open(bed *b, int index, const vx_dims *dims)
{
    char err[200] = "";
    vitx_hooks hooks;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    *b = (bed){.allocations_left = -1, .version = &versions[index / MOST_THREADS]};
    expect(vx_pool_create(&b->pool, &hooks, 1 + index % MOST_THREADS) == 0, "no threads");
    const vx_device_env env = bed_env(b);
    const vx_device_class *cls = vx_device_find(b->version->device);
    expect(cls->open(&b->dev, &env, "auto", b->version->features, err, sizeof err) == 0, "%s", err);
    expect(cls->reserve(b->dev, dims, err, sizeof err) == 0, "%s", err);
    if (strstr(b->dev->kernels, b->version->must_say[0]) &&
        strstr(b->dev->kernels, b->version->must_say[1]))
        return true;
    if (index % MOST_THREADS == 0)
        printf("skipped: \"%s\" is not on this machine (%s)\n", b->version->name, b->dev->kernels);
    cls->close(b->dev);
    vx_pool_free(b->pool);
    return false;
}

static void bed_close(bed *b)
{
    char err[200];
    expect(b->dev->cls->sync(b->dev, err, sizeof err) == 0, "%s", err);
    b->dev->cls->close(b->dev);
    vx_pool_free(b->pool);
}

/* ----------------------------------------------------------------------- guarded memory ---- */

/* Outputs lie between guards and begin at no particular alignment; what nobody writes keeps its
 * pattern, a NaN that no computation gives. Inputs are exactly as large as they are, for the
 * address sanitizer. */
enum { GUARD = 37, MOST_BLOCKS = 16 };
static const uint32_t pattern = 0x7fa5c3e1u;
static struct block {
    uint32_t *memory;
    size_t words;
} blocks[MOST_BLOCKS];
static int block_count;

static void *output(size_t bytes)
{
    expect(block_count < MOST_BLOCKS, "too many outputs");
    struct block *b = &blocks[block_count++];
    b->words = (bytes + 3) / 4;
    b->memory = malloc((b->words + 2 * GUARD) * 4);
    expect(b->memory != NULL, "no memory");
    for (size_t i = 0; i < b->words + 2 * GUARD; i++)
        b->memory[i] = pattern;
    return b->memory + GUARD;
}

static float *output_f32(size_t n)
{
    return output(n * sizeof(float));
}

static float *copied(const float *x, size_t n)
{
    float *y = output_f32(n);
    memcpy(y, x, n * sizeof *y);
    return y;
}

static bool untouched(float x)
{
    return vx_float_bits(x) == pattern;
}

static void check_guards(const char *what)
{
    for (int i = 0; i < block_count; i++)
        for (size_t j = 0; j < GUARD; j++) {
            const uint32_t *after = blocks[i].memory + GUARD + blocks[i].words;
            expect(blocks[i].memory[j] == pattern && after[j] == pattern,
                   "%s wrote outside its output", what);
        }
}

static void free_outputs(void)
{
    while (block_count)
        free(blocks[--block_count].memory);
}

/* What numbers an input holds. */
enum kind { NORMAL, LARGE, TINY, CONSTANT, OFFSET, MASKED, KINDS };

static float draw(rng *r, enum kind kind)
{
    const float x = rng_normal(r);
    switch (kind) {
    case LARGE:
        return x * 1e18f;
    case TINY:
        return x * 1e-40f;
    case CONSTANT:
        return 1234.567f;
    case OFFSET:
        return 1e4f + x;
    case MASKED:
        return rng_int(r, 0, 3) ? x : -1e30f;
    default:
        return x * 2;
    }
}

static float *input(rng *r, size_t n, enum kind kind)
{
    float *x = malloc(n * sizeof *x + (n == 0));
    expect(x != NULL, "no memory");
    for (size_t i = 0; i < n; i++)
        x[i] = draw(r, kind);
    return x;
}

static float *weights(rng *r, size_t n, float scale)
{
    float *x = input(r, n, NORMAL);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    return x;
}

/* Both NaN, the same infinity, or within `tolerance` of the larger of |b| and `floor`. */
static void check_close(const float *a, const float *b, size_t n, double tolerance, double floor,
                        const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i]) && !untouched(a[i]))
            continue;
        const double limit = tolerance * fmax(fabs((double)b[i]), floor);
        expect(a[i] == b[i] || fabs((double)a[i] - (double)b[i]) <= limit,
               "%s: element %zu of %zu is %.9g, expected %.9g", what, i, n, (double)a[i],
               (double)b[i]);
    }
}

static const char *say(const bed *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *say(const bed *b, const char *format, ...)
{
    static char line[400];
    va_list args;
    va_start(args, format);
    const int n =
        snprintf(line, sizeof line, "%s, %d threads: ", b->version->name, vx_pool_threads(b->pool));
    vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    return line;
}

static const int sizes[] = {1, 7, 17, 33, 197};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* ------------------------------------------------------------------------ along the rows --- */

static void softmax_case(bed *b, rng *r, int m, int n, enum kind kind)
{
    const size_t count = (size_t)m * (size_t)n;
    const char *what = say(b, "softmax [%d,%d] of kind %d", m, n, (int)kind);
    float *x = input(r, count, kind), *expected = output_f32(count);
    float *y = output_f32(count), *in_place = copied(x, count);
    vx_softmax_ref(NULL, expected, x, m, n);
    b->dev->ops.softmax(b->dev, y, x, m, n);
    b->dev->ops.softmax(b->dev, in_place, in_place, m, n);
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

START_TEST(test_softmax__matches_reference)
{
    bed b;
    rng r = {1};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            softmax_case(&b, &r, QUICK ? 40 : 3 + 60 * (i == 4), sizes[i], (enum kind)kind);
    bed_close(&b);
}
END_TEST

START_TEST(test_softmax__keeps_nan_and_infinities)
{
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (int n = 1; n <= 40; n++) {
        float x[4 * 40], expected[4 * 40], *y = output_f32(4 * (size_t)n);
        for (int j = 0; j < 4 * n; j++)
            x[j] = (float)(j % 5);
        x[n - 1] = NAN;
        x[n + n / 2] = INFINITY;
        for (int j = 2 * n; j < 3 * n; j++)
            x[j] = -INFINITY;
        x[3 * n] = n > 1 ? -INFINITY : 0;
        vx_softmax_ref(NULL, expected, x, 4, n);
        b.dev->ops.softmax(b.dev, y, x, 4, n);
        check_guards("softmax");
        check_close(y, expected, 4 * (size_t)n, TOL_KERNEL, 1e-30, say(&b, "softmax of %d", n));
        ck_assert(isnan(y[0]) && isnan(y[n]) && isnan(y[2 * n]) && !isnan(y[3 * n]));
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

static void layernorm_case(bed *b, rng *r, int m, int n, enum kind kind, int pad)
{
    const int ldx = n + pad, ldy = n + 2 * pad;
    const size_t count = (size_t)m * (size_t)ldy;
    const char *what = say(b, "layernorm [%d,%d] of kind %d", m, n, (int)kind);
    float *x = input(r, (size_t)m * (size_t)ldx, kind),
          *in_place = copied(x, (size_t)m * (size_t)ldx);
    float *w = weights(r, (size_t)n, 1), *bias = weights(r, (size_t)n, 1);
    float *y = output_f32(count), *expected = output_f32(count);
    vx_layernorm_ref(NULL, expected, ldy, x, ldx, w, bias, 1e-6f, m, n);
    b->dev->ops.layernorm(b->dev, y, ldy, x, ldx, w, bias, 1e-6f, m, n);
    b->dev->ops.layernorm(b->dev, in_place, ldx, in_place, ldx, w, bias, 1e-6f, m, n);
    check_guards(what);
    for (int i = 0; i < m; i++) {
        check_close(y + i * ldy, expected + i * ldy, (size_t)n, TOL_KERNEL, 1, what);
        expect(memcmp(y + i * ldy, in_place + i * ldx, (size_t)n * sizeof *y) == 0, "%s", what);
        expect(memcmp(in_place + i * ldx + n, x + i * ldx + n, (size_t)pad * sizeof *y) == 0, "%s",
               what);
        for (int j = n; j < ldy; j++)
            expect(untouched(y[i * ldy + j]), "%s: wrote between rows", what);
    }
    free(x);
    free(w);
    free(bias);
    free_outputs();
}

START_TEST(test_layernorm__matches_reference)
{
    bed b;
    rng r = {2};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            layernorm_case(&b, &r, 3 + 60 * (i == 4), sizes[i], (enum kind)kind, i * 3 % 7);
    layernorm_case(&b, &r, 197, 768, NORMAL, 0);
    float x[3] = {1, NAN, 2}, w[3] = {1, 1, 1}, y[3];
    b.dev->ops.layernorm(b.dev, y, 3, x, 3, w, w, 1e-6f, 1, 3);
    ck_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    bed_close(&b);
}
END_TEST

START_TEST(test_activate__matches_reference)
{
    static const float special[] = {0,   -0.0f,    1,         -1,    30,     -30,     88,
                                    -88, 1e-40f,   -1e-40f,   1e30f, -1e30f, 3.4e38f, -3.4e38f,
                                    NAN, INFINITY, -INFINITY, 14.4f, -14.6f, -13.0f};
    bed b;
    rng r = {3};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int act = 0; act < VX_ACT_COUNT; act++)
        for (int i = 0; i < SIZES + 1; i++) {
            const size_t n = i < SIZES ? (size_t)sizes[i] : 20011;
            const char *what = say(&b, "activation %d of %zu", act, n);
            float *x = input(&r, n, NORMAL), *expected = output_f32(n);
            for (size_t j = 0; j < n && i > 2; j++)
                x[j] = j < sizeof special / sizeof *special ? special[j] : x[j] * 3;
            float *y = output_f32(n), *in_place = copied(x, n);
            vx_activate_ref(NULL, expected, x, (vx_act)act, (int64_t)n);
            b.dev->ops.activate(b.dev, y, x, (vx_act)act, (int64_t)n);
            b.dev->ops.activate(b.dev, in_place, in_place, (vx_act)act, (int64_t)n);
            check_guards(what);
            check_close(y, expected, n, TOL_KERNEL, act == VX_ACT_GELU ? 1e-30 : 1e-3, what);
            ck_assert_mem_eq(y, in_place, n * sizeof *y);
            free(x);
            free_outputs();
        }
    bed_close(&b);
}
END_TEST

/* Every 1009th float: erf to 1e-6 absolute, GELU to 1e-6 relative down to -13 (1e-5 where
 * there is no fused multiply-add). */
START_TEST(test_activate__gelu_is_accurate_over_all_floats)
{
    enum { CHUNK = 4096 };
    bed b;
    static float x[CHUNK], y[CHUNK];
    double worst_erf = 0, worst_relative = 0;
    const uint32_t step = QUICK ? 400009 : 4001;
    if (!bed_open(&b, _i, &largest))
        return;
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        int n = 0;
        for (; n < CHUNK && bits <= UINT32_MAX; bits += step) {
            x[n] = vx_bits_float((uint32_t)bits);
            n += isfinite(x[n]);
        }
        b.dev->ops.activate(b.dev, y, x, VX_ACT_GELU, n);
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
    bed_close(&b);
}
END_TEST

/* ------------------------------------------------------------------------------- linear ---- */

/* nmse_ff, but a single element may be small because its terms cancel: they are of size 1. */
static double product_error(const float *a, const float *b, size_t n)
{
    double error = 0, power = (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        if (!(fabs(d) < 1e30))
            return INFINITY;
        error += d * d;
        power += (double)b[i] * (double)b[i];
    }
    return error / power;
}

enum { BIAS = 1, GAMMA = 2, RESIDUAL = 4, IN_PLACE = 8 };

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
    void *packed = output(vx_device_find("cpu")->weight_bytes("f32", n, k));
    b->dev->cls->weight_pack("f32", packed, w, 0, n / 2, n, k);
    b->dev->cls->weight_pack("f32", packed, w + (size_t)(n / 2) * (size_t)k, n / 2, n - n / 2, n,
                             k);
    const vx_weight weight = {packed, parts & BIAS ? bias : NULL, n, k};
    vx_linear a = {.ldy = (int)ldy,
                   .x = x,
                   .ldx = (int)ldx,
                   .w = &weight,
                   .ldr = (int)ldr,
                   .gamma = parts & GAMMA ? gamma : NULL,
                   .act = act,
                   .m = m};
    for (int run = 0; run < 3; run++) {
        a.y = run < 2 ? outputs[run] : expected;
        a.residual = parts & RESIDUAL ? residual : NULL;
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
    }
    free(x);
    free(w);
    free(bias);
    free(gamma);
    free(residual);
    free_outputs();
}

START_TEST(test_linear__matches_reference)
{
    static const int parts[] = {0,
                                BIAS,
                                BIAS | RESIDUAL,
                                BIAS | GAMMA | RESIDUAL,
                                RESIDUAL | IN_PLACE,
                                BIAS | RESIDUAL | IN_PLACE,
                                BIAS | GAMMA | RESIDUAL | IN_PLACE};
    bed b;
    rng r = {4};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < (QUICK ? 40 : 200); i++) {
        const int m = sizes[rng_int(&r, 0, SIZES - 1)], n = sizes[rng_int(&r, 0, SIZES - 1)];
        const int k = sizes[rng_int(&r, 0, SIZES - 1)];
        linear_case(&b, &r, m, n, k, (vx_act)(i % VX_ACT_COUNT), parts[i % 7], i % 4);
    }
    for (int m = 1; m <= 13; m++) /* every remainder of the blocks */
        linear_case(&b, &r, m, 31 + 7 * m, 300, VX_ACT_NONE, BIAS, 0);
    if (!QUICK)
        linear_case(&b, &r, 500, 700, 64, VX_ACT_GELU, BIAS | GAMMA | RESIDUAL | IN_PLACE, 1);
    bed_close(&b);
}
END_TEST

/* Against loops written here, so that the reference is not its own witness. */
START_TEST(test_linear__reference_is_the_formula)
{
    enum { M = 5, N = 6, K = 9 };
    rng r = {5};
    float *x = weights(&r, M * K, 1), *w = weights(&r, N * K, 1),
          *v = weights(&r, 2 * N + M * N, 1), y[M * N];
    double exact[M * N];
    const vx_weight weight = {w, v, N, K};
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
    const vx_weight weight = {w, bias, d, k};
    vx_patch_embed a = {expected,
                        image,
                        &weight,
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

START_TEST(test_patch_embed__matches_reference)
{
    bed b;
    rng r = {6};
    if (!bed_open(&b, _i, &largest))
        return;
    patch_embed_case(&b, &r, 1, 64, 48, 16, 16, 33, 1, 1);
    patch_embed_case(&b, &r, 3, 50, 61, 16, 8, 40, 2, 1);
    patch_embed_case(&b, &r, 2, 30, 30, 7, 5, 17, 0, 0);
    patch_embed_case(&b, &r, 1, 16, 16, 16, 16, 7, 5, 0);
    bed_close(&b);
}
END_TEST

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

static void attention_case(bed *b, rng *r, vx_recorded record, int e)
{
    const size_t d = (size_t)(record.heads * e), rows = (size_t)(record.batch * record.tokens);
    const size_t count = rows * d;
    const char *what = say(b, "attention B%d T%d H%d E%d keep %d store %d fuse %d query %d",
                           record.batch, record.tokens, record.heads, e, (int)record.keep,
                           (int)record.store, (int)record.fuse, record.query);
    float *qkv = input(r, rows * 3 * d, NORMAL), *expected = output_f32(count);
    vx_attention a = {
        expected, qkv, 1 / sqrtf((float)e), record.batch, record.tokens, record.heads, e, record};
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
    expect(product_error(y[0], expected, count) < TOL_NMSE, "%s", what);
    check_record(&a.record, &reference, what);
    expect(memcmp(y[0], y[1], count * sizeof(float)) == 0, "%s: two runs differ", what);
    ck_assert(!record.keep || memcmp(data[0], data[1], record_bytes(&record)) == 0);
    free(qkv);
    free_outputs();
}

START_TEST(test_attention__matches_reference)
{
    static const int shapes[][4] = {
        {2, 17, 3, 8}, {1, 33, 2, 70}, {1, 1, 1, 1}, {3, 7, 5, 16}, {1, 197, 3, 64}};
    bed b;
    rng r = {7};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int s = 0; s < (QUICK ? 4 : 5); s++) {
        vx_recorded record = {.batch = shapes[s][0], .tokens = shapes[s][1], .heads = shapes[s][2]};
        const int e = shapes[s][3], last = record.tokens - 1;
        attention_case(&b, &r, record, e);
        for (int store = VX_STORE_F32; store <= VX_STORE_F16; store++) {
            record.store = (vx_store)store;
            record.keep = VX_KEEP_ALL;
            attention_case(&b, &r, record, e);
            record.keep = VX_KEEP_ROW;
            for (record.query = -1; record.query <= last; record.query += 1 + last / 2) {
                record.first = record.query < 0 && last > 0 ? 1 : 0;
                attention_case(&b, &r, record, e);
            }
            record.keep = VX_KEEP_FUSED;
            for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN && s < 4; fuse++) {
                record.fuse = (vx_fuse)fuse;
                attention_case(&b, &r, record, e);
            }
        }
    }
    bed_close(&b);
}
END_TEST

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
    const vx_attention a = {expected, qkv, 0.5f, 1, T, H, E, all};
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
    mean.record.first = 700;
    float *row = malloc(sizeof(float) * H * T);
    vx_attn_row_ref(NULL, row, &all, -1, 700);
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
    const vx_attention a = {
        y, qkv, 0.5f, 1, T, H, E, {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, H, T}};
    vx_attention_ref(NULL, &a);
    for (int h = 0; h < H; h++)
        for (int i = 0; i < T; i++) {
            double s[T], sum = 0, exact[E] = {0};
            for (int j = 0; j < T; j++) {
                s[j] = 0;
                for (int e = 0; e < E; e++)
                    s[j] += 0.5 * qkv[(i * 3 * H + h) * E + e] * qkv[(j * 3 * H + H + h) * E + e];
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

static void recorded_case(bed *b, rng *r, vx_store store, int batch, int heads, int t)
{
    const size_t fused = (size_t)(batch * t) * (size_t)t, row = (size_t)(batch * heads * t);
    vx_recorded all = make_record(r, VX_KEEP_ALL, store, batch, heads, t);
    vx_recorded rows = make_record(r, VX_KEEP_ROW, store, batch, heads, t);
    vx_recorded one = make_record(r, VX_KEEP_FUSED, store, batch, heads, t);
    const char *what = say(b, "attn_fuse or attn_row B%d H%d T%d", batch, heads, t);
    float *y = output_f32(fused), *expected = output_f32(fused);
    float *z = output_f32(row), *expected_row = output_f32(row);
    for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN; fuse++)
        for (int head = -1; head<heads; head += heads> 1 ? heads - 1 : 1) {
            vx_attn_fuse_ref(NULL, expected, &all, (vx_fuse)fuse, head);
            b->dev->ops.attn_fuse(b->dev, y, &all, (vx_fuse)fuse, head);
            check_close(y, expected, fused, TOL_KERNEL, 0, what);
        }
    vx_attn_fuse_ref(NULL, expected, &one, VX_FUSE_MEAN, -1);
    b->dev->ops.attn_fuse(b->dev, y, &one, VX_FUSE_MEAN, -1);
    check_close(y, expected, fused, 0, 0, what);
    for (int query = -1; query < t; query += t / 2 + 1) {
        const int first = t > 1;
        vx_attn_row_ref(NULL, expected_row, &all, query, first);
        b->dev->ops.attn_row(b->dev, z, &all, query, first);
        check_close(z, expected_row, row, TOL_KERNEL, 0, what);
    }
    vx_attn_row_ref(NULL, expected_row, &rows, 0, 0);
    b->dev->ops.attn_row(b->dev, z, &rows, 0, 0);
    check_close(z, expected_row, row, 0, 0, what);
    check_guards(what);
    free_outputs();
    free(all.data);
    free(rows.data);
    free(one.data);
}

START_TEST(test_recorded__matches_reference)
{
    bed b;
    rng r = {10};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int store = VX_STORE_F32; store <= VX_STORE_F16; store++)
            recorded_case(&b, &r, (vx_store)store, 1 + i % 2, 1 + i,
                          QUICK && i == 4 ? 50 : sizes[i]);
    bed_close(&b);
}
END_TEST

START_TEST(test_recorded__nan_stays)
{
    bed b;
    if (!bed_open(&b, _i, &largest))
        return;
    for (int fuse = VX_FUSE_MEAN; fuse <= VX_FUSE_MIN; fuse++)
        for (int bad = 0; bad < 3; bad++) {
            enum { T = 5 };
            float p[3 * T * T], y[T * T];
            for (int i = 0; i < 3 * T * T; i++)
                p[i] = 0.25f;
            p[bad * T * T + 7] = NAN;
            const vx_recorded record = {p, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, 3, T};
            b.dev->ops.attn_fuse(b.dev, y, &record, (vx_fuse)fuse, -1);
            expect(isnan(y[7]) && y[6] == 0.25f && y[8] == 0.25f, "fuse %d head %d", fuse, bad);
        }
    bed_close(&b);
}
END_TEST

START_TEST(test_mean_tokens__matches_reference)
{
    bed b;
    rng r = {11};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int t = sizes[i], d = sizes[SIZES - 1 - i], batch = 1 + i % 3;
        float *x = input(&r, (size_t)(batch * t * d), OFFSET);
        float *y = output_f32((size_t)(batch * d)), *expected = output_f32((size_t)(batch * d));
        vx_mean_tokens_ref(NULL, expected, x, t > 1, batch, t, d);
        b.dev->ops.mean_tokens(b.dev, y, x, t > 1, batch, t, d);
        check_guards("mean_tokens");
        check_close(y, expected, (size_t)(batch * d), TOL_KERNEL, 0,
                    say(&b, "mean_tokens %d %d", t, d));
        free(x);
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

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
    vx_discard_smallest_ref(NULL, reference, count, keep_first, batch, t);
    b->dev->ops.discard_smallest(b->dev, f, count, keep_first, batch, t);
    check_guards(what);
    expect(memcmp(reference, expected, (size_t)(batch * n) * sizeof *f) == 0, "%s (reference)",
           what);
    expect(memcmp(f, expected, (size_t)(batch * n) * sizeof *f) == 0, "%s", what);
    free(order);
    free_outputs();
}

START_TEST(test_discard_smallest__drops_exactly_those)
{
    bed b;
    rng r = {12};
    if (!bed_open(&b, _i, &largest))
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
END_TEST

START_TEST(test_rollout_step__matches_reference)
{
    bed b;
    rng r = {13};
    if (!bed_open(&b, _i, &largest))
        return;
    for (int i = 0; i < 2 * SIZES; i++) {
        const int t = QUICK && i > 7 ? 50 : sizes[i / 2], batch = 1 + i % 3;
        const size_t n = (size_t)(batch * t);
        vx_recorded f = make_record(&r, VX_KEEP_FUSED, VX_STORE_F32, batch, 1, t);
        float *row = malloc(n * sizeof *row), *y = output_f32(n), *expected = output_f32(n);
        for (size_t j = 0; j < n; j++)
            row[j] = rng_float(&r, 0, 1);
        vx_rollout_step_ref(NULL, expected, row, f.data, (vx_norm)(i % 2), batch, t);
        b.dev->ops.rollout_step(b.dev, y, row, f.data, (vx_norm)(i % 2), batch, t);
        check_guards("rollout_step");
        check_close(y, expected, n, TOL_KERNEL, 0, say(&b, "rollout_step %d, norm %d", t, i % 2));
        if (i % 2 == VX_NORM_ROWS) { /* rows of the normalised matrix sum to 1: the sum is kept */
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
END_TEST

/* --------------------------------------------------------------------- halves, devices ----- */

START_TEST(test_half__every_half_survives)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float x = vx_half_to_float((uint16_t)h);
        if (isnan(x))
            expect(isnan(vx_half_to_float(vx_float_to_half(x))), "%x", h);
        else
            expect(vx_float_to_half(x) == h, "%x", h);
    }
    ck_assert_float_eq(vx_half_to_float(0x3c00), 1);
    ck_assert_float_eq(vx_half_to_float(0x0001), 0x1p-24f);
    ck_assert_uint_eq(vx_float_to_half(65519.99f), 0x7bff);
    ck_assert_uint_eq(vx_float_to_half(65520), 0x7c00);
    ck_assert_uint_eq(vx_float_to_half(0x1p-25f), 0); /* half way: to even */
    ck_assert_uint_eq(vx_float_to_half(0x1.8p-24f), 2);
}
END_TEST

START_TEST(test_half__vectors_round_as_the_scalar)
{
    enum { N = 1003 };
    bed b;
    rng r = {14};
    if (!bed_open(&b, _i, &largest))
        return;
    static float x[N], back[N];
    static uint16_t half[N];
    for (int round = 0; round < (QUICK ? 3 : 100) && strcmp(b.version->device, "cpu") == 0;
         round++) {
        const vx_pieces *pieces = &vx_cpu_of(b.dev)->pieces;
        for (int i = 0; i < N; i++)
            x[i] = vx_bits_float((uint32_t)rng_next(&r) & 0xfffff000u); /* many ties */
        pieces->convert(half, VX_STORE_F16, x, VX_STORE_F32, 1, N);
        pieces->convert(back, VX_STORE_F32, half, VX_STORE_F16, 1, N);
        for (int i = 0; i < N; i++) {
            if (isnan(x[i])) {
                expect(isnan(back[i]), "%a", (double)x[i]);
                continue;
            }
            expect(half[i] == vx_float_to_half(x[i]), "%a", (double)x[i]);
            expect(back[i] == vx_half_to_float(half[i]), "%a", (double)x[i]);
        }
    }
    bed_close(&b);
}
END_TEST

START_TEST(test_device__opens_and_closes_a_hundred_times)
{
    bed b, second;
    for (int i = 0; i < 100; i++) {
        ck_assert(bed_open(&b, i % MOST_THREADS, &largest));
        const bool two = i % 10 == 0 && bed_open(&second, 1, &largest);
        if (i == 0)
            printf("kernels: %s\n", b.dev->kernels);
        rng r = {15};
        linear_case(&b, &r, 17, 33, 40, VX_ACT_NONE, BIAS, 0);
        if (two)
            bed_close(&second);
        bed_close(&b);
    }
}
END_TEST

START_TEST(test_device__refuses_an_unknown_precision)
{
    bed b;
    char err[100];
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    for (int i = 0; vx_device_at(i); i++) {
        const vx_device_class *cls = vx_device_at(i);
        vx_device *dev = (vx_device *)&b;
        ck_assert_int_ne(cls->open(&dev, &env, "f8", VX_FEATURES_ALL, err, sizeof err), 0);
        ck_assert(dev == NULL && strstr(err, "\"f8\"") && strstr(err, cls->name));
        ck_assert_ptr_eq(vx_device_find(cls->name), cls);
        ck_assert_str_eq(cls->precision_at(0), "f32");
    }
    ck_assert_ptr_null(vx_device_find("toaster"));
    bed_close(&b);
}
END_TEST

START_TEST(test_device__survives_failing_allocations)
{
    bed b;
    char err[200];
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    for (int i = 0; vx_device_at(i); i++) {
        const vx_device_class *cls = vx_device_at(i);
        vx_device *dev;
        b.allocations_left = 0;
        ck_assert_int_ne(cls->open(&dev, &env, NULL, VX_FEATURES_ALL, err, sizeof err), 0);
        ck_assert(dev == NULL && strstr(err, "memory"));
        ck_assert_ptr_null(cls->mem_alloc(100, &env));
        b.allocations_left = 1;
        ck_assert_int_eq(cls->open(&dev, &env, NULL, VX_FEATURES_ALL, err, sizeof err), 0);
        const int status = cls->reserve(dev, &largest, err, sizeof err);
        ck_assert(status == 0 ? cls->reserve_bytes(dev, &largest) == 0
                              : strstr(err, "memory") != NULL);
        b.allocations_left = -1;
        ck_assert_int_eq(cls->reserve(dev, &largest, err, sizeof err), 0);
        ck_assert_int_eq(cls->reserve(dev, &largest, err, sizeof err), 0);
        cls->close(dev);
        cls->close(NULL);
    }
    bed_close(&b);
}
END_TEST

START_TEST(test_device__memory_is_aligned)
{
    bed b;
    ck_assert(bed_open(&b, 0, &largest));
    const vx_device_env env = bed_env(&b);
    const size_t bytes[] = {0, 1, 63, 64, 1000, 9 << 20};
    for (int i = 0; i < 6; i++) {
        char *p = b.dev->cls->mem_alloc(bytes[i], &env);
        ck_assert(p != NULL && (uintptr_t)p % 64 == 0);
        memset(p, 1, bytes[i]);
        b.dev->cls->mem_free(p, &env);
    }
    b.dev->cls->mem_free(NULL, &env);
    ck_assert_ptr_null(b.dev->cls->mem_alloc(SIZE_MAX - 8, &env));
    bed_close(&b);
}
END_TEST

/* The program that uses us must not see our OpenBLAS: neither its symbols nor its settings. */
START_TEST(test_blas__stays_private)
{
    bed b;
    ck_assert_int_eq(setenv("OPENBLAS_NUM_THREADS", "7", 1), 0);
    ck_assert_int_eq(setenv("OPENBLAS_VERBOSE", "2", 1), 0);
    ck_assert(bed_open(&b, 0, &largest));
    ck_assert_str_eq(getenv("OPENBLAS_NUM_THREADS"), "7");
    ck_assert_ptr_null(getenv("OPENBLAS_CORETYPE"));
    ck_assert_ptr_null(dlsym(RTLD_DEFAULT, "cblas_sgemm"));
    rng r = {16};
    linear_case(&b, &r, 197, 197, 197, VX_ACT_NONE, BIAS, 0);
    bed_close(&b);
}
END_TEST

/* ------------------------------------------------------------------------------ timing ----- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least time of one call, measured for about a fifth of a second. */
static double least_time(void (*call)(void *arg), void *arg)
{
    double least = 1e9;
    call(arg);
    for (const double end = seconds() + 0.2; seconds() < end;) {
        const double start = seconds();
        call(arg);
        least = fmin(least, seconds() - start);
    }
    return least;
}

/* One operation with all its arguments. */
typedef struct job {
    vx_device *dev;
    const vx_ops *ops; /* dev's, or the reference's */
    void (*call)(void *arg);
    const char *what;
    double flops, bytes; /* of one call */
    vx_linear linear;
    vx_attention attention;
    vx_patch_embed patch_embed;
    float *x, *y, *w;
    vx_act act;
    int m, n;
} job;

static void call_linear(void *arg)
{
    job *j = arg;
    j->ops->linear(j->dev, &j->linear);
}

static void call_attention(void *arg)
{
    job *j = arg;
    j->ops->attention(j->dev, &j->attention);
}

static void call_patch_embed(void *arg)
{
    job *j = arg;
    j->ops->patch_embed(j->dev, &j->patch_embed);
}

static void call_layernorm(void *arg)
{
    job *j = arg;
    j->ops->layernorm(j->dev, j->y, j->n, j->x, j->n, j->w, j->w, 1e-6f, j->m, j->n);
}

static void call_softmax(void *arg)
{
    job *j = arg;
    j->ops->softmax(j->dev, j->y, j->x, j->m, j->n);
}

static void call_activate(void *arg)
{
    job *j = arg;
    j->ops->activate(j->dev, j->y, j->x, j->act, (int64_t)j->m * j->n);
}

static void call_mean_tokens(void *arg)
{
    job *j = arg;
    j->ops->mean_tokens(j->dev, j->y, j->x, 1, 1, j->m, j->n);
}

static void call_attn_fuse(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_fuse(j->dev, j->y, &a, VX_FUSE_MEAN, -1);
}

static void call_attn_row(void *arg)
{
    job *j = arg;
    const vx_recorded a = {j->x, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 1, j->m, j->n};
    j->ops->attn_row(j->dev, j->y, &a, -1, 1);
}

static void call_discard(void *arg)
{
    job *j = arg; /* with the copy without which the second call would see zeros */
    memcpy(j->y, j->x, (size_t)j->n * (size_t)j->n * sizeof(float));
    j->ops->discard_smallest(j->dev, j->y, (int64_t)(0.9 * j->n * j->n), 1, 1, j->n);
}

static void call_rollout(void *arg)
{
    job *j = arg;
    j->ops->rollout_step(j->dev, j->y, j->w, j->x, VX_NORM_ROWS, 1, j->n);
}

static const char *wanted = "";

static void report(const char *version, int threads, job *j)
{
    if (!strstr(version, wanted) && !strstr(j->what, wanted))
        return;
    const double t = least_time(j->call, j);
    printf("%-18s %d  %-34s %10.1f us", version, threads, j->what, t * 1e6);
    if (j->flops > 0)
        printf(" %8.1f GFLOP/s\n", j->flops / t * 1e-9);
    else
        printf(" %8.2f GB/s\n", j->bytes / t * 1e-9);
    fflush(stdout);
}

/* Memory for the largest of the timed shapes. */
static float *bench_x, *bench_y, *bench_w;
enum { BENCH_FLOATS = 1576 * 3072 };

static void time_rows(vx_device *dev, const vx_ops *ops, const char *version, int threads)
{
    const double tt = 197. * 197, mn = 197. * 768;
    job jobs[] = {
        {.call = call_layernorm, .what = "layernorm 197x768", .m = 197, .n = 768, .bytes = 8 * mn},
        {.call = call_softmax,
         .what = "softmax 12x197 x 197",
         .m = 12 * 197,
         .n = 197,
         .bytes = 96 * tt},
        {.call = call_activate,
         .what = "gelu 197x3072",
         .act = VX_ACT_GELU,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_activate,
         .what = "gelu_tanh 197x3072",
         .act = VX_ACT_GELU_TANH,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_activate,
         .what = "quick_gelu 197x3072",
         .act = VX_ACT_QUICK_GELU,
         .m = 197,
         .n = 3072,
         .bytes = 32 * mn},
        {.call = call_mean_tokens,
         .what = "mean_tokens 197x768",
         .m = 197,
         .n = 768,
         .bytes = 4 * mn},
        {.call = call_attn_fuse,
         .what = "attn_fuse 12 heads, 197",
         .m = 12,
         .n = 197,
         .bytes = 52 * tt},
        {.call = call_attn_row,
         .what = "attn_row 12 heads, 197, mean",
         .m = 12,
         .n = 197,
         .bytes = 48 * tt},
        {.call = call_discard, .what = "discard_smallest 197, 90 %", .n = 197, .bytes = 4 * tt},
        {.call = call_rollout, .what = "rollout_step 197", .n = 197, .bytes = 4 * tt},
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        jobs[i].dev = dev;
        jobs[i].ops = ops;
        jobs[i].x = bench_x;
        jobs[i].y = bench_y;
        jobs[i].w = bench_w;
        report(version, threads, &jobs[i]);
    }
}

/* OpenBLAS as a program that links it would run it: its own threads, its own choice of kernels. */
static struct bare {
    vx_sgemm_fn *sgemm;
    void (*set_threads)(int);
    const char *(*core)(void);
} bare;

static void call_bare(void *arg)
{
    const vx_linear *a = &((job *)arg)->linear;
    bare.sgemm(101, 111, 112, a->m, a->w->n, a->w->k, 1, a->x, a->w->k, a->w->data, a->w->k, 0,
               a->y, a->w->n);
}

static void time_linear(vx_device *dev, const char *version, int threads)
{
    static const int shapes[][3] = {{197, 2304, 768},  {197, 768, 768},   {197, 3072, 768},
                                    {197, 768, 3072},  {1576, 2304, 768}, {1576, 3072, 768},
                                    {1576, 768, 3072}, {197, 576, 192},   {197, 768, 192},
                                    {197, 192, 768},   {1, 1000, 768},    {8, 1000, 768}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int m = shapes[i][0], n = shapes[i][1], k = shapes[i][2];
        char what[64], note[96];
        const vx_weight w = {bench_w, bench_x, n, k};
        job j = {.dev = dev,
                 .ops = &dev->ops,
                 .call = call_linear,
                 .what = what,
                 .flops = 2.0 * m * n * k};
        j.linear = (vx_linear){.y = bench_y,
                               .ldy = n,
                               .x = bench_x,
                               .ldx = k,
                               .w = &w,
                               .m = m,
                               .act = n == 4 * k ? VX_ACT_GELU : VX_ACT_NONE};
        snprintf(what, sizeof what, "linear %dx%dx%d%s", m, n, k, n == 4 * k ? ", gelu" : "");
        report(version, threads, &j);
        if (!bare.sgemm || !strstr(dev->kernels, "OpenBLAS"))
            continue;
        bare.set_threads(threads);
        snprintf(note, sizeof note, "(bare %s)", bare.core());
        snprintf(what, sizeof what, "  sgemm %dx%dx%d for linear", m, n, k);
        j.call = call_bare;
        report(note, threads, &j);
        bare.set_threads(1);
    }
}

static void time_attention(vx_device *dev, const char *version, int threads)
{
    static const struct {
        const char *what;
        int batch, heads;
        vx_keep keep;
        vx_store store;
    } rows[] = {{"attention 12x64, keep none", 1, 12, VX_KEEP_NONE, VX_STORE_F32},
                {"attention 12x64, keep all f32", 1, 12, VX_KEEP_ALL, VX_STORE_F32},
                {"attention 12x64, keep all f16", 1, 12, VX_KEEP_ALL, VX_STORE_F16},
                {"attention 12x64, keep fused", 1, 12, VX_KEEP_FUSED, VX_STORE_F32},
                {"attention 12x64, keep row", 1, 12, VX_KEEP_ROW, VX_STORE_F32},
                {"attention 3x64, keep none", 1, 3, VX_KEEP_NONE, VX_STORE_F32},
                {"attention 8 pictures, keep none", 8, 12, VX_KEEP_NONE, VX_STORE_F32}};
    float *record = malloc(sizeof *record * 12 * 197 * 197);
    for (size_t i = 0; record && i < sizeof rows / sizeof *rows; i++) {
        job j = {.dev = dev, .ops = &dev->ops, .call = call_attention, .what = rows[i].what};
        j.attention = (vx_attention){bench_y,
                                     bench_x,
                                     0.125f,
                                     rows[i].batch,
                                     197,
                                     rows[i].heads,
                                     64,
                                     {record, rows[i].keep, rows[i].store, VX_FUSE_MEAN, 0, 0,
                                      rows[i].batch, rows[i].heads, 197}};
        j.flops = 4.0 * rows[i].batch * rows[i].heads * 197 * 197 * 64;
        report(version, threads, &j);
    }
    free(record);
    const vx_weight w = {bench_w, bench_w, 768, 768};
    job j = {
        .dev = dev, .ops = &dev->ops, .call = call_patch_embed, .what = "patch_embed 224, 16, 768"};
    j.patch_embed =
        (vx_patch_embed){bench_y, bench_x, &w, bench_w, bench_w, 1, 3, 224, 224, 16, 16, 1};
    j.flops = 2.0 * 196 * 768 * 768;
    report(version, threads, &j);
}

static void load_bare(void)
{
#ifdef VX_OPENBLAS_SONAME
    void *library =
        VX_OPENBLAS_SONAME[0] ? dlopen(VX_OPENBLAS_SONAME, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbols[3] = {NULL, NULL, NULL};
    if (library) {
        symbols[0] = dlsym(library, "openblas_get_corename");
        symbols[1] = dlsym(library, "openblas_set_num_threads");
        symbols[2] = dlsym(library, "cblas_sgemm");
    }
    if (symbols[0] && symbols[1]) {
        memcpy(&bare.core, &symbols[0], sizeof symbols[0]);
        memcpy(&bare.set_threads, &symbols[1], sizeof symbols[0]);
        memcpy(&bare.sgemm, &symbols[2], sizeof symbols[0]);
    }
#endif
}

static int bench(void)
{
    vx_ops reference;
    rng r = {17};
    vx_ops_init_ref(&reference);
    bench_x = input(&r, BENCH_FLOATS, NORMAL);
    bench_y = input(&r, BENCH_FLOATS, NORMAL);
    bench_w = weights(&r, BENCH_FLOATS, 0.02f);
    load_bare();
    printf("%-18s %s  %-34s %13s\n", "version", "threads", "operation", "least time");
    time_rows(NULL, &reference, "ref", 1);
    for (int version = 1; version < VERSIONS - 1; version++)
        for (int threads = 1; threads <= 2; threads++) {
            bed b;
            if (!bed_open(&b, version * MOST_THREADS + threads - 1, &largest))
                continue;
            const char *name = b.version->name;
            const bool own = strstr(b.dev->kernels, "own") != NULL;
            if (own || version == 1)
                time_rows(b.dev, &b.dev->ops, name, threads);
            time_linear(b.dev, name, threads);
            time_attention(b.dev, name, threads);
            bed_close(&b);
        }
    free(bench_x);
    free(bench_y);
    free(bench_w);
    return 0;
}

/* ------------------------------------------------------------------------------------------ */

static Suite *suite(void)
{
    enum { BEDS = VERSIONS * MOST_THREADS };
    Suite *s = suite_create("kernels");
    TCase *rows = tcase_create("rows"), *linear = tcase_create("linear");
    TCase *attention = tcase_create("attention"), *device = tcase_create("device");
    tcase_add_loop_test(rows, test_softmax__matches_reference, 0, BEDS);
    tcase_add_loop_test(rows, test_softmax__keeps_nan_and_infinities, 0, BEDS);
    tcase_add_loop_test(rows, test_layernorm__matches_reference, 0, BEDS);
    tcase_add_loop_test(rows, test_activate__matches_reference, 0, BEDS);
    tcase_add_loop_test(rows, test_mean_tokens__matches_reference, 0, BEDS);
    for (int v = 0; v < VERSIONS; v++)
        tcase_add_loop_test(rows, test_activate__gelu_is_accurate_over_all_floats, v * MOST_THREADS,
                            v * MOST_THREADS + 1);
    tcase_add_loop_test(linear, test_linear__matches_reference, 0, BEDS);
    tcase_add_test(linear, test_linear__reference_is_the_formula);
    tcase_add_loop_test(linear, test_patch_embed__matches_reference, 0, BEDS);
    tcase_add_loop_test(attention, test_attention__matches_reference, 0, BEDS);
    tcase_add_loop_test(attention, test_attention__strips_of_long_sequences, 0,
                        QUICK ? 3 : BEDS - MOST_THREADS);
    tcase_add_test(attention, test_attention__reference_is_the_formula);
    tcase_add_loop_test(attention, test_recorded__matches_reference, 0, BEDS);
    tcase_add_loop_test(attention, test_recorded__nan_stays, 0, BEDS);
    tcase_add_loop_test(attention, test_discard_smallest__drops_exactly_those, 0, BEDS);
    tcase_add_loop_test(attention, test_rollout_step__matches_reference, 0, BEDS);
    tcase_add_test(device, test_half__every_half_survives);
    tcase_add_loop_test(device, test_half__vectors_round_as_the_scalar, 0, BEDS);
    tcase_add_test(device, test_device__opens_and_closes_a_hundred_times);
    tcase_add_test(device, test_device__refuses_an_unknown_precision);
    tcase_add_test(device, test_device__survives_failing_allocations);
    tcase_add_test(device, test_device__memory_is_aligned);
    tcase_add_test(device, test_blas__stays_private);
    suite_add_tcase(s, rows);
    suite_add_tcase(s, linear);
    suite_add_tcase(s, attention);
    suite_add_tcase(s, device);
    return s;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        wanted = argc > 2 ? argv[2] : "";
        return bench();
    }
    return run_suite(suite());
}
