/*
 * kernels/cuda/gpu.h: what a kernel is written in.
 *
 * The sources of this folder are compiled twice: by nvcc for a GPU, and by a C++17 compiler as the
 * host twin, in which each thread of a kernel runs on the processor (kernels/cuda/host/machine.h).
 * All differences are in this header. docs/cuda.md says what the twin shows and what it cannot.
 *
 * Rules for kernels (test/cuda.sh and the twin look after them):
 *   - A block has full warps, in a row: a multiple of 32 threads along x. An operation of a warp is
 *     met by all of its 32 lanes, at one place of the source.
 *   - No thread returns before the last barrier; a warp without work skips the work.
 *   - Shared memory is one struct: vx_shared<T>(). Its size is given at launch.
 *   - __syncwarp() stands between the write and the read of memory that a warp shares. Shuffles,
 *     mma and ldmatrix order no memory.
 *   - No atomics on floats: a result is the same each time.
 *   - A copy by vx_cp_async16 is waited for before its thread ends.
 */
#ifndef VX_CUDA_GPU_H
#define VX_CUDA_GPU_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cuda/list.h"

enum { VX_WARP = 32 };
constexpr unsigned VX_ALL_LANES = 0xffffffffu;

/* 16 bits of a float, without arithmetic. */
struct vx_bf16 {
    uint16_t bits;
};
struct vx_f16 {
    uint16_t bits;
};

#ifdef __CUDACC__

#define VX_UNROLL _Pragma("unroll")
#define VX_ROLLED _Pragma("unroll 1")
#define VX_DEVICE static __device__ __forceinline__
#define VX_DEVICE_APART [[maybe_unused]] static __device__ __noinline__ /* it is called */

/* The block's shared memory. */
template <class T> static __device__ __forceinline__ T &vx_shared()
{
    extern __shared__ __align__(16) unsigned char vx_shared_bytes[];
    return *reinterpret_cast<T *>(vx_shared_bytes);
}

/*
 * d += a b: 16x8 += 16x16 * 16x8, PTX's mma.m16n8k16 with floats as d. What lane l has (PTX ISA,
 * "Matrix Fragments for mma.m16n8k16 with floating point type"), with g = l/4 and t = l%4:
 *
 *      a[0] row g, a[1] row g+8: columns 2t, 2t+1;   a[2], a[3] the same rows: columns 2t+8, 2t+9
 *      b[0] rows 2t, 2t+1,  b[1] rows 2t+8, 2t+9:    column g
 *      d[0], d[1] row g,    d[2], d[3] row g+8:      columns 2t, 2t+1
 *
 * The first of two neighbours is the low half of a register.
 */
VX_DEVICE void vx_mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

VX_DEVICE void vx_mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four 8x8 matrices of 16-bit elements from shared memory. Lane l names row l%8 of matrix l/8: 16
 * bytes, aligned to 16. r[i]: two neighbours of row lane/4 of matrix i, from column 2(lane%4) on;
 * _trans: of the transposed matrix. (PTX ISA, "Warp-level matrix instructions: ldmatrix".) */
VX_DEVICE void vx_ldmatrix_x4(uint32_t (&r)[4], const void *row)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

VX_DEVICE void vx_ldmatrix_x4_trans(uint32_t (&r)[4], const void *row)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

/* Copies 16 bytes (both aligned to 16) from global to shared memory, some time before the wait for
 * the copy's group; the first `bytes` of them are read, the others become 0. */
VX_DEVICE void vx_cp_async16_part(void *shared, const void *global, int bytes)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(shared);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(global), "r"(bytes)
                 : "memory");
}

/* Not valid: 0 is written, and `global` is not read. */
VX_DEVICE void vx_cp_async16(void *shared, const void *global, bool valid)
{
    vx_cp_async16_part(shared, global, valid ? 16 : 0);
}

/* The thread's copies since the last commit are a group. */
VX_DEVICE void vx_cp_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits for all of this thread's groups but the last N. */
template <int N> VX_DEVICE void vx_cp_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Rounded to nearest even. */
VX_DEVICE vx_bf16 vx_to_bf16(float x)
{
    vx_bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

VX_DEVICE float vx_of_bf16(vx_bf16 x)
{
    return __uint_as_float((uint32_t)x.bits << 16);
}

VX_DEVICE vx_f16 vx_to_f16(float x)
{
    vx_f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

VX_DEVICE float vx_of_f16(vx_f16 x)
{
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

/* Two in a register, `low` in its low half, as mma takes neighbours along k. PTX names the high one
 * first. */
VX_DEVICE uint32_t vx_pack_bf16(float low, float high)
{
    uint32_t y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

VX_DEVICE uint32_t vx_pack_f16(float low, float high)
{
    uint32_t y;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

/* 2^x, with a relative error of about 2^-22; results below 2^-126 are 0. */
VX_DEVICE float vx_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

VX_DEVICE float vx_rsqrt(float x)
{
    return rsqrtf(x);
}

VX_DEVICE uint32_t vx_bits_of(float x)
{
    return __float_as_uint(x);
}

VX_DEVICE float vx_float_of(uint32_t bits)
{
    return __uint_as_float(bits);
}

/* @return what was there before */
VX_DEVICE int vx_atomic_add(int *at, int x)
{
    return atomicAdd(at, x);
}

VX_DEVICE unsigned vx_atomic_add(unsigned *at, unsigned x)
{
    return atomicAdd(at, x);
}

template <class... P, class... A>
static inline void vx_launch_now(const vx_entry &how, vx_gpu_stream *stream, void (*kernel)(P...),
                                 const A &...args)
{
    const uint32_t *g = how.grid, *b = how.block;
    if (!vx_gpu_may_launch(stream, how.name, how.function, how.shared_bytes))
        return;
    kernel<<<dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), how.shared_bytes,
             (cudaStream_t)stream->handle>>>(args...);
    vx_gpu_launched(stream, how.name);
}

#else
#include "kernels/cuda/host/gpu_host.h"
#endif

/* ------------------------------------------------------------------------ launches ---- */

/* The arguments of a kernel, as they lie behind an entry of a list. */
template <class... P> struct vx_pack {
};
template <class H, class... T> struct vx_pack<H, T...> {
    H head;
    vx_pack<T...> rest;
};

static inline void vx_pack_set(vx_pack<> *)
{
}

template <class H, class... T>
static inline void vx_pack_set(vx_pack<H, T...> *p, const H &head, const T &...rest)
{
    memcpy(static_cast<void *>(&p->head), &head, sizeof head);
    vx_pack_set(&p->rest, rest...);
}

template <class K, class... D>
static inline void vx_pack_play(const vx_entry &how, vx_gpu_stream *stream, K kernel,
                                const vx_pack<> &, const D &...args)
{
    vx_launch_now(how, stream, kernel, args...);
}

template <class K, class H, class... T, class... D>
static inline void vx_pack_play(const vx_entry &how, vx_gpu_stream *stream, K kernel,
                                const vx_pack<H, T...> &p, const D &...args)
{
    vx_pack_play(how, stream, kernel, p.rest, args..., p.head);
}

template <class... P> static void vx_play_launch(vx_gpu_stream *stream, const vx_entry *entry)
{
    typedef void kernel(P...);
    static_assert(alignof(vx_pack<P...>) <= alignof(vx_entry), "arguments are aligned to 16");
    vx_pack_play(*entry, stream, (kernel *)entry->function,
                 *reinterpret_cast<const vx_pack<P...> *>(entry + 1));
}

template <class... P, class... A>
static inline void vx_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes,
                             vx_gpu_stream *stream, void (*kernel)(P...), A... args)
{
    const vx_entry how = {
        vx_play_launch<P...>,     (const void *)kernel,        name, NULL, shared_bytes,
        {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, 0};
    typedef vx_pack<P...> pack;
    if (stream->error)
        return;
    pack *to =
        stream->list ? static_cast<pack *>(vx_list_add(stream, &how, sizeof(pack))) : nullptr;
    if (!to) {
        vx_launch_now(how, stream, kernel, static_cast<const P &>(args)...);
        return;
    }
    vx_pack_set(to, static_cast<const P &>(args)...);
    vx_clear_gaps(to);
}

/* Queues a kernel, or adds it to the stream's list: grid and block are numbers or dim3, the
 * arguments are copied. A template has parentheses around it:
 * VX_LAUNCH((rows<4, true>), blocks, 128, sizeof(rows_shared), stream, ...). A failure is kept in
 * the stream; vx_gpu_sync reports it. */
#define VX_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                  \
    vx_launch(#kernel, dim3(grid), dim3(block), shared_bytes, stream, kernel, __VA_ARGS__)

VX_DEVICE int vx_lane()
{
    return (int)(threadIdx.x % VX_WARP);
}

VX_DEVICE int vx_warp()
{
    return (int)(threadIdx.x / VX_WARP);
}

#endif
