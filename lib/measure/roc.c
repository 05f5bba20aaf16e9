/*
 * measure/roc.c: the map as a detector of the mask: the area under its ROC curve, which is the
 * chance that a pixel in the mask has a higher value than one outside (equal values count half).
 *
 * (Mann and Whitney's U over the number of pairs).
 * 0.5 for a map that knows nothing. VITX_INVALID where the mask holds all that the model saw.
 */
#include "measure/located.h"
#include "measure/rank.h"

/* Of l, whose map is in that order. */
static double area(const vx_located *l, const uint32_t *order)
{
    const double p = (double)l->inside_count, q = (double)(l->count - l->inside_count);
    double wins = 0, above = 0; /* pixels inside that were seen so far */
    for (size_t first = 0; first < l->count;) {
        const size_t end = vx_order_ties(order, l->values, l->count, first);
        const double all = (double)(end - first);
        double inside = 0;
        for (; first < end; first++)
            inside += l->inside[order[first]];
        wins += (all - inside) * (above + inside / 2);
        above += inside;
    }
    return wins / (p * q);
}

static int run(const vx_trial *trial, vitx_evaluation *out)
{
    vx_located l;
    uint32_t *order = NULL;
    const vitx_hooks scratch = vx_scratch_hooks(&trial->subject->context->scratch);
    int status = vx_located_create(&l, trial);
    if (status == VITX_OK && l.inside_count == l.count)
        status = vx_fail(VITX_INVALID,
                         "metric roc: the mask holds all that the model sees: nothing is outside");
    if (status == VITX_OK)
        status = vx_new(&order, &scratch, 2 * l.count, sizeof *order, "an order");
    if (status == VITX_OK) {
        vx_order(order, l.values, l.count, order + l.count);
        out->values[0] = area(&l, order);
    }
    vx_release(&scratch, order);
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
