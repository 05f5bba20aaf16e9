/*
 * measure/follows.c: whether the map follows the class: of two objects, is it higher on the one
 * that was asked for (mask) than on the other one (other)?
 *
 *     share   = a / (a + b), a, b: means of max(map, 0) over the two masks; 0.5 if both are 0
 *     follows = 1 where share is above 0.5, 0.5 where it is 0.5, else 0
 *
 * Means, not sums: an object is not found for being large. A map that is the same for every class
 * has 0.5 over a picture's two objects, whatever it shows.
 */
#include <math.h>

#include "measure/located.h"

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    const int status = vx_located_create(&l, trial);
    if (status == VITX_OK) {
        double asked = 0, other = 0;
        for (size_t i = 0; i < l.count; i++) {
            const double v = fmaxf(l.values[i], 0);
            asked += l.inside[i] ? v : 0;
            other += l.beside[i] ? v : 0;
        }
        asked /= (double)l.inside_count;
        other /= (double)l.beside_count;
        out->values[0] = asked > other ? 1 : asked == other ? 0.5 : 0;
        out->values[1] = asked + other > 0 ? asked / (asked + other) : 0.5;
    }
    vx_located_dispose(&l, trial);
    return status;
}

static const char *const value_names[] = {"follows", "share"};

const vx_metric vx_metric_follows = {
    .name = "follows",
    .summary = "whether the map is higher on the object asked for than on the other: 1 or 0",
    .cost = "nothing",
    .reference = "after Selvaraju et al. 2017, Grad-CAM, which asks people",
    .higher_is_better = true,
    .needs_mask = true,
    .needs_other = true,
    .only_map = true,
    .value_names = value_names,
    .value_count = 2,
    .run = run,
};
