/*
 * engine/forward.c: a Vision Transformer, one operation after the other (Dosovitskiy et al. 2021,
 * eq. 1-4; the drawing is in model/arch.h). backward.c is its mirror image.
 *
 * Names: M rows (B*T, or those of shorter sequences), D width, A = heads * head width, F hidden. The
 * residual stream stays in act->x unless the plan keeps it: then each block writes where the next
 * one's input is kept.
 */
#include "engine/forward.h"

#include <math.h>

vx_run vx_run_of(vitx_context *c, const vx_pass *pass)
{
    const vx_arch *a = &c->arch;
    return (vx_run){.c = c,
                    .pass = pass,
                    .plan = pass->plan,
                    .arch = a,
                    .w = c->weights,
                    .dev = c->dev,
                    .ops = &c->dev->ops,
                    .act = pass->act,
                    .batch = pass->batch,
                    .tokens = vx_arch_tokens(a),
                    .rows =
                        pass->starts ? pass->starts[pass->batch] : pass->batch * vx_arch_tokens(a),
                    .width = a->width,
                    .attention_width = a->heads * a->head_width,
                    .scale = 1.0f / sqrtf((float)a->head_width)};
}

/* Where the input of block l lies; behind the last block, where its output does. */
static float *stream(const vx_run *f, int l)
{
    if (f->plan && l > f->pass->first && f->plan->blocks[l - 1].tokens_wanted[VX_AT_OUTPUT])
        return f->plan->blocks[l - 1].tokens[VX_AT_OUTPUT];
    if (f->plan && l == 0 && f->plan->blocks[0].tokens_wanted[VX_AT_INPUT])
        return f->plan->blocks[0].tokens[VX_AT_INPUT];
    if (f->plan && l < f->arch->depth && f->plan->blocks[l].kept.x)
        return f->plan->blocks[l].kept.x;
    return f->act->x;
}

/* clang-format off */
void vx_pass_embed(vitx_context *c, const vx_pass *pass)
{
    const vx_run run = vx_run_of(c, pass), *f = &run;
    const vx_arch *a = f->arch;
    float *x = stream(f, 0);
    float *embedded = f->w->norm_pre_w && f->plan && f->plan->embedded ? f->plan->embedded : x;

    f->ops->patch_embed(f->dev, &(vx_patch_embed){
        .y = embedded, .image = f->act->input, .w = &f->w->patch, .prefix = f->w->prefix,
        .pos = c->pos ? c->pos : f->w->pos,
        .batch = f->batch, .channels = a->channels, .height = c->recipe.input_height,
        .width = c->recipe.input_width,
        .patch_height = a->patch_height, .patch_width = a->patch_width, .prefix_count = a->prefix});
    if (f->w->norm_pre_w)
        f->ops->layernorm(f->dev, &(vx_layernorm){.y = x, .ldy = f->width, .x = embedded, .ldx = f->width, .weight = f->w->norm_pre_w, .bias = f->w->norm_pre_b, .eps = a->eps, .m = f->rows, .n = f->width});
}

/* norm1, qkv, attention: x [M,D] -> attended [M,A]; with `queries` only the first so many tokens of
 * each sequence. */
void vx_block_attend(const vx_run *f, int l, const float *x, float *qkv, float *attended,
                     const vx_recorded *record, int queries)
{
    const vx_block_weights *w = &f->w->blocks[l];
    const int D = f->width, A = f->attention_width, M = f->rows;
    const bool recorded = f->plan && f->plan->blocks[l].tokens_wanted[VX_AT_NORM1];
    float *y = recorded ? f->plan->blocks[l].tokens[VX_AT_NORM1] : f->act->y;

    if (!(f->pass->at_norm1 && l == f->pass->first))
        f->ops->layernorm(f->dev, &(vx_layernorm){.y = y, .ldy = D, .x = x, .ldx = D, .weight = w->norm1_w, .bias = w->norm1_b, .eps = f->arch->eps, .m = M, .n = D});
    f->ops->linear(f->dev, &(vx_linear){
        .y = qkv, .ldy = 3 * A, .x = y, .ldx = D, .w = &w->qkv, .m = M});
    f->ops->attention(f->dev, &(vx_attention){
        .y = attended, .qkv = qkv, .scale = f->scale,
        .batch = f->batch, .tokens = f->tokens, .heads = f->arch->heads,
        .head_width = f->arch->head_width, .record = *record, .starts = f->pass->starts,
        .queries = queries});
}

/* mid = x + ls1 * proj(attended), then pre = fc1(norm2(mid)): m rows, as far apart as the lds say.
 * pre [m,fc1] is the hidden layer before its activation, or behind it with `activated`: then as many
 * columns as fc2 reads count. */
void vx_block_hidden(const vx_run *f, int l, vx_rows mid, vx_rows x, vx_rows attended, float *pre,
                     bool activated, int m)
{
    const vx_block_weights *w = &f->w->blocks[l];
    const int D = f->width, F = vx_arch_fc1(f->arch);

    f->ops->linear(f->dev, &(vx_linear){
        .y = mid.at, .ldy = mid.ld, .x = attended.at, .ldx = attended.ld, .w = &w->proj,
        .gamma = w->ls1, .residual = x.at, .ldr = x.ld, .m = m});
    f->ops->layernorm(f->dev, &(vx_layernorm){.y = f->act->y, .ldy = D, .x = mid.at, .ldx = mid.ld, .weight = w->norm2_w, .bias = w->norm2_b, .eps = f->arch->eps, .m = m, .n = D});
    f->ops->linear(f->dev, &(vx_linear){
        .y = pre, .ldy = F, .x = f->act->y, .ldx = D, .w = &w->fc1,
        .act = activated ? f->arch->act : VX_ACT_NONE, .m = m});
    if (activated && f->arch->swiglu)
        f->ops->swiglu(f->dev, &(vx_swiglu){.y = pre, .ldy = F, .x = pre, .ldx = F, .m = m, .n = f->arch->hidden});
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

/* x -> out: x + ls1 * proj(attention(norm1(x))) = mid; mid + ls2 * fc2(act(fc1(norm2(mid)))).
 * From the attention's output on only the class tokens are computed where nothing reads the others
 * afterwards: B rows. */
static vx_rows block(const vx_run *f, int l, float *x, float *out)
{
    const vx_block_weights *w = &f->w->blocks[l];
    const vx_activations *act = f->act;
    const int D = f->width, A = f->attention_width, F = vx_arch_fc1(f->arch);
    const vx_kept *kept = f->plan && f->plan->blocks[l].kept.qkv ? &f->plan->blocks[l].kept : NULL;
    const bool class_only = vx_plan_class_only(f->plan, f->arch, l);
    vx_recorded record = f->plan ? f->plan->attention[l] : (vx_recorded){0};
    float *qkv = kept ? kept->qkv : act->wide, *hidden = act->wide;
    float *attended = act->wide + (size_t)f->rows * 3 * (size_t)A;
    const int m = class_only ? f->batch : f->rows;

    record.batch = f->batch; /* placed for the largest batch, filled for this one */
    if (!(f->pass->attended && l == f->pass->first))
        vx_block_attend(f, l, x, qkv, attended, &record,
                        class_only && record.keep == VX_KEEP_NONE ? 1 : 0);
    const vx_rows from = class_only ? token_rows(f, attended, 0, A, act->wide) : (vx_rows){attended, A};
    const vx_rows in = class_only ? token_rows(f, x, 0, D, act->pooled) : (vx_rows){x, D};
    /* Kept class rows lie together; in place they stay where the tokens are. */
    vx_rows mid = {out, in.ld};
    if (kept)
        mid = (vx_rows){kept->mid, D};
    else if (class_only && f->pass->starts)
        mid = in;
    vx_block_hidden(f, l, mid, in, from, kept ? kept->pre : hidden, !kept, m);
    if (kept && f->arch->swiglu)
        f->ops->swiglu(f->dev, &(vx_swiglu){.y = hidden, .ldy = F, .x = kept->pre, .ldx = F, .m = m, .n = f->arch->hidden});
    else if (kept)
        f->ops->activate(f->dev, &(vx_activate){.y = hidden, .x = kept->pre, .act = f->arch->act, .count = (int64_t)m * F});
    const vx_rows result = class_only && f->pass->starts ? mid : (vx_rows){out, in.ld};
    f->ops->linear(f->dev, &(vx_linear){
        .y = result.at, .ldy = result.ld, .x = hidden, .ldx = F, .w = &w->fc2,
        .gamma = w->ls2, .residual = mid.at, .ldr = mid.ld, .m = m});
    return result;
}

/* Means over the patches of each sequence; over none it is taken to be 0. */
static void pool(const vx_run *f, float *pooled, const float *x)
{
    const int *starts = f->pass->starts, prefix = f->arch->prefix, D = f->width;
    if (!starts)
        f->ops->mean_tokens(f->dev, &(vx_mean_tokens){.y = pooled, .x = x, .first = prefix, .batch = f->batch, .tokens = f->tokens, .width = D});
    for (int b = 0; starts && b < f->batch; b++) {
        const int tokens = starts[b + 1] - starts[b];
        float *to = pooled + (size_t)b * (size_t)D;
        if (tokens > prefix)
            f->ops->mean_tokens(f->dev, &(vx_mean_tokens){.y = to, .x = x + (size_t)starts[b] * (size_t)D, .first = prefix, .batch = 1, .tokens = tokens, .width = D});
        else
            f->ops->clear(f->dev, &(vx_clear){.y = to, .count = D});
    }
}

void vx_copy_rows(const vx_run *f, vx_rows to, vx_rows from, int m, int width)
{
    if (to.ld == width && from.ld == width) {
        f->ops->copy(f->dev, &(vx_copy){.y = to.at, .x = from.at, .count = (int64_t)m * width});
        return;
    }
    for (int i = 0; i < m; i++)
        f->ops->copy(f->dev, &(vx_copy){.y = to.at + (ptrdiff_t)i * to.ld, .x = from.at + (ptrdiff_t)i * from.ld, .count = width});
}

void vx_half_rows(const vx_run *f, vx_rows to, vx_rows from, int m, bool add)
{
    const float half = 0.5f;
    for (int i = 0; i < m; i++) {
        float *const row = to.at + (ptrdiff_t)i * to.ld;
        if (!add)
            f->ops->clear(f->dev, &(vx_clear){.y = row, .count = f->width});
        f->ops->add_weighted(f->dev, &(vx_add_weighted){.sum = row, .x = from.at + (ptrdiff_t)i * from.ld, .weights = &half, .squared = 0, .samples = 1, .n = f->width});
    }
}

/* The answers of heads that are not there. */
static void bare_answers(const vx_run *f, vx_rows pooled, vx_rows second)
{
    const vx_rows to = {f->act->logits, f->width};
    if (!vx_arch_two_heads(f->arch)) {
        vx_copy_rows(f, to, pooled, f->batch, f->width);
        return;
    }
    vx_half_rows(f, to, pooled, f->batch, false);
    vx_half_rows(f, to, second, f->batch, true);
}

/* What the outputs are made into, as arch.outputs says. */
static void probabilities(const vx_run *f)
{
    const vx_activations *act = f->act;
    const int64_t count = (int64_t)f->batch * f->arch->classes;
    if (f->arch->units)
        f->ops->clear(f->dev, &(vx_clear){.y = act->probabilities, .count = count});
    else if (f->arch->outputs == VITX_OUTPUTS_NONE)
        f->ops->copy(f->dev, &(vx_copy){.y = act->probabilities, .x = act->logits, .count = count});
    else if (f->arch->outputs == VITX_OUTPUTS_SIGMOID)
        f->ops->sigmoid(f->dev, &(vx_sigmoid){
            .y = act->probabilities, .x = act->logits, .count = count});
    else
        f->ops->softmax(f->dev, &(vx_softmax){.y = act->probabilities, .x = act->logits, .m = f->batch, .n = f->arch->classes});
}

/* [fc_norm] of what one head reads; the head, both or none; probabilities. */
void vx_features_head(const vx_run *f, vx_rows pooled, vx_rows second)
{
    const vx_arch *a = f->arch;
    const vx_activations *act = f->act;
    const int D = f->width, K = a->classes;

    if (f->w->fc_norm_w) {
        f->ops->layernorm(f->dev, &(vx_layernorm){.y = act->features, .ldy = D, .x = pooled.at, .ldx = pooled.ld, .weight = f->w->fc_norm_w, .bias = f->w->fc_norm_b, .eps = a->eps, .m = f->batch, .n = D});
        pooled = (vx_rows){act->features, D};
    }
    if (a->bare)
        bare_answers(f, pooled, second);
    else
        f->ops->linear(f->dev, &(vx_linear){
            .y = act->logits, .ldy = K, .x = pooled.at, .ldx = pooled.ld, .w = &f->w->head,
            .m = f->batch});
    if (vx_arch_two_heads(a) && !a->bare)
        f->ops->linear(f->dev, &(vx_linear){
            .y = act->logits, .ldy = K, .x = second.at, .ldx = second.ld, .w = &f->w->head2,
            .residual = act->logits, .ldr = K, .m = f->batch});
    probabilities(f);
}

/* [norm]: m rows of x to y, or x as it is. */
static vx_rows normalise(const vx_run *f, float *y, vx_rows x, int m)
{
    if (!f->w->norm_w)
        return x;
    f->ops->layernorm(f->dev, &(vx_layernorm){.y = y, .ldy = f->width, .x = x.at, .ldx = x.ld, .weight = f->w->norm_w, .bias = f->w->norm_b, .eps = f->arch->eps, .m = m, .n = f->width});
    return (vx_rows){y, f->width};
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
        .y = kept ? kept->pre : hidden, .ldy = F, .x = f->act->y, .ldx = D, .w = &w->fc1,
        .act = kept ? VX_ACT_NONE : f->arch->act, .m = B});
    if (kept)
        f->ops->activate(f->dev, &(vx_activate){.y = hidden, .x = kept->pre, .act = f->arch->act, .count = (int64_t)B * F});
    f->ops->linear(f->dev, &(vx_linear){
        .y = pooled, .ldy = D, .x = hidden, .ldx = F, .w = &w->fc2, .residual = mid, .ldr = D,
        .m = B});
}

/* The pooling head's attention of sequences first..first+count-1, from token pool_first of each on;
 * their rows of probabilities into p. */
static void pool_attend(const vx_run *f, const float *qkv, float *attended, int first, int count,
                        float *p)
{
    const int *starts = f->pass->starts, skip = f->arch->pool_first;
    const int tokens = (starts && skip ? starts[first + 1] - starts[first] : f->tokens) - skip;
    const size_t D = (size_t)f->width;
    const size_t row = (size_t)(starts ? starts[first] : first * f->tokens) + (size_t)skip;
    vx_recorded record = {0};

    if (p)
        record = (vx_recorded){.data = p, .keep = VX_KEEP_ROW, .batch = count,
                               .heads = f->arch->heads, .tokens = tokens};
    f->ops->attention(f->dev, &(vx_attention){
        .y = attended + row * D, .qkv = qkv + row * 3 * D, .scale = f->scale, .batch = count,
        .tokens = tokens, .heads = f->arch->heads, .head_width = f->arch->head_width,
        .record = record, .starts = skip ? NULL : starts, .queries = 1});
}

void vx_pool_spread(const vx_run *f, float *row, const float *from, ptrdiff_t step)
{
    const int T = f->tokens, skip = f->arch->pool_first;
    for (int h = 0; h < f->arch->heads; h++, row += T, from += step) {
        f->ops->clear(f->dev, &(vx_clear){.y = row, .count = skip});
        f->ops->copy(f->dev, &(vx_copy){.y = row + skip, .x = from, .count = T - skip});
    }
}

/* The pooling head's attention of tokens y [M,D]. Its one query stands where the first token that it
 * attends to has its own; no other query is computed, nor read. */
void vx_pool_map(const vx_run *f, float *pooled, const float *y, float *p)
{
    const vx_pool_weights *w = &f->w->pool;
    const int D = f->width, T = f->tokens, skip = f->arch->pool_first;
    float *qkv = f->plan && f->plan->pool.qkv ? f->plan->pool.qkv : f->act->wide;
    float *attended = f->act->wide + (size_t)f->rows * 3 * (size_t)D;

    f->ops->linear(f->dev, &(vx_linear){
        .y = qkv + D, .ldy = 3 * D, .x = y, .ldx = D, .w = &w->kv, .m = f->rows});
    for (int b = 0; b < f->batch; b++) {
        const int first = skip + (f->pass->starts ? f->pass->starts[b] : b * T);
        f->ops->copy(f->dev, &(vx_copy){.y = qkv + (size_t)first * 3 * (size_t)D, .x = w->query, .count = D});
    }
    if (skip == 0)
        pool_attend(f, qkv, attended, 0, f->batch, p);
    for (int b = 0; skip && b < f->batch; b++) { /* y is read: its place is free */
        pool_attend(f, qkv, attended, b, 1, p ? f->act->y : NULL);
        if (p)
            vx_pool_spread(f, p + (size_t)b * (size_t)f->arch->heads * (size_t)T, f->act->y,
                           T - skip);
    }
    pool_hidden(f, pooled, token_rows(f, attended, skip, D, f->act->features));
}

/* [norm]; pool; [fc_norm]; head; softmax. The norm is a matter of each token, so where no patches are
 * read only the tokens that are read are normalised. With VX_POOL_TOKEN x holds the class tokens. */
static void classify(const vx_run *f, vx_rows x)
{
    const vx_arch *a = f->arch;
    const vx_activations *act = f->act;
    const int D = f->width;
    vx_rows first = {act->pooled, D}, second = {act->features, D};

    if (vx_arch_reads_patches(a))
        x = normalise(f, act->y, x, f->rows);
    if (a->pool == VX_POOL_TOKEN) {
        first = normalise(f, act->pooled, x, f->batch);
    } else if (a->pool == VX_POOL_AVG) {
        pool(f, act->pooled, x.at);
    } else if (a->pool == VX_POOL_MAP) {
        vx_pool_map(f, act->pooled, x.at, f->plan ? f->plan->pool_p : NULL);
    } else if (a->pool == VX_POOL_TOKEN_AVG) {
        first = token_rows(f, x.at, 0, D, act->pooled);
        pool(f, act->features, x.at);
    } else {
        first = normalise(f, act->pooled, token_rows(f, x.at, 0, D, act->pooled), f->batch);
        second = normalise(f, act->features, token_rows(f, x.at, 1, D, act->features), f->batch);
    }
    vx_features_head(f, first, second);
}
/* clang-format on */

static int run_blocks(vitx_context *c, const vx_pass *pass)
{
    const vx_run f = vx_run_of(c, pass);
    float *x = stream(&f, pass->first);
    const bool token = f.arch->pool == VX_POOL_TOKEN;
    vx_rows last = {x, f.width};
    bool apart = token; /* the class rows still have to be picked */
    for (int l = pass->first; l < f.arch->depth; l++) {
        float *const out = stream(&f, l + 1);
        last = block(&f, l, x, out);
        apart = token && !vx_plan_class_only(pass->plan, f.arch, l);
        x = out;
        if (pass->plan && pass->plan->watch)
            VX_TRY(pass->plan->watch(pass->plan->watcher, l, x));
        VX_TRY(vx_context_advance(c, pass->ticks ? pass->ticks : 1));
    }
    if (apart)
        last = token_rows(&f, x, 0, f.width, f.act->pooled);
    if (pass->plan)
        pass->plan->last_x = x;
    classify(&f, last);
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
    vx_features_head(&f, (vx_rows){f.act->pooled, f.width}, (vx_rows){0});
    return vx_context_sync(c);
}

int vx_pass_forward(vitx_context *c, const vx_pass *pass)
{
    vx_pass_embed(c, pass);
    return vx_pass_blocks(c, pass);
}
