/*
 * test_towers.c: the towers of CLIP and SigLIP, and the pooling head, against their own libraries in
 * float64: what attention pools with, gradients of the input, and layouts of the same weights.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/pass.h"
#include "util.h"

/* With gradient.npy; `same` has the weights of the one before it. */
static const struct {
    const char *name;
    bool same;
} models[] = {{"clip-hf", false},          {"clip-open-clip", true}, {"clip-hf-full", false},
              {"clip-hf-bare", false},     {"clip-timm", false},     {"clip-open-clip-avg", false},
              {"siglip-hf", false},        {"siglip-timm", true},    {"siglip-hf-full", false},
              {"siglip-open-clip", false}, {"vit-timm-map", false}};
enum { MODELS = sizeof models / sizeof models[0] };
static const char *const devices[] = {"cpu", "ref"};

typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    npy input;
    int n;
} bench;

static npy golden(const char *model, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "models/%s/%s", model, name);
    return read_npy(golden_path(path));
}

static bench open_bench(const char *name, const char *device, const npy *input,
                        vitx_gradients gradients)
{
    char path[100];
    bench b = {.input = *input, .n = (int)input->shape[0]};
    vitx_context_opts opts = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "models/%s", name);
    ck_ok(vitx_model_open(&b.model, golden_path(path), NULL));
    opts.device = device;
    opts.max_batch = b.n;
    opts.threads = 2;
    opts.gradients = gradients;
    ck_ok(vitx_context_create(&b.c, b.model, &opts));
    return b;
}

static void close_bench(bench *b)
{
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

/* The golden's inputs through the context's own pass, as vitx_forward would run them. */
static void forward(bench *b)
{
    vitx_context *c = b->c;
    for (size_t i = 0; i < b->input.count; i++)
        c->host_input[i] = (float)b->input.data[i];
    c->dev->cls->upload(c->dev, c->act.input, c->host_input, b->input.count * sizeof(float));
    vx_context_begin(c, 1);
    ck_ok(vx_context_place(c, &c->wish, &c->trace, c->max_batch));
    ck_ok(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = b->n}));
    ck_ok(vx_context_answers(c, &c->act, c->host_logits, c->host_probabilities, b->n));
    c->recorded = b->n;
}

static double largest(const npy *a)
{
    double most = 0;
    for (size_t i = 0; i < a->count; i++)
        most = fmax(most, fabs(a->data[i]));
    return most;
}

START_TEST(test_towers__gradients_match_float64)
{
    const char *name = models[_i / 4].name;
    npy input = golden(name, "input.npy"), expected = golden(name, "gradient.npy");
    bench b = open_bench(name, devices[_i % 2], &input,
                         _i / 2 % 2 ? VITX_GRADIENTS_RECOMPUTE : VITX_GRADIENTS_KEEP);
    const int k = b.c->arch.classes;
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    trace.gradients = VITX_GRADIENT_INPUT;
    trace.targets = 1;
    ck_ok(vitx_context_set_trace(b.c, &trace));
    forward(&b);
    float *dlogits = malloc((size_t)(b.n * k) * sizeof *dlogits);
    for (int i = 0; i < b.n * k; i++)
        dlogits[i] = (float)cos(i % k);
    ck_ok(vitx_backward(b.c, dlogits));
    ck_ok(vitx_input_gradient(&view, b.c));
    const double error = max_error_f32(view.data, expected.data, expected.count);
    ck_assert_msg(error < 1e-5 * largest(&expected), "%s: %g of %g", name, error,
                  largest(&expected));
    free(dlogits);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

START_TEST(test_towers__pooling_attention_matches_float64)
{
    static const char *const pooled[] = {"siglip-hf", "siglip-timm", "siglip-hf-full",
                                         "siglip-open-clip", "vit-timm-map"};
    const char *name = pooled[_i / 2];
    npy input = golden(name, "input.npy"), expected = golden(name, "attention_pool.npy");
    bench b = open_bench(name, devices[_i % 2], &input, VITX_GRADIENTS_AUTO);
    vitx_trace_opts trace = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    ck_fails(vitx_pool_attention(&view, b.c), VITX_INVALID, "vitx_forward");
    trace.record = VITX_RECORD_ROW;
    ck_ok(vitx_context_set_trace(b.c, &trace));
    forward(&b);
    ck_ok(vitx_pool_attention(&view, b.c));
    ck_assert(view.rank == 4 && view.shape[0] == b.n && view.shape[1] == b.c->arch.heads &&
              view.shape[2] == 1 && view.shape[3] == vx_arch_tokens(&b.c->arch));
    const double error = max_error_f32(view.data, expected.data, expected.count);
    ck_assert_msg(error < TOL_MAP, "%s: error %g", name, error);
    close_bench(&b);
    free_npy(&input);
    free_npy(&expected);
}
END_TEST

START_TEST(test_towers__only_a_pooling_head_has_its_attention)
{
    npy input = golden("clip-hf", "input.npy");
    bench b = open_bench("clip-hf", "cpu", &input, VITX_GRADIENTS_AUTO);
    vitx_view view;
    forward(&b);
    ck_fails(vitx_pool_attention(&view, b.c), VITX_UNSUPPORTED, "no attention-pooling head");
    close_bench(&b);
    free_npy(&input);
}
END_TEST

/* Two layouts of one model's weights, of different libraries, are the same network. */
START_TEST(test_towers__layouts_of_the_same_weights_agree)
{
    int pairs = 0;
    for (int i = 1; i < MODELS; i++) {
        if (!models[i].same)
            continue;
        npy input = golden(models[i].name, "input.npy");
        bench a = open_bench(models[i - 1].name, "cpu", &input, VITX_GRADIENTS_AUTO);
        bench b = open_bench(models[i].name, "cpu", &input, VITX_GRADIENTS_AUTO);
        ck_assert_str_ne(a.model->naming->name, b.model->naming->name);
        forward(&a);
        forward(&b);
        ck_assert_int_eq(a.c->arch.classes, b.c->arch.classes);
        for (int k = 0; k < a.c->arch.classes; k++)
            ck_assert_double_eq_tol((double)a.c->host_logits[k], (double)b.c->host_logits[k], 2e-6);
        close_bench(&a);
        close_bench(&b);
        free_npy(&input);
        pairs++;
    }
    ck_assert_int_eq(pairs, 2);
}
END_TEST

static Suite *towers_suite(void)
{
    Suite *suite = suite_create("towers");
    TCase *t = tcase_create("towers");
    tcase_add_loop_test(t, test_towers__gradients_match_float64, 0, 4 * MODELS);
    tcase_add_loop_test(t, test_towers__pooling_attention_matches_float64, 0, 10);
    tcase_add_test(t, test_towers__only_a_pooling_head_has_its_attention);
    tcase_add_test(t, test_towers__layouts_of_the_same_weights_agree);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(towers_suite)
