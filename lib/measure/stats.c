/* measure/stats.c: collecting attention statistics; see stats.h. */
#include "measure/stats.h"

#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "engine/size.h"

static const struct {
    const char *name, *summary;
} names[VX_STAT_COUNT] = {
    {"entropy", "entropy of the rows, nats"},
    {"distance", "attention distance, pixels"},
    {"gini", "Gini coefficient of the rows"},
    {"top10", "share of the top 10 % of the keys"},
    {"prefix", "share of the prefix tokens"},
    {"sink", "share that the patches give the class token"},
    {"similarity", "mean cosine with the other heads of the block"},
    {"focus", "share of the 2 % of the patches that get most"},
};

const char *vitx_stat_name(int index)
{
    return index >= 0 && index < VX_STAT_COUNT ? names[index].name : NULL;
}

const char *vitx_stat_summary(int index)
{
    return index >= 0 && index < VX_STAT_COUNT ? names[index].summary : NULL;
}

void vitx_stats_info_init(vitx_stats_info *out, size_t struct_size)
{
    const vitx_stats_info full = VITX_STATS_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_head_info_init(vitx_head_info *out, size_t struct_size)
{
    const vitx_head_info full = VITX_HEAD_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_artifacts_init(vitx_artifacts *out, size_t struct_size)
{
    const vitx_artifacts full = VITX_ARTIFACTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* ------------------------------------------------------------------ making ----------------- */

static size_t patches_of(const vitx_stats *s)
{
    return (size_t)(s->gauge.tokens - s->gauge.prefix);
}

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
    t->places = vx_arena_take(arena, depth * patches_of(s), sizeof *t->places);
}

static void place_work(vitx_stats *s, vx_arena *arena)
{
    const vx_arch *a = &s->arch;
    const size_t heads = (size_t)a->heads, tokens = (size_t)s->gauge.tokens;
    const size_t batch = (size_t)s->batch, tallies = batch * (size_t)s->chunks;
    const size_t workers = (size_t)vx_pool_threads(s->context->pool);
    vx_tally tally; /* while measuring there is no list yet */
    vx_tally_room room;
    s->tallies = vx_arena_take(arena, tallies, sizeof *s->tallies);
    s->rooms = vx_arena_take(arena, workers, sizeof *s->rooms);
    for (size_t i = 0; i < tallies; i++)
        vx_tally_place(s->tallies ? &s->tallies[i] : &tally, arena, &s->gauge);
    for (size_t i = 0; i < workers; i++)
        vx_tally_room_place(s->rooms ? &s->rooms[i] : &room, arena, &s->gauge);
    s->values = vx_arena_take(arena, batch * heads, VX_STAT_COUNT * sizeof *s->values);
    s->cosines = vx_arena_take(arena, batch * heads, heads * sizeof *s->cosines);
    s->norms = vx_arena_take(arena, batch * tokens, sizeof *s->norms);
    s->sorted = vx_arena_take(arena, patches_of(s), sizeof *s->sorted);
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

static int look(void *watcher, int layer, const float *x);

static int open_stats(vitx_stats *s)
{
    VX_TRY(vx_gauge_create(&s->gauge, &s->arch, &s->hooks));
    VX_TRY(vx_plan_create(&s->plan, &s->arch, &s->hooks));
    vx_plan_need_attention(&s->plan, 0, s->arch.depth - 1, VX_KEEP_ALL, VX_FUSE_MEAN, 0);
    s->plan.all_tokens = true;
    s->plan.watch = look;
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
    vx_gauge_dispose(&s->gauge, &s->hooks);
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

/* ------------------------------------------------------------------ a block ---------------- */

typedef struct block {
    vitx_stats *s;
    int layer;
    const float *attention, *output;
} block;

static void take_norms(double *norms, const float *x, int first, int last, int width)
{
    for (int t = first; t < last; t++) {
        const float *token = x + (size_t)t * (size_t)width;
        double sum = 0;
        for (int d = 0; d < width; d++)
            sum += (double)token[d] * (double)token[d];
        norms[t] = sqrt(sum);
    }
}

/* One chunk of the rows of one picture. */
static void tally_chunk(void *arg, int i, int worker)
{
    const block *b = arg;
    vitx_stats *s = b->s;
    const size_t t = (size_t)s->gauge.tokens, picture = (size_t)(i / s->chunks);
    const size_t heads = (size_t)s->arch.heads, width = (size_t)s->arch.width;
    const int first = (int)((int64_t)s->gauge.tokens * (i % s->chunks) / s->chunks),
              last = (int)((int64_t)s->gauge.tokens * (i % s->chunks + 1) / s->chunks);
    vx_tally_clear(&s->tallies[i], &s->gauge);
    vx_tally_rows(&s->tallies[i], b->attention + picture * heads * t * t, first, last, &s->gauge,
                  &s->rooms[worker]);
    take_norms(s->norms + picture * t, b->output + picture * t * width, first, last, s->arch.width);
}

/* All chunks of one picture, in order. */
static void tally_picture(void *arg, int i, int worker)
{
    const block *b = arg;
    vitx_stats *s = b->s;
    const size_t heads = (size_t)s->arch.heads, picture = (size_t)i;
    vx_tally *tally = &s->tallies[picture * (size_t)s->chunks];
    (void)worker;
    for (int k = 1; k < s->chunks; k++)
        vx_tally_add(tally, tally + k, &s->gauge);
    vx_tally_values(s->values + picture * VX_STAT_COUNT * heads,
                    s->cosines + picture * heads * heads, tally, &s->gauge);
}

static int check_picture(const block *b, int i)
{
    const vitx_stats *s = b->s;
    const double *norms = s->norms + (size_t)i * (size_t)s->gauge.tokens;
    const int bad = s->tallies[(size_t)i * (size_t)s->chunks].bad_head;
    if (bad >= 0)
        return vx_fail(VITX_FORMAT,
                       "the attention of block %d, head %d is not finite: the model's weights "
                       "overflow in single precision",
                       b->layer, bad);
    for (int t = 0; t < s->gauge.tokens; t++)
        if (!isfinite(norms[t]))
            return vx_fail(VITX_FORMAT,
                           "the output of block %d is not finite: the model's weights overflow in "
                           "single precision",
                           b->layer);
    return VITX_OK;
}

/* The mean, and the sum of squared distances from it, with value number `n` (Welford 1962). */
static void fold(double *mean, double *square, double value, int64_t n)
{
    const double before = value - *mean;
    *mean += before / (double)n;
    *square += before * (value - *mean);
}

/* Picture `i` of the batch becomes number `n` of the collection. */
static void fold_heads(const block *b, int i, int64_t n)
{
    vitx_stats *s = b->s;
    const size_t heads = (size_t)s->arch.heads, layer = (size_t)b->layer;
    const double *values = s->values + (size_t)i * VX_STAT_COUNT * heads;
    const double *cosines = s->cosines + (size_t)i * heads * heads;
    for (size_t stat = 0; stat < VX_STAT_COUNT; stat++) {
        const size_t at = (stat * (size_t)s->arch.depth + layer) * heads;
        for (size_t h = 0; h < heads; h++)
            fold(&s->next.mean[at + h], &s->next.square[at + h], values[stat * heads + h], n);
    }
    double *mean = s->next.cosine + layer * heads * heads;
    for (size_t k = 0; k < heads * heads; k++)
        mean[k] += (cosines[k] - mean[k]) / (double)n;
}

static void fold_norms(const block *b, int i, int64_t n)
{
    vitx_stats *s = b->s;
    const size_t layer = (size_t)b->layer, patches = patches_of(s);
    const double *norms = s->norms + (size_t)i * (size_t)s->gauge.tokens + s->gauge.prefix;
    int64_t *places = s->next.places + layer * patches, found = 0;
    double largest = 0;
    memcpy(s->sorted, norms, patches * sizeof *norms);
    const double median = vx_median(s->sorted, (int)patches);
    for (size_t p = 0; p < patches; p++) {
        const bool artifact = median > 0 && norms[p] > VITX_STATS_ARTIFACT * median;
        places[p] += artifact;
        found += artifact;
        largest = fmax(largest, norms[p]);
    }
    s->next.count[layer] += found;
    s->next.with[layer] += found > 0;
    s->next.median[layer] += (median - s->next.median[layer]) / (double)n;
    if (median > 0)
        s->next.largest[layer] = fmax(s->next.largest[layer], largest / median);
}

int vx_stats_block(vitx_stats *s, int layer, const float *attention, const float *output, int n)
{
    block b = {s, layer, attention, output};
    vx_pool_run(s->context->pool, tally_chunk, &b, n * s->chunks);
    vx_pool_run(s->context->pool, tally_picture, &b, n);
    for (int i = 0; i < n; i++)
        VX_TRY(check_picture(&b, i));
    for (int i = 0; i < n; i++) {
        fold_heads(&b, i, *s->next.pictures + i + 1);
        fold_norms(&b, i, *s->next.pictures + i + 1);
    }
    return VITX_OK;
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
static int look(void *watcher, int layer, const float *x)
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
            c, s->output, x, n * (size_t)s->gauge.tokens * (size_t)s->arch.width * sizeof(float)));
        attention = s->attention;
        output = s->output;
    }
    VX_TRY(vx_stats_block(s, layer, attention, output, s->running));
    return s->also ? s->also(s->also_for, layer, attention) : VITX_OK;
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
        s->running = n - at < s->batch ? n - at : s->batch;
        VX_TRY(vx_context_run(s->context, images + at, s->running, &s->plan));
        vx_stats_count(s, s->running);
    }
    vx_stats_end(s);
    return VITX_OK;
}

static int prepare(vitx_stats *s, const vitx_image *first)
{
    return s->context->fit == VITX_FIT_KEEP ? follow_grid(s, first) : VITX_OK;
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

int vx_stats_add_and_look(vitx_stats *s, const vitx_image *image, vx_stats_also *also,
                          void *payload)
{
    VX_TRY(prepare(s, image));
    s->also = also;
    s->also_for = payload;
    s->plan.pool_wanted = s->arch.pool == VX_POOL_MAP;
    const int status = add_all(s, &image, 1);
    s->also = NULL;
    return status;
}

/* ------------------------------------------------------------------ results ---------------- */

int vitx_stats_get_info(vitx_stats_info *out, const vitx_stats *stats)
{
    const vitx_stats *s = stats;
    if (!out || !s)
        return vx_fail(VITX_INVALID, "vitx_stats_get_info: an argument is NULL");
    vitx_stats_info info = {.pictures = *s->now.pictures,
                            .layers = s->arch.depth,
                            .heads = s->arch.heads,
                            .tokens = s->gauge.tokens,
                            .prefix_tokens = s->arch.prefix,
                            .grid_height = s->arch.grid_height,
                            .grid_width = s->arch.grid_width,
                            .patch_height = s->arch.patch_height,
                            .patch_width = s->arch.patch_width,
                            .entropy_limit = log(s->gauge.tokens),
                            .distance_uniform = s->gauge.distance_uniform,
                            .warnings = s->warning_count};
    for (int l = 0; l < s->arch.depth; l++)
        info.artifacts += s->now.count[l];
    return VX_STRUCT_WRITE(out, &info, vitx_stats_info, warnings);
}

static const double *values_of(const double *values, const vitx_stats *s, vitx_stat stat)
{
    const size_t cells = (size_t)s->arch.depth * (size_t)s->arch.heads;
    const int index = (int)stat;
    return index >= 0 && index < VX_STAT_COUNT ? values + (size_t)index * cells : NULL;
}

const double *vitx_stats_mean(const vitx_stats *stats, vitx_stat stat)
{
    return stats ? values_of(stats->now.mean, stats, stat) : NULL;
}

const double *vitx_stats_spread(const vitx_stats *stats, vitx_stat stat)
{
    return stats ? values_of(stats->spread, stats, stat) : NULL;
}

const double *vitx_stats_similarity(const vitx_stats *stats, int layer)
{
    if (!stats || layer < 0 || layer >= stats->arch.depth)
        return NULL;
    const size_t heads = (size_t)stats->arch.heads;
    return stats->now.cosine + (size_t)layer * heads * heads;
}

static int check_layer(const vitx_stats *s, int layer)
{
    if (layer < 0 || layer >= s->arch.depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                       layer, s->arch.depth - 1);
    if (*s->now.pictures == 0)
        return vx_fail(VITX_INVALID, "no picture was added to the statistics yet");
    return VITX_OK;
}

int vitx_stats_head(vitx_head_info *out, const vitx_stats *stats, int layer, int head)
{
    if (!out || !stats)
        return vx_fail(VITX_INVALID, "vitx_stats_head: an argument is NULL");
    VX_TRY(check_layer(stats, layer));
    if (head < 0 || head >= stats->arch.heads)
        return vx_fail(VITX_INVALID, "head %d is out of range: the model has heads 0 to %d", head,
                       stats->arch.heads - 1);
    const vitx_head_info *info =
        &stats->heads[(size_t)layer * (size_t)stats->arch.heads + (size_t)head];
    return VX_STRUCT_WRITE(out, info, vitx_head_info, redundant_with);
}

int vitx_stats_artifacts(vitx_artifacts *out, const vitx_stats *stats, int layer)
{
    if (!out || !stats)
        return vx_fail(VITX_INVALID, "vitx_stats_artifacts: an argument is NULL");
    VX_TRY(check_layer(stats, layer));
    const vx_totals *t = &stats->now;
    const vitx_artifacts info = {.count = t->count[layer],
                                 .pictures = t->with[layer],
                                 .largest = t->largest[layer],
                                 .median = t->median[layer],
                                 .positions = t->places + (size_t)layer * patches_of(stats)};
    return VX_STRUCT_WRITE(out, &info, vitx_artifacts, positions);
}

const char *vitx_stats_warning(const vitx_stats *stats, int index)
{
    return stats && index >= 0 && index < stats->warning_count ? stats->warnings[index] : NULL;
}
