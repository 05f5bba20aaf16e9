/* measure/trial.c: from options to a trial; what a metric runs in it. */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "base/text.h"
#include "engine/run.h"
#include "engine/variants.h"
#include "explain/explain.h"
#include "measure/followed.h"
#include "measure/trial.h"

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
    e->answer = 0;
    e->target = map->info.target;
    e->score = map->info.score;
    e->versus = map->info.versus;
    if (vx_subject_of_vector(map) && e->like) { /* which is run once */
        e->like = NULL;
        e->vector = t->subject->similarity[VX_AS_IT_IS].vector;
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

int vx_trial_prepare(vx_trial *t, const vx_subject *s, const vitx_evaluate_opts *given)
{
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
        VX_TRY(vx_new(&t->settings, &s->scratch, 1, m->settings_size, "a metric's settings"));
    return m->prepare ? m->prepare(t) : VITX_OK;
}

int vx_trial_run(vitx_evaluation **out, const vx_trial *t)
{
    vitx_evaluation *e;
    VX_TRY(vx_evaluation_create(&e, t));
    const int status = t->metric->run(t, e);
    if (status != VITX_OK) {
        vitx_evaluation_free(e);
        return status;
    }
    e->info.value = e->values[0];
    *out = e;
    return VITX_OK;
}

int vx_trial_refrain(vitx_evaluation **out, const vx_trial *t)
{
    vitx_evaluation *e;
    VX_TRY(vx_evaluation_create(&e, t));
    for (int v = 0; v < e->info.value_count; v++)
        e->values[v] = NAN;
    for (int i = 0; i < e->info.curve_count * e->info.point_count; i++)
        e->curves[i] = NAN;
    e->info.value = NAN;
    *out = e;
    return VITX_OK;
}

/* ------------------------------------------------------------------ what metrics run ------- */

int vx_trial_need_explained(const vx_trial *trial)
{
    const vx_subject *s = trial->subject;
    if (!s->similarity[0].vector && s->map && vx_subject_of_vector(s->map))
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
        VX_TRY(vx_variants_write(c, inputs, at, count));
        VX_TRY(vx_variants_run(c, count));
        for (int i = 0; i < count; i++)
            out[at + i] =
                vx_target_value(trial->subject->follows, v->act.host.logits + (size_t)i * classes,
                                v->act.host.probabilities + (size_t)i * classes);
    }
    evaluation->info.forwards += n;
    return VITX_OK;
}

bool vx_trial_is_far(const vx_trial *trial)
{
    return vx_variants_on_device(trial->subject->context);
}

int vx_trial_work(vx_far **out, const vx_trial *trial, size_t floats, const char *what)
{
    vitx_context *c = trial->subject->context;
    VX_TRY(vx_block_reserve(c, &c->work, floats * sizeof(float), what));
    *out = c->work.memory;
    return VITX_OK;
}

void vx_trial_write(const vx_trial *trial, vx_far *device, const float *host, size_t floats)
{
    vx_device *dev = trial->subject->context->dev;
    dev->cls->upload(dev, device, host, floats * sizeof *host);
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
