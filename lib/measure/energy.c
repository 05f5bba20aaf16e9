/*
 * measure/energy.c: the share of the map that lies in the mask (Wang et al. 2020, Score-CAM, the
 * energy-based pointing game): the sum of max(map, 0) inside over that of all that the model saw; 0
 * where nothing is above 0.
 *
 * A map that knows nothing has the mask's share of the picture, which is `area`.
 */
#include <math.h>

#include "measure/located.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    const int status = vx_located_create(&l, trial);
    if (status == VITX_OK) {
        double inside = 0, all = 0;
        for (size_t i = 0; i < l.count; i++) {
            const double v = fmaxf(l.values[i], 0);
            all += v;
            inside += l.inside[i] ? v : 0;
        }
        out->values[0] = all > 0 ? inside / all : 0;
        out->values[1] = (double)l.inside_count / (double)l.count;
    }
    vx_located_dispose(&l, trial);
    return status;
}

static const char *const value_names[] = {"energy", "area"};

const vx_metric vx_metric_energy = {
    .name = "energy",
    .summary = "the share of the map above 0 that lies in the mask",
    .cost = "nothing",
    .reference = "Wang et al. 2020, Score-CAM",
    .higher_is_better = true,
    .needs_mask = true,
    .only_map = true,
    .value_names = value_names,
    .value_count = 2,
    .run = run,
};
