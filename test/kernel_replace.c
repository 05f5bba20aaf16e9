/* test/kernel_replace.c: tokens copied, their channels replaced, and attention with channels of its
 * tokens replaced, against the scalar reference. Like the tests of test_kernels.c, for one bed
 * each. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

/* y [m,n] from x, or from one row of it; nothing between the rows is written, and a plain copy
 * keeps every bit. */
static void copy_case(bed *b, rng *r, int m, int n, int pad, bool one_row, float scale,
                      int accumulate)
{
    const int ldy = n + pad, ldx = one_row ? 0 : n + 2 * pad;
    const size_t count = (size_t)(m * ldy), xs = one_row ? (size_t)n : (size_t)(m * ldx);
    const char *what = say(b, "copy_rows [%d,%d], pad %d, one row %d, scale %g, accumulate %d", m,
                           n, pad, (int)one_row, (double)scale, accumulate);
    float *x = input(r, xs, NORMAL), *y = output_f32(count), *expected = output_f32(count);
    x[n / 2] = vx_bits_float(0x7fc12345u);
    for (int i = 0; i < m * n && accumulate; i++)
        y[i / n * ldy + i % n] = expected[i / n * ldy + i % n] = rng_normal(r);
    vx_copy_rows a = {.y = expected,
                      .ldy = ldy,
                      .x = x,
                      .ldx = ldx,
                      .m = m,
                      .n = n,
                      .scale = scale,
                      .accumulate = accumulate};
    vx_copy_rows_ref(NULL, &a);
    a.y = y;
    b->dev->ops.copy_rows(b->dev, &a);
    check_guards(what);
    for (int i = 0; i < m; i++) {
        const float *row = y + i * ldy, *from = x + i * ldx;
        check_close(row, expected + i * ldy, (size_t)n, TOL_KERNEL, 1e-3, what);
        expect(scale != 1 || accumulate || memcmp(row, from, (size_t)n * sizeof *row) == 0,
               "%s: bits differ", what);
        for (int j = n; j < ldy; j++)
            expect(untouched(row[j]), "%s: wrote between rows", what);
    }
    free(x);
    free_outputs();
}

void test_copy_rows__matches_reference(int index)
{
    static const float scales[] = {1, 0.5f, -1};
    bed b;
    rng r = {41};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 6 * SIZES; i++)
        copy_case(&b, &r, sizes[(i + 1) % SIZES], sizes[i % SIZES], i % 4, i % 5 == 1,
                  scales[i % 3], i % 2);
    copy_case(&b, &r, 3, 50001, 2, false, 1, 0);
    copy_case(&b, &r, 1, 100003, 0, false, 1, 0);
    copy_case(&b, &r, 40, 3001, 0, true, -1, 1);
    b.dev->ops.copy_rows(b.dev, &(vx_copy_rows){.y = NULL, .x = NULL, .m = 0, .n = 5, .scale = 1});
    bed_close(&b);
}

void test_replace_channels__matches_reference(int index)
{
    enum { MOST = 40 };
    bed b;
    rng r = {42};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < SIZES; i++) {
        const int d = sizes[i], t = 1 + 3 * i, count = i == 2 ? MOST : 1 + 2 * i;
        const size_t n = (size_t)(count * t * d);
        float *x = input(&r, (size_t)(t * d), NORMAL), *y = output_f32(n),
              *expected = output_f32(n);
        int channels[MOST];
        for (int s = 0; s < count; s++)
            channels[s] = s == 0 ? d - 1 : rng_int(&r, 0, d - 1);
        vx_replace_channels_ref(NULL, &(vx_replace_channels){.y = expected,
                                                             .x = x,
                                                             .channels = channels,
                                                             .value = -1e7f,
                                                             .count = count,
                                                             .tokens = t,
                                                             .width = d});
        b.dev->ops.replace_channels(b.dev, &(vx_replace_channels){.y = y,
                                                                  .x = x,
                                                                  .channels = channels,
                                                                  .value = -1e7f,
                                                                  .count = count,
                                                                  .tokens = t,
                                                                  .width = d});
        check_guards("replace_channels");
        ck_assert_mem_eq(y, expected, n * sizeof *y);
        for (int s = 0; s < count; s++)
            expect(y[(s * t + t - 1) * d + channels[s]] == -1e7f, "replace_channels: nothing set");
        free(x);
        free_outputs();
    }
    bed_close(&b);
}

/* qkv [T,3A] = x W^T + bias with W [3A,D], in double. */
static void project(float *qkv, const float *x, const float *w, const float *bias, int t, int d,
                    int n)
{
    for (int i = 0; i < t; i++)
        for (int j = 0; j < n; j++) {
            double sum = bias[j];
            for (int k = 0; k < d; k++)
                sum += (double)x[i * d + k] * w[j * d + k];
            qkv[i * n + j] = (float)sum;
        }
}

typedef struct shape {
    int count, tokens, width, heads, head_width, query;
    float value;
} shape;

/* Variant s of a case by its meaning: x with the channel replaced, projected, attended by
 * `attention`. */
static void by_hand(float *y, const shape *s, const float *x, const float *w, const float *bias,
                    int channel)
{
    const int a = s->heads * s->head_width;
    float *moved = malloc(sizeof(float) * (size_t)(s->tokens * s->width));
    float *qkv = malloc(sizeof(float) * (size_t)(s->tokens * 3 * a));
    float *all = malloc(sizeof(float) * (size_t)(s->tokens * a));
    vx_replace_channels_ref(NULL, &(vx_replace_channels){.y = moved,
                                                         .x = x,
                                                         .channels = &channel,
                                                         .value = s->value,
                                                         .count = 1,
                                                         .tokens = s->tokens,
                                                         .width = s->width});
    project(qkv, moved, w, bias, s->tokens, s->width, 3 * a);
    vx_attention_ref(NULL, &(vx_attention){.y = all,
                                           .qkv = qkv,
                                           .scale = 1 / sqrtf((float)s->head_width),
                                           .batch = 1,
                                           .tokens = s->tokens,
                                           .heads = s->heads,
                                           .head_width = s->head_width,
                                           .queries = s->query + 1});
    memcpy(y, all + s->query * a, sizeof(float) * (size_t)a);
    free(moved);
    free(qkv);
    free(all);
}

static void replaced_case(bed *b, rng *r, const shape *s)
{
    const int a = s->heads * s->head_width, n = 3 * a;
    const char *what =
        say(b, "attention_replaced %d of [%d,%d], H%d E%d, query %d, value %g", s->count, s->tokens,
            s->width, s->heads, s->head_width, s->query, (double)s->value);
    const size_t count = (size_t)(s->count * a);
    float *x = input(r, (size_t)(s->tokens * s->width), NORMAL),
          *bias = weights(r, (size_t)n, 0.3f);
    float *w = weights(r, (size_t)(n * s->width), 1 / sqrtf((float)s->width));
    float *qkv = malloc(sizeof(float) * (size_t)(s->tokens * n));
    float *columns = malloc(sizeof(float) * (size_t)(s->count * n));
    int *channels = malloc(sizeof(int) * (size_t)s->count);
    float *y = output_f32(count), *again = output_f32(count), *expected = output_f32(count);
    project(qkv, x, w, bias, s->tokens, s->width, n);
    for (int i = 0; i < s->count; i++) {
        channels[i] = i == 0 ? s->width - 1 : rng_int(r, 0, s->width - 1);
        for (int j = 0; j < n; j++)
            columns[i * n + j] = w[j * s->width + channels[i]];
    }
    vx_attention_replaced op = {.y = expected,
                                .qkv = qkv,
                                .x = x,
                                .columns = columns,
                                .channels = channels,
                                .value = s->value,
                                .scale = 1 / sqrtf((float)s->head_width),
                                .count = s->count,
                                .query = s->query,
                                .tokens = s->tokens,
                                .width = s->width,
                                .heads = s->heads,
                                .head_width = s->head_width};
    vx_attention_replaced_ref(NULL, &op);
    op.y = y;
    b->dev->ops.attention_replaced(b->dev, &op);
    op.y = again;
    b->dev->ops.attention_replaced(b->dev, &op);
    check_guards(what);
    expect(product_error(y, expected, count) < TOL_NMSE, "%s: off by %g", what,
           product_error(y, expected, count));
    expect(memcmp(y, again, count * sizeof *y) == 0, "%s: two runs differ", what);
    float *hand = malloc(sizeof(float) * (size_t)a); /* the reference, too, means what it says */
    for (int i = 0; i < s->count; i += 1 + s->count / 3) {
        by_hand(hand, s, x, w, bias, channels[i]);
        expect(product_error(expected + i * a, hand, (size_t)a) < TOL_NMSE, "%s: variant %d", what,
               i);
    }
    free(hand);
    free(x);
    free(w);
    free(bias);
    free(qkv);
    free(columns);
    free(channels);
    free_outputs();
}

void test_attention_replaced__matches_reference(int index)
{
    static const shape shapes[] = {
        {1, 1, 1, 1, 1, 0, 0},     {5, 3, 7, 1, 9, 2, 0},      {70, 17, 70, 3, 8, 0, 0},
        {33, 33, 24, 2, 17, 0, 2}, {130, 10, 130, 5, 3, 9, 0}, {40, 50, 64, 3, 64, 0, -0.5f},
    };
    bed b;
    rng r = {43};
    if (!bed_open(&b, index, &largest))
        return;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        replaced_case(&b, &r, &shapes[i]);
    bed_close(&b);
    vx_dims dims = largest; /* so many tokens that a strip holds few variants */
    dims.tokens = 9001;
    if (QUICK || !bed_open(&b, index, &dims))
        return;
    replaced_case(&b, &r, &(shape){70, 9001, 3, 1, 2, 2, 0});
    bed_close(&b);
}
