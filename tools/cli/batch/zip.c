/* batch/zip.c: see zip.h. APPNOTE.TXT 6.3 names the fields. */
#include "zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

static void put(struct text *text, uint64_t value, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < bytes; i++)
        b[i] = (unsigned char)(value >> (8 * i) & 0xff);
    text_add(text, b, (size_t)bytes);
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

uint32_t zip_crc(uint32_t crc, const void *data, size_t bytes)
{
    return bytes ? (uint32_t)crc32_z(crc, data, bytes) : crc;
}

enum { VERSION = 45, UTF8 = 1 << 11, DATE = 0x21 /* 1980-01-01, where a zip's time begins */ };
#define MOST UINT64_C(0xffffffff)

/* What a member's own header and its line in the directory share. */
static void put_common(struct text *t, const char *name, uint64_t bytes, uint32_t crc, size_t extra)
{
    put(t, VERSION, 2);
    put(t, UTF8, 2);
    put(t, 0, 2); /* stored */
    put(t, 0, 2);
    put(t, DATE, 2);
    put(t, crc, 4);
    put(t, at_most(bytes, MOST), 4);
    put(t, at_most(bytes, MOST), 4);
    put(t, strlen(name), 2);
    put(t, extra, 2);
}

bool zip_begin(struct zip *zip, const char *name, uint64_t bytes, uint32_t crc)
{
    struct text head = {0};
    const uint64_t offset = (uint64_t)part_bytes(zip->part);
    const bool large = bytes >= MOST, far = offset >= MOST;
    const size_t extra = (size_t)(large ? 16 : 0) + (far ? 8 : 0);
    put(&head, 0x04034b50, 4);
    put_common(&head, name, bytes, crc, large ? 20 : 0);
    text_put(&head, name);
    if (large) {
        put(&head, 1, 2);
        put(&head, 16, 2);
        put(&head, bytes, 8);
        put(&head, bytes, 8);
    }
    struct text *d = &zip->directory;
    put(d, 0x02014b50, 4);
    put(d, 3 << 8 | VERSION, 2); /* made on Unix */
    put_common(d, name, bytes, crc, extra ? extra + 4 : 0);
    put(d, 0, 6);
    put(d, UINT64_C(0100644) << 16, 4);
    put(d, at_most(offset, MOST), 4);
    text_put(d, name);
    if (extra) {
        put(d, 1, 2);
        put(d, extra, 2);
    }
    if (large) {
        put(d, bytes, 8);
        put(d, bytes, 8);
    }
    if (far)
        put(d, offset, 8);
    zip->members++;
    const bool written =
        !head.failed && !d->failed && part_write(zip->part, head.data, head.length);
    text_free(&head);
    return written;
}

bool zip_add(struct zip *zip, const char *name, const void *data, size_t bytes)
{
    return zip_begin(zip, name, bytes, zip_crc(0, data, bytes)) &&
           part_write(zip->part, data, bytes);
}

bool zip_end(struct zip *zip)
{
    const uint64_t at = (uint64_t)part_bytes(zip->part), size = zip->directory.length;
    const uint64_t n = (uint64_t)zip->members;
    struct text t = {0};
    if (n >= 0xffff || at >= MOST || size >= MOST) {
        put(&t, 0x06064b50, 4);
        put(&t, 44, 8);
        put(&t, 3 << 8 | VERSION, 2);
        put(&t, VERSION, 2);
        put(&t, 0, 8);
        put(&t, n, 8);
        put(&t, n, 8);
        put(&t, size, 8);
        put(&t, at, 8);
        put(&t, 0x07064b50, 4);
        put(&t, 0, 4);
        put(&t, at + size, 8);
        put(&t, 1, 4);
    }
    put(&t, 0x06054b50, 4);
    put(&t, 0, 4);
    put(&t, at_most(n, 0xffff), 2);
    put(&t, at_most(n, 0xffff), 2);
    put(&t, at_most(size, MOST), 4);
    put(&t, at_most(at, MOST), 4);
    put(&t, 0, 2);
    const bool written = !t.failed && part_write(zip->part, zip->directory.data, size) &&
                         part_write(zip->part, t.data, t.length);
    text_free(&t);
    return written;
}

static uint64_t number_at(const unsigned char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

bool zip_read(FILE *file, char *name, size_t size, uint64_t *bytes, uint32_t *crc)
{
    unsigned char h[30], extra[20];
    if (fread(h, 1, sizeof h, file) != sizeof h || number_at(h, 4) != 0x04034b50)
        return false;
    const size_t length = (size_t)number_at(h + 26, 2), more = (size_t)number_at(h + 28, 2);
    *crc = (uint32_t)number_at(h + 14, 4);
    *bytes = number_at(h + 18, 4);
    if (length >= size || (more != 0 && more != sizeof extra) ||
        fread(name, 1, length, file) != length || fread(extra, 1, more, file) != more)
        return false;
    name[length] = '\0';
    if (more)
        *bytes = number_at(extra + 4, 8);
    return true;
}

void npy_header(struct text *out, int64_t rows, int columns)
{
    char words[128];
    const int n = snprintf(words, sizeof words,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRId64 ", %d), }",
                           rows, columns);
    const size_t all = 128; /* a multiple of 64, as NumPy has it */
    text_add(out, "\x93NUMPY\x01\x00", 8);
    put(out, all - 10, 2);
    text_put(out, words);
    for (size_t i = 10 + (size_t)n; i + 1 < all; i++)
        text_put(out, " ");
    text_put(out, "\n");
}
