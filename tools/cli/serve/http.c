/* serve/http.c: see http.h. */
#define _POSIX_C_SOURCE 200809L
#include "http.h"

#include <ctype.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "front.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"

enum {
    POOL = 2,                     /* threads: they only move bytes                              */
    CONNECTION_MEMORY = 32 << 10, /* of a head; a longer one is 431 or 414                      */
    TIMEOUT_S = 30,               /* the library's own, behind those of guard.h                 */
    DISCARD_MOST = 1 << 20        /* bytes of a body that are read although it is not wanted    */
};

struct http {
    struct MHD_Daemon *daemon;
    struct server *server;
};

/* ------------------------------------------------------------------ the head's fence ------- */

/* What one header more makes of a head. */
struct head {
    int lengths, codings, hosts, headers;
    bool strange;
};

/* A character of a name (RFC 9110, 5.6.2). */
static bool is_token(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_strange(const char *name, const char *value)
{
    if (!*name)
        return true;
    for (; *name; name++)
        if (!is_token(*name))
            return true;
    for (; value && *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return true;
    return false;
}

static enum MHD_Result see_header(void *payload, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct head *head = payload;
    (void)kind;
    head->headers++;
    head->lengths += strcasecmp(name, "Content-Length") == 0;
    head->codings += strcasecmp(name, "Transfer-Encoding") == 0;
    head->hosts += strcasecmp(name, "Host") == 0;
    head->strange |= is_strange(name, value);
    return MHD_YES;
}

/* Digits alone, and no more than fit. */
static bool read_length(uint64_t *length, const char *text)
{
    *length = 0;
    if (!*text || strlen(text) > 18)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        *length = *length * 10 + (uint64_t)(*text - '0');
    }
    return true;
}

static void refuse_head(struct exchange *x, int status, const char *code, const char *what)
{
    answer_refused(x, status, code, NULL, "%s", what);
    x->answer.close = true;
}

/*
 * The library takes what two readers of one head may understand in two ways (requests are smuggled
 * past a proxy so): two lengths, a length and a coding, a coding that it does not know. Here a head
 * has one length or none, and no coding.
 */
static void check_head(struct exchange *x, const char *version)
{
    struct MHD_Connection *connection = x->carrier;
    struct head head = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &head);
    const char *length = exchange_header(x, "Content-Length");
    if (head.codings)
        refuse_head(x, head.lengths ? 400 : 411, "length_required",
                    "Transfer-Encoding is not taken: a body has a Content-Length");
    else if (head.lengths > 1)
        refuse_head(x, 400, "bad_request", "there are several Content-Length");
    else if (length && !read_length(&x->length, length))
        refuse_head(x, 400, "bad_request", "Content-Length is no number");
    else if (head.hosts > 1 || (head.hosts == 0 && strcmp(version, "HTTP/1.0") != 0))
        refuse_head(x, 400, "bad_request", "there has to be one Host");
    else if (head.strange || x->path[0] != '/')
        refuse_head(x, 400, "bad_request", "the head is malformed");
    else if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        refuse_head(x, 505, "bad_version", "HTTP/1.1 is spoken here");
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->carrier, MHD_HEADER_KIND, name);
}

/* ------------------------------------------------------------------ answers ---------------- */

static void put(struct MHD_Response *response, const char *name, const char *value)
{
    if (value && *value)
        MHD_add_response_header(response, name, value);
}

static void put_headers(struct MHD_Response *response, const struct exchange *x)
{
    const struct response *a = &x->answer;
    char seconds[16];
    put(response, "Content-Type", a->bytes ? a->type : NULL);
    put(response, "ETag", a->etag);
    put(response, "Cache-Control", a->etag[0] ? "private, max-age=600, immutable" : "no-store");
    put(response, "Vary", a->etag[0] ? "Accept, Authorization, X-Api-Key" : NULL);
    put(response, "Location", a->location);
    put(response, "Allow", a->allow);
    put(response, "WWW-Authenticate", a->status == 401 ? "Bearer realm=\"vitx\"" : NULL);
    put(response, "X-Request-Id", x->id);
    put(response, "X-Content-Type-Options", "nosniff");
    put(response, "Referrer-Policy", "no-referrer");
    put(response, "Cross-Origin-Resource-Policy", "same-origin");
    put(response, "Content-Security-Policy",
        a->policy ? a->policy : "default-src 'none'; frame-ancestors 'none'");
    if (a->retry_after) {
        snprintf(seconds, sizeof seconds, "%d", a->retry_after);
        put(response, "Retry-After", seconds);
    }
    if (a->close || atomic_load(&x->server->leaving))
        put(response, "Connection", "close");
}

/* The body stays where it is until the exchange ends. */
static enum MHD_Result send_answer(struct exchange *x)
{
    const struct response *a = &x->answer;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(a->bytes, (void *)a->data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    put_headers(response, x);
    guard_phase(x->connection, PHASE_WRITE);
    const enum MHD_Result queued = MHD_queue_response(x->carrier, (unsigned)a->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* ------------------------------------------------------------------ requests --------------- */

/* The request line is there. What a query means is decided by fields.h: it is kept as it came. */
static void *see_line(void *payload, const char *target, struct MHD_Connection *connection)
{
    struct http *http = payload;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct exchange *x = calloc(1, sizeof *x);
    char *copy = strdup(target);
    if (!x || !copy || !info || !info->socket_context) {
        free(x);
        free(copy);
        return NULL;
    }
    x->server = http->server;
    x->carrier = connection;
    x->connection = info->socket_context;
    x->target = copy;
    x->path = copy;
    x->query = "";
    char *query = strchr(copy, '?');
    if (query) {
        *query = '\0';
        x->query = query + 1;
    }
    atomic_fetch_add(&x->server->running, 1);
    guard_phase(x->connection, PHASE_HEAD);
    return x;
}

/* A body that is not wanted is read all the same if it is short: a client that is cut off while it
 * sends may never see the answer. */
static enum MHD_Result refuse_body(struct exchange *x)
{
    const bool short_one = x->length <= DISCARD_MOST && !exchange_header(x, "Expect");
    if (short_one && !x->answer.close) {
        x->discards = true;
        return MHD_YES;
    }
    x->answer.close = true;
    return send_answer(x);
}

static enum MHD_Result begin(struct exchange *x, const char *method, const char *version)
{
    x->begun = true;
    x->method = method;
    x->began = now_ms();
    x->content_type = exchange_header(x, "Content-Type");
    check_head(x, version);
    front_head(x);
    guard_phase(x->connection, PHASE_BODY);
    if (x->answer.status && (x->length || x->answer.close))
        return refuse_body(x);
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *bytes)
{
    if (x->discards) {
        guard_received(x->connection, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    if (*bytes > x->length - x->received)
        return MHD_NO;
    if (!x->body && !(x->body = malloc((size_t)x->length))) {
        answer_refused(x, 503, "no_memory", NULL, "no memory");
        x->discards = true;
        return take_body(x, data, bytes);
    }
    memcpy(x->body + x->received, data, *bytes);
    x->received += *bytes;
    guard_received(x->connection, *bytes);
    *bytes = 0;
    return MHD_YES;
}

/* The body is there, or the exchange has waited. */
static enum MHD_Result go_on(struct exchange *x)
{
    const int state = atomic_load(&x->state);
    if (state == EXCHANGE_RUNS) {
        if (!x->answer.status)
            front_body(x);
        return x->answer.status && atomic_load(&x->state) == EXCHANGE_RUNS ? send_answer(x)
                                                                           : MHD_YES;
    }
    guard_waits(x->connection, NULL);
    if (state == EXCHANGE_GONE)
        return MHD_NO;
    front_ready(x);
    return send_answer(x);
}

static enum MHD_Result handle(void *payload, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *bytes, void **memory)
{
    struct exchange *x = *memory;
    (void)payload;
    (void)connection;
    (void)url;
    if (!x)
        return MHD_NO;
    if (!x->begun)
        return begin(x, method, version);
    return *bytes ? take_body(x, data, bytes) : go_on(x);
}

static void end(void *payload, struct MHD_Connection *connection, void **memory,
                enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *memory;
    (void)payload;
    (void)connection;
    *memory = NULL;
    if (!x)
        return;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && code != MHD_REQUEST_TERMINATED_WITH_ERROR)
        x->answer.status = 0;
    guard_waits(x->connection, NULL);
    guard_phase(x->connection, PHASE_IDLE);
    struct server *server = x->server;
    front_end(x);
    free(x->target);
    free(x);
    atomic_fetch_sub(&server->running, 1);
}

/* ------------------------------------------------------------------ the daemon ------------- */

static enum MHD_Result admit(void *payload, const struct sockaddr *address, socklen_t length)
{
    struct http *http = payload;
    (void)length;
    return guard_admits(http->server->guard, address) ? MHD_YES : MHD_NO;
}

static void see_connection(void *payload, struct MHD_Connection *connection, void **memory,
                           enum MHD_ConnectionNotificationCode code)
{
    struct http *http = payload;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        guard_remove(*memory);
        *memory = NULL;
        return;
    }
    const int fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    *memory = guard_add(http->server->guard, fd, address);
}

void http_suspend(struct exchange *x)
{
    MHD_suspend_connection(x->carrier);
}

void http_resume(struct exchange *x)
{
    MHD_resume_connection(x->carrier);
}

const char *http_library(bool *has_holes)
{
    int major = 0, minor = 0, patch = 0;
    const char *version = MHD_get_version();
    sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    *has_holes = major < 1 || (major == 1 && minor == 0 && patch < 10);
    return version;
}

struct http *http_start(struct server *server, int listening)
{
    struct http *http = calloc(1, sizeof *http);
    sigset_t all, before;
    if (!http) {
        close(listening);
        complain(NULL, "no memory");
        return NULL;
    }
    http->server = server;
    /* Its threads get no signals: these are the calling thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, admit, http, handle, http,
        MHD_OPTION_LISTEN_SOCKET, listening, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)POOL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->limits.connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, see_line, http, MHD_OPTION_NOTIFY_COMPLETED, end, http,
        MHD_OPTION_NOTIFY_CONNECTION, see_connection, http, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon)
        return http;
    close(listening);
    free(http);
    complain(NULL, "libmicrohttpd does not start");
    return NULL;
}

void http_quiesce(struct http *http)
{
    const MHD_socket listening = MHD_quiesce_daemon(http->daemon);
    if (listening != MHD_INVALID_SOCKET)
        close(listening);
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
