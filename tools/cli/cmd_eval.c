/*
 * cli/cmd_eval.c: is a map right: metrics of methods, over pictures.
 *
 * Picture after picture: all its maps come out of one vitx_explain_many, and each is measured by one
 * vitx_evaluate_many; so are two maps that know nothing, to compare with. What fails for one picture is
 * reported and left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval_mask.h"
#include "eval_table.h"
#include "methods.h"
#include "outputs.h"
#include "progress.h"

enum { BLIND = 2 }; /* how many blind maps there are */

struct settings {
    struct common common;
    struct list methods, metrics, set, boxes;
    const char *target, *mask, *curves;
    int layer;
    bool json, no_baselines, list;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS, .layer = VITX_AUTO};

#define AT(member) .offset = offsetof(struct settings, member)
static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     AT(methods),
     .value = "NAME[,NAME...]",
     .help = "methods to measure; vitx-cli methods lists them"},
    {.name = "metric",
     .kind = OPTION_NAMES,
     AT(metrics),
     .value = "NAME[,NAME...]",
     .help = "metrics (default insertion,deletion,road), or all; see --list",
     .more =
         "NAME.VALUE is another number of a metric, as road.morf. With --mask or --box the default "
         "has pointing,\n"
         "energy,iou,roc as well; without them, all is what needs no mask."},
    {.name = "target",
     .kind = OPTION_TEXT,
     AT(target),
     .value = "N|LABEL",
     .help = "class to explain (default: each picture's top class)"},
    {.name = "layer",
     .kind = OPTION_INT,
     AT(layer),
     .value = "L",
     .low = 0,
     .high = 1000000,
     .help = "block to explain (default: the method's own)"},
    {.name = "mask",
     .kind = OPTION_TEXT,
     AT(mask),
     .value = "FILE",
     .help = "picture of where the object is: what is not black",
     .more = "It has the size of the picture. {image} in the name stands for the picture's name "
             "without "
             "folder and\n"
             "ending: --mask 'masks/{image}.png'."},
    {.name = "box",
     .kind = OPTION_LIST,
     AT(boxes),
     .value = "X0,Y0,X1,Y1",
     .help = "or a box, repeatable: pixels of the picture"},
    {.name = "set",
     .kind = OPTION_LIST,
     AT(set),
     .value = "[METRIC.]KEY=VALUE",
     .help = "option of a metric, or of the methods, repeatable",
     .more = "--set deletion.step=1792 is the metric's, --set discard=0.9 goes to the methods that "
             "have "
             "it."},
    {.name = "curves",
     .kind = OPTION_TEXT,
     AT(curves),
     .value = "OUT",
     .help = "file for the mean curves: .png or .npy",
     .more = "{metric} in the name stands for the metric, and is needed where several have curves. "
             "Rows of an npy:\n"
             "where the points lie, then a curve (road: two) for each row of the table."},
    {.name = "no-baselines",
     .kind = OPTION_FLAG,
     AT(no_baselines),
     .help = "without the maps that know nothing: random, and the centre"},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .help = "one JSON object a picture and method, one a line",
     .more = "{\"image\",\"method\",\"target\",\"label\",\"probability\",\"values\":{NAME:number}},"
             " with "
             "all numbers of the\n"
             "metrics; what could not be measured is missing."},
    {.name = "list", .kind = OPTION_FLAG, AT(list), .help = "lists the metrics with their options"},
};

struct plan {
    const struct settings *settings;
    struct session session;
    vitx_explain_opts *opts;      /* [methods] */
    const char **sets;            /* of opts */
    vitx_evaluate_opts *evaluate; /* [metrics] */
    const char **metric_sets;     /* [metrics, set.count] */
    struct list method_set;       /* borrowed texts */
    struct box *boxes;
    struct table table;
    int target, methods, metrics;
};

/* What one picture has. */
struct work {
    const struct plan *plan;
    const char *name;
    vitx_image *image;
    struct mask mask;
    vitx_map **maps;           /* [table.row_count] */
    bool *reported;            /* [metrics]: a failure of this picture */
    vitx_evaluate_opts *opts;  /* [metrics]: of one call */
    int *which;                /* [metrics]: where these are in the plan */
    vitx_evaluation **results; /* [metrics] */
    int status;
};

/* ------------------------------------------------------------------ metrics ---------------- */

static const char *metric_name(int index)
{
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    return index < vitx_metric_count() && vitx_metric_get(&m, index) == VITX_OK ? m.name : NULL;
}

static void print_metric(const vitx_metric_info *m)
{
    enum { FACT = 15 };
    printf("%s\n", m->name);
    put_wrapped(m->summary, 4, 0);
    put_wrapped(m->higher_is_better ? "higher values" : "lower values", FACT,
                printf("    better     "));
    put_wrapped(m->cost, FACT, printf("    cost       "));
    put_wrapped(m->reference, FACT, printf("    reference  "));
    if (m->needs_mask)
        put_wrapped("a mask: --mask or --box", FACT, printf("    needs      "));
    for (int i = 1; i < m->value_count; i++)
        printf(i == 1 ? "    also       %s.%s" : ", %s.%s", m->name, m->value_names[i]);
    printf(m->value_count > 1 ? "\n" : "");
    for (int i = 0; i < m->option_count; i++) {
        const vitx_method_option *o = &m->options[i];
        printf("    --set %s.%s=%s  (%s)\n", m->name, o->key, o->fallback, o->values);
        put_wrapped(o->help, FACT, 0);
    }
}

static int list_metrics(void)
{
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    for (int i = 0; i < vitx_metric_count(); i++) {
        if (vitx_metric_get(&m, i) != VITX_OK) {
            complain_last(NULL);
            return SOME_FAILED;
        }
        printf(i ? "\n" : "");
        print_metric(&m);
    }
    return DONE;
}

/* Splits METRIC[.VALUE]: the metric's place among all, and the value's. */
static int find_column(int *metric, int *value, const char *text)
{
    char name[64];
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    const size_t length = strcspn(text, ".");
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
    if (find_name(metric, name, metric_name, "metric") != DONE)
        return WRONG_USAGE;
    *value = 0;
    if (text[length] == '\0')
        return DONE;
    if (vitx_metric_get(&m, *metric) != VITX_OK)
        return WRONG_USAGE;
    for (int i = 1; i < m.value_count; i++)
        if (strcmp(m.value_names[i], text + length + 1) == 0) {
            *value = i;
            return DONE;
        }
    return wrong_usage("metric %s has no value \"%s\"; vitx-cli eval --list lists them", name,
                       text + length + 1);
}

static bool has_mask(const struct settings *o)
{
    return o->mask || o->boxes.count > 0;
}

/* One column, and its metric where it is the first of it. */
static void add_column(struct plan *plan, int metric, int value)
{
    struct table *t = &plan->table;
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    int at = 0;
    if (vitx_metric_get(&m, metric) != VITX_OK)
        return;
    while (at < plan->metrics && strcmp(t->metrics[at].name, m.name) != 0)
        at++;
    if (at == plan->metrics)
        t->metrics[plan->metrics++] = m;
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].metric == at && t->columns[i].value == value)
            return;
    struct column *c = &t->columns[t->column_count++];
    *c = (struct column){.metric = at, .value = value, .higher = m.higher_is_better != 0};
    snprintf(c->name, sizeof c->name, value ? "%s.%s" : "%s", m.name, m.value_names[value]);
}

/* The columns of one word of --metric. */
static int add_word(struct plan *plan, const char *word)
{
    const struct settings *o = plan->settings;
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    int metric, value;
    if (strcmp(word, "all") != 0) {
        if (find_column(&metric, &value, word) != DONE || vitx_metric_get(&m, metric) != VITX_OK)
            return WRONG_USAGE;
        if (m.needs_mask && !has_mask(o))
            return wrong_usage("--metric %s needs --mask or --box", m.name);
        add_column(plan, metric, value);
        return DONE;
    }
    for (int i = 0; i < vitx_metric_count(); i++)
        if (vitx_metric_get(&m, i) == VITX_OK && (!m.needs_mask || has_mask(o)))
            add_column(plan, i, 0);
    return DONE;
}

static const char *const usual[] = {"insertion", "deletion", "road", NULL};
static const char *const usual_with_mask[] = {"pointing", "energy", "iou", "roc", NULL};

static int add_columns(struct plan *plan)
{
    const struct list *asked = &plan->settings->metrics;
    int status = DONE;
    for (int i = 0; i < asked->count && status == DONE; i++)
        status = add_word(plan, asked->items[i]);
    for (int i = 0; asked->count == 0 && usual[i] && status == DONE; i++)
        status = add_word(plan, usual[i]);
    for (int i = 0;
         asked->count == 0 && has_mask(plan->settings) && usual_with_mask[i] && status == DONE; i++)
        status = add_word(plan, usual_with_mask[i]);
    return status;
}

/* ------------------------------------------------------------------ checks ----------------- */

static int create_table(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const int rows = o->methods.count + (o->no_baselines ? 0 : BLIND);
    const int words = o->metrics.count > 8 ? o->metrics.count : 8, all = vitx_metric_count();
    struct table *t = &plan->table;
    /* Room for what `all` means in place of each word. */
    if (!table_create(t, rows, all, words * all))
        return SOME_FAILED;
    t->column_count = 0;
    if (add_columns(plan) != DONE)
        return WRONG_USAGE;
    for (int i = 0; i < rows; i++)
        t->rows[i] =
            i < o->methods.count ? o->methods.items[i] : vitx_blind_name(i - o->methods.count);
    return DONE;
}

/* Which of the metrics an option METRIC.KEY=VALUE is for; -1: it is for methods. */
static int check_set_of_metric(int *out, const struct plan *plan, const char *text)
{
    const size_t length = strcspn(text, ".=");
    char name[64];
    *out = -1;
    if (text[length] != '.')
        return DONE;
    snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), text);
    for (int i = 0; i < plan->metrics; i++)
        if (strcmp(plan->table.metrics[i].name, name) == 0)
            *out = i;
    return *out >= 0
               ? DONE
               : wrong_usage("--set %s: no metric \"%s\" was chosen with --metric", text, name);
}

/* Sorts --set out: texts behind the dot to their metric, the others to the methods. */
static int sort_sets(struct plan *plan)
{
    const struct list *set = &plan->settings->set;
    const size_t room = (size_t)set->count + 1;
    plan->evaluate = calloc((size_t)plan->metrics, sizeof *plan->evaluate);
    plan->metric_sets = calloc((size_t)plan->metrics * room, sizeof *plan->metric_sets);
    plan->method_set.items = calloc(room, sizeof *plan->method_set.items);
    if (!plan->evaluate || !plan->metric_sets || !plan->method_set.items) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->metrics; i++) {
        vitx_evaluate_opts_init(&plan->evaluate[i], sizeof plan->evaluate[i]);
        plan->evaluate[i].metric = plan->table.metrics[i].name;
        plan->evaluate[i].set = plan->metric_sets + (size_t)i * room;
    }
    for (int k = 0; k < set->count; k++) {
        int metric;
        if (check_set_of_metric(&metric, plan, set->items[k]) != DONE)
            return WRONG_USAGE;
        if (metric < 0)
            plan->method_set.items[plan->method_set.count++] = set->items[k];
        else
            plan->metric_sets[(size_t)metric * room + (size_t)plan->evaluate[metric].set_count++] =
                strchr(set->items[k], '.') + 1;
    }
    return DONE;
}

/* How many of the metrics have curves. */
static int count_curves(const struct plan *plan)
{
    int n = 0;
    for (int i = 0; i < plan->metrics; i++)
        n += plan->table.metrics[i].curve_count > 0;
    return n;
}

static int check_curves(const struct plan *plan)
{
    const char *out = plan->settings->curves, *dot = out ? strrchr(out, '.') : NULL;
    if (!out)
        return DONE;
    if (!dot || (strcmp(dot, ".png") != 0 && strcmp(dot, ".npy") != 0))
        return wrong_usage("--curves %s: the name must end in .png or .npy", out);
    if (count_curves(plan) == 0)
        return wrong_usage("--curves: the chosen metrics have no curves");
    if (count_curves(plan) > 1 && !strstr(out, "{metric}"))
        return wrong_usage(
            "--curves %s: several metrics have curves; {metric} in the name tells them "
            "apart",
            out);
    return DONE;
}

/* "curves/{metric}.png" for a metric; to be freed. */
static char *curves_name(const char *out, const char *metric)
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

/* No file of curves may be a picture, or the mask. */
static int check_replaced(const struct plan *plan, char **files, int count)
{
    const struct settings *o = plan->settings;
    struct pictures pictures;
    int status = DONE;
    if (!o->curves)
        return DONE;
    if (!pictures_know(&pictures, files, count, o->mask))
        return SOME_FAILED;
    for (int i = 0; i < plan->metrics && status == DONE; i++) {
        char *name = curves_name(o->curves, plan->table.metrics[i].name);
        if (!name) {
            complain(NULL, "no memory");
            status = SOME_FAILED;
        } else if (pictures_have(&pictures, name)) {
            status = wrong_usage("%s: curves would replace the picture", name);
        }
        free(name);
    }
    pictures_free(&pictures);
    return status;
}

static int check_boxes(struct plan *plan)
{
    const struct list *boxes = &plan->settings->boxes;
    if (plan->settings->mask && boxes->count)
        return wrong_usage("--mask and --box: one of them");
    plan->boxes = calloc((size_t)boxes->count + 1, sizeof *plan->boxes);
    if (!plan->boxes) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < boxes->count; i++)
        if (parse_box(&plan->boxes[i], boxes->items[i]) != DONE)
            return WRONG_USAGE;
    return DONE;
}

/* What needs no model. */
static int check_settings(struct plan *plan, char **files, int count)
{
    const struct settings *o = plan->settings;
    if (count == 0)
        return wrong_usage("needs at least one picture");
    if (!o->common.model)
        return wrong_usage("needs -m MODEL");
    if (o->methods.count == 0)
        return wrong_usage("needs --method NAME; vitx-cli methods lists them");
    for (int i = 0; i < o->methods.count; i++) {
        vitx_method_info m;
        if (method_find(&m, o->methods.items[i]) != DONE)
            return WRONG_USAGE;
    }
    if (check_set(&o->set) != DONE)
        return WRONG_USAGE;
    int status = check_boxes(plan);
    if (status == DONE)
        status = create_table(plan);
    if (status == DONE)
        status = sort_sets(plan);
    if (status == DONE)
        status = check_curves(plan);
    return status == DONE ? check_replaced(plan, files, count) : status;
}

/* One of opts for each method. */
static int fill_opts(struct plan *plan)
{
    const struct settings *o = plan->settings;
    plan->methods = o->methods.count;
    plan->target = VITX_AUTO;
    if (o->target && find_class(&plan->target, &plan->session, "target", o->target) != DONE)
        return WRONG_USAGE;
    if (check_range("layer", o->layer, plan->session.info.depth, "blocks") != DONE)
        return WRONG_USAGE;
    plan->opts = calloc((size_t)plan->methods, sizeof *plan->opts);
    if (!plan->opts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->methods; i++) {
        vitx_explain_opts_init(&plan->opts[i], sizeof plan->opts[i]);
        plan->opts[i].method = o->methods.items[i];
        plan->opts[i].target = plan->target;
        plan->opts[i].layer = o->layer;
    }
    return give_set(plan->opts, plan->methods, &plan->method_set, &plan->sets);
}

/* Values of the metrics' options. */
static int check_metrics(struct plan *plan)
{
    for (int i = 0; i < plan->metrics; i++) {
        plan->evaluate[i].explain = plan->opts;
        if (vitx_evaluate_check(plan->session.context, &plan->evaluate[i], 1) == VITX_INVALID)
            return wrong_usage("%s", vitx_last_error());
    }
    return DONE;
}

/* ------------------------------------------------------------------ one picture ------------ */

static void print_json(const struct work *w, int row, int m)
{
    vitx_map_info map = VITX_MAP_INFO_INIT;
    const char *before = "";
    if (vitx_map_get_info(&map, w->maps[row]) != VITX_OK)
        return;
    printf("{\"image\":");
    json_text(w->name);
    printf(",\"method\":\"%s\",\"target\":%d,\"label\":", map.method, map.target);
    json_text(vitx_model_label(w->plan->session.model, map.target));
    printf(",\"probability\":%.9g,\"values\":{", (double)map.probability);
    for (int j = 0; j < m; j++) {
        vitx_evaluation_info e = VITX_EVALUATION_INFO_INIT;
        const vitx_metric_info *metric = &w->plan->table.metrics[w->which[j]];
        if (!w->results[j] || vitx_evaluation_get_info(&e, w->results[j]) != VITX_OK)
            continue;
        for (int v = 0; v < e.value_count; v++, before = ",")
            printf("%s\"%s%s%s\":%.9g", before, metric->name, v ? "." : "",
                   v ? metric->value_names[v] : "", e.values[v]);
    }
    printf("}}\n");
}

/* Says once a picture why a metric failed. */
static void report(struct work *w, int metric)
{
    if (!w->reported[metric])
        complain(w->name, "%s: %s", w->plan->evaluate[metric].metric, vitx_last_error());
    w->reported[metric] = true;
    w->status = SOME_FAILED;
}

/* The metrics that a row can be measured by, into opts and which; those that failed before for any map of this
 * picture are tried again, since it may have been the map's fault. */
static int choose_metrics(struct work *w, int row)
{
    const struct plan *plan = w->plan;
    int m = 0;
    for (int j = 0; j < plan->metrics; j++) {
        if (plan->table.metrics[j].needs_explain && row >= plan->methods)
            continue;
        w->opts[m] = plan->evaluate[j];
        w->opts[m].explain = row < plan->methods ? &plan->opts[row] : NULL;
        w->opts[m].mask = w->mask.inside;
        w->opts[m].mask_height = w->mask.height;
        w->opts[m].mask_width = w->mask.width;
        w->which[m++] = j;
    }
    return m;
}

/* All metrics of one map; where that fails, those that are missing one by one. */
static int measure(struct work *w, int row)
{
    const struct plan *plan = w->plan;
    const int m = choose_metrics(w, row);
    vitx_context *c = plan->session.context;
    int code = m ? vitx_evaluate_many(w->results, c, w->image, w->maps[row], w->opts, m) : VITX_OK;
    for (int j = 0; j < m && code != VITX_OK && code != VITX_CANCELLED; j++) {
        if (w->results[j])
            continue;
        const int one = vitx_evaluate(&w->results[j], c, w->image, w->maps[row], &w->opts[j]);
        if (one == VITX_CANCELLED)
            code = one;
        else if (one != VITX_OK)
            report(w, w->which[j]);
    }
    return code == VITX_CANCELLED ? code : m;
}

static void count_row(struct work *w, struct table *t, int row, int m)
{
    if (w->plan->settings->json) {
        progress_before_results();
        print_json(w, row, m);
    }
    for (int j = 0; j < m; j++) {
        vitx_evaluation_info info = VITX_EVALUATION_INFO_INIT;
        if (w->results[j] && (vitx_evaluation_get_info(&info, w->results[j]) != VITX_OK ||
                              !table_add(t, row, w->which[j], &info)))
            w->status = SOME_FAILED;
    }
}

/* The maps of the methods; where that fails, of those that can be made. */
static int make_maps(struct work *w, int index)
{
    const struct plan *plan = w->plan;
    vitx_context *c = plan->session.context;
    const vitx_image *images[] = {w->image};
    int code = vitx_explain_many(w->maps, c, images, 1, plan->opts, plan->methods);
    for (int i = 0; i < plan->methods && code != VITX_OK && code != VITX_CANCELLED; i++) {
        const int one =
            w->maps[i] ? VITX_OK : vitx_explain(&w->maps[i], c, w->image, &plan->opts[i]);
        if (one == VITX_CANCELLED)
            return one;
        if (one != VITX_OK) {
            complain(w->name, "%s: %s", plan->opts[i].method, vitx_last_error());
            w->status = SOME_FAILED;
        }
    }
    for (int i = plan->methods; i < plan->table.row_count && code != VITX_CANCELLED; i++) {
        code = vitx_map_blind(&w->maps[i], c, w->image, (vitx_blind)(i - plan->methods), index,
                              plan->target);
        if (code != VITX_OK && code != VITX_CANCELLED) {
            complain_last(w->name);
            w->status = SOME_FAILED;
        }
    }
    return code == VITX_CANCELLED ? code : VITX_OK;
}

static bool load(struct work *w, const char *file)
{
    const struct plan *plan = w->plan;
    const struct settings *o = plan->settings;
    w->name = file;
    if (!image_load(&w->image, file, &o->common))
        return false;
    if (o->boxes.count)
        return mask_of_boxes(&w->mask, w->image, plan->boxes, o->boxes.count);
    if (!o->mask)
        return true;
    char *name = output_name(o->mask, file, "", VITX_AUTO, VITX_EXPLAINED_CLASS);
    if (!name)
        complain(file, "no memory");
    const bool loaded = name && mask_of_file(&w->mask, name, &o->common);
    free(name);
    return loaded;
}

static void clear(struct work *w)
{
    for (int i = 0; i < w->plan->table.row_count; i++) {
        vitx_map_free(w->maps[i]);
        w->maps[i] = NULL;
    }
    memset(w->reported, 0, (size_t)w->plan->metrics * sizeof *w->reported);
    vitx_image_free(w->image);
    w->image = NULL;
    mask_free(&w->mask);
}

/* Picture `index` of the `total`. */
static void evaluate_picture(struct work *w, struct table *t, const char *file, int index)
{
    const int rows = t->row_count;
    if (!load(w, file)) {
        w->status = SOME_FAILED;
        return;
    }
    progress_step(index * (rows + 1), 1, file);
    int code = make_maps(w, index);
    for (int row = 0; row < rows && code != VITX_CANCELLED; row++) {
        if (!w->maps[row])
            continue;
        progress_step(index * (rows + 1) + 1 + row, 1, file);
        const int m = measure(w, row);
        code = m < 0 ? m : VITX_OK;
        if (code == VITX_OK)
            count_row(w, t, row, m);
        for (int j = 0; j < w->plan->metrics; j++) {
            vitx_evaluation_free(w->results[j]);
            w->results[j] = NULL;
        }
    }
    t->pictures += code != VITX_CANCELLED;
}

/* ------------------------------------------------------------------ all pictures ----------- */

static bool work_create(struct work *w, const struct plan *plan)
{
    const size_t m = (size_t)plan->metrics;
    *w = (struct work){.plan = plan};
    w->maps = calloc((size_t)plan->table.row_count, sizeof(vitx_map *));
    w->reported = calloc(m, sizeof *w->reported);
    w->opts = calloc(m, sizeof *w->opts);
    w->which = calloc(m, sizeof *w->which);
    w->results = calloc(m, sizeof(vitx_evaluation *));
    if (w->maps && w->reported && w->opts && w->which && w->results)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void work_free(struct work *w)
{
    free(w->maps);
    free(w->reported);
    free(w->opts);
    free(w->which);
    free(w->results);
}

static int write_curves(const struct plan *plan)
{
    const char *out = plan->settings->curves;
    int status = DONE;
    for (int i = 0; out && i < plan->metrics; i++) {
        if (plan->table.metrics[i].curve_count == 0)
            continue;
        char *name = curves_name(out, plan->table.metrics[i].name);
        if (!name)
            complain(NULL, "no memory");
        if (!name || !make_folders(name) || !table_plot(&plan->table, i, name))
            status = SOME_FAILED;
        free(name);
    }
    return status;
}

/* Ctrl-C ends the work on pictures; what was measured until then is still printed. */
static int evaluate(struct plan *plan, char **files, int count)
{
    struct work w;
    const bool ready = work_create(&w, plan);
    if (!ready)
        w.status = SOME_FAILED;
    progress_begin(&plan->settings->common, count * (plan->table.row_count + 1));
    for (int i = 0; ready && i < count && output_works(); i++) {
        if (progress_cancelled()) {
            w.status = SOME_FAILED;
            break;
        }
        evaluate_picture(&w, &plan->table, files[i], i);
        clear(&w);
    }
    progress_hide();
    work_free(&w);
    if (plan->table.pictures == 0)
        return SOME_FAILED;
    if (!plan->settings->json)
        table_print(&plan->table);
    return write_curves(plan) == DONE ? w.status : SOME_FAILED;
}

static int run(const void *settings, char **files, int count)
{
    struct plan plan = {.settings = settings};
    const struct settings *o = settings;
    if (o->list)
        return list_metrics();
    int status = check_settings(&plan, files, count);
    if (status == DONE)
        status = session_open(&plan.session, &o->common);
    if (status == DONE)
        status = fill_opts(&plan);
    if (status == DONE)
        status = session_start(&plan.session, &o->common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = check_opts(&plan.session, plan.opts, plan.methods);
    if (status == DONE)
        status = check_metrics(&plan);
    if (status == DONE)
        status = evaluate(&plan, files, count);
    session_close(&plan.session);
    table_free(&plan.table);
    free(plan.opts);
    free(plan.sets);
    free(plan.evaluate);
    free(plan.metric_sets);
    free(plan.method_set.items);
    free(plan.boxes);
    return status;
}

const struct command cmd_eval = {
    .name = "eval",
    .summary = "Says whether maps are right: metrics of methods, over pictures.",
    .usage = "-m MODEL --method NAME [OPTIONS] IMAGE...",
    .details = "Prints a table, a line for each method: means over the pictures, with their "
               "standard errors, of "
               "how soon\n"
               "the answer appears or goes in the map's order, and where there is a mask, of how "
               "well the map "
               "finds the\n"
               "object. Two maps that know nothing stand below, of random numbers and of the "
               "centre: a method "
               "has to beat\n"
               "them. docs/evaluation.md says what each metric can tell. A picture that fails is "
               "reported and "
               "left out.\n"
               "\n"
               "  vitx-cli eval -m deit_tiny --method rollout,generic,gradcam *.jpg\n"
               "  vitx-cli eval -m deit_tiny --method generic --metric all --mask "
               "'masks/{image}.png' *.jpg\n"
               "  vitx-cli eval -m deit_tiny --method generic --metric deletion --set "
               "deletion.step=1792 \\\n"
               "      --curves deletion.png --json *.jpg > values.jsonl",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
