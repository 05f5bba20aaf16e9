/*
 * search/faiss.c: an index as a file that faiss.read_index() reads: an IndexFlatIP.
 *
 *      "IxFI" | i32 numbers of a vector | i64 vectors | i64 2^20 | i64 2^20 | u8 1: trained |
 *      i32 0: inner product | u64 numbers of all vectors | f32 vectors        little-endian
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "tools/cli/batch/commit.h"

enum { HEAD_BYTES = 4 + 4 + 3 * 8 + 1 + 4 + 8 };

static unsigned char *put_int(unsigned char *to, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *to++ = (unsigned char)(number >> 8 * i);
    return to;
}

static bool write_head(struct part *part, int units, int64_t count)
{
    unsigned char head[HEAD_BYTES] = "IxFI", *to = head + 4;
    to = put_int(to, (uint64_t)units, 4);
    to = put_int(to, (uint64_t)count, 8);
    to = put_int(to, 1 << 20, 8);
    to = put_int(to, 1 << 20, 8);
    to = put_int(to, 1, 1);
    to = put_int(to, 0, 4);
    put_int(to, (uint64_t)count * (uint64_t)units, 8);
    return part_write(part, head, sizeof head);
}

/* Numbers in the file's order of bytes, in place. */
static void turn(float *numbers, size_t count)
{
    const uint16_t one = 1;
    if (*(const unsigned char *)&one == 1)
        return;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        put_int((unsigned char *)&numbers[i], bits, 4);
    }
}

/* A name a line: a line break in one is written as \n. */
static bool write_name(struct part *part, const char *name)
{
    bool good = true;
    while (*name && good) {
        const size_t n = strcspn(name, "\n\r");
        good = part_write(part, name, n);
        name += n;
        if (*name)
            good = good && part_write(part, *name++ == '\n' ? "\\n" : "\\r", 2);
    }
    return good && part_write(part, "\n", 1);
}

static bool has_any(const struct index *index, int block)
{
    bool any = false;
    for (int row = 0; row < index->blocks[block].rows && !any; row++)
        any = asked_owner(index, block, row) >= 0;
    return any;
}

/* Rows that are searched stand in front of `vectors` then. */
static bool write_block(struct part *part, struct part *names, const struct index *index, int block,
                        const struct pictures *pictures, float *vectors)
{
    const size_t units = (size_t)index->units;
    int count = 0;
    for (int row = 0; row < index->blocks[block].rows; row++) {
        const int at = asked_owner(index, block, row);
        if (at < 0)
            continue;
        memmove(vectors + (size_t)count * units, vectors + (size_t)row * units,
                units * sizeof *vectors);
        if (!write_name(names, pictures->all[index->entries[at].asked].name))
            return false;
        count++;
    }
    turn(vectors, (size_t)count * units);
    return part_write(part, vectors, (size_t)count * units * sizeof *vectors);
}

static bool write_all(struct part *part, struct part *names, const struct index *index,
                      const struct pictures *pictures)
{
    float *vectors = malloc(index_block_bytes(index));
    bool good = vectors != NULL;
    if (!good)
        complain(NULL, "no memory");
    good = good && write_head(part, index->units, count_asked(index));
    for (int b = 0; b < index->block_count && good; b++) {
        if (!has_any(index, b))
            continue;
        good = index_read(index, b, vectors);
        if (!good)
            complain(index->path, "is damaged");
        good = good && write_block(part, names, index, b, pictures, vectors);
    }
    free(vectors);
    return good;
}

/* Both files get their names together. */
int write_faiss(const struct index *index, const struct pictures *pictures,
                const struct search_settings *settings)
{
    const char *path = settings->faiss, *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *folder = !slash          ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    struct text beside = {0};
    text_format(&beside, "%s.names", name);
    struct parts parts = {.folder = folder};
    bool good = folder && !beside.failed;
    if (!good)
        complain(NULL, "no memory");
    struct part *part = good ? part_open(&parts, name) : NULL;
    struct part *names = part ? part_open(&parts, beside.data) : NULL;
    good = names && write_all(part, names, index, pictures) && parts_commit(&parts);
    parts_end(&parts);
    text_free(&beside);
    free(folder);
    return good ? DONE : SOME_FAILED;
}
