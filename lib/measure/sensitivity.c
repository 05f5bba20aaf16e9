/*
 * measure/sensitivity.c: how much a map changes when the picture hardly does (Yeh et al. 2019).
 *
 *     sensitivity = max over s = 1..n of ||E(x + u_s) - E(x)||_F / ||E(x)||_F
 *
 * u uniform in [-radius, radius] for every value of the normalised input, E the raw map in its own
 * size, for the class and score of the map that is measured. Divided by 1 where E(x) is 0
 * throughout.
 *
 * As captum @ faac087, metrics/_core/sensitivity.py, in its defaults (radius 0.02, 10 samples,
 * Frobenius norm). Quantus draws 200 samples at 0.2 of the input's range. A method that draws
 * random numbers keeps its seed, so what is measured is the picture's change alone.
 */
#include <limits.h>
#include <math.h>

#include "base/random.h"
#include "measure/metric.h"

#define AT_ONCE 16 /* maps held */

typedef struct settings {
    int n, seed;
    double radius;
} settings;

static int prepare(vx_trial *trial)
{
    settings *set = trial->settings;
    VX_TRY(vx_setting_int(&set->n, &trial->given, "n", 1, 100000));
    VX_TRY(vx_setting_number(&set->radius, &trial->given, "radius", 0, 100));
    VX_TRY(vx_setting_int(&set->seed, &trial->given, "seed", 0, INT_MAX));
    for (int at = 0; at < set->n; at += AT_ONCE)
        VX_TRY(vx_trial_explains(trial, set->n - at < AT_ONCE ? set->n - at : AT_ONCE));
    return VITX_OK;
}

typedef struct noise {
    const vx_subject *s;
    const settings *set;
    int first; /* sample */
} noise;

static void fill(const void *payload, int v, float *input, int worker)
{
    (void)worker;
    const noise *u = payload;
    const size_t count = u->s->input_floats;
    for (size_t i = 0; i < count; i++) {
        const double r = vx_random_uniform((uint64_t)u->set->seed, (uint64_t)(u->first + v), i);
        input[i] = (float)(u->s->input[i] + u->set->radius * (2 * r - 1));
    }
}

/* The picture goes to the place of the last input, is made the others of, and then the last. */
static void queue(const void *payload, vx_device *dev, vx_far *to, int first, int n)
{
    const noise *u = payload;
    const size_t count = u->s->input_floats;
    vx_far *const last = to + (size_t)(n - 1) * count;
    vx_add_noise a = {.y = to,
                      .x = last,
                      .kind = VX_NOISE_UNIFORM,
                      .scale = u->set->radius,
                      .seed = (uint64_t)u->set->seed,
                      .first = (uint64_t)(u->first + first),
                      .n = n - 1,
                      .count = (int64_t)count};
    dev->cls->upload(dev, last, u->s->input, count * sizeof *last);
    dev->ops.add_noise(dev, &a);
    a.y = last;
    a.first += (uint64_t)(n - 1);
    a.n = 1;
    dev->ops.add_noise(dev, &a);
}

static double distance(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)a[i] - (b ? b[i] : 0);
        sum += d * d;
    }
    return sqrt(sum);
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vx_subject *s = trial->subject;
    const settings *set = trial->settings;
    const size_t count = (size_t)s->height * (size_t)s->width;
    const double norm = distance(s->plane, NULL, count);
    vitx_map *maps[AT_ONCE];
    out->values[0] = out->values[1] = 0;
    for (int at = 0; at < set->n; at += AT_ONCE) {
        const int n = set->n - at < AT_ONCE ? set->n - at : AT_ONCE;
        const noise u = {s, set, at};
        VX_TRY(vx_trial_explain(maps, trial, &(vx_inputs){fill, &u, queue}, n));
        for (int i = 0; i < n; i++) {
            const double change =
                distance(maps[i]->values, s->plane, count) / (norm > 0 ? norm : 1);
            out->values[0] = fmax(out->values[0], change);
            out->values[1] += change / set->n;
            vitx_map_free(maps[i]);
        }
    }
    return VITX_OK;
}

static const char *const value_names[] = {"sensitivity", "mean"};
static const vitx_method_option options[] = {
    {"n", "10", "1 to 100000", "number of noisy pictures that are explained"},
    {"radius", "0.02", "0 to 100", "largest change of a value of the normalised input"},
    {"seed", "0", "0 to 2147483647", "seed of the noise"},
};

const vx_metric vx_metric_sensitivity = {
    .name = "sensitivity",
    .summary = "the most that a map changes if weak noise is added to the picture",
    .cost = "n = 10 explanations",
    .reference = "Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations",
    .needs_explain = true,
    .value_names = value_names,
    .value_count = 2,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
