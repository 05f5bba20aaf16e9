/* measure/evaluate.c: from options to trials, from trials to numbers. */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "engine/size.h"
#include "explain/direction.h"
#include "explain/explain.h"
#include "measure/followed.h"

#define VX_METRIC(name) extern const vx_metric vx_metric_##name;
#include "measure/metrics.def"
#undef VX_METRIC

static const vx_metric *const metrics[] = {
#define VX_METRIC(name) &vx_metric_##name,
#include "measure/metrics.def"
#undef VX_METRIC
};

const vx_metric *vx_metric_at(int index)
{
    return index >= 0 && index < vitx_metric_count() ? metrics[index] : NULL;
}

int vitx_metric_count(void)
{
    return (int)(sizeof metrics / sizeof metrics[0]);
}

void vitx_evaluate_opts_init(vitx_evaluate_opts *out, size_t struct_size)
{
    const vitx_evaluate_opts full = VITX_EVALUATE_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_evaluation_info_init(vitx_evaluation_info *out, size_t struct_size)
{
    const vitx_evaluation_info full = VITX_EVALUATION_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

void vitx_metric_info_init(vitx_metric_info *out, size_t struct_size)
{
    const vitx_metric_info full = VITX_METRIC_INFO_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

/* Values of a metric: those it names, or the one of its own name. */
static int value_count(const vx_metric *m)
{
    return m->value_names ? m->value_count : 1;
}

int vitx_metric_get(vitx_metric_info *out, int index)
{
    if (!out)
        return vx_fail(VITX_INVALID, "vitx_metric_get: out is NULL");
    const vx_metric *m = vx_metric_at(index);
    if (!m)
        return vx_fail(VITX_INVALID, "metric %d: there are %d", index, vitx_metric_count());
    const vitx_metric_info info = {.name = m->name,
                                   .summary = m->summary,
                                   .cost = m->cost,
                                   .reference = m->reference,
                                   .higher_is_better = m->higher_is_better,
                                   .needs_mask = m->needs_mask,
                                   .needs_other = m->needs_other,
                                   .needs_explain = m->needs_explain,
                                   .value_names = m->value_names ? m->value_names : &m->name,
                                   .value_count = value_count(m),
                                   .curve_names = m->curve_names,
                                   .curve_count = m->curve_count,
                                   .x_name = m->x_name,
                                   .options = m->options,
                                   .option_count = m->option_count};
    return VX_STRUCT_WRITE(out, &info, vitx_metric_info, option_count);
}

/* ------------------------------------------------------------------ evaluations ------------ */

static int create_evaluation(vitx_evaluation **out, const vx_trial *t)
{
    const vx_metric *m = t->metric;
    const vitx_hooks *hooks = &t->subject->context->hooks;
    const size_t values = (size_t)value_count(m), points = (size_t)t->points;
    vitx_evaluation *e;
    *out = NULL;
    VX_TRY(vx_new(&e, hooks, 1, sizeof *e, "an evaluation"));
    e->hooks = *hooks;
    const int status = vx_new(&e->values, hooks, values + points * (1 + (size_t)m->curve_count),
                              sizeof *e->values, "the numbers of an evaluation");
    if (status != VITX_OK) {
        vitx_evaluation_free(e);
        return status;
    }
    e->x = e->values + values;
    e->curves = e->x + points;
    e->info = (vitx_evaluation_info){.struct_size = sizeof e->info,
                                     .metric = m->name,
                                     .values = e->values,
                                     .value_count = (int)values,
                                     .x = points ? e->x : NULL,
                                     .curves = points ? e->curves : NULL,
                                     .point_count = t->points,
                                     .curve_count = points ? m->curve_count : 0};
    *out = e;
    return VITX_OK;
}

void vitx_evaluation_free(vitx_evaluation *evaluation)
{
    if (!evaluation)
        return;
    const vitx_hooks hooks = evaluation->hooks;
    vx_release(&hooks, evaluation->values);
    vx_release(&hooks, evaluation);
}

int vitx_evaluation_get_info(vitx_evaluation_info *out, const vitx_evaluation *evaluation)
{
    if (!out || !evaluation)
        return vx_fail(VITX_INVALID, "vitx_evaluation_get_info: an argument is NULL");
    return VX_STRUCT_WRITE(out, &evaluation->info, vitx_evaluation_info, forwards);
}

/* ------------------------------------------------------------------ the map ---------------- */

static bool of_vector(const vitx_map *map)
{
    return map->info.explains == VITX_EXPLAINED_VECTOR ||
           map->info.explains == VITX_EXPLAINED_PICTURE;
}

/* Whether the map lies in the picture where this context's input does: then it was made with the
 * same recipe and fit, and was not taken to the picture's coordinates. */
static bool same_place(const vx_placement *map, const vx_placement *own, const vx_subject *s)
{
    return map->left == own->left && map->top == own->top && map->scale_x == own->scale_x &&
           map->scale_y == own->scale_y &&
           (map->input_w == own->input_w || map->input_w == s->seen_width) &&
           (map->input_h == own->input_h || map->input_h == s->seen_height);
}

static int check_map(const vx_subject *s)
{
    const vitx_map_info *info = &s->map->info;
    const vitx_image *image = s->image;
    vx_placement own;
    if (vx_map_planes(s->map) != 1)
        return vx_fail(VITX_INVALID,
                       "a map of %d planes: one layer and one head at a time can be measured",
                       vx_map_planes(s->map));
    if (image->width != info->picture_width || image->height != info->picture_height)
        return vx_fail(VITX_INVALID, "the picture is %d x %d, the one explained was %d x %d",
                       image->width, image->height, info->picture_width, info->picture_height);
    if (!of_vector(s->map) && (info->target < 0 || info->target >= s->context->arch.classes))
        return vx_fail(VITX_INVALID, "the map is of class %d, the model has classes 0 to %d",
                       info->target, s->context->arch.classes - 1);
    VX_TRY(vx_place(&own, &s->context->recipe, image->width, image->height));
    if (!same_place(&s->map->placement, &own, s))
        return vx_fail(
            VITX_INVALID,
            "the map does not lie over this model's input: it was made with another model "
            "or fit, or was taken to the picture");
    for (size_t i = 0; i < s->map->count; i++)
        if (!isfinite(s->plane[i]))
            return vx_fail(VITX_INVALID, "the map holds a value that is not finite");
    return VITX_OK;
}

/* map and image are NULL where only options are checked. */
static int describe(vx_subject *s, vitx_context *c, const vitx_image *image, const vitx_map *map)
{
    if (image)
        VX_TRY(vx_size_take(c, image));
    *s = (vx_subject){.context = c,
                      .arch = &c->arch,
                      .image = image,
                      .map = map,
                      .versus = VITX_AUTO,
                      .input_height = c->recipe.input_height,
                      .input_width = c->recipe.input_width,
                      .seen_height = c->arch.grid_height * c->arch.patch_height,
                      .seen_width = c->arch.grid_width * c->arch.patch_width};
    if (!map)
        return VITX_OK;
    s->plane = vx_map_plane(map, 0, &s->height, &s->width);
    return check_map(s);
}

/* ------------------------------------------------------------------ options to trials ------ */

static const char *metric_name(int index)
{
    const vx_metric *metric = vx_metric_at(index);
    return metric ? metric->name : NULL;
}

static int find_metric(const vx_metric **out, const char *name)
{
    int index;
    VX_TRY(vx_find_name(&index, name, metric_name, "metric"));
    *out = vx_metric_at(index);
    return VITX_OK;
}

/* The way in which the map was made, for the class and score that it turned out to explain. */
static int read_explain(vx_trial *t)
{
    const vitx_map *map = t->subject->map;
    vitx_explain_opts *e = &t->explain;
    if (!t->opts.explain)
        return vx_fail(VITX_INVALID,
                       "metric %s explains again: it needs the options that the map was made with",
                       t->metric->name);
    *e = (vitx_explain_opts)VITX_EXPLAIN_OPTS_INIT;
    VX_TRY(VX_STRUCT_READ(e, t->opts.explain, vitx_explain_opts, set_count));
    if (!map)
        return VITX_OK;
    if (!e->method || strcmp(e->method, map->info.method) != 0)
        return vx_fail(VITX_INVALID, "metric %s: the map is of %s, the options are of %s",
                       t->metric->name, map->info.method, e->method ? e->method : "no method");
    e->target = map->info.target;
    e->score = map->info.score;
    e->versus = map->info.versus;
    if (of_vector(map) && e->like) { /* which is run once */
        e->like = NULL;
        e->vector = t->subject->direction[VX_AS_IT_IS].vector;
        e->vector_count = t->subject->arch->classes;
    }
    return VITX_OK;
}

static int check_mask(const vx_trial *t)
{
    const vitx_evaluate_opts *o = &t->opts;
    const vitx_image *image = t->subject->image;
    if (!o->mask)
        return vx_fail(VITX_INVALID, "metric %s needs a mask", t->metric->name);
    if (o->mask_width != image->width || o->mask_height != image->height)
        return vx_fail(VITX_INVALID, "the mask is %d x %d pixels, the picture %d x %d",
                       o->mask_width, o->mask_height, image->width, image->height);
    if (t->metric->needs_other && !o->other)
        return vx_fail(VITX_INVALID, "metric %s needs the mask of another object", t->metric->name);
    return VITX_OK;
}

static int prepare_trial(vx_trial *t, const vx_subject *s, const vitx_evaluate_opts *given)
{
    const vitx_hooks scratch = vx_scratch_hooks(&s->context->scratch);
    *t = (vx_trial){.subject = s, .opts = VITX_EVALUATE_OPTS_INIT};
    VX_TRY(VX_STRUCT_READ(&t->opts, given, vitx_evaluate_opts, mask_width));
    VX_TRY(find_metric(&t->metric, t->opts.metric));
    const vx_metric *m = t->metric;
    t->given = (vx_settings){m->name, m->options, m->option_count, t->opts.set, t->opts.set_count};
    VX_TRY(vx_settings_check(&t->given, "metric"));
    if (m->needs_explain)
        VX_TRY(read_explain(t));
    if (m->needs_mask && s->image)
        VX_TRY(check_mask(t));
    if (m->settings_size)
        VX_TRY(vx_new(&t->settings, &scratch, 1, m->settings_size, "a metric's settings"));
    return m->prepare ? m->prepare(t) : VITX_OK;
}

/* ------------------------------------------------------------------ trials to numbers ------ */

static int run_trial(vitx_evaluation **out, const vx_trial *t)
{
    vitx_evaluation *e;
    VX_TRY(create_evaluation(&e, t));
    const int status = t->metric->run(t, e);
    if (status != VITX_OK) {
        vitx_evaluation_free(e);
        return status;
    }
    e->info.value = e->values[0];
    *out = e;
    return VITX_OK;
}

/* Of a map of nothing there is nothing to measure: whatever came out would be a mark of the
 * metric. */
static int refrain(vitx_evaluation **out, const vx_trial *t)
{
    vitx_evaluation *e;
    VX_TRY(create_evaluation(&e, t));
    for (int v = 0; v < e->info.value_count; v++)
        e->values[v] = NAN;
    for (int i = 0; i < e->info.curve_count * e->info.point_count; i++)
        e->curves[i] = NAN;
    e->info.value = NAN;
    *out = e;
    return VITX_OK;
}

/* The picture that is compared with, if there is one, and the picture itself, which all metrics
 * begin with. */
static int run_pictures(vx_subject *s)
{
    vitx_context *c = s->context;
    const vitx_map_info *info = &s->map->info;
    const float *logits = c->act.host.logits, *probabilities = c->act.host.probabilities;
    const bool vector = s->direction[0].vector != NULL;
    VX_TRY(vx_context_run(c, &s->image, 1, NULL));
    memcpy(s->input, c->act.host.input, vx_context_input_count(c) * sizeof *s->input);
    if (!vector && of_vector(s->map))
        return VITX_OK; /* nobody asks */
    VX_TRY(vx_followed_resolve(s));
    s->explains = (vx_target){info->score, info->target, info->versus, NULL, 0, info->outputs};
    if (vector) {
        const bool dot = info->score == VITX_SCORE_DOT;
        s->explains = (vx_target){dot ? VITX_SCORE_DOT : VITX_SCORE_COSINE,
                                  VITX_AUTO,
                                  VITX_AUTO,
                                  s->direction[dot ? VX_AS_IT_IS : VX_OF_LENGTH_1].vector,
                                  c->arch.classes,
                                  info->outputs};
    }
    s->value = vector ? vx_target_value(s->explains, logits, probabilities) : info->value;
    s->followed = vx_target_value(s->follows, logits, probabilities);
    return VITX_OK;
}

/* The vector that opts.explain has, of the first that has one. */
static int find_direction(vx_subject *s, const vitx_evaluate_opts *opts, int m)
{
    static const vitx_score scores[] = {
        [VX_AS_IT_IS] = VITX_SCORE_DOT, [VX_OF_LENGTH_1] = VITX_SCORE_COSINE};
    const char *given = (const char *)opts;
    const vx_arch *a = &s->context->arch;
    for (int j = 0; j < m && !s->direction[0].vector; j++, given += opts->struct_size) {
        vitx_evaluate_opts o = VITX_EVALUATE_OPTS_INIT;
        vitx_explain_opts e = VITX_EXPLAIN_OPTS_INIT;
        VX_TRY(VX_STRUCT_READ(&o, (const vitx_evaluate_opts *)(const void *)given,
                              vitx_evaluate_opts, mask_width));
        if (o.explain)
            VX_TRY(VX_STRUCT_READ(&e, o.explain, vitx_explain_opts, set_count));
        if (!e.vector && !e.like)
            continue;
        for (int i = 0; i < 2; i++) {
            vx_job *job = &s->direction[i];
            *job = (vx_job){.context = s->context, .arch = a, .opts = e};
            job->opts.score = scores[i];
            VX_TRY(vx_direction_prepare(job));
            for (int k = 0; e.like && k < a->classes; k++)
                job->vector[k] = 1;
        }
    }
    return VITX_OK;
}

static int prepare_all(vx_trial *trials, const vx_subject *s, const vitx_evaluate_opts *opts, int m)
{
    /* The caller's array may be of structs of an older, shorter version: his size is the step. */
    const char *given = (const char *)opts;
    for (int j = 0; j < m; j++, given += opts->struct_size)
        VX_TRY(prepare_trial(&trials[j], s, (const vitx_evaluate_opts *)(const void *)given));
    return VITX_OK;
}

static void free_trials(vx_trial *trials, int m, const vitx_hooks *hooks)
{
    for (int j = 0; trials && j < m; j++)
        vx_release(hooks, trials[j].settings);
    vx_release(hooks, trials);
}

static void free_direction(vx_subject *s, const vitx_hooks *hooks)
{
    for (int i = 0; i < 2; i++)
        vx_release(hooks, s->direction[i].vector);
}

static int run_all(vitx_evaluation **out, vx_subject *s, vx_trial *trials,
                   const vitx_evaluate_opts *opts, int m)
{
    vitx_context *c = s->context;
    int64_t ticks = c->arch.depth;
    int variants = 0;
    bool only_map = true;
    VX_TRY(prepare_all(trials, s, opts, m));
    for (int j = 0; j < m && s->map->info.nothing; j++)
        VX_TRY(refrain(&out[j], &trials[j]));
    if (s->map->info.nothing)
        return VITX_OK;
    for (int j = 0; j < m; j++) {
        ticks += trials[j].ticks;
        variants = trials[j].variants > variants ? trials[j].variants : variants;
        only_map &= trials[j].metric->only_map;
    }
    ticks += (int64_t)vx_direction_count(s->direction, 2) * c->arch.depth;
    vx_context_begin(c, only_map ? 0 : ticks);
    if (!only_map && s->direction[0].vector) {
        VX_TRY(vx_direction_look(s->direction, 2));
        VX_TRY(vx_size_take(c, s->image));
    }
    if (variants)
        VX_TRY(vx_variants_reserve(c, variants, 0, NULL));
    if (!only_map)
        VX_TRY(run_pictures(s));
    for (int j = 0; j < m; j++)
        VX_TRY(run_trial(&out[j], &trials[j]));
    return VITX_OK;
}

/* Arguments are checked. */
static int evaluate_all(vitx_evaluation **out, vitx_context *c, const vitx_image *image,
                        const vitx_map *map, const vitx_evaluate_opts *opts, int m)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_subject s;
    vx_trial *trials = NULL;
    VX_TRY(describe(&s, c, image, map));
    VX_TRY(vx_new(&trials, &scratch, (size_t)m, sizeof *trials, "metrics"));
    int status =
        vx_new(&s.input, &scratch, vx_context_input_count(c), sizeof *s.input, "the input");
    if (status == VITX_OK)
        status = find_direction(&s, opts, m);
    if (status == VITX_OK)
        status = vx_followed_read(&s, opts, m);
    if (status == VITX_OK)
        status = run_all(out, &s, trials, opts, m);
    vx_release(&scratch, s.input);
    free_direction(&s, &scratch);
    free_trials(trials, m, &scratch);
    return status;
}

int vitx_evaluate_many(vitx_evaluation **out, vitx_context *context, const vitx_image *image,
                       const vitx_map *map, const vitx_evaluate_opts *opts, int m)
{
    if (m < 1)
        return vx_fail(VITX_INVALID, "%d metrics: at least one is needed", m);
    for (int j = 0; out && j < m; j++)
        out[j] = NULL;
    if (!out || !context || !image || !map || !opts)
        return vx_fail(VITX_INVALID, "vitx_evaluate_many: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, evaluate_all(out, context, image, map, opts, m));
}

/* What is known of a call before there is a map; forwards may be NULL. */
static int preview(int64_t *forwards, vitx_context *c, const vitx_evaluate_opts *opts, int m)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_subject s;
    vx_trial *trials;
    VX_TRY(describe(&s, c, NULL, NULL));
    VX_TRY(vx_new(&trials, &scratch, (size_t)m, sizeof *trials, "metrics"));
    c->recorded = 0; /* explaining again plans what is recorded */
    c->grid_open = c->fit == VITX_FIT_KEEP;
    int status = find_direction(&s, opts, m);
    if (status == VITX_OK)
        status = vx_followed_read(&s, opts, m);
    if (status == VITX_OK)
        status = prepare_all(trials, &s, opts, m);
    c->grid_open = false;
    if (status == VITX_OK && forwards) {
        *forwards = 1;
        for (int j = 0; j < m; j++)
            *forwards += trials[j].ticks / c->arch.depth *
                         (trials[j].variants > 0 ? trials[j].variants : 1);
    }
    free_direction(&s, &scratch);
    free_trials(trials, m, &scratch);
    return status;
}

int vitx_evaluate_check(vitx_context *context, const vitx_evaluate_opts *opts, int m)
{
    if (!context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_evaluate_check: an argument is NULL or m is %d", m);
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, preview(NULL, context, opts, m));
}

int vitx_evaluate_forwards(int64_t *out, vitx_context *context, const vitx_evaluate_opts *opts,
                           int m)
{
    if (!out || !context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_evaluate_forwards: an argument is NULL or m is %d", m);
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, preview(out, context, opts, m));
}

int vitx_evaluate(vitx_evaluation **out, vitx_context *context, const vitx_image *image,
                  const vitx_map *map, const vitx_evaluate_opts *opts)
{
    if (out)
        *out = NULL;
    return vitx_evaluate_many(out, context, image, map, opts, 1);
}

/* ------------------------------------------------------------------ what metrics run ------- */

int vx_trial_need_explained(const vx_trial *trial)
{
    const vx_subject *s = trial->subject;
    if (!s->direction[0].vector && s->map && of_vector(s->map))
        return vx_fail(VITX_INVALID,
                       "metric %s: the map explains the similarity to a vector, which the options "
                       "that it was made with (explain) have to give",
                       trial->metric->name);
    return VITX_OK;
}

int vx_trial_need_followed(const vx_trial *trial)
{
    VX_TRY(vx_trial_need_explained(trial));
    if (!vx_followed_known(trial->subject))
        return vx_fail_field(
            VITX_UNSUPPORTED, "vector",
            "metric %s follows the probability of a class; this model has no classes, its "
            "answer is an embedding: it needs vector, and follows the cosine with it",
            trial->metric->name);
    return VITX_OK;
}

int vx_trial_variants(vx_trial *trial, int n)
{
    VX_TRY(vx_trial_need_followed(trial));
    const int most = vx_variants_at_once(trial->subject->context, NULL);
    trial->variants = n < most ? n : most;
    trial->ticks += (int64_t)((n - 1) / trial->variants + 1) * trial->subject->arch->depth;
    return VITX_OK;
}

int vx_trial_score(double *out, const vx_trial *trial, vitx_evaluation *evaluation,
                   const vx_inputs *inputs, int n)
{
    vitx_context *c = trial->subject->context;
    const vx_variants *v = &c->variants;
    const size_t classes = (size_t)c->arch.classes;
    const int most = trial->variants;
    for (int at = 0; at < n; at += most) {
        const int count = n - at < most ? n - at : most;
        vx_inputs_write(c, inputs, vx_variants_input(c, 0), at, count);
        VX_TRY(vx_variants_run(c, count));
        for (int i = 0; i < count; i++)
            out[at + i] =
                vx_target_value(trial->subject->follows, v->act.host.logits + (size_t)i * classes,
                                v->act.host.probabilities + (size_t)i * classes);
    }
    evaluation->info.forwards += n;
    return VITX_OK;
}

int vx_trial_explains(vx_trial *trial, int n)
{
    int64_t ticks;
    VX_TRY(vx_explain_ticks(&ticks, trial->subject->context, &trial->explain, n));
    trial->ticks += ticks;
    return VITX_OK;
}

int vx_trial_explain(vitx_map **out, const vx_trial *trial, const vx_inputs *inputs, int n)
{
    const vx_subject *s = trial->subject;
    int status = vx_explain_inputs(out, s->context, s->image, inputs, n, &trial->explain);
    for (int i = 0; i < n && status == VITX_OK; i++) {
        int height, width;
        vx_map_plane(out[i], 0, &height, &width);
        if (vx_map_planes(out[i]) != 1 || height != s->height || width != s->width)
            status = vx_fail(VITX_INVALID,
                             "metric %s: the map is %d x %d, with the options given it is %d x %d",
                             trial->metric->name, s->width, s->height, width, height);
    }
    for (int i = 0; i < n && status != VITX_OK; i++) {
        vitx_map_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
