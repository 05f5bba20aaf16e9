/*
 * test/unpack.h: what a packed matrix (kernels/cpu/panels.h) holds, read as the drawing there says.
 */
#ifndef VX_TEST_UNPACK_H
#define VX_TEST_UNPACK_H

#include <string.h>

#include "kernels/bits.h"
#include "kernels/cpu/panels.h"

/* The bf16 of (output j, column i) of a step. */
static inline float unpacked_bf16(const char *step, int j, int i)
{
    uint16_t half;
    memcpy(&half, step + i / 2 * VX_LINE + 4 * j + i % 2 * 2, sizeof half);
    return vx_bits_float((uint32_t)half << 16);
}

/* W[j,i] of a panel; its tail. */
static inline float unpacked_value(const vx_panel_form *f, const char *panel, const char *tail,
                                   int j, int i)
{
    const char *step = panel + (size_t)(i / f->k * f->parts) * VX_STEP;
    const int at = i % f->k;
    float x;
    switch (f->number) {
    case VX_NUMBER_F32:
        memcpy(&x, step + at * VX_LINE + 4 * j, sizeof x);
        return x;
    case VX_NUMBER_INT8:
        memcpy(&x, tail + 4 * j, sizeof x);
        return x * (float)(signed char)step[at / 4 * VX_LINE + 4 * j + at % 4];
    default:
        x = unpacked_bf16(step, j, at);
        return f->parts == 1 ? x : x + unpacked_bf16(step + VX_STEP, j, at);
    }
}

/* to[n,count] = W[first..first+n-1, k0..k0+count-1] */
static inline void unpack(float *to, const vx_weight *w, int first, int n, int k0, int count)
{
    const vx_panel_form *f = vx_panel_form_of(w);
    const size_t bytes = vx_panel_bytes(f, w->k);
    for (int r = first; r < first + n; r++)
        for (int i = k0; i < k0 + count; i++) {
            const char *panel = (const char *)w->data + (size_t)(r / VX_PANEL) * bytes;
            *to++ = unpacked_value(f, panel, panel + bytes - f->tail, r % VX_PANEL, i);
        }
}

#endif
