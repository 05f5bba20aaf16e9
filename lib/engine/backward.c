/*
 * engine/backward.c: forward.c in the mirror: from gradients of the logits to those of attention
 * probabilities, tokens and pixels. Gradients of activations only.
 *
 * Every operation of the forward pass has its line here, last one first. G = B*K gradients of B
 * pictures run as one batch; dx [G,T,D] is the gradient of the residual stream and is updated in place.
 * Where the last block computed the class token alone, one row a gradient is there: dx is 0 elsewhere
 * until that block's attention spreads it.
 */
#include "engine/forward.h"

#include "engine/run.h"

/* Rows of a gradient and of the activations beside it: all tokens, or one a picture. */
typedef struct span {
    int rows, tokens; /* rows of the gradient; of them a picture's */
    int step;         /* from one to the next, in rows of [G,T,.] */
} span;

static span span_of(const vx_run *f, bool class_only)
{
    const int t = f->tokens;
    return class_only ? (span){f->gradients, 1, t} : (span){f->gradients * t, t, 1};
}

/* clang-format off */
/* One head, or none: dlogits [G,classes] -> rows of `to`. */
static void head_bwd(const vx_run *f, const vx_weight *head, vx_rows to)
{
    const vx_rows dlogits = {f->plan->dlogits, f->arch->classes};
    if (f->arch->bare)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = to.at, .ldy = to.ld, .x = dlogits.at, .ldx = dlogits.ld, .m = f->gradients,
            .n = f->width, .scale = vx_arch_two_heads(f->arch) ? 0.5f : 1});
    else
        f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
            .dx = to.at, .lddx = to.ld, .dy = dlogits.at, .lddy = dlogits.ld, .w = head,
            .m = f->gradients, .tokens = 1, .targets = f->targets});
}

/* [head], [fc_norm]: dlogits [G,classes] -> rows of `to`. */
static void features_head_bwd(const vx_run *f, vx_rows to)
{
    head_bwd(f, &f->w->head, f->w->fc_norm_w ? (vx_rows){f->plan->dpooled, f->width} : to);
}

/* pooled -> features where there is fc_norm: the gradient lies in dpooled, its input at x. */
static void fc_norm_bwd(const vx_run *f, vx_rows to, const float *x, int ldx)
{
    if (f->w->fc_norm_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = to.at, .lddx = to.ld, .dy = f->plan->dpooled, .lddy = f->width,
            .x = x, .ldx = ldx, .weight = f->w->fc_norm_w, .eps = f->arch->eps,
            .m = f->gradients, .n = f->width, .tokens = 1, .targets = f->targets});
}

/* [norm] in place of rows of dx, `first` the first of them in [T,D]: all, or one a picture. */
static void final_norm_bwd(const vx_run *f, int first, span s)
{
    const int D = f->width, step = s.step * D;
    float *dx = f->plan->dx + (ptrdiff_t)first * D;
    if (f->w->norm_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = dx, .lddx = step, .dy = dx, .lddy = step,
            .x = f->plan->last_x + (ptrdiff_t)first * D, .ldx = step, .weight = f->w->norm_w,
            .eps = f->arch->eps, .m = s.rows, .n = D, .tokens = s.tokens, .targets = f->targets});
}

/* pool: dpooled -> to [G,T,D]; the gradient of its attention into dp [G,H,R,R], R the tokens that it
 * attends to, in the rows of the first, where that is not NULL. */
static void pool_map_bwd(const vx_run *f, float *to, float *dp)
{
    const vx_pool_weights *w = &f->w->pool;
    vx_plan *plan = f->plan;
    const int D = f->width, F = f->arch->hidden, G = f->gradients, T = f->tokens;
    float *dpooled = plan->dpooled, *dqkv = plan->dwide;
    float *dattended = plan->dwide + (size_t)G * (size_t)T * 3 * (size_t)D;

    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = plan->dwide, .lddx = F, .dy = dpooled, .lddy = D, .w = &w->fc2,
        .pre = plan->pool.pre, .ldp = F, .act = f->arch->act, .m = G, .tokens = 1,
        .targets = f->targets});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = plan->dy, .lddx = D, .dy = plan->dwide, .lddy = F, .w = &w->fc1, .m = G,
        .tokens = 1, .targets = f->targets});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = D, .dy = plan->dy, .lddy = D, .x = plan->pool.mid, .ldx = D,
        .weight = w->norm_w, .eps = f->arch->eps, .accumulate = 1, .m = G, .n = D, .tokens = 1,
        .targets = f->targets});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dattended, .lddx = D, .dy = dpooled, .lddy = D, .w = &w->proj, .m = G, .tokens = 1,
        .targets = f->targets});
    f->ops->attention_bwd(f->dev, &(vx_attention_bwd){
        .dqkv = dqkv, .dp = dp, .dy = dattended, .qkv = f->plan->pool.qkv, .scale = f->scale,
        .batch = f->batch, .targets = f->targets, .tokens = T, .heads = f->arch->heads,
        .head_width = f->arch->head_width, .queries = 1, .first = f->arch->pool_first});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = to, .lddx = D, .dy = dqkv + D, .lddy = 3 * D, .w = &w->kv, .m = G * T,
        .tokens = T, .targets = f->targets});
}

/* d of the pooling head's attention: the one row that is not 0 into its place. */
static void record_dpool(const vx_run *f)
{
    const int T = f->tokens, first = f->arch->pool_first, R = T - first;
    const int64_t rows = (int64_t)f->gradients * f->arch->heads;
    if (!f->plan->pool_dp)
        return;
    f->ops->clear(f->dev, &(vx_clear){.y = f->plan->pool_dp, .count = rows * T});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = f->plan->pool_dp + first, .ldy = T, .x = f->plan->dp, .ldx = (int64_t)R * R,
        .m = rows, .n = R, .scale = 1});
}

/* head; [fc_norm]; pool; [norm]: dlogits -> dx. */
static void classify_bwd(const vx_run *f)
{
    const vx_pool_kind pool = f->arch->pool;
    const int D = f->width, T = f->tokens;
    float *dx = f->plan->dx, *dpooled = f->plan->dpooled;
    const vx_rows token = {dx, T * D};

    if (vx_arch_reads_patches(f->arch)) {
        if (pool == VX_POOL_TOKEN_AVG) {
            head_bwd(f, &f->w->head2, (vx_rows){dpooled, D});
        } else {
            features_head_bwd(f, (vx_rows){dpooled, D});
            fc_norm_bwd(f, (vx_rows){dpooled, D}, f->act->pooled, D);
        }
        if (pool == VX_POOL_MAP) {
            pool_map_bwd(f, dx, f->plan->pool_dp ? f->plan->dp : NULL);
            record_dpool(f);
        } else {
            f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){.dx = dx, .dy = dpooled, .first = f->arch->prefix, .batch = f->gradients, .tokens = T, .width = D});
        }
        if (pool == VX_POOL_TOKEN_AVG)
            head_bwd(f, &f->w->head, token);
        final_norm_bwd(f, 0, span_of(f, false));
        return;
    }
    f->ops->clear(f->dev, &(vx_clear){.y = dx, .count = (int64_t)f->gradients * T * D});
    features_head_bwd(f, token);
    fc_norm_bwd(f, token, f->w->norm_w ? f->act->pooled : f->plan->last_x,
                f->w->norm_w ? D : T * D);
    final_norm_bwd(f, 0, span_of(f, true));
    if (pool == VX_POOL_TWO_TOKENS) {
        head_bwd(f, &f->w->head2, (vx_rows){dx + D, T * D});
        final_norm_bwd(f, 1, span_of(f, true));
    }
}

/* One block, from the last line of vx_block_forward to the first: dx is d out, then d x. */
static void block_bwd(const vx_run *f, const vx_block_grad_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, A = f->attention_width, F = vx_arch_fc1(a), K = f->targets;

    /* out = mid + ls2 * (hidden W^T + b), hidden = act(pre) */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = b->dhidden, .lddx = F, .dy = b->dx, .lddy = b->lddx, .w = &w->fc2, .gamma = w->ls2,
        .pre = b->kept.pre, .ldp = F, .act = a->act, .m = b->rows, .tokens = b->tokens,
        .targets = K});
    /* pre = norm2 W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = b->dnorm2, .lddx = D, .dy = b->dhidden, .lddy = F, .w = &w->fc1, .m = b->rows,
        .tokens = b->tokens, .targets = K});
    /* norm2 = layernorm(mid); d mid = d out + ... */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = b->lddx, .dy = b->dnorm2, .lddy = D, .x = b->kept.mid, .ldx = D,
        .weight = w->norm2_w, .eps = a->eps, .accumulate = 1, .m = b->rows, .n = D,
        .tokens = b->tokens, .targets = K});
    /* mid = x + ls1 * (attended W^T + b) */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = b->dattended, .lddx = A, .dy = b->dx, .lddy = b->lddx, .w = &w->proj,
        .gamma = w->ls1, .m = b->rows, .tokens = b->tokens, .targets = K});
    /* attended = softmax(q k^T / sqrt E) v */
    f->ops->attention_bwd(f->dev, &(vx_attention_bwd){
        .dqkv = b->dqkv, .dp = b->dp, .dy = b->dattended, .qkv = b->kept.qkv, .p = b->kept.p,
        .scale = f->scale, .batch = f->batch, .targets = K, .tokens = f->tokens,
        .heads = a->heads, .head_width = a->head_width, .queries = b->tokens});
    f->ops->attn_product(f->dev, &b->product);
    /* qkv = norm1 W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = b->dnorm1, .lddx = D, .dy = b->dqkv, .lddy = 3 * A, .w = &w->qkv, .m = b->dqkv_rows,
        .tokens = f->tokens, .targets = K});
    /* norm1 = layernorm(x); d x = d mid + ... */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = D, .dy = b->dnorm1, .lddy = D, .x = b->kept.x, .ldx = D,
        .weight = w->norm1_w, .eps = a->eps, .accumulate = 1, .m = b->norm1_rows, .n = D,
        .tokens = f->tokens, .targets = K});
}

/* norm_pre; patch embedding: dx -> dinput. */
static void embed_bwd(const vx_run *f)
{
    const vx_arch *a = f->arch;
    float *dx = f->plan->dx;

    if (f->w->norm_pre_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = dx, .lddx = f->width, .dy = dx, .lddy = f->width, .x = f->plan->embedded,
            .ldx = f->width, .weight = f->w->norm_pre_w, .eps = a->eps,
            .m = f->gradients * f->tokens, .n = f->width, .tokens = f->tokens,
            .targets = f->targets});
    f->ops->patch_embed_bwd(f->dev, &(vx_patch_embed_bwd){
        .dimage = f->plan->dinput, .dy = dx, .w = &f->w->patch, .batch = f->gradients,
        .channels = a->channels, .height = f->c->recipe.input_height,
        .width = f->c->recipe.input_width, .patch_height = a->patch_height,
        .patch_width = a->patch_width, .prefix_count = a->prefix});
}
/* clang-format on */

/* d of a block's output, before the block's own backward changes it. */
static void record_doutput(const vx_run *f, int l)
{
    float *to = f->plan->blocks[l].dtokens[VX_AT_OUTPUT];
    if (to)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = to, .x = f->plan->dx, .m = 1, .n = (int64_t)f->gradients * f->tokens * f->width,
            .scale = 1});
}

/* The first block that the pass goes down to. */
static int lowest_of(const vx_run *f)
{
    const vx_end *to = &f->pass->to;
    return to->at == VX_END_ATTENTION ? to->layer
           : to->at == VX_END_OUTPUT  ? to->layer + 1
                                      : f->plan->lowest;
}

/* Blocks from `top` down. */
static int blocks_bwd(const vx_run *f, int top)
{
    const int lowest = lowest_of(f);
    for (int l = top; l >= lowest; l--) {
        record_doutput(f, l);
        if (!f->plan->blocks[l].kept.qkv) {
            const vx_block_io again = vx_block_io_again(f, l);
            vx_block_forward(f, &again);
        }
        const vx_block_grad_io b = vx_block_grad_io_of(f, l, lowest);
        block_bwd(f, &b);
        VX_TRY(vx_context_tick(f->c));
    }
    if (lowest > 0 && f->pass->to.at != VX_END_ATTENTION)
        record_doutput(f, lowest - 1);
    return VITX_OK;
}

static int run_backward(vitx_context *c, const vx_pass *pass)
{
    const vx_run f = vx_run_of(c, pass);
    const bool begun = pass->from.at == VX_END_OUTPUT;
    if (!begun)
        classify_bwd(&f);
    VX_TRY(blocks_bwd(&f, begun ? pass->from.layer : f.arch->depth - 1));
    if (f.plan->pixels && pass->to.at == VX_END_PLAN)
        embed_bwd(&f);
    return VITX_OK;
}

int vx_pass_backward(vitx_context *c, const vx_pass *pass)
{
    return vx_context_settle(c, run_backward(c, pass));
}

int vx_pass_backward_ticks(const vx_plan *plan)
{
    return plan->targets > 0 ? plan->depth - vx_plan_lowest(plan) : 0;
}

/* ------------------------------------------------------ the head's answer to another block -- */

/* The tokens behind a block, and what the head makes of them. */
typedef struct answer_io {
    const float *tokens; /* [M,D] the block's output                             */
    float *mean;         /* [B,D] its mean over all tokens                       */
    float *pooled;       /* [B,D] the mean behind the norm, if there is one      */
    const float *normed; /* [M,D] for a pooling head: the tokens behind the norm */
    int norm_rows;       /* rows of a mean that are normalised: B, or 0 */
    int all_rows;        /* rows of tokens that are normalised: M, or 0 */
} answer_io;

static answer_io answer_io_of(const vx_run *f, int layer)
{
    const bool last = layer == f->arch->depth - 1, norm = f->w->norm_w != NULL;
    const float *tokens = last ? f->plan->last_x : f->plan->blocks[layer + 1].kept.x;
    return (answer_io){.tokens = tokens,
                       .mean = f->act->y,
                       .pooled = norm || f->arch->pool == VX_POOL_MAP ? f->act->pooled : f->act->y,
                       .normed = norm ? f->act->y : tokens,
                       .norm_rows = norm ? f->batch : 0,
                       .all_rows = norm ? f->rows : 0};
}

/* clang-format off */
/* The mean of a block's tokens, as one token behind the norm. */
static void answer_mean(const vx_run *f, const answer_io *a)
{
    const int D = f->width;
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = a->mean, .x = a->tokens, .batch = f->batch, .tokens = f->tokens, .width = D});
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = a->pooled, .ldy = D, .x = a->mean, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .m = a->norm_rows, .n = D});
}

static void answer_mean_bwd(const vx_run *f, const answer_io *a)
{
    const int D = f->width;
    float *dpooled = f->plan->dpooled;
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = D, .dy = dpooled, .lddy = D, .x = a->mean, .ldx = D,
        .weight = f->w->norm_w, .eps = f->arch->eps, .m = a->norm_rows, .n = D, .tokens = 1,
        .targets = f->targets});
    f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){
        .dx = f->plan->dx, .dy = dpooled, .batch = f->gradients, .tokens = f->tokens,
        .width = D});
}

/* A block's tokens pooled by attention. */
static void answer_map(const vx_run *f, const answer_io *a)
{
    const int D = f->width;
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = f->act->y, .ldy = D, .x = a->tokens, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .m = a->all_rows, .n = D});
    vx_pool_map(f, a->pooled, a->normed, NULL);
}

/* Both heads, if there are two, read `pooled`. */
static void answer_head_bwd(const vx_run *f, const answer_io *a)
{
    const int D = f->width;
    features_head_bwd(f, (vx_rows){f->plan->dpooled, D});
    fc_norm_bwd(f, (vx_rows){f->plan->dpooled, D}, a->pooled, D);
    if (!vx_arch_two_heads(f->arch))
        return;
    head_bwd(f, &f->w->head2, (vx_rows){f->plan->dy, D});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = f->plan->dpooled, .x = f->plan->dy, .m = 1, .n = (int64_t)f->gradients * D, .scale = 1,
        .accumulate = 1});
}
/* clang-format on */

void vx_pass_answer(vitx_context *c, const vx_pass *pass, int layer)
{
    const vx_run f = vx_run_of(c, pass);
    const answer_io a = answer_io_of(&f, layer);
    if (f.arch->pool == VX_POOL_MAP)
        answer_map(&f, &a);
    else
        answer_mean(&f, &a);
    vx_features_head(&f, (vx_rows){a.pooled, f.width}, (vx_rows){a.pooled, f.width});
}

static int run_answer_bwd(vitx_context *c, const vx_pass *pass, int layer)
{
    const vx_run f = vx_run_of(c, pass);
    const answer_io a = answer_io_of(&f, layer);
    answer_head_bwd(&f, &a);
    if (f.arch->pool == VX_POOL_MAP) {
        pool_map_bwd(&f, f.plan->dx, f.plan->dp);
        return vx_context_tick(c);
    }
    answer_mean_bwd(&f, &a);
    return blocks_bwd(&f, layer);
}

int vx_pass_answer_backward(vitx_context *c, const vx_pass *pass, int layer)
{
    vx_pass own = *pass;
    own.from = (vx_end){VX_END_OUTPUT, layer};
    own.to = (vx_end){VX_END_ATTENTION, layer};
    own.targets = 1;
    return vx_context_settle(c, run_answer_bwd(c, &own, layer));
}
