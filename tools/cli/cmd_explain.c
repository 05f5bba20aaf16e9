/*
 * cli/cmd_explain.c: maps of pictures.
 *
 * Everything that can be wrong with the command line is found before the weights are read and the
 * first picture is opened; then pictures x methods x targets, one vitx_explain_many a batch.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "outputs.h"

struct settings {
    struct common common;
    struct list methods, targets, set;
    const char *out, *query, *colormap;
    int layer, head;
    int layout, scale, frame;
    double alpha;
    bool colorbar;
};

static const struct settings defaults = {
    .common = COMMON_DEFAULTS, .layer = VITX_AUTO, .head = VITX_AUTO, .alpha = 0.5};

/* In the order of vitx_layout, vitx_scale, vitx_frame. */
static const char *const layouts[] = {"overlay", "side", "map", NULL};
static const char *const scales[] = {"max", "minmax", "p99", "signed", NULL};
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
             "{target} the number of the class. Folders of a pattern that do not exist are made. A "
             "pattern\n"
             "that would write two maps to one file, or a map over a picture, is wrong usage."},
    {.name = "target",
     .kind = OPTION_LIST,
     AT(targets),
     .value = "N|LABEL",
     .help = "class to explain, repeatable (default: the top class)",
     .more = "A class's number, its name, or one of the names between commas in it; case does not "
             "matter."},
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
     .help = "colours of a png (default turbo); vitx-cli info lists them"},
    {.name = "alpha",
     .kind = OPTION_REAL,
     AT(alpha),
     .value = "A",
     .low = 0,
     .high = 1,
     .help = "weight of the map in an overlay (default 0.5)"},
    {.name = "scale",
     .kind = OPTION_CHOICE,
     AT(scale),
     .value = "max|minmax|p99|signed",
     .choices = scales,
     .help = "how values become colours (default max)",
     .more =
         "max: negative values to 0, then divided by the maximum. minmax: minimum to maximum. p99: "
         "as max,\n"
         "by the 99th percentile. signed: 0 in the middle. Of npy and json the values stay raw."},
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

/* All the ways in which each picture is explained: opts[m * target_count + t]. */
struct plan {
    const struct settings *settings;
    struct session session;
    vitx_explain_opts *opts;
    const char **sets; /* [methods][set.count]: for each method the --set that it knows */
    int *targets;      /* [target_count] */
    int target_count, opts_count;
    struct pictures pictures;
    int query;
    bool pattern;
};

/* ------------------------------------------------------------------ checks ----------------- */

static bool knows(const vitx_method_info *m, const char *set)
{
    const size_t length = strcspn(set, "=");
    for (int i = 0; i < m->option_count; i++)
        if (strlen(m->options[i].key) == length && strncmp(m->options[i].key, set, length) == 0)
            return true;
    return false;
}

/* What needs no model. */
static int check_settings(const struct settings *o, int files)
{
    if (files == 0)
        return wrong_usage("needs at least one picture");
    if (!o->common.model)
        return wrong_usage("needs -m MODEL");
    if (o->methods.count == 0)
        return wrong_usage("needs --method NAME; vitx-cli methods lists them");
    if (!o->out)
        return wrong_usage("needs -o OUT");
    if (check_pattern(o->out) != DONE)
        return WRONG_USAGE;
    for (int i = 0; i < o->methods.count; i++) {
        vitx_method_info m;
        if (method_find(&m, o->methods.items[i]) != DONE)
            return WRONG_USAGE;
    }
    for (int i = 0; i < o->set.count; i++)
        if (!strchr(o->set.items[i], '='))
            return wrong_usage("--set is \"%s\", it takes KEY=VALUE", o->set.items[i]);
    const char *names[32] = {NULL};
    for (int i = 0; i < 31 && vitx_colormap_name(i); i++) {
        names[i] = vitx_colormap_name(i);
        if (!o->colormap || strcmp(names[i], o->colormap) == 0)
            return DONE;
    }
    const char *near = nearest(o->colormap, names);
    if (near)
        return wrong_usage("no colour map \"%s\"; did you mean %s?", o->colormap, near);
    return wrong_usage("no colour map \"%s\"; vitx-cli info lists them", o->colormap);
}

static int check_range(const char *name, int value, int count, const char *what)
{
    if (value < count)
        return DONE;
    return wrong_usage("--%s is %d, the model has %d %s, 0 to %d", name, value, count, what,
                       count - 1);
}

static int parse_query(int *out, const char *text, const vitx_model_info *m)
{
    *out = VITX_AUTO;
    if (!text)
        return DONE;
    if (strcmp(text, "cls") == 0) {
        *out = 0;
        return m->prefix_tokens ? DONE : wrong_usage("--query cls: the model has no class token");
    }
    char *end;
    const bool digit = *text >= '0' && *text <= '9';
    const long first = strtol(text, &end, 10);
    if (digit && *end == '\0') {
        *out = first < INT_MAX ? (int)first : INT_MAX;
        return check_range("query", *out, m->tokens, "tokens");
    }
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

/* What needs the model but no picture. */
static int check_against_model(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const vitx_model_info *m = &plan->session.info;
    if (check_range("layer", o->layer, m->depth, "blocks") != DONE ||
        check_range("head", o->head, m->heads, "heads") != DONE)
        return WRONG_USAGE;
    plan->target_count = o->targets.count ? o->targets.count : 1;
    plan->targets = calloc((size_t)plan->target_count, sizeof *plan->targets);
    if (!plan->targets) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    plan->targets[0] = VITX_AUTO;
    for (int i = 0; i < o->targets.count; i++)
        if (vitx_model_find_label(&plan->targets[i], plan->session.model, o->targets.items[i]) !=
            VITX_OK)
            return wrong_usage("--target %s: %s", o->targets.items[i], vitx_last_error());
    return parse_query(&plan->query, o->query, m);
}

/* ------------------------------------------------------------------ the plan --------------- */

/* One entry of opts for each method and target. */
static int fill_opts(struct plan *plan)
{
    const struct settings *o = plan->settings;
    const int n = o->methods.count, sets = o->set.count;
    plan->opts_count = n * plan->target_count;
    plan->opts = calloc((size_t)plan->opts_count, sizeof *plan->opts);
    plan->sets = calloc((size_t)n * (size_t)sets + 1, sizeof *plan->sets);
    if (!plan->opts || !plan->sets) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int i = 0; i < plan->opts_count; i++) {
        vitx_method_info m;
        vitx_explain_opts *e = &plan->opts[i];
        const char **mine = plan->sets + (size_t)(i / plan->target_count) * (size_t)sets;
        if (method_find(&m, o->methods.items[i / plan->target_count]) != DONE)
            return WRONG_USAGE;
        vitx_explain_opts_init(e, sizeof *e);
        e->method = m.name;
        e->target = plan->targets[i % plan->target_count];
        e->layer = o->layer;
        e->head = o->head;
        e->query = plan->query;
        e->set = mine;
        for (int k = 0; k < sets; k++)
            if (knows(&m, o->set.items[k]))
                mine[e->set_count++] = o->set.items[k];
    }
    for (int k = 0; k < sets; k++) {
        bool taken = false;
        for (int i = 0; i < plan->opts_count; i++)
            for (int j = 0; j < plan->opts[i].set_count; j++)
                taken |= plan->opts[i].set[j] == o->set.items[k];
        if (!taken)
            return wrong_usage(
                "--set %s: the chosen methods have no such option; vitx-cli methods lists them",
                o->set.items[k]);
    }
    return DONE;
}

static int check_outputs(struct plan *plan, char **files, int count)
{
    const struct settings *o = plan->settings;
    if (!pictures_know(&plan->pictures, files, count))
        return SOME_FAILED;
    return check_collisions(o->out, &plan->pictures, files, count, o->methods.items,
                            o->methods.count, plan->targets, plan->target_count);
}

/* ------------------------------------------------------------------ the work --------------- */

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
    opts.colorbar = o->colorbar;
    opts.title = picture;
    opts.label = vitx_model_label(plan->session.model, info.target);
    char *name = output_name(o->out, picture, info.method, info.target);
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
    if (written && !o->common.quiet)
        printf("%s  %s  %d%s%s\n", name, info.method, info.target, opts.label ? " " : "",
               text_or(opts.label, ""));
    free(name);
    return written;
}

/* Explains n pictures by m of the options and writes the maps. *code is the library's status,
 * nothing is reported where it is a failure; the result says whether all were written. */
static bool explain_some(int *code, const struct plan *plan, const struct batch *batch, int first,
                         int n, const vitx_explain_opts *opts, int m, vitx_map **maps)
{
    bool all = true;
    *code = vitx_explain_many(maps, plan->session.context,
                              (const vitx_image *const *)batch->images + first, n, opts, m);
    if (*code != VITX_OK)
        return false;
    for (int i = 0; i < n * m; i++) {
        all &= write_map(plan, maps[i], batch->images[first + i / m], batch->names[first + i / m]);
        vitx_map_free(maps[i]);
    }
    return all;
}

/* Says why one picture failed by one method. */
static int report(int code, const char *picture, const char *method)
{
    if (code == VITX_INVALID) /* a --set that the method refuses: no picture would do better */
        return wrong_usage("%s", vitx_last_error());
    complain(picture, "%s: %s", method, vitx_last_error());
    return SOME_FAILED;
}

/* A batch; where that fails its pictures one by one, and where one of these fails its maps one by
 * one, so that no failure costs what could have been done. */
static int explain_batch(const struct plan *plan, const struct batch *batch, int first, int n,
                         vitx_map **maps)
{
    int code, status = DONE;
    if (n == 0 || explain_some(&code, plan, batch, first, n, plan->opts, plan->opts_count, maps))
        return DONE;
    if (code == VITX_OK)
        return SOME_FAILED;
    if (n == 1 && plan->opts_count == 1)
        return report(code, batch->names[first], plan->opts[0].method);
    const int parts = n > 1 ? n : plan->opts_count;
    for (int i = 0; i < parts && status != WRONG_USAGE; i++) {
        int one = DONE;
        if (n > 1)
            one = explain_batch(plan, batch, first + i, 1, maps);
        else if (!explain_some(&code, plan, batch, first, 1, &plan->opts[i], 1, maps))
            one = code == VITX_OK ? SOME_FAILED
                                  : report(code, batch->names[first], plan->opts[i].method);
        status = one > status ? one : status;
    }
    return status;
}

static int explain(const struct plan *plan, char **files, int count)
{
    const struct common *common = &plan->settings->common;
    const int size = common->batch < count ? common->batch : count;
    struct batch batch;
    int status = DONE;
    if (!batch_create(&batch, size))
        return SOME_FAILED;
    vitx_map **maps = calloc((size_t)size * (size_t)plan->opts_count, sizeof(vitx_map *));
    if (!maps) {
        complain(NULL, "no memory");
        status = SOME_FAILED;
    }
    for (int i = 0; maps && i < count && status != WRONG_USAGE && output_works(); i += size) {
        show_progress(common, i, count, files[i]);
        if (!batch_load(&batch, files + i, count - i < size ? count - i : size, common))
            status = SOME_FAILED;
        const int one = explain_batch(plan, &batch, 0, batch.count, maps);
        status = one > status ? one : status;
    }
    show_progress(common, count, count, "");
    free(maps);
    batch_free(&batch);
    return status;
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
    if (status == DONE)
        status = check_outputs(&plan, files, count);
    if (status == DONE)
        status = session_start(&plan.session, &o->common, VITX_FIT_RECIPE);
    if (status == DONE)
        status = explain(&plan, files, count);
    session_close(&plan.session);
    pictures_free(&plan.pictures);
    free(plan.opts);
    free(plan.sets);
    free(plan.targets);
    return status;
}

const struct command cmd_explain = {
    .name = "explain",
    .summary = "Shows why: writes maps of where the model looked.",
    .usage = "-m MODEL --method NAME -o OUT [OPTIONS] IMAGE...",
    .details = "Writes one map for each picture, method and target, and prints a line for each "
               "file written: its\n"
               "name, the method, the class. All maps of a picture come out of one forward pass.\n"
               "\n"
               "  vitx-cli explain -m deit_tiny --method rollout -o cat.png cat.jpg\n"
               "  vitx-cli explain -m deit_tiny --method attention --layer all --head all -o "
               "heads.png cat.jpg\n"
               "  vitx-cli explain -m deit_tiny --method rollout,attention --target malamute "
               "--target tandem \\\n"
               "      -o 'maps/{image}.{method}.{target}.npy' *.jpg",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .run = run,
};
