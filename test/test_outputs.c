/*
 * What a model's outputs are (softmax, sigmoid, plain numbers), and that everything that reads a
 * probability follows: predictions, scores and their gradients, methods' defaults, curves.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "explain/score.h"
#include "little_model.h"
#include "util.h"

/* A model, a context on it and a picture. */
typedef struct scene {
    char *folder;
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
} scene;

static scene open_on(const char *device, const little_model *what, vitx_outputs outputs)
{
    scene s = {.folder = make_little_model(what), .image = little_picture(3)};
    vitx_model_opts m = VITX_MODEL_OPTS_INIT;
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    m.outputs = outputs;
    o.device = device;
    o.max_batch = 2;
    ck_ok(vitx_model_open(&s.model, s.folder, &m));
    ck_ok(vitx_context_create(&s.c, s.model, &o));
    return s;
}

static scene open_scene(const little_model *what)
{
    return open_on("cpu", what, VITX_OUTPUTS_AUTO);
}

static void close_scene(scene *s)
{
    vitx_image_free(s->image);
    vitx_context_free(s->c);
    vitx_model_free(s->model);
    remove_folder(s->folder);
    free(s->folder);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static const little_model one = {.classes = 1},
                          several = {.more = "\"problem_type\":\"multi_label_classification\""},
                          numbers = {.more = "\"problem_type\":\"regression\""},
                          plain = {0};

/* ------------------------------------------------------------------ what a model says ------ */

static void check_info(const little_model *what, vitx_outputs asked, vitx_outputs outputs,
                       vitx_source from)
{
    scene s = open_on("cpu", what, asked);
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_model_get_info(&info, s.model));
    ck_assert_msg(info.outputs == outputs && info.from_outputs == from,
                  "asked %d: outputs %d from %d, not %d from %d", (int)asked, (int)info.outputs,
                  (int)info.from_outputs, (int)outputs, (int)from);
    close_scene(&s);
}

START_TEST(test_outputs__are_what_the_files_or_the_caller_say)
{
    const little_model null = {.more = "\"problem_type\":null"},
                       single = {.more = "\"problem_type\":\"single_label_classification\""},
                       one_choice = {.classes = 1,
                                     .more = "\"problem_type\":\"single_label_classification\""},
                       one_number = {.classes = 1, .more = "\"problem_type\":\"regression\""};
    check_info(&plain, 0, VITX_OUTPUTS_SOFTMAX, VITX_FROM_DEFAULT);
    check_info(&null, 0, VITX_OUTPUTS_SOFTMAX, VITX_FROM_DEFAULT);
    check_info(&single, 0, VITX_OUTPUTS_SOFTMAX, VITX_FROM_CONFIG);
    check_info(&several, 0, VITX_OUTPUTS_SIGMOID, VITX_FROM_CONFIG);
    check_info(&numbers, 0, VITX_OUTPUTS_NONE, VITX_FROM_CONFIG);
    check_info(&one, 0, VITX_OUTPUTS_SIGMOID, VITX_FROM_TENSORS);
    check_info(&one_choice, 0, VITX_OUTPUTS_SIGMOID, VITX_FROM_TENSORS);
    check_info(&one_number, 0, VITX_OUTPUTS_NONE, VITX_FROM_CONFIG);
    check_info(&several, VITX_OUTPUTS_SOFTMAX, VITX_OUTPUTS_SOFTMAX, VITX_FROM_OPTIONS);
    check_info(&plain, VITX_OUTPUTS_SIGMOID, VITX_OUTPUTS_SIGMOID, VITX_FROM_OPTIONS);
    check_info(&one, VITX_OUTPUTS_NONE, VITX_OUTPUTS_NONE, VITX_FROM_OPTIONS);
    ck_assert_str_eq(vitx_outputs_name(VITX_OUTPUTS_SIGMOID), "sigmoid");
    ck_assert(!vitx_outputs_name(4) && !vitx_outputs_name(-1));
}
END_TEST

static void refuse(const char *folder, vitx_outputs outputs, int code, const char *part)
{
    vitx_model_opts o = VITX_MODEL_OPTS_INIT;
    vitx_model *m;
    o.outputs = outputs;
    ck_fails(vitx_model_open(&m, folder, &o), code, part);
    ck_assert_ptr_null(m);
}

START_TEST(test_outputs__that_a_model_cannot_have_are_refused)
{
    const little_model odd = {.more = "\"problem_type\":\"ranking\""},
                       number = {.more = "\"problem_type\":3"};
    char *folder = make_little_model(&one), *strange = make_little_model(&odd),
         *wrong = make_little_model(&number);
    refuse(folder, VITX_OUTPUTS_SOFTMAX, VITX_INVALID, "has one output, whose softmax is always 1");
    refuse(folder, (vitx_outputs)7, VITX_INVALID, "outputs = 7 is no vitx_outputs");
    refuse(strange, 0, VITX_FORMAT, "problem_type \"ranking\" is none of");
    refuse(wrong, 0, VITX_FORMAT, "problem_type is no string");
    refuse(golden_path("models/clip-hf"), VITX_OUTPUTS_SIGMOID, VITX_INVALID, "is an embedding");
    remove_folder(folder);
    remove_folder(strange);
    remove_folder(wrong);
    free(folder);
    free(strange);
    free(wrong);
}
END_TEST

/* ------------------------------------------------------------------ predictions ------------ */

static void check_prediction(const vitx_prediction *p, vitx_outputs outputs)
{
    const double expected = outputs == VITX_OUTPUTS_NONE ? p->logit : sigmoid(p->logit);
    ck_assert_msg(fabs(p->probability - expected) <= 1e-6 * fmax(1, fabs(expected)),
                  "%g of logit %g, not %g", p->probability, p->logit, expected);
}

/* One picture and a batch, on both devices. */
static void check_answers(const little_model *what, vitx_outputs outputs)
{
    const char *const devices[] = {"cpu", "ref"};
    for (int d = 0; d < 2; d++) {
        scene s = open_on(devices[d], what, 0);
        const int k = what->classes ? what->classes : 3;
        vitx_image *other = little_picture(8);
        const vitx_image *images[] = {s.image, other, s.image};
        vitx_prediction single[3], all[9];
        ck_ok(vitx_classify(s.c, s.image, single, k));
        ck_ok(vitx_classify_batch(s.c, images, 3, all, k));
        for (int i = 0; i < 3 * k; i++)
            check_prediction(&all[i], outputs);
        for (int i = 0; i < k; i++) {
            check_prediction(&single[i], outputs);
            ck_assert(i == 0 || single[i].logit <= single[i - 1].logit);
            ck_assert_int_eq(single[i].index, all[i].index);
        }
        vitx_image_free(other);
        close_scene(&s);
    }
}

START_TEST(test_classify__gives_sigmoids_or_the_numbers_themselves)
{
    check_answers(&one, VITX_OUTPUTS_SIGMOID);
    check_answers(&several, VITX_OUTPUTS_SIGMOID);
    check_answers(&numbers, VITX_OUTPUTS_NONE);
}
END_TEST

/* Logits of transformers in float64 (test/golden/README.md); the pipeline's formula 1 / (1 +
 * exp(-z)). */
START_TEST(test_classify__gives_the_sigmoids_of_transformers_logits)
{
    vitx_model_opts m = VITX_MODEL_OPTS_INIT;
    vitx_model *model;
    vitx_context *c;
    vitx_image *image;
    vitx_prediction top[7];
    m.outputs = VITX_OUTPUTS_SIGMOID;
    npy logits = read_npy(golden_path("models/vit-hf/logits.npy"));
    ck_ok(vitx_image_open(&image, golden_path("models/picture.png")));
    ck_ok(vitx_model_open(&model, golden_path("models/vit-hf"), &m));
    ck_ok(vitx_context_create(&c, model, NULL));
    ck_ok(vitx_classify(c, image, top, 7));
    for (int i = 0; i < 7; i++)
        ck_assert_double_eq_tol(top[i].probability, sigmoid(logits.data[top[i].index]), 1e-4);
    free_npy(&logits);
    vitx_image_free(image);
    vitx_context_free(c);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ scores ----------------- */

static void refuse_score(scene *s, vitx_score score, const char *part)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *map;
    o.method = "gradcam";
    o.score = score;
    ck_fails(vitx_explain(&map, s->c, s->image, &o), VITX_INVALID, part);
    ck_assert_ptr_null(map);
}

START_TEST(test_score__that_says_nothing_is_refused)
{
    scene a = open_scene(&one), b = open_scene(&numbers);
    refuse_score(&a, VITX_SCORE_PROBABILITY, "score probability: the model has one output");
    refuse_score(&a, VITX_SCORE_DIFFERENCE, "score difference: the model has one output");
    refuse_score(&b, VITX_SCORE_PROBABILITY, "outputs are plain numbers");
    close_scene(&a);
    close_scene(&b);
}
END_TEST

/* d score / d logits against central differences of a sigmoid in double. */
START_TEST(test_score__seed_of_a_sigmoid_is_its_slope)
{
    const float logits[4] = {-3.5f, 0.25f, 1.75f, 6};
    float probabilities[4], row[4];
    for (int t = 0; t < 4; t++)
        probabilities[t] = (float)sigmoid(logits[t]);
    for (int t = 0; t < 4; t++) {
        const vx_target target = {.score = VITX_SCORE_PROBABILITY,
                                  .target = t,
                                  .outputs = VITX_OUTPUTS_SIGMOID};
        const double step = 1e-4;
        const double slope = (sigmoid(logits[t] + step) - sigmoid(logits[t] - step)) / (2 * step);
        vx_target_cotangent(row, target, logits, probabilities, 4);
        for (int k = 0; k < 4; k++)
            ck_assert_double_eq_tol(row[k], k == t ? slope : 0, 1e-6);
        ck_assert(vx_target_value(target, logits, probabilities) == probabilities[t]);
    }
}
END_TEST

static vitx_map *explain(scene *s, const char *method, vitx_score score, vitx_map_info *info)
{
    static const char *const few[] = {"n=60"};
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    const bool samples = strcmp(method, "rise") == 0 || strcmp(method, "lime") == 0;
    vitx_map *map;
    o.method = method;
    o.score = score;
    o.set = few;
    o.set_count = samples;
    ck_ok(vitx_explain(&map, s->c, s->image, &o));
    *info = (vitx_map_info)VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(info, map));
    return map;
}

/* Of a sigmoid the gradient is p (1 - p) times the logit's, everywhere. */
START_TEST(test_score__gradients_of_a_sigmoid_are_those_of_its_logit_scaled)
{
    const char *const methods[] = {"saliency", "gradcam", "legrad"};
    scene s = open_scene(&several);
    for (int m = 0; m < 3; m++) {
        vitx_map_info of_logit, of_probability;
        vitx_map *a = explain(&s, methods[m], VITX_SCORE_LOGIT, &of_logit);
        vitx_map *b = explain(&s, methods[m], VITX_SCORE_PROBABILITY, &of_probability);
        const double p = sigmoid(of_logit.logit);
        ck_assert_double_eq_tol(of_probability.value, p, 1e-6);
        ck_assert_double_eq_tol(of_logit.value, of_logit.logit, 1e-6);
        ck_assert(of_logit.outputs == VITX_OUTPUTS_SIGMOID);
        const float *x = vitx_map_values(a), *y = vitx_map_values(b);
        const double largest = fmax(fabs(of_probability.min), fabs(of_probability.max));
        for (int64_t i = 0; i < of_logit.shape[0] * of_logit.shape[1] && m < 2; i++)
            ck_assert_double_eq_tol(y[i], p * (1 - p) * x[i], 1e-4 * largest);
        ck_assert(largest > 0);
        vitx_map_free(a);
        vitx_map_free(b);
    }
    close_scene(&s);
}
END_TEST

static void check_default(const little_model *what, vitx_score expected)
{
    const char *const methods[] = {"rise", "lime"};
    scene s = open_scene(what);
    for (int m = 0; m < 2; m++) {
        vitx_map_info info, same;
        vitx_map *a = explain(&s, methods[m], VITX_SCORE_AUTO, &info);
        vitx_map *b = explain(&s, methods[m], expected, &same);
        const size_t count = (size_t)(info.shape[0] * info.shape[1]);
        ck_assert_int_eq((int)info.score, (int)expected);
        ck_assert_mem_eq(vitx_map_values(a), vitx_map_values(b), count * sizeof(float));
        ck_assert(fmax(fabs(info.min), fabs(info.max)) > 1e-3);
        vitx_map_free(a);
        vitx_map_free(b);
    }
    close_scene(&s);
}

START_TEST(test_methods__explain_the_logit_where_no_probability_says_more)
{
    check_default(&plain, VITX_SCORE_PROBABILITY);
    check_default(&several, VITX_SCORE_PROBABILITY);
    check_default(&one, VITX_SCORE_LOGIT);
    check_default(&numbers, VITX_SCORE_LOGIT);
}
END_TEST

/* ------------------------------------------------------------------ curves ----------------- */

/* The first point of a deletion curve is the picture's own score. */
static void check_curve(scene *s, const char *metric, vitx_score score, double expected)
{
    vitx_map_info info;
    vitx_evaluation_info e = VITX_EVALUATION_INFO_INIT;
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    vitx_evaluation *evaluation;
    vitx_map *map = explain(s, "gradcam", VITX_SCORE_LOGIT, &info);
    o.metric = metric;
    o.score = score;
    ck_ok(vitx_evaluate(&evaluation, s->c, s->image, map, &o));
    ck_ok(vitx_evaluation_get_info(&e, evaluation));
    ck_assert_msg(fabs(e.curves[0] - expected) <= 1e-5 * fmax(1, fabs(expected)),
                  "%s of score %d begins at %g, not %g", metric, (int)score, e.curves[0], expected);
    ck_assert(e.value != 1);
    vitx_evaluation_free(evaluation);
    vitx_map_free(map);
}

static void check_curves(const little_model *what, vitx_outputs outputs)
{
    const char *const metrics[] = {"deletion", "deletion-patch"};
    vitx_prediction top[3];
    scene s = open_scene(what);
    ck_ok(vitx_classify(s.c, s.image, top, 3));
    for (int m = 0; m < 2; m++) {
        const bool one_output = what->classes == 1;
        const bool logit = one_output || outputs == VITX_OUTPUTS_NONE;
        check_curve(&s, metrics[m], VITX_SCORE_AUTO, logit ? top[0].logit : top[0].probability);
        check_curve(&s, metrics[m], VITX_SCORE_LOGIT, top[0].logit);
        if (!logit)
            check_curve(&s, metrics[m], VITX_SCORE_PROBABILITY, top[0].probability);
        if (!one_output)
            check_curve(&s, metrics[m], VITX_SCORE_DIFFERENCE,
                        (double)top[0].logit - (double)top[1].logit);
    }
    close_scene(&s);
}

START_TEST(test_evaluate__curves_are_of_the_score_that_is_asked_for)
{
    check_curves(&plain, VITX_OUTPUTS_SOFTMAX);
    check_curves(&several, VITX_OUTPUTS_SIGMOID);
    check_curves(&numbers, VITX_OUTPUTS_NONE);
    check_curves(&one, VITX_OUTPUTS_SIGMOID);
}
END_TEST

START_TEST(test_evaluate__scores_that_the_model_has_not_are_refused)
{
    scene s = open_scene(&one), t = open_scene(&plain);
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    o.metric = "deletion";
    o.score = VITX_SCORE_PROBABILITY;
    ck_fails(vitx_evaluate_check(s.c, &o, 1), VITX_INVALID, "the model has one output");
    o.score = VITX_SCORE_COSINE;
    ck_fails(vitx_evaluate_check(t.c, &o, 1), VITX_INVALID, "need the vector");
    o.score = VITX_SCORE_DIFFERENCE;
    o.versus = 3;
    ck_fails(vitx_evaluate_check(t.c, &o, 1), VITX_INVALID, "versus 3 is out of range");
    close_scene(&s);
    close_scene(&t);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("outputs");
    TCase *t = tcase_create("outputs");
    tcase_add_test(t, test_outputs__are_what_the_files_or_the_caller_say);
    tcase_add_test(t, test_outputs__that_a_model_cannot_have_are_refused);
    tcase_add_test(t, test_classify__gives_sigmoids_or_the_numbers_themselves);
    tcase_add_test(t, test_classify__gives_the_sigmoids_of_transformers_logits);
    tcase_add_test(t, test_score__that_says_nothing_is_refused);
    tcase_add_test(t, test_score__seed_of_a_sigmoid_is_its_slope);
    tcase_add_test(t, test_score__gradients_of_a_sigmoid_are_those_of_its_logit_scaled);
    tcase_add_test(t, test_methods__explain_the_logit_where_no_probability_says_more);
    tcase_add_test(t, test_evaluate__curves_are_of_the_score_that_is_asked_for);
    tcase_add_test(t, test_evaluate__scores_that_the_model_has_not_are_refused);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
