/* cli/eval_plan.c: see eval.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "methods.h"

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

int eval_list_metrics(void)
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

/* ------------------------------------------------------------------ columns ---------------- */

/* What a metric needs that there is none of; NULL: nothing. */
static const char *lacking(const struct eval_settings *o, const vitx_metric_info *m)
{
    if (o->scenes)
        return NULL;
    if (m->needs_mask && !o->mask && o->boxes.count == 0)
        return "--mask or --box";
    return m->needs_other && !o->other ? "--other" : NULL;
}

/* One column, and its metric where it is the first of it. */
static void add_column(struct eval_plan *plan, const vitx_metric_info *m, int value, int group)
{
    struct table *t = &plan->table;
    int at = 0;
    while (at < plan->metrics && strcmp(t->metrics[at].name, m->name) != 0)
        at++;
    if (at == plan->metrics)
        t->metrics[plan->metrics++] = *m;
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].metric == at && t->columns[i].value == value &&
            t->columns[i].group == group)
            return;
    struct column *c = &t->columns[t->column_count++];
    *c = (struct column){
        .metric = at, .value = value, .group = group, .higher = m->higher_is_better != 0};
    snprintf(c->name, sizeof c->name, value ? "%s.%s" : "%s", m->name, m->value_names[value]);
}

/* The columns of a metric's value: over scenes, one for each group that has what it needs. */
static void add_columns_of(struct eval_plan *plan, const vitx_metric_info *m, int value)
{
    if (!plan->settings->scenes) {
        add_column(plan, m, value, GROUP_PICTURES);
        return;
    }
    if (!m->needs_mask)
        add_column(plan, m, value, GROUP_MODEL);
    else if (!m->needs_other)
        add_column(plan, m, value, GROUP_ONE);
    if (m->needs_mask)
        add_column(plan, m, value, GROUP_TWO);
}

/* The columns of one word of --metric. */
static int add_word(struct eval_plan *plan, const char *word)
{
    vitx_metric_info m = VITX_METRIC_INFO_INIT;
    int metric, value;
    if (strcmp(word, "all") != 0) {
        if (find_column(&metric, &value, word) != DONE || vitx_metric_get(&m, metric) != VITX_OK)
            return WRONG_USAGE;
        if (lacking(plan->settings, &m))
            return wrong_usage("--metric %s needs %s", m.name, lacking(plan->settings, &m));
        add_columns_of(plan, &m, value);
        return DONE;
    }
    for (int i = 0; i < vitx_metric_count(); i++)
        if (vitx_metric_get(&m, i) == VITX_OK && !lacking(plan->settings, &m))
            add_columns_of(plan, &m, 0);
    return DONE;
}

/* Where --metric does not say; those that lack something are left out. */
static const char *const usual[] = {"insertion", "deletion", "road",    "pointing", "energy",
                                    "iou",       "roc",      "follows", NULL};
static const char *const usual_of_scenes[] = {"pointing", "energy",    "iou",      "roc",
                                              "follows",  "insertion", "deletion", NULL};

static int add_usual(struct eval_plan *plan)
{
    const char *const *words = plan->settings->scenes ? usual_of_scenes : usual;
    for (; *words; words++) {
        vitx_metric_info m = VITX_METRIC_INFO_INIT;
        int metric, value;
        if (find_column(&metric, &value, *words) != DONE || vitx_metric_get(&m, metric) != VITX_OK)
            return WRONG_USAGE;
        if (!lacking(plan->settings, &m))
            add_columns_of(plan, &m, value);
    }
    return DONE;
}

/* Columns of one group stand side by side. */
static void sort_columns(struct table *t)
{
    for (int i = 1; i < t->column_count; i++) {
        const struct column c = t->columns[i];
        int at = i;
        for (; at > 0 && t->columns[at - 1].group > c.group; at--)
            t->columns[at] = t->columns[at - 1];
        t->columns[at] = c;
    }
}

static int add_columns(struct eval_plan *plan)
{
    const struct list *asked = &plan->settings->metrics;
    struct table *t = &plan->table;
    int status = asked->count ? DONE : add_usual(plan);
    for (int i = 0; i < asked->count && status == DONE; i++)
        status = add_word(plan, asked->items[i]);
    sort_columns(t);
    if (plan->settings->scenes)
        t->columns[t->column_count++] =
            (struct column){.name = "ms", .metric = -1, .group = GROUP_TIME};
    return status;
}

static int create_table(struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    const int named = plan->method_names.count, rows = named + (o->no_baselines ? 0 : BLIND);
    const int words = o->metrics.count > 8 ? o->metrics.count : 8, all = vitx_metric_count();
    struct table *t = &plan->table;
    /* Room for what `all` means in place of each word, in each group. */
    if (!table_create(t, rows, all, words * all * EVAL_GROUPS))
        return SOME_FAILED;
    t->column_count = 0;
    if (add_columns(plan) != DONE)
        return WRONG_USAGE;
    for (int i = 0; i < rows; i++)
        t->rows[i] = i < named ? plan->method_names.items[i] : vitx_blind_name(i - named);
    return DONE;
}

/* ------------------------------------------------------------------ --set ------------------ */

/* Which of the metrics an option METRIC.KEY=VALUE is for; -1: it is for methods. */
static int check_set_of_metric(int *out, const struct eval_plan *plan, const char *text)
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
    if (*out >= 0 || list_has(&plan->method_names, name))
        return DONE;
    return wrong_usage("--set %s: no metric \"%s\" was chosen with --metric, nor a method with "
                       "--method",
                       text, name);
}

/* What over scenes is the default of a metric's option, if it is not that of the metric: a coarser
 * step, and an insertion that does not begin with a blurred picture, which shows the forms that
 * make a scene's classes. */
static const char *scene_default(const struct eval_plan *plan, const char *key)
{
    return strcmp(key, "step") == 0 ? plan->coarse : strcmp(key, "fill") == 0 ? "fill=mean" : NULL;
}

enum { SCENE_DEFAULTS = 2 };

static void add_scene_defaults(struct eval_plan *plan, int metric, const char **sets)
{
    const vitx_metric_info *m = &plan->table.metrics[metric];
    vitx_evaluate_opts *e = &plan->evaluate[metric];
    for (int i = 0; plan->settings->scenes && i < m->option_count; i++)
        if (scene_default(plan, m->options[i].key))
            sets[e->set_count++] = scene_default(plan, m->options[i].key);
}

/* Sorts --set out: what names a metric goes to it without the name, the others to the methods. */
static int sort_sets(struct eval_plan *plan)
{
    const struct list *set = &plan->settings->set;
    const size_t room = (size_t)set->count + SCENE_DEFAULTS;
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
        add_scene_defaults(plan, i, plan->metric_sets + (size_t)i * room);
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

/* ------------------------------------------------------------------ plans ------------------ */

/* Maps of colours are not measured: "all" leaves their methods out. */
static int leave_colours(struct eval_plan *plan)
{
    struct list *methods = &plan->method_names;
    int kept = 0;
    for (int i = 0; i < methods->count; i++) {
        vitx_method_info method;
        if (method_find(&method, methods->items[i]) != DONE)
            return WRONG_USAGE;
        if (method.channels > 0 && list_has(&plan->settings->methods, method.name))
            return wrong_usage("--method %s: its maps are colours, %d numbers per patch, and "
                               "cannot be measured",
                               method.name, method.channels);
        if (method.channels > 0)
            free(methods->items[i]);
        else
            methods->items[kept++] = methods->items[i];
    }
    methods->count = kept;
    return DONE;
}

int eval_plan_create(struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    const struct direction_words words = {o->vector, o->like, o->score, o->text != NULL,
                                          o->target != NULL};
    if (direction_check(&words, "--target") != DONE)
        return WRONG_USAGE;
    if (o->text && text_check(o->text) != DONE)
        return WRONG_USAGE;
    if (o->versus && !o->text)
        return wrong_usage("--versus is for --text");
    if (o->among.count && ((!o->text && o->words == VITX_AUTO) || o->versus))
        return wrong_usage("--among is for --text or --words, without --versus");
    if (o->among.count && o->among_things)
        return wrong_usage("--among and --among-things: one of them");
    int status = choose_methods(&plan->method_names, &plan->settings->methods);
    if (status == DONE && (o->among.count || o->among_things))
        status = check_among(&o->methods, false);
    if (status == DONE)
        status = leave_colours(plan);
    if (status == DONE)
        status = check_set(&plan->settings->set);
    if (status == DONE)
        status = create_table(plan);
    return status == DONE ? sort_sets(plan) : status;
}

/* Whether something stands in place of a class. */
static bool has_direction(const struct eval_settings *o)
{
    return o->vector || o->like || o->text || o->words != VITX_AUTO;
}

/* What stands in place of the text of each object until it is asked for. */
static const char any_text[] = "a thing";

/* --text, --versus, --vector and --like. */
static int give_direction(struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    const struct direction_words words = {o->vector, o->like, o->score, 0, 0};
    const int status = direction_load(&plan->direction, &words, &plan->session, &o->common);
    direction_give(&plan->direction, plan->opts, plan->methods);
    for (int i = 0; i < plan->methods && plan->session.texts; i++) {
        plan->opts[i].texts = plan->session.texts;
        plan->opts[i].text = o->text ? o->text : any_text;
        plan->opts[i].versus_text = o->versus;
    }
    give_among(plan->opts, plan->methods, plan->session.among);
    return status;
}

int eval_plan_methods(struct eval_plan *plan)
{
    enum { STEPS = 8 };
    const struct eval_settings *o = plan->settings;
    const vitx_model_info *m = &plan->session.info;
    vitx_method_info method;
    const int64_t pixels =
        (int64_t)m->grid_height * m->patch_height * m->grid_width * m->patch_width;
    plan->methods = plan->method_names.count;
    plan->target = VITX_AUTO;
    if (o->target && find_class(&plan->target, &plan->session, "target", o->target) != DONE)
        return WRONG_USAGE;
    if (check_range("layer", o->layer, m->depth, "blocks") != DONE)
        return WRONG_USAGE;
    snprintf(plan->coarse, sizeof plan->coarse, "step=%lld",
             (long long)((pixels + STEPS - 1) / STEPS));
    plan->opts = calloc((size_t)plan->methods, sizeof *plan->opts);
    if (!plan->opts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->methods; i++) {
        vitx_explain_opts_init(&plan->opts[i], sizeof plan->opts[i]);
        plan->opts[i].method = plan->method_names.items[i];
        plan->opts[i].target = plan->target;
        plan->opts[i].layer = o->layer;
        if (method_find(&method, plan->opts[i].method) != DONE || !method.uses_target)
            continue;
        plan->opts[i].score = (vitx_score)o->score;
        if (m->units && !o->target && !has_direction(o))
            return wrong_usage("%s explains an answer, and the model has no classes: it needs "
                               "--text, --vector, --like, or as --target a number of the embedding",
                               method.name);
    }
    const int status = give_direction(plan);
    return status == DONE ? give_set(plan->opts, plan->methods, &plan->method_set, &plan->sets)
                          : status;
}

/* Leaves out the methods that cannot explain this model. */
static int keep_able(struct eval_plan *plan)
{
    struct table *t = &plan->table;
    const int before = plan->methods;
    const int status = keep_methods(&plan->session, &plan->settings->methods, plan->opts,
                                    &plan->methods, plan->settings->common.quiet);
    for (int i = 0; i < plan->methods; i++)
        t->rows[i] = plan->opts[i].method;
    for (int i = before; i < t->row_count; i++)
        t->rows[plan->methods + i - before] = t->rows[i];
    t->row_count -= before - plan->methods;
    return status;
}

int eval_plan_check(struct eval_plan *plan)
{
    int status = keep_able(plan);
    if (status == DONE)
        status = check_opts(&plan->session, plan->opts, plan->methods);
    for (int i = 0; i < plan->metrics && status == DONE; i++) {
        plan->evaluate[i].explain = plan->opts;
        plan->evaluate[i].score = (vitx_score)plan->settings->score;
        if (vitx_evaluate_check(plan->session.context, &plan->evaluate[i], 1) == VITX_INVALID)
            status = wrong_usage("%s", reason());
    }
    return status;
}

void eval_plan_announce(const struct eval_plan *plan, int count)
{
    /* Some seconds of a processor; of a tiny model, where other work counts, forwards. */
    enum { LONG = 3000 };
    const double long_flops = 1e12;
    vitx_context *context = plan->session.context;
    int64_t maps = 0, all = 0;
    if (plan->settings->common.quiet ||
        vitx_explain_forwards(&maps, context, plan->opts, plan->methods) != VITX_OK)
        return;
    for (int i = 0; i < plan->metrics; i++) {
        int64_t one = 0;
        if (vitx_evaluate_forwards(&one, context, &plan->evaluate[i], 1) == VITX_OK)
            all += one * plan->table.row_count;
    }
    all += maps;
    const int64_t total = all * count;
    if (total < LONG && (double)total * (double)plan->session.info.flops < long_flops)
        return;
    if (count > 1)
        complain("eval", "about %lld forward passes for each picture, %lld in all", (long long)all,
                 (long long)total);
    else
        complain("eval", "about %lld forward passes", (long long)all);
}

void eval_plan_free(struct eval_plan *plan)
{
    session_close(&plan->session);
    table_free(&plan->table);
    direction_free(&plan->direction);
    list_free(&plan->method_names);
    free(plan->opts);
    free(plan->sets);
    free(plan->evaluate);
    free(plan->metric_sets);
    free(plan->method_set.items);
    free(plan->boxes);
}
