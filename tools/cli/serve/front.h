/*
 * serve/front.h: a request's way through the server, in order of what costs least: whether the
 * server stops, route, key, length, kinds of content, share, queue. All that is decided at the
 * head, before a byte of the body is read.
 */
#ifndef CLI_SERVE_FRONT_H
#define CLI_SERVE_FRONT_H

#include "exchange.h"

/* The head is there. If there is an answer afterwards, the body is not wanted. */
void front_head(struct exchange *x);
/* The body is there: answers, or waits. */
void front_body(struct exchange *x);
/* It waits no more. */
void front_ready(struct exchange *x);
/* Answered, or not (the client left: the answer's status is 0). Frees what the exchange holds. */
void front_end(struct exchange *x);

#endif
