/*
 * kernels/cpu/features.c: what the processor can do and the system saves when it switches threads.
 *
 * Bits of CPUID leaf 1 ECX, leaf 7 EBX and of XCR0 (Intel SDM vol. 1, 14.3 and 15.2), by the names
 * that isa.def uses.
 */
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define BIT(n) (1u << (n))

/* leaf 1 ECX */
#define FMA BIT(12)
#define OSXSAVE BIT(27)
#define AVX BIT(28)
#define F16C BIT(29)
/* leaf 7 EBX */
#define AVX2 BIT(5)
#define AVX512F BIT(16)
#define AVX512DQ BIT(17)
#define AVX512BW BIT(30)
#define AVX512VL BIT(31)
/* XCR0: XMM 1, YMM 2, opmask and ZMM 5 to 7 */
#define SAVES_YMM (BIT(1) | BIT(2))
#define SAVES_ZMM (SAVES_YMM | BIT(5) | BIT(6) | BIT(7))

typedef struct registers {
    unsigned ecx1, ebx7, xcr0;
} registers;

static unsigned saved_state(void)
{
    unsigned low, high;
    __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
    return low;
}

static registers read_registers(void)
{
    registers r = {0};
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        r.ecx1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        r.ebx7 = b;
    r.xcr0 = r.ecx1 & OSXSAVE ? saved_state() : 0; /* xgetbv is there with OSXSAVE alone */
    return r;
}

unsigned vx_cpu_features(void)
{
    static const struct {
        unsigned bit;
        registers need;
    } rows[] = {
#define VX_ISA(name, bit, label, ecx1, ebx7, xcr0) {bit, {ecx1, ebx7, xcr0}},
#include "kernels/cpu/isa.def"
#undef VX_ISA
    };
    const registers has = read_registers();
    unsigned features = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const registers *need = &rows[i].need;
        if ((has.ecx1 & need->ecx1) != need->ecx1 || (has.ebx7 & need->ebx7) != need->ebx7 ||
            (has.xcr0 & need->xcr0) != need->xcr0)
            break;
        features |= rows[i].bit;
    }
    return features;
}

#else

unsigned vx_cpu_features(void)
{
    return 0;
}

#endif
