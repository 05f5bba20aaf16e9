/*
 * base/cpus.c: the affinity of the process, and the CPU quota of its control group.
 *
 * A container of one CPU on a machine of 64 may be scheduled on all 64 and stands still once it has
 * used its share of a period: threads beyond the quota cost time. The quota stands in a file of the
 * group.
 * /proc/self/cgroup names the group in each hierarchy ("4:cpu,cpuacct:/docker/ab12", or "0::/app"
 * in version 2), /proc/self/mountinfo says where a hierarchy is mounted and which of its groups is
 * the mount's top. Every group from ours up to that top has a say.
 */
#define _GNU_SOURCE
#include "base/cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BYTES = 4096,     /* longer lines are passed over */
    MOST_BYTES = 1 << 22,  /* of a file: mountinfo has a line for each mount */
    MOST_CPUS = 1 << 20,   /* a quota beyond that is none */
    PATH_BYTES = 3 * 4096, /* root, mount and group */
};

/* ------------------------------------------------------------------ small files ---------- */

/* A text file, line by line. */
typedef struct lines {
    int fd;
    long left; /* bytes that may still be read */
    char text[LINE_BYTES];
    size_t filled, used; /* bytes in text; of them, what former lines had */
} lines;

static bool open_lines(lines *l, const char *root, const char *path)
{
    char name[PATH_BYTES];
    const int n = snprintf(name, sizeof name, "%s%s", root, path);
    if (n < 0 || (size_t)n >= sizeof name)
        return false;
    l->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    l->left = MOST_BYTES;
    l->filled = l->used = 0;
    return l->fd >= 0;
}

static bool read_more(lines *l)
{
    memmove(l->text, l->text + l->used, l->filled - l->used);
    l->filled -= l->used;
    l->used = 0;
    if (l->left <= 0 || l->filled >= sizeof l->text - 1)
        return false;
    ssize_t got;
    do
        got = read(l->fd, l->text + l->filled, sizeof l->text - 1 - l->filled);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return false;
    l->left -= (long)got;
    l->filled += (size_t)got;
    return true;
}

/* The next line without its end, or NULL. It lives until the next call. */
static char *next_line(lines *l)
{
    bool whole = true;
    for (;;) {
        char *start = l->text + l->used;
        char *end = memchr(start, '\n', l->filled - l->used);
        if (end) {
            *end = '\0';
            l->used = (size_t)(end - l->text) + 1;
            if (whole)
                return start;
            whole = true;
        } else if (l->filled - l->used == sizeof l->text - 1) { /* too long */
            l->used = l->filled;
            whole = false;
        } else if (!read_more(l)) {
            l->text[l->filled] = '\0';
            start = l->text + l->used;
            l->used = l->filled;
            return whole && *start ? start : NULL;
        }
    }
}

/* ------------------------------------------------------------------ groups --------------- */

/* One hierarchy: where our group is, and what its quota comes to. */
typedef struct search {
    const char *root;
    bool v2;
    char group[LINE_BYTES]; /* the process's, as /proc/self/cgroup has it */
    char top[LINE_BYTES];   /* where the hierarchy is mounted              */
    int cpus;               /* the smallest quota so far; 0: none          */
} search;

static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == '\0' || p[n] == ','))
            return true;
    return false;
}

/* A line "number:controllers:group". */
static bool find_group(search *s)
{
    lines l;
    bool found = false;
    if (!open_lines(&l, s->root, "/proc/self/cgroup"))
        return false;
    for (char *line; !found && (line = next_line(&l));) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/')
            continue;
        *group++ = '\0';
        controllers++;
        found =
            s->v2 ? strcmp(line, "0:") == 0 && *controllers == '\0' : has_word(controllers, "cpu");
        if (found)
            snprintf(s->group, sizeof s->group, "%s", group);
    }
    close(l.fd);
    /* "/../x": a group beside the one that our namespace begins with. It is not to be seen from
     * here. */
    return found && !strstr(s->group, "/..");
}

/* mountinfo writes a blank, tab, newline and backslash as \040 and the like. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; to++) {
        const bool octal = p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
                           p[2] <= '7' && p[3] >= '0' && p[3] <= '7';
        *to = octal ? (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')) : *p;
        p += octal ? 4 : 1;
    }
    *to = '\0';
}

/* Cuts text into words; how many there are, at most `most`. */
static int split(char **words, int most, char *text)
{
    int n = 0;
    for (char *rest = NULL, *w = strtok_r(text, " ", &rest); w && n < most;
         w = strtok_r(NULL, " ", &rest))
        words[n++] = w;
    return n;
}

/* What of our group lies below the group that is mounted; NULL if the mount does not show it. */
static const char *below(const char *group, const char *mounted)
{
    const size_t n = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
    return strncmp(group, mounted, n) == 0 && (group[n] == '/' || group[n] == '\0') ? group + n
                                                                                    : NULL;
}

/*
 * A line "36 35 98:0 /group /mount/point options optional... - type source options". The mount that
 * shows our group is the right one. A container may see a group's name of the machine outside and
 * only its own group mounted: then the top of the first mount stands for it.
 */
static bool find_mount(search *s)
{
    lines l;
    bool found = false, shown = false;
    if (!open_lines(&l, s->root, "/proc/self/mountinfo"))
        return false;
    for (char *line; !shown && (line = next_line(&l));) {
        char *behind = strstr(line, " - "), *words[5], *type[3];
        if (!behind)
            continue;
        *behind = '\0';
        if (split(words, 5, line) < 5 || split(type, 3, behind + 3) < 3 ||
            strcmp(type[0], s->v2 ? "cgroup2" : "cgroup") != 0 ||
            (!s->v2 && !has_word(type[2], "cpu")))
            continue;
        unescape(words[3]);
        unescape(words[4]);
        const char *rest = below(s->group, words[3]);
        shown = rest != NULL;
        if (!shown && found)
            continue;
        snprintf(s->top, sizeof s->top, "%s", words[4]);
        if (shown)
            memmove(s->group, rest, strlen(rest) + 1);
        found = true;
    }
    close(l.fd);
    if (found && !shown)
        s->group[0] = '\0';
    return found;
}

/* ------------------------------------------------------------------ quotas --------------- */

/* Numbers of a group's file; "max" is -1. How many there are. */
static int read_numbers(long long *out, int most, const search *s, const char *file)
{
    char path[PATH_BYTES], *words[2];
    lines l;
    const int length = snprintf(path, sizeof path, "%s%s/%s", s->top, s->group, file);
    if (length < 0 || (size_t)length >= sizeof path || !open_lines(&l, s->root, path))
        return 0;
    char *line = next_line(&l);
    const int n = line ? split(words, most, line) : 0;
    for (int i = 0; i < n; i++) {
        char *end;
        errno = 0;
        out[i] = strtoll(words[i], &end, 10);
        if (*end || end == words[i] || errno)
            out[i] = -1;
    }
    close(l.fd);
    return n;
}

/* Of the group s->group. */
static void count_quota(search *s)
{
    long long v[2] = {-1, -1};
    const int n = s->v2 ? read_numbers(v, 2, s, "cpu.max")
                        : read_numbers(&v[0], 1, s, "cpu.cfs_quota_us") +
                              read_numbers(&v[1], 1, s, "cpu.cfs_period_us");
    const long long quota = v[0], period = v[1];
    if (n < 2 || quota <= 0 || period <= 0 || quota / period >= MOST_CPUS)
        return;
    const int cpus = (int)(quota / period + (quota % period > 0));
    if (s->cpus == 0 || cpus < s->cpus)
        s->cpus = cpus;
}

/* Of one hierarchy: our group and all above it. */
static int search_hierarchy(const char *root, bool v2)
{
    search s = {.root = root, .v2 = v2};
    if (!find_group(&s) || !find_mount(&s))
        return 0;
    for (;;) {
        count_quota(&s);
        char *slash = strrchr(s.group, '/');
        if (!slash)
            return s.cpus;
        *slash = '\0';
    }
}

int vx_cpu_quota(const char *root)
{
    const int v1 = search_hierarchy(root, false), v2 = search_hierarchy(root, true);
    return v1 == 0 || (v2 > 0 && v2 < v1) ? v2 : v1;
}

static int scheduled_on(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > INT_MAX ? INT_MAX : (int)count;
}

int vx_cpu_count(void)
{
    const int affinity = scheduled_on(), quota = vx_cpu_quota("");
    return quota > 0 && quota < affinity ? quota : affinity;
}
