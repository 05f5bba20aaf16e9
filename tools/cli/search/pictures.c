/* search/pictures.c: the pictures that are searched, and their names in an index; see search.h. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "search.h"
#include "tools/cli/digest.h"
#include "tools/cli/filelist.h"
#include "tools/cli/folder.h"
#include "tools/cli/recipe.h"

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* ------------------------------------------------------------------ names ------------------ */

/* The folder of a path, as it is without links and dots, with a slash at its end; NULL: errno. */
static char *real_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    free(folder);
    const size_t length = real ? strlen(real) : 0;
    char *out = real ? malloc(length + 2) : NULL;
    if (out)
        snprintf(out, length + 2, "%s%s", real, length && real[length - 1] == '/' ? "" : "/");
    free(real);
    return out;
}

/* The folder of the picture before, which is mostly that of the next one, too. */
struct last_folder {
    char *given, *real;
    size_t length;
};

static const char *folder_of(struct last_folder *last, const char *name)
{
    const char *slash = strrchr(name, '/');
    const size_t length = slash ? (size_t)(slash - name) + 1 : 0;
    if (last->given && last->length == length && strncmp(last->given, name, length) == 0)
        return last->real;
    free(last->given);
    free(last->real);
    last->given = strndup(name, length);
    last->length = length;
    last->real = real_folder(name);
    return last->real;
}

/* Its name in an index: as it leads from the folder that the index lies in, if it lies below that;
 * else from the root. */
static char *key_of(const struct pictures *pictures, struct last_folder *last, const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    if (!pictures->folder)
        return strdup(name);
    const char *folder = folder_of(last, name);
    const size_t length = strlen(pictures->folder);
    if (folder && strncmp(folder, pictures->folder, length) == 0)
        folder += length;
    const size_t size = folder ? strlen(folder) + strlen(base) + 1 : 0;
    char *key = size ? malloc(size) : NULL;
    if (key)
        snprintf(key, size, "%s%s", folder, base);
    return key;
}

/* ------------------------------------------------------------------ the list --------------- */

static struct mark mark_of(const struct stat *info)
{
    return (struct mark){(int64_t)info->st_size,
                         (int64_t)info->st_mtim.tv_sec * INT64_C(1000000000) +
                             info->st_mtim.tv_nsec};
}

bool mark_file(struct mark *mark, const char *name)
{
    struct stat info;
    if (stat(name, &info) != 0)
        return false;
    if (!S_ISREG(info.st_mode)) {
        errno = EINVAL;
        return false;
    }
    *mark = mark_of(&info);
    return true;
}

static bool add_picture(struct pictures *pictures, struct last_folder *last, const char *name)
{
    struct picture p = {.name = name};
    if (!mark_file(&p.mark, name)) {
        complain(name, "%s",
                 errno == EINVAL ? "is no file, and only files are searched" : strerror(errno));
        pictures->failed = true;
        return true;
    }
    p.key = key_of(pictures, last, name);
    pictures->all[pictures->count] = p;
    pictures->count += p.key != NULL;
    return p.key != NULL;
}

static int by_key(const void *a, const void *b)
{
    const struct picture *x = *(struct picture *const *)a, *y = *(struct picture *const *)b;
    const int order = strcmp(x->key, y->key);
    return order ? order : (x > y) - (x < y);
}

/* Each picture once, under the name that came first. */
static bool drop_twins(struct pictures *pictures)
{
    const int n = pictures->count;
    struct picture **sorted = calloc((size_t)n + 1, sizeof(struct picture *));
    int kept = 0;
    if (!sorted)
        return false;
    for (int i = 0; i < n; i++)
        sorted[i] = &pictures->all[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    for (int i = n - 1; i > 0; i--)
        if (strcmp(sorted[i]->key, sorted[i - 1]->key) == 0)
            sorted[i]->name = NULL;
    free(sorted);
    for (int i = 0; i < n; i++) {
        if (pictures->all[i].name)
            pictures->all[kept++] = pictures->all[i];
        else
            free(pictures->all[i].key);
    }
    pictures->count = kept;
    return true;
}

int pictures_list(struct pictures *pictures, char **words, int count, const char *index)
{
    struct last_folder last = {0};
    *pictures = (struct pictures){.count = 0};
    int status = filelist_expand(&pictures->names, &pictures->failed, words, count);
    if (status != DONE)
        return status;
    pictures->folder = index ? real_folder(index) : NULL;
    if (index && !pictures->folder) {
        complain(index, "%s", strerror(errno));
        return SOME_FAILED;
    }
    pictures->all = calloc((size_t)pictures->names.count + 1, sizeof *pictures->all);
    bool added = pictures->all != NULL;
    for (int i = 0; i < pictures->names.count && added; i++)
        added = add_picture(pictures, &last, pictures->names.items[i]);
    free(last.given);
    free(last.real);
    return added && drop_twins(pictures) ? DONE : no_memory();
}

/* The name of an entry for people. */
static char *name_of_key(const char *index, const char *key)
{
    const char *slash = strrchr(index, '/');
    const size_t folder = slash && key[0] != '/' ? (size_t)(slash - index) + 1 : 0;
    const size_t size = folder + strlen(key) + 1;
    char *name = malloc(size);
    if (name)
        snprintf(name, size, "%.*s%s", (int)folder, index, key);
    return name;
}

int pictures_of_index(struct pictures *pictures, const struct index *index)
{
    *pictures = (struct pictures){.count = 0};
    pictures->all = calloc((size_t)index->count + 1, sizeof *pictures->all);
    bool added = pictures->all != NULL;
    for (int i = 0; i < index->count && added; i++) {
        const struct entry *e = &index->entries[i];
        if (e->block < 0)
            continue;
        char *name = name_of_key(index->path, e->name);
        added = name && list_add(&pictures->names, name, strlen(name));
        free(name);
        struct picture *p = &pictures->all[pictures->count];
        *p = (struct picture){.key = added ? strdup(e->name) : NULL, .mark = e->mark};
        added = p->key != NULL;
        pictures->count += added;
    }
    for (int i = 0; i < pictures->count; i++)
        pictures->all[i].name = pictures->names.items[i];
    return added ? DONE : no_memory();
}

void pictures_free(struct pictures *pictures)
{
    for (int i = 0; i < pictures->count; i++)
        free(pictures->all[i].key);
    free(pictures->all);
    free(pictures->folder);
    list_free(&pictures->names);
    *pictures = (struct pictures){.count = 0};
}

/* ------------------------------------------------------------------ the index -------------- */

char *index_place(char **words, int count, const char *terms)
{
    uint8_t sum[DIGEST_BYTES];
    char digest[DIGEST_TEXT];
    if (count != 1 || !is_folder(words[0]))
        return NULL;
    digest_of(sum, terms, strlen(terms));
    digest_text(digest, sum);
    const size_t size = strlen(words[0]) + 64;
    char *path = malloc(size);
    const size_t length = strlen(words[0]);
    if (path)
        snprintf(path, size, "%s%s.vitx-index.%.12s.vec", words[0],
                 words[0][length - 1] == '/' ? "" : "/", digest);
    return path;
}

/* Whatever changes a number of a vector, or which pictures have one; but not the device, so that an
 * index made on a GPU serves machines without one. */
bool put_terms(struct text *text, const struct session *session, const struct common *common)
{
    char digest[VITX_DIGEST_TEXT];
    if (vitx_model_digest(digest, session->model) != VITX_OK) {
        complain_last(session->path);
        return false;
    }
    text_format(text, "vitx: %s\nmodel: %s\nprecision: %s\nrecipe: ", vitx_version(), digest,
                session->size.precision);
    put_recipe(text, &session->recipe);
    text_format(text,
                "\nmodel options: --weights-key %s --heads %d --ignore %s --outputs %d "
                "--pos-resample %s\n",
                common->weights_key ? common->weights_key : "-", common->heads,
                common->ignore ? common->ignore : "-", common->outputs,
                common->pos_resample ? common->pos_resample : "-");
    text_format(text,
                "picture options: --fit %d --max-tokens %d --max-pixels %d --allow-truncated %d "
                "--page %d --window %.9g,%.9g\n",
                common->fit, common->max_tokens, common->max_pixels, common->allow_truncated,
                common->page, common->window.low, common->window.high);
    if (text->failed)
        complain(NULL, "no memory");
    return !text->failed;
}
