/*
 * image/exif.c: the EXIF orientation of a JPEG, PNG or WebP (CIPA DC-008, tag 0x0112).
 *
 * EXIF is a TIFF file within the picture: "II*\0" or "MM\0*", the offset of a list of tags, the
 * list: a count, then 12 bytes per tag. Whatever is damaged means orientation 1.
 */
#include "image/codec.h"
#include "image/image.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4 };

static unsigned read16(const uint8_t *p, bool big)
{
    return big ? vx_be16(p) : vx_le16(p);
}

static uint32_t read32(const uint8_t *p, bool big)
{
    return big ? vx_be32(p) : vx_le32(p);
}

static int tiff_orientation(const uint8_t *d, size_t bytes)
{
    if (bytes < 8 || (memcmp(d, "II*", 4) != 0 && memcmp(d, "MM\0*", 4) != 0))
        return 1;
    const bool big = d[0] == 'M';
    const size_t list = read32(d + 4, big);
    if (list > bytes - 2)
        return 1;
    const unsigned count = read16(d + list, big);
    for (size_t i = 0; i < count; i++) {
        const size_t at = list + 2 + 12 * i;
        if (at > bytes - 12 || bytes < 12)
            return 1;
        if (read16(d + at, big) != TAG_ORIENTATION)
            continue;
        const unsigned type = read16(d + at + 2, big);
        const uint32_t value = type == TYPE_SHORT  ? read16(d + at + 8, big)
                               : type == TYPE_LONG ? read32(d + at + 8, big)
                                                   : 0;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static int jpeg_orientation(const uint8_t *d, size_t bytes)
{
    size_t at = 2;
    while (bytes - at >= 4 && d[at] == 0xff) {
        if (d[at + 1] == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        const unsigned marker = d[at + 1];
        const size_t length = vx_be16(d + at + 2);
        if (marker == 0xda || marker == 0xd9 || length < 2 || length > bytes - at - 2)
            break;
        if (marker == 0xe1 && length >= 8 && memcmp(d + at + 4, "Exif\0", 6) == 0)
            return tiff_orientation(d + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

static int png_orientation(const uint8_t *d, size_t bytes)
{
    size_t at = 8;
    while (bytes - at >= 12) {
        const size_t length = vx_be32(d + at);
        if (length > bytes - at - 12)
            break;
        if (memcmp(d + at + 4, "eXIf", 4) == 0)
            return tiff_orientation(d + at + 8, length);
        at += 12 + length;
    }
    return 1;
}

static int webp_orientation(const uint8_t *d, size_t bytes)
{
    size_t at = 12;
    while (at < bytes && bytes - at >= 8) {
        const size_t length = vx_le32(d + at + 4);
        if (length > bytes - at - 8)
            break;
        if (memcmp(d + at, "EXIF", 4) == 0) { /* some writers begin it as in a JPEG */
            const size_t skip = length >= 6 && memcmp(d + at + 8, "Exif\0", 6) == 0 ? 6 : 0;
            return tiff_orientation(d + at + 8 + skip, length - skip);
        }
        at += 8 + length + (length & 1);
    }
    return 1;
}

int vx_exif_orientation(const uint8_t *data, size_t bytes)
{
    if (bytes >= 2 && data[0] == 0xff && data[1] == 0xd8)
        return jpeg_orientation(data, bytes);
    if (bytes >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return png_orientation(data, bytes);
    if (bytes >= 12 && memcmp(data + 8, "WEBP", 4) == 0)
        return webp_orientation(data, bytes);
    return 1;
}
