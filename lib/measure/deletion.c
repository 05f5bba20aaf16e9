/*
 * measure/deletion.c: how soon the answer goes when the picture is covered in the map's order.
 *
 * As CausalMetric("del") of eclique/RISE @ d91ea00, evaluation.py: each step sets `step` pixels
 * more to 0 in normalised space, which is the mean colour; else as insertion.c. hila-chefer's
 * perturbation test covers with black before normalising: fill=black.
 */
#include "measure/curve.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    return vx_pixel_walk_run(trial, out, false);
}

static const char *const curves[] = {"probability"};
static const vitx_method_option options[] = {
    VX_OPTION_STEP,
    VX_OPTION_SUBSTRATE("mean", "what the picture is covered with; blur: 11 x 11, sigma 5"),
};

const vx_metric vx_metric_deletion = {
    .name = "deletion",
    .summary = "how soon the answer goes if pixels are covered in the map's order",
    .cost = "pixels / step forwards: 225 for 224 x 224 pixels",
    .reference = "Petsiuk et al. 2018, RISE",
    .curve_names = curves,
    .curve_count = 1,
    .x_name = "share of the pixels covered",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(vx_pixel_walk),
    .prepare = vx_pixel_walk_prepare,
    .run = run,
};
