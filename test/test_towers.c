/*
 * test_towers.c: the pooling head against its own libraries in float64: what it pools with. (The rest of
 * the towers of CLIP and SigLIP is compared as every model is: test_engine.c, test_families.c.)
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/vitx.h>

#include "engine/pass.h"
#include "util.h"

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

static Suite *towers_suite(void)
{
    Suite *suite = suite_create("towers");
    TCase *t = tcase_create("towers");
    tcase_add_loop_test(t, test_towers__pooling_attention_matches_float64, 0, 10);
    tcase_add_test(t, test_towers__only_a_pooling_head_has_its_attention);
    suite_add_tcase(suite, t);
    return suite;
}

VX_TEST_MAIN(towers_suite)
