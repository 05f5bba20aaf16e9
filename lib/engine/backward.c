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

typedef struct mirror {
    const vx_run *f;
    vx_plan *plan;
    int targets, gradients; /* K, G */
} mirror;

/* Rows of a gradient and of the activations beside it: all tokens, or one a picture. */
typedef struct span {
    int rows, tokens; /* rows of the gradient; of them a picture's */
    int step;         /* from one to the next, in rows of [G,T,.] */
} span;

static span span_of(const mirror *m, bool class_only)
{
    const int t = m->f->tokens;
    return class_only ? (span){m->gradients, 1, t} : (span){m->gradients * t, t, 1};
}

/* clang-format off */
/* One head, or none: dlogits [G,classes] -> rows of `to`. */
static void head_bwd(const mirror *m, const vx_weight *head, vx_rows to)
{
    const vx_run *f = m->f;
    const vx_rows dlogits = {m->plan->dlogits, f->arch->classes};
    if (f->arch->bare && vx_arch_two_heads(f->arch))
        vx_half_rows(f, to, dlogits, m->gradients, false);
    else if (f->arch->bare)
        vx_copy_rows(f, to, dlogits, m->gradients, f->width);
    else
        f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
            .dx = to.at, .lddx = to.ld, .dy = dlogits.at, .lddy = dlogits.ld, .w = head,
            .m = m->gradients, .tokens = 1, .targets = m->targets});
}

/* [head], [fc_norm]: dlogits [G,classes] -> rows of `to`. */
static void features_head_bwd(const mirror *m, vx_rows to)
{
    const vx_run *f = m->f;
    head_bwd(m, &f->w->head, f->w->fc_norm_w ? (vx_rows){m->plan->dpooled, f->width} : to);
}

/* pooled -> features where there is fc_norm: the gradient lies in dpooled, its input at x. */
static void fc_norm_bwd(const mirror *m, vx_rows to, const float *x, int ldx)
{
    const vx_run *f = m->f;
    if (f->w->fc_norm_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = to.at, .lddx = to.ld, .dy = m->plan->dpooled, .lddy = f->width,
            .x = x, .ldx = ldx, .weight = f->w->fc_norm_w, .eps = f->arch->eps,
            .m = m->gradients, .n = f->width, .tokens = 1, .targets = m->targets});
}

/* [norm] in place of rows of dx, `first` the first of them in [T,D]: all, or one a picture. */
static void final_norm_bwd(const mirror *m, int first, span s)
{
    const vx_run *f = m->f;
    const int D = f->width, step = s.step * D;
    float *dx = m->plan->dx + (ptrdiff_t)first * D;
    if (f->w->norm_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = dx, .lddx = step, .dy = dx, .lddy = step,
            .x = m->plan->last_x + (ptrdiff_t)first * D, .ldx = step, .weight = f->w->norm_w,
            .eps = f->arch->eps, .m = s.rows, .n = D, .tokens = s.tokens, .targets = m->targets});
}

/* The attention of a pooling head: dattended [G,D] -> dqkv [G,T,3D], and dp as pool_map_bwd has it. */
static void pool_attend_bwd(const mirror *m, float *dqkv, const float *dattended, float *dp)
{
    const vx_run *f = m->f;
    const int H = f->arch->heads, T = f->tokens, skip = f->arch->pool_first, R = T - skip;
    const size_t D = (size_t)f->width;
    vx_attention_bwd a = {
        .dqkv = dqkv, .dp = dp, .dy = dattended, .qkv = m->plan->pool.qkv, .scale = f->scale,
        .batch = f->batch, .targets = m->targets, .tokens = T, .heads = H,
        .head_width = f->arch->head_width, .queries = 1};
    if (skip == 0) {
        f->ops->attention_bwd(f->dev, &a);
        return;
    }
    a.batch = a.targets = 1;
    a.tokens = R;
    for (int g = 0; g < m->gradients; g++) {
        const size_t row = (size_t)g * (size_t)T, from = (size_t)(g / m->targets) * (size_t)T;
        f->ops->clear(f->dev, &(vx_clear){.y = dqkv + row * 3 * D, .count = skip * 3 * (int64_t)D});
        a.dqkv = dqkv + (row + (size_t)skip) * 3 * D;
        a.qkv = m->plan->pool.qkv + (from + (size_t)skip) * 3 * D;
        a.dy = dattended + (size_t)g * D;
        a.dp = dp ? dp + (size_t)g * (size_t)H * (size_t)R * (size_t)R : NULL;
        f->ops->attention_bwd(f->dev, &a);
    }
}

/* pool: dpooled -> to [G,T,D]; the gradient of its attention into dp [G,H,R,R], R the tokens that it
 * attends to, in the rows of the first, where that is not NULL. */
static void pool_map_bwd(const mirror *m, float *to, float *dp)
{
    const vx_run *f = m->f;
    const vx_pool_weights *w = &f->w->pool;
    vx_plan *plan = m->plan;
    const int D = f->width, F = f->arch->hidden, G = m->gradients, T = f->tokens;
    float *dpooled = plan->dpooled, *dqkv = plan->dwide;
    float *dattended = plan->dwide + (size_t)G * (size_t)T * 3 * (size_t)D;

    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = plan->dwide, .lddx = F, .dy = dpooled, .lddy = D, .w = &w->fc2,
        .pre = plan->pool.pre, .ldp = F, .act = f->arch->act, .m = G, .tokens = 1,
        .targets = m->targets});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = plan->dy, .lddx = D, .dy = plan->dwide, .lddy = F, .w = &w->fc1, .m = G,
        .tokens = 1, .targets = m->targets});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dpooled, .lddx = D, .dy = plan->dy, .lddy = D, .x = plan->pool.mid, .ldx = D,
        .weight = w->norm_w, .eps = f->arch->eps, .accumulate = 1, .m = G, .n = D, .tokens = 1,
        .targets = m->targets});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dattended, .lddx = D, .dy = dpooled, .lddy = D, .w = &w->proj, .m = G, .tokens = 1,
        .targets = m->targets});
    pool_attend_bwd(m, dqkv, dattended, dp);
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = to, .lddx = D, .dy = dqkv + D, .lddy = 3 * D, .w = &w->kv, .m = G * T,
        .tokens = T, .targets = m->targets});
}

/* d of the pooling head's attention: the one row that is not 0 into its place. */
static void record_dpool(const mirror *m)
{
    const vx_run *f = m->f;
    const size_t H = (size_t)f->arch->heads, T = (size_t)f->tokens,
                 R = T - (size_t)f->arch->pool_first;
    for (size_t g = 0; m->plan->pool_dp && g < (size_t)m->gradients; g++)
        vx_pool_spread(f, m->plan->pool_dp + g * H * T, m->plan->dp + g * H * R * R,
                       (ptrdiff_t)(R * R));
}

/* head; [fc_norm]; pool; [norm]: dlogits -> dx. */
static void classify_bwd(const mirror *m)
{
    const vx_run *f = m->f;
    const vx_pool_kind pool = f->arch->pool;
    const int D = f->width, T = f->tokens;
    float *dx = m->plan->dx, *dpooled = m->plan->dpooled;
    const vx_rows token = {dx, T * D};

    if (vx_arch_reads_patches(f->arch)) {
        if (pool == VX_POOL_TOKEN_AVG) {
            head_bwd(m, &f->w->head2, (vx_rows){dpooled, D});
        } else {
            features_head_bwd(m, (vx_rows){dpooled, D});
            fc_norm_bwd(m, (vx_rows){dpooled, D}, f->act->pooled, D);
        }
        if (pool == VX_POOL_MAP) {
            pool_map_bwd(m, dx, m->plan->pool_dp ? m->plan->dp : NULL);
            record_dpool(m);
        } else {
            f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){.dx = dx, .dy = dpooled, .first = f->arch->prefix, .batch = m->gradients, .tokens = T, .width = D});
        }
        if (pool == VX_POOL_TOKEN_AVG)
            head_bwd(m, &f->w->head, token);
        final_norm_bwd(m, 0, span_of(m, false));
        return;
    }
    f->ops->clear(f->dev, &(vx_clear){.y = dx, .count = (int64_t)m->gradients * T * D});
    features_head_bwd(m, token);
    fc_norm_bwd(m, token, f->w->norm_w ? f->act->pooled : m->plan->last_x,
                f->w->norm_w ? D : T * D);
    final_norm_bwd(m, 0, span_of(m, true));
    if (pool == VX_POOL_TWO_TOKENS) {
        head_bwd(m, &f->w->head2, (vx_rows){dx + D, T * D});
        final_norm_bwd(m, 1, span_of(m, true));
    }
}

/* fc2, activation, fc1, norm2, residual: dx += ... */
static void hidden_bwd(const mirror *m, int l, const vx_kept *kept, span s)
{
    const vx_run *f = m->f;
    const vx_block_weights *w = &f->w->blocks[l];
    const int D = f->width, F = vx_arch_fc1(f->arch), step = s.step * D;
    float *dx = m->plan->dx, *dhidden = m->plan->dwide, *dy = m->plan->dy;

    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dhidden, .lddx = F, .dy = dx, .lddy = step, .w = &w->fc2, .gamma = w->ls2,
        .pre = kept->pre, .ldp = F, .act = f->arch->act, .m = s.rows, .tokens = s.tokens,
        .targets = m->targets});
    if (f->arch->swiglu)
        f->ops->swiglu_bwd(f->dev, &(vx_swiglu_bwd){
            .dx = dhidden, .lddx = F, .dy = dhidden, .lddy = F, .x = kept->pre, .ldx = F,
            .m = s.rows, .n = f->arch->hidden, .tokens = s.tokens, .targets = m->targets});
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dy, .lddx = D, .dy = dhidden, .lddy = F, .w = &w->fc1, .m = s.rows,
        .tokens = s.tokens, .targets = m->targets});
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = dx, .lddx = step, .dy = dy, .lddy = D, .x = kept->mid, .ldx = D,
        .weight = w->norm2_w, .eps = f->arch->eps, .accumulate = 1, .m = s.rows, .n = D,
        .tokens = s.tokens, .targets = m->targets});
}

/* proj, attention: dx -> dp [G,H,T,T] and dqkv [G,T,3A], either of them where it is not NULL. */
static void attend_bwd(const mirror *m, int l, const vx_kept *kept, span s, float *dp, float *dqkv)
{
    const vx_run *f = m->f;
    const vx_block_weights *w = &f->w->blocks[l];
    const int D = f->width, A = f->attention_width;
    float *dattended = m->plan->dwide + (size_t)m->gradients * (size_t)f->tokens * 3 * (size_t)A;

    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dattended, .lddx = A, .dy = m->plan->dx, .lddy = s.step * D, .w = &w->proj,
        .gamma = w->ls1, .m = s.rows, .tokens = s.tokens, .targets = m->targets});
    f->ops->attention_bwd(f->dev, &(vx_attention_bwd){
        .dqkv = dqkv, .dp = dp, .dy = dattended, .qkv = kept->qkv, .p = kept->p, .scale = f->scale,
        .batch = f->batch, .targets = m->targets, .tokens = f->tokens, .heads = f->arch->heads,
        .head_width = f->arch->head_width, .queries = s.tokens});
}

/* qkv: dqkv -> dy, the gradient of what norm1 gives. */
static void qkv_bwd(const mirror *m, int l, float *dy)
{
    const vx_run *f = m->f;
    f->ops->linear_bwd(f->dev, &(vx_linear_bwd){
        .dx = dy, .lddx = f->width, .dy = m->plan->dwide, .lddy = 3 * f->attention_width,
        .w = &f->w->blocks[l].qkv, .m = m->gradients * f->tokens, .tokens = f->tokens,
        .targets = m->targets});
}

/* norm1, residual: dx += ... */
static void norm1_bwd(const mirror *m, int l, const vx_kept *kept, const float *dy)
{
    const vx_run *f = m->f;
    f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
        .dx = m->plan->dx, .lddx = f->width, .dy = dy, .lddy = f->width, .x = kept->x,
        .ldx = f->width, .weight = f->w->blocks[l].norm1_w, .eps = f->arch->eps, .accumulate = 1,
        .m = m->gradients * f->tokens, .n = f->width, .tokens = f->tokens,
        .targets = m->targets});
}

/* norm_pre; patch embedding: dx -> dinput. */
static void embed_bwd(const mirror *m)
{
    const vx_run *f = m->f;
    const vx_arch *a = f->arch;
    float *dx = m->plan->dx;

    if (f->w->norm_pre_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){
            .dx = dx, .lddx = f->width, .dy = dx, .lddy = f->width, .x = m->plan->embedded,
            .ldx = f->width, .weight = f->w->norm_pre_w, .eps = a->eps,
            .m = m->gradients * f->tokens, .n = f->width, .tokens = f->tokens,
            .targets = m->targets});
    f->ops->patch_embed_bwd(f->dev, &(vx_patch_embed_bwd){
        .dimage = m->plan->dinput, .dy = dx, .w = &f->w->patch, .batch = m->gradients,
        .channels = a->channels, .height = f->c->recipe.input_height,
        .width = f->c->recipe.input_width, .patch_height = a->patch_height,
        .patch_width = a->patch_width, .prefix_count = a->prefix});
}
/* clang-format on */

/* What the forward pass left of a block, or the block's forward pass once more. */
static vx_kept kept_of(const mirror *m, int l, bool class_only)
{
    const vx_run *f = m->f;
    vx_kept kept = m->plan->blocks[l].kept;
    if (kept.qkv)
        return kept;
    const int D = f->width, A = f->attention_width, T = f->tokens;
    const vx_kept *again = &m->plan->again;
    float *attended = f->act->wide + (size_t)f->rows * 3 * (size_t)A;
    vx_recorded record = {0};
    if (!kept.p)
        record = (vx_recorded){.data = again->p,
                               .keep = VX_KEEP_ALL,
                               .batch = f->batch,
                               .heads = f->arch->heads,
                               .tokens = T};
    vx_block_attend(f, l, kept.x, again->qkv, attended, &record, 0);
    vx_block_hidden(f, l, (vx_rows){again->mid, D}, (vx_rows){kept.x, class_only ? T * D : D},
                    (vx_rows){attended, class_only ? T * A : A}, again->pre, false,
                    class_only ? f->batch : f->rows);
    return (vx_kept){kept.x, again->qkv, again->mid, again->pre, kept.p ? kept.p : again->p};
}

/* d attention of a block into its place: whole, or as a product with the attention. */
static void record_dattention(const mirror *m, int l, const vx_kept *kept)
{
    const vx_run *f = m->f;
    const vx_block_plan *b = &m->plan->blocks[l];
    if (b->dkeep == VX_DKEEP_PRODUCT)
        f->ops->attn_product(f->dev, &(vx_attn_product){.out = b->dattention,
                                                        .p = kept->p,
                                                        .dp = m->plan->dp,
                                                        .kind = b->product,
                                                        .head = -1,
                                                        .batch = f->batch,
                                                        .targets = m->targets,
                                                        .heads = f->arch->heads,
                                                        .tokens = f->tokens});
}

/* Block l, as far as its needs and those of the blocks below go; dx is then d of its input. */
static void block_bwd(const mirror *m, int l)
{
    const vx_run *f = m->f;
    vx_plan *plan = m->plan;
    const vx_block_plan *b = &plan->blocks[l];
    const bool dnorm1 = b->dtokens[VX_AT_NORM1] != NULL;
    const bool further =
        l > plan->lowest || plan->pixels || (l > 0 && plan->blocks[l - 1].dtokens[VX_AT_OUTPUT]);
    const bool class_only = vx_plan_class_only(plan, f->arch, l);
    const vx_kept kept = kept_of(m, l, class_only);
    const span s = span_of(m, class_only);
    float *dp = b->dkeep == VX_DKEEP_ALL ? b->dattention : NULL;
    float *dy = dnorm1 ? b->dtokens[VX_AT_NORM1] : plan->dy;
    if (b->dkeep == VX_DKEEP_PRODUCT)
        dp = plan->dp;

    hidden_bwd(m, l, &kept, s);
    attend_bwd(m, l, &kept, s, dp, further || dnorm1 ? plan->dwide : NULL);
    record_dattention(m, l, &kept);
    if (further || dnorm1)
        qkv_bwd(m, l, dy);
    if (further)
        norm1_bwd(m, l, &kept, dy);
}

/* d of a block's output, before the block's own backward changes it. */
static void record_doutput(const mirror *m, int l)
{
    float *to = m->plan->blocks[l].dtokens[VX_AT_OUTPUT];
    const vx_run *f = m->f;
    if (to)
        f->ops->copy(f->dev,
                     &(vx_copy){.y = to,
                                .x = m->plan->dx,
                                .count = (int64_t)m->gradients * f->tokens * (int64_t)f->width});
}

static int run_backward(vitx_context *c, const vx_pass *pass)
{
    const vx_run f = vx_run_of(c, pass);
    const mirror m = {&f, f.plan, f.plan->targets, f.batch * f.plan->targets};
    classify_bwd(&m);
    for (int l = f.arch->depth - 1; l >= 0 && l >= m.plan->lowest - 1; l--) {
        record_doutput(&m, l);
        if (l < m.plan->lowest)
            break;
        block_bwd(&m, l);
        VX_TRY(vx_context_tick(c));
    }
    if (m.plan->pixels)
        embed_bwd(&m);
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

/* The head's answer to pooled [B,D], which both heads read where there are two, the seed that is made of
 * it, and the head's backward: dpooled. */
static int answer_bwd(const mirror *m, float *pooled, vx_seed_fn *seed, void *payload)
{
    const vx_run *f = m->f;
    const int D = f->width;
    const float one = 1;
    vx_features_head(f, (vx_rows){pooled, D}, (vx_rows){pooled, D});
    VX_TRY(vx_context_sync(f->c));
    VX_TRY(seed(payload, m->plan, f->act->logits, f->act->probabilities));
    features_head_bwd(m, (vx_rows){m->plan->dpooled, D});
    fc_norm_bwd(m, (vx_rows){m->plan->dpooled, D}, pooled, D);
    if (vx_arch_two_heads(f->arch)) {
        head_bwd(m, &f->w->head2, (vx_rows){m->plan->dy, D});
        f->ops->add_weighted(f->dev, &(vx_add_weighted){.sum = m->plan->dpooled,
                                                        .x = m->plan->dy,
                                                        .weights = &one,
                                                        .squared = 0,
                                                        .samples = 1,
                                                        .n = (int64_t)m->gradients * D});
    }
    return VITX_OK;
}

/* A block's tokens x pooled by attention. */
static int backward_block_map(const mirror *m, const float *x, vx_seed_fn *seed, void *payload)
{
    const vx_run *f = m->f;
    const int D = f->width;
    float *y = f->act->y, *pooled = f->act->pooled;
    if (f->w->norm_w)
        f->ops->layernorm(f->dev, &(vx_layernorm){.y = y,
                                                  .ldy = D,
                                                  .x = x,
                                                  .ldx = D,
                                                  .weight = f->w->norm_w,
                                                  .bias = f->w->norm_b,
                                                  .eps = f->arch->eps,
                                                  .m = f->rows,
                                                  .n = D});
    vx_pool_map(f, pooled, f->w->norm_w ? y : x, NULL);
    VX_TRY(answer_bwd(m, pooled, seed, payload));
    pool_map_bwd(m, m->plan->dx, m->plan->dp);
    return VITX_OK;
}

/* The mean of a block's tokens x, as one token behind the norm. */
static int backward_block_mean(const mirror *m, int layer, const float *x, vx_seed_fn *seed,
                               void *payload)
{
    const vx_run *f = m->f;
    vx_plan *plan = m->plan;
    const int D = f->width, T = f->tokens;
    float *mean = f->act->y, *pooled = f->act->pooled; /* [B,D], before and behind the norm */

    const vx_kept kept = kept_of(m, layer, false);
    f->ops->mean_tokens(
        f->dev, &(vx_mean_tokens){
                    .y = mean, .x = x, .first = 0, .batch = f->batch, .tokens = T, .width = D});
    if (f->w->norm_w)
        f->ops->layernorm(f->dev, &(vx_layernorm){.y = pooled,
                                                  .ldy = D,
                                                  .x = mean,
                                                  .ldx = D,
                                                  .weight = f->w->norm_w,
                                                  .bias = f->w->norm_b,
                                                  .eps = f->arch->eps,
                                                  .m = f->batch,
                                                  .n = D});
    else
        pooled = mean;
    VX_TRY(answer_bwd(m, pooled, seed, payload));
    if (f->w->norm_w)
        f->ops->layernorm_bwd(f->dev, &(vx_layernorm_bwd){.dx = plan->dpooled,
                                                          .lddx = D,
                                                          .dy = plan->dpooled,
                                                          .lddy = D,
                                                          .x = mean,
                                                          .ldx = D,
                                                          .weight = f->w->norm_w,
                                                          .eps = f->arch->eps,
                                                          .m = m->gradients,
                                                          .n = D,
                                                          .tokens = 1,
                                                          .targets = m->targets});
    f->ops->mean_tokens_bwd(f->dev, &(vx_mean_tokens_bwd){.dx = plan->dx,
                                                          .dy = plan->dpooled,
                                                          .first = 0,
                                                          .batch = m->gradients,
                                                          .tokens = T,
                                                          .width = D});
    const span s = span_of(m, false);
    hidden_bwd(m, layer, &kept, s);
    attend_bwd(m, layer, &kept, s, plan->dp, NULL);
    return VITX_OK;
}

static int run_backward_block(vitx_context *c, const vx_pass *pass, int layer, vx_seed_fn *seed,
                              void *payload)
{
    const vx_run f = vx_run_of(c, pass);
    vx_plan *plan = f.plan;
    const mirror m = {&f, plan, 1, f.batch};
    const bool last = layer == f.arch->depth - 1;
    const float *x = last ? plan->last_x : plan->blocks[layer + 1].kept.x;
    if (f.arch->pool == VX_POOL_MAP)
        VX_TRY(backward_block_map(&m, x, seed, payload));
    else
        VX_TRY(backward_block_mean(&m, layer, x, seed, payload));
    return vx_context_tick(c);
}

int vx_pass_backward_block(vitx_context *c, const vx_pass *pass, int layer, vx_seed_fn *seed,
                           void *payload)
{
    return vx_context_settle(c, run_backward_block(c, pass, layer, seed, payload));
}
