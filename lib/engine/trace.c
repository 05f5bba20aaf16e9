/* engine/trace.c: see trace.h. */
#include "engine/trace.h"

int vx_plan_create(vx_plan *out, const vx_arch *arch, const vitx_hooks *hooks)
{
    out->depth = arch->depth;
    return vx_new(&out->attention, hooks, (size_t)arch->depth, sizeof *out->attention,
                  "the trace's plan");
}

void vx_plan_dispose(vx_plan *plan, const vitx_hooks *hooks)
{
    vx_release(hooks, plan->attention);
    plan->attention = NULL;
}

void vx_plan_clear(vx_plan *plan)
{
    for (int l = 0; l < plan->depth; l++)
        plan->attention[l] = (vx_recorded){0};
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

void vx_plan_place(vx_plan *plan, vx_arena *arena, const vx_arch *arch, int batch)
{
    for (int l = 0; l < plan->depth; l++) {
        vx_recorded *r = &plan->attention[l];
        if (r->keep == VX_KEEP_NONE)
            continue;
        r->batch = batch;
        r->heads = arch->heads;
        r->tokens = vx_arch_tokens(arch);
        r->first = arch->prefix;
        r->data = vx_arena_take(arena, (size_t)batch, vx_recorded_bytes(r, arch));
    }
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
    return arch->pool == VX_POOL_TOKEN ? 0 : -1;
}
