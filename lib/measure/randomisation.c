/*
 * measure/randomisation.c: whether a map depends on what the model has learned (Adebayo et al.
 * 2018, model parameter randomisation, cascading from the top).
 *
 * The head's weights are replaced by random ones, then block after block from the last to the first
 * as well, and at the end the patch embedding (model/randomise.h). After each step the picture is
 * explained again, for the same class; the curve is Spearman's correlation of |map| with the
 * original's, equal values sharing their mean rank, 0 where a map is constant. At stage 0 nothing
 * is random. The metric is the mean over the other stages; `final` is the last one, where the whole
 * model is random.
 *
 * Quantus' MPRT @ 85bc29d in its defaults (top_down, cumulative, Spearman of |map|), whose
 * re-initialisation is PyTorch's reset_parameters as well. A map that passes goes to 0; one that
 * stays near 1 shows the picture, not the model. The weights that are changed are a copy: the model
 * and its other contexts stay as they are.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "measure/random_weights.h"
#include "measure/rank.h"

typedef struct settings {
    int seed;
} settings;

static int prepare(vx_trial *trial)
{
    settings *set = trial->settings;
    VX_TRY(vx_setting_int(&set->seed, &trial->given, "seed", 0, INT_MAX));
    trial->points = vx_random_weights_parts(trial->subject->arch) + 1;
    for (int stage = 0; stage < trial->points; stage++)
        VX_TRY(vx_trial_explains(trial, 1));
    return VITX_OK;
}

static void fill(const void *payload, int v, float *input, int worker)
{
    const vx_subject *s = payload;
    (void)v;
    (void)worker;
    memcpy(input, s->input, s->input_floats * sizeof *input);
}

/* Host memory of [n] each. */
typedef struct room {
    float *magnitudes;
    double *original, *now; /* ranks */
    uint32_t *order, *space;
} room;

static void rank(double *ranks, const room *r, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->magnitudes[i] = fabsf(values[i]);
    vx_ranks(ranks, r->magnitudes, n, r->order, r->space);
}

static int open_room(room *r, size_t n, const vitx_hooks *hooks)
{
    VX_TRY(vx_new(&r->magnitudes, hooks, n, sizeof *r->magnitudes, "magnitudes"));
    VX_TRY(vx_new(&r->original, hooks, n, sizeof *r->original, "ranks"));
    VX_TRY(vx_new(&r->now, hooks, n, sizeof *r->now, "ranks"));
    VX_TRY(vx_new(&r->order, hooks, n, sizeof *r->order, "an order"));
    return vx_new(&r->space, hooks, n, sizeof *r->space, "an order");
}

static void dispose(const room *r, const vitx_hooks *hooks)
{
    vx_release(hooks, r->magnitudes);
    vx_release(hooks, r->original);
    vx_release(hooks, r->now);
    vx_release(hooks, r->order);
    vx_release(hooks, r->space);
}

static int run_stages(const vx_trial *trial, vitx_evaluation *out, const vx_random_weights *weights,
                      room *r)
{
    const vx_subject *s = trial->subject;
    const settings *set = trial->settings;
    const size_t n = (size_t)s->height * (size_t)s->width;
    VX_TRY(open_room(r, n, &s->scratch));
    rank(r->original, r, s->plane, n);
    for (int stage = 0; stage < trial->points; stage++) {
        vitx_map *map;
        if (stage > 0)
            VX_TRY(vx_random_weights_part(weights, stage - 1, set->seed));
        VX_TRY(vx_trial_explain(&map, trial, &(vx_inputs){fill, s, NULL}, 1));
        rank(r->now, r, map->values, n);
        vitx_map_free(map);
        out->x[stage] = stage;
        out->curves[stage] = vx_correlation(r->original, r->now, n);
        if (stage > 0)
            out->values[0] += out->curves[stage] / (trial->points - 1);
    }
    out->values[1] = out->curves[trial->points - 1];
    return VITX_OK;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vx_subject *s = trial->subject;
    room r = {0};
    vx_random_weights weights;
    VX_TRY(vx_random_weights_begin(&weights, s));
    const int status = run_stages(trial, out, &weights, &r);
    dispose(&r, &s->scratch);
    vx_random_weights_end(&weights);
    return status;
}

static const char *const value_names[] = {"randomisation", "final"};
static const char *const curve_names[] = {"correlation"};
static const vitx_method_option options[] = {
    {"seed", "0", "0 to 2147483647", "seed of the random weights"},
};

const vx_metric vx_metric_randomisation = {
    .name = "randomisation",
    .summary = "how similar the map stays while the weights become random, from the head down",
    .cost = "depth + 3 explanations, and a copy of the weights",
    .reference = "Adebayo et al. 2018, Sanity Checks for Saliency Maps",
    .needs_explain = true,
    .value_names = value_names,
    .value_count = 2,
    .curve_names = curve_names,
    .curve_count = 1,
    .x_name = "parts with random weights",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
