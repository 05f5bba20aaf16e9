/* serve/pages.h: what the server says of itself: the start page, the OpenAPI document. */
#ifndef CLI_SERVE_PAGES_H
#define CLI_SERVE_PAGES_H

#include <stddef.h>

/* Files that the build puts into the program (tools/embed). */
struct embedded {
    const char *data;
    size_t bytes;
    const char *policy; /* of a page: what it may load, with the digests of its script and styles */
};
extern const struct embedded serve_start, serve_openapi;

#endif
