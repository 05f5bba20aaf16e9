/*
 * kernels/cuda/attention_fast.h: the kernels that attention takes where instructions for matrices
 * serve: numbers of 16 bits, or floats in two halves.
 */
#ifndef VX_CUDA_ATTENTION_FAST_H
#define VX_CUDA_ATTENTION_FAST_H

#include "kernels/cuda/attention_mma.h"

struct vx_fast_out {
    vx_view y;
    int queries;  /* rows of y from `first` on                                     */
    int rows;     /* that are looked at: queries, or as many as are recorded       */
    vx_keep keep; /* what of the record is written: ALL, ROW of one query, or NONE */
    int query;    /* of ROW                                                        */
    vx_view record;
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

/* Whether one of n queries from i on is recorded. */
VX_DEVICE bool vx_recorded_here(const vx_fast_out &out, int i, int n)
{
    return out.keep == VX_KEEP_ALL ||
           (out.keep == VX_KEEP_ROW && out.query >= i && out.query < i + n);
}

VX_DEVICE void vx_record_put(const vx_fast_out &out, size_t i, float p)
{
    if (out.record.kind == VX_KIND_F16)
        static_cast<vx_f16 *>(out.record.data)[i] = vx_to_f16(p);
    else
        static_cast<float *>(out.record.data)[i] = p;
}

/* ------------------------------------------------------------ 16 queries of a warp ---- */

struct vx_strip {
    vx_half_rows k, v, q; /* q: the warp's own                                            */
    int i, m;             /* the first query, and how many                                */
    int j;                /* the first of the keys                                        */
    int end, fragments;   /* behind the sequence's last key; how many 16 keys there are here */
};

/* s = q k^T, not scaled, of F fragments of 16 keys. They are done in groups, as long as there are
 * keys. */
template <int NUMBER, int F, int GROUP>
VX_DEVICE void vx_strip_products(float (&s)[2 * F][4], const vx_strip &at)
{
    VX_UNROLL
    for (int f = 0; f < 2 * F; f++)
        s[f][0] = s[f][1] = s[f][2] = s[f][3] = 0;
    for (int e = 0; e < at.q.ld - 8; e += VX_MMA) {
        vx_operand<NUMBER, 4> q;
        vx_load_a<NUMBER>(q, at.q, e);
        VX_UNROLL
        for (int group = 0; group < F; group += GROUP) {
            if (group >= at.fragments)
                break;
            VX_UNROLL
            for (int f = group; f < group + GROUP && f < F; f++) {
                vx_operand<NUMBER, 4> k;
                vx_load_b<NUMBER>(k, vx_half_rows_from(at.k, f * VX_MMA), e);
                vx_mma_add<NUMBER>(s[2 * f], q, k, 0);
                vx_mma_add<NUMBER>(s[2 * f + 1], q, k, 1);
            }
        }
    }
}

/* Scales the scores and adds relative positions; -infinity beside the keys. */
template <int F>
VX_DEVICE void vx_strip_scores(float (&s)[2 * F][4], const vx_attend &a, const vx_head &head,
                               const vx_strip &at)
{
    vx_seat seats[2] = {};
    if (a.relative.table)
        for (int half = 0; half < 2; half++)
            seats[half] = vx_seat_of(a, head, at.i + vx_mma_row(half));
    VX_UNROLL
    for (int f = 0; f < 2 * F; f++)
        vx_mma_score(s[f], a, head, seats, at.j + 8 * f, at.end);
}

/* The largest of each row. */
template <int F> VX_DEVICE void vx_strip_max(float (&max)[2], const float (&s)[2 * F][4])
{
    VX_UNROLL
    for (int f = 0; f < 2 * F; f++) {
        max[0] = fmaxf(max[0], fmaxf(s[f][0], s[f][1]));
        max[1] = fmaxf(max[1], fmaxf(s[f][2], s[f][3]));
    }
    max[0] = vx_max_of_4(max[0]);
    max[1] = vx_max_of_4(max[1]);
}

/* s = scale 2^(s - max); adds the lane's part of each row to sum. */
template <int F>
VX_DEVICE void vx_strip_exp(float (&s)[2 * F][4], float (&sum)[2], const float (&max)[2],
                            const float (&scale)[2])
{
    VX_UNROLL
    for (int f = 0; f < 2 * F; f++) {
        VX_UNROLL
        for (int k = 0; k < 4; k++) {
            s[f][k] = vx_exp2(s[f][k] - max[k / 2]) * scale[k / 2];
            sum[k / 2] += s[f][k];
        }
    }
}

/* Final probabilities to the record: of all queries, or of the one that is recorded. */
template <int F>
VX_DEVICE void vx_strip_record(const float (&s)[2 * F][4], const vx_attend &a, const vx_head &head,
                               const vx_fast_out &out, const vx_strip &at)
{
    const size_t t = (size_t)a.tokens;
    const size_t plane = (size_t)head.b * (size_t)a.heads + (size_t)head.h;
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        const int r = vx_mma_row(half), query = at.i + r;
        const bool all = out.keep == VX_KEEP_ALL;
        if (r >= at.m || (!all && query != out.query))
            continue;
        const size_t row = (all ? plane * t + (size_t)query : plane) * t;
        VX_UNROLL
        for (int f = 0; f < 4 * F; f++) {
            const int key = at.j + 8 * (f / 2) + vx_mma_column() + f % 2;
            if (key < at.end)
                vx_record_put(out, row + (size_t)key, s[f / 2][2 * half + f % 2]);
        }
        for (int key = vx_lane() % 4; !all && at.j == a.first && key < a.first; key += 4)
            vx_record_put(out, row + (size_t)key, 0.0f);
    }
}

/* Sixteen queries' probabilities for 16 keys, from the tiles 2f and 2f + 1. */
template <int NUMBER, int F>
VX_DEVICE void vx_strip_weights(vx_operand<NUMBER, 4> &p, const float (&s)[2 * F][4], int f)
{
    VX_UNROLL
    for (int i = 0; i < 4; i++)
        vx_operand_set<NUMBER, 4>(p, i, s[2 * f + i / 2][i % 2 * 2],
                                  s[2 * f + i / 2][i % 2 * 2 + 1]);
}

/* What is known of rows to the stats of 16 queries. */
VX_DEVICE void vx_strip_stats(const vx_attend &a, const vx_head &head, const vx_fast_out &out,
                              const vx_strip &at, const float (&max)[2], const float (&inverse)[2])
{
    VX_UNROLL
    for (int half = 0; half < 2; half++) {
        const int r = vx_mma_row(half);
        if (out.stats && vx_lane() % 4 == 0 && r < at.m)
            vx_stats_put(out.stats, a, head, at.i + r, {max[half], inverse[half]});
    }
}

/* ------------------------------------------------------------------------- for the host ---- */

/* Up to 272 keys, if the GPU's shared memory holds them: one pass. */
bool vx_attend_strips_serve(const vx_cuda *cuda, int keys, int width);
void vx_attend_strips(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch);

/* Any number of keys, heads of up to 128. */
bool vx_attend_tiles_serve(const vx_cuda *cuda, int width);
void vx_attend_tiles(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, int batch);

/* The record of fused heads, from a.stats. false: a block has no room for rows of that width. */
bool vx_attend_fused(vx_cuda *cuda, const vx_attend &a, const vx_fast_out &out, vx_fuse fuse,
                     int batch);

#endif
