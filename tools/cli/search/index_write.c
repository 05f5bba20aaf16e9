/* search/index_write.c: blocks that are added to an index, and read again; see index.h. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index_parts.h"
#include "sum.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"

enum { WAIT_MS = 2000 }; /* what a kill may cost */

/* ------------------------------------------------------------------ bytes ------------------ */

static bool write_at(int fd, const void *data, size_t bytes, int64_t at)
{
    const char *p = data;
    while (bytes > 0) {
        const ssize_t n = pwrite(fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : EIO;
            return false;
        }
        p += n;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool read_at(int fd, void *data, size_t bytes, int64_t at)
{
    char *p = data;
    while (bytes > 0) {
        const ssize_t n = pread(fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : EIO;
            return false;
        }
        p += n;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

bool head_write(int fd, const char *terms, int units, int64_t *end)
{
    const size_t length = strlen(terms), bytes = sizeof(struct index_head) + filled_up(length);
    struct index_head h = {.order = INDEX_ORDER,
                           .units = (uint32_t)units,
                           .terms = (uint32_t)length,
                           .terms_sum = sum_of(terms, length)};
    memcpy(h.magic, INDEX_MAGIC, sizeof h.magic);
    h.sum = sum_of(&h, offsetof(struct index_head, sum));
    char *all = calloc(1, bytes);
    if (!all) {
        errno = ENOMEM;
        return false;
    }
    memcpy(all, &h, sizeof h);
    memcpy(all + sizeof h, terms, length);
    const bool written = write_at(fd, all, bytes, 0);
    free(all);
    *end = (int64_t)bytes;
    return written;
}

/* ------------------------------------------------------------------ what is pending -------- */

bool pending_create(struct index *index)
{
    struct pending *p = calloc(1, sizeof *p);
    index->pending = p;
    if (!p)
        return false;
    p->vectors = calloc((size_t)rows_of_block(index->units) * (size_t)index->units, sizeof(float));
    p->entries = calloc(MOST_ENTRIES, sizeof *p->entries);
    return p->vectors && p->entries;
}

void pending_free(struct index *index)
{
    if (!index->pending)
        return;
    text_free(&index->pending->table);
    free(index->pending->vectors);
    free(index->pending->entries);
    free(index->pending);
    index->pending = NULL;
}

static bool no_memory(void)
{
    complain(NULL, "no memory");
    return false;
}

bool index_add(struct index *index, const char *name, struct mark mark, const float *vector,
               const char *error)
{
    struct pending *p = index->pending;
    const size_t units = (size_t)index->units;
    if (!vector && !error)
        mark.size = -1;
    const int entry = entry_set(index, name, mark, vector ? NULL : error);
    if (entry < 0)
        return no_memory();
    const char *reason = vector || !error ? "" : *error ? error : "no picture";
    const struct table_entry e = {mark.size, mark.mtime, (uint32_t)strlen(name),
                                  (uint32_t)strlen(reason)};
    if (p->count == 0)
        p->since = now_ms();
    text_add(&p->table, &e, sizeof e);
    text_add(&p->table, name, e.name + (size_t)1);
    text_add(&p->table, reason, e.error + (size_t)1);
    if (p->table.failed)
        return no_memory();
    if (vector) {
        memcpy(p->vectors + (size_t)p->rows * units, vector, units * sizeof *vector);
        p->entries[p->rows++] = entry;
    }
    p->count++;
    const bool full = p->rows == rows_of_block(index->units) || p->count == MOST_ENTRIES ||
                      p->table.length > MOST_TABLE / 2;
    return !full || index_flush(index);
}

bool index_is_due(const struct index *index)
{
    return index->pending->count > 0 && now_ms() - index->pending->since > WAIT_MS;
}

/* ------------------------------------------------------------------ blocks ----------------- */

/* The file that takes the next block; -1: there is none, which was said. */
static int choose_file(struct index *index)
{
    if (index->writable && !index->full)
        return 0;
    if (index->files[1] < 0) {
        FILE *nameless = tmpfile();
        index->files[1] = nameless ? dup(fileno(nameless)) : -1;
        if (index->files[1] < 0)
            complain("a file without a name", "%s", strerror(errno));
        if (nameless)
            fclose(nameless);
    }
    return index->files[1] < 0 ? -1 : 1;
}

/* Table and vectors first, then the head: a block without one is not there. */
static bool write_block(struct index *index, int file, const struct block_head *given)
{
    struct block_head h = *given;
    const struct pending *p = index->pending;
    const size_t vectors = (size_t)p->rows * (size_t)index->units * sizeof(float);
    const int fd = index->files[file];
    const int64_t at = index->end[file];
    h.at = (uint64_t)at;
    h.sum = sum_of(&h, offsetof(struct block_head, sum));
    const int64_t table_at = at + (int64_t)sizeof h;
    return write_at(fd, p->table.data, p->table.length, table_at) &&
           write_at(fd, p->vectors, vectors, table_at + (int64_t)p->table.length) &&
           write_at(fd, &h, sizeof h, at);
}

/* What was written in part is cut off. */
static bool put_block(struct index *index, int file, const struct block_head *h)
{
    if (write_block(index, file, h))
        return true;
    const int error = errno;
    const int cut = ftruncate(index->files[file], (off_t)index->end[file]);
    (void)cut;
    complain(file == 0 ? index->path : "a file without a name", "%s%s", strerror(error),
             file == 0 ? ": what is new from here on is not kept" : "");
    index->full = true;
    return false;
}

bool index_flush(struct index *index)
{
    static const char zeros[8];
    struct pending *p = index->pending;
    if (p->count == 0)
        return true;
    text_add(&p->table, zeros, filled_up(p->table.length) - p->table.length);
    if (p->table.failed)
        return no_memory();
    const size_t vectors = (size_t)p->rows * (size_t)index->units * sizeof(float);
    const struct block_head h = {.magic = BLOCK_MAGIC,
                                 .entries = (uint32_t)p->count,
                                 .vectors = (uint32_t)p->rows,
                                 .table = p->table.length,
                                 .table_sum = sum_of(p->table.data, p->table.length),
                                 .vectors_sum = sum_of(p->vectors, vectors)};
    int file = choose_file(index);
    if (file == 0 && !put_block(index, file, &h))
        file = choose_file(index);
    if (file < 0 || (file == 1 && !put_block(index, file, &h)))
        return false;
    struct index_block block = {.file = file, .rows = p->rows, .sum = h.vectors_sum};
    block.at = index->end[file] + (int64_t)(sizeof h + p->table.length);
    index->end[file] = block.at + (int64_t)vectors;
    const bool added = block_add(index, &block, p->entries);
    p->table.length = 0;
    p->count = p->rows = 0;
    return added || no_memory();
}

bool index_sync(struct index *index)
{
    if (!index->writable || fsync(index->files[0]) == 0 || errno == EINVAL || errno == ENOTSUP)
        return true;
    complain(index->path, "%s", strerror(errno));
    return false;
}

/* ------------------------------------------------------------------ read again ------------- */

size_t index_block_bytes(const struct index *index)
{
    return (size_t)rows_of_block(index->units) * (size_t)index->units * sizeof(float);
}

bool index_read(const struct index *index, int block, float *vectors)
{
    const struct index_block *b = &index->blocks[block];
    const size_t bytes = (size_t)b->rows * (size_t)index->units * sizeof(float);
    return read_at(index->files[b->file], vectors, bytes, b->at) &&
           sum_of(vectors, bytes) == b->sum;
}

bool index_vector(const struct index *index, int entry, float *vector)
{
    const struct entry *e = &index->entries[entry];
    if (e->block < 0)
        return false;
    const struct index_block *b = &index->blocks[e->block];
    const size_t bytes = (size_t)index->units * sizeof(float);
    return read_at(index->files[b->file], vector, bytes, b->at + (int64_t)(bytes * (size_t)e->row));
}
