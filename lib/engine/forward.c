/*
 * engine/forward.c: a Vision Transformer, one operation after the other (Dosovitskiy et al. 2021,
 * eq. 1-4; the drawing is in model/arch.h). backward.c is its mirror image.
 *
 * Names: M rows (B*T, or those of shorter sequences), D width, A = heads * head width, F hidden.
 * The residual stream stays in act->x unless the plan keeps it: then each block writes where the
 * next one's input is kept.
 */
#include "engine/forward.h"

#include "engine/run.h"
#include "engine/share.h"

/* clang-format off */
static void embed_patches(const vx_run *f, const vx_embed_io *e)
{
    const vx_arch *a = f->arch;
    const vitx_recipe *input = &f->c->recipe;
    f->ops->patch_embed(f->dev, &(vx_patch_embed){
        .y = e->embedded, .image = f->act->input, .w = &f->w->patch, .prefix = f->w->prefix,
        .pos = e->pos, .batch = f->batch, .channels = a->channels,
        .height = input->input_height, .width = input->input_width,
        .patch_height = a->patch_height, .patch_width = a->patch_width, .prefix_count = a->prefix});
}

/* Tokens: patches W + b + positions, the prefix before them, or the rows of a text; [norm_pre]. */
static void embed(vitx_context *c, const vx_pass *pass)
{
    const vx_run run = vx_run_of(c, pass), *f = &run;
    const vx_embed_io e = vx_embed_io_of(f);
    const vx_arch *a = f->arch;

    if (e.text)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = e.embedded, .x = f->act->input, .m = 1, .n = (int64_t)f->rows * f->width,
            .scale = 1});
    else
        embed_patches(f, &e);
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = e.x, .ldy = f->width, .x = e.embedded, .ldx = f->width, .weight = f->w->norm_pre_w,
        .bias = f->w->norm_pre_b, .eps = a->eps, .rms = a->rms, .m = e.norm_rows, .n = f->width});
    /* positions behind that norm */
    const int64_t prefix = (int64_t)a->prefix * f->width;
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = e.x + prefix, .ldy = (int64_t)f->tokens * f->width, .x = e.late_pos, .m = e.late,
        .n = (int64_t)f->tokens * f->width - prefix, .scale = 1, .accumulate = 1});
}

/* mid = x + ls1 * proj(attention(qkv(norm1(x)))), or with the norm behind, mid = x + norm1(...), or
 * with norm_stays, mid = norm1(x) + ... */
static void attention_forward(const vx_run *f, const vx_block_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, A = f->attention_width, O = f->attended_width;

    /* norm1 = layernorm(x) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->stay1, .y_n = b->norm1, .ldy = D, .x = b->x, .ldx = D, .weight = w->norm1_w,
        .bias = w->norm1_b, .eps = a->eps, .rms = a->rms, .m = b->norm1_rows, .n = D,
        .y_form = b->norm1_form});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = b->norm1_to, .ldy = D, .x = b->plain, .x_n = b->norm1, .ldx = D,
        .m = b->norm1_recorded, .n = D, .scale = 1});
    /* qkv = norm1 W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = b->qkv, .ldy = 3 * A, .x = b->plain, .x_n = b->norm1, .ldx = D, .w = &w->qkv,
        .m = b->qkv_rows, .y_form = b->qkv_form, .y_part = b->qkv_form ? a->head_width : 0,
        .x_formed = b->norm1_form != NULL});
    /* q = layernorm(q), k = layernorm(k), head by head or all heads at once; what they were is kept
     * for the backward pass */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = b->qk, .ldy = 2 * A, .x_n = b->qkv, .ldx = 3 * A, .m = b->qk_kept, .n = 2 * A,
        .scale = 1});
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = b->qkv, .ldy = 3 * A, .x_n = b->qkv, .ldx = 3 * A, .weight = w->q_norm_w,
        .bias = w->q_norm_b, .eps = a->eps, .rms = a->rms, .m = b->qk_rows, .n = a->qk_norm,
        .groups = f->qk_groups});
    vx_narrow *const k = vx_run_at(f, b->qkv, (size_t)A);
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = k, .ldy = 3 * A, .x_n = k, .ldx = 3 * A, .weight = w->k_norm_w,
        .bias = w->k_norm_b, .eps = a->eps, .rms = a->rms, .m = b->qk_rows, .n = a->qk_norm,
        .groups = f->qk_groups});
    /* q, k = rotate(q, k) */
    f->ops->rotate(f->dev, &(vx_rotate){
        .qkv_n = b->qkv, .table = b->angles, .tables = f->tables,
        .tokens_of = f->pass->tokens_of, .rows = b->rotated, .tokens = f->tokens,
        .first = a->prefix, .heads = a->heads, .head_width = a->head_width,
        .half = a->rotary.half});
    /* the sequences whole, if they have rows in common */
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y_n = b->whole, .a_n = b->qkv, .from = b->whole_from, .rows = b->whole_rows,
        .width = 3 * A});
    /* attended = softmax(q k^T / sqrt E + relative) v */
    f->ops->attention(f->dev, &(vx_attention){
        .y_n = b->attended, .qkv_n = b->whole, .scale = f->scale, .batch = b->sequences,
        .tokens = f->tokens, .heads = a->heads, .head_width = a->head_width, .record = b->record,
        .starts = f->pass->starts, .tokens_of = f->pass->tokens_of, .relative = b->relative,
        .queries = b->queries, .differentiated = f->differentiated, .qkv_form = b->qkv_form,
        .y_form = b->attended_form, .causal = a->causal});
    /* the rows that go on, if they have to be collected */
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y_n = b->from.at, .a_n = b->attended, .from = b->collected_from, .rows = b->collected,
        .width = A});
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y = b->in.at, .a = b->through, .from = b->picked_from, .rows = b->picked, .width = D});
    /* attended = its first half + its second half, which is negative */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = b->from.at, .ldy = b->from.ld, .x_n = vx_run_at(f, b->from.at, (size_t)O),
        .ldx = b->from.ld, .m = b->differences, .n = O, .scale = 1, .accumulate = 1});
    /* attended = layernorm(attended), all of it, or head by head an RMSNorm of its own eps */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = b->attended_to, .ldy = O, .x_n = b->from.at, .ldx = b->from.ld,
        .m = b->attended_kept, .n = O, .scale = 1});
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = b->from.at, .ldy = b->from.ld, .x_n = b->from.at, .ldx = b->from.ld,
        .weight = w->attn_norm_w, .bias = w->attn_norm_b, .eps = vx_arch_attn_eps(a),
        .rms = vx_arch_attn_rms(a), .m = b->attn_norm_rows, .n = a->attn_norm,
        .groups = vx_arch_attn_groups(a)});
    /* mid = x + ls1 * (attended W^T + b) */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->proj.at, .ldy = b->proj.ld, .x_n = b->from.at, .ldx = b->from.ld, .w = &w->proj,
        .gamma = w->ls1, .residual = b->proj_add, .ldr = b->in.ld, .m = b->m,
        .x_formed = b->attended_form != NULL});
    /* or mid = x + layernorm(branch1), branch1 = attended W^T + b */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->mid.at, .ldy = b->mid.ld, .x = b->branch1, .ldx = D, .residual = b->in.at,
        .ldr = b->in.ld, .weight = w->norm1_w, .bias = w->norm1_b, .eps = a->eps, .rms = a->rms,
        .m = b->post_rows, .n = D});
}

/* out = mid + ls2 * fc2(act(fc1(norm2(mid)))), or with the norm behind, out = mid + norm2(...), or
 * with norm_stays, out = norm2(mid) + ... */
static void mlp_forward(const vx_run *f, const vx_block_io *b)
{
    const vx_block_weights *w = b->w;
    const vx_arch *a = f->arch;
    const int D = f->width, F = vx_arch_fc1(a);

    /* norm2 = layernorm(mid) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->stay2, .y_n = b->norm2, .ldy = D, .x = b->mid.at, .ldx = b->mid.ld,
        .weight = w->norm2_w, .bias = w->norm2_b, .eps = a->eps, .rms = a->rms,
        .m = b->norm2_rows, .n = D, .y_form = b->norm2_form});
    /* pre = norm2 W^T + b, hidden = act(pre) */
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = b->hidden, .ldy = F, .pre_n = b->pre, .ldp = F, .x = b->plain2, .x_n = b->norm2,
        .ldx = b->ld2, .w = &w->fc1, .act = a->act, .m = b->m, .y_form = b->hidden_form,
        .x_formed = b->norm2_form != NULL});
    /* hidden = layernorm(hidden) */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = b->hidden_to, .ldy = a->hidden, .x_n = b->hidden, .ldx = F, .m = b->hidden_kept,
        .n = a->hidden, .scale = 1});
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = b->hidden, .ldy = F, .x_n = b->hidden, .ldx = F, .weight = w->mlp_norm_w,
        .bias = w->mlp_norm_b, .eps = a->eps, .rms = a->rms, .m = b->mlp_norm_rows,
        .n = a->hidden});
    /* out = mid + ls2 * (hidden W^T + b) */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->fc2.at, .ldy = b->fc2.ld, .x_n = b->hidden, .ldx = F, .w = &w->fc2, .gamma = w->ls2,
        .residual = b->fc2_add, .ldr = b->fc2_ld, .m = b->out_rows,
        .x_formed = b->hidden_form != NULL});
    /* or out = mid + layernorm(branch2), branch2 = hidden W^T + b */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = b->out.at, .ldy = b->out.ld, .x = b->branch2, .ldx = D, .residual = b->mid.at,
        .ldr = b->mid.ld, .weight = w->norm2_w, .bias = w->norm2_b, .eps = a->eps, .rms = a->rms,
        .m = b->out_post_rows, .n = D});
}

void vx_block_forward(const vx_run *f, const vx_block_io *b)
{
    attention_forward(f, b);
    mlp_forward(f, b);
}

/* What the outputs are made into, as arch.outputs says. */
static void probabilities(const vx_run *f)
{
    const vx_activations *act = f->act;
    const int64_t count = (int64_t)f->batch * f->arch->classes;
    vx_far *to = act->probabilities;
    if (f->arch->units)
        f->ops->clear(f->dev, &(vx_clear){.y = to, .count = count});
    else if (f->arch->outputs == VITX_OUTPUTS_NONE)
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = to, .x = act->logits, .m = 1, .n = count, .scale = 1});
    else if (f->arch->outputs == VITX_OUTPUTS_SIGMOID)
        f->ops->sigmoid(f->dev, &(vx_sigmoid){.y = to, .x = act->logits, .count = count});
    else
        f->ops->softmax(f->dev, &(vx_softmax){
            .y = to, .x = act->logits, .m = f->batch, .n = f->arch->classes});
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
        .bias = f->w->fc_norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = h.fc_norm_rows,
        .n = D});
    /* logits = features W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y = act->logits, .ldy = K, .x = h.features, .ldx = W, .w = &f->w->head,
        .m = h.head_rows});
    /* without a head: the features, or the mean of both vectors */
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = act->logits, .x = h.features, .batch = h.bare_rows, .tokens = W / D, .width = D});
    probabilities(f);
}

/* pooled = mid + fc2(act(fc1(norm(mid)))) of mid = proj(attention(query, tokens)) */
void vx_pool_forward(const vx_run *f, const vx_pool_io *b)
{
    const vx_pool_weights *w = &f->w->pool;
    const vx_arch *a = f->arch;
    const int D = f->width, F = a->pool_hidden;
    vx_narrow *norm = f->act->y, *hidden = f->act->wide;

    /* k, v = tokens W^T + b; the one query stands in all rows, that of the first token is read */
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = vx_run_at(f, b->qkv, (size_t)D), .ldy = 3 * D, .x = b->tokens, .ldx = D,
        .w = &w->kv, .m = b->rows});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = b->qkv, .ldy = 3 * D, .x = w->query, .m = b->rows, .n = D, .scale = 1});
    /* attended = softmax(q k^T / sqrt E) v, over the tokens from pool_first on */
    f->ops->attention(f->dev, &(vx_attention){
        .y_n = b->attended, .qkv_n = b->qkv, .scale = f->pool_scale, .batch = b->sequences,
        .tokens = f->tokens, .heads = a->pool_heads, .head_width = b->head_width,
        .record = b->record, .starts = f->pass->starts, .queries = 1, .first = a->pool_first,
        .differentiated = f->differentiated});
    f->ops->gather_rows(f->dev, &(vx_gather_rows){
        .y_n = b->from.at, .a_n = vx_run_at(f, b->attended, (size_t)a->pool_first * (size_t)D),
        .from = f->pass->starts, .rows = b->collected, .width = D});
    /* mid = attended W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y = b->mid, .ldy = D, .x_n = b->from.at, .ldx = b->from.ld, .w = &w->proj, .m = b->m});
    /* norm = layernorm(mid) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = norm, .ldy = D, .x = b->mid, .ldx = D, .weight = w->norm_w, .bias = w->norm_b,
        .eps = a->eps, .rms = a->rms, .m = b->mlp_rows, .n = D});
    /* pre = norm W^T + b, hidden = act(pre) */
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = hidden, .ldy = F, .pre_n = b->pre, .ldp = F, .x_n = norm, .ldx = D, .w = &w->fc1,
        .act = a->act, .m = b->mlp_rows});
    /* pooled = mid + hidden W^T + b */
    f->ops->linear(f->dev, &(vx_linear){
        .y = f->act->pooled, .ldy = D, .x_n = hidden, .ldx = F, .w = &w->fc2, .residual = b->mid,
        .ldr = D, .m = b->mlp_rows});
}

/* [norm]; pool; [fc_norm]; head; probabilities. The norm is a matter of each token: if the head
 * reads single tokens, only these are normalised, after they were picked. */
static void classify(const vx_run *f, const vx_head_io *h)
{
    const int D = f->width, W = vx_arch_pooled(f->arch);
    vx_far *pooled = f->act->pooled;

    /* all tokens: normed = layernorm(x) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = f->act->normed, .ldy = D, .x = h->x, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = h->all_rows, .n = D});
    /* pooled = token 0, token 1; or the last one */
    for (int t = 0; t < 2; t++) {
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y = pooled + t * D, .ldy = W, .x = h->token.at + t * D, .ldx = h->token.ld,
            .m = h->copied[t], .n = D, .scale = 1});
        f->ops->gather_rows(f->dev, &(vx_gather_rows){
            .y = pooled + t * D, .ldy = W, .a = h->tokens + t * D, .from = f->read_rows,
            .rows = h->collected[t], .width = D});
    }
    /* ... the mean over the patches; over none it is 0 */
    f->ops->mean_tokens(f->dev, &(vx_mean_tokens){
        .y = h->mean, .ldy = W, .x = h->tokens, .starts = f->pass->starts,
        .first = vx_arch_mean_first(f->arch), .batch = h->means, .tokens = f->tokens, .width = D});
    /* ... what the head's own attention makes of the tokens */
    vx_pool_forward(f, &h->pool);
    /* picked tokens: pooled = layernorm(pooled) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = pooled, .ldy = D, .x = pooled, .ldx = D, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = h->picked_rows,
        .n = D});
    vx_answer_forward(f);
}
/* clang-format on */

static int run_blocks(vitx_context *c, const vx_pass *pass)
{
    const vx_run f = vx_run_of(c, pass);
    vx_far *x = vx_stream(&f, pass->first);
    vx_rows last = {x, f.width};
    bool picked = false; /* the last block has gone on with the tokens that the head reads alone */
    for (int l = pass->first; l < f.arch->depth; l++) {
        const vx_block_io b = vx_block_io_of(&f, l);
        if (!vx_block_shared(&f, l))
            vx_block_forward(&f, &b);
        picked = vx_plan_class_only(pass->plan, f.arch, l);
        last = b.out;
        x = b.next;
        if (pass->plan && pass->plan->watch)
            VX_TRY(pass->plan->watch(pass->plan->watcher, l, x));
        VX_TRY(vx_context_advance(c, vx_pass_block_ticks(pass)));
    }
    if (pass->plan)
        pass->plan->last_x = x;
    const vx_head_io h = vx_head_io_of(&f, x, last, picked);
    classify(&f, &h);
    return VITX_OK;
}

void vx_pass_embed(vitx_context *c, const vx_pass *pass)
{
    vx_context_list_begin(c);
    embed(c, pass);
    vx_context_list_end(c, VITX_OK);
}

int vx_pass_blocks(vitx_context *c, const vx_pass *pass)
{
    vx_context_list_begin(c);
    return vx_context_list_end(c, vx_context_queued(c, run_blocks(c, pass)));
}

void vx_pass_no_patches(vitx_context *c, const vx_pass *pass)
{
    vx_run f = vx_run_of(c, pass);
    f.batch = 1;
    vx_context_list_begin(c);
    f.ops->clear(f.dev, &(vx_clear){.y = f.act->pooled, .count = f.width});
    if (f.arch->pool == VX_POOL_MAP) /* attention over nothing is 0 */
        f.ops->clear(f.dev, &(vx_clear){.y_n = f.act->wide, .count = f.width});
    const vx_pool_io b = vx_pool_io_nothing(&f);
    vx_pool_forward(&f, &b);
    vx_answer_forward(&f);
    vx_context_list_end(c, VITX_OK);
}

int vx_pass_forward(vitx_context *c, const vx_pass *pass)
{
    vx_context_list_begin(c);
    embed(c, pass);
    return vx_context_list_end(c, vx_context_queued(c, run_blocks(c, pass)));
}
