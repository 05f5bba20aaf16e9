/* search/index_open.c: opens, locks and reads the file of an index; see index.h. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "index_parts.h"
#include "sum.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"

/* ------------------------------------------------------------------ the lock --------------- */

enum { PAUSE_MS = 100 };

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

/* Whether the file has its name still: it may have been written anew, or removed. */
static bool has_name(int fd, const char *path)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

static void say_waiting(int fd, const char *path, bool quiet)
{
    struct flock lock = whole_file();
    if (!quiet && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        complain(path, "process %ld writes it; this one waits (--no-update does not)",
                 (long)lock.l_pid);
}

/* Waits for the lock. A file system without locks is said, and goes on: a block that two write at
 * once has wrong sums, so it is not there. */
static int await_lock(int fd, const char *path, bool quiet)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    struct flock lock = whole_file();
    bool said = false;
    while (fcntl(fd, F_SETLK, &lock) != 0) {
        if (errno != EACCES && errno != EAGAIN && errno != EINTR) {
            if (!quiet)
                complain("warning", "%s: no locks in its file system (%s): one process at a time",
                         path, strerror(errno));
            return DONE;
        }
        if (!said)
            say_waiting(fd, path, quiet);
        said = true;
        if (progress_interrupted())
            return SOME_FAILED;
        nanosleep(&pause, NULL);
    }
    return DONE;
}

/* ------------------------------------------------------------------ the file --------------- */

static int failed(const struct index *index, int error)
{
    complain(index->path, "%s", error ? strerror(error) : "no memory");
    return SOME_FAILED;
}

/* What cannot be written may be read; what is not there either is kept nowhere. */
static int open_unwritable(struct index *index, bool quiet)
{
    const int error = errno;
    index->files[0] = open(index->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!quiet && index->files[0] < 0)
        complain("note", "%s: %s: vectors are not kept", index->path, strerror(error));
    return DONE;
}

/* A pipe is not waited for: it is no file, which is said later. */
static int open_file(struct index *index, enum index_for what, bool quiet)
{
    for (;;) {
        const int flags = what == INDEX_TO_READ ? O_RDONLY : O_RDWR | O_CREAT;
        const int fd = open(index->path, flags | O_CLOEXEC | O_NONBLOCK, 0666);
        if (fd < 0 && what == INDEX_TO_WRITE &&
            (errno == EACCES || errno == EROFS || errno == EPERM))
            return open_unwritable(index, quiet);
        if (fd < 0)
            return failed(index, errno);
        index->files[0] = fd;
        if (what == INDEX_TO_READ)
            return DONE;
        const int status = await_lock(fd, index->path, quiet);
        index->writable = true;
        if (status != DONE || has_name(fd, index->path))
            return status;
        close(fd);
        index->files[0] = -1;
    }
}

/* ------------------------------------------------------------------ the head --------------- */

static bool head_fits(const struct index_head *h)
{
    return memcmp(h->magic, INDEX_MAGIC, sizeof h->magic) == 0 && h->order == INDEX_ORDER &&
           h->sum == sum_of(h, offsetof(struct index_head, sum)) && h->units >= 1 &&
           h->units <= MOST_UNITS && h->terms <= MOST_TERMS;
}

/* The line that `there` has otherwise, in a message. */
static int say_difference(const struct index *index, const char *there, const char *here)
{
    while (*there && *here) {
        const int a = (int)strcspn(there, "\n"), b = (int)strcspn(here, "\n");
        if (a != b || memcmp(there, here, (size_t)a) != 0) {
            complain(index->path,
                     "is of other vectors: \"%.*s\", and here it is \"%.*s\"; --index "
                     "names another file",
                     a < 200 ? a : 200, there, b < 200 ? b : 200, here);
            return SOME_FAILED;
        }
        there += a + (there[a] == '\n');
        here += b + (here[b] == '\n');
    }
    complain(index->path, "is of other vectors; --index names another file");
    return SOME_FAILED;
}

static int check_terms(struct index *index, const struct index_head *h, const char *terms)
{
    char *there = calloc(1, (size_t)h->terms + 1);
    if (!there)
        return failed(index, 0);
    int status = DONE;
    if (!read_at(index->files[0], there, h->terms, sizeof *h) ||
        sum_of(there, h->terms) != h->terms_sum) {
        complain(index->path, "is damaged at its beginning: remove it, or --index names another");
        status = SOME_FAILED;
    } else if (strcmp(there, terms) != 0 || (int)h->units != index->units) {
        status = say_difference(index, there, terms);
    }
    free(there);
    index->end[0] = (int64_t)(sizeof *h + filled_up(h->terms));
    return status;
}

/* Whether the file is a head that was being written when its process ended. */
static bool is_torn_head(const struct index_head *h, int64_t size, const char *terms)
{
    const size_t n = size < 16 ? (size_t)size : 16;
    return size <= (int64_t)(sizeof *h + filled_up(strlen(terms))) &&
           memcmp(h->magic, INDEX_MAGIC, n) == 0;
}

static int take_head(struct index *index, int64_t size, const char *terms, bool anew)
{
    struct index_head h = {.magic = ""};
    const size_t there = size < (int64_t)sizeof h ? (size_t)size : sizeof h;
    if (!read_at(index->files[0], &h, there, 0))
        return failed(index, errno);
    const bool torn = is_torn_head(&h, size, terms);
    if (there == sizeof h && head_fits(&h) && size >= (int64_t)sizeof h + h.terms && !anew)
        return check_terms(index, &h, terms);
    if (!torn && !anew && h.order != INDEX_ORDER &&
        memcmp(h.magic, INDEX_MAGIC, sizeof h.magic) == 0) {
        complain(index->path, "was written by a machine of another kind, or is damaged");
        return SOME_FAILED;
    }
    if (!torn && !anew) {
        complain(index->path, "is no index of vitx-cli search");
        return SOME_FAILED;
    }
    if (!index->writable) {
        complain(index->path, "is not complete");
        return SOME_FAILED;
    }
    if (ftruncate(index->files[0], 0) != 0 ||
        !head_write(index->files[0], terms, index->units, &index->end[0]))
        return failed(index, errno);
    return DONE;
}

/* ------------------------------------------------------------------ blocks ----------------- */

static bool block_fits(const struct index *index, const struct block_head *h, int64_t at,
                       int64_t size)
{
    const int64_t left = size - at - (int64_t)sizeof *h;
    if (h->magic != BLOCK_MAGIC || h->at != (uint64_t)at ||
        h->sum != sum_of(h, offsetof(struct block_head, sum)))
        return false;
    if (h->entries < 1 || h->entries > MOST_ENTRIES || h->vectors > h->entries ||
        (int)h->vectors > rows_of_block(index->units) || h->table > MOST_TABLE ||
        h->table < h->entries * sizeof(struct table_entry) || h->table % 8 != 0)
        return false;
    const int64_t vectors = (int64_t)h->vectors * index->units * (int64_t)sizeof(float);
    return (int64_t)h->table <= left && vectors <= left - (int64_t)h->table;
}

/* A text of so many bytes and a zero byte; NULL: there is none. */
static const char *text_at(const char *table, size_t bytes, size_t *at, uint32_t length)
{
    if (bytes - *at < 1 || length > bytes - *at - 1)
        return NULL;
    const char *text = table + *at;
    if (text[length] != '\0' || memchr(text, '\0', length))
        return NULL;
    *at += (size_t)length + 1;
    return text;
}

/* The entries of a table; those with a vector into rows[vectors]. 1: done, 0: the table is none,
 * -1: no memory. */
static int take_entries(struct index *index, const struct block_head *h, const char *table,
                        int *rows)
{
    size_t at = 0;
    uint32_t vectors = 0;
    for (uint32_t i = 0; i < h->entries; i++) {
        struct table_entry e;
        if (h->table - at < sizeof e)
            return 0;
        memcpy(&e, table + at, sizeof e);
        at += sizeof e;
        const char *name = text_at(table, h->table, &at, e.name);
        const char *error = name ? text_at(table, h->table, &at, e.error) : NULL;
        const bool has_vector = error && !*error && e.size >= 0;
        if (!error || !*name || (has_vector && vectors == h->vectors))
            return 0;
        const int entry =
            entry_set(index, name, (struct mark){e.size, e.mtime}, *error ? error : NULL);
        if (entry < 0)
            return -1;
        if (has_vector)
            rows[vectors++] = entry;
    }
    return vectors == h->vectors;
}

/* The block at index->end[0]: 1, and it ends there; 0: there is none; -1: no memory. */
static int take_block(struct index *index, int64_t size)
{
    struct block_head h;
    const int64_t at = index->end[0];
    if (size - at < (int64_t)sizeof h || !read_at(index->files[0], &h, sizeof h, at) ||
        !block_fits(index, &h, at, size))
        return 0;
    char *table = malloc(h.table);
    int *rows = calloc((size_t)h.vectors + 1, sizeof *rows), taken = table && rows ? 0 : -1;
    const int64_t vectors_at = at + (int64_t)(sizeof h + h.table);
    if (taken == 0 && read_at(index->files[0], table, h.table, at + (int64_t)sizeof h) &&
        sum_of(table, h.table) == h.table_sum)
        taken = take_entries(index, &h, table, rows);
    const struct index_block block = {
        .at = vectors_at, .rows = (int)h.vectors, .sum = h.vectors_sum};
    if (taken == 1 && !block_add(index, &block, rows))
        taken = -1;
    if (taken == 1)
        index->end[0] = vectors_at + (int64_t)h.vectors * index->units * (int64_t)sizeof(float);
    free(table);
    free(rows);
    return taken;
}

static int read_file(struct index *index, const char *terms, bool anew, bool quiet)
{
    struct stat info;
    int taken = 1;
    if (fstat(index->files[0], &info) != 0)
        return failed(index, errno);
    if (!S_ISREG(info.st_mode)) {
        complain(index->path, "is no file");
        return SOME_FAILED;
    }
    const int status = take_head(index, info.st_size, terms, anew);
    if (status != DONE || info.st_size <= index->end[0] || anew)
        return status;
    while (taken == 1 && index->end[0] < info.st_size)
        taken = take_block(index, info.st_size);
    if (taken < 0)
        return failed(index, 0);
    if (!index->writable)
        index->torn = info.st_size - index->end[0];
    if (index->end[0] == info.st_size || !index->writable)
        return DONE;
    if (!quiet)
        complain("note", "%s: %lld bytes at its end are not whole, and were cut off", index->path,
                 (long long)(info.st_size - index->end[0]));
    return ftruncate(index->files[0], index->end[0]) == 0 ? DONE : failed(index, errno);
}

int index_open(struct index *index, const char *path, const char *terms, int units,
               enum index_for what, bool quiet)
{
    *index = (struct index){.files = {-1, -1}, .units = units};
    if (units < 1 || units > MOST_UNITS || strlen(terms) > MOST_TERMS) {
        complain(path, "vectors of %d numbers are not kept", units);
        return SOME_FAILED;
    }
    index->path = path ? strdup(path) : NULL;
    if ((path && !index->path) || !pending_create(index))
        return failed(index, 0);
    const int status = path ? open_file(index, what, quiet) : DONE;
    if (status != DONE || index->files[0] < 0)
        return status;
    return read_file(index, terms, what == INDEX_ANEW, quiet);
}

void index_close(struct index *index)
{
    index_forget(index);
    for (int i = 0; i < 2; i++)
        if (index->files[i] >= 0)
            close(index->files[i]);
    free(index->path);
    *index = (struct index){.files = {-1, -1}};
}
