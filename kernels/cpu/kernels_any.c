/* kernels/cpu/kernels_any.c: the kernels of the *_vec.h files for vectors of 128 bits. */
#define VX_ISA any
#define VX_VECTOR_BITS 128
#include "kernels/cpu/gemm_vec.h"
#include "kernels/cpu/maps_vec.h"
#include "kernels/cpu/wide_vec.h"
