/* engine/variants.c: see variants.h. */
#include "engine/variants.h"

#include "engine/footprint.h"
#include "engine/run.h"

/* Places on the host of a device that makes variants. */
enum { ON_HOST = 8 };

bool vx_variants_on_device(const vitx_context *c)
{
    return !c->dev->cls->host_memory;
}

static size_t activation_bytes(const vitx_context *c, int count)
{
    vx_activations act;
    vx_arena arena = {0};
    vx_activations_place(&act, &arena, c, count, count * VX_VARIANTS_SHORTER);
    return arena.overflow ? SIZE_MAX : arena.size;
}

static bool within_budget(const vitx_context *c, int count)
{
    return !c->memory_budget ||
           vx_context_bytes_extra(c, count, 0, activation_bytes(c, count)) <= c->memory_budget;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Without a look at budgets. */
static int worthwhile(const vitx_context *c)
{
    const int many = c->dev->cls->variant_tokens / vx_arch_tokens(&c->arch);
    return larger(larger(c->max_batch, VX_VARIANTS_AT_ONCE),
                  many < VX_VARIANTS_MOST ? many : VX_VARIANTS_MOST);
}

int vx_variants_at_once(vitx_context *c, vx_plan *plan)
{
    int count = worthwhile(c);
    const size_t bytes = c->dev->cls->variant_bytes > VX_VARIANTS_BYTES ? c->dev->cls->variant_bytes
                                                                        : VX_VARIANTS_BYTES,
                 most = c->trace_budget < bytes ? c->trace_budget : bytes;
    while (plan && count > 1 && vx_context_plan_bytes(c, plan, count) > most)
        count--;
    while (count > 1 && !within_budget(c, count))
        count--;
    return count;
}

size_t vx_variants_bytes(vitx_context *c, int count, int kept, vx_plan *plan)
{
    size_t bytes = activation_bytes(c, count);
    if (kept && !vx_add_size(&bytes, bytes, vx_context_plan_bytes(c, plan, kept)))
        return SIZE_MAX;
    return bytes;
}

static int reserve_activations(vitx_context *c, int count)
{
    vx_variants *v = &c->variants;
    const size_t bytes = activation_bytes(c, count);
    if (count <= v->capacity)
        return VITX_OK;
    v->capacity = v->sequences = 0;
    if (bytes == SIZE_MAX)
        return vx_fail(VITX_NOMEM, "%d variants of a picture are more than can be counted", count);
    VX_TRY(vx_context_allow_extra(c, count, 0, bytes));
    VX_TRY(vx_block_reserve(c, &v->memory, bytes, "variants of a picture"));
    vx_arena arena = {.base = v->memory.memory};
    vx_activations_place(&v->act, &arena, c, count, count * VX_VARIANTS_SHORTER);
    v->on_host = vx_variants_on_device(c) && count > ON_HOST ? ON_HOST : count;
    VX_TRY(vx_activations_reserve_host(c, &v->act, v->on_host, count * VX_VARIANTS_SHORTER));
    v->capacity = count;
    v->sequences = count * VX_VARIANTS_SHORTER;
    const int status = vx_context_reserve_device(c);
    if (status != VITX_OK)
        v->capacity = v->sequences = 0;
    return status;
}

int vx_variants_reserve(vitx_context *c, int count, int kept, const vx_plan *plan)
{
    vx_variants *v = &c->variants;
    VX_TRY(reserve_activations(c, count));
    v->planned = 0;
    if (kept) {
        vx_plan_copy(&v->plan, plan);
        VX_TRY(vx_context_place(c, &v->plan, &v->trace, kept));
        v->planned = kept;
    }
    return VITX_OK;
}

vx_far *vx_variants_input(const vitx_context *c, int i)
{
    return c->variants.act.input + (size_t)i * vx_context_input_count(c);
}

float *vx_variants_host_input(const vitx_context *c, int i)
{
    return c->variants.act.host.input + (size_t)i * vx_context_input_count(c);
}

static void bring(vitx_context *c, int to, int from, int n)
{
    const size_t bytes = (size_t)n * vx_context_input_count(c) * sizeof(float);
    if (n > 0 && vx_variants_on_device(c))
        c->dev->cls->upload(c->dev, vx_variants_input(c, to), vx_variants_host_input(c, from),
                            bytes);
}

void vx_variants_upload(vitx_context *c, int first, int n)
{
    bring(c, first, first, n);
}

int vx_variants_write(vitx_context *c, const vx_inputs *inputs, int first, int n)
{
    const int room = c->variants.on_host;
    if (vx_variants_on_device(c) && inputs->queue) {
        inputs->queue(inputs->payload, c->dev, vx_variants_input(c, 0), first, n);
        return VITX_OK;
    }
    for (int at = 0; at < n; at += room) {
        const int some = n - at < room ? n - at : room;
        if (at) /* the places on the host are read until then */
            VX_TRY(vx_context_sync(c));
        vx_inputs_write(c, inputs, vx_variants_host_input(c, 0), first + at, some);
        bring(c, at, 0, some);
    }
    return VITX_OK;
}

void vx_variants_embed(vitx_context *c, int n)
{
    vx_pass_embed(c, &(vx_pass){.act = &c->variants.act, .batch = n});
}

static int run(vitx_context *c, const vx_pass *pass, bool pixels)
{
    vx_variants *v = &c->variants;
    if (pixels)
        vx_pass_embed(c, pass);
    VX_TRY(vx_pass_blocks(c, pass));
    return vx_context_answers(c, &v->act, pass->batch);
}

int vx_variants_run(vitx_context *c, int n)
{
    return run(c, &(vx_pass){.act = &c->variants.act, .batch = n}, true);
}

int vx_variants_run_kept(vitx_context *c, int n)
{
    return run(c, &(vx_pass){.act = &c->variants.act, .plan = &c->variants.plan, .batch = n}, true);
}

int vx_variants_backward(vitx_context *c, int n)
{
    return vx_pass_backward(
        c, &(vx_pass){.act = &c->variants.act, .plan = &c->variants.plan, .batch = n});
}

int vx_variants_no_patches(vitx_context *c)
{
    vx_variants *v = &c->variants;
    vx_pass_no_patches(c, &(vx_pass){.act = &v->act, .batch = 1});
    return vx_context_answers(c, &v->act, 1);
}

int vx_variants_run_blocks(vitx_context *c, const vx_pass *pass)
{
    return run(c, pass, false);
}
