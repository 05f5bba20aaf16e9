/* cli/eval_case.c: see eval.h. */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "methods.h"
#include "progress.h"

bool eval_case_create(struct eval_case *c, const struct eval_plan *plan)
{
    const size_t m = (size_t)plan->metrics;
    *c = (struct eval_case){.plan = plan};
    c->reported = calloc(m, sizeof *c->reported);
    c->opts = calloc(m, sizeof *c->opts);
    c->which = calloc(m, sizeof *c->which);
    c->results = calloc(m, sizeof(vitx_evaluation *));
    if (c->reported && c->opts && c->which && c->results)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void free_results(struct eval_case *c)
{
    for (int j = 0; j < c->count; j++) {
        vitx_evaluation_free(c->results[j]);
        c->results[j] = NULL;
    }
    c->count = 0;
}

void eval_case_free(struct eval_case *c)
{
    free_results(c);
    free(c->reported);
    free(c->opts);
    free(c->which);
    free(c->results);
}

void eval_case_begin(struct eval_case *c, const char *name, const vitx_image *image)
{
    c->name = name;
    c->image = image;
    c->groups = 1u << GROUP_PICTURES;
    c->said[0] = '\0';
    memset(c->reported, 0, (size_t)c->plan->metrics * sizeof *c->reported);
}

/* ------------------------------------------------------------------ maps ------------------- */

int eval_case_explain(struct eval_case *c, vitx_map **maps, const vitx_explain_opts *opts, int m)
{
    vitx_context *context = c->plan->session.context;
    int code = m ? vitx_explain_many(maps, context, &c->image, 1, opts, m) : VITX_OK;
    if (code == VITX_OK || code == VITX_CANCELLED)
        return code;
    char **reasons = calloc((size_t)m, sizeof *reasons);
    int one = VITX_OK;
    for (int i = 0; i < m && one != VITX_CANCELLED; i++) {
        one = maps[i] ? VITX_OK : vitx_explain(&maps[i], context, c->image, &opts[i]);
        if (one == VITX_OK || one == VITX_CANCELLED)
            continue;
        if (reasons)
            reasons[i] = strdup(reason());
        snprintf(c->said, sizeof c->said, "%s", reason());
        c->status = SOME_FAILED;
    }
    if (reasons)
        report_reasons(reasons, opts, m, c->name);
    free(reasons);
    return one == VITX_CANCELLED ? one : VITX_OK;
}

int eval_case_blind(struct eval_case *c, vitx_map **map, int row, int seed, int target)
{
    const int code = vitx_map_blind(map, c->plan->session.context, c->image,
                                    (vitx_blind)(row - c->plan->methods), seed, target);
    if (code == VITX_OK || code == VITX_CANCELLED)
        return code;
    if (strcmp(reason(), c->said) != 0)
        complain_last(c->name);
    snprintf(c->said, sizeof c->said, "%s", reason());
    c->status = SOME_FAILED;
    return VITX_OK;
}

/* ------------------------------------------------------------------ metrics ---------------- */

/* Says once a picture why a metric failed. */
static void report(struct eval_case *c, int metric)
{
    if (!c->reported[metric])
        complain_of(c->name, c->plan->evaluate[metric].metric, reason());
    c->reported[metric] = true;
    c->status = SOME_FAILED;
}

/* Whether a metric has a column that the case counts for. */
static bool is_asked(const struct eval_case *c, int metric)
{
    const struct table *t = &c->plan->table;
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].metric == metric && (c->groups >> t->columns[i].group & 1))
            return true;
    return false;
}

/* The metrics that a row can be measured by, into opts and which; those that failed before for any
 * map of this picture are tried again, since it may have been the map's fault. */
static void choose_metrics(struct eval_case *c, int row)
{
    const struct eval_plan *plan = c->plan;
    for (int j = 0; j < plan->metrics; j++) {
        if ((plan->table.metrics[j].needs_explain && row >= plan->methods) || !is_asked(c, j))
            continue;
        vitx_evaluate_opts *o = &c->opts[c->count];
        *o = plan->evaluate[j];
        /* A blind map follows the vector that the methods' maps explain. */
        o->explain = &plan->opts[row < plan->methods ? row : 0];
        o->mask = c->mask.inside;
        o->mask_height = c->mask.height;
        o->mask_width = c->mask.width;
        o->other = c->other.inside;
        c->which[c->count++] = j;
    }
}

static void count_results(struct eval_case *c, struct table *t, int row)
{
    for (int j = 0; j < c->count; j++) {
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        if (c->results[j] && (vitx_evaluation_get_info(&info, c->results[j]) != VITX_OK ||
                              !table_add(t, row, c->which[j], c->groups, &info)))
            c->status = SOME_FAILED;
    }
}

/* All metrics at once; where that fails, those that are missing one by one. */
int eval_case_measure(struct eval_case *c, struct table *t, const vitx_map *map, int row)
{
    vitx_context *context = c->plan->session.context;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    free_results(c);
    choose_metrics(c, row);
    if (vitx_map_get_info(&info, map) == VITX_OK && !c->plan->settings->common.quiet)
        warn_of_nothing(&info, c->name, "it is not measured");
    int code = c->count ? vitx_evaluate_many(c->results, context, c->image, map, c->opts, c->count)
                        : VITX_OK;
    for (int j = 0; j < c->count && code != VITX_OK && code != VITX_CANCELLED; j++) {
        if (c->results[j])
            continue;
        const int one = vitx_evaluate(&c->results[j], context, c->image, map, &c->opts[j]);
        if (one == VITX_CANCELLED)
            return one;
        if (one != VITX_OK)
            report(c, c->which[j]);
    }
    if (code == VITX_CANCELLED)
        return code;
    count_results(c, t, row);
    return VITX_OK;
}
