/* kernels/cpu/kernels_any.c: the kernels of the *_vec.h files for vectors of 128 bits. */
#define VX_ISA_NAME any
#define VX_VECTOR_BITS 128
#include "kernels/cpu/fill_vec.h"
