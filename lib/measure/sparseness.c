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

/* Host memory of a run. */
typedef struct room {
    float *magnitudes, *pooled; /* |map|, and its means over patches */
    uint32_t *order;            /* of the values that count, and as much again as space */
} room;

static int measure(vitx_evaluation *out, room *r, const vx_subject *s, bool on_map)
{
    const vitx_hooks *scratch = &s->scratch;
    const size_t all = (size_t)s->height * (size_t)s->width, patches = vx_subject_patches(s);
    const size_t n = on_map ? all : patches;
    VX_TRY(vx_new(&r->magnitudes, scratch, all, sizeof *r->magnitudes, "magnitudes"));
    VX_TRY(vx_new(&r->pooled, scratch, patches, sizeof *r->pooled, "the map on patches"));
    VX_TRY(vx_new(&r->order, scratch, 2 * n, sizeof *r->order, "an order"));
    for (size_t i = 0; i < all; i++)
        r->magnitudes[i] = fabsf(s->plane[i]);
    vx_subject positive = *s;
    positive.plane = r->magnitudes;
    vx_plane_on_patches(r->pooled, &positive);
    const float *values = on_map ? r->magnitudes : r->pooled;
    out->values[0] = vx_gini(values, n, r->order, r->order + n);
    out->values[1] = entropy(values, n);
    return VITX_OK;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vitx_hooks *scratch = &trial->subject->scratch;
    const settings *set = trial->settings;
    room r = {0};
    const int status = measure(out, &r, trial->subject, set->on_map);
    vx_release(scratch, r.magnitudes);
    vx_release(scratch, r.pooled);
    vx_release(scratch, r.order);
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
