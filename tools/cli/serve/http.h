/*
 * serve/http.h: HTTP by libmicrohttpd, fenced.
 *
 * The library is used for parsing and for sockets alone. http.c is the one file that knows it: it
 * makes exchanges of requests, and hands them to front.h.
 */
#ifndef CLI_SERVE_HTTP_H
#define CLI_SERVE_HTTP_H

#include "exchange.h"

struct http;

/* Takes the listening socket. NULL: it complains. */
struct http *http_start(struct server *server, int listening);
/* No connection is accepted any more; those there are go on. */
void http_quiesce(struct http *http);
/* Nothing may wait. */
void http_stop(struct http *http);

/* The library's version, and whether it is known to have holes that a proxy has to cover. */
const char *http_library(bool *has_holes);

/* exchange.c's alone */
void http_suspend(struct exchange *x);
void http_resume(struct exchange *x);

#endif
