/*
 * kernels/cuda/swiglu.h: SwiGLU and its gradient (vx_swiglu, vx_swiglu_bwd in ops.h) for rows of
 * any type: operations of their own, and what linear and its gradient end with.
 */
#ifndef VX_CUDA_SWIGLU_H
#define VX_CUDA_SWIGLU_H

#include "kernels/cuda/act.h"
#include "kernels/cuda/rows.h"

/* y = silu(u) v of the halves u, v of the rows x. An element of y is written where only its own
 * thread reads, so y may be x. */
struct vx_swiglus {
    vx_view y, x;
    int64_t n;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        float u[W], v[W];
        vx_read_some<W>(x, row * x.ld + column, u);
        vx_read_some<W>(x, row * x.ld + n + column, v);
        for (int i = 0; i < W; i++)
            u[i] = vx_swiglu_value(u[i], v[i]);
        vx_write_some<W>(y, row * y.ld + column, u);
    }
};

/* dx = [dy v (s + u s (1 - s)), dy u s]; dy may be the first half of dx's rows. */
struct vx_swiglu_gradients {
    vx_view dx, dy, x;
    int64_t n;
    int tokens, targets;
    template <int W> __device__ void at(int64_t row, int64_t column) const
    {
        float u[W], v[W], d[W];
        int64_t token;
        const int64_t picture = vx_divide(row, tokens, &token) / targets;
        const int64_t from = (picture * tokens + token) * x.ld + column;
        vx_read_some<W>(x, from, u);
        vx_read_some<W>(x, from + n, v);
        vx_read_some<W>(dy, row * dy.ld + column, d);
        for (int i = 0; i < W; i++)
            vx_swiglu_slopes(u[i], v[i], d[i], &u[i], &v[i]);
        vx_write_some<W>(dx, row * dx.ld + column, u);
        vx_write_some<W>(dx, row * dx.ld + n + column, v);
    }
};

static inline void vx_swiglu_rows(vx_cuda *cuda, const vx_swiglus &f, int m)
{
    vx_queue_rows(cuda, "swiglu", f, m, f.n, vx_fours(f.y) && vx_fours(f.x));
}

static inline void vx_swiglu_bwd_rows(vx_cuda *cuda, const vx_swiglu_gradients &f, int m)
{
    vx_queue_rows(cuda, "swiglu_bwd", f, m, f.n, vx_fours(f.dx) && vx_fours(f.dy) && vx_fours(f.x));
}

#endif
