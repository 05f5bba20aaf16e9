/* kernels/relax.h: what a thread does between two looks at a value it waits for. */
#ifndef VX_KERNELS_RELAX_H
#define VX_KERNELS_RELAX_H

static inline void vx_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
