/* cli/batch/jpeg.c: the one file of vitx-cli that includes stb_image_write. */
#include "tools/cli/batch/jpeg.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STBIW_ASSERT(condition) ((void)0)

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* of the writers that are not used */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#endif
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/* It writes byte by byte. */
static void append(void *context, void *data, int bytes)
{
    text_add(context, data, (size_t)bytes);
}

bool jpeg_write(struct text *out, const uint8_t *rgb, int width, int height, int quality)
{
    return stbi_write_jpg_to_func(append, out, width, height, 3, rgb, quality) && !out->failed;
}
