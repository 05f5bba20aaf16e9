/*
 * kernels/cpu/features.c: what the processor can do and the system saves when it switches threads.
 *
 * CPUID leaf 1: ECX 12 FMA, 27 OSXSAVE, 28 AVX, 29 F16C. Leaf 7: EBX 5 AVX2, 16 AVX512F, 17 DQ,
 * 30 BW, 31 VL. XCR0: 1 XMM, 2 YMM, 5 to 7 opmask and ZMM (Intel SDM vol. 1, 14.3 and 15.2).
 */
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define BIT(n) (1u << (n))

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
    return low;
}

unsigned vx_cpu_features(void)
{
    const unsigned need1 = BIT(12) | BIT(27) | BIT(28) | BIT(29), avx2 = BIT(5);
    const unsigned avx512 = BIT(16) | BIT(17) | BIT(30) | BIT(31);
    const unsigned ymm = BIT(1) | BIT(2), zmm = ymm | BIT(5) | BIT(6) | BIT(7);
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need1) != need1)
        return 0;
    const unsigned state = saved_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & avx2) != avx2 || (state & ymm) != ymm)
        return 0;
    return VX_CPU_AVX2 | ((b & avx512) == avx512 && (state & zmm) == zmm ? VX_CPU_AVX512 : 0);
}

#else

unsigned vx_cpu_features(void)
{
    return 0;
}

#endif
