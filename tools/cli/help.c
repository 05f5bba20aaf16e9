/* cli/help.c: see help.h. */
#include "help.h"

#include <stdio.h>

#define HELP_COLUMN 30
#define EXIT_HELP                                                                                  \
    "Exit status: 0 all done, 1 some of the work failed and the rest was done, 2 wrong\nusage.\n"

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

static void put_one(const struct option *o, bool everything)
{
    put_option(o->letter, o->name, o->value, o->help, everything ? o->more : NULL);
}

static void put_options(const struct option *options, int count, bool everything)
{
    for (int i = 0; i < count; i++)
        put_one(&options[i], everything);
}

/* Where those of every command begin. */
static int first_common(const struct command *command)
{
    int first = command->option_count;
    for (int i = 0; command->like && i < command->like->option_count; i++)
        first += takes_option(command, &command->like->options[i]);
    return first;
}

/* Those of another command. */
static void put_taken(const struct command *command, bool everything)
{
    printf("\nOptions of %s\n", command->like->name);
    for (int i = 0; i < command->like->option_count; i++)
        if (takes_option(command, &command->like->options[i]))
            put_one(&command->like->options[i], everything);
}

void command_help(const struct command *command, bool everything)
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
    if (command->like)
        put_taken(command, everything);
    printf("\nOptions of every command\n");
    const struct option *o;
    for (int i = first_common(command); (o = option_at(command, i)) != NULL; i++)
        put_one(o, everything);
    put_option('h', "help", NULL, "-h: this, in short; --help: at length", NULL);
    if (!everything)
        return;
    printf("\nOptions may stand before, between and behind the files; -- ends them.\n");
    if (command->pictures)
        printf("The picture - is standard input; @LIST stands for the pictures that the file LIST\n"
               "names, one a line (@-: standard input); a folder for those in it, and in its "
               "folders.\n"
               "A folder that cannot be read is reported and skipped, as a picture is.\n");
    printf(EXIT_HELP);
}

void program_help(const struct command *const *commands, bool everything)
{
    printf("usage: vitx-cli COMMAND [OPTIONS] FILES...\n"
           "Runs Vision Transformers and shows why they answered as they did.\n\nCommands\n");
    for (; *commands; commands++)
        printf("  %-10s  %s\n", (*commands)->name, (*commands)->summary);
    if (!everything) {
        printf("\nvitx-cli COMMAND -h lists a command's options; vitx-cli --help says more.\n");
        return;
    }
    printf("\nOptions of every command\n");
    put_options(common_options, common_option_count, true);
    put_option('h', "help", NULL, "-h: a command's help in short; --help: at length", NULL);
    put_option('\0', "version", NULL, "the version; without a command", NULL);
    printf("\nResults go to standard output, errors to standard error, one line each.\n" EXIT_HELP);
}
