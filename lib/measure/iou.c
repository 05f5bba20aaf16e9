/*
 * measure/iou.c: how well the map, cut at the best of all thresholds, is the mask.
 *
 *     iou = max over t of |{map >= t} and mask| / |{map >= t} or mask|
 *
 * The threshold is chosen knowing the mask, so this is what the map could do at best, not what a
 * segmentation by it does. `threshold` is the value of the map where that is, the largest one of
 * equals; `area` the share of the seen picture at or above it.
 */
#include "measure/located.h"
#include "measure/rank.h"

static void best_threshold(vitx_evaluation *out, const vx_located *l)
{
    size_t hits = 0;
    for (size_t first = 0; first < l->count;) {
        const size_t end = vx_order_ties(l->order, l->values, l->count, first);
        const double threshold = l->values[l->order[first]];
        for (; first < end; first++)
            hits += l->inside[l->order[first]];
        const double iou = (double)hits / (double)(end + l->inside_count - hits);
        if (iou > out->values[0]) { /* once at least: the mask is not empty */
            out->values[0] = iou;
            out->values[1] = threshold;
            out->values[2] = (double)end / (double)l->count;
        }
    }
}

static int measure(vx_located *l, const vx_trial *trial, vitx_evaluation *out)
{
    VX_TRY(vx_located_create(l, trial));
    VX_TRY(vx_located_order(l, trial));
    best_threshold(out, l);
    return VITX_OK;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    const int status = measure(&l, trial, out);
    vx_located_dispose(&l, trial);
    return status;
}

static const char *const value_names[] = {"iou", "threshold", "area"};

const vx_metric vx_metric_iou = {
    .name = "iou",
    .summary = "intersection over union of the mask and the map cut at the best threshold",
    .cost = "nothing",
    .reference = "Zhou et al. 2016 evaluate maps so; Choe et al. 2020 on the threshold",
    .higher_is_better = true,
    .needs_mask = true,
    .only_map = true,
    .value_names = value_names,
    .value_count = 3,
    .run = run,
};
