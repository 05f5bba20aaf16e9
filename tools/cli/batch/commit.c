/* batch/commit.c: see commit.h. */
#define _POSIX_C_SOURCE 200809L
#include "commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/outputs.h"
#include "tools/cli/parallel.h"
#include "tools/cli/say.h"

struct part {
    struct parts *parts;
    char *name, *key;
    char *path, *under_way; /* path: with the folder; under_way: with .part */
    FILE *file;             /* NULL: closed */
    struct digest *digest;
    uint8_t sum[DIGEST_BYTES];
    int64_t bytes;
    bool synced, named, kept; /* kept: it was there before */
};

char *path_in(const char *folder, const char *name)
{
    if (!folder)
        return strdup(name);
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static bool stop(struct parts *parts, const char *path, int error)
{
    if (!parts->stopped)
        complain(path, "%s", error ? strerror(error) : "no memory");
    parts->stopped = true;
    return false;
}

/* ------------------------------------------------------------------ a part ----------------- */

static void part_free(struct part *p)
{
    if (p->file)
        fclose(p->file);
    if (p->digest)
        digest_end(p->digest, NULL);
    if (!p->named && p->under_way)
        unlink(p->under_way);
    free(p->name);
    free(p->key);
    free(p->path);
    free(p->under_way);
    free(p);
}

static struct part *part_new(struct parts *parts, const char *name)
{
    struct part *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->parts = parts;
    p->name = strdup(name);
    p->path = path_in(parts->folder, name);
    const size_t size = p->path ? strlen(p->path) + sizeof ".part" : 0;
    p->under_way = size ? malloc(size) : NULL;
    p->digest = digest_begin();
    if (p->name && p->under_way && p->digest) {
        snprintf(p->under_way, size, "%s.part", p->path);
        return p;
    }
    part_free(p);
    return NULL;
}

static bool make_room(struct parts *parts)
{
    if (parts->count < parts->room)
        return true;
    const int room = parts->room ? 2 * parts->room : 16;
    struct part **all = realloc(parts->all, (size_t)room * sizeof *all);
    if (!all)
        return false;
    parts->all = all;
    parts->room = room;
    return true;
}

struct part *part_open(struct parts *parts, const char *name)
{
    if (parts->stopped)
        return NULL;
    struct part *p = make_room(parts) ? part_new(parts, name) : NULL;
    if (!p) {
        stop(parts, name, 0);
        return NULL;
    }
    parts->all[parts->count++] = p;
    if (!make_folders(p->under_way)) {
        parts->stopped = true;
        return NULL;
    }
    p->file = fopen(p->under_way, "we");
    if (p->file)
        return p;
    stop(parts, p->under_way, errno);
    return NULL;
}

bool part_belongs(struct part *p, const char *key)
{
    p->key = strdup(key);
    return p->key || stop(p->parts, p->path, 0);
}

/* The bytes of 64 small hexadecimal digits; false: it is not that. */
static bool read_digest(uint8_t out[DIGEST_BYTES], const char *text)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != DIGEST_TEXT - 1 || strspn(text, digits) != DIGEST_TEXT - 1)
        return false;
    for (int i = 0; i < DIGEST_BYTES; i++)
        out[i] = (uint8_t)(16 * (strchr(digits, text[2 * i]) - digits) +
                           (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

bool part_keep(struct parts *parts, const char *name, const char *key, int64_t bytes,
               const char *digest)
{
    struct part *p = make_room(parts) ? part_new(parts, name) : NULL;
    if (!p)
        return stop(parts, name, 0);
    parts->all[parts->count++] = p;
    p->bytes = bytes;
    p->kept = p->named = p->synced = true;
    return read_digest(p->sum, digest) && part_belongs(p, key);
}

bool part_write(struct part *p, const void *data, size_t bytes)
{
    if (!p || p->parts->stopped)
        return false;
    if (bytes == 0)
        return true;
    errno = 0;
    if (fwrite(data, 1, bytes, p->file) != bytes)
        return stop(p->parts, p->path, errno ? errno : EIO);
    digest_add(p->digest, data, bytes);
    p->bytes += (int64_t)bytes;
    return true;
}

bool part_close(struct part *p)
{
    if (!p || p->parts->stopped)
        return false;
    if (!p->file)
        return true;
    errno = 0;
    const bool closed = fclose(p->file) == 0;
    p->file = NULL;
    if (!closed)
        return stop(p->parts, p->path, errno ? errno : EIO);
    digest_end(p->digest, p->sum);
    p->digest = NULL;
    return true;
}

int64_t part_bytes(const struct part *p)
{
    return p->bytes;
}

struct part_info part_info(const struct parts *parts, int i)
{
    const struct part *p = parts->all[i];
    struct part_info info = {.name = p->name, .key = p->key, .bytes = p->bytes};
    digest_text(info.digest, p->sum);
    return info;
}

/* ------------------------------------------------------------------ all of them ------------ */

bool folder_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    /* Some file systems cannot do that for a folder, and need not. */
    const bool synced = fsync(fd) == 0 || errno == EINVAL || errno == EBADF || errno == ENOTSUP;
    close(fd);
    return synced;
}

/* The folder of the file, and where it was made just now those above it, up to ours. */
static bool sync_above(struct parts *parts, const char *path)
{
    char *folder = strdup(path);
    bool good = folder != NULL;
    for (char *slash; good && (slash = strrchr(folder, '/')) != NULL;) {
        *slash = '\0';
        if (strlen(folder) < strlen(parts->folder))
            break;
        good = folder_sync(folder);
    }
    const int error = folder ? errno : 0;
    free(folder);
    return good || stop(parts, path, error);
}

static size_t folder_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path);
}

/* On any thread. */
static bool sync_one(void *payload, int i)
{
    struct part *p = ((struct parts *)payload)->all[i];
    if (p->kept)
        return true;
    const int fd = open(p->under_way, O_RDWR | O_CLOEXEC);
    p->synced = fd >= 0 && fsync(fd) == 0;
    if (!p->synced)
        complain(p->path, "%s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return p->synced;
}

static bool listen(void *payload, int i)
{
    (void)payload, (void)i;
    return true;
}

static bool look_at(void *payload, int i, bool begun)
{
    struct parts *parts = payload;
    parts->stopped |= !begun || !parts->all[i]->synced;
    return !parts->stopped;
}

/* Many at once: the disk is waited for about as long as for one. */
static void sync_all(struct parts *parts)
{
    struct piece_state *states = calloc((size_t)parts->count + 1, sizeof *states);
    if (!states) {
        stop(parts, parts->folder, 0);
        return;
    }
    do_in_parallel(&(struct pieces){.count = parts->count,
                                    .threads = parts->count,
                                    .states = states,
                                    .payload = parts,
                                    .work = sync_one,
                                    .listens = listen,
                                    .finish = look_at});
    free(states);
}

bool parts_commit(struct parts *parts)
{
    for (int i = 0; i < parts->count; i++)
        part_close(parts->all[i]);
    if (!parts->stopped && parts->count > 0)
        sync_all(parts);
    for (int i = 0; i < parts->count && !parts->stopped; i++) {
        struct part *p = parts->all[i];
        if (!p->kept && rename(p->under_way, p->path) != 0)
            return stop(parts, p->path, errno);
        p->named = true;
    }
    const char *before = NULL; /* neighbours mostly lie in one folder */
    for (int i = 0; i < parts->count && !parts->stopped; i++) {
        const char *path = parts->all[i]->path;
        const size_t n = folder_length(path);
        if (!before || folder_length(before) != n || strncmp(before, path, n) != 0)
            sync_above(parts, path);
        before = path;
    }
    return !parts->stopped;
}

void parts_end(struct parts *parts)
{
    for (int i = 0; i < parts->count; i++)
        part_free(parts->all[i]);
    free(parts->all);
    *parts = (struct parts){.folder = parts->folder};
}

/* ------------------------------------------------------------------ small files ------------ */

bool file_put(const char *folder, const char *name, const char *text, size_t bytes)
{
    struct parts parts = {.folder = folder};
    struct part *p = part_open(&parts, name);
    const bool put = part_write(p, text, bytes) && parts_commit(&parts);
    parts_end(&parts);
    return put;
}

char *file_get(const char *folder, const char *name, size_t most, size_t *bytes, int *error)
{
    char *path = path_in(folder, name), *data = NULL;
    struct stat info;
    FILE *file = path ? fopen(path, "re") : NULL;
    *error = errno;
    if (file && fstat(fileno(file), &info) == 0 && (uint64_t)info.st_size <= most) {
        data = malloc((size_t)info.st_size + 1);
        *bytes = data ? fread(data, 1, (size_t)info.st_size, file) : 0;
        if (data)
            data[*bytes] = '\0';
    }
    if (file) {
        *error = EFBIG;
        fclose(file);
    }
    free(path);
    return data;
}
