/*
 * kernels/cuda/host/inside.h: what machine.cpp and memory.cpp share. Both are compiled without the
 * thread sanitizer, and tell it what orders memory.
 */
#ifndef VX_CUDA_HOST_INSIDE_H
#define VX_CUDA_HOST_INSIDE_H

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/host/fiber.h"
#include "kernels/cuda/host/warp.h"

#if VX_UNDER_TSAN
extern "C" void __tsan_acquire(void *);
extern "C" void __tsan_release(void *);
#define VX_ACQUIRE(at) __tsan_acquire(at)
#define VX_RELEASE(at) __tsan_release(at)
#else
#define VX_ACQUIRE(at) (void)(at)
#define VX_RELEASE(at) (void)(at)
#endif

enum {
    THREADS = 1024,
    WARPS = THREADS / VX_WARP,
    CHUNK = 64,                   /* fibers made at once                                      */
    SETS = VX_UNDER_TSAN ? 2 : 1, /* for alternating blocks, so that a race of two shows      */
    STACK = VX_UNDER_ASAN ? 256 * 1024 : 64 * 1024,
    PLACES = 8, /* see order_of                                             */
    GUARD = 64  /* bytes behind the block's shared memory                   */
};
/* In a loop: it stays a loop. What several fibers touch is not copied by memcpy or memset, as the
 * thread sanitizer sees those, wherever they are called. */
static inline void no_call()
{
    asm volatile("" ::: "memory");
}

/* Shared memory of the thread sanitizer's blocks, which no two of them may have in common. */
static const size_t VX_KEPT = (size_t)64 << 20;

enum state { RUNS, AT_WARP, AT_BLOCK, RETURNED };

struct async_copy {
    void *to;
    const void *from;
    int bytes, group;
};

struct fiber {
    vx_stack stack;
    vx_place place;
    vx_lane_words words;
    int index, position;
    enum state state;
    int line; /* where it waits */
    const char *file;
    async_copy *copies;
    int copy_count, copy_room, group;
};

struct meeting {
    int arrived, returned, line, phase;
    vx_meeting kind;
    uint32_t argument;
    uint64_t order[PLACES][2];
};

struct kept {
    kept *next;
};

struct machine {
    fiber *sets[SETS], *set, *now;
    void *stacks[SETS][THREADS / CHUNK];
    vx_stack host, *came_from;
    meeting block, warps[WARPS];
    uint32_t ready[WARPS], some; /* by position; which of them are not 0 */
    uint16_t order[THREADS];     /* position -> index                    */
    int position, threads, schedule, ordered, ordered_threads;
    uint64_t random, seed;
    dim3 at, block_size, grid;
    const vx_launch_shape *shape;
    void (*run)(void *);
    void *args;
    unsigned char *shared;
    size_t kept_bytes;
    kept *kept_list;
    uint64_t start, end;
    vx_machine_counts counts;
    int64_t fail_after;
};

extern __thread machine *vx_machine_own __attribute__((tls_model("initial-exec")));

/* Memory of the machine itself: a report if there is none. */
void *vx_machine_taken(void *memory);
/* memory.cpp: the shared memory of the block that begins, and that of all blocks at the end. */
void vx_machine_fresh_shared(machine *m);
void vx_machine_check_shared(machine *m);
void vx_machine_drop_shared(machine *m);

#endif
