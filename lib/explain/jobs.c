/* explain/jobs.c: see jobs.h. */
#include "explain/jobs.h"

#include <string.h>

#include "engine/channels.h"
#include "engine/footprint.h"
#include "engine/variants.h"

/* Of two texts, each perhaps NULL. */
static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Jobs that explain the same number share one gradient. */
static int share_cotangents(vx_job *jobs, int m)
{
    int count = 0;
    for (int j = 0; j < m; j++) {
        const vx_job *job = &jobs[j];
        jobs[j].cotangent = job->gradient ? count : -1;
        for (int before = 0; job->gradient && before < j; before++) {
            const vx_job *other = &jobs[before];
            if (other->gradient && other->opts.target == job->opts.target &&
                other->score == job->score && other->opts.versus == job->opts.versus &&
                other->opts.vector == job->opts.vector && other->opts.like == job->opts.like &&
                same_text(other->opts.text, job->opts.text) &&
                same_text(other->opts.versus_text, job->opts.versus_text))
                jobs[j].cotangent = other->cotangent;
        }
        count += jobs[j].cotangent == count;
    }
    return count;
}

void vx_jobs_release(vx_job *jobs, int m, const vitx_hooks *hooks)
{
    for (int j = 0; j < m; j++) {
        vx_release(hooks, jobs[j].settings);
        vx_release(hooks, jobs[j].similarity.vector);
        jobs[j].settings = NULL;
        jobs[j].similarity.vector = NULL;
    }
}

void vx_jobs_free(vx_job *jobs, int m, const vitx_hooks *hooks)
{
    vx_jobs_release(jobs, m, hooks);
    vx_release(hooks, jobs);
}

int vx_jobs_prepare(vx_job *jobs, int m, vitx_context *c, const vitx_explain_opts *opts)
{
    c->explained = false;
    vx_plan_clear(&c->need);
    vx_plan_clear(&c->variants.need);
    /* The caller's array may be of structs of an older, shorter version: his size is the step. */
    const char *given = (const char *)opts;
    for (int j = 0; j < m; j++, given += opts->struct_size)
        VX_TRY(vx_job_check(&jobs[j], c, (const vitx_explain_opts *)(const void *)given));
    for (int j = 0; j < m; j++)
        VX_TRY(vx_job_prepare(&jobs[j]));
    for (int j = 0; j + 1 < m; j++)
        jobs[j].similarity.next = &jobs[j + 1].similarity;
    c->need.targets = share_cotangents(jobs, m);
    return VITX_OK;
}

/* What the jobs run in addition to the pictures. */
typedef struct extra {
    int variants; /* at once, in the largest job; 0: none */
    int kept;     /* the same of the jobs that record their variants */
    bool channels;
} extra;

static extra extra_of(const vx_job *jobs, int m)
{
    extra e = {0};
    for (int j = 0; j < m; j++) {
        e.variants = jobs[j].variants > e.variants ? jobs[j].variants : e.variants;
        if (jobs[j].variants_kept && jobs[j].variants > e.kept)
            e.kept = jobs[j].variants;
        e.channels = e.channels || jobs[j].channels;
    }
    return e;
}

int vx_jobs_reserve(vitx_context *c, const vx_job *jobs, int m)
{
    const extra e = extra_of(jobs, m);
    if (e.variants)
        VX_TRY(vx_variants_reserve(c, e.variants, e.kept, &c->variants.need));
    return e.channels ? vx_channels_reserve(c) : VITX_OK;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* If sizes vary, the plan is that of the pictures at hand: fewer than max_batch, whose plan takes
 * so many bytes, may leave room for W^T. What is told then is the most of both together. */
static size_t turned_of_fewer(const vitx_context *c, size_t bytes)
{
    if (!c->varies || !vx_plan_differentiates(&c->need) || bytes >= c->trace_budget)
        return 0;
    const size_t room = c->trace_budget - bytes;
    const size_t all = vx_weights_turned_bytes(c->weights, c->arch.depth, c->need.kept_from);
    return all < room ? all : room;
}

/* W^T for the pictures, whose plan takes so many bytes, and for `kept` variants: once. */
static size_t turned_bytes(vitx_context *c, size_t bytes, int kept)
{
    vx_plan *variants = &c->variants.need;
    int from = vx_context_turned_from(c, &c->need, larger(bytes, c->trace.bytes));
    if (kept) {
        const size_t of_variants = vx_context_plan_bytes(c, variants, kept);
        const int first =
            vx_context_turned_from(c, variants, larger(of_variants, c->variants.trace.bytes));
        from = first < from ? first : from;
    }
    const size_t turned = vx_weights_turned_bytes(c->weights, c->arch.depth, from);
    return larger(turned, turned_of_fewer(c, bytes));
}

int vx_jobs_bytes(size_t *out, vitx_context *c, const vx_job *jobs, int m)
{
    const extra e = extra_of(jobs, m);
    size_t bytes = vx_context_plan_bytes(c, &c->need, c->max_batch);
    const size_t turned = turned_bytes(c, bytes, e.kept);
    const size_t variants =
        e.variants ? vx_variants_bytes(c, e.variants, e.kept, &c->variants.need) : 0;
    const size_t channels = e.channels ? vx_channels_bytes(c) : 0;
    if (bytes == SIZE_MAX || variants == SIZE_MAX || channels == SIZE_MAX || turned == SIZE_MAX ||
        !vx_add_size(&bytes, bytes, turned) || !vx_add_size(&bytes, bytes, variants) ||
        !vx_add_size(&bytes, bytes, channels))
        return vx_fail(VITX_NOMEM, "explaining takes more bytes than can be counted");
    *out = bytes;
    return VITX_OK;
}

int64_t vx_jobs_ticks(const vx_job *jobs, int m, const vitx_context *c, int n)
{
    const int64_t batches = (n - 1) / c->max_batch + 1;
    int64_t ticks = (int64_t)vx_similarity_pictures(&jobs->similarity) * c->arch.depth;
    ticks += batches * (c->arch.depth + vx_pass_backward_ticks(&c->need));
    for (int j = 0; j < m; j++)
        ticks += jobs[j].ticks * (jobs[j].method->run_batch ? batches : n);
    return ticks;
}

int64_t vx_jobs_forwards(const vx_job *jobs, int m, const vitx_context *c)
{
    const int depth = c->arch.depth;
    int64_t forwards =
        vx_similarity_pictures(&jobs->similarity) + 1 + vx_pass_backward_ticks(&c->need) / depth;
    for (int j = 0; j < m; j++)
        forwards += jobs[j].ticks / depth * (jobs[j].variants > 0 ? jobs[j].variants : 1);
    return forwards;
}
