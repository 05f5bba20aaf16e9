/* serve/server.h: what all requests of a server share. */
#ifndef CLI_SERVE_SERVER_H
#define CLI_SERVE_SERVER_H

#include <stdatomic.h>

#include "gate.h"
#include "guard.h"
#include "work.h"

struct server_limits {
    size_t body;        /* bytes of a request's body                       */
    size_t body_memory; /* of all of them                                  */
    int connections;    /* open at the same time                           */
    int per_address;    /* of one address                                  */
    int per_client;     /* requests of a client that run; 0: no limit; -1: 8, of loopback none */
};

struct server {
    struct served *models;
    int model_count;
    struct label_sets *sets; /* that requests bring */
    struct work *work;
    struct gate *gate;
    struct guard *guard;
    struct server_limits limits;
    bool verbose;        /* a line for each request */
    atomic_bool leaving; /* not ready any more, but still serving */
    atomic_bool closed;  /* new requests are refused */
    atomic_bool stopped; /* nothing may wait any more */
    atomic_int running;  /* exchanges */
};

/* The model of that name; NULL: there is none. A name that is NULL means the first. */
struct served *server_model(const struct server *server, const char *name);

#endif
