/* explain/tokens.c: see tokens.h. */
#include "explain/tokens.h"

int vx_tokens_prepare(vx_at *at, vx_job *job, vx_plan *need, bool gradient)
{
    static const vx_at places[] = {VX_AT_NORM1, VX_AT_OUTPUT}; /* in the option's order */
    int choice;
    VX_TRY(vx_setting_choice(&choice, &job->given, "at"));
    *at = places[choice];
    if (gradient && *at == VX_AT_OUTPUT && job->layer_last == job->arch->depth - 1 &&
        !vx_arch_reads_patches(job->arch))
        return vx_fail(VITX_INVALID,
                       "%s: at=output of the last block: the head reads no patch, so none has a "
                       "gradient there and the map would be 0 everywhere",
                       job->method->name);
    for (int l = job->layer_first; l <= job->layer_last; l++) {
        vx_plan_need_tokens(need, l, *at);
        if (gradient)
            vx_plan_need_dtokens(need, l, *at);
    }
    job->gradient = gradient;
    return VITX_OK;
}

int vx_tokens_download(float *tokens, const vx_job *job, int layer, vx_at at, int i)
{
    const size_t count = (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
    return vx_job_read(job, tokens, vx_job_tokens(job, layer, at, i), count);
}

void vx_tokens_sum(float *map, const float *rows, const double *weights, int patches, int channels)
{
    for (int p = 0; p < patches; p++) {
        const float *row = rows + (size_t)p * (size_t)channels;
        double sum = 0;
        for (int c = 0; c < channels; c++)
            sum += weights[c] * row[c];
        map[p] = (float)sum;
    }
}
