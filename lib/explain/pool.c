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

/* Adds sum_t p_t A[h,t,:] to sum [H,T] on the device; p [T] is the mean of P [H,T] over its heads. */
static void weigh_rows(float *sum, float *p, const float *pool, const vx_job *job,
                       const vx_recorded *record)
{
    vx_device *dev = job->context->dev;
    const size_t heads = (size_t)job->arch->heads, t = (size_t)vx_arch_tokens(job->arch);
    const float *whole = record->data;
    vx_fuse_rows(p, pool, job->arch, -1, VX_FUSE_MEAN);
    dev->ops.clear(dev, &(vx_clear){.y = sum, .count = (int64_t)(heads * t)});
    for (size_t h = 0; h < heads; h++)
        dev->ops.add_weighted(dev, &(vx_add_weighted){.sum = sum + h * t,
                                                      .x = whole + h * t * t,
                                                      .weights = p,
                                                      .squared = 0,
                                                      .samples = (int)t,
                                                      .n = (int64_t)t});
}

int vx_query_rows(float *rows, const vx_job *job, int i, const vx_recorded *record)
{
    vitx_context *c = job->context;
    const size_t heads = (size_t)job->arch->heads, t = (size_t)vx_arch_tokens(job->arch);
    const vitx_hooks scratch = job->scratch;
    int status = VITX_OK;
    VX_TRY(vx_block_reserve(c, &c->work, heads * t * sizeof *rows, "rows of attention"));
    if (vx_job_pools(job)) {
        float *pool;
        VX_TRY(vx_new(&pool, &scratch, (heads + 1) * t, sizeof *pool, "rows of attention"));
        status = vx_pool_download(pool, job, i, false);
        if (status == VITX_OK)
            weigh_rows(c->work.memory, pool + heads * t, pool, job, record);
        vx_release(&scratch, pool);
    } else {
        c->dev->ops.attn_row(c->dev, &(vx_attn_row){.out = c->work.memory,
                                                    .record = record,
                                                    .query = job->query,
                                                    .first = job->arch->prefix});
    }
    VX_TRY(status);
    c->dev->cls->download(c->dev, rows, c->work.memory, heads * t * sizeof *rows);
    return vx_context_sync(c);
}
