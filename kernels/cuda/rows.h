/*
 * kernels/cuda/rows.h: what the kernels along rows share: arrays whose element type is known when
 * they run, four elements at once, sums over warps and blocks.
 */
#ifndef VX_CUDA_ROWS_H
#define VX_CUDA_ROWS_H

#include "kernels/cuda/cuda.h"

enum vx_kind { VX_KIND_F32, VX_KIND_BF16, VX_KIND_F16 };

/* Rows `ld` elements apart. The kernels ask for the type once a row, so that each of them is
 * compiled once, not once for each combination of types. data NULL: not there. */
struct vx_view {
    void *data;
    int64_t ld;
    vx_kind kind;
};

static inline vx_view vx_view_of(const vx_cuda *cuda, const float *floats, const vx_narrow *twin,
                                 int64_t ld)
{
    const vx_array a = vx_array_of(floats, twin);
    vx_view rows = {const_cast<void *>(a.data), ld, VX_KIND_F32};
    if (a.narrow && cuda->number >= VX_CUDA_BF16)
        rows.kind = cuda->number == VX_CUDA_BF16 ? VX_KIND_BF16 : VX_KIND_F16;
    return rows;
}

static inline vx_view vx_float_view(const float *floats, int64_t ld)
{
    return {const_cast<float *>(floats), ld, VX_KIND_F32};
}

/* Recorded attention; ld: of a matrix or a row of it. */
static inline vx_view vx_record_view(const vx_recorded *record, int64_t ld)
{
    return {record->data, ld, record->store == VX_STORE_F16 ? VX_KIND_F16 : VX_KIND_F32};
}

/* Each row, and `step` elements on from its begin, are aligned for four elements at once. */
static inline bool vx_fours(vx_view a, int64_t step = 0)
{
    const size_t bytes = a.kind == VX_KIND_F32 ? 16 : 8;
    return a.ld % 4 == 0 && step % 4 == 0 && vx_aligned(a.data, bytes);
}

static __host__ __device__ inline vx_view vx_from(vx_view a, int64_t element)
{
    a.data = static_cast<char *>(a.data) + element * (a.kind == VX_KIND_F32 ? 4 : 2);
    return a;
}

VX_DEVICE float vx_read(vx_view a, int64_t i)
{
    switch (a.kind) {
    case VX_KIND_F32:
        return static_cast<const float *>(a.data)[i];
    case VX_KIND_BF16:
        return vx_of_bf16(static_cast<const vx_bf16 *>(a.data)[i]);
    default:
        return vx_of_f16(static_cast<const vx_f16 *>(a.data)[i]);
    }
}

VX_DEVICE void vx_write(vx_view a, int64_t i, float x)
{
    switch (a.kind) {
    case VX_KIND_F32:
        static_cast<float *>(a.data)[i] = x;
        break;
    case VX_KIND_BF16:
        static_cast<vx_bf16 *>(a.data)[i] = vx_to_bf16(x);
        break;
    default:
        static_cast<vx_f16 *>(a.data)[i] = vx_to_f16(x);
    }
}

/* W elements, 1 or 4, from element i on; 4 need vx_fours. */
template <int W> VX_DEVICE void vx_read_some(vx_view a, int64_t i, float *x)
{
    if constexpr (W == 1) {
        *x = vx_read(a, i);
    } else if (a.kind == VX_KIND_F32) {
        const float4 v = *reinterpret_cast<const float4 *>(static_cast<const float *>(a.data) + i);
        x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
    } else {
        const ushort4 v =
            *reinterpret_cast<const ushort4 *>(static_cast<const uint16_t *>(a.data) + i);
        const uint16_t bits[4] = {v.x, v.y, v.z, v.w};
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            x[k] = a.kind == VX_KIND_BF16 ? vx_of_bf16({bits[k]}) : vx_of_f16({bits[k]});
    }
}

template <int W> VX_DEVICE void vx_write_some(vx_view a, int64_t i, const float *x)
{
    if constexpr (W == 1) {
        vx_write(a, i, *x);
    } else if (a.kind == VX_KIND_F32) {
        *reinterpret_cast<float4 *>(static_cast<float *>(a.data) + i) =
            make_float4(x[0], x[1], x[2], x[3]);
    } else {
        uint16_t bits[4];
        VX_UNROLL
        for (int k = 0; k < 4; k++)
            bits[k] = a.kind == VX_KIND_BF16 ? vx_to_bf16(x[k]).bits : vx_to_f16(x[k]).bits;
        *reinterpret_cast<ushort4 *>(static_cast<uint16_t *>(a.data) + i) =
            make_ushort4(bits[0], bits[1], bits[2], bits[3]);
    }
}

/* W elements of x become those of y: each bit if both are of one type. */
template <int W> VX_DEVICE void vx_move_some(vx_view y, int64_t to, vx_view x, int64_t from)
{
    if (y.kind != x.kind || y.kind == VX_KIND_F32) { /* a float that is only moved keeps its bits */
        float v[W];
        vx_read_some<W>(x, from, v);
        vx_write_some<W>(y, to, v);
    } else if constexpr (W == 1) {
        static_cast<uint16_t *>(y.data)[to] = static_cast<const uint16_t *>(x.data)[from];
    } else {
        *reinterpret_cast<ushort4 *>(static_cast<uint16_t *>(y.data) + to) =
            *reinterpret_cast<const ushort4 *>(static_cast<const uint16_t *>(x.data) + from);
    }
}

/* ------------------------------------------------------------------------------- sums ---- */

/* The same in every lane, and each time. */
template <class T> VX_DEVICE T vx_warp_sum(T x)
{
    VX_UNROLL
    for (int with = VX_WARP / 2; with > 0; with /= 2)
        x += __shfl_xor_sync(VX_ALL_LANES, x, with);
    return x;
}

/* The largest number; a NaN is passed over. */
VX_DEVICE float vx_warp_max(float x)
{
    VX_UNROLL
    for (int with = VX_WARP / 2; with > 0; with /= 2)
        x = fmaxf(x, __shfl_xor_sync(VX_ALL_LANES, x, with));
    return x;
}

/* Sums down columns: a block takes 32 columns, a lane each, and every warp a part of the rows. */
enum { VX_COLUMN_WARPS = 8, VX_COLUMN_THREADS = VX_COLUMN_WARPS * VX_WARP };
struct vx_column_sums {
    double of[VX_COLUMN_WARPS][VX_WARP];
};

/* Adds up the term of each row 0..rows-1 for this lane's column. The sum is right in every thread,
 * and the same each time. All of a block must come; a lane without a column has 0 rows. */
template <class F> VX_DEVICE double vx_column_sum(vx_column_sums &sums, int64_t rows, F term)
{
    double sum = 0;
    for (int64_t i = vx_warp(); i < rows; i += VX_COLUMN_WARPS)
        sum += term(i);
    __syncthreads(); /* the last sum was read */
    sums.of[vx_warp()][vx_lane()] = sum;
    __syncthreads();
    sum = 0;
    VX_UNROLL
    for (int w = 0; w < VX_COLUMN_WARPS; w++)
        sum += sums.of[w][vx_lane()];
    return sum;
}

/* a / b and a % b; numbers of 32 bits, as most are, are divided much quicker. */
VX_DEVICE int64_t vx_divide(int64_t a, int64_t b, int64_t *rest)
{
    const int64_t quotient = (uint64_t)(a | b) >> 32 ? a / b : (int64_t)((uint32_t)a / (uint32_t)b);
    *rest = a - quotient * b;
    return quotient;
}

/* This thread's number in the grid, and the number of threads. */
VX_DEVICE int64_t vx_thread()
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

VX_DEVICE int64_t vx_threads()
{
    return (int64_t)gridDim.x * blockDim.x;
}

/* ---------------------------------------------------------------------- over all rows ---- */

enum { VX_ROWS_THREADS = 256 };

/* Calls f.at<W>(row, column) for every W columns of every row. */
template <int W, class F>
__global__ void __launch_bounds__(VX_ROWS_THREADS)
    vx_over_rows(const __grid_constant__ F f, int64_t rows, int64_t columns)
{
    const int64_t each = columns / W, count = rows * each;
    for (int64_t i = vx_thread(); i < count; i += vx_threads()) {
        int64_t item;
        const int64_t row = vx_divide(i, each, &item);
        f.template at<W>(row, item * W);
    }
}

/* Queues it; fours: rows are aligned for four elements at once. */
template <class F>
static inline void vx_queue_rows(vx_cuda *cuda, const char *name, const F &f, int64_t rows,
                                 int64_t columns, bool fours)
{
    if (rows <= 0 || columns <= 0)
        return;
    fours = fours && columns % 4 == 0;
    const size_t items = (size_t)rows * (size_t)(fours ? columns / 4 : columns);
    vx_launch(name, vx_blocks(items, VX_ROWS_THREADS), VX_ROWS_THREADS, 0, &cuda->stream,
              fours ? vx_over_rows<4, F> : vx_over_rows<1, F>, f, rows, columns);
}

/* Calls f.block(sums, group, column) for every column of every group: in blocks of
 * VX_COLUMN_THREADS, a lane each. All threads come; the columns may go on beyond the last one. */
template <class F>
__global__ void __launch_bounds__(VX_COLUMN_THREADS, 2)
    vx_over_columns(const __grid_constant__ F f, int64_t groups, int64_t strips)
{
    for (int64_t i = blockIdx.x; i < groups * strips; i += gridDim.x) {
        int64_t strip;
        const int64_t group = vx_divide(i, strips, &strip);
        f.block(vx_shared<vx_column_sums>(), group, strip * VX_WARP + vx_lane());
    }
}

template <class F>
static inline void vx_queue_columns(vx_cuda *cuda, const char *name, const F &f, int64_t groups,
                                    int64_t columns)
{
    const int64_t strips = (columns + VX_WARP - 1) / VX_WARP;
    if (groups > 0 && columns > 0)
        vx_launch(name, vx_blocks((size_t)(groups * strips), 1), VX_COLUMN_THREADS,
                  sizeof(vx_column_sums), &cuda->stream, vx_over_columns<F>, f, groups, strips);
}

/* Calls f.warp(row) for every row, by whole warps. */
template <class F>
__global__ void __launch_bounds__(VX_ROWS_THREADS, 4)
    vx_over_warps(const __grid_constant__ F f, int64_t rows)
{
    for (int64_t row = vx_thread() / VX_WARP; row < rows; row += vx_threads() / VX_WARP)
        f.warp(row);
}

template <class F>
static inline void vx_queue_warps(vx_cuda *cuda, const char *name, const F &f, int64_t rows)
{
    if (rows > 0)
        vx_launch(name, vx_blocks((size_t)rows, VX_ROWS_THREADS / VX_WARP), VX_ROWS_THREADS, 0,
                  &cuda->stream, vx_over_warps<F>, f, rows);
}

#endif
