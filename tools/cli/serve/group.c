/* serve/group.c: see group.h. */
#include "group.h"

#include <stdlib.h>
#include <string.h>

#include "base64.h"

bool group_add(struct group *group, void *picture, size_t bytes, struct problem *why)
{
    if (!picture)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    if (group->count == TICKETS_MOST) {
        free(picture);
        return refuse(why, 422, "too_many", NULL, "a request has at most %d pictures",
                      TICKETS_MOST);
    }
    group->pictures[group->count] = picture;
    group->bytes[group->count++] = bytes;
    return true;
}

bool group_add_base64(struct group *group, const char *text, struct problem *why)
{
    const size_t length = text ? strlen(text) : 0;
    size_t bytes = 0;
    void *picture = malloc(base64_room(length));
    if (picture && (!text || !base64_decode(picture, &bytes, text, length))) {
        free(picture);
        return refuse(why, 400, "bad_image", BASE64_HINT, "a picture is no text in base64");
    }
    return group_add(group, picture, bytes, why);
}

bool group_query(struct group *group, const struct exchange *x, struct problem *why)
{
    return fields_query(&group->fields, x->query, why);
}

bool group_no_options(const struct json *object, struct problem *why)
{
    if (json_kind(object) != JSON_OBJECT)
        return true;
    for (const struct json *m = json_first(object); m; m = json_next(m))
        if (ask_is_option(json_name(m)))
            return refuse(why, 400, "bad_option", "{\"parameters\": {...}} beside the pictures",
                          "%s: options stand among the parameters", json_name(m));
    return true;
}

void group_free(struct group *group)
{
    for (int i = 0; i < group->count; i++)
        free(group->pictures[i]);
    group->count = 0;
    fields_free(&group->fields);
}

static bool submit_one(struct exchange *x, struct group *group, int i)
{
    struct problem why;
    struct ask *ask;
    void *picture = group->pictures[i];
    if (!ask_create(&ask, group->model, group->verb, FORM_JSON, group->fields.items,
                    group->fields.count, &why)) {
        answer_problem(x, &why);
        return false;
    }
    group->pictures[i] = NULL;
    return exchange_submit(x, ask, picture, group->bytes[i]);
}

void group_submit(struct exchange *x, struct group *group, void (*compose)(struct exchange *x))
{
    x->compose = compose;
    if (exchange_wait(x))
        for (int i = 0; i < group->count && submit_one(x, group, i); i++)
            continue;
    exchange_submitted(x);
}

bool group_good(struct exchange *x)
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

struct served *group_model(struct exchange *x)
{
    struct served *model = server_model(x->server, x->params[0]);
    const char *version = x->params[1];
    if (model && (!version[0] || strcmp(version, "1") == 0))
        return model;
    answer_refused(x, 404, "no_model", "GET /v1/models lists the models",
                   model ? "a model has the version 1 alone" : "no such model");
    return NULL;
}
