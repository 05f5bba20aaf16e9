/* cli/eval_curves.c: see eval.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "outputs.h"

/* How many of the metrics have curves, and their names: "insertion, deletion, road". */
static int count_curves(char *names, size_t size, const struct eval_plan *plan)
{
    int n = 0;
    size_t length = 0;
    *names = '\0';
    for (int i = 0; i < plan->metrics; i++) {
        const vitx_metric_info *m = &plan->table.metrics[i];
        if (m->curve_count == 0)
            continue;
        if (length < size)
            length +=
                (size_t)snprintf(names + length, size - length, "%s%s", n ? ", " : "", m->name);
        n++;
    }
    return n;
}

/* What to type is in the message: OUT with the field before its ending, which starts at `dot`. */
static int refuse_one_name(const char *out, const char *dot, const char *names)
{
    return wrong_usage("--curves %s: several metrics have curves (%s): --curves '%.*s.{metric}%s' "
                       "writes a file of each, --metric chooses one",
                       out, names, (int)(dot - out), out, dot);
}

int eval_curves_check(const struct eval_plan *plan)
{
    const char *out = plan->settings->curves, *dot = out ? strrchr(out, '.') : NULL;
    char names[256];
    if (!out)
        return DONE;
    if (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".npy") != 0))
        return wrong_usage("--curves %s: the name must end in .png or .npy", out);
    const int n = count_curves(names, sizeof names, plan);
    if (n == 0)
        return wrong_usage("--curves: the chosen metrics have no curves");
    return n == 1 || strstr(out, "{metric}") ? DONE : refuse_one_name(out, dot, names);
}

char *eval_curves_name(const char *out, const char *metric)
{
    const char *field = strstr(out, "{metric}");
    const size_t size = strlen(out) + strlen(metric) + 1;
    char *name = malloc(size);
    if (name && field)
        snprintf(name, size, "%.*s%s%s", (int)(field - out), out, metric,
                 field + strlen("{metric}"));
    else if (name)
        snprintf(name, size, "%s", out);
    return name;
}

int eval_curves_write(const struct eval_plan *plan)
{
    const char *out = plan->settings->curves;
    int status = DONE;
    for (int i = 0; out && i < plan->metrics; i++) {
        if (plan->table.metrics[i].curve_count == 0)
            continue;
        char *name = eval_curves_name(out, plan->table.metrics[i].name);
        if (!name)
            complain(NULL, "no memory");
        if (!name || !make_folders(name) || !table_plot(&plan->table, i, name))
            status = SOME_FAILED;
        free(name);
    }
    return status;
}
