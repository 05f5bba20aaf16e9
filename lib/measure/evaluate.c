/* measure/evaluate.c: a map measured by several metrics, from the call to the evaluations. */
#include "base/structs.h"
#include "engine/size.h"
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

static void free_trials(vx_trial *trials, int m, const vitx_hooks *hooks)
{
    for (int j = 0; trials && j < m; j++)
        vx_release(hooks, trials[j].settings);
    vx_release(hooks, trials);
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
    ticks += (int64_t)vx_direction_count(s->direction) * c->arch.depth;
    vx_context_begin(c, only_map ? 0 : ticks);
    if (!only_map && s->direction[0].vector) {
        VX_TRY(vx_direction_look(c, s->direction));
        VX_TRY(vx_size_take(c, s->image));
    }
    if (variants)
        VX_TRY(vx_variants_reserve(c, variants, 0, NULL));
    if (!only_map)
        VX_TRY(vx_subject_run(s));
    for (int j = 0; j < m; j++)
        VX_TRY(vx_trial_run(&out[j], &trials[j]));
    return VITX_OK;
}

/* Arguments are checked. */
static int evaluate_all(vitx_evaluation **out, vitx_context *c, const vitx_image *image,
                        const vitx_map *map, const vitx_evaluate_opts *opts, int m)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_subject s;
    vx_trial *trials = NULL;
    VX_TRY(vx_subject_describe(&s, c, image, map));
    VX_TRY(vx_new(&trials, &scratch, (size_t)m, sizeof *trials, "metrics"));
    int status =
        vx_new(&s.input, &scratch, vx_context_input_count(c), sizeof *s.input, "the input");
    if (status == VITX_OK)
        status = vx_subject_compare(&s, opts, m);
    if (status == VITX_OK)
        status = vx_followed_read(&s, opts, m);
    if (status == VITX_OK)
        status = run_all(out, &s, trials, opts, m);
    vx_subject_release(&s);
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
    VX_TRY(vx_subject_describe(&s, c, NULL, NULL));
    VX_TRY(vx_new(&trials, &scratch, (size_t)m, sizeof *trials, "metrics"));
    c->recorded = 0; /* explaining again plans what is recorded */
    c->grid_open = c->varies;
    int status = vx_subject_compare(&s, opts, m);
    if (status == VITX_OK)
        status = vx_followed_read(&s, opts, m);
    if (status == VITX_OK)
        status = prepare_all(trials, &s, opts, m);
    c->grid_open = false;
    if (status == VITX_OK && forwards) {
        *forwards = 1;
        for (int j = 0; j < m; j++)
            *forwards +=
                trials[j].ticks / c->arch.depth * (trials[j].variants > 0 ? trials[j].variants : 1);
    }
    vx_subject_release(&s);
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
