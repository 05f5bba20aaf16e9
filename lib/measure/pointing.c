/*
 * measure/pointing.c: the pointing game (Zhang et al. 2018): 1 where the map's maximum lies in the
 * mask, else 0.
 *
 * Where several pixels share the maximum, one in the mask is enough, as in Quantus @ 85bc29d. Zhang
 * et al. also count what is within 15 pixels of the mask: make the mask larger for that.
 */
#include <math.h>

#include "measure/located.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    const int status = vx_located_create(&l, trial);
    if (status == VITX_OK) {
        float max = l.values[0];
        for (size_t i = 1; i < l.count; i++)
            max = fmaxf(max, l.values[i]);
        for (size_t i = 0; i < l.count; i++)
            if (l.inside[i] && l.values[i] == max)
                out->values[0] = 1;
    }
    vx_located_dispose(&l, trial);
    return status;
}

const vx_metric vx_metric_pointing = {
    .name = "pointing",
    .summary = "whether the map's maximum lies in the mask: 1 or 0",
    .cost = "nothing",
    .reference = "Zhang et al. 2018, Top-Down Neural Attention by Excitation Backprop",
    .higher_is_better = true,
    .needs_mask = true,
    .only_map = true,
    .run = run,
};
