/*
 * cli/explain_plan.c: from the options of explain to all the ways in which each picture is
 * explained.
 *
 * Everything that can be wrong with the command line is found before the first picture is opened,
 * and all but the values of --set before the weights are read.
 */
#include "explain.h"
#include "inputs.h"
#include "labels.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ checks ----------------- */

static struct direction_words words_of(const struct explain_settings *o)
{
    return (struct direction_words){o->vector, o->like, o->score, o->texts.count,
                                    (o->targets.count > 0) + (o->units.count > 0)};
}

/* --scale: a name, or the values at both ends. */
static int parse_scale(vitx_scale *scale, float *low, float *high, const char *text)
{
    static const char *const names[] = {"auto", "max", "minmax", "p99", "signed", "signed-p99"};
    char *end;
    *scale = VITX_SCALE_AUTO;
    for (int i = 0; text && i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], text) == 0) {
            *scale = (vitx_scale)i;
            return DONE;
        }
    if (!text || strcmp(text, "shared") == 0)
        return DONE;
    *scale = VITX_SCALE_RANGE;
    *low = strtof(text, &end);
    const bool pair = end != text && *end == ',' && end[1];
    *high = pair ? strtof(end + 1, &end) : 0;
    if (pair && *end == '\0' && isfinite(*low) && isfinite(*high) && *low < *high)
        return DONE;
    return wrong_usage(
        "--scale is \"%s\", it takes auto, max, minmax, p99, signed, signed-p99, shared, or two "
        "numbers LOW,HIGH",
        text);
}

static int check_out(const struct explain_settings *o)
{
    int index;
    if (o->format && find_name(&index, o->format, format_name, "format") != DONE)
        return WRONG_USAGE;
    if (o->json && strcmp(o->out, "-") == 0)
        return wrong_usage("--json and -o -: one of them");
    if (o->skip_existing && strcmp(o->out, "-") == 0)
        return wrong_usage("--skip-existing is for files");
    return check_pattern(o->out, o->format);
}

int explain_check(const struct explain_settings *o, int files)
{
    vitx_scale scale;
    float low, high;
    if (parse_scale(&scale, &low, &high, o->scale) != DONE)
        return WRONG_USAGE;
    if (files == 0)
        return wrong_usage("needs at least one picture");
    if (!o->out && !o->json)
        return wrong_usage("needs -o OUT, or --json");
    if (o->out && check_out(o) != DONE)
        return WRONG_USAGE;
    if ((o->title || o->embed || o->embed_budget > 0) && !(o->out && is_page(o->out, o->format)))
        return wrong_usage("--title, --embed and --embed-budget are for a page, as -o out.html");
    if (o->mask > 0 && o->out && is_page(o->out, o->format))
        return wrong_usage(
            "--mask is for png, npy and json; a page outlines the strongest patches");
    if (check_set(&o->set) != DONE)
        return WRONG_USAGE;
    for (int i = 0; i < o->texts.count; i++)
        if (text_check(o->texts.items[i]) != DONE)
            return WRONG_USAGE;
    if (o->versus && !o->texts.count && o->score != VITX_SCORE_AUTO &&
        o->score != VITX_SCORE_DIFFERENCE)
        return wrong_usage("--versus is for --score difference, and for --text");
    if (o->among.count && (!o->texts.count || o->versus))
        return wrong_usage("--among is for --text, without --versus");
    const int status = o->among.count ? check_among(&o->methods, o->by_default) : DONE;
    if (status != DONE)
        return status;
    const struct direction_words words = words_of(o);
    if (direction_check(&words, "--target, --unit") != DONE)
        return WRONG_USAGE;
    if (o->versus && (o->vector || o->like))
        return wrong_usage("--versus is for --target, --unit and --text");
    int index;
    return o->colormap ? find_name(&index, o->colormap, vitx_colormap_name, "colour map") : DONE;
}

static int parse_query(int *out, const char *text, const struct session *session)
{
    const vitx_model_info *m = &session->info;
    *out = VITX_AUTO;
    if (!text)
        return DONE;
    if (strcmp(text, "cls") == 0) {
        *out = 0;
        return m->prefix_tokens > m->registers
                   ? DONE
                   : wrong_usage("--query cls: the model has no class token");
    }
    char *end;
    const bool digit = *text >= '0' && *text <= '9';
    const long first = strtol(text, &end, 10);
    if (digit && *end == '\0') {
        *out = first < INT_MAX ? (int)first : INT_MAX;
        return session->varies ? DONE : check_range("query", *out, m->tokens, "tokens");
    }
    if (session->varies)
        return wrong_usage("--query is \"%s\": each picture has a grid of its own, so "
                           "it takes a token's number or cls",
                           text);
    const char *next = end + 1;
    if (digit && *end == ',' && *next >= '0' && *next <= '9') {
        const long second = strtol(next, &end, 10);
        const bool inside = first < m->grid_height && second < m->grid_width;
        if (*end == '\0' && !inside)
            return wrong_usage("--query is \"%s\", the grid has %d rows and %d columns", text,
                               m->grid_height, m->grid_width);
        if (inside)
            *out = m->prefix_tokens + (int)first * m->grid_width + (int)second;
    }
    return *out >= 0 && *end == '\0'
               ? DONE
               : wrong_usage("--query is \"%s\", it takes a token's number, row,col or cls", text);
}

/* --unit N, or --versus of a model without classes. */
static int find_unit(int *out, const vitx_model_info *m, const char *option, const char *text)
{
    char *end;
    const long n = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
    if (n < 0 || *end)
        return wrong_usage("--%s is \"%s\", it takes a number", option, text);
    *out = n < INT_MAX ? (int)n : INT_MAX;
    return check_range(option, *out, m->classes, "numbers in its embedding");
}

static int find_output(int *out, const struct session *session, const char *option,
                       const char *text)
{
    return session->info.units ? find_unit(out, &session->info, option, text)
                               : find_class(out, session, option, text);
}

/* For a model without classes, with nothing in the place of one: --method all-fast means the
 * methods that need none. */
static int check_unaimed(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const bool fast = list_has(&o->methods, "all-fast") && !list_has(&o->methods, "all");
    struct list kept = {0};
    bool added = true;
    for (int i = 0; i < plan->methods.count; i++) {
        vitx_method_info method;
        const char *name = plan->methods.items[i];
        if (method_find(&method, name) == DONE && !method.uses_target) {
            added &= list_add(&kept, name, strlen(name));
        } else if (!fast || list_has(&o->methods, name)) {
            list_free(&kept);
            return wrong_usage("%s explains an answer, and the model has no classes: it needs "
                               "--text, --unit, --vector or --like",
                               name);
        }
    }
    if (kept.count < plan->methods.count && !o->common.quiet)
        complain("warning", "left out: methods that explain a class, as the model has no "
                            "classes; --text, --unit, --vector or --like stand in for one");
    list_free(&plan->methods);
    plan->methods = kept;
    if (added)
        return DONE;
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* Models with classes have no units to name, those without have no classes. */
static int check_ways(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const bool units = plan->session->info.units;
    if (!units && o->units.count)
        return wrong_usage("--unit: the model has classes; --target names one");
    if (units && o->targets.count)
        return wrong_usage(
            "--target: the model has no classes; --text, --unit, --vector or --like");
    if (!units && o->texts.count)
        return wrong_usage("--text: the model has classes; --target names one");
    if (units && o->score == VITX_SCORE_PROBABILITY)
        return wrong_usage("--score probability: the model has no classes");
    if (!units && o->versus && plan->session->info.classes == 1)
        return wrong_usage("--versus: the model has one output, and no other to compare it with");
    const bool aimed = o->units.count || o->vector || o->like || o->texts.count;
    return units && !aimed ? check_unaimed(plan) : DONE;
}

static void add_target(struct explain_plan *plan, int target)
{
    for (int i = 0; i < plan->target_count && rank_of(target); i++)
        if (plan->targets[i] == target)
            return;
    plan->targets[plan->target_count++] = target;
}

/* The K of "topK"; -1: that is another word. */
static int top_of(const char *text)
{
    const char *digits = strncmp(text, "top", 3) == 0 ? text + 3 : "";
    const size_t length = strspn(digits, "0123456789");
    if (length == 0 || digits[length])
        return -1;
    return length < 4 ? atoi(digits) : MAX_TOP + 1;
}

/* One of --target or --unit. */
static int take_target(struct explain_plan *plan, const char *text)
{
    const vitx_model_info *m = &plan->session->info;
    const int k = m->units ? -1 : top_of(text);
    int target;
    if (k < 0 && find_output(&target, plan->session, m->units ? "unit" : "target", text) != DONE)
        return WRONG_USAGE;
    if (k < 0) {
        add_target(plan, target);
        return DONE;
    }
    if (k < 1 || k > MAX_TOP)
        return wrong_usage("--target %s: it takes top1 to top%d", text, MAX_TOP);
    for (int rank = 1; rank <= k && rank <= m->classes; rank++)
        add_target(plan, target_of_rank(rank));
    if (k > plan->ranks)
        plan->ranks = k < m->classes ? k : m->classes;
    return DONE;
}

/* The classes or units that are named; without a name, and for top1 alone, the model's answer. */
static int choose_targets(struct explain_plan *plan, const struct list *named)
{
    const size_t room = (size_t)named->count * MAX_TOP + (size_t)plan->settings->texts.count + 1;
    plan->targets = calloc(room, sizeof *plan->targets);
    if (!plan->targets) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < named->count; i++)
        if (take_target(plan, named->items[i]) != DONE)
            return WRONG_USAGE;
    if (named->count == 0 || (plan->target_count == 1 && plan->ranks)) {
        plan->targets[0] = VITX_AUTO;
        plan->target_count = 1;
        plan->ranks = 0;
    }
    for (; plan->target_count < plan->settings->texts.count; plan->target_count++)
        plan->targets[plan->target_count] = VITX_AUTO;
    return DONE;
}

/* What needs the model but no picture. */
static int check_against_model(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const vitx_model_info *m = &plan->session->info;
    const struct list *named = o->units.count ? &o->units : &o->targets;
    if (check_ways(plan) != DONE)
        return WRONG_USAGE;
    if (check_range("layer", o->layer, m->depth, "blocks") != DONE ||
        check_range("head", o->head, m->heads, "heads") != DONE)
        return WRONG_USAGE;
    const int status = choose_targets(plan, named);
    if (status != DONE)
        return status;
    plan->score = o->versus && !o->texts.count ? VITX_SCORE_DIFFERENCE : o->score;
    plan->versus = VITX_AUTO;
    if (o->texts.count)
        return parse_query(&plan->query, o->query, plan->session);
    if (o->versus && find_output(&plan->versus, plan->session, "versus", o->versus) != DONE)
        return WRONG_USAGE;
    for (int i = 0; o->versus && i < plan->target_count; i++)
        if (plan->targets[i] == plan->versus)
            return wrong_usage("--versus %s: that is the %s", o->versus,
                               m->units ? "unit" : "target");
    return parse_query(&plan->query, o->query, plan->session);
}

/* ------------------------------------------------------------------ the plan --------------- */

/* Text t of --text. */
static void fill_text(const struct explain_plan *plan, vitx_explain_opts *e, int t)
{
    const struct explain_settings *o = plan->settings;
    if (o->texts.count == 0)
        return;
    e->texts = plan->session->texts;
    if (plan->stand_ins) {
        e->vector_count = plan->session->info.classes;
        e->vector = plan->stand_ins + (size_t)t * (size_t)e->vector_count;
        return;
    }
    e->vector = NULL;
    e->vector_count = e->among_later = 0;
    e->text = o->texts.items[t];
    e->versus_text = o->versus;
}

/* A direction for each text: which one it is matters to no plan. */
static int make_stand_ins(struct explain_plan *plan)
{
    const size_t texts = (size_t)plan->settings->texts.count;
    const size_t units = (size_t)plan->session->info.classes;
    if (texts == 0)
        return DONE;
    plan->stand_ins = calloc(texts * units, sizeof *plan->stand_ins);
    if (!plan->stand_ins) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (size_t t = 0; t < texts; t++)
        plan->stand_ins[t * units] = 1;
    return DONE;
}

static void fill_one(const struct explain_plan *plan, vitx_explain_opts *e,
                     const vitx_method_info *m, int target)
{
    vitx_explain_opts_init(e, sizeof *e);
    e->method = m->name;
    e->target = target;
    e->layer = plan->settings->layer;
    e->head = plan->settings->head;
    e->query = plan->query;
    if (m->uses_target) {
        e->score = (vitx_score)plan->score;
        e->versus = plan->versus;
    }
}

/* --set, and behind them --components. */
static int gather_set(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    char text[64];
    bool added = true;
    for (int i = 0; i < o->set.count; i++)
        added &= list_add(&plan->set, o->set.items[i], strlen(o->set.items[i]));
    snprintf(text, sizeof text, "features.components=%d", o->components);
    if (o->components > 0)
        added &= list_add(&plan->set, text, strlen(text));
    if (added)
        return DONE;
    complain(NULL, "no memory");
    return SOME_FAILED;
}

/* One entry of opts for each method and target; but a map that is the same for all classes is made
 * once, unless each class has a file of its own. */
static int fill_opts(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const bool each = o->out && has_target(o->out);
    plan->opts =
        calloc((size_t)plan->methods.count * (size_t)plan->target_count, sizeof *plan->opts);
    if (!plan->opts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->methods.count; i++) {
        vitx_method_info m;
        if (method_find(&m, plan->methods.items[i]) != DONE)
            return WRONG_USAGE;
        for (int t = 0; t < (m.uses_target || each ? plan->target_count : 1); t++) {
            fill_one(plan, &plan->opts[plan->opts_count], &m, plan->targets[t]);
            fill_text(plan, &plan->opts[plan->opts_count++], t);
        }
    }
    give_among(plan->opts, plan->opts_count, plan->session->among);
    if (plan->stand_ins && o->among.count)
        promise_among(plan->opts, plan->opts_count);
    return give_set(plan->opts, plan->opts_count, &plan->set, &plan->sets);
}

/* Whether `word` is one of "a|b|c". */
static bool among(const char *word, const char *values)
{
    const size_t length = strlen(word);
    for (const char *p = values; *p; p += strcspn(p, "|"), p += *p == '|')
        if (strcspn(p, "|") == length && strncmp(p, word, length) == 0)
            return true;
    return false;
}

/* --baseline is --set baseline=picture for those methods that know it, where --set says nothing. */
static int choose_baseline(struct explain_plan *plan)
{
    bool used = false;
    for (int i = 0; i < plan->opts_count; i++) {
        vitx_explain_opts *e = &plan->opts[i];
        vitx_method_info m;
        if (method_find(&m, e->method) != DONE)
            return WRONG_USAGE;
        const vitx_method_option *option = method_option(&m, "baseline");
        if (!option || !among("picture", option->values))
            continue;
        bool chosen = false;
        for (int k = 0; k < e->set_count; k++)
            chosen |= method_option(&m, e->set[k]) == option;
        if (!chosen)
            plan->sets[e->set - plan->sets + e->set_count++] = "baseline=picture"; /* fits */
        used = true;
    }
    return used ? DONE : wrong_usage("--baseline: the chosen methods compare with no picture");
}

/* The vector, or the picture, that stands in place of a target. */
static int load_direction(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const struct direction_words words = words_of(o);
    const int status = direction_load(&plan->direction, &words, plan->session, &o->common);
    direction_give(&plan->direction, plan->opts, plan->opts_count);
    return status;
}

static int load_baseline(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    if (!image_load_beside(&plan->baseline, o->baseline, &o->common))
        return SOME_FAILED;
    for (int i = 0; i < plan->opts_count; i++)
        plan->opts[i].baseline = plan->baseline;
    return DONE;
}

/* What no map or page may replace. */
static bool know_sources(struct explain_plan *plan, char **files, int count)
{
    const struct explain_settings *o = plan->settings;
    sources_gather(&plan->sources, &o->common, files, count);
    sources_add(&plan->sources, o->baseline);
    sources_add(&plan->sources, o->like ? o->like : o->vector);
    return sources_ready(&plan->sources);
}

static int check_pages(struct explain_plan *plan, char **files, int count)
{
    const struct explain_settings *o = plan->settings;
    if (plan->to_output)
        return DONE;
    if (!know_sources(plan, files, count))
        return SOME_FAILED;
    return check_collisions(o->out, &plan->sources, files, plan->pattern ? count : 1, NULL, 1);
}

static int check_outputs(struct explain_plan *plan, char **files, int count)
{
    const struct explain_settings *o = plan->settings;
    const int maps = count * plan->opts_count;
    if (!o->out)
        return DONE;
    if (plan->page)
        return check_pages(plan, files, count);
    if (plan->to_output && strcmp(o->format, "json") != 0 && maps > 1)
        return wrong_usage("-o - takes one %s, and there are %d; of json it takes all", o->format,
                           maps);
    if (plan->to_output)
        return DONE;
    const bool unknown = plan->ranks || plan->targets[0] == VITX_AUTO;
    if (o->skip_existing && has_target(o->out) && unknown && !o->vector && !o->like &&
        !o->texts.count)
        return wrong_usage("--skip-existing: {target} of a top class is known only after the work; "
                           "--target names a class");
    if (!know_sources(plan, files, count))
        return SOME_FAILED;
    return check_collisions(o->out, &plan->sources, files, count, plan->opts, plan->opts_count);
}

/* ------------------------------------------------------------------ in order --------------- */

static void set_out(struct explain_plan *plan, const struct explain_settings *o)
{
    *plan = (struct explain_plan){.settings = o,
                                  .shared = o->scale && strcmp(o->scale, "shared") == 0,
                                  .pattern = o->out && is_pattern(o->out),
                                  .to_output = o->out && strcmp(o->out, "-") == 0,
                                  .page = o->out && is_page(o->out, o->format)};
}

/* What is explained and how, of an open model; no file is looked at but --vector and --like. */
static int aim(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    int status = check_against_model(plan);
    if (status == DONE)
        status = gather_set(plan);
    if (status == DONE)
        status = fill_opts(plan);
    if (status == DONE && o->baseline)
        status = choose_baseline(plan);
    return status == DONE ? load_direction(plan) : status;
}

/* What a started session knows of the methods. */
static int check_methods(struct explain_plan *plan)
{
    const struct explain_settings *o = plan->settings;
    const int status =
        keep_methods(plan->session, &o->methods, plan->opts, &plan->opts_count, o->common.quiet);
    return status == DONE ? check_opts(plan->session, plan->opts, plan->opts_count) : status;
}

int explain_plan(struct explain_plan *plan, const struct explain_settings *o, char **files,
                 int count)
{
    set_out(plan, o);
    plan->session = &plan->opened;
    int status = parse_scale(&plan->scale, &plan->low, &plan->high, o->scale);
    if (status == DONE)
        status = choose_methods(&plan->methods, &o->methods);
    if (status == DONE)
        status = session_open(&plan->opened, &o->common);
    if (status == DONE && o->texts.count && plan->opened.info.units)
        status = texts_open(&plan->opened, &o->common);
    if (status == DONE && plan->opened.texts)
        status = among_open(&plan->opened, &o->common, &o->among, NULL);
    if (status == DONE && plan->opened.texts)
        warn_of_cuts(&plan->opened, &o->common, &o->texts, o->versus);
    if (status == DONE)
        status = aim(plan);
    if (status == DONE)
        status = check_outputs(plan, files, count);
    if (status == DONE && o->baseline)
        status = load_baseline(plan);
    if (status == DONE && plan->page && !page_create(&plan->pages, plan, files, count))
        status = SOME_FAILED;
    if (status == DONE)
        status = lanes_start(&plan->lanes, &plan->opened, &o->common, files, count,
                             plan->page || plan->shared || o->together ? LANES_ONE : LANES_RECORD);
    return status == DONE ? check_methods(plan) : status;
}

static int plan_on(struct explain_plan *plan, const struct explain_settings *o,
                   const struct session *session, bool silently)
{
    set_out(plan, o);
    plan->session = session;
    int status = parse_scale(&plan->scale, &plan->low, &plan->high, o->scale);
    if (status == DONE && silently)
        status = make_stand_ins(plan);
    if (status == DONE)
        status = choose_methods(&plan->methods, &o->methods);
    if (status == DONE)
        status = aim(plan);
    if (status == DONE && o->baseline)
        status = load_baseline(plan);
    return status == DONE ? check_methods(plan) : status;
}

int explain_plan_on(struct explain_plan *plan, const struct explain_settings *o,
                    const struct session *session)
{
    return plan_on(plan, o, session, false);
}

int explain_plan_silently(struct explain_plan *plan, const struct explain_settings *o,
                          const struct session *session)
{
    return plan_on(plan, o, session, true);
}

void explain_plan_speak(struct explain_plan *plan)
{
    float *before = plan->stand_ins;
    plan->stand_ins = NULL;
    for (int i = 0; before && i < plan->opts_count; i++)
        fill_text(plan, &plan->opts[i],
                  (int)((plan->opts[i].vector - before) / plan->session->info.classes));
    free(before);
}

void explain_plan_free(struct explain_plan *plan)
{
    page_free(plan->pages);
    lanes_free(&plan->lanes);
    session_close(&plan->opened);
    list_free(&plan->methods);
    list_free(&plan->set);
    vitx_basis_free(plan->basis);
    free(plan->ends);
    vitx_image_free(plan->baseline);
    direction_free(&plan->direction);
    sources_free(&plan->sources);
    free(plan->opts);
    free(plan->stand_ins);
    free(plan->sets);
    free(plan->targets);
}
