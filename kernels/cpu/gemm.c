/* kernels/cpu/gemm.c: one thread's matrix product: few rows, OpenBLAS, or our own; and how larger
 * ones are cut. */
#include "kernels/cpu/cpu.h"

/* What packing one element costs, in multiply-adds: 0.4 ns beside 0.02 ns on one Zen 4 core. */
#define PACK_COST 20.0

/* OpenBLAS packs both matrices, ours one: with AVX-512 it is the faster one where that tells
 * (docs/performance.md). */
static int own_is_faster(const vx_cpu *cpu, int m, int n)
{
    return (cpu->flags & VX_CPU_AVX512) && (m <= 256 || n <= 128);
}

void vx_cpu_gemm(const vx_cpu *cpu, int worker, const vx_gemm *g)
{
    enum { ROW_MAJOR = 101, NO = 111, YES = 112 };
    const int m = g->whole_m ? g->whole_m : g->m;
    if (!g->a_is_km && !g->b_is_kn && m <= VX_GEMM_FEW)
        cpu->pieces.gemm_few(g);
    else if (!g->a_is_km && g->b_is_kn && m <= VX_GEMM_FEW_KN)
        cpu->pieces.gemm_few_kn(g);
    else if (cpu->blas && !own_is_faster(cpu, m, g->n))
        cpu->blas->sgemm(ROW_MAJOR, g->a_is_km ? YES : NO, g->b_is_kn ? NO : YES, g->m, g->n, g->k,
                         g->alpha, g->a, g->lda, g->b, g->ldb, g->accumulate ? 1.0f : 0.0f, g->c,
                         g->ldc);
    else
        cpu->pieces.gemm_own(g, vx_cpu_room_of(cpu, worker).pack);
}

/* The tiling whose slowest worker has least to do: product plus packing, in multiply-adds / k. */
vx_tiling vx_cpu_tiling(const vx_cpu *cpu, int m, int n, int unit)
{
    const int workers = cpu->base.env.workers;
    vx_tiling best = {1, 1, m, n, m, n};
    double least = -1;
    for (int down = 1; down <= vx_least(2 * workers, m); down++)
        for (int across = 1; across * down <= 2 * workers; across++) {
            const int rows = vx_ceil_div(m, down);
            const int columns = vx_ceil_div(vx_ceil_div(n, across), unit) * unit;
            const int tiles = vx_ceil_div(m, rows) * vx_ceil_div(n, columns);
            const double cost = (double)vx_ceil_div(tiles, workers) *
                                ((double)rows * columns + PACK_COST * ((double)rows + columns));
            if (least >= 0 && cost >= least)
                continue;
            least = cost;
            best = (vx_tiling){tiles, vx_ceil_div(n, columns), m, n, rows, columns};
        }
    return best;
}

vx_tile vx_cpu_tile(const vx_tiling *t, int index)
{
    const int m0 = index / t->across * t->rows, n0 = index % t->across * t->columns;
    return (vx_tile){m0, vx_least(t->rows, t->m - m0), n0, vx_least(t->columns, t->n - n0)};
}
