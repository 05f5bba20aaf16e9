/* cli/batch/jpeg.h: small pictures as JPEG, by stb_image_write, which only jpeg.c includes. */
#ifndef CLI_BATCH_JPEG_H
#define CLI_BATCH_JPEG_H

#include "tools/cli/text.h"

#include <stdint.h>

/* Appends rgb [height,width,3] as a JPEG without metadata; quality 1 to 100. false: no memory. */
bool jpeg_write(struct text *out, const uint8_t *rgb, int width, int height, int quality);

#endif
