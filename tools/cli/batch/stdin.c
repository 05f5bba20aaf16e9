/* batch/stdin.c: see stdin.h. */
#define _POSIX_C_SOURCE 200809L
#include "stdin.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "tools/cli/progress.h"

enum { LOOK_MS = 200 }; /* signals come to another thread */

ssize_t stdin_read(void *to, size_t room)
{
    for (;;) {
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        const int ready = poll(&wait, 1, LOOK_MS);
        if (progress_interrupted())
            return -1;
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready <= 0)
            continue;
        const ssize_t got = read(STDIN_FILENO, to, room);
        if (got >= 0 || errno != EINTR)
            return got;
    }
}
