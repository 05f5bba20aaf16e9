/*
 * explain/rollout.c: attention rollout (Abnar & Zuidema 2020, section 3).
 *
 *     F_l = heads of A_l fused;  B_l = rownorm(F_l + I);  R = B_last ... B_start;
 *     map = R[query, prefix..T-1], nothing normalised afterwards.
 *
 * (roll.h computes the one row that is wanted.)
 *
 * discard=d sets the int(T*T*d) smallest entries of each F_l to 0 before I is added; entry 0 (class
 * token to class token) is never set. compat=vit-explain reproduces jacobgil/vit-explain
 * vit_rollout.py @ 15a81d3, whose a / a.sum(dim=-1) divides column j by the sum of row j (the rows
 * of its B do not sum to 1 unless heads are fused by the mean and nothing is discarded), and
 * divides the map by its maximum.
 */
#include "explain/roll.h"

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
    VX_TRY(vx_setting_fuse(&set->fuse, &job->given));
    VX_TRY(vx_setting_discard(&set->discard, &job->given));
    VX_TRY(vx_setting_int(&set->start, &job->given, "start", 0, job->layer_first));
    VX_TRY(vx_setting_choice(&compat, &job->given, "compat"));
    set->compat = compat == 1;
    vx_plan_need_attention(need, set->start, job->layer_last,
                           job->head_first < 0 ? VX_KEEP_FUSED : VX_KEEP_ALL, set->fuse, 0);
    vx_roll_prepare(job, need);
    return VITX_OK;
}

/* F_l: the record itself where that is what was recorded and stays untouched. */
static const vx_far *fused(const vx_job *job, int first, int n, int layer, int head, vx_far *space)
{
    vx_device *dev = job->dev;
    const settings *set = job->settings;
    vx_recorded r = vx_job_attention(job, layer, first);
    const bool discard = set->discard > 0;
    r.batch = n;
    if (r.keep == VX_KEEP_FUSED && r.store == VX_STORE_F32 && !discard)
        return r.data;
    const int t = r.tokens;
    dev->ops.attn_fuse(
        dev, &(vx_attn_fuse){.out = space, .record = &r, .fuse = set->fuse, .head = head});
    if (discard)
        dev->ops.discard_smallest(
            dev, &(vx_discard_smallest){.f = space,
                                        .count = (int64_t)((double)t * (double)t * set->discard),
                                        .keep_first = 1,
                                        .batch = n,
                                        .tokens = t});
    return space;
}

static void pooled(float *row, const float *attention, const float *gradient, const vx_job *job,
                   int head)
{
    const settings *set = job->settings;
    (void)gradient;
    vx_fuse_rows(row, attention, job->arch->pool_heads, (size_t)vx_arch_tokens(job->arch), head,
                 set->fuse);
}

static int run_batch(const vx_job *job, int n, vitx_map *const *maps)
{
    const settings *set = job->settings;
    const vx_roll roll = {.start = set->start,
                          .norm = set->compat ? VX_NORM_COLUMNS : VX_NORM_ROWS,
                          .matrix = fused,
                          .pooled = pooled,
                          .by_max = set->compat};
    return vx_roll_run(job, n, maps, &roll);
}

static const vitx_method_option options[] = {
    VX_OPTION_FUSE,
    VX_OPTION_DISCARD,
    {"start", "0", "0 to the last block rolled out", "first block of the product"},
    {"compat", "none", "none|vit-explain", "vit-explain: normalises like that code"},
};

const vx_method vx_method_rollout = {
    .name = "rollout",
    .summary = "attention followed through the blocks up to --layer, residual connections included",
    .cost = "1 forward",
    .reference = "Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers",
    .uses_query = true,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .settings_size = sizeof(settings),
    .prepare = prepare,
    .run_batch = run_batch,
};
