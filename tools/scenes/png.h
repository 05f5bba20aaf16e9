/* scenes/png.h: PNG files whose bytes depend on the pixels alone. */
#ifndef SCENES_PNG_H
#define SCENES_PNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* pixels [height,width,channels], 1 or 3 channels. False: no memory, or the file takes no more. */
bool png_write(FILE *file, int width, int height, int channels, const uint8_t *pixels);

#endif
