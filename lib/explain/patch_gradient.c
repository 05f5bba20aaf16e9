/* explain/patch_gradient.c: see patch_gradient.h. */
#include "explain/patch_gradient.h"

#include <math.h>
#include <string.h>

#include "engine/patch_answer.h"

int vx_patch_gradient_prepare(vx_job *job, vx_plan *need)
{
    if (!vx_patch_answer_serves(job->arch))
        return vx_fail(VITX_UNSUPPORTED,
                       "method %s is not defined for a model whose head %s; gradcam is",
                       job->method->name,
                       job->arch->pool == VX_POOL_MAP ? "pools by attention" : "reads two vectors");
    vx_plan_need_tokens(need, job->arch->depth - 1, VX_AT_INPUT);
    vx_patch_answer_need(job->variants_need);
    job->variants = 1;
    job->variants_kept = true;
    job->ticks += VX_PATCH_ANSWER_TICKS;
    return VITX_OK;
}

/* The vector's text among those of what is behind things: d softmax_0(scale cosines) / d answer,
 * with the cosine of each text's vector. room [others + 1 + classes]. */
static void among_others(float *row, float *room, vx_target t, const vx_similarity *s,
                         const float *answer)
{
    const int k = t.count, n = s->other_count + 1;
    float *values = room, *one = room + n;
    double max = -INFINITY, sum = 0, first;
    for (int j = 0; j < n; j++) {
        t.vector = j ? s->others + (size_t)(j - 1) * (size_t)k : s->vector;
        values[j] = s->scale * (float)vx_target_value(t, answer, NULL);
        max = fmax(max, (double)values[j]);
    }
    for (int j = 0; j < n; j++)
        sum += exp((double)values[j] - max);
    first = exp((double)values[0] - max) / sum;
    memset(row, 0, (size_t)k * sizeof *row);
    for (int j = 0; j < n; j++) {
        const double p = exp((double)values[j] - max) / sum;
        t.vector = j ? s->others + (size_t)(j - 1) * (size_t)k : s->vector;
        vx_target_cotangent(one, t, answer, NULL, k);
        for (int c = 0; c < k; c++)
            row[c] += (float)(first * ((j == 0) - p) * (double)s->scale) * one[c];
    }
}

static int run(float *row, float *gradient, const vx_job *job, int i, vitx_map *map)
{
    vitx_context *c = job->context;
    const vx_similarity *s = &job->similarity;
    const vx_target t = vx_map_target(map);
    const size_t count = (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
    const vx_host_side *host = &c->variants.act.host;
    const vx_far *far;
    VX_TRY(vx_patch_answer(c, vx_job_tokens(job, job->arch->depth - 1, VX_AT_INPUT, i)));
    if (t.score == VITX_SCORE_COSINE && s->other_count > 0) {
        among_others(row, row + job->arch->classes, t, s, host->logits);
    } else {
        map->traces.flat = vx_target_is_flat(t, host->logits, host->probabilities);
        vx_target_cotangent(row, t, host->logits, host->probabilities, job->arch->classes);
    }
    VX_TRY(vx_patch_answer_backward(&far, c, row));
    return vx_job_read(job, gradient, far, count);
}

int vx_patch_gradient(float *gradient, const vx_job *job, int i, vitx_map *map)
{
    const size_t k = (size_t)job->arch->classes, n = (size_t)job->similarity.other_count + 1;
    const vitx_hooks scratch = job->scratch;
    float *row;
    VX_TRY(vx_new(&row, &scratch, 2 * k + n, sizeof *row, "a gradient of the answer"));
    const int status = run(row, gradient, job, i, map);
    vx_release(&scratch, row);
    return status;
}
