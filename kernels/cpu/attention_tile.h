/*
 * kernels/cpu/attention_tile.h: the products of a strip of attention on tiles (tiles.h): at most 32
 * rows against two panels, four sums at a time as in panels_tile.h.
 *
 * All that is multiplied is near, and k is short in one of the two products. So nothing is asked of
 * the memory ahead, and the shapes of the tiles are set once for many products: that takes a sixth
 * of the time of one. The sums are the same to the bit.
 */
#ifndef VX_CPU_ATTENTION_TILE_H
#define VX_CPU_ATTENTION_TILE_H

#include "kernels/cpu/panels_tile.h"

/* vx_strip_rows_fn */
static inline __attribute__((unused)) void strip_rows_of_tiles(int rows)
{
    if (rows)
        shape_tiles(rows);
    else
        TILES_RELEASE();
}

/* The panels j and j + 1. Constants: lower (whether there are more than 16 rows), wide (whether
 * there are two panels) and three (bf16x3). */
VX_TILE void strip_pair(const vx_panel_product *p, int j, int lower, int wide, int three)
{
    const size_t half = 16 * p->lda, ldc = (size_t)p->ldc, stride = ldc * sizeof *p->c;
    const char *a = p->a, *b = p->b + (size_t)j * p->ldb;
    float *c = p->c + (size_t)j * VX_PANEL;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int s = 0; s < p->steps; s++, a += VX_LINE << three, b += VX_STEP << three) {
        TILE_LOAD(4, a, p->lda);
        if (lower)
            TILE_LOAD(5, a + half, p->lda);
        if (three) {
            TILE_LOAD(6, b + VX_STEP, VX_LINE);
            if (wide)
                TILE_LOAD(7, b + p->ldb + VX_STEP, VX_LINE);
            DOT_ALL(VX_NUMBER_BF16, lower, wide);
        }
        TILE_LOAD(6, b, VX_LINE);
        if (wide)
            TILE_LOAD(7, b + p->ldb, VX_LINE);
        DOT_ALL(VX_NUMBER_BF16, lower, wide);
        if (three) {
            TILE_LOAD(4, a + VX_LINE, p->lda);
            if (lower)
                TILE_LOAD(5, a + half + VX_LINE, p->lda);
            DOT_ALL(VX_NUMBER_BF16, lower, wide);
        }
    }
    SUMS(TILE_STORE, c, stride, ldc, lower, wide);
}

VX_TILE void strip_of_tiles(const vx_panel_product *p, int lower, int three)
{
    int j = 0;
    for (; j + 1 < p->panels; j += 2)
        strip_pair(p, j, lower, 1, three);
    if (j < p->panels)
        strip_pair(p, j, lower, 0, three);
}

/* vx_strip_product_fn */
static inline __attribute__((unused)) void strip_product_of_tiles(const vx_panel_product *p,
                                                                  vx_number number)
{
    const int lower = p->m > 16;
    if (number == VX_NUMBER_BF16X3 && lower)
        strip_of_tiles(p, 1, 1);
    else if (number == VX_NUMBER_BF16X3)
        strip_of_tiles(p, 0, 1);
    else if (lower)
        strip_of_tiles(p, 1, 0);
    else
        strip_of_tiles(p, 0, 0);
}

#endif
