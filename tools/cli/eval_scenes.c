/*
 * cli/eval_scenes.c: eval over scenes: pictures drawn for it, of which every object is known to the
 * pixel.
 *
 * Scene 2i is the i-th of one object, scene 2i+1 the i-th of two: as vitx-scenes --objects 1 and
 * --objects 2 draw them. Each object is asked for in turn; all maps of a scene come out of one
 * vitx_explain_many. Of the first scenes of one object each map is made by a call of its own, which
 * tells what it takes, and which methods are costly.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "eval_words.h"
#include "labels.h"
#include "progress.h"
#include "tools/scenes/scene.h"

enum {
    KINDS = 2,   /* of scenes, by the number of their objects */
    TIMED = 5,   /* scenes whose maps are timed */
    COSTLY = 20, /* forwards a map from which a method is costly */
    SEED = 20261
};

struct scenes {
    struct eval_plan *plan;
    int seed, costly; /* costly: scenes of each kind */
    struct scene *of[KINDS];
    int *outputs; /* [scene_classes()]: the model's classes; NULL: they are asked for in words */
    struct eval_words words;
    struct eval_case c;
    vitx_image *image;
    vitx_map **maps;               /* [KINDS, table.row_count]: of each object */
    vitx_map **made;               /* [KINDS, methods]: of one call */
    vitx_explain_opts *opts;       /* the same */
    bool *starred;                 /* [table.row_count]: costly methods */
    double *times;                 /* [methods, TIMED] */
    int *timed;                    /* [methods]: how many of those there are */
    int seen[KINDS], right[KINDS]; /* scenes; those that the model answers rightly */
};

/* ------------------------------------------------------------------ checks ----------------- */

int eval_scenes_check(const struct eval_settings *o, int files)
{
    static const char *const needs = "is for --scenes";
    if (!o->scenes && o->seed != VITX_AUTO)
        return wrong_usage("--seed %s", needs);
    if (!o->scenes && o->costly != VITX_AUTO)
        return wrong_usage("--costly %s", needs);
    if (!o->scenes && o->words != VITX_AUTO)
        return wrong_usage("--words %s", needs);
    if (o->words == VITX_AUTO && o->among_things)
        return wrong_usage("--among-things is for --words");
    if (!o->scenes)
        return DONE;
    if (files)
        return wrong_usage("--scenes draws the pictures: none can be given");
    if (o->target || o->vector || o->like || o->text)
        return wrong_usage("--scenes asks for each object: --%s cannot be given",
                           o->target   ? "target"
                           : o->vector ? "vector"
                           : o->like   ? "like"
                                       : "text");
    if (o->mask || o->other || o->boxes.count)
        return wrong_usage(
            "--scenes knows where the objects are: no --mask, --other or --box can be given");
    return DONE;
}

/* The model's class for each class of the scenes, by its name in English or in Chinese. */
static int find_outputs(struct scenes *s)
{
    const vitx_model *model = s->plan->session.model;
    s->outputs = calloc((size_t)scene_classes(), sizeof *s->outputs);
    if (!s->outputs) {
        complain(NULL, "no memory");
        return SOME_FAILED;
    }
    for (int k = 0; k < scene_classes(); k++)
        if (vitx_model_find_label(&s->outputs[k], model, scene_label_zh(k)) != VITX_OK &&
            vitx_model_find_label(&s->outputs[k], model, scene_label(k)) != VITX_OK) {
            complain(s->plan->session.path,
                     "the model does not know the scenes' classes: it has no class \"%s\"%s",
                     scene_label(k),
                     s->plan->session.info.units ? "; --words en or zh asks a text tower" : "");
            return SOME_FAILED;
        }
    return DONE;
}

/* What the objects are asked for by. */
static int find_names(struct scenes *s)
{
    struct eval_plan *plan = s->plan;
    const int language = plan->settings->words;
    if (language == VITX_AUTO)
        return find_outputs(s);
    const int status = eval_words_create(&s->words, &plan->session, (enum language)language);
    s->words.told_apart = plan->settings->among_things;
    return status;
}

/* A scene of each kind, in the size of the model's input. */
static int open_scenes(struct scenes *s)
{
    const vitx_recipe *r = s->plan->session.info.recipe;
    struct scene_opts opts = scene_defaults;
    opts.width = r->input_width;
    opts.height = r->input_height;
    if (opts.width < SCENE_SIDE_MIN || opts.height < SCENE_SIDE_MIN ||
        opts.width > SCENE_SIDE_MAX || opts.height > SCENE_SIDE_MAX) {
        complain(s->plan->session.path, "its input is %d x %d, scenes have sides of %d to %d",
                 opts.width, opts.height, SCENE_SIDE_MIN, SCENE_SIDE_MAX);
        return SOME_FAILED;
    }
    for (int k = 0; k < KINDS; k++) {
        opts.least = opts.most = k + 1;
        s->of[k] = scene_new(&opts);
        if (!s->of[k]) {
            complain(NULL, "no memory");
            return SOME_FAILED;
        }
    }
    return DONE;
}

static int create(struct scenes *s, struct eval_plan *plan)
{
    const struct eval_settings *o = plan->settings;
    const size_t rows = (size_t)plan->table.row_count, methods = (size_t)plan->methods;
    *s = (struct scenes){.plan = plan,
                         .seed = o->seed == VITX_AUTO ? SEED : o->seed,
                         .costly = o->costly == VITX_AUTO ? (o->scenes + 9) / 10 : o->costly};
    if (!eval_case_create(&s->c, plan))
        return SOME_FAILED;
    s->maps = calloc(KINDS * rows, sizeof(vitx_map *));
    s->made = calloc(KINDS * rows, sizeof(vitx_map *));
    s->opts = calloc(KINDS * methods, sizeof *s->opts);
    s->starred = calloc(rows, sizeof *s->starred);
    s->times = calloc(methods * TIMED, sizeof *s->times);
    s->timed = calloc(methods, sizeof *s->timed);
    if (s->maps && s->made && s->opts && s->starred && s->times && s->timed) {
        const int status = find_names(s);
        return status == DONE ? open_scenes(s) : status;
    }
    complain(NULL, "no memory");
    return SOME_FAILED;
}

static void destroy(struct scenes *s)
{
    eval_case_free(&s->c);
    for (int k = 0; k < KINDS; k++)
        scene_free(s->of[k]);
    eval_words_free(&s->words);
    free(s->outputs);
    free(s->maps);
    free(s->made);
    free(s->opts);
    free(s->starred);
    free(s->times);
    free(s->timed);
}

/* ------------------------------------------------------------------ maps ------------------- */

/* Whether the model's first answers, as many as there are objects, are these. */
static int classify(bool *right, struct scenes *s, const struct scene *scene)
{
    vitx_prediction top[KINDS];
    const int code = vitx_classify(s->plan->session.context, s->image, top, scene->count);
    *right = code == VITX_OK;
    for (int k = 0; k < scene->count && *right; k++) {
        bool named = false;
        for (int i = 0; i < scene->count; i++)
            named |= top[i].index == s->outputs[scene->objects[k].kind];
        *right = named;
    }
    return code;
}

/* Whether the model names the objects. */
static int ask(struct scenes *s, const struct scene *scene, int index)
{
    bool right;
    const int code = s->outputs ? classify(&right, s, scene)
                                : eval_words_ask(&s->words, &right, scene, s->image,
                                                 (uint64_t)s->seed, (uint64_t)index);
    if (code != VITX_OK)
        return code;
    s->seen[scene->count - 1]++;
    s->right[scene->count - 1] += right;
    return VITX_OK;
}

/* One map by a call of its own, timed; what it took to make it tells whether the method is
 * costly. */
static int time_map(struct scenes *s, int method, const vitx_explain_opts *opts)
{
    vitx_map_info info = VITX_MAP_INFO_INIT;
    const double before = now_ms();
    const int code = eval_case_explain(&s->c, &s->maps[method], opts, 1);
    const double taken = now_ms() - before;
    if (!s->maps[method] || vitx_map_get_info(&info, s->maps[method]) != VITX_OK)
        return code;
    s->times[method * TIMED + s->timed[method]++] = taken;
    s->starred[method] |= info.forwards >= COSTLY;
    return code;
}

/* What a map of that object is asked for by. */
static void aim(const struct scenes *s, vitx_explain_opts *opts, int kind)
{
    if (s->outputs) {
        opts->target = s->outputs[kind];
        return;
    }
    opts->texts = s->plan->session.texts;
    opts->text = s->words.things[kind];
}

/* The maps of the methods for the scene's objects: of costly ones only where they are to be
 * measured. */
static int explain(struct scenes *s, const struct scene *scene, int index)
{
    const struct eval_plan *plan = s->plan;
    const bool alone = scene->count == 1 && index < TIMED;
    int m = 0, code = VITX_OK;
    for (int k = 0; k < scene->count; k++)
        for (int i = 0; i < plan->methods && code == VITX_OK; i++) {
            if (s->starred[i] && index >= s->costly)
                continue;
            s->opts[m] = plan->opts[i];
            aim(s, &s->opts[m], scene->objects[k].kind);
            if (alone)
                code = time_map(s, i, &s->opts[m]);
            else
                m++;
        }
    if (code == VITX_OK)
        code = eval_case_explain(&s->c, s->made, s->opts, m);
    m = 0;
    for (int k = 0; k < scene->count && !alone; k++)
        for (int i = 0; i < plan->methods; i++)
            if (!s->starred[i] || index < s->costly) {
                s->maps[k * plan->table.row_count + i] = s->made[m];
                s->made[m++] = NULL;
            }
    return code;
}

/* The blind maps, which are the same for each object: they lie with the first alone. */
static int add_blind(struct scenes *s, const struct scene *scene, int number)
{
    const struct eval_plan *plan = s->plan;
    int code = VITX_OK;
    for (int row = plan->methods; row < plan->table.row_count && code == VITX_OK; row++)
        code = eval_case_blind(&s->c, &s->maps[row], row, number,
                               s->outputs ? s->outputs[scene->objects[0].kind] : 0);
    return code;
}

static const vitx_map *map_of(const struct scenes *s, int k, int row)
{
    return s->maps[row < s->plan->methods ? k * s->plan->table.row_count + row : row];
}

/* ------------------------------------------------------------------ one scene -------------- */

static bool make_mask(struct mask *out, const struct scene *scene, int k)
{
    const size_t count = (size_t)scene->width * (size_t)scene->height;
    *out = (struct mask){malloc(count), scene->height, scene->width};
    if (!out->inside) {
        complain(NULL, "no memory");
        return false;
    }
    for (size_t i = 0; i < count; i++)
        out->inside[i] = scene->owner[i] == k + 1;
    return true;
}

/* One row's maps, by the mask of the object they are of, and that of the other one. */
static int measure_row(struct scenes *s, int row, const struct scene *scene,
                       struct mask masks[KINDS])
{
    const int count = scene->count;
    int code = VITX_OK;
    for (int k = 0; k < count && code == VITX_OK; k++) {
        if (!s->outputs) /* metrics follow what the map was asked for by */
            aim(s, &s->plan->opts[row < s->plan->methods ? row : 0], scene->objects[k].kind);
        s->c.mask = masks[k];
        s->c.other = count == 2 ? masks[1 - k] : (struct mask){0};
        if (map_of(s, k, row))
            code = eval_case_measure(&s->c, &s->plan->table, map_of(s, k, row), row);
    }
    return code;
}

static int measure(struct scenes *s, const struct scene *scene, int number, const char *name)
{
    struct mask masks[KINDS] = {{0}};
    const int rows = s->plan->table.row_count, index = number / KINDS;
    int code = VITX_OK;
    bool ready = true;
    for (int k = 0; k < scene->count && ready; k++)
        ready = make_mask(&masks[k], scene, k);
    s->c.groups = scene->count == 1 ? 1u << GROUP_ONE : 1u << GROUP_TWO;
    if (scene->count == 1 && index < s->costly)
        s->c.groups |= 1u << GROUP_MODEL;
    for (int row = 0; row < rows && ready && code == VITX_OK; row++) {
        progress_step(number * (rows + 1) + 1 + row, 1, name);
        code = measure_row(s, row, scene, masks);
    }
    for (int k = 0; k < KINDS; k++)
        mask_free(&masks[k]);
    if (!ready)
        s->c.status = SOME_FAILED;
    return code;
}

static void clear(struct scenes *s)
{
    for (int i = 0; i < KINDS * s->plan->table.row_count; i++) {
        vitx_map_free(s->maps[i]);
        s->maps[i] = NULL;
    }
    vitx_image_free(s->image);
    s->image = NULL;
}

static int run_scene(struct scenes *s, int number, const char *name)
{
    struct scene *scene = s->of[number % KINDS];
    scene_draw(scene, (uint64_t)s->seed, (uint64_t)(number / KINDS));
    int code = vitx_image_from_rgb(&s->image, scene->rgb, scene->width, scene->height, 0, NULL);
    if (code != VITX_OK)
        return code;
    eval_case_begin(&s->c, name, s->image);
    code = ask(s, scene, number / KINDS);
    if (code == VITX_OK)
        code = explain(s, scene, number / KINDS);
    if (code == VITX_OK)
        code = add_blind(s, scene, number);
    return code == VITX_OK ? measure(s, scene, number, name) : code;
}

/* ------------------------------------------------------------------ results ---------------- */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle of each method's times, into the last column. */
static void fill_times(struct scenes *s)
{
    struct table *t = &s->plan->table;
    for (int i = 0; i < s->plan->methods; i++) {
        double *times = s->times + i * TIMED;
        const int n = s->timed[i];
        qsort(times, (size_t)n, sizeof *times, by_size);
        if (n)
            t->cells[(i + 1) * t->column_count - 1] =
                (struct cell){.n = 1, .mean = (times[(n - 1) / 2] + times[n / 2]) / 2};
    }
}

static double percent_right(const struct scenes *s, int kind)
{
    return s->seen[kind] ? 100.0 * s->right[kind] / s->seen[kind] : 0;
}

static void print_text(struct scenes *s)
{
    static const char *const titles[] = {"one object", "two objects", "one object*", ""};
    struct table *t = &s->plan->table;
    const int all = s->seen[0] + s->seen[1];
    t->titles = titles;
    t->starred = s->starred;
    printf("%d scene%s of seed %d, %d x %d: %d with one object, %d with two, each of which is "
           "asked for\n",
           all, all == 1 ? "" : "s", s->seed, s->of[0]->width, s->of[0]->height, s->seen[0],
           s->seen[1]);
    printf("the model names the one object of %.1f %%", percent_right(s, 0));
    if (s->seen[1])
        printf(", both of two of %.1f %%", percent_right(s, 1));
    printf("\n");
    if (!s->outputs)
        eval_words_print(&s->words);
    table_print_brief(t);
    printf("+-: the largest standard error; *: over the first %d of each kind\n",
           s->costly < s->seen[0] ? s->costly : s->seen[0]);
}

static void print_group(const struct table *t, int row, const char *name, unsigned groups)
{
    const char *before = "";
    printf(",\"%s\":{", name);
    for (int c = 0; c < t->column_count; c++) {
        const struct cell *cell = &t->cells[row * t->column_count + c];
        if (cell->n == 0 || !(groups >> t->columns[c].group & 1))
            continue;
        printf("%s\"%s\":{\"mean\":%.9g,\"error\":%.9g,\"cases\":%d}", before, t->columns[c].name,
               cell->mean, cell_error(cell), cell->n);
        before = ",";
    }
    putchar('}');
}

static void print_json(struct scenes *s)
{
    const struct table *t = &s->plan->table;
    printf("{\"seed\":%d,\"width\":%d,\"height\":%d", s->seed, s->of[0]->width, s->of[0]->height);
    for (int k = 0; k < KINDS; k++)
        printf(",\"%s\":{\"scenes\":%d,\"right\":%.9g}", k ? "two" : "one", s->seen[k],
               percent_right(s, k) / 100);
    if (!s->outputs)
        eval_words_print_json(&s->words);
    printf("}\n");
    for (int row = 0; row < t->row_count; row++) {
        const struct cell *ms = &t->cells[(row + 1) * t->column_count - 1];
        printf("{\"method\":\"%s\"", t->rows[row]);
        print_group(t, row, "one", 1u << GROUP_ONE | 1u << GROUP_MODEL);
        print_group(t, row, "two", 1u << GROUP_TWO);
        if (ms->n)
            printf(",\"ms\":%.6g", ms->mean);
        printf("}\n");
    }
}

/* Ctrl-C ends the work on scenes; what was measured until then is still printed. */
static void run_all(struct scenes *s)
{
    const int count = s->plan->settings->scenes;
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "scene %d", i);
        progress_step(i * (s->plan->table.row_count + 1), 1, name);
        const int code = progress_cancelled() ? VITX_CANCELLED : run_scene(s, i, name);
        if (code != VITX_OK && code != VITX_CANCELLED)
            complain_last(name);
        if (code != VITX_OK)
            s->c.status = SOME_FAILED;
        clear(s);
        if (code == VITX_CANCELLED)
            return;
    }
}

int eval_scenes(struct eval_plan *plan)
{
    struct scenes s;
    int status = create(&s, plan);
    if (status == DONE) {
        progress_begin(&plan->settings->common, plan->settings->scenes, plan->table.row_count + 1,
                       "scenes");
        run_all(&s);
        progress_hide();
        fill_times(&s);
        status = s.seen[0] == 0 ? SOME_FAILED : s.c.status;
    }
    if (s.seen[0]) {
        if (plan->settings->json)
            print_json(&s);
        else
            print_text(&s);
        if (eval_curves_write(plan) != DONE)
            status = SOME_FAILED;
    }
    destroy(&s);
    return status;
}
