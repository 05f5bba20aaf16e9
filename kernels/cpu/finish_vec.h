/*
 * kernels/cpu/finish_vec.h: what follows a product of packed matrices, a row of 32 columns at a
 * call (vx_finish in cpu.h). The numbers are those of epilogue (rows_vec.h) and of the rows_*
 * pieces, but for the activations (v_near_act).
 */
#ifndef VX_CPU_FINISH_VEC_H
#define VX_CPU_FINISH_VEC_H

#include "kernels/cpu/panels_vec.h"
#include "kernels/cpu/vec_math.h"

/* The sums of int8 of a row and of columns j.. as floats. */
VX_INLINE vf scaled(const vx_finish *f, vf sums, int row, int j)
{
    const char *tail = f->tail + (size_t)(j / VX_PANEL) * f->tail_apart + j % VX_PANEL * 4;
    return scaled_sums(sums, f->scales + row, (vf)v_load_bits(tail),
                       (vi)v_load_bits(tail + VX_LINE));
}

/* VL columns from j on, of which `left` are there. */
VX_INLINE vf finished(const vx_finish *f, int row, int j, size_t left, vx_act act)
{
    const size_t i = (size_t)row;
    vf v = v_load(f->c + i * f->ldc + j);
    if (f->scales)
        v = scaled(f, v, row, j);
    if (f->bias)
        v += v_load_most(f->bias + j, left);
    if (f->pre)
        v_store_most(f->pre + i * f->ldp + j, v, left);
    v = v_near_act(v, act);
    if (f->gamma)
        v *= v_load_most(f->gamma + j, left);
    return f->residual ? v + v_load_most(f->residual + i * f->ldr + j, left) : v;
}

/* Where the row and column lie that next() goes on with. */
VX_INLINE char *place_of(const vx_finish *f)
{
    const size_t bytes = f->to == VX_NUMBER_BF16 ? 2 : 4; /* of an element */
    char *y = f->y + (size_t)f->row * f->ldy;
    if (!f->part)
        return y + (size_t)f->column * bytes;
    const int column = f->from + f->column;
    return y + (size_t)(column / f->part) * f->part_apart + (size_t)(column % f->part) * bytes;
}

VX_INLINE void finish_next(vx_finish *f, vx_act act)
{
    const int left = f->n - f->column;
    char *y = place_of(f);
    for (int h = 0; h < VX_FINISH_COLUMNS; h += VL) {
        const vf v =
            h < left ? finished(f, f->row, f->column + h, (size_t)(left - h), act) : (vf){0};
        if (f->to == VX_NUMBER_BF16X3)
            store_halves(y + 2 * h, v);
        else if (f->to == VX_NUMBER_BF16)
            store_bf16(y + 2 * h, v);
        else if (h < left && f->y)
            v_store_most((float *)(void *)y + h, v, (size_t)(left - h));
    }
    if (++f->row == f->m) {
        f->row = 0;
        f->column += VX_FINISH_COLUMNS;
    }
}

#define FINISH(name, act)                                                                          \
    static void finish_##name(vx_finish *f)                                                        \
    {                                                                                              \
        finish_next(f, act);                                                                       \
    }
FINISH(none, VX_ACT_NONE)
FINISH(gelu, VX_ACT_GELU)
FINISH(gelu_tanh, VX_ACT_GELU_TANH)
FINISH(quick_gelu, VX_ACT_QUICK_GELU)
FINISH(relu, VX_ACT_RELU)
#undef FINISH

static vx_finish_next_fn *VX_NAME(finish)(vx_act act)
{
    static vx_finish_next_fn *const all[] = {
        [VX_ACT_NONE] = finish_none,           [VX_ACT_GELU] = finish_gelu,
        [VX_ACT_GELU_TANH] = finish_gelu_tanh, [VX_ACT_QUICK_GELU] = finish_quick_gelu,
        [VX_ACT_RELU] = finish_relu,           [VX_ACT_SWIGLU] = finish_none,
    };
    return all[act];
}

#endif
