/*
 * report/fused.h: what the page needs beside the coded attention to roll it out as exactly as
 * method rollout does, whatever the fusion and however much is dropped.
 *
 * Attention as bytes (code.h) is good enough for a product of many rows. It is not for the row
 * that the product starts with, and not for the choice of the smallest entries: many entries lie
 * close together. So for each fusion F of a block's heads [T,T] the file has (little-endian):
 *
 *      row    f32 [K,Q,T]  the rows of the tokens that the model's head reads, as they are; Q = 0
 *                          if it reads patches
 *      limit  f32 [K,19]   the largest entry that rollout drops with discard = 0.05, 0.10 .. 0.95;
 *                          -1 if it drops none
 *      turn   i8  [K,T,T]  level - guess
 *      fine   bit [T,N]    with K = 3, for the minimum: whether it is at least what u says. Each
 *                          row begins with a byte, at its lowest bit
 *
 * K is 3 (mean, max, min over the heads), or 1 if only the mean is in the file. An entry's level is
 * the index of the first discard that drops it, 19 if none does. The guess is the index of the
 * first limit that is not below the entry as the reader decodes it, 19 if all are. It is mostly
 * right, so turn is mostly 0 and takes little room. limit, turn and fine are absent if T is above
 * VX_FUSED_TOKENS. The reader computes
 *
 *      mean   m = (float)(m + scale / H * (u / 255)^2), head by head, in double but for m
 *      max    the largest of (float)(scale (u / 255)^2)
 *      min    the smallest of them, of the first head that has it; on a patch, if u > 0, then
 *             (float)(scale ((u + 1/4) / 255)^2) if its bit of `fine` is set, else with u - 1/4
 *
 * and has `row` in place of the rows that are there. The smallest of several weights is coarse: its
 * step is that of a head's row, and it is far below the row's largest weight. Hence `fine`.
 */
#ifndef VX_REPORT_FUSED_H
#define VX_REPORT_FUSED_H

#include "report/code.h"

#define VX_FUSED_STEPS 19
#define VX_FUSED_TOKENS 4096

/* A block of code.h before it is compressed. */
typedef struct vx_coded {
    const uint8_t *scale, *prefix, *weight;
    int heads, rows;
} vx_coded;

/* `query` is what the model's head reads: a token, VX_QUERY_PATCHES or VX_QUERY_PREFIX. For one row
 * (R = 1, a pooling head's) there is `row` alone. */
int vx_fused_code(vx_packed *out, const vx_record_rows *rows, const vx_coded *coded, int query,
                  vx_pool *pool, const vitx_hooks *hooks);

/* The most bytes of it before they are compressed, with every head. */
size_t vx_fused_bytes(int heads, int rows, int tokens, int prefix);

#endif
