/*
 * kernels/cpu/wide_vec.h: a matrix product with sums in double, for every vector width.
 *
 * For patch embedding: neighbouring pixels are alike and the filters cancel them, so single
 * precision loses there what the whole network then amplifies (on a grey photo the attention of
 * DeiT-tiny's last block was 2.4e-5 off, and is 4e-6 off with this). It is 1/150 of a ViT-B's work,
 * at half the speed.
 *
 *        k             COLUMNS          COLUMNS
 *      +-------+      +--------+      +--------+
 *   MR |   a   |  x   | panel  | k  = | sums   | MR
 *      +-------+      +--------+      +--------+
 */
#ifndef VX_CPU_WIDE_VEC_H
#define VX_CPU_WIDE_VEC_H

#include "kernels/cpu/gemm_vec.h"

#define LANES (VL / 2)      /* doubles in a vector */
#define WIDE_NR (2 * LANES) /* columns of a panel  */
#define WIDE_MR (VX_VECTOR_BITS == 512 ? 8 : VX_VECTOR_BITS == 256 ? 4 : 2)

VX_INLINE vd load_doubles(const double *p)
{
    vd x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* y[i, 0..columns-1] from the sums, which are rounded here. */
VX_INLINE void store_wide(const vx_wide *g, int i, int j, int columns, vd left, vd right)
{
    double sums[WIDE_NR];
    memcpy(sums, &left, sizeof left);
    memcpy(sums + LANES, &right, sizeof right);
    const size_t at = (size_t)i * (size_t)g->n + (size_t)j;
    for (int c = 0; c < columns; c++)
        g->y[at + (size_t)c] = (float)(sums[c] + (g->bias ? (double)g->bias[j + c] : 0) +
                                       (g->add ? (double)g->add[at + (size_t)c] : 0));
}

/* Rows i..i+rows-1 (a constant) of one panel. */
VX_INLINE void wide_block(const vx_wide *g, const double *panel, int i, int rows, int j,
                          int columns)
{
    const double *a = g->a + (size_t)i * (size_t)g->k;
    vd left[8], right[8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        left[r] = right[r] = (vd){0};
    for (int p = 0; p < g->k; p++, panel += WIDE_NR) {
        const vd b0 = load_doubles(panel), b1 = load_doubles(panel + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vd x = a[(size_t)r * (size_t)g->k + (size_t)p] - (vd){0};
            left[r] = v_fma_double(x, b0, left[r]);
            right[r] = v_fma_double(x, b1, right[r]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        store_wide(g, i + r, j, columns, left[r], right[r]);
}

static void VX_NAME(gemm_wide)(const vx_wide *g)
{
    for (int j = 0; j < g->n; j += WIDE_NR) {
        const int columns = vx_least(WIDE_NR, g->n - j);
        const float *b = g->b + (size_t)j * (size_t)g->k;
        for (int p = 0; p < g->k; p++)
            for (int c = 0; c < WIDE_NR; c++)
                g->pack[(size_t)p * WIDE_NR + (size_t)c] =
                    c < columns ? (double)b[(size_t)c * (size_t)g->k + (size_t)p] : 0;
        int i = 0;
        for (; i + WIDE_MR <= g->m; i += WIDE_MR)
            wide_block(g, g->pack, i, WIDE_MR, j, columns);
        for (; i < g->m; i++)
            wide_block(g, g->pack, i, 1, j, columns);
    }
}

#endif
