/* test/kernel_resample.c: pictures made on a device are vx_preprocess's, to the bit: all filters,
 * all ways to fit, odd sizes. For one bed each, like the tests of test_kernels.c. */
#include <stdlib.h>
#include <string.h>

#include "image/sampling.h"
#include "kernel_bed.h"

/* Wide and high, of one pixel, a quarter of the input and 20 times as large, one side the input's
 * own; the high ones go down first. */
static const int shapes[][2] = {{40, 31}, {1, 1},   {1, 37}, {53, 1},    {17, 90},   {26, 18},
                                {26, 55}, {61, 18}, {7, 5},  {300, 211}, {520, 360}, {9, 200}};
enum { SHAPES = sizeof shapes / sizeof shapes[0], WIDTH = 26, HEIGHT = 18, MOST_PICTURES = 40 };
enum { PLANE = WIDTH * HEIGHT, FLOATS = 3 * PLANE };

static vitx_image *noise(rng *r, int w, int h)
{
    const size_t n = (size_t)w * (size_t)h * 3;
    uint8_t *rgb = malloc(n);
    vitx_image *image;
    for (size_t i = 0; i < n; i++)
        rgb[i] = (uint8_t)(rng_int(r, 0, 2) ? rng_int(r, 0, 255) : rng_int(r, 0, 1) * 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, w, h, 0, NULL));
    free(rgb);
    return image;
}

typedef struct batch {
    int n;
    const vitx_image *images[MOST_PICTURES];
    vx_placement places[MOST_PICTURES];
    vx_sampling plans[MOST_PICTURES];
    vx_resampled list[MOST_PICTURES];
    void *memory[MOST_PICTURES];
} batch;

static void add(batch *b, const vitx_image *image, const vitx_recipe *recipe)
{
    const int i = b->n++;
    vx_sampling *s = &b->plans[i];
    b->images[i] = image;
    ck_ok(vx_place(&b->places[i], recipe, image->width, image->height));
    vx_sampling_plan(s, image, recipe, &b->places[i]);
    b->memory[i] = malloc(s->bytes);
    vx_sampling_fill(&b->list[i], s, b->memory[i], b->memory[i], output(s->room));
}

/* Runs the operation, compares, and empties the batch. */
static void check(const bed *d, batch *b, const vitx_recipe *recipe, const char *what)
{
    vitx_hooks hooks;
    const size_t n = (size_t)b->n * FLOATS;
    float *y = output_f32(n), *expected = malloc(FLOATS * sizeof *expected);
    vx_resample a = {.y = y, .pictures = b->list, .batch = b->n};
    vx_sampling_normalise(&a, recipe, &b->places[0]);
    expect(a.width == WIDTH && a.height == HEIGHT, "%s: size", what);
    d->dev->ops.resample(d->dev, &a);
    check_guards(what);
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    for (int i = 0; i < b->n; i++) {
        ck_ok(vx_preprocess(expected, b->images[i], recipe, &b->places[i], &hooks));
        for (int k = 0; k < FLOATS; k++)
            expect(memcmp(&y[i * FLOATS + k], &expected[k], sizeof *y) == 0,
                   "%s: picture %d of %d, %d x %d: channel %d, row %d, column %d is %.9g, not %.9g",
                   what, i, b->n, b->images[i]->width, b->images[i]->height, k / PLANE,
                   k % PLANE / WIDTH, k % WIDTH, (double)y[i * FLOATS + k], (double)expected[k]);
        free(b->memory[i]);
    }
    b->n = 0;
    free(expected);
    free_outputs();
}

static vitx_recipe recipe_for(int fit, vitx_filter filter, bool unrounded)
{
    vitx_recipe r = {.input_height = HEIGHT,
                     .input_width = WIDTH,
                     .filter = filter,
                     .crop_round = fit % 2,
                     .scale = unrounded || fit != 1 ? 1.0f / 255.0f : 0.0123f,
                     .mean = {0.485f, 0.456f, 0.406f},
                     .std = {0.229f, 0.224f, 0.225f},
                     .pad = {124, 116, 7},
                     .unrounded = unrounded};
    if (fit == 0)
        vx_recipe_squash(&r);
    else if (fit == 1)
        vx_recipe_crop(&r);
    else if (fit == 2)
        vx_recipe_pad(&r);
    else
        r.resize = VITX_RESIZE_NONE; /* cropped or padded, each axis by itself */
    return r;
}

void test_resample__matches_reference(int index)
{
    bed d;
    rng r = {41};
    vitx_image *images[SHAPES];
    static batch b;
    if (!bed_open(&d, index, &largest))
        return;
    for (int i = 0; i < SHAPES; i++)
        images[i] = noise(&r, shapes[i][0], shapes[i][1]);
    for (int way = 0; way < 4 * 5 * 2; way++) {
        const vitx_filter filter = (vitx_filter)(way / 4 % 5);
        const bool unrounded = way >= 20;
        const vitx_recipe recipe = recipe_for(way % 4, filter, unrounded);
        for (int i = QUICK ? way % 3 : 0; i < SHAPES; i += QUICK ? 3 : 1)
            add(&b, images[i], &recipe);
        check(&d, &b, &recipe,
              say(&d, "resample, %s, fit %d%s", vitx_filter_name(filter), way % 4,
                  unrounded ? ", unrounded" : ""));
    }
    const vitx_recipe recipe = recipe_for(1, VITX_BICUBIC, false);
    for (int i = 0; i < MOST_PICTURES; i++) /* more than a kernel's parameters hold */
        add(&b, images[i % 5], &recipe);
    check(&d, &b, &recipe, say(&d, "resample of many"));
    for (int i = 0; i < SHAPES; i++)
        vitx_image_free(images[i]);
    bed_close(&d);
}
