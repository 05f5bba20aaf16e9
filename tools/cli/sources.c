/* cli/sources.c: see sources.h. */
#define _POSIX_C_SOURCE 200809L
#include "sources.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "bundled.h"
#include "given.h"
#include "session.h"

static const char picture[] = "the picture", of_model[] = "a file of the model",
                  labels[] = "the labels", list[] = "the list";

struct source {
    dev_t device;
    ino_t inode;
    const char *what;
};

static int compare(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static bool identify(struct source *out, const char *path, const char *what)
{
    struct stat info;
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *out = (struct source){info.st_dev, info.st_ino, what};
    return true;
}

static void add(struct sources *s, const char *path, const char *what)
{
    struct source one;
    if (!path || !identify(&one, path, what))
        return;
    if (s->count == s->room) {
        const int room = s->room ? 2 * s->room : 16;
        struct source *files = realloc(s->files, (size_t)room * sizeof *files);
        s->lacks_memory |= !files;
        if (!files)
            return;
        s->files = files;
        s->room = room;
    }
    s->files[s->count++] = one;
}

void sources_add(struct sources *s, const char *path)
{
    add(s, path, picture);
}

/* ------------------------------------------------------------------ the model -------------- */

static bool ends_in(const char *name, const char *const *endings)
{
    const size_t length = strlen(name);
    for (; *endings; endings++) {
        const size_t n = strlen(*endings);
        if (length >= n && strcasecmp(name + length - n, *endings) == 0)
            return true;
    }
    return false;
}

/* Whether a file of a model's folder is the model's. Maps and pictures may lie there, too. */
static bool is_of_folder(const char *name)
{
    static const char *const others[] = {".png", ".npy", ".html", ".jpg", ".jpeg", NULL};
    return !ends_in(name, others);
}

/* Whether a file beside the weights is the model's. That folder may be any. */
static bool is_beside(const char *name)
{
    static const char *const endings[] = {".safetensors", ".npz",        ".bin", ".pt",
                                          ".pth",         ".ckpt",       ".tar", "config.json",
                                          "index.json",   "labels.json", NULL};
    return ends_in(name, endings) || strncmp(name, "labels.", 7) == 0;
}

/* The files of a folder that are the model's by their names. */
static void add_folder(struct sources *s, const char *folder, bool (*is_model)(const char *name))
{
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (!is_model(entry->d_name))
            continue;
        const size_t size = strlen(folder) + strlen(entry->d_name) + 2;
        char *path = malloc(size);
        s->lacks_memory |= !path;
        if (path) {
            snprintf(path, size, "%s/%s", folder, entry->d_name);
            add(s, path, of_model);
        }
        free(path);
    }
    if (dir)
        closedir(dir);
}

/* The folder that a file lies in; in place of its name. */
static const char *folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    slash[slash == path] = '\0';
    return path;
}

static void add_model(struct sources *s, const struct common *common)
{
    struct stat info;
    char *path = common->model ? strdup(common->model) : bundled_model(bundled_name(common));
    add(s, common->labels, labels);
    s->lacks_memory |= !path && common->model;
    if (!path || stat(path, &info) != 0) { /* what is not there is said when it is opened */
        free(path);
        return;
    }
    add(s, path, of_model);
    if (S_ISDIR(info.st_mode))
        add_folder(s, path, is_of_folder);
    else
        add_folder(s, folder_of(path), is_beside);
    free(path);
}

/* A folder of files, or one of them. */
static void add_place(struct sources *s, const char *path)
{
    struct stat info;
    if (!path || stat(path, &info) != 0)
        return;
    add(s, path, of_model);
    if (S_ISDIR(info.st_mode))
        add_folder(s, path, is_of_folder);
}

/* Of @LIST, in place of a picture or as the value of an option that has such. */
static void add_lists(struct sources *s, const struct given *given)
{
    for (int i = 0; given && i < given->count; i++) {
        const struct word *word = &given->words[i];
        if (word->option ? is_list(word->option, word->value)
                         : word->value && word->value[0] == '@')
            add(s, word->value + 1, list);
    }
}

void sources_gather(struct sources *s, const struct common *common, char **files, int count)
{
    add_lists(s, common->given);
    for (int i = 0; i < count; i++)
        sources_add(s, files[i]);
    add_model(s, common);
    add_place(s, common->words.model);
    add_place(s, common->words.tokenizer);
    for (int i = 0; i < common->words.templates.count; i++)
        add(s, common->words.templates.items[i], labels);
}

/* ------------------------------------------------------------------ asking ----------------- */

bool sources_ready(struct sources *s)
{
    if (s->lacks_memory)
        complain(NULL, "no memory");
    else if (s->count)
        qsort(s->files, (size_t)s->count, sizeof *s->files, compare);
    return !s->lacks_memory;
}

const char *sources_find(const struct sources *s, const char *path)
{
    struct source one;
    if (!s->count || !identify(&one, path, NULL))
        return NULL;
    const struct source *found =
        bsearch(&one, s->files, (size_t)s->count, sizeof *s->files, compare);
    return found ? found->what : NULL;
}

void sources_free(struct sources *s)
{
    free(s->files);
    *s = (struct sources){0};
}
