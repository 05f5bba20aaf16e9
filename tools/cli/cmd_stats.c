/* cli/cmd_stats.c: what a model's attention does, over pictures: a table, JSON, a heat map. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "lanes.h"
#include "outputs.h"
#include "progress.h"
#include "results.h"
#include "session.h"

struct settings {
    struct common common;
    const char *stat, *out, *colormap;
    int format; /* BY_ENDING, or a place in formats */
    bool json;
};

enum { BY_ENDING = -1 };
static const char *const formats[] = {"png", "json", NULL};
static const struct settings defaults = {.common = COMMON_DEFAULTS, .format = BY_ENDING};

#define AT(member) .offset = offsetof(struct settings, member)
static const struct option options[] = {
    {.name = "stat",
     .kind = OPTION_TEXT,
     AT(stat),
     .value = "NAME",
     .help = "one statistic, layers x heads, with its spread",
     .more = "entropy, distance, gini, top10, prefix, sink, similarity or focus. It is also what a "
             "png shows (default\n"
             "entropy)."},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .help = "everything as one JSON object instead of the table"},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     AT(out),
     .value = "OUT",
     .help = "file to write as well: .png, a heat map, or .json",
     .more = "- is standard output, in place of the table; --format says what is written."},
    {.name = "format",
     .kind = OPTION_CHOICE,
     AT(format),
     .value = "png|json",
     .choices = formats,
     .help = "what to write (default: what the ending of OUT says)"},
    {.name = "colormap",
     .kind = OPTION_TEXT,
     AT(colormap),
     .value = "NAME",
     .help = "colours of a png (default viridis); vitx-cli info lists them"},
};

/* ------------------------------------------------------------------ checks ----------------- */

static bool to_output(const struct settings *o)
{
    return o->out && strcmp(o->out, "-") == 0;
}

static int check_out(const struct settings *o, char **files, int count)
{
    const char *out = o->out, *dot = strrchr(out, '.');
    if (to_output(o) && o->format == BY_ENDING)
        return wrong_usage("-o - needs --format, as there is no ending that tells it");
    if (to_output(o) && o->json)
        return wrong_usage("--json and -o -: one of them");
    if (to_output(o))
        return DONE;
    if (o->format == BY_ENDING && (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".json") != 0)))
        return wrong_usage("-o %s: the name must end in .png or .json", out);
    struct sources sources = {0};
    sources_gather(&sources, &o->common, files, count);
    const int status = sources_ready(&sources)
                           ? check_output(out, &sources, "the statistics", false)
                           : SOME_FAILED;
    sources_free(&sources);
    return status;
}

static int check_settings(const struct settings *o, char **files, int count)
{
    int index, status = DONE;
    if (count == 0)
        return wrong_usage("needs at least one picture");
    if (o->stat)
        status = find_name(&index, o->stat, vitx_stat_name, "statistic");
    if (status == DONE && o->colormap)
        status = find_name(&index, o->colormap, vitx_colormap_name, "colour map");
    if (status == DONE && o->out)
        status = check_out(o, files, count);
    return status;
}

static vitx_stat chosen(const struct settings *o)
{
    int index = VITX_STAT_ENTROPY;
    for (int i = 0; o->stat && vitx_stat_name(i); i++)
        if (strcmp(vitx_stat_name(i), o->stat) == 0)
            index = i;
    return (vitx_stat)index;
}

/* ------------------------------------------------------------------ the table -------------- */

static int decimals(vitx_stat stat)
{
    return stat == VITX_STAT_DISTANCE ? 1 : 3;
}

static void print_matrix(const double *values, const vitx_stats_info *info, vitx_stat stat,
                         const char *what)
{
    char head[32];
    printf("%-10s", what);
    for (int h = 0; h < info->heads; h++) {
        snprintf(head, sizeof head, "head %d", h);
        printf("  %8s", head);
    }
    printf("\n");
    for (int l = 0; l < info->layers; l++) {
        printf("layer %-4d", l);
        for (int h = 0; h < info->heads; h++)
            printf("  %8.*f", decimals(stat), values[l * info->heads + h]);
        printf("\n");
    }
}

static void print_one(const vitx_stats *stats, const vitx_stats_info *info, vitx_stat stat)
{
    printf("%s\n", vitx_stat_summary((int)stat));
    print_matrix(vitx_stats_mean(stats, stat), info, stat, "mean");
    if (info->pictures > 1)
        print_matrix(vitx_stats_spread(stats, stat), info, stat, "spread");
}

static bool print_head(const vitx_stats *stats, const vitx_stats_info *info, int layer, int head)
{
    vitx_head_info h;
    const int cell = layer * info->heads + head;
    vitx_head_info_init(&h, sizeof h);
    if (vitx_stats_head(&h, stats, layer, head) != VITX_OK) {
        complain_last(NULL);
        return false;
    }
    printf("%5d  %4d", layer, head);
    for (int i = 0; vitx_stat_name(i); i++)
        printf("  %*.*f", (int)strlen(vitx_stat_name(i)) > 6 ? (int)strlen(vitx_stat_name(i)) : 6,
               decimals((vitx_stat)i), vitx_stats_mean(stats, (vitx_stat)i)[cell]);
    printf("  %s", vitx_pattern_name(h.pattern));
    if (h.redundant_with >= 0)
        printf(", as head %d", h.redundant_with);
    printf("\n");
    return true;
}

static bool print_all(const vitx_stats *stats, const vitx_stats_info *info)
{
    printf("layer  head");
    for (int i = 0; vitx_stat_name(i); i++)
        printf("  %6s", vitx_stat_name(i));
    printf("  pattern\n");
    for (int l = 0; l < info->layers; l++)
        for (int h = 0; h < info->heads; h++)
            if (!print_head(stats, info, l, h))
                return false;
    return true;
}

/* The place where most pictures of the block have an artifact. */
static bool print_artifacts(const vitx_stats *stats, const vitx_stats_info *info)
{
    for (int l = 0; info->artifacts && l < info->layers; l++) {
        vitx_artifacts a;
        int most = 0;
        vitx_artifacts_init(&a, sizeof a);
        if (vitx_stats_artifacts(&a, stats, l) != VITX_OK) {
            complain_last(NULL);
            return false;
        }
        for (int i = 1; i < info->grid_height * info->grid_width; i++)
            most = a.positions[i] > a.positions[most] ? i : most;
        if (a.count)
            printf("artifacts behind layer %d: %" PRId64 " in %" PRId64 " pictures, up to %.1f "
                   "times the median norm; most often at row %d, column %d (%" PRId64 ")\n",
                   l, a.count, a.pictures, a.largest, most / info->grid_width,
                   most % info->grid_width, a.positions[most]);
    }
    return true;
}

static bool print_table(const vitx_stats *stats, const struct settings *o)
{
    vitx_stats_info info;
    vitx_stats_info_init(&info, sizeof info);
    if (vitx_stats_get_info(&info, stats) != VITX_OK) {
        complain_last(NULL);
        return false;
    }
    printf("%" PRId64 " picture%s, %d layers x %d heads, %d tokens, %d of them before the "
           "patches\n",
           info.pictures, info.pictures == 1 ? "" : "s", info.layers, info.heads, info.tokens,
           info.prefix_tokens);
    printf("attention alike to all has entropy %.3f, distance %.1f\n", info.entropy_limit,
           info.distance_uniform);
    if (o->stat)
        print_one(stats, &info, chosen(o));
    else if (!print_all(stats, &info))
        return false;
    if (!print_artifacts(stats, &info))
        return false;
    for (int i = 0; !o->common.quiet && vitx_stats_warning(stats, i); i++)
        printf("warning: %s\n", vitx_stats_warning(stats, i));
    return true;
}

/* ------------------------------------------------------------------ results ---------------- */

/* "deit_tiny" of "models/deit_tiny/" and of "models/deit_tiny/model.safetensors". */
static void model_name(char *out, size_t size, const char *path)
{
    const char *end = path + strlen(path), *file = strrchr(path, '/');
    if (file && file > path && strstr(file, ".safetensors"))
        end = file;
    while (end > path + 1 && end[-1] == '/')
        end--;
    const char *start = end;
    while (start > path && start[-1] != '/')
        start--;
    snprintf(out, size, "%.*s", (int)(end - start), start);
}

/* What fails at standard output is said by main. */
static bool print_as(const char *format, const vitx_stats *stats, vitx_stats_render_opts opts)
{
    opts.format = format;
    const int code = vitx_stats_render_write(stats, output_write, NULL, &opts);
    if (code != VITX_OK && code != VITX_IO)
        complain_last(NULL);
    return code == VITX_OK;
}

static bool print_json(const vitx_stats *stats, const char *model)
{
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    opts.title = model;
    return print_as("json", stats, opts);
}

/* To the file of -o, or to standard output. */
static bool write_out(const vitx_stats *stats, const struct settings *o, const char *model)
{
    char name[64];
    vitx_stats_render_opts opts = VITX_STATS_RENDER_OPTS_INIT;
    const char *const format =
        o->format == BY_ENDING ? strrchr(o->out, '.') + 1 : formats[o->format];
    model_name(name, sizeof name, model);
    opts.title = strcmp(format, "json") == 0 ? model : name;
    opts.stat = chosen(o);
    opts.colormap = o->colormap;
    if (to_output(o))
        return print_as(format, stats, opts);
    opts.format = o->format == BY_ENDING ? NULL : format;
    if (vitx_stats_render(stats, o->out, &opts) == VITX_OK)
        return true;
    complain_last(o->out);
    return false;
}

/* ------------------------------------------------------------------ pictures --------------- */

/* Adds a batch; where it fails, its pictures one by one, so that one does not cost the others. */
static bool add_batch(vitx_stats *stats, const struct batch *batch, int *added)
{
    const vitx_image *const *images = (const vitx_image *const *)batch->images;
    int code = batch->count > 1 ? vitx_stats_add(stats, images, batch->count) : VITX_INVALID;
    const bool together = code == VITX_OK;
    bool all = true;
    for (int i = 0; i < batch->count; i++) {
        if (!together && code != VITX_CANCELLED)
            code = vitx_stats_add(stats, images + i, 1);
        if (code == VITX_CANCELLED)
            return !progress_cancelled();
        if (code == VITX_OK)
            (*added)++;
        else
            complain_last(batch->names[i]);
        all &= code == VITX_OK;
    }
    return all;
}

/* Pictures are added in their order by the calling thread, and read beside that. */
struct course {
    vitx_stats *stats;
    const struct settings *settings;
    const struct lanes *lanes;
    struct batch *slots; /* [lanes.slots] */
    bool *complete;      /* [lanes.slots]: all files have become pictures */
    struct series series;
    int added, status;
};

static bool load(void *payload, int piece, int at, int64_t *pixels)
{
    struct course *all = payload;
    all->complete[at] = lanes_load(all->lanes, &all->slots[at], &all->series, piece,
                                   &all->settings->common, pixels);
    return true;
}

static bool leave(void *payload, int piece, int at, vitx_context *context)
{
    (void)payload, (void)piece, (void)at, (void)context;
    return true;
}

/* Ctrl-C ends the work on pictures; what was added until then is still printed. */
static bool finish(void *payload, int piece, int at, bool begun)
{
    struct course *all = payload;
    int first;
    const int n = series_extent(&all->series, piece, &first);
    if (!begun) {
        all->status = progress_cancelled() ? SOME_FAILED : all->status;
        return false;
    }
    progress_step(first, n, all->series.files[first]);
    if (!add_batch(all->stats, &all->slots[at], &all->added) || !all->complete[at])
        all->status = SOME_FAILED;
    batch_clear(&all->slots[at]);
    return true;
}

static bool create_slots(struct course *all)
{
    const size_t n = (size_t)all->lanes->slots;
    all->slots = calloc(n, sizeof *all->slots);
    all->complete = calloc(n, sizeof *all->complete);
    if (!all->slots || !all->complete) {
        complain(NULL, "no memory");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!batch_create(&all->slots[i], all->series.batch))
            return false;
    return true;
}

static int collect(struct course *all)
{
    all->status = SOME_FAILED;
    if (create_slots(all)) {
        all->status = DONE;
        progress_begin(&all->settings->common, all->series.count, 1, "pictures");
        if (lanes_run(all->lanes, &(struct pipeline){.count = series_pieces(&all->series),
                                                     .payload = all,
                                                     .load = load,
                                                     .run = leave,
                                                     .finish = finish}) != DONE)
            all->status = SOME_FAILED;
        progress_hide();
    }
    for (int i = 0; i < all->lanes->slots && all->slots; i++)
        batch_free(&all->slots[i]);
    free(all->slots);
    free(all->complete);
    return all->status;
}

static int report(const vitx_stats *stats, const struct settings *o, const char *model)
{
    bool all = to_output(o) || (o->json ? print_json(stats, model) : print_table(stats, o));
    if (o->out)
        all &= write_out(stats, o, model);
    return all ? DONE : SOME_FAILED;
}

static int run(const void *settings, char **files, int count)
{
    const struct settings *o = settings;
    struct session s;
    struct lanes lanes = {0};
    struct course all = {.settings = o, .lanes = &lanes, .series = {files, count, 1}};
    int status = check_settings(o, files, count);
    if (status != DONE)
        return status;
    all.series.batch = o->common.batch < count ? o->common.batch : count;
    status = session_open(&s, &o->common);
    if (status == DONE)
        status = lanes_start(&lanes, &s, &o->common, files, count, LANES_ONE);
    if (status == DONE && vitx_stats_create(&all.stats, s.context) != VITX_OK) {
        complain_last(NULL);
        status = SOME_FAILED;
    }
    if (status == DONE)
        status = collect(&all);
    if (all.added && report(all.stats, o, s.path) != DONE)
        status = SOME_FAILED;
    vitx_stats_free(all.stats);
    lanes_free(&lanes);
    session_close(&s);
    return status;
}

const struct command cmd_stats = {
    .name = "stats",
    .summary = "Says what a model's attention does: statistics of each layer and head.",
    .usage = "[-m MODEL] [OPTIONS] IMAGE...",
    .details = "Prints one line for each layer and head: means over the pictures of the entropy of "
               "its rows (nats),\n"
               "attention distance (pixels), Gini coefficient, share of the top 10 % of the keys, "
               "of the prefix\n"
               "tokens, of the class token in the patches' rows, likeness to the other heads, and "
               "share of the 2 % of\n"
               "the patches that get most. The last column is a word for the head: local, global, "
               "mixed, sink\n"
               "or redundant. Below the table stand tokens whose norm is far above the others', "
               "and warnings. "
               "docs/stats.md has the\n"
               "formulas. A picture that cannot be read is reported and skipped.\n"
               "\n"
               "  vitx-cli stats -m deit_tiny *.jpg\n"
               "  vitx-cli stats -m deit_tiny --stat distance -o distance.png *.jpg\n"
               "  vitx-cli stats -m deit_tiny --json --batch 8 *.jpg > stats.json",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
