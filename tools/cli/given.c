/* cli/given.c: see given.h. */
#include "given.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

bool given_add(struct given *given, const struct option *option, const char *value)
{
    const size_t count = (size_t)given->count;
    struct word *words = given->words;
    if ((count & (count - 1)) == 0) { /* full */
        words = realloc(words, (count ? 2 * count : 1) * sizeof *words);
        if (!words)
            return false;
        given->words = words;
    }
    words[given->count++] = (struct word){option, value};
    return true;
}

void given_free(struct given *given)
{
    free(given->words);
    *given = (struct given){0};
}

const char *last_part(const char *path)
{
    const char *last = path;
    for (const char *p = path; *p; p++)
        if (*p == '/' && p[1] && p[1] != '/')
            last = p + 1;
    return last;
}

bool is_list(const struct option *option, const char *value)
{
    return option->listed && value && value[0] == '@' && value[1] && value[1] != '@';
}

char *text_as_value(const struct option *option, const char *text)
{
    const size_t size = strlen(text) + 2;
    char *value = malloc(size);
    if (value) /* @ alone is the text @ */
        snprintf(value, size, "%s%s", option->listed && text[0] == '@' && text[1] ? "@" : "", text);
    return value;
}

/* ------------------------------------------------------------------ the line --------------- */

/* Text that grows. */
struct line {
    char *text;
    size_t length, room;
    bool failed;
};

static void put_bytes(struct line *line, const char *text, size_t length)
{
    if (!line->failed && line->length + length >= line->room) {
        const size_t room = 2 * (line->length + length + 1);
        char *grown = realloc(line->text, room);
        line->failed = !grown;
        if (grown) {
            line->text = grown;
            line->room = room;
        }
    }
    if (line->failed)
        return;
    memcpy(line->text + line->length, text, length);
    line->length += length;
    line->text[line->length] = '\0';
}

static void put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

/* Whether a shell takes the word as it stands. */
static bool is_plain(const char *word, size_t length)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_./,=:@%+-";
    return length > 0 && strspn(word, plain) >= length;
}

/* A blank and the word; within single quotes a shell takes all but these as it stands. */
static void put_word(struct line *line, const char *prefix, const char *word, size_t length)
{
    put(line, " ");
    if (is_plain(word, length)) {
        put(line, prefix);
        put_bytes(line, word, length);
        return;
    }
    put(line, "'");
    put(line, prefix);
    for (size_t i = 0; i < length; i++)
        if (word[i] == '\'')
            put(line, "'\\''");
        else
            put_bytes(line, word + i, 1);
    put(line, "'");
}

/* The last part of a path, without slashes behind it. What would be taken for an option, or a
 * list, gets a folder before it. */
static void put_path(struct line *line, const char *prefix, const char *path)
{
    const char *name = last_part(path);
    size_t length = strlen(name);
    while (length > 1 && name[length - 1] == '/')
        length--;
    if (!*prefix && (name[0] == '@' || (name[0] == '-' && length > 1)))
        prefix = "./";
    put_word(line, prefix, name, length);
}

static void put_picture(struct line *line, const char *name)
{
    const bool list = name[0] == '@' && name[1];
    put_path(line, list ? "@" : "", name + list);
}

static void put_option(struct line *line, const struct word *word)
{
    const struct option *o = word->option;
    char name[64];
    const int length = o->letter ? snprintf(name, sizeof name, "-%c", o->letter)
                                 : snprintf(name, sizeof name, "--%s", o->name);
    put_word(line, "", name, (size_t)length);
    if (!word->value)
        return;
    if (o->path)
        put_path(line, "", word->value);
    else if (is_list(o, word->value))
        put_path(line, last_part(word->value + 1)[0] == '@' ? "@./" : "@", word->value + 1);
    else
        put_word(line, "", word->value, strlen(word->value));
}

static bool is_called(const struct word *word, const char *name)
{
    return word->option && strcmp(word->option->name, name) == 0;
}

static void put_target(struct line *line, const struct given *given, int target)
{
    char text[64];
    bool any = false;
    for (int i = 0; i < given->count; i++)
        any |= is_called(&given->words[i], "target");
    /* Without a target it is the best class, which is to stay. */
    snprintf(text, sizeof text, "%s --target %d", any ? "" : " --target top1", target);
    put(line, text);
}

char *given_line(const struct given *given, const char *command, const struct change *change)
{
    struct line line = {0};
    put(&line, "vitx-cli ");
    put(&line, command);
    for (int i = 0; i < given->count; i++) /* what is there is made again */
        if (given->words[i].option && !is_called(&given->words[i], "skip-existing"))
            put_option(&line, &given->words[i]);
    if (change->target >= 0)
        put_target(&line, given, change->target);
    for (int i = 0; i < given->count && !change->picture; i++)
        if (!given->words[i].option)
            put_picture(&line, given->words[i].value);
    if (change->picture)
        put_path(&line, "", change->picture);
    if (line.failed) {
        free(line.text);
        return NULL;
    }
    return line.text;
}
