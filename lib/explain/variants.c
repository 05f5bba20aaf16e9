/* explain/variants.c: see variants.h; engine/variants.c does it. */
#include "explain/variants.h"

#include "engine/variants.h"

int vx_variants_most(const vx_job *job)
{
    return vx_variants_at_once(job->context, NULL);
}

float *vx_variant_input(const vx_job *job, int v)
{
    return vx_variants_input(job->context, v);
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
