/* explain/direction.c: see direction.h. */
#include "explain/direction.h"

#include <math.h>
#include <string.h>

#include "engine/run.h"
#include "engine/size.h"

/* What the options may not say together. */
static int check(const vx_job *job)
{
    const vitx_explain_opts *o = &job->opts;
    const bool of_vector = o->score == VITX_SCORE_COSINE || o->score == VITX_SCORE_DOT;
    if (!o->vector && !o->like) {
        if (of_vector)
            return vx_fail(VITX_INVALID, "score %s: neither a vector nor a picture is given",
                           o->score == VITX_SCORE_DOT ? "dot" : "cosine");
        return VITX_OK;
    }
    if (o->vector && o->like)
        return vx_fail(VITX_INVALID,
                       "both a vector and a picture are given: one of them is explained");
    if (o->target != VITX_AUTO || o->versus != VITX_AUTO)
        return vx_fail(VITX_INVALID,
                       "a target is given with a vector or a picture, which stand in place of one");
    if (o->score != VITX_SCORE_AUTO && !of_vector)
        return vx_fail(VITX_INVALID,
                       "a vector or a picture is compared by score cosine or dot, not another");
    return VITX_OK;
}

/* vector[K] of the job: `from`, its length 1 for the cosine. */
static int set_vector(vx_job *job, const float *from)
{
    const int count = job->arch->classes;
    double square = 0;
    for (int k = 0; k < count; k++) {
        if (!isfinite(from[k]))
            return vx_fail(VITX_INVALID, "number %d of the vector is %s", k,
                           isnan(from[k]) ? "a NaN" : "an infinity");
        square += (double)from[k] * from[k];
    }
    if (!(square > 0))
        return vx_fail(VITX_INVALID, "the vector is 0 and has no direction");
    const double scale = job->score == VITX_SCORE_COSINE ? 1 / sqrt(square) : 1;
    for (int k = 0; k < count; k++)
        job->vector[k] = (float)(from[k] * scale);
    return VITX_OK;
}

int vx_direction_prepare(vx_job *job)
{
    const vitx_explain_opts *o = &job->opts;
    const vitx_hooks scratch = vx_scratch_hooks(&job->context->scratch);
    const int count = job->arch->classes;
    VX_TRY(check(job));
    if (!o->vector && !o->like)
        return VITX_OK;
    if (o->vector && o->vector_count != count)
        return vx_fail(VITX_INVALID, "a vector of %d numbers: the model's outputs are %d",
                       o->vector_count, count);
    job->score = o->score == VITX_SCORE_DOT ? VITX_SCORE_DOT : VITX_SCORE_COSINE;
    VX_TRY(vx_new(&job->vector, &scratch, (size_t)count, sizeof *job->vector, "a vector"));
    return o->vector ? set_vector(job, o->vector) : VITX_OK;
}

/* The first job that looks at the same picture; `j` where there is none before. */
static int first_like(const vx_job *jobs, int j)
{
    int first = 0;
    while (first < j && jobs[first].opts.like != jobs[j].opts.like)
        first++;
    return first;
}

int vx_direction_count(const vx_job *jobs, int m)
{
    int count = 0;
    for (int j = 0; j < m; j++)
        count += jobs[j].opts.like && first_like(jobs, j) == j;
    return count;
}

/* Each picture once, for all the jobs that look at it. */
int vx_direction_look(vx_job *jobs, int m)
{
    for (int j = 0; j < m; j++) {
        vitx_context *c = jobs[j].context;
        const vitx_image *like = jobs[j].opts.like;
        if (!like || first_like(jobs, j) != j)
            continue;
        VX_TRY(vx_size_take(c, like));
        VX_TRY(vx_context_run(c, &like, 1, NULL));
        for (int other = j; other < m; other++)
            if (jobs[other].opts.like == like)
                VX_TRY(set_vector(&jobs[other], c->act.host.logits));
    }
    return VITX_OK;
}

vitx_explained vx_direction_explains(const vx_job *job)
{
    return job->opts.like     ? VITX_EXPLAINED_PICTURE
           : job->opts.vector ? VITX_EXPLAINED_VECTOR
           : job->arch->units ? VITX_EXPLAINED_UNIT
                              : VITX_EXPLAINED_CLASS;
}
