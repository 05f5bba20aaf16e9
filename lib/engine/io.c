/* engine/io.c: see io.h. */
#include "engine/io.h"

#include <math.h>

#include "model/rotary.h"

static int rows_of(const vx_pass *pass, int tokens)
{
    if (pass->prefixes)
        return pass->prefixes->rows;
    return pass->starts ? pass->starts[pass->batch] : pass->batch * tokens;
}

vx_run vx_run_of(vitx_context *c, const vx_pass *pass)
{
    const vx_arch *a = pass->arch ? pass->arch : &c->arch;
    const int tokens = vx_arch_tokens(a);
    const int planned = pass->plan && pass->plan->targets > 0 ? pass->plan->targets : 1;
    const int targets = pass->targets > 0 ? pass->targets : planned;
    return (vx_run){.c = c,
                    .pass = pass,
                    .plan = pass->plan,
                    .arch = a,
                    .w = c->weights,
                    .dev = c->dev,
                    .ops = &c->dev->ops,
                    .act = pass->act,
                    .batch = pass->batch,
                    .tokens = tokens,
                    .rows = rows_of(pass, tokens),
                    .read_rows = pass->lasts ? pass->lasts : pass->starts,
                    .width = a->width,
                    .attention_width = vx_arch_attention(a),
                    .attended_width = vx_arch_attended(a),
                    .qk_groups = a->qk_norm ? a->heads * a->head_width / a->qk_norm : 0,
                    .targets = targets,
                    .gradients = targets * pass->batch,
                    .differentiated = pass->plan && pass->plan->targets > 0,
                    .tables = vx_rotary_tables(a),
                    .scale = 1.0f / sqrtf((float)vx_arch_query_width(a)),
                    .pool_scale = sqrtf((float)a->pool_heads / (float)a->width)};
}

vx_far *vx_stream(const vx_run *f, int l)
{
    const vx_plan *plan = f->plan;
    if (plan && l > f->pass->first && plan->blocks[l - 1].tokens[VX_AT_OUTPUT])
        return plan->blocks[l - 1].tokens[VX_AT_OUTPUT];
    if (plan && l == 0 && plan->blocks[0].tokens[VX_AT_INPUT])
        return plan->blocks[0].tokens[VX_AT_INPUT];
    if (plan && l < f->arch->depth && plan->blocks[l].kept.x)
        return plan->blocks[l].kept.x;
    return f->act->x;
}

vx_embed_io vx_embed_io_of(const vx_run *f)
{
    vx_far *x = vx_stream(f, 0);
    const bool normed = f->w->norm_pre_w != NULL, kept = normed && f->plan && f->plan->embedded;
    const vx_far *pos = f->c->pos ? f->c->pos : f->w->pos;
    const bool late = f->arch->pos_late && pos;
    return (vx_embed_io){.text = f->arch->vocabulary > 0,
                         .embedded = kept ? f->plan->embedded : x,
                         .x = x,
                         .pos = late ? NULL : pos,
                         .norm_rows = normed ? f->rows : 0,
                         .late = late ? f->batch : 0,
                         .late_pos = pos};
}

/* The attention reads x as it is, unless what it reads was given, and the mlp reads mid. What both
 * give is normalised before it is added. */
static void post_norm(vx_block_io *b, const vx_run *f, int l)
{
    const bool given = l == f->pass->first && f->pass->at_norm1;
    b->norm1_rows = 0;
    b->plain = given ? NULL : b->x;
    b->norm1 = given ? b->norm1 : NULL;
    b->norm2_rows = 0;
    b->norm2 = NULL;
    b->plain2 = b->mid.at;
    b->ld2 = b->mid.ld;
    b->post_rows = b->out_post_rows = b->m;
    b->branch1 = b->branch2 = f->act->normed; /* no norm stands there */
    b->proj = b->fc2 = (vx_rows){f->act->normed, f->width};
    b->proj_add = b->fc2_add = NULL;
}

/* What the norms make is the residual, too, so it is floats. */
static void norm_stays(vx_block_io *b, const vx_run *f)
{
    b->norm1 = NULL;
    b->plain = b->through = b->stay1 = f->act->normed;
    b->norm2 = NULL;
    b->plain2 = b->stay2 = f->act->normed; /* nobody reads the first one's by then */
}

/* Floats that are to be recorded are made where they are recorded if the narrow type is float; else
 * they are copied there. */
static void record_norm1(vx_block_io *b, const vx_run *f, vx_far *to)
{
    const bool same = !f->dev->cls->narrow_bytes && !b->plain;
    b->norm1 = same ? (vx_narrow *)to : b->norm1;
    b->norm1_to = to;
    b->norm1_recorded = same ? 0 : f->rows;
}

/* Of an array that may be NULL. */
static vx_rows rows_from(vx_far *at, size_t floats, int ld)
{
    return (vx_rows){floats ? at + floats : at, ld};
}

/* Behind the attention only the class tokens, or the last ones, go on. If the sequences are equally
 * long, they lie at equal distances and stay where they are; else they are collected. */
static void tokens_alone(vx_block_io *b, const vx_run *f)
{
    const int D = f->width, A = f->attention_width;
    const size_t token = vx_read_token(f);
    b->m = f->batch;
    if (f->pass->starts) {
        b->picked = b->collected = f->batch;
        b->picked_from = b->collected_from = f->read_rows;
        b->from = (vx_narrow_rows){f->act->wide, A}; /* qkv is read: its place is free */
        b->in = b->mid = b->out = (vx_rows){f->act->pooled, D};
        return;
    }
    b->from = (vx_narrow_rows){vx_run_at(f, b->attended, token * (size_t)A), f->tokens * A};
    b->in = rows_from(b->through, token * (size_t)D, f->tokens * D);
    b->mid = b->out = rows_from(b->next, token * (size_t)D, f->tokens * D);
}

static void all_tokens(vx_block_io *b, const vx_run *f)
{
    b->m = f->rows;
    b->from = (vx_narrow_rows){b->attended, f->attention_width};
    b->in = (vx_rows){b->through, f->width};
    b->mid = b->out = (vx_rows){b->next, f->width};
}

/* Of sequences that have rows in common the attention reads all tokens, which are put behind qkv.
 * The rows that go on are collected from what it makes of them. */
static void whole_sequences(vx_block_io *b, const vx_run *f)
{
    const vx_prefixes *p = f->pass->prefixes;
    const size_t room = vx_qkv_room((size_t)f->attention_width);
    b->whole_rows = f->pass->starts[f->batch];
    b->whole_from = p->row_of;
    b->whole = vx_run_at(f, b->qkv, (size_t)f->rows * room);
    b->attended = vx_run_at(f, b->whole, (size_t)b->whole_rows * room);
    b->picked_from = p->lasts;
    if (b->picked)
        return;
    b->collected = f->rows;
    b->collected_from = p->token_of;
    b->from = (vx_narrow_rows){f->act->wide, f->attention_width};
}

static vx_relative relative_of(const vx_run *f, int l)
{
    const vx_arch *a = f->arch;
    const size_t each = vx_arch_relative_floats(a) / (size_t)a->depth;
    const vx_far *table =
        f->c->relative ? f->c->relative + (size_t)l * each : f->w->blocks[l].relative;
    return (vx_relative){table, a->grid_height, a->grid_width, a->prefix};
}

/* The table of block l; NULL: nothing is rotated. */
static const vx_far *angles_of(const vx_run *f, int l)
{
    const vx_far *all = f->c->rotations;
    return all ? all + (size_t)l * vx_rotary_step(f->arch) : NULL;
}

/* The form of qkv, if no step stands between it and the attention, and it is not kept. What is
 * differentiated is kept, or made again. */
static const vx_packing *qkv_form(const vx_block_io *b, const vx_run *f)
{
    const vx_device_class *cls = f->dev->cls;
    if (!cls->attention_form || f->differentiated || b->qkv != f->act->wide || !b->qkv_rows ||
        !b->sequences || b->qk_rows || b->rotated || b->whole_rows)
        return NULL;
    return cls->attention_form(f->dev, f->arch->head_width, b->queries ? b->queries : f->tokens);
}

/* What one product alone reads. Without a norm in front, or of a model whose hidden layer is gated
 * or normalised, there is no such thing. */
static void forms(vx_block_io *b, const vx_run *f)
{
    const vx_arch *a = f->arch;
    if (!b->norm1_to && b->norm1_rows && b->norm1 && !a->parallel)
        b->norm1_form = b->w->qkv.packing;
    if (b->norm2_rows && b->norm2)
        b->norm2_form = b->w->fc1.packing;
    if (b->hidden && !a->mlp_norm && a->act != VX_ACT_SWIGLU)
        b->hidden_form = b->w->fc2.packing;
    b->qkv_form = qkv_form(b, f);
    if (b->sequences && b->from.at == b->attended && b->m == f->rows && !b->differences &&
        !b->attn_norm_rows && a->head_width % 32 == 0)
        b->attended_form = b->w->proj.packing;
}

/* What a block has in common in its first run and when it runs again. */
static vx_block_io block_io(const vx_run *f, int l, vx_far *x, vx_far *next)
{
    vx_block_io b = {.w = &f->w->blocks[l],
                     .norm1_rows = f->rows,
                     .qkv_rows = f->rows,
                     .qk_rows = f->arch->qk_norm ? f->rows : 0,
                     .sequences = f->batch,
                     .x = x,
                     .through = x,
                     .norm1 = f->act->y,
                     .qkv = f->act->wide,
                     .relative = relative_of(f, l),
                     .angles = angles_of(f, l),
                     .rotated = f->c->rotations ? f->rows : 0,
                     .attended = vx_attended(f, f->rows),
                     .norm2 = f->act->y,
                     .hidden = f->act->wide,
                     .next = next};
    b.whole = b.qkv;
    b.pre = f->arch->act == VX_ACT_SWIGLU ? b.hidden : NULL;
    if (f->arch->norm_stays)
        norm_stays(&b, f);
    if (vx_plan_class_only(f->plan, f->arch, l))
        tokens_alone(&b, f);
    else
        all_tokens(&b, f);
    if (f->pass->prefixes)
        whole_sequences(&b, f);
    b.out_rows = b.m;
    b.norm2_rows = b.m;
    b.ld2 = f->width;
    b.proj = b.mid;
    b.fc2 = b.out;
    b.proj_add = b.in.at;
    b.fc2_add = b.stay2 ? b.stay2 : b.mid.at;
    b.fc2_ld = b.stay2 ? f->width : b.mid.ld;
    if (f->arch->post_norm)
        post_norm(&b, f, l);
    b.differences = f->arch->differential ? b.m : 0;
    b.attn_norm_rows = f->arch->attn_norm ? b.m : 0;
    b.mlp_norm_rows = f->arch->mlp_norm ? b.m : 0;
    if (f->plan && f->plan->blocks[l].tokens[VX_AT_NORM1])
        record_norm1(&b, f, f->plan->blocks[l].tokens[VX_AT_NORM1]);
    if (f->arch->parallel) {
        b.norm2_rows = 0;
        b.norm2 = b.norm1;
    }
    return b;
}

/* What the backward pass reads is written where it is kept. Kept class tokens lie together. */
static void keep(vx_block_io *b, const vx_run *f, const vx_kept *kept)
{
    b->qkv = b->whole = kept->qkv;
    b->qk = kept->qk;
    b->qk_kept = b->qk_rows;
    b->attended_to = kept->attended;
    b->attended_kept = b->attn_norm_rows;
    b->mid = (vx_rows){kept->mid, f->width};
    b->pre = kept->pre;
    if (b->post_rows) {
        b->plain2 = kept->mid;
        b->ld2 = f->width;
        b->branch1 = b->proj.at = kept->branch1;
        b->branch2 = b->fc2.at = kept->branch2;
    } else {
        b->proj = b->mid;
        b->fc2_add = b->stay2 ? b->stay2 : kept->mid;
        b->fc2_ld = f->width;
    }
    b->hidden_to = kept->hidden;
    b->hidden_kept = b->mlp_norm_rows;
}

vx_block_io vx_block_io_of(const vx_run *f, int l)
{
    vx_block_io b = block_io(f, l, vx_stream(f, l), vx_stream(f, l + 1));
    const vx_pass *pass = f->pass;
    if (f->plan) {
        b.record = f->plan->attention[l];
        b.record.batch = f->batch; /* placed for the largest batch, filled for this one */
        if (f->plan->blocks[l].kept.qkv)
            keep(&b, f, &f->plan->blocks[l].kept);
    }
    const bool few =
        b.record.keep == VX_KEEP_NONE || (b.record.keep == VX_KEEP_ROW && b.record.query >= 0);
    const bool first_alone = f->arch->pool == VX_POOL_TOKEN;
    b.queries = vx_plan_class_only(f->plan, f->arch, l) && first_alone && few ? 1 : 0;
    if (l == pass->first && (pass->at_norm1 || pass->attended))
        b.norm1_rows = b.norm1_recorded = 0;
    if (l == pass->first && pass->attended)
        b.qkv_rows = b.qk_rows = b.qk_kept = b.rotated = b.sequences = 0;
    forms(&b, f);
    return b;
}

vx_block_io vx_block_io_recomputed(const vx_run *f, int l)
{
    const vx_kept *kept = &f->plan->blocks[l].kept;
    vx_block_io b = block_io(f, l, kept->x, NULL);
    keep(&b, f, &f->plan->recomputed);
    b.hidden = b.post_rows || b.mlp_norm_rows ? b.hidden : NULL;
    b.out_rows = b.post_rows;
    b.out_post_rows = 0;
    if (!kept->p && f->plan->recomputed.p)
        b.record = (vx_recorded){.data = f->plan->recomputed.p,
                                 .keep = VX_KEEP_ALL,
                                 .batch = f->batch,
                                 .heads = f->arch->heads,
                                 .tokens = f->tokens};
    forms(&b, f);
    return b;
}

/* What the forward pass left of a block, or left when it ran once more. */
static vx_kept kept_of(const vx_run *f, int l)
{
    vx_kept kept = f->plan->blocks[l].kept;
    const vx_kept *recomputed = &f->plan->recomputed;
    if (kept.qkv)
        return kept;
    vx_kept all = *recomputed;
    all.x = kept.x;
    all.p = kept.p ? kept.p : recomputed->p;
    return all;
}

/* What is wanted of the gradient of a block's attention. */
static void attention_grad(vx_block_grad_io *b, const vx_run *f, int l)
{
    const vx_block_plan *p = &f->plan->blocks[l];
    if (p->dkeep == VX_DKEEP_ALL)
        b->dp = p->dattention;
    if (p->dkeep == VX_DKEEP_PRODUCT && f->dev->cls->recomputes_p) {
        b->fused = p->dattention;
        b->kind = p->product;
    } else if (p->dkeep == VX_DKEEP_PRODUCT) {
        b->dp = f->plan->dp;
        b->product = (vx_attn_product){.out = p->dattention,
                                       .p = b->kept.p,
                                       .dp = b->dp,
                                       .kind = p->product,
                                       .head = -1,
                                       .batch = f->batch,
                                       .targets = f->targets,
                                       .heads = f->arch->heads,
                                       .tokens = f->tokens};
    }
}

vx_block_grad_io vx_block_grad_io_of(const vx_run *f, int l, int lowest)
{
    const vx_plan *plan = f->plan;
    const vx_block_plan *p = &plan->blocks[l];
    const bool class_only = vx_plan_class_only(plan, f->arch, l);
    const bool alone = f->pass->to.at == VX_END_ATTENTION && f->pass->to.layer == l;
    const bool further = l > lowest || plan->pixels ||
                         (l > 0 && plan->blocks[l - 1].dtokens[VX_AT_OUTPUT]) ||
                         f->pass->to.at == VX_END_OUTPUT;
    const int all = f->gradients * f->tokens;
    vx_block_grad_io b = {
        .w = &f->w->blocks[l],
        .kept = kept_of(f, l),
        .rows = class_only ? f->gradients : all,
        .tokens = class_only ? 1 : f->tokens,
        .dx = plan->dx,
        .lddx = class_only ? f->tokens * f->width : f->width,
        .branch = {plan->dx, class_only ? f->tokens * f->width : f->width},
        .dhidden = plan->dwide,
        .act = f->arch->mlp_norm ? VX_ACT_NONE : f->arch->act,
        .relative = relative_of(f, l),
        .dnorm2 = plan->dy,
        .dattended = vx_run_at(f, plan->dwide, (size_t)all * 3 * (size_t)f->attention_width),
        .angles = angles_of(f, l),
        .dnorm1 = p->dtokens[VX_AT_NORM1],
        .dnorm1_n = p->dtokens[VX_AT_NORM1] ? NULL : plan->dy};
    const bool stays = f->arch->norm_stays, plain = f->arch->post_norm || stays;
    b.norm2_rows = plain || f->arch->parallel ? 0 : b.rows;
    b.mid_rows = plain ? b.rows : 0;
    b.stay2_rows = stays ? b.rows : 0;
    b.post_rows = f->arch->post_norm ? b.rows : 0;
    if (f->arch->post_norm)
        b.branch = (vx_rows){plan->dbranch, f->width};
    if (f->arch->parallel && !b.dnorm1) {
        b.dnorm1 = plan->dbranch;
        b.dnorm1_n = NULL;
    }
    b.mlp_norm_rows = f->arch->mlp_norm ? b.rows : 0;
    b.differences = f->arch->differential ? b.rows : 0;
    b.attn_norm_rows = f->arch->attn_norm ? b.rows : 0;
    if (alone) {
        b.relu_mean = plan->relu_mean;
        b.dp = plan->relu_mean ? NULL : plan->dp;
        return b;
    }
    attention_grad(&b, f, l);
    if (further || p->dtokens[VX_AT_NORM1]) {
        b.dqkv = plan->dwide;
        b.dqkv_rows = all;
        b.rotated = f->c->rotations ? all : 0;
        b.qk_rows = f->arch->qk_norm ? all : 0;
        b.parallel_rows = f->arch->parallel ? all : 0;
    }
    b.norm1_rows = further && !plain ? all : 0;
    b.plain_rows = (further && plain) || (b.dnorm1 && stays) ? all : 0;
    b.stay1_to = stays ? p->dtokens[VX_AT_NORM1] : NULL;
    b.stay1_rows = further && stays ? all : 0;
    return b;
}
