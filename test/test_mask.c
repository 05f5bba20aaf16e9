/* test_mask.c: the smallest set of a map's values that holds a share of their sum; and what the
 * ends of a map's colours are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { SIDE = 40, GRID = 5, PATCHES = GRID * GRID };

typedef struct bed {
    vitx_model *model;
    vitx_context *context;
    vitx_image *image;
} bed;

static bed open_bed(const vitx_hooks *hooks)
{
    bed b;
    uint8_t rgb[3 * SIDE * SIDE];
    vitx_model_opts model = VITX_MODEL_OPTS_INIT;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    model.hooks = hooks;
    opts.threads = 1;
    opts.fit = VITX_FIT_SQUASH;
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        rgb[i] = (uint8_t)(i * 7 % 200 + 40);
    ck_ok(vitx_model_open(&b.model, golden_path("models/vit-timm"), &model));
    ck_ok(vitx_context_create(&b.context, b.model, &opts));
    ck_ok(vitx_image_from_rgb(&b.image, rgb, SIDE, SIDE, 0, NULL));
    return b;
}

static void close_bed(bed *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

static vitx_map *explain(const bed *b, const char *method, int layer, int head)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = method;
    o.layer = layer;
    o.head = head;
    ck_ok(vitx_explain(&map, b->context, b->image, &o));
    return map;
}

/* The definition: nothing can be left out of the set, and what is in is no smaller than what is
 * not. */
static void check_plane(const float *mask, const float *values, double share)
{
    double total = 0, held = 0, least = INFINITY, most_out = 0;
    int kept = 0;
    for (int i = 0; i < PATCHES; i++) {
        const double v = fmax((double)values[i], 0);
        total += v;
        ck_assert(mask[i] == 0 || mask[i] == 1);
        kept += mask[i] == 1;
        held += mask[i] == 1 ? v : 0;
        least = mask[i] == 1 ? fmin(least, v) : least;
        most_out = mask[i] == 1 ? most_out : fmax(most_out, v);
    }
    if (total == 0) {
        ck_assert_int_eq(kept, 0);
        return;
    }
    ck_assert_int_gt(kept, 0);
    ck_assert_double_ge(held, share * total * (1 - 1e-12));
    ck_assert_double_lt(held - least, share * total);
    ck_assert_double_ge(least, most_out);
}

START_TEST(test_mask__is_the_smallest_set)
{
    static const double shares[] = {0.001, 0.3, 0.6, 0.95, 1};
    static const char *const methods[] = {"attention", "hirescam", "rollout"};
    bed b = open_bed(NULL);
    for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
        vitx_map *map = explain(&b, methods[k], VITX_AUTO, VITX_AUTO);
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            vitx_map *mask;
            vitx_map_info info = VITX_MAP_INFO_INIT;
            ck_ok(vitx_map_mask(&mask, map, shares[i]));
            ck_ok(vitx_map_get_info(&info, mask));
            ck_assert(info.mask == shares[i] && !info.is_signed && info.rank == 2);
            check_plane(vitx_map_values(mask), vitx_map_values(map), shares[i]);
            vitx_map_free(mask);
        }
        vitx_map_free(map);
    }
    close_bed(&b);
}
END_TEST

START_TEST(test_mask__equal_values_and_values_below_0)
{
    bed b = open_bed(NULL);
    vitx_map *map, *mask;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    float values[PATCHES];
    for (int i = 0; i < PATCHES; i++)
        values[i] = i < 5 ? -3 : 1;
    ck_ok(vitx_map_of_values(&map, b.context, b.image, values, GRID, GRID, 0));
    ck_ok(vitx_map_mask(&mask, map, 0.5));
    for (int i = 0; i < PATCHES; i++)
        ck_assert(vitx_map_values(mask)[i] == (i >= 5 && i < 15));
    vitx_map_free(mask);
    vitx_map_free(map);
    for (int i = 0; i < PATCHES; i++)
        values[i] = -1;
    ck_ok(vitx_map_of_values(&map, b.context, b.image, values, GRID, GRID, 0));
    ck_ok(vitx_map_mask(&mask, map, 1));
    ck_ok(vitx_map_get_info(&info, mask));
    ck_assert(info.min == 0 && info.max == 0 && info.nothing);
    vitx_map_free(mask);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

START_TEST(test_mask__each_head_has_its_own)
{
    bed b = open_bed(NULL);
    vitx_map *map = explain(&b, "attention", VITX_ALL, VITX_ALL), *mask;
    ck_ok(vitx_map_mask(&mask, map, 0.5));
    for (int i = 0; i < 9; i++)
        check_plane(vitx_map_values(mask) + i * PATCHES, vitx_map_values(map) + i * PATCHES, 0.5);
    vitx_map_free(map);
    vitx_map_free(mask);
    close_bed(&b);
}
END_TEST

/* The picture where the mask is 1, a quarter of its light where it is 0; alone white and black. */
START_TEST(test_mask__is_drawn_over_the_picture)
{
    bed b = open_bed(NULL);
    vitx_map *map = explain(&b, "attention", VITX_AUTO, VITX_AUTO), *mask;
    vitx_render_opts o = VITX_RENDER_OPTS_INIT;
    vitx_image *drawing, *alone;
    ck_ok(vitx_map_mask(&mask, map, 0.5));
    ck_ok(vitx_render_image(&drawing, mask, b.image, &o));
    o.layout = VITX_LAYOUT_MAP;
    ck_ok(vitx_render_image(&alone, mask, NULL, &o));
    const uint8_t *photo = vitx_image_pixels(b.image), *rgb = vitx_image_pixels(drawing);
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
        const int x = i / 3 % SIDE, y = i / 3 / SIDE;
        const bool kept = vitx_map_values(mask)[y / 8 * GRID + x / 8] == 1;
        ck_assert_int_le(abs(rgb[i] - (kept ? photo[i] : photo[i] / 4)), kept ? 0 : 1);
        ck_assert_int_eq(vitx_image_pixels(alone)[i], kept ? 255 : 0);
    }
    vitx_image_free(drawing);
    vitx_image_free(alone);
    vitx_map_free(map);
    vitx_map_free(mask);
    close_bed(&b);
}
END_TEST

START_TEST(test_mask__what_is_refused_and_memory)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {.struct_size = sizeof hooks,
                              .alloc = ration_alloc,
                              .release = ration_release,
                              .payload = &r};
    bed b = open_bed(&hooks);
    vitx_map *map = explain(&b, "attention", VITX_AUTO, VITX_AUTO), *mask, *again;
    vitx_map *colours = explain(&b, "features", VITX_AUTO, VITX_AUTO);
    ck_fails(vitx_map_mask(&mask, map, 0), VITX_INVALID, "share of 0");
    ck_fails(vitx_map_mask(&mask, map, 1.5), VITX_INVALID, "share of 1.5");
    ck_fails(vitx_map_mask(&mask, map, NAN), VITX_INVALID, "share of");
    ck_fails(vitx_map_mask(&mask, NULL, 0.5), VITX_INVALID, "NULL");
    ck_fails(vitx_map_mask(&mask, colours, 0.5), VITX_INVALID, "3 numbers per patch");
    ck_ok(vitx_map_mask(&mask, map, 0.5));
    ck_fails(vitx_map_mask(&again, mask, 0.5), VITX_INVALID, "mask already");
    vitx_map_free(mask);
    const int live = r.live;
    int status = VITX_NOMEM, failed = 0;
    for (int left = 0; status == VITX_NOMEM; left++) {
        r.left = left;
        status = vitx_map_mask(&mask, map, 0.5);
        failed += status == VITX_NOMEM;
        ck_assert(status == VITX_OK || (mask == NULL && r.live == live));
    }
    ck_ok(status);
    ck_assert_int_ge(failed, 3);
    r.left = -1;
    vitx_map_free(mask);
    vitx_map_free(colours);
    vitx_map_free(map);
    close_bed(&b);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

/* The ends of AUTO: what is drawn with them as a range is the same drawing. */
START_TEST(test_ends__draw_the_same)
{
    static const char *const methods[] = {"attention", "rollout", "gradcam", "saliency",
                                          "input-x-grad"};
    bed b = open_bed(NULL);
    vitx_render_opts o = VITX_RENDER_OPTS_INIT;
    float low, high;
    o.layout = VITX_LAYOUT_MAP;
    for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
        vitx_map *map = explain(&b, methods[k], VITX_AUTO, VITX_AUTO);
        vitx_render_opts range = o;
        vitx_image *automatic, *drawn;
        ck_ok(vitx_render_ends(&low, &high, map, &o));
        ck_assert(low < high);
        range.scale = VITX_SCALE_RANGE;
        range.low = low;
        range.high = high;
        ck_ok(vitx_render_image(&automatic, map, NULL, &o));
        ck_ok(vitx_render_image(&drawn, map, NULL, &range));
        ck_assert_mem_eq(vitx_image_pixels(automatic), vitx_image_pixels(drawn), 3 * SIDE * SIDE);
        vitx_image_free(automatic);
        vitx_image_free(drawn);
        vitx_map_free(map);
    }
    vitx_map *heads = explain(&b, "attention", VITX_ALL, VITX_ALL);
    vitx_map *colours = explain(&b, "features", VITX_AUTO, VITX_AUTO);
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, heads));
    ck_ok(vitx_render_ends(&low, &high, heads, &o));
    ck_assert(high == info.max);
    ck_fails(vitx_render_ends(&low, &high, colours, &o), VITX_INVALID, "has no scale");
    ck_fails(vitx_render_ends(&low, NULL, heads, &o), VITX_INVALID, "NULL");
    vitx_map_free(colours);
    vitx_map_free(heads);
    close_bed(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("mask");
    TCase *t = tcase_create("mask");
    tcase_add_test(t, test_mask__is_the_smallest_set);
    tcase_add_test(t, test_mask__equal_values_and_values_below_0);
    tcase_add_test(t, test_mask__each_head_has_its_own);
    tcase_add_test(t, test_mask__is_drawn_over_the_picture);
    tcase_add_test(t, test_mask__what_is_refused_and_memory);
    tcase_add_test(t, test_ends__draw_the_same);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
