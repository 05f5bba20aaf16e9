/*
 * explain/kernelshap.c: Shapley values of the patches by weighted least squares (Lundberg & Lee
 * 2017, theorem 2).
 *
 *     phi = argmin sum over sets z of w(|z|) (f(z) - f(none) - z . phi)^2, with sum phi = f(all) -
 *     f(none)
 *     w(k) = (P-1) / (C(P,k) k (P-k)): all sets of k patches together weigh (P-1) / (k (P-k))
 *
 * Sets come in pairs, one and its complement. As in shap @ df974a1 (explainers/_kernel.py) sizes k
 * and P-k are gone through in full from the outside in, as long as their share of the samples is
 * enough for that (k = 1 here always); what is left of the samples is drawn from the other sizes in
 * proportion to their weight and shares it. With 2^P - 2 samples or more, all are taken and phi is
 * exact. The constraint is eliminated, so the map sums to f(all) - f(none) up to rounding. Two
 * things are otherwise than in shap: a set that is drawn twice is run twice, where shap counts it
 * twice and draws another one; and no coefficients are set to 0, where shap keeps ten by default
 * (l1_reg).
 */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "explain/patches.h"
#include "explain/regress.h"

typedef struct settings {
    vx_removal removal;
    int n, seed; /* n: sets beside the empty one and the picture */
    /* How they are made up. Sizes k = 1..sizes stand for k and P-k; of an even P the last is its
     * own complement, so only the first `paired` are two. */
    int sizes, paired;
    int full;       /* sizes gone through */
    int64_t listed; /* sets of those */
} settings;

/* ------------------------------------------------------------------ which sets ------------- */

/* What all sets of size k, and of P-k where that is another size, weigh together. */
static double weight_of(const settings *set, int patches, int k)
{
    return (k <= set->paired ? 2.0 : 1.0) * (patches - 1) / ((double)k * (patches - k));
}

/* How many those are; infinity where there are very many. */
static double sets_of(const settings *set, int patches, int k)
{
    double count = k <= set->paired ? 2 : 1;
    for (int i = 1; i <= k; i++)
        count *= (double)(patches - k + i) / i;
    return round(count);
}

/* Sizes that are gone through in full: the first in any case, since it alone tells the patches
 * apart. */
static void divide(settings *set, int patches)
{
    double left = set->n, share = 0;
    set->sizes = patches / 2;
    set->paired = (patches - 1) / 2;
    for (int k = 1; k <= set->sizes; k++)
        share += weight_of(set, patches, k);
    for (int k = 1; k <= set->sizes; k++) {
        const double sets = sets_of(set, patches, k), weight = weight_of(set, patches, k);
        if (k > 1 && left * weight / share < sets * (1 - 1e-8))
            break;
        left -= sets;
        share -= weight;
        set->full = k;
        set->listed += (int64_t)sets;
    }
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    const int patches = job->arch->grid_height * job->arch->grid_width;
    const double all = patches <= 30 ? ldexp(1, patches) - 2 : HUGE_VAL;
    (void)need;
    VX_TRY(vx_setting_removal(&set->removal, &job->given));
    VX_TRY(vx_setting_int(&set->seed, &job->given, "seed", 0, INT32_MAX));
    if (vx_setting_is_auto(&job->given, "n"))
        set->n = 2 * patches + 2048;
    else
        VX_TRY(vx_setting_int(&set->n, &job->given, "n", 1, VX_MOST_SAMPLES));
    if (set->n < 2 * patches && job->grid_open)
        set->n = 2 * patches; /* the picture's grid may be smaller */
    set->n = set->n < all ? set->n : (int)all;
    if (set->n < all && set->n < 2 * patches)
        return vx_fail(VITX_INVALID,
                       "kernelshap: n=%d: at least %d samples, two for each patch, are expected",
                       set->n, 2 * patches);
    divide(set, patches);
    vx_patches_prepare(job, (int64_t)set->n + 1);
    return VITX_OK;
}

/* ------------------------------------------------------------------ one after the other ---- */

typedef struct samples {
    const settings *set;
    int patches;
    int *members;    /* [P] the first `size` are the set at hand */
    int size;        /* 0: none yet */
    bool complement; /* of the set at hand comes next */
    uint64_t drawn;  /* sets so far */
    double value, none;
    vx_regress regress;
} samples;

/* The next set in lexical order; behind the last of a size the first of the next. */
static void list_next(samples *s)
{
    int at = s->size - 1; /* the last member that can move up */
    while (at >= 0 && s->members[at] == s->patches - s->size + at)
        at--;
    if (at >= 0)
        s->members[at]++;
    else {
        s->size++;
        s->members[at = 0] = 0;
    }
    for (int m = at + 1; m < s->size; m++)
        s->members[m] = s->members[m - 1] + 1;
}

/* A set of a size that was not listed, the size with a probability in proportion to its weight. */
static void draw(samples *s)
{
    const settings *set = s->set;
    const uint64_t seed = (uint64_t)set->seed, stream = s->drawn++;
    double left = 0;
    for (int k = set->full + 1; k <= set->sizes; k++)
        left += 1 / ((double)k * (s->patches - k));
    left *= vx_random_uniform(seed, stream, 0);
    for (s->size = set->full + 1; s->size < set->sizes; s->size++)
        if ((left -= 1 / ((double)s->size * (s->patches - s->size))) < 0)
            break;
    for (int p = 0; p < s->patches; p++)
        s->members[p] = p;
    for (int m = 0; m < s->size; m++) {
        const double u = vx_random_uniform(seed, stream, (uint64_t)m + 1);
        const int other = m + (int)(u * (s->patches - m)), swap = s->members[m];
        s->members[m] = s->members[other];
        s->members[other] = swap;
    }
}

/* Variant 0 is the empty set. */
static void write_kept(void *payload, int64_t v, unsigned char *kept)
{
    samples *s = payload;
    if (v > 0 && !s->complement) {
        if (v <= s->set->listed)
            list_next(s);
        else
            draw(s);
    }
    memset(kept, s->complement, (size_t)s->patches);
    for (int m = 0; m < s->size; m++)
        kept[s->members[m]] = !s->complement;
    s->complement = v > 0 && !s->complement && s->size <= s->set->paired;
}

static void take_score(void *payload, int64_t v, const unsigned char *kept, double score)
{
    samples *s = payload;
    const settings *set = s->set;
    if (v == 0) {
        s->none = score;
        return;
    }
    double weight = 0;
    if (v <= set->listed) {
        const int n = vx_patches_count(kept, s->patches),
                  k = n < s->patches - n ? n : s->patches - n;
        weight = weight_of(set, s->patches, k) / sets_of(set, s->patches, k);
    } else {
        for (int k = set->full + 1; k <= set->sizes; k++)
            weight += weight_of(set, s->patches, k);
        weight /= (double)(set->n - set->listed);
    }
    vx_regress_add(&s->regress, kept, weight, score - s->none);
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const settings *set = job->settings;
    const vitx_hooks scratch = job->scratch;
    samples s = {.set = set, .patches = (int)map->count, .value = map->info.value};
    double *phi = NULL;
    vx_map_saw(map, s.value);
    int status = vx_regress_create(&s.regress, s.patches, &scratch);
    if (status == VITX_OK)
        status = vx_new(&s.members, &scratch, map->count, sizeof *s.members, "a set of patches");
    if (status == VITX_OK)
        status = vx_new(&phi, &scratch, map->count, sizeof *phi, "Shapley values");
    if (status == VITX_OK)
        status = vx_patches_run_job(job, i, map, &set->removal, (int64_t)set->n + 1, write_kept,
                                    take_score, &s);
    if (status == VITX_OK)
        status = vx_regress_with_sum(&s.regress, s.value - s.none, phi);
    map->info.base_value = s.none;
    map->info.completeness_error = s.none - s.value;
    for (size_t p = 0; status == VITX_OK && p < map->count; p++) {
        map->values[p] = (float)phi[p];
        map->info.completeness_error += (double)map->values[p];
    }
    vx_release(&scratch, phi);
    vx_release(&scratch, s.members);
    vx_regress_dispose(&s.regress);
    return status;
}

static const vitx_method_option options[] = {
    {"n", "auto", "auto, or 2 x patches to 10000000",
     "number of sets of patches; auto: 2 x patches + 2048"},
    VX_OPTION_SEED,
    VX_OPTION_REMOVE,
    VX_OPTION_BLUR,
};

const vx_method vx_method_kernelshap = {
    .name = "kernelshap",
    .summary = "Shapley values of the patches; their sum is the score minus that of no patches",
    .cost = "n + 1 forwards: 2441 for 196 patches",
    .reference = "Lundberg & Lee 2017, A Unified Approach to Interpreting Model Predictions",
    .uses_target = true,
    .is_signed = true,
    .of_score = true,
    .no_layers = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
