/* cli/eval_table.c: see eval_table.h. */
#include "eval_table.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sums of a metric's curves over the pictures. */
struct mean_curve {
    int n, points, curves;
    double *x, *y; /* [points]; [curves, points] */
};

bool table_create(struct table *t, int rows, int metrics, int columns)
{
    const size_t r = (size_t)rows, m = (size_t)metrics, c = (size_t)columns;
    *t = (struct table){.row_count = rows, .metric_count = metrics, .column_count = columns};
    t->rows = calloc(r, sizeof *t->rows);
    t->metrics = calloc(m, sizeof *t->metrics);
    t->columns = calloc(c, sizeof *t->columns);
    t->cells = calloc(r * c, sizeof *t->cells);
    t->curves = calloc(r * m, sizeof *t->curves);
    if (t->rows && t->metrics && t->columns && t->cells && t->curves)
        return true;
    complain(NULL, "no memory");
    return false;
}

void table_free(struct table *t)
{
    for (int i = 0; t->curves && i < t->row_count * t->metric_count; i++)
        free(t->curves[i].x);
    free(t->rows);
    free(t->metrics);
    free(t->columns);
    free(t->cells);
    free(t->curves);
    *t = (struct table){0};
}

static void add_value(struct cell *cell, double value)
{
    const double away = value - cell->mean;
    cell->n++;
    cell->mean += away / cell->n;
    cell->squares += away * (value - cell->mean);
}

static bool add_curves(struct mean_curve *sum, const vitx_evaluation_info *info)
{
    const int numbers = info->curve_count * info->point_count;
    if (!sum->x) {
        sum->x = calloc((size_t)(info->point_count + numbers), sizeof *sum->x);
        if (!sum->x) {
            complain(NULL, "no memory");
            return false;
        }
        sum->y = sum->x + info->point_count;
        sum->points = info->point_count;
        sum->curves = info->curve_count;
        memcpy(sum->x, info->x, (size_t)info->point_count * sizeof *sum->x);
    }
    for (int i = 0; i < numbers; i++)
        sum->y[i] += info->curves[i];
    sum->n++;
    return true;
}

bool table_add(struct table *t, int row, int metric, const vitx_evaluation_info *info)
{
    for (int c = 0; c < t->column_count; c++)
        if (t->columns[c].metric == metric)
            add_value(&t->cells[row * t->column_count + c], info->values[t->columns[c].value]);
    if (info->curve_count == 0)
        return true;
    return add_curves(&t->curves[row * t->metric_count + metric], info);
}

/* ------------------------------------------------------------------ printing --------------- */

/* Digits behind the point for a number of that size; -1: as a power of ten. */
static int decimals_of(double most)
{
    return most >= 1000 || (most > 0 && most < 0.00095) ? -1 : most > 0 && most < 0.0095 ? 4 : 3;
}

static void put_number(char *text, size_t size, double v, int decimals)
{
    if (decimals < 0)
        snprintf(text, size, "%.1e", v);
    else
        snprintf(text, size, "%.*f", decimals, v);
}

/* "0.512 +- 0.021": mean and standard error; "-" where nothing was measured. */
static void put_cell(char *text, size_t size, const struct cell *cell)
{
    char mean[32], error[32];
    const double e = cell->n > 1 ? sqrt(cell->squares / (cell->n - 1) / cell->n) : 0;
    const int decimals = decimals_of(fmax(fabs(cell->mean), e));
    put_number(mean, sizeof mean, cell->mean, decimals);
    put_number(error, sizeof error, e, decimals);
    snprintf(text, size, cell->n > 1 ? "%s +- %s" : cell->n ? "%s" : "-", mean, error);
}

static int width_of(const struct table *t, int column)
{
    char text[80];
    size_t width = strlen(t->columns[column].name);
    for (int r = 0; r < t->row_count; r++) {
        put_cell(text, sizeof text, &t->cells[r * t->column_count + column]);
        width = strlen(text) > width ? strlen(text) : width;
    }
    return (int)width;
}

/* Columns first..last-1. */
static void print_block(const struct table *t, int first, int last, int names)
{
    char text[80];
    printf("%-*s", names, "");
    for (int c = first; c < last; c++)
        printf("  %-*s", c + 1 < last ? width_of(t, c) : 0, t->columns[c].name);
    printf("\n%-*s", names, "better");
    for (int c = first; c < last; c++)
        printf("  %-*s", c + 1 < last ? width_of(t, c) : 0,
               t->columns[c].value    ? ""
               : t->columns[c].higher ? "higher"
                                      : "lower");
    for (int r = 0; r < t->row_count; r++) {
        printf("\n%-*s", names, t->rows[r]);
        for (int c = first; c < last; c++) {
            put_cell(text, sizeof text, &t->cells[r * t->column_count + c]);
            printf("  %-*s", c + 1 < last ? width_of(t, c) : 0, text);
        }
    }
    printf("\n");
}

/* Columns that lack pictures: fewer than there were have a number in every row that has any. */
static void print_missing(const struct table *t)
{
    for (int c = 0; c < t->column_count; c++) {
        int least = t->pictures;
        for (int r = 0; r < t->row_count; r++) {
            const int n = t->cells[r * t->column_count + c].n;
            least = n > 0 && n < least ? n : least;
        }
        if (least < t->pictures)
            printf("%s: %d of the pictures\n", t->columns[c].name, least);
    }
}

void table_print(const struct table *t)
{
    const int width = terminal_width(STDOUT_FILENO, INT_MAX);
    int names = (int)strlen("better");
    for (int r = 0; r < t->row_count; r++)
        names = (int)strlen(t->rows[r]) > names ? (int)strlen(t->rows[r]) : names;
    printf("%d picture%s%s\n", t->pictures, t->pictures == 1 ? "" : "s",
           t->pictures > 1 ? ": mean +- standard error" : "");
    for (int first = 0, last; first < t->column_count; first = last) {
        int used = names + 2 + width_of(t, first);
        for (last = first + 1; last < t->column_count; last++) {
            used += 2 + width_of(t, last);
            if (used >= width)
                break;
        }
        printf("\n");
        print_block(t, first, last, names);
    }
    print_missing(t);
}

/* ------------------------------------------------------------------ curves ----------------- */

/* Means over the pictures, in place, and the names of the curves: texts [row_count * curves]. */
static int collect(vitx_curve *curves, char (*names)[80], const struct table *t, int metric)
{
    const vitx_metric_info *m = &t->metrics[metric];
    int count = 0;
    for (int r = 0; r < t->row_count; r++) {
        const struct mean_curve *sum = &t->curves[r * t->metric_count + metric];
        for (int k = 0; sum->n && k < sum->curves; k++) {
            double *y = sum->y + k * sum->points;
            for (int i = 0; i < sum->points; i++)
                y[i] /= sum->n;
            snprintf(names[count], sizeof names[count], sum->curves > 1 ? "%.40s %.30s" : "%.40s",
                     t->rows[r], m->curve_names[k]);
            curves[count] = (vitx_curve){names[count], sum->x, y, sum->points};
            count++;
        }
    }
    return count;
}

bool table_plot(const struct table *t, int metric, const char *path)
{
    const vitx_metric_info *m = &t->metrics[metric];
    const size_t most = (size_t)t->row_count * (size_t)m->curve_count;
    vitx_curve *curves = calloc(most, sizeof *curves);
    char(*names)[80] = calloc(most, sizeof *names);
    vitx_plot_opts opts = VITX_PLOT_OPTS_INIT;
    char title[160];
    bool written = curves && names;
    snprintf(title, sizeof title, "%s, %s%d picture%s", m->name, t->pictures > 1 ? "mean of " : "",
             t->pictures, t->pictures == 1 ? "" : "s");
    opts.title = title;
    opts.x_label = m->x_name;
    if (!written)
        complain(NULL, "no memory");
    else if (vitx_plot(curves, collect(curves, names, t, metric), path, &opts) != VITX_OK) {
        complain_last(path);
        written = false;
    }
    free(curves);
    free(names);
    return written;
}
