/* serve/problem.h: why a request is refused, as its answer says it:
 * {"error": text, "code": word, "hint": text}. */
#ifndef CLI_SERVE_PROBLEM_H
#define CLI_SERVE_PROBLEM_H

#include "tools/cli/text.h"

struct problem {
    int status;       /* of HTTP */
    const char *code; /* one word for programs, a constant: "too_large" */
    char text[512];   /* never holds what the client sent but names and numbers of options */
    char hint[256];   /* what to do; empty: nothing to say */
    int retry_after;  /* seconds; 0: the header is left out */
};

/* Always gives false, so that a function can return it. hint NULL: none. */
_Bool refuse(struct problem *why, int status, const char *code, const char *hint,
             const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The body of the answer that says so. */
void problem_write(struct text *out, const struct problem *why);

#endif
