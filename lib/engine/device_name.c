/* engine/device_name.c: the names of the rows in kernels/devices.def, for programs. */
#include <vitx/context.h>

#include "kernels/device.h"

const char *vitx_device_name(int index)
{
    const vx_device_class *device = vx_device_at(index);
    return device ? device->name : NULL;
}
