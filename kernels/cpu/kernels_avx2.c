/* kernels/cpu/kernels_avx2.c: the kernels of the *_vec.h files for vectors of 256 bits. */
#define VX_ISA_NAME avx2
#define VX_VECTOR_BITS 256
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernels/cpu/fill_vec.h"
#else
#include "kernels/cpu/cpu.h" /* another kind of processor */
#endif
