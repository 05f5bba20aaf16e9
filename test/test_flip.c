/*
 * test_flip.c: maps averaged over a picture and its mirror image are the mean of the two maps that
 * two calls give.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { W = 43, H = 29 };

/* A picture with a bright part, and the same one mirrored. */
static vitx_image *picture(bool mirrored)
{
    uint8_t rgb[3 * W * H];
    rng r = {7};
    vitx_image *image;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int k = 0; k < 3; k++) {
                const int at = mirrored ? W - 1 - x : x;
                rgb[3 * (y * W + at) + k] = (uint8_t)(3 * x + 2 * y + rng_int(&r, 0, 60 + 20 * k));
            }
    ck_ok(vitx_image_from_rgb(&image, rgb, W, H, 0, NULL));
    return image;
}

typedef struct bed {
    vitx_model *model;
    vitx_context *context;
    vitx_image *image, *mirror;
} bed;

static bed open_bed(const char *folder, vitx_fit fit, const vitx_hooks *hooks)
{
    bed b;
    vitx_model_opts model = VITX_MODEL_OPTS_INIT;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    model.hooks = hooks;
    opts.threads = 1;
    opts.fit = fit;
    ck_ok(vitx_model_open(&b.model, golden_path(folder), &model));
    ck_ok(vitx_context_create(&b.context, b.model, &opts));
    b.image = picture(false);
    b.mirror = picture(true);
    return b;
}

static void close_bed(bed *b)
{
    vitx_image_free(b->image);
    vitx_image_free(b->mirror);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

static vitx_map_info info_of(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    return info;
}

/* flip is the mean of a and b, b mirrored, on the last axis. */
static void check_mean(const vitx_map *flip, const vitx_map *a, const vitx_map *b)
{
    const vitx_map_info info = info_of(flip);
    const float *f = vitx_map_values(flip), *u = vitx_map_values(a), *v = vitx_map_values(b);
    int64_t rows = 1, changed = 0;
    const int64_t width = info.shape[info.rank - 1];
    for (int k = 0; k < info.rank - 1; k++)
        rows *= info.shape[k];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t x = 0; x < width; x++) {
            const double mean = 0.5 * u[r * width + x] + 0.5 * v[r * width + width - 1 - x];
            ck_assert_double_le(fabs(f[r * width + x] - mean), 1e-6 * (fabs(mean) + 1e-12));
            changed += f[r * width + x] != u[r * width + x];
        }
    ck_assert_int_gt(changed, 0);
    ck_assert_int_eq(info.flip, 1);
    ck_assert_int_eq(info_of(a).flip, 0);
}

/* The two maps come from two calls for the picture's own top class. */
static void check_method(const bed *b, const vitx_explain_opts *opts,
                         const vitx_explain_opts *mirrored)
{
    vitx_explain_opts other = *mirrored;
    vitx_map *flip, *a, *c;
    ck_ok(vitx_explain(&a, b->context, b->image, opts));
    const vitx_map_info info = info_of(a);
    other.target = info.target;
    if (info.score == VITX_SCORE_DIFFERENCE)
        other.versus = info.versus;
    ck_ok(vitx_explain(&c, b->context, b->mirror, &other));
    ck_ok(vitx_explain_flip(&flip, b->context, (const vitx_image *const *)&b->image, 1, opts, 1));
    check_mean(flip, a, c);
    ck_assert_int_eq(info_of(flip).target, info.target);
    ck_assert(info_of(flip).logit == info.logit);
    ck_assert_int_eq(info_of(flip).forwards, info.forwards + info_of(c).forwards + 1);
    vitx_map_free(flip);
    vitx_map_free(a);
    vitx_map_free(c);
}

START_TEST(test_flip__is_the_mean_of_two_calls)
{
    static const char *const methods[] = {"rollout", "gradcam", "saliency", "occlusion", "legrad"};
    static const char *const folders[] = {"models/vit-timm", "models/vit-timm-oblong"};
    bed b = open_bed(folders[_i], VITX_FIT_SQUASH, NULL);
    for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
        vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
        o.method = methods[k];
        check_method(&b, &o, &o);
    }
    close_bed(&b);
}
END_TEST

START_TEST(test_flip__mirrors_query_baseline_and_all_heads)
{
    bed b = open_bed("models/vit-timm", VITX_FIT_SQUASH, NULL);
    vitx_context_info c = VITX_CONTEXT_INFO_INIT;
    vitx_model_info m = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_context_get_info(&c, b.context));
    ck_ok(vitx_model_get_info(&m, b.model));
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT, other;
    o.method = "attention";
    o.layer = o.head = VITX_ALL;
    o.query = m.prefix_tokens + c.grid_width; /* the first of the second row */
    other = o;
    other.query = m.prefix_tokens + 2 * c.grid_width - 1;
    check_method(&b, &o, &other);

    static const char *const set[] = {"baseline=picture", "steps=4"};
    vitx_explain_opts ig = VITX_EXPLAIN_OPTS_INIT;
    uint8_t rgb[3 * W * H] = {0};
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)(i / 3 % W * 5);
    vitx_image *base, *mirrored;
    ck_ok(vitx_image_from_rgb(&base, rgb, W, H, 0, NULL));
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)((W - 1 - i / 3 % W) * 5);
    ck_ok(vitx_image_from_rgb(&mirrored, rgb, W, H, 0, NULL));
    ig.method = "integrated-gradients";
    ig.set = set;
    ig.set_count = 2;
    ig.score = VITX_SCORE_DIFFERENCE;
    ig.baseline = base;
    other = ig;
    other.baseline = mirrored;
    check_method(&b, &ig, &other);
    vitx_image_free(base);
    vitx_image_free(mirrored);
    close_bed(&b);
}
END_TEST

START_TEST(test_flip__many_pictures_and_what_is_refused)
{
    bed b = open_bed("models/vit-timm", VITX_FIT_RECIPE, NULL);
    const vitx_image *images[2] = {b.image, b.mirror};
    vitx_explain_opts o[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_map *maps[4], *two[2];
    o[0].method = "rollout";
    o[1].method = "gradcam";
    o[0].target = o[1].target = 1;
    ck_ok(vitx_explain_flip(maps, b.context, images, 2, o, 2));
    ck_ok(vitx_explain_flip(two, b.context, images + 1, 1, o, 2));
    for (int j = 0; j < 2; j++) {
        const vitx_map_info info = info_of(two[j]);
        const size_t bytes = (size_t)(info.shape[0] * info.shape[1]) * sizeof(float);
        ck_assert_mem_eq(vitx_map_values(two[j]), vitx_map_values(maps[2 + j]), bytes);
    }
    for (int j = 0; j < 4; j++)
        vitx_map_free(maps[j]);
    for (int j = 0; j < 2; j++)
        vitx_map_free(two[j]);

    o[1].method = "none such";
    ck_fails(vitx_explain_flip(maps, b.context, images, 2, o, 2), VITX_INVALID, "none such");
    for (int j = 0; j < 4; j++)
        ck_assert_ptr_null(maps[j]);
    ck_fails(vitx_explain_flip(maps, b.context, NULL, 1, o, 1), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_flip(maps, b.context, images, 0, o, 1), VITX_INVALID, "at least one");
    images[1] = NULL;
    ck_fails(vitx_explain_flip(maps, b.context, images, 2, o, 1), VITX_INVALID, "picture 1");
    ck_assert_ptr_nonnull(maps[0]); /* it was finished */
    vitx_map_free(maps[0]);
    close_bed(&b);
}
END_TEST

START_TEST(test_flip__runs_out_of_memory_without_a_leak)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {.struct_size = sizeof hooks,
                              .alloc = ration_alloc,
                              .release = ration_release,
                              .payload = &r};
    bed b = open_bed("models/vit-timm", VITX_FIT_RECIPE, &hooks);
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map = NULL;
    int status = VITX_NOMEM, failed = 0;
    o.method = "gradcam";
    ck_ok(vitx_explain_flip(&map, b.context, (const vitx_image *const *)&b.image, 1, &o, 1));
    vitx_map_free(map);
    const int live = r.live;
    for (int left = 0; status == VITX_NOMEM; left++) {
        r.left = left;
        status = vitx_explain_flip(&map, b.context, (const vitx_image *const *)&b.image, 1, &o, 1);
        failed += status == VITX_NOMEM;
        if (status == VITX_NOMEM) {
            ck_assert_ptr_null(map);
            ck_assert_int_eq(r.live, live);
        }
    }
    ck_ok(status);
    ck_assert_int_gt(failed, 5);
    vitx_map_free(map);
    r.left = -1;
    close_bed(&b);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("flip");
    TCase *t = tcase_create("flip");
    tcase_add_loop_test(t, test_flip__is_the_mean_of_two_calls, 0, 2);
    tcase_add_test(t, test_flip__mirrors_query_baseline_and_all_heads);
    tcase_add_test(t, test_flip__many_pictures_and_what_is_refused);
    tcase_add_test(t, test_flip__runs_out_of_memory_without_a_leak);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
