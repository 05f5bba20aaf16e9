/* explain/dense.c: see dense.h. */
#include "explain/dense.h"

#include <string.h>

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

/* n patch tokens that are asked at once, and which is the first. */
typedef struct part {
    int first, n;
    const vx_far *x, *norm1;
} part;

/* From `first` on, as many as there is room for; n is 0 behind the last. */
static part part_of(const vx_job *job, const vx_dense_of *of, int first)
{
    const vx_arch *a = job->arch;
    const int patches = vx_arch_tokens(a) - a->prefix, step = vx_channels_at_once(job->context);
    const size_t at = ((size_t)a->prefix + (size_t)first) * (size_t)a->width;
    return (part){first, patches - first < step ? patches - first : step, of->x + at,
                  of->norm1 ? of->norm1 + at : NULL};
}

static vx_answers_to what_of(const vx_dense_of *of)
{
    return !of->norm1 ? VX_ANSWERS_TOKENS : of->residual ? VX_ANSWERS_BLOCK : VX_ANSWERS_VALUES;
}

/* The map's values for one part, of what has been answered. */
static void take_scores(vitx_map *map, const vx_job *job, part p, const float *with)
{
    const size_t classes = (size_t)job->arch->classes;
    const vx_host_side *host = &job->context->channels.act.host;
    for (int k = 0; k < p.n; k++) {
        const float *answer = host->logits + (size_t)k * classes;
        const double score = with ? product(job, with, answer)
                                  : vx_target_value(vx_map_target(map), answer,
                                                    host->probabilities + (size_t)k * classes);
        vx_map_saw(map, score);
        map->values[p.first + k] = (float)score;
    }
}

static int fill(const vx_job *job, vitx_map *map, const vx_dense_of *of, const float *with)
{
    for (part p = part_of(job, of, 0); p.n > 0; p = part_of(job, of, p.first + p.n)) {
        VX_TRY(vx_answers(job->context, what_of(of), p.x, p.norm1, p.n));
        take_scores(map, job, p, with);
    }
    return VITX_OK;
}

int vx_dense_run(const vx_job *job, int i, vitx_map *map, int blocks, vx_sharpness *sharpness,
                 const float *with)
{
    vx_dual dual;
    VX_TRY(run_stream(&dual, job, i, blocks, sharpness));
    return fill(job, map, &(vx_dense_of){.x = dual.stream}, with);
}

int vx_dense_map(const vx_job *job, vitx_map *map, const vx_dense_of *of)
{
    return fill(job, map, of, NULL);
}

int vx_dense_answers(float *out, const vx_job *job, const vx_dense_of *of)
{
    const size_t classes = (size_t)job->arch->classes;
    for (part p = part_of(job, of, 0); p.n > 0; p = part_of(job, of, p.first + p.n)) {
        VX_TRY(vx_answers(job->context, what_of(of), p.x, p.norm1, p.n));
        memcpy(out + (size_t)p.first * classes, job->context->channels.act.host.logits,
               (size_t)p.n * classes * sizeof *out);
    }
    return VITX_OK;
}

int vx_dense_keys(float *out, const vx_job *job, const vx_dense_of *of)
{
    const size_t width = (size_t)job->arch->width;
    for (part p = part_of(job, of, 0); p.n > 0; p = part_of(job, of, p.first + p.n))
        VX_TRY(vx_answers_keys(job->context, out + (size_t)p.first * width, p.x, p.norm1, p.n));
    return VITX_OK;
}
