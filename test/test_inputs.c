/*
 * Inputs that the caller has normalised: against the golden logits, against pictures that make the
 * same input, all methods on them, sizes and numbers that are refused.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

static char folders[MOST_MODELS][128];
static int folder_count;

static npy golden(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_npy(path);
}

static float *floats_of(const npy *a)
{
    float *out = malloc(a->count * sizeof *out);
    for (size_t i = 0; i < a->count; i++)
        out[i] = (float)a->data[i];
    return out;
}

static vitx_context *context_of(vitx_model *model, int batch, vitx_fit fit)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.threads = 1;
    o.max_batch = batch;
    o.fit = fit;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static vitx_context_info info_of(const vitx_context *c)
{
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_context_get_info(&info, c));
    return info;
}

/* ------------------------------------------------------------------ against the goldens ---- */

START_TEST(test_golden__logits_of_every_model)
{
    vitx_model *model;
    vitx_view view;
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    npy input = golden(folders[_i], "input.npy"), logits = golden(folders[_i], "logits.npy");
    const int n = (int)input.shape[0], h = (int)input.shape[2], w = (int)input.shape[3];
    float *x = floats_of(&input);
    vitx_context *c = context_of(model, n, VITX_FIT_RECIPE);
    ck_ok(vitx_forward_inputs(c, x, n, h, w));
    ck_ok(vitx_logits(&view, c));
    ck_assert_double_lt(max_error_f32(view.data, logits.data, logits.count), TOL_LOGITS);
    ck_ok(vitx_input(&view, c));
    ck_assert_mem_eq(view.data, x, input.count * sizeof *x);
    vitx_context_free(c);
    vitx_model_free(model);
    free(x);
    free_npy(&input);
    free_npy(&logits);
}
END_TEST

/* One at a time, and the last of three alone in its batch. */
START_TEST(test_batches__are_cut_alike)
{
    static const char *const models[] = {"test/golden/models/vit-timm",
                                         "test/golden/models/dinov2-hf-bare"};
    vitx_model *model;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_open(&model, models[_i], NULL));
    ck_ok(vitx_model_get_info(&info, model));
    vitx_context *one = context_of(model, 1, VITX_FIT_RECIPE),
                 *two = context_of(model, 2, VITX_FIT_RECIPE);
    const vitx_context_info size = info_of(one);
    const int h = size.input_height, w = size.input_width;
    const size_t floats = 3 * (size_t)h * (size_t)w, k = (size_t)info.classes;
    float *x = malloc(3 * floats * sizeof *x), *all = malloc(3 * k * sizeof *all),
          *alone = malloc(k * sizeof *alone);
    vitx_prediction top[9], best[3];
    rng r = {7};
    for (size_t i = 0; i < 3 * floats; i++)
        x[i] = rng_normal(&r);
    if (info.units)
        ck_ok(vitx_embed_inputs(two, x, 3, h, w, all, 1));
    else
        ck_ok(vitx_classify_inputs(two, x, 3, h, w, top, 3));
    for (int i = 0; i < 3; i++) {
        const float *at = x + (size_t)i * floats;
        if (info.units) {
            ck_ok(vitx_embed_inputs(one, at, 1, h, w, alone, 1));
            ck_assert_double_lt(max_error_ff(all + (size_t)i * k, alone, k), 1e-5);
        } else {
            ck_ok(vitx_classify_inputs(one, at, 1, h, w, best, 3));
            for (int j = 0; j < 3; j++) {
                ck_assert_int_eq(top[3 * i + j].index, best[j].index);
                ck_assert_float_eq_tol(top[3 * i + j].logit, best[j].logit, 1e-4f);
            }
        }
    }
    free(x);
    free(all);
    free(alone);
    vitx_context_free(one);
    vitx_context_free(two);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ against pictures ------- */

static vitx_image *noise(int width, int height)
{
    uint8_t *rgb = malloc(3 * (size_t)width * (size_t)height);
    rng r = {(uint64_t)width};
    vitx_image *image;
    for (int i = 0; i < 3 * width * height; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

/* What the context makes of a picture, [3,H,W]; to be freed. */
static float *input_of(vitx_context *c, const vitx_image *image)
{
    vitx_view view;
    ck_ok(vitx_forward(c, &image, 1));
    ck_ok(vitx_input(&view, c));
    const size_t bytes = 3 * (size_t)view.shape[2] * (size_t)view.shape[3] * sizeof(float);
    float *x = malloc(bytes);
    memcpy(x, view.data, bytes);
    return x;
}

static vitx_explain_opts quick(const vitx_method_info *m)
{
    static const char *const few[] = {"n=64", "steps=5"};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k];
                o.set_count = 1;
            }
    return o;
}

static void check_same(const vitx_map *a, const vitx_map *b, const char *method)
{
    vitx_map_info ia = VITX_MAP_INFO_INIT, ib = VITX_MAP_INFO_INIT;
    size_t count = 1;
    ck_ok(vitx_map_get_info(&ia, a));
    ck_ok(vitx_map_get_info(&ib, b));
    for (int axis = 0; axis < 4; axis++) {
        ck_assert_int_eq(ia.shape[axis], ib.shape[axis]);
        count *= (size_t)ia.shape[axis];
    }
    ck_assert_int_eq(ia.target, ib.target);
    ck_assert_int_eq(ia.picture_height, ib.picture_height);
    ck_assert_int_eq(ia.picture_width, ib.picture_width);
    ck_assert_msg(memcmp(vitx_map_values(a), vitx_map_values(b), count * sizeof(float)) == 0,
                  "%s: another map", method);
}

/* A picture of the input's size is the input: every method draws the same map of both. */
START_TEST(test_pictures__every_method_draws_the_same)
{
    vitx_model *model;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm-oblong", NULL));
    vitx_context *c = context_of(model, 1, VITX_FIT_SQUASH);
    const vitx_context_info size = info_of(c);
    const int h = size.input_height, w = size.input_width;
    vitx_image *image = noise(w, h);
    float *x = input_of(c, image);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map *map, *other, *whole, *other_whole;
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = quick(&m);
        ck_ok(vitx_explain(&map, c, image, &o));
        ck_ok(vitx_explain_inputs(&other, c, x, 1, h, w, &o, 1));
        check_same(map, other, m.name);
        ck_ok(vitx_map_to_picture(&whole, map));
        ck_ok(vitx_map_to_picture(&other_whole, other));
        check_same(whole, other_whole, m.name);
        vitx_map_free(map);
        vitx_map_free(other);
        vitx_map_free(whole);
        vitx_map_free(other_whole);
    }
    free(x);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* A context that goes from size to size takes inputs of any size in whole patches. */
START_TEST(test_sizes__follow_the_input)
{
    vitx_model *model;
    vitx_prediction of_picture, of_input;
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    ck_ok(vitx_model_get_info(&info, model));
    const int p = info.patch_height;
    vitx_context *c = context_of(model, 1, VITX_FIT_KEEP);
    for (int rows = 2; rows < 5; rows++) {
        vitx_image *image = noise(3 * p, rows * p);
        float *x = input_of(c, image);
        ck_ok(vitx_classify(c, image, &of_picture, 1));
        ck_ok(vitx_classify_inputs(c, x, 1, rows * p, 3 * p, &of_input, 1));
        ck_assert_int_eq(info_of(c).grid_height, rows);
        ck_assert_int_eq(of_picture.index, of_input.index);
        ck_assert_float_eq(of_picture.logit, of_input.logit);
        ck_fails(vitx_classify_inputs(c, x, 1, rows * p, 3 * p - 1, &of_input, 1), VITX_INVALID,
                 "multiple");
        free(x);
        vitx_image_free(image);
    }
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ refusals --------------- */

START_TEST(test_refuses__sizes_and_numbers)
{
    vitx_model *model;
    vitx_prediction top;
    vitx_map *maps[4] = {(vitx_map *)&top, (vitx_map *)&top};
    vitx_view view;
    char words[64];
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = "rollout";
    ck_ok(vitx_model_open(&model, "test/golden/models/vit-timm", NULL));
    vitx_context *c = context_of(model, 2, VITX_FIT_RECIPE);
    const vitx_context_info size = info_of(c);
    const int h = size.input_height, w = size.input_width;
    const size_t floats = 3 * (size_t)h * (size_t)w;
    float *x = calloc(2 * floats, sizeof *x);
    ck_ok(vitx_forward_inputs(c, x, 2, h, w));
    snprintf(words, sizeof words, "the context's are %d x %d", h, w);
    ck_fails(vitx_classify_inputs(c, x, 1, h + 1, w, &top, 1), VITX_INVALID, words);
    ck_fails(vitx_forward_inputs(c, x, 1, h, w - 1), VITX_INVALID, words);
    ck_fails(vitx_explain_inputs(maps, c, x, 2, h / 2, w, &o, 1), VITX_INVALID, words);
    ck_assert(!maps[0] && !maps[1]);
    ck_fails(vitx_forward_inputs(c, x, 3, h, w), VITX_INVALID, "max_batch");
    ck_fails(vitx_forward_inputs(c, x, 0, h, w), VITX_INVALID, "max_batch");
    ck_fails(vitx_classify_inputs(c, x, 0, h, w, &top, 1), VITX_INVALID, "at least one");
    ck_fails(vitx_forward_inputs(c, NULL, 1, h, w), VITX_INVALID, "vitx_forward_inputs");
    ck_fails(vitx_classify_inputs(c, NULL, 1, h, w, &top, 1), VITX_INVALID, "NULL");
    ck_fails(vitx_explain_inputs(maps, c, NULL, 1, h, w, &o, 1), VITX_INVALID,
             "vitx_explain_inputs");
    ck_fails(vitx_embed_inputs(c, x, 1, h, w, x, 0), VITX_UNSUPPORTED, "classes");
    x[floats + (size_t)h * (size_t)w + (size_t)w + 3] = NAN;
    ck_fails(vitx_forward_inputs(c, x, 2, h, w), VITX_INVALID,
             "input 1 holds a NaN in channel 1, row 1, column 3");
    ck_fails(vitx_explain_inputs(maps, c, x, 2, h, w, &o, 1), VITX_INVALID, "NaN");
    x[0] = -INFINITY;
    ck_fails(vitx_classify_inputs(c, x, 1, h, w, &top, 1), VITX_INVALID,
             "input 0 holds an infinity in channel 0, row 0, column 0");
    ck_ok(vitx_logits(&view, c)); /* of the call that ran: refused ones have changed nothing */
    vitx_context_free(c);
    vitx_model_free(model);
    free(x);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("inputs");
    TCase *tcase = tcase_create("inputs");
    folder_count = model_folders(folders);
    tcase_add_loop_test(tcase, test_golden__logits_of_every_model, 0, folder_count);
    tcase_add_loop_test(tcase, test_batches__are_cut_alike, 0, 2);
    tcase_add_test(tcase, test_pictures__every_method_draws_the_same);
    tcase_add_test(tcase, test_sizes__follow_the_input);
    tcase_add_test(tcase, test_refuses__sizes_and_numbers);
    suite_add_tcase(s, tcase);
    return s;
}

VX_TEST_MAIN(suite)
