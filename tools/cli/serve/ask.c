/*
 * serve/ask.c: see ask.h. The options are those of the commands' own tables, so that a name means
 * the same everywhere; a list says which of them a client may give: none that names a file.
 */
#include "asked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct command cmd_classify, cmd_embed, cmd_explain;

enum {
    MOST_FIELDS = 64,  /* but labels and texts to be told from */
    MOST_VALUE = 1024, /* bytes of a value */
    MOST_MAPS = 128,   /* of a request */
};

enum { CLASSIFY = 1 << VERB_CLASSIFY, EXPLAIN = 1 << VERB_EXPLAIN, EMBED = 1 << VERB_EMBED };
enum { JSON = 1 << FORM_JSON, PNG = 1 << FORM_PNG, NPY = 1 << FORM_NPY, HTML = 1 << FORM_HTML };

/* What a client may give. */
static const struct allowed {
    const char *name;
    int verbs;
    int forms; /* whose bytes it can change */
} allowed[] = {
    {"top", CLASSIFY | EXPLAIN, JSON},
    {"label", CLASSIFY, JSON},
    {"template", CLASSIFY, JSON},
    {"normalize", EMBED, JSON | NPY},
    {"window", CLASSIFY | EXPLAIN | EMBED, JSON | PNG | NPY | HTML},
    {"method", EXPLAIN, JSON | PNG | NPY | HTML},
    {"target", EXPLAIN, JSON | PNG | NPY | HTML},
    {"text", EXPLAIN | EMBED, JSON | PNG | NPY | HTML},
    {"among", EXPLAIN, JSON | PNG | NPY | HTML},
    {"unit", EXPLAIN, JSON | PNG | NPY | HTML},
    {"score", EXPLAIN, JSON | PNG | NPY | HTML},
    {"versus", EXPLAIN, JSON | PNG | NPY | HTML},
    {"layer", EXPLAIN, JSON | PNG | NPY | HTML},
    {"head", EXPLAIN, JSON | PNG | NPY | HTML},
    {"query", EXPLAIN, JSON | PNG | NPY | HTML},
    {"set", EXPLAIN, JSON | PNG | NPY | HTML},
    {"components", EXPLAIN, JSON | PNG | NPY | HTML},
    {"flip", EXPLAIN, JSON | PNG | NPY | HTML},
    {"mask", EXPLAIN, JSON | PNG | NPY | HTML},
    {"layout", EXPLAIN, PNG},
    {"underlay", EXPLAIN, PNG},
    {"colormap", EXPLAIN, PNG},
    {"alpha", EXPLAIN, PNG},
    {"smooth", EXPLAIN, PNG},
    {"interpolate", EXPLAIN, PNG},
    {"scale", EXPLAIN, PNG},
    {"frame", EXPLAIN, PNG},
    {"colorbar", EXPLAIN, PNG},
    {"title", EXPLAIN, HTML},
    {"lang", EXPLAIN, HTML},
};

enum { ALLOWED = sizeof allowed / sizeof allowed[0] };

bool ask_is_option(const char *name)
{
    for (int i = 0; i < ALLOWED; i++)
        if (strcmp(name, allowed[i].name) == 0)
            return true;
    return strncmp(name, "set.", 4) == 0;
}

static const struct command *const commands[] = {&cmd_classify, &cmd_explain, &cmd_embed};
static const char *const verbs[] = {"classify", "explain", "embed"};

/* ------------------------------------------------------------------ what was said ---------- */

/* The last line of what was said, without the command's name. */
static void last_line(char *out, size_t size, const char *said)
{
    static const char command[] = "serve: ";
    const size_t n = sizeof command - 1;
    size_t length;
    const char *line = say_line(said, true, &length);
    const size_t skipped = length >= n && strncmp(line, command, n) == 0 ? n : 0;
    length -= skipped;
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), line + skipped);
}

/* Bytes at p that are the path of one of the model's files; 0: none. */
static size_t path_at(const char *p, const struct served *model)
{
    const struct words *words = &model->common.words;
    const char *const paths[] = {words->model, words->tokenizer, model->session.path};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const size_t length = paths[i] ? strlen(paths[i]) : 0;
        if (length > 1 && strncmp(p, paths[i], length) == 0)
            return length;
    }
    return 0;
}

/* --name becomes name, a command that lists something the address that does, and the model's files
 * the name that it is served by: where they lie is nobody's business. */
static void in_words_of_addresses(struct text *out, const char *text, const struct served *model)
{
    static const char *const others[][2] = {
        {"vitx-cli methods lists them", "/v1/methods lists them"},
        {"vitx-cli info lists them", "the documentation lists them"}};
    for (const char *p = text; *p; p++) {
        size_t taken = 0;
        for (size_t i = 0; i < sizeof others / sizeof others[0] && !taken; i++)
            if (strncmp(p, others[i][0], strlen(others[i][0])) == 0) {
                taken = strlen(others[i][0]);
                text_put(out, others[i][1]);
            }
        if (!taken && (taken = path_at(p, model)) > 0)
            text_put(out, model->name);
        if (!taken && strncmp(p, "--", 2) == 0 && p[2] >= 'a' && p[2] <= 'z' &&
            (p == text || p[-1] == ' '))
            taken = 2;
        if (taken)
            p += taken - 1;
        else
            text_add(out, p, 1);
    }
}

bool refuse_as_said(struct problem *why, int status, const char *code, const char *said,
                    const struct served *model)
{
    char line[sizeof why->text];
    struct text words = {0};
    if (!said)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    last_line(line, sizeof line, said);
    if (strcmp(line, "no memory") == 0)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    in_words_of_addresses(&words, line, model);
    refuse(why, status, code, NULL, "%s", words.failed ? line : words.data ? words.data : "");
    text_free(&words);
    return false;
}

/* ------------------------------------------------------------------ fields ----------------- */

static bool names_file(const struct command *command, const char *name)
{
    const struct option *o = option_find(command, name);
    return o != NULL && (o->path || strcmp(name, "device") == 0 || strcmp(name, "precision") == 0);
}

/* The row that allows the field; NULL, and *why, where there is none. */
static const struct allowed *find_allowed(const char *name, enum verb verb, struct problem *why)
{
    const char *names[ALLOWED + 1];
    int count = 0;
    for (int i = 0; i < ALLOWED; i++) {
        if (!(allowed[i].verbs & 1 << verb))
            continue;
        if (strcmp(allowed[i].name, name) == 0)
            return &allowed[i];
        names[count++] = allowed[i].name;
    }
    names[count] = NULL;
    const char *near = nearest(name, names);
    char hint[128] = "";
    if (near)
        snprintf(hint, sizeof hint, "did you mean %s?", near);
    if (names_file(commands[verb], name))
        refuse(why, 400, "bad_option", NULL, "%s: this option is not for requests", name);
    else
        refuse(why, 400, "bad_option", near ? hint : NULL, "no option %.40s of %s", name,
               verbs[verb]);
    return NULL;
}

/* The settings that an option belongs to: `top` is of classify's, also where maps are asked for. */
static void *settings_of(struct ask *ask, const char *name, const struct command **command)
{
    const bool maps = ask->verb == VERB_EXPLAIN && strcmp(name, "top") != 0;
    *command = maps ? &cmd_explain : ask->verb == VERB_EMBED ? &cmd_embed : &cmd_classify;
    return maps ? ask->explain : ask->answers;
}

/* "flip", "flip=1" and "flip=true" set a flag, "flip=0" and "flip=false" leave it. -1: other. */
static int flag_of(const char *value)
{
    static const char *const words[] = {"0", "false", "no", "", "1", "true", "yes"};
    for (int i = 0; i < (int)(sizeof words / sizeof words[0]); i++)
        if (strcmp(value, words[i]) == 0)
            return i > 2;
    return -1;
}

/* A word of the client's, copied; NULL without memory. */
static const char *keep_word(struct ask *ask, const char *text)
{
    return list_add(&ask->words, text, strlen(text)) ? ask->words.items[ask->words.count - 1]
                                                     : NULL;
}

/* For the line on the page: a client's text names no file, whatever it looks like. */
static bool give_value(struct ask *ask, const struct option *o, const char *value)
{
    char *shown = text_as_value(o, value);
    const bool kept = shown && list_add(&ask->shown, shown, strlen(shown));
    free(shown);
    return kept &&
           given_add(&ask->given, o,
                     o->kind == OPTION_FLAG ? NULL : ask->shown.items[ask->shown.count - 1]);
}

/* A text of embed, which the command line has not. */
static bool store_text(struct ask *ask, const char *text, struct problem *why)
{
    return list_add(&ask->texts, text, strlen(text)) ||
           refuse(why, 503, "no_memory", NULL, "no memory");
}

static bool store_field(struct ask *ask, const struct field *field, struct problem *why)
{
    const struct command *command;
    if (strlen(field->value) > MOST_VALUE)
        return refuse(why, 400, "bad_option", NULL, "%.40s: more than %d bytes", field->name,
                      MOST_VALUE);
    if (!find_allowed(field->name, ask->verb, why) || !ask_check_text(field, why))
        return false;
    void *settings = settings_of(ask, field->name, &command);
    const struct option *o = option_find(command, field->name);
    const char *name = keep_word(ask, field->name);
    const char *value = name ? keep_word(ask, field->value) : NULL;
    if (!value)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    if (!o)
        return store_text(ask, value, why);
    const int flag = o->kind == OPTION_FLAG ? flag_of(value) : 1;
    if (flag < 0)
        return refuse(why, 400, "bad_option", NULL, "%s is a flag, it takes true or false", name);
    if (flag == 0)
        return true;
    if (ask->verb == VERB_EXPLAIN && settings == ask->explain && !give_value(ask, o, value))
        return refuse(why, 503, "no_memory", NULL, "no memory");
    char *said;
    size_t length;
    say_hold(&said, &length);
    const int status = option_store(settings, o, value);
    say_release();
    if (status != DONE)
        refuse_as_said(why, 400, "bad_option", said, ask->model);
    free(said);
    return status == DONE;
}

/* ------------------------------------------------------------------ maps ------------------- */

/* The same in any run: forwards of a plan, before there is a picture. Each rank counts as a class
 * of its own. */
static bool count_forwards(int64_t *forwards, const struct ask *ask, struct problem *why)
{
    const struct explain_plan *plan = &ask->plan;
    const struct session *s = plan->session;
    vitx_explain_opts *opts = calloc((size_t)plan->opts_count, sizeof *opts);
    if (!opts)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    for (int i = 0; i < plan->opts_count; i++) {
        const int rank = rank_of(plan->opts[i].target);
        opts[i] = plan->opts[i];
        if (rank)
            opts[i].target = (rank - 1) % s->info.classes;
        if (s->varies)
            opts[i].query = VITX_AUTO;
        if (opts[i].versus == opts[i].target)
            opts[i].versus = VITX_AUTO;
    }
    const int code = vitx_explain_forwards(forwards, s->context, opts, plan->opts_count);
    free(opts);
    if (code == VITX_OK)
        return true;
    return refuse_as_said(why, code == VITX_INVALID ? 400 : 422,
                          code == VITX_UNSUPPORTED ? "unsupported" : "bad_option", reason(),
                          ask->model);
}

/* The first of the methods that say why, and which explain any class, that knows the model. */
static const char *default_method(const struct ask *ask)
{
    static const char *const names[] = {"legrad", "gradcam", "rollout", "eigencam", NULL};
    const struct explain_settings *o = ask->explain;
    const struct session *s = &ask->model->session;
    const bool aimed = !s->info.units || o->units.count > 0 || o->texts.count > 0;
    if (ask->form == FORM_HTML)
        return "all-fast";
    for (int i = 0; names[i]; i++) {
        vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
        vitx_method_info m;
        size_t bytes;
        e.method = names[i];
        if (method_find(&m, names[i]) == DONE && (aimed || !m.uses_target) &&
            vitx_explain_bytes(&bytes, s->context, &e, 1) == VITX_OK)
            return names[i];
    }
    return "attention";
}

/* What the command line would say of the files. */
static void set_output(const struct ask *ask, struct explain_settings *o)
{
    static const char *const names[] = {NULL, "map.png", "map.npy", "page.html"};
    o->out = names[ask->form];
    o->json = !o->out;
}

static bool complete_given(struct ask *ask)
{
    const struct explain_settings *o = ask->explain;
    return given_add(&ask->given, option_find(&cmd_explain, "out"), o->out) &&
           given_add(&ask->given, NULL, "picture");
}

/* As if the client had named it. */
static bool choose_method(struct ask *ask)
{
    struct explain_settings *o = ask->explain;
    const char *name = default_method(ask);
    o->by_default = true;
    return list_add(&o->methods, name, strlen(name)) &&
           given_add(&ask->given, option_find(&cmd_explain, "method"), name);
}

static bool give(struct ask *ask, const char *name, const char *value)
{
    return !value || given_add(&ask->given, option_find(&cmd_explain, name), value);
}

/* The page's first words: the model, and what reads its texts. */
static bool begin_given(struct ask *ask)
{
    const struct common *common = &ask->model->common;
    const struct words *words = &common->words;
    return give(ask, "model", common->model) && give(ask, "text-model", words->model) &&
           give(ask, "tokenizer", words->tokenizer) && give(ask, "clean-text", words->clean);
}

/* A plan on the served model's own context. */
static bool make_plan(struct ask *ask, struct problem *why)
{
    struct explain_settings *o = ask->explain;
    char *said;
    size_t length;
    say_hold(&said, &length);
    int status = explain_check(o, 1);
    if (status == DONE)
        status = explain_plan_silently(&ask->plan, o, &ask->model->session);
    say_release();
    if (status != DONE)
        refuse_as_said(why, status == WRONG_USAGE ? 400 : 422, "bad_option", said, ask->model);
    free(said);
    return status == DONE;
}

static bool check_counts(const struct ask *ask, struct problem *why)
{
    const struct explain_plan *plan = &ask->plan;
    const bool one = ask->form == FORM_PNG || ask->form == FORM_NPY;
    if (plan->opts_count > MOST_MAPS)
        return refuse(why, 422, "too_many_maps", NULL, "%d maps, a request may have %d",
                      plan->opts_count, MOST_MAPS);
    if (one && plan->opts_count > 1)
        return refuse(why, 406, "several_maps",
                      "name one method and one target, or ask for application/json or text/html",
                      "%s holds one map, and there are %d",
                      ask->form == FORM_PNG ? "image/png" : "application/x-npy", plan->opts_count);
    if (plan->shared)
        return refuse(why, 400, "bad_option", "LOW,HIGH gives all maps the same ends",
                      "scale: shared is for several pictures");
    return true;
}

static bool price(struct ask *ask, struct problem *why)
{
    int64_t forwards = 0;
    if (!count_forwards(&forwards, ask, why))
        return false;
    const struct explain_settings *o = ask->explain;
    const bool page = ask->form == FORM_HTML, texts = o->texts.count > 0;
    ask->cost = (double)forwards * (o->flip ? 2 : 1) + (ask->plan.ranks > 0);
    ask->cost += page + (page && texts);
    ask->cost = ask->cost > 1 ? ask->cost : 1;
    /* The words that a page marks take a forward and a backward pass of each text. */
    ask->of_texts = o->texts.count * (page ? 3 : 1) + (texts && o->versus);
    ask->of_texts += labels_cost(&ask->among);
    ask->cost += ask->of_texts;
    return true;
}

static bool ask_for_maps(struct ask *ask, struct problem *why)
{
    struct explain_settings *o = ask->explain;
    if (!ask_check_texts(ask, &o->texts, why) || !ask_take_among(ask, why))
        return false;
    set_output(ask, o);
    pthread_mutex_lock(&ask->model->asking);
    bool fine = ((o->methods.count > 0 || choose_method(ask)) && complete_given(ask)) ||
                refuse(why, 503, "no_memory", NULL, "no memory");
    fine = fine && make_plan(ask, why) && check_counts(ask, why) && price(ask, why);
    for (int j = 0; j < ask->plan.opts_count; j++)
        ask->plan.opts[j].answer = ask->top > 0;
    explain_plan_speak(&ask->plan);
    pthread_mutex_unlock(&ask->model->asking);
    return fine;
}

/* ------------------------------------------------------------------ canonical words -------- */

static void put_list(struct text *out, const struct list *list)
{
    for (int i = 0; i < list->count; i++) {
        text_put(out, i ? "," : "");
        text_json(out, list->items[i]);
    }
}

/* "name=value" as it stands in the settings, given or not. */
static void put_option(struct text *out, const struct option *o, const void *settings)
{
    const void *at = (const char *)settings + o->offset;
    text_format(out, "%s=", o->name);
    switch (o->kind) {
    case OPTION_FLAG:
        text_put(out, *(const bool *)at ? "1" : "0");
        break;
    case OPTION_TEXT:
        text_json(out, *(const char *const *)at);
        break;
    case OPTION_INT:
    case OPTION_CHOICE:
        text_format(out, "%d", *(const int *)at);
        break;
    case OPTION_REAL:
        text_format(out, "%.17g", *(const double *)at);
        break;
    case OPTION_BYTES:
        text_format(out, "%zu", *(const size_t *)at);
        break;
    case OPTION_SIZE:
        text_format(out, "%dx%d", ((const struct size *)at)->height,
                    ((const struct size *)at)->width);
        break;
    case OPTION_WINDOW:
        text_format(out, "%.17g,%.17g", ((const struct window *)at)->low,
                    ((const struct window *)at)->high);
        break;
    case OPTION_LIST:
    case OPTION_NAMES:
        put_list(out, at);
        break;
    }
    text_put(out, "\n");
}

/* All that is allowed and can change the answer's bytes, in the order of the list above. */
static bool write_canonical(struct ask *ask)
{
    struct text *out = &ask->canonical;
    text_format(out, "%s\n", verbs[ask->verb]);
    for (int i = 0; i < ALLOWED; i++) {
        const struct command *command;
        if (!(allowed[i].verbs & 1 << ask->verb) || !(allowed[i].forms & 1 << ask->form))
            continue;
        const void *settings = settings_of(ask, allowed[i].name, &command);
        const struct option *o = option_find(command, allowed[i].name);
        if (o)
            put_option(out, o, settings);
        else
            put_list(out, &ask->texts);
    }
    return !out->failed;
}

/* ------------------------------------------------------------------ in order --------------- */

static bool check_verb(const struct ask *ask, struct problem *why)
{
    const struct session *s = &ask->model->session;
    if (ask->verb == VERB_EMBED && !s->info.units)
        return refuse(why, 422, "no_embedding", "classify gives its classes",
                      "the model answers with classes, not with an embedding");
    if (ask->form == FORM_JSON || ask->verb == VERB_EXPLAIN ||
        (ask->verb == VERB_EMBED && ask->form == FORM_NPY))
        return true;
    return refuse(why, 406, "not_acceptable", NULL, "%s answers with application/json%s",
                  verbs[ask->verb], ask->verb == VERB_EMBED ? " or application/x-npy" : "");
}

/* Settings with the defaults of the command line. */
static bool begin_settings(struct ask *ask)
{
    struct common common = ask->model->common;
    common.given = &ask->given;
    common.quiet = true;
    common.verbose = false;
    common.language = NULL;
    common.labels = NULL;
    common.words.labels = common.words.templates = (struct list){0};
    ask->answers = settings_create(ask->verb == VERB_EMBED ? &cmd_embed : &cmd_classify);
    if (ask->answers)
        memcpy(ask->answers, &common, sizeof common);
    if (ask->verb != VERB_EXPLAIN)
        return ask->answers != NULL;
    ask->explain = settings_create(&cmd_explain);
    if (ask->explain)
        memcpy(ask->explain, &common, sizeof common);
    return ask->answers && ask->explain && begin_given(ask);
}

/* The values of classify's and embed's settings, which are their own. */
static void take_answers(struct ask *ask)
{
    const int classes = ask_classes(ask);
    const char *settings = ask->answers;
    if (ask->verb == VERB_EMBED) {
        ask->normalize = *(const bool *)(settings + option_find(&cmd_embed, "normalize")->offset);
        return;
    }
    const int top = *(const int *)(settings + option_find(&cmd_classify, "top")->offset);
    ask->top = top > 0 && top < classes ? top : classes;
    if (ask->verb == VERB_EXPLAIN && (ask->form != FORM_JSON || ask->model->session.info.units))
        ask->top = 0;
}

/* Those that have a bound of their own. */
static int count_texts(const struct field *fields, int count)
{
    int texts = 0;
    for (int i = 0; i < count; i++)
        texts += strcmp(fields[i].name, "label") == 0 || strcmp(fields[i].name, "among") == 0;
    return texts;
}

static bool fill(struct ask *ask, const struct field *fields, int count, struct problem *why)
{
    if (!check_verb(ask, why))
        return false;
    if (count - count_texts(fields, count) > MOST_FIELDS)
        return refuse(why, 400, "bad_option", NULL, "more than %d options", MOST_FIELDS);
    if (!begin_settings(ask))
        return refuse(why, 503, "no_memory", NULL, "no memory");
    for (int i = 0; i < count; i++)
        if (!store_field(ask, &fields[i], why))
            return false;
    ask->cost = 1;
    if (ask->verb == VERB_CLASSIFY && !ask_take_labels(ask, why))
        return false;
    if (ask->texts.count > 0)
        ask->cost = ask->of_texts = ask->texts.count;
    take_answers(ask);
    if (ask->verb == VERB_EMBED && !ask_check_texts(ask, &ask->texts, why))
        return false;
    if (ask->verb == VERB_EXPLAIN && !ask_for_maps(ask, why))
        return false;
    return write_canonical(ask) || refuse(why, 503, "no_memory", NULL, "no memory");
}

bool ask_create(struct ask **out, struct served *model, enum verb verb, enum form form,
                const struct field *fields, int count, struct problem *why)
{
    struct ask *ask = calloc(1, sizeof *ask);
    *out = NULL;
    if (!ask)
        return refuse(why, 503, "no_memory", NULL, "no memory");
    ask->model = model;
    ask->verb = verb;
    ask->form = form;
    if (!fill(ask, fields, count, why)) {
        ask_free(ask);
        return false;
    }
    *out = ask;
    return true;
}

void ask_free(struct ask *ask)
{
    if (!ask)
        return;
    explain_plan_free(&ask->plan);
    settings_free(ask->verb == VERB_EMBED ? &cmd_embed : &cmd_classify, ask->answers);
    settings_free(&cmd_explain, ask->explain);
    given_free(&ask->given);
    labels_wanted_free(&ask->labels);
    labels_wanted_free(&ask->among);
    list_free(&ask->texts);
    list_free(&ask->words);
    list_free(&ask->shown);
    text_free(&ask->canonical);
    free(ask);
}

double ask_cost(const struct ask *ask)
{
    return ask->cost;
}

bool ask_needs_picture(const struct ask *ask)
{
    return ask->texts.count == 0;
}
