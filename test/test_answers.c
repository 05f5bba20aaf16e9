/*
 * test_answers.c: what the model answered for a picture, from its map: the numbers of the map's own
 * pass, and vitx_classify()'s or vitx_embed()'s but for rounding.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "util.h"

enum { W = 43, H = 29, PICTURES = 3, MOST = 64 };

static vitx_image *picture(uint64_t seed)
{
    uint8_t rgb[3 * W * H];
    rng r = {seed};
    vitx_image *image;
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)((i / 3 % W) * 3 + rng_int(&r, 0, 60 + 40 * (int)seed % 80));
    ck_ok(vitx_image_from_rgb(&image, rgb, W, H, 0, NULL));
    return image;
}

typedef struct bed {
    vitx_model *model;
    vitx_context *context;
    vitx_image *images[PICTURES];
    vitx_model_info info;
} bed;

static bed open_bed(const char *folder, int max_batch, const vitx_hooks *hooks)
{
    bed b = {.info = VITX_MODEL_INFO_INIT};
    vitx_model_opts model = VITX_MODEL_OPTS_INIT;
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    model.hooks = hooks;
    opts.threads = 1;
    opts.max_batch = max_batch;
    opts.fit = VITX_FIT_SQUASH;
    opts.precision = "f32";
    ck_ok(vitx_model_open(&b.model, golden_path(folder), &model));
    ck_ok(vitx_model_get_info(&b.info, b.model));
    ck_ok(vitx_context_create(&b.context, b.model, &opts));
    for (int i = 0; i < PICTURES; i++)
        b.images[i] = picture((uint64_t)i + 1);
    ck_assert_int_le(b.info.classes, MOST);
    return b;
}

static void close_bed(bed *b)
{
    for (int i = 0; i < PICTURES; i++)
        vitx_image_free(b->images[i]);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

static const vitx_image *const *images_of(const bed *b)
{
    return (const vitx_image *const *)b->images;
}

static vitx_map_info info_of(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, map));
    return info;
}

/* Every class of `top`, whatever the order of those that are as good as equal. */
static void check_close(const vitx_prediction *top, const vitx_prediction *expected, int k)
{
    for (int i = 0; i < k; i++) {
        int at = 0;
        while (at < k && expected[at].index != top[i].index)
            at++;
        ck_assert_int_lt(at, k);
        ck_assert_double_le(fabs((double)top[i].logit - expected[at].logit), 1e-4);
        ck_assert_double_le(fabs((double)top[i].probability - expected[at].probability), 1e-5);
        ck_assert_ptr_eq(top[i].label, expected[at].label);
    }
}

static void check_classes(const bed *b, vitx_map *const *maps, int m)
{
    const int k = b->info.classes;
    vitx_prediction expected[PICTURES * MOST], top[MOST + 1];
    ck_ok(vitx_classify_batch(b->context, images_of(b), PICTURES, expected, k));
    for (int i = 0; i < PICTURES * m; i++) {
        ck_ok(vitx_map_predictions(top, k + 1, maps[i], b->model));
        ck_assert_int_eq(top[k].index, -1);
        check_close(top, expected + i / m * k, k);
        ck_assert_int_eq(top[0].index, info_of(maps[i]).target);
        ck_assert(top[0].logit == info_of(maps[i]).logit);
        ck_assert(top[0].probability == info_of(maps[i]).probability);
    }
    ck_ok(vitx_map_predictions(top, 1, maps[0], NULL));
    ck_assert_ptr_null(top[0].label);
    float number;
    ck_fails(vitx_map_embedding(&number, 0, maps[0]), VITX_UNSUPPORTED, "not with an embedding");
}

static void check_embeddings(const bed *b, vitx_map *const *maps, int m)
{
    const int k = b->info.classes;
    float expected[PICTURES * MOST], found[MOST];
    vitx_prediction top;
    for (int normalize = 0; normalize < 2; normalize++) {
        ck_ok(vitx_embed_batch(b->context, images_of(b), PICTURES, expected, normalize));
        for (int i = 0; i < PICTURES * m; i++) {
            ck_ok(vitx_map_embedding(found, normalize, maps[i]));
            for (int u = 0; u < k; u++)
                ck_assert_double_le(fabs((double)found[u] - expected[i / m * k + u]), 1e-4);
        }
    }
    ck_fails(vitx_map_predictions(&top, 1, maps[0], b->model), VITX_UNSUPPORTED, "no classes");
}

static const char *const folders[] = {
    "models/vit-timm",       "models/deit-timm-distilled", "models/vit-timm-avg",
    "models/vit-timm-map",   "models/clip-hf-full",        "models/clip-hf-class",
    "models/dinov2-hf-bare", "models/siglip-timm",         "models/vit-timm-parallel"};

START_TEST(test_answers__are_those_of_classify_and_embed)
{
    for (int max_batch = 1; max_batch <= PICTURES; max_batch++) {
        bed b = open_bed(folders[_i], max_batch, NULL);
        vitx_explain_opts o[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
        vitx_map *maps[2 * PICTURES];
        o[0].method = "attention";
        o[1].method = "gradcam";
        o[0].answer = o[1].answer = 1;
        ck_ok(vitx_explain_many(maps, b.context, images_of(&b), PICTURES, o, 2));
        (b.info.units ? check_embeddings : check_classes)(&b, maps, 2);
        for (int i = 0; i < 2 * PICTURES; i++)
            vitx_map_free(maps[i]);
        close_bed(&b);
    }
}
END_TEST

/* The first map is freed before the others are asked. */
START_TEST(test_answers__stay_with_what_is_made_of_a_map)
{
    bed b = open_bed("models/vit-timm", 1, NULL);
    vitx_explain_opts o[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_prediction top[MOST], again[MOST];
    vitx_map *maps[2], *made[3], *bare, *flipped;
    const int k = b.info.classes;
    o[0].method = o[1].method = "rollout";
    o[0].answer = 1;
    ck_ok(vitx_explain_many(maps, b.context, images_of(&b), 1, o, 2));
    ck_ok(vitx_map_predictions(top, k, maps[0], b.model));
    ck_ok(vitx_map_resize(&made[0], maps[0], 8, 8));
    ck_ok(vitx_map_to_picture(&made[1], maps[0]));
    ck_ok(vitx_map_mask(&made[2], maps[0], 0.5));
    vitx_map_free(maps[0]);
    for (int i = 0; i < 3; i++) {
        ck_ok(vitx_map_predictions(again, k, made[i], b.model));
        for (int c = 0; c < k; c++)
            ck_assert(again[c].index == top[c].index && again[c].logit == top[c].logit);
        vitx_map_free(made[i]);
    }

    ck_ok(vitx_explain_flip(&flipped, b.context, images_of(&b), 1, o, 1));
    ck_ok(vitx_map_predictions(again, k, flipped, b.model));
    for (int c = 0; c < k; c++)
        ck_assert(again[c].index == top[c].index && again[c].logit == top[c].logit);
    vitx_map_free(flipped);

    ck_fails(vitx_map_predictions(top, 1, maps[1], b.model), VITX_INVALID, "keeps no answer");
    ck_ok(vitx_map_mask(&bare, maps[1], 0.5));
    ck_fails(vitx_map_embedding(&top[0].logit, 0, bare), VITX_INVALID, "keeps no answer");
    ck_fails(vitx_map_predictions(NULL, 1, maps[1], b.model), VITX_INVALID, "NULL");
    ck_fails(vitx_map_predictions(top, 1, NULL, b.model), VITX_INVALID, "NULL");
    vitx_map_free(bare);
    vitx_map_free(maps[1]);
    close_bed(&b);
}
END_TEST

START_TEST(test_answers__refuse_another_model_and_no_classes)
{
    bed b = open_bed("models/vit-timm", 1, NULL),
        other = open_bed("models/dinov2-hf-bare", 1, NULL);
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_prediction top[2];
    vitx_map *map;
    o.method = "rollout";
    o.answer = 1;
    ck_ok(vitx_explain(&map, b.context, b.images[0], &o));
    ck_assert_int_ne(b.info.classes, other.info.classes);
    ck_fails(vitx_map_predictions(top, 1, map, other.model), VITX_INVALID, "that of the map has");
    ck_fails(vitx_map_predictions(top, 0, map, b.model), VITX_INVALID, "at least one");
    vitx_map_free(map);
    close_bed(&b);
    close_bed(&other);
}
END_TEST

START_TEST(test_answers__of_inputs)
{
    bed b = open_bed("models/vit-timm", 2, NULL);
    vitx_context_info c = VITX_CONTEXT_INFO_INIT;
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_prediction expected[2 * MOST], top[MOST];
    vitx_map *maps[2];
    ck_ok(vitx_context_get_info(&c, b.context));
    const int h = c.input_height, w = c.input_width, k = b.info.classes;
    const size_t count = 2 * 3 * (size_t)h * (size_t)w;
    float *inputs = malloc(count * sizeof *inputs);
    for (size_t i = 0; i < count; i++)
        inputs[i] = (float)((double)(i % 97) / 50 - 1);
    o.method = "rollout";
    o.answer = 1;
    ck_ok(vitx_classify_inputs(b.context, inputs, 2, h, w, expected, k));
    ck_ok(vitx_explain_inputs(maps, b.context, inputs, 2, h, w, &o, 1));
    for (int i = 0; i < 2; i++) {
        ck_ok(vitx_map_predictions(top, k, maps[i], b.model));
        check_close(top, expected + i * k, k);
        vitx_map_free(maps[i]);
    }
    free(inputs);
    close_bed(&b);
}
END_TEST

START_TEST(test_answers__run_out_of_memory_without_a_leak)
{
    ration r = {.left = -1};
    const vitx_hooks hooks = {.struct_size = sizeof hooks,
                              .alloc = ration_alloc,
                              .release = ration_release,
                              .payload = &r};
    bed b = open_bed("models/vit-timm", 2, &hooks);
    vitx_explain_opts o[2] = {VITX_EXPLAIN_OPTS_INIT, VITX_EXPLAIN_OPTS_INIT};
    vitx_map *maps[4];
    int status = VITX_NOMEM, failed = 0;
    o[0].method = "rollout";
    o[1].method = "gradcam";
    o[0].answer = o[1].answer = 1;
    ck_ok(vitx_explain_many(maps, b.context, images_of(&b), 2, o, 2));
    for (int i = 0; i < 4; i++)
        vitx_map_free(maps[i]);
    const int live = r.live;
    for (int left = 0; status == VITX_NOMEM; left++) {
        r.left = left;
        status = vitx_explain_many(maps, b.context, images_of(&b), 2, o, 2);
        failed += status == VITX_NOMEM;
        for (int i = 0; i < 4 && status == VITX_NOMEM; i++)
            vitx_map_free(maps[i]);
        if (status == VITX_NOMEM)
            ck_assert_int_eq(r.live, live);
    }
    ck_ok(status);
    ck_assert_int_gt(failed, 5);
    for (int i = 0; i < 4; i++)
        vitx_map_free(maps[i]);
    r.left = -1;
    close_bed(&b);
    ck_assert_int_eq(r.live, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("answers");
    TCase *t = tcase_create("answers");
    const int models = (int)(sizeof folders / sizeof folders[0]);
    tcase_add_loop_test(t, test_answers__are_those_of_classify_and_embed, 0, models);
    tcase_add_test(t, test_answers__stay_with_what_is_made_of_a_map);
    tcase_add_test(t, test_answers__refuse_another_model_and_no_classes);
    tcase_add_test(t, test_answers__of_inputs);
    tcase_add_test(t, test_answers__run_out_of_memory_without_a_leak);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
