/*
 * image/decode.c: which of the formats a file is, and how large a picture may be.
 *
 * Formats are told by their first bytes, never by the file's name.
 */
#include "base/kind.h"
#include "image/codec.h"
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A library that was not there when vitx was built (Makefile). */
#ifndef VX_WITH_WEBP
#define vx_decode_webp NULL
#endif
#ifndef VX_WITH_TIFF
#define vx_decode_tiff NULL
#endif
#ifndef VX_WITH_AVIF
#define vx_decode_avif NULL
#endif
#ifndef VX_WITH_HEIF
#define vx_decode_heic NULL
#endif

/* What vitx reads. */
typedef enum kind { OTHER = -1, JPEG, PNG, BMP, GIF, PNM, WEBP, TIFF, AVIF, HEIC } kind;
static const struct {
    const char *name;
    vx_decode_fn *decode;
    const char *library; /* that decodes it; NULL: vitx itself */
} kinds[] = {
    [JPEG] = {"JPEG", vx_decode_jpeg, NULL},      [PNG] = {"PNG", vx_decode_png, NULL},
    [BMP] = {"BMP", vx_decode_bmp, NULL},         [GIF] = {"GIF", vx_decode_gif, NULL},
    [PNM] = {"PNM", vx_decode_pnm, NULL},         [WEBP] = {"WebP", vx_decode_webp, "libwebp"},
    [TIFF] = {"TIFF", vx_decode_tiff, "libtiff"}, [AVIF] = {"AVIF", vx_decode_avif, "libavif"},
    [HEIC] = {"HEIC", vx_decode_heic, "libheif"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

typedef struct format {
    size_t offset; /* of the magic bytes */
    size_t length;
    const char *magic;
    const char *name;
    kind kind;
} format;

/* Those of another kind are here for the message. */
static const format formats[] = {
    {0, 3, "\xff\xd8\xff", "a JPEG", JPEG},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG", PNG},
    {0, 2, "BM", "a BMP", BMP},
    {0, 4, "GIF8", "a GIF picture", GIF},
    {0, 2, "P1", "a PBM picture", PNM},
    {0, 2, "P2", "a PGM picture", PNM},
    {0, 2, "P3", "a PPM picture", PNM},
    {0, 2, "P4", "a PBM picture", PNM},
    {0, 2, "P5", "a PGM picture", PNM},
    {0, 2, "P6", "a PPM picture", PNM},
    {0, 3, "Pf\n", "a PFM picture", PNM},
    {0, 3, "PF\n", "a PFM picture", PNM},
    {8, 4, "WEBP", "a WebP picture", WEBP},
    {0, 4, "II*\0", "a TIFF picture", TIFF},
    {0, 4, "MM\0*", "a TIFF picture", TIFF},
    {0, 4, "II+\0", "a TIFF picture", TIFF}, /* of 64-bit offsets */
    {0, 4, "MM\0+", "a TIFF picture", TIFF},
    {4, 8, "ftypavif", "an AVIF picture", AVIF},
    {4, 8, "ftypavis", "an AVIF film", AVIF},
    {4, 8, "ftypheic", "a HEIC picture", HEIC},
    {4, 8, "ftypheix", "a HEIC picture", HEIC},
    {4, 8, "ftypmif1", "a HEIF picture", HEIC},
    {0, 4, "8BPS", "a Photoshop picture", OTHER},
    {0, 4, "\0\0\1\0", "an icon", OTHER},
    {4, 8, "jP  \r\n\x87\n", "a JPEG 2000 picture", OTHER},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", OTHER},
    {0, 2, "\xff\x0a", "a JPEG XL picture", OTHER},
    {0, 4, "%PDF", "a PDF document", OTHER},
};

const char *vitx_image_kind(int index, const char **missing)
{
    const bool known = index >= 0 && index < KINDS;
    if (missing)
        *missing = known && !kinds[index].decode ? kinds[index].library : NULL;
    return known ? kinds[index].name : NULL;
}

int vx_check_picture_size(const char *name, int64_t width, int64_t height, int64_t max_pixels)
{
    if (width <= 0 || height <= 0)
        return vx_fail_in(VITX_FORMAT, name, "a picture of %" PRId64 " x %" PRId64 " pixels", width,
                          height);
    if (width > INT32_MAX || height > INT32_MAX || width * height > max_pixels)
        return vx_fail_in(VITX_UNSUPPORTED, name,
                          "%" PRId64 " x %" PRId64 " pixels, at most %" PRId64 " are accepted",
                          width, height, max_pixels);
    if (width > VX_MAX_SIDE || height > VX_MAX_SIDE)
        return vx_fail_in(VITX_UNSUPPORTED, name,
                          "%" PRId64 " x %" PRId64 " pixels, at most %d a side are accepted", width,
                          height, VX_MAX_SIDE);
    return VITX_OK;
}

int vx_fail_truncated(const vx_source *source)
{
    return vx_fail_in(VITX_FORMAT, source->name,
                      "the file is cut short: %zu bytes, and the picture goes on", source->bytes);
}

void vx_warn_truncated(const vx_source *source)
{
    vx_log(source->hooks, VITX_LOG_WARNING,
           "%s: the file is cut short: %zu bytes, and the picture goes on; the rest is empty",
           source->name, source->bytes);
}

int vx_new_picture(vx_picture *out, const vx_source *source, int width, int height)
{
    out->width = width;
    out->height = height;
    return vx_new(&out->pixels, source->hooks, (size_t)width * (size_t)height, 3, "a picture");
}

/* What begins as a HEIF of no certain kind names those that it is compatible with. */
static bool names_avif(const uint8_t *data, size_t bytes)
{
    const size_t box = bytes < vx_be32(data) ? bytes : vx_be32(data);
    for (size_t at = 16; at + 4 <= box; at += 4)
        if (memcmp(data + at, "avif", 4) == 0)
            return true;
    return false;
}

static const format *find_format(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format *f = &formats[i];
        if (bytes < f->offset + f->length || memcmp(data + f->offset, f->magic, f->length) != 0)
            continue;
        if (f->kind == HEIC && f->magic[4] == 'm' && names_avif(data, bytes)) {
            static const format avif = {4, 8, "ftypmif1", "an AVIF picture", AVIF};
            return &avif;
        }
        return f;
    }
    return NULL;
}

/* "JPEG, PNG, ..." of what this vitx reads. */
static const char *readable(char *out, size_t size)
{
    size_t n = 0;
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].decode)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? ", " : "", kinds[i].name);
    return out;
}

static int check_format(const format **out, const uint8_t *data, size_t bytes, const char *name)
{
    char list[80];
    if (bytes == 0)
        return vx_fail_in(VITX_FORMAT, name, "the file is empty");
    const format *f = *out = find_format(data, bytes);
    const char *other = f ? NULL : vx_kind_of(data, bytes);
    if (other)
        return vx_fail_in(VITX_FORMAT, name, "%s, not a picture; vitx reads %s", other,
                          readable(list, sizeof list));
    if (!f)
        return vx_fail_in(VITX_FORMAT, name, "not a picture; vitx reads %s",
                          readable(list, sizeof list));
    if (f->kind == OTHER)
        return vx_fail_in(VITX_FORMAT, name, "%s; vitx reads %s", f->name,
                          readable(list, sizeof list));
    if (!kinds[f->kind].decode)
        return vx_fail_in(VITX_UNSUPPORTED, name, "%s, and this vitx was built without %s", f->name,
                          kinds[f->kind].library);
    return VITX_OK;
}

int vx_check_signature(const uint8_t *data, size_t bytes, const char *name)
{
    const format *f;
    return check_format(&f, data, bytes, name);
}

int vx_decode(vx_picture *out, const vx_source *source)
{
    const format *f;
    *out = (vx_picture){0};
    VX_TRY(check_format(&f, source->data, source->bytes, source->name));
    if (source->page > 0 && f->kind != TIFF)
        return vx_fail_in(VITX_UNSUPPORTED, source->name,
                          "page %" PRId64 " is asked for; only a TIFF has pages, this is %s",
                          source->page + 1, f->name);
    const int status = kinds[f->kind].decode(out, source);
    if (status != VITX_OK) {
        vx_release(source->hooks, out->pixels);
        *out = (vx_picture){0};
        return status;
    }
    if (source->windowed && !out->wide)
        vx_log(source->hooks, VITX_LOG_WARNING,
               "%s: its samples have 8 bits: the window changes nothing", source->name);
    if (out->orientation == 0)
        out->orientation = vx_exif_orientation(source->data, source->bytes);
    return VITX_OK;
}
