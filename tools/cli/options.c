/* cli/options.c: see options.h. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filelist.h"
#include "help.h"

/* ------------------------------------------------------------------ values ----------------- */

static bool add_names(struct list *list, const char *text)
{
    for (;;) {
        const size_t length = strcspn(text, ",");
        if (!list_add(list, text, length))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

static int parse_int(int *out, const struct option *o, const char *text)
{
    char *end, extra[64] = "";
    errno = 0;
    const long v = strtol(text, &end, 10);
    const bool number = end != text && *end == '\0' && !isspace((unsigned char)*text);
    if (o->word && strcmp(text, o->word) == 0) {
        *out = o->word_value;
        return DONE;
    }
    if (number && errno == 0 && (double)v >= o->low && (double)v <= o->high) {
        *out = (int)v;
        return DONE;
    }
    if (o->word)
        snprintf(extra, sizeof extra, ", or %s", o->word);
    if (o->high >= INT_MAX)
        return wrong_usage("--%s is \"%s\", it takes a whole number from %.0f%s", o->name, text,
                           o->low, extra);
    return wrong_usage("--%s is \"%s\", it takes a whole number from %.0f to %.0f%s", o->name, text,
                       o->low, o->high, extra);
}

static int parse_real(double *out, const struct option *o, const char *text)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || isspace((unsigned char)*text) ||
        !(v >= o->low && v <= o->high))
        return wrong_usage("--%s is \"%s\", it takes a number from %g to %g", o->name, text, o->low,
                           o->high);
    *out = v;
    return DONE;
}

static int parse_bytes(size_t *out, const struct option *o, const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    int shift = 0;
    if (isdigit((unsigned char)*text) && *end) {
        const char *units = "KMG", *unit = strchr(units, toupper((unsigned char)*end));
        shift = unit && end[1] == '\0' ? 10 * (int)(unit - units + 1) : -1;
    }
    if (!isdigit((unsigned char)*text) || errno || shift < 0 || (v == 0 && !o->zero) ||
        v > SIZE_MAX >> shift)
        return wrong_usage("--%s is \"%s\", it takes a number of bytes as 2000000, 500K, 64M or 2G",
                           o->name, text);
    *out = (size_t)v << shift;
    return DONE;
}

static int parse_choice(int *out, const struct option *o, const char *text)
{
    for (int i = 0; o->choices[i]; i++)
        if (strcmp(o->choices[i], text) == 0) {
            *out = i;
            return DONE;
        }
    return wrong_usage("--%s is \"%s\", it takes %s", o->name, text, o->value);
}

/* Digits alone, and no more than a side can have; 0 where it is something else. *end: behind
 * them. */
static int parse_side(const char *text, const char **end)
{
    int side = 0;
    for (*end = text; **end >= '0' && **end <= '9' && side <= 65535; (*end)++)
        side = side * 10 + (**end - '0');
    return side <= 65535 ? side : 0;
}

static int parse_size(struct size *out, const struct option *o, const char *text)
{
    const char *end;
    out->height = out->width = parse_side(text, &end);
    if (out->height && (*end == 'x' || *end == 'X'))
        out->width = parse_side(end + 1, &end);
    if (out->height && out->width && *end == '\0')
        return DONE;
    return wrong_usage("--%s is \"%s\", it takes S or HxW, sides of 1 to 65535 pixels", o->name,
                       text);
}

static int parse_window(struct window *out, const struct option *o, const char *text)
{
    char *comma, *end = NULL;
    out->low = strtod(text, &comma);
    if (comma != text && *comma == ',')
        out->high = strtod(comma + 1, &end);
    const double span = out->high - out->low;
    if (end && end != comma + 1 && *end == '\0' && span > 0 && isfinite(span))
        return DONE;
    return wrong_usage("--%s is \"%s\", it takes two numbers, the greater one last: %s", o->name,
                       text, o->value);
}

int option_store(void *settings, const struct option *o, const char *text)
{
    void *at = (char *)settings + o->offset;
    bool stored = true;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        break;
    case OPTION_TEXT:
        if (*text == '\0')
            return wrong_usage("--%s is empty, it takes %s", o->name, o->value);
        *(const char **)at = text;
        break;
    case OPTION_INT:
        return parse_int(at, o, text);
    case OPTION_REAL:
        return parse_real(at, o, text);
    case OPTION_BYTES:
        return parse_bytes(at, o, text);
    case OPTION_CHOICE:
        return parse_choice(at, o, text);
    case OPTION_SIZE:
        return parse_size(at, o, text);
    case OPTION_WINDOW:
        return parse_window(at, o, text);
    case OPTION_LIST:
        stored = list_add(at, text, strlen(text));
        break;
    case OPTION_NAMES:
        stored = add_names(at, text);
        break;
    }
    if (!stored) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    return DONE;
}

/* ------------------------------------------------------------------ parsing ---------------- */

bool takes_option(const struct command *command, const struct option *option)
{
    for (int i = 0; command->taken[i]; i++)
        if (strcmp(command->taken[i], option->name) == 0)
            return true;
    return false;
}

static bool has_own(const struct command *command, const char *name)
{
    for (int i = 0; i < command->option_count; i++)
        if (strcmp(command->options[i].name, name) == 0)
            return true;
    return false;
}

const struct option *option_at(const struct command *command, int i)
{
    if (i < command->option_count)
        return &command->options[i];
    i -= command->option_count;
    for (int k = 0; command->like && k < command->like->option_count; k++)
        if (takes_option(command, &command->like->options[k]) && i-- == 0)
            return &command->like->options[k];
    for (int c = 0; c < common_option_count; c++)
        if (!has_own(command, common_options[c].name) && i-- == 0)
            return &common_options[c];
    return NULL;
}

const struct option *option_find(const struct command *command, const char *name)
{
    const struct option *o;
    for (int i = 0; (o = option_at(command, i)) != NULL; i++)
        if (strcmp(o->name, name) == 0)
            break;
    return o;
}

static int unknown_option(const struct command *command, const char *name, int length)
{
    const char *names[128];
    char text[64];
    int n = 0;
    const struct option *o;
    for (; n < (int)(sizeof names / sizeof names[0]) - 2 && (o = option_at(command, n)) != NULL;
         n++)
        names[n] = o->name;
    names[n++] = "help";
    names[n] = NULL;
    snprintf(text, sizeof text, "%.*s", length, name);
    const char *near = nearest(text, names);
    if (near)
        return wrong_usage("no option --%s; did you mean --%s?", text, near);
    return wrong_usage("no option --%s; vitx-cli %s --help lists them", text, command->name);
}

struct arguments {
    int argc, next;
    char **argv;
    struct given *given;
};

/* Stores an option, and keeps it as it was given. */
static int take(void *settings, const struct option *o, const char *value, struct arguments *a)
{
    if (given_add(a->given, o, value))
        return option_store(settings, o, value);
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* One option; argv[next-1] is it. */
static int parse_long(const struct command *command, void *settings, struct arguments *a)
{
    const char *name = a->argv[a->next - 1] + 2;
    const int length = (int)strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const struct option *o = NULL;
    for (int i = 0; (o = option_at(command, i)) != NULL; i++)
        if ((int)strlen(o->name) == length && strncmp(o->name, name, (size_t)length) == 0)
            break;
    if (!o)
        return unknown_option(command, name, length);
    if (o->kind == OPTION_FLAG && value)
        return wrong_usage("--%s takes no value", o->name);
    if (o->kind != OPTION_FLAG && !value) {
        if (a->next == a->argc)
            return wrong_usage("--%s needs a value: %s", o->name, o->value);
        value = a->argv[a->next++];
    }
    return take(settings, o, value, a);
}

static int parse_short(const struct command *command, void *settings, struct arguments *a)
{
    const char *text = a->argv[a->next - 1] + 1;
    const struct option *o = NULL;
    for (int i = 0; (o = option_at(command, i)) != NULL; i++)
        if (o->letter == *text)
            break;
    if (!o)
        return wrong_usage("no option -%c; vitx-cli %s --help lists them", *text, command->name);
    if (text[1])
        return take(settings, o, text + 1, a);
    if (a->next == a->argc)
        return wrong_usage("-%c needs a value: %s", o->letter, o->value);
    return take(settings, o, a->argv[a->next++], a);
}

/* Options are stored, the other arguments moved to the front of argv. *asked is set where help
 * was asked for and given. */
static int parse(const struct command *command, void *settings, struct arguments *a, int *files,
                 bool *asked)
{
    bool only_files = false;
    *files = 0;
    while (a->next < a->argc) {
        char *text = a->argv[a->next++];
        int status = DONE;
        if (only_files || text[0] != '-' || text[1] == '\0') {
            a->argv[(*files)++] = text;
            if (!given_add(a->given, NULL, text)) {
                complain(NULL, "no memory");
                status = SOME_FAILED;
            }
        } else if (strcmp(text, "--") == 0) {
            only_files = true;
        } else if (strcmp(text, "-h") == 0 || strcmp(text, "--help") == 0) {
            command_help(command, text[1] == '-');
            *asked = true;
            return DONE;
        } else {
            status = text[1] == '-' ? parse_long(command, settings, a)
                                    : parse_short(command, settings, a);
        }
        if (status != DONE)
            return status;
    }
    return DONE;
}

static int run_on_pictures(const struct command *command, void *settings, char **names, int count)
{
    struct list files = {0};
    struct common *common = settings;
    int status = filelist_expand(&files, &common->unread, names, count);
    if (status == DONE)
        status = command->run(settings, files.items, files.count);
    list_free(&files);
    return status == DONE && common->unread ? SOME_FAILED : status;
}

void *settings_create(const struct command *command)
{
    void *settings = malloc(command->settings_size);
    if (settings)
        memcpy(settings, command->defaults, command->settings_size);
    return settings;
}

void settings_free(const struct command *command, void *settings)
{
    const struct option *o;
    for (int i = 0; settings && (o = option_at(command, i)) != NULL; i++)
        if (o->kind == OPTION_LIST || o->kind == OPTION_NAMES)
            list_free((struct list *)((char *)settings + o->offset));
    free(settings);
}

int command_main(const struct command *command, int argc, char **argv)
{
    struct given given = {0};
    struct arguments arguments = {.argc = argc, .next = 1, .argv = argv, .given = &given};
    void *settings = settings_create(command);
    bool asked = false;
    int files, status;
    say_command(command->name);
    if (!settings) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    ((struct common *)settings)->given = &given;
    status = parse(command, settings, &arguments, &files, &asked);
    if (status == DONE && !asked)
        status = command->pictures ? run_on_pictures(command, settings, argv, files)
                                   : command->run(settings, argv, files);
    settings_free(command, settings);
    given_free(&given);
    return status;
}
