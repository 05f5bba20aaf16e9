/*
 * kernels/cuda/attention_grads.h: gradients through attention where instructions for matrices
 * serve.
 */
#ifndef VX_CUDA_ATTENTION_GRADS_H
#define VX_CUDA_ATTENTION_GRADS_H

#include "kernels/cuda/attention_fast.h"

struct vx_grads {
    vx_attend forward;
    vx_view dy, dqkv; /* [G,queries,H*E], [G,T,3*H*E]                                     */
    float *dp;        /* or NULL                                                          */
    float4 *sums;     /* [G,H,queries]: a row's largest score, 1/sum, and rowsum(p dp); 0 */
    int targets, queries;
    float scale;
};

bool vx_attend_grads_serve(const vx_cuda *cuda, int width);
void vx_attend_grads(vx_cuda *cuda, const vx_grads &g, int gradients);

#endif
