/*
 * Variants of a picture that the device makes: how many run at once, allocations that fail, what a
 * kept context gives again. (That they have the bits of those that the host makes is for
 * test_boundary; the operations are for test_kernels.)
 */
#include <string.h>
#include <vitx/vitx.h>

#include "engine/channels.h"
#include "engine/context.h"
#include "engine/variants.h"
#include "util.h"

static const char folder[] = "test/golden/models/vit-timm";

static int64_t ticks_told;

static int watch(int64_t done, int64_t total, void *payload)
{
    (void)payload;
    ticks_told = done;
    ck_assert_int_le(done, total);
    return 0;
}

static vitx_context *create(vitx_model *model, const char *device, size_t memory_budget)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    vitx_context *c;
    o.device = device;
    o.threads = 1;
    o.memory_budget = memory_budget;
    o.progress = watch;
    ck_ok(vitx_context_create(&c, model, &o));
    return c;
}

static vitx_map *explain(vitx_context *c, const char *method, const char *setting)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    vitx_image *image;
    vitx_map *map;
    o.method = method;
    o.target = 1;
    o.set = &setting;
    o.set_count = setting != NULL;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    ck_ok(vitx_explain(&map, c, image, &o));
    vitx_image_free(image);
    return map;
}

/* As many as the class wants, in as many passes as that takes; on ref a few. */
START_TEST(test_variants__as_many_at_once_as_the_class_wants)
{
    vitx_model *model;
    ck_ok(vitx_model_open(&model, folder, NULL));
    vitx_context *many = create(model, "cuda-host", 0), *few = create(model, "ref", 0);
    const vx_device_class *cls = many->dev->cls;
    const int depth = few->arch.depth, wanted = cls->variant_tokens / vx_arch_tokens(&many->arch);
    ck_assert_int_gt(wanted, VX_VARIANTS_MOST);
    ck_assert_int_eq(vx_variants_at_once(many, NULL), VX_VARIANTS_MOST);
    ck_assert_int_eq(vx_variants_at_once(few, NULL), VX_VARIANTS_AT_ONCE);
    ck_assert_int_eq(vx_channels_at_once(many), many->arch.width);
    /* The picture, and 100 masks: in one pass, or in 13. */
    vitx_map_free(explain(many, "rise", "n=100"));
    ck_assert_int_eq(ticks_told, 2 * depth);
    vitx_map_free(explain(few, "rise", "n=100"));
    ck_assert_int_eq(ticks_told, 14 * depth);
    vitx_context_free(many);
    vitx_context_free(few);
    vitx_model_free(model);
}
END_TEST

/* A budget makes them fewer, and the map is the same. */
START_TEST(test_variants__budgets_hold)
{
    vitx_model *model;
    vitx_context_info info = VITX_CONTEXT_INFO_INIT;
    ck_ok(vitx_model_open(&model, folder, NULL));
    vitx_context *c = create(model, "cuda-host", 0);
    ck_ok(vitx_context_get_info(&info, c));
    const size_t budget = info.activation_bytes + ((size_t)24 << 20);
    vitx_context *tight = create(model, "cuda-host", budget);
    const int at_once = vx_variants_at_once(tight, NULL);
    ck_assert_int_gt(at_once, VX_VARIANTS_AT_ONCE);
    ck_assert_int_lt(at_once, VX_VARIANTS_MOST);
    vitx_map *a = explain(c, "rise", "n=1100"), *b = explain(tight, "rise", "n=1100");
    ck_ok(vitx_context_get_info(&info, tight));
    ck_assert_uint_le(info.activation_bytes, budget);
    vitx_map_info m = VITX_MAP_INFO_INIT;
    ck_ok(vitx_map_get_info(&m, a));
    for (int64_t i = 0; i < m.shape[0] * m.shape[1]; i++)
        ck_assert_float_eq_tol(vitx_map_values(a)[i], vitx_map_values(b)[i], 1e-6f);
    vitx_map_free(a);
    vitx_map_free(b);
    vitx_context_free(c);
    vitx_context_free(tight);
    vitx_model_free(model);
}
END_TEST

/* ------------------------------------------------------------------ allocations that fail -- */

static int whole_way(const vitx_hooks *hooks, const char *metric, const char *setting)
{
    vitx_explain_opts how = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts e = VITX_EVALUATE_OPTS_INIT;
    vitx_model_opts mo = VITX_MODEL_OPTS_INIT;
    vitx_context_opts co = VITX_CONTEXT_OPTS_INIT;
    vitx_model *model = NULL;
    vitx_context *c = NULL;
    vitx_image *image = NULL;
    vitx_map *map = NULL;
    vitx_evaluation *found = NULL;
    how.method = metric ? "rollout" : "rise";
    how.target = 1;
    how.set = &setting;
    how.set_count = metric == NULL;
    mo.hooks = hooks;
    co.device = "ref";
    co.threads = 1;
    e.metric = metric;
    e.explain = &how;
    e.set = &setting;
    e.set_count = 1;
    ck_ok(vitx_image_open(&image, "test/golden/models/picture.png"));
    int status = vitx_model_open(&model, folder, &mo);
    if (status == VITX_OK)
        status = vitx_context_create(&c, model, &co);
    if (status == VITX_OK)
        status = vitx_explain(&map, c, image, &how);
    if (status == VITX_OK && metric)
        status = vitx_evaluate(&found, c, image, map, &e);
    vitx_evaluation_free(found);
    vitx_map_free(map);
    vitx_context_free(c);
    vitx_model_free(model);
    vitx_image_free(image);
    return status;
}

static const struct {
    const char *metric, *setting;
} hungry[] = {{NULL, "n=9"}, {"deletion", "step=500"}, {"sensitivity", "n=2"}};

START_TEST(test_variants__every_allocation_may_fail)
{
    const char *metric = hungry[_i].metric, *setting = hungry[_i].setting;
    ration r = {.left = -1};
    const vitx_hooks hooks = {sizeof hooks, ration_alloc, ration_release, NULL, &r};
    ck_ok(whole_way(&hooks, metric, setting));
    ck_assert_int_eq(r.live, 0);
    const int needed = r.calls;
    for (int n = SANITIZED ? needed - 40 : 0; n < needed; n += SANITIZED ? 4 : 1) {
        r = (ration){.left = n};
        const int status = whole_way(&hooks, metric, setting);
        ck_assert_msg(status == VITX_NOMEM, "with %d allocations: %s, %s", n,
                      vitx_status_name(status), vitx_last_error());
        ck_assert_msg(r.live == 0, "with %d allocations: %d are left", n, r.live);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("variants");
    TCase *t = tcase_create("on the device");
    tcase_add_test(t, test_variants__as_many_at_once_as_the_class_wants);
    tcase_add_loop_test(t, test_variants__budgets_hold, 0, !SANITIZED);
    tcase_add_loop_test(t, test_variants__every_allocation_may_fail, 0, 3);
    suite_add_tcase(s, t);
    return s;
}

VX_TEST_MAIN(suite)
