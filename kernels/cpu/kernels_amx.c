/* kernels/cpu/kernels_amx.c: products on the tiles of AMX, bf16 and int8. */
#define VX_ISA_NAME amx
#define VX_VECTOR_BITS 512
/* clang 14 writes these names without the second underscore. */
#if (defined(__AMX_BF16__) && defined(__AMX_INT8__)) ||                                            \
    (defined(__AMXBF16__) && defined(__AMXINT8__))
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/panels_tile.h"
#include "kernels/cpu/panels_vec.h"

static void panels_bf16(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16);
}

static void panels_bf16x3(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_BF16X3);
}

static void panels_int8(const vx_panel_product *p)
{
    tiles_with(p, VX_NUMBER_INT8);
    if (p->scales)
        scale_sums(p);
}

static double peak_bf16(float *sums, const char *x, int64_t rounds)
{
    return peak_of_tiles(sums, x, rounds, VX_NUMBER_BF16);
}

static double peak_int8(float *sums, const char *x, int64_t rounds)
{
    return peak_of_tiles(sums, x, rounds, VX_NUMBER_INT8);
}

void vx_extend_amx(vx_pieces *pieces)
{
    pieces->peak_bf16 = peak_bf16;
    pieces->peak_int8 = peak_int8;
    pieces->panels_bf16 = panels_bf16;
    pieces->panels_bf16x3 = panels_bf16x3;
    pieces->panels_int8 = panels_int8;
    pieces->strip_rows = strip_rows_of_tiles;
    pieces->strip_product = strip_product_of_tiles;
}
#else
#include "kernels/cpu/cpu.h" /* another kind of processor */
#endif
