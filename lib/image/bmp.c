/*
 * image/bmp.c: uncompressed BMP to RGB, as Pillow's BmpImagePlugin reads it.
 *
 * File header of 14 bytes, information header of 12 to 124 bytes whose first word is its size,
 * masks or a palette, then rows of whole 32-bit words, from the bottom unless the height is
 * negative. stb_image's decoder is not used: it reads what a file cut short lacks as black, and
 * spreads 5-bit samples otherwise than Pillow.
 */
#include "image/codec.h"

#include <string.h>

enum { FILE_HEADER = 14, RAW = 0, BITFIELDS = 3 };

typedef struct bmp {
    int width, height;
    bool from_top;
    int bits; /* per pixel */
    uint32_t compression;
    uint32_t colors; /* entries of the palette */
    uint32_t mask[3];
    size_t palette_at, palette_step, pixels_at;
} bmp;

static int damaged(const vx_source *s, const char *what, uint32_t value)
{
    return vx_fail_in(VITX_FORMAT, s->name, "damaged BMP: %s %u", what, (unsigned)value);
}

static int read_sizes(bmp *b, const vx_source *s, uint32_t header_bytes)
{
    const uint8_t *p = s->data + FILE_HEADER;
    int64_t width, height;
    if (header_bytes == 12) {
        width = vx_le16(p + 4);
        height = vx_le16(p + 6);
        b->bits = (int)vx_le16(p + 10);
    } else {
        width = vx_le32(p + 4);
        height = vx_le32(p + 8);
        b->from_top = p[11] == 0xff; /* a negative height */
        if (b->from_top)
            height = (INT64_C(1) << 32) - height;
        b->bits = (int)vx_le16(p + 14);
        b->compression = vx_le32(p + 16);
        b->colors = vx_le32(p + 32);
    }
    VX_TRY(vx_check_picture_size(s->name, width, height, s->max_pixels));
    b->width = (int)width;
    b->height = (int)height;
    return VITX_OK;
}

static int read_masks(bmp *b, const vx_source *s)
{
    const size_t at = FILE_HEADER + 40; /* in the header, or right after a short one */
    if (b->bits == 16)
        memcpy(b->mask, (const uint32_t[3]){0x7c00, 0x3e0, 0x1f}, sizeof b->mask);
    else
        memcpy(b->mask, (const uint32_t[3]){0xff0000, 0xff00, 0xff}, sizeof b->mask);
    if (b->compression != BITFIELDS)
        return VITX_OK;
    if (s->bytes < at + 12)
        return vx_fail_truncated(s);
    uint32_t any = 0;
    for (size_t i = 0; i < 3; i++)
        any |= vx_le32(s->data + at + 4 * i);
    for (size_t i = 0; any && i < 3; i++)
        b->mask[i] = vx_le32(s->data + at + 4 * i);
    return VITX_OK;
}

static int read_header(bmp *b, const vx_source *s)
{
    *b = (bmp){0};
    if (s->bytes < FILE_HEADER + 12)
        return vx_fail_truncated(s);
    const uint32_t header_bytes = vx_le32(s->data + FILE_HEADER);
    if (header_bytes != 12 && header_bytes != 40 && header_bytes != 52 && header_bytes != 56 &&
        header_bytes != 64 && header_bytes != 108 && header_bytes != 124)
        return damaged(s, "a header of unknown length", header_bytes);
    if (s->bytes < FILE_HEADER + header_bytes)
        return vx_fail_truncated(s);
    VX_TRY(read_sizes(b, s, header_bytes));
    const int n = b->bits;
    if (b->compression == 1 || b->compression == 2)
        return vx_fail_in(VITX_UNSUPPORTED, s->name, "a run-length coded BMP");
    if (b->compression != RAW && !(b->compression == BITFIELDS && n >= 16))
        return vx_fail_in(VITX_UNSUPPORTED, s->name, "a BMP of compression %u and %d bits",
                          (unsigned)b->compression, n);
    if (n != 1 && n != 4 && n != 8 && n != 16 && n != 24 && n != 32)
        return damaged(s, "bits per pixel", (uint32_t)n);
    b->pixels_at = vx_le32(s->data + 10);
    if (n > 8)
        return read_masks(b, s);
    if (b->colors == 0)
        b->colors = UINT32_C(1) << n;
    if (b->colors > 65536)
        return damaged(s, "entries of the palette", b->colors);
    b->palette_step = header_bytes == 12 ? 3 : 4;
    b->palette_at = FILE_HEADER + header_bytes;
    if (b->pixels_at == b->palette_at) /* some writers forget the palette; Pillow does this too */
        b->pixels_at += b->palette_step * b->colors;
    if (s->bytes < b->palette_at + b->palette_step * b->colors)
        return vx_fail_truncated(s);
    return VITX_OK;
}

/* An index without an entry is black. */
static void read_palette(uint8_t palette[256][3], const bmp *b, const vx_source *s)
{
    memset(palette, 0, 256 * 3);
    for (size_t i = 0; i < b->colors && i < 256; i++)
        for (size_t k = 0; k < 3; k++)
            palette[i][k] = s->data[b->palette_at + i * b->palette_step + 2 - k];
}

static void palette_row(uint8_t *out, const uint8_t *in, const bmp *b, uint8_t palette[256][3])
{
    const int per_byte = 8 / b->bits;
    for (int x = 0; x < b->width; x++, out += 3) {
        const int shift = 8 - b->bits * (x % per_byte + 1);
        const int index = in[x / per_byte] >> shift & ((1 << b->bits) - 1);
        memcpy(out, palette[index], 3);
    }
}

/* The masked bits of v, spread over 0..255. */
static inline uint8_t masked(uint32_t v, uint32_t mask)
{
    if (mask == 0)
        return 0;
    v &= mask;
    while (!(mask & 1)) {
        mask >>= 1;
        v >>= 1;
    }
    return (uint8_t)((uint64_t)v * 255 / mask);
}

static void colour_row(uint8_t *out, const uint8_t *in, const bmp *b)
{
    const int step = b->bits / 8;
    for (int x = 0; x < b->width; x++, in += step, out += 3) {
        if (b->compression == RAW && step > 2) {
            out[0] = in[2];
            out[1] = in[1];
            out[2] = in[0];
            continue;
        }
        const uint32_t v = step == 2   ? vx_le16(in)
                           : step == 3 ? vx_le16(in) | (uint32_t)in[2] << 16
                                       : vx_le32(in);
        for (int k = 0; k < 3; k++)
            out[k] = masked(v, b->mask[k]);
    }
}

int vx_decode_bmp(vx_picture *out, const vx_source *source)
{
    bmp b;
    uint8_t palette[256][3];
    VX_TRY(read_header(&b, source));
    const size_t stride = ((size_t)b.width * (size_t)b.bits + 31) / 32 * 4;
    const size_t rows = (size_t)b.height, row = (size_t)b.width * 3;
    if (b.pixels_at > source->bytes || source->bytes - b.pixels_at < stride * rows)
        return vx_fail_truncated(source);
    if (b.bits <= 8)
        read_palette(palette, &b, source);
    VX_TRY(vx_new_picture(out, source, b.width, b.height));
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *in = source->data + b.pixels_at + stride * (b.from_top ? y : rows - 1 - y);
        if (b.bits <= 8)
            palette_row(out->pixels + row * y, in, &b, palette);
        else
            colour_row(out->pixels + row * y, in, &b);
    }
    return VITX_OK;
}
