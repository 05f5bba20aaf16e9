/*
 * cli/given.h: the words that a command was called with, to be shown to people who want to call it
 * again.
 *
 * The line is for a POSIX shell. Of paths only the last part is in it: nobody is to learn from a
 * page where its maker keeps files. So the line works in a folder that holds the model and the
 * pictures.
 */
#ifndef CLI_GIVEN_H
#define CLI_GIVEN_H

#include <stdbool.h>

struct option;

/* An option with its value (NULL: a flag), or a picture (option NULL); borrowed from main's
 * argv. */
struct word {
    const struct option *option;
    const char *value;
};

struct given {
    struct word *words;
    int count;
};

/* false without memory */
bool given_add(struct given *given, const struct option *option, const char *value);
void given_free(struct given *given);

/* What a line says in place of what was given. */
struct change {
    const char *picture; /* in place of all pictures; NULL: these */
    int target;          /* one more class; -1: none */
};
/* Whether the value is @FILE to the option; false where it has none. */
bool is_list(const struct option *option, const char *value);
/* How a command line says a text to an option that knows @FILE: a text @x is @@x there. To be
 * freed; NULL without memory. */
char *text_as_value(const struct option *option, const char *text);

/* To be freed; NULL without memory. */
char *given_line(const struct given *given, const char *command, const struct change *change);

/* The last part of a path: "dog.jpg" of "a/dog.jpg", "vit" of "models/vit/". */
const char *last_part(const char *path);

#endif
