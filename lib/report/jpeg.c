/* report/jpeg.c: the one file of the library that includes stb_image_write. */
#include "report/jpeg.h"

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

typedef struct target {
    vx_buffer *out;
    int status;
} target;

/* It writes byte by byte. */
static void append(void *context, void *data, int bytes)
{
    target *t = context;
    if (t->status == VITX_OK)
        t->status = vx_buffer_append(t->out, data, (size_t)bytes);
}

int vx_jpeg_write(vx_buffer *out, const uint8_t *rgb, int width, int height, int quality)
{
    target t = {.out = out};
    if (!stbi_write_jpg_to_func(append, &t, width, height, 3, rgb, quality) && t.status == VITX_OK)
        return vx_fail(VITX_INVALID, "no JPEG of %d x %d pixels", width, height);
    return t.status;
}
