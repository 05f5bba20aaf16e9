/*
 * kernels/cpu/attention_bwd.c: d probabilities and d qkv from d y, the mirror of attention.c.
 *
 *                       over keys                      for a strip of queries
 *      +---------+     +---------+
 *      |    p    |     |   dp    |        p  = softmax(scale q k^T), or as it was recorded
 *      +---------+     +---------+        dp = dy v^T, written where it is wanted
 *           \             /               dv += p^T dy
 *             +---------+                 ds = scale p (dp - rowsum(p dp))
 *             |   ds    |                 dq = ds k,  dk += ds^T q
 *             +---------+
 *
 * A task is a head of a gradient. Where that leaves workers idle (DeiT-tiny's three heads on two),
 * the queries of all heads are dealt out evenly instead: a task that begins inside a head keeps its
 * share of that head's dk and dv apart (vx_cpu_room.part), and the shares are added at the end.
 *
 * bf16 and bf16x3 multiply panels (panels.h): k and v are packed once a task and head, the strip's
 * own matrices where they are needed.
 */
#include "kernels/cpu/panels.h"

#include <math.h>
#include <string.h>

#define LEAST_ROWS 16 /* of a task, and of a strip where there is room: each packs k and v again */
#define BUSY 0.85     /* of the workers' time, below which heads are cut */

typedef struct run {
    vx_cpu *cpu;
    const vx_attention_bwd *a;
    const vx_panel_form *form;  /* NULL: f32, as the matrices lie */
    const vx_panel_form *finer; /* of q and k, where p is computed again */
    int tasks, rows;            /* rows: of a strip, at most */
} run;

/* A strip: queries first..first+rows-1 of head h of gradient g, and where its dk and dv go. */
typedef struct place {
    int worker, g, h, first, rows;
    float *dk, *dv;
    int ld, accumulate;
} place;

/* The tokens that are there: those from a->first on. */
static int present(const vx_attention_bwd *a)
{
    return a->tokens - a->first;
}

static int ld_of(const vx_attention_bwd *a)
{
    return 3 * a->heads * a->head_width;
}

/* Part 0, 1, 2 (q, k or v) of a token of picture b in qkv; of gradient b in dqkv. */
static size_t part_at(const vx_attention_bwd *a, int part, int b, int h, int t)
{
    const size_t heads = (size_t)a->heads, e = (size_t)a->head_width;
    const size_t token = (size_t)b * (size_t)a->tokens + (size_t)t;
    return (token * 3 + (size_t)part) * heads * e + (size_t)h * e;
}

static const float *qkv_at(const vx_attention_bwd *a, int part, const place *at, int t)
{
    return a->qkv + part_at(a, part, at->g / a->targets, at->h, t);
}

/* The row of a token in [.,H,R,R], of picture or gradient b. */
static size_t row_at(const vx_attention_bwd *a, int b, int h, int token)
{
    const size_t t = (size_t)present(a);
    return (((size_t)b * (size_t)a->heads + (size_t)h) * t + (size_t)(token - a->first)) * t;
}

static const float *dy_at(const vx_attention_bwd *a, const place *at)
{
    const size_t row = (size_t)at->g * (size_t)a->queries + (size_t)(at->first - a->first);
    return a->dy + (row * (size_t)a->heads + (size_t)at->h) * (size_t)a->head_width;
}

/* ------------------------------------------------------------------------ panels --------- */

/* Panels of a head: k and v with keys as outputs, k with its columns, and what a strip packs. */
enum { K_KEYS, V_KEYS, K_COLUMNS, OF_STRIP };

static char *panels_at(const run *r, int worker, int which)
{
    const size_t keys = (size_t)vx_ceil_div(r->a->tokens, 64) * 64,
                 e = (size_t)vx_ceil_div(r->a->head_width, 64) * 64;
    return vx_cpu_room_of(r->cpu, worker).panels + (size_t)which * keys * e * sizeof(float);
}

static const vx_panel_form *form_of(const run *r, int which)
{
    return which == K_KEYS ? r->finer : r->form;
}

static void pack_panels(const run *r, int worker, int which, const float *x, int ldx, int x_is_kn,
                        int n, int k)
{
    r->cpu->pieces.panels_of(&(vx_panels_of){panels_at(r, worker, which), x, ldx, x_is_kn, n, k,
                                             form_of(r, which)->number, NULL, 0});
}

static void pack_head(const run *r, const place *at)
{
    const vx_attention_bwd *a = r->a;
    const int t = present(a), ld = ld_of(a), e = a->head_width;
    if (!r->form)
        return;
    pack_panels(r, at->worker, V_KEYS, qkv_at(a, 2, at, a->first), ld, 0, t, e);
    if (!a->dqkv)
        return;
    if (!a->p)
        pack_panels(r, at->worker, K_KEYS, qkv_at(a, 1, at, a->first), ld, 0, t, e);
    pack_panels(r, at->worker, K_COLUMNS, qkv_at(a, 1, at, a->first), ld, 1, e, t);
}

/* Where products lie, behind the strip's p and dp: rows of whole panels. */
static float *products_of(const run *r, int worker, size_t *floats)
{
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, worker);
    const size_t used = (size_t)r->rows * 2 * (size_t)present(r->a);
    *floats = room.strip_floats - used;
    return room.strip + used;
}

/* Rows of x that are packed already, lda bytes apart, times some panels; n outputs. @return [m,n],
 * rows *ld apart */
static const float *times_panels(const run *r, int worker, int which, const char *x, size_t lda,
                                 int m, int n, int k, int *ld)
{
    const vx_panel_form *form = form_of(r, which);
    size_t floats;
    float *c = products_of(r, worker, &floats);
    *ld = vx_ceil_div(n, VX_PANEL) * VX_PANEL;
    vx_panel_multiply(r->cpu, form->number,
                      &(vx_panel_product){.c = c,
                                          .ldc = *ld,
                                          .a = x,
                                          .lda = lda,
                                          .b = panels_at(r, worker, which),
                                          .ldb = vx_panel_bytes(form, k),
                                          .m = m,
                                          .panels = *ld / VX_PANEL,
                                          .steps = vx_panel_steps(form, k),
                                          .k = k});
    return c;
}

/* c[rows,n], rows ldc apart, = scale x b, x being [rows,k] and b packed. */
static void rows_times(const run *r, const place *at, float *c, size_t ldc, const float *x, int ldx,
                       int which, int n, int k, float scale)
{
    const vx_panel_form *form = form_of(r, which);
    vx_panel_rows rows = {
        vx_cpu_room_of(r->cpu, at->worker).rows, vx_panel_row(form, k), NULL, x, ldx, at->rows, k};
    int ld;
    if (form->number == VX_NUMBER_F32) {
        rows.to = (char *)(uintptr_t)x;
        rows.ldt = (size_t)ldx * sizeof *x;
    } else {
        vx_panel_pack_rows(r->cpu, form->number, &rows);
    }
    const float *from = times_panels(r, at->worker, which, rows.to, rows.ldt, at->rows, n, k, &ld);
    for (int i = 0; i < at->rows; i++, c += ldc, from += ld)
        r->cpu->pieces.convert(c, VX_STORE_F32, from, VX_STORE_F32, scale, (size_t)n);
}

/* d [R,E] (+)= c^T x as panels: some keys at a time. */
static void columns_times(const run *r, const place *at, float *d, const float *c, const float *x,
                          int ldx)
{
    const int e = r->a->head_width, t = present(r->a);
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, at->worker);
    size_t floats;
    (void)products_of(r, at->worker, &floats);
    const size_t by_sums = floats / ((size_t)vx_ceil_div(e, VX_PANEL) * VX_PANEL),
                 by_rows = room.rows_bytes / vx_panel_row(r->form, at->rows);
    const size_t fit = by_sums < by_rows ? by_sums : by_rows;
    const int most = fit < (size_t)t ? (int)fit : t;
    pack_panels(r, at->worker, OF_STRIP, x, ldx, 1, e, at->rows);
    for (int key = 0; key < t; key += most) {
        const int keys = vx_least(most, t - key);
        int ld;
        r->cpu->pieces.rows_of(
            &(vx_panels_of){room.rows, c + key, t, 1, keys, at->rows, r->form->number, NULL, 0});
        const float *from = times_panels(r, at->worker, OF_STRIP, room.rows,
                                         vx_panel_row(r->form, at->rows), keys, e, at->rows, &ld);
        for (int i = 0; i < keys; i++, d += at->ld, from += ld)
            if (at->accumulate)
                r->cpu->pieces.fuse(d, from, VX_STORE_F32, (size_t)e, VX_FUSE_MEAN);
            else
                memcpy(d, from, (size_t)e * sizeof *d);
    }
}

/* ---------------------------------------------------------------------- products --------- */

/* c [rows,R] = scale x k^T or x v^T, x being rows of q or of dy, R the tokens that are there. */
static void times_keys(const run *r, const place *at, float *c, const float *x, int ldx, int part,
                       float scale)
{
    if (r->form) {
        rows_times(r, at, c, (size_t)present(r->a), x, ldx, part == 1 ? K_KEYS : V_KEYS,
                   present(r->a), r->a->head_width, scale);
        return;
    }
    vx_cpu_gemm(r->cpu, at->worker,
                &(vx_gemm){.c = c,
                           .a = x,
                           .b = qkv_at(r->a, part, at, r->a->first),
                           .ldc = present(r->a),
                           .lda = ldx,
                           .ldb = ld_of(r->a),
                           .alpha = scale,
                           .m = at->rows,
                           .n = present(r->a),
                           .k = r->a->head_width});
}

/* dk or dv [R,E] (+)= c^T x, c [rows,R]. */
static void into_keys(const run *r, const place *at, float *d, const float *c, const float *x,
                      int ldx)
{
    if (r->form) {
        columns_times(r, at, d, c, x, ldx);
        return;
    }
    vx_cpu_gemm(r->cpu, at->worker,
                &(vx_gemm){.c = d,
                           .a = c,
                           .b = x,
                           .ldc = at->ld,
                           .lda = present(r->a),
                           .ldb = ldx,
                           .a_is_km = 1,
                           .b_is_kn = 1,
                           .accumulate = at->accumulate,
                           .alpha = 1,
                           .m = present(r->a),
                           .n = r->a->head_width,
                           .k = at->rows});
}

static void d_queries(const run *r, const place *at, const float *ds)
{
    float *dq = r->a->dqkv + part_at(r->a, 0, at->g, at->h, at->first);
    if (r->form) {
        rows_times(r, at, dq, (size_t)ld_of(r->a), ds, present(r->a), K_COLUMNS, r->a->head_width,
                   present(r->a), 1);
        return;
    }
    vx_cpu_gemm(r->cpu, at->worker,
                &(vx_gemm){.c = dq,
                           .a = ds,
                           .b = qkv_at(r->a, 1, at, r->a->first),
                           .ldc = ld_of(r->a),
                           .lda = present(r->a),
                           .ldb = ld_of(r->a),
                           .b_is_kn = 1,
                           .alpha = 1,
                           .m = at->rows,
                           .n = r->a->head_width,
                           .k = present(r->a)});
}

static void strip(const run *r, const place *at)
{
    const vx_attention_bwd *a = r->a;
    const int t = present(a), ldy = a->heads * a->head_width;
    const float *dy = dy_at(a, at), *q = qkv_at(a, 0, at, at->first);
    float *scratch = vx_cpu_room_of(r->cpu, at->worker).strip;
    float *dp =
        a->dp ? a->dp + row_at(a, at->g, at->h, at->first) : scratch + (size_t)r->rows * (size_t)t;
    times_keys(r, at, dp, dy, ldy, 2, 1);
    if (!a->dqkv)
        return;
    const float *p = scratch;
    if (a->p) {
        p = a->p + row_at(a, at->g / a->targets, at->h, at->first);
    } else {
        times_keys(r, at, scratch, q, ld_of(a), 1, a->scale);
        vx_cpu_add_relative(r->cpu, scratch, (size_t)t, &a->relative, at->h, at->first, NULL,
                            at->rows, t);
        for (int i = 0; i < at->rows && a->causal; i++)
            for (int j = at->first - a->first + i + 1; j < t; j++)
                scratch[(size_t)i * (size_t)t + (size_t)j] = -INFINITY;
        r->cpu->serial.softmax(&r->cpu->base,
                               &(vx_softmax){.y = scratch, .x = scratch, .m = at->rows, .n = t});
    }
    into_keys(r, at, at->dv, p, dy, ldy);
    r->cpu->pieces.softmax_bwd(scratch, p, dp, a->scale, at->rows, t);
    d_queries(r, at, scratch);
    into_keys(r, at, at->dk, scratch, q, ld_of(a));
}

/* dp and dq of the tokens that were no queries; dq, dk and dv of those that are not there. */
static void clear_others(const vx_attention_bwd *a, const place *at)
{
    const int end = a->first + a->queries;
    if (a->dp)
        memset(a->dp + row_at(a, at->g, at->h, end), 0,
               (size_t)(a->tokens - end) * (size_t)present(a) * sizeof *a->dp);
    for (int t = 0; t < a->tokens && a->dqkv; t++)
        for (int part = 0; part < 3; part++)
            if (t < a->first || (t >= end && part == 0))
                memset(a->dqkv + part_at(a, part, at->g, at->h, t), 0,
                       (size_t)a->head_width * sizeof *a->dqkv);
}

/* Where task i of the even deal begins, counted in queries of all heads. */
static int64_t begin_of(const run *r, int i)
{
    const int64_t heads = (int64_t)r->a->batch * r->a->targets * r->a->heads;
    return heads * r->a->queries * i / r->tasks;
}

/* Queries first..first+count-1 of one head, in strips; dk and dv go to their place or, where that
 * is another task's, into the worker memory of this task's number. */
static void share_of_head(const run *r, int task, int worker, int head, int first, int count)
{
    const vx_attention_bwd *a = r->a;
    place at = {.worker = worker, .g = head / a->heads, .h = head % a->heads};
    if (first > 0 && a->dqkv) {
        at.dk = vx_cpu_room_of(r->cpu, task).part;
        at.dv = at.dk + a->head_width;
        at.ld = 2 * a->head_width;
    } else if (a->dqkv) {
        at.dk = a->dqkv + part_at(a, 1, at.g, at.h, a->first);
        at.dv = a->dqkv + part_at(a, 2, at.g, at.h, a->first);
        at.ld = ld_of(a);
    }
    pack_head(r, &at);
    for (int i = 0; i < count; i += r->rows) {
        at.first = a->first + first + i;
        at.rows = vx_least(r->rows, count - i);
        at.accumulate = i > 0;
        strip(r, &at);
    }
    if (first + count == a->queries)
        clear_others(a, &at);
}

static void run_task(void *arg, int i, int worker)
{
    const run *r = arg;
    const int queries = r->a->queries;
    int64_t at = begin_of(r, i);
    const int64_t end = begin_of(r, i + 1);
    while (at < end) {
        const int first = (int)(at % queries);
        const int count = end - at < queries - first ? (int)(end - at) : queries - first;
        share_of_head(r, i, worker, (int)(at / queries), first, count);
        at += count;
    }
}

/* Tokens first..first+count-1 of dk and dv of all heads that were cut. */
static void add_shares(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const run *r = op;
    const vx_attention_bwd *a = r->a;
    const size_t e = (size_t)a->head_width;
    for (int i = 0; i < r->tasks; i++) {
        const int64_t begin = begin_of(r, i);
        const int head = (int)(begin / a->queries);
        if (begin % a->queries == 0)
            continue;
        const float *part = vx_cpu_room_of(cpu, i).part + (size_t)first * 2 * e;
        for (int t = (int)first; t < (int)(first + count); t++, part += 2 * e)
            for (int kv = 1; kv <= 2; kv++)
                cpu->pieces.fuse(a->dqkv +
                                     part_at(a, kv, head / a->heads, head % a->heads, a->first + t),
                                 part + (kv == 2 ? e : 0), VX_STORE_F32, e, VX_FUSE_MEAN);
    }
}

/* The format of the products, and the rows of a strip. */
static void choose_form(run *r)
{
    enum { MOST = 128 };
    const vx_attention_bwd *a = r->a;
    const vx_cpu_room room = vx_cpu_room_of(r->cpu, 0);
    const size_t t = (size_t)a->tokens, buffers = a->dqkv && !a->dp ? 2 : 1;
    const vx_number number = vx_attention_number(r->cpu);
    const vx_panel_form *form = &vx_panel_forms[number];
    size_t fit = room.strip_floats / (buffers * t);
    if (number != VX_NUMBER_F32 && a->queries > VX_GEMM_FEW) {
        const size_t e = (size_t)a->head_width + VX_PANEL, row = 3 * t + 2 * VX_PANEL;
        const size_t packed = room.rows_bytes / vx_panel_row(form, a->tokens);
        size_t rows = room.strip_floats / (row > 2 * t + e ? row : 2 * t + e);
        rows = packed < rows ? packed : rows;
        if (rows > 0) {
            r->form = form;
            r->finer = vx_scores_form(r->cpu, form);
            fit = rows < MOST ? rows : MOST;
        }
    }
    r->rows = fit < (size_t)a->queries ? (int)fit : a->queries;
}

void vx_attention_bwd_cpu(vx_device *dev, const vx_attention_bwd *given)
{
    const vx_attention_bwd floats = vx_attention_bwd_floats(given), *a = &floats;
    run r = {.cpu = vx_cpu_of(dev), .a = a};
    const int heads = a->batch * a->targets * a->heads, workers = dev->env.workers;
    if (heads <= 0)
        return;
    choose_form(&r);
    r.tasks = heads;
    if ((double)heads < BUSY * (double)vx_ceil_div(heads, workers) * workers &&
        (int64_t)heads * a->queries >= (int64_t)LEAST_ROWS * workers)
        r.tasks = workers;
    dev->env.parallel(run_task, &r, r.tasks, dev->env.owner);
    if (r.tasks != heads && a->dqkv)
        vx_cpu_spread(r.cpu, add_shares, &r, present(a), 64);
}
