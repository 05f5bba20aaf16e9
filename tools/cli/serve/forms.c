/* serve/forms.c: see forms.h. */
#define _POSIX_C_SOURCE 200809L
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base64.h"
#include "fields.h"
#include "formats.h"
#include "media.h"
#include "multipart.h"
#include "sniff.h"
#include "tools/cli/json.h"

/* ------------------------------------------------------------------ what is asked ---------- */

/* Maps have all forms, an embedding two, classes are JSON. */
static int forms_of(enum form forms[FORMATS], const struct exchange *x)
{
    static const enum form all[] = {FORM_JSON, FORM_PNG, FORM_NPY, FORM_HTML};
    static const enum form numbers[] = {FORM_JSON, FORM_NPY};
    const bool maps = x->route->verb == VERB_EXPLAIN;
    memcpy(forms, maps ? all : numbers, maps ? sizeof all : sizeof numbers);
    return maps ? FORMATS : x->route->verb == VERB_EMBED ? 2 : 1;
}

/* "a, b, c": their words, or their types. */
static void list_forms(char *out, size_t size, const enum form *forms, int count, bool words)
{
    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        const struct format *f = &formats[forms[i]];
        const char *name = words ? f->word : f->type;
        snprintf(out + strlen(out), size - strlen(out), "%s%.*s", i ? ", " : "",
                 (int)strcspn(name, ";"), name);
    }
}

static bool choose_form(struct exchange *x, const char *format, struct problem *why)
{
    enum form forms[FORMATS];
    const char *offered[FORMATS];
    const int count = forms_of(forms, x);
    char list[128];
    int chosen = -1;
    for (int i = 0; i < count; i++) {
        offered[i] = formats[forms[i]].type;
        if (format && strcmp(formats[forms[i]].word, format) == 0)
            chosen = i;
    }
    if (!format)
        chosen = media_choose(exchange_header(x, "Accept"), offered, count);
    if (chosen >= 0) {
        x->form = forms[chosen];
        return true;
    }
    list_forms(list, sizeof list, forms, count, format != NULL);
    if (format)
        return refuse(why, 400, "bad_option", NULL, "format is one of %s here", list);
    return refuse(why, 406, "not_acceptable", NULL, "this address gives %s", list);
}

static bool prefers_async(const struct exchange *x)
{
    const char *prefer = exchange_header(x, "Prefer");
    for (; prefer && *prefer; prefer += strcspn(prefer, ","), prefer += *prefer == ',') {
        prefer += strspn(prefer, " \t");
        const size_t n = strcspn(prefer, "; \t,");
        if (n == strlen("respond-async") && strncasecmp(prefer, "respond-async", n) == 0)
            return true;
    }
    return false;
}

static bool read_switch(bool *on, const char *name, const char *value, struct problem *why)
{
    *on = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
    return *on || strcmp(value, "0") == 0 || strcmp(value, "false") == 0 ||
           refuse(why, 400, "bad_option", NULL, "%s is 1, true, 0 or false", name);
}

/* The ask of all fields; those that are the server's own are taken out. */
static bool make_ask(struct exchange *x, struct fields *fields, struct problem *why)
{
    const char *name = fields_get(fields, "model"), *async = fields_get(fields, "async");
    struct served *model = server_model(x->server, name);
    if (!model)
        return refuse(why, 404, "no_model", "GET /v1/models lists the models", "no such model");
    if ((async && !read_switch(&x->async, "async", async, why)) ||
        !choose_form(x, fields_get(fields, "format"), why))
        return false;
    fields_drop(fields, "model");
    fields_drop(fields, "async");
    fields_drop(fields, "format");
    return ask_create(&x->ask, model, x->route->verb, x->form, fields->items, fields->count, why);
}

/* What curl -d calls its body, and --data-binary a picture: the bytes decide. */
static bool is_words(const struct exchange *x)
{
    return media_is(x->content_type, "application/x-www-form-urlencoded");
}

static bool has_fields(const struct exchange *x)
{
    return media_is(x->content_type, "multipart/form-data") ||
           media_is(x->content_type, "application/json") || is_words(x);
}

bool form_type(const struct exchange *x)
{
    const char *type = x->content_type;
    return !type || strncasecmp(type, "image/", 6) == 0 || has_fields(x) ||
           media_is(type, "application/octet-stream");
}

static bool takes_texts(const struct server *server)
{
    for (int i = 0; i < server->model_count; i++)
        if (server->models[i].session.texts)
            return true;
    return false;
}

bool form_head(struct exchange *x, struct problem *why)
{
    struct fields fields = {.count = 0};
    x->async = prefers_async(x);
    bool good = fields_query(&fields, x->query, why);
    const bool told = fields.count > 0;
    if (good && !make_ask(x, &fields, why))
        /* What the query lacks may come in the body: all of it, or texts and the model's name. */
        good = (why->status == 400 || why->status == 422) && has_fields(x) &&
               (!told || takes_texts(x->server));
    fields_free(&fields);
    return good;
}

/* ------------------------------------------------------------------ bodies ----------------- */

struct picture {
    void *data; /* malloc */
    size_t bytes;
    bool found;
};

/* A part of the body becomes all of it. */
static void keep_part(struct exchange *x, struct picture *picture, const void *data, size_t bytes)
{
    memmove(x->body, data, bytes);
    *picture = (struct picture){.data = x->body, .bytes = bytes, .found = true};
    x->body = NULL;
}

static bool read_multipart(struct exchange *x, struct fields *fields, struct picture *picture,
                           struct problem *why)
{
    struct multipart reader;
    struct part part, image = {.data = NULL};
    int more = -1;
    if (multipart_begin(&reader, x->content_type, x->body, x->received))
        while ((more = multipart_next(&reader, &part)) == 1) {
            const bool is_image = part.file || strcmp(part.name, "image") == 0;
            if (is_image && image.data)
                return refuse(why, 400, "several_pictures", NULL, "there are several pictures");
            if (is_image)
                image = part;
            else if (!fields_add(fields, part.name, strlen(part.name), (const char *)part.data,
                                 part.bytes, why))
                return false;
        }
    if (more < 0)
        return refuse(why, 400, "bad_form", NULL, "the form is malformed");
    if (image.data)
        keep_part(x, picture, image.data, image.bytes);
    return true;
}

static bool decode_picture(struct picture *picture, const char *text, struct problem *why)
{
    /* "data:image/png;base64," as a browser makes it */
    if (text && strncmp(text, "data:", 5) == 0 && (text = strstr(text, ";base64,")) != NULL)
        text += 8;
    if (!text)
        return refuse(why, 400, "bad_image", NULL, "image is no text in base64");
    const size_t length = strlen(text);
    picture->data = malloc(base64_room(length));
    if (!picture->data)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    picture->found = base64_decode(picture->data, &picture->bytes, text, length);
    return picture->found || refuse(why, 400, "bad_image", BASE64_HINT, "image is no base64");
}

static bool read_json(struct exchange *x, struct fields *fields, struct picture *picture,
                      struct problem *why)
{
    struct json *json = read_object(x->body, x->received, why);
    const struct json *image = json_get(json, "image");
    if (!json)
        return false;
    const bool good = (!image || decode_picture(picture, json_string(image), why)) &&
                      fields_json(fields, json, "image", why);
    json_free(json);
    return good;
}

#define WORDS_HINT                                                                                 \
    "curl -F image=@FILE sends a picture with options, --data-binary @FILE a picture alone; -d "   \
    "sends words"

static bool is_text(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < ' ' && !memchr("\t\r\n", text[i], 3))
            return false;
    return true;
}

/* Words that come without a picture: texts. A file that curl -d has sent has lost bytes. */
static bool read_words(const struct exchange *x, struct fields *fields, struct problem *why)
{
    const char *text = (const char *)x->body;
    const bool readable = is_text(text, x->received);
    if (readable && (text[0] == '{' || text[0] == '['))
        return refuse(why, 415, "bad_type", "curl -d: with -H 'Content-Type: application/json'",
                      "the body looks like JSON, and its Content-Type says that it is a form");
    if (readable && x->route->flags & ROUTE_BARE && !fields_form(fields, text, x->received, why))
        return false;
    if (!readable || !(x->route->flags & ROUTE_BARE) || fields_get(fields, "image"))
        return refuse(why, 415, "no_picture", WORDS_HINT, "the body holds no JPEG and no PNG");
    return true;
}

static bool read_body(struct exchange *x, struct fields *fields, struct picture *picture,
                      struct problem *why)
{
    int64_t pixels;
    if (!x->body)
        return true;
    if (is_words(x) && !sniff_picture(x->body, x->received, &pixels))
        return read_words(x, fields, why);
    if (media_is(x->content_type, "multipart/form-data"))
        return read_multipart(x, fields, picture, why);
    if (media_is(x->content_type, "application/json"))
        return read_json(x, fields, picture, why);
    keep_part(x, picture, x->body, x->received);
    return true;
}

/* There is a picture, if one is needed. */
static bool check_picture(const struct exchange *x, const struct picture *picture,
                          struct problem *why)
{
    int64_t pixels;
    if (!ask_needs_picture(x->ask))
        return true;
    if (!picture->found && x->body && media_is(x->content_type, "application/json"))
        return refuse(why, 400, "no_picture", NULL, "\"image\" is missing: the picture in base64");
    return (picture->found && sniff_picture(picture->data, picture->bytes, &pixels)) ||
           refuse(why, 415, "no_picture", is_words(x) ? WORDS_HINT : NULL,
                  "the body holds no JPEG and no PNG");
}

/* Fields of the body go behind those of the query. */
static bool ask_again(struct exchange *x, const struct fields *more, struct problem *why)
{
    struct fields all = {.count = 0};
    bool good = fields_query(&all, x->query, why);
    for (int i = 0; good && i < more->count; i++)
        good = fields_add(&all, more->items[i].name, strlen(more->items[i].name),
                          more->items[i].value, strlen(more->items[i].value), why);
    ask_free(x->ask);
    x->ask = NULL;
    good = good && make_ask(x, &all, why);
    fields_free(&all);
    return good;
}

/* ------------------------------------------------------------------ the work --------------- */

static void make_job(struct exchange *x, void *picture, size_t bytes)
{
    struct problem why;
    char id[JOB_ID], location[sizeof x->answer.location];
    struct ask *ask = x->ask;
    struct text text = {.data = NULL};
    x->ask = NULL;
    if (!job_create(id, x->server->work, ask, picture, bytes, &why)) {
        answer_problem(x, &why);
        return;
    }
    snprintf(location, sizeof location, "/v1/jobs/%s", id);
    text_format(&text, "{\"id\":\"%s\",\"state\":\"queued\",\"location\":\"%s\"}\n", id, location);
    answer_text(x, 202, "application/json", &text);
    memcpy(x->answer.location, location, sizeof location);
}

static void submit(struct exchange *x, void *picture, size_t bytes)
{
    struct ask *ask = x->ask;
    x->ask = NULL;
    if (exchange_wait(x)) {
        exchange_submit(x, ask, picture, bytes);
    } else {
        ask_free(ask);
        free(picture);
    }
    exchange_submitted(x);
}

void answer_form(struct exchange *x)
{
    struct fields fields = {.count = 0};
    struct picture picture = {.data = NULL};
    struct problem why;
    if (!read_body(x, &fields, &picture, &why) ||
        ((fields.count || !x->ask) && !ask_again(x, &fields, &why)) ||
        !check_picture(x, &picture, &why)) {
        answer_problem(x, &why);
        free(picture.data);
    } else if (x->async) {
        make_job(x, picture.data, picture.bytes);
    } else {
        submit(x, picture.data, picture.bytes);
    }
    fields_free(&fields);
}
