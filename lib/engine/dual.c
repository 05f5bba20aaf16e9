/* engine/dual.c: see dual.h. */
#include "engine/dual.h"

#include <math.h>

#include "base/arena.h"
#include "engine/channels.h"
#include "engine/footprint.h"
#include "engine/forward.h"
#include "engine/run.h"

bool vx_dual_serves(const vx_arch *arch)
{
    return !arch->differential;
}

/* clang-format off */
/* y = residual + ls1 * (attended W^T + b) of block l, with the norms that the block has before and
 * behind that product. attended [m,A] is changed; branch [m,D] is room. */
static void project(const vx_run *f, int l, vx_rows y, const vx_far *residual, vx_narrow *attended,
                    vx_far *branch, int m)
{
    const vx_block_weights *w = &f->w->blocks[l];
    const vx_arch *a = f->arch;
    const int A = f->attention_width, O = f->attended_width, D = f->width;
    const int behind = a->post_norm ? m : 0;
    const vx_rows to = behind ? (vx_rows){branch, D} : y;

    /* attended = its first half + its second half */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = attended, .ldy = A, .x_n = vx_run_at(f, attended, (size_t)O), .ldx = A,
        .m = a->differential ? m : 0, .n = O, .scale = 1, .accumulate = 1});
    /* attended = layernorm(attended) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = attended, .ldy = A, .x_n = attended, .ldx = A, .weight = w->attn_norm_w,
        .bias = w->attn_norm_b, .eps = vx_arch_attn_eps(a), .rms = vx_arch_attn_rms(a),
        .m = a->attn_norm ? m : 0, .n = a->attn_norm, .groups = vx_arch_attn_groups(a)});
    f->ops->linear(f->dev, &(vx_linear){
        .y = to.at, .ldy = to.ld, .x_n = attended, .ldx = A, .w = &w->proj, .gamma = w->ls1,
        .residual = behind ? NULL : residual, .ldr = D, .m = m});
    /* or y = residual + layernorm(branch) */
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = y.at, .ldy = y.ld, .x = branch, .ldx = D, .residual = residual, .ldr = D,
        .weight = w->norm1_w, .bias = w->norm1_b, .eps = a->eps, .rms = a->rms, .m = behind,
        .n = D});
}
/* clang-format on */

/* ------------------------------------------------------------------ the second stream ------- */

static void place(vx_dual *d, vx_arena *arena, const vitx_context *c)
{
    const vx_arch *arch = &c->arch;
    const size_t t = (size_t)vx_arch_tokens(arch), a = (size_t)vx_arch_attention(arch);
    const bool all = d->kind == VX_DUAL_ALL;
    d->stream = vx_arena_take(arena, t, (size_t)arch->width * sizeof(float));
    d->branch = vx_arena_take(arena, arch->post_norm ? t : 0, (size_t)arch->width * sizeof(float));
    d->qkv = vx_arena_take(arena, t, 3 * a * c->narrow);
    d->mixed = vx_arena_take(arena, all ? t : 0, 3 * a * c->narrow);
    d->attended = vx_arena_take(arena, t, a * c->narrow);
    d->sum = vx_arena_take(arena, all ? t : 0, a * sizeof(float));
    d->units = vx_arena_take(arena, all ? (size_t)arch->head_width : 0, sizeof(float));
}

size_t vx_dual_bytes(const vitx_context *c, vx_dual_kind kind)
{
    vx_dual d = {.kind = kind};
    vx_arena arena = {0};
    place(&d, &arena, c);
    return arena.overflow ? SIZE_MAX : arena.size;
}

/* 1 / sqrt(E) in E places: the weight by which an RMSNorm makes rows of length 1. */
static void fill_units(vitx_context *c, const vx_dual *d)
{
    const int e = c->arch.head_width, first = 0;
    c->dev->ops.clear(c->dev, &(vx_clear){.y = d->sum, .count = e});
    c->dev->ops.replace_channels(c->dev, &(vx_replace_channels){.y = d->units,
                                                                .x = d->sum,
                                                                .channels = &first,
                                                                .value = 1 / sqrtf((float)e),
                                                                .count = 1,
                                                                .tokens = e,
                                                                .width = 1});
}

void vx_dual_begin(vx_dual *out, vitx_context *c, vx_dual_kind kind, void *memory, const vx_far *x)
{
    vx_arena arena = {.base = memory};
    *out = (vx_dual){.kind = kind};
    place(out, &arena, c);
    if (kind == VX_DUAL_ALL)
        fill_units(c, out);
    c->dev->ops.copy_rows(c->dev,
                          &(vx_copy_rows){.y = out->stream,
                                          .x = x,
                                          .m = 1,
                                          .n = (int64_t)vx_arch_tokens(&c->arch) * c->arch.width,
                                          .scale = 1});
}

/* clang-format off */
/* Part `to` of the rows of y (0 q, 1 k, 2 v) becomes A columns of x. */
static void copy_part(const vx_run *f, vx_narrow *y, int to, const vx_narrow *x, int ldx)
{
    const int A = f->attention_width;
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = vx_run_at(f, y, (size_t)to * (size_t)A), .ldy = 3 * A, .x_n = x, .ldx = ldx,
        .m = f->tokens, .n = A, .scale = 1});
}

/* Queries of `mixed` = the heads of x, each of length 1; the keys are the same. */
static void unit_queries(const vx_run *f, const vx_dual *d, const vx_narrow *x, int ldx)
{
    const int A = f->attention_width, E = f->arch->head_width;
    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y_n = d->mixed, .ldy = 3 * A, .x_n = x, .ldx = ldx, .weight = d->units, .eps = 1e-24f,
        .m = f->tokens, .n = E, .rms = 1, .groups = f->arch->heads});
    copy_part(f, d->mixed, 1, d->mixed, 3 * A);
}

static void attend(const vx_run *f, const vx_dual *d, const vx_narrow *qkv, double scale)
{
    f->ops->attention(f->dev, &(vx_attention){
        .y_n = d->attended, .qkv_n = qkv, .scale = (float)scale, .batch = 1, .tokens = f->tokens,
        .heads = f->arch->heads, .head_width = f->arch->head_width});
}

/* sum (+)= softmax(t y y^T) v / 3, y of part `part` of qkv. */
static void add_similar(const vx_run *f, const vx_dual *d, int part, double t)
{
    const int A = f->attention_width;
    unit_queries(f, d, vx_run_at(f, d->qkv, (size_t)part * (size_t)A), 3 * A);
    copy_part(f, d->mixed, 2, d->mixed, 3 * A);
    attend(f, d, d->mixed, t);
    unit_queries(f, d, d->attended, A);
    copy_part(f, d->mixed, 2, vx_run_at(f, d->qkv, 2 * (size_t)A), 3 * A);
    attend(f, d, d->mixed, t);
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = d->sum, .ldy = A, .x_n = d->attended, .ldx = A, .m = f->tokens, .n = A,
        .scale = 1.0f / 3, .accumulate = part < 2});
}

static void run_block(const vx_run *f, const vx_dual *d, int layer, const vx_far *norm1, double t)
{
    const int A = f->attention_width;
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = d->qkv, .ldy = 3 * A, .x = norm1, .ldx = f->width, .w = &f->w->blocks[layer].qkv,
        .m = f->tokens});
    if (d->kind == VX_DUAL_ALL) {
        for (int part = 2; part >= 0; part--)
            add_similar(f, d, part, t);
        f->ops->copy_rows(f->dev, &(vx_copy_rows){
            .y_n = d->attended, .ldy = A, .x = d->sum, .ldx = A, .m = f->tokens, .n = A,
            .scale = 1});
    } else {
        const vx_narrow *values = vx_run_at(f, d->qkv, 2 * (size_t)A);
        copy_part(f, d->qkv, 0, values, 3 * A);
        copy_part(f, d->qkv, 1, values, 3 * A);
        attend(f, d, d->qkv, 1 / sqrt((double)f->arch->head_width));
    }
    project(f, layer, (vx_rows){d->stream, f->width}, d->stream, d->attended, d->branch,
            f->tokens);
}
/* clang-format on */

int vx_dual_block(vitx_context *c, const vx_dual *d, int layer, const vx_far *norm1, double t)
{
    const vx_run f = vx_run_of(c, &(vx_pass){.act = &c->act, .batch = 1});
    run_block(&f, d, layer, norm1, t);
    return vx_context_queued(c, vx_context_tick(c));
}

/* ------------------------------------------------------------------ answers to tokens ------- */

enum { KEYS = 1, VALUES = 2 }; /* parts of qkv */

/* clang-format off */
/* The pooling head of tokens [m,D] that attend to nothing but themselves: what it attends to is
 * their value. */
static void pool_values(const vx_run *f, const vx_far *tokens)
{
    const int D = f->width, m = f->batch;
    vx_narrow *qkv = f->act->wide;
    const vx_pool_io b = {.rows = m, .m = m, .head_width = D / f->arch->pool_heads,
                          .tokens = tokens, .qkv = qkv, .attended = qkv,
                          .from = {vx_run_at(f, qkv, 2 * (size_t)D), 3 * D},
                          .mid = f->act->pooled, .mlp_rows = f->w->pool.fc1.data ? m : 0};
    vx_pool_forward(f, &b);
}

/* to = [norm] x, x [m,D] */
static void final_norm(const vx_run *f, vx_rows to, vx_rows x)
{
    const int D = f->width, m = f->batch;
    const bool norm = f->w->norm_w != NULL, there = x.at == to.at;

    f->ops->layernorm(f->dev, &(vx_layernorm){
        .y = to.at, .ldy = to.ld, .x = x.at, .ldx = x.ld, .weight = f->w->norm_w,
        .bias = f->w->norm_b, .eps = f->arch->eps, .rms = f->arch->rms, .m = norm ? m : 0,
        .n = D});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = to.at, .ldy = to.ld, .x = x.at, .ldx = x.ld, .m = norm || there ? 0 : m, .n = D,
        .scale = 1});
}

/* [norm]; what the head reads of a token; [fc_norm], head, probabilities: of x [m,D]. */
static void answer(const vx_run *f, vx_rows x)
{
    const int D = f->width, W = vx_arch_pooled(f->arch), m = f->batch;
    const bool map = f->arch->pool == VX_POOL_MAP;
    vx_far *pooled = f->act->pooled, *to = map ? f->act->normed : pooled;

    final_norm(f, (vx_rows){to, map ? D : W}, x);
    if (map)
        pool_values(f, to);
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = pooled + D, .ldy = W, .x = pooled, .ldx = W, .m = W > D ? m : 0, .n = D,
        .scale = 1});
    vx_answer_forward(f);
}

/* Part `part` of q, k and v of the last block's attention, in the place of what it gives. */
static void part_of_last(const vx_run *f, const vx_far *norm1, int part)
{
    const int A = f->attention_width, m = f->batch;
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = f->act->wide, .ldy = 3 * A, .x = norm1, .ldx = f->width,
        .w = &f->w->blocks[f->arch->depth - 1].qkv, .m = m});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = vx_attended(f, m), .ldy = A,
        .x_n = vx_run_at(f, f->act->wide, (size_t)part * (size_t)A), .ldx = 3 * A, .m = m,
        .n = A, .scale = 1});
}

/* The last block of x from there on. */
static vx_rows rest_of_block(const vx_run *f, const vx_far *x, const vx_far *norm1)
{
    const int last = f->arch->depth - 1;
    const int64_t count = (int64_t)f->batch * f->width;
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = f->act->x, .x = x, .m = 1, .n = count, .scale = 1});
    /* a perceptron beside the attention reads norm1, too */
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y_n = f->act->y, .x = norm1, .m = f->arch->parallel, .n = count, .scale = 1});
    const vx_block_io b = vx_block_io_of(f, last);
    vx_block_forward(f, &b);
    return b.out;
}
/* clang-format on */

/* A token of the last block is a sequence of its own. */
static vx_pass pass_of(const vitx_context *c, int n)
{
    return (vx_pass){.act = &c->channels.act,
                     .batch = n,
                     .starts = c->channels.starts,
                     .first = c->arch.depth - 1,
                     .attended = true};
}

int vx_answers(vitx_context *c, vx_answers_to what, const vx_far *x, const vx_far *norm1, int n)
{
    const vx_pass pass = pass_of(c, n);
    const vx_run f = vx_run_of(c, &pass);
    const int D = f.width;
    vx_rows rows = {(vx_far *)x, D};
    if (what != VX_ANSWERS_TOKENS)
        part_of_last(&f, norm1, VALUES);
    if (what == VX_ANSWERS_BLOCK)
        rows = rest_of_block(&f, x, norm1);
    if (what == VX_ANSWERS_VALUES) {
        rows.at = f.act->x;
        project(&f, pass.first, rows, NULL, vx_attended(&f, n), f.act->normed, n);
    }
    answer(&f, rows);
    return vx_context_answers(c, pass.act, n);
}

/* clang-format off */
/* The keys of a pooling head for x [m,D], to `to`. */
static void pool_keys(const vx_run *f, vx_far *to, const vx_far *x)
{
    const int D = f->width, m = f->batch;
    vx_narrow *k = vx_run_at(f, f->act->wide, (size_t)D); /* behind it its v */

    final_norm(f, (vx_rows){f->act->normed, D}, (vx_rows){(vx_far *)x, D});
    f->ops->linear(f->dev, &(vx_linear){
        .y_n = k, .ldy = 3 * D, .x = f->act->normed, .ldx = D, .w = &f->w->pool.kv, .m = m});
    f->ops->copy_rows(f->dev, &(vx_copy_rows){
        .y = to, .ldy = D, .x_n = k, .ldx = 3 * D, .m = m, .n = D, .scale = 1});
}
/* clang-format on */

int vx_answers_keys(vitx_context *c, float *out, const vx_far *x, const vx_far *norm1, int n)
{
    const vx_pass pass = pass_of(c, n);
    const vx_run f = vx_run_of(c, &pass);
    vx_far *keys = f.act->x;
    if (f.arch->pool == VX_POOL_MAP) {
        pool_keys(&f, keys, x);
    } else {
        part_of_last(&f, norm1, KEYS);
        project(&f, pass.first, (vx_rows){keys, f.width}, NULL, vx_attended(&f, n), f.act->normed,
                n);
    }
    return vx_context_read(c, out, keys, (size_t)n * (size_t)f.width * sizeof *out);
}
