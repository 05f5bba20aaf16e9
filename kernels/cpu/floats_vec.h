/*
 * kernels/cpu/floats_vec.h: products with packed matrices in f32, for every vector width.
 *
 * As in panels_vec.h, a block is some rows by two vectors of outputs. Every instruction counts
 * here: a processor with AVX-512 begins two multiplications a cycle, and they are two of three
 * instructions.
 *
 *            parts of k
 *      +----+----+- -         The lines of two vectors, one part of k of them, stay in the first
 *      | 1  | 2  |            cache while all rows pass by. Then the next two vectors follow, and
 *      |    |    |            after the last ones the next part of k. So a part of the columns of x
 *      +----+----+- -         stays in the second cache, and every matrix is read once. A short
 *                             sequence waits for its matrices most of the time: so what comes next
 *                             is fetched on the way.
 */
#ifndef VX_CPU_FLOATS_VEC_H
#define VX_CPU_FLOATS_VEC_H

#include "kernels/cpu/panels_vec.h"

/* A part of k of two vectors, and what is to be fetched while one block of rows is multiplied. */
typedef struct float_part {
    const char *b0, *b1, *ahead;
    size_t pace; /* bytes that are fetched with each line */
    int lines, more;
} float_part;

/* c[rows, 2 vectors] = or += (s->more). rows is a constant. */
VX_INLINE void float_block(const vx_panel_product *p, const float_part *s, float *c, const char *a,
                           int rows)
{
    const char *b0 = s->b0, *b1 = s->b1, *ahead = s->ahead, *at[4];
    vf left[PANEL_MR], right[PANEL_MR];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        at[i] = a + (size_t)(3 * i) * p->lda;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        left[i] = right[i] = (vf){0};
    for (int l = 0; l < s->lines; l++) {
        const vf w0 = (vf)v_load_bits(b0), w1 = (vf)v_load_bits(b1);
        __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            const vf x = v_set(vx_bits_float(bits_at(at[i / 3] + (size_t)(i % 3) * p->lda)));
            left[i] = v_fma(x, w0, left[i]);
            right[i] = v_fma(x, w1, right[i]);
        }
        b0 += VX_LINE;
        b1 += VX_LINE;
        ahead += s->pace;
        /* Hidden from the compiler, which would keep twelve distances in place of four addresses,
         * more than there are registers. */
#pragma GCC unroll 4
        for (int i = 0; 3 * i < rows; i++) {
            at[i] += 4;
            __asm__("" : "+r"(at[i]));
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += p->ldc) {
        v_store(c, s->more ? left[i] + v_load(c) : left[i]);
        v_store(c + VL, s->more ? right[i] + v_load(c + VL) : right[i]);
    }
}

#define ROWS_OF(n)                                                                                 \
    case n:                                                                                        \
        float_block(p, s, c, a, n);                                                                \
        break;
/* clang-format off */
static void float_rows(const vx_panel_product *p, const float_part *s, float *c, const char *a,
                       int rows)
{
    switch (rows) {
#if VX_VECTOR_BITS == 512
    ROWS_OF(12) ROWS_OF(11) ROWS_OF(10) ROWS_OF(9) ROWS_OF(8) ROWS_OF(7)
#endif
#if VX_VECTOR_BITS >= 256
    ROWS_OF(6) ROWS_OF(5)
#endif
    ROWS_OF(4) ROWS_OF(3) ROWS_OF(2) ROWS_OF(1)
    }
}
/* clang-format on */
#undef ROWS_OF

/* All rows, in blocks of about the same size. next: the lines that the next call begins with. */
static void float_columns(const vx_panel_product *p, float_part *s, int v, int first,
                          const char *const next[2])
{
    const int blocks = vx_ceil_div(p->m, PANEL_MR), half = blocks / 2 > 0 ? blocks / 2 : 1;
    const char *a = p->a + (size_t)first * sizeof(float);
    float *c = p->c + (size_t)v * VL;
    for (int i = 0, done = 0; i < blocks; i++) {
        const int right = i >= half; /* half of the blocks fetch one vector, half the other */
        const int sharing = right ? blocks - half : half, share = right ? i - half : i;
        const int rows = vx_ceil_div(p->m - done, blocks - i);
        s->ahead = next[right] + (size_t)(s->lines / sharing * share) * VX_LINE;
        s->pace = VX_LINE / (size_t)sharing;
        float_rows(p, s, c, a, rows);
        done += rows;
        a += (size_t)rows * p->lda;
        c += (size_t)rows * (size_t)p->ldc;
    }
}

/* Where the lines of vector v begin. */
VX_INLINE const char *lines_of(const vx_panel_product *p, int v, int first)
{
    return p->b + (size_t)(v / PER_PANEL) * p->ldb + (size_t)(v % PER_PANEL) * VL * 4 +
           (size_t)first * VX_LINE;
}

PANEL_PIECE void VX_NAME(panels_f32)(const vx_panel_product *p)
{
    const int all = p->panels * PER_PANEL;
    for (int first = 0; first < p->k; first += LINES_AT_ONCE)
        for (int v = 0; v < all; v += 2) {
            const int lines = vx_least(LINES_AT_ONCE, p->k - first);
            const int last = v + 2 >= all; /* then the next part of k follows, or other rows do */
            const int at = last ? 0 : v + 2, then = !last                  ? first
                                                    : first + lines < p->k ? first + lines
                                                                           : 0;
            const char *const next[2] = {lines_of(p, at, then),
                                         lines_of(p, vx_least(at + 1, all - 1), then)};
            float_part s = {.b0 = lines_of(p, v, first),
                            .b1 = lines_of(p, v + 1, first),
                            .lines = lines,
                            .more = p->more || first > 0};
            if (PER_PANEL % 2 == 0 || v + 1 < all)
                float_columns(p, &s, v, first, next);
            else
                panel_columns(p, v, 0, first, lines, VX_NUMBER_F32);
        }
}

#endif
