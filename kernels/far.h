/* kernels/far.h: how a pointer says where it leads. */
#ifndef VX_KERNELS_FAR_H
#define VX_KERNELS_FAR_H

/* A float in the device's memory, which the host may not be able to read: in headers above kernels/
 * it tells where a pointer leads. The compiler takes it for a float. */
typedef float vx_far;

#endif
