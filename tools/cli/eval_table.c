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

/* Of a map that says nothing there is no number. */
static void add_value(struct cell *cell, double value)
{
    if (isnan(value))
        return;
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

bool table_add(struct table *t, int row, int metric, unsigned groups,
               const vitx_evaluation_info *info)
{
    for (int c = 0; c < t->column_count; c++)
        if (t->columns[c].metric == metric && (groups >> t->columns[c].group & 1))
            add_value(&t->cells[row * t->column_count + c], info->values[t->columns[c].value]);
    if (info->curve_count == 0 || isnan(info->value))
        return true;
    return add_curves(&t->curves[row * t->metric_count + metric], info);
}

double cell_error(const struct cell *cell)
{
    return cell->n > 1 ? sqrt(cell->squares / (cell->n - 1) / cell->n) : 0;
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
    const double e = cell_error(cell);
    const int decimals = decimals_of(fmax(fabs(cell->mean), e));
    put_number(mean, sizeof mean, cell->mean, decimals);
    put_number(error, sizeof error, e, decimals);
    snprintf(text, size, cell->n > 1 ? "%s +- %s" : cell->n ? "%s" : "-", mean, error);
}

/* What stands in a row of the brief form: a mean, without its error. */
static void put_brief(char *text, size_t size, const struct table *t, int row, int column)
{
    const struct cell *cell = &t->cells[row * t->column_count + column];
    const bool time = t->columns[column].metric < 0;
    if (cell->n == 0)
        snprintf(text, size, "-");
    else if (time)
        snprintf(text, size, "%.*f", cell->mean < 100 ? 1 : 0, cell->mean);
    else
        put_number(text, size, cell->mean, decimals_of(fabs(cell->mean)));
}

/* The row below: the largest standard error of the rows with a star, or of those without; "-" where
 * each has one case at most. */
static void put_error(char *text, size_t size, const struct table *t, int column, bool starred)
{
    double most = -1;
    for (int r = 0; r < t->row_count; r++) {
        const struct cell *cell = &t->cells[r * t->column_count + column];
        if ((t->starred && t->starred[r]) == starred && cell->n > 1)
            most = fmax(most, cell_error(cell));
    }
    if (t->columns[column].metric < 0)
        *text = '\0';
    else if (most < 0)
        snprintf(text, size, "-");
    else
        put_number(text, size, most, most < 1 ? 3 : decimals_of(most));
}

/* A block of columns first..last-1, in one of two forms. */
struct block {
    const struct table *t;
    bool brief;
    int first, last, names; /* names: the width of the rows' */
};

static void put_text(char *text, size_t size, const struct block *b, int row, int column)
{
    if (b->brief)
        put_brief(text, size, b->t, row, column);
    else
        put_cell(text, size, &b->t->cells[row * b->t->column_count + column]);
}

static int width_alone(const struct block *b, int column)
{
    char text[80];
    size_t width = strlen(b->t->columns[column].name);
    for (int r = 0; r < b->t->row_count; r++) {
        put_text(text, sizeof text, b, r, column);
        width = strlen(text) > width ? strlen(text) : width;
    }
    return (int)width;
}

static const char *title_of(const struct table *t, int column)
{
    return t->titles ? t->titles[t->columns[column].group] : "";
}

static bool ends_group(const struct table *t, int column)
{
    return column + 1 == t->column_count ||
           t->columns[column + 1].group != t->columns[column].group;
}

/* The last column of a group is so wide that the title stands above the group. */
static int width_of(const struct block *b, int column)
{
    const struct table *t = b->t;
    const int alone = width_alone(b, column);
    int used = alone;
    if (!b->brief || !ends_group(t, column))
        return alone;
    for (int c = column - 1; c >= 0 && t->columns[c].group == t->columns[column].group; c--)
        used += 2 + width_alone(b, c);
    const int title = (int)strlen(title_of(t, column));
    return title > used ? alone + title - used : alone;
}

static void put_column(const struct block *b, int column, const char *text)
{
    printf("  %-*s", column + 1 < b->last ? width_of(b, column) : 0, text);
}

/* Each title above the columns of its group; one that does not fit is cut. */
static void print_titles(const struct block *b)
{
    printf("%-*s", b->names, "");
    for (int c = b->first, next; c < b->last; c = next) {
        int width = width_of(b, c);
        for (next = c + 1; next < b->last && !ends_group(b->t, next - 1); next++)
            width += 2 + width_of(b, next);
        printf("  %-*.*s", next < b->last ? width : 0, width, title_of(b->t, c));
    }
    putchar('\n');
}

static void print_errors(const struct block *b, bool starred)
{
    char text[80];
    printf("\n%-*s", b->names, starred ? "+- *" : "+-");
    for (int c = b->first; c < b->last; c++) {
        put_error(text, sizeof text, b->t, c, starred);
        put_column(b, c, text);
    }
}

static bool any_starred(const struct table *t)
{
    for (int r = 0; t->starred && r < t->row_count; r++)
        if (t->starred[r])
            return true;
    return false;
}

static void print_block(const struct block *b)
{
    const struct table *t = b->t;
    char text[80];
    if (b->brief)
        print_titles(b);
    printf("%-*s", b->names, "");
    for (int c = b->first; c < b->last; c++)
        put_column(b, c, t->columns[c].name);
    printf("\n%-*s", b->names, "better");
    for (int c = b->first; c < b->last; c++)
        put_column(b, c, t->columns[c].value ? "" : t->columns[c].higher ? "higher" : "lower");
    for (int r = 0; r < t->row_count; r++) {
        const bool star = b->brief && t->starred && t->starred[r];
        printf("\n%s%-*s", t->rows[r], b->names - (int)strlen(t->rows[r]), star ? "*" : "");
        for (int c = b->first; c < b->last; c++) {
            put_text(text, sizeof text, b, r, c);
            put_column(b, c, text);
        }
    }
    if (b->brief)
        print_errors(b, false);
    if (b->brief && any_starred(t))
        print_errors(b, true);
    printf("\n");
}

/* As many columns in a block as the terminal is wide. */
static void print_blocks(const struct table *t, bool brief)
{
    const int width = terminal_width(STDOUT_FILENO, INT_MAX);
    struct block b = {.t = t, .brief = brief, .names = (int)strlen("better")};
    for (int r = 0; r < t->row_count; r++) {
        const int length = (int)strlen(t->rows[r]) + (any_starred(t) ? 1 : 0);
        b.names = length > b.names ? length : b.names;
    }
    for (; b.first < t->column_count; b.first = b.last) {
        int used = b.names + 2 + width_of(&b, b.first);
        for (b.last = b.first + 1; b.last < t->column_count; b.last++) {
            used += 2 + width_of(&b, b.last);
            if (used >= width)
                break;
        }
        printf("\n");
        print_block(&b);
    }
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
    if (t->pictures == 1)
        printf("1 picture: no standard errors, which take two pictures or more\n");
    else
        printf("%d pictures: mean +- standard error\n", t->pictures);
    print_blocks(t, false);
    print_missing(t);
}

void table_print_brief(const struct table *t)
{
    print_blocks(t, true);
}

/* ------------------------------------------------------------------ curves ----------------- */

/* The mean height of a curve. */
static double area(const double *x, const double *y, int count)
{
    double sum = 0;
    for (int i = 1; i < count; i++)
        sum += 0.5 * (y[i] + y[i - 1]) * (x[i] - x[i - 1]);
    return count > 1 && x[count - 1] > x[0] ? sum / (x[count - 1] - x[0]) : count ? y[0] : 0;
}

/* Maps that know nothing are no methods. */
static bool is_blind(const char *row)
{
    return strcmp(row, "random") == 0 || strcmp(row, "centre") == 0;
}

/* Means over the pictures, in place, and the names of the curves: texts [row_count * curves]. The
 * curves of a method share a colour. */
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
            snprintf(names[count], sizeof names[count], "%.40s%s%.30s  %.3f", t->rows[r],
                     sum->curves > 1 ? " " : "", sum->curves > 1 ? m->curve_names[k] : "",
                     area(sum->x, y, sum->points));
            curves[count] = (vitx_curve){names[count], sum->x, y, sum->points,
                                         is_blind(t->rows[r]) ? VITX_CURVE_GREY : r + 1};
            count++;
        }
    }
    return count;
}

/* What the height is, and which way is good; road compares two curves. */
static void y_label(char *text, size_t size, const vitx_metric_info *m)
{
    if (m->curve_count > 1)
        snprintf(text, size, "better the farther apart a method's two curves are");
    else
        snprintf(text, size, "%s; %s is better; behind each name: the mean height",
                 m->curve_names[0], m->higher_is_better ? "higher" : "lower");
}

bool table_plot(const struct table *t, int metric, const char *path)
{
    const vitx_metric_info *m = &t->metrics[metric];
    const size_t most = (size_t)t->row_count * (size_t)m->curve_count;
    int pictures = 0;
    vitx_curve *curves = calloc(most, sizeof *curves);
    char(*names)[80] = calloc(most, sizeof *names);
    vitx_plot_opts opts = VITX_PLOT_OPTS_INIT;
    char title[160], label[160];
    bool written = curves && names;
    for (int r = 0; r < t->row_count; r++) {
        const struct mean_curve *sum = &t->curves[r * t->metric_count + metric];
        pictures = sum->n > pictures ? sum->n : pictures;
    }
    snprintf(title, sizeof title, "%s, %s%d picture%s", m->name, pictures > 1 ? "mean of " : "",
             pictures, pictures == 1 ? "" : "s");
    opts.title = title;
    opts.x_label = m->x_name;
    y_label(label, sizeof label, m);
    opts.y_label = label;
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
