/*
 * kernels/cuda/attention_tile.h: products of tiles in f32, for rows of any width and type: what the
 * attention kernels are made of where no instruction for matrices serves.
 *
 * A block of VX_TILE_THREADS threads has a tile of 64 x 64 numbers, each thread 4 x 4 of them: rows
 * y + 16 i, columns x + 16 j, with x = thread % 16, y = thread / 16.
 */
#ifndef VX_CUDA_ATTENTION_TILE_H
#define VX_CUDA_ATTENTION_TILE_H

#include "kernels/cuda/rows.h"

enum { VX_TILE = 64, VX_TILE_STEP = 32, VX_TILE_THREADS = 256 };

/* Rows end with 4 numbers more, so that 8 threads read 16 bytes each from other banks. */
struct vx_tile {
    float a[VX_TILE][VX_TILE_STEP + 4], b[VX_TILE][VX_TILE_STEP + 4];
    float p[VX_TILE][VX_TILE + 4], v[VX_TILE_STEP][VX_TILE + 4];
};

/* What a thread has of a tile. */
struct vx_share {
    float at[4][4];
};

VX_DEVICE int vx_tile_x()
{
    return (int)threadIdx.x % 16;
}

VX_DEVICE int vx_tile_y()
{
    return (int)threadIdx.x / 16;
}

/* Rows of an array, from element `first` on, `ld` apart; the array's own ld is not used. */
struct vx_rows {
    vx_view array;
    size_t first, ld;
};

VX_DEVICE vx_rows vx_rows_from(vx_rows rows, int r)
{
    rows.first += (size_t)r * rows.ld;
    return rows;
}

/* Rows whose type is known when the kernel is compiled. */
template <class T> struct vx_typed_rows {
    const T *at;
    size_t ld;
};

template <class T> VX_DEVICE float vx_row_get(const vx_typed_rows<T> &rows, int r, int e)
{
    return vx_get(rows.at[(size_t)r * rows.ld + (size_t)e]);
}

/* to[r][c] = element e + c of row k + r, 0 from row n and from element `width` on; R and C are the
 * tile's size. */
template <int R, int C, int LD, class S>
VX_DEVICE void vx_part_read(float (&to)[R][LD], const S &rows, int k, int n, int e, int width)
{
    const int c = (int)threadIdx.x % C, first = (int)threadIdx.x / C;
    VX_UNROLL
    for (int i = 0; i < R * C / VX_TILE_THREADS; i++) {
        const int r = first + i * (VX_TILE_THREADS / C);
        to[r][c] = k + r < n && e + c < width ? vx_row_get(rows, k + r, e + c) : 0.0f;
    }
}

template <int R, int C, int LD>
VX_DEVICE void vx_part_read(float (&to)[R][LD], const vx_rows &rows, int k, int n, int e, int width)
{
    const void *at = rows.array.data;
    if (rows.array.kind == VX_KIND_F32)
        vx_part_read<R, C>(
            to, vx_typed_rows<float>{static_cast<const float *>(at) + rows.first, rows.ld}, k, n, e,
            width);
    else if (rows.array.kind == VX_KIND_BF16)
        vx_part_read<R, C>(
            to, vx_typed_rows<vx_bf16>{static_cast<const vx_bf16 *>(at) + rows.first, rows.ld}, k,
            n, e, width);
    else
        vx_part_read<R, C>(
            to, vx_typed_rows<vx_f16>{static_cast<const vx_f16 *>(at) + rows.first, rows.ld}, k, n,
            e, width);
}

VX_DEVICE float4 vx_four(const float *at)
{
    return *reinterpret_cast<const float4 *>(at);
}

VX_DEVICE void vx_tile_products(vx_share &c, const vx_tile &s)
{
    VX_ROLLED
    for (int k = 0; k < VX_TILE_STEP; k += 4) {
        float4 x[4], y[4];
        VX_UNROLL
        for (int i = 0; i < 4; i++) {
            x[i] = vx_four(&s.a[vx_tile_y() + 16 * i][k]);
            y[i] = vx_four(&s.b[vx_tile_x() + 16 * i][k]);
        }
        VX_UNROLL
        for (int i = 0; i < 4; i++) {
            VX_UNROLL
            for (int j = 0; j < 4; j++) {
                c.at[i][j] += x[i].x * y[j].x;
                c.at[i][j] += x[i].y * y[j].y;
                c.at[i][j] += x[i].z * y[j].z;
                c.at[i][j] += x[i].w * y[j].w;
            }
        }
    }
}

VX_DEVICE void vx_share_clear(vx_share &c)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        VX_UNROLL
        for (int j = 0; j < 4; j++)
            c.at[i][j] = 0;
    }
}

/* c[i,j] = sum over e of a[i,e] b[j,e] for the first m rows of a and n of b; 0 beside them. */
template <class A, class B>
VX_DEVICE void vx_tile_dot(vx_share &c, vx_tile &s, const A &a, int m, const B &b, int n, int width)
{
    vx_share_clear(c);
    for (int e = 0; e < width; e += VX_TILE_STEP) {
        vx_part_read<VX_TILE, VX_TILE_STEP>(s.a, a, 0, m, e, width);
        vx_part_read<VX_TILE, VX_TILE_STEP>(s.b, b, 0, n, e, width);
        __syncthreads();
        vx_tile_products(c, s);
        __syncthreads();
    }
}

/* Lays the block's numbers down for vx_tile_add. */
VX_DEVICE void vx_tile_put(vx_tile &s, const vx_share &c)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        VX_UNROLL
        for (int j = 0; j < 4; j++)
            s.p[vx_tile_y() + 16 * i][vx_tile_x() + 16 * j] = c.at[i][j];
    }
}

/* o += p v for the rows k..k+31 of v, which begin at s.v's first. */
VX_DEVICE void vx_tile_sums(vx_share &o, const vx_tile &s, int k)
{
    VX_ROLLED
    for (int r = 0; r < VX_TILE_STEP; r += 4) {
        float4 p[4], v[4];
        VX_UNROLL
        for (int i = 0; i < 4; i++) {
            p[i] = vx_four(&s.p[vx_tile_y() + 16 * i][k + r]);
            v[i] = vx_four(&s.v[r + i][4 * vx_tile_x()]);
        }
        VX_UNROLL
        for (int i = 0; i < 4; i++) {
            const float x[4] = {p[i].x, p[i].y, p[i].z, p[i].w};
            VX_UNROLL
            for (int j = 0; j < 4; j++) {
                o.at[i][0] += x[j] * v[j].x;
                o.at[i][1] += x[j] * v[j].y;
                o.at[i][2] += x[j] * v[j].z;
                o.at[i][3] += x[j] * v[j].w;
            }
        }
    }
}

/* o[i,c] += sum over r of p[i,r] v[r,e+c] for the first n rows of v, p as it was laid down, 0 from
 * row n on. A thread has the columns 4 x..4 x + 3 of o. */
template <class V>
VX_DEVICE void vx_tile_add(vx_share &o, vx_tile &s, const V &v, int n, int e, int width)
{
    for (int k = 0; k < n; k += VX_TILE_STEP) {
        vx_part_read<VX_TILE_STEP, VX_TILE>(s.v, v, k, n, e, width);
        __syncthreads();
        vx_tile_sums(o, s, k);
        __syncthreads();
    }
}

/* Writes the first m rows of o to columns e.. of rows. */
VX_DEVICE void vx_tile_write(const vx_rows &to, const vx_share &o, int m, int e, int width)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        const int r = vx_tile_y() + 16 * i;
        VX_UNROLL
        for (int j = 0; j < 4; j++) {
            const int c = e + 4 * vx_tile_x() + j;
            if (r < m && c < width)
                vx_write(to.array, to.first + (size_t)r * to.ld + (size_t)c, o.at[i][j]);
        }
    }
}

/* ------------------------------------------------------------------- running softmax ---- */

/* The largest of some scores (in base 2), and the sum of 2^(score - largest). */
struct vx_softmax_row {
    float max, sum;
};

VX_DEVICE vx_softmax_row vx_softmax_none()
{
    return {-INFINITY, 0.0f};
}

VX_DEVICE float vx_softmax_factor(float from, float to)
{
    return from == to ? 1.0f : vx_exp2(from - to);
}

VX_DEVICE vx_softmax_row vx_softmax_both(vx_softmax_row a, vx_softmax_row b)
{
    const float max = fmaxf(a.max, b.max);
    return {max, a.sum * vx_softmax_factor(a.max, max) + b.sum * vx_softmax_factor(b.max, max)};
}

/* Takes in the thread's columns below n. */
VX_DEVICE void vx_softmax_take(vx_softmax_row (&rows)[4], const vx_share &c, int n)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        float max = rows[i].max;
        VX_UNROLL
        for (int j = 0; j < 4; j++)
            max = vx_tile_x() + 16 * j < n ? fmaxf(max, c.at[i][j]) : max;
        rows[i].sum *= vx_softmax_factor(rows[i].max, max);
        rows[i].max = max;
        VX_UNROLL
        for (int j = 0; j < 4; j++)
            if (vx_tile_x() + 16 * j < n)
                rows[i].sum += vx_softmax_factor(c.at[i][j], max);
    }
}

VX_DEVICE float vx_sum_of_16(float x)
{
    for (int step = 8; step; step /= 2)
        x += __shfl_xor_sync(VX_ALL_LANES, x, step);
    return x;
}

/* The 16 threads of a row: all get what is known of the whole row, as largest and 1/sum. */
VX_DEVICE void vx_softmax_meet(vx_softmax_row (&rows)[4])
{
    VX_UNROLL
    for (int i = 0; i < 4; i++) {
        for (int step = 8; step; step /= 2) {
            const vx_softmax_row other = {__shfl_xor_sync(VX_ALL_LANES, rows[i].max, step),
                                          __shfl_xor_sync(VX_ALL_LANES, rows[i].sum, step)};
            rows[i] = vx_softmax_both(rows[i], other);
        }
        rows[i].sum = 1.0f / rows[i].sum;
    }
}

#endif
