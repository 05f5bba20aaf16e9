/* engine/classify.c: pictures in, logits and predictions out. */
#include <math.h>
#include <string.h>

#include "base/structs.h"
#include "engine/pass.h"

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
        return vx_fail(VITX_NOMEM,
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
    const size_t size =
        (size_t)c->arch.channels * (size_t)recipe->input_height * (size_t)recipe->input_width;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    for (int i = 0; i < n; i++) {
        vx_placement *p = &c->placements[i];
        VX_TRY(vx_place(p, recipe, images[i]->width, images[i]->height));
        VX_TRY(vx_preprocess(c->host_input + (size_t)i * size, images[i], recipe, p, &scratch));
    }
    if (c->host_input != c->act.input)
        c->dev->cls->upload(c->dev, c->act.input, c->host_input, (size_t)n * size * sizeof(float));
    return VITX_OK;
}

int vx_context_run(vitx_context *c, const vitx_image *const *images, int n, vx_plan *plan)
{
    c->recorded = 0;
    for (int i = 0; i < n; i++)
        if (!images[i])
            return vx_fail(VITX_INVALID, "picture %d of %d is NULL", i, n);
    if (plan)
        VX_TRY(vx_context_place(c, plan, &c->trace, c->max_batch));
    VX_TRY(load_pictures(c, images, n));
    VX_TRY(vx_pass_forward(c, &(vx_pass){.act = &c->act, .plan = plan, .batch = n}));
    return vx_context_answers(c, &c->act, c->host_logits, c->host_probabilities, n);
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
                           "the model answered with %s as logit of class %zu: its weights "
                           "overflow in single precision",
                           isnan(logits[i]) ? "NaN" : "infinity", i % k);
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

int vitx_classify_batch(vitx_context *context, const vitx_image *const *images, int n,
                        vitx_prediction *top, int k)
{
    vitx_context *c = context;
    if (!c || !images || !top)
        return vx_fail(VITX_INVALID, "vitx_classify_batch: an argument is NULL");
    if (n < 1 || k < 1)
        return vx_fail(VITX_INVALID, "%d pictures, %d classes: at least one of each is needed", n,
                       k);
    const size_t classes = (size_t)c->arch.classes;
    vx_context_begin(c, (int64_t)((n - 1) / c->max_batch + 1) * c->arch.depth);
    for (int at = 0; at < n; at += c->max_batch) {
        const int count = n - at < c->max_batch ? n - at : c->max_batch;
        VX_TRY(vx_context_run(c, images + at, count, NULL));
        for (int i = 0; i < count; i++)
            rank(top + (size_t)(at + i) * (size_t)k, k, c->host_logits + (size_t)i * classes,
                 c->host_probabilities + (size_t)i * classes, c->model);
    }
    return VITX_OK;
}

int vitx_classify(vitx_context *context, const vitx_image *image, vitx_prediction *top, int k)
{
    return vitx_classify_batch(context, &image, 1, top, k);
}

int vitx_forward(vitx_context *context, const vitx_image *const *images, int n)
{
    if (!context || !images)
        return vx_fail(VITX_INVALID, "vitx_forward: an argument is NULL");
    if (n < 1 || n > context->max_batch)
        return vx_fail(VITX_INVALID, "%d pictures: 1 to max_batch = %d are accepted", n,
                       context->max_batch);
    vx_context_begin(context, context->arch.depth);
    VX_TRY(vx_context_run(context, images, n, &context->wish));
    context->recorded = n;
    return VITX_OK;
}

static int check_forward(const vitx_context *c, const void *out)
{
    if (!out || !c)
        return vx_fail(VITX_INVALID, "a view: an argument is NULL");
    if (!c->recorded)
        return vx_fail(VITX_INVALID,
                       "nothing to view: vitx_forward was not the last call that ran the context");
    return VITX_OK;
}

int vitx_logits(vitx_view *out, const vitx_context *context)
{
    VX_TRY(check_forward(context, out));
    const int64_t k = context->arch.classes;
    *out = (vitx_view){.data = context->host_logits,
                       .dtype = VITX_F32,
                       .rank = 2,
                       .shape = {context->recorded, k, 1, 1},
                       .stride = {k, 1, 1, 1}};
    return VITX_OK;
}

int vitx_input(vitx_view *out, const vitx_context *context)
{
    VX_TRY(check_forward(context, out));
    const int64_t c = context->arch.channels, h = context->recipe.input_height,
                  w = context->recipe.input_width;
    *out = (vitx_view){.data = context->host_input,
                       .dtype = VITX_F32,
                       .rank = 4,
                       .shape = {context->recorded, c, h, w},
                       .stride = {c * h * w, h * w, w, 1}};
    return VITX_OK;
}

/* ------------------------------------------------------------------ recording attention ---- */

void vitx_trace_opts_init(vitx_trace_opts *out, size_t struct_size)
{
    const vitx_trace_opts full = VITX_TRACE_OPTS_INIT;
    vx_struct_init(out, struct_size, &full, sizeof full);
}

static int read_trace(vitx_trace_opts *o, const vitx_trace_opts *given, const vx_arch *a)
{
    *o = (vitx_trace_opts)VITX_TRACE_OPTS_INIT;
    VX_TRY(VX_STRUCT_READ(o, given, vitx_trace_opts, storage));
    if (o->record < VITX_RECORD_NONE || o->record > VITX_RECORD_ALL)
        return vx_fail(VITX_INVALID, "record = %d is no vitx_record", (int)o->record);
    if (o->fuse < VITX_FUSE_MEAN || o->fuse > VITX_FUSE_MIN)
        return vx_fail(VITX_INVALID, "fuse = %d is no vitx_fuse", (int)o->fuse);
    if (o->storage != VITX_F32 && o->storage != VITX_F16)
        return vx_fail(VITX_INVALID, "storage = %d: VITX_F32 and VITX_F16 are accepted",
                       (int)o->storage);
    if (o->query < VITX_AUTO || o->query >= vx_arch_tokens(a))
        return vx_fail(VITX_INVALID, "query %d is out of range: the model has tokens 0 to %d",
                       o->query, vx_arch_tokens(a) - 1);
    if (o->layers && o->layer_count < 1)
        return vx_fail(VITX_INVALID, "layer_count = %d: a list of layers has at least one",
                       o->layer_count);
    for (int i = 0; o->layers && i < o->layer_count; i++)
        if (o->layers[i] < 0 || o->layers[i] >= a->depth)
            return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                           o->layers[i], a->depth - 1);
    return VITX_OK;
}

/* The plan that options mean. */
static void wish(vx_plan *plan, const vitx_trace_opts *o, const vx_arch *a)
{
    static const vx_keep keep[] = {VX_KEEP_NONE, VX_KEEP_ROW, VX_KEEP_FUSED, VX_KEEP_ALL};
    static const vx_fuse fuse[] = {VX_FUSE_MEAN, VX_FUSE_MAX, VX_FUSE_MIN};
    const int count = o->layers ? o->layer_count : a->depth;
    vx_plan_clear(plan);
    for (int i = 0; i < count && o->record != VITX_RECORD_NONE; i++)
        plan->attention[o->layers ? o->layers[i] : i] =
            (vx_recorded){.keep = keep[o->record],
                          .fuse = fuse[o->fuse],
                          .query = o->query == VITX_AUTO ? vx_default_query(a) : o->query,
                          .store = o->storage == VITX_F16 ? VX_STORE_F16 : VX_STORE_F32};
}

int vitx_trace_bytes(size_t *out, const vitx_model *model, const vitx_trace_opts *opts, int batch)
{
    if (!out || !model || !opts)
        return vx_fail(VITX_INVALID, "vitx_trace_bytes: an argument is NULL");
    if (batch < 1 || batch > 1024)
        return vx_fail(VITX_INVALID, "batch = %d: 1 to 1024 are accepted", batch);
    vitx_trace_opts o;
    VX_TRY(read_trace(&o, opts, &model->arch));
    vx_plan plan;
    VX_TRY(vx_plan_create(&plan, &model->arch, &model->hooks));
    vx_arena arena = {0};
    wish(&plan, &o, &model->arch);
    vx_plan_place(&plan, &arena, &model->arch, batch, 0);
    vx_plan_dispose(&plan, &model->hooks);
    if (arena.overflow)
        return vx_fail(VITX_NOMEM,
                       "the attention of %d pictures takes more bytes than can be counted", batch);
    *out = arena.size;
    return VITX_OK;
}

int vitx_context_set_trace(vitx_context *context, const vitx_trace_opts *opts)
{
    vitx_trace_opts o;
    if (!context)
        return vx_fail(VITX_INVALID, "vitx_context_set_trace: context is NULL");
    VX_TRY(read_trace(&o, opts, &context->arch));
    /* Tried on the other plan first, so that a refusal changes nothing. */
    wish(&context->need, &o, &context->arch);
    context->recorded = 0;
    VX_TRY(vx_context_place(context, &context->need, &context->trace, context->max_batch));
    vx_plan_copy(&context->wish, &context->need);
    return VITX_OK;
}

/* The record where the host can read it: the device's own memory, or a copy of this block made now.
 * Copies lie as the records do, so the views of several blocks can be held together. */
static int host_attention(const void **data, vitx_context *c, const vx_recorded *r)
{
    *data = r->data;
    if (c->dev->cls->host_memory)
        return VITX_OK;
    if (c->mirror.bytes < c->trace.bytes) {
        vx_release(&c->hooks, c->mirror.memory);
        c->mirror = (vx_block){0};
        VX_TRY(vx_new(&c->mirror.memory, &c->hooks, c->trace.bytes, 1,
                      "a copy of recorded attention"));
        c->mirror.bytes = c->trace.bytes;
    }
    char *copy = (char *)c->mirror.memory + ((const char *)r->data - (const char *)c->trace.memory);
    c->dev->cls->download(c->dev, copy, r->data,
                          (size_t)c->recorded * vx_recorded_bytes(r, &c->arch));
    *data = copy;
    return vx_context_sync(c);
}

int vitx_attention(vitx_view *out, vitx_context *context, int layer)
{
    VX_TRY(check_forward(context, out));
    const vx_plan *plan = &context->wish;
    if (layer < 0 || layer >= plan->depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                       layer, plan->depth - 1);
    const vx_recorded *r = &plan->attention[layer];
    if (r->keep == VX_KEEP_NONE)
        return vx_fail(VITX_INVALID, "the attention of block %d was not recorded", layer);
    const int64_t t = r->tokens, h = r->keep == VX_KEEP_FUSED ? 1 : r->heads;
    const int64_t rows = r->keep == VX_KEEP_ROW ? 1 : t;
    const void *data;
    VX_TRY(host_attention(&data, context, r));
    *out = (vitx_view){.data = data,
                       .dtype = r->store == VX_STORE_F16 ? VITX_F16 : VITX_F32,
                       .rank = 4,
                       .shape = {context->recorded, h, rows, t},
                       .stride = {h * rows * t, rows * t, t, 1}};
    return VITX_OK;
}
