/* cli/folder.c: see folder.h. */
#define _POSIX_C_SOURCE 200809L
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

enum { MOST_DEEP = 64 };

bool is_folder(const char *name)
{
    struct stat info;
    return stat(name, &info) == 0 && S_ISDIR(info.st_mode);
}

bool ends_as_a_picture(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp", "gif",
                                          "pnm", "ppm",  "pgm", "pbm", "avif", "heic", "heif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static char *join(const char *folder, const char *name)
{
    const size_t n = strlen(folder), size = n + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    return path;
}

/* ------------------------------------------------------------------ what cannot be read ---- */

void unread_free(struct unread *unread)
{
    list_free(&unread->names);
    list_free(&unread->reasons);
}

/* reason: borrowed */
static int add_unread(struct unread *unread, const char *name, const char *reason)
{
    if (list_add(&unread->names, name, strlen(name)) &&
        list_add(&unread->reasons, reason, strlen(reason)))
        return DONE;
    return no_memory();
}

/* ------------------------------------------------------------------ the walk --------------- */

struct walk {
    struct list *pictures;
    struct unread *unread;
};

/* The names in a folder, in any order. A folder that may not be entered has names that lead
 * nowhere. */
static int read_names(struct list *names, const struct walk *walk, const char *folder)
{
    DIR *dir = opendir(folder);
    int status = DONE;
    if (!dir || access(folder, X_OK) != 0) {
        status = add_unread(walk->unread, folder, strerror(errno));
        if (dir)
            closedir(dir);
        return status;
    }
    while (status == DONE) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry && errno)
            status = add_unread(walk->unread, folder, strerror(errno));
        if (!entry)
            break;
        if (entry->d_name[0] != '.' && !list_add(names, entry->d_name, strlen(entry->d_name)))
            status = no_memory();
    }
    closedir(dir);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_folder(const struct walk *walk, const char *folder, int depth);

/* A picture, a folder, or nothing of that kind. */
static int add_path(const struct walk *walk, const char *path, int depth)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return add_unread(walk->unread, path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return add_folder(walk, path, depth + 1);
    if (!ends_as_a_picture(path) || is_folder(path))
        return DONE;
    return list_add(walk->pictures, path, strlen(path)) ? DONE : no_memory();
}

static int add_folder(const struct walk *walk, const char *folder, int depth)
{
    struct list names = {0};
    if (depth > MOST_DEEP) {
        char reason[64];
        snprintf(reason, sizeof reason, "more than %d folders in each other", MOST_DEEP);
        return add_unread(walk->unread, folder, reason);
    }
    int status = read_names(&names, walk, folder);
    if (status == DONE && names.count > 1)
        qsort(names.items, (size_t)names.count, sizeof *names.items, by_bytes);
    for (int i = 0; i < names.count && status == DONE; i++) {
        char *path = join(folder, names.items[i]);
        status = path ? add_path(walk, path, depth) : no_memory();
        free(path);
    }
    list_free(&names);
    return status;
}

int folder_expand(struct list *out, struct unread *unread, const char *name)
{
    const struct walk walk = {out, unread};
    const int before = out->count, unread_before = unread->names.count;
    const int status = add_folder(&walk, name, 0);
    if (status != DONE || out->count > before || unread->names.count > unread_before)
        return status;
    complain(name, "holds no pictures (files that end in .jpg, .png and the like)");
    return SOME_FAILED;
}
