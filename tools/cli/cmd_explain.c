/*
 * cli/cmd_explain.c: maps of pictures.
 *
 * Everything that can be wrong with the command line is found before the first picture is opened,
 * and all but the values of --set before the weights are read; then pictures x methods x targets,
 * one vitx_explain_many a batch.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "outputs.h"
#include "progress.h"

struct settings {
    struct common common;
    struct list methods, targets, units, set;
    const char *out, *query, *colormap, *versus, *baseline, *vector, *like;
    int layer, head;
    int score, layout, scale, frame;
    double alpha, smooth;
    bool colorbar;
};

static const struct settings defaults = {.common = COMMON_DEFAULTS,
                                         .layer = VITX_AUTO,
                                         .head = VITX_AUTO,
                                         .alpha = VITX_AUTO,
                                         .smooth = VITX_AUTO};

/* In the order of vitx_score, vitx_layout, vitx_scale, vitx_frame. */
static const char *const scores[] = {"auto",   "logit", "probability", "difference",
                                     "cosine", "dot",   NULL};
static const char *const layouts[] = {"overlay", "side", "map", NULL};
static const char *const scales[] = {"auto", "max", "minmax", "p99", "signed", "signed-p99", NULL};
static const char *const frames[] = {"picture", "input", NULL};

#define AT(member) .offset = offsetof(struct settings, member)
static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     AT(methods),
     .value = "NAME[,NAME...]",
     .help = "how to explain; vitx-cli methods lists them"},
    {.name = "out",
     .letter = 'o',
     .kind = OPTION_TEXT,
     AT(out),
     .value = "OUT",
     .help = "file to write, or a pattern; its ending picks the format",
     .more = "In a pattern {image} is the picture's name without folder and ending, {method} the "
             "method,\n"
             "{target} the number of the class or unit. Folders of a pattern that do not exist are "
             "made. A "
             "pattern\n"
             "that would write two maps to one file, or a map over a picture, is wrong usage."},
    {.name = "target",
     .kind = OPTION_LIST,
     AT(targets),
     .value = "N|LABEL",
     .help = "class to explain, repeatable (default: the top class)",
     .more = "A class's number, its name, or one of the names between commas in it; case does not "
             "matter.\n"
             "Of a method whose map is the same for every class one map is written, unless OUT has "
             "{target}."},
    {.name = "unit",
     .kind = OPTION_LIST,
     AT(units),
     .value = "N",
     .help = "component of an embedding to explain, repeatable",
     .more = "In place of --target, of models without classes."},
    {.name = "vector",
     .kind = OPTION_TEXT,
     AT(vector),
     .value = "V.npy",
     .help = "explain the similarity to a vector",
     .more =
         "In place of --target: the cosine of the embedding and the file's numbers, of any type "
         "of float;\n"
         "with --score dot their product. embed -o writes such files; a text's embedding is one "
         "as well."},
    {.name = "like",
     .kind = OPTION_TEXT,
     AT(like),
     .value = "PICTURE",
     .help = "explain the similarity to another picture",
     .more = "In place of --target: what makes the picture similar to that one, whose embedding is "
             "the vector."},
    {.name = "score",
     .kind = OPTION_CHOICE,
     AT(score),
     .value = "auto|logit|probability|difference|cosine|dot",
     .choices = scores,
     .help = "what of the answer is explained",
     .more =
         "logit: the target's; probability: its softmax; difference: its logit less that of "
         "--versus.\n"
         "cosine, dot: of --vector or --like. Default auto: what the method's authors take; with "
         "these cosine."},
    {.name = "versus",
     .kind = OPTION_TEXT,
     AT(versus),
     .value = "N|LABEL",
     .help = "why the target and not that class",
     .more = "The other class of --score difference, which need not be given then. Default: the "
             "most probable\n"
             "one that is not the target."},
    {.name = "baseline",
     .kind = OPTION_TEXT,
     AT(baseline),
     .value = "FILE",
     .help = "picture to compare with, as large as the explained one",
     .more = "For methods with an option baseline that takes picture; it stands for --set "
             "baseline=picture."},
    {.name = "layer",
     .kind = OPTION_INT,
     AT(layer),
     .value = "L|all",
     .low = 0,
     .high = INT_MAX,
     .word = "all",
     .word_value = VITX_ALL,
     .help = "block, from 0 (default: the method's own)",
     .more = "all: each of them; a png is then a sheet of tiles, npy and json get a leading axis."},
    {.name = "head",
     .kind = OPTION_INT,
     AT(head),
     .value = "H|all",
     .low = 0,
     .high = INT_MAX,
     .word = "all",
     .word_value = VITX_ALL,
     .help = "head, from 0 (default: fused)",
     .more = "all: each of them, as --layer."},
    {.name = "query",
     .kind = OPTION_TEXT,
     AT(query),
     .value = "Q",
     .help = "token that looks: number, row,col or cls",
     .more = "row,col is a patch of the grid, from 0,0 at the top left. Default: what the model's "
             "head reads."},
    {.name = "set",
     .kind = OPTION_LIST,
     AT(set),
     .value = "KEY=VALUE",
     .help = "option of the method, repeatable",
     .more = "With several methods it goes to those that have it."},
    {.name = "layout",
     .kind = OPTION_CHOICE,
     AT(layout),
     .value = "overlay|side|map",
     .choices = layouts,
     .help = "what a png shows (default overlay)",
     .more = "overlay: the map over the picture; side: the picture and the overlay; map: the map "
             "alone."},
    {.name = "colormap",
     .kind = OPTION_TEXT,
     AT(colormap),
     .value = "NAME",
     .help = "colours of a png; vitx-cli info lists them",
     .more = "Default turbo, of a map on pixels inferno, with a signed scale coolwarm: red speaks "
             "for the\n"
             "target, blue against it."},
    {.name = "alpha",
     .kind = OPTION_REAL,
     AT(alpha),
     .value = "A",
     .low = 0,
     .high = 1,
     .help = "weight of the map in an overlay (default 0.5; signed 0.8)",
     .more = "With a signed scale it is the weight of the largest value, and 0 leaves the picture "
             "as it is."},
    {.name = "smooth",
     .kind = OPTION_REAL,
     AT(smooth),
     .value = "SIGMA",
     .low = 0,
     .high = 256,
     .help = "a Gaussian over the map of a png, in input pixels",
     .more =
         "Default half a patch for signed maps on pixels, where values next to each other cancel; "
         "else 0."},
    {.name = "scale",
     .kind = OPTION_CHOICE,
     AT(scale),
     .value = "auto|max|minmax|p99|signed|signed-p99",
     .choices = scales,
     .help = "how values become colours",
     .more =
         "max: negative values to 0, then divided by the maximum. minmax: minimum to maximum. p99: "
         "as max,\n"
         "by the 99th percentile. signed: 0 in the middle; signed-p99: the same by the 99th "
         "percentile.\n"
         "Default auto: max or signed, as the method's values are, and with p99 for maps on "
         "pixels. Of npy\n"
         "and json the values stay raw."},
    {.name = "frame",
     .kind = OPTION_CHOICE,
     AT(frame),
     .value = "picture|input",
     .choices = frames,
     .help = "the whole picture (default), or what the model saw"},
    {.name = "colorbar",
     .kind = OPTION_FLAG,
     AT(colorbar),
     .help = "a bar with the raw values at its ends"},
};

/* All the ways in which each picture is explained. */
struct plan {
    const struct settings *settings;
    struct session session;
    vitx_explain_opts *opts; /* [opts_count]: methods x targets */
    const char **sets;       /* what opts[].set point to */
    int *targets;            /* [target_count] */
    int target_count, opts_count;
    int score, versus, query;
    vitx_image *baseline; /* NULL: none */
    float *vector;        /* likewise */
    vitx_image *like;
    struct pictures pictures;
    bool pattern;
};

/* ------------------------------------------------------------------ checks ----------------- */

/* What needs no model. */
static int check_settings(const struct settings *o, int files)
{
    if (files == 0)
        return wrong_usage("needs at least one picture");
    if (!o->out)
        return wrong_usage("needs -o OUT");
    if (check_pattern(o->out) != DONE || check_methods(&o->methods) != DONE)
        return WRONG_USAGE;
    if (check_set(&o->set) != DONE)
        return WRONG_USAGE;
    if (o->versus && o->score != VITX_SCORE_AUTO && o->score != VITX_SCORE_DIFFERENCE)
        return wrong_usage("--versus is for --score difference");
    const int ways = (o->targets.count > 0) + (o->units.count > 0) + !!o->vector + !!o->like;
    if (ways > 1)
        return wrong_usage("--target, --unit, --vector and --like: one of them");
    const bool of_vector = o->score == VITX_SCORE_COSINE || o->score == VITX_SCORE_DOT;
    if ((o->vector || o->like) && o->score != VITX_SCORE_AUTO && !of_vector)
        return wrong_usage("--%s is for --score cosine or dot", o->vector ? "vector" : "like");
    if (of_vector && !o->vector && !o->like)
        return wrong_usage("--score %s is for --vector or --like", scores[o->score]);
    if (o->versus && (o->vector || o->like))
        return wrong_usage("--versus is for --target");
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
        return session->keep ? DONE : check_range("query", *out, m->tokens, "tokens");
    }
    if (session->keep)
        return wrong_usage(
            "--query is \"%s\": with --fit keep each picture has a grid of its own, so "
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

/* --unit N. */
static int find_unit(int *out, const vitx_model_info *m, const char *text)
{
    char *end;
    const long n = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
    if (n < 0 || *end)
        return wrong_usage("--unit is \"%s\", it takes a number", text);
    *out = n < INT_MAX ? (int)n : INT_MAX;
    return check_range("unit", *out, m->classes, "numbers in its embedding");
}

/* Models with classes have no units to name, those without have no classes. */
static int check_ways(const struct plan *plan)
{
    const struct settings *o = plan->settings;
    const bool units = plan->session.info.units;
    if (!units && o->units.count)
        return wrong_usage("--unit: the model has classes; --target names one");
    if (units && o->targets.count)
        return wrong_usage("--target: the model has no classes; --unit, --vector or --like");
    if (units && o->score == VITX_SCORE_PROBABILITY)
        return wrong_usage("--score probability: the model has no classes");
    for (int i = 0; units && i < o->methods.count; i++) {
        vitx_method_info method;
        if (method_find(&method, o->methods.items[i]) != DONE)
            return WRONG_USAGE;
        if (method.uses_target && !o->units.count && !o->vector && !o->like)
            return wrong_usage("%s explains an answer, and the model has no classes: it needs "
                               "--unit, --vector or --like",
                               method.name);
    }
    return DONE;
}

/* What needs the model but no picture. */
static int check_against_model(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const vitx_model_info *m = &plan->session.info;
    const struct list *named = o->units.count ? &o->units : &o->targets;
    if (check_ways(plan) != DONE)
        return WRONG_USAGE;
    if (check_range("layer", o->layer, m->depth, "blocks") != DONE ||
        check_range("head", o->head, m->heads, "heads") != DONE)
        return WRONG_USAGE;
    plan->target_count = named->count ? named->count : 1;
    plan->targets = calloc((size_t)plan->target_count, sizeof *plan->targets);
    if (!plan->targets) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    plan->targets[0] = VITX_AUTO;
    for (int i = 0; i < named->count; i++)
        if (o->units.count
                ? find_unit(&plan->targets[i], m, named->items[i]) != DONE
                : find_class(&plan->targets[i], &plan->session, "target", named->items[i]) != DONE)
            return WRONG_USAGE;
    plan->score = o->versus ? VITX_SCORE_DIFFERENCE : o->score;
    plan->versus = VITX_AUTO;
    if (o->versus && find_class(&plan->versus, &plan->session, "versus", o->versus) != DONE)
        return WRONG_USAGE;
    for (int i = 0; o->versus && i < o->targets.count; i++)
        if (plan->targets[i] == plan->versus)
            return wrong_usage("--versus %s: that is the target", o->versus);
    return parse_query(&plan->query, o->query, &plan->session);
}

/* ------------------------------------------------------------------ the plan --------------- */

static void fill_one(const struct plan *plan, vitx_explain_opts *e, const vitx_method_info *m,
                     int target)
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

/* One entry of opts for each method and target; but a map that is the same for all classes is made
 * once, unless each class has a file of its own. */
static int fill_opts(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const bool each = has_target(o->out);
    plan->opts = calloc((size_t)o->methods.count * (size_t)plan->target_count, sizeof *plan->opts);
    if (!plan->opts) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < o->methods.count; i++) {
        vitx_method_info m;
        if (method_find(&m, o->methods.items[i]) != DONE)
            return WRONG_USAGE;
        for (int t = 0; t < (m.uses_target || each ? plan->target_count : 1); t++)
            fill_one(plan, &plan->opts[plan->opts_count++], &m, plan->targets[t]);
    }
    return give_set(plan->opts, plan->opts_count, &o->set, &plan->sets);
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
static int choose_baseline(struct plan *plan)
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

static int load_vector(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const int count = plan->session.info.classes;
    plan->vector = calloc((size_t)count, sizeof *plan->vector);
    if (!plan->vector) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    const int code = vitx_vector_load(plan->vector, count, o->vector);
    if (code == VITX_INVALID)
        return wrong_usage("--vector %s", vitx_last_error());
    if (code != VITX_OK) {
        complain_last(o->vector);
        return SOME_FAILED;
    }
    return DONE;
}

/* The vector, or the picture, that stands in place of a target. */
static int load_direction(struct plan *plan)
{
    const struct settings *o = plan->settings;
    int status = o->vector ? load_vector(plan) : DONE;
    if (o->like && !image_load(&plan->like, o->like, &o->common))
        status = SOME_FAILED;
    for (int i = 0; i < plan->opts_count; i++) {
        plan->opts[i].vector = plan->vector;
        plan->opts[i].vector_count = plan->vector ? plan->session.info.classes : 0;
        plan->opts[i].like = plan->like;
    }
    return status;
}

static int load_baseline(struct plan *plan)
{
    const struct settings *o = plan->settings;
    if (!image_load(&plan->baseline, o->baseline, &o->common))
        return SOME_FAILED;
    for (int i = 0; i < plan->opts_count; i++)
        plan->opts[i].baseline = plan->baseline;
    return DONE;
}

static int check_outputs(struct plan *plan, char **files, int count)
{
    const struct settings *o = plan->settings;
    if (!pictures_know(&plan->pictures, files, count, o->baseline))
        return SOME_FAILED;
    return check_collisions(o->out, &plan->pictures, files, count, plan->opts, plan->opts_count);
}

/* ------------------------------------------------------------------ the work --------------- */

/* name  method  what was explained */
static void print_line(const char *name, const vitx_map_info *info, const char *label)
{
    static const char *const words[] = {"", "unit ", "vector", "like"};
    printf("%s  %s  %s", name, info->method, words[info->explains]);
    if (info->target >= 0)
        printf("%d", info->target);
    printf("%s%s\n", label ? " " : "", text_or(label, ""));
}

static bool write_map(const struct plan *plan, const vitx_map *map, const vitx_image *image,
                      const char *picture)
{
    const struct settings *o = plan->settings;
    vitx_map_info info = VITX_MAP_INFO_INIT;
    vitx_render_opts opts = VITX_RENDER_OPTS_INIT;
    if (vitx_map_get_info(&info, map) != VITX_OK) {
        complain_last(picture);
        return false;
    }
    opts.layout = (vitx_layout)o->layout;
    opts.scale = (vitx_scale)o->scale;
    opts.frame = (vitx_frame)o->frame;
    opts.colormap = o->colormap;
    opts.alpha = (float)o->alpha;
    opts.smooth = (float)o->smooth;
    opts.colorbar = o->colorbar;
    opts.title = picture;
    opts.label = info.explains == VITX_EXPLAINED_VECTOR ? o->vector
                 : info.explains == VITX_EXPLAINED_PICTURE
                     ? o->like
                     : vitx_model_label(plan->session.model, info.target);
    char *name = output_name(o->out, picture, info.method, info.target, info.explains);
    if (!name)
        complain(picture, "no memory");
    bool written = name && (!plan->pattern || make_folders(name));
    /* {target} is known only now, so the check before the work could not see this. */
    if (written && pictures_have(&plan->pictures, name)) {
        complain(picture, "the map would replace the picture %s", name);
        written = false;
    }
    if (written && vitx_render(map, image, name, &opts) != VITX_OK) {
        complain_last(name);
        written = false;
    }
    progress_before_results();
    if (written && !o->common.quiet)
        print_line(name, &info, opts.label);
    free(name);
    return written;
}

enum { ALL = -1 };

/* A batch under way. */
struct work {
    const struct plan *plan;
    struct batch batch;
    int done, status;        /* pictures before the batch; exit status so far             */
    bool *settled;           /* [batch, opts_count]: the map was made, or reported        */
    vitx_map **maps;         /* [batch, opts_count]: of one call                          */
    vitx_explain_opts *opts; /* [opts_count]: of one call                                 */
    int *which;              /* [opts_count]: where these are in the plan                 */
};

static void worsen(struct work *w, int status)
{
    w->status = status > w->status ? status : w->status;
}

/* One call of the library: n pictures from `first` by those of the plan's opts (ALL, or one) that
 * the first of them lacks. Writes the maps that come out of it, of a failed call, too; where that
 * was for a single map, says why it failed. */
static int attempt(struct work *w, int first, int n, int only)
{
    const struct plan *plan = w->plan;
    const int all = plan->opts_count;
    int m = 0;
    for (int j = 0; j < all; j++)
        if (!w->settled[first * all + j] && (only == ALL || only == j)) {
            w->opts[m] = plan->opts[j];
            w->which[m++] = j;
        }
    if (m == 0)
        return VITX_OK;
    progress_step(w->done + first, n, w->batch.names[first]);
    const int code =
        vitx_explain_many(w->maps, plan->session.context,
                          (const vitx_image *const *)w->batch.images + first, n, w->opts, m);
    if (code != VITX_OK && code != VITX_CANCELLED && n * m == 1) {
        complain(w->batch.names[first], "%s: %s", w->opts[0].method, vitx_last_error());
        w->settled[first * all + w->which[0]] = true;
        worsen(w, SOME_FAILED);
    }
    for (int i = 0; i < n * m; i++) {
        const int picture = first + i / m;
        if (!w->maps[i])
            continue;
        if (!write_map(plan, w->maps[i], w->batch.images[picture], w->batch.names[picture]))
            worsen(w, SOME_FAILED);
        w->settled[picture * all + w->which[i % m]] = true;
        vitx_map_free(w->maps[i]);
    }
    return code;
}

/* A batch; where that fails what its pictures lack, picture by picture, and where one of these
 * fails, too, map by map, so that no failure costs what could have been done. */
static void explain_batch(struct work *w)
{
    const int n = w->batch.count, m = w->plan->opts_count;
    if (n == 0)
        return;
    memset(w->settled, 0, (size_t)n * (size_t)m * sizeof *w->settled);
    int code = attempt(w, 0, n, ALL);
    const int pictures = code == VITX_OK ? 0 : n;
    for (int i = 0; i < pictures && code != VITX_CANCELLED; i++) {
        if (n > 1)
            code = attempt(w, i, 1, ALL);
        for (int j = 0; j < m && code != VITX_CANCELLED; j++)
            code = attempt(w, i, 1, j);
    }
    if (code == VITX_CANCELLED && progress_cancelled())
        worsen(w, SOME_FAILED);
}

static bool work_create(struct work *w, int size)
{
    const size_t m = (size_t)w->plan->opts_count, all = (size_t)size * m;
    if (!batch_create(&w->batch, size))
        return false;
    w->settled = calloc(all, sizeof *w->settled);
    w->maps = calloc(all, sizeof(vitx_map *));
    w->opts = calloc(m, sizeof *w->opts);
    w->which = calloc(m, sizeof *w->which);
    if (w->settled && w->maps && w->opts && w->which)
        return true;
    complain(NULL, "no memory");
    return false;
}

static void work_free(struct work *w)
{
    batch_free(&w->batch);
    free(w->settled);
    free(w->maps);
    free(w->opts);
    free(w->which);
}

static int explain(const struct plan *plan, char **files, int count)
{
    const struct common *common = &plan->settings->common;
    const int size = common->batch < count ? common->batch : count;
    struct work w = {.plan = plan};
    const bool ready = work_create(&w, size);
    if (!ready)
        w.status = SOME_FAILED;
    progress_begin(common, count);
    for (; ready && w.done < count && output_works(); w.done += size) {
        const int n = count - w.done < size ? count - w.done : size;
        if (progress_cancelled()) {
            worsen(&w, SOME_FAILED);
            break;
        }
        if (!batch_load(&w.batch, files + w.done, n, common))
            worsen(&w, SOME_FAILED);
        explain_batch(&w);
    }
    progress_hide();
    work_free(&w);
    return w.status;
}

static int run(const void *settings, char **files, int count)
{
    struct plan plan = {.settings = settings};
    const struct settings *o = settings;
    int status = check_settings(o, count);
    if (status != DONE)
        return status;
    plan.pattern = is_pattern(o->out);
    status = session_open(&plan.session, &o->common);
    if (status == DONE)
        status = check_against_model(&plan);
    if (status == DONE)
        status = fill_opts(&plan);
    if (status == DONE && o->baseline)
        status = choose_baseline(&plan);
    if (status == DONE)
        status = load_direction(&plan);
    if (status == DONE)
        status = check_outputs(&plan, files, count);
    if (status == DONE && o->baseline)
        status = load_baseline(&plan);
    if (status == DONE)
        status = session_start(&plan.session, &o->common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = check_opts(&plan.session, plan.opts, plan.opts_count);
    if (status == DONE)
        status = explain(&plan, files, count);
    session_close(&plan.session);
    vitx_image_free(plan.baseline);
    vitx_image_free(plan.like);
    free(plan.vector);
    pictures_free(&plan.pictures);
    free(plan.opts);
    free(plan.sets);
    free(plan.targets);
    return status;
}

const struct command cmd_explain = {
    .name = "explain",
    .summary = "Shows why: writes maps of where the model looked.",
    .usage = "[-m MODEL] --method NAME -o OUT [OPTIONS] IMAGE...",
    .details = "Writes one map for each picture, method and target, and prints a line for each "
               "file written: its\n"
               "name, the method, the class. All maps of a picture come out of one forward pass.\n"
               "\n"
               "  vitx-cli explain -m deit_tiny --method rollout -o cat.png cat.jpg\n"
               "  vitx-cli explain -m deit_tiny --method attention --layer all --head all -o "
               "heads.png cat.jpg\n"
               "  vitx-cli explain -m deit_tiny --method rollout,attention --target malamute "
               "--target tandem \\\n"
               "      -o 'maps/{image}.{method}.{target}.npy' *.jpg\n"
               "  vitx-cli explain -m clip --method gradcam --like dog.jpg -o why.png park.jpg",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
