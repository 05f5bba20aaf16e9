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
size_t vx_host_weight_bytes(const char *precision, int n, int k);
void vx_host_weight_pack(const char *precision, void *packed, const float *rows_f32, int first,
                         int rows, int n, int k);
void vx_host_copy(vx_device *dev, void *dst, const void *src, size_t bytes);

/* 0 where the precision is NULL, "auto" or "f32"; else nonzero with the reason. */
int vx_host_check_precision(const char *device, const char *precision, char *err, size_t err_size);

#endif
