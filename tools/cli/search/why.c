/* search/why.c: maps of the pictures that were found, as explain makes them; see search.h. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "tools/cli/explain.h"
#include "tools/cli/parallel.h"
#include "tools/cli/progress.h"

extern const struct command cmd_explain;

static char *default_method[] = {"legrad"};

struct why {
    const struct search_settings *search;
    struct explain_settings settings;
    char *text; /* of settings.texts */
    struct given given;
    struct explain_plan plan;
    struct batch batch;
    struct making making;
    struct map_writing *writing; /* [opts_count] */
    struct piece_state *states;  /* [opts_count] */
    char **files;                /* of the page */
    int count;
};

static int no_memory(void)
{
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* What explain would have been told. */
static void settle(struct why *w, const struct search_settings *o)
{
    w->search = o;
    w->settings = (struct explain_settings){.common = o->common,
                                            .methods = o->methods,
                                            .set = o->set,
                                            .among = o->among,
                                            .out = o->why,
                                            .like = o->like,
                                            .vector = o->vector,
                                            .versus = w->text ? o->versus : NULL,
                                            .layer = VITX_AUTO,
                                            .head = VITX_AUTO,
                                            .alpha = VITX_AUTO,
                                            .smooth = VITX_AUTO};
    w->settings.common.quiet = o->common.quiet || o->json;
    if (w->text)
        w->settings.texts = (struct list){&w->text, 1};
    w->settings.by_default = o->methods.count == 0;
    if (w->settings.by_default)
        w->settings.methods = (struct list){default_method, 1};
}

/* Whether a picture's maps of two texts get one name. */
static bool same_name(const char *out, const char *one, const char *other)
{
    char *a = output_name(out, "x", "", VITX_AUTO, VITX_EXPLAINED_TEXT, one);
    char *b = output_name(out, "x", "", VITX_AUTO, VITX_EXPLAINED_TEXT, other);
    const bool same = a && b && strcmp(a, b) == 0;
    free(a);
    free(b);
    return same;
}

int why_check(const struct search_settings *o)
{
    static char some[] = "text";
    struct why w = {.text = o->texts.count ? some : NULL};
    if (!o->why)
        return o->methods.count || o->set.count || o->among.count
                   ? wrong_usage("--method, --set and --among are for --why OUT")
                   : DONE;
    if (strcmp(o->why, "-") == 0)
        return wrong_usage("--why writes files");
    settle(&w, o);
    const bool one_page = is_page(o->why, NULL) && !is_pattern(o->why);
    if (one_page && o->texts.count > 1)
        return wrong_usage("--why %s: a page is of one --text", o->why);
    if (!one_page && !is_pattern(o->why) && o->top != 1)
        return wrong_usage("--why %s: several maps need a pattern, as 'why/{image}.png'", o->why);
    if (o->texts.count > 1 && !has_target(o->why))
        return wrong_usage("--why %s: of several texts, {target} has to be in it", o->why);
    for (int i = 0; i < o->texts.count; i++)
        for (int j = 0; j < i; j++)
            if (same_name(o->why, o->texts.items[i], o->texts.items[j]))
                return wrong_usage("--why %s: the maps of \"%s\" and \"%s\" would get the same "
                                   "name; search for them one after the other",
                                   o->why, o->texts.items[j], o->texts.items[i]);
    return explain_check(&w.settings, 1);
}

/* ------------------------------------------------------------------ for a page ------------- */

/* The line of explain that makes the same page. */
static bool give_line(struct why *w, const struct given *given)
{
    bool good = true, method = false, text = false;
    for (int i = 0; i < given->count && good; i++) {
        const struct word *word = &given->words[i];
        const bool out = word->option && strcmp(word->option->name, "why") == 0;
        const char *name = word->option ? word->option->name : NULL;
        const struct option *o = name ? option_find(&cmd_explain, out ? "out" : name) : NULL;
        if (!o || strcmp(name, "json") == 0 || (text && strcmp(name, "text") == 0))
            continue;
        method |= strcmp(name, "method") == 0;
        text |= strcmp(name, "text") == 0;
        good = given_add(&w->given, o, strcmp(name, "text") == 0 ? w->text : word->value);
    }
    if (!method)
        good = good && given_add(&w->given, option_find(&cmd_explain, "method"), *default_method);
    for (int i = 0; i < w->count && good; i++)
        good = given_add(&w->given, NULL, w->files[i]);
    w->settings.common.given = &w->given;
    return good;
}

/* ------------------------------------------------------------------ in order --------------- */

/* No map replaces a picture that is searched, or a file of the model. */
static int know_sources(struct why *w, const struct pictures *pictures)
{
    struct explain_plan *plan = &w->plan;
    sources_gather(&plan->sources, &w->settings.common, pictures->names.items,
                   pictures->names.count);
    sources_add(&plan->sources, w->settings.like ? w->settings.like : w->settings.vector);
    if (!sources_ready(&plan->sources))
        return SOME_FAILED;
    if (plan->page)
        return check_collisions(w->settings.out, &plan->sources, w->files,
                                plan->pattern ? w->count : 1, NULL, 1);
    return check_collisions(w->settings.out, &plan->sources, w->files, w->count, plan->opts,
                            plan->opts_count);
}

static int start(struct why *w, struct session *session, const struct pictures *pictures)
{
    const struct common *common = &w->settings.common;
    int status = DONE;
    if (!session->context)
        status = session_start(session, common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = explain_plan_on(&w->plan, &w->settings, session);
    if (status == DONE)
        status = know_sources(w, pictures);
    if (status != DONE)
        return status;
    w->writing = calloc((size_t)w->plan.opts_count, sizeof *w->writing);
    w->states = calloc((size_t)w->plan.opts_count, sizeof *w->states);
    if (!w->writing || !w->states)
        return no_memory();
    if (!batch_create(&w->batch, 1) || !making_create(&w->making, &w->plan, 1))
        return SOME_FAILED;
    const bool page = w->plan.page;
    return !page || page_create(&w->plan.pages, &w->plan, w->files, w->count) ? DONE : SOME_FAILED;
}

int why_open(struct why **out, struct session *session, const struct search_settings *settings,
             const struct pictures *pictures, const char *text, char **files, int count)
{
    struct why *w = *out = calloc(1, sizeof *w);
    if (!w)
        return no_memory();
    w->files = files;
    w->count = count;
    w->text = text ? strdup(text) : NULL;
    if (text && !w->text)
        return no_memory();
    settle(w, settings);
    if (!give_line(w, settings->common.given))
        return no_memory();
    return start(w, session, pictures);
}

/* Their names as JSON texts, for what was written. */
static void put_names(const struct why *w, int count, struct text *names)
{
    const struct search_settings *o = w->search;
    for (int i = 0; i < count; i++) {
        const struct map_writing *m = &w->writing[i];
        if (m->written != WRITTEN)
            continue;
        char *name = output_name(o->why, m->picture, m->info.method, m->info.target,
                                 m->info.explains, m->info.text);
        text_put(names, names->length ? "," : "");
        text_json(names, name);
        free(name);
        if (!o->common.quiet)
            warn_of_nothing(&m->info, m->picture, "it is drawn as 0");
    }
}

static int write_files(struct why *w, const char *picture, bool lines, struct text *names)
{
    int count = 0, status = DONE;
    for (int j = 0; j < w->plan.opts_count; j++)
        if (w->making.kept[j])
            w->writing[count++] = (struct map_writing){.map = w->making.kept[j],
                                                       .image = w->batch.images[0],
                                                       .picture = picture,
                                                       .written = NO_MORE};
    write_maps(&w->plan, w->writing, count, w->states);
    for (int i = 0; i < count; i++)
        if (w->writing[i].written != WRITTEN)
            status = SOME_FAILED;
    if (!lines)
        put_names(w, count, names);
    return status;
}

int why_explain(struct why *w, const char *picture, bool lines, struct text *names)
{
    char *file = (char *)picture;
    if (!batch_load(&w->batch, &file, 1, &w->settings.common))
        return SOME_FAILED;
    int status = making_run(&w->making, w->plan.session->context, &w->batch, false);
    if (w->making.cancelled)
        progress_cancelled();
    else if (w->plan.page &&
             page_add(w->plan.pages, picture, w->batch.images[0], w->making.kept) != PAGE_ADDED)
        status = SOME_FAILED;
    else if (!w->plan.page && write_files(w, picture, lines, names) != DONE)
        status = SOME_FAILED;
    making_clear(&w->making);
    batch_clear(&w->batch);
    return status;
}

int why_end(struct why *w)
{
    return w->plan.pages ? page_end(w->plan.pages) : DONE;
}

void why_free(struct why *w)
{
    if (!w)
        return;
    making_free(&w->making);
    batch_free(&w->batch);
    free(w->writing);
    free(w->states);
    explain_plan_free(&w->plan);
    given_free(&w->given);
    free(w->text);
    free(w);
}
