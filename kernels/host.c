/*
 * kernels/host.c: memory and weights of devices that compute in host memory.
 *
 *      what env->alloc gave        64-byte boundary
 *      |                           |
 *      v                           v
 *      +-----------------+---------+------------------------------+
 *      | unused          | pointer | bytes                        |
 *      +-----------------+---------+------------------------------+
 *                          to the start, for mem_free
 */
#define _GNU_SOURCE /* madvise */
#include "kernels/host.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)

/* Weights are walked once a forward pass: with 4 KiB pages the page tables are, too. A hint only;
 * blocks below two huge pages are left alone. */
static void offer_huge_pages(char *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const size_t skip = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    if (bytes < 2 * HUGE_PAGE)
        return;
    madvise(memory + skip, (bytes - skip) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

const char *vx_host_precision_at(int index)
{
    return index == 0 ? "f32" : NULL;
}

void *vx_host_mem_alloc(size_t bytes, const vx_device_env *env)
{
    const size_t extra = sizeof(void *) + ALIGN - 1;
    if (bytes > SIZE_MAX - extra)
        return NULL;
    char *start = env->alloc(bytes + extra, env->owner);
    if (!start)
        return NULL;
    char *memory = start + sizeof(void *);
    memory += (ALIGN - (uintptr_t)memory % ALIGN) % ALIGN;
    memcpy(memory - sizeof start, &start, sizeof start);
    offer_huge_pages(memory, bytes);
    return memory;
}

void vx_host_mem_free(void *memory, const vx_device_env *env)
{
    if (!memory)
        return;
    char *start;
    memcpy(&start, (char *)memory - sizeof start, sizeof start);
    env->release(start, env->owner);
}

int vx_host_probe(int ordinal, char *why, size_t why_size)
{
    if (ordinal == 0)
        return 0;
    snprintf(why, why_size, "there is one such device, number 0");
    return VX_DEVICE_FAILED;
}

static size_t plain_bytes(int n, int k)
{
    return (size_t)n * (size_t)k * sizeof(float);
}

static int plain_pack(const vx_device_env *env, const vx_weight *w, const float *rows_f32,
                      int first, int rows, char *err, size_t err_size)
{
    const size_t k = (size_t)w->k;
    (void)env;
    (void)err;
    (void)err_size;
    memcpy((float *)(uintptr_t)w->data + (size_t)first * k, rows_f32,
           (size_t)rows * k * sizeof(float));
    return 0;
}

const vx_packing vx_packing_plain = {
    .name = "plain", .panel = 1, .bytes = plain_bytes, .pack = plain_pack};

const vx_packing *const vx_host_packings[] = {&vx_packing_plain, NULL};

const vx_packing *vx_host_packing_for(const char *precision, vx_layer layer, int block)
{
    (void)precision;
    (void)layer;
    (void)block;
    return &vx_packing_plain;
}

int vx_host_mem_copy(const vx_device_env *env, void *dst, const void *src, size_t bytes, char *err,
                     size_t err_size)
{
    (void)env;
    (void)err;
    (void)err_size;
    memcpy(dst, src, bytes);
    return 0;
}

void vx_host_copy(vx_device *dev, void *dst, const void *src, size_t bytes)
{
    (void)dev;
    memcpy(dst, src, bytes);
}

int vx_host_check_precision(const char *device, const char *precision, char *err, size_t err_size)
{
    if (!precision || strcmp(precision, "auto") == 0)
        return 0;
    for (int i = 0; vx_host_precision_at(i); i++)
        if (strcmp(vx_host_precision_at(i), precision) == 0)
            return 0;
    snprintf(err, err_size, "device %s has no precision \"%s\"", device, precision);
    return VX_DEVICE_FAILED;
}
