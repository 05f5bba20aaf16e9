/*
 * image/tiff.c: one page of a TIFF to RGB, by libtiff (TIFF 6.0; BigTIFF, too).
 *
 * libtiff finds the tags and undoes the compression of a block, which is a strip or a tile. The
 * sizes are checked here before anything is read, and the samples become colours here, as Pillow's
 * TiffImagePlugin makes them. Only one kind of samples goes through libtiff's own conversion: YCbCr
 * that is not in a JPEG, as in Pillow.
 *
 * What is decoded is a closed list of compressions: the others of libtiff allocate what the data
 * ask for (LZMA), or are known for their holes (the JPEG of TIFF before 1995).
 */
#include "image/codec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

enum {
    ROOM = 16 << 20
}; /* bytes that libtiff may allocate at once beside the file and a picture */

typedef struct tiff {
    const vx_source *source;
    TIFF *handle;
    toff_t at;         /* where libtiff reads next */
    char message[160]; /* the first that libtiff had to say; "": nothing */
    uint32_t width, height;
    uint16_t bits, format, channels, colour, planar, compression;
    uint16_t needed; /* the first of the channels that make the colour */
    bool tiled, premultiplied;
    uint32_t block_w, block_h;
    size_t block_row, block_bytes;
} tiff;

/* ------------------------------------------------------------------ libtiff --------------- */

static tmsize_t read_bytes(thandle_t client, void *out, tmsize_t bytes)
{
    tiff *t = client;
    const size_t size = t->source->bytes;
    size_t n = t->at < size ? size - (size_t)t->at : 0;
    n = bytes < 0 ? 0 : (size_t)bytes < n ? (size_t)bytes : n;
    if (n > 0)
        memcpy(out, t->source->data + t->at, n);
    t->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_nothing(thandle_t client, void *data, tmsize_t bytes)
{
    (void)client, (void)data, (void)bytes;
    return -1;
}

static toff_t seek(thandle_t client, toff_t offset, int whence)
{
    tiff *t = client;
    t->at = offset + (whence == SEEK_CUR ? t->at : whence == SEEK_END ? t->source->bytes : 0);
    return t->at;
}

static int close_nothing(thandle_t client)
{
    (void)client;
    return 0;
}

static toff_t size_of(thandle_t client)
{
    return ((tiff *)client)->source->bytes;
}

/* The file is in memory already. libtiff does not write there. */
static int map(thandle_t client, void **base, toff_t *size)
{
    const tiff *t = client;
    *base = (void *)(uintptr_t)t->source->data;
    *size = t->source->bytes;
    return 1;
}

static void unmap(thandle_t client, void *base, toff_t size)
{
    (void)client, (void)base, (void)size;
}

/* Nonzero: libtiff does not go on to the handlers of the process, which print. */
static int keep_error(TIFF *handle, void *user, const char *module, const char *format, va_list v)
{
    tiff *t = user;
    (void)handle, (void)module;
    if (t->message[0])
        return 1;
    vsnprintf(t->message, sizeof t->message, format, v);
    for (char *c = t->message; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = ' ';
    return 1;
}

static int drop_warning(TIFF *handle, void *user, const char *module, const char *format, va_list v)
{
    (void)handle, (void)user, (void)module, (void)format, (void)v;
    return 1;
}

static int damaged(const tiff *t, const char *what)
{
    return vx_fail_in(VITX_FORMAT, t->source->name, "damaged TIFF: %s",
                      t->message[0] ? t->message : what);
}

static int refuse(const tiff *t, const char *what, unsigned value)
{
    static const struct {
        unsigned value; /* no two of the refused ones are the same */
        const char *name;
    } names[] = {{6, "JPEG of before 1995"},
                 {8, "CIE L*a*b*"},
                 {9, "ICC L*a*b*"},
                 {34925, "LZMA"},
                 {50001, "WebP"},
                 {34887, "LERC"},
                 {32771, "words of 16 bits"},
                 {32809, "ThunderScan"},
                 {32803, "a camera's raw"},
                 {34892, "a camera's raw"},
                 {34712, "JPEG 2000"}};
    const char *name = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].value == value)
            name = names[i].name;
    return vx_fail_in(VITX_UNSUPPORTED, t->source->name, "a TIFF of %s %u%s%s%s", what, value,
                      name[0] ? " (" : "", name, name[0] ? ")" : "");
}

static int open_handle(tiff *t, const vx_source *source)
{
    *t = (tiff){.source = source};
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o)
        return vx_fail_in(VITX_NOMEM, source->name, "no memory for the decoder");
    TIFFOpenOptionsSetErrorHandlerExtR(o, keep_error, t);
    TIFFOpenOptionsSetWarningHandlerExtR(o, drop_warning, t);
    TIFFOpenOptionsSetMaxSingleMemAlloc(
        o, (tmsize_t)(source->bytes + ROOM + 4 * (size_t)source->max_pixels));
    t->handle = TIFFClientOpenExt("picture", "r", t, read_bytes, write_nothing, seek, close_nothing,
                                  size_of, map, unmap, o);
    TIFFOpenOptionsFree(o);
    return t->handle ? VITX_OK : damaged(t, "its header");
}

static int go_to_page(const tiff *t)
{
    const vx_source *s = t->source;
    if (s->page == 0) {
        if (!TIFFLastDirectory(t->handle))
            vx_log(s->hooks, VITX_LOG_INFO,
                   "%s: the first page of a TIFF of several; --page N takes another", s->name);
        return VITX_OK;
    }
    if (s->page <= UINT16_MAX && TIFFSetDirectory(t->handle, (tdir_t)s->page))
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, s->name, "page %" PRId64 " is asked for, the TIFF has %u",
                      s->page + 1, (unsigned)TIFFNumberOfDirectories(t->handle));
}

/* ------------------------------------------------------------------ header ---------------- */

static bool known_compression(unsigned compression)
{
    static const uint16_t known[] = {
        COMPRESSION_NONE,    COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4,
        COMPRESSION_LZW,     COMPRESSION_JPEG,     COMPRESSION_PACKBITS,  COMPRESSION_ADOBE_DEFLATE,
        COMPRESSION_DEFLATE, COMPRESSION_ZSTD};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == compression)
            return TIFFIsCODECConfigured((uint16_t)compression);
    return false;
}

/* Which of the channels make the colour. */
static int read_colour(tiff *t)
{
    uint16_t extras = 0, *extra = NULL;
    if (!TIFFGetField(t->handle, TIFFTAG_PHOTOMETRIC, &t->colour))
        t->colour = PHOTOMETRIC_MINISWHITE; /* as Pillow has it */
    switch (t->colour) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_PALETTE:
        t->needed = 1;
        break;
    case PHOTOMETRIC_RGB:
    case PHOTOMETRIC_YCBCR:
        t->needed = 3;
        break;
    case PHOTOMETRIC_SEPARATED:
        t->needed = 4;
        break;
    default:
        return refuse(t, "photometric interpretation", t->colour);
    }
    if (t->channels < t->needed || t->channels > 64)
        return vx_fail_in(VITX_UNSUPPORTED, t->source->name,
                          "a TIFF of %d channels, at least %d and at most 64 expected", t->channels,
                          t->needed);
    TIFFGetField(t->handle, TIFFTAG_EXTRASAMPLES, &extras, &extra);
    t->premultiplied = t->colour == PHOTOMETRIC_RGB && t->channels > 3 && extras > 0 &&
                       extra[0] == EXTRASAMPLE_ASSOCALPHA;
    if (t->premultiplied)
        t->needed = 4;
    return VITX_OK;
}

/* Whether samples of that width and format are read for such a colour. */
static int check_samples(const tiff *t)
{
    const bool grey = t->needed == 1 && t->colour != PHOTOMETRIC_PALETTE;
    const bool spread = grey || t->colour == PHOTOMETRIC_RGB;
    const bool plain = t->format == SAMPLEFORMAT_UINT || t->format == SAMPLEFORMAT_VOID;
    bool known = false;
    switch (t->bits) {
    case 1:
    case 2:
    case 4:
        known = t->needed == 1 && plain;
        break;
    case 8:
        known = plain || (grey && t->format == SAMPLEFORMAT_INT);
        break;
    case 12:
        known = grey && plain;
        break;
    case 16:
        known =
            plain ? t->colour != PHOTOMETRIC_PALETTE : spread && t->format <= SAMPLEFORMAT_IEEEFP;
        break;
    case 32:
        known = spread && t->format <= SAMPLEFORMAT_VOID;
        break;
    case 64:
        known = spread && t->format == SAMPLEFORMAT_IEEEFP;
        break;
    }
    if (t->premultiplied && t->bits > 8)
        known = false;
    if (known)
        return VITX_OK;
    return vx_fail_in(VITX_UNSUPPORTED, t->source->name,
                      "a TIFF of %d channels of %d bits, sample format %d, photometric "
                      "interpretation %d%s",
                      t->channels, t->bits, t->format, t->colour,
                      t->premultiplied ? ", premultiplied" : "");
}

/* Blocks, and what one of them holds: libtiff's number of bytes must be ours. */
static int read_blocks(tiff *t)
{
    TIFF *h = t->handle;
    t->tiled = TIFFIsTiled(h);
    t->block_w = t->width;
    if (t->tiled) {
        if (!TIFFGetField(h, TIFFTAG_TILEWIDTH, &t->block_w) ||
            !TIFFGetField(h, TIFFTAG_TILELENGTH, &t->block_h))
            return damaged(t, "tiles without a size");
        VX_TRY(vx_check_picture_size(t->source->name, t->block_w, t->block_h,
                                     t->source->max_pixels + ROOM));
    } else if (!TIFFGetFieldDefaulted(h, TIFFTAG_ROWSPERSTRIP, &t->block_h) ||
               t->block_h > t->height) {
        t->block_h = t->height;
    }
    if (t->block_h == 0)
        return damaged(t, "strips without rows");
    const size_t together = t->planar == PLANARCONFIG_SEPARATE ? 1 : t->channels;
    t->block_row = ((size_t)t->block_w * together * t->bits + 7) / 8;
    t->block_bytes = t->block_row * t->block_h;
    const uint64_t theirs = t->tiled ? TIFFTileSize64(h) : TIFFVStripSize64(h, t->block_h);
    return theirs == t->block_bytes ? VITX_OK : damaged(t, "blocks of an impossible size");
}

/* Blocks that lie over each other, and there may be a million, would take hours. */
static int check_bytes(const tiff *t)
{
    const uint32_t n = t->tiled ? TIFFNumberOfTiles(t->handle) : TIFFNumberOfStrips(t->handle);
    uint64_t sum = 0;
    if (n > t->source->bytes)
        return damaged(t, "more blocks than bytes");
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t bytes = TIFFGetStrileByteCount(t->handle, i);
        if (bytes > t->source->bytes)
            return vx_fail_truncated(t->source);
        sum += bytes;
    }
    return sum / 2 <= t->source->bytes ? VITX_OK : damaged(t, "blocks that lie over each other");
}

static int read_header(tiff *t, const vx_source *source)
{
    VX_TRY(open_handle(t, source));
    TIFF *h = t->handle;
    VX_TRY(go_to_page(t));
    if (!TIFFGetField(h, TIFFTAG_IMAGEWIDTH, &t->width) ||
        !TIFFGetField(h, TIFFTAG_IMAGELENGTH, &t->height))
        return damaged(t, "no size");
    VX_TRY(vx_check_picture_size(source->name, t->width, t->height, source->max_pixels));
    TIFFGetFieldDefaulted(h, TIFFTAG_BITSPERSAMPLE, &t->bits);
    TIFFGetFieldDefaulted(h, TIFFTAG_SAMPLEFORMAT, &t->format);
    TIFFGetFieldDefaulted(h, TIFFTAG_SAMPLESPERPIXEL, &t->channels);
    TIFFGetFieldDefaulted(h, TIFFTAG_PLANARCONFIG, &t->planar);
    TIFFGetFieldDefaulted(h, TIFFTAG_COMPRESSION, &t->compression);
    if (!known_compression(t->compression))
        return refuse(t, "compression", t->compression);
    VX_TRY(read_colour(t));
    VX_TRY(check_samples(t));
    if (t->colour == PHOTOMETRIC_YCBCR && t->bits != 8)
        return refuse(t, "YCbCr bits", t->bits);
    if (t->colour == PHOTOMETRIC_YCBCR && t->compression == COMPRESSION_JPEG &&
        t->planar == PLANARCONFIG_CONTIG) {
        TIFFSetField(h, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        t->colour = PHOTOMETRIC_RGB;
    }
    return check_bytes(t);
}

/* ------------------------------------------------------------------ samples --------------- */

static size_t sample_bytes(const tiff *t)
{
    return t->bits <= 8 ? 1 : t->bits == 12 ? 2 : t->bits / 8u;
}

/* Sample i of a row of samples of 1, 2, 4 or 12 bits, the highest bits first. */
static unsigned packed_sample(const uint8_t *row, size_t i, unsigned bits)
{
    if (bits == 12) {
        const uint8_t *p = row + i / 2 * 3;
        return i % 2 ? (p[1] & 15u) << 8 | p[2] : (unsigned)p[0] << 4 | p[1] >> 4;
    }
    const size_t bit = i * bits;
    return row[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1);
}

/* Part of a row: n pixels of `step` channels each, of which `count` go to `to`, where a pixel has
 * t->needed. */
static void take_row(uint8_t *to, const uint8_t *from, size_t n, size_t step, size_t count,
                     const tiff *t)
{
    const size_t bytes = sample_bytes(t);
    if (t->bits % 8 == 0 && step == count && count == t->needed) {
        memcpy(to, from, n * count * bytes);
        return;
    }
    for (size_t x = 0; x < n; x++, to += bytes * t->needed)
        for (size_t k = 0; k < count; k++) {
            const size_t i = x * step + k;
            if (t->bits == 12) {
                const uint16_t v = (uint16_t)packed_sample(from, i, 12);
                memcpy(to + 2 * k, &v, 2);
            } else if (t->bits < 8) {
                to[k] = (uint8_t)packed_sample(from, i, t->bits);
            } else {
                memcpy(to + bytes * k, from + bytes * i, bytes);
            }
        }
}

/* One block of one plane: its corner in the picture is x, y. */
static int take_block(uint8_t *samples, uint8_t *block, uint32_t x, uint32_t y, uint16_t plane,
                      tiff *t)
{
    const bool apart = t->planar == PLANARCONFIG_SEPARATE;
    const size_t rows = t->height - y < t->block_h ? t->height - y : t->block_h;
    const size_t across = t->width - x < t->block_w ? t->width - x : t->block_w;
    const tmsize_t least = (tmsize_t)(t->tiled ? t->block_bytes : t->block_row * rows);
    tmsize_t n;
    if (t->tiled)
        n = TIFFReadEncodedTile(t->handle, TIFFComputeTile(t->handle, x, y, 0, plane), block,
                                (tmsize_t)t->block_bytes);
    else
        n = TIFFReadEncodedStrip(t->handle, TIFFComputeStrip(t->handle, y, plane), block,
                                 (tmsize_t)t->block_bytes);
    if (n < least)
        return damaged(t, "less data than the picture has");
    const size_t bytes = sample_bytes(t), pixel = bytes * t->needed;
    for (size_t r = 0; r < rows; r++)
        take_row(samples + ((y + r) * t->width + x) * pixel + (apart ? plane * bytes : 0),
                 block + r * t->block_row, across, apart ? 1 : t->channels, apart ? 1 : t->needed,
                 t);
    return VITX_OK;
}

static int take_blocks(uint8_t *samples, uint8_t *block, tiff *t)
{
    const uint16_t planes = t->planar == PLANARCONFIG_SEPARATE ? t->needed : 1;
    for (uint16_t plane = 0; plane < planes; plane++)
        for (uint32_t y = 0; y < t->height; y += t->block_h)
            for (uint32_t x = 0; x < t->width; x += t->block_w)
                VX_TRY(take_block(samples, block, x, y, plane, t));
    return VITX_OK;
}

/* ------------------------------------------------------------------ colours --------------- */

/* (a * b) / 255, rounded, as Pillow has it. */
static unsigned scale_by(unsigned a, unsigned b)
{
    const unsigned v = a * b + 128;
    return ((v >> 8) + v) >> 8;
}

static void grey_to_rgb(uint8_t *out, const uint8_t *v, size_t pixels, const tiff *t)
{
    const unsigned scale = t->bits < 8 ? 255 / ((1u << t->bits) - 1) : 1;
    const uint8_t flip = t->colour == PHOTOMETRIC_MINISWHITE ? 255 : 0;
    for (size_t i = 0; i < pixels; i++, out += 3)
        memset(out, (uint8_t)(v[i] * scale) ^ flip, 3);
}

static int palette_to_rgb(uint8_t *out, const uint8_t *v, size_t pixels, const tiff *t)
{
    uint16_t *map_of[3];
    if (!TIFFGetField(t->handle, TIFFTAG_COLORMAP, &map_of[0], &map_of[1], &map_of[2]))
        return damaged(t, "no palette");
    for (size_t i = 0; i < pixels; i++, out += 3)
        for (int k = 0; k < 3; k++)
            out[k] = (uint8_t)(map_of[k][v[i]] >> 8);
    return VITX_OK;
}

/* Of CMYK; of red, green, blue that are multiplied by their alpha. */
static void four_to_rgb(uint8_t *out, const uint8_t *v, size_t pixels, const tiff *t)
{
    for (size_t i = 0; i < pixels; i++, out += 3, v += 4)
        for (int k = 0; k < 3; k++) {
            const unsigned rest = 255u - v[3], whole = v[3] ? v[k] * 255u / v[3] : 0;
            out[k] = t->colour == PHOTOMETRIC_SEPARATED ? (uint8_t)(rest - scale_by(v[k], rest))
                                                        : (uint8_t)(whole > 255 ? 255 : whole);
        }
}

static int wide_to_rgb(uint8_t *out, const uint8_t *samples, size_t pixels, const tiff *t)
{
    vx_samples s = {.data = samples,
                    .channels = t->needed,
                    .pixels = pixels,
                    .bits = t->bits,
                    .inverted = t->colour == PHOTOMETRIC_MINISWHITE};
    if (t->format == SAMPLEFORMAT_IEEEFP)
        s.type = t->bits == 64 ? VX_F64 : t->bits == 32 ? VX_F32 : VX_F16;
    else if (t->format == SAMPLEFORMAT_INT)
        s.type = t->bits == 32 ? VX_I32 : VX_I16;
    else
        s.type = t->bits == 32 ? VX_U32 : VX_U16;
    vx_narrow(out, &s, t->source);
    return VITX_OK;
}

/* The high bytes alone: of CMYK, whose numbers no window can tell. */
static void keep_high_bytes(uint8_t *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, samples + 2 * i, 2);
        samples[i] = (uint8_t)(v >> 8);
    }
}

static int to_rgb(vx_picture *out, uint8_t *samples, const tiff *t)
{
    const size_t pixels = (size_t)t->width * t->height;
    const bool cmyk = t->colour == PHOTOMETRIC_SEPARATED;
    out->wide = t->bits > 8 && !cmyk;
    if (out->wide)
        return wide_to_rgb(out->pixels, samples, pixels, t);
    if (cmyk && t->bits == 16)
        keep_high_bytes(samples, 4 * pixels);
    if (t->colour == PHOTOMETRIC_PALETTE)
        return palette_to_rgb(out->pixels, samples, pixels, t);
    if (t->needed == 4)
        four_to_rgb(out->pixels, samples, pixels, t);
    else
        grey_to_rgb(out->pixels, samples, pixels, t);
    return VITX_OK;
}

/* Through blocks and samples; three channels of 8 bits are the picture already. */
static int decode_blocks(vx_picture *out, tiff *t)
{
    const vitx_hooks *hooks = t->source->hooks;
    const size_t pixels = (size_t)t->width * t->height;
    const bool direct = t->bits == 8 && t->needed == 3;
    uint8_t *block = NULL, *samples = NULL;
    VX_TRY(read_blocks(t));
    int status = vx_new(&block, hooks, t->block_bytes, 1, "a block of a TIFF");
    if (status == VITX_OK && !direct)
        status = vx_new(&samples, hooks, pixels, t->needed * sample_bytes(t), "TIFF samples");
    if (status == VITX_OK && direct)
        status = vx_new_picture(out, t->source, (int)t->width, (int)t->height);
    if (status == VITX_OK)
        status = take_blocks(direct ? out->pixels : samples, block, t);
    vx_release(hooks, block);
    if (status == VITX_OK && !direct) {
        status = vx_new_picture(out, t->source, (int)t->width, (int)t->height);
        if (status == VITX_OK)
            status = to_rgb(out, samples, t);
    }
    vx_release(hooks, samples);
    return status;
}

/* Through libtiff's own conversion, in the order of the file's rows. */
static int decode_ycbcr(vx_picture *out, tiff *t)
{
    const vitx_hooks *hooks = t->source->hooks;
    const size_t pixels = (size_t)t->width * t->height;
    TIFFRGBAImage image;
    char message[1024] = ""; /* tiffio.h asks for that many */
    uint32_t *raster;
    VX_TRY(vx_new(&raster, hooks, pixels, sizeof *raster, "TIFF samples"));
    bool done =
        TIFFRGBAImageOK(t->handle, message) && TIFFRGBAImageBegin(&image, t->handle, 1, message);
    if (done) {
        image.req_orientation = image.orientation; /* turned later, with all others */
        done = TIFFRGBAImageGet(&image, raster, t->width, t->height);
        TIFFRGBAImageEnd(&image);
    }
    int status = done ? vx_new_picture(out, t->source, (int)t->width, (int)t->height)
                      : damaged(t, message[0] ? message : "the picture data");
    for (size_t i = 0; status == VITX_OK && i < pixels; i++) {
        out->pixels[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        out->pixels[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        out->pixels[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    vx_release(hooks, raster);
    return status;
}

int vx_decode_tiff(vx_picture *out, const vx_source *source)
{
    tiff t;
    uint16_t orientation = 1;
    int status = read_header(&t, source);
    if (status == VITX_OK)
        status = t.colour == PHOTOMETRIC_YCBCR ? decode_ycbcr(out, &t) : decode_blocks(out, &t);
    if (status == VITX_OK)
        TIFFGetField(t.handle, TIFFTAG_ORIENTATION, &orientation);
    out->orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    if (t.handle)
        TIFFClose(t.handle);
    return status;
}
