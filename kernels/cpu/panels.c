/* kernels/cpu/panels.c: see panels.h. Packing knows no instance, so it is plain C. */
#include "kernels/cpu/panels.h"

#include "kernels/bits.h"

#include <math.h>

#include <string.h>

/* To bf16, to nearest even; NaN stays NaN. */
static uint16_t to_bf16(float x)
{
    const uint32_t u = vx_float_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

static float from_bf16(uint16_t h)
{
    return vx_bits_float((uint32_t)h << 16);
}

/* What the high half leaves; of an infinity nothing. */
static uint16_t low_half(float x, uint16_t high)
{
    const float rest = x - from_bf16(high);
    return to_bf16(rest == rest ? rest : 0);
}

/* Where the bf16 of (output j, column i) lies in a step. */
static size_t pair_at(int j, int i)
{
    return (size_t)(i / 2 * 2 * VX_PANEL + 2 * j + i % 2);
}

/* One output, j of its panel: row[k] into the panel's steps. */
static void pack_f32(char *panel, const float *row, int j, int k)
{
    float *to = (float *)(void *)panel + j;
    for (int i = 0; i < k; i++)
        to[(size_t)i * VX_PANEL] = row[i];
}

static void pack_bf16(char *panel, const float *row, int j, int k, int parts)
{
    uint16_t *step = (uint16_t *)(void *)panel;
    for (int i0 = 0; i0 < k; i0 += 32, step += (size_t)parts * VX_STEP / 2)
        for (int i = 0; i < 32 && i0 + i < k; i++) {
            const uint16_t high = to_bf16(row[i0 + i]);
            step[pair_at(j, i)] = high;
            if (parts == 2)
                step[VX_STEP / 2 + pair_at(j, i)] = low_half(row[i0 + i], high);
        }
}

/* A row that is not finite gets a scale of NaN, so that nothing that is computed with it looks like
 * a number. */
static void pack_int8(char *panel, char *tail, const float *row, int j, int k)
{
    float most = 0, none = 0;
    int32_t sum = 0;
    for (int i = 0; i < k; i++) {
        most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
        none += row[i] - row[i]; /* NaN, unless all are finite */
    }
    const int finite = none == 0;
    const float scale = finite ? most / 127 : NAN;
    const float by = finite && most >= VX_LEAST_INT8 ? 127 / most : 0;
    for (int i = 0; i < k; i++) {
        const float q = finite ? nearbyintf(row[i] * by) : 0;
        const int value = (int)(q > 127 ? 127 : q < -127 ? -127 : q);
        panel[(size_t)(i / 4) * VX_LINE + (size_t)(4 * j + i % 4)] = (char)value;
        sum += value;
    }
    memcpy(tail + 4 * j, &scale, sizeof scale);
    memcpy(tail + 4 * VX_PANEL + 4 * j, &sum, sizeof sum);
}

static int pack_form(const vx_panel_form *f, const vx_weight *w, const float *rows, int first,
                     int count)
{
    const size_t bytes = vx_panel_bytes(f, w->k), steps = bytes - (size_t)f->tail;
    for (int r = 0; r < count; r++, rows += w->k) {
        const int j = (first + r) % VX_PANEL;
        char *panel = (char *)(uintptr_t)w->data + (size_t)((first + r) / VX_PANEL) * bytes;
        if (j == 0)
            memset(panel, 0, bytes);
        if (f->number == VX_NUMBER_F32)
            pack_f32(panel, rows, j, w->k);
        else if (f->number == VX_NUMBER_INT8)
            pack_int8(panel, panel + steps, rows, j, w->k);
        else
            pack_bf16(panel, rows, j, w->k, f->parts);
    }
    return 0;
}

static size_t bytes_of(const vx_panel_form *f, int n, int k)
{
    return (size_t)(n / VX_PANEL + (n % VX_PANEL != 0)) * vx_panel_bytes(f, k);
}

/* The two functions of vx_packing for one form. */
#define FORM(name, index)                                                                          \
    static size_t bytes_##name(int n, int k)                                                       \
    {                                                                                              \
        return bytes_of(&vx_panel_forms[index], n, k);                                             \
    }                                                                                              \
    static int pack_of_##name(const vx_device_env *env, const vx_weight *w, const float *rows,     \
                              int first, int count, char *err, size_t err_size)                    \
    {                                                                                              \
        (void)env;                                                                                 \
        (void)err;                                                                                 \
        (void)err_size;                                                                            \
        return pack_form(&vx_panel_forms[index], w, rows, first, count);                           \
    }
FORM(f32, VX_NUMBER_F32)
FORM(bf16, VX_NUMBER_BF16)
FORM(bf16x3, VX_NUMBER_BF16X3)
FORM(int8, VX_NUMBER_INT8)

#define PACKING(name)                                                                              \
    {                                                                                              \
#name, VX_PANEL, bytes_##name, NULL, pack_of_##name                                        \
    }
const vx_panel_form vx_panel_forms[VX_NUMBERS] = {
    [VX_NUMBER_F32] = {PACKING(f32), VX_NUMBER_F32, 16, 1, 0},
    [VX_NUMBER_BF16X3] = {PACKING(bf16x3), VX_NUMBER_BF16X3, 32, 2, 0},
    [VX_NUMBER_BF16] = {PACKING(bf16), VX_NUMBER_BF16, 32, 1, 0},
    [VX_NUMBER_INT8] = {PACKING(int8), VX_NUMBER_INT8, 64, 1, 2 * VX_LINE},
};

const vx_panel_form *vx_panel_form_of(const vx_weight *w)
{
    return w->packing == &vx_packing_plain ? NULL : (const vx_panel_form *)w->packing;
}

const vx_packing *vx_panel_packing(const char *precision)
{
    for (int i = 0; i < VX_NUMBERS; i++)
        if (strcmp(vx_panel_forms[i].packing.name, precision) == 0)
            return &vx_panel_forms[i].packing;
    return NULL;
}
