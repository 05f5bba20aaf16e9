/* explain/dense.c: see dense.h. */
#include "explain/dense.h"

#include "engine/channels.h"
#include "engine/dual.h"

enum { BLOCKS = 6 }; /* as both papers have it */

int vx_setting_blocks(int *out, const vx_job *job)
{
    const int depth = job->arch->depth;
    *out = depth < BLOCKS ? depth : BLOCKS;
    if (vx_setting_is_auto(&job->given, "blocks"))
        return VITX_OK;
    return vx_setting_int(out, &job->given, "blocks", 1, depth);
}

static vx_dual_kind kind_of(vx_sharpness *sharpness)
{
    return sharpness ? VX_DUAL_ALL : VX_DUAL_VALUES;
}

int vx_dense_prepare(vx_job *job, vx_plan *need, int blocks, vx_sharpness *sharpness)
{
    const int depth = job->arch->depth;
    if (job->arch->pool == VX_POOL_MAP)
        return vx_fail(VITX_UNSUPPORTED,
                       "method %s is not defined for a model whose head pools by attention; "
                       "maskclip and legrad are",
                       job->method->name);
    if (!vx_dual_serves(job->arch))
        return vx_fail(VITX_UNSUPPORTED,
                       "method %s is not defined for a model whose attention is a difference of "
                       "two",
                       job->method->name);
    if (vx_dual_bytes(job->context, kind_of(sharpness)) == SIZE_MAX)
        return vx_fail(VITX_NOMEM, "a second stream takes more bytes than can be counted");
    for (int l = depth - blocks; l < depth; l++)
        vx_plan_need_tokens(need, l, VX_AT_NORM1);
    vx_plan_need_tokens(need, depth - blocks, VX_AT_INPUT);
    job->channels = true;
    job->ticks = blocks;
    return VITX_OK;
}

/* Block by block; host [T,D] counts with a sharpness. */
static int run_blocks(const vx_dual *d, const vx_job *job, int i, int blocks, float *host,
                      vx_sharpness *sharpness)
{
    const size_t count = (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
    for (int l = job->arch->depth - blocks; l < job->arch->depth; l++) {
        const vx_far *norm1 = vx_job_tokens(job, l, VX_AT_NORM1, i);
        double t = 0;
        if (sharpness) {
            VX_TRY(vx_job_read(job, host, norm1, count));
            t = sharpness(job->arch, host);
        }
        VX_TRY(vx_dual_block(job->context, d, l, norm1, t));
    }
    return VITX_OK;
}

static int run_stream(vx_dual *dual, const vx_job *job, int i, int blocks, vx_sharpness *sharpness)
{
    const size_t count = (size_t)vx_arch_tokens(job->arch) * (size_t)job->arch->width;
    const size_t bytes = vx_dual_bytes(job->context, kind_of(sharpness));
    const vitx_hooks scratch = job->scratch;
    vx_far *memory;
    float *host;
    VX_TRY(vx_job_work(&memory, job, (bytes - 1) / sizeof(float) + 1, "a second stream"));
    VX_TRY(vx_new(&host, &scratch, count, sizeof *host, "a second stream"));
    vx_dual_begin(dual, job->context, kind_of(sharpness), memory,
                  vx_job_tokens(job, job->arch->depth - blocks, VX_AT_INPUT, i));
    const int status = run_blocks(dual, job, i, blocks, host, sharpness);
    vx_release(&scratch, host);
    return status;
}

/* The product of a vector and an answer, divided by the latter's length; of zeros it is 0. */
static double product(const vx_job *job, const float *vector, const float *answer)
{
    const vx_target t = {.score = VITX_SCORE_COSINE,
                         .vector = vector,
                         .count = job->arch->classes,
                         .outputs = job->arch->outputs};
    return vx_target_value(t, answer, NULL);
}

/* Answers to the patch tokens, as many at once as there is room for. */
static int fill(const vx_job *job, vitx_map *map, vx_answers_to what, const vx_far *x,
                const vx_far *norm1, const float *with)
{
    const vx_arch *a = job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix, step = vx_channels_at_once(job->context);
    const size_t classes = (size_t)a->classes, width = (size_t)a->width;
    const vx_host_side *host = &job->context->channels.act.host;
    for (int first = 0; first < patches; first += step) {
        const int n = patches - first < step ? patches - first : step;
        const size_t at = ((size_t)a->prefix + (size_t)first) * width;
        VX_TRY(vx_answers(job->context, what, x + at, norm1 ? norm1 + at : NULL, n));
        for (int p = 0; p < n; p++) {
            const float *answer = host->logits + (size_t)p * classes;
            const double score = with ? product(job, with, answer)
                                      : vx_target_value(vx_map_target(map), answer,
                                                        host->probabilities + (size_t)p * classes);
            vx_map_saw(map, score);
            map->values[first + p] = (float)score;
        }
    }
    return VITX_OK;
}

int vx_dense_run(const vx_job *job, int i, vitx_map *map, int blocks, vx_sharpness *sharpness,
                 const float *with)
{
    vx_dual dual;
    VX_TRY(run_stream(&dual, job, i, blocks, sharpness));
    return fill(job, map, VX_ANSWERS_TOKENS, dual.stream, NULL, with);
}

int vx_dense_tokens(const vx_job *job, vitx_map *map, const vx_far *x)
{
    return fill(job, map, VX_ANSWERS_TOKENS, x, NULL, NULL);
}

int vx_dense_values(const vx_job *job, vitx_map *map, const vx_far *x, const vx_far *norm1,
                    bool residual)
{
    return fill(job, map, residual ? VX_ANSWERS_BLOCK : VX_ANSWERS_VALUES, x, norm1, NULL);
}
