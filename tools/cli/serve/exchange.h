/*
 * serve/exchange.h: a request and its answer, whatever library carries them.
 *
 * An exchange belongs to the thread that calls its handlers; only the functions that say so may be
 * called by others. While it waits for work its connection is suspended: no thread is held.
 */
#ifndef CLI_SERVE_EXCHANGE_H
#define CLI_SERVE_EXCHANGE_H

#include <stdatomic.h>
#include <stdint.h>

#include "guard.h"
#include "route.h"
#include "server.h"
#include "work.h"

enum {
    TICKETS_MOST = 16, /* pictures of one request */
    REQUEST_ID = 65,
    ETAG = 80
};

struct response {
    int status; /* 0: there is none yet */
    const char *type;
    const void *data;
    size_t bytes;
    struct text own;    /* of which data may be the content */
    const char *policy; /* of the content's security; NULL: nothing may be loaded or run */
    char etag[ETAG];    /* empty: none */
    char location[64];  /* empty: none */
    char allow[64];     /* empty: none */
    int retry_after;    /* 0: none */
    bool close;         /* the connection ends with it */
};

enum exchange_state {
    EXCHANGE_RUNS,
    EXCHANGE_WAITS,
    EXCHANGE_READY,
    EXCHANGE_GONE,
    EXCHANGE_STOPPED
};

struct exchange {
    struct server *server;
    struct connection *connection;
    void *carrier; /* http.c's */

    char *target; /* as it came, cut in two at '?' */
    const char *method, *path, *query;
    char id[REQUEST_ID];
    const char *content_type;
    uint64_t length; /* of the body, as the head says */
    unsigned char *body;
    size_t received;
    bool begun, discards; /* discards: the body is read and thrown away, as the answer stands */

    const struct route *route;
    char params[ROUTE_PARAMS][ROUTE_PARAM];
    double began;        /* of progress.h's now_ms() */
    struct share *share; /* NULL: counts for nobody */
    size_t body_memory;  /* taken of the server's */

    enum form form;
    struct ask *ask; /* of the query alone; NULL: it was taken, or the body has to be read first */
    bool async;      /* a job is wanted */
    struct ticket *tickets[TICKETS_MOST];
    int ticket_count;
    void (*compose)(struct exchange *x); /* makes one answer of all tickets; NULL: of the first */
    void *compose_payload;               /* freed with the exchange */
    struct response answer;

    atomic_int state;     /* enum exchange_state */
    atomic_int remaining; /* tickets that are not ready, and one until all are submitted */
};

/* ------------------------------------------------------------------ what came -------------- */

/* NULL: it did not come. The text lives as long as the exchange. */
const char *exchange_header(const struct exchange *x, const char *name);

/* ------------------------------------------------------------------ answers ---------------- */

/* Takes the text, which becomes empty. */
void answer_text(struct exchange *x, int status, const char *type, struct text *text);
void answer_constant(struct exchange *x, const char *type, const void *data, size_t bytes);
/* A ticket that is ready, and that the exchange holds; 304 if the client has that answer. */
void answer_ticket(struct exchange *x, const struct ticket *ticket);
void answer_problem(struct exchange *x, const struct problem *why);
void answer_refused(struct exchange *x, int status, const char *code, const char *hint,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ------------------------------------------------------------------ waiting ---------------- */

/* Before work is submitted: the connection is suspended. false: the server stops. */
bool exchange_wait(struct exchange *x);
/* Submits a picture, which is taken whatever comes of it, as is the ask. false: the answer
 * stands. */
bool exchange_submit(struct exchange *x, struct ask *ask, void *picture, size_t bytes);
/* After the last one; also if the answer stands already. The exchange may be resumed before it
 * returns. */
void exchange_submitted(struct exchange *x);
/* From any thread, while it waits: its client has left, or the server stops. Gives whether it is to
 * be resumed, by the caller. */
bool exchange_end_wait(struct exchange *x, enum exchange_state state);
/* From any thread. */
void exchange_resume(struct exchange *x);

#endif
