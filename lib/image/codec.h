/*
 * image/codec.h: what the decoders share.
 *
 * A decoder first reads the headers itself, checks them and the sizes, and refuses what it does
 * not know; only then does it allocate anything that grows with the picture.
 */
#ifndef VX_IMAGE_CODEC_H
#define VX_IMAGE_CODEC_H

#include <stdint.h>

#include "base/memory.h"

#define VX_MAX_SIDE 65535 /* pixels */

/* A file in memory, and what the caller said about it. */
typedef struct vx_source {
    const uint8_t *data;
    size_t bytes;
    const char *name; /* in messages */
    int64_t max_pixels;
    bool allow_truncated; /* what there is of a picture is enough: vx_warn_truncated */
    const vitx_hooks *hooks; /* resolved */
} vx_source;

/* VITX_FORMAT for a picture without pixels, VITX_UNSUPPORTED for one that is too large. */
int vx_check_picture_size(const char *name, int64_t width, int64_t height, int64_t max_pixels);
/* A file that ends before the picture does. */
int vx_fail_truncated(const vx_source *source);
/* The same in the log, if that is allowed. */
void vx_warn_truncated(const vx_source *source);

/* *out: [height, width, 3], to be given back with vx_release. */
int vx_decode_jpeg(uint8_t **out, int *width, int *height, const vx_source *source);
int vx_decode_png(uint8_t **out, int *width, int *height, const vx_source *source);
int vx_decode_bmp(uint8_t **out, int *width, int *height, const vx_source *source);

static inline unsigned vx_be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline uint32_t vx_be32(const uint8_t *p)
{
    return (uint32_t)vx_be16(p) << 16 | vx_be16(p + 2);
}

static inline unsigned vx_le16(const uint8_t *p)
{
    return (unsigned)p[1] << 8 | p[0];
}

static inline uint32_t vx_le32(const uint8_t *p)
{
    return (uint32_t)vx_le16(p + 2) << 16 | vx_le16(p);
}

#endif
