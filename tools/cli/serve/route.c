/* serve/route.c: see route.h. */
#include "route.h"

#include <stdio.h>
#include <string.h>

#include "fields.h"

const struct route routes[] = {
#define VX_ROUTE(method, pattern, name, flags, verb, function)                                     \
    {#method, pattern, #name, flags, VERB_##verb, function},
#include "routes.def"
#undef VX_ROUTE
};
const int route_count = (int)(sizeof routes / sizeof routes[0]);

/* A segment of the path against "{}" and what follows it up to the next '/'. */
static bool take_param(char *param, const char *path, size_t length, const char *tail, size_t n)
{
    if (length <= n || length - n >= ROUTE_PARAM || memcmp(path + length - n, tail, n) != 0)
        return false;
    return percent_decode(param, path, length - n, false) > 0;
}

static bool fits(const char *pattern, const char *path, char params[ROUTE_PARAMS][ROUTE_PARAM])
{
    for (int count = 0; *pattern;) {
        if (pattern[0] == '{') {
            const size_t tail = strcspn(pattern + 2, "/"), length = strcspn(path, "/");
            if (count == ROUTE_PARAMS ||
                !take_param(params[count++], path, length, pattern + 2, tail))
                return false;
            pattern += 2 + tail;
            path += length;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/* "GET, HEAD, DELETE" */
static void allow_method(char *allow, const char *method)
{
    const size_t length = strlen(allow);
    snprintf(allow + length, 64 - length, "%s%s%s", length ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

const struct route *route_find(const char *method, const char *path,
                               char params[ROUTE_PARAMS][ROUTE_PARAM], char *allow)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    char tried[ROUTE_PARAMS][ROUTE_PARAM] = {{0}};
    allow[0] = '\0';
    for (int i = 0; i < route_count; i++) {
        if (!fits(routes[i].pattern, path, tried))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            memcpy(params, tried, sizeof tried);
            return &routes[i];
        }
        allow_method(allow, routes[i].method);
    }
    return NULL;
}
