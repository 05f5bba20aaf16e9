/* cli/filelist.c: see filelist.h. */
#define _POSIX_C_SOURCE 200809L
#include "filelist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "folder.h"
#include "say.h"
#include "text.h"

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* What the words become. */
struct filelist {
    struct list *pictures;
    struct unread unread;
};

/* A picture, or a folder of pictures. */
static int add_name(struct filelist *out, const char *name)
{
    if (is_folder(name))
        return folder_expand(out->pictures, &out->unread, name);
    return list_add(out->pictures, name, strlen(name)) ? DONE : no_memory();
}

/* Without the end of the line, of DOS, too. */
static size_t trimmed(const char *line, ssize_t length)
{
    size_t n = (size_t)length;
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        n--;
    return n;
}

static int add_lines(struct filelist *out, FILE *file, const char *name)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int status = DONE, number = 0;
    errno = 0;
    while (status == DONE && (length = getline(&line, &room, file)) >= 0) {
        const size_t mark = number++ == 0 ? text_mark(line, (size_t)length) : 0;
        char *const text = line + mark;
        const size_t n = trimmed(text, length - (ssize_t)mark);
        if (memchr(text, '\0', n)) {
            complain(name, "line %d holds a zero byte: no list of names", number);
            status = SOME_FAILED;
        } else if (n > 0) {
            text[n] = '\0'; /* getline has left room for it */
            status = add_name(out, text);
        }
    }
    if (status == DONE && ferror(file)) {
        complain(name, "%s", strerror(errno));
        status = SOME_FAILED;
    }
    free(line);
    return status;
}

static int add_list(struct filelist *out, const char *name)
{
    if (strcmp(name, "-") == 0)
        return add_lines(out, stdin, "standard input");
    FILE *file = fopen(name, "r");
    if (!file) {
        complain(name, "%s", strerror(errno));
        return SOME_FAILED;
    }
    const int status = add_lines(out, file, name);
    fclose(file);
    return status;
}

int filelist_expand(struct list *out, bool *failed, char **names, int count)
{
    struct filelist all = {.pictures = out};
    int status = DONE;
    for (int i = 0; i < count && status == DONE; i++) {
        if (names[i][0] == '@' && names[i][1] && access(names[i], F_OK) != 0)
            status = add_list(&all, names[i] + 1);
        else
            status = add_name(&all, names[i]);
    }
    for (int i = 0; i < all.unread.names.count && status == DONE; i++)
        complain(all.unread.names.items[i], "%s", all.unread.reasons.items[i]);
    *failed = all.unread.names.count > 0;
    unread_free(&all.unread);
    return status == DONE && *failed && out->count == 0 ? SOME_FAILED : status;
}
