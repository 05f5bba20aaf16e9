/* kernels/ref/rotate.c: rotary positions. */
#include "kernels/ref/ref.h"

/* One head of a query or a key. */
static void rotate_head(const vx_rotate *a, float *x, const float *table)
{
    const int pairs = a->head_width / 2, apart = a->half ? pairs : 1, step = a->half ? 1 : 2;
    for (int i = 0; i < pairs; i++) {
        float *const p = x + i * step, *const q = p + apart;
        const double c = table[i], s = a->inverse ? -table[pairs + i] : table[pairs + i];
        const double u = *p, v = *q;
        *p = (float)(u * c - v * s);
        *q = (float)(u * s + v * c);
    }
}

void vx_rotate_ref(vx_device *dev, const vx_rotate *given)
{
    const vx_rotate floats = vx_rotate_floats(given), *a = &floats;
    const size_t e = (size_t)a->head_width, wide = (size_t)a->heads * e;
    (void)dev;
    for (int r = 0; r < a->rows; r++) {
        const float *table = vx_rotate_row(a, r);
        float *row = a->qkv + (size_t)r * 3 * wide;
        for (int h = 0; table && h < 2 * a->heads; h++)
            rotate_head(a, row + (size_t)h * e,
                        table + (a->tables > 1 ? (size_t)(h % a->heads) * e : 0));
    }
}
