/*
 * kernels/cpu/spread.c: operations along rows and over recorded attention, spread over the
 * workers. The arithmetic is that of cpu->serial and cpu->pieces.
 */
#include "kernels/cpu/cpu.h"

#include <string.h>

#define LEAST_FLOATS 8192 /* of a task: a few microseconds, the cost of handing it out */

typedef struct parts {
    vx_part_fn *task;
    void *arg;
    int64_t items, each;
} parts;

static void run_part(void *arg, int i, int worker)
{
    (void)worker;
    const parts *p = arg;
    const int64_t first = i * p->each, left = p->items - first;
    p->task(p->arg, first, left < p->each ? left : p->each);
}

void vx_cpu_spread(const vx_cpu *cpu, vx_part_fn *task, void *arg, int64_t items, int64_t least)
{
    const vx_device_env *env = &cpu->base.env;
    const int64_t wanted = 4 * (int64_t)env->workers; /* some slack for an uneven machine */
    int64_t each = env->workers > 1 ? items / wanted + (items % wanted != 0) : items;
    each = each < least ? least : each;
    parts p = {task, arg, items, each};
    if (items > 0)
        env->parallel(run_part, &p, (int)(items / each + (items % each != 0)), env->owner);
}

static int64_t rows_of(int64_t width)
{
    return width < LEAST_FLOATS ? LEAST_FLOATS / (width > 0 ? width : 1) : 1;
}

/* -------------------------------------------------------------- layernorm, softmax, activate */

typedef struct rows {
    vx_cpu *cpu;
    float *y;
    const float *x, *weight, *bias;
    int ldy, ldx, n;
    float eps;
    vx_act act;
} rows;

static void layernorm_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg;
    r->cpu->serial.layernorm(&r->cpu->base, r->y + first * r->ldy, r->ldy, r->x + first * r->ldx,
                             r->ldx, r->weight, r->bias, r->eps, (int)count, r->n);
}

void vx_layernorm_cpu(vx_device *dev, float *y, int ldy, const float *x, int ldx,
                      const float *weight, const float *bias, float eps, int m, int n)
{
    rows r = {vx_cpu_of(dev), y, x, weight, bias, ldy, ldx, n, eps, VX_ACT_NONE};
    vx_cpu_spread(r.cpu, layernorm_part, &r, m, rows_of(n));
}

typedef struct norm_bwd {
    vx_cpu *cpu;
    const vx_layernorm_bwd *a;
} norm_bwd;

static void layernorm_bwd_part(void *arg, int64_t first, int64_t count)
{
    const norm_bwd *r = arg;
    const vx_layernorm_bwd *a = r->a;
    for (int64_t i = first; i < first + count; i++)
        r->cpu->pieces.layernorm_bwd_row(a, a->dx + i * a->lddx, a->dy + i * a->lddy,
                                         a->x + vx_forward_row((int)i, a->tokens, a->targets) *
                                                    (size_t)a->ldx);
}

void vx_layernorm_bwd_cpu(vx_device *dev, const vx_layernorm_bwd *a)
{
    norm_bwd r = {vx_cpu_of(dev), a};
    vx_cpu_spread(r.cpu, layernorm_bwd_part, &r, a->m, rows_of(a->n));
}

static void softmax_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg;
    r->cpu->serial.softmax(&r->cpu->base, r->y + first * r->n, r->x + first * r->n, (int)count,
                           r->n);
}

void vx_softmax_cpu(vx_device *dev, float *y, const float *x, int m, int n)
{
    rows r = {.cpu = vx_cpu_of(dev), .y = y, .x = x, .n = n};
    vx_cpu_spread(r.cpu, softmax_part, &r, m, rows_of(n));
}

static void activate_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg;
    r->cpu->serial.activate(&r->cpu->base, r->y + first, r->x + first, r->act, count);
}

void vx_activate_cpu(vx_device *dev, float *y, const float *x, vx_act act, int64_t count)
{
    rows r = {.cpu = vx_cpu_of(dev), .y = y, .x = x, .act = act};
    vx_cpu_spread(r.cpu, activate_part, &r, count, LEAST_FLOATS);
}

static void swiglu_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg;
    for (int64_t i = first; i < first + count; i++)
        r->cpu->pieces.swiglu_row(r->y + i * r->ldy, r->x + i * r->ldx, (size_t)r->n);
}

void vx_swiglu_cpu(vx_device *dev, float *y, int ldy, const float *x, int ldx, int m, int n)
{
    rows r = {.cpu = vx_cpu_of(dev), .y = y, .x = x, .ldy = ldy, .ldx = ldx, .n = n};
    vx_cpu_spread(r.cpu, swiglu_part, &r, m, rows_of(n));
}

typedef struct gate_bwd {
    vx_cpu *cpu;
    const vx_swiglu_bwd *a;
} gate_bwd;

static void swiglu_bwd_part(void *arg, int64_t first, int64_t count)
{
    const gate_bwd *r = arg;
    const vx_swiglu_bwd *a = r->a;
    for (int64_t i = first; i < first + count; i++)
        r->cpu->pieces.swiglu_bwd_row(
            a->dx + i * a->lddx, a->dy + i * a->lddy,
            a->x + vx_forward_row((int)i, a->tokens, a->targets) * (size_t)a->ldx, (size_t)a->n);
}

void vx_swiglu_bwd_cpu(vx_device *dev, const vx_swiglu_bwd *a)
{
    gate_bwd r = {vx_cpu_of(dev), a};
    vx_cpu_spread(r.cpu, swiglu_bwd_part, &r, a->m, rows_of(a->n));
}

static void mean_tokens_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg; /* ldy: tokens, ldx: the first one, n: width */
    const int64_t picture = (int64_t)r->ldy * r->n;
    r->cpu->serial.mean_tokens(&r->cpu->base, r->y + first * r->n, r->x + first * picture, r->ldx,
                               (int)count, r->ldy, r->n);
}

void vx_mean_tokens_cpu(vx_device *dev, float *y, const float *x, int first, int b, int t, int d)
{
    rows r = {.cpu = vx_cpu_of(dev), .y = y, .x = x, .ldy = t, .ldx = first, .n = d};
    vx_cpu_spread(r.cpu, mean_tokens_part, &r, b, 1);
}

/* Rows of dx [B*T,D]. */
static void mean_tokens_bwd_part(void *arg, int64_t first, int64_t count)
{
    const rows *r = arg; /* as above */
    const size_t d = (size_t)r->n;
    for (int64_t i = first; i < first + count; i++) {
        float *dx = r->y + (size_t)i * d;
        if (i % r->ldy < r->ldx)
            memset(dx, 0, d * sizeof *dx);
        else
            r->cpu->pieces.convert(dx, VX_STORE_F32, r->x + (size_t)(i / r->ldy) * d, VX_STORE_F32,
                                   1 / (float)(r->ldy - r->ldx), d);
    }
}

void vx_mean_tokens_bwd_cpu(vx_device *dev, float *dx, const float *dy, int first, int b, int t,
                            int d)
{
    rows r = {.cpu = vx_cpu_of(dev), .y = dx, .x = dy, .ldy = t, .ldx = first, .n = d};
    vx_cpu_spread(r.cpu, mean_tokens_bwd_part, &r, (int64_t)b * t, rows_of(d));
}

/* ------------------------------------------------------------------------------- moving ---- */

static void clear_part(void *arg, int64_t first, int64_t count)
{
    memset((float *)arg + first, 0, (size_t)count * sizeof(float));
}

void vx_clear_cpu(vx_device *dev, float *y, int64_t count)
{
    vx_cpu_spread(vx_cpu_of(dev), clear_part, y, count, 4 * LEAST_FLOATS);
}

typedef struct copying {
    float *y;
    const float *x;
} copying;

static void copy_part(void *arg, int64_t first, int64_t count)
{
    const copying *r = arg;
    memcpy(r->y + first, r->x + first, (size_t)count * sizeof(float));
}

void vx_copy_cpu(vx_device *dev, float *y, const float *x, int64_t count)
{
    copying r = {y, x};
    vx_cpu_spread(vx_cpu_of(dev), copy_part, &r, count, 4 * LEAST_FLOATS);
}

typedef struct replacing {
    float *y;
    const float *x;
    const int *channels;
    float value;
    int t, d;
} replacing;

/* Rows of y [count*t,d]. */
static void replace_part(void *arg, int64_t first, int64_t count)
{
    const replacing *r = arg;
    const size_t d = (size_t)r->d;
    for (int64_t i = first; i < first + count; i++) {
        float *row = r->y + (size_t)i * d;
        memcpy(row, r->x + (size_t)(i % r->t) * d, d * sizeof *row);
        row[r->channels[i / r->t]] = r->value;
    }
}

void vx_replace_channels_cpu(vx_device *dev, float *y, const float *x, const int *channels,
                             float value, int count, int t, int d)
{
    replacing r = {y, x, channels, value, t, d};
    vx_cpu_spread(vx_cpu_of(dev), replace_part, &r, (int64_t)count * t, rows_of(d));
}

typedef struct gathering {
    float *y;
    const float *a, *b;
    const int *from;
    size_t d;
} gathering;

static void gather_part(void *arg, int64_t first, int64_t count)
{
    const gathering *r = arg;
    for (int64_t i = first; i < first + count; i++) {
        const int from = r->from[i];
        const float *row =
            from >= 0 ? r->a + (size_t)from * r->d : r->b + (size_t)(-1 - from) * r->d;
        memcpy(r->y + (size_t)i * r->d, row, r->d * sizeof *row);
    }
}

void vx_gather_rows_cpu(vx_device *dev, float *y, const float *a, const float *b, const int *from,
                        int count, int d)
{
    gathering r = {y, a, b, from, (size_t)d};
    vx_cpu_spread(vx_cpu_of(dev), gather_part, &r, count, rows_of(d));
}

/* --------------------------------------------------------------------- recorded attention -- */

typedef struct reading {
    vx_cpu *cpu;
    float *out;
    const vx_recorded *a;
    vx_fuse fuse;
    int head, query, first;
} reading;

static const void *recorded_at(const vx_recorded *a, size_t index)
{
    return (const char *)a->data + index * (a->store == VX_STORE_F16 ? 2 : 4);
}

/* Rows of out [B*T,T]. */
static void attn_fuse_part(void *arg, int64_t first, int64_t count)
{
    const reading *r = arg;
    const vx_recorded *a = r->a;
    const vx_pieces *pieces = &r->cpu->pieces;
    const size_t t = (size_t)a->tokens, heads = a->keep == VX_KEEP_FUSED ? 1 : (size_t)a->heads;
    for (size_t row = (size_t)first; row < (size_t)(first + count); row++) {
        float *out = r->out + row * t;
        const size_t at = (row / t * heads * t + row % t) * t; /* of head 0 */
        const size_t head = r->head >= 0 && heads > 1 ? (size_t)r->head : 0;
        pieces->convert(out, VX_STORE_F32, recorded_at(a, at + head * t * t), a->store, 1, t);
        if (r->head >= 0 || heads == 1)
            continue;
        for (size_t h = 1; h < heads; h++)
            pieces->fuse(out, recorded_at(a, at + h * t * t), a->store, t, r->fuse);
        if (r->fuse == VX_FUSE_MEAN)
            pieces->convert(out, VX_STORE_F32, out, VX_STORE_F32, 1 / (float)heads, t);
    }
}

void vx_attn_fuse_cpu(vx_device *dev, float *out, const vx_recorded *a, vx_fuse fuse, int head)
{
    reading r = {.cpu = vx_cpu_of(dev), .out = out, .a = a, .fuse = fuse, .head = head};
    const int64_t heads = a->keep == VX_KEEP_FUSED || head >= 0 ? 1 : a->heads;
    vx_cpu_spread(r.cpu, attn_fuse_part, &r, (int64_t)a->batch * a->tokens,
                  rows_of(heads * a->tokens));
}

/* Rows of out [B*H,T]. */
static void attn_row_part(void *arg, int64_t first, int64_t count)
{
    const reading *r = arg;
    const vx_recorded *a = r->a;
    const vx_pieces *pieces = &r->cpu->pieces;
    const size_t t = (size_t)a->tokens;
    const int begin = vx_query_first(r->query, r->first),
              end = vx_query_end(r->query, r->first, a->tokens);
    for (size_t bh = (size_t)first; bh < (size_t)(first + count); bh++) {
        float *out = r->out + bh * t;
        if (a->keep == VX_KEEP_ROW) {
            pieces->convert(out, VX_STORE_F32, recorded_at(a, bh * t), a->store, 1, t);
            continue;
        }
        memset(out, 0, t * sizeof *out);
        for (int i = begin; i < end; i++)
            pieces->fuse(out, recorded_at(a, (bh * t + (size_t)i) * t), a->store, t, VX_FUSE_MEAN);
        if (end - begin != 1)
            pieces->convert(out, VX_STORE_F32, out, VX_STORE_F32, 1 / (float)(end - begin), t);
    }
}

void vx_attn_row_cpu(vx_device *dev, float *out, const vx_recorded *a, int query, int first)
{
    reading r = {.cpu = vx_cpu_of(dev), .out = out, .a = a, .query = query, .first = first};
    vx_cpu_spread(r.cpu, attn_row_part, &r, (int64_t)a->batch * a->heads,
                  rows_of(query < 0 ? (int64_t)a->tokens * a->tokens : a->tokens));
}

/* --------------------------------------------------------------------------------- rollout -- */

typedef struct rolling {
    vx_cpu *cpu;
    float *out, *f;
    const float *row, *attention;
    int64_t count;
    int keep_first, t;
    vx_norm norm;
} rolling;

static void discard_part(void *arg, int64_t first, int64_t count)
{
    const rolling *r = arg;
    r->cpu->serial.discard_smallest(&r->cpu->base, r->f + first * r->t * r->t, r->count,
                                    r->keep_first, (int)count, r->t);
}

void vx_discard_smallest_cpu(vx_device *dev, float *f, int64_t count, int keep_first, int b, int t)
{
    rolling r = {.cpu = vx_cpu_of(dev), .f = f, .count = count, .keep_first = keep_first, .t = t};
    vx_cpu_spread(r.cpu, discard_part, &r, b, 1);
}

static void rollout_part(void *arg, int64_t first, int64_t count)
{
    const rolling *r = arg;
    r->cpu->serial.rollout_step(&r->cpu->base, r->out + first * r->t, r->row + first * r->t,
                                r->attention + first * r->t * r->t, r->norm, (int)count, r->t);
}

void vx_rollout_step_cpu(vx_device *dev, float *out, const float *row, const float *f, vx_norm norm,
                         int b, int t)
{
    rolling r = {
        .cpu = vx_cpu_of(dev), .out = out, .row = row, .attention = f, .norm = norm, .t = t};
    vx_cpu_spread(r.cpu, rollout_part, &r, b, 1);
}
