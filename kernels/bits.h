/*
 * kernels/bits.h: what is done on the bits of a float: IEEE half, and a total order.
 */
#ifndef VX_KERNELS_BITS_H
#define VX_KERNELS_BITS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t vx_float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float vx_bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* To half, round to nearest even; beyond 65504 infinity, NaN stays NaN (quiet). As VCVTPS2PH. */
static inline uint16_t vx_float_to_half(float x)
{
    const uint32_t u = vx_float_bits(x), magnitude = u & 0x7fffffffu;
    const uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x477ff000u) /* 65520, which rounds to 65536 */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24, rounded by the addition */
        const float shifted = vx_bits_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (vx_float_bits(shifted) - vx_float_bits(0.5f)));
    }
    const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

static inline float vx_half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest >= 0x7c00u) /* infinity; NaN becomes quiet */
        return vx_bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13 |
                             (rest > 0x7c00u ? 0x400000u : 0u));
    if (rest < 0x400u) /* a multiple of 2^-24 */
        return vx_bits_float(sign | vx_float_bits((float)rest * 0x1p-24f));
    return vx_bits_float(sign | ((rest << 13) + 0x38000000u));
}

/* Numbers that are ordered as the floats are: a < b exactly where key(a) < key(b); -0 equals +0;
 * every NaN is the largest. */
static inline uint32_t vx_order_key(float x)
{
    const uint32_t u = vx_float_bits(x + 0.0f); /* -0 becomes +0 */
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return UINT32_MAX;
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

#endif
