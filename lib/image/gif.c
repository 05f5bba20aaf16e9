/*
 * image/gif.c: the first picture of a GIF to RGB, as Pillow's GifImagePlugin reads it (CompuServe,
 * Graphics Interchange Format, version 89a).
 *
 * A screen, blocks, and pictures that lie anywhere on the screen. What the first picture does not
 * cover has the colour of its transparent index, else of index 0; where it reaches beyond the
 * screen, the screen grows. Transparency is dropped: a transparent index has its palette colour.
 */
#include "image/codec.h"

#include <string.h>

enum { HEADER = 13, FRAME = 9, MOST_CODES = 4096, MOST_BITS = 12 };
/* Pixels of a byte: a code has two bits or more, and stands for at most as many as there are. */
enum { MOST_UNPACKED = 4 * MOST_CODES };

typedef struct gif {
    const vx_source *source;
    size_t at; /* byte that is read next */
    int width, height;
    uint8_t palette[256][3];
    int transparent;             /* index; 0 where there is none */
    int left, top, across, down; /* of the first picture */
    bool interlaced;
} gif;

static int damaged(const gif *g, const char *what)
{
    return vx_fail_in(VITX_FORMAT, g->source->name, "damaged GIF: %s at byte %zu", what, g->at);
}

static bool has(const gif *g, size_t bytes)
{
    return g->source->bytes - g->at >= bytes;
}

/* A palette, if the flags tell of one. Pillow takes one that is a ramp of greys for none, and
 * without a palette an index is a grey. */
static int read_palette(gif *g, unsigned flags)
{
    if (!(flags & 0x80))
        return VITX_OK;
    const size_t colours = (size_t)2 << (flags & 7);
    if (!has(g, 3 * colours))
        return vx_fail_truncated(g->source);
    const uint8_t *p = g->source->data + g->at;
    bool ramp = true;
    for (size_t i = 0; i < 3 * colours; i++)
        ramp = ramp && p[i] == i / 3;
    for (size_t i = 0; i < 256; i++)
        memset(g->palette[i], ramp ? (int)i : 0, 3);
    if (!ramp)
        memcpy(g->palette, p, 3 * colours);
    g->at += 3 * colours;
    return VITX_OK;
}

/* An extension: of the one that describes the next picture the transparent index is kept. */
static int read_extension(gif *g)
{
    const uint8_t *d = g->source->data;
    if (!has(g, 2))
        return vx_fail_truncated(g->source);
    const bool describes = d[g->at] == 0xf9;
    g->at++;
    for (bool first = true;; first = false) {
        if (!has(g, 1) || !has(g, 1 + (size_t)d[g->at]))
            return vx_fail_truncated(g->source);
        const size_t length = d[g->at];
        if (describes && first && length >= 4 && (d[g->at + 1] & 1))
            g->transparent = d[g->at + 4];
        g->at += 1 + length;
        if (length == 0)
            return VITX_OK;
    }
}

static int read_frame(gif *g)
{
    const uint8_t *d = g->source->data + g->at;
    if (!has(g, FRAME))
        return vx_fail_truncated(g->source);
    g->left = (int)vx_le16(d);
    g->top = (int)vx_le16(d + 2);
    g->across = (int)vx_le16(d + 4);
    g->down = (int)vx_le16(d + 6);
    g->interlaced = d[8] & 0x40;
    g->at += FRAME;
    VX_TRY(read_palette(g, d[8]));
    VX_TRY(vx_check_picture_size(g->source->name, g->across, g->down, g->source->max_pixels));
    g->width = g->left + g->across > g->width ? g->left + g->across : g->width;
    g->height = g->top + g->down > g->height ? g->top + g->down : g->height;
    return vx_check_picture_size(g->source->name, g->width, g->height, g->source->max_pixels);
}

/* Up to the first picture's data. */
static int read_header(gif *g, const vx_source *source)
{
    const uint8_t *d = source->data;
    *g = (gif){.source = source, .at = HEADER};
    if (source->bytes < HEADER)
        return vx_fail_truncated(source);
    if (d[4] != '7' && d[4] != '9')
        return vx_fail_in(VITX_FORMAT, source->name, "a GIF of an unknown version");
    g->width = (int)vx_le16(d + 6);
    g->height = (int)vx_le16(d + 8);
    for (int i = 0; i < 256; i++)
        memset(g->palette[i], i, 3);
    VX_TRY(read_palette(g, d[10]));
    for (;;) {
        if (!has(g, 1))
            return vx_fail_truncated(source);
        const uint8_t kind = d[g->at];
        if (kind == ';')
            return vx_fail_in(VITX_FORMAT, source->name, "a GIF without a picture");
        g->at++;
        if (kind == ',')
            return read_frame(g);
        if (kind == '!')
            VX_TRY(read_extension(g));
    }
}

/* ------------------------------------------------------------------ LZW ------------------ */

typedef struct codes {
    gif *g;
    int root;         /* bits of an index */
    int bits;         /* of the next code */
    int next, before; /* the code that is defined next; the one before the next, or -1 */
    uint32_t held;    /* bits that are read, and how many */
    int held_bits;
    size_t block; /* bytes left of the block */
    uint16_t prefix[MOST_CODES];
    uint8_t last[MOST_CODES], first[MOST_CODES];
    uint16_t length[MOST_CODES];
} codes;

/* The next code, or -1 where the data end. */
static int next_code(codes *c)
{
    gif *g = c->g;
    while (c->held_bits < c->bits) {
        if (c->block == 0) {
            if (!has(g, 1) || g->source->data[g->at] == 0)
                return -1;
            c->block = g->source->data[g->at++];
        }
        if (!has(g, 1))
            return -1;
        c->held |= (uint32_t)g->source->data[g->at++] << c->held_bits;
        c->held_bits += 8;
        c->block--;
    }
    const int code = (int)(c->held & ((1u << c->bits) - 1));
    c->held >>= c->bits;
    c->held_bits -= c->bits;
    return code;
}

static void clear(codes *c)
{
    c->bits = c->root + 1;
    c->next = (1 << c->root) + 2;
    c->before = -1;
}

/* What the code before the next one, followed by `index`, is called from now on. */
static void define(codes *c, uint8_t index)
{
    if (c->before < 0 || c->next >= MOST_CODES)
        return;
    c->prefix[c->next] = (uint16_t)c->before;
    c->last[c->next] = index;
    c->first[c->next] = c->first[c->before];
    c->length[c->next] = (uint16_t)(c->length[c->before] + 1);
    c->next++;
    if (c->next == 1 << c->bits && c->bits < MOST_BITS)
        c->bits++;
}

/* As many indices as the picture has, into out. */
static int decode_indices(uint8_t *out, size_t count, codes *c)
{
    const int reset = 1 << c->root;
    size_t done = 0;
    for (int i = 0; i < reset; i++) {
        c->first[i] = c->last[i] = (uint8_t)i;
        c->length[i] = 1;
    }
    clear(c);
    while (done < count) {
        const int code = next_code(c);
        if (code == reset) {
            clear(c);
            continue;
        }
        if (code < 0 || code == reset + 1)
            return vx_fail_truncated(c->g->source);
        if (code > c->next || (code == c->next && c->before < 0))
            return damaged(c->g, "an undefined code");
        define(c, c->first[code == c->next ? c->before : code]);
        if (code >= c->next)
            return damaged(c->g, "an undefined code");
        size_t n = c->length[code];
        for (int at = code; n > 0; at = c->prefix[at])
            if (done + --n < count)
                out[done + n] = c->last[at];
        done += c->length[code];
        c->before = code;
    }
    return VITX_OK;
}

/* The row that comes as the i-th: of an interlaced picture each eighth, those between, ... */
static int row_of(int i, int rows, bool interlaced)
{
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    for (int pass = 0; interlaced && pass < 4; pass++) {
        const int n = (rows - first[pass] + step[pass] - 1) / step[pass];
        if (i < n)
            return first[pass] + i * step[pass];
        i -= n > 0 ? n : 0;
    }
    return i;
}

static void paint(uint8_t *out, const uint8_t *indices, const gif *g)
{
    const size_t width = (size_t)g->width;
    for (size_t i = 0; i < width * (size_t)g->height; i++)
        memcpy(out + 3 * i, g->palette[g->transparent], 3);
    for (int i = 0; i < g->down; i++) {
        const size_t y = (size_t)(g->top + row_of(i, g->down, g->interlaced));
        uint8_t *to = out + 3 * (y * width + (size_t)g->left);
        for (int x = 0; x < g->across; x++, to += 3)
            memcpy(to, g->palette[*indices++], 3);
    }
}

int vx_decode_gif(vx_picture *out, const vx_source *source)
{
    gif g;
    codes *c = NULL;
    uint8_t *indices = NULL;
    VX_TRY(read_header(&g, source));
    if (!has(&g, 1))
        return vx_fail_truncated(source);
    const int root = source->data[g.at];
    if (root < 1 || root > 8)
        return damaged(&g, "a code size of other than 1 to 8 bits");
    g.at++;
    const size_t count = (size_t)g.across * (size_t)g.down;
    if (count / MOST_UNPACKED > source->bytes - g.at)
        return vx_fail_truncated(source);
    int status = vx_new(&indices, source->hooks, count, 1, "the pixels of a GIF");
    if (status == VITX_OK)
        status = vx_new(&c, source->hooks, 1, sizeof *c, "the codes of a GIF");
    if (status == VITX_OK) {
        c->g = &g;
        c->root = root;
        status = decode_indices(indices, count, c);
    }
    if (status == VITX_OK)
        status = vx_new_picture(out, source, g.width, g.height);
    if (status == VITX_OK)
        paint(out->pixels, indices, &g);
    vx_release(source->hooks, c);
    vx_release(source->hooks, indices);
    return status;
}
