/*
 * kernels/cuda/host/memory.cpp: a block's shared memory, and copies to it that are on their way.
 * Compiled without the thread sanitizer.
 */
#include "kernels/cuda/host/inside.h"

#include <stdlib.h>

void *vx_machine_taken(void *memory)
{
    if (!memory)
        vx_machine_stop(NULL, 0, "no memory for the machine itself");
    return memory;
}

void *vx_machine_shared(size_t bytes, const char *file, int line)
{
    const machine *m = vx_machine_own;
    if (bytes > m->shape->shared_bytes)
        vx_machine_stop(file, line, "shared memory of %zu bytes; %zu were given at launch", bytes,
                        m->shape->shared_bytes);
    return m->shared;
}

static void keep_copy(fiber *f, const async_copy *copy)
{
    if (f->copy_count == f->copy_room) {
        f->copy_room = f->copy_room ? 2 * f->copy_room : 32;
        f->copies = (async_copy *)vx_machine_taken(
            realloc(f->copies, (size_t)f->copy_room * sizeof *f->copies));
    }
    f->copies[f->copy_count++] = *copy;
}

void vx_machine_copy_async(void *shared, const void *global, int bytes, const char *file, int line)
{
    machine *m = vx_machine_own;
    const unsigned char *to = (unsigned char *)shared;
    const async_copy copy = {shared, global, bytes, m->now->group};
    if ((uintptr_t)shared % 16 || (bytes && (uintptr_t)global % 16))
        vx_machine_stop(file, line, "cp.async from %p to %p: not aligned to 16 bytes", global,
                        shared);
    if (bytes < 0 || bytes > 16)
        vx_machine_stop(file, line, "cp.async of %d bytes: 0 to 16", bytes);
    if (to < m->shared || to + 16 > m->shared + m->shape->shared_bytes)
        vx_machine_stop(file, line, "cp.async to %td of %zu bytes of shared memory", to - m->shared,
                        m->shape->shared_bytes);
    m->now->file = file;
    m->now->line = line;
    vx_machine_poison16(shared);
    keep_copy(m->now, &copy);
}

void vx_machine_commit(void)
{
    vx_machine_own->now->group++;
}

void vx_machine_wait(int groups_left)
{
    fiber *f = vx_machine_own->now;
    int left = 0;
    for (int i = 0; i < f->copy_count; i++) {
        const async_copy copy = f->copies[i];
        if (copy.group < f->group - groups_left)
            vx_machine_copy16(copy.to, copy.from, copy.bytes);
        else
            f->copies[left++] = copy;
    }
    f->copy_count = left;
}

static void fill(unsigned char *at, size_t bytes)
{
    if (!VX_UNDER_TSAN)
        memset(at, 0xff, bytes);
    for (size_t i = 0; VX_UNDER_TSAN && i < bytes; i++, no_call())
        at[i] = 0xff;
}

/* Shared memory that nothing was written to. With the address sanitizer it has its very size; with
 * that of threads each block has its own, since blocks that use one place have no order. */
void vx_machine_fresh_shared(machine *m)
{
    const size_t bytes = m->shape->shared_bytes, own_bytes = sizeof(kept) + 128 + bytes + GUARD;
    if (VX_UNDER_TSAN) {
        kept *k = (kept *)vx_machine_taken(malloc(own_bytes));
        k->next = m->kept_list;
        m->kept_list = k;
        m->kept_bytes += own_bytes;
        m->shared = (unsigned char *)(((uintptr_t)(k + 1) + 127) / 128 * 128);
    } else if (!m->shared) {
        void *memory = NULL;
        const size_t room = bytes + (VX_UNDER_ASAN ? 0 : GUARD);
        if (room && posix_memalign(&memory, 128, room) != 0)
            vx_machine_taken(NULL);
        m->shared = (unsigned char *)memory;
    }
    if (m->shared)
        fill(m->shared, VX_UNDER_ASAN ? bytes : bytes + GUARD);
}

void vx_machine_drop_shared(machine *m)
{
    while (m->kept_list) {
        kept *k = m->kept_list;
        m->kept_list = k->next;
        free(k);
    }
    m->kept_bytes = 0;
    if (!VX_UNDER_TSAN)
        free(m->shared);
    m->shared = NULL;
}

void vx_machine_check_shared(machine *m)
{
    const size_t bytes = m->shape->shared_bytes;
    for (size_t i = bytes; !VX_UNDER_ASAN && i < bytes + GUARD; i++)
        if (m->shared[i] != 0xff)
            vx_machine_stop(NULL, 0, "byte %zu of %zu of shared memory was written", i, bytes);
}
