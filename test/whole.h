/*
 * test/whole.h: what the whole library gives on a device, as one list of numbers: two pictures of
 * noise through a model, its recordings and gradients, the methods, the metrics, the statistics.
 * Two devices are compared by their lists.
 */
#ifndef VX_TEST_WHOLE_H
#define VX_TEST_WHOLE_H

#include <stddef.h>
#include <vitx/vitx.h>

/* A model, a context for two pictures on one thread, and the pictures. */
typedef struct bench {
    vitx_model *model;
    vitx_context *c;
    vitx_image *images[2];
} bench;

typedef struct bench_opts {
    const char *device, *precision; /* precision NULL: the device's first */
    int max_batch;                  /* 0: 2 */
    vitx_gradients gradients;
    vitx_progress *progress;
    void *payload;
} bench_opts;

bench open_bench(const char *folder, const bench_opts *opts);
void close_bench(bench *b);
const vitx_image *const *pictures(const bench *b);

/* An array among the numbers: it begins there, and ends where the next one begins. */
typedef struct part {
    char name[48];
    size_t first;
} part;

typedef struct numbers {
    double *values;
    size_t count, room;
    part *parts;
    size_t part_count, part_room;
} numbers;

void free_numbers(numbers *n);
/* Adds a map's target, score and values, and frees it. */
void add_map(numbers *n, vitx_map *map, const char *how);

/* Options with which a method runs few variants. */
vitx_explain_opts few_variants(const vitx_method_info *m);

/* Each adds to n what the model in a folder gives. `which` is any number: it chooses among ways
 * that should give the same. */
typedef void whole_run(numbers *n, const char *folder, const char *device, const char *precision,
                       int which);
whole_run whole_model;    /* logits, attention, tokens, and the gradients of everything      */
whole_run whole_methods;  /* each method alone, and then all methods in one call              */
whole_run whole_metrics;  /* all metrics of one map                                           */
whole_run whole_variants; /* what makes variants of a picture, with many settings           */
whole_run whole_stats;    /* the attention statistics                                         */

#endif
