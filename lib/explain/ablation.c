/* explain/ablation.c: see ablation.h. */
#include "explain/ablation.h"

#include "engine/channels.h"
#include "engine/variants.h"

/* Whether what lies behind those tokens can be run for the class token alone. */
static bool class_only(const vx_ablation *a)
{
    return vx_channels_serve(a->job->arch, a->layer);
}

/* The block that is run first. */
static int first_block(const vx_ablation *a)
{
    return a->at == VX_AT_NORM1 ? a->layer : a->layer + 1;
}

static int at_once(const vx_ablation *a)
{
    return class_only(a) ? vx_channels_at_once(a->job->context)
                         : vx_variants_at_once(a->job->context, NULL);
}

void vx_ablation_prepare(vx_job *job, vx_plan *need, vx_at at)
{
    vx_ablation a = {job, at, job->layer_first};
    for (; a.layer <= job->layer_last; a.layer++) {
        const int runs = (job->arch->width - 1) / at_once(&a) + 1;
        job->ticks += (int64_t)runs * (job->arch->depth - first_block(&a));
        if (class_only(&a))
            job->channels = true;
        else
            job->variants = at_once(&a);
        if (at == VX_AT_NORM1)
            vx_plan_need_tokens(need, a.layer, VX_AT_INPUT);
    }
}

/* A picture's tokens, and the channels at hand. */
typedef struct run {
    const vx_ablation *of;
    const vx_far *tokens, *input; /* [T,D] on the device; input counts at norm1 */
    float value;
    int *channels; /* [at once] */
    int *rows;     /* [at once, T]: 0..T-1 over and over */
} run;

/* The first n channels, whole sequences. */
static int run_sequences(const run *r, int n)
{
    const vx_job *job = r->of->job;
    vitx_context *c = job->context;
    const vx_activations *act = &c->variants.act;
    const int t = vx_arch_tokens(job->arch), d = job->arch->width;
    const bool at_norm1 = r->of->at == VX_AT_NORM1;
    c->dev->ops.replace_channels(c->dev, &(vx_replace_channels){.y = at_norm1 ? NULL : act->x,
                                                                .y_n = at_norm1 ? act->y : NULL,
                                                                .x = r->tokens,
                                                                .channels = r->channels,
                                                                .value = r->value,
                                                                .count = n,
                                                                .tokens = t,
                                                                .width = d});
    if (at_norm1)
        c->dev->ops.gather_rows(
            c->dev,
            &(vx_gather_rows){
                .y = act->x, .a = r->input, .b = NULL, .from = r->rows, .rows = n * t, .width = d});
    return vx_variants_run_blocks(
        c, &(vx_pass){.act = act, .batch = n, .first = first_block(r->of), .at_norm1 = at_norm1});
}

/* The same if the class token alone is run. */
static int run_class_tokens(const run *r, int n)
{
    vitx_context *c = r->of->job->context;
    if (r->of->at == VX_AT_OUTPUT)
        return vx_channels_run_output(c, r->tokens, r->channels, r->value, n);
    return vx_channels_run(c, (vx_channels_of){r->input, r->tokens}, r->channels, r->value, n);
}

static int run_all(double *scores, const run *r, vitx_map *map)
{
    const vx_job *job = r->of->job;
    vitx_context *c = job->context;
    const int width = job->arch->width, step = at_once(r->of);
    const bool alone = class_only(r->of);
    const size_t classes = (size_t)job->arch->classes;
    const vx_host_side *host = alone ? &c->channels.act.host : &c->variants.act.host;
    if (alone && r->of->at == VX_AT_NORM1)
        vx_channels_begin(c, (vx_channels_of){r->input, r->tokens});
    for (int first = 0; first < width; first += step) {
        const int n = width - first < step ? width - first : step;
        for (int i = 0; i < n; i++)
            r->channels[i] = first + i;
        VX_TRY(alone ? run_class_tokens(r, n) : run_sequences(r, n));
        for (int i = 0; i < n; i++) {
            const size_t row = (size_t)i * classes;
            scores[first + i] =
                vx_target_value(vx_map_target(map), host->logits + row, host->probabilities + row);
            vx_map_saw(map, scores[first + i]);
        }
    }
    return VITX_OK;
}

int vx_ablation_scores(double *scores, const vx_ablation *a, int i, float value, vitx_map *map)
{
    const vx_job *job = a->job;
    const size_t t = (size_t)vx_arch_tokens(job->arch), d = (size_t)job->arch->width;
    const size_t rows = (size_t)job->variants * t;
    const vitx_hooks scratch = job->scratch;
    run r = {.of = a, .tokens = vx_job_tokens(job, a->layer, a->at, i), .value = value};
    VX_TRY(vx_new(&r.channels, &scratch, d + rows, sizeof *r.channels, "channels"));
    r.rows = r.channels + d;
    for (size_t k = 0; k < rows; k++)
        r.rows[k] = (int)(k % t);
    if (a->at == VX_AT_NORM1)
        r.input = vx_job_tokens(job, a->layer, VX_AT_INPUT, i);
    const int status = run_all(scores, &r, map);
    vx_release(&scratch, r.channels);
    return status;
}
