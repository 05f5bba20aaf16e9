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

/* The pictures of a command. */
struct course {
    const struct explain_plan *plan;
    struct work *slots;   /* [lanes.slots] */
    struct series series; /* of the pictures that lack a map */
    int left;             /* pictures that were not reached when nothing more could be written */
    int status;           /* exit status so far */
    bool stopped;         /* no map can be written any more */
    struct page *page;    /* where the maps go; NULL: into files of their own */
};

/* A batch under way. */
struct work {
    const struct explain_plan *plan;
    struct batch batch;
    vitx_context *context;
    int status; /* exit status of the batch so far                           */
    bool cancelled, loaded;
    vitx_prediction *top;        /* [batch, ranks]: the best classes of the pictures          */
    bool *settled;               /* [batch, opts_count]: the map was made, or reported        */
    vitx_map **maps;             /* [batch, opts_count]: of one call                          */
    vitx_map **kept;             /* [batch, opts_count]: of all, until they are written       */
    vitx_explain_opts *opts;     /* [opts_count]: of one call                                 */
    int *which;                  /* [opts_count]: where these are in the plan                 */
    struct map_writing *writing; /* [batch, opts_count] */
    struct piece_state *states;  /* [batch, opts_count] */
    int writings;
    char **reasons; /* [opts_count]: why a picture's maps failed, NULL: they did not */
};

static void worsen(int *status, int by)
{
    *status = by > *status ? by : *status;
}

/* The class that the plan's opts[j] asks for, of a picture of the batch. */
static int target_at(const struct work *w, int picture, int j)
{
    const int target = w->plan->opts[j].target, rank = rank_of(target);
    return rank ? w->top[picture * w->plan->ranks + rank - 1].index : target;
}

/* Keeps the maps of a call, n pictures from `first` by m of the opts, and settles them. */
static void keep_all(struct work *w, int first, int n, int m)
{
    for (int i = 0; i < n * m; i++) {
        const int at = (first + i / m) * w->plan->opts_count + w->which[i % m];
        if (!w->maps[i])
            continue;
        w->kept[at] = w->maps[i];
        w->maps[i] = NULL;
        w->settled[at] = true;
    }
}

/* One call of the library: n pictures from `first` by those of the plan's opts (ALL, or one) that
 * the first of them lacks. Keeps the maps that come out of it, of a failed call, too; where that
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
    const int code = (plan->settings->flip ? vitx_explain_flip : vitx_explain_many)(
        w->maps, w->context, (const vitx_image *const *)w->batch.images + first, n, w->opts, m);
    if (code != VITX_OK && code != VITX_CANCELLED && n * m == 1) {
        w->reasons[w->which[0]] = strdup(reason());
        w->settled[first * all + w->which[0]] = true;
        worsen(&w->status, SOME_FAILED);
    }
    keep_all(w, first, n, m);
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
    const vitx_image *const *images = (const vitx_image *const *)w->batch.images;
    int code = vitx_classify_batch(w->context, images, n, w->top, k);
    const bool together = code == VITX_OK;
    for (int i = 0; i < n && code != VITX_CANCELLED; i++) {
        if (!together)
            code = vitx_classify(w->context, images[i], w->top + i * k, k);
        if (code == VITX_OK) {
            settle_equal(w, i);
        } else if (code != VITX_CANCELLED) {
            complain_last(w->batch.names[i]);
            worsen(&w->status, SOME_FAILED);
            for (int j = 0; j < m; j++)
                w->settled[i * m + j] = true;
        }
    }
    return code == VITX_CANCELLED ? code : VITX_OK;
}

/* What write_maps and its like take, of the maps that there are. */
static void list_writings(struct work *w)
{
    const int m = w->plan->opts_count;
    w->writings = 0;
    for (int i = 0; i < w->batch.count * m; i++)
        if (w->kept[i])
            w->writing[w->writings++] = (struct map_writing){.map = w->kept[i],
                                                             .image = w->batch.images[i / m],
                                                             .picture = w->batch.names[i / m],
                                                             .written = NO_MORE};
}

/* A batch; if that fails what its pictures lack, picture by picture, and if one of these fails,
 * too, map by map, so that no failure costs what could have been done. */
static void explain_batch(struct work *w)
{
    const int n = w->batch.count, m = w->plan->opts_count;
    const bool some = settle_existing(w) || w->plan->ranks;
    int code = w->plan->ranks ? find_ranks(w) : VITX_OK;
    if (code == VITX_OK)
        code = some ? VITX_INVALID : attempt(w, 0, n, ALL);
    const int pictures = code == VITX_OK ? 0 : n;
    for (int i = 0; i < pictures && code != VITX_CANCELLED; i++) {
        if (n > 1 || some)
            code = attempt(w, i, 1, ALL);
        for (int j = 0; j < m && code != VITX_CANCELLED; j++)
            code = attempt(w, i, 1, j);
        report_reasons(w->reasons, w->plan->opts, m, w->batch.names[i]);
    }
    w->cancelled = code == VITX_CANCELLED;
    list_writings(w);
}

/* ------------------------------------------------------------------ stages ----------------- */

/* A page is made by the calling thread, as it takes what the gradients of its pictures kept; then
 * reading alone is done beside it. */
static bool beside(const struct course *all)
{
    return !all->page && !lanes_in_turn(&all->plan->lanes);
}

static bool load(void *payload, int piece, int at, int64_t *pixels)
{
    const struct course *all = payload;
    struct work *w = &all->slots[at];
    w->loaded = lanes_load(&all->plan->lanes, &w->batch, &all->series, piece,
                           &all->plan->settings->common, pixels);
    w->status = DONE;
    w->cancelled = false;
    w->writings = 0;
    return true;
}

static bool run(void *payload, int piece, int at, vitx_context *context)
{
    const struct course *all = payload;
    struct work *w = &all->slots[at];
    (void)piece;
    w->context = context;
    if (!all->page && w->batch.count > 0)
        explain_batch(w);
    return true;
}

static bool save(void *payload, int piece, int at)
{
    const struct course *all = payload;
    const struct work *w = &all->slots[at];
    (void)piece;
    return !beside(all) || save_maps(w->plan, w->writing, w->writings);
}

/* The pictures of the batch whose maps are all there, or reported, in their order. */
static void add_to_page(struct course *all, struct work *w)
{
    const int m = w->plan->opts_count;
    for (int i = 0; i < w->batch.count; i++) {
        bool complete = true;
        for (int j = 0; j < m; j++)
            complete &= w->settled[i * m + j];
        const enum page_added added =
            complete && !all->stopped && !progress_interrupted()
                ? page_add(all->page, w->batch.names[i], w->batch.images[i], w->kept + i * m)
                : PAGE_ADDED;
        if (added != PAGE_ADDED)
            worsen(&all->status, SOME_FAILED);
        all->stopped |= added == PAGE_STOPPED;
    }
}

/* Maps get their lines, and what goes to standard output. */
static void tell(struct course *all, struct work *w)
{
    if (beside(all)) /* what is written is named, though an earlier one was the last */
        name_maps(w->plan, w->writing, w->writings);
    else if (!all->stopped)
        write_maps(w->plan, w->writing, w->writings, w->states);
    else
        return;
    for (int i = 0; i < w->writings; i++) {
        all->stopped |= w->writing[i].written == NO_MORE;
        if (w->writing[i].written != WRITTEN)
            worsen(&all->status, SOME_FAILED);
    }
}

static void release(struct work *w)
{
    for (int i = 0; i < w->batch.count * w->plan->opts_count; i++) {
        vitx_map_free(w->kept[i]);
        w->kept[i] = NULL;
    }
    batch_clear(&w->batch);
}

static bool finish(void *payload, int piece, int at, bool begun)
{
    struct course *all = payload;
    struct work *w = &all->slots[at];
    int first;
    const int n = series_extent(&all->series, piece, &first), done = first + n;
    if (!begun) {
        if (progress_cancelled())
            worsen(&all->status, SOME_FAILED);
        return false;
    }
    if (all->page) {
        progress_step(first, n, all->series.files[first]);
        if (w->batch.count > 0)
            explain_batch(w);
    }
    tell(all, w);
    if (all->page)
        add_to_page(all, w);
    if (w->cancelled && progress_cancelled())
        worsen(&all->status, SOME_FAILED);
    worsen(&all->status, w->loaded ? w->status : SOME_FAILED);
    release(w);
    if (all->stopped && all->left == 0 && done < all->series.count)
        all->left = all->series.count - first;
    if (done < all->series.count)
        progress_step(done, 1, all->series.files[done]);
    return !all->stopped && output_works();
}

/* ------------------------------------------------------------------ in order --------------- */

static bool work_create(struct work *w, const struct explain_plan *plan, int size)
{
    const size_t m = (size_t)plan->opts_count, all = (size_t)size * m;
    w->plan = plan;
    if (!batch_create(&w->batch, size))
        return false;
    w->settled = calloc(all, sizeof *w->settled);
    w->maps = calloc(all, sizeof(vitx_map *));
    w->kept = calloc(all, sizeof(vitx_map *));
    w->top = calloc((size_t)size * (size_t)plan->ranks + 1, sizeof *w->top);
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

/* All batches. */
static void explain_all(struct course *all)
{
    const int slots = all->plan->lanes.slots;
    all->slots = calloc((size_t)slots, sizeof *all->slots);
    bool there = all->slots != NULL;
    for (int i = 0; i < slots && there; i++)
        there = work_create(&all->slots[i], all->plan, all->series.batch);
    struct pipeline stages = {.count = series_pieces(&all->series),
                              .payload = all,
                              .load = load,
                              .run = run,
                              .save = save,
                              .finish = finish};
    if (!there || lanes_run(&all->plan->lanes, &stages) != DONE)
        all->status = SOME_FAILED;
    for (int i = 0; i < slots && all->slots; i++)
        work_free(&all->slots[i]);
    free(all->slots);
    if (all->left > 0)
        complain(NULL, "stopped: the maps of %d of %d pictures could not be written", all->left,
                 all->series.count);
}

int explain_run(const struct explain_plan *plan, char **files, int count)
{
    const struct common *common = &plan->settings->common;
    struct course all = {.plan = plan, .page = plan->pages};
    all.series.files = calloc((size_t)count, sizeof *all.series.files);
    if (!all.series.files) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    all.series.count = find_lacking(all.series.files, plan, files, count);
    all.series.batch = common->batch < all.series.count ? common->batch : all.series.count;
    progress_begin(common, all.series.count, 1, "pictures");
    if (all.series.count > 0)
        explain_all(&all);
    progress_hide();
    if (all.page && page_end(all.page) != DONE)
        all.status = SOME_FAILED;
    free(all.series.files);
    return all.status;
}
