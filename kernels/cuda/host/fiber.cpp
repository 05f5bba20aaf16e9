/*
 * kernels/cuda/host/fiber.cpp: the step from one stack to another, by hand where we know how, and
 * what the sanitizers want to be told about it.
 */
#include "kernels/cuda/host/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#if VX_UNDER_ASAN
extern "C" void __sanitizer_start_switch_fiber(void **, const void *, size_t);
extern "C" void __sanitizer_finish_switch_fiber(void *, const void **, size_t *);
extern "C" void __asan_unpoison_memory_region(void const volatile *, size_t);
#endif
#if VX_UNDER_TSAN
extern "C" void *__tsan_get_current_fiber(void);
extern "C" void *__tsan_create_fiber(unsigned);
extern "C" void __tsan_destroy_fiber(void *);
extern "C" void __tsan_switch_to_fiber(void *, unsigned);
enum { VX_TSAN_NO_ORDER = 1 };
#endif

#if defined(__x86_64__)
/* Six registers are the callee's; the return address is on the stack. */
extern "C" void vx_registers_switch(void **from, void *to);
asm(".text\n.p2align 4\n.globl vx_registers_switch\n.hidden vx_registers_switch\n"
    ".type vx_registers_switch,@function\n"
    "vx_registers_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".size vx_registers_switch, .-vx_registers_switch\n");

static void *prepared(unsigned char *end, void (*entry)())
{
    uintptr_t *top = (uintptr_t *)(void *)end;
    top[-1] = 0;                /* entry's return address: there is none           */
    top[-2] = (uintptr_t)entry; /* ret takes it; entry begins with rsp = end - 8   */
    for (int i = 3; i <= 8; i++)
        top[-i] = 0;
    return top - 8;
}
#elif defined(__aarch64__)
extern "C" void vx_registers_switch(void **from, void *to);
asm(".text\n.p2align 4\n.globl vx_registers_switch\n.hidden vx_registers_switch\n"
    ".type vx_registers_switch,%function\n"
    "vx_registers_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n    stp d12, d13, [sp, #128]\n"
    "    stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
    "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n    ldp d12, d13, [sp, #128]\n"
    "    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n    ret\n"
    ".size vx_registers_switch, .-vx_registers_switch\n");

static void *prepared(unsigned char *end, void (*entry)())
{
    uintptr_t *top = (uintptr_t *)(void *)end;
    for (int i = 1; i <= 20; i++)
        top[-i] = 0;
    top[-20 + 11] = (uintptr_t)entry; /* x30 */
    return top - 20;
}
#else
#include <ucontext.h>
#define VX_BY_UCONTEXT 1
#endif

static size_t page()
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

#ifdef VX_BY_UCONTEXT
static int begin(vx_stack *stack, void (*entry)())
{
    ucontext_t *context = (ucontext_t *)malloc(sizeof *context);
    if (!context || getcontext(context) != 0) {
        free(context);
        return 0;
    }
    context->uc_stack.ss_sp = stack->bottom;
    context->uc_stack.ss_size = stack->bytes;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    stack->at = context;
    return 1;
}

static void jump(vx_stack *from, vx_stack *to)
{
    ucontext_t here;
    void *own = from->at;
    if (!own)
        from->at = &here;
    swapcontext((ucontext_t *)from->at, (ucontext_t *)to->at);
    from->at = own;
}
#else
static int begin(vx_stack *stack, void (*entry)())
{
    stack->at = prepared((unsigned char *)stack->bottom + stack->bytes, entry);
    return 1;
}

static void jump(vx_stack *from, vx_stack *to)
{
    vx_registers_switch(&from->at, to->at);
}
#endif

static vx_stack *nth(vx_stack *first, size_t stride, int i)
{
    return (vx_stack *)(void *)((unsigned char *)(void *)first + stride * (size_t)i);
}

void *vx_stacks_map(vx_stack *first, size_t stride, size_t bytes, int count, void (*entry)())
{
    void *memory = mmap(NULL, bytes * (size_t)count, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    for (int i = 0; i < count; i++) {
        unsigned char *low = (unsigned char *)memory + bytes * (size_t)i;
        vx_stack *stack = nth(first, stride, i);
        stack->bottom = low + page();
        stack->bytes = bytes - page();
        if (mprotect(low, page(), PROT_NONE) != 0 || !begin(stack, entry)) {
            munmap(memory, bytes * (size_t)count);
            return NULL;
        }
#if VX_UNDER_TSAN
        stack->tsan = __tsan_create_fiber(0);
#endif
    }
    return memory;
}

void vx_stacks_unmap(void *memory, vx_stack *first, size_t stride, size_t bytes, int count)
{
    for (int i = 0; i < count; i++) {
        vx_stack *stack = nth(first, stride, i);
#if VX_UNDER_TSAN
        __tsan_destroy_fiber(stack->tsan);
#endif
#ifdef VX_BY_UCONTEXT
        free(stack->at);
#endif
        stack->at = NULL;
    }
#if VX_UNDER_ASAN
    __asan_unpoison_memory_region(memory, bytes * (size_t)count); /* frames never left it */
#endif
    munmap(memory, bytes * (size_t)count);
}

void vx_stack_own(vx_stack *stack)
{
    (void)stack;
#if VX_UNDER_TSAN
    stack->tsan = __tsan_get_current_fiber();
#endif
}

void vx_stack_switch(vx_stack *from, vx_stack *to)
{
#if VX_UNDER_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->bytes);
#endif
#if VX_UNDER_TSAN
    __tsan_switch_to_fiber(to->tsan, VX_TSAN_NO_ORDER);
#endif
    jump(from, to);
#if VX_UNDER_ASAN
    __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}

/* The thread of the system has a stack that only the sanitizer knows. */
void vx_stack_entered(vx_stack *from)
{
    (void)from;
#if VX_UNDER_ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
    if (!from->bottom) {
        from->bottom = const_cast<void *>(bottom);
        from->bytes = bytes;
    }
#endif
}
