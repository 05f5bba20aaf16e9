/*
 * kernels/cpu/linear_bwd.c: dx = act'(pre) * ((gamma * dy) W), in tiles like linear.c.
 *
 * gamma is a factor of the columns of dy, over which the product sums, and dy must stay as it is: a
 * tile's rows of it are scaled into scratch, some columns at a time, and the products added up.
 * Taking few columns rather than few rows packs no part of W twice.
 */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/panels.h"

#define TILE_COLUMNS 16
#define MOST_ROWS 1024 /* that are scaled at once */

typedef struct linear_bwd_run {
    vx_cpu *cpu;
    const vx_linear_bwd *a;
    vx_tiling tiling;
} linear_bwd_run;

/* The product of one tile with gamma * dy. */
static void scaled_product(const vx_cpu *cpu, int worker, vx_gemm g, const float *gamma)
{
    const vx_cpu_room s = vx_cpu_room_of(cpu, worker);
    const int rows = vx_least(g.m, MOST_ROWS);
    const int columns = vx_least(g.k, (int)(s.strip_floats / (size_t)rows));
    for (int i = 0; i < g.m; i += rows)
        for (int j = 0; j < g.k; j += columns) {
            vx_gemm part = g;
            part.m = vx_least(rows, g.m - i);
            part.k = vx_least(columns, g.k - j);
            part.a = s.strip;
            part.lda = part.k;
            part.b += (size_t)j * (size_t)g.ldb;
            part.c += (size_t)i * (size_t)g.ldc;
            part.accumulate = g.accumulate || j > 0;
            cpu->pieces.epilogue(&(vx_epilogue){.y = s.strip,
                                                .c = g.a + (size_t)i * (size_t)g.lda + (size_t)j,
                                                .gamma = gamma + j,
                                                .ldy = part.lda,
                                                .ldc = g.lda,
                                                .act = VX_ACT_NONE,
                                                .m = part.m,
                                                .n = part.k});
            vx_cpu_gemm(cpu, worker, &part);
        }
}

static void product(const vx_cpu *cpu, int worker, const vx_gemm *g, const float *gamma)
{
    if (gamma)
        scaled_product(cpu, worker, *g, gamma);
    else
        vx_cpu_gemm(cpu, worker, g);
}

void vx_cpu_slopes(const vx_cpu *cpu, const vx_linear_bwd *a, vx_tile t)
{
    if (a->act == VX_ACT_NONE || a->act == VX_ACT_SWIGLU)
        return;
    for (int m = t.m0; m < t.m0 + t.m; m++) {
        const size_t row = vx_forward_row(m, a->tokens, a->targets);
        cpu->pieces.slope(a->dx + (size_t)m * (size_t)a->lddx + (size_t)t.n0,
                          a->pre + row * (size_t)a->ldp + t.n0, a->act, (size_t)t.n);
    }
}

static void run_tile(void *arg, int i, int worker)
{
    const linear_bwd_run *r = arg;
    const vx_linear_bwd *a = r->a;
    const vx_tile t = vx_cpu_tile(&r->tiling, i);
    const vx_gemm g = {.c = a->dx + (size_t)t.m0 * (size_t)a->lddx + (size_t)t.n0,
                       .a = a->dy + (size_t)t.m0 * (size_t)a->lddy,
                       .b = (const float *)a->w->data + t.n0,
                       .ldc = a->lddx,
                       .lda = a->lddy,
                       .ldb = a->w->k,
                       .b_is_kn = 1,
                       .alpha = 1,
                       .m = t.m,
                       .n = t.n,
                       .k = a->w->n};
    product(r->cpu, worker, &g, a->gamma);
    vx_cpu_slopes(r->cpu, a, t);
}

void vx_linear_bwd_cpu(vx_device *dev, const vx_linear_bwd *given)
{
    const vx_linear_bwd floats = vx_linear_bwd_floats(given), *a = &floats;
    if (a->m <= 0)
        return;
    vx_cpu *cpu = vx_cpu_of(dev);
    linear_bwd_run r = {cpu, a, vx_cpu_tiling(cpu, a->m, a->w->k, TILE_COLUMNS)};
    if (vx_panel_form_of(a->w))
        vx_panel_linear_bwd(cpu, a);
    else
        dev->env.parallel(run_tile, &r, r.tiling.count, dev->env.owner);
    if (a->act == VX_ACT_SWIGLU)
        vx_swiglu_bwd_cpu(dev, &(vx_swiglu_bwd){.dx = a->dx,
                                                .lddx = a->lddx,
                                                .dy = a->dx,
                                                .lddy = a->lddx,
                                                .x = a->pre,
                                                .ldx = a->ldp,
                                                .m = a->m,
                                                .n = a->w->k,
                                                .tokens = a->tokens,
                                                .targets = a->targets});
}
