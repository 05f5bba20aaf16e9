/* test/archive.h: .npz archives put together byte by byte, so that every field can be made to
 * lie. */
#ifndef VX_TEST_ARCHIVE_H
#define VX_TEST_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARCHIVE_MEMBERS = 64 };

typedef struct archive {
    unsigned char *data; /* malloc'ed */
    size_t size;
    int count;
    /* Where things begin: of each member its header, its data and its entry in the directory; the
     * end records. */
    size_t local[ARCHIVE_MEMBERS], content[ARCHIVE_MEMBERS], entry[ARCHIVE_MEMBERS];
    size_t end64, locator, end;
} archive;

typedef struct archive_member {
    const char *name; /* with .npy */
    void *data;
    size_t size;
    bool deflated;
} archive_member;

/* zip64: sizes and places in extra fields everywhere, and a second end record. */
archive archive_build(const archive_member *members, int count, bool zip64);
void archive_put(archive *a, const void *data, size_t bytes);

/* A .npy array of `bytes` bytes behind a header of version 1, in malloc'ed memory. */
archive_member archive_array(const char *name, const char *dict, const void *data, size_t bytes,
                             bool deflated);
void archive_free_members(archive_member *members, int count);

#endif
