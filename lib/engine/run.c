/* engine/run.c: see run.h. */
#include "engine/run.h"

#include <math.h>

#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/pictures.h"
#include "engine/size.h"
#include "engine/variants.h"
#include "kernels/profile.h"

int vx_context_sync(vitx_context *c)
{
    char text[160];
    c->waits++;
    if (c->dev->cls->sync(c->dev, text, sizeof text) != 0)
        return vx_fail(VITX_DEVICE, "device %s: %s", c->dev->cls->name, text);
    if (c->dev->profile && c->dev->profile->failed)
        return vx_fail(VITX_DEVICE, "device %s: %s", c->dev->cls->name, c->dev->profile->why);
    return VITX_OK;
}

int vx_context_settle(vitx_context *c, int status)
{
    char text[160];
    if (status == VITX_OK)
        return vx_context_sync(c);
    c->dev->cls->sync(c->dev, text, sizeof text);
    return status;
}

int vx_context_read(vitx_context *c, void *host, const void *device, size_t bytes)
{
    c->dev->cls->download(c->dev, host, device, bytes);
    return vx_context_sync(c);
}

int vx_context_queued(vitx_context *c, int status)
{
    return status == VITX_OK ? status : vx_context_settle(c, status);
}

void vx_context_list_begin(vitx_context *c)
{
    if (c->dev->cls->list_begin)
        c->dev->cls->list_begin(c->dev);
}

int vx_context_list_end(vitx_context *c, int status)
{
    if (c->dev->cls->list_end)
        c->dev->cls->list_end(c->dev);
    return status;
}

int vx_context_enter(vitx_context *c)
{
    if (atomic_exchange(&c->busy, 1))
        return vx_fail(VITX_BUSY, "the context is in a call already: it belongs to one thread at a "
                                  "time, and its progress callback may not call it");
    c->generation++;
    return VITX_OK;
}

int vx_context_leave(vitx_context *c, int status)
{
    vx_pictures_forget(c);
    atomic_store(&c->busy, 0);
    return status;
}

uint64_t vitx_context_generation(const vitx_context *context)
{
    return context ? context->generation : 0;
}

int vitx_context_set_progress(vitx_context *context, vitx_progress *progress, void *payload)
{
    if (!context)
        return vx_fail(VITX_INVALID, "vitx_context_set_progress: context is NULL");
    if (atomic_load(&context->busy))
        return vx_fail(VITX_BUSY, "the progress callback cannot be changed during a call");
    context->progress = progress;
    context->progress_payload = payload;
    return VITX_OK;
}

void vx_context_begin(vitx_context *c, int64_t ticks)
{
    c->progress_done = 0;
    c->progress_total = ticks;
}

int vx_context_advance(vitx_context *c, int64_t ticks)
{
    c->progress_done += ticks;
    if (c->progress && c->progress(c->progress_done, c->progress_total, c->progress_payload))
        return vx_fail(VITX_CANCELLED, "cancelled by the progress callback");
    return VITX_OK;
}

int vx_context_tick(vitx_context *c)
{
    return vx_context_advance(c, 1);
}

/* To c->act.input. */
static int load_pictures(vitx_context *c, const vitx_image *const *images, int n)
{
    const vitx_recipe *recipe = &c->recipe;
    const size_t size = vx_context_input_count(c);
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    vx_placement *p = c->placements;
    for (int i = 0; i < n; i++)
        VX_TRY(vx_place(&p[i], recipe, images[i]->width, images[i]->height));
    if (c->dev->cls->pictures)
        return vx_pictures_load(c, images, n);
    for (int i = 0; i < n; i++)
        VX_TRY(vx_preprocess(c->act.host.input + (size_t)i * size, images[i], recipe, &p[i],
                             &scratch));
    vx_context_upload_inputs(c, &c->act, n);
    return VITX_OK;
}

typedef struct writing {
    const vx_inputs *inputs;
    float *to;
    size_t floats;
    int first;
} writing;

static void write_one(void *arg, int i, int worker)
{
    const writing *w = arg;
    w->inputs->fill(w->inputs->payload, w->first + i, w->to + (size_t)i * w->floats, worker);
}

void vx_inputs_write(vitx_context *c, const vx_inputs *inputs, float *to, int first, int n)
{
    vx_pool_run(c->pool, write_one, &(writing){inputs, to, vx_context_input_count(c), first}, n);
}

/* Queues the n inputs that lie in c->act.input. */
static int queue_loaded(vitx_context *c, int n, vx_plan *plan)
{
    return vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = n});
}

int vx_context_begin_run(vitx_context *c, vx_plan *plan, int n)
{
    c->recorded = 0;
    c->differentiated = c->explained = false;
    /* Where each call has its own size, there is no place to keep for a larger batch of it. */
    const bool as_many = (plan && plan->watch) || c->varies;
    const int room = as_many ? n : c->max_batch;
    return plan ? vx_context_place(c, plan, &c->trace, room) : VITX_OK;
}

/* A row that vitx_context_set_trace asked for, when the input was larger. */
static int check_queries(const vx_plan *plan, const vx_arch *a)
{
    for (int l = 0; plan && l < plan->depth; l++)
        if (plan->attention[l].keep == VX_KEEP_ROW && plan->attention[l].query >= vx_arch_tokens(a))
            return vx_fail(VITX_INVALID,
                           "query %d is out of range: the picture makes tokens 0 to %d",
                           plan->attention[l].query, vx_arch_tokens(a) - 1);
    return VITX_OK;
}

int vx_context_run(vitx_context *c, const vitx_image *const *images, int n, int next, vx_plan *plan)
{
    for (int i = 0; i < n; i++)
        if (!images[i])
            return vx_fail(VITX_INVALID, "picture %d of %d is NULL", i, n);
    if (vx_size_alike(c, images, n) < n)
        return vx_fail(VITX_INVALID,
                       "pictures of several sizes in one batch: with VITX_FIT_KEEP those that run "
                       "together make inputs of one size");
    VX_TRY(vx_size_take(c, images[0]));
    VX_TRY(check_queries(plan, &c->arch));
    VX_TRY(vx_context_begin_run(c, plan, n));
    VX_TRY(load_pictures(c, images, n));
    VX_TRY(queue_loaded(c, n, plan));
    VX_TRY(vx_pictures_ahead(c, images + n, next));
    return vx_context_answers(c, &c->act, n);
}

int vx_context_run_inputs(vitx_context *c, const vitx_image *image, const vx_inputs *inputs,
                          int first, int n, vx_plan *plan)
{
    VX_TRY(vx_context_begin_run(c, plan, n));
    for (int i = 0; i < n; i++)
        if (image)
            VX_TRY(vx_place(&c->placements[i], &c->recipe, image->width, image->height));
        else
            vx_place_whole(&c->placements[i], &c->recipe);
    if (inputs->queue && vx_variants_on_device(c)) {
        inputs->queue(inputs->payload, c->dev, c->act.input, first, n);
        c->inputs_away = n;
    } else {
        c->inputs_away = 0;
        vx_inputs_write(c, inputs, c->act.host.input, first, n);
        vx_context_upload_inputs(c, &c->act, n);
    }
    VX_TRY(queue_loaded(c, n, plan));
    return vx_context_answers(c, &c->act, n);
}

void vx_context_upload_inputs(vitx_context *c, const vx_activations *act, int n)
{
    const size_t bytes = (size_t)n * vx_context_input_count(c) * sizeof(float);
    if (act->host.input != act->input)
        c->dev->cls->upload(c->dev, act->input, act->host.input, bytes);
}

int vx_context_host_input(const float **out, vitx_context *c, int i)
{
    const size_t floats = vx_context_input_count(c), n = (size_t)c->inputs_away;
    *out = c->act.host.input + (size_t)i * floats;
    if (n)
        VX_TRY(vx_context_read(c, c->act.host.input, c->act.input, n * floats * sizeof **out));
    c->inputs_away = 0;
    return VITX_OK;
}

int vx_context_read_answers(vitx_context *c, const vx_activations *act, float *logits,
                            float *probabilities, int n)
{
    const size_t count = (size_t)n * (size_t)c->arch.classes, bytes = count * sizeof(float);
    if (act->logits + count == act->probabilities && logits + count == probabilities)
        return vx_context_read(c, logits, act->logits, 2 * bytes);
    c->dev->cls->download(c->dev, logits, act->logits, bytes);
    return vx_context_read(c, probabilities, act->probabilities, bytes);
}

int vx_context_answers(vitx_context *c, const vx_activations *act, int n)
{
    const size_t k = (size_t)c->arch.classes, count = (size_t)n * k;
    const float *logits = act->host.logits;
    if (logits != act->logits)
        VX_TRY(vx_context_read_answers(c, act, act->host.logits, act->host.probabilities, n));
    else
        VX_TRY(vx_context_sync(c));
    for (size_t i = 0; i < count; i++)
        if (!isfinite(logits[i]))
            return vx_fail(VITX_FORMAT,
                           "the model answered with %s as %s %zu: its weights overflow in "
                           "single precision",
                           isnan(logits[i]) ? "NaN" : "infinity",
                           c->arch.units ? "unit" : "logit of class", i % k);
    return VITX_OK;
}
