/* serve/guard.c: see guard.h. */
#define _GNU_SOURCE /* POLLRDHUP */
#include "guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "tools/cli/parallel.h"
#include "tools/cli/progress.h"

enum {
    TICK_MS = 50,
    FIRST_MS = 5000,
    HEAD_MS = 5000,
    BODY_MS = 20000,
    BODY_BYTES_PER_S = 10000,
    BODY_START_MS = 2000, /* before the rate is looked at */
    WRITE_MS = 10000,
    IDLE_MS = 15000
};

struct connection {
    struct guard *guard;
    struct connection *prev, *next;
    int fd;
    char address[ADDRESS_TEXT];
    bool local;
    enum phase phase;
    double since;       /* when the phase began */
    uint64_t received;  /* of the body          */
    struct exchange *x; /* that waits           */
    bool shut;
};

struct guard {
    pthread_mutex_t lock; /* of all below, and of the connections */
    pthread_cond_t tick;
    pthread_t thread;
    struct connection *first;
    int count, per_address;
    bool stops;
    /* of the thread alone */
    struct pollfd *polled;
    struct exchange **waiting;
    int room;
};

/* ------------------------------------------------------------------ addresses -------------- */

static bool name_address(char out[ADDRESS_TEXT], const struct sockaddr *address)
{
    const void *bytes = NULL;
    struct in_addr mapped;
    sa_family_t family = address->sa_family;
    snprintf(out, ADDRESS_TEXT, "local");
    if (family == AF_INET) {
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    } else if (family == AF_INET6) {
        const struct in6_addr *six =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        bytes = six;
        if (IN6_IS_ADDR_V4MAPPED(six)) {
            memcpy(&mapped, six->s6_addr + 12, sizeof mapped);
            bytes = &mapped;
            family = AF_INET;
        } else if (IN6_IS_ADDR_LOOPBACK(six)) {
            snprintf(out, ADDRESS_TEXT, "::1");
            return true;
        }
    }
    if (!bytes)
        return true; /* a socket in the file system */
    inet_ntop(family, bytes, out, ADDRESS_TEXT);
    return family == AF_INET && *(const unsigned char *)bytes == 127;
}

bool guard_admits(struct guard *guard, const struct sockaddr *address)
{
    char name[ADDRESS_TEXT];
    int count = 0;
    if (name_address(name, address) || guard->per_address == 0)
        return true;
    pthread_mutex_lock(&guard->lock);
    for (const struct connection *c = guard->first; c; c = c->next)
        count += strcmp(c->address, name) == 0;
    pthread_mutex_unlock(&guard->lock);
    return count < guard->per_address;
}

/* ------------------------------------------------------------------ the thread ------------- */

static bool is_late(const struct connection *c, double now)
{
    static const int limits[] = {[PHASE_IDLE] = IDLE_MS,
                                 [PHASE_FIRST] = FIRST_MS,
                                 [PHASE_HEAD] = HEAD_MS,
                                 [PHASE_BODY] = BODY_MS,
                                 [PHASE_WRITE] = WRITE_MS};
    const double passed = now - c->since;
    if (c->phase == PHASE_WORK)
        return false;
    if (passed >= limits[c->phase])
        return true;
    return c->phase == PHASE_BODY && passed >= BODY_START_MS &&
           (double)c->received < passed * BODY_BYTES_PER_S / 1e3;
}

static bool grow(struct guard *g)
{
    if (g->count <= g->room)
        return true;
    const size_t room = (size_t)g->count + 64;
    struct pollfd *polled = realloc(g->polled, room * sizeof *polled);
    if (polled)
        g->polled = polled;
    struct exchange **waiting = realloc(g->waiting, room * sizeof *waiting);
    if (waiting)
        g->waiting = waiting;
    if (polled && waiting)
        g->room = (int)room;
    return polled && waiting;
}

/* Those whose client has left, in `waiting`: how many. */
static int find_gone(struct guard *g)
{
    int n = 0, gone = 0;
    if (!grow(g))
        return 0;
    for (struct connection *c = g->first; c; c = c->next)
        if (c->x) {
            g->waiting[n] = c->x;
            g->polled[n++] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
        }
    if (n == 0 || poll(g->polled, (nfds_t)n, 0) <= 0)
        return 0;
    for (int i = 0; i < n; i++)
        if ((g->polled[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) &&
            exchange_end_wait(g->waiting[i], EXCHANGE_GONE))
            g->waiting[gone++] = g->waiting[i];
    return gone;
}

static void *watch(void *arg)
{
    struct guard *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->stops) {
        const double now = now_ms();
        for (struct connection *c = g->first; c; c = c->next)
            if (!c->shut && is_late(c, now)) {
                c->shut = true;
                shutdown(c->fd, SHUT_RDWR);
            }
        const int gone = find_gone(g);
        /* Nobody else resumes them, so they are there until that is done here. */
        pthread_mutex_unlock(&g->lock);
        for (int i = 0; i < gone; i++)
            exchange_resume(g->waiting[i]);
        pthread_mutex_lock(&g->lock);
        if (!g->stops)
            news_await(&g->tick, &g->lock, TICK_MS);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

bool guard_start(struct guard **out, int per_address)
{
    struct guard *g = *out = calloc(1, sizeof *g);
    if (!g)
        return false;
    g->per_address = per_address;
    pthread_mutex_init(&g->lock, NULL);
    news_create(&g->tick);
    if (start_threads(&g->thread, 1, watch, g) == 1)
        return true;
    pthread_cond_destroy(&g->tick);
    pthread_mutex_destroy(&g->lock);
    free(g);
    *out = NULL;
    return false;
}

void guard_stop(struct guard *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->stops = true;
    pthread_cond_signal(&g->tick);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    pthread_cond_destroy(&g->tick);
    pthread_mutex_destroy(&g->lock);
    free(g->polled);
    free(g->waiting);
    free(g);
}

/* ------------------------------------------------------------------ connections ------------ */

struct connection *guard_add(struct guard *g, int fd, const struct sockaddr *address)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return NULL;
    }
    c->guard = g;
    c->fd = fd;
    c->phase = PHASE_FIRST;
    c->since = now_ms();
    c->local = name_address(c->address, address);
    pthread_mutex_lock(&g->lock);
    c->next = g->first;
    if (c->next)
        c->next->prev = c;
    g->first = c;
    g->count++;
    pthread_mutex_unlock(&g->lock);
    return c;
}

void guard_remove(struct connection *c)
{
    if (!c)
        return;
    struct guard *g = c->guard;
    pthread_mutex_lock(&g->lock);
    *(c->prev ? &c->prev->next : &g->first) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    g->count--;
    pthread_mutex_unlock(&g->lock);
    free(c);
}

void guard_phase(struct connection *c, enum phase phase)
{
    pthread_mutex_lock(&c->guard->lock);
    c->phase = phase;
    c->since = now_ms();
    c->received = 0;
    pthread_mutex_unlock(&c->guard->lock);
}

void guard_received(struct connection *c, size_t bytes)
{
    pthread_mutex_lock(&c->guard->lock);
    c->received += bytes;
    pthread_mutex_unlock(&c->guard->lock);
}

void guard_waits(struct connection *c, struct exchange *x)
{
    pthread_mutex_lock(&c->guard->lock);
    c->x = x;
    pthread_mutex_unlock(&c->guard->lock);
}

void guard_end_waits(struct guard *g)
{
    pthread_mutex_lock(&g->lock);
    for (struct connection *c = g->first; c; c = c->next)
        if (c->x && exchange_end_wait(c->x, EXCHANGE_STOPPED))
            exchange_resume(c->x);
    pthread_mutex_unlock(&g->lock);
}

const char *guard_address(const struct connection *c)
{
    return c->address;
}

bool guard_is_local(const struct connection *c)
{
    return c->local;
}
