/*
 * kernels/ref/device_ref.c: the device "ref": the scalar definitions, on the caller's thread.
 * Slow, and right: what other devices are compared with.
 */
#include "kernels/host.h"

#include <stdio.h>
#include <string.h>

extern const vx_device_class vx_device_ref;

void vx_ops_init_ref(vx_ops *ops)
{
#define VX_OP(name) ops->name = vx_##name##_ref;
#include "kernels/ops.def"
#undef VX_OP
}

static int open_ref(vx_device **out, const vx_device_env *env, const char *precision,
                    unsigned features, char *err, size_t err_size)
{
    (void)features;
    *out = NULL;
    if (vx_host_check_precision("ref", precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    vx_device *dev = env->alloc(sizeof *dev, env->owner);
    if (!dev) {
        snprintf(err, err_size, "no memory for the device ref");
        return VX_DEVICE_NOMEM;
    }
    memset(dev, 0, sizeof *dev);
    dev->cls = &vx_device_ref;
    dev->env = *env;
    vx_ops_init_ref(&dev->ops);
    snprintf(dev->kernels, sizeof dev->kernels, "scalar reference");
    *out = dev;
    return 0;
}

static void close_ref(vx_device *dev)
{
    if (dev)
        dev->env.release(dev, dev->env.owner);
}

static int reserve_ref(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    (void)dev;
    (void)max;
    (void)err;
    (void)err_size;
    return 0;
}

static size_t reserve_bytes_ref(const vx_device *dev, const vx_dims *max)
{
    (void)dev;
    (void)max;
    return 0;
}

static int sync_ref(vx_device *dev, char *err, size_t err_size)
{
    (void)dev;
    (void)err;
    (void)err_size;
    return 0;
}

const vx_device_class vx_device_ref = {
    .name = "ref",
    .precision_at = vx_host_precision_at,
    .packings = vx_host_packings,
    .packing_for = vx_host_packing_for,
    .probe = vx_host_probe,
    /* It can be read; saying no keeps the way of devices whose memory cannot be tested. */
    .host_memory = 0,
    .open = open_ref,
    .close = close_ref,
    .reserve = reserve_ref,
    .reserve_bytes = reserve_bytes_ref,
    .mem_alloc = vx_host_mem_alloc,
    .mem_free = vx_host_mem_free,
    .mem_write = vx_host_mem_copy,
    .mem_read = vx_host_mem_copy,
    .mem_copy = vx_host_mem_copy,
    .upload = vx_host_copy,
    .download = vx_host_copy,
    .sync = sync_ref,
};
