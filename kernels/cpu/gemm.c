/* kernels/cpu/gemm.c: one thread's matrix product: few rows, OpenBLAS, or our own. */
#include "kernels/cpu/cpu.h"

void vx_cpu_gemm(const vx_cpu *cpu, int worker, const vx_gemm *g)
{
    enum { ROW_MAJOR = 101, NO = 111, YES = 112 };
    if (g->m <= VX_GEMM_FEW && !g->b_is_kn)
        cpu->pieces.gemm_few(g);
    else if (cpu->blas)
        cpu->blas->sgemm(ROW_MAJOR, NO, g->b_is_kn ? NO : YES, g->m, g->n, g->k, g->alpha, g->a,
                         g->lda, g->b, g->ldb, g->accumulate ? 1.0f : 0.0f, g->c, g->ldc);
    else
        cpu->pieces.gemm_own(g, vx_cpu_room_of(cpu, worker).pack);
}
