/* serve/front.c: see front.h. */
#define _POSIX_C_SOURCE 200809L
#include "front.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "forms.h"
#include "media.h"
#include "metrics.h"
#include "name.h"
#include "tools/cli/json.h"
#include "tools/cli/progress.h"
#include "tools/cli/say.h"

enum { PER_CLIENT = 8 };

/* ------------------------------------------------------------------ refusals --------------- */

static void put_escaped(struct text *page, const char *words)
{
    for (; words && *words; words++) {
        if (strchr("<>&\"'", *words))
            text_format(page, "&#%d;", *words);
        else
            text_add(page, words, 1);
    }
}

/* A person who waits for a page is told in words. */
static void in_words_for_people(struct exchange *x)
{
    if (x->answer.status < 400 || x->form != FORM_HTML || !x->answer.data)
        return;
    struct json *json = json_read(x->answer.data, x->answer.bytes);
    const struct response before = x->answer;
    struct text page = {.data = NULL};
    text_put(&page, "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"color-scheme\" "
                    "content=\"light dark\">\n<title>vitx</title>\n<p role=\"alert\">");
    put_escaped(&page, json_string(json_get(json, "error")));
    text_put(&page, "</p>\n<p>");
    put_escaped(&page, json_string(json_get(json, "hint")));
    text_put(&page, "</p>\n");
    json_free(json);
    answer_text(x, before.status, "text/html; charset=utf-8", &page);
    x->answer.retry_after = before.retry_after;
    x->answer.close = before.close;
    x->answer.policy = "default-src 'none'; frame-ancestors 'self'";
}

/* ------------------------------------------------------------------ the head --------------- */

/* What the client calls it, if that is a word that may stand in a log; else a random number. */
static void name_request(struct exchange *x)
{
    const char *given = exchange_header(x, "X-Request-Id");
    size_t n = 0;
    while (given && n < REQUEST_ID &&
           (isalnum((unsigned char)given[n]) || (given[n] && strchr("-_.:", given[n]))))
        n++;
    if (n && n < REQUEST_ID && given[n] == '\0') {
        memcpy(x->id, given, n + 1);
        return;
    }
    if (!make_name(x->id))
        x->id[0] = '\0';
}

static bool find_route(struct exchange *x, struct problem *why)
{
    char allow[sizeof x->answer.allow];
    x->route = route_find(x->method, x->path, x->params, allow);
    if (x->route)
        return true;
    if (!allow[0])
        return refuse(why, 404, "no_route", "GET /openapi.json lists what there is",
                      "there is nothing at this address");
    refuse(why, 405, "bad_method", NULL, "this address takes %s", allow);
    answer_problem(x, why);
    memcpy(x->answer.allow, allow, sizeof allow);
    return false;
}

/* The number of the client's key in *key; -1: none is needed. */
static bool check_key(struct exchange *x, int *key, struct problem *why)
{
    *key = -1;
    if (!gate_has_keys(x->server->gate) || (x->route->flags & ROUTE_OPEN))
        return true;
    *key = gate_key(x->server->gate, exchange_header(x, "Authorization"),
                    exchange_header(x, "X-Api-Key"));
    return *key >= 0 || refuse(why, 401, "no_key", "Authorization: Bearer KEY, or X-Api-Key: KEY",
                               "this server wants a key");
}

/* Whether a browser says that a page of another place makes the request. To plain HTTP on another
 * machine browsers send no Sec-Fetch-Site, but Origin; programs send neither. */
static bool comes_from_elsewhere(const struct exchange *x)
{
    const char *site = exchange_header(x, "Sec-Fetch-Site"), *host = exchange_header(x, "Host");
    const char *origin = exchange_header(x, "Origin"),
               *name = origin ? strstr(origin, "://") : NULL;
    if (site)
        return strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0;
    return origin && (!name || !host || strcasecmp(name + 3, host) != 0);
}

/* A page of another site must not let its visitors' browsers work here. */
static bool check_site(const struct exchange *x, struct problem *why)
{
    return !(x->route->flags & ROUTE_BODY) || !comes_from_elsewhere(x) ||
           refuse(why, 403, "other_site", NULL, "the request comes from a page of another site");
}

static bool check_length(const struct exchange *x, struct problem *why)
{
    if (!(x->route->flags & ROUTE_BODY))
        return x->length == 0 ||
               refuse(why, 400, "no_body_wanted", NULL, "a request of this kind has no body");
    const bool bare = x->route->flags & ROUTE_BARE;
    if (!exchange_header(x, "Content-Length"))
        return bare || refuse(why, 411, "length_required", NULL,
                              "a body with its Content-Length is needed");
    if (x->length > x->server->limits.body)
        return refuse(why, 413, "too_large", NULL, "a body has at most %zu bytes here",
                      x->server->limits.body);
    return bare || x->length > 0 || refuse(why, 400, "no_body", NULL, "the body is empty");
}

static bool check_type(const struct exchange *x, struct problem *why)
{
    const char *encoding = exchange_header(x, "Content-Encoding");
    if (!(x->route->flags & ROUTE_BODY))
        return true;
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return refuse(why, 415, "encoded", NULL, "a body with a Content-Encoding is not taken");
    if (x->route->flags & ROUTE_FORM)
        return form_type(x) || refuse(why, 415, "bad_type", NULL,
                                      "the body is a picture, a form or application/json");
    return !x->content_type || media_is(x->content_type, "application/json") ||
           media_is(x->content_type, "application/octet-stream") ||
           refuse(why, 415, "bad_type", "curl -d: with -H 'Content-Type: application/json'",
                  "the body is application/json, or application/octet-stream behind it");
}

/* The client is its key or, without one, its address. Programs of this machine share an address. */
static bool enter(struct exchange *x, int key, struct problem *why)
{
    const int given = x->server->limits.per_client;
    const bool local = key < 0 && guard_is_local(x->connection);
    const int most = given >= 0 ? given : local ? 0 : PER_CLIENT;
    char client[64];
    if (key >= 0)
        snprintf(client, sizeof client, "key %d", key);
    else
        snprintf(client, sizeof client, "%s", guard_address(x->connection));
    if (gate_enter(x->server->gate, &x->share, client, most))
        return true;
    metrics_rejected("share");
    refuse(why, 429, "too_many", NULL, "%d requests of this client are running", most);
    why->retry_after = 1;
    return false;
}

static bool check_room(struct exchange *x, struct problem *why)
{
    const double cost = x->ask ? ask_cost(x->ask) : 1;
    /* A job waits as long as it has to. */
    if (!x->async && !work_has_room(x->server->work, cost, why))
        return false;
    /* JSON is there three times: as text, as values, and what they stand for. */
    const size_t bytes =
        (size_t)x->length * (media_is(x->content_type, "application/json") ? 3 : 1);
    if (gate_take(x->server->gate, bytes)) {
        x->body_memory = bytes;
        return true;
    }
    metrics_rejected("memory");
    refuse(why, 503, "busy", NULL, "there is no memory for one more body now");
    why->retry_after = 1;
    return false;
}

static bool admit(struct exchange *x, struct problem *why)
{
    int key;
    if (!find_route(x, why))
        return false;
    if (atomic_load(&x->server->closed) && !(x->route->flags & ROUTE_LATE)) {
        metrics_rejected("stopping");
        return refuse(why, 503, "stopping", NULL, "the server stops");
    }
    if (!check_key(x, &key, why) || !check_site(x, why) || !check_length(x, why) ||
        !check_type(x, why))
        return false;
    if (!(x->route->flags & ROUTE_WORK))
        return true;
    return enter(x, key, why) && (!(x->route->flags & ROUTE_FORM) || form_head(x, why)) &&
           check_room(x, why);
}

void front_head(struct exchange *x)
{
    struct problem why;
    name_request(x);
    if (!x->answer.status && !admit(x, &why) && !x->answer.status)
        answer_problem(x, &why);
    in_words_for_people(x);
}

/* ------------------------------------------------------------------ the answer ------------- */

void front_body(struct exchange *x)
{
    if (x->route->flags & ROUTE_BODY)
        metrics_stage(STAGE_READ, (now_ms() - x->began) / 1e3);
    if (x->received < x->length)
        answer_refused(x, 400, "bad_request", NULL, "the body is shorter than its Content-Length");
    else
        x->route->answer(x);
    if (atomic_load(&x->state) == EXCHANGE_RUNS)
        in_words_for_people(x);
}

void front_ready(struct exchange *x)
{
    if (atomic_load(&x->state) == EXCHANGE_STOPPED)
        answer_refused(x, 503, "stopping", NULL, "the server stops");
    else if (!x->answer.status && x->compose)
        x->compose(x);
    else if (!x->answer.status)
        answer_ticket(x, x->tickets[0]);
    in_words_for_people(x);
}

static void log_request(const struct exchange *x, int status, double seconds)
{
    if (x->server->verbose)
        complain("serve", "%s %s %d %.1f ms %s", x->method, x->route ? x->route->pattern : "-",
                 status, seconds * 1e3, x->id);
}

void front_end(struct exchange *x)
{
    /* 499, nginx's word: the client left before its answer. */
    const int status = x->answer.status ? x->answer.status : 499;
    const double seconds = (now_ms() - x->began) / 1e3;
    if (x->begun) {
        metrics_request(x->route ? x->route->name : "none", status, seconds);
        log_request(x, status, seconds);
    }
    for (int i = 0; i < x->ticket_count; i++)
        ticket_leave(x->tickets[i]);
    gate_leave(x->server->gate, x->share);
    gate_give(x->server->gate, x->body_memory);
    ask_free(x->ask);
    free(x->compose_payload);
    free(x->body);
    text_free(&x->answer.own);
}
