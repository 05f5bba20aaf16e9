/*
 * kernels/cuda/host/gpu_host.h: gpu.h's words for the host twin. gpu.h alone includes it.
 */
#ifndef VX_CUDA_HOST_GPU_HOST_H
#define VX_CUDA_HOST_GPU_HOST_H

#include "kernels/bits.h"
#include "kernels/cuda/host/graph.h"
#include "kernels/cuda/host/machine.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define __forceinline__ inline
#define VX_UNROLL
#define VX_ROLLED
#define VX_DEVICE [[maybe_unused]] static inline
#define VX_DEVICE_APART [[maybe_unused]] static

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

#define VX_VECTOR(type, name, bytes)                                                               \
    struct alignas(2 * (bytes)) name##2                                                            \
    {                                                                                              \
        type x, y;                                                                                 \
    };                                                                                             \
    struct alignas(4 * (bytes)) name##4                                                            \
    {                                                                                              \
        type x, y, z, w;                                                                           \
    };                                                                                             \
    [[maybe_unused]] static inline name##2 make_##name##2(type x, type y)                          \
    {                                                                                              \
        return {x, y};                                                                             \
    }                                                                                              \
    [[maybe_unused]] static inline name##4 make_##name##4(type x, type y, type z, type w)          \
    {                                                                                              \
        return {x, y, z, w};                                                                       \
    }
VX_VECTOR(float, float, 4)
VX_VECTOR(int, int, 4)
VX_VECTOR(unsigned, uint, 4)
VX_VECTOR(unsigned short, ushort, 2)
#undef VX_VECTOR

/* Where the thread is that runs. */
struct vx_place {
    dim3 thread;
    const dim3 *block, *threads, *blocks;
};
extern __thread const vx_place *vx_here __attribute__((tls_model("initial-exec")));
#define threadIdx (vx_here->thread)
#define blockIdx (*vx_here->block)
#define blockDim (*vx_here->threads)
#define gridDim (*vx_here->blocks)

/* Each function that meets has these behind its arguments: the place in the source. */
#define VX_WHERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

template <class T> static inline T &vx_shared(VX_WHERE)
{
    return *static_cast<T *>(vx_machine_shared(sizeof(T), file, line));
}

VX_DEVICE void __syncthreads(VX_WHERE)
{
    vx_machine_barrier(file, line);
}

VX_DEVICE void vx_full_mask(unsigned mask, const char *file, int line)
{
    if (mask != VX_ALL_LANES)
        vx_machine_stop(file, line, "mask 0x%x: only all lanes of a warp meet", mask);
}

VX_DEVICE void __syncwarp(unsigned mask = VX_ALL_LANES, VX_WHERE)
{
    vx_full_mask(mask, file, line);
    vx_machine_meet(VX_MEET_SYNC, 0, NULL, 0, NULL, 0, file, line);
}

/* from: the lane whose value this one takes. */
template <class T>
static inline T vx_shuffle(unsigned mask, T x, int from, uint32_t argument, int width,
                           const char *file, int line)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes are shuffled");
    constexpr int words = (int)(sizeof(T) / 4);
    uint32_t in[3], out[2];
    vx_full_mask(mask, file, line);
    if (width < 1 || width > VX_WARP || (width & (width - 1)))
        vx_machine_stop(file, line, "a shuffle's width is %d: 1, 2, 4, 8, 16 or 32", width);
    in[0] = (uint32_t)from;
    memcpy(in + 1, &x, sizeof x);
    vx_machine_meet(VX_MEET_SHUFFLE, argument << 8 | (uint32_t)width, in, 1 + words, out, words,
                    file, line);
    memcpy(&x, out, sizeof x);
    return x;
}

VX_DEVICE int vx_own_lane()
{
    return (int)(threadIdx.x % VX_WARP);
}

template <class T>
static inline T __shfl_sync(unsigned mask, T x, int lane, int width = VX_WARP, VX_WHERE)
{
    const int own = vx_own_lane();
    return vx_shuffle(mask, x, (own & ~(width - 1)) | (lane & (width - 1)), 0, width, file, line);
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T x, int with, int width = VX_WARP, VX_WHERE)
{
    const int own = vx_own_lane(), from = own ^ with;
    return vx_shuffle(mask, x, (from ^ own) < width ? from : own, (uint32_t)with, width, file,
                      line);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T x, unsigned by, int width = VX_WARP, VX_WHERE)
{
    const int own = vx_own_lane(), from = own + (int)by;
    return vx_shuffle(mask, x, from < (own | (width - 1)) + 1 ? from : own, by, width, file, line);
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T x, unsigned by, int width = VX_WARP, VX_WHERE)
{
    const int own = vx_own_lane(), from = own - (int)by;
    return vx_shuffle(mask, x, from >= (own & ~(width - 1)) ? from : own, by, width, file, line);
}

VX_DEVICE unsigned __ballot_sync(unsigned mask, int what, VX_WHERE)
{
    const uint32_t in = what != 0;
    uint32_t out;
    vx_full_mask(mask, file, line);
    vx_machine_meet(VX_MEET_BALLOT, 0, &in, 1, &out, 1, file, line);
    return out;
}

VX_DEVICE int __any_sync(unsigned mask, int what, VX_WHERE)
{
    return __ballot_sync(mask, what, file, line) != 0;
}

VX_DEVICE int __all_sync(unsigned mask, int what, VX_WHERE)
{
    return __ballot_sync(mask, what, file, line) == VX_ALL_LANES;
}

static inline void vx_mma(vx_meeting kind, float (&d)[4], const uint32_t (&a)[4],
                          const uint32_t (&b)[2], const char *file, int line)
{
    uint32_t in[10], out[4];
    memcpy(in, d, sizeof d);
    memcpy(in + 4, a, sizeof a);
    memcpy(in + 8, b, sizeof b);
    vx_machine_meet(kind, 0, in, 10, out, 4, file, line);
    memcpy(d, out, sizeof d);
}

VX_DEVICE void vx_mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], VX_WHERE)
{
    vx_mma(VX_MEET_MMA_BF16, d, a, b, file, line);
}

VX_DEVICE void vx_mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], VX_WHERE)
{
    vx_mma(VX_MEET_MMA_F16, d, a, b, file, line);
}

/* The lane reads its row itself, so that a sanitizer knows who read. */
static inline void vx_ldmatrix(vx_meeting kind, uint32_t (&r)[4], const void *row, const char *file,
                               int line)
{
    typedef uint32_t __attribute__((may_alias)) word;
    const uint64_t at = (uint64_t)(uintptr_t)row;
    uint32_t in[6];
    if (at % 16)
        vx_machine_stop(file, line, "ldmatrix: a row at %p is not aligned to 16 bytes", row);
    memcpy(in, &at, sizeof at);
    for (int i = 0; i < 4; i++)
        in[2 + i] = static_cast<const word *>(row)[i];
    vx_machine_meet(kind, 0, in, 6, r, 4, file, line);
}

VX_DEVICE void vx_ldmatrix_x4(uint32_t (&r)[4], const void *row, VX_WHERE)
{
    vx_ldmatrix(VX_MEET_LDMATRIX, r, row, file, line);
}

VX_DEVICE void vx_ldmatrix_x4_trans(uint32_t (&r)[4], const void *row, VX_WHERE)
{
    vx_ldmatrix(VX_MEET_LDMATRIX_TRANS, r, row, file, line);
}

VX_DEVICE void vx_cp_async16_part(void *shared, const void *global, int bytes, VX_WHERE)
{
    vx_machine_copy_async(shared, global, bytes, file, line);
}

VX_DEVICE void vx_cp_async16(void *shared, const void *global, bool valid, VX_WHERE)
{
    vx_machine_copy_async(shared, global, valid ? 16 : 0, file, line);
}

VX_DEVICE void vx_cp_commit()
{
    vx_machine_commit();
}

template <int N> static inline void vx_cp_wait()
{
    vx_machine_wait(N);
}

VX_DEVICE vx_bf16 vx_to_bf16(float x)
{
    const uint32_t u = vx_float_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return {0x7fff};
    return {(uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16)};
}

VX_DEVICE float vx_of_bf16(vx_bf16 x)
{
    return vx_bits_float((uint32_t)x.bits << 16);
}

VX_DEVICE vx_f16 vx_to_f16(float x)
{
    return {x != x ? (uint16_t)0x7fff : vx_float_to_half(x)};
}

VX_DEVICE float vx_of_f16(vx_f16 x)
{
    return vx_half_to_float(x.bits);
}

VX_DEVICE uint32_t vx_pack_bf16(float low, float high)
{
    return (uint32_t)vx_to_bf16(high).bits << 16 | vx_to_bf16(low).bits;
}

VX_DEVICE uint32_t vx_pack_f16(float low, float high)
{
    return (uint32_t)vx_to_f16(high).bits << 16 | vx_to_f16(low).bits;
}

VX_DEVICE float vx_exp2(float x)
{
    return x < -126.0f ? 0.0f : exp2f(x);
}

VX_DEVICE float vx_rsqrt(float x)
{
    return 1.0f / sqrtf(x);
}

VX_DEVICE uint32_t vx_bits_of(float x)
{
    return vx_float_bits(x);
}

VX_DEVICE float vx_float_of(uint32_t bits)
{
    return vx_bits_float(bits);
}

VX_DEVICE int vx_atomic_add(int *at, int x)
{
    return __atomic_fetch_add(at, x, __ATOMIC_RELAXED);
}

VX_DEVICE unsigned vx_atomic_add(unsigned *at, unsigned x)
{
    return __atomic_fetch_add(at, x, __ATOMIC_RELAXED);
}

template <class... P, class... A>
static inline void vx_launch_now(const vx_entry &how, vx_gpu_stream *stream, void (*kernel)(P...),
                                 const A &...args)
{
    auto run = [kernel, args...]() { kernel(args...); };
    using closure = decltype(run);
    const uint32_t *g = how.grid, *b = how.block;
    const vx_launch_shape shape = {
        how.name, {g[0], g[1], g[2]}, {b[0], b[1], b[2]}, how.shared_bytes};
    vx_host_launch(
        stream, &shape, how.function, [](void *what) { (*static_cast<closure *>(what))(); }, &run,
        sizeof run);
}

#endif
