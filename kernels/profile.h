/*
 * kernels/profile.h: the time of every operation of a device.
 *
 * While a profile is on, the device's table holds versions that read the clock around the device's
 * own. Each waits for the device (sync), so that what a device puts off is counted where it
 * belongs: the profile of such a device is slower than its pass.
 */
#ifndef VX_KERNELS_PROFILE_H
#define VX_KERNELS_PROFILE_H

#include "kernels/device.h"

enum {
#define VX_OP(name) VX_OP_##name,
#include "kernels/ops.def"
#undef VX_OP
    VX_OP_COUNT
};

typedef struct vx_op_count {
    int64_t calls;
    double seconds;
    double flops, bytes; /* as in kernels/work.h */
} vx_op_count;

typedef struct vx_profile {
    vx_ops own; /* the device's own table */
    vx_op_count counts[VX_OP_COUNT];
    int failed; /* what the first failing sync after an operation gave; later ones may not say it
                 * again */
    char why[160];
} vx_profile;

/* "linear" and so on; index 0..VX_OP_COUNT-1, in the order of ops.def. */
const char *vx_op_name(int index);

/* Seconds from some time on. */
double vx_profile_now(void);

/* Counts from 0. `profile` is the caller's, and must stay until vx_profile_end. Nothing is on. */
void vx_profile_begin(vx_device *dev, vx_profile *profile);
/* The device has its own table again; the counts stay. Nothing happens if no profile is on. */
void vx_profile_end(vx_device *dev);

#endif
