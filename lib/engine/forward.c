/*
 * engine/forward.c: a Vision Transformer, one operation after the other (Dosovitskiy et al. 2021,
 * eq. 1-4; the drawing is in model/arch.h).
 *
 * Names: M = B*T rows, D width, A = heads * head width, F hidden. The residual stream x is updated
 * in place by the epilogue of `linear`.
 */
#include <math.h>

#include "engine/context.h"

typedef struct forward {
    vitx_context *c;
    const vx_arch *arch;
    const vx_weights *w;
    vx_device *dev;
    const vx_ops *ops;
    const vx_activations *act;
    int batch, tokens, width, attention_width;
} forward;

/* clang-format off */
static void embed(const forward *f)
{
    const vx_arch *a = f->arch;
    const vx_activations *act = f->act;

    f->ops->patch_embed(f->dev, &(vx_patch_embed){
        .y = act->x, .image = act->input, .w = &f->w->patch, .prefix = f->w->prefix,
        .pos = f->w->pos,
        .batch = f->batch, .channels = a->channels, .height = f->c->recipe.input_height,
        .width = f->c->recipe.input_width,
        .patch_height = a->patch_height, .patch_width = a->patch_width, .prefix_count = a->prefix});
    if (f->w->norm_pre_w)
        f->ops->layernorm(f->dev, act->x, f->width, act->x, f->width, f->w->norm_pre_w,
                          f->w->norm_pre_b, a->eps, f->batch * f->tokens, f->width);
}

/* x += ls1 * proj(attention(qkv(norm1(x)))), then x += ls2 * fc2(act(fc1(norm2(x)))).
 * From the attention's output on only the first `rows` tokens of each picture are computed: all of
 * them, or the class token alone where nothing reads the others afterwards. */
static void block(const forward *f, int l, const vx_recorded *record, bool class_only)
{
    const vx_block_weights *w = &f->w->blocks[l];
    const vx_activations *act = f->act;
    const int D = f->width, A = f->attention_width, F = f->arch->hidden, M = f->batch * f->tokens;
    float *qkv = act->wide, *attended = act->wide + (size_t)M * 3 * (size_t)A, *hidden = act->wide;
    /* Class tokens alone are M = B rows, a picture's T rows apart. */
    const int m = class_only ? f->batch : M, step = class_only ? f->tokens : 1;

    f->ops->layernorm(f->dev, act->y, D, act->x, D, w->norm1_w, w->norm1_b, f->arch->eps, M, D);
    f->ops->linear(f->dev, &(vx_linear){
        .y = qkv, .ldy = 3 * A, .x = act->y, .ldx = D, .w = &w->qkv, .m = M});
    f->ops->attention(f->dev, &(vx_attention){
        .y = attended, .qkv = qkv, .scale = 1.0f / sqrtf((float)f->arch->head_width),
        .batch = f->batch, .tokens = f->tokens, .heads = f->arch->heads,
        .head_width = f->arch->head_width, .record = *record});
    f->ops->linear(f->dev, &(vx_linear){
        .y = act->x, .ldy = step * D, .x = attended, .ldx = step * A, .w = &w->proj,
        .gamma = w->ls1, .residual = act->x, .ldr = step * D, .m = m});

    f->ops->layernorm(f->dev, act->y, D, act->x, step * D, w->norm2_w, w->norm2_b, f->arch->eps,
                      m, D);
    f->ops->linear(f->dev, &(vx_linear){
        .y = hidden, .ldy = F, .x = act->y, .ldx = D, .w = &w->fc1, .act = f->arch->act, .m = m});
    f->ops->linear(f->dev, &(vx_linear){
        .y = act->x, .ldy = step * D, .x = hidden, .ldx = F, .w = &w->fc2,
        .gamma = w->ls2, .residual = act->x, .ldr = step * D, .m = m});
}

/* [norm]; pool; [fc_norm]; head; softmax. The norm is a matter of each token, so where one token
 * is read only that one is normalised. */
static void classify(const forward *f)
{
    const vx_arch *a = f->arch;
    const vx_activations *act = f->act;
    const int D = f->width, M = f->batch * f->tokens;
    const float *pooled = act->x;
    int ld = f->tokens * D; /* from one picture's row to the next */

    if (a->pool == VX_POOL_AVG) {
        if (f->w->norm_w)
            f->ops->layernorm(f->dev, act->x, D, act->x, D, f->w->norm_w, f->w->norm_b, a->eps,
                              M, D);
        f->ops->mean_tokens(f->dev, act->pooled, act->x, a->prefix, f->batch, f->tokens, D);
        pooled = act->pooled;
        ld = D;
    } else if (f->w->norm_w) {
        f->ops->layernorm(f->dev, act->pooled, D, act->x, ld, f->w->norm_w, f->w->norm_b, a->eps,
                          f->batch, D);
        pooled = act->pooled;
        ld = D;
    }
    if (f->w->fc_norm_w) {
        f->ops->layernorm(f->dev, act->pooled, D, pooled, ld, f->w->fc_norm_w, f->w->fc_norm_b,
                          a->eps, f->batch, D);
        pooled = act->pooled;
        ld = D;
    }
    f->ops->linear(f->dev, &(vx_linear){
        .y = act->logits, .ldy = a->classes, .x = pooled, .ldx = ld, .w = &f->w->head,
        .m = f->batch});
    f->ops->softmax(f->dev, act->probabilities, act->logits, f->batch, a->classes);
}
/* clang-format on */

int vx_forward(vitx_context *c, int batch, const vx_plan *plan)
{
    static const vx_recorded nothing = {0};
    const vx_arch *a = &c->arch;
    const forward f = {.c = c,
                       .arch = a,
                       .w = c->weights,
                       .dev = c->dev,
                       .ops = &c->dev->ops,
                       .act = &c->act,
                       .batch = batch,
                       .tokens = vx_arch_tokens(a),
                       .width = a->width,
                       .attention_width = a->heads * a->head_width};
    embed(&f);
    for (int l = 0; l < a->depth; l++) {
        vx_recorded record = plan ? plan->attention[l] : nothing;
        record.batch = batch; /* placed for max_batch, filled for this batch */
        block(&f, l, &record, l == a->depth - 1 && a->pool == VX_POOL_TOKEN);
        VX_TRY(vx_context_tick(c));
    }
    classify(&f);
    return vx_context_sync(c);
}
