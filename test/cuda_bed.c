/* test/cuda_bed.c: see cuda_bed.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "cuda_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/plugin.h"

static const char *wished(void)
{
    const char *file = getenv("VX_TEST_CUDA");
    return file && file[0] ? file : NULL;
}

bool cuda_wished(void)
{
    return wished() != NULL;
}

const vx_device_class *cuda_class(void)
{
    char why[300] = "not in the table";
    const vx_device_class *cls;
    if (wished()) {
        char *path = realpath(wished(), NULL);
        cls = path ? vx_plugin_load_cuda(path, why, sizeof why) : NULL;
        free(path);
        if (cls && cls->probe(0, why, sizeof why) != 0)
            cls = NULL;
    } else {
        cls = vx_device_find("cuda-host");
    }
    ck_assert_msg(cls != NULL, "%s: %s", wished() ? wished() : "cuda-host", why);
    return cls;
}

bool cuda_is_twin(const char *what)
{
    if (wished())
        printf("skipped: %s, which asks the host twin\n", what);
    return !wished();
}

static void *give(size_t bytes, void *owner)
{
    (void)owner;
    return malloc(bytes);
}

static void take(void *memory, void *owner)
{
    (void)owner;
    free(memory);
}

static void alone(void (*task)(void *, int, int), void *arg, int count, void *owner)
{
    (void)owner;
    for (int i = 0; i < count; i++)
        task(arg, i, 0);
}

vx_device_env cuda_env(int ordinal)
{
    return (vx_device_env){
        .alloc = give, .release = take, .parallel = alone, .workers = 1, .ordinal = ordinal};
}

vx_device *cuda_open(int ordinal, const char *precision, unsigned features, const vx_dims *dims)
{
    char err[200] = "";
    vx_device *dev;
    const vx_device_env env = cuda_env(ordinal);
    const vx_device_class *cls = cuda_class();
    ck_assert_msg(cls->open(&dev, &env, precision, features, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(cls->reserve(dev, dims, err, sizeof err) == 0, "%s", err);
    return dev;
}

void cuda_sync(vx_device *dev)
{
    char err[200] = "";
    ck_assert_msg(dev->cls->sync(dev, err, sizeof err) == 0, "%s", err);
}

/* ------------------------------------------------------------------------------ memory ------ */

enum { GUARD = 256, PATTERN = 0xa5 };

static size_t whole(const cuda_piece *piece)
{
    return 2 * GUARD + piece->skip + piece->bytes;
}

cuda_piece cuda_send(vx_device *dev, const void *host, size_t bytes, size_t skip)
{
    cuda_piece piece = {dev, NULL, bytes, skip};
    char *all = malloc(whole(&piece));
    piece.memory = dev->cls->mem_alloc(whole(&piece), &dev->env);
    ck_assert_msg(all && piece.memory, "no memory for %zu bytes", bytes);
    memset(all, PATTERN, whole(&piece));
    if (host && bytes)
        memcpy(all + GUARD + skip, host, bytes);
    dev->cls->upload(dev, piece.memory, all, whole(&piece));
    cuda_sync(dev);
    free(all);
    return piece;
}

void *cuda_at(const cuda_piece *piece)
{
    return piece->memory + GUARD + piece->skip;
}

void cuda_fetch(void *host, const cuda_piece *piece, const char *what)
{
    unsigned char *all = malloc(whole(piece));
    const size_t from = GUARD + piece->skip, to = from + piece->bytes;
    ck_assert_ptr_nonnull(all);
    piece->dev->cls->download(piece->dev, all, piece->memory, whole(piece));
    cuda_sync(piece->dev);
    for (size_t i = 0; i < whole(piece); i++)
        if ((i < from || i >= to) && all[i] != PATTERN)
            ck_abort_msg("%s: byte %td of %zu was written", what, (ptrdiff_t)i - (ptrdiff_t)from,
                         piece->bytes);
    if (piece->bytes)
        memcpy(host, all + from, piece->bytes);
    free(all);
}

void cuda_free(cuda_piece *piece)
{
    piece->dev->cls->mem_free(piece->memory, &piece->dev->env);
    piece->memory = NULL;
}
