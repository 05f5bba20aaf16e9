/*
 * kernels/cuda/product.h: products of rows and a packed matrix, and what is done to each element of
 * them. linear, patch_embed and their gradients are such products.
 *
 *      rows of x, dy or pixels --(product_rows.cu)--> rows in the matrix's form, if they are not
 *                  |                                   in it already; in the scratch
 *                  v
 *      cuBLASLt (blaslt.h), or mma.sync (product_mma.cu), or one number at a time (product.cu)
 *                  |
 *                  v
 *      vx_finish: bias, activation, LayerScale, residual, what is kept. Kernels of our own do it as
 *      they end; what cuBLASLt does not do itself is one pass after it.
 */
#ifndef VX_CUDA_PRODUCT_H
#define VX_CUDA_PRODUCT_H

#include "kernels/cuda/act.h"
#include "kernels/cuda/packing.h"
#include "kernels/cuda/rows.h"

/* Elements of rows may be read four at a time; true, too, if there are none. */
static inline bool vx_rows_in_fours(const vx_view &r)
{
    return !r.data || vx_fours(r);
}

template <int STEP> struct vx_some {
    float v[STEP];
};

/* STEP neighbours from column c on: 1 or 4. */
template <int STEP> VX_DEVICE vx_some<STEP> vx_get_some(const vx_view &r, size_t row, size_t c)
{
    vx_some<STEP> out;
    vx_read_some<STEP>(r, (int64_t)row * r.ld + (int64_t)c, out.v);
    return out;
}

template <int STEP>
VX_DEVICE void vx_put_some(const vx_view &r, size_t row, size_t c, const vx_some<STEP> &x)
{
    vx_write_some<STEP>(r, (int64_t)row * r.ld + (int64_t)c, x.v);
}

/* ------------------------------------------------------------------ after a product ---- */

/*
 * With v = element (r,c) of the product plus bias[c], in row i = first + r:
 *      pre[i,c] = v;  y[i,c] = residual[i,c] + gamma[c] * act(v), or, of a gradient,
 *      y[i,c] = v * act'(slope[row of i in the forward pass,c]).
 * With pictures (period > 0) the rows are those of patches: row i of y is i + lead for each picture
 * up to its own, and the residual is row i % period.
 */
struct vx_finish {
    vx_view y, pre, residual, slope;
    const float *bias, *gamma;
    vx_act act;
    int tokens, targets, period, lead, first;
    int step; /* 1 or 4: how many neighbours may be read and written at once */
};

VX_DEVICE size_t vx_finish_row(const vx_finish &f, int row)
{
    return (size_t)row + (f.period ? (size_t)(row / f.period + 1) * (size_t)f.lead : 0);
}

template <int STEP>
VX_DEVICE vx_some<STEP> vx_finish_act(const vx_finish &f, int row, size_t c, vx_some<STEP> x)
{
    if (f.slope.data) {
        const int tokens = f.tokens;
        const size_t of =
            (size_t)(row / tokens / f.targets) * (size_t)tokens + (size_t)(row % tokens);
        const vx_some<STEP> pre = vx_get_some<STEP>(f.slope, of, c);
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] *= vx_act_slope(f.act, pre.v[i]);
    } else if (f.act != VX_ACT_NONE) {
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] = vx_act_value(f.act, x.v[i]);
    }
    return x;
}

/* The elements (r,c), (r,c+1)... of the product. */
template <int STEP>
VX_DEVICE void vx_finish_some(const vx_finish &f, int r, int column, vx_some<STEP> x)
{
    const int row = f.first + r;
    const size_t c = (size_t)column;
    VX_UNROLL
    for (int i = 0; i < STEP; i++)
        x.v[i] += f.bias ? f.bias[column + i] : 0;
    if (f.pre.data)
        vx_put_some<STEP>(f.pre, vx_finish_row(f, row), c, x);
    if (!f.y.data)
        return;
    x = vx_finish_act<STEP>(f, row, c, x);
    VX_UNROLL
    for (int i = 0; i < STEP; i++)
        x.v[i] *= f.gamma ? f.gamma[column + i] : 1;
    if (f.residual.data) {
        const vx_some<STEP> rest =
            vx_get_some<STEP>(f.residual, (size_t)(f.period ? row % f.period : row), c);
        VX_UNROLL
        for (int i = 0; i < STEP; i++)
            x.v[i] += rest.v[i];
    }
    vx_put_some<STEP>(f.y, vx_finish_row(f, row), c, x);
}

/* ------------------------------------------------------------------------ products ---- */

/* Patches of pictures [B,channels,height,width] as rows [channel,row,column]. */
struct vx_pictures {
    const float *image;
    int channels, height, width, patch_height, patch_width;
};

/* x W^T, or, turned, dy W; the columns of dy are first multiplied by `scale`, if there is one. The
 * rows are `rows` (with `period` and `lead` as in vx_finish), or the patches of pictures. */
struct vx_multiply {
    const vx_weight *w;
    bool turned;
    vx_view rows;
    int period, lead;
    const float *scale;
    const vx_pictures *pictures; /* or NULL */
    int m;
    vx_finish finish;
    char *scratch; /* 256-byte aligned */
    size_t scratch_bytes;
};

void vx_product_do(vx_cuda *cuda, const vx_multiply *p);

/* Bytes of scratch for each row of a product, at most, of `widest` elements in and out, and for all
 * rows together. */
size_t vx_product_row_bytes(size_t widest);
size_t vx_product_fixed_bytes(size_t widest);

/* --- between the files of products --- */

/* Operands in the matrix's form: a [m,k], and W with rows ldw apart: [n,k], or, turned, [k,n]. */
struct vx_operands {
    const void *a, *w;
    size_t lda, ldw;
    int m, n, k;
    bool turned;
    vx_cuda_number number;
};

/* Writes rows first..first+m-1 of p's operand to `out`, in the form of the matrix, lda apart. */
void vx_product_rows(vx_cuda *cuda, const vx_multiply *p, int first, int m, void *out, size_t lda);

/* The product by mma.sync; bf16 and f16. Operands begin at multiples of 16 bytes, and so do their
 * rows. */
void vx_product_mma(vx_cuda *cuda, const vx_operands *o, const vx_finish *f);

/* y = act(...) of a product that lies in `from` already. */
void vx_finish_rows(vx_cuda *cuda, const vx_view *from, int m, int n, const vx_finish *f);

/* The number of neighbours that f may take at once in rows of n. */
int vx_finish_step(const vx_finish *f, int n);

#endif
