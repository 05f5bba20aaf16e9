/*
 * measure/insertion.c: how soon the answer appears when the picture is uncovered in the map's
 * order.
 *
 * As CausalMetric("ins") of eclique/RISE @ d91ea00, evaluation.py: the start is the normalised
 * input through an 11 x 11 Gaussian of sigma 5 (its gkern(11, 5), 0 beyond the edge), each step
 * shows `step` pixels more of the picture, the AUC is that of curve.h over the n + 1 points with n
 * = ceil(pixels / step). RISE leaves equal values in the order of an unstable sort; here they have
 * one. Its notebook steps by 224 pixels of 224 x 224, its benchmark by 1792. torch-cam and xplique
 * start from 0 instead: fill=mean.
 */
#include "measure/curve.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    return vx_pixel_walk_run(trial, out, true);
}

static const char *const curves[] = {"probability"};
static const vitx_method_option options[] = {
    VX_OPTION_STEP,
    VX_OPTION_SUBSTRATE("blur", "what the picture is uncovered from; blur: 11 x 11, sigma 5"),
};

const vx_metric vx_metric_insertion = {
    .name = "insertion",
    .summary = "how soon the answer appears if pixels are shown in the map's order",
    .cost = "pixels / step forwards: 225 for 224 x 224 pixels",
    .reference = "Petsiuk et al. 2018, RISE",
    .higher_is_better = true,
    .curve_names = curves,
    .curve_count = 1,
    .x_name = "share of the pixels shown",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(vx_pixel_walk),
    .prepare = vx_pixel_walk_prepare,
    .run = run,
};
