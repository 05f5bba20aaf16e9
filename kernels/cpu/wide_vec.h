/*
 * kernels/cpu/wide_vec.h: a matrix product with sums in double, for every vector width.
 *
 * For patch embedding: neighbouring pixels are alike and the filters cancel them, so single
 * precision loses there what the whole network then amplifies (on a grey photo the attention of
 * DeiT-tiny's last block was 2.4e-5 off, and is 4e-6 off with this). It is 1/150 of a ViT-B's work,
 * at half the speed.
 *
 *        LINES         COLUMNS          COLUMNS
 *      +-------+      +--------+      +--------+
 *   MR |   a   |  x   | panel  |    = | sums   | MR
 *      +-------+      +--------+      +--------+
 *
 * A panel, LINES of k, stays in the first cache while all rows pass by.
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

typedef float v_half __attribute__((vector_size(VX_VECTOR_BITS / 16)));

/* One line of a panel. */
VX_INLINE void store_line(double *to, vf x)
{
    v_half halves[2];
    memcpy(halves, &x, sizeof x);
    const vd low = __builtin_convertvector(halves[0], vd);
    const vd high = __builtin_convertvector(halves[1], vd);
    memcpy(to, &low, sizeof low);
    memcpy(to + LANES, &high, sizeof high);
}

/* Lines p0..p0+lines-1 of columns j..j+columns-1, filled up with 0. WIDE_NR is VL. */
VX_INLINE void pack_wide(const vx_wide *g, int p0, int lines, int j, int columns)
{
    const float *b = g->b + (size_t)j * (size_t)g->k + p0;
    for (int p = 0; p < lines; p += VL) {
        vf r[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            r[i] = i < columns ? v_load_most(b + (size_t)i * (size_t)g->k + p, (size_t)(lines - p))
                               : (vf){0};
        v_transpose(r);
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            if (p + i < lines)
                store_line(g->pack + (size_t)(p + i) * WIDE_NR, r[i]);
    }
}

/* y[m, j..j+columns-1] from the sums, which are rounded here. */
static void round_sums(const vx_wide *g, const double *sums, int j, int columns)
{
    for (int i = 0; i < g->m; i++, sums += WIDE_NR) {
        const size_t at = (size_t)i * (size_t)g->n + (size_t)j;
        for (int c = 0; c < columns; c++)
            g->y[at + (size_t)c] = (float)(sums[c] + (g->bias ? (double)g->bias[j + c] : 0) +
                                           (g->add ? (double)g->add[at + (size_t)c] : 0));
    }
}

/* sums [rows,WIDE_NR] += a times the panel's lines; rows is a constant. */
VX_INLINE void wide_block(const vx_wide *g, double *sums, const double *a, int lines, int rows)
{
    const double *panel = g->pack;
    vd left[8], right[8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        left[r] = load_doubles(sums + r * WIDE_NR);
        right[r] = load_doubles(sums + r * WIDE_NR + LANES);
    }
    for (int p = 0; p < lines; p++, panel += WIDE_NR) {
        const vd b0 = load_doubles(panel), b1 = load_doubles(panel + LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const vd x = a[(size_t)r * g->lda + (size_t)p] - (vd){0};
            left[r] = v_fma_double(x, b0, left[r]);
            right[r] = v_fma_double(x, b1, right[r]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        memcpy(sums + r * WIDE_NR, left + r, sizeof left[r]);
        memcpy(sums + r * WIDE_NR + LANES, right + r, sizeof right[r]);
    }
}

static void VX_NAME(gemm_wide)(const vx_wide *g)
{
    double *const sums = g->pack + VX_WIDE_LINES * VX_WIDE_COLUMNS;
    for (int j = 0; j < g->n; j += WIDE_NR) {
        const int columns = vx_least(WIDE_NR, g->n - j);
        memset(sums, 0, (size_t)g->m * WIDE_NR * sizeof *sums);
        for (int p = 0; p < g->k; p += VX_WIDE_LINES) {
            const int lines = vx_least(VX_WIDE_LINES, g->k - p);
            int i = 0;
            pack_wide(g, p, lines, j, columns);
            for (; i + WIDE_MR <= g->m; i += WIDE_MR)
                wide_block(g, sums + i * WIDE_NR, g->a + (size_t)i * g->lda + p, lines, WIDE_MR);
            for (; WIDE_MR > 4 && i + 4 <= g->m; i += 4)
                wide_block(g, sums + i * WIDE_NR, g->a + (size_t)i * g->lda + p, lines, 4);
            for (; i < g->m; i++)
                wide_block(g, sums + i * WIDE_NR, g->a + (size_t)i * g->lda + p, lines, 1);
        }
        round_sums(g, sums, j, columns);
    }
}

#endif
