/*
 * kernels/cpu/attention.c: y = softmax(scale q k^T) v, and what is recorded of the probabilities.
 *
 *   qkv [T, 3HE], read where it lies           p [rows, T]              y [T, HE]
 *      q       k       v                      +---------------+
 *   +--+----+--+----+--+----+     strip of    | softmax of    |      +--+----+
 *   |  |####|  |####|  |####| --> queries --> | scale q k^T   | -->  |  |####| rows
 *   |  |    |  |####|  |####|                 +---------------+      |  |    |
 *   +--+----+--+----+--+----+                 a worker's scratch,
 *      head h                                 or the record itself
 *
 * A task is a strip of queries of one picture and head, so that a few heads still keep all workers
 * busy. Where heads are fused while they are computed it is a strip of a picture, with a loop over
 * the heads; where rows are averaged, a picture and head, with a loop over the strips. Of sequences
 * of different lengths the shorter ones have no use for their last strips.
 */
#include "kernels/cpu/cpu.h"

#include <string.h>

#define LEAST_ROWS 32 /* of a strip: each packs all of k and v again */

typedef struct run {
    vx_cpu *cpu;
    const vx_attention *a;
    int attended; /* queries that y is wanted of */
    int queries;  /* that probabilities are wanted of, where y or the record takes them in turn */
    int strips, rows; /* of one picture and head */
} run;

typedef struct place {
    int worker, b, h, first, rows;
} place;

/* Where sequence b begins, and its tokens: those from `first` on. Tokens are counted from there
 * everywhere below, but for the record. */
static size_t start_of(const vx_attention *a, int b)
{
    return vx_start_of(a->starts, b, a->tokens) + (size_t)a->first;
}

static int tokens_of(const vx_attention *a, int b)
{
    return vx_tokens_of(a->starts, b, a->tokens) - a->first;
}

/* q, k or v (part 0, 1, 2) of a token: [E], tokens 3HE apart. */
static const float *part_of(const vx_attention *a, int part, int b, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = start_of(a, b) + (size_t)t;
    return a->qkv + (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

/* p [keys] += what is added to the scores of one query. tokens_of: [keys], or NULL. */
static void add_relative(const vx_cpu *cpu, float *p, const vx_relative *r, const float *table,
                         int query, const int *tokens_of, int keys)
{
    const int w = r->width, at = query - r->prefix;
    const float *ends = table + vx_relative_count(r->height, w) - 3;
    int j = 0, n;
    for (; j < keys && (tokens_of ? tokens_of[j] : j) < r->prefix; j++)
        p[j] += ends[at < 0 ? 2 : 1];
    for (; j < keys && at < 0; j++)
        p[j] += ends[0];
    for (; j < keys; j += n) { /* n keys that lie beside each other in a row of the grid */
        const int key = (tokens_of ? tokens_of[j] : j) - r->prefix, x = key % w;
        const int most = vx_least(w - x, keys - j);
        for (n = 1; n < most && (!tokens_of || tokens_of[j + n] == tokens_of[j] + n);)
            n++;
        cpu->pieces.fuse(
            p + j, table + (key / w - at / w + r->height - 1) * (2 * w - 1) + x - at % w + w - 1,
            VX_STORE_F32, (size_t)n, VX_FUSE_MEAN);
    }
}

void vx_cpu_add_relative(const vx_cpu *cpu, float *p, const vx_relative *r, int head, int first,
                         const int *tokens_of, int rows, int keys)
{
    for (int i = first; i < first + rows && r->table; i++, p += keys)
        add_relative(cpu, p, r, r->table + (size_t)head * vx_relative_count(r->height, r->width),
                     tokens_of ? tokens_of[i] : i, tokens_of, keys);
}

/* The probabilities of a strip: p [rows,T]. */
static void probabilities(const run *r, const place *at, float *p)
{
    const vx_attention *a = r->a;
    const int ld = 3 * a->heads * a->head_width, tokens = tokens_of(a, at->b);
    vx_cpu_gemm(r->cpu, at->worker,
                &(vx_gemm){.c = p,
                           .a = part_of(a, 0, at->b, at->h, at->first),
                           .b = part_of(a, 1, at->b, at->h, 0),
                           .ldc = tokens,
                           .lda = ld,
                           .ldb = ld,
                           .alpha = a->scale,
                           .m = at->rows,
                           .n = tokens,
                           .k = a->head_width});
    vx_cpu_add_relative(r->cpu, p, &a->relative, at->h, at->first,
                        a->tokens_of ? a->tokens_of + start_of(a, at->b) : NULL, at->rows, tokens);
    r->cpu->serial.softmax(&r->cpu->base,
                           &(vx_softmax){.y = p, .x = p, .m = at->rows, .n = tokens});
}

/* y of a strip, as far as it is wanted, from its probabilities. */
static void values(const run *r, const place *at, const float *p)
{
    const vx_attention *a = r->a;
    const size_t token = start_of(a, at->b) + (size_t)at->first;
    const int rows = vx_least(at->rows, r->attended - at->first), tokens = tokens_of(a, at->b);
    if (rows <= 0)
        return;
    vx_cpu_gemm(
        r->cpu, at->worker,
        &(vx_gemm){.c = a->y + (token * (size_t)a->heads + (size_t)at->h) * (size_t)a->head_width,
                   .a = p,
                   .b = part_of(a, 2, at->b, at->h, 0),
                   .b_is_kn = 1,
                   .ldc = a->heads * a->head_width,
                   .lda = tokens,
                   .ldb = 3 * a->heads * a->head_width,
                   .alpha = 1,
                   .m = rows,
                   .n = a->head_width,
                   .k = tokens});
}

/* Element `index` of the record. */
static void *record_at(const vx_recorded *record, size_t index)
{
    return (char *)record->data + index * (record->store == VX_STORE_F16 ? 2 : 4);
}

/* Row p of a head is the recorded one. */
static void keep_row(const run *r, int head, const float *p)
{
    const vx_recorded *record = &r->a->record;
    const size_t t = (size_t)r->a->tokens, first = (size_t)r->a->first;
    char *row = record_at(record, (size_t)head * t);
    const size_t element = record->store == VX_STORE_F16 ? 2 : 4;
    memset(row, 0, first * element);
    r->cpu->pieces.convert(row + first * element, record->store, p, VX_STORE_F32, 1, t - first);
}

/* The recorded row of a head, if no strip holds it. */
static void record_row(const run *r, place at)
{
    float *p = vx_cpu_room_of(r->cpu, at.worker).row;
    at.first = r->a->record.query - r->a->first;
    at.rows = 1;
    probabilities(r, &at, p);
    keep_row(r, at.b * r->a->heads + at.h, p);
}

/* A task of VX_KEEP_NONE, VX_KEEP_ALL, and VX_KEEP_ROW of one query. */
static void strip_of_head(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    const size_t t = (size_t)r->a->tokens;
    const int first = i % r->strips * r->rows, head = i / r->strips;
    place at = {worker, head / r->a->heads, head % r->a->heads, first, 0};
    at.rows = vx_least(r->rows, vx_least(r->queries, tokens_of(r->a, at.b)) - first);
    if (at.rows <= 0)
        return;
    const size_t n = (size_t)at.rows * t, index = ((size_t)head * t + (size_t)first) * t;
    float *p = vx_cpu_room_of(r->cpu, worker).strip;
    if (record->keep == VX_KEEP_ALL && record->store == VX_STORE_F32)
        p = record_at(record, index);
    probabilities(r, &at, p);
    if (record->keep == VX_KEEP_ALL && record->store == VX_STORE_F16)
        r->cpu->pieces.convert(record_at(record, index), VX_STORE_F16, p, VX_STORE_F32, 1, n);
    const int query = record->query - r->a->first;
    if (record->keep == VX_KEEP_ROW && query >= first && query < first + at.rows)
        keep_row(r, head, p + (size_t)(query - first) * (t - (size_t)r->a->first));
    values(r, &at, p);
    if (record->keep == VX_KEEP_ROW && first == 0 && query >= r->queries)
        record_row(r, at);
}

/* A task of VX_KEEP_FUSED. The sum lies in the record, or in scratch where that is half. */
static void strip_of_heads(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    const vx_pieces *pieces = &r->cpu->pieces;
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const size_t t = (size_t)r->a->tokens;
    const int first = i % r->strips * r->rows;
    place at = {worker, i / r->strips, 0, first, vx_least(r->rows, r->a->tokens - first)};
    const size_t n = (size_t)at.rows * t, index = ((size_t)at.b * t + (size_t)first) * t;
    float *fused =
        record->store == VX_STORE_F32 ? record_at(record, index) : s.strip + s.strip_floats / 2;
    for (; at.h < r->a->heads; at.h++) {
        float *p = at.h ? s.strip : fused;
        probabilities(r, &at, p);
        values(r, &at, p);
        if (at.h)
            pieces->fuse(fused, p, VX_STORE_F32, n, record->fuse);
    }
    const float scale = record->fuse == VX_FUSE_MEAN ? 1 / (float)r->a->heads : 1;
    if (record->store == VX_STORE_F16 || record->fuse == VX_FUSE_MEAN)
        pieces->convert(record_at(record, index), record->store, fused, VX_STORE_F32, scale, n);
}

/* A task of VX_KEEP_ROW, the mean over several rows. */
static void head_mean(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    const vx_pieces *pieces = &r->cpu->pieces;
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const size_t t = (size_t)r->a->tokens;
    const int begin = vx_query_first(record->query, record->prefix),
              end = vx_query_end(record->query, record->prefix, r->a->tokens);
    place at = {worker, i / r->a->heads, i % r->a->heads, 0, 0};
    memset(s.row, 0, t * sizeof *s.row);
    for (; at.first < r->a->tokens; at.first += r->rows) {
        at.rows = vx_least(r->rows, r->a->tokens - at.first);
        probabilities(r, &at, s.strip);
        values(r, &at, s.strip);
        for (int q = at.first < begin ? begin - at.first : 0; q < at.rows && at.first + q < end;
             q++)
            pieces->fuse(s.row, s.strip + (size_t)q * t, VX_STORE_F32, t, VX_FUSE_MEAN);
    }
    pieces->convert(record_at(record, (size_t)i * t), record->store, s.row, VX_STORE_F32,
                    1 / (float)(end - begin), t);
}

/* As few strips as fit the scratch and leave no more than a tenth of the workers' time idle. */
static void choose_strips(run *r, int heads, size_t room)
{
    const int q = r->queries, workers = r->cpu->base.env.workers;
    const size_t fit = room / (size_t)r->a->tokens;
    const int most = fit < (size_t)q ? (int)fit : q;
    const int least = vx_ceil_div(q, most > 0 ? most : 1);
    double best = -1;
    for (int strips = least; strips < least + 8; strips++) {
        const int rows = vx_ceil_div(q, strips);
        if (strips > least && rows < LEAST_ROWS)
            break;
        const int tasks = heads * vx_ceil_div(q, rows);
        const double busy = (double)tasks / ((double)vx_ceil_div(tasks, workers) * workers);
        if (busy > best + 0.01) {
            best = busy;
            r->rows = rows;
            r->strips = vx_ceil_div(q, rows);
        }
        if (best >= 0.9)
            break;
    }
}

void vx_attention_cpu(vx_device *dev, const vx_attention *given)
{
    const vx_attention floats = vx_attention_floats(given), *a = &floats;
    const vx_recorded *record = &a->record;
    run r = {.cpu = vx_cpu_of(dev), .a = a};
    const size_t room = vx_cpu_room_of(r.cpu, 0).strip_floats;
    const int of_mean = record->keep == VX_KEEP_ROW && record->query < 0, t = a->tokens - a->first;
    if (a->batch <= 0 || t <= 0)
        return;
    r.attended = a->queries > 0 ? vx_least(a->queries, t) : t;
    r.queries =
        record->keep == VX_KEEP_ALL || record->keep == VX_KEEP_FUSED || of_mean ? t : r.attended;
    if (record->keep == VX_KEEP_FUSED) {
        choose_strips(&r, a->batch, record->store == VX_STORE_F16 ? room / 2 : room);
        dev->env.parallel(strip_of_heads, &r, a->batch * r.strips, dev->env.owner);
        return;
    }
    choose_strips(&r, a->batch * a->heads, room);
    if (of_mean)
        dev->env.parallel(head_mean, &r, a->batch * a->heads, dev->env.owner);
    else
        dev->env.parallel(strip_of_head, &r, a->batch * a->heads * r.strips, dev->env.owner);
}
