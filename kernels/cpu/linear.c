/*
 * kernels/cpu/linear.c: y = residual + gamma * act(x W^T + bias), in tiles.
 *
 *            n0      n1
 *      +-----+-------+-----+        every tile is one task: its product, then its epilogue while
 *   m0 |     | tile  |     |        it lies in the cache. A product packs its rows of x and of W,
 *   m1 |     |       |     |        so tiles are few and large.
 *      +-----+-------+-----+
 */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/panels.h"

#define TILE_COLUMNS 16 /* tiles begin at multiples of a vector */

typedef struct linear_run {
    vx_cpu *cpu;
    const vx_linear *a;
    vx_tiling tiling;
} linear_run;

/* The product goes to y or, where y holds the residual that is still needed, through scratch. */
static void tile_through_scratch(const vx_cpu *cpu, int worker, vx_gemm g, vx_epilogue e)
{
    const vx_cpu_room s = vx_cpu_room_of(cpu, worker);
    const int rows = vx_least(g.m, (int)(s.strip_floats / 64));
    const int columns = vx_least(g.n, (int)(s.strip_floats / (size_t)rows) / 16 * 16);
    for (int i = 0; i < g.m; i += rows)
        for (int j = 0; j < g.n; j += columns) {
            const size_t y = (size_t)i * (size_t)e.ldy + (size_t)j;
            const size_t r = (size_t)i * (size_t)e.ldr + (size_t)j;
            vx_gemm part = g;
            part.c = s.strip;
            part.ldc = columns;
            part.a += (size_t)i * (size_t)g.lda;
            part.b += (size_t)j * (size_t)g.ldb;
            part.m = vx_least(rows, g.m - i);
            part.n = vx_least(columns, g.n - j);
            vx_cpu_gemm(cpu, worker, &part);
            cpu->pieces.epilogue(&(vx_epilogue){.y = e.y + y,
                                                .c = s.strip,
                                                .bias = e.bias ? e.bias + j : NULL,
                                                .gamma = e.gamma ? e.gamma + j : NULL,
                                                .residual = e.residual + r,
                                                .ldy = e.ldy,
                                                .ldc = columns,
                                                .ldr = e.ldr,
                                                .act = e.act,
                                                .m = part.m,
                                                .n = part.n});
        }
}

/* Where a tile's product goes: to pre if that is wanted, else to y. */
static vx_gemm product_of(const vx_linear *a, vx_tile t)
{
    const vx_weight *w = a->w;
    const int ld = a->pre ? a->ldp : a->ldy;
    return (vx_gemm){.c = (a->pre ? a->pre : a->y) + (size_t)t.m0 * (size_t)ld + (size_t)t.n0,
                     .a = a->x + (size_t)t.m0 * (size_t)a->ldx,
                     .b = (const float *)w->data + (size_t)t.n0 * (size_t)w->k,
                     .ldc = ld,
                     .lda = a->ldx,
                     .ldb = w->k,
                     .alpha = 1,
                     .m = t.m,
                     .whole_m = a->m,
                     .n = t.n,
                     .k = w->k};
}

/* y from the product c without its bias, which lies in y or in pre. */
static vx_epilogue epilogue_of(const vx_linear *a, vx_tile t, const vx_gemm *g)
{
    vx_epilogue e = {.y = a->y + (size_t)t.m0 * (size_t)a->ldy + (size_t)t.n0,
                     .c = g->c,
                     .bias = a->w->bias ? a->w->bias + t.n0 : NULL,
                     .gamma = a->gamma ? a->gamma + t.n0 : NULL,
                     .ldy = a->ldy,
                     .ldc = g->ldc,
                     .ldr = a->ldr,
                     .act = a->act,
                     .m = t.m,
                     .n = t.n};
    if (a->residual)
        e.residual = a->residual + (size_t)t.m0 * (size_t)a->ldr + (size_t)t.n0;
    return e;
}

/* A tile whose x W^T + bias is wanted, too: y is made of it while it lies in the cache. */
static void tile_with_pre(const linear_run *r, vx_tile t, const vx_gemm *g)
{
    vx_cpu *cpu = r->cpu;
    if (r->a->w->bias)
        cpu->pieces.epilogue(&(vx_epilogue){.y = g->c,
                                            .c = g->c,
                                            .bias = r->a->w->bias + t.n0,
                                            .ldy = g->ldc,
                                            .ldc = g->ldc,
                                            .m = t.m,
                                            .n = t.n});
    if (!r->a->y || r->a->act == VX_ACT_SWIGLU) /* which needs a whole row */
        return;
    vx_epilogue e = epilogue_of(r->a, t, g);
    e.bias = NULL;
    cpu->pieces.epilogue(&e);
}

static void run_tile(void *arg, int i, int worker)
{
    const linear_run *r = arg;
    const vx_linear *a = r->a;
    const vx_tile t = vx_cpu_tile(&r->tiling, i);
    vx_gemm g = product_of(a, t);
    if (a->pre) {
        vx_cpu_gemm(r->cpu, worker, &g);
        tile_with_pre(r, t, &g);
        return;
    }
    vx_epilogue e = epilogue_of(a, t, &g);
    if (e.residual == e.y) {
        if (a->gamma || a->act != VX_ACT_NONE) {
            tile_through_scratch(r->cpu, worker, g, e);
            return;
        }
        g.accumulate = 1; /* y + x W^T, then the bias */
        e.residual = NULL;
    }
    vx_cpu_gemm(r->cpu, worker, &g);
    if (e.bias || e.gamma || e.residual || e.act != VX_ACT_NONE)
        r->cpu->pieces.epilogue(&e);
}

void vx_linear_cpu(vx_device *dev, const vx_linear *given)
{
    const vx_linear floats = vx_linear_floats(given), *a = &floats;
    if (a->m <= 0)
        return;
    if (a->norm.weight) {
        const vx_linear normed = vx_linear_normed(a);
        const vx_layernorm norm = vx_layernorm_before(a);
        vx_layernorm_cpu(dev, &norm);
        vx_linear_cpu(dev, &normed);
        return;
    }
    linear_run r = {vx_cpu_of(dev), a, vx_cpu_tiling(vx_cpu_of(dev), a->m, a->w->n, TILE_COLUMNS)};
    if (vx_panel_form_of(a->w))
        vx_panel_linear(vx_cpu_of(dev), a, NULL, NULL);
    else
        dev->env.parallel(run_tile, &r, r.tiling.count, dev->env.owner);
    if (a->act == VX_ACT_SWIGLU && a->y)
        vx_swiglu_cpu(
            dev,
            &(vx_swiglu){
                .y = a->y, .ldy = a->ldy, .x = a->pre, .ldx = a->ldp, .m = a->m, .n = a->w->n / 2});
}
