/* engine/views.c: views of what vitx_forward has recorded, and vitx_backward, which adds
 * gradients to it. */
#include <math.h>

#include "engine/pass.h"
#include "engine/run.h"

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
    const float *input; /* what the device alone has is copied when it is asked for */
    VX_TRY(vx_context_host_input(&input, (vitx_context *)(uintptr_t)context, 0));
    *out = (vitx_view){.data = input,
                       .dtype = VITX_F32,
                       .rank = 4,
                       .shape = {context->recorded, c, h, w},
                       .stride = {c * h * w, h * w, w, 1}};
    return VITX_OK;
}

/* `bytes` bytes of the trace where the host can read them: the device's own memory, or a copy
 * made now. Copies lie as the trace does, so several views can be held together. */
static int host_trace(const void **data, vitx_context *c, const void *at, size_t bytes)
{
    *data = at;
    if (c->dev->cls->host_memory)
        return VITX_OK;
    if (c->trace_copy.bytes < c->trace.bytes) {
        vx_release(&c->hooks, c->trace_copy.memory);
        c->trace_copy = (vx_block){0};
        VX_TRY(vx_new(&c->trace_copy.memory, &c->hooks, c->trace.bytes, 1, "a copy of the trace"));
        c->trace_copy.bytes = c->trace.bytes;
    }
    char *copy = (char *)c->trace_copy.memory + ((const char *)at - (const char *)c->trace.memory);
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
    const int64_t n = context->recorded, h = a->pool_heads, t = vx_arch_tokens(a);
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

static int backward(vitx_context *c, const float *dlogits)
{
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
        c,
        vx_pass_backward(c, &(vx_pass){.act = &c->act, .plan = &c->wish, .batch = c->recorded})));
    c->differentiated = true;
    return VITX_OK;
}

int vitx_backward(vitx_context *context, const float *dlogits)
{
    VX_TRY(check_forward(context, dlogits));
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, backward(context, dlogits));
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
static int view_trace(vitx_view *out, vitx_context *c, const vx_far *at, int64_t rows, int rank,
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
    const vx_far *at = context->wish.blocks[layer].dattention;
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
    const vx_far *data = gradient ? b->dtokens[at] : b->tokens[at];
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
