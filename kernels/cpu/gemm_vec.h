/*
 * kernels/cpu/gemm_vec.h: our own matrix products, written once for every vector width.
 *
 * gemm_own is what runs without BLAS: b is packed into panels of NR columns that stay in the first
 * cache, a is read where it lies, MR x NR sums stay in registers (Goto & van de Geijn 2008).
 *
 *        depth            NR            NR
 *      +-------+      +--------+    +--------+
 *   MR |   a   |  x   | panel  |  = | sums   | MR
 *      +-------+      +--------+    +--------+
 */
#ifndef VX_CPU_GEMM_VEC_H
#define VX_CPU_GEMM_VEC_H

#include "kernels/cpu/rows_vec.h"

#define NR (2 * VL)
#if VX_VECTOR_BITS == 512
#define MR 12 /* 24 of 32 registers for the sums */
#elif VX_VECTOR_BITS == 256
#define MR 6 /* 12 of 16 */
#else
#define MR 4 /* 8 of 16 */
#endif

VX_INLINE void store_sums(float *c, vf sum, float alpha, int accumulate, int n)
{
    if (n <= 0)
        return;
    if (n >= VL)
        v_store(c, accumulate ? v_fma(sum, v_set(alpha), v_load(c)) : sum * alpha);
    else
        v_store_n(c, accumulate ? v_fma(sum, v_set(alpha), v_load_n(c, n, 0)) : sum * alpha, n);
}

/* c[rows,n] = alpha a[rows,depth] panel[depth,NR] (+ c); n <= NR. Rows of a are `down` apart, its
 * columns `across`. Constants: rows, one of the distances, which is 1, and whether n is above VL:
 * else half of the panel is not computed. */
VX_INLINE void block(float *c, int ldc, const float *a, size_t down, size_t across,
                     const float *panel, int depth, int rows, int wide, int n, float alpha,
                     int accumulate)
{
    vf left[MR], right[MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        left[i] = right[i] = (vf){0};
    for (int p = 0; p < depth; p++, panel += NR) {
        const vf b0 = v_load(panel), b1 = wide ? v_load(panel + VL) : b0;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const vf x = v_set(a[(size_t)i * down + (size_t)p * across]);
            left[i] = v_fma(x, b0, left[i]);
            if (wide)
                right[i] = v_fma(x, b1, right[i]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += ldc) {
        store_sums(c, left[i], alpha, accumulate, n);
        if (wide)
            store_sums(c + VL, right[i], alpha, accumulate, n - VL);
    }
}

/* One panel [depth,NR] of a b that is [n,k], columns past the last 0. */
VX_INLINE void pack_transposed(float *pack, const float *b, size_t ldb, int columns, int depth)
{
    for (int c = 0; c < NR; c += VL)
        for (int p = 0; p < depth; p += VL) {
            vf r[VL];
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++)
                r[i] = c + i < columns
                           ? v_load_most(b + (size_t)(c + i) * ldb + p, (size_t)(depth - p))
                           : (vf){0};
            v_transpose(r);
            float *to = pack + (size_t)p * NR + c;
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++)
                if (p + i < depth)
                    v_store(to + i * NR, r[i]);
        }
}

/* Columns j0..j0+n-1, depth p0..p0+depth-1 of b as panels [depth,NR], the last filled with 0. */
static void pack_b(float *pack, const vx_gemm *g, int j0, int n, int p0, int depth)
{
    const size_t ldb = (size_t)g->ldb;
    for (int j = 0; j < n; j += NR, pack += (size_t)depth * NR) {
        const int columns = vx_least(NR, n - j);
        if (!g->b_is_kn) {
            pack_transposed(pack, g->b + (size_t)(j0 + j) * ldb + p0, ldb, columns, depth);
            continue;
        }
        const float *b = g->b + (size_t)p0 * ldb + (size_t)(j0 + j);
        for (int p = 0; p < depth; p++, b += ldb)
            for (int c = 0; c < NR; c += VL)
                v_store(pack + p * NR + c, columns >= c + VL ? v_load(b + c)
                                           : columns > c     ? v_load_n(b + c, columns - c, 0)
                                                             : (vf){0});
    }
}

/* c[m,n] = alpha a panel (+ c), a [m,depth]; distances and constants as above. */
VX_INLINE void times_panel(const vx_gemm *g, const float *panel, int depth, size_t down,
                           size_t across, int wide)
{
    const size_t ldc = (size_t)g->ldc;
    const float *a = g->a;
    float *c = g->c;
    int i = 0;
    for (; i + MR <= g->m; i += MR, a += MR * down, c += MR * ldc)
        block(c, g->ldc, a, down, across, panel, depth, MR, wide, g->n, g->alpha, g->accumulate);
    for (; i + 4 <= g->m; i += 4, a += 4 * down, c += 4 * ldc)
        block(c, g->ldc, a, down, across, panel, depth, 4, wide, g->n, g->alpha, g->accumulate);
    for (; i < g->m; i++, a += down, c += ldc)
        block(c, g->ldc, a, down, across, panel, depth, 1, wide, g->n, g->alpha, g->accumulate);
}

static void times_rows(const vx_gemm *g, const float *panel, int depth)
{
    if (g->n > VL)
        times_panel(g, panel, depth, (size_t)g->lda, 1, 1);
    else
        times_panel(g, panel, depth, (size_t)g->lda, 1, 0);
}

static void times_columns(const vx_gemm *g, const float *panel, int depth)
{
    if (g->n > VL)
        times_panel(g, panel, depth, 1, (size_t)g->lda, 1);
    else
        times_panel(g, panel, depth, 1, (size_t)g->lda, 0);
}

/* Rows of a that are a multiple of 4 KiB apart fall on the same lines of the first cache, of which
 * 8 or 12 are there: more rows are copied closer together. Strides, in floats. */
#define VX_GEMM_ALIASED 1024
#define VX_GEMM_COPIED (VX_GEMM_DEPTH + 16)

/* A part of a product, k being `depth`: packed columns against all rows, of which so many at a time
 * stay in the second cache. */
static void times_panels(const vx_gemm *g, float *pack, int depth)
{
    const int blocks = vx_ceil_div(g->m, VX_GEMM_ROWS);
    const int most = vx_ceil_div(vx_ceil_div(g->m, blocks), MR) * MR;
    float *near = pack + VX_GEMM_DEPTH * VX_GEMM_COLUMNS;
    for (int i = 0; i < g->m; i += most) {
        vx_gemm part = *g;
        part.m = vx_least(most, g->m - i);
        part.a += (size_t)i * (g->a_is_km ? 1 : (size_t)g->lda);
        if (MR > 6 && !g->a_is_km && g->lda % VX_GEMM_ALIASED == 0 && part.m > 4) {
            for (int r = 0; r < part.m; r++)
                memcpy(near + (size_t)r * VX_GEMM_COPIED, part.a + (size_t)r * (size_t)g->lda,
                       (size_t)depth * sizeof *near);
            part.a = near;
            part.lda = VX_GEMM_COPIED;
        }
        for (int j = 0; j < g->n; j += NR) {
            part.n = vx_least(NR, g->n - j);
            part.c = g->c + (size_t)i * (size_t)g->ldc + (size_t)j;
            (g->a_is_km ? times_columns : times_rows)(&part, pack + (size_t)j * (size_t)depth,
                                                      depth);
        }
    }
}

static void VX_NAME(gemm_own)(const vx_gemm *g, float *pack)
{
    for (int j = 0; j < g->n; j += VX_GEMM_COLUMNS) {
        const int columns = vx_least(VX_GEMM_COLUMNS, g->n - j);
        for (int p = 0; p < g->k; p += VX_GEMM_DEPTH) {
            const int depth = vx_least(VX_GEMM_DEPTH, g->k - p);
            vx_gemm part = *g;
            part.a += g->a_is_km ? (size_t)p * (size_t)g->lda : (size_t)p;
            part.c += j;
            part.n = columns;
            part.accumulate = g->accumulate || p > 0;
            pack_b(pack, g, j, columns, p, depth);
            times_panels(&part, pack, depth);
        }
    }
}

/* c[n] += x[0] b[0,:] + ... + x[3] b[3,:] */
VX_INLINE void add_rows4(float *c, const float x[4], const float *b, size_t ldb, int n)
{
    int j = 0;
    for (; j + VL <= n; j += VL) {
        vf s = v_load(b + j) * x[0];
        s = v_fma(v_load(b + ldb + j), v_set(x[1]), s);
        s = v_fma(v_load(b + 2 * ldb + j), v_set(x[2]), s);
        s = v_fma(v_load(b + 3 * ldb + j), v_set(x[3]), s);
        v_store(c + j, v_load(c + j) + s);
    }
    const int left = n - j;
    if (left) {
        vf s = v_load_n(b + j, left, 0) * x[0];
        s = v_fma(v_load_n(b + ldb + j, left, 0), v_set(x[1]), s);
        s = v_fma(v_load_n(b + 2 * ldb + j, left, 0), v_set(x[2]), s);
        s = v_fma(v_load_n(b + 3 * ldb + j, left, 0), v_set(x[3]), s);
        v_store_n(c + j, v_load_n(c + j, left, 0) + s, left);
    }
}

/* Columns j..j+n-1, whose sums lie in the first cache. */
static void few_columns(const vx_gemm *g, int j, int n)
{
    for (int i = 0; i < g->m && !g->accumulate; i++)
        memset(g->c + (size_t)i * (size_t)g->ldc + (size_t)j, 0, (size_t)n * sizeof *g->c);
    for (int p = 0; p < g->k; p += 4) {
        const float *b = g->b + (size_t)p * (size_t)g->ldb + (size_t)j;
        const int rows = vx_least(4, g->k - p);
        for (int i = 0; i < g->m; i++) {
            const float *a = g->a + (size_t)i * (size_t)g->lda + (size_t)p;
            float *c = g->c + (size_t)i * (size_t)g->ldc + (size_t)j, x[4];
            for (int r = 0; r < rows; r++)
                x[r] = g->alpha * a[r];
            if (rows == 4)
                add_rows4(c, x, b, (size_t)g->ldb, n);
            for (int r = 0; r < rows && rows < 4; r++)
                add_scaled(c, b + (size_t)r * (size_t)g->ldb, x[r], n);
        }
    }
}

static void VX_NAME(gemm_few_kn)(const vx_gemm *g)
{
    enum { COLUMNS = 1024 };
    for (int j = 0; j < g->n; j += COLUMNS)
        few_columns(g, j, vx_least(COLUMNS, g->n - j));
}

/* Four dot products with one x. */
VX_INLINE void dot4(float out[4], const float *x, const float *b, size_t ldb, int k)
{
    vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    int p = 0;
    for (; p + VL <= k; p += VL) {
        const vf v = v_load(x + p);
        s0 = v_fma(v, v_load(b + p), s0);
        s1 = v_fma(v, v_load(b + ldb + p), s1);
        s2 = v_fma(v, v_load(b + 2 * ldb + p), s2);
        s3 = v_fma(v, v_load(b + 3 * ldb + p), s3);
    }
    const int left = k - p;
    if (left) {
        const vf v = v_load_n(x + p, left, 0);
        s0 = v_fma(v, v_load_n(b + p, left, 0), s0);
        s1 = v_fma(v, v_load_n(b + ldb + p, left, 0), s1);
        s2 = v_fma(v, v_load_n(b + 2 * ldb + p, left, 0), s2);
        s3 = v_fma(v, v_load_n(b + 3 * ldb + p, left, 0), s3);
    }
    out[0] = v_sum(s0);
    out[1] = v_sum(s1);
    out[2] = v_sum(s2);
    out[3] = v_sum(s3);
}

static void VX_NAME(gemm_few)(const vx_gemm *g)
{
    for (int j = 0; j < g->n; j += 4) {
        /* The last, incomplete four read one row several times. */
        const int rows = vx_least(4, g->n - j);
        const float *b = g->b + (size_t)j * (size_t)g->ldb;
        for (int i = 0; i < g->m; i++) {
            const float *x = g->a + (size_t)i * (size_t)g->lda;
            float *c = g->c + (size_t)i * (size_t)g->ldc + (size_t)j;
            float out[4];
            if (rows == 4)
                dot4(out, x, b, (size_t)g->ldb, g->k);
            for (int r = 0; r < rows; r++) {
                if (rows < 4)
                    dot4(out, x, b + (size_t)r * (size_t)g->ldb, 0, g->k);
                const float v = out[rows < 4 ? 0 : r] * g->alpha;
                c[r] = g->accumulate ? c[r] + v : v;
            }
        }
    }
}

#endif
