/* explain/pool_query.c: see pool_query.h. */
#include "explain/pool_query.h"

#include <math.h>

bool vx_job_pools(const vx_job *job)
{
    return job->arch->pool == VX_POOL_MAP && job->query == vx_default_query(job->arch);
}

bool vx_job_of_head(const vx_job *job)
{
    return vx_job_pools(job) && job->opts.layer == VITX_AUTO;
}

int vx_pool_head(const vx_job *job, int head)
{
    return job->arch->pool_heads == job->arch->heads ? head : -1;
}

void vx_fuse_rows(float *row, const float *rows, int heads, size_t tokens, int head, vx_fuse fuse)
{
    const int from = head < 0 ? 0 : head, to = head < 0 ? heads - 1 : head;
    for (size_t t = 0; t < tokens; t++) {
        float v = rows[(size_t)from * tokens + t];
        for (int h = from + 1; h <= to; h++) {
            const float next = rows[(size_t)h * tokens + t];
            v = fuse == VX_FUSE_MAX   ? fmaxf(v, next)
                : fuse == VX_FUSE_MIN ? fminf(v, next)
                                      : v + next;
        }
        row[t] = fuse == VX_FUSE_MEAN && head < 0 ? v / (float)heads : v;
    }
}

/* Room for the rows of the blocks' heads or of the pooling head's. */
static size_t row_floats(const vx_job *job)
{
    return (size_t)vx_arch_most(job->arch->heads, job->arch->pool_heads) *
           (size_t)vx_arch_tokens(job->arch);
}

static size_t pool_floats(const vx_job *job)
{
    return (size_t)job->arch->pool_heads * (size_t)vx_arch_tokens(job->arch);
}

size_t vx_query_floats(const vx_job *job, int n)
{
    return (job->gradient ? 2 : 1) * (size_t)n * row_floats(job);
}

int vx_pool_read(float *rows, const vx_job *job, int n)
{
    const size_t floats = pool_floats(job), all = (size_t)n * floats;
    const int at_once = vx_job_at_once(job, n);
    for (int i = 0; job->gradient && i < n; i += at_once)
        VX_TRY(vx_job_read(job, rows + all + (size_t)i * floats, vx_job_dpool(job, i),
                           (size_t)at_once * floats));
    return vx_job_read(job, rows, vx_job_pool(job, 0), all);
}

/* out [H,T] = sum_t p_t A[h,t,:] of A [H,T,T], for each of n pictures; p [n,T] on the host. */
static void weigh_rows(vx_far *out, const vx_far *p, const vx_recorded *record, int n,
                       const vx_job *job)
{
    const size_t heads = (size_t)job->arch->heads, t = (size_t)vx_arch_tokens(job->arch);
    const vx_far *whole = record->data;
    job->dev->ops.clear(job->dev, &(vx_clear){.y = out, .count = (int64_t)((size_t)n * heads * t)});
    for (size_t i = 0; i < (size_t)n; i++)
        job->dev->ops.add_weighted(job->dev, &(vx_add_weighted){.sum = out + i * heads * t,
                                                                .x = whole + i * heads * t * t,
                                                                .weights = p + i * t,
                                                                .groups = (int)heads,
                                                                .samples = (int)t,
                                                                .n = (int64_t)t});
}

/* Pictures first..first+n-1: the query's rows in a record of them, p as above if the job pools. */
static void queue_rows(vx_far *out, const vx_recorded *record, const vx_far *p, int n,
                       const vx_job *job)
{
    vx_recorded of = *record;
    of.batch = n;
    if (p)
        weigh_rows(out, p, &of, n, job);
    else
        job->dev->ops.attn_row(job->dev, &(vx_attn_row){.out = out,
                                                        .record = &of,
                                                        .query = job->query,
                                                        .prefix = job->arch->prefix});
}

/* p [n,T]: the mean of the pooling head's rows over its heads. */
static int read_weights(float *p, float *rows, const vx_job *job, int n)
{
    const size_t t = (size_t)vx_arch_tokens(job->arch), floats = pool_floats(job);
    VX_TRY(vx_job_read(job, rows, vx_job_pool(job, 0), (size_t)n * floats));
    for (int i = 0; i < n; i++)
        vx_fuse_rows(p + (size_t)i * t, rows + (size_t)i * floats, job->arch->pool_heads, t, -1,
                     VX_FUSE_MEAN);
    return VITX_OK;
}

int vx_query_read(float *rows, vx_far *device, const vx_job *job, int n, int layer)
{
    const size_t t = (size_t)vx_arch_tokens(job->arch), floats = (size_t)job->arch->heads * t;
    const int at_once = vx_job_at_once(job, n);
    const vitx_hooks scratch = job->scratch;
    vx_far *weights = NULL;
    if (job->at_pool)
        return vx_pool_read(rows, job, n);
    if (vx_job_pools(job)) {
        VX_TRY(vx_new(&weights, &scratch, (size_t)n * t, sizeof *weights, "rows of attention"));
        const int status = read_weights(weights, rows, job, n);
        if (status != VITX_OK) {
            vx_release(&scratch, weights);
            return status;
        }
    }
    for (int i = 0; i < n; i += at_once) {
        const vx_far *p = weights ? weights + (size_t)i * t : NULL;
        vx_recorded record = vx_job_attention(job, layer, i);
        queue_rows(device + (size_t)i * floats, &record, p, at_once, job);
        if (!job->gradient)
            continue;
        record.data = vx_job_dattention(job, layer, i);
        queue_rows(device + (size_t)(n + i) * floats, &record, p, at_once, job);
    }
    const int status = vx_job_read(job, rows, device, (job->gradient ? 2 : 1) * (size_t)n * floats);
    vx_release(&scratch, weights);
    return status;
}
