/* test/kernel_maps.c: what methods make of gradients, and the moving of rows, against the scalar
 * reference. Like the tests of test_kernels.c, for one bed each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

/* ------------------------------------------------------------------ attention's gradient --- */

static void product_case(bed *b, rng *r, int batch, int targets, int heads, int t)
{
    const size_t tt = (size_t)(t * t), gs = (size_t)(batch * targets), h = (size_t)heads;
    float *p = weights(r, (size_t)batch * h * tt, 0.2f), *dp = input(r, gs * h * tt, NORMAL);
    float *y = output_f32(gs * tt), *expected = output_f32(gs * tt);
    const size_t bad = tt / 2; /* of the first gradient, in its last head */
    dp[(h - 1) * tt + bad] = NAN;
    for (int kind = VX_PRODUCT_RELU_MEAN; kind <= VX_PRODUCT_MEAN_RELU; kind++)
        for (int head = -1; head<heads; head += heads> 1 ? heads - 1 : 1) {
            const char *what = say(b, "attn_product B%d K%d H%d T%d, kind %d, head %d", batch,
                                   targets, heads, t, kind, head);
            vx_attn_product_ref(NULL, &(vx_attn_product){.out = expected,
                                                         .p = p,
                                                         .dp = dp,
                                                         .kind = (vx_product)kind,
                                                         .head = head,
                                                         .batch = batch,
                                                         .targets = targets,
                                                         .heads = heads,
                                                         .tokens = t});
            b->dev->ops.attn_product(b->dev, &(vx_attn_product){.out = y,
                                                                .p = p,
                                                                .dp = dp,
                                                                .kind = (vx_product)kind,
                                                                .head = head,
                                                                .batch = batch,
                                                                .targets = targets,
                                                                .heads = heads,
                                                                .tokens = t});
            check_guards(what);
            check_close(y, expected, gs * tt, TOL_KERNEL, 0.1, what);
            expect(isnan(y[bad]) == (head < 0 || head == heads - 1), "%s: NaN", what);
            for (size_t i = 0; i < gs * tt; i++)
                expect(!(y[i] < 0), "%s is below 0", what);
        }
    free(p);
    free(dp);
    free_outputs();
}

void test_attn_product__matches_reference(int index)
{
    bed b;
    rng r = {31};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        product_case(&b, &r, 1 + i % 2, i % 3 ? 1 : 3, 1 + i, QUICK && i == 4 ? 50 : sizes[i]);
    bed_close(&b);
}

void test_attn_relu_mean__matches_reference(int index)
{
    bed b;
    rng r = {32};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int t = QUICK && i == 4 ? 50 : sizes[i], heads = 1 + i, g = 1 + i % 3;
        const size_t n = (size_t)(g * t), all = n * (size_t)(heads * t);
        float *dp = input(&r, all, i % 2 ? OFFSET : NORMAL);
        float *y = output_f32(n), *expected = output_f32(n);
        for (size_t j = 0; j < all;
             j += (size_t)t) /* a column that is all negative, one with a NaN */
            dp[j + (size_t)(t / 2)] = -1;
        dp[all - 1] = NAN;
        for (int head = -1; head<heads; head += heads> 1 ? heads - 1 : 1) {
            const char *what = say(&b, "attn_relu_mean G%d H%d T%d, head %d", g, heads, t, head);
            vx_attn_relu_mean_ref(NULL, &(vx_attn_relu_mean){.out = expected,
                                                             .dp = dp,
                                                             .head = head,
                                                             .gradients = g,
                                                             .heads = heads,
                                                             .tokens = t});
            b.dev->ops.attn_relu_mean(
                b.dev,
                &(vx_attn_relu_mean){
                    .out = y, .dp = dp, .head = head, .gradients = g, .heads = heads, .tokens = t});
            check_guards(what);
            check_close(y, expected, n, TOL_KERNEL, 0.01, what);
            expect(t == 1 || y[t / 2] == 0, "%s: nothing was above 0", what);
            expect(isnan(y[n - 1]) == (head < 0 || head == heads - 1), "%s: NaN", what);
        }
        free(dp);
        free_outputs();
    }
    bed_close(&b);
}

/* -------------------------------------------------------------------- tokens and channels -- */

/* Sums that cancel (VX_CAM_XGRAD divides by one) are taken in double everywhere, so the largest
 * value of the map is the measure. */
static void cam_case(bed *b, rng *r, int batch, int targets, int first, int tokens, int width,
                     enum kind kind)
{
    const size_t each = (size_t)(tokens * width), all = each * (size_t)(batch * targets);
    const size_t n = (size_t)(tokens - first) * (size_t)(batch * targets);
    float *a = input(r, each * (size_t)batch, kind), *g = input(r, all, NORMAL);
    float *y = output_f32(n), *expected = output_f32(n);
    for (size_t i = 0; i < all; i++)
        if (i % each < (size_t)(first * width)) /* not read */
            a[i / each / (size_t)targets * each + i % each] = g[i] = NAN;
    g[all - 1] = 0;
    for (int cam = 0; cam < VX_CAM_COUNT; cam++) {
        const char *what = say(b, "token_cam %d [%d,%d,%d] K%d from %d of kind %d", cam, batch,
                               tokens, width, targets, first, (int)kind);
        vx_token_cam_ref(NULL, &(vx_token_cam){.out = expected,
                                               .a = a,
                                               .g = g,
                                               .kind = (vx_cam)cam,
                                               .first = first,
                                               .batch = batch,
                                               .targets = targets,
                                               .tokens = tokens,
                                               .width = width});
        b->dev->ops.token_cam(b->dev, &(vx_token_cam){.out = y,
                                                      .a = a,
                                                      .g = g,
                                                      .kind = (vx_cam)cam,
                                                      .first = first,
                                                      .batch = batch,
                                                      .targets = targets,
                                                      .tokens = tokens,
                                                      .width = width});
        check_guards(what);
        expect(max_error_ff(y, expected, n) < TOL_KERNEL, "%s: off by %g", what,
               max_error_ff(y, expected, n));
    }
    a[(size_t)(tokens / 2 * width)] = NAN; /* spoils its own token, or the weight of its channel */
    for (int cam = 0; cam < VX_CAM_COUNT; cam++) {
        vx_token_cam_ref(NULL, &(vx_token_cam){.out = expected,
                                               .a = a,
                                               .g = g,
                                               .kind = (vx_cam)cam,
                                               .first = first,
                                               .batch = batch,
                                               .targets = targets,
                                               .tokens = tokens,
                                               .width = width});
        b->dev->ops.token_cam(b->dev, &(vx_token_cam){.out = y,
                                                      .a = a,
                                                      .g = g,
                                                      .kind = (vx_cam)cam,
                                                      .first = first,
                                                      .batch = batch,
                                                      .targets = targets,
                                                      .tokens = tokens,
                                                      .width = width});
        for (size_t i = 0; i < n; i++)
            expect(isnan(y[i]) == isnan(expected[i]), "%s", say(b, "NaN in token_cam %d", cam));
    }
    free(a);
    free(g);
    free_outputs();
}

void test_token_cam__matches_reference(int index)
{
    bed b;
    rng r = {33};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 1; i < SIZES; i++)
        cam_case(&b, &r, 1 + i % 2, i == 2 ? 3 : 1, i % 3, QUICK && i == 4 ? 50 : sizes[i],
                 sizes[SIZES - 1 - i], i % 2 ? NORMAL : OFFSET);
    cam_case(&b, &r, 2, 2, 1, 17, 192, NORMAL);
    cam_case(&b, &r, 1, 1, 1, 33, 197, TINY);
    cam_case(&b, &r, 1, 1, 0, 5, 70, CONSTANT);
    bed_close(&b);
}

static void gram_case(bed *b, rng *r, int batch, int targets, int first, int tokens, int width,
                      enum kind kind, int with_g)
{
    const size_t each = (size_t)(tokens * width), all = each * (size_t)(batch * targets);
    const size_t n = (size_t)(tokens - first), count = n * n * (size_t)(batch * targets);
    const char *what = say(b, "token_gram [%d,%d] from %d of kind %d, g %d", tokens, width, first,
                           (int)kind, with_g);
    float *a = input(r, each * (size_t)batch, kind), *g = input(r, all, NORMAL);
    float *y = output_f32(count), *expected = output_f32(count);
    for (size_t i = 0; i < all; i++)
        if (i % each < (size_t)(first * width)) /* not read */
            a[i / each / (size_t)targets * each + i % each] = g[i] = NAN;
    vx_token_gram_ref(NULL, &(vx_token_gram){.out = expected,
                                             .a = a,
                                             .g = with_g ? g : NULL,
                                             .first = first,
                                             .batch = batch,
                                             .targets = targets,
                                             .tokens = tokens,
                                             .width = width});
    b->dev->ops.token_gram(b->dev, &(vx_token_gram){.out = y,
                                                    .a = a,
                                                    .g = with_g ? g : NULL,
                                                    .first = first,
                                                    .batch = batch,
                                                    .targets = targets,
                                                    .tokens = tokens,
                                                    .width = width});
    check_guards(what);
    expect(max_error_ff(y, expected, count) < TOL_KERNEL, "%s: off by %g", what,
           max_error_ff(y, expected, count));
    free(a);
    free(g);
    free_outputs();
}

void test_token_gram__matches_reference(int index)
{
    bed b;
    rng r = {34};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 1; i < SIZES - 1; i++)
        for (int kind = 0; kind < 2; kind++)
            gram_case(&b, &r, 1 + kind, 1 + i % 2, i % 3, sizes[i], sizes[SIZES - 1 - i],
                      kind ? OFFSET : NORMAL, (i + kind) % 2);
    gram_case(&b, &r, 1, 1, 1, 50, 33, NORMAL, 1);
    bed_close(&b);
    vx_dims dims = largest; /* more channels than one strip holds */
    dims.width = 60001;
    if (!bed_open(&b, index, &dims))
        return;
    gram_case(&b, &r, 1, 1, 1, 6, 60001, OFFSET, index % 2);
    bed_close(&b);
}

/* ------------------------------------------------------------------------- moving, summing - */

void test_clear__matches_reference(int index)
{
    bed b;
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES + 1; i++) {
        const size_t n = i < SIZES ? (size_t)sizes[i] : 100003;
        float *y = output_f32(n), *expected = output_f32(n);
        vx_clear_ref(NULL, &(vx_clear){.y = expected, .count = (int64_t)n});
        b.dev->ops.clear(b.dev, &(vx_clear){.y = y, .count = (int64_t)n});
        check_guards("clear");
        ck_assert_mem_eq(y, expected, n * sizeof *y);
        free_outputs();
    }
    b.dev->ops.clear(b.dev, &(vx_clear){.y = NULL, .count = 0});
    bed_close(&b);
}

void test_gather_rows__matches_reference(int index)
{
    enum { A = 9, C = 4, ROWS = 400 };
    bed b;
    rng r = {35};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int d = sizes[i], rows = i == 2 ? ROWS : 1 + 3 * i;
        float *from_a = input(&r, (size_t)(A * d), NORMAL),
              *from_b = input(&r, (size_t)(C * d), TINY);
        float *y = output_f32((size_t)(rows * d)), *expected = output_f32((size_t)(rows * d));
        int from[ROWS];
        from_a[d / 2] = vx_bits_float(0x7fc12345u); /* bits are kept */
        for (int j = 0; j < rows; j++)
            from[j] = rng_int(&r, i == 3 ? 0 : -C, A - 1);
        vx_gather_rows_ref(NULL, &(vx_gather_rows){.y = expected,
                                                   .a = from_a,
                                                   .b = i == 3 ? NULL : from_b,
                                                   .from = from,
                                                   .rows = rows,
                                                   .width = d});
        b.dev->ops.gather_rows(b.dev, &(vx_gather_rows){.y = y,
                                                        .a = from_a,
                                                        .b = i == 3 ? NULL : from_b,
                                                        .from = from,
                                                        .rows = rows,
                                                        .width = d});
        check_guards("gather_rows");
        ck_assert_mem_eq(y, expected, (size_t)(rows * d) * sizeof *y);
        free(from_a);
        free(from_b);
        free_outputs();
    }
    bed_close(&b);
}

void test_add_weighted__matches_reference(int index)
{
    bed b;
    rng r = {36};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 2 * SIZES + 1; i++) {
        const int s = i < 2 * SIZES ? sizes[SIZES - 1 - i / 2] : 3;
        const size_t n = i < 2 * SIZES ? (size_t)sizes[i / 2] : 50001;
        const int groups = 1 + i % 3;
        const size_t all = n * (size_t)groups;
        const char *what = say(&b, "add_weighted %d of %d, %zu", groups, s, n);
        float *x = input(&r, (size_t)s * all, NORMAL), *w = weights(&r, (size_t)s, 0.5f);
        float *y = output_f32(all), *expected = output_f32(all);
        for (size_t j = 0; j < all; j++)
            y[j] = expected[j] = rng_normal(&r);
        x[n - 1] = i % 3 ? x[n - 1] : NAN;
        vx_add_weighted_ref(NULL, &(vx_add_weighted){.sum = expected,
                                                     .x = x,
                                                     .weights = w,
                                                     .squared = i % 2,
                                                     .groups = groups,
                                                     .samples = s,
                                                     .n = (int64_t)n});
        b.dev->ops.add_weighted(b.dev, &(vx_add_weighted){.sum = y,
                                                          .x = x,
                                                          .weights = w,
                                                          .squared = i % 2,
                                                          .groups = groups,
                                                          .samples = s,
                                                          .n = (int64_t)n});
        check_guards(what);
        check_close(y, expected, all, TOL_KERNEL, 1e-3, what);
        free(x);
        free(w);
        free_outputs();
    }
    bed_close(&b);
}

static void reduce_case(bed *b, rng *r, int batch, int targets, int c, size_t n, enum kind kind)
{
    const size_t gs = (size_t)(batch * targets), each = (size_t)c * n;
    float *g = input(r, gs * each, kind), *x = input(r, (size_t)batch * each, NORMAL);
    float *y = output_f32(gs * n), *expected = output_f32(gs * n);
    g[gs * each - 1] = NAN;
    g[0] = c > 1 ? NAN : g[0];
    for (int reduce = VX_REDUCE_MAX; reduce <= VX_REDUCE_L2; reduce++)
        for (int with_x = 0; with_x < 2; with_x++) {
            const char *what = say(b, "reduce_channels %d [%d,%zu], x %d", reduce, c, n, with_x);
            vx_reduce_channels_ref(NULL, &(vx_reduce_channels){.out = expected,
                                                               .g = g,
                                                               .x = with_x ? x : NULL,
                                                               .kind = (vx_reduce)reduce,
                                                               .batch = batch,
                                                               .targets = targets,
                                                               .channels = c,
                                                               .n = (int64_t)n});
            b->dev->ops.reduce_channels(b->dev, &(vx_reduce_channels){.out = y,
                                                                      .g = g,
                                                                      .x = with_x ? x : NULL,
                                                                      .kind = (vx_reduce)reduce,
                                                                      .batch = batch,
                                                                      .targets = targets,
                                                                      .channels = c,
                                                                      .n = (int64_t)n});
            check_guards(what);
            check_close(y, expected, gs * n, TOL_KERNEL, 1e-30, what);
            ck_assert(isnan(y[gs * n - 1]) && (c == 1 || isnan(y[0])));
        }
    free(g);
    free(x);
    free_outputs();
}

void test_reduce_channels__matches_reference(int index)
{
    bed b;
    rng r = {37};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            reduce_case(&b, &r, 1 + kind % 2, 1 + i % 3, kind == OFFSET ? 7 : 1 + kind % 3,
                        (size_t)sizes[i], (enum kind)kind);
    reduce_case(&b, &r, 1, 1, 3, 40001, NORMAL);
    bed_close(&b);
}
