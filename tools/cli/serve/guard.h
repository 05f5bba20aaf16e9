/*
 * serve/guard.h: a watch over connections, with a thread of its own.
 *
 * A client that is too slow is cut off at an absolute time: a library's own timeout counts only how
 * long nothing came, and a byte a second beats it. A client that leaves while its request waits is
 * noticed by looking at its socket, which the library does not do then.
 */
#ifndef CLI_SERVE_GUARD_H
#define CLI_SERVE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct exchange;
struct guard;
struct connection;

enum phase {
    PHASE_IDLE,  /* between requests, or before the first byte of one */
    PHASE_FIRST, /* accepted, and no request yet */
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_WORK, /* no deadline: the work has its own */
    PHASE_WRITE
};

enum { ADDRESS_TEXT = 48 };

/* per_address: connections of one address; 0: no limit. Loopback addresses have none. */
bool guard_start(struct guard **out, int per_address);
/* No connection may be left. */
void guard_stop(struct guard *guard);

/* Whether one more connection of the address may be accepted. */
bool guard_admits(struct guard *guard, const struct sockaddr *address);
/* NULL without memory: then the socket is shut down. */
struct connection *guard_add(struct guard *guard, int fd, const struct sockaddr *address);
/* Before the socket is closed: its number may be another's afterwards. */
void guard_remove(struct connection *connection);

void guard_phase(struct connection *connection, enum phase phase);
/* Bytes of the body that came. */
void guard_received(struct connection *connection, size_t bytes);
/* The exchange waits: if the client leaves, its wait is ended and it is resumed. NULL: no more. */
void guard_waits(struct connection *connection, struct exchange *x);
/* Ends the waits of all exchanges, as the server stops. */
void guard_end_waits(struct guard *guard);

const char *guard_address(const struct connection *connection);
bool guard_is_local(const struct connection *connection);

#endif
