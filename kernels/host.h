/*
 * kernels/host.h: what devices have in common whose memory is the host's and whose weights are
 * plain f32 [n,k], row-major.
 */
#ifndef VX_KERNELS_HOST_H
#define VX_KERNELS_HOST_H

#include "kernels/device.h"

/* Members of vx_device_class. The one precision is f32. Large blocks are offered to the kernel for
 * huge pages. */
const char *vx_host_precision_at(int index);
void *vx_host_mem_alloc(size_t bytes, const vx_device_env *env);
void vx_host_mem_free(void *memory, const vx_device_env *env);
int vx_host_probe(int ordinal, char *why, size_t why_size); /* there is one: 0 */
int vx_host_mem_copy(const vx_device_env *env, void *dst, const void *src, size_t bytes, char *err,
                     size_t err_size);
void vx_host_copy(vx_device *dev, void *dst, const void *src, size_t bytes);

/* The one packing is vx_packing_plain. */
extern const vx_packing *const vx_host_packings[];
const vx_packing *vx_host_packing_for(const char *precision, vx_layer layer, int block);

/* 0 if the precision is NULL, "auto" or one of vx_host_precision_at; else nonzero with the
 * reason. */
int vx_host_check_precision(const char *device, const char *precision, char *err, size_t err_size);

#endif
