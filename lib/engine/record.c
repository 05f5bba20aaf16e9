/*
 * engine/record.c: what vitx_forward records and vitx_backward adds to it, and the views of both.
 */
#include <math.h>

#include "base/structs.h"
#include "engine/footprint.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "engine/size.h"

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
    *out = (vitx_view){.data = context->act.host.logits,
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
    *out = (vitx_view){.data = context->act.host.input,
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
    if (o->gradients < 0 || o->gradients > VITX_GRADIENT_ANY)
        return vx_fail(VITX_INVALID, "gradients = %d is no sum of vitx_gradient", o->gradients);
    if (o->gradients ? o->targets < 1 || o->targets > 1024 : o->targets != 0)
        return vx_fail(VITX_INVALID, "targets = %d: %s", o->targets,
                       o->gradients ? "1 to 1024 are accepted with gradients"
                                    : "0 is expected without gradients");
    for (int i = 0; o->layers && i < o->layer_count; i++)
        if (o->layers[i] < 0 || o->layers[i] >= a->depth)
            return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                           o->layers[i], a->depth - 1);
    return VITX_OK;
}

/* What one block leaves behind. */
static void wish_block(vx_plan *plan, int l, const vitx_trace_opts *o, const vx_arch *a)
{
    static const vx_keep keep[] = {VX_KEEP_NONE, VX_KEEP_ROW, VX_KEEP_FUSED, VX_KEEP_ALL};
    static const vx_fuse fuse[] = {VX_FUSE_MEAN, VX_FUSE_MAX, VX_FUSE_MIN};
    plan->attention[l] =
        (vx_recorded){.keep = keep[o->record],
                      .fuse = fuse[o->fuse],
                      .query = o->query == VITX_AUTO ? vx_default_query(a) : o->query,
                      .store = o->storage == VITX_F16 ? VX_STORE_F16 : VX_STORE_F32};
    if (o->record == VITX_RECORD_NONE)
        plan->attention[l] = (vx_recorded){0};
    if (o->gradients & VITX_GRADIENT_ATTENTION) /* kept whole without the attention beside it */
        plan->blocks[l].dkeep = VX_DKEEP_ALL;
    static const int gradients[] = {VITX_GRADIENT_NORM1, VITX_GRADIENT_OUTPUT};
    for (size_t at = 0; at < sizeof gradients / sizeof gradients[0]; at++)
        if (o->gradients & gradients[at]) {
            vx_plan_need_tokens(plan, l, (vx_at)at);
            vx_plan_need_dtokens(plan, l, (vx_at)at);
        }
}

/* The plan that options mean. */
static void wish(vx_plan *plan, const vitx_trace_opts *o, const vx_arch *a)
{
    const int count = o->layers ? o->layer_count : a->depth;
    vx_plan_clear(plan);
    plan->targets = o->targets;
    plan->pixels = (o->gradients & VITX_GRADIENT_INPUT) != 0;
    if (o->record != VITX_RECORD_NONE && a->pool == VX_POOL_MAP)
        vx_plan_need_pool(plan, false);
    for (int i = 0; i < count; i++)
        wish_block(plan, o->layers ? o->layers[i] : i, o, a);
}

int vitx_trace_bytes(size_t *out, const vitx_model *model, const vitx_trace_opts *opts, int batch)
{
    return vitx_trace_bytes_with(out, model, NULL, opts, batch);
}

int vitx_trace_bytes_with(size_t *out, const vitx_model *model, const vitx_context_opts *context,
                          const vitx_trace_opts *opts, int batch)
{
    vitx_context_opts sizes = VITX_CONTEXT_OPTS_INIT;
    vx_size size;
    if (!out || !model || !opts)
        return vx_fail(VITX_INVALID, "vitx_trace_bytes: an argument is NULL");
    if (batch < 1 || batch > 1024)
        return vx_fail(VITX_INVALID, "batch = %d: 1 to 1024 are accepted", batch);
    VX_TRY(VX_STRUCT_READ(&sizes, context, vitx_context_opts, progress_payload));
    VX_TRY(vx_size_begin(&size, model, &sizes));
    vitx_trace_opts o;
    VX_TRY(read_trace(&o, opts, &size.arch));
    vx_plan plan;
    VX_TRY(vx_plan_create(&plan, &size.arch, &model->hooks));
    vx_arena arena = {0};
    wish(&plan, &o, &size.arch);
    vx_plan_place(&plan, &arena, &size.arch, batch,
                  (size_t)size.arch.channels * (size_t)size.recipe.input_height *
                      (size_t)size.recipe.input_width);
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

/* `bytes` bytes of the trace where the host can read them: the device's own memory, or a copy made now.
 * Copies lie as the trace does, so several views can be held together. */
static int host_trace(const void **data, vitx_context *c, const void *at, size_t bytes)
{
    *data = at;
    if (c->dev->cls->host_memory)
        return VITX_OK;
    if (c->mirror.bytes < c->trace.bytes) {
        vx_release(&c->hooks, c->mirror.memory);
        c->mirror = (vx_block){0};
        VX_TRY(vx_new(&c->mirror.memory, &c->hooks, c->trace.bytes, 1, "a copy of the trace"));
        c->mirror.bytes = c->trace.bytes;
    }
    char *copy = (char *)c->mirror.memory + ((const char *)at - (const char *)c->trace.memory);
    c->dev->cls->download(c->dev, copy, at, bytes);
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
    VX_TRY(host_trace(&data, context, r->data,
                      (size_t)context->recorded * vx_recorded_bytes(r, &context->arch)));
    *out = (vitx_view){.data = data,
                       .dtype = r->store == VX_STORE_F16 ? VITX_F16 : VITX_F32,
                       .rank = 4,
                       .shape = {context->recorded, h, rows, t},
                       .stride = {h * rows * t, rows * t, t, 1}};
    return VITX_OK;
}

int vitx_pool_attention(vitx_view *out, vitx_context *context)
{
    VX_TRY(check_forward(context, out));
    const vx_arch *a = &context->arch;
    const int64_t n = context->recorded, h = a->heads, t = vx_arch_tokens(a);
    if (a->pool != VX_POOL_MAP)
        return vx_fail(VITX_UNSUPPORTED, "the model has no attention-pooling head");
    if (!context->wish.pool_p)
        return vx_fail(VITX_INVALID, "the attention of the pooling head was not recorded");
    const void *data;
    VX_TRY(host_trace(&data, context, context->wish.pool_p, (size_t)(n * h * t) * sizeof(float)));
    *out = (vitx_view){.data = data,
                       .dtype = VITX_F32,
                       .rank = 4,
                       .shape = {n, h, 1, t},
                       .stride = {h * t, t, t, 1}};
    return VITX_OK;
}

/* ------------------------------------------------------------------ gradients -------------- */

int vitx_backward(vitx_context *context, const float *dlogits)
{
    vitx_context *c = context;
    VX_TRY(check_forward(c, dlogits));
    const vx_plan *plan = &c->wish;
    if (plan->targets == 0)
        return vx_fail(VITX_INVALID,
                       "vitx_backward: vitx_context_set_trace did not ask for gradients");
    const size_t count = (size_t)c->recorded * (size_t)plan->targets * (size_t)c->arch.classes;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(dlogits[i]))
            return vx_fail(VITX_INVALID, "vitx_backward: dlogits[%zu] is no finite number", i);
    c->differentiated = false;
    vx_context_begin(c, vx_pass_backward_ticks(plan));
    c->dev->cls->upload(c->dev, plan->dlogits, dlogits, count * sizeof *dlogits);
    VX_TRY(vx_context_settle(
        c, vx_pass_backward(
               c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = c->recorded})));
    c->differentiated = true;
    return VITX_OK;
}

static int check_block(vitx_view *out, const vitx_context *c, int layer, bool gradient)
{
    VX_TRY(check_forward(c, out));
    if (gradient && !c->differentiated)
        return vx_fail(VITX_INVALID, "no gradients to view: vitx_backward has not run since");
    if (layer < 0 || layer >= c->wish.depth)
        return vx_fail(VITX_INVALID, "layer %d is out of range: the model has blocks 0 to %d",
                       layer, c->wish.depth - 1);
    return VITX_OK;
}

/* A view of `rows` things of shape[1..rank-1], f32. */
static int view_trace(vitx_view *out, vitx_context *c, const float *at, int64_t rows, int rank,
                      const int64_t *shape)
{
    vitx_view view = {.dtype = VITX_F32, .rank = rank, .shape = {rows, 1, 1, 1}};
    int64_t stride = 1;
    for (int axis = rank - 1; axis > 0; axis--) {
        view.shape[axis] = shape[axis - 1];
        view.stride[axis] = stride;
        stride *= shape[axis - 1];
    }
    view.stride[0] = stride;
    for (int axis = rank; axis < 4; axis++)
        view.stride[axis] = 1;
    VX_TRY(host_trace(&view.data, c, at, (size_t)(rows * stride) * sizeof(float)));
    *out = view;
    return VITX_OK;
}

static int not_recorded(const char *what, int layer)
{
    return vx_fail(VITX_INVALID, "%s of block %d: vitx_context_set_trace did not ask for it", what,
                   layer);
}

int vitx_attention_gradient(vitx_view *out, vitx_context *context, int layer)
{
    VX_TRY(check_block(out, context, layer, true));
    const vx_arch *a = &context->arch;
    const int64_t t = vx_arch_tokens(a), shape[] = {a->heads, t, t};
    const float *at = context->wish.blocks[layer].dattention;
    if (!at)
        return not_recorded("the gradient of the attention", layer);
    return view_trace(out, context, at, (int64_t)context->recorded * context->wish.targets, 4,
                      shape);
}

static int view_tokens(vitx_view *out, vitx_context *c, int layer, vitx_tokens_at at, bool gradient)
{
    VX_TRY(check_block(out, c, layer, gradient));
    if (at != VITX_AT_NORM1 && at != VITX_AT_OUTPUT)
        return vx_fail(VITX_INVALID, "at = %d is no vitx_tokens_at", (int)at);
    const vx_block_plan *b = &c->wish.blocks[layer];
    const float *data = gradient ? b->dtokens[at] : b->tokens[at];
    const int64_t shape[] = {vx_arch_tokens(&c->arch), c->arch.width};
    if (!data)
        return not_recorded(gradient ? "the gradient of the tokens" : "the tokens", layer);
    return view_trace(out, c, data, (int64_t)c->recorded * (gradient ? c->wish.targets : 1), 3,
                      shape);
}

int vitx_tokens(vitx_view *out, vitx_context *context, int layer, vitx_tokens_at at)
{
    return view_tokens(out, context, layer, at, false);
}

int vitx_tokens_gradient(vitx_view *out, vitx_context *context, int layer, vitx_tokens_at at)
{
    return view_tokens(out, context, layer, at, true);
}

int vitx_input_gradient(vitx_view *out, vitx_context *context)
{
    VX_TRY(check_block(out, context, 0, true));
    const vitx_recipe *recipe = &context->recipe;
    const int64_t shape[] = {context->arch.channels, recipe->input_height, recipe->input_width};
    if (!context->wish.dinput)
        return vx_fail(VITX_INVALID,
                       "the gradient of the input: vitx_context_set_trace did not ask "
                       "for it");
    return view_trace(out, context, context->wish.dinput,
                      (int64_t)context->recorded * context->wish.targets, 4, shape);
}
