/* serve/batch.c: see batch.h. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "base64.h"

bool batch_add(struct batch *batch, void *picture, size_t bytes, struct problem *why)
{
    if (!picture)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    if (batch->count == TICKETS_MOST) {
        free(picture);
        return refuse(why, 422, "too_many", NULL, "a request has at most %d pictures",
                      TICKETS_MOST);
    }
    batch->pictures[batch->count] = picture;
    batch->bytes[batch->count++] = bytes;
    return true;
}

bool batch_add_base64(struct batch *batch, const char *text, struct problem *why)
{
    const size_t length = text ? strlen(text) : 0;
    size_t bytes = 0;
    void *picture = malloc(base64_room(length));
    if (picture && (!text || !base64_decode(picture, &bytes, text, length))) {
        free(picture);
        return refuse(why, 400, "bad_image", NULL, "a picture is no text in base64");
    }
    return batch_add(batch, picture, bytes, why);
}

void batch_free(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++)
        free(batch->pictures[i]);
    batch->count = 0;
    fields_free(&batch->fields);
}

static bool submit_one(struct exchange *x, struct batch *batch, int i)
{
    struct problem why;
    struct ask *ask;
    void *picture = batch->pictures[i];
    if (!ask_create(&ask, batch->model, batch->verb, FORM_JSON, batch->fields.items,
                    batch->fields.count, &why)) {
        answer_problem(x, &why);
        return false;
    }
    batch->pictures[i] = NULL;
    return exchange_submit(x, ask, picture, batch->bytes[i]);
}

void batch_submit(struct exchange *x, struct batch *batch, void (*compose)(struct exchange *x))
{
    x->compose = compose;
    if (exchange_wait(x))
        for (int i = 0; i < batch->count && submit_one(x, batch, i); i++)
            continue;
    exchange_submitted(x);
}

bool batch_good(struct exchange *x)
{
    for (int i = 0; i < x->ticket_count; i++) {
        const struct reply *reply = ticket_reply(x->tickets[i]);
        if (reply->status == 200)
            continue;
        answer_constant(x, reply->type, reply->body, reply->bytes);
        x->answer.status = reply->status;
        x->answer.retry_after = reply->retry_after;
        return false;
    }
    return true;
}

struct served *batch_model(struct exchange *x)
{
    struct served *model = server_model(x->server, x->params[0]);
    const char *version = x->params[1];
    if (model && (!version[0] || strcmp(version, "1") == 0))
        return model;
    answer_refused(x, 404, "no_model", "GET /v1/models lists the models",
                   model ? "a model has the version 1 alone" : "no such model");
    return NULL;
}
