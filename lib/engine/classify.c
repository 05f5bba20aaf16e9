/* engine/classify.c: pictures in, logits and predictions out. */
#include <math.h>
#include <string.h>

#include "engine/feed.h"
#include "engine/pass.h"
#include "engine/size.h"

/* Bytes of a plan's places for `batch` pictures; SIZE_MAX where they cannot be counted. */
static size_t plan_bytes(const vitx_context *c, vx_plan *plan, int batch)
{
    vx_arena arena = {0};
    vx_plan_place(plan, &arena, &c->arch, batch, vx_context_input_count(c));
    return arena.overflow ? SIZE_MAX : arena.size;
}

size_t vx_context_plan_bytes(const vitx_context *c, vx_plan *plan, int batch)
{
    plan->recompute = c->recompute;
    size_t bytes = plan_bytes(c, plan, batch);
    if (bytes > c->trace_budget && !c->keep && !c->recompute && plan->kept_from < plan->depth) {
        plan->recompute = true;
        bytes = plan_bytes(c, plan, batch);
    }
    return bytes;
}

int vx_context_place(vitx_context *c, vx_plan *plan, vx_block *trace, int batch)
{
    const size_t bytes = vx_context_plan_bytes(c, plan, batch);
    if (bytes > c->trace_budget)
        return vx_fail_field(
            VITX_NOMEM, "trace_budget",
            "what has to be recorded of %d pictures takes %zu bytes, the budget is %zu: "
            "record less, or raise trace_budget",
            batch, bytes, c->trace_budget);
    VX_TRY(vx_block_reserve(c, trace, bytes, "recorded attention and gradients"));
    vx_arena arena = {.base = trace->memory};
    if (arena.base)
        vx_plan_place(plan, &arena, &c->arch, batch, vx_context_input_count(c));
    return VITX_OK;
}

static int load_pictures(vitx_context *c, const vitx_image *const *images, int n)
{
    const vitx_recipe *recipe = &c->recipe;
    const size_t size = vx_context_input_count(c);
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    for (int i = 0; i < n; i++) {
        vx_placement *p = &c->placements[i];
        VX_TRY(vx_place(p, recipe, images[i]->width, images[i]->height));
        VX_TRY(vx_preprocess(c->host_input + (size_t)i * size, images[i], recipe, p, &scratch));
    }
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

/* The n inputs that lie in host_input. */
static int run_loaded(vitx_context *c, int n, vx_plan *plan)
{
    const size_t bytes = (size_t)n * vx_context_input_count(c) * sizeof(float);
    if (c->host_input != c->act.input)
        c->dev->cls->upload(c->dev, c->act.input, c->host_input, bytes);
    VX_TRY(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = n}));
    return vx_context_answers(c, &c->act, c->host_logits, c->host_probabilities, n);
}

static int begin_run(vitx_context *c, vx_plan *plan, int n)
{
    c->recorded = 0;
    c->differentiated = false;
    /* Where each call has its own size, there is no place to keep for a larger batch of it. */
    const bool as_many = (plan && plan->watch) || c->fit == VITX_FIT_KEEP;
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

int vx_context_run(vitx_context *c, const vitx_image *const *images, int n, vx_plan *plan)
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
    VX_TRY(begin_run(c, plan, n));
    VX_TRY(load_pictures(c, images, n));
    return run_loaded(c, n, plan);
}

int vx_context_run_inputs(vitx_context *c, const vitx_image *image, const vx_inputs *inputs,
                          int first, int n, vx_plan *plan)
{
    VX_TRY(begin_run(c, plan, n));
    for (int i = 0; i < n; i++)
        if (image)
            VX_TRY(vx_place(&c->placements[i], &c->recipe, image->width, image->height));
        else
            vx_place_whole(&c->placements[i], &c->recipe);
    vx_inputs_write(c, inputs, c->host_input, first, n);
    return run_loaded(c, n, plan);
}

int vx_context_answers(vitx_context *c, const vx_activations *act, float *logits,
                       float *probabilities, int n)
{
    const size_t k = (size_t)c->arch.classes;
    if (logits != act->logits) {
        c->dev->cls->download(c->dev, logits, act->logits, (size_t)n * k * sizeof(float));
        c->dev->cls->download(c->dev, probabilities, act->probabilities,
                              (size_t)n * k * sizeof(float));
        VX_TRY(vx_context_sync(c));
    }
    for (size_t i = 0; i < (size_t)n * k; i++)
        if (!isfinite(logits[i]))
            return vx_fail(VITX_FORMAT,
                           "the model answered with %s as %s %zu: its weights overflow in "
                           "single precision",
                           isnan(logits[i]) ? "NaN" : "infinity",
                           c->arch.units ? "unit" : "logit of class", i % k);
    return VITX_OK;
}

/* Whether class a ranks before class b: higher logit, then lower index. */
static bool before(const float *logits, int a, int b)
{
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
}

/* Lets the entry at `i` sink in a heap of `n` whose root is the one that ranks last. */
static void sink(vitx_prediction *heap, int n, int i, const float *logits)
{
    for (;;) {
        int worst = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (before(logits, heap[worst].index, heap[child].index))
                worst = child;
        if (worst == i)
            return;
        const int swap = heap[i].index;
        heap[i].index = heap[worst].index;
        heap[worst].index = swap;
        i = worst;
    }
}

/* The k best of `classes`, best first: a heap of the best so far, then sorted. Needs no memory
 * beside `top`, and O(K log k) time even for all of 21,000 classes. */
static void rank(vitx_prediction *top, int k, const float *logits, const float *probabilities,
                 const vitx_model *model)
{
    const int classes = model->arch.classes, n = k < classes ? k : classes;
    for (int i = 0; i < n; i++)
        top[i].index = i;
    for (int i = n / 2 - 1; i >= 0; i--)
        sink(top, n, i, logits);
    for (int i = n; i < classes; i++)
        if (before(logits, i, top[0].index)) {
            top[0].index = i;
            sink(top, n, 0, logits);
        }
    for (int last = n - 1; last > 0; last--) { /* the root is the last of those left */
        const int swap = top[0].index;
        top[0].index = top[last].index;
        top[last].index = swap;
        sink(top, last, 0, logits);
    }
    for (int i = 0; i < n; i++)
        top[i] = (vitx_prediction){top[i].index, logits[top[i].index], probabilities[top[i].index],
                                   vitx_model_label(model, top[i].index)};
    for (int i = n; i < k; i++)
        top[i] = (vitx_prediction){.index = -1};
}

/* How many of the n, from number `first` on, run next. */
static int next_batch(const vitx_context *c, const vx_feed *feed, int first, int n)
{
    return vx_feed_alike(c, feed, first, n < c->max_batch ? n : c->max_batch);
}

static int64_t count_batches(const vitx_context *c, const vx_feed *feed, int n)
{
    int64_t batches = 0;
    for (int at = 0; at < n; at += next_batch(c, feed, at, n - at))
        batches++;
    return batches;
}

static int classify(vitx_context *c, const vx_feed *feed, int n, vitx_prediction *top, int k)
{
    if (n < 1 || k < 1)
        return vx_fail(VITX_INVALID, "%d pictures, %d classes: at least one of each is needed", n,
                       k);
    if (c->arch.units)
        return vx_fail_in(VITX_UNSUPPORTED, c->model->path,
                          "has no classes, its answer is an embedding of %d numbers; vitx_embed "
                          "(vitx-cli embed) gives it",
                          c->arch.classes);
    VX_TRY(vx_feed_check(c, feed, n));
    const size_t classes = (size_t)c->arch.classes;
    vx_context_begin(c, count_batches(c, feed, n) * c->arch.depth);
    for (int at = 0, count; at < n; at += count) {
        count = next_batch(c, feed, at, n - at);
        VX_TRY(vx_feed_run(c, feed, at, count, NULL));
        for (int i = 0; i < count; i++)
            rank(top + (size_t)(at + i) * (size_t)k, k, c->host_logits + (size_t)i * classes,
                 c->host_probabilities + (size_t)i * classes, c->model);
    }
    return VITX_OK;
}

int vitx_classify_batch(vitx_context *context, const vitx_image *const *images, int n,
                        vitx_prediction *top, int k)
{
    if (!context || !images || !top)
        return vx_fail(VITX_INVALID, "vitx_classify_batch: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, classify(context, &(vx_feed){.images = images}, n, top, k));
}

int vitx_classify_inputs(vitx_context *context, const float *inputs, int n, int height, int width,
                         vitx_prediction *top, int k)
{
    if (!context || !inputs || !top)
        return vx_fail(VITX_INVALID, "vitx_classify_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, classify(context, &feed, n, top, k));
}

int vitx_classify(vitx_context *context, const vitx_image *image, vitx_prediction *top, int k)
{
    return vitx_classify_batch(context, &image, 1, top, k);
}

/* Divides a vector by its length. */
static int make_unit(float *vector, size_t count)
{
    double square = 0;
    for (size_t i = 0; i < count; i++)
        square += (double)vector[i] * vector[i];
    if (!(square > 0))
        return vx_fail(VITX_FORMAT, "the embedding is 0 and has no direction");
    for (size_t i = 0; i < count; i++)
        vector[i] = (float)(vector[i] / sqrt(square));
    return VITX_OK;
}

static int embed(vitx_context *c, const vx_feed *feed, int n, float *out, int normalize)
{
    if (n < 1)
        return vx_fail(VITX_INVALID, "%d pictures: at least one is needed", n);
    if (!c->arch.units)
        return vx_fail_in(VITX_UNSUPPORTED, c->model->path,
                          "answers with %d classes, not with an embedding; vitx_classify "
                          "(vitx-cli classify) gives them",
                          c->arch.classes);
    VX_TRY(vx_feed_check(c, feed, n));
    const size_t k = (size_t)c->arch.classes;
    vx_context_begin(c, count_batches(c, feed, n) * c->arch.depth);
    for (int at = 0, count; at < n; at += count) {
        count = next_batch(c, feed, at, n - at);
        float *const to = out + (size_t)at * k;
        VX_TRY(vx_feed_run(c, feed, at, count, NULL));
        memcpy(to, c->host_logits, (size_t)count * k * sizeof *to);
        for (int i = 0; normalize && i < count; i++)
            VX_TRY(make_unit(to + (size_t)i * k, k));
    }
    return VITX_OK;
}

int vitx_embed_batch(vitx_context *context, const vitx_image *const *images, int n, float *out,
                     int normalize)
{
    if (!context || !images || !out)
        return vx_fail(VITX_INVALID, "vitx_embed_batch: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context,
                            embed(context, &(vx_feed){.images = images}, n, out, normalize));
}

int vitx_embed_inputs(vitx_context *context, const float *inputs, int n, int height, int width,
                      float *out, int normalize)
{
    if (!context || !inputs || !out)
        return vx_fail(VITX_INVALID, "vitx_embed_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, embed(context, &feed, n, out, normalize));
}

int vitx_embed(vitx_context *context, const vitx_image *image, float *out, int normalize)
{
    return vitx_embed_batch(context, &image, 1, out, normalize);
}

static int forward(vitx_context *c, const vx_feed *feed, int n)
{
    if (n < 1 || n > c->max_batch)
        return vx_fail(VITX_INVALID, "%d pictures: 1 to max_batch = %d are accepted", n,
                       c->max_batch);
    VX_TRY(vx_feed_check(c, feed, n));
    vx_context_begin(c, c->arch.depth);
    VX_TRY(vx_feed_run(c, feed, 0, n, &c->wish));
    c->recorded = n;
    return VITX_OK;
}

int vitx_forward(vitx_context *context, const vitx_image *const *images, int n)
{
    if (!context || !images)
        return vx_fail(VITX_INVALID, "vitx_forward: an argument is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, forward(context, &(vx_feed){.images = images}, n));
}

int vitx_forward_inputs(vitx_context *context, const float *inputs, int n, int height, int width)
{
    if (!context || !inputs)
        return vx_fail(VITX_INVALID, "vitx_forward_inputs: an argument is NULL");
    const vx_feed feed = {NULL, inputs, height, width};
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, forward(context, &feed, n));
}
