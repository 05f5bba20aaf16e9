/* engine/trace_opts.c: what vitx_forward is asked to record, as a plan. */
#include "base/structs.h"
#include "engine/footprint.h"
#include "engine/run.h"
#include "engine/size.h"

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
    if (o->tokens < 0 || o->tokens > (1 << VITX_AT_NORM1 | 1 << VITX_AT_OUTPUT))
        return vx_fail(VITX_INVALID, "tokens = %d is no sum of 1 << vitx_tokens_at", o->tokens);
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
    for (size_t at = 0; at < sizeof gradients / sizeof gradients[0]; at++) {
        if (o->gradients & gradients[at] || o->tokens & 1 << at)
            vx_plan_need_tokens(plan, l, (vx_at)at);
        if (o->gradients & gradients[at])
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

/* SIZE_MAX where they cannot be counted. */
static size_t placed_bytes(vx_plan *plan, const vx_size *size, vx_plan_device device, int batch)
{
    vx_arena arena = {0};
    vx_plan_place(plan, &arena, &size->arch, device, batch,
                  (size_t)size->arch.channels * (size_t)size->recipe.input_height *
                      (size_t)size->recipe.input_width);
    return arena.overflow ? SIZE_MAX : arena.size;
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
    vx_plan_device device;
    VX_TRY(vx_context_plan_device(&device, &sizes));
    vitx_trace_opts o;
    VX_TRY(read_trace(&o, opts, &size.arch));
    vx_plan plan;
    VX_TRY(vx_plan_create(&plan, &size.arch, &model->hooks));
    wish(&plan, &o, &size.arch);
    const size_t kept = placed_bytes(&plan, &size, device, batch);
    const bool differentiates = vx_plan_differentiates(&plan);
    plan.recompute = differentiates && sizes.gradients == VITX_GRADIENTS_RECOMPUTE;
    const size_t placed = placed_bytes(&plan, &size, device, batch);
    const int from = plan.kept_from;
    vx_plan_dispose(&plan, &model->hooks);
    size_t turned = 0, all;
    if (differentiates)
        VX_TRY(vx_context_turned_bytes(&turned, model, &sizes, from));
    if (kept == SIZE_MAX)
        return vx_fail(VITX_NOMEM,
                       "the attention of %d pictures takes more bytes than can be counted", batch);
    *out = kept;
    if (vx_add_size(&all, placed, turned) && all <= vx_context_trace_budget(&sizes) && all > kept)
        *out = all;
    return VITX_OK;
}

static int set_trace(vitx_context *c, const vitx_trace_opts *opts)
{
    vitx_trace_opts o;
    VX_TRY(read_trace(&o, opts, &c->arch));
    /* Tried on the other plan first, so that a refusal changes nothing. */
    wish(&c->need, &o, &c->arch);
    c->recorded = 0;
    c->explained = false;
    VX_TRY(vx_context_place(c, &c->need, &c->trace, c->max_batch));
    vx_plan_copy(&c->wish, &c->need);
    return VITX_OK;
}

int vitx_context_set_trace(vitx_context *context, const vitx_trace_opts *opts)
{
    if (!context)
        return vx_fail(VITX_INVALID, "vitx_context_set_trace: context is NULL");
    VX_TRY(vx_context_enter(context));
    return vx_context_leave(context, set_trace(context, opts));
}
