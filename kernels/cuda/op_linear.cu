/* kernels/cuda/op_linear.cu: linear and its gradient (product.h), with a norm in front, and
 * SwiGLU. */
#include "kernels/cuda/product.h"

enum { THREADS = 128, MOST_ROWS = 65535 };

static vx_view view_of(const vx_cuda *cuda, const float *floats, const vx_narrow *twin, size_t ld)
{
    return vx_view_of(cuda, floats, twin, (int64_t)ld);
}

static vx_multiply multiply_with(vx_cuda *cuda, const vx_weight *w, int m)
{
    vx_multiply p = {};
    p.w = w;
    p.m = m;
    p.scratch = cuda->scratch;
    p.scratch_bytes = cuda->scratch_bytes;
    return p;
}

/* ---------------------------------------------------------------------------- SwiGLU ---- */

/* y = silu(u) v of the halves u, v of the rows x. An element of y is written where only its own
 * thread reads, so y may be x. */
template <int STEP>
static __global__ void __launch_bounds__(THREADS) gate(vx_view y, vx_view x, int m, int n)
{
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x) * STEP;
    if (c < n)
        for (int r = (int)blockIdx.y; r < m; r += (int)gridDim.y) {
            vx_some<STEP> u = vx_get_some<STEP>(x, (size_t)r, (size_t)c);
            const vx_some<STEP> v = vx_get_some<STEP>(x, (size_t)r, (size_t)(n + c));
            VX_UNROLL
            for (int i = 0; i < STEP; i++)
                u.v[i] = vx_swiglu_value(u.v[i], v.v[i]);
            vx_put_some<STEP>(y, (size_t)r, (size_t)c, u);
        }
}

/* dx = [dy v (s + u s (1 - s)), dy u s]; dy is the first half of dx's rows. */
template <int STEP>
static __global__ void __launch_bounds__(THREADS)
    gate_bwd(vx_view dx, vx_view x, int m, int n, int tokens, int targets)
{
    const int c = (int)(blockIdx.x * THREADS + threadIdx.x) * STEP;
    if (c < n)
        for (int r = (int)blockIdx.y; r < m; r += (int)gridDim.y) {
            const size_t of =
                (size_t)(r / tokens / targets) * (size_t)tokens + (size_t)(r % tokens);
            const vx_some<STEP> u = vx_get_some<STEP>(x, of, (size_t)c);
            const vx_some<STEP> v = vx_get_some<STEP>(x, of, (size_t)(n + c));
            const vx_some<STEP> dy = vx_get_some<STEP>(dx, (size_t)r, (size_t)c);
            vx_some<STEP> du, dv;
            VX_UNROLL
            for (int i = 0; i < STEP; i++)
                vx_swiglu_slopes(u.v[i], v.v[i], dy.v[i], &du.v[i], &dv.v[i]);
            vx_put_some<STEP>(dx, (size_t)r, (size_t)c, du);
            vx_put_some<STEP>(dx, (size_t)r, (size_t)(n + c), dv);
        }
}

static dim3 grid_of(int m, int n, int step)
{
    return dim3(vx_blocks((size_t)n, (size_t)(THREADS * step)),
                (unsigned)(m < MOST_ROWS ? m : MOST_ROWS));
}

static bool in_fours(const vx_view &a, const vx_view &b, int n)
{
    return n % 4 == 0 && vx_rows_in_fours(a) && vx_rows_in_fours(b);
}

static void do_gate(vx_cuda *cuda, const vx_view &y, const vx_view &x, int m, int n)
{
    if (in_fours(y, x, n))
        VX_LAUNCH((gate<4>), grid_of(m, n, 4), THREADS, 0, &cuda->stream, y, x, m, n);
    else
        VX_LAUNCH((gate<1>), grid_of(m, n, 1), THREADS, 0, &cuda->stream, y, x, m, n);
}

static void do_gate_bwd(vx_cuda *cuda, const vx_view &dx, const vx_view &x, const vx_linear_bwd *a)
{
    const int n = a->w->k;
    if (in_fours(dx, x, n))
        VX_LAUNCH((gate_bwd<4>), grid_of(a->m, n, 4), THREADS, 0, &cuda->stream, dx, x, a->m, n,
                  a->tokens, a->targets);
    else
        VX_LAUNCH((gate_bwd<1>), grid_of(a->m, n, 1), THREADS, 0, &cuda->stream, dx, x, a->m, n,
                  a->tokens, a->targets);
}

/* ---------------------------------------------------------------------------- linear ---- */

/* The norm in front. Rows in 16 bits, if nobody wants them as floats: they go to the same room. */
static vx_linear normalised(vx_device *dev, const vx_linear *a)
{
    vx_layernorm norm = vx_layernorm_before(a);
    vx_linear rest = vx_linear_normed(a);
    if (!a->keep_normed && vx_cuda_of(dev)->number >= VX_CUDA_BF16) {
        norm.y_n = reinterpret_cast<vx_narrow *>(a->normed);
        norm.y = NULL;
        rest.x_n = norm.y_n;
        rest.x = NULL;
    }
    vx_layernorm_cuda(dev, &norm);
    return rest;
}

static void product(vx_cuda *cuda, const vx_linear *a)
{
    const bool gated = a->act == VX_ACT_SWIGLU;
    const int n = a->w->n, y_columns = gated ? n / 2 : n;
    const vx_view y = view_of(cuda, a->y, a->y_n, vx_distance(a->ldy, y_columns));
    vx_multiply p = multiply_with(cuda, a->w, a->m);
    p.rows = view_of(cuda, a->x, a->x_n, vx_distance(a->ldx, a->w->k));
    p.finish.pre = view_of(cuda, a->pre, a->pre_n, vx_distance(a->ldp, n));
    p.finish.bias = a->w->bias;
    if (!gated) {
        p.finish.y = y;
        p.finish.gamma = a->gamma;
        p.finish.residual = view_of(cuda, a->residual, NULL, vx_distance(a->ldr, n));
        p.finish.act = a->act;
    }
    vx_product_do(cuda, &p);
    if (gated && y.data && n > 1)
        do_gate(cuda, y, p.finish.pre, a->m, y_columns);
}

void vx_linear_cuda(vx_device *dev, const vx_linear *a)
{
    if (a->m <= 0 || a->w->n <= 0)
        return;
    if (a->norm.weight) {
        const vx_linear rest = normalised(dev, a);
        product(vx_cuda_of(dev), &rest);
    } else {
        product(vx_cuda_of(dev), a);
    }
}

void vx_linear_bwd_cuda(vx_device *dev, const vx_linear_bwd *a)
{
    vx_cuda *cuda = vx_cuda_of(dev);
    const bool gated = a->act == VX_ACT_SWIGLU;
    const int k = a->w->k, columns = gated ? 2 * k : k;
    if (a->m <= 0 || k <= 0)
        return;
    const vx_view pre = view_of(cuda, a->pre, a->pre_n, vx_distance(a->ldp, columns));
    vx_multiply p = multiply_with(cuda, a->w, a->m);
    p.turned = true;
    p.rows = view_of(cuda, a->dy, a->dy_n, vx_distance(a->lddy, a->w->n));
    p.scale = a->gamma;
    p.finish.y = view_of(cuda, a->dx, a->dx_n, vx_distance(a->lddx, columns));
    p.finish.tokens = a->tokens;
    p.finish.targets = a->targets;
    if (a->act != VX_ACT_NONE && !gated) {
        p.finish.act = a->act;
        p.finish.slope = pre;
    }
    vx_product_do(cuda, &p);
    if (gated)
        do_gate_bwd(cuda, p.finish.y, pre, a);
}
