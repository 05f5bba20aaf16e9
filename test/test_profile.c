/* The time by operation: what is counted, that nothing else changes, and what is refused. */
#include <stdio.h>
#include <string.h>

#include <vitx/vitx.h>

#include "kernels/profile.h"
#include "kernels/work.h"
#include "util.h"

static const char *const devices[] = {"ref", "cpu"};
enum { DEVICES = 2, PICTURES = 2 };

typedef struct bench {
    vitx_model *model;
    vitx_context *context;
    vitx_image *image;
} bench;

static bench open_bench(const char *folder, const char *device)
{
    bench b;
    char path[128];
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    snprintf(path, sizeof path, "test/golden/models/%s", folder);
    o.device = device;
    o.threads = 2;
    o.max_batch = PICTURES;
    ck_ok(vitx_model_open(&b.model, path, NULL));
    ck_ok(vitx_context_create(&b.context, b.model, &o));
    ck_ok(vitx_image_open(&b.image, "test/golden/models/picture.png"));
    return b;
}

static void close_bench(bench *b)
{
    vitx_image_free(b->image);
    vitx_context_free(b->context);
    vitx_model_free(b->model);
}

static void forward(const bench *b)
{
    const vitx_image *images[PICTURES] = {b->image, b->image};
    ck_ok(vitx_forward(b->context, images, PICTURES));
}

static vitx_op_time op(const bench *b, int index)
{
    vitx_op_time time = VITX_OP_TIME_INIT;
    ck_ok(vitx_context_get_op_time(&time, b->context, index));
    return time;
}

static void check_work(vx_work found, vx_work expected)
{
    ck_assert_double_gt(expected.flops, 0);
    ck_assert_double_eq(found.flops, expected.flops);
    ck_assert_double_eq(found.bytes, expected.bytes);
}

/* An array counts the same as floats and in the device's narrow type. */
START_TEST(test_work__twins_count_the_same)
{
    float array[1] = {0};
    vx_narrow *twin = (vx_narrow *)array;
    const vx_weight w = {array, NULL, 12, 8, &vx_packing_plain, NULL};
    const vx_linear l = {.w = &w, .x = array, .m = 5},
                    plain = {.w = &w, .x = array, .m = 5, .y = array, .pre = array},
                    other = {.w = &w, .x_n = twin, .m = 5, .y_n = twin, .pre_n = twin};
    ck_assert_double_lt(vx_linear_work(&l).bytes, vx_linear_work(&plain).bytes);
    check_work(vx_linear_work(&other), vx_linear_work(&plain));

    const vx_linear_bwd
        lb = {.w = &w, .dy = array, .dx = array, .m = 5, .targets = 1},
        lb_pre = {.w = &w, .dy = array, .dx = array, .m = 5, .targets = 1, .pre = array},
        lb_twin = {.w = &w, .dy_n = twin, .dx_n = twin, .m = 5, .targets = 1, .pre_n = twin};
    ck_assert_double_lt(vx_linear_bwd_work(&lb).bytes, vx_linear_bwd_work(&lb_pre).bytes);
    check_work(vx_linear_bwd_work(&lb_twin), vx_linear_bwd_work(&lb_pre));

    vx_attention_bwd a = {.dp = array,
                          .dy = array,
                          .qkv = array,
                          .p = array,
                          .batch = 2,
                          .targets = 1,
                          .tokens = 5,
                          .heads = 2,
                          .head_width = 4,
                          .queries = 5};
    const vx_work dp_alone = vx_attention_bwd_work(&a);
    a.dqkv = array;
    const vx_work whole = vx_attention_bwd_work(&a);
    ck_assert_double_lt(dp_alone.flops, whole.flops);
    a.dqkv = NULL;
    a.dqkv_n = twin;
    check_work(vx_attention_bwd_work(&a), whole);
    a.dqkv_n = NULL; /* what is made of dp for methods: the scores, too, and what is written */
    a.dp = NULL;
    a.p = NULL;
    const vx_work least = vx_attention_bwd_work(&a);
    a.product = array;
    ck_assert_double_eq(vx_attention_bwd_work(&a).flops, 2 * least.flops);
    ck_assert_double_eq(vx_attention_bwd_work(&a).bytes, least.bytes + 2 * 5 * 5 * 4);
    a.product = NULL;
    a.relu_mean = array;
    ck_assert_double_eq(vx_attention_bwd_work(&a).flops, least.flops);
    ck_assert_double_eq(vx_attention_bwd_work(&a).bytes, least.bytes + 2 * 2 * 5 * 4);
}
END_TEST

/* What the products of a whole pass come to is what vitx_context_info says of it. */
START_TEST(test_profile__counts_what_runs)
{
    bench b = open_bench("vit-timm-avg", devices[_i]);
    vitx_context_info context = VITX_CONTEXT_INFO_INIT;
    vitx_model_info model = VITX_MODEL_INFO_INIT;
    ck_ok(vitx_context_get_info(&context, b.context));
    ck_ok(vitx_model_get_info(&model, b.model));
    ck_ok(vitx_context_set_profile(b.context, 1));
    /* workers that go through a block alone, each with a picture, count an operation each */
    const int each = strcmp(devices[_i], "cpu") == 0 ? PICTURES : 1;
    for (int run = 1; run <= 2; run++) {
        double flops = 0;
        forward(&b);
        ck_assert_int_eq(op(&b, VX_OP_linear).calls, run * (each * 4 * model.depth + 1));
        ck_assert_int_eq(op(&b, VX_OP_attention).calls, run * each * model.depth);
        ck_assert_int_eq(op(&b, VX_OP_patch_embed).calls, run);
        ck_assert_int_eq(op(&b, VX_OP_linear_bwd).calls, 0);
        for (int i = 0; i < VX_OP_COUNT; i++) {
            const vitx_op_time time = op(&b, i);
            flops += time.flops;
            ck_assert_str_eq(time.name, vx_op_name(i));
            ck_assert(time.calls == 0 || (time.seconds >= 0 && time.bytes > 0));
        }
        ck_assert_double_eq(flops, (double)context.flops * PICTURES * run);
    }
    ck_assert_double_gt(op(&b, VX_OP_linear).seconds, 0);
    ck_ok(vitx_context_set_profile(b.context, 0));
    forward(&b);
    ck_assert_int_eq(op(&b, VX_OP_patch_embed).calls, 2);
    ck_ok(vitx_context_set_profile(b.context, 1));
    ck_assert_int_eq(op(&b, VX_OP_patch_embed).calls, 0);
    close_bench(&b);
}
END_TEST

/* Answers and maps are those without a profile, bit for bit; a method's operations are counted. */
START_TEST(test_profile__changes_no_number)
{
    bench b = open_bench("deit-timm", devices[_i]);
    vitx_explain_opts opts = VITX_EXPLAIN_OPTS_INIT;
    vitx_map *maps[2];
    opts.method = "generic";
    for (int on = 0; on < 2; on++) {
        ck_ok(vitx_context_set_profile(b.context, on));
        ck_ok(vitx_explain(&maps[on], b.context, b.image, &opts));
    }
    vitx_map_info info = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&info, maps[0]));
    size_t count = 1;
    for (int i = 0; i < 4; i++)
        count *= (size_t)(info.shape[i] > 0 ? info.shape[i] : 1);
    ck_assert_mem_eq(vitx_map_values(maps[0]), vitx_map_values(maps[1]), count * sizeof(float));
    ck_assert_int_gt(op(&b, VX_OP_linear_bwd).calls, 0);
    ck_assert_int_gt(op(&b, VX_OP_rollout_step).calls, 0);
    vitx_map_free(maps[0]);
    vitx_map_free(maps[1]);
    close_bench(&b);
}
END_TEST

START_TEST(test_profile__refuses)
{
    bench b = open_bench("deit-timm", "cpu");
    vitx_op_time time = VITX_OP_TIME_INIT;
    double flops, bytes;
    ck_assert_int_eq(vitx_context_set_profile(NULL, 1), VITX_INVALID);
    ck_assert_int_eq(vitx_context_get_op_time(&time, b.context, 0), VITX_INVALID); /* never on */
    ck_ok(vitx_context_set_profile(b.context, 1));
    ck_assert_int_eq(vitx_context_get_op_time(NULL, b.context, 0), VITX_INVALID);
    ck_assert_int_eq(vitx_context_get_op_time(&time, b.context, -1), VITX_INVALID);
    ck_assert_int_eq(vitx_context_get_op_time(&time, b.context, VX_OP_COUNT), VITX_INVALID);
    ck_assert_int_eq(vitx_context_measure_peak(b.context, &flops, &bytes), VITX_INVALID);
    ck_ok(vitx_context_set_profile(b.context, 0));
    ck_assert_int_eq(vitx_context_measure_peak(b.context, NULL, &bytes), VITX_INVALID);
    ck_ok(vitx_context_measure_peak(b.context, &flops, &bytes));
    ck_assert_double_gt(flops, 1e6);
    ck_assert_double_gt(bytes, 1e6);
    forward(&b); /* the context is as it was */
    close_bench(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("profile");
    TCase *tcase = tcase_create("profile");
    tcase_add_test(tcase, test_work__twins_count_the_same);
    tcase_add_loop_test(tcase, test_profile__counts_what_runs, 0, DEVICES);
    tcase_add_loop_test(tcase, test_profile__changes_no_number, 0, DEVICES);
    tcase_add_test(tcase, test_profile__refuses);
    suite_add_tcase(s, tcase);
    return s;
}

VX_TEST_MAIN(suite)
