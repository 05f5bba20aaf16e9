/* batch/listing.c: see listing.h. */
#define _POSIX_C_SOURCE 200809L
#include "listing.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commit.h"
#include "pack.h"
#include "stdin.h"
#include "tools/cli/folder.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"
#include "tools/cli/text.h"

enum { MOST_LIST = 1 << 30 }; /* bytes of a list of names */

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static bool make_room(struct listing *l)
{
    if (l->count < l->room)
        return true;
    if (l->room > INT_MAX / 2)
        return false;
    const int room = l->room ? 2 * l->room : 256;
    struct input *inputs = realloc(l->inputs, (size_t)room * sizeof *inputs);
    if (!inputs)
        return false;
    l->inputs = inputs;
    l->room = room;
    return true;
}

bool listing_add(struct listing *l, struct input *input, const char *path)
{
    struct input one = *input;
    if (!one.key && path)
        one.key = keys_add(&l->keys, path);
    if (one.key && one.name && make_room(l)) {
        l->inputs[l->count++] = one;
        return true;
    }
    free(one.name);
    free(one.error);
    return false;
}

/* ------------------------------------------------------------------ files ------------------ */

static int add_file(struct listing *l, const char *name)
{
    struct stat info = {0};
    const int error = stat(name, &info) == 0 ? 0 : errno;
    const char *why = error                    ? strerror(error)
                      : !S_ISREG(info.st_mode) ? "is no regular file"
                                               : NULL;
    return listing_add(l,
                       &(struct input){.name = strdup(name),
                                       .error = why ? strdup(why) : NULL,
                                       .archive = NO_ARCHIVE,
                                       .size = error ? -1 : (int64_t)info.st_size,
                                       .mtime = error ? 0 : (int64_t)info.st_mtime},
                       name)
               ? DONE
               : no_memory();
}

/* What cannot be read at all is an input that failed. Takes why. */
static bool add_failure(struct listing *l, const char *name, char *why)
{
    struct input one = {.name = strdup(name), .error = why, .archive = NO_ARCHIVE, .size = -1};
    if (why)
        return listing_add(l, &one, name);
    free(one.name);
    return false;
}

static int add_folder(struct listing *l, const char *name)
{
    struct list files = {0};
    struct unread unread = {0};
    int status = list_add(&l->folders, name, strlen(name)) ? DONE : no_memory();
    if (status == DONE)
        status = folder_expand(&files, &unread, name);
    for (int i = 0; i < files.count && status == DONE; i++)
        status = add_file(l, files.items[i]);
    for (int i = 0; i < unread.names.count && status == DONE; i++)
        if (!add_failure(l, unread.names.items[i], strdup(unread.reasons.items[i])))
            status = no_memory();
    list_free(&files);
    unread_free(&unread);
    return status;
}

/* ------------------------------------------------------------------ archives --------------- */

static char *member_name(const char *archive, const char *member)
{
    const size_t size = strlen(archive) + strlen(member) + 2;
    char *name = malloc(size);
    if (name)
        snprintf(name, size, "%s:%s", archive, member);
    return name;
}

static bool add_member(struct listing *l, const char *archive, const struct pack_member *m)
{
    if (!ends_as_a_picture(m->name))
        return true;
    return listing_add(l,
                       &(struct input){.name = member_name(archive, m->name),
                                       .archive = l->archives.count - 1,
                                       .member = m->number,
                                       .size = m->size,
                                       .mtime = m->mtime},
                       m->name);
}

/* Of one that cannot be read on, what came before is kept. */
static int add_archive(struct listing *l, const char *name)
{
    char *why;
    struct pack_member member;
    enum pack_step step = PACK_END;
    bool added = list_add(&l->archives, name, strlen(name));
    struct pack *pack = added ? pack_open(name, &why) : NULL;
    if (added && !pack)
        return add_failure(l, name, why) ? DONE : no_memory();
    while (added && !progress_interrupted() && (step = pack_next(pack, &member)) == PACK_MEMBER)
        added = add_member(l, name, &member);
    if (added && !progress_interrupted() && step == PACK_FAILED)
        added = add_failure(l, name, strdup(pack_why(pack)));
    pack_close(pack);
    if (progress_interrupted())
        return STOPPED;
    return added ? DONE : no_memory();
}

/* ------------------------------------------------------------------ words ------------------ */

static int add_name(struct listing *l, const char *name)
{
    if (is_folder(name))
        return add_folder(l, name);
    return is_pack(name) ? add_archive(l, name) : add_file(l, name);
}

static int add_glob(struct listing *l, const char *pattern)
{
    glob_t found;
    int status = DONE;
    const int code = glob(pattern, 0, NULL, &found);
    if (code == GLOB_NOMATCH)
        return wrong_usage("%s: no file has such a name", pattern);
    if (code != 0)
        return no_memory();
    for (size_t i = 0; i < found.gl_pathc && status == DONE; i++)
        status = add_name(l, found.gl_pathv[i]);
    globfree(&found);
    return status;
}

/* Lines of names; the text is changed. */
static int add_lines(struct listing *l, char *text, size_t bytes, const char *name)
{
    int status = DONE;
    if (memchr(text, '\0', bytes))
        return wrong_usage("%s holds a zero byte: no list of names", name);
    for (char *line = text + text_mark(text, bytes); *line && status == DONE;) {
        char *const end = line + strcspn(line, "\n"), *const next = *end ? end + 1 : end;
        size_t n = (size_t)(end - line);
        while (n > 0 && line[n - 1] == '\r')
            n--;
        line[n] = '\0';
        status = n > 0 ? add_name(l, line) : DONE;
        line = next;
    }
    return status;
}

static int add_stdin(struct listing *l)
{
    static const char name[] = "standard input";
    struct text text = {0};
    char piece[1 << 14];
    ssize_t got;
    while ((got = stdin_read(piece, sizeof piece)) > 0 && text.length < MOST_LIST)
        text_add(&text, piece, (size_t)got);
    int status = text.failed ? no_memory() : DONE;
    if (got != 0 && !progress_interrupted())
        status = wrong_usage("%s: no list of names that can be read", name);
    else if (got != 0)
        status = STOPPED;
    if (status == DONE && text.length)
        status = add_lines(l, text.data, text.length, name);
    text_free(&text);
    return status;
}

static int add_list_file(struct listing *l, const char *name)
{
    size_t bytes = 0;
    int error = 0;
    char *text = file_get(NULL, name, MOST_LIST, &bytes, &error);
    if (!text)
        return wrong_usage("@%s: %s", name, strerror(error));
    const int status = add_lines(l, text, bytes, name);
    free(text);
    return status;
}

static int add_word(struct listing *l, const char *word)
{
    if (strcmp(word, "-") == 0 || strcmp(word, "@-") == 0)
        return add_stdin(l);
    if (access(word, F_OK) == 0)
        return add_name(l, word);
    if (word[0] == '@' && word[1])
        return add_list_file(l, word + 1);
    return strpbrk(word, "*?[") ? add_glob(l, word) : add_name(l, word);
}

int listing_make(struct listing *out, char **words, int count)
{
    int status = DONE;
    *out = (struct listing){0};
    if (count == 0)
        return wrong_usage("needs pictures: files, folders, archives, - for a list on standard "
                           "input, tar:- for a tar there");
    for (int i = 0; i < count; i++)
        out->stream |= strcmp(words[i], "tar:-") == 0;
    if (out->stream)
        return count == 1 ? DONE : wrong_usage("tar:- is the only input, where it is one");
    for (int i = 0; i < count && status == DONE; i++)
        status = add_word(out, words[i]);
    return status;
}

void listing_free(struct listing *l)
{
    for (int i = 0; i < l->count; i++) {
        free(l->inputs[i].name);
        free(l->inputs[i].error);
    }
    free(l->inputs);
    list_free(&l->archives);
    list_free(&l->folders);
    keys_free(&l->keys);
    *l = (struct listing){0};
}
