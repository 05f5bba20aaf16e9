/*
 * kernels/cuda/attention_grads.h: gradients through attention where instructions for matrices
 * serve, and what methods want of the gradients dp of the probabilities.
 */
#ifndef VX_CUDA_ATTENTION_GRADS_H
#define VX_CUDA_ATTENTION_GRADS_H

#include "kernels/cuda/attention_fast.h"

/* Each may be NULL. R = tokens - first. */
struct vx_grads_out {
    float *dp;        /* [G,H,dp_rows,R] */
    float *product;   /* [G,R,R]         */
    float *relu_mean; /* [G,H,R]         */
    int dp_rows;
    vx_product kind;
};

static inline vx_grads_out vx_grads_out_of(const vx_attention_bwd *op)
{
    return {op->dp, op->product, op->relu_mean, (int)vx_dp_rows(op), op->kind};
}

/* Element (i,j) of a matrix [.,R] of dp, from token `first` on. */
VX_DEVICE size_t vx_dp_at(const vx_attend &a, int rows, size_t index, int i, int j)
{
    const size_t present = (size_t)(a.tokens - a.first);
    return (index * (size_t)rows + (size_t)(i - a.first)) * present + (size_t)(j - a.first);
}

/* Takes in one head's p dp. A NaN stays. */
VX_DEVICE float vx_product_of_head(vx_product kind, float so_far, float v)
{
    return so_far + (kind == VX_PRODUCT_RELU_MEAN && v < 0 ? 0.0f : v);
}

/* What came of all heads, as the result. */
VX_DEVICE float vx_product_of_all(float sum, int heads)
{
    return sum < 0 ? 0.0f : sum / (float)heads;
}

struct vx_grads {
    vx_attend forward;
    vx_view dy, dqkv; /* [G,queries,H*E], [G,T,3*H*E] or data NULL                        */
    vx_grads_out out;
    float4 *sums; /* [G,H,queries]: a row's largest score, 1/sum, and rowsum(p dp); 0 */
    int targets, queries;
    float scale;
};

/* Of gradient g, its head h: what the forward pass had, and dy, of which row r is token r. */
VX_DEVICE vx_rows vx_dy_of(const vx_grads &a, int g, int h)
{
    const size_t width = (size_t)a.forward.width, all = (size_t)a.forward.heads * width;
    vx_rows dy = {a.dy, (size_t)g * (size_t)a.queries * all + (size_t)h * width, all};
    dy.first -= (size_t)a.forward.first * all;
    return dy;
}

/* dqkv, dp, and the sums if there is dqkv or product. */
bool vx_attend_grads_serve(const vx_cuda *cuda, int width);
void vx_attend_grads(vx_cuda *cuda, const vx_grads &g, int gradients);
/* product, from the sums, and relu_mean: where the others serve. */
void vx_attend_products(vx_cuda *cuda, const vx_grads &g, int gradients);

#endif
