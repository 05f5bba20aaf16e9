/*
 * test_features.c: the principal components of patch tokens, of one picture and of several, against
 * numpy's singular value decomposition in float64 (test/golden/features), and what becomes of maps
 * with channels.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { SIDE = 40, GRID = 5, PATCHES = GRID * GRID, PICTURES = 3, WIDTH = 24 };
#define TOLERANCE 1e-4

/* As in tools/golden/make_features.py. */
static vitx_image *picture(int index)
{
    uint8_t rgb[3 * SIDE * SIDE];
    vitx_image *image;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int k = 0; k < 3; k++)
                rgb[3 * (y * SIDE + x) + k] =
                    (uint8_t)((x * x * (index + 1) + 3 * y * (k + 2) + x * y * (index + k) / 4) %
                              256);
    ck_ok(vitx_image_from_rgb(&image, rgb, SIDE, SIDE, 0, NULL));
    return image;
}

typedef struct bed {
    vitx_model *model;
    vitx_context *context;
    vitx_image *images[PICTURES];
} bed;

static bed open_bed(const char *device, int threads, const vitx_hooks *hooks)
{
    bed b;
    vitx_model_opts model = VITX_MODEL_OPTS_INIT;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    model.hooks = hooks;
    opts.device = device;
    opts.threads = threads;
    opts.max_batch = 2;
    opts.fit = VITX_FIT_SQUASH;
    ck_ok(vitx_model_open(&b.model, golden_path("models/vit-timm"), &model));
    ck_ok(vitx_context_create(&b.context, b.model, &opts));
    for (int i = 0; i < PICTURES; i++)
        b.images[i] = picture(i);
    return b;
}

static void close_bed(bed *b)
{
    for (int i = 0; i < PICTURES; i++)
        vitx_image_free(b->images[i]);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

static vitx_map_info info_of(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    return info;
}

/* The options; set may be NULL. */
static vitx_explain_opts ask(const char *const *set, int count, const vitx_basis *basis)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = "features";
    o.set = set;
    o.set_count = count;
    o.basis = basis;
    return o;
}

static vitx_map *explain(const bed *b, int picture, const vitx_explain_opts *o)
{
    vitx_map *map;
    ck_ok(vitx_explain(&map, b->context, b->images[picture], o));
    return map;
}

static vitx_basis *basis_of(const bed *b, int components)
{
    vitx_basis *basis;
    ck_ok(vitx_basis_create(&basis, b->context, VITX_AUTO, components));
    /* In two calls, the first of which takes more than one batch or a part of one. */
    ck_ok(vitx_basis_add(basis, b->context, (const vitx_image *const *)b->images, 2));
    ck_ok(vitx_basis_add(basis, b->context, (const vitx_image *const *)b->images + 2, 1));
    ck_ok(vitx_basis_finish(basis));
    return basis;
}

static void check_golden(const vitx_map *map, const npy *golden, int picture, int channels)
{
    const vitx_map_info info = info_of(map);
    ck_assert_int_eq(info.rank, 3);
    ck_assert(info.shape[0] == GRID && info.shape[1] == GRID && info.shape[2] == channels);
    ck_assert_int_eq(info.channels, channels);
    const double error = max_error_f32(
        vitx_map_values(map), golden->data + (size_t)picture * (size_t)(PATCHES * channels),
        (size_t)(PATCHES * channels));
    ck_assert_msg(error < TOLERANCE, "picture %d: error %g", picture, error);
}

static const char *const devices[] = {"cpu", "ref"};

START_TEST(test_features__of_one_picture)
{
    bed b = open_bed(devices[_i], 1 + _i, NULL);
    npy last = read_npy(golden_path("features/alone.npy"));
    npy first = read_npy(golden_path("features/first.npy"));
    vitx_map *maps[PICTURES];
    vitx_explain_opts o = ask(NULL, 0, NULL);
    ck_ok(vitx_explain_many(maps, b.context, (const vitx_image *const *)b.images, PICTURES, &o, 1));
    o.layer = 0;
    for (int i = 0; i < PICTURES; i++) {
        vitx_map *map = explain(&b, i, &o);
        check_golden(maps[i], &last, i, 3);
        check_golden(map, &first, i, 3);
        vitx_map_free(maps[i]);
        vitx_map_free(map);
    }
    free_npy(&first);
    free_npy(&last);
    close_bed(&b);
}
END_TEST

START_TEST(test_features__of_several_pictures_together)
{
    static const char *const four[] = {"components=4"};
    bed b = open_bed(devices[_i], 1 + _i, NULL);
    npy golden = read_npy(golden_path("features/together.npy"));
    vitx_basis *basis = basis_of(&b, 4);
    const vitx_explain_opts o = ask(four, 1, basis);
    for (int i = 0; i < PICTURES; i++) {
        vitx_map *map = explain(&b, i, &o);
        check_golden(map, &golden, i, 4);
        vitx_map_free(map);
    }
    vitx_basis_free(basis);
    free_npy(&golden);
    close_bed(&b);
}
END_TEST

/* The threads, and in how many calls the pictures come, change no bit. */
START_TEST(test_features__a_basis_is_the_same_for_any_threads)
{
    bed b = open_bed("cpu", 1, NULL), other = open_bed("cpu", 3, NULL);
    vitx_basis *basis = basis_of(&b, 3), *twin;
    ck_ok(vitx_basis_create(&twin, other.context, 2, 3));
    ck_ok(vitx_basis_add(twin, other.context, (const vitx_image *const *)other.images, PICTURES));
    ck_ok(vitx_basis_finish(twin));
    const vitx_explain_opts o = ask(NULL, 0, basis), p = ask(NULL, 0, twin);
    for (int i = 0; i < PICTURES; i++) {
        vitx_map *map = explain(&b, i, &o), *same = explain(&other, i, &p);
        ck_assert_mem_eq(vitx_map_values(map), vitx_map_values(same), PATCHES * 3 * sizeof(float));
        vitx_map_free(map);
        vitx_map_free(same);
    }
    vitx_basis_free(basis);
    vitx_basis_free(twin);
    close_bed(&b);
    close_bed(&other);
}
END_TEST

START_TEST(test_features__raw_tokens_are_those_of_the_model)
{
    static const char *const raw[] = {"raw=yes"};
    bed b = open_bed("cpu", 1, NULL);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    trace.tokens = 1 << VITX_AT_OUTPUT;
    const vitx_explain_opts o = ask(raw, 1, NULL);
    vitx_map *map = explain(&b, 1, &o);
    ck_ok(vitx_context_set_trace(b.context, &trace));
    ck_ok(vitx_forward(b.context, (const vitx_image *const *)&b.images[1], 1));
    ck_ok(vitx_tokens(&view, b.context, 2, VITX_AT_OUTPUT));
    ck_assert_int_eq(info_of(map).channels, WIDTH);
    const float *tokens = view.data;
    ck_assert_double_lt(max_error_ff(vitx_map_values(map), tokens + WIDTH, PATCHES * WIDTH), 1e-6);
    vitx_map_free(map);
    close_bed(&b);
}
END_TEST

/* Which patches of the picture the first component shows, from the golden numbers: those on the
 * side on which the patches at the edge are not, in the mean. */
static void expect_shown(bool shown[PATCHES], const double *components, const double *edge_of,
                         int pictures, int step)
{
    double edge = 0;
    for (int i = 0; i < pictures * PATCHES; i++) {
        const int row = i % PATCHES / GRID, column = i % GRID;
        if (row % (GRID - 1) == 0 || column % (GRID - 1) == 0)
            edge += edge_of[i * step];
    }
    for (int p = 0; p < PATCHES; p++)
        shown[p] = edge > 0 ? components[p * step] < 0 : components[p * step] > 0;
}

/* values [P,3] against components 1 to 3 of [P,4] within low..high, or their own range. */
static void check_shown(const float *values, const bool shown[PATCHES], const double *components,
                        const double *spread)
{
    for (int k = 0; k < 3; k++) {
        double low = INFINITY, high = -INFINITY;
        for (int p = 0; p < PATCHES; p++)
            if (shown[p]) {
                low = fmin(low, components[4 * p + k + 1]);
                high = fmax(high, components[4 * p + k + 1]);
            }
        if (spread) {
            high = 2 * spread[k + 1];
            low = -high;
        }
        for (int p = 0; p < PATCHES; p++) {
            const double part = (components[4 * p + k + 1] - low) / (high - low);
            const double expected = shown[p] ? fmin(fmax(part, 0), 1) : 0;
            ck_assert_double_eq_tol((double)values[3 * p + k], expected, TOLERANCE);
        }
    }
}

START_TEST(test_features__foreground)
{
    static const char *const yes[] = {"foreground=yes"}, *const swapped[] = {"foreground=swapped"};
    static const char *const four[] = {"components=4"};
    bed b = open_bed("cpu", 1, NULL);
    npy together = read_npy(golden_path("features/together.npy"));
    npy spread = read_npy(golden_path("features/spread.npy"));
    vitx_basis *basis = basis_of(&b, 3);
    for (int i = 0; i < PICTURES; i++) {
        const vitx_explain_opts o = ask(yes, 1, basis), q = ask(swapped, 1, basis);
        const double *golden = together.data + (size_t)(i * PATCHES * 4);
        bool shown[PATCHES];
        expect_shown(shown, golden, together.data, PICTURES, 4);
        vitx_map *map = explain(&b, i, &o), *rest = explain(&b, i, &q);
        check_shown(vitx_map_values(map), shown, golden, spread.data);
        for (int p = 0; p < PATCHES; p++)
            shown[p] = !shown[p];
        check_shown(vitx_map_values(rest), shown, golden, spread.data);
        vitx_map_free(map);
        vitx_map_free(rest);
    }
    /* Alone: from its own components, which other tests have compared. */
    const vitx_explain_opts o = ask(yes, 1, NULL), q = ask(four, 1, NULL);
    vitx_map *map = explain(&b, 0, &o), *own = explain(&b, 0, &q);
    double components[4 * PATCHES];
    bool shown[PATCHES];
    for (int i = 0; i < 4 * PATCHES; i++)
        components[i] = (double)vitx_map_values(own)[i];
    expect_shown(shown, components, components, 1, 4);
    check_shown(vitx_map_values(map), shown, components, NULL);
    vitx_map_free(map);
    vitx_map_free(own);
    vitx_basis_free(basis);
    free_npy(&spread);
    free_npy(&together);
    close_bed(&b);
}
END_TEST

START_TEST(test_features__all_layers_are_each_alone)
{
    bed b = open_bed("cpu", 1, NULL);
    vitx_explain_opts o = ask(NULL, 0, NULL);
    o.layer = VITX_ALL;
    vitx_map *all = explain(&b, 0, &o);
    const vitx_map_info info = info_of(all);
    ck_assert_int_eq(info.rank, 4);
    ck_assert(info.shape[0] == 3 && info.shape[1] == GRID && info.shape[3] == 3);
    for (int l = 0; l < 3; l++) {
        o.layer = l;
        vitx_map *one = explain(&b, 0, &o);
        const float *of_all = vitx_map_values(all) + l * PATCHES * 3;
        ck_assert_double_lt(max_error_ff(vitx_map_values(one), of_all, PATCHES * 3), TOLERANCE);
        vitx_map_free(one);
    }
    vitx_map_free(all);
    close_bed(&b);
}
END_TEST

/* Pixels of a drawing: each patch in the colour of its place, from dark to light. */
static void check_drawing(const vitx_map *map, const vitx_image *image, const double *low,
                          const double *high)
{
    vitx_render_opts o = VITX_RENDER_OPTS_INIT;
    vitx_image *drawing;
    o.colorbar = 1;
    ck_ok(vitx_render_image(&drawing, map, image, &o));
    ck_assert_int_eq(vitx_image_width(drawing), SIDE);
    ck_assert_int_eq(vitx_image_height(drawing), SIDE); /* no bar */
    const uint8_t *rgb = vitx_image_pixels(drawing);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int k = 0; k < 3; k++) {
                const int p = y / 8 * GRID + x / 8;
                const double v = (double)vitx_map_values(map)[3 * p + k];
                const double part = (v - low[k]) / (high[k] - low[k]);
                const int expected = (int)(255 * fmin(fmax(part, 0), 1) + 0.5);
                ck_assert_int_le(abs(rgb[3 * (y * SIDE + x) + k] - expected), 1);
            }
    vitx_image_free(drawing);
}

START_TEST(test_features__are_drawn_as_colours)
{
    bed b = open_bed("cpu", 1, NULL);
    npy spread = read_npy(golden_path("features/spread.npy"));
    vitx_basis *basis = basis_of(&b, 3);
    const vitx_explain_opts o = ask(NULL, 0, NULL), q = ask(NULL, 0, basis);
    vitx_map *map = explain(&b, 0, &o), *shared = explain(&b, 0, &q), *large, *whole;
    double low[3], high[3];
    for (int k = 0; k < 3; k++) {
        low[k] = INFINITY;
        high[k] = -INFINITY;
        for (int p = 0; p < PATCHES; p++) {
            low[k] = fmin(low[k], (double)vitx_map_values(map)[3 * p + k]);
            high[k] = fmax(high[k], (double)vitx_map_values(map)[3 * p + k]);
        }
    }
    check_drawing(map, b.images[0], low, high);
    for (int k = 0; k < 3; k++)
        low[k] = -(high[k] = 2 * spread.data[k]);
    check_drawing(shared, b.images[0], low, high);
    /* Resizing goes channel by channel; the corners stay. */
    ck_ok(vitx_map_resize(&large, map, 2 * GRID, 3 * GRID));
    ck_ok(vitx_map_to_picture(&whole, map));
    const vitx_map_info info = info_of(large), pixels = info_of(whole);
    ck_assert(info.shape[0] == 2 * GRID && info.shape[1] == 3 * GRID && info.shape[2] == 3);
    ck_assert(pixels.shape[0] == SIDE && pixels.shape[1] == SIDE && pixels.shape[2] == 3);
    for (int k = 0; k < 3; k++) {
        ck_assert(vitx_map_values(large)[k] == vitx_map_values(map)[k]);
        ck_assert(vitx_map_values(whole)[3 * SIDE * SIDE - 3 + k] ==
                  vitx_map_values(map)[3 * PATCHES - 3 + k]);
    }
    vitx_map_free(map);
    vitx_map_free(shared);
    vitx_map_free(large);
    vitx_map_free(whole);
    vitx_basis_free(basis);
    free_npy(&spread);
    close_bed(&b);
}
END_TEST

/* All components together hold all that differs: the sums of squares are equal, and none is larger
 * than the one before it. */
START_TEST(test_features__all_components)
{
    static const char *const all[] = {"components=24"}, *const raw[] = {"raw=yes"};
    bed b = open_bed("cpu", 1, NULL);
    const vitx_explain_opts o = ask(all, 1, NULL), q = ask(raw, 1, NULL);
    vitx_map *map = explain(&b, 0, &o), *tokens = explain(&b, 0, &q);
    double found = 0, total = 0, before = INFINITY;
    for (int c = 0; c < WIDTH; c++) {
        double sum = 0, squares = 0, own = 0;
        for (int p = 0; p < PATCHES; p++) {
            const double t = (double)vitx_map_values(tokens)[p * WIDTH + c];
            const double v = (double)vitx_map_values(map)[p * WIDTH + c];
            sum += t;
            squares += t * t;
            own += v * v;
        }
        total += squares - sum * sum / PATCHES;
        found += own;
        ck_assert_double_le(own, before * (1 + 1e-6));
        before = own;
    }
    ck_assert_double_eq_tol(found, total, 1e-5 * total);
    vitx_map_free(map);
    vitx_map_free(tokens);
    close_bed(&b);
}
END_TEST

START_TEST(test_features__what_is_refused)
{
    static const char *const many[] = {"components=25"}, *const none[] = {"components=0"};
    static const char *const raw[] = {"raw=yes"}, *const four[] = {"components=4"};
    bed b = open_bed("cpu", 1, NULL);
    const vitx_image *const *images = (const vitx_image *const *)b.images;
    vitx_basis *basis = NULL, *open;
    vitx_map *map;
    vitx_explain_opts o = ask(many, 1, NULL);
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "width is 24");
    o = ask(none, 1, NULL);
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "components=0");
    ck_fails(vitx_basis_create(&basis, b.context, 3, 3), VITX_INVALID, "layer 3");
    ck_fails(vitx_basis_create(&basis, b.context, 0, 25), VITX_INVALID, "1 to 24");
    ck_fails(vitx_basis_create(&basis, NULL, 0, 3), VITX_INVALID, "NULL");
    ck_assert_ptr_null(basis);
    ck_ok(vitx_basis_create(&open, b.context, 0, 3));
    ck_fails(vitx_basis_finish(open), VITX_INVALID, "no picture");
    ck_fails(vitx_basis_add(open, b.context, images, 0), VITX_INVALID, "n is 0");
    o = ask(NULL, 0, open);
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "not finished");
    vitx_basis_free(open);
    basis = basis_of(&b, 3);
    ck_fails(vitx_basis_add(basis, b.context, images, 1), VITX_INVALID, "finished");
    ck_fails(vitx_basis_finish(basis), VITX_INVALID, "finished");
    o = ask(raw, 1, basis);
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "raw=yes");
    o = ask(four, 1, basis);
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "the basis has 3");
    o = ask(NULL, 0, basis);
    o.layer = 0;
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "of layer 2");
    o.layer = VITX_AUTO;
    o.method = "rollout";
    ck_fails(vitx_explain(&map, b.context, b.images[0], &o), VITX_INVALID, "takes no basis");
    vitx_basis_free(basis);
    close_bed(&b);
}
END_TEST

/* What cannot use channels says so. */
START_TEST(test_features__consumers)
{
    static const char *const raw[] = {"raw=yes"};
    bed b = open_bed("cpu", 1, NULL);
    vitx_explain_opts o = ask(NULL, 0, NULL), r = ask(raw, 1, NULL);
    vitx_evaluate_opts metric = VITX_EVALUATE_OPTS_INIT;
    vitx_render_opts png = VITX_RENDER_OPTS_INIT;
    vitx_evaluation *evaluation;
    vitx_report *report;
    vitx_image *drawing;
    vitx_map *map = explain(&b, 0, &o), *tokens = explain(&b, 0, &r), *flip;
    ck_fails(vitx_explain_flip(&flip, b.context, (const vitx_image *const *)b.images, 1, &o, 1),
             VITX_UNSUPPORTED, "mirror image");
    ck_assert_ptr_null(flip);
    metric.metric = "sparseness";
    ck_fails(vitx_evaluate(&evaluation, b.context, b.images[0], map, &metric), VITX_INVALID,
             "3 numbers per patch");
    ck_fails(vitx_render_image(&drawing, tokens, b.images[0], &png), VITX_UNSUPPORTED,
             "npy and json");
    ck_ok(vitx_report_create(&report, b.model, NULL));
    ck_ok(vitx_report_add(report, b.images[0], "p"));
    ck_fails(vitx_report_add_map(report, tokens, NULL), VITX_UNSUPPORTED, "components");
    ck_ok(vitx_report_add_map(report, map, NULL));
    vitx_report_free(report);
    vitx_map_free(map);
    vitx_map_free(tokens);
    close_bed(&b);
}
END_TEST

static int make_and_use(const bed *b)
{
    vitx_basis *basis = NULL;
    vitx_map *map = NULL;
    int status = vitx_basis_create(&basis, b->context, VITX_AUTO, 3);
    if (status == VITX_OK)
        status = vitx_basis_add(basis, b->context, (const vitx_image *const *)b->images, PICTURES);
    if (status == VITX_OK)
        status = vitx_basis_finish(basis);
    const vitx_explain_opts o = ask(NULL, 0, basis), own = ask(NULL, 0, NULL);
    if (status == VITX_OK)
        status = vitx_explain(&map, b->context, b->images[0], &o);
    vitx_map_free(map);
    if (status == VITX_OK)
        status = vitx_explain(&map, b->context, b->images[0], &own);
    if (status == VITX_OK)
        vitx_map_free(map);
    vitx_basis_free(basis);
    return status;
}

START_TEST(test_features__run_out_of_memory_without_a_leak)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {.struct_size = sizeof hooks,
                              .alloc = ration_alloc,
                              .release = ration_release,
                              .payload = &r};
    bed b = open_bed("cpu", 1, &hooks);
    int status = VITX_NOMEM, failed = 0;
    ck_ok(make_and_use(&b));
    const int live = r.live;
    for (int left = 0; status == VITX_NOMEM; left++) {
        r.left = left;
        status = make_and_use(&b);
        failed += status == VITX_NOMEM;
        ck_assert_int_eq(r.live, live);
    }
    ck_ok(status);
    ck_assert_int_gt(failed, 5);
    r.left = -1;
    close_bed(&b);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("features");
    TCase *t = tcase_create("features");
    tcase_add_loop_test(t, test_features__of_one_picture, 0, 2);
    tcase_add_loop_test(t, test_features__of_several_pictures_together, 0, 2);
    tcase_add_test(t, test_features__a_basis_is_the_same_for_any_threads);
    tcase_add_test(t, test_features__raw_tokens_are_those_of_the_model);
    tcase_add_test(t, test_features__foreground);
    tcase_add_test(t, test_features__all_layers_are_each_alone);
    tcase_add_test(t, test_features__are_drawn_as_colours);
    tcase_add_test(t, test_features__all_components);
    tcase_add_test(t, test_features__what_is_refused);
    tcase_add_test(t, test_features__consumers);
    tcase_add_test(t, test_features__run_out_of_memory_without_a_leak);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
