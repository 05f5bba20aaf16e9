/* search/index_parts.h: what the files of the index share: index.c has its entries in memory,
 * index_open.c reads the file, index_write.c adds to it, index_tidy.c writes it anew. */
#ifndef CLI_SEARCH_INDEX_PARTS_H
#define CLI_SEARCH_INDEX_PARTS_H

#include "index.h"
#include "tools/cli/text.h"

#define INDEX_MAGIC "vitx search 1\n\0" /* 16 bytes with the zero byte at its end */
enum {
    INDEX_ORDER = 0x01020304,
    BLOCK_MAGIC = 0x42535856, /* "VXSB" */
    MOST_TERMS = 1 << 16,     /* bytes */
    MOST_TABLE = 1 << 26,     /* bytes */
    MOST_VECTORS = 1 << 20,   /* bytes of a block that holds more than one vector */
    MOST_UNITS = 1 << 16
};

struct index_head {
    char magic[16];
    uint32_t order, units, terms, zero;
    uint64_t terms_sum, sum;
};

struct block_head {
    uint32_t magic, entries, vectors, zero;
    uint64_t table, table_sum, vectors_sum, at, sum;
};

struct table_entry {
    int64_t size, mtime;
    uint32_t name, error;
};

/* Entries on their way into a block. */
struct pending {
    struct text table;
    float *vectors; /* [rows_of_block, units] */
    int *entries;   /* [MOST_ENTRIES]: those with a vector, in order */
    int count, rows;
    double since; /* when the first one came */
};

/* Vectors of a full block. */
static inline int rows_of_block(int units)
{
    const int rows = MOST_VECTORS / (units * (int)sizeof(float));
    return rows < 1 ? 1 : rows < MOST_ENTRIES ? rows : MOST_ENTRIES;
}

static inline size_t filled_up(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

/* The entry of that name, which is made if there is none; -1 without memory. Takes over mark and a
 * copy of the error. */
int entry_set(struct index *index, const char *name, struct mark mark, const char *error);
/* A block whose vectors belong to `entries` [rows]; false without memory. */
bool block_add(struct index *index, const struct index_block *block, const int *entries);
/* Frees entries and blocks, and what is pending; files stay open. */
void index_forget(struct index *index);

/* The head of a file; false: it cannot be written (errno). */
bool head_write(int fd, const char *terms, int units, int64_t *end);
/* All of it; false: errno says why. */
bool read_at(int fd, void *data, size_t bytes, int64_t at);

bool pending_create(struct index *index);
void pending_free(struct index *index);

#endif
