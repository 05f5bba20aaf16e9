/* explain/roll.c: see roll.h. */
#include "explain/roll.h"

#include <string.h>

/* Device memory of a rollout: two rows [T] and a matrix [T,T]; on the host a row, and [2,H,T] of a
 * pooling head. */
typedef struct rows {
    float *now, *next, *space, *host, *pool;
} rows;

static void layout(rows *r, vx_arena *arena, int tokens)
{
    r->now = vx_arena_take(arena, (size_t)tokens, sizeof(float));
    r->next = vx_arena_take(arena, (size_t)tokens, sizeof(float));
    r->space = vx_arena_take(arena, (size_t)tokens * (size_t)tokens, sizeof(float));
}

static int reserve(const vx_job *job, rows *r)
{
    vitx_context *c = job->context;
    const int tokens = vx_arch_tokens(job->arch);
    vx_arena arena = {0};
    layout(r, &arena, tokens);
    if (arena.overflow)
        return vx_fail(VITX_NOMEM, "%s: a matrix of %d x %d tokens is too large", job->method->name,
                       tokens, tokens);
    VX_TRY(vx_block_reserve(c, &c->work, arena.size, job->method->name));
    arena = (vx_arena){.base = c->work.memory};
    layout(r, &arena, tokens);
    return VITX_OK;
}

void vx_roll_prepare(const vx_job *job, vx_plan *need)
{
    if (vx_job_pools(job))
        vx_plan_need_pool(need, job->gradient);
}

static int download_pool(const vx_job *job, int i, rows *r)
{
    const size_t row = (size_t)job->arch->heads * (size_t)vx_arch_tokens(job->arch);
    if (!vx_job_pools(job))
        return VITX_OK;
    VX_TRY(vx_pool_download(r->pool, job, i, false));
    return job->gradient ? vx_pool_download(r->pool + row, job, i, true) : VITX_OK;
}

/* The row that is pushed, into r->host. */
static void start_row(const vx_job *job, int head, vx_norm norm, vx_start_fn *pooled, rows *r)
{
    const vx_arch *a = job->arch;
    const int tokens = vx_arch_tokens(a), first = vx_query_first(job->query, a->prefix),
              end = vx_query_end(job->query, a->prefix, tokens);
    if (!vx_job_pools(job)) {
        for (int t = 0; t < tokens; t++)
            r->host[t] = t >= first && t < end ? 1.0f / (float)(end - first) : 0.0f;
        return;
    }
    double sum = 0;
    pooled(r->host, r->pool, job, head);
    for (int t = 0; t < tokens; t++)
        sum += (double)r->host[t];
    for (int t = 0; t < tokens && norm == VX_NORM_ROWS && sum > 0; t++)
        r->host[t] = (float)(r->host[t] / sum);
}

/* One plane: the row of the query in B_layer ... B_start. */
static int roll(const vx_job *job, int i, int layer, int head, int start, vx_norm norm,
                vx_matrix_fn *matrix, vx_start_fn *pooled, rows *r, float *out)
{
    vitx_context *c = job->context;
    const vx_arch *a = job->arch;
    const int tokens = vx_arch_tokens(a), patches = tokens - a->prefix;
    const size_t bytes = (size_t)tokens * sizeof(float);

    start_row(job, head, norm, pooled, r);
    c->dev->cls->upload(c->dev, r->now, r->host, bytes);
    for (int l = layer; l >= start; l--) {
        const float *f = matrix(job, i, l, head, r->space);
        c->dev->ops.rollout_step(
            c->dev,
            &(vx_rollout_step){
                .out = r->next, .row = r->now, .f = f, .norm = norm, .batch = 1, .tokens = tokens});
        float *swap = r->now;
        r->now = r->next;
        r->next = swap;
    }
    c->dev->cls->download(c->dev, r->host, r->now, bytes);
    VX_TRY(vx_context_sync(c));
    memcpy(out, r->host + a->prefix, (size_t)patches * sizeof *out);
    return VITX_OK;
}

static void divide_by_max(float *plane, int count)
{
    float max = 0;
    for (int p = 0; p < count; p++)
        max = plane[p] > max ? plane[p] : max;
    for (int p = 0; p < count && max > 0; p++)
        plane[p] /= max;
}

int vx_roll(const vx_job *job, int i, vitx_map *map, int start, vx_norm norm, vx_matrix_fn *matrix,
            vx_start_fn *pooled, bool by_max)
{
    const int tokens = vx_arch_tokens(job->arch), patches = tokens - job->arch->prefix;
    const vitx_hooks scratch = job->scratch;
    rows r;
    VX_TRY(reserve(job, &r));
    const size_t rows_of_pool = vx_job_pools(job) ? 2 * (size_t)job->arch->heads : 0;
    VX_TRY(vx_new(&r.host, &scratch, (rows_of_pool + 1) * (size_t)tokens, sizeof *r.host,
                  "a row of the rollout"));
    r.pool = r.host + tokens;
    float *out = map->values;
    int status = download_pool(job, i, &r);
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++)
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK;
             h++, out += patches) {
            status = roll(job, i, l, h, start, norm, matrix, pooled, &r, out);
            if (by_max)
                divide_by_max(out, patches);
        }
    vx_release(&scratch, r.host);
    return status;
}
