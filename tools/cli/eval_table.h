/*
 * cli/eval_table.h: what eval found, over pictures: means and standard errors of metrics, and mean
 * curves.
 *
 * Rows are methods and the blind maps, columns are values of metrics: METRIC for its first value,
 * METRIC.NAME for another one.
 */
#ifndef CLI_EVAL_TABLE_H
#define CLI_EVAL_TABLE_H

#include "session.h"

struct column {
    char name[80];
    int metric, value; /* of struct table's metrics, -1: of none; of its values */
    int group;         /* where it counts: table_add() says which do */
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
    /* For the brief form: what stands above the columns of a group, and rows that were measured
     * over fewer pictures and get a star. NULL: none. */
    const char *const *titles;
    const bool *starred; /* [row_count] */
};

/* Makes room for so many; complains without memory. rows, metrics and columns are to be filled
 * in. */
bool table_create(struct table *t, int rows, int metrics, int columns);
void table_free(struct table *t);

/* Adds what a metric said of one picture's map to its columns in the groups (bits); complains
 * without memory. */
bool table_add(struct table *t, int row, int metric, unsigned groups,
               const vitx_evaluation_info *info);
/* The standard error of a cell's mean; 0 of a single value. */
double cell_error(const struct cell *cell);

void table_print(const struct table *t);
/* Means alone, and below them the largest standard error of each column. */
void table_print_brief(const struct table *t);
/* The mean curves of a metric as a file; complains where that fails. */
bool table_plot(const struct table *t, int metric, const char *path);

#endif
