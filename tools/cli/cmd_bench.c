/* cli/cmd_bench.c: speed and peak memory of the forward pass and of each method. */
#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "methods.h"

enum { LEAST_RUNS = 5, WARM_UPS = 2, MOST_RUNS = 100000, MOST_METHODS = 16 };

struct settings {
    struct common common;
    struct list methods;
    int runs; /* 0: as many as the time takes */
    double seconds;
    int record; /* as vitx_record */
    bool json;
};

/* In the order of vitx_record. */
static const char *const records[] = {"none", "row", "fused", "all", NULL};

static const struct settings defaults = {.common = COMMON_DEFAULTS, .seconds = 3};

static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     .offset = offsetof(struct settings, methods),
     .value = "NAME[,NAME...]",
     .help = "methods to time; A+B is a set that shares one forward"},
    {.name = "runs",
     .kind = OPTION_INT,
     .offset = offsetof(struct settings, runs),
     .value = "N",
     .low = 1,
     .high = MOST_RUNS,
     .help = "that many timed runs a row"},
    {.name = "seconds",
     .kind = OPTION_REAL,
     .offset = offsetof(struct settings, seconds),
     .value = "S",
     .low = 0,
     .high = 3600,
     .help = "without --runs: at least that long a row (default 3)",
     .more = "and at least 5 runs. Two runs before them are not counted."},
    {.name = "record",
     .kind = OPTION_CHOICE,
     .offset = offsetof(struct settings, record),
     .value = "none|row|fused|all",
     .choices = records,
     .help = "attention that the forward row records (default none)"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct settings, json),
     .help = "one JSON object a row, one a line",
     .more = "{\"what\",\"batch\",\"threads\",\"precision\",\"median_ms\",\"min_ms\",\"runs\","
             "\"peak_rss_mb\"}; what is\n"
             "\"forward\", a method or a set."},
};

/* One row: a forward (no methods), a method or a set. */
struct row {
    const char *what;
    vitx_explain_opts opts[MOST_METHODS];
    int count;
};

struct bench {
    const struct settings *settings;
    struct session session;
    const vitx_image **images; /* [batch] */
    double *times;             /* [MOST_RUNS], ms */
    vitx_map **maps;           /* [batch * MOST_METHODS] */
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

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

static int run_once(const struct bench *b, const struct row *row)
{
    const int n = b->settings->common.batch;
    if (row->count == 0)
        return vitx_forward(b->session.context, b->images, n);
    const int status =
        vitx_explain_many(b->maps, b->session.context, b->images, n, row->opts, row->count);
    for (int i = 0; status == VITX_OK && i < n * row->count; i++)
        vitx_map_free(b->maps[i]);
    return status;
}

static void print_row(const struct bench *b, const struct row *row, int runs)
{
    vitx_context_info info;
    vitx_context_info_init(&info, sizeof info);
    vitx_context_get_info(&info, b->session.context);
    qsort(b->times, (size_t)runs, sizeof *b->times, compare);
    const double median = (b->times[(runs - 1) / 2] + b->times[runs / 2]) / 2;
    if (b->settings->json) {
        printf("{\"what\":");
        json_text(row->what);
        printf(",\"batch\":%d,\"threads\":%d,\"precision\":", b->settings->common.batch,
               info.threads);
        json_text(info.precision);
        printf(",\"median_ms\":%.4f,\"min_ms\":%.4f,\"runs\":%d,\"peak_rss_mb\":%.1f}\n", median,
               b->times[0], runs, peak_rss_mb());
    } else {
        printf("%-24s  %5d  %7d  %-9s  %11.3f  %11.3f  %6d  %11.1f\n", row->what,
               b->settings->common.batch, info.threads, info.precision, median, b->times[0], runs,
               peak_rss_mb());
    }
}

static int run_row(const struct bench *b, const struct row *row)
{
    const int wanted = b->settings->runs;
    int status = VITX_OK, runs = 0;
    for (int i = 0; status == VITX_OK && i < WARM_UPS; i++)
        status = run_once(b, row);
    const double start = now_ms();
    while (status == VITX_OK && runs < MOST_RUNS &&
           (wanted ? runs < wanted
                   : runs < LEAST_RUNS || now_ms() - start < b->settings->seconds * 1e3)) {
        const double before = now_ms();
        status = run_once(b, row);
        b->times[runs++] = now_ms() - before;
    }
    if (status != VITX_OK) {
        complain_last(row->what);
        return SOME_FAILED;
    }
    print_row(b, row, runs);
    return DONE;
}

/* "rollout+attention" into methods; `text` is cut up. */
static int parse_row(struct row *row, const char *what, char *text)
{
    *row = (struct row){.what = what};
    for (char *name = strtok(text, "+"); name; name = strtok(NULL, "+")) {
        vitx_method_info m;
        if (row->count == MOST_METHODS)
            return wrong_usage("%s: a set of more than %d methods", what, MOST_METHODS);
        if (method_find(&m, name) != DONE)
            return WRONG_USAGE;
        vitx_explain_opts_init(&row->opts[row->count], sizeof row->opts[row->count]);
        row->opts[row->count++].method = m.name;
    }
    return row->count ? DONE : wrong_usage("--method holds an empty name");
}

/* Row 0 is the forward. Names are checked for all rows before the first is run. */
static int make_rows(struct row *rows, const struct list *methods)
{
    rows[0] = (struct row){.what = "forward"};
    for (int i = 0; i < methods->count; i++) {
        const size_t size = strlen(methods->items[i]) + 1;
        char *copy = malloc(size);
        if (!copy) {
            complain(NULL, "no memory");
            return SOME_FAILED;
        }
        memcpy(copy, methods->items[i], size);
        const int status = parse_row(&rows[i + 1], methods->items[i], copy);
        free(copy);
        if (status != DONE)
            return status;
    }
    return DONE;
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

static int run_rows(struct bench *b, const struct row *rows, int count)
{
    int status = DONE;
    if (!b->settings->json)
        printf("%-24s  %5s  %7s  %-9s  %11s  %11s  %6s  %11s\n", "what", "batch", "threads",
               "precision", "median ms", "min ms", "runs", "peak RSS MB");
    for (int i = 0; i < count && output_works(); i++) {
        show_progress(&b->settings->common, i, count, rows[i].what);
        if (run_row(b, &rows[i]) != DONE)
            status = SOME_FAILED;
    }
    show_progress(&b->settings->common, count, count, "");
    return status;
}

/* Fills the batch from the pictures in turn, or with the made one, and runs. */
static int bench(struct bench *b, const struct row *rows, int row_count, char **files, int count)
{
    const int n = b->settings->common.batch;
    struct batch pictures;
    vitx_image *made = NULL;
    int status = DONE;
    if (!batch_create(&pictures, count ? count : 1))
        return SOME_FAILED;
    b->images = calloc((size_t)n, sizeof *b->images);
    b->maps = calloc((size_t)n * MOST_METHODS, sizeof *b->maps);
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
        status = run_rows(b, rows, row_count);
    vitx_image_free(made);
    batch_free(&pictures);
    free(b->images);
    free(b->maps);
    free(b->times);
    return status;
}

static int run(const void *settings, char **files, int count)
{
    struct bench b = {.settings = settings};
    const struct common *common = &b.settings->common;
    const int row_count = b.settings->methods.count + 1;
    struct row *rows = calloc((size_t)row_count, sizeof *rows);
    if (!rows) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    int status = make_rows(rows, &b.settings->methods);
    if (status == DONE)
        status = session_open(&b.session, common);
    if (status == DONE)
        status = session_start(&b.session, common, VITX_FIT_SQUASH);
    if (status == DONE)
        status = set_record(&b);
    if (status == DONE)
        status = bench(&b, rows, row_count, files, count);
    session_close(&b.session);
    free(rows);
    return status;
}

const struct command cmd_bench = {
    .name = "bench",
    .summary = "Times the forward pass and methods.",
    .usage = "-m MODEL [OPTIONS] [IMAGE...]",
    .details = "The first row is the forward pass of one batch, its preprocessing included; then a "
               "row for each\n"
               "--method: a whole explanation of the batch, without writing it. Without IMAGE a "
               "made-up picture of\n"
               "the model's input size is taken, which needs no resizing: --fit is squash here "
               "unless given. Given\n"
               "pictures fill the batch in turn. Peak memory is the process's up to that row.\n"
               "\n"
               "  vitx-cli bench -m deit_tiny --method rollout,attention,attention+rollout --batch "
               "8 --threads 4",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
