/*
 * test/serve/client.c: sends what standard input holds, as it is, to a port of this machine, and
 * prints what comes back until the other side closes. For requests that no proper client sends.
 *
 *      client PORT [-d MS] [-p BYTES] [-q MS] [-w MS] [-r] [-h] [-t MS]
 *
 *  -d  a byte every so many milliseconds     -p  stops after so many bytes of the input
 *  -q  and goes on after that time           -w  leaves that long after the last byte was sent
 *  -r  leaves with a reset                   -h  closes its own direction after the last byte
 *  -t  gives up after that time (default 30 s): status 3
 *
 * The last line on standard error is the milliseconds that it took. 0: the other side closed, or -w
 * was over.
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct how {
    int port, drip, pause_after, pause, leave, limit;
    bool reset, half;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char *read_all(size_t *bytes)
{
    size_t room = 1 << 16;
    char *data = malloc(room);
    *bytes = 0;
    for (ssize_t n; data && (n = read(0, data + *bytes, room - *bytes)) > 0;) {
        *bytes += (size_t)n;
        if (*bytes == room)
            data = realloc(data, room *= 2);
    }
    if (!data)
        abort();
    return data;
}

static int open_port(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror("client");
        exit(1);
    }
    return fd;
}

/* When the next byte may be sent; 0: now. */
static int64_t next_time(const struct how *how, size_t sent, int64_t last)
{
    if (how->pause_after >= 0 && sent == (size_t)how->pause_after)
        return last + how->pause;
    return sent ? last + how->drip : 0;
}

static size_t piece_of(const struct how *how, size_t sent, size_t bytes)
{
    size_t n = how->drip ? 1 : bytes - sent;
    if (how->pause_after >= 0 && sent < (size_t)how->pause_after &&
        sent + n > (size_t)how->pause_after)
        n = (size_t)how->pause_after - sent;
    return n;
}

static int talk(int fd, const struct how *how, const char *data, size_t bytes)
{
    const int64_t began = now_ms();
    int64_t last = began;
    size_t sent = 0;
    bool halved = false;
    for (;;) {
        char piece[65536];
        const int64_t now = now_ms();
        const bool ready = sent < bytes && now >= next_time(how, sent, last);
        struct pollfd polled = {.fd = fd, .events = (short)(POLLIN | (ready ? POLLOUT : 0))};
        if (now - began > how->limit)
            return 3;
        if (sent == bytes && how->leave >= 0 && now - last >= how->leave)
            return 0;
        if (sent == bytes && how->half && !halved)
            halved = shutdown(fd, SHUT_WR) == 0;
        if (poll(&polled, 1, 5) < 0)
            return 1;
        if (polled.revents & (POLLIN | POLLHUP | POLLERR)) {
            const ssize_t n = read(fd, piece, sizeof piece);
            if (n <= 0)
                return 0;
            fwrite(piece, 1, (size_t)n, stdout);
        }
        if (polled.revents & POLLOUT) {
            const ssize_t n =
                send(fd, data + sent, piece_of(how, sent, bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) {
                sent += (size_t)n;
                last = now_ms();
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct how how = {.pause_after = -1, .leave = -1, .limit = 30000};
    const struct linger reset = {.l_onoff = 1};
    size_t bytes;
    if (argc < 2)
        return 2;
    how.port = atoi(argv[1]);
    argv++, argc--;
    for (int c; (c = getopt(argc, argv, "d:p:q:w:t:rh")) != -1;) {
        const int value = optarg ? atoi(optarg) : 0;
        *(c == 'd'   ? &how.drip
          : c == 'p' ? &how.pause_after
          : c == 'q' ? &how.pause
          : c == 'w' ? &how.leave
                     : &how.limit) = c == 'r' || c == 'h' ? how.limit : value;
        how.reset |= c == 'r';
        how.half |= c == 'h';
    }
    char *data = read_all(&bytes);
    const int fd = open_port(how.port);
    const int64_t began = now_ms();
    const int status = talk(fd, &how, data, bytes);
    if (how.reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    free(data);
    fflush(stdout);
    fprintf(stderr, "%lld\n", (long long)(now_ms() - began));
    return status;
}
