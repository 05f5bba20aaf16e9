/* cli/outputs.c: see outputs.h. */
#define _POSIX_C_SOURCE 200809L
#include "outputs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "methods.h"
#include "text.h"

/* In the order of struct pieces. */
static const char *const fields[] = {"{image}", "{folder}", "{path}", "{method}", "{target}"};
enum { FIELDS = sizeof fields / sizeof fields[0], FIELD_METHOD = 3, FIELD_TARGET };

/* Which field begins at p, -1 for none. */
static int field_at(const char *p)
{
    for (int i = 0; i < FIELDS; i++)
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
    return strstr(out, fields[FIELD_TARGET]) != NULL;
}

static bool same_word(const char *a, const char *b)
{
    for (; *a && tolower((unsigned char)*a) == tolower((unsigned char)*b); a++)
        b++;
    return *a == '\0' && *b == '\0';
}

static const char page_format[] = "html";

const char *format_name(int index)
{
    int maps = 0;
    while (maps < index && vitx_format_name(maps))
        maps++;
    const char *name = vitx_format_name(index);
    return name ? name : maps == index ? page_format : NULL;
}

static bool ends_in(const char *out, const char *format)
{
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    return dot && (!slash || dot > slash) && same_word(dot + 1, format);
}

bool is_page(const char *out, const char *format)
{
    return format ? strcmp(format, page_format) == 0 : ends_in(out, page_format);
}

/* As it stands in messages. */
static const char *fields_of(bool page)
{
    return page ? "{image}, {folder}, {path}" : "{image}, {folder}, {path}, {method}, {target}";
}

static int check_fields(const char *out, bool page)
{
    for (const char *p = strchr(out, '{'); p; p = strchr(p + 1, '{')) {
        const char *end = strchr(p, '}');
        const int field = field_at(p), length = end ? (int)(end - p + 1) : 0;
        if (end && field < 0)
            return wrong_usage("-o %s: no field %.*s; there are %s", out, length, p,
                               fields_of(page));
        if (page && field >= FIELD_METHOD)
            return wrong_usage("-o %s: a page holds all maps of its pictures, so %.*s is no part "
                               "of its name; there are %s",
                               out, length, p, fields_of(page));
    }
    return DONE;
}

int check_pattern(const char *out, const char *format)
{
    char list[128] = "";
    const char *name;
    if (check_fields(out, is_page(out, format)) != DONE)
        return WRONG_USAGE;
    if (format)
        return DONE;
    if (strcmp(out, "-") == 0)
        return wrong_usage("-o - needs --format, as there is no ending that tells it");
    for (int i = 0; (name = format_name(i)) != NULL; i++) {
        if (ends_in(out, name))
            return DONE;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s.%s", i ? ", " : "", name);
    }
    return wrong_usage("-o %s: the name must end in one of %s, or --format must be given", out,
                       list);
}

struct piece {
    const char *text;
    size_t length;
};

/* The picture's name without folder and ending: "a/cat.jpg" gives "cat", standard input "stdin". */
static struct piece stem(const char *image)
{
    const char *slash = strrchr(image, '/'), *name = slash ? slash + 1 : image;
    const char *dot = strrchr(name, '.');
    return (struct piece){name, dot && dot != name ? (size_t)(dot - name) : strlen(name)};
}

/* The name of the folder that it lies in: "a/b/cat.jpg" gives "b", "cat.jpg" gives ".". */
static struct piece parent(const char *image)
{
    const char *end = strrchr(image, '/'), *start = end;
    if (!end || end == image)
        return (struct piece){".", 1};
    while (start > image && start[-1] != '/')
        start--;
    return (struct piece){start, (size_t)(end - start)};
}

/* The path without its ending, so that it leads into whatever folder stands before it:
 * "/a/../b/cat.jpg" gives "a/b/cat". In `to`, which has room for the path. */
static struct piece inner_path(char *to, const char *image)
{
    const struct piece name = stem(image);
    size_t n = 0;
    for (const char *p = image; p < name.text;) {
        const size_t length = strcspn(p, "/");
        if (length > 0 && !(length == 1 && p[0] == '.') &&
            !(length == 2 && p[0] == '.' && p[1] == '.')) {
            memcpy(to + n, p, length + 1);
            n += length + 1;
        }
        p += length + 1;
    }
    memcpy(to + n, name.text, name.length);
    return (struct piece){to, n + name.length};
}

/* Writes OUT with the pieces in place of its fields to `text` (NULL: nowhere); gives its length. */
static size_t expand(char *text, const char *out, const struct piece *pieces)
{
    size_t n = 0;
    for (const char *p = out; *p;) {
        const int field = field_at(p);
        const struct piece piece = field >= 0 ? pieces[field] : (struct piece){p, 1};
        if (text)
            memcpy(text + n, piece.text, piece.length);
        n += piece.length;
        p += field >= 0 ? strlen(fields[field]) : 1;
    }
    return n;
}

/* A text as a part of a file's name: letters, digits and all that is no ASCII as they are, a dash
 * for each run of others. */
static void file_words(char out[TARGET_NAME], const char *text)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const int length = utf8_length(p) > 0 ? utf8_length(p) : 1;
        const bool kept = (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') ||
                          (*p >= 'A' && *p <= 'Z') || utf8_length(p) > 1;
        if (n + (size_t)length >= TARGET_NAME)
            break;
        for (int i = 0; i < length && kept; i++)
            out[n++] = (char)p[i];
        if (!kept && n > 0 && out[n - 1] != '-')
            out[n++] = '-';
        p += length;
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    out[n] = '\0';
    if (n == 0)
        snprintf(out, TARGET_NAME, "text");
}

void target_name(char out[TARGET_NAME], int target, vitx_explained explains, const char *what)
{
    if (rank_of(target))
        snprintf(out, TARGET_NAME, "top%d", rank_of(target));
    else if (target != VITX_AUTO)
        snprintf(out, TARGET_NAME, "%d", target);
    else if (explains == VITX_EXPLAINED_VECTOR || explains == VITX_EXPLAINED_PICTURE)
        snprintf(out, TARGET_NAME, explains == VITX_EXPLAINED_VECTOR ? "vector" : "like");
    else if (explains == VITX_EXPLAINED_TEXT)
        file_words(out, what);
    else /* one name for all that may be one class */
        snprintf(out, TARGET_NAME, "?");
}

char *output_name(const char *out, const char *image, const char *method, int target,
                  vitx_explained explains, const char *what)
{
    char words[TARGET_NAME];
    target_name(words, target, explains, what);
    if (strcmp(image, "-") == 0)
        image = "stdin";
    char *path = malloc(strlen(image) + 1);
    if (!path)
        return NULL;
    const struct piece pieces[FIELDS] = {stem(image),
                                         parent(image),
                                         inner_path(path, image),
                                         {method, strlen(method)},
                                         {words, strlen(words)}};
    char *text = malloc(expand(NULL, out, pieces) + 1);
    if (text)
        text[expand(text, out, pieces)] = '\0';
    free(path);
    return text;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ------------------------------------------------------------------ places ----------------- */

/* Whether a file of that name can be made in the folder path[0..length), or the folder itself. */
static bool check_folder(const char *path, size_t length, bool makes_folders)
{
    char *folder = malloc(length + 2);
    struct stat info;
    if (!folder) {
        complain(path, "no memory");
        return false;
    }
    snprintf(folder, length + 2, "%.*s", (int)(length ? length : 1), length ? path : ".");
    bool there = stat(folder, &info) == 0;
    /* A folder that is to be made needs one to be made in. */
    for (char *slash;
         makes_folders && !there && errno == ENOENT && (slash = strrchr(folder, '/'));) {
        slash[slash == folder] = '\0';
        there = stat(folder, &info) == 0;
        if (slash == folder)
            break;
    }
    if (!there && makes_folders && errno == ENOENT) /* the working folder */
        there = stat(strcpy(folder, "."), &info) == 0;
    if (there && !S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        there = false;
    }
    const bool open = there && access(folder, W_OK | X_OK) == 0;
    if (!open)
        complain(path, "the folder %s: %s", folder, strerror(errno));
    free(folder);
    return open;
}

/* Whether a file of that name could be written now: its folder is there (or can be made, with
 * `makes_folders`) and lets files be made in it, and the name is no folder's. Complains if not.
 * `known`: the folder has been looked at. */
static bool output_fits(const char *path, bool makes_folders, bool known)
{
    const char *slash = strrchr(path, '/');
    struct stat info;
    errno = 0;
    const bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode)) {
        complain(path, "is a folder");
        return false;
    }
    if (!there && errno == ENAMETOOLONG) {
        complain(path, "%s", strerror(errno));
        return false;
    }
    /* What is no regular file, as a pipe or /dev/null, is written in place. */
    if (there && !S_ISREG(info.st_mode) && access(path, W_OK) != 0) {
        complain(path, "%s", strerror(errno));
        return false;
    }
    if (known || (there && !S_ISREG(info.st_mode)))
        return true;
    return check_folder(path, slash ? (size_t)(slash - path) + (slash == path) : 0, makes_folders);
}

/* ------------------------------------------------------------------ collisions ------------- */

/* Sorted names: equal ones are neighbours, and pictures among them are found. */
static int check_names(char **names, int count, char **images, int image_count, bool page)
{
    const char *what = page ? "page" : "map";
    qsort(names, (size_t)count, sizeof *names, compare);
    for (int i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return wrong_usage("two %ss would be written to %s; -o takes %s", what, names[i],
                               fields_of(page));
    for (int i = 0; i < image_count; i++)
        if (bsearch(&images[i], names, (size_t)count, sizeof *names, compare))
            return wrong_usage("%s: a %s would replace the picture", images[i], what);
    return DONE;
}

/* That they can be written, as far as is known before; of neighbours in one folder the folder is
 * asked once. */
static int check_places(char **names, int count, bool makes_folders)
{
    size_t folder = 0; /* of the name before, with its slash */
    for (int i = 0; i < count; i++) {
        const char *slash = strrchr(names[i], '/');
        const size_t length = slash ? (size_t)(slash - names[i]) + 1 : 0;
        const bool same = i > 0 && length == folder && strncmp(names[i], names[i - 1], length) == 0;
        if (!output_fits(names[i], makes_folders, same))
            return SOME_FAILED;
        folder = length;
    }
    return DONE;
}

char *name_of(const char *out, const char *image, const vitx_explain_opts *o)
{
    return !o ? output_name(out, image, "", VITX_AUTO, VITX_EXPLAINED_CLASS, "")
              : output_name(out, image, o->method, o->target,
                            o->text     ? VITX_EXPLAINED_TEXT
                            : o->like   ? VITX_EXPLAINED_PICTURE
                            : o->vector ? VITX_EXPLAINED_VECTOR
                                        : VITX_EXPLAINED_CLASS,
                            o->text ? o->text : "");
}

int check_collisions(const char *out, const struct sources *sources, char **images, int image_count,
                     const vitx_explain_opts *opts, int m)
{
    const size_t most = (size_t)image_count * (size_t)m;
    char **names = calloc(most, sizeof *names);
    int count = 0, status = names ? DONE : SOME_FAILED;
    for (size_t i = 0; status == DONE && i < most; i++) {
        names[i] = name_of(out, images[i / (size_t)m], opts ? &opts[i % (size_t)m] : NULL);
        const char *replaced = names[i] ? sources_find(sources, names[i]) : NULL;
        count += names[i] != NULL;
        if (!names[i])
            status = SOME_FAILED;
        else if (replaced)
            status =
                wrong_usage("%s: a %s would replace %s", names[i], opts ? "map" : "page", replaced);
    }
    if (status == SOME_FAILED)
        complain(NULL, "no memory");
    if (status == DONE)
        status = check_names(names, count, images, image_count, !opts);
    if (status == DONE)
        status = check_places(names, count, is_pattern(out));
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}

int check_output(const char *name, const struct sources *sources, const char *what,
                 bool makes_folders)
{
    const char *replaced = sources_find(sources, name);
    if (replaced)
        return wrong_usage("%s: %s would replace %s", name, what, replaced);
    return output_fits(name, makes_folders, false) ? DONE : SOME_FAILED;
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

size_t folders_there(const char *path)
{
    size_t there = 0;
    for (const char *p = path; (p = strchr(p + 1, '/')) != NULL; there = (size_t)(p - path)) {
        char *part = strndup(path, (size_t)(p - path));
        struct stat s;
        const bool is_there = part && stat(part, &s) == 0 && S_ISDIR(s.st_mode);
        free(part);
        if (!is_there)
            break;
    }
    return there;
}

void remove_folders(const char *path, size_t there)
{
    char *part = strdup(path), *slash;
    while (part && (slash = strrchr(part, '/')) != NULL && (size_t)(slash - part) > there) {
        *slash = '\0';
        if (rmdir(part) != 0 && errno != ENOENT) /* which a//b would give twice */
            break;
    }
    free(part);
}
