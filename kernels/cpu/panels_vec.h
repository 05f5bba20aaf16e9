/*
 * kernels/cpu/panels_vec.h: products with packed matrices (panels.h), for every vector width and
 * every number format.
 *
 * A line of a panel (64 bytes: 16 outputs) meets 4 bytes of a row of x, whatever the format: one
 * f32, a pair of bf16 or four int8. So one block serves all:
 *
 *        4 bytes a line            2 vectors of a line
 *      +---+---+- - -+           +------+------+
 *   MR | x |   |     |     x     | line | line |      =   MR x 2 in registers
 *      +---+---+- - -+           +------+------+
 *                                |      |      |
 *
 * What a processor has no instruction for is made of others: bf16 are widened, int8 multiplied as
 * int16.
 */
#ifndef VX_CPU_PANELS_VEC_H
#define VX_CPU_PANELS_VEC_H

#include "kernels/cpu/panels.h"
#include "kernels/cpu/vec.h"

#if VX_VECTOR_BITS == 512
#define PANEL_MR 12 /* 24 of 32 registers for the sums */
#elif VX_VECTOR_BITS == 256
#define PANEL_MR 6 /* 12 of 16 */
#else
#define PANEL_MR 4 /* 8 of 16 */
#endif

#if VX_VECTOR_BITS == 512 && defined(__AVX512BF16__)
#define HAS_BF16 1
#else
#define HAS_BF16 0
#endif

#if VX_VECTOR_BITS == 512 && defined(__AVX512VNNI__)
#define HAS_INT8 1
#else
#define HAS_INT8 0
#endif

/* An extension of an instruction set takes some of these functions alone. */
#define PANEL_PIECE static __attribute__((unused))

#define PER_PANEL (VX_PANEL / VL) /* vectors in a line of a panel */
/* Lines that are summed at once: two vectors' width of them stay in the first cache. */
#define LINES_AT_ONCE 256

/* ------------------------------------------------------------------------- products ------- */

VX_INLINE vu v_load_bits(const char *p)
{
    vu x;
    memcpy(&x, p, sizeof x);
    return x;
}

VX_INLINE uint32_t bits_at(const char *p)
{
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return u;
}

/* sums + the products of pairs of bf16, one pair against one of each lane. */
VX_INLINE vf v_dot_bf16(vf sums, uint32_t two, vu lanes)
{
#if HAS_BF16
    return _mm512_dpbf16_ps(sums, (__m512bh)_mm512_set1_epi32((int)two), (__m512bh)lanes);
#else
    sums = v_fma(v_set(vx_bits_float(two << 16)), (vf)(lanes << 16), sums);
    return v_fma(v_set(vx_bits_float(two & 0xffff0000u)), (vf)(lanes & 0xffff0000u), sums);
#endif
}

/* sums + the products of four bytes, one four of x, 0..255, against one int8 four of each lane. */
VX_INLINE vi v_dot_int8(vi sums, uint32_t four, vu lanes)
{
#if HAS_INT8
    return (vi)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32((int)four), (__m512i)lanes);
#elif VX_VECTOR_BITS == 256
    const __m256i x = _mm256_set1_epi32((int)four), w = (__m256i)lanes;
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
    return sums + (vi)_mm256_add_epi32(even, odd);
#else
    for (int i = 0; i < 32; i += 8)
        sums += ((vi)(lanes << (24 - i)) >> 24) * (int32_t)(four >> i & 0xff);
    return sums;
#endif
}

/* Whether it has an instruction for the format: what is made of others has fewer blocks. */
VX_INLINE int is_own(vx_number number)
{
    return number == VX_NUMBER_F32 || (number == VX_NUMBER_INT8 ? HAS_INT8 : HAS_BF16);
}

/* One line of a row and of one vector. w_at: where w lies; the low halves of bf16x3 are behind. */
VX_INLINE vf line(vf sums, const char *x, vu w, const char *w_at, vx_number number)
{
    if (number == VX_NUMBER_F32)
        return v_fma(v_set(vx_bits_float(bits_at(x))), (vf)w, sums);
    if (number == VX_NUMBER_INT8)
        return (vf)v_dot_int8((vi)sums, bits_at(x), w);
    if (number == VX_NUMBER_BF16)
        return v_dot_bf16(sums, bits_at(x), w);
    sums = v_dot_bf16(sums, bits_at(x), v_load_bits(w_at + VX_STEP));
    sums = v_dot_bf16(sums, bits_at(x + VX_LINE), w);
    return v_dot_bf16(sums, bits_at(x), w);
}

VX_INLINE vf plus(vf a, vf b, vx_number number)
{
    return number == VX_NUMBER_INT8 ? (vf)((vi)a + (vi)b) : a + b;
}

/* `lines` lines of `rows` rows (a constant) and of one or two vectors b; c is set, or added to. */
VX_INLINE void panel_block(const vx_panel_product *p, float *c, const char *a, const char *b0,
                           const char *b1, int lines, int rows, int wide, vx_number number,
                           int accumulate)
{
    const int parts = number == VX_NUMBER_BF16X3 ? 2 : 1;
    vf left[PANEL_MR], right[PANEL_MR];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        left[i] = right[i] = (vf){0};
    for (int l = 0; l < lines; l++) {
        const vu w0 = v_load_bits(b0), w1 = wide ? v_load_bits(b1) : w0;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            left[i] = line(left[i], a + (size_t)i * p->lda, w0, b0, number);
            if (wide)
                right[i] = line(right[i], a + (size_t)i * p->lda, w1, b1, number);
        }
        const int end = parts == 2 && l % 16 == 15; /* of a step: the low halves follow */
        a += 4 + (end ? VX_LINE : 0);
        b0 += VX_LINE + (end ? VX_STEP : 0);
        b1 += VX_LINE + (end ? VX_STEP : 0);
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++, c += p->ldc) {
        v_store(c, accumulate ? plus(left[i], v_load(c), number) : left[i]);
        if (wide)
            v_store(c + VL, accumulate ? plus(right[i], v_load(c + VL), number) : right[i]);
    }
}

/* All rows against vectors v and v + 1 of the panels, lines first.. of all. */
VX_INLINE void panel_columns(const vx_panel_product *p, int v, int wide, int first, int lines,
                             vx_number number)
{
    const size_t parts = number == VX_NUMBER_BF16X3 ? 2 : 1;
    const size_t b_at = (size_t)first * VX_LINE * parts;
    const char *b0 = p->b + (size_t)(v / PER_PANEL) * p->ldb + (size_t)(v % PER_PANEL) * VL * 4,
               *b1 = p->b + (size_t)((v + wide) / PER_PANEL) * p->ldb +
                     (size_t)((v + wide) % PER_PANEL) * VL * 4;
    const char *a = p->a + (size_t)first * 4 * parts;
    float *c = p->c + (size_t)v * VL;
    const int more = p->more || first > 0;
    int i = 0;
    for (; i + PANEL_MR <= p->m;
         i += PANEL_MR, a += PANEL_MR * p->lda, c += PANEL_MR * (size_t)p->ldc)
        panel_block(p, c, a, b0 + b_at, b1 + b_at, lines, PANEL_MR, wide, number, more);
    for (; is_own(number) && PANEL_MR > 4 && i + 4 <= p->m;
         i += 4, a += 4 * p->lda, c += 4 * (size_t)p->ldc)
        panel_block(p, c, a, b0 + b_at, b1 + b_at, lines, 4, wide, number, more);
    for (; i < p->m; i++, a += p->lda, c += p->ldc)
        panel_block(p, c, a, b0 + b_at, b1 + b_at, lines, 1, wide, number, more);
}

VX_INLINE void panels_with(const vx_panel_product *p, vx_number number)
{
    const int all = number == VX_NUMBER_F32 ? p->k : p->steps * 16;
    for (int v = 0; v < p->panels * PER_PANEL; v += 2)
        for (int first = 0; first < all; first += LINES_AT_ONCE) {
            const int lines = vx_least(LINES_AT_ONCE, all - first);
            if (PER_PANEL % 2 == 0 || v + 1 < p->panels * PER_PANEL)
                panel_columns(p, v, 1, first, lines, number);
            else
                panel_columns(p, v, 0, first, lines, number);
        }
}

PANEL_PIECE void VX_NAME(panels_bf16)(const vx_panel_product *p)
{
    panels_with(p, VX_NUMBER_BF16);
}

PANEL_PIECE void VX_NAME(panels_bf16x3)(const vx_panel_product *p)
{
    panels_with(p, VX_NUMBER_BF16X3);
}

/* int32 sums of (x + zero) w become sum(x w) times the scales of row and outputs. row: its scale,
 * and VX_ROW_SCALES behind it its zero; all: sum w. */
VX_INLINE vf scaled_sums(vf sums, const float *row, vf scale, vi all)
{
    const vi sum = (vi)sums - all * (int32_t)row[VX_ROW_SCALES];
    return __builtin_convertvector(sum, vf) * (scale * row[0]);
}

VX_INLINE void scale_sums(const vx_panel_product *p)
{
    for (int v = 0; v < p->panels * PER_PANEL; v++) {
        const char *tail = p->b + (size_t)(v / PER_PANEL) * p->ldb + (size_t)p->steps * VX_STEP +
                           (size_t)(v % PER_PANEL) * VL * 4;
        const vf scale = (vf)v_load_bits(tail);
        const vi all = (vi)v_load_bits(tail + VX_LINE); /* sum w */
        float *c = p->c + (size_t)v * VL;
        for (int i = 0; i < p->m; i++, c += p->ldc)
            v_store(c, scaled_sums(v_load(c), p->scales + i, scale, all));
    }
}

PANEL_PIECE void VX_NAME(panels_int8)(const vx_panel_product *p)
{
    panels_with(p, VX_NUMBER_INT8);
    if (p->scales)
        scale_sums(p);
}

/* ---------------------------------------------------------------------------- rows -------- */

/* To bf16, to nearest even, in the low halves of the lanes; NaN stays NaN. */
VX_INLINE vu v_to_bf16(vf x)
{
    const vu u = (vu)x, rounded = (u + (0x7fffu + (u >> 16 & 1u))) >> 16;
    const vu nan = (vu)(x != x);
    return ((u >> 16 | 0x40u) & nan) | (rounded & ~nan);
}

VX_INLINE void store_u16(char *to, vu x)
{
#if VX_VECTOR_BITS == 512
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16((__m512i)x));
#else
    uint16_t lanes[VL];
    for (int i = 0; i < VL; i++)
        lanes[i] = (uint16_t)x[i];
    memcpy(to, lanes, sizeof lanes);
#endif
}

/* As bf16. */
VX_INLINE void store_bf16(char *to, vf x)
{
#if HAS_BF16
    const __m256bh low = _mm512_cvtneps_pbh(x);
    memcpy(to, &low, sizeof low);
#else
    store_u16(to, v_to_bf16(x));
#endif
}

/* What bf16 leaves of x, of an infinity 0. high: its bf16, as f32. */
VX_INLINE vf v_rest(vf x, vf high)
{
    const vf rest = x - high;
    return (vf)((vu)rest & (vu)(rest == rest));
}

/* The two halves of bf16x3, a line apart. */
VX_INLINE void store_halves(char *to, vf x)
{
#if HAS_BF16
    const __m256bh high = _mm512_cvtneps_pbh(x);
    memcpy(to, &high, sizeof high);
    const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)high), 16);
    store_bf16(to + VX_LINE, v_rest(x, (vf)wide));
#else
    const vu high = v_to_bf16(x);
    store_u16(to, high);
    store_bf16(to + VX_LINE, v_rest(x, (vf)(high << 16)));
#endif
}

/* 32 values of a row, or what is left of them, times `by`. */
VX_INLINE void row_step(char *to, const float *x, int left, int parts, vf by)
{
    for (int i = 0; i < 32; i += VL) {
        const vf v = i < left ? v_load_most(x + i, (size_t)(left - i)) * by : (vf){0};
        if (parts == 1)
            store_bf16(to + 2 * i, v);
        else
            store_halves(to + 2 * i, v);
    }
}

VX_INLINE void rows_with(const vx_panel_rows *r, const float *scales, int parts)
{
    const float *x = r->x;
    for (int i = 0; i < r->m; i++, x += r->ldx) {
        char *to = r->to + (size_t)i * r->ldt;
        const vf by = v_set(scales ? scales[i] : 1);
        for (int j = 0; j < r->k; j += 32, to += (size_t)parts * VX_LINE)
            row_step(to, x + j, r->k - j, parts, by);
    }
}

PANEL_PIECE void VX_NAME(rows_bf16)(const vx_panel_rows *r)
{
    rows_with(r, NULL, 1);
}

PANEL_PIECE void VX_NAME(rows_bf16x3)(const vx_panel_rows *r)
{
    rows_with(r, NULL, 2);
}

PANEL_PIECE void VX_NAME(rows_scaled)(const vx_panel_rows *r, const float *by, vx_number number)
{
    if (number == VX_NUMBER_BF16X3)
        rows_with(r, by, 2);
    else
        rows_with(r, by, 1);
}

/* The smallest and the largest of a row and 0. @return half of how far they are apart; NaN if a
 * value is not finite */
VX_INLINE float row_range(const float *x, int k, float *low, float *high)
{
    vf least = {0}, most = {0}, none = {0};
    int i = 0;
    for (; i + VL <= k; i += VL) {
        const vf v = v_load(x + i);
        least = v_min(least, v);
        most = v_max(most, v);
        none += v - v;
    }
    if (i < k) {
        const vf v = v_load_n(x + i, k - i, 0);
        least = v_min(least, v);
        most = v_max(most, v);
        none += v - v;
    }
    *low = -v_largest(-least);
    *high = v_largest(most);
    return *high / 2 - *low / 2 + v_sum(none);
}

/* x times `by`, rounded, plus zero, 0 to 255: the low bytes of the lanes. */
VX_INLINE void store_bytes(char *to, vf x, float by, int zero)
{
    /* adding 1.5 * 2^23 rounds to a whole number, and leaves it in the low bits */
    const vf v = v_max(v_set((float)-zero), v_min(v_set((float)(255 - zero)), x * by));
    const vu q = (vu)(v + 12582912.0f) + (uint32_t)zero;
#if VX_VECTOR_BITS == 512
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8((__m512i)q));
#else
    for (int i = 0; i < VL; i++)
        to[i] = (char)(uint8_t)q[i];
#endif
}

PANEL_PIECE void VX_NAME(rows_int8)(const vx_panel_rows *r)
{
    for (int i = 0; i < r->m; i++) {
        char *to = r->to + (size_t)i * r->ldt;
        const float *x = r->x + (size_t)i * (size_t)r->ldx;
        float low, high;
        const float half = row_range(x, r->k, &low, &high), scale = half / 127.5f;
        const float by = half >= VX_LEAST_INT8 ? 1 / scale : 0;
        const int zero = by > 0 ? (int)(-low * by + 0.5f) : 0;
        r->scales[i] = scale;
        r->scales[i + VX_ROW_SCALES] = (float)zero;
        for (int j = 0; j < r->k; j += 64)
            for (int s = 0; s < 64; s += VL, to += VL) {
                const int left = r->k - j - s;
                store_bytes(to, left > 0 ? v_load_most(x + j + s, (size_t)left) : (vf){0}, by,
                            zero);
            }
    }
}

#endif
