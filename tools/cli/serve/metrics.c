/*
 * serve/metrics.c: see metrics.h. All numbers lie under one lock: a request takes it some ten
 * times, for nanoseconds each.
 */
#include "metrics.h"

#include <pthread.h>
#include <string.h>
#include <vitx/base.h>

enum { BOUNDS = 14, MOST_ROWS = 256, MOST_REASONS = 32 };

/* Upper ends of the buckets, in seconds; one more is +Inf. */
static const double bounds[BOUNDS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                      0.1,    0.25,  0.5,    1,     2.5,  10,    60};

struct histogram {
    double buckets[BOUNDS + 1], sum; /* of each bucket alone */
};

static struct {
    pthread_mutex_t lock;
    struct row {
        const char *route;
        int status;
        double count;
    } rows[MOST_ROWS];
    struct reason {
        const char *name;
        double count;
    } reasons[MOST_REASONS];
    int row_count, reason_count;
    struct histogram requests, stages[STAGES];
    double counts[COUNTS], gauges[GAUGES];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void observe(struct histogram *h, double seconds)
{
    int i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    h->buckets[i]++;
    h->sum += seconds;
}

static bool same(const char *a, const char *b)
{
    return a == b || strcmp(a, b) == 0;
}

static void count_row(const char *route, int status)
{
    int i = 0;
    while (i < all.row_count && !(all.rows[i].status == status && same(all.rows[i].route, route)))
        i++;
    if (i == MOST_ROWS)
        return;
    if (i == all.row_count)
        all.rows[all.row_count++] = (struct row){route, status, 0};
    all.rows[i].count++;
}

void metrics_request(const char *route, int status, double seconds)
{
    pthread_mutex_lock(&all.lock);
    count_row(route, status);
    observe(&all.requests, seconds);
    pthread_mutex_unlock(&all.lock);
}

void metrics_rejected(const char *reason)
{
    int i = 0;
    pthread_mutex_lock(&all.lock);
    while (i < all.reason_count && !same(all.reasons[i].name, reason))
        i++;
    if (i == all.reason_count && i < MOST_REASONS)
        all.reasons[all.reason_count++] = (struct reason){reason, 0};
    if (i < all.reason_count)
        all.reasons[i].count++;
    pthread_mutex_unlock(&all.lock);
}

void metrics_stage(enum metrics_stage stage, double seconds)
{
    pthread_mutex_lock(&all.lock);
    observe(&all.stages[stage], seconds);
    pthread_mutex_unlock(&all.lock);
}

void metrics_add(enum metrics_count count, double by)
{
    pthread_mutex_lock(&all.lock);
    all.counts[count] += by;
    pthread_mutex_unlock(&all.lock);
}

void metrics_set(enum metrics_gauge gauge, double value)
{
    pthread_mutex_lock(&all.lock);
    all.gauges[gauge] = value;
    pthread_mutex_unlock(&all.lock);
}

/* ------------------------------------------------------------------ as text ---------------- */

static void head(struct text *out, const char *name, const char *type, const char *help)
{
    text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Labels without braces, "" for none. */
static void put_histogram(struct text *out, const char *name, const char *labels,
                          const struct histogram *h)
{
    const char *comma = *labels ? "," : "", *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    double count = 0;
    for (int i = 0; i < BOUNDS; i++) {
        count += h->buckets[i];
        text_format(out, "%s_bucket{%s%sle=\"%g\"} %.17g\n", name, labels, comma, bounds[i], count);
    }
    count += h->buckets[BOUNDS];
    text_format(out, "%s_bucket{%s%sle=\"+Inf\"} %.17g\n", name, labels, comma, count);
    text_format(out, "%s_sum%s%s%s %.17g\n", name, open, labels, close, h->sum);
    text_format(out, "%s_count%s%s%s %.17g\n", name, open, labels, close, count);
}

static void put_requests(struct text *out)
{
    head(out, "vitx_requests_total", "counter", "Requests that were answered.");
    for (int i = 0; i < all.row_count; i++)
        text_format(out, "vitx_requests_total{route=\"%s\",code=\"%d\"} %.17g\n", all.rows[i].route,
                    all.rows[i].status, all.rows[i].count);
    head(out, "vitx_request_seconds", "histogram", "From a request's head to its answer.");
    put_histogram(out, "vitx_request_seconds", "", &all.requests);
    head(out, "vitx_rejected_total", "counter", "Requests that were refused without work.");
    for (int i = 0; i < all.reason_count; i++)
        text_format(out, "vitx_rejected_total{reason=\"%s\"} %.17g\n", all.reasons[i].name,
                    all.reasons[i].count);
}

static void put_stages(struct text *out)
{
    static const char *const names[STAGES] = {"read", "queue", "decode", "compute", "encode"};
    head(out, "vitx_stage_seconds", "histogram", "Time that a request spends in each stage.");
    for (int i = 0; i < STAGES; i++) {
        char label[32] = "stage=\"";
        strcat(strcat(label, names[i]), "\"");
        put_histogram(out, "vitx_stage_seconds", label, &all.stages[i]);
    }
}

static void put_numbers(struct text *out)
{
    static const char *const counts[COUNTS][2] = {
        {"vitx_forwards_total", "Forward passes, a backward pass counts like one."},
        {"vitx_batches_total", "Calls of the network."},
        {"vitx_merged_total", "Pieces of work that ran together with another one."},
        {"vitx_cancelled_total", "Pieces of work that nobody waited for any more."},
        {"vitx_cache_hits_total", "Answers that were there."},
        {"vitx_cache_misses_total", "Answers that were not there."},
        {"vitx_texts_total", "Texts of labels and embeddings that were run."}};
    static const char *const gauges[GAUGES][2] = {
        {"vitx_queue_cost", "Forward passes that wait."},
        {"vitx_inflight", "Pieces of work that wait or run."},
        {"vitx_pixels_in_flight", "Pixels that are decoded now."},
        {"vitx_cache_bytes", "Bytes of the answers that are kept."},
        {"vitx_label_bytes", "Bytes of the labels of requests that are kept."}};
    for (int i = 0; i < COUNTS; i++) {
        head(out, counts[i][0], "counter", counts[i][1]);
        text_format(out, "%s %.17g\n", counts[i][0], all.counts[i]);
    }
    for (int i = 0; i < GAUGES; i++) {
        head(out, gauges[i][0], "gauge", gauges[i][1]);
        text_format(out, "%s %.17g\n", gauges[i][0], all.gauges[i]);
    }
    head(out, "vitx_build_info", "gauge", "The version of vitx.");
    text_format(out, "vitx_build_info{version=\"%s\"} 1\n", vitx_version());
}

void metrics_write(struct text *out)
{
    pthread_mutex_lock(&all.lock);
    put_requests(out);
    put_stages(out);
    put_numbers(out);
    pthread_mutex_unlock(&all.lock);
}
