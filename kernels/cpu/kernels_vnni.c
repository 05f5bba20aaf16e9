/* kernels/cpu/kernels_vnni.c: int8 products of AVX-512 VNNI. */
#define VX_ISA_NAME vnni
#define VX_VECTOR_BITS 512
#if defined(__AVX512VNNI__)
#include "kernels/cpu/peak_vec.h"

void vx_extend_vnni(vx_pieces *pieces)
{
    pieces->peak_int8 = VX_NAME(peak_int8);
    pieces->panels_int8 = VX_NAME(panels_int8);
}
#else
#include "kernels/cpu/cpu.h" /* another kind of processor */
#endif
