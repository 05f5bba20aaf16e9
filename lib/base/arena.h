/*
 * base/arena.h: one block of memory, cut up by a function that is run twice.
 *
 *      base                                                   size
 *      |                                                      |
 *      v                                                      v
 *      +-----------+--+--------------+-+----------+-----------+
 *      | take(a)   |..| take(b)      |.| take(c)  | ...       |      .. padding to 64 bytes
 *      +-----------+--+--------------+-+----------+-----------+
 *
 * First with base NULL: every take returns NULL and only `size` grows. Then the owner allocates
 * `size` bytes of whatever memory it likes (a device's, the host's) and runs the same function
 * again: the same takes return the same places. So a layout is written once, its size is known
 * before anything is allocated, and it is freed by one call.
 */
#ifndef VX_BASE_ARENA_H
#define VX_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#define VX_ARENA_ALIGN 64

typedef struct vx_arena {
    char *base;    /* NULL while measuring; else aligned to VX_ARENA_ALIGN */
    size_t size;   /* taken so far */
    bool overflow; /* a product or sum did not fit: size means nothing */
} vx_arena;

/* The place of count*element bytes; NULL while measuring. */
void *vx_arena_take(vx_arena *arena, size_t count, size_t element);

#endif
