/*
 * image/jpeg_kernels.c: from JPEG coefficients to RGB as libjpeg-turbo does it.
 *
 * Facts, not code, are from libjpeg-turbo 3.0: jidctint.c (Loeffler, Ligtenberg and Moschytz 1989,
 * 13-bit constants, two extra bits between the passes), jdsample.c, jdcolor.c.
 */
#include "image/jpeg_kernels.h"

#include <stdbool.h>
#include <string.h>

static inline uint8_t clamp(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* ------------------------------------------------------------------ inverse DCT ---------- */

#define CONST_BITS 13
#define PASS1_BITS 2

/* round(x * 2^13) of the constants that give their names. */
#define FIX_0_298631336 2446u
#define FIX_0_390180644 3196u
#define FIX_0_541196100 4433u
#define FIX_0_765366865 6270u
#define FIX_0_899976223 7373u
#define FIX_1_175875602 9633u
#define FIX_1_501321110 12299u
#define FIX_1_847759065 15137u
#define FIX_1_961570560 16069u
#define FIX_2_053119869 16819u
#define FIX_2_562915447 20995u
#define FIX_3_072711026 25172u

/*
 * Eight-point inverse DCT, times sqrt(8) * 2^13. Unsigned, because hostile coefficients overflow:
 * the result then is as wrong as the file, but defined.
 */
static inline void idct_1d(uint32_t out[8], const uint32_t in[8])
{
    /* Even part. */
    const uint32_t z = (in[2] + in[6]) * FIX_0_541196100;
    const uint32_t e2 = z - in[6] * FIX_1_847759065;
    const uint32_t e3 = z + in[2] * FIX_0_765366865;
    const uint32_t e0 = (in[0] + in[4]) << CONST_BITS;
    const uint32_t e1 = (in[0] - in[4]) << CONST_BITS;
    const uint32_t a0 = e0 + e3, a3 = e0 - e3, a1 = e1 + e2, a2 = e1 - e2;

    /* Odd part. */
    const uint32_t z5 = (in[7] + in[3] + in[5] + in[1]) * FIX_1_175875602;
    const uint32_t z1 = (in[7] + in[1]) * FIX_0_899976223;
    const uint32_t z2 = (in[5] + in[3]) * FIX_2_562915447;
    const uint32_t z3 = z5 - (in[7] + in[3]) * FIX_1_961570560;
    const uint32_t z4 = z5 - (in[5] + in[1]) * FIX_0_390180644;
    const uint32_t b0 = in[7] * FIX_0_298631336 - z1 + z3;
    const uint32_t b1 = in[5] * FIX_2_053119869 - z2 + z4;
    const uint32_t b2 = in[3] * FIX_3_072711026 - z2 + z3;
    const uint32_t b3 = in[1] * FIX_1_501321110 - z1 + z4;

    out[0] = a0 + b3;
    out[1] = a1 + b2;
    out[2] = a2 + b1;
    out[3] = a3 + b0;
    out[4] = a3 - b0;
    out[5] = a2 - b1;
    out[6] = a1 - b2;
    out[7] = a0 - b3;
}

/* v / 2^bits, rounded to the nearest. */
static inline int32_t descale(uint32_t v, int bits)
{
    return (int32_t)(v + (1u << (bits - 1))) >> bits;
}

void vx_jpeg_idct(uint8_t *out, int stride, short block[64])
{
    uint32_t work[64], in[8], column[8];
    for (int x = 0; x < 8; x++) {
        const short *b = block + x;
        if (!(b[8] | b[16] | b[24] | b[32] | b[40] | b[48] | b[56])) {
            /* Most columns of most pictures: the same result with less work. */
            for (int y = 0; y < 8; y++)
                work[8 * y + x] = (uint32_t)b[0] << PASS1_BITS;
            continue;
        }
        for (int y = 0; y < 8; y++)
            in[y] = (uint32_t)b[8 * y];
        idct_1d(column, in);
        for (int y = 0; y < 8; y++)
            work[8 * y + x] = (uint32_t)descale(column[y], CONST_BITS - PASS1_BITS);
    }
    for (int y = 0; y < 8; y++, out += stride) {
        const uint32_t *w = work + 8 * y;
        if (!(w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])) {
            memset(out, clamp(descale(w[0], PASS1_BITS + 3) + 128), 8);
            continue;
        }
        idct_1d(column, w);
        for (int x = 0; x < 8; x++)
            out[x] = clamp(descale(column[x], CONST_BITS + PASS1_BITS + 3) + 128);
    }
}

/* ------------------------------------------------------------------ upsampling ----------- */

static void replicate(uint8_t *out, const uint8_t *in, int columns, int across)
{
    for (int x = 0; x < columns; x++)
        for (int i = 0; i < across; i++)
            *out++ = in[x];
}

/* Triangle filter, 3/4 and 1/4; the rounding alternates so that it does not brighten. */
static void fancy_across(uint8_t *out, const uint8_t *in, int columns)
{
    const int last = columns - 1;
    out[0] = in[0];
    out[1] = (uint8_t)((3 * in[0] + in[1] + 2) >> 2);
    for (int x = 1; x < last; x++) {
        out[2 * x] = (uint8_t)((3 * in[x] + in[x - 1] + 1) >> 2);
        out[2 * x + 1] = (uint8_t)((3 * in[x] + in[x + 1] + 2) >> 2);
    }
    out[2 * last] = (uint8_t)((3 * in[last] + in[last - 1] + 1) >> 2);
    out[2 * last + 1] = in[last];
}

static void fancy_down(uint8_t *out, const uint8_t *near, const uint8_t *far, int columns)
{
    const int bias = far < near ? 1 : 2; /* the row above or the row below; rows of one plane */
    for (int x = 0; x < columns; x++)
        out[x] = (uint8_t)((3 * near[x] + far[x] + bias) >> 2);
}

/* Both ways: 9/16, 3/16, 3/16, 1/16. */
static void fancy_both(uint8_t *out, const uint8_t *near, const uint8_t *far, int columns)
{
    int last = 0, this = 3 * near[0] + far[0], next = 3 * near[1] + far[1];
    out[0] = (uint8_t)((4 * this + 8) >> 4);
    out[1] = (uint8_t)((3 * this + next + 7) >> 4);
    for (int x = 1; x < columns - 1; x++) {
        last = this;
        this = next;
        next = 3 * near[x + 1] + far[x + 1];
        out[2 * x] = (uint8_t)((3 * this + last + 8) >> 4);
        out[2 * x + 1] = (uint8_t)((3 * this + next + 7) >> 4);
    }
    out[2 * columns - 2] = (uint8_t)((3 * next + this + 8) >> 4);
    out[2 * columns - 1] = (uint8_t)((4 * next + 7) >> 4);
}

void vx_jpeg_upsample(uint8_t *out, const uint8_t *near, const uint8_t *far, int columns,
                      int across, int down)
{
    const bool fancy = columns > 2; /* libjpeg's rule for the filters that go across */
    if (across == 1 && down == 2)
        fancy_down(out, near, far, columns);
    else if (across == 2 && down == 1 && fancy)
        fancy_across(out, near, columns);
    else if (across == 2 && down == 2 && fancy)
        fancy_both(out, near, far, columns);
    else
        replicate(out, near, columns, across);
}

/* ------------------------------------------------------------------ colour --------------- */

/* R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb; round(x * 2^16). */
enum { CR_R = 91881, CB_G = 22554, CR_G = 46802, CB_B = 116130, HALF = 32768 };

void vx_jpeg_ycc_to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr, int n)
{
    for (int i = 0; i < n; i++, out += 3) {
        const int blue = cb[i] - 128, red = cr[i] - 128;
        out[0] = clamp(y[i] + ((CR_R * red + HALF) >> 16));
        out[1] = clamp(y[i] + ((HALF - CB_G * blue - CR_G * red) >> 16));
        out[2] = clamp(y[i] + ((CB_B * blue + HALF) >> 16));
    }
}
