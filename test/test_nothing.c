/*
 * Maps that say nothing, and classifiers of zeros: they are named, drawn as 0 and not measured;
 * maps that say something are not.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "little_model.h"
#include "util.h"

typedef struct scene {
    char *folder;
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
    int warnings;
    char warning[1024]; /* the last one */
} scene;

static void hear(vitx_log_level level, const char *message, void *payload)
{
    scene *s = payload;
    if (level < VITX_LOG_WARNING)
        return;
    s->warnings++;
    snprintf(s->warning, sizeof s->warning, "%s", message);
}

static void open_folder(scene *s, const char *folder)
{
    vitx_hooks hooks = VITX_HOOKS_INIT;
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    hooks.log = hear;
    hooks.payload = s;
    o.hooks = &hooks;
    ck_ok(vitx_model_open(&s->model, folder, &o));
    ck_ok(vitx_context_create(&s->c, s->model, NULL));
}

/* The scene stays where it is: the log writes to it. */
static void open_scene(scene *s, const little_model *what)
{
    *s = (scene){.folder = make_little_model(what), .image = little_picture(5)};
    open_folder(s, s->folder);
}

static void close_scene(scene *s)
{
    vitx_image_free(s->image);
    vitx_context_free(s->c);
    vitx_model_free(s->model);
    if (s->folder)
        remove_folder(s->folder);
    free(s->folder);
}

/* A method of the table, few samples where it takes many. */
static vitx_map *explain(scene *s, const char *method, vitx_score score, const vitx_image *like,
                         vitx_map_info *info)
{
    static const char *const few[] = {"n=40"};
    static const char *const sampling[] = {"rise", "lime", "kernelshap", "smoothgrad"};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map = NULL;
    o.method = method;
    o.score = score;
    o.like = like;
    o.set = few;
    for (size_t i = 0; i < sizeof sampling / sizeof sampling[0]; i++)
        o.set_count |= strcmp(method, sampling[i]) == 0;
    const int code = vitx_explain(&map, s->c, s->image, &o);
    if (strcmp(method, "ablationcam") == 0 && code != VITX_OK)
        return NULL; /* its weights are shares of a score of 0 */
    ck_assert_msg(code == VITX_OK, "%s: %s", method, vitx_last_error());
    *info = (vitx_map_info)VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(info, map));
    return map;
}

static bool says_nothing(scene *s, const char *method, vitx_score score, const vitx_image *like)
{
    vitx_map_info info;
    vitx_map *map = explain(s, method, score, like, &info);
    vitx_map_free(map);
    return map ? info.nothing != 0 : true;
}

/* Every method that depends on the class. */
static void check_methods(scene *s, bool nothing)
{
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    for (int i = 0; i < vitx_method_count(); i++) {
        ck_ok(vitx_method_get(&m, i));
        if (m.uses_target)
            ck_assert_msg(says_nothing(s, m.name, VITX_SCORE_AUTO, NULL) == nothing, "%s says %s",
                          m.name, nothing ? "something" : "nothing");
    }
}

START_TEST(test_map__of_a_head_of_zeros_says_nothing)
{
    scene s;
    open_scene(&s, &(little_model){0});
    check_methods(&s, false);
    ck_assert_int_eq(s.warnings, 0);
    ck_assert(!says_nothing(&s, "rollout", VITX_SCORE_AUTO, NULL));
    close_scene(&s);
    open_scene(&s, &(little_model){.zero_head = true});
    check_methods(&s, true);
    ck_assert(!says_nothing(&s, "rollout", VITX_SCORE_AUTO, NULL));
    close_scene(&s);
}
END_TEST

START_TEST(test_model__with_a_head_of_zeros_is_named_once)
{
    scene s;
    vitx_context *second;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    o.device = "ref";
    open_scene(&s, &(little_model){.zero_head = true});
    ck_assert_int_eq(s.warnings, 1);
    ck_assert(strstr(s.warning, "all weights of its classifier are 0 (tensor head.weight)"));
    ck_ok(vitx_context_create(&second, s.model, &o));
    ck_assert_int_eq(s.warnings, 1);
    vitx_context_free(second);
    close_scene(&s);
    open_scene(&s, &(little_model){0});
    ck_assert_int_eq(s.warnings, 0);
    close_scene(&s);
}
END_TEST

/* As timm does, which makes the network without one. */
START_TEST(test_model__without_classes_leaves_its_head_alone)
{
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    float embedding[16];
    scene s;
    open_scene(&s, &(little_model){.zero_head = true, .told_classes = "0"});
    ck_ok(vitx_model_get_info(&info, s.model));
    ck_assert(info.units && info.classes == 16 && s.warnings == 0);
    ck_ok(vitx_embed(s.c, s.image, embedding, 1));
    close_scene(&s);
}
END_TEST

/* A probability of 1 goes nowhere in single precision; its logit does. */
START_TEST(test_map__of_a_certain_answer_says_nothing_by_its_probability)
{
    const char *const methods[] = {"gradcam", "generic", "saliency", "rise", "lime"};
    scene s;
    open_scene(&s, &(little_model){.head = 1000});
    for (size_t i = 0; i < 3; i++) {
        ck_assert(says_nothing(&s, methods[i], VITX_SCORE_PROBABILITY, NULL));
        ck_assert(!says_nothing(&s, methods[i], VITX_SCORE_LOGIT, NULL));
    }
    close_scene(&s);
    open_scene(&s, &(little_model){0});
    for (size_t i = 0; i < 5; i++)
        ck_assert_msg(!says_nothing(&s, methods[i], VITX_SCORE_PROBABILITY, NULL), "%s",
                      methods[i]);
    close_scene(&s);
}
END_TEST

START_TEST(test_map__of_a_picture_and_itself_says_nothing)
{
    vitx_image *other = little_picture(9);
    scene s = {.folder = NULL};
    ck_ok(vitx_image_open(&s.image, golden_path("models/picture.png")));
    open_folder(&s, golden_path("models/clip-hf"));
    ck_assert(says_nothing(&s, "gradcam", VITX_SCORE_AUTO, s.image));
    ck_assert(says_nothing(&s, "saliency", VITX_SCORE_COSINE, s.image));
    ck_assert(!says_nothing(&s, "gradcam", VITX_SCORE_DOT, s.image));
    ck_assert(!says_nothing(&s, "rise", VITX_SCORE_AUTO, s.image));
    ck_assert(!says_nothing(&s, "gradcam", VITX_SCORE_AUTO, other));
    vitx_image_free(other);
    close_scene(&s);
}
END_TEST

/* ------------------------------------------------------------------ what comes of it ------- */

typedef struct bytes {
    size_t size;
    unsigned char data[1 << 16];
} bytes;

static int take(const void *data, size_t size, void *payload)
{
    bytes *b = payload;
    ck_assert(b->size + size < sizeof b->data);
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static void render(bytes *out, const vitx_map *map, const vitx_image *image, const char *format)
{
    vitx_render_opts o = VITX_RENDER_OPTS_INIT;
    o.format = format;
    out->size = 0;
    ck_ok(vitx_render_write(map, image, take, out, &o));
    out->data[out->size] = '\0';
}

static void check_same_pixels(const bytes *a, const bytes *b)
{
    vitx_image *one, *other;
    ck_ok(vitx_image_open_memory(&one, a->data, a->size, "a", NULL));
    ck_ok(vitx_image_open_memory(&other, b->data, b->size, "b", NULL));
    ck_assert_int_eq(vitx_image_width(one), vitx_image_width(other));
    ck_assert_int_eq(vitx_image_height(one), vitx_image_height(other));
    ck_assert_mem_eq(vitx_image_pixels(one), vitx_image_pixels(other),
                     3 * (size_t)vitx_image_width(one) * (size_t)vitx_image_height(one));
    vitx_image_free(one);
    vitx_image_free(other);
}

/* lime's rounding looks like gradcam's zeros; the numbers stay. */
START_TEST(test_render__draws_rounding_as_zero)
{
    static bytes a, b;
    vitx_map_info info;
    scene s;
    open_scene(&s, &(little_model){.zero_head = true});
    vitx_map *zeros = explain(&s, "gradcam", VITX_SCORE_AUTO, NULL, &info);
    ck_assert(info.min == 0 && info.max == 0);
    vitx_map *rounding = explain(&s, "lime", VITX_SCORE_AUTO, NULL, &info);
    ck_assert(info.min < 0 || info.max > 0);
    render(&a, zeros, s.image, "png");
    render(&b, rounding, s.image, "png");
    check_same_pixels(&a, &b); /* the files say what made them, so they differ */
    render(&b, rounding, s.image, "json");
    ck_assert(strstr((char *)b.data, "\"nothing\":true"));
    render(&b, rounding, s.image, "npy");
    const float *values = vitx_map_values(rounding);
    ck_assert_mem_eq(b.data + b.size - 16 * sizeof(float), values, 16 * sizeof(float));
    vitx_map_free(zeros);
    vitx_map_free(rounding);
    close_scene(&s);
}
END_TEST

static vitx_evaluation *measure(scene *s, const vitx_map *map, const char *metric,
                                const char *method, const uint8_t *mask, vitx_evaluation_info *info)
{
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluation *evaluation;
    e.method = method;
    o.metric = metric;
    o.explain = &e;
    o.mask = o.other = mask;
    o.mask_height = o.mask_width = 16;
    ck_ok(vitx_evaluate(&evaluation, s->c, s->image, map, &o));
    *info = (vitx_evaluation_info)VITX_EVALUATION_INFO_INIT;
    ck_ok(vitx_evaluation_get_info(info, evaluation));
    return evaluation;
}

static void check_measures(const little_model *what, bool nothing)
{
    uint8_t mask[16 * 16] = {0};
    vitx_map_info info;
    scene s;
    memset(mask, 1, 100);
    open_scene(&s, what);
    vitx_map *map = explain(&s, "gradcam", VITX_SCORE_AUTO, NULL, &info);
    for (int i = 0; i < vitx_metric_count(); i++) {
        vitx_metric_info m = VITX_METRIC_INFO_INIT;
        vitx_evaluation_info e;
        ck_ok(vitx_metric_get(&m, i));
        vitx_evaluation *evaluation = measure(&s, map, m.name, "gradcam", mask, &e);
        ck_assert_msg(isnan(e.value) == nothing, "%s is %g", m.name, e.value);
        for (int v = 0; v < e.value_count; v++)
            ck_assert_msg(!isnan(e.values[v]) != nothing, "%s.%s", m.name, m.value_names[v]);
        for (int p = 0; p < e.curve_count * e.point_count; p++)
            ck_assert(!isnan(e.curves[p]) != nothing);
        ck_assert(!nothing || e.forwards == 0);
        vitx_evaluation_free(evaluation);
    }
    vitx_map_free(map);
    close_scene(&s);
}

START_TEST(test_evaluate__measures_nothing_of_nothing)
{
    check_measures(&(little_model){.zero_head = true}, true);
    check_measures(&(little_model){0}, false);
}
END_TEST

/* A score that nothing changes: no map can be wrong about it, nor right. */
START_TEST(test_evaluate__infidelity_of_a_dead_score_is_no_number)
{
    vitx_evaluation_info e;
    vitx_map *map;
    scene s;
    open_scene(&s, &(little_model){.zero_head = true});
    ck_ok(vitx_map_blind(&map, s.c, s.image, VITX_BLIND_RANDOM, 1, VITX_AUTO));
    vitx_evaluation *evaluation = measure(&s, map, "infidelity", "gradcam", NULL, &e);
    ck_assert(isnan(e.value) && isnan(e.values[1]));
    vitx_evaluation_free(evaluation);
    vitx_map_free(map);
    close_scene(&s);
}
END_TEST

/* What the caller gives is what he means. */
START_TEST(test_evaluate__measures_given_zeros)
{
    const float zeros[16] = {0};
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_evaluation_info e;
    vitx_map *map, *larger;
    scene s;
    open_scene(&s, &(little_model){0});
    ck_ok(vitx_map_of_values(&map, s.c, s.image, zeros, 4, 4, VITX_AUTO));
    ck_ok(vitx_map_resize(&larger, map, 8, 8));
    ck_ok(vitx_map_get_info(&info, larger));
    ck_assert(!info.nothing);
    vitx_evaluation *evaluation = measure(&s, map, "deletion", "gradcam", NULL, &e);
    ck_assert(!isnan(e.value));
    vitx_evaluation_free(evaluation);
    vitx_map_free(map);
    vitx_map_free(larger);
    close_scene(&s);
}
END_TEST

/* Two rows of the head that are one: their difference is rounding of logits that are not small. */
START_TEST(test_map__of_a_difference_of_equal_classes_says_nothing)
{
    const char *const methods[] = {"gradcam", "lime", "occlusion"};
    scene s;
    open_scene(&s, &(little_model){.equal_rows = true});
    for (size_t i = 0; i < 3; i++) {
        ck_assert_msg(says_nothing(&s, methods[i], VITX_SCORE_DIFFERENCE, NULL), "%s", methods[i]);
        ck_assert(!says_nothing(&s, methods[i], VITX_SCORE_LOGIT, NULL));
    }
    close_scene(&s);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nothing");
    TCase *t = tcase_create("nothing");
    tcase_add_test(t, test_map__of_a_head_of_zeros_says_nothing);
    tcase_add_test(t, test_model__with_a_head_of_zeros_is_named_once);
    tcase_add_test(t, test_model__without_classes_leaves_its_head_alone);
    tcase_add_test(t, test_map__of_a_certain_answer_says_nothing_by_its_probability);
    tcase_add_test(t, test_map__of_a_picture_and_itself_says_nothing);
    tcase_add_test(t, test_map__of_a_difference_of_equal_classes_says_nothing);
    tcase_add_test(t, test_render__draws_rounding_as_zero);
    tcase_add_test(t, test_evaluate__measures_nothing_of_nothing);
    tcase_add_test(t, test_evaluate__infidelity_of_a_dead_score_is_no_number);
    tcase_add_test(t, test_evaluate__measures_given_zeros);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
