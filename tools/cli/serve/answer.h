/* serve/answer.h: the bytes of an answer, which the cache and several clients may share. */
#ifndef CLI_SERVE_ANSWER_H
#define CLI_SERVE_ANSWER_H

#include <stdatomic.h>

#include "cache.h"
#include "problem.h"
#include "work.h"

/* Not changed once others know of it, but for its holders. */
struct answer {
    atomic_int holders;
    struct reply reply;
    struct text body;
};

/* With one holder; takes the body. NULL without memory, and the body is freed. */
struct answer *answer_create(int status, const char *type, struct text *body);
/* That nothing came of it, as JSON. NULL without memory. */
struct answer *answer_refusing(const struct problem *why);
struct answer *answer_hold(struct answer *answer);
/* NULL is allowed. */
void answer_drop(struct answer *answer);

/* Answers in a cache. */
extern const struct cache_kind answers_kept;

#endif
