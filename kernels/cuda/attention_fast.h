/*
 * kernels/cuda/attention_fast.h: the kernels that attention takes where instructions for matrices
 * serve: numbers of 16 bits, or floats in two halves.
 */
#ifndef VX_CUDA_ATTENTION_FAST_H
#define VX_CUDA_ATTENTION_FAST_H

#include "kernels/cuda/attention_mma.h"

struct vx_fast_out {
    vx_any y;
    int queries;  /* rows of y from `first` on                                     */
    int rows;     /* that are looked at: queries, or as many as are recorded       */
    vx_keep keep; /* what of the record is written: ALL, ROW of one query, or NONE */
    int query;    /* of ROW                                                        */
    vx_any record;
    vx_row_stats *stats; /* of all rows that are looked at, or NULL                       */
};

VX_DEVICE vx_rows vx_y_of(const vx_attend &a, const vx_fast_out &out, const vx_head &head)
{
    const size_t all = (size_t)a.heads * (size_t)a.width;
    return {out.y, head.row * all + (size_t)head.h * (size_t)a.width, all};
}

VX_DEVICE void vx_stats_put(vx_row_stats *stats, const vx_attend &a, const vx_head &head, int t,
                            vx_row_stats row)
{
    stats[(head.row + (size_t)t) * (size_t)a.heads + (size_t)head.h] = row;
}

/* Whether the strip kernel has room for so many keys. */
bool vx_attend_strips_serve(const vx_cuda *cuda, int keys, int width);
void vx_attend_strips(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch);

#endif
