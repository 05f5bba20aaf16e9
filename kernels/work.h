/*
 * kernels/work.h: how much an operation has to do, from its arguments alone; the same for all
 * devices.
 */
#ifndef VX_KERNELS_WORK_H
#define VX_KERNELS_WORK_H

#include "kernels/ops.h"

typedef struct vx_work {
    double flops; /* of its products of matrices, a multiply-add being two; 0: it has none */
    double bytes; /* what it reads and writes, each array counted once */
} vx_work;

#define VX_OP(name) vx_work vx_##name##_work(const vx_##name *a);
#include "kernels/ops.def"
#undef VX_OP

#endif
