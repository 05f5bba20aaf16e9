/*
 * render/format_npy.c: the raw map as a NumPy file, version 1.0.
 *
 *   \x93NUMPY 1 0 | u16 length | {'descr': '<f4', 'fortran_order': False, 'shape': (..), } spaces
 *   \n
 *
 * The header with its length field is a multiple of 64 bytes (numpy/lib/format.py); then float32,
 * little-endian, C order.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "render/npy.h"
#include "render/render.h"

int vx_npy_header(vx_sink *out, const int64_t *shape, int rank)
{
    char text[192];
    int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        n +=
            snprintf(text + n, sizeof text - (size_t)n, i ? ", %lld" : "%lld", (long long)shape[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    const int length = (10 + n + 1 + 63) / 64 * 64 - 10;
    memset(text + n, ' ', (size_t)(length - 1 - n));
    text[length - 1] = '\n';
    const unsigned char start[10] = {0x93,
                                     'N',
                                     'U',
                                     'M',
                                     'P',
                                     'Y',
                                     1,
                                     0,
                                     (unsigned char)(length & 255),
                                     (unsigned char)(length >> 8)};
    VX_TRY(vx_sink_put(out, start, sizeof start));
    return vx_sink_put(out, text, (size_t)length);
}

int vx_npy_values(vx_sink *out, const float *values, size_t count)
{
    unsigned char bytes[4 * 1024];
    for (size_t i = 0; i < count;) {
        size_t n = 0;
        for (; n < sizeof bytes && i < count; i++, n += 4) {
            uint32_t bits;
            memcpy(&bits, &values[i], 4);
            for (int k = 0; k < 4; k++)
                bytes[n + (size_t)k] = (unsigned char)(bits >> (8 * k));
        }
        VX_TRY(vx_sink_put(out, bytes, n));
    }
    return VITX_OK;
}

static int render(vx_sink *out, const vx_render_job *job)
{
    const vitx_map *map = job->map;
    VX_TRY(vx_npy_header(out, map->info.shape, map->info.rank));
    return vx_npy_values(out, map->values, map->count);
}

const vx_format vx_format_npy = {.name = "npy", .render = render};
