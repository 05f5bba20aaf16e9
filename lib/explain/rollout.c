/*
 * explain/rollout.c: attention rollout (Abnar & Zuidema 2020, section 3).
 *
 *     F_l = heads of A_l fused;  B_l = rownorm(F_l + I);  R = B_last ... B_start;
 *     map = R[query, prefix..T-1], nothing normalised afterwards.
 *
 * Only one row of R is wanted, so a row vector is pushed through the blocks from the last to the
 * first: r = e_query; r = r B_l. That is O(L T^2) instead of O(L T^3).
 *
 * discard=d sets the int(T*T*d) smallest entries of each F_l to 0 before I is added; entry 0 (class
 * token to class token) is never set. compat=vit-explain reproduces jacobgil/vit-explain
 * vit_rollout.py @ 15a81d3, whose a / a.sum(dim=-1) divides column j by the sum of row j (the rows
 * of its B do not sum to 1 unless heads are fused by the mean and nothing is discarded), and
 * divides the map by its maximum.
 */
#include <string.h>

#include "explain/method.h"

typedef struct settings {
    vx_fuse fuse;
    int start;
    double discard;
    bool compat;
} settings;

static int prepare(vx_job *job, vx_plan *need)
{
    settings *set = job->settings;
    int compat;
    VX_TRY(vx_setting_fuse(&set->fuse, job));
    VX_TRY(vx_setting_number(&set->discard, job, "discard", 0, 1));
    if (set->discard == 1)
        return vx_fail(VITX_INVALID, "rollout: discard=%s: below 1 is expected, or nothing is left",
                       vx_setting(job, "discard"));
    VX_TRY(vx_setting_int(&set->start, job, "start", 0, job->layer_first));
    VX_TRY(vx_setting_choice(&compat, job, "compat"));
    set->compat = compat == 1;
    vx_plan_need_attention(need, set->start, job->layer_last,
                           job->head_first < 0 ? VX_KEEP_FUSED : VX_KEEP_ALL, set->fuse, 0);
    return VITX_OK;
}

/* Device memory of a rollout: two rows [T] and, where the record cannot be used as it is, F [T,T]. */
typedef struct rows {
    float *now, *next, *fused;
} rows;

static void layout(rows *r, vx_arena *arena, int tokens)
{
    r->now = vx_arena_take(arena, (size_t)tokens, sizeof(float));
    r->next = vx_arena_take(arena, (size_t)tokens, sizeof(float));
    r->fused = vx_arena_take(arena, (size_t)tokens * (size_t)tokens, sizeof(float));
}

/* F_l of one picture: the record itself where that is what was recorded and stays untouched. */
static const float *fused(const vx_job *job, const vx_recorded *r, int head, float *space)
{
    vx_device *dev = job->context->dev;
    const settings *set = job->settings;
    const bool discard = set->discard > 0;
    if (r->keep == VX_KEEP_FUSED && r->store == VX_STORE_F32 && !discard)
        return r->data;
    const int t = r->tokens;
    dev->ops.attn_fuse(dev, space, r, set->fuse, head);
    if (discard)
        dev->ops.discard_smallest(dev, space, (int64_t)((double)t * (double)t * set->discard), 1, 1,
                                  t);
    return space;
}

/* One plane: the row of the query in B_layer ... B_start. */
static int roll(const vx_job *job, int i, int layer, int head, rows *r, float *host, float *out)
{
    vitx_context *c = job->context;
    const settings *set = job->settings;
    const vx_arch *a = job->arch;
    const int tokens = vx_arch_tokens(a), patches = tokens - a->prefix;
    const size_t bytes = (size_t)tokens * sizeof(float);
    const vx_norm norm = set->compat ? VX_NORM_COLUMNS : VX_NORM_ROWS;

    for (int t = 0; t < tokens; t++)
        host[t] = job->query >= 0 ? (float)(t == job->query)
                  : t < a->prefix ? 0.0f
                                  : 1.0f / (float)patches;
    c->dev->cls->upload(c->dev, r->now, host, bytes);
    for (int l = layer; l >= set->start; l--) {
        const vx_recorded record = vx_job_attention(job, l, i);
        const float *f = fused(job, &record, head, r->fused);
        c->dev->ops.rollout_step(c->dev, r->next, r->now, f, norm, 1, tokens);
        float *swap = r->now;
        r->now = r->next;
        r->next = swap;
    }
    c->dev->cls->download(c->dev, host, r->now, bytes);
    VX_TRY(vx_context_sync(c));
    memcpy(out, host + a->prefix, (size_t)patches * sizeof *out);
    return VITX_OK;
}

static void divide_by_max(float *plane, int count)
{
    float max = 0;
    for (int p = 0; p < count; p++)
        max = plane[p] > max ? plane[p] : max;
    for (int p = 0; p < count && max > 0; p++)
        plane[p] /= max;
}

static int run(const vx_job *job, int i, vitx_map *map)
{
    vitx_context *c = job->context;
    const settings *set = job->settings;
    const int tokens = vx_arch_tokens(job->arch), patches = tokens - job->arch->prefix;
    const vitx_hooks scratch = vx_scratch_hooks(&c->scratch);
    rows r;
    vx_arena arena = {0};
    layout(&r, &arena, tokens);
    if (arena.overflow)
        return vx_fail(VITX_NOMEM, "rollout: a matrix of %d x %d tokens is too large", tokens,
                       tokens);
    VX_TRY(vx_block_reserve(c, &c->work, arena.size, "rollout"));
    arena = (vx_arena){.base = c->work.memory};
    layout(&r, &arena, tokens);
    float *host;
    VX_TRY(vx_new(&host, &scratch, (size_t)tokens, sizeof *host, "a row of the rollout"));
    float *out = map->values;
    int status = VITX_OK;
    for (int l = job->layer_first; l <= job->layer_last && status == VITX_OK; l++)
        for (int h = job->head_first; h <= job->head_last && status == VITX_OK;
             h++, out += patches) {
            status = roll(job, i, l, h, &r, host, out);
            if (set->compat)
                divide_by_max(out, patches);
        }
    vx_release(&scratch, host);
    return status;
}

static const vitx_method_option options[] = {
    VX_OPTION_FUSE,
    {"discard", "0", "0 to below 1",
     "share of the smallest attention values that are set to 0 in each block"},
    {"start", "0", "0 to the last block rolled out", "first block of the product"},
    {"compat", "none", "none|vit-explain", "reproduce that code's normalisation"},
};

const vx_method vx_method_rollout = {
    .name = "rollout",
    .summary = "attention followed through the blocks up to --layer, residual connections included",
    .cost = "1 forward",
    .reference = "Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run = run,
};
