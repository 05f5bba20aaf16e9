/*
 * engine/backward.c: forward.c in the mirror: from gradients of the logits to those of attention
 * probabilities, tokens and pixels. Gradients of activations only.
 *
 * Every operation of the forward pass has its line here, last one first. G = B*K gradients of B
 * pictures run as one batch; dx [G,T,D] is the gradient of the residual stream and is updated in
 * place. Where the last block computed the class token alone, one row a gradient is there: dx is 0
 * elsewhere until that block's attention spreads it.
 */
#include "engine/forward.h"

#include "engine/run.h"

/* clang-format off */
/* vx_answer_forward, from its last line to the first: dlogits [G,classes] -> dpooled [G,W]. */
static void answer_bwd(const vx_run *f, const vx_head_grad_io *h)
{
    const int D = f->width, W = vx_arch_pooled(f->arch), K = f->arch->classes;
    vx_far *dpooled = f->plan->dpooled;

    /* without a head: the features, or the mean of both vectors */
    f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){
        .dx = dpooled, .dy = f->plan->dlogits, .batch = h->bare_rows, .tokens = W / D,
        .width = D});
    /* logits = features W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dpooled, .lddx = W, .dy = f->plan->dlogits, .lddy = K, .w = &f->w->head,
        .m = h->head_rows, .tokens = 1, .targets = f->targets});
    /* features = layernorm(pooled) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = D, .dy = dpooled, .lddy = D, .x = f->act->pooled, .ldx = D,
        .weight = f->w->fc_norm_w, .eps = f->arch->eps, .rms = f->arch->rms, .m = h->fc_norm_rows,
        .n = D, .tokens = 1, .targets = f->targets});
}

/* vx_pool_forward, from its last line to the first: dpooled [G,D] -> dx [G,T,D]. */
static void pool_bwd(const vx_run *f, const vx_pool_grad_io *b)
{
    const vx_pool_weights *w = &f->w->pool;
    const vx_arch *a = f->arch;
    const vx_plan *plan = f->plan;
    const int D = f->width, F = a->pool_hidden, K = f->targets;
    vx_far *dpooled = plan->dpooled;
    vx_narrow *dhidden = plan->dwide, *dnorm = plan->dy, *dqkv = plan->dwide;

    /* pooled = mid + hidden W^T + b, hidden = act(pre) */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = dhidden, .lddx = F, .dy = dpooled, .lddy = D, .w = &w->fc2, .pre_n = plan->pool.pre,
        .ldp = F, .act = a->act, .m = b->mlp_rows, .tokens = 1, .targets = K});
    /* pre = norm W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = dnorm, .lddx = D, .dy_n = dhidden, .lddy = F, .w = &w->fc1, .m = b->mlp_rows,
        .tokens = 1, .targets = K});
    /* norm = layernorm(mid); d mid = d pooled + ... */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = D, .dy_n = dnorm, .lddy = D, .x = plan->pool.mid, .ldx = D,
        .weight = w->norm_w, .eps = a->eps, .rms = a->rms, .accumulate = 1, .m = b->mlp_rows,
        .n = D, .tokens = 1, .targets = K});
    /* mid = attended W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = b->dattended, .lddx = D, .dy = dpooled, .lddy = D, .w = &w->proj, .m = b->m,
        .tokens = 1, .targets = K});
    /* attended = softmax(q k^T / sqrt E) v, over the tokens from pool_first on */
    f->ops->attention_bwd(f->dev, &(vx_attention_bwd){
        .dqkv_n = dqkv, .dp = b->dp, .dy_n = b->dattended, .qkv_n = plan->pool.qkv,
        .scale = f->pool_scale, .batch = b->batch, .targets = K, .tokens = f->tokens,
        .heads = a->pool_heads, .head_width = b->head_width, .queries = 1,
        .first = a->pool_first, .relu_mean = b->relu_mean, .dp_rows = b->dp_rows});
    /* k, v = tokens W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = plan->dx, .lddx = D, .dy_n = vx_run_at(f, dqkv, (size_t)D), .lddy = 3 * D,
        .w = &w->kv, .m = b->rows,
        .tokens = f->tokens, .targets = K});
}

/* d of the pooling head's attention: the one row that is not 0 into its place. */
static void record_dpool(const vx_run *f, const vx_head_grad_io *h)
{
    const int T = f->tokens, R = T - f->arch->pool_first;
    f->ops->clear(f->dev, &(vx_clear){.y = f->plan->pool_dp, .count = h->record_rows * T});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = h->record, .ldy = T, .x = f->plan->dp, .ldx = (int64_t)h->pool.dp_rows * R,
        .m = h->record_rows, .n = R, .scale = 1});
}

/* classify, from its last line to the first: dlogits -> dx. */
static void classify_bwd(const vx_run *f)
{
    const vx_head_grad_io h = vx_head_grad_io_of(f);
    const int D = f->width, T = f->tokens, W = vx_arch_pooled(f->arch);
    vx_far *dx = f->plan->dx;

    answer_bwd(f, &h);
    /* tokens that the head does not read */
    f->ops->clear(f->dev, &(vx_clear){.y = dx, .count = h.cleared});
    /* pooled = what the head's own attention makes of the tokens */
    pool_bwd(f, &h.pool);
    record_dpool(f, &h);
    /* ... the mean over the patches */
    f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){
        .dx = dx, .dy = h.dmean, .lddy = W, .first = vx_arch_mean_first(f->arch), .batch = h.means,
        .tokens = T, .width = D});
    /* ... token 0, token 1, or the last one, and if only these were normalised, their norm */
    vx_far *const read = dx + h.token;
    for (int t = 0; t < 2; t++) {
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = read + t * D, .ldy = T * D, .x = f->plan->dpooled + t * D, .ldx = W,
            .m = h.put[t], .n = D, .scale = 1});
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = read + t * D, .lddx = T * D, .dy = read + t * D, .lddy = T * D,
            .x = f->plan->last_x + h.token + t * D, .ldx = T * D, .weight = f->w->norm_w,
            .eps = f->arch->eps, .rms = f->arch->rms, .m = h.token_rows[t], .n = D, .tokens = 1,
            .targets = f->targets});
    }
    /* all tokens: y = layernorm(x) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dx, .lddx = D, .dy = dx, .lddy = D, .x = f->plan->last_x, .ldx = D,
        .weight = f->w->norm_w, .eps = f->arch->eps, .rms = f->arch->rms, .m = h.all_rows, .n = D,
        .tokens = T, .targets = f->targets});
}

/* mlp_forward, from its last line to the first: dx is d out, then d mid. */
static void mlp_bwd(const vx_run *f, const vx_block_grad_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, F = vx_arch_fc1(a), K = f->targets;

    /* out = mid + layernorm(branch2) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->branch.at, .lddx = D, .dy = b->dx, .lddy = b->lddx, .x = b->kept.branch2,
        .ldx = D, .weight = w->norm2_w, .eps = a->eps, .rms = a->rms, .m = b->post_rows, .n = D,
        .tokens = b->tokens, .targets = K});
    /* out = mid + ls2 * (hidden W^T + b), hidden = act(pre), or layernorm(act(pre)) */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = b->dhidden, .lddx = F, .dy = b->branch.at, .lddy = b->branch.ld, .w = &w->fc2,
        .gamma = w->ls2, .pre_n = b->kept.pre, .ldp = F, .act = b->act, .m = b->rows,
        .tokens = b->tokens, .targets = K});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx_n = b->dhidden, .lddx = F, .dy_n = b->dhidden, .lddy = F, .x_n = b->kept.hidden,
        .ldx = a->hidden, .weight = w->mlp_norm_w, .eps = a->eps, .rms = a->rms, .act = a->act,
        .pre_n = b->kept.pre, .ldp = F, .m = b->mlp_norm_rows, .n = a->hidden,
        .tokens = b->tokens, .targets = K});
    /* pre = norm2 W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = b->dnorm2, .lddx = D, .dy_n = b->dhidden, .lddy = F, .w = &w->fc1, .m = b->rows,
        .tokens = b->tokens, .targets = K});
    /* norm2 = layernorm(mid); d mid = d out + ... */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = b->lddx, .dy_n = b->dnorm2, .lddy = D, .x = b->kept.mid, .ldx = D,
        .weight = w->norm2_w, .eps = a->eps, .rms = a->rms, .accumulate = 1, .m = b->norm2_rows,
        .n = D, .tokens = b->tokens, .targets = K});
    /* or the mlp read mid as it is, or norm2 that is the residual, too */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = b->dx, .ldy = b->lddx, .x_n = b->dnorm2, .ldx = D, .m = b->mid_rows, .n = D,
        .scale = 1, .accumulate = 1});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = b->lddx, .dy = b->dx, .lddy = b->lddx, .x = b->kept.mid, .ldx = D,
        .weight = w->norm2_w, .eps = a->eps, .rms = a->rms, .m = b->stay2_rows, .n = D,
        .tokens = b->tokens, .targets = K});
}

/* attention_forward, from its last line to the first: dx is d mid, then d x. */
static void attention_bwd(const vx_run *f, const vx_block_grad_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, A = f->attention_width, O = f->attended_width, K = f->targets;

    /* mid = x + layernorm(branch1) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->branch.at, .lddx = D, .dy = b->dx, .lddy = b->lddx, .x = b->kept.branch1,
        .ldx = D, .weight = w->norm1_w, .eps = a->eps, .rms = a->rms, .m = b->post_rows, .n = D,
        .tokens = b->tokens, .targets = K});
    /* mid = x + ls1 * (attended W^T + b) */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx_n = b->dattended, .lddx = A, .dy = b->branch.at, .lddy = b->branch.ld, .w = &w->proj,
        .gamma = w->ls1, .m = b->rows, .tokens = b->tokens, .targets = K});
    /* attended = layernorm(attended) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx_n = b->dattended, .lddx = A, .dy_n = b->dattended, .lddy = A, .x_n = b->kept.attended,
        .ldx = O, .weight = w->attn_norm_w, .eps = vx_arch_attn_eps(a), .rms = vx_arch_attn_rms(a),
        .m = b->attn_norm_rows, .n = a->attn_norm, .groups = vx_arch_attn_groups(a),
        .tokens = b->tokens, .targets = K});
    /* attended = its first half + its second half */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = vx_run_at(f, b->dattended, (size_t)O), .ldy = A, .x_n = b->dattended, .ldx = A,
        .m = b->differences, .n = O, .scale = 1});
    /* attended = softmax(q k^T / sqrt E + relative) v */
    f->ops->attention_bwd(f->dev, &(vx_attention_bwd){
        .dqkv_n = b->dqkv, .dp = b->dp, .dy_n = b->dattended, .qkv_n = b->kept.qkv,
        .p = b->kept.p, .relative = b->relative, .causal = a->causal, .scale = f->scale,
        .batch = f->batch, .targets = K, .tokens = f->tokens, .heads = a->heads,
        .head_width = a->head_width, .queries = b->tokens, .product = b->fused, .kind = b->kind,
        .relu_mean = b->relu_mean});
    f->ops->attn_product(f->dev, &b->product);
    /* q, k = rotate(q, k) */
    f->ops->rotate(f->dev, &(vx_rotate){
        .qkv_n = b->dqkv, .table = b->angles, .tables = f->tables, .rows = b->rotated,
        .tokens = f->tokens, .first = a->prefix, .heads = a->heads, .head_width = a->head_width,
        .half = a->rotary.half, .inverse = 1});
    /* q = layernorm(q), k = layernorm(k) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx_n = b->dqkv, .lddx = 3 * A, .dy_n = b->dqkv, .lddy = 3 * A, .x_n = b->kept.qk,
        .ldx = 2 * A, .weight = w->q_norm_w, .eps = a->eps, .rms = a->rms, .m = b->qk_rows,
        .n = a->qk_norm, .groups = f->qk_groups, .tokens = f->tokens, .targets = K});
    vx_narrow *const dk = vx_run_at(f, b->dqkv, (size_t)A);
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx_n = dk, .lddx = 3 * A, .dy_n = dk, .lddy = 3 * A,
        .x_n = vx_run_at(f, b->kept.qk, (size_t)A), .ldx = 2 * A, .weight = w->k_norm_w,
        .eps = a->eps, .rms = a->rms, .m = b->qk_rows, .n = a->qk_norm, .groups = f->qk_groups,
        .tokens = f->tokens, .targets = K});
    /* qkv = norm1 W^T + b */
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = b->dnorm1, .dx_n = b->dnorm1_n, .lddx = D, .dy_n = b->dqkv, .lddy = 3 * A,
        .w = &w->qkv, .m = b->dqkv_rows,
        .tokens = f->tokens, .targets = K});
    /* the mlp may have read norm1, too */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = b->dnorm1, .ldy = D, .x_n = b->dnorm2, .ldx = D, .m = b->parallel_rows, .n = D,
        .scale = 1, .accumulate = 1});
    /* norm1 = layernorm(x), or x itself; d x = d mid + ... */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = D, .dy = b->dnorm1, .dy_n = b->dnorm1_n, .lddy = D, .x = b->kept.x,
        .ldx = D, .weight = w->norm1_w, .eps = a->eps, .rms = a->rms, .accumulate = 1,
        .m = b->norm1_rows, .n = D, .tokens = f->tokens, .targets = K});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = b->dx, .ldy = D, .x = b->dnorm1, .x_n = b->dnorm1_n, .ldx = D, .m = b->plain_rows,
        .n = D, .scale = 1, .accumulate = 1});
    /* or norm1 is the residual, too: d norm1 is all of that, and d x what its norm makes of it */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = b->stay1_to, .ldy = D, .x = b->dx, .ldx = D, .m = b->stay1_to ? b->plain_rows : 0,
        .n = D, .scale = 1});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = b->dx, .lddx = D, .dy = b->dx, .lddy = D, .x = b->kept.x, .ldx = D,
        .weight = w->norm1_w, .eps = a->eps, .rms = a->rms, .m = b->stay1_rows, .n = D,
        .tokens = f->tokens, .targets = K});
}

static void embed_patches_bwd(const vx_run *f)
{
    const vx_arch *a = f->arch;
    f->ops->patch_embed_bwd(f->dev, &(vx_patch_embed_bwd){
        .dimage = f->plan->dinput, .dy = f->plan->dx, .w = &f->w->patch, .batch = f->gradients,
        .channels = a->channels, .height = f->c->recipe.input_height,
        .width = f->c->recipe.input_width, .patch_height = a->patch_height,
        .patch_width = a->patch_width, .prefix_count = a->prefix});
}

/* norm_pre; patch embedding, or the rows of a text: dx -> dinput. */
static void embed_bwd(const vx_run *f)
{
    const vx_embed_io e = vx_embed_io_of(f);
    const vx_arch *a = f->arch;
    vx_far *dx = f->plan->dx;

    /* x = layernorm(embedded) */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dx, .lddx = f->width, .dy = dx, .lddy = f->width, .x = e.embedded, .ldx = f->width,
        .weight = f->w->norm_pre_w, .eps = a->eps, .rms = a->rms, .m = e.norm_rows * f->targets,
        .n = f->width, .tokens = f->tokens, .targets = f->targets});
    /* embedded = the input, or patches W^T + b + positions */
    if (e.text)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = f->plan->dinput, .x = dx, .m = 1,
            .n = (int64_t)f->gradients * f->tokens * f->width, .scale = 1});
    else
        embed_patches_bwd(f);
}

/* d of a block's output, before the block's own backward changes it. */
static void record_doutput(const vx_run *f, int l)
{
    vx_far *to = f->plan->blocks[l].dtokens[VX_AT_OUTPUT];
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = to, .x = f->plan->dx, .m = to != NULL,
        .n = (int64_t)f->gradients * f->tokens * f->width, .scale = 1});
}
/* clang-format on */

/* The first block that the pass goes down to. */
static int lowest_of(const vx_run *f)
{
    const vx_end *to = &f->pass->to;
    if (to->at == VX_END_ATTENTION)
        return to->layer;
    if (to->at == VX_END_OUTPUT)
        return to->layer + 1;
    return f->plan->lowest;
}

/* Blocks from `top` down. */
static int blocks_bwd(const vx_run *f, int top)
{
    const int lowest = lowest_of(f);
    for (int l = top; l >= lowest; l--) {
        record_doutput(f, l);
        if (!f->plan->blocks[l].kept.qkv) {
            const vx_block_io recomputed = vx_block_io_recomputed(f, l);
            vx_block_forward(f, &recomputed);
        }
        const vx_block_grad_io b = vx_block_grad_io_of(f, l, lowest);
        mlp_bwd(f, &b);
        attention_bwd(f, &b);
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
    vx_context_list_begin(c);
    return vx_context_list_end(c, vx_context_queued(c, run_backward(c, pass)));
}

int vx_pass_backward_ticks(const vx_plan *plan)
{
    return plan->targets > 0 ? plan->depth - vx_plan_lowest(plan) : 0;
}

/* ------------------------------------------------------ the head's answer to another block -- */

/* clang-format off */
/* The mean of a block's tokens, as one token behind the norm; or the tokens pooled by attention. */
static void own_forward(const vx_run *f, const vx_own_io *o)
{
    const int D = f->width, W = vx_arch_pooled(f->arch);
    vx_far *pooled = f->act->pooled;

    /* mean = mean(tokens) */
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = o->mean, .x = o->tokens, .batch = o->means, .tokens = f->tokens, .width = D});
    /* pooled = layernorm(mean), or the mean as it is */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = pooled, .ldy = W, .x = o->mean, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = o->norm_rows, .n = D});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = pooled, .ldy = W, .x = o->mean, .ldx = D, .m = o->plain_rows, .n = D, .scale = 1});
    /* pooled = [pooled, pooled] */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = pooled + D, .ldy = W, .x = pooled, .ldx = W, .m = o->second_rows, .n = D,
        .scale = 1});
    /* all tokens: normed = layernorm(tokens), and pooled by attention */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = f->act->normed, .ldy = D, .x = o->tokens, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = o->all_rows, .n = D});
    vx_pool_forward(f, &o->pool);
}

static void own_mean_bwd(const vx_run *f, const vx_own_io *o)
{
    const int D = f->width, W = vx_arch_pooled(f->arch);
    vx_far *dpooled = f->plan->dpooled;

    /* pooled = [pooled, pooled] */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = dpooled, .ldy = W, .x = dpooled + D, .ldx = W, .m = o->second_rows, .n = D,
        .scale = 1, .accumulate = 1});
    /* pooled = layernorm(mean), or the mean as it is */
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = W, .dy = dpooled, .lddy = W, .x = o->mean, .ldx = D,
        .weight = f->w->norm_w, .eps = f->arch->eps, .rms = f->arch->rms, .m = o->norm_rows,
        .n = D, .tokens = 1, .targets = f->targets});
    /* mean = mean(tokens) */
    f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){
        .dx = f->plan->dx, .dy = dpooled, .lddy = W, .batch = f->gradients, .tokens = f->tokens,
        .width = D});
}
/* clang-format on */

void vx_pass_answer(vitx_context *c, const vx_pass *pass, int layer)
{
    const vx_run f = vx_run_of(c, pass);
    const vx_own_io o = vx_own_io_of(&f, layer);
    vx_context_list_begin(c);
    own_forward(&f, &o);
    vx_answer_forward(&f);
    vx_context_list_end(c, VITX_OK);
}

static int run_answer_bwd(vitx_context *c, const vx_pass *pass, int layer)
{
    const vx_run f = vx_run_of(c, pass);
    const vx_own_io o = vx_own_io_of(&f, layer);
    const vx_head_grad_io h = vx_head_grad_io_of(&f);
    answer_bwd(&f, &h);
    if (f.arch->pool == VX_POOL_MAP) { /* the attention that is asked for is the head's own */
        const vx_pool_grad_io b = vx_own_pool_grad_io(&f);
        pool_bwd(&f, &b);
        return vx_context_tick(c);
    }
    own_mean_bwd(&f, &o);
    return blocks_bwd(&f, layer);
}

int vx_pass_answer_backward(vitx_context *c, const vx_pass *pass, int layer)
{
    vx_pass own = *pass;
    own.from = (vx_end){VX_END_OUTPUT, layer};
    own.to = (vx_end){VX_END_ATTENTION, layer};
    own.targets = 1;
    vx_context_list_begin(c);
    return vx_context_list_end(c, vx_context_queued(c, run_answer_bwd(c, &own, layer)));
}
