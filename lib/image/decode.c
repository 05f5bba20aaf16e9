/*
 * image/decode.c: which of the formats a file is, and how large a picture may be.
 *
 * Formats are told by their first bytes, never by the file's name.
 */
#include "base/kind.h"
#include "image/codec.h"
#include "image/image.h"

#include <inttypes.h>
#include <string.h>

typedef struct format {
    size_t offset; /* of the magic bytes */
    size_t length;
    const char *magic;
    const char *name;
    int (*decode)(uint8_t **out, int *width, int *height, const vx_source *source);
} format;

/* Those without a decoder are here for the message. */
static const format formats[] = {
    {0, 3, "\xff\xd8\xff", "a JPEG", vx_decode_jpeg},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG", vx_decode_png},
    {0, 2, "BM", "a BMP", vx_decode_bmp},
    {0, 4, "GIF8", "a GIF picture", NULL},
    {8, 4, "WEBP", "a WebP picture", NULL},
    {0, 4, "II*\0", "a TIFF picture", NULL},
    {0, 4, "MM\0*", "a TIFF picture", NULL},
    {4, 8, "ftypavif", "an AVIF picture", NULL},
    {4, 8, "ftypheic", "a HEIC picture", NULL},
    {4, 8, "ftypmif1", "a HEIF picture", NULL},
    {0, 4, "8BPS", "a Photoshop picture", NULL},
    {0, 4, "\0\0\1\0", "an icon", NULL},
    {0, 2, "P5", "a PGM picture", NULL},
    {0, 2, "P6", "a PPM picture", NULL},
    {4, 8, "jP  \r\n\x87\n", "a JPEG 2000 picture", NULL},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", NULL},
    {0, 2, "\xff\x0a", "a JPEG XL picture", NULL},
    {0, 4, "%PDF", "a PDF document", NULL},
};

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

static const format *find_format(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format *f = &formats[i];
        if (bytes >= f->offset + f->length && memcmp(data + f->offset, f->magic, f->length) == 0)
            return f;
    }
    return NULL;
}

static int check_format(const format **out, const uint8_t *data, size_t bytes, const char *name)
{
    if (bytes == 0)
        return vx_fail_in(VITX_FORMAT, name, "the file is empty");
    *out = find_format(data, bytes);
    const char *kind = *out ? NULL : vx_kind_of(data, bytes);
    if (kind)
        return vx_fail_in(VITX_FORMAT, name, "%s, not a picture; vitx reads JPEG, PNG and BMP",
                          kind);
    if (!*out)
        return vx_fail_in(VITX_FORMAT, name, "not a picture; vitx reads JPEG, PNG and BMP");
    if (!(*out)->decode)
        return vx_fail_in(VITX_FORMAT, name, "%s; vitx reads JPEG, PNG and BMP", (*out)->name);
    return VITX_OK;
}

int vx_check_signature(const uint8_t *data, size_t bytes, const char *name)
{
    const format *f;
    return check_format(&f, data, bytes, name);
}

int vx_decode(uint8_t **out, int *width, int *height, const vx_source *source)
{
    const format *f;
    *out = NULL;
    VX_TRY(check_format(&f, source->data, source->bytes, source->name));
    return f->decode(out, width, height, source);
}
