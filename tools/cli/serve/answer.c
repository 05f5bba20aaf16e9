/* serve/answer.c: see answer.h. */
#include "answer.h"

#include <stdlib.h>

struct answer *answer_create(int status, const char *type, struct text *body)
{
    struct answer *answer = body->failed ? NULL : calloc(1, sizeof *answer);
    if (!answer) {
        text_free(body);
        return NULL;
    }
    atomic_init(&answer->holders, 1);
    answer->body = *body;
    answer->reply =
        (struct reply){.status = status, .type = type, .body = body->data, .bytes = body->length};
    *body = (struct text){0};
    return answer;
}

struct answer *answer_refusing(const struct problem *why)
{
    struct text body = {0};
    problem_write(&body, why);
    struct answer *answer = answer_create(why->status, "application/json", &body);
    if (answer)
        answer->reply.retry_after = why->retry_after;
    return answer;
}

struct answer *answer_hold(struct answer *answer)
{
    atomic_fetch_add(&answer->holders, 1);
    return answer;
}

void answer_drop(struct answer *answer)
{
    if (!answer || atomic_fetch_sub(&answer->holders, 1) > 1)
        return;
    text_free(&answer->body);
    free(answer);
}

static void *hold(void *item)
{
    return answer_hold(item);
}

static void drop(void *item)
{
    answer_drop(item);
}

static size_t bytes_of(const void *item)
{
    const struct answer *answer = item;
    return sizeof *answer + answer->body.room;
}

const struct cache_kind answers_kept = {hold, drop, bytes_of, GAUGE_CACHE_BYTES};
