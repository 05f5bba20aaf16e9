/*
 * explain/direction.h: scores that compare the outputs with a vector, in place of a target: one
 * that the caller gives, or what the model answers for another picture.
 */
#ifndef VX_EXPLAIN_DIRECTION_H
#define VX_EXPLAIN_DIRECTION_H

#include "explain/method.h"

/* Checks the options and sets job->score and job->vector, which is filled already where it was
 * given. */
int vx_direction_prepare(vx_job *job);
/* How many pictures are to be run for vectors; running them, and filling in the rest. */
int vx_direction_count(const vx_job *jobs, int m);
int vx_direction_look(vx_job *jobs, int m);

vitx_explained vx_direction_explains(const vx_job *job);

#endif
