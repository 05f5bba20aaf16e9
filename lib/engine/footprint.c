/*
 * engine/footprint.c: how a context's activations lie in memory, what all of it comes to, and
 * whether that is within the budget.
 */
#include "engine/footprint.h"

#include "engine/pictures.h"
#include "engine/variants.h"
#include "model/rotary.h"

vx_row_room vx_context_row_room(const vitx_context *c)
{
    const vx_arch *a = &c->arch;
    const size_t A = (size_t)a->heads * (size_t)a->head_width;
    const size_t attention = vx_qkv_room(A) + vx_form_room(A),
                 hidden = vx_form_room((size_t)vx_arch_most(vx_arch_fc1(a), a->pool_hidden));
    /* y is wide enough for either type */
    return (vx_row_room){.y = vx_form_room((size_t)a->width) *
                              (c->narrow > sizeof(float) ? c->narrow : sizeof(float)),
                         .wide = (attention > hidden ? attention : hidden) * c->narrow};
}

/* All but the input. */
static void place_rows(vx_activations *act, vx_arena *arena, const vitx_context *c, size_t rows,
                       int sequences)
{
    const vx_arch *a = &c->arch;
    const size_t d = (size_t)a->width;
    const vx_row_room room = vx_context_row_room(c);
    const size_t s = (size_t)sequences, k = (size_t)a->classes;

    act->x = vx_arena_take(arena, rows, d * sizeof(float));
    act->normed = vx_arena_take(arena, rows, room.y);
    act->y = (vx_narrow *)act->normed;
    act->wide = vx_arena_take(arena, rows, room.wide);
    act->pooled = vx_arena_take(arena, s, (size_t)vx_arch_pooled(a) * sizeof(float));
    act->features = vx_arch_two_vectors(a) ? NULL : vx_arena_take(arena, s, d * sizeof(float));
    act->logits = vx_arena_take(arena, s, 2 * k * sizeof(float));
    act->probabilities = act->logits ? act->logits + s * k : NULL;
}

void vx_activations_place(vx_activations *act, vx_arena *arena, const vitx_context *c, int batch,
                          int sequences)
{
    act->input = vx_arena_take(arena, (size_t)batch, vx_context_input_count(c) * sizeof(float));
    place_rows(act, arena, c, (size_t)batch * (size_t)vx_arch_tokens(&c->arch), sequences);
}

void vx_activations_place_rows(vx_activations *act, vx_arena *arena, const vitx_context *c,
                               int rows)
{
    act->input = NULL;
    place_rows(act, arena, c, (size_t)rows, rows);
}

size_t vx_context_activation_bytes(const vitx_context *c)
{
    vx_activations act;
    vx_arena arena = {0};
    vx_activations_place(&act, &arena, c, c->max_batch, vx_context_sequences(c));
    return arena.overflow ? SIZE_MAX : arena.size;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* The largest sizes that the device will meet, with room for so many variants and rows of
 * channels. */
static vx_dims dims_with(const vitx_context *c, int variants, int channels)
{
    const vx_arch *a = &c->arch;
    const int tokens = vx_arch_tokens(a);
    const int batch = larger(larger(c->max_batch, variants), channels / tokens + 1);
    const int shorter = larger(variants * VX_VARIANTS_SHORTER, channels);
    const int sequences = a->vocabulary ? larger(shorter, vx_context_sequences(c)) : shorter;
    return (vx_dims){.batch = batch,
                     .tokens = tokens,
                     .width = a->width,
                     .heads = larger(a->heads, a->pool_heads),
                     .head_width =
                         larger(a->head_width, a->pool_heads ? a->width / a->pool_heads : 0),
                     .hidden = larger(vx_arch_fc1(a), a->pool_hidden),
                     .channels = a->channels,
                     .patch_height = a->patch_height,
                     .patch_width = a->patch_width,
                     .classes = a->classes,
                     .sequences = sequences};
}

vx_dims vx_context_dims(const vitx_context *c)
{
    return dims_with(c, c->variants.capacity, c->channels.capacity);
}

/* All that the context holds for running pictures of one size on a device of that class, which
 * meets sizes up to `dims`. SIZE_MAX where it cannot be counted. */
static size_t bytes_with(const vitx_context *c, const vx_device *dev, const vx_dims *dims)
{
    const vx_arch *a = &c->arch;
    size_t bytes = vx_context_activation_bytes(c);
    const size_t pos =
        vx_rotary_floats(a) + vx_arch_relative_floats(a) +
        (vx_arch_resamples(a) ? (size_t)a->grid_height * (size_t)a->grid_width * (size_t)a->width
                              : 0);
    return bytes != SIZE_MAX && vx_add_size(&bytes, bytes, dev->cls->reserve_bytes(dev, dims)) &&
                   vx_add_size(&bytes, bytes, vx_pictures_most(dev->cls, c->max_batch)) &&
                   vx_add_size(&bytes, bytes, pos * sizeof(float))
               ? bytes
               : SIZE_MAX;
}

int vx_context_bytes(size_t *out, const vitx_context *c, const vx_device *dev)
{
    const vx_arch *a = &c->arch;
    const vx_dims dims = vx_context_dims(c);
    *out = bytes_with(c, dev, &dims);
    if (*out == SIZE_MAX)
        return vx_fail(VITX_NOMEM, "the activations of %d %s are more than can be counted",
                       c->max_batch, a->vocabulary ? "texts" : "pictures");
    if (c->memory_budget && *out > c->memory_budget && a->vocabulary)
        return vx_fail_field(VITX_NOMEM, "memory_budget",
                             "the activations of %d texts of %d tokens take %zu bytes, the budget "
                             "is %zu: take a smaller batch, or raise memory_budget",
                             c->max_batch, vx_arch_tokens(a), *out, c->memory_budget);
    if (c->memory_budget && *out > c->memory_budget)
        return vx_fail_field(
            VITX_NOMEM, "memory_budget",
            "an input of %d x %d pixels makes %d tokens: the activations of %d pictures "
            "take %zu bytes, the budget is %zu: take a smaller size or batch, or raise "
            "memory_budget",
            c->recipe.input_height, c->recipe.input_width, vx_arch_tokens(a), c->max_batch, *out,
            c->memory_budget);
    return VITX_OK;
}

size_t vx_context_bytes_extra(const vitx_context *c, int variants, int channels, size_t bytes)
{
    const vx_dims dims = dims_with(c, larger(variants, c->variants.capacity),
                                   larger(channels, c->channels.capacity));
    size_t all = bytes_with(c, c->dev, &dims);
    if (channels &&
        !vx_add_size(&bytes, bytes, c->variants.capacity ? c->variants.memory.bytes : 0))
        return SIZE_MAX;
    if (variants &&
        !vx_add_size(&bytes, bytes, c->channels.capacity ? c->channels.memory.bytes : 0))
        return SIZE_MAX;
    return all != SIZE_MAX && vx_add_size(&all, all, bytes) ? all : SIZE_MAX;
}

int vx_context_allow_extra(const vitx_context *c, int variants, int channels, size_t bytes)
{
    const size_t all = vx_context_bytes_extra(c, variants, channels, bytes);
    if (!c->memory_budget || all <= c->memory_budget)
        return VITX_OK;
    return vx_fail_field(
        VITX_NOMEM, "memory_budget",
        "an input of %d x %d pixels makes %d tokens: the activations of %d pictures and, "
        "beside them, %d %s take %zu bytes, the budget is %zu: take a smaller size or "
        "batch, or raise memory_budget",
        c->recipe.input_height, c->recipe.input_width, vx_arch_tokens(&c->arch), c->max_batch,
        variants ? variants : channels, variants ? "variants of one" : "rows of channels", all,
        c->memory_budget);
}

static void place(const vitx_context *c, vx_plan *plan, vx_arena *arena, int batch)
{
    vx_plan_place(plan, arena, &c->arch, vx_plan_device_of(c->dev->cls, c->narrow), batch,
                  vx_context_input_count(c));
}

/* Bytes of a plan's places for `batch` pictures; SIZE_MAX where they cannot be counted. */
static size_t plan_bytes(const vitx_context *c, vx_plan *plan, int batch)
{
    vx_arena arena = {0};
    place(c, plan, &arena, batch);
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

int vx_context_turned_from(const vitx_context *c, const vx_plan *plan, size_t bytes)
{
    const int depth = plan->depth, none = depth + 1;
    if (!vx_plan_differentiates(plan))
        return none;
    const size_t turned = vx_weights_turned_bytes(c->weights, depth, plan->kept_from);
    return vx_add_size(&bytes, bytes, turned) && bytes <= c->trace_budget ? plan->kept_from : none;
}

int vx_context_place(vitx_context *c, vx_plan *plan, vx_block *trace, int batch)
{
    const size_t bytes = vx_context_plan_bytes(c, plan, batch);
    if (bytes > c->trace_budget)
        return vx_fail_field(VITX_NOMEM, "trace_budget",
                             "what has to be recorded of %d %s takes %zu bytes, the budget is %zu: "
                             "record less, or raise trace_budget",
                             batch, c->arch.vocabulary ? "texts" : "pictures", bytes,
                             c->trace_budget);
    VX_TRY(vx_block_reserve(c, trace, bytes, "recorded attention and gradients"));
    vx_arena arena = {.base = trace->memory};
    if (arena.base)
        place(c, plan, &arena, batch);
    return vx_weights_turn(&c->weights, c->model, c->weights, c->dev,
                           vx_context_turned_from(c, plan, trace->bytes));
}
