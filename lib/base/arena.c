/* base/arena.c: see the drawing in arena.h. */
#include "base/arena.h"

#include "base/memory.h"

void *vx_arena_take(vx_arena *arena, size_t count, size_t element)
{
    const size_t start = arena->size;
    size_t bytes, end;
    if (!vx_mul_size(&bytes, count, element) || !vx_add_size(&end, start, bytes) ||
        !vx_add_size(&end, end, VX_ARENA_ALIGN - 1)) {
        arena->overflow = true;
        return NULL;
    }
    arena->size = end / VX_ARENA_ALIGN * VX_ARENA_ALIGN;
    return arena->base ? arena->base + start : NULL;
}
