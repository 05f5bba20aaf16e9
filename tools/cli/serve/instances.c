/* serve/instances.c: KServe's first protocol: {"instances": [{"image": {"b64": ...}}]}. */
#include <string.h>

#include "group.h"
#include "tools/cli/json.h"

/* {"image": {"b64": text}}, with any name; {"image": text}; {"b64": text}; text */
static const char *text_of(const struct json *instance)
{
    const struct json *image = json_get(instance, "image");
    if (!image)
        image = json_kind(instance) == JSON_OBJECT ? json_first(instance) : instance;
    const struct json *inner = json_get(image, "b64");
    return json_string(inner ? inner : image);
}

static bool read_instances(struct group *group, const struct json *json, struct problem *why)
{
    const struct json *instances = json_get(json, "instances");
    const struct json *parameters = json_get(json, "parameters");
    if (json_count(instances) == 0 || json_kind(instances) != JSON_LIST)
        return refuse(why, 400, "bad_json", "{\"instances\": [{\"image\": {\"b64\": \"...\"}}]}",
                      "the body has no list of instances");
    if (!group_no_options(json, why))
        return false;
    for (const struct json *i = json_first(instances); i; i = json_next(i)) {
        const char *text = text_of(i);
        if (!group_no_options(i, why))
            return false;
        if (!text)
            return refuse(why, 400, "bad_json",
                          "{\"instances\": [{\"image\": {\"b64\": \"...\"}}]}",
                          "an instance has no picture");
        if (!group_add_base64(group, text, why))
            return false;
    }
    return !parameters || fields_json(&group->fields, parameters, "", why);
}

static void compose(struct exchange *x)
{
    struct text text = {.data = NULL};
    if (!group_good(x))
        return;
    text_put(&text, x->route->verb == VERB_EXPLAIN ? "{\"explanations\":[" : "{\"predictions\":[");
    for (int i = 0; i < x->ticket_count; i++) {
        const struct reply *reply = ticket_reply(x->tickets[i]);
        size_t bytes = reply->bytes;
        while (bytes && ((const char *)reply->body)[bytes - 1] == '\n')
            bytes--;
        text_put(&text, i ? "," : "");
        text_add(&text, reply->body, bytes);
    }
    text_put(&text, "]}\n");
    answer_text(x, 200, "application/json", &text);
}

void answer_instances(struct exchange *x)
{
    struct group group = {.model = group_model(x), .verb = x->route->verb};
    struct problem why;
    if (!group.model)
        return;
    if (group.verb == VERB_CLASSIFY && group.model->session.info.units)
        group.verb = VERB_EMBED;
    struct json *json = read_object(x->body, x->received, &why);
    if (json && group_query(&group, x, &why) && read_instances(&group, json, &why))
        group_submit(x, &group, compose);
    else
        answer_problem(x, &why);
    json_free(json);
    group_free(&group);
}
