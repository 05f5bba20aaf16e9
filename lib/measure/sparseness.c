/*
 * measure/sparseness.c: on how little of the picture the map rests (Chalasani et al. 2020).
 *
 *     sparseness = the Gini coefficient of |map|: 0 where all values are alike, to 1 - 1/n where
 *     one has all
 *     entropy    = -sum p ln p / ln n, p = |map| / sum |map|: 1: all are alike, 0: one has all
 *
 * A map of zeros has sparseness 0 and entropy 1. on=patches takes the mean of |map| over each patch
 * first: only so can maps on pixels be compared with maps on the grid, and it is the default.
 * on=map takes the map as it is (Quantus' Sparseness, on attributions of the input's size).
 */
#include <math.h>

#include "measure/plane.h"
#include "measure/rank.h"

typedef struct settings {
    int on_map;
} settings;

static int prepare(vx_trial *trial)
{
    settings *set = trial->settings;
    return vx_setting_choice(&set->on_map, &trial->given, "on");
}

static double entropy(const float *values, size_t n)
{
    double sum = 0, h = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    for (size_t i = 0; i < n; i++)
        h -= values[i] > 0 ? values[i] / sum * log(values[i] / sum) : 0;
    return n == 1 ? 0 : sum > 0 ? h / log((double)n) : 1;
}

/* |map|, and a subject like the first whose plane it is. */
static void take_magnitudes(vx_subject *out, float *magnitudes, const vx_subject *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        magnitudes[i] = fabsf(s->plane[i]);
    *out = *s;
    out->plane = magnitudes;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vx_subject *s = trial->subject;
    const settings *set = trial->settings;
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    const size_t all = (size_t)s->height * (size_t)s->width, patches = vx_subject_patches(s);
    const size_t n = set->on_map ? all : patches;
    float *magnitudes = NULL, *pooled = NULL;
    uint32_t *order = NULL;
    int status = vx_new(&magnitudes, &scratch, all, sizeof *magnitudes, "magnitudes");
    if (status == VITX_OK)
        status = vx_new(&pooled, &scratch, patches, sizeof *pooled, "the map on patches");
    if (status == VITX_OK)
        status = vx_new(&order, &scratch, 2 * n, sizeof *order, "an order");
    if (status == VITX_OK) {
        vx_subject positive;
        take_magnitudes(&positive, magnitudes, s, all);
        vx_plane_on_patches(pooled, &positive);
        const float *values = set->on_map ? magnitudes : pooled;
        out->values[0] = vx_gini(values, n, order, order + n);
        out->values[1] = entropy(values, n);
    }
    vx_release(&scratch, magnitudes);
    vx_release(&scratch, pooled);
    vx_release(&scratch, order);
    return status;
}

static const char *const value_names[] = {"sparseness", "entropy"};
static const vitx_method_option options[] = {
    {"on", "patches", "patches|map", "which values: means over patches, or the map's own values"},
};

const vx_metric vx_metric_sparseness = {
    .name = "sparseness",
    .summary = "how few patches the map is concentrated on",
    .cost = "nothing",
    .reference = "Chalasani et al. 2020; Gini: Hurley & Rickard 2009",
    .higher_is_better = true,
    .only_map = true,
    .value_names = value_names,
    .value_count = 2,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
