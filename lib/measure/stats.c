/* measure/stats.c: a collection of attention statistics: made, added to, freed; see stats.h. */
#include "measure/stats.h"

#include <string.h>

#include "engine/explained.h"
#include "engine/size.h"

static void place_totals(vx_totals *t, vx_arena *arena, const vitx_stats *s)
{
    const size_t depth = (size_t)s->arch.depth, heads = (size_t)s->arch.heads;
    t->pictures = vx_arena_take(arena, 1, sizeof *t->pictures);
    t->mean = vx_arena_take(arena, depth * heads, VX_STAT_COUNT * sizeof *t->mean);
    t->square = vx_arena_take(arena, depth * heads, VX_STAT_COUNT * sizeof *t->square);
    t->cosine = vx_arena_take(arena, depth * heads, heads * sizeof *t->cosine);
    t->median = vx_arena_take(arena, depth, sizeof *t->median);
    t->largest = vx_arena_take(arena, depth, sizeof *t->largest);
    t->count = vx_arena_take(arena, depth, sizeof *t->count);
    t->with = vx_arena_take(arena, depth, sizeof *t->with);
    t->places = vx_arena_take(arena, depth * vx_stats_patches(s), sizeof *t->places);
}

static void place_work(vitx_stats *s, vx_arena *arena)
{
    const vx_arch *a = &s->arch;
    const size_t heads = (size_t)a->heads, tokens = (size_t)s->common.tokens;
    const size_t batch = (size_t)s->batch, tallies = batch * (size_t)s->chunks;
    const size_t workers = (size_t)vx_pool_threads(s->context->pool);
    vx_tally tally; /* while measuring there is no list yet */
    vx_tally_room room;
    s->tallies = vx_arena_take(arena, tallies, sizeof *s->tallies);
    s->rooms = vx_arena_take(arena, workers, sizeof *s->rooms);
    for (size_t i = 0; i < tallies; i++)
        vx_tally_place(s->tallies ? &s->tallies[i] : &tally, arena, &s->common);
    for (size_t i = 0; i < workers; i++)
        vx_tally_room_place(s->rooms ? &s->rooms[i] : &room, arena, &s->common);
    s->values = vx_arena_take(arena, batch * heads, VX_STAT_COUNT * sizeof *s->values);
    s->cosines = vx_arena_take(arena, batch * heads, heads * sizeof *s->cosines);
    s->norms = vx_arena_take(arena, batch * tokens, sizeof *s->norms);
    s->sorted = vx_arena_take(arena, vx_stats_patches(s), sizeof *s->sorted);
    if (!s->context->dev->cls->host_memory) {
        s->attention = vx_arena_take(arena, batch, vx_recorded_bytes(s->plan.attention, a));
        s->output = vx_arena_take(arena, batch * tokens, (size_t)a->width * sizeof(float));
    }
}

static void place(vitx_stats *s, vx_arena *arena)
{
    const size_t cells = (size_t)s->arch.depth * (size_t)s->arch.heads;
    place_totals(&s->now, arena, s);
    s->totals_bytes = arena->size;
    place_totals(&s->next, arena, s);
    s->now_at = s->now.pictures; /* the first of each */
    s->next_at = s->next.pictures;
    s->spread = vx_arena_take(arena, cells, VX_STAT_COUNT * sizeof *s->spread);
    s->heads = vx_arena_take(arena, cells, sizeof *s->heads);
    s->warnings = vx_arena_take(arena, VX_STATS_WARNINGS, sizeof *s->warnings);
    place_work(s, arena);
}

/* As many pictures at a time as the budget holds the attention of, of one block. */
static int choose_batch(vitx_stats *s)
{
    const size_t budget = s->context->trace_budget,
                 each = vx_recorded_bytes(s->plan.attention, &s->arch);
    const size_t fit = budget / VX_ARENA_ALIGN * VX_ARENA_ALIGN / each;
    if (fit < 1)
        return vx_fail_field(
            VITX_NOMEM, "trace_budget",
            "recording the attention of one block of one picture takes %zu bytes, the "
            "budget is %zu: raise trace_budget",
            each, budget);
    s->batch = fit < (size_t)s->context->max_batch ? (int)fit : s->context->max_batch;
    s->chunks = (VX_STATS_TASKS + s->batch - 1) / s->batch;
    return VITX_OK;
}

static int watch(void *watcher, int layer, const float *x);

static int open_stats(vitx_stats *s)
{
    VX_TRY(vx_tally_common_create(&s->common, &s->arch, &s->hooks));
    VX_TRY(vx_plan_create(&s->plan, &s->arch, &s->hooks));
    vx_plan_need_attention(&s->plan, 0, s->arch.depth - 1, VX_KEEP_ALL, VX_FUSE_MEAN, 0);
    s->plan.all_tokens = true;
    s->plan.watch = watch;
    s->plan.watcher = s;
    VX_TRY(choose_batch(s));
    vx_arena arena = {0};
    place(s, &arena);
    if (arena.overflow || arena.size > (size_t)-1 - VX_ARENA_ALIGN)
        return vx_fail(VITX_NOMEM, "attention statistics take more bytes than can be counted");
    VX_TRY(vx_new(&s->memory, &s->hooks, arena.size + VX_ARENA_ALIGN, 1, "attention statistics"));
    const size_t past = (uintptr_t)s->memory % VX_ARENA_ALIGN;
    arena = (vx_arena){.base = (char *)s->memory + (VX_ARENA_ALIGN - past)};
    place(s, &arena);
    return VITX_OK;
}

static void close_stats(vitx_stats *s)
{
    vx_tally_common_dispose(&s->common, &s->hooks);
    vx_plan_dispose(&s->plan, &s->hooks);
    vx_release(&s->hooks, s->memory);
}

/* For the grid of the first picture, where each has its own (VITX_FIT_KEEP); all others have it,
 * too. */
static int follow_grid(vitx_stats *s, const vitx_image *first)
{
    vitx_context *c = s->context;
    VX_TRY(vx_size_take(c, first));
    const int h = c->arch.grid_height, w = c->arch.grid_width;
    if (s->arch.grid_height == h && s->arch.grid_width == w)
        return VITX_OK;
    if (*s->now.pictures > 0)
        return vx_fail(VITX_INVALID,
                       "statistics are of pictures of one size: this one makes %d rows of %d "
                       "patches, those before %d of %d; take another fit than keep",
                       h, w, s->arch.grid_height, s->arch.grid_width);
    vitx_stats other = {.hooks = s->hooks, .context = c, .arch = c->arch};
    const int status = open_stats(&other);
    close_stats(status == VITX_OK ? s : &other);
    if (status == VITX_OK) {
        *s = other;
        s->plan.watcher = s;
    }
    return status;
}

int vitx_stats_create(vitx_stats **out, vitx_context *context)
{
    if (out)
        *out = NULL;
    if (!out || !context)
        return vx_fail(VITX_INVALID, "vitx_stats_create: %s is NULL", out ? "context" : "out");
    vitx_stats *s;
    VX_TRY(vx_new(&s, &context->hooks, 1, sizeof *s, "attention statistics"));
    s->hooks = context->hooks;
    s->context = context;
    s->arch = context->arch;
    const int status = open_stats(s);
    if (status != VITX_OK) {
        vitx_stats_free(s);
        return status;
    }
    *out = s;
    return VITX_OK;
}

void vitx_stats_free(vitx_stats *stats)
{
    if (!stats)
        return;
    const vitx_hooks hooks = stats->hooks;
    close_stats(stats);
    vx_release(&hooks, stats);
}

/* ------------------------------------------------------------------ adding ----------------- */

void vx_stats_begin(vitx_stats *s)
{
    memcpy(s->next_at, s->now_at, s->totals_bytes);
}

void vx_stats_count(vitx_stats *s, int n)
{
    *s->next.pictures += n;
}

void vx_stats_end(vitx_stats *s)
{
    memcpy(s->now_at, s->next_at, s->totals_bytes);
    vx_stats_judge(s);
}

/* The engine's watch: what block `layer` left behind, brought to the host. */
static int watch(void *watcher, int layer, const float *x)
{
    vitx_stats *s = watcher;
    vitx_context *c = s->context;
    const size_t n = (size_t)s->running;
    const vx_recorded *r = &s->plan.attention[layer];
    const float *attention = r->data, *output = x;
    if (c->dev->cls->host_memory) {
        VX_TRY(vx_context_sync(c));
    } else {
        VX_TRY(vx_context_read(c, s->attention, r->data, n * vx_recorded_bytes(r, &s->arch)));
        VX_TRY(vx_context_read(
            c, s->output, x, n * (size_t)s->common.tokens * (size_t)s->arch.width * sizeof(float)));
        attention = s->attention;
        output = s->output;
    }
    VX_TRY(vx_stats_block(s, layer, attention, output, s->running));
    return s->also ? s->also(s->also_for, layer, attention) : VITX_OK;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int add_all(vitx_stats *s, const vitx_image *const *images, int n)
{
    if (vx_size_alike(s->context, images, n) < n)
        return vx_fail(VITX_INVALID,
                       "statistics are of pictures of one size; these %d make inputs "
                       "of several",
                       n);
    vx_context_begin(s->context, ((int64_t)(n - 1) / s->batch + 1) * s->arch.depth);
    vx_stats_begin(s);
    for (int at = 0; at < n; at += s->batch) {
        s->running = least(n - at, s->batch);
        VX_TRY(vx_context_run(s->context, images + at, s->running,
                              least(n - at - s->running, s->batch), &s->plan));
        vx_stats_count(s, s->running);
    }
    vx_stats_end(s);
    return VITX_OK;
}

static int prepare(vitx_stats *s, const vitx_image *first)
{
    return s->context->varies ? follow_grid(s, first) : VITX_OK;
}

int vitx_stats_add(vitx_stats *stats, const vitx_image *const *images, int n)
{
    vitx_stats *s = stats;
    if (!s || !images)
        return vx_fail(VITX_INVALID, "vitx_stats_add: %s is NULL", s ? "images" : "stats");
    if (n < 1)
        return vx_fail(VITX_INVALID, "%d pictures: at least one is needed", n);
    VX_TRY(vx_context_enter(s->context));
    int status = prepare(s, images[0]);
    if (status == VITX_OK)
        status = add_all(s, images, n);
    return vx_context_leave(s->context, status);
}

/* The picture that was explained last, from what that left behind. */
static int add_explained(vitx_stats *s)
{
    vx_context_begin(s->context, s->arch.depth);
    vx_stats_begin(s);
    s->running = 1;
    VX_TRY(vx_explained_run(s->context, &s->plan));
    vx_stats_count(s, 1);
    vx_stats_end(s);
    return VITX_OK;
}

int vx_stats_add_watched(vitx_stats *s, const vitx_image *image, vx_stats_also *also, void *payload)
{
    bool there;
    VX_TRY(prepare(s, image));
    VX_TRY(vx_explained_serves(&there, s->context, image));
    s->also = also;
    s->also_for = payload;
    s->plan.pool_wanted = s->arch.pool == VX_POOL_MAP;
    const int status = there ? add_explained(s) : add_all(s, &image, 1);
    s->also = NULL;
    return status;
}
