/*
 * test_naflex.c: models that take pictures of any shape (SigLIP 2 NaFlex): the grid that a picture
 * becomes, input, attention, answer and gradient against transformers in float64, all methods on
 * grids of several shapes, and the options. VX_TEST_DEVICES
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <vitx/vitx.h>

#include "util.h"

static const char *const devices[] = {"cpu", "ref"};

static vitx_model *open_model(const char *name)
{
    char path[128];
    vitx_model *model;
    snprintf(path, sizeof path, "naflex/%s", name);
    ck_ok(vitx_model_open(&model, golden_path(path), NULL));
    return model;
}

static vitx_context *create(vitx_model *model, const char *device, int max_patches)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = 2;
    o.max_batch = 4;
    o.max_patches = max_patches;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

/* A part of models/picture.png. */
static vitx_image *part(int x, int y, int width, int height)
{
    vitx_image *whole, *out;
    ck_ok(vitx_image_open(&whole, golden_path("models/picture.png")));
    ck_assert(x + width <= vitx_image_width(whole) && y + height <= vitx_image_height(whole));
    const size_t row = 3 * (size_t)vitx_image_width(whole);
    const uint8_t *from = vitx_image_pixels(whole) + (size_t)y * row + 3 * (size_t)x;
    ck_ok(vitx_image_from_rgb(&out, from, width, height, row, NULL));
    vitx_image_free(whole);
    return out;
}

/* ------------------------------------------------------------------ goldens ---------------- */

static void compare(const char *folder, const char *what, const vitx_view *view, double bound)
{
    char path[160];
    snprintf(path, sizeof path, "naflex/%s/%s.npy", folder, what);
    npy expected = read_npy(golden_path(path));
    size_t count = 1;
    for (int i = 0; i < view->rank; i++)
        count *= (size_t)view->shape[i];
    ck_assert_msg(count == expected.count, "%s: %zu numbers, %zu expected", path, count,
                  expected.count);
    const double error = max_error_f32(view->data, expected.data, count);
    ck_assert_msg(error < bound, "%s: error %g", path, error);
    free_npy(&expected);
}

/* d sum_k cos(k) answer_k / d input */
static void compare_gradient(vitx_context *c, const char *folder, int classes)
{
    vitx_view view;
    float seed[64];
    ck_assert_int_le(classes, 64);
    for (int k = 0; k < classes; k++)
        seed[k] = (float)cos(k);
    ck_ok(vitx_backward(c, seed));
    ck_ok(vitx_input_gradient(&view, c));
    compare(folder, "gradient", &view, TOL_GRADIENT);
}

static void check_case(vitx_context *c, const vitx_image *image, const char *folder, int height,
                       int width)
{
    char name[32];
    vitx_view view;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    ck_ok(vitx_context_get_info(&info, c));
    ck_assert_msg(info.grid_height == height && info.grid_width == width,
                  "%s: %d x %d patches, %d x %d expected", folder, info.grid_height,
                  info.grid_width, height, width);
    ck_ok(vitx_input(&view, c));
    compare(folder, "input", &view, 1e-6);
    ck_ok(vitx_logits(&view, c));
    compare(folder, "answer", &view, TOL_LOGITS);
    const int classes = (int)view.shape[1];
    for (int l = 0; l < 2; l++) {
        snprintf(name, sizeof name, "attention_%d", l);
        ck_ok(vitx_attention(&view, c, l));
        compare(folder, name, &view, TOL_MAP);
    }
    if (!strstr(folder, "class")) {
        ck_ok(vitx_pool_attention(&view, c));
        compare(folder, "attention_pool", &view, TOL_MAP);
    }
    compare_gradient(c, folder, classes);
}

/* One context for all pictures of a model, from grid to grid; another where the option counts. */
START_TEST(test_naflex__matches_float64)
{
    char *lines = read_file(golden_path("naflex/cases.txt"), NULL), *save = NULL;
    int seen = 0, of_model = 0;
    char last[64] = "";
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64], folder[80];
        int x, y, w, h, most, gh, gw;
        ck_assert_int_eq(
            sscanf(line, "%63s %d %d %d %d %d %d %d", name, &x, &y, &w, &h, &most, &gh, &gw), 8);
        of_model = strcmp(last, name) == 0 ? of_model + 1 : 0;
        snprintf(last, sizeof last, "%s", name);
        snprintf(folder, sizeof folder, "%.63s-%d", name, of_model);
        vitx_model *model = open_model(name);
        vitx_context *c = create(model, devices[_i], most == 25 ? 0 : most);
        vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
        trace.record = VITX_RECORD_ALL;
        trace.gradients = VITX_GRADIENT_INPUT;
        trace.targets = 1;
        ck_ok(vitx_context_set_trace(c, &trace));
        vitx_image *other = part(0, 0, 7 + 5 * of_model, 40), *image = part(x, y, w, h);
        ck_ok(vitx_forward(c, (const vitx_image *const[]){other}, 1));
        check_case(c, image, folder, gh, gw);
        vitx_image_free(image);
        vitx_image_free(other);
        vitx_context_free(c);
        vitx_model_free(model);
        seen++;
    }
    ck_assert_int_eq(seen, 12);
    free(lines);
}
END_TEST

/* ------------------------------------------------------------------ use -------------------- */

/* Pictures of one call, of three shapes: each answer is that of the picture alone. */
START_TEST(test_naflex__pictures_of_a_call_may_differ)
{
    vitx_model *model = open_model("siglip2-hf-class");
    vitx_context *c = create(model, "cpu", 0);
    vitx_image *images[4] = {part(0, 0, 40, 30), part(1, 1, 40, 30), part(3, 2, 12, 34),
                             part(0, 0, 33, 9)};
    vitx_prediction all[4 * 7], alone[7];
    ck_ok(vitx_classify_batch(c, (const vitx_image *const *)images, 4, all, 7));
    for (int i = 0; i < 4; i++) {
        ck_ok(vitx_classify_batch(c, (const vitx_image *const[]){images[i]}, 1, alone, 7));
        for (int k = 0; k < 7; k++) {
            ck_assert_int_eq(all[7 * i + k].index, alone[k].index);
            ck_assert_float_eq_tol(all[7 * i + k].logit, alone[k].logit, 1e-5f);
        }
    }
    for (int i = 0; i < 4; i++)
        vitx_image_free(images[i]);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

static vitx_explain_opts few_samples(const vitx_method_info *m)
{
    static const char *const few[] = {"n=72", "steps=5"};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    o.target = 2;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k];
                o.set_count = 1;
            }
    return o;
}

/* Every method gives a map on the picture's own grid. */
START_TEST(test_naflex__all_methods)
{
    vitx_model *model = open_model("siglip2-hf-class");
    vitx_context *c = create(model, "cpu", 0);
    vitx_image *images[2] = {part(0, 0, 40, 30), part(3, 2, 12, 34)};
    int seen = 0;
    for (int i = 0; i < 2; i++)
        for (int m = 0; m < vitx_method_count(); m++) {
            vitx_method_info method = VITX_METHOD_INFO_INIT;
            ck_ok(vitx_method_get(&method, m));
            const vitx_explain_opts o = few_samples(&method);
            vitx_map_info info = VITX_MAP_INFO_INIT;
            vitx_map *map = NULL;
            ck_ok(vitx_explain(&map, c, images[i], &o));
            ck_ok(vitx_map_get_info(&info, map));
            ck_assert_msg(info.grid_height == (i ? 8 : 4) && info.grid_width == (i ? 3 : 6),
                          "%s: %d x %d", o.method, info.grid_height, info.grid_width);
            vitx_map_free(map);
            seen++;
        }
    ck_assert_int_ge(seen, 2 * 24);
    for (int i = 0; i < 2; i++)
        vitx_image_free(images[i]);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* A size, or another fit, makes it a model of one size. */
START_TEST(test_naflex__sizes_and_fits)
{
    vitx_model *model = open_model("siglip2-hf-class");
    vitx_model *fixed;
    vitx_context *c;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    vitx_model_info about = VITX_MODEL_INFO_INIT;
    vitx_image *image = part(0, 0, 40, 30);
    ck_ok(vitx_model_get_info(&about, model));
    ck_assert(about.recipe->resize == VITX_RESIZE_PATCHES && about.recipe->max_patches == 25);
    for (int i = 0; i < 2; i++) {
        o.fit = i ? VITX_FIT_CROP : VITX_FIT_RECIPE;
        o.input_height = i ? 0 : 16;
        o.input_width = i ? 0 : 24;
        ck_ok(vitx_context_create(&c, model, &o));
        ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
        ck_ok(vitx_context_get_info(&info, c));
        ck_assert(info.grid_height == (i ? 5 : 4) && info.grid_width == (i ? 5 : 6));
        vitx_context_free(c);
        o.max_patches = 9;
        ck_fails(vitx_context_create(&c, model, &o), VITX_INVALID, "max_patches = 9");
        o.max_patches = 0;
    }
    o = (vitx_context_opts)VITX_CONTEXT_OPTS_INIT;
    o.max_patches = -1;
    ck_fails(vitx_context_create(&c, model, &o), VITX_INVALID, "max_patches = -1");
    o.max_patches = 9;
    ck_ok(vitx_model_open(&fixed, golden_path("models/siglip-hf-class"), NULL));
    ck_fails(vitx_context_create(&c, fixed, &o), VITX_INVALID, "pictures of any shape");
    vitx_image_free(image);
    vitx_model_free(fixed);
    vitx_model_free(model);
}
END_TEST

static Suite *naflex_suite(void)
{
    Suite *s = suite_create("naflex");
    TCase *t = tcase_create("naflex");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_naflex__matches_float64, 0, 2);
    tcase_add_test(t, test_naflex__pictures_of_a_call_may_differ);
    tcase_add_test(t, test_naflex__all_methods);
    tcase_add_test(t, test_naflex__sizes_and_fits);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(naflex_suite)
