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
 * columns `across`. rows is a constant, and one of the distances, 1. */
VX_INLINE void block(float *c, int ldc, const float *a, size_t down, size_t across,
                     const float *panel, int depth, int rows, int n, float alpha, int accumulate)
{
    vf left[MR], right[MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        left[i] = right[i] = (vf){0};
    for (int p = 0; p < depth; p++, panel += NR) {
        const vf b0 = v_load(panel), b1 = v_load(panel + VL);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const vf x = v_set(a[(size_t)i * down + (size_t)p * across]);
            left[i] = v_fma(x, b0, left[i]);
            right[i] = v_fma(x, b1, right[i]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += ldc) {
        store_sums(c, left[i], alpha, accumulate, n);
        store_sums(c + VL, right[i], alpha, accumulate, n - VL);
    }
}

/* Columns j0..j0+n-1, depth p0..p0+depth-1 of b as panels [depth,NR], the last filled with 0. */
static void pack_b(float *pack, const vx_gemm *g, int j0, int n, int p0, int depth)
{
    for (int j = 0; j < n; j += NR, pack += (size_t)depth * NR) {
        const int columns = vx_least(NR, n - j);
        if (columns < NR)
            memset(pack, 0, (size_t)depth * NR * sizeof *pack);
        if (g->b_is_kn) {
            const float *b = g->b + (size_t)p0 * (size_t)g->ldb + (size_t)(j0 + j);
            for (int p = 0; p < depth; p++, b += g->ldb)
                memcpy(pack + (size_t)p * NR, b, (size_t)columns * sizeof *b);
            continue;
        }
        for (int c = 0; c < columns; c++) {
            const float *b = g->b + (size_t)(j0 + j + c) * (size_t)g->ldb + (size_t)p0;
            for (int p = 0; p < depth; p++)
                pack[(size_t)p * NR + (size_t)c] = b[p];
        }
    }
}

/* One panel against all rows of a. */
VX_INLINE void times_panel(const vx_gemm *g, const float *panel, int j, int n, int p, int depth,
                           size_t down, size_t across)
{
    const int accumulate = g->accumulate || p > 0;
    const float *a = g->a + (size_t)p * across;
    float *c = g->c + j;
    int i = 0;
    for (; i + MR <= g->m; i += MR, a += MR * down, c += (size_t)MR * (size_t)g->ldc)
        block(c, g->ldc, a, down, across, panel, depth, MR, n, g->alpha, accumulate);
    for (; i + 4 <= g->m; i += 4, a += 4 * down, c += (size_t)4 * (size_t)g->ldc)
        block(c, g->ldc, a, down, across, panel, depth, 4, n, g->alpha, accumulate);
    for (; i < g->m; i++, a += down, c += g->ldc)
        block(c, g->ldc, a, down, across, panel, depth, 1, n, g->alpha, accumulate);
}

static void times_rows(const vx_gemm *g, const float *panel, int j, int n, int p, int depth)
{
    times_panel(g, panel, j, n, p, depth, (size_t)g->lda, 1);
}

static void times_columns(const vx_gemm *g, const float *panel, int j, int n, int p, int depth)
{
    times_panel(g, panel, j, n, p, depth, 1, (size_t)g->lda);
}

void VX_NAME(gemm_own)(const vx_gemm *g, float *pack)
{
    for (int j = 0; j < g->n; j += VX_GEMM_COLUMNS) {
        const int columns = vx_least(VX_GEMM_COLUMNS, g->n - j);
        for (int p = 0; p < g->k; p += VX_GEMM_DEPTH) {
            const int depth = vx_least(VX_GEMM_DEPTH, g->k - p);
            pack_b(pack, g, j, columns, p, depth);
            for (int c = 0; c < columns; c += NR)
                (g->a_is_km ? times_columns : times_rows)(g, pack + (size_t)c * (size_t)depth,
                                                          j + c, vx_least(NR, columns - c), p,
                                                          depth);
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

void VX_NAME(gemm_few_kn)(const vx_gemm *g)
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

void VX_NAME(gemm_few)(const vx_gemm *g)
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
