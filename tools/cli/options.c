/* cli/options.c: see options.h. */
#define _POSIX_C_SOURCE 200809L
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "progress.h"

#define HELP_WIDTH 79
#define HELP_COLUMN 30
#define EXIT_HELP                                                                                  \
    "Exit status: 0 all done, 1 some of the work failed and the rest was done, 2 wrong\nusage.\n"
#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

static const char *const fits[] = {"recipe", "squash", "crop",
                                   "pad",    "keep",   NULL};               /* as vitx_fit */
static const char *const gradients[] = {"auto", "keep", "recompute", NULL}; /* as vitx_gradients */

static const struct option common_options[] = {
    {.name = "model",
     .letter = 'm',
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, model),
     .value = "MODEL",
     .help = "model's folder, .safetensors or .npz file (default: the bundled one)",
     .more =
         "The bundled model is a small ViT of drawn scenes; vitx-cli info says where it lies. A "
         "folder holds\n"
         "model.safetensors (or shards with their index, or Google's one .npz file), config.json "
         "and\n"
         "perhaps preprocessor_config.json or processor_config.json."},
    {.name = "labels",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, labels),
     .value = "FILE",
     .help = "class names: one a line, or JSON",
     .more = "JSON is an array of names or an object from index to name. Default: the model's "
             "config.json."},
    {.name = "lang",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, language),
     .value = "LANG",
     .help = "class names in a language, as zh or en (default: the model's)",
     .more = "They come from the file labels.LANG.txt beside the weights, one name a line. en "
             "without such a\n"
             "file means the model's own."},
    {.name = "device",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, device),
     .value = "NAME",
     .help = "what to run on (default cpu); vitx-cli info lists them"},
    {.name = "precision",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, precision),
     .value = "NAME",
     .help = "arithmetic: f32, or auto (the default)"},
    {.name = "threads",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, threads),
     .value = "N",
     .low = 0,
     .high = 256,
     .help = "worker threads (default 0: one for each processor)"},
    {.name = "batch",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, batch),
     .value = "B",
     .low = 1,
     .high = 1024,
     .help = "pictures that run at once (default 1)"},
    {.name = "fit",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct common, fit),
     .value = "recipe|squash|crop|pad|keep",
     .choices = fits,
     .help = "how a picture meets the model's input (default recipe; bench: squash)",
     .more =
         "recipe does what the model's files say. squash resizes the whole picture to the "
         "input's size;\n"
         "a picture of that size is taken as it is. crop resizes in proportion until the input is "
         "covered and cuts\n"
         "what is over; pad until the picture fits and fills up with the recipe's mean colour. "
         "keep makes the input\n"
         "as large as the picture, its sides rounded to whole patches; with --size, as large as "
         "fits within it."},
    {.name = "size",
     .kind = OPTION_SIZE,
     .offset = offsetof(struct common, size),
     .value = "S|HxW",
     .help = "pixels of the model's input, multiples of its patch (default: the model's own)",
     .more = "S stands for SxS. Position embeddings are resampled, and what the recipe resizes to "
             "grows with the\n"
             "input. vitx-cli info -m MODEL --size S says what it takes."},
    {.name = "pos-resample",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct common, pos_resample),
     .value = "NAME",
     .help = "whose way to resample position embeddings (default: that of the model's library)",
     .more = "timm, timm-npz, hf, hf-registers, open_clip, dinov2, dinov2-registers or jax."},
    {.name = "max-tokens",
     .kind = OPTION_INT,
     .offset = offsetof(struct common, max_tokens),
     .value = "N",
     .low = 1,
     .high = 65536,
     .help = "tokens that a picture may make (default 16384)"},
    {.name = "memory",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct common, memory),
     .value = "BYTES",
     .help = "memory for activations, of variants too (default: the machine's)"},
    {.name = "budget",
     .kind = OPTION_BYTES,
     .offset = offsetof(struct common, budget),
     .value = "BYTES",
     .help = "memory for recordings and gradients, as 500M (default 1G)",
     .more = "K, M and G stand for 1024, 1024^2 and 1024^3. Work that needs more is refused."},
    {.name = "gradients",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct common, gradients),
     .value = "auto|keep|recompute",
     .choices = gradients,
     .help = "what gradients read: kept, or computed again (default auto)",
     .more =
         "keep takes memory within --budget; recompute a tenth of it, and one more forward. auto "
         "keeps if there\n"
         "is room."},
    {.name = "quiet",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct common, quiet),
     .help = "no progress, no warnings, no list of written files"},
    {.name = "verbose",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct common, verbose),
     .help = "what the library has to say, on standard error"},
};

static const struct command *current; /* for messages */

/* ------------------------------------------------------------------ messages --------------- */

static void put_printable_to(const char *text, const char *end)
{
    for (; text < end; text++)
        fputc(iscntrl((unsigned char)*text) ? '?' : *text, stderr);
}

void put_printable(const char *text)
{
    put_printable_to(text, text + strlen(text));
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

/* Prints a message of the library, with options where it says names of the C API. */
static void put_message(const char *text)
{
    static const struct {
        const char *of_library, *here;
    } phrases[] = {{"raise trace_budget", "raise --budget"},
                   {"raise memory_budget", "raise --memory"},
                   {", max_tokens is ", ", --max-tokens is "},
                   {", and no vector is given", ", and there is neither --vector nor --like"}};
    const char *next = NULL;
    size_t which = 0;
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        const char *at = strstr(text, phrases[i].of_library);
        if (at && (!next || at < next)) {
            next = at;
            which = i;
        }
    }
    if (!next) {
        put_printable(text);
        return;
    }
    put_printable_to(text, next);
    put_printable(phrases[which].here);
    put_printable(next + strlen(phrases[which].of_library));
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
    progress_hide();
    fputs("vitx-cli: ", stderr);
    if (what) {
        put_printable(what);
        fputs(": ", stderr);
    }
    put_message(text ? text : brief);
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

void complain_last(const char *what)
{
    const char *text = vitx_last_error();
    const size_t length = what ? strlen(what) : 0;
    /* A message about a file, or one in a folder, begins with its name already. */
    if (length && strncmp(text, what, length) == 0 &&
        (text[length] == ':' || text[length] == '/' || what[length - 1] == '/'))
        what = NULL;
    complain(length ? what : NULL, "%s", text);
}

int wrong_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    message(current ? current->name : NULL, format, args);
    va_end(args);
    return WRONG_USAGE;
}

/* ------------------------------------------------------------------ near names ------------- */

/* Levenshtein's distance, of texts up to 31 characters; longer ones are far from everything. */
static int distance(const char *a, const char *b)
{
    int row[32];
    const size_t n = strlen(a), m = strlen(b);
    if (n > 31 || m > 31)
        return INT_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            const int above = row[j], change = corner + (a[i - 1] != b[j - 1]);
            int least = above + 1 < row[j - 1] + 1 ? above + 1 : row[j - 1] + 1;
            if (change < least)
                least = change;
            corner = above;
            row[j] = least;
        }
    }
    return row[m];
}

const char *nearest(const char *text, const char *const *names)
{
    const char *best = NULL;
    int least = 3;
    for (; *names; names++) {
        const size_t length = strlen(text);
        const int d = length > 2 && strncmp(text, *names, length) == 0 ? 0 : distance(text, *names);
        if (d < least && d < (int)strlen(*names)) {
            least = d;
            best = *names;
        }
    }
    return best;
}

int find_name(int *out, const char *text, const char *(*name_at)(int index), const char *what)
{
    const char *names[32] = {NULL};
    char list[256] = "";
    for (int i = 0; i < 31 && name_at(i); i++) {
        names[i] = name_at(i);
        if (strcmp(names[i], text) == 0) {
            *out = i;
            return DONE;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest(text, names);
    if (near)
        return wrong_usage("no %s \"%s\"; did you mean %s?", what, text, near);
    return wrong_usage("no %s \"%s\"; there are %s", what, text, list);
}

/* ------------------------------------------------------------------ lists ------------------ */

bool list_add(struct list *list, const char *text, size_t length)
{
    char **items = realloc(list->items, ((size_t)list->count + 1) * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    char *item = malloc(length + 1);
    if (!item)
        return false;
    memcpy(item, text, length);
    item[length] = '\0';
    list->items[list->count++] = item;
    return true;
}

void list_free(struct list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct list){0};
}

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

/* ------------------------------------------------------------------ values ----------------- */

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
    if (!isdigit((unsigned char)*text) || errno || shift < 0 || v == 0 || v > SIZE_MAX >> shift)
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

/* Digits alone, and no more than a side can have; 0 where it is something else. *end: behind them. */
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

static int store(void *settings, const struct option *o, const char *text)
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

/* The options of a command: its own, then the common ones. */
static const struct option *option_at(const struct command *command, int i)
{
    if (i < command->option_count)
        return &command->options[i];
    i -= command->option_count;
    return i < COUNT(common_options) ? &common_options[i] : NULL;
}

static int unknown_option(const struct command *command, const char *name, int length)
{
    const char *names[64];
    char text[64];
    int n = 0;
    const struct option *o;
    for (; n < COUNT(names) - 2 && (o = option_at(command, n)) != NULL; n++)
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
};

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
    return store(settings, o, value);
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
        return store(settings, o, text + 1);
    if (a->next == a->argc)
        return wrong_usage("-%c needs a value: %s", o->letter, o->value);
    return store(settings, o, a->argv[a->next++]);
}

static void command_help(const struct command *command, bool everything);

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

int command_main(const struct command *command, int argc, char **argv)
{
    struct arguments arguments = {.argc = argc, .next = 1, .argv = argv};
    void *settings = malloc(command->settings_size);
    bool asked = false;
    int files, status;
    current = command;
    if (!settings) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    memcpy(settings, command->defaults, command->settings_size);
    status = parse(command, settings, &arguments, &files, &asked);
    if (status == DONE && !asked)
        status = command->run(settings, argv, files);
    for (int i = 0; i < command->option_count; i++)
        if (command->options[i].kind == OPTION_LIST || command->options[i].kind == OPTION_NAMES)
            list_free((struct list *)((char *)settings + command->options[i].offset));
    free(settings);
    return status;
}

/* ------------------------------------------------------------------ help ------------------- */

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
        if (at > indent && at + 1 + word > HELP_WIDTH) {
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

static void put_option(char letter, const char *name, const char *value, const char *help,
                       const char *more)
{
    char text[128];
    int n =
        letter ? snprintf(text, sizeof text, "-%c, ", letter) : snprintf(text, sizeof text, "    ");
    n += snprintf(text + n, sizeof text - (size_t)n, "--%s", name);
    if (value)
        n += snprintf(text + n, sizeof text - (size_t)n, " %s", value);
    printf("  %s", text);
    if (n + 4 > HELP_COLUMN)
        putchar('\n');
    put_wrapped(help, HELP_COLUMN, n + 4 > HELP_COLUMN ? 0 : n + 2);
    if (more)
        put_wrapped(more, HELP_COLUMN, 0);
}

static void put_options(const struct option *options, int count, bool everything)
{
    for (int i = 0; i < count; i++)
        put_option(options[i].letter, options[i].name, options[i].value, options[i].help,
                   everything ? options[i].more : NULL);
}

static void command_help(const struct command *command, bool everything)
{
    printf("usage: vitx-cli %s %s\n", command->name, command->usage);
    printf("%s\n", command->summary);
    if (everything) {
        printf("\n");
        put_wrapped(command->details, 0, 0);
    }
    if (command->option_count)
        printf("\nOptions\n");
    put_options(command->options, command->option_count, everything);
    printf("\nOptions of every command\n");
    put_options(common_options, COUNT(common_options), everything);
    put_option('h', "help", NULL, "-h: this, in short; --help: at length", NULL);
    if (everything)
        printf(
            "\nOptions may stand before, between and behind the files; -- ends them.\n" EXIT_HELP);
}

void program_help(bool everything)
{
    printf("usage: vitx-cli COMMAND [OPTIONS] FILES...\n"
           "Runs Vision Transformers and shows why they answered as they did.\n\nCommands\n");
    for (int i = 0; command_at(i); i++)
        printf("  %-10s  %s\n", command_at(i)->name, command_at(i)->summary);
    if (!everything) {
        printf("\nvitx-cli COMMAND -h lists a command's options; vitx-cli --help says more.\n");
        return;
    }
    printf("\nOptions of every command\n");
    put_options(common_options, COUNT(common_options), true);
    put_option('h', "help", NULL, "-h: a command's help in short; --help: at length", NULL);
    put_option('\0', "version", NULL, "the version; without a command", NULL);
    printf("\nResults go to standard output, errors to standard error, one line each.\n" EXIT_HELP);
}
