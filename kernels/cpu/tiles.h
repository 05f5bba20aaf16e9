/*
 * kernels/cpu/tiles.h: the tiles of AMX: eight registers of 16 rows of 64 bytes (Intel SDM vol. 1,
 * chapter 18). With VX_EMULATE_TILES they are a table in memory and loops, so that the kernels that
 * use them can be tested on every processor; the numbers are the same to the last rounding.
 */
#ifndef VX_CPU_TILES_H
#define VX_CPU_TILES_H

#include <stdint.h>
#include <string.h>

/* What LDTILECFG reads. */
typedef struct vx_tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} vx_tile_shapes;

#ifndef VX_EMULATE_TILES

#include <immintrin.h>

/* gcc's intrinsic claims to read 8 bytes, so the compiler may leave out what is written to the
 * others. */
#define TILES_SHAPE(shapes)                                                                        \
    do {                                                                                           \
        __asm__ volatile("" : : "r"(shapes) : "memory");                                           \
        _tile_loadconfig(shapes);                                                                  \
    } while (0)
#define TILES_RELEASE() _tile_release()
#define TILE_ZERO(t) _tile_zero(t)
#define TILE_LOAD(t, from, stride) _tile_loadd(t, from, stride)
#define TILE_STREAM(t, from, stride) _tile_stream_loadd(t, from, stride)
#define TILE_STORE(t, to, stride) _tile_stored(t, to, stride)
#define TILE_DOT_BF16(sum, a, b) _tile_dpbf16ps(sum, a, b)
#define TILE_DOT_INT8(sum, a, b) _tile_dpbusd(sum, a, b)

#else

static _Thread_local struct {
    vx_tile_shapes shapes;
    uint8_t tile[8][16][64];
} tiles;

static inline void tiles_shape(const vx_tile_shapes *shapes)
{
    memset(&tiles, 0, sizeof tiles);
    tiles.shapes = *shapes;
}

static inline void tile_load(int t, const void *from, size_t stride)
{
    memset(tiles.tile[t], 0, sizeof tiles.tile[t]);
    for (int i = 0; i < tiles.shapes.rows[t]; i++)
        memcpy(tiles.tile[t][i], (const char *)from + (size_t)i * stride, tiles.shapes.bytes[t]);
}

static inline void tile_store(int t, void *to, size_t stride)
{
    for (int i = 0; i < tiles.shapes.rows[t]; i++)
        memcpy((char *)to + (size_t)i * stride, tiles.tile[t][i], tiles.shapes.bytes[t]);
}

static inline float tile_bf16(const uint8_t *at)
{
    uint16_t half;
    memcpy(&half, at, sizeof half);
    const uint32_t bits = (half & 0x7f80u) ? (uint32_t)half << 16 : (half & 0x8000u) << 16;
    float x; /* subnormal ones are taken for 0 */
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Even and odd places have a sum each, from 0 on; both are added to what is there at the end (SDM
 * vol. 2, TDPBF16PS). A product of two bf16 is exact in f32. */
static inline void tile_dot_bf16(int sum, int a, int b)
{
    for (int i = 0; i < tiles.shapes.rows[sum]; i++)
        for (int j = 0; j < tiles.shapes.bytes[sum] / 4; j++) {
            float c, even = 0, odd = 0;
            memcpy(&c, tiles.tile[sum][i] + 4 * j, sizeof c);
            for (int k = 0; k < tiles.shapes.bytes[a] / 4; k++) {
                const uint8_t *x = tiles.tile[a][i] + 4 * k, *w = tiles.tile[b][k] + 4 * j;
                even += tile_bf16(x) * tile_bf16(w);
                odd += tile_bf16(x + 2) * tile_bf16(w + 2);
            }
            c += even + odd;
            memcpy(tiles.tile[sum][i] + 4 * j, &c, sizeof c);
        }
}

static inline void tile_dot_int8(int sum, int a, int b)
{
    for (int i = 0; i < tiles.shapes.rows[sum]; i++)
        for (int k = 0; k < tiles.shapes.bytes[a] / 4; k++)
            for (int j = 0; j < tiles.shapes.bytes[sum] / 4; j++) {
                int32_t c;
                memcpy(&c, tiles.tile[sum][i] + 4 * j, sizeof c);
                for (int h = 0; h < 4; h++)
                    c += tiles.tile[a][i][4 * k + h] * (int8_t)tiles.tile[b][k][4 * j + h];
                memcpy(tiles.tile[sum][i] + 4 * j, &c, sizeof c);
            }
}

#define TILES_SHAPE(shapes) tiles_shape(shapes)
#define TILES_RELEASE() ((void)0)
#define TILE_ZERO(t) memset(tiles.tile[t], 0, sizeof tiles.tile[t])
#define TILE_LOAD(t, from, stride) tile_load(t, from, stride)
#define TILE_STREAM(t, from, stride) tile_load(t, from, stride)
#define TILE_STORE(t, to, stride) tile_store(t, to, stride)
#define TILE_DOT_BF16(sum, a, b) tile_dot_bf16(sum, a, b)
#define TILE_DOT_INT8(sum, a, b) tile_dot_int8(sum, a, b)

#endif
#endif
