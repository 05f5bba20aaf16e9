/*
 * image/png.c: PNG to RGB (W3C Portable Network Graphics, third edition).
 *
 * The chunks are read and checked here, stb_image (image/stb.c) inflates and unfilters, colour is
 * made here as Pillow's convert("RGB") makes it: alpha and transparency are dropped, a palette
 * index without an entry is black. 16-bit samples become 8 bits in wide.c.
 *
 * Everything is as large as the header says before anything is inflated, and nothing is allocated
 * for more than the data could inflate to, so that a small file cannot unfold into a large one.
 */
#include "image/codec.h"
#include "image/stb.h"

#include <limits.h>
#include <string.h>
#include <zlib.h> /* crc32 */

/* Inflated data may be longer than the picture: some writers pad it. */
enum { SLACK = 65536, IHDR_BYTES = 13 };
/* One deflated byte makes at most 1032: 258 at a time, by two codes of a bit each. */
enum { MOST_INFLATED = 1032 };

typedef struct png {
    const vx_source *source;
    vx_png_layout layout;
    uint8_t palette[256][3];
    bool has_palette;
    const uint8_t *first_data; /* of the first IDAT chunk */
    size_t data_bytes;         /* of all of them */
    int data_chunks;
    bool cut; /* the file ends in or behind the picture data, before IEND */
} png;

typedef struct chunk {
    const uint8_t *data;
    uint32_t bytes;
    const uint8_t *type; /* four letters */
} chunk;

static bool is_type(const chunk *c, const char *type)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a chunk that was read has a type */
    return memcmp(c->type, type, 4) == 0;
}

/* A capital first letter says that the picture cannot be shown without the chunk. */
static bool is_critical(const chunk *c)
{
    return !(c->type[0] & 0x20);
}

static int read_chunk(chunk *out, const vx_source *s, size_t *at)
{
    if (s->bytes - *at < 12)
        return vx_fail_truncated(s);
    const uint8_t *p = s->data + *at;
    const uint32_t length = vx_be32(p);
    if (length > s->bytes - *at - 12)
        return vx_fail_truncated(s);
    *out = (chunk){p + 8, length, p + 4};
    if (is_critical(out) && (uint32_t)crc32(0, p + 4, length + 4) != vx_be32(p + 8 + length))
        return vx_fail_in(VITX_FORMAT, s->name,
                          "damaged PNG: chunk %.4s at byte %zu has a wrong checksum",
                          (const char *)out->type, *at);
    *at += 12 + (size_t)length;
    return VITX_OK;
}

static int read_layout(png *p, const chunk *c)
{
    static const int channels_of[7] = {1, 0, 3, 1, 2, 0, 4};
    const char *name = p->source->name;
    const uint8_t *d = c->data;
    if (c->bytes != IHDR_BYTES)
        return vx_fail_in(VITX_FORMAT, name, "damaged PNG: a header of %u bytes, expected %d",
                          (unsigned)c->bytes, IHDR_BYTES);
    const int depth = d[8], color = d[9];
    VX_TRY(vx_check_picture_size(name, vx_be32(d), vx_be32(d + 4), p->source->max_pixels));
    const bool known = color <= 6 && channels_of[color] > 0;
    const bool small = depth == 1 || depth == 2 || depth == 4;
    const bool fits =
        depth == 8 || (small && (color == 0 || color == 3)) || (depth == 16 && color != 3);
    if (!known || !fits || d[10] != 0 || d[11] != 0 || d[12] > 1)
        return vx_fail_in(VITX_FORMAT, name,
                          "damaged PNG: colour type %d of %d bits, compression %d, filter %d, "
                          "interlacing %d",
                          color, depth, d[10], d[11], d[12]);
    p->layout = (vx_png_layout){
        .width = (int)vx_be32(d),
        .height = (int)vx_be32(d + 4),
        .depth = depth,
        .color_type = color,
        .channels = channels_of[color],
        .interlaced = d[12] == 1,
    };
    return VITX_OK;
}

static int read_palette(png *p, const chunk *c)
{
    if (c->bytes % 3 != 0 || c->bytes > sizeof p->palette)
        return vx_fail_in(VITX_FORMAT, p->source->name, "damaged PNG: a palette of %u bytes",
                          (unsigned)c->bytes);
    memcpy(p->palette, c->data, c->bytes);
    p->has_palette = true;
    return VITX_OK;
}

static int read_known_chunk(png *p, const chunk *c)
{
    if (is_type(c, "IHDR"))
        return vx_fail_in(VITX_FORMAT, p->source->name, "damaged PNG: a second header");
    if (is_type(c, "PLTE"))
        return read_palette(p, c);
    if (is_type(c, "IDAT")) {
        if (p->data_chunks++ == 0)
            p->first_data = c->data;
        p->data_bytes += c->bytes;
        return VITX_OK;
    }
    if (is_critical(c))
        return vx_fail_in(VITX_UNSUPPORTED, p->source->name,
                          "a PNG that needs the unknown chunk %.4s", (const char *)c->type);
    return VITX_OK;
}

/* The file ends within the chunk that begins at `at`: of picture data what there is counts. */
static void read_rest(png *p, size_t at)
{
    const vx_source *s = p->source;
    const size_t left = s->bytes - at;
    p->cut = true;
    if (left <= 8 || memcmp(s->data + at + 4, "IDAT", 4) != 0)
        return;
    const uint32_t length = vx_be32(s->data + at);
    if (p->data_chunks++ == 0)
        p->first_data = s->data + at + 8;
    p->data_bytes += left - 8 < length ? left - 8 : length;
}

/* Whether a chunk that begins at `at` ends with the file, or before. */
static bool holds_chunk(const vx_source *s, size_t at)
{
    return s->bytes - at >= 12 && vx_be32(s->data + at) <= s->bytes - at - 12;
}

static int read_chunks(png *p, const vx_source *source)
{
    size_t at = 8;
    chunk c = {0};
    *p = (png){.source = source};
    VX_TRY(read_chunk(&c, source, &at));
    if (!is_type(&c, "IHDR"))
        return vx_fail_in(VITX_FORMAT, source->name,
                          "damaged PNG: the first chunk is %.4s, expected IHDR",
                          (const char *)c.type);
    VX_TRY(read_layout(p, &c));
    for (;;) {
        if (!holds_chunk(source, at))
            read_rest(p, at);
        if (p->cut && p->data_chunks > 0)
            break;
        VX_TRY(read_chunk(&c, source, &at));
        if (is_type(&c, "IEND"))
            break;
        VX_TRY(read_known_chunk(p, &c));
    }
    if (p->data_chunks == 0 || p->data_bytes > INT_MAX)
        return vx_fail_in(VITX_FORMAT, source->name, "damaged PNG: %zu bytes of picture data",
                          p->data_bytes);
    if (p->layout.color_type == 3 && !p->has_palette)
        return vx_fail_in(VITX_FORMAT, source->name, "damaged PNG: no palette");
    return VITX_OK;
}

/* The deflated data in one piece: in the file itself if that is one chunk, else in *owned. */
static int gather_data(const uint8_t **data, uint8_t **owned, const png *p)
{
    *data = p->first_data;
    if (p->data_chunks == 1)
        return VITX_OK;
    VX_TRY(vx_new(owned, p->source->hooks, p->data_bytes, 1, "PNG data"));
    size_t at = (size_t)(p->first_data - p->source->data) - 8, filled = 0;
    while (filled < p->data_bytes) {
        chunk c = {0};
        if (!holds_chunk(p->source, at)) { /* the rest, and that is picture data */
            memcpy(*owned + filled, p->source->data + at + 8, p->data_bytes - filled);
            break;
        }
        VX_TRY(read_chunk(&c, p->source, &at));
        if (is_type(&c, "IDAT")) {
            memcpy(*owned + filled, c.data, c.bytes);
            filled += c.bytes;
        }
    }
    *data = *owned;
    return VITX_OK;
}

/* Bytes of the filtered rows, each with its filter byte; of all seven passes if interlaced. */
static size_t raw_bytes(const vx_png_layout *l)
{
    static const int x0[7] = {0, 4, 0, 2, 0, 1, 0}, y0[7] = {0, 0, 4, 0, 2, 0, 1};
    static const int dx[7] = {8, 8, 4, 4, 2, 2, 1}, dy[7] = {8, 8, 8, 4, 4, 2, 2};
    const size_t bits = (size_t)l->channels * (size_t)l->depth;
    if (!l->interlaced)
        return ((size_t)l->width * bits + 7) / 8 * (size_t)l->height + (size_t)l->height;
    size_t total = 0;
    for (int pass = 0; pass < 7; pass++) {
        const size_t w = (size_t)((l->width - x0[pass] + dx[pass] - 1) / dx[pass]);
        const size_t h = (size_t)((l->height - y0[pass] + dy[pass] - 1) / dy[pass]);
        if (w > 0)
            total += ((w * bits + 7) / 8 + 1) * h;
    }
    return total;
}

/* Bytes of whole rows among the first n of the filtered ones. */
static size_t whole_rows(const vx_png_layout *l, size_t n)
{
    static const int x0[8] = {0, 4, 0, 2, 0, 1, 0, 0}, y0[8] = {0, 0, 4, 0, 2, 0, 1, 0};
    static const int dx[8] = {8, 8, 4, 4, 2, 2, 1, 1}, dy[8] = {8, 8, 8, 4, 4, 2, 2, 1};
    const size_t bits = (size_t)l->channels * (size_t)l->depth;
    size_t total = 0;
    for (int pass = l->interlaced ? 0 : 7; pass < (l->interlaced ? 7 : 8); pass++) {
        const size_t w = (size_t)((l->width - x0[pass] + dx[pass] - 1) / dx[pass]);
        const size_t h = (size_t)((l->height - y0[pass] + dy[pass] - 1) / dy[pass]);
        const size_t row = w > 0 ? (w * bits + 7) / 8 + 1 : 0;
        if (row > 0 && total + row * h > n)
            return total + (n - total) / row * row;
        total += row * h;
    }
    return total;
}

/* As vx_stb_inflate, of a stream that may be cut short: what there is of it. By zlib, because
 * stb_image goes on with zeros behind the end. Damage is a cut, too, as far as it is read. */
static int inflate_cut(uint8_t *out, int capacity, const uint8_t *data, int bytes)
{
    z_stream z = {.next_out = out, .avail_out = (uInt)capacity};
    z.next_in = (Bytef *)(uintptr_t)data; /* zlib does not write there */
    z.avail_in = (uInt)bytes;
    if (inflateInit(&z) != Z_OK) /* some 40 KB of its own */
        return -1;
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return capacity - (int)z.avail_out;
}

/* The data end before the picture: the rows that are there stay, the others become 0. */
static int keep_whole_rows(uint8_t *raw, size_t n, size_t expected, const png *p)
{
    if (!p->source->allow_truncated)
        return vx_fail_truncated(p->source);
    const size_t whole = whole_rows(&p->layout, n);
    memset(raw + whole, 0, expected - whole);
    vx_warn_truncated(p->source);
    return VITX_OK;
}

static int inflate_rows(uint8_t **raw, size_t *bytes, const png *p)
{
    const vitx_hooks *hooks = p->source->hooks;
    const size_t expected = raw_bytes(&p->layout);
    const uint8_t *data = NULL;
    uint8_t *owned = NULL;
    int status, n;
    if (expected > INT_MAX - SLACK)
        return vx_fail_in(VITX_UNSUPPORTED, p->source->name, "a PNG of %zu bytes inflated",
                          expected);
    const bool cut = p->cut && p->source->allow_truncated; /* then max_pixels alone bounds it */
    if (expected / MOST_INFLATED > p->data_bytes && !cut)
        return vx_fail_in(VITX_FORMAT, p->source->name,
                          "damaged PNG: %zu bytes of picture data cannot inflate to %zu",
                          p->data_bytes, expected);
    status = gather_data(&data, &owned, p);
    if (status != VITX_OK)
        goto cleanup;
    status = vx_new(raw, hooks, expected + SLACK, 1, "inflated PNG data");
    if (status != VITX_OK)
        goto cleanup;
    n = (p->cut ? inflate_cut : vx_stb_inflate)(*raw, (int)(expected + SLACK), data,
                                                (int)p->data_bytes);
    if (p->cut && n >= 0 && (size_t)n < expected)
        status = keep_whole_rows(*raw, (size_t)n, expected, p);
    else if (n < 0 || (size_t)n < expected)
        status = vx_fail(VITX_FORMAT,
                         n < 0 ? "%s: damaged PNG: the picture data do not inflate to %zu bytes"
                               : "%s: damaged PNG: less picture data than %zu bytes",
                         p->source->name, expected);
    *bytes = expected;
cleanup:
    vx_release(hooks, owned);
    return status;
}

static void samples_to_rgb(uint8_t *out, const uint8_t *samples, const png *p)
{
    const vx_png_layout *l = &p->layout;
    const size_t pixels = (size_t)l->width * (size_t)l->height, n = (size_t)l->channels;
    if (l->color_type == 3) {
        for (size_t i = 0; i < pixels; i++)
            memcpy(out + 3 * i, p->palette[samples[i]], 3);
        return;
    }
    if (l->depth == 16) {
        vx_narrow(out,
                  &(vx_samples){.data = samples,
                                .type = VX_U16,
                                .channels = l->channels,
                                .pixels = pixels,
                                .bits = 16},
                  p->source);
        return;
    }
    const size_t green = n >= 3 ? 1 : 0, blue = n >= 3 ? 2 : 0;
    for (size_t i = 0; i < pixels; i++, out += 3) {
        out[0] = samples[i * n];
        out[1] = samples[i * n + green];
        out[2] = samples[i * n + blue];
    }
}

int vx_decode_png(vx_picture *out, const vx_source *source)
{
    png p;
    VX_TRY(read_chunks(&p, source));
    const vitx_hooks *hooks = source->hooks;
    uint8_t *raw = NULL, *samples = NULL;
    size_t bytes = 0;
    int status = inflate_rows(&raw, &bytes, &p);
    if (status != VITX_OK)
        goto cleanup;
    status = vx_stb_png_samples(&samples, &p.layout, raw, bytes, source);
    if (status != VITX_OK)
        goto cleanup;
    if (p.layout.channels == 3 && p.layout.depth == 8) {
        *out = (vx_picture){.pixels = samples, .width = p.layout.width, .height = p.layout.height};
        samples = NULL;
    } else {
        vx_release(hooks, raw); /* the largest moment is over: do not hold three copies */
        raw = NULL;
        status = vx_new_picture(out, source, p.layout.width, p.layout.height);
        if (status != VITX_OK)
            goto cleanup;
        samples_to_rgb(out->pixels, samples, &p);
        out->wide = p.layout.depth == 16;
    }
cleanup:
    vx_release(hooks, raw);
    vx_release(hooks, samples);
    return status;
}
