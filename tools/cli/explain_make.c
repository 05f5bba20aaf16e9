/*
 * cli/explain_make.c: the maps of a batch by a plan, one vitx_explain_many a batch; see explain.h.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "explain.h"

enum { ALL = -1 };

/* The class that the plan's opts[j] asks for, of a picture of the batch. */
static int target_at(const struct making *g, int picture, int j)
{
    const int target = g->plan->opts[j].target, rank = rank_of(target);
    return rank ? g->top[picture * g->plan->ranks + rank - 1].index : target;
}

/* Keeps the maps of a call, n pictures from `first` by m of the opts, and settles them. */
static void keep_all(struct making *g, int first, int n, int m)
{
    for (int i = 0; i < n * m; i++) {
        const int at = (first + i / m) * g->plan->opts_count + g->which[i % m];
        if (!g->maps[i])
            continue;
        g->kept[at] = g->maps[i];
        g->maps[i] = NULL;
        g->settled[at] = true;
    }
}

/* The opts (ALL, or one of the plan's) whose maps a picture lacks, to `opts`; how many they are. */
static int gather(vitx_explain_opts *opts, struct making *g, int picture, int only)
{
    const int all = g->plan->opts_count;
    int m = 0;
    for (int j = 0; j < all; j++)
        if (!g->settled[picture * all + j] && (only == ALL || only == j)) {
            opts[m] = g->plan->opts[j];
            opts[m].target = target_at(g, picture, j);
            g->which[m++] = j;
        }
    return m;
}

/* One call of the library: n pictures from `first` by those of the plan's opts (ALL, or one) that
 * the first of them lacks. Keeps the maps that come out of it, of a failed call, too; where that
 * was for a single map, keeps the reason for later. */
static int attempt(struct making *g, int first, int n, int only)
{
    const struct explain_plan *plan = g->plan;
    const int all = plan->opts_count;
    const int m = gather(g->opts, g, first, only);
    if (m == 0)
        return VITX_OK;
    const int code = (plan->settings->flip ? vitx_explain_flip : vitx_explain_many)(
        g->maps, g->context, (const vitx_image *const *)g->batch->images + first, n, g->opts, m);
    if (code != VITX_OK && code != VITX_CANCELLED && n * m == 1) {
        g->lacks_memory |= code == VITX_NOMEM;
        g->reasons[g->which[0]] = strdup(reason());
        g->settled[first * all + g->which[0]] = true;
        g->status = SOME_FAILED;
    }
    keep_all(g, first, n, m);
    return code;
}

static bool same_method(const vitx_explain_opts *a, const vitx_explain_opts *b)
{
    return strcmp(a->method, b->method) == 0;
}

/* Where a rank's class has been named, too, one map is enough; where it is that of --versus,
 * there is none. */
static void settle_equal(struct making *g, int picture)
{
    const struct explain_plan *plan = g->plan;
    const int m = plan->opts_count;
    for (int j = 0; j < m; j++) {
        const int target = target_at(g, picture, j);
        bool equal = target < 0;
        if (!rank_of(plan->opts[j].target))
            continue;
        for (int i = 0; i < m && !equal; i++)
            equal = plan->opts[i].target == target && same_method(&plan->opts[i], &plan->opts[j]);
        if (!equal && plan->opts[j].versus == target) {
            equal = true;
            if (!plan->settings->common.quiet)
                complain("warning", "%s: %s: class %d is that of --versus: no map",
                         g->batch->names[picture], plan->opts[j].method, target);
        }
        g->settled[picture * m + j] |= equal;
    }
}

/* The best classes of the batch's pictures; of one that fails all maps are settled. */
static int find_ranks(struct making *g)
{
    const int n = g->batch->count, ranks = g->plan->ranks, m = g->plan->opts_count;
    const vitx_image *const *images = (const vitx_image *const *)g->batch->images;
    int code = vitx_classify_batch(g->context, images, n, g->top, ranks);
    const bool together = code == VITX_OK;
    for (int i = 0; i < n && code != VITX_CANCELLED; i++) {
        if (!together)
            code = vitx_classify(g->context, images[i], g->top + i * ranks, ranks);
        if (code == VITX_OK) {
            settle_equal(g, i);
        } else if (code != VITX_CANCELLED) {
            complain_last(g->batch->names[i]);
            g->status = SOME_FAILED;
            for (int j = 0; j < m; j++)
                g->settled[i * m + j] = true;
        }
    }
    return code == VITX_CANCELLED ? code : VITX_OK;
}

int making_run(struct making *g, vitx_context *context, const struct batch *batch, bool some)
{
    const int n = batch->count, m = g->plan->opts_count;
    g->context = context;
    g->batch = batch;
    g->status = DONE;
    g->lacks_memory = false;
    some |= g->plan->ranks > 0;
    int code = g->plan->ranks ? find_ranks(g) : VITX_OK;
    if (code == VITX_OK)
        code = some ? VITX_INVALID : attempt(g, 0, n, ALL);
    const int pictures = code == VITX_OK ? 0 : n;
    for (int i = 0; i < pictures && code != VITX_CANCELLED; i++) {
        if (n > 1 || some)
            code = attempt(g, i, 1, ALL);
        for (int j = 0; j < m && code != VITX_CANCELLED; j++)
            code = attempt(g, i, 1, j);
        report_reasons(g->reasons, g->plan->opts, m, batch->names[i]);
    }
    g->cancelled = code == VITX_CANCELLED;
    return g->status;
}

/* The picture, with its best classes. */
static void aim(struct making *g, vitx_context *context, const struct batch *batch,
                const vitx_prediction *best)
{
    const int ranks = g->plan->ranks;
    g->context = context;
    g->batch = batch;
    g->status = DONE;
    if (ranks == 0)
        return;
    memcpy(g->top, best, (size_t)ranks * sizeof *best);
    settle_equal(g, 0);
}

/* The maps of a call for all makings, in turn; those that are there are kept. */
static void share_out(struct making *makings, int count, vitx_map **maps)
{
    for (int i = 0; i < count; i++) {
        struct making *g = &makings[i];
        const int m = gather(g->opts, g, 0, ALL);
        memcpy(g->maps, maps, (size_t)m * sizeof(vitx_map *));
        keep_all(g, 0, 1, m);
        maps += m;
    }
}

static void run_all(struct making *makings, int count, vitx_explain_opts *opts, vitx_map **maps,
                    double *forwards)
{
    const struct making *first = &makings[0];
    const bool flip = first->plan->settings->flip;
    int64_t each = 0;
    int m = 0;
    for (int i = 0; i < count; i++)
        m += gather(opts + m, &makings[i], 0, ALL);
    if (m == 0 || vitx_explain_forwards(&each, first->context, opts, m) != VITX_OK)
        return;
    const int code = (flip ? vitx_explain_flip : vitx_explain_many)(
        maps, first->context, (const vitx_image *const *)first->batch->images, 1, opts, m);
    *forwards = code == VITX_OK ? (double)each * (flip ? 2 : 1) : 0;
    share_out(makings, count, maps);
}

void makings_run(struct making *makings, int count, vitx_context *context,
                 const struct batch *batch, const vitx_prediction *best, double *forwards)
{
    size_t most = 0;
    *forwards = 0;
    for (int i = 0; i < count; i++) {
        aim(&makings[i], context, batch, best);
        most += (size_t)makings[i].plan->opts_count;
    }
    vitx_explain_opts *opts = calloc(most, sizeof *opts);
    vitx_map **maps = calloc(most, sizeof(vitx_map *));
    if (opts && maps)
        run_all(makings, count, opts, maps, forwards);
    free(opts);
    free(maps);
}

void making_clear(struct making *g)
{
    for (int i = 0; i < g->size * g->plan->opts_count; i++) {
        vitx_map_free(g->kept[i]);
        g->kept[i] = NULL;
    }
    memset(g->settled, 0, (size_t)g->size * (size_t)g->plan->opts_count * sizeof *g->settled);
}

bool making_create(struct making *g, const struct explain_plan *plan, int size)
{
    const size_t m = (size_t)plan->opts_count, all = (size_t)size * m;
    *g = (struct making){.plan = plan, .size = size};
    g->settled = calloc(all, sizeof *g->settled);
    g->maps = calloc(all, sizeof(vitx_map *));
    g->kept = calloc(all, sizeof(vitx_map *));
    g->top = calloc((size_t)size * (size_t)plan->ranks + 1, sizeof *g->top);
    g->opts = calloc(m, sizeof *g->opts);
    g->which = calloc(m, sizeof *g->which);
    g->reasons = calloc(m, sizeof *g->reasons);
    if (g->settled && g->maps && g->kept && g->top && g->opts && g->which && g->reasons)
        return true;
    complain(NULL, "no memory");
    return false;
}

void making_free(struct making *g)
{
    if (g->kept && g->settled)
        making_clear(g);
    free(g->settled);
    free(g->maps);
    free(g->kept);
    free(g->top);
    free(g->opts);
    free(g->which);
    free(g->reasons);
    *g = (struct making){0};
}
