/*
 * kernels/cpu/panel_linear.c: y = residual + gamma * act(x W^T + bias) with a packed W (panels.h).
 *
 * A task is a tile, as in linear.c. Some of its rows of x at a time are packed, unless they came
 * packed (x_formed in ops.h) or are f32, and stay in the second cache while they are multiplied
 * with the panels; the product lies in the cache, some columns at a time, and is made into y there.
 * Where there are tiles that is done to one part while the next is multiplied (finish_of):
 *
 *            COLUMNS
 *         +----+----+--
 *    ROWS | c  |    |
 *         +----+----+--
 *         |    |
 *
 * Rows of more than LONG bytes are packed and multiplied a part of k after the other, of CHUNK
 * bytes at most. c is read and written once for each part, so it is as wide as the strip allows.
 */
#include "kernels/cpu/panels.h"

/* UNIT: columns of y that fill a line of packed rows. */
enum { UNIT = 2 * VX_PANEL, ROWS = 416, COLUMNS = 64, LONG = 4096, CHUNK = 3072 };
/* In f32, whose rows are read where they lie, a part of k at a time (floats_vec.h). */
enum { PLAIN_ROWS = 204, PLAIN_COLUMNS = 192 };

typedef struct panel_run {
    vx_cpu *cpu;
    const vx_linear *a;
    const vx_panel_form *form;
    const vx_panel_form *to; /* y is written in, or NULL: as floats */
    vx_tiling tiling;
    vx_panel_then_fn *then;
    const void *arg;
} panel_run;

/* Columns of x that are packed at once. The sums of int8 are scaled at the end of a product, so
 * they are not cut; rows of f32 are not packed. */
static int chunk_of(const vx_panel_form *f, int k)
{
    const size_t row = vx_panel_row(f, k);
    if (f->number == VX_NUMBER_INT8 || f->number == VX_NUMBER_F32 || row <= LONG)
        return k;
    const int parts = (int)((row + CHUNK - 1) / CHUNK);
    return vx_ceil_div(vx_panel_steps(f, k), parts) * f->k;
}

/* ... and of m rows so many, in parts of about the same size. */
static int rows_at_once(const vx_cpu_room *s, const vx_panel_form *f, int chunk, int m)
{
    if (f->number == VX_NUMBER_F32)
        return vx_ceil_div(m, vx_ceil_div(m, PLAIN_ROWS));
    const size_t fit = s->rows_bytes / vx_panel_apart(f, chunk);
    const int most = fit < ROWS ? (int)fit : ROWS;
    if (most < 64)
        return vx_least(most, m);
    const int even = vx_ceil_div(m, vx_ceil_div(m, most / 32 * 32));
    return vx_least(vx_ceil_div(even, 32) * 32, m);
}

/* Whether a part of y is finished while the next is multiplied. */
static int is_delayed(const panel_run *r)
{
    return r->cpu->pieces.finish && r->form->number != VX_NUMBER_F32;
}

/* Floats of a product; two lie in the strip if one is finished while the next is made. */
static size_t room_of(const panel_run *r, const vx_cpu_room *s)
{
    return is_delayed(r) ? s->strip_floats / 2 : s->strip_floats;
}

/* ... and columns of the product, of which the tile has n. */
static int columns_at_once(const panel_run *r, const vx_cpu_room *s, int rows, int n)
{
    if (r->form->number == VX_NUMBER_F32)
        return PLAIN_COLUMNS;
    if (chunk_of(r->form, r->a->w->k) == r->a->w->k)
        return is_delayed(r) ? UNIT : COLUMNS;
    const int fit = (int)(room_of(r, s) / (size_t)rows) - VX_PANEL;
    const int most = vx_least(fit / UNIT * UNIT, n);
    const int even = vx_ceil_div(n, vx_ceil_div(n, most));
    return vx_ceil_div(even, UNIT) * UNIT;
}

void vx_panel_pack_rows(const vx_cpu *cpu, vx_number number, const vx_panel_rows *r)
{
    if (number == VX_NUMBER_INT8)
        cpu->pieces.rows_int8(r);
    else if (number == VX_NUMBER_BF16)
        cpu->pieces.rows_bf16(r);
    else
        cpu->pieces.rows_bf16x3(r);
}

void vx_panel_multiply(const vx_cpu *cpu, vx_number number, const vx_panel_product *p)
{
    if (number == VX_NUMBER_F32)
        cpu->pieces.panels_f32(p);
    else if (number == VX_NUMBER_INT8)
        cpu->pieces.panels_int8(p);
    else if (number == VX_NUMBER_BF16)
        cpu->pieces.panels_bf16(p);
    else
        cpu->pieces.panels_bf16x3(p);
}

/* Where packed rows of y begin, from row m0 and column n0 on, which begins a line; *apart: bytes
 * from row to row. Heads lie by themselves if y is to be read head by head. */
static char *packed_place(const panel_run *r, int m0, int n0, size_t *apart)
{
    const vx_linear *a = r->a;
    const int part = a->y_part ? a->y_part : a->w->n;
    char *y = (char *)a->y + (size_t)(n0 % part / r->to->k * r->to->parts) * VX_LINE;
    *apart = a->y_part ? vx_panel_row(r->to, part) : vx_panel_apart(r->to, part);
    if (a->y_part)
        return y + vx_panel_head(r->to, part, (size_t)a->m, (size_t)(n0 / part), (size_t)m0);
    return y + (size_t)m0 * *apart;
}

/* c [m,n], ldc wide, as packed rows of y. */
static void pack(const panel_run *r, const vx_cpu_room *s, vx_tile t, int ldc)
{
    const int part = r->a->y_part ? r->a->y_part : r->a->w->n;
    for (int j = 0, n; j < t.n; j += n) {
        size_t apart;
        char *y = packed_place(r, t.m0, t.n0 + j, &apart);
        n = vx_least(part - (t.n0 + j) % part, t.n - j);
        vx_panel_pack_rows(r->cpu, r->to->number,
                           &(vx_panel_rows){y, apart, s->scales, s->strip + j, ldc, t.m, n});
    }
}

/* c [m,n], ldc wide, without the bias, becomes pre and y; t is its place. */
static void finish(const panel_run *r, const vx_cpu_room *s, vx_tile t, int ldc)
{
    const float *c = s->strip;
    const vx_linear *a = r->a;
    const size_t m0 = (size_t)t.m0, n0 = (size_t)t.n0;
    float *pre = a->pre ? a->pre + m0 * (size_t)a->ldp + n0 : NULL;
    vx_epilogue e = {.c = c,
                     .ldc = ldc,
                     .bias = a->w->bias ? a->w->bias + n0 : NULL,
                     .act = VX_ACT_NONE,
                     .m = t.m,
                     .n = t.n};
    if (pre) {
        e.y = pre;
        e.ldy = a->ldp;
        r->cpu->pieces.epilogue(&e);
        e.bias = NULL;
        e.c = pre;
        e.ldc = a->ldp;
    }
    if (!a->y || a->act == VX_ACT_SWIGLU) /* which needs a whole row */
        return;
    if (r->to) {
        e.y = s->strip;
        e.ldy = ldc;
        e.act = a->act;
        r->cpu->pieces.epilogue(&e);
        pack(r, s, t, ldc);
        return;
    }
    e.y = a->y + m0 * (size_t)a->ldy + n0;
    e.ldy = a->ldy;
    e.gamma = a->gamma ? a->gamma + n0 : NULL;
    e.residual = a->residual ? a->residual + m0 * (size_t)a->ldr + n0 : NULL;
    e.ldr = a->ldr;
    e.act = a->act;
    r->cpu->pieces.epilogue(&e);
}

/* What makes a part of y from c, if it may be delayed. */
static vx_finish finish_of(const panel_run *r, const vx_cpu_room *s, const float *c, vx_tile t,
                           int ldc)
{
    const vx_linear *a = r->a;
    const size_t m0 = (size_t)t.m0, n0 = (size_t)t.n0;
    const size_t panel = vx_panel_bytes(r->form, a->w->k);
    vx_finish f = {.next = r->cpu->pieces.finish(a->act),
                   .to = r->to ? r->to->number : VX_NUMBER_F32,
                   .c = c,
                   .ldc = (size_t)ldc,
                   .bias = a->w->bias ? a->w->bias + n0 : NULL,
                   .pre = a->pre ? a->pre + m0 * (size_t)a->ldp + n0 : NULL,
                   .ldp = (size_t)a->ldp,
                   .m = t.m,
                   .n = t.n};
    if (r->form->number == VX_NUMBER_INT8) {
        f.scales = s->scales;
        f.tail = (const char *)a->w->data + (n0 / VX_PANEL + 1) * panel - (size_t)r->form->tail;
        f.tail_apart = panel;
    }
    if (!a->y || a->act == VX_ACT_SWIGLU) /* which needs a whole row */
        return f;
    if (r->to) {
        f.part = a->y_part;
        f.from = f.part ? t.n0 % f.part : 0;
        f.part_apart = vx_panel_head(r->to, f.part, (size_t)a->m, 1, 0);
        f.y = packed_place(r, t.m0, t.n0 - f.from, &f.ldy);
        return f;
    }
    f.ldy = (size_t)a->ldy * sizeof *a->y;
    f.y = (char *)(a->y + m0 * (size_t)a->ldy + n0);
    f.gamma = a->gamma ? a->gamma + n0 : NULL;
    f.residual = a->residual ? a->residual + m0 * (size_t)a->ldr + n0 : NULL;
    f.ldr = (size_t)a->ldr;
    return f;
}

/* c [m,n], ldc wide, = the rows and columns of t. packed: whether its rows are, all of them. */
static void multiply(const panel_run *r, const vx_cpu_room *s, float *c, vx_tile t, int ldc,
                     int packed, vx_finish *meanwhile)
{
    const vx_panel_form *f = r->form;
    const vx_linear *a = r->a;
    const int k = a->w->k, most = chunk_of(f, k);
    const size_t row = vx_panel_apart(f, most), panel = vx_panel_bytes(f, k);
    const size_t whole = vx_panel_apart(f, k);
    const int formed = a->x_formed && vx_panel_written(&f->packing);
    const float *x = a->x + (size_t)t.m0 * (size_t)a->ldx;
    vx_panel_product p = {.c = c,
                          .ldc = ldc,
                          .a = (const char *)x,
                          .lda = (size_t)a->ldx * sizeof *x,
                          .scales = is_delayed(r) ? NULL : s->scales,
                          .meanwhile = meanwhile,
                          .b = (const char *)a->w->data + (size_t)(t.n0 / VX_PANEL) * panel,
                          .ldb = panel,
                          .m = t.m,
                          .panels = vx_ceil_div(t.n, VX_PANEL)};
    for (int first = 0; first < k; first += most, p.more = 1) {
        p.k = vx_least(most, k - first);
        p.steps = vx_panel_steps(f, p.k);
        if (formed) {
            p.a = (const char *)a->x + (size_t)t.m0 * whole +
                  (size_t)(first / f->k * f->parts) * VX_LINE;
            p.lda = whole;
        } else if (f->number != VX_NUMBER_F32) {
            if (!packed)
                vx_panel_pack_rows(
                    r->cpu, f->number,
                    &(vx_panel_rows){s->rows, row, s->scales, x + first, a->ldx, t.m, p.k});
            p.a = s->rows;
            p.lda = row;
        }
        vx_panel_multiply(r->cpu, f->number, &p);
        p.b += (size_t)p.steps * (size_t)f->parts * VX_STEP;
        p.meanwhile = NULL;
    }
}

/* What of a part of y has not been done yet. */
static void complete(const panel_run *r, vx_finish *f, vx_tile t)
{
    while (f->m && f->column < f->n)
        f->next(f);
    if (f->m && r->then)
        r->then(r->cpu, r->arg, t);
}

/* Rows of y; each part is finished while the next is multiplied. */
static void rows_delayed(const panel_run *r, const vx_cpu_room *s, vx_tile all, int columns)
{
    const int ldc = columns + VX_PANEL, k = r->a->w->k;
    const int reused = chunk_of(r->form, k) == k;
    float *const c = s->strip, *const other = c + s->strip_floats / 2;
    vx_finish last = {.m = 0};
    vx_tile before = {0, 0, 0, 0};
    for (int j = 0, turn = 0; j < all.n; j += columns, turn ^= 1) {
        const vx_tile t = {all.m0, all.m, all.n0 + j, vx_least(columns, all.n - j)};
        multiply(r, s, turn ? other : c, t, ldc, reused && j > 0, last.m ? &last : NULL);
        complete(r, &last, before);
        last = finish_of(r, s, turn ? other : c, t, ldc);
        before = t;
    }
    complete(r, &last, before);
}

static void run_tile(void *arg, int index, int worker)
{
    const panel_run *r = arg;
    const int k = r->a->w->k, chunk = chunk_of(r->form, k);
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const vx_tile tile = vx_cpu_tile(&r->tiling, index);
    const int rows = rows_at_once(&s, r->form, chunk, tile.m);
    const int columns = columns_at_once(r, &s, rows, tile.n);
    const int ldc = columns + VX_PANEL; /* an odd number of lines */
    for (int i = 0; i < tile.m; i += rows) {
        vx_tile t = {tile.m0 + i, vx_least(rows, tile.m - i), tile.n0, tile.n};
        if (is_delayed(r)) {
            rows_delayed(r, &s, t, columns);
            continue;
        }
        for (int j = 0; j < tile.n; j += columns) {
            t.n0 = tile.n0 + j;
            t.n = vx_least(columns, tile.n - j);
            multiply(r, &s, s.strip, t, ldc, chunk == k && j > 0, NULL);
            finish(r, &s, t, ldc);
            if (r->then)
                r->then(r->cpu, r->arg, t);
        }
    }
}

void vx_panel_linear(vx_cpu *cpu, const vx_linear *a, vx_panel_then_fn *then, const void *arg)
{
    panel_run r = {cpu,
                   a,
                   vx_panel_form_of(a->w),
                   vx_panel_written(a->y_form),
                   vx_cpu_tiling(cpu, a->m, a->w->n, UNIT),
                   then,
                   arg};
    cpu->base.env.parallel(run_tile, &r, r.tiling.count, cpu->base.env.owner);
}
