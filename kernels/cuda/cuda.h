/*
 * kernels/cuda/cuda.h: what the files of the device share.
 *
 * An operation <op> of kernels/ops.def is vx_<op>_cuda in one of the files op_*.cu: it queues
 * kernels on the device's stream and returns. It neither allocates nor waits, and it cannot fail:
 * the stream keeps the first error, and sync reports it.
 *
 *      device.cu             the class: instances, memory, copies, the table of operations
 *      list.h, list.cu       what a pass queues as one graph
 *      packing.cu            matrices in a precision's form
 *      blaslt.h, blaslt.cu   products by cuBLASLt
 *      product.h, product*.cu  products by kernels of our own, and what comes after a product
 *      op_*.cu               the operations
 */
#ifndef VX_CUDA_CUDA_H
#define VX_CUDA_CUDA_H

#include "kernels/cuda/gpu.h"
#include "kernels/device.h"

/* The precisions. vx_narrow is float in the first two. */
enum vx_cuda_number {
    VX_CUDA_F32 = 0,
    VX_CUDA_BF16X3, /* operands of products in two halves: about 2^-16 */
    VX_CUDA_BF16,
    VX_CUDA_F16,
    VX_CUDA_NUMBERS
};

struct vx_products; /* blaslt.h */

/* The scratch has at least so many bytes, whatever was reserved for. */
constexpr size_t VX_CUDA_SCRATCH = (size_t)1 << 20;

struct vx_cuda {
    vx_device base; /* the first member */
    vx_gpu_stream stream;
    vx_gpu_stream copies; /* early uploads, beside what the other one does              */
    bool copying;         /* there were some since the last sync                        */
    vx_cuda_number number;
    unsigned features;     /* VX_CUDA_BLAS and the like                                  */
    int ordinal;           /* of the GPU; chosen for the thread by whatever queues       */
    vx_gpu_info gpu;       /* as it was when the device was opened                       */
    vx_products *products; /* cuBLASLt's; NULL: own products                             */
    vx_lists *lists;       /* NULL: what is queued goes to the GPU at once               */
    /* One block of the GPU's memory that reserve takes. The scratch is 256-byte aligned and for one
     * operation at a time: an operation that calls another one must not keep anything in it. */
    void *memory;
    size_t memory_bytes;
    char *scratch;
    size_t scratch_bytes;
    char *workspace; /* cuBLASLt's */
    size_t workspace_bytes;
    const char *failed; /* the operation that the first error since the last sync is of */
};

static inline vx_cuda *vx_cuda_of(vx_device *dev)
{
    return reinterpret_cast<vx_cuda *>(dev);
}

#define VX_OP(name) extern "C" vx_##name##_fn vx_##name##_cuda;
#include "kernels/ops.def"
#undef VX_OP

/* ------------------------------------------------------------------- element types ---- */

VX_DEVICE float vx_get(float x)
{
    return x;
}

VX_DEVICE float vx_get(vx_bf16 x)
{
    return vx_of_bf16(x);
}

VX_DEVICE float vx_get(vx_f16 x)
{
    return vx_of_f16(x);
}

/* put: rounded to nearest even */
VX_DEVICE void vx_put(float *at, float x)
{
    *at = x;
}

VX_DEVICE void vx_put(vx_bf16 *at, float x)
{
    *at = vx_to_bf16(x);
}

VX_DEVICE void vx_put(vx_f16 *at, float x)
{
    *at = vx_to_f16(x);
}

/* An array that is floats, or its twin in the narrow type: one of the two is NULL (both, if it is
 * optional and not there). */
struct vx_array {
    const void *data;
    bool narrow;
};

static inline vx_array vx_array_of(const float *floats, const vx_narrow *twin)
{
    return {twin ? static_cast<const void *>(twin) : floats, twin != nullptr};
}

template <class T> static inline T *vx_at(vx_array a)
{
    return static_cast<T *>(const_cast<void *>(a.data));
}

/* Bytes of an element. */
static inline size_t vx_element(const vx_cuda *cuda, vx_array a)
{
    return a.narrow && cuda->number >= VX_CUDA_BF16 ? 2 : 4;
}

/* Calls f with a number of the array's element type: vx_with(cuda, x, [&](auto n) { using X =
 * decltype(n); ... }). */
template <class F> static inline void vx_with(const vx_cuda *cuda, vx_array a, F f)
{
    if (!a.narrow || cuda->number <= VX_CUDA_BF16X3)
        f(float{});
    else if (cuda->number == VX_CUDA_BF16)
        f(vx_bf16{});
    else
        f(vx_f16{});
}

static inline bool vx_aligned(const void *at, size_t to)
{
    return (uintptr_t)at % to == 0;
}

static inline size_t vx_round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* Blocks of `each` for `count`, at most what a grid's x takes: kernels go on in steps of the grid
 * where the count may be larger. */
static inline unsigned vx_blocks(size_t count, size_t each)
{
    const size_t blocks = (count + each - 1) / each, most = 0x7fffffff;
    return (unsigned)(blocks < most ? blocks : most);
}

/* ------------------------------------------------------- lists from the host's memory ---- */

/* A part of a list of ints that an operation has in the host's memory: a parameter of the
 * kernel. */
enum { VX_LIST = 960 };
struct vx_list {
    int at[VX_LIST];
};

#endif
