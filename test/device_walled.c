/*
 * test/device_walled.c: the device "walled": ref, whose memory can be touched only by operations
 * and copies. A line of the library or of a test that reads or writes it ends in a SIGSEGV.
 */
#include <stdio.h>

#include "far_memory.h"
#include "kernels/host.h"

extern const vx_device_class vx_device_ref, vx_device_walled;

#define VX_OP(name)                                                                                \
    static void walled_##name(vx_device *dev, const vx_##name *a)                                  \
    {                                                                                              \
        far_open();                                                                                \
        vx_##name##_ref(dev, a);                                                                   \
        far_close();                                                                               \
    }
#include "kernels/ops.def"
#undef VX_OP

static int open_walled(vx_device **out, const vx_device_env *env, const char *precision,
                       unsigned features, char *err, size_t err_size)
{
    *out = NULL;
    if (vx_host_check_precision("walled", precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    const int failed = vx_device_ref.open(out, env, precision, features, err, err_size);
    if (failed)
        return failed;
    (*out)->cls = &vx_device_walled;
    snprintf((*out)->kernels, sizeof(*out)->kernels, "scalar reference behind walls");
#define VX_OP(name) (*out)->ops.name = walled_##name;
#include "kernels/ops.def"
#undef VX_OP
    return 0;
}

static void close_walled(vx_device *dev)
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

static void upload(vx_device *dev, void *device_dst, const void *host_src, size_t bytes)
{
    (void)dev;
    far_upload(device_dst, host_src, bytes);
}

static void download(vx_device *dev, void *host_dst, const void *device_src, size_t bytes)
{
    (void)dev;
    far_download(host_dst, device_src, bytes);
}

static int sync(vx_device *dev, char *err, size_t err_size)
{
    return vx_device_ref.sync(dev, err, err_size);
}

const vx_device_class vx_device_walled = {
    .name = "walled",
    .host_memory = 0,
    .pictures = 1,
    .precision_at = vx_host_precision_at,
    .packings = far_packings,
    .packing_for = far_packing_for,
    .probe = vx_host_probe,
    .open = open_walled,
    .close = close_walled,
    .reserve = reserve,
    .reserve_bytes = reserve_bytes,
    .mem_alloc = far_alloc,
    .mem_free = far_free,
    .mem_write = far_mem_write,
    .mem_read = far_mem_read,
    .mem_copy = far_mem_copy,
    .upload = upload,
    .download = download,
    .sync = sync,
};
