/*
 * explain/ablationcam.c: Ablation-CAM (Desai & Ramaswamy 2020, eq. 3 and 4).
 *
 *     w_c = (s - s_c) / s;   map_p = sum_c w_c a[p,c]
 *
 * with a the tokens of the patches, s the picture's score and s_c its score with channel c of all tokens
 * (the class token's, too) set to 0. Only what comes behind those tokens is run again. Behind norm1 of
 * the last block of a model whose head reads the class token that is one row a channel
 * (engine/channels.h); elsewhere whole sequences run from the block on.
 *
 * jacobgil/pytorch-grad-cam @ 084273b (ablation_layer.py, AblationLayerVit) has 0 only where the least
 * of all values is exactly 0, else that least value - 1e7, which drives the norms behind it into
 * saturation; compat=pytorch-grad-cam does that. (In its batches the i-th channel gets -i 1e7 more.)
 */
#include <math.h>

#include "engine/channels.h"
#include "engine/variants.h"
#include "explain/tokens.h"

typedef struct settings {
    vx_at at;
    bool compat;
} settings;

/* Whether what lies behind those tokens can be run for the class token alone. */
static bool class_only(const vx_job *job, int layer)
{
    return vx_plan_class_only(NULL, job->arch, layer);
}

/* The block that is run first. */
static int first_block(const vx_job *job, int layer)
{
    const settings *set = job->settings;
    return set->at == VX_AT_NORM1 ? layer : layer + 1;
}

static int at_once(const vx_job *job, int layer)
{
    return class_only(job, layer) ? vx_channels_at_once(job->context)
                                  : vx_variants_at_once(job->context, false);
}

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    int compat;
    VX_TRY(vx_setting_choice(&compat, &job->given, "compat"));
    set->compat = compat == 1;
    VX_TRY(vx_tokens_prepare(&set->at, job, need, false));
    for (int l = job->layer_first; l <= job->layer_last; l++) {
        const int runs = (job->arch->width - 1) / at_once(job, l) + 1;
        job->ticks += (int64_t)runs * (job->arch->depth - first_block(job, l));
        if (class_only(job, l))
            job->channels = true;
        else
            job->variants = at_once(job, l);
        if (set->at == VX_AT_NORM1)
            vx_plan_need_tokens(need, l, VX_AT_INPUT);
    }
    return VITX_OK;
}

/* One picture and block at work. */
typedef struct ablation {
    const vx_job *job;
    int layer;
    const float *tokens, *input; /* [T,D] on the device; input counts at norm1 */
    float value;
    int *channels; /* [at once] */
    int *rows;     /* [at once, T]: 0..T-1 over and over */
} ablation;

/* Channels first..first+n-1, whole sequences. */
static int run_sequences(const ablation *a, int n)
{
    const settings *set = a->job->settings;
    vitx_context *c = a->job->context;
    const vx_activations *act = &c->variants.act;
    const int t = vx_arch_tokens(a->job->arch), d = a->job->arch->width;
    const bool at_norm1 = set->at == VX_AT_NORM1;
    c->dev->ops.replace_channels(c->dev, &(vx_replace_channels){.y = at_norm1 ? act->y : act->x,
                                                                .x = a->tokens,
                                                                .channels = a->channels,
                                                                .value = a->value,
                                                                .count = n,
                                                                .tokens = t,
                                                                .width = d});
    if (at_norm1)
        c->dev->ops.gather_rows(
            c->dev,
            &(vx_gather_rows){
                .y = act->x, .a = a->input, .b = NULL, .from = a->rows, .rows = n * t, .width = d});
    return vx_variants_run_blocks(c, &(vx_pass){.act = act,
                                                .batch = n,
                                                .first = first_block(a->job, a->layer),
                                                .at_norm1 = at_norm1});
}

/* The same where the class token alone is run. */
static int run_class_tokens(const ablation *a, int n)
{
    const settings *set = a->job->settings;
    vitx_context *c = a->job->context;
    if (set->at == VX_AT_OUTPUT)
        return vx_channels_run_output(c, a->tokens, a->channels, a->value, n);
    return vx_channels_run(c, (vx_channels_of){a->input, a->tokens}, a->channels, a->value, n);
}

/* weights[D] of the channels. */
static int weigh(double *weights, const ablation *a, vitx_map *map)
{
    const settings *set = a->job->settings;
    vitx_context *c = a->job->context;
    const vx_target target = vx_map_target(map);
    const double whole = map->info.value;
    const int width = a->job->arch->width, step = at_once(a->job, a->layer);
    const bool alone = class_only(a->job, a->layer);
    const size_t classes = (size_t)a->job->arch->classes;
    const vx_host_side *host = alone ? &c->channels.act.host : &c->variants.act.host;
    if (whole == 0)
        return vx_fail(VITX_INVALID,
                       "ablationcam: the score is 0, and its weights are shares of it");
    vx_map_saw(map, whole);
    if (alone && set->at == VX_AT_NORM1)
        vx_channels_begin(c, (vx_channels_of){a->input, a->tokens});
    for (int first = 0; first < width; first += step) {
        const int n = width - first < step ? width - first : step;
        for (int i = 0; i < n; i++)
            a->channels[i] = first + i;
        VX_TRY(alone ? run_class_tokens(a, n) : run_sequences(a, n));
        for (int i = 0; i < n; i++) {
            const size_t row = (size_t)i * classes;
            const double score = vx_target_value(target, host->logits + row, host->probabilities + row);
            vx_map_saw(map, score);
            weights[first + i] = (whole - score) / whole;
        }
    }
    return VITX_OK;
}

/* What takes the place of a channel, of tokens [T,D] on the host. */
static float replacement(const vx_job *job, const float *tokens)
{
    const settings *set = job->settings;
    const size_t count = (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
    float least = tokens[0];
    for (size_t i = 1; i < count; i++)
        least = fminf(least, tokens[i]);
    return set->compat && least != 0 ? least - 1e7f : 0;
}

static int run_layers(ablation *a, int i, vitx_map *map, float *tokens, double *weights)
{
    const vx_job *job = a->job;
    const settings *set = job->settings;
    float *out = map->values;
    for (a->layer = job->layer_first; a->layer <= job->layer_last; a->layer++) {
        VX_TRY(vx_tokens_download(tokens, job, a->layer, set->at, i));
        a->tokens = vx_job_tokens(job, a->layer, set->at, i);
        if (set->at == VX_AT_NORM1)
            a->input = vx_job_tokens(job, a->layer, VX_AT_INPUT, i);
        a->value = replacement(job, tokens);
        VX_TRY(weigh(weights, a, map));
        vx_tokens_sum(out, tokens, weights, job->arch);
        out += job->arch->grid_height * job->arch->grid_width;
        map->info.forwards += job->arch->width;
    }
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const vx_arch *arch = job->arch;
    const size_t t = (size_t)vx_arch_tokens(arch), d = (size_t)arch->width;
    const size_t rows = (size_t)job->variants * t;
    const vitx_hooks scratch = vx_scratch_hooks(&job->context->scratch);
    ablation a = {.job = job};
    float *tokens;
    double *weights = NULL;
    VX_TRY(vx_new(&tokens, &scratch, t * d, sizeof *tokens, "ablationcam"));
    int status = vx_new(&weights, &scratch, d, sizeof *weights, "ablationcam");
    if (status == VITX_OK)
        status = vx_new(&a.channels, &scratch, d + rows, sizeof *a.channels, "ablationcam");
    if (status == VITX_OK) {
        a.rows = a.channels + d;
        for (size_t r = 0; r < rows; r++)
            a.rows[r] = (int)(r % t);
        status = run_layers(&a, i, map, tokens, weights);
    }
    vx_release(&scratch, a.channels);
    vx_release(&scratch, weights);
    vx_release(&scratch, tokens);
    return status;
}

static const vitx_method_option options[] = {
    VX_OPTION_AT,
    {"compat", "none", "none|pytorch-grad-cam", "what that code sets a channel to: minimum - 1e7"},
};

const vx_method vx_method_ablationcam = {
    .name = "ablationcam",
    .summary = "channels weighted by what the score loses without them",
    .cost = "2 forwards; 1 for each channel of the width where more than the class token is run",
    .reference = "Desai & Ramaswamy 2020, Ablation-CAM",
    .uses_target = true,
    .is_signed = true,
    .no_heads = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
