/* measure/deletion_patch.c: deletion by whole patches, one after the other; see
 * insertion_patch.c. */
#include "measure/curve.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    return vx_patch_walk_run(trial, out, false);
}

static const char *const curves[] = {"probability"};
static const vitx_method_option options[] = {VX_OPTION_REMOVE, VX_OPTION_BLUR};

const vx_metric vx_metric_deletion_patch = {
    .name = "deletion-patch",
    .summary = "deletion of whole patches, one at a time",
    .cost = "1 forward for each patch",
    .reference = "Petsiuk et al. 2018, on the grid of a Vision Transformer",
    .curve_names = curves,
    .curve_count = 1,
    .x_name = "share of the patches covered",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(vx_patch_walk),
    .prepare = vx_patch_walk_prepare,
    .run = run,
};
