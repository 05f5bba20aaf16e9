/* base/file.c: positioned reads of regular files, and small paths. */
#define _GNU_SOURCE
#include "base/file.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif

#define MAX_PATH_BYTES                                                                             \
    4096 /* Linux takes no more; the message must not be longer than its buffer */

int vx_file_open(vx_file **out, const char *path, const vitx_hooks *hooks)
{
    *out = NULL;
    const size_t length = strlen(path);
    if (length == 0)
        return vx_fail(VITX_IO, "an empty file name");
    if (length > MAX_PATH_BYTES)
        return vx_fail(VITX_IO, "%.200s...: a file name of %zu bytes is too long", path, length);
    /* Without O_NONBLOCK opening a FIFO would wait for a writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return vx_fail_in(VITX_IO, path, "%s", strerror(errno));
    struct stat info;
    int status = VITX_OK;
    if (fstat(fd, &info) != 0)
        status = vx_fail_in(VITX_IO, path, "%s", strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = vx_fail_in(VITX_IO, path, "%s, not a regular file",
                            S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
    vx_file *file = NULL;
    if (status == VITX_OK)
        status = vx_new(&file, hooks, 1, sizeof *file, "an open file");
    if (status == VITX_OK) {
        *file = (vx_file){.hooks = *hooks,
                          .fd = fd,
                          .size = (uint64_t)info.st_size,
                          .written_s = info.st_mtim.tv_sec,
                          .written_ns = info.st_mtim.tv_nsec};
        status = vx_strdup(&file->path, hooks, path);
    }
    if (status != VITX_OK) {
        vx_release(hooks, file);
        close(fd);
        return status;
    }
    *out = file;
    return VITX_OK;
}

void vx_file_close(vx_file *file)
{
    if (!file)
        return;
    const vitx_hooks hooks = file->hooks;
    if (file->fd >= 0)
        close(file->fd);
    vx_release(&hooks, file->path);
    vx_release(&hooks, file);
}

int vx_file_read(const vx_file *file, void *dst, uint64_t offset, size_t bytes)
{
    char *to = dst;
    uint64_t at = offset;
    size_t left = bytes;
    if (offset > INT64_MAX || bytes > (uint64_t)INT64_MAX - offset)
        return vx_fail_in(VITX_FORMAT, file->path, "a place beyond the largest file");
    if (file->fd < 0 && (offset > file->size || bytes > file->size - offset))
        return vx_fail_in(VITX_IO, file->path, "ends at byte %llu, expected %zu bytes from %llu",
                          (unsigned long long)file->size, bytes, (unsigned long long)offset);
    if (file->fd < 0) {
        if (bytes)
            memcpy(dst, file->memory + offset, bytes);
        return VITX_OK;
    }
    while (left) {
        const ssize_t got = pread(file->fd, to, left, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return vx_fail_in(VITX_IO, file->path, "%s", strerror(errno));
        if (got == 0)
            return vx_fail_in(VITX_IO, file->path,
                              "ends at byte %llu, expected %zu bytes from %llu (it had %llu "
                              "when it was opened)",
                              (unsigned long long)at, bytes, (unsigned long long)offset,
                              (unsigned long long)file->size);
        to += got;
        at += (uint64_t)got;
        left -= (size_t)got;
    }
    return VITX_OK;
}

int vx_file_unchanged(const vx_file *file)
{
    struct stat info;
    if (file->fd < 0)
        return VITX_OK;
    if (fstat(file->fd, &info) != 0)
        return vx_fail_in(VITX_IO, file->path, "%s", strerror(errno));
    if ((uint64_t)info.st_size == file->size && info.st_mtim.tv_sec == file->written_s &&
        info.st_mtim.tv_nsec == file->written_ns)
        return VITX_OK;
    return vx_fail_in(VITX_IO, file->path,
                      "was written to after it had been opened: open the model again");
}

bool vx_file_same(const vx_file *a, const vx_file *b)
{
    struct stat one, other;
    if (a->size != b->size || a->fd < 0 || b->fd < 0)
        return a->size == b->size && a->fd < 0 && b->fd < 0 && a->memory == b->memory;
    return a->written_s == b->written_s && a->written_ns == b->written_ns &&
           fstat(a->fd, &one) == 0 && fstat(b->fd, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

int vx_file_peek(void *dst, size_t *bytes, const char *path, const vitx_hooks *hooks)
{
    vx_file *file;
    VX_TRY(vx_file_open(&file, path, hooks));
    if (*bytes > file->size)
        *bytes = (size_t)file->size;
    const int status = vx_file_read(file, dst, 0, *bytes);
    vx_file_close(file);
    return status;
}

int vx_file_load(char **out, size_t *bytes, const char *path, size_t max_bytes,
                 const vitx_hooks *hooks)
{
    return vx_file_load_in(out, bytes, (vx_shelf){0}, path, max_bytes, hooks);
}

static const vitx_memory_file *find_on(vx_shelf shelf, const char *path)
{
    for (int i = 0; i < shelf.count; i++)
        if (strcmp(shelf.files[i].name, vx_base_name(path)) == 0)
            return &shelf.files[i];
    return NULL;
}

int vx_file_open_in(vx_file **out, vx_shelf shelf, const char *path, const vitx_hooks *hooks)
{
    if (!shelf.count)
        return vx_file_open(out, path, hooks);
    const vitx_memory_file *found = find_on(shelf, path);
    *out = NULL;
    if (!found)
        return vx_fail_in(VITX_IO, path, "is not among the files in memory");
    VX_TRY(vx_new(out, hooks, 1, sizeof **out, "an open file"));
    **out = (vx_file){.hooks = *hooks, .fd = -1, .memory = found->data, .size = found->bytes};
    const int status = vx_strdup(&(*out)->path, hooks, path);
    if (status != VITX_OK) {
        vx_release(hooks, *out);
        *out = NULL;
    }
    return status;
}

bool vx_path_exists_in(vx_shelf shelf, const char *path)
{
    return shelf.count ? find_on(shelf, path) != NULL : vx_path_exists(path);
}

int vx_file_load_in(char **out, size_t *bytes, vx_shelf shelf, const char *path, size_t max_bytes,
                    const vitx_hooks *hooks)
{
    vx_file *file;
    char *data = NULL;
    *out = NULL;
    VX_TRY(vx_file_open_in(&file, shelf, path, hooks));
    int status = VITX_OK;
    if (file->size > max_bytes)
        status = vx_fail_in(VITX_FORMAT, path, "%llu bytes, at most %zu are accepted",
                            (unsigned long long)file->size, max_bytes);
    const size_t size = (size_t)file->size;
    if (status == VITX_OK) {
        data = vx_alloc(hooks, size + 1);
        if (!data)
            status = vx_fail_in(VITX_NOMEM, path, "no memory for its %zu bytes", size);
    }
    if (status == VITX_OK)
        status = vx_file_read(file, data, 0, size);
    vx_file_close(file);
    if (status != VITX_OK) {
        vx_release(hooks, data);
        return status;
    }
    data[size] = '\0';
    *out = data;
    *bytes = size;
    return VITX_OK;
}

bool vx_path_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool vx_path_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

const char *vx_path_ending(const char *path)
{
    const char *dot = strrchr(path, '.');
    const char *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot + 1 : NULL;
}

int vx_path_join(char **out, const vitx_hooks *hooks, const char *folder, const char *name)
{
    const size_t length = strlen(folder), bytes = length + strlen(name) + 2;
    VX_TRY(vx_new(out, hooks, bytes, 1, "a path"));
    const bool slash = length > 0 && folder[length - 1] == '/';
    snprintf(*out, bytes, "%s%s%s", folder, slash ? "" : "/", name);
    return VITX_OK;
}

int vx_folder_names(vx_shelf shelf, const char *folder, vx_name_fn *visit, void *arg)
{
    int status = VITX_OK;
    for (int i = 0; i < shelf.count && status == VITX_OK; i++)
        status = visit(shelf.files[i].name, arg);
    if (shelf.count)
        return status;
    DIR *dir = opendir(folder);
    if (!dir)
        return vx_fail_in(VITX_IO, folder, "%s", strerror(errno));
    for (struct dirent *e; status == VITX_OK && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            status = visit(e->d_name, arg);
    closedir(dir);
    return status;
}

int vx_path_folder(char **out, const vitx_hooks *hooks, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return vx_strdup(out, hooks, ".");
    const size_t length = slash == path ? 1 : (size_t)(slash - path);
    VX_TRY(vx_new(out, hooks, length + 1, 1, "a path"));
    memcpy(*out, path, length);
    return VITX_OK;
}
