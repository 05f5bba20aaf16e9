/*
 * kernels/cpu/panels.h: matrices packed into panels, one form for each number format.
 *
 * A step is what one instruction of the fastest processors takes of k: 64 bytes of every row of x
 * and 16 rows of 64 bytes of the matrix. So a panel of 16 outputs is, for every format,
 *
 *      step 0            step 1
 *     +----------------+----------------+ ... +------+
 *     | 16 lines of 64 | 16 lines of 64 |     | tail |
 *     +----------------+----------------+ ... +------+
 *
 * A line holds, for each of the panel's 16 outputs in turn, 4 bytes: one f32, two bf16 or four int8
 * that follow each other in k. bf16x3 has two parts: a step of the high halves, then one of the low
 * halves, in rows of x as well. k is filled up with 0 to whole steps, n to whole panels.
 *
 *      format   k of a step   parts   tail
 *      f32           16         1     none
 *      bf16          32         1     none
 *      bf16x3        32         2     none
 *      int8          64         1     16 scales (f32), 16 sums over k of the whole numbers (int32)
 *
 * x = high + low + (at most 2^-17 of x), both bf16 (Henry, Tang, Heinecke 2019, section 2), and
 * x w = high high + high low + low high. int8: w = scale q, |q| <= 127, one scale an output. Rows
 * of x get scales of their own when they are packed, and a zero, since many (behind GELU all) lie
 * almost on one side of 0: x = scale (q - zero), 0 <= q <= 255, and sum(q w) is too large by zero
 * times the sum of w.
 */
#ifndef VX_CPU_PANELS_H
#define VX_CPU_PANELS_H

#include "kernels/cpu/cpu.h"

/* A row of int8 whose values are all smaller counts as 0, since 127 / most would overflow; one of x
 * if its values lie less than twice this apart. */
#define VX_LEAST_INT8 1e-36f

enum { VX_PANEL = 16, VX_LINE = 64, VX_STEP = VX_PANEL * VX_LINE };

typedef struct vx_panel_form {
    vx_packing packing; /* the first member: a weight's packing leads here */
    vx_number number;
    int k, parts, tail; /* as in the table above */
} vx_panel_form;

/* NULL: the matrix is plain. */
const vx_panel_form *vx_panel_form_of(const vx_weight *w);
/* The form of a precision's matrices, NULL if there is no such precision. */
const vx_packing *vx_panel_packing(const char *precision);
extern const vx_panel_form vx_panel_forms[VX_NUMBERS];

static inline int vx_panel_steps(const vx_panel_form *f, int k)
{
    return k / f->k + (k % f->k != 0);
}

/* Bytes of a packed row of x, and of a panel. */
static inline size_t vx_panel_row(const vx_panel_form *f, int k)
{
    return (size_t)vx_panel_steps(f, k) * (size_t)f->parts * VX_LINE;
}

static inline size_t vx_panel_bytes(const vx_panel_form *f, int k)
{
    return vx_panel_row(f, k) * VX_PANEL + (size_t)f->tail;
}

/* From one packed row of x to the next: an odd number of lines, so that the rows of a tile do not
 * fall on the same places of the first cache. */
static inline size_t vx_panel_apart(const vx_panel_form *f, int k)
{
    return vx_panel_row(f, k) | VX_LINE;
}

/* The form in which y_form lets rows be written (ops.h): packed, vx_panel_apart of it apart. NULL:
 * as floats. Rows of int8 have scales, which are known when a row is complete. */
static inline const vx_panel_form *vx_panel_written(const vx_packing *form)
{
    const vx_panel_form *f = form && form != &vx_packing_plain ? (const vx_panel_form *)form : NULL;
    return f && (f->number == VX_NUMBER_BF16 || f->number == VX_NUMBER_BF16X3) ? f : NULL;
}

/* With y_part, the columns of a head are a matrix [m, y_part] of its own, whose packed rows have no
 * space between them; these matrices lie one behind the other. So attention reads what follows in
 * the memory. @return where the rows from m0 on of head h begin */
static inline size_t vx_panel_head(const vx_panel_form *f, int head_width, size_t m, size_t h,
                                   size_t m0)
{
    return (h * m + m0) * vx_panel_row(f, head_width);
}

/* rows_<format> and panels_<format> of a format. Rows of f32 are not packed. */
void vx_panel_pack_rows(const vx_cpu *cpu, vx_number number, const vx_panel_rows *r);
void vx_panel_multiply(const vx_cpu *cpu, vx_number number, const vx_panel_product *p);

/* What attention multiplies in: the precision's format, or a faster one that is no worse. */
vx_number vx_attention_number(const vx_cpu *cpu);
/* vx_device_class.attention_form */
const vx_packing *vx_attention_packing(const vx_device *dev, int head_width, int queries);
/* What it multiplies q and k in where gradients are taken, if it multiplies p and v in `form`;
 * either may be NULL. */
const vx_panel_form *vx_scores_form(const vx_cpu *cpu, const vx_panel_form *form);

/* then: called with every part of y when it is done; or NULL. */
typedef void vx_panel_then_fn(vx_cpu *cpu, const void *arg, vx_tile t);
void vx_panel_linear(vx_cpu *cpu, const vx_linear *a, vx_panel_then_fn *then, const void *arg);
void vx_panel_linear_bwd(vx_cpu *cpu, const vx_linear_bwd *a);
/* vx_device_class.turned_bytes, .turn */
size_t vx_panel_turned_bytes(const vx_weight *w);
void vx_panel_turn(vx_device *dev, const vx_weight *w, const float *gamma, void *to);
/* Of k pixels a group has so many; columns of packed patches (panel_patch.c). */
#define VX_PATCH_GROUP 64
static inline int vx_patch_columns(int k)
{
    return k + 2 * vx_ceil_div(k, VX_PATCH_GROUP);
}
/* The filters of a patch embedding: plain, and behind that for vx_panel_patch_embed. */
extern const vx_packing vx_patch_packing;
void vx_panel_patch_embed(vx_cpu *cpu, const vx_patch_embed *a);
/* y as packed rows (vx_panel_written). */
void vx_panel_norm(vx_cpu *cpu, const vx_layernorm *a, const vx_panel_form *to);

#endif
