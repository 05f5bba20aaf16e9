/* cli/outputs.c: see outputs.h. */
#define _POSIX_C_SOURCE 200809L
#include "outputs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <vitx/vitx.h>

#include "options.h"

static const char *const fields[] = {"{image}", "{method}", "{target}"};

/* Which field begins at p, -1 for none. */
static int field_at(const char *p)
{
    for (int i = 0; i < 3; i++)
        if (strncmp(p, fields[i], strlen(fields[i])) == 0)
            return i;
    return -1;
}

bool is_pattern(const char *out)
{
    for (; *out; out++)
        if (field_at(out) >= 0)
            return true;
    return false;
}

bool has_target(const char *out)
{
    return strstr(out, fields[2]) != NULL;
}

static bool same_word(const char *a, const char *b)
{
    for (; *a && tolower((unsigned char)*a) == tolower((unsigned char)*b); a++)
        b++;
    return *a == '\0' && *b == '\0';
}

int check_pattern(const char *out)
{
    char list[128] = "";
    for (const char *p = strchr(out, '{'); p; p = strchr(p + 1, '{')) {
        const char *end = strchr(p, '}');
        if (end && field_at(p) < 0)
            return wrong_usage("-o %s: no field %.*s; there are {image}, {method}, {target}", out,
                               (int)(end - p + 1), p);
    }
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/'), *name;
    for (int i = 0; (name = vitx_format_name(i)) != NULL; i++) {
        if (dot && (!slash || dot > slash) && same_word(dot + 1, name))
            return DONE;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s.%s", i ? ", " : "", name);
    }
    return wrong_usage("-o %s: the name must end in one of %s", out, list);
}

/* The picture's name without folder and ending: "a/cat.jpg" gives "cat", standard input "stdin". */
static const char *stem(const char *image, int *length)
{
    if (strcmp(image, "-") == 0)
        image = "stdin";
    const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
    const char *dot = strrchr(name, '.');
    *length = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
    return name;
}

char *output_name(const char *out, const char *image, const char *method, int target,
                  vitx_explained explains)
{
    char number[16] = "?"; /* one name for all classes that are not known yet */
    int length;
    const char *name = stem(image, &length);
    if (target != VITX_AUTO)
        snprintf(number, sizeof number, "%d", target);
    else if (explains == VITX_EXPLAINED_VECTOR || explains == VITX_EXPLAINED_PICTURE)
        snprintf(number, sizeof number, explains == VITX_EXPLAINED_VECTOR ? "vector" : "like");
    size_t size = 1;
    char *text = NULL;
    for (int pass = 0; pass < 2; pass++) { /* measure, then write */
        size_t at = 0;
        for (const char *p = out; *p;) {
            const int field = field_at(p);
            const char *piece = field == 0 ? name : field == 1 ? method : field == 2 ? number : p;
            const size_t n = field == 0 ? (size_t)length : field > 0 ? strlen(piece) : 1;
            if (text)
                memcpy(text + at, piece, n);
            at += n;
            p += field >= 0 ? strlen(fields[field]) : 1;
        }
        if (text) {
            text[at] = '\0';
            return text;
        }
        size += at;
        text = malloc(size);
        if (!text)
            return NULL;
    }
    return text;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct file_id {
    dev_t device;
    ino_t inode;
};

static int compare_ids(const void *a, const void *b)
{
    const struct file_id *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static bool identify(struct file_id *out, const char *path)
{
    struct stat info;
    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *out = (struct file_id){info.st_dev, info.st_ino};
    return true;
}

bool pictures_know(struct pictures *pictures, char **files, int count, const char *one,
                   const char *two)
{
    *pictures = (struct pictures){.ids = calloc((size_t)count + 2, sizeof *pictures->ids)};
    if (!pictures->ids) {
        complain(NULL, "no memory");
        return false;
    }
    for (int i = 0; i < count; i++)
        pictures->count += identify(&pictures->ids[pictures->count], files[i]);
    if (one)
        pictures->count += identify(&pictures->ids[pictures->count], one);
    if (two)
        pictures->count += identify(&pictures->ids[pictures->count], two);
    qsort(pictures->ids, (size_t)pictures->count, sizeof *pictures->ids, compare_ids);
    return true;
}

bool pictures_have(const struct pictures *pictures, const char *path)
{
    struct file_id id;
    return identify(&id, path) && bsearch(&id, pictures->ids, (size_t)pictures->count,
                                          sizeof *pictures->ids, compare_ids) != NULL;
}

void pictures_free(struct pictures *pictures)
{
    free(pictures->ids);
    *pictures = (struct pictures){0};
}

/* Sorted names: equal ones are neighbours, and pictures among them are found. */
static int check_names(char **names, int count, char **images, int image_count)
{
    qsort(names, (size_t)count, sizeof *names, compare);
    for (int i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return wrong_usage(
                "two maps would be written to %s; -o takes {image}, {method}, {target}", names[i]);
    for (int i = 0; i < image_count; i++)
        if (bsearch(&images[i], names, (size_t)count, sizeof *names, compare))
            return wrong_usage("%s: a map would replace the picture", images[i]);
    return DONE;
}

int check_collisions(const char *out, const struct pictures *pictures, char **images,
                     int image_count, const vitx_explain_opts *opts, int m)
{
    const size_t most = (size_t)image_count * (size_t)m;
    char **names = calloc(most, sizeof *names);
    int count = 0, status = names ? DONE : SOME_FAILED;
    for (size_t i = 0; status == DONE && i < most; i++) {
        const vitx_explain_opts *o = &opts[i % (size_t)m];
        names[i] = output_name(out, images[i / (size_t)m], o->method, o->target,
                               o->like     ? VITX_EXPLAINED_PICTURE
                               : o->vector ? VITX_EXPLAINED_VECTOR
                                           : VITX_EXPLAINED_CLASS);
        if (!names[i])
            status = SOME_FAILED;
        else if (count++, pictures_have(pictures, names[i]))
            status = wrong_usage("%s: a map would replace the picture", names[i]);
    }
    if (status == SOME_FAILED)
        complain(NULL, "no memory");
    if (status == DONE)
        status = check_names(names, count, images, image_count);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}

bool make_folders(const char *path)
{
    const size_t size = strlen(path) + 1;
    char *part = malloc(size);
    bool made = part != NULL;
    if (!made)
        complain(path, "no memory");
    else
        memcpy(part, path, size);
    for (char *p = part; made && (p = strchr(p + 1, '/')) != NULL;) {
        *p = '\0';
        struct stat s;
        if (mkdir(part, 0777) != 0) {
            const int error = errno == EEXIST ? ENOTDIR : errno;
            made = stat(part, &s) == 0 && S_ISDIR(s.st_mode);
            if (!made)
                complain(path, "the folder %s: %s", part, strerror(error));
        }
        *p = '/';
    }
    free(part);
    return made;
}
