/* engine/patch_answer.c: see patch_answer.h. */
#include "engine/patch_answer.h"

#include "engine/io.h"
#include "engine/run.h"

bool vx_patch_answer_serves(const vx_arch *arch)
{
    return arch->pool != VX_POOL_MAP && !vx_arch_two_vectors(arch);
}

void vx_patch_answer_need(vx_plan *variants_need)
{
    const int last = variants_need->depth - 1;
    variants_need->targets = 1;
    variants_need->all_tokens = true; /* the head may read the class token alone */
    vx_plan_need_dtokens(variants_need, last, VX_AT_NORM1);
}

/* The model as it is, but for a head that reads the mean over the patches. */
static vx_arch of_mean(const vx_arch *arch)
{
    vx_arch mean = *arch;
    mean.pool = VX_POOL_AVG;
    mean.mean_prefix = false;
    return mean;
}

/* The last block of one picture; the backward pass ends behind its norm. */
static vx_pass pass_of(vitx_context *c, const vx_arch *arch)
{
    const int last = arch->depth - 1;
    return (vx_pass){.act = &c->variants.act,
                     .plan = &c->variants.plan,
                     .batch = 1,
                     .first = last,
                     .to = {VX_END_OUTPUT, last - 1},
                     .targets = 1,
                     .arch = arch};
}

int vx_patch_answer(vitx_context *c, const vx_far *x)
{
    const vx_arch arch = of_mean(&c->arch);
    const vx_pass pass = pass_of(c, &arch);
    const vx_run f = vx_run_of(c, &pass);
    f.ops->copy_rows(f.dev, &(vx_copy_rows){.y = vx_stream(&f, pass.first),
                                            .x = x,
                                            .m = 1,
                                            .n = (int64_t)f.rows * f.width,
                                            .scale = 1});
    VX_TRY(vx_pass_blocks(c, &pass));
    return vx_context_answers(c, &c->variants.act, 1);
}

int vx_patch_answer_backward(const vx_far **out, vitx_context *c, const float *dlogits)
{
    const vx_arch arch = of_mean(&c->arch);
    const vx_pass pass = pass_of(c, &arch);
    vx_plan *plan = &c->variants.plan;
    c->dev->cls->upload(c->dev, plan->dlogits, dlogits, (size_t)arch.classes * sizeof *dlogits);
    *out = plan->blocks[pass.first].dtokens[VX_AT_NORM1];
    return vx_context_settle(c, vx_pass_backward(c, &pass));
}
