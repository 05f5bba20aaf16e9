/* serve/pages.c: see pages.h. Health, metrics and lists are here, too. */
#include "pages.h"

#include <string.h>

#include "exchange.h"
#include "http.h"
#include "metrics.h"

/* ------------------------------------------------------------------ health ----------------- */

void answer_live(struct exchange *x)
{
    static const char live[] = "{\"live\":true}\n";
    answer_constant(x, "application/json", live, sizeof live - 1);
}

/* Not ready: whoever shares the load among servers sends no more, while all that comes is done. */
void answer_ready(struct exchange *x)
{
    static const char ready[] = "{\"ready\":true}\n", leaving[] = "{\"ready\":false}\n";
    if (atomic_load(&x->server->leaving)) {
        answer_constant(x, "application/json", leaving, sizeof leaving - 1);
        x->answer.status = 503;
    } else {
        answer_constant(x, "application/json", ready, sizeof ready - 1);
    }
}

void answer_metrics(struct exchange *x)
{
    struct text text = {.data = NULL};
    bool has_holes;
    metrics_write(&text);
    text_format(&text,
                "# HELP vitx_http_info The library of HTTP.\n# TYPE vitx_http_info gauge\n"
                "vitx_http_info{library=\"libmicrohttpd\",version=\"%s\"} 1\n",
                http_library(&has_holes));
    answer_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* ------------------------------------------------------------------ lists ------------------ */

static void put_options(struct text *text, const vitx_method_info *m)
{
    for (int i = 0; i < m->option_count; i++) {
        text_put(text, i ? ",{\"key\":" : "{\"key\":");
        text_json(text, m->options[i].key);
        text_put(text, ",\"default\":");
        text_json(text, m->options[i].fallback);
        text_put(text, ",\"values\":");
        text_json(text, m->options[i].values);
        text_put(text, ",\"help\":");
        text_json(text, m->options[i].help);
        text_put(text, "}");
    }
}

/* The same object as `vitx-cli methods --json`. */
static void put_method(struct text *text, const vitx_method_info *m)
{
    text_put(text, "{\"name\":");
    text_json(text, m->name);
    text_put(text, ",\"summary\":");
    text_json(text, m->summary);
    text_put(text, ",\"cost\":");
    text_json(text, m->cost);
    text_put(text, ",\"reference\":");
    text_json(text, m->reference);
    text_format(text, ",\"uses_target\":%s,\"options\":[", m->uses_target ? "true" : "false");
    put_options(text, m);
    text_format(text, "],\"is_signed\":%s,\"on_pixels\":%s,\"channels\":%d,\"among\":%s}",
                m->is_signed ? "true" : "false", m->on_pixels ? "true" : "false", m->channels,
                m->among ? "true" : "false");
}

void answer_methods(struct exchange *x)
{
    struct text text = {.data = NULL};
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    text_put(&text, "{\"methods\":[");
    for (int i = 0; i < vitx_method_count() && vitx_method_get(&m, i) == VITX_OK; i++) {
        text_put(&text, i ? "," : "");
        put_method(&text, &m);
    }
    text_put(&text, "]}\n");
    answer_text(x, 200, "application/json", &text);
}

/* Whether it takes texts, and how many classes the server gave it. */
static void put_words(struct text *text, const struct session *session)
{
    vitx_label_set_info info = VITX_LABEL_SET_INFO_INIT;
    if (session->labels)
        vitx_label_set_get_info(&info, session->labels);
    text_format(text, "\"texts\":%s,\"labels\":%d,", session->texts ? "true" : "false", info.count);
}

static void put_model(struct text *text, const struct served *model)
{
    const vitx_model_info *info = &model->session.info;
    const vitx_context_info *size = &model->session.size;
    text_put(text, "{\"name\":");
    text_json(text, model->name);
    text_put(text, ",\"family\":");
    text_json(text, info->family);
    text_put(text, ",\"digest\":");
    text_json(text, model->digest);
    text_format(text, ",\"classes\":%d,\"embeds\":%s,\"tokens\":%d,\"input\":[%d,%d],",
                info->classes, info->units ? "true" : "false", info->tokens, size->input_height,
                size->input_width);
    put_words(text, &model->session);
    text_format(text, "\"device\":\"%s\",\"precision\":\"%s\"}", size->device, size->precision);
}

/* The list of names is KServe's. */
void answer_models(struct exchange *x)
{
    const struct server *server = x->server;
    struct text text = {.data = NULL};
    text_put(&text, "{\"models\":[");
    for (int i = 0; i < server->model_count; i++) {
        text_put(&text, i ? "," : "");
        text_json(&text, server->models[i].name);
    }
    text_put(&text, "],\"details\":[");
    for (int i = 0; i < server->model_count; i++) {
        text_put(&text, i ? "," : "");
        put_model(&text, &server->models[i]);
    }
    text_put(&text, "]}\n");
    answer_text(x, 200, "application/json", &text);
}

void answer_kserve_model(struct exchange *x)
{
    const struct served *model = server_model(x->server, x->params[0]);
    struct text text = {.data = NULL};
    if (!model) {
        answer_refused(x, 404, "no_model", "GET /v1/models lists the models", "no such model");
        return;
    }
    text_put(&text, "{\"name\":");
    text_json(&text, model->name);
    text_format(&text, ",\"ready\":%s}\n", atomic_load(&x->server->leaving) ? "false" : "true");
    answer_text(x, 200, "application/json", &text);
}

/* ------------------------------------------------------------------ files ------------------ */

void answer_page(struct exchange *x)
{
    answer_constant(x, "text/html; charset=utf-8", serve_start.data, serve_start.bytes);
    x->answer.policy = serve_start.policy;
}

/* The document with @WORD@ replaced. */
void answer_openapi(struct exchange *x)
{
    struct text text = {.data = NULL};
    const char *at = serve_openapi.data, *end = at + serve_openapi.bytes, *mark;
    static const char version[] = "@VERSION@";
    mark = strstr(at, version);
    if (mark) {
        text_add(&text, at, (size_t)(mark - at));
        text_put(&text, vitx_version());
        at = mark + sizeof version - 1;
    }
    text_add(&text, at, (size_t)(end - at));
    answer_text(x, 200, "application/json", &text);
}
