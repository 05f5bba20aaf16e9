/* kernels/work.c: see work.h. Every row of ops.def has its function here. */
#include "kernels/work.h"

#include <stdbool.h>

static vx_work floats(double count)
{
    return (vx_work){.bytes = 4 * count};
}

static vx_work product(double m, double n, double k, double other_floats)
{
    return (vx_work){.flops = 2 * m * n * k, .bytes = 4 * (m * n + n * k + k * m + other_floats)};
}

/* Whether the array is there, as floats or as its twin. */
static bool has(const float *array, const vx_narrow *twin)
{
    return array || twin;
}

/* The pictures are read once, and what lies between the passes is written and read. */
vx_work vx_resample_work(const vx_resample *a)
{
    double bytes = 12. * a->batch * a->height * a->width;
    for (int b = 0; b < a->batch; b++) {
        const vx_resampled *p = &a->pictures[b];
        bytes += 3. * p->rows * p->columns + 2. * (double)vx_resampled_room(p, a->unrounded);
    }
    return (vx_work){.bytes = bytes};
}

vx_work vx_patch_embed_work(const vx_patch_embed *a)
{
    const double patches = (double)(a->height / a->patch_height) * (a->width / a->patch_width);
    return product(a->batch * patches, a->w->n, a->w->k, a->pos ? patches * a->w->n : 0);
}

vx_work vx_patch_embed_bwd_work(const vx_patch_embed_bwd *a)
{
    const double patches = (double)(a->height / a->patch_height) * (a->width / a->patch_width);
    return product(a->batch * patches, a->w->k, a->w->n, 0);
}

vx_work vx_linear_work(const vx_linear *a)
{
    const double rows = a->m;
    const bool both = has(a->pre, a->pre_n) && has(a->y, a->y_n);
    const double other = (both ? rows * a->w->n : 0) + (a->residual ? rows * a->w->n : 0);
    return product(rows, a->w->n, a->w->k, other + (a->norm.weight ? 2 * rows * a->w->k : 0));
}

vx_work vx_linear_bwd_work(const vx_linear_bwd *a)
{
    const int targets = a->targets > 0 ? a->targets : 1;
    return product(a->m, a->w->k, a->w->n,
                   has(a->pre, a->pre_n) ? (double)a->m / targets * a->w->k : 0);
}

/* Of a rotation by the table's row of each token, which stays in the cache. */
vx_work vx_rotate_work(const vx_rotate *a)
{
    const double width = (double)a->heads * a->head_width;
    return (vx_work){.flops = 6. * a->rows * width, .bytes = 16. * a->rows * width};
}

vx_work vx_layernorm_work(const vx_layernorm *a)
{
    return floats(2. * a->m * a->n * vx_groups(a->groups));
}

vx_work vx_layernorm_bwd_work(const vx_layernorm_bwd *a)
{
    const int targets = a->targets > 0 ? a->targets : 1;
    return floats((2. + 1. / targets + (a->accumulate ? 1 : 0)) * a->m * a->n *
                  vx_groups(a->groups));
}

/* Floats of a record. */
static double recorded(const vx_recorded *r)
{
    const double b = r->batch, h = r->heads, t = r->tokens;
    const double all[] = {[VX_KEEP_NONE] = 0,
                          [VX_KEEP_ROW] = b * h * t,
                          [VX_KEEP_FUSED] = b * t * t,
                          [VX_KEEP_ALL] = b * h * t * t};
    return all[r->keep] * (r->store == VX_STORE_F16 ? 0.5 : 1);
}

/* q k^T of all queries that y or the record needs is not told from p v: both count the rows of
 * y. */
vx_work vx_attention_work(const vx_attention *a)
{
    const double width = (double)a->heads * a->head_width;
    vx_work work = floats(recorded(&a->record));
    for (int b = 0; b < a->batch; b++) {
        const double tokens = vx_tokens_of(a->starts, b, a->tokens) - a->first;
        const double queries = a->queries > 0 && a->queries < tokens ? a->queries : tokens;
        const double pairs = a->causal ? queries * (queries + 1) / 2 : queries * tokens;
        work.flops += 4 * pairs * width;
        work.bytes += 4 * (2 * tokens + 2 * queries) * width;
    }
    return work;
}

vx_work vx_attention_replaced_work(const vx_attention_replaced *a)
{
    const double width = (double)a->heads * a->head_width;
    return (vx_work){.flops = 4. * a->count * a->tokens * width,
                     .bytes = 4 * (a->count * 4 * width + a->tokens * (3 * width + a->width))};
}

/* dp = dy v^T, and p if it was not recorded; dv, dq and dk; what is made of dp. */
vx_work vx_attention_bwd_work(const vx_attention_bwd *a)
{
    const double heads = (double)a->batch * a->targets * a->heads, tokens = a->tokens - a->first;
    const bool all = has(a->dqkv, a->dqkv_n);
    const bool scores = !a->p && (all || a->product);
    const double products = 1 + (all ? 3 : 0) + (scores ? 1 : 0);
    const double e = a->head_width, rows = (a->p ? 1 : 0) + (a->dp ? 1 : 0);
    const double fused = (a->product ? heads / a->heads * a->queries * tokens : 0) +
                         (a->relu_mean ? heads * tokens : 0);
    return (vx_work){.flops = 2 * products * heads * a->queries * tokens * e,
                     .bytes = 4 * heads *
                                  (tokens * e * (3 + (all ? 3 : 0)) + a->queries * e +
                                   rows * a->queries * tokens) +
                              4 * fused};
}

vx_work vx_activate_work(const vx_activate *a)
{
    return floats(2. * (double)a->count);
}

vx_work vx_swiglu_work(const vx_swiglu *a)
{
    return floats(3. * a->m * a->n);
}

vx_work vx_swiglu_bwd_work(const vx_swiglu_bwd *a)
{
    const int targets = a->targets > 0 ? a->targets : 1;
    return floats((3 + 2. / targets) * a->m * a->n);
}

vx_work vx_softmax_work(const vx_softmax *a)
{
    return floats(2. * a->m * a->n);
}

vx_work vx_sigmoid_work(const vx_sigmoid *a)
{
    return floats(2. * (double)a->count);
}

vx_work vx_mean_tokens_work(const vx_mean_tokens *a)
{
    double rows = 0;
    for (int b = 0; b < a->batch; b++)
        rows += 1 + vx_tokens_of(a->starts, b, a->tokens) - a->first;
    return floats(rows * a->width);
}

vx_work vx_mean_tokens_bwd_work(const vx_mean_tokens_bwd *a)
{
    return floats((double)a->batch * (a->tokens + 1) * a->width);
}

vx_work vx_clear_work(const vx_clear *a)
{
    return floats((double)a->count);
}

vx_work vx_copy_rows_work(const vx_copy_rows *a)
{
    const double n = (double)a->m * (double)a->n;
    return floats((a->accumulate ? 2 : 1) * n + (a->ldx ? n : (double)a->n));
}

vx_work vx_replace_channels_work(const vx_replace_channels *a)
{
    return floats((1. + a->count) * a->tokens * a->width);
}

vx_work vx_gather_rows_work(const vx_gather_rows *a)
{
    return floats(2. * a->rows * a->width);
}

vx_work vx_add_weighted_work(const vx_add_weighted *a)
{
    return floats((double)a->groups * (2. + a->samples) * (double)a->n);
}

/* Masks are made of few samples. */
vx_work vx_blend_work(const vx_blend *a)
{
    const double plane = (double)a->height * a->width, pictures = a->n + (a->from ? 2. : 1.);
    return floats(plane * (pictures * a->channels + (a->by == VX_BLEND_ORDER ? 1 : 0)));
}

vx_work vx_add_noise_work(const vx_add_noise *a)
{
    return floats((1. + a->n) * (double)a->count);
}

vx_work vx_mask_range_work(const vx_mask_range *a)
{
    return floats((2. + (double)a->masks.down.samples * a->masks.across.samples) * a->n);
}

vx_work vx_add_masks_work(const vx_add_masks *a)
{
    const double samples = (double)a->masks.down.samples * a->masks.across.samples;
    return floats(4. * a->height * a->width + samples * a->n);
}

vx_work vx_reduce_channels_work(const vx_reduce_channels *a)
{
    const double pictures = a->batch, gs = pictures * a->targets;
    return floats((double)a->n * (gs + a->channels * (gs + (a->x ? pictures : 0))));
}

vx_work vx_attn_fuse_work(const vx_attn_fuse *a)
{
    const vx_recorded *r = a->record;
    const double out = (double)r->batch * r->tokens * r->tokens;
    const int heads = a->head >= 0 && r->keep == VX_KEEP_ALL ? r->heads : 1;
    return floats(out + recorded(r) / heads);
}

vx_work vx_attn_row_work(const vx_attn_row *a)
{
    const vx_recorded *r = a->record;
    const double row = (double)r->batch * r->heads * r->tokens;
    const int rows = r->keep == VX_KEEP_ROW ? 1
                                            : vx_query_end(a->query, a->prefix, r->tokens) -
                                                  vx_query_first(a->query, a->prefix);
    return floats(row * (1 + rows * (r->store == VX_STORE_F16 ? 0.5 : 1)));
}

vx_work vx_attn_product_work(const vx_attn_product *a)
{
    const double matrix = (double)a->tokens * a->tokens, heads = a->head < 0 ? a->heads : 1;
    const double gs = (double)a->batch * a->targets;
    return floats(matrix * (gs * (1 + heads) + a->batch * heads));
}

vx_work vx_attn_relu_mean_work(const vx_attn_relu_mean *a)
{
    const double heads = a->head < 0 ? a->heads : 1, t = a->tokens;
    return floats(a->gradients * t * (1 + heads * t));
}

vx_work vx_token_cam_work(const vx_token_cam *a)
{
    const double patches = a->tokens - a->first, gs = (double)a->batch * a->targets;
    return floats(patches * (gs + a->width * (gs + a->batch)));
}

vx_work vx_token_gram_work(const vx_token_gram *a)
{
    const double patches = a->tokens - a->first, gs = (double)a->batch * a->targets;
    const double inputs = patches * a->width * (a->batch + (a->g ? gs : 0));
    return (vx_work){.flops = 2 * gs * patches * patches * a->width,
                     .bytes = 4 * (inputs + gs * patches * patches)};
}

vx_work vx_discard_smallest_work(const vx_discard_smallest *a)
{
    return floats(2. * a->batch * a->tokens * a->tokens);
}

vx_work vx_rollout_step_work(const vx_rollout_step *a)
{
    return floats((double)a->batch * a->tokens * (a->tokens + 2.));
}
