/*
 * kernels/form.h: rows in a form of the device's own (y_form, x_formed, qkv_form in ops.h).
 *
 * What one linear alone reads may be written in the form in which that linear multiplies. Where an
 * operation has y_form, the packing of that linear's weight, the device may write y_n in a form of
 * its own, with rows as far apart as it likes; the linear gets x_formed then. Whether a device does
 * so depends on that packing and the length n of a row alone. y_n has room for m rows of
 * vx_form_room(n) elements and begins at a multiple of 64 bytes.
 *
 * If attention alone reads the qkv of a linear, it is the same with the form in which attention
 * multiplies. The device tells its packing (vx_device_class.attention_form): it is the y_form of
 * the linear, with y_part, and the qkv_form of the attention.
 */
#ifndef VX_KERNELS_FORM_H
#define VX_KERNELS_FORM_H

#include <stddef.h>

/* Elements of a row of n. */
static inline size_t vx_form_room(size_t n)
{
    return (n + 31) / 32 * 32 + 16;
}

/* Elements of a row of the qkv [m,3a] of an attention whose output lies behind it: a multiple of
 * 32, so that the output begins as y_n has to. */
static inline size_t vx_qkv_room(size_t a)
{
    return vx_form_room(3 * a) + 16;
}

#endif
