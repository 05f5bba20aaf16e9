/*
 * kernels/ref/rollout.c: the steps of attention rollout on one query's row (Abnar & Zuidema 2020,
 * sec. 3; the discarding and the column form as in jacobgil/vit-explain, vit_rollout.py).
 *
 * Floats are compared as vx_order_key does: -0 equals +0, a NaN is larger than every number.
 */
#include "kernels/bits.h"
#include "kernels/ref/ref.h"

static int64_t count_up_to(const float *f, int64_t n, uint32_t key)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += vx_order_key(f[i]) <= key;
    return count;
}

/* The key of the count-th smallest: the smallest key that at least `count` entries do not
 * exceed. */
static uint32_t threshold(const float *f, int64_t n, int64_t count)
{
    uint32_t low = 0, high = UINT32_MAX;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (count_up_to(f, n, middle) >= count)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void vx_discard_smallest_ref(vx_device *dev, const vx_discard_smallest *a)
{
    (void)dev;
    const int64_t n = (int64_t)a->tokens * a->tokens;
    const int64_t count = a->count > n ? n : a->count;
    float *f = a->f;
    if (count <= 0)
        return;
    for (int p = 0; p < a->batch; p++, f += n) {
        const uint32_t limit = threshold(f, n, count);
        int64_t equal = count - (limit > 0 ? count_up_to(f, n, limit - 1) : 0);
        for (int64_t i = 0; i < n; i++) {
            const uint32_t key = vx_order_key(f[i]);
            const int drop = key < limit || (key == limit && equal-- > 0);
            if (drop && !(a->keep_first && i == 0))
                f[i] = 0;
        }
    }
}

static double row_sum(const float *f, int t, int i)
{
    double sum = 1; /* of the identity */
    for (int j = 0; j < t; j++)
        sum += f[(size_t)i * (size_t)t + (size_t)j];
    return sum;
}

/* out must overlap neither row nor f. */
void vx_rollout_step_ref(vx_device *dev, const vx_rollout_step *a)
{
    (void)dev;
    const int t = a->tokens;
    const float *row = a->row, *f = a->f;
    float *out = a->out;
    for (int p = 0; p < a->batch; p++, out += t, row += t, f += (size_t)t * (size_t)t)
        for (int start = 0; start < t; start += VX_REF_CHUNK) {
            const int n = t - start < VX_REF_CHUNK ? t - start : VX_REF_CHUNK;
            double sum[VX_REF_CHUNK] = {0};
            for (int i = 0; i < t; i++) {
                const double scale = a->norm == VX_NORM_ROWS ? row[i] / row_sum(f, t, i) : row[i];
                const float *fi = f + (size_t)i * (size_t)t + start;
                for (int j = 0; j < n; j++)
                    sum[j] += scale * ((double)fi[j] + (start + j == i));
            }
            for (int j = 0; j < n; j++)
                out[start + j] =
                    (float)(a->norm == VX_NORM_COLUMNS ? sum[j] / row_sum(f, t, start + j)
                                                       : sum[j]);
        }
}
