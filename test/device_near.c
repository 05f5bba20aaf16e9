/*
 * test/device_near.c: the device "near": ref, but the host can read its memory. So the host makes
 * variants of a picture here, as on cpu, where on ref the device makes them: with the arithmetic of
 * both the same, any other bit is a difference of the two ways.
 */
#include "as_ref.h"

extern const vx_device_class vx_device_near;

static int open_near(vx_device **out, const vx_device_env *env, const char *precision,
                     unsigned features, char *err, size_t err_size)
{
    return as_ref_open(out, &vx_device_near, "scalar reference, memory of the host", env, precision,
                       features, err, err_size);
}

const vx_device_class vx_device_near = {
    .name = "near",
    .host_memory = 1,
    .precision_at = vx_host_precision_at,
    .packings = vx_host_packings,
    .packing_for = vx_host_packing_for,
    .probe = vx_host_probe,
    .open = open_near,
    .close = as_ref_close,
    .reserve = as_ref_reserve,
    .reserve_bytes = as_ref_reserve_bytes,
    .mem_alloc = vx_host_mem_alloc,
    .mem_free = vx_host_mem_free,
    .mem_write = vx_host_mem_copy,
    .mem_read = vx_host_mem_copy,
    .mem_copy = vx_host_mem_copy,
    .upload = vx_host_copy,
    .download = vx_host_copy,
    .sync = as_ref_sync,
};
