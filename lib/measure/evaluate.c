/* measure/evaluate.c: a map measured by several metrics, from the call to the evaluations. */
#include "base/structs.h"
#include "engine/run.h"
#include "engine/size.h"
#include "engine/variants.h"
#include "measure/followed.h"
#include "measure/trial.h"

void vitx_evaluate_opts_init(vitx_evaluate_opts *out, size_t struct_size)
{
    const vitx_evaluate_opts full = VITX_EVALUATE_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

static int prepare_all(vx_trial *trials, const vx_subject *s, const vitx_evaluate_opts *opts, int m)
{
    /* The caller's array may be of structs of an older, shorter version: his size is the step. */
    const char *given = (const char *)opts;
    for (int j = 0; j < m; j++, given += opts->struct_size)
        VX_TRY(vx_trial_prepare(&trials[j], s, (const vitx_evaluate_opts *)(const void *)given));
    return VITX_OK;
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
        VX_TRY(vx_trial_refrain(&out[j], &trials[j]));
    if (s->map->info.nothing)
        return VITX_OK;
    for (int j = 0; j < m; j++) {
        ticks += trials[j].ticks;
        variants = trials[j].variants > variants ? trials[j].variants : variants;
        only_map &= trials[j].metric->only_map;
    }
    ticks += (int64_t)vx_similarity_pictures(s->similarity) * c->arch.depth;
    vx_context_begin(c, only_map ? 0 : ticks);
    if (!only_map && s->similarity[0].vector) {
        VX_TRY(vx_similarity_run(c, s->similarity));
        VX_TRY(vx_size_reserve(c));
    }
    if (variants)
        VX_TRY(vx_variants_reserve(c, variants, 0, NULL));
    if (!only_map)
        VX_TRY(vx_subject_run(s));
    for (int j = 0; j < m; j++)
        VX_TRY(vx_trial_run(&out[j], &trials[j]));
    return VITX_OK;
}

/* A call: what is measured, and by what. */
typedef struct call {
    vx_subject subject;
    vx_trial *trials; /* [m] */
    const vitx_evaluate_opts *opts;
    int m;
} call;

static int begin(call *k)
{
    vx_subject *s = &k->subject;
    VX_TRY(vx_new(&k->trials, &s->scratch, (size_t)k->m, sizeof *k->trials, "metrics"));
    VX_TRY(vx_subject_compare(s, k->opts, k->m));
    return vx_followed_read(s, k->opts, k->m);
}

static void end(call *k)
{
    const vitx_hooks *scratch = &k->subject.scratch;
    for (int j = 0; k->trials && j < k->m; j++)
        vx_release(scratch, k->trials[j].settings);
    vx_release(scratch, k->trials);
    vx_subject_release(&k->subject);
}

static int begin_and_run(vitx_evaluation **out, call *k)
{
    vx_subject *s = &k->subject;
    VX_TRY(begin(k));
    VX_TRY(vx_new(&s->input, &s->scratch, s->input_floats, sizeof *s->input, "the input"));
    return run_all(out, s, k->trials, k->opts, k->m);
}

/* Arguments are checked. */
static int evaluate_all(vitx_evaluation **out, vitx_context *c, const vitx_image *image,
                        const vitx_map *map, const vitx_evaluate_opts *opts, int m)
{
    call k = {.opts = opts, .m = m};
    VX_TRY(vx_subject_describe(&k.subject, c, image, map));
    const int status = begin_and_run(out, &k);
    end(&k);
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

static int begin_and_count(int64_t *forwards, call *k)
{
    const vx_subject *s = &k->subject;
    VX_TRY(begin(k));
    VX_TRY(prepare_all(k->trials, s, k->opts, k->m));
    *forwards = 1;
    for (int j = 0; j < k->m; j++) {
        const vx_trial *t = &k->trials[j];
        *forwards += t->ticks / s->arch->depth * (t->variants > 0 ? t->variants : 1);
    }
    return VITX_OK;
}

/* What is known of a call before there is a map. */
static int preview(int64_t *forwards, vitx_context *c, const vitx_evaluate_opts *opts, int m)
{
    call k = {.opts = opts, .m = m};
    VX_TRY(vx_subject_describe(&k.subject, c, NULL, NULL));
    c->recorded = 0; /* explaining again plans what is recorded */
    c->grid_open = c->varies;
    const int status = begin_and_count(forwards, &k);
    c->grid_open = false;
    end(&k);
    return status;
}

int vitx_evaluate_check(vitx_context *context, const vitx_evaluate_opts *opts, int m)
{
    if (!context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_evaluate_check: an argument is NULL or m is %d", m);
    int64_t forwards;
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, preview(&forwards, context, opts, m));
}

int vitx_evaluate_forwards(int64_t *out, vitx_context *context, const vitx_evaluate_opts *opts,
                           int m)
{
    if (!out || !context || !opts || m < 1)
        return vx_fail(VITX_INVALID, "vitx_evaluate_forwards: an argument is NULL or m is %d", m);
    int64_t forwards;
    VX_TRY(vx_context_enter(context));
    VX_TRY(vx_context_leave(context, preview(&forwards, context, opts, m)));
    *out = forwards;
    return VITX_OK;
}

int vitx_evaluate(vitx_evaluation **out, vitx_context *context, const vitx_image *image,
                  const vitx_map *map, const vitx_evaluate_opts *opts)
{
    if (out)
        *out = NULL;
    return vitx_evaluate_many(out, context, image, map, opts, 1);
}
