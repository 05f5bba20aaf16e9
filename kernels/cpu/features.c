/*
 * kernels/cpu/features.c: what the processor can do and the system saves when it switches threads.
 *
 * Bits of CPUID leaf 1 ECX, leaf 7 EBX, ECX, EDX, leaf 7.1 EAX and of XCR0 (Intel SDM vol. 1, 14.3,
 * 15.2 and 18.2), by the names that isa.def and extensions.def use.
 */
#define _GNU_SOURCE /* syscall */
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

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
/* leaf 7 ECX, EDX, and leaf 7.1 EAX */
#define AVX512_VNNI BIT(11)
#define AMX (BIT(22) | BIT(24) | BIT(25)) /* BF16, TILE, INT8 */
#define AVX512_BF16 BIT(5)
/* XCR0: XMM 1, YMM 2, opmask and ZMM 5 to 7 */
#define SAVES_YMM (BIT(1) | BIT(2))
#define SAVES_ZMM (SAVES_YMM | BIT(5) | BIT(6) | BIT(7))
#define SAVES_TILES (BIT(17) | BIT(18))

typedef struct registers {
    unsigned ecx1, ebx7, xcr0, ecx7, edx7, eax71;
} registers;

static int within(const registers *need, const registers *has)
{
    return (has->ecx1 & need->ecx1) == need->ecx1 && (has->ebx7 & need->ebx7) == need->ebx7 &&
           (has->xcr0 & need->xcr0) == need->xcr0 && (has->ecx7 & need->ecx7) == need->ecx7 &&
           (has->edx7 & need->edx7) == need->edx7 && (has->eax71 & need->eax71) == need->eax71;
}

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
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        r.ebx7 = b;
        r.ecx7 = c;
        r.edx7 = d;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
            r.eax71 = a;
    }
    r.xcr0 = r.ecx1 & OSXSAVE ? saved_state() : 0; /* xgetbv is there with OSXSAVE alone */
    return r;
}

unsigned vx_cpu_features(void)
{
    static const struct {
        unsigned bit;
        registers need;
    } rows[] = {
#define VX_ISA(name, bit, label, ecx1, ebx7, xcr0) {bit, {ecx1, ebx7, xcr0, 0, 0, 0}},
#include "kernels/cpu/isa.def"
#undef VX_ISA
    };
    static const struct {
        unsigned bit, on;
        registers need;
    } more[] = {
#define VX_EXTENSION(name, bit, on, ecx7, edx7, eax71, xcr0)                                       \
    {bit, on, {0, 0, xcr0, ecx7, edx7, eax71}},
#include "kernels/cpu/extensions.def"
#undef VX_EXTENSION
    };
    const registers has = read_registers();
    unsigned features = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!within(&rows[i].need, &has))
            break;
        features |= rows[i].bit;
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if ((features & more[i].on) == more[i].on && within(&more[i].need, &has))
            features |= more[i].bit;
    return features;
}

/* arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): Linux 5.16 and later let a process ask for
 * the tiles, which it has from then on. */
int vx_cpu_allow_tiles(void)
{
#ifdef __linux__
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return 0;
#endif
}

#else

int vx_cpu_allow_tiles(void)
{
    return 0;
}

unsigned vx_cpu_features(void)
{
    return 0;
}

#endif
