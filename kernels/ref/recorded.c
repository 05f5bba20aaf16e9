/* kernels/ref/recorded.c: reading recorded attention: heads fused to one matrix, one query's
 * row. */
#include "kernels/bits.h"
#include "kernels/ref/ref.h"

#include <math.h>

double vx_ref_recorded(const vx_recorded *record, size_t i)
{
    if (record->store == VX_STORE_F16)
        return vx_half_to_float(((const uint16_t *)record->data)[i]);
    return ((const float *)record->data)[i];
}

void vx_ref_record(const vx_recorded *record, size_t i, double value)
{
    if (record->store == VX_STORE_F16)
        ((uint16_t *)record->data)[i] = vx_float_to_half((float)value);
    else
        ((float *)record->data)[i] = (float)value;
}

double vx_ref_fuse(vx_fuse fuse, double so_far, double value, int head)
{
    if (head == 0)
        return value;
    if (fuse == VX_FUSE_MEAN)
        return so_far + value;
    if (isnan(so_far) || isnan(value))
        return isnan(so_far) ? so_far : value;
    return (fuse == VX_FUSE_MAX) == (value > so_far) ? value : so_far;
}

double vx_ref_fused(vx_fuse fuse, double combined, int heads)
{
    return fuse == VX_FUSE_MEAN ? combined / heads : combined;
}

/* A record that was fused already counts as one head. */
void vx_attn_fuse_ref(vx_device *dev, const vx_attn_fuse *a)
{
    (void)dev;
    const size_t tt = (size_t)a->record->tokens * (size_t)a->record->tokens;
    const int heads = a->record->keep == VX_KEEP_FUSED ? 1 : a->record->heads;
    for (int b = 0; b < a->record->batch; b++)
        for (size_t i = 0; i < tt; i++) {
            const size_t at = (size_t)b * (size_t)heads * tt + i;
            double v = 0;
            for (int h = 0; h < heads; h++)
                v = vx_ref_fuse(a->fuse, v, vx_ref_recorded(a->record, at + (size_t)h * tt), h);
            v = vx_ref_fused(a->fuse, v, heads);
            if (a->head >= 0)
                v = vx_ref_recorded(a->record, at + (size_t)(heads == 1 ? 0 : a->head) * tt);
            a->out[(size_t)b * tt + i] = (float)v;
        }
}

void vx_attn_row_ref(vx_device *dev, const vx_attn_row *a)
{
    (void)dev;
    const size_t t = (size_t)a->record->tokens;
    const int begin = vx_query_first(a->query, a->prefix),
              end = vx_query_end(a->query, a->prefix, a->record->tokens);
    for (size_t bh = 0; bh < (size_t)a->record->batch * (size_t)a->record->heads; bh++)
        for (size_t j = 0; j < t; j++) {
            double sum = 0;
            if (a->record->keep == VX_KEEP_ROW) {
                sum = vx_ref_recorded(a->record, bh * t + j);
            } else {
                for (int i = begin; i < end; i++)
                    sum += vx_ref_recorded(a->record, (bh * t + (size_t)i) * t + j);
                sum /= end - begin;
            }
            a->out[bh * t + j] = (float)sum;
        }
}
