/* model/rotary.c: see rotary.h. */
#include "model/rotary.h"

#include <math.h>

int vx_rotary_tables(const vx_arch *a)
{
    return a->rotary.kind == VX_ROTATE_LEARNT ? a->heads : 1;
}

static size_t block_floats(const vx_arch *a)
{
    return (size_t)a->grid_height * (size_t)a->grid_width * (size_t)vx_rotary_tables(a) *
           (size_t)a->head_width;
}

size_t vx_rotary_step(const vx_arch *a)
{
    return a->rotary.kind == VX_ROTATE_LEARNT ? block_floats(a) : 0;
}

size_t vx_rotary_floats(const vx_arch *a)
{
    const size_t blocks = a->rotary.kind == VX_ROTATE_LEARNT ? (size_t)a->depth : 1;
    return a->rotary.kind == VX_ROTATE_NONE ? 0 : blocks * block_floats(a);
}

/* Where a row or column lies. */
static double place_of(const vx_rotary *r, int index, int size)
{
    if (r->kind == VX_ROTATE_CENTRED)
        return 2 * (index + 0.5 + r->offset) / size - 1;
    return (index + r->offset) * (r->reference ? (double)r->reference / size : 1);
}

/* Frequency k of an axis. */
static double frequency(const vx_arch *a, int k)
{
    const double f = pow(a->rotary.base, -4.0 * k / a->head_width);
    return a->rotary.kind == VX_ROTATE_CENTRED ? 2 * acos(-1) * f : f;
}

/* out [E] of places u and v; learnt: [2] frequencies of this block and head, `apart` floats from
 * each other. */
static void fill_row(float *out, const vx_arch *a, double u, double v, const float *learnt,
                     size_t apart)
{
    const int pairs = a->head_width / 2, axis = pairs / 2;
    for (int i = 0; i < pairs; i++) {
        const double angle = learnt ? u * learnt[i] + v * learnt[apart + (size_t)i]
                                    : (i < axis ? u : v) * frequency(a, i < axis ? i : i - axis);
        out[i] = (float)cos(angle);
        out[pairs + i] = (float)sin(angle);
    }
}

void vx_rotary_fill(float *out, const vx_arch *a, const float *frequencies)
{
    const bool learnt = a->rotary.kind == VX_ROTATE_LEARNT;
    const int blocks = learnt ? a->depth : 1, tables = vx_rotary_tables(a);
    const size_t e = (size_t)a->head_width, own = (size_t)a->heads * e / 2;
    for (int b = 0; b < blocks; b++)
        for (int i = 0; i < a->grid_height * a->grid_width; i++) {
            const double row = place_of(&a->rotary, i / a->grid_width, a->grid_height);
            const double column = place_of(&a->rotary, i % a->grid_width, a->grid_width);
            const bool turned = a->rotary.columns_first;
            for (int h = 0; h < tables; h++, out += e)
                fill_row(out, a, turned ? column : row, turned ? row : column,
                         learnt ? frequencies + (size_t)b * own + (size_t)h * e / 2 : NULL,
                         (size_t)blocks * own);
        }
}
