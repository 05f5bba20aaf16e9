/* measure/trial.h: the parts of a call of vitx_evaluate_many. Metrics need metric.h alone. */
#ifndef VX_MEASURE_TRIAL_H
#define VX_MEASURE_TRIAL_H

#include "measure/metric.h"

/* Checks the map against the picture and the context. map and image are NULL if only options are
 * checked. VITX_INVALID. */
int vx_subject_describe(vx_subject *s, vitx_context *c, const vitx_image *image,
                        const vitx_map *map);
/* The vector that explain has in the first of the m options that have one: subject->similarity.
 * After a failure, too, the subject is to be released. */
int vx_subject_compare(vx_subject *s, const vitx_evaluate_opts *opts, int m);
/* Runs the picture, with which all metrics begin. subject->input has memory for it. */
int vx_subject_run(vx_subject *s);
/* Frees the vectors and the input. */
void vx_subject_release(vx_subject *s);
/* Whether the map explains the similarity to a vector or to a picture. */
bool vx_subject_of_vector(const vitx_map *map);

/* From options to a trial, as far as it goes without running anything. trial->settings is the
 * context's scratch, also after a failure. */
int vx_trial_prepare(vx_trial *t, const vx_subject *s, const vitx_evaluate_opts *given);
/* From a trial to its numbers. */
int vx_trial_run(vitx_evaluation **out, const vx_trial *t);
/* The evaluation of a map of nothing, all NaN: any number would be a mark of the metric. */
int vx_trial_refrain(vitx_evaluation **out, const vx_trial *t);

/* An evaluation with room for the trial's numbers, to be freed; they are 0. */
int vx_evaluation_create(vitx_evaluation **out, const vx_trial *t);

#endif
