/* serve/jobfiles.c: see jobfiles.h. */
#define _DEFAULT_SOURCE
#include "jobfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/say.h"

enum { MOST_FILE = 1 << 30, MOST_FILES = 100000 };

/* ------------------------------------------------------------------ parts ------------------ */

void part_put(struct text *out, const void *data, size_t bytes)
{
    text_format(out, "%zu:", bytes);
    text_add(out, data, bytes);
    text_put(out, ",");
}

bool part_take(const void **data, size_t *bytes, const struct text *file, size_t *at)
{
    size_t length = 0, i = *at;
    while (i < file->length && file->data[i] >= '0' && file->data[i] <= '9' && length < MOST_FILE)
        length = 10 * length + (size_t)(file->data[i++] - '0');
    if (i == *at || i >= file->length || file->data[i] != ':' || length >= file->length - i - 1 ||
        file->data[i + 1 + length] != ',')
        return false;
    *data = file->data + i + 1;
    *bytes = length;
    *at = i + length + 2;
    return true;
}

bool part_take_text(char *out, size_t room, const struct text *file, size_t *at)
{
    const void *data;
    size_t bytes;
    if (!part_take(&data, &bytes, file, at) || bytes >= room || memchr(data, 0, bytes))
        return false;
    memcpy(out, data, bytes);
    out[bytes] = '\0';
    return true;
}

/* ------------------------------------------------------------------ files ------------------ */

/* "FOLDER/ID.ending", to be freed; NULL: complained. */
static char *path_of(const char *folder, const char *id, const char *ending)
{
    struct text path = {0};
    text_format(&path, "%s/%s.%s", folder, id, ending);
    if (!path.failed)
        return path.data;
    text_free(&path);
    complain(NULL, "no memory");
    return NULL;
}

static bool fail(const char *path)
{
    complain(path, "%s", strerror(errno));
    return false;
}

static bool write_all(int fd, const struct text *data)
{
    for (size_t done = 0; done < data->length;) {
        const ssize_t n = write(fd, data->data + done, data->length - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* A rename is on the disk once its folder is. */
static bool sync_folder(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(folder);
    const bool synced = fsync(fd) == 0 || fail(folder);
    close(fd);
    return synced;
}

static bool write_synced(const char *path, const struct text *data)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(path);
    const bool written = (write_all(fd, data) && fsync(fd) == 0) || fail(path);
    if (close(fd) != 0 && written)
        return fail(path);
    return written;
}

bool jobfile_write(const char *folder, const char *id, const char *ending, const struct text *data)
{
    char *path = path_of(folder, id, ending), *half = path_of(folder, id, "half");
    bool written = path && half && write_synced(half, data);
    if (written && rename(half, path) != 0)
        written = fail(path);
    if (!written && half)
        unlink(half);
    written = written && sync_folder(folder);
    free(path);
    free(half);
    return written;
}

static bool read_all(struct text *out, int fd, const char *path)
{
    char piece[65536];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno != EINTR)
            return fail(path);
        text_add(out, piece, n > 0 ? (size_t)n : 0);
        if (out->failed || out->length > MOST_FILE) {
            complain(path, "too large");
            return false;
        }
    }
    return true;
}

enum jobfile_read jobfile_read(struct text *out, const char *folder, const char *id,
                               const char *ending)
{
    char *path = path_of(folder, id, ending);
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    const bool gone = path && fd < 0 && errno == ENOENT;
    const bool there = fd >= 0 ? read_all(out, fd, path) : path && fail(path);
    if (fd >= 0)
        close(fd);
    free(path);
    return there ? JOBFILE_READ : gone ? JOBFILE_GONE : JOBFILE_UNREADABLE;
}

void jobfile_remove(const char *folder, const char *id, const char *ending)
{
    char *path = path_of(folder, id, ending);
    if (path && unlink(path) != 0 && errno != ENOENT)
        fail(path);
    free(path);
}

/* ------------------------------------------------------------------ folder ----------------- */

/* Whether the name is an id with that ending. */
static bool is_named(const char *name, const char *ending)
{
    return strspn(name, "0123456789abcdef") == JOB_ID - 1 && name[JOB_ID - 1] == '.' &&
           strcmp(name + JOB_ID, ending) == 0;
}

static int by_time(const void *a, const void *b)
{
    const struct jobfile *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->nanoseconds != y->nanoseconds)
        return x->nanoseconds < y->nanoseconds ? -1 : 1;
    return strcmp(x->id, y->id);
}

static bool add_file(struct jobfile **out, int *count, int folder, const char *name)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
        return true;
    struct jobfile *files = realloc(*out, ((size_t)*count + 1) * sizeof *files);
    if (!files) {
        complain(NULL, "no memory");
        return false;
    }
    *out = files;
    struct jobfile *file = &files[(*count)++];
    *file = (struct jobfile){.result = is_named(name, "result"),
                             .time = info.st_mtim.tv_sec,
                             .nanoseconds = info.st_mtim.tv_nsec,
                             .bytes = (size_t)info.st_size};
    memcpy(file->id, name, JOB_ID - 1);
    return true;
}

int jobfiles_lock(const char *folder)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        fail(folder);
        return -1;
    }
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0 && errno == EWOULDBLOCK)
        complain(folder, "another server keeps its jobs there");
    else
        fail(folder);
    if (fd >= 0)
        close(fd);
    return -1;
}

bool jobfiles_list(struct jobfile **out, int *count, const char *folder)
{
    *out = NULL;
    *count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return fail(folder);
    bool listed = true;
    const struct dirent *entry;
    while (listed && *count < MOST_FILES && (entry = readdir(dir)) != NULL) {
        if (is_named(entry->d_name, "half"))
            unlinkat(dirfd(dir), entry->d_name, 0);
        else if (is_named(entry->d_name, "request") || is_named(entry->d_name, "result"))
            listed = add_file(out, count, dirfd(dir), entry->d_name);
    }
    closedir(dir);
    if (*count > 0)
        qsort(*out, (size_t)*count, sizeof **out, by_time);
    return listed;
}
