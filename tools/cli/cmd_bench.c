/* cli/cmd_bench.c: speed and peak memory of the forward pass and of each method. */
#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench_ops.h"
#include "inputs.h"
#include "methods.h"
#include "progress.h"
#include "results.h"

enum { MOST_PRECISIONS = 16, PRECISION_SIZE = 32 };
enum { LEAST_RUNS = 5, WARM_UPS = 2, LONG_MS = 1000, MOST_RUNS = 100000 };

struct settings {
    struct common common;
    struct list methods, set;
    const char *target;
    int layer;
    int runs; /* 0: as many as the time takes */
    double seconds;
    int record; /* as vitx_record */
    bool ops, json;
};

/* In the order of vitx_record. */
static const char *const records[] = {"none", "row", "fused", "all", NULL};

static const struct settings defaults = {
    .common = COMMON_DEFAULTS, .layer = VITX_AUTO, .seconds = 3};

static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     .offset = offsetof(struct settings, methods),
     .value = "NAME[,NAME...]",
     .help = "methods to time; A+B is a set that shares one forward"},
    {.name = "set",
     .kind = OPTION_LIST,
     .offset = offsetof(struct settings, set),
     .value = "KEY=VALUE",
     .help = "option of the methods that have it, repeatable"},
    {.name = "target",
     .kind = OPTION_TEXT,
     .offset = offsetof(struct settings, target),
     .value = "N|LABEL",
     .help = "class to explain (default: the top class)"},
    {.name = "layer",
     .kind = OPTION_INT,
     .offset = offsetof(struct settings, layer),
     .value = "L|all",
     .low = 0,
     .high = INT_MAX,
     .word = "all",
     .word_value = VITX_ALL,
     .help = "block, from 0 (default: the method's own)"},
    {.name = "runs",
     .kind = OPTION_INT,
     .offset = offsetof(struct settings, runs),
     .value = "N",
     .low = 1,
     .high = MOST_RUNS,
     .help = "timed runs per row"},
    {.name = "seconds",
     .kind = OPTION_REAL,
     .offset = offsetof(struct settings, seconds),
     .value = "S",
     .low = 0,
     .high = 3600,
     .help = "without --runs: at least S seconds per row (default 3)",
     .more =
         "At least 5 runs. Two runs before them are not counted, or one if a run takes a second."},
    {.name = "record",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct settings, record),
     .value = "none|row|fused|all",
     .choices = records,
     .help = "attention that the forward row records (default none)"},
    {.name = "ops",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, ops),
     .help = "where the time goes: below each row, its operations",
     .more =
         "Calls and milliseconds are those of one run (workers that each have pictures of "
         "their own count one each, and the milliseconds are their mean); share is the part of "
         "that run's time. of peak: compared with the GFLOP/s of the instructions that multiply "
         "the precision's numbers, on "
         "registers alone, or, for an operation without products, with the GB/s of a copy of 64 "
         "MiB, both measured first. Arrays that stay in a cache can exceed the copy's GB/s. In "
         "int8, attention and the first block are bf16, which is slower than that peak. The runs "
         "that are timed by operation are not the runs of the "
         "row."},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object per row, one per line",
     .more = "{\"what\",\"batch\",\"threads\",\"precision\",\"median_ms\",\"min_ms\",\"runs\","
             "\"peak_rss_mb\",\n"
             "\"forwards\"}; what is \"forward\", a method or a set; forwards is null if the "
             "forward pass failed. With --ops, a line for each operation follows:\n"
             "{\"what\",\"op\",\"calls\",\"ms\",\"share\",\"gflops\",\"gbs\",\"of_peak\"}; op is "
             "null for the time outside of operations."},
};

/* One row: a forward (no methods), a method or a set. */
struct row {
    const char *what;
    int first, count; /* of bench.opts */
};

struct bench {
    const struct settings *settings; /* of one precision at a time */
    struct session session;
    char precisions[MOST_PRECISIONS][PRECISION_SIZE]; /* "": the default */
    int precision_count;
    bool headed;
    struct row *rows; /* [row_count], the first is the forward */
    int row_count;
    vitx_explain_opts *opts; /* [opts_count]: of all rows */
    int opts_count;
    const char **sets;         /* what opts[].set point to */
    const vitx_image **images; /* [batch] */
    double *times;             /* [MOST_RUNS], ms */
    vitx_map **maps;           /* [batch, opts_count] */
    double forward_ms;         /* median of the first row; 0: not known */
    struct peak peak;          /* with --ops */
};

static double peak_rss_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return (double)usage.ru_maxrss / 1048576;
#else
    return (double)usage.ru_maxrss / 1024;
#endif
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* *ms: what it took. */
static int run_once(const struct bench *b, const struct row *row, double *ms)
{
    const int n = b->settings->common.batch;
    vitx_context *c = b->session.context;
    progress_begin(&b->settings->common, 1, 1, NULL);
    progress_step(0, 1, row->what);
    const double start = now_ms();
    const int status =
        row->count ? vitx_explain_many(b->maps, c, b->images, n, b->opts + row->first, row->count)
                   : vitx_forward(c, b->images, n);
    *ms = now_ms() - start;
    for (int i = 0; i < n * row->count; i++) {
        vitx_map_free(b->maps[i]);
        b->maps[i] = NULL;
    }
    return status;
}

static void print_row(struct bench *b, const struct row *row, int runs)
{
    vitx_context_info info;
    vitx_context_info_init(&info, sizeof info);
    vitx_context_get_info(&info, b->session.context);
    qsort(b->times, (size_t)runs, sizeof *b->times, compare);
    const double median = (b->times[(runs - 1) / 2] + b->times[runs / 2]) / 2;
    char forwards[32] = "";
    if (row->count == 0)
        b->forward_ms = median;
    if (b->forward_ms > 0)
        snprintf(forwards, sizeof forwards, "%.2f", median / b->forward_ms);
    progress_before_results();
    if (b->settings->json) {
        printf("{\"what\":");
        json_text(row->what);
        printf(",\"batch\":%d,\"threads\":%d,\"precision\":", b->settings->common.batch,
               info.threads);
        json_text(info.precision);
        printf(",\"median_ms\":%.4f,\"min_ms\":%.4f,\"runs\":%d,\"peak_rss_mb\":%.1f,"
               "\"forwards\":%s}\n",
               median, b->times[0], runs, peak_rss_mb(), text_or(forwards, "null"));
    } else {
        printf("%-24s  %5d  %7d  %-9s  %11.3f  %11.3f  %6d  %11.1f  %8s\n", row->what,
               b->settings->common.batch, info.threads, info.precision, median, b->times[0], runs,
               peak_rss_mb(), text_or(forwards, "-"));
    }
}

/* The same once more, by operation: at most `runs` runs, and no longer than --seconds. */
static int run_by_operation(const struct bench *b, const struct row *row, int runs)
{
    double all = 0, ms = 0;
    int done = 0, status = vitx_context_set_profile(b->session.context, 1);
    while (status == VITX_OK && done < runs && (done == 0 || all < b->settings->seconds * 1e3)) {
        status = run_once(b, row, &ms);
        all += ms;
        done++;
    }
    vitx_context_set_profile(b->session.context, 0);
    progress_before_results();
    if (status == VITX_OK)
        ops_print(b->session.context, row->what, done, all, &b->peak, b->settings->json);
    return status;
}

/* Not counted: a second run only where the first was short. */
static int warm_up(const struct bench *b, const struct row *row)
{
    double ms = 0;
    int status = VITX_OK;
    for (int i = 0; status == VITX_OK && i < WARM_UPS && ms < LONG_MS; i++)
        status = run_once(b, row, &ms);
    return status;
}

static int run_row(struct bench *b, const struct row *row)
{
    const int wanted = b->settings->runs;
    int status = warm_up(b, row), runs = 0;
    const double start = now_ms();
    while (status == VITX_OK && runs < MOST_RUNS &&
           (wanted ? runs < wanted
                   : runs < LEAST_RUNS || now_ms() - start < b->settings->seconds * 1e3))
        status = run_once(b, row, &b->times[runs++]);
    if (status == VITX_OK)
        print_row(b, row, runs);
    if (status == VITX_OK && b->settings->ops)
        status = run_by_operation(b, row, runs);
    if (status != VITX_OK && status != VITX_CANCELLED)
        complain_last(row->what);
    return status == VITX_OK ? DONE : SOME_FAILED;
}

/* How long the name at the start of a set is: that of the longest method that stands there, since a
 * method's own name may hold a '+', else up to the next '+'. */
static int name_length(const char *set)
{
    size_t longest = 0;
    for (int i = 0; i < vitx_method_count(); i++) {
        vitx_method_info m;
        vitx_method_info_init(&m, sizeof m);
        if (vitx_method_get(&m, i) != VITX_OK)
            break;
        const size_t length = strlen(m.name);
        if (length > longest && strncmp(set, m.name, length) == 0 && strchr("+", set[length]))
            longest = length;
    }
    return (int)(longest ? longest : strcspn(set, "+"));
}

/* "rollout+attention" into a row and its opts, for which there is room. */
static int parse_row(struct bench *b, struct row *row, const char *what)
{
    *row = (struct row){.what = what, .first = b->opts_count};
    for (const char *p = what;;) {
        const int length = name_length(p);
        char name[64];
        vitx_method_info m;
        if (length == 0)
            return wrong_usage("--method %s holds an empty name", what);
        snprintf(name, sizeof name, "%.*s", length, p);
        if (method_find(&m, name) != DONE)
            return WRONG_USAGE;
        vitx_explain_opts *e = &b->opts[b->opts_count++];
        vitx_explain_opts_init(e, sizeof *e);
        e->method = m.name;
        e->layer = b->settings->layer;
        row->count++;
        if (p[length] == '\0')
            return DONE;
        p += length + 1;
    }
}

/* Row 0 is the forward. All names are checked before the first row is run. */
static int make_rows(struct bench *b)
{
    const struct list *methods = &b->settings->methods;
    size_t names = 0;
    for (int i = 0; i < methods->count; i++) {
        names++;
        for (const char *p = methods->items[i]; *p; p++)
            names += *p == '+';
    }
    b->row_count = methods->count + 1;
    b->rows = calloc((size_t)b->row_count, sizeof *b->rows);
    b->opts = calloc(names + 1, sizeof *b->opts);
    if (!b->rows || !b->opts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    b->rows[0] = (struct row){.what = "forward"};
    for (int i = 0; i < methods->count; i++) {
        const int status = parse_row(b, &b->rows[i + 1], methods->items[i]);
        if (status != DONE)
            return status;
    }
    if (check_set(&b->settings->set) != DONE)
        return WRONG_USAGE;
    return give_set(b->opts, b->opts_count, &b->settings->set, &b->sets);
}

/* What needs the model. */
static int check_against_model(struct bench *b)
{
    const struct settings *o = b->settings;
    int target = VITX_AUTO;
    if (o->target && find_class(&target, &b->session, "target", o->target) != DONE)
        return WRONG_USAGE;
    for (int i = 0; i < b->opts_count; i++)
        b->opts[i].target = target;
    return check_range("layer", o->layer, b->session.info.depth, "blocks");
}

/* A picture of the input's size: a slope with some texture. */
static int make_picture(vitx_image **out, const vitx_model_info *info)
{
    const int w = info->recipe->input_width, h = info->recipe->input_height;
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3), *p = rgb;
    for (int y = 0; rgb && y < h; y++)
        for (int x = 0; x < w; x++) {
            *p++ = (uint8_t)(x * 255 / w);
            *p++ = (uint8_t)(y * 255 / h);
            *p++ = (uint8_t)((x ^ y) * 5 & 255);
        }
    const int status = rgb ? vitx_image_from_rgb(out, rgb, w, h, 0, NULL) : VITX_NOMEM;
    if (status == VITX_NOMEM && !rgb)
        complain(NULL, "no memory");
    else if (status != VITX_OK)
        complain_last(NULL);
    free(rgb);
    return status == VITX_OK ? DONE : SOME_FAILED;
}

/* What the forward row leaves behind. Methods record what they need themselves. */
static int set_record(const struct bench *b)
{
    vitx_trace_opts opts;
    vitx_trace_opts_init(&opts, sizeof opts);
    opts.record = (vitx_record)b->settings->record;
    if (vitx_context_set_trace(b->session.context, &opts) == VITX_OK)
        return DONE;
    complain_last(NULL);
    return SOME_FAILED;
}

/* What the operations are compared with. */
static int find_peak(struct bench *b)
{
    const int status =
        vitx_context_measure_peak(b->session.context, &b->peak.flops, &b->peak.bytes);
    if (status != VITX_OK) {
        complain_last(NULL);
        return SOME_FAILED;
    }
    if (!b->settings->json)
        printf("peak: %.1f GFLOP/s multiplied, %.1f GB/s copied\n", b->peak.flops / 1e9,
               b->peak.bytes / 1e9);
    return DONE;
}

static int run_rows(struct bench *b)
{
    int status = b->settings->ops ? find_peak(b) : DONE;
    if (status != DONE)
        return status;
    if (!b->settings->json && !b->headed)
        printf("%-24s  %5s  %7s  %-9s  %11s  %11s  %6s  %11s  %8s\n", "what", "batch", "threads",
               "precision", "median ms", "min ms", "runs", "peak RSS MB", "forwards");
    b->headed = true;
    for (int i = 0; i < b->row_count && output_works(); i++) {
        const int one = run_row(b, &b->rows[i]);
        status = one == DONE ? status : SOME_FAILED;
        if ((one != DONE || i + 1 < b->row_count) && progress_cancelled())
            return SOME_FAILED;
    }
    return status;
}

/* Fills the batch from the pictures in turn, or with the made one, and runs. */
static int bench(struct bench *b, char **files, int count)
{
    const int n = b->settings->common.batch;
    struct batch pictures;
    vitx_image *made = NULL;
    int status = DONE;
    if (!batch_create(&pictures, count ? count : 1))
        return SOME_FAILED;
    b->images = calloc((size_t)n, sizeof *b->images);
    b->maps = calloc((size_t)n * (size_t)b->opts_count + 1, sizeof(vitx_map *));
    b->times = calloc(MOST_RUNS, sizeof *b->times);
    if (!b->images || !b->maps || !b->times) {
        complain(NULL, "no memory");
        status = SOME_FAILED;
    } else if (count == 0) {
        status = make_picture(&made, &b->session.info);
    } else if (!batch_load(&pictures, files, count < n ? count : n, &b->settings->common)) {
        status = SOME_FAILED;
    }
    for (int i = 0; status == DONE && i < n; i++)
        b->images[i] = made ? made : pictures.images[i % pictures.count];
    if (status == DONE)
        status = run_rows(b);
    progress_hide();
    vitx_image_free(made);
    batch_free(&pictures);
    free(b->images);
    free(b->maps);
    free(b->times);
    return status;
}

/* "bf16,int8" into b->precisions. */
static int split_precisions(struct bench *b, const char *list)
{
    b->precision_count = list ? 0 : 1;
    while (list) {
        const size_t length = strcspn(list, ",");
        if (length == 0 || length >= PRECISION_SIZE || b->precision_count == MOST_PRECISIONS)
            return wrong_usage("--precision takes names with a comma between them, %d at most",
                               MOST_PRECISIONS);
        memcpy(b->precisions[b->precision_count++], list, length); /* the rest is 0 */
        list = list[length] ? list + length + 1 : NULL;
    }
    return DONE;
}

static int bench_precision(struct bench *b, const struct common *common, char **files, int count)
{
    int status = session_start(&b->session, common, VITX_FIT_SQUASH);
    b->forward_ms = 0;
    if (status == DONE)
        status = check_opts(&b->session, b->opts, b->opts_count);
    if (status == DONE)
        status = set_record(b);
    if (status == DONE)
        status = bench(b, files, count);
    vitx_context_free(b->session.context);
    b->session.context = NULL;
    return status;
}

static int run(const void *settings, char **files, int count)
{
    struct settings own = *(const struct settings *)settings;
    struct bench b = {.settings = &own};
    int status = split_precisions(&b, own.common.precision);
    own.common.precision = NULL;
    if (status == DONE)
        status = make_rows(&b);
    if (status == DONE)
        status = session_open(&b.session, &own.common);
    for (int i = 0; status == DONE && i < b.precision_count; i++) /* before the first row is run */
        status = check_precision(own.common.device, b.precisions[i][0] ? b.precisions[i] : NULL);
    if (status == DONE)
        status = check_against_model(&b);
    for (int i = 0; status == DONE && i < b.precision_count && output_works(); i++) {
        own.common.precision = b.precisions[i][0] ? b.precisions[i] : NULL;
        status = bench_precision(&b, &own.common, files, count);
    }
    session_close(&b.session);
    free(b.rows);
    free(b.opts);
    free(b.sets);
    return status;
}

const struct command cmd_bench = {
    .name = "bench",
    .summary = "Times the forward pass and methods.",
    .usage = "[-m MODEL] [OPTIONS] [IMAGE...]",
    .details = "The first row is the forward pass of one batch, with its preprocessing. Then "
               "comes a row for each --method: a whole explanation of the batch, without "
               "writing it, and how many forward passes take the same time (median over "
               "median). Without IMAGE, vitx-cli makes up a picture of the size of the "
               "model's input, so there is nothing to resize; the default of --fit is squash. "
               "If there are fewer pictures than the batch holds, they are repeated. Peak "
               "memory is that of the process up to that row. --precision may name several, "
               "like f32,bf16: their rows follow one another, and the weights of all stay in "
               "memory.\n"
               "\n"
               "  vitx-cli bench -m deit_tiny --method rollout,attention,attention+rollout "
               "--batch 8 --threads 4",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
