/*
 * kernels/cpu/attention_tile.h: the products of a strip of attention on tiles (tiles.h): at most 32
 * rows against two panels, four sums at a time.
 *
 *             tile 6    tile 7     one step of two panels
 *           +--------+--------+
 *    tile 4 | sum 0  | sum 1  |    16 rows
 *    tile 5 | sum 2  | sum 3  |    16 rows
 *           +--------+--------+
 *
 * All that is multiplied is near, and k is short in one of the two products. So nothing is asked of
 * the memory ahead, and the shapes of the tiles are set once for many products: that takes a sixth
 * of the time of one. The sums are those of panels_tile.h to the bit.
 */
#ifndef VX_CPU_ATTENTION_TILE_H
#define VX_CPU_ATTENTION_TILE_H

#include "kernels/cpu/panels.h"
#include "kernels/cpu/tiles.h"

#define VX_STRIP static inline __attribute__((always_inline, unused))

/* vx_strip_rows_fn */
static inline __attribute__((unused)) void strip_rows_of_tiles(int rows)
{
    vx_tile_shapes shapes = {.palette = 1};
    const int upper = rows < 16 ? rows : 16, lower = rows - upper;
    if (rows == 0) {
        TILES_RELEASE();
        return;
    }
    for (int t = 0; t < 8; t++) {
        shapes.bytes[t] = VX_LINE;
        shapes.rows[t] = 16;
    }
    shapes.rows[0] = shapes.rows[1] = shapes.rows[4] = (uint8_t)upper;
    shapes.rows[2] = shapes.rows[3] = shapes.rows[5] = (uint8_t)(lower ? lower : 16);
    TILES_SHAPE(&shapes);
}

#define STRIP_DOTS(lower, wide)                                                                    \
    do {                                                                                           \
        TILE_DOT_BF16(0, 4, 6);                                                                    \
        if (wide)                                                                                  \
            TILE_DOT_BF16(1, 4, 7);                                                                \
        if (lower)                                                                                 \
            TILE_DOT_BF16(2, 5, 6);                                                                \
        if ((lower) && (wide))                                                                     \
            TILE_DOT_BF16(3, 5, 7);                                                                \
    } while (0)

/* The panels j and j + 1. Constants: lower (whether there are more than 16 rows), wide (whether
 * there are two panels) and three (bf16x3). */
VX_STRIP void strip_pair(const vx_panel_product *p, int j, int lower, int wide, int three)
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
            STRIP_DOTS(lower, wide);
        }
        TILE_LOAD(6, b, VX_LINE);
        if (wide)
            TILE_LOAD(7, b + p->ldb, VX_LINE);
        STRIP_DOTS(lower, wide);
        if (three) {
            TILE_LOAD(4, a + VX_LINE, p->lda);
            if (lower)
                TILE_LOAD(5, a + half + VX_LINE, p->lda);
            STRIP_DOTS(lower, wide);
        }
    }
    TILE_STORE(0, c, stride);
    if (wide)
        TILE_STORE(1, c + VX_PANEL, stride);
    if (lower)
        TILE_STORE(2, c + 16 * ldc, stride);
    if (lower && wide)
        TILE_STORE(3, c + 16 * ldc + VX_PANEL, stride);
}

VX_STRIP void strip_of_tiles(const vx_panel_product *p, int lower, int three)
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
