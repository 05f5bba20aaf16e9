/* measure/followed.h: the number that curves are of. */
#ifndef VX_MEASURE_FOLLOWED_H
#define VX_MEASURE_FOLLOWED_H

#include "measure/metric.h"

/* The target that is the subject's vector, compared by VITX_SCORE_DOT or, for any other score, by
 * the cosine. */
vx_target vx_followed_vector(const vx_subject *subject, vitx_score score);

/* Reads what the first of the m options that has a score asks for, into subject->asked and versus.
 * The vectors are known (subject->similarity). VITX_INVALID or VITX_UNSUPPORTED if the model has no
 * such score. */
int vx_followed_read(vx_subject *subject, const vitx_evaluate_opts *opts, int m);

/* What that is for the picture that has just been run: subject->follows. */
int vx_followed_resolve(vx_subject *subject);

/* Whether curves have something to follow: of a model without classes a vector or a score that was
 * asked for. */
bool vx_followed_known(const vx_subject *subject);

#endif
