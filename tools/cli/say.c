/* cli/say.c: see say.h. */
#define _POSIX_C_SOURCE 200809L
#include "say.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WRAP_WIDTH = 79 };

static const char *command; /* for messages; NULL: none yet */
static void (*before)(void);

void say_command(const char *name)
{
    command = name;
}

void say_before(void (*hide)(void))
{
    before = hide;
}

void put_printable(FILE *file, const char *text)
{
    for (; *text; text++)
        fputc(iscntrl((unsigned char)*text) ? '?' : *text, file);
}

/* Where this thread's messages are held. */
struct holding {
    char **text;
    size_t *length;
    FILE *file; /* NULL: there was none yet */
    bool on;
};
static _Thread_local struct holding held, outer;

void say_hold(char **text, size_t *length)
{
    outer = held;
    *text = NULL;
    held = (struct holding){text, length, NULL, true};
}

void say_release(void)
{
    if (held.file)
        fclose(held.file);
    held = outer;
    outer = (struct holding){0};
}

void say_held(const char *text)
{
    if (!text)
        return;
    if (before)
        before();
    fputs(text, stderr);
}

/* Without memory to hold a message it is said at once. */
static FILE *message_file(void)
{
    if (held.on && !held.file)
        held.file = open_memstream(held.text, held.length);
    if (held.file)
        return held.file;
    if (before && !held.on)
        before();
    return stderr;
}

int terminal_width(int fd, int fallback)
{
    (void)fd; /* where nothing asks it */
#ifdef TIOCGWINSZ
    struct winsize size;
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
#endif
    return fallback;
}

static void message(const char *what, const char *format, va_list args)
{
    char brief[1024];
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(brief, sizeof brief, format, args);
    /* Arguments may be long, and the reason stands behind them. */
    char *text = length >= (int)sizeof brief ? malloc((size_t)length + 1) : NULL;
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    FILE *file = message_file();
    fputs("vitx-cli: ", file);
    if (what) {
        put_printable(file, what);
        fputs(": ", file);
    }
    put_printable(file, text ? text : brief);
    fputc('\n', file);
    free(text);
}

const char *say_line(const char *text, bool last, size_t *length)
{
    static const char program[] = "vitx-cli: ";
    size_t end = last ? strlen(text) : strcspn(text, "\n"), first = 0;
    while (last && end > 0 && text[end - 1] == '\n')
        end--;
    for (first = end; first > 0 && text[first - 1] != '\n';)
        first--;
    if (strncmp(text + first, program, sizeof program - 1) == 0)
        first += sizeof program - 1;
    *length = end - first;
    return text + first;
}

void complain(const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message(what, format, args);
    va_end(args);
}

int wrong_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message(command, format, args);
    va_end(args);
    return WRONG_USAGE;
}

void put_wrapped(const char *text, int indent, int at)
{
    while (*text) {
        const int line = (int)strcspn(text, "\n"), word = (int)strcspn(text, " \n");
        if (*text == ' ' || line == 0) {
            printf("%s%.*s\n", at > indent ? "\n" : "", line, text);
            text += line + (text[line] == '\n');
            at = 0;
            continue;
        }
        if (at > indent && at + 1 + word > WRAP_WIDTH) {
            putchar('\n');
            at = 0;
        }
        if (at > indent)
            at += printf(" %.*s", word, text);
        else
            at += printf("%*s%.*s", indent - at, "", word, text);
        text += word;
        if (*text == '\n' && (text[1] == ' ' || text[1] == '\n')) { /* the end of a paragraph */
            putchar('\n');
            at = 0;
        }
        text += *text != '\0';
    }
    if (at)
        putchar('\n');
}
