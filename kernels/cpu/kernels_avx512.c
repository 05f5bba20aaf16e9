/* kernels/cpu/kernels_avx512.c: the kernels of the *_vec.h files for vectors of 512 bits. */
#define VX_ISA_NAME avx512
#define VX_VECTOR_BITS 512
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "kernels/cpu/fill_vec.h"
#else
#include "kernels/cpu/cpu.h" /* another kind of processor */
#endif
