/* batch/archive.c: see pack.h. */
#define _POSIX_C_SOURCE 200809L
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stdin.h"
#include "tools/cli/progress.h"

enum { BLOCK = 1 << 18, MOST_NAME = 4096, MOST_MEMBERS = 4 * 1000 * 1000, MOST_RATIO = 200 };
#define MOST_BYTES ((int64_t)1 << 30) /* of a member, as of a picture on standard input */
#define FREE_BYTES ((int64_t)1 << 28) /* may come out of any archive */

struct pack {
    struct archive *archive;
    struct archive_entry *entry;
    int64_t members, came_out; /* bytes that were taken or passed over */
    int64_t size;              /* of a member's bytes by its header */
    bool compressed;
    char *block; /* of standard input */
    char why[512];
};

static bool fail(struct pack *p, const char *why)
{
    snprintf(p->why, sizeof p->why, "%s", why ? why : "no archive that can be read");
    return false;
}

static bool fail_by_library(struct pack *p)
{
    return fail(p, archive_error_string(p->archive));
}

/* What a few bytes can be inflated to. */
static bool check_ratio(struct pack *p)
{
    const int64_t read = archive_filter_bytes(p->archive, -1);
    if (p->came_out <= FREE_BYTES || p->came_out / MOST_RATIO <= read)
        return true;
    return fail(p, "more than 200 times its own bytes come out of the archive");
}

static void support(struct archive *a)
{
    archive_read_support_format_tar(a);
    archive_read_support_format_zip(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_bzip2(a);
}

static la_ssize_t read_stdin(struct archive *a, void *payload, const void **data)
{
    struct pack *p = payload;
    const ssize_t got = stdin_read(p->block, BLOCK);
    *data = p->block;
    if (got < 0)
        archive_set_error(a, EIO, "standard input cannot be read on");
    return got < 0 ? ARCHIVE_FATAL : got;
}

struct pack *pack_open(const char *path, char **why)
{
    struct pack *p = calloc(1, sizeof *p);
    *why = NULL;
    if (!p)
        return NULL;
    p->archive = archive_read_new();
    if (!p->archive) {
        free(p);
        return NULL;
    }
    support(p->archive);
    p->block = path ? NULL : malloc(BLOCK);
    int code = ARCHIVE_FATAL;
    if (path)
        code = archive_read_open_filename(p->archive, path, BLOCK);
    else if (p->block)
        code = archive_read_open(p->archive, p, NULL, read_stdin, NULL);
    if (code == ARCHIVE_OK)
        return p;
    fail_by_library(p);
    *why = strdup(p->why);
    pack_close(p);
    return NULL;
}

/* All that is left of the member, to where it leads: into *data (NULL: nowhere). */
static bool read_all(struct pack *p, char *data, size_t room, size_t *bytes)
{
    const void *block;
    size_t length;
    la_int64_t offset;
    int code;
    *bytes = 0;
    while ((code = archive_read_data_block(p->archive, &block, &length, &offset)) == ARCHIVE_OK) {
        p->came_out += (int64_t)length;
        if (progress_interrupted())
            return fail(p, "stopped");
        if (!check_ratio(p))
            return false;
        if (!data)
            continue;
        if (offset < 0 || (uint64_t)offset > room || length > room - (size_t)offset)
            return fail(p, "a member is longer than its header says");
        memcpy(data + offset, block, length);
        *bytes = (size_t)offset + length;
    }
    return code == ARCHIVE_EOF || fail_by_library(p);
}

/* Passes over what is left of a member. Of a plain archive that takes no reading. */
static bool pass_over(struct pack *p)
{
    size_t bytes;
    if (!p->entry)
        return true;
    p->entry = NULL;
    if (p->compressed)
        return read_all(p, NULL, 0, &bytes);
    return archive_read_data_skip(p->archive) >= ARCHIVE_WARN || fail_by_library(p);
}

/* The next member, whatever it is. */
static enum pack_step step(struct pack *p)
{
    if (!pass_over(p))
        return PACK_FAILED;
    const int code = archive_read_next_header(p->archive, &p->entry);
    if (code == ARCHIVE_EOF)
        return PACK_END;
    /* RETRY: a damaged header. What it may have been is not passed over in silence. */
    if (code < ARCHIVE_WARN || code == ARCHIVE_RETRY) {
        p->entry = NULL;
        fail_by_library(p);
        return PACK_FAILED;
    }
    p->compressed = archive_filter_count(p->archive) > 1 ||
                    (archive_format(p->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_ZIP;
    if (++p->members > MOST_MEMBERS) {
        fail(p, "more than 4,000,000 members");
        return PACK_FAILED;
    }
    return check_ratio(p) ? PACK_MEMBER : PACK_FAILED;
}

/* A file with bytes of its own, and a name that can be told. */
static const char *name_of_file(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);
    const bool file = archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) &&
                      !archive_entry_symlink(entry);
    return file && name && *name && strlen(name) <= MOST_NAME ? name : NULL;
}

enum pack_step pack_next(struct pack *p, struct pack_member *out)
{
    const char *name = NULL;
    while (!name) {
        const enum pack_step s = step(p);
        if (s != PACK_MEMBER)
            return s;
        name = name_of_file(p->entry);
    }
    p->size = archive_entry_size_is_set(p->entry) ? archive_entry_size(p->entry) : -1;
    *out = (struct pack_member){
        .name = name,
        .number = p->members - 1,
        .size = p->size,
        .mtime = archive_entry_mtime_is_set(p->entry) ? (int64_t)archive_entry_mtime(p->entry) : 0};
    return PACK_MEMBER;
}

/* Of a member whose header does not say how long it is. */
static bool take_unknown(struct pack *p, void **data, size_t *bytes)
{
    size_t room = 1 << 20, n = 0;
    char *all = malloc(room);
    while (all) {
        const la_ssize_t got = archive_read_data(p->archive, all + n, room - n);
        if (got <= 0) {
            *data = all;
            *bytes = n;
            if (got == 0)
                return true;
            free(all);
            return fail_by_library(p);
        }
        n += (size_t)got;
        p->came_out += got;
        if (!check_ratio(p) || (n == room && (int64_t)room >= MOST_BYTES)) {
            free(all);
            return *p->why ? false : fail(p, "a member of more than 1 GiB, which is no picture");
        }
        char *grown = n == room ? realloc(all, 2 * room) : all;
        if (!grown)
            free(all);
        room = n == room ? 2 * room : room;
        all = grown;
    }
    return fail(p, "no memory");
}

bool pack_take(struct pack *p, void **data, size_t *bytes)
{
    *data = NULL;
    *bytes = 0;
    *p->why = '\0';
    if (!p->entry)
        return fail(p, "no member");
    if (p->size > MOST_BYTES)
        return fail(p, "a member of more than 1 GiB, which is no picture");
    if (p->size < 0)
        return take_unknown(p, data, bytes);
    char *all = malloc((size_t)p->size + 1);
    if (!all)
        return fail(p, "no memory");
    if (!read_all(p, all, (size_t)p->size, bytes) || *bytes != (size_t)p->size) {
        free(all);
        return *p->why ? false : fail(p, "a member is shorter than its header says");
    }
    *data = all;
    p->entry = NULL;
    return true;
}

const char *pack_why(const struct pack *p)
{
    return p->why;
}

void pack_close(struct pack *p)
{
    if (!p)
        return;
    archive_read_free(p->archive);
    free(p->block);
    free(p);
}
