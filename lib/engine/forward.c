/*
 * engine/forward.c: a Vision Transformer, one operation after the other (Dosovitskiy et al. 2021,
 * eq. 1-4; the drawing is in model/arch.h). backward.c is its mirror image.
 *
 * Names: M rows (B*T, or those of shorter sequences), D width, A = heads * head width, F hidden. The
 * residual stream stays in act->x unless the plan keeps it: then each block writes where the next
 * one's input is kept.
 */
#include "engine/forward.h"

#include "engine/run.h"

/* clang-format off */
/* Tokens: patches W + b + positions, the prefix before them; [norm_pre]. */
void vx_pass_embed(vitx_context *c, const vx_pass *pass)
{
    const vx_run run = vx_run_of(c, pass), *f = &run;
    const vx_embed_io e = vx_embed_io_of(f);
    const vx_arch *a = f->arch;

    f->ops->patch_embed(f->dev, &(vx_patch_embed){
        .y = e.embedded, .image = f->act->input, .w = &f->w->patch, .prefix = f->w->prefix,
        .pos = c->pos ? c->pos : f->w->pos, .batch = f->batch, .channels = a->channels,
        .height = c->recipe.input_height, .width = c->recipe.input_width,
        .patch_height = a->patch_height, .patch_width = a->patch_width, .prefix_count = a->prefix});
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = e.x, .ldy = f->width, .x = e.embedded, .ldx = f->width, .weight = f->w->norm_pre_w,
        .bias = f->w->norm_pre_b, .eps = a->eps, .m = e.norm_rows, .n = f->width});
}

/* mid = x + ls1 * proj(attention(qkv(norm1(x)))); out = mid + ls2 * fc2(act(fc1(norm2(mid)))) */
void vx_block_forward(const vx_run *f, const vx_block_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, A = f->attention_width, F = vx_arch_fc1(a);

    /* norm1 = layernorm(x) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->norm1, .ldy = D, .x = b->x, .ldx = D, .weight = w->norm1_w, .bias = w->norm1_b,
        .eps = a->eps, .m = b->norm1_rows, .n = D});
    /* qkv = norm1 W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->qkv, .ldy = 3 * A, .x = b->norm1, .ldx = D, .w = &w->qkv, .m = b->qkv_rows});
    /* attended = softmax(q k^T / sqrt E) v */
    f->ops->attention(f->dev, &(vx_attention){
        .y = b->attended, .qkv = b->qkv, .scale = f->scale, .batch = b->sequences,
        .tokens = f->tokens, .heads = a->heads, .head_width = a->head_width, .record = b->record,
        .starts = f->pass->starts, .queries = b->queries});
    /* the rows that go on, if the class tokens have to be collected */
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y = b->from.at, .a = b->attended, .from = f->pass->starts, .rows = b->picked, .width = A});
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y = b->in.at, .a = b->x, .from = f->pass->starts, .rows = b->picked, .width = D});
    /* mid = x + ls1 * (attended W^T + b) */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->mid.at, .ldy = b->mid.ld, .x = b->from.at, .ldx = b->from.ld, .w = &w->proj,
        .gamma = w->ls1, .residual = b->in.at, .ldr = b->in.ld, .m = b->m});
    /* norm2 = layernorm(mid) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->norm2, .ldy = D, .x = b->mid.at, .ldx = b->mid.ld, .weight = w->norm2_w,
        .bias = w->norm2_b, .eps = a->eps, .m = b->m, .n = D});
    /* pre = norm2 W^T + b, hidden = act(pre) */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->hidden, .ldy = F, .pre = b->pre, .ldp = F, .x = b->norm2, .ldx = D, .w = &w->fc1,
        .act = a->act, .m = b->m});
    /* out = mid + ls2 * (hidden W^T + b) */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->out.at, .ldy = b->out.ld, .x = b->hidden, .ldx = F, .w = &w->fc2, .gamma = w->ls2,
        .residual = b->mid.at, .ldr = b->mid.ld, .m = b->out_rows});
}

/* One token of each sequence. Those of shorter sequences lie at no fixed distance: they are collected. */
static vx_rows token_rows(const vx_run *f, float *x, int token, int width, float *space)
{
    x += (ptrdiff_t)token * width;
    if (!f->pass->starts)
        return (vx_rows){x, f->tokens * width};
    f->ops->gather_rows(f->dev, &(vx_gather_rows){.y = space, .a = x, .b = NULL, .from = f->pass->starts, .rows = f->batch, .width = width});
    return (vx_rows){space, width};
}

/* What the outputs are made into, as arch.outputs says. */
static void probabilities(const vx_run *f)
{
    const vx_activations *act = f->act;
    const int64_t count = (int64_t)f->batch * f->arch->classes;
    float *to = act->probabilities;
    if (f->arch->units)
        f->ops->clear(f->dev, &(vx_clear){.y = to, .count = count});
    else if (f->arch->outputs == VITX_OUTPUTS_NONE)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = to, .x = act->logits, .m = 1, .n = count, .scale = 1});
    else if (f->arch->outputs == VITX_OUTPUTS_SIGMOID)
        f->ops->sigmoid(f->dev, &(vx_sigmoid){
            .y = to, .x = act->logits, .count = count});
    else
        f->ops->softmax(f->dev, &(vx_softmax){.y = to, .x = act->logits, .m = f->batch, .n = f->arch->classes});
}

/* [fc_norm], head, probabilities: act->pooled [B,W] -> act->logits [B,K]. */
void vx_answer_forward(const vx_run *f)
{
    const vx_answer_io h = vx_answer_io_of(f);
    const vx_activations *act = f->act;
    const int D = f->width, W = vx_arch_pooled(f->arch), K = f->arch->classes;

    /* features = layernorm(pooled) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = act->features, .ldy = D, .x = act->pooled, .ldx = D, .weight = f->w->fc_norm_w,
        .bias = f->w->fc_norm_b, .eps = f->arch->eps, .m = h.fc_norm_rows, .n = D});
    /* logits = features W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y = act->logits, .ldy = K, .x = h.features, .ldx = W, .w = &f->w->head,
        .m = h.head_rows});
    /* without a head: the features, or the mean of both vectors */
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = act->logits, .x = h.features, .batch = h.bare_rows, .tokens = W / D, .width = D});
    probabilities(f);
}

/* pooled = a + fc2(act(fc1(norm(a)))) of a = proj(attended). */
static void pool_hidden(const vx_run *f, float *pooled, vx_rows attended)
{
    const vx_pool_weights *w = &f->w->pool;
    const vx_kept *kept = f->plan && f->plan->pool.qkv ? &f->plan->pool : NULL;
    const int D = f->width, F = f->arch->hidden, B = f->batch;
    float *mid = kept ? kept->mid : pooled, *hidden = f->act->wide;

    f->ops->linear(f->dev, &(vx_linear){
        .y = mid, .ldy = D, .x = attended.at, .ldx = attended.ld, .w = &w->proj, .m = B});
    f->ops->layernorm(f->dev, &(vx_layernorm){.y = f->act->y, .ldy = D, .x = mid, .ldx = D, .weight = w->norm_w, .bias = w->norm_b, .eps = f->arch->eps, .m = B, .n = D});
    f->ops->linear(f->dev, &(vx_linear){
        .y = hidden, .ldy = F, .pre = kept ? kept->pre : NULL, .ldp = F, .x = f->act->y, .ldx = D,
        .w = &w->fc1, .act = f->arch->act, .m = B});
    f->ops->linear(f->dev, &(vx_linear){
        .y = pooled, .ldy = D, .x = hidden, .ldx = F, .w = &w->fc2, .residual = mid, .ldr = D,
        .m = B});
}

/* The pooling head's attention of tokens y [M,D], from token pool_first of each sequence on. Its one
 * query stands in all rows of qkv; that of the first token is read. */
void vx_pool_map(const vx_run *f, float *pooled, const float *y, float *p)
{
    const vx_pool_weights *w = &f->w->pool;
    const int D = f->width, first = f->arch->pool_first;
    float *qkv = f->plan && f->plan->pool.qkv ? f->plan->pool.qkv : f->act->wide;
    float *attended = f->act->wide + (size_t)f->rows * 3 * (size_t)D;
    vx_recorded record = {0};

    if (p)
        record = (vx_recorded){.data = p, .keep = VX_KEEP_ROW, .query = first, .batch = f->batch,
                               .heads = f->arch->heads, .tokens = f->tokens};
    f->ops->linear(f->dev, &(vx_linear){
        .y = qkv + D, .ldy = 3 * D, .x = y, .ldx = D, .w = &w->kv, .m = f->rows});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = qkv, .ldy = 3 * D, .x = w->query, .m = f->rows, .n = D, .scale = 1});
    f->ops->attention(f->dev, &(vx_attention){
        .y = attended, .qkv = qkv, .scale = f->scale, .batch = f->batch, .tokens = f->tokens,
        .heads = f->arch->heads, .head_width = f->arch->head_width, .record = record,
        .starts = f->pass->starts, .queries = 1, .first = first});
    pool_hidden(f, pooled, token_rows(f, attended, first, D, f->act->features));
}

/* [norm]; pool; [fc_norm]; head; probabilities. The norm is a matter of each token: if the head reads
 * single tokens, only these are normalised, after they were picked. */
static void classify(const vx_run *f, const vx_head_io *h)
{
    const int D = f->width, W = vx_arch_pooled(f->arch);
    float *pooled = f->act->pooled;

    /* all tokens: y = layernorm(x) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = f->act->y, .ldy = D, .x = h->x, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .m = h->all_rows, .n = D});
    /* pooled = token 0, token 1 */
    for (int t = 0; t < 2; t++) {
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = pooled + t * D, .ldy = W, .x = h->token.at + t * D, .ldx = h->token.ld,
            .m = h->copied[t], .n = D, .scale = 1});
        f->ops->gather_rows(f->dev, &(vx_gather_rows){
            .y = pooled + t * D, .ldy = W, .a = h->tokens + t * D, .from = f->pass->starts,
            .rows = h->collected[t], .width = D});
    }
    /* ... the mean over the patches; over none it is 0 */
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = h->mean, .ldy = W, .x = h->tokens, .starts = f->pass->starts,
        .first = f->arch->prefix, .batch = h->means, .tokens = f->tokens, .width = D});
    /* ... what the head's own attention makes of the tokens */
    if (f->arch->pool == VX_POOL_MAP)
        vx_pool_map(f, pooled, h->tokens, f->plan ? f->plan->pool_p : NULL);
    /* picked tokens: pooled = layernorm(pooled) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = pooled, .ldy = D, .x = pooled, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .m = h->picked_rows, .n = D});
    vx_answer_forward(f);
}
/* clang-format on */

static int run_blocks(vitx_context *c, const vx_pass *pass)
{
    const vx_run f = vx_run_of(c, pass);
    float *x = vx_stream(&f, pass->first);
    vx_rows last = {x, f.width};
    bool picked = false; /* the last block has gone on with the class tokens alone */
    for (int l = pass->first; l < f.arch->depth; l++) {
        const vx_block_io b = vx_block_io_of(&f, l);
        vx_block_forward(&f, &b);
        picked = vx_plan_class_only(pass->plan, f.arch, l);
        last = b.out;
        x = b.next;
        if (pass->plan && pass->plan->watch)
            VX_TRY(pass->plan->watch(pass->plan->watcher, l, x));
        VX_TRY(vx_context_advance(c, pass->ticks ? pass->ticks : 1));
    }
    if (pass->plan)
        pass->plan->last_x = x;
    const vx_head_io h = vx_head_io_of(&f, x, last, picked);
    classify(&f, &h);
    return VITX_OK;
}

int vx_pass_blocks(vitx_context *c, const vx_pass *pass)
{
    return vx_context_settle(c, run_blocks(c, pass));
}

int vx_pass_no_patches(vitx_context *c, const vx_pass *pass)
{
    vx_run f = vx_run_of(c, pass);
    f.batch = 1;
    f.ops->clear(f.dev, &(vx_clear){.y = f.act->pooled, .count = f.width});
    if (f.arch->pool == VX_POOL_MAP) { /* likewise: attention over nothing is 0 */
        f.ops->clear(f.dev, &(vx_clear){.y = f.act->features, .count = f.width});
        pool_hidden(&f, f.act->pooled, (vx_rows){f.act->features, f.width});
    }
    vx_answer_forward(&f);
    return vx_context_sync(c);
}

int vx_pass_forward(vitx_context *c, const vx_pass *pass)
{
    vx_pass_embed(c, pass);
    return vx_pass_blocks(c, pass);
}
