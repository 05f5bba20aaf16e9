/*
 * kernels/cpu/attention.c: y = softmax(scale q k^T) v, and what is recorded of the probabilities.
 *
 *   qkv [T, 3HE]                               e [rows, T]             y [T, HE]
 *      q       k       v                      +---------------+
 *   +--+----+--+----+--+----+     strip of    | exp(scores -  |      +--+----+
 *   |  |####|  |####|  |####| --> queries --> |   the largest)| -->  |  |####| rows, each divided
 *   |  |    |  |####|  |####|                 +---------------+      |  |    | by its sum of e
 *   +--+----+--+----+--+----+                 a worker's scratch     +--+----+
 *      head h
 *
 * A task is some queries of one picture and head. It packs k and v as panels in the precision's
 * format (panels.h), then goes through its queries in strips that stay near. Where heads are fused
 * while they are computed a task is some queries of a picture, with a loop over the heads; where
 * rows are averaged, a picture and head. Of sequences of different lengths the shorter ones have no
 * use for their last tasks. What is recorded is e divided by its sum, in f32 in every format.
 *
 * If no token attends to those behind it, a strip is multiplied with the keys up to about its last
 * query alone. The few scores among them that are not there become -infinity.
 */
#include "kernels/cpu/panels.h"

#include <math.h>
#include <string.h>

#define LEAST_ROWS 32  /* of a task: each packs all of k and v again */
#define CAUSAL_ROWS 32 /* of a causal strip: half of them squared is multiplied for nothing */

typedef struct run {
    vx_cpu *cpu;
    const vx_attention *a;
    const vx_panel_form *form;  /* of p and v, NULL: they are read where they lie */
    const vx_panel_form *finer; /* of q and k, with form: their products are exponents */
    const vx_panel_form *came;  /* of qkv, which is `form` then, or NULL: as floats */
    const vx_panel_form *to;    /* y is written in, or NULL: as floats */
    int attended;               /* queries that y is wanted of */
    int queries; /* that probabilities are wanted of, where y or the record takes them in turn */
    int tasks, rows; /* of one picture and head; queries of a task */
    int strip;       /* queries of a strip, at most */
} run;

/* A worker's memory for one strip. */
typedef struct strip {
    float *e, *by; /* [strip,T], rows lde apart; 1 / their sums */
    float *y;      /* [strip,E], rows ldy apart */
    char *p, *q;   /* packed rows of e, ldp apart, and of the queries */
    size_t lde, ldy, ldp;
    int shaped; /* the rows that strip_rows was called with, 0: none */
} strip;

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

/* The keys that a strip is multiplied with: if it is causal, steps of as many as two of the widest
 * vectors, so that a row is summed in the same order wherever its strip ends. */
static int keys_of(const vx_attention *a, const place *at)
{
    enum { STEP = 32 };
    const int tokens = tokens_of(a, at->b);
    return a->causal ? vx_least(vx_ceil_div(at->first + at->rows, STEP) * STEP, tokens) : tokens;
}

/* q, k or v (part 0, 1, 2) of a token: [E], tokens 3HE apart. */
static const float *part_of(const vx_attention *a, int part, int b, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = start_of(a, b) + (size_t)t;
    return a->qkv + (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

/* The same, if qkv came packed (vx_panel_head). */
static const char *packed_part_of(const run *r, int part, int b, int h, int t)
{
    const vx_attention *a = r->a;
    const size_t rows = vx_start_of(a->starts, a->batch, a->tokens);
    return (const char *)a->qkv + vx_panel_head(r->came, a->head_width, rows,
                                                (size_t)part * (size_t)a->heads + (size_t)h,
                                                start_of(a, b) + (size_t)t);
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

void vx_cpu_add_relative(const vx_cpu *cpu, float *p, size_t ldp, const vx_relative *r, int head,
                         int first, const int *tokens_of, int rows, int keys)
{
    for (int i = first; i < first + rows && r->table; i++, p += ldp)
        add_relative(cpu, p, r, r->table + (size_t)head * vx_relative_count(r->height, r->width),
                     tokens_of ? tokens_of[i] : i, tokens_of, keys);
}

static size_t filled(int n, int unit)
{
    return (size_t)vx_ceil_div(n, unit) * (size_t)unit;
}

/* Rows are kept from lying a multiple of 1 KiB apart, where they would share lines of the first
 * cache. */
static strip strip_of(const run *r, int worker)
{
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, worker);
    const size_t rows = (size_t)r->strip, keys = filled(r->a->tokens, 16);
    const size_t packed = r->form ? vx_panel_row(r->form, r->a->tokens) : 0;
    strip s = {.e = room.strip,
               .by = room.scales,
               .lde = keys % 256 ? keys : keys + 16,
               .ldy = filled(r->a->head_width, 16),
               .ldp = packed % 1024 ? packed : packed + VX_LINE};
    s.y = s.e + rows * s.lde;
    s.q = (char *)(s.y + rows * s.ldy);
    s.p = s.q + rows * filled(r->a->head_width, 32) * sizeof(float);
    return s;
}

/* Floats of a row of all that, at most. */
static size_t strip_row(const vx_attention *a)
{
    return filled(a->tokens, 16) + 16 + filled(a->tokens, 32) + 16 + filled(a->head_width, 16) +
           filled(a->head_width, 32);
}

/* Where the panels of v begin, behind those of k. */
static char *panels_of_v(const run *r, int worker)
{
    return vx_cpu_room_of(r->cpu, worker).panels +
           filled(r->a->tokens, 16) / 16 * vx_panel_bytes(r->finer, r->a->head_width);
}

/* k or v (part 1, 2) of a head as panels. */
static void pack_part(const run *r, const place *at, int part, vx_panels_of p)
{
    const int width = 3 * r->a->heads * r->a->head_width;
    if (r->came) {
        p.rows = packed_part_of(r, part, at->b, at->h, 0);
        p.ldr = vx_panel_row(r->came, r->a->head_width);
    } else {
        p.x = part_of(r->a, part, at->b, at->h, 0);
        p.ldx = width;
    }
    r->cpu->pieces.panels_of(&p);
}

static void pack_head(const run *r, const place *at)
{
    const int tokens = tokens_of(r->a, at->b), e = r->a->head_width;
    if (!r->form)
        return;
    pack_part(r, at, 1,
              (vx_panels_of){.to = vx_cpu_room_of(r->cpu, at->worker).panels,
                             .n = tokens,
                             .k = e,
                             .number = r->finer->number});
    pack_part(r, at, 2,
              (vx_panels_of){.to = panels_of_v(r, at->worker),
                             .x_is_kn = 1,
                             .n = e,
                             .k = tokens,
                             .number = r->form->number});
}

static void multiply(const run *r, strip *s, vx_number number, const vx_panel_product *p)
{
    const vx_pieces *pieces = &r->cpu->pieces;
    if (number == VX_NUMBER_F32 || !pieces->strip_product) {
        vx_panel_multiply(r->cpu, number, p);
        return;
    }
    if (s->shaped != p->m)
        pieces->strip_rows(p->m);
    s->shaped = p->m;
    pieces->strip_product(p, number);
}

/* The last strip of a task is done. */
static void finish(const run *r, const strip *s)
{
    if (s->shaped)
        r->cpu->pieces.strip_rows(0);
}

/* e = q k^T of a strip. */
static void products(const run *r, const place *at, strip *s)
{
    const vx_attention *a = r->a;
    const int ld = 3 * a->heads * a->head_width, keys = keys_of(a, at);
    const float *q = r->came ? NULL : part_of(a, 0, at->b, at->h, at->first);
    if (!r->form) {
        vx_cpu_gemm(r->cpu, at->worker,
                    &(vx_gemm){.c = s->e,
                               .a = q,
                               .b = part_of(a, 1, at->b, at->h, 0),
                               .ldc = (int)s->lde,
                               .lda = ld,
                               .ldb = ld,
                               .alpha = 1,
                               .m = at->rows,
                               .n = keys,
                               .k = a->head_width});
        return;
    }
    vx_panel_product p = {.c = s->e,
                          .ldc = (int)s->lde,
                          .a = (const char *)q,
                          .lda = (size_t)ld * sizeof *q,
                          .b = vx_cpu_room_of(r->cpu, at->worker).panels,
                          .ldb = vx_panel_bytes(r->finer, a->head_width),
                          .m = at->rows,
                          .panels = vx_ceil_div(keys, VX_PANEL),
                          .steps = vx_panel_steps(r->finer, a->head_width),
                          .k = a->head_width};
    if (r->came) {
        p.lda = vx_panel_row(r->came, a->head_width);
        p.a = packed_part_of(r, 0, at->b, at->h, at->first);
    } else if (r->finer->number != VX_NUMBER_F32) {
        p.lda = vx_panel_row(r->finer, a->head_width);
        vx_panel_pack_rows(r->cpu, r->finer->number,
                           &(vx_panel_rows){s->q, p.lda, NULL, q, ld, at->rows, a->head_width});
        p.a = s->q;
    }
    multiply(r, s, r->finer->number, &p);
}

/* Whether anything is recorded of a strip. */
static int recorded(const run *r, const place *at)
{
    const vx_recorded *k = &r->a->record;
    if (k->keep != VX_KEEP_ROW)
        return k->keep != VX_KEEP_NONE;
    const int first = at->first + r->a->first;
    return first < vx_query_end(k->query, k->prefix, r->a->tokens) &&
           first + at->rows > vx_query_first(k->query, k->prefix);
}

/* Takes the scores of a strip's keys that lie behind the query out of it; what lies behind its last
 * key becomes 0 if it is recorded. */
static void mask(const run *r, const place *at, strip *s)
{
    const vx_attention *a = r->a;
    const int keys = keys_of(a, at), all = recorded(r, at) ? tokens_of(a, at->b) : keys;
    float *row = s->e;
    for (int i = 0; i < at->rows && a->causal; i++, row += s->lde) {
        for (int j = at->first + i + 1; j < keys; j++)
            row[j] = -INFINITY;
        for (int j = keys; j < all; j++)
            row[j] = 0;
    }
}

/* by of a strip, and e if it is recorded or multiplied in f32: the probabilities are e by. */
static void exponentials(const run *r, const place *at, strip *s)
{
    const vx_attention *a = r->a;
    const int keys = keys_of(a, at);
    float scale = a->scale;
    products(r, at, s);
    if (a->relative.table || !(scale > 0)) {
        r->cpu->pieces.convert(s->e, VX_STORE_F32, s->e, VX_STORE_F32, scale,
                               (size_t)(at->rows - 1) * s->lde + (size_t)keys);
        vx_cpu_add_relative(r->cpu, s->e, s->lde, &a->relative, at->h, at->first,
                            a->tokens_of ? a->tokens_of + start_of(a, at->b) : NULL, at->rows,
                            keys);
        scale = 1;
    }
    mask(r, at, s);
    r->cpu->pieces.exponentials(
        &(vx_exponentials){.x = s->e,
                           .by = s->by,
                           .to = s->p,
                           .ldx = s->lde,
                           .ldt = s->ldp,
                           .number = r->form ? r->form->number : VX_NUMBER_F32,
                           .scale = scale,
                           .m = at->rows,
                           .n = keys,
                           .kept = !r->form || recorded(r, at)});
}

/* s->y = e v, of the first `rows` rows. */
static void sums_of_values(const run *r, const place *at, strip *s, int rows)
{
    const vx_attention *a = r->a;
    const int tokens = tokens_of(a, at->b), keys = keys_of(a, at);
    if (!r->form) {
        vx_cpu_gemm(r->cpu, at->worker,
                    &(vx_gemm){.c = s->y,
                               .a = s->e,
                               .b = part_of(a, 2, at->b, at->h, 0),
                               .b_is_kn = 1,
                               .ldc = (int)s->ldy,
                               .lda = (int)s->lde,
                               .ldb = 3 * a->heads * a->head_width,
                               .alpha = 1,
                               .m = rows,
                               .n = a->head_width,
                               .k = keys});
        return;
    }
    const int floats = r->form->number == VX_NUMBER_F32;
    multiply(r, s, r->form->number,
             &(vx_panel_product){.c = s->y,
                                 .ldc = (int)s->ldy,
                                 .a = floats ? (const char *)s->e : s->p,
                                 .lda = floats ? s->lde * sizeof *s->e : s->ldp,
                                 .b = panels_of_v(r, at->worker),
                                 .ldb = vx_panel_bytes(r->form, tokens),
                                 .m = rows,
                                 .panels = vx_ceil_div(a->head_width, VX_PANEL),
                                 .steps = vx_panel_steps(r->form, keys),
                                 .k = keys});
}

/* s->y, of the first `rows` rows, times by, becomes y. */
static void write_y(const run *r, const place *at, const strip *s, int rows)
{
    const vx_attention *a = r->a;
    const size_t e = (size_t)a->head_width, d = (size_t)a->heads * e;
    const size_t row = start_of(a, at->b) + (size_t)at->first, column = (size_t)at->h * e;
    if (r->to) {
        const size_t apart = vx_panel_apart(r->to, (int)d);
        const size_t lines = column / (size_t)r->to->k * (size_t)r->to->parts;
        r->cpu->pieces.rows_scaled(&(vx_panel_rows){(char *)a->y + row * apart + lines * VX_LINE,
                                                    apart, NULL, s->y, (int)s->ldy, rows,
                                                    a->head_width},
                                   s->by, r->to->number);
        return;
    }
    float *y = a->y + row * d + column;
    for (int i = 0; i < rows; i++, y += d)
        r->cpu->pieces.convert(y, VX_STORE_F32, s->y + (size_t)i * s->ldy, VX_STORE_F32, s->by[i],
                               e);
}

/* y of a strip, as far as it is wanted. e is recorded before: it lies near as long. */
static void answer(const run *r, const place *at, strip *s)
{
    const int rows = vx_least(at->rows, r->attended - at->first);
    if (rows <= 0)
        return;
    sums_of_values(r, at, s, rows);
    write_y(r, at, s, rows);
}

/* Element `index` of the record. */
static void *record_at(const vx_recorded *record, size_t index)
{
    return (char *)record->data + index * (record->store == VX_STORE_F16 ? 2 : 4);
}

/* Row i of a strip becomes the recorded row of a head. */
static void keep_row(const run *r, const place *at, const strip *s, int i)
{
    const vx_recorded *record = &r->a->record;
    const size_t t = (size_t)r->a->tokens, first = (size_t)r->a->first;
    const size_t head = (size_t)at->b * (size_t)r->a->heads + (size_t)at->h;
    char *row = record_at(record, head * t);
    const size_t element = record->store == VX_STORE_F16 ? 2 : 4;
    memset(row, 0, first * element);
    r->cpu->pieces.convert(row + first * element, record->store, s->e + (size_t)i * s->lde,
                           VX_STORE_F32, s->by[i], t - first);
}

/* The record of a strip of VX_KEEP_NONE, VX_KEEP_ALL, and VX_KEEP_ROW of one query. */
static void keep(const run *r, const place *at, const strip *s)
{
    const vx_recorded *record = &r->a->record;
    const size_t t = (size_t)r->a->tokens;
    const size_t head = (size_t)at->b * (size_t)r->a->heads + (size_t)at->h;
    const int query = record->query - r->a->first;
    if (record->keep == VX_KEEP_ROW && query >= at->first && query < at->first + at->rows)
        keep_row(r, at, s, query - at->first);
    if (record->keep == VX_KEEP_ALL)
        r->cpu->pieces.record_rows(
            &(vx_record_rows){.to = record_at(record, (head * t + (size_t)at->first) * t),
                              .store = record->store,
                              .ldt = t,
                              .x = s->e,
                              .ldx = s->lde,
                              .by = s->by,
                              .m = at->rows,
                              .n = (int)t});
}

/* A task of VX_KEEP_NONE, VX_KEEP_ALL, and VX_KEEP_ROW of one query. */
static void part_of_head(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    strip s = strip_of(r, worker);
    const int head = i / r->tasks, first = i % r->tasks * r->rows;
    place at = {worker, head / r->a->heads, head % r->a->heads, first, 0};
    const int end = vx_least(first + r->rows, vx_least(r->queries, tokens_of(r->a, at.b)));
    if (first >= end)
        return;
    pack_head(r, &at);
    for (; at.first < end; at.first += at.rows) {
        at.rows = vx_least(r->strip, end - at.first);
        exponentials(r, &at, &s);
        keep(r, &at, &s);
        answer(r, &at, &s);
    }
    const int query = record->query - r->a->first;
    if (record->keep == VX_KEEP_ROW && first == 0 && query >= r->queries) {
        at.first = query; /* no strip holds it */
        at.rows = 1;
        exponentials(r, &at, &s);
        keep_row(r, &at, &s, 0);
    }
    finish(r, &s);
}

/* A strip of the first head becomes `fused` [rows,T], one of another is added to it. */
static void fuse_strip(const run *r, const place *at, const strip *s, float *fused)
{
    const size_t t = (size_t)r->a->tokens;
    const vx_record_rows rows = {
        .to = fused, .ldt = t, .x = s->e, .ldx = s->lde, .by = s->by, .m = at->rows, .n = (int)t};
    for (int i = 0; i < at->rows && at->h == 0; i++)
        r->cpu->pieces.convert(fused + (size_t)i * t, VX_STORE_F32, s->e + (size_t)i * s->lde,
                               VX_STORE_F32, s->by[i], t);
    if (at->h)
        r->cpu->pieces.fuse_rows(&rows, r->a->record.fuse);
}

/* A task of VX_KEEP_FUSED. The sum lies in the record, or in scratch where that is half. */
static void part_of_heads(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, worker);
    strip s = strip_of(r, worker);
    const size_t t = (size_t)r->a->tokens;
    const int first = i % r->tasks * r->rows, end = vx_least(first + r->rows, r->a->tokens);
    place at = {worker, i / r->tasks, 0, first, 0};
    const size_t n = (size_t)(end - first) * t, index = ((size_t)at.b * t + (size_t)first) * t;
    float *fused = record->store == VX_STORE_F32 ? record_at(record, index)
                                                 : room.strip + room.strip_floats / 2;
    for (; at.h < r->a->heads; at.h++) {
        pack_head(r, &at);
        for (at.first = first; at.first < end; at.first += at.rows) {
            at.rows = vx_least(r->strip, end - at.first);
            exponentials(r, &at, &s);
            fuse_strip(r, &at, &s, fused + (size_t)(at.first - first) * t);
            answer(r, &at, &s);
        }
    }
    finish(r, &s);
    const float scale = record->fuse == VX_FUSE_MEAN ? 1 / (float)r->a->heads : 1;
    if (record->store == VX_STORE_F16 || record->fuse == VX_FUSE_MEAN)
        r->cpu->pieces.convert(record_at(record, index), record->store, fused, VX_STORE_F32, scale,
                               n);
}

/* A task of VX_KEEP_ROW, the mean over several rows. */
static void head_mean(void *arg, int i, int worker)
{
    const run *r = arg;
    const vx_recorded *record = &r->a->record;
    const vx_pieces *pieces = &r->cpu->pieces;
    strip s = strip_of(r, worker);
    float *row = vx_cpu_room_of(r->cpu, worker).row;
    const size_t t = (size_t)r->a->tokens;
    const int begin = vx_query_first(record->query, record->prefix),
              end = vx_query_end(record->query, record->prefix, r->a->tokens);
    place at = {worker, i / r->a->heads, i % r->a->heads, 0, 0};
    memset(row, 0, t * sizeof *row);
    pack_head(r, &at);
    for (; at.first < r->a->tokens; at.first += at.rows) {
        at.rows = vx_least(r->strip, r->a->tokens - at.first);
        exponentials(r, &at, &s);
        answer(r, &at, &s);
        for (int q = at.first < begin ? begin - at.first : 0; q < at.rows && at.first + q < end;
             q++) {
            float *e = s.e + (size_t)q * s.lde;
            pieces->convert(e, VX_STORE_F32, e, VX_STORE_F32, s.by[q], t);
            pieces->fuse(row, e, VX_STORE_F32, t, VX_FUSE_MEAN);
        }
    }
    finish(r, &s);
    pieces->convert(record_at(record, (size_t)i * t), record->store, row, VX_STORE_F32,
                    1 / (float)(end - begin), t);
}

/* As few tasks of at most `most` queries as leave no more than a tenth of the workers' time
 * idle. */
static void choose_tasks(run *r, int heads, int most)
{
    const int q = r->queries, workers = r->cpu->base.env.workers;
    const int least = vx_ceil_div(q, most);
    double best = -1;
    for (int cuts = least; cuts < least + 8; cuts++) {
        const int rows = vx_ceil_div(q, cuts);
        if (cuts > least && rows < LEAST_ROWS)
            break;
        const int tasks = heads * vx_ceil_div(q, rows);
        const double busy = (double)tasks / ((double)vx_ceil_div(tasks, workers) * workers);
        if (busy > best + 0.01) {
            best = busy;
            r->rows = rows;
            r->tasks = vx_ceil_div(q, rows);
        }
        if (best >= 0.9)
            break;
    }
}

/* bf16 stands in for int8. f32 stands in for bf16 if the processor has no instructions for it, and
 * for bf16x3 if it has no tiles: f32 is the faster one there. */
vx_number vx_attention_number(const vx_cpu *cpu)
{
    if (cpu->number == VX_NUMBER_F32)
        return VX_NUMBER_F32;
    if (cpu->number == VX_NUMBER_BF16X3)
        return cpu->flags & VX_CPU_AMX ? VX_NUMBER_BF16X3 : VX_NUMBER_F32;
    return cpu->flags & (VX_CPU_BF16 | VX_CPU_AMX) ? VX_NUMBER_BF16 : VX_NUMBER_F32;
}

/* As good as f32, for half of attention's products. */
const vx_panel_form *vx_scores_form(const vx_cpu *cpu, const vx_panel_form *form)
{
    if (!form || form->number != VX_NUMBER_BF16)
        return form;
    return &vx_panel_forms[cpu->flags & VX_CPU_AMX ? VX_NUMBER_BF16X3 : VX_NUMBER_F32];
}

/* Few queries gain nothing from panels, and OpenBLAS has its own. */
static const vx_panel_form *form_of(const vx_cpu *cpu, int queries)
{
    const vx_number number = vx_attention_number(cpu);
    if (queries <= VX_GEMM_FEW ||
        (number == VX_NUMBER_F32 && cpu->blas && !(cpu->flags & VX_CPU_AVX512)))
        return NULL;
    return &vx_panel_forms[number];
}

/* Packed rows hold 32 columns in a line, so a head of another width would begin inside one. */
const vx_packing *vx_attention_packing(const vx_device *dev, int head_width, int queries)
{
    const vx_panel_form *form = form_of((const vx_cpu *)dev, queries);
    return form && head_width % 32 == 0 && vx_panel_written(&form->packing) ? &form->packing : NULL;
}

/* Queries of a strip: as many as stay in the first cache, and whole blocks of the products. */
static int strip_rows(const run *r, size_t room)
{
    enum { OF_TILES = VX_STRIP_ROWS, OF_VECTORS = 48 };
    const size_t fit = room / strip_row(r->a);
    const int wanted = r->a->causal ? CAUSAL_ROWS : VX_ROW_SCALES;
    const int most = fit < (size_t)wanted ? (int)fit : wanted;
    if (!r->form)
        return most;
    return vx_least(most, r->form->number != VX_NUMBER_F32 && r->cpu->flags & VX_CPU_AMX
                              ? OF_TILES
                              : OF_VECTORS);
}

void vx_attention_cpu(vx_device *dev, const vx_attention *given)
{
    const vx_attention floats = vx_attention_floats(given), *a = &floats;
    const vx_recorded *record = &a->record;
    run r = {.cpu = vx_cpu_of(dev), .a = a};
    const int of_mean = record->keep == VX_KEEP_ROW && record->query < 0, t = a->tokens - a->first;
    const int halves = record->keep == VX_KEEP_FUSED && record->store == VX_STORE_F16;
    const size_t room = vx_cpu_room_of(r.cpu, 0).strip_floats / (halves ? 2 : 1);
    if (a->batch <= 0 || t <= 0)
        return;
    r.attended = a->queries > 0 ? vx_least(a->queries, t) : t;
    r.queries =
        record->keep == VX_KEEP_ALL || record->keep == VX_KEEP_FUSED || of_mean ? t : r.attended;
    r.came = vx_panel_written(a->qkv_form);
    r.to = vx_panel_written(a->y_form);
    r.form = r.came ? r.came : form_of(r.cpu, r.queries);
    r.finer = a->differentiated && !r.came ? vx_scores_form(r.cpu, r.form) : r.form;
    r.strip = strip_rows(&r, room);
    if (record->keep == VX_KEEP_FUSED) {
        const size_t fit = halves ? room / (size_t)t : (size_t)t;
        choose_tasks(&r, a->batch, fit < (size_t)t ? (int)fit : t);
        dev->env.parallel(part_of_heads, &r, a->batch * r.tasks, dev->env.owner);
        return;
    }
    choose_tasks(&r, a->batch * a->heads, r.form ? t : r.strip);
    if (of_mean)
        dev->env.parallel(head_mean, &r, a->batch * a->heads, dev->env.owner);
    else
        dev->env.parallel(part_of_head, &r, a->batch * a->heads * r.tasks, dev->env.owner);
}
