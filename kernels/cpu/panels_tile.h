/*
 * kernels/cpu/panels_tile.h: products with packed matrices (panels.h) on tiles (tiles.h): 32 rows
 * of x against two panels, four sums at a time.
 *
 *             tile 6    tile 7     one step of two panels
 *           +--------+--------+
 *    tile 4 | sum 0  | sum 1  |    16 rows
 *    tile 5 | sum 2  | sum 3  |    16 rows
 *           +--------+--------+
 *
 * In bf16x3 the order is high low, high high, low high: each half is loaded once. AT_ONCE of two
 * panels stays in the first cache while all rows pass by.
 */
#ifndef VX_CPU_PANELS_TILE_H
#define VX_CPU_PANELS_TILE_H

#include "kernels/cpu/panels.h"
#include "kernels/cpu/tiles.h"

#define VX_TILE static inline __attribute__((always_inline, unused))

/* Blocks of 32 rows at most for m rows, of about the same size: one of few rows would take as long,
 * since each product waits for the one before it. @return rows of all blocks but the last */
VX_TILE int block_rows(int m)
{
    return vx_ceil_div(m, vx_ceil_div(m, 32));
}

/* For `rows` rows, 1..32: nothing beyond them is read or written. */
VX_TILE void shape_tiles(int rows)
{
    vx_tile_shapes shapes = {.palette = 1};
    const int upper = rows < 16 ? rows : 16, lower = rows - upper;
    for (int t = 0; t < 8; t++) {
        shapes.bytes[t] = VX_LINE;
        shapes.rows[t] = 16;
    }
    shapes.rows[0] = shapes.rows[1] = shapes.rows[4] = (uint8_t)upper;
    shapes.rows[2] = shapes.rows[3] = shapes.rows[5] = (uint8_t)(lower ? lower : 16);
    TILES_SHAPE(&shapes);
}

#define DOT(number, sum, a, b)                                                                     \
    do {                                                                                           \
        if (number == VX_NUMBER_INT8)                                                              \
            TILE_DOT_INT8(sum, a, b);                                                              \
        else                                                                                       \
            TILE_DOT_BF16(sum, a, b);                                                              \
    } while (0)

#define DOT_ALL(number, lower, wide)                                                               \
    do {                                                                                           \
        DOT(number, 0, 4, 6);                                                                      \
        if (wide)                                                                                  \
            DOT(number, 1, 4, 7);                                                                  \
        if (lower)                                                                                 \
            DOT(number, 2, 5, 6);                                                                  \
        if (lower && (wide))                                                                       \
            DOT(number, 3, 5, 7);                                                                  \
    } while (0)

/* Bytes of a row that are multiplied at once: those of two panels take 24 KB of the first cache.
 * Rows are read by TILE_STREAM, which leaves that cache to the panels. */
#define AT_ONCE 768

#define SUMS(action, c, stride, ldc, lower, wide)                                                  \
    do {                                                                                           \
        action(0, c, stride);                                                                      \
        if (wide)                                                                                  \
            action(1, (c) + VX_PANEL, stride);                                                     \
        if (lower)                                                                                 \
            action(2, (c) + 16 * (ldc), stride);                                                   \
        if (lower && (wide))                                                                       \
            action(3, (c) + 16 * (ldc) + VX_PANEL, stride);                                        \
    } while (0)

/* What a block asks the memory for, so that it is in the second cache when its turn comes: its
 * share of what the rows are multiplied with next. */
typedef struct vx_tile_ahead {
    const char *at;
    int lines; /* a step */
} vx_tile_ahead;

/* What the vectors have to do during a product (vx_finish in cpu.h): an even share in every step,
 * since more at once would keep the tiles waiting. */
typedef struct vx_tile_share {
    vx_finish *f; /* NULL: none */
    int64_t calls, steps, past;
} vx_tile_share;

/* The calls of the next steps. */
VX_TILE int share_of(vx_tile_share *share, int steps)
{
    if (!share->f)
        return 0;
    const int64_t before = share->calls * share->past / share->steps;
    share->past += steps;
    return (int)(share->calls * share->past / share->steps - before);
}

/* next: where the first panel goes on; steps: of it that will be read, at most. */
VX_TILE vx_tile_ahead ahead_of(const vx_panel_product *p, const char *next, int steps, int three,
                               int block, int blocks)
{
    const int each = steps * VX_PANEL << three, from = 2 * each * block / blocks;
    return (vx_tile_ahead){from < each ? next + (size_t)from * VX_LINE
                                       : next + p->ldb + (size_t)(from - each) * VX_LINE,
                           vx_ceil_div(2 * each, blocks * steps)};
}

/* Some steps; the sums begin at 0, or where c is. Constants: lower (whether there are more than 16
 * rows), wide and number. */
VX_TILE void tile_block(const vx_panel_product *p, float *c, const char *a, const char *b,
                        int steps, int more, int lower, int wide, vx_number number,
                        vx_tile_ahead ahead, vx_tile_share *share)
{
    const size_t half = 16 * p->lda, ldc = (size_t)p->ldc, stride = ldc * sizeof *c;
    const int three = number == VX_NUMBER_BF16X3, calls = share_of(share, steps);
    int due = 0;
    if (more) {
        SUMS(TILE_LOAD, c, stride, ldc, lower, wide);
    } else {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
    }
    for (int s = 0; s < steps; s++) {
        TILE_STREAM(4, a, p->lda);
        if (lower)
            TILE_STREAM(5, a + half, p->lda);
        if (three) {
            TILE_LOAD(6, b + VX_STEP, VX_LINE);
            if (wide)
                TILE_LOAD(7, b + p->ldb + VX_STEP, VX_LINE);
            DOT_ALL(number, lower, wide);
        }
        TILE_LOAD(6, b, VX_LINE);
        if (wide)
            TILE_LOAD(7, b + p->ldb, VX_LINE);
        DOT_ALL(number, lower, wide);
        if (three) {
            TILE_STREAM(4, a + VX_LINE, p->lda);
            if (lower)
                TILE_STREAM(5, a + half + VX_LINE, p->lda);
            DOT_ALL(number, lower, wide);
        }
        a += VX_LINE << three;
        b += VX_STEP << three;
        for (int l = 0; l < ahead.lines; l++, ahead.at += VX_LINE)
            __builtin_prefetch(ahead.at, 0, 2);
        for (due += calls; due >= steps; due -= steps)
            share->f->next(share->f);
    }
    SUMS(TILE_STORE, c, stride, ldc, lower, wide);
}

/* Panels j and j + 1 against `blocks` blocks of `rows` rows from row i on: first with AT_ONCE of k,
 * then with the next. Constants as in tile_block. */
VX_TILE void tile_pair(const vx_panel_product *p, int j, int i, int rows, int blocks, int lower,
                       int wide, vx_number number, vx_tile_share *share)
{
    const int three = number == VX_NUMBER_BF16X3, most = AT_ONCE / VX_LINE >> three;
    for (int first = 0; first < p->steps; first += most) {
        const int steps = vx_least(most, p->steps - first);
        const char *b = p->b + (size_t)j * p->ldb + ((size_t)first * VX_STEP << three);
        const char *next = first + steps < p->steps ? b + ((size_t)steps * VX_STEP << three)
                                                    : p->b + (size_t)(j + 2) * p->ldb;
        const char *a = p->a + (size_t)i * p->lda + ((size_t)first * VX_LINE << three);
        float *c = p->c + (size_t)i * (size_t)p->ldc + (size_t)j * VX_PANEL;
        for (int block = 0; block < blocks; block++) {
            const vx_tile_ahead ahead = ahead_of(p, next, steps, three, block, blocks);
            tile_block(p, c, a, b, steps, p->more || first > 0, lower, wide, number, ahead, share);
            a += (size_t)rows * p->lda;
            c += (size_t)rows * (size_t)p->ldc;
        }
    }
}

/* `blocks` blocks of `rows` rows from row i on, of all panels. */
VX_TILE void tile_rows(const vx_panel_product *p, int i, int rows, int blocks, vx_number number,
                       vx_tile_share *share)
{
    shape_tiles(rows);
    for (int j = 0; j < p->panels; j += 2) {
        if (rows > 16 && j + 1 < p->panels)
            tile_pair(p, j, i, rows, blocks, 1, 1, number, share);
        else if (rows > 16)
            tile_pair(p, j, i, rows, blocks, 1, 0, number, share);
        else if (j + 1 < p->panels)
            tile_pair(p, j, i, rows, blocks, 0, 1, number, share);
        else
            tile_pair(p, j, i, rows, blocks, 0, 0, number, share);
    }
}

VX_TILE void tiles_with(const vx_panel_product *p, vx_number number)
{
    const int rows = block_rows(p->m), blocks = p->m / rows, rest = p->m - blocks * rows;
    const int64_t pairs = vx_ceil_div(p->panels, 2);
    vx_tile_share share = {p->meanwhile, 0, pairs * (blocks + (rest > 0)) * p->steps, 0};
    if (share.f)
        share.calls = vx_finish_calls(share.f);
    tile_rows(p, 0, rows, blocks, number, &share);
    if (rest)
        tile_rows(p, blocks * rows, rest, 1, number, &share);
    TILES_RELEASE();
}

/* vx_peak_fn: four sums of two tiles by two, all of which hold x. */
VX_TILE double peak_of_tiles(float *sums, const char *x, int64_t rounds, vx_number number)
{
    const int size = VX_PANEL * VX_PANEL;
    shape_tiles(32);
    TILE_LOAD(0, sums, VX_LINE);
    TILE_LOAD(1, sums + size, VX_LINE);
    TILE_LOAD(2, sums + 2 * size, VX_LINE);
    TILE_LOAD(3, sums + 3 * size, VX_LINE);
    TILE_LOAD(4, x, VX_LINE);
    TILE_LOAD(5, x, VX_LINE);
    TILE_LOAD(6, x, VX_LINE);
    TILE_LOAD(7, x, VX_LINE);
    for (int64_t r = 0; r < rounds; r++) {
        DOT(number, 0, 4, 6);
        DOT(number, 1, 4, 7);
        DOT(number, 2, 5, 6);
        DOT(number, 3, 5, 7);
    }
    TILE_STORE(0, sums, VX_LINE);
    TILE_STORE(1, sums + size, VX_LINE);
    TILE_STORE(2, sums + 2 * size, VX_LINE);
    TILE_STORE(3, sums + 3 * size, VX_LINE);
    TILES_RELEASE();
    return 2.0 * 4 * size * (number == VX_NUMBER_INT8 ? 64 : 32) * (double)rounds;
}

#endif
