/*
 * explain/score.h: the number that a method explains, made of a picture's logits (or embedding).
 */
#ifndef VX_EXPLAIN_SCORE_H
#define VX_EXPLAIN_SCORE_H

#include <vitx/explain.h>

#include "model/arch.h"

typedef struct vx_target {
    vitx_score score;     /* never VITX_SCORE_AUTO */
    int target, versus;   /* classes; versus counts with VITX_SCORE_DIFFERENCE */
    const float *vector;  /* of VITX_SCORE_COSINE, its length 1, and VITX_SCORE_DOT; else NULL */
    int count;            /* of the vector */
    vitx_outputs outputs; /* what a probability is; SIGMOID, or any other for a softmax */
    double length;        /* a cosine counts so many times; 0: once */
} vx_target;

/* Whether a model can have that score. VITX_UNSUPPORTED: a probability of an embedding.
 * VITX_INVALID: one of plain numbers or of the only output, a difference of the only output, a
 * number that is no score. */
int vx_score_check(vitx_score score, const vx_arch *a);
/* Classes as asked for (VITX_AUTO: found in the logits [classes]). versus == target is
 * VITX_INVALID, as is a difference of one class. Not for the scores of vectors. */
int vx_target_resolve(vx_target *out, vitx_score score, int target, int versus, const float *logits,
                      int classes);
/* The score of an answer, logits and probabilities [classes] as the model's outputs have them. The
 * cosine of an answer of zeros is 0. */
double vx_target_value(vx_target t, const float *logits, const float *probabilities);
/* Whether that score cannot but stay where it is, as far as single precision tells: a probability
 * of 1, a cosine of 1 or -1. Its gradient is what rounding left. */
bool vx_target_is_flat(vx_target t, const float *logits, const float *probabilities);
/* d score / d logits [classes] into row. */
void vx_target_cotangent(float *row, vx_target t, const float *logits, const float *probabilities,
                         int classes);

#endif
