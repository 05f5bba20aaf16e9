/* test/archive.c: see archive.h. */
#include "archive.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void archive_put(archive *a, const void *data, size_t bytes)
{
    if (a->size + bytes == 0)
        return;
    a->data = realloc(a->data, a->size + bytes);
    if (bytes)
        memcpy(a->data + a->size, data, bytes);
    a->size += bytes;
}

static void put_int(archive *a, uint64_t value, size_t bytes)
{
    archive_put(a, &value, bytes); /* little-endian, as the file */
}

static void put_ints(archive *a, const char *widths, const uint64_t *values)
{
    for (; *widths; widths++)
        put_int(a, *values++, (size_t)(*widths - '0'));
}

static size_t deflate_all(unsigned char **out, const void *data, size_t size)
{
    z_stream z = {0};
    if (deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    const size_t bound = deflateBound(&z, size);
    *out = malloc(bound);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (unsigned)size;
    z.next_out = *out;
    z.avail_out = (unsigned)bound;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&z);
    return z.total_out;
}

archive archive_build(const archive_member *members, int count, bool zip64)
{
    archive a = {.count = count};
    size_t packed[ARCHIVE_MEMBERS];
    for (int i = 0; i < count; i++) {
        const archive_member *m = &members[i];
        unsigned char *bytes = m->data;
        packed[i] = m->deflated ? deflate_all(&bytes, m->data, m->size) : m->size;
        a.local[i] = a.size;
        const uint64_t crc = crc32(0, m->data, (unsigned)m->size), name = strlen(m->name);
        const uint64_t ones = 0xffffffff;
        put_ints(&a, "42222244422",
                 (uint64_t[]){0x04034b50, 45, 0, m->deflated ? 8 : 0, 0, 0, crc,
                              zip64 ? ones : packed[i], zip64 ? ones : m->size, name,
                              zip64 ? 20 : 0});
        archive_put(&a, m->name, name);
        if (zip64)
            put_ints(&a, "2288", (uint64_t[]){1, 16, m->size, packed[i]});
        a.content[i] = a.size;
        archive_put(&a, bytes, packed[i]);
        if (m->deflated)
            free(bytes);
    }
    const size_t start = a.size;
    for (int i = 0; i < count; i++) {
        const archive_member *m = &members[i];
        const uint64_t crc = crc32(0, m->data, (unsigned)m->size), name = strlen(m->name);
        const uint64_t ones = 0xffffffff;
        a.entry[i] = a.size;
        put_ints(&a, "42222224442222244",
                 (uint64_t[]){0x02014b50, 45, 45, 0, m->deflated ? 8 : 0, 0, 0, crc,
                              zip64 ? ones : packed[i], zip64 ? ones : m->size, name,
                              zip64 ? 28 : 0, 0, 0, 0, 0, zip64 ? ones : a.local[i]});
        archive_put(&a, m->name, name);
        if (zip64)
            put_ints(&a, "22888", (uint64_t[]){1, 24, m->size, packed[i], a.local[i]});
    }
    const size_t directory = a.size - start;
    if (zip64) {
        a.end64 = a.size;
        put_ints(&a, "4822448888",
                 (uint64_t[]){0x06064b50, 44, 45, 45, 0, 0, (uint64_t)count, (uint64_t)count,
                              directory, start});
        a.locator = a.size;
        put_ints(&a, "4484", (uint64_t[]){0x07064b50, 0, a.end64, 1});
    }
    a.end = a.size;
    put_ints(&a, "42222442",
             (uint64_t[]){0x06054b50, 0, 0, zip64 ? 0xffff : (uint64_t)count,
                          zip64 ? 0xffff : (uint64_t)count, zip64 ? 0xffffffff : directory,
                          zip64 ? 0xffffffff : start, 0});
    return a;
}

archive_member archive_array(const char *name, const char *dict, const void *data, size_t bytes,
                             bool deflated)
{
    const size_t n = strlen(dict);
    archive_member m = {name, malloc(10 + n + bytes), 10 + n + bytes, deflated};
    memcpy(m.data, "\x93NUMPY\1\0", 8);
    ((unsigned char *)m.data)[8] = (unsigned char)n;
    ((unsigned char *)m.data)[9] = (unsigned char)(n >> 8);
    memcpy((char *)m.data + 10, dict, n);
    memcpy((char *)m.data + 10 + n, data, bytes);
    return m;
}

void archive_free_members(archive_member *m, int count)
{
    for (int i = 0; i < count; i++)
        free(m[i].data);
}
