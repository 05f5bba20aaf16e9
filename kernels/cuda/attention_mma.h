/*
 * kernels/cuda/attention_mma.h: rows of 16-bit numbers in shared memory, and their products by
 * mma.m16n8k16, for the attention kernels of the fast precisions.
 *
 * NUMBER is VX_CUDA_BF16, VX_CUDA_F16, or VX_CUDA_BF16X3: floats that are kept as two bf16, x =
 * high + low. Their product leaves out low * low; it takes three mma.
 *
 * In shared memory a row has its width rounded up to 16 columns, and 8 more: so all rows begin at
 * multiples of 16 bytes, and 8 rows lie in different banks. The high halves of all rows come first,
 * then (`plane` elements behind them) the low ones.
 *
 * What lane l has of a 16 x 8 product: rows l/4 and l/4 + 8, columns 2(l%4) and 2(l%4) + 1, as
 * {row, column}, {row, column + 1}, {row + 8, column}, {row + 8, column + 1}.
 */
#ifndef VX_CUDA_ATTENTION_MMA_H
#define VX_CUDA_ATTENTION_MMA_H

#include "kernels/cuda/attention.h"

enum { VX_MMA = 16, VX_MMA_WARPS = 4, VX_MMA_THREADS = VX_MMA_WARPS * VX_WARP };

/* Shared memory whose size is known at launch alone. */
struct vx_words {
    alignas(16) uint16_t at[8];
};

template <int NUMBER> constexpr int vx_planes = NUMBER == VX_CUDA_BF16X3 ? 2 : 1;

static inline __host__ __device__ int vx_mma_up(int n)
{
    return (n + VX_MMA - 1) / VX_MMA * VX_MMA;
}

static inline __host__ __device__ int vx_mma_ld(int width)
{
    return vx_mma_up(width) + 8;
}

/* Rows in shared memory. */
struct vx_half_rows {
    uint16_t *at;
    int ld, plane;
};

VX_DEVICE vx_half_rows vx_half_rows_from(vx_half_rows rows, int r)
{
    rows.at += r * rows.ld;
    return rows;
}

/* ----------------------------------------------------------------------------- numbers ---- */

template <int NUMBER> VX_DEVICE uint32_t vx_pack_of(float low, float high)
{
    return NUMBER == VX_CUDA_F16 ? vx_pack_f16(low, high) : vx_pack_bf16(low, high);
}

VX_DEVICE float vx_bf16_rest(float x)
{
    const float rest = x - vx_of_bf16(vx_to_bf16(x));
    return rest - rest == 0 ? rest : 0.0f; /* not of what is or became an infinity */
}

/* An operand: of two halves the low ones may be missing. */
template <int NUMBER, int N> struct vx_operand {
    uint32_t of[vx_planes<NUMBER>][N];
};

/* Neighbours x, y of an operand. */
template <int NUMBER, int N>
VX_DEVICE void vx_operand_set(vx_operand<NUMBER, N> &a, int i, float x, float y)
{
    a.of[0][i] = vx_pack_of<NUMBER>(x, y);
    if (vx_planes<NUMBER> == 2)
        a.of[vx_planes<NUMBER> - 1][i] = vx_pack_bf16(vx_bf16_rest(x), vx_bf16_rest(y));
}

template <int NUMBER>
VX_DEVICE void vx_mma_one(float (&d)[4], const uint32_t (&a)[4], const uint32_t *b)
{
    const uint32_t two[2] = {b[0], b[1]};
    if (NUMBER == VX_CUDA_F16)
        vx_mma_f16(d, a, two);
    else
        vx_mma_bf16(d, a, two);
}

/* d += a b for the 16 x 8 tile `half` (0, 1) of a b that has 16 columns. */
template <int NUMBER>
VX_DEVICE void vx_mma_add(float (&d)[4], const vx_operand<NUMBER, 4> &a,
                          const vx_operand<NUMBER, 4> &b, int half)
{
    constexpr int low = vx_planes<NUMBER> - 1;
    if (low) {
        vx_mma_one<NUMBER>(d, a.of[low], b.of[0] + 2 * half);
        vx_mma_one<NUMBER>(d, a.of[0], b.of[low] + 2 * half);
    }
    vx_mma_one<NUMBER>(d, a.of[0], b.of[0] + 2 * half);
}

/* ----------------------------------------------------- from shared memory to operands ---- */

/* a[r][k]: 16 rows from the first on, 16 columns from e on. */
template <int NUMBER>
VX_DEVICE void vx_load_a(vx_operand<NUMBER, 4> &a, const vx_half_rows &rows, int e)
{
    const int l = vx_lane(), r = l % 16, c = e + l / 16 * 8;
    VX_UNROLL
    for (int p = 0; p < vx_planes<NUMBER>; p++)
        vx_ldmatrix_x4(a.of[p], rows.at + p * rows.plane + r * rows.ld + c);
}

/* b[k][n]: n are 16 rows, k 16 columns from e on. */
template <int NUMBER>
VX_DEVICE void vx_load_b(vx_operand<NUMBER, 4> &b, const vx_half_rows &rows, int e)
{
    const int l = vx_lane(), r = l % 8 + l / 16 * 8, c = e + l / 8 % 2 * 8;
    VX_UNROLL
    for (int p = 0; p < vx_planes<NUMBER>; p++)
        vx_ldmatrix_x4(b.of[p], rows.at + p * rows.plane + r * rows.ld + c);
}

/* b[k][n]: k are 16 rows, n 16 columns from e on. */
template <int NUMBER>
VX_DEVICE void vx_load_b_turned(vx_operand<NUMBER, 4> &b, const vx_half_rows &rows, int e)
{
    const int l = vx_lane(), r = l % 16, c = e + l / 16 * 8;
    VX_UNROLL
    for (int p = 0; p < vx_planes<NUMBER>; p++)
        vx_ldmatrix_x4_trans(b.of[p], rows.at + p * rows.plane + r * rows.ld + c);
}

/* ------------------------------------------------------ from global to shared memory ---- */

VX_DEVICE bool vx_lies_at(const void *at, size_t ld_bytes, size_t to)
{
    return (uintptr_t)at % to == 0 && ld_bytes % to == 0;
}

/* Rows of 16-bit numbers; the copies are waited for by vx_cp_wait. */
VX_DEVICE void vx_copy_halves(const vx_half_rows &to, const uint16_t *from, size_t ld, int n,
                              int all, int width, int thread, int threads)
{
    const int columns = to.ld - 8, chunks = columns / 8;
    if (width % 8 == 0 && vx_lies_at(from, ld * 2, 16)) {
        /* Nothing waits for a copy, and registers are few. */
        VX_ROLLED
        for (int i = thread; i < all * chunks; i += threads) {
            const int r = i / chunks, c = i % chunks * 8;
            const bool valid = r < n && c < width;
            vx_cp_async16(to.at + r * to.ld + c, from + (valid ? (size_t)r * ld + (size_t)c : 0),
                          valid);
        }
        return;
    }
    VX_ROLLED
    for (int i = thread; i < all * columns; i += threads) {
        const int r = i / columns, c = i % columns;
        to.at[r * to.ld + c] = r < n && c < width ? from[(size_t)r * ld + (size_t)c] : (uint16_t)0;
    }
}

/* Rows of floats, as two halves. */
VX_DEVICE void vx_copy_floats(const vx_half_rows &to, const float *from, size_t ld, int n, int all,
                              int width, int thread, int threads)
{
    const int chunks = (to.ld - 8) / 4;
    const bool fours = width % 4 == 0 && vx_lies_at(from, ld * 4, 16);
    for (int i = thread; i < all * chunks; i += threads) {
        const int r = i / chunks, c = i % chunks * 4;
        const float *at = from + (size_t)r * ld + (size_t)c;
        float4 x = {0, 0, 0, 0};
        if (r < n && fours && c < width) {
            x = vx_four(at);
        } else if (r < n && !fours) {
            x.x = c < width ? at[0] : 0.0f;
            x.y = c + 1 < width ? at[1] : 0.0f;
            x.z = c + 2 < width ? at[2] : 0.0f;
            x.w = c + 3 < width ? at[3] : 0.0f;
        }
        uint2 high, low;
        high.x = vx_pack_bf16(x.x, x.y);
        high.y = vx_pack_bf16(x.z, x.w);
        low.x = vx_pack_bf16(vx_bf16_rest(x.x), vx_bf16_rest(x.y));
        low.y = vx_pack_bf16(vx_bf16_rest(x.z), vx_bf16_rest(x.w));
        *reinterpret_cast<uint2 *>(to.at + r * to.ld + c) = high;
        *reinterpret_cast<uint2 *>(to.at + to.plane + r * to.ld + c) = low;
    }
}

/* The first n rows of `from`, from row r on, and 0 up to row `all`. */
template <int NUMBER>
VX_DEVICE void vx_copy_rows_in(const vx_half_rows &to, const vx_rows &from, int r, int n, int all,
                               int width, int thread, int threads)
{
    const size_t at = from.first + (size_t)r * from.ld;
    if (vx_planes<NUMBER> == 2)
        vx_copy_floats(to, static_cast<const float *>(from.array.data) + at, from.ld, n, all, width,
                       thread, threads);
    else
        vx_copy_halves(to, static_cast<const uint16_t *>(from.array.data) + at, from.ld, n, all,
                       width, thread, threads);
}

/* ------------------------------------------------------------------------------ a warp ---- */

/* Over the four lanes that share rows. */
VX_DEVICE float vx_max_of_4(float x)
{
    x = fmaxf(x, __shfl_xor_sync(VX_ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(VX_ALL_LANES, x, 2));
}

VX_DEVICE float vx_sum_of_4(float x)
{
    x += __shfl_xor_sync(VX_ALL_LANES, x, 1);
    return x + __shfl_xor_sync(VX_ALL_LANES, x, 2);
}

VX_DEVICE int vx_mma_row(int half)
{
    return vx_lane() / 4 + 8 * half;
}

VX_DEVICE int vx_mma_column()
{
    return vx_lane() % 4 * 2;
}

/* Elements i and i + 1 by one store; false: they do not lie so, and nothing was stored. */
VX_DEVICE bool vx_write_two(vx_view a, size_t i, float x, float y)
{
    if (a.kind == VX_KIND_F32) {
        float *at = static_cast<float *>(a.data) + i;
        if ((uintptr_t)at % 8 != 0)
            return false;
        *reinterpret_cast<float2 *>(at) = make_float2(x, y);
        return true;
    }
    uint16_t *at = static_cast<uint16_t *>(a.data) + i;
    if ((uintptr_t)at % 4 != 0)
        return false;
    *reinterpret_cast<uint32_t *>(at) =
        a.kind == VX_KIND_F16 ? vx_pack_f16(x, y) : vx_pack_bf16(x, y);
    return true;
}

/* Columns c.. of a 16 x 8 product: to rows of `to` below m, columns below `width`. */
VX_DEVICE void vx_mma_write(const vx_rows &to, const float (&d)[4], int m, int c, int width,
                            const float (&scale)[2])
{
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        const int r = vx_mma_row(half), e = c + vx_mma_column();
        const size_t at = to.first + (size_t)r * to.ld + (size_t)e;
        if (r < m && e + 1 < width &&
            vx_write_two(to.array, at, d[2 * half] * scale[half], d[2 * half + 1] * scale[half]))
            continue;
        VX_UNROLL
        for (int k = 0; k < 2; k++)
            if (r < m && e + k < width)
                vx_write(to.array, at + (size_t)k, d[2 * half + k] * scale[half]);
    }
}

/* --------------------------------------------------------- scores of 16 queries in a warp ---- */

/* What is added to the scores of two queries and a key. It is called: few models have relative
 * positions, and many places make scores. */
VX_DEVICE_APART float2 vx_added_to_two(vx_relative relative, const float *table, int token,
                                       vx_seat one, vx_seat other)
{
    const int patch = token - relative.prefix;
    vx_seat key = {-1, 0};
    if (patch >= 0)
        key = {patch / relative.width, patch % relative.width};
    return {VX_LOG2E * vx_table_at(relative, table, one, key),
            VX_LOG2E * vx_table_at(relative, table, other, key)};
}

/* Scaled scores s of 16 queries (from token i on) and 8 keys (from token j on): with relative
 * positions; -infinity from token `end` on. */
VX_DEVICE void vx_mma_score(float (&s)[4], const vx_attend &a, const vx_head &head,
                            const vx_seat (&queries)[2], int j, int end)
{
    VX_UNROLL
    for (int k = 0; k < 2; k++) {
        const int key = j + vx_mma_column() + k;
        float2 added = {0, 0};
        if (a.relative.table && key < end)
            added = vx_added_to_two(a.relative, head.table,
                                    a.tokens_of ? a.tokens_of[head.row + (size_t)key] : key,
                                    queries[0], queries[1]);
        s[k] = key < end ? s[k] * a.scale + added.x : -INFINITY;
        s[2 + k] = key < end ? s[2 + k] * a.scale + added.y : -INFINITY;
    }
}

#endif
