/*
 * kernels/cpu/panel_linear_bwd.c: dx = act'(pre) * ((gamma * dy) W) with a packed W (panels.h).
 *
 * A product reads panels of outputs, and here the columns of W are the outputs. So the panels are
 * turned: read in the order in which they lie, and written as those of (gamma W)^T. The product is
 * that of panel_linear.c then. vx_panel_turn does that once for a whole matrix, and the engine
 * keeps the result with the weights (w->turned). If it has no memory for another copy of them, some
 * columns are turned at a time, at every product, into memory that all matrices share; that takes
 * as long as the product with some 40 rows.
 */
#include "kernels/cpu/panels.h"

enum { GROUP = 64 }; /* columns that begin a step in every format */

typedef struct turning {
    const vx_weight *w;
    const float *gamma;
    const vx_panel_form *form; /* of W^T */
    char *to;
    int first, columns; /* of W */
} turning;

static const vx_panel_form *turned_form(const vx_weight *w)
{
    const vx_number of_w = vx_panel_form_of(w)->number;
    return &vx_panel_forms[of_w == VX_NUMBER_INT8 ? VX_NUMBER_BF16 : of_w];
}

/* Some groups of columns. */
static void turn_groups(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const turning *r = op;
    const vx_weight *w = r->w;
    const vx_panel_form *f = vx_panel_form_of(w);
    const size_t bytes = vx_panel_bytes(f, w->k);
    const char *panels = w->data;
    vx_turned t = {.tail = panels + bytes - f->tail,
                   .gamma = r->gamma,
                   .panel = vx_panel_bytes(r->form, w->n),
                   .from_panel = bytes,
                   .n = w->n,
                   .number = f->number};
    for (int at = (int)first * GROUP; at < (int)(first + count) * GROUP; at += GROUP) {
        t.to = r->to + (size_t)(at / VX_PANEL) * t.panel;
        t.from = panels + vx_panel_row(f, r->first + at) * VX_PANEL;
        t.panels = vx_ceil_div(vx_least(GROUP, r->columns - at), VX_PANEL);
        cpu->pieces.turned(&t);
    }
}

static void turn_columns(vx_cpu *cpu, const turning *r)
{
    vx_cpu_spread(cpu, turn_groups, r, vx_ceil_div(r->columns, GROUP), 1);
}

size_t vx_panel_turned_bytes(const vx_weight *w)
{
    if (w->packing == &vx_packing_plain || w->packing == &vx_patch_packing)
        return 0;
    return turned_form(w)->packing.bytes(w->k, w->n);
}

void vx_panel_turn(vx_device *dev, const vx_weight *w, const float *gamma, void *to)
{
    turn_columns(vx_cpu_of(dev), &(turning){w, gamma, turned_form(w), to, 0, w->k});
}

/* What a product of some columns becomes. */
typedef struct product_run {
    const vx_linear_bwd *a;
    int first;
} product_run;

static void slopes(vx_cpu *cpu, const void *run, vx_tile t)
{
    const product_run *r = run;
    t.n0 += r->first;
    vx_cpu_slopes(cpu, r->a, t);
}

/* Columns first..first+columns-1 of dx, with the panels of W^T that they need. */
static void multiply(vx_cpu *cpu, const vx_linear_bwd *a, const void *panels, int first,
                     int columns)
{
    const vx_weight turned = {
        .data = panels, .n = columns, .k = a->w->n, .packing = &turned_form(a->w)->packing};
    vx_panel_linear(cpu,
                    &(vx_linear){.y = a->dx + first,
                                 .ldy = a->lddx,
                                 .x = a->dy,
                                 .ldx = a->lddy,
                                 .w = &turned,
                                 .act = VX_ACT_NONE,
                                 .m = a->m},
                    slopes, &(product_run){a, first});
}

void vx_panel_linear_bwd(vx_cpu *cpu, const vx_linear_bwd *a)
{
    const int k = a->w->k;
    turning r = {a->w, a->gamma, turned_form(a->w), cpu->shared, 0, k};
    const size_t group = vx_panel_bytes(r.form, a->w->n) * (GROUP / VX_PANEL);
    const size_t fit = cpu->shared_bytes / group * GROUP;
    const int most = fit < (size_t)k ? (int)fit : k;
    if (a->w->turned) {
        multiply(cpu, a, a->w->turned, 0, k);
        return;
    }
    for (; r.first < k; r.first += most) {
        r.columns = vx_least(most, k - r.first);
        turn_columns(cpu, &r);
        multiply(cpu, a, r.to, r.first, r.columns);
    }
}
