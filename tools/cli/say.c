/* cli/say.c: see say.h. */
#define _POSIX_C_SOURCE 200809L
#include "say.h"

#include <ctype.h>
#include <stdarg.h>
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

void put_printable(const char *text)
{
    for (; *text; text++)
        fputc(iscntrl((unsigned char)*text) ? '?' : *text, stderr);
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
    if (before)
        before();
    fputs("vitx-cli: ", stderr);
    if (what) {
        put_printable(what);
        fputs(": ", stderr);
    }
    put_printable(text ? text : brief);
    fputc('\n', stderr);
    free(text);
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
