/*
 * kernels/cuda/host/machine.h: the machine under the host twin. Each thread of a kernel is a fiber;
 * a block runs at a time, on the thread of the system that launches, and is done when the launch
 * returns. It is test equipment: if a kernel breaks a rule, it says which on stderr and calls
 * abort().
 *
 * Each thread of the system has a machine of its own, so several may launch at once.
 */
#ifndef VX_CUDA_HOST_MACHINE_H
#define VX_CUDA_HOST_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which of the threads that can go on does: those of a block in turn; of several blocks, blocks in
 * that order, too. */
typedef enum vx_schedule {
    VX_SCHEDULE_FORWARD = 0,
    VX_SCHEDULE_REVERSE,
    VX_SCHEDULE_SHUFFLED,
    VX_SCHEDULE_WARPS,  /* the warps shuffled, their lanes forward     */
    VX_SCHEDULE_AHEAD,  /* one warp as far ahead as it can             */
    VX_SCHEDULE_CHANCE, /* any thread that can go on, at each step     */
    VX_SCHEDULES
} vx_schedule;

/* For all launches that begin from now on, of all threads. The default is FORWARD. */
void vx_machine_schedule(int schedule);
/* What the shuffled ones begin with, for this thread. */
void vx_machine_seed(uint64_t seed);

/* What the launches of this thread did. */
typedef struct vx_machine_counts {
    int64_t launches, blocks;
    int64_t meetings;  /* of warps and of blocks                                        */
    int64_t rows;      /* of ldmatrix, 8 read at once                                   */
    int64_t conflicts; /* how many more reads those took as they lie in the same banks  */
    int64_t queued;    /* what the host gave to its streams: launches, copies, graphs   */
    int64_t graphs;    /* ... of which graphs                                           */
    int64_t captures;  /* that were begun                                               */
    int64_t alive;     /* graphs made, less those destroyed                             */
    int64_t allowed;   /* calls that give a kernel more shared memory                   */
} vx_machine_counts;
void vx_machine_count(vx_machine_counts *out);

/* The GPUs of the twin: how many there are (1), and the memory of each (16 GiB). */
void vx_machine_gpus(int count, size_t bytes);
/* The launch after so many more of this thread fails as a GPU's does; -1: none. */
void vx_machine_fail_launch(int64_t after);

/* What becomes of captures of this thread: they succeed; none is begun; what they give is not
 * valid; no graph can be made of it; they succeed, but take 20 ms. */
typedef enum vx_captures {
    VX_CAPTURES_SUCCEED = 0,
    VX_CAPTURES_NONE,
    VX_CAPTURES_INVALID,
    VX_CAPTURES_NO_GRAPH,
    VX_CAPTURES_SLOW
} vx_captures;
void vx_machine_captures(vx_captures how);

/* --- for gpu_host.h and runtime_host.cpp alone --- */

typedef enum vx_meeting {
    VX_MEET_SYNC = 0,
    VX_MEET_SHUFFLE,
    VX_MEET_BALLOT,
    VX_MEET_MMA_BF16,
    VX_MEET_MMA_F16,
    VX_MEET_LDMATRIX,
    VX_MEET_LDMATRIX_TRANS
} vx_meeting;

enum { VX_MEET_IN = 12, VX_MEET_OUT = 4 }; /* words a lane brings and takes at most */

/* Of a launch; x, y, z. */
typedef struct vx_launch_shape {
    const char *kernel;
    unsigned blocks[3], threads[3];
    size_t shared_bytes;
} vx_launch_shape;

/* Runs run(args) once for each thread. */
void vx_machine_launch(const vx_launch_shape *shape, void (*run)(void *args), void *args);
/* NULL, or what is wrong with a launch. */
const char *vx_machine_refuses(const vx_launch_shape *shape);
/* Nonzero: this launch is to fail. */
int vx_machine_launch_fails(void);
/* The counts themselves, of this thread. */
vx_machine_counts *vx_machine_tally(void);

/* All threads of the block. */
void vx_machine_barrier(const char *file, int line);
/* The 32 lanes of a warp: same kind, argument and line. */
void vx_machine_meet(vx_meeting kind, uint32_t argument, const uint32_t *in, int in_words,
                     uint32_t *out, int out_words, const char *file, int line);
void *vx_machine_shared(size_t bytes, const char *file, int line);
void vx_machine_copy_async(void *shared, const void *global, int bytes, const char *file, int line);
void vx_machine_commit(void);
void vx_machine_wait(int groups_left);
/* Says what is wrong and where, and ends the process. */
void vx_machine_stop(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* copy.cpp: seen by the sanitizers as the thread's own. */
void vx_machine_poison16(void *to);
void vx_machine_copy16(void *to, const void *from, int bytes);
/* runtime_host.cpp: stops if a byte around the twin's memory was written. */
void vx_machine_check_guards(const char *kernel);

#ifdef __cplusplus
}
#endif

#endif
