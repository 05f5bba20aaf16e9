/* serve/sniff.c: see sniff.h. */
#include "sniff.h"

#include <string.h>

static int64_t word(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

/* IHDR comes first: length, type, width, height. */
static int64_t png_pixels(const uint8_t *p, size_t bytes)
{
    if (bytes < 24 || memcmp(p + 12, "IHDR", 4) != 0)
        return 0;
    const int64_t width = word(p + 16) << 16 | word(p + 18);
    const int64_t height = word(p + 20) << 16 | word(p + 22);
    return width < INT32_MAX && height < INT32_MAX ? width * height : INT64_MAX;
}

/* A marker that begins a frame: SOF0 to SOF15, but for DHT, JPG and DAC among them. */
static bool begins_frame(int marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* From segment to segment to the first frame. */
static int64_t jpeg_pixels(const uint8_t *p, size_t bytes)
{
    size_t at = 2;
    while (at + 9 < bytes) {
        if (p[at] != 0xff)
            return 0;
        const int marker = p[at + 1];
        if (marker == 0xff) { /* filling */
            at++;
            continue;
        }
        if (begins_frame(marker))
            return word(p + at + 5) * word(p + at + 7);
        if (marker == 0xda || word(p + at + 2) < 2)
            return 0;
        at += 2 + (size_t)word(p + at + 2);
    }
    return 0;
}

/* "P6 WIDTH HEIGHT" of a PPM without comments, as tensors.c writes it. */
static int64_t ppm_pixels(const uint8_t *p, size_t bytes)
{
    int64_t sides[2] = {0, 0};
    size_t at = 2;
    for (int i = 0; i < 2; i++) {
        while (at < bytes && (p[at] == ' ' || p[at] == '\n'))
            at++;
        for (; at < bytes && p[at] >= '0' && p[at] <= '9' && sides[i] < INT32_MAX / 16; at++)
            sides[i] = sides[i] * 10 + (p[at] - '0');
    }
    return sides[0] * sides[1];
}

bool sniff_picture(const void *data, size_t bytes, int64_t *pixels)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff};
    const bool is_png = bytes >= sizeof png && memcmp(data, png, sizeof png) == 0;
    const bool is_jpeg = bytes >= sizeof jpeg && memcmp(data, jpeg, sizeof jpeg) == 0;
    const bool is_ppm = bytes >= 3 && (memcmp(data, "P6\n", 3) == 0 || memcmp(data, "P6 ", 3) == 0);
    *pixels = is_png    ? png_pixels(data, bytes)
              : is_jpeg ? jpeg_pixels(data, bytes)
              : is_ppm  ? ppm_pixels(data, bytes)
                        : 0;
    return is_png || is_jpeg || is_ppm;
}
