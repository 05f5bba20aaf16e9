/* kernels/cpu/kernels_any.c: the kernels of rows_vec.h and gemm_vec.h for vectors of 128 bits. */
#define VX_ISA any
#define VX_VECTOR_BITS 128
#include "kernels/cpu/gemm_vec.h"
