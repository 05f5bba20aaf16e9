/*
 * kernels/cuda/list.h: lists of what is queued, replayed as graphs.
 *
 * Between list_begin and list_end of the device nothing goes to the GPU: each launch, fill and
 * product becomes an entry of the instance's list. At the end the list is compared, byte by byte,
 * with the last ones:
 *
 *      no equal one           it is played: its entries are queued, one by one; and kept
 *      an equal one           that is played into a capture, which makes a graph of it
 *      one that has a graph   the graph is launched, and nothing else is queued
 *
 * An entry holds all that a GPU gets: function, sizes, and the arguments by value. So two lists
 * that are equal do the same, and there is no key that could be wrong. What the driver does when a
 * kernel first runs (it loads the code, it gives room in shared memory) is done when a list is
 * played, before the capture, where it would not be allowed.
 *
 * What has to be done in order inside of a list (a copy, a wait) breaks it: what is there is
 * played, and the rest of it goes to the GPU directly, without a graph.
 *
 * Memory of the host: one list that is written, and VX_LISTS_KEPT, each of VX_LIST_FIRST bytes, or
 * up to VX_LIST_MOST if passes are longer; a forward pass of 12 blocks takes about 40 KiB. It is
 * taken by list_begin, so that operations allocate nothing.
 */
#ifndef VX_CUDA_LIST_H
#define VX_CUDA_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/runtime.h"

struct vx_cuda;
struct vx_lists;

enum { VX_LISTS_KEPT = 8, VX_LIST_FIRST = 64 * 1024, VX_LIST_MOST = 1024 * 1024 };

/* What is queued; the arguments follow. */
struct alignas(16) vx_entry {
    /* Queues it. Errors are kept in the stream. */
    void (*play)(vx_gpu_stream *stream, const vx_entry *entry);
    const void *function;  /* the kernel                                       */
    const char *name;      /* ... and what it is called                        */
    const char *operation; /* filled by vx_list_add                            */
    size_t shared_bytes;
    uint32_t grid[3], block[3];
    size_t bytes; /* of the entry and its arguments; filled by vx_list_add     */
};

/* Appends an entry to the list that the stream has. @return room for its arguments, zeros, aligned
 * to 16; NULL: the list is full and was broken, so that the caller queues directly */
void *vx_list_add(vx_gpu_stream *stream, const vx_entry *entry, size_t bytes);

/* A number of bytes of the GPU's memory becomes `byte`: in the list, or on the stream. */
void vx_queue_fill(vx_gpu_stream *stream, void *gpu, int byte, size_t bytes);

/* Bytes between members hold anything: those of arguments become 0, so that equal arguments are
 * equal bytes. A compiler that cannot do it makes lists differ that are not; they have no graph
 * then. */
template <class T> static inline void vx_clear_gaps(T *arguments)
{
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(arguments);
#endif
#endif
    (void)arguments;
}

/* ------------------------------------------------------------------------- instances ---- */

size_t vx_lists_bytes(void);
/* room: vx_lists_bytes of zeros. Its memory is taken from the instance's owner. */
void vx_lists_open(vx_lists *room, vx_cuda *cuda);
void vx_lists_close(vx_lists *lists);

/* lists NULL: nothing happens. */
void vx_list_begin(vx_lists *lists);
void vx_list_end(vx_lists *lists);
/* Plays what the list holds so far; from here on things go to the GPU directly. */
void vx_list_break(vx_lists *lists);
/* Of which operation the next entries are: a constant. false: there is no list now. */
bool vx_list_operation(vx_lists *lists, const char *operation);
/* Forgets what was kept: memory that it names is given back. */
void vx_lists_forget(vx_lists *lists);

/* For the time of a capture, and while handles of cuBLASLt are made and destroyed: that may wait
 * for the whole GPU, which breaks a capture of any thread. What other threads do beside a capture
 * (memory, streams, launches) is allowed by the capture's mode, which is its thread's alone. */
void vx_captures_lock(void);
void vx_captures_unlock(void);

#endif
