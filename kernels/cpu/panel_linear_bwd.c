/*
 * kernels/cpu/panel_linear_bwd.c: dx = act'(pre) * ((gamma * dy) W) with a packed W (panels.h).
 *
 * A product reads panels of outputs, and here the columns of W are the outputs. So the panels are
 * turned: read in the order in which they lie, and written as those of (gamma W)^T. The product is
 * that of panel_linear.c then. Nothing is kept of it: another copy of every matrix would double the
 * memory of a model, while turning takes as long as the product with some 40 rows.
 */
#include "kernels/cpu/panels.h"

enum { GROUP = 64 }; /* columns that begin a step in every format */

typedef struct turning {
    const vx_linear_bwd *a;
    const vx_panel_form *form; /* of W^T */
    int first, columns;        /* of W */
} turning;

/* Some groups of columns. */
static void turn_groups(vx_cpu *cpu, const void *op, int64_t first, int64_t count)
{
    const turning *r = op;
    const vx_weight *w = r->a->w;
    const vx_panel_form *f = vx_panel_form_of(w);
    const size_t bytes = vx_panel_bytes(f, w->k);
    const char *panels = w->data;
    vx_turned t = {.tail = panels + bytes - f->tail,
                   .gamma = r->a->gamma,
                   .panel = vx_panel_bytes(r->form, w->n),
                   .from_panel = bytes,
                   .n = w->n,
                   .number = f->number};
    for (int at = (int)first * GROUP; at < (int)(first + count) * GROUP; at += GROUP) {
        t.to = cpu->shared + (size_t)(at / VX_PANEL) * t.panel;
        t.from = panels + vx_panel_row(f, r->first + at) * VX_PANEL;
        t.panels = vx_ceil_div(vx_least(GROUP, r->columns - at), VX_PANEL);
        cpu->pieces.turned(&t);
    }
}

static void slopes(vx_cpu *cpu, const void *op, vx_tile t)
{
    const turning *r = op;
    t.n0 += r->first;
    vx_cpu_slopes(cpu, r->a, t);
}

void vx_panel_linear_bwd(vx_cpu *cpu, const vx_linear_bwd *a)
{
    const vx_number of_w = vx_panel_form_of(a->w)->number;
    turning r = {.a = a, .form = &vx_panel_forms[of_w == VX_NUMBER_INT8 ? VX_NUMBER_BF16 : of_w]};
    const size_t group = vx_panel_bytes(r.form, a->w->n) * (GROUP / VX_PANEL);
    const size_t fit = cpu->shared_bytes / group * GROUP;
    const int most = fit < (size_t)a->w->k ? (int)fit : a->w->k;
    for (; r.first < a->w->k; r.first += most) {
        r.columns = vx_least(most, a->w->k - r.first);
        vx_cpu_spread(cpu, turn_groups, &r, vx_ceil_div(r.columns, GROUP), 1);
        const vx_weight turned = {cpu->shared, NULL, r.columns, a->w->n, &r.form->packing};
        vx_panel_linear(cpu,
                        &(vx_linear){.y = a->dx + r.first,
                                     .ldy = a->lddx,
                                     .x = a->dy,
                                     .ldx = a->lddy,
                                     .w = &turned,
                                     .act = VX_ACT_NONE,
                                     .m = a->m},
                        slopes, &r);
    }
}
