/* engine/trace.c: see trace.h. */
#include "engine/trace.h"

#include <string.h>

int vx_plan_create(vx_plan *out, const vx_arch *arch, const vitx_hooks *hooks)
{
    const size_t depth = (size_t)arch->depth;
    *out = (vx_plan){.depth = arch->depth};
    out->lowest = out->kept_from = out->own_from = arch->depth;
    VX_TRY(vx_new(&out->attention, hooks, depth, sizeof *out->attention, "the trace's plan"));
    const int status = vx_new(&out->blocks, hooks, depth, sizeof *out->blocks, "the trace's plan");
    if (status != VITX_OK)
        vx_plan_dispose(out, hooks);
    return status;
}

void vx_plan_dispose(vx_plan *plan, const vitx_hooks *hooks)
{
    vx_release(hooks, plan->attention);
    vx_release(hooks, plan->blocks);
    plan->attention = NULL;
    plan->blocks = NULL;
}

void vx_plan_clear(vx_plan *plan)
{
    for (int l = 0; l < plan->depth; l++) {
        plan->attention[l] = (vx_recorded){0};
        plan->blocks[l] = (vx_block_plan){0};
    }
    *plan = (vx_plan){.depth = plan->depth,
                      .attention = plan->attention,
                      .blocks = plan->blocks,
                      .recompute = plan->recompute,
                      .lowest = plan->depth,
                      .kept_from = plan->depth,
                      .own_from = plan->depth};
}

void vx_plan_copy(vx_plan *dst, const vx_plan *src)
{
    vx_recorded *const attention = dst->attention;
    vx_block_plan *const blocks = dst->blocks;
    *dst = *src;
    dst->attention = attention;
    dst->blocks = blocks;
    memcpy(attention, src->attention, (size_t)src->depth * sizeof *attention);
    memcpy(blocks, src->blocks, (size_t)src->depth * sizeof *blocks);
}

void vx_plan_need_attention(vx_plan *plan, int first, int last, vx_keep keep, vx_fuse fuse,
                            int query)
{
    for (int l = first; l <= last; l++) {
        vx_recorded *r = &plan->attention[l];
        const bool same = r->keep == keep && (keep != VX_KEEP_FUSED || r->fuse == fuse) &&
                          (keep != VX_KEEP_ROW || r->query == query);
        if (r->keep == VX_KEEP_NONE)
            *r = (vx_recorded){.keep = keep, .fuse = fuse, .query = query};
        else if (!same)
            r->keep = VX_KEEP_ALL; /* rows and fused matrices follow from it */
    }
}

size_t vx_recorded_bytes(const vx_recorded *r, const vx_arch *arch)
{
    const size_t t = (size_t)vx_arch_tokens(arch), h = (size_t)arch->heads;
    const size_t element = r->store == VX_STORE_F16 ? 2 : 4;
    /* Sizes of an opened model are bounded (t <= 2^16, h <= 2^16): t*t*h*4 fits 64 bits. */
    switch (r->keep) {
    case VX_KEEP_ROW:
        return h * t * element;
    case VX_KEEP_FUSED:
        return t * t * element;
    case VX_KEEP_ALL:
        return h * t * t * element;
    case VX_KEEP_NONE:
        break;
    }
    return 0;
}

void vx_plan_need_dattention(vx_plan *plan, int first, int last, vx_dkeep keep, vx_product product)
{
    for (int l = first; l <= last; l++) {
        vx_block_plan *b = &plan->blocks[l];
        if (b->dkeep == VX_DKEEP_NONE) {
            b->dkeep = keep;
            b->product = product;
        } else if (b->dkeep != keep || b->product != product) {
            b->dkeep = VX_DKEEP_ALL;
        }
        if (b->dkeep == VX_DKEEP_ALL) /* products follow from both */
            vx_plan_need_attention(plan, l, l, VX_KEEP_ALL, VX_FUSE_MEAN, 0);
    }
}

void vx_plan_need_tokens(vx_plan *plan, int layer, vx_at at)
{
    plan->blocks[layer].tokens_wanted[at] = true;
    if (at == VX_AT_INPUT && layer > 0) /* one place for both */
        plan->blocks[layer - 1].tokens_wanted[VX_AT_OUTPUT] = true;
    if (at == VX_AT_OUTPUT && layer == plan->depth - 1)
        plan->all_tokens = true;
}

void vx_plan_need_dtokens(vx_plan *plan, int layer, vx_at at)
{
    plan->blocks[layer].dtokens_wanted[at] = true;
}

void vx_plan_need_pool(vx_plan *plan, bool gradient)
{
    plan->pool_wanted = true;
    plan->dpool_wanted = plan->dpool_wanted || gradient;
}

int vx_plan_lowest(const vx_plan *plan)
{
    if (plan->pixels)
        return 0;
    for (int l = 0; l < plan->depth; l++) {
        const vx_block_plan *b = &plan->blocks[l];
        if (b->dkeep != VX_DKEEP_NONE || b->dtokens_wanted[VX_AT_NORM1])
            return l;
        if (b->dtokens_wanted[VX_AT_OUTPUT])
            return l + 1; /* = depth: the head's backward alone */
    }
    return plan->depth;
}

bool vx_plan_class_only(const vx_plan *plan, const vx_arch *arch, int layer)
{
    const bool alone = arch->pool == VX_POOL_TOKEN  ? !(plan && plan->all_tokens)
                       : arch->pool == VX_POOL_LAST ? !plan
                                                    : false;
    return layer == arch->depth - 1 && !arch->parallel && alone;
}

/* What the backward pass needs of one block. The probabilities are the record of the block,
 * which is made to hold all of them. */
static void place_kept(vx_kept *kept, vx_arena *arena, const vx_arch *arch, size_t narrow,
                       int batch, bool class_only)
{
    const size_t t = (size_t)vx_arch_tokens(arch), rows = (size_t)batch * t;
    const size_t behind = class_only ? (size_t)batch : rows;
    const size_t a = (size_t)arch->heads * (size_t)arch->head_width;
    kept->qkv = vx_arena_take(arena, rows, 3 * a * narrow);
    kept->qk = arch->qk_norm ? vx_arena_take(arena, rows, 2 * a * narrow) : NULL;
    kept->attended = arch->attn_norm ? vx_arena_take(arena, behind, a * narrow) : NULL;
    kept->hidden =
        arch->mlp_norm ? vx_arena_take(arena, behind, (size_t)arch->hidden * narrow) : NULL;
    kept->mid = vx_arena_take(arena, behind, (size_t)arch->width * sizeof(float));
    const size_t branch = arch->post_norm ? behind : 0;
    kept->branch1 = vx_arena_take(arena, branch, (size_t)arch->width * sizeof(float));
    kept->branch2 = vx_arena_take(arena, branch, (size_t)arch->width * sizeof(float));
    kept->pre = vx_arena_take(arena, behind,
                              (size_t)vx_arch_most(vx_arch_fc1(arch), arch->pool_hidden) * narrow);
}

static vx_far *take_tokens(vx_arena *arena, const vx_arch *arch, size_t pictures)
{
    return vx_arena_take(arena, pictures,
                         (size_t)vx_arch_tokens(arch) * (size_t)arch->width * sizeof(float));
}

/* The tokens wanted of a block and their gradients. */
static void place_tokens(vx_plan *plan, int l, vx_arena *arena, const vx_arch *arch, int batch)
{
    vx_block_plan *b = &plan->blocks[l];
    const size_t pictures = (size_t)batch, gradients = pictures * (size_t)plan->targets;
    for (int at = 0; at < VX_AT_COUNT; at++) {
        const bool before = at == VX_AT_INPUT && l > 0;
        b->tokens[at] = NULL;
        if (b->tokens_wanted[at])
            b->tokens[at] = before ? plan->blocks[l - 1].tokens[VX_AT_OUTPUT]
                                   : take_tokens(arena, arch, pictures);
        b->dtokens[at] = b->dtokens_wanted[at] ? take_tokens(arena, arch, gradients) : NULL;
    }
}

/* The input of a block, which lies where it is wanted anyway. */
static vx_far *place_input(const vx_plan *plan, int l, vx_arena *arena, const vx_arch *arch,
                           int batch)
{
    if (l > 0 && plan->blocks[l - 1].tokens_wanted[VX_AT_OUTPUT])
        return plan->blocks[l - 1].tokens[VX_AT_OUTPUT];
    if (plan->blocks[l].tokens_wanted[VX_AT_INPUT])
        return plan->blocks[l].tokens[VX_AT_INPUT];
    return take_tokens(arena, arch, (size_t)batch);
}

/* Whether a record is what the backward pass reads. */
static bool holds_p(const vx_recorded *r)
{
    return r->keep == VX_KEEP_ALL && r->store == VX_STORE_F32;
}

/* The place that serves the blocks of a watched plan in turn. */
static void *take_shared(const vx_plan *plan, vx_arena *arena, const vx_arch *arch, int batch)
{
    size_t most = 0;
    for (int l = 0; l < plan->depth; l++) {
        const size_t bytes = vx_recorded_bytes(&plan->attention[l], arch);
        most = bytes > most ? bytes : most;
    }
    return vx_arena_take(arena, (size_t)batch, most);
}

static void place_block(vx_plan *plan, int l, vx_arena *arena, const vx_arch *arch,
                        vx_plan_device device, int batch)
{
    vx_recorded *r = &plan->attention[l];
    vx_block_plan *b = &plan->blocks[l];
    const size_t pictures = (size_t)batch, t = (size_t)vx_arch_tokens(arch);
    const size_t gradients = pictures * (size_t)plan->targets;
    if (b->widened)
        *r = b->wanted;
    b->widened = l >= plan->kept_from && !plan->recompute && !device.recomputes_p;
    if (b->widened) {
        b->wanted = *r;
        *r = (vx_recorded){.keep = VX_KEEP_ALL};
    }
    if (r->keep != VX_KEEP_NONE) {
        r->batch = batch;
        r->heads = arch->heads;
        r->tokens = vx_arch_tokens(arch);
        r->prefix = arch->prefix;
        r->data =
            plan->watch ? plan->shared : vx_arena_take(arena, pictures, vx_recorded_bytes(r, arch));
    }
    place_tokens(plan, l, arena, arch, batch);
    b->kept = (vx_kept){0};
    if (l >= plan->kept_from) {
        b->kept.x = place_input(plan, l, arena, arch, batch);
        if (!plan->recompute)
            place_kept(&b->kept, arena, arch, device.narrow, batch,
                       vx_plan_class_only(plan, arch, l));
        b->kept.p = !device.recomputes_p && holds_p(r) ? r->data : NULL;
    }
    const size_t planes = b->dkeep == VX_DKEEP_ALL ? (size_t)arch->heads : 1;
    b->dattention = b->dkeep == VX_DKEEP_NONE
                        ? NULL
                        : vx_arena_take(arena, gradients * planes, t * t * sizeof(float));
}

/* dp where something is made of it, or what attention_bwd makes in its place. */
static void place_dp(vx_plan *plan, vx_arena *arena, const vx_arch *arch, vx_plan_device device,
                     size_t gradients)
{
    const size_t t = (size_t)vx_arch_tokens(arch), pool = (size_t)arch->pool_heads;
    const size_t h = (size_t)vx_arch_most(arch->heads, arch->pool_heads);
    const bool own = plan->own_from < plan->depth, again = device.recomputes_p;
    bool whole = own || plan->dpool_wanted;
    for (int l = 0; l < plan->depth; l++)
        whole = whole || plan->blocks[l].dkeep == VX_DKEEP_PRODUCT;
    plan->dp = NULL;
    if (again && plan->dpool_wanted)
        plan->dp = vx_arena_take(arena, gradients * pool, t * sizeof(float));
    else if (!again && whole)
        plan->dp = vx_arena_take(arena, gradients * h, t * t * sizeof(float));
    plan->relu_mean = again && own ? vx_arena_take(arena, gradients * h, t * sizeof(float)) : NULL;
}

static void place_backward(vx_plan *plan, vx_arena *arena, const vx_arch *arch,
                           vx_plan_device device, int batch, size_t input_floats)
{
    const size_t t = (size_t)vx_arch_tokens(arch), pictures = (size_t)batch, narrow = device.narrow;
    const size_t a = (size_t)arch->heads * (size_t)arch->head_width,
                 f = (size_t)vx_arch_most(vx_arch_fc1(arch), arch->pool_hidden),
                 h = (size_t)vx_arch_most(arch->heads, arch->pool_heads);
    const size_t g = pictures * (size_t)(plan->targets > 0 ? plan->targets : 1);
    const size_t wide = 4 * a > f ? 4 * a : f;
    plan->dlogits = vx_arena_take(arena, g, (size_t)arch->classes * sizeof(float));
    plan->dpooled = vx_arena_take(arena, g, (size_t)vx_arch_pooled(arch) * sizeof(float));
    plan->dx = take_tokens(arena, arch, g);
    plan->dbranch = arch->post_norm || arch->parallel ? take_tokens(arena, arch, g) : NULL;
    plan->dy = vx_arena_take(arena, g * t, (size_t)arch->width * narrow);
    plan->dwide = vx_arena_take(arena, g * t, wide * narrow);
    place_dp(plan, arena, arch, device, g);
    plan->recomputed = (vx_kept){0};
    if (plan->recompute && plan->kept_from < plan->depth) {
        place_kept(&plan->recomputed, arena, arch, narrow, batch, false);
        plan->recomputed.p =
            device.recomputes_p ? NULL : vx_arena_take(arena, pictures * h, t * t * sizeof(float));
    }
    plan->embedded = plan->pixels ? take_tokens(arena, arch, pictures) : NULL;
    plan->dinput = plan->pixels ? vx_arena_take(arena, g, input_floats * sizeof(float)) : NULL;
}

/* A pooling head's attention, and what its backward pass reads. */
static void place_pool(vx_plan *plan, vx_arena *arena, const vx_arch *arch, size_t narrow,
                       int batch)
{
    const size_t row = (size_t)arch->pool_heads * (size_t)vx_arch_tokens(arch) * sizeof(float);
    const size_t pictures = (size_t)batch, gradients = pictures * (size_t)plan->targets;
    plan->pool_p = plan->pool_wanted ? vx_arena_take(arena, pictures, row) : NULL;
    plan->pool_dp = NULL;
    plan->pool = (vx_kept){0};
    if (!vx_plan_differentiates(plan))
        return;
    place_kept(&plan->pool, arena, arch, narrow, batch, true);
    if (plan->dpool_wanted)
        plan->pool_dp = vx_arena_take(arena, gradients > 0 ? gradients : pictures, row);
}

void vx_plan_place(vx_plan *plan, vx_arena *arena, const vx_arch *arch, vx_plan_device device,
                   int batch, size_t input_floats)
{
    plan->lowest = plan->targets > 0 ? vx_plan_lowest(plan) : plan->depth;
    plan->kept_from = plan->lowest < plan->own_from ? plan->lowest : plan->own_from;
    plan->shared = plan->watch ? take_shared(plan, arena, arch, batch) : NULL;
    for (int l = 0; l < plan->depth; l++)
        place_block(plan, l, arena, arch, device, batch);
    if (arch->pool == VX_POOL_MAP)
        place_pool(plan, arena, arch, device.narrow, batch);
    if (vx_plan_differentiates(plan))
        place_backward(plan, arena, arch, device, batch, input_floats);
}

vx_recorded vx_recorded_picture(const vx_recorded *r, const vx_arch *arch, int picture)
{
    vx_recorded one = *r;
    one.data = (char *)r->data + (size_t)picture * vx_recorded_bytes(r, arch);
    one.batch = 1;
    return one;
}

int vx_default_query(const vx_arch *arch)
{
    if (arch->pool == VX_POOL_AVG || arch->pool == VX_POOL_MAP)
        return VX_QUERY_PATCHES;
    if (arch->pool == VX_POOL_LAST)
        return vx_arch_tokens(arch) - 1;
    return arch->pool == VX_POOL_TWO_TOKENS ? VX_QUERY_PREFIX : 0;
}
