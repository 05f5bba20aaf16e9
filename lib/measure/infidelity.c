/*
 * measure/infidelity.c: whether what the map says a part is worth is what the score loses with it
 * (Yeh et al. 2019).
 *
 *     infidelity = mean over s = 1..n of (b a.I_s - (f(x) - f(x_s)))^2
 *
 * f is the score that the map explains. The perturbation takes patches away: each with probability
 * `p`, by itself, and shows the baseline in its place (remove=). I_s is 1 for these patches and 0
 * for the others, and a is the map summed over the pixels of each patch, so that a.I_s is what the
 * map says those patches add to the score: for a method whose values are parts of the score
 * (integrated gradients, occlusion, SHAP) that is so as it stands. In captum's terms (faac087,
 * metrics/_core/infidelity.py) this is a perturbation function with multiply_by_inputs, where I =
 * (x - x_s) / (x - baseline).
 *
 * normalize=yes chooses the scale b that serves the map best, b = sum (a.I)(f - f_s) / sum (a.I)^2,
 * as captum's option of that name (0 where a.I is always 0). It is the default here, as captum's is
 * not, since most maps come in units of their own; with normalize=no b is 1.
 *
 * Where the score does not change beyond rounding, there is no difference to be right about: both
 * are NaN.
 *
 * share is the infidelity over the mean of (f(x) - f(x_s))^2, which is what a map of zeros has:
 * with normalize=yes between 0 and 1, and comparable from one picture to another.
 */
#include <limits.h>
#include <math.h>

#include "base/random.h"
#include "measure/patches.h"
#include "measure/plane.h"

typedef struct settings {
    vx_removal removal;
    int n, seed, normalize;
    double p;
} settings;

static int prepare(vx_trial *trial)
{
    settings *set = trial->settings;
    VX_TRY(vx_setting_int(&set->n, &trial->given, "n", 1, VX_MOST_SAMPLES));
    VX_TRY(vx_setting_number(&set->p, &trial->given, "p", 0, 1));
    VX_TRY(vx_setting_choice(&set->normalize, &trial->given, "normalize"));
    VX_TRY(vx_setting_int(&set->seed, &trial->given, "seed", 0, INT_MAX));
    VX_TRY(vx_trial_need_explained(trial));
    return vx_trial_patches(trial, &set->removal, set->n);
}

typedef struct sums {
    const settings *set;
    const float *a; /* [patches] */
    double unit;    /* that a counts in; floats may have no room for the product */
    size_t patches;
    double value;      /* f(x) */
    double aa, ad, dd; /* of a.I and the differences d */
} sums;

static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    const sums *m = payload;
    for (size_t i = 0; i < m->patches; i++)
        kept[i] = vx_random_uniform((uint64_t)m->set->seed, (uint64_t)v, i) >= m->set->p;
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    sums *m = payload;
    const double d = m->value - score;
    double removed = 0;
    (void)v;
    for (size_t i = 0; i < m->patches; i++)
        removed += kept[i] ? 0 : m->unit * m->a[i];
    m->aa += removed * removed;
    m->ad += removed * d;
    m->dd += d * d;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    const vx_subject *s = trial->subject;
    const settings *set = trial->settings;
    const vx_arch *a = s->arch;
    const vitx_hooks *scratch = &s->scratch;
    const size_t n = vx_subject_patches(s);
    float *values;
    VX_TRY(vx_new(&values, scratch, n, sizeof *values, "the map on patches"));
    vx_plane_on_patches(values, s);
    const bool grid = s->height == a->grid_height && s->width == a->grid_width;
    sums m = {.set = set,
              .a = values,
              .unit = grid ? 1 : a->patch_height * a->patch_width,
              .patches = n,
              .value = s->value};
    const int status =
        vx_trial_run_patches(trial, out, false, &set->removal, set->n, write_kept, take_score, &m);
    const double b = !set->normalize ? 1 : m.aa > 0 ? m.ad / m.aa : 0;
    const double rounding = VX_ROUNDING * m.value;
    out->values[0] = fmax(0, b * b * m.aa - 2 * b * m.ad + m.dd) / set->n;
    out->values[1] = m.dd > 0 ? out->values[0] * set->n / m.dd : 0;
    if (set->p > 0 && m.dd <= set->n * rounding * rounding)
        out->values[0] = out->values[1] = NAN; /* whatever is taken away: nothing is lost */
    vx_release(scratch, values);
    return status;
}

static const char *const value_names[] = {"infidelity", "share"};
static const vitx_method_option options[] = {
    {"n", "10", "1 to 10000000", "number of sets of patches that are taken away"},
    {"p", "0.5", "0 to 1", "probability that a patch is taken away"},
    {"normalize", "yes", "no|yes", "whether the map gets the scale that fits best"},
    VX_OPTION_REMOVE,
    VX_OPTION_BLUR,
    VX_OPTION_SEED,
};

const vx_metric vx_metric_infidelity = {
    .name = "infidelity",
    .summary =
        "how far the map's sum over a set of patches is from what the score loses without the set",
    .cost = "n = 10 forwards",
    .reference = "Yeh et al. 2019, On the (In)fidelity and Sensitivity of Explanations",
    .value_names = value_names,
    .value_count = 2,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
