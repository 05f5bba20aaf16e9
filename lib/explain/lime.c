/*
 * explain/lime.c: a linear model of the score near the picture (Ribeiro, Singh & Guestrin 2016),
 * with the patches as its segments.
 *
 *     z_0 = 1, z_i in {0,1}^P with bits of probability 1/2; y_i = f(x with the patches of z_i
 *     alone) d_i = 1 - z_i . 1 / (|z_i| |1|) = 1 - sqrt(sum z_i / P);  w_i = sqrt(exp(-d_i^2 /
 *     kernel^2)) map = beta of ridge regression: min sum w_i (y_i - b0 - z_i . beta)^2 + alpha
 *     |beta|^2
 *
 * As marcotcr/lime @ fd7eb2e (lime_image.py, lime_base.py) with its defaults, except that there
 * segments are superpixels, which show their mean colour where they are off; that a Ridge of alpha
 * 0.01 first picks the features to keep, which are all; and that its random_seed seeds the
 * segmentation alone.
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "explain/patches.h"
#include "explain/regress.h"

typedef struct settings {
    vx_removal removal;
    int n, seed;
    double alpha, kernel;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    (void)need;
    VX_TRY(vx_setting_removal(&set->removal, &job->given));
    VX_TRY(vx_setting_int(&set->n, &job->given, "n", 2, VX_MOST_SAMPLES));
    VX_TRY(vx_setting_int(&set->seed, &job->given, "seed", 0, INT32_MAX));
    VX_TRY(vx_setting_number(&set->alpha, &job->given, "alpha", 1e-6, 1e6));
    VX_TRY(vx_setting_number(&set->kernel, &job->given, "kernel", 1e-3, 1e6));
    vx_patches_prepare(job, set->n);
    return VITX_OK;
}

typedef struct samples {
    const settings *set;
    vx_regress regress;
} samples;

static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    const samples *s = payload;
    const uint64_t seed = (uint64_t)s->set->seed;
    for (int p = 0; p < s->regress.n; p++)
        kept[p] = v == 0 || vx_random_uniform(seed, (uint64_t)v, (uint64_t)p) < 0.5;
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    samples *s = payload;
    (void)v;
    const double share = (double)vx_patches_count(kept, s->regress.n) / s->regress.n;
    const double distance = (1 - sqrt(share)) / s->set->kernel;
    vx_regress_add(&s->regress, kept, sqrt(exp(-distance * distance)), score);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vitx_hooks scratch = job->scratch;
    samples s = {.set = set};
    double *beta = NULL;
    int status = vx_regress_create(&s.regress, (int)map->count, &scratch);
    if (status == VITX_OK)
        status = vx_new(&beta, &scratch, map->count, sizeof *beta, "coefficients");
    if (status == VITX_OK)
        status = vx_patches_run_job(job, i, map, &set->removal, set->n, write_kept, take_score, &s);
    if (status == VITX_OK)
        status = vx_regress_ridge(&s.regress, set->alpha, beta);
    for (size_t p = 0; status == VITX_OK && p < map->count; p++)
        map->values[p] = (float)beta[p];
    vx_release(&scratch, beta);
    vx_regress_dispose(&s.regress);
    return status;
}

static const vitx_method_option options[] = {
    {"n", "1000", "2 to 10000000", "number of samples; the first is the picture itself"},
    {"alpha", "1", "0.000001 to 1000000", "penalty of large coefficients"},
    {"kernel", "0.25", "0.001 to 1000000", "how far from the picture samples still count"},
    VX_OPTION_SEED,
    VX_OPTION_REMOVE,
    VX_OPTION_BLUR,
};

const vx_method vx_method_lime = {
    .name = "lime",
    .summary = "coefficients of a linear model of the score, patches on or off",
    .cost = "n forwards: 1000",
    .reference = "Ribeiro, Singh & Guestrin 2016, Why Should I Trust You?",
    .uses_target = true,
    .is_signed = true,
    .of_score = true,
    .no_layers = true,
    .no_heads = true,
    .score = VITX_SCORE_PROBABILITY,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
