/*
 * test/as_ref.h: what the devices of test/ that are "ref" in another cloak have in common: members
 * of their classes that do what ref's do.
 */
#ifndef VX_TEST_AS_REF_H
#define VX_TEST_AS_REF_H

#include "kernels/host.h"

/* ref's open for the class `cls`; kernels: the line for people. */
int as_ref_open(vx_device **out, const vx_device_class *cls, const char *kernels,
                const vx_device_env *env, const char *precision, unsigned features, char *err,
                size_t err_size);
void as_ref_close(vx_device *dev);
int as_ref_reserve(vx_device *dev, const vx_dims *max, char *err, size_t err_size);
size_t as_ref_reserve_bytes(const vx_device *dev, const vx_dims *max);
int as_ref_sync(vx_device *dev, char *err, size_t err_size);

#endif
