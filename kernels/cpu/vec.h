/*
 * kernels/cpu/vec.h: vectors of VL floats, under the same names for every instruction set.
 *
 * A file that defines VX_VECTOR_BITS (128, 256 or 512) and is compiled with the flags for it gets
 * SSE2, NEON or whatever the compiler makes of 16 bytes; AVX2, FMA and F16C; or AVX-512 F, BW, DQ,
 * VL. Arithmetic, comparisons and shifts are the compiler's own on such vectors (gcc and clang);
 * here is what they do not have. _n: only the first n lanes, 0 < n < VL, are in memory.
 */
#ifndef VX_CPU_VEC_H
#define VX_CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if VX_VECTOR_BITS > 128
#include <immintrin.h>
#endif

#include "kernels/bits.h"

#define VL (VX_VECTOR_BITS / 32)
/* vx_<op>_<isa> */
#define VX_PASTE_(a, b, c) a##b##_##c
#define VX_PASTE(a, b, c) VX_PASTE_(a, b, c)
#define VX_NAME(op) VX_PASTE(vx_, op, VX_ISA_NAME)

#define VX_INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(VX_VECTOR_BITS / 8)));
typedef uint32_t vu __attribute__((vector_size(VX_VECTOR_BITS / 8)));
typedef double vd __attribute__((vector_size(VX_VECTOR_BITS / 8)));
typedef int32_t vi __attribute__((vector_size(VX_VECTOR_BITS / 8)));
typedef int64_t vl __attribute__((vector_size(VX_VECTOR_BITS / 8)));

VX_INLINE vf v_load(const float *p)
{
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}

VX_INLINE void v_store(float *p, vf x)
{
    memcpy(p, &x, sizeof x);
}

VX_INLINE vf v_set(float x)
{
    return x - (vf){0};
}

#if VX_VECTOR_BITS == 512

VX_INLINE vf v_fma(vf a, vf b, vf c) /* a b + c */
{
    return _mm512_fmadd_ps(a, b, c);
}

VX_INLINE vd v_fma_double(vd a, vd b, vd c)
{
    return _mm512_fmadd_pd(a, b, c);
}

VX_INLINE vf v_max(vf a, vf b) /* b where one of them is NaN */
{
    return _mm512_max_ps(a, b);
}

VX_INLINE vf v_min(vf a, vf b) /* b where one of them is NaN */
{
    return _mm512_min_ps(a, b);
}

VX_INLINE vf v_select_less(vf a, vf b, vf yes, vf no) /* a < b ? yes : no */
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

VX_INLINE vf v_keep_nan(vf old, vf x) /* old where that is NaN, else x */
{
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(old, old, _CMP_UNORD_Q), old);
}

VX_INLINE vf v_load_n(const float *p, int n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), p);
}

VX_INLINE void v_store_n(float *p, vf x, int n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

VX_INLINE vd v_low(vf x) /* lanes 0..VL/2-1 */
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

VX_INLINE vd v_high(vf x)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

VX_INLINE vf v_narrow(vd low, vd high) /* of v_low and v_high */
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high),
                              1);
}

VX_INLINE vd v_sqrt(vd x)
{
    return _mm512_sqrt_pd(x);
}

VX_INLINE float v_sum(vf x) /* over the lanes, as the next */
{
    return _mm512_reduce_add_ps(x);
}

VX_INLINE float v_largest(vf x)
{
    return _mm512_reduce_max_ps(x);
}

VX_INLINE double v_sum_double(vd x)
{
    return _mm512_reduce_add_pd(x);
}

/* Lane j of r[i] becomes lane i of r[j]: in quads of lanes first, then the quads. */
VX_INLINE void v_transpose(vf *r)
{
    __m512 q[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[i], r[i + 1])),
                      b = _mm512_castps_pd(_mm512_unpackhi_ps(r[i], r[i + 1])),
                      c = _mm512_castps_pd(_mm512_unpacklo_ps(r[i + 2], r[i + 3])),
                      d = _mm512_castps_pd(_mm512_unpackhi_ps(r[i + 2], r[i + 3]));
        q[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        q[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        q[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        q[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512 a = _mm512_shuffle_f32x4(q[i], q[i + 4], 0x88),
                     b = _mm512_shuffle_f32x4(q[i], q[i + 4], 0xdd),
                     c = _mm512_shuffle_f32x4(q[i + 8], q[i + 12], 0x88),
                     d = _mm512_shuffle_f32x4(q[i + 8], q[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

VX_INLINE vf v_load_half(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

VX_INLINE void v_store_half(uint16_t *p, vf x) /* to nearest even */
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, 8));
}

#elif VX_VECTOR_BITS == 256

VX_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

VX_INLINE vd v_fma_double(vd a, vd b, vd c)
{
    return _mm256_fmadd_pd(a, b, c);
}

VX_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

VX_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

VX_INLINE vf v_select_less(vf a, vf b, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

VX_INLINE vf v_keep_nan(vf old, vf x)
{
    return _mm256_blendv_ps(x, old, _mm256_cmp_ps(old, old, _CMP_UNORD_Q));
}

VX_INLINE __m256i v_mask(int n)
{
    static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - n));
}

VX_INLINE vf v_load_n(const float *p, int n, float fill)
{
    const __m256i mask = v_mask(n);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
}

VX_INLINE void v_store_n(float *p, vf x, int n)
{
    _mm256_maskstore_ps(p, v_mask(n), x);
}

VX_INLINE vd v_low(vf x)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

VX_INLINE vd v_high(vf x)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

VX_INLINE vf v_narrow(vd low, vd high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high),
                                1);
}

VX_INLINE vd v_sqrt(vd x)
{
    return _mm256_sqrt_pd(x);
}

VX_INLINE float v_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

VX_INLINE float v_largest(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

VX_INLINE double v_sum_double(vd x)
{
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

VX_INLINE void v_transpose(vf *r)
{
    __m256 q[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[i], r[i + 1])),
                      b = _mm256_castps_pd(_mm256_unpackhi_ps(r[i], r[i + 1])),
                      c = _mm256_castps_pd(_mm256_unpacklo_ps(r[i + 2], r[i + 3])),
                      d = _mm256_castps_pd(_mm256_unpackhi_ps(r[i + 2], r[i + 3]));
        q[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
        q[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
        q[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
        q[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(q[i], q[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(q[i], q[i + 4], 0x31);
    }
}

VX_INLINE vf v_load_half(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

VX_INLINE void v_store_half(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x, 8));
}

#else /* any processor: no fused multiply-add, lanes one by one where there is no operator */

VX_INLINE vf v_fma(vf a, vf b, vf c)
{
    return a * b + c;
}

VX_INLINE vd v_fma_double(vd a, vd b, vd c)
{
    return a * b + c;
}

VX_INLINE vf v_select_less(vf a, vf b, vf yes, vf no)
{
    const vu mask = (vu)(a < b);
    return (vf)(((vu)yes & mask) | ((vu)no & ~mask));
}

VX_INLINE vf v_max(vf a, vf b)
{
    return v_select_less(b, a, a, b);
}

VX_INLINE vf v_min(vf a, vf b)
{
    return v_select_less(a, b, a, b);
}

VX_INLINE vf v_keep_nan(vf old, vf x)
{
    const vu mask = (vu)(old != old);
    return (vf)(((vu)old & mask) | ((vu)x & ~mask));
}

VX_INLINE vf v_load_n(const float *p, int n, float fill)
{
    vf x = v_set(fill);
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
}

VX_INLINE void v_store_n(float *p, vf x, int n)
{
    memcpy(p, &x, (size_t)n * sizeof *p);
}

VX_INLINE vd v_low(vf x)
{
    return (vd){x[0], x[1]};
}

VX_INLINE vd v_high(vf x)
{
    return (vd){x[2], x[3]};
}

VX_INLINE vf v_narrow(vd low, vd high)
{
    return (vf){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
}

VX_INLINE vd v_sqrt(vd x)
{
    return (vd){sqrt(x[0]), sqrt(x[1])};
}

VX_INLINE float v_sum(vf x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}

VX_INLINE float v_largest(vf x)
{
    float most = x[0];
    for (int i = 1; i < VL; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

VX_INLINE double v_sum_double(vd x)
{
    return x[0] + x[1];
}

VX_INLINE void v_transpose(vf *r)
{
    const vf a = r[0], b = r[1], c = r[2], d = r[3];
    for (int i = 0; i < VL; i++)
        r[i] = (vf){a[i], b[i], c[i], d[i]};
}

VX_INLINE vf v_load_half(const uint16_t *p)
{
    return (vf){vx_half_to_float(p[0]), vx_half_to_float(p[1]), vx_half_to_float(p[2]),
                vx_half_to_float(p[3])};
}

VX_INLINE void v_store_half(uint16_t *p, vf x)
{
    for (int i = 0; i < VL; i++)
        p[i] = vx_float_to_half(x[i]);
}

#endif

VX_INLINE vf v_load_half_n(const uint16_t *p, int n)
{
    uint16_t lanes[VL] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return v_load_half(lanes);
}

VX_INLINE void v_store_half_n(uint16_t *p, vf x, int n)
{
    uint16_t lanes[VL];
    v_store_half(lanes, x);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}

/* The first n lanes, or all where n is more. */
VX_INLINE vf v_load_most(const float *p, size_t n)
{
    return n < VL ? v_load_n(p, (int)n, 0) : v_load(p);
}

VX_INLINE void v_store_most(float *p, vf x, size_t n)
{
    if (n < VL)
        v_store_n(p, x, (int)n);
    else
        v_store(p, x);
}

VX_INLINE vd v_above_0(vd x) /* max(x, 0); NaN stays */
{
    return (vd)((vl)x & ~(x < 0));
}

VX_INLINE vf v_abs(vf x)
{
    return (vf)((vu)x & 0x7fffffffu);
}

#endif
