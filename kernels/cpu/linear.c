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

/* What packing one element costs, in multiply-adds: 0.4 ns beside 0.02 ns on one Zen 4 core. */
#define PACK_COST 20.0
#define TILE_COLUMNS 16 /* tiles begin at multiples of a vector */

typedef struct tiling {
    vx_cpu *cpu;
    const vx_linear *a;
    int across, rows, columns; /* tiles in a row of tiles; size of one */
} tiling;

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

void vx_cpu_linear_tile(const vx_cpu *cpu, int worker, const vx_linear *a, int m0, int m1, int n0,
                        int n1)
{
    const vx_weight *w = a->w;
    float *y = a->y + (size_t)m0 * (size_t)a->ldy + (size_t)n0;
    vx_gemm g = {.c = y,
                 .a = a->x + (size_t)m0 * (size_t)a->ldx,
                 .b = (const float *)w->data + (size_t)n0 * (size_t)w->k,
                 .ldc = a->ldy,
                 .lda = a->ldx,
                 .ldb = w->k,
                 .alpha = 1,
                 .m = m1 - m0,
                 .n = n1 - n0,
                 .k = w->k};
    vx_epilogue e = {.y = y,
                     .c = y,
                     .bias = w->bias ? w->bias + n0 : NULL,
                     .gamma = a->gamma ? a->gamma + n0 : NULL,
                     .ldy = a->ldy,
                     .ldc = a->ldy,
                     .ldr = a->ldr,
                     .act = a->act,
                     .m = g.m,
                     .n = g.n};
    if (a->residual)
        e.residual = a->residual + (size_t)m0 * (size_t)a->ldr + (size_t)n0;
    if (e.residual == y) {
        if (a->gamma || a->act != VX_ACT_NONE) {
            tile_through_scratch(cpu, worker, g, e);
            return;
        }
        g.accumulate = 1; /* y + x W^T, then the bias */
        e.residual = NULL;
    }
    vx_cpu_gemm(cpu, worker, &g);
    if (e.bias || e.gamma || e.residual || e.act != VX_ACT_NONE)
        cpu->pieces.epilogue(&e);
}

static void run_tile(void *arg, int i, int worker)
{
    const tiling *t = arg;
    const int m0 = i / t->across * t->rows, n0 = i % t->across * t->columns;
    vx_cpu_linear_tile(t->cpu, worker, t->a, m0, vx_least(m0 + t->rows, t->a->m), n0,
                       vx_least(n0 + t->columns, t->a->w->n));
}

/* The tiling whose slowest worker has least to do: product plus packing, in multiply-adds / k. */
static tiling choose_tiling(vx_cpu *cpu, const vx_linear *a)
{
    const int n = a->w->n, workers = cpu->base.env.workers;
    tiling best = {cpu, a, 1, a->m, n};
    double least = -1;
    for (int down = 1; down <= vx_least(2 * workers, a->m); down++)
        for (int across = 1; across * down <= 2 * workers; across++) {
            const int rows = vx_ceil_div(a->m, down);
            const int columns = vx_ceil_div(vx_ceil_div(n, across), TILE_COLUMNS) * TILE_COLUMNS;
            const int tiles = vx_ceil_div(a->m, rows) * vx_ceil_div(n, columns);
            const double cost = (double)vx_ceil_div(tiles, workers) *
                                ((double)rows * columns + PACK_COST * ((double)rows + columns));
            if (least >= 0 && cost >= least)
                continue;
            least = cost;
            best = (tiling){cpu, a, vx_ceil_div(n, columns), rows, columns};
        }
    return best;
}

void vx_linear_cpu(vx_device *dev, const vx_linear *a)
{
    if (a->m <= 0)
        return;
    tiling t = choose_tiling(vx_cpu_of(dev), a);
    const int count = vx_ceil_div(a->m, t.rows) * t.across;
    dev->env.parallel(run_tile, &t, count, dev->env.owner);
}
