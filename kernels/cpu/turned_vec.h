/*
 * kernels/cpu/turned_vec.h: panels of W^T from those of W, a step at a time.
 *
 *     a step of W             turned                  in W^T: 16 lines of f32, else 8 of bf16, for
 *      lines of k              rows of k              every 16 of the columns
 *     +-----------+           +-----------+           +-------+-------+
 *     | 16        |           | output 0  |           | 0,1   |  0,1  |
 *     | outputs   |    ->     | output 1  |    ->     | 2,3   |  2,3  |
 *     |           |           | ...       |           | ...   |       |
 *     +-----------+           +-----------+           +-------+-------+
 *
 * What is not multiplied by anything on the way keeps its bits. int8 becomes bf16.
 */
#ifndef VX_CPU_TURNED_VEC_H
#define VX_CPU_TURNED_VEC_H

#include "kernels/cpu/attention_vec.h"

/* VL words, each in a lane. */
VX_INLINE vu v_load_words(const char *p)
{
    typedef uint16_t words __attribute__((vector_size(VL * 2)));
    words x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, vu);
}

VX_INLINE vf v_load_int8(const char *p)
{
    typedef int8_t bytes __attribute__((vector_size(VL)));
    bytes x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(__builtin_convertvector(x, vi), vf);
}

/* One step of W, whose parts are turned: rows of a line each, the low halves behind them. */
typedef struct turned_step {
    char rows[2 * VX_STEP];
    float by[VX_PANEL]; /* what its outputs are multiplied by */
} turned_step;

VX_INLINE vf turned_lanes(const turned_step *s, int row, int c, vx_number number)
{
    const char *at = s->rows + row * VX_LINE;
    const vf by = v_set(s->by[row]);
    if (number == VX_NUMBER_F32)
        return (vf)v_load_bits(at + 4 * c) * by;
    if (number == VX_NUMBER_INT8)
        return v_load_int8(at + c) * by;
    const vf high = (vf)(v_load_words(at + 2 * c) << 16);
    if (number == VX_NUMBER_BF16)
        return high * by;
    return (high + (vf)(v_load_words(at + VX_STEP + 2 * c) << 16)) * by;
}

/* Columns c.. of rows 2p and 2p + 1 as a line. */
VX_INLINE void turned_pair(char *to, const turned_step *s, int p, int c, vx_number number,
                           int scaled)
{
    const char *a = s->rows + 2 * p * VX_LINE + 2 * c;
    if (!scaled) {
        store_bits(to, v_load_words(a) | v_load_words(a + VX_LINE) << 16);
        a += VX_STEP;
        if (number == VX_NUMBER_BF16X3)
            store_bits(to + VX_STEP, v_load_words(a) | v_load_words(a + VX_LINE) << 16);
        return;
    }
    const vf even = turned_lanes(s, 2 * p, c, number), odd = turned_lanes(s, 2 * p + 1, c, number);
    const vu high = v_zip_bf16(even, odd);
    store_bits(to, high);
    if (number == VX_NUMBER_BF16X3)
        store_bits(to + VX_STEP, v_zip_bf16(v_rest(even, (vf)(high << 16)),
                                            v_rest(odd, (vf)(high & 0xffff0000u))));
}

/* Panel i of W, as far as its columns are wanted. */
VX_INLINE void turned_panel(const vx_turned *t, int i, vx_number number, int scaled)
{
    const vx_panel_form *f = &vx_panel_forms[number];
    const char *from = t->from + (size_t)i * t->from_panel;
    const size_t step = (size_t)f->parts * VX_STEP;
    char *to = t->to + (number == VX_NUMBER_F32 ? (size_t)i * step
                                                : (size_t)(i / 2) * step + (i % 2) * VX_STEP / 2);
    turned_step s;
    for (int j = 0; j < VX_PANEL && scaled; j++) {
        s.by[j] = t->gamma && i * VX_PANEL + j < t->n ? t->gamma[i * VX_PANEL + j] : 1;
        if (number == VX_NUMBER_INT8)
            s.by[j] *= ((const float *)(const void *)(t->tail + (size_t)i * t->from_panel))[j];
    }
    for (int k = 0; k < t->panels * VX_PANEL; k += f->k, from += step) {
        for (size_t ahead = 0; ahead < step; ahead += VX_LINE) /* the next panel's */
            __builtin_prefetch(from + t->from_panel + ahead);
        for (int part = 0; part < f->parts; part++)
            turn_step(s.rows + part * VX_STEP, VX_LINE, from + part * VX_STEP, VX_LINE);
        for (int c = 0; c < f->k && k + c < t->panels * VX_PANEL; c += VL) {
            char *at = to + (size_t)((k + c) / VX_PANEL) * t->panel + c % VX_PANEL * 4;
            for (int j = 0; j < VX_PANEL && number == VX_NUMBER_F32; j++)
                store_bits(at + j * VX_LINE, (vu)turned_lanes(&s, j, c, number));
            for (int p = 0; p < VX_PANEL / 2 && number != VX_NUMBER_F32; p++)
                turned_pair(at + p * VX_LINE, &s, p, c, number, scaled);
        }
    }
}

VX_INLINE void turned_with(const vx_turned *t, vx_number number, int scaled)
{
    const int panels = vx_ceil_div(t->n, VX_PANEL), parts = vx_panel_forms[number].parts;
    for (int i = 0; i < panels; i++)
        turned_panel(t, i, number, scaled);
    if (panels % 2 == 0 || number == VX_NUMBER_F32)
        return;
    for (int p = 0; p < t->panels; p++) /* the other half of their last step */
        for (int part = 1; part <= parts; part++)
            memset(t->to + (size_t)(p + 1) * t->panel - (part - 1) * VX_STEP - VX_STEP / 2, 0,
                   VX_STEP / 2);
}

PANEL_PIECE void VX_NAME(turned)(const vx_turned *t)
{
    if (t->number == VX_NUMBER_F32)
        turned_with(t, VX_NUMBER_F32, 1);
    else if (t->number == VX_NUMBER_INT8)
        turned_with(t, VX_NUMBER_INT8, 1);
    else if (t->number == VX_NUMBER_BF16X3 && t->gamma)
        turned_with(t, VX_NUMBER_BF16X3, 1);
    else if (t->number == VX_NUMBER_BF16X3)
        turned_with(t, VX_NUMBER_BF16X3, 0);
    else if (t->gamma)
        turned_with(t, VX_NUMBER_BF16, 1);
    else
        turned_with(t, VX_NUMBER_BF16, 0);
}

#endif
