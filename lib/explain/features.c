/*
 * explain/features.c: the patch tokens behind a block, as colours.
 *
 *     f[p,k] = (x[p] - m) v_k,  m the mean of the tokens, v_k the k-th principal component
 *
 * of this picture's patch tokens x, or of all pictures of a basis (vitx_basis). The first three are
 * red, green and blue: patches that are alike to the model have like colours. With foreground=yes
 * the first component says only which patches are shown, and the next ones are the colours, as
 * Oquab et al. 2023 (DINOv2, section 7.5 and figure 1) show them; there the colours are components
 * of the shown patches alone, here they are those of all patches.
 *
 * A component has no sign of its own: its largest weight is positive here. Which side of the first
 * one is the foreground does not follow from that: it is the side on which the patches at the edge
 * of the picture are not, in the mean.
 */
#include "explain/basis.h"
#include "explain/tokens.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A basis' colours span so many standard deviations on both sides of the mean. */
#define SPAN 2.0

typedef enum foreground { SHOW_ALL, SHOW_YES, SHOW_SWAPPED } foreground;

typedef struct settings {
    int components;
    int raw; /* 1: the tokens as they are */
    foreground foreground;
} settings;

static int check_basis(const vx_job *job, const settings *set)
{
    const vitx_basis *b = job->opts.basis;
    if (set->raw)
        return vx_fail(VITX_INVALID, "features: raw=yes takes no basis");
    if (!b->finished)
        return vx_fail(VITX_INVALID, "features: the basis is not finished");
    if (b->components.width != job->arch->width)
        return vx_fail(VITX_INVALID, "features: the basis is of a width of %d, the model has %d",
                       b->components.width, job->arch->width);
    if (job->opts.layer != VITX_AUTO && job->opts.layer != b->layer)
        return vx_fail(VITX_INVALID, "features: the basis is of layer %d, and %s is asked for",
                       b->layer, job->opts.layer == VITX_ALL ? "every layer" : "another layer");
    if (set->components > b->wanted)
        return vx_fail(VITX_INVALID, "features: components=%d, the basis has %d", set->components,
                       b->wanted);
    return VITX_OK;
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    int shown;
    VX_TRY(vx_setting_int(&set->components, &job->given, "components", 1, VX_COMPONENTS_MOST));
    VX_TRY(vx_setting_choice(&set->raw, &job->given, "raw"));
    VX_TRY(vx_setting_choice(&shown, &job->given, "foreground"));
    set->foreground = (foreground)shown; /* the words stand in the order of foreground */
    const int used = set->components + (set->foreground != SHOW_ALL);
    if (!set->raw && used > job->arch->width)
        return vx_fail(VITX_INVALID, "features: %d components are needed, the model's width is %d",
                       used, job->arch->width);
    if (job->opts.basis) {
        VX_TRY(check_basis(job, set));
        job->layer_first = job->layer_last = job->opts.basis->layer;
    }
    job->map_channels = set->raw ? job->arch->width : set->components;
    for (int l = job->layer_first; l <= job->layer_last; l++)
        vx_plan_need_tokens(need, l, VX_AT_OUTPUT);
    return VITX_OK;
}

/* The components of one picture's patch tokens [P,D]. */
static int find(vx_components *out, const vx_job *job, const float *tokens, int count)
{
    vx_moments moments;
    VX_TRY(vx_moments_create(&moments, job->arch->width, &job->scratch));
    vx_moments_share share = {&moments, tokens, job->arch->grid_height, job->arch->grid_width};
    vx_moments_begin(&share);
    vx_job_parallel(job, vx_moments_add, &share, vx_moments_tasks(&moments));
    const int status = vx_components_find(out, &moments, count, &job->scratch);
    vx_moments_dispose(&moments, &job->scratch);
    return status;
}

/* Projections of all patches: values [P,channels] from component `first` on; a patch that is not
 * shown is marked by a NaN in its first value. */
static int project(float *values, const vx_components *c, const float *tokens, int patches,
                   const settings *set)
{
    double on[VX_COMPONENTS_MOST + 1];
    const int first = set->foreground != SHOW_ALL;
    const double side = (c->edge > 0 ? -1 : 1) * (set->foreground == SHOW_SWAPPED ? -1 : 1);
    for (int p = 0; p < patches; p++, values += set->components) {
        vx_components_project(on, c, tokens + (size_t)p * (size_t)c->width);
        for (int k = 0; k < first + set->components; k++)
            if (!(fabs(on[k]) <= FLT_MAX))
                return vx_fail(VITX_FORMAT, "features: a token is not finite: the model's weights "
                                            "overflow in single precision");
        for (int k = 0; k < set->components; k++)
            values[k] = (float)on[first + k];
        if (first && !(on[0] * side > 0))
            values[0] = NAN;
    }
    return VITX_OK;
}

/* The least and the largest value of a channel over what is shown; false: nothing is. */
static bool find_range(double *low, double *high, const float *values, int patches, int channels,
                       int k)
{
    bool any = false;
    for (int p = 0; p < patches; p++) {
        const double v = (double)values[(size_t)p * (size_t)channels + (size_t)k];
        if (isnan(values[(size_t)p * (size_t)channels]))
            continue;
        *low = any ? fmin(*low, v) : v;
        *high = any ? fmax(*high, v) : v;
        any = true;
    }
    return any;
}

/* With a foreground the values are 0 to 1 in what is shown, and 0 outside. */
static void scale_shown(float *values, const vx_components *c, int patches, int channels,
                        bool by_spread)
{
    /* Channel 0 last: it marks what is not shown. */
    for (int k = channels - 1; k >= 0; k--) {
        double low = -SPAN * c->spread[k + 1], high = -low;
        if (!by_spread && !find_range(&low, &high, values, patches, channels, k))
            low = high = 0;
        for (int p = 0; p < patches; p++) {
            float *v = values + (size_t)p * (size_t)channels;
            const double part = high > low ? ((double)v[k] - low) / (high - low) : 0;
            v[k] = isnan(v[0]) ? k ? v[k] : NAN : (float)fmin(fmax(part, 0), 1);
        }
    }
    for (int p = 0; p < patches; p++, values += channels)
        if (isnan(values[0]))
            memset(values, 0, (size_t)channels * sizeof *values);
}

/* The colours of what a map holds. */
static vx_tint tint_of(const vx_job *job, const vx_components *c)
{
    const settings *set = job->settings;
    vx_tint tint = {.drawn = true, .fixed = job->opts.basis || set->foreground != SHOW_ALL};
    for (int k = 0; k < 3; k++) {
        const int channel = k < set->components ? k : set->components - 1;
        const bool shown = set->foreground != SHOW_ALL;
        tint.high[k] = shown ? 1 : (float)(SPAN * c->spread[channel]);
        tint.low[k] = shown ? 0 : -tint.high[k];
    }
    return tint;
}

/* One layer's plane from its patch tokens. */
static int take(vitx_map *map, float *values, const float *tokens, const vx_job *job)
{
    const settings *set = job->settings;
    const int patches = vx_arch_tokens(job->arch) - job->arch->prefix;
    const size_t width = (size_t)job->arch->width;
    vx_components own = {0};
    const vx_components *c = job->opts.basis ? &job->opts.basis->components : &own;
    if (set->raw) {
        memcpy(values, tokens, (size_t)patches * width * sizeof *values);
        return VITX_OK;
    }
    if (!job->opts.basis)
        VX_TRY(find(&own, job, tokens, set->components + (set->foreground != SHOW_ALL)));
    const int status = project(values, c, tokens, patches, set);
    if (status == VITX_OK && set->foreground != SHOW_ALL)
        scale_shown(values, c, patches, set->components, job->opts.basis != NULL);
    map->tint = tint_of(job, c);
    vx_components_dispose(&own, &job->scratch);
    return status;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const vx_arch *a = job->arch;
    const size_t width = (size_t)a->width, prefix = (size_t)a->prefix;
    const size_t all = (size_t)vx_arch_tokens(a);
    float *tokens, *values = map->values;
    int status = VITX_OK;
    VX_TRY(vx_new(&tokens, &job->scratch, all * width, sizeof *tokens, "tokens"));
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++) {
        status = vx_tokens_download(tokens, job, l, VX_AT_OUTPUT, i);
        if (status == VITX_OK)
            status = take(map, values, tokens + prefix * width, job);
        values += (all - prefix) * (size_t)job->map_channels;
    }
    vx_release(&job->scratch, tokens);
    return status;
}

static const vitx_method_option options[] = {
    {"components", "3", "1 to 64", "how many principal components a map holds"},
    {"foreground", "no", "no|yes|swapped",
     "only patches on one side of the first component, in the colours of the next ones"},
    {"raw", "no", "no|yes", "the tokens as they are, in place of components; npy and json only"},
};

const vx_method vx_method_features = {
    .name = "features",
    .summary = "the principal components of a block's patch tokens, as colours",
    .cost = "1 forward",
    .reference = "Oquab et al. 2023, DINOv2",
    .channels = 3,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
