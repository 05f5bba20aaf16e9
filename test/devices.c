/*
 * test/devices.c: the test programs' table of devices, which they link in place of the library's. It
 * has the devices of test/ too, and VX_TEST_DEVICE=walled (or deferred) lets one of them stand in
 * for "ref".
 */
#include <stdlib.h>

#include "kernels/device.h"

static const vx_device_class *find_listed(const char *name);

#define VX_DEVICES "test/devices.def"
#define vx_device_find find_listed
#include "kernels/device.c"
#undef vx_device_find

const vx_device_class *vx_device_find(const char *name)
{
    const char *instead = getenv("VX_TEST_DEVICE");
    return find_listed(instead && strcmp(name, "ref") == 0 ? instead : name);
}
