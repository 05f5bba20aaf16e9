/* test/as_ref.c: see as_ref.h. */
#include "as_ref.h"

#include <stdio.h>

extern const vx_device_class vx_device_ref;

int as_ref_open(vx_device **out, const vx_device_class *cls, const char *kernels,
                const vx_device_env *env, const char *precision, unsigned features, char *err,
                size_t err_size)
{
    *out = NULL;
    if (vx_host_check_precision(cls->name, precision, err, err_size) != 0)
        return VX_DEVICE_FAILED;
    const int failed = vx_device_ref.open(out, env, precision, features, err, err_size);
    if (failed)
        return failed;
    (*out)->cls = cls;
    snprintf((*out)->kernels, sizeof(*out)->kernels, "%s", kernels);
    return 0;
}

void as_ref_close(vx_device *dev)
{
    vx_device_ref.close(dev);
}

int as_ref_reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size)
{
    return vx_device_ref.reserve(dev, max, err, err_size);
}

size_t as_ref_reserve_bytes(const vx_device *dev, const vx_dims *max)
{
    return vx_device_ref.reserve_bytes(dev, max);
}

int as_ref_sync(vx_device *dev, char *err, size_t err_size)
{
    return vx_device_ref.sync(dev, err, err_size);
}
