/* kernels/cpu/kernels_bf16.c: products and roundings of AVX-512 BF16. */
#define VX_ISA_NAME bf16
#define VX_VECTOR_BITS 512
#if defined(__AVX512BF16__)
#include "kernels/cpu/peak_vec.h"
#include "kernels/cpu/turned_vec.h"

void vx_extend_bf16(vx_pieces *pieces)
{
    pieces->exponentials = VX_NAME(exponentials);
    pieces->panels_of = VX_NAME(panels_of);
    pieces->rows_of = VX_NAME(rows_of);
    pieces->turned = VX_NAME(turned);
    pieces->rows_bf16 = VX_NAME(rows_bf16);
    pieces->rows_bf16x3 = VX_NAME(rows_bf16x3);
    pieces->rows_scaled = VX_NAME(rows_scaled);
    pieces->peak_bf16 = VX_NAME(peak_bf16);
    pieces->panels_bf16 = VX_NAME(panels_bf16);
    pieces->panels_bf16x3 = VX_NAME(panels_bf16x3);
}
#else
#include "kernels/cpu/cpu.h" /* another kind of processor */
#endif
