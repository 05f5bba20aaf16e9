/* engine/explained.c: see explained.h. */
#include "engine/explained.h"

#include <string.h>

#include "engine/pass.h"
#include "engine/run.h"

/* Whether block `l` left its attention, and the block behind it what it has read. */
static bool is_whole(const vx_plan *need, int l)
{
    const vx_recorded *r = &need->attention[l];
    return r->keep == VX_KEEP_ALL && r->store == VX_STORE_F32 && r->data &&
           need->blocks[l + 1].kept.x;
}

int vx_explained_serves(bool *out, vitx_context *c, const vitx_image *image)
{
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    const size_t floats = vx_context_input_count(c);
    vx_placement place;
    const float *last;
    float *input;
    *out = false;
    if (!c->explained || c->arch.depth < 2)
        return VITX_OK;
    for (int l = 0; l + 1 < c->arch.depth; l++)
        if (!is_whole(&c->need, l))
            return VITX_OK;
    VX_TRY(vx_context_host_input(&last, c, 0));
    VX_TRY(vx_place(&place, &c->recipe, image->width, image->height));
    VX_TRY(vx_new(&input, &scratch, floats, sizeof *input, "an input"));
    const int status = vx_preprocess(input, image, &c->recipe, &place, &scratch);
    *out = status == VITX_OK && memcmp(input, last, floats * sizeof *input) == 0;
    vx_release(&scratch, input);
    return status;
}

/* The last block's input, to where a pass begins that keeps nothing. */
static int bring_input(vitx_context *c)
{
    const int64_t width = c->arch.width;
    c->dev->ops.copy_rows(c->dev, &(vx_copy_rows){.y = c->act.x,
                                                  .ldy = width,
                                                  .x = c->need.blocks[c->arch.depth - 1].kept.x,
                                                  .ldx = width,
                                                  .m = vx_arch_tokens(&c->arch),
                                                  .n = width,
                                                  .scale = 1});
    return vx_context_sync(c);
}

int vx_explained_run(vitx_context *c, vx_plan *plan)
{
    const int last = c->arch.depth - 1;
    const vx_pass pass = {.act = &c->act, .plan = plan, .batch = 1, .first = last};
    for (int l = 0; l < last; l++) {
        plan->attention[l].data = c->need.attention[l].data;
        VX_TRY(plan->watch(plan->watcher, l, c->need.blocks[l + 1].kept.x));
        VX_TRY(vx_context_tick(c));
    }
    VX_TRY(bring_input(c));
    VX_TRY(vx_context_begin_run(c, plan, 1)); /* from here on the trace is the plan's */
    VX_TRY(vx_pass_blocks(c, &pass));
    return vx_context_answers(c, &c->act, 1);
}
