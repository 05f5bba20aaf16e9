/*
 * cli/explain_run.c: pictures x methods x targets, one vitx_explain_many a batch, each map into its
 * file.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explain.h"
#include "inputs.h"
#include "methods.h"
#include "parallel.h"
#include "progress.h"
#include "results.h"

enum { ALL = -1 };

/* A batch under way. */
struct work {
    const struct explain_plan *plan;
    struct batch batch;
    int done, status;            /* pictures before the batch; exit status so far             */
    bool stopped;                /* no map can be written any more                            */
    struct page *page;           /* where the maps go; NULL: into files of their own          */
    vitx_prediction *top;        /* [batch, ranks]: the best classes of the pictures          */
    bool *settled;               /* [batch, opts_count]: the map was made, or reported        */
    vitx_map **maps;             /* [batch, opts_count]: of one call                          */
    vitx_map **kept;             /* [batch, opts_count]: of a page, until the batch is done   */
    vitx_explain_opts *opts;     /* [opts_count]: of one call                                 */
    struct map_writing *writing; /* [batch, opts_count]: of one call */
    struct piece_state *states;  /* [batch, opts_count]: of one call */
    int *which;                  /* [opts_count]: where these are in the plan                 */
    char **reasons;              /* [opts_count]: why a picture's maps failed, NULL: they did not */
};

static void worsen(struct work *w, int status)
{
    w->status = status > w->status ? status : w->status;
}

/* The class that the plan's opts[j] asks for, of a picture of the batch. */
static int target_at(const struct work *w, int picture, int j)
{
    const int target = w->plan->opts[j].target, rank = rank_of(target);
    return rank ? w->top[picture * w->plan->ranks + rank - 1].index : target;
}

/* Writes the maps of a call, n pictures from `first` by m of the opts, and settles them. */
static void write_all(struct work *w, int first, int n, int m)
{
    int count = 0;
    for (int i = 0; i < n * m; i++) {
        const int picture = first + i / m;
        if (w->maps[i])
            w->writing[count++] = (struct map_writing){.map = w->maps[i],
                                                       .image = w->batch.images[picture],
                                                       .picture = w->batch.names[picture],
                                                       .written = NO_MORE};
    }
    if (!w->stopped)
        write_maps(w->plan, w->writing, count, w->states);
    for (int i = 0; i < count; i++) {
        w->stopped |= w->writing[i].written == NO_MORE;
        if (w->writing[i].written != WRITTEN)
            worsen(w, SOME_FAILED);
    }
    for (int i = 0; i < n * m; i++) {
        const int at = (first + i / m) * w->plan->opts_count + w->which[i % m];
        if (!w->maps[i])
            continue;
        w->settled[at] = true;
        if (w->page)
            w->kept[at] = w->maps[i];
        else
            vitx_map_free(w->maps[i]);
    }
}

/* One call of the library: n pictures from `first` by those of the plan's opts (ALL, or one) that
 * the first of them lacks. Writes the maps that come out of it, of a failed call, too; where that
 * was for a single map, keeps the reason for later. */
static int attempt(struct work *w, int first, int n, int only)
{
    const struct explain_plan *plan = w->plan;
    const int all = plan->opts_count;
    int m = 0;
    for (int j = 0; j < all; j++)
        if (!w->settled[first * all + j] && (only == ALL || only == j)) {
            w->opts[m] = plan->opts[j];
            w->opts[m].target = target_at(w, first, j);
            w->which[m++] = j;
        }
    if (m == 0)
        return VITX_OK;
    progress_step(w->done + first, n, w->batch.names[first]);
    const int code = (plan->settings->flip ? vitx_explain_flip : vitx_explain_many)(
        w->maps, plan->session.context, (const vitx_image *const *)w->batch.images + first, n,
        w->opts, m);
    if (code != VITX_OK && code != VITX_CANCELLED && n * m == 1) {
        w->reasons[w->which[0]] = strdup(reason());
        w->settled[first * all + w->which[0]] = true;
        worsen(w, SOME_FAILED);
    }
    write_all(w, first, n, m);
    return code;
}

/* Whether the file of a picture's map by the plan's opts[j] is there, for --skip-existing. */
static bool is_there(const struct explain_plan *plan, const char *picture, int j)
{
    const struct explain_settings *o = plan->settings;
    if (!o->skip_existing)
        return false;
    char *name = name_of(o->out, picture, plan->page ? NULL : &plan->opts[j]);
    const bool there = name && access(name, F_OK) == 0;
    free(name);
    return there;
}

/* The pictures that lack a map, in their order, into out[count]; how many those are. */
static int find_lacking(char **out, const struct explain_plan *plan, char **files, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        bool lacks = false;
        for (int j = 0; j < plan->opts_count && !lacks; j++)
            lacks = !is_there(plan, files[i], j);
        if (lacks)
            out[kept++] = files[i];
    }
    return kept;
}

/* Whether any map of the batch is there; those are settled. */
static bool settle_existing(struct work *w)
{
    const int m = w->plan->opts_count;
    bool any = false;
    memset(w->settled, 0, (size_t)w->batch.count * (size_t)m * sizeof *w->settled);
    for (int i = 0; i < w->batch.count * m; i++)
        any |= w->settled[i] = is_there(w->plan, w->batch.names[i / m], i % m);
    return any;
}

/* The pictures of the batch whose maps are all there, or reported, in their order. */
static void add_to_page(struct work *w)
{
    const int m = w->plan->opts_count;
    for (int i = 0; i < w->batch.count; i++) {
        bool all = true;
        for (int j = 0; j < m; j++)
            all &= w->settled[i * m + j];
        const enum page_added added =
            all && !w->stopped && !progress_interrupted()
                ? page_add(w->page, w->batch.names[i], w->batch.images[i], w->kept + i * m)
                : PAGE_ADDED;
        if (added != PAGE_ADDED)
            worsen(w, SOME_FAILED);
        w->stopped |= added == PAGE_STOPPED;
        for (int j = 0; j < m; j++) {
            vitx_map_free(w->kept[i * m + j]);
            w->kept[i * m + j] = NULL;
        }
    }
}

static bool same_method(const vitx_explain_opts *a, const vitx_explain_opts *b)
{
    return strcmp(a->method, b->method) == 0;
}

/* Where a rank's class has been named, too, one map is enough; where it is that of --versus,
 * there is none. */
static void settle_equal(struct work *w, int picture)
{
    const struct explain_plan *plan = w->plan;
    const int m = plan->opts_count;
    for (int j = 0; j < m; j++) {
        const int target = target_at(w, picture, j);
        bool equal = target < 0;
        if (!rank_of(plan->opts[j].target))
            continue;
        for (int k = 0; k < m && !equal; k++)
            equal = plan->opts[k].target == target && same_method(&plan->opts[k], &plan->opts[j]);
        if (!equal && plan->opts[j].versus == target) {
            equal = true;
            if (!plan->settings->common.quiet)
                complain("warning", "%s: %s: class %d is that of --versus: no map",
                         w->batch.names[picture], plan->opts[j].method, target);
        }
        w->settled[picture * m + j] |= equal;
    }
}

/* The best classes of the batch's pictures; of one that fails all maps are settled. */
static int find_ranks(struct work *w)
{
    const int n = w->batch.count, k = w->plan->ranks, m = w->plan->opts_count;
    vitx_context *context = w->plan->session.context;
    const vitx_image *const *images = (const vitx_image *const *)w->batch.images;
    int code = vitx_classify_batch(context, images, n, w->top, k);
    const bool together = code == VITX_OK;
    for (int i = 0; i < n && code != VITX_CANCELLED; i++) {
        if (!together)
            code = vitx_classify(context, images[i], w->top + i * k, k);
        if (code == VITX_OK) {
            settle_equal(w, i);
        } else if (code != VITX_CANCELLED) {
            complain_last(w->batch.names[i]);
            worsen(w, SOME_FAILED);
            for (int j = 0; j < m; j++)
                w->settled[i * m + j] = true;
        }
    }
    return code == VITX_CANCELLED ? code : VITX_OK;
}

/* A batch; if that fails what its pictures lack, picture by picture, and if one of these fails,
 * too, map by map, so that no failure costs what could have been done. */
static void explain_batch(struct work *w)
{
    const int n = w->batch.count, m = w->plan->opts_count;
    if (n == 0)
        return;
    const bool some = settle_existing(w) || w->plan->ranks;
    int code = w->plan->ranks ? find_ranks(w) : VITX_OK;
    if (code == VITX_OK)
        code = some ? VITX_INVALID : attempt(w, 0, n, ALL);
    const int pictures = code == VITX_OK ? 0 : n;
    for (int i = 0; i < pictures && code != VITX_CANCELLED && !w->stopped; i++) {
        if (n > 1 || some)
            code = attempt(w, i, 1, ALL);
        for (int j = 0; j < m && code != VITX_CANCELLED && !w->stopped; j++)
            code = attempt(w, i, 1, j);
        report_reasons(w->reasons, w->plan->opts, m, w->batch.names[i]);
    }
    if (w->page)
        add_to_page(w);
    if (code == VITX_CANCELLED && progress_cancelled())
        worsen(w, SOME_FAILED);
}

static bool work_create(struct work *w, int size)
{
    const size_t m = (size_t)w->plan->opts_count, all = (size_t)size * m;
    if (!batch_create(&w->batch, size))
        return false;
    w->settled = calloc(all, sizeof *w->settled);
    w->maps = calloc(all, sizeof(vitx_map *));
    w->kept = calloc(all, sizeof(vitx_map *));
    w->top = calloc((size_t)size * (size_t)w->plan->ranks + 1, sizeof *w->top);
    w->opts = calloc(m, sizeof *w->opts);
    w->which = calloc(m, sizeof *w->which);
    w->reasons = calloc(m, sizeof *w->reasons);
    w->writing = calloc(all, sizeof *w->writing);
    w->states = calloc(all, sizeof *w->states);
    if (w->writing && w->states && w->settled && w->maps && w->kept && w->top && w->opts &&
        w->which && w->reasons)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void work_free(struct work *w)
{
    batch_free(&w->batch);
    free(w->settled);
    free(w->maps);
    free(w->writing);
    free(w->states);
    free(w->kept);
    free(w->top);
    free(w->opts);
    free(w->which);
    free(w->reasons);
}

/* All batches; w->done counts the pictures. */
static void explain_all(struct work *w, char **files, int count)
{
    const struct common *common = &w->plan->settings->common;
    const int size = w->batch.capacity;
    for (; w->done < count && !w->stopped && output_works(); w->done += size) {
        const int n = count - w->done < size ? count - w->done : size;
        progress_step(w->done, n, files[w->done]);
        if (progress_cancelled()) {
            worsen(w, SOME_FAILED);
            return;
        }
        if (!batch_load(&w->batch, files + w->done, n, common))
            worsen(w, SOME_FAILED);
        explain_batch(w);
    }
    if (w->stopped && w->done < count)
        complain(NULL, "stopped: the maps of %d of %d pictures could not be written",
                 count - w->done + size, count);
}

int explain_run(const struct explain_plan *plan, char **files, int count)
{
    const struct common *common = &plan->settings->common;
    struct work w = {.plan = plan, .page = plan->pages};
    char **lacking = calloc((size_t)count, sizeof *lacking);
    if (!lacking) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    const int n = find_lacking(lacking, plan, files, count);
    progress_begin(common, n, 1, "pictures");
    if (n > 0 && !work_create(&w, common->batch < n ? common->batch : n))
        w.status = SOME_FAILED;
    else if (n > 0)
        explain_all(&w, lacking, n);
    progress_hide();
    if (w.page && page_end(w.page) != DONE)
        w.status = SOME_FAILED;
    work_free(&w);
    free(lacking);
    return w.status;
}
