/* test/kernel_variants.c: variants of a picture, against the scalar reference, to the bit. Like the
 * tests of test_kernels.c, for one bed each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_bed.h"

/* Between which samples the places of an axis lie: the first and the last place on the outer
 * samples, and some exactly on one. */
static vx_places axis_of(rng *r, int places, int samples)
{
    float *first = malloc((size_t)places * sizeof *first),
          *part = malloc((size_t)places * sizeof *part);
    for (int i = 0; i < places; i++) {
        const int at = i == 0 ? 0 : i == places - 1 ? samples - 1 : rng_int(r, 0, samples - 1);
        first[i] = (float)at;
        part[i] = at == samples - 1 || i % 5 == 0 ? 0 : rng_float(r, 0, 1);
    }
    return (vx_places){first, part, samples};
}

static void free_axis(const vx_places *axis)
{
    free((void *)(uintptr_t)axis->first);
    free((void *)(uintptr_t)axis->part);
}

/* What operations on masks are tried with. */
typedef struct shape {
    int n, channels, height, width, rows, columns;
} shape;
static const shape shapes[] = {{1, 1, 1, 1, 1, 1},   {2, 3, 5, 4, 2, 3},   {3, 1, 7, 9, 4, 1},
                               {5, 4, 12, 8, 1, 6},  {1, 3, 33, 28, 8, 8}, {4, 2, 16, 31, 3, 5},
                               {201, 3, 3, 4, 2, 2}, {450, 1, 2, 3, 2, 2}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* A mask's samples lie one behind the other, or a channel apart as those of tokens do. */
typedef struct planes {
    vx_masks masks;
    int *shifts;
    float *samples;
} planes;

static planes planes_of(rng *r, const shape *s, bool tokens)
{
    enum { MOST_SHIFT = 3 };
    const size_t each = (size_t)s->rows * (size_t)s->columns, n = (size_t)s->n;
    planes p = {.samples = input(r, each * n, NORMAL), .shifts = malloc(2 * n * sizeof(int))};
    for (size_t i = 0; i < 2 * n; i++)
        p.shifts[i] = rng_int(r, 0, MOST_SHIFT);
    p.masks = (vx_masks){.samples = p.samples,
                         .of_variant = tokens ? 1 : (int64_t)each,
                         .of_row = tokens ? (int64_t)n * s->columns : s->columns,
                         .of_column = tokens ? (int64_t)n : 1,
                         .down = axis_of(r, s->height + MOST_SHIFT, s->rows),
                         .across = axis_of(r, s->width + MOST_SHIFT, s->columns),
                         .shifts = tokens ? NULL : p.shifts,
                         .columns_first = tokens};
    return p;
}

static void free_planes(const planes *p)
{
    free_axis(&p->masks.down);
    free_axis(&p->masks.across);
    free(p->shifts);
    free(p->samples);
}

static void check_same(const void *found, const void *expected, size_t bytes, const char *what)
{
    check_guards(what);
    expect(memcmp(found, expected, bytes) == 0, "%s: other bits", what);
}

/* ------------------------------------------------------------------ blend ------------------ */

static void blend_both(bed *b, vx_blend *a, const shape *s, const char *what)
{
    const size_t floats = (size_t)s->n * (size_t)(s->channels * s->height * s->width);
    float *y = output_f32(floats), *expected = output_f32(floats);
    a->n = s->n;
    a->channels = s->channels;
    a->height = s->height;
    a->width = s->width;
    a->y = expected;
    vx_blend_ref(NULL, a);
    a->y = y;
    b->dev->ops.blend(b->dev, a);
    check_same(y, expected, floats * sizeof *y, what);
}

/* Every way, with and without what is blended from. */
static void blend_case(bed *b, rng *r, const shape *s)
{
    const size_t plane = (size_t)(s->height * s->width), floats = plane * (size_t)s->channels;
    float *pictures[2] = {input(r, floats, NORMAL), input(r, floats, OFFSET)};
    float *values = input(r, (size_t)s->n, NORMAL), *order = malloc(plane * sizeof *order);
    float *range = input(r, 2 * (size_t)s->n, NORMAL);
    const planes cells = planes_of(r, s, false), tokens = planes_of(r, s, true);
    for (size_t i = 0; i < plane; i++)
        order[i] = i % 7 == 3 ? INFINITY : (float)rng_int(r, 5, 5 + s->n);
    for (int i = 0; i < 8; i++) {
        vx_blend a = {.from = i % 2 ? pictures[0] : NULL, .to = pictures[1], .first = 5};
        a.by = i < 2 ? VX_BLEND_VALUES : i < 4 ? VX_BLEND_ORDER : VX_BLEND_MASKS;
        a.values = i < 2 ? values : NULL;
        a.order = i == 2 || i == 3 ? order : NULL;
        a.masks = i < 4 ? (vx_masks){0} : i < 6 ? cells.masks : tokens.masks;
        a.masks.range = i == 6 ? range : NULL;
        blend_both(b, &a, s,
                   say(b, "blend %d of %d [%d,%d,%d]", i, s->n, s->channels, s->height, s->width));
    }
    free_planes(&cells);
    free_planes(&tokens);
    free(range);
    free(order);
    free(values);
    free(pictures[0]);
    free(pictures[1]);
    free_outputs();
}

/* Of what is what: the ends of the way are the pictures, a mask between its samples. */
static void blend_is_the_formula(bed *b)
{
    const float from[] = {1, 2, 3, 4}, to[] = {11, 12, 13, 14}, values[] = {0, 1, 0.5f};
    const float order[] = {8, 9, 10, INFINITY}, samples[] = {0, 1, 2, 4};
    const float first[] = {0, 0, 1}, part[] = {0, 0.5f, 0};
    const int shifts[] = {0, 1};
    float *y = output_f32(12);
    const float *far_first = copied(first, 3), *far_part = copied(part, 3);
    vx_blend a = {.y = y,
                  .from = copied(from, 4),
                  .to = copied(to, 4),
                  .values = values,
                  .n = 3,
                  .channels = 1};
    a.height = a.width = 2;
    b->dev->ops.blend(b->dev, &a);
    const float line[] = {1, 2, 3, 4, 11, 12, 13, 14, 6, 7, 8, 9};
    check_same(y, line, sizeof line, "blend by values");
    a.by = VX_BLEND_ORDER;
    a.order = copied(order, 4);
    a.first = 8;
    b->dev->ops.blend(b->dev, &a);
    const float walk[] = {11, 2, 3, 4, 11, 12, 3, 4, 11, 12, 13, 4};
    check_same(y, walk, sizeof walk, "blend by order");
    a.by = VX_BLEND_MASKS;
    a.from = NULL;
    a.n = 1;
    a.masks = (vx_masks){.samples = copied(samples, 4),
                         .of_row = 2,
                         .of_column = 1,
                         .shifts = shifts,
                         .down = {far_first, far_part, 2},
                         .across = {far_first, far_part, 2}};
    b->dev->ops.blend(b->dev, &a); /* masks .5 1; 1.75 2.5 */
    const float masked[] = {5.5f, 12, 22.75f, 35};
    check_same(y, masked, sizeof masked, "blend by masks");
    free_outputs();
}

void test_blend__matches_reference(int index)
{
    bed b;
    rng r = {51};
    if (!bed_open(&b, index, &largest))
        return;
    blend_is_the_formula(&b);
    for (int i = 0; i < SHAPES; i++)
        blend_case(&b, &r, &shapes[i]);
    bed_close(&b);
}

/* ------------------------------------------------------------------ noise ------------------ */

void test_add_noise__matches_reference(int index)
{
    bed b;
    rng r = {52};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 2 * SIZES; i++) {
        const size_t count =
            i < 2 ? 20000 : (size_t)sizes[i / 2]; /* tails beyond r = 5 need many */
        const int n = i < 2 ? 1 : 1 + i % 4;
        float *x = input(&r, count, NORMAL);
        float *y = output_f32((size_t)n * count), *expected = output_f32((size_t)n * count);
        vx_add_noise a = {.y = expected,
                          .x = x,
                          .kind = i % 2 ? VX_NOISE_UNIFORM : VX_NOISE_NORMAL,
                          .scale = 0.3,
                          .seed = (uint64_t)i,
                          .first = (uint64_t)(7 * i),
                          .n = n,
                          .count = (int64_t)count};
        vx_add_noise_ref(NULL, &a);
        a.y = y;
        b.dev->ops.add_noise(b.dev, &a);
        check_same(y, expected, (size_t)n * count * sizeof *y,
                   say(&b, "add_noise %d of %zu, kind %d", n, count, i % 2));
        /* A sample alone is what it is among others. */
        a.first += (uint64_t)(n - 1);
        a.n = 1;
        b.dev->ops.add_noise(b.dev, &a);
        check_same(y, expected + (size_t)(n - 1) * count, count * sizeof *y, "a sample alone");
        free(x);
        free_outputs();
    }
    bed_close(&b);
}

/* ------------------------------------------------------------------ masks ------------------ */

void test_mask_range__matches_reference(int index)
{
    bed b;
    rng r = {53};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 2 * SHAPES; i++) {
        const shape *s = &shapes[i / 2];
        const planes p = planes_of(&r, s, i % 2);
        const size_t n = 2 * (size_t)s->n;
        float *y = output_f32(n), *expected = output_f32(n);
        vx_mask_range a = {expected, p.masks, s->n, s->height, s->width};
        if (s->n > 2)
            p.samples[0] = NAN;    /* it is passed over */
        a.masks.range = p.samples; /* which is not asked for */
        vx_mask_range_ref(NULL, &a);
        a.range = y;
        b.dev->ops.mask_range(b.dev, &a);
        check_same(y, expected, n * sizeof *y,
                   say(&b, "mask_range %d [%d,%d]", s->n, s->height, s->width));
        for (size_t v = 0; v < n; v += 2)
            expect(!isnan(y[v]) && y[v + 1] > 0, "mask_range: %g, %g", (double)y[v],
                   (double)y[v + 1]);
        free_planes(&p);
        free_outputs();
    }
    bed_close(&b);
}

/* Doubles, whose places are multiples of 8. */
static double *output_f64(size_t n)
{
    float *memory = output_f32(2 * n + 1);
    return (double *)(void *)((uintptr_t)memory % 8 ? memory + 1 : memory);
}

void test_add_masks__matches_reference(int index)
{
    bed b;
    rng r = {54};
    if (!bed_open(&b, index, &largest))
        return;
    for (int i = 0; i < 2 * SHAPES; i++) {
        const shape *s = &shapes[i / 2];
        const planes p = planes_of(&r, s, i % 2);
        const size_t plane = (size_t)(s->height * s->width), n = (size_t)s->n;
        double *y = output_f64(plane), *expected = output_f64(plane);
        double *w = malloc(n * sizeof *w);
        float *range = input(&r, 2 * n, NORMAL);
        for (size_t v = 0; v < n; v++)
            w[v] = (double)rng_normal(&r) / 3;
        for (size_t k = 0; k < plane; k++)
            y[k] = expected[k] = (double)rng_normal(&r) / 7;
        vx_add_masks a = {expected, w, p.masks, s->n, s->height, s->width};
        a.masks.range = i % 4 == 1 ? range : NULL;
        vx_add_masks_ref(NULL, &a);
        a.sum = y;
        b.dev->ops.add_masks(b.dev, &a);
        check_same(y, expected, plane * sizeof *y,
                   say(&b, "add_masks %d [%d,%d]", s->n, s->height, s->width));
        free(range);
        free(w);
        free_planes(&p);
        free_outputs();
    }
    bed_close(&b);
}
