/*
 * test/device_near.c: the device "near": ref, but the host can read its memory. So the host makes
 * variants of a picture here, as on cpu, where on ref the device makes them: with the arithmetic of
 * both the same, any other bit is a difference of the two ways.
 */
#include <stdio.h>

#include "kernels/host.h"

extern const vx_device_class vx_device_ref, vx_device_near;

static int open_near(vx_device **out, const vx_device_env *env, const char *precision,
                     unsigned features, char *err, size_t err_size)
{
    *out = NULL;
    if (vx_host_check_precision("near", precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    const int failed = vx_device_ref.open(out, env, precision, features, err, err_size);
    if (failed)
        return failed;
    (*out)->cls = &vx_device_near;
    snprintf((*out)->kernels, sizeof(*out)->kernels, "scalar reference, memory of the host");
    return 0;
}

static void close_near(vx_device *dev)
{
    vx_device_ref.close(dev);
}

static int reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    return vx_device_ref.reserve(dev, max, err, err_size);
}

static size_t reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    return vx_device_ref.reserve_bytes(dev, max);
}

static int sync_near(vx_device *dev, char *err, size_t err_size)
{
    return vx_device_ref.sync(dev, err, err_size);
}

const vx_device_class vx_device_near = {
    .name = "near",
    .host_memory = 1,
    .precision_at = vx_host_precision_at,
    .packings = vx_host_packings,
    .packing_for = vx_host_packing_for,
    .probe = vx_host_probe,
    .open = open_near,
    .close = close_near,
    .reserve = reserve,
    .reserve_bytes = reserve_bytes,
    .mem_alloc = vx_host_mem_alloc,
    .mem_free = vx_host_mem_free,
    .mem_write = vx_host_mem_copy,
    .mem_read = vx_host_mem_copy,
    .mem_copy = vx_host_mem_copy,
    .upload = vx_host_copy,
    .download = vx_host_copy,
    .sync = sync_near,
};
