/*
 * cli/explain_page.c: maps as a page to look at, vitx/report.h, in place of a file for each of
 * them.
 *
 * A name without a field is one page of all pictures, one with a field a page of each. A page holds
 * names, never the folders they lie in: neither in what it shows nor in the command that makes it
 * again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vitx/report.h>

#include "explain.h"
#include "progress.h"
#include "results.h"

enum {
    TOP = 5,                  /* classes that a page is asked for most */
    MAX_COMMANDS = 64 * 1024, /* bytes for the commands that would make their maps */
};

struct page {
    const struct explain_plan *plan;
    vitx_report *report; /* NULL: none is begun */
    int count;           /* pictures of a report */
    const char *first;   /* the picture that the report was begun for, if -o has a field */
    int complete;        /* those that are in it */
    int *absent;         /* [absent_count]: classes that it lacks a map of */
    int absent_count;
    size_t commands; /* bytes of theirs */
};

/* The name of a picture, for people. */
static const char *shown_name(const char *picture)
{
    return strcmp(picture, "-") == 0 ? "stdin" : picture;
}

static char *command_of(const struct page *page, const char *picture, int target)
{
    const struct common *common = &page->plan->settings->common;
    const struct change change = {page->plan->pattern ? picture : NULL, target};
    return given_line(common->given, "explain", &change);
}

/* ------------------------------------------------------------------ a report --------------- */

static bool begin(struct page *page, const char *picture)
{
    const struct explain_settings *o = page->plan->settings;
    const char *language = o->common.language;
    const vitx_hooks hooks = hooks_of(&o->common);
    vitx_report_opts opts = VITX_REPORT_OPTS_INIT;
    char *command = command_of(page, picture, -1);
    if (!command) {
        complain(NULL, "no memory");
        return false;
    }
    opts.title = o->title;
    opts.command = command;
    if (language && (strcmp(language, "en") == 0 || strcmp(language, "zh") == 0))
        opts.lang = language;
    opts.budget = (int64_t)(o->embed_budget * 1e6);
    opts.pictures = page->count;
    opts.level = (vitx_report_level)o->embed;
    opts.hooks = &hooks;
    const int status = vitx_report_create(&page->report, page->plan->session->model, &opts);
    free(command);
    if (status != VITX_OK)
        complain_last(NULL);
    page->first = page->plan->pattern ? picture : NULL;
    return status == VITX_OK;
}

static void drop(struct page *page)
{
    vitx_report_free(page->report);
    free(page->absent);
    page->report = NULL;
    page->first = NULL;
    page->absent = NULL;
    page->absent_count = page->complete = 0;
    page->commands = 0;
}

/* "out.html  12 pictures, 14.2 MB, attention: class rows and head means" */
static void print_line(const char *name, const vitx_report_info *info)
{
    static const char *const held[] = {"", "all heads", "class rows and head means", "class rows",
                                       "none"};
    const double kilobytes = (double)info->bytes / 1e3;
    printf("%s  %d picture%s, ", name, info->pictures, info->pictures == 1 ? "" : "s");
    if (kilobytes < 999.5)
        printf("%.0f kB", kilobytes);
    else
        printf("%.1f MB", kilobytes / 1e3);
    printf(", attention: %s\n", held[info->level]);
}

/* The page goes to where -o says; `picture` names it if -o has a field. */
static enum page_added save(struct page *page, const char *picture)
{
    const struct explain_plan *plan = page->plan;
    const struct explain_settings *o = plan->settings;
    vitx_report_info info = VITX_REPORT_INFO_INIT;
    progress_before_results();
    if (plan->to_output) {
        const int code = vitx_report_write(page->report, output_write, NULL);
        if (code != VITX_OK && output_works())
            complain_last("standard output");
        return code == VITX_OK ? PAGE_ADDED : PAGE_STOPPED;
    }
    char *name = name_of(o->out, picture, NULL);
    if (!name) {
        complain(picture, "no memory");
        return PAGE_FAILED;
    }
    enum page_added saved = PAGE_STOPPED;
    if (!plan->pattern || make_folders(name)) {
        const int code = vitx_report_save(page->report, name);
        /* Names and folders have been looked at before: the disk is full, or has gone. */
        saved = code == VITX_OK ? PAGE_ADDED : code == VITX_IO ? PAGE_STOPPED : PAGE_FAILED;
        if (code != VITX_OK)
            complain_last(name);
    }
    if (saved == PAGE_ADDED && !o->common.quiet && !o->json &&
        vitx_report_get_info(&info, page->report) == VITX_OK)
        print_line(name, &info);
    free(name);
    return saved;
}

/* ------------------------------------------------------------------ a picture -------------- */

static bool add_map(const struct page *page, const vitx_map *map)
{
    const struct explain_settings *o = page->plan->settings;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    if (vitx_map_get_info(&info, map) != VITX_OK)
        return false;
    const char *label = info.explains == VITX_EXPLAINED_TEXT      ? info.text
                        : info.explains == VITX_EXPLAINED_VECTOR  ? last_part(o->vector)
                        : info.explains == VITX_EXPLAINED_PICTURE ? last_part(o->like)
                                                                  : NULL;
    return vitx_report_add_map(page->report, map, label) == VITX_OK;
}

/* Whether a class changes the map. */
static bool follows_class(const vitx_map *map)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_method_info method = VITX_METHOD_INFO_INIT;
    return vitx_map_get_info(&info, map) == VITX_OK && method_find(&method, info.method) == DONE &&
           method.uses_target;
}

/* Whether a map of the picture is about that class; those that no class changes are about all. */
static bool has_map(const struct page *page, vitx_map *const *maps, int target)
{
    bool all = true;
    for (int j = 0; j < page->plan->opts_count; j++) {
        vitx_map_info info = VITX_MAP_INFO_INIT;
        if (!maps[j] || vitx_map_get_info(&info, maps[j]) != VITX_OK)
            continue;
        const bool follows = follows_class(maps[j]);
        all &= !follows;
        if (follows && info.target == target)
            return true;
    }
    return all;
}

static bool is_known(const struct page *page, int target)
{
    for (int i = 0; i < page->absent_count; i++)
        if (page->absent[i] == target)
            return true;
    return false;
}

/* Names a class without a map once a page, with the command as long as there is room for
 * commands. */
static bool add_absent(struct page *page, const char *picture, int target)
{
    int *absent = realloc(page->absent, ((size_t)page->absent_count + 1) * sizeof *absent);
    char *command = page->commands < MAX_COMMANDS ? command_of(page, picture, target) : NULL;
    bool added = absent != NULL;
    if (absent) {
        page->absent = absent;
        absent[page->absent_count++] = target;
        page->commands += command ? strlen(command) : 0;
        if (page->commands > MAX_COMMANDS) {
            free(command);
            command = NULL;
        }
        added = vitx_report_add_absent(page->report, target, NULL, command) == VITX_OK;
    }
    free(command);
    return added;
}

/* The best classes that the picture has no map of. */
static bool add_all_absent(struct page *page, const char *picture, vitx_map *const *maps)
{
    const struct explain_settings *o = page->plan->settings;
    vitx_prediction top[TOP];
    if (page->plan->session->info.units || o->vector || o->like || o->texts.count)
        return true;
    if (vitx_report_get_predictions(top, TOP, page->report) != VITX_OK)
        return false;
    bool added = true;
    for (int i = 0; i < TOP && added; i++)
        if (top[i].index >= 0 && !is_known(page, top[i].index) &&
            !has_map(page, maps, top[i].index))
            added = add_absent(page, picture, top[i].index);
    return added;
}

/* In the order asked for. Methods that nobody named one by one: first those whose maps say why this
 * class, since the page opens on the first map. */
static bool add_maps(const struct page *page, vitx_map *const *maps)
{
    const struct explain_plan *plan = page->plan;
    const struct list *asked = &plan->settings->methods;
    const bool by_word = list_has(asked, "all") || list_has(asked, "all-fast");
    bool added = true;
    for (int turn = by_word ? 0 : 1; turn < 2; turn++)
        for (int j = 0; j < plan->opts_count && added; j++)
            if (maps[j] && (!by_word || follows_class(maps[j]) == (turn == 0)))
                added = add_map(page, maps[j]);
    return added;
}

/* Which words of each text match the picture: a pass of the picture tower, two of the text tower
 * each. */
static bool add_words(const struct page *page, const vitx_image *image)
{
    const struct explain_plan *plan = page->plan;
    const struct list *texts = &plan->settings->texts;
    float *vector =
        texts->count ? calloc((size_t)plan->session->info.classes, sizeof *vector) : NULL;
    bool added = texts->count == 0;
    if (vector)
        added = vitx_embed(plan->session->context, image, vector, 0) == VITX_OK;
    for (int i = 0; vector && added && i < texts->count; i++) {
        vitx_words_opts opts = VITX_WORDS_OPTS_INIT;
        vitx_words *words;
        opts.text = texts->items[i];
        opts.vector = vector;
        added = vitx_explain_words(&words, plan->session->texts, NULL, NULL, &opts) == VITX_OK &&
                vitx_report_add_words(page->report, words) == VITX_OK;
        vitx_words_free(words);
    }
    free(vector);
    return added;
}

/* The picture, its maps, its attention. */
static bool fill(struct page *page, const char *picture, const vitx_image *image,
                 vitx_map *const *maps)
{
    const struct explain_plan *plan = page->plan;
    bool filled = vitx_report_add(page->report, image, shown_name(picture)) == VITX_OK;
    filled = filled && add_maps(page, maps);
    if (!filled) {
        complain_last(picture);
        return false;
    }
    /* A forward pass more, or a part of it, and the picture is whole. */
    progress_let_end(true);
    const int code = vitx_report_run(page->report, plan->session->context, image);
    progress_let_end(false);
    page->complete++;
    if (code == VITX_OK && add_words(page, image) && add_all_absent(page, picture, maps))
        return true;
    complain_last(picture);
    return false;
}

/* ------------------------------------------------------------------ in order --------------- */

bool page_create(struct page **out, const struct explain_plan *plan, char **files, int count)
{
    struct page *page = calloc(1, sizeof *page);
    if (!page) {
        complain(NULL, "no memory");
        return false;
    }
    page->plan = plan;
    page->count = plan->pattern ? 1 : count;
    *out = page;
    return begin(page, files[0]);
}

enum page_added page_add(struct page *page, const char *picture, const vitx_image *image,
                         vitx_map *const *maps)
{
    bool any = false;
    for (int j = 0; j < page->plan->opts_count; j++)
        any |= maps[j] != NULL;
    if (!any)
        return PAGE_ADDED; /* said where the maps failed */
    if (page->first && strcmp(page->first, picture) != 0)
        drop(page);
    if (!page->report && !begin(page, picture))
        return PAGE_STOPPED;
    enum page_added added = fill(page, picture, image, maps) ? PAGE_ADDED : PAGE_FAILED;
    if (!page->plan->pattern)
        return added;
    if (page->complete > 0) {
        const enum page_added saved = save(page, picture);
        added = saved > added ? saved : added;
    }
    drop(page);
    return added;
}

bool page_write(struct page *page, vitx_writer *write, void *payload)
{
    if (vitx_report_write(page->report, write, payload) == VITX_OK)
        return true;
    complain_last(NULL);
    return false;
}

int page_end(struct page *page)
{
    const bool wanted = page->report && page->complete > 0;
    const enum page_added saved = wanted ? save(page, "") : PAGE_ADDED;
    drop(page);
    return saved == PAGE_ADDED ? DONE : SOME_FAILED;
}

void page_free(struct page *page)
{
    if (page)
        drop(page);
    free(page);
}
