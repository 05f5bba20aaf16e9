/*
 * cli/eval_table.h: what eval found, over pictures: means and standard errors of metrics, and mean curves.
 *
 * Rows are methods and the blind maps, columns are values of metrics: METRIC for its first value,
 * METRIC.NAME for another one.
 */
#ifndef CLI_EVAL_TABLE_H
#define CLI_EVAL_TABLE_H

#include "session.h"

struct column {
    char name[80];
    int metric, value; /* of struct table's metrics; of its values */
    bool higher;       /* is better */
};

struct cell {
    int n;
    double mean, squares; /* of the distances from the mean */
};

struct table {
    const char **rows;         /* [row_count], borrowed */
    vitx_metric_info *metrics; /* [metric_count] */
    struct column *columns;    /* [column_count] */
    struct cell *cells;        /* [row_count, column_count] */
    struct mean_curve *curves; /* [row_count, metric_count] */
    int row_count, metric_count, column_count, pictures;
};

/* Makes room for so many; complains without memory. rows, metrics and columns are to be filled in. */
bool table_create(struct table *t, int rows, int metrics, int columns);
void table_free(struct table *t);

/* Adds what a metric said of one picture's map; complains without memory. */
bool table_add(struct table *t, int row, int metric, const vitx_evaluation_info *info);

void table_print(const struct table *t);
/* The mean curves of a metric as a file; complains where that fails. */
bool table_plot(const struct table *t, int metric, const char *path);

#endif
