/*
 * test/device_walled.c: the device "walled": ref, whose memory can be touched only by operations
 * and copies. A line of the library or of a test that reads or writes it ends in a SIGSEGV.
 */
#include "as_ref.h"
#include "far_memory.h"

extern const vx_device_class vx_device_walled;

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
    const int failed = as_ref_open(out, &vx_device_walled, "scalar reference behind walls", env,
                                   precision, features, err, err_size);
    if (failed)
        return failed;
#define VX_OP(name) (*out)->ops.name = walled_##name;
#include "kernels/ops.def"
#undef VX_OP
    return 0;
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

const vx_device_class vx_device_walled = {
    .name = "walled",
    .host_memory = 0,
    .pictures = 1,
    .precision_at = vx_host_precision_at,
    .packings = far_packings,
    .packing_for = far_packing_for,
    .probe = vx_host_probe,
    .open = open_walled,
    .close = as_ref_close,
    .reserve = as_ref_reserve,
    .reserve_bytes = as_ref_reserve_bytes,
    .mem_alloc = far_alloc,
    .mem_free = far_free,
    .mem_write = far_mem_write,
    .mem_read = far_mem_read,
    .mem_copy = far_mem_copy,
    .upload = upload,
    .download = download,
    .sync = as_ref_sync,
};
