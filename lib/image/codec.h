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
    bool allow_truncated;    /* what there is of a picture is enough: vx_warn_truncated */
    const vitx_hooks *hooks; /* resolved */
    bool windowed;           /* the caller says which samples become 0 and 255: */
    double low, high;
    int64_t page; /* of a file of several pictures, from 0 */
} vx_source;

/* What a decoder makes of a file. */
typedef struct vx_picture {
    uint8_t *pixels; /* [height, width, 3], to be given back with vx_release */
    int width, height;
    int orientation; /* as EXIF counts, 1 to 8; 0: what vx_exif_orientation says */
    bool wide;       /* its samples had more than 8 bits: a window means something */
} vx_picture;

typedef int vx_decode_fn(vx_picture *out, const vx_source *source);

/* VITX_FORMAT for a picture without pixels, VITX_UNSUPPORTED for one that is too large. */
int vx_check_picture_size(const char *name, int64_t width, int64_t height, int64_t max_pixels);
/* A file that ends before the picture does. */
int vx_fail_truncated(const vx_source *source);
/* The same in the log, if that is allowed. */
void vx_warn_truncated(const vx_source *source);

/* Zeroed pixels of that size, which has been checked. */
int vx_new_picture(vx_picture *out, const vx_source *source, int width, int height);

/* On failure out->pixels may hold what vx_decode then releases. */
vx_decode_fn vx_decode_jpeg, vx_decode_png, vx_decode_bmp, vx_decode_gif, vx_decode_pnm;
/* Those whose library was there when vitx was built (Makefile, VX_WITH_...). */
vx_decode_fn vx_decode_webp, vx_decode_tiff, vx_decode_avif, vx_decode_heic;

/* Samples of more than 8 bits, in the machine's byte order, [pixels, channels]. */
typedef struct vx_samples {
    const void *data;
    enum { VX_U16, VX_I16, VX_U32, VX_I32, VX_F16, VX_F32, VX_F64 } type;
    int channels; /* 1 and 2: the first is grey; from 3 on the first three are the colours */
    size_t pixels;
    int bits;      /* of VX_U16 that are used: 16, or 12 */
    bool inverted; /* the least is white */
} vx_samples;

/*
 * Samples to out, [pixels, 3] (wide.c). By the caller's window, or else: of VX_U16 the high byte,
 * with a warning if little of the range is used; all others are spread from their least to their
 * greatest value, with a warning that says so.
 */
void vx_narrow(uint8_t *out, const vx_samples *samples, const vx_source *source);

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
