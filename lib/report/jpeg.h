/* report/jpeg.h: writing a JPEG, by stb_image_write, whose header only jpeg.c includes. */
#ifndef VX_REPORT_JPEG_H
#define VX_REPORT_JPEG_H

#include <stdint.h>

#include "base/memory.h"

/* Appends rgb [height,width,3] as a JPEG without metadata; quality 1 to 100. */
int vx_jpeg_write(vx_buffer *out, const uint8_t *rgb, int width, int height, int quality);

#endif
