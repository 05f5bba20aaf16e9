/*
 * image/stb.h: the parts of stb_image that vitx uses.
 *
 * stb.c is the one file that includes stb_image. It takes from it the entropy decoding of JPEG and
 * the inflating and unfiltering of PNG. What decides which pixels come out (dequantised block to
 * samples, upsampling, colour) is vitx's own, because it must equal libjpeg-turbo and Pillow.
 */
#ifndef VX_IMAGE_STB_H
#define VX_IMAGE_STB_H

#include "image/codec.h"

/* One component of a JPEG as it is stored, before upsampling. */
typedef struct vx_jpeg_plane {
    const uint8_t *data;
    int stride;        /* bytes from row to row */
    int width, height; /* samples that belong to the picture */
    int across, down;  /* picture pixels per sample */
} vx_jpeg_plane;

typedef struct vx_jpeg_planes {
    int count; /* 1, 3 or 4 */
    vx_jpeg_plane plane[4];
    void *memory[4];
} vx_jpeg_planes;

/* An 8 x 8 block of dequantised coefficients, row by row, to samples. */
typedef void vx_jpeg_idct_fn(uint8_t *out, int stride, short block[64]);

/*
 * Decodes the planes of a JPEG whose headers vx_decode_jpeg has checked (image/jpeg.c says against
 * what). Huffman tables 0 and 1 that a sequential file does not define are those of ITU-T T.81,
 * annex K.3. Dispose also after a failure.
 */
int vx_stb_jpeg_planes(vx_jpeg_planes *out, const vx_source *source, bool progressive,
                       vx_jpeg_idct_fn *idct);
void vx_jpeg_planes_dispose(vx_jpeg_planes *planes, const vitx_hooks *hooks);

/* A zlib stream into `capacity` bytes; the number of bytes it gave, -1 where it is damaged or
 * gives more. */
int vx_stb_inflate(uint8_t *out, int capacity, const uint8_t *data, int bytes);

/* Header of a PNG; the colour type is PNG's (0 grey, 2 RGB, 3 palette, 4 grey+alpha, 6 RGBA). */
typedef struct vx_png_layout {
    int width, height;
    int depth; /* bits per sample: 1, 2, 4, 8, 16 */
    int color_type;
    int channels; /* samples per pixel: 1 to 4 */
    bool interlaced;
} vx_png_layout;

/*
 * Undoes a PNG's filters and interlacing. `out`: samples [height, width, channels], one byte each,
 * or a native uint16_t for depth 16; grey of 1, 2, 4 bits is spread over 0..255, palette indices
 * are not. Give it back with vx_release.
 */
int vx_stb_png_samples(uint8_t **out, const vx_png_layout *layout, uint8_t *raw, size_t bytes,
                       const vx_source *source);

#endif
