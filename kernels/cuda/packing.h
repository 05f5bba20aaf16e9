/*
 * kernels/cuda/packing.h: matrices in a precision's form.
 *
 * A matrix [n,k] is n rows of vx_packed_ld elements, the first one at data itself:
 *
 *      f32, bf16, f16   the row, then zeros up to a multiple of 8 elements
 *      bf16x3           [high | low | high], each of them such a row of bf16: w is high + low up to
 *                       2^-17. Along k that is one row of three times the length, for the rows
 *                       [high | high | low] of x; along n these are three rows, one below the
 *                       other, for the columns high, high, low of dy.
 */
#ifndef VX_CUDA_PACKING_H
#define VX_CUDA_PACKING_H

#include "kernels/cuda/cuda.h"

enum { VX_CUDA_EIGHT = 8 };

/* Elements of one part of a row. */
static inline size_t vx_packed_part(int k)
{
    return vx_round_up((size_t)k, VX_CUDA_EIGHT);
}

static inline size_t vx_packed_parts(vx_cuda_number number)
{
    return number == VX_CUDA_BF16X3 ? 3 : 1;
}

static inline size_t vx_packed_ld(vx_cuda_number number, int k)
{
    return vx_packed_parts(number) * vx_packed_part(k);
}

static inline size_t vx_packed_element(vx_cuda_number number)
{
    return number == VX_CUDA_F32 ? sizeof(float) : 2;
}

/* vx_device_class.packings and .packing_for. */
extern const vx_packing *const vx_cuda_packings[];
const vx_packing *vx_cuda_packing_for(const char *precision, vx_layer layer, int block);

/* The number that a precision's name stands for; NULL and "auto", too. VX_CUDA_NUMBERS: none. */
vx_cuda_number vx_cuda_number_of(const char *precision);
const char *vx_cuda_number_name(int number);

vx_cuda_number vx_packing_number(const vx_packing *packing);

/* Of device.cu: why an allocation or a call of the runtime failed. @return VX_DEVICE_... */
int vx_cuda_failed(const vx_device_env *env, int error, const char *what, size_t bytes, char *err,
                   size_t err_size);

/* One copy, done on return; which: 'w' to the GPU, 'r' from it, 'c' on it. */
int vx_cuda_copy_now(const vx_device_env *env, char which, void *to, const void *from, size_t bytes,
                     char *err, size_t err_size);

#endif
