/*
 * search/index.h: the vectors of pictures, kept in a file that only grows, so that pictures are
 * embedded once.
 *
 *      head    "vitx search 1\n" 0 0 | u32 order | u32 units | u32 bytes of terms | u32 0 |
 *              u64 sum of terms | u64 sum of the head before | terms, filled up with 0 to 8 bytes
 *      blocks  u32 "VXSB" | u32 entries | u32 vectors | u32 0 | u64 bytes of the table |
 *              u64 sum of the table | u64 sum of the vectors | u64 its place in the file |
 *              u64 sum of all that | table | f32 vectors [vectors, units]
 *      table   of each entry: i64 size | i64 mtime | u32 bytes of its name | u32 bytes of its
 *              error, then both texts with a zero byte each; filled up with 0 to 8 bytes
 *
 * An entry with an error has no vector; one of size -1 is gone. A later entry of a name stands in
 * place of an earlier one. A block that is not whole ends the file: whoever writes cuts it off.
 * Numbers are the machine's own; `order` tells machines of another order apart.
 *
 * Who writes has the file's lock (fcntl), which ends with its process. Readers need none: what they
 * have read does not change, and a file that is written anew gets the name at once.
 */
#ifndef CLI_SEARCH_INDEX_H
#define CLI_SEARCH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_ENTRIES = 4096 }; /* of a block, and so vectors of one */

/* What tells whether a file has changed; mtime in nanoseconds since 1970. */
struct mark {
    int64_t size, mtime;
};

/* A picture. */
struct entry {
    char *name;
    struct mark mark;
    char *error;    /* why it has no vector; NULL: it has */
    int block, row; /* where that lies; block -1: not here, or not yet */
    int asked;      /* its place among the pictures that are searched; -1: it is none */
};

struct index_block {
    int file;        /* 0: the file; 1: the nameless one */
    int64_t at;      /* of its vectors */
    int rows, first; /* vectors; the place of the first one's entry in `owners` */
    uint64_t sum;
    bool bad; /* the vectors are damaged */
};

struct index {
    char *path;     /* NULL: nothing is kept */
    int files[2];   /* -1: there is none; the second one has no name, and ends with the program */
    int64_t end[2]; /* behind the last block */
    int64_t torn;   /* bytes behind that which are no whole block; only read, they stay */
    bool writable;  /* the first file takes blocks */
    bool full;      /* ... took them until a write failed, which was said */
    int units;
    struct entry *entries;
    int count, room;
    int *places; /* [place_room]: entries by the hash of their names; -1: free */
    size_t place_room;
    struct index_block *blocks;
    int block_count, block_room;
    int *owners; /* the entries of all vectors, block by block */
    int owner_count, owner_room;
    struct pending *pending; /* what is not written yet */
};

/* How an index is opened. */
enum index_for {
    INDEX_TO_READ,  /* the file as it is, which has to be there */
    INDEX_TO_WRITE, /* with the lock, for which it waits; made if it is not there */
    INDEX_ANEW      /* the same, and what is there is lost */
};

/* path NULL: an index that is lost at the end. terms: what its vectors depend on, lines of
 * "name: value". A folder that cannot be written to is a note, and so is a lock that another
 * process has. Complains where it is not DONE: an exit status. index_close() whatever comes of
 * it. */
int index_open(struct index *index, const char *path, const char *terms, int units,
               enum index_for what, bool quiet);
void index_close(struct index *index);

/* The entry of that name; -1: there is none. */
int index_find(const struct index *index, const char *name);
/* One more, or another state of one that is there; vector [units], or NULL with an error, or both
 * NULL: it is gone. Written with the next block. false: no memory, which was said. */
bool index_add(struct index *index, const char *name, struct mark mark, const float *vector,
               const char *error);
/* Writes what is pending. A file that takes no more is said once, and a nameless one takes its
 * place. false: nor does that one, which was said. */
bool index_flush(struct index *index);
/* Whether so much is pending, or for so long, that it should be written. */
bool index_is_due(const struct index *index);
/* Waits until all is on the disk; false: it could not be, which was said. */
bool index_sync(struct index *index);
/* Writes the file anew if much of it is dead, or in very small blocks. */
void index_tidy(struct index *index, const char *terms);

/* The most bytes of a block's vectors. */
size_t index_block_bytes(const struct index *index);
/* A block's vectors [rows, units]; false: they are damaged, or cannot be read. Any thread. */
bool index_read(const struct index *index, int block, float *vectors);
/* One vector [units] of a block that was read before; false: it cannot be read. */
bool index_vector(const struct index *index, int entry, float *vector);
/* The entry that a row of a block belongs to; -1: another row has taken its place. */
int index_owner(const struct index *index, int block, int row);

#endif
