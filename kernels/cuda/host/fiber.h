/*
 * kernels/cuda/host/fiber.h: stacks of their own for the threads of a kernel, and the step from one
 * to another.
 */
#ifndef VX_CUDA_HOST_FIBER_H
#define VX_CUDA_HOST_FIBER_H

#include <stddef.h>

/* What the sanitizers need to know. Both compilers tell which of them there is, but machine.cpp is
 * compiled without that of threads and gets VX_UNDER_TSAN from the Makefile. */
#if defined(__SANITIZE_ADDRESS__)
#define VX_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VX_UNDER_ASAN 1
#endif
#endif
#ifndef VX_UNDER_ASAN
#define VX_UNDER_ASAN 0
#endif
#ifndef VX_UNDER_TSAN
#define VX_UNDER_TSAN 0
#endif

struct vx_stack {
    void *at;     /* what the switch needs: the stack's pointer, or a context           */
    void *bottom; /* lowest byte that may be used                                       */
    size_t bytes;
    void *fake, *tsan; /* the sanitizers' own                                               */
};

/* Stacks of `bytes` each for `count` fibers, in one piece of memory, each with a page below it that
 * cannot be touched; entry never returns. The structs are `stride` bytes apart. @return the piece,
 * or NULL */
void *vx_stacks_map(vx_stack *first, size_t stride, size_t bytes, int count, void (*entry)());
void vx_stacks_unmap(void *memory, vx_stack *first, size_t stride, size_t bytes, int count);
/* The stack that runs: to be called once on the thread of the system. */
void vx_stack_own(vx_stack *stack);
/* Leaves `from`, goes on in `to`; returns when somebody goes back to `from`. */
void vx_stack_switch(vx_stack *from, vx_stack *to);
/* First thing in an entry: `from` is who came here. */
void vx_stack_entered(vx_stack *from);

#endif
