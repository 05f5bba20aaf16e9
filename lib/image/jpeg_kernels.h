/*
 * image/jpeg_kernels.h: from JPEG coefficients to RGB, bit for bit as libjpeg-turbo does it by
 * default (and so Pillow, torchvision, OpenCV): the "islow" inverse DCT, "fancy" upsampling, and
 * YCbCr in 16-bit fixed point.
 */
#ifndef VX_IMAGE_JPEG_KERNELS_H
#define VX_IMAGE_JPEG_KERNELS_H

#include <stdint.h>

/* Inverse DCT of one dequantised 8 x 8 block, plus 128, clamped to 0..255. */
void vx_jpeg_idct(uint8_t *out, int stride, short block[64]);

/*
 * One picture row of a component. out [columns * across], near and far [columns]: the nearest row
 * of samples and the one beyond it (the same row at the picture's edge). across, down: picture
 * pixels per sample, 1 to 4.
 */
void vx_jpeg_upsample(uint8_t *out, const uint8_t *near, const uint8_t *far, int columns,
                      int across, int down);

/* out [n, 3]. */
void vx_jpeg_ycc_to_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                        int n);

#endif
