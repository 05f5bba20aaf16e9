/*
 * kernels/resample.h: the arguments of the operation that makes inputs of pictures. Rules and
 * letters are those of ops.h, which includes this header.
 */
#ifndef VX_KERNELS_RESAMPLE_H
#define VX_KERNELS_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/far.h"

/* clang-format off */

/* One axis of a resampling: output i is the sum of the inputs first[i]..first[i]+count[i]-1, each
 * times its weight. A count of 0 gives 0. */
typedef struct vx_taps {
    const int *first, *count; /* [n]                                                           */
    const void *weight;       /* [n,stride] of int, where 1 << VX_TAP_BITS is 1; of double if the
                               * operation is `unrounded`                                      */
    int n, stride;
} vx_taps;

enum { VX_TAP_BITS = 22 }; /* sums of bytes times such weights have to fit into an int */

/* One picture of a resample. What it points to is memory of the device. */
typedef struct vx_resampled {
    const uint8_t *pixels; /* [rows,columns,3]                                                 */
    void *middle;          /* room for what the first pass makes: vx_resampled_room() bytes    */
    vx_taps x, y;          /* of its columns and of its rows                                   */
    int rows, columns;
    int left, top;         /* where it lies in the input: it ends within width and height      */
    int down_first;        /* nonzero: the pass along y is the first                           */
} vx_resampled;

/*
 * Pictures become inputs of a model. A picture [rows,columns,3] goes through one pass along x and
 * one along y, and becomes [y.n,x.n,3]. After each pass a value is rounded to a byte: half added,
 * the weights' bits shifted out, and what is below 0 or above 255 becomes that. `unrounded`: sums
 * are taken in double in the order of the taps, and rounded to float; x is the first pass then.
 * Around the picture the value is pad[c]. Each value v is then, in float,
 *      y[b,c,i,j] = (v * scale - mean[c]) / std[c], with v / 255 for v * scale if `by_255`.
 * Equal to the bit on all devices: no device makes one rounding of a product and a sum.
 */
typedef struct vx_resample {
    vx_far *y;                    /* [B,3,height,width]                                        */
    const vx_resampled *pictures; /* [B], host memory; reusable on return                      */
    int batch, height, width;
    int unrounded, by_255;
    float scale, mean[3], std[3];
    float pad[3];                 /* 0..255                                                    */
} vx_resample;

/* Bytes of `middle`. */
static inline size_t vx_resampled_room(const vx_resampled *p, int unrounded)
{
    const size_t pixels = p->down_first ? (size_t)p->y.n * (size_t)p->columns
                                        : (size_t)p->rows * (size_t)p->x.n;
    return 3 * pixels * (unrounded ? sizeof(float) : 1);
}

/* clang-format on */

#endif
