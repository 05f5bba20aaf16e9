/* engine/io_head.c: what io.h says of the head. */
#include "engine/io.h"

/* -------------------------------------------------------------------------- pooling head -- */

static vx_pool_io pool_io(const vx_run *f, const vx_far *tokens, vx_far *p)
{
    const vx_activations *act = f->act;
    const vx_kept *kept = f->plan && f->plan->pool.qkv ? &f->plan->pool : NULL;
    const bool starts = f->pass->starts != NULL, mlp = f->w->pool.fc1.data != NULL;
    const int D = f->width, first = f->arch->pool_first;
    if (f->arch->pool != VX_POOL_MAP)
        return (vx_pool_io){.qkv = act->wide, .attended = act->wide}; /* no rows at all */
    vx_pool_io b = {.rows = f->rows,
                    .sequences = f->batch,
                    .collected = starts ? f->batch : 0,
                    .m = f->batch,
                    .head_width = D / f->arch->pool_heads,
                    .tokens = tokens,
                    .qkv = kept ? kept->qkv : act->wide,
                    .attended = vx_run_at(f, act->wide, (size_t)f->rows * 3 * (size_t)D),
                    .mid = kept && mlp ? kept->mid : act->pooled,
                    .mlp_rows = mlp ? f->batch : 0,
                    .pre = kept ? kept->pre : NULL};
    if (starts) /* qkv is read: its place is free */
        b.from = (vx_narrow_rows){act->wide, D};
    else
        b.from =
            (vx_narrow_rows){vx_run_at(f, b.attended, (size_t)first * (size_t)D), f->tokens * D};
    if (p)
        b.record = (vx_recorded){.data = p,
                                 .keep = VX_KEEP_ROW,
                                 .query = first,
                                 .batch = f->batch,
                                 .heads = f->arch->pool_heads,
                                 .tokens = f->tokens};
    return b;
}

vx_pool_io vx_pool_io_nothing(const vx_run *f)
{
    vx_pool_io b = pool_io(f, NULL, NULL);
    b.rows = b.sequences = b.collected = 0;
    b.from = (vx_narrow_rows){f->act->wide, f->width};
    return b;
}

static vx_pool_grad_io pool_grad_io(const vx_run *f, vx_far *dp, vx_far *relu_mean)
{
    vx_plan *plan = f->plan;
    const int G = f->gradients, T = f->tokens;
    if (f->arch->pool != VX_POOL_MAP)
        return (vx_pool_grad_io){0};
    return (vx_pool_grad_io){
        .m = G,
        .head_width = f->width / f->arch->pool_heads,
        .mlp_rows = f->w->pool.fc1.data ? G : 0,
        .batch = f->batch,
        .rows = G * T,
        .dattended = vx_run_at(f, plan->dwide, (size_t)G * (size_t)T * 3 * (size_t)f->width),
        .dp = dp,
        .dp_rows = f->dev->cls->recomputes_p ? 1 : T - f->arch->pool_first,
        .relu_mean = relu_mean};
}

/* -------------------------------------------------------------------------- head ---------- */

/* Whether the head reads token t. */
static bool reads_token(const vx_arch *a, int t)
{
    if (t == 1)
        return a->pool == VX_POOL_TWO_TOKENS;
    return a->pool == VX_POOL_TOKEN || a->pool == VX_POOL_LAST || vx_arch_two_vectors(a);
}

/* Whether all tokens are normalised: the head reads more than single ones. */
static bool reads_many(const vx_arch *a)
{
    return vx_arch_reads_patches(a) && a->pool != VX_POOL_LAST;
}

static bool reads_mean(const vx_arch *a)
{
    return a->pool == VX_POOL_AVG || a->pool == VX_POOL_TOKEN_AVG;
}

/* The mean stands behind a token, if there is one. */
static size_t mean_offset(const vx_arch *a)
{
    return a->pool == VX_POOL_TOKEN_AVG ? (size_t)a->width : 0;
}

vx_head_io vx_head_io_of(const vx_run *f, const vx_far *x, vx_rows last, bool picked)
{
    const vx_arch *a = f->arch;
    const bool norm = f->w->norm_w != NULL, all = norm && reads_many(a);
    const int D = f->width;
    vx_far *pooled = f->act->pooled;
    vx_head_io h = {.x = x,
                    .all_rows = all ? f->rows : 0,
                    .tokens = all ? f->act->normed : x,
                    .means = reads_mean(a) ? f->batch : 0,
                    .mean = pooled + mean_offset(a),
                    .picked_rows = norm && !all ? f->batch * vx_arch_pooled(a) / D : 0};
    h.token = picked ? last
                     : (vx_rows){(all ? f->act->normed : last.at) + vx_read_token(f) * (size_t)D,
                                 f->tokens * D};
    const bool there = picked && last.at == pooled;
    for (int t = 0; t < 2; t++) {
        const int rows = reads_token(a, t) && !there ? f->batch : 0;
        const bool collect = f->pass->starts && !picked;
        h.copied[t] = collect ? 0 : rows;
        h.collected[t] = collect ? rows : 0;
    }
    h.pool = pool_io(f, h.tokens, f->plan ? f->plan->pool_p : NULL);
    return h;
}

vx_answer_io vx_answer_io_of(const vx_run *f)
{
    const bool fc_norm = f->w->fc_norm_w != NULL, bare = f->arch->bare;
    return (vx_answer_io){.fc_norm_rows = fc_norm ? f->batch : 0,
                          .features = fc_norm ? f->act->features : f->act->pooled,
                          .head_rows = bare ? 0 : f->batch,
                          .bare_rows = bare ? f->batch : 0};
}

vx_head_grad_io vx_head_grad_io_of(const vx_run *f)
{
    const vx_arch *a = f->arch;
    const int G = f->gradients;
    const bool patches = reads_many(a), norm = f->w->norm_w != NULL;
    vx_head_grad_io h = {.head_rows = a->bare ? 0 : G,
                         .bare_rows = a->bare ? G : 0,
                         .fc_norm_rows = f->w->fc_norm_w ? G : 0,
                         .cleared = patches ? 0 : (int64_t)G * f->tokens * f->width,
                         .means = reads_mean(a) ? G : 0,
                         .dmean = f->plan->dpooled + mean_offset(a),
                         .token = vx_read_token(f) * (size_t)f->width,
                         .all_rows = norm && patches ? G * f->tokens : 0};
    for (int t = 0; t < 2; t++) {
        h.put[t] = reads_token(a, t) ? G : 0;
        h.token_rows[t] = norm && !patches ? h.put[t] : 0;
    }
    h.pool = pool_grad_io(f, f->plan->pool_dp ? f->plan->dp : NULL, NULL);
    if (f->plan->pool_dp) {
        h.record_rows = (int64_t)G * a->pool_heads;
        h.record = f->plan->pool_dp + a->pool_first;
    }
    return h;
}

/* -------------------------------------------------------------------------- another block - */

vx_own_io vx_own_io_of(const vx_run *f, int layer)
{
    const bool last = layer == f->arch->depth - 1, map = f->arch->pool == VX_POOL_MAP,
               norm = f->w->norm_w != NULL && !(map && f->pass->bare);
    const vx_far *tokens = last ? f->plan->last_x : f->plan->blocks[layer + 1].kept.x;
    const int means = map ? 0 : f->batch;
    vx_own_io o = {.tokens = tokens,
                   .mean = f->act->normed,
                   .all_rows = norm && map ? f->rows : 0,
                   .means = means,
                   .norm_rows = norm ? means : 0,
                   .plain_rows = norm ? 0 : means,
                   .second_rows = vx_arch_two_vectors(f->arch) ? f->batch : 0};
    o.pool = pool_io(f, norm ? f->act->normed : tokens, NULL);
    return o;
}

vx_pool_grad_io vx_own_pool_grad_io(const vx_run *f)
{
    vx_far *const relu_mean = f->plan->relu_mean;
    return pool_grad_io(f, relu_mean ? NULL : f->plan->dp, relu_mean);
}
