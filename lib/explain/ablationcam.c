/*
 * explain/ablationcam.c: Ablation-CAM (Desai & Ramaswamy 2020, eq. 3 and 4).
 *
 *     w_c = (s - s_c) / s;   map_p = sum_c w_c a[p,c]
 *
 * with a the tokens of the patches, s the picture's score and s_c its score with channel c of all
 * tokens (the class token's, too) set to 0 (ablation.h runs them).
 *
 * jacobgil/pytorch-grad-cam @ 084273b (ablation_layer.py, AblationLayerVit) has 0 only where the
 * least of all values is exactly 0, else that least value - 1e7, which drives the norms behind it
 * into saturation; compat=pytorch-grad-cam does that. (In its batches the i-th channel gets -i 1e7
 * more.)
 */
#include <math.h>

#include "explain/ablation.h"
#include "explain/tokens.h"

typedef struct settings {
    vx_at at;
    bool compat;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    int compat;
    VX_TRY(vx_setting_choice(&compat, &job->given, "compat"));
    set->compat = compat == 1;
    VX_TRY(vx_tokens_prepare(&set->at, job, need, false));
    vx_ablation_prepare(job, need, set->at);
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

/* weights[D] of the channels; tokens as above. */
static int weigh(double *weights, const vx_ablation *a, int i, vitx_map *map, const float *tokens)
{
    const double whole = map->info.value;
    if (whole == 0)
        return vx_fail(VITX_INVALID,
                       "ablationcam: the score is 0, and its weights are shares of it");
    vx_map_saw(map, whole);
    VX_TRY(vx_ablation_scores(weights, a, i, replacement(a->job, tokens), map));
    for (int c = 0; c < a->job->arch->width; c++)
        weights[c] = (whole - weights[c]) / whole;
    return VITX_OK;
}

static int run_layers(const vx_job *job, int i, vitx_map *map, float *tokens, double *weights)
{
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const int patches = a->grid_height * a->grid_width;
    float *out = map->values;
    for (int l = job->layer_first; l <= job->layer_last; l++, out += patches) {
        VX_TRY(vx_tokens_download(tokens, job, l, set->at, i));
        VX_TRY(weigh(weights, &(vx_ablation){job, set->at, l}, i, map, tokens));
        vx_tokens_sum(out, tokens + (size_t)a->prefix * (size_t)a->width, weights, patches,
                      a->width);
        map->info.forwards += a->width;
    }
    return VITX_OK;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    const size_t t = (size_t)vx_arch_tokens(job->arch), d = (size_t)job->arch->width;
    const vitx_hooks scratch = job->scratch;
    float *tokens;
    double *weights = NULL;
    VX_TRY(vx_new(&tokens, &scratch, t * d, sizeof *tokens, "ablationcam"));
    int status = vx_new(&weights, &scratch, d, sizeof *weights, "ablationcam");
    if (status == VITX_OK)
        status = run_layers(job, i, map, tokens, weights);
    vx_release(&scratch, weights);
    vx_release(&scratch, tokens);
    return status;
}

static const vitx_method_option options[] = {
    VX_OPTION_AT,
    {"compat", "none", "none|pytorch-grad-cam",
     "pytorch-grad-cam: sets a channel to minimum - 1e7, not to 0"},
};

const vx_method vx_method_ablationcam = {
    .name = "ablationcam",
    .summary = "channels weighted by what the score loses without each",
    .cost = "2 forwards; 1 per channel of the width if more than the class token is run",
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
