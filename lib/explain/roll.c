/* explain/roll.c: see roll.h. */
#include "explain/roll.h"

#include <string.h>

/* The pictures that are rolled together, some of the batch. In device memory the rows that planes
 * begin with, two rows that are pushed, the planes' last ones, and a matrix each. */
typedef struct rolling {
    const vx_job *job;
    const vx_roll *roll;
    int first, n;       /* pictures */
    size_t tokens;      /* T */
    vx_far *begin;      /* [heads asked for, n,T], of one if the job does not pool */
    vx_far *now, *next; /* [n,T] */
    vx_far *out;        /* [planes,n,T] */
    vx_far *space;      /* [n,T,T] */
    float *host;        /* [planes,n,T] */
} rolling;

static size_t heads_of(const vx_job *job)
{
    return (size_t)(job->head_last - job->head_first + 1);
}

static size_t planes_of(const vx_job *job)
{
    return (size_t)(job->layer_last - job->layer_first + 1) * heads_of(job);
}

void vx_roll_prepare(const vx_job *job, vx_plan *need)
{
    if (vx_job_pools(job))
        vx_plan_need_pool(need, job->gradient);
}

/* Work memory of `n` pictures: floats. */
static size_t work_floats(const vx_job *job, int n)
{
    const size_t t = (size_t)vx_arch_tokens(job->arch), row = vx_job_piece((size_t)n * t);
    return (heads_of(job) + 2 + planes_of(job)) * row + (size_t)n * t * t;
}

static void place(rolling *r, vx_far *work)
{
    const size_t row = vx_job_piece((size_t)r->n * r->tokens);
    r->begin = work;
    r->now = r->begin + heads_of(r->job) * row;
    r->next = r->now + row;
    r->out = r->next + row;
    r->space = r->out + planes_of(r->job) * row;
}

/* The row of a token, or of a mean of tokens, for all pictures. */
static void start_at_query(vx_far *begin, const rolling *r)
{
    const vx_arch *a = r->job->arch;
    const int tokens = (int)r->tokens, first = vx_query_first(r->job->query, a->prefix),
              end = vx_query_end(r->job->query, a->prefix, tokens);
    for (int i = 0; i < r->n; i++)
        for (int t = 0; t < tokens; t++)
            *begin++ = t >= first && t < end ? 1.0f / (float)(end - first) : 0.0f;
}

/* The rows of a pooling head's query: begin [heads,n,T] of rows as vx_pool_read gives them. */
static void start_at_pool(float *begin, const float *rows, int batch, const rolling *r)
{
    const vx_job *job = r->job;
    const size_t each = (size_t)job->arch->pool_heads * r->tokens;
    for (int h = job->head_first; h <= job->head_last; h++)
        for (int i = r->first; i < r->first + r->n; i++, begin += r->tokens) {
            const float *attention = rows + (size_t)i * each;
            double sum = 0;
            r->roll->pooled(begin, attention,
                            job->gradient ? attention + (size_t)batch * each : NULL, job,
                            vx_pool_head(job, h));
            for (size_t t = 0; t < r->tokens; t++)
                sum += (double)begin[t];
            for (size_t t = 0; t < r->tokens && r->roll->norm == VX_NORM_ROWS && sum > 0; t++)
                begin[t] = (float)(begin[t] / sum);
        }
}

/* One plane: the rows in B_layer ... B_start. */
static void push(const rolling *r, int layer, int head, const vx_far *begin, vx_far *out)
{
    vx_device *dev = r->job->dev;
    const vx_roll *roll = r->roll;
    vx_far *to = r->now, *other = r->next;
    for (int l = layer; l >= roll->start; l--) {
        vx_far *const y = l == roll->start ? out : to;
        const vx_far *f = roll->matrix(r->job, r->first, r->n, l, head, r->space);
        dev->ops.rollout_step(dev, &(vx_rollout_step){.out = y,
                                                      .row = begin,
                                                      .f = f,
                                                      .norm = roll->norm,
                                                      .batch = r->n,
                                                      .tokens = (int)r->tokens});
        begin = y;
        to = other;
        other = y;
    }
}

static void divide_by_max(float *plane, size_t count)
{
    float max = 0;
    for (size_t p = 0; p < count; p++)
        max = plane[p] > max ? plane[p] : max;
    for (size_t p = 0; p < count && max > 0; p++)
        plane[p] /= max;
}

/* The planes from the host's rows. */
static void take(const rolling *r, vitx_map *const *maps)
{
    const size_t prefix = (size_t)r->job->arch->prefix, patches = r->tokens - prefix;
    const size_t row = vx_job_piece((size_t)r->n * r->tokens);
    for (size_t plane = 0; plane < planes_of(r->job); plane++)
        for (int i = 0; i < r->n; i++) {
            float *out = maps[r->first + i]->values + plane * patches;
            memcpy(out, r->host + plane * row + (size_t)i * r->tokens + prefix,
                   patches * sizeof *out);
            if (r->roll->by_max)
                divide_by_max(out, patches);
        }
}

/* Queues all planes of the pictures at hand and reads them at once. begin, on the host, is
 * [heads,n,T]. */
static int roll_some(rolling *r, const vx_far *begin, vitx_map *const *maps)
{
    const vx_job *job = r->job;
    const size_t rows = (size_t)r->n * r->tokens, row = vx_job_piece(rows);
    const bool pools = vx_job_pools(job);
    vx_far *out = r->out;
    for (size_t h = 0; h < (pools ? heads_of(job) : 1); h++)
        vx_job_write(job, r->begin + h * row, begin + h * rows, rows);
    for (int l = job->layer_first; l <= job->layer_last; l++)
        for (int h = job->head_first; h <= job->head_last; h++, out += row)
            push(r, l, h, r->begin + (pools ? (size_t)(h - job->head_first) * row : 0), out);
    VX_TRY(vx_job_read(job, r->host, r->out, planes_of(job) * row));
    take(r, maps);
    return VITX_OK;
}

/* The rows of the pooling head's query [2,n,H,T], if the job has it; to be released. */
static int read_pool(float **rows, const vx_job *job, int n)
{
    const vitx_hooks scratch = job->scratch;
    *rows = NULL;
    if (!vx_job_pools(job))
        return VITX_OK;
    VX_TRY(vx_new(rows, &scratch, vx_query_floats(job, n), sizeof **rows, "rows of attention"));
    return vx_pool_read(*rows, job, n);
}

int vx_roll_run(const vx_job *job, int n, vitx_map *const *maps, const vx_roll *roll)
{
    const size_t t = (size_t)vx_arch_tokens(job->arch);
    const int at_once = vx_job_fit(work_floats(job, 1), n);
    const size_t rows = vx_job_piece((size_t)at_once * t), begin = heads_of(job) * rows;
    const vitx_hooks scratch = job->scratch;
    float *work, *host, *pool = NULL;
    rolling r = {.job = job, .roll = roll, .tokens = t};
    VX_TRY(vx_job_work(&work, job, work_floats(job, at_once), "a rollout"));
    VX_TRY(vx_new(&host, &scratch, begin + planes_of(job) * rows, sizeof *host, "a rollout"));
    int status = read_pool(&pool, job, n);
    for (r.first = 0; r.first < n && status == VITX_OK; r.first += at_once) {
        r.n = n - r.first < at_once ? n - r.first : at_once;
        r.host = host + begin;
        place(&r, work);
        if (pool)
            start_at_pool(host, pool, n, &r);
        else
            start_at_query(host, &r);
        status = roll_some(&r, host, maps);
    }
    vx_release(&scratch, pool);
    vx_release(&scratch, host);
    return status;
}
