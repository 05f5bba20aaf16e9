/*
 * cli/cmd_eval.c: is a map right: metrics of methods, over pictures.
 *
 * Picture after picture: all its maps come out of one vitx_explain_many, and each is measured by
 * one vitx_evaluate_many; so are two maps that know nothing, to compare with. What fails for one
 * picture is reported and left out.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "eval_words.h"
#include "inputs.h"
#include "labels.h"
#include "methods.h"
#include "outputs.h"
#include "progress.h"
#include "results.h"

static const struct eval_settings defaults = {.common = COMMON_DEFAULTS,
                                              .layer = VITX_AUTO,
                                              .seed = VITX_AUTO,
                                              .costly = VITX_AUTO,
                                              .words = VITX_AUTO};

#define AT(member) .offset = offsetof(struct eval_settings, member)
static const struct option options[] = {
    {.name = "method",
     .kind = OPTION_NAMES,
     AT(methods),
     .value = "NAME[,NAME...]",
     .help = "methods to measure, or all, or all-fast; vitx-cli methods lists them"},
    {.name = "metric",
     .kind = OPTION_NAMES,
     AT(metrics),
     .value = "NAME[,NAME...]",
     .help = "metrics (default insertion,deletion,road), or all; see --list",
     .more = "NAME.VALUE is another number of a metric, like road.morf. With --mask or --box the "
             "default also\n"
             "has pointing,energy,iou,roc, and with --other follows, too. Without them, all means "
             "every metric\n"
             "that needs no mask."},
    {.name = "target",
     .kind = OPTION_TEXT,
     AT(target),
     .value = "N|LABEL",
     .help = "class to explain (default: each picture's top class)",
     .more = "For a model without classes: the index of an embedding component."},
    {.name = "score",
     .kind = OPTION_CHOICE,
     AT(score),
     .value = "auto|logit|probability|difference|cosine|dot",
     .choices = score_names,
     .help = "score to explain, and score of the curves",
     .more = "See explain --score. difference: to the most probable class that is not the target. "
             "auto: the\n"
             "curves show the probability, or the logit if the model has one output or its outputs "
             "are plain\n"
             "numbers."},
    {.name = "vector",
     .kind = OPTION_TEXT,
     AT(vector),
     .value = "V.npy",
     .help = "explain the similarity to a vector, in place of --target",
     .more = "The curves then show the cosine. See explain --vector."},
    {.name = "like",
     .kind = OPTION_TEXT,
     AT(like),
     .value = "PICTURE",
     .help = "explain the similarity to another picture, in place of --target"},
    {.name = "text",
     .kind = OPTION_LIST,
     AT(texts),
     .value = "TEXT",
     .help = "explain the similarity to a text, in place of --target",
     .more = "For models with a text tower; without -m: the bundled pair. The curves then show the "
             "cosine. See explain\n--text."},
    {.name = "versus",
     .kind = OPTION_TEXT,
     AT(versus),
     .value = "TEXT",
     .help = "with --text: a text whose cosine is subtracted"},
    {.name = "among",
     .kind = OPTION_LIST,
     AT(among),
     .value = "TEXT|@FILE",
     .listed = true,
     .help = "with --text or --words: other texts that it is told from, repeatable",
     .more = "See explain --among."},
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
     .help = "picture that shows where the object is: what is not black",
     .more =
         "The mask has the size of the picture. {image} in the name stands for the picture's name "
         "without\n"
         "folder and ending: --mask 'masks/{image}.png'."},
    {.name = "box",
     .kind = OPTION_LIST,
     AT(boxes),
     .value = "X0,Y0,X1,Y1",
     .help = "or a box, repeatable: pixels of the picture"},
    {.name = "other",
     .kind = OPTION_TEXT,
     AT(other),
     .value = "FILE",
     .help = "picture like --mask of where another object is, for follows"},
    {.name = "scenes",
     .kind = OPTION_INT,
     AT(scenes),
     .value = "N",
     .low = 1,
     .high = 1000000,
     .help = "draw N scenes with their masks, in place of pictures",
     .more =
         "Half of the scenes have one object, half have two. Each of two objects is explained in "
         "turn.\n"
         "docs/scenes.md describes the scenes. The model must have their classes. Scenes are "
         "drawn in the\n"
         "size of the model's input, and the default of --fit is squash. The default metrics "
         "are\n"
         "pointing,energy,iou,roc,insertion,deletion, and for two objects also follows."},
    {.name = "seed",
     .kind = OPTION_INT,
     AT(seed),
     .value = "S",
     .low = 0,
     .high = INT_MAX,
     .help = "which scenes (default 20261, which no model was trained on)"},
    {.name = "words",
     .kind = OPTION_CHOICE,
     AT(words),
     .value = "en|zh",
     .choices = word_languages,
     .help = "asks for the objects of scenes in words, in English or Chinese",
     .more =
         "For models with a text tower; without -m: the bundled pair. A sentence names each "
         "object, "
         "and each map\n"
         "is one of that sentence. Also tells how many of the things that are not there fit no "
         "better than no\n"
         "text, and how often a true sentence about things, colours, places, numbers and relations "
         "comes before a\n"
         "false one."},
    {.name = "among-things",
     .kind = OPTION_FLAG,
     AT(among_things),
     .help = "with --words: tells each object from all other things of scenes",
     .more =
         "For methods that compare texts (surgery, clip-es, maskclip): like --among with the "
         "sentences of all\nthings. Most of them are not in the scene, as when somebody lists what "
         "might be there."},
    {.name = "costly",
     .kind = OPTION_INT,
     AT(costly),
     .value = "K",
     .low = 1,
     .high = 1000000,
     .help = "scenes of each kind for costly work (default N / 10)",
     .more =
         "Costly are metrics that run the model (only for scenes with one object) and methods "
         "that run the\n"
         "model 20 times per map or more; their lines have a star. insertion and deletion take 8 "
         "steps from\n"
         "or to the mean colour; --set insertion.step and insertion.fill change this."},
    {.name = "set",
     .kind = OPTION_LIST,
     AT(set),
     .value = "[NAME.]KEY=VALUE",
     .help = "option of a metric or of methods, repeatable",
     .more = "--set deletion.step=1792 is for the metric, --set rise.n=500 for the method. --set "
             "discard=0.9 is\n"
             "for all methods with this option."},
    {.name = "curves",
     .kind = OPTION_TEXT,
     AT(curves),
     .value = "OUT",
     .help = "file for the mean curves: .png or .npy",
     .more =
         "{metric} in the name stands for the metric. It is required if several metrics have "
         "curves, as the\n"
         "default ones have: --curves '{metric}.png'. --list says what each metric is. Rows of\n"
         "an npy: first the x of the points, then a curve (road: two) for each row of the table."},
    {.name = "no-baselines",
     .kind = OPTION_FLAG,
     AT(no_baselines),
     .help = "leaves out the maps that know nothing: random and centre"},
    {.name = "json",
     .kind = OPTION_FLAG,
     AT(json),
     .help = "one JSON object per picture and method, one per line",
     .more =
         "{\"image\",\"method\",\"target\",\"label\",\"probability\",\"values\":{NAME:number}}, "
         "with all numbers of the\n"
         "metrics; numbers that could not be measured are missing. With --scenes: one object per "
         "line of the\n"
         "table; docs/evaluation.md has the form."},
    {.name = "list", .kind = OPTION_FLAG, AT(list), .help = "lists the metrics with their options"},
};

/* ------------------------------------------------------------------ checks ----------------- */

/* The name of a picture's mask, to be freed; NULL after a complaint. */
static char *mask_name(const char *pattern, const char *file)
{
    char *name = output_name(pattern, file, "", VITX_AUTO, VITX_EXPLAINED_CLASS, "");
    if (!name)
        complain(file, "no memory");
    return name;
}

/* --mask and --other of each picture. */
static bool add_masks(struct sources *sources, const char *pattern, char **files, int count)
{
    for (int i = 0; i < count && pattern; i++) {
        char *name = mask_name(pattern, files[i]);
        if (!name)
            return false;
        sources_add(sources, name);
        free(name);
    }
    return true;
}

/* No file of curves may be one that is read. */
static int check_curves(const struct eval_plan *plan, char **files, int count)
{
    const struct eval_settings *o = plan->settings;
    struct sources sources = {0};
    if (!o->curves)
        return DONE;
    sources_gather(&sources, &o->common, files, count);
    sources_add(&sources, o->like ? o->like : o->vector);
    const bool ready = add_masks(&sources, o->mask, files, count) &&
                       add_masks(&sources, o->other, files, count) && sources_ready(&sources);
    int status = ready ? DONE : SOME_FAILED;
    for (int i = 0; i < plan->metrics && status == DONE; i++) {
        if (!plan->table.metrics[i].curve_count)
            continue;
        char *name = eval_curves_name(o->curves, plan->table.metrics[i].name);
        if (!name)
            complain(NULL, "no memory");
        status = name ? check_output(name, &sources, "curves", true) : SOME_FAILED;
        free(name);
    }
    sources_free(&sources);
    return status;
}

static int check_boxes(struct eval_plan *plan)
{
    const struct list *boxes = &plan->settings->boxes;
    if (plan->settings->mask && boxes->count)
        return wrong_usage("--mask and --box: one of them");
    if (plan->settings->other && !plan->settings->mask && boxes->count == 0)
        return wrong_usage("--other needs --mask or --box");
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
static int check_settings(struct eval_plan *plan, char **files, int count)
{
    const struct eval_settings *o = plan->settings;
    if (count == 0 && !o->scenes)
        return wrong_usage("needs at least one picture");
    int status = eval_scenes_check(o, count);
    if (status == DONE)
        status = check_boxes(plan);
    if (status == DONE)
        status = eval_plan_create(plan);
    if (status == DONE)
        status = eval_curves_check(plan);
    return status == DONE ? check_curves(plan, files, count) : status;
}

/* ------------------------------------------------------------------ one picture ------------ */

/* What one picture has. */
struct picture {
    struct eval_case c;
    vitx_image *image;
    vitx_map **maps; /* [table.row_count] */
};

/* As explain's JSON: what is followed is a class, a component of an embedding, a file's vector or a
 * text. */
static void print_target(const struct eval_case *c, const vitx_map_info *map)
{
    const struct eval_settings *o = c->plan->settings;
    const char *with = o->vector ? o->vector : o->like ? o->like : o->text;
    printf("\"target\":");
    if (with) /* a blind map has a target that nobody asked for */
        printf("null");
    else
        printf("%d", map->target);
    printf(",\"label\":");
    json_text(with ? with : vitx_model_label(c->plan->session.model, map->target));
    printf(",\"probability\":");
    if (with || c->plan->session.info.outputs == VITX_OUTPUTS_NONE)
        printf("null");
    else
        printf("%.9g", (double)map->probability);
}

/* "insertion":0.5, a value behind the first with its name; null where there is nothing to
 * measure. */
static void print_value(const char *before, const vitx_metric_info *metric, int v, double value)
{
    printf("%s\"%s%s%s\":", before, metric->name, v ? "." : "", v ? metric->value_names[v] : "");
    if (isnan(value))
        printf("null");
    else
        printf("%.9g", value);
}

static void print_json(const struct eval_case *c, const vitx_map *of)
{
    vitx_map_info map = VITX_MAP_INFO_INIT;
    const char *before = "";
    if (vitx_map_get_info(&map, of) != VITX_OK)
        return;
    printf("{\"image\":");
    json_text(c->name);
    printf(",\"method\":\"%s\",", map.method);
    print_target(c, &map);
    printf(",\"values\":{");
    for (int j = 0; j < c->count; j++) {
        vitx_evaluation_info e = VITX_EVALUATION_INFO_INIT;
        const vitx_metric_info *metric = &c->plan->table.metrics[c->which[j]];
        if (!c->results[j] || vitx_evaluation_get_info(&e, c->results[j]) != VITX_OK)
            continue;
        for (int v = 0; v < e.value_count; v++, before = ",")
            print_value(before, metric, v, e.values[v]);
    }
    printf("}}\n");
}

/* The mask of a file for a picture. */
static bool load_mask(struct mask *out, const char *pattern, const char *file,
                      const struct common *common)
{
    char *name = mask_name(pattern, file);
    const bool loaded = name && mask_of_file(out, name, common);
    free(name);
    return loaded;
}

static bool load(struct picture *p, const char *file)
{
    const struct eval_plan *plan = p->c.plan;
    const struct eval_settings *o = plan->settings;
    if (!image_load(&p->image, file, &o->common))
        return false;
    eval_case_begin(&p->c, file, p->image);
    if (o->boxes.count && !mask_of_boxes(&p->c.mask, p->image, plan->boxes, o->boxes.count))
        return false;
    if (o->mask && !load_mask(&p->c.mask, o->mask, file, &o->common))
        return false;
    if (!o->other)
        return true;
    if (!load_mask(&p->c.other, o->other, file, &o->common))
        return false;
    if (p->c.other.height == p->c.mask.height && p->c.other.width == p->c.mask.width)
        return true;
    complain(file, "the masks are %d x %d and %d x %d pixels", p->c.mask.width, p->c.mask.height,
             p->c.other.width, p->c.other.height);
    return false;
}

static void clear(struct picture *p)
{
    for (int i = 0; i < p->c.plan->table.row_count; i++) {
        vitx_map_free(p->maps[i]);
        p->maps[i] = NULL;
    }
    vitx_image_free(p->image);
    p->image = NULL;
    mask_free(&p->c.mask);
    mask_free(&p->c.other);
}

/* The maps of all rows. */
static int make_maps(struct picture *p, int index)
{
    const struct eval_plan *plan = p->c.plan;
    int code = eval_case_explain(&p->c, p->maps, plan->opts, plan->methods);
    for (int i = plan->methods; i < plan->table.row_count && code == VITX_OK; i++)
        code = eval_case_blind(&p->c, &p->maps[i], i, index, plan->target);
    return code;
}

/* Picture `index` of them. */
static void evaluate_picture(struct picture *p, struct table *t, const char *file, int index)
{
    const int rows = t->row_count;
    if (!load(p, file)) {
        p->c.status = SOME_FAILED;
        return;
    }
    progress_step(index * (rows + 1), 1, file);
    int code = make_maps(p, index);
    for (int row = 0; row < rows && code != VITX_CANCELLED; row++) {
        if (!p->maps[row])
            continue;
        progress_step(index * (rows + 1) + 1 + row, 1, file);
        code = eval_case_measure(&p->c, t, p->maps[row], row);
        if (code == VITX_OK && p->c.plan->settings->json) {
            progress_before_results();
            print_json(&p->c, p->maps[row]);
        }
    }
    if (code == VITX_CANCELLED && progress_cancelled())
        p->c.status = SOME_FAILED;
    t->pictures += code != VITX_CANCELLED;
}

/* ------------------------------------------------------------------ all pictures ----------- */

/* Ctrl-C ends the work on pictures; what was measured until then is still printed. */
static int evaluate(struct eval_plan *plan, char **files, int count)
{
    struct picture p = {.maps = calloc((size_t)plan->table.row_count, sizeof(vitx_map *))};
    const bool ready = eval_case_create(&p.c, plan) && p.maps;
    if (!p.maps)
        complain(NULL, "no memory");
    if (!ready)
        p.c.status = SOME_FAILED;
    progress_begin(&plan->settings->common, count, plan->table.row_count + 1, "pictures");
    for (int i = 0; ready && i < count && output_works(); i++) {
        progress_step(i * (plan->table.row_count + 1), 1, files[i]);
        if (progress_cancelled()) {
            p.c.status = SOME_FAILED;
            break;
        }
        evaluate_picture(&p, &plan->table, files[i], i);
        clear(&p);
    }
    progress_hide();
    eval_case_free(&p.c);
    free(p.maps);
    if (plan->table.pictures == 0)
        return SOME_FAILED;
    if (!plan->settings->json)
        table_print(&plan->table);
    return eval_curves_write(plan) == DONE ? p.c.status : SOME_FAILED;
}

/* The text tower, and the texts that others are told from. */
static int open_texts(struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    const int status = texts_open(&plan->session, &o->common);
    if (status != DONE)
        return status;
    return o->among_things ? eval_words_among(&plan->session, (enum language)o->words)
                           : among_open(&plan->session, &o->common, &o->among, NULL);
}

/* The model, and the text tower that --words or --text asks. */
static int open_model(struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    struct session *session = &plan->session;
    const int status = session_open(session, &o->common);
    if (status != DONE || !o->common.words.wanted)
        return status;
    if (session->info.units)
        return open_texts(plan);
    return o->text ? wrong_usage("--text: the model has classes; --target names one")
                   : wrong_usage("--words: the model has classes, which are asked for without it");
}

static int run(const void *given, char **files, int count)
{
    struct eval_settings settings = *(const struct eval_settings *)given;
    struct eval_plan plan = {.settings = &settings};
    const struct eval_settings *o = &settings;
    if (o->list)
        return eval_list_metrics();
    if (o->texts.count > 1)
        return wrong_usage("--text: one text is measured at a time");
    settings.text = o->texts.count ? o->texts.items[0] : NULL;
    settings.common.words.wanted = o->text || o->words != VITX_AUTO;
    int status = check_settings(&plan, files, count);
    if (status == DONE)
        status = open_model(&plan);
    if (status == DONE)
        status = eval_plan_methods(&plan);
    if (status == DONE)
        status =
            session_start(&plan.session, &o->common, o->scenes ? VITX_FIT_SQUASH : VITX_FIT_RECIPE);
    if (status == DONE)
        status = eval_plan_check(&plan);
    if (status == DONE && !o->scenes)
        eval_plan_announce(&plan, count);
    if (status == DONE)
        status = o->scenes ? eval_scenes(&plan) : evaluate(&plan, files, count);
    eval_plan_free(&plan);
    return status;
}

const struct command cmd_eval = {
    .name = "eval",
    .summary = "Says whether maps are right: metrics of methods, over pictures.",
    .usage = "[-m MODEL] --method NAME [OPTIONS] IMAGE... | --scenes N",
    .details =
        "Prints a table with a line for each method: means over the pictures, with their\n"
        "standard errors. They say how soon the answer appears or goes in the map's order "
        "and, with\n"
        "a mask, how well the map finds the object. Below stand two maps that know nothing, "
        "one of\n"
        "random numbers and one of the centre. A useful method is better than these two.\n"
        "docs/evaluation.md says what each metric can tell. A picture that fails is "
        "reported and "
        "left out.\n"
        "\n"
        "  vitx-cli eval -m deit_tiny --method rollout,generic,gradcam *.jpg\n"
        "  vitx-cli eval -m deit_tiny --method generic --metric pointing,energy,iou --mask "
        "'masks/{image}.png' *.jpg\n"
        "  vitx-cli eval --method rollout,generic,gradcam --scenes 20\n"
        "  vitx-cli eval -m clip --method legrad,surgery --text 'a dog on the left' park.jpg\n"
        "  vitx-cli eval -m deit_tiny --method generic --metric deletion --set "
        "deletion.step=1792 \\\n"
        "      --curves deletion.png --json *.jpg > values.jsonl",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .defaults = &defaults,
    .settings_size = sizeof defaults,
    .pictures = true,
    .run = run,
};
