/* A picture in memory, of any kind. */
#include <stdbool.h>

#include "fuzz.h"

static volatile uint8_t seen; /* of all pixels: every one is there */

static void open_picture(const uint8_t *data, size_t size, bool otherwise)
{
    vitx_image *image = NULL;
    vitx_image_opts o = VITX_IMAGE_OPTS_INIT;
    o.hooks = fuzz_hooks();
    o.max_pixels = 1 << 20;
    if (otherwise) {
        o.allow_truncated = 1;
        o.window_low = -100;
        o.window_high = 1000;
        o.page = 2 - size % 2;
    }
    const int status = vitx_image_open_memory(&image, data, size, NULL, &o);
    fuzz_check_message(status);
    if (status == VITX_OK) {
        const size_t bytes = (size_t)vitx_image_width(image) * (size_t)vitx_image_height(image) * 3;
        const uint8_t *pixels = vitx_image_pixels(image);
        for (size_t i = 0; i < bytes; i++)
            seen ^= pixels[i];
        fuzz_accepted++;
    }
    vitx_image_free(image);
    fuzz_nothing_left();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_picture(data, size, false);
    open_picture(data, size, true);
    return 0;
}
