/*
 * kernels/cpu/attention_vec.h: what attention needs beside the products of panels_vec.h: k and v as
 * panels, and exponentials of scores as packed rows.
 *
 *   rows as outputs                        columns as outputs
 *      16 rows of x   transposed              x [k,n]    pairs of rows, zipped
 *      +---------+    +---------+             +--+--+    +---------+
 *      |  step   | -> |  step   |             |  |  | -> |  step   |
 *      +---------+    +---------+             +--+--+    +---------+
 *
 * Attention is multiplied in bf16 only where there are instructions for it, so the others pack f32
 * alone.
 */
#ifndef VX_CPU_ATTENTION_VEC_H
#define VX_CPU_ATTENTION_VEC_H

#include "kernels/cpu/panels_vec.h"
#include "kernels/cpu/vec_math.h"

#if defined(__AVX512BF16__) || defined(VX_EMULATE_TILES)
#define PACKS_BF16 1
#else
#define PACKS_BF16 0
#endif

VX_INLINE void store_bits(char *to, vu x)
{
    memcpy(to, &x, sizeof x);
}

/* a in the low halves of the lanes, b in the high ones. */
VX_INLINE vu v_zip_bf16(vf a, vf b)
{
#if VX_VECTOR_BITS == 512 && defined(__AVX512BF16__)
    static const uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                       21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                       11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (vu)_mm512_permutexvar_epi16(_mm512_loadu_si512(order),
                                        (__m512i)_mm512_cvtne2ps_pbh(b, a));
#else
    return v_to_bf16(a) | v_to_bf16(b) << 16;
#endif
}

/* 16 lines, `stride` bytes apart, become 16 others, `apart` bytes: lane j of line i is lane i of
 * line j. */
VX_INLINE void turn_step(char *to, size_t apart, const char *lines, size_t stride)
{
    for (int c = 0; c < VX_PANEL; c += VL)
        for (int p = 0; p < VX_PANEL; p += VL) {
            vf r[VL];
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++)
                r[i] = (vf)v_load_bits(lines + (size_t)(c + i) * stride + 4 * p);
            v_transpose(r);
#pragma GCC unroll 16
            for (int i = 0; i < VL; i++)
                store_bits(to + (size_t)(p + i) * apart + 4 * c, (vu)r[i]);
        }
}

/* A step's columns of a row, or what is left of them. */
VX_INLINE void line_step(char *to, const float *x, int left, vx_number number)
{
    if (number != VX_NUMBER_F32) {
        row_step(to, x, left, number == VX_NUMBER_BF16X3 ? 2 : 1, v_set(1));
        return;
    }
    for (int i = 0; i < VX_PANEL; i += VL)
        store_bits(to + 4 * i, i < left ? (vu)v_load_most(x + i, (size_t)(left - i)) : (vu){0});
}

VX_INLINE void panels_of_rows(const vx_panels_of *p, vx_number number)
{
    const int per = number == VX_NUMBER_F32 ? 16 : 32, parts = number == VX_NUMBER_BF16X3 ? 2 : 1;
    const size_t stride = (size_t)parts * VX_LINE;
    char lines[VX_PANEL * 2 * VX_LINE], *to = p->to;
    for (int j = 0; j < p->n; j += VX_PANEL)
        for (int k = 0; k < p->k; k += per) {
            for (int i = 0; i < VX_PANEL; i++)
                if (j + i < p->n)
                    line_step(lines + (size_t)i * stride,
                              p->x + (size_t)(j + i) * (size_t)p->ldx + k, p->k - k, number);
                else
                    memset(lines + (size_t)i * stride, 0, stride);
            for (int part = 0; part < parts; part++, to += VX_STEP)
                turn_step(to, VX_LINE, lines + part * VX_LINE, stride);
        }
}

/* Some columns of row k, 0 where there is none. */
VX_INLINE vf row_lanes(const vx_panels_of *p, int k, int j)
{
    return k < p->k && j < p->n
               ? v_load_most(p->x + (size_t)k * (size_t)p->ldx + j, (size_t)(p->n - j))
               : (vf){0};
}

/* Columns j..j+15 of the rows from k on. */
VX_INLINE void columns_step(char *to, const vx_panels_of *p, int k, int j, vx_number number)
{
    for (int l = 0; l < VX_PANEL; l++, to += VX_LINE)
        for (int c = 0; c < VX_PANEL; c += VL) {
            if (number == VX_NUMBER_F32) {
                store_bits(to + 4 * c, (vu)row_lanes(p, k + l, j + c));
                continue;
            }
            const vf a = row_lanes(p, k + 2 * l, j + c), b = row_lanes(p, k + 2 * l + 1, j + c);
            const vu high = v_zip_bf16(a, b);
            store_bits(to + 4 * c, high);
            if (number == VX_NUMBER_BF16X3)
                store_bits(to + VX_STEP + 4 * c, v_zip_bf16(v_rest(a, (vf)(high << 16)),
                                                            v_rest(b, (vf)(high & 0xffff0000u))));
        }
}

VX_INLINE void panels_of_columns(const vx_panels_of *p, vx_number number)
{
    const int per = number == VX_NUMBER_F32 ? 16 : 32;
    const size_t step = number == VX_NUMBER_BF16X3 ? 2 * VX_STEP : VX_STEP;
    const size_t panel = (size_t)vx_ceil_div(p->k, per) * step;
    for (int k = 0; k < p->k; k += per)
        for (int j = 0; j < p->n; j += VX_PANEL)
            columns_step(p->to + (size_t)(j / VX_PANEL) * panel + (size_t)(k / per) * step, p, k, j,
                         number);
}

/* Packed rows, n of them, as outputs: what is there is only turned. */
VX_INLINE void panels_of_packed(const vx_panels_of *p, int parts)
{
    char lines[VX_STEP], *to = p->to;
    for (int j = 0; j < p->n; j += VX_PANEL) {
        const int left = p->n - j;
        for (int line = 0; line < p->k / 32 * parts; line++, to += VX_STEP) {
            const char *from = p->rows + (size_t)j * p->ldr + (size_t)line * VX_LINE;
            if (left >= VX_PANEL) {
                turn_step(to, VX_LINE, from, p->ldr);
                continue;
            }
            memset(lines, 0, sizeof lines);
            for (int i = 0; i < left; i++)
                memcpy(lines + i * VX_LINE, from + (size_t)i * p->ldr, VX_LINE);
            turn_step(to, VX_LINE, lines, VX_LINE);
        }
    }
}

/* Two lines of bf16 become two of pairs: low[i] is the pair a[i], b[i], high[i] that of i + 16. */
VX_INLINE void zip_lines(char *low, char *high, const char *a, const char *b)
{
#if VX_VECTOR_BITS == 512
    static const uint16_t order[2][32] = {
        {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
         8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
        {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
         24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
    const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
    _mm512_storeu_si512(low, _mm512_permutex2var_epi16(x, _mm512_loadu_si512(order[0]), y));
    _mm512_storeu_si512(high, _mm512_permutex2var_epi16(x, _mm512_loadu_si512(order[1]), y));
#else
    for (int i = 0; i < 16; i++) {
        memcpy(low + 4 * i, a + 2 * i, 2);
        memcpy(low + 4 * i + 2, b + 2 * i, 2);
        memcpy(high + 4 * i, a + 2 * i + 32, 2);
        memcpy(high + 4 * i + 2, b + 2 * i + 32, 2);
    }
#endif
}

/* Packed rows, k of them, whose columns are outputs: 32 of them, two panels, lie in a line. */
VX_INLINE void panels_of_packed_columns(const vx_panels_of *p, int parts)
{
    static const char none[VX_LINE];
    const size_t step = (size_t)parts * VX_STEP, panel = (size_t)vx_ceil_div(p->k, 32) * step;
    for (int k = 0; k < vx_ceil_div(p->k, 32) * 32; k += 2)
        for (int line = 0; line < p->n / 32 * parts; line++) {
            const char *from = p->rows + (size_t)k * p->ldr + (size_t)line * VX_LINE;
            char *to = p->to + (size_t)(line / parts) * 2 * panel + (size_t)(k / 32) * step +
                       (size_t)(line % parts) * VX_STEP + (size_t)(k % 32) / 2 * VX_LINE;
            zip_lines(to, to + panel, k < p->k ? from : none, k + 1 < p->k ? from + p->ldr : none);
        }
}

VX_INLINE void panels_packed(const vx_panels_of *p)
{
    const int three = p->number == VX_NUMBER_BF16X3;
    if (three && p->x_is_kn)
        panels_of_packed_columns(p, 2);
    else if (p->x_is_kn)
        panels_of_packed_columns(p, 1);
    else
        panels_of_packed(p, three ? 2 : 1);
}

PANEL_PIECE void VX_NAME(panels_of)(const vx_panels_of *p)
{
    if (PACKS_BF16 && p->rows) {
        panels_packed(p);
        return;
    }
    const vx_number number = PACKS_BF16 ? p->number : VX_NUMBER_F32;
    if (number == VX_NUMBER_F32 && !p->x_is_kn)
        panels_of_rows(p, VX_NUMBER_F32);
    else if (number == VX_NUMBER_F32)
        panels_of_columns(p, VX_NUMBER_F32);
    else if (number == VX_NUMBER_BF16X3 && !p->x_is_kn)
        panels_of_rows(p, VX_NUMBER_BF16X3);
    else if (number == VX_NUMBER_BF16X3)
        panels_of_columns(p, VX_NUMBER_BF16X3);
    else if (!p->x_is_kn)
        panels_of_rows(p, VX_NUMBER_BF16);
    else
        panels_of_columns(p, VX_NUMBER_BF16);
}

/* A step of 16 columns as panels, turned, is a step of as many packed rows. The last columns may be
 * fewer. */
VX_INLINE void rows_of_columns(const vx_panels_of *p, int parts, vx_number number)
{
    const size_t row = (size_t)vx_ceil_div(p->k, 32) * (size_t)parts * VX_LINE;
    char step[2 * VX_STEP], turned[VX_STEP];
    for (int k = 0; k < p->k; k += 32)
        for (int j = 0; j < p->n; j += VX_PANEL) {
            columns_step(step, p, k, j, number);
            for (int part = 0; part < parts; part++) {
                char *to = p->to + (size_t)j * row + (size_t)(k / 32 * parts + part) * VX_LINE;
                if (p->n - j >= VX_PANEL) {
                    turn_step(to, row, step + part * VX_STEP, VX_LINE);
                    continue;
                }
                turn_step(turned, VX_LINE, step + part * VX_STEP, VX_LINE);
                for (int i = 0; i < p->n - j; i++)
                    memcpy(to + (size_t)i * row, turned + i * VX_LINE, VX_LINE);
            }
        }
}

PANEL_PIECE void VX_NAME(rows_of)(const vx_panels_of *p)
{
    if (p->number == VX_NUMBER_BF16X3)
        rows_of_columns(p, 2, VX_NUMBER_BF16X3);
    else
        rows_of_columns(p, 1, VX_NUMBER_BF16);
}

/* VL values into their place in a packed row. */
VX_INLINE void pack_lanes(char *to, int j, vf x, vx_number number)
{
    char *at = to + (size_t)(j / 32) * (number == VX_NUMBER_BF16X3 ? 2 : 1) * VX_LINE + j % 32 * 2;
    if (number == VX_NUMBER_BF16X3)
        store_halves(at, x);
    else if (number == VX_NUMBER_BF16)
        store_bf16(at, x);
}

#if HAS_BF16
/* 32 values become a line, of bf16x3 two. None is infinite. */
VX_INLINE void pack_line(char *to, vf x, vf y, vx_number number)
{
    const __m512i high = (__m512i)_mm512_cvtne2ps_pbh(y, x);
    _mm512_storeu_si512(to, high);
    if (number == VX_NUMBER_BF16X3) {
        const __m512i first = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(high)),
                      last = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(high, 1));
        _mm512_storeu_si512(to + VX_LINE,
                            (__m512i)_mm512_cvtne2ps_pbh(y - (vf)_mm512_slli_epi32(last, 16),
                                                         x - (vf)_mm512_slli_epi32(first, 16)));
    }
}
#endif

/* 2 VL values, from a multiple of as many on; none is infinite. */
VX_INLINE void pack_two(char *to, int j, vf x, vf y, vx_number number)
{
#if HAS_BF16
    if (number != VX_NUMBER_F32) {
        pack_line(to + (number == VX_NUMBER_BF16X3 ? 4 : 2) * j, x, y, number);
        return;
    }
#endif
    pack_lanes(to, j, x, number);
    pack_lanes(to, j + VL, y, number);
}

/* What exponential_of takes in the place of scale. */
VX_INLINE vf scale_of(float scale)
{
#if VX_VECTOR_BITS == 512
    return v_set(scale * 1.44269504f);
#else
    return v_set(scale);
#endif
}

/* exp(scale (x - max)). The difference is taken first: if max scale were rounded on its own, the
 * largest of huge scores would not have exactly exp(0). */
VX_INLINE vf exponential_of(vf x, vf max, vf by)
{
#if VX_VECTOR_BITS == 512
    return v_exp2_below((x - max) * by);
#else
    return v_exp_below((x - max) * by);
#endif
}

/* One row. A NaN in it, +infinity, or nothing but -infinity makes 1 / sum NaN. */
VX_INLINE float exponentials_row(const vx_exponentials *a, float *x, char *to, vf max, vf by,
                                 vx_number number)
{
    const int n = a->n, kept = number == VX_NUMBER_F32 || a->kept;
    vf sum = {0}, other = sum;
    int j = 0;
    for (; j + 2 * VL <= n; j += 2 * VL) {
        const vf e = exponential_of(v_load(x + j), max, by);
        const vf f = exponential_of(v_load(x + j + VL), max, by);
        if (kept) {
            v_store(x + j, e);
            v_store(x + j + VL, f);
        }
        sum += e;
        other += f;
        pack_two(to, j, e, f, number);
    }
    for (; j < n; j += VL) {
        const int left = vx_least(n - j, VL);
        const vf e =
            exponential_of(left < VL ? v_load_n(x + j, left, -INFINITY) : v_load(x + j), max, by);
        if (kept)
            v_store_most(x + j, e, (size_t)left);
        sum += e;
        pack_lanes(to, j, e, number);
    }
    for (; j % 32 != 0 && number != VX_NUMBER_F32; j += VL)
        pack_lanes(to, j, (vf){0}, number);
    return 1 / v_sum(sum + other);
}

/* The largest of all rows come first: the lanes of one wait for each other, other rows do not. */
VX_INLINE void exponentials_with(const vx_exponentials *a, vx_number number)
{
    const vf scale = scale_of(a->scale);
    for (int i = 0; i < a->m; i++)
        a->by[i] = row_max(a->x + (size_t)i * a->ldx, a->n);
    for (int i = 0; i < a->m; i++)
        a->by[i] = exponentials_row(a, a->x + (size_t)i * a->ldx, a->to + (size_t)i * a->ldt,
                                    v_set(a->by[i]), scale, number);
}

PANEL_PIECE void VX_NAME(exponentials)(const vx_exponentials *a)
{
    if (!PACKS_BF16 || a->number == VX_NUMBER_F32)
        exponentials_with(a, VX_NUMBER_F32);
    else if (a->number == VX_NUMBER_BF16X3)
        exponentials_with(a, VX_NUMBER_BF16X3);
    else
        exponentials_with(a, VX_NUMBER_BF16);
}

#endif
