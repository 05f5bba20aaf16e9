/*
 * The operations of the CUDA device that are no products, on its host twin: rows of the narrow
 * types against the reference on the same numbers as floats, and what the beds of test_kernels do
 * not reach: lists longer than a kernel's parameters take, rows longer than a block holds, scratch
 * that is too small for all at once. Each test runs in two schedules of the twin's threads.
 * VX_TEST_THREADS
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_bed.h"
#include "kernels/bits.h"
#include "kernels/cuda/host/machine.h"
#include "kernels/device.h"
#include "util.h"

static const int schedules[] = {VX_SCHEDULE_REVERSE, VX_SCHEDULE_AHEAD};
/* The thread sanitizer finds the same in one schedule, and races know no types. */
enum { SCHEDULES = 2, PRECISIONS = 2, WAYS = SCHEDULES * PRECISIONS };
enum { RUN_WAYS = SANITIZED_THREADS ? 1 : WAYS, RUN_SCHEDULES = SANITIZED_THREADS ? 1 : SCHEDULES };
static const char *const narrow[PRECISIONS] = {"bf16", "f16"};

/* ------------------------------------------------------------------------------ the bed ---- */

enum { MOST_PIECES = 24, MOST_FLOATS = 24 };
static struct {
    vx_device *dev;
    vx_device_env env;
    bool bf16;
    void *pieces[MOST_PIECES];
    int count;
    float *floats[MOST_FLOATS]; /* of the host */
    int floats_count;
} bed;

static void *plain_alloc(size_t bytes, void *owner)
{
    (void)owner;
    return malloc(bytes);
}

static void plain_release(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static void plain_parallel(void (*task)(void *, int, int), void *arg, int count, void *owner)
{
    (void)owner;
    for (int i = 0; i < count; i++)
        task(arg, i, 0);
}

static void open_bed(const char *precision, int schedule)
{
    char err[200] = "";
    const vx_device_class *cls = cuda_class();
    vx_machine_schedule(schedule);
    bed.env = (vx_device_env){
        .alloc = plain_alloc, .release = plain_release, .parallel = plain_parallel, .workers = 1};
    bed.bf16 = strcmp(precision, "bf16") == 0;
    ck_assert_msg(cls->open(&bed.dev, &bed.env, precision, VX_FEATURES_ALL, err, sizeof err) == 0,
                  "%s", err);
    const vx_dims dims = {1, 4, 8, 2, 4, 8, 1, 2, 2, 3, 0};
    ck_assert_msg(bed.dev->cls->reserve(bed.dev, &dims, err, sizeof err) == 0, "%s", err);
}

static void free_pieces(void)
{
    while (bed.count)
        bed.dev->cls->mem_free(bed.pieces[--bed.count], &bed.env);
    while (bed.floats_count)
        free(bed.floats[--bed.floats_count]);
}

/* Zeros of the host, until the pieces are freed. */
static float *kept(size_t n)
{
    float *x = calloc(n + 1, sizeof *x);
    ck_assert(x != NULL && bed.floats_count < MOST_FLOATS);
    return bed.floats[bed.floats_count++] = x;
}

static void close_bed(void)
{
    free_pieces();
    bed.dev->cls->close(bed.dev);
    bed.dev = NULL;
}

static void *piece(const void *from, size_t bytes)
{
    char err[200] = "";
    ck_assert_int_lt(bed.count, MOST_PIECES);
    void *to = bed.dev->cls->mem_alloc(bytes, &bed.env);
    ck_assert_ptr_nonnull(to);
    bed.pieces[bed.count++] = to;
    if (bytes)
        ck_assert_msg(bed.dev->cls->mem_write(&bed.env, to, from, bytes, err, sizeof err) == 0,
                      "%s", err);
    return to;
}

static float *floats(const float *x, size_t n)
{
    return piece(x, n * sizeof *x);
}

static uint16_t to_narrow(float x)
{
    const uint32_t u = vx_float_bits(x);
    if (!bed.bf16)
        return vx_float_to_half(x);
    return isnan(x) ? 0x7fff : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static float of_narrow(uint16_t bits)
{
    return bed.bf16 ? vx_bits_float((uint32_t)bits << 16) : vx_half_to_float(bits);
}

/* x in the narrow type on the device; x becomes what that holds. `skip`: so many elements further
 * than it would be aligned. */
static vx_narrow *narrowed(float *x, size_t n, size_t skip)
{
    uint16_t *bits = calloc(n + skip + 1, sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        bits[skip + i] = to_narrow(x[i]);
        x[i] = of_narrow(bits[skip + i]);
    }
    vx_narrow *to = piece(bits, (n + skip) * sizeof *bits);
    free(bits);
    return vx_narrow_at(to, sizeof *bits, skip);
}

static void fetch(void *to, const void *from, size_t bytes)
{
    char err[200] = "";
    ck_assert_msg(bed.dev->cls->sync(bed.dev, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(bed.dev->cls->mem_read(&bed.env, to, from, bytes, err, sizeof err) == 0, "%s",
                  err);
}

/* What the device holds, as floats. */
static float *fetched(const float *wide, const vx_narrow *twin, size_t n)
{
    float *x = kept(n);
    if (!twin) {
        fetch(x, wide, n * sizeof *x);
        return x;
    }
    uint16_t *bits = malloc(n * sizeof *bits + 1);
    fetch(bits, twin, n * sizeof *bits);
    for (size_t i = 0; i < n; i++)
        x[i] = of_narrow(bits[i]);
    free(bits);
    return x;
}

static float *numbers(rng *r, size_t n, float scale)
{
    float *x = kept(n);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_normal(r) * scale;
    return x;
}

/* Within half a step of the narrow type (twin) and 1e-5 of `floor` or of what is expected. */
static void check_near(const float *found, const float *expected, size_t n, bool twin, double floor,
                       const char *what)
{
    const double step = !twin ? 0 : bed.bf16 ? 0x1.04p-9 : 0x1.04p-12;
    for (size_t i = 0; i < n; i++) {
        const double x = found[i], y = expected[i];
        const double limit =
            2 * step * fabs(y) + (twin ? 0x1p-25 : 0) + 1e-5 * fmax(fabs(y), floor);
        if (!(x == y || fabs(x - y) <= limit || (isnan(x) && isnan(y))))
            ck_abort_msg("%s: element %zu of %zu is %.9g, expected %.9g", what, i, n, x, y);
    }
}

/* -------------------------------------------------------------------------------- norms ---- */

typedef struct norm_case {
    int m, n, groups, pad, skip, rms, residual, x_twin, y_twin;
    float scale;
} norm_case;

static void layernorm_case(rng *r, const norm_case *c)
{
    char what[100];
    const int all = c->n * c->groups, ld = all + c->pad;
    const size_t count = (size_t)c->m * (size_t)ld;
    float *x = numbers(r, count, c->scale), *w = numbers(r, (size_t)c->n, 1);
    float *bias = numbers(r, (size_t)c->n, 1), *residual = numbers(r, count, 1);
    float *y = kept(count);
    snprintf(what, sizeof what, "layernorm [%d,%dx%d] pad %d skip %d", c->m, c->groups, c->n,
             c->pad, c->skip);
    vx_narrow *x_n = c->x_twin ? narrowed(x, count, (size_t)c->skip) : NULL;
    vx_narrow *y_n = c->y_twin ? narrowed(y, count, (size_t)c->skip) : NULL;
    vx_layernorm a = {.y = y,
                      .ldy = ld,
                      .x = x,
                      .ldx = ld,
                      .weight = w,
                      .bias = c->rms ? NULL : bias,
                      .eps = 1e-6f,
                      .m = c->m,
                      .n = c->n,
                      .rms = c->rms,
                      .groups = c->groups,
                      .residual = c->residual ? residual : NULL,
                      .ldr = ld};
    vx_layernorm b = a;
    b.x = x_n ? NULL : floats(x, count);
    b.x_n = x_n;
    b.y = y_n ? NULL : floats(y, count);
    b.y_n = y_n;
    b.weight = floats(w, (size_t)c->n);
    b.bias = a.bias ? floats(bias, (size_t)c->n) : NULL;
    b.residual = c->residual ? floats(residual, count) : NULL;
    vx_layernorm_ref(NULL, &a);
    bed.dev->ops.layernorm(bed.dev, &b);
    float *found = fetched(b.y, b.y_n, count);
    check_near(found, y, count, c->y_twin, 1, what);
    free_pieces();
}

static const int widths[] = {1,   7,    33,   100,  256,  260,  700,  768, 1000,
                             772, 1024, 2048, 2052, 2100, 6144, 6148, 9001};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

START_TEST(test_layernorm__narrow_rows_of_all_lengths)
{
    rng r = {1};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int i = 0; i < WIDTHS * 4; i++)
        layernorm_case(&r, &(norm_case){.m = widths[i / 4] > 999 ? 3 : 9,
                                        .n = widths[i / 4],
                                        .groups = widths[i / 4] < 999 ? 1 + i % 3 : 1,
                                        .pad = i % 5 == 1   ? 4
                                               : i % 5 == 2 ? 1
                                                            : 0,
                                        .skip = i % 7 == 3   ? 1
                                                : i % 7 == 4 ? 2
                                                             : 0,
                                        .rms = i / 2 % 2,
                                        .residual = i / 3 % 2,
                                        .x_twin = i % 4 & 1,
                                        .y_twin = i % 4 >> 1,
                                        .scale = i % 11 == 5 && !(i % 4 & 1) ? 1e25f : 3});
    close_bed();
}
END_TEST

enum { DX = 1, DY = 2, X = 4, PRE = 8 };

/* twins: which of the four arrays are narrow. */
static void layernorm_bwd_case(rng *r, int m, int n, vx_act act, int accumulate, int twins)
{
    enum { TARGETS = 2 };
    char what[100];
    const int wide = act == VX_ACT_SWIGLU ? 2 * n : n;
    const size_t dxs = (size_t)(TARGETS * m * wide), dys = (size_t)(TARGETS * m * n);
    const size_t xs = (size_t)(m * n), pres = (size_t)(m * wide);
    float *dx = numbers(r, dxs, 1), *dy = numbers(r, dys, 1), *x = numbers(r, xs, 2);
    float *pre = numbers(r, pres, 1), *w = numbers(r, (size_t)n, 1);
    snprintf(what, sizeof what, "layernorm_bwd [%d,%d] act %d, accumulate %d, twins %d", m, n,
             (int)act, accumulate, twins);
    vx_layernorm_bwd b = {.lddx = wide,
                          .lddy = n,
                          .ldx = n,
                          .ldp = wide,
                          .weight = floats(w, (size_t)n),
                          .eps = 1e-3f,
                          .accumulate = accumulate,
                          .m = TARGETS * m,
                          .n = n,
                          .tokens = m,
                          .targets = TARGETS,
                          .act = act};
    b.dx_n = twins & DX ? narrowed(dx, dxs, 0) : NULL;
    b.dx = twins & DX ? NULL : floats(dx, dxs);
    b.dy_n = twins & DY ? narrowed(dy, dys, 0) : NULL;
    b.dy = twins & DY ? NULL : floats(dy, dys);
    b.x_n = twins & X ? narrowed(x, xs, 0) : NULL;
    b.x = twins & X ? NULL : floats(x, xs);
    b.pre_n = twins & PRE ? narrowed(pre, pres, 0) : NULL;
    b.pre = twins & PRE ? NULL : floats(pre, pres);
    vx_layernorm_bwd a = b;
    a.dx_n = NULL;
    a.dy_n = a.x_n = a.pre_n = NULL;
    a.dx = dx;
    a.dy = dy;
    a.x = x;
    a.pre = pre;
    a.weight = w;
    vx_layernorm_bwd_ref(NULL, &a);
    bed.dev->ops.layernorm_bwd(bed.dev, &b);
    float *found = fetched(b.dx, b.dx_n, dxs);
    check_near(found, dx, dxs, twins & DX, 6, what);
    free_pieces();
}

START_TEST(test_layernorm_bwd__narrow_rows_of_all_lengths)
{
    static const vx_act acts[] = {VX_ACT_NONE, VX_ACT_GELU, VX_ACT_SWIGLU, VX_ACT_NONE,
                                  VX_ACT_QUICK_GELU};
    rng r = {2};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int i = 0; i < WIDTHS; i++)
        for (int j = 0; j < 3; j++) {
            const vx_act act = acts[(i + j) % 5];
            layernorm_bwd_case(&r, widths[i] > 999 ? 2 : 5, widths[i], act,
                               act == VX_ACT_NONE && j == 1, (i * 3 + j * 5) % 16);
        }
    close_bed();
}
END_TEST

START_TEST(test_softmax__rows_longer_than_a_block_holds)
{
    static const int lengths[] = {257, 1500, 2049, 9001};
    rng r = {3};
    open_bed("f32", schedules[_i]);
    for (int i = 0; i < 4; i++) {
        const size_t n = 3 * (size_t)lengths[i];
        float *x = numbers(&r, n, 3), *y = kept(n);
        float *to = floats(x, n);
        x[n - 2] = NAN;
        const float *from = floats(x, n);
        vx_softmax_ref(NULL, &(vx_softmax){y, x, 3, lengths[i]});
        bed.dev->ops.softmax(bed.dev, &(vx_softmax){to, from, 3, lengths[i]});
        float *found = fetched(to, NULL, n);
        check_near(found, y, n, false, 1e-30, "softmax");
        ck_assert(isnan(found[n - 1]) && !isnan(found[0]));
        free_pieces();
    }
    close_bed();
}
END_TEST

/* ------------------------------------------------------------------------- moving rows ---- */

/* twins: 1: y is narrow, 2: x is. */
static void copy_case(rng *r, int m, int n, int pad, int skip, int twins, float scale,
                      int accumulate)
{
    const size_t ys = (size_t)(m * (n + pad)), xs = (size_t)(m * n);
    float *x = numbers(r, xs, 1), *y = numbers(r, ys, 1);
    vx_copy_rows b = {
        .ldy = n + pad, .ldx = n, .m = m, .n = n, .scale = scale, .accumulate = accumulate};
    b.y_n = twins & 1 ? narrowed(y, ys, (size_t)skip) : NULL;
    b.y = twins & 1 ? NULL : floats(y, ys);
    b.x_n = twins & 2 ? narrowed(x, xs, (size_t)skip) : NULL;
    b.x = twins & 2 ? NULL : floats(x, xs);
    vx_copy_rows a = b;
    a.y_n = NULL;
    a.x_n = NULL;
    a.y = y;
    a.x = x;
    vx_copy_rows_ref(NULL, &a);
    bed.dev->ops.copy_rows(bed.dev, &b);
    float *found = fetched(b.y, b.y_n, ys);
    check_near(found, y, ys, twins & 1, 1e-3, "copy_rows");
    free_pieces();
}

/* Every 16 bits, NaNs of all kinds too. */
static void check_bits_are_kept(void)
{
    enum { ALL = 65536 };
    uint16_t *all = malloc(ALL * sizeof *all), *found = malloc(ALL * sizeof *found);
    for (int i = 0; i < ALL; i++)
        all[i] = (uint16_t)i;
    const vx_narrow *x = piece(all, ALL * sizeof *all);
    vx_narrow *y = piece(found, ALL * sizeof *found);
    for (int skip = 0; skip < 2; skip++) {
        bed.dev->ops.copy_rows(bed.dev, &(vx_copy_rows){.m = 1,
                                                        .n = ALL - 4 * skip,
                                                        .scale = 1,
                                                        .y_n = vx_narrow_at(y, 2, (size_t)skip),
                                                        .x_n = vx_narrow_at(x, 2, (size_t)skip)});
        fetch(found, y, ALL * sizeof *found);
        ck_assert_mem_eq(found, all, ALL * sizeof *found);
        bed.dev->ops.clear(bed.dev, &(vx_clear){.count = ALL - 1, .y_n = y});
        fetch(found, y, ALL * sizeof *found);
        for (int i = 0; i < ALL - 1; i++)
            ck_assert_uint_eq(found[i], 0);
        ck_assert_uint_eq(found[ALL - 1], ALL - 1);
        bed.dev->ops.copy_rows(bed.dev,
                               &(vx_copy_rows){.m = 1, .n = ALL, .scale = 1, .y_n = y, .x_n = x});
    }
    free(all);
    free(found);
    free_pieces();
}

START_TEST(test_copy_rows__narrow)
{
    static const int columns[] = {1, 7, 8, 64, 197};
    rng r = {4};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int i = 0; i < 40; i++)
        copy_case(&r, 1 + i % 9, columns[i % 5], i % 3 * 2, i % 2, i / 2 % 4, i % 6 ? 1 : 0.5f,
                  i % 4 == 3);
    check_bits_are_kept();
    close_bed();
}
END_TEST

START_TEST(test_gather_rows__long_lists)
{
    enum { A = 50, B = 5, ROWS = 2500, D = 12 };
    rng r = {5};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int way = 0; way < 4; way++) {
        float *a = numbers(&r, A * D, 1), *b = numbers(&r, B * D, 1);
        float *y = kept(ROWS * D);
        int *from = malloc(ROWS * sizeof *from);
        for (int i = 0; i < ROWS; i++)
            from[i] = rng_int(&r, -B, A - 1);
        vx_gather_rows g = {.from = from, .rows = ROWS, .width = D, .b = floats(b, B * D)};
        g.y_n = way & 1 ? narrowed(y, ROWS * D, 0) : NULL;
        g.y = way & 1 ? NULL : floats(y, ROWS * D);
        g.a_n = way & 2 ? narrowed(a, A * D, 0) : NULL;
        g.a = way & 2 ? NULL : floats(a, A * D);
        bed.dev->ops.gather_rows(bed.dev, &g);
        memset(from, 0xff, 9 * sizeof *from); /* may be reused */
        float *found = fetched(g.y, g.y_n, ROWS * D);
        for (int i = 9; i < ROWS; i++)
            memcpy(y + i * D, from[i] >= 0 ? a + from[i] * D : b + (-1 - from[i]) * D,
                   D * sizeof *y);
        check_near(found + 9 * D, y + 9 * D, (ROWS - 9) * D, way & 1, 0, "gather_rows");
        free(from);
        free_pieces();
    }
    close_bed();
}
END_TEST

START_TEST(test_replace_channels__long_lists)
{
    enum { COUNT = 1500, TOKENS = 2, D = 9, N = COUNT * TOKENS * D };
    rng r = {6};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int twin = 0; twin < 2; twin++) {
        float *x = numbers(&r, TOKENS * D, 1), *y = kept(N);
        int *channels = malloc(COUNT * sizeof *channels);
        for (int i = 0; i < COUNT; i++)
            channels[i] = rng_int(&r, 0, D - 1);
        vx_replace_channels a = {.y = y,
                                 .x = x,
                                 .channels = channels,
                                 .value = 0.5f,
                                 .count = COUNT,
                                 .tokens = TOKENS,
                                 .width = D};
        vx_replace_channels b = a;
        b.x = floats(x, TOKENS * D);
        b.y_n = twin ? narrowed(y, N, 0) : NULL;
        b.y = twin ? NULL : floats(y, N);
        vx_replace_channels_ref(NULL, &a);
        bed.dev->ops.replace_channels(bed.dev, &b);
        float *found = fetched(b.y, b.y_n, N);
        check_near(found, y, N, twin, 0, "replace_channels");
        free(channels);
        free_pieces();
    }
    close_bed();
}
END_TEST

START_TEST(test_rotate__narrow_and_long_lists)
{
    enum { ROWS = 1100, TOKENS = 11, HEADS = 2, E = 6, WIDE = 3 * HEADS * E };
    rng r = {7};
    open_bed(narrow[_i % PRECISIONS], schedules[_i / PRECISIONS]);
    for (int way = 0; way < 8; way++) {
        float *x = numbers(&r, ROWS * WIDE, 1), *table = numbers(&r, TOKENS * HEADS * E, 1);
        int tokens_of[ROWS];
        for (int i = 0; i < ROWS; i++)
            tokens_of[i] = rng_int(&r, 0, TOKENS - 1);
        vx_rotate b = {.table = floats(table, TOKENS * HEADS * E),
                       .tables = HEADS,
                       .tokens_of = way & 1 ? tokens_of : NULL,
                       .rows = ROWS,
                       .tokens = TOKENS,
                       .first = 1,
                       .heads = HEADS,
                       .head_width = E,
                       .half = way >> 1 & 1};
        b.qkv_n = way & 4 ? narrowed(x, ROWS * WIDE, 0) : NULL;
        b.qkv = way & 4 ? NULL : floats(x, ROWS * WIDE);
        vx_rotate a = b;
        a.qkv_n = NULL;
        a.qkv = x;
        a.table = table;
        vx_rotate_ref(NULL, &a);
        bed.dev->ops.rotate(bed.dev, &b);
        float *found = fetched(b.qkv, b.qkv_n, ROWS * WIDE);
        check_near(found, x, ROWS * WIDE, way & 4, 1, "rotate");
        free_pieces();
    }
    close_bed();
}
END_TEST

/* -------------------------------------------------------------------- sums, long lists ---- */

START_TEST(test_mean_tokens__many_sequences)
{
    enum { MOST = 2100, D = 5, ROWS = 5000 };
    rng r = {8};
    open_bed("f32", schedules[_i]);
    int starts[MOST + 1] = {0}, sequences = 0;
    while (sequences < MOST) {
        starts[sequences + 1] = starts[sequences] + rng_int(&r, 1, 3);
        sequences++;
    }
    ck_assert_int_le(starts[MOST], 3 * MOST);
    float *x = numbers(&r, (size_t)starts[MOST] * D, 1), *y = kept(MOST * 7);
    vx_mean_tokens a = {.y = y,
                        .ldy = 7,
                        .x = x,
                        .starts = starts,
                        .first = 1,
                        .batch = MOST,
                        .tokens = 3,
                        .width = D};
    vx_mean_tokens b = a;
    b.y = floats(y, MOST * 7);
    b.x = floats(x, (size_t)starts[MOST] * D);
    vx_mean_tokens_ref(NULL, &a);
    bed.dev->ops.mean_tokens(bed.dev, &b);
    float *found = fetched(b.y, NULL, MOST * 7);
    check_near(found, y, MOST * 7, false, 0.1, "mean_tokens");
    close_bed();
}
END_TEST

START_TEST(test_add_weighted__many_samples)
{
    enum { SAMPLES = 2000, N = 12, GROUPS = 2 };
    rng r = {9};
    open_bed("f32", schedules[_i]);
    float *x = numbers(&r, GROUPS * SAMPLES * N, 1), *sum = numbers(&r, GROUPS * N, 1);
    float *weights = numbers(&r, SAMPLES, 1);
    vx_add_weighted a = {
        .sum = sum, .x = x, .weights = weights, .groups = GROUPS, .samples = SAMPLES, .n = N};
    vx_add_weighted b = a;
    b.sum = floats(sum, GROUPS * N);
    b.x = floats(x, GROUPS * SAMPLES * N);
    vx_add_weighted_ref(NULL, &a);
    bed.dev->ops.add_weighted(bed.dev, &b);
    float *found = fetched(b.sum, NULL, GROUPS * N);
    check_near(found, sum, GROUPS * N, false, 1, "add_weighted");
    close_bed();
}
END_TEST

/* Masks of more variants than a kernel has room for in its parameters. */
START_TEST(test_variants__long_lists)
{
    /* Planes of several warps. */
    enum { N = 450, H = 12, W = 9, PLACES = 16, CELLS = 4, COUNT = N * H * W };
    rng r = {12};
    open_bed("f32", schedules[_i]);
    float axis[2 * PLACES], *cells = numbers(&r, N * CELLS, 1), *picture = numbers(&r, H * W, 1);
    float *range = kept(2 * N), *y = kept(COUNT), *sums = kept(2 * H * W);
    double weights[N];
    int shifts[2 * N];
    for (int i = 0; i < PLACES; i++) {
        axis[i] = (float)(i / 12);
        axis[PLACES + i] = i / 12 ? 0 : (float)i / 12;
    }
    for (int i = 0; i < N; i++) {
        weights[i] = (double)rng_float(&r, -1, 1);
        shifts[2 * i] = rng_int(&r, 0, 3);
        shifts[2 * i + 1] = rng_int(&r, 0, 3);
    }
    vx_masks a = {.samples = cells,
                  .of_variant = CELLS,
                  .of_row = 2,
                  .of_column = 1,
                  .down = {axis, axis + PLACES, 2},
                  .across = {axis, axis + PLACES, 2},
                  .shifts = shifts};
    vx_masks b = a;
    float *far_axis = floats(axis, 2 * PLACES), *far_range = floats(range, 2 * N);
    float *far_y = floats(y, COUNT), *far_picture = floats(picture, H * W);
    double *far_sums = piece(sums, 2 * H * W * sizeof *sums);
    b.samples = floats(cells, N * CELLS);
    b.down = b.across = (vx_places){far_axis, far_axis + PLACES, 2};
    vx_mask_range_ref(NULL, &(vx_mask_range){range, a, N, H, W});
    bed.dev->ops.mask_range(bed.dev, &(vx_mask_range){far_range, b, N, H, W});
    ck_assert_mem_eq(fetched(far_range, NULL, 2 * N), range, 2 * N * sizeof *range);
    a.range = range;
    b.range = far_range;
    vx_blend blend = {.y = y, .to = picture, .by = VX_BLEND_MASKS, .masks = a, .n = N};
    blend.channels = 1, blend.height = H, blend.width = W;
    vx_blend_ref(NULL, &blend);
    blend.y = far_y;
    blend.to = far_picture;
    blend.masks = b;
    bed.dev->ops.blend(bed.dev, &blend);
    ck_assert_mem_eq(fetched(far_y, NULL, COUNT), y, COUNT * sizeof *y);
    vx_add_masks_ref(NULL, &(vx_add_masks){(double *)(void *)sums, weights, a, N, H, W});
    bed.dev->ops.add_masks(bed.dev, &(vx_add_masks){far_sums, weights, b, N, H, W});
    ck_assert_mem_eq(fetched((float *)(void *)far_sums, NULL, 2 * H * W), sums,
                     2 * H * W * sizeof *sums);
    close_bed();
}
END_TEST

/* ------------------------------------------------------------ more than the scratch holds ---- */

/* 1 MiB of scratch is 131,072 numbers: more channels than that, and more gradients. */
START_TEST(test_token_maps__in_parts)
{
    static const int shapes[][3] = {{1, 3, 140001}, {5, 3, 40000}};
    rng r = {10};
    open_bed("f32", schedules[_i]);
    for (int i = 0; i < 2; i++) {
        const int g = shapes[i][0], tokens = shapes[i][1], width = shapes[i][2];
        const size_t n = (size_t)tokens * (size_t)width, all = n * (size_t)g;
        const size_t most = (size_t)(g * tokens * tokens);
        float *x = numbers(&r, n, 1), *dx = numbers(&r, all, 1);
        float *out = kept(most), *to = floats(out, most);
        vx_token_cam a = {out, x, dx, VX_CAM_GRADCAM, 1, 1, g, tokens, width}, b = a;
        b.out = to;
        b.a = floats(x, n);
        b.g = floats(dx, all);
        vx_token_cam_ref(NULL, &a);
        bed.dev->ops.token_cam(bed.dev, &b);
        float *found = fetched(to, NULL, most);
        check_near(found, out, (size_t)(g * (tokens - 1)), false, 100, "token_cam in parts");
        vx_token_gram_ref(NULL, &(vx_token_gram){out, x, dx, 1, 1, g, tokens, width});
        bed.dev->ops.token_gram(bed.dev, &(vx_token_gram){to, b.a, b.g, 1, 1, g, tokens, width});
        found = fetched(to, NULL, most);
        check_near(found, out, (size_t)(g * (tokens - 1) * (tokens - 1)), false, width,
                   "token_gram in parts");
        free_pieces();
    }
    close_bed();
}
END_TEST

START_TEST(test_rollout__many_pictures)
{
    enum { BATCH = 60, T = 5, N = BATCH * T * T };
    rng r = {11};
    open_bed("f32", schedules[_i]);
    float f[N], row[BATCH * T], out[BATCH * T];
    for (int i = 0; i < N; i++)
        f[i] = (float)rng_int(&r, 0, 9);
    for (int i = 0; i < BATCH * T; i++)
        row[i] = rng_float(&r, 0, 1);
    float *f_far = floats(f, N), *row_far = floats(row, BATCH * T),
          *out_far = floats(row, BATCH * T);
    vx_discard_smallest_ref(NULL, &(vx_discard_smallest){f, 11, 1, BATCH, T});
    bed.dev->ops.discard_smallest(bed.dev, &(vx_discard_smallest){f_far, 11, 1, BATCH, T});
    float *found = fetched(f_far, NULL, N);
    ck_assert_mem_eq(found, f, sizeof f);
    for (int norm = VX_NORM_ROWS; norm <= VX_NORM_NONE; norm++) {
        vx_rollout_step_ref(NULL, &(vx_rollout_step){out, row, f, (vx_norm)norm, BATCH, T});
        bed.dev->ops.rollout_step(
            bed.dev, &(vx_rollout_step){out_far, row_far, f_far, (vx_norm)norm, BATCH, T});
        found = fetched(out_far, NULL, BATCH * T);
        check_near(found, out, BATCH * T, false, 0, "rollout_step");
    }
    close_bed();
}
END_TEST

/* Nothing to do: no pointer is read, and no error is left. */
START_TEST(test_small__of_nothing)
{
    char err[200] = "";
    const int none[1] = {0};
    open_bed("f32", schedules[_i]);
    const vx_ops *ops = &bed.dev->ops;
    vx_recorded record = {NULL, VX_KEEP_ALL, VX_STORE_F32, VX_FUSE_MEAN, 0, 0, 0, 3, 5};
    ops->resample(bed.dev, &(vx_resample){.height = 2, .width = 2});
    ops->layernorm(bed.dev, &(vx_layernorm){.n = 4});
    ops->layernorm_bwd(bed.dev, &(vx_layernorm_bwd){.n = 4, .tokens = 1, .targets = 1});
    ops->rotate(bed.dev, &(vx_rotate){.tokens = 1, .tables = 1, .heads = 1, .head_width = 2});
    ops->activate(bed.dev, &(vx_activate){.act = VX_ACT_GELU});
    ops->swiglu(bed.dev, &(vx_swiglu){.n = 3});
    ops->swiglu_bwd(bed.dev, &(vx_swiglu_bwd){.n = 3, .tokens = 1, .targets = 1});
    ops->softmax(bed.dev, &(vx_softmax){.n = 3});
    ops->sigmoid(bed.dev, &(vx_sigmoid){0});
    ops->mean_tokens(bed.dev, &(vx_mean_tokens){.starts = none, .tokens = 1, .width = 1});
    ops->mean_tokens_bwd(bed.dev, &(vx_mean_tokens_bwd){.tokens = 1, .width = 1});
    ops->clear(bed.dev, &(vx_clear){0});
    ops->copy_rows(bed.dev, &(vx_copy_rows){.n = 3, .scale = 1});
    ops->replace_channels(bed.dev, &(vx_replace_channels){.tokens = 1, .width = 1});
    ops->gather_rows(bed.dev, &(vx_gather_rows){.width = 1});
    ops->add_weighted(bed.dev, &(vx_add_weighted){.groups = 1, .samples = 0, .n = 4});
    ops->reduce_channels(bed.dev, &(vx_reduce_channels){.targets = 1, .channels = 1, .n = 4});
    for (int by = VX_BLEND_VALUES; by <= VX_BLEND_ORDER; by++) {
        ops->blend(bed.dev, &(vx_blend){.by = (vx_blend_by)by, .channels = 3, .height = 2});
        ops->blend(bed.dev, &(vx_blend){.by = (vx_blend_by)by, .height = 2, .width = 2});
    }
    ops->add_noise(bed.dev, &(vx_add_noise){.count = 4});
    ops->mask_range(bed.dev, &(vx_mask_range){.height = 2, .width = 2});
    ops->add_masks(bed.dev, &(vx_add_masks){.height = 2, .width = 2});
    ops->attn_fuse(bed.dev, &(vx_attn_fuse){.record = &record, .head = -1});
    ops->attn_row(bed.dev, &(vx_attn_row){.record = &record});
    ops->attn_product(bed.dev, &(vx_attn_product){.targets = 1, .heads = 1, .tokens = 2});
    ops->attn_relu_mean(bed.dev, &(vx_attn_relu_mean){.head = -1, .heads = 1, .tokens = 2});
    ops->token_cam(bed.dev, &(vx_token_cam){.targets = 1, .tokens = 2, .width = 2});
    ops->token_gram(bed.dev, &(vx_token_gram){.targets = 1, .tokens = 2, .width = 2});
    ops->discard_smallest(bed.dev, &(vx_discard_smallest){.count = 2, .tokens = 2});
    ops->rollout_step(bed.dev, &(vx_rollout_step){.tokens = 2});
    ck_assert_msg(bed.dev->cls->sync(bed.dev, err, sizeof err) == 0, "%s", err);
    close_bed();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cuda_small");
    TCase *rows = tcase_create("narrow rows"), *more = tcase_create("more than fits at once");
    tcase_add_loop_test(rows, test_layernorm__narrow_rows_of_all_lengths, 0, RUN_WAYS);
    tcase_add_loop_test(rows, test_layernorm_bwd__narrow_rows_of_all_lengths, 0, RUN_WAYS);
    tcase_add_loop_test(rows, test_copy_rows__narrow, 0, RUN_WAYS);
    tcase_add_loop_test(rows, test_gather_rows__long_lists, 0, RUN_WAYS);
    tcase_add_loop_test(rows, test_replace_channels__long_lists, 0, RUN_WAYS);
    tcase_add_loop_test(rows, test_rotate__narrow_and_long_lists, 0, RUN_WAYS);
    tcase_add_loop_test(more, test_softmax__rows_longer_than_a_block_holds, 0, RUN_SCHEDULES);
    tcase_add_loop_test(more, test_mean_tokens__many_sequences, 0, RUN_SCHEDULES);
    tcase_add_loop_test(more, test_add_weighted__many_samples, 0, RUN_SCHEDULES);
    tcase_add_loop_test(more, test_variants__long_lists, 0, RUN_SCHEDULES);
    tcase_add_loop_test(more, test_token_maps__in_parts, 0, SANITIZED_THREADS ? 0 : RUN_SCHEDULES);
    tcase_add_loop_test(more, test_rollout__many_pictures, 0, RUN_SCHEDULES);
    tcase_add_loop_test(more, test_small__of_nothing, 0, RUN_SCHEDULES);
    suite_add_tcase(s, rows);
    suite_add_tcase(s, more);
    return s;
}

VX_TEST_MAIN(suite)
