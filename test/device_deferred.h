/* test/device_deferred.h: what tests ask of the device "deferred". */
#ifndef VX_TEST_DEVICE_DEFERRED_H
#define VX_TEST_DEVICE_DEFERRED_H

#include "kernels/device.h"

/* Operations and copies that are queued; copies that are. */
int deferred_queued(const vx_device *dev);
int deferred_copies(const vx_device *dev);

#endif
