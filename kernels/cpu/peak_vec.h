/*
 * kernels/cpu/peak_vec.h: what the instructions that multiply can do at most: they run on registers
 * alone, with as many sums as hide how long one takes.
 *
 * x: VX_LINE bytes for both operands, read once. A sum of lane i begins at sums[i] and ends there.
 */
#ifndef VX_CPU_PEAK_VEC_H
#define VX_CPU_PEAK_VEC_H

#include "kernels/cpu/panels_vec.h"

enum { PEAK_SUMS = 12 };

VX_INLINE double peak_with(float *sums, const char *x, int64_t rounds, vx_number number)
{
    const vu w = v_load_bits(x);
    const uint32_t one = bits_at(x);
    vf s[PEAK_SUMS];
    for (int i = 0; i < PEAK_SUMS; i++)
        s[i] = v_load(sums + i * VL);
    for (int64_t r = 0; r < rounds; r++)
#pragma GCC unroll 16
        for (int i = 0; i < PEAK_SUMS; i++)
            s[i] = number == VX_NUMBER_F32    ? v_fma(v_set(vx_bits_float(one)), (vf)w, s[i])
                   : number == VX_NUMBER_INT8 ? (vf)v_dot_int8((vi)s[i], one, w)
                                              : v_dot_bf16(s[i], one, w);
    for (int i = 0; i < PEAK_SUMS; i++)
        v_store(sums + i * VL, s[i]);
    const int terms = number == VX_NUMBER_F32 ? 1 : number == VX_NUMBER_INT8 ? 4 : 2;
    return 2.0 * PEAK_SUMS * VL * terms * (double)rounds;
}

PANEL_PIECE double VX_NAME(peak_f32)(float *sums, const char *x, int64_t rounds)
{
    return peak_with(sums, x, rounds, VX_NUMBER_F32);
}

PANEL_PIECE double VX_NAME(peak_bf16)(float *sums, const char *x, int64_t rounds)
{
    return peak_with(sums, x, rounds, VX_NUMBER_BF16);
}

PANEL_PIECE double VX_NAME(peak_int8)(float *sums, const char *x, int64_t rounds)
{
    return peak_with(sums, x, rounds, VX_NUMBER_INT8);
}

#endif
