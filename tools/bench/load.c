/*
 * tools/bench/load.c: load on vitx-cli serve, as it comes: requests are sent when they are due,
 * whether earlier ones have been answered or not, and their time counts from then. (A client that
 * waits for an answer before it sends the next request hides what it would have had to wait.)
 *
 *      load PORT PATH FILE [-r RATE] [-s SECONDS] [-c CONNECTIONS] [-l SLOW] [-m MALFORMED]
 *           [-e HEALTH] [-d] [-o]
 *
 *  -r  requests a second; 0: a connection sends its next request once the last one is answered
 *  -l  connections that send a byte a second    -m  malformed requests a second
 *  -e  requests of /v2/health/live a second     -d  each body is another one: bytes behind FILE
 *  -o  one request a connection
 *
 * Prints one JSON object. Status 1 if an answer was lost: a connection ended in a request.
 */
#define _GNU_SOURCE /* memmem */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, HEAD = 512, ANSWER_HEAD = 4096, TAIL = 16, LAST_S = 40 };
enum kind { LOAD, HEALTH, SLOW, MALFORMED };

struct line {
    int fd; /* -1: closed */
    enum kind kind;
    bool busy;
    double due, next; /* next: of the next slow byte */
    char head[HEAD];
    size_t head_bytes, sent, total;
    uint64_t number;
    char answer[ANSWER_HEAD];
    size_t got, body_left;
    bool in_body;
    int status;
    bool closes;
};

struct times {
    double *ms;
    size_t count, room;
};

static struct {
    int port, connections, slow, malformed, health;
    double rate, seconds;
    bool distinct, once;
    const char *path;
    char *file;
    size_t bytes;
    struct line lines[MOST];
    int line_count;
    uint64_t first, sent, lost, cut, statuses[600], malformed_statuses[600];
    struct times load, good, healths;
} all;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void keep(struct times *t, double ms)
{
    if (t->count == t->room)
        t->ms = realloc(t->ms, (t->room = t->room ? t->room * 2 : 1024) * sizeof *t->ms);
    if (!t->ms)
        abort();
    t->ms[t->count++] = ms;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(struct times *t, double q)
{
    if (!t->count)
        return 0;
    qsort(t->ms, t->count, sizeof *t->ms, by_value);
    const size_t i = (size_t)(q * (double)t->count);
    return t->ms[i < t->count ? i : t->count - 1];
}

/* ------------------------------------------------------------------ connections ------------ */

static bool open_line(struct line *line)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)all.port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    line->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (line->fd < 0)
        return false;
    setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(line->fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
        errno == EINPROGRESS)
        return true;
    close(line->fd);
    line->fd = -1;
    return false;
}

static void close_line(struct line *line)
{
    if (line->fd >= 0)
        close(line->fd);
    line->fd = -1;
    line->busy = false;
}

static void write_head(struct line *line)
{
    static const char two_lengths[] =
        "POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        "Content-Length: 4\r\n\r\nabcd";
    static const char coded[] = "POST /v1/classify HTTP/1.1\r\nHost: a\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    static const char *const broken[] = {two_lengths,
                                         coded,
                                         "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                         "\x16\x03\x01\x02\x01\xfc\x03",
                                         "BREW / HTTP/9.9\r\n\r\n",
                                         "GET /%zz?%00 HTTP/1.1\r\nHost: a\r\n\r\n"};
    const size_t body = all.bytes + (all.distinct ? TAIL : 0);
    line->total = 0;
    if (line->kind == MALFORMED) {
        const char *text = broken[line->number % (sizeof broken / sizeof broken[0])];
        line->head_bytes = (size_t)snprintf(line->head, HEAD, "%s", text);
        return;
    }
    if (line->kind == HEALTH) {
        line->head_bytes = (size_t)snprintf(line->head, HEAD,
                                            "GET /v2/health/live HTTP/1.1\r\nHost: load\r\n\r\n");
        return;
    }
    line->head_bytes = (size_t)snprintf(
        line->head, HEAD, "POST %s HTTP/1.1\r\nHost: load\r\nContent-Length: %zu\r\n%s\r\n",
        all.path, body, all.once ? "Connection: close\r\n" : "");
    line->total = line->kind == LOAD ? body : 0;
}

static bool begin(struct line *line, double due)
{
    if (line->fd < 0 && !open_line(line))
        return false;
    line->number = all.first + all.sent++;
    line->due = due;
    line->next = due;
    line->sent = line->got = line->body_left = 0;
    line->in_body = line->closes = false;
    line->status = 0;
    line->busy = true;
    write_head(line);
    return true;
}

static void finish(struct line *line, bool answered)
{
    const double ms = (now_s() - line->due) * 1e3;
    if (line->kind == SLOW)
        all.cut++;
    else if (line->kind == MALFORMED)
        all.malformed_statuses[line->status]++;
    else if (!answered)
        all.lost++;
    else if (line->kind == HEALTH)
        keep(&all.healths, ms);
    else {
        all.statuses[line->status]++;
        keep(&all.load, ms);
        if (line->status == 200)
            keep(&all.good, ms);
    }
    line->busy = false;
    if (!answered || line->closes || all.once || line->kind != LOAD)
        close_line(line);
}

/* ------------------------------------------------------------------ bytes ------------------ */

/* What follows the bytes that were sent. */
static size_t rest(struct line *line, const char **at, char tail[TAIL + 1])
{
    if (line->sent < line->head_bytes) {
        *at = line->head + line->sent;
        return line->head_bytes - line->sent;
    }
    const size_t in_body = line->sent - line->head_bytes;
    if (in_body < all.bytes) {
        *at = all.file + in_body;
        return all.bytes - in_body;
    }
    snprintf(tail, TAIL + 1, "%016llx", (unsigned long long)line->number);
    *at = tail + (in_body - all.bytes);
    return TAIL - (in_body - all.bytes);
}

static bool wants_to_send(const struct line *line, double now)
{
    return line->sent < line->head_bytes + line->total && (line->kind != SLOW || now >= line->next);
}

static void send_some(struct line *line, double now)
{
    char tail[TAIL + 1];
    const char *at;
    size_t n = rest(line, &at, tail);
    if (line->kind == SLOW && n > 1)
        n = 1;
    const ssize_t done = send(line->fd, at, n, MSG_NOSIGNAL);
    if (done > 0)
        line->sent += (size_t)done;
    line->next = now + 1;
}

static void take_head(struct line *line)
{
    char *end = memmem(line->answer, line->got, "\r\n\r\n", 4);
    if (!end)
        return;
    *end = '\0';
    const size_t head = (size_t)(end - line->answer) + 4;
    const char *length = strcasestr(line->answer, "\r\nContent-Length:");
    line->status = strlen(line->answer) > 12 ? atoi(line->answer + 9) % 600 : 0;
    line->closes = strcasestr(line->answer, "\r\nConnection: close") != NULL;
    const size_t body = length ? strtoull(length + 17, NULL, 10) : 0;
    line->in_body = true;
    line->body_left = body - (line->got - head);
}

static void receive(struct line *line)
{
    char scratch[65536];
    const bool head = !line->in_body;
    const ssize_t n =
        head ? recv(line->fd, line->answer + line->got, sizeof line->answer - 1 - line->got, 0)
             : recv(line->fd, scratch, sizeof scratch, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (line->busy)
            finish(line, false);
        close_line(line);
        return;
    }
    if (!line->busy)
        return;
    if (head) {
        line->got += (size_t)n;
        take_head(line);
    } else {
        line->body_left -= (size_t)n;
    }
    if (line->in_body && line->body_left == 0 && line->status != 100)
        finish(line, true);
}

/* ------------------------------------------------------------------ time ------------------- */

static struct line *free_line(enum kind kind, int first, int count)
{
    for (int i = first; i < first + count; i++)
        if (!all.lines[i].busy) {
            all.lines[i].kind = kind;
            return &all.lines[i];
        }
    return NULL;
}

/* Those of a kind that are due by now, of `rate` a second. */
static void send_due(enum kind kind, double rate, double *due, double now, double end, int first,
                     int count)
{
    while (rate > 0 && *due <= now && *due < end) {
        struct line *line = free_line(kind, first, count);
        if (!line || !begin(line, *due))
            return;
        *due += 1 / rate;
    }
}

static void step(double now)
{
    static struct pollfd polled[MOST];
    static int of[MOST];
    int n = 0;
    for (int i = 0; i < all.line_count; i++) {
        struct line *line = &all.lines[i];
        if (line->fd < 0)
            continue;
        const bool sends = line->busy && wants_to_send(line, now);
        of[n] = i;
        polled[n++] = (struct pollfd){line->fd, (short)(POLLIN | (sends ? POLLOUT : 0)), 0};
    }
    if (poll(polled, (nfds_t)n, 1) <= 0)
        return;
    for (int p = 0; p < n; p++) {
        struct line *line = &all.lines[of[p]];
        if (polled[p].revents & POLLOUT)
            send_some(line, now);
        if (line->fd >= 0 && (polled[p].revents & (POLLIN | POLLERR | POLLHUP)))
            receive(line);
    }
}

/* Those whose answers are waited for. */
static int busy(void)
{
    int n = 0;
    for (int i = 0; i < all.line_count; i++)
        n += all.lines[i].busy && (all.lines[i].kind == LOAD || all.lines[i].kind == HEALTH);
    return n;
}

static double run(void)
{
    const int others = 256, health = all.connections, broken = health + others,
              slow = broken + others;
    const double began = now_s(), end = began + all.seconds;
    double load_due = began, health_due = began, broken_due = began;
    all.line_count = slow + all.slow;
    for (int i = 0; i < all.line_count; i++)
        all.lines[i].fd = -1;
    for (double now; (now = now_s()) < end || (busy() && now < end + LAST_S);) {
        if (all.rate > 0)
            send_due(LOAD, all.rate, &load_due, now, end, 0, all.connections);
        else
            for (int i = 0; i < all.connections && now < end; i++)
                if (!all.lines[i].busy)
                    begin(&all.lines[i], now);
        send_due(HEALTH, all.health, &health_due, now, end, health, others);
        send_due(MALFORMED, all.malformed, &broken_due, now, end, broken, others);
        for (int i = slow; i < slow + all.slow && now < end; i++) {
            all.lines[i].kind = SLOW;
            if (!all.lines[i].busy)
                begin(&all.lines[i], now);
        }
        step(now);
    }
    all.lost += (uint64_t)busy();
    return now_s() - began;
}

static void print_statuses(const char *name, const uint64_t *statuses)
{
    const char *comma = "";
    printf("\"%s\":{", name);
    for (int i = 0; i < 600; i++)
        if (statuses[i]) {
            printf("%s\"%d\":%llu", comma, i, (unsigned long long)statuses[i]);
            comma = ",";
        }
    printf("},");
}

static void print_times(const char *name, struct times *t, const char *comma)
{
    printf("\"%s\":{\"count\":%zu,\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"max\":%.2f}%s", name,
           t->count, quantile(t, 0.5), quantile(t, 0.9), quantile(t, 0.99), quantile(t, 1), comma);
}

static void read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    all.bytes = (size_t)ftell(file);
    all.file = malloc(all.bytes + 1);
    rewind(file);
    if (!all.file || fread(all.file, 1, all.bytes, file) != all.bytes)
        exit(2);
    fclose(file);
}

static bool read_options(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "r:s:c:l:m:e:do")) != -1;) {
        const double value = optarg ? atof(optarg) : 0;
        switch (c) {
        case 'r':
            all.rate = value;
            break;
        case 's':
            all.seconds = value;
            break;
        case 'c':
            all.connections = (int)value;
            break;
        case 'l':
            all.slow = (int)value;
            break;
        case 'm':
            all.malformed = (int)value;
            break;
        case 'e':
            all.health = (int)value;
            break;
        case 'd':
            all.distinct = true;
            break;
        case 'o':
            all.once = true;
            break;
        default:
            return false;
        }
    }
    return all.connections >= 1 && all.slow >= 0 && all.connections + all.slow + 512 <= MOST;
}

static void print_all(double seconds)
{
    printf("{\"seconds\":%.2f,\"good_per_s\":%.1f,", seconds, (double)all.good.count / all.seconds);
    print_statuses("statuses", all.statuses);
    print_statuses("malformed", all.malformed_statuses);
    printf("\"lost\":%llu,\"cut\":%llu,", (unsigned long long)all.lost,
           (unsigned long long)all.cut);
    print_times("ms", &all.load, ",");
    print_times("good_ms", &all.good, ",");
    print_times("health_ms", &all.healths, "}\n");
}

int main(int argc, char **argv)
{
    const struct rlimit files = {MOST + 64, MOST + 64};
    if (argc < 4)
        return 2;
    setrlimit(RLIMIT_NOFILE, &files);
    all.port = atoi(argv[1]);
    all.path = argv[2];
    read_file(argv[3]);
    /* No body is one of an earlier run. */
    all.first = (uint64_t)(now_s() * 1e9);
    all.connections = 16;
    all.seconds = 5;
    if (!read_options(argc - 3, argv + 3))
        return 2;
    print_all(run());
    return all.lost ? 1 : 0;
}
