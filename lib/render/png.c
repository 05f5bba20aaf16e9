/*
 * render/png.c: a canvas as a PNG file (W3C Portable Network Graphics, third edition; RGB, 8 bits).
 *
 * Each row gets the filter whose result has the smallest sum of absolute values, as libpng and stb
 * choose it. What is left is noise around 0 and runs of zeros: zlib's strategy Z_RLE, which looks for
 * runs alone, makes as small a file of it as level 6 does, in a ninth of the time (docs/performance.md).
 *
 * The loops go in steps of 16 bytes, so that compilers turn them into vector code; rows are padded.
 */
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "render/canvas.h"

enum { STEP = 16, BEFORE = 3, FILTERS = 5, PIECE = 1 << 16 };

typedef struct encoder {
    vx_buffer *out;
    z_stream zlib;
    int bytes;               /* of a row                                             */
    int padded;              /* the next multiple of STEP                            */
    uint8_t *row, *above;    /* [padded], with the pixel before: BEFORE zeros        */
    uint8_t *best, *attempt; /* [1 + padded]: a filter's number, then what it gives  */
    uint8_t *piece;          /* [PIECE] of deflated bytes                            */
} encoder;

/* ------------------------------------------------------------------ filters -------------- */

static void filter_none(uint8_t *restrict out, const uint8_t *restrict a,
                        const uint8_t *restrict above, int n)
{
    (void)above;
    memcpy(out, a, (size_t)n);
}

static void filter_sub(uint8_t *restrict out, const uint8_t *restrict a,
                       const uint8_t *restrict above, int n)
{
    (void)above;
    for (int i = 0; i < n; i += STEP, out += STEP, a += STEP)
        for (int k = 0; k < STEP; k++)
            out[k] = (uint8_t)(a[k] - a[k - 3]);
}

static void filter_up(uint8_t *restrict out, const uint8_t *restrict a,
                      const uint8_t *restrict above, int n)
{
    for (int i = 0; i < n; i += STEP, out += STEP, a += STEP, above += STEP)
        for (int k = 0; k < STEP; k++)
            out[k] = (uint8_t)(a[k] - above[k]);
}

static void filter_average(uint8_t *restrict out, const uint8_t *restrict a,
                           const uint8_t *restrict above, int n)
{
    for (int i = 0; i < n; i += STEP, out += STEP, a += STEP, above += STEP)
        for (int k = 0; k < STEP; k++)
            out[k] = (uint8_t)(a[k] - ((a[k - 3] + above[k]) >> 1));
}

static inline int16_t magnitude(int16_t v)
{
    return v < 0 ? (int16_t)-v : v;
}

/* Of left, above, and above left the one nearest to left + above - above left. */
static void filter_paeth(uint8_t *restrict out, const uint8_t *restrict a,
                         const uint8_t *restrict above, int n)
{
    for (int i = 0; i < n; i += STEP, out += STEP, a += STEP, above += STEP)
        for (int k = 0; k < STEP; k++) {
            const int16_t left = a[k - 3], up = above[k], corner = above[k - 3];
            const int16_t by_left = (int16_t)(up - corner), by_up = (int16_t)(left - corner);
            const int16_t to_left = magnitude(by_left), to_up = magnitude(by_up);
            const int16_t to_corner = magnitude((int16_t)(by_left + by_up));
            const int16_t other = to_up <= to_corner ? up : corner;
            const int16_t nearest = (to_left <= to_up) & (to_left <= to_corner) ? left : other;
            out[k] = (uint8_t)(a[k] - nearest);
        }
}

/* In the order of PNG's numbers. */
static void (*const filters[FILTERS])(uint8_t *restrict out, const uint8_t *restrict a,
                                      const uint8_t *restrict above, int n) = {
    filter_none, filter_sub, filter_up, filter_average, filter_paeth};

/* The sum of bytes, taken as -128..127. */
static unsigned sum_of(const uint8_t *p, int n)
{
    unsigned sum = 0;
    for (int i = 0; i < n; i += STEP, p += STEP)
        for (int k = 0; k < STEP; k++) {
            const uint8_t v = p[k], negated = (uint8_t)-v;
            sum += v < negated ? v : negated;
        }
    return sum;
}

/* Into e->best; the padding is 0 in both rows, so it adds next to nothing to a sum. */
static void filter_row(encoder *e)
{
    unsigned least = UINT_MAX;
    for (int f = 0; f < FILTERS; f++) {
        e->attempt[0] = (uint8_t)f;
        filters[f](e->attempt + 1, e->row, e->above, e->padded);
        memset(e->attempt + 1 + e->bytes, 0, (size_t)(e->padded - e->bytes));
        const unsigned sum = sum_of(e->attempt + 1, e->padded);
        if (sum < least) {
            uint8_t *const worse = e->best;
            e->best = e->attempt;
            e->attempt = worse;
            least = sum;
        }
    }
}

/* ------------------------------------------------------------------ chunks --------------- */

static void put_be32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Begins a chunk of a size that is not known yet; where it begins. */
static int begin_chunk(size_t *start, vx_buffer *out, const char *type)
{
    uint8_t head[8] = {0};
    *start = out->size;
    memcpy(head + 4, type, 4);
    return vx_buffer_append(out, head, sizeof head);
}

static int end_chunk(vx_buffer *out, size_t start)
{
    uint8_t *const head = (uint8_t *)out->data + start;
    const size_t bytes = out->size - start - 8; /* below 2^31: VX_CANVAS_MAX_PIXELS */
    uint8_t sum[4];
    put_be32(head, (uint32_t)bytes);
    put_be32(sum, (uint32_t)crc32_z(0, head + 4, bytes + 4));
    return vx_buffer_append(out, sum, sizeof sum);
}

static int append_header(vx_buffer *out, const vx_canvas *canvas)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {[8] = 8, [9] = 2}; /* bits, RGB */
    size_t start;
    put_be32(header, (uint32_t)canvas->width);
    put_be32(header + 4, (uint32_t)canvas->height);
    VX_TRY(vx_buffer_append(out, signature, sizeof signature));
    VX_TRY(begin_chunk(&start, out, "IHDR"));
    VX_TRY(vx_buffer_append(out, header, sizeof header));
    return end_chunk(out, start);
}

/* Deflates what zlib->next_in has; all that is held back, too, with Z_FINISH. */
static int deflate_more(encoder *e, int flush)
{
    do {
        e->zlib.next_out = e->piece;
        e->zlib.avail_out = PIECE;
        deflate(&e->zlib, flush);
        VX_TRY(vx_buffer_append(e->out, e->piece, PIECE - e->zlib.avail_out));
    } while (e->zlib.avail_out == 0);
    return VITX_OK;
}

static int append_rows(encoder *e, const vx_canvas *canvas)
{
    for (int y = 0; y < canvas->height; y++) {
        uint8_t *const last = e->row;
        e->row = e->above;
        e->above = last;
        memcpy(e->row, vx_canvas_row(canvas, 0, y), (size_t)e->bytes);
        filter_row(e);
        e->zlib.next_in = e->best;
        e->zlib.avail_in = (uInt)e->bytes + 1;
        VX_TRY(deflate_more(e, Z_NO_FLUSH));
    }
    return deflate_more(e, Z_FINISH);
}

static int append_data(encoder *e, const vx_canvas *canvas)
{
    size_t start;
    if (deflateInit2(&e->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS, 8, Z_RLE) != Z_OK)
        return vx_fail(VITX_NOMEM, "no memory to compress a png of %d x %d pixels", canvas->width,
                       canvas->height);
    int status = begin_chunk(&start, e->out, "IDAT");
    if (status == VITX_OK)
        status = append_rows(e, canvas);
    deflateEnd(&e->zlib);
    return status == VITX_OK ? end_chunk(e->out, start) : status;
}

int vx_canvas_png(vx_buffer *out, const vx_canvas *canvas)
{
    const int bytes = canvas->width * 3, padded = (bytes + STEP - 1) / STEP * STEP;
    const size_t line = (size_t)padded + STEP; /* a row, and what may stand before it */
    encoder e = {.out = out, .bytes = bytes, .padded = padded};
    uint8_t *memory;
    size_t start;
    VX_TRY(vx_new(&memory, &canvas->hooks, 4 * line + PIECE, 1, "rows of a png"));
    e.row = memory + BEFORE;
    e.above = memory + line + BEFORE;
    e.best = memory + 2 * line;
    e.attempt = memory + 3 * line;
    e.piece = memory + 4 * line;
    int status = append_header(out, canvas);
    if (status == VITX_OK)
        status = append_data(&e, canvas);
    vx_release(&canvas->hooks, memory);
    VX_TRY(status);
    VX_TRY(begin_chunk(&start, out, "IEND"));
    return end_chunk(out, start);
}
