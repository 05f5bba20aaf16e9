/*
 * kernels/cuda/host/warp.h: what the operations of a warp give, once all of its lanes have come.
 */
#ifndef VX_CUDA_HOST_WARP_H
#define VX_CUDA_HOST_WARP_H

#include "kernels/cuda/host/machine.h"

/* What a lane brought, and what it takes. */
struct vx_lane_words {
    uint32_t in[VX_MEET_IN], out[VX_MEET_OUT];
};

/* lanes[i]: of lane i. */
void vx_warp_compute(vx_meeting kind, vx_lane_words *const lanes[32], vx_machine_counts *counts);
const char *vx_meeting_name(vx_meeting kind);

#endif
