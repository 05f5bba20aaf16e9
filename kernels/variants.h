/*
 * kernels/variants.h: the arguments of the operations that make variants of a picture, inputs
 * [C,H,W] of a model. Rules and letters are those of ops.h, which includes this header.
 *
 * All of them compute as they are written here, in floats (double where that is said), with every
 * operation rounded: no product and sum are made one. So all devices give the same bits, which are
 * those of lib/, where the host makes variants.
 */
#ifndef VX_KERNELS_VARIANTS_H
#define VX_KERNELS_VARIANTS_H

#include <stdint.h>

#include "kernels/far.h"

/*
 * n planes [H,W], each made of rows x columns samples. Pixel y lies at a place of the axis `down`,
 * pixel x at one of `across`: behind sample first(place), and part(place) of the way to the next
 * one, or on the last. With between(a, b, part) = a + part * (b - a):
 *
 *      rows first       value = between(between(s00, s10, part y), between(s01, s11, part y),
 *                                       part x), where s01 is in the first row, second column
 *      columns first    value = between(between(s00, s01, part x), between(s10, s11, part x),
 *                                       part y)
 *      mask             value, or (value - range[v][0]) * range[v][1]
 */
typedef struct vx_places {
    const vx_far *first, *part; /* [places]: the sample, as a float; 0 to 1 */
    int samples;
} vx_places;

typedef struct vx_masks {
    const vx_far *samples; /* of variant v: [v*of_variant + row*of_row + column*of_column] */
    int64_t of_variant, of_row, of_column;
    vx_places down, across;
    const int *shifts; /* [n,2], host memory; reusable on return: pixels y and x of variant v are
                            at places y + shifts[v][0] and x + shifts[v][1]; NULL: all 0 */
    int columns_first;
    const vx_far *range; /* [n,2] or NULL */
} vx_masks;

/* What tells how much of `to` a variant shows. */
typedef enum vx_blend_by {
    VX_BLEND_VALUES = 0, /* a number for each variant                                 */
    VX_BLEND_MASKS,      /* masks                                                     */
    VX_BLEND_ORDER       /* all or nothing, by when each pixel changes                */
} vx_blend_by;

/* y[v,c,p] = between(from[c,p], to[c,p], w), w = values[v] or masks[v,p]; without `from` w * to.
 * VX_BLEND_ORDER: to[c,p] if order[p] <= first + v, else from[c,p]. */
typedef struct vx_blend {
    vx_far *y;          /* [n,C,H,W] */
    const vx_far *from; /* [C,H,W]; NULL: 0 */
    const vx_far *to;   /* [C,H,W]  */
    vx_blend_by by;
    const float *values; /* [n], host memory; reusable on return */
    vx_masks masks;      /* n of them */
    const vx_far *order; /* [H,W]    */
    int first;
    int n, channels, height, width;
} vx_blend;

typedef enum vx_noise { VX_NOISE_NORMAL = 0, VX_NOISE_UNIFORM } vx_noise;

/* y[v,i] = x[i] + noise, in place if n is 1; see random.h: stream first + v of the seed, number
 * i of it.
 *      VX_NOISE_NORMAL    x + (float)scale * (float)normal
 *      VX_NOISE_UNIFORM   x + scale * (2 * uniform - 1), in double */
typedef struct vx_add_noise {
    vx_far *y;       /* [n,count] */
    const vx_far *x; /* [count]   */
    vx_noise kind;
    double scale;
    uint64_t seed, first;
    int n;
    int64_t count;
} vx_add_noise;

/* The range that stretches masks to 0..1: of the values of each plane, which masks.range is not
 * asked for, range[v] = {least, 1 / (largest - least + 1e-8f)}. A NaN is passed over. */
typedef struct vx_mask_range {
    vx_far *range; /* [n,2] */
    vx_masks masks;
    int n, height, width;
} vx_mask_range;

/* sum[p] += weights[v] * masks[v,p], in double, for v = 0..n-1 one after the other */
typedef struct vx_add_masks {
    double *sum;           /* [H,W], memory of the device   */
    const double *weights; /* [n], host memory; reusable on return */
    vx_masks masks;
    int n, height, width;
} vx_add_masks;

#endif
