/* serve/route.h: which function answers which address; the table is routes.def. */
#ifndef CLI_SERVE_ROUTE_H
#define CLI_SERVE_ROUTE_H

#include <stdbool.h>

#include "ask.h"

struct exchange;

enum {
    ROUTE_OPEN = 1,  /* needs no key                                                      */
    ROUTE_BODY = 2,  /* takes a body, and must have one                                   */
    ROUTE_WORK = 4,  /* makes work: share and queue are looked at before the body is read */
    ROUTE_FORM = 8,  /* its body is one of v1: a picture, a form, JSON with a picture     */
    ROUTE_LATE = 16, /* answered while the server stops, too                              */
    ROUTE_BARE = 32, /* its body may be missing                                           */
    ROUTE_TENSORS = ROUTE_BODY | ROUTE_WORK,
    ROUTE_PICTURE = ROUTE_TENSORS | ROUTE_FORM
};

struct route {
    const char *method;  /* "GET" stands for HEAD, too                        */
    const char *pattern; /* {} is a segment, or what stands before its ":verb" */
    const char *name;    /* of metrics and of the OpenAPI document             */
    unsigned flags;
    enum verb verb;                     /* of ROUTE_WORK */
    void (*answer)(struct exchange *x); /* once the body is there */
};

/* The functions: each answers an exchange whose body is there, or lets it wait. */
#define VX_ROUTE(method, pattern, name, flags, verb, function) void function(struct exchange *x);
#include "routes.def"
#undef VX_ROUTE

extern const struct route routes[];
extern const int route_count;

enum { ROUTE_PARAMS = 2, ROUTE_PARAM = 128 };

/* The route of a path; NULL: none, and `allow` (64 bytes) is empty if the path is unknown, else the
 * methods that it takes. */
const struct route *route_find(const char *method, const char *path,
                               char params[ROUTE_PARAMS][ROUTE_PARAM], char *allow);

#endif
