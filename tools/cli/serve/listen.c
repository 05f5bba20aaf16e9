/* serve/listen.c: see listen.h. */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/cli/say.h"

enum { BACKLOG = 1024, FIRST_PASSED = 3, HOST_MOST = 64 };

static int refused(struct listening *out, const char *address)
{
    complain("serve", "cannot listen on %s: %s", address, strerror(errno));
    if (out->fd >= 0)
        close(out->fd);
    out->fd = -1;
    return SOME_FAILED;
}

/* The address that the socket has. */
static void describe(struct listening *out)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    out->local = true;
    snprintf(out->text, sizeof out->text, "a socket");
    if (getsockname(out->fd, (struct sockaddr *)&address, &length) != 0)
        return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)&address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        out->local = ntohl(four->sin_addr.s_addr) >> 24 == 127;
        snprintf(out->text, sizeof out->text, "%s:%d", host, ntohs(four->sin_port));
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)&address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        out->local = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
        snprintf(out->text, sizeof out->text, "[%s]:%d", host, ntohs(six->sin6_port));
    }
}

/* Whether somebody listens there. */
static bool is_served(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool served =
        fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                    errno != ECONNREFUSED);
    if (fd >= 0)
        close(fd);
    return served;
}

static int listen_on_path(struct listening *out, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat there;
    if (strlen(path) >= sizeof address.sun_path || !*path)
        return wrong_usage("--listen: a path of 1 to %zu bytes follows unix:",
                           sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* What an earlier server left. */
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode) && !is_served(&address))
        unlink(path);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0 || bind(out->fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(out->fd, BACKLOG) != 0)
        return refused(out, path);
    out->local = true;
    snprintf(out->text, sizeof out->text, "unix:%s", path);
    return DONE;
}

/* The two halves of HOST:PORT; false: it has no such halves. */
static bool split(char host[HOST_MOST], const char **port, const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    const bool six = length > 1 && address[0] == '[' && address[length - 1] == ']';
    if (six) {
        address++;
        length -= 2;
    }
    if (length == 0 || length >= HOST_MOST || (!six && memchr(address, ':', length)))
        return false;
    memcpy(host, address, length);
    host[length] = '\0';
    *port = colon + 1;
    return (*port)[0] && strspn(*port, "0123456789") == strlen(*port) && strlen(*port) <= 5 &&
           atoi(*port) <= 65535;
}

static int listen_on_port(struct listening *out, const char *address)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char host[HOST_MOST];
    const char *port;
    const int on = 1;
    if (!split(host, &port, address) ||
        getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &hints, &found) != 0)
        return wrong_usage(
            "--listen is \"%s\", it takes HOST:PORT with an address of numbers, like "
            "127.0.0.1:8080 or [::1]:8080, or unix:PATH",
            address);
    out->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool works =
        out->fd >= 0 && setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(out->fd, found->ai_addr, found->ai_addrlen) == 0 && listen(out->fd, BACKLOG) == 0;
    const int error = errno;
    freeaddrinfo(found);
    errno = error;
    if (!works)
        return refused(out, address);
    describe(out);
    return DONE;
}

/* The first of the sockets that were passed to this process. */
static bool take_passed(struct listening *out)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || !count || atol(pid) != (long)getpid() || atoi(count) < 1)
        return false;
    out->fd = FIRST_PASSED;
    fcntl(out->fd, F_SETFD, FD_CLOEXEC);
    fcntl(out->fd, F_SETFL, fcntl(out->fd, F_GETFL) | O_NONBLOCK);
    describe(out);
    return true;
}

int listen_on(struct listening *out, const char *address)
{
    *out = (struct listening){.fd = -1};
    if (take_passed(out))
        return DONE;
    if (strncmp(address, "unix:", 5) == 0)
        return listen_on_path(out, address + 5);
    return listen_on_port(out, address);
}

void tell_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* a name that is no file */
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}
