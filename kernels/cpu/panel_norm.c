/*
 * kernels/cpu/panel_norm.c: a layernorm whose rows one product alone reads. They are packed for it
 * (panels.h) while they lie in the first cache.
 */
#include "kernels/cpu/panels.h"

enum { ROWS = 8 };

typedef struct norm_run {
    vx_cpu *cpu;
    const vx_layernorm *a;
    const vx_panel_form *to;
    int each; /* rows of a task */
} norm_run;

/* Rows i..i+m-1. */
static void norm_rows(const norm_run *r, const vx_cpu_room *s, int i, int m)
{
    const size_t row = vx_panel_apart(r->to, r->a->n);
    vx_layernorm part = *r->a;
    part.x += (ptrdiff_t)i * part.ldx;
    part.y = s->strip;
    part.ldy = part.n;
    part.m = m;
    r->cpu->serial.layernorm(&r->cpu->base, &part);
    vx_panel_pack_rows(r->cpu, r->to->number,
                       &(vx_panel_rows){(char *)r->a->y + (size_t)i * row, row, s->scales, s->strip,
                                        part.n, m, part.n});
}

static void run_rows(void *arg, int index, int worker)
{
    const norm_run *r = arg;
    const vx_cpu_room s = vx_cpu_room_of(r->cpu, worker);
    const int first = index * r->each, end = vx_least(first + r->each, r->a->m);
    for (int i = first; i < end; i += ROWS)
        norm_rows(r, &s, i, vx_least(ROWS, end - i));
}

void vx_panel_norm(vx_cpu *cpu, const vx_layernorm *a, const vx_panel_form *to)
{
    const int wanted = 4 * cpu->base.env.workers;
    norm_run r = {cpu, a, to, vx_ceil_div(vx_ceil_div(a->m, wanted), ROWS) * ROWS};
    if (a->m > 0)
        cpu->base.env.parallel(run_rows, &r, vx_ceil_div(a->m, r.each), cpu->base.env.owner);
}
