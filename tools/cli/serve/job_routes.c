/* serve/job_routes.c: /v1/jobs: what became of a job, its answer, its end. */
#include <stdlib.h>
#include <string.h>

#include "exchange.h"

/* 32 small hexadecimal digits: what is none needs no look at the jobs. */
static bool is_id(struct exchange *x)
{
    const char *id = x->params[0];
    if (strlen(id) == JOB_ID - 1 && strspn(id, "0123456789abcdef") == JOB_ID - 1)
        return true;
    answer_refused(x, 404, "no_job", NULL, "no such job");
    return false;
}

void answer_job(struct exchange *x)
{
    struct problem why;
    struct text text = {.data = NULL};
    char *body = NULL;
    size_t bytes = 0;
    if (!is_id(x))
        return;
    if (!job_state(x->server->work, x->params[0], &body, &bytes, &why)) {
        answer_problem(x, &why);
        return;
    }
    text_add(&text, body, bytes);
    free(body);
    answer_text(x, 200, "application/json", &text);
}

void answer_job_result(struct exchange *x)
{
    struct problem why;
    struct ticket *ticket;
    if (!is_id(x))
        return;
    if (!job_result(x->server->work, x->params[0], &ticket, &why)) {
        answer_problem(x, &why);
        return;
    }
    x->tickets[x->ticket_count++] = ticket;
    answer_ticket(x, ticket);
}

void answer_job_cancel(struct exchange *x)
{
    struct problem why;
    if (!is_id(x))
        return;
    if (job_cancel(x->server->work, x->params[0], &why)) {
        answer_constant(x, NULL, "", 0);
        x->answer.status = 204;
    } else {
        answer_problem(x, &why);
    }
}
