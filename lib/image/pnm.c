/*
 * image/pnm.c: PBM, PGM, PPM and PFM to RGB, as Pillow's PpmImagePlugin reads them.
 *
 * "P1" to "P6" or "Pf", then width, height and, but for bitmaps, the greatest value, as numbers
 * between blanks and comments. P1, P2 and P3 go on with numbers, P4, P5 and P6 with bytes after one
 * blank. Values are scaled from 0..greatest to 0..255; grey of more than 8 bits to 16, and on from
 * there in wide.c. "Pf" holds floats of grey, "PF" of colour, the lowest row first.
 */
#include "image/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 10 }; /* of a number at most, as Pillow has it */

typedef struct pnm {
    const vx_source *source;
    size_t at; /* byte that is read next */
    char kind; /* the second letter */
    int width, height;
    int channels;
    long greatest;
    bool little; /* floats: the low byte comes first */
} pnm;

static bool is_blank(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int damaged(const pnm *p, const char *what)
{
    return vx_fail_in(VITX_FORMAT, p->source->name, "damaged PNM: %s at byte %zu", what, p->at);
}

static void skip_blanks(pnm *p)
{
    const uint8_t *d = p->source->data;
    bool comment = false;
    for (; p->at < p->source->bytes; p->at++) {
        if (comment)
            comment = d[p->at] != '\n' && d[p->at] != '\r';
        else if (d[p->at] == '#')
            comment = true;
        else if (!is_blank(d[p->at]))
            break;
    }
}

static int read_number(long *out, pnm *p)
{
    const uint8_t *d = p->source->data;
    long value = 0;
    skip_blanks(p);
    if (p->at == p->source->bytes)
        return vx_fail_truncated(p->source);
    const size_t start = p->at;
    for (; p->at < p->source->bytes && d[p->at] >= '0' && d[p->at] <= '9'; p->at++) {
        if (p->at - start == DIGITS)
            return damaged(p, "a number of too many digits");
        value = 10 * value + (d[p->at] - '0');
    }
    if (p->at == start || (p->at < p->source->bytes && !is_blank(d[p->at]) && d[p->at] != '#'))
        return damaged(p, "no number");
    *out = value;
    return VITX_OK;
}

/* The scale of a PFM: of it only the sign is used, which tells the order of the bytes. */
static int read_scale(pnm *p)
{
    char text[32], *end;
    size_t n = 0;
    skip_blanks(p);
    for (; p->at + n < p->source->bytes && !is_blank(p->source->data[p->at + n]); n++)
        if (n == sizeof text - 1)
            return damaged(p, "no number");
    memcpy(text, p->source->data + p->at, n);
    text[n] = '\0';
    const double scale = strtod(text, &end); /* whatever the locale's point: the sign is the same */
    if (n == 0 || end == text || scale == 0 || !isfinite(scale))
        return damaged(p, "a scale that is no number, or 0");
    p->little = text[0] == '-';
    p->at += n;
    return VITX_OK;
}

static int read_header(pnm *p, const vx_source *source)
{
    long width = 0, height = 0;
    *p = (pnm){.source = source, .at = 2, .kind = (char)source->data[1], .greatest = 1};
    const bool colour = p->kind == '3' || p->kind == '6' || p->kind == 'F';
    p->channels = colour ? 3 : 1;
    if (source->bytes > 2 && !is_blank(source->data[2]) && source->data[2] != '#')
        return vx_fail_in(VITX_FORMAT, source->name, "not a picture, though it begins like a PNM");
    VX_TRY(read_number(&width, p));
    VX_TRY(read_number(&height, p));
    if (p->kind == 'f' || p->kind == 'F')
        VX_TRY(read_scale(p));
    else if (p->kind != '1' && p->kind != '4')
        VX_TRY(read_number(&p->greatest, p));
    if (p->greatest < 1 || p->greatest > 65535)
        return damaged(p, "a greatest value of other than 1 to 65535");
    VX_TRY(vx_check_picture_size(source->name, width, height, source->max_pixels));
    p->width = (int)width;
    p->height = (int)height;
    if (p->at < source->bytes)
        p->at++; /* the one blank behind the header */
    return VITX_OK;
}

/* The least bytes that the rest of the file must have. */
static size_t least_bytes(const pnm *p)
{
    const size_t w = (size_t)p->width, h = (size_t)p->height, n = w * h * (size_t)p->channels;
    switch (p->kind) {
    case '1':
        return n;
    case '2':
    case '3':
        return 2 * n - 1;
    case '4':
        return (w + 7) / 8 * h;
    case 'f':
    case 'F':
        return 4 * n;
    default:
        return p->greatest > 255 ? 2 * n : n;
    }
}

/* A bit of a plain PBM is one digit; blanks between them are not needed. */
static int read_digit(long *out, pnm *p)
{
    skip_blanks(p);
    if (p->at == p->source->bytes)
        return vx_fail_truncated(p->source);
    const uint8_t c = p->source->data[p->at];
    if (c != '0' && c != '1')
        return damaged(p, "neither 0 nor 1");
    p->at++;
    *out = c == '0';
    return VITX_OK;
}

static int read_sample(long *out, pnm *p)
{
    if (p->kind == '1')
        return read_digit(out, p);
    if (p->kind == '2' || p->kind == '3') {
        VX_TRY(read_number(out, p));
        return *out > p->greatest ? damaged(p, "a value above the greatest") : VITX_OK;
    }
    const uint8_t *d = p->source->data + p->at;
    const bool two = p->greatest > 255;
    *out = two ? (long)vx_be16(d) : d[0];
    p->at += two ? 2 : 1;
    return VITX_OK;
}

/* v of `greatest` as one of `full`, rounded half to even as Python's round() does. */
static long scaled(long v, long greatest, long full)
{
    const double x = rint((double)v / (double)greatest * (double)full);
    return x > (double)full ? full : (long)x;
}

/* P5 and P6 of 8 bits: what each byte becomes is worked out once. */
static int read_bytes(uint8_t *out, const pnm *p)
{
    const size_t n = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    const uint8_t *in = p->source->data + p->at;
    uint8_t becomes[256];
    for (int v = 0; v < 256; v++)
        becomes[v] = (uint8_t)scaled(v, p->greatest, 255);
    for (size_t i = 0; i < n; i++)
        if (p->channels == 3)
            out[i] = becomes[in[i]];
        else
            memset(out + 3 * i, becomes[in[i]], 3);
    return VITX_OK;
}

/* Samples that end up in 8 bits right away. */
static int read_narrow(uint8_t *out, pnm *p)
{
    const size_t pixels = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < pixels; i++, out += 3)
        for (int k = 0; k < 3; k++) {
            long v = 0;
            if (k >= p->channels) {
                out[k] = out[0];
                continue;
            }
            VX_TRY(read_sample(&v, p));
            out[k] = (uint8_t)scaled(v, p->greatest, 255);
        }
    return VITX_OK;
}

static int read_bits(uint8_t *out, const pnm *p)
{
    const size_t w = (size_t)p->width, h = (size_t)p->height, row = (w + 7) / 8;
    const uint8_t *in = p->source->data + p->at;
    for (size_t y = 0; y < h; y++, in += row)
        for (size_t x = 0; x < w; x++, out += 3)
            memset(out, in[x / 8] >> (7 - x % 8) & 1 ? 0 : 255, 3);
    return VITX_OK;
}

/* Through wide.c: a window sees the file's own values. */
static int read_wide(uint8_t *out, pnm *p)
{
    const size_t n = (size_t)p->width * (size_t)p->height * (size_t)p->channels;
    const vx_source *s = p->source;
    uint16_t *samples;
    VX_TRY(vx_new(&samples, s->hooks, n, sizeof *samples, "the samples of a PNM"));
    int status = VITX_OK;
    for (size_t i = 0; status == VITX_OK && i < n; i++) {
        long v = 0;
        status = read_sample(&v, p);
        samples[i] = (uint16_t)(s->windowed ? v : scaled(v, p->greatest, 65535));
    }
    if (status == VITX_OK)
        vx_narrow(out,
                  &(vx_samples){.data = samples,
                                .type = VX_U16,
                                .channels = p->channels,
                                .pixels = n / (size_t)p->channels,
                                .bits = 16},
                  s);
    vx_release(s->hooks, samples);
    return status;
}

static int read_floats(uint8_t *out, const pnm *p)
{
    const size_t row = (size_t)p->width * (size_t)p->channels, rows = (size_t)p->height;
    const vx_source *s = p->source;
    float *samples;
    VX_TRY(vx_new(&samples, s->hooks, row * rows, sizeof *samples, "the samples of a PFM"));
    for (size_t y = 0; y < rows; y++) {
        const uint8_t *in = s->data + p->at + 4 * row * (rows - 1 - y);
        for (size_t x = 0; x < row; x++, in += 4) {
            const uint32_t bits = p->little ? vx_le32(in) : vx_be32(in);
            memcpy(&samples[y * row + x], &bits, 4);
        }
    }
    vx_narrow(out,
              &(vx_samples){.data = samples,
                            .type = VX_F32,
                            .channels = p->channels,
                            .pixels = row * rows / (size_t)p->channels},
              s);
    vx_release(s->hooks, samples);
    return VITX_OK;
}

int vx_decode_pnm(vx_picture *out, const vx_source *source)
{
    pnm p;
    VX_TRY(read_header(&p, source));
    if (source->bytes - p.at < least_bytes(&p))
        return vx_fail_truncated(source);
    VX_TRY(vx_new_picture(out, source, p.width, p.height));
    const bool floats = p.kind == 'f' || p.kind == 'F', raw = p.kind == '5' || p.kind == '6';
    out->wide = floats || p.greatest > 255;
    if (floats)
        return read_floats(out->pixels, &p);
    if (p.kind == '4')
        return read_bits(out->pixels, &p);
    if (raw && !out->wide)
        return read_bytes(out->pixels, &p);
    /* Without a window colour of more than 8 bits needs no detour: Pillow has none, either. */
    if (out->wide && (p.channels == 1 || source->windowed))
        return read_wide(out->pixels, &p);
    return read_narrow(out->pixels, &p);
}
