/*
 * Packed matrices (kernels/cpu/panels.h): every precision, on every instruction set and extension
 * that this machine has, and on emulated tiles, against the reference on the plain matrix.
 * VX_TEST_THREADS
 *
 * The bounds. S = sum |x||w| of an element; u = 2^-24, half a last place of f32.
 *
 *   sum     n terms added in any order in f32 are off by at most n u S, to first order. So is what
 *           follows: bias, gamma, activation and residual round a few times more.
 *   bf16    has 8 bits, so an operand is off by at most 2^-8 of itself, a product by
 *           2 * 2^-8 + 2^-16.
 *   bf16x3  high + low is off by at most 2^-17: low has 8 bits, too, and |low| <= 2^-8 |x|. That is
 *           2 * 2^-17 for a product; low * low, which is left out, is at most 2^-16 more.
 *   int8    a value is off by half a scale. A scale of w is the largest |value| / 127, one of x is
 *           how far the smallest and the largest value (or 0) lie apart, / 255. So an element is
 *           off by at most (sw sum |x| + sx sum |w|) / 2 + k sx sw / 4. f32 rounds scales and what
 *           is divided by them: 2^-14 of that more.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vitx/context.h>

#define VX_ISA_NAME emulated
#define VX_VECTOR_BITS 128
#define VX_EMULATE_TILES
#include "kernel_bed.h"
#include "kernels/cpu/finish_vec.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/panels_tile.h"
#include "kernels/cpu/panels_vec.h"
#include "unpack.h"

/* ------------------------------------------------------------------------- versions -------- */

enum { EMULATED_TILES = 7, MASKS = 8, NUMBERS = VX_NUMBERS, CASES = MASKS * NUMBERS };

#define UP_TO_512 (VX_CPU_AVX2 | VX_CPU_AVX512)
static const struct version masks[MASKS] = {
    {"any", "cpu", 0, {"baseline", ""}},
    {"avx2", "cpu", VX_CPU_AVX2, {"avx2", ""}},
    {"avx512", "cpu", UP_TO_512, {"avx512", ""}},
    {"avx512 vnni", "cpu", UP_TO_512 | VX_CPU_VNNI, {"avx512 vnni", ""}},
    {"avx512 bf16", "cpu", UP_TO_512 | VX_CPU_BF16, {"avx512 bf16", ""}},
    {"avx512 bf16 amx", "cpu", UP_TO_512 | VX_CPU_BF16 | VX_CPU_AMX, {"avx512 bf16 amx", ""}},
    {"all", "cpu", VX_FEATURES_ALL, {"", ""}},
    {"emulated tiles", "cpu", 0, {"baseline", ""}},
};

static const vx_dims dims = {.batch = 1,
                             .tokens = 256,
                             .width = 256,
                             .heads = 4,
                             .head_width = 64,
                             .hidden = 800,
                             .channels = 3,
                             .patch_height = 4,
                             .patch_width = 4,
                             .classes = 10};

static const char *name_of(vx_number number)
{
    return vx_panel_forms[number].packing.name;
}

static void emulated_bf16(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16);
}

static void emulated_bf16x3(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16X3);
}

static void emulated_int8(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_INT8);
    if (p->scales)
        scale_sums(p);
}

static double emulated_peak_bf16(float *sums, const char *x, int64_t rounds)
{
    return peak_of_tiles(sums, x, rounds, VX_NUMBER_BF16);
}

static double emulated_peak_int8(float *sums, const char *x, int64_t rounds)
{
    return peak_of_tiles(sums, x, rounds, VX_NUMBER_INT8);
}

static void emulate_tiles(vx_pieces *pieces)
{
    pieces->peak_bf16 = emulated_peak_bf16;
    pieces->peak_int8 = emulated_peak_int8;
    pieces->panels_bf16 = emulated_bf16;
    pieces->panels_bf16x3 = emulated_bf16x3;
    pieces->panels_int8 = emulated_int8;
    pieces->finish = VX_NAME(finish);
}

/* false: this machine lacks it, or f32, which has no extensions, is not another with it. */
static bool open_version(bed *b, int mask, vx_number number, int threads)
{
    char err[200] = "";
    vitx_hooks hooks;
    const struct version *v = &masks[mask];
    if (number == VX_NUMBER_F32 && mask > 2 && mask != 6)
        return false;
    if (mask != EMULATED_TILES && repeats(masks, mask))
        return false;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    *b = (bed){.allocations_left = -1, .version = v};
    expect(vx_pool_create(&b->pool, &hooks, threads) == 0, "no threads");
    const vx_device_env env = bed_env(b);
    const vx_device_class *cls = vx_device_find("cpu");
    expect(cls->open(&b->dev, &env, name_of(number), v->features, err, sizeof err) == 0, "%s", err);
    expect(cls->reserve(b->dev, &dims, err, sizeof err) == 0, "%s", err);
    if (mask == EMULATED_TILES)
        emulate_tiles(&vx_cpu_of(b->dev)->pieces);
    if (strstr(b->dev->kernels, v->must_say[0]))
        return true;
    if (threads == 1)
        printf("skipped: \"%s\" is not on this machine (%s)\n", v->name, b->dev->kernels);
    bed_close(b);
    return false;
}

/* In two parts, in the precision's form, in output memory. */
static vx_weight packed_in(const bed *b, vx_number number, const float *w, const float *bias, int n,
                           int k)
{
    char err[200];
    const vx_packing *packing = vx_panel_packing(name_of(number));
    const vx_weight packed = {output(packing->bytes(n, k)), bias, n, k, packing, NULL};
    const int half = n / 2 / packing->panel * packing->panel;
    const vx_device_env env = bed_env((bed *)(uintptr_t)b);
    if (half)
        expect(packing->pack(&env, &packed, w, 0, half, err, sizeof err) == 0, "%s", err);
    expect(packing->pack(&env, &packed, w + (size_t)half * (size_t)k, half, n - half, err,
                         sizeof err) == 0,
           "%s", err);
    return packed;
}

/* --------------------------------------------------------------------------- bounds -------- */

#define U 0x1p-24 /* half a last place of f32 */

/* What |x| and |w| of one element add up to. */
typedef struct sizes_of {
    double products, x, w, low_x, high_x, most_w;
    int terms;
} sizes_of;

static sizes_of add_up(const float *x, const float *w, size_t w_step, int terms)
{
    sizes_of s = {.terms = terms};
    for (int i = 0; i < terms; i++, w += w_step) {
        const double a = fabs((double)x[i]), b = fabs((double)*w);
        s.products += a * b;
        s.x += a;
        s.w += b;
        s.low_x = fmin(s.low_x, (double)x[i]);
        s.high_x = fmax(s.high_x, (double)x[i]);
        s.most_w = fmax(s.most_w, b);
    }
    return s;
}

/* How far x . w may be from the truth: see the top of the file. */
static double bound_of(vx_number number, const sizes_of *s)
{
    const int products = number == VX_NUMBER_BF16X3 ? 3 : 1;
    const double sum = (products * s->terms + 8) * U * 1.02 * s->products;
    if (number == VX_NUMBER_F32)
        return sum;
    if (number == VX_NUMBER_BF16)
        return sum + (2 * 0x1p-8 + 0x1p-16) * s->products;
    if (number == VX_NUMBER_BF16X3)
        return sum + (2 * 0x1p-17 + 0x1p-16) * s->products;
    const double sx = (s->high_x - s->low_x) / 255, sw = s->most_w / 127;
    return sum + (1 + 0x1p-14) * (sw * s->x / 2 + sx * s->w / 2 + s->terms * sx * sw / 4);
}

#define STEEPEST 1.13 /* the largest slope of an activation: of GELU */

/* ------------------------------------------------------------------------- products -------- */

enum { BIASED = 1, GAMMA = 2, RESIDUAL = 4, IN_PLACE = 8, PRE = 16 };

static const int all_m[] = {1, 7, 17, 33, 197}, all_n[] = {1, 15, 16, 17, 100, 193},
                 all_k[] = {1, 15, 31, 32, 33, 63, 65, 200, 769};
enum { M = 5, N = 6, K = 9 };

/* One product, its operands and what the reference makes of them. */
typedef struct problem {
    int m, n, k, parts, pad;
    vx_act act;
    float *x, *w, *bias, *gamma, *residual, *y, *pre;
    sizes_of *sizes; /* [m,n] */
} problem;

static int ld(const problem *p, int columns)
{
    return columns + p->pad;
}

/* y and pre have to be filled where residual is y. */
static vx_linear linear_of(const problem *p, const vx_weight *w, float *y, float *pre)
{
    vx_linear a = {.y = y,
                   .ldy = ld(p, p->n),
                   .x = p->x,
                   .ldx = ld(p, p->k),
                   .w = w,
                   .gamma = p->parts & GAMMA ? p->gamma : NULL,
                   .residual = p->parts & RESIDUAL ? p->residual : NULL,
                   .ldr = ld(p, p->n),
                   .act = p->act,
                   .m = p->m};
    if (p->parts & PRE) {
        a.pre = pre;
        a.ldp = ld(p, p->n);
    }
    if (p->parts & IN_PLACE) {
        memcpy(y, p->residual, (size_t)p->m * (size_t)ld(p, p->n) * sizeof *y);
        a.residual = y;
    }
    return a;
}

static size_t out_size(const problem *p)
{
    return (size_t)p->m * (size_t)ld(p, p->n);
}

static problem make_problem(rng *r, int m, int n, int k, vx_act act, int parts, int pad)
{
    problem p = {m, n, k, parts, pad, act, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    const size_t outs = out_size(&p);
    p.x = weights(r, (size_t)m * (size_t)ld(&p, k), 0.5f);
    p.w = weights(r, (size_t)n * (size_t)k, 0.5f);
    p.bias = weights(r, (size_t)n, 1);
    p.gamma = weights(r, (size_t)n, 1);
    p.residual = weights(r, outs, 1);
    p.y = weights(r, outs, 1);
    p.pre = weights(r, outs, 1);
    p.sizes = malloc((size_t)m * (size_t)n * sizeof *p.sizes);
    expect(p.sizes != NULL, "no memory");
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            p.sizes[i * n + j] =
                add_up(p.x + (size_t)i * (size_t)ld(&p, k), p.w + (size_t)j * (size_t)k, 1, k);
    const vx_weight plain = {p.w, parts & BIASED ? p.bias : NULL, n, k, &vx_packing_plain, NULL};
    const vx_linear a = linear_of(&p, &plain, p.y, p.pre);
    vx_linear_ref(NULL, &a);
    return p;
}

static void free_problem(problem *p)
{
    float *all[] = {p->x, p->w, p->bias, p->gamma, p->residual, p->y, p->pre};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(p->sizes);
}

/* The largest share of its bound that an element of row i takes. */
static double row_share(const problem *p, vx_number number, const float *y, const float *pre, int i)
{
    double most = 0;
    for (int j = 0; j < p->n; j++) {
        const size_t at = (size_t)i * (size_t)ld(p, p->n) + (size_t)j;
        const double bound = bound_of(number, &p->sizes[i * p->n + j]) + 1e-6;
        const double gamma = p->parts & GAMMA ? fabs((double)p->gamma[j]) : 1;
        const double last = 8 * U * (fabs((double)p->y[at]) + fabs((double)p->residual[at]));
        const double limit =
            gamma * (STEEPEST * bound + 1e-6 * (1 + fabs((double)p->y[at]))) + last;
        most = fmax(most, fabs((double)y[at] - (double)p->y[at]) / limit);
        if (p->parts & PRE)
            most = fmax(most, fabs((double)pre[at] - (double)p->pre[at]) /
                                  (bound + 4 * U * fabs((double)p->pre[at])));
        if (isnan(y[at]) || (p->parts & PRE && isnan(pre[at])))
            return INFINITY;
    }
    return most;
}

static double solve(bed *b, vx_number number, const problem *p)
{
    const char *what = say(b, "linear in %s [%d,%d]x%d, act %d, parts %d", name_of(number), p->m,
                           p->n, p->k, (int)p->act, p->parts);
    const vx_weight w = packed_in(b, number, p->w, p->parts & BIASED ? p->bias : NULL, p->n, p->k);
    float *y = output_f32(out_size(p)), *pre = output_f32(out_size(p));
    const vx_linear a = linear_of(p, &w, y, pre);
    double most = 0;
    b->dev->ops.linear(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < p->m; i++) {
        const double share = row_share(p, number, y, pre, i);
        expect(share <= 1, "%s: row %d is off by %g of the bound", what, i, share);
        most = fmax(most, share);
        for (int j = p->n; j < ld(p, p->n); j++)
            expect((p->parts & IN_PLACE || untouched(y[i * ld(p, p->n) + j])) &&
                       untouched(pre[i * ld(p, p->n) + j]),
                   "%s: wrote between rows", what);
    }
    free_outputs();
    return most;
}

static const int some_parts[] = {0,
                                 BIASED,
                                 BIASED | GAMMA | RESIDUAL,
                                 BIASED | PRE,
                                 RESIDUAL | IN_PLACE,
                                 GAMMA | PRE,
                                 BIASED | GAMMA | RESIDUAL | IN_PLACE | PRE,
                                 BIASED | GAMMA | RESIDUAL | IN_PLACE};

/* Calls what tests a case for every size; `step` leaves some out where there is a sanitizer. */
#define FOR_SIZES(m, n, k, i)                                                                      \
    for (int i = 0, step = SANITIZED ? 7 : 1; i < M * N * K; i += step)                            \
        for (int m = all_m[i / K / N], n = all_n[i / K % N], k = all_k[i % K], once = 1; once;     \
             once = 0)

START_TEST(test_panels__linear_is_within_its_format)
{
    const int threads = 1 + _i;
    static bed beds[CASES];
    bool there[CASES];
    double most[NUMBERS] = {0};
    rng r = {21};
    for (int c = 0; c < CASES; c++)
        there[c] = open_version(&beds[c], c / NUMBERS, (vx_number)(c % NUMBERS), threads);
    FOR_SIZES(m, n, k, i)
    {
        problem p = make_problem(&r, m, n, k, (vx_act)(i % VX_ACT_COUNT),
                                 some_parts[(i + threads) % 8], i % 3);
        for (int c = 0; c < CASES; c++)
            if (there[c])
                most[c % NUMBERS] =
                    fmax(most[c % NUMBERS], solve(&beds[c], (vx_number)(c % NUMBERS), &p));
        free_problem(&p);
    }
    for (int c = 0; c < CASES; c++)
        if (there[c])
            bed_close(&beds[c]);
    for (int i = 0; i < NUMBERS; i++) { /* a bound that is never neared would prove nothing */
        ck_assert_double_gt(most[i], i == VX_NUMBER_F32 ? 0.01 : 0.1);
        if (threads == 1)
            printf("%s: at most %.2f of the bound\n", name_of((vx_number)i), most[i]);
    }
}
END_TEST

/* ------------------------------------------------------------------------ gradients -------- */

static float largest_of(const float *x, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

/* How far g . w may be from the truth, g being gamma * dy. Panels of W^T are rounded once more if
 * they are multiplied by gamma or by scales of int8, which then are bf16, as dy is. A scale belongs
 * to an output, which the sum runs over: most_w is the largest of all. */
static double gradient_bound(vx_number number, const sizes_of *s, int with_gamma)
{
    const double of_scales = (1 + 0x1p-14) * s->most_w / 127 * s->x / 2;
    if (number == VX_NUMBER_INT8)
        return bound_of(VX_NUMBER_BF16, s) + (1 + 0x1p-6) * of_scales;
    const double again = number == VX_NUMBER_BF16X3 ? 0x1p-17
                         : number == VX_NUMBER_BF16 ? 0x1p-8
                                                    : U;
    return bound_of(number, s) + (with_gamma ? 1.02 * again * s->products : 0);
}

static void check_gradient(const char *what, vx_number number, const vx_linear_bwd *a,
                           const float *dx, const float *expected)
{
    const int n = a->w->n, k = a->w->k;
    const float *w = a->w->data, most = largest_of(w, (size_t)n * (size_t)k);
    float *g = output_f32((size_t)n);
    for (int i = 0; i < a->m; i++) {
        for (int j = 0; j < n; j++)
            g[j] = a->dy[i * n + j] * (a->gamma ? a->gamma[j] : 1);
        for (int j = 0; j < k; j++) {
            sizes_of s = add_up(g, w + j, (size_t)k, n);
            s.most_w = (double)most;
            const double limit =
                STEEPEST * gradient_bound(number, &s, a->gamma != NULL) + 1e-6 * (1 + s.products);
            expect(fabs((double)dx[i * k + j] - (double)expected[i * k + j]) <= limit,
                   "%s: element %d, %d is %g, expected %g", what, i, j, (double)dx[i * k + j],
                   (double)expected[i * k + j]);
        }
    }
}

/* The same with W^T that is made beforehand: dx has the same bits. */
static void check_turned(bed *b, const char *what, const vx_linear_bwd *a)
{
    const vx_device_class *cls = b->dev->cls;
    const size_t size = (size_t)a->m * (size_t)a->w->k;
    vx_weight w = *a->w;
    vx_linear_bwd with = *a;
    void *turned = output(cls->turned_bytes(&w));
    cls->turn(b->dev, &w, a->gamma, turned);
    w.turned = turned;
    with.w = &w;
    with.dx = output_f32(size);
    b->dev->ops.linear_bwd(b->dev, &with);
    check_guards(what);
    expect(memcmp(with.dx, a->dx, size * sizeof *a->dx) == 0, "%s: other bits, turned", what);
}

static void gradient_case(bed *b, rng *r, vx_number number, int m, int n, int k, vx_act act,
                          int with_gamma)
{
    const char *what = say(b, "linear_bwd in %s [%d,%d]x%d", name_of(number), m, n, k);
    const size_t size = (size_t)m * (size_t)k;
    float *dy = weights(r, (size_t)m * (size_t)n, 0.5f);
    float *w = weights(r, (size_t)n * (size_t)k, 0.5f);
    float *gamma = weights(r, (size_t)n, 1), *pre = weights(r, size, 1);
    float *expected = output_f32(size), *dx = output_f32(size);
    const vx_weight plain = {w, NULL, n, k, &vx_packing_plain, NULL},
                    packed = packed_in(b, number, w, NULL, n, k);
    vx_linear_bwd a = {.dx = expected,
                       .lddx = k,
                       .dy = dy,
                       .lddy = n,
                       .w = &plain,
                       .gamma = with_gamma ? gamma : NULL,
                       .pre = pre,
                       .ldp = k,
                       .act = act,
                       .m = m,
                       .tokens = m,
                       .targets = 1};
    vx_linear_bwd_ref(NULL, &a);
    a.dx = dx;
    a.w = &packed;
    b->dev->ops.linear_bwd(b->dev, &a);
    check_guards(what);
    check_turned(b, what, &a);
    a.w = &plain;
    check_gradient(what, number, &a, dx, expected);
    free(dy);
    free(w);
    free(gamma);
    free(pre);
    free_outputs();
}

START_TEST(test_panels__gradients_are_within_their_format)
{
    const int number = _i % NUMBERS;
    bed b;
    rng r = {22};
    for (int mask = 0; mask < MASKS; mask++)
        for (int threads = LEAST_THREADS; threads <= MOST_THREADS; threads++) {
            if (!open_version(&b, mask, (vx_number)number, threads))
                continue;
            for (int i = threads + mask; i < M * N * K; i += SANITIZED ? 71 : 11)
                gradient_case(&b, &r, (vx_number)number, all_m[i / K / N % 4], all_n[i / K % N],
                              all_k[i % K], (vx_act)(i % VX_ACT_COUNT), i % 2);
            bed_close(&b);
        }
}
END_TEST

/* Also of a matrix that is turned in parts, since it is larger than the memory for that. */
START_TEST(test_panels__gradients_are_the_same_for_any_threads)
{
    static const int shapes[][3] = {{3, 33, 9001}, {70, 100, 769}, {40, 769, 193}};
    const vx_number number = (vx_number)(_i % NUMBERS);
    rng r = {24};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s += SANITIZED_THREADS ? 2 : 1) {
        const int m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
        float *dy = weights(&r, (size_t)m * (size_t)n, 0.5f);
        float *w = weights(&r, (size_t)n * (size_t)k, 0.5f), *first = NULL;
        for (int threads = LEAST_THREADS; threads <= MOST_THREADS; threads++) {
            bed b;
            if (!open_version(&b, _i / NUMBERS, number, threads))
                continue;
            const char *what = say(&b, "linear_bwd in %s [%d,%d]x%d", name_of(number), m, n, k);
            const vx_weight plain = {w, NULL, n, k, &vx_packing_plain, NULL},
                            packed = packed_in(&b, number, w, NULL, n, k);
            float *dx = output_f32((size_t)m * (size_t)k);
            vx_linear_bwd a = {.dx = dx,
                               .lddx = k,
                               .dy = dy,
                               .lddy = n,
                               .w = &packed,
                               .m = m,
                               .tokens = m,
                               .targets = 1};
            b.dev->ops.linear_bwd(b.dev, &a);
            check_guards(what);
            check_turned(&b, what, &a);
            if (!first) {
                float *expected = output_f32((size_t)m * (size_t)k);
                a.w = &plain;
                a.dx = expected;
                vx_linear_bwd_ref(NULL, &a);
                check_gradient(what, number, &a, dx, expected);
            }
            expect(!first || memcmp(first, dx, (size_t)m * (size_t)k * sizeof *dx) == 0,
                   "%s: other bits", what);
            first = dx;
            bed_close(&b);
        }
        free(dy);
        free(w);
        free_outputs();
    }
}
END_TEST

/* ---------------------------------------------------------------------- exact answers ------ */

/* Whole numbers from `low` to `high`, which are the first of a row: a scale is 1 then, bf16 holds
 * them, and no sum reaches 2^24. So every precision has to give the whole number that is right. */
static void whole_numbers(rng *r, float *x, int columns, int low, int high)
{
    for (int i = 0; i < columns; i++)
        x[i] = i == 0 ? (float)high : i == 1 ? (float)low : (float)rng_int(r, low, high);
}

/* 255 apart: on one side of 0 in every other row, and where there is but one. */
static void whole_rows(rng *r, float *x, int rows, int columns)
{
    for (int i = 0; i < rows; i++, x += columns)
        if (i % 2 && columns > 1)
            whole_numbers(r, x, columns, -128 + i % 5, 127 + i % 5);
        else
            whole_numbers(r, x, columns, 0, 255);
}

static void exact_case(bed *b, rng *r, vx_number number, int m, int n, int k)
{
    const char *what = say(b, "exact %s [%d,%d]x%d", name_of(number), m, n, k);
    float *x = weights(r, (size_t)(m * k), 1), *w = weights(r, (size_t)(n * k), 1);
    float *y = output_f32((size_t)m * (size_t)n);
    whole_rows(r, x, m, k);
    for (int j = 0; j < n; j++)
        whole_numbers(r, w + j * k, k, -127, 127);
    const vx_weight packed = packed_in(b, number, w, NULL, n, k);
    b->dev->ops.linear(b->dev,
                       &(vx_linear){.y = y, .ldy = n, .x = x, .ldx = k, .w = &packed, .m = m});
    check_guards(what);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            int64_t sum = 0;
            for (int c = 0; c < k; c++)
                sum += (int64_t)x[i * k + c] * (int64_t)w[j * k + c];
            expect((double)y[i * n + j] == (double)sum, "%s: element %d, %d is %.9g, not %lld",
                   what, i, j, (double)y[i * n + j], (long long)sum);
        }
    free(x);
    free(w);
    free_outputs();
}

START_TEST(test_panels__whole_numbers_are_exact)
{
    const vx_number number = (vx_number)(_i % NUMBERS);
    bed b;
    rng r = {23};
    if (!open_version(&b, _i / NUMBERS, number, 2))
        return;
    FOR_SIZES(m, n, k, i)
    {
        if (i % 3 == 0)
            exact_case(&b, &r, number, m, n, k);
    }
    bed_close(&b);
}
END_TEST

/* With ones, each multiplication adds 1 to a sum: the operations that a peak counts are done. */
static void peak_case(const bed *b, vx_peak_fn *peak, vx_number number)
{
    static const char one[NUMBERS][4] = {[VX_NUMBER_F32] = {0, 0, (char)0x80, 0x3f},
                                         [VX_NUMBER_BF16] = {(char)0x80, 0x3f, (char)0x80, 0x3f},
                                         [VX_NUMBER_INT8] = {1, 1, 1, 1}};
    const char *what = say(b, "peak of %s", name_of(number));
    char x[VX_STEP];
    double sum = 0;
    if (!peak)
        return;
    float *sums = output_f32(VX_PEAK_SUMS);
    memset(sums, 0, VX_PEAK_SUMS * sizeof *sums);
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = one[number][i % 4];
    const double once = peak(sums, x, 1), more = peak(sums, x, 7);
    check_guards(what);
    for (int i = 0; i < VX_PEAK_SUMS; i++)
        sum += number == VX_NUMBER_INT8 ? (double)(int32_t)vx_float_bits(sums[i]) : (double)sums[i];
    expect(once > 0 && more == 7 * once && once + more == 2 * sum,
           "%s: %g operations and sums of %g", what, once + more, sum);
    free_outputs();
}

START_TEST(test_panels__peaks_multiply)
{
    bed b;
    for (int mask = 0; mask < MASKS; mask++) {
        if (!open_version(&b, mask, VX_NUMBER_BF16, 1))
            continue;
        const vx_pieces *pieces = &vx_cpu_of(b.dev)->pieces;
        peak_case(&b, pieces->peak_f32, VX_NUMBER_F32);
        peak_case(&b, pieces->peak_bf16, VX_NUMBER_BF16);
        peak_case(&b, pieces->peak_int8, VX_NUMBER_INT8);
        expect(mask != EMULATED_TILES || (pieces->peak_bf16 && pieces->peak_int8),
               "no peak of tiles");
        bed_close(&b);
    }
}
END_TEST

/* Every value of 8 bits, and NaN and infinities. */
START_TEST(test_panels__near_activations_are_near)
{
    for (uint32_t bits = 0; bits < 1u << 16; bits++) {
        const float x = vx_bits_float(bits << 16);
        const vf gelu = v_near_act(v_set(x), VX_ACT_GELU),
                 tanh_form = v_near_act(v_set(x), VX_ACT_GELU_TANH);
        const double d = (double)x, exact = d * (erfc(-d * sqrt(0.5)) / 2),
                     other = d / (1 + exp(-2 * 0.79788456080286536 * (d + 0.044715 * d * d * d)));
        if (isnan(x) || isinf(x)) {
            expect(!isfinite(gelu[0]) && !isfinite(tanh_form[0]), "of %g: finite", d);
            continue;
        }
        expect(fabs((double)gelu[0] - exact) <= fmax(1.4e-6, 2e-7 * fabs(exact)),
               "gelu(%g) is %g, not %g", d, (double)gelu[0], exact);
        expect(fabs((double)tanh_form[0] - other) <= fmax(1.4e-6, 2e-7 * fabs(other)),
               "gelu_tanh(%g) is %g, not %g", d, (double)tanh_form[0], other);
    }
}
END_TEST

/* ------------------------------------------------------------------------- packing --------- */

/* What a format makes of one value; of int8 with the row's scale. */
static double format_error(vx_number number, float value, float most)
{
    const double x = fabs((double)value);
    if (number == VX_NUMBER_F32)
        return 0;
    if (number == VX_NUMBER_INT8)
        return (0.5 + 0x1p-14) * (double)most / 127;
    return x * (number == VX_NUMBER_BF16 ? 0x1p-8 : 0x1p-17);
}

static void round_trip(bed *b, rng *r, vx_number number, int n, int k)
{
    float *w = weights(r, (size_t)n * (size_t)k, 1), *back = output_f32((size_t)(n * k));
    vx_weight packed = {output(vx_panel_packing(name_of(number))->bytes(n, k)),
                        NULL,
                        n,
                        k,
                        vx_panel_packing(name_of(number)),
                        NULL};
    const vx_device_env env = bed_env(b);
    char err[200];
    for (int i = 0; i < n; i += VX_PANEL)
        expect(packed.packing->pack(&env, &packed, w + i * k, i, vx_least(VX_PANEL, n - i), err,
                                    sizeof err) == 0,
               "%s", err);
    const char *what = say(b, "packing [%d,%d] in %s", n, k, name_of(number));
    float *most = output_f32((size_t)n);
    for (int i = 0; i < n; i++)
        most[i] = largest_of(w + i * k, (size_t)k);
    check_guards(what);
    const int step = vx_panel_forms[number].k;
    for (int first = 0; first < n; first += VX_PANEL)
        for (int k0 = 0; k0 < k; k0 += step) {
            const int rows = vx_least(VX_PANEL, n - first), count = vx_least(step, k - k0);
            unpack(back, &packed, first, rows, k0, count);
            for (int i = 0; i < rows * count; i++) {
                const int row = first + i / count;
                const float value = w[row * k + k0 + i % count];
                expect(fabs((double)back[i] - (double)value) <=
                           format_error(number, value, most[row]),
                       "%s: %g became %g", what, (double)value, (double)back[i]);
            }
        }
    check_guards(what);
    free(w);
    free_outputs();
}

START_TEST(test_panels__unpack_what_was_packed)
{
    bed b;
    rng r = {24};
    ck_assert(open_version(&b, 0, VX_NUMBER_F32, 1));
    for (int n = 1; n <= 40; n++)
        for (int k = 0; k < K; k++)
            round_trip(&b, &r, (vx_number)_i, n, all_k[k]);
    bed_close(&b);
}
END_TEST

/* -------------------------------------------------------- NaN, infinities, tiny numbers ---- */

enum { SPECIAL_M = 35, SPECIAL_N = 37, SPECIAL_K = 70 };

/* One operand holds `value` at (row, column): every element that it reaches must not be finite,
 * every other one is as before. */
static void special_case(bed *b, vx_number number, float value, int in_w, int row, int column)
{
    const int m = SPECIAL_M, n = SPECIAL_N, k = SPECIAL_K;
    const char *what = say(b, "%s with %g in %s[%d,%d]", name_of(number), (double)value,
                           in_w ? "w" : "x", row, column);
    rng r = {25};
    float *x = weights(&r, (size_t)(m * k), 1), *w = weights(&r, (size_t)(n * k), 1);
    float *y = output_f32((size_t)(m * n)), *before = output_f32((size_t)(m * n));
    vx_weight packed = packed_in(b, number, w, NULL, n, k);
    vx_linear a = {.y = before, .ldy = n, .x = x, .ldx = k, .w = &packed, .m = m};
    b->dev->ops.linear(b->dev, &a);
    (in_w ? w : x)[row * k + column] = value;
    packed = packed_in(b, number, w, NULL, n, k);
    a.y = y;
    b->dev->ops.linear(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < m * n; i++)
        if ((in_w ? i % n : i / n) == row)
            expect(!isfinite(y[i]), "%s: element %d is %g", what, i, (double)y[i]);
        else
            expect(y[i] == before[i], "%s: element %d is %g, was %g", what, i, (double)y[i],
                   (double)before[i]);
    free(x);
    free(w);
    free_outputs();
}

START_TEST(test_panels__keep_nan_and_infinities)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    const vx_number number = (vx_number)(_i % NUMBERS);
    bed b;
    if (!open_version(&b, _i / NUMBERS, number, 2))
        return;
    for (int i = 0; i < 3; i++)
        for (int in_w = 0; in_w < 2; in_w++) {
            special_case(&b, number, values[i], in_w, 0, 0);
            special_case(&b, number, values[i], in_w, 17, 13);
            special_case(&b, number, values[i], in_w, 34, SPECIAL_K - 1);
        }
    bed_close(&b);
}
END_TEST

/* Rows and matrices of nothing but 0, and of numbers so small that 127 / number overflows: no NaN,
 * nothing larger than it may be. */
START_TEST(test_panels__of_tiny_numbers)
{
    enum { TM = 3, TN = 18, TK = 33 };
    const vx_number number = (vx_number)(_i % NUMBERS);
    const float sizes_there[] = {0, 1e-45f, 1e-40f, 1e-37f, 1e-30f};
    bed b;
    rng r = {26};
    if (!open_version(&b, _i / NUMBERS, number, 1))
        return;
    for (int i = 0; i < 25; i++) {
        const double sx = (double)sizes_there[i / 5], sw = (double)sizes_there[i % 5];
        float *x = weights(&r, TM * TK, 1), *w = weights(&r, TN * TK, 1), *y = output_f32(TM * TN);
        for (int j = 0; j < TM * TK; j++)
            x[j] = j % 3 ? (float)(sx * (double)x[j]) : 0;
        for (int j = 0; j < TN * TK; j++)
            w[j] = j % 4 && i % 5 < 4 ? (float)(sw * (double)w[j]) : j % 4 ? w[j] : 0;
        const vx_weight packed = packed_in(&b, number, w, NULL, TN, TK);
        b.dev->ops.linear(
            b.dev, &(vx_linear){.y = y, .ldy = TN, .x = x, .ldx = TK, .w = &packed, .m = TM});
        check_guards("tiny");
        for (int j = 0; j < TM * TN; j++) {
            const sizes_of s = add_up(x + j / TN * TK, w + j % TN * TK, 1, TK);
            /* what is too small for a format counts as 0 */
            expect(fabs((double)y[j]) <= 1.01 * s.products + bound_of(number, &s) + 1e-36,
                   "%s: %g of %g", say(&b, "%s", name_of(number)), (double)y[j], s.products);
        }
        free(x);
        free(w);
        free_outputs();
    }
    bed_close(&b);
}
END_TEST

/* ---------------------------------------------------------------------- determinism -------- */

/* hidden = gelu(layernorm(x) W^T + bias), y = hidden V^T, in `b`; formed: norm and hidden are
 * written in the form of the product that reads them. y is in output memory. */
static float *chain(bed *b, const float *x, const vx_weight *w, const vx_weight *v,
                    const float *scale, int m, bool formed)
{
    const size_t rows = (size_t)m;
    vx_narrow *norm = (vx_narrow *)output_f32(rows * vx_form_room((size_t)w->k));
    vx_narrow *hidden = (vx_narrow *)output_f32(rows * vx_form_room((size_t)w->n));
    float *y = output_f32(rows * (size_t)v->n);
    const vx_layernorm before = {.y_n = norm,
                                 .ldy = w->k,
                                 .x = x,
                                 .ldx = w->k,
                                 .weight = scale,
                                 .eps = 1e-5f,
                                 .m = m,
                                 .n = w->k,
                                 .y_form = formed ? w->packing : NULL};
    const vx_linear first = {.y_n = hidden,
                             .ldy = w->n,
                             .x_n = norm,
                             .ldx = w->k,
                             .w = w,
                             .act = VX_ACT_GELU,
                             .m = m,
                             .y_form = formed ? v->packing : NULL,
                             .x_formed = formed};
    const vx_linear second = {
        .y = y, .ldy = v->n, .x_n = hidden, .ldx = w->n, .w = v, .m = m, .x_formed = formed};
    b->dev->ops.layernorm(b->dev, &before);
    b->dev->ops.linear(b->dev, &first);
    b->dev->ops.linear(b->dev, &second);
    return y;
}

/* The same numbers, to the bit; short and long rows, which are multiplied in parts. */
START_TEST(test_panels__forms_of_rows_change_nothing)
{
    static const int shapes[][4] = {{1, 8, 8, 8},      {5, 33, 65, 40},    {40, 64, 96, 64},
                                    {71, 100, 193, 7}, {35, 72, 3100, 33}, {70, 1100, 64, 48}};
    const vx_number number = (vx_number)(_i % NUMBERS);
    rng r = {41};
    for (int threads = LEAST_THREADS; threads <= MOST_THREADS; threads++) {
        bed b;
        if (!open_version(&b, _i / NUMBERS, number, threads))
            return;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i += SANITIZED_THREADS ? 3 : 1) {
            const int m = shapes[i][0], k = shapes[i][1], n = shapes[i][2], last = shapes[i][3];
            float *x = weights(&r, (size_t)m * (size_t)k, 1), *scale = weights(&r, (size_t)k, 1);
            float *rows = weights(&r, (size_t)n * (size_t)k, 0.3f),
                  *bias = weights(&r, (size_t)n, 1);
            float *out = weights(&r, (size_t)last * (size_t)n, 0.3f);
            const vx_weight w = packed_in(&b, number, rows, bias, n, k);
            const vx_weight v = packed_in(&b, number, out, NULL, last, n);
            const float *plain = chain(&b, x, &w, &v, scale, m, false);
            const float *formed = chain(&b, x, &w, &v, scale, m, true);
            const char *what = say(&b, "%s [%d,%d] to %d to %d", name_of(number), m, k, n, last);
            check_guards(what);
            expect(memcmp(plain, formed, (size_t)m * (size_t)last * sizeof *plain) == 0,
                   "%s: in the reader's form the answer differs", what);
            free_outputs();
            float *all[] = {x, scale, rows, bias, out};
            for (size_t j = 0; j < sizeof all / sizeof *all; j++)
                free(all[j]);
        }
        bed_close(&b);
    }
}
END_TEST

/* y in the form `to`, head by head: the rows of each head are those of the floats, packed. */
static void heads_case(bed *b, const vx_panel_form *to, const vx_weight *w, const float *x, int m,
                       int e)
{
    const size_t row = vx_panel_row(to, e), rows = (size_t)m, n = (size_t)w->n;
    float *y = output_f32(rows * n), *formed = output_f32(rows * vx_form_room(n));
    char *head = output(rows * row);
    vx_linear a = {.y_n = (vx_narrow *)y, .ldy = w->n, .x = x, .ldx = w->k, .w = w, .m = m};
    b->dev->ops.linear(b->dev, &a);
    a.y_n = (vx_narrow *)formed;
    a.y_form = &to->packing;
    a.y_part = e;
    b->dev->ops.linear(b->dev, &a);
    const char *what = say(b, "%s [%d,%d] to %d, heads of %d as %s", w->packing->name, m, w->k,
                           w->n, e, to->packing.name);
    check_guards(what);
    for (int h = 0; h < w->n / e; h++) {
        vx_panel_pack_rows(vx_cpu_of(b->dev), to->number,
                           &(vx_panel_rows){head, row, NULL, y + h * e, w->n, m, e});
        expect(memcmp(head, (const char *)formed + vx_panel_head(to, e, rows, (size_t)h, 0),
                      rows * row) == 0,
               "%s: head %d differs", what, h);
    }
}

START_TEST(test_panels__heads_lie_by_themselves)
{
    static const int shapes[][4] = {{5, 33, 96, 32}, {71, 64, 192, 64}, {40, 100, 288, 96}};
    const vx_number number = (vx_number)(_i % NUMBERS);
    rng r = {43};
    for (int threads = LEAST_THREADS; threads <= MOST_THREADS; threads++) {
        bed b;
        if (!open_version(&b, _i / NUMBERS, number, threads))
            return;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            const int m = shapes[i][0], k = shapes[i][1], n = shapes[i][2], e = shapes[i][3];
            float *x = weights(&r, (size_t)m * (size_t)k, 1), *bias = weights(&r, (size_t)n, 1);
            float *rows = weights(&r, (size_t)n * (size_t)k, 0.3f);
            const vx_weight w = packed_in(&b, number, rows, bias, n, k);
            heads_case(&b, &vx_panel_forms[VX_NUMBER_BF16], &w, x, m, e);
            heads_case(&b, &vx_panel_forms[VX_NUMBER_BF16X3], &w, x, m, e);
            free_outputs();
            free(x);
            free(rows);
            free(bias);
        }
        bed_close(&b);
    }
}
END_TEST

/* y [m,n] of a product with everything. */
static float *answer(bed *b, vx_number number, const problem *p, const vx_weight *w, int first,
                     int rows)
{
    const size_t ldy = (size_t)ld(p, p->n), skip = (size_t)first * ldy;
    float *y = malloc((size_t)rows * ldy * sizeof *y);
    (void)number;
    expect(y != NULL, "no memory");
    vx_linear a = linear_of(p, w, p->y, p->pre);
    a.y = y;
    a.x += (size_t)first * (size_t)a.ldx;
    a.residual += skip;
    a.m = rows;
    b->dev->ops.linear(b->dev, &a);
    return y;
}

START_TEST(test_panels__a_row_does_not_depend_on_others)
{
    const vx_number number = (vx_number)(_i % NUMBERS);
    bed beds[MOST_THREADS];
    rng r = {27};
    for (int t = 0; t < MOST_THREADS; t++)
        if (!open_version(&beds[t], _i / NUMBERS, number, 1 + t)) {
            ck_assert_int_eq(t, 0);
            return;
        }
    for (int i = 0; i < N * K; i += SANITIZED ? 11 : 2) {
        problem p = make_problem(&r, 71, all_n[i / K], all_k[i % K], VX_ACT_GELU,
                                 BIASED | GAMMA | RESIDUAL, 0);
        const vx_weight w = packed_in(&beds[0], number, p.w, p.bias, p.n, p.k);
        const size_t row = (size_t)p.n * sizeof(float);
        float *one = answer(&beds[0], number, &p, &w, 0, p.m);
        const char *what = say(&beds[0], "%s [71,%d]x%d", name_of(number), p.n, p.k);
        for (int t = 1; t < MOST_THREADS; t++) {
            float *many = answer(&beds[t], number, &p, &w, 0, p.m);
            expect(memcmp(one, many, row * 71) == 0, "%s: %d threads differ", what, t + 1);
            free(many);
        }
        for (int j = 0; j < p.m; j += 7)
            for (int rows = 1; rows <= 19 && j + rows <= p.m; rows += 6) {
                float *alone = answer(&beds[j % MOST_THREADS], number, &p, &w, j, rows);
                expect(memcmp(alone, one + j * p.n, row * (size_t)rows) == 0,
                       "%s: %d rows from row %d differ", what, rows, j);
                free(alone);
            }
        free(one);
        free_problem(&p);
        free_outputs();
    }
    for (int t = 0; t < MOST_THREADS; t++)
        bed_close(&beds[t]);
}
END_TEST

/* ------------------------------------------------------------------------- patches --------- */

typedef struct patches_of {
    int batch, channels, height, width, ph, pw, d, prefix, with_pos;
} patches_of;

/* Of a number of pixels that fills steps and groups, and of others; in one channel and in several;
 * rows that are multiplied in parts; a picture smaller than a patch; more patches than there is
 * memory for at once. */
static const patches_of all_patches[] = {
    {1, 3, 64, 48, 16, 16, 33, 1, 1},  {3, 3, 50, 61, 16, 8, 40, 2, 1},
    {2, 3, 30, 30, 7, 5, 17, 0, 0},    {2, 3, 42, 57, 14, 14, 100, 1, 1},
    {1, 1, 41, 44, 8, 4, 16, 5, 0},    {2, 5, 3, 9, 1, 3, 7, 1, 1},
    {1, 3, 64, 70, 32, 32, 48, 1, 1},  {2, 3, 8, 8, 16, 16, 9, 2, 0},
    {1, 1, 340, 350, 16, 16, 31, 1, 1}};
enum { PATCHES = sizeof all_patches / sizeof *all_patches };

typedef struct patch_problem {
    vx_patch_embed a; /* of plain filters, its y is what the reference makes */
    vx_weight w;
    size_t count; /* of y */
    float *arrays[6];
} patch_problem;

static int pixels_of(const patches_of *p)
{
    return p->channels * p->ph * p->pw;
}

/* Pixels that are alike: a level for each picture, far from 0, and little beside it. */
static patch_problem make_patches(rng *r, const patches_of *p)
{
    const int k = pixels_of(p), across = p->width / p->pw, patches = p->height / p->ph * across;
    const size_t image = (size_t)p->channels * (size_t)p->height * (size_t)p->width;
    patch_problem made = {.count = (size_t)p->batch * (size_t)(p->prefix + patches) * (size_t)p->d,
                          .arrays = {weights(r, (size_t)p->batch * image, 0.02f),
                                     weights(r, (size_t)p->d * (size_t)k, 0.1f),
                                     weights(r, (size_t)p->d, 1),
                                     weights(r, (size_t)(p->prefix + 1) * (size_t)p->d, 1),
                                     weights(r, (size_t)(patches + 1) * (size_t)p->d, 1)}};
    made.arrays[5] = weights(r, made.count + 1, 1);
    for (size_t i = 0; i < (size_t)p->batch * image; i++)
        made.arrays[0][i] += i / image % 2 ? -2.2f : 1.7f;
    made.w = (vx_weight){made.arrays[1], made.arrays[2], p->d, k, &vx_packing_plain, NULL};
    made.a = (vx_patch_embed){made.arrays[5],
                              made.arrays[0],
                              NULL,
                              p->prefix ? made.arrays[3] : NULL,
                              p->with_pos ? made.arrays[4] : NULL,
                              p->batch,
                              p->channels,
                              p->height,
                              p->width,
                              p->ph,
                              p->pw,
                              p->prefix};
    return made;
}

static void free_patches(patch_problem *p)
{
    for (size_t i = 0; i < sizeof p->arrays / sizeof *p->arrays; i++)
        free(p->arrays[i]);
}

/* The patch that token `token` of picture b is made of, less the means of its groups; what they
 * were is in mean, one behind the other. */
static void read_patch(float *x, float *mean, const vx_patch_embed *a, int b, int patch)
{
    const int across = a->width / a->patch_width, lines = a->patch_height, n = a->patch_width;
    const int k = a->channels * lines * n;
    for (int i = 0; i < k; i++) {
        const int row = patch / across * lines + i / n % lines, column = patch % across * n + i % n;
        x[i] = a->image[((b * a->channels + i / n / lines) * a->height + row) * a->width + column];
    }
    for (int first = 0; first < k; first += VX_PATCH_GROUP) {
        const int end = vx_least(k, first + VX_PATCH_GROUP);
        double sum = 0;
        for (int i = first; i < end; i++)
            sum += (double)x[i];
        *mean++ = (float)(sum / (end - first));
        for (int i = first; i < end; i++)
            x[i] -= mean[-1];
    }
}

/* How far element j of a token may be off: bf16x3 rounds what a pixel has beside its mean, and the
 * 2^-15 of the mean that stay with it; the means times the sums of filters are as good as f32. */
static double patch_bound(const float *x, const float *mean, const vx_weight *w, int j)
{
    const float *row = (const float *)w->data + (size_t)j * (size_t)w->k;
    sizes_of s = {.terms = w->k + 2 * vx_ceil_div(w->k, VX_PATCH_GROUP)};
    double of_means = 0;
    for (int first = 0; first < w->k; first += VX_PATCH_GROUP, mean++) {
        double sum = 0;
        for (int i = first; i < vx_least(w->k, first + VX_PATCH_GROUP); i++) {
            const double most = fabs((double)x[i]) + 0x1p-15 * fabs((double)*mean);
            s.products += most * fabs((double)row[i]);
            sum += (double)row[i];
        }
        of_means += fabs((double)*mean * sum);
    }
    return bound_of(VX_NUMBER_BF16X3, &s) + (3 * s.terms + 8) * U * 1.02 * of_means;
}

/* @return the largest share of its bound that an element takes */
static double check_patches(const char *what, const patch_problem *p, const float *y)
{
    const vx_patch_embed *a = &p->a;
    const int k = p->w.k, d = p->w.n, across = a->width / a->patch_width;
    const int patches = a->height / a->patch_height * across, tokens = a->prefix_count + patches;
    float *x = output_f32((size_t)k), *mean = output_f32((size_t)k);
    double most = 0;
    for (int t = 0; t < a->batch * tokens; t++) {
        const int patch = t % tokens - a->prefix_count;
        if (patch >= 0)
            read_patch(x, mean, a, t / tokens, patch);
        for (int j = 0; j < d; j++) {
            const double value = (double)y[t * d + j], right = (double)a->y[t * d + j];
            const double bound = patch < 0 ? 0 : patch_bound(x, mean, &p->w, j);
            const double last = 8 * U * (1 + fabs(right));
            expect(patch < 0 ? value == right : fabs(value - right) <= bound + last,
                   "%s: token %d, %d is %.9g, expected %.9g, bound %g", what, t, j, value, right,
                   bound);
            most = patch < 0 ? most : fmax(most, fabs(value - right) / (bound + last));
        }
    }
    check_guards(what);
    return most;
}

/* Filters packed in two parts, in output memory. */
static vx_weight packed_filters(bed *b, const vx_weight *plain)
{
    char err[200];
    const int half = plain->n / 2 / vx_patch_packing.panel * vx_patch_packing.panel;
    const float *rows = plain->data;
    const vx_device_env env = bed_env(b);
    vx_weight w = *plain;
    w.packing = &vx_patch_packing;
    w.data = output(w.packing->bytes(w.n, w.k));
    if (half)
        expect(w.packing->pack(&env, &w, rows, 0, half, err, sizeof err) == 0, "%s", err);
    expect(w.packing->pack(&env, &w, rows + (size_t)half * (size_t)w.k, half, w.n - half, err,
                           sizeof err) == 0,
           "%s", err);
    expect(memcmp(w.data, rows, (size_t)w.n * (size_t)w.k * sizeof *rows) == 0,
           "the gradient reads other filters");
    return w;
}

static bool open_for_patches(bed *b, int mask, int threads)
{
    if (!open_version(b, mask, VX_NUMBER_BF16, threads))
        return false;
    if (mask == EMULATED_TILES)
        vx_cpu_of(b->dev)->flags |= VX_CPU_AMX; /* where it looks whether there are tiles */
    return true;
}

/* Tokens of one version: within their format, the same bits whatever the number of threads. */
START_TEST(test_panels__patches_are_within_their_format)
{
    const bool of_tiles = _i == EMULATED_TILES || masks[_i].features & VX_CPU_AMX;
    rng r = {28};
    double most = 0;
    bed b;
    for (int i = 0; i < PATCHES; i += SANITIZED ? 2 : 1) {
        patch_problem p = make_patches(&r, &all_patches[i]);
        const vx_weight plain = p.w;
        float *first = NULL;
        p.a.w = &plain;
        vx_patch_embed_ref(NULL, &p.a);
        for (int threads = LEAST_THREADS; threads <= MOST_THREADS; threads++) {
            if (!open_for_patches(&b, _i, threads))
                break;
            const char *what = say(&b, "patches, case %d", i);
            const vx_weight w = packed_filters(&b, &plain);
            vx_patch_embed a = p.a;
            a.y = output_f32(p.count);
            a.w = &w;
            b.dev->ops.patch_embed(b.dev, &a);
            most = fmax(most, check_patches(what, &p, a.y));
            expect(!first || memcmp(first, a.y, p.count * sizeof *first) == 0, "%s: other bits",
                   what);
            first = a.y;
            bed_close(&b);
        }
        free_outputs();
        free_patches(&p);
    }
    if (most > 0) { /* a bound that is never neared would prove nothing */
        printf("patches, %s: at most %.2f of the bound\n", masks[_i].name, most);
        ck_assert(!of_tiles || most > 0.03);
    }
}
END_TEST

/* A pixel that is not finite spoils its own token alone, and without memory filters are not
 * packed. */
START_TEST(test_panels__patches_keep_nan_and_infinities)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    enum { CASE = 3, SPOILT = 5 };
    bed b;
    rng r = {29};
    char err[200] = "";
    if (!open_for_patches(&b, _i, 2))
        return;
    patch_problem p = make_patches(&r, &all_patches[CASE]);
    const int d = p.w.n, across = p.a.width / p.a.patch_width, k = p.w.k;
    vx_weight w = packed_filters(&b, &p.w);
    float *before = output_f32(p.count), *y = output_f32(p.count);
    p.a.w = &w;
    p.a.y = before;
    b.dev->ops.patch_embed(b.dev, &p.a);
    p.a.y = y;
    for (int v = 0; v < 3; v++) {
        float *pixel = p.arrays[0] +
                       (size_t)(SPOILT / across * p.a.patch_height) * (size_t)p.a.width +
                       SPOILT % across * p.a.patch_width + v;
        const float was = *pixel;
        *pixel = values[v];
        b.dev->ops.patch_embed(b.dev, &p.a);
        *pixel = was;
        for (int i = 0; i < (int)p.count; i++)
            expect(i / d == p.a.prefix_count + SPOILT ? !isfinite(y[i]) : y[i] == before[i],
                   "patches with %g: element %d is %g, was %g", (double)values[v], i, (double)y[i],
                   (double)before[i]);
    }
    b.allocations_left = 0;
    const vx_device_env env = bed_env(&b);
    ck_assert_int_eq(w.packing->pack(&env, &w, p.arrays[1], 0, d, err, sizeof err),
                     VX_DEVICE_NOMEM);
    ck_assert(strstr(err, "no memory") && k > 0);
    b.allocations_left = -1;
    check_guards("patches");
    free_outputs();
    free_patches(&p);
    bed_close(&b);
}
END_TEST

/* -------------------------------------------------------------------- instructions --------- */

/* The versions that have to agree to the last bit: sums of int8 are whole numbers, and the tiles of
 * the processor round as those that are emulated. */
static const struct {
    int a, b;
    vx_number number;
} twins[] = {
    {2, 3, VX_NUMBER_INT8}, {2, 5, VX_NUMBER_INT8}, {0, 1, VX_NUMBER_INT8},
    {0, 7, VX_NUMBER_INT8}, {5, 7, VX_NUMBER_BF16}, {5, 7, VX_NUMBER_BF16X3},
    {0, 2, VX_NUMBER_INT8}, {6, 2, VX_NUMBER_INT8},
};
enum { TWINS = sizeof twins / sizeof *twins };

START_TEST(test_panels__instructions_are_as_emulated)
{
    const vx_number number = twins[_i].number;
    bed one, other;
    rng r = {28};
    if (!open_version(&one, twins[_i].a, number, 1))
        return;
    if (!open_version(&other, twins[_i].b, number, 1)) {
        bed_close(&one);
        return;
    }
    FOR_SIZES(m, n, k, i)
    {
        float *x = weights(&r, (size_t)(m * k), 1), *w = weights(&r, (size_t)(n * k), 1);
        float *y = output_f32((size_t)(m * n)), *z = output_f32((size_t)(m * n));
        const vx_weight packed = packed_in(&one, number, w, NULL, n, k);
        vx_linear a = {.y = y, .ldy = n, .x = x, .ldx = k, .w = &packed, .m = m};
        one.dev->ops.linear(one.dev, &a);
        a.y = z;
        other.dev->ops.linear(other.dev, &a);
        expect(memcmp(y, z, (size_t)(m * n) * sizeof *y) == 0,
               "%s is not \"%s\" in %s of [%d,%d]x%d", one.version->name, other.version->name,
               name_of(number), m, n, k);
        free(x);
        free(w);
        free_outputs();
    }
    bed_close(&one);
    bed_close(&other);
}
END_TEST

/* ------------------------------------------------------------- permission for tiles -------- */

/* The linker puts these in the place of those of features.c (Makefile). */
unsigned __real_vx_cpu_features(void);
int __real_vx_cpu_allow_tiles(void);
unsigned __wrap_vx_cpu_features(void);
int __wrap_vx_cpu_allow_tiles(void);
static unsigned pretended; /* 0: what there is */
static int refused, asked;
static char log_lines[1000];

unsigned __wrap_vx_cpu_features(void)
{
    return pretended ? pretended : __real_vx_cpu_features();
}

int __wrap_vx_cpu_allow_tiles(void)
{
    asked++;
    return pretended ? !refused : __real_vx_cpu_allow_tiles();
}

static void take_line(const char *line, void *owner)
{
    (void)owner;
    strncat(log_lines, line, sizeof log_lines - strlen(log_lines) - 1);
}

/* What a device that is opened in a precision runs, and has logged. */
static const char *kernels_in(const char *precision, int refuse)
{
    static char kernels[160];
    char err[200] = "";
    bed b = {.allocations_left = -1};
    vitx_hooks hooks;
    vx_device *dev;
    expect(vx_hooks_resolve(&hooks, NULL) == 0, "hooks");
    expect(vx_pool_create(&b.pool, &hooks, 1) == 0, "no threads");
    vx_device_env env = bed_env(&b);
    env.log = take_line;
    log_lines[0] = 0;
    asked = 0;
    refused = refuse;
    expect(vx_device_find("cpu")->open(&dev, &env, precision, ~(unsigned)VX_CPU_BLAS, err,
                                       sizeof err) == 0,
           "%s", err);
    snprintf(kernels, sizeof kernels, "%s", dev->kernels);
    dev->cls->close(dev);
    vx_pool_free(b.pool);
    return kernels;
}

/* No kernel runs here, so any processor with AVX-512 can be one with AMX; without it not even the
 * code that lists those kernels runs. */
START_TEST(test_panels__tiles_need_permission)
{
#ifdef __x86_64__
    if (!(__real_vx_cpu_features() & VX_CPU_AVX512)) {
        printf("skipped: permission for tiles needs AVX-512\n");
        return;
    }
    pretended = UP_TO_512 | VX_CPU_BF16 | VX_CPU_AMX;
    ck_assert_str_eq(kernels_in("bf16", 0), "avx512 bf16 amx; own matrix products");
    ck_assert(asked == 1 && !strstr(log_lines, "arch_prctl"));
    ck_assert_str_eq(kernels_in("bf16", 1), "avx512 bf16; own matrix products");
    ck_assert(asked == 1 && strstr(log_lines, "AMX") && strstr(log_lines, "arch_prctl"));
    ck_assert_str_eq(kernels_in("f32", 1), "avx512 bf16; own matrix products");
    ck_assert(asked == 0 && !strstr(log_lines, "arch_prctl"));
    /* an extension needs its instruction set, and tiles the roundings of bf16 */
    pretended = UP_TO_512 | VX_CPU_AMX;
    ck_assert_str_eq(kernels_in("bf16", 0), "avx512; own matrix products");
    ck_assert_int_eq(asked, 0);
    pretended = VX_CPU_AVX2 | VX_CPU_AMX | VX_CPU_VNNI | VX_CPU_BF16;
    ck_assert_str_eq(kernels_in("int8", 0), "avx2; own matrix products");
    ck_assert_int_eq(asked, 0);
    pretended = UP_TO_512 | VX_CPU_VNNI | VX_CPU_BF16;
    ck_assert_str_eq(kernels_in("int8", 0), "avx512 vnni bf16; own matrix products");
    ck_assert_int_eq(asked, 0);
    pretended = 0;
#else
    printf("skipped: this kind of processor has no tiles\n");
#endif
}
END_TEST

/* By what bf16x3, bf16 and int8 are multiplied on a pretended processor, and what auto is. */
static void check_precisions(unsigned features, const char *f32, const char *const by[3],
                             const char *automatic)
{
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
    pretended = features | VX_CPU_AVX2;
    for (int i = 0; i < NUMBERS; i++) {
        ck_assert_int_eq(vitx_precision_get(&p, "cpu", i), VITX_OK);
        const char *expected = i ? by[i - 1] : f32;
        ck_assert_str_eq(p.name, name_of((vx_number)i));
        ck_assert_str_eq(p.instructions ? p.instructions : "none", expected);
        ck_assert_int_eq(p.is_default, i == 0);
        ck_assert_int_eq(p.is_auto, strcmp(automatic, p.name) == 0);
    }
    ck_assert_int_eq(vitx_precision_get(&p, "cpu", NUMBERS), VITX_INVALID);
    ck_assert_int_eq(vitx_precision_get(&p, "cpu", -1), VITX_INVALID);
    pretended = 0;
}

START_TEST(test_panels__a_machine_says_what_it_has)
{
    vitx_precision_info p = VITX_PRECISION_INFO_INIT;
#ifdef __x86_64__
    asked = 0;
    check_precisions(0, "avx2", (const char *const[]){"none", "none", "none"}, "f32");
    check_precisions(UP_TO_512, "avx512", (const char *const[]){"none", "none", "none"}, "f32");
    check_precisions(UP_TO_512 | VX_CPU_VNNI | VX_CPU_BF16, "avx512",
                     (const char *const[]){"none", "bf16", "vnni"}, "f32");
    check_precisions(UP_TO_512 | VX_CPU_VNNI | VX_CPU_BF16 | VX_CPU_AMX, "avx512",
                     (const char *const[]){"amx", "amx", "amx"}, "bf16x3");
    ck_assert_int_eq(asked, 0); /* telling changes nothing */
#endif
    ck_assert_int_eq(vitx_precision_get(&p, "ref", 0), VITX_OK);
    ck_assert(strcmp(p.name, "f32") == 0 && p.instructions && p.is_default && p.is_auto);
    ck_assert_int_eq(vitx_precision_get(&p, "ref", 1), VITX_INVALID);
    ck_assert_int_eq(vitx_precision_get(&p, "toaster", 0), VITX_DEVICE);
    ck_assert_int_eq(vitx_precision_get(NULL, "cpu", 0), VITX_INVALID);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("panels");
    TCase *t = tcase_create("panels");
    tcase_add_loop_test(t, test_panels__linear_is_within_its_format, LEAST_THREADS - 1,
                        MOST_THREADS);
    tcase_add_loop_test(t, test_panels__gradients_are_within_their_format, 0, NUMBERS);
    tcase_add_loop_test(t, test_panels__whole_numbers_are_exact, 0, CASES);
    tcase_add_loop_test(t, test_panels__gradients_are_the_same_for_any_threads, 0, CASES);
    tcase_add_test(t, test_panels__peaks_multiply);
    tcase_add_test(t, test_panels__near_activations_are_near);
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(t, test_panels__unpack_what_was_packed, 0, NUMBERS);
    tcase_add_loop_test(t, test_panels__keep_nan_and_infinities, 0, CASES);
    if (!SANITIZED_THREADS) /* it runs in one thread */
        tcase_add_loop_test(t, test_panels__of_tiny_numbers, 0, CASES);
    tcase_add_loop_test(t, test_panels__forms_of_rows_change_nothing, 0, CASES);
    tcase_add_loop_test(t, test_panels__heads_lie_by_themselves, 0, CASES);
    tcase_add_loop_test(t, test_panels__a_row_does_not_depend_on_others, 0, CASES);
    tcase_add_loop_test(t, test_panels__patches_are_within_their_format, 0, MASKS);
    tcase_add_loop_test(t, test_panels__patches_keep_nan_and_infinities, 0, MASKS);
    if (!SANITIZED_THREADS) /* so does this one */
        tcase_add_loop_test(t, test_panels__instructions_are_as_emulated, 0, TWINS);
    tcase_add_test(t, test_panels__tiles_need_permission);
    tcase_add_test(t, test_panels__a_machine_says_what_it_has);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
