/* test/far_memory.c: see far_memory.h. */
#define _GNU_SOURCE /* mmap, madvise */
#include "far_memory.h"

#include "kernels/host.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct block {
    struct block *next;
    char *pages, *memory;
    size_t size, bytes; /* of pages, without the guard; of memory, as asked for */
} block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static block *blocks;
static int gates;

static void die(const char *what)
{
    fprintf(stderr, "far memory: %s\n", what);
    abort();
}

static void protect(const block *b, int rights)
{
    if (mprotect(b->pages, b->size, rights) != 0)
        die("mprotect failed");
}

void *far_alloc(size_t bytes, const vx_device_env *env)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (bytes > SIZE_MAX / 2)
        return NULL;
    block *b = env->alloc(sizeof *b, env->owner);
    if (!b)
        return NULL;
    const size_t end = (bytes + 63) / 64 * 64;
    b->bytes = bytes;
    b->size = end / page * page + page;
    b->pages =
        mmap(NULL, b->size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->pages == MAP_FAILED) {
        env->release(b, env->owner);
        return NULL;
    }
    /* What differs in how it is forked stays a mapping of its own. So the kernel need not cut the
     * pages from their guard, and join them again, whenever their rights change. */
    if (madvise(b->pages + b->size, page, MADV_DONTFORK) != 0)
        die("madvise failed");
    b->memory = b->pages + (b->size - end);
    pthread_mutex_lock(&lock);
    b->next = blocks;
    blocks = b;
    protect(b, gates ? PROT_READ | PROT_WRITE : PROT_NONE);
    pthread_mutex_unlock(&lock);
    return b->memory;
}

void far_free(void *memory, const vx_device_env *env)
{
    if (!memory)
        return;
    pthread_mutex_lock(&lock);
    block **at = &blocks;
    while (*at && (*at)->memory != memory)
        at = &(*at)->next;
    block *const b = *at;
    if (!b)
        die("memory is freed that was not allocated");
    *at = b->next;
    pthread_mutex_unlock(&lock);
    /* The addresses are never used again, so a late access is seen. */
    protect(b, PROT_NONE);
    madvise(b->pages, b->size, MADV_DONTNEED);
    env->release(b, env->owner);
}

void far_open(void)
{
    pthread_mutex_lock(&lock);
    if (gates++ == 0)
        for (const block *b = blocks; b; b = b->next)
            protect(b, PROT_READ | PROT_WRITE);
    pthread_mutex_unlock(&lock);
}

void far_close(void)
{
    pthread_mutex_lock(&lock);
    if (--gates == 0)
        for (const block *b = blocks; b; b = b->next)
            protect(b, PROT_NONE);
    pthread_mutex_unlock(&lock);
}

bool far_holds(const void *at, size_t bytes)
{
    const uintptr_t from = (uintptr_t)at;
    bool found = false;
    pthread_mutex_lock(&lock);
    for (const block *b = blocks; b && !found; b = b->next) {
        const uintptr_t start = (uintptr_t)b->memory;
        found = from >= start && from - start <= b->bytes && bytes <= b->bytes - (from - start);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool far_meets(const void *at, size_t bytes)
{
    const uintptr_t from = (uintptr_t)at;
    bool found = false;
    pthread_mutex_lock(&lock);
    for (const block *b = blocks; b && !found; b = b->next) {
        const uintptr_t start = (uintptr_t)b->memory;
        found = from < start + b->bytes && start < from + bytes;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

bool near_holds(const void *at)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)at / page * page;
    bool far = false;
    pthread_mutex_lock(&lock);
    for (const block *b = blocks; b && !far; b = b->next) /* with the guard: nothing of 0 bytes */
        far = from >= (uintptr_t)b->pages && from - (uintptr_t)b->pages <= b->size;
    pthread_mutex_unlock(&lock);
    /* Programs, heaps and stacks lie high. What a sanitizer has mapped lies below, too, where an
     * int beside a float looks like an address. */
    if (far || from >> 32 < 0x5000 || from >> 47)
        return false;
    return msync((void *)from, page, MS_ASYNC) == 0; /* fails if nothing is mapped there */
}

static void check_sides(const void *near, const void *far, size_t bytes)
{
    if (!far_holds(far, bytes))
        die("a copy's device side is no device memory");
    if (far_meets(near, bytes))
        die("a copy's host side is device memory");
}

void far_upload(void *far, const void *near, size_t bytes)
{
    check_sides(near, far, bytes);
    far_open();
    memcpy(far, near, bytes);
    far_close();
}

void far_download(void *near, const void *far, size_t bytes)
{
    check_sides(near, far, bytes);
    far_open();
    memcpy(near, far, bytes);
    far_close();
}

/* ------------------------------------------------------------------ members of a class ------ */

int far_mem_write(const vx_device_env *env, void *device_dst, const void *host_src, size_t bytes,
                  char *err, size_t err_size)
{
    (void)env;
    (void)err;
    (void)err_size;
    far_upload(device_dst, host_src, bytes);
    return 0;
}

int far_mem_read(const vx_device_env *env, void *host_dst, const void *device_src, size_t bytes,
                 char *err, size_t err_size)
{
    (void)env;
    (void)err;
    (void)err_size;
    far_download(host_dst, device_src, bytes);
    return 0;
}

int far_mem_copy(const vx_device_env *env, void *device_dst, const void *device_src, size_t bytes,
                 char *err, size_t err_size)
{
    far_open();
    const int failed = vx_host_mem_copy(env, device_dst, device_src, bytes, err, err_size);
    far_close();
    return failed;
}

static int pack(const vx_device_env *env, const vx_weight *w, const float *rows_f32, int first,
                int rows, char *err, size_t err_size)
{
    far_open();
    const int failed = vx_packing_plain.pack(env, w, rows_f32, first, rows, err, err_size);
    far_close();
    return failed;
}

static size_t bytes(int n, int k)
{
    return vx_packing_plain.bytes(n, k);
}

static const vx_packing plain = {.name = "plain", .panel = 1, .bytes = bytes, .pack = pack};
const vx_packing *const far_packings[] = {&plain, NULL};

const vx_packing *far_packing_for(const char *precision, vx_layer layer, int which)
{
    (void)precision;
    (void)layer;
    (void)which;
    return &plain;
}
