/* cli/methods.c: see methods.h. */
#include "methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

const char *const score_names[] = {"auto",   "logit", "probability", "difference",
                                   "cosine", "dot",   NULL};

int method_find(vitx_method_info *out, const char *name)
{
    const char *names[65] = {NULL};
    char list[512] = "";
    vitx_method_info_init(out, sizeof *out);
    for (int i = 0; i < vitx_method_count() && vitx_method_get(out, i) == VITX_OK; i++) {
        if (strcmp(out->name, name) == 0)
            return DONE;
        if (i < 64)
            names[i] = out->name;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", out->name);
    }
    const char *near = nearest(name, names);
    if (near)
        return wrong_usage("no method \"%s\"; did you mean %s?", name, near);
    return wrong_usage("no method \"%s\"; there are %s", name, list);
}

/* That --method names some, and that there are such. */
static int check_methods(const struct list *asked)
{
    vitx_method_info m;
    if (asked->count == 0)
        return wrong_usage("needs --method NAME; vitx-cli methods lists them");
    for (int i = 0; i < asked->count; i++)
        if (method_find(&m, asked->items[i]) != DONE)
            return WRONG_USAGE;
    return DONE;
}

static bool is_set(const char *name)
{
    return strcmp(name, "all") == 0 || strcmp(name, "all-fast") == 0;
}

int choose_methods(struct list *out, const struct list *asked)
{
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    bool added = true;
    for (int i = 0; i < asked->count; i++) {
        const char *name = asked->items[i];
        if (!is_set(name))
            added &= list_add(out, name, strlen(name));
        for (int k = 0; is_set(name) && k < vitx_method_count(); k++)
            if (vitx_method_get(&m, k) == VITX_OK && !list_has(asked, m.name) &&
                !list_has(out, m.name))
                added &= list_add(out, m.name, strlen(m.name));
    }
    if (added)
        return check_methods(out);
    complain(NULL, "no memory");
    return SOME_FAILED;
}

const vitx_method_option *method_option(const vitx_method_info *method, const char *name)
{
    const size_t length = strcspn(name, "=");
    for (int i = 0; i < method->option_count; i++)
        if (strlen(method->options[i].key) == length &&
            strncmp(method->options[i].key, name, length) == 0)
            return &method->options[i];
    return NULL;
}

int check_range(const char *option, int value, int count, const char *what)
{
    if (value < count)
        return DONE;
    return wrong_usage("--%s is %d, the model has %d %s, 0 to %d", option, value, count, what,
                       count - 1);
}

int find_class(int *out, const struct session *session, const char *option, const char *text)
{
    if (vitx_model_find_label(out, session->model, text) == VITX_OK)
        return DONE;
    return wrong_usage("--%s %s: %s", option, text, reason());
}

void warn_of_nothing(const vitx_map_info *map, const char *picture, const char *so)
{
    const double low = (double)map->min, high = (double)map->max;
    if (!map->nothing)
        return;
    if (map->among > 0)
        complain("warning",
                 "%s: %s: nothing in the picture speaks for the text rather than for the %s told "
                 "from (--among), %s",
                 picture, map->method, map->among > 1 ? "others that it is" : "other that it is",
                 so);
    else if (map->score == VITX_SCORE_COSINE && map->forwards == 0 && map->value > 0)
        complain("warning",
                 "%s: %s: the cosine is at its maximum, 1, where gradients are 0: the map is "
                 "rounding, %s; rise and occlusion run variants and show more",
                 picture, map->method, so);
    else
        complain("warning",
                 "%s: %s: the map says nothing: what it is made of is 0, or does not change beyond "
                 "rounding (values from %.3g to %.3g, score %.3g); %s",
                 picture, map->method, low, high, map->value, so);
}

int check_set(const struct list *set)
{
    for (int i = 0; i < set->count; i++)
        if (!strchr(set->items[i], '='))
            return wrong_usage("--set is \"%s\", it takes KEY=VALUE", set->items[i]);
    return DONE;
}

/* KEY=VALUE of --set, if it is for that method: its own name before a dot is left out. NULL: it is
 * not. */
static const char *set_for(const vitx_method_info *m, const char *text)
{
    const size_t length = strlen(m->name);
    if (strncmp(text, m->name, length) == 0 && text[length] == '.')
        text += length + 1;
    return method_option(m, text) ? text : NULL;
}

int give_set(vitx_explain_opts *opts, int count, const struct list *set, const char ***kept)
{
    const size_t room = (size_t)set->count + 1;
    *kept = calloc((size_t)count * room + 1, sizeof **kept);
    if (!*kept) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < count; i++)
        opts[i].set = *kept + (size_t)i * room;
    for (int k = 0; k < set->count; k++) {
        bool taken = false;
        for (int i = 0; i < count; i++) {
            vitx_method_info m;
            if (method_find(&m, opts[i].method) != DONE)
                return WRONG_USAGE;
            const char *text = set_for(&m, set->items[k]);
            if (!text)
                continue;
            (*kept)[(size_t)i * room + (size_t)opts[i].set_count++] = text;
            taken = true;
        }
        if (!taken)
            return wrong_usage(
                "--set %s: the chosen methods have no such option; vitx-cli methods lists them",
                set->items[k]);
    }
    return DONE;
}

/* Whether the method of that name compares texts. */
static bool compares(const char *name)
{
    vitx_method_info m;
    return method_find(&m, name) == DONE && m.among;
}

/* "a", "a and b", "a, b and c" */
static void put_names(struct text *out, const struct list *names, const char *last)
{
    for (int i = 0; i < names->count; i++)
        text_format(out, "%s%s", names->items[i],
                    i + 2 < names->count    ? ", "
                    : i + 2 == names->count ? last
                                            : "");
}

static int refuse_among(const struct list *methods, bool by_default)
{
    vitx_method_info m = VITX_METHOD_INFO_INIT;
    struct list others = {0};
    struct text able = {0}, unable = {0};
    bool added = true;
    for (int i = 0; i < vitx_method_count(); i++)
        if (vitx_method_get(&m, i) == VITX_OK && m.among)
            added &= list_add(&others, m.name, strlen(m.name));
    put_names(&unable, methods, " and ");
    put_names(&able, &others, " or ");
    int status = SOME_FAILED;
    if (added && !unable.failed && !able.failed)
        status = wrong_usage("--among: %s%s compare%s no texts; take --method %s", unable.data,
                             by_default ? ", the default method," : "",
                             methods->count == 1 ? "s" : "", able.data);
    else
        complain(NULL, "no memory");
    list_free(&others);
    text_free(&unable);
    text_free(&able);
    return status;
}

int check_among(const struct list *asked, bool by_default)
{
    struct list methods = {0};
    int status = choose_methods(&methods, asked);
    bool used = false;
    for (int i = 0; i < methods.count; i++)
        used = used || compares(methods.items[i]);
    if (status == DONE && !used)
        status = refuse_among(&methods, by_default);
    list_free(&methods);
    return status;
}

void give_among(vitx_explain_opts *opts, int count, const vitx_label_set *among)
{
    for (int i = 0; i < count; i++)
        if (compares(opts[i].method))
            opts[i].among = among;
}

void promise_among(vitx_explain_opts *opts, int count)
{
    for (int i = 0; i < count; i++)
        opts[i].among_later = compares(opts[i].method);
}

/* ------------------------------------------------------------------ all, all-fast ---------- */

enum {
    FAST = 3,      /* forwards of "all-fast", all together */
    TOP = -1000,   /* targets below it are ranks */
    METHODS = 256, /* more than there are */
};

int target_of_rank(int rank)
{
    return TOP - rank;
}

int rank_of(int target)
{
    return target < TOP ? TOP - target : 0;
}

/* What a plan's options are to the library before there is a picture. */
static vitx_explain_opts before_pictures(const vitx_explain_opts *opts)
{
    vitx_explain_opts e = *opts;
    if (rank_of(e.target))
        e.target = VITX_AUTO;
    return e;
}

/* Whether the method cannot explain the model at all; says so. */
static bool is_unable(const struct session *session, const vitx_explain_opts *opts, bool quiet)
{
    const vitx_explain_opts e = before_pictures(opts);
    size_t bytes;
    const bool unable = vitx_explain_bytes(&bytes, session->context, &e, 1) == VITX_UNSUPPORTED;
    if (unable && !quiet)
        complain("warning", "left out: %s", reason());
    return unable;
}

/* A method alone, with the options that can change what it costs. */
struct candidate {
    vitx_explain_opts opts;
    int64_t cost; /* forwards; beyond FAST: it is none of the set */
};

static void price(struct candidate *c, const struct session *session, const vitx_explain_opts *opts,
                  bool quiet)
{
    vitx_explain_opts *e = &c->opts;
    vitx_explain_opts_init(e, sizeof *e);
    e->method = opts->method;
    e->set = opts->set;
    e->set_count = opts->set_count;
    const int code = vitx_explain_forwards(&c->cost, session->context, e, 1);
    if (code == VITX_OK)
        return;
    /* A wrong value of --set is said later, of all methods that are left. */
    c->cost = code == VITX_INVALID ? 0 : FAST + 1;
    if (code != VITX_INVALID && !quiet)
        complain("warning", "left out: %s", reason());
}

/* Takes the methods from the cheapest one on, as many as cost FAST forwards in one call. Those
 * that are left have cost FAST + 1. */
static void choose_fast(struct candidate *all, int count, const struct session *session)
{
    vitx_explain_opts together[METHODS];
    int taken = 0;
    for (int64_t cost = 1; cost <= FAST; cost++)
        for (int i = 0; i < count; i++) {
            int64_t forwards = 0;
            if (all[i].cost != cost)
                continue;
            together[taken] = all[i].opts;
            const int code =
                vitx_explain_forwards(&forwards, session->context, together, taken + 1);
            if (code == VITX_OK && forwards <= FAST)
                taken++;
            else
                all[i].cost = FAST + 1;
        }
}

/* Of opts, the methods of "all-fast" and those that are named. */
static void keep_fast(const struct session *session, const struct list *asked,
                      vitx_explain_opts *opts, int *count, bool quiet)
{
    struct candidate all[METHODS];
    int methods = 0, kept = 0;
    for (int i = 0; i < *count; i++)
        if (!list_has(asked, opts[i].method) && methods < METHODS &&
            (methods == 0 || strcmp(all[methods - 1].opts.method, opts[i].method) != 0))
            price(&all[methods++], session, &opts[i], quiet);
    choose_fast(all, methods, session);
    for (int i = 0; i < *count; i++) {
        bool keep = list_has(asked, opts[i].method);
        for (int k = 0; k < methods && !keep; k++)
            keep = strcmp(all[k].opts.method, opts[i].method) == 0 && all[k].cost <= FAST;
        if (keep)
            opts[kept++] = opts[i];
    }
    *count = kept;
}

int keep_methods(const struct session *session, const struct list *asked, vitx_explain_opts *opts,
                 int *count, bool quiet)
{
    const bool all = list_has(asked, "all");
    int kept = 0;
    if (!all && !list_has(asked, "all-fast"))
        return DONE;
    if (!all)
        keep_fast(session, asked, opts, count, quiet);
    for (int i = 0; i < *count; i++)
        if (!all || list_has(asked, opts[i].method) || !is_unable(session, &opts[i], quiet))
            opts[kept++] = opts[i];
    *count = kept;
    if (kept)
        return DONE;
    complain(NULL, "no method can explain this model");
    return SOME_FAILED;
}

int check_opts(const struct session *session, const vitx_explain_opts *opts, int count)
{
    for (int i = 0; i < count; i++) {
        size_t bytes;
        vitx_explain_opts e = before_pictures(&opts[i]);
        if (session->varies) /* the tokens are each picture's own */
            e.query = VITX_AUTO;
        if (vitx_explain_bytes(&bytes, session->context, &e, 1) == VITX_INVALID)
            return wrong_usage("%s", reason());
    }
    return DONE;
}

void report_reasons(char **reasons, const vitx_explain_opts *opts, int count, const char *picture)
{
    int alike = 0;
    for (int i = 0; i < count; i++)
        alike += reasons[0] && reasons[i] && strcmp(reasons[0], reasons[i]) == 0;
    const bool of_picture = alike == count && strcmp(opts[0].method, opts[count - 1].method) != 0;
    for (int i = 0; i < count; i++) {
        bool said = !reasons[i];
        for (int before = 0; before < i && !said; before++)
            said = reasons[before] && strcmp(reasons[before], reasons[i]) == 0 &&
                   (of_picture || strcmp(opts[before].method, opts[i].method) == 0);
        if (!said && of_picture)
            complain(picture, "%s", reasons[i]);
        else if (!said)
            complain_of(picture, opts[i].method, reasons[i]);
    }
    for (int i = 0; i < count; i++) {
        free(reasons[i]);
        reasons[i] = NULL;
    }
}
