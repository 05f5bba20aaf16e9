/* kernels/cuda/op_linear.cu: linear and its gradient (product.h), with a norm in front, and
 * SwiGLU. */
#include "kernels/cuda/product.h"
#include "kernels/cuda/swiglu.h"

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
    if (gated && y.data)
        vx_swiglu_rows(cuda, {y, p.finish.pre, y_columns}, a->m);
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
        vx_swiglu_bwd_rows(cuda, {p.finish.y, p.finish.y, pre, k, a->tokens, a->targets}, a->m);
}
