/*
 * explain/jobs.h: the m jobs of one call, one for each method: what they share, what they reserve
 * and what they cost.
 *
 * Jobs are prepared for one size of the input. If the size changes, they are released and prepared
 * again.
 */
#ifndef VX_EXPLAIN_JOBS_H
#define VX_EXPLAIN_JOBS_H

#include "explain/method.h"

/* From options to jobs and to what the passes must record: c->need and c->variants.need. `jobs` is
 * zeroed or released; after a failure, too, it has to be released. Jobs that explain the same
 * number share one gradient. */
int vx_jobs_prepare(vx_job *jobs, int m, vitx_context *c, const vitx_explain_opts *opts);
/* Gives back what vx_jobs_prepare took; the jobs may then be prepared again. */
void vx_jobs_release(vx_job *jobs, int m, const vitx_hooks *hooks);
/* The same, and gives back the array itself. */
void vx_jobs_free(vx_job *jobs, int m, const vitx_hooks *hooks);

/* All that follows is for jobs that are prepared. */

/* Memory for variants and channels. */
int vx_jobs_reserve(vitx_context *c, const vx_job *jobs, int m);
/* The activations' bytes with that memory. VITX_NOMEM if they cannot be counted. */
int vx_jobs_bytes(size_t *out, vitx_context *c, const vx_job *jobs, int m);
/* Blocks of the passes that n pictures of one size go through. */
int64_t vx_jobs_ticks(const vx_job *jobs, int m, const vitx_context *c, int n);
/* Passes for one picture, each with as many pictures as its method runs at once. */
int64_t vx_jobs_forwards(const vx_job *jobs, int m, const vitx_context *c);

#endif
