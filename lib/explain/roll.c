/* explain/roll.c: see roll.h. */
#include "explain/roll.h"

#include <string.h>

/* Device memory of a rollout: two rows [T] and a matrix [T,T]; and a row on the host. */
typedef struct rows {
    float *now, *next, *space, *host;
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

/* One plane: the row of the query in B_layer ... B_start. */
static int roll(const vx_job *job, int i, int layer, int head, int start, vx_norm norm,
                vx_matrix_fn *matrix, rows *r, float *out)
{
    vitx_context *c = job->context;
    const vx_arch *a = job->arch;
    const int tokens = vx_arch_tokens(a), patches = tokens - a->prefix;
    const int first = vx_query_first(job->query, a->prefix),
              end = vx_query_end(job->query, a->prefix, tokens);
    const size_t bytes = (size_t)tokens * sizeof(float);

    for (int t = 0; t < tokens; t++)
        r->host[t] = t >= first && t < end ? 1.0f / (float)(end - first) : 0.0f;
    c->dev->cls->upload(c->dev, r->now, r->host, bytes);
    for (int l = layer; l >= start; l--) {
        const float *f = matrix(job, i, l, head, r->space);
        c->dev->ops.rollout_step(c->dev, r->next, r->now, f, norm, 1, tokens);
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
            bool by_max)
{
    const int tokens = vx_arch_tokens(job->arch), patches = tokens - job->arch->prefix;
    const vitx_hooks scratch = vx_scratch_hooks(&job->context->scratch);
    rows r;
    VX_TRY(reserve(job, &r));
    VX_TRY(vx_new(&r.host, &scratch, (size_t)tokens, sizeof *r.host, "a row of the rollout"));
    float *out = map->values;
    int status = VITX_OK;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++)
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK;
             h++, out += patches) {
            status = roll(job, i, l, h, start, norm, matrix, &r, out);
            if (by_max)
                divide_by_max(out, patches);
        }
    vx_release(&scratch, r.host);
    return status;
}
