/* explain/pool.c: see pool.h. */
#include "explain/pool.h"

#include <math.h>

bool vx_job_pools(const vx_job *job)
{
    return job->arch->pool == VX_POOL_MAP && job->query == vx_default_query(job->arch);
}

bool vx_job_of_head(const vx_job *job)
{
    return vx_job_pools(job) && job->opts.layer == VITX_AUTO;
}

void vx_fuse_rows(float *row, const float *rows, const vx_arch *a, int head, vx_fuse fuse)
{
    const size_t tokens = (size_t)vx_arch_tokens(a);
    const int from = head < 0 ? 0 : head, to = head < 0 ? a->heads - 1 : head;
    for (size_t t = 0; t < tokens; t++) {
        float v = rows[(size_t)from * tokens + t];
        for (int h = from + 1; h <= to; h++) {
            const float next = rows[(size_t)h * tokens + t];
            v = fuse == VX_FUSE_MAX   ? fmaxf(v, next)
                : fuse == VX_FUSE_MIN ? fminf(v, next)
                                      : v + next;
        }
        row[t] = fuse == VX_FUSE_MEAN && head < 0 ? v / (float)a->heads : v;
    }
}

int vx_pool_download(float *rows, const vx_job *job, int i, bool gradient)
{
    vitx_context *c = job->context;
    const size_t count = (size_t)job->arch->heads * (size_t)vx_arch_tokens(job->arch);
    c->dev->cls->download(c->dev, rows, gradient ? vx_job_dpool(job, i) : vx_job_pool(job, i),
                          count * sizeof *rows);
    return vx_context_sync(c);
}

/* rows: P in, sum_t p_t A[h,t,:] out. A step of an unnormalised rollout is p (A + I). */
static int weigh_rows(float *rows, const vx_job *job, const vx_recorded *record)
{
    vitx_context *c = job->context;
    const size_t heads = (size_t)job->arch->heads, t = (size_t)vx_arch_tokens(job->arch);
    const size_t bytes = heads * t * sizeof *rows;
    float *const p = c->work.memory, *const sum = p + heads * t;
    for (size_t j = 0; j < t; j++) {
        double mean = 0;
        for (size_t h = 0; h < heads; h++)
            mean += (double)rows[h * t + j] / (double)heads;
        for (size_t h = 0; h < heads; h++)
            rows[h * t + j] = (float)mean;
    }
    c->dev->cls->upload(c->dev, p, rows, bytes);
    c->dev->ops.rollout_step(c->dev, sum, p, record->data, VX_NORM_NONE, (int)heads, (int)t);
    float *const mean = rows + heads * t;
    for (size_t j = 0; j < t; j++)
        mean[j] = rows[j];
    c->dev->cls->download(c->dev, rows, sum, bytes);
    VX_TRY(vx_context_sync(c));
    for (size_t k = 0; k < heads * t; k++)
        rows[k] -= mean[k % t];
    return VITX_OK;
}

int vx_query_rows(float *rows, const vx_job *job, int i, const vx_recorded *record)
{
    vitx_context *c = job->context;
    const size_t heads = (size_t)job->arch->heads, t = (size_t)vx_arch_tokens(job->arch);
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    float *all;
    VX_TRY(vx_block_reserve(c, &c->work, 2 * heads * t * sizeof *rows, "rows of attention"));
    if (!vx_job_pools(job)) {
        c->dev->ops.attn_row(c->dev, c->work.memory, record, job->query, job->arch->prefix);
        c->dev->cls->download(c->dev, rows, c->work.memory, heads * t * sizeof *rows);
        return vx_context_sync(c);
    }
    VX_TRY(vx_new(&all, &scratch, (heads + 1) * t, sizeof *all, "rows of attention"));
    int status = vx_pool_download(all, job, i, false);
    if (status == VITX_OK)
        status = weigh_rows(all, job, record);
    for (size_t k = 0; k < heads * t && status == VITX_OK; k++)
        rows[k] = all[k];
    vx_release(&scratch, all);
    return status;
}
