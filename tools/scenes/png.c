/* scenes/png.c: see png.h. stb_image_write compresses by itself here: what zlib makes of the same
 * pixels differs from release to release. */
#include "png.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
/* The writers that are not used. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>

static void write_bytes(void *file, void *data, int bytes)
{
    fwrite(data, 1, (size_t)bytes, file);
}

bool png_write(FILE *file, int width, int height, int channels, const uint8_t *pixels)
{
    return stbi_write_png_to_func(write_bytes, file, width, height, channels, pixels,
                                  width * channels) != 0 &&
           !ferror(file);
}
