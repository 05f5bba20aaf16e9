/* explain/score.c: see score.h. */
#include "explain/score.h"

#include <math.h>
#include <string.h>

#include "base/status.h"

int vx_score_check(vitx_score score, const vx_arch *a)
{
    if (score < VITX_SCORE_AUTO || score > VITX_SCORE_DOT)
        return vx_fail(VITX_INVALID, "score = %d is no vitx_score", (int)score);
    if (score == VITX_SCORE_PROBABILITY && a->units)
        return vx_fail(VITX_UNSUPPORTED,
                       "score probability: the model's outputs are an embedding, which has no "
                       "probabilities; score logit explains one of its units");
    if (score == VITX_SCORE_PROBABILITY && a->outputs == VITX_OUTPUTS_NONE)
        return vx_fail(VITX_INVALID,
                       "score probability: the model's outputs are plain numbers, which have no "
                       "probabilities; score logit explains one of them");
    if (score == VITX_SCORE_PROBABILITY && a->classes == 1)
        return vx_fail(VITX_INVALID,
                       "score probability: the model has one output, and no other that it could "
                       "gain on; score logit explains it");
    if (score == VITX_SCORE_DIFFERENCE && a->classes == 1)
        return vx_fail(VITX_INVALID,
                       "score difference: the model has one output, and no other to compare it "
                       "with; score logit explains it");
    return VITX_OK;
}

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
    vx_target t = {.score = score, .target = target, .versus = VITX_AUTO};
    if (t.target == VITX_AUTO)
        t.target = top_class(logits, classes, -1);
    if (score == VITX_SCORE_DIFFERENCE) {
        t.versus = versus == VITX_AUTO ? top_class(logits, classes, t.target) : versus;
        if (t.versus < 0 || t.versus == t.target)
            return vx_fail(VITX_INVALID,
                           "the difference of output %d and itself: versus has to be another",
                           t.target);
    }
    *out = t;
    return VITX_OK;
}

static double dot(const float *a, const float *b, int count)
{
    double sum = 0;
    for (int k = 0; k < count; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

/* What a cosine counts. */
static double times(vx_target t)
{
    return t.length > 0 ? t.length : 1;
}

double vx_target_value(vx_target t, const float *logits, const float *probabilities)
{
    if (t.score == VITX_SCORE_PROBABILITY)
        return probabilities[t.target];
    if (t.score == VITX_SCORE_DIFFERENCE)
        return (double)logits[t.target] - logits[t.versus];
    if (t.score == VITX_SCORE_DOT)
        return dot(t.vector, logits, t.count);
    if (t.score == VITX_SCORE_COSINE) {
        const double length = sqrt(dot(logits, logits, t.count));
        return length > 0 ? times(t) * dot(t.vector, logits, t.count) / length : 0;
    }
    return logits[t.target];
}

/* The gradient of a cosine is as long as the sine over |z|. Of a picture and itself the sine is
 * some 1e-6. */
static bool is_aligned(const float *z, const float *u, int count)
{
    const double along = dot(z, u, count), lengths = dot(z, z, count) * dot(u, u, count);
    return lengths > 0 && 1 - along * along / lengths <= 1e-10;
}

bool vx_target_is_flat(vx_target t, const float *logits, const float *probabilities)
{
    if (t.score == VITX_SCORE_PROBABILITY)
        return 1 - (double)probabilities[t.target] <= 1e-6;
    return t.score == VITX_SCORE_COSINE && is_aligned(logits, t.vector, t.count);
}

/* d cos(z, u) / d z = (u - cos z / |z|) / |z| of a u of length 1, as often as the cosine counts; 0
 * where z is. */
static void cosine_cotangent(float *row, vx_target t, const float *z)
{
    const double length = sqrt(dot(z, z, t.count)), along = dot(t.vector, z, t.count);
    for (int k = 0; k < t.count && length > 0; k++)
        row[k] = (float)(times(t) * (t.vector[k] - along / length * (z[k] / length)) / length);
}

static void probability_cotangent(float *row, vx_target t, const float *probabilities, int classes)
{
    const double p = probabilities[t.target];
    if (t.outputs == VITX_OUTPUTS_SIGMOID) { /* d p_t / d z_t = p_t (1 - p_t) */
        row[t.target] = (float)(p * (1 - p));
        return;
    }
    /* d p_t / d z_k = p_t ((k == t) - p_k) */
    for (int k = 0; k < classes; k++)
        row[k] = (float)(p * ((k == t.target) - (double)probabilities[k]));
}

void vx_target_cotangent(float *row, vx_target t, const float *logits, const float *probabilities,
                         int classes)
{
    memset(row, 0, (size_t)classes * sizeof *row);
    if (t.score == VITX_SCORE_PROBABILITY) {
        probability_cotangent(row, t, probabilities, classes);
        return;
    }
    if (t.score == VITX_SCORE_COSINE) {
        cosine_cotangent(row, t, logits);
        return;
    }
    if (t.score == VITX_SCORE_DOT) {
        memcpy(row, t.vector, (size_t)classes * sizeof *row);
        return;
    }
    row[t.target] = 1;
    if (t.score == VITX_SCORE_DIFFERENCE)
        row[t.versus] = -1;
}
