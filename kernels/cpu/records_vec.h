/*
 * kernels/cpu/records_vec.h: strips of attention into what is recorded of it.
 *
 * All of a model's attention is more than the caches hold, and nothing reads it soon. A line that
 * is written in the usual way is read from memory first, so floats go past the caches, if there are
 * instructions for it. For that a line has to be written as a whole, but rows end inside of lines:
 * what is left of a row waits for the next one.
 *
 *       row i             row i + 1
 *    ---------+----------------------------+-----
 *    |           |           |           |           |     lines
 *    +-----------+-----------+-----------+-----------+
 *             these wait                   these, too
 */
#ifndef VX_CPU_RECORDS_VEC_H
#define VX_CPU_RECORDS_VEC_H

#include "kernels/cpu/rows_vec.h"

/* To a place that is aligned to the size of a vector. */
VX_INLINE void v_store_past(float *p, vf x)
{
#if VX_VECTOR_BITS == 512
    _mm512_stream_ps(p, x);
#elif VX_VECTOR_BITS == 256
    _mm256_stream_ps(p, x);
#else
    v_store(p, x);
#endif
}

/* What was stored past the caches is there before what this thread stores from now on. */
VX_INLINE void v_passed(void)
{
#if VX_VECTOR_BITS > 128
    _mm_sfence();
#endif
}

/* The first n of a row, times `by`. */
VX_INLINE vf scaled_n(const float *x, float by, int n)
{
    return n < VL ? v_load_n(x, n, 0) * by : v_load(x) * by;
}

/* A place in memory that is written from the front to the back: `line` is aligned, `count` values
 * that belong there wait. */
typedef struct past {
    float *line;
    int count;
    float waiting[2 * VL];
} past;

/* n is VL at least. */
VX_INLINE void pass_row(past *p, const float *x, float by, int n)
{
    int i = 0;
    if (p->count) {
        v_store(p->waiting + p->count, v_load(x) * by);
        v_store_past(p->line, v_load(p->waiting));
        p->line += VL;
        i = VL - p->count;
    }
    for (; i + VL <= n; i += VL, p->line += VL)
        v_store_past(p->line, v_load(x + i) * by);
    p->count = n - i;
    if (p->count)
        v_store(p->waiting, scaled_n(x + i, by, p->count));
}

/* Rows that follow each other without a gap. */
VX_INLINE void pass_rows(const vx_record_rows *r)
{
    float *to = r->to;
    const int over = (int)((uintptr_t)to / sizeof *to % VL), first = over ? VL - over : 0;
    past p = {.line = to + first};
    if (first)
        v_store_n(to, v_load_n(r->x, first, 0) * r->by[0], first);
    pass_row(&p, r->x + first, r->by[0], r->n - first);
    for (int i = 1; i < r->m; i++)
        pass_row(&p, r->x + (size_t)i * r->ldx, r->by[i], r->n);
    if (p.count)
        v_store_n(p.line, v_load(p.waiting), p.count);
    v_passed();
}

static void VX_NAME(record_rows)(const vx_record_rows *r)
{
    const size_t size = r->store == VX_STORE_F16 ? sizeof(uint16_t) : sizeof(float);
    if (r->store == VX_STORE_F32 && r->n >= 2 * VL && r->ldt == (size_t)r->n && r->m > 0) {
        pass_rows(r);
        return;
    }
    vx_convert_fn *const convert = VX_NAME(convert);
    for (int i = 0; i < r->m; i++)
        convert((char *)r->to + (size_t)i * r->ldt * size, r->store, r->x + (size_t)i * r->ldx,
                VX_STORE_F32, r->by[i], (size_t)r->n);
}

VX_INLINE void fuse_rows_with(const vx_record_rows *r, vx_fuse fuse)
{
    const float *x = r->x;
    float *to = r->to;
    for (int i = 0; i < r->m; i++, x += r->ldx, to += r->ldt) {
        const float by = r->by[i];
        int j = 0;
        for (; j + VL <= r->n; j += VL)
            v_store(to + j, fuse_lanes(v_load(to + j), v_load(x + j) * by, fuse));
        const int left = r->n - j;
        if (left)
            v_store_n(to + j,
                      fuse_lanes(v_load_n(to + j, left, 0), v_load_n(x + j, left, 0) * by, fuse),
                      left);
    }
}

static void VX_NAME(fuse_rows)(const vx_record_rows *r, vx_fuse fuse)
{
    if (fuse == VX_FUSE_MEAN)
        fuse_rows_with(r, VX_FUSE_MEAN);
    else if (fuse == VX_FUSE_MAX)
        fuse_rows_with(r, VX_FUSE_MAX);
    else
        fuse_rows_with(r, VX_FUSE_MIN);
}

#endif
