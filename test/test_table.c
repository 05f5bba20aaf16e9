/*
 * test_table.c: what every method of the table has to keep, whatever it computes: its map does not
 * depend on what else runs with it, on the device, the threads or the batch. VX_TEST_DEVICES
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

static const char *const folders[] = {"test/golden/models/vit-timm",
                                      "test/golden/models/deit-hf",
                                      "test/golden/models/vit-timm-avg",
                                      "test/golden/models/vit-timm-oblong",
                                      "test/golden/models/beit-timm",
                                      "test/golden/models/deit-timm-distilled",
                                      "test/golden/models/dinov2-meta-registers-swiglu",
                                      "test/golden/models/dinov3-timm",
                                      "test/golden/models/rope-timm",
                                      "test/golden/models/pe-timm-core"};
enum { FOLDERS = sizeof folders / sizeof folders[0], PICTURES = 3, MOST = 64 };

/* So few samples that all methods together stay quick, two for each patch for kernelshap; a method
 * without the option has no use for it. */
static const char *const few[] = {"n=64", "steps=5"};

static vitx_image *noise(uint64_t seed)
{
    enum { W = 57, H = 44 };
    uint8_t rgb[3 * W * H];
    rng r = {seed};
    vitx_image *image;
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)((i / 3 % W) * 2 + (i / 3 / W) + rng_int(&r, 0, 100));
    ck_ok(vitx_image_from_rgb(&image, rgb, W, H, 0, NULL));
    return image;
}

static vitx_context *context_of(vitx_model *model, const char *device, int threads, int batch,
                                vitx_gradients gradients)
{
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    opts.device = device;
    opts.threads = threads;
    opts.max_batch = batch;
    opts.gradients = gradients;
    ck_ok(vitx_context_create(&c, model, &opts));
    return c;
}

static vitx_explain_opts opts_of(const vitx_method_info *m, int target)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    o.target = target;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k];
                o.set_count = 1;
            }
    return o;
}

static size_t count_of(const vitx_map *map, vitx_map_info *info)
{
    size_t count = 1;
    vitx_map_info_init(info, sizeof *info);
    ck_ok(vitx_map_get_info(info, map));
    for (int axis = 0; axis < info->rank; axis++)
        count *= (size_t)info->shape[axis];
    return count;
}

/* Largest difference over the largest value; of maps that are 0 or rounding, 0. */
static double difference(const vitx_map *a, const vitx_map *b)
{
    vitx_map_info ia, ib;
    const size_t count = count_of(a, &ia);
    double most = 1e-12, worst = 0;
    ck_assert_uint_eq(count, count_of(b, &ib));
    ck_assert_int_eq(ia.target, ib.target);
    const float *x = vitx_map_values(a), *y = vitx_map_values(b);
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)x[i]));
        worst = fmax(worst, fabs((double)x[i] - y[i]));
    }
    return worst / most;
}

/* Two formulas divide by numbers that can come near 0, where rounding shows (2 g^2 + g^3 sum a of
 * gradcam++; sum a of xgradcam), of their reference as well. */
static double tolerance_of(const char *method)
{
    return strcmp(method, "gradcam++") == 0 || strcmp(method, "xgradcam") == 0 ? 1e-2 : TOL_MAP;
}

static void explain(vitx_map **map, vitx_context *c, const vitx_image *image,
                    const vitx_explain_opts *o)
{
    const int status = vitx_explain(map, c, image, o);
    ck_assert_msg(status == VITX_OK, "%s: %s", o->method, vitx_last_error());
}

START_TEST(test_every_method__shape_and_info)
{
    vitx_model *model;
    vitx_model_info about = VITX_MODEL_INFO_INIT;
    vitx_image *image = noise(1);
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    ck_ok(vitx_model_get_info(&about, model));
    vitx_context *c = context_of(model, "cpu", 1, 1, VITX_GRADIENTS_AUTO);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map_info info;
        vitx_map *map;
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = opts_of(&m, 2);
        if (!can_explain(c, &o))
            continue;
        explain(&map, c, image, &o);
        count_of(map, &info);
        const int64_t h = m.on_pixels ? about.recipe->input_height : info.grid_height;
        const int64_t w = m.on_pixels ? about.recipe->input_width : info.grid_width;
        ck_assert_str_eq(info.method, m.name);
        ck_assert_int_eq(info.rank, m.channels ? 3 : 2);
        ck_assert_int_eq(info.channels, m.channels);
        ck_assert_int_eq(info.shape[2], m.channels ? m.channels : 1);
        ck_assert_msg(info.shape[0] == h && info.shape[1] == w, "%s: shape", m.name);
        ck_assert_int_eq(info.target, 2);
        ck_assert_int_eq(info.is_signed, m.is_signed);
        ck_assert_int_ne(info.score, VITX_SCORE_AUTO);
        vitx_map_free(map);
    }
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* What a method says of itself (uses_target) is what its maps do. */
START_TEST(test_every_method__depends_on_the_target_if_it_says_so)
{
    vitx_model *model;
    vitx_image *image = noise(1);
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    vitx_context *c = context_of(model, "cpu", 1, 1, VITX_GRADIENTS_AUTO);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map_info info;
        vitx_map *maps[2];
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts first = opts_of(&m, 0);
        if (!can_explain(c, &first))
            continue;
        for (int k = 0; k < 2; k++) {
            const vitx_explain_opts o = opts_of(&m, 2 * k);
            explain(&maps[k], c, image, &o);
        }
        const size_t bytes = count_of(maps[0], &info) * sizeof(float);
        const bool same = memcmp(vitx_map_values(maps[0]), vitx_map_values(maps[1]), bytes) == 0;
        ck_assert_msg(same == !m.uses_target,
                      "%s: %s: uses_target is %d, the maps of two classes are %s", folders[_i],
                      m.name, m.uses_target, same ? "equal" : "not equal");
        for (int k = 0; k < 2; k++)
            vitx_map_free(maps[k]);
    }
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* The device, the threads and the way of the gradients change rounding alone. */
START_TEST(test_every_method__is_the_same_everywhere)
{
    static const struct {
        const char *device;
        int threads;
        vitx_gradients gradients;
    } others[] = {{"cpu", 3, VITX_GRADIENTS_AUTO},
                  {"cpu", 1, VITX_GRADIENTS_RECOMPUTE},
                  {"ref", 1, VITX_GRADIENTS_KEEP}};
    vitx_model *model;
    vitx_image *image = noise(2);
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    vitx_context *c = context_of(model, "cpu", 1, 1, VITX_GRADIENTS_KEEP);
    vitx_map *maps[MOST], *other_map;
    ck_assert_int_le(vitx_method_count(), MOST);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = opts_of(&m, 4);
        maps[i] = NULL;
        if (can_explain(c, &o))
            explain(&maps[i], c, image, &o);
    }
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
        vitx_context *other =
            context_of(model, others[k].device, others[k].threads, 1, others[k].gradients);
        for (int i = 0; i < vitx_method_count(); i++) {
            vitx_method_info m = VITX_METHOD_INFO_INIT;
            ck_ok(vitx_method_get(&m, i));
            const vitx_explain_opts o = opts_of(&m, 4);
            if (!maps[i])
                continue;
            explain(&other_map, other, image, &o);
            const double d = difference(maps[i], other_map);
            ck_assert_msg(d < tolerance_of(m.name), "%s on %s, %d threads: %g", m.name,
                          others[k].device, others[k].threads, d);
            vitx_map_free(other_map);
        }
        vitx_context_free(other);
    }
    for (int i = 0; i < vitx_method_count(); i++)
        vitx_map_free(maps[i]);
    vitx_context_free(c);
    vitx_image_free(image);
    vitx_model_free(model);
}
END_TEST

/* All methods and two targets on several pictures in one call give what each gives alone. */
START_TEST(test_every_method__is_the_same_in_company)
{
    vitx_model *model;
    vitx_image *images[PICTURES];
    vitx_explain_opts opts[MOST];
    vitx_map *maps[PICTURES * MOST], *alone;
    int m = 0;
    ck_ok(vitx_model_open(&model, folders[_i], NULL));
    vitx_context *one = context_of(model, "cpu", 1, 1, VITX_GRADIENTS_AUTO),
                 *many = context_of(model, "cpu", 2, 2, VITX_GRADIENTS_AUTO);
    for (int i = 0; i < PICTURES; i++)
        images[i] = noise((uint64_t)i + 10);
    for (int target = VITX_AUTO; target <= 5; target += 6)
        for (int i = 0; i < vitx_method_count(); i++) {
            vitx_method_info info = VITX_METHOD_INFO_INIT;
            ck_ok(vitx_method_get(&info, i));
            ck_assert_int_lt(m, MOST);
            opts[m] = opts_of(&info, target);
            if (!can_explain(one, &opts[m]))
                continue;
            opts[m++].score = i % 3 == 2 ? VITX_SCORE_PROBABILITY : VITX_SCORE_AUTO;
        }
    ck_ok(vitx_explain_many(maps, many, (const vitx_image *const *)images, PICTURES, opts, m));
    for (int i = 0; i < PICTURES; i++)
        for (int j = 0; j < m; j++) {
            explain(&alone, one, images[i], &opts[j]);
            const double d = difference(alone, maps[i * m + j]);
            ck_assert_msg(d < tolerance_of(opts[j].method), "%s: %s, target %d, picture %d: %g",
                          folders[_i], opts[j].method, opts[j].target, i, d);
            vitx_map_free(alone);
            vitx_map_free(maps[i * m + j]);
        }
    for (int i = 0; i < PICTURES; i++)
        vitx_image_free(images[i]);
    vitx_context_free(one);
    vitx_context_free(many);
    vitx_model_free(model);
}
END_TEST

/* Progress rises to the total, and a cancelled call says so. */
typedef struct watch {
    int64_t last, total, stop_at;
} watch;

static int progress(int64_t done, int64_t total, void *payload)
{
    watch *w = payload;
    ck_assert_int_gt(done, w->last);
    ck_assert_int_le(done, total);
    ck_assert(w->total == 0 || w->total == total);
    w->last = done;
    w->total = total;
    return done == w->stop_at;
}

START_TEST(test_every_method__counts_its_work)
{
    vitx_model *model;
    vitx_context *c;
    watch w;
    vitx_image *images[PICTURES];
    vitx_context_opts options = VITX_CONTEXT_OPTS_INIT;
    options.threads = 1;
    options.max_batch = 2;
    options.progress = progress;
    options.progress_payload = &w;
    for (int i = 0; i < PICTURES; i++)
        images[i] = noise((uint64_t)i + 20);
    ck_ok(vitx_model_open(&model, folders[0], NULL));
    ck_ok(vitx_context_create(&c, model, &options));
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        vitx_map *maps[PICTURES];
        ck_ok(vitx_method_get(&m, i));
        const vitx_explain_opts o = opts_of(&m, 1);
        w = (watch){0};
        ck_ok(vitx_explain_many(maps, c, (const vitx_image *const *)images, PICTURES, &o, 1));
        ck_assert_msg(w.last == w.total, "%s: %d of %d steps", m.name, (int)w.last, (int)w.total);
        for (int k = 0; k < PICTURES; k++)
            vitx_map_free(maps[k]);
        /* The last batch is stopped: what the first one finished is handed over. */
        w = (watch){.stop_at = w.total};
        ck_fails(vitx_explain_many(maps, c, (const vitx_image *const *)images, PICTURES, &o, 1),
                 VITX_CANCELLED, "cancelled");
        ck_assert_msg(maps[0] && maps[1] && !maps[2], "%s: what was finished", m.name);
        vitx_map_free(maps[0]);
        vitx_map_free(maps[1]);
    }
    vitx_context_free(c);
    vitx_model_free(model);
    for (int i = 0; i < PICTURES; i++)
        vitx_image_free(images[i]);
}
END_TEST

static Suite *table_suite(void)
{
    Suite *suite = suite_create("table");
    TCase *tcase = tcase_create("table");
    tcase_add_loop_test(tcase, test_every_method__shape_and_info, 0, FOLDERS);
    tcase_add_loop_test(tcase, test_every_method__depends_on_the_target_if_it_says_so, 0, FOLDERS);
    tcase_add_loop_test(tcase, test_every_method__is_the_same_everywhere, 0, FOLDERS);
    tcase_add_loop_test(tcase, test_every_method__is_the_same_in_company, 0, FOLDERS);
    tcase_add_test(tcase, test_every_method__counts_its_work);
    suite_add_tcase(suite, tcase);
    return suite;
}

VX_TEST_MAIN(table_suite)
