/*
 * test/devices.c: the test programs' table of devices, which they link in place of the library's.
 * It has the devices of test/ too, and VX_TEST_DEVICE=walled (or deferred) lets one of them stand
 * in for "ref".
 */
#include <stdlib.h>

#include "kernels/device.h"

static const vx_device_class *find_listed(const char *name);
static int find_site_listed(vx_site *out, const char *name, char *why, size_t why_size);

#define VX_DEVICES "test/devices.def"
#define vx_device_find find_listed
#define vx_site_find find_site_listed
#include "kernels/device.c"
#undef vx_device_find
#undef vx_site_find

static const char *standing_in(const char *name)
{
    const char *instead = getenv("VX_TEST_DEVICE");
    return instead && name && strcmp(name, "ref") == 0 ? instead : name;
}

const vx_device_class *vx_device_find(const char *name)
{
    return find_listed(standing_in(name));
}

int vx_site_find(vx_site *out, const char *name, char *why, size_t why_size)
{
    return find_site_listed(out, standing_in(name), why, why_size);
}
