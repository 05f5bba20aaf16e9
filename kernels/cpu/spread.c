/*
 * kernels/cpu/spread.c: operations along rows and over recorded attention, spread over the
 * workers. The arithmetic is that of cpu->serial and cpu->pieces. A task gets the operation itself
 * and which part of it to do.
 */
#include "kernels/cpu/panels.h"

#include <string.h>

#define LEAST_FLOATS 8192 /* of a task: a few microseconds, the cost of handing it out */

typedef struct parts {
    vx_cpu *cpu;
    vx_part_fn *task;
    const void *op;
    int64_t items, each;
} parts;

static void run_part(void *arg, int i, int worker)
{
    (void)worker;
    const parts *p = arg;
    const int64_t first = i * p->each, left = p->items - first;
    p->task(p->cpu, p->op, first, left < p->each ? left : p->each);
}

void vx_cpu_spread(vx_cpu *cpu, vx_part_fn *task, const void *op, int64_t items, int64_t least)
{
    const vx_device_env *env = &cpu->base.env;
    const int64_t wanted = 4 * (int64_t)env->workers; /* some slack for an uneven machine */
    int64_t each = env->workers > 1 ? items / wanted + (items % wanted != 0) : items;
    each = each < least ? least : each;
    parts p = {cpu, task, op, items, each};
    if (items > 0)
        env->parallel(run_part, &p, (int)(items / each + (items % each != 0)), env->owner);
}

static int64_t rows_of(int64_t width)
{
    return width < LEAST_FLOATS ? LEAST_FLOATS / (width > 0 ? width : 1) : 1;
}

/* -------------------------------------------------------------- layernorm, softmax, activate */

static void layernorm_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_layernorm part = *(const vx_layernorm *)op;
    part.y += first * part.ldy;
    part.x += first * part.ldx;
    part.residual = part.residual ? part.residual + first * part.ldr : NULL;
    part.m = (int)count;
    cpu->serial.layernorm(&cpu->base, &part);
}

void vx_layernorm_cpu(vx_device *dev, const vx_layernorm *given)
{
    const vx_layernorm floats = vx_layernorm_floats(given), *a = &floats;
    const vx_panel_form *to = vx_panel_written(a->y_form);
    if (to) {
        vx_panel_norm(vx_cpu_of(dev), a, to);
        return;
    }
    vx_cpu_spread(vx_cpu_of(dev), layernorm_part, a, a->m, rows_of(vx_groups(a->groups) * a->n));
}

static void layernorm_bwd_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_layernorm_bwd *a = op;
    for (int64_t i = first; i < first + count; i++) {
        const size_t row = vx_forward_row((int)i, a->tokens, a->targets);
        for (int g = 0, at = 0; g < vx_groups(a->groups); g++, at += a->n)
            cpu->pieces.layernorm_bwd_row(a, a->dx + i * a->lddx + at, a->dy + i * a->lddy + at,
                                          a->x + row * (size_t)a->ldx + at);
        float *const dx = a->dx + i * a->lddx;
        const float *pre = a->pre + row * (size_t)a->ldp;
        if (a->act == VX_ACT_SWIGLU)
            cpu->pieces.swiglu_bwd_row(dx, dx, pre, (size_t)a->n);
        else if (a->act != VX_ACT_NONE)
            cpu->pieces.slope(dx, pre, a->act, (size_t)a->n);
    }
}

void vx_layernorm_bwd_cpu(vx_device *dev, const vx_layernorm_bwd *given)
{
    const vx_layernorm_bwd floats = vx_layernorm_bwd_floats(given), *a = &floats;
    vx_cpu_spread(vx_cpu_of(dev), layernorm_bwd_part, a, a->m,
                  rows_of(vx_groups(a->groups) * a->n));
}

static void rotate_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_rotate *a = op;
    const int64_t e = a->head_width, wide = a->heads * e;
    for (int64_t i = first; i < first + count; i++) {
        const float *table = vx_rotate_row(a, (int)i);
        for (int64_t h = 0; table && h < 2 * a->heads; h++)
            cpu->pieces.rotate_head(a->qkv + i * 3 * wide + h * e,
                                    table + (a->tables > 1 ? h % a->heads * e : 0), a->half,
                                    a->inverse, (size_t)e / 2);
    }
}

void vx_rotate_cpu(vx_device *dev, const vx_rotate *given)
{
    const vx_rotate floats = vx_rotate_floats(given), *a = &floats;
    vx_cpu_spread(vx_cpu_of(dev), rotate_part, a, a->rows,
                  rows_of(2 * (int64_t)a->heads * a->head_width));
}

static void softmax_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_softmax part = *(const vx_softmax *)op;
    part.y += first * part.n;
    part.x += first * part.n;
    part.m = (int)count;
    cpu->serial.softmax(&cpu->base, &part);
}

void vx_softmax_cpu(vx_device *dev, const vx_softmax *a)
{
    vx_cpu_spread(vx_cpu_of(dev), softmax_part, a, a->m, rows_of(a->n));
}

static void activate_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_activate part = *(const vx_activate *)op;
    part.y += first;
    part.x += first;
    part.count = count;
    cpu->serial.activate(&cpu->base, &part);
}

void vx_activate_cpu(vx_device *dev, const vx_activate *a)
{
    vx_cpu_spread(vx_cpu_of(dev), activate_part, a, a->count, LEAST_FLOATS);
}

static void swiglu_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_swiglu *a = op;
    for (int64_t i = first; i < first + count; i++)
        cpu->pieces.swiglu_row(a->y + i * a->ldy, a->x + i * a->ldx, (size_t)a->n);
}

void vx_swiglu_cpu(vx_device *dev, const vx_swiglu *a)
{
    vx_cpu_spread(vx_cpu_of(dev), swiglu_part, a, a->m, rows_of(a->n));
}

static void swiglu_bwd_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_swiglu_bwd *a = op;
    for (int64_t i = first; i < first + count; i++)
        cpu->pieces.swiglu_bwd_row(
            a->dx + i * a->lddx, a->dy + i * a->lddy,
            a->x + vx_forward_row((int)i, a->tokens, a->targets) * (size_t)a->ldx, (size_t)a->n);
}

void vx_swiglu_bwd_cpu(vx_device *dev, const vx_swiglu_bwd *a)
{
    vx_cpu_spread(vx_cpu_of(dev), swiglu_bwd_part, a, a->m, rows_of(a->n));
}

static void mean_tokens_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_mean_tokens part = *(const vx_mean_tokens *)op;
    part.y += (size_t)first * vx_distance(part.ldy, part.width);
    if (part.starts)
        part.starts += first; /* rows of the same x */
    else
        part.x += first * part.tokens * part.width;
    part.batch = (int)count;
    cpu->serial.mean_tokens(&cpu->base, &part);
}

void vx_mean_tokens_cpu(vx_device *dev, const vx_mean_tokens *a)
{
    vx_cpu_spread(vx_cpu_of(dev), mean_tokens_part, a, a->batch, 1);
}

/* Rows of dx [B*T,D]. */
static void mean_tokens_bwd_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_mean_tokens_bwd *a = op;
    const size_t d = (size_t)a->width;
    for (int64_t i = first; i < first + count; i++) {
        float *dx = a->dx + (size_t)i * d;
        if (i % a->tokens < a->first)
            memset(dx, 0, d * sizeof *dx);
        else
            cpu->pieces.convert(dx, VX_STORE_F32,
                                a->dy + (size_t)(i / a->tokens) * vx_distance(a->lddy, a->width),
                                VX_STORE_F32, 1 / (float)(a->tokens - a->first), d);
    }
}

void vx_mean_tokens_bwd_cpu(vx_device *dev, const vx_mean_tokens_bwd *a)
{
    vx_cpu_spread(vx_cpu_of(dev), mean_tokens_bwd_part, a, (int64_t)a->batch * a->tokens,
                  rows_of(a->width));
}

/* ------------------------------------------------------------------------------- moving ---- */

static void clear_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    (void)cpu;
    const vx_clear *a = op;
    memset(a->y + first, 0, (size_t)count * sizeof *a->y);
}

void vx_clear_cpu(vx_device *dev, const vx_clear *given)
{
    const vx_clear floats = vx_clear_floats(given), *a = &floats;
    vx_cpu_spread(vx_cpu_of(dev), clear_part, a, a->count, 4 * LEAST_FLOATS);
}

/* n of one row. */
static void copy_some(const vx_cpu *cpu, const vx_copy_rows *a, float *y, const float *x, size_t n)
{
    if (a->accumulate)
        cpu->pieces.weighted_sums(y, x, &a->scale, 0, 1, 0, n);
    else if (a->scale == 1)
        memcpy(y, x, n * sizeof *y);
    else
        cpu->pieces.convert(y, VX_STORE_F32, x, VX_STORE_F32, a->scale, n);
}

/* Numbers of y [m,n], row after row. */
static void copy_rows_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_copy_rows *a = op;
    for (int64_t i = first, n; i < first + count; i += n) {
        const int64_t row = i / a->n, at = i % a->n, left = first + count - i;
        n = a->n - at < left ? a->n - at : left;
        copy_some(cpu, a, a->y + row * a->ldy + at, a->x + row * a->ldx + at, (size_t)n);
    }
}

void vx_copy_rows_cpu(vx_device *dev, const vx_copy_rows *given)
{
    const vx_copy_rows floats = vx_copy_rows_floats(given), *a = &floats;
    vx_copy_rows whole = *a;
    if (a->ldy == a->n && a->ldx == a->n) { /* rows without gaps are one */
        whole.n = a->m * a->n;
        whole.m = 1;
    }
    vx_cpu_spread(vx_cpu_of(dev), copy_rows_part, &whole, whole.m * whole.n, 4 * LEAST_FLOATS);
}

/* Rows of y [count*T,D]. */
static void replace_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    (void)cpu;
    const vx_replace_channels *a = op;
    const size_t d = (size_t)a->width;
    for (int64_t i = first; i < first + count; i++) {
        float *row = a->y + (size_t)i * d;
        memcpy(row, a->x + (size_t)(i % a->tokens) * d, d * sizeof *row);
        row[a->channels[i / a->tokens]] = a->value;
    }
}

void vx_replace_channels_cpu(vx_device *dev, const vx_replace_channels *given)
{
    const vx_replace_channels floats = vx_replace_channels_floats(given), *a = &floats;
    vx_cpu_spread(vx_cpu_of(dev), replace_part, a, (int64_t)a->count * a->tokens,
                  rows_of(a->width));
}

static void gather_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    (void)cpu;
    const vx_gather_rows *a = op;
    const size_t d = (size_t)a->width;
    for (int64_t i = first; i < first + count; i++) {
        const int from = a->from[i];
        const float *row = from >= 0 ? a->a + (size_t)from * d : a->b + (size_t)(-1 - from) * d;
        memcpy(a->y + (size_t)i * vx_distance(a->ldy, a->width), row, d * sizeof *row);
    }
}

void vx_gather_rows_cpu(vx_device *dev, const vx_gather_rows *given)
{
    const vx_gather_rows floats = vx_gather_rows_floats(given), *a = &floats;
    vx_cpu_spread(vx_cpu_of(dev), gather_part, a, a->rows, rows_of(a->width));
}

/* --------------------------------------------------------------------- recorded attention -- */

static const void *recorded_at(const vx_recorded *r, size_t index)
{
    return (const char *)r->data + index * (r->store == VX_STORE_F16 ? 2 : 4);
}

/* Rows of out [B*T,T]. */
static void attn_fuse_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_attn_fuse *a = op;
    const vx_recorded *r = a->record;
    const vx_pieces *pieces = &cpu->pieces;
    const size_t t = (size_t)r->tokens, heads = r->keep == VX_KEEP_FUSED ? 1 : (size_t)r->heads;
    for (size_t row = (size_t)first; row < (size_t)(first + count); row++) {
        float *out = a->out + row * t;
        const size_t at = (row / t * heads * t + row % t) * t; /* of head 0 */
        const size_t head = a->head >= 0 && heads > 1 ? (size_t)a->head : 0;
        pieces->convert(out, VX_STORE_F32, recorded_at(r, at + head * t * t), r->store, 1, t);
        if (a->head >= 0 || heads == 1)
            continue;
        for (size_t h = 1; h < heads; h++)
            pieces->fuse(out, recorded_at(r, at + h * t * t), r->store, t, a->fuse);
        if (a->fuse == VX_FUSE_MEAN)
            pieces->convert(out, VX_STORE_F32, out, VX_STORE_F32, 1 / (float)heads, t);
    }
}

void vx_attn_fuse_cpu(vx_device *dev, const vx_attn_fuse *a)
{
    const vx_recorded *r = a->record;
    const int64_t heads = r->keep == VX_KEEP_FUSED || a->head >= 0 ? 1 : r->heads;
    vx_cpu_spread(vx_cpu_of(dev), attn_fuse_part, a, (int64_t)r->batch * r->tokens,
                  rows_of(heads * r->tokens));
}

/* Rows of out [B*H,T]. */
static void attn_row_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const vx_attn_row *a = op;
    const vx_recorded *r = a->record;
    const vx_pieces *pieces = &cpu->pieces;
    const size_t t = (size_t)r->tokens;
    const int begin = vx_query_first(a->query, a->prefix),
              end = vx_query_end(a->query, a->prefix, r->tokens);
    for (size_t bh = (size_t)first; bh < (size_t)(first + count); bh++) {
        float *out = a->out + bh * t;
        if (r->keep == VX_KEEP_ROW) {
            pieces->convert(out, VX_STORE_F32, recorded_at(r, bh * t), r->store, 1, t);
            continue;
        }
        memset(out, 0, t * sizeof *out);
        for (int i = begin; i < end; i++)
            pieces->fuse(out, recorded_at(r, (bh * t + (size_t)i) * t), r->store, t, VX_FUSE_MEAN);
        if (end - begin != 1)
            pieces->convert(out, VX_STORE_F32, out, VX_STORE_F32, 1 / (float)(end - begin), t);
    }
}

void vx_attn_row_cpu(vx_device *dev, const vx_attn_row *a)
{
    const vx_recorded *r = a->record;
    vx_cpu_spread(vx_cpu_of(dev), attn_row_part, a, (int64_t)r->batch * r->heads,
                  rows_of(a->query < 0 ? (int64_t)r->tokens * r->tokens : r->tokens));
}

/* --------------------------------------------------------------------------------- rollout -- */

static void discard_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_discard_smallest part = *(const vx_discard_smallest *)op;
    part.f += first * part.tokens * part.tokens;
    part.batch = (int)count;
    cpu->serial.discard_smallest(&cpu->base, &part);
}

void vx_discard_smallest_cpu(vx_device *dev, const vx_discard_smallest *a)
{
    vx_cpu_spread(vx_cpu_of(dev), discard_part, a, a->batch, 1);
}

static void rollout_part(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    vx_rollout_step part = *(const vx_rollout_step *)op;
    part.out += first * part.tokens;
    part.row += first * part.tokens;
    part.f += first * part.tokens * part.tokens;
    part.batch = (int)count;
    cpu->serial.rollout_step(&cpu->base, &part);
}

void vx_rollout_step_cpu(vx_device *dev, const vx_rollout_step *a)
{
    vx_cpu_spread(vx_cpu_of(dev), rollout_part, a, a->batch, 1);
}
