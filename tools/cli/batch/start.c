/* batch/start.c: the model and its contexts, and all that can be wrong with what is to be done. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "sink.h"
#include "tools/cli/labels.h"
#include "tools/cli/progress.h"

enum { MOST_LANES = 64, GPU_LANES = 2, SLOTS_A_THREAD = 3 };

static bool on_gpu(const struct run *run)
{
    return strncmp(run->session.size.device, "cuda", 4) == 0;
}

/* ------------------------------------------------------------------ --do ------------------- */

static int take_deed(struct run *run, const char *word)
{
    static const char *const names[] = {"classify", "explain", "embed", "stats"};
    bool *const deeds[] = {&run->classifies, &run->explains, &run->embeds, &run->measures};
    for (int i = 0; i < 4; i++)
        if (strcmp(word, names[i]) == 0) {
            *deeds[i] = true;
            return DONE;
        }
    return wrong_usage("--do is \"%s\", it takes classify, explain, embed and stats", word);
}

/* Without --do: what the model or labels that are texts answer with, and maps if there is
 * --method. */
static int choose_deeds(struct run *run)
{
    const struct run_settings *o = run->settings;
    const bool units = run->session.info.units;
    const bool labels = labels_asked(&run->session, &o->explain.common);
    for (int i = 0; i < o->deeds.count; i++)
        if (take_deed(run, o->deeds.items[i]) != DONE)
            return WRONG_USAGE;
    if (o->deeds.count == 0) {
        run->classifies = !units || labels;
        run->embeds = !run->classifies;
        run->explains = o->explain.methods.count > 0;
    }
    if (run->classifies && units && !labels)
        return wrong_usage("--do classify: the model has no classes; --label TEXT gives it some if "
                           "it has a text tower, and --do embed its embedding");
    if (labels && !run->classifies)
        return wrong_usage("--label, --labels and --template are for --do classify");
    if (check_label_cache(&o->explain.common, labels) != DONE)
        return WRONG_USAGE;
    if (run->embeds && !units)
        return wrong_usage("--do embed: the model answers with classes; --do classify");
    if (run->explains && o->explain.methods.count == 0)
        return wrong_usage("--do explain needs --method NAME");
    if (!run->explains && o->explain.methods.count > 0)
        return wrong_usage("--method is for --do explain");
    if (!run->explains && (o->explain.texts.count > 0 || o->explain.among.count > 0))
        return wrong_usage("--%s is for --do explain, which needs --method NAME",
                           o->explain.texts.count ? "text" : "among");
    return DONE;
}

/* ------------------------------------------------------------------ contexts --------------- */

/* On a CPU the numbers' last digits depend on a context's threads, so each has one, and runs one
 * picture. */
static struct common common_of(const struct run *run)
{
    struct common each = run->settings->explain.common;
    if (!on_gpu(run)) {
        each.threads = 1;
        each.batch = 1;
    }
    return each;
}

static int lanes_wanted(const struct run *run, int inputs)
{
    const struct common *c = &run->settings->explain.common;
    const size_t budget = c->budget ? c->budget : (size_t)1 << 30;
    const size_t each = run->session.size.activation_bytes + (run->explains ? budget : 0) + 1;
    const size_t room = machine_memory() / 2 / each;
    int most = on_gpu(run) ? GPU_LANES : run->session.size.threads;
    most = c->lanes ? c->lanes : most;
    most = inputs > 0 && inputs < most ? inputs : most;
    most = most < MOST_LANES ? most : MOST_LANES;
    if (!c->lanes && room < (size_t)most)
        most = room > 1 ? (int)room : 1;
    return most;
}

static int start_contexts(struct run *run, int inputs)
{
    const struct common each = common_of(run);
    struct lanes *l = &run->lanes;
    l->contexts = calloc(MOST_LANES, sizeof *l->contexts);
    if (!l->contexts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    const int status = session_start(&run->session, &each, VITX_FIT_RECIPE);
    if (status != DONE)
        return status;
    const vitx_context_opts opts = session_context_opts(&each, VITX_FIT_RECIPE);
    const int wanted = lanes_wanted(run, inputs);
    l->contexts[0] = run->session.context;
    for (l->count = 1; l->count < wanted; l->count++)
        if (vitx_context_create(&l->contexts[l->count], run->session.model, &opts) != VITX_OK)
            break;
    l->threads = l->count > 1 || on_gpu(run) ? l->count + on_gpu(run) : 1;
    l->slots = l->threads > 1 ? SLOTS_A_THREAD * l->threads : 1;
    run->batch = each.batch;
    if (run->measures &&
        vitx_context_create(&run->measuring, run->session.model, &opts) != VITX_OK) {
        complain_last(run->session.path);
        return SOME_FAILED;
    }
    return DONE;
}

/* ------------------------------------------------------------------ texts ------------------ */

/* The digest of what --text and --versus mean to the text tower. */
static int put_texts(struct run *run)
{
    const struct explain_settings *e = &run->settings->explain;
    const struct session *s = &run->session;
    const char **list = calloc((size_t)e->texts.count + 1, sizeof *list);
    if (!list) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < e->texts.count; i++)
        list[i] = e->texts.items[i];
    list[e->texts.count] = e->versus;
    const int code = vitx_texts_digest(run->texts, s->texts, list, e->texts.count + !!e->versus);
    free(list);
    return code == VITX_OK ? DONE : refused(code, s->path);
}

/* Texts that others are told from; there may be many. */
static int open_among(struct run *run, const struct common *each)
{
    const struct list *words = &run->settings->explain.among;
    if (words->count == 0)
        return DONE;
    progress_begin(each, 1, 1, NULL);
    progress_step(0, 1, "texts");
    const int status = among_open(&run->session, each, words, run->among);
    progress_hide();
    return status;
}

/* The digest of the weights, which the plan needs. A text tower that lies in the same files takes
 * it over if it is known by then, and does not read them for it once more. */
static int know_weights(const struct run *run)
{
    char digest[VITX_DIGEST_TEXT];
    const int code = vitx_model_digest(digest, run->session.model);
    return code == VITX_OK ? DONE : refused(code, run->session.path);
}

/* Classes that are texts, and texts that are explained. */
static int open_texts(struct run *run)
{
    const struct common each = common_of(run);
    const bool texts = run->settings->explain.texts.count && run->session.info.units;
    const bool labels = labels_asked(&run->session, &each);
    int status = labels || texts ? know_weights(run) : DONE;
    if (status == DONE && labels)
        status = labels_open_watched(&run->session, &each, run->labels);
    if (status == DONE && texts)
        status = texts_open(&run->session, &each);
    if (status == DONE && texts)
        warn_of_cuts(&run->session, &each, &run->settings->explain.texts,
                     run->settings->explain.versus);
    if (status == DONE && texts)
        status = put_texts(run);
    if (status == DONE && texts)
        status = open_among(run, &each);
    return status != DONE && progress_interrupted() ? STOPPED : status;
}

/* ------------------------------------------------------------------ --name ----------------- */

/* Two pictures never get one name: their keys differ, and stand between a beginning and an end that
 * hold no dot before the name of the map. */
static int check_name(struct run *run)
{
    const char *name = run->settings->name, *path = strstr(name, "{path}");
    const size_t size = strlen(name) + sizeof "maps/";
    if (name[0] == '/' || strstr(name, ".."))
        return wrong_usage("--name %s: names lie below --out", name);
    if (!path || (path[6] != '.' && path[6] != '/'))
        return wrong_usage("--name %s: needs {path} with . or / behind it, so that each picture "
                           "has names of its own",
                           name);
    run->pattern = malloc(size);
    if (!run->pattern) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    snprintf(run->pattern, size, "maps/%s", name);
    if (is_page(run->pattern, NULL))
        return wrong_usage("--name %s: a page holds several pictures; explain -o writes it", name);
    return check_pattern(run->pattern, NULL);
}

/* That each map of a picture has a name of its own: texts may have the same words in it. */
static int check_texts(const struct run *run)
{
    char one[TARGET_NAME], other[TARGET_NAME];
    const vitx_explain_opts *opts = run->maps.opts;
    for (int i = 1; i < run->maps.opts_count && opts[i].text; i++) {
        target_name(one, VITX_AUTO, VITX_EXPLAINED_TEXT, opts[i].text);
        for (int j = 0; j < i; j++) {
            if (strcmp(opts[i].method, opts[j].method) != 0)
                continue;
            target_name(other, VITX_AUTO, VITX_EXPLAINED_TEXT, opts[j].text);
            if (strcmp(one, other) == 0)
                return wrong_usage("the maps of --text \"%s\" and \"%s\" would have one name, "
                                   "%s.%s",
                                   opts[j].text, opts[i].text, opts[i].method, one);
        }
    }
    return DONE;
}

static int check_names(const struct run *run)
{
    const struct explain_plan *p = &run->maps;
    const bool method = strstr(run->pattern, "{method}") != NULL, target = has_target(run->pattern);
    if (p->methods.count > 1 && !method)
        return wrong_usage("--name %s: needs {method}, as there are several", run->settings->name);
    if (p->target_count > 1 && !target)
        return wrong_usage("--name %s: needs {target}, as there are several", run->settings->name);
    return DONE;
}

/* ------------------------------------------------------------------ in order --------------- */

/* explain's own checks, before a text is run. */
static int check_maps(const struct run *run)
{
    const struct explain_settings *e = &run->settings->explain;
    if (!run->explains)
        return DONE;
    if (e->scale && strcmp(e->scale, "shared") == 0)
        return wrong_usage("--scale shared needs all pictures before the first map; LOW,HIGH says "
                           "the ends of a scale");
    return explain_check(e, 1);
}

static int plan_maps(struct run *run)
{
    const struct explain_settings *e = &run->settings->explain;
    if (!run->explains)
        return DONE;
    int status = explain_plan_on(&run->maps, e, &run->session);
    for (int j = 0; j < run->maps.opts_count && status == DONE; j++)
        run->maps.opts[j].answer = run->settings->one_pass && (run->classifies || run->embeds);
    if (status == DONE)
        status = check_texts(run);
    return status == DONE && run->pattern ? check_names(run) : status;
}

int run_start(struct run *run, int inputs)
{
    const struct run_settings *o = run->settings;
    run->form = &forms[o->form];
    int status = session_open(&run->session, &o->explain.common);
    if (status != DONE)
        return status;
    run->opened = true;
    status = choose_deeds(run);
    if (status == DONE)
        status = check_maps(run);
    if (status == DONE)
        status = open_texts(run);
    const int classes = classes_of(&run->session);
    run->units = run->embeds || run->session.labels ? run->session.info.classes : 0;
    run->top = run->classifies ? o->top && o->top < classes ? o->top : classes : 0;
    if (status == DONE && run->explains && strcmp(run->form->name, "files") == 0)
        status = check_name(run);
    if (status == DONE)
        status = start_contexts(run, inputs);
    return status == DONE ? plan_maps(run) : status;
}

void run_end(struct run *run)
{
    if (run->explains) {
        run->maps.opened = (struct session){0}; /* it has none of its own */
        explain_plan_free(&run->maps);
    }
    vitx_context_free(run->measuring);
    lanes_free(&run->lanes);
    if (run->opened)
        session_close(&run->session);
    plan_free(&run->plan);
    free(run->pattern);
}
