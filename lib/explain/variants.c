/* explain/variants.c: see variants.h; engine/variants.c does it. */
#include "explain/variants.h"

#include "engine/variants.h"

int vx_variants_most(const vx_job *job)
{
    return vx_variants_at_once(job->context, NULL);
}

bool vx_variants_are_far(const vx_job *job)
{
    return vx_variants_on_device(job->context);
}

vx_far *vx_variant_input(const vx_job *job, int v)
{
    return vx_variants_input(job->context, v);
}

vx_places vx_places_send(const vx_job *job, vx_far *to, float *host, const vx_between *places,
                         int count, int samples)
{
    for (int i = 0; i < count; i++) {
        host[i] = (float)places[i].first;
        host[count + i] = places[i].part;
    }
    vx_job_write(job, to, host, 2 * (size_t)count);
    return (vx_places){to, to + count, samples};
}

int vx_variants_score(double *scores, const vx_job *job, vx_target target, int n)
{
    const vx_variants *v = &job->context->variants;
    const size_t classes = (size_t)job->arch->classes;
    VX_TRY(vx_variants_run(job->context, n));
    for (size_t i = 0; i < (size_t)n; i++)
        scores[i] = vx_target_value(target, v->act.host.logits + i * classes,
                                    v->act.host.probabilities + i * classes);
    return VITX_OK;
}
