/* serve/infer.c: the Open Inference Protocol (KServe v2): metadata, infer, explain beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "tensors.h"
#include "tools/cli/json.h"

/* What the answer needs of the request. */
struct wanted {
    const struct served *model;
    enum verb verb;
    char id[129];     /* empty: none came */
    unsigned outputs; /* bits of output_names; 0: all */
};

enum { LOGITS, PROBABILITIES, LABEL, EMBEDDING, MAP, TARGET, OUTPUTS };
static const char *const output_names[OUTPUTS] = {"logits",    "probabilities", "label",
                                                  "embedding", "map",           "target"};

static bool is_probable(const struct served *model)
{
    return model->session.info.outputs != VITX_OUTPUTS_NONE;
}

/* Bits of the outputs that there are. */
static unsigned outputs_of(const struct served *model, enum verb verb)
{
    if (verb == VERB_EXPLAIN)
        return 1u << MAP | 1u << TARGET;
    if (verb == VERB_EMBED)
        return 1u << EMBEDDING;
    return 1u << LOGITS | 1u << LABEL | (is_probable(model) ? 1u << PROBABILITIES : 0);
}

/* ------------------------------------------------------------------ metadata --------------- */

void answer_server(struct exchange *x)
{
    struct text text = {.data = NULL};
    text_format(&text,
                "{\"name\":\"vitx\",\"version\":\"%s\",\"extensions\":"
                "[\"binary_tensor_data\",\"explain\"]}\n",
                vitx_version());
    answer_text(x, 200, "application/json", &text);
}

static void put_tensor(struct text *text, const char *name, const char *type, const char *shape)
{
    const bool first = text->failed || text->data[text->length - 1] == '[';
    text_format(text, "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":%s}", first ? "" : ",",
                name, type, shape);
}

void answer_metadata(struct exchange *x)
{
    const struct served *model = group_model(x);
    struct text text = {.data = NULL};
    char row[32];
    if (!model)
        return;
    snprintf(row, sizeof row, "[-1,%d]", model->session.info.classes);
    text_put(&text, "{\"name\":");
    text_json(&text, model->name);
    text_put(&text, ",\"versions\":[\"1\"],\"platform\":\"vitx\",\"inputs\":[");
    put_tensor(&text, "image", "BYTES", "[-1]");
    text_put(&text, "],\"outputs\":[");
    if (model->session.info.units) {
        put_tensor(&text, "embedding", "FP32", row);
    } else {
        put_tensor(&text, "logits", "FP32", row);
        put_tensor(&text, "label", "BYTES", "[-1]");
        if (is_probable(model))
            put_tensor(&text, "probabilities", "FP32", row);
    }
    text_put(&text, "]}\n");
    answer_text(x, 200, "application/json", &text);
}

void answer_model_ready(struct exchange *x)
{
    const struct served *model = group_model(x);
    struct text text = {.data = NULL};
    const bool ready = !atomic_load(&x->server->leaving);
    if (!model)
        return;
    text_put(&text, "{\"name\":");
    text_json(&text, model->name);
    text_format(&text, ",\"ready\":%s}\n", ready ? "true" : "false");
    answer_text(x, ready ? 200 : 503, "application/json", &text);
}

/* ------------------------------------------------------------------ requests --------------- */

/* Parameters of other servers' clients that mean nothing here. */
static bool means_nothing(const char *name)
{
    static const char *const names[] = {"binary_data_output", "timeout",        "priority",
                                        "sequence_id",        "sequence_start", "sequence_end",
                                        "content_type",       "headers"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool read_parameters(struct group *group, const struct json *parameters, struct problem *why)
{
    struct fields read = {.count = 0};
    bool good = !parameters || fields_json(&read, parameters, "headers", why);
    for (int i = 0; good && i < read.count; i++) {
        const struct field *f = &read.items[i];
        if (!means_nothing(f->name))
            good = fields_add(&group->fields, f->name, strlen(f->name), f->value, strlen(f->value),
                              why);
    }
    fields_free(&read);
    return good;
}

static bool read_outputs(struct wanted *wanted, const struct json *outputs, struct problem *why)
{
    const unsigned there = outputs_of(wanted->model, wanted->verb);
    if (outputs && json_kind(outputs) != JSON_LIST)
        return refuse(why, 400, "bad_json", NULL, "outputs is no list");
    for (const struct json *o = json_first(outputs); o; o = json_next(o)) {
        const char *name = json_string(json_get(o, "name"));
        int i = 0;
        while (i < OUTPUTS && (!name || strcmp(name, output_names[i]) != 0 || !(there & 1u << i)))
            i++;
        if (i == OUTPUTS)
            return refuse(why, 400, "no_output", "the model's metadata list its outputs",
                          "there is no such output");
        wanted->outputs |= 1u << i;
    }
    if (!wanted->outputs)
        wanted->outputs = there;
    return true;
}

/* Bytes of the body that are JSON; what is behind them is raw data. */
static bool json_bytes(size_t *bytes, const struct exchange *x, struct problem *why)
{
    const char *header = exchange_header(x, "Inference-Header-Content-Length");
    char *end;
    *bytes = x->received;
    if (!header)
        return true;
    const unsigned long long n = strtoull(header, &end, 10);
    *bytes = (size_t)n;
    return (header[0] >= '0' && header[0] <= '9' && *end == '\0' && n <= x->received) ||
           refuse(why, 400, "bad_request", NULL,
                  "Inference-Header-Content-Length is no length within the body");
}

static bool read_request(struct wanted *wanted, struct group *group, const struct json *json,
                         const unsigned char *raw, size_t left, struct problem *why)
{
    const struct json *inputs = json_get(json, "inputs"), *id = json_get(json, "id");
    if (json_kind(json) != JSON_OBJECT || json_kind(inputs) != JSON_LIST || json_count(inputs) != 1)
        return refuse(why, 400, "bad_json", NULL, "the body is no request with one input");
    if (id && (!json_string(id) || strlen(json_string(id)) >= sizeof wanted->id))
        return refuse(why, 400, "bad_json", NULL, "the id is no text of at most 128 bytes");
    snprintf(wanted->id, sizeof wanted->id, "%s", id ? json_string(id) : "");
    if (!group_no_options(json, why) || !group_no_options(json_first(inputs), why) ||
        !group_no_options(json_get(json_first(inputs), "parameters"), why))
        return false;
    if (!read_outputs(wanted, json_get(json, "outputs"), why) ||
        !read_parameters(group, json_get(json, "parameters"), why) ||
        !tensor_pictures(group, json_first(inputs), &raw, &left, why))
        return false;
    if (left)
        return refuse(why, 400, "bad_data", NULL, "raw data is left over");
    if (wanted->verb != VERB_CLASSIFY)
        return true;
    fields_drop(&group->fields, "top");
    return fields_add(&group->fields, "top", 3, "all", 3, why);
}

/* ------------------------------------------------------------------ answers ---------------- */

struct rows {
    struct json *of[TICKETS_MOST]; /* the answers */
    int count;
};

static const struct json *item(const struct json *list, int i)
{
    const struct json *at = json_first(list);
    while (at && i-- > 0)
        at = json_next(at);
    return at;
}

/* Values of all classes, in the order of their numbers. */
static void put_classes(struct text *text, const struct json *row, const char *what, int classes,
                        float *scratch)
{
    memset(scratch, 0, (size_t)classes * sizeof *scratch);
    for (const struct json *p = json_first(json_get(row, "predictions")); p; p = json_next(p)) {
        double index, value;
        if (json_number(&index, json_get(p, "index")) && index >= 0 && index < classes &&
            json_number(&value, json_get(p, what)))
            scratch[(int)index] = (float)value;
    }
    for (int i = 0; i < classes; i++) {
        text_put(text, i ? "," : "");
        text_number(text, (double)scratch[i]);
    }
}

/* All numbers of nested lists. */
static void put_numbers(struct text *text, const struct json *list, bool *first)
{
    double number;
    if (json_number(&number, list)) {
        text_put(text, *first ? "" : ",");
        text_number(text, number);
        *first = false;
    } else if (json_kind(list) == JSON_LIST) {
        for (const struct json *i = json_first(list); i; i = json_next(i))
            put_numbers(text, i, first);
    }
}

static void put_row(struct text *text, int output, const struct json *row, int classes,
                    float *scratch)
{
    const struct json *map = json_first(json_get(row, "explanations"));
    bool first = true;
    double target;
    if (output == LOGITS || output == PROBABILITIES)
        put_classes(text, row, output == LOGITS ? "logit" : "probability", classes, scratch);
    else if (output == EMBEDDING)
        put_numbers(text, json_get(row, "embedding"), &first);
    else if (output == MAP)
        put_numbers(text, json_get(map, "values"), &first);
    else if (output == TARGET)
        text_format(text, "%d", json_number(&target, json_get(map, "target")) ? (int)target : -1);
    else
        text_json(text, json_string(json_get(json_first(json_get(row, "predictions")), "label")));
}

/* The lengths of the lists that a map is made of. */
static void put_shape(struct text *text, int output, const struct rows *rows, int classes)
{
    text_format(text, "[%d", rows->count);
    if (output == LOGITS || output == PROBABILITIES || output == EMBEDDING)
        text_format(text, ",%d", classes);
    if (output == MAP) {
        const struct json *list =
            json_get(json_first(json_get(rows->of[0], "explanations")), "values");
        for (; json_kind(list) == JSON_LIST && list; list = json_first(list))
            text_format(text, ",%d", json_count(list));
    }
    text_put(text, "]");
}

/* Whether each answer has one map, of the same shape as the first's. */
static bool maps_alike(const struct rows *rows)
{
    for (int i = 0; i < rows->count; i++) {
        const struct json *maps = json_get(rows->of[i], "explanations");
        const struct json *a = json_get(json_first(maps), "shape");
        const struct json *b = json_get(json_first(json_get(rows->of[0], "explanations")), "shape");
        if (json_count(maps) != 1 || json_count(a) != json_count(b))
            return false;
        for (int d = 0; d < json_count(a); d++) {
            double m = 0, n = 0;
            if (!json_number(&m, item(a, d)) || !json_number(&n, item(b, d)) || m != n)
                return false;
        }
    }
    return true;
}

static void put_output(struct text *text, int output, const struct rows *rows, int classes,
                       float *scratch)
{
    text_format(text, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":", output_names[output],
                output == LABEL    ? "BYTES"
                : output == TARGET ? "INT32"
                                   : "FP32");
    put_shape(text, output, rows, classes);
    text_put(text, ",\"data\":[");
    for (int i = 0; i < rows->count; i++) {
        text_put(text, i ? "," : "");
        put_row(text, output, rows->of[i], classes, scratch);
    }
    text_put(text, "]}");
}

static void put_answer(struct text *text, const struct wanted *wanted, const struct rows *rows,
                       float *scratch)
{
    bool first = true;
    text_put(text, "{\"model_name\":");
    text_json(text, wanted->model->name);
    text_put(text, ",\"model_version\":\"1\"");
    if (wanted->id[0]) {
        text_put(text, ",\"id\":");
        text_json(text, wanted->id);
    }
    text_put(text, ",\"outputs\":[");
    for (int i = 0; i < OUTPUTS; i++) {
        if (!(wanted->outputs & 1u << i))
            continue;
        text_put(text, first ? "" : ",");
        put_output(text, i, rows, wanted->model->session.info.classes, scratch);
        first = false;
    }
    text_put(text, "]}\n");
}

static void compose(struct exchange *x)
{
    const struct wanted *wanted = x->compose_payload;
    struct rows rows = {.count = 0};
    struct text text = {.data = NULL};
    if (!group_good(x))
        return;
    float *scratch = malloc((size_t)wanted->model->session.info.classes * sizeof *scratch);
    bool read = scratch != NULL;
    for (; read && rows.count < x->ticket_count; rows.count += read) {
        const struct reply *reply = ticket_reply(x->tickets[rows.count]);
        rows.of[rows.count] = json_read(reply->body, reply->bytes);
        read = rows.of[rows.count] != NULL;
    }
    if (!read) {
        answer_refused(x, 503, "no_memory", NULL, "no memory");
    } else if (wanted->verb == VERB_EXPLAIN && !maps_alike(&rows)) {
        answer_refused(x, 422, "several_maps", "POST /v1/explain gives several",
                       "this protocol gives one map of each picture, all of one shape");
    } else {
        put_answer(&text, wanted, &rows, scratch);
        answer_text(x, 200, "application/json", &text);
    }
    for (int i = 0; i < rows.count; i++)
        json_free(rows.of[i]);
    free(scratch);
}

void answer_infer(struct exchange *x)
{
    struct group group = {.model = group_model(x), .verb = x->route->verb, .most = x->received};
    struct wanted *wanted = group.model ? calloc(1, sizeof *wanted) : NULL;
    struct problem why;
    size_t bytes;
    if (!group.model)
        return;
    if (!wanted) {
        answer_refused(x, 503, "no_memory", NULL, "no memory");
        return;
    }
    if (group.verb == VERB_CLASSIFY && group.model->session.info.units)
        group.verb = VERB_EMBED;
    wanted->model = group.model;
    wanted->verb = group.verb;
    x->compose_payload = wanted;
    struct json *json = NULL;
    bool good = json_bytes(&bytes, x, &why) && group_query(&group, x, &why);
    if (good) {
        json = read_object(x->body, bytes, &why);
        good =
            json && read_request(wanted, &group, json, x->body + bytes, x->received - bytes, &why);
    }
    if (good)
        group_submit(x, &group, compose);
    else
        answer_problem(x, &why);
    json_free(json);
    group_free(&group);
}
