/*
 * cli/main.c: vitx-cli, the library's face on the command line. It uses the public headers only.
 *
 * Finds the command in commands.def and makes sure that what was written has really arrived.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vitx/vitx.h>

#include "bundled.h"
#include "help.h"
#include "progress.h"
#include "serve/serve.h"

#define VX_COMMAND(name) extern const struct command cmd_##name;
#include "commands.def"
#undef VX_COMMAND

static const struct command *const commands[] = {
#define VX_COMMAND(name) &cmd_##name,
#include "commands.def"
#undef VX_COMMAND
    NULL};

/* A file opened later must not become number 0, 1 or 2, or results would be written into it. */
static void fill_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]] = {NULL};
    for (int i = 0; commands[i]; i++)
        names[i] = commands[i]->name;
    const char *near = nearest(name, names);
    if (near)
        return wrong_usage("no command %s; did you mean %s?", name, near);
    return wrong_usage("no command %s; vitx-cli -h lists them", name);
}

static int no_command(void)
{
    char list[256] = "";
    for (int i = 0; commands[i]; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 commands[i]->name);
    return wrong_usage("no command; there are %s; vitx-cli -h says what they do", list);
}

/* Also which kinds of pictures this vitx reads, what the others lack, and what it serves with. */
static void print_version(void)
{
    const char *name, *missing;
    printf("vitx-cli %s\npictures:", vitx_version());
    for (int lacking = 0; lacking < 2; lacking++) {
        const char *before = lacking ? "; built without" : "";
        for (int i = 0; (name = vitx_image_kind(i, &missing)) != NULL; i++) {
            if ((missing != NULL) != lacking)
                continue;
            printf("%s %s", before, lacking ? missing : name);
            before = ",";
        }
    }
    printf("\nserve: %s\n", serve_library() ? serve_library() : "built without libmicrohttpd");
}

static int run(int argc, char **argv)
{
    if (argc < 2)
        return no_command();
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) {
        program_help(commands, name[1] == '-');
        return DONE;
    }
    if (strcmp(name, "--version") == 0) {
        print_version();
        return DONE;
    }
    if (name[0] == '-')
        return wrong_usage("the command comes before its options; vitx-cli -h lists the commands");
    for (int i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return command_main(commands[i], argc - 1, argv + 1);
    return unknown_command(name);
}

/* Whether who read standard output has gone, as `head` does when it has enough. */
static bool reader_has_gone(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
}

int main(int argc, char **argv)
{
    fill_standard_streams();
    bundled_begin(argv[0]);
    /* A reader that went away ends the work like a full disk, so that no file is left half written;
     * only then the signal comes, which ends programs without a word. */
    void (*const before)(int) = signal(SIGPIPE, SIG_IGN);
#ifdef SIGXFSZ /* a file that may not grow is a failed write, which is said */
    signal(SIGXFSZ, SIG_IGN);
#endif
    int status = run(argc, argv);
    errno = 0;
    const bool failed = (fflush(stdout) != 0 || ferror(stdout)) && status != WRONG_USAGE;
    const bool alone = failed && before == SIG_DFL && reader_has_gone();
    if (failed && !alone) {
        complain("standard output", "%s", errno ? strerror(errno) : "not all could be written");
        status = status == DONE ? SOME_FAILED : status;
    }
    progress_end();
    if (alone) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    return status;
}
