/* cli/progress.c: see progress.h. */
#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 500, REDRAW_MS = 100, BAR = 24 };

static struct {
    bool wanted;  /* standard error is a terminal and may be written to     */
    bool results; /* standard output is one, too                            */
    bool shown;
    double began, called, drawn; /* when: the work, the running call, the line */
    int total, done, n;          /* steps: all, before the running call, in it */
    int steps;                   /* of a thing                                 */
    const char *what, *name;
    pthread_t thread; /* that draws */
} line;

static atomic_int interrupted; /* set by a signal, read by all threads: never by a lock */
static atomic_bool patient;    /* the running call may end */
static bool stoppable;         /* the command's status tells of the signal */

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Once, and not where whoever started the program wants Ctrl-C to be ignored. */
static void catch_interrupt(void)
{
    static bool caught;
    struct sigaction action;
    if (caught || sigaction(SIGINT, NULL, &action) != 0 || action.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND); /* the second one is deadly again */
    sigemptyset(&action.sa_mask);
    caught = sigaction(SIGINT, &action, NULL) == 0;
}

void progress_stoppable(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    catch_interrupt();
    stoppable = true;
}

void progress_begin(const struct common *common, int count, int steps, const char *what)
{
    say_before(progress_hide);
    progress_hide();
    catch_interrupt();
    line.wanted = !common->quiet && isatty(STDERR_FILENO);
    line.results = isatty(STDOUT_FILENO);
    line.total = count * steps;
    line.steps = steps;
    line.what = what;
    line.thread = pthread_self();
    line.began = now_ms();
    progress_step(0, line.total, "");
}

void progress_step(int done, int n, const char *name)
{
    line.done = done;
    line.n = n;
    line.name = name;
    line.called = line.wanted ? now_ms() : 0;
}

/* "0:07", "12:34", "3:05:00" */
static void put_time(char *text, size_t size, double ms)
{
    const long s = (long)(ms / 1000 + 0.5);
    if (s < 3600)
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

/* part: 0..1 of all the work. */
static void draw(double part, double now)
{
    char text[256], bar[BAR + 1], left[32] = "", count[32] = "";
    const int full = (int)(part * BAR), width = terminal_width(STDERR_FILENO, 80);
    for (int i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = '\0';
    if (part > 0)
        put_time(left, sizeof left, (now - line.began) * (1 - part) / part);
    if (line.total > 1)
        snprintf(count, sizeof count, "%d/%d ", line.done, line.total);
    int length = snprintf(text, sizeof text, "%3d%% [%s]  %s left  %s%s", (int)(part * 100), bar,
                          left[0] ? left : "-:--", count, line.name);
    /* A line that wraps could not be taken away; no character is cut in half. */
    const int most = (width < (int)sizeof text ? width : (int)sizeof text - 1) - 1;
    if (length > most)
        for (length = most; length > 0 && (text[length] & 0xc0) == 0x80;)
            length--;
    text[length > 0 ? length : 0] = '\0';
    progress_hide();
    put_printable(stderr, text);
    fflush(stderr);
    line.shown = true;
    line.drawn = now;
}

int progress_tick(int64_t done, int64_t total, void *payload)
{
    (void)payload;
    if (line.wanted && total > 0 && pthread_equal(line.thread, pthread_self())) {
        const double now = now_ms();
        /* Results that go to the same terminal are progress enough while calls are short. */
        const double since = line.results ? line.called : line.began;
        if (now - since >= PATIENCE_MS && now - line.drawn >= REDRAW_MS)
            draw((line.done + line.n * ((double)done / (double)total)) / line.total, now);
    }
    return interrupted && !patient;
}

void progress_let_end(bool call)
{
    patient = call;
}

void progress_hide(void)
{
    if (line.shown)
        fputs("\r\033[K", stderr);
    line.shown = false;
}

void progress_before_results(void)
{
    if (line.results)
        progress_hide();
}

bool progress_interrupted(void)
{
    return interrupted;
}

bool progress_cancelled(void)
{
    static bool said;
    if (interrupted && !said && line.what)
        complain(NULL, "cancelled: %d of %d %s are done", line.done / line.steps,
                 line.total / line.steps, line.what);
    else if (interrupted && !said)
        complain(NULL, "cancelled");
    said = said || interrupted;
    return interrupted;
}

void progress_end(void)
{
    if (!interrupted || stoppable)
        return;
    signal(SIGINT, SIG_DFL);
    raise(SIGINT);
}
