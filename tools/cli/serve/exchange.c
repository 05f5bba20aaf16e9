/* serve/exchange.c: see exchange.h. */
#include "exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "media.h"

/* ------------------------------------------------------------------ answers ---------------- */

void answer_constant(struct exchange *x, const char *type, const void *data, size_t bytes)
{
    text_free(&x->answer.own);
    x->answer = (struct response){.status = 200, .type = type, .data = data, .bytes = bytes};
}

void answer_text(struct exchange *x, int status, const char *type, struct text *text)
{
    if (text->failed) {
        static const char none[] = "{\"error\":\"no memory\",\"code\":\"no_memory\"}\n";
        text_free(text);
        answer_constant(x, "application/json", none, sizeof none - 1);
        x->answer.status = 503;
        return;
    }
    answer_constant(x, type, text->data, text->length);
    x->answer.status = status;
    x->answer.own = *text;
    *text = (struct text){.data = NULL};
}

void answer_problem(struct exchange *x, const struct problem *why)
{
    struct text text = {.data = NULL};
    problem_write(&text, why);
    answer_text(x, why->status, "application/json", &text);
    x->answer.retry_after = why->retry_after;
}

void answer_refused(struct exchange *x, int status, const char *code, const char *hint,
                    const char *format, ...)
{
    struct problem why;
    char text[sizeof why.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    refuse(&why, status, code, hint, "%s", text);
    answer_problem(x, &why);
}

/* Whether a list of ETags has this one; weak ones are the same here (RFC 9110, 13.1.2). */
static bool lists_tag(const char *list, const char *tag)
{
    tag += strncmp(tag, "W/", 2) == 0 ? 2 : 0;
    const size_t n = strlen(tag);
    for (; list && *list; list += *list == ',') {
        list += strspn(list, " \t");
        if (*list == '*')
            return true;
        list += strncmp(list, "W/", 2) == 0 ? 2 : 0;
        if (strncmp(list, tag, n) == 0 && strchr(" \t,", list[n]))
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

void answer_ticket(struct exchange *x, const struct ticket *ticket)
{
    static const char page[] = "frame-ancestors 'self'; base-uri 'none'; form-action 'none'";
    const struct reply *reply = ticket_reply(ticket);
    answer_constant(x, reply->type, reply->body, reply->bytes);
    x->answer.status = reply->status;
    x->answer.retry_after = reply->retry_after;
    snprintf(x->answer.etag, sizeof x->answer.etag, "%s", reply->etag);
    /* A report's own policy, in its text, allows its own script and nothing else. */
    if (media_is(reply->type, "text/html"))
        x->answer.policy = page;
    if (reply->status == 200 && reply->etag[0] &&
        lists_tag(exchange_header(x, "If-None-Match"), reply->etag)) {
        x->answer.status = 304; /* the library keeps the length, as it should, and no body */
    }
}

/* ------------------------------------------------------------------ waiting ---------------- */

/* The last of the tickets, and of the submitting, resumes. */
static void part_ready(void *payload)
{
    struct exchange *x = payload;
    int waits = EXCHANGE_WAITS;
    if (atomic_fetch_sub(&x->remaining, 1) == 1 &&
        atomic_compare_exchange_strong(&x->state, &waits, EXCHANGE_READY))
        exchange_resume(x);
}

bool exchange_wait(struct exchange *x)
{
    atomic_store(&x->remaining, 1);
    atomic_store(&x->state, EXCHANGE_WAITS);
    http_suspend(x);
    guard_phase(x->connection, PHASE_WORK);
    guard_waits(x->connection, x);
    /* After that, guard_end_waits() finds it. */
    if (!atomic_load(&x->server->stopped))
        return true;
    answer_refused(x, 503, "stopping", NULL, "the server stops");
    return false;
}

bool exchange_submit(struct exchange *x, struct ask *ask, void *picture, size_t bytes)
{
    struct problem why;
    atomic_fetch_add(&x->remaining, 1);
    struct ticket *ticket = work_submit(x->server->work, ask, picture, bytes, part_ready, x, &why);
    if (ticket) {
        x->tickets[x->ticket_count++] = ticket;
        return true;
    }
    atomic_fetch_sub(&x->remaining, 1);
    answer_problem(x, &why);
    return false;
}

void exchange_submitted(struct exchange *x)
{
    int waits = EXCHANGE_WAITS;
    if (x->answer.status == 0)
        part_ready(x);
    else if (atomic_compare_exchange_strong(&x->state, &waits, EXCHANGE_READY))
        exchange_resume(x);
}

bool exchange_end_wait(struct exchange *x, enum exchange_state state)
{
    int waits = EXCHANGE_WAITS;
    return atomic_compare_exchange_strong(&x->state, &waits, state);
}

void exchange_resume(struct exchange *x)
{
    http_resume(x);
}
