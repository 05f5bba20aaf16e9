/*
 * kernels/cpu/panel_linear.c: y = residual + gamma * act(x W^T + bias) with a packed W (panels.h).
 *
 * A task is a tile, as in linear.c. It packs some rows of x, as many as stay in the second cache,
 * and multiplies them with the tile's panels, a few at a time:
 *
 *            COLUMNS
 *         +----+----+--
 *    ROWS | c  |    |        the product of ROWS x COLUMNS lies in the cache, and is made into y
 *         +----+----+--      there
 *         |    |
 */
#include "kernels/cpu/panels.h"

enum { ROWS = 96, COLUMNS = 64 };
/* In f32, whose x is read where it lies: see floats_vec.h. */
enum { FLOAT_ROWS = 204, FLOAT_COLUMNS = 192 };

typedef struct panel_run {
    vx_cpu *cpu;
    const vx_linear *a;
    const vx_panel_form *form;
    vx_tiling tiling;
    int rows, columns; /* of a product, at most */
} panel_run;

/* From one packed row of x to the next: an odd number of lines, so that the rows of a tile do not
 * fall on the same places of the first cache. */
static size_t row_apart(const vx_panel_form *f, int k)
{
    return vx_panel_row(f, k) | VX_LINE;
}

/* Rows of x that are packed at once. */
static int rows_at_once(const vx_cpu_room *s, const vx_panel_form *f, int k)
{
    const size_t fit = s->rows_bytes / row_apart(f, k);
    const int rows = fit < VX_ROW_SCALES ? (int)fit : VX_ROW_SCALES;
    return rows > ROWS ? rows / ROWS * ROWS : rows;
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

/* c [m,n], without the bias, becomes pre and y; t is its place. */
static void finish(const panel_run *r, vx_tile t, const float *c)
{
    const vx_linear *a = r->a;
    const size_t m0 = (size_t)t.m0, n0 = (size_t)t.n0;
    float *pre = a->pre ? a->pre + m0 * (size_t)a->ldp + n0 : NULL;
    vx_epilogue e = {.c = c,
                     .ldc = r->columns,
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
    e.y = a->y + m0 * (size_t)a->ldy + n0;
    e.ldy = a->ldy;
    e.gamma = a->gamma ? a->gamma + n0 : NULL;
    e.residual = a->residual ? a->residual + m0 * (size_t)a->ldr + n0 : NULL;
    e.ldr = a->ldr;
    e.act = a->act;
    r->cpu->pieces.epilogue(&e);
}

/* Packed rows (p), which are rows of t, with all panels of t. */
static void rows_by_columns(const panel_run *r, const vx_cpu_room *s, vx_tile t, vx_panel_product p)
{
    const vx_weight *w = r->a->w;
    const size_t panel = vx_panel_bytes(r->form, w->k);
    const char *rows = p.a;
    const float *scales = p.scales;
    p.c = s->strip;
    p.ldc = r->columns;
    for (int j = 0; j < t.n; j += r->columns) {
        const int n = vx_least(r->columns, t.n - j);
        p.b = (const char *)w->data + (size_t)((t.n0 + j) / VX_PANEL) * panel;
        p.ldb = panel;
        p.panels = vx_ceil_div(n, VX_PANEL);
        for (int i = 0; i < t.m; i += r->rows) {
            p.m = vx_least(r->rows, t.m - i);
            p.a = rows + (size_t)i * p.lda;
            p.scales = scales + i;
            vx_panel_multiply(r->cpu, r->form->number, &p);
            finish(r, (vx_tile){t.m0 + i, p.m, t.n0 + j, n}, p.c);
        }
    }
}

static void run_tile(void *arg, int index, int worker)
{
    const panel_run *r = arg;
    const vx_linear *a = r->a;
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const vx_tile tile = vx_cpu_tile(&r->tiling, index);
    const int most = rows_at_once(&s, r->form, a->w->k);
    const size_t row = row_apart(r->form, a->w->k);
    for (int i = 0; i < tile.m; i += most) {
        vx_tile t = tile;
        t.m0 += i;
        t.m = vx_least(most, tile.m - i);
        const float *x = a->x + (size_t)t.m0 * (size_t)a->ldx;
        vx_panel_product p = {.a = (const char *)x,
                              .lda = (size_t)a->ldx * sizeof *x,
                              .scales = s.scales,
                              .steps = vx_panel_steps(r->form, a->w->k),
                              .k = a->w->k};
        if (r->form->number != VX_NUMBER_F32) {
            vx_panel_pack_rows(r->cpu, r->form->number,
                               &(vx_panel_rows){s.rows, row, s.scales, x, a->ldx, t.m, a->w->k});
            p.a = s.rows;
            p.lda = row;
        }
        rows_by_columns(r, &s, t, p);
    }
}

void vx_panel_linear(vx_cpu *cpu, const vx_linear *a)
{
    panel_run r = {
        cpu, a, vx_panel_form_of(a->w), vx_cpu_tiling(cpu, a->m, a->w->n, VX_PANEL), ROWS, COLUMNS};
    if (r.form->number == VX_NUMBER_F32) {
        r.rows = vx_ceil_div(r.tiling.rows, vx_ceil_div(r.tiling.rows, FLOAT_ROWS));
        r.columns = FLOAT_COLUMNS;
    }
    cpu->base.env.parallel(run_tile, &r, r.tiling.count, cpu->base.env.owner);
}
