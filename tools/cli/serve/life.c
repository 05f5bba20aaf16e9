/* serve/life.c: see life.h. */
#define _GNU_SOURCE /* pipe2 */
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tools/cli/progress.h"

/* A handler reaches nothing else. */
static struct {
    int pipe[2];
    atomic_int came;
    atomic_bool serves;
} life;

static void remember(int signal)
{
    const int error = errno;
    if (atomic_fetch_add(&life.came, 1) > 0 || !atomic_load(&life.serves))
        _exit(128 + signal);
    while (write(life.pipe[1], "", 1) < 0 && errno == EINTR)
        continue;
    errno = error;
}

bool life_begin(void)
{
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return pipe2(life.pipe, O_CLOEXEC | O_NONBLOCK) == 0 &&
           sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0;
}

void life_serves(void)
{
    atomic_store(&life.serves, true);
}

bool life_wait(double seconds)
{
    const double end = now_ms() + seconds * 1e3;
    for (;;) {
        struct pollfd polled = {.fd = life.pipe[0], .events = POLLIN};
        const double left = seconds < 0 ? -1 : end - now_ms();
        if (atomic_load(&life.came))
            return true;
        if (seconds >= 0 && left <= 0)
            return false;
        poll(&polled, 1, left > 1e5 ? 100000 : (int)left + (left > 0));
    }
}
