/*
 * measure/insertion_patch.c: insertion by whole patches, one after the other, the order that of the
 * map's mean over each patch.
 *
 * The curve is exact: there is a point for every patch, and a patch is what a Vision Transformer
 * takes in as one, so that no half-covered patch is ever shown to it. With remove=drop the patches
 * that are not shown yet are no tokens at all, and nothing is made up in their place.
 */
#include "measure/curve.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    return vx_patch_walk_run(trial, out, true);
}

static const char *const curves[] = {"probability"};
static const vitx_method_option options[] = {VX_OPTION_REMOVE, VX_OPTION_BLUR};

const vx_metric vx_metric_insertion_patch = {
    .name = "insertion-patch",
    .summary = "insertion of whole patches, one at a time",
    .cost = "1 forward for each patch",
    .reference = "Petsiuk et al. 2018, on the grid of a Vision Transformer",
    .higher_is_better = true,
    .curve_names = curves,
    .curve_count = 1,
    .x_name = "share of the patches shown",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(vx_patch_walk),
    .prepare = vx_patch_walk_prepare,
    .run = run,
};
