/* test/whole.c: see whole.h. */
#include "whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static vitx_image *noise(uint64_t seed)
{
    enum { W = 39, H = 31 };
    uint8_t rgb[3 * W * H];
    rng r = {seed};
    vitx_image *image;
    for (int i = 0; i < 3 * W * H; i++)
        rgb[i] = (uint8_t)rng_int(&r, 0, 255);
    ck_ok(vitx_image_from_rgb(&image, rgb, W, H, 0, NULL));
    return image;
}

bench open_bench(const char *folder, const bench_opts *opts)
{
    vitx_context_opts o = VITX_CONTEXT_OPTS_INIT;
    bench b = {0};
    o.device = opts->device;
    o.precision = opts->precision;
    o.threads = 1;
    o.max_batch = opts->max_batch ? opts->max_batch : 2;
    o.gradients = opts->gradients;
    o.progress = opts->progress;
    o.progress_payload = opts->payload;
    ck_ok(vitx_model_open(&b.model, folder, NULL));
    ck_ok(vitx_context_create(&b.c, b.model, &o));
    for (int i = 0; i < 2; i++)
        b.images[i] = noise((uint64_t)i + 1);
    return b;
}

void close_bench(bench *b)
{
    for (int i = 0; i < 2; i++)
        vitx_image_free(b->images[i]);
    vitx_context_free(b->c);
    vitx_model_free(b->model);
}

const vitx_image *const *pictures(const bench *b)
{
    return (const vitx_image *const *)b->images;
}

void free_numbers(numbers *n)
{
    free(n->values);
    free(n->parts);
    *n = (numbers){0};
}

/* What is added from here on is of that name. */
static void begin(numbers *n, const char *name, const char *of)
{
    if (n->part_count == n->part_room) {
        n->part_room = n->part_room ? 2 * n->part_room : 64;
        n->parts = realloc(n->parts, n->part_room * sizeof *n->parts);
        ck_assert_ptr_nonnull(n->parts);
    }
    part *p = &n->parts[n->part_count++];
    p->first = n->count;
    snprintf(p->name, sizeof p->name, "%s %s", name, of);
}

static void add(numbers *n, double value)
{
    if (n->count == n->room) {
        n->room = n->room ? 2 * n->room : 4096;
        n->values = realloc(n->values, n->room * sizeof *n->values);
        ck_assert_ptr_nonnull(n->values);
    }
    n->values[n->count++] = value;
}

static void add_floats(numbers *n, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(n, (double)values[i]);
}

static void add_view(numbers *n, const vitx_view *view, const char *name)
{
    size_t count = 1;
    begin(n, name, "");
    for (int axis = 0; axis < view->rank; axis++)
        count *= (size_t)view->shape[axis];
    add_floats(n, view->data, count);
}

void add_map(numbers *n, vitx_map *map, const char *how)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    size_t count = 1;
    ck_ok(vitx_map_get_info(&info, map));
    for (int axis = 0; axis < info.rank; axis++)
        count *= (size_t)info.shape[axis];
    begin(n, info.method, "target");
    add(n, info.target);
    begin(n, info.method, "score");
    add(n, info.value);
    begin(n, info.method, how);
    add_floats(n, vitx_map_values(map), count);
    vitx_map_free(map);
}

/* Logits, input, attention, and gradients of everything. */
void whole_model(numbers *n, const char *folder, const char *device, const char *precision,
                 int which)
{
    bench b = open_bench(folder, &(bench_opts){.device = device,
                                               .precision = precision,
                                               .gradients = which % 2 ? VITX_GRADIENTS_KEEP
                                                                      : VITX_GRADIENTS_RECOMPUTE});
    vitx_model_info info = VITX_MODEL_INFO_INIT;
    vitx_trace_opts t = VITX_TRACE_OPTS_INIT;
    vitx_view view;
    ck_ok(vitx_model_get_info(&info, b.model));
    t.record = VITX_RECORD_ALL;
    t.gradients = VITX_GRADIENT_ANY;
    t.targets = 2;
    ck_ok(vitx_context_set_trace(b.c, &t));
    ck_ok(vitx_forward(b.c, pictures(&b), 2));
    ck_ok(vitx_logits(&view, b.c));
    add_view(n, &view, "logits");
    float *dlogits = calloc(4 * (size_t)info.classes, sizeof *dlogits);
    for (int g = 0; g < 4; g++)
        dlogits[g * info.classes + g % info.classes] = 1;
    ck_ok(vitx_backward(b.c, dlogits));
    memset(dlogits, 0xff, 4 * (size_t)info.classes * sizeof *dlogits);
    free(dlogits);
    for (int l = 0; l < info.depth; l++) {
        ck_ok(vitx_attention(&view, b.c, l));
        add_view(n, &view, "attention");
        ck_ok(vitx_attention_gradient(&view, b.c, l));
        add_view(n, &view, "attention gradient");
        ck_ok(vitx_tokens(&view, b.c, l, VITX_AT_OUTPUT));
        add_view(n, &view, "tokens");
        ck_ok(vitx_tokens_gradient(&view, b.c, l, VITX_AT_NORM1));
        add_view(n, &view, "tokens gradient");
    }
    ck_ok(vitx_input_gradient(&view, b.c));
    add_view(n, &view, "input gradient");
    close_bench(&b);
}

/* kernelshap needs two samples for each patch. */
static const char *const few[] = {"n=16", "steps=3", "n=64"};

vitx_explain_opts few_variants(const vitx_method_info *m)
{
    vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
    o.method = m->name;
    for (int i = 0; i < m->option_count; i++)
        for (int k = 0; k < 2; k++)
            if (strncmp(few[k], m->options[i].key, strcspn(few[k], "=")) == 0 &&
                strlen(m->options[i].key) == strcspn(few[k], "=")) {
                o.set = &few[k == 0 && strcmp(m->name, "kernelshap") == 0 ? 2 : k];
                o.set_count = 1;
            }
    return o;
}

/* Each method alone on two pictures, and then all in one call. */
void whole_methods(numbers *n, const char *folder, const char *device, const char *precision,
                   int which)
{
    enum { MOST = 64 };
    bench b = open_bench(folder, &(bench_opts){.device = device, .precision = precision});
    vitx_explain_opts all[MOST];
    vitx_map *maps[2 * MOST];
    int count = 0;
    ck_assert_int_le(vitx_method_count(), MOST);
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m = VITX_METHOD_INFO_INIT;
        ck_ok(vitx_method_get(&m, i));
        all[count] = few_variants(&m);
        all[count].target = which ? which : VITX_AUTO;
        if (!can_explain(b.c, &all[count]))
            continue;
        const int status = vitx_explain_many(maps, b.c, pictures(&b), 2, &all[count++], 1);
        ck_assert_msg(status == VITX_OK, "%s on %s: %s", m.name, device, vitx_last_error());
        for (int k = 0; k < 2; k++)
            add_map(n, maps[k], "alone");
    }
    ck_ok(vitx_explain_many(maps, b.c, pictures(&b), 2, all, count));
    for (int i = 0; i < 2 * count; i++)
        add_map(n, maps[i], "with all others");
    close_bench(&b);
}

/* Settings that reach the ways in which variants are made; more variants than one batch has. */
static const struct {
    const char *method, *set[4];
    int layer;
} many_ways[] = {
    {"rise", {"n=37", "cells=3", "p=0.3", "seed=5"}, 0},
    {"rise", {"n=11", "remove=blur", "sigma=2", "grid=mean"}, 0},
    {"rise", {"n=9", "cells=1", "remove=black", "grid=sum"}, 0},
    {"rise", {"n=9", "remove=white", "cells=40", NULL}, 0},
    {"rise", {"n=30", "remove=drop", "p=0.7", NULL}, 0},
    {"scorecam", {"at=output", NULL, NULL, NULL}, 0},
    {"scorecam", {"at=norm1", NULL, NULL, NULL}, VITX_ALL},
    {"integrated-gradients", {"steps=11", "baseline=black", NULL, NULL}, 0},
    {"integrated-gradients", {"steps=9", "baseline=blur", "rule=trapezoid", "grid=sum"}, 0},
    {"integrated-gradients", {"steps=2", "baseline=noise", "seed=3", "rule=right"}, 0},
    {"smoothgrad", {"n=11", "kind=square", "seed=9", NULL}, 0},
    {"smoothgrad", {"n=10", "kind=var", "sigma=0.4", "reduce=l2"}, 0},
    {"smoothgrad", {"n=2", "sigma=0", "reduce=signed", "grid=mean"}, 0},
    {"occlusion", {"remove=blur", NULL, NULL, NULL}, 0},
    {"occlusion", {"remove=drop", "window=2", NULL, NULL}, 0},
    {"kernelshap", {"n=64", "remove=white", NULL, NULL}, 0},
    {"lime", {"n=24", "remove=black", NULL, NULL}, 0},
};

static const struct {
    const char *metric, *set[2];
} metric_ways[] = {
    {"deletion", {"step=11", "fill=blur"}},
    {"deletion", {"step=row", "fill=white"}},
    {"insertion", {"step=29", "fill=mean"}},
    {"road", {"steps=11", "noise=0.1"}},
    {"sensitivity", {"n=3", "radius=0.3"}},
    {"deletion-patch", {"remove=black", "sigma=1"}},
    {"insertion-patch", {"remove=drop", "sigma=1"}},
};

/* Of a map that is explained again in few samples. */
static void add_metric(numbers *n, const bench *b, const char *metric, const char *const set[2])
{
    static const char *const few_samples[] = {"n=9"};
    vitx_explain_opts how = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
    vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
    vitx_evaluation *e;
    vitx_map *map;
    how.method = "smoothgrad";
    how.target = 1;
    how.set = few_samples;
    how.set_count = 1;
    o.metric = metric;
    o.explain = &how;
    o.set = set;
    o.set_count = 2;
    ck_ok(vitx_explain(&map, b->c, b->images[0], &how));
    ck_ok(vitx_evaluate(&e, b->c, b->images[0], map, &o));
    ck_ok(vitx_evaluation_get_info(&info, e));
    begin(n, info.metric, set[0]);
    for (int i = 0; i < info.value_count; i++)
        add(n, info.values[i]);
    for (int i = 0; i < info.curve_count * info.point_count; i++)
        add(n, info.curves[i]);
    vitx_evaluation_free(e);
    vitx_map_free(map);
}

void whole_variants(numbers *n, const char *folder, const char *device, const char *precision,
                    int which)
{
    enum { WAYS = sizeof many_ways / sizeof many_ways[0] };
    /* More at once than there are places for inputs on the host of a device that makes variants. */
    bench b = open_bench(folder,
                         &(bench_opts){.device = device, .precision = precision, .max_batch = 20});
    for (int i = 0; i < WAYS; i++) {
        vitx_explain_opts o = VITX_EXPLAIN_OPTS_INIT;
        vitx_map *maps[2];
        o.method = many_ways[i].method;
        o.set = many_ways[i].set;
        while (o.set_count < 4 && o.set[o.set_count])
            o.set_count++;
        o.layer = many_ways[i].layer ? many_ways[i].layer : o.layer;
        o.target = which ? which : VITX_AUTO;
        ck_ok(vitx_explain_many(maps, b.c, pictures(&b), 2, &o, 1));
        for (int k = 0; k < 2; k++)
            add_map(n, maps[k], o.set[0]);
    }
    for (size_t i = 0; i < sizeof metric_ways / sizeof metric_ways[0]; i++)
        add_metric(n, &b, metric_ways[i].metric, metric_ways[i].set);
    close_bench(&b);
}

/* All metrics of one map. */
void whole_metrics(numbers *n, const char *folder, const char *device, const char *precision,
                   int which)
{
    (void)which;
    enum { MOST = 32 };
    bench b = open_bench(folder, &(bench_opts){.device = device, .precision = precision});
    vitx_explain_opts how = VITX_EXPLAIN_OPTS_INIT;
    vitx_evaluate_opts opts[MOST];
    vitx_evaluation *e[MOST];
    vitx_map *map;
    const int width = vitx_image_width(b.images[0]), height = vitx_image_height(b.images[0]);
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t *mask = calloc(2 * pixels, 1);
    memset(mask + pixels / 4, 1, pixels / 2);
    memset(mask + pixels, 1, pixels / 4);
    how.method = "gradcam";
    const int m = vitx_metric_count();
    ck_assert_int_le(m, MOST);
    for (int j = 0; j < m; j++) {
        vitx_metric_info info = VITX_METRIC_INFO_INIT;
        ck_ok(vitx_metric_get(&info, j));
        vitx_evaluate_opts_init(&opts[j], sizeof opts[j]);
        opts[j].metric = info.name;
        opts[j].explain = &how;
        opts[j].mask = mask;
        opts[j].other = mask + pixels;
        opts[j].mask_height = height;
        opts[j].mask_width = width;
    }
    ck_ok(vitx_explain(&map, b.c, b.images[0], &how));
    ck_ok(vitx_evaluate_many(e, b.c, b.images[0], map, opts, m));
    for (int j = 0; j < m; j++) {
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        ck_ok(vitx_evaluation_get_info(&info, e[j]));
        begin(n, info.metric, "");
        for (int i = 0; i < info.value_count; i++)
            add(n, info.values[i]);
        for (int i = 0; i < info.curve_count * info.point_count; i++)
            add(n, info.curves[i]);
        vitx_evaluation_free(e[j]);
    }
    vitx_map_free(map);
    free(mask);
    close_bench(&b);
}

void whole_stats(numbers *n, const char *folder, const char *device, const char *precision,
                 int which)
{
    (void)which;
    bench b = open_bench(folder, &(bench_opts){.device = device, .precision = precision});
    vitx_stats *s;
    vitx_stats_info info = VITX_STATS_INFO_INIT;
    ck_ok(vitx_stats_create(&s, b.c));
    ck_ok(vitx_stats_add(s, pictures(&b), 2));
    ck_ok(vitx_stats_get_info(&info, s));
    for (int stat = 0; vitx_stat_name(stat); stat++) {
        begin(n, vitx_stat_name(stat), "");
        for (int i = 0; i < info.layers * info.heads; i++)
            add(n, vitx_stats_mean(s, (vitx_stat)stat)[i]);
    }
    vitx_stats_free(s);
    close_bench(&b);
}
