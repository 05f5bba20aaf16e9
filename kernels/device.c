/* kernels/device.c: the table of devices. The tests' programs have a longer one (test/devices.c). */
#include "kernels/device.h"

#include <string.h>

#ifndef VX_DEVICES
#define VX_DEVICES "kernels/devices.def"
#endif

#define VX_DEVICE(name) extern const vx_device_class vx_device_##name;
#include VX_DEVICES
#undef VX_DEVICE

static const vx_device_class *const devices[] = {
#define VX_DEVICE(name) &vx_device_##name,
#include VX_DEVICES
#undef VX_DEVICE
};

const vx_device_class *vx_device_at(int index)
{
    const int count = (int)(sizeof devices / sizeof devices[0]);
    return index >= 0 && index < count ? devices[index] : NULL;
}

const vx_device_class *vx_device_find(const char *name)
{
    for (int i = 0; vx_device_at(i); i++)
        if (strcmp(vx_device_at(i)->name, name) == 0)
            return vx_device_at(i);
    return NULL;
}

const char *vx_device_precision(const vx_device_class *cls, const char *name)
{
    if (!name || strcmp(name, "auto") == 0)
        return cls->precision_at(0);
    for (int i = 0; cls->precision_at(i); i++)
        if (strcmp(cls->precision_at(i), name) == 0)
            return cls->precision_at(i);
    return NULL;
}
