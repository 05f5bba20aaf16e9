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
    struct making making;
    int status; /* exit status of the batch so far */
    bool loaded;
    struct map_writing *writing; /* [batch, opts_count] */
    struct piece_state *states;  /* [batch, opts_count] */
    int writings;
};

static void worsen(int *status, int by)
{
    *status = by > *status ? by : *status;
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
    for (int i = 0; i < w->batch.count * m; i++)
        any |= w->making.settled[i] = is_there(w->plan, w->batch.names[i / m], i % m);
    return any;
}

/* What write_maps and its like take, of the maps that there are. */
static void list_writings(struct work *w)
{
    const int m = w->plan->opts_count;
    w->writings = 0;
    for (int i = 0; i < w->batch.count * m; i++)
        if (w->making.kept[i])
            w->writing[w->writings++] = (struct map_writing){.map = w->making.kept[i],
                                                             .image = w->batch.images[i / m],
                                                             .picture = w->batch.names[i / m],
                                                             .written = NO_MORE};
}

/* A batch, whose maps lack a file. */
static void explain_batch(struct work *w, vitx_context *context)
{
    worsen(&w->status, making_run(&w->making, context, &w->batch, settle_existing(w)));
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
    w->making.cancelled = false;
    w->writings = 0;
    return true;
}

static bool run(void *payload, int piece, int at, vitx_context *context)
{
    const struct course *all = payload;
    struct work *w = &all->slots[at];
    (void)piece;
    if (!all->page && w->batch.count > 0)
        explain_batch(w, context);
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
            complete &= w->making.settled[i * m + j];
        const enum page_added added =
            complete && !all->stopped && !progress_interrupted()
                ? page_add(all->page, w->batch.names[i], w->batch.images[i], w->making.kept + i * m)
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
    making_clear(&w->making);
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
            explain_batch(w, all->plan->session->context);
    }
    tell(all, w);
    if (all->page)
        add_to_page(all, w);
    if (w->making.cancelled && progress_cancelled())
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
    const size_t all = (size_t)size * (size_t)plan->opts_count;
    w->plan = plan;
    if (!batch_create(&w->batch, size) || !making_create(&w->making, plan, size))
        return false;
    w->writing = calloc(all, sizeof *w->writing);
    w->states = calloc(all, sizeof *w->states);
    if (w->writing && w->states)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void work_free(struct work *w)
{
    batch_free(&w->batch);
    making_free(&w->making);
    free(w->writing);
    free(w->states);
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
