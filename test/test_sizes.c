/*
 * Inputs of other sizes than the model's own: resampled position embeddings and whole models against
 * PyTorch, timm and transformers; fits; pictures that keep their size; what is refused.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/size.h"
#include "explain/map.h"
#include "model/positions.h"
#include "util.h"

static vitx_context_opts sized(int height, int width, vitx_fit fit)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.threads = 1;
    o.fit = fit;
    o.input_height = height;
    o.input_width = width;
    return o;
}

static vitx_model *open_model(const char *name)
{
    char path[128];
    vitx_model *model;
    snprintf(path, sizeof path, "test/golden/models/%s", name);
    ck_ok(vitx_model_open(&model, path, NULL));
    return model;
}

static vitx_context *create(vitx_model *model, const vitx_context_opts *o)
{
    vitx_context *c;
    ck_ok(vitx_context_create(&c, model, o));
    return c;
}

/* A slope with some noise, so that no two parts are alike. */
static vitx_image *noise(uint64_t seed, int width, int height)
{
    rng r = {seed};
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *image;
    for (int i = 0; i < 3 * width * height; i++)
        rgb[i] = (uint8_t)(i / 3 % width + i / 3 / width + rng_int(&r, 0, 100));
    ck_ok(vitx_image_from_rgb(&image, rgb, width, height, 0, NULL));
    free(rgb);
    return image;
}

/* The part of a picture that begins at x, y; what lies beside it has the colour `beside`. */
static vitx_image *part(const vitx_image *image, int x, int y, int width, int height, int beside)
{
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    vitx_image *out;
    for (int i = 0; i < 3 * width * height; i++) {
        const int sx = i / 3 % width + x, sy = i / 3 / width + y;
        const bool in = sx >= 0 && sx < image->width && sy >= 0 && sy < image->height;
        rgb[i] = (uint8_t)(in ? image->pixels[3 * (sy * image->width + sx) + i % 3] : beside);
    }
    ck_ok(vitx_image_from_rgb(&out, rgb, width, height, 0, NULL));
    free(rgb);
    return out;
}

/* ------------------------------------------------------------------ position embeddings ---- */

/* The golden of a rule; one that is another's by another name has that one's. */
static const char *golden_rule(const char *name)
{
    return strstr(name, "-registers") ? "timm" : name;
}

static void check_positions(const char *name, int i, const vx_pos_grid *from, const vx_pos_grid *to)
{
    char file[64];
    vx_pos_rule rule;
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    ck_ok(vx_pos_rule_find(&rule, name));
    snprintf(file, sizeof file, "sizes/positions/%d.npy", i);
    npy source = read_npy(golden_path(file));
    snprintf(file, sizeof file, "sizes/positions/%d.%s.npy", i, golden_rule(name));
    npy expected = read_npy(golden_path(file));
    const size_t count = (size_t)to->height * (size_t)to->width * 2;
    float *src = malloc(source.count * sizeof *src), *dst = malloc(count * sizeof *dst);
    ck_assert_uint_eq(source.count, (size_t)from->height * (size_t)from->width * 2);
    ck_assert_uint_eq(expected.count, count);
    for (size_t k = 0; k < source.count; k++)
        src[k] = (float)source.data[k];
    ck_ok(vx_positions_resample(dst, *to, src, *from, 2, rule, &hooks));
    const double error = max_error_f32(dst, expected.data, count);
    ck_assert_msg(error < 1e-6, "%s: %dx%d to %dx%d: error %g", name, from->height, from->width,
                  to->height, to->width, error);
    free(src);
    free(dst);
    free_npy(&source);
    free_npy(&expected);
}

START_TEST(test_positions__match_their_library)
{
    char *lines = read_file(golden_path("sizes/positions/grids.txt"), NULL), *save = NULL;
    int seen = 0;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        vx_pos_grid from, to;
        int i;
        ck_assert_int_eq(sscanf(line, "%d %d %d %d %d", &i, &from.height, &from.width, &to.height,
                                &to.width),
                         5);
        for (int rule = 0; vitx_pos_resample_name(rule); rule++, seen++)
            check_positions(vitx_pos_resample_name(rule), i, &from, &to);
    }
    ck_assert_int_ge(seen, 9 * 8);
    ck_assert_ptr_null(vitx_pos_resample_name(-1));
    free(lines);
}
END_TEST

/* Every rule has weights that sum to 1, and keeps a linear slope a slope inside. */
START_TEST(test_positions__keep_constants)
{
    vitx_hooks hooks;
    ck_ok(vx_hooks_resolve(&hooks, NULL));
    float src[7 * 5], dst[64 * 64];
    for (int i = 0; i < 35; i++)
        src[i] = 0.75f;
    for (int rule = VX_POS_UNSET + 1; rule < VX_POS_RULES; rule++)
        for (int h = 1; h <= 64; h += 9)
            for (int w = 1; w <= 64; w += 7) {
                ck_ok(vx_positions_resample(dst, (vx_pos_grid){h, w}, src, (vx_pos_grid){7, 5}, 1,
                                            (vx_pos_rule)rule, &hooks));
                for (int i = 0; i < h * w; i++)
                    ck_assert_float_eq_tol(dst[i], 0.75f, 1e-6f);
            }
}
END_TEST

/* ------------------------------------------------------------------ whole models ----------- */

static void compare(const char *folder, const char *what, const void *found, size_t count,
                    double tolerance)
{
    char path[160];
    snprintf(path, sizeof path, "sizes/%s/%s.npy", folder, what);
    npy expected = read_npy(golden_path(path));
    ck_assert_uint_eq(expected.count, count);
    const double error = max_error_f32(found, expected.data, count);
    ck_assert_msg(error < tolerance, "%s: %s: error %g", folder, what, error);
    free_npy(&expected);
}

/* From the picture to logits, the last block's attention and the gradient of the input. */
static void check_case(const char *device, const char *name, int height, int width, int target)
{
    char folder[96];
    vitx_model *model = open_model(name);
    vitx_image *image;
    vitx_context_opts o = sized(height, width, VITX_FIT_RECIPE);
    o.device = device;
    snprintf(folder, sizeof folder, "%s-%dx%d", name, height, width);
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    vitx_context *c = create(model, &o);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    trace.record = VITX_RECORD_ALL;
    trace.gradients = VITX_GRADIENT_INPUT;
    trace.targets = 1;
    ck_ok(vitx_context_set_trace(c, &trace));
    ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
    vitx_view view;
    float seed[7] = {0};
    ck_ok(vitx_input(&view, c));
    ck_assert(view.shape[2] == height && view.shape[3] == width);
    const size_t pixels = (size_t)(3 * height * width);
    compare(folder, "input", view.data, pixels, 1e-6);
    ck_ok(vitx_logits(&view, c));
    compare(folder, "logits", view.data, 7, TOL_LOGITS);
    ck_ok(vitx_attention(&view, c, c->arch.depth - 1));
    compare(folder, "attention", view.data, (size_t)view.stride[0], TOL_MAP);
    seed[target] = 1;
    ck_ok(vitx_backward(c, seed));
    ck_ok(vitx_input_gradient(&view, c));
    compare(folder, "gradient", view.data, pixels, TOL_GRADIENT);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}

START_TEST(test_sizes__match_float64)
{
    char *lines = read_file(golden_path("sizes/cases.txt"), NULL), *save = NULL;
    int seen = 0;
    for (char *line = strtok_r(lines, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        int height, width, target;
        ck_assert_int_eq(sscanf(line, "%63s %d %d %d", name, &height, &width, &target), 4);
        check_case(_i ? "ref" : "cpu", name, height, width, target);
        seen++;
    }
    ck_assert_int_ge(seen, 10);
    free(lines);
}
END_TEST

static void check_photos(vitx_model *model, int height, int width)
{
    char path[64];
    snprintf(path, sizeof path, "sizes/deit_tiny-%dx%d.npy", height, width);
    npy logits = read_npy(golden_path(path));
    char *names = read_file(golden_path("sizes/photos.txt"), NULL), *save = NULL;
    const vitx_context_opts o = sized(height, width, VITX_FIT_RECIPE);
    vitx_context *c = create(model, &o);
    size_t i = 0;
    for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save), i++) {
        vitx_image *image;
        vitx_view view;
        ck_ok(vitx_image_open(&image, shared_path(name)));
        ck_ok(vitx_forward(c, (const vitx_image *const[]){image}, 1));
        ck_ok(vitx_logits(&view, c));
        const double error = max_error_f32(view.data, logits.data + i * 1000, 1000);
        ck_assert_msg(error < TOL_LOGITS, "%s at %dx%d: error %g", name, height, width, error);
        vitx_image_free(image);
    }
    ck_assert_uint_eq(i, logits.shape[0]);
    vitx_context_free(c);
    free(names);
    free_npy(&logits);
}

START_TEST(test_sizes__real_photos)
{
    vitx_model *model;
    if (!have_shared("the real DeiT-tiny at 384x384 and 224x320"))
        return;
    ck_ok(vitx_model_open(&model, shared_path("models/deit_tiny_patch16_224"), NULL));
    check_photos(model, 384, 384);
    check_photos(model, 224, 320);
    vitx_model_free(model);
}
END_TEST

static Suite *sizes_suite(void)
{
    Suite *suite = suite_create("sizes");
    TCase *tcase = tcase_create("sizes");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_positions__match_their_library);
    tcase_add_test(tcase, test_positions__keep_constants);
    tcase_add_loop_test(tcase, test_sizes__match_float64, 0, 2);
    tcase_add_test(tcase, test_sizes__real_photos);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(sizes_suite)
