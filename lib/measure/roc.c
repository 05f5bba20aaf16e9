/*
 * measure/roc.c: the map as a detector of the mask: the area under its ROC curve, which is the
 * chance that a pixel in the mask has a higher value than one outside (equal values count half).
 *
 * (Mann and Whitney's U over the number of pairs).
 * 0.5 for a map that knows nothing. VITX_INVALID where the mask holds all that the model saw.
 */
#include "measure/located.h"
#include "measure/rank.h"

static double area(const vx_located *l)
{
    const double p = (double)l->inside_count, q = (double)(l->count - l->inside_count);
    double wins = 0, above = 0; /* pixels inside that were seen so far */
    for (size_t first = 0; first < l->count;) {
        const size_t end = vx_order_ties(l->order, l->values, l->count, first);
        const double all = (double)(end - first);
        double inside = 0;
        for (; first < end; first++)
            inside += l->inside[l->order[first]];
        wins += (all - inside) * (above + inside / 2);
        above += inside;
    }
    return wins / (p * q);
}

static int measure(vx_located *l, const vx_trial *trial, vitx_evaluation *out)
{
    VX_TRY(vx_located_create(l, trial));
    if (l->inside_count == l->count)
        return vx_fail(VITX_INVALID,
                       "metric roc: the mask holds all that the model sees: nothing is outside");
    VX_TRY(vx_located_order(l, trial));
    out->values[0] = area(l);
    return VITX_OK;
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    const int status = measure(&l, trial, out);
    vx_located_dispose(&l, trial);
    return status;
}

const vx_metric vx_metric_roc = {
    .name = "roc",
    .summary = "the chance that a pixel in the mask has a higher value than a pixel outside",
    .cost = "nothing",
    .reference = "Fawcett 2006, An introduction to ROC analysis",
    .higher_is_better = true,
    .needs_mask = true,
    .only_map = true,
    .run = run,
};
