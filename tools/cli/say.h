/*
 * cli/say.h: what the program says: messages on standard error, wrapped text on standard output.
 *
 * It knows nobody: what has to happen before a message, and whose message it is, it is told.
 */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What the program returns. */
enum { DONE = 0, SOME_FAILED = 1, WRONG_USAGE = 2 };

/* The command that wrong_usage() names. */
void say_command(const char *name);
/* Called before every message, as by what has drawn something on the terminal. */
void say_before(void (*hide)(void));

/* "vitx-cli: what: message" on standard error, in one line. what NULL: without it. */
void complain(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "vitx-cli: COMMAND: message"; gives WRONG_USAGE. */
int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From here on this thread's messages go into *text, until say_release(); once more before that:
 * into another text, and after its say_release() into the first again. *text is to be freed, and
 * NULL if there were none. say_held() prints such a text (NULL: nothing) as complain() would. */
void say_hold(char **text, size_t *length);
void say_release(void);
void say_held(const char *text);

/* A line of such a text, the first or the last, without the program's name; *length: its bytes. */
const char *say_line(const char *text, bool last, size_t *length);

/* A name may hold anything: it must not break the line or drive the terminal. */
void put_printable(FILE *file, const char *text);

/* Words to standard output, wrapped as the help is, each line behind `indent` blanks; the cursor
 * stands at column `at`. A line of the text that begins with a blank is kept as it is. */
void put_wrapped(const char *text, int indent, int at);
/* The columns of a terminal; `fallback` where there is none. */
int terminal_width(int fd, int fallback);

#endif
