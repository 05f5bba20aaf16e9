/* serve/metrics.h: numbers of a running server in Prometheus' text format 0.0.4; any thread. */
#ifndef CLI_SERVE_METRICS_H
#define CLI_SERVE_METRICS_H

#include "tools/cli/text.h"

/* Labels come from closed sets alone: a route, a status, a reason are numbers or constants here. */
enum metrics_stage { STAGE_READ, STAGE_QUEUE, STAGE_DECODE, STAGE_COMPUTE, STAGE_ENCODE, STAGES };
enum metrics_count {
    COUNT_FORWARDS,
    COUNT_BATCHES,
    COUNT_MERGED,
    COUNT_CANCELLED,
    COUNT_HITS,
    COUNT_MISSES,
    COUNT_TEXTS,
    COUNTS
};
enum metrics_gauge {
    GAUGE_QUEUE_COST,
    GAUGE_INFLIGHT,
    GAUGE_PIXELS,
    GAUGE_CACHE_BYTES,
    GAUGE_LABEL_BYTES,
    GAUGES
};

/* route: a constant of routes.def, compared by its pointer. */
void metrics_request(const char *route, int status, double seconds);
void metrics_rejected(const char *reason);
void metrics_stage(enum metrics_stage stage, double seconds);
void metrics_add(enum metrics_count count, double by);
void metrics_set(enum metrics_gauge gauge, double value);
void metrics_write(struct text *out);

#endif
