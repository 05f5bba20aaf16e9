/* explain/score.c: see score.h. */
#include "explain/score.h"

#include <string.h>

#include "base/status.h"

/* The class of the largest logit, `but` left out; of equal ones the first. */
static int top_class(const float *logits, int classes, int but)
{
    int best = -1;
    for (int k = 0; k < classes; k++)
        if (k != but && (best < 0 || logits[k] > logits[best]))
            best = k;
    return best;
}

int vx_target_resolve(vx_target *out, vitx_score score, int target, int versus, const float *logits,
                      int classes)
{
    vx_target t = {score, target, VITX_AUTO};
    if (t.target == VITX_AUTO)
        t.target = top_class(logits, classes, -1);
    if (score == VITX_SCORE_DIFFERENCE) {
        t.versus = versus == VITX_AUTO ? top_class(logits, classes, t.target) : versus;
        if (t.versus < 0 || t.versus == t.target)
            return vx_fail(VITX_INVALID,
                           "the difference of class %d and itself: versus has to be another class",
                           t.target);
    }
    *out = t;
    return VITX_OK;
}

double vx_target_value(vx_target t, const float *logits, const float *probabilities)
{
    if (t.score == VITX_SCORE_PROBABILITY)
        return probabilities[t.target];
    if (t.score == VITX_SCORE_DIFFERENCE)
        return (double)logits[t.target] - logits[t.versus];
    return logits[t.target];
}

void vx_target_seed(float *row, vx_target t, const float *probabilities, int classes)
{
    memset(row, 0, (size_t)classes * sizeof *row);
    if (t.score == VITX_SCORE_PROBABILITY) {
        /* d p_t / d z_k = p_t ((k == t) - p_k) */
        const double p = probabilities[t.target];
        for (int k = 0; k < classes; k++)
            row[k] = (float)(p * ((k == t.target) - (double)probabilities[k]));
        return;
    }
    row[t.target] = 1;
    if (t.score == VITX_SCORE_DIFFERENCE)
        row[t.versus] = -1;
}
